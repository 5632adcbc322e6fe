"""SiRUP: the spider. It reads a year's lists of plans to their end, and the pages of what is new or different."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from scrapy.http import Response

from aggregator.config import Portal
from aggregator.models import Kind, Listing, Reading, Tender
from aggregator.verdicts import Problem
from spiders.options import parse_options
from spiders.portal import PortalSpider, Stop, Unavailable
from spiders.reading import ShapeError
from spiders.sirup.lists import SEARCH, Options, Page, Row, Source, find_sources, parse_page, render_query
from spiders.sirup.plan import Details, assemble, parse_details, parse_refusal, unknown_words

LENGTH = 100  # rows asked for at a time; whatever number comes is accepted
REFUSALS = 3  # pages refused one after another that end the run

_FRONT = "caripaketctr/index"
_PROVIDER_PAGE = "rup/detailPaketPenyedia2020?idPaket={}"
_SELF_MANAGED_PAGE = "home/detailPaketSwakelolaPublic2017?idPaket={}"  # a link for readers; not crawled


class SirupSpider(PortalSpider):
    """The plans of one body or work unit. Plans are neither open nor closed: both sweeps read all lists."""

    name = "sirup"
    kinds = (Kind.PLAN,)

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        parse_options(Options, portal)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session_open = False
        self._refused = 0  # pages refused one after another

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        options = parse_options(Options, self.portal)
        for year in self.task.years:
            async for item in self._read_year(options, year):
                yield item

    async def _read_year(self, options: Options, year: int) -> AsyncIterator[Reading | Listing]:
        """One listing is all plans of a year: it is complete when each of its lists was read to its end."""
        check = _YearCheck(options, year)
        whole = self.task.limit is None
        for source in find_sources(options):
            what = f"{source.title} {year}"
            problems = len(check.problems)
            try:
                async for page in self._read_pages(source, options, year, check):
                    kept = []
                    for row in check.accept(what, page):
                        reading = await self._read_plan(row, year, check.buyer)
                        if reading and not check.is_asked(what, reading.tender):
                            continue
                        kept.append(row.key)
                        if reading:
                            yield reading
                    yield Listing(kind=Kind.PLAN, year=year, keys=tuple(kept))
            except Unavailable as error:
                self.give_up("refused" if _is_refusal(error) else "listing", what, error)
                whole = False
            except ShapeError as error:
                self.give_up("listing", what, error)
                whole = False
            for problem in check.problems[problems:]:
                self.tally.report(problem)
        if whole and not check.problems:
            yield Listing(kind=Kind.PLAN, year=year, complete=True)

    async def _read_pages(self, source: Source, options: Options, year: int, check: _YearCheck) -> AsyncIterator[Page]:
        """Pages until as many rows have come as are announced; the one after the last full page shows that none is
        held back. One without a new key, or of others' plans, is the last: a source that ignores its filter has
        millions."""
        start, draw, limit = 0, 1, self.task.limit
        known, problems, total = len(check.keys), len(check.problems), 0
        while limit is None or start < limit:
            length = LENGTH if limit is None else min(LENGTH, limit - start)
            page = await self._read_page(source, options, year, draw, start, length)
            before = len(check.keys)
            if page.length:
                yield page
            if page.length or draw == 1:
                total = page.total
            start, draw = start + page.length, draw + 1
            if len(check.keys) == before or any(problem.code == "filter" for problem in check.problems[problems:]):
                break
            if start >= total and page.length != length:
                break
        listed = len(check.keys) - known
        if limit is None and len(check.problems) == problems and listed != total:
            check.report("short", f"{source.title} {year}: {total} announced, {listed} listed")

    async def _read_page(self, source: Source, options: Options, year: int, draw: int, start: int, length: int) -> Page:
        if source is SEARCH and not self._session_open:
            await self._open_session()
        query = render_query(source, options, year, draw, start, length)
        return parse_page((await self._get(f"{source.path}?{query}")).body, source, self.portal.zone)

    # One plan ----------------------------------------------------------------------------------------

    async def _read_plan(self, row: Row, year: int, buyer: str | None) -> Reading | None:
        """The plan of a row that is new or different, or whose page is to be tried again; None for all others."""
        known = self.task.known.get((Kind.PLAN, row.key))
        if known and known.row == row.fingerprint and not (known.retry_at and known.retry_at <= self.task.now):
            return None
        url = self._url((_SELF_MANAGED_PAGE if row.self_managed else _PROVIDER_PAGE).format(row.key))
        details, missing = (None, False) if row.self_managed else await self._read_details(row.key, url)
        tender = assemble(
            self.portal,
            row,
            year,
            details,
            url,
            buyer=buyer,
            failed=details is None and not row.self_managed,
        )
        for text in (*row.unknown, *(details.unknown if details else ()), *unknown_words(tender, row)):
            self.tally.report(Problem("unknown_label", text, f"plan {row.key}"))
        return Reading(tender=tender, row=row.fingerprint, missing=missing)

    async def _read_details(self, key: str, url: str) -> tuple[Details | None, bool]:
        """A plan's page, and whether the source says that there is none."""
        try:
            response = await self._get(url)
            self._refused = 0
            return parse_details(response.body, key, self.portal.zone), False
        except Unavailable as error:
            self.give_up("missing_page", url, error)
            self._refused = self._refused + 1 if _is_refusal(error) else 0
            if self._refused == REFUSALS:
                raise Stop(Problem("refused", f"{REFUSALS} pages one after another, with a new session each")) from None
            return None, error.missing
        except ShapeError as error:
            self.give_up("shape", url, error)
            return None, False

    # Requests ----------------------------------------------------------------------------------------

    def _url(self, path: str) -> str:
        """An address below the portal's base; whole ones as they are."""
        return path if path.startswith(("http://", "https://")) else f"{self.portal.url.rstrip('/')}/{path}"

    async def _get(self, path: str) -> Response:
        """One page. A login form or 401, 403 in its place: once more with a new session."""
        headers = {"Referer": self._url(_FRONT), "X-Requested-With": "XMLHttpRequest"}
        try:
            return await self.fetch(self._url(path), headers=headers, parse_refusal=parse_refusal)
        except Unavailable as error:
            if not _is_refusal(error):
                raise
        await self._open_session()
        return await self.fetch(self._url(path), headers=headers, parse_refusal=parse_refusal)

    async def _open_session(self) -> None:
        """The search's front page, for its cookie."""
        await self.fetch(self._url(_FRONT))
        self._session_open = True


def _is_refusal(error: Unavailable) -> bool:
    """A login form, 401 or 403; not what robots.txt keeps us from, which no new session opens."""
    return error.status in (200, 401, 403) and not error.missing


@dataclass(slots=True)
class _YearCheck:
    """Asserts the contract of a year's lists: each key once, all of the body and year asked for.

    ``buyer``: the body's name, told by the configuration or by the first plan; all others must be of the same.
    """

    options: Options
    year: int
    keys: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    buyer: str | None = None

    def __post_init__(self) -> None:
        self.buyer = self.options.nama_kldi

    def report(self, code: str, text: str, sample: str = "") -> None:
        if all((code, text) != (told.code, told.text) for told in self.problems):
            self.problems.append(Problem(code, text, sample))

    def accept(self, what: str, page: Page) -> Iterator[Row]:
        """The rows that may be kept."""
        for error in page.wrong:
            self.report("shape", f"{what}: {error}", error.sample)
        for row in page.rows:
            if row.key in self.keys:
                self.report("duplicate_key", f"{what}: a key stands twice", row.key)
                continue
            self.keys.add(row.key)
            asked = {"id_referensi": self.options.id_referensi, "id_kldi": self.options.id_kldi}
            told = {"id_referensi": row.id_referensi, "id_kldi": row.id_kldi}
            if any(told[name] and value and told[name] != str(value) for name, value in asked.items()):
                self.report("filter", f"{what}: rows of another body left out", f"{row.key} of {row.buyer}")
            elif self.options.id_satker is None or row.id_satker in (None, str(self.options.id_satker)):
                yield row

    def is_asked(self, what: str, plan: Tender) -> bool:
        """Whether the plan is of the year asked for, and of the body that all others are of."""
        if self.year not in plan.fiscal_years:
            years = ", ".join(map(str, plan.fiscal_years))
            self.report("filter", f"{what}: plans of other years left out", f"{plan.key} of {years}")
            return False
        if plan.buyer is None:
            return True
        self.buyer = self.buyer or plan.buyer
        if plan.buyer.casefold() != self.buyer.casefold():
            self.report("filter", f"{what}: plans of another body left out", f"{plan.key} of {plan.buyer}")
            return False
        return True
