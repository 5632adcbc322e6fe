"""A worker: takes jobs from the queue on PostgreSQL, each the run of one portal in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from procrastinate import App, BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, JobAborted
from procrastinate.jobs import Job, Status

from aggregator.config import Config, ConfigError, Portal, load_config
from aggregator.database import DatabaseError
from aggregator.lines import FIELDS, mask_secrets, one_line
from aggregator.models import Sweep
from aggregator.queue import (
    CRAWL,
    DEAD_AFTER,
    PUBLISH,
    RUNNING,
    WAITING,
    count_left,
    find_jobs,
    forget_ended,
    was_read,
)
from aggregator.queue_connection import SteadyConnector, WakingManager
from aggregator.repository import Repository
from aggregator.runs import find_due
from commands.children import Child, Ended, Outcome, judge_crawl, judge_exit

MOST_DEATHS = 10  # tries after which a job whose worker died again is given up: it may be what kills them
MOST_FAILURES = 5  # times in a row that the worker may break off without having taken a job
KEPT = timedelta(days=7)  # how long failed and cancelled jobs are shown

DIED = "its worker died"

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_SCHEDULE, _FORGET = "schedule", "forget"
_LOCK = ":"  # in front of locks that are of no host and no portal
_QUIET = {"job_error", "job_error_retry"}  # procrastinate's own words on what is told in one line here

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker looks around, in seconds. ``cron`` as procrastinate has it: a sixth field is seconds.

    ``retry`` stretches or shortens the waits of WAITS.
    """

    look: float = 5.0
    heartbeat: float = 5.0
    dead_after: float = DEAD_AFTER
    publish_after: float = 60.0
    retry: float = 1.0
    cron: str = "* * * * *"


# How a job ended: seconds until the next try, times what for each one after, and how many tries in all. A portal that
# was read badly is read again by its own `every`, too, so it is not asked for more than twice in between; one that put
# up a browser check is not asked again.
WAITS = {
    "broke": (60.0, 2.0, 5),
    "failed": (300.0, 3.0, 3),
    "busy": (30.0, 1.0, 40),
    "stopped": (0.0, 1.0, 1000),
}


def find_wait(ending: str, tries: int) -> float | None:
    """Seconds until a job is tried again that ended so for the ``tries``-th time; None: it stays failed."""
    if ending not in WAITS:
        return None
    first, factor, most = WAITS[ending]
    return first * factor ** (tries - 1) if tries < most else None


def rank(due: datetime) -> int:
    """A job's priority: whichever could run first goes first.

    procrastinate lets no job pass an earlier one of its lock, even one whose next try is an hour away: among equals a
    portal that failed would hold up all portals of its host.
    """
    return -int((due - _EPOCH).total_seconds())


class Unfinished(Exception):
    """A job that did not go well; ``outcome`` tells how."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.why)
        self.outcome = outcome


class _Retries(BaseRetryStrategy):
    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):
            return None
        ending = exception.outcome.ending if isinstance(exception, Unfinished) else "broke"
        wait = find_wait(ending, job.attempts + 1)
        if wait is None:
            return None
        due = datetime.now(UTC) + timedelta(seconds=wait * self._pace.retry)
        return RetryDecision(retry_at=due, priority=rank(due))


def make_app(connector: BaseConnector) -> App:
    """procrastinate's app, to put jobs into the queue and to look after them."""
    app = App(connector=connector)
    app.job_manager = WakingManager(connector)
    return app


def order_crawl(
    portal: Portal, sweep: Sweep, now: datetime, *, by_hand: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """How the crawl of a portal is put into the queue: options of configure_task, and the job's arguments.

    One ordered ``by_hand`` is done in quiet hours, too.
    """
    options = {"queue": CRAWL, "lock": portal.host, "queueing_lock": portal.id, "priority": rank(now)}
    return options, {"portal": portal.id, "sweep": str(sweep), "asked": now.isoformat(), "by_hand": by_hand}


def order_publish(wait: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same of a publish, ``wait`` seconds from now."""
    lock = _LOCK + PUBLISH
    return {"queue": PUBLISH, "lock": lock, "queueing_lock": lock, "schedule_in": {"seconds": wait}}, {}


class Worker:
    """One worker of the configuration at ``path``. ``run`` takes jobs until the worker is stopped."""

    def __init__(self, path: Path, repository: Repository, pace: Pace) -> None:
        self._path = path.absolute()
        self._engine = repository.engine
        self._repository = repository
        self._pace = pace
        self._config = load_config(path)
        _silence()
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._connector = SteadyConnector(self._config.database_url)
        self._app = make_app(self._connector)
        self._children: set[Child] = set()
        self._taken: set[int] = set()
        self._stopping = False
        self._failures = 0
        self._working: asyncio.Future[None] | None = None
        self._register()

    @property
    def _jobs(self) -> WakingManager:
        manager = self._app.job_manager
        if not isinstance(manager, WakingManager):
            raise TypeError("the app was not made by make_app")
        return manager

    def _register(self) -> None:
        app, retry = self._app, _Retries(self._pace)
        app.task(name=CRAWL, queue=CRAWL, pass_context=True, retry=retry)(self._crawl)
        app.task(name=PUBLISH, queue=PUBLISH, pass_context=True, retry=retry)(self._publish)
        for name, task, cron in ((_SCHEDULE, self._schedule, self._pace.cron), (_FORGET, self._forget, "7 * * * *")):
            lock = _LOCK + name
            app.periodic(cron=cron)(app.task(name=name, queue=CRAWL, lock=lock, queueing_lock=lock)(task))

    def may_read(self, portal_id: str, *, by_hand: bool = False) -> bool:
        """Whether the portal still stands in warta.toml, and these are none of its quiet hours, unless ``by_hand``."""
        now = datetime.now(UTC)
        portal = next((portal for portal in self._load_config().portal if portal.id == portal_id), None)
        return portal is not None and portal.enabled and (by_hand or portal.quiet.find_end(now) <= now)

    # Working -----------------------------------------------------------------------------------------------

    async def run(self, at_once: int, *, publishes: bool, drain: bool) -> None:
        """Takes jobs, ``at_once`` side by side, until it is told to stop; ``drain``: until nothing is left."""
        async with self._app.open_async():
            self._listen_for_signals()
            await self._schedule(0)
            tasks = [CRAWL, PUBLISH] if publishes else [CRAWL]  # each in a queue of its name
            besides = [asyncio.ensure_future(self._reap())]
            if drain:
                besides.append(asyncio.ensure_future(self._drain(tasks)))
            while not self._stopping:
                await self._work(at_once, tasks)
            for task in besides:
                task.cancel()
            await asyncio.gather(*besides, return_exceptions=True)

    async def _work(self, at_once: int, queues: list[str]) -> None:
        """procrastinate's worker, until it ends: when it is told to, or by an error."""
        pace = self._pace
        self._working = asyncio.ensure_future(
            self._app.run_worker_async(
                queues=queues,
                name=self._name,
                concurrency=at_once,
                fetch_job_polling_interval=pace.look,
                abort_job_polling_interval=pace.look,
                delete_jobs="successful",  # runs tell what went well
                install_signal_handlers=False,
                update_heartbeat_interval=pace.heartbeat,
                stalled_worker_timeout=10 * pace.dead_after,
                worker_middleware=[self._note_taken],
            )
        )
        await asyncio.wait({self._working})
        if not self._stopping:
            error = None if self._working.cancelled() else self._working.exception()
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                raise DatabaseError(f"the queue cannot be worked at: {(error and error.__cause__) or error}")
            logger.error("the worker begins anew: %s", (error and error.__cause__) or error)
            await asyncio.sleep(pace.look)

    async def _note_taken(self, go_on: Callable[[], Awaitable[Any]], context: JobContext, _worker: object) -> Any:
        number = context.job.id or 0
        self._taken.add(number)
        self._failures = 0
        try:
            return await go_on()
        finally:
            self._taken.discard(number)

    def _listen_for_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._caught)

    def _caught(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)  # once more ends this process, and the kernel its children
        logger.warning("stopping: runs under way finish what they read; once more to stop at once")
        self._stop()

    def _stop(self) -> None:
        self._stopping = True
        for child in self._children:
            child.stop()
        if self._working:
            self._working.cancel()

    async def _drain(self, tasks: Sequence[str]) -> None:
        """Stops the worker once nothing is left, neither here nor at another worker."""
        while True:
            await asyncio.sleep(self._pace.look / 2)
            try:
                if await asyncio.to_thread(count_left, self._engine, tasks) == 0:
                    break
            except DatabaseError as error:
                logger.warning("%s", error)
        self._stop()

    # Tasks -------------------------------------------------------------------------------------------------

    async def _crawl(
        self,
        context: JobContext,
        /,
        portal: str,
        sweep: str,
        asked: str,
        by_hand: bool = False,
        why: str = "",
        **_told: str,
    ) -> None:
        job = context.job
        if not self.may_read(portal, by_hand=by_hand):
            logger.info("job=%s portal=%s: it is not to be read now", job.id, portal)
            return  # once it may be read it is due, and is put into the queue again
        since = datetime.fromisoformat(asked)
        if why in ("", DIED) and await asyncio.to_thread(was_read, self._engine, portal, since):
            return  # by a twin, taken just when this one was ordered, or by its own worker, which then died
        try:
            await self._run_child(job, ["crawl", portal, "--sweep", sweep, "--json"], judge_crawl)
        finally:
            await self._order_publish(job)
        await asyncio.to_thread(forget_ended, self._engine, CRAWL, portal)

    async def _publish(self, context: JobContext, /, **_told: str) -> None:
        await self._run_child(context.job, ["publish"], judge_exit)
        await asyncio.to_thread(forget_ended, self._engine, PUBLISH)
        if self._load_config().notify:  # who cannot be told now is told next time: the publish was good all the same
            await self._run_child(context.job, ["notify"], lambda ended: Outcome("done", judge_exit(ended).why))

    async def _run_child(self, job: Job, arguments: Sequence[str], judge: Callable[[Ended], Outcome]) -> None:
        """Runs a verb. Unfinished when it did not go well, JobAborted when the job was cancelled."""
        began = time.monotonic()
        await self._jobs.note(job.id, worker=self._name)
        child = await Child.start(self._path, arguments)
        self._children.add(child)
        if self._stopping:
            child.stop()
        waiting = asyncio.ensure_future(child.wait())
        try:
            ended = await asyncio.shield(waiting)
            outcome = judge(ended)
            if self._stopping and outcome.ending != "done":
                outcome = Outcome("stopped", f"its worker was stopped; {outcome.why}")
        except asyncio.CancelledError:
            child.stop()
            await waiting
            outcome = Outcome("cancelled", "cancelled by warta queue")
        finally:
            self._children.discard(child)
        why = one_line(mask_secrets(outcome.why))
        told = {"job": job.id, "verb": arguments[0], "portal": job.task_kwargs.get("portal", "")}
        told |= {"ended": outcome.ending, "try": job.attempts + 1, "seconds": round(time.monotonic() - began, 1)}
        logger.info("job", extra={FIELDS: told | {"why": why}})
        if outcome.ending == "done":
            return
        await self._jobs.note(job.id, why=why)
        if outcome.ending == "cancelled":
            raise JobAborted(why)
        raise Unfinished(outcome)

    async def _order_publish(self, job: Job) -> None:
        """A publish in a while, which tells of all crawls that end until then; at once after the last of them."""
        await self._defer(PUBLISH, *order_publish(self._pace.publish_after))
        await self._jobs.hurry_publish(job.id)

    async def _defer(self, task: str, options: dict[str, Any], arguments: dict[str, Any]) -> None:
        try:
            await self._app.configure_task(task, **options).defer_async(**arguments)
        except AlreadyEnqueued:
            logger.debug("%s %s waits already", task, arguments)

    async def _schedule(self, timestamp: int) -> None:
        """Puts what is due into the queue; ``timestamp`` is procrastinate's and does not matter."""
        now = datetime.now(UTC)
        for portal, sweep in await asyncio.to_thread(self._find_due, now):
            await self._defer(CRAWL, *order_crawl(portal, sweep, now))

    def _find_due(self, now: datetime) -> list[tuple[Portal, Sweep]]:
        """What is due, but for portals that wait or run already, or whose job ended badly less than ``every`` ago."""
        config = self._load_config()
        jobs = find_jobs(self._engine)
        under_way = {job.portal for job in jobs if job.state in (WAITING, RUNNING)}
        ended = {job.portal: job.since for job in jobs if job.portal not in under_way}
        due = find_due(config.portal, self._repository.find_last_runs(), now)
        return [
            (portal, sweep)
            for portal, sweep in due
            if portal.id not in under_way and (portal.id not in ended or now - ended[portal.id] >= portal.every)
        ]

    def _load_config(self) -> Config:
        """warta.toml as it is now; as it was last time while somebody is writing it."""
        try:
            self._config = load_config(self._path)
        except ConfigError as error:
            logger.warning("%s", error)
        return self._config

    async def _forget(self, timestamp: int) -> None:
        hours = int(KEPT / timedelta(hours=1))
        await self._jobs.delete_old_jobs(hours, include_failed=True, include_cancelled=True, include_aborted=True)

    # Dead workers ------------------------------------------------------------------------------------------

    async def _reap(self) -> None:
        """Gives back jobs that nobody works at: of workers that died, and of this one where it lost sight of them."""
        missed: set[int] = set()
        while True:
            await asyncio.sleep(self._pace.look)
            if time.monotonic() - self._connector.trouble < self._pace.dead_after:
                missed = set()  # nobody's heart could be heard while the database was away
                continue
            try:
                for job in await self._jobs.get_stalled_jobs(seconds_since_heartbeat=self._pace.dead_after):
                    await self._give_back(job)
                mine = await self._jobs.list_jobs_async(status="doing", worker_id=self._jobs.worker_id or 0)
                lost = {job.id: job for job in mine if job.id is not None and job.id not in self._taken}
                for number in missed & set(lost):  # twice in a row: not one that is just begun or ended
                    await self._give_back(lost[number])
                missed = set(lost) - missed
                await self._jobs.prune_stalled_workers(10 * self._pace.dead_after)
            except ConnectorException as error:
                logger.warning("dead workers could not be looked for: %s", error.__cause__ or error)

    async def _give_back(self, job: Job) -> None:
        logger.warning("job=%s portal=%s: its worker died", job.id, job.task_kwargs.get("portal", ""))
        try:
            if job.attempts + 1 >= MOST_DEATHS:
                await self._jobs.note(job.id, why=f"its workers died {MOST_DEATHS} times")
                await self._jobs.finish_job(job, Status.FAILED, delete_job=False)
            else:
                await self._jobs.note(job.id, why=DIED)
                await self._jobs.retry_job(job)
        except ConnectorException as error:
            logger.info("job=%s: another worker was faster: %s", job.id, error.__cause__)


def _silence() -> None:
    """procrastinate tells of each job that ends badly the way through its own code."""
    logging.getLogger("procrastinate.worker").addFilter(lambda record: getattr(record, "action", "") not in _QUIET)
