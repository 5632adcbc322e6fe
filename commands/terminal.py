"""What the verbs say: results on standard output; progress, log lines and mistakes on standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from aggregator.config import Portal
from aggregator.files import writing_whole
from aggregator.lines import one_line
from aggregator.verdicts import Run, Verdict

if TYPE_CHECKING:
    from aggregator.runs import Tally

LOG_EVERY = 60.0  # seconds between two log lines about one portal's run
BAD = {Verdict.FAILED, Verdict.BLOCKED}

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]

out = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


class UsageMistake(ValueError):
    """Something the user can mend: the message says what is wrong and how to say it right."""


def print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


def tell_time(text: str | None, zone: ZoneInfo, *, never: str = "never", to: str = "minutes") -> str:
    """A time as JSON has it, on the clocks of ``zone``, cut off ``to`` minutes or seconds; see ``tell_zone``."""
    if not text:
        return never
    return datetime.fromisoformat(text).astimezone(zone).replace(tzinfo=None).isoformat(" ", to)


def tell_zone(zone: ZoneInfo) -> str:
    """Which clocks the times above it are told by."""
    return f"Times are those of {zone.key}."


@contextmanager
def open_output(path: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or the file at ``path``, which is there only when it is whole. A reader that has seen enough
    (`| head`) ends the program quietly."""
    if path:
        try:
            with writing_whole(path) as stream:
                yield stream
        except OSError as error:
            raise UsageMistake(f"--output: {error.strerror or error}: {path}") from error
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains while closing it


@contextmanager
def show_progress(portals: int) -> Iterator[Callable[[Portal, Tally], None] | None]:
    """Numbers of each portal under way: a line on a terminal, elsewhere one in the log every minute."""
    if not portals:
        yield None
        return
    if not err.is_terminal:
        yield _log_progress()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        lines: dict[str, TaskID] = {}

        def tell(portal: Portal, tally: Tally) -> None:
            told = _tell_progress(portal, tally)
            if portal.id not in lines:
                lines[portal.id] = progress.add_task(told, total=None)
            progress.update(lines[portal.id], description=told)

        yield tell


def _log_progress(clock: Callable[[], float] = time.monotonic) -> Callable[[Portal, Tally], None]:
    last: dict[str, float] = {}

    def tell(portal: Portal, tally: Tally) -> None:
        now = clock()
        if now - last.setdefault(portal.id, now) >= LOG_EVERY:
            last[portal.id] = now
            logging.getLogger("warta").info("%s", _tell_progress(portal, tally))

    return tell


def _tell_progress(portal: Portal, tally: Tally) -> str:
    return f"{portal.name}: {tally.seen} read, {tally.new} new, {tally.changed} changed, {tally.errors} errors"


def judge(runs: Sequence[Run]) -> int:
    """The exit code that says how the runs went."""
    return 1 if any(run.verdict in BAD for run in runs) else 0


def finish(runs: Sequence[Run], as_json: bool) -> None:
    """Tells how the runs went and ends the program."""
    if as_json:
        print_json({"portals": [run.as_dict() for run in runs]})
    else:
        print_runs(runs)
    raise typer.Exit(judge(runs))


def print_runs(runs: Sequence[Run]) -> None:
    """A table, and every reason. Without runs only a terminal is told so: cron would mail it every few minutes."""
    if not runs:
        if out.is_terminal:
            out.print("Nothing is due.")
        return
    table = Table("portal", "verdict", "requests", "seen", "new", "changed", "withdrawn", "seconds", box=None)
    for run in runs:
        told = run.as_dict()
        table.add_row(*(str(told[str(column.header)]) for column in table.columns))
    out.print(table)
    for run in runs:
        for reason in run.reasons:
            out.print(one_line(f"{run.portal}: {reason}"), soft_wrap=True)
