"""TenderUmumPublik, the open list of an LPSE's tenders of a year: rows into tenders. Pure.

The columns are Indonesian words with spaces (SOURCES section 3). The key is SPSE's own, so that the same purchase read
from SPSE and from here becomes one dossier.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from aggregator.models import Kind, Milestone, Status, Tender
from spiders.satudata.rows import Cells, Context, Page, Row, parse_array, read_rows
from spiders.spse.words import find_category, find_method

_NEEDED = ("Kode Tender", "Nama Paket", "Status_Tender", "Pagu", "HPS")
_UNUSED = frozenset(
    {
        *("Metode Pengadaan", "Metode Evaluasi", "Cara Pembayaran", "Jenis Penetapan Pemenang"),
        *("Apakah paket konsolidasi", "daftar paket konsolidasi", "Versi_spse_paket"),
        *("Jumlah Penawar", "jumlah_kirim_kualifikasi", "Jumlah Kirim Kualifikasi"),
    }
)
# "Tender status is active or closed" (LKPP's own description); the longer words as a client of the service has them.
# Active it stays when it is over, so time has a say in that; closed (ditutup) means ended before its time, as in SPSE.
STATUSES = {
    "aktif": Status.ACTIVE,
    "tender sedang berjalan": Status.ACTIVE,
    "sedang berjalan": Status.ACTIVE,
    "ditutup": Status.CANCELLED,
    "tender ditutup": Status.CANCELLED,
    "selesai": Status.COMPLETE,
    "tender selesai": Status.COMPLETE,
    "tender sudah selesai": Status.COMPLETE,
}
_UNREAD = frozenset(
    {
        *("description", "registration_deadline", "retender", "retender_reason", "cancellation_reason"),
        *("awards", "contracts", "documents", "sanctions"),
    }
)


def parse_tenders(body: bytes, context: Context) -> Page:
    """One answer. ShapeError when it is no array, or none of its rows can be read."""
    return read_rows(parse_array(body), partial(_parse_tender, context=context))


def _parse_tender(found: object, context: Context) -> Row:
    cells = Cells(found, "TenderUmumPublik", _NEEDED)
    key, zone = cells.key("Kode Tender"), context.zone
    bodies, budgets = cells.each("Instansi dan Satker"), cells.each("anggaran")
    years = tuple(sorted({year for each in budgets if (year := each.year("ang_tahun"))}))
    plans = (each.text("rup_id") for each in (*bodies, *budgets))
    milestones = tuple(_milestones(cells, context))
    word = cells.title("Status_Tender")
    status = find_status(STATUSES.get(word.casefold()), milestones, cells.count("Durasi Tender"), context.now)
    category, method = cells.text("Kategori Pekerjaan"), cells.text("Metode Pemilihan")
    deadline = next((m.ends for m in milestones if m.title == _BIDS), None)
    tender = Tender(
        portal=context.portal,
        kind=Kind.TENDER,
        key=key,
        title=cells.title("Nama Paket"),
        url=context.page.replace("{key}", key),
        buyer=_names(each.text("nama_instansi") for each in bodies),
        procuring_entity=_names(each.text("stk_nama") for each in bodies),
        category=find_category(category),
        category_detail=category,
        method=find_method(method),
        method_detail=method,
        status=status,
        stage=word,
        budget=cells.money("Pagu"),
        value=cells.money("HPS"),
        fiscal_years=years or (context.year,),
        published=cells.time("tanggal paket dibuat", zone) or cells.time("tanggal paket tayang", zone),
        deadline=deadline,
        locations=tuple(dict.fromkeys(_locations(cells))),
        plans=tuple(dict.fromkeys(plan for plan in plans if plan)),
        participants=cells.count("Jumlah Pendaftar"),
        milestones=milestones,
        unread=_UNREAD if status else _UNREAD | {"status"},
    )
    of = {"kd_lpse": cells.text("Repo id LPSE"), "lpse": cells.text("LPSE")}
    cells.get("tanggal paket tayang")
    return Row(
        tender=tender,
        years=years,
        of={name: text for name, text in of.items() if text},
        fingerprint=cells.fingerprint,
        unknown=(*unknown_words(tender, word), *cells.rest(_UNUSED)),
    )


def find_status(
    told: Status | None, milestones: tuple[Milestone, ...], days: int | None, now: datetime
) -> Status | None:
    """Active until its last stage is over: the announcement's first day and *Durasi Tender* days, or the bids' end."""
    if told is not Status.ACTIVE:
        return told
    first = next((m.starts for m in milestones if m.title == _ANNOUNCED and m.starts), None)
    over = first + timedelta(days=days + 1) if first and days is not None else None
    ends = [time for time in (over, *(m.ends for m in milestones)) if time]
    return Status.COMPLETE if ends and max(ends) < now else Status.ACTIVE


def unknown_words(tender: Tender, status_word: str | None) -> tuple[str, ...]:
    """The source's words for status, category and method that have no code here."""
    words = []
    if status_word and tender.status is None:
        words.append(f"status {status_word}")
    if tender.category_detail and tender.category is None:
        words.append(f"category {tender.category_detail}")
    if tender.method_detail and tender.method is None:
        words.append(f"method {tender.method_detail}")
    return tuple(words)


_ANNOUNCED, _BIDS = "Jadwal Pengumuman", "Jadwal Penawaran"


def _milestones(cells: Cells, context: Context) -> Iterator[Milestone]:
    """Days without a time of day: a stage ends with its last day."""
    for title, name in ((_ANNOUNCED, "jadwal_pengumuman"), (_BIDS, "jadwal_penawaran")):
        for part in cells.each(name):
            starts, ends = part.time("tanggal_mulai", context.zone), part.day_end("tanggal_akhir", context.zone)
            if starts or ends:
                yield Milestone(title=title, starts=starts, ends=ends)


def _locations(cells: Cells) -> Iterator[str]:
    """``lokasi_paket``: objects, each with the place in an object ``lokasi`` or, in the documentation, by itself."""
    for part in cells.each("lokasi_paket"):
        for place in part.each("lokasi") if part.has("lokasi") else [part]:
            town, address = place.text("kbp_nama"), place.text("pkt_lokasi")
            parts = [text for text in (address, town) if text and text != "-"]
            if not parts and (province := place.text("prp_nama")):
                parts = [province]
            if parts:
                yield " - ".join(parts)


def _names(texts: Iterator[str | None]) -> str | None:
    return "; ".join(dict.fromkeys(text for text in texts if text)) or None
