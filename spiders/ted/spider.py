"""TED, the European Union's public procurement notices: the spider of its search.

One search answers whole notices as JSON. Its word is not taken for what was asked: not for the filter, the order or
the total, and least of all for its token, which stays the same after the last page as before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from aggregator.config import Portal
from aggregator.models import ONE_LIST, Kind, Listing, Reading, Status, Sweep
from aggregator.verdicts import Problem
from spiders.contract import ListContract, ListOptions
from spiders.options import parse_options
from spiders.portal import PortalSpider, Unavailable
from spiders.reading import Refusal, ShapeError
from spiders.ted.notices import FIELDS, LANGUAGES, Notice, Page, find_status, make_tender, parse_page

ROWS = 100  # notices asked for at a time, of the 250 that the source allows
MOST_BY_PAGE = 15_000  # notices that the source gives by page number
ORDER = "SORT BY publication-date DESC"

# Empty fields are left out of a row; one of these in no row of a page has been renamed.
_NEVER_EMPTY = ("form-type", "notice-type", "buyer-country")
_TIMED_OUT = re.compile(rb'"timedOut"\s*:\s*true')


def _unsorted_query(query: str) -> str:
    if re.search(r"\bsort\s+by\b", query, re.IGNORECASE):
        raise ValueError("leave SORT BY out; the order is always by publication date, newest first")
    return query.strip()


class Options(ListOptions):
    """What to ask for. ``countries`` (ISO 3166 alpha-3, of the buyer) and ``days`` (since publication) narrow the
    expert ``query``, and unlike it are checked on every row. ``stale_after``: the longest silence that is believed.
    """

    query: Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_unsorted_query)]
    language: Literal[tuple(LANGUAGES)] = "eng"  # type: ignore[valid-type]  # one of a table
    countries: tuple[Annotated[str, Field(pattern="^[A-Z]{3}$")], ...] = ()
    days: int | None = Field(default=None, ge=1)
    scope: Literal["ACTIVE", "LATEST", "ALL"] = "ACTIVE"
    pagination: Literal["PAGE_NUMBER", "ITERATION"] = "PAGE_NUMBER"


class TedSpider(PortalSpider):
    """The notices that an expert query finds, ``https://api.ted.europa.eu/v3``."""

    name = "ted"
    kinds = (Kind.NOTICE,)

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        parse_options(Options, portal)

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        options = parse_options(Options, self.portal)
        check = ListCheck(options=options, now=self.task.now, one="notice", total_is_due=True)
        try:
            async for page in self._pages(options, check):
                kept = list(check.accept(page))
                told = [notice for notice in kept if self._is_news(notice)]
                for notice in told:
                    yield self._read(notice, options)
                yield Listing(kind=Kind.NOTICE, year=ONE_LIST, keys=tuple(notice.key for notice in kept))
                if check.deaf or (self.task.sweep is Sweep.OPEN and not told):
                    break
            else:
                check.ended = self.task.limit is None
            if check.ended and self.task.sweep is Sweep.FULL:
                async for reading in self._ask_for_missed(options, check):
                    yield reading
        except (Unavailable, ShapeError) as error:
            self.give_up("listing", "notices", error)
        for problem in check.find_problems(options.stale_after, self.task.now):
            self.tally.report(problem)

    async def _pages(self, options: Options, check: ListCheck) -> AsyncIterator[Page]:
        """Pages from the newest notice on, until the announced total has come or a page is empty.

        The token is no sign of the end: it stays non-empty after the last page.
        """
        query, token, number, received = write_query(options, self.task.now), None, 1, 0
        rows = min(ROWS, self.task.limit or ROWS)  # the same for every page: page numbers count in steps of it
        while self.task.limit is None or received < self.task.limit:
            paging: dict[str, Any] = {"page": number}
            if options.pagination == "ITERATION":
                paging = {"iterationNextToken": token} if token else {}
            elif number * rows > MOST_BY_PAGE:
                check.tell("short", f"the source gives {MOST_BY_PAGE} notices by page number, no more")
                return
            page = await self._ask(query, options, limit=rows, scope=options.scope, **paging)
            if not page.size:
                check.note_page(0, page.total, ())
                return
            if self.task.limit is not None:
                page = replace(page, notices=page.notices[: self.task.limit - received])
            yield page
            received, number, token = received + page.size, number + 1, page.token
            if page.total is not None and received >= page.total:
                return
            if options.pagination == "ITERATION" and not token:
                return

    async def _ask(self, query: str, options: Options, *, limit: int, scope: str, **paging: Any) -> Page:
        body = {
            "query": query,
            "fields": FIELDS,
            "limit": limit,
            "scope": scope,
            "paginationMode": "ITERATION" if "page" not in paging else "PAGE_NUMBER",
            **paging,
        }
        response = await self.fetch(
            f"{self.portal.url.rstrip('/')}/notices/search",
            method="POST",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=json.dumps(body),
            parse_refusal=find_refusal,
        )
        return parse_page(response.body, options.language, self.portal.zone)

    async def _ask_for_missed(self, options: Options, check: ListCheck) -> AsyncIterator[Reading]:
        """Calls that are known as open and stand in no page any more (out of the scope or the days) are asked for by
        number, so that they do not stay open for ever."""
        calls = {key for (kind, key), known in self.task.known.items() if kind is Kind.NOTICE and known.active}
        missed = sorted(calls - check.keys)
        for start in range(0, len(missed), ROWS):
            keys = missed[start : start + ROWS]
            query = f"publication-number IN ({' '.join(keys)}) {ORDER}"
            page = await self._ask(query, options, limit=ROWS, scope="ALL", page=1)
            check.note_broken(page.broken)
            for notice in page.notices:
                if notice.key not in keys:
                    check.tell("filter", "rows not asked for by number left out", notice.key)
                elif self._is_news(notice):
                    yield self._read(notice, options)

    def _is_news(self, notice: Notice) -> bool:
        """New, different from what is stored, or open there while its deadline has passed."""
        known = self.task.known.get((Kind.NOTICE, notice.key))
        if known is None or known.row != notice.fingerprint:
            return True
        return known.active and find_status(notice, self.task.now) is not Status.ACTIVE

    def _read(self, notice: Notice, options: Options) -> Reading:
        for text in notice.unknown:
            self.tally.report(Problem("unknown_label", text, notice.key))
        tender = make_tender(self.portal.id, notice, options.language, self.task.now)
        return Reading(tender=tender, row=notice.fingerprint)


@dataclass(slots=True, kw_only=True)
class ListCheck(ListContract):
    """Asserts the search's contract: rows of the countries and days asked for, no field gone, besides what every list
    is held to."""

    options: Options
    now: datetime

    def accept(self, page: Page) -> Iterator[Notice]:
        """The rows that may be kept. ShapeError where a field that every notice has is in none."""
        self.note_page(page.size, page.total, page.broken)
        if page.broken and not page.notices:
            raise page.broken[0]
        for name in _NEVER_EMPTY:
            if page.notices and not any(name in notice.fields for notice in page.notices):
                raise ShapeError(f"no row has the field {name}", ", ".join(sorted(page.notices[0].fields)))
        foreign = [notice for notice in page.notices if not self._is_asked_for(notice)]
        for notice in foreign:
            self.tell("filter", "rows that the query excludes left out", f"{notice.key} of {notice.day}")
        if 2 * len(foreign) > len(page.notices):
            self.deaf = True
            self.tell("listing", "countries or days asked for are ignored")
        else:
            self.note_repeat({notice.key for notice in page.notices}, page.size)
        for notice in page.notices:
            if self.take(notice.key):
                self.note_order(notice.day, notice.key)
                if self._is_asked_for(notice):
                    self.note_newest(notice.published)
                    yield notice

    def _is_asked_for(self, notice: Notice) -> bool:
        if self.options.countries and not {*notice.countries} & {*self.options.countries}:
            return False
        return self.options.days is None or notice.day >= _since(self.options.days, self.now)


# Reading, pure ---------------------------------------------------------------------------------------


def write_query(options: Options, now: datetime) -> str:
    """The expert query with what the options add, in the order that is asserted."""
    parts = [f"({options.query})"]
    if options.countries:
        parts.append(f"buyer-country IN ({' '.join(options.countries)})")
    if options.days:
        parts.append(f"publication-date >= {_since(options.days, now):%Y%m%d}")
    return f"{' AND '.join(parts)} {ORDER}"


def find_refusal(body: bytes) -> Refusal | None:
    """A search that timed out answers some of its rows with status 200: no answer, to be asked for again."""
    return Refusal.ERROR if _TIMED_OUT.search(body) else None


def _since(days: int, now: datetime) -> date:
    return (now.astimezone(UTC) - timedelta(days=days)).date()
