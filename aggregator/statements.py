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


def list_portals(table: sa.Table) -> sa.CTE:
    """The portals that stand in ``table``, and one NULL, by its index that begins with them: one look for each portal
    instead of one for each row."""
    first = sa.select(sa.func.min(table.c.portal).label("portal")).cte("portals", recursive=True)
    following = sa.select(sa.func.min(table.c.portal)).where(table.c.portal > first.c.portal).scalar_subquery()
    return first.union_all(sa.select(following).where(first.c.portal.is_not(None)))


def update_tenders(connection: Connection, rows: Iterable[Row], names: Iterable[str] | None = None) -> None:
    """Writes the columns ``names`` (all that they have) of ``rows``, which are told apart by their ``id``."""
    once = list({row["id"]: row for row in rows}.values())
    if not once:
        return
    columns = [tenders.c[name] for name in names or once[0] if name != "id"]
    if connection.dialect.name == "postgresql":
        given, values = _give([tenders.c.id, *columns], once)
        told = {column.name: given.c[column.name] for column in columns}
        connection.execute(sa.update(tenders).where(tenders.c.id == given.c.id).values(told), values)
    else:
        told = {column.name: sa.bindparam(f"{column.name}_") for column in columns}
        statement = sa.update(tenders).where(tenders.c.id == sa.bindparam("number")).values(told)
        every = [{"number": row["id"], **{f"{each.name}_": row[each.name] for each in columns}} for row in once]
        connection.execute(statement, every)


def write_texts(connection: Connection, stale: Collection[int], texts: Sequence[Row]) -> None:
    """Takes the full texts at the positions ``stale`` out, then puts ``texts`` in."""
    for chunk in chunks(stale):
        connection.execute(sa.delete(tender_text).where(tender_text.c.rowid.in_(chunk)))
    if texts:
        connection.execute(sa.insert(tender_text), texts)


def _give(columns: Sequence[sa.Column[Any]], rows: Sequence[Row]) -> tuple[sa.TableValuedAlias, dict[str, list[Any]]]:
    """``rows`` as a table of PostgreSQL, and its values, an array a column.

    So that one statement, sent and planned once, changes any number of rows: with one a row it takes up to 2 x as long.
    """
    arrays = (sa.bindparam(f"{column.name}_", type_=sa.ARRAY(column.type)) for column in columns)
    given = sa.func.unnest(*arrays).table_valued(*(sa.column(column.name, column.type) for column in columns))
    return given.render_derived(name="given"), {f"{each.name}_": [row[each.name] for row in rows] for each in columns}
