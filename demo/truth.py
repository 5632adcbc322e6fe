"""What Warta must have understood of a made-up package: the fields of `warta export --format jsonl`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from demo.names import CONSULTING, GOODS, INTEGRATED, SERVICES, WORKS, Place
from demo.packages import (
    ANNOUNCEMENTS,
    BIDDING_KINDS,
    Package,
    contracts,
    document,
    is_open,
    milestones,
    participants,
    price,
    purchase_status,
    realisations,
    registration_closes,
    stage,
    winners,
)

_CATEGORIES = {GOODS: "goods", WORKS: "works", INTEGRATED: "works", SERVICES: "services"} | dict.fromkeys(
    CONSULTING, "consulting"
)
_METHODS = {"Tender": "open", "Tender Cepat": "open", "Seleksi": "open"} | dict.fromkeys(
    ("Penunjukan Langsung", "Pengadaan Langsung", "E-Purchasing", "Darurat"), "direct"
)


def expected_record(place: Place, package: Package, now: datetime, base_url: str) -> dict[str, Any]:
    """The record of a package that is read for the first time at ``now``; see World.truth for what is left out."""
    bidding = package.kind in BIDDING_KINDS
    told_stage = stage(package, now).removesuffix(" [...]") if bidding else purchase_status(package, now)
    file = document(package)
    return {
        "portal": place.slug,
        "kind": package.kind,
        "key": package.key,
        "title": _readable(package.title),
        "description": None,
        "buyer": package.buyer,
        "procuring_entity": package.unit,
        "category": _CATEGORIES.get(package.category),
        "category_detail": package.category or None,
        "method": _METHODS.get(package.method),
        "method_detail": package.method,
        "status": _status(package, told_stage),
        "stage": told_stage,
        "budget": _money(package.budget),
        "value": _money(package.value) if package.value is not None else None,
        "fiscal_years": list(package.years),
        "published": package.created.isoformat(),
        "registration_deadline": _iso(registration_closes(package)) if is_open(package, now) else None,
        "deadline": _iso(_deadline(package)),
        "locations": list(package.locations),
        "plans": list(package.plans),
        "retender": package.again,
        "retender_reason": package.again_reason,
        "cancellation_reason": package.ended_reason,
        "participants": participants(package, now) if bidding else None,
        "milestones": _milestones(package),
        "awards": [_award(w.name, price(w)) for w in winners(package, now)] if bidding else [],
        "contracts": _contracts(package, now),
        "documents": [{"title": file}] if file else [],
        "incomplete": False,
        "url": f"{base_url}/{ANNOUNCEMENTS[package.kind].format(package.key)}",
    }


def _status(package: Package, told_stage: str) -> str:
    if package.ended:
        return "cancelled" if package.ended == "Batal" else "unsuccessful"
    if told_stage == "Tidak Ada Jadwal":
        return "planned"
    return "complete" if told_stage.endswith("Sudah Selesai") else "active"


def _deadline(package: Package) -> datetime | None:
    return max((m.ends for m in milestones(package) if m.title == "Upload Dokumen Penawaran"), default=None)


def _milestones(package: Package) -> list[dict[str, Any]]:
    return [
        {"title": m.title, "starts": _iso(m.starts), "ends": _iso(m.ends), "changes": len(m.edits)}
        for m in milestones(package)
    ]


def _contracts(package: Package, now: datetime) -> list[dict[str, Any]]:
    if package.kind in BIDDING_KINDS:
        return [_award(name, amount) for name, amount in contracts(package, now)]
    return [_award("; ".join(r.suppliers) or None, r.amount, r.date) for r in realisations(package, now)]


def _award(supplier: str | None, amount: Decimal, date: datetime | None = None) -> dict[str, Any]:
    return {"supplier": supplier, "amount": _money(amount), "date": _iso(date)}


def _money(amount: Decimal) -> dict[str, str]:
    return {"amount": f"{amount:.2f}", "currency": "IDR"}


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _readable(title: str) -> str:
    """Without control characters, white space folded."""
    return " ".join("".join(c for c in title if c.isspace() or ord(c) >= 32).split())
