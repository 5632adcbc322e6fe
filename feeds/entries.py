"""Tender, release or run → Entry: what every format shows, worded once in the reader's language. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from html import escape
from itertools import accumulate
from typing import Any, NamedTuple

from aggregator.config import Portal, Publisher
from aggregator.models import Kind, Record, Release, Sanction, Source, Status, Tender
from aggregator.sanctions import Blacklist
from aggregator.verdicts import Run, Verdict
from feeds.words.attribution import find_attribution
from feeds.words.headlines import tell_release
from feeds.words.sentences import MOST_FACT, list_facts, name_category, tell_row, tell_tender, tell_terms
from feeds.words.text import clip, plain, scrub, web_address
from feeds.words.wording import Wording

MOST_TITLE = 300
MOST_LINE = 300
MOST_FEED = 1_000_000  # bytes of one rendered feed
MOST_KEPT = 2_000  # entries of which is remembered what was made of them: most stand in several feeds

_OFF = {Status.CANCELLED, Status.UNSUCCESSFUL, Status.WITHDRAWN}
_GOOD = {Verdict.OK, Verdict.PARTIAL}
# Codes of PROBLEMS that explain a failure; the second row only where something was read, else nothing answered.
_CAUSES = ("busy", "rate_limited", "refused")
_CAUSES_IN_PART = ("listing", "errors")
# What `_warta` leaves out: what the entry itself holds, and what may move without being a change.
_UNSTRUCTURED = {"title", "url", "description", "milestones", "documents", "participants", "incomplete"}
_MOST_ITEMS = 50


class Topic(NamedTuple):
    """A category of an entry: its code, and what it is called."""

    term: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item of a feed, the same in RSS, Atom, JSON Feed and iCalendar.

    ``id`` is a tag: URI (RFC 4151) that never changes. ``title`` and ``summary`` are plain text without
    ``<`` ``>``, ``content`` is HTML made of escaped text only. ``starts`` is the instant it stands for in a
    calendar, None when it has none; ``sequence`` grows whenever the entry changes (RFC 5545 §3.8.7.4).
    ``structured`` holds the `_warta` object of JSON Feed.
    """

    id: str
    title: str
    url: str
    summary: str
    content: str
    published: datetime
    updated: datetime
    author: str
    author_url: str
    topics: tuple[Topic, ...] = ()
    starts: datetime | None = None
    sequence: int = 0
    cancelled: bool = False
    structured: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.id, self.updated))

    @property
    def first_known(self) -> datetime:
        """When it was first seen, a second early at the most: ``sequence`` counts from there."""
        return self.updated - timedelta(seconds=self.sequence)


def make_id(publisher: Publisher, path: str) -> str:
    """``tag:{authority},{since}:{path}``: authority and since are fixed in the configuration (RFC 4151)."""
    return f"tag:{publisher.authority},{publisher.since.isoformat()}:{path}"


def find_url(tender: Tender, portal: Portal) -> str:
    """Where an entry leads: the official page, or the portal's where the source gives no usable address."""
    return web_address(tender.url) or portal.url


@dataclass(frozen=True, slots=True)
class Around:
    """What an entry tells beside its tender: the ``portals`` of its sources by id, and who is blacklisted."""

    portals: Mapping[str, Portal]
    blacklist: Blacklist


ALONE = Around({}, Blacklist(()))


def tender_entry(record: Record, portal: Portal, publisher: Publisher, around: Around = ALONE) -> Entry:
    """The entry of a tender as it now stands; an event in calendars while it has a deadline.

    ``portal`` is the one whose page the entry leads to: of several sources the first.
    """
    tender, wording = record.tender, Wording(publisher.language, portal.zone)
    opening = tell_tender(tender, wording)
    warnings, sanctions = find_sanctions(record, around.blacklist, wording)
    url = find_url(tender, portal)
    # Read at ``changed``, not ``last_seen``: a reading that found nothing new must not change the bytes.
    content = [_paragraph(line) for line in (_tell_body(tender, opening), *warnings)]
    content += [_facts(tender, wording), *_sources(record, url, portal, around, wording)]
    return Entry(
        id=make_id(publisher, _path(tender)),
        title=_name(tender, MOST_TITLE),
        url=url,
        summary=" ".join([opening, *warnings]),
        content="".join(content),
        published=min(tender.published or record.first_seen, record.changed),  # validators doubt a day to come
        updated=record.changed,
        author=plain(portal.name),
        author_url=portal.url,
        topics=_topics(tender, wording),
        starts=tender.deadline or tender.registration_deadline,
        # Seconds from first sight to the last change: needs no count of changes, and grows with every one.
        sequence=math.ceil((record.changed - record.first_seen).total_seconds()),
        cancelled=tender.status in _OFF,
        structured={
            "about": tell_row(tender, wording),
            **_structure(tender),
            **({"sources": [_structure_source(source) for source in record.sources]} if record.sources else {}),
            **({"sanctioned": sanctions} if sanctions else {}),
        },
    )


def release_entry(
    release: Release,
    record: Record,
    portal: Portal,
    publisher: Publisher,
    missing_since: datetime | None = None,
    around: Around = ALONE,
) -> Entry:
    """The entry of one change, dated when it was found. ``record`` holds the tender as of that release;
    ``missing_since`` is when a tender that is back had been found missing. ValueError for an unsaved release."""
    if release.seq is None:
        raise ValueError(f"release of {release.portal}/{release.kind}/{release.key} is not saved: it has no seq")
    tender, wording = record.tender, Wording(publisher.language, portal.zone)
    news = tell_release(release, tender, wording, missing_since)
    opening = tell_tender(tender, wording)
    warnings, sanctions = find_sanctions(record, around.blacklist, wording)
    url = find_url(tender, portal)
    content = [_paragraph(line) for line in (*news.lines, *warnings, _tell_body(tender, opening))]
    content += [_facts(tender, wording), *_sources(record, url, portal, around, wording)]
    return Entry(
        id=make_id(publisher, f"{_path(tender)}/changes/{release.seq}"),
        title=f"{news.headline}: {_name(tender, MOST_TITLE - len(news.headline) - 2)}",
        url=url,
        summary=" ".join([*(clip(line, MOST_LINE) for line in news.lines), *warnings, opening]),
        content="".join(content),
        published=release.time,
        updated=release.time,
        author=plain(portal.name),
        author_url=portal.url,
        topics=_topics(tender, wording),
        starts=release.time,
        structured={
            "about": clip(" ".join(news.lines), MOST_LINE) or tell_row(tender, wording),
            **_structure(tender),
            "events": list(release.events),
            "tags": list(release.tags),
            "changes": [{"field": c.field, "old": _fit(c.old), "new": _fit(c.new)} for c in release.changes],
            **({"sanctioned": sanctions} if sanctions else {}),
        },
    )


def run_entry(run: Run, portal: Portal, publisher: Publisher, last_success: datetime | None = None) -> Entry:
    """The entry of a run with which a portal's verdict turned: it failed or was blocked, or recovered.

    ``last_success`` is when the portal was last read well before a failure.
    """
    wording = Wording(publisher.language, portal.zone)
    told = [_tell_verdict(run, wording)]
    if last_success and run.verdict not in _GOOD:
        told.append(wording.say("run_last_success", time=wording.short_time(last_success)))
    reasons = [clip(plain(reason), MOST_LINE) for reason in run.reasons[:_MOST_ITEMS]]
    good = "run_doubtful" if run.broken else "run_recovered"
    turn = {Verdict.FAILED: "run_failed", Verdict.BLOCKED: "run_blocked"}.get(run.verdict, good)
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    content = [_paragraph(" ".join(told)), f"<ul>{items}</ul>" if items else ""]
    content.append(_source(portal.url, portal, run.finished, wording))
    return Entry(
        id=make_id(publisher, f"{portal.id}/runs/{run.started.astimezone(UTC):%Y%m%dT%H%M%SZ}"),
        title=f"{wording.say(turn)}: {clip(plain(portal.name), 200)}",
        url=f"{publisher.url}status.html",
        summary=" ".join(told),
        content="".join(content),
        published=run.finished,
        updated=run.finished,
        author=plain(publisher.name),
        author_url=publisher.contact or publisher.url,
        topics=(Topic(run.verdict, wording.say(turn)),),
        starts=run.finished,
        structured={"about": " ".join(told), "portal": portal.id, "verdict": run.verdict, "reasons": reasons},
    )


def fit_entries(entries: Sequence[Entry], most: int = MOST_FEED) -> list[Entry]:
    """The newest entries that every format can hold in ``most`` bytes; the oldest are dropped."""
    sizes = accumulate((_weigh(entry) for entry in entries), initial=_WEIGHT_OF_HEAD)
    return [entry for entry, size in zip(entries, list(sizes)[1:], strict=True) if size <= most]


_WEIGHT_OF_HEAD = 20_000
_WEIGHT_OF_FRAME = 900  # elements or keys, dates and fixed attributes of one entry


@lru_cache(MOST_KEPT)
def _weigh(entry: Entry) -> int:
    """No less than the entry's bytes in its longest form."""
    names = [entry.id, entry.url, entry.author, entry.author_url, *(part for topic in entry.topics for part in topic)]
    names_size = sum(len(escape(name).encode()) for name in names)
    # RSS: summaries are HTML and escaped again, content once more than it is.
    rss = sum(len(escape(text).encode()) for text in (entry.title, escape(entry.summary), entry.content))
    as_json = sum(map(_count_json, (entry.title, entry.summary, entry.content, entry.structured)))
    # iCalendar doubles commas and the like; folding adds three bytes to a line of 75.
    calendar = sum(len(text.encode()) for text in (entry.title, entry.summary, entry.url)) * 9 // 4
    return _WEIGHT_OF_FRAME + names_size + max(rss, as_json, calendar)


def _count_json(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def _path(tender: Tender) -> str:
    return f"{tender.portal}/{tender.kind}/{tender.key}"


def _name(tender: Tender, most: int) -> str:
    return clip(plain(tender.title) or tender.key, most)


def _topics(tender: Tender, wording: Wording) -> tuple[Topic, ...]:
    kind = Topic(tender.kind, wording.name(tender.kind))
    category = Topic(tender.category, name_category(tender, wording)) if tender.category else None
    method = Topic(tender.method, wording.name(tender.method)) if tender.method else None
    return tuple(topic for topic in (kind, category, method) if topic)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _tell_body(tender: Tender, opening: str) -> str:
    """``opening``, but of news as much of the text as a fact may have."""
    text = clip(plain(tender.description or ""), MOST_FACT) if tender.kind is Kind.NEWS else ""
    return text or opening


def _facts(tender: Tender, wording: Wording) -> str:
    """Nothing for news: it is no purchase, and its text says all there is."""
    if tender.kind is Kind.NEWS:
        return ""
    facts = list_facts(tender, wording)
    return "<dl>" + "".join(f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in facts) + "</dl>"


def _link(url: str, portal: Portal) -> str:
    return f'<a href="{escape(url)}">{escape(plain(portal.name))}</a>'


def _sources(record: Record, url: str, portal: Portal, around: Around, wording: Wording) -> Iterator[str]:
    """Where the entry leads and when that was read, every other source, and what their licences ask."""
    first = record.sources[0].kind if record.sources else record.tender.kind
    asked = [find_attribution(portal, (first,), record.changed)]
    yield _source(url, portal, record.changed, wording)
    for source in record.sources[1:]:
        other = around.portals[source.portal]
        told = wording.say(
            "other_source",
            portal=_link(web_address(source.url) or other.url, other),
            kind=escape(wording.name(source.kind)),
            key=escape(source.key),
            time=escape(wording.short_time(source.changed)),
        )
        yield f"<p>{told}</p>"
        asked.append(find_attribution(other, (source.kind,), source.changed))
    yield from (f"<p>{markup}</p>" for markup in dict.fromkeys(each.markup for each in asked if each))


def _source(url: str, portal: Portal, read: datetime, wording: Wording) -> str:
    told = wording.say("source", portal=_link(url, portal), time=escape(wording.short_time(read)))
    return f"<p>{told}</p>"


def find_sanctions(record: Record, blacklist: Blacklist, wording: Wording) -> tuple[list[str], list[dict[str, Any]]]:
    """Each winner or contractor whose name is blacklisted: a sentence, and the sanction as JSON with that ``name``."""
    found: dict[str, Sanction] = {}
    for award in (*record.tender.awards, *record.tender.contracts):
        sanction = blacklist.find(award.supplier, award.date or record.changed)
        if sanction and award.supplier:
            found[plain(award.supplier)] = sanction
    told = []
    for supplier, sanction in found.items():
        about = ", ".join(tell_terms(sanction, wording))
        told.append(wording.say("sanctioned", supplier=clip(supplier, MOST_LINE), about=about))
    return told, [{"name": _fit(name), **_fit(sanction.as_dict())} for name, sanction in found.items()]


def _tell_verdict(run: Run, wording: Wording) -> str:
    if run.verdict is Verdict.BLOCKED:
        return wording.say("run_blocked_body")
    if run.verdict is Verdict.FAILED:
        codes = {reason.partition(":")[0] for reason in run.reasons}
        causes = [*_CAUSES, *(_CAUSES_IN_PART if run.seen else ())]
        why = next((code for code in causes if code in codes), "no_answer")
        return wording.say("run_because", why=wording.say(f"why_{why}"))
    if run.broken:
        return wording.say("run_doubtful_body")
    if run.verdict is Verdict.PARTIAL and run.errors:
        return wording.say("run_partial", errors=run.errors, requests=run.requests)
    if run.verdict is Verdict.PARTIAL:
        return wording.say("run_partly", time=wording.short_time(run.finished))
    return wording.say("run_ok", time=wording.short_time(run.finished))


def _structure(tender: Tender) -> dict[str, Any]:
    return {name: _fit(value) for name, value in tender.as_dict().items() if name not in _UNSTRUCTURED}


def _structure_source(source: Source) -> dict[str, Any]:
    return {**source.as_dict(), "url": web_address(source.url)}


def _fit(value: Any) -> Any:
    """A JSON value with clean texts, and none so long that one entry fills a feed."""
    if isinstance(value, str):
        return clip(scrub(value), 1000)
    if isinstance(value, Mapping):
        return {key: _fit(part) for key, part in value.items()}
    if isinstance(value, Sequence):
        return [_fit(part) for part in value[:_MOST_ITEMS]]
    return value
