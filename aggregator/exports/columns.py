"""The columns of CSV, XLSX and Parquet, all in one place: name, type, headings, what each means. Pure.

One row a tender; what it has several of is a list or counted and summed up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from operator import attrgetter
from typing import Any, Literal
from zoneinfo import ZoneInfo

from aggregator.models import Award, Money, Record
from aggregator.texts import clean

Language = Literal["id", "en"]
Row = list[Any]  # a value for each column
Write = Callable[[Sequence[Row]], None]  # adds rows to a file

ROWS = 500  # read, then written, at a time


class Type(StrEnum):
    """What the values of a column are; any of them may be missing."""

    TEXT = "text"
    TEXTS = "list of texts"
    YEARS = "list of whole numbers"
    COUNT = "whole number"
    AMOUNT = "amount"  # exact decimal; its currency stands in the next column
    TIME = "time"  # aware
    FLAG = "true or false"


# How a data dictionary names them to Indonesian readers.
TYPES_ID: Mapping[Type, str] = {
    Type.TEXT: "teks",
    Type.TEXTS: "daftar teks",
    Type.YEARS: "daftar bilangan bulat",
    Type.COUNT: "bilangan bulat",
    Type.AMOUNT: "jumlah uang",
    Type.TIME: "waktu",
    Type.FLAG: "true atau false",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``name`` never changes. ``english`` and ``indonesian`` are headings, ``meaning`` and ``arti`` what
    they stand for in a data dictionary; ``unit`` is what numbers count, empty where they have none."""

    name: str
    type: Type
    english: str
    indonesian: str
    meaning: str
    arti: str
    read: Callable[[Record], Any] = field(repr=False)
    unit: str = ""

    def heading(self, language: Language | None) -> str:
        """As readers see it; without a language the name itself."""
        return {"en": self.english, "id": self.indonesian}[language] if language else self.name


@dataclass(frozen=True, slots=True)
class Clocks:
    """In which zone each portal tells its times; ``otherwise`` of one that is not known any more."""

    by_portal: Mapping[str, ZoneInfo]
    otherwise: ZoneInfo

    def zone(self, record: Record) -> ZoneInfo:
        return self.by_portal.get(record.tender.portal, self.otherwise)


def read_row(record: Record, clocks: Clocks) -> Row:
    """The values of COLUMNS: str, int, Decimal, bool, datetime in the portal's zone, tuples of str or int, None.

    Texts are clean and not blank.
    """
    zone = clocks.zone(record)
    row = [read(record) for read in _READ]
    for place in _TEXTS:
        if row[place] is not None:
            row[place] = _settle(row[place])
    for place in _LISTS:
        if row[place]:
            row[place] = tuple(text for text in map(clean, row[place]) if text.strip())
    for place in _TIMES:
        if row[place] is not None:
            row[place] = _localize(row[place], zone)
    row[-1] = zone.key
    return row


def read_rows(records: Iterable[Record], clocks: Clocks) -> Iterator[list[Row]]:
    """The rows of ``records``, some hundred at a time."""
    left = iter(records)
    while rows := [read_row(record, clocks) for record in islice(left, ROWS)]:
        yield rows


def sum_up(results: Sequence[Award]) -> Money | None:
    """What ``results`` amount to; None where one tells no amount, or where they are in several currencies."""
    amounts = [each.amount for each in results]
    known = [amount for amount in amounts if amount is not None]
    if not known or len(known) < len(amounts) or len({amount.currency for amount in known}) > 1:
        return None
    return Money(sum((amount.amount for amount in known), Decimal(0)), known[0].currency)


def _settle(text: str) -> str | None:
    text = clean(str(text))  # a word of the model is more than its text
    return text if text.strip() else None


def _localize(time: datetime, zone: ZoneInfo) -> datetime:
    try:
        return time.astimezone(zone)
    except OverflowError:  # the first or last day that there is
        return time


def _part(record: Record, name: str, part: str) -> Any:
    money: Money | None = getattr(record.tender, name)
    return getattr(money, part) if money else None


def _sum(results: Sequence[Award], part: str) -> Any:
    money = sum_up(results) if results else None
    return getattr(money, part) if money else None


def _suppliers(results: Sequence[Award]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.supplier for each in results if each.supplier)) if results else ()


def _first_date(results: Sequence[Award]) -> datetime | None:
    return min((each.date for each in results if each.date), default=None) if results else None


def _sources(record: Record) -> tuple[str, ...]:
    told = record.sources or (record.tender,)
    return tuple(f"{each.portal}/{each.kind}/{each.key}" for each in told)


def _told(name: str) -> Callable[[Record], Any]:
    return attrgetter(f"tender.{name}")


_CURRENCY = ("its currency, ISO 4217", "mata uangnya, ISO 4217")

COLUMNS: tuple[Column, ...] = (
    Column(
        *("portal", Type.TEXT, "Portal", "Portal"),
        "The portal's id in the publisher's configuration; of several sources the one that was first.",
        "Id portal dalam konfigurasi penerbit; dari beberapa sumber, yang pertama.",
        _told("portal"),
    ),
    Column(
        *("kind", Type.TEXT, "Kind", "Jenis paket"),
        "tender, non_tender, recorded (pencatatan), self_managed (swakelola), emergency (darurat), plan (RUP), "
        "notice (pengumuman) or news (berita); with portal and key the identity.",
        "tender, non_tender, recorded (pencatatan), self_managed (swakelola), emergency (darurat), plan (RUP), "
        "notice (pengumuman) atau news (berita); bersama portal dan key menjadi identitas.",
        _told("kind"),
    ),
    Column(
        *("key", Type.TEXT, "Package code", "Kode paket"),
        "The source's own number or name of the package; a text, since it may begin with 0.",
        "Nomor atau nama paket pada sumbernya; berupa teks karena dapat berawalan 0.",
        _told("key"),
    ),
    Column(*("title", Type.TEXT, "Title", "Nama paket"), "As the source has it.", "Sesuai sumbernya.", _told("title")),
    Column(
        *("description", Type.TEXT, "Description", "Uraian"),
        "As the source has it, where it tells more than a title.",
        "Sesuai sumbernya, bila ada selain nama paket.",
        _told("description"),
    ),
    Column(
        *("buyer", Type.TEXT, "Institution", "Instansi"),
        "Whose budget it is (K/L/PD).",
        "Pemilik anggaran (K/L/PD).",
        _told("buyer"),
    ),
    Column(
        *("procuring_entity", Type.TEXT, "Work unit", "Satuan kerja"),
        "The unit that buys.",
        "Satuan kerja yang mengadakan.",
        _told("procuring_entity"),
    ),
    Column(
        *("category", Type.TEXT, "Category", "Kategori"),
        "goods, works, services or consulting.",
        "goods (barang), works (pekerjaan konstruksi), services (jasa lainnya) atau consulting (jasa konsultansi).",
        _told("category"),
    ),
    Column(
        *("category_detail", Type.TEXT, "Category in the source's words", "Jenis pengadaan"),
        "The source's own words for the category.",
        "Kategori menurut kata-kata sumbernya.",
        _told("category_detail"),
    ),
    Column(
        *("method", Type.TEXT, "Method", "Cara pemilihan"),
        "open, selective, limited or direct, as OCDS has them.",
        "open, selective, limited atau direct, sesuai OCDS.",
        _told("method"),
    ),
    Column(
        *("method_detail", Type.TEXT, "Method in the source's words", "Metode pengadaan"),
        "The source's own words for the method.",
        "Metode menurut kata-kata sumbernya.",
        _told("method_detail"),
    ),
    Column(
        *("status", Type.TEXT, "Status", "Status"),
        "planned, active, complete, cancelled, unsuccessful or withdrawn (no longer on the portal).",
        "planned (direncanakan), active (berjalan), complete (selesai), cancelled (batal), unsuccessful (gagal) atau "
        "withdrawn (tidak ada lagi di portal).",
        _told("status"),
    ),
    Column(
        *("stage", Type.TEXT, "Stage", "Tahap"),
        "The source's own words for where the package stands.",
        "Tahap paket menurut kata-kata sumbernya.",
        _told("stage"),
    ),
    Column(
        *("budget_amount", Type.AMOUNT, "Budget", "Pagu"),
        "The budget (pagu).",
        "Pagu anggaran.",
        lambda record: _part(record, "budget", "amount"),
        unit="budget_currency",
    ),
    Column(
        *("budget_currency", Type.TEXT, "Currency of the budget", "Mata uang pagu"),
        *_CURRENCY,
        lambda record: _part(record, "budget", "currency"),
    ),
    Column(
        *("value_amount", Type.AMOUNT, "Owner's estimate", "HPS"),
        "The owner's own estimate (HPS).",
        "Harga perkiraan sendiri (HPS).",
        lambda record: _part(record, "value", "amount"),
        unit="value_currency",
    ),
    Column(
        *("value_currency", Type.TEXT, "Currency of the estimate", "Mata uang HPS"),
        *_CURRENCY,
        lambda record: _part(record, "value", "currency"),
    ),
    Column(
        *("fiscal_years", Type.YEARS, "Budget years", "Tahun anggaran"),
        "The years whose budgets pay for it.",
        "Tahun anggaran yang membiayai.",
        _told("fiscal_years"),
        unit="year",
    ),
    Column(
        *("published", Type.TIME, "Published", "Tayang"),
        "When the source says that the package was made.",
        "Tanggal pembuatan menurut sumbernya.",
        _told("published"),
    ),
    Column(
        *("registration_deadline", Type.TIME, "Registration closes", "Akhir pendaftaran"),
        "Until when one can register.",
        "Batas akhir pendaftaran.",
        _told("registration_deadline"),
    ),
    Column(
        *("deadline", Type.TIME, "Bids close", "Batas akhir penawaran"),
        "Until when bids are taken.",
        "Batas akhir pemasukan penawaran.",
        _told("deadline"),
    ),
    Column(
        *("locations", Type.TEXTS, "Places of work", "Lokasi pekerjaan"),
        "Where the work is done, as the source words it.",
        "Tempat pekerjaan menurut sumbernya.",
        _told("locations"),
    ),
    Column(
        *("plans", Type.TEXTS, "Plan codes", "Kode RUP"),
        "The plans (RUP) that the package names.",
        "Kode RUP yang disebut paket.",
        _told("plans"),
    ),
    Column(
        *("retender", Type.FLAG, "Retender", "Tender ulang"),
        "Whether it is announced once more.",
        "Apakah diumumkan ulang.",
        _told("retender"),
    ),
    Column(
        *("retender_reason", Type.TEXT, "Reason of the retender", "Alasan tender ulang"),
        "As the source words it.",
        "Sesuai sumbernya.",
        _told("retender_reason"),
    ),
    Column(
        *("cancellation_reason", Type.TEXT, "Reason of the cancellation", "Alasan pembatalan"),
        "As the source words it.",
        "Sesuai sumbernya.",
        _told("cancellation_reason"),
    ),
    Column(
        *("participants", Type.COUNT, "Participants", "Peserta"),
        "How many registered; missing is not 0.",
        "Banyaknya peserta terdaftar; kosong bukan 0.",
        _told("participants"),
        unit="suppliers",
    ),
    Column(
        *("milestone_count", Type.COUNT, "Stages of the schedule", "Banyaknya tahap jadwal"),
        "How many rows the schedule has; JSON Lines and OCDS tell each.",
        "Banyaknya baris jadwal; JSON Lines dan OCDS memuat tiap baris.",
        lambda record: len(record.tender.milestones),
        unit="stages",
    ),
    Column(
        *("award_count", Type.COUNT, "Winners", "Banyaknya pemenang"),
        "How many awards the source tells; JSON Lines and OCDS tell each.",
        "Banyaknya penetapan pemenang; JSON Lines dan OCDS memuat tiap pemenang.",
        lambda record: len(record.tender.awards),
        unit="awards",
    ),
    Column(
        *("award_suppliers", Type.TEXTS, "Winners' names", "Pemenang"),
        "Each named winner once, in the source's order.",
        "Nama tiap pemenang, sesuai urutan sumbernya.",
        lambda record: _suppliers(record.tender.awards),
    ),
    Column(
        *("award_amount", Type.AMOUNT, "Awarded", "Nilai pemenang"),
        "The sum of all awards: each the negotiated price, else the corrected, else the bid. Missing where one of "
        "them is not told, or where they are in several currencies.",
        "Jumlah semua penetapan: harga negosiasi, atau terkoreksi, atau penawaran. Kosong bila salah satunya tidak "
        "diketahui atau mata uangnya berbeda-beda.",
        lambda record: _sum(record.tender.awards, "amount"),
        unit="award_currency",
    ),
    Column(
        *("award_currency", Type.TEXT, "Currency of the awards", "Mata uang pemenang"),
        *_CURRENCY,
        lambda record: _sum(record.tender.awards, "currency"),
    ),
    Column(
        *("award_date", Type.TIME, "First award", "Tanggal pemenang"),
        "The earliest date of an award.",
        "Tanggal penetapan pemenang yang paling awal.",
        lambda record: _first_date(record.tender.awards),
    ),
    Column(
        *("contract_count", Type.COUNT, "Contracts", "Banyaknya kontrak"),
        "How many contracts, or realisations of a recorded purchase, the source tells.",
        "Banyaknya kontrak, atau realisasi paket pencatatan.",
        lambda record: len(record.tender.contracts),
        unit="contracts",
    ),
    Column(
        *("contract_suppliers", Type.TEXTS, "Contractors", "Penyedia berkontrak"),
        "Each named contractor once, in the source's order.",
        "Nama tiap penyedia berkontrak, sesuai urutan sumbernya.",
        lambda record: _suppliers(record.tender.contracts),
    ),
    Column(
        *("contract_amount", Type.AMOUNT, "Contracted", "Nilai kontrak"),
        "The sum of all contracts; missing as award_amount is.",
        "Jumlah semua kontrak; kosong seperti award_amount.",
        lambda record: _sum(record.tender.contracts, "amount"),
        unit="contract_currency",
    ),
    Column(
        *("contract_currency", Type.TEXT, "Currency of the contracts", "Mata uang kontrak"),
        *_CURRENCY,
        lambda record: _sum(record.tender.contracts, "currency"),
    ),
    Column(
        *("contract_date", Type.TIME, "First contract", "Tanggal kontrak"),
        "The earliest date of a contract.",
        "Tanggal kontrak yang paling awal.",
        lambda record: _first_date(record.tender.contracts),
    ),
    Column(
        *("document_count", Type.COUNT, "Documents", "Banyaknya dokumen"),
        "How many files the source offers.",
        "Banyaknya berkas pada sumbernya.",
        lambda record: len(record.tender.documents),
        unit="files",
    ),
    Column(
        *("incomplete", Type.FLAG, "Incomplete", "Belum lengkap"),
        "Whether a page that should tell more could not be had so far.",
        "Apakah halaman rinciannya belum dapat dibaca.",
        _told("incomplete"),
    ),
    Column(
        *("url", Type.TEXT, "Official page", "Halaman resmi"),
        "The source's page of the package.",
        "Halaman paket pada sumbernya.",
        _told("url"),
    ),
    Column(
        *("sources", Type.TEXTS, "Sources", "Sumber"),
        "portal/kind/key of each source that tells of this purchase, the most authoritative first.",
        "portal/kind/key tiap sumber yang memuat pengadaan ini, yang paling berwenang lebih dahulu.",
        _sources,
    ),
    Column(
        *("first_seen", Type.TIME, "First seen", "Pertama terbaca"),
        "When it was read first.",
        "Kapan pertama kali terbaca.",
        lambda record: record.first_seen,
    ),
    Column(
        *("last_seen", Type.TIME, "Last seen", "Terakhir terbaca"),
        "When it last stood on its portal.",
        "Kapan terakhir kali ada di portalnya.",
        lambda record: record.last_seen,
    ),
    Column(
        *("changed", Type.TIME, "Changed", "Terakhir berubah"),
        "When what it says last changed.",
        "Kapan isinya terakhir kali berubah.",
        lambda record: record.changed,
    ),
    Column(
        *("timezone", Type.TEXT, "Time zone", "Zona waktu"),
        "The portal's time zone, in which CSV and XLSX tell all times of this row; Parquet has UTC.",
        "Zona waktu portal; semua waktu pada baris ini di CSV dan XLSX memakai zona tersebut, Parquet memakai UTC.",
        lambda record: None,  # read_row knows it
    ),
)

_READ = [column.read for column in COLUMNS]
_TEXTS, _LISTS, _TIMES = (
    [place for place, column in enumerate(COLUMNS) if column.type is type_]
    for type_ in (Type.TEXT, Type.TEXTS, Type.TIME)
)
