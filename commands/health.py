"""Verbs that tell whether all is well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from aggregator.config import Config, load_config
from aggregator.filters import Filter
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
    rows = read_health(config)["portals"]
    if as_json:
        print_json({"portals": rows})
    else:
        print_portals(rows)


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Tells whether all is well: portals, database, published tree. Exit code: 0 healthy, 1 not."""
    config = load_config(context.obj)
    health = read_health(config)
    if as_json:
        print_json(health)
    else:
        print_portals(health["portals"])
        out.print(f"Database: {health['database']['tenders']} tenders in {health['database']['url']}")
        published = health["published"]
        late = "" if published["healthy"] or not published["updated"] else ", long before the last run: warta publish"
        out.print(f"Published: {published['updated'] or 'nothing yet'}, {published['directory']}{late}")
        out.print("Healthy." if health["healthy"] else "Not healthy.")
    raise typer.Exit(0 if health["healthy"] else 1)


def read_health(config: Config) -> dict[str, Any]:
    from aggregator.database import show_address
    from aggregator.health import tell_health
    from feeds.tree import find_last_publish

    now, url, repository = datetime.now(UTC), config.database_url, look_at_repository(config)
    tenders = repository.count(Filter(), now, ZoneInfo(config.publisher.timezone), apart=True)
    published = find_last_publish(config.public_folder)
    return tell_health(config, repository.find_last_runs(), show_address(url), tenders, published, now)


def print_portals(portals: Sequence[dict[str, Any]]) -> None:
    table = Table("portal", "verdict", "last run", "next due", "reasons", box=None)
    for told in portals:
        last = (told["last_run"] or "")[:16].replace("T", " ")
        due = told["next_due"][:16].replace("T", " ") if told["enabled"] else "off"
        table.add_row(told["portal"], told["verdict"] or "never ran", last, due, "; ".join(told["reasons"]))
    out.print(table)
