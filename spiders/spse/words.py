"""SPSE's words for categories, methods, stages and badges, in OCDS's terms. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aggregator.models import Category, Method, Status

CATEGORIES: Mapping[str, Category] = {
    "Pengadaan Barang": Category.GOODS,
    "Pekerjaan Konstruksi": Category.WORKS,
    "Pekerjaan Konstruksi Terintegrasi": Category.WORKS,
    "Jasa Lainnya": Category.SERVICES,
    "Jasa Konsultansi Badan Usaha": Category.CONSULTING,
    "Jasa Konsultansi Badan Usaha Non Konstruksi": Category.CONSULTING,
    "Jasa Konsultansi Badan Usaha Konstruksi": Category.CONSULTING,
    "Jasa Konsultansi Perorangan": Category.CONSULTING,
    "Jasa Konsultansi Perorangan Non Konstruksi": Category.CONSULTING,
    "Jasa Konsultansi Perorangan Konstruksi": Category.CONSULTING,
}
METHODS: Mapping[str, Method] = {
    "Tender": Method.OPEN,
    "Tender Cepat": Method.OPEN,
    "Tender Internasional": Method.OPEN,
    "Seleksi": Method.OPEN,
    "Seleksi Internasional": Method.OPEN,
    "Seleksi Umum": Method.OPEN,  # the four below: methods of Perpres 54/2010, on old packages
    "Seleksi Sederhana": Method.OPEN,
    "Lelang Umum": Method.OPEN,
    "Lelang Sederhana": Method.OPEN,
    "Pemilihan Langsung": Method.OPEN,
    "Sayembara": Method.OPEN,
    "Kontes": Method.OPEN,
    "Tender Terbatas": Method.SELECTIVE,
    "Lelang Terbatas": Method.SELECTIVE,
    "Penunjukan Langsung": Method.DIRECT,
    "Pengadaan Langsung": Method.DIRECT,
    "Pembelian Langsung": Method.DIRECT,
    "E-Purchasing": Method.DIRECT,
    "Dikecualikan": Method.DIRECT,
    "Pengadaan Dikecualikan": Method.DIRECT,
    "Darurat": Method.DIRECT,
}
_BADGE_STATUS = {"batal": Status.CANCELLED, "dibatalkan": Status.CANCELLED, "gagal": Status.UNSUCCESSFUL}


def find_category(text: str | None) -> Category | None:
    return CATEGORIES.get(text) if text else None


def find_method(text: str | None) -> Method | None:
    return METHODS.get(text) if text else None


def find_status(stage: str, badges: Sequence[str]) -> Status:
    """The stage or a badge (*Tender Gagal*, *Pengadaan Langsung Batal*) as status; any step of the work is active."""
    words = stage.lower()
    for badge in badges:
        status = _BADGE_STATUS.get(badge.lower().rsplit(" ", 1)[-1])
        if status:
            return status
    if re.search(r"\b(di)?batal(kan)?\b|\bditutup\b", words):
        return Status.CANCELLED
    if re.search(r"\bgagal\b", words):
        return Status.UNSUCCESSFUL
    if re.search(r"\bselesai\b", words) and "belum" not in words:
        return Status.COMPLETE
    if words in {"", "tidak ada jadwal"} or "belum dilaksanakan" in words:
        return Status.PLANNED
    return Status.ACTIVE


def is_retender(badges: Sequence[str]) -> bool:
    """*Tender Ulang*, *Seleksi Ulang*, *Pengadaan Langsung Ulang*; *Evaluasi Ulang* only evaluates again."""
    return any(b.lower().endswith("ulang") and not b.lower().startswith("evaluasi") for b in badges)


def unknown_badges(badges: Sequence[str]) -> tuple[str, ...]:
    known = (*_BADGE_STATUS, "ulang")
    return tuple(f"badge {b}" for b in badges if b.lower().rsplit(" ", 1)[-1] not in known)
