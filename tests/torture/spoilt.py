"""The database is locked, damaged, foreign, newer or gone: told with its mend, never replaced by an empty one."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.torture.full import check_told
from tests.torture.killing import ACTS, Report
from tests.torture.model import Broken, check_nothing_lost, check_tree, find_kept
from tests.torture.stage import DATABASE, Play, Stage
from tests.torture.striking import CREATE, FAIL, NAME, OPEN, SIZE, WRITE, Blow

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


def damage_index(path: Path, dice: random.Random) -> None:
    """The first page of an index becomes noise, and no row of a table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = [row[0] for row in connection.execute("SELECT rootpage FROM sqlite_master WHERE type = 'index'")]
    with path.open("r+b") as file:
        for page in dice.sample(pages, k=dice.randint(1, len(pages))):
            file.seek((page - 1) * 4096)
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
    "index": damage_index,
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
PARTLY = {"pages", "index"}  # what is not looked at is not found out
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
    if "Traceback" in status.err or (name not in {*HARMLESS, *PARTLY} and status.code != 1):
        raise Broken(f"status does not tell: {status}")
    ended = play.run(*arguments)
    check_told(ended, ACTS["crawl"])
    report.checked += 1
    if name in HARMLESS:
        ACTS["crawl"].check(stage, play)
    elif name not in PARTLY and ended.code == 0 and arguments not in FINE.get(name, ()):
        raise Broken(f"it goes on as if nothing were: {ended}")
    if arguments == ("publish",):
        check_tree(play.public, [stage.old])
    if name not in {"gone", *PARTLY, *HARMLESS} and path.is_file() and path.read_bytes() != before:
        raise Broken(f"what was left of the database was written over: {ended}")


# Where nothing may be written, which calls fail, and how: below a folder, or of one file.
UNWRITABLE = {
    "file": (DATABASE, OPEN, errno.EACCES),
    "folder": (DATABASE.parent, CREATE | NAME, errno.EACCES),
    "disk": (Path(), CREATE | NAME | OPEN | WRITE | SIZE, errno.EROFS),
}


def forbid(stage: Stage, rounds: int, _dice: random.Random) -> Report:
    """The database, its folder or the whole disk may only be read: told, nothing is lost, and later all is well."""
    report = Report("read-only")
    for _ in range(rounds):
        report.rounds += 1
        for name, (place, classes, error) in UNWRITABLE.items():
            for arguments in VERBS:
                with stage.play("first") as play, report.watch(name, *arguments):
                    blow = Blow(FAIL, 1, classes, error)
                    before = find_kept(play.address)
                    ended = play.run(*arguments, blow=blow, below=play.folder / place)
                    report.blows += 1
                    check_told(ended, ACTS["crawl"])
                    if ended.code == 0 and arguments == ("crawl",):
                        raise Broken(f"it keeps what it cannot write: {ended}")
                    check_nothing_lost(before, play.address)
                    ACTS["crawl"].check(stage, play)
                    if (ended := play.run("crawl")).code:
                        raise Broken(str(ended))
                    ACTS["crawl"].check_after(stage, play)
                    report.checked += len(stage.truths[1])
    return report


def take_away(stage: Stage, rounds: int, dice: random.Random) -> Report:
    """The database's file goes in the midst of a crawl: told, and no empty one takes its place; then it is put back."""
    report = Report("removed meanwhile")
    for _ in range(rounds):
        report.rounds += 1
        asked = dice.randint(2, 20)
        with stage.play("first") as play, report.watch(f"removed after {asked} requests"):
            path, kept = play.folder / DATABASE, play.folder / "kept"
            kept.mkdir()
            requests = stage.road.server.stats.requests
            end = len(requests) + asked
            number = play.forge.start(play.folder, "crawl")
            while len(requests) < end and Path(f"/proc/{number}").exists():
                time.sleep(0.001)
            for each in path.parent.glob("warta.db*"):
                each.rename(kept / each.name)
            report.blows += 1
            ended = play.forge.finish()
            check_told(ended, ACTS["crawl"])
            if ended.code == 0:
                raise Broken(f"it goes on as if nothing were: {ended}")
            if left := [each.name for each in path.parent.glob("warta.db*")]:
                raise Broken(f"it made another one: {left}, {ended}")
            for each in kept.iterdir():
                each.rename(path.parent / each.name)
            report.checked += ACTS["crawl"].check(stage, play)
            if (ended := play.run("crawl")).code:
                raise Broken(str(ended))
            ACTS["crawl"].check_after(stage, play)
    return report


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
