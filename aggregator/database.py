"""Tables, engines and transactions: SQLite by default, or PostgreSQL.

A database is opened with ``open_database``, which also migrates it; every error comes as ``DatabaseError``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import InvalidatePoolError

from aggregator.connecting import LOCK_PATIENCE, explained, parse_address, show_url
from aggregator.connecting import DatabaseAway as DatabaseAway
from aggregator.connecting import DatabaseError as DatabaseError
from aggregator.files import make_folder
from aggregator.search import parse_vector, render_vector

_HIDDEN = True  # errors of a statement name no values: a log holds no tenders
_FILE = "file"  # what a connection notes about the file that it has open
_WRITER = 0x7761727461  # "warta": the number of the lock that a writer holds on PostgreSQL
_MIGRATIONS = Path(__file__).parent / "migrations"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(time: datetime) -> int:
    """An aware time as whole microseconds since 1970 UTC."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


class Instant(sa.TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970 UTC: exact, sortable, and the same on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class Words(sa.TypeDecorator[str]):
    """A text made by search.render_text, as the database's full text takes it."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(TSVECTOR() if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return render_vector(value) if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return parse_vector(value) if value is not None and dialect.name == "postgresql" else value


# A text that is sorted: by code points, whatever PostgreSQL's locale, as SQLite does.
Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _id(name: str) -> sa.Column[int]:
    """A number given by the repository inside its write transaction, so that it follows commit order."""
    big = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite's INTEGER primary key needs no second index
    return sa.Column(name, big, primary_key=True, autoincrement=False)


tenders = sa.Table(
    "tenders",
    metadata,
    _id("id"),
    sa.Column("portal", Name, nullable=False),
    sa.Column("kind", Name, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    # What filters and orders look at, derived from the tender. ``position`` puts publication first and makes
    # it unique (repository.position); ``closes`` is deadline, else registration_deadline; ``amount`` is IDR
    # cents of the value, else of the budget; folded texts are as search.fold makes them.
    sa.Column("position", sa.BigInteger, nullable=False, unique=True),
    sa.Column("status", Name),
    sa.Column("category", Name),
    sa.Column("method", Name),
    sa.Column("buyer", Name),
    sa.Column("buyer_folded", Name),
    sa.Column("procuring_entity", Name),
    sa.Column("procuring_entity_folded", Name),
    sa.Column("locations_folded", sa.Text, nullable=False),
    sa.Column("years", sa.String, nullable=False),
    sa.Column("amount", sa.BigInteger),
    sa.Column("closes", Instant),
    sa.Column("retender", sa.Boolean, nullable=False),
    # What it came to: IDR cents of all contracts, else of all awards, and when: rows.searched_row.
    sa.Column("awarded", sa.BigInteger),
    sa.Column("contracted", Instant),
    # Several sources of one purchase (dossiers.py): ``shown`` is false where another tender speaks for this one,
    # ``merged`` true where this one speaks for others too, whose telling the columns above then hold as well.
    sa.Column("republished", sa.Boolean, nullable=False),
    sa.Column("shown", sa.Boolean, nullable=False),
    sa.Column("merged", sa.Boolean, nullable=False),
    # What the next visit has to know of the last one.
    sa.Column("first_seen", Instant, nullable=False),
    sa.Column("last_seen", Instant, nullable=False),
    sa.Column("last_read", Instant, nullable=False),
    sa.Column("changed", Instant, nullable=False),
    sa.Column("row", sa.LargeBinary),
    sa.Column("home", sa.LargeBinary),
    sa.Column("schedule_read", Instant),
    sa.Column("retry_at", Instant),
    sa.Column("attempts", sa.Integer, nullable=False),
    # The tender itself: the names of its unread fields, and the JSON of Tender.as_dict.
    sa.Column("unread", sa.String, nullable=False),
    sa.Column("tender", sa.Text, nullable=False),
    sa.UniqueConstraint("portal", "kind", "key"),
    sa.Index(None, "portal", "position"),
    sa.Index(None, "kind", "position"),
    sa.Index(None, "status", "position"),
    sa.Index(None, "buyer_folded", "position"),
    sa.Index(None, "procuring_entity_folded", "position"),
    # Each order with all that decides it, and what most filters ask for: what they pass over is not looked at.
    sa.Index(None, "closes", "position", "kind", "status"),
    sa.Index(None, "amount", "position", "kind", "status"),  # on PostgreSQL the highest first (migration 0003)
    sa.Index(None, "changed", "position", "kind", "status"),
    sa.Index(None, "key"),
)

# The other sources of a purchase, by the tender that speaks for it. A plan may belong to several.
dossiers = sa.Table(
    "dossiers",
    metadata,
    sa.Column("leader_id", sa.BigInteger, sa.ForeignKey("tenders.id"), primary_key=True, autoincrement=False),
    sa.Column("member_id", sa.BigInteger, sa.ForeignKey("tenders.id"), primary_key=True, autoincrement=False),
    sa.Index(None, "member_id"),
)

# Which RUP codes a tender names.
plan_codes = sa.Table(
    "plan_codes",
    metadata,
    sa.Column("code", sa.String, primary_key=True),
    sa.Column("tender_id", sa.BigInteger, sa.ForeignKey("tenders.id"), primary_key=True, autoincrement=False),
    sa.Index(None, "tender_id"),
)

releases = sa.Table(
    "releases",
    metadata,
    _id("seq"),
    sa.Column("tender_id", sa.BigInteger, sa.ForeignKey("tenders.id"), nullable=False),
    sa.Column("time", Instant, nullable=False),
    sa.Column("tags", sa.String, nullable=False),  # names with a space on either side, so that LIKE finds one
    sa.Column("events", sa.String, nullable=False),  # likewise
    sa.Column("changes", sa.Text, nullable=False),  # JSON: [[field, old, new], …]
    sa.Index(None, "tender_id", "seq"),
    sa.Index(None, "time"),
)

runs = sa.Table(
    "runs",
    metadata,
    _id("id"),
    sa.Column("portal", Name, nullable=False),
    sa.Column("sweep", sa.String, nullable=False),
    sa.Column("started", Instant, nullable=False),
    sa.Column("finished", Instant, nullable=False),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("narrowed", sa.Boolean, nullable=False),
    sa.Column("broken", sa.Boolean, nullable=False),
    sa.Column("reasons", sa.Text, nullable=False),  # JSON: [text, …]
    # Whether the portal went well before and not any more, or the other way round (run_log.save_run).
    sa.Column("turned", sa.Boolean, nullable=False, server_default=sa.false()),
    *(
        sa.Column(count, sa.Integer, nullable=False)
        for count in ("requests", "seen", "new", "changed", "unchanged", "withdrawn", "errors")
    ),
    sa.Index(None, "portal", "id"),
    sa.Index(None, "turned", "id"),
    sa.Index(None, "finished"),
)

# ``year`` 0 is the portal's home page: a primary key takes no NULL.
listings = sa.Table(
    "listings",
    metadata,
    sa.Column("portal", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("read", Instant, nullable=False),
)

# Which keys stand in a listing, and in how many complete readings of it in a row they were missing.
listed = sa.Table(
    "listed",
    metadata,
    sa.Column("portal", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("missed", sa.Integer, nullable=False),
    sa.Index(None, "portal", "kind", "year"),
)

# The index of the raw archive: one row an answer, in the order of a run. The archive's segments hold the same.
snapshots = sa.Table(
    "snapshots",
    metadata,
    _id("id"),
    sa.Column("portal", Name, nullable=False),
    sa.Column("run", Instant, nullable=False),
    sa.Column("asked", Name, nullable=False),
    sa.Column("method", sa.String, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("fetched", Instant, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("headers", sa.String, nullable=False),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    sa.Column("segment", Name, nullable=False),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("frame", sa.BigInteger, nullable=False),
    sa.Column("stop", sa.BigInteger, nullable=False),
    sa.Index(None, "portal", "run"),
    sa.Index(None, "body_hash"),
    sa.UniqueConstraint("segment", "start"),
)

# Who may ask a host, or read a portal: ``name`` says which. ``beat`` is when ``holder`` last said that it lives, by the
# database's own clock; ``asked`` when the last request was sent, where a holder came to say it. "" holds nothing.
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", Name, primary_key=True),
    sa.Column("holder", sa.String, nullable=False),
    sa.Column("taken", Instant, nullable=False),
    sa.Column("beat", Instant, nullable=False),
    sa.Column("asked", Instant),
)

# What a host's robots.txt said, so that it is asked for once a day and not once a run (RFC 9309 section 2.4).
robots = sa.Table(
    "robots",
    metadata,
    sa.Column("host", Name, primary_key=True),
    sa.Column("fetched", Instant, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

# How each [[notify]] channel stands: what it tells of, when it last knew all of that, and since then its failures.
channels = sa.Table(
    "channels",
    metadata,
    sa.Column("channel", Name, primary_key=True),
    sa.Column("about", sa.String, nullable=False),
    sa.Column("caught_up", Instant, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("retry_at", Instant),
)

# Which entries a channel was told of, or stood in its feed before it was; ``sent`` is empty while one is being told.
notices = sa.Table(
    "notices",
    metadata,
    sa.Column("channel", Name, primary_key=True),
    sa.Column("entry", Name, primary_key=True),
    sa.Column("noted", Instant, nullable=False),
    sa.Column("sent", Instant),
)

# How often pages, feeds and embeds were asked for on a day in the publisher's zone, and by whom as readers name
# themselves; no address is kept.
visits = sa.Table(
    "visits",
    metadata,
    sa.Column("day", sa.String, primary_key=True),  # 2026-11-24
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("reader", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)

# Full text: an FTS5 table on SQLite, a table with a GIN index on PostgreSQL. It is made by a migration and stands
# outside of ``metadata``. Its rowid is tenders.position, so that FTS5 itself yields newest first.
tender_text = sa.Table("tender_text", sa.MetaData(), sa.Column("rowid", sa.BigInteger), sa.Column("text", Words))


def open_database(address: str) -> Engine:
    """An engine for ``address`` (``sqlite:///file`` or ``postgresql+psycopg://…``), its schema brought up to date.

    Raises DatabaseError when it cannot be opened, is locked, is no database, or was made by a newer program.
    """
    url = parse_address(address)
    with explained(url), ExitStack() as unless_opened:
        engine = _OPEN[url.get_backend_name()](url)
        unless_opened.callback(engine.dispose)
        _migrate(engine)
        unless_opened.pop_all()
    return engine


def is_made(address: str) -> bool:
    """Whether there is a database at ``address``, for all that can be told without opening it."""
    url = parse_address(address)
    return url.get_backend_name() != "sqlite" or not url.database or Path(url.database).exists()


def find_database_file(address: str) -> Path | None:
    """Where the database lies, if it is a file."""
    url = parse_address(address)
    is_file = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}
    return Path(url.database or "") if is_file else None


def show_address(address: str) -> str:
    """``address`` without its password."""
    return show_url(parse_address(address))


def find_identity(engine: Engine) -> tuple[object, ...]:
    """What is the same for every address of one database: file and device, or when its server began and its name.

    Empty for one in memory, which nobody else sees.
    """
    with reading(engine) as connection:
        if engine.dialect.name == "sqlite":
            return find_file(connection)
        return tuple(connection.exec_driver_sql("SELECT pg_postmaster_start_time(), current_database()").one())


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: it sees one state of the database and holds nobody up."""
    with explained(engine.url), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is committed at the end, or rolled back whole when anything raises."""
    with explained(engine.url), engine.execution_options(writes=True).begin() as connection:
        yield connection


def _open_sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        make_folder(Path(url.database).parent)
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_PATIENCE}, hide_parameters=_HIDDEN)
    sa.event.listen(engine, "connect", _set_up_sqlite)
    if url.database and url.database != ":memory:":
        _follow_file(engine, url.database)
    sa.event.listen(engine, "begin", _begin_sqlite)
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        if (names := [row[0] for row in cursor.fetchall()]) and "alembic_version" not in names:
            raise DatabaseError(
                f"database {show_url(url)} is one of another program (it has a table {names[0]!r}); name another file"
            )
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone() != ("wal",):
            cursor.execute("PRAGMA journal_mode = WAL")  # kept in the file: needed once
    return engine


def _follow_file(engine: Engine, path: str) -> None:
    """Connections are opened anew once another file lies at ``path``, as when a backup is put back: those that are
    open would go on with the old one, which nobody sees any more."""

    def note(_connection: object, record: Any) -> None:
        record.info[_FILE] = _identify(path)

    def compare(_connection: object, record: Any, _proxy: object) -> None:
        if (now := _identify(path)) and now != record.info[_FILE]:
            raise InvalidatePoolError("another file lies in the place of the database")

    sa.event.listen(engine, "connect", note)
    sa.event.listen(engine, "checkout", compare)


def _identify(path: str) -> tuple[int, ...]:
    """What tells a file from another that has its name later; empty where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino


def find_file(connection: Connection) -> tuple[int, ...]:
    """What tells the file that is read from another one put in its place; empty where the database is no file."""
    noted: tuple[int, ...] = connection.info.get(_FILE, ())
    return noted


def _open_postgresql(url: URL) -> Engine:
    # A reader sees one state, as on SQLite. A server may have been started anew since a connection's last use.
    engine = sa.create_engine(
        url,
        connect_args={"client_encoding": "UTF8"},  # else one in SQL_ASCII gives bytes before it can be refused
        isolation_level="REPEATABLE READ",
        pool_pre_ping=True,
        hide_parameters=_HIDDEN,
    )
    sa.event.listen(engine, "connect", _set_up_postgresql)
    sa.event.listen(engine, "begin", _begin_postgresql)
    return engine


_OPEN = {"sqlite": _open_sqlite, "postgresql": _open_postgresql}


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 begins late and commits before DDL; _begin_sqlite does it right
    # nosemgrep: sql-is-bound # PRAGMA takes no parameter
    connection.execute(f"PRAGMA busy_timeout = {LOCK_PATIENCE * 1000:.0f}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -16000")  # 16 MB: a batch fits; with the usual 2 MB saving takes 1.2 x
    connection.execute("PRAGMA synchronous = FULL")  # a published seq must not be given again after a power cut


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and asks for the write lock later fails at once where another one wrote.
    writes = connection.get_execution_options().get("writes", False)
    if writes and (noted := find_file(connection)) and _identify(str(connection.engine.url.database)) != noted:
        # SQLite would go on writing to a file that has no name any more, and all of it would be lost.
        raise DatabaseError(
            f"database {show_url(connection.engine.url)} is not there any more; put it back, or a backup in its place"
        )
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set_up_postgresql(connection: Any, _record: object) -> None:
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        name = connection.info.dbname
        connection.close()
        raise DatabaseError(
            f"database {name} is in {encoding}, which cannot hold every title; "
            f"make it anew with: createdb --encoding UTF8 --template template0 {name}"
        )
    # Else a plan made while the tables were empty is kept, and goes through all of them when they are full.
    connection.autocommit = True
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.autocommit = False


def _begin_postgresql(connection: Connection) -> None:
    # One writer at a time, as on SQLite: numbers follow commit order, and each sees all that was written before it.
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        # nosemgrep: sql-is-bound # SET takes no parameter
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_PATIENCE * 1000:.0f}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")  # nosemgrep: sql-is-bound # a constant


def _migrate(engine: Engine) -> None:
    head = max(path.stem for path in (_MIGRATIONS / "versions").glob("*.py")).partition("_")[0]
    with engine.connect() as connection:
        made = sa.inspect(connection).has_table("alembic_version")
        current = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() if made else None
    if current == head:
        return
    # Imported here, since it takes a quarter of the time in which a crawl starts and is hardly ever needed.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseError(
            f"{show_url(engine.url)} was made by a newer version of this program (schema {current}, "
            f"this one knows {head}): install that version, or name another database"
        )
    with writing(engine) as connection:  # alembic looks again at the revision, now under the write lock
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
