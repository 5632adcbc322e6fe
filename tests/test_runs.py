"""One run: what it counts and how it is judged, and which portal is due."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from aggregator.config import Portal
from aggregator.models import Kind, Sweep, Visit
from aggregator.quiet import parse_quiet
from aggregator.run_log import LastRuns
from aggregator.runs import LONGEST_SAMPLE, LONGEST_TEXT, TOLD_IN_FULL, Tally, find_due, find_next
from aggregator.verdicts import PROBLEMS, Problem, Run, Verdict, decide_verdict
from tests.feed_samples import PORTAL

NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)


def finish(tally: Tally, requests: int = 100, reason: str = "finished") -> Run:
    visit = Visit(portal="malangkota", now=NOW, kinds=(Kind.TENDER,), years=(2026,), known={})
    return tally.finish(visit, NOW + timedelta(seconds=90), requests, reason)


# Verdicts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "requests", "errors", "verdict"),
    [
        ([], 100, 0, Verdict.OK),
        ([], 0, 0, Verdict.OK),
        ([], 100, 1, Verdict.OK),
        ([], 100, 2, Verdict.PARTIAL),
        ([], 100, 15, Verdict.PARTIAL),
        ([], 100, 16, Verdict.FAILED),
        ([], 5, 1, Verdict.PARTIAL),
        ([], 5, 3, Verdict.FAILED),
        (["unknown_label"], 100, 0, Verdict.OK),
        (["collapsed"], 100, 0, Verdict.PARTIAL),
        (["missing_page", "listing"], 100, 0, Verdict.FAILED),
        (["listing", "blocked", "short"], 100, 50, Verdict.BLOCKED),
    ],
)
def test_the_worst_decides(codes: list[str], requests: int, errors: int, verdict: Verdict) -> None:
    assert decide_verdict(codes, requests, errors) is verdict


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_forces_what_its_table_says(code: str) -> None:
    assert decide_verdict([code], 100, 0) is (PROBLEMS[code] or Verdict.OK)


def test_a_run_that_broke_off_failed() -> None:
    run = finish(Tally(), reason="shutdown")
    assert (run.verdict, run.reasons) == (Verdict.FAILED, ("errors: the run broke off: shutdown",))


def test_a_good_run_counts() -> None:
    tally = Tally()
    tally.count(seen=10, new=2)
    tally.count(changed=3, withdrawn=1)
    tally.failed_request()
    run = finish(tally)
    assert (run.verdict, run.reasons) == (Verdict.OK, ())
    assert run.sweep is Sweep.FULL
    assert run.as_dict() == {
        "portal": "malangkota",
        "verdict": "ok",
        "reasons": [],
        "requests": 100,
        "seen": 10,
        "new": 2,
        "changed": 3,
        "unchanged": 5,
        "withdrawn": 1,
        "errors": 1,
        "seconds": 90.0,
    }


def test_failed_requests_are_a_reason() -> None:
    tally = Tally()
    for _ in range(3):
        tally.failed_request()
    assert finish(tally).reasons == ("errors: 3 of 100 requests failed",)


def test_a_problem_is_told_once_with_how_often_it_came() -> None:
    tally = Tally()
    for sample in ("first", "second", "third"):
        tally.report(Problem("unknown_label", "label Bobot", sample))
    tally.report(Problem("short", "list of tender 2026: 3 of 5 rows"))
    assert finish(tally).reasons == (
        "unknown_label: label Bobot (first), 3 times",
        "short: list of tender 2026: 3 of 5 rows",
    )


def test_a_flood_of_problems_stays_small() -> None:
    tally = Tally()
    for number in range(10_000):
        tally.report(Problem("missing_page", f"/lelang/{number}: 404"))
    tally.report(Problem("blocked", "a challenge page"))
    run = finish(tally)
    assert len(run.reasons) == TOLD_IN_FULL + 2
    assert run.reasons[-1] == f"missing_page: {10_000 - TOLD_IN_FULL} more"
    assert run.verdict is Verdict.BLOCKED


def test_what_a_source_sends_makes_no_long_reasons() -> None:
    tally = Tally()
    for _ in range(2):
        tally.report(Problem("unknown_label", "x" * 1_000_000, "y" * 1_000_000))
    told = f"unknown_label: {'x' * (LONGEST_TEXT - 1)}… ({'y' * (LONGEST_SAMPLE - 1)}…), 2 times"
    assert finish(tally).reasons == (told,)


def test_progress_is_told_at_every_count() -> None:
    calls: list[int] = []
    tally = Tally()
    tally.on_change = lambda: calls.append(tally.seen)
    tally.count(seen=2)
    tally.failed_request()
    tally.report(Problem("short", "x"))
    assert calls == [2, 2, 2]


# What is due -------------------------------------------------------------------------------------------


def make_run(ago: timedelta, sweep: Sweep = Sweep.OPEN, verdict: Verdict = Verdict.OK) -> Run:
    return Run(portal=PORTAL.id, sweep=sweep, started=NOW - ago, finished=NOW - ago, verdict=verdict)


def due(runs: LastRuns | None, portal: Portal = PORTAL) -> list[Sweep]:
    return [sweep for _, sweep in find_due([portal], {PORTAL.id: runs} if runs else {}, NOW)]


def last_runs(last: Run, full: timedelta | None) -> LastRuns:
    good_full = make_run(full, Sweep.FULL) if full is not None else None
    return LastRuns(last=last, good=None, full=good_full, tried=good_full)


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_a_portal_never_read_is_read_in_full_at_once() -> None:
    assert due(None) == [Sweep.FULL]
    assert find_next(PORTAL, None, NOW) == (NOW, Sweep.FULL)


@pytest.mark.parametrize(
    ("last", "full", "expected"),
    [
        (make_run(14 * MINUTE), 1 * HOUR, []),
        (make_run(15 * MINUTE), 1 * HOUR, [Sweep.OPEN]),
        (make_run(15 * MINUTE - timedelta(seconds=20)), 1 * HOUR, [Sweep.OPEN]),
        (make_run(15 * MINUTE), 24 * HOUR, [Sweep.FULL]),
        (make_run(14 * MINUTE), 24 * HOUR, []),
        (make_run(14 * MINUTE, Sweep.FULL, Verdict.FAILED), 24 * HOUR, []),
        (make_run(15 * MINUTE, Sweep.FULL, Verdict.FAILED), 24 * HOUR, [Sweep.FULL]),
        (make_run(15 * MINUTE, Sweep.FULL, Verdict.BLOCKED), None, [Sweep.FULL]),
        (make_run(15 * MINUTE, Sweep.OPEN), None, [Sweep.FULL]),
    ],
)
def test_what_is_due(last: Run, full: timedelta | None, expected: list[Sweep]) -> None:
    assert due(last_runs(last, full)) == expected


def test_a_run_in_the_future_was_told_by_a_wrong_clock_and_holds_nothing_up() -> None:
    """Five days ahead, then set right: read at once, and every ``every`` from then on, though each run must start after
    the last one."""
    ahead = make_run(-120 * HOUR, Sweep.FULL)
    assert due(LastRuns(last=ahead, good=ahead, full=ahead, tried=ahead)) == [Sweep.FULL]
    started = ahead.started + timedelta(milliseconds=1)
    for ago, expected in ((14 * MINUTE, []), (15 * MINUTE, [Sweep.OPEN])):
        run = replace(ahead, started=started, finished=NOW - ago)
        assert due(LastRuns(last=run, good=run, full=run, tried=run)) == expected


def test_the_clock_of_another_machine_may_be_a_little_ahead() -> None:
    runs = last_runs(make_run(-2 * MINUTE, Sweep.FULL), -2 * MINUTE)
    assert find_next(PORTAL, runs, NOW) == (NOW + 17 * MINUTE, Sweep.OPEN)


def test_a_portal_that_is_switched_off_is_never_due() -> None:
    assert due(None, PORTAL.model_copy(update={"enabled": False})) == []


def test_the_next_turn_is_told_before_it_comes() -> None:
    runs = last_runs(make_run(5 * MINUTE), 24 * HOUR - 2 * MINUTE)
    assert find_next(PORTAL, runs, NOW) == (NOW + 10 * MINUTE, Sweep.FULL)


# Many portals -------------------------------------------------------------------------------------------


def make_portals(number: int, host: str = "spse.example.go.id") -> list[Portal]:
    url = f"https://{host}/p"
    return [PORTAL.model_copy(update={"id": f"p{n}", "url": f"{url}{n}"}) for n in range(number)]


class Office:
    """Portals and their runs, at a host that answers one request a second, over simulated time."""

    def __init__(self, portals: list[Portal], *, full_takes: float = 30.0) -> None:
        self.portals = portals
        self.now = NOW
        self.runs: dict[str, LastRuns] = {}
        self.full: dict[str, list[datetime]] = {portal.id: [] for portal in portals}
        self.opened: dict[str, list[datetime]] = {portal.id: [] for portal in portals}
        self.failing: set[str] = set()
        self._full_takes = full_takes

    def turn(self) -> list[tuple[Portal, Sweep]]:
        """One `warta run --due`; the next begins after ``every``, or when this one has ended."""
        began, due = self.now, find_due(self.portals, self.runs, self.now)
        for portal, sweep in due:
            verdict = Verdict.FAILED if portal.id in self.failing else Verdict.OK
            run = Run(portal=portal.id, sweep=sweep, started=self.now, finished=self.now, verdict=verdict)
            full = run if sweep is Sweep.FULL else None
            before = self.runs.get(portal.id)
            self.runs[portal.id] = LastRuns(
                last=run,
                good=run,
                full=full if full and verdict is Verdict.OK else before.full if before else None,
                tried=full or (before.tried if before else None),
            )
            (self.full if full else self.opened)[portal.id].append(self.now)
            self.now += timedelta(seconds=self._full_takes if full else 1.0)
        self.now = max(self.now, began + self.portals[0].every)
        return due


def gaps(times: list[datetime]) -> list[timedelta]:
    return [later - earlier for earlier, later in pairwise(times)]


def test_a_month_of_turns_starves_no_full_sweep_and_no_open_one() -> None:
    """200 portals on one host, read every hour; nothing runs for two days; a tenth of them fails all the time."""
    office = Office([portal.model_copy(update={"every": HOUR}) for portal in make_portals(200)], full_takes=60.0)
    office.failing = {f"p{n}" for n in range(0, 200, 10)}
    while office.now < NOW + 14 * 24 * HOUR:
        office.turn()
    office.now += 48 * HOUR
    up = office.now
    while office.now < NOW + 30 * 24 * HOUR:
        due = office.turn()
        assert len(due) == len({portal.id for portal, _ in due})
        assert sum(sweep is Sweep.FULL for _, sweep in due) <= 17  # 200 / 24 come due in an hour
        assert [sweep for _, sweep in due] == sorted((sweep for _, sweep in due), key=lambda s: s is Sweep.FULL)
    for portal in office.portals:
        sweeps = office.full[portal.id]
        assert max(gaps([t for t in sweeps if t < up])) < 40 * HOUR
        assert max(gaps([up, *(t for t in sweeps if t > up)])) < 40 * HOUR
        read = sorted(office.opened[portal.id] + sweeps)
        assert max(gaps([t for t in read if t > up])) < 3 * HOUR  # one that was read late in a turn misses the next


def test_after_downtime_each_portal_is_read_once_and_what_waited_longest_first() -> None:
    office = Office(make_portals(20))
    office.turn()
    office.turn()
    office.now += 3 * 24 * HOUR
    waited = {portal.id: office.runs[portal.id].last.started for portal in office.portals}
    due = office.turn()
    assert Counter(portal.id for portal, _ in due) == Counter(portal.id for portal in office.portals)
    assert [sweep for _, sweep in due] == 12 * [Sweep.OPEN] + 8 * [Sweep.FULL]
    opened = [waited[portal.id] for portal, sweep in due if sweep is Sweep.OPEN]
    assert opened == sorted(opened)


def test_portals_of_one_bureau_never_wait_for_their_full_sweep() -> None:
    portals = [*make_portals(8), *make_portals(8, "other.example.go.id")]
    other = [portal.model_copy(update={"id": f"other-{portal.id}"}) for portal in portals[8:]]
    assert {sweep for _, sweep in find_due([*portals[:8], *other], {}, NOW)} == {Sweep.FULL}


# Quiet hours --------------------------------------------------------------------------------------------

QUIET = PORTAL.model_copy(update={"quiet": replace(parse_quiet("01:00-05:00"), zone=ZoneInfo("Asia/Jakarta"))})
TWO = datetime(2026, 11, 24, 2, tzinfo=ZoneInfo("Asia/Jakarta"))  # in the middle of them


def test_nothing_begins_in_quiet_hours() -> None:
    five = TWO.replace(hour=5)
    for runs in (None, last_runs(make_run(NOW - TWO + HOUR), 8 * HOUR)):
        known = {PORTAL.id: runs} if runs else {}
        for now in (TWO.replace(hour=1), TWO, five - timedelta(seconds=20)):
            assert find_due([QUIET], known, now) == []
            assert find_next(QUIET, runs, now)[0] == five
        assert [portal.id for portal, _ in find_due([QUIET], known, five)] == [QUIET.id]
    assert len(find_due([QUIET], {}, TWO.replace(hour=0))) == 1


def test_a_turn_that_would_fall_into_quiet_hours_comes_after_them() -> None:
    runs = last_runs(make_run(NOW - TWO.replace(hour=0, minute=50)), HOUR)
    assert find_next(QUIET, runs, TWO.replace(hour=0, minute=55))[0] == TWO.replace(hour=5)
