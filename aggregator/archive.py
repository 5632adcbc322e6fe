"""The raw archive: every answer as it came, before it is parsed, so that a mended parser can read it again.

A segment is a plain ``.zst`` file: for each answer a skippable frame (RFC 8878 section 3.1.2) that holds its
description as JSON, then the body as a zstd frame, unless the archive has that body already. ``zstd -dc`` shows
the bodies; the index in the database can be made again from the segments.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import struct
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import zstandard
from scrapy.http import Request, Response

from aggregator.files import make_folder, sync_folder

SEGMENT_SIZE = 64 * 1024 * 1024  # bytes; a full segment is never written again
KEPT_HEADERS = ("Content-Type", "Link", "X-WP-Total", "X-WP-TotalPages")  # never cookies, never keys
INDEX_EVERY = 100  # answers between two transactions; a killed run's rest is found again in its segment
NEEDED_AT_MOST = 0.5  # of a segment that is given up; where more of it is needed, most would only be moved
CARRIED = ""  # the portal of a record that holds a body alone, for answers in other segments: no run's answer
GONE = ".gone"  # what a segment's file is called from the moment it is given up until its rows have left the index

_SKIPPABLE = 0x184D2A50
_PREFIX = struct.Struct("<II")  # the skippable frame's magic number and the length of what follows


class ArchiveError(Exception):
    """The archive cannot be written or read. The message says which file, and why."""


class ArchiveBusy(ArchiveError):
    """Others use the archive, so that nothing can leave it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One answer in the archive. ``run`` is the time of the run that asked, ``asked`` what it was to read.

    ``headers`` are those that a parser may need (KEPT_HEADERS), as a JSON object. Hashes are SHA-256 of the bodies.

    It stands in ``segment`` from ``start`` to ``stop``, its body from ``frame`` on; ``frame`` equals ``stop``
    where an earlier snapshot holds the same body.
    """

    portal: str
    run: datetime
    asked: str
    method: str
    url: str
    request_hash: bytes
    fetched: datetime
    status: int
    headers: str
    body_hash: bytes
    segment: str
    start: int
    frame: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRun:
    """A run as the archive holds it. ``good``: it is known to have ended ok or partial."""

    portal: str
    run: datetime
    asked: str
    answers: int
    good: bool


class Index(Protocol):
    """What the archive asks of the database; aggregator.repository.Repository."""

    def find_body(self, body_hash: bytes) -> Snapshot | None: ...

    def find_segment_end(self, segment: str) -> int: ...

    def find_segments(self) -> list[str]: ...

    def find_needed(self, segment: str) -> list[Snapshot]: ...

    def save_snapshots(self, found: Sequence[Snapshot]) -> None: ...

    def forget_segment(self, segment: str) -> None: ...


class Archive:
    """A folder of segments. Any number of processes may write at once, each to a segment of its own."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder = folder
        self.index = index

    def open_run(
        self, portal: str, run: datetime, asked: str = "", clock: Callable[[], datetime] | None = None
    ) -> RunArchive:
        """Where the run of time ``run`` keeps its answers; a context manager. ``clock`` tells the time in UTC.

        ``asked`` is what the run was to read, in the words of whoever will replay it.
        """
        return RunArchive(self, portal, run, asked, clock or _utc_now)

    def read(self, snapshot: Snapshot) -> bytes:
        """The body of an answer. Raises ArchiveError when its segment is missing or damaged."""
        holder = snapshot if snapshot.frame < snapshot.stop else self.index.find_body(snapshot.body_hash)
        if holder is None:
            raise ArchiveError(f"no segment in {self.folder} holds the body of {snapshot.url}")
        path = self.folder / holder.segment
        try:
            with path.open("rb") as file:
                file.seek(holder.frame)
                body = zstandard.ZstdDecompressor().decompress(file.read(holder.stop - holder.frame))
        except (OSError, zstandard.ZstdError) as error:
            raise ArchiveError(f"{path} cannot be read at {holder.frame}: {error}") from error
        if hash_body(body) != snapshot.body_hash:
            raise ArchiveError(f"{path} is damaged at {holder.frame}: the body of {snapshot.url} has another hash")
        return body

    @contextmanager
    def shared(self) -> Iterator[None]:
        """While entered, no process removes a segment; any number may share. ArchiveError where it cannot be."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While entered, no process shares the archive. ArchiveBusy where one does, and goes on doing so."""
        with ExitStack() as lock:
            for patience in (0.02, 0.05, 0.1, 0.2, 0.0):  # writers share for the moment that one answer takes
                try:
                    lock.enter_context(self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB))
                except BlockingIOError:
                    time.sleep(patience)
                    continue
                yield
                return
        raise ArchiveBusy(f"{self.folder} is being read again, or many write to it")

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        try:
            make_folder(self.folder)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ArchiveError(f"{self.folder} cannot be written: {error}") from error
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def reindex(self) -> int:
        """Adds to the index what it lacks of the segments, or all of it where it is empty. How many were added.

        Segments that are not there any more leave the index.
        """
        for gone in self.folder.glob(f"*{GONE}"):  # given up by a process that was killed before it was done
            self.index.forget_segment(gone.with_suffix(".zst").name)
            gone.unlink(missing_ok=True)
        for name in self.index.find_segments():
            if _is_gone(self.folder / name):
                self.index.forget_segment(name)
        added = 0
        for path in sorted(self.folder.glob("*.zst")):
            found = list(read_segment(path, self.index.find_segment_end(path.name)))
            self.index.save_snapshots(found)
            added += len(found)
        return added

    def remove(self, name: str, avoid: Collection[str], now: datetime) -> bool:
        """Gives up a segment; what others need of it is carried over first, but into none of ``avoid``.

        False, and nothing is removed: another process writes to it, or more of it is needed than
        NEEDED_AT_MOST. Raises ArchiveError where a needed body cannot be had, ArchiveBusy.
        """
        with self.alone():
            segment = Segment.lock(self.folder / name) if (self.folder / name).is_file() else None
            if segment is None:
                return False
            try:
                self.reindex()  # answers that writers have not brought into the index yet need their bodies, too
                needed = self.index.find_needed(name)
                if sum(snapshot.stop - snapshot.frame for snapshot in needed) > NEEDED_AT_MOST * segment.end:
                    return False
                self._carry_over(needed, avoid, now)
                self._give_up(segment.path)
            finally:
                segment.close()
        return True

    def _give_up(self, path: Path) -> None:
        """The file first, then its rows, then the space.

        Rows first would be wrong: a kill between the two would leave a segment that looks as if the index had been
        lost, and ``reindex`` would bring all of it back. With the file out of sight first, the same kill leaves rows
        that point nowhere: no new answer leans on them (``RunArchive._has`` looks for the file), a carried body is
        found before them (it stands later in the index), and the name tells ``reindex`` to finish.
        """
        gone = path.with_suffix(GONE)
        try:
            path.rename(gone)
            sync_folder(self.folder)
        except OSError as error:
            raise ArchiveError(f"{path} cannot be removed: {error}") from error
        self.index.forget_segment(path.name)
        gone.unlink()

    def _carry_over(self, needed: Sequence[Snapshot], avoid: Collection[str], now: datetime) -> None:
        """Copies bodies into other segments, safely on disk and in the index when it returns."""
        with RunArchive(self, CARRIED, now, "", lambda: now, avoid) as carried:
            for snapshot in needed:
                carried.carry(snapshot, self.read(snapshot))


class RunArchive:
    """The answers that one run adds."""

    def __init__(
        self,
        archive: Archive,
        portal: str,
        run: datetime,
        asked: str,
        clock: Callable[[], datetime],
        avoid: Collection[str] = (),
    ) -> None:
        self._archive = archive
        self._avoid = avoid
        self._portal = portal
        self._run = run
        self._asked = asked
        self._clock = clock
        self._segment: Segment | None = None
        self._compressor = zstandard.ZstdCompressor()
        self._waiting: list[Snapshot] = []

    def save(self, request: Request, response: Response) -> None:
        """Keeps one answer. Raises ArchiveError when it cannot be written; nothing of it is left then."""
        body_hash = hash_body(response.body)
        head = {
            "portal": self._portal,
            "run": self._run.isoformat(),
            "asked": self._asked,
            "method": request.method,
            "url": request.url,
            "request": hash_body(request.body).hex(),
            "fetched": self._clock().isoformat(),
            "status": response.status,
            "headers": json.dumps(_kept_headers(response)),
            "body": body_hash.hex(),
        }
        with self._archive.shared():  # from the look for the body until the answer that needs it can be seen
            self._append(head, b"" if self._has(body_hash) else self._compressor.compress(response.body))
        self._settle()

    def carry(self, snapshot: Snapshot, body: bytes) -> None:
        """Keeps the body of an answer again, as needed by a run of ``snapshot.run``. Errors as ``save``."""
        head = {
            "portal": CARRIED,
            "run": snapshot.run.isoformat(),
            "asked": "",
            "method": snapshot.method,
            "url": snapshot.url,
            "request": snapshot.request_hash.hex(),
            "fetched": snapshot.fetched.isoformat(),
            "status": snapshot.status,
            "headers": snapshot.headers,
            "body": snapshot.body_hash.hex(),
        }
        self._append(head, self._compressor.compress(body))
        self._settle()

    def _append(self, head: dict[str, Any], frame: bytes) -> None:
        if self._segment is None:
            self._segment = _take_segment(self._archive, self._clock(), self._avoid)
        self._waiting.append(self._segment.append(head, frame))

    def _settle(self) -> None:
        """Brings what has gathered into the index, and leaves a segment that is full."""
        full = self._segment is not None and self._segment.end >= SEGMENT_SIZE
        if full or len(self._waiting) >= INDEX_EVERY:
            self.flush()
        if full and self._segment is not None:
            self._segment.close()
            self._segment = None

    def flush(self) -> None:
        """Brings the index up to date, with the segment safely on disk before."""
        if self._segment is not None and self._waiting:
            self._segment.sync()
            self._archive.index.save_snapshots(self._waiting)
            self._waiting = []

    def close(self) -> None:
        try:
            self.flush()
        finally:
            if self._segment is not None:
                self._segment.close()
                self._segment = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _has(self, body_hash: bytes) -> bool:
        if any(snapshot.body_hash == body_hash for snapshot in self._waiting):
            return True
        holder = self._archive.index.find_body(body_hash)
        return holder is not None and not _is_gone(self._archive.folder / holder.segment)


class Segment:
    """A segment that this process alone appends to, as long as it holds its lock."""

    def __init__(self, path: Path, descriptor: int, end: int) -> None:
        self.path = path
        self.end = end
        self._descriptor = descriptor

    @classmethod
    def lock(cls, path: Path) -> Self | None:
        """The segment at ``path``, made if it is not there; None when another process writes to it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(path, descriptor, os.fstat(descriptor).st_size)

    def append(self, head: dict[str, Any], frame: bytes) -> Snapshot:
        description = json.dumps({**head, "length": len(frame)}).encode("ascii")
        record = memoryview(_PREFIX.pack(_SKIPPABLE, len(description)) + description + frame)
        start, stop = self.end, self.end + len(record)
        try:
            while self.end < stop:
                self.end += os.pwrite(self._descriptor, record[self.end - start :], self.end)
        except OSError as error:
            self.truncate(start)
            raise ArchiveError(f"{self.path} cannot be written: {error}") from error
        return _parse_head(description, self.path.name, start, stop - len(frame))

    def truncate(self, end: int) -> None:
        os.ftruncate(self._descriptor, end)
        self.end = end

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)  # lets go of the lock, too


def _kept_headers(response: Response) -> dict[str, str]:
    told = ((name, response.headers.get(name)) for name in KEPT_HEADERS)
    return {name: value.decode("latin-1") for name, value in told if value}


def hash_body(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def read_segment(path: Path, start: int = 0) -> Iterator[Snapshot]:
    """The whole records from ``start`` on, where a record begins. Ends at the first torn or damaged one."""
    with path.open("rb") as file:
        file.seek(start)
        while len(prefix := file.read(_PREFIX.size)) == _PREFIX.size:
            magic, length = _PREFIX.unpack(prefix)
            description = file.read(length) if magic == _SKIPPABLE else b""
            try:
                snapshot = _parse_head(description, path.name, start, start + _PREFIX.size + length)
                frame = file.read(snapshot.stop - snapshot.frame)
                whole = not frame or hash_body(zstandard.ZstdDecompressor().decompress(frame)) == snapshot.body_hash
            except (ValueError, KeyError, zstandard.ZstdError):
                return
            if not whole or len(frame) < snapshot.stop - snapshot.frame:
                return
            yield snapshot
            start = snapshot.stop


def _take_segment(archive: Archive, now: datetime, avoid: Collection[str]) -> Segment:
    """A segment with room that nobody writes to and that is not to be avoided, else a new one."""
    try:
        for path in sorted(archive.folder.glob("*.zst"), reverse=True):
            if path.name in avoid or path.stat().st_size >= SEGMENT_SIZE:
                continue
            if segment := Segment.lock(path):
                if _mend(segment, archive.index):
                    return segment
                segment.close()
        while True:  # another writer that looks for room may see a new one and lock it first
            if segment := Segment.lock(archive.folder / f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.zst"):
                sync_folder(archive.folder)  # or its rows in the index could outlive it
                return segment
    except OSError as error:
        raise ArchiveError(f"{archive.folder} cannot be written: {error}") from error


def _mend(segment: Segment, index: Index) -> bool:
    """Indexes what a killed writer left and cuts off a torn last record. False where segment and index disagree."""
    indexed = index.find_segment_end(segment.path.name)
    if indexed > segment.end:
        return False
    if indexed < segment.end:
        left = list(read_segment(segment.path, indexed))
        index.save_snapshots(left)
        segment.truncate(left[-1].stop if left else indexed)
    return True


def _is_gone(path: Path) -> bool:
    """Only what is surely not there: a disk that cannot be asked just now (OSError) has lost nothing."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    return False


def _parse_head(description: bytes, segment: str, start: int, frame: int) -> Snapshot:
    head = json.loads(description)
    return Snapshot(
        portal=head["portal"],
        run=datetime.fromisoformat(head["run"]),
        asked=head["asked"],
        method=head["method"],
        url=head["url"],
        request_hash=bytes.fromhex(head["request"]),
        fetched=datetime.fromisoformat(head["fetched"]),
        status=head["status"],
        headers=head["headers"],
        body_hash=bytes.fromhex(head["body"]),
        segment=segment,
        start=start,
        frame=frame,
        stop=frame + head["length"],
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)
