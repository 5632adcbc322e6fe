"""The verb that hands tenders to programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from aggregator.config import Config, load_config
from commands.asking import open_repository, read_filter, with_filter_options
from commands.terminal import UsageMistake, err, open_output

if TYPE_CHECKING:
    from aggregator.filters import Filter
    from aggregator.repository import Repository

_TABLES = {"csv", "xlsx"}  # what has headings
_BINARY = {"xlsx", "parquet"}

Format = Literal["ocds", "ocds-records", "jsonl", "csv", "xlsx", "parquet"]
Write = Callable[[IO[bytes]], None]


@with_filter_options
def export(
    context: typer.Context,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="ocds: release package; ocds-records: record package; jsonl: one JSON object a line; csv, xlsx, "
            "parquet: one row a tender.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Instead of standard output (-); there only when whole."),
    ] = None,
    language: Annotated[
        Literal["id", "en"] | None,
        typer.Option("--language", help="Headings of csv and xlsx; without it the names of the columns."),
    ] = None,
    **values: Any,
) -> None:
    """Writes tenders to standard output or a file, as many as there are, without holding them in memory.

    Each purchase once, with what all its sources tell; of one --portal alone, as that portal tells it.

    [dim]warta export --format jsonl --category works --min-value 200000000 --q "jalan OR jembatan" | head[/]

    [dim]warta export --format xlsx --language id --year 2026 -o paket.xlsx[/]

    [dim]warta export --format ocds -o releases.json[/]
    """
    wanted = read_filter(values)
    target = None if output == Path("-") else output
    if language and form not in _TABLES:
        raise UsageMistake(f"--language: {form} has no headings; it goes with --format csv and xlsx")
    if form in _BINARY and target is None and sys.stdout.isatty():
        raise UsageMistake(f"--output: {form} is no text to look at; name a file with -o, or pipe it into a program")
    config = load_config(context.obj)
    repository = open_repository(config)
    _check_portals(wanted.portal, config, repository)
    make = _make_package if form.startswith("ocds") else _make_table
    write = make(form, repository, wanted, config, language)
    with open_output(target) as stream:
        write(stream)


def _check_portals(asked: Sequence[str], config: Config, repository: Repository) -> None:
    """UsageMistake for a portal that is neither configured nor in the database."""
    from aggregator.sizes import find_portals

    configured = [portal.id for portal in config.portal]
    if set(asked) <= set(configured):
        return
    known = dict.fromkeys([*configured, *find_portals(repository.engine)])
    for unknown in (portal for portal in asked if portal not in known):
        raise UsageMistake(f"--portal: no portal {unknown!r} in the configuration or the database; {_list(known)}")


def _list(known: Iterable[str]) -> str:
    names = list(known)
    return f"there are: {', '.join(names[:20])}{' …' if len(names) > 20 else ''}" if names else "there are none"


def _make_table(
    form: str, repository: Repository, wanted: Filter, config: Config, language: Literal["id", "en"] | None
) -> Write:
    zone = ZoneInfo(config.publisher.timezone)
    records = repository.find(wanted, datetime.now(UTC), zone, apart=len(wanted.portal) == 1)
    if form == "jsonl":
        from aggregator.exports.jsonl import write_jsonl

        return lambda stream: write_jsonl(records, stream)
    from aggregator.exports.columns import Clocks

    clocks = Clocks({portal.id: portal.zone for portal in config.portal}, zone)
    if form == "parquet":
        from aggregator.exports.parquet import write_parquet

        return lambda stream: write_parquet(records, stream, clocks)
    if form == "csv":
        from aggregator.exports.csv import write_csv

        return lambda stream: write_csv(records, stream, clocks, language)
    from aggregator.exports.xlsx import write_xlsx

    return lambda stream: write_xlsx(records, stream, clocks, language)


def _make_package(form: str, repository: Repository, wanted: Filter, config: Config, _language: object) -> Write:
    from aggregator.exports.packages import Package, write_records, write_releases
    from aggregator.histories import find_processes
    from feeds.query import render_query

    now, zone = datetime.now(UTC), ZoneInfo(config.publisher.timezone)
    purchases = find_processes(repository.engine, wanted, now, zone, apart=len(wanted.portal) == 1)
    # A name that says what is asked for: an export on demand lies at no address.
    query = render_query(wanted)
    publisher = config.publisher
    uri = f"tag:{publisher.authority},{publisher.since}:export/{form}" + (f"?{query}" if query else "")
    package = Package(publisher, uri, now)

    def write(stream: IO[bytes]) -> None:
        number = (write_records if form == "ocds-records" else write_releases)(purchases, stream, package)
        if not number:
            err.print("warta: nothing found; OCDS wants at least one in a package, so that this one does not validate")

    return write
