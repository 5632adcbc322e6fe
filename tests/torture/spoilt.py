"""The database is locked, damaged, foreign, newer or gone: told with its mend, never replaced by an empty one."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.torture.full import check_told
from tests.torture.killing import ACTS, Report
from tests.torture.model import Broken, check_tree
from tests.torture.stage import DATABASE, Play, Stage

Spoil = Callable[[Path, random.Random], None]

VERBS = (
    ("crawl",),
    ("publish",),
    ("export", "--format", "jsonl", "-o", "x.jsonl"),
    ("backup", "b.tar.zst"),
    ("portals",),
    ("db", "move", "--to", "sqlite:///var/new.db"),
)


def overwrite_pages(path: Path, dice: random.Random) -> None:
    """Random pages become noise."""
    size = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in dice.sample(range(1, size), k=min(size - 1, dice.randint(3, 40))):
            file.seek(page * 4096)
            file.write(dice.randbytes(4096))


def cut_short(path: Path, dice: random.Random) -> None:
    os.truncate(path, dice.randint(1, path.stat().st_size - 4096))


def destroy_header(path: Path, dice: random.Random) -> None:
    with path.open("r+b") as file:
        file.write(dice.randbytes(100))


def fill_wal(path: Path, dice: random.Random) -> None:
    """A write-ahead log of noise: SQLite passes over it, as over one torn by a power cut."""
    path.with_name(path.name + "-wal").write_bytes(dice.randbytes(dice.randint(1, 100_000)))


def be_text(path: Path, dice: random.Random) -> None:
    path.write_bytes(dice.randbytes(10) + b"bukan basis data\n" * 1000)


def be_newer(path: Path, _dice: random.Random) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


def be_foreign(path: Path, _dice: random.Random) -> None:
    """A database of another program."""
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tenders (id INTEGER, price REAL)")
        connection.execute("INSERT INTO tenders VALUES (1, 2.0)")
        connection.commit()


def be_folder(path: Path, _dice: random.Random) -> None:
    path.unlink()
    path.mkdir()


def be_gone(path: Path, _dice: random.Random) -> None:
    """Removed, or its address misspelt: a crawl begins anew, and what is published stays until it read something."""
    path.unlink()


SPOILS: dict[str, Spoil] = {
    "pages": overwrite_pages,
    "cut short": cut_short,
    "header": destroy_header,
    "wal": fill_wal,
    "text": be_text,
    "newer": be_newer,
    "foreign": be_foreign,
    "folder": be_folder,
    "gone": be_gone,
}
HARMLESS = {"wal"}
FINE = {"gone": (("crawl",), ("export", "--format", "jsonl", "-o", "x.jsonl"), ("portals",))}


def spoil(
    stage: Stage, name: str, rounds: int, dice: random.Random, verbs: Sequence[tuple[str, ...]] = VERBS
) -> Report:
    """``rounds`` times a database is spoilt, and each of ``verbs`` tried on it."""
    report = Report(f"spoilt database: {name}")
    for _ in range(rounds):
        report.rounds += 1
        seed = dice.randrange(1 << 32)
        for arguments in verbs:
            with stage.play("first") as play, report.watch(name, f"seed {seed}", *arguments):
                path = play.folder / DATABASE
                SPOILS[name](path, random.Random(seed))
                report.blows += 1
                _try(stage, name, play, arguments, report)
    return report


def _try(stage: Stage, name: str, play: Play, arguments: tuple[str, ...], report: Report) -> None:
    path = play.folder / DATABASE
    before = path.read_bytes() if path.is_file() else b""
    status = play.run("status")
    if "Traceback" in status.err or (name not in {*HARMLESS, "pages"} and status.code != 1):
        raise Broken(f"status does not tell: {status}")
    ended = play.run(*arguments)
    check_told(ended, ACTS["crawl"])
    report.checked += 1
    if name in HARMLESS:
        ACTS["crawl"].check(stage, play)
    elif name != "pages" and ended.code == 0 and arguments not in FINE.get(name, ()):
        raise Broken(f"it goes on as if nothing were: {ended}")
    if arguments == ("publish",):
        check_tree(play.public, [stage.old])
    if name not in {"pages", "gone", *HARMLESS} and path.is_file() and path.read_bytes() != before:
        raise Broken(f"what was left of the database was written over: {ended}")


def lock(stage: Stage, rounds: int, dice: random.Random) -> Report:
    """Another program holds the file for longer than anybody waits: told, and nothing is lost."""
    report = Report("locked database")
    for number in range(rounds):
        arguments = dice.choice([("crawl",), ("db", "move", "--to", "sqlite:///var/new.db"), ("replay",)])
        report.rounds += 1
        with stage.play("first") as play, report.watch("locked", *arguments):
            with closing(sqlite3.connect(play.folder / DATABASE, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE" if number % 2 else "BEGIN EXCLUSIVE")
                ended = play.run(*arguments)
            report.blows += 1
            check_told(ended, ACTS["crawl"])
            if ended.code == 0 or "locked by another program" not in ended.out + ended.err:
                raise Broken(f"it does not tell of the lock: {ended}")
            report.checked += ACTS["crawl"].check(stage, play)
    return report


def restore_after(stage: Stage, rounds: int, dice: random.Random) -> Report:
    """The mend that is told for a damaged database, done: move it away, restore the backup, crawl."""
    report = Report("damaged, then restored")
    for _ in range(rounds):
        report.rounds += 1
        with stage.play("backed") as play, report.watch("restored"):
            path = play.folder / DATABASE
            destroy_header(path, dice)
            report.blows += 1
            if play.run("publish").code != 2:
                raise Broken("it is not told")
            shutil.move(path, path.with_name("damaged"))
            for left in path.parent.glob("warta.db-*"):
                left.unlink()
            for arguments in (("restore", "b.tar.zst"), ("crawl",)):
                if (ended := play.run(*arguments)).code:
                    raise Broken(str(ended))
            ACTS["crawl"].check_after(stage, play)
            report.checked += len(stage.truths[1])
    return report
