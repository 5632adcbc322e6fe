"""The World Bank's procurement notices of one country: the spider, and its pure readers.

One search address answers all of them, newest first, as JSON. It ignores parameters that it does not know with a
status of 200 and the whole corpus, so nothing of what was asked for is taken as granted.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from lxml import etree
from pydantic import Field

from aggregator.config import Portal
from aggregator.models import Category, Kind, Listing, Method, Reading, Status, Sweep, Tender
from aggregator.verdicts import Problem
from spiders.contract import ListContract, ListOptions
from spiders.options import parse_options
from spiders.portal import PortalSpider, Unavailable
from spiders.reading import ShapeError, clean_text, parse_fragment, parse_json, parse_time, strictly

ROWS = 100  # rows asked for at a time; whatever number comes is accepted
PUBLIC_PAGE = "https://projects.worldbank.org/en/projects-operations/procurement-detail/{}"

CATEGORIES: Mapping[str, tuple[Category, str]] = {
    "GO": (Category.GOODS, "Goods"),
    "CW": (Category.WORKS, "Civil Works"),
    "CS": (Category.CONSULTING, "Consulting Services"),
    "NC": (Category.SERVICES, "Non-Consulting Services"),
}
# Consultants are chosen among those shortlisted after a call for interest: selective.
METHODS: Mapping[str, Method] = {
    "Request for Bids": Method.OPEN,
    "International Competitive Bidding": Method.OPEN,
    "National Competitive Bidding": Method.OPEN,
    "Request for Proposals": Method.SELECTIVE,
    "Quality And Cost-Based Selection": Method.SELECTIVE,
    "Quality Based Selection": Method.SELECTIVE,
    "Fixed Budget Selection": Method.SELECTIVE,
    "Least Cost Selection": Method.SELECTIVE,
    "Consultant Qualification Selection": Method.SELECTIVE,
    "Individual Consultant Selection": Method.SELECTIVE,
    "Individual": Method.SELECTIVE,
    "Request for Quotations": Method.LIMITED,
    "Limited International Bidding": Method.LIMITED,
    "Shopping": Method.LIMITED,
    "Direct Selection": Method.DIRECT,
    "Direct Contracting": Method.DIRECT,
    "Single Source Selection": Method.DIRECT,
}
# What a notice of a type says of its process; a call is open until its deadline.
NOTICE_TYPES: Mapping[str, Status] = {
    "General Procurement Notice": Status.PLANNED,
    "Specific Procurement Notice": Status.ACTIVE,
    "Invitation for Bids": Status.ACTIVE,
    "Invitation for Prequalification": Status.ACTIVE,
    "Request for Expression of Interest": Status.ACTIVE,
    "Contract Award": Status.COMPLETE,
    "Small Contracts Award": Status.COMPLETE,
}
_STATUSES: Mapping[str, Status | None] = {
    "": None,
    "Published": None,
    "Cancelled": Status.CANCELLED,
    "Canceled": Status.CANCELLED,
}
_COLUMNS = frozenset(
    {
        *("id", "notice_type", "noticedate", "notice_lang_name", "notice_status", "notice_text"),
        *("submission_date", "submission_deadline_date", "submission_deadline_time"),
        *("project_ctry_name", "project_id", "project_name", "bid_reference_no", "bid_description"),
        *("procurement_group", "procurement_method_code", "procurement_method_name"),
    }
)
_CONTACT = "contact_"  # people's names, addresses and telephones: never kept
_BLOCKS = ("address", "br", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "p", "td", "th", "tr")


class Options(ListOptions):
    """``country`` as the source spells it; ``stale_after``: the longest that no new notice is believed."""

    country: str = Field(default="Indonesia", min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One row, its values as the source words them. ``unknown``: columns and codes that have no word here."""

    key: str
    title: str
    country: str | None
    published: datetime | None
    type: str | None
    status: Status | None
    deadline: datetime | None
    category: str | None
    method: str | None
    description: str | None
    fingerprint: bytes
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the search: ``start`` and ``total`` as announced, ``broken``: the rows that could not be read."""

    start: int | None
    total: int | None
    size: int
    notices: tuple[Notice, ...]
    broken: tuple[ShapeError, ...]


class WorldBankSpider(PortalSpider):
    """The procurement notices of one country, ``https://search.worldbank.org/api/v2``."""

    name = "worldbank"
    kinds = (Kind.NOTICE,)

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        parse_options(Options, portal)

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        options = parse_options(Options, self.portal)
        check = ListCheck(country=options.country)
        try:
            async for page in self._pages(options.country):
                kept = list(check.accept(page))
                told = [notice for notice in kept if self._is_news(notice)]
                for notice in told:
                    yield self._read(notice)
                for year, keys in _by_year(kept).items():
                    yield Listing(kind=Kind.NOTICE, year=year, keys=keys)
                if check.deaf or (self.task.sweep is Sweep.OPEN and not told):
                    break
            else:
                check.ended = self.task.limit is None
        except (Unavailable, ShapeError) as error:
            self.give_up("listing", f"notices of {options.country}", error)
            check.failed = True
        for problem in check.find_problems(options.stale_after, self.task.now):
            self.tally.report(problem)
        if check.is_complete:
            for year in sorted(check.years):
                yield Listing(kind=Kind.NOTICE, year=year, complete=True)

    async def _pages(self, country: str) -> AsyncIterator[Page]:
        """Pages from the newest row on; advances by rows received, until a page is empty or the total has come.

        A full page that ends at the announced total is no end: the next one shows whether there are more.
        """
        start, full = 0, ROWS
        while self.task.limit is None or start < self.task.limit:
            rows = ROWS if self.task.limit is None else min(ROWS, self.task.limit - start)
            page = parse_page((await self.fetch(self._address(country, start, rows))).body, self.portal.zone)
            if page.start not in (None, start):
                raise ShapeError(f"asked for rows from {start} on, got those from {page.start} on")
            if page.size:
                yield page
            reached = page.total is not None and start + page.size >= page.total
            if not page.size or (reached and (page.size < full or start >= (page.total or 0))):
                return
            if start == 0:
                full = min(full, page.size)
            start += page.size

    def _address(self, country: str, start: int, rows: int) -> str:
        query = {
            "format": "json",
            "rows": rows,
            "os": start,
            "srt": "noticedate",
            "order": "desc",
            "project_ctry_name": country,
        }
        return f"{self.portal.url.rstrip('/')}/procnotices?{urlencode(query)}"

    def _is_news(self, notice: Notice) -> bool:
        """New, different from what is stored, or open there while its deadline has passed."""
        known = self.task.known.get((Kind.NOTICE, notice.key))
        if known is None or known.row != notice.fingerprint:
            return True
        return known.active and find_status(notice, self.task.now) is not Status.ACTIVE

    def _read(self, notice: Notice) -> Reading:
        for text in notice.unknown:
            self.tally.report(Problem("unknown_label", text, notice.key))
        tender = make_tender(self.portal.id, notice, self.task.now)
        return Reading(tender=tender, row=notice.fingerprint)


@dataclass(slots=True, kw_only=True)
class ListCheck(ListContract):
    """Asserts the search's contract: rows of the country asked for, besides what every list is held to."""

    country: str
    failed: bool = False
    years: set[int] = field(default_factory=set)

    def accept(self, page: Page) -> Iterator[Notice]:
        """The rows that may be kept: of the country asked for, each key once."""
        self.note_page(page.size, page.total, page.broken)
        foreign = [notice for notice in page.notices if notice.country != self.country]
        for notice in foreign:
            self.tell("filter", f"rows not of {self.country} left out", f"{notice.key} of {notice.country}")
        if 2 * len(foreign) > len(page.notices):
            self.deaf = True
            self.tell("listing", f"the filter project_ctry_name={self.country} is ignored")
        elif page.total is None or self.received < page.total:
            self.note_repeat({notice.key for notice in page.notices}, page.size)
        for notice in page.notices:
            if self.take(notice.key):
                self.note_order(notice.published, notice.key)
                if notice.country == self.country:
                    self.note_newest(notice.published)
                    self.years |= {notice.published.year} if notice.published else set()
                    yield notice

    @property
    def is_complete(self) -> bool:
        return self.is_kept and not self.failed


# Reading, pure ---------------------------------------------------------------------------------------


def parse_page(body: bytes, zone: ZoneInfo) -> Page:
    """One answer of the search; times in ``zone``. ShapeError where it is none; a broken row breaks no other."""
    answer = parse_json(body, "no JSON where a page of notices was due")
    rows = answer.get("procnotices") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ShapeError("no list procnotices in the answer", body[:200].decode("utf-8", "replace"))
    notices, broken = [], []
    for row in rows:
        try:
            with strictly("a row"):
                notices.append(parse_notice(row, zone))
        except ShapeError as error:
            broken.append(error)
    return Page(_count(answer, "os"), _count(answer, "total"), len(rows), tuple(notices), tuple(broken))


def parse_notice(row: object, zone: ZoneInfo) -> Notice:
    """One row. ShapeError for a row without id or title, or with a value that is not what it should be."""
    if not isinstance(row, dict):
        raise ShapeError("a row that is no object", row)
    told = {name: value for name, value in row.items() if not name.startswith(_CONTACT)}
    texts = {name: _text(told, name) for name in _COLUMNS}
    key, title = texts["id"], texts["bid_description"] or texts["project_name"] or texts["notice_type"]
    if not re.fullmatch(r"[A-Za-z0-9]{1,40}", key):
        raise ShapeError("a row without an id", json.dumps(told))
    if not title:
        raise ShapeError(f"{key}: no bid_description, project_name or notice_type", json.dumps(told))
    try:
        published = parse_time(texts["noticedate"], zone)
        deadline = _deadline(texts["submission_deadline_date"], texts["submission_deadline_time"], zone)
    except ShapeError as error:
        raise ShapeError(f"{key}: {error}", error.sample) from error
    return Notice(
        key=key,
        title=title,
        country=texts["project_ctry_name"] or None,
        published=published,
        type=texts["notice_type"] or None,
        status=_STATUSES.get(texts["notice_status"]),
        deadline=deadline,
        category=texts["procurement_group"] or None,
        method=texts["procurement_method_name"] or None,
        description=_describe(texts),
        fingerprint=_fingerprint(told),
        unknown=tuple(_unknown(told, texts)),
    )


def find_status(notice: Notice, now: datetime) -> Status | None:
    """A call is active until its deadline and complete after it; without a deadline nobody can tell."""
    status = notice.status or NOTICE_TYPES.get(notice.type or "")
    if status is not Status.ACTIVE:
        return status
    if notice.deadline is None:
        return None
    return Status.ACTIVE if now <= notice.deadline else Status.COMPLETE


def make_tender(portal: str, notice: Notice, now: datetime) -> Tender:
    """The notice in Warta's words, as of ``now``."""
    category, category_detail = CATEGORIES.get(notice.category or "", (None, notice.category))
    return Tender(
        portal=portal,
        kind=Kind.NOTICE,
        key=notice.key,
        title=notice.title,
        url=PUBLIC_PAGE.format(notice.key),
        description=notice.description,
        category=category,
        category_detail=category_detail,
        method=METHODS.get(notice.method or ""),
        method_detail=notice.method,
        status=find_status(notice, now),
        stage=notice.type,
        published=notice.published,
        deadline=notice.deadline,
        locations=(notice.country,) if notice.country else (),
    )


def parse_markup(markup: str) -> str:
    """HTML as plain text on one line: words of neighbouring blocks kept apart, scripts and styles left out."""
    walk = etree.iterwalk(parse_fragment(markup), events=("start", "end"))
    parts: list[str] = []
    for event, element in walk:  # once: a gap put into the tree costs a look at all neighbours
        gap = " " if element.tag in _BLOCKS else ""
        if event == "end":
            parts += [gap, element.tail or ""]
        elif element.tag in ("script", "style", "template"):
            walk.skip_subtree()
        else:
            parts += [gap, element.text or ""]
    return clean_text("".join(parts))


def _describe(texts: Mapping[str, str]) -> str | None:
    """Project and reference, which no other field has room for, and the notice's own text."""
    project = " ".join(filter(None, (texts["project_name"], texts["project_id"] and f"({texts['project_id']})")))
    parts = (
        project and f"Project: {project}.",
        texts["bid_reference_no"] and f"Reference: {texts['bid_reference_no']}.",
        parse_markup(texts["notice_text"]),
    )
    return " ".join(filter(None, parts)) or None


def _deadline(day: str, clock: str, zone: ZoneInfo) -> datetime | None:
    """``2026-10-28T00:00:00Z`` and ``10:00``: a day and a time on the buyer's clock. Without a time: the day's end."""
    if not day:
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(T00:00:00(\.0+)?Z)?", day):
        raise ShapeError("a submission_deadline_date that is no day", day)
    if not re.fullmatch(r"(\d{1,2}:\d\d(:\d\d)?)?", clock):
        raise ShapeError("a submission_deadline_time that is no time", clock)
    try:
        at = time.fromisoformat(clock if clock[2:3] == ":" else f"0{clock}") if clock else time(23, 59)
        return datetime.combine(date.fromisoformat(day[:10]), at, tzinfo=zone)
    except ValueError as error:
        raise ShapeError("a submission deadline that is no time", f"{day} {clock}") from error


def _unknown(row: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[str]:
    yield from (f"column {clean_text(name)[:60]}" for name in row if name not in _COLUMNS)
    for name, known in (
        ("procurement_group", CATEGORIES),
        ("procurement_method_name", METHODS),
        ("notice_type", NOTICE_TYPES),
        ("notice_status", _STATUSES),
    ):
        if texts[name] and texts[name] not in known:
            yield f"{name} {texts[name][:60]}"


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ShapeError(f"{name} is no text", json.dumps(value))
    return clean_text(value)


def _count(answer: Mapping[str, Any], name: str) -> int | None:
    """``"412480"`` or ``412480``; None where the page does not say."""
    value = answer.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value)):
        raise ShapeError(f"{name} is no number", json.dumps(value))
    return int(value)


def _fingerprint(row: Mapping[str, Any]) -> bytes:
    """Eight bytes that differ when a row does, whatever order its columns come in."""
    text = json.dumps(row, sort_keys=True, ensure_ascii=True)
    return blake2b(text.encode("ascii"), digest_size=8).digest()


def _by_year(notices: Sequence[Notice]) -> dict[int | None, tuple[str, ...]]:
    """Keys by the year of their notice date, which is the listing that they stand in."""
    keys: dict[int | None, list[str]] = {}
    for notice in notices:
        keys.setdefault(notice.published.year if notice.published else None, []).append(notice.key)
    return {year: tuple(found) for year, found in keys.items()}
