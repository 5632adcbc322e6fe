"""SiRUP's page of one plan, and the plan put together from page and row. Pure.

A label or word without a meaning here is handed back in ``unknown``; a page of another shape is a ShapeError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from lxml.html import HtmlElement

from aggregator.config import Portal
from aggregator.models import TENDER_FIELDS, Category, Kind, Milestone, Money, Status, Tender
from spiders.reading import Refusal, ShapeError, parse_html, parse_rupiah, parse_time, rows_of, text_of
from spiders.sirup.lists import Row, parse_month
from spiders.spse.words import find_method

_CATEGORIES: Mapping[str, Category | None] = {
    "Barang": Category.GOODS,
    "Pekerjaan Konstruksi": Category.WORKS,
    "Jasa Konsultansi": Category.CONSULTING,
    "Jasa Lainnya": Category.SERVICES,
    "Terintegrasi": None,  # of several categories, and not said of which
}
_NEEDED = (
    *("Kode RUP", "Nama Paket", "Nama KLPD", "Satuan Kerja", "Tahun Anggaran"),
    *("Jenis Pengadaan", "Metode Pemilihan", "Total Pagu"),
)
_SCHEDULES = ("Jadwal Pemilihan Penyedia", "Jadwal Pelaksanaan Kontrak", "Pemanfaatan Barang/Jasa")
# Label → the field that it tells; a page without the label leaves that field unread.
_OPTIONAL = {
    "Lokasi Pekerjaan": "locations",
    "Uraian Pekerjaan": "description",
    "Tanggal Umumkan Paket": "published",
    "Jadwal Pemilihan Penyedia": "milestones",
}
_KNOWN = frozenset({*_NEEDED, *_OPTIONAL, *_SCHEDULES, "Sumber Dana", "Volume Pekerjaan", "Spesifikasi Pekerjaan"})
_KNOWN |= {"Produk Dalam Negeri", "Usaha Kecil", "Usaha Kecil/Koperasi", "Pra DIPA / DPA"}
_KNOWN |= {"Pengadaan Berkelanjutan atau Sustainable Public Procurement (SPP)"}


def parse_refusal(body: bytes) -> Refusal | None:
    """A login form in place of what was asked for: the session has ended, or we are kept out."""
    return Refusal.DENIED if b"Form Login" in body else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A plan's page. ``told``: the optional fields whose label stands there."""

    key: str
    title: str
    buyer: str
    procuring_entity: str
    fiscal_years: tuple[int, ...]
    category_detail: str | None
    method_detail: str | None
    budget: Money | None
    description: str | None = None
    published: datetime | None = None
    locations: tuple[str, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    told: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()


def parse_details(body: bytes, key: str, zone: ZoneInfo) -> Details:
    """The page of plan ``key``. ShapeError when a label that every plan has is missing, or it is another plan's."""
    found = _read_labels(parse_html(body))
    missing = [label for label in _NEEDED if label not in found]
    if missing:
        raise ShapeError(f"a plan's page without {', '.join(missing)}", body[:200])
    text = {label: text_of(cell) for label, cell in found.items()}
    if text["Kode RUP"] != key:
        raise ShapeError(f"the page of another plan than {key}", text["Kode RUP"])
    if not text["Nama Paket"] or not text["Nama KLPD"]:
        raise ShapeError("a plan's page without a name", text["Nama Paket"])
    years = " ".join((text["Tahun Anggaran"], *(row[2] for row in _rows(found.get("Sumber Dana"), _FUNDS))))
    return Details(
        key=key,
        title=text["Nama Paket"],
        buyer=text["Nama KLPD"],
        procuring_entity=text["Satuan Kerja"],
        fiscal_years=tuple(sorted({int(year) for year in re.findall(r"\b20\d{2}\b", years)})),
        category_detail=", ".join(_split(text["Jenis Pengadaan"])) or None,
        method_detail=text["Metode Pemilihan"] or None,
        budget=parse_rupiah(text["Total Pagu"]),
        description=text.get("Uraian Pekerjaan") or None,
        published=parse_time(text.get("Tanggal Umumkan Paket", ""), zone),
        locations=tuple(
            ", ".join(part for part in (place, town, province) if part not in {"", "-"})
            for _, province, town, place in _rows(found.get("Lokasi Pekerjaan"), _PLACES)
        ),
        milestones=tuple(_milestones(found, zone)),
        told=frozenset(field for label, field in _OPTIONAL.items() if label in found),
        unknown=tuple(f"label {label}" for label in found if label not in _KNOWN),
    )


_FUNDS = ("No.", "Sumber Dana", "T.A.", "KLPD", "MAK", "Pagu")
_PLACES = ("No.", "Provinsi", "Kabupaten/Kota", "Detail Lokasi")
_MONTHS = ("Mulai", "Akhir")


def _read_labels(root: HtmlElement) -> dict[str, HtmlElement]:
    """Label → value cell of the page's label table; the tables inside of values have no ``label-left``."""
    found: dict[str, HtmlElement] = {}
    for tr in root.iter("tr"):
        cells = [cell for cell in tr if cell.tag in ("th", "td")]
        if len(cells) == 2 and "label-left" in (cells[0].get("class") or "").split():
            found.setdefault(text_of(cells[0]), cells[1])
    return found


def _rows(cell: HtmlElement | None, head: Sequence[str]) -> Iterator[list[str]]:
    """The rows of the table in a value, which must have this head; rows of totals, all of ``th``, are left out."""
    table = next(cell.iter("table"), None) if cell is not None else None
    if table is None:
        return
    rows = rows_of(table)
    told = [text_of(cell) for cell in next(rows, [])]
    if told != list(head):
        raise ShapeError(f"a table that has not the head {', '.join(head)}", ", ".join(told))
    for cells in rows:
        if all(cell.tag == "th" for cell in cells):
            continue
        if len(cells) != len(head):
            raise ShapeError(f"a row of {len(cells)} cells under the head {', '.join(head)}", text_of(table))
        yield [text_of(cell) for cell in cells]


def _milestones(found: Mapping[str, HtmlElement], zone: ZoneInfo) -> Iterator[Milestone]:
    for label in _SCHEDULES:
        for starts, ends in _rows(found.get(label), _MONTHS):
            first, last = parse_month(starts, zone), parse_month(ends, zone)
            if first or last:
                yield Milestone(title=label, starts=first and first[0], ends=last and last[1])


def _split(text: str) -> list[str]:
    """``Pekerjaan Konstruksi,`` and ``Barang, Jasa Lainnya,`` are lists that end in a comma."""
    return [part for part in (part.strip() for part in text.split(",")) if part]


def find_category(text: str | None) -> Category | None:
    """The category of one or more words; None where they are not of the same."""
    found = {_CATEGORIES.get(word) for word in _split(text or "")}
    return found.pop() if len(found) == 1 else None


def unknown_words(tender: Tender, row: Row) -> tuple[str, ...]:
    """The source's words for category and method that have no code here."""
    words = [f"category {w}" for w in _split(tender.category_detail or "") if w not in _CATEGORIES]
    if tender.method_detail and tender.method is None and not row.self_managed:
        words.append(f"method {tender.method_detail}")
    return tuple(words)


_FROM_DETAILS = frozenset({"description", "published", "locations", "category", "category_detail", "milestones"})


def assemble(
    portal: Portal, row: Row, year: int, details: Details | None, url: str, *, buyer: str | None, failed: bool
) -> Tender:
    """The plan as far as page and row tell it; what neither of them tells is named in ``unread``.

    The page leads. ``buyer`` is the body's name where neither tells it. ``failed``: the page could not be read.
    """
    category = details.category_detail if details else row.category_detail
    method = "Swakelola" if row.self_managed else details.method_detail if details else row.method_detail
    milestones = details.milestones if details else ()
    if not any(milestone.title == _SCHEDULES[0] for milestone in milestones) and row.time:
        milestones = (row.time, *milestones)
    buyer = details.buyer if details else row.buyer or buyer
    return Tender(
        portal=portal.id,
        kind=Kind.PLAN,
        key=row.key,
        title=details.title if details else row.title,
        url=url,
        description=details.description if details else None,
        buyer=buyer,
        procuring_entity=(details and details.procuring_entity) or row.procuring_entity,
        category=find_category(category),
        category_detail=category,
        method=find_method(method),
        method_detail=method,
        status=Status.PLANNED,
        budget=details.budget if details else row.budget,
        fiscal_years=(details and details.fiscal_years) or (year,),
        published=details.published if details else None,
        locations=details.locations if details else (),
        plans=(row.key,),
        milestones=milestones,
        incomplete=failed,
        unread=_unread(row, details, buyer),
    )


def _unread(row: Row, details: Details | None, buyer: str | None) -> frozenset[str]:
    """Fields that nothing read tells of. All others are known, though most of a plan's are empty."""
    unread = set(_FROM_DETAILS)
    if details:
        unread = set(_OPTIONAL.values()) - details.told
    if row.time and (details or row.self_managed):
        unread -= {"milestones"}
    if not details and not row.procuring_entity:
        unread.add("procuring_entity")
    if buyer is None:
        unread.add("buyer")
    return frozenset(unread) & frozenset(TENDER_FIELDS)
