"""The command line: the only place, with commands/, that knows spiders, aggregator and feeds.

Standard output holds results only; progress, log lines and mistakes go to standard error. What is slow to import is
imported inside the verbs that need it, so that `warta --help` waits for neither Scrapy nor SQLAlchemy.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from aggregator.config import ConfigError
from aggregator.lines import mask_secrets, one_line
from commands.assistants import mcp
from commands.children import die_with_parent
from commands.crawling import archive, crawl, replay, run
from commands.exporting import export
from commands.health import portals, status
from commands.logs import MISTAKE, VARIABLE, LogForm, find_log_form, set_up_log
from commands.notifying import notify
from commands.queueing import queue, worker
from commands.serving import publish, serve
from commands.starting import demo, init
from commands.storage import backup, db, restore
from commands.terminal import UsageMistake, err

app = typer.Typer(
    help="Reads official procurement portals politely and gives their tenders back as feeds.",
    epilog="Try it offline: [bold]warta demo[/]. Your own: [bold]warta init[/], [bold]warta run[/], "
    "[bold]warta serve[/].",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    # Filter keys are the same everywhere, so --min-value and --min_value are one option.
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": lambda t: t.replace("_", "-")},
)

for verb in (
    *(init, portals, crawl, run, worker, publish, notify, serve, mcp),
    *(status, replay, archive, export, backup, restore, demo),
):
    app.command()(verb)
app.add_typer(queue, name="queue")
app.add_typer(db, name="db")


def main() -> None:
    """Runs the command line. What the user can mend ends in one clear line and exit code 2, never in a traceback."""
    try:
        sys.exit(app(prog_name="warta", standalone_mode=False))
    except typer.TyperException as error:  # before or instead of a verb, so that --log was perhaps not heard yet
        set_up_log(find_log_form(sys.argv[1:]), err)
        if told := _tell_usage(error):
            err.print(MISTAKE + one_line(mask_secrets(told)))
        sys.exit(2)
    except typer.Abort:  # a question that nobody answers
        sys.exit(130)
    except Exception as error:
        from aggregator.archive import ArchiveError
        from aggregator.database import DatabaseError

        if not isinstance(error, ArchiveError | ConfigError | DatabaseError | UsageMistake | OSError):
            raise
        for line in _tell_mistake(error).splitlines():
            err.print(MISTAKE + one_line(mask_secrets(line)))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _tell_usage(error: typer.TyperException) -> str:
    """What Typer says over several lines, in one; empty where it has shown the help already."""
    told = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{told}; see {context.command_path if context else 'warta'} --help" if told else ""


def _tell_mistake(error: Exception) -> str:
    """An error of the system names its file first, as all others do, and not its number."""
    if not (isinstance(error, OSError) and error.filename and error.strerror):
        return str(error)
    mend = "; run it as a user who may, or choose another place" if isinstance(error, PermissionError) else ""
    return f"{error.filename}: {error.strerror}{mend}"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"warta {version('warta-pengadaan')}")
        raise typer.Exit


@app.callback()
def _start(
    context: typer.Context,
    config: Annotated[Path, typer.Option(metavar="FILE", help="The configuration.")] = Path("warta.toml"),
    log: Annotated[
        LogForm, typer.Option(envvar=VARIABLE, help="The log: text, or json, one object a line.", show_envvar=False)
    ] = LogForm.TEXT,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    die_with_parent()
    context.obj = config
    set_up_log(log, err)


if __name__ == "__main__":
    main()
