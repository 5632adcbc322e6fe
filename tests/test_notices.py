"""Which entries each channel was told of, on both databases."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from aggregator.database import notices, reading
from aggregator.notices import (
    CLAIM_LASTS,
    KEPT,
    Standing,
    claim_entries,
    find_noted,
    find_standing,
    save_told,
    start_channel,
)

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
STANDING = Standing(about="semua", caught_up=NOW)


def test_a_channel_starts_with_all_that_is_there(engine: Engine) -> None:
    assert find_standing(engine, "telegram") is None
    many = [str(number) for number in range(1200)]
    start_channel(engine, "telegram", "semua", many, NOW)
    assert find_standing(engine, "telegram") == STANDING
    assert find_noted(engine, "telegram", [*many, "new"], NOW) == set(many)
    assert find_noted(engine, "mail", many, NOW) == set()


def test_a_channel_that_starts_anew_keeps_what_it_was_told(engine: Engine) -> None:
    start_channel(engine, "telegram", "semua", ["1", "2"], NOW)
    later = NOW + timedelta(hours=1)
    start_channel(engine, "telegram", "perubahan", ["2", "3"], later)
    assert find_standing(engine, "telegram") == Standing(about="perubahan", caught_up=later)
    assert find_noted(engine, "telegram", ["1", "2", "3"], later) == {"1", "2", "3"}


def test_what_is_claimed_is_nobody_elses(engine: Engine) -> None:
    assert claim_entries(engine, "telegram", ["1", "2"], [], NOW) == {"1", "2"}
    assert claim_entries(engine, "telegram", ["2", "3"], [], NOW + timedelta(minutes=1)) == {"3"}
    assert find_noted(engine, "telegram", ["1", "2", "3", "4"], NOW) == {"1", "2", "3"}
    assert claim_entries(engine, "mail", ["1"], [], NOW) == {"1"}


def test_what_was_told_is_told_and_what_was_not_is_free_again(engine: Engine) -> None:
    claim_entries(engine, "telegram", ["1", "2"], ["0"], NOW)
    standing = Standing(about="semua", caught_up=NOW, failures=2, retry_at=NOW + timedelta(minutes=10))
    save_told(engine, "telegram", ["1"], ["2"], standing, NOW)
    assert find_standing(engine, "telegram") == standing
    assert find_noted(engine, "telegram", ["0", "1", "2"], NOW) == {"0", "1"}
    years = NOW + timedelta(days=350)
    assert claim_entries(engine, "telegram", ["0", "1", "2"], [], years) == {"2"}


def test_what_a_dead_one_claimed_is_free_after_a_while(engine: Engine) -> None:
    claim_entries(engine, "telegram", ["1"], [], NOW)
    assert claim_entries(engine, "telegram", ["1"], [], NOW + CLAIM_LASTS / 2) == set()
    late = NOW + CLAIM_LASTS + timedelta(seconds=1)
    assert find_noted(engine, "telegram", ["1"], late) == set()
    assert claim_entries(engine, "telegram", ["1"], [], late) == {"1"}
    before = late - timedelta(days=3)  # the clock was set back
    assert claim_entries(engine, "telegram", ["1"], [], before) == {"1"}


def test_two_at_once_share_what_there_is(engine: Engine) -> None:
    many = [str(number) for number in range(50)]
    start = threading.Barrier(4)
    claimed: list[set[str]] = []

    def claim() -> None:
        start.wait(10)
        claimed.append(claim_entries(engine, "telegram", many, [], NOW))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(each) for each in claimed) == [0, 0, 0, 50]


def test_what_is_long_past_is_forgotten(engine: Engine) -> None:
    start_channel(engine, "telegram", "semua", ["old"], NOW)
    start_channel(engine, "gone", "semua", ["old"], NOW)
    later = NOW + KEPT + timedelta(days=1)
    claim_entries(engine, "telegram", ["new"], [], later)
    save_told(engine, "telegram", ["new"], [], STANDING, later)
    with reading(engine) as connection:
        assert connection.execute(sa.select(notices.c.channel, notices.c.entry)).all() == [("telegram", "new")]
