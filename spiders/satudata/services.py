"""The rows that the keyed ISB services and the gateway share: announced tenders, their values, and plans. Pure.

Columns as SOURCES section 3, the recorded plans and public descriptions of the services name them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from aggregator.models import TENDER_FIELDS, Award, Category, Contract, Kind, Milestone, Money, Status, Tender
from spiders.reading import ShapeError, fingerprint, strictly
from spiders.satudata.rows import Cells, Context, Page, Row, read_rows, with_tender
from spiders.satudata.tenders import unknown_words
from spiders.sirup.plan import find_category as find_plan_category
from spiders.spse.words import find_category, find_method

ANNOUNCED, VALUES = "SPSE-TenderPengumuman", "SPSE-TenderSelesaiNilai"
PROVIDER, SELF_MANAGED = "RUP-PaketPenyedia-Terumumkan", "RUP-PaketSwakelola-Terumumkan"
PLAN_PAGES = {
    PROVIDER: "https://sirup.inaproc.id/sirup/rup/detailPaketPenyedia2020?idPaket={key}",
    SELF_MANAGED: "https://sirup.inaproc.id/sirup/home/detailPaketSwakelolaPublic2017?idPaket={key}",
}
_IDENTITY = frozenset({"portal", "kind", "key", "url", "unread"})
_RESULTS = frozenset({"awards", "contracts"})
_STATUSES = {
    "draft": Status.PLANNED,
    "aktif": Status.ACTIVE,
    "berlangsung": Status.ACTIVE,
    "sedang berjalan": Status.ACTIVE,
    "sedang berlangsung": Status.ACTIVE,
    "selesai": Status.COMPLETE,
    "ditutup": Status.CANCELLED,
    "batal": Status.CANCELLED,
    "dibatalkan": Status.CANCELLED,
    "gagal": Status.UNSUCCESSFUL,
    "gagal/batal": Status.UNSUCCESSFUL,
}


def parse_rows(found: Sequence[object], service: str, context: Context) -> Page:
    """The rows of one service, each package once; ShapeError where none can be read."""
    if service == VALUES:
        return _parse_values(found, context)
    parse: Callable[..., Row] = {ANNOUNCED: _parse_announced}.get(service, partial(_parse_plan, service=service))
    return read_rows(found, partial(parse, context=context))


# Tenders ---------------------------------------------------------------------------------------------

_ANNOUNCED_UNUSED = frozenset(
    {
        *("jenis_klpd", "kd_satker", "kd_satker_str", "kd_pkt_dce", "kontrak_pembayaran", "kualifikasi_paket"),
        *("mtd_evaluasi", "mtd_kualifikasi", "sumber_dana", "tanggal_status", "tgl_kolektif_kolegial"),
        *("tgl_pengumuman_tender", "url_lpse"),
    }
)
_ANNOUNCED_UNREAD = frozenset(
    {
        *("description", "registration_deadline", "deadline", "milestones", "participants"),
        *("awards", "contracts", "documents", "sanctions"),
    }
)


def _parse_announced(found: object, context: Context) -> Row:
    cells = Cells(found, ANNOUNCED, ("kd_tender", "nama_paket", "status_tender", "pagu", "hps"))
    key, word = cells.key("kd_tender"), cells.title("status_tender")
    status = _STATUSES.get(word.casefold())
    category, method = cells.text("jenis_pengadaan"), cells.text("mtd_pemilihan")
    years = _years(cells, "tahun_anggaran", "list_tahun_anggaran")
    version = cells.count("versi_tender")
    again, ended, place = cells.text("ket_diulang"), cells.text("ket_ditutup"), cells.text("lokasi_pekerjaan")
    tender = Tender(
        portal=context.portal,
        kind=Kind.TENDER,
        key=key,
        title=cells.title("nama_paket"),
        url=context.page.replace("{key}", key),
        buyer=cells.text("nama_klpd"),
        procuring_entity=cells.text("nama_satker"),
        category=find_category(category),
        category_detail=category,
        method=find_method(method),
        method_detail=method,
        status=status,
        stage=word,
        budget=cells.money("pagu"),
        value=cells.money("hps"),
        fiscal_years=years or (context.year,),
        published=cells.time("tgl_buat_paket", context.zone),
        locations=(place,) if place else (),
        plans=_plans(cells.text("kd_rup")),
        retender=bool(again) or bool(version and version > 1),
        retender_reason=again,
        cancellation_reason=ended,
        unread=_ANNOUNCED_UNREAD if status else _ANNOUNCED_UNREAD | {"status"},
    )
    of = _owner(cells)
    cells.get("nama_lpse")
    unknown = (*unknown_words(tender, word), *cells.rest(_ANNOUNCED_UNUSED))
    return Row(tender=tender, years=years, of=of, fingerprint=cells.fingerprint, unknown=unknown)


_VALUES_UNUSED = frozenset(
    {
        *("jenis_klpd", "kd_satker", "kd_satker_str", "kd_paket", "kd_pkt_dce", "kd_penyedia", "psr_id"),
        *("nilai_pdn_kontrak", "nilai_umk_kontrak", "tgl_pengumuman_tender", "nama_lpse", "mak"),
    }
)
_VALUES_READ = _RESULTS | {"buyer", "procuring_entity", "budget", "value", "fiscal_years", "plans"}


def _parse_values(found: Sequence[object], context: Context) -> Page:
    """A tender may have several winners, a row each. Its name is not told, so its number stands for the title."""
    groups: dict[str, list[Cells]] = defaultdict(list)
    wrong: list[ShapeError] = []
    twice: list[str] = []
    for each in found:
        try:
            with strictly("a row"):
                cells = Cells(each, VALUES, ("kd_tender", "nama_penyedia", "nilai_kontrak"))
                rows = groups[cells.key("kd_tender")]
        except ShapeError as error:
            wrong.append(error)
            continue
        if any(row.fingerprint == cells.fingerprint for row in rows):
            twice.append(cells.key("kd_tender"))
        else:
            rows.append(cells)
    page = read_rows(groups.items(), partial(_parse_winners, context=context)) if groups else Page(())
    if wrong and not page.rows:
        raise wrong[0]
    return Page(page.rows, (*wrong, *page.wrong), tuple(twice))


def _parse_winners(found: object, context: Context) -> Row:
    if not isinstance(found, tuple):
        raise ShapeError("winners that are no group", found)
    key, group = found
    first: Cells = group[0]
    years = _years(first, "tahun_anggaran")
    tender = Tender(
        portal=context.portal,
        kind=Kind.TENDER,
        key=key,
        title=key,
        url=context.page.replace("{key}", key),
        buyer=first.text("nama_klpd"),
        procuring_entity=first.text("nama_satker"),
        budget=first.money("pagu"),
        value=first.money("hps"),
        fiscal_years=years or (context.year,),
        plans=_plans(first.text("kd_rup_paket") or first.text("kd_rup")),
        awards=tuple(award for cells in group if (award := _award(cells, context))),
        contracts=tuple(contract for cells in group if (contract := _contract(cells))),
        unread=frozenset(TENDER_FIELDS) - _IDENTITY - _VALUES_READ - {"incomplete"},
    )
    of = _owner(first)
    unknown = dict.fromkeys(word for cells in group for word in _unknown_values(cells))
    told = fingerprint(cells.fingerprint.hex() for cells in group)
    return Row(tender=tender, years=years, of=of, fingerprint=told, unknown=tuple(unknown))


def _unknown_values(cells: Cells) -> tuple[str, ...]:
    asked = ("nama_klpd", "nama_satker", "pagu", "hps", "kd_rup_paket", "kd_rup", "kd_lpse", "kd_klpd")
    return cells.rest(_VALUES_UNUSED | {*asked, "tahun_anggaran", "kd_tender"})


def _award(cells: Cells, context: Context) -> Award | None:
    """The negotiated price, else the corrected, else the bid; 0 stands for none."""
    prices = [_price(cells, name) for name in ("nilai_negosiasi", "nilai_terkoreksi", "nilai_penawaran")]
    supplier, date = cells.text("nama_penyedia"), cells.time("tgl_penetapan_pemenang", context.zone)
    amount = next((price for price in prices if price), None)
    return Award(supplier=supplier, amount=amount, date=date) if supplier or amount else None


def _contract(cells: Cells) -> Contract | None:
    amount = _price(cells, "nilai_kontrak")
    return Contract(supplier=cells.text("nama_penyedia"), amount=amount) if amount else None


def _price(cells: Cells, name: str) -> Money | None:
    money = cells.money(name)
    return money if money and money.amount > 0 else None


def merge_values(row: Row, values: Row | None) -> Row:
    """An announced tender with its winners. None: there are none yet, which is known, too."""
    awards, contracts = (values.tender.awards, values.tender.contracts) if values else ((), ())
    tender = replace(row.tender, awards=awards, contracts=contracts, unread=row.tender.unread - _RESULTS)
    return with_tender(row, tender, values.fingerprint if values else b"", values.unknown if values else ())


# Plans -----------------------------------------------------------------------------------------------

_PLAN_UNUSED = frozenset(
    {
        *("jenis_klpd", "kd_satker", "kd_satker_str", "kd_rup_lokal", "volume_pekerjaan", "tgl_buat_paket"),
        *("kd_klpd_penyelenggara", "nama_klpd_penyelenggara", "nama_satker_penyelenggara", "tipe_swakelola"),
        *("spesifikasi_pekerjaan", "kd_jenis_pengadaan", "kd_metode_pengadaan", "kd_rup_swakelola", "tipe_paket"),
        *("status_pdn", "status_ukm", "status_pradipa", "status_konsolidasi", "status_dikecualikan"),
        *("alasan_non_ukm", "alasan_dikecualikan", "kode_rup_tahun_pertama", "tahun_pertama", "nomor_kontrak"),
        *("spp_aspek_ekonomi", "spp_aspek_sosial", "spp_aspek_lingkungan"),
    }
)
_SCHEDULES = (  # the titles are those of SiRUP's own page of a plan
    ("Jadwal Pemilihan Penyedia", "tgl_awal_pemilihan", "tgl_akhir_pemilihan"),
    ("Jadwal Pelaksanaan Kontrak", "tgl_awal_kontrak", "tgl_akhir_kontrak"),
    ("Jadwal Pelaksanaan Kontrak", "tgl_awal_pelaksanaan_kontrak", "tgl_akhir_pelaksanaan_kontrak"),
    ("Pemanfaatan Barang/Jasa", "tgl_awal_pemanfaatan", "tgl_akhir_pemanfaatan"),
)
_PLAN_STATES = frozenset({"terumumkan", "terinisiasi", "sudah", "belum"})


def _parse_plan(found: object, service: str, context: Context) -> Row:
    cells = Cells(found, service, ("kd_rup", "nama_paket", "pagu", "nama_klpd", "tahun_anggaran"))
    key, self_managed = cells.key("kd_rup"), service == SELF_MANAGED
    word = cells.text("status_umumkan_rup")
    category = None if self_managed else _parts(cells.text("jenis_pengadaan"), ",")
    method = "Swakelola" if self_managed else cells.text("metode_pengadaan")
    gone = cells.flag("status_delete_rup") or cells.flag("status_aktif_rup") is False
    years = _years(cells, "tahun_anggaran")
    tender = Tender(
        portal=context.portal,
        kind=Kind.PLAN,
        key=key,
        title=cells.title("nama_paket"),
        url=context.page.replace("{key}", key),
        # "urarian" is how the providers' service writes it
        description=_parts(cells.text("uraian_pekerjaan") or cells.text("urarian_pekerjaan"), ";"),
        buyer=cells.text("nama_klpd"),
        procuring_entity=cells.text("nama_satker"),
        category=find_plan_category(category),
        category_detail=category,
        method=find_method(method),
        method_detail=method,
        status=Status.CANCELLED if gone else Status.PLANNED,
        stage="Tidak aktif" if gone else word,
        budget=cells.money("pagu"),
        fiscal_years=years or (context.year,),
        published=cells.time("tgl_pengumuman_paket", context.zone),
        plans=(key,),
        milestones=tuple(_schedule(cells, context)),
        unread=frozenset({"locations", "sanctions", *(("category", "category_detail") if self_managed else ())}),
    )
    of = _owner(cells)
    unknown = list(cells.rest(_PLAN_UNUSED | {"uraian_pekerjaan", "urarian_pekerjaan", "status_aktif_rup"}))
    if word and word.casefold() not in _PLAN_STATES:
        unknown.append(f"status {word}")
    if not self_managed:
        unknown += _unknown_plan_words(tender)
    return Row(tender=tender, years=years, of=of, fingerprint=cells.fingerprint, unknown=tuple(unknown))


def _unknown_plan_words(tender: Tender) -> Iterator[str]:
    for word in (tender.category_detail or "").split(", "):
        category: Category | None = find_plan_category(word)
        if word and category is None and word != "Terintegrasi":
            yield f"category {word}"
    if tender.method_detail and tender.method is None:
        yield f"method {tender.method_detail}"


def _schedule(cells: Cells, context: Context) -> Iterator[Milestone]:
    for title, first, last in _SCHEDULES:
        starts, ends = cells.time(first, context.zone), cells.month_end(last, context.zone)
        if starts or ends:
            yield Milestone(title=title, starts=starts, ends=ends)


# Cells -----------------------------------------------------------------------------------------------


def _owner(cells: Cells) -> dict[str, str]:
    told = {name: cells.text(name) for name in ("kd_lpse", "kd_klpd")}
    return {name: text for name, text in told.items() if text}


def _years(cells: Cells, *names: str) -> tuple[int, ...]:
    """The fiscal years in these cells: a number, or a text with several."""
    found: set[int] = set()
    for name in names:
        found |= {int(year) for year in re.findall(r"\b20\d{2}\b", cells.text(name) or "")}
    return tuple(sorted(found))


def _plans(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"\d+", text or "")))


def _parts(text: str | None, separator: str) -> str | None:
    """``Barang, Jasa;`` lists end in their separator and repeat themselves: each part once."""
    parts: Iterable[str] = (part.strip() for part in (text or "").split(separator))
    return f"{separator} ".join(dict.fromkeys(part for part in parts if part not in {"", "-"})) or None
