"""Made-up tenders by number, the same at every run: titles, units and amounts as LPSE of East Java have them. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from zoneinfo import ZoneInfo

from aggregator.models import (
    Award,
    Category,
    Contract,
    Kind,
    Method,
    Milestone,
    Money,
    Reading,
    Status,
    Tender,
)

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Jakarta")
BLOCK = 1_000  # tenders that one run reads: a list of one portal, over YEARS, oldest first
YEARS = timedelta(days=3_650)
OPEN = timedelta(days=45)  # since when those are published that are still open
FIRST_RUN = NOW - timedelta(days=200)
RUN_EVERY = timedelta(hours=4)  # so that a thousand runs lie between the first and now

# Words of titles by how many have them, whatever the size; RARE_WORD stands in the oldest of every hundredth block.
COMMON_WORD = "jalan"
RARE_WORD = "kolonial"
_SELDOM = 97_001  # each so manieth tender has the word that few have, whenever published
SELDOM_WORD = "suhat"

PORTALS = (
    *("malangkota", "malangkab", "batukota", "blitarkota", "blitarkab", "kedirikota", "kedirikab", "surabaya"),
    *("sidoarjo", "gresik", "pasuruankota", "pasuruankab", "probolinggo", "lumajang", "jember", "banyuwangi"),
    *("tulungagung", "trenggalek", "ponorogo", "madiun"),
)
_UNITS = tuple(
    f"{kind} {of}"
    for kind, every in {
        "Dinas": (
            *("Kesehatan", "Pendidikan dan Kebudayaan", "Perhubungan", "Sosial", "Lingkungan Hidup", "Pertanian"),
            *("Pekerjaan Umum dan Penataan Ruang", "Perumahan Rakyat", "Komunikasi dan Informatika", "Pariwisata"),
            *("Perpustakaan dan Arsip", "Kependudukan", "Tenaga Kerja", "Koperasi dan Perdagangan", "Peternakan"),
        ),
        "Badan": (
            *("Pendapatan Daerah", "Kepegawaian", "Penanggulangan Bencana", "Perencanaan Pembangunan"),
            *("Keuangan dan Aset", "Kesatuan Bangsa", "Riset dan Inovasi"),
        ),
        "Bagian": ("Umum", "Hukum", "Organisasi", "Pengadaan Barang dan Jasa", "Kesejahteraan Rakyat"),
        "Kecamatan": (
            *("Klojen", "Blimbing", "Lowokwaru", "Sukun", "Kedungkandang", "Kepanjen", "Singosari", "Lawang", "Turen"),
            *("Dampit", "Bumiaji", "Junrejo"),
        ),
        "RSUD": ("Dr. Soetomo", "Saiful Anwar", "Kanjuruhan", "Karsa Husada", "Ngudi Waluyo", "Gambiran"),
    }.items()
    for of in every
)
_WORKS = ("Pembangunan", "Rehabilitasi", "Pemeliharaan Berkala", "Peningkatan", "Rekonstruksi")
_THINGS = ("Jalan", "Saluran Drainase", "Gedung Sekolah", "Jembatan", "Puskesmas", "Trotoar", "Talud", "Pasar")
_SUPPLIES = ("Obat", "Alat Kesehatan", "Komputer", "Meubelair", "Bibit Padi", "Seragam", "Kendaraan Operasional")
_SERVICES = ("Kebersihan", "Keamanan", "Sewa Kendaraan", "Jasa Boga", "Pemeliharaan Aplikasi")
_STUDIES = ("Perencanaan Teknis", "Pengawasan", "Kajian", "Penyusunan Dokumen")
_VILLAGES = tuple(
    first + last
    for first, last in product(
        ("Sumber", "Karang", "Kebon", "Tanjung", "Banjar", "Wono", "Giri", "Mojo", "Purwo", "Kali", "Gading", "Jati"),
        ("rejo", "sari", "agung", "ploso", "lor", "kidul", "wangi", "tirto", "mulyo", "anyar", "gebang", "asri"),
    )
)
_STREETS = ("Soekarno Hatta", "Veteran", "Kawi", "Ahmad Yani", "Panglima Sudirman", "Gajayana", "Trunojoyo", "Muharto")
_FIRMS = ("CV Karya", "PT Bangun", "CV Tirta", "PT Cipta", "CV Mitra", "UD Sumber")
_STAGES = ("Pengumuman Pascakualifikasi", "Upload Dokumen Penawaran", "Pembuktian Kualifikasi", "Penetapan Pemenang")


def make_reading(number: int) -> Reading:
    """Tender ``number`` (from 0) as its portal tells it."""
    tender = make_tender(number)
    return Reading(tender=tender, row=number.to_bytes(8, "big"), schedule_read=True)


def make_changed(number: int, times: int = 1) -> Reading:
    """The same after one of its milestones was moved for the ``times``-th time: its deadline is another one."""
    reading = make_reading(number)
    tender, by = reading.tender, timedelta(days=times)
    moved = tuple(replace(each, ends=each.ends and each.ends + by, changes=times) for each in tender.milestones)
    changed = replace(tender, deadline=tender.deadline and tender.deadline + by, milestones=moved)
    return replace(reading, tender=changed, row=(number + times * 2**40).to_bytes(8, "big"))


def find_run(number: int) -> datetime:
    """The time of the run that reads tender ``number`` first."""
    return FIRST_RUN + (number // BLOCK) * RUN_EVERY


def make_tender(number: int) -> Tender:
    dice = Random(number)  # noqa: S311 - no secret
    block, place = divmod(number, BLOCK)
    portal = PORTALS[block % len(PORTALS)]
    published = (NOW - YEARS * (1 - (place + dice.random()) / BLOCK)).replace(microsecond=0).astimezone(ZONE)
    category = dice.choice((Category.GOODS, Category.WORKS, Category.WORKS, Category.SERVICES, Category.CONSULTING))
    kind = Kind.TENDER if dice.random() < 0.6 else Kind.NON_TENDER
    is_open = published > NOW - OPEN
    value = Decimal(dice.randrange(50_000_000, 20_000_000_000))
    deadline = published + (OPEN + timedelta(days=dice.randrange(30)) if is_open else timedelta(days=14))
    winner = f"{dice.choice(_FIRMS)} {dice.choice(_VILLAGES)}"
    won = () if is_open else (Award(supplier=winner, amount=Money(value * 9 // 10)),)
    open_words = {Kind.TENDER: ("Tender", "lelang"), Kind.NON_TENDER: ("Pengadaan Langsung", "nontender")}
    method, address = open_words[kind]
    key = f"{10_000_000 + number}000"
    return Tender(
        portal=portal,
        kind=kind,
        key=key,
        title=_make_title(number, category, dice),
        url=f"https://spse.example.go.id/{portal}/{address}/{key}/pengumuman",
        buyer=f"Pemerintah {portal.capitalize()}",
        procuring_entity=dice.choice(_UNITS),
        category=category,
        category_detail=category.value,
        method=Method.OPEN if kind is Kind.TENDER else Method.DIRECT,
        method_detail=method,
        status=Status.ACTIVE if is_open else Status.CANCELLED if dice.random() < 0.05 else Status.COMPLETE,
        stage=dice.choice(_STAGES[:2]) if is_open else "Tender Sudah Selesai",
        budget=Money(value + value // 50),
        value=Money(value),
        fiscal_years=(published.year,),
        published=published,
        deadline=deadline,
        locations=(f"Desa {dice.choice(_VILLAGES)} - {portal.capitalize()}",),
        plans=(f"{50_000_000 + number}",),
        participants=dice.randrange(60),
        milestones=tuple(
            Milestone(title=title, starts=published + timedelta(days=day), ends=published + timedelta(days=day + 4))
            for day, title in enumerate(_STAGES)
        ),
        awards=won,
        contracts=tuple(
            Contract(supplier=each.supplier, amount=each.amount, date=published + timedelta(days=30)) for each in won
        ),
    )


def _make_title(number: int, category: Category, dice: Random) -> str:
    village = _VILLAGES[int(len(_VILLAGES) * dice.random() ** 3)]  # a few are often told of, most seldom
    where = f"Jalan {dice.choice(_STREETS)} Desa {village}" if dice.random() < 0.2 else f"Desa {village}"
    what = {
        Category.WORKS: f"{dice.choice(_WORKS)} {dice.choice(_THINGS)}",
        Category.GOODS: f"Belanja {dice.choice(_SUPPLIES)}",
        Category.SERVICES: f"Jasa {dice.choice(_SERVICES)}",
        Category.CONSULTING: f"Jasa Konsultansi {dice.choice(_STUDIES)} {dice.choice(_THINGS)}",
    }[category]
    rare = f" Bangunan {RARE_WORD.capitalize()}" if number % (100 * BLOCK) < 5 else ""
    seldom = f" Jembatan {SELDOM_WORD.capitalize()}" if number % _SELDOM == 500 else ""
    return f"{what} {where}{rare}{seldom} Paket {1 + number % 40}"


def render_config(database: str, *, english: bool = False) -> str:
    """warta.toml of a bureau that reads all PORTALS."""
    portals = "".join(
        f'[[portal]]\nid = "{name}"\nfamily = "spse"\nname = "LPSE {name.capitalize()}"\n'
        f'url = "https://spse.example.go.id/{name}"\n'
        for name in PORTALS
    )
    return f"""\
[publisher]
name = "Pengukuran"
url = "https://umpan.example.go.id/"
authority = "umpan.example.go.id"
since = "2026-01-01"
[database]
url = "{database}"
[publish]
english = {str(english).lower()}
{portals}"""
