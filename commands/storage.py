"""Verbs that carry what is kept elsewhere: another database, a backup, and back."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from aggregator.config import DATABASE_URL, Config, load_config, parse_config
from aggregator.files import make_folder
from aggregator.lines import count, one_line, tell_size
from commands.asking import open_repository
from commands.terminal import LOG_EVERY, UsageMistake, err, out

if TYPE_CHECKING:
    from aggregator.repository import Repository

Tell = Callable[[str, int, int], None]

db = typer.Typer(help="Moves the database to another one.", no_args_is_help=True, rich_markup_mode="rich")


@db.callback()
def _only_verbs() -> None:
    """Else Typer would take the one verb for the whole."""


@db.command()
def move(
    context: typer.Context,
    to: Annotated[str, typer.Option(metavar="URL", help="An empty database, as postgresql+psycopg://warta@/warta.")],
) -> None:
    """Copies the configured database into an empty one, of either kind, and compares the two row by row.

    The old one stays as it is; nothing writes to it meanwhile. A move that breaks off leaves the new one empty.
    Afterwards change warta.toml, as it says.

    [dim]warta db move --to postgresql+psycopg://warta:PASSWORD@localhost/warta[/]
    """
    from aggregator.copying import copy_database
    from aggregator.database import find_database_file, find_identity, open_database, show_address, writing

    config = load_config(context.obj)
    url = config.locate_database(to)
    shown = show_address(url)
    if url.startswith("sqlite") and find_database_file(url) is None:
        raise UsageMistake(
            f"--to: {shown} lies in memory, and would be gone; name a file, as in sqlite:///var/warta.db"
        )
    source = open_kept(config).engine
    target = open_database(url)
    if find_identity(source) == find_identity(target):
        raise UsageMistake(f"--to: {shown} is the configured database itself; name another one")
    with show_rows() as tell, writing(source):  # so that nothing a crawl finds meanwhile is left behind
        copied = copy_database(source, target, tell)
    print_rows(copied)
    out.print(f"Moved into {shown}; every row was compared. The old database stays as it is.", soft_wrap=True)
    where = DATABASE_URL if os.environ.get(DATABASE_URL) else f"url under [database] in {context.obj}"
    out.print(f"Next: put the new address in {where}, then look with warta status.", soft_wrap=True)


def backup(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="As in warta-2026-11-24.tar.zst; must not be there yet.")
    ],
    raw: Annotated[bool, typer.Option("--archive", help="With the raw archive, which may be large.")] = False,
) -> None:
    """Writes the database and warta.toml into one file, also while a crawl writes. Only its owner may read it.

    [dim]warta backup /srv/backup/warta-$(date +%F).tar.zst[/]
    """
    from aggregator.backup import save_backup

    config = load_config(context.obj)
    with show_rows() as tell, mistakes():
        save_backup(file, context.obj, config, open_kept(config), raw=raw, on_progress=tell)
    out.print(f"{file}: {tell_size(file.stat().st_size)}", soft_wrap=True)


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What warta backup wrote.")],
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A new folder: it gets the warta.toml of the backup, too.")
    ] = None,
) -> None:
    """Puts a backup back: into the configured database, which must be empty, or into a folder of its own.

    The backup is verified before anything is written. With DIR all lies in there, as its new warta.toml says: the
    database in SQLite, wherever the old one was, unless WARTA_DATABASE_URL names another one.

    [dim]warta restore /srv/backup/warta-2026-11-24.tar.zst /srv/warta[/]
    """
    from aggregator.backup import restore_backup, save_config, unpack_backup
    from aggregator.database import show_address
    from aggregator.settling import settle_config

    config = None if directory else load_config(context.obj)
    folder = config.folder if config else directory or Path()
    path = folder / "warta.toml"
    if config is None and path.exists():
        raise UsageMistake(
            f"{path} is there already; name another folder, or leave DIR out to restore into its database"
        )
    named, text, changes = bool(os.environ.get(DATABASE_URL)), "", list[str]()
    with show_rows() as tell, mistakes(), making(folder):
        with unpack_backup(file, folder) as unpacked:
            if config:
                restored = restore_backup(unpacked, config, tell)
            else:
                text, changes = settle_config(unpacked.config_text, path, has_database=named)
                config = parse_config(text, path)
                with naming(named):
                    restored = restore_backup(unpacked, config, tell, again=not named)
        if directory:
            save_config(unpacked, text, path)  # at last: a folder with a configuration is whole
    print_rows(restored)
    for change in changes:
        out.print(one_line(change), soft_wrap=True)
    where = show_address(config.database_url) + (f", which {DATABASE_URL} names" if named else "")
    out.print(f"Restored, and every row compared. The database is {where}.", soft_wrap=True)
    out.print(f"Next, in {folder}: warta publish, then warta status.", soft_wrap=True)


def open_kept(config: Config) -> Repository:
    """The configured database. DatabaseError when there is none yet."""
    from aggregator.database import DatabaseError, is_made, show_address

    if not is_made(config.database_url):
        raise DatabaseError(f"there is no database {show_address(config.database_url)} yet; warta crawl makes it")
    return open_repository(config)


@contextmanager
def naming(named: bool) -> Iterator[None]:
    """Where the environment ``named`` a database that cannot be filled, it is told so: a drill wants none there."""
    from aggregator.database import DatabaseError

    try:
        yield
    except DatabaseError as error:
        hint = f" ({DATABASE_URL} names it; without that, all comes into the new folder)" if named else ""
        raise DatabaseError(f"{error}{hint}") from error


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """``folder`` is there; where it had to be made and the block fails, it goes again with all that came into it."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    make_folder(folder)
    with ExitStack() as unless_done:
        if missing:
            unless_done.callback(shutil.rmtree, missing[-1], ignore_errors=True)  # what failed first is told
        yield
        unless_done.pop_all()


@contextmanager
def mistakes() -> Iterator[None]:
    """What is wrong with a backup is told as what the user can mend."""
    from aggregator.backup import BackupError

    try:
        yield
    except BackupError as error:
        raise UsageMistake(str(error)) from error


def print_rows(copied: Mapping[str, int]) -> None:
    """One line a table."""
    for name, rows in copied.items():
        out.print(f"{name}: {count(rows, 'row')}")


@contextmanager
def show_rows() -> Iterator[Tell]:
    """How far each table has come: a bar on a terminal, elsewhere a line in the log every minute."""
    if not err.is_terminal:
        yield _log_rows()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as progress:
        bar = progress.add_task("")

        def tell(name: str, done: int, size: int) -> None:
            progress.update(bar, description=name, completed=done, total=size)

        yield tell


def _log_rows(clock: Callable[[], float] = time.monotonic) -> Tell:
    last = clock()

    def tell(name: str, done: int, size: int) -> None:
        nonlocal last
        if clock() - last >= LOG_EVERY:
            last = clock()
            logging.getLogger("warta").info("%s: %.0f %%", name, 100 * done / max(size, 1))

    return tell
