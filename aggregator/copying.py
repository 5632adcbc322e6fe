"""A whole database copied into an empty one, of the same kind or the other, and compared with it row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.connecting import show_url
from aggregator.database import DatabaseError, metadata, reading, snapshots, tender_text, tenders, writing
from aggregator.search import render_vector

CHUNK = 1_000  # rows in memory

# Called with a table's name, how many of its rows are done, and how many there are. Each is written, then compared.
Progress = Callable[[str, int, int], None]


def copy_database(source: Engine, target: Engine, on_progress: Progress | None = None) -> dict[str, int]:
    """Copies every table, and the full text; the number of rows by table.

    It reads one state of ``source``, whoever writes to that meanwhile, and streams. All is written in one transaction,
    which ends only when every row has been read again and is the same: whatever happens before, ``target`` stays
    empty. DatabaseError when it is not empty, or when a row came out otherwise.
    """
    copied: dict[str, int] = {}
    with reading(source) as theirs, writing(target) as ours:
        _check_empty(ours)
        for table in _TABLES:
            size = theirs.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for done in _copy(theirs, ours, table):
                _tell(on_progress, table, done, 2 * size)
            for done in _compare(theirs, ours, table):
                _tell(on_progress, table, size + done, 2 * size)
            copied[table.name] = size
    return copied


def is_copied(source: Engine, target: Engine) -> dict[str, int]:
    """The number of rows by table where ``target`` holds what ``source`` does, and empty where it does not. The index
    of the archive is left out, since it follows the archive."""
    copied: dict[str, int] = {}
    with reading(source) as theirs, reading(target) as ours:
        for table in (tenders, *_TABLES):  # tenders first: of two that differ they do
            try:
                copied[table.name] = 0 if table is snapshots else max(_compare(theirs, ours, table))
            except RowDiffers:
                return {}
    return copied if any(copied.values()) else {}


class RowDiffers(DatabaseError):
    """A row of the copy is another one than that of the original."""


_TABLES = (*metadata.sorted_tables, tender_text)


def check_empty(engine: Engine) -> None:
    """DatabaseError where a table holds something."""
    with reading(engine) as connection:
        _check_empty(connection)


def _tell(on_progress: Progress | None, table: sa.Table, done: int, size: int) -> None:
    if on_progress:
        on_progress(table.name, done, size)


def _check_empty(target: Connection) -> None:
    for table in (tenders, *_TABLES):  # tenders first, since they say most
        if target.execute(sa.select(sa.exists().select_from(table))).scalar_one():
            raise DatabaseError(
                f"database {show_url(target.engine.url)} holds something already (in {table.name}): name an "
                "empty one; nothing was written"
            )


def _copy(source: Connection, target: Connection, table: sa.Table) -> Iterator[int]:
    done = 0
    for rows in _stream(source, table).partitions():
        target.execute(sa.insert(table), [row._asdict() for row in rows])
        done += len(rows)
        yield done


def _compare(source: Connection, target: Connection, table: sa.Table) -> Iterator[int]:
    done = 0
    for theirs, ours in zip_longest(_stream(source, table), _stream(target, table)):
        if theirs is None or ours is None or _content(table, theirs) != _content(table, ours):
            row = (theirs or ours)._mapping
            key = ", ".join(str(row[column.name]) for column in _key(table))
            raise RowDiffers(
                f"database {show_url(target.engine.url)}: row {key} of {table.name} came out otherwise than "
                "it was; nothing was kept, try again"
            )
        done += 1
        if done % CHUNK == 0:
            yield done
    yield done


def _stream(connection: Connection, table: sa.Table) -> sa.CursorResult[Any]:
    """The rows of a table by its key, in an order that every database has."""
    by_code_points = connection.dialect.name == "postgresql"
    order = (each.collate("C") if by_code_points and isinstance(each.type, sa.String) else each for each in _key(table))
    return connection.execute(sa.select(table).order_by(*order).execution_options(yield_per=CHUNK))


def _key(table: sa.Table) -> list[sa.Column[Any]]:
    return list(table.primary_key) or [table.c[0]]  # the full text has a rowid


def _content(table: sa.Table, row: sa.Row[Any]) -> tuple[Any, ...]:
    """What must be the same: of a full text the words and their places, since fences at its end say nothing."""
    return (row.rowid, render_vector(row.text)) if table is tender_text else tuple(row)
