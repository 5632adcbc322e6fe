"""Leases: who may ask a host, or read a portal; one run at a time, on all machines that share a database.

A row with a heartbeat tells other machines; a lock of the kernel on a file frees at once what a dead process held here.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.database import DatabaseError, from_micros, leases, reading, writing

LEASE_LASTS = 60.0  # seconds without a heartbeat after which a holder counts as dead
BEAT_EVERY = LEASE_LASTS / 6
GIVEN_UP_AFTER = LEASE_LASTS - BEAT_EVERY  # the holder stops before anybody else may begin
SILENCE = 2 * BEAT_EVERY  # a living holder says within it that it lives, wherever the clock has jumped to

_RETRY_EVERY = 1.0  # seconds between two heartbeats while the database cannot be reached
_BOOT = Path("/proc/sys/kernel/random/boot_id")

logger = logging.getLogger(__name__)


class LeaseHeld(Exception):
    """Another run holds it. The message says who."""


class LeaseLost(Exception):
    """It is held no longer. The message says why."""


class Row(NamedTuple):
    """A lease as it is kept: ``holder`` is token, place and name with spaces between; "" when nobody holds it."""

    holder: str
    beat: datetime
    asked: datetime | None

    @property
    def place(self) -> str:
        return self.holder.split(" ")[1]

    @property
    def name(self) -> str:
        return self.holder.split(" ")[2]


class HolderSilent(LeaseHeld):
    """Its holder, elsewhere, seems dead: to be taken with ``row``, if that is all one hears within SILENCE."""

    def __init__(self, name: str, row: Row) -> None:
        super().__init__(f"another run holds {name}: {row.name}, silent since {row.beat:%Y-%m-%d %H:%M:%S} UTC")
        self.row = row


def name_host(host: str) -> str:
    """The lease of the right to ask a host: of requests, and so of politeness."""
    return f"host {host}"


def name_portal(portal: str) -> str:
    """The lease of the right to write what a portal says: two configurations may name it at different hosts."""
    return f"portal {portal}"


def find_time(connection: Connection) -> datetime:
    """Now by the database's own clock, which all machines share; SQLite has that of its machine."""
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)
    now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    return from_micros(connection.execute(sa.text(now)).scalar_one())


def find_held(engine: Engine, clock: Callable[[Connection], datetime] = find_time) -> dict[str, datetime]:
    """The leases that runs hold which are alive, on whatever machine: by name, since when."""
    held = sa.select(leases.c.name, leases.c.taken, leases.c.beat).where(leases.c.holder != "")
    with reading(engine) as connection:
        now = clock(connection)
        return {name: taken for name, taken, beat in connection.execute(held) if _is_alive(beat, now)}


def count_seconds() -> float:
    """Seconds that no setting of a clock moves, and that go on while the machine sleeps, where it can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """One that is held, until the block ends; made by ``Leases.take``."""

    def __init__(self, owner: Leases, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor
        self.place = find_place(descriptor)
        self.beaten = 0.0  # seconds as the owner counts them: when a heartbeat that came through began
        self.taken_by_another = False
        self.asked_before: timedelta | None = None  # how long ago the last holder asked; None: it did not come to say
        self._owner = owner

    @property
    def lost(self) -> str:
        """Why it is held no longer, so that the run must end; empty while it is."""
        return self._owner.find_loss(self)

    def check(self) -> None:
        """LeaseLost when it is held no longer."""
        if lost := self.lost:
            raise LeaseLost(lost)

    def wait(self, delay: float) -> float:
        """Seconds until ``delay`` seconds have passed since the last holder's last request."""
        if self.asked_before is None:
            return delay  # it died: maybe just after it asked
        # Never more, should the clock have been set back.
        return min(max(delay - self.asked_before.total_seconds(), 0.0), delay)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._owner.release(self)


class Leases:
    """All leases of one process, kept up by one thread; a context manager.

    Without ``engine`` only the locks of this machine count. ``clock`` asks a database for its time, ``seconds`` counts
    on without one.
    """

    def __init__(
        self,
        engine: Engine | None,
        folder: Path,
        *,
        clock: Callable[[Connection], datetime] = find_time,
        seconds: Callable[[], float] = count_seconds,
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._clock = clock
        self._seconds = seconds
        self._token = secrets.token_hex(8)
        self._held: dict[str, Lease] = {}
        self._failure = ""
        self._ended = threading.Event()
        self._beating: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        for lease in list(self._held.values()):
            self.release(lease)
        if self._beating:
            self._beating.join(_RETRY_EVERY)  # it may hang in a database that does not answer

    # Taking and giving back --------------------------------------------------------------------------------

    def take(self, name: str, silent: Row | None = None) -> Lease:
        """The lease ``name``. LeaseHeld while another run has it; HolderSilent when that one seems dead, but not if the
        lease still is as in ``silent``. DatabaseError, or OSError where no lock can be made."""
        lease = Lease(self, name, self._lock(name))
        try:
            self._take_row(lease, silent)
        except BaseException:
            os.close(lease.descriptor)
            raise
        self._held[name] = lease
        if self._engine is not None and self._beating is None:
            self._beating = threading.Thread(target=self._go_on_beating, name="leases", daemon=True)
            self._beating.start()
        return lease

    def await_lease(self, name: str, sleep: Callable[[float], object] = time.sleep) -> Lease:
        """``take``, also of a holder that seems dead, if it stays silent; for those who have nothing else to do."""
        try:
            return self.take(name)
        except HolderSilent as silent:
            logger.warning("%s; it is listened for during %.0f s", silent, SILENCE)
            sleep(SILENCE)
            return self.take(name, silent.row)

    def _lock(self, name: str) -> int:
        path = self._folder / f"{quote(name, safe='')}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OSError(f"{path}: this lock cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise LeaseHeld(f"another run holds {name}") from None
            raise OSError(f"{path}: its disk has no locks: {error.strerror}; lay the archive on another") from error
        return descriptor

    def _take_row(self, lease: Lease, silent: Row | None) -> None:
        lease.beaten = self._seconds()
        if self._engine is None:
            return
        with writing(self._engine) as connection:
            now = self._clock(connection)
            row = _find(connection, lease.name)
            if row and row.holder and row.place != lease.place:  # else the lock proves that its process is dead
                if _is_alive(row.beat, now):
                    raise LeaseHeld(f"another run holds {lease.name}: {row.name}")
                if row != silent:
                    raise HolderSilent(lease.name, row)
            told = {"holder": f"{self._token} {lease.place} {_own_name()}", "taken": now, "beat": now, "asked": None}
            if row is None:
                connection.execute(sa.insert(leases).values(name=lease.name, **told))
                lease.asked_before = timedelta.max
            else:
                connection.execute(sa.update(leases).where(leases.c.name == lease.name).values(told))
                lease.asked_before = now - row.asked if row.asked else None

    def release(self, lease: Lease) -> None:
        """Gives it back, and tells the next holder that a request may just have been sent."""
        if self._held.pop(lease.name, None) is None:
            return
        try:
            if self._failure:
                raise DatabaseError(self._failure)  # to wait for it once for each lease would take long
            if self._engine is not None and not lease.taken_by_another:
                with writing(self._engine) as connection:
                    now = self._clock(connection)
                    mine = (leases.c.name == lease.name) & self._mine
                    connection.execute(sa.update(leases).where(mine).values(holder="", beat=now, asked=now))
        except DatabaseError as error:
            logger.warning("%s: the lease lapses by itself in %.0f s: %s", lease.name, LEASE_LASTS, error)
        finally:
            os.close(lease.descriptor)

    # Keeping up --------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Says in one transaction that all that is held here is; finds out what is held no longer."""
        began, held = self._seconds(), dict(self._held)
        if self._engine is None or not held:
            return
        try:
            with writing(self._engine) as connection:
                connection.execute(sa.update(leases).where(self._mine).values(beat=self._clock(connection)))
                mine = set(connection.scalars(sa.select(leases.c.name).where(self._mine)))
        except DatabaseError as error:
            if not self._failure:
                logger.warning("leases cannot be kept up, runs end in %.0f s: %s", GIVEN_UP_AFTER, error)
            self._failure = str(error)
            return
        self._failure = ""
        for name, lease in held.items():
            if name in mine:
                lease.beaten = began
            else:
                lease.taken_by_another = True  # or given back meanwhile, when nobody asks any more

    def find_loss(self, lease: Lease) -> str:
        """Why ``lease`` is held no longer; empty while it is."""
        if lease.taken_by_another:
            return f"another run took {lease.name}"
        silent = self._seconds() - lease.beaten
        if self._engine is None or silent <= GIVEN_UP_AFTER:
            return ""
        return f"{lease.name} could not be held for {silent:.0f} s: {self._failure or 'the process stood still'}"

    @property
    def _mine(self) -> sa.ColumnElement[bool]:
        return leases.c.holder.startswith(f"{self._token} ")

    def _go_on_beating(self) -> None:
        while not self._ended.wait(_RETRY_EVERY if self._failure else BEAT_EVERY):
            self.beat()


def find_place(descriptor: int) -> str:
    """What tells a lock from all others: the kernel that keeps it, and the file. Two holders of one place cannot live
    at once, whatever their containers call themselves; after a restart, or once the file was removed, it is another."""
    found = os.fstat(descriptor)
    kernel = platform.node()
    with suppress(OSError):  # elsewhere than on Linux
        kernel = _BOOT.read_text(encoding="ascii").strip()
    return f"{quote(kernel)}:{found.st_dev}:{found.st_ino}"


def _is_alive(beat: datetime, now: datetime) -> bool:
    """Whether a holder with that heartbeat is; both ways, for a clock that was set back."""
    return abs(now - beat) <= timedelta(seconds=LEASE_LASTS)


def _own_name() -> str:
    return f"{quote(platform.node())}:{os.getpid()}"


def _find(connection: Connection, name: str) -> Row | None:
    found = connection.execute(
        sa.select(leases.c.holder, leases.c.beat, leases.c.asked).where(leases.c.name == name)
    ).one_or_none()
    return Row(*found) if found else None
