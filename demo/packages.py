"""One made-up package, and what its portal would tell of it at a given moment: pure, from few stored facts.

Schedules, bidders, prices and realisations are made from the package's own seed when they are asked for, so
that a world of 100,000 packages stays small.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from demo.names import CONSULTING, FIRM_FIRST, FIRM_FORMS, FIRM_LAST, PEOPLE, make_dice

TENDER, NON_TENDER, RECORDED, SELF_MANAGED, EMERGENCY = KINDS = (
    "tender",
    "non_tender",
    "recorded",
    "self_managed",
    "emergency",
)
BIDDING_KINDS = (TENDER, NON_TENDER)  # the kinds with a schedule, bidders and an HPS

ANNOUNCEMENTS = {  # address below the portal; {} is the key
    TENDER: "lelang/{}/pengumumanlelang",
    NON_TENDER: "nontender/{}/pengumumanpl",
    RECORDED: "pencatatan/pengumumannonspk?id={}",
    SELF_MANAGED: "swakelola/{}/pengumuman",
    EMERGENCY: "darurat/pengumumandarurat?id={}",
}


@dataclass(frozen=True, slots=True)
class Edit:
    """A schedule row as it was before it was edited at ``time``."""

    time: datetime
    starts: datetime
    ends: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Milestone:
    """One row of a schedule."""

    title: str
    starts: datetime
    ends: datetime
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Bidder:
    """A firm that bid. Amounts in IDR; None where the portal leaves the cell empty."""

    name: str
    address: str
    npwp: str
    bid: Decimal
    corrected: Decimal | None
    negotiated: Decimal | None
    passed: bool


@dataclass(frozen=True, slots=True)
class Realisation:
    """One payment of a recorded, self-managed or emergency purchase; suppliers may be none or several."""

    title: str
    amount: Decimal
    date: datetime
    suppliers: tuple[str, ...]


@dataclass(slots=True)
class Package:
    """What a portal keeps of one package. Times are aware, in the portal's zone; amounts in IDR.

    ``route`` names its schedule in ROUTES (empty: none is told). ``ended`` is Batal or Gagal.
    Without ``names_winner`` or ``signs`` its winner or contract page stays a head without rows. ``ahead`` is how
    far events have carried the package before the world's clock.
    """

    kind: str
    key: str
    title: str
    buyer: str
    unit: str
    category: str
    method: str
    route: str
    start: datetime
    years: tuple[int, ...]
    fund: str
    budget: Decimal
    value: Decimal | None
    locations: tuple[str, ...]
    plans: tuple[str, ...]
    seed: int
    again: bool = False
    again_reason: str | None = None
    ended: str = ""
    ended_reason: str | None = None
    reevaluated: bool = False
    names_winner: bool = True
    signs: bool = True
    ahead: timedelta = field(default=timedelta())
    edited: tuple[Milestone, ...] = ()
    gone: bool = False

    @property
    def created(self) -> datetime:
        """Tanggal Pembuatan: packages are made up to three days before they are announced."""
        return (self.start - timedelta(days=self.seed % 4)).replace(hour=0, minute=0)


@dataclass(frozen=True, slots=True)
class Route:
    """How a package is bid for: the portal's words, its schedule as (title, day, hour, day, hour), its turns.

    ``closes`` names the row whose end closes registration, ``awards`` the row with which the winner is shown.
    """

    qualification: str
    evaluation: str
    rows: tuple[tuple[str, int, int, int, int], ...]
    closes: str
    awards: str


SIGNING = "Penandatanganan Kontrak"
_AFTER_AWARD = (
    ("Pengumuman Pemenang", 15, 8, 16, 8),
    ("Masa Sanggah", 16, 8, 21, 15),
    ("Surat Penunjukan Penyedia Barang/Jasa", 21, 15, 24, 15),
    (SIGNING, 22, 8, 30, 15),
)
ROUTES = {
    "tender": Route(
        "Pascakualifikasi Satu File",
        "Harga Terendah Sistem Gugur",
        (
            ("Pengumuman Pascakualifikasi", 0, 9, 7, 15),
            ("Download Dokumen Pemilihan", 0, 9, 7, 15),
            ("Pemberian Penjelasan", 3, 9, 3, 11),
            ("Upload Dokumen Penawaran", 3, 11, 8, 10),
            ("Pembukaan Dokumen Penawaran", 8, 10, 8, 15),
            ("Evaluasi Administrasi, Kualifikasi, Teknis, dan Harga", 8, 10, 13, 15),
            ("Pembuktian Kualifikasi", 12, 8, 14, 15),
            ("Penetapan Pemenang", 14, 15, 15, 8),
            *_AFTER_AWARD,
        ),
        "Download Dokumen Pemilihan",
        "Pengumuman Pemenang",
    ),
    "two files": Route(
        "Pascakualifikasi Dua File",
        "Sistem Nilai",
        (
            ("Pengumuman Pascakualifikasi", 0, 9, 8, 15),
            ("Download Dokumen Pemilihan", 0, 9, 8, 15),
            ("Pemberian Penjelasan", 3, 9, 3, 11),
            ("Upload Dokumen Penawaran", 3, 11, 9, 10),
            ("Pembukaan dan Evaluasi Penawaran File I: Administrasi, Dokumen Kualifikasi, dan Teknis", 9, 10, 12, 15),
            ("Pembuktian Kualifikasi", 11, 8, 12, 15),
            ("Pengumuman Hasil Evaluasi File I", 12, 15, 13, 8),
            ("Pembukaan dan Evaluasi Penawaran File II: Harga", 13, 8, 14, 15),
            ("Penetapan Pemenang", 14, 15, 15, 8),
            *_AFTER_AWARD,
        ),
        "Download Dokumen Pemilihan",
        "Pengumuman Pemenang",
    ),
    "prequalified": Route(
        "Prakualifikasi Dua File",
        "Kualitas dan Biaya",
        (
            ("Pengumuman Prakualifikasi", 0, 9, 6, 15),
            ("Download Dokumen Kualifikasi", 0, 9, 6, 15),
            ("Upload Dokumen Kualifikasi", 1, 9, 7, 10),
            ("Evaluasi Dokumen Kualifikasi", 7, 10, 9, 15),
            ("Pengumuman Hasil Kualifikasi", 9, 15, 10, 8),
            ("Download Dokumen Pemilihan", 10, 8, 13, 10),
            ("Upload Dokumen Penawaran", 10, 10, 13, 10),
            ("Pembukaan dan Evaluasi Penawaran File I: Administrasi dan Teknis", 13, 10, 14, 8),
            ("Pembukaan dan Evaluasi Penawaran File II: Harga", 14, 8, 14, 15),
            ("Penetapan Pemenang", 14, 15, 15, 8),
            *_AFTER_AWARD,
        ),
        "Download Dokumen Kualifikasi",
        "Pengumuman Pemenang",
    ),
    "quick": Route(
        "Pascakualifikasi Satu File",
        "Harga Terendah Sistem Gugur",
        (
            ("Pengumuman Tender", 0, 9, 3, 15),
            ("Download Dokumen Pemilihan", 0, 9, 3, 15),
            ("Upload Dokumen Penawaran", 0, 10, 4, 10),
            ("Pembukaan Dokumen Penawaran", 4, 10, 4, 15),
            ("Pengumuman Pemenang", 4, 15, 6, 15),
            (SIGNING, 6, 15, 10, 15),
        ),
        "Download Dokumen Pemilihan",
        "Pengumuman Pemenang",
    ),
    "direct": Route(
        "Pascakualifikasi Satu File",
        "Harga Terendah Sistem Gugur",
        (
            ("Upload Dokumen Penawaran", 0, 9, 4, 12),
            ("Pembukaan Dokumen Penawaran", 4, 12, 4, 13),
            ("Evaluasi Penawaran", 4, 13, 5, 15),
            ("Klarifikasi Teknis dan Negosiasi", 4, 13, 6, 15),
            (SIGNING, 6, 15, 9, 15),
        ),
        "Upload Dokumen Penawaran",
        SIGNING,
    ),
}
_OFFSETS = {
    name: [(title, timedelta(days=d1, hours=h1), timedelta(days=d2, hours=h2)) for title, d1, h1, d2, h2 in route.rows]
    for name, route in ROUTES.items()
}


def clock(package: Package, now: datetime) -> datetime:
    """The time as this package has it: the world's, unless an event carried it ahead."""
    return now + package.ahead


def milestones(package: Package) -> tuple[Milestone, ...]:
    """The schedule; empty where the portal tells none."""
    if package.edited or not package.route:
        return package.edited
    day = package.start.replace(hour=0)  # keeps the minute: not every deadline is on the hour
    return tuple(Milestone(title, day + starts, day + ends) for title, starts, ends in _OFFSETS[package.route])


def find_milestone(package: Package, title: str) -> Milestone | None:
    return next((m for m in milestones(package) if m.title == title), None)


def registration_closes(package: Package) -> datetime | None:
    """Akhir Pendaftaran, as the home page tells it."""
    row = find_milestone(package, ROUTES[package.route].closes) if package.route else None
    return row.ends if row else None


def is_open(package: Package, now: datetime) -> bool:
    """Whether the home page lists it: registration has not closed."""
    closes = registration_closes(package)
    if closes is None or package.ended or package.gone:
        return False
    return package.start <= clock(package, now) < closes


def stage(package: Package, now: datetime) -> str:
    """Tahap Saat Ini; ``[...]`` tells that several rows of the schedule run at once."""
    noun = "Tender" if package.kind == TENDER else "Paket"
    if package.ended:
        return f"Tender {package.ended}" if package.kind == TENDER else "Paket Dibatalkan"
    rows, time = milestones(package), clock(package, now)
    if not rows:
        return "Tidak Ada Jadwal"
    if time >= max(row.ends for row in rows):
        return f"{noun} Sudah Selesai"
    running = [row for row in rows if row.starts <= time < row.ends]
    if not running:
        running = [row for row in rows if row.starts <= time][-1:] or [rows[0]]
    return running[0].title + (" [...]" if len(running) > 1 else "")


def purchase_status(package: Package, now: datetime) -> str:
    """Status of a recorded, self-managed or emergency purchase."""
    return "Paket Sudah Selesai" if clock(package, now) >= finishes(package) else "Paket Sedang Berjalan"


def finishes(package: Package) -> datetime:
    """Tanggal Paket Selesai of a recorded, self-managed or emergency purchase."""
    if package.seed % 3 == 0:
        return package.start.replace(month=12, day=31, hour=0, minute=0)
    return package.start.replace(hour=0, minute=0) + timedelta(days=20 + package.seed % 60)


def badges(package: Package) -> tuple[str, ...]:
    """The marks behind the name in lists, two at once where they apply."""
    noun = "Seleksi" if package.method == "Seleksi" else "Tender" if package.kind == TENDER else package.method
    marks = []
    if package.again:
        marks.append(f"{noun} Ulang")
    if package.reevaluated:
        marks.append("Evaluasi Ulang")
    if package.ended:
        marks.append(f"{'Tender' if package.kind == TENDER else noun} {package.ended}")
    return tuple(marks)


def participants(package: Package, now: datetime) -> int:
    """How many firms have registered so far."""
    total, closes = registrations(package), registration_closes(package)
    if not closes:
        return 0
    elapsed = (clock(package, now) - package.start) / (closes - package.start)
    return int(total * min(1.0, max(0.0, elapsed)))


def registrations(package: Package) -> int:
    """How many firms will have registered in the end."""
    return 1 + package.seed % 3 if package.kind == NON_TENDER else 5 + package.seed % 32


def is_awarded(package: Package, now: datetime) -> bool:
    """Whether the winner tab is there."""
    time = award_time(package)
    return time is not None and not package.ended and clock(package, now) >= time


def award_time(package: Package) -> datetime | None:
    row = find_milestone(package, ROUTES[package.route].awards) if package.route else None
    return row.starts if row else None


def sign_time(package: Package) -> datetime | None:
    """When the contract becomes known, where one is signed."""
    row = find_milestone(package, SIGNING) if package.route else None
    return row.starts + (row.ends - row.starts) / 2 if row else None


def bidders(package: Package) -> tuple[Bidder, ...]:
    """Who bid, best first."""
    dice = make_dice("bidders", package.seed)
    price = package.value or package.budget
    found = []
    for number in range(min(registrations(package), 1 + package.seed % 4)):
        bid = _round(price * Decimal(860 + number * 25 + dice.randrange(20)) / 1000, package.seed)
        corrected = bid if dice.random() < 0.8 else None
        negotiated = _round(bid * Decimal("0.99"), package.seed) if dice.random() < 0.6 else None
        found.append(
            Bidder(
                name=_firm(dice.randrange(10**6), package.category),
                address=f"Jl. Contoh Rekaan No. {dice.randrange(1, 200)}",
                npwp=f"{dice.randrange(100):02d}*{dice.randrange(10)}**{dice.randrange(10)}****{dice.randrange(100):02d}**0",
                bid=bid,
                corrected=corrected,
                negotiated=negotiated,
                passed=number < 2 or dice.random() < 0.5,
            )
        )
    return tuple(found)


def document(package: Package) -> str | None:
    """The name of the file behind Uraian Singkat Pekerjaan, where there is one."""
    if package.kind not in BIDDING_KINDS or package.seed % 10 < 3:
        return None
    return f"Uraian Singkat {package.key}.pdf"


def winners(package: Package, now: datetime) -> tuple[Bidder, ...]:
    """The rows of the winner tab: mostly one, two in itemised tenders, none where only the head is shown."""
    if not is_awarded(package, now) or not package.names_winner:
        return ()
    return bidders(package)[: 2 if package.seed % 13 == 0 else 1]


def price(bidder: Bidder) -> Decimal:
    """What is awarded: the negotiated price, else the corrected, else the bid."""
    return bidder.negotiated or bidder.corrected or bidder.bid


def contracts(package: Package, now: datetime) -> tuple[tuple[str, Decimal], ...]:
    """Firm and contract price of the contracted tab; empty while "Nilai Kontrak belum dibuat"."""
    signed = sign_time(package)
    if not package.signs or signed is None or clock(package, now) < signed:
        return ()
    return tuple((w.name, price(w)) for w in winners(package, now))


def realisations(package: Package, now: datetime) -> tuple[Realisation, ...]:
    """The payments told so far of a recorded, self-managed or emergency purchase."""
    dice = make_dice("realisations", package.seed)
    rows: list[Realisation] = []
    date = package.start.replace(hour=0, minute=0)
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
        date += timedelta(days=dice.randrange(2, 15))
        rows.append(
            Realisation(
                title=dice.choice(
                    ("Kuitansi", "Surat Perintah Kerja", "Surat Permintaan Pembayaran", "Dokumen FA Detail")
                ),
                amount=_round(package.budget * dice.randrange(200, 330) / 1000, package.seed),
                date=date,
                suppliers=_suppliers(dice.randrange(10**6), package),
            )
        )
    time = clock(package, now)
    return tuple(row for row in rows if row.date <= time)


def move(package: Package, now: datetime, days: int, reason: str) -> None:
    """Edits the schedule: what has not ended ends ``days`` later, and what has not begun begins later too."""
    time, by = clock(package, now), timedelta(days=days)
    package.edited = tuple(
        row
        if row.ends <= time
        else replace(
            row,
            starts=row.starts + by if row.starts > time else row.starts,
            ends=row.ends + by,
            edits=(*row.edits, Edit(now, row.starts, row.ends, reason)),
        )
        for row in milestones(package)
    )


def _suppliers(number: int, package: Package) -> tuple[str, ...]:
    if number % 7 == 0:
        return ()
    if package.kind == SELF_MANAGED:
        return (package.unit,)
    if number % 11 == 0:
        return (_firm(number, package.category), _firm(number + 1, package.category))
    return (_firm(number, package.category),) if number % 3 else (f"{PEOPLE[number % len(PEOPLE)]} (Rekaan)",)


def _firm(number: int, category: str) -> str:
    """A firm's name that says itself that it is made up."""
    last = "KONSULTAN" if category in CONSULTING else FIRM_LAST[number // 7 % len(FIRM_LAST)]
    form = FIRM_FORMS[number % len(FIRM_FORMS)]
    return f"{form} {FIRM_FIRST[number // 97 % len(FIRM_FIRST)]} {last} (REKAAN)"


def _round(amount: Decimal, seed: int) -> Decimal:
    """To thousands mostly, to the rupiah sometimes, to the cent now and then."""
    step = Decimal("0.01") if seed % 12 == 0 else Decimal(1) if seed % 5 == 0 else Decimal(1000)
    return (max(amount, step) / step).to_integral_value() * step
