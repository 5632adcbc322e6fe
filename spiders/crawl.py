"""Runs spiders over portals: one run at a time a host, each with its assignment, and a verdict at the end."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any, Self, TypeVar

from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.settings import Settings
from scrapy.utils.reactor import install_reactor, is_reactor_installed

import spiders.settings
from aggregator.archive import Archive, ArchiveError
from aggregator.config import Config, ConfigError, Portal
from aggregator.database import DatabaseError
from aggregator.leases import SILENCE, HolderSilent, Lease, LeaseHeld, Leases, name_host, name_portal
from aggregator.lines import FIELDS
from aggregator.models import Kind, Known, Sweep, Visit
from aggregator.patience import PatientRepository, persist
from aggregator.repository import Repository
from aggregator.retention import prune_archive
from aggregator.robots import Robots
from aggregator.runs import Tally
from aggregator.verdicts import Problem, Run
from spiders.addresses import PublicResolver
from spiders.portal import PortalSpider
from spiders.robots import find_crawl_delay, find_host
from spiders.transport import check_authority

REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"
WATCHED_EVERY = 0.2  # seconds
HOSTS_AT_ONCE = 60  # hosts crawled side by side; one process has enough to do with these

# The runner's settings override those of the crawlers it is given: so it gets what finds the families, and no more.
_LOADER_SETTINGS = {name: getattr(spiders.settings, name) for name in ("SPIDER_MODULES", "SPIDER_LOADER_WARN_ONLY")}

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of every portal of one crawl; empty kinds and years are the portal's own. Nothing that is only
    ``due`` is begun in quiet hours, of which some may begin while other portals are read."""

    sweep: Sweep = Sweep.FULL
    kinds: tuple[Kind, ...] = ()
    years: tuple[int, ...] = ()
    limit: int | None = None
    dry_run: bool = False
    due: bool = False

    def as_text(self) -> str:
        """What replay has to know of a run: sweep, kinds, years and limit, as JSON."""
        return json.dumps([self.sweep, self.kinds, self.years, self.limit])

    @property
    def narrowed(self) -> bool:
        """Less is asked for than the portal's own kinds and years, so no full sweep comes of it."""
        return bool(self.kinds or self.years or self.limit is not None)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The inverse of ``as_text``. ValueError on anything else."""
        sweep, kinds, years, limit = json.loads(text)
        return cls(sweep=Sweep(sweep), kinds=tuple(Kind(kind) for kind in kinds), years=tuple(years), limit=limit)


WHOLE = Order().as_text()  # what the archive knows a full run by that left nothing out


def crawl(
    config: Config,
    portals: Sequence[Portal],
    repository: Repository,
    order: Order | Mapping[str, Order],
    *,
    now: datetime,
    on_progress: Callable[[Portal, Tally], None] | None = None,
) -> list[Run]:
    """Crawls ``portals``, hosts side by side and the portals of one host one after another, in their order.

    ``order`` is the same for all, or one for each by the portal's id.
    Returns their runs in the order asked for; one portal's failure never stops another's. ``now`` is the time
    at the start: each run's own time moves on from it with the clock on the wall. ``on_progress`` hears of every
    page and of each run's end. ConfigError for a family that no spider has. A database or a disk that fails ends
    runs as failed, with its own words.
    """
    repository = PatientRepository(repository.engine)
    orders = {portal.id: order for portal in portals} if isinstance(order, Order) else order
    with Leases(repository.engine, config.lock_folder) as leases:
        crawler = _Crawl(config, repository, orders, now, on_progress, leases)
        runs = run_in_reactor(lambda: crawler.run(portals))
    if not any(order.dry_run for order in orders.values()):
        _prune(config, repository, now)
    return runs


def _prune(config: Config, repository: Repository, now: datetime) -> None:
    """Old answers leave the archive, old runs the database; where that fails the crawl was good all the same."""
    archive = Archive(config.archive_folder, repository)
    try:
        prune_archive(archive, repository, config.crawl, WHOLE, now)
    except (ArchiveError, DatabaseError, OSError) as error:
        logger.warning("old answers could not be removed from the archive: %s", error)
    try:
        repository.forget_runs(now)
    except DatabaseError as error:
        logger.warning("old runs could not be forgotten: %s", error)


def run_in_reactor(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine in Twisted's asyncio reactor, which is started once a process and then stays."""
    if not is_reactor_installed():
        install_reactor(REACTOR)
    from twisted.internet import reactor

    if not reactor.running:
        # Names are resolved in its threads; they must not keep the process from ending.
        reactor.getThreadPool().threadFactory = partial(threading.Thread, daemon=True)
        reactor.startRunning(installSignalHandlers=False)
        PublicResolver(reactor).install_on_reactor()
    loop = reactor._asyncioEventloop
    asyncio.set_event_loop(loop)
    result: T = loop.run_until_complete(main())
    return result


def make_runner(families: Collection[str]) -> AsyncCrawlerRunner:
    """A runner that knows ``families``, each the module of its name; all there are where one of them is none.

    To import the others takes a tenth of a second, as much as fifty pages: a worker starts a process for each portal.
    """
    modules = [f"{spiders.__name__}.{family}" for family in sorted(families)]
    if all(family.isidentifier() and find_spec(name) for family, name in zip(sorted(families), modules, strict=True)):
        runner = AsyncCrawlerRunner({**_LOADER_SETTINGS, "SPIDER_MODULES": modules})
        if set(families) <= set(runner.spider_loader.list()):
            return runner
    return AsyncCrawlerRunner(_LOADER_SETTINGS)


def make_settings(config: Config, portal: Portal) -> Settings:
    """Scrapy's settings for one portal; a portal's own delay overrides the common one."""
    settings = Settings()
    settings.setmodule(spiders.settings)
    settings.set("USER_AGENT", config.user_agent)
    settings.set("DOWNLOAD_DELAY", find_delay(config, portal))
    settings.set("WARTA_PORTAL", portal)
    settings.set("WARTA_CA", config.find_authority(portal))
    return settings


def make_visit(
    portal: Portal,
    order: Order,
    now: datetime,
    known: Mapping[tuple[Kind, str], Known],
    unfinished: Collection[int] = (),
) -> Visit:
    """The assignment of one run of time ``now``.

    ``unfinished`` are fiscal years whose lists still hold packages that are not over: after New Year the old year's
    winners are told in the old year's list only, so it is read on.
    """
    return Visit(
        portal=portal.id,
        now=now,
        sweep=order.sweep,
        kinds=order.kinds or portal.kinds,
        years=order.years or tuple(dict.fromkeys([*portal.fiscal_years(now), *sorted(unfinished)])),
        limit=order.limit,
        known=known,
    )


def find_delay(config: Config, portal: Portal) -> float:
    """Seconds between two requests to the portal's host, before robots.txt raises it."""
    return config.crawl.delay if portal.delay is None else portal.delay


@dataclass
class _Crawl:
    """One call of ``crawl``. ``stop`` is called by Ctrl-C and SIGTERM: runs under way end, others never begin."""

    config: Config
    repository: Repository
    orders: Mapping[str, Order]
    now: datetime
    on_progress: Callable[[Portal, Tally], None] | None
    leases: Leases

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._stopped = asyncio.Event()
        self._stops: list[asyncio.Future[None]] = []  # a task lives as long as somebody holds it
        dry_run = any(order.dry_run for order in self.orders.values())
        self._robots = Robots(self.repository.engine, dry_run=dry_run)
        self._asked: dict[str, float] = {}  # by host, when the last request was sent: monotonic

    def _time(self) -> datetime:
        return self.now + timedelta(seconds=time.monotonic() - self._began)

    def _start_time(self, portal: Portal) -> datetime:
        """Now, but after all that was read of the portal: what a clock that was set back calls old is not dropped."""
        last, now = self.repository.find_last_start(portal.id), self._time()
        if last is not None and last >= now:
            logger.warning("%s: the last run lies in the future, at %s", portal.id, last.isoformat())
            return last + timedelta(milliseconds=1)
        return now

    async def run(self, portals: Sequence[Portal]) -> list[Run]:
        self._runner = make_runner({portal.family for portal in portals})
        families = self._runner.spider_loader.list()
        for portal in portals:
            if portal.family not in families:
                raise ConfigError(
                    f"portal {portal.id}: no family {portal.family!r}; choose from {', '.join(sorted(families))}"
                )
            self._check_portal(portal)
        by_host: dict[str, list[Portal]] = {}
        for portal in portals:
            by_host.setdefault(portal.host, []).append(portal)
        places = asyncio.Semaphore(HOSTS_AT_ONCE)
        with _Signals(self.stop):
            done = await asyncio.gather(*(self._crawl_host(places, ids) for ids in by_host.values()))
        runs = {run.portal: run for host_runs in done for run in host_runs}
        return [runs[portal.id] for portal in portals]

    def _check_portal(self, portal: Portal) -> None:
        """ConfigError when the portal's family does not have a kind that is asked for, or cannot take its options."""
        family = self._runner.spider_loader.load(portal.family)
        if not issubclass(family, PortalSpider):
            raise ConfigError(f"portal {portal.id}: {portal.family} is a spider, but of no family of portals")
        kinds = family.kinds
        wrong = [kind for kind in self.orders[portal.id].kinds or portal.kinds if kind not in kinds]
        if wrong:
            raise ConfigError(f"portal {portal.id}: {portal.family} has no {wrong[0]}; choose from {', '.join(kinds)}")
        family.check_options(portal)
        if authority := self.config.find_authority(portal):
            check_authority(portal.id, authority)

    def stop(self) -> None:
        self._stopped.set()  # see _watch

    async def _pause(self, seconds: float) -> None:
        """Waits, but no longer than until the crawl is stopped."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), seconds)

    async def _crawl_host(self, places: asyncio.Semaphore, portals: Sequence[Portal]) -> list[Run]:
        """All portals of one host, one after another, while this process holds the host."""
        host = portals[0].host
        async with places:
            try:
                with await self._take(name_host(host)) as lease:
                    await self._pause(lease.wait(max(self._find_delay(portal) for portal in portals)))
                    return [await self._crawl_in_turn(portal, lease) for portal in portals]
            except LeaseHeld as held:
                return [self._refuse(portal, Problem("busy", str(held))) for portal in portals]
            except (DatabaseError, OSError) as error:
                return [self._refuse(portal, Problem("errors", str(error))) for portal in portals]
            except Exception as error:  # a kept robots.txt, say, that cannot be read
                logger.exception("%s: its portals are not read", host)
                problem = Problem("errors", f"{type(error).__name__}: {error}")
                return [self._refuse(portal, problem) for portal in portals]

    async def _take(self, name: str) -> Lease:
        """A lease, also that of a holder that seems dead, if it stays silent. LeaseHeld where another run has it."""
        try:
            return persist(lambda: self.leases.take(name))
        except HolderSilent as silent:
            logger.warning("%s; it is listened for during %.0f s", silent, SILENCE)
            await self._pause(SILENCE)
            if self._stopped.is_set():
                raise
            row = silent.row
        return persist(lambda: self.leases.take(name, row))

    async def _crawl_in_turn(self, portal: Portal, host: Lease) -> Run:
        """The run of one portal of a host that is held; what stands in its way is told in the verdict."""
        try:
            if portal.host in self._asked:
                await self._pause(self._asked[portal.host] + self._find_delay(portal) - time.monotonic())
            if self.orders[portal.id].due and (until := portal.quiet.find_end(self._time())) > self._time():
                return self._refuse(portal, Problem("busy", f"quiet hours until {until.isoformat()}"))
            if self._stopped.is_set():
                return self._refuse(portal, Problem("stopped", "before it began"))
            if host.lost:
                return self._refuse(portal, Problem("lease", host.lost))
            with await self._take(name_portal(portal.id)) as lease:
                return await self._crawl_portal(portal, (host, lease))
        except LeaseHeld as held:
            return self._refuse(portal, Problem("busy", str(held)))
        except (ArchiveError, DatabaseError, OSError) as error:
            logger.error("%s: the run broke off: %s", portal.id, error)
            return self._refuse(portal, Problem("errors", str(error)))
        except Exception as error:  # whatever a portal brought about ends its own run, and no other
            logger.exception("%s: the run broke off", portal.id)
            run = self._refuse(portal, Problem("errors", f"the run broke off: {type(error).__name__}: {error}"))
            if not self.orders[portal.id].dry_run:
                self._save(run)
            return run

    def _find_delay(self, portal: Portal) -> float:
        """Seconds between two requests, for all that is known before the run."""
        kept = self._robots.find(find_host(portal.url))
        return max(find_delay(self.config, portal), find_crawl_delay(kept, self.config.user_agent))

    async def _crawl_portal(self, portal: Portal, leases: Sequence[Lease]) -> Run:
        order, started = self.orders[portal.id], self._start_time(portal)
        tally = Tally()
        known, unfinished = self.repository.load_known(portal.id), self.repository.find_years(portal.id)
        years = {*unfinished, *portal.fiscal_years(self._time())}  # those of the clock, too, where ``started`` is ahead
        visit = make_visit(portal, order, started, known, years)
        settings = make_settings(self.config, portal)
        settings.set("DOWNLOAD_DELAY", self._find_delay(portal))
        crawler = Crawler(self._runner.spider_loader.load(portal.family), settings)
        with ExitStack() as stack:
            archive = Archive(self.config.archive_folder, self.repository)
            # Set one by one on the crawler: it takes a deep copy of the settings it is made with.
            for name, value in {
                "WARTA_VISIT": visit,
                "WARTA_TALLY": tally,
                "WARTA_REPOSITORY": self.repository,
                "WARTA_ROBOTS": self._robots,
                "WARTA_DRY_RUN": order.dry_run,
                "WARTA_ARCHIVE": None
                if order.dry_run
                else stack.enter_context(archive.open_run(portal.id, started, order.as_text())),
            }.items():
                crawler.settings.set(name, value)
            requests, reason = await self._run_spider(portal, crawler, tally, leases)
        # The next run on the host keeps the delay, too.
        if isinstance(crawler.spider, PortalSpider):
            self._asked[portal.host] = max(self._asked.get(portal.host, 0.0), crawler.spider.asked)
        stopped = reason == "shutdown" and self._stopped.is_set()
        if stopped:
            tally.report(Problem("stopped", "before its end; what was read is kept, and it is due again"))
            reason = "finished"
        run = tally.finish(visit, self._time(), requests, reason, narrowed=order.narrowed)
        if not (order.dry_run or stopped):
            self._save(run)
        return _log(run)

    def _save(self, run: Run) -> None:
        """What was read is kept, whether or not the run can be."""
        try:
            self.repository.save_run(run)
        except DatabaseError as error:
            logger.error("%s: this run is not kept: %s", run.portal, error)

    async def _run_spider(
        self, portal: Portal, crawler: Crawler, tally: Tally, leases: Sequence[Lease]
    ) -> tuple[int, str]:
        """The spider's run; the number of requests it sent and Scrapy's finish reason."""
        if self.on_progress:
            tally.on_change = partial(self.on_progress, portal, tally)
        crawling = asyncio.ensure_future(self._runner.crawl(crawler))
        try:
            lost = ""
            while not (await asyncio.wait({crawling}, timeout=WATCHED_EVERY))[0]:
                if not lost and (lost := next((lease.lost for lease in leases if lease.lost), "")):
                    tally.report(Problem("lease", lost))
                self._watch(crawler, stopped=bool(lost) or self._stopped.is_set())
            await crawling
        except Exception as error:
            logger.exception("%s: the run broke off", portal.id)
            tally.report(Problem("errors", f"the run broke off: {type(error).__name__}: {error}"))
        stats = crawler.stats.get_stats() if crawler.stats else {}
        return stats.get("downloader/request_count", 0), stats.get("finish_reason", "broke off")

    def _watch(self, crawler: Crawler, *, stopped: bool) -> None:
        """Brings a run that must end to its end.

        Scrapy passes over a stop that comes while the spider is opened. It closes once all items are taken in, but
        looks for that when closing begins and after responses to callbacks, of which there are none here: if an item
        is under way just then, it would wait for ever.
        """
        engine = crawler.engine
        if engine is None:
            return
        if stopped and engine.running:
            self._stops.append(asyncio.ensure_future(engine.stop_async()))
        slot = engine.scraper.slot
        if slot and slot.closing and not slot.closing.called and slot.is_idle() and engine.spider:
            slot.closing.callback(engine.spider)

    def _refuse(self, portal: Portal, problem: Problem) -> Run:
        """A run that never began. Of a busy host it is not kept: the run that holds the host tells how it went."""
        tally = Tally()
        tally.report(problem)
        now = self._time()
        return _log(tally.finish(make_visit(portal, self.orders[portal.id], now, {}), now, 0, "finished"))


def _log(run: Run) -> Run:
    """The run's one line in the log."""
    logger.info("run", extra={FIELDS: {"sweep": run.sweep, **run.as_dict()}})
    return run


class _Signals:
    """While entered, the first SIGINT or SIGTERM calls ``stop``; a second one ends the process as usual."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._signals = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                asyncio.get_running_loop().add_signal_handler(number, self._caught)

    def _caught(self) -> None:
        self._release()
        logger.warning("stopping: what was read is kept; once more to stop at once")
        self._stop()

    def _release(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                asyncio.get_running_loop().remove_signal_handler(number)

    def __exit__(self, *raised: object) -> None:
        self._release()
