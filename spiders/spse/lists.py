"""SPSE's lists and home page as values: pure functions of bytes.

A category or badge without a meaning here is handed back in ``unknown``; another shape is a ShapeError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from lxml.html import HtmlElement

from aggregator.models import Kind, Money
from spiders.reading import (
    ShapeError,
    clean_text,
    fingerprint,
    parse_fragment,
    parse_html,
    parse_json,
    parse_rupiah,
    parse_time,
    strictly,
    text_of,
)
from spiders.spse.pages import parse_stage, parse_years, split_badges
from spiders.spse.words import METHODS, find_category, unknown_badges

_TOKEN = re.compile(rb"authenticityToken\s*=\s*['\"]([0-9a-fA-F]{16,64})['\"]")
_KEY = re.compile(r"[0-9]{1,32}")
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


def parse_list(body: bytes, kind: Kind) -> tuple[list[Row], list[ShapeError]]:
    """The rows of one DataTables answer, and what is wrong with those that cannot be read.

    ShapeError when it is no JSON of that shape (an HTML page, say), or when no row can be read.
    """
    answer = parse_json(body, "a list answer that is no JSON")
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ShapeError("a list answer without data", body[:120].decode("utf-8", "replace"))
    read: list[Row] = []
    wrong: list[ShapeError] = []
    for cells in rows:
        try:
            with strictly("a row"):
                read.append(_parse_row(cells, kind))
        except ShapeError as error:
            wrong.append(error)
    if wrong and not read:
        raise wrong[0]
    return read, wrong


def _parse_row(cells: object, kind: Kind) -> Row:
    columns = _LISTS[kind]
    if not isinstance(cells, list) or len(cells) != columns.width:
        raise ShapeError(f"a {kind} row that has not {columns.width} cells", cells)
    if not all(cell is None or isinstance(cell, str | int) for cell in cells):
        raise ShapeError(f"a {kind} row with a cell that is no text", cells)
    texts = ["" if cell is None else str(cell) for cell in cells]
    key = texts[0].strip()
    if not _KEY.fullmatch(key):
        raise ShapeError(f"a {kind} row whose key is no number", cells)
    title, badges = _split_name(texts[1])
    if not title:
        raise ShapeError(f"a {kind} row without a name", cells)
    category = _cell(texts, columns.category).rsplit(" - TA", 1)[0]
    stage = parse_stage(_plain(texts[columns.stage]))
    told = [stage if n == columns.stage else text for n, text in enumerate(texts) if n not in columns.skipped]
    return Row(
        key=key,
        title=title,
        buyer=_cell(texts, columns.buyer) or None,
        stage=stage,
        category_detail=category or None,
        method_detail=_cell(texts, columns.method) or None,
        fiscal_years=parse_years(texts[columns.year].rsplit(" - TA", 1)[-1]),
        badges=badges,
        fingerprint=fingerprint(told),
        unknown=unknown_badges(badges),
    )


def _cell(texts: Sequence[str], index: int | None) -> str:
    return "" if index is None else _plain(texts[index])


def _plain(markup: str) -> str:
    """A cell's text; the portal writes cells as HTML."""
    if "<" not in markup and "&" not in markup:
        return clean_text(markup)
    return text_of(parse_fragment(markup))


def _split_name(markup: str) -> tuple[str, tuple[str, ...]]:
    """A name cell's name and badges (``<span class='badge …'>Tender Ulang</span>``)."""
    if "<" not in markup and "&" not in markup:
        return clean_text(markup), ()
    return split_badges(parse_fragment(markup))


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


_COUNT = re.compile(r"[0-9]{1,9}")
_PACKAGE = re.compile(r"/(lelang|nontender)/([0-9]{1,32})/pengumuman(?:lelang|pl)\b")
_HOME_KINDS = {"lelang": Kind.TENDER, "nontender": Kind.NON_TENDER}
_HOME_HEAD = ["No", "Nama Paket", "HPS", "Akhir Pendaftaran"]


def parse_home(body: bytes, zone: ZoneInfo) -> Home:
    """Every package now open. ShapeError when the page has no package table or one with another head."""
    tables = [table for table in parse_html(body).iter("table") if "table-sm" in (table.get("class") or "").split()]
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
    table: HtmlElement, zone: ZoneInfo, rows: list[HomeRow], short: list[str], unknown: list[str]
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
            announced = int(badges[0]) if badges and _COUNT.fullmatch(badges[0]) else None
            found = 0
            if category and not find_category(category):
                unknown.append(f"category {category}")
        elif len(cells) == 4:
            rows.append(_parse_home_row(cells, category, zone))
            found += 1
        elif cells:
            raise ShapeError(f"a home page row of {len(cells)} cells", text_of(tr))
    close_category()


def _parse_home_row(cells: Sequence[HtmlElement], category: str | None, zone: ZoneInfo) -> HomeRow:
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
