"""A database is named rightly or told how to be; what goes wrong there is one line with its mend, never a password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from aggregator.connecting import DatabaseAway, DatabaseError, explained, mask_address, parse_address
from aggregator.database import find_identity, open_database
from tests.databases import Server, run

ROOT = Path(__file__).parents[1]
HERE = "postgresql+psycopg://warta:geheim@localhost:1/warta"


@pytest.mark.parametrize(
    ("address", "shown", "mend"),
    [
        ("postgresql+psycopg://warta:geheim@localhost:abc/db", "warta:***@localhost:abc/db", "its port a number"),
        ("postgresql+psycopg://warta:geheim@a..b/db", "warta:***@a..b/db", "its host must be a name"),
        ("postgres://warta:geheim@h/db", "postgres://warta:***@h/db", "begin it with postgresql+psycopg://"),
        ("postgresql://warta:geheim@h/db", "warta:***@h/db", "begin it with postgresql+psycopg://"),
        ("postgresql+psycopg2://warta:geheim@h/db", "warta:***@h/db", "begin it with postgresql+psycopg://"),
        ("postgresql+psycopg://warta:ge@he/im@h/db", "'postgresql+psycopg://warta:***@h/db'", "write %40 for @"),
        ("postgresql+psycopg://warta:ge/h@eim@h/db", "'postgresql+psycopg://warta:***@h/db'", "%2F for /"),
        ("postgresql+psycopg://warta:ge@he?im@h/db", "'postgresql+psycopg://warta:***@h/db'", "write %40 for @"),
        ("warta:geheim@h/db", "'warta:***@h/db'", "write one as in sqlite:///var/warta.db, or postgresql+psycopg://"),
        ("mysql://warta:geheim@h/db?password=geheim", "warta:***@h/db?password=***", "write one as in sqlite:///"),
    ],
)
def test_an_address_that_is_none_is_told_how_to_be_one(address: str, shown: str, mend: str) -> None:
    with pytest.raises(DatabaseError, match="is no database address") as told:
        parse_address(address)
    assert shown in str(told.value)
    assert mend in str(told.value)
    assert [part for part in ("geheim", "heim", "ge@", "im@") if part in str(told.value)] == []


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://user@cloud:geheim@h/db",  # a name with @ is one
        "postgresql+psycopg://warta:ge%40he%2Fim@h/db",
        "postgresql+psycopg://warta:ge/he#im@h:5432/db",
        "postgresql+psycopg://warta@/db?host=/run/a@b",
        "postgresql+psycopg:///warta",
        "sqlite:///srv/a@b:c/warta.db",
    ],
)
def test_an_address_that_is_one(address: str) -> None:
    assert parse_address(address) == sa.make_url(address)
    assert "geheim" not in mask_address(address)


SOCKET = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "mend", "kind"),
    [
        (
            f'{SOCKET}FATAL:  password authentication failed for "w"',
            "refuses this user or password",
            DatabaseError,
        ),
        (f"{SOCKET}fe_sendauth: no password supplied", "wants a password", DatabaseError),
        (f'{SOCKET}FATAL:  Peer authentication failed for user "w"', "does not let this user in", DatabaseError),
        (f'{SOCKET}FATAL:  no pg_hba.conf entry for host "10.0.0.1"', "its pg_hba.conf says", DatabaseError),
        (f'{SOCKET}FATAL:  role "w" does not exist', "has no such user", DatabaseError),
        (f'{SOCKET}FATAL:  database "w" does not exist', "is not there; make it with createdb", DatabaseError),
        ("failed to resolve host 'nix': [Errno -2] Name or service not known", "nobody knows its host", DatabaseAway),
        (f"{SOCKET}Connection refused\n\tIs the server running\nthere?", "is its server running", DatabaseAway),
        (f"{SOCKET}FATAL:  the database system is starting up", "is its server running", DatabaseAway),
    ],
)
def test_what_a_server_says_is_one_line_with_its_mend(said: str, mend: str, kind: type[DatabaseError]) -> None:
    with pytest.raises(DatabaseError) as told, explained(sa.make_url(HERE)):
        raise sa.exc.OperationalError("", {}, psycopg.OperationalError(said))
    assert type(told.value) is kind  # waiting mends only what is away
    assert mend in str(told.value)
    assert str(told.value).isprintable()
    assert "geheim" not in str(told.value)


def test_a_user_and_a_database_that_are_not_there(postgresql: Server) -> None:
    with postgresql.make_database() as made:
        url = sa.make_url(made)
        for wrong, mend in ((url.set(username="nobody"), "has no such user"), (url.set(database="no"), "is not there")):
            with pytest.raises(DatabaseError, match=mend) as told:
                open_database(wrong.render_as_string(hide_password=False))
            assert type(told.value) is DatabaseError


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_title_is_refused(postgresql: Server, encoding: str) -> None:
    with postgresql.make_database() as made:
        admin = sa.create_engine(made, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        name = f"{admin.url.database}_{encoding.lower()}"
        run(admin, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
        try:
            with pytest.raises(DatabaseError, match=rf"is in {encoding}, .* createdb --encoding UTF8 --template temp"):
                open_database(sa.make_url(made).set(database=name).render_as_string(hide_password=False))
        finally:
            run(admin, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_database_is_itself_by_any_address(address: str) -> None:
    """And another one is not."""
    other = sa.make_url(address)
    other = other.set(password="geheim") if other.host or other.query else other.set(drivername="sqlite+pysqlite")
    engines = [open_database(each) for each in (address, other.render_as_string(hide_password=False), "sqlite://")]
    identities = [find_identity(engine) for engine in engines]
    assert identities[0] == identities[1] != identities[2] == ()
    for engine in engines:
        engine.dispose()


def test_a_disk_that_is_full_when_the_database_is_opened_is_told() -> None:
    with pytest.raises(DatabaseError, match="has no room left on its disk; what was saved before is kept"):
        open_database("sqlite:////dev/full")


def test_a_limit_of_open_files_is_told_as_what_it_is(tmp_path: Path) -> None:
    """SQLite says of every file that it cannot be opened, and never why."""
    code = (
        "import resource, sqlalchemy as sa\n"
        "from aggregator.connecting import explained\n"
        "from aggregator.database import open_database\n"
        "engine = open_database('sqlite:///warta.db')\n"
        "engine.dispose()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\n"
        "with explained(engine.url):\n"
        "    engine.connect()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1].endswith(
        "DatabaseError: database sqlite:///warta.db cannot be opened, for this user may open no more files; "
        "raise the limit (ulimit -n) (Too many open files)"
    )
