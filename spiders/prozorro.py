"""Prozorro, Ukraine's public procurement: the spider of its change feed, and its pure readers.

The feed tells only which tenders changed and when. It is walked from the newest change back to the last one known,
and then the tenders are read oldest change first, so that a run that breaks off leaves no gap behind it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from aggregator.config import Portal
from aggregator.models import (
    TENDER_FIELDS,
    Award,
    Category,
    Contract,
    Document,
    Kind,
    Listing,
    Method,
    Milestone,
    Money,
    Reading,
    Status,
    Sweep,
    Tender,
)
from aggregator.verdicts import Problem
from spiders.options import parse_options
from spiders.portal import PortalSpider, Unavailable
from spiders.reading import ShapeError, clean_text, parse_json, strictly

ROWS = 100  # changes asked for at a time
# A change may be committed after a later one, and stand below it in the feed: the source holds its feed back by a
# second for that. Reading on a little below the last change known costs nothing, as what is known is not read again.
HELD_BACK = timedelta(seconds=60)
MOMENT = timedelta(seconds=1)  # rows are ordered by when a change was published, a moment after its dateModified
PUBLIC_PAGE = "https://prozorro.gov.ua/tender/{}"

CATEGORIES: Mapping[str, Category] = {
    "goods": Category.GOODS,
    "services": Category.SERVICES,
    "works": Category.WORKS,
}
METHODS: Mapping[str, Method] = {method.value: method for method in Method}
_STATUSES: Mapping[str, Status] = {
    "draft": Status.PLANNED,
    "active": Status.ACTIVE,
    "complete": Status.COMPLETE,
    "cancelled": Status.CANCELLED,
    "unsuccessful": Status.UNSUCCESSFUL,
}
_COLUMNS = frozenset({"id", "dateModified"})
_PERIODS = ("enquiry_period", "tender_period", "auction_period", "award_period")
_IDENTITY = frozenset({"portal", "kind", "key", "unread", "incomplete"})

T = TypeVar("T", bound=BaseModel)
Text = Annotated[str, BeforeValidator(lambda value: clean_text(value) if isinstance(value, str) else value)]


class Options(BaseModel):
    """``days``: how far back a full sweep, and the first one, goes; None: to the feed's beginning, years ago."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int | None = Field(default=None, ge=1)


# What is kept of a tender's page: contact points, signatories and bids have no field here and are dropped. ---------


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class _Value(_Part):
    amount: Decimal = Field(gt=-(10**20), lt=10**20, max_digits=40)
    currency: str = Field(pattern="^[A-Z]{3}$")


class _Period(_Part):
    start_date: AwareDatetime | None = None
    end_date: AwareDatetime | None = None


class _Address(_Part):
    region: Text | None = None
    locality: Text | None = None


class _Named(_Part):
    name: Text = ""


class _Item(_Part):
    delivery_address: _Address | None = None


class _Result(_Part):
    """An award or a contract; ``date`` of an award, ``date_signed`` of a contract."""

    status: str = ""
    suppliers: tuple[_Named, ...] = ()
    value: _Value | None = None
    date: AwareDatetime | None = None
    date_signed: AwareDatetime | None = None


class _Cancellation(_Part):
    status: str = ""
    reason: Text | None = None


class _File(_Part):
    title: Text = ""
    url: str = ""


class _Plan(_Part):
    id: str


class _Page(_Part):
    id: str
    tender_id: str = Field(alias="tenderID")
    title: Text = Field(min_length=1)
    description: Text | None = None
    status: str
    main_procurement_category: str | None = None
    procurement_method: str | None = None
    procurement_method_type: str | None = None
    procuring_entity: _Named = _Named()
    value: _Value | None = None
    date_created: AwareDatetime | None = None
    enquiry_period: _Period | None = None
    tender_period: _Period | None = None
    auction_period: _Period | None = None
    award_period: _Period | None = None
    number_of_bids: int | None = None
    items: tuple[_Item, ...] = ()
    plans: tuple[_Plan, ...] = ()
    awards: tuple[_Result, ...] = ()
    contracts: tuple[_Result, ...] = ()
    cancellations: tuple[_Cancellation, ...] = ()
    documents: tuple[_File, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the feed. ``fingerprint``: the time in words, which the database gives back as known."""

    key: str
    time: datetime
    unknown: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> bytes:
        return self.time.isoformat().encode()


@dataclass(frozen=True, slots=True)
class Feed:
    """One page of the feed; ``offset`` asks for the next."""

    changes: tuple[Change, ...]
    offset: str


class ProzorroSpider(PortalSpider):
    """The tenders that changed lately, ``https://public-api.prozorro.gov.ua/api/2.5``."""

    name = "prozorro"
    kinds = (Kind.TENDER,)

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        parse_options(Options, portal)

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        options = parse_options(Options, self.portal)
        changes = await self._walk(self._floor(options))
        for key in self._to_retry(changes):
            yield await self._read(key, None)
        for change in reversed(changes):
            known = self.task.known.get((Kind.TENDER, change.key))
            if known is None or known.row != change.fingerprint:
                yield await self._read(change.key, change)

    def _floor(self, options: Options) -> datetime | None:
        """How far back the feed is walked: an open sweep goes to the last change known, or where none is, like full."""
        if self.task.sweep is Sweep.OPEN:
            times = [_known_time(known.row) for (kind, _), known in self.task.known.items() if kind is Kind.TENDER]
            last = max((time for time in times if time), default=None)
            if last:
                return last - HELD_BACK
        return self.task.now - timedelta(days=options.days) if options.days else None

    async def _walk(self, floor: datetime | None) -> list[Change]:
        """The changes since ``floor``, newest first. Raises what fetch and the parsers do: half a walk is none."""
        check = FeedCheck()
        try:
            return await self._walk_checked(floor, check)
        finally:
            for problem in sorted(check.problems, key=str):
                self.tally.report(problem)

    async def _walk_checked(self, floor: datetime | None, check: FeedCheck) -> list[Change]:
        offset = ""
        found: list[Change] = []
        while self.task.limit is None or len(found) < self.task.limit:
            feed = parse_feed((await self.fetch(self._address(offset))).body)
            kept = list(check.accept(feed.changes))
            found += [change for change in kept if floor is None or change.time >= floor]
            if not feed.changes:
                break
            if floor is not None and any(change.time < floor for change in feed.changes):
                if check.unsorted:
                    raise ShapeError("out of order, the feed does not tell where the changes last known begin")
                break
            if not kept or feed.offset == offset:
                raise ShapeError(f"the feed does not move on after offset {offset!r}", feed.offset)
            offset = feed.offset
        return found[: self.task.limit]

    def _address(self, offset: str) -> str:
        query: dict[str, str | int] = {"descending": 1, "limit": ROWS}
        if offset:
            query["offset"] = offset  # next_page.uri names another host
        return f"{self.portal.url.rstrip('/')}/tenders?{urlencode(query)}"

    def _to_retry(self, changes: Sequence[Change]) -> list[str]:
        """Tenders whose page could not be had and is due again, without those that the feed tells anyway."""
        told = {change.key for change in changes}
        return [
            key
            for (kind, key), known in self.task.known.items()
            if kind is Kind.TENDER and known.retry_at and known.retry_at <= self.task.now and key not in told
        ]

    async def _read(self, key: str, change: Change | None) -> Reading:
        """One tender. Where its page cannot be had it is kept as incomplete and asked for again."""
        url = f"{self.portal.url.rstrip('/')}/tenders/{key}"
        row = change.fingerprint if change else None
        try:
            body = (await self.fetch(url)).body
            with strictly("a tender"):
                tender = parse_tender(body, self.portal.id, key)
        except (Unavailable, ShapeError) as error:
            self.give_up("missing_page", url, error)
            unread = frozenset(TENDER_FIELDS) - _IDENTITY
            unread_tender = Tender(
                portal=self.portal.id, kind=Kind.TENDER, key=key, title=key, url=url, incomplete=True, unread=unread
            )
            return Reading(tender=unread_tender, row=row, missing=isinstance(error, ShapeError) or error.missing)
        for text in unknown_words(tender):
            self.tally.report(Problem("unknown_label", text, key))
        return Reading(tender=tender, row=row)


@dataclass(slots=True)
class FeedCheck:
    """Asserts the feed's contract: each tender once, newest change first, no column unknown."""

    unsorted: bool = False
    problems: set[Problem] = field(default_factory=set)
    _keys: set[str] = field(default_factory=set)
    _last: datetime | None = None

    def accept(self, changes: Sequence[Change]) -> Iterator[Change]:
        """The rows that are new."""
        for change in changes:
            self.problems |= {Problem("unknown_label", text) for text in change.unknown}
            if change.key in self._keys:
                self.problems.add(Problem("duplicate_key", "feed: a tender stands twice"))
                continue
            if self._last and change.time > self._last + MOMENT:
                self.unsorted = True
                self.problems.add(Problem("unsorted", "feed: changes are not told newest first as asked"))
            self._keys.add(change.key)
            self._last = min(change.time, self._last or change.time)
            yield change


# Reading, pure ---------------------------------------------------------------------------------------


def parse_feed(body: bytes) -> Feed:
    """One page of the feed. ShapeError where it is none; an empty one says that there is no more."""
    answer = _parse_json(body)
    rows = answer.get("data")
    if not isinstance(rows, list):
        raise ShapeError("no list data in the feed", _head(body))
    next_page = answer.get("next_page")
    offset = next_page.get("offset") if isinstance(next_page, dict) else None
    if rows and (not isinstance(offset, str | int | float | Decimal) or isinstance(offset, bool) or offset == ""):
        raise ShapeError("no next_page.offset after a page with rows", json.dumps(next_page, default=str))
    return Feed(tuple(_parse_change(row) for row in rows), str(offset or ""))


def parse_tender(body: bytes, portal: str, key: str) -> Tender:
    """One tender's page. ShapeError when it is none, or another tender's."""
    answer = _parse_json(body)
    page = _validate(_Page, answer.get("data"))
    if page.id != key:
        raise ShapeError(f"asked for {key}, got another tender", page.id)
    return Tender(
        portal=portal,
        kind=Kind.TENDER,
        key=key,
        title=page.title,
        url=PUBLIC_PAGE.format(page.tender_id),
        description=page.description or None,
        buyer=page.procuring_entity.name or None,
        category=CATEGORIES.get(page.main_procurement_category or ""),
        category_detail=page.main_procurement_category,
        method=METHODS.get(page.procurement_method or ""),
        method_detail=" ".join(filter(None, (page.procurement_method, page.procurement_method_type))) or None,
        status=_STATUSES.get(page.status.partition(".")[0]),
        stage=page.status,
        value=_money(page.value),
        published=page.date_created,
        deadline=page.tender_period.end_date if page.tender_period else None,
        locations=tuple(dict.fromkeys(filter(None, (_place(item.delivery_address) for item in page.items)))),
        plans=tuple(plan.id for plan in page.plans),
        cancellation_reason=next((c.reason for c in page.cancellations if c.status == "active"), None),
        participants=page.number_of_bids,
        milestones=tuple(_milestones(page)),
        awards=tuple(
            Award(supplier=_supplier(award), amount=_money(award.value), date=award.date)
            for award in page.awards
            if award.status == "active"
        ),
        contracts=tuple(
            Contract(supplier=_supplier(contract), amount=_money(contract.value), date=contract.date_signed)
            for contract in page.contracts
            if contract.status in ("active", "terminated")
        ),
        documents=tuple(Document(title=file.title, url=file.url) for file in page.documents if file.title and file.url),
    )


def unknown_words(tender: Tender) -> Iterator[str]:
    """The source's words that have no code here."""
    if tender.status is None:
        yield f"status {tender.stage}"
    if tender.category_detail and tender.category is None:
        yield f"mainProcurementCategory {tender.category_detail}"
    if tender.method_detail and tender.method is None:
        yield f"procurementMethod {tender.method_detail}"


class _Row(_Part):
    id: str = Field(pattern=r"^[0-9a-z]{1,64}$")
    date_modified: AwareDatetime


def _parse_change(row: object) -> Change:
    read = _validate(_Row, row)
    told: Mapping[str, Any] = row if isinstance(row, dict) else {}
    unknown = tuple(f"column {clean_text(name)[:60]}" for name in told if name not in _COLUMNS)
    return Change(read.id, read.date_modified, unknown)


def _parse_json(body: bytes) -> Mapping[str, Any]:
    """Amounts stay exact: numbers with a point are read as decimals."""
    answer = parse_json(body, "no JSON where it was due")
    if not isinstance(answer, dict):
        raise ShapeError("no JSON object where it was due", _head(body))
    return answer


def _validate(model: type[T], value: object) -> T:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "row"
        sample = "" if isinstance(first["input"], dict) else str(first["input"])  # a whole object holds people's names
        raise ShapeError(f"{where}: {first['msg']}", sample) from error


def _known_time(row: bytes | None) -> datetime | None:
    return datetime.fromisoformat(row.decode()) if row else None


def _head(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")


def _money(value: _Value | None) -> Money | None:
    """With two decimals where it has no more, so that 500 and 500.0 are the same."""
    if value is None:
        return None
    cents = value.amount.quantize(Decimal("0.01"))
    return Money(cents if cents == value.amount else value.amount, value.currency)


def _place(address: _Address | None) -> str | None:
    return ", ".join(filter(None, (address.region, address.locality))) or None if address else None


def _supplier(result: _Result) -> str | None:
    return ", ".join(filter(None, (supplier.name for supplier in result.suppliers))) or None


def _milestones(page: _Page) -> Iterator[Milestone]:
    for name in _PERIODS:
        period: _Period | None = getattr(page, name)
        if period and (period.start_date or period.end_date):
            yield Milestone(title=to_camel(name), starts=period.start_date, ends=period.end_date)
