"""A published folder: every file whole or not at all, written only when its bytes differ, and remembered.

A manifest inside the folder tells what was published from what, so that unchanged parts need no rendering,
files no longer published are removed, and nothing else is ever touched; its time is that of the last publish.
A journal names the files of a publish that is under way; the next publish looks at those again if it finds one.
Files are packed, written and synced many at a time, by a thread of their own: a tree has 100,000 pages.
Names that begin with a dot are ours and are not served.
"""

from __future__ import annotations

import fcntl
import filecmp
import gzip
import json
import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from aggregator.files import sync_folder

LOCK = ".warta.lock"
MANIFEST = ".warta.json"
JOURNAL = ".warta.journal"
SIZE = ".warta.size"  # how many files and bytes: the manifest of a large tree takes a second to read

BATCH = 500  # files written, then synced, then put in place
MANY = 200  # files and twins: from here on one sync of all that waits costs less than one for each

_SECOND = 1_000_000_000  # in ns, as st_mtime_ns counts
_STEP = r"(?!\.)[ -.0-~]+"  # printable ASCII without a slash or a dot in front
_PATH = re.compile(rf"(?:{_STEP}/)*{_STEP}")
_log = logging.getLogger(__name__)

Writing = Callable[[IO[bytes]], None]  # writes a file into a stream
F = TypeVar("F")
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
    with lock_tree(root):
        tree = Tree(root)
        try:
            yield tree
            tree.finish()
        finally:
            tree.close()


@contextmanager
def lock_tree(root: Path) -> Iterator[None]:
    """Holds a published folder, which must be there, against every publish."""
    with (root / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_file(target: Path, body: bytes, mtime: int | None = None) -> None:
    """``body`` becomes the file, whole or not at all; ``mtime`` in ns. OSError names it where that fails."""
    _write_beside(target, body, mtime, sync=True)
    _temporary(target).replace(target)


def find_last_publish(root: Path) -> datetime | None:
    """When a publish into this folder last came to its end, whether or not it changed anything; None: never."""
    try:
        return datetime.fromtimestamp((root / MANIFEST).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


class TreeSize(NamedTuple):
    """Files of a published folder, and their bytes with those of the twins."""

    files: int
    size: int


def find_tree_size(root: Path) -> TreeSize | None:
    """How much the last publish left in this folder, without walking it; None where that is not known."""
    try:
        files, size = (root / SIZE).read_text(encoding="ascii").split()
        return TreeSize(int(files), int(size))
    except (FileNotFoundError, ValueError):  # of an earlier version, or torn
        return None


class _Job(NamedTuple):
    """A file to be written; its stamp is put into ``stamps``."""

    path: str
    body: bytes
    mtime: int
    stamps: dict[str, Stamp]


class Tree:
    """The folder during one publish; made by ``open_tree``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.published = Published()
        self._before = _load_manifest(root / MANIFEST)
        self._after: dict[str, Part] = {}
        self._owners: dict[str, str] = {}  # the part that each file kept or saved so far belongs to
        self._touched_folders: set[Path] = set()
        self._interrupted = _load_journal(root / JOURNAL)
        self._changed = set(self._interrupted)
        self._thread = ThreadPoolExecutor(1)
        self._batch: list[_Job] = []
        self._written: deque[Future[None]] = deque()
        for path in self._interrupted:
            for target in _twins(root / path):
                _temporary(target).unlink(missing_ok=True)

    @property
    def changed(self) -> set[str]:
        """Files whose bytes are others than at the end of the last publish."""
        self._flush()
        return self._changed

    def find_kept(self, name: str, fingerprint: str | None = None) -> Part | None:
        """The part as it was last published, if it lies there untouched and was made from the same: from what has
        this ``fingerprint``, or from anything where none is given."""
        part = self._before.get(name)
        if part is None or fingerprint not in {None, part.fingerprint}:
            return None
        return part if self._keep({name: part}) else None

    def keep_all(self, prefix: str) -> bool:
        """Keeps every part whose name begins with ``prefix``, if the files of all of them lie there untouched."""
        return self._keep({name: part for name, part in self._before.items() if name.startswith(prefix)})

    def _keep(self, parts: Mapping[str, Part]) -> bool:
        for name, part in parts.items():
            if self._after.get(name, part) is not part:
                return False
            for path, stamp in part.files.items():
                if self._owners.get(path, name) != name or _stamp(f"{self.root}/{path}") != stamp:
                    return False
        self._owners |= {path: name for name, part in parts.items() for path in part.files}
        self._after |= parts
        self.published.unchanged += sum(len(part.files) for part in parts.values())
        return True

    def find_parts(self) -> Mapping[str, Part]:
        """Every part kept or saved so far, by its name."""
        self._flush()
        return self._after

    def save(
        self,
        name: str,
        fingerprint: str,
        files: Mapping[str, File],
        facts: Mapping[str, Any],
        kept: Part | None = None,
    ) -> Part:
        """Writes what differs, soon: at the end of the publish it is there. ``facts`` are JSON values. The files of a
        part just ``kept`` stay beside ``files``. What another part has, or an earlier one of this name, stays that
        one's, and the log tells so: two names that a hostile source chose to meet must not stop a publish."""
        free = self._claim(name, files)
        if len(free) < len(files):
            if kept is None and name in self._after:
                return self._after[name]
            files = free
        part = Part(fingerprint, kept.files if kept else {}, dict(facts))  # the same dict: some may wait to be written
        for path, file in files.items():
            _check_path(path)
            mtime = round(file.changed.timestamp() * 1_000_000) * 1000
            self._batch.append(_Job(path, file.body, mtime, part.files))
        self._after[name] = part
        if len(self._batch) >= BATCH:
            self._start()
        return part

    def save_streamed(
        self, name: str, fingerprint: str, files: Mapping[str, Writing], changed: datetime, facts: Mapping[str, Any]
    ) -> Part:
        """Writes at once what is too large to be held, each file by what writes it into a stream that can seek. Such
        files are packed in their own way and have no twin."""
        free = self._claim(name, files)
        self._flush()
        part = Part(fingerprint, {}, dict(facts))
        for path, write in free.items():
            _check_path(path)
            self._stream(path, write, round(changed.timestamp() * 1_000_000) * 1000)
            part.files[path] = _stamp(f"{self.root}/{path}")
        self._after[name] = part
        return part

    def _stream(self, path: str, write: Writing, mtime: int) -> None:
        """Beside the old file first, which stays in place where the bytes are the same."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._note([path])
        with _naming(target), _temporary(target).open("w+b") as file:
            write(file)
            file.flush()
            if target.exists():  # new bytes need a later time, or If-Modified-Since would hide them
                mtime = max(mtime, target.stat().st_mtime_ns + _SECOND)
            os.utime(file.fileno(), ns=(mtime, mtime))
            os.fsync(file.fileno())
        if target.exists() and filecmp.cmp(_temporary(target), target, shallow=False):
            _temporary(target).unlink()
            self.published.unchanged += 1
            return
        _temporary(target).replace(target)
        self.published.written += 1
        self._changed.add(path)
        self._touched_folders.add(target.parent)

    def _note(self, paths: Iterable[str]) -> None:
        """Names in the journal what is about to be written."""
        with _naming(self.root / JOURNAL), (self.root / JOURNAL).open("a", encoding="ascii") as journal:
            journal.writelines(path + "\n" for path in paths)

    def _claim(self, name: str, files: Mapping[str, F]) -> dict[str, F]:
        """Those of ``files`` that no part of this publish has yet; from now on they belong to this one."""
        free = {path: file for path, file in files.items() if path not in self._owners}
        for path in files.keys() - free.keys():
            _log.error("%s: two parts want to be this file, so %r has it and %r not", path, self._owners[path], name)
        self._owners |= dict.fromkeys(free, name)
        return free

    def _start(self) -> None:
        self._written.append(self._thread.submit(self._write, self._batch))
        self._batch = []
        if len(self._written) > 2:  # no more waits in memory than is being written
            self._written.popleft().result()

    def _flush(self) -> None:
        self._start()
        while self._written:
            self._written.popleft().result()

    def close(self) -> None:
        """Lets go of the folder; what waits to be written after an error is not written."""
        self._thread.shutdown(cancel_futures=True)

    def _write(self, jobs: Sequence[_Job]) -> None:
        """Every new file beside the old one and on the disk, then all of them in place."""
        places = [place for job in jobs for place in self._compare(job)]
        if places:
            self._note(dict.fromkeys(place.path for place in places))
        folders = {place.target.parent for place in places}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._touched_folders |= folders
        few = len(places) < MANY
        for place in places:
            if place.body is not None:
                _write_beside(place.target, place.body, place.mtime, sync=few)
        if not few:
            os.sync()
        for place in places:
            if place.body is None:
                place.target.unlink(missing_ok=True)
            else:
                _temporary(place.target).replace(place.target)
        for job in jobs:
            job.stamps[job.path] = _stamp(f"{self.root}/{job.path}")

    def _compare(self, job: _Job) -> Iterator[_Place]:
        """What of a file and its twin is to be put in place. The twin first: a reader that sees the new file then
        finds the twin that belongs to it."""
        target, twin = _twins(self.root / job.path)
        packed = gzip.compress(job.body, 9, mtime=0)
        wanted = packed if len(packed) < len(job.body) else None
        same, twin_same = _read(target) == job.body, _read(twin) == wanted
        if same and twin_same:
            self.published.unchanged += 1
            return
        self.published.written += 1
        mtime = job.mtime
        if same:
            mtime = target.stat().st_mtime_ns
        elif target.exists():  # new bytes need a later time, or If-Modified-Since would hide them
            mtime = max(mtime, target.stat().st_mtime_ns + _SECOND)
        if not twin_same:
            yield _Place(job.path, twin, wanted, mtime)
        if not same:
            self._changed.add(job.path)
            yield _Place(job.path, target, job.body, mtime)

    def finish(self) -> None:
        """Removes what publish once wrote and writes no more, then remembers what lies there now."""
        self._flush()
        kept = {path for part in self._after.values() for path in part.files}
        known = {path for part in self._before.values() for path in part.files} | self._interrupted
        for path in sorted(known - kept):
            target, twin = _twins(self.root / path)
            self.published.removed += target.exists()
            twin.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
            self._remove_empty(target.parent)
        for folder in self._touched_folders:
            sync_folder(folder)
        if self._after != self._before or not all((self.root / name).exists() for name in (MANIFEST, SIZE)):
            stamps = [stamp for part in self._after.values() for stamp in part.files.values()]
            replace_file(self.root / SIZE, b"%d %d" % (len(stamps), sum(sum(stamp[::2]) for stamp in stamps)))
            replace_file(self.root / MANIFEST, _render_manifest(self._after))
            sync_folder(self.root)
        else:
            os.utime(self.root / MANIFEST)
        (self.root / JOURNAL).unlink(missing_ok=True)

    def _remove_empty(self, folder: Path) -> None:
        """Removes a folder that holds nothing any more, and those above it that it was all of."""
        while folder != self.root and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            self._touched_folders.discard(folder)
            folder = folder.parent


class _Place(NamedTuple):
    """A file or a twin that becomes ``body``; None: it goes. ``path`` is that of the file in either case."""

    path: str
    target: Path
    body: bytes | None
    mtime: int


def _write_beside(target: Path, body: bytes, mtime: int | None, *, sync: bool) -> None:
    with _naming(target), _temporary(target).open("wb") as file:
        file.write(body)
        file.flush()
        if mtime is not None:
            os.utime(file.fileno(), ns=(mtime, mtime))
        if sync:
            os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An error of writing or syncing names no file by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{path} cannot be written: {error.strerror}") from error


def _load_manifest(path: Path) -> dict[str, Part]:
    try:
        parts = {name: _parse_part(*row) for name, row in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        _log.warning("%s: cannot be read, so everything is rendered again: %s", path, error)
        return {}
    return parts


def _parse_part(fingerprint: str, files: dict[str, Stamp], facts: dict[str, Any] | None = None) -> Part:
    for file in files.keys():  # noqa: SIM118 - AttributeError for what is no mapping
        _check_path(file)
    return Part(fingerprint, files, facts or {})


def _render_manifest(parts: Mapping[str, Part]) -> bytes:
    """Short, for there is a part for every tender: facts only where there are any."""
    rows = {name: [part.fingerprint, part.files, *([part.facts] if part.facts else [])] for name, part in parts.items()}
    return json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()


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
    return _PATH.fullmatch(path) is not None


def _twins(target: Path) -> tuple[Path, Path]:
    return target, target.with_name(target.name + ".gz")


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.tmp")


def _read(target: Path) -> bytes | None:
    try:
        return target.read_bytes()
    except FileNotFoundError:
        return None


def _stamp(path: str) -> Stamp:
    try:
        file = os.stat(path)
    except FileNotFoundError:
        return []
    try:
        twin = os.stat(path + ".gz")
    except FileNotFoundError:
        return [file.st_size, file.st_mtime_ns]
    return [file.st_size, file.st_mtime_ns, twin.st_size, twin.st_mtime_ns]
