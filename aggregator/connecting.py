"""How a database is named, and what goes wrong when it is used, told in one line with its mend and no password."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from aggregator.lines import mask_secrets

LOCK_PATIENCE = 30.0  # seconds a writer waits for another one; a batch of 500 takes about 0.1 s

_FILES = 4  # that SQLite has open at once: the database, its log, their index, and a folder to sync
_DRIVERS = {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}


class DatabaseError(Exception):
    """The database cannot be used. The message says which, why, and what to do."""


class DatabaseAway(DatabaseError):
    """The database cannot be used just now: its server starts anew, the connection broke, or another one holds it."""


def parse_address(address: str) -> URL:
    """An address of SQLite or PostgreSQL. DatabaseError, which shows nothing of its password, where it is none."""
    try:
        url = sa.make_url(address)
        (url.host or "").encode("idna")  # else a name that can be none would be found out in the midst of things
    except (ArgumentError, ValueError):  # ValueError: of its port or host
        url = None
    # A password ends at the first @: the rest of one that holds another would be taken, and shown, as the host.
    behind_name = address.partition("://")[2].partition(":")[2]
    is_cut = url is not None and url.password is not None and behind_name.count("@") > 1
    if url is None or url.drivername not in _DRIVERS or is_cut:
        raise DatabaseError(f"{mask_address(address)!r} is no database address; {_mend_address(address)}")
    return url


def _mend_address(address: str) -> str:
    scheme, _, rest = address.partition("://")
    if not scheme.startswith("postgres") or not rest:
        return "write one as in sqlite:///var/warta.db, or postgresql+psycopg://warta@localhost/warta"
    if scheme != "postgresql+psycopg":
        return "begin it with postgresql+psycopg://"
    if rest.count("@") > 1:
        return "in a password, write %40 for @, %2F for / and %25 for %"
    return "its host must be a name and its port a number, as in postgresql+psycopg://warta@localhost:5432/warta"


def mask_address(address: str) -> str:
    """``address``, which may be none, without all that may be its password."""
    scheme = re.match(r"[\w+.-]+://", address)
    head = scheme[0] if scheme else ""
    before, at, place = address.removeprefix(head).rpartition("@")
    name, colon, _ = before.partition(":")
    return mask_secrets(f"{head}{name}{colon and ':***'}{at}{place}")


def show_url(url: URL) -> str:
    """``url`` without its password, wherever it stands."""
    return mask_secrets(url.render_as_string())


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Every error of the database at ``url`` comes as DatabaseError, or as DatabaseAway where it passes."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:  # sqlite3.Error: of a bare cursor
        raise (DatabaseAway if _is_away(error) else DatabaseError)(_explain(url, error)) from error


# SQLSTATEs of PostgreSQL that pass: connection broken, transaction rolled back for another's sake, too many
# connections, lock not available, server starting or shutting down. A connection that failed has none.
_PASSING = ("08", "40", "53300", "55P03", "57P")


def _is_away(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    if "database is locked" in str(error.orig):
        return True
    state = getattr(error.orig, "sqlstate", "")  # "": SQLite has none
    failed = state is None and isinstance(error, OperationalError) and not _find_mend(str(error.orig), _REFUSALS)
    return error.connection_invalidated or failed or (state or "").startswith(_PASSING)


# What a server says that is there, and will not let us in: what to tell the reader. Waiting does not mend it.
_REFUSALS = {
    "password authentication failed": "refuses this user or password; check both (in a password, %40 stands for @)",
    "no password supplied": "wants a password; write it as in warta:PASSWORD@localhost, or into ~/.pgpass",
    "authentication failed": "does not let this user in; name the user who may, or its password",
    "no pg_hba.conf entry": "does not let this user in from here; its pg_hba.conf says who may come from where",
    'FATAL: +role ".*" (does not exist|is not permitted)': "has no such user; make it with createuser, or name another",
    'FATAL: +database ".*" does not exist': "is not there; make it with createdb --encoding UTF8 --template template0",
}

# What the database says: what to tell the reader.
_MENDS = {
    **_REFUSALS,
    "file is not a database": "is not an SQLite database; move that file away, or name another one",
    "malformed": "is damaged; move it away with its -wal and -shm, then warta restore the last backup, or warta replay",
    "unable to open database": "cannot be opened; may this user write to its folder?",
    "readonly database": "cannot be written; may this user write to the file and its folder?",
    "Permission denied": "cannot be opened; may this user write to its folder?",
    "Too many open files": "cannot be opened, for this user may open no more files; raise the limit (ulimit -n)",
    "database is locked": f"was locked by another program for {LOCK_PATIENCE:.0f} s; end that one, then try again",
    "lock timeout": f"was locked by another program for {LOCK_PATIENCE:.0f} s; end that one, then try again",
    "disk is full": "has no room left on its disk; what was saved before is kept",
    "disk I/O error": "cannot be read or written; is its disk full, or broken?",
    "No space left": "has no room left on its disk; what was saved before is kept",
    "permission denied for": "does not let this user make or write its tables; make the user its owner",
    "resolve host|translate host name": "cannot be reached, for nobody knows its host; check its spelling",
    "connection to server": "cannot be reached; is its server running, and the address right?",
}


def _find_mend(said: str, mends: Mapping[str, str]) -> str | None:
    # nosemgrep: patterns-are-ours # those of this module
    return next((mend for pattern, mend in mends.items() if re.search(pattern, said)), None)


def _explain(url: URL, error: Exception) -> str:
    said = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())  # it may take several lines
    if "unable to open database" in said and url.database:
        said = _find_why(Path(url.database).parent) or said
    return f"database {show_url(url)} {_find_mend(said, _MENDS) or 'cannot be used'} ({said})"


def _find_why(folder: Path) -> str:
    """Why SQLite, which does not tell, cannot open files in ``folder``; empty where nothing stands against it."""
    with ExitStack() as stack:
        try:
            for _ in range(_FILES):
                stack.callback(os.close, os.open(folder, os.O_RDONLY))
        except OSError as error:
            return str(error.strerror)
    return ""
