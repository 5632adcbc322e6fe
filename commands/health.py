"""Verbs that tell whether all is well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from aggregator.config import load_config
from aggregator.lines import one_line
from commands.asking import look_at_repository
from commands.terminal import AsJson, err, out, print_json


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

    found = tell_portals(config, look_at_repository(config).find_last_runs(), datetime.now(UTC))
    rows = [told.as_dict() for told in found]
    if as_json:
        print_json({"portals": rows})
    else:
        print_portals(rows)


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Tells whether all is well: what is wrong first, with its mend. Exit code: 0 healthy, 1 not."""
    from feeds.health import find_health

    config = load_config(context.obj)
    health = find_health(config, lambda: look_at_repository(config), datetime.now(UTC), config.public_folder)
    if as_json:
        print_json(health.as_dict())
    else:
        print_health(health.as_dict())
    raise typer.Exit(0 if health.healthy else 1)


def print_health(health: Mapping[str, Any]) -> None:
    """What is wrong first, for whoever is woken by it; then how everything stands."""
    say("Healthy." if health["healthy"] else "Not healthy:")
    for told in health["why"]:
        say(f"- {told}")
    if health["warnings"]:
        say("Not urgent:")
    for told in health["warnings"]:
        say(f"- {told}")
    out.print()
    if health["portals"] and health["database"]["healthy"]:
        print_portals(sorted(health["portals"], key=lambda told: told["healthy"] or not told["enabled"]))
        out.print()
    for line in list_places(health):
        say(line)


def list_places(health: Mapping[str, Any]) -> Iterator[str]:
    """A line each for database, archive, tree, disk and queue."""
    database, archive, published, queue = (health[name] for name in ("database", "archive", "published", "queue"))
    if database["healthy"]:
        yield (
            f"Database: {database['tenders']:,} tenders, {database['releases']:,} releases,"
            f" {tell_size(database['bytes'])}, last change {tell_time(database['changed'])}, {database['url']}"
        )
    oldest = f", oldest {tell_time(archive['oldest'])}" if archive["oldest"] else ""
    yield f"Archive: {tell_size(archive['bytes'])} of at most {tell_size(archive['limit'])}{oldest}"
    size = "" if published["files"] is None else f"{published['files']:,} files, {tell_size(published['bytes'])}, "
    yield f"Published: {tell_time(published['updated'], 'nothing yet')}, {size}{published['directory']}"
    yield f"Disk: {tell_size(health['disk']['free'])} free"
    if queue:
        yield (
            f"Queue: {queue['waiting']} waiting, {queue['running']} running, {queue['failed']} failed,"
            f" {queue['workers']} workers"
        )


def tell_time(text: str | None, never: str = "never") -> str:
    """A time as JSON has it, to the minute."""
    return text[:16].replace("T", " ") if text else never


def tell_size(size: float) -> str:
    """Bytes in the largest unit that leaves a number before the point, in thousands as disks are sold."""
    units = iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while size >= 1000 and (larger := next(units, "")):
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"


def say(text: str) -> None:
    """A line of output: a terminal has it folded at words, a file or a mail as one."""
    out.print(one_line(text), soft_wrap=not out.is_terminal)


def print_portals(portals: Sequence[Mapping[str, Any]]) -> None:
    """A table of ``portals`` that keeps each on one line of 80 columns; reasons stand below it."""
    table = Table("portal", "verdict", "last good", "next due", box=None)
    for told in portals:
        late = " late" if told["enabled"] and told["last_good"] and not told["fresh"] else ""
        due = tell_time(told["next_due"]) if told["enabled"] else "off"
        table.add_row(told["portal"], told["verdict"] or "never ran", tell_time(told["last_good"]) + late, due)
    out.print(table)
    for told in portals:
        for reason in told["reasons"]:
            say(f"{told['portal']}: {reason}")
