"""Makes one package up: a plausible name, work unit, amount and place, from a dice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from demo.names import (
    ACTIVITIES,
    CANCEL_REASONS,
    CONSULTING,
    EMERGENCIES,
    GOODS,
    GUEST_BUYERS,
    INTEGRATED,
    PROGRAMMES,
    RETENDER_REASONS,
    SELF_MANAGED_TYPES,
    SERVICES,
    TITLE_ENDS,
    Place,
)
from demo.packages import EMERGENCY, NON_TENDER, RECORDED, SELF_MANAGED, TENDER, Package

# Budgets in million IDR: least and most.
_BUDGETS = {
    TENDER: (250, 18_000),
    NON_TENDER: (12, 200),
    RECORDED: (1, 45),
    SELF_MANAGED: (3, 280),
    EMERGENCY: (100, 1_900),
}
_BIG = ("Pembangunan", "Revitalisasi", "Rancang Bangun", "Rehabilitasi J", "Pengadaan Server")  # for tenders only


def make_package(dice: random.Random, place: Place, kind: str, key: str, start: datetime, year: int) -> Package:
    """A package announced at ``start``, of fiscal year ``year``; all that may happen to it is left to events."""
    unit, category, title = _subject(dice, kind)
    budget = _budget(dice, kind)
    method, route = _method(dice, kind, category)
    return Package(
        kind=kind,
        key=key,
        title=_fill(dice, title + dice.choice(TITLE_ENDS), place, year),
        buyer=place.buyer if dice.random() < 0.95 else dice.choice(GUEST_BUYERS),
        unit=unit,
        category=category,
        method=method,
        route=route,
        start=start,
        years=(year, year + 1) if kind == TENDER and dice.random() < 0.05 else (year,),
        fund=dice.choice(("APBD", "APBD", "APBD", "APBDP", "BLUD")),
        budget=budget,
        value=_value(dice, budget) if kind in (TENDER, NON_TENDER) else None,
        locations=_locations(dice, place) if kind in (TENDER, NON_TENDER) else (),
        plans=() if kind == EMERGENCY else _plans(dice),
        seed=dice.randrange(2**31),
    )


def add_history(dice: random.Random, package: Package) -> None:
    """What befell some packages before today: failed, cancelled, retendered, evaluated again, never contracted."""
    if package.kind not in (TENDER, NON_TENDER):
        return
    luck = dice.random()
    if luck < 0.04:
        package.route = ""  # Tidak Ada Jadwal
    elif luck < 0.10:
        package.ended, package.ended_reason = "Batal", dice.choice(CANCEL_REASONS)
    elif luck < 0.15 and package.kind == TENDER:
        package.ended, package.ended_reason = "Gagal", dice.choice(CANCEL_REASONS)
    if dice.random() < 0.09:
        package.again, package.again_reason = True, dice.choice(RETENDER_REASONS)
    package.reevaluated = package.kind == TENDER and dice.random() < 0.03
    package.names_winner = dice.random() < 0.95
    package.signs = dice.random() < 0.7


def _subject(dice: random.Random, kind: str) -> tuple[str, str, str]:
    """Work unit, category and the pattern of a name."""
    if kind == SELF_MANAGED:
        unit, title = dice.choice(ACTIVITIES)
        return unit, "", title
    if kind == EMERGENCY:
        unit, title = dice.choice(EMERGENCIES)
        return unit, "Pekerjaan Konstruksi", title
    while True:
        unit, category, title = dice.choice(PROGRAMMES)
        if kind == TENDER or (not title.startswith(_BIG) and (kind != RECORDED or category in (GOODS, SERVICES))):
            return unit, category, title


def _method(dice: random.Random, kind: str, category: str) -> tuple[str, str]:
    """The source's words for the method, and the route of the schedule."""
    if kind == TENDER:
        if category in CONSULTING:
            return "Seleksi", "prequalified"
        if dice.random() < 0.15:
            return "Tender Cepat", "quick"
        return "Tender", "two files" if category == INTEGRATED or dice.random() < 0.3 else "tender"
    if kind == NON_TENDER:
        return "Penunjukan Langsung" if dice.random() < 0.1 else "Pengadaan Langsung", "direct"
    if kind == SELF_MANAGED:
        return dice.choice(SELF_MANAGED_TYPES), ""
    return "Darurat" if kind == EMERGENCY else dice.choice(("Pengadaan Langsung", "E-Purchasing")), ""


def _budget(dice: random.Random, kind: str) -> Decimal:
    least, most = _BUDGETS[kind]
    millions = least * (most / least) ** dice.random()  # many small ones, few big ones
    return Decimal(round(millions * 1000)) * 1000


def _value(dice: random.Random, budget: Decimal) -> Decimal:
    """An HPS a little below the pagu, to the rupiah for some and to the cent for a few."""
    value = budget * dice.randrange(9400, 10_000) / 10_000
    luck = dice.random()
    if luck < 0.08:
        return value.quantize(Decimal(1)) + Decimal(dice.randrange(1, 100)) / 100
    return value.quantize(Decimal(1)) if luck < 0.3 else (value / 1000).to_integral_value() * 1000


def _locations(dice: random.Random, place: Place) -> tuple[str, ...]:
    return tuple(
        f"Jl. {dice.choice(place.streets)}, Kec. {dice.choice(place.districts)} - {place.town}"
        for _ in range(dice.choice((1, 1, 1, 2, 3)))
    )


def _plans(dice: random.Random) -> tuple[str, ...]:
    """RUP codes."""
    return tuple(str(dice.randrange(60_000_000, 69_999_999)) for _ in range(dice.choice((1, 1, 1, 1, 2))))


def _fill(dice: random.Random, pattern: str, place: Place, year: int) -> str:
    return pattern.format(
        street=dice.choice(place.streets), district=dice.choice(place.districts), number=dice.randrange(1, 9), year=year
    )


def spread_starts(dice: random.Random, count: int, now: datetime, *, recent: float) -> Sequence[datetime]:
    """Announcement times up to ``now``, oldest first: ``recent`` of them in the last five weeks, most of these open."""
    days = sorted(
        (
            dice.uniform(0, 7)
            if (luck := dice.random()) < recent * 0.6
            else dice.uniform(7, 35)
            if luck < recent
            else dice.uniform(35, 420)
            for _ in range(count)
        ),
        reverse=True,
    )
    return [_before(now, day, dice.randrange(60)) for day in days]


def _before(now: datetime, days: float, minute: int) -> datetime:
    """An office hour about ``days`` before ``now``, never after it."""
    start = (now - timedelta(days=days)).replace(hour=9, minute=minute, second=0, microsecond=0)
    return start if start <= now else start - timedelta(days=1)
