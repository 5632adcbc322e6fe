"""One run: what it counts and how it is judged, who holds a host, and which portal is due."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aggregator.config import Portal
from aggregator.models import PROBLEMS, Kind, Problem, Run, Sweep, Verdict, Visit
from aggregator.repository import LastRuns
from aggregator.runs import TOLD_IN_FULL, HostBusy, HostLease, Tally, decide_verdict, find_due, find_next
from tests.feed_samples import PORTAL

NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
ROOT = Path(__file__).parents[1]


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


def test_progress_is_told_at_every_count() -> None:
    calls: list[int] = []
    tally = Tally()
    tally.on_change = lambda: calls.append(tally.seen)
    tally.count(seen=2)
    tally.failed_request()
    tally.report(Problem("short", "x"))
    assert calls == [2, 2, 2]


# Host leases -------------------------------------------------------------------------------------------


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_host_is_held_by_one(tmp_path: Path) -> None:
    with HostLease(tmp_path / "locks", "a.example:8080"):
        with HostLease(tmp_path / "locks", "b.example"):
            pass
        with (
            pytest.raises(HostBusy, match=r"another run holds a\.example:8080"),
            HostLease(tmp_path / "locks", "a.example:8080"),
        ):
            pytest.fail("two hold it")
    with HostLease(tmp_path / "locks", "a.example:8080") as again:
        assert again.wait(0.0) == 0.0


def test_the_next_holder_keeps_the_delay(tmp_path: Path) -> None:
    clock = Clock()
    with HostLease(tmp_path, "a.example", clock) as lease:
        assert lease.wait(1.0) == 0.0
    clock.now += 0.25
    with HostLease(tmp_path, "a.example", clock) as lease:
        assert lease.wait(1.0) == pytest.approx(0.75)
        assert lease.wait(0.1) == 0.0
    clock.now -= 3600
    with HostLease(tmp_path, "a.example", clock) as lease:
        assert lease.wait(1.0) == 1.0


def test_kill_frees_the_host_and_the_whole_delay_is_kept(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from aggregator.runs import HostLease\n"
        "with HostLease(Path(sys.argv[1]), 'a.example'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HostBusy), HostLease(tmp_path, "a.example"):
            pytest.fail("two hold it")
        holder.kill()
    with HostLease(tmp_path, "a.example", Clock()) as lease:
        assert lease.wait(1.0) == 1.0


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


def test_a_portal_that_is_switched_off_is_never_due() -> None:
    assert due(None, PORTAL.model_copy(update={"enabled": False})) == []


def test_the_next_turn_is_told_before_it_comes() -> None:
    runs = last_runs(make_run(5 * MINUTE), 24 * HOUR - 2 * MINUTE)
    assert find_next(PORTAL, runs, NOW) == (NOW + 10 * MINUTE, Sweep.FULL)
