"""The database opens, migrates, lets two write in turn, and says clearly what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st

import aggregator.database
from aggregator.database import (
    DatabaseError,
    dossiers,
    find_database_file,
    from_micros,
    listings,
    metadata,
    open_database,
    reading,
    releases,
    runs,
    tender_text,
    tenders,
    to_micros,
    writing,
)
from aggregator.models import Award, Contract, Money, Reading, Sweep
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from tests.feed_samples import READ, TENDER

ROOT = Path(__file__).parents[1]
Open = Callable[[str], sa.Engine]
LISTING = {"portal": "malangkota", "kind": "tender", "year": 2026, "size": 1, "read": datetime(2026, 1, 1, tzinfo=UTC)}


def save(engine: sa.Engine, rows: list[dict[str, object]]) -> None:
    with writing(engine) as connection:
        connection.execute(sa.insert(listings), rows)


def count(engine: sa.Engine) -> int:
    with reading(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(listings)).scalar_one()


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The address of an SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path}/var/warta.db"


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens databases, and closes their connections with the test."""
    with ExitStack() as stack:

        def open_(address: str) -> sa.Engine:
            engine = open_database(address)
            stack.callback(engine.dispose)
            return engine

        yield open_


OWN_WAYS = ("tender_text", "ix_tenders_amount_")  # what each database has in its own way


def test_migrations_make_the_tables_of_the_program(unmade: str, opened: Open) -> None:
    engine = opened(unmade)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda item, name, kind, *_: not (name or "").startswith(OWN_WAYS),
            },
        )
        assert compare_metadata(context, metadata) == []


def test_sqlite_is_set_up_for_two_writers(file: str) -> None:
    with reading(open_database(file)) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "busy_timeout": 30_000, "foreign_keys": 1, "synchronous": 2}


def test_opening_again_keeps_what_is_there(unmade: str, opened: Open) -> None:
    save(opened(unmade), [LISTING])
    with reading(opened(unmade)) as connection:
        assert connection.execute(sa.select(listings.c.read)).scalar_one() == LISTING["read"]


def test_it_opens_from_any_folder(file: str, tmp_path: Path) -> None:
    code = "import sys; from aggregator.database import open_database; open_database(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-W", "error", "-c", code, file], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "var/warta.db").exists()


def test_processes_that_open_a_new_database_at_once_all_succeed(unmade: str) -> None:
    assert open_at_once(unmade, 4) == [""] * 4


def open_at_once(address: str, number: int) -> list[str]:
    """What so many processes complain of that open a database at the same time."""
    code = (
        "import sys, time; from aggregator.database import open_database\n"
        "sys.stdin.readline(); open_database(sys.argv[1])"
    )
    opening = [
        subprocess.Popen([sys.executable, "-c", code, address], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(number)
    ]
    return [process.communicate(b"\n", timeout=60)[1].decode() for process in opening]


# A database of a released version ----------------------------------------------------------------------


FIRST_TENDER = replace(
    TENDER,
    contracts=(
        Contract(supplier="PT Satu", amount=Money(Decimal("100.25")), date=READ),
        Contract(supplier="PT Dua", amount=Money(Decimal(200)), date=READ - timedelta(days=1)),
    ),
    awards=(Award(supplier="CV Pemenang", amount=Money(Decimal(1)), date=READ - timedelta(days=9)),),
)
TENDERS = (
    replace(FIRST_TENDER, portal="pusat"),
    replace(FIRST_TENDER, contracts=(), awards=()),  # the same purchase: pusat speaks for it, or it for pusat
    replace(TENDER, key="2", awards=(Award(supplier="CV Karya", amount=Money(Decimal(5), "USD"), date=READ),)),
    replace(TENDER, key="3", contracts=(Contract(supplier="CV Lupa"), FIRST_TENDER.contracts[0])),
    replace(TENDER, key="4", buyer="Dinas " * 400, procuring_entity="Balai " * 400),
    *(replace(TENDER, key=str(number), title=f"Jembatan ke-{number}") for number in range(10, 620)),
)


def find_all(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(sa.select(table).order_by(*list(table.c)[:2])).mappings()]


def test_a_database_of_the_first_version_becomes_like_a_new_one(
    engine: sa.Engine, unmade: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    Repository(engine).save([Reading(tender=tender) for tender in TENDERS], READ)
    with monkeypatch.context() as patch:
        patch.setattr(aggregator.database, "_migrate", lambda engine: migrate(engine, "0001"))
        old = opened(unmade)
    kept = find_all(engine, tenders)
    with writing(old) as connection:
        added = {"awarded", "contracted"}
        rows = [{name: value for name, value in row.items() if name not in added} for row in kept]
        long = next(row for row in rows if row["key"] == "4")  # as it was written then
        long |= {"buyer_folded": long["buyer"].lower(), "procuring_entity_folded": long["procuring_entity"].lower()}
        connection.execute(sa.insert(tenders), rows)
        for table in (dossiers, releases):
            connection.execute(sa.insert(table), find_all(engine, table))
    migrated = opened(unmade)
    assert find_all(migrated, tenders) == kept
    assert find_all(migrated, tender_text) == find_all(engine, tender_text)
    by_key = {(row["portal"], row["key"]): (row["awarded"], row["contracted"]) for row in kept if row["shown"]}
    assert sum(not row["shown"] for row in kept) == 1
    assert (30_025, READ - timedelta(days=1)) in by_key.values()
    assert by_key["malangkota", "2"] == (None, READ)
    assert by_key["malangkota", "3"] == (None, READ)
    assert by_key["malangkota", "10"] == (None, None)


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_an_older_database_learns_which_runs_turned_their_portal(
    engine: sa.Engine, unmade: str, opened: Open, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    for portal, ends in {"p1": "ofbpssfo", "p2": "foo", "p3": "s", "p4": "p"}.items():
        for minutes, letter in enumerate(ends):  # s: partial, and the source broke its contract
            verdict = Verdict.PARTIAL if letter == "s" else next(each for each in Verdict if each.startswith(letter))
            reasons = ("shape: rows",) if letter == "s" else ()
            at = READ + timedelta(minutes=minutes)
            run = Run(portal=portal, sweep=Sweep.OPEN, started=at, finished=at, verdict=verdict, reasons=reasons)
            Repository(engine).save_run(run)
    with monkeypatch.context() as patch:
        patch.setattr(aggregator.database, "_migrate", lambda engine: migrate(engine, version))
        old = opened(unmade)
    kept = find_all(engine, runs)
    assert sum(row["turned"] for row in kept) == 5 + 2 + 1
    with writing(old) as connection:
        rows = [{name: value for name, value in row.items() if name != "turned"} for row in kept]
        connection.execute(sa.insert(runs), rows)
    migrated = opened(unmade)
    assert find_all(migrated, runs) == kept
    assert Repository(migrated).find_verdict_turns() == Repository(engine).find_verdict_turns()


def test_processes_that_open_an_old_database_at_once_migrate_it_once(
    unmade: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(aggregator.database, "_migrate", lambda engine: migrate(engine, "0001"))
        save(opened(unmade), [LISTING])
    assert open_at_once(unmade, 2) == [""] * 2
    with reading(opened(unmade)) as connection:
        assert set(metadata.tables) <= set(sa.inspect(connection).get_table_names())
        indexes = sa.inspect(connection).get_indexes("tenders")
        assert [each["column_names"] for each in indexes].count(["kind", "position"]) == 1
    assert count(opened(unmade)) == 1


def migrate(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "aggregator/migrations"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


# Errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "warta.db", "mysql://localhost/x", "http://localhost/"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(DatabaseError, match="is no database address"):
        open_database(address)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"cannot be reached; is its server running") as told:
        open_database(f"postgresql+psycopg://warta:geheim@/warta?host={tmp_path}")
    assert "geheim" not in str(told.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("Rapat pukul sembilan. " * 100)
    with pytest.raises(DatabaseError, match=r"notes\.db is not an SQLite database"):
        open_database(f"sqlite:///{path}")
    assert path.read_text().startswith("Rapat")


def test_a_newer_schema(unmade: str, opened: Open) -> None:
    with writing(opened(unmade)) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match=r"made by a newer version of this program \(schema 9999") as told:
        open_database(unmade)
    assert type(told.value) is DatabaseError  # waiting does not mend it


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(DatabaseError, match="cannot be"):
        open_database(f"sqlite:///{tmp_path}/var/warta.db")


def test_a_database_that_may_only_be_read(file: str) -> None:
    engine = open_database(file)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA query_only = 1"))
    with pytest.raises(DatabaseError, match="cannot be written; may this user"):
        save(engine, [LISTING])


def test_a_database_that_was_taken_away_is_not_written_to(file: str, tmp_path: Path) -> None:
    """SQLite goes on with a file that has no name any more: a crawl would end well, and all it found be gone."""
    engine = open_database(file)
    save(engine, [LISTING])
    path = find_database_file(file)
    assert path is not None
    path.rename(tmp_path / "elsewhere.db")
    with pytest.raises(DatabaseError, match="is not there any more; put it back, or a backup in its place"):
        save(engine, [LISTING])
    assert not path.exists()
    (tmp_path / "elsewhere.db").rename(path)
    assert count(engine) == 1


def test_a_locked_database(address: str, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregator.database, "LOCK_PATIENCE", 0.01)
    engine = opened(address)
    with writing(engine), pytest.raises(DatabaseError, match="was locked by another program"), writing(engine):
        pytest.fail("two write transactions at once")


def test_a_full_disk_loses_nothing_that_was_saved(file: str) -> None:
    engine = open_database(file)
    save(engine, [LISTING])
    with reading(engine) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(DatabaseError, match="has no room left on its disk"):
        save(engine, [{**LISTING, "year": year} for year in range(3000, 9000)])
    assert count(open_database(file)) == 1


# Transactions and times --------------------------------------------------------------------------------


def test_two_writers_take_turns_though_both_read_first(address: str, opened: Open) -> None:
    def count_up(times: int) -> None:
        engine = opened(address)
        for _ in range(times):
            with writing(engine) as connection:
                size = connection.execute(sa.select(listings.c.size)).scalar_one()
                connection.execute(sa.update(listings).values(size=size + 1))

    with writing(opened(address)) as connection:
        connection.execute(sa.insert(listings), {**LISTING, "size": 0})
    writers = [threading.Thread(target=count_up, args=[25]) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with reading(opened(address)) as connection:
        assert connection.execute(sa.select(listings.c.size)).scalar_one() == 50


def test_a_reader_is_not_held_up_by_a_writer(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        connection.execute(sa.insert(listings), LISTING)
        with reading(engine) as other:
            assert other.execute(sa.select(listings)).all() == []


def test_a_reader_sees_one_state(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        before = connection.execute(sa.select(listings)).all()
        save(engine, [LISTING])
        assert connection.execute(sa.select(listings)).all() == before == []
    assert count(engine) == 1


def test_a_transaction_that_raises_leaves_nothing(engine: sa.Engine) -> None:
    with pytest.raises(DatabaseError, match=r"(?i)unique"):
        save(engine, [LISTING, LISTING])
    assert count(engine) == 0


FIRST = datetime(2, 1, 1)  # noqa: DTZ001  a bound for hypothesis, which adds the zone


@given(st.datetimes(FIRST, timezones=st.sampled_from([UTC, timezone(timedelta(hours=7))])))
def test_a_time_survives_as_microseconds(time: datetime) -> None:
    assert from_micros(to_micros(time)) == time


def test_microseconds_are_told_from_1970_in_utc() -> None:
    time = datetime(2026, 11, 24, 9, 40, 0, 1, tzinfo=timezone(timedelta(hours=7)))
    assert to_micros(time) == 1_795_488_000_000_001


def test_the_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "warta.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE stock (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match=r"one of another program \(it has a table 'stock'\); name another file"):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_locked_file_of_another_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregator.database, "LOCK_PATIENCE", 0.01)
    path = tmp_path / "warta.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseError, match="was locked by another program"):
        open_database(f"sqlite:///{path}")
    other.close()
