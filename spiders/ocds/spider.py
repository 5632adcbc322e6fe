"""The spider of OCDS publishers: reads pages or windows of releases, compiles them by ocid, tells what is different.

Publishers give updates as deltas, so nothing is told of a process before all that the run asks for has been read.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urljoin
from zoneinfo import ZoneInfo

from scrapy.http import Request, Response

from aggregator.config import Portal
from aggregator.models import Kind, Known, Listing, Reading, Sweep
from aggregator.verdicts import Problem
from spiders.ocds.merging import merge_releases
from spiders.ocds.options import Options, Window, render_time, render_url, split_windows
from spiders.ocds.packages import Package, Release, parse_lines, parse_package, parse_zip
from spiders.ocds.shelf import Chain, Shelf, is_opened
from spiders.ocds.tender import fingerprint, parse_tender, render_key, unknown_words
from spiders.options import parse_options
from spiders.own_host import find_place
from spiders.portal import PortalSpider, Stop, Unavailable, retry_after
from spiders.reading import ShapeError, strictly

LONGEST_PAUSE = 600.0  # seconds that a run sits out where the publisher says so; a longer one ends it
MOST_PAGES = 10_000  # of one chain of links; more is a chain that never ends

_PAUSE = re.compile(rb"retry after (\d{1,6}) seconds", re.IGNORECASE)
_RESULTS = frozenset({"awards", "contracts"})  # the first one told of is news, not something learnt late
_FILES: Mapping[str, Callable[[bytes, ZoneInfo], Package]] = {
    "file": parse_package,
    "jsonl": parse_lines,
    "zip": parse_zip,
}


class OcdsSpider(PortalSpider):
    """One OCDS publisher; ``portal.url`` is the address of its packages, ``portal.options`` are ``Options``."""

    name = "ocds"
    kinds = (Kind.TENDER,)
    options: Options
    secrets: tuple[str, ...] = ()  # names of environment variables; see secrecy.py

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        parse_options(Options, portal)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept_word = True  # no contract of the listing was broken so far

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        self.options = parse_options(Options, self.portal)
        self.secrets = (self.options.token_env,) if self.options.token_env else ()
        record = find_place(self.options.record)
        self.own_places |= {record} if record else set()
        shelf, stop, ended = Shelf(), None, False
        try:
            ended = await self._read_publisher(shelf)
        except Stop as error:
            stop = error
        except (Unavailable, ShapeError) as error:
            self.give_up("listing", self.options.paging, error)
        if ended:
            self._assert_recent(shelf)
        keys = []
        for ocid, releases in shelf:
            try:
                key = render_key(ocid)
            except ShapeError as error:
                self._report(Problem("shape", str(error), error.sample))
                continue
            keys.append(key)
            try:
                with strictly("its releases"):
                    reading = await self._read_again(key, releases, ended=ended)
            except ShapeError as error:
                self.tally.report(Problem("shape", f"{ocid}: {error}", error.sample))
                continue
            if reading:
                yield reading
        yield Listing(kind=Kind.TENDER, year=None, keys=tuple(keys), complete=ended and self._kept_word)
        if stop:
            raise stop

    # What the publisher lists --------------------------------------------------------------------------

    async def _read_publisher(self, shelf: Shelf) -> bool:
        """Puts all that the run asks for on the shelf; False where it was not read to its end, and that is told."""
        paging = self.options.paging
        if paging == "windows":
            return await self._read_windows(shelf)
        if paging == "pages":
            return await self._read_pages(shelf)
        if paging == "links":
            return await self._read_links(self._url(), Chain("links"), shelf)
        package = _FILES[paging]((await self._page(self._url())).body, self.portal.zone)
        if package.next:
            self._report(Problem("short", 'the file says that there are more; paging = "links" reads them'))
        return self._take(package, Chain(paging), shelf)

    async def _read_windows(self, shelf: Shelf) -> bool:
        options, now = self.options, self.task.now
        start = now - (options.recent if self.task.sweep is Sweep.OPEN else options.since)
        for window in split_windows(start, now, options.window, options.overlap):
            chain = Chain(str(window), window if options.dated else None, slack=options.overlap)
            if not await self._read_links(self._window_url(window), chain, shelf):
                return False
        return True

    async def _read_links(self, url: str, chain: Chain, shelf: Shelf) -> bool:
        """Page after page as links.next says. A link that leads back, or on with nothing new, never ends: told."""
        asked: set[str] = set()
        while url not in asked and len(asked) < MOST_PAGES:
            asked.add(url)
            package = await self._package(url)
            before = len(chain.seen)
            if not self._take(package, chain, shelf) or chain.deaf:
                return False
            if package.next is None:
                self._assert_total(package, chain)
                return True
            if len(chain.seen) == before:
                break
            url = self._follow(url, package.next)
        self._report(Problem("listing", f"{chain.place}: links.next leads on but brings nothing new", url))
        return False

    async def _read_pages(self, shelf: Shelf) -> bool:
        """Pages by number until one is empty, missing, or shorter than one before it."""
        chain, longest, number = Chain("pages"), 0, self.options.first_page
        while number < MOST_PAGES:
            try:
                package = await self._package(self._url({self.options.page_parameter: number}))
            except Unavailable as error:
                if error.missing and number > self.options.first_page:
                    return True
                raise
            before, size = len(chain.seen), len(package.releases) + len(package.rejected)
            if not self._take(package, chain, shelf):
                return False
            if size == 0 or size < longest:
                self._assert_total(package, chain)
                return True
            if len(chain.seen) == before and package.releases:
                break
            longest, number = size, number + 1
        self._report(Problem("listing", f"{chain.place}: page {number} brings nothing new"))
        return False

    def _take(self, package: Package, chain: Chain, shelf: Shelf) -> bool:
        """Puts what keeps the chain's contract on the shelf, tells what breaks it; False once the limit is reached."""
        kept, problems = chain.accept(package)
        for problem in problems:
            self._report(problem)
        for release in kept:
            if self.task.limit is not None and len(shelf) >= self.task.limit:
                return False
            shelf.put(release)
        return True

    def _assert_total(self, package: Package, chain: Chain) -> None:
        if package.total is not None and len(chain.seen) < package.total:
            self._report(Problem("short", f"{chain.place}: {len(chain.seen)} of {package.total} releases announced"))

    def _assert_recent(self, shelf: Shelf) -> None:
        """Tells a publisher that has gone quiet; of a shelf that may be empty by right nothing is known."""
        newest, allowed = shelf.newest(), self.options.stale_after
        if allowed and newest and self.task.now - newest > allowed:
            self._report(Problem("stale", f"the newest release is of {render_time(newest)}"))

    def _report(self, problem: Problem) -> None:
        self._kept_word = self._kept_word and problem.code == "unknown_label"
        self.tally.report(problem)

    # Processes -----------------------------------------------------------------------------------------

    async def _read_again(self, key: str, releases: list[Release], *, ended: bool) -> Reading | None:
        """A process that is new or different. One that is known stays as it is after a listing that broke off,
        or when what is known is newer than what came."""
        known = self.task.known.get((Kind.TENDER, key))
        windowed = self.options.paging == "windows"
        mark = fingerprint(releases[-1:] if windowed else releases)
        if known is not None and not self._is_due(known, mark, ended):
            return None
        # A window may end before a process began: of one that is known, what is not told stays as it is.
        whole = (
            ended and self._kept_word and (releases[0].compiled or (is_opened(releases) and not (windowed and known)))
        )
        failure: Unavailable | ShapeError | None = None
        if ended and not whole and self._needs_record(releases, known):
            try:
                releases, whole = await self._read_record(releases[0].ocid), True
            except (Unavailable, ShapeError) as error:
                failure = error
                self.give_up("missing_page", f"record of {releases[0].ocid}", error)
        reading = self._compile(releases, mark, whole=whole)
        tender = replace(reading.tender, incomplete=failure is not None)
        if known is None:
            tender = replace(tender, unread=tender.unread - _RESULTS)
        missing = isinstance(failure, Unavailable) and failure.missing
        return replace(reading, tender=tender, missing=missing)

    def _is_due(self, known: Known, mark: bytes, ended: bool) -> bool:
        if not ended:
            return False
        if known.retry_at is not None and known.retry_at <= self.task.now:
            return True
        return known.row is None or (known.row != mark and known.row[:8] <= mark[:8])

    def _needs_record(self, releases: list[Release], known: Known | None) -> bool:
        """Whether these are steps of a process whose beginning was not read, that can't be told by themselves."""
        if not self.options.record or is_opened(releases):
            return False
        return known is not None or not any(_tells_title(release) for release in releases)

    async def _read_record(self, ocid: str) -> list[Release]:
        """All that was published of one process."""
        package = await self._package(self.options.record.replace("{ocid}", quote(ocid, safe="")))
        if package.rejected:
            raise package.rejected[0]
        if not package.releases or any(release.ocid != ocid for release in package.releases):
            raise ShapeError("a record that is not the one asked for", [r.ocid for r in package.releases[:3]])
        once = {release.id: release for release in package.releases}  # Find a Tender may hold one many times
        return sorted(once.values(), key=lambda release: (release.date, release.id))

    def _compile(self, releases: list[Release], mark: bytes, *, whole: bool) -> Reading:
        compiled = merge_releases(releases)
        tender = parse_tender(compiled, releases, self.portal, self.options.page, whole=whole)
        for word in unknown_words(tender, compiled):
            self.tally.report(Problem("unknown_label", word, releases[0].ocid))
        return Reading(tender=tender, row=mark)

    # Requests ------------------------------------------------------------------------------------------

    def _url(self, query: Mapping[str, str | int] | None = None) -> str:
        return render_url(self.portal.url, {**self.options.query, **(query or {})})

    def _window_url(self, window: Window) -> str:
        names, ends = self.options.window_parameters, map(render_time, window)
        return self._url(dict(zip(names, ends, strict=True)))

    def _follow(self, url: str, following: str) -> str:
        """The next page's address; it stays on the publisher's host."""
        try:
            found = urljoin(url, following)
        except ValueError as error:
            raise ShapeError("links.next that is no address", following) from error
        if find_place(found) != find_place(url):
            raise ShapeError("links.next leads to another host", found)
        return found

    async def _package(self, url: str) -> Package:
        return parse_package((await self._page(url)).body, self.portal.zone, self.options.total)

    async def _page(self, url: str) -> Response:
        return await self.fetch(url, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json, */*;q=0.1"}
        if self.options.token_env:
            if not os.environ.get(self.options.token_env) and self.crawler.settings.get("WARTA_SNAPSHOTS") is None:
                raise Stop(Problem("refused", f"the environment has no {self.options.token_env}"))
            headers["Authorization"] = f"Bearer {self.options.token_env}"  # the key goes in on the way out
        return headers

    async def _download(self, request: Request) -> Response:
        """Sits out one pause that the publisher asks for, which may be longer than other portals' Retry-After."""
        response = await super()._download(request)
        pause = find_pause(response, self.options, datetime.now(UTC))
        if pause is not None and pause <= LONGEST_PAUSE:
            self._slow_down()
            await asyncio.sleep(pause)
            response = await super()._download(request)
            pause = find_pause(response, self.options, datetime.now(UTC))
        if pause is not None:
            raise Stop(Problem("rate_limited", f"{request.url}: {response.status}, asks to wait {pause:.0f} s"))
        return response


def find_pause(response: Response, options: Options, now: datetime) -> float | None:
    """Seconds to wait after a rate limit: Retry-After, the words of the answer, else ``options.pause``."""
    if response.status not in options.pause_on or response.headers.get("cf-mitigated"):
        return None
    if response.headers.get("Retry-After"):
        return retry_after(response, now)
    words = _PAUSE.search(response.body)
    return float(words[1]) if words else options.pause.total_seconds()


def _tells_title(release: Release) -> bool:
    tender = release.body.get("tender")
    return isinstance(tender, dict) and bool(tender.get("title"))
