"""Leases: held by one, kept up, handed on when a holder dies, lost when another takes them; on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator import leases as module
from aggregator.database import DatabaseError, open_database, reading, writing
from aggregator.database import leases as table
from aggregator.leases import (
    BEAT_EVERY,
    GIVEN_UP_AFTER,
    LEASE_LASTS,
    SILENCE,
    HolderSilent,
    LeaseHeld,
    LeaseLost,
    Leases,
    find_held,
    find_time,
)

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
HOST = "host a.example:8080"
HOUR = timedelta(hours=1)


class Clock:
    """The database's clock, which may jump, and the seconds that no clock moves."""

    def __init__(self) -> None:
        self.now = NOW
        self.seconds = 1000.0

    def __call__(self, _connection: Connection) -> datetime:
        return self.now

    def count(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(engine: Engine, tmp_path: Path, clock: Clock) -> Iterator[Callable[[str], Leases]]:
    """Makes the leases of a process at a machine: one that has the lock folder of that name. No thread beats."""
    made = []

    def make_leases(machine: str = "here") -> Leases:
        leases = Leases(engine, tmp_path / machine, clock=clock, seconds=clock.count)
        leases._beating = threading.Thread()  # as if one were at work: tests beat by themselves
        made.append(leases)
        return leases

    yield make_leases
    for leases in made:
        leases._beating = None
        leases.__exit__()


def kill(leases: Leases) -> None:
    """As kill -9 would: the kernel lets go of the locks, the rows stay."""
    for lease in leases._held.values():
        os.close(lease.descriptor)
    leases._held.clear()


def find_row(engine: Engine, name: str = HOST) -> tuple[str, datetime, datetime | None]:
    with reading(engine) as connection:
        row = connection.execute(sa.select(table.c.holder, table.c.beat, table.c.asked).where(table.c.name == name))
        return tuple(row.one())


def test_a_name_is_held_by_one(make: Callable[..., Leases]) -> None:
    first, second, third = make(), make(), make("elsewhere")
    with first.take(HOST), second.take("host b.example"):
        for other in (second, third):
            with pytest.raises(LeaseHeld, match=r"another run holds host a\.example:8080"):
                other.take(HOST)
    with third.take(HOST) as lease:
        assert not lease.lost


def test_the_holder_is_named_by_machine_and_process(make: Callable[..., Leases]) -> None:
    with make().take(HOST), pytest.raises(LeaseHeld, match=rf"holds {HOST}: \S+:{os.getpid()}$"):
        make("elsewhere").take(HOST)


def test_what_is_held_is_told_with_its_beginning_while_its_holder_lives(
    make: Callable[..., Leases], engine: Engine, clock: Clock
) -> None:
    alive, dead = make(), make("elsewhere")
    with alive.take(HOST):
        clock.pass_by(600)
        alive.beat()
        dead.take("portal x")
        assert find_held(engine, clock) == {HOST: NOW, "portal x": clock.now}
        kill(dead)
        clock.pass_by(LEASE_LASTS + 1)
        alive.beat()
        assert find_held(engine, clock) == {HOST: NOW}
    assert find_held(engine, clock) == {}


def test_the_next_holder_keeps_the_delay_wherever_it_is(make: Callable[..., Leases], clock: Clock) -> None:
    with make().take(HOST) as lease:
        assert lease.wait(1.0) == 0.0  # nobody asked before
    clock.pass_by(0.25)
    with make("elsewhere").take(HOST) as lease:
        assert lease.wait(1.0) == pytest.approx(0.75)
        assert lease.wait(0.1) == 0.0
    clock.now -= HOUR
    with make().take(HOST) as lease:
        assert lease.wait(1.0) == 1.0


def test_a_dead_process_of_this_machine_frees_at_once_and_the_whole_delay_is_kept(
    make: Callable[..., Leases], clock: Clock
) -> None:
    dead = make()
    dead.take(HOST)
    kill(dead)
    clock.pass_by(0.5)
    with pytest.raises(LeaseHeld):
        make("elsewhere").take(HOST)
    with make().take(HOST) as lease:
        assert lease.wait(1.0) == 1.0


def test_a_dead_machine_frees_once_its_heartbeat_is_old(make: Callable[..., Leases], clock: Clock) -> None:
    dead, other = make(), make("elsewhere")
    dead.take(HOST)
    kill(dead)
    clock.pass_by(LEASE_LASTS)
    with pytest.raises(LeaseHeld) as held:
        other.take(HOST)
    assert not isinstance(held.value, HolderSilent)
    clock.pass_by(1)
    with other.await_lease(HOST, sleep=clock.pass_by) as lease:
        assert lease.wait(1.0) == 1.0
    assert clock.seconds == 1000 + LEASE_LASTS + 1 + SILENCE


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps_takes_nothing_from_a_living_holder(
    make: Callable[..., Leases], clock: Clock, jump: timedelta
) -> None:
    holder, other = make(), make("elsewhere")
    with holder.take(HOST) as lease:
        clock.now += jump

        def sleep(seconds: float) -> None:
            clock.pass_by(seconds / 2)
            holder.beat()
            clock.pass_by(seconds / 2)

        with pytest.raises(LeaseHeld):
            other.await_lease(HOST, sleep=sleep)
        assert not lease.lost


def test_a_heartbeat_keeps_all_that_is_held(make: Callable[..., Leases], clock: Clock, engine: Engine) -> None:
    holder, other = make(), make("elsewhere")
    with holder.take(HOST) as host, holder.take("portal a") as portal:
        for _ in range(30):
            clock.pass_by(BEAT_EVERY)
            holder.beat()
            assert not host.lost
            assert not portal.lost
        assert find_row(engine)[1] == find_row(engine, "portal a")[1] == clock.now
        for name in (HOST, "portal a"):
            with pytest.raises(LeaseHeld):
                other.take(name)
    assert find_row(engine) == ("", clock.now, clock.now)


def test_one_thread_keeps_up_all_leases_of_a_process(engine: Engine, tmp_path: Path) -> None:
    before = threading.active_count()
    with Leases(engine, tmp_path) as leases:
        held = [leases.take(f"host {number}.example") for number in range(60)]
        assert threading.active_count() == before + 1
        leases.beat()
        assert not any(lease.lost for lease in held)
    assert threading.active_count() == before
    with reading(engine) as connection:
        assert connection.execute(sa.select(table.c.holder).distinct()).scalars().all() == [""]


def test_what_another_took_is_lost(make: Callable[..., Leases], clock: Clock, engine: Engine) -> None:
    stood_still, other = make(), make("elsewhere")
    with stood_still.take(HOST) as lease:
        clock.pass_by(10 * LEASE_LASTS)
        with other.await_lease(HOST, sleep=clock.pass_by) as taken:
            stood_still.beat()
            assert lease.lost == f"another run took {HOST}"
            with pytest.raises(LeaseLost):
                lease.check()
            stood_still.release(lease)
            assert find_row(engine)[0] != ""
            assert not taken.lost


def test_the_holder_gives_up_before_anybody_may_follow(make: Callable[..., Leases], clock: Clock) -> None:
    assert GIVEN_UP_AFTER < LEASE_LASTS
    with make().take(HOST) as lease:
        clock.seconds += GIVEN_UP_AFTER
        assert not lease.lost
        clock.seconds += 1
        assert lease.lost == f"{HOST} could not be held for 51 s: the process stood still"


def test_a_database_that_is_away_for_a_while_takes_nothing(
    make: Callable[..., Leases], clock: Clock, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    holder = make()
    with holder.take(HOST) as lease:
        with away(engine, "is restarting"):
            for _ in range(4):
                clock.pass_by(BEAT_EVERY)
                holder.beat()
            assert not lease.lost
        holder.beat()
        clock.pass_by(GIVEN_UP_AFTER)
        assert not lease.lost
        with away(engine, "disk is full"):
            clock.pass_by(BEAT_EVERY)
            holder.beat()
            assert "has no room left on its disk" in lease.lost
    told = [record.getMessage().partition(" database ")[0] for record in caplog.records]
    assert told == [  # and not one for each try
        *2 * ["leases cannot be kept up, runs end in 50 s:"],
        f"{HOST}: the lease lapses by itself in 60 s:",
    ]


class away:
    """While entered, nothing can be written: the database says ``what``."""

    def __init__(self, engine: Engine, what: str) -> None:
        self._engine, self._what = engine, what

    def _refuse(self, *_: object) -> None:
        raise sa.exc.OperationalError("BEGIN", None, Exception(self._what))

    def __enter__(self) -> None:
        sa.event.listen(self._engine, "begin", self._refuse)

    def __exit__(self, *raised: object) -> None:
        sa.event.remove(self._engine, "begin", self._refuse)


def test_a_lease_that_cannot_be_written_is_not_taken(make: Callable[..., Leases], engine: Engine) -> None:
    with away(engine, "disk is full"), pytest.raises(DatabaseError, match="has no room left on its disk"):
        make().take(HOST)
    with make().take(HOST) as lease:
        assert not lease.lost


def test_one_that_cannot_be_given_back_lapses_by_itself(
    make: Callable[..., Leases], engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    lease = make().take(HOST)
    with away(engine, "is restarting"), lease:
        pass
    assert "host a.example:8080: the lease lapses by itself in 60 s" in caplog.text
    with make().take(HOST) as again:
        assert again.wait(1.0) == 1.0


def test_a_lock_that_was_removed_by_hand_lets_nobody_in(make: Callable[..., Leases], tmp_path: Path) -> None:
    with make().take(HOST):
        for lock in (tmp_path / "here").iterdir():
            lock.unlink()
        with pytest.raises(LeaseHeld):
            make().take(HOST)


def test_a_lock_that_cannot_be_made_is_told(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"file/host%20a\.example%3A8080\.lock: this lock cannot be made: "):
        Leases(engine, tmp_path / "file").take(HOST)


def test_without_a_database_the_lock_of_this_machine_counts(tmp_path: Path) -> None:
    with Leases(None, tmp_path) as first, Leases(None, tmp_path) as second, first.take(HOST) as lease:
        assert lease.wait(1.0) == 1.0  # whoever asked before wrote it down nowhere
        assert not lease.lost
        with pytest.raises(LeaseHeld):
            second.take(HOST)


def test_a_database_tells_its_own_time(engine: Engine) -> None:
    with writing(engine) as connection:
        first, second = find_time(connection), find_time(connection)
    assert timedelta() <= second - first < timedelta(seconds=5)
    assert abs(first - datetime.now(UTC)) < timedelta(seconds=60)


HOLD = """
import sys
from pathlib import Path
from aggregator.database import open_database
from aggregator.leases import Leases
with Leases(open_database(sys.argv[1]), Path(sys.argv[2])) as leases, leases.take(sys.argv[3]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_at_once_and_kill_9(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_EVERY", 0.05)
    start = [sys.executable, "-c", HOLD, address, str(tmp_path), HOST]
    engine = open_database(address)
    holder = subprocess.Popen(start, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder, Leases(engine, tmp_path) as here, Leases(engine, tmp_path / "elsewhere") as elsewhere:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for leases in (here, elsewhere):
            with pytest.raises(LeaseHeld):
                leases.take(HOST)
        holder.kill()
        holder.wait()
        with pytest.raises(LeaseHeld):
            elsewhere.take(HOST)
        with here.take(HOST) as lease:
            assert lease.wait(1.0) == 1.0
            taken = find_row(engine)[1]
            for _ in range(200):  # its thread is at work
                if find_row(engine)[1] != taken:
                    break
                time.sleep(0.02)
            assert find_row(engine)[1] > taken
    engine.dispose()
