"""One run of one portal: what it counts, how it is judged, who may hold a host, and which portal is due."""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from aggregator.config import Portal
from aggregator.models import PROBLEMS, Problem, Run, Sweep, Verdict, Visit
from aggregator.repository import LastRuns

TOLD_IN_FULL = 10  # problems of one code that a run's reasons name; of the others it tells the number

_SEVERITY = (Verdict.OK, Verdict.PARTIAL, Verdict.FAILED, Verdict.BLOCKED)

# Shares of requests that failed after all retries (as in the open-contracting data registry).
_PARTIAL_ABOVE = 0.01
_FAILED_ABOVE = 0.15
_FAILED_FROM = 3  # errors: one broken page of a small run is no broken portal

_TIMER_JITTER = timedelta(seconds=30)  # a timer's next turn may come this much early, and must not be passed over


@dataclass
class Tally:
    """What a run counts while it goes on. ``on_change`` is called whenever something was counted."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    withdrawn: int = 0
    errors: int = 0
    problems: Counter[Problem] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)
    on_change: Callable[[], None] | None = None

    def report(self, problem: Problem) -> None:
        """Counts a problem: the same code and text once, with the first sample and how often it came."""
        told = next((p for p in self.problems if (p.code, p.text) == (problem.code, problem.text)), None)
        if told is None and sum(p.code == problem.code for p in self.problems) >= TOLD_IN_FULL:
            self.untold[problem.code] += 1
        else:
            self.problems[told or problem] += 1
        self._changed()

    def failed_request(self) -> None:
        """Counts a request that failed after all retries."""
        self.errors += 1
        self._changed()

    def count(self, *, seen: int = 0, new: int = 0, changed: int = 0, withdrawn: int = 0) -> None:
        """Adds to the numbers of tenders."""
        self.seen += seen
        self.new += new
        self.changed += changed
        self.withdrawn += withdrawn
        self._changed()

    def finish(
        self, visit: Visit, finished: datetime, requests: int, finish_reason: str, *, narrowed: bool = False
    ) -> Run:
        """The run that ``visit`` asked for, with its verdict; ``finish_reason`` is Scrapy's."""
        if finish_reason != "finished":
            self.report(Problem("errors", f"the run broke off: {finish_reason}"))
        codes = {*(problem.code for problem in self.problems), *self.untold}
        return Run(
            portal=visit.portal,
            sweep=visit.sweep,
            started=visit.now,
            finished=finished,
            verdict=decide_verdict(codes, requests, self.errors),
            narrowed=narrowed,
            reasons=self._reasons(requests),
            requests=requests,
            seen=self.seen,
            new=self.new,
            changed=self.changed,
            unchanged=max(self.seen - self.new - self.changed, 0),
            withdrawn=self.withdrawn,
            errors=self.errors,
        )

    def _reasons(self, requests: int) -> tuple[str, ...]:
        told = [f"{problem}" + (f", {count} times" if count > 1 else "") for problem, count in self.problems.items()]
        told += [f"{code}: {count} more" for code, count in self.untold.items()]
        if _error_rate(requests, self.errors) > _PARTIAL_ABOVE:
            told.append(f"errors: {self.errors} of {requests} requests failed")
        return tuple(told)

    def _changed(self) -> None:
        if self.on_change:
            self.on_change()


def decide_verdict(codes: Iterable[str], requests: int, errors: int) -> Verdict:
    """The worst that the problems with these ``codes`` (keys of PROBLEMS) and the share of failed requests force."""
    rate = _error_rate(requests, errors)
    verdicts = [PROBLEMS[code] or Verdict.OK for code in codes]
    failed = rate > _FAILED_ABOVE and errors >= _FAILED_FROM
    verdicts.append(Verdict.FAILED if failed else Verdict.PARTIAL if rate > _PARTIAL_ABOVE else Verdict.OK)
    return max(verdicts, key=_SEVERITY.index)


def _error_rate(requests: int, errors: int) -> float:
    return errors / max(requests, errors, 1)


class HostBusy(Exception):
    """Another run holds the host."""


class HostLease:
    """The right to ask a host, for one process of this machine at a time; a context manager.

    Raises HostBusy on entering when another one holds it. The kernel lets go of it when the process dies, however
    it dies. ``clock`` gives seconds since 1970; it is written on leaving, so that the next holder keeps the delay.
    """

    def __init__(self, folder: Path, host: str, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / f"{quote(host, safe='')}.lock"
        self._host = host
        self._clock = clock
        self._descriptor: int | None = None
        self._last_request = 0.0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise HostBusy(f"another run holds {self._host}") from None
        self._descriptor = descriptor
        self._last_request = _parse_time(os.pread(descriptor, 64, 0), self._clock())
        self._write(b"held")  # in place of a time: a holder that dies may have asked just now
        return self

    def wait(self, delay: float) -> float:
        """Seconds until ``delay`` seconds have passed since the last holder's last request."""
        wait = self._last_request + delay - self._clock()
        return min(max(wait, 0.0), delay)  # never more, should the clock have been set back

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            self._write(f"{self._clock():.6f}".encode("ascii"))
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, text: bytes) -> None:
        if self._descriptor is not None:
            os.pwrite(self._descriptor, text, 0)
            os.ftruncate(self._descriptor, len(text))


def _parse_time(text: bytes, now: float) -> float:
    """When the last holder left: long ago in a new file, ``now`` where it did not come to say it."""
    try:
        return float(text or b"0")
    except ValueError:
        return now


def find_next(portal: Portal, runs: LastRuns | None, now: datetime) -> tuple[datetime, Sweep]:
    """When the portal is to be read next, and how; ``now`` for one that never was.

    Every ``every`` what is open; all lists instead when the last good full sweep is ``full_every`` old by then. A
    run that failed is tried again after ``every``, a full sweep that failed after eight times that, with open ones
    between.
    """
    if runs is None:
        return now, Sweep.FULL
    # A last run in the future was told by a clock that has been set back since.
    at = min(runs.last.started, now) + portal.every
    full_at = runs.full.started + portal.full_every if runs.full else at
    if runs.tried and runs.tried != runs.full:
        full_at = max(full_at, runs.tried.started + min(8 * portal.every, portal.full_every))
    return at, Sweep.FULL if full_at <= max(at, now) + _jitter(portal) else Sweep.OPEN


def find_due(portals: Sequence[Portal], last_runs: Mapping[str, LastRuns], now: datetime) -> list[tuple[Portal, Sweep]]:
    """The enabled portals whose time has come, in their order, and what to read of each."""
    due = []
    for portal in portals:
        at, sweep = find_next(portal, last_runs.get(portal.id), now)
        if portal.enabled and at <= now + _jitter(portal):
            due.append((portal, sweep))
    return due


def _jitter(portal: Portal) -> timedelta:
    return min(_TIMER_JITTER, portal.every / 10)
