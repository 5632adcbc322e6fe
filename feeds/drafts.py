"""Files on their way into the published tree: compared with what lies there, written beside it, then put in its place.

Writing beside may be done by any process that was given the paths; putting in place is the tree's (tree.py).
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple

from aggregator.files import make_folder

SECOND = 1_000_000_000  # in ns, as st_mtime_ns counts

_LEVEL = 6  # of gzip: 9 takes longer, of large feeds twice as long, for a hundredth less

Stamp = list[int]  # size and mtime in ns of the file, then of its .gz twin where there is one


class File(NamedTuple):
    """What to write. ``changed`` becomes the file's time, and so its Last-Modified."""

    body: bytes
    changed: datetime


class Difference(NamedTuple):
    """What has to be written of a file and its twin: None where that stays. ``loses_twin``: it has none any more."""

    path: str
    body: bytes | None
    twin: bytes | None
    loses_twin: bool
    mtime: int

    @property
    def is_none(self) -> bool:
        return self.body is None and self.twin is None and not self.loses_twin


class Draft(NamedTuple):
    """A file with its twin, what differs of both lying beside their places. ``stamp`` is what they will have then."""

    path: str
    stamp: Stamp
    is_new: bool = False
    has_new_twin: bool = False
    loses_twin: bool = False

    @property
    def is_same(self) -> bool:
        return not (self.is_new or self.has_new_twin or self.loses_twin)


def compare_file(root: str, path: str, file: File) -> Difference:
    """ValueError where ``path`` is none inside the folder."""
    check_path(path)
    target = f"{root}/{path}"
    packed = gzip.compress(file.body, _LEVEL, mtime=0)
    wanted = packed if len(packed) < len(file.body) else None
    old, old_twin = _read(target), _read(f"{target}.gz")
    mtime = round(file.changed.timestamp() * 1_000_000) * 1000
    if old == file.body:
        mtime = os.stat(target).st_mtime_ns
    elif old is not None:  # new bytes need a later time, or If-Modified-Since would hide them
        mtime = max(mtime, os.stat(target).st_mtime_ns + SECOND)
    body = None if old == file.body else file.body
    return Difference(
        path, body, None if old_twin == wanted else wanted, wanted is None and old_twin is not None, mtime
    )


def write_draft(root: str, found: Difference, *, sync: bool) -> Draft:
    """``sync``: what is written is on the disk; else that is left to the caller."""
    target, stamp = f"{root}/{found.path}", Stamp()
    for place, body in ((target, found.body), (f"{target}.gz", found.twin)):
        if body is not None:
            stamp += write_beside(place, body, found.mtime, sync=sync)
        elif place == target or not found.loses_twin:
            stamp += _find_stamp(place)
    return Draft(found.path, stamp, found.body is not None, found.twin is not None, found.loses_twin)


def write_drafts(root: str, files: Mapping[str, File]) -> list[Draft]:
    """Writes beside their places what differs of ``files``; nothing of it is sure to be on the disk."""
    return [write_draft(root, compare_file(root, path, file), sync=False) for path, file in files.items()]


def put_in_place(root: str, drafts: Sequence[Draft]) -> None:
    """The twin first: a reader that sees the new file then finds the twin that belongs to it."""
    for draft in drafts:
        target = Path(f"{root}/{draft.path}")
        twin = twin_of(target)
        if draft.loses_twin:
            twin.unlink(missing_ok=True)
        if draft.has_new_twin:
            temporary(twin).replace(twin)
        if draft.is_new:
            temporary(target).replace(target)


def replace_file(target: Path, body: bytes, mtime: int | None = None) -> None:
    """``body`` becomes the file, whole or not at all; ``mtime`` in ns. OSError names it where that fails."""
    write_beside(str(target), body, mtime, sync=True)
    temporary(target).replace(target)


def write_beside(place: str, body: bytes, mtime: int | None, *, sync: bool) -> Stamp:
    """Size and time of what is written under the temporary name of ``place``. OSError names the place."""
    with naming(place), _create(Path(place)) as file:
        file.write(body)
        file.flush()
        if mtime is not None:
            os.utime(file.fileno(), ns=(mtime, mtime))
        if sync:
            os.fsync(file.fileno())
        told = os.fstat(file.fileno())
    return [told.st_size, told.st_mtime_ns]


def _create(target: Path) -> IO[bytes]:
    beside = temporary(target)
    try:
        return beside.open("wb")
    except FileNotFoundError:
        make_folder(target.parent)
        return beside.open("wb")


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """An error of writing or syncing names no file by itself. One that is named already keeps its name."""
    try:
        yield
    except _NamedError:
        raise
    except OSError as error:
        raise _NamedError(error.errno, f"{path} cannot be written: {error.strerror}") from error


class _NamedError(OSError):
    """Tells which file it is about."""


def find_stamp(path: str) -> Stamp:
    """Of the file with its twin as they lie there; empty where there is none."""
    own = _find_stamp(path)
    return own and own + _find_stamp(f"{path}.gz")


def _find_stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return []
    return [found.st_size, found.st_mtime_ns]


def check_path(path: str) -> None:
    """ValueError where ``path`` is none inside the folder."""
    if not is_ours(path):
        raise ValueError(f"{path!r} is no path inside the published folder")


def is_ours(path: str) -> bool:
    """Whether a relative path stays inside the folder, in printable ASCII, begins no part with a dot, and is no longer
    than a file system takes, with what ``twin_of`` and ``temporary`` add."""
    steps = f"/{path}/"  # looked at as a whole: a publish asks this of every file
    is_short = len(path) <= 200 or (len(path) <= 2000 and max(map(len, path.split("/"))) <= 240)
    return is_short and path.isascii() and path.isprintable() and "/." not in steps and "//" not in steps


def twin_of(target: Path) -> Path:
    """Where the packed twin of a file lies."""
    return target.with_name(target.name + ".gz")


def temporary(target: Path) -> Path:
    """Where a file lies until it is whole."""
    return target.with_name(f".{target.name}.tmp")


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:  # twice for every page: a Path would cost more than the look
            return file.read()
    except FileNotFoundError:
        return None
