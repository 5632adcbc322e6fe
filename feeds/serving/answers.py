"""Answers made of the database: kept in memory while it stays the same, made once however many ask, stale rather
than none when it fails."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from starlette.exceptions import HTTPException

from aggregator.database import DatabaseError
from aggregator.filters import FilterError
from feeds.serving.files import CACHE_BYTES, HeldFile, HeldFiles, Stamp, hold_file

REUSE = 1.0  # seconds that the state of the database is taken to last
PATIENCE = 10.0  # seconds that a reader waits for an answer
STALE_PATIENCE = 2.0  # … where there is an older one to give instead
RETRY_AFTER = "30"
TOLD_EVERY = 10.0  # seconds at least between two lines of the log about answers that failed
MOST_THREADS = 4  # answers made at once: more would only hold each other up
MOST_WAITING = 64  # different answers under way or waiting for a thread; who comes then is asked to come again

log = logging.getLogger("warta.serve")

T = TypeVar("T")


class Rendered(NamedTuple):
    """An answer as it was made: its bytes, and when what they tell changed last."""

    body: bytes
    changed: datetime


class Answers:
    """Answers by name. ``find_state`` tells cheaply whether the database is still the same, ``now`` is the time that
    filters count from, ``clock`` a steady one in seconds. No answer says that it changed before ``since``, and none is
    given for a state of the database that was asked for longer than ``reuse`` seconds ago. ``room`` as in HeldFiles."""

    def __init__(
        self,
        find_state: Callable[[], Stamp],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        since: datetime,
        reuse: float = REUSE,
        room: int = CACHE_BYTES,
    ) -> None:
        self._find_state = find_state
        self._reuse = reuse
        self._since = since
        self._failures = _Failures(clock)
        self._now = now
        self._clock = clock
        self._state: Stamp | None = None
        self._asked = 0.0
        self._held = HeldFiles(room)
        self._flights: dict[tuple[str, Stamp], asyncio.Task[HeldFile]] = {}
        self._asking: asyncio.Task[Stamp] | None = None
        self._threads = ThreadPoolExecutor(MOST_THREADS, "answer")
        self._asker = ThreadPoolExecutor(1, "state")

    async def find(self, name: str, path: str, render: Callable[[datetime], Rendered], *, moves: bool) -> HeldFile:
        """The answer called ``name``, sent as ``path`` is (feeds/search.rss). ``moves``: it may be another one each
        minute though the database stays the same. FilterError as ``render`` raises it, and
        HTTPException 503 where it fails otherwise or takes too long, and there is no older one."""
        held = self._held.find(name)
        now = self._now()
        try:
            async with asyncio.timeout(STALE_PATIENCE if held else PATIENCE):
                state = await self._ask_state()
                stamp = (*state, int(now.timestamp()) // 60) if moves else state
                if held is not None and held.stamp == stamp:
                    return held
                return await asyncio.shield(self._start(name, path, render, stamp, now))
        except FilterError:
            raise
        # Whatever else: a database that is gone or slow, one row of it that cannot be read.
        except Exception as error:
            self._failures.tell(path, error, "an older one is sent" if held else "503")
            if held is not None:
                return held
            raise HTTPException(503, headers={"Retry-After": RETRY_AFTER}) from error

    async def _ask_state(self) -> Stamp:
        if self._state is not None and self._clock() - self._asked < self._reuse:
            return self._state
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._read_state())
            self._asking.add_done_callback(_look_at)
        return await asyncio.shield(self._asking)

    async def _read_state(self) -> Stamp:
        asked = self._clock()
        self._state = await asyncio.get_running_loop().run_in_executor(self._asker, self._find_state)
        self._asked = asked
        return self._state

    def _start(
        self, name: str, path: str, render: Callable[[datetime], Rendered], stamp: Stamp, now: datetime
    ) -> asyncio.Task[HeldFile]:
        """The task that makes the answer, begun by whoever asks first."""
        key = (name, stamp)
        if key not in self._flights:
            if len(self._flights) >= MOST_WAITING:
                raise TimeoutError("too many other answers are under way")
            task = asyncio.create_task(self._make(name, path, render, stamp, now))
            self._flights[key] = task
            task.add_done_callback(_look_at)
            task.add_done_callback(lambda _: self._flights.pop(key))
        return self._flights[key]

    async def _make(
        self, name: str, path: str, render: Callable[[datetime], Rendered], stamp: Stamp, now: datetime
    ) -> HeldFile:
        held = self._held.find(name)

        def make() -> HeldFile:
            rendered = render(now)
            return _renew(path, rendered._replace(changed=max(rendered.changed, self._since)), held, stamp, now)

        file = await asyncio.get_running_loop().run_in_executor(self._threads, make)
        self._held.keep(name, file)
        return file


class _Failures:
    """Tells the log of answers that failed, without what was searched for, which is kept nowhere: one line in
    TOLD_EVERY seconds, with the traceback where the same was not told just before."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = -TOLD_EVERY
        self._known = ""
        self._untold = 0

    def tell(self, path: str, error: Exception, what: str) -> None:
        if self._clock() - self._last < TOLD_EVERY:
            self._untold += 1
            return
        expected = isinstance(error, DatabaseError | TimeoutError)
        said = (str(error) or "no answer in time") if expected else repr(error)
        more = f" ({self._untold} more before)" if self._untold else ""
        shown = None if expected or said == self._known else error
        log.warning("%s: %s; %s%s", path, said, what, more, exc_info=shown)
        self._last, self._known, self._untold = self._clock(), said, 0


def _look_at(task: asyncio.Task[T]) -> None:
    """So that nobody complains of an error that those who asked were no longer there to see."""
    if not task.cancelled():
        task.exception()


def _renew(path: str, rendered: Rendered, held: HeldFile | None, stamp: Stamp, now: datetime) -> HeldFile:
    """The file of ``rendered``. Its validators stay while the bytes are those of ``held``; other bytes are later than
    it was, whatever the data tells: a package that left the result leaves no time behind."""
    if held is not None and held.plain.body == rendered.body:
        return replace(held, stamp=stamp)
    # RFC 9110 §8.8.2.1: never later than the time of the answer, as a clock that was moved could make it
    modified = min(rendered.changed, now).astimezone(UTC).replace(microsecond=0)
    if held is not None:
        modified = max(modified, held.modified + timedelta(seconds=1))
    # What is told is no later than now even so, where the clock was set back; what is compared with still moves on.
    told = min(modified, now.astimezone(UTC).replace(microsecond=0))
    file = hold_file(path, rendered.body, gzip.compress(rendered.body, mtime=0), told, stamp)
    return replace(file, modified=modified)
