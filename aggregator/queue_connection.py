"""procrastinate's connection to PostgreSQL, which outlives a restart of the database."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from procrastinate import PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Status
from procrastinate.manager import JobManager, get_channel_for_queues
from psycopg_pool import PoolClosed

from aggregator.queue import CRAWL, PUBLISH

AGAIN = 1.0  # seconds between two tries to reach the database

_NOTE = "UPDATE procrastinate_jobs SET args = args || %(told)s WHERE id = %(id)s"
_HURRY = """
    UPDATE procrastinate_jobs SET scheduled_at = now()
    WHERE task_name = 'publish' AND status = 'todo' AND attempts = 0 AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs other WHERE other.task_name = 'crawl' AND other.id <> %(id)s
        AND (other.status = 'doing' OR (other.status = 'todo' AND (other.attempts = 0 OR other.scheduled_at <= now())))
    )
"""
logger = logging.getLogger(__name__)
T = TypeVar("T")


class SteadyConnector(PsycopgConnector):
    """Asks again, for as long as it takes, where the database cannot be reached.

    procrastinate's worker ends when a heartbeat, a fetch or the note that a job is done fails once. Repeating is safe:
    a job deferred twice is stopped by its queueing lock, one fetched without an answer is found by its worker.
    """

    def __init__(self, address: str) -> None:
        super().__init__(conninfo=_render_conninfo(address), min_size=1, max_size=4)
        self.trouble = 0.0  # when the database was last out of reach, on the monotonic clock

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        await self._insist(lambda: super(SteadyConnector, self).execute_query_async(query, **arguments))

    async def execute_query_one_async(self, query: Any, **arguments: Any) -> dict[str, Any]:
        return await self._insist(lambda: super(SteadyConnector, self).execute_query_one_async(query, **arguments))

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        return await self._insist(lambda: super(SteadyConnector, self).execute_query_all_async(query, **arguments))

    async def listen_notify(self, on_notification: Any, channels: Iterable[str]) -> None:
        await self._insist(lambda: super(SteadyConnector, self).listen_notify(on_notification, channels))

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await ask()
            except (ConnectorException, psycopg.OperationalError) as error:
                cause = error.__cause__ or error
                if not isinstance(cause, psycopg.OperationalError) or isinstance(cause, PoolClosed):
                    raise
                if time.monotonic() - self.trouble > 60:
                    logger.warning("the database of the queue is out of reach, asking again: %s", cause)
                self.trouble = time.monotonic()
                await asyncio.sleep(AGAIN)


class WakingManager(JobManager):
    """Tells all workers when a job ended, and knows under which number the database keeps this one.

    procrastinate wakes them for new jobs only: what waited for the lock of the job would wait for the next poll.
    """

    worker_id: int | None = None

    async def register_worker(self) -> int:
        self.worker_id = await super().register_worker()
        return self.worker_id

    async def finish_job_by_id_async(self, job_id: int, status: Status, delete_job: bool) -> None:
        await super().finish_job_by_id_async(job_id, status, delete_job)
        await self._wake(job_id)

    async def retry_job_by_id_async(self, job_id: int, *again: Any, **options: Any) -> None:
        """A job whose twin waits fails instead: the twin takes its place, and it lets go of its host."""
        try:
            await super().retry_job_by_id_async(job_id, *again, **options)
        except UniqueViolation:
            await self.note(job_id, why="a later job takes its place")
            await self.finish_job_by_id_async(job_id, Status.FAILED, delete_job=False)
        else:
            await self._wake(job_id)

    async def note(self, job_id: int | None, **told: str) -> None:
        """Keeps something with the job, for `warta queue`; each try is given it again."""
        await self.connector.execute_query_async(_NOTE, told=told, id=job_id)

    async def hurry_publish(self, job_id: int | None) -> None:
        """Has the publish that waits done at once, where this job is the last crawl for now."""
        await self.connector.execute_query_async(_HURRY, id=job_id)

    async def _wake(self, job_id: int) -> None:
        told = json.dumps({"type": "job_inserted", "job_id": job_id})
        for queue in (CRAWL, PUBLISH):
            (channel,) = get_channel_for_queues([queue])
            query = "SELECT pg_notify(%(channel)s, %(told)s)"
            await self.connector.execute_query_async(query, channel=channel, told=told)


def make_sync_connector(address: str) -> SyncPsycopgConnector:
    """For verbs that ask the queue once."""
    return SyncPsycopgConnector(conninfo=_render_conninfo(address), min_size=1, max_size=1)


def _render_conninfo(address: str) -> str:
    """SQLAlchemy's address as libpq takes it."""
    return sa.make_url(address).set(drivername="postgresql").render_as_string(hide_password=False)
