"""The national blacklist of suppliers (daftar hitam, LKPP): the spider, and its pure readers.

One GraphQL address answers the whole list page by page. An answer may be an error with a status of 200, so what was
announced is counted. Tax numbers and addresses are not asked for; where they come all the same they are dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from scrapy.http import Response

from aggregator.config import Portal
from aggregator.models import ONE_LIST, Kind, Listing, Money, Reading, Sanction, Status, Tender
from aggregator.verdicts import Problem
from spiders.contract import ListContract, ListOptions
from spiders.news import check_time
from spiders.options import parse_options
from spiders.portal import PortalSpider, Unavailable
from spiders.reading import ShapeError, clean_text, fingerprint, parse_json, strictly

PER_PAGE = 100  # entries asked for at a time; whatever number comes is accepted
PUBLIC_PAGE = "https://daftar-hitam.inaproc.id/blacklist/{}"
HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "x-gtp-app": "blacklist"}
QUERY = """\
query GetBlacklists($input: BlacklistsInput) {
  blacklists(input: $input) {
    blacklists {
      ... on Blacklist {
        id skNumber status startDate expiredDate publishDate
        tender { name packageId pagu }
        provider { name }
        correspondence { kldi { name } satker { name } }
        violation { name description }
      }
    }
    pagination { ... on Pagination { pageNumber totalPage totalData } }
  }
}"""

# What a status means, in any case and with _ or - for a space. ACTIVE: in force between its two dates. A sanction that
# is put off (by a court, say) is in force for nobody, as one that is lifted: cancelled. Nobody guesses any other word.
STATUSES: Mapping[str, Status] = {
    "active": Status.ACTIVE,
    "published": Status.ACTIVE,
    "reactivated": Status.ACTIVE,
    "aktif": Status.ACTIVE,
    "aktif kembali": Status.ACTIVE,
    "aktif publish": Status.ACTIVE,
    "tayang": Status.ACTIVE,
    "expired": Status.COMPLETE,
    "finished": Status.COMPLETE,
    "kedaluwarsa": Status.COMPLETE,
    "selesai": Status.COMPLETE,
    "turun tayang": Status.COMPLETE,
    "cancelled": Status.CANCELLED,
    "canceled": Status.CANCELLED,
    "revoked": Status.CANCELLED,
    "batal": Status.CANCELLED,
    "dibatalkan": Status.CANCELLED,
    "pembatalan": Status.CANCELLED,
    "dicabut": Status.CANCELLED,
    "postponed": Status.CANCELLED,
    "suspended": Status.CANCELLED,
    "ditunda": Status.CANCELLED,
    "penundaan": Status.CANCELLED,
}
_COLUMNS: Mapping[str, frozenset[str]] = {
    "": frozenset({
        "id", "skNumber", "status", "startDate", "expiredDate", "publishDate", "tender", "provider", "correspondence",
        "violation",
    }),
    "tender": frozenset({"name", "packageId", "pagu"}),
    "provider": frozenset({"name"}),
    "correspondence": frozenset({"kldi", "satker"}),
    "correspondence.kldi": frozenset({"name"}),
    "correspondence.satker": frozenset({"name"}),
    "violation": frozenset({"name", "description"}),
}  # fmt: skip
_DROPPED = frozenset({"npwp", "nib", "address", "additionalAddress", "__typename"})  # a person's, or of no meaning
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?")
_AMOUNT = re.compile(r"\d{1,15}(\.\d{1,4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the list, its words as the source has them. ``meaning``: what its ``word`` of a status means;
    None for a word nobody knows. ``ends`` is the first moment without the sanction. ``package`` and ``package_id`` are
    the purchase at which the supplier went wrong, ``unknown`` columns and words that have none here.
    """

    key: str
    supplier: str
    decree: str | None
    word: str | None
    meaning: Status | None
    starts: datetime | None
    ends: datetime | None
    published: datetime | None
    buyer: str | None
    procuring_entity: str | None
    package: str | None
    package_id: str | None
    budget: Money | None
    violation: str | None
    explanation: str | None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its ``number``, and how many ``pages`` and entries (``total``) the source announces.

    ``size`` is the number of entries that came, ``broken`` those of them that cannot be read.
    """

    number: int | None
    pages: int
    total: int
    size: int
    entries: tuple[Entry, ...]
    broken: tuple[ShapeError, ...]


class BlacklistSpider(PortalSpider):
    """The whole list, at every sweep: it cannot be asked for what is new. ``portal.url`` is the GraphQL address."""

    name = "blacklist"
    kinds = (Kind.NOTICE,)

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        parse_options(ListOptions, portal)

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        options = parse_options(ListOptions, self.portal)
        check = ListContract(one="entry")
        try:
            async for page in self._pages():
                kept = list(accept_page(check, page))
                for entry in kept:
                    row = find_row(entry, self.task.now)
                    known = self.task.known.get((Kind.NOTICE, entry.key))
                    if known is None or known.row != row:
                        yield self._read(entry, row)
                yield Listing(kind=Kind.NOTICE, year=ONE_LIST, keys=tuple(entry.key for entry in kept))
                if check.deaf:
                    break
            else:
                check.ended = self.task.limit is None
        except (Unavailable, ShapeError) as error:
            self.give_up("listing", "the list", error)
        for problem in check.find_problems(options.stale_after, self.task.now):
            self.tally.report(problem)
        if check.is_kept:
            yield Listing(kind=Kind.NOTICE, year=ONE_LIST, complete=True)

    async def _pages(self) -> AsyncIterator[Page]:
        """All pages, until what was announced has come or a page is empty; no entry beyond the limit."""
        limit = self.task.limit
        number, received, announced = 1, 0, None
        while limit is None or received < limit:
            page = parse_page((await self._ask(number)).body, self.portal.zone)
            if page.number not in (None, number):
                raise ShapeError(f"asked for page {number}, got page {page.number}")
            announced = page.total if announced is None else announced
            if page.total > announced + PER_PAGE:
                raise ShapeError(f"the total grows while it is read: {announced}, then {page.total}")
            if not page.size:
                return
            yield page if limit is None else replace(page, entries=page.entries[: limit - received])
            received += page.size
            if number >= page.pages and received >= page.total:
                return
            number += 1

    async def _ask(self, number: int) -> Response:
        rows = PER_PAGE if self.task.limit is None else min(PER_PAGE, self.task.limit)
        body = render_question(number, rows)
        return await self.fetch(self.portal.url, method="POST", headers=HEADERS, body=body)

    def _read(self, entry: Entry, row: bytes) -> Reading:
        for text in entry.unknown:
            self.tally.report(Problem("unknown_label", text, entry.key))
        return Reading(tender=make_tender(self.portal.id, entry, self.task.now), row=row)


def accept_page(check: ListContract, page: Page) -> Iterator[Entry]:
    """The entries of one more page that may be kept: each id once."""
    check.note_page(page.size, page.total, page.broken)
    check.note_repeat({entry.key for entry in page.entries}, page.size)
    for entry in page.entries:
        if check.take(entry.key):
            check.note_newest(entry.published)
            yield entry


# Reading, pure ---------------------------------------------------------------------------------------


def render_question(number: int, rows: int) -> bytes:
    """The question for page ``number`` (from 1 on) of ``rows`` entries, always in the same bytes."""
    question = {
        "operationName": "GetBlacklists",
        "query": QUERY,
        "variables": {"input": {"filter": {}, "pagination": {"pageNumber": number, "perPage": rows}}},
    }
    return json.dumps(question).encode()


def parse_page(body: bytes, zone: ZoneInfo) -> Page:
    """One answer; times without a zone are in ``zone``. A broken entry breaks no other.

    ShapeError for another answer, for GraphQL errors, and where not a single entry can be read. Samples never show
    more than one value: an entry may hold what must not be kept.
    """
    try:
        answer = parse_json(body, "no JSON where a page of the list was due")
    except ShapeError as error:
        raise ShapeError(str(error), "" if body.lstrip().startswith((b"{", b"[")) else error.sample) from error
    if not isinstance(answer, dict):
        raise ShapeError("an answer that is no object")
    if answer.get("errors"):
        raise ShapeError("the source answers with an error", _error_text(answer["errors"]))
    rows, told = _find(answer, "data", "blacklists", "blacklists"), _find(answer, "data", "blacklists", "pagination")
    if not isinstance(rows, list) or not isinstance(told, dict):
        raise ShapeError("no list of blacklists with its pagination in the answer", ", ".join(map(str, answer)))
    entries, broken = [], []
    for row in rows:
        try:
            with strictly("an entry"):
                entries.append(parse_entry(row, zone))
        except ShapeError as error:
            broken.append(error)
    if broken and not entries:
        raise broken[0]
    number = None if told.get("pageNumber") is None else _count(told, "pageNumber")
    return Page(number, _count(told, "totalPage"), _count(told, "totalData"), len(rows), tuple(entries), tuple(broken))


def parse_entry(row: object, zone: ZoneInfo) -> Entry:
    """One entry. ShapeError without id or supplier, or with a value that is not what it should be."""
    if not isinstance(row, dict):
        raise ShapeError("an entry that is no object")
    key = _text(row, "id") or ""
    if not _KEY.fullmatch(key):
        raise ShapeError("an entry without an id that an address can hold", key)
    try:
        supplier = _text(row, "provider.name")
        if supplier is None:
            raise ShapeError("provider.name is missing")
        starts, ends = _time(row, "startDate", zone), _time(row, "expiredDate", zone)
        if starts and ends and ends <= starts:
            raise ShapeError("a sanction that ends before it begins", f"{starts} to {ends}")
        word = _text(row, "status")
        return Entry(
            key=key,
            supplier=supplier,
            decree=_text(row, "skNumber"),
            word=word,
            meaning=find_meaning(word),
            starts=starts,
            ends=ends,
            published=_time(row, "publishDate", zone),
            buyer=_text(row, "correspondence.kldi.name"),
            procuring_entity=_text(row, "correspondence.satker.name"),
            package=_text(row, "tender.name"),
            package_id=_text(row, "tender.packageId"),
            budget=_amount(row, "tender.pagu"),
            violation=_text(row, "violation.name"),
            explanation=_text(row, "violation.description"),
            unknown=tuple(_unknown(row, word)),
        )
    except ShapeError as error:
        raise ShapeError(f"{key}: {error}", error.sample) from error


def find_meaning(word: str | None) -> Status | None:
    """What the source's ``word`` of a status means; None for one that nobody knows. No word: its dates tell."""
    return STATUSES.get(re.sub(r"[\s_-]+", " ", word).casefold()) if word else Status.ACTIVE


def find_status(entry: Entry, now: datetime) -> Status | None:
    """Active while the sanction runs, planned before and complete after it; None where nobody can tell."""
    if entry.meaning is not Status.ACTIVE:
        return entry.meaning
    if entry.starts is None or entry.ends is None:
        return None
    if now < entry.starts:
        return Status.PLANNED
    return Status.ACTIVE if now < entry.ends else Status.COMPLETE


def make_tender(portal: str, entry: Entry, now: datetime) -> Tender:
    """The entry as a notice, as of ``now``."""
    reason = entry.violation or entry.explanation
    return Tender(
        portal=portal,
        kind=Kind.NOTICE,
        key=entry.key,
        title=f"Daftar hitam: {entry.supplier}",
        url=PUBLIC_PAGE.format(entry.key),
        description=_describe(entry),
        buyer=entry.buyer,
        procuring_entity=entry.procuring_entity,
        status=find_status(entry, now),
        stage=entry.word,
        budget=entry.budget,
        published=entry.published,
        sanctions=(
            Sanction(supplier=entry.supplier, decree=entry.decree, reason=reason, starts=entry.starts, ends=entry.ends),
        ),
    )


def find_row(entry: Entry, now: datetime) -> bytes:
    """The entry's fingerprint as of ``now``: moves with what is kept of it, and with its status as time passes."""
    tender = make_tender("", entry, now)
    return fingerprint([json.dumps(tender.as_dict(), sort_keys=True)])


def _describe(entry: Entry) -> str | None:
    """Violation, decision and purchase, in Indonesian as the list itself."""
    explanation = entry.explanation if entry.explanation != entry.violation else None
    package = " ".join(filter(None, (entry.package, f"({entry.package_id})" if entry.package_id else None)))
    parts = (("Pelanggaran: ", entry.violation), ("", explanation), ("Nomor SK: ", entry.decree), ("Paket: ", package))
    return " ".join(f"{label}{text.rstrip('.')}." for label, text in parts if text) or None


def _find(value: Any, *path: str) -> Any:
    """What stands at ``path``; None where a part of the way is missing or null. ShapeError where one is no object."""
    for name in path:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise ShapeError(f"{'.'.join(path)} stands in no object")
        value = value.get(name)
    return value


def _text(row: Mapping[str, Any], path: str) -> str | None:
    """Text or whole number as text; blank or a lone dash is None."""
    value = _find(row, *path.split("."))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ShapeError(f"{path} is no text")
    text = clean_text(str(value))
    return None if text in {"", "-"} else text


def _time(row: Mapping[str, Any], path: str, zone: ZoneInfo) -> datetime | None:
    """``2026-10-01`` or ``2026-10-01T00:00:00.000Z``, in ``zone``; a day alone is its first moment there."""
    text = _text(row, path)
    if text is None:
        return None
    if not _TIME.fullmatch(text):
        raise ShapeError(f"{path} is no time", text)
    try:
        time = check_time(datetime.fromisoformat(text))
    except ShapeError as error:
        raise ShapeError(f"{path}: {error}", error.sample) from error
    except ValueError as error:
        raise ShapeError(f"{path} is no time", text) from error
    return time.astimezone(zone) if time.tzinfo else time.replace(tzinfo=zone)


def _amount(row: Mapping[str, Any], path: str) -> Money | None:
    """Rupiah as a number, or a number as text; null or blank: none."""
    value = _find(row, *path.split("."))
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not _AMOUNT.fullmatch(str(value)):
        raise ShapeError(f"{path} is no amount", value if isinstance(value, str | int | Decimal) else "")
    return Money(Decimal(value))


def _count(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**9:
        raise ShapeError(f"pagination.{name} is no number", str(value)[:40])
    return value


def _unknown(row: Mapping[str, Any], word: str | None) -> Iterator[str]:
    """Columns and the status that have no word here; never the values of such columns."""
    if find_meaning(word) is None:
        yield f"status {(word or '')[:60]}"
    for path, columns in _COLUMNS.items():
        part = _find(row, *filter(None, path.split(".")))
        if isinstance(part, dict):
            strange = sorted(clean_text(name)[:60] for name in part if name not in columns | _DROPPED)
            yield from (f"column {path}.{name}".replace(" .", " ") for name in strange)


def _error_text(errors: object) -> str:
    """The messages of GraphQL's ``errors`` (specification, section 7.1.2), or as little as can be told of them."""
    if not isinstance(errors, list):
        return "errors that are no list"
    messages = [error.get("message") for error in errors if isinstance(error, dict)]
    return "; ".join(message for message in messages if isinstance(message, str))
