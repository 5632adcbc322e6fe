"""A published folder: every file whole or not at all, written only when its bytes differ, and remembered.

A manifest inside the folder tells what was published from what, so that unchanged parts need no rendering,
files no longer published are removed, and nothing else is ever touched; its time is that of the last publish.
A journal names the files of a publish that is under way; the next publish looks at those again if it finds one.
Names that begin with a dot are ours and are not served.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from aggregator.files import sync_folder

LOCK = ".warta.lock"
MANIFEST = ".warta.json"
JOURNAL = ".warta.journal"

_SECOND = 1_000_000_000  # in ns, as st_mtime_ns counts
_log = logging.getLogger(__name__)

Stamp = list[int]  # size and mtime in ns of the file, then of its .gz twin where there is one


class File(NamedTuple):
    """What to write. ``changed`` becomes the file's time, and so its Last-Modified."""

    body: bytes
    changed: datetime


@dataclass(frozen=True)
class Part:
    """Files made together from the same things; ``facts`` is what other pages tell of them."""

    fingerprint: str
    files: dict[str, Stamp]
    facts: dict[str, Any]


@dataclass
class Published:
    """What a publish did, in files (a .gz twin is not counted apart)."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0


@contextmanager
def open_tree(root: Path) -> Iterator[Tree]:
    """The folder, held against a second publish, which waits. What was not kept or saved is removed at the end."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tree = Tree(root)
        yield tree
        tree.finish()


def find_last_publish(root: Path) -> datetime | None:
    """When a publish into this folder last came to its end, whether or not it changed anything; None: never."""
    try:
        return datetime.fromtimestamp((root / MANIFEST).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


@dataclass
class Tree:
    """The folder during one publish; made by ``open_tree``."""

    root: Path
    published: Published = field(default_factory=Published)

    def __post_init__(self) -> None:
        self._before = _load_manifest(self.root / MANIFEST)
        self._after: dict[str, Part] = {}
        self._touched_folders: set[Path] = set()
        self._interrupted = _load_journal(self.root / JOURNAL)
        for path in self._interrupted:
            for target in _twins(self.root / path):
                _temporary(target).unlink(missing_ok=True)

    def find_kept(self, name: str, fingerprint: str | None = None) -> Part | None:
        """The part as it was last published, if it lies there untouched and was made from the same: from what has
        this ``fingerprint``, or from anything where none is given."""
        part = self._before.get(name)
        if part is None or fingerprint not in {None, part.fingerprint}:
            return None
        if any(_stamp(self.root / path) != stamp for path, stamp in part.files.items()):
            return None
        self._after[name] = part
        self.published.unchanged += len(part.files)
        return part

    def save(self, name: str, fingerprint: str, files: Mapping[str, File], facts: Mapping[str, Any]) -> Part:
        """Writes what differs. ``facts`` are JSON values."""
        stamps = {}
        for path, file in files.items():
            _check_path(path)
            self._write(path, file.body, round(file.changed.timestamp() * 1_000_000) * 1000)
            stamps[path] = _stamp(self.root / path)
        self._after[name] = Part(fingerprint, stamps, dict(facts))
        return self._after[name]

    def _write(self, path: str, body: bytes, mtime: int) -> None:
        target, twin = _twins(self.root / path)
        packed = gzip.compress(body, 9, mtime=0)
        wanted = packed if len(packed) < len(body) else None
        same, twin_same = _read(target) == body, _read(twin) == wanted
        if same and twin_same:
            self.published.unchanged += 1
            return
        self.published.written += 1
        with _naming(self.root / JOURNAL), (self.root / JOURNAL).open("a", encoding="ascii") as journal:
            journal.write(path + "\n")
        target.parent.mkdir(parents=True, exist_ok=True)
        if same:
            mtime = target.stat().st_mtime_ns
        elif target.exists():  # new bytes need a later time, or If-Modified-Since would hide them
            mtime = max(mtime, target.stat().st_mtime_ns + _SECOND)
        # the twin first: a reader that sees the new file then finds the twin that belongs to it
        if wanted is None:
            twin.unlink(missing_ok=True)
        elif not twin_same:
            self._replace(twin, wanted, mtime)
        if not same:
            self._replace(target, body, mtime)

    def _replace(self, target: Path, body: bytes, mtime: int | None = None) -> None:
        temporary = _temporary(target)
        with _naming(target), temporary.open("wb") as file:
            file.write(body)
            file.flush()
            if mtime is not None:
                os.utime(file.fileno(), ns=(mtime, mtime))
            os.fsync(file.fileno())
        temporary.replace(target)
        self._touched_folders.add(target.parent)

    def finish(self) -> None:
        """Removes what publish once wrote and writes no more, then remembers what lies there now."""
        kept = {path for part in self._after.values() for path in part.files}
        known = {path for part in self._before.values() for path in part.files} | self._interrupted
        for path in sorted(known - kept):
            target, twin = _twins(self.root / path)
            self.published.removed += target.exists()
            twin.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
        for folder in self._touched_folders:
            sync_folder(folder)
        if self._after != self._before or not (self.root / MANIFEST).exists():
            manifest = {name: asdict(part) for name, part in self._after.items()}
            body = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
            self._replace(self.root / MANIFEST, body)
        else:
            os.utime(self.root / MANIFEST)
        (self.root / JOURNAL).unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An error of writing or syncing names no file by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{path} cannot be written: {error.strerror}") from error


def _load_manifest(path: Path) -> dict[str, Part]:
    try:
        parts = {name: Part(**part) for name, part in json.loads(path.read_bytes()).items()}
        for part in parts.values():
            for file in part.files:
                _check_path(file)
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        _log.warning("%s: cannot be read, so everything is rendered again: %s", path, error)
        return {}
    return parts


def _load_journal(path: Path) -> set[str]:
    """Paths of a publish that was cut short; a torn last line names nothing that was written."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return set()
    paths = {line[:-1] for line in lines if line.endswith("\n")}
    return {path for path in paths if _is_ours(path)}


def _check_path(path: str) -> None:
    if not _is_ours(path):
        raise ValueError(f"{path!r} is no path inside the published folder")


def _is_ours(path: str) -> bool:
    """Whether a relative path stays inside the folder and begins no part with a dot."""
    parts = PurePosixPath(path).parts
    return path.isascii() and path.isprintable() and bool(parts) and not any(p.startswith((".", "/")) for p in parts)


def _twins(target: Path) -> tuple[Path, Path]:
    return target, target.with_name(target.name + ".gz")


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.tmp")


def _read(target: Path) -> bytes | None:
    try:
        return target.read_bytes()
    except FileNotFoundError:
        return None


def _stamp(target: Path) -> Stamp:
    stamp: Stamp = []
    for path in _twins(target):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        stamp += (status.st_size, status.st_mtime_ns)
    return stamp
