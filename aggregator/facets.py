"""How many of the tenders that a filter finds have each value of a field: what a reader may narrow a search by."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from aggregator.conditions import select_tenders
from aggregator.database import dossiers, tenders
from aggregator.filters import Filter

Facet = Literal["category", "method", "status", "kind", "procuring_entity", "portal"]


def select_counts(
    field: Facet,
    wanted: Filter,
    now: datetime,
    zone: ZoneInfo,
    only: Collection[str] | None,
    *,
    apart: bool = False,
) -> sa.Select[Any]:
    """Each value of ``field`` and its number of found tenders, most first; where it is not known is left out.

    Narrowing ``wanted`` to a value finds as many: spellings by case are one, and a purchase that several portals tell
    counts for each of them.
    """
    number = sa.func.count().label("number")
    if field == "portal":
        told = _portals(wanted, now, zone, only)
        return sa.select(told.c.portal, number).group_by(told.c.portal).order_by(number.desc(), told.c.portal)
    column, key = tenders.c[field], tenders.c.get(f"{field}_folded", tenders.c[field])
    value = column if key is column else sa.func.max(column)
    counts = select_tenders([value, number], wanted, now, zone, apart=apart, only=only)
    return counts.where(key.is_not(None)).group_by(key).order_by(number.desc(), key)


def _portals(wanted: Filter, now: datetime, zone: ZoneInfo, only: Collection[str] | None) -> sa.Subquery:
    """Every found tender with each portal that tells of it; a plan alone is another announcement."""
    columns = [tenders.c.id, tenders.c.kind, tenders.c.merged, tenders.c.portal]
    found = select_tenders(columns, wanted, now, zone, only=only).cte("found")
    other = tenders.alias()
    elsewhere = (
        sa.select(found.c.id, other.c.portal)
        .join(dossiers, dossiers.c.leader_id == found.c.id)
        .join(other, sa.and_(other.c.id == dossiers.c.member_id, other.c.kind == found.c.kind))
        .where(found.c.merged)
    )
    told = sa.union(sa.select(found.c.id, found.c.portal), elsewhere).subquery()
    return told if only is None else sa.select(told).where(told.c.portal.in_(only)).subquery()
