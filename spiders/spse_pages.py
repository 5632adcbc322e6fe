"""The pages and lists of SPSE 4.5 as values: pure functions of bytes, read label by label.

A label or badge without a meaning here is handed back in ``unknown``; a page of another shape is a ShapeError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import lxml.html
from bs4 import BeautifulSoup
from lxml import etree

from aggregator.models import Award, Category, Contract, Document, Kind, Method, Milestone, Money, Status
from spiders.reading import (
    Refusal,
    ShapeError,
    clean_text,
    parse_count,
    parse_html,
    parse_labels,
    parse_rupiah,
    parse_table,
    parse_time,
    text_of,
)

# The words of the source ---------------------------------------------------------------------------------

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
_UNUSED_LABELS = frozenset(
    {
        "Khusus Orang Asli Papua (OAP)",
        "Jenis Kontrak",
        "Kualifikasi Usaha",
        "Bobot Teknis",
        "Bobot Biaya",
        "Reverse Auction?",
        "Syarat Kualifikasi",
        "Metode Evaluasi",
        "Metode Kualifikasi",
        "Metode Dokumen",
        "Metode Pemilihan",
        "Cara Pembayaran",
        "Keterangan",
    }
)


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


def _unknown_badges(badges: Sequence[str]) -> tuple[str, ...]:
    known = (*_BADGE_STATUS, "ulang")
    return tuple(f"badge {b}" for b in badges if b.lower().rsplit(" ", 1)[-1] not in known)


# Refusals and tokens -------------------------------------------------------------------------------------


def parse_refusal(body: bytes) -> Refusal | None:
    """SPSE's error pages, which may come with status 200."""
    if len(body) > 64_000:
        return None
    if b"Halaman yang dituju tidak ditemukan" in body:
        return Refusal.MISSING
    if b"Akses Ditolak!" in body:
        return Refusal.DENIED
    if b"Maaf, terjadi error pada aplikasi SPSE" in body or b"<title>Terjadi Kesalahan" in body:
        return Refusal.ERROR
    return Refusal.ERROR if _BARE_ERROR.search(body) else None


_BARE_ERROR = re.compile(rb">\s*Terjadi Kesalahan[^<]{0,80}<")
_TOKEN = re.compile(rb"authenticityToken\s*=\s*['\"]([0-9a-fA-F]{16,64})['\"]")
_COOKIE_TOKEN = re.compile(r"___AT=([0-9a-fA-F]{16,64})")


def parse_token(body: bytes, cookie: str = "") -> str:
    """The list page's token: in its script, else in the session cookie (some hosts encode that)."""
    match = _TOKEN.search(body)
    if match:
        return match[1].decode()
    in_cookie = _COOKIE_TOKEN.search(cookie.replace("%3D", "="))
    if in_cookie:
        return in_cookie[1]
    raise ShapeError("a list page without authenticityToken", body[:200])


# Lists ---------------------------------------------------------------------------------------------------


def render_query(kind: Kind, token: str, draw: int, start: int, length: int) -> str:
    """The form body of one DataTables request, ordered by key: the default order is not stable between pages."""
    form: dict[str, object] = {"draw": draw}
    for n in range(_LISTS[kind].width):
        form |= {
            f"columns[{n}][data]": n,
            f"columns[{n}][name]": "",
            f"columns[{n}][searchable]": "true",
            f"columns[{n}][orderable]": "false" if n == 3 else "true",
            f"columns[{n}][search][value]": "",
            f"columns[{n}][search][regex]": "false",
        }
    form |= {"order[0][column]": 0, "order[0][dir]": "asc", "start": start, "length": length}
    form |= {"search[value]": "", "search[regex]": "false", "authenticityToken": token}
    return urlencode(form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a list. The rounded HPS only counts towards ``fingerprint``: it is never a value."""

    key: str
    title: str
    buyer: str | None
    stage: str
    category_detail: str | None
    method_detail: str | None
    fiscal_years: tuple[int, ...]
    badges: tuple[str, ...]
    fingerprint: bytes
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the cells of a list stand; ``flags``: cells that tell nothing we keep."""

    width: int
    buyer: int
    stage: int
    category: int | None
    method: int | None
    year: int
    skipped: tuple[int, ...]


# SOURCES: DataTables lists of SPSE 4.5; skipped are the version and the undocumented flags.
_LISTS: Mapping[Kind, _Columns] = {
    Kind.TENDER: _Columns(16, 2, 3, 8, 6, 8, (9, 11, 12, 13, 14, 15)),
    Kind.NON_TENDER: _Columns(12, 2, 3, 6, 5, 6, (7, 9, 10, 11)),
    Kind.RECORDED: _Columns(9, 2, 8, 5, 4, 6, (7,)),
    Kind.SELF_MANAGED: _Columns(8, 2, 7, None, None, 5, (4, 6)),
    Kind.EMERGENCY: _Columns(8, 2, 7, 6, None, 4, (5,)),
}


def parse_list(body: bytes, kind: Kind) -> list[Row]:
    """The rows of one DataTables answer. ShapeError when it is no JSON of that shape (an HTML page, say)."""
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise ShapeError("a list answer that is no JSON", body[:120].decode("utf-8", "replace")) from error
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ShapeError("a list answer without data", body[:120].decode("utf-8", "replace"))
    return [_parse_row(cells, kind) for cells in rows]


def _parse_row(cells: object, kind: Kind) -> Row:
    columns = _LISTS[kind]
    if not isinstance(cells, list) or len(cells) != columns.width:
        raise ShapeError(f"a {kind} row that has not {columns.width} cells", cells)
    if not all(cell is None or isinstance(cell, str | int) for cell in cells):
        raise ShapeError(f"a {kind} row with a cell that is no text", cells)
    texts = ["" if cell is None else str(cell) for cell in cells]
    key = texts[0].strip()
    if not key.isdigit():
        raise ShapeError(f"a {kind} row whose key is no number", cells)
    title, badges = _split_name(texts[1])
    if not title:
        raise ShapeError(f"a {kind} row without a name", cells)
    category = _cell(texts, columns.category).rsplit(" - TA", 1)[0]
    stage = _stage(texts[columns.stage])
    told = [stage if n == columns.stage else text for n, text in enumerate(texts) if n not in columns.skipped]
    return Row(
        key=key,
        title=title,
        buyer=_cell(texts, columns.buyer) or None,
        stage=stage,
        category_detail=category or None,
        method_detail=_cell(texts, columns.method) or None,
        fiscal_years=_years(texts[columns.year].rsplit(" - TA", 1)[-1]),
        badges=badges,
        fingerprint=fingerprint(told),
        unknown=_unknown_badges(badges),
    )


def _cell(texts: Sequence[str], index: int | None) -> str:
    return "" if index is None else _plain(texts[index])


def _plain(markup: str) -> str:
    """A cell's text; the portal writes cells as HTML."""
    if "<" not in markup and "&" not in markup:
        return clean_text(markup)
    return text_of(lxml.html.fragment_fromstring(markup, create_parent="div"))


def _split_name(markup: str) -> tuple[str, tuple[str, ...]]:
    """A name cell's name and badges (``<span class='badge …'>Tender Ulang</span>``)."""
    if "<" not in markup and "&" not in markup:
        return clean_text(markup), ()
    return split_badges(lxml.html.fragment_fromstring(markup, create_parent="div"))


def split_badges(element: etree._Element) -> tuple[str, tuple[str, ...]]:
    """The element's text without its badges, and the badges' texts. Takes the badges out of the tree."""
    badges = []
    for span in list(element.iter("span")):
        if "badge" in (span.get("class") or "").split():
            badges.append(text_of(span))
            span.drop_tree()
    return text_of(element), tuple(badges)


def _stage(text: str) -> str:
    return re.sub(r"\s*\[\.\.\.\]\s*$", "", _plain(text))


def _years(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(year) for year in re.findall(r"\b(20\d{2})\b", text)}))


def fingerprint(cells: Iterable[str]) -> bytes:
    """Eight bytes that differ when a row does; never empty."""
    return blake2b("\x1f".join(cells).encode("utf-8", "surrogatepass"), digest_size=8).digest()


# Home page -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeRow:
    """One open package of the home page: exact HPS and *Akhir Pendaftaran*."""

    kind: Kind
    key: str
    title: str
    category_detail: str | None
    method_detail: str | None
    badges: tuple[str, ...]
    value: Money | None
    registration_deadline: datetime | None
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The home page: ``rows`` in page order; ``short`` names category heads that announce more rows than follow."""

    rows: tuple[HomeRow, ...]
    short: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


_PACKAGE = re.compile(r"/(lelang|nontender)/(\d+)/pengumuman(?:lelang|pl)\b")
_HOME_KINDS = {"lelang": Kind.TENDER, "nontender": Kind.NON_TENDER}
_HOME_HEAD = ["No", "Nama Paket", "HPS", "Akhir Pendaftaran"]


def parse_home(body: bytes, zone: ZoneInfo) -> Home:
    """Every package now open. ShapeError when the page has no package table or one with another head."""
    tables = [
        table
        for table in parse_html(body).iter("table")
        if "table-sm" in (table.get("class") or "").split()
    ]
    if not tables:
        raise ShapeError("a home page without package tables", body[:200])
    rows: list[HomeRow] = []
    short: list[str] = []
    unknown: list[str] = []
    for table in tables:
        head = [text_of(th) for th in table.iter("th")]
        if head != _HOME_HEAD:
            raise ShapeError("a home page table with another head", ", ".join(head))
        _read_home_table(table, zone, rows, short, unknown)
    return Home(rows=tuple(rows), short=tuple(short), unknown=tuple(dict.fromkeys(unknown)))


def _read_home_table(
    table: etree._Element, zone: ZoneInfo, rows: list[HomeRow], short: list[str], unknown: list[str]
) -> None:
    category: str | None = None
    announced: int | None = None
    found = 0

    def close_category() -> None:
        if announced is not None and found != announced:
            short.append(f"{category}: {announced} announced, {found} listed")

    for tr in table.iter("tr"):
        cells = tr.findall("td")
        if len(cells) == 1:
            close_category()
            category, badges = split_badges(cells[0])
            announced = int(badges[0]) if badges and badges[0].isdigit() else None
            found = 0
            if category and not find_category(category):
                unknown.append(f"category {category}")
        elif len(cells) == 4:
            rows.append(_parse_home_row(cells, category, zone))
            found += 1
        elif cells:
            raise ShapeError(f"a home page row of {len(cells)} cells", text_of(tr))
    close_category()


def _parse_home_row(cells: Sequence[etree._Element], category: str | None, zone: ZoneInfo) -> HomeRow:
    link = next(cells[1].iter("a"), None)
    match = _PACKAGE.search(link.get("href") or "") if link is not None else None
    if link is None or not match:
        raise ShapeError("a home page row without a package link", text_of(cells[1]))
    title, _ = split_badges(link)
    _, badges = split_badges(cells[1])
    method = next((b for b in badges if b in METHODS), None)
    value = text_of(cells[2])
    deadline = text_of(cells[3])
    return HomeRow(
        kind=_HOME_KINDS[match[1]],
        key=match[2],
        title=title,
        category_detail=category,
        method_detail=method,
        badges=tuple(b for b in badges if b != method and not b.lower().startswith("spse")),
        value=parse_rupiah(value),
        registration_deadline=parse_time(deadline, zone),
        fingerprint=fingerprint((title, value, deadline, *badges)),
    )


# Detail pages --------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Announcement:
    """A package's announcement page. ``tabs`` and ``schedule`` are the addresses that the page offers."""

    key: str = ""
    title: str = ""
    badges: tuple[str, ...] = ()
    stage: str | None = None
    schedule: str | None = None
    description: str | None = None
    published: datetime | None = None
    buyer: str | None = None
    procuring_entity: str | None = None
    category_detail: str | None = None
    method_detail: str | None = None
    fiscal_years: tuple[int, ...] = ()
    budget: Money | None = None
    value: Money | None = None
    locations: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    participants: int | None = None
    retender_reason: str | None = None
    cancellation_reason: str | None = None
    documents: tuple[Document, ...] = ()
    tabs: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


# Label → field, for the labels whose value is the cell's text.
_TEXT_LABELS = {
    "Kode Tender": "key",
    "Kode Paket": "key",
    "Kode Swakelola": "key",
    "Kode Non Tender": "key",
    "Kode Lelang": "key",
    "K/L/PD/Instansi Lainnya": "buyer",
    "K/L/PD": "buyer",
    "Instansi": "buyer",
    "Satuan Kerja": "procuring_entity",
    "Jenis Pengadaan": "category_detail",
    "Kategori": "category_detail",
    "Metode Pengadaan": "method_detail",
    "Sistem Pengadaan": "method_detail",
    "Tipe Pelaksana Swakelola": "method_detail",
    "Alasan di ulang": "retender_reason",
    "Alasan Diulang": "retender_reason",
    "Alasan Pembatalan": "cancellation_reason",
    "Alasan Dibatalkan": "cancellation_reason",
}
_NAMES = frozenset({"Nama Tender", "Nama Paket", "Nama Swakelola", "Nama Non Tender", "Nama Lelang"})
_STAGES = frozenset(
    {"Tahap Tender Saat Ini", "Tahap Paket Saat Ini", "Tahap Tender Saat ini", "Tahap Saat Ini", "Tahap Lelang Saat Ini"}
)


def parse_announcement(body: bytes, key: str, zone: ZoneInfo, base: str) -> Announcement:
    """The announcement page of package ``key``, any of the five kinds; ``base`` makes document addresses absolute.

    ShapeError when there is no label table, no name in it, or the code of another package.
    """
    root = parse_html(body)
    page = Announcement(tabs=_parse_tabs(root))
    unknown = []
    for label, cell in parse_labels(_label_table(root)):
        if not _read_label(page, label, cell, zone, base):
            unknown.append(f"label {label}")
    if page.key != key:
        raise ShapeError(f"an announcement whose code is not {key}", page.key)
    if not page.title:
        raise ShapeError("an announcement without a name", text_of(root))
    page.unknown = (*unknown, *_unknown_badges(page.badges))
    return page


def _label_table(root: etree._Element) -> etree._Element:
    main = root.get_element_by_id("main", None)
    for table in (root if main is None else main).iter("table"):
        if any("bgwarning" in (th.get("class") or "") for th in table.iter("th")):
            return table
    raise ShapeError("a page without a label table", text_of(root))


def _parse_tabs(root: etree._Element) -> dict[str, str]:
    """Tab name → site-relative address, of ``ul.nav-tabs a.nav-link[href]``."""
    return {
        text_of(link): link.get("href")
        for menu in root.iter("ul")
        if "nav-tabs" in (menu.get("class") or "").split()
        for link in menu.iter("a")
        if link.get("href")
    }


def _read_label(page: Announcement, label: str, cell: etree._Element, zone: ZoneInfo, base: str) -> bool:
    """Puts one label's value into ``page``; False when the label has no meaning here."""
    text = text_of(cell)
    if label in _TEXT_LABELS:
        setattr(page, _TEXT_LABELS[label], text or None)
    elif label in _NAMES:
        page.title, page.badges = split_badges(cell)
    elif label in _STAGES:
        page.stage = _stage(text)
        link = next(cell.iter("a"), None)
        page.schedule = link.get("href") if link is not None else None
    elif label == "Rencana Umum Pengadaan":
        page.plans = _parse_plans(cell)
    elif label == "Uraian Singkat Pekerjaan":
        page.documents = _parse_documents(cell, base)
        page.description = None if page.documents else text or None
    elif label == "Tanggal Pembuatan":
        page.published = parse_time(text, zone)
    elif label == "Tahun Anggaran":
        page.fiscal_years = _years(text)
    elif label in {"Nilai Pagu Paket", "Nilai Pagu"}:
        page.budget = parse_rupiah(text)
    elif label in {"Nilai HPS Paket", "Nilai HPS"}:
        page.value = parse_rupiah(text)
    elif label == "Lokasi Pekerjaan":
        items = [text_of(li) for li in cell.iter("li")] or [text]
        page.locations = tuple(item for item in items if item)
    elif label in {"Peserta Tender", "Peserta Non Tender", "Peserta Lelang"}:
        page.participants = parse_count(text)
    else:
        return label in _UNUSED_LABELS
    return True


def _parse_plans(cell: etree._Element) -> tuple[str, ...]:
    table = next(cell.iter("table"), None)
    if table is None:
        return ()
    rows = (row.get("Kode RUP") for row in parse_table(table))
    return tuple(dict.fromkeys(text_of(code) for code in rows if code is not None and text_of(code)))


def _parse_documents(cell: etree._Element, base: str) -> tuple[Document, ...]:
    root = "/".join(base.split("/")[:3])
    return tuple(
        Document(title=text_of(link), url=root + href if href.startswith("/") else href)
        for link in cell.iter("a")
        if (href := link.get("href") or "").startswith(("/", "http://", "https://")) and text_of(link)
    )


_CHANGES = "Perubahan"
_UPLOAD = re.compile(r"\b(upload|pemasukan|penyampaian)\b.*\bpenawaran\b", re.IGNORECASE)


def parse_schedule(body: bytes, zone: ZoneInfo) -> tuple[Milestone, ...]:
    """The rows of a schedule page (jadwal): No, Tahap, Mulai, Sampai, Perubahan."""
    root = parse_html(body)
    for table in root.iter("table"):
        rows = list(parse_table(table)) if _is_schedule(table) else None
        if rows is not None:
            return tuple(
                Milestone(
                    title=text_of(row["Tahap"]),
                    starts=parse_time(text_of(row["Mulai"]), zone),
                    ends=parse_time(text_of(row["Sampai"]), zone),
                    changes=_parse_moves(text_of(row[_CHANGES])),
                )
                for row in rows
            )
    raise ShapeError("a schedule page without a schedule", text_of(root))


def _is_schedule(table: etree._Element) -> bool:
    return {"Tahap", "Mulai", "Sampai", _CHANGES} <= {text_of(th) for th in table.iter("th")}


def _parse_moves(text: str) -> int:
    return 0 if text in {"Tidak Ada", "", "-"} else parse_count(text)


def find_deadline(milestones: Sequence[Milestone]) -> datetime | None:
    """When bids close: the end of the stage in which bids are uploaded, the last where there are several."""
    ends = [m.ends for m in milestones if m.ends and _UPLOAD.search(m.title)]
    return max(ends, default=None)


# Prices of a winner, best first: negotiated, corrected, bid.
_PRICES = ("Hasil Negosiasi", "Harga Negosiasi", "Hasil/Harga Negosiasi", "Harga Terkoreksi", "Harga Penawaran")


def parse_winners(body: bytes) -> tuple[Award, ...]:
    """The winner page; a head without rows is no winner yet. The reverse auction's price counts as a bid."""
    return tuple(
        Award(supplier=text_of(row["Nama Pemenang"]) or None, amount=_price(row, _PRICES))
        for row in _winner_rows(body)
    )


def parse_contracts(body: bytes) -> tuple[Contract, ...]:
    """The contracted page: Nama Pemenang … Harga Kontrak."""
    return tuple(
        Contract(supplier=text_of(row["Nama Pemenang"]) or None, amount=_price(row, ("Harga Kontrak", "Nilai Kontrak")))
        for row in _winner_rows(body)
    )


def _winner_rows(body: bytes) -> list[dict[str, etree._Element]]:
    root = parse_html(body)
    for table in root.iter("table"):
        if any(text_of(th) == "Nama Pemenang" for th in table.iter("th")) and not list(table.iterdescendants("table")):
            return [row for row in parse_table(table) if text_of(row["Nama Pemenang"])]
    raise ShapeError("a winner page without a winner table", text_of(root))


def _price(row: Mapping[str, etree._Element], names: Sequence[str]) -> Money | None:
    """The first of ``names`` that tells an amount above zero; the portal writes Rp. 0,00 for "none"."""
    for name in names:
        if name in row:
            amount = parse_rupiah(text_of(row[name]))
            if amount and amount.amount > 0:
                return amount
    return None


def parse_realisations(body: bytes, zone: ZoneInfo) -> tuple[Contract, ...]:
    """The realisation page of recorded, self-managed and emergency purchases: each row counts as a contract.

    The table stands in broken markup (rows inside a row, ``tr`` in a div), so BeautifulSoup reads it. Of the
    nested provider table only Nama Pelaksana (or Penyedia) is kept, never e-mail or telephone.
    """
    soup = BeautifulSoup(body, "lxml", from_encoding="utf-8")
    head = soup.find("th", string=re.compile(r"^\s*Jenis Realisasi\s*$"))
    table = head.find_parent("table") if head else None
    if table is None:
        raise ShapeError("a realisation page without a realisation table", soup.get_text(" ")[:400])
    contracts: list[Contract] = []
    for row in table.find_all("tr"):
        if row.find_parent("table") is not table:
            continue
        cells = row.find_all("td", recursive=False)
        if len(cells) == 4:
            contracts.append(
                Contract(
                    supplier=None,
                    amount=parse_rupiah(cells[2].get_text(" ")),
                    date=parse_time(cells[3].find(string=True, recursive=False) or "", zone),
                )
            )
        elif contracts and cells and (nested := row.find("table")):
            last = contracts[-1]
            contracts[-1] = Contract(supplier=_providers(nested), amount=last.amount, date=last.date)
    return tuple(contracts)


def _providers(table: object) -> str | None:
    """Names in a nested provider table, several joined by a semicolon."""
    rows = [[clean_text(cell.get_text(" ")) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]  # type: ignore[attr-defined]
    column = next((n for n, text in enumerate(rows[0]) if text.startswith("Nama ")), None) if rows else None
    if column is None:
        raise ShapeError("a provider table without names", rows[:1])
    return "; ".join(row[column] for row in rows[1:] if len(row) > column and row[column]) or None
