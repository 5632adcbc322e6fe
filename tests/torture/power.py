"""The power fails at every moment of every verb: what the order of its writes allows on the disk is built, and read.

What was written and not synced may be there whole, in part, as zeros or not at all; a name that was made, moved or
removed may not be so yet, until its folder was synced.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.torture import model
from tests.torture.killing import Act, Report, mend
from tests.torture.model import Broken
from tests.torture.stage import Stage

TO_THE_END = 0.2  # of the power cuts come just after the verb has ended: then all that it told of must be there


class Step(NamedTuple):
    """A call as faults.c writes it down: ``what`` it was, a number, and bytes or the old name."""

    what: str
    path: Path
    number: int
    content: bytes


def read_steps(path: Path) -> Iterator[Step]:
    """The log of a verb."""
    with path.open("rb") as file:
        while head := file.readline():
            what, length, number, size = head.split()
            name = Path(os.fsdecode(file.read(int(length))))
            yield Step(what.decode(), name, int(number), file.read(int(size)))


@dataclass
class Content:
    """A file's bytes: those on the disk for sure, and what was done to them since."""

    safe: bytes = b""
    safe_time: int | None = None
    time: int | None = None
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut off there

    def sync(self) -> None:
        self.safe, self.safe_time = self.apply(len(self.since)), self.time
        self.since = []

    def apply(self, count: int) -> bytes:
        """The bytes after the first ``count`` of what was not synced."""
        found = bytearray(self.safe)
        for at, written in self.since[:count]:
            if written is None:
                found = found[:at].ljust(at, b"\0")
            else:
                found = found.ljust(at, b"\0")
                found[at : at + len(written)] = written
        return bytes(found)

    def fall(self, dice: random.Random) -> tuple[bytes, int | None]:
        """What is found of them after the power was gone."""
        if not self.since:
            return self.safe, self.time if dice.random() < 0.5 else self.safe_time
        count = dice.choice([0, len(self.since), dice.randint(0, len(self.since))])
        found, whole = self.apply(count), self.apply(len(self.since))
        if dice.random() < 0.3:  # the size was written, and not the bytes
            found = found[: dice.randint(0, len(found))].ljust(len(whole), b"\0")
        return found, self.time if dice.random() < 0.5 else self.safe_time


@dataclass
class Folder:
    """Names in a folder: those that are there for sure, and what was done since, in order."""

    safe: dict[str, Content | Folder] = field(default_factory=dict)
    now: dict[str, Content | Folder] = field(default_factory=dict)
    since: list[list[tuple[str, Content | Folder | None]]] = field(default_factory=list)  # None: removed

    def do(self, *changes: tuple[str, Content | Folder | None]) -> None:
        """Names that change in one step."""
        self.since.append(list(changes))
        _apply(self.now, self.since[-1:])

    def sync(self) -> None:
        self.safe, self.since = dict(self.now), []

    def fall(self, dice: random.Random) -> dict[str, Content | Folder]:
        found = dict(self.safe)
        _apply(found, self.since[: dice.choice([0, len(self.since), dice.randint(0, len(self.since))])])
        return found


def _apply(names: dict[str, Content | Folder], steps: Sequence[Sequence[tuple[str, Content | Folder | None]]]) -> None:
    for changes in steps:
        for name, what in changes:
            if what is None:
                names.pop(name, None)
            else:
                names[name] = what


class Disk:
    """A folder as the kernel sees it, and as the disk may have it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = _load(root)
        self.wrong: list[str] = []  # renames of what was not synced

    def do(self, step: Step) -> None:
        """One more call of the program."""
        if step.what == "S":
            _sync_all(self._top)
            return
        if not step.path.is_relative_to(self._root) or step.path.name.endswith((" (deleted)", "-shm")):
            return
        parent, name = self._find(step.path.parent), step.path.name
        found = self._top if step.path == self._root else parent.now.get(name)
        match step.what, found:
            case "c", _:
                parent.do((name, Content()))
            case "t", Content():
                found.since.append((0, None))
            case "w", Content():
                found.since.append((step.number, step.content))
            case "l", Content():
                found.since.append((step.number, None))
            case "a", Content():
                found.time = step.number
            case "s", Content() | Folder():
                found.sync()
            case (("u" | "d"), _):
                parent.do((name, None))
            case "m", _:
                parent.do((name, Folder()))
            case "r", _:
                self._rename(Path(os.fsdecode(step.content)), step.path)

    def _rename(self, old: Path, new: Path) -> None:
        source, target = self._find(old.parent), self._find(new.parent)
        moved = source.now[old.name]
        if isinstance(moved, Content) and moved.since:
            self.wrong.append(f"{new.relative_to(self._root)} got its name before its bytes were synced")
        if source is target:
            source.do((old.name, None), (new.name, moved))
        else:
            target.do((new.name, moved))
            source.do((old.name, None))

    def _find(self, path: Path) -> Folder:
        folder = self._top
        for step in path.relative_to(self._root).parts if path != self._root.parent else ():
            inner = folder.now[step]
            if not isinstance(inner, Folder):
                raise TypeError(f"{path} is no folder")
            folder = inner
        return folder

    def find_unsafe(self) -> list[str]:
        """Files that have their name, and may lose it or their bytes: of a verb that has ended there must be none."""
        return [name for name in _find_unsafe(self._top, "") if not name.endswith(("-wal", "-shm", ".lock"))]

    def fall(self, target: Path, dice: random.Random) -> None:
        """Writes into ``target`` what is found after the power was gone just now."""
        _write(self._top, target, dice)


def _load(path: Path) -> Folder:
    names: dict[str, Content | Folder] = {}
    for each in path.iterdir():
        if each.is_dir():
            names[each.name] = _load(each)
        elif not each.name.endswith("-shm"):
            time = each.stat().st_mtime_ns
            names[each.name] = Content(each.read_bytes(), time, time)
    return Folder(dict(names), dict(names))


def _sync_all(folder: Folder) -> None:
    for found in {**folder.safe, **folder.now}.values():
        if isinstance(found, Folder):
            _sync_all(found)
        else:
            found.sync()
    folder.sync()


def _find_unsafe(folder: Folder, above: str) -> Iterator[str]:
    for name, found in folder.now.items():
        place = f"{above}{name}"
        if folder.safe.get(name) is not found:
            yield place
        if isinstance(found, Folder):
            yield from _find_unsafe(found, f"{place}/")
        elif found.since:
            yield place


def _write(folder: Folder, target: Path, dice: random.Random) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, found in folder.fall(dice).items():
        if isinstance(found, Folder):
            _write(found, target / name, dice)
            continue
        body, time = found.fall(dice)
        (target / name).write_bytes(body)
        if time is not None:
            os.utime(target / name, ns=(time, time))


def cut_power(stage: Stage, act: Act, rounds: int, dice: random.Random) -> Report:
    """The verb runs once, its calls written down; then the power fails ``rounds`` times in them."""
    report = Report(f"power cut: {act.name}")
    log = stage.root / "steps"
    with stage.play(act.begins) as play:
        begun = stage.root / "begun"
        shutil.copytree(play.folder, begun)
        ended = play.run(*act.arguments, log=log)
        if ended.code not in act.codes:
            raise AssertionError(str(ended))
        steps = [step._replace(path=begun / step.path.relative_to(play.folder)) for step in read_steps(log)]
        steps = [_moved(step, play.folder, begun) for step in steps]
    disk = Disk(begun)
    with report.watch(act.name, "the order of its writes"):
        for step in steps:
            disk.do(step)
        if disk.wrong or disk.find_unsafe():
            raise Broken("; ".join([*disk.wrong[:3], *(f"{name} is not safe" for name in disk.find_unsafe()[:5])]))
    for _ in range(rounds):
        at = len(steps) if dice.random() < TO_THE_END else dice.randint(1, len(steps))
        report.rounds += 1
        with report.watch(act.name, f"the power fails after step {at} of {len(steps)}"):
            _fall(stage, act, (begun, steps[:at]), dice, report, ended=at == len(steps))
    shutil.rmtree(begun)
    return report


def _moved(step: Step, old: Path, new: Path) -> Step:
    if step.what != "r" or not step.content:
        return step
    return step._replace(content=os.fsencode(new / Path(os.fsdecode(step.content)).relative_to(old)))


def _fall(
    stage: Stage, act: Act, done: tuple[Path, Sequence[Step]], dice: random.Random, report: Report, *, ended: bool
) -> None:
    begun, steps = done
    before = model.find_kept(f"sqlite:///{begun / 'var' / 'warta.db'}") if act.name != "migrate" else (set[str](), [])
    with stage.play("empty") as play:
        disk = Disk(begun)
        for step in steps:
            disk.do(step)
        disk.fall(play.folder, dice)
        report.blows += 1
        report.checked += act.check(stage, play)
        model.check_nothing_lost(before, play.address)
        model.forget_leases(play.address)  # a machine that starts again takes as long as they last
        if ended and not act.mend:
            act.check_after(stage, play)
        mend(stage, act, play)
