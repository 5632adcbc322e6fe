"""Workers on a real PostgreSQL: what happens when they are stopped or killed, and when the database goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator.filters import Filter
from aggregator.verdicts import Verdict
from benchmarks.scale import Size, _find_children, _is_alive, simulate
from commands.children import PARENT, Ended, Outcome, judge_crawl, judge_exit
from commands.working import WAITS, Pace, find_wait, rank
from tests.databases import Server, run
from tests.queueing import HURRY, ROOT, Yard, open_yard
from tests.road import NOW, WIB


@pytest.fixture(scope="module")
def database(postgresql: Server) -> Iterator[Callable[[], str]]:
    """Makes the address of an empty database; they are dropped after the module."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(postgresql.make_database())


@pytest.fixture
def yard(database: Callable[[], str], tmp_path: Path) -> Iterator[Callable[..., Yard]]:
    """Opens a yard with a host for each of the lists of portals; its workers end with the test."""
    with ExitStack() as stack:
        yield lambda *hosts: stack.enter_context(open_yard(tmp_path, database(), hosts))


def read_keys(yard: Yard) -> list[tuple[str, str]]:
    """Portal and key of all that is kept."""
    return [(r.tender.portal, r.tender.key) for r in yard.repository.find(Filter(), NOW, WIB, apart=True)]


# Rules ----------------------------------------------------------------------------------------------------


def test_a_job_that_broke_is_tried_again_ever_later_and_given_up() -> None:
    assert [find_wait("broke", tries) for tries in range(1, 6)] == [60, 120, 240, 480, None]
    assert [find_wait("failed", tries) for tries in range(1, 4)] == [300, 900, None]
    assert find_wait("busy", 10) == 30
    assert find_wait("stopped", 100) == 0


def test_a_portal_that_blocks_is_not_asked_again() -> None:
    assert find_wait("blocked", 1) is None
    assert "blocked" not in WAITS


def test_whoever_may_run_first_goes_first() -> None:
    assert rank(NOW) > rank(NOW.replace(year=2030))
    assert rank(NOW.replace(year=2090)) > -(2**31)  # PostgreSQL's integer


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (0, '{"portals": [{"verdict": "ok", "reasons": [], "requests": 3}]}', Outcome("done")),
        (0, '{"portals": [{"verdict": "partial", "reasons": ["a"], "requests": 3}]}', Outcome("done", "a")),
        (1, '{"portals": [{"verdict": "failed", "reasons": ["a", "b"], "requests": 3}]}', Outcome("failed", "a; b")),
        (1, '{"portals": [{"verdict": "blocked", "reasons": ["x"], "requests": 1}]}', Outcome("blocked", "x")),
        (1, '{"portals": [{"verdict": "failed", "reasons": ["busy: y"], "requests": 0}]}', Outcome("busy", "busy: y")),
        (2, "", Outcome("broke", "no such portal")),
        (1, "", Outcome("broke", "no such portal")),
        (-9, "", Outcome("broke", "killed by SIGKILL")),
        (0, "", Outcome("broke", "it told no verdict")),
    ],
)
def test_what_a_run_came_to(code: int, output: str, expected: Outcome) -> None:
    assert judge_crawl(Ended(code, output, "warta: no such portal")) == expected


def test_what_a_publish_came_to() -> None:
    assert judge_exit(Ended(0, "", "12 written")) == Outcome("done")
    assert judge_exit(Ended(2, "", "")) == Outcome("broke", "exit code 2")
    assert judge_exit(Ended(2, "", '{"level": "error", "message": "no room"}')) == Outcome("broke", "no room")


def test_a_verb_does_not_begin_without_the_worker_that_asked_for_it(tmp_path: Path) -> None:
    env = {**os.environ, PARENT: "1", "PYTHONPATH": str(ROOT)}  # as if it had died: the parent is another one now
    ended = subprocess.run(
        [sys.executable, "-m", "warta", "portals"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (1, "warta: process 1, which began this one, is gone\n")


# Real workers ---------------------------------------------------------------------------------------------


def test_a_killed_worker_loses_nothing_and_hosts_are_asked_in_turn(database: Callable[[], str], tmp_path: Path) -> None:
    size = Size(shared=4, own=2, workers=3, at_once=2, delay=0.25, slack=0.2, pace=HURRY)
    claims = simulate(size, database(), tmp_path)
    assert len(claims) > 10
    assert [claim for claim in claims if not claim.holds] == [], (tmp_path / "workers.log").read_text()


def test_a_stopped_worker_ends_its_run_and_leaves_the_job_to_the_next(yard: Callable[..., Yard]) -> None:
    made = yard(["satu"])
    slow = made.servers[0].faults.add("slow", "pengumuman", seconds=3)
    worker = made.work()
    made.wait_for(lambda: slow.hits)
    (child,) = _find_children(worker.pid)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert not _is_alive(child)
    [job] = made.jobs()
    assert (job.state, job.why.partition(";")[0]) == ("waiting", "its worker was stopped")
    made.servers[0].faults.clear()
    assert made.work().wait(30) == 0
    assert made.jobs() == []
    assert len(read_keys(made)) == 1


def test_a_dead_job_with_a_twin_in_the_queue_lets_go_of_its_host(yard: Callable[..., Yard]) -> None:
    made = yard(["satu", "dua"])
    assert made.run("queue", "add", "satu").returncode == 0
    take = "UPDATE procrastinate_jobs SET status = 'doing'"  # as a worker did that has died since
    engine = sa.create_engine(made.address, isolation_level="AUTOCOMMIT")
    run(engine, take)
    assert made.run("queue", "add", "satu").returncode == 0  # while it runs, the same portal can be ordered again
    engine.dispose()
    made.work()
    assert made.finish() == [0]
    assert made.log().count("its worker died") == 1
    assert made.jobs() == []
    assert sorted(portal for portal, _ in read_keys(made)) == ["dua", "satu"]


def test_a_database_that_goes_away_is_waited_for(yard: Callable[..., Yard]) -> None:
    made = yard(["satu"])
    slow = made.servers[0].faults.add("slow", "pengumuman", seconds=2)
    worker = made.work()
    made.wait_for(lambda: slow.hits)
    url = sa.make_url(made.address)
    admin = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
        ended = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{url.database}'"
        assert connection.exec_driver_sql(ended).scalar_one() > 2
        made.wait_for(lambda: "out of reach" in made.log())
        connection.exec_driver_sql(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")
    admin.dispose()
    assert worker.wait(60) == 0, made.log()
    assert "begins anew" not in made.log()
    assert made.jobs() == []
    assert made.repository.find_last_runs()["satu"].last.verdict is Verdict.OK


def test_cron_is_in_the_database_and_fires_once_for_all_workers(yard: Callable[..., Yard]) -> None:
    made = yard(["satu"])
    engine = sa.create_engine(made.address, isolation_level="AUTOCOMMIT")
    run(
        engine,
        "CREATE TABLE fired (at text)",
        "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO fired VALUES (NEW.args->>'timestamp'); RETURN NEW; END $$",
        "CREATE TRIGGER note_it AFTER INSERT ON procrastinate_jobs FOR EACH ROW "
        "WHEN (NEW.task_name = 'schedule') EXECUTE FUNCTION note_it()",
    )
    made.servers[0].faults.add("slow", "pengumuman", seconds=3)
    each_second = Pace(look=0.3, heartbeat=0.3, dead_after=5, publish_after=0.5, cron="* * * * * */1")
    for _ in range(2):
        made.work(pace=each_second)
    assert made.finish() == [0, 0]
    with engine.connect() as connection:
        fired = list(connection.exec_driver_sql("SELECT at FROM fired").scalars())
    engine.dispose()
    assert len(fired) > 2
    assert len(fired) == len(set(fired))
    assert made.servers[0].stats.pages["home"] == 1  # due every second, and read once
