"""The verb that hands tenders to programs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from aggregator.config import load_config
from commands.asking import open_repository, read_filter, with_filter_options
from commands.terminal import open_output


@with_filter_options
def export(
    context: typer.Context,
    form: Annotated[Literal["jsonl"], typer.Option("--format", help="jsonl: one JSON object a line.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of standard output.")
    ] = None,
    **values: Any,
) -> None:
    """Writes tenders to standard output or a file, as many as there are, without holding them in memory.

    Each purchase once, with what all its sources tell; of one --portal alone, as that portal tells it.

    [dim]warta export --format jsonl -o tenders.jsonl[/]

    [dim]warta export --format jsonl --category works --min-value 200000000 --q "jalan OR jembatan" | head[/]
    """
    from aggregator.export import export_jsonl

    wanted = read_filter(values)
    config = load_config(context.obj)
    zone, apart = ZoneInfo(config.publisher.timezone), len(wanted.portal) == 1
    records = open_repository(config).find(wanted, datetime.now(UTC), zone, apart=apart)
    with open_output(output) as stream:
        for line in export_jsonl(records):
            stream.write(line)
