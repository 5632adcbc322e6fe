"""Verbs that read portals, now or once more from the archive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from aggregator.config import Config, Portal, load_config
from aggregator.models import Sweep
from aggregator.verdicts import Run
from commands.asking import PortalIds, choose_portals, look_at_repository, open_repository, read_filter, split_words
from commands.terminal import AsJson, finish, out, print_json, show_progress

if TYPE_CHECKING:
    from aggregator.repository import Repository
    from spiders.crawl import Order


def crawl(
    context: typer.Context,
    portals: PortalIds = None,
    sweep: Annotated[Sweep, typer.Option(help="full: every list. open: only what is open now.")] = Sweep.FULL,
    kinds: Annotated[
        list[str] | None, typer.Option("--kinds", "--kind", metavar="KINDS", help="As in tender,non_tender.")
    ] = None,
    years: Annotated[list[str] | None, typer.Option("--year", metavar="YEARS", help="As in 2025,2026.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop each list after that many packages.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and compare, but write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reads portals into the database. One portal's failure never stops another's.

    Exit code: 0 all ok or partial, 1 any failed or blocked, 2 bad usage or configuration.

    [dim]warta crawl[/]

    [dim]warta crawl malangkota --sweep open[/]

    [dim]warta crawl malangkota --kinds tender,non_tender --year 2025 --limit 20 --dry-run[/]
    """
    from spiders.crawl import Order

    config = load_config(context.obj)
    chosen = choose_portals(config, portals)
    asked = read_filter({"kind": split_words(kinds), "year": split_words(years)}, {"kind": "--kinds"})
    order = Order(sweep=sweep, kinds=asked.kind, years=asked.year, limit=limit, dry_run=dry_run)
    finish(_crawl(config, open_repository(config), [(portal, order) for portal in chosen]), as_json)


def run(
    context: typer.Context,
    due: Annotated[bool, typer.Option("--due", help="Only portals whose time has come; skip busy hosts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Crawls, publishes and notifies, for cron and timers. Exit codes as crawl.

    [dim]*/5 * * * *  cd /srv/warta && warta run --due[/]
    """
    from aggregator.patience import PatientRepository, persist
    from aggregator.runs import find_due, find_next
    from feeds.notifying import notify
    from feeds.publish import publish as publish_tree
    from spiders.crawl import Order

    config = load_config(context.obj)
    # A timer does not wait for whoever started the database anew.
    repository = PatientRepository(persist(lambda: open_repository(config)).engine)
    last, now = repository.find_last_runs(), datetime.now(UTC)
    if due:
        chosen = find_due(config.portal, last, now)
    else:
        chosen = [(portal, find_next(portal, last.get(portal.id), now)[1]) for portal in choose_portals(config, None)]
    runs = _crawl(config, repository, [(portal, Order(sweep=sweep, due=due)) for portal, sweep in chosen])
    done = [run for run in runs if not (due and _was_busy(run))]
    if done or not runs:  # else another one is at work on all of it, and does this when it ends
        publish_tree(config, repository, datetime.now(UTC))
        notify(config, repository, datetime.now(UTC))
    finish(done, as_json)


def replay(
    context: typer.Context,
    portals: PortalIds = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only pages read on this day or later.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Parses the raw archive again, after a parser was mended. Asks no portal for anything. Exit codes as crawl."""
    from spiders.replay import replay as replay_portals

    config = load_config(context.obj)
    start = since.replace(tzinfo=ZoneInfo(config.publisher.timezone)) if since else None
    finish(
        replay_portals(config, choose_portals(config, portals), open_repository(config), start, datetime.now(UTC)),
        as_json,
    )


def archive(
    context: typer.Context,
    prune: Annotated[bool, typer.Option("--prune", help="Remove now what the configured limits ask for.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tells what the raw archive holds, and what its limits would remove. A crawl removes it when it ends."""
    from aggregator.archive import Archive
    from aggregator.retention import look_at, render_archive
    from spiders.crawl import WHOLE

    config = load_config(context.obj)
    repository = open_repository(config) if prune else look_at_repository(config)
    raw = Archive(config.archive_folder, repository)
    told = look_at(raw, repository, config.crawl, WHOLE, datetime.now(UTC), prune=prune)
    if as_json:
        print_json(told)
    else:
        out.print(render_archive(told), soft_wrap=True)


def _crawl(config: Config, repository: Repository, asked: Sequence[tuple[Portal, Order]]) -> list[Run]:
    """Crawls each portal as asked, in that order."""
    from spiders.crawl import crawl

    portals, orders = [portal for portal, _ in asked], {portal.id: order for portal, order in asked}
    with show_progress(len(asked)) as tell:
        return crawl(config, portals, repository, orders, now=datetime.now(UTC), on_progress=tell)


def _was_busy(run: Run) -> bool:
    """Whether another run held the host, or its quiet hours had begun, so that this one never began."""
    return run.requests == 0 and any(reason.startswith("busy:") for reason in run.reasons)
