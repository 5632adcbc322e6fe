"""The pages of the site: what stands on each, and its HTML. Pure: the same input gives the same bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from aggregator.config import Config, Portal
from aggregator.models import Record, Verdict
from aggregator.repository import LastRuns
from feeds.addresses import ENGLISH, embed_path
from feeds.attribution import find_attribution
from feeds.definitions import Channel, Feed, Format, Group
from feeds.entries import Entry, run_entry
from feeds.listing import Identity, OpenList, Row, make_row
from feeds.narrowing import Narrowing
from feeds.opml import make_title
from feeds.templates import Templates
from feeds.wording import Wording

SITE = Path(__file__).parent / "site"
ASSETS = (
    "style.css",
    "site.js",
    "icon.svg",
    "embed.js",
    "embed-page.js",
    "embed.css",
    "figures.css",
    "tender.css",
    "cari.js",
    "cari-find.js",
    "cari-narrow.js",
)

PREVIEW = 15  # entries on the page of a feed
MOST_LINES = 3  # portals told one by one above the list; the status page tells all
MOST_TURNS = 10  # failures and recoveries on the status page

_WORST_FIRST = (None, Verdict.BLOCKED, Verdict.FAILED, Verdict.PARTIAL, Verdict.OK)
DISCOVERED = ("semua", "perubahan")  # what feed readers find on pages that are not about one feed


@dataclass(frozen=True, slots=True)
class Card:
    """A published feed as other pages name it; ``count``: the packages it is about, None where it tells news."""

    feed: Feed
    count: int | None


@dataclass(frozen=True, slots=True)
class PortalState:
    """A portal and its last runs; ``told`` is the last one in words."""

    portal: Portal
    runs: LastRuns | None
    told: str

    @property
    def verdict(self) -> Verdict | None:
        return self.runs.last.verdict if self.runs else None

    @property
    def is_bad(self) -> bool:
        return self.verdict not in {Verdict.OK, Verdict.PARTIAL}

    @property
    def read(self) -> datetime | None:
        """When it was last read well, in its own zone."""
        good = self.runs.good if self.runs else None
        return good.finished.astimezone(self.portal.zone) if good else None

    @property
    def late(self) -> datetime | None:
        """From when on the last reading is old: the reader's browser tells, for a static page cannot know."""
        return self.read and self.read + max(timedelta(days=1), 3 * self.portal.every)


@dataclass(frozen=True, slots=True)
class Site:
    """One edition of the site: its templates, and what every page knows.

    ``config`` is in the edition's language. ``prefix`` is the folder of the edition: empty for the publisher's own
    language. ``twin`` is the folder of the edition in the other language, None where there is none.
    """

    config: Config
    templates: Environment
    prefix: str = ""
    twin: str | None = None

    def render(self, template: str, path: str, **values: Any) -> bytes:
        """The page at ``path``, told from the top of the edition."""
        return self._render(template, "../" * path.count("/"), path, **values)

    def render_anywhere(self, template: str, root: str, **values: Any) -> bytes:
        """A page for any address; ``root`` leads from there to the top of the edition: ``../`` for every step."""
        return self._render(template, root, None, **values)

    def _render(self, template: str, root: str, path: str | None, **values: Any) -> bytes:
        top = root + "../" * self.prefix.count("/")
        twin = None if self.twin is None or path is None else f"{top}{self.twin}{path}"
        base = self.config.publisher.url
        page = self.templates.get_template(template).render(
            root=root,
            top=top,
            twin=twin,
            address=None if path is None else f"{base}{self.prefix}{path}",
            twin_address=None if twin is None else f"{base}{self.twin}{path}",
            **values,
        )
        return page.encode("utf-8", "replace")


def load_sites(config: Config, *, sample: bool) -> list[Site]:
    """The editions to publish: the publisher's own language first, then English where ``publish.english`` asks for it.

    ``sample`` marks all pages as made-up data.
    """
    own = load_site(config, sample=sample)
    if not config.publish.english or config.publisher.language == "en":
        return [own]
    publisher = config.publisher.model_copy(update={"language": "en"})
    english = load_site(config.model_copy(update={"publisher": publisher}), sample=sample)
    return [replace(own, twin=ENGLISH), replace(english, prefix=ENGLISH, twin="")]


def load_site(config: Config, *, sample: bool) -> Site:
    """The templates in the publisher's language; ``sample`` marks all pages as made-up data."""
    publisher = config.publisher
    is_indonesian = publisher.language == "id"
    templates = Templates(
        0 if is_indonesian else 1,
        loader=FileSystemLoader(SITE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters["number"] = lambda number: format_decimal(number, locale=publisher.language)
    templates.globals.update(
        t=lambda indonesian, english: indonesian if is_indonesian else english,
        wording=Wording(publisher.language, ZoneInfo(publisher.timezone)),
        format_day=lambda day, pattern: format_date(day, pattern, locale=publisher.language),
        publisher=publisher,
        site_title=make_title(publisher),
        sample=sample,
    )
    return Site(config, templates)


def tell_portals(config: Config, runs: Mapping[str, LastRuns]) -> list[PortalState]:
    """Every portal that is read, worst first."""
    states = [_tell_portal(portal, runs.get(portal.id), config) for portal in config.portal if portal.enabled]
    return sorted(states, key=lambda state: (_WORST_FIRST.index(state.verdict), state.portal.name))


def _tell_portal(portal: Portal, runs: LastRuns | None, config: Config) -> PortalState:
    if runs is None:
        return PortalState(portal, None, "")
    last_success = runs.good.finished if runs.good else None
    return PortalState(portal, runs, run_entry(runs.last, portal, config.publisher, last_success).summary)


def list_path(number: int) -> str:
    """Page ``number`` (from 1) of the open packages."""
    return "index.html" if number == 1 else f"paket/{number}.html"


def render_list(
    site: Site,
    listed: OpenList,
    number: int,
    states: Sequence[PortalState],
    cards: Sequence[Card],
    notes: Mapping[Identity, str],
    narrowing: Narrowing,
) -> bytes:
    """Page ``number`` (from 1) of the open packages; ``notes`` tell what changed last. Reading times stand on the
    first page only, so that the others stay as they are while no package changes."""
    portals = {portal.id: portal for portal in site.config.portal}
    language = site.config.publisher.language
    sections: list[tuple[Any, list[Row]]] = []
    for section in listed.pages[number - 1]:
        noted = ((record, find_note(record, notes)) for record in section.records)
        sections.append((section, [make_row(record, portals, language, note) for record, note in noted]))
    before = sum(len(section.records) for page in listed.pages[: number - 1] for section in page)
    return site.render(
        "list.html",
        list_path(number),
        listed=listed,
        sections=sections,
        number=number,
        first=before + 1,
        last=before + sum(len(rows) for _, rows in sections),
        states=states if number == 1 else (),
        most_lines=MOST_LINES,
        narrowing=narrowing,
        addresses=list_formats(site, "feeds/semua.{form}"),
        news=[card.feed for card in cards if card.feed.group is Group.GENERAL and card.feed.id != "semua"],
        discover=_discovered(cards),
    )


def list_formats(site: Site, path: str) -> list[tuple[str, str]]:
    """The four forms of a feed as they are called, each with its place in the tree: ``path`` with its ``{form}``."""
    calendar = "Kalender" if site.config.publisher.language == "id" else "Calendar"
    names = {Format.RSS: "RSS", Format.ATOM: "Atom", Format.JSON: "JSON", Format.CALENDAR: calendar}
    return [(name, path.replace("{form}", form)) for form, name in names.items()]


def find_note(record: Record, notes: Mapping[Identity, str]) -> str:
    """The last change that one of the purchase's sources told."""
    tellers = [record.tender.identity, *((source.portal, source.kind, source.key) for source in record.sources)]
    return next((note for identity, note in notes.items() if identity in tellers), "")


def render_catalogue(site: Site, cards: Sequence[Card]) -> bytes:
    """All feeds, by group."""
    return site.render("catalogue.html", "feeds/index.html", groups=_group(cards), discover=_discovered(cards))


def render_feed_page(
    site: Site, channel: Channel, entries: Sequence[Entry], count: int | None, others: Sequence[Feed]
) -> bytes:
    """The page of one feed: how to subscribe, and what a reader shows. ``others`` are feeds named beside it."""
    address = channel.urls[Format.CALENDAR]
    return site.render(
        "feed.html",
        f"feeds/{channel.feed.id}.html",
        feed=channel.feed,
        feed_address=channel.urls[Format.RSS],
        embed_address=f"{site.config.publisher.url}{site.prefix}{embed_path(channel.feed.id)}",
        oembed_address=f"{site.config.publisher.url}{site.prefix}{embed_path(channel.feed.id, 'json')}",
        calendar=f"webcal{address[address.index(':') :]}",
        minutes=round(channel.ttl.total_seconds() / 60),
        entries=entries[:PREVIEW],
        more=len(entries[PREVIEW:]),
        count=count,
        others=[feed for feed in others if feed.id != channel.feed.id],
        discover=[channel.feed],
    )


@dataclass(frozen=True, slots=True)
class RunWeek:
    """How the readings of each portal, by its id, ended on each of some ``days``, oldest first."""

    days: Sequence[date]
    readings: Mapping[str, Sequence[Counter[Verdict]]]

    def of(self, portal: Portal) -> list[tuple[str, int]]:
        """For each day ``none``, ``ok``, ``partial`` or ``failed``, and how many readings there were."""
        return [(_judge(day), day.total()) for day in self.readings.get(portal.id, [Counter() for _ in self.days])]


def _judge(day: Counter[Verdict]) -> str:
    if day[Verdict.OK] == day.total():
        return "ok" if day else "none"
    return "partial" if day[Verdict.OK] + day[Verdict.PARTIAL] else "failed"


def render_status(
    site: Site, states: Sequence[PortalState], turns: Sequence[Entry], feed: Feed, week: RunWeek
) -> bytes:
    """When portals were read and what failed; ``turns`` are the entries of ``feed``, the feed of failures."""
    asked = ((state.portal, find_attribution(state.portal, (), state.read)) for state in states if state.read)
    since: dict[str, datetime] = {}
    for turn in turns:  # the newest first
        since.setdefault(turn.structured["portal"], turn.published)
    return site.render(
        "status.html",
        "status.html",
        states=states,
        since={state.portal.id: since.get(state.portal.id) for state in states if state.is_bad},
        read=max((state for state in states if state.read), key=lambda state: state.read or 0, default=None),
        week=week,
        turns=turns[:MOST_TURNS],
        credits=[(portal, found) for portal, found in asked if found],
        discover=[feed],
    )


def render_error(site: Site, status: int, root: str, told: str = "") -> bytes:
    """What is shown for an HTTP ``status`` of 400 or more; ``told`` says what was wrong with a search."""
    return site.render_anywhere("error.html", root, status=status, told=told, portals=site.config.portal, discover=())


def render_status_json(
    states: Sequence[PortalState], channels: Sequence[tuple[Channel, int | None]], visits: Mapping[str, Any]
) -> bytes:
    """The same for programs: portals with their last run, feeds with the time of their newest change, and visits."""
    status = {
        "portals": [
            {
                "id": state.portal.id,
                "name": state.portal.name,
                "url": state.portal.url,
                "every": round(state.portal.every.total_seconds()),
                "verdict": state.verdict,
                "read": state.read.isoformat() if state.read else None,
                "last_run": state.runs.last.as_dict() if state.runs else None,
                "last_run_finished": state.runs.last.finished.isoformat() if state.runs else None,
            }
            for state in states
        ],
        "feeds": [
            {
                "id": channel.feed.id,
                "title": channel.feed.title,
                "page": channel.page_url,
                "list": urljoin(channel.page_url, f"../{channel.feed.list_path}"),
                "updated": channel.updated.isoformat(),
                "packages": count,
            }
            for channel, count in channels
        ],
        "visits": visits,
    }
    return json.dumps(status, ensure_ascii=False, indent=1).encode()


def _discovered(cards: Iterable[Card]) -> list[Feed]:
    return [card.feed for card in cards if card.feed.id in DISCOVERED]


def _group(cards: Iterable[Card]) -> list[tuple[Group, list[Card]]]:
    """By group, slices with most packages first; general feeds stay in their order."""
    groups = [(group, list(members)) for group, members in groupby(cards, lambda card: card.feed.group)]
    return [
        (group, members if group is Group.GENERAL else sorted(members, key=lambda card: -(card.count or 0)))
        for group, members in groups
    ]
