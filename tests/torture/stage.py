"""A made-up portal, and folders of it at several moments: where every bad day begins from the same good one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import aggregator.database
from aggregator.database import open_database
from demo.spse import Portal as StandIn
from demo.world import World
from tests.conftest import SPSE
from tests.road import HEAD, NOW, Road
from tests.test_database import migrate
from tests.torture.model import Truth, list_files
from tests.torture.striking import NONE, Blow, Ended, Forge

YEARS = "years = [2025, 2026, 2027]\n"
SIZES: dict[str, Any] = {"tenders": 9, "non_tenders": 4, "recorded": 3, "self_managed": 2, "emergencies": 1}
DATABASE = Path("var", "warta.db")
PUBLIC = Path("var", "public")


# Of which folder, and by which verb, each is made that is not there from the beginning.
MADE: dict[str, tuple[str, ...]] = {
    "second": ("moved", "publish"),
    "bare": ("moved",),
    "nothing": ("bare", "publish"),
    "lost": ("bare",),
    "replayed": ("lost", "replay"),
    "anew": ("empty", "crawl"),
    "backed": ("first", "backup", "--archive", "b.tar.zst"),
}


def _copy(source: str, target: str) -> None:
    """Published files are put in place as new ones, so that a link will do; all others may be written to."""
    path = Path(source)
    if "public" in path.parts and not path.name.startswith("."):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


class Stage:
    """Folders at ``empty`` (nothing yet), ``first`` (crawled and published), ``moved`` (crawled again after the portal
    moved on, not published) and ``second`` (published, too); ``bare`` is ``moved`` without a tree, ``lost`` without a
    database either, ``backed`` is ``first`` with a backup, ``old`` with a database of the first version; ``nothing``,
    ``replayed`` and ``anew`` are what publish, replay and crawl made of ``bare``, ``lost`` and ``empty``."""

    def __init__(self, forge: Forge, road: Road, root: Path) -> None:
        self.forge = forge
        self.road = road
        self.root = root
        self._number = 0
        self.truths: list[Truth] = []
        self._set_up()

    def _set_up(self) -> None:
        text = HEAD + SPSE.replace("{url}", self.road.config.portal[0].url) + YEARS
        empty = self._keep("empty")
        empty.mkdir()
        (empty / "warta.toml").write_text(text, encoding="utf-8")
        first = self.copy("empty", "first")
        self.good(first, "crawl")
        self.good(first, "publish")
        self.truths.append(self.road.truth())
        self._move_on()
        self.truths.append(self.road.truth())
        self.good(self.copy("first", "moved"), "crawl")
        self.old = list_files(first / PUBLIC)

    @cached_property
    def new(self) -> dict[str, bytes]:
        """What a publish makes of ``moved``."""
        return list_files(self.kept("second") / PUBLIC)

    @cached_property
    def anew(self) -> dict[str, bytes]:
        """What a publish makes of ``bare``."""
        return list_files(self.kept("nothing") / PUBLIC)

    def _make(self, name: str) -> None:
        """One of the folders that only some bad days begin or end in."""
        if name == "old":
            self._make_old()
            return
        source, *arguments = MADE[name]
        folder = self.copy(source, name)
        if name in {"bare", "lost"}:
            shutil.rmtree(folder / PUBLIC, ignore_errors=True)
        for path in (folder / DATABASE).parent.glob("warta.db*") if name == "lost" else ():
            path.unlink()
        if arguments:
            self.good(folder, *arguments)

    def _move_on(self) -> None:
        world = self.road.world
        first, second, third = (package.key for package in world.open("tender")[-3:])
        world.reprice(first)
        world.cancel(second, "Perubahan anggaran")
        world.reschedule(third, 3)
        world.add("tender")
        world.add("non_tender")

    def _make_old(self) -> None:
        """``old``: as ``first``, but of the program's first version, before every migration."""
        old = self.copy("first", "old")
        path = old / DATABASE
        path.unlink()
        latest = aggregator.database._migrate
        aggregator.database._migrate = lambda engine: migrate(engine, "0001")
        try:
            open_database(f"sqlite:///{path}").dispose()
        finally:
            aggregator.database._migrate = latest
        with sqlite3.connect(path) as connection:
            connection.execute("ATTACH ? AS now", [str(self.kept("first") / DATABASE)])
            for table in ("tenders", "releases", "dossiers", "plan_codes", "listings", "listed", "snapshots"):
                columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
                connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM now.{table}")
        connection.close()

    def kept(self, name: str) -> Path:
        """A folder that no bad day begins in, but at a copy of it; made when it is first asked for."""
        if not self._keep(name).exists():
            self._make(name)
        return self._keep(name)

    def _keep(self, name: str) -> Path:
        (self.root / "kept").mkdir(exist_ok=True)
        return self.root / "kept" / name

    def copy(self, name: str, to: str) -> Path:
        """A folder to keep, made of another one."""
        shutil.copytree(self.kept(name), self._keep(to), copy_function=_copy)
        return self._keep(to)

    @contextmanager
    def play(self, name: str) -> Iterator[Play]:
        """A copy of the folder ``name``, to be spoilt."""
        self._number += 1
        folder = self.root / f"play-{self._number}"
        shutil.copytree(self.kept(name), folder, copy_function=_copy)
        yield Play(self.forge, folder)
        shutil.rmtree(folder, ignore_errors=True)

    def good(self, folder: Path, *arguments: str) -> Ended:
        """A verb that must end well."""
        ended = Play(self.forge, folder).run(*arguments)
        if ended.code:
            raise AssertionError(f"{ended}\n{ended.err}")
        return ended


@dataclass
class Play:
    """A folder that is being spoilt, and the database that belongs to it."""

    forge: Forge
    folder: Path
    named: str = ""  # a database elsewhere

    @property
    def address(self) -> str:
        return self.named or f"sqlite:///{self.folder / DATABASE}"

    @property
    def public(self) -> Path:
        return self.folder / PUBLIC

    def run(self, *arguments: str, blow: Blow = NONE, **more: Any) -> Ended:
        """A verb in the folder, struck as told."""
        environment = {"WARTA_DATABASE_URL": self.named} if self.named else {}
        return self.forge.run(self.folder, *arguments, blow=blow, environment=environment, **more)


@contextmanager
def open_stage(forge: Forge) -> Iterator[Stage]:
    """Serves the made-up portal until the block ends; all folders lie in one that goes with it."""
    with tempfile.TemporaryDirectory(prefix="warta-stage-") as name:
        root = Path(name).resolve()
        home = root / "home"
        home.mkdir()
        with Road.open(StandIn(World(NOW, **SIZES)), SPSE, home) as road:
            yield Stage(forge, road, root)
            road.repository.engine.dispose()
