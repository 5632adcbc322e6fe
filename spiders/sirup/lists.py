"""SiRUP's lists of plans: how they are asked for, and what their answers mean. Pure.

Providers' plans (penyedia) stand in the search and in a table for each body and each work unit (satuan kerja);
self-managed ones (swakelola) in such tables only.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregator.models import Milestone, Money
from spiders.reading import (
    MONTHS,
    ShapeError,
    clean_text,
    fingerprint,
    parse_fragment,
    parse_json,
    parse_rupiah,
    strictly,
    text_of,
)


class Options(BaseModel):
    """``options`` of a portal of this family: whose plans are read. At least one of the three numbers is needed.

    ``id_kldi`` (D170) names a body to the tables, ``id_referensi`` (729) names the same body to the search, and
    ``id_satker`` one of its work units. ``nama_kldi`` is the body's name as SiRUP writes it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id_kldi: str | None = Field(default=None, pattern=r"^[A-Z]{1,4}\d{1,6}$")
    id_referensi: int | None = Field(default=None, ge=1)
    id_satker: int | None = Field(default=None, ge=1)
    nama_kldi: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _names_someone(self) -> Self:
        if self.id_kldi is None and self.id_referensi is None and self.id_satker is None:
            raise ValueError("name whose plans to read: id_kldi, id_referensi or id_satker")
        return self


# What can be asked for -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """One list. ``columns``: what the cells of its rows are; empty for the search, whose rows are objects."""

    title: str
    path: str
    self_managed: bool = False
    columns: tuple[str, ...] = ()


SEARCH = Source("search", "caripaketctr/search")
# SOURCES: rows of the tables; "again" repeats the key, which shows columns that have moved.
_BODY_PROVIDER = Source(
    "dataruppenyediakldi",
    "datatablectr/dataruppenyediakldi",
    columns=("key", "unit", "title", "budget", "method", "fund", "again", "time"),
)
_BODY_SELF_MANAGED = Source(
    "datarupswakelolakldi",
    "datatablectr/datarupswakelolakldi",
    self_managed=True,
    columns=("key", "unit", "title", "budget", "fund", "again", "time", "status"),
)
_UNIT_PROVIDER = Source(
    "dataruppenyediasatker",
    "datatablectr/dataruppenyediasatker",
    columns=("key", "title", "budget", "method", "fund", "again", "time"),
)
_UNIT_SELF_MANAGED = Source(
    "datarupswakelolasatker",
    "datatablectr/datarupswakelolasatker",
    self_managed=True,
    columns=("key", "unit", "title", "budget", "fund", "again", "time"),
)


def find_sources(options: Options) -> tuple[Source, ...]:
    """The lists that tell of these plans, each plan in one of them: the search, where it can be asked, leads."""
    if options.id_satker is not None:
        tables: tuple[Source, ...] = (_UNIT_PROVIDER, _UNIT_SELF_MANAGED)
    else:
        tables = (_BODY_PROVIDER, _BODY_SELF_MANAGED) if options.id_kldi else ()
    if options.id_referensi is None:
        return tables
    return (SEARCH, *(table for table in tables if table.self_managed))


_SEARCH_COLUMNS = (
    *("", "paket", "pagu", "jenisPengadaan", "isPDN", "isUMK"),
    *("metode", "pemilihan", "kldi", "satuanKerja", "lokasi", "id"),
)


def render_query(source: Source, options: Options, year: int, draw: int, start: int, length: int) -> str:
    """The query of one page. The search is ordered by key: its default order is not stable between pages."""
    if source is not SEARCH:
        whose = {"idSatker": options.id_satker} if options.id_satker is not None else {"idKldi": options.id_kldi}
        paging = {"iDisplayStart": start, "iDisplayLength": length, "sSearch": "", "sEcho": draw}
        return urlencode({**whose, "tahun": year, **paging})
    query: dict[str, object] = {"tahunAnggaran": year, "jenisPengadaan": "", "metodePengadaan": "", "minPagu": ""}
    query |= {
        "maxPagu": "",
        "bulan": "",
        "lokasi": "",
        "kldi": options.id_referensi,
        "pdn": "",
        "ukm": "",
        "draw": draw,
    }
    for n, name in enumerate(_SEARCH_COLUMNS):  # without them the search is said to find nothing
        query |= {
            f"columns[{n}][data]": name,
            f"columns[{n}][name]": "",
            f"columns[{n}][searchable]": "true" if name else "false",
            f"columns[{n}][orderable]": "true" if name else "false",
            f"columns[{n}][search][value]": "",
            f"columns[{n}][search][regex]": "false",
        }
    query |= {"order[0][column]": _SEARCH_COLUMNS.index("id"), "order[0][dir]": "ASC"}
    query |= {"start": start, "length": length, "search[value]": "", "search[regex]": "false"}
    return urlencode(query)


# What is answered ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One plan of a list. ``id_kldi``, ``id_referensi``, ``id_satker``: whose it is, where the list tells that."""

    key: str
    title: str
    self_managed: bool
    budget: Money | None
    buyer: str | None = None
    procuring_entity: str | None = None
    category_detail: str | None = None
    method_detail: str | None = None
    time: Milestone | None = None
    id_kldi: str | None = None
    id_referensi: str | None = None
    id_satker: str | None = None
    fingerprint: bytes = b""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. ``total``: how many rows the source says the whole list has; ``wrong``: unreadable ones."""

    rows: tuple[Row, ...]
    total: int
    wrong: tuple[ShapeError, ...] = ()

    @property
    def length(self) -> int:
        """The number of rows that came."""
        return len(self.rows) + len(self.wrong)


def parse_page(body: bytes, source: Source, zone: ZoneInfo) -> Page:
    """ShapeError when it is no JSON of the list's shape (an HTML page, say), or when no row can be read.

    A page without rows is data.
    """
    total, rows = ("recordsFiltered", "data") if source is SEARCH else ("iTotalDisplayRecords", "aaData")
    answer = parse_json(body, "a list answer that is no JSON")
    found = answer.get(rows) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ShapeError(f"a list answer without {rows}", body[:120].decode("utf-8", "replace"))
    count = str(answer.get(total))
    if not re.fullmatch(r"[0-9]{1,9}", count):
        raise ShapeError(f"a list answer whose {total} is no number", count)
    parse = _parse_found if source is SEARCH else _parse_cells
    read: list[Row] = []
    wrong: list[ShapeError] = []
    for row in found:
        try:
            with strictly("a row"):
                read.append(parse(row, source, zone))
        except ShapeError as error:
            wrong.append(error)
    if wrong and not read:
        raise wrong[0]
    return Page(tuple(read), int(count), tuple(wrong))


_NEEDED = frozenset({"id", "paket", "pagu", "jenisPengadaan", "metode", "pemilihan"})
_NEEDED |= {"kldi", "idKldi", "satuanKerja", "idSatker"}
_UNUSED = frozenset({"isPDN", "isUMK", "idBulan", "idMetode", "idJenisPengadaan", "idlokasi", "idsLokasi", "pds"})
_FIELDS = _NEEDED | _UNUSED | {"id_referensi", "lokasi", "sumberDana"}


def _parse_found(found: object, source: Source, zone: ZoneInfo) -> Row:
    """A row of the search."""
    if not isinstance(found, dict) or not found.keys() >= _NEEDED:
        missing = ", ".join(sorted(_NEEDED - found.keys())) if isinstance(found, dict) else "object"
        raise ShapeError(f"a row of the search without {missing}", found)
    time, unknown = _parse_when(found["pemilihan"], "Waktu Pemilihan", zone)
    told = [f"{name}={found[name]}" for name in sorted(found.keys() & _FIELDS - _UNUSED)]
    return Row(
        key=_key(found["id"], found),
        title=_title(found["paket"], found),
        self_managed=False,
        budget=_amount(found["pagu"]),
        buyer=_text(found["kldi"]),
        procuring_entity=_text(found["satuanKerja"]),
        category_detail=_text(found["jenisPengadaan"]),
        method_detail=_text(found["metode"]),
        time=time,
        id_kldi=_text(found["idKldi"]),
        id_referensi=_text(found.get("id_referensi")),
        id_satker=_text(found["idSatker"]),
        fingerprint=fingerprint(told),
        unknown=(*unknown, *(f"column {name}" for name in sorted(found.keys() - _FIELDS))),
    )


def _parse_cells(cells: object, source: Source, zone: ZoneInfo) -> Row:
    """A row of a table."""
    if not isinstance(cells, list) or len(cells) != len(source.columns):
        raise ShapeError(f"a row of {source.title} that has not {len(source.columns)} cells", cells)
    named: Mapping[str, Any] = dict(zip(source.columns, cells, strict=True))
    key = _key(named["key"], cells)
    if _key(named["again"], cells) != key:
        raise ShapeError(f"a row of {source.title} whose two Kode RUP differ", cells)
    when = "Waktu Pelaksanaan" if source.self_managed else "Waktu Pemilihan"
    time, unknown = _parse_when(named["time"], when, zone)
    return Row(
        key=key,
        title=_title(named["title"], cells),
        self_managed=source.self_managed,
        budget=_amount(named["budget"]),
        procuring_entity=_text(named.get("unit")),
        method_detail=_text(named.get("method")),
        time=time,
        fingerprint=fingerprint(str(cell) for cell in cells),
        unknown=unknown,
    )


def _key(value: object, row: object) -> str:
    text = _text(value) or ""
    if not re.fullmatch(r"\d{1,15}", text):
        raise ShapeError("a row whose Kode RUP is no number", row)
    return text


def _title(value: object, row: object) -> str:
    text = _text(value)
    if not text:
        raise ShapeError("a row without a name", row)
    return text


def _text(value: object) -> str | None:
    """A cell's text, which may be written as HTML; None where there is none."""
    match value:
        case None:
            return None
        case bool():
            raise ShapeError("a cell that is no text", value)
        case int():
            return str(value)
        case str():
            marked = "<" in value or "&" in value
            return (text_of(parse_fragment(value)) if marked else clean_text(value)) or None
        case _:
            raise ShapeError("a cell that is no text", value)


def _amount(value: object) -> Money | None:
    """A pagu: a whole number or a text of one."""
    match value:
        case None:
            return None
        case str():
            return parse_rupiah(value)
        case int() | Decimal() if not isinstance(value, bool):
            return Money(Decimal(value))
        case _:
            raise ShapeError("a pagu that is no number", value)


def _parse_when(value: object, title: str, zone: ZoneInfo) -> tuple[Milestone | None, tuple[str, ...]]:
    """A row's month as a milestone with its column's title; other words are handed back as unknown."""
    text = _text(value) or ""
    try:
        month = parse_month(text, zone)
    except ShapeError:
        return None, (f"time {text}",)
    return (Milestone(title=title, starts=month[0], ends=month[1]) if month else None), ()


def parse_month(text: str, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """First and last minute of ``January 2026`` or ``Maret 2026`` in ``zone``; blank or a dash → None."""
    text = clean_text(text)
    if text in {"", "-"}:
        return None
    match = re.fullmatch(r"([A-Za-z]+) (\d{4})", text)
    month = MONTHS.get(match[1].lower()) if match else None
    if not match or month is None:
        raise ShapeError("a month that is none", text)
    year = int(match[2])
    if not 1990 <= year <= 2200:
        raise ShapeError("a month of a year that cannot be", text)
    last = calendar.monthrange(year, month)[1]
    return datetime(year, month, 1, tzinfo=zone), datetime(year, month, last, 23, 59, tzinfo=zone)
