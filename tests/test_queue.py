"""The queue: its tables made once, what stands in it, and the verbs that show and control it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

import warta
from aggregator.config import DATABASE_URL, ConfigError
from aggregator.database import DatabaseError, open_database
from aggregator.queue import _steps, find_jobs, find_queue, prepare_queue
from commands.terminal import UsageMistake
from commands.working import Worker
from tests.databases import Server, run
from tests.queueing import HURRY, Yard, open_yard
from tests.road import WIB


@pytest.fixture(scope="module")
def yard(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Two portals on one host, and the tables of the queue."""
    with ExitStack() as stack:
        address = stack.enter_context(postgresql.make_database())
        yield stack.enter_context(open_yard(tmp_path_factory.mktemp("yard"), address, [["satu", "dua"]]))


@pytest.fixture
def ask(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a verb says, in this process, on a queue that is empty at first."""
    monkeypatch.setenv(DATABASE_URL, yard.address)
    monkeypatch.setattr("commands.queueing.open_repository", lambda _config: yard.repository)  # closed with the yard
    with yard.repository.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM procrastinate_jobs")

    def ask(*arguments: str) -> str:
        result = CliRunner().invoke(warta.app, ["--config", str(yard.config), *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    return ask


# Tables ---------------------------------------------------------------------------------------------------


def test_two_workers_that_start_at_once_make_the_tables_once(postgresql: Server) -> None:
    with postgresql.make_database() as address:
        engine = open_database(address)
        failed: list[BaseException] = []

        def prepare() -> None:
            try:
                prepare_queue(engine)
            except DatabaseError as error:
                failed.append(error)

        threads = [threading.Thread(target=prepare) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue = find_queue(engine)
        engine.dispose()
    assert failed == []
    assert queue is not None
    assert (queue.workers, queue.oldest_waiting, set(queue.jobs.values())) == (0, None, {0})


def test_an_earlier_schema_is_brought_up_to_date(postgresql: Server) -> None:
    *earlier, last = _steps().items()
    with postgresql.make_database() as address:
        engine = open_database(address)
        with engine.begin() as connection:
            for _, script in earlier:
                connection.execution_options(no_parameters=True).exec_driver_sql(script)
        run(
            engine.execution_options(isolation_level="AUTOCOMMIT"),
            f"COMMENT ON TABLE procrastinate_jobs IS 'procrastinate {earlier[-1][0]}'",
        )
        prepare_queue(engine)
        prepare_queue(engine)
        with engine.connect() as connection:
            comment = sa.text("SELECT obj_description('procrastinate_jobs'::regclass)")
            assert connection.execute(comment).scalar() == f"procrastinate {last[0]}"
        engine.dispose()


@pytest.mark.parametrize("mark", ["procrastinate 99.01.00_01_pre_more", ""])
def test_a_later_schema_is_refused_with_a_clear_word(postgresql: Server, mark: str) -> None:
    with postgresql.make_database() as address:
        engine = open_database(address)
        prepare_queue(engine)
        run(
            engine.execution_options(isolation_level="AUTOCOMMIT"),
            f"COMMENT ON TABLE procrastinate_jobs IS '{mark}'",
        )
        with pytest.raises(DatabaseError, match=r"made by a newer procrastinate .* install the version"):
            prepare_queue(engine)
        engine.dispose()


def test_where_there_is_no_queue_nothing_is_told(postgresql: Server) -> None:
    sqlite = open_database("sqlite://")
    assert (find_queue(sqlite), find_jobs(sqlite)) == (None, [])
    with postgresql.make_database() as address:
        engine = open_database(address)
        assert (find_queue(engine), find_jobs(engine)) == (None, [])
        engine.dispose()


# Verbs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [["worker"], ["queue"], ["queue", "add", "satu"], ["queue", "cancel", "1"]])
def test_sqlite_has_no_queue(config_file: Path, verb: list[str]) -> None:
    result = CliRunner().invoke(warta.app, ["--config", str(config_file), *verb])
    assert isinstance(result.exception, UsageMistake)
    assert "WARTA_DATABASE_URL" in str(result.exception)
    assert "warta run --due" in str(result.exception)


def test_an_empty_queue_tells_what_is_due_next(yard: Yard, ask: Callable[..., str]) -> None:
    told = json.loads(ask("queue", "--json"))
    assert (told["workers"], told["jobs"], told["next"]["portal"], told["next"]["sweep"]) == (0, [], "satu", "full")
    assert "0 running, 0 waiting, 0 failed, 0 cancelled" in ask("queue")


def test_a_portal_is_put_into_the_queue_by_hand_once(yard: Yard, ask: Callable[..., str]) -> None:
    assert "waits: satu." in ask("queue", "add", "satu")
    with pytest.raises(UsageMistake, match="satu waits in the queue already"):
        ask("queue", "add", "satu")
    with pytest.raises(ConfigError, match="no portal 'tiga'"):
        ask("queue", "add", "tiga")
    [job] = yard.jobs()
    assert (job.portal, job.sweep, job.state, job.tries, job.why) == ("satu", "full", "waiting", 0, "")
    told = json.loads(ask("queue", "--json"))
    assert told["jobs"] == [job.as_dict()]
    assert told["next"]["portal"] == "dua"
    shown = ask("queue")
    assert "Times are those of Asia/Jakarta." in shown
    for time in (job.since, datetime.fromisoformat(told["next"]["at"])):
        assert f"{time.astimezone(WIB):%Y-%m-%d %H:%M}" in shown  # both by one clock
    queue = find_queue(yard.repository.engine)
    assert queue is not None
    assert (queue.jobs["waiting"], queue.oldest_waiting) == (1, job.since)


def test_a_waiting_job_is_cancelled_and_comes_back_when_asked(yard: Yard, ask: Callable[..., str]) -> None:
    ask("queue", "add", "satu")
    assert "is cancelled: satu." in ask("queue", "cancel", "satu")
    [job] = yard.jobs()
    assert job.state == "cancelled"
    with pytest.raises(UsageMistake, match="neither waits nor runs: it is cancelled"):
        ask("queue", "cancel", str(job.id))
    assert "waits: satu." in ask("queue", "retry", str(job.id))
    [again] = yard.jobs()
    assert (again.state, again.portal, again.id > job.id) == ("waiting", "satu", True)


def test_what_is_not_in_the_queue_is_named_with_what_is(ask: Callable[..., str]) -> None:
    with pytest.raises(UsageMistake, match="no job 'satu' in the queue; it has: none"):
        ask("queue", "cancel", "satu")
    ask("queue", "add", "dua")
    with pytest.raises(UsageMistake, match=r"no job '99' in the queue; it has: \d+ \(dua\)"):
        ask("queue", "retry", "99")


def test_quiet_hours_that_began_and_portals_that_went_are_left_alone(
    yard: Yard, ask: Callable[..., str], tmp_path: Path
) -> None:
    now, hour = datetime.now(WIB), timedelta(hours=1)
    quiet = f'quiet = "{now - hour:%H:%M}-{now + hour:%H:%M}"'
    text = yard.config.read_text(encoding="utf-8").replace('id = "dua"', f'id = "dua"\n{quiet}')
    path = tmp_path / "warta.toml"
    path.write_text(text, encoding="utf-8")
    worker = Worker(path, yard.repository, HURRY)
    assert [worker.may_read(portal) for portal in ("satu", "dua", "tiga")] == [True, False, False]
    assert [worker.may_read(portal, by_hand=True) for portal in ("satu", "dua", "tiga")] == [True, True, False]
    path.write_text("[publisher", encoding="utf-8")  # somebody is writing it: what it said before holds
    assert worker.may_read("satu")


def test_a_run_is_cancelled_and_a_failed_one_tells_why(yard: Yard, ask: Callable[..., str]) -> None:
    yard.servers[0].faults.add("challenge", "^/dua/")
    slow = yard.servers[0].faults.add("slow", "^/satu/.*pengumuman", seconds=30)
    ask("queue", "add", "satu")
    yard.work()
    yard.wait_for(lambda: slow.hits)
    job = yard.wait_for(lambda: yard.find_job("satu", "running"))
    assert job.worker.endswith(f":{yard.workers[-1].pid}")
    with pytest.raises(UsageMistake, match="runs at this moment"):
        ask("queue", "retry", "satu")
    assert "is asked to end: satu." in ask("queue", "cancel", "satu")
    yard.wait_for(lambda: yard.find_job("satu", "cancelled"))
    yard.servers[0].faults.clear()
    yard.servers[0].faults.add("challenge", "^/dua/")
    assert yard.finish() == [0]
    failed = yard.find_job("dua", "failed")
    assert failed is not None
    assert (failed.tries, failed.why.partition(":")[0]) == (1, "blocked")
    assert failed.why in ask("queue")
    yard.servers[0].faults.clear()
    for portal in ("satu", "dua"):
        assert f"waits: {portal}." in ask("queue", "retry", portal)
    assert yard.work().wait(150) == 0
    assert yard.jobs() == []  # what went well takes what had failed with it
