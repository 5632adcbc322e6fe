"""Tenders page by page, for programs: what is found goes on behind the last of the page before, by its place in the
order, so that nothing is missed or told twice while others come and go."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from aggregator.conditions import is_common, looked_at_first, newest_first, order, select_tenders
from aggregator.database import reading, tenders
from aggregator.filters import Filter, Sort
from aggregator.linking import compile_rows
from aggregator.models import Record
from aggregator.rows import parse_record

_COLUMNS = [
    tenders.c[name]
    for name in ("id", "tender", "unread", "first_seen", "last_seen", "changed", "republished", "merged", "position")
]


class Place(NamedTuple):
    """Where a tender stands in an order: what is looked at first (None: not told, and so behind all others), then its
    position, which no other has."""

    value: int | None
    position: int


def find_page(
    engine: Engine,
    wanted: Filter,
    now: datetime,
    zone: ZoneInfo,
    *,
    limit: int,
    after: Place | None = None,
    apart: bool = False,
    only: Collection[str] | None = None,
) -> list[tuple[Record, Place]]:
    """The first ``limit`` tenders that ``wanted`` asks for (whatever its own limit) behind ``after``, each with its
    place; ``apart`` and ``only`` as Repository.find has them."""
    value = looked_at_first(wanted).label("value")
    found: list[tuple[Record, Place]] = []
    with reading(engine) as connection:
        common = is_common(connection, wanted)
        statement = select_tenders(
            [*_COLUMNS, value], wanted, now, zone, apart=apart, only=only, common=common, ordered=True
        )
        place, whole = newest_first(wanted, common=common), order(wanted, common=common)
        for part, tells in _split(wanted, after, place):
            by = whole if tells or wanted.changed_since else [place.desc()]  # few changed: see looked_at_first
            in_order = statement.where(part).order_by(*by)
            rows = connection.execute(in_order.limit(limit - len(found))).mappings().all()
            records = list(map(parse_record, rows)) if apart else compile_rows(connection, rows, only)
            found += zip(records, [Place(row["value"], row["position"]) for row in rows], strict=True)
            if len(found) == limit:
                break
    return found


def _split(
    wanted: Filter, after: Place | None, position: sa.ColumnElement[int]
) -> Iterator[tuple[sa.ColumnElement[bool], bool]]:
    """What lies behind ``after``, in parts that follow each other: each is a range of one index. With each whether its
    tenders tell what the order looks at first; else positions alone order them."""
    column = looked_at_first(wanted)
    older = sa.true() if after is None else position < after.position
    if wanted.sort is Sort.PUBLISHED:
        yield older, False
    elif after is not None and after.value is None:
        yield sa.and_(column.is_(None), older), False
    else:
        if after is None:
            yield column.is_not(None), True
        elif wanted.sort is Sort.DEADLINE:
            yield sa.and_(column >= after.value, sa.or_(column > after.value, older)), True
        else:
            yield sa.and_(column <= after.value, sa.or_(column < after.value, older)), True
        if wanted.sort is not Sort.CHANGED:  # which each tender has
            yield column.is_(None), False
