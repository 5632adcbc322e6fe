"""Tenders as a workbook for Excel and LibreOffice: real numbers, real dates, and texts that are never formulas."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import escape
from typing import IO, TYPE_CHECKING, Any

from aggregator.exports.columns import COLUMNS, Clocks, Language, Row, Type, Write, read_rows
from aggregator.models import Record

if TYPE_CHECKING:
    from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

MOST_ROWS = 1_048_576  # of a sheet, headings included
_EXACT_DIGITS = 15  # of a number: Excel keeps doubles
_MOST_TEXT = 32_767  # of a cell, in units of UTF-16
_ESCAPE = re.compile("_(?=x[0-9a-fA-F]{4}_)")
_FIRST_YEAR = 1901  # Excel has no dates before 1900, and counts a day too many in that year
_DAY_NOUGHT, _DAY = datetime(1899, 12, 30), timedelta(days=1)  # noqa: DTZ001  dates of Excel have no zones
# The same workbook whenever it is made: no clock goes into it.
_CREATED = datetime(2000, 1, 1, tzinfo=UTC)
_SHEET = {None: "tenders", "en": "Tenders", "id": "Paket"}
_WIDTHS = {Type.AMOUNT: 20, Type.TIME: 17, Type.COUNT: 10, Type.FLAG: 10, Type.YEARS: 12, Type.TEXTS: 30}
_TEXT_WIDTHS = {"title": 60, "description": 40, "buyer": 28, "procuring_entity": 36, "url": 40, "key": 16}


def write_xlsx(
    records: Iterable[Record],
    stream: IO[bytes],
    clocks: Clocks,
    language: Language | None = None,
    *,
    rows: int = MOST_ROWS,
) -> None:
    """A row for each record below one of headings, names of columns where there is no ``language``; after ``rows`` rows
    a further sheet. Times are in the portal's zone, for dates of Excel have none.

    Rows wait in the folder for temporary files. An amount of more than 15 digits is a text, since Excel would round
    it; a text longer than a cell holds (32,767 characters) is cut there.
    """
    with open_xlsx(stream, language, rows=rows) as write:
        for batch in read_rows(records, clocks):
            write(batch)


@contextmanager
def open_xlsx(stream: IO[bytes], language: Language | None = None, *, rows: int = MOST_ROWS) -> Iterator[Write]:
    """The same, for rows that are read elsewhere."""
    with tempfile.TemporaryDirectory(prefix="warta-") as folder:
        if stream.seekable():
            with _open_book(stream, language, rows, folder) as write:
                yield write
            return
        with tempfile.TemporaryFile(dir=folder) as whole:  # a ZIP is made otherwise where one cannot go back
            with _open_book(whole, language, rows, folder) as write:
                yield write
            whole.seek(0)
            shutil.copyfileobj(whole, stream)


@contextmanager
def _open_book(stream: IO[bytes], language: Language | None, most: int, folder: str) -> Iterator[Write]:
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

    book = Workbook(stream, {"constant_memory": True, "tmpdir": folder})
    book.set_properties({"title": _SHEET[language], "created": _CREATED})
    book.use_zip64()  # a sheet of a million tenders is more than 4 GB before it is packed
    sheet, last = _add_sheet(book, language), 0
    formats = (book.add_format({"num_format": form}) for form in ("#,##0.00", "yyyy-mm-dd hh:mm"))
    render = _make_renderer(*(each._get_xf_index() for each in formats))

    def write(rows: Iterable[Row]) -> None:
        nonlocal sheet, last
        for row in rows:
            if last + 1 == most:
                _finish(sheet, last)
                sheet, last = _add_sheet(book, language), 0
            last += 1
            _add_row(sheet, last, render(row, last + 1))

    try:
        yield write
        _finish(sheet, last)
        book.close()
    finally:
        for each in book.worksheets():
            each.row_data_fh.close()  # which an error would leave open


def _add_sheet(book: Workbook, language: Language | None) -> Worksheet:
    number = len(book.worksheets()) + 1
    sheet = book.add_worksheet(_SHEET[language] + (f" {number}" if number > 1 else ""))
    sheet.freeze_panes(1, 0)
    heading = book.add_format({"bold": True, "bottom": 1})
    for place, column in enumerate(COLUMNS):
        width = _WIDTHS.get(column.type) or _TEXT_WIDTHS.get(column.name, 18)
        sheet.set_column(place, place, width)
        sheet.write_string(0, place, column.heading(language), heading)
    return sheet


def _finish(sheet: Worksheet, last: int) -> None:
    sheet.autofilter(0, 0, last, len(COLUMNS) - 1)


def _add_row(sheet: Worksheet, row: int, markup: str) -> None:
    """Below all others. Through xlsxwriter's own methods a cell takes ten times as long, and they take a text that
    looks like markup of a rich one (<r>…</r>) for that: it could bring formulas in."""
    if row > sheet.previous_row:
        sheet._write_single_row(row)  # what waits, which are the headings
    sheet._check_dimensions(row, len(COLUMNS) - 1)
    sheet.row_data_fh.write(markup)


def _make_renderer(amount: int, time: int) -> Callable[[Row, int], str]:
    """Renders a row of the sheet with its number, from 1 on. ``amount`` and ``time`` are the numbers of their formats.

    ECMA-376 part 1, 18.3.1.4: each cell has its place, its format, its type where that is not a number, its value.
    """

    def render_amount(value: Decimal) -> str:
        if len(value.normalize().as_tuple().digits) > _EXACT_DIGITS:
            return _render_text(f"{value:f}")
        return f' s="{amount}"><v>{float(value):.16G}</v></c>'

    def render_time(value: datetime) -> str:
        if value.year < _FIRST_YEAR:
            return _render_text(value.isoformat())
        return f' s="{time}"><v>{(value.replace(tzinfo=None) - _DAY_NOUGHT) / _DAY:.16G}</v></c>'

    by_type: Mapping[Type, Callable[[Any], str]] = {
        Type.TEXT: _render_text,
        Type.TEXTS: _render_list,
        Type.YEARS: _render_list,
        Type.COUNT: lambda value: f"><v>{value}</v></c>",
        Type.AMOUNT: render_amount,
        Type.TIME: render_time,
        Type.FLAG: lambda value: f' t="b"><v>{value:d}</v></c>',
    }
    columns = [(_name_column(place), by_type[column.type]) for place, column in enumerate(COLUMNS)]

    def render(row: Row, number: int) -> str:
        cells = [
            f'<c r="{name}{number}"{render_value(value)}'
            for (name, render_value), value in zip(columns, row, strict=True)
            if value is not None and value != ()
        ]
        return f'<row r="{number}">{"".join(cells)}</row>'

    return render


def _name_column(place: int) -> str:
    """A … Z, AA …"""
    return (_name_column(place // 26 - 1) if place > 25 else "") + chr(ord("A") + place % 26)


def _render_list(values: Iterable[str | int]) -> str:
    return _render_text("; ".join(map(str, values)))


def _render_text(text: str) -> str:
    """An inline string: whatever it looks like, it is neither formula nor link nor markup."""
    if len(text) > _MOST_TEXT // 2:
        text = text.encode("utf-16-le")[: 2 * _MOST_TEXT].decode("utf-16-le", "ignore")
    space = ' xml:space="preserve"' if text != text.strip() else ""
    # 22.9.2.19: _xHHHH_ stands for a character, so that a text which has that itself says so; XML reads CR as LF.
    text = _ESCAPE.sub("_x005F_", text) if "_x" in text else text
    text = escape(text, quote=False).replace("\r", "_x000D_")
    return f' t="inlineStr"><is><t{space}>{text}</t></is></c>'
