"""SanksiDaftarHitam, the open blacklist of a body's year: rows into notices. Pure.

LKPP describes its columns in words and shows only some of their names, so each cell is looked for under the names that
LKPP's own services use for it; a row without supplier or decision is a ShapeError, never half a sanction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from hashlib import blake2b

from aggregator.models import TENDER_FIELDS, Kind, Sanction, Status, Tender
from spiders.reading import ShapeError
from spiders.satudata.rows import Cells, Context, Page, Row, end_of_day, parse_array, read_rows

_WHAT = "SanksiDaftarHitam"
_DECREE = ("no_sk_blacklist", "no_sk_penetapan", "sk_penetapan", "nomor_sk", "no_sk", "SK Penetapan")
_SUPPLIER = ("nama_penyedia", "Nama Penyedia")
_STARTS = ("tgl_berlaku_dari", "tanggal_mulai", "tgl_mulai", "tgl_awal", "tanggal_mulai_sanksi")
_ENDS = ("tgl_berlaku_sampai", "tanggal_akhir", "tgl_akhir", "tanggal_akhir_sanksi")
_PERIOD = ("masa_sanksi", "masa_berlaku_sanksi", "periode_sanksi", "Masa Sanksi")
_PUBLISHED = ("tgl_tayang_blacklist", "tgl_tayang", "tanggal_tayang", "tgl_buat_blacklist")
_REASON = ("jenis_pelanggaran", "deskripsi_pelanggaran")
_STATUS = ("status", "status_tayang")
_UNUSED = frozenset(
    {
        *("kd_satker", "kd_lpse", "lpse_id", "kd_penyedia", "jenis_paket", "kd_paket", "npwp_penyedia"),
        *("kabupaten_penyedia", "provinsi_penyedia", "no_sk_pencabutan", "tgl_sk_pencabutan", "tgl_pencabutan"),
    }
)
# "Aired, revoked, down due to sanction period": LKPP's own description of the status.
STATUSES = {
    "tayang": Status.ACTIVE,
    "ditayangkan": Status.ACTIVE,
    "aktif": Status.ACTIVE,
    "dicabut": Status.CANCELLED,
    "dibatalkan": Status.CANCELLED,
    "turun tayang": Status.COMPLETE,
    "turun": Status.COMPLETE,
    "turun karena masa sanksi": Status.COMPLETE,
    "berakhir": Status.COMPLETE,
    "selesai": Status.COMPLETE,
}
_READ = frozenset(
    {
        *("portal", "kind", "key", "url", "unread", "incomplete", "title", "description", "buyer"),
        *("procuring_entity", "status", "stage", "fiscal_years", "published", "sanctions"),
    }
)
_UNREAD = frozenset(TENDER_FIELDS) - _READ


def parse_sanctions(body: bytes, context: Context) -> Page:
    """One answer. A decision that is on several suppliers is a notice for each: each may be revoked by itself."""
    return read_rows(parse_array(body), partial(_parse_sanction, context=context))


def make_key(decree: str, supplier: str, by: str) -> str:
    """A decision's number as an address can hold it; the digest keeps apart what looks alike then, or elsewhere."""
    identity = "\x1f".join((by, decree, supplier.casefold()))
    digest = blake2b(identity.encode(), digest_size=4).hexdigest()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", decree).strip("-._")[:80]
    return f"{plain or 'SK'}~{digest}"


def find_status(told: Status | None, ends: datetime | None, now: datetime) -> Status | None:
    """A sanction that is shown is active until the last of its days."""
    return Status.COMPLETE if told is Status.ACTIVE and ends and ends < now else told


def _parse_sanction(found: object, context: Context) -> Row:
    cells = Cells(found, _WHAT)
    sanction = _read_sanction(cells, context)
    unit = cells.text("kd_satker") or cells.text("nama_satker") or ""
    code, year, word = cells.text("kd_klpd"), cells.year("tahun_anggaran"), _first(cells, _STATUS)
    told = STATUSES.get((word or "").casefold())
    status = find_status(told, sanction.ends, context.now)
    key = make_key(sanction.decree or "", sanction.supplier, f"{code or ''}/{unit}")
    tender = Tender(
        portal=context.portal,
        kind=Kind.NOTICE,
        key=key,
        title=f"Daftar hitam: {sanction.supplier}",
        url=context.page.replace("{key}", key),
        description=_describe(sanction),
        buyer=cells.text("nama_klpd"),
        procuring_entity=cells.text("nama_satker"),
        status=status,
        stage=word,
        fiscal_years=(year or context.year,),
        published=_find_time(cells, _PUBLISHED, context),
        sanctions=(sanction,),
        unread=_UNREAD if status else _UNREAD | {"status"},
    )
    unknown = (f"status {word}",) if word and told is None else ()
    return Row(
        tender=tender,
        years=(year,) if year else (),
        of={"kd_klpd": code} if code else {},
        fingerprint=cells.fingerprint,
        unknown=(*unknown, *cells.rest(_UNUSED)),
    )


def _read_sanction(cells: Cells, context: Context) -> Sanction:
    supplier, decree = _first(cells, _SUPPLIER), _first(cells, _DECREE)
    starts, ends = _find_time(cells, _STARTS, context), _find_time(cells, _ENDS, context)
    for period in (part for name in _PERIOD for part in cells.each(name)):
        decree = _first(period, _DECREE) if decree is None else decree
        starts = starts or _find_time(period, _STARTS, context)
        ends = _find_time(period, _ENDS, context) or ends  # a sanction that was prolonged has several
    if not supplier or not decree:
        raise ShapeError(f"a row of {_WHAT} without a supplier or the number of its SK", cells.sample)
    reasons = [text for name in _REASON if (text := cells.text(name))]
    return Sanction(
        supplier=supplier,
        decree=decree,
        reason="; ".join(dict.fromkeys(reasons)) or None,
        starts=starts,
        ends=end_of_day(ends) if ends else None,
    )


def _describe(sanction: Sanction) -> str:
    """Violation and decision, in Indonesian as the list itself."""
    reason = f"Pelanggaran: {sanction.reason}" if sanction.reason else None
    return "; ".join(filter(None, (reason, f"Nomor SK: {sanction.decree}")))


def _first(cells: Cells, names: Sequence[str]) -> str | None:
    """The first of these cells that holds something; all of them count as known."""
    return next((text for text in [cells.text(name) for name in names] if text), None)


def _find_time(cells: Cells, names: Sequence[str], context: Context) -> datetime | None:
    return next((time for time in [cells.time(name, context.zone) for name in names] if time), None)
