"""SPSE 4.5, the software of some 730 LPSE portals: the spider of its two sweeps.

*open* asks for the home page and the details of what is new or different there; *full* asks for the home page and
then for the lists. Lists are read in lists.py, detail pages in pages.py, and put together in tender.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin

from scrapy.http import Response

from aggregator.models import GONE, Kind, Known, Listing, Reading, Sweep
from aggregator.verdicts import Problem
from spiders.portal import PortalSpider, Unavailable
from spiders.reading import ShapeError
from spiders.spse import lists, pages
from spiders.spse.tender import Details, Spot, assemble, unknown_words

LENGTH = 100  # rows asked for at a time; whatever number comes is accepted
MOST_PAGES = 2000  # of one list; the longest known have some hundred, and one that goes on for ever must end

T = TypeVar("T")
Home = Mapping[tuple[Kind, str], lists.HomeRow]


@dataclass(frozen=True, slots=True)
class _Addresses:
    """Where a kind's pages are, below the portal's base address."""

    page: str
    list: str
    announcement: str
    schedule: str = ""


_ADDRESSES: Mapping[Kind, _Addresses] = {
    Kind.TENDER: _Addresses("lelang", "dt/lelang", "lelang/{}/pengumumanlelang", "lelang/{}/jadwal"),
    Kind.NON_TENDER: _Addresses("nontender", "dt/pl", "nontender/{}/pengumumanpl", "nontender/{}/jadwal"),
    Kind.RECORDED: _Addresses("pencatatan", "dt/nonspk", "pencatatan/pengumumannonspk?id={}"),
    Kind.SELF_MANAGED: _Addresses("swakelola", "dt/swakelola", "swakelola/{}/pengumuman"),
    Kind.EMERGENCY: _Addresses("darurat", "dt/darurat-list", "darurat/pengumumandarurat?id={}"),
}
_HOME_KINDS = (Kind.TENDER, Kind.NON_TENDER)


class SpseSpider(PortalSpider):
    """One SPSE portal, ``https://spse.inaproc.id/{slug}``."""

    name = "spse"
    kinds = tuple(_ADDRESSES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._done: set[tuple[Kind, str]] = set()  # read in this run: a package of two years stands in two lists
        self._listed: set[tuple[Kind, str]] = set()  # packages of the home page that stand in a list, too

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        kinds = self.task.kinds or tuple(_ADDRESSES)
        if self.task.sweep is Sweep.OPEN:
            async for item in self._read_open(await self._read_home(), kinds):
                yield item
            return
        home: Home | None = None
        try:
            home = await self._read_home()
        except (Unavailable, ShapeError) as error:
            self.give_up("listing", "home page", error)
        for kind in kinds:
            for year in self.task.years:
                async for item in self._read_list(kind, year, home):
                    yield item
            if home is not None and kind in _HOME_KINDS:
                async for item in self._read_unlisted(kind, home):
                    yield item

    # The two sweeps ----------------------------------------------------------------------------------

    async def _read_home(self) -> Home:
        response = await self._page("")
        home = lists.parse_home(response.body, self.portal.zone)
        self._report_unknown("home page", home.unknown)
        for text in home.short:
            self.tally.report(Problem("short", f"home page: {text}"))
        return {(row.kind, row.key): row for row in home.rows}

    async def _read_open(self, home: Home, kinds: Sequence[Kind]) -> AsyncIterator[Reading | Listing]:
        """What is new or different on the home page, and what has left it: that has moved on."""
        left = [(kind, key) for (kind, key), known in self.task.known.items() if known.home and (kind, key) not in home]
        spots = [
            Spot(kind, key, home=home.get((kind, key)), home_read=True) for kind, key in (*home, *left) if kind in kinds
        ]
        for spot in spots[: self.task.limit]:
            reading = await self._read_again(spot)
            if reading:
                yield reading
        if self.task.limit is None:
            for kind in _HOME_KINDS:
                if kind in kinds:
                    yield _home_listing(kind, home)

    async def _read_unlisted(self, kind: Kind, home: Home) -> AsyncIterator[Reading | Listing]:
        """Open packages that no list showed: next year's are announced before this one ends."""
        for (of_kind, key), row in home.items():
            if of_kind is kind and (kind, key) not in self._listed and self.task.limit is None:
                reading = await self._read_again(Spot(kind, key, home=row, home_read=True))
                if reading:
                    yield reading
        yield _home_listing(kind, home)

    async def _read_list(self, kind: Kind, year: int, home: Home | None) -> AsyncIterator[Reading | Listing]:
        """One list of one kind and year, page by page, and the details of its new and different rows."""
        check = _ListCheck(kind, year)
        try:
            async for rows, wrong in self._list_pages(kind, year):
                check.refuse(wrong)
                if check.is_repeat(rows):
                    break
                kept = list(check.accept(rows))
                for row in kept:
                    self._report_unknown(f"{kind} {row.key}", row.unknown)
                    on_home = home.get((kind, row.key)) if home else None
                    if on_home:
                        self._listed.add((kind, row.key))
                    reading = await self._read_again(
                        Spot(kind, row.key, row, on_home, home_read=home is not None and kind in _HOME_KINDS)
                    )
                    if reading:
                        yield reading
                yield Listing(kind=kind, year=year, keys=tuple(row.key for row in kept))
                if check.is_endless():
                    break
        except (Unavailable, ShapeError) as error:
            # A portal without lists of a kind answers 404: no failure of the others.
            absent = isinstance(error, Unavailable) and error.missing and not check.begun
            self.give_up("missing_page" if absent else "listing", f"list of {kind} {year}", error)
            return
        for problem in check.problems():
            self.tally.report(problem)
        if self.task.limit is None and not check.problems():
            yield Listing(kind=kind, year=year, complete=True)

    async def _list_pages(self, kind: Kind, year: int) -> AsyncIterator[tuple[list[lists.Row], list[ShapeError]]]:
        """Pages ordered by key until one is empty or shorter than an earlier one; advances by rows received."""
        token = await self._read_token(kind)
        start, longest, draw = 0, 0, 1
        while self.task.limit is None or start < self.task.limit:
            length = LENGTH if self.task.limit is None else min(LENGTH, self.task.limit - start)
            try:
                rows, wrong = await self._post_list(kind, year, token, draw, start, length)
            except _TokenRefused:
                token = await self._read_token(kind)
                rows, wrong = await self._post_list(kind, year, token, draw, start, length)
            received = len(rows) + len(wrong)
            if not received:
                return
            yield rows, wrong
            start, draw = start + received, draw + 1
            if received < longest:
                return
            longest = received

    # Details -----------------------------------------------------------------------------------------

    async def _read_again(self, spot: Spot) -> Reading | None:
        """The details of a package that is new or different, its schedule alone when that is due, or nothing."""
        if (spot.kind, spot.key) in self._done:
            return None
        known = self.task.known.get((spot.kind, spot.key))
        if known is None or spot.differs_from(known) or (known.retry_at and known.retry_at <= self.task.now):
            return await self._read_details(spot)
        if self._is_schedule_due(spot.kind, known):
            return await self._read_schedule(spot)
        if known.home and spot.home_fingerprint == GONE:
            unread = assemble(self.portal, Spot(spot.kind, spot.key), Details(), self._announcement_url(spot))
            return Reading(tender=unread, home=GONE)
        return None

    def _is_schedule_due(self, kind: Kind, known: Known) -> bool:
        return bool(
            known.active
            and known.schedule_read
            and _ADDRESSES[kind].schedule
            and self.task.now - known.schedule_read >= self.portal.refresh
        )

    async def _read_details(self, spot: Spot) -> Reading:
        """The announcement, then the schedule and those tabs that it offers. What cannot be had stays unread."""
        self._done.add((spot.kind, spot.key))
        details = Details()
        url = self._announcement_url(spot)
        details.announcement = await self._part(
            spot.key,
            details,
            url,
            _ADDRESSES[spot.kind].page,
            lambda body: pages.parse_announcement(body, spot.key, self.portal.zone, url),
        )
        if details.announcement:
            self._report_unknown(f"{spot.kind} {spot.key}", details.announcement.unknown)
            await self._read_offered(details, spot, url)
        tender = assemble(self.portal, spot, details, url)
        self._report_unknown(f"{spot.kind} {spot.key}", unknown_words(tender))
        return Reading(
            tender=tender,
            row=spot.row.fingerprint if spot.row else None,
            home=spot.home_fingerprint,
            schedule_read=details.milestones is not None,
            missing=details.missing,
        )

    async def _read_offered(self, details: Details, spot: Spot, referer: str) -> None:
        """The pages behind the announcement's links, each only where there is a link to it."""
        zone = self.portal.zone
        offered = details.announcement
        if offered is None:
            return
        tabs = offered.tabs
        if offered.schedule and _ADDRESSES[spot.kind].schedule:
            details.milestones = await self._part(
                spot.key, details, offered.schedule, referer, lambda body: pages.parse_schedule(body, zone)
            )
        if spot.kind not in _HOME_KINDS:
            details.awards = ()
            address = tabs.get("Pemenang Berkontrak") or tabs.get("Pelaksana Swakelola")
            details.contracts = (
                await self._part(spot.key, details, address, referer, lambda body: pages.parse_realisations(body, zone))
                if address
                else ()
            )
            return
        winner, contracted = tabs.get("Pemenang"), tabs.get("Pemenang Berkontrak")
        details.awards = await self._part(spot.key, details, winner, referer, pages.parse_winners) if winner else ()
        details.contracts = (
            await self._part(spot.key, details, contracted, referer, pages.parse_contracts) if contracted else ()
        )

    async def _read_schedule(self, spot: Spot) -> Reading:
        """The schedule alone, of a package whose rows say nothing new."""
        details = Details()
        url = self._announcement_url(spot)
        address = self._url(_ADDRESSES[spot.kind].schedule.format(spot.key))
        details.milestones = await self._part(
            spot.key, details, address, url, lambda body: pages.parse_schedule(body, self.portal.zone)
        )
        details.failed = False  # what is stored stays whole; the schedule is due again next time
        return Reading(
            tender=assemble(self.portal, Spot(spot.kind, spot.key), details, url),
            home=spot.home_fingerprint,
            schedule_read=details.milestones is not None,
        )

    async def _part(
        self, key: str, details: Details, address: str, referer: str, parse: Callable[[bytes], T]
    ) -> T | None:
        """One page of package ``key``, parsed; None, and told, when it cannot be had or read."""
        try:
            return parse(pages.check_page((await self._page(address, referer)).body, key))
        except Unavailable as error:
            details.missing = details.missing or error.missing
            self.give_up("missing_page", self._url(address), error)
        except (LookupError, ValueError) as error:  # ShapeError, or a page that the parser was not written for
            shape = error if isinstance(error, ShapeError) else ShapeError(f"{type(error).__name__}: {error}")
            self.give_up("shape", self._url(address), shape)
        details.failed = True
        return None

    def _report_unknown(self, what: str, unknown: Sequence[str]) -> None:
        for text in unknown:
            self.tally.report(Problem("unknown_label", text, what))

    # Requests ----------------------------------------------------------------------------------------

    def _url(self, path: str) -> str:
        """An address below the portal's base; site-relative (``/malangkota/…``) and absolute ones as they are."""
        try:
            return urljoin(self.portal.url.rstrip("/") + "/", path)
        except ValueError:  # a link that is no address: told when it is asked for
            return path

    def _announcement_url(self, spot: Spot) -> str:
        return self._url(_ADDRESSES[spot.kind].announcement.format(spot.key))

    async def _page(self, path: str, referer: str = "") -> Response:
        return await self.fetch(
            self._url(path), headers={"Referer": self._url(referer)}, parse_refusal=pages.parse_refusal
        )

    async def _read_token(self, kind: Kind) -> str:
        response = await self._page(_ADDRESSES[kind].page)
        cookie = b"; ".join(response.headers.getlist("Set-Cookie")).decode("latin-1")
        return lists.parse_token(response.body, cookie)

    async def _post_list(
        self, kind: Kind, year: int, token: str, draw: int, start: int, length: int
    ) -> tuple[list[lists.Row], list[ShapeError]]:
        """One page of a list. A stale or wrong token answers 403, or HTML where JSON was due: _TokenRefused."""
        addresses = _ADDRESSES[kind]
        query = urlencode({"kategoriId": "", "rekanan": "", "tahun": year, "instansiId": ""})
        try:
            response = await self.fetch(
                f"{self._url(addresses.list)}?{query}",
                method="POST",
                headers={
                    "Referer": self._url(addresses.page),
                    "X-Requested-With": "XMLHttpRequest",
                    "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
                },
                body=lists.render_query(kind, token, draw, start, length),
                parse_refusal=pages.parse_refusal,
            )
        except Unavailable as error:
            if error.status in (200, 401, 403):
                raise _TokenRefused(str(error), status=error.status) from error
            raise
        if response.body.lstrip()[:1] == b"<":
            raise _TokenRefused("HTML where JSON was due", status=200)
        return lists.parse_list(response.body, kind)


class _TokenRefused(Unavailable):
    """The list page must be asked for a new token."""


def _home_listing(kind: Kind, home: Home) -> Listing:
    return Listing(kind=kind, year=None, keys=tuple(key for k, key in home if k is kind), complete=True)


@dataclass(slots=True)
class _ListCheck:
    """Asserts a list's contract: keys once and in order, rows of the year asked for."""

    kind: Kind
    year: int
    _keys: set[str] = field(default_factory=set)
    _last: str = ""
    _by_number: bool = True  # the portal orders keys as numbers; a database might as text: either is an order
    _by_text: bool = True
    _twice: str = ""
    _other_year: str = ""
    _wrong: list[ShapeError] = field(default_factory=list)
    _pages: int = 0
    _deaf: str = ""  # why there is no use in reading on

    @property
    def begun(self) -> bool:
        """Whether a page of the list was read."""
        return bool(self._keys or self._wrong)

    def refuse(self, wrong: Sequence[ShapeError]) -> None:
        """Rows that cannot be read: told, and the list is not complete."""
        self._wrong += wrong

    def is_repeat(self, rows: Sequence[lists.Row]) -> bool:
        """Whether a page brings no key that is new: a portal that does not listen to ``start`` would never end."""
        if rows and self._keys.issuperset(row.key for row in rows):
            self._deaf = "an earlier page again"
        return bool(self._deaf)

    def is_endless(self) -> bool:
        """Asked after each page: whether they are more than a list can have."""
        self._pages += 1
        if self._pages >= MOST_PAGES:
            self._deaf = f"no end after {self._pages} pages"
        return bool(self._deaf)

    def accept(self, rows: Sequence[lists.Row]) -> Iterator[lists.Row]:
        """The rows that may be kept: each key once, none of another fiscal year."""
        for row in rows:
            if row.key in self._keys:
                self._twice = row.key
                continue
            if self._last:
                self._by_number = self._by_number and int(row.key) > int(self._last)
                self._by_text = self._by_text and row.key > self._last
            self._keys.add(row.key)
            self._last = row.key
            if row.fiscal_years and self.year not in row.fiscal_years:
                self._other_year = f"{row.key} of {', '.join(map(str, row.fiscal_years))}"
                continue
            yield row

    def problems(self) -> list[Problem]:
        what = f"list of {self.kind} {self.year}"
        found = []
        if self._deaf:
            found.append(Problem("listing", f"{what}: {self._deaf}"))
        if self._twice:
            found.append(Problem("duplicate_key", f"{what}: a key stands twice", self._twice))
        if not (self._by_number or self._by_text):
            found.append(Problem("unsorted", f"{what}: rows are not ordered by key as asked"))
        if self._other_year:
            found.append(Problem("filter", f"{what}: rows of other years left out", self._other_year))
        found += [Problem("shape", f"{what}: {error}", error.sample) for error in self._wrong]
        return found
