"""What is kept of runs: each portal's last ones and its turns, however many there were; the rest is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

import aggregator.run_log
from aggregator.archive import Snapshot
from aggregator.database import reading, runs
from aggregator.models import Sweep
from aggregator.repository import Repository
from aggregator.retention import find_newest_full
from aggregator.run_log import KEPT
from tests.feed_samples import READ
from tests.test_repository import HOUR, save_runs


@pytest.fixture
def repository(engine: sa.Engine) -> Repository:
    """An empty repository, on SQLite and on PostgreSQL."""
    return Repository(engine)


def make_snapshot(number: int) -> Snapshot:
    """The only answer of the run that began ``number`` hours after READ."""
    return Snapshot(
        portal="malangkota",
        run=READ + number * HOUR,
        asked="full",
        method="GET",
        url="https://spse.example.go.id/malangkota",
        request_hash=b"request",
        fetched=READ,
        status=200,
        headers="{}",
        body_hash=b"body",
        segment="one",
        start=number,
        frame=0,
        stop=number + 1,
    )


def list_runs(engine: sa.Engine) -> list[tuple[str, int]]:
    with reading(engine) as connection:
        return [(row.portal[0], row.seen) for row in connection.execute(sa.select(runs).order_by(runs.c.id))]


def test_a_run_that_is_told_twice_turns_once(repository: Repository) -> None:
    save_runs(repository, "malangkota", "of")
    last = repository.find_last_runs()["malangkota"].last
    repository.save_run(last)
    assert repository.find_verdict_turns() == [last]
    assert list_runs(repository.engine) == [("m", 0), ("m", 1)]


def test_old_runs_that_nobody_asks_for_are_forgotten(repository: Repository) -> None:
    save_runs(repository, "malangkota", "ooo", Sweep.FULL)
    save_runs(repository, "malangkota", "ooffpoo")
    save_runs(repository, "batukota", "bbb")
    before = repository.find_last_runs(), repository.find_verdict_turns()
    ended = READ + timedelta(seconds=30)
    assert repository.forget_runs(ended + KEPT) == 0
    assert repository.forget_runs(ended + HOUR + KEPT) == 2  # those that began at READ, but for the one that failed
    assert repository.forget_runs(ended + 99 * HOUR + KEPT) == 5
    # The last full sweep, the two turns, the last run; the first and the last of the portal that never went well.
    assert list_runs(repository.engine) == [("m", 2), ("m", 2), ("m", 4), ("m", 6), ("b", 0), ("b", 2)]
    assert (repository.find_last_runs(), repository.find_verdict_turns()) == before
    assert repository.forget_runs(ended + 99 * HOUR + KEPT) == 0


def test_a_portal_turns_by_the_run_before_whatever_was_forgotten(repository: Repository) -> None:
    save_runs(repository, "malangkota", "offf")
    repository.forget_runs(READ + 2 * KEPT)
    save_runs(repository, "malangkota", "fo")
    assert [(run.verdict[0], run.seen) for run in repository.find_verdict_turns()] == [("o", 1), ("f", 1)]


def test_few_runs_are_forgotten_at_once(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregator.run_log, "FORGOTTEN_AT_ONCE", 2)
    save_runs(repository, "malangkota", "oooooo")
    assert [repository.forget_runs(READ + 2 * KEPT) for _ in range(4)] == [2, 2, 1, 0]
    assert list_runs(repository.engine) == [("m", 5)]


def test_the_good_full_sweep_in_the_archive_stays_known_as_good(repository: Repository) -> None:
    save_runs(repository, "malangkota", "oof", Sweep.FULL)
    repository.save_snapshots([make_snapshot(hours) for hours in range(3)])
    chosen = find_newest_full(repository.find_all_archived(), "full")
    repository.forget_runs(READ + 2 * KEPT)
    assert find_newest_full(repository.find_all_archived(), "full") == chosen
    assert [(run.run, run.good) for run in chosen] == [(READ + HOUR, True)]
