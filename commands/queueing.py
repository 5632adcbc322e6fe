"""Verbs of the queue on PostgreSQL: the worker, and what it has to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from aggregator.config import DATABASE_URL, Config, load_config
from aggregator.lines import count
from commands.asking import open_repository
from commands.terminal import AsJson, UsageMistake, out, print_json, tell_time, tell_zone

if TYPE_CHECKING:
    from procrastinate import App

    from aggregator.queue import Job
    from aggregator.repository import Repository

Which = Annotated[str, typer.Argument(metavar="JOB|PORTAL", help="A job's number, or a portal's id.")]

queue = typer.Typer(
    help="Shows and controls the queue of the workers: waiting, running, failed, next.",
    no_args_is_help=False,
    rich_markup_mode="rich",
)


def worker(
    context: typer.Context,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Portals read side by side, each by its own process.")] = 4,
    no_publish: Annotated[
        bool, typer.Option("--no-publish", help="Leave publishing to workers of the machine that is served.")
    ] = False,
    drain: Annotated[bool, typer.Option("--drain", help="End once nothing is left to do.")] = False,
) -> None:
    """Takes jobs from the queue until Ctrl-C or SIGTERM: reads what is due, publishes, tells. PostgreSQL only.

    Any number of workers, on any number of machines, share the work; no two read one host at the same time.

    [dim]WARTA_DATABASE_URL=postgresql+psycopg://warta@db.example.go.id/warta warta worker --jobs 8[/]
    """
    config = load_config(context.obj)
    repository = open_queue(config)
    from commands.working import Pace, Worker

    asyncio.run(Worker(context.obj, repository, Pace()).run(jobs, publishes=not no_publish, drain=drain))


def open_queue(config: Config) -> Repository:
    """The database with its queue, made where there is none. UsageMistake on SQLite, which has none."""
    from aggregator.queue import prepare_queue

    if config.database_url.startswith("sqlite"):
        raise UsageMistake(
            f"workers need PostgreSQL, and the database is SQLite: name one in {DATABASE_URL}, as in "
            "postgresql+psycopg://warta@localhost/warta, or call 'warta run --due' from a timer"
        )
    repository = open_repository(config)
    prepare_queue(repository.engine)
    return repository


@queue.callback(invoke_without_command=True)
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Shows and controls the queue of the workers: waiting, running, failed, cancelled, and what is due next."""
    if context.invoked_subcommand:
        return
    from aggregator.queue import find_jobs, find_queue

    config = load_config(context.obj)
    repository = open_queue(config)
    jobs, stands = find_jobs(repository.engine), find_queue(repository.engine)
    told: dict[str, Any] = {
        "workers": stands.workers if stands else 0,
        "jobs": [job.as_dict() for job in jobs],
        "next": _find_next(config, repository, jobs),
    }
    if as_json:
        print_json(told)
    else:
        _print_queue(told, ZoneInfo(config.publisher.timezone))


@queue.command("add")
def add(context: typer.Context, portal: Annotated[str, typer.Argument(metavar="PORTAL", help="Its id.")]) -> None:
    """Has a portal read as soon as its host is free, whenever it is due."""
    config = load_config(context.obj)
    out.print(f"Job {_defer(config, open_queue(config), portal)} waits: {portal}.")


@queue.command("retry")
def retry(context: typer.Context, which: Which) -> None:
    """Has a job that failed, was cancelled or waits for its next try done as soon as its host is free."""
    from aggregator.queue import CANCELLED, FAILED, RUNNING, WAITING, forget_ended

    config = load_config(context.obj)
    repository = open_queue(config)
    job = _find_job(repository, which, (FAILED, CANCELLED, WAITING, RUNNING))
    if job.state == RUNNING:
        raise UsageMistake(f"job {job.id} ({job.portal or job.task}) runs at this moment: there is nothing to retry")
    _cancel(config, job.id)
    forget_ended(repository.engine, job.task, job.portal)
    number = _defer(config, repository, job.portal)
    out.print(f"Job {number} waits: {job.portal or job.task}.")


@queue.command("cancel")
def cancel(context: typer.Context, which: Which) -> None:
    """Takes a waiting job out of the queue, or ends a running one: it finishes the page that it reads.

    The portal is put into the queue again when its `every` has passed. To leave it out for good: enabled = false.
    """
    from aggregator.queue import CANCELLED, FAILED, RUNNING, WAITING

    config = load_config(context.obj)
    job = _find_job(open_queue(config), which, (RUNNING, WAITING, FAILED, CANCELLED))
    if job.state not in (WAITING, RUNNING) or not _cancel(config, job.id):
        raise UsageMistake(f"job {job.id} ({job.portal or job.task}) neither waits nor runs: it is {job.state}")
    said = "is asked to end" if job.state == RUNNING else "is cancelled"
    out.print(f"Job {job.id} {said}: {job.portal or job.task}.")


def _find_job(repository: Repository, which: str, states: Sequence[str]) -> Job:
    """The job of that number or portal (or publish), by its state the first of ``states``."""
    from aggregator.queue import PUBLISH, find_jobs

    jobs = find_jobs(repository.engine)
    found = [job for job in jobs if which in (job.portal, str(job.id)) or (which == job.task == PUBLISH)]
    if not found:
        known = ", ".join(f"{job.id} ({job.portal or job.task})" for job in jobs[:10]) or "none"
        raise UsageMistake(f"no job {which!r} in the queue; it has: {known}{' …' if len(jobs) > 10 else ''}")
    return min(found, key=lambda job: states.index(job.state))


def _find_next(config: Config, repository: Repository, jobs: Sequence[Job]) -> dict[str, str] | None:
    """The portal that is due next, of those that are not in the queue."""
    from aggregator.queue import RUNNING, WAITING
    from aggregator.runs import find_next

    last, now = repository.find_last_runs(), datetime.now(UTC)
    queued = {job.portal for job in jobs if job.state in (WAITING, RUNNING)}
    times = [
        (*find_next(portal, last.get(portal.id), now), portal)
        for portal in config.portal
        if portal.enabled and portal.id not in queued
    ]
    if not times:
        return None
    at, sweep, portal = min(times, key=lambda time: time[0])
    return {"portal": portal.id, "sweep": sweep, "at": max(at, now).astimezone(portal.zone).isoformat("T", "seconds")}


@contextmanager
def _asking(config: Config) -> Iterator[App]:
    from aggregator.queue_connection import make_sync_connector
    from commands.working import make_app

    with make_app(make_sync_connector(config.database_url)).open() as app:
        yield app


def _cancel(config: Config, number: int) -> bool:
    """Takes a waiting job out, asks for the end of a running one; False where it is in neither state."""
    with _asking(config) as app:
        return app.job_manager.cancel_job_by_id(number, abort=True)


def _defer(config: Config, repository: Repository, portal_id: str) -> int:
    """Puts the crawl of a portal into the queue, or a publish where none is named; the job's number."""
    from procrastinate.exceptions import AlreadyEnqueued

    from aggregator.queue import CRAWL, PUBLISH
    from aggregator.runs import find_next
    from commands.working import order_crawl, order_publish

    now = datetime.now(UTC)
    if portal_id:
        portal = config.find_portal(portal_id)
        _, sweep = find_next(portal, repository.find_last_runs().get(portal.id), now)
        task, (options, arguments) = CRAWL, order_crawl(portal, sweep, now, by_hand=True)
    else:
        task, (options, arguments) = PUBLISH, order_publish(0.0)
    with _asking(config) as app:
        try:
            return app.configure_task(task, **options).defer(**arguments)
        except AlreadyEnqueued:
            raise UsageMistake(f"{portal_id or PUBLISH} waits in the queue already: warta queue") from None


def _print_queue(told: dict[str, Any], zone: ZoneInfo) -> None:
    table = Table("state", "job", "what", "sweep", "since", "due", "tries", "worker", box=None)
    states = ("running", "waiting", "failed", "cancelled")
    jobs = sorted(told["jobs"], key=lambda job: states.index(job["state"]))
    for job in jobs:
        since, due = (tell_time(job[key], zone, never="", to="seconds") for key in ("since", "due"))
        row = (job["state"], job["id"], job["portal"] or job["task"], job["sweep"], since, due)
        table.add_row(*(str(cell or "") for cell in (*row, job["tries"], job["worker"])))
    if jobs:
        out.print(table)
    for job in jobs:
        if job["why"]:
            out.print(f"{job['id']} {job['portal'] or job['task']}: {job['why']}", soft_wrap=True)
    counts = ", ".join(f"{sum(job['state'] == state for job in jobs)} {state}" for state in states)
    out.print(f"{count(told['workers'], 'worker')}; {counts}. {tell_zone(zone)}")
    if next_up := told["next"]:
        out.print(f"Next: {next_up['portal']}, {next_up['sweep']}, {tell_time(next_up['at'], zone, to='seconds')}.")
