"""Strict readers that two or more families use: label tables, rupiah, Indonesian dates. Pure; all raise ShapeError."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import lxml.html
from lxml import etree
from lxml.html import HtmlElement

from aggregator.models import Money

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("januari", "january", "jan"),
            ("februari", "february", "pebruari", "feb"),
            ("maret", "march", "mar"),
            ("april", "apr"),
            ("mei", "may"),
            ("juni", "june", "jun"),
            ("juli", "july", "jul"),
            ("agustus", "august", "agu", "aug"),
            ("september", "sept", "sep"),
            ("oktober", "october", "okt", "oct"),
            ("november", "nopember", "nov"),
            ("desember", "december", "des", "dec"),
        ),
        start=1,
    )
    for name in names
}

MOST_VALUES = 500_000  # in one JSON: an empty list has two bytes there and some 60 in memory
MOST_TAGS = 200_000  # in one page or feed; the largest list of packages has some 50,000
LARGEST_PAGE = 4 * 1024 * 1024  # bytes; pages have some 60 kB, the longest home page less than one MB
_MOST_ATTRIBUTES = 2_000
_MOST_DIGITS = 40  # of a number: more is no amount, and takes hours to reckon with
_MOST_POWER = 20  # of ten, to the same end

_RUPIAH = re.compile(r"(?:Rp\.?\s*)?(-?)(\d{1,3}(?:\.\d{3})*|\d+)(?:,(\d{1,2}))?")
_DAY = re.compile(r"(\d{1,2})[ -]([A-Za-z]+|\d{1,2})[ -](\d{4})(?:,? (\d{1,2})[:.](\d{2})(?::(\d{2}))?)?")


class Refusal(StrEnum):
    """What an error page that comes with a good status really says."""

    ERROR = "error"
    MISSING = "not found"
    DENIED = "access denied"


class ShapeError(ValueError):
    """A page, row or value that is not what it should be. The message names the thing; ``sample`` shows it."""

    def __init__(self, what: str, sample: object = "") -> None:
        super().__init__(what)
        self.sample = clean_text(str(sample))[:200]


@contextmanager
def strictly(what: str) -> Iterator[None]:
    """ShapeError, which says ``what``, for anything else that goes wrong while one row is read: it breaks no other.

    The error is named by its kind alone: its words may hold what must not be kept.
    """
    try:
        yield
    except ShapeError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ShapeError(f"{what} that cannot be read: {type(error).__name__}") from error


def clean_text(text: str) -> str:
    """White space folded to single spaces; control characters, lone surrogates and non-characters dropped.

    Everything else stays: quotes, emoji and their joiners, letters of any script.
    """
    if not (text.isascii() and text.isprintable()):
        text = _UNWANTED.sub("", text)
    return " ".join(text.split())


_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
    + "]"
)
_BLOCKS = frozenset({"br", "div", "li", "ol", "p", "table", "tbody", "td", "th", "thead", "tr", "ul"})


def parse_json(body: bytes, what: str, most: int = MOST_VALUES) -> Any:
    """Strict JSON with exact numbers and no NaN. ShapeError, which says ``what``, where it is none.

    A number that nobody could reckon with stays the text that it is, so that only its own row is no good.
    """
    refuse_many_values(body, most)
    try:
        return json.loads(
            body.decode("utf-8-sig"), parse_float=_number, parse_int=_whole, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise ShapeError(what, body[:200].decode("utf-8", "replace")) from error


def refuse_many_values(body: bytes, most: int) -> None:
    """ShapeError for JSON that would take many times its size in memory."""
    if sum(map(body.count, (b",", b"[", b"{"))) > most:
        raise ShapeError(f"JSON of more than {most} values", body[:200].decode("utf-8", "replace"))


def _number(text: str) -> Decimal | str:
    if len(text) > _MOST_DIGITS:
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:  # of a power that itself has too many digits
        return text
    return number if abs(number.adjusted()) <= _MOST_POWER else text


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= _MOST_DIGITS else text


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def refuse_many_tags(body: bytes, most: int = MOST_TAGS) -> None:
    """ShapeError for what holds more tags than any page needs: each takes many times its size in memory."""
    if body.count(b"<") > most:
        raise ShapeError(f"more than {most} tags", body[:200].decode("utf-8", "replace"))


def _has_many_attributes(piece: bytes) -> bool:
    """Whether more words stand in a tag than any has: libxml2 compares each attribute with all before it."""
    return len(piece.partition(b"<")[2].split()) > _MOST_ATTRIBUTES


def parse_html(body: bytes) -> HtmlElement:
    """The page's tree, read as UTF-8. ShapeError when there is nothing in it, or too much."""
    refuse_many_tags(body)
    if len(body) > LARGEST_PAGE or any(_has_many_attributes(piece) for piece in body.split(b">") if len(piece) > 4096):
        raise ShapeError("a page that is too large, or a tag in it", body[:200].decode("utf-8", "replace"))
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        root = lxml.html.document_fromstring(body, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise ShapeError("an empty page", body[:80]) from error
    return root


def parse_fragment(markup: str) -> HtmlElement:
    """A piece of HTML, such as a cell of a JSON list, in a tree of its own."""
    return parse_html(f"<div>{clean_text(markup)}</div>".encode())


def text_of(element: HtmlElement) -> str:
    """All text below ``element``, cleaned, words of neighbouring cells and lines kept apart."""
    return clean_text("".join(_texts(element)))


def _texts(element: HtmlElement) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        gap = " " if child.tag in _BLOCKS else ""
        yield gap
        yield from _texts(child)
        yield gap
        yield child.tail or ""


def rows_of(table: HtmlElement) -> Iterator[list[HtmlElement]]:
    """The cells of each row of ``table`` itself, with or without tbody; rows of tables inside stay out."""
    for child in table:
        if child.tag == "tr":
            yield [cell for cell in child if cell.tag in ("th", "td")]
        elif child.tag in ("thead", "tbody", "tfoot"):
            yield from rows_of(child)


def parse_labels(table: HtmlElement) -> Iterator[tuple[str, HtmlElement]]:
    """Label and value cell of a label table; a row may hold two pairs (``th td th td``)."""
    for cells in rows_of(table):
        label: str | None = None
        for cell in cells:
            if cell.tag == "th":
                label = text_of(cell)
            elif label is not None:
                yield label, cell
                label = None


def parse_table(table: HtmlElement) -> Iterator[dict[str, HtmlElement]]:
    """Rows of a table with a head row, as heading → cell. Rows of another width are ShapeErrors."""
    rows = rows_of(table)
    head = [text_of(cell) for cell in next(rows, [])]
    for cells in rows:
        if len(cells) != len(head):
            raise ShapeError(f"a row of {len(cells)} cells under the head {', '.join(head)}", _sample(cells))
        yield dict(zip(head, cells, strict=True))


def _sample(cells: Iterable[HtmlElement]) -> str:
    return " | ".join(text_of(cell) for cell in cells)


def parse_rupiah(text: str) -> Money | None:
    """``Rp. 787.406.000,00`` → exact IDR; blank or a dash → None."""
    text = clean_text(text)
    if text in {"", "-"}:
        return None
    match = _RUPIAH.fullmatch(text)
    if not match:
        raise ShapeError("an amount that is no rupiah", text)
    cents = (match[3] or "").ljust(2, "0")
    return Money(Decimal(f"{match[1]}{match[2].replace('.', '')}.{cents}"))


def parse_time(text: str, zone: ZoneInfo) -> datetime | None:
    """``11 Agustus 2026``, ``19 Agustus 2026 20:00`` or ``08-04-2026`` in ``zone``; blank or a dash → None."""
    text = clean_text(text)
    if text in {"", "-"}:
        return None
    match = _DAY.fullmatch(text)
    month = _month(match[2]) if match else None
    if not match or month is None:
        raise ShapeError("a time that is no Indonesian date", text)
    hour, minute, second = (int(part or 0) for part in match.groups()[3:])
    try:
        return datetime(int(match[3]), month, int(match[1]), hour, minute, second, tzinfo=zone)
    except ValueError as error:
        raise ShapeError("a date that does not exist", text) from error


def _month(name: str) -> int | None:
    return int(name) if name.isdigit() else MONTHS.get(name.lower())


def parse_count(text: str) -> int:
    """The whole number that ``text`` begins with: ``5 peserta`` → 5, ``1 kali perubahan`` → 1."""
    match = re.match(r"\d{1,9}(?!\d)", clean_text(text))
    if not match:
        raise ShapeError("a count without a number", text)
    return int(match[0])


def fingerprint(cells: Iterable[str]) -> bytes:
    """Eight bytes that differ when a row does; never empty."""
    return blake2b("\x1f".join(cells).encode("utf-8", "surrogatepass"), digest_size=8).digest()
