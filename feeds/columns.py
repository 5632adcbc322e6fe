"""What was published of the many parts of tenders, in columns: a publish that finds all of their files untouched needs
none of those parts by itself. The manifest (tree.py) tells by a digest that the two belong together.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from feeds.drafts import Stamp, check_path

COLUMNS = ".warta.tenders"

_NONE = (-1, -1)  # size and time where there is no file, or no twin
_WIDTH = 4  # numbers for each file: size and time of it, then of its twin

Row = tuple[str, str, dict[str, Stamp]]  # name and fingerprint of a part, and its files


class Columns(NamedTuple):
    """Many parts. ``counts`` tells how many of ``paths`` belong to each, in order."""

    names: list[str]
    prints: list[str]
    counts: list[int]
    paths: list[str]
    stamps: list[int]
    digest: str = ""

    def are_untouched(self, root: str) -> bool:
        """Whether every file lies below ``root`` as it was left."""
        numbers = iter(self.stamps)
        files = zip(self.paths, numbers, numbers, numbers, numbers, strict=True)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)  # stat finds its way faster from there
        try:
            return all(
                _look(path, folder) == (size, time) and _look(f"{path}.gz", folder) == (twin_size, twin_time)
                for path, size, time, twin_size, twin_time in files
            )
        finally:
            os.close(folder)

    def rows(self) -> Iterator[Row]:
        """Each part by itself. ValueError where a path is none inside the folder."""
        numbers, paths = iter(self.stamps), iter(self.paths)
        for name, fingerprint, count in zip(self.names, self.prints, self.counts, strict=True):
            files = {path: _cut(list(islice(numbers, _WIDTH))) for path in islice(paths, count)}
            for path in files:
                check_path(path)
            yield name, fingerprint, files

    @property
    def size(self) -> int:
        """Bytes of all files, with those of the twins."""
        return sum(size for size in self.stamps[::2] if size > 0)


EMPTY = Columns([], [], [], [], [])


def fill_columns(rows: Iterable[Row]) -> Columns:
    """What ``Columns.rows`` gives back."""
    columns = Columns([], [], [], [], [])
    for name, fingerprint, files in rows:
        columns.names.append(name)
        columns.prints.append(fingerprint)
        columns.counts.append(len(files))
        columns.paths.extend(files)
        for stamp in files.values():
            columns.stamps.extend((*stamp, *_NONE, *_NONE)[:_WIDTH])
    return columns


def render_columns(columns: Columns) -> bytes:
    """One line for each column, the texts of the first three as one: that is read fastest."""
    texts = ["\n".join(column) for column in (columns.names, columns.prints, columns.paths)]
    return json.dumps([*texts, columns.counts, columns.stamps], separators=(",", ":")).encode()


def parse_columns(body: bytes) -> Columns:
    """ValueError or TypeError where they are none; paths are looked at by ``rows``."""
    *texts, counts, stamps = json.loads(body)
    names, prints, paths = (text.split("\n") if text else [] for text in texts)
    if not len(names) == len(prints) == len(counts) or not len(paths) == sum(counts) == len(stamps) / _WIDTH:
        raise ValueError("its columns do not belong together")
    return Columns(names, prints, counts, paths, stamps, make_digest(body))


def make_digest(body: bytes) -> str:
    """Of rendered columns."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _look(path: str, folder: int) -> tuple[int, int]:
    try:
        found = os.stat(path, dir_fd=folder)
    except FileNotFoundError:
        return _NONE
    return found.st_size, found.st_mtime_ns


def _cut(numbers: list[int]) -> Stamp:
    """The stamp of a file from its row: without the twin where there is none."""
    while numbers[-1:] == [_NONE[1]]:
        del numbers[-2:]
    return numbers
