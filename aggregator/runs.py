"""One run of one portal: what it counts, how it is judged, and which portal is due."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil

from aggregator.config import Portal
from aggregator.models import Sweep, Visit
from aggregator.run_log import LastRuns
from aggregator.verdicts import PARTIAL_ABOVE, Problem, Run, decide_verdict, error_rate

LONGEST_TEXT, LONGEST_SAMPLE = 300, 200  # characters: what a source sends stands in logs, rows and pages
TOLD_IN_FULL = 10  # problems of one code that a run's reasons name; of the others it tells the number

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
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
        problem = replace(problem, text=_clip(problem.text, LONGEST_TEXT), sample=_clip(problem.sample, LONGEST_SAMPLE))
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
        if error_rate(requests, self.errors) > PARTIAL_ABOVE:
            told.append(f"errors: {self.errors} of {requests} requests failed")
        return tuple(told)

    def _changed(self) -> None:
        if self.on_change:
            self.on_change()


def _clip(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


# What is due -----------------------------------------------------------------------------------------------

FULL_AT_ONCE = 8  # full sweeps of one host that a turn always has room for: a bureau's own portals never wait


def find_next(portal: Portal, runs: LastRuns | None, now: datetime) -> tuple[datetime, Sweep]:
    """When the portal is to be read next, and how; ``now`` for one that never was. Never in its quiet hours.

    Every ``every`` what is open; all lists instead when the last good full sweep is ``full_every`` old by then. A
    run that failed is tried again after ``every``, a full sweep that failed after eight times that, with open ones
    between.
    """
    if runs is None:
        return portal.quiet.find_end(now), Sweep.FULL
    at = _began(runs.last, now, portal.every) + portal.every
    if (over := portal.quiet.find_end(max(at, now))) > max(at, now):
        at = over
    full_at = _began(runs.full, now, portal.full_every) + portal.full_every if runs.full else at
    if runs.tried and runs.tried != runs.full:
        tried = _began(runs.tried, now, portal.full_every)
        full_at = max(full_at, tried + min(8 * portal.every, portal.full_every))
    return at, Sweep.FULL if full_at <= max(at, now) + _jitter(portal) else Sweep.OPEN


def _began(run: Run, now: datetime, every: timedelta) -> datetime:
    """When the run began, by the clock of then. One further ahead than ``every`` was told by a clock that was wrong and
    has been set back since: long ago, as far as anybody knows."""
    began = min(run.started, run.finished)  # started after the last run, whatever the clock said: spiders/crawl.py
    return began if began <= now + every else _LONG_AGO


def find_due(portals: Sequence[Portal], last_runs: Mapping[str, LastRuns], now: datetime) -> list[tuple[Portal, Sweep]]:
    """The enabled portals whose time has come, each once however long nothing ran, and what to read of each.

    What is open comes first, the portal that has waited longest before all others. Of a host's full sweeps that are
    due, those tried longest ago have their turn; the rest is read open until theirs comes, see ``_count_full``.
    """
    due = []
    for portal in portals:
        at, sweep = find_next(portal, last_runs.get(portal.id), now)
        if portal.enabled and at <= now + _jitter(portal) and portal.quiet.find_end(now) == now:
            due.append((at, portal, sweep))
    due.sort(key=lambda each: each[0])  # in the order of the configuration where they are alike
    full = _choose_full([portal for _, portal, sweep in due if sweep is Sweep.FULL], last_runs, _count_full(portals))
    opened = [(portal, Sweep.OPEN) for _, portal, _ in due if portal.id not in full]
    return opened + [(portal, Sweep.FULL) for _, portal, _ in due if portal.id in full]


def _choose_full(portals: Sequence[Portal], last_runs: Mapping[str, LastRuns], room: Mapping[str, int]) -> set[str]:
    """The ids of those whose full sweep has its turn; no portal that always fails keeps another from its own."""

    def tried(portal: Portal) -> datetime:
        runs = last_runs.get(portal.id)
        return runs.tried.started if runs and runs.tried else _LONG_AGO

    taken: Counter[str] = Counter()
    chosen = set()
    for portal in sorted(portals, key=tried):
        if taken[portal.host] < room[portal.host]:
            taken[portal.host] += 1
            chosen.add(portal.id)
    return chosen


def _count_full(portals: Sequence[Portal]) -> dict[str, int]:
    """How many full sweeps a host has room for in a turn: twice as many as come due in the time between two, so that
    what piled up while nothing ran is worked off little by little, and what is open is read meanwhile."""
    share: defaultdict[str, float] = defaultdict(float)
    for portal in portals:
        if portal.enabled:
            share[portal.host] += portal.every / max(portal.full_every, portal.every, timedelta(seconds=1))
    return {host: max(FULL_AT_ONCE, ceil(2 * each)) for host, each in share.items()}


def _jitter(portal: Portal) -> timedelta:
    return min(_TIMER_JITTER, portal.every / 10)
