"""The queue of crawl and publish jobs on PostgreSQL: procrastinate's tables, made once, and what stands in them.

Workers and their rules are in commands/working.py. On SQLite there is no queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.database import DatabaseError, reading, runs, writing

CRAWL = "crawl"
PUBLISH = "publish"
DEAD_AFTER = 20.0  # seconds without a heartbeat after which a worker counts as dead

# procrastinate's words for the states of a job: ours. Jobs that went well are removed; runs tell of them.
STATES = {"todo": "waiting", "doing": "running", "failed": "failed", "cancelled": "cancelled", "aborted": "cancelled"}
WAITING, RUNNING, FAILED, CANCELLED = "waiting", "running", "failed", "cancelled"

_MARK = "procrastinate "  # the comment on its table: this and the last step of its migrations


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job. ``portal`` is empty for a publish; ``sweep`` is that of the crawl.

    ``since`` is when it came into its state, ``due`` when a waiting one may run; ``tries`` ended without success so
    far; ``worker`` is machine:process of the last that took it; ``why`` is what the last try said.
    """

    id: int
    task: str
    portal: str
    sweep: str
    state: str
    since: datetime
    due: datetime | None
    tries: int
    worker: str
    why: str

    def as_dict(self) -> dict[str, Any]:
        """What `warta queue --json` prints; times in UTC."""
        return {
            "id": self.id,
            "task": self.task,
            "portal": self.portal or None,
            "sweep": self.sweep or None,
            "state": self.state,
            "since": self.since.isoformat(),
            "due": self.due.isoformat() if self.due else None,
            "tries": self.tries,
            "worker": self.worker or None,
            "why": self.why or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How the queue stands: jobs by state, since when the oldest could have run, and the workers alive."""

    jobs: dict[str, int] = field(default_factory=dict)
    oldest_waiting: datetime | None
    workers: int


# Tables ---------------------------------------------------------------------------------------------------


def prepare_queue(engine: Engine) -> None:
    """Makes procrastinate's tables, or brings them up to date; two workers that start at once wait for each other.

    DatabaseError when they were made by a later version of procrastinate than the one installed.
    """
    steps = _steps()
    with writing(engine) as connection:
        if not _has_tables(connection):
            schema = resources.files("procrastinate.sql").joinpath("schema.sql").read_text(encoding="utf-8")
            _run_script(connection, schema)
        else:
            for step in _missing_steps(engine, _mark(connection), list(steps)):
                _run_script(connection, steps[step])
        _run_script(connection, f"COMMENT ON TABLE procrastinate_jobs IS '{_MARK}{list(steps)[-1]}'")


def _steps() -> dict[str, str]:
    """procrastinate's migrations by name, oldest first."""
    folder = resources.files("procrastinate.sql").joinpath("migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return {file.name.removesuffix(".sql"): file.read_text(encoding="utf-8") for file in files}


def _missing_steps(engine: Engine, made: str, steps: list[str]) -> list[str]:
    if made in steps:
        return steps[steps.index(made) + 1 :]
    raise DatabaseError(
        f"the queue in {engine.url.render_as_string()} was made by a newer procrastinate ({made or 'not told which'}, "
        f"this one knows {steps[-1]}): install the version of this program that made it"
    )


def _has_tables(connection: Connection) -> bool:
    return connection.execute(sa.text("SELECT to_regclass('procrastinate_jobs')")).scalar() is not None


def _mark(connection: Connection) -> str:
    comment = connection.execute(sa.text("SELECT obj_description('procrastinate_jobs'::regclass, 'pg_class')")).scalar()
    return str(comment or "").removeprefix(_MARK)


def _run_script(connection: Connection, script: str) -> None:
    # Several statements in one text, which may hold a %: only without parameters.
    connection.execution_options(no_parameters=True).exec_driver_sql(script)


# Looking --------------------------------------------------------------------------------------------------

# Since when a job is in its state. A try that is put off is noted at its time to come, under 'scheduled'.
_JOBS = sa.text("""
    SELECT j.id, j.task_name, j.args, j.status::text, j.attempts, j.scheduled_at,
           (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id AND e.type <> 'scheduled')
    FROM procrastinate_jobs j
    WHERE j.task_name IN ('crawl', 'publish') AND j.status <> 'succeeded'
    ORDER BY j.priority DESC, j.id
""")

_LEFT = sa.text("""
    SELECT count(*) FROM procrastinate_jobs
    WHERE task_name = ANY(:tasks)
    AND (status = 'doing' OR (status = 'todo' AND (attempts = 0 OR scheduled_at <= now())))
""")

_FORGET = sa.text("""
    DELETE FROM procrastinate_jobs
    WHERE task_name = :task AND coalesce(args->>'portal', '') = :portal
    AND status IN ('failed', 'cancelled', 'aborted')
""")

_ALIVE = sa.text("""
    SELECT count(*), now() FROM procrastinate_workers WHERE last_heartbeat > now() - :age * interval '1 second'
""")


def find_jobs(engine: Engine) -> list[Job]:
    """All jobs that have not gone well, in the order in which they are taken."""
    if engine.dialect.name != "postgresql":
        return []
    with reading(engine) as connection:
        rows = connection.execute(_JOBS).all() if _has_tables(connection) else []
    return [_parse_job(*row) for row in rows]


def _parse_job(
    number: int,
    task: str,
    args: dict[str, Any],
    status: str,
    tries: int,
    scheduled: datetime | None,
    moved: datetime,
) -> Job:
    state = STATES[status]
    return Job(
        id=number,
        task=task,
        portal=args.get("portal", ""),
        sweep=args.get("sweep", ""),
        state=state,
        since=moved,
        due=(scheduled or moved) if state == WAITING else None,
        tries=tries,
        worker=args.get("worker", "") if state != WAITING else "",
        why=args.get("why", ""),
    )


def find_queue(engine: Engine) -> Queue | None:
    """How the queue stands; None where there is none: on SQLite, or before the first worker."""
    if engine.dialect.name != "postgresql":
        return None
    with reading(engine) as connection:
        if not _has_tables(connection):
            return None
        jobs = [_parse_job(*row) for row in connection.execute(_JOBS)]
        workers, now = connection.execute(_ALIVE, {"age": DEAD_AFTER}).one()
    counts = {state: sum(job.state == state for job in jobs) for state in (WAITING, RUNNING, FAILED, CANCELLED)}
    waiting = [job.due for job in jobs if job.state == WAITING and job.due and job.due <= now]
    return Queue(jobs=counts, oldest_waiting=min(waiting, default=None), workers=workers)


def count_left(engine: Engine, tasks: Sequence[str]) -> int:
    """Jobs of these tasks that run or wait, but for those that wait for the time of their next try."""
    with reading(engine) as connection:
        return int(connection.execute(_LEFT, {"tasks": list(tasks)}).scalar_one())


def was_read(engine: Engine, portal: str, since: datetime) -> bool:
    """Whether the portal's last run began after ``since``; one in the future was told by a clock that was wrong."""
    newest = sa.select(runs.c.started, runs.c.finished).where(runs.c.portal == portal).order_by(runs.c.id.desc())
    with reading(engine) as connection:
        last = connection.execute(newest.limit(1)).one_or_none()
    return last is not None and since < min(last.started, last.finished) <= datetime.now(UTC)


# Writing --------------------------------------------------------------------------------------------------


def forget_ended(engine: Engine, task: str, portal: str = "") -> None:
    """Removes failed and cancelled jobs of a task (and portal): a later one went well, or takes their place."""
    with writing(engine) as connection:
        connection.execute(_FORGET, {"task": task, "portal": portal})
