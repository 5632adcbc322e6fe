"""What every spider of a portal shares: its assignment, polite fetching, and telling what went wrong.

A spider of a family subclasses ``PortalSpider`` and writes ``visit``: one linear coroutine that awaits
``fetch`` for each page and yields readings and listings. One page after the other is all the concurrency
that a host is asked for, so there are no callbacks.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import time
import zlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

import scrapy
from scrapy import signals
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    ResponseDataLossError,
)
from scrapy.http import Request, Response
from scrapy.utils import _compression

from aggregator.config import ConfigError, Portal, load_config
from aggregator.models import Kind, Listing, Reading, Sweep, Visit
from aggregator.verdicts import Problem
from spiders.addresses import allow_private, find_refused
from spiders.keeping import find_unkeepable
from spiders.own_host import LedAway, Place, find_place
from spiders.reading import Refusal, ShapeError, clean_text

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

LONGEST_WAIT = 120.0  # seconds of Retry-After that a run sits out; a longer one ends it
SLOWEST = 60.0  # seconds between two requests that 429 and 503 bring a run to: doubled for ever it would never end

_CHALLENGE = re.compile(rb"<title>Just a moment|/cdn-cgi/challenge-platform/|cf-mitigated|_cf_chl_opt")


DOWNLOAD_ERRORS = (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    ResponseDataLossError,
    ConnectionError,
    OSError,
    # What a body is that says it is packed, and is not: Scrapy lets these through.
    zlib.error,
    _compression.brotli.error,  # type: ignore[attr-defined]
    _compression.zstd.ZstdError,  # type: ignore[attr-defined]
)


class Disallowed(IgnoreRequest):
    """What robots.txt keeps us from."""


class Unavailable(Exception):
    """A page that could not be had; ``status`` 0: no answer. ``missing``: the source says there is no such page."""

    def __init__(self, text: str, *, status: int = 0, missing: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.missing = missing


class Stop(Exception):
    """The run must end here: the source blocks us, or asks us to slow down beyond what we can wait."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Tally(Protocol):
    """Where a spider tells its problems; aggregator.runs.Tally in a run."""

    def report(self, problem: Problem) -> None: ...

    def failed_request(self) -> None: ...


class Archive(Protocol):
    """Where bodies go before they are parsed; aggregator.archive.Archive in a run."""

    def save(self, request: Request, response: Response) -> None: ...


@dataclass
class LoggedTally:
    """For plain Scrapy (`scrapy crawl`), where no run keeps count: problems are logged."""

    spider: scrapy.Spider

    def report(self, problem: Problem) -> None:
        self.spider.logger.warning("%s", problem)

    def failed_request(self) -> None:
        """Scrapy logs and counts it already."""


_ARGUMENTS = ("portal", "sweep", "kinds", "years", "limit")


class PortalSpider(scrapy.Spider):
    """One run over one portal. ``scrapy crawl FAMILY -a portal=ID [-a sweep=open] [-a kinds=…] [-a years=…]``."""

    kinds: tuple[Kind, ...] = ()  # those that the family can read
    own_places: set[Place]  # the only ones that are asked, see own_host.py
    portal: Portal
    task: Visit
    tally: Tally
    archive: Archive | None
    asked = 0.0  # when the last request had arrived at the latest: seconds of the monotonic clock
    _fastest = math.inf  # the shortest that an answer took, in seconds

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        arguments: dict[str, str] = {name: kwargs.pop(name) for name in _ARGUMENTS if name in kwargs}
        if kwargs:
            raise ConfigError(f"unknown argument {min(kwargs)!r}; choose from {', '.join(_ARGUMENTS)}")
        spider = super().from_crawler(crawler, *args, **kwargs)
        portal = crawler.settings.get("WARTA_PORTAL")
        if portal is None:
            config = load_config(Path(os.environ.get("WARTA_CONFIG", "warta.toml")))
            portal = config.find_portal(arguments.get("portal", ""))
            crawler.settings.set("USER_AGENT", config.user_agent, priority="spider")
            delay = config.crawl.delay if portal.delay is None else portal.delay
            crawler.settings.set("DOWNLOAD_DELAY", delay, priority="spider")
            crawler.settings.set("WARTA_CA", config.find_authority(portal), priority="spider")
        spider.portal = portal
        spider.task = crawler.settings.get("WARTA_VISIT") or _plain_visit(portal, arguments)
        spider.tally = crawler.settings.get("WARTA_TALLY") or LoggedTally(spider)
        spider.archive = crawler.settings.get("WARTA_ARCHIVE")
        place = find_place(portal.url)
        spider.own_places = {place} if place else set()
        if portal.private and place:
            allow_private(place[0])
        crawler.signals.connect(spider._obey_crawl_delay, signals.robots_parsed)
        crawler.signals.connect(spider._count_from_arrival, signals.request_left_downloader)
        return spider

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        """ConfigError that names portal, key and mend where the portal's ``options`` cannot be. Asked before any crawl.

        A family with options overrides this with its own parser; without, there may be none.
        """
        for key in portal.options:
            raise ConfigError(f"portal {portal.id}: options.{key}: {cls.name} has no options; remove it")

    @abstractmethod
    def visit(self) -> AsyncIterator[Reading | Listing]:
        """Reads the portal as ``self.task`` asks, one page after the other."""

    async def start(self) -> AsyncIterator[Any]:
        try:
            async for item in self.visit():
                if isinstance(item, Reading) and (why := find_unkeepable(item.tender)):
                    name = f"{item.tender.kind} {item.tender.key}"
                    self.tally.report(Problem("shape", f"{name} left out: {why}"))
                    continue
                yield item
        except Stop as stop:
            self.tally.failed_request()
            self.tally.report(stop.problem)
        except (Unavailable, ShapeError) as error:
            self.give_up("listing", self.portal.id, error)
        except ConfigError as mistake:
            self.tally.report(Problem("errors", str(mistake)))
        except Exception as error:
            # Scrapy would log this and call the run finished: the verdict must know.
            self.tally.report(Problem("errors", f"{type(error).__name__}: {error}"))
            raise
        await self._wait_for_items()

    async def _wait_for_items(self) -> None:
        """Until all that was yielded is taken in: the engine otherwise sees only at its next heartbeat, every 5 s,
        that the spider has nothing left to do. No longer than that heartbeat."""
        engine = self.crawler.engine
        for _ in range(1000):
            if not engine or not engine.scraper.slot or engine.scraper.slot.is_idle():
                return
            await asyncio.sleep(0.005)

    def give_up(self, code: str, what: str, error: Unavailable | ShapeError) -> None:
        """Counts and reports a page that stays unread: ``what`` names it in the verdict's reasons.

        That a page is not there (404) is an answer: reported, but no failed request.
        """
        if not (isinstance(error, Unavailable) and error.missing):
            self.tally.failed_request()
        if isinstance(error, ShapeError):
            code = "shape" if code == "missing_page" else code
            self.tally.report(Problem(code, f"{what}: {error}", error.sample))
        else:
            code = "refused" if code == "listing" and error.status in (401, 403) else code
            self.tally.report(Problem(code, f"{what}: {error}"))

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | bytes = b"",
        parse_refusal: Callable[[bytes], Refusal | None] = lambda body: None,
    ) -> Response:
        """One page, archived. Raises Unavailable where it cannot be had, Stop where the run must end.

        ``parse_refusal`` knows the family's error pages that come with status 200; Refusal.ERROR is tried
        again like a 500. 429 and 503 are answered by waiting as long as Retry-After says, once, and by
        going slower from then on.
        """
        try:
            request = Request(url, method=method, headers=dict(headers or {}), body=body, dont_filter=True)
        except ValueError as error:
            raise Unavailable(f"no address that could be asked for: {clean_text(url)[:100]}") from error
        waited = False
        while True:
            response = await self._download(request)
            if response.status in (429, 503) and not _CHALLENGE.search(response.body):
                wait = retry_after(response, datetime.now(UTC))
                if waited or wait > LONGEST_WAIT:
                    raise Stop(Problem("rate_limited", f"{url}: {response.status}, Retry-After {wait:.0f} s"))
                waited = True
                self._slow_down()
                await asyncio.sleep(wait)
                continue
            self._archive(request, response)
            if response.status in (403, 503) and _CHALLENGE.search(response.body):
                raise Stop(Problem("blocked", f"{url}: a challenge page stands in front of the portal"))
            refusal = parse_refusal(response.body)
            if refusal is Refusal.ERROR and response.status == 200:
                again = get_retry_request(request, spider=self, reason="error page with status 200")
                if again:
                    request = again
                    continue
            if response.status == 200 and refusal is None:
                return response
            raise Unavailable(
                f"{response.status}" + (f", {refusal} page" if refusal else ""),
                status=response.status,
                missing=response.status == 404 or refusal is Refusal.MISSING,
            )

    async def _download(self, request: Request) -> Response:
        engine = self.crawler.engine
        if engine is None:
            raise RuntimeError("fetch outside of a crawl")
        try:
            return await engine.download_async(request)
        except LedAway as error:
            raise Unavailable(str(error)) from error
        except CannotResolveHostError as error:
            host = urlsplit(request.url).hostname or ""
            private = find_refused(host)
            told = f"{host} leads to {private}, an address of a private network; if that is right, write private = true"
            raise Unavailable(told if private else f"no address of {host} is known") from error
        except Disallowed as error:
            raise Unavailable(str(error), status=403, missing=True) from error
        except IgnoreRequest as error:  # redirects round in circles, or a body that unpacks to too much
            raise Unavailable(str(error)[:160]) from error
        except DOWNLOAD_ERRORS as error:
            raise Unavailable(f"{type(error).__name__} {error}".strip()[:160]) from error
        except ValueError as error:  # Scrapy's, of a redirect to what is no address
            raise Unavailable(f"leads to no address: {error}"[:160]) from error

    def _archive(self, request: Request, response: Response) -> None:
        if self.archive:
            self.archive.save(request, response)

    def _obey_crawl_delay(self, robotparser: Any, request: Request) -> None:
        """robots.txt's Crawl-delay raises ``delay``; Scrapy reads it but does not apply it."""
        agent = self.crawler.settings["USER_AGENT"]
        self._delay_at_least(robotparser.crawl_delay(agent) or 0.0)

    def _count_from_arrival(self) -> None:
        """The delay is kept at the host, too: Scrapy counts it from when it decides to send, and a process that has to
        wait for its turn sends later. An answer that took longer than the fastest may have been asked for so late."""
        engine, now = self.crawler.engine, time.monotonic()
        for slot in engine.downloader.slots.values() if engine else ():
            self._fastest = min(self._fastest, now - slot.lastseen)
            slot.lastseen = self.asked = now - self._fastest

    def _slow_down(self) -> None:
        engine = self.crawler.engine
        for slot in engine.downloader.slots.values() if engine else ():
            slot.delay = max(slot.delay, min(2 * slot.delay or 0.1, SLOWEST))  # robots.txt may ask for more

    def _delay_at_least(self, seconds: float) -> None:
        engine = self.crawler.engine
        for slot in engine.downloader.slots.values() if engine else ():
            slot.delay = max(slot.delay, seconds)


def retry_after(response: Response, now: datetime) -> float:
    """Seconds that Retry-After (RFC 9110 section 10.2.3: seconds or a date) asks to wait; 5 where it says nothing."""
    text = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 5.0


def _plain_visit(portal: Portal, arguments: Mapping[str, str]) -> Visit:
    now = datetime.now(UTC)
    kinds: Sequence[str] = arguments["kinds"].split(",") if "kinds" in arguments else portal.kinds
    years = [int(y) for y in arguments["years"].split(",")] if "years" in arguments else portal.fiscal_years(now)
    return Visit(
        portal=portal.id,
        now=now,
        sweep=Sweep(arguments.get("sweep", Sweep.FULL)),
        kinds=tuple(Kind(kind) for kind in kinds),
        years=tuple(years),
        limit=int(arguments["limit"]) if "limit" in arguments else None,
        known={},
    )
