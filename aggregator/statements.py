"""What several writers of SQL share: values in chunks, many rows updated at once, full text put in another's place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aggregator.bookkeeping import Row
from aggregator.database import tender_text, tenders

CHUNK = 500  # values in one IN (…), rows in one fetch or insert


def chunks(values: Collection[Any]) -> Iterator[list[Any]]:
    """``values`` in lists short enough for one statement."""
    every = list(values)
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]


def update_tenders(connection: Connection, rows: Sequence[Row], names: Iterable[str] | None = None) -> None:
    """Writes the columns ``names`` (all that they have) of ``rows``, which are told apart by their ``id``."""
    if not rows:
        return
    columns = [name for name in names or rows[0] if name != "id"]
    statement = sa.update(tenders).where(tenders.c.id == sa.bindparam("number"))
    connection.execute(
        statement.values({name: sa.bindparam(name + "_") for name in columns}),
        [{"number": row["id"], **{name + "_": row[name] for name in columns}} for row in rows],
    )


def write_texts(connection: Connection, stale: Collection[int], texts: Sequence[Row]) -> None:
    """Takes the full texts at the positions ``stale`` out, then puts ``texts`` in."""
    if stale:
        old = tender_text.c.rowid == sa.bindparam("old")
        connection.execute(sa.delete(tender_text).where(old), [{"old": each} for each in stale])
    if texts:
        connection.execute(sa.insert(tender_text), texts)
