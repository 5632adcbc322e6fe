"""What is known of each year of publication, so that its files are written again only when that moved: SQL."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.conditions import told_by
from aggregator.database import reading, releases, tenders
from aggregator.rows import position, position_time


class YearMark(NamedTuple):
    """How many purchases were published in ``year``, and numbers that move with what is kept of them."""

    year: int
    purchases: int
    mark: tuple[int, ...]


def find_year_marks(engine: Engine, zone: ZoneInfo, only: Collection[str]) -> list[YearMark]:
    """Of every year in which one of the portals ``only`` tells of something published, as days are told in ``zone``;
    the newest first. A tender without a time of publication stands at its first sight, as it does in filters."""
    with reading(engine) as connection:
        first, last = connection.execute(_SPAN).one()
        if first is None:
            return []
        years = range(position_time(last).astimezone(zone).year, position_time(first).astimezone(zone).year - 1, -1)
        marks = [_find_mark(connection, year, zone, only) for year in years]
    return [mark for mark in marks if mark.purchases]


def _find_mark(connection: Connection, year: int, zone: ZoneInfo, only: Collection[str]) -> YearMark:
    start, end = (position(datetime(each, 1, 1, tzinfo=zone)) for each in (year, year + 1))
    of_year = (tenders.c.position >= start, tenders.c.position < end, told_by(only))
    count, *moved = connection.execute(_FIGURES.where(*of_year)).one()
    seq = connection.execute(_NEWEST.where(*of_year)).scalar()
    return YearMark(year, int(count or 0), tuple(int(number or 0) for number in (*moved, seq)))


_SPAN = sa.select(sa.func.min(tenders.c.position), sa.func.max(tenders.c.position))
_FIGURES = sa.select(
    sa.func.sum(sa.case((tenders.c.shown, 1), else_=0)),
    sa.func.count(),
    sa.func.sum(sa.case((tenders.c.merged, 1), else_=0)),
    sa.func.max(sa.type_coerce(tenders.c.changed, sa.BigInteger)),
    sa.func.sum(sa.func.length(tenders.c.tender)),
)
_NEWEST = sa.select(sa.func.max(releases.c.seq)).join_from(releases, tenders)
