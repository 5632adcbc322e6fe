"""Verbs that tell whether all is well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from aggregator.config import load_config
from aggregator.lines import count, one_line, tell_size
from commands.asking import look_at_repository
from commands.terminal import AsJson, err, out, print_json, tell_time, tell_zone


def portals(
    context: typer.Context,
    as_json: AsJson = False,
    discover: Annotated[str, typer.Option(metavar="NAME", help="Find LPSE by words of their names.")] = "",
    source: Annotated[str, typer.Option("--from", metavar="URL", help="Satu Data's address, to find in.")] = "",
) -> None:
    """Lists the portals: last run, verdict, next due. With --discover it prints tables for warta.toml instead."""
    config = load_config(context.obj)
    if discover or source:
        from spiders.satudata.discover import find_tables

        tables, told = find_tables(config, discover, source)
        typer.echo(tables, nl=False)
        err.print(told)
        raise typer.Exit(0 if tables else 1)
    from aggregator.health import tell_portals
    from aggregator.leases import find_held

    repository, zone = look_at_repository(config), ZoneInfo(config.publisher.timezone)
    found = tell_portals(config, repository.find_last_runs(), find_held(repository.engine), datetime.now(UTC))
    rows = [told.as_dict() for told in found]
    if as_json:
        print_json({"portals": rows})
    else:
        print_portals(rows, zone)
        say(tell_zone(zone))


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Tells whether all is well: what is wrong first, with its mend. Exit code: 0 healthy, 1 not."""
    from feeds.health import find_health

    config = load_config(context.obj)
    health = find_health(config, lambda: look_at_repository(config), datetime.now(UTC), config.public_folder)
    if as_json:
        print_json(health.as_dict())
    else:
        print_health(health.as_dict(), ZoneInfo(config.publisher.timezone))
    raise typer.Exit(0 if health.healthy else 1)


def print_health(health: Mapping[str, Any], zone: ZoneInfo) -> None:
    """What is wrong first, for whoever is woken by it; then how everything stands. Times are told in ``zone``."""
    say("Healthy." if health["healthy"] else "Not healthy:")
    for told in health["why"]:
        say(f"- {told}")
    if health["warnings"]:
        say("Not urgent:")
    for told in health["warnings"]:
        say(f"- {told}")
    out.print()
    if health["portals"] and health["database"]["healthy"]:
        print_portals(sorted(health["portals"], key=lambda told: told["healthy"] or not told["enabled"]), zone)
        out.print()
    for line in list_places(health, zone):
        say(line)
    say(tell_zone(zone))


def list_places(health: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    """A line each for database, archive, tree, disk and queue."""
    database, archive, published, queue = (health[name] for name in ("database", "archive", "published", "queue"))
    if database["healthy"]:
        yield (
            f"Database: {count(database['tenders'], 'tender')}, {count(database['releases'], 'release')},"
            f" {tell_size(database['bytes'])}, last change {tell_time(database['changed'], zone)}, {database['url']}"
        )
    oldest = f", oldest {tell_time(archive['oldest'], zone)}" if archive["oldest"] else ""
    yield f"Archive: {tell_size(archive['bytes'])} of at most {tell_size(archive['limit'])}{oldest}"
    parts = [tell_time(published["updated"], zone, never="nothing yet"), published["directory"]]
    if published["files"] is not None:
        parts[1:1] = count(published["files"], "file"), tell_size(published["bytes"])
    yield f"Published: {', '.join(parts)}"
    yield f"Disk: {tell_size(health['disk']['free'])} free"
    if queue:
        yield (
            f"Queue: {queue['waiting']} waiting, {queue['running']} running, {queue['failed']} failed,"
            f" {count(queue['workers'], 'worker')}"
        )


def say(text: str) -> None:
    """A line of output: a terminal has it folded at words, a file or a mail as one."""
    out.print(one_line(text), soft_wrap=not out.is_terminal)


def print_portals(portals: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> None:
    """A table of ``portals`` that keeps each on one line of 80 columns; what else is to be told stands below it."""
    table = Table("portal", "verdict", "last good", "next due", box=None)
    for told in portals:
        late = " late" if told["enabled"] and told["last_good"] and not told["fresh"] else ""
        due = tell_time(told["next_due"], zone) if told["enabled"] else "off"
        due = "being read" if told["reading_since"] else due
        table.add_row(told["portal"], told["verdict"] or "never ran", tell_time(told["last_good"], zone) + late, due)
    out.print(table)
    for told in portals:
        if told["reading_since"]:
            say(f"{told['portal']}: being read since {tell_time(told['reading_since'], zone)}")
        for reason in told["reasons"]:
            say(f"{told['portal']}: {reason}")
