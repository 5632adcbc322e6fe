"""A published folder: every file whole or not at all, written only when its bytes differ, and remembered.

A manifest inside the folder tells what was published from what, so that unchanged parts need no rendering,
files no longer published are removed, and nothing else is ever touched; its time is that of the last publish.
Of the many parts of tenders it tells as one: they stand in a file of their own (columns.py).
A journal names the files of a publish that is under way; the next publish looks at those again if it finds one.
Files are packed, written and synced many at a time, by a thread of their own, or by the processes that render them
(drafts.py): a tree has 100,000 pages.
Names that begin with a dot are ours and are not served.
"""

from __future__ import annotations

import fcntl
import filecmp
import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from aggregator.files import make_folder, sync_folder
from feeds.columns import COLUMNS, EMPTY, Columns, fill_columns, make_digest, parse_columns, render_columns
from feeds.drafts import (
    SECOND,
    Draft,
    File,
    Stamp,
    check_path,
    compare_file,
    find_stamp,
    is_ours,
    naming,
    put_in_place,
    replace_file,
    temporary,
    twin_of,
    write_draft,
)

LOCK = ".warta.lock"
MANIFEST = ".warta.json"
JOURNAL = ".warta.journal"
SIZE = ".warta.size"  # how many files and bytes: the manifest of a large tree takes a second to read

MANY_PARTS = "tenders/"  # begins the names of parts that stand in columns, and is their name in the manifest

BATCH = 500  # files written, then synced, then put in place
BATCH_BYTES = 16_000_000  # fewer of them, where they are large: three batches may wait in memory
MANY = 200  # files of one publish: from here on one sync of all that waits costs less than one for each

_log = logging.getLogger(__name__)

T = TypeVar("T")
# Begins a file in a stream, and gives what adds to it.
Begin = Callable[[IO[bytes]], AbstractContextManager[Callable[[T], object]]]


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
    make_folder(root)
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
    file: File
    stamps: dict[str, Stamp]


class Tree:
    """The folder during one publish; made by ``open_tree``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.published = Published()
        self._manifest = _load_manifest(root / MANIFEST)
        self._columns = _load_columns(root / COLUMNS)
        self._before = {name: part for name, part in self._manifest.items() if name != MANY_PARTS}
        self._is_spread = self._is_whole = False  # the columns: told apart into parts before, or kept as they are
        self._after: dict[str, Part] = {}
        self._owners: dict[str, str] = {}  # the part that each file kept or saved so far belongs to
        self._touched_folders: set[Path] = set()
        self._interrupted = _load_journal(root / JOURNAL)
        self._changed = set(self._interrupted)
        self._thread = ThreadPoolExecutor(1)
        self._jobs: list[_Job] = []
        self._waiting_bytes = 0
        self._drafts: list[Draft] = []
        self._written: deque[Future[list[Draft]]] = deque()
        self._is_large = self._has_saved = False
        for path in self._interrupted:
            for target in (root / path, twin_of(root / path)):
                temporary(target).unlink(missing_ok=True)

    @property
    def changed(self) -> set[str]:
        """Files whose bytes are others than at the end of the last publish."""
        self._flush()
        return self._changed

    def find_kept(self, name: str, fingerprint: str | None = None) -> Part | None:
        """The part as it was last published, if it lies there untouched and was made from the same: from what has
        this ``fingerprint``, or from anything where none is given."""
        if name.startswith(MANY_PARTS):
            self._spread()
        part = self._before.get(name)
        if part is None or fingerprint not in {None, part.fingerprint}:
            return None
        return part if self._keep({name: part}) else None

    def had(self, prefix: str) -> bool:
        """Whether a part whose name begins with ``prefix`` was published last."""
        return any(name.startswith(prefix) for name in (*self._before, *self._columns.names))

    def keep_many(self) -> bool:
        """Keeps all parts of tenders as they are, if there are any and every file of them lies there untouched. Asked
        before anything of them is saved."""
        whole, columns = self._manifest.get(MANY_PARTS), self._columns
        if whole is None or whole.fingerprint != columns.digest or not columns.are_untouched(str(self.root)):
            return False
        self._is_whole = True
        self._owners |= dict.fromkeys(columns.paths, MANY_PARTS)
        self.published.unchanged += len(columns.paths)
        return True

    def _spread(self) -> None:
        """The parts of tenders as they were last published are found among the others from now on."""
        if self._is_spread:
            return
        self._is_spread = True
        try:
            self._before |= {name: Part(told, files, {}) for name, told, files in self._columns.rows()}
        except (ValueError, TypeError, AttributeError) as error:
            _warn(self.root / COLUMNS, error)
        if self._is_whole:
            parts = {name: part for name, part in self._before.items() if name.startswith(MANY_PARTS)}
            self._owners |= {path: name for name, part in parts.items() for path in part.files}
            self._after |= parts

    def _keep(self, parts: Mapping[str, Part]) -> bool:
        for name, part in parts.items():
            if self._after.get(name, part) is not part:
                return False
            for path, stamp in part.files.items():
                if self._owners.get(path, name) != name or find_stamp(f"{self.root}/{path}") != stamp:
                    return False
        self._owners |= {path: name for name, part in parts.items() for path in part.files}
        self._after |= parts
        self.published.unchanged += sum(len(part.files) for part in parts.values())
        return True

    def find_last(self, name: str) -> Part | None:
        """The part as it was last published, whatever became of its files, and not kept by asking."""
        return self._before.get(name)

    def is_unmoved(self, but: str) -> bool:
        """Whether every file of the last publish was kept so far, ``but`` those of one part, and none was saved."""
        if not self._is_whole:
            self._spread()
        others = (name for name, part in self._before.items() if part.files and name != but)
        return not self._has_saved and all(name in self._after for name in others)

    def find_parts(self) -> Mapping[str, Part]:
        """Every part kept or saved so far, by its name."""
        self._flush()
        if self._is_whole:
            self._spread()
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
        free = self.claim(name, files)
        if len(free) < len(files) and kept is None and name in self._after:
            return self._after[name]
        part = Part(fingerprint, kept.files if kept else {}, dict(facts))  # the same dict: some may wait to be written
        self._after[name] = part
        self._has_saved = self._has_saved or bool(free)
        for path in free:
            check_path(path)
            self._jobs.append(_Job(path, files[path], part.files))
            self._waiting_bytes += len(files[path].body)
            if len(self._jobs) >= BATCH or self._waiting_bytes >= BATCH_BYTES:
                self._start()
        return part

    def save_drafts(self, name: str, fingerprint: str, drafts: Sequence[Draft]) -> Part:
        """Puts in place, soon, what ``drafts.write_drafts`` wrote of the paths that ``claim`` gave to this part."""
        part = Part(fingerprint, {draft.path: draft.stamp for draft in drafts}, {})
        self._after[name] = part
        self._has_saved = True
        self._drafts += drafts
        if len(self._drafts) >= BATCH:
            self._start()
        return part

    def save_streamed(
        self, name: str, fingerprint: str, files: Mapping[str, Begin[T]], told: Iterable[T], changed: datetime
    ) -> Part:
        """Writes at once what is too large to be held: each piece of what is ``told`` into every one of ``files``, as
        streams that can seek. Such files are packed in their own way and have no twin."""
        free = self.claim(name, files)
        self._flush()
        mtime = round(changed.timestamp() * 1_000_000) * 1000
        with ExitStack() as stack:
            adding = {path: stack.enter_context(self._stream(path, files[path], mtime)) for path in free}
            for piece in told:
                for path, add in adding.items():
                    with naming(self.root / path):
                        add(piece)
        part = self._after[name] = Part(fingerprint, {path: find_stamp(f"{self.root}/{path}") for path in free}, {})
        self._has_saved = True
        return part

    @contextmanager
    def _stream(self, path: str, begin: Begin[T], mtime: int) -> Iterator[Callable[[T], object]]:
        """Beside the old file first, which stays in place where the bytes are the same."""
        check_path(path)
        target = self.root / path
        make_folder(target.parent)
        self.note([path])
        with naming(target), temporary(target).open("w+b") as file:
            with begin(file) as add:
                yield add
            file.flush()
            if target.exists():  # new bytes need a later time, or If-Modified-Since would hide them
                mtime = max(mtime, target.stat().st_mtime_ns + SECOND)
            os.utime(file.fileno(), ns=(mtime, mtime))
            os.fsync(file.fileno())
        if target.exists() and filecmp.cmp(temporary(target), target, shallow=False):
            temporary(target).unlink()
            self.published.unchanged += 1
            return
        temporary(target).replace(target)
        self.published.written += 1
        self._changed.add(path)
        self._touched_folders.add(target.parent)

    def note(self, paths: Iterable[str]) -> None:
        """Names in the journal what is about to be written."""
        with naming(self.root / JOURNAL), (self.root / JOURNAL).open("a", encoding="ascii") as journal:
            begins = not journal.tell()
            journal.writelines(path + "\n" for path in paths)
            journal.flush()
            os.fsync(journal.fileno())  # before the first of them: what is written after a power cut has a name then
        if begins:
            sync_folder(self.root)

    def claim(self, name: str, paths: Iterable[str]) -> list[str]:
        """Those of ``paths`` that no part of this publish has yet; from now on they belong to this one."""
        free = []
        for path in paths:
            if path in self._owners:
                _log.error(
                    "%s: two parts want to be this file, so %r has it and %r not", path, self._owners[path], name
                )
            else:
                free.append(path)
        self._owners |= dict.fromkeys(free, name)
        return free

    def _start(self) -> None:
        self._written.append(self._thread.submit(self._write, self._jobs, self._drafts))
        self._jobs, self._waiting_bytes, self._drafts = [], 0, []
        if len(self._written) > 2:  # no more waits in memory than is being written
            self._count(self._written.popleft().result())

    def _flush(self) -> None:
        self._start()
        while self._written:
            self._count(self._written.popleft().result())

    def _count(self, drafts: Sequence[Draft]) -> None:
        """What was put in place, for whoever asks this publish."""
        for draft in drafts:
            if draft.is_same:
                self.published.unchanged += 1
                continue
            self.published.written += 1
            self._touched_folders.add((self.root / draft.path).parent)
            if draft.is_new:
                self._changed.add(draft.path)
        self._is_large = self._is_large or self.published.written >= MANY

    def close(self) -> None:
        """Lets go of the folder; what waits to be written after an error is not written."""
        self._thread.shutdown(cancel_futures=True)

    def _write(self, jobs: Sequence[_Job], drafts: Sequence[Draft]) -> list[Draft]:
        """Every new file beside the old one and on the disk, then all of them in place."""
        root = str(self.root)
        found = [compare_file(root, job.path, job.file) for job in jobs]
        if moved := [each.path for each in found if not each.is_none]:
            self.note(moved)
        at_once = self._is_large or len(moved) >= MANY
        written = [write_draft(root, each, sync=not at_once) for each in found]
        if (moved and at_once) or not all(draft.is_same for draft in drafts):
            os.sync()
        put_in_place(root, [*drafts, *written])
        for job, draft in zip(jobs, written, strict=True):
            job.stamps[job.path] = draft.stamp
        return [*drafts, *written]

    def finish(self) -> None:
        """Removes what publish once wrote and writes no more, then remembers what lies there now."""
        self._flush()
        columns = self._columns
        if not self._is_whole:
            self._spread()
            many = ((name, part) for name, part in sorted(self._after.items()) if name.startswith(MANY_PARTS))
            columns = fill_columns((name, part.fingerprint, part.files) for name, part in many)
        few = {name: part for name, part in self._after.items() if not name.startswith(MANY_PARTS)}
        kept = {path for part in few.values() for path in part.files}.union(columns.paths)
        self._remove({path for part in self._before.values() for path in part.files} - kept)
        self._remove(self._interrupted - kept)
        folders = {above for folder in self._touched_folders for above in (folder, *folder.parents)}
        for folder in folders:
            if folder.is_relative_to(self.root):  # a new folder has to last, too
                sync_folder(folder)
        self._remember(few, columns)
        (self.root / JOURNAL).unlink(missing_ok=True)

    def _remove(self, paths: Iterable[str]) -> None:
        for path in sorted(paths):
            target = self.root / path
            self.published.removed += target.exists()
            twin_of(target).unlink(missing_ok=True)
            target.unlink(missing_ok=True)
            if target.parent.is_dir():
                self._touched_folders.add(target.parent)
            self._remove_empty(target.parent)

    def _remember(self, few: dict[str, Part], columns: Columns) -> None:
        """What lies there now. The manifest last: columns that it does not name yet are believed part by part."""
        body = b"" if self._is_whole or not columns.paths else render_columns(columns)
        digest = make_digest(body) if body else columns.digest
        if digest:
            few = {**few, MANY_PARTS: Part(digest, {}, {})}
        is_known = few == self._manifest and digest == self._columns.digest
        if is_known and all((self.root / name).exists() for name in (MANIFEST, SIZE)):
            os.utime(self.root / MANIFEST)
            return
        stamps = [stamp for part in few.values() for stamp in part.files.values()]
        size = sum(sum(stamp[::2]) for stamp in stamps) + columns.size
        replace_file(self.root / SIZE, b"%d %d" % (len(stamps) + len(columns.paths), size))
        if body:
            replace_file(self.root / COLUMNS, body)
        elif not digest:
            (self.root / COLUMNS).unlink(missing_ok=True)
        replace_file(self.root / MANIFEST, _render_manifest(few))
        sync_folder(self.root)

    def _remove_empty(self, folder: Path) -> None:
        """Removes a folder that holds nothing any more, and those above it that it was all of."""
        while folder != self.root and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            self._touched_folders.discard(folder)
            folder = folder.parent


def _load_manifest(path: Path) -> dict[str, Part]:
    try:
        parts = {name: _parse_part(*row) for name, row in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        _warn(path, error)
        return {}
    return parts


def _load_columns(path: Path) -> Columns:
    try:
        return parse_columns(path.read_bytes())
    except FileNotFoundError:
        return EMPTY
    except (ValueError, TypeError, AttributeError) as error:
        _warn(path, error)
        return EMPTY


def _warn(path: Path, error: Exception) -> None:
    _log.warning("%s: cannot be read, so everything is rendered again: %s", path, error)


def _parse_part(fingerprint: str, files: dict[str, Stamp], facts: dict[str, Any] | None = None) -> Part:
    for file in files.keys():  # noqa: SIM118 - AttributeError for what is no mapping
        check_path(file)
    return Part(fingerprint, files, facts or {})


def _render_manifest(parts: Mapping[str, Part]) -> bytes:
    """Short: facts only where there are any."""
    rows = {name: [part.fingerprint, part.files, *([part.facts] if part.facts else [])] for name, part in parts.items()}
    return json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()


def _load_journal(path: Path) -> set[str]:
    """Paths of a publish that was cut short; a torn last line names nothing that was written."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return set()
    paths = {line[:-1] for line in lines if line.endswith("\n")}
    return {path for path in paths if is_ours(path)}
