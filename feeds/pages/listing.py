"""Packages as rows of words, and the open ones by the day they close: grouped, cut into pages. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from decimal import Decimal
from itertools import groupby
from typing import Literal
from zoneinfo import ZoneInfo

from aggregator.config import Portal
from aggregator.models import Event, Kind, Money, Record, Release, Status
from feeds.addresses import tender_path
from feeds.definitions import OPEN
from feeds.entries import MOST_TITLE
from feeds.pages.marks import Mark, find_chip
from feeds.words.headlines import tell_release
from feeds.words.sentences import name_category
from feeds.words.text import clip, plain
from feeds.words.wording import Language, Wording

PAGE_ROWS = 30  # keeps a page of them below 40 kB, even with long names
MOST_PAGES = 25  # who looks beyond 1,000 packages wants a slice
MOST_NAME = 200
MOST_NOTE = 160

# What a row tells of its last change: news for somebody who is about to bid.
NOTED = frozenset({Event.RETENDER, Event.RETURNED, Event.DEADLINE, Event.REGISTRATION, Event.VALUE, Event.BUDGET})

_WORTHLESS = (Kind.NOTICE, Kind.NEWS)

Identity = tuple[str, Kind, str]
Place = Literal["day", "undated", "past"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Packages that close on one day (``start`` is its midnight), have no day yet, or whose day is past.

    ``count`` is that of the whole section; on one page may stand only some of its ``records``.
    """

    place: Place
    start: datetime | None
    count: int
    records: Sequence[Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenList:
    """Packages that the portals call active. ``count``: those that can still be bid for, ``worth`` the sum of their
    HPS in IDR, ``closes`` the next deadline; ``undated``: those without a deadline yet; ``under_way``: those whose
    deadline has passed."""

    count: int
    undated: int
    under_way: int
    worth: Money
    closes: datetime | None
    pages: Sequence[Sequence[Section]]

    @property
    def total(self) -> int:
        return self.count + self.undated + self.under_way


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One package in words; all texts are plain, ``worth`` is empty for what has none.

    ``page`` is its path from the top of the edition, ``closes`` is in the portal's zone. ``is_open``: the portal calls
    it active, so that its deadline counts; ``told``: when it was announced, where it has no deadline to show.
    """

    title: str
    page: str
    unit: str
    sort: str
    worth_label: str
    worth: str
    closes: datetime | None
    closes_text: str
    is_registration: bool
    is_open: bool
    told: str
    chip: Mark | None
    is_retender: bool
    note: str


def list_open(records: Iterable[Record], now: datetime, zone: ZoneInfo) -> OpenList:
    """``records`` sorted by deadline: closing soonest first, then those without a day, then those whose day is past."""
    past: list[Record] = []
    coming: list[Record] = []
    undated: list[Record] = []
    worth = Decimal()
    for record in records:
        closes = _closes(record)
        if closes is not None and closes <= now:
            past.append(record)
        elif closes is None:
            undated.append(record)
        else:
            coming.append(record)
            if record.tender.value and record.tender.value.currency == "IDR":
                worth += record.tender.value.amount
    sections = [_section("day", group, start) for start, group in groupby(coming, lambda each: _day(each, zone))]
    sections += [_section("undated", undated), _section("past", reversed(past))]
    return OpenList(
        count=len(coming),
        undated=len(undated),
        under_way=len(past),
        worth=Money(worth),
        closes=_closes(coming[0]) if coming else None,
        pages=_cut(sections)[:MOST_PAGES],
    )


def _closes(record: Record) -> datetime | None:
    return record.tender.deadline or record.tender.registration_deadline


def _day(record: Record, zone: ZoneInfo) -> datetime | None:
    closes = _closes(record)
    return closes and datetime.combine(closes.astimezone(zone).date(), time.min, zone)


def _section(place: Place, records: Iterable[Record], start: datetime | None = None) -> Section:
    held = list(records)
    return Section(place=place, start=start, count=len(held), records=held)


def _cut(sections: Iterable[Section]) -> list[list[Section]]:
    """Pages of PAGE_ROWS rows, one page at least; a section that does not fit goes on on the next one."""
    pages: list[list[Section]] = [[]]
    room = PAGE_ROWS
    for section in sections:
        rest = section.records
        while rest:
            if not room:
                pages.append([])
                room = PAGE_ROWS
            held, rest = rest[:room], rest[room:]
            pages[-1].append(replace(section, records=held))
            room -= len(held)
    return pages


def make_row(record: Record, portals: Mapping[str, Portal], language: Language, note: str) -> Row:
    """``note`` tells the last change. The portal is named where there are several."""
    tender, portal = record.tender, portals[record.official_portal]
    wording = Wording(language, portal.zone)
    money = tender.value or tender.budget
    closes = _closes(record)
    method = plain(tender.method_detail or "") or (wording.name(tender.method) if tender.method else "")
    sort = (
        "" if tender.kind in OPEN.kind else wording.name(tender.kind),
        name_category(tender, wording),
        clip(method, MOST_NAME),
        _name_portals(record, portal, len(portals), wording),
    )
    return Row(
        title=clip(plain(tender.title) or tender.key, MOST_TITLE),
        page=tender_path(*tender.identity),
        unit=clip(plain(tender.procuring_entity or tender.buyer or ""), MOST_NAME),
        sort=" · ".join(filter(None, sort)),
        worth_label=wording.say("short_value" if tender.value or not money else "short_budget"),
        worth=wording.short_money(money) if money else "" if tender.kind in _WORTHLESS else wording.say("none"),
        closes=closes and closes.astimezone(portal.zone),
        closes_text=wording.short_time(closes) if closes else "",
        is_registration=tender.deadline is None and closes is not None,
        is_open=tender.status in {None, Status.ACTIVE},
        told="" if closes or not tender.published else wording.say("announced_on", date=wording.date(tender.published)),
        chip=find_chip(tender.status, tender.kind, wording),
        is_retender=tender.retender,
        note=note,
    )


def _name_portals(record: Record, portal: Portal, configured: int, wording: Wording) -> str:
    others = len(record.sources) - 1
    if others > 0:
        return wording.say("and_sources" if others > 1 else "and_source", portal=portal.name, count=others)
    return portal.name if configured > 1 else ""


def tell_last_changes(
    releases: Iterable[tuple[Release, Record]], portals: Mapping[str, Portal], language: Language
) -> dict[Identity, str]:
    """For each tender in ``releases`` (newest first) its last change in a line, with the day it was found."""
    notes: dict[Identity, str] = {}
    for release, record in releases:
        if record.tender.identity in notes:
            continue
        wording = Wording(language, portals[release.portal].zone)
        news = tell_release(release, record.tender, wording)
        told = news.headline if len(release.events) == 1 or not news.lines else news.lines[0].removesuffix(".")
        notes[record.tender.identity] = f"{clip(told, MOST_NOTE)} ({wording.date(release.time)})"
    return notes
