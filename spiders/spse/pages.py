"""SPSE's detail pages as values: pure functions of bytes, read label by label.

A label or badge without a meaning here is handed back in ``unknown``; a page of another shape is a ShapeError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from bs4 import BeautifulSoup
from lxml.html import HtmlElement

from aggregator.models import Award, Contract, Document, Milestone, Money
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
    refuse_many_tags,
    rows_of,
    text_of,
)
from spiders.spse.words import unknown_badges

MOST_TAGS = 20_000  # of a realisation page: BeautifulSoup takes a kilobyte for each


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


def split_badges(element: HtmlElement) -> tuple[str, tuple[str, ...]]:
    """The element's text without its badges, and the badges' texts. Takes the badges out of the tree."""
    badges = []
    for span in list(element.iter("span")):
        if "badge" in (span.get("class") or "").split():
            badges.append(text_of(span))
            span.drop_tree()
    return text_of(element), tuple(badges)


def parse_stage(text: str) -> str:
    """The stage without its `` [...]``, which says that several stages are under way."""
    stage = text.removesuffix("[...]")
    return text if stage == text else stage.rstrip()


def parse_years(text: str) -> tuple[int, ...]:
    """Fiscal years in a text: ``APBD 2026``, ``TA 2025,2026``."""
    return tuple(sorted({int(year) for year in re.findall(r"\b(20\d{2})\b", text)}))


# Where a page says whose it is: the title of a schedule, the tabs of the others.
_TITLE_CODE = re.compile(rb"<title>[^<\[]{0,200}\[(\d{1,30})\]")
_TAB_ADDRESS = re.compile(rb'nav-link[^<>]{0,100}href="([^"<>]{1,500})"')
_NUMBER = re.compile(rb"\d+")

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
    {
        "Tahap Tender Saat Ini",
        "Tahap Paket Saat Ini",
        "Tahap Tender Saat ini",
        "Tahap Saat Ini",
        "Tahap Lelang Saat Ini",
    }
)


_ON_EVERY_PAGE = ("published", "buyer", "procuring_entity", "fiscal_years", "budget")


def check_page(body: bytes, key: str) -> bytes:
    """``body`` itself. ShapeError where the page breaks off before its end, which a parser of HTML would not notice, or
    where its title and tabs name other packages than ``key``."""
    if b"<html" in body[:4096].lower() and b"</html" not in body[-4096:].lower():
        raise ShapeError("a page that breaks off", body[-200:].decode("utf-8", "replace"))
    named = [*_TITLE_CODE.findall(body), *_TAB_ADDRESS.findall(body)]
    if named and not any(key.encode() in _NUMBER.findall(text) for text in named):
        raise ShapeError(f"a page of another package than {key}", named[0].decode("utf-8", "replace")[:200])
    return body


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
    if unknown and (missing := [name for name in _ON_EVERY_PAGE if not getattr(page, name)]):
        # A label was given another name: what is known of these fields must not be emptied.
        raise ShapeError(f"an announcement without {', '.join(missing)}", ", ".join(unknown))
    page.unknown = (*unknown, *unknown_badges(page.badges))
    return page


def _label_table(root: HtmlElement) -> HtmlElement:
    main = root.get_element_by_id("main", None)
    whole = root if main is None else main
    head = next((th for th in whole.iter("th") if "bgwarning" in (th.get("class") or "")), None)
    if head is not None:
        around = [table for table in head.iterancestors("table") if main is None or main in table.iterancestors()]
        if around:
            return around[-1]
    raise ShapeError("a page without a label table", text_of(root))


def _parse_tabs(root: HtmlElement) -> dict[str, str]:
    """Tab name → site-relative address, of ``ul.nav-tabs a.nav-link[href]``."""
    return {
        text_of(link): href
        for menu in root.iter("ul")
        if "nav-tabs" in (menu.get("class") or "").split()
        for link in menu.iter("a")
        if (href := link.get("href"))
    }


def _read_label(page: Announcement, label: str, cell: HtmlElement, zone: ZoneInfo, base: str) -> bool:
    """Puts one label's value into ``page``; False when the label has no meaning here."""
    text = text_of(cell)
    if label in _TEXT_LABELS:
        setattr(page, _TEXT_LABELS[label], text or None)
    elif label in _NAMES:
        page.title, page.badges = split_badges(cell)
    elif label in _STAGES:
        page.stage = parse_stage(text)
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
        page.fiscal_years = parse_years(text)
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


def _parse_plans(cell: HtmlElement) -> tuple[str, ...]:
    table = next(cell.iter("table"), None)
    if table is None:
        return ()
    rows = (row.get("Kode RUP") for row in parse_table(table))
    return tuple(dict.fromkeys(text_of(code) for code in rows if code is not None and text_of(code)))


def _parse_documents(cell: HtmlElement, base: str) -> tuple[Document, ...]:
    root = "/".join(base.split("/")[:3])
    return tuple(
        Document(title=text_of(link), url=root + href if href.startswith("/") else href)
        for link in cell.iter("a")
        if (href := link.get("href") or "").startswith(("/", "http://", "https://")) and text_of(link)
    )


_CHANGES = "Perubahan"
_UPLOAD, _BID = re.compile(r"\b(upload|pemasukan|penyampaian)\b", re.I), re.compile(r"\bpenawaran\b", re.I)


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


def _is_schedule(table: HtmlElement) -> bool:
    head = next(rows_of(table), []) if _is_innermost(table) else []
    return {"Tahap", "Mulai", "Sampai", _CHANGES} <= {text_of(cell) for cell in head}


def _is_innermost(table: HtmlElement) -> bool:
    """Tables in tables are asked once: else each head is read again for every table around it."""
    return next(table.iterdescendants("table"), None) is None


def _parse_moves(text: str) -> int:
    return 0 if text in {"Tidak Ada", "", "-"} else parse_count(text)


def find_deadline(milestones: Sequence[Milestone]) -> datetime | None:
    """When bids close: the end of the stage in which bids are uploaded, the last where there are several."""
    ends = [m.ends for m in milestones if m.ends and _is_upload(m.title)]
    return max(ends, default=None)


def _is_upload(title: str) -> bool:
    """In two steps, for a title may repeat one of the words without end."""
    upload = _UPLOAD.search(title)
    return upload is not None and _BID.search(title, upload.end()) is not None


# Prices of a winner, best first: negotiated, corrected, bid.
_PRICES = ("Hasil Negosiasi", "Harga Negosiasi", "Hasil/Harga Negosiasi", "Harga Terkoreksi", "Harga Penawaran")


def parse_winners(body: bytes) -> tuple[Award, ...]:
    """The winner page; a head without rows is no winner yet. The reverse auction's price counts as a bid."""
    return tuple(
        Award(supplier=text_of(row["Nama Pemenang"]) or None, amount=_price(row, _PRICES)) for row in _winner_rows(body)
    )


def parse_contracts(body: bytes) -> tuple[Contract, ...]:
    """The contracted page: Nama Pemenang … Harga Kontrak."""
    return tuple(
        Contract(supplier=text_of(row["Nama Pemenang"]) or None, amount=_price(row, ("Harga Kontrak", "Nilai Kontrak")))
        for row in _winner_rows(body)
    )


def _winner_rows(body: bytes) -> list[dict[str, HtmlElement]]:
    root = parse_html(body)
    for table in root.iter("table"):
        if _is_innermost(table) and "Nama Pemenang" in [text_of(cell) for cell in next(rows_of(table), [])]:
            return [row for row in parse_table(table) if text_of(row["Nama Pemenang"])]
    raise ShapeError("a winner page without a winner table", text_of(root))


def _price(row: Mapping[str, HtmlElement], names: Sequence[str]) -> Money | None:
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
    refuse_many_tags(body, MOST_TAGS)
    soup = BeautifulSoup(body, "lxml", from_encoding="utf-8")
    # Not by find(string=…), which goes down into what is nested deeply until Python gives up.
    head = next((th for th in soup.find_all("th") if th.get_text().strip() == "Jenis Realisasi"), None)
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
