"""How fast entries become a feed: our renderers beside Django's feedgenerator and lxml by hand, of the same entries."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

from lxml import etree

from aggregator.config import Config, parse_config
from aggregator.filters import Filter
from aggregator.models import Record
from benchmarks.figures import Curve, Figure
from benchmarks.measuring import alternate, find_ratio, run_apart, run_program
from benchmarks.peers import find_python
from benchmarks.tenders import BLOCK, NOW, make_tender, render_config
from feeds.definitions import Channel, Feed, Format, Group, make_channel
from feeds.entries import Entry, tender_entry
from feeds.formats import RENDERERS

GROUP = "Rendering"
ENTRIES = 100  # as a feed has
DJANGO = Path(__file__).parent / "peers/django_feeds.py"
_ATOM = "http://www.w3.org/2005/Atom"
_CONTENT = "http://purl.org/rss/1.0/modules/content/"
_CREATOR = "http://purl.org/dc/elements/1.1/"


def measure(*, quick: bool) -> Iterator[Figure | Curve]:
    """The ratios of one run. PeersMissing where the peers' environment is not made."""
    rounds, times = (1, 2) if quick else (5, 40)
    channel, entries = make_feed()
    given = json.dumps(describe(channel, entries)).encode()
    python = find_python()
    for form in Format:
        runs: dict[str, Callable[[], float]] = {"ours": partial(_run, render_ours, form, times)}
        if form in _BY_HAND:
            runs["lxml"] = partial(_run, render_by_hand, form, times)
            runs["django"] = partial(_run_django, python, form, times, given)
        yield from _tell(form, alternate(rounds, **runs))


def _tell(form: Format, seconds: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    rates = {name: ENTRIES / min(each) for name, each in seconds.items()}
    told = ", ".join(f"{name} {rate:,.0f} entries/s" for name, rate in rates.items())
    yield Figure(group=GROUP, name=f"{form}: entries a second", value=rates["ours"], unit="/s", higher_is_better=True)
    for peer, name in (("django", "Django's feedgenerator"), ("lxml", "lxml by hand")):
        if peer in seconds:
            yield Figure(
                group=GROUP,
                name=f"{form}: our rate over that of {name}",
                value=find_ratio(seconds[peer], seconds["ours"]),
                unit="×",
                higher_is_better=True,
                against=told,
            )


def make_feed() -> tuple[Channel, list[Entry]]:
    """A feed of the newest tenders of a portal."""
    config: Config = parse_config(render_config("sqlite://"), Path("warta.toml"))
    feed = Feed(
        id="semua", title="Semua paket", short="Semua", description="Semua paket.", group=Group.OWN, filter=Filter()
    )
    records = [
        Record(tender=make_tender(number), first_seen=NOW, last_seen=NOW, changed=NOW)
        for number in range(BLOCK - ENTRIES, BLOCK)
    ]
    entries = [tender_entry(record, config.portal[0], config.publisher) for record in reversed(records)]
    return make_channel(feed, config, entries), entries


def describe(channel: Channel, entries: Sequence[Entry]) -> dict[str, Any]:
    """The same as JSON, for programs that know nothing of ours."""
    return {
        "title": channel.feed.title,
        "about": channel.feed.description,
        "page": channel.page_url,
        "url": channel.urls[Format.RSS],
        "language": channel.language,
        "author": channel.author,
        "entries": [
            {name: getattr(entry, name) for name in ("id", "title", "url", "summary", "content", "author", "topics")}
            | {"published": entry.published.isoformat(), "updated": entry.updated.isoformat()}
            for entry in entries
        ],
    }


# In processes of their own: seconds of processors a feed -------------------------------------------------------


def _run(function: Callable[..., float], form: Format, times: int) -> float:
    seconds, _ = run_apart(function, form=str(form), times=times)
    return float(seconds)


def _run_django(python: Path | str, form: Format, times: int, given: bytes) -> float:
    told = json.loads(run_program([str(python), str(DJANGO), str(form), str(times)], given=given).output)
    return float(told["seconds"])


def render_ours(form: str, times: int) -> float:
    return _time(partial(RENDERERS[Format(form)], *make_feed()), times)


def render_by_hand(form: str, times: int) -> float:
    channel, entries = make_feed()
    return _time(partial(_BY_HAND[Format(form)], describe(channel, entries)), times)


def _time(render: Callable[[], bytes], times: int) -> float:
    render()  # once for what is read only once
    began = time.process_time()
    for _ in range(times):
        render()
    return (time.process_time() - began) / times


# By hand: the same elements, no question asked ----------------------------------------------------------------


def render_rss_by_hand(channel: Mapping[str, Any]) -> bytes:
    rss = etree.Element("rss", version="2.0", nsmap={"atom": _ATOM, "content": _CONTENT, "dc": _CREATOR})
    head = etree.SubElement(rss, "channel")
    for name, text in (
        ("title", channel["title"]),
        ("link", channel["page"]),
        ("description", channel["about"]),
        ("language", channel["language"]),
        ("ttl", "15"),
    ):
        etree.SubElement(head, name).text = text
    etree.SubElement(head, f"{{{_ATOM}}}link", rel="self", href=channel["url"], type="application/rss+xml")
    for entry in channel["entries"]:
        item = etree.SubElement(head, "item")
        for name, text in (
            ("title", entry["title"]),
            ("link", entry["url"]),
            ("description", entry["summary"]),
            (f"{{{_CONTENT}}}encoded", entry["content"]),
            (f"{{{_CREATOR}}}creator", entry["author"]),
            ("pubDate", format_datetime(datetime.fromisoformat(entry["published"]).astimezone(UTC))),
        ):
            etree.SubElement(item, name).text = text
        etree.SubElement(item, "guid", isPermaLink="false").text = entry["id"]
        for _, label in entry["topics"]:
            etree.SubElement(item, "category").text = label
    return etree.tostring(rss, xml_declaration=True, encoding="UTF-8")


def render_atom_by_hand(channel: Mapping[str, Any]) -> bytes:
    feed = etree.Element("feed", nsmap={None: _ATOM})
    for name, text in (("id", channel["url"]), ("title", channel["title"]), ("subtitle", channel["about"])):
        etree.SubElement(feed, name).text = text
    etree.SubElement(feed, "link", rel="self", href=channel["url"])
    etree.SubElement(feed, "link", rel="alternate", href=channel["page"])
    for entry in channel["entries"]:
        item = etree.SubElement(feed, "entry")
        for name in ("id", "title", "published", "updated", "summary"):
            etree.SubElement(item, name).text = entry[name]
        etree.SubElement(item, "content", type="html").text = entry["content"]
        etree.SubElement(item, "link", rel="alternate", href=entry["url"])
        etree.SubElement(etree.SubElement(item, "author"), "name").text = entry["author"]
        for term, label in entry["topics"]:
            etree.SubElement(item, "category", term=term, label=label)
    return etree.tostring(feed, xml_declaration=True, encoding="UTF-8")


_BY_HAND: Mapping[Format, Callable[[Mapping[str, Any]], bytes]] = {
    Format.RSS: render_rss_by_hand,
    Format.ATOM: render_atom_by_hand,
}
