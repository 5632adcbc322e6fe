"""Tenders as a workbook for Excel and LibreOffice: real numbers, real dates, and texts that are never formulas."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

from aggregator.exports.columns import COLUMNS, Clocks, Language, Type, read_row
from aggregator.models import Record

if TYPE_CHECKING:
    from xlsxwriter.format import Format  # type: ignore[import-untyped]
    from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

MOST_ROWS = 1_048_576  # of a sheet, headings included
_EXACT_DIGITS = 15  # of a number: Excel keeps doubles
_FIRST_YEAR = 1900  # Excel has no dates before
# The same workbook whenever it is made: no clock goes into it.
_CREATED = datetime(2000, 1, 1, tzinfo=UTC)
_OPTIONS = {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm"}
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
    with tempfile.TemporaryDirectory(prefix="warta-") as folder:
        if stream.seekable():
            _write_book(records, stream, clocks, language, rows, folder)
            return
        with tempfile.TemporaryFile(dir=folder) as whole:  # a ZIP is made otherwise where one cannot go back
            _write_book(records, whole, clocks, language, rows, folder)
            whole.seek(0)
            shutil.copyfileobj(whole, stream)


def _write_book(
    records: Iterable[Record], stream: IO[bytes], clocks: Clocks, language: Language | None, rows: int, folder: str
) -> None:
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

    book = Workbook(stream, {**_OPTIONS, "tmpdir": folder})
    book.set_properties({"title": _SHEET[language], "created": _CREATED})
    book.use_zip64()  # a sheet of a million tenders is more than 4 GB before it is packed
    sheet, row = _add_sheet(book, language), 0
    amount = book.add_format({"num_format": "#,##0.00"})
    for record in records:
        row += 1
        if row == rows:
            _finish(sheet, row - 1)
            sheet, row = _add_sheet(book, language), 1
        for place, value in enumerate(read_row(record, clocks)):
            if value is not None and value != ():
                _write_cell(sheet, row, place, value, amount)
    _finish(sheet, row)
    book.close()


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


def _write_cell(sheet: Worksheet, row: int, place: int, value: Any, amount: Format) -> None:
    match value:
        case bool():
            sheet.write_boolean(row, place, value)
        case int():
            sheet.write_number(row, place, value)
        case Decimal() if len(value.normalize().as_tuple().digits) <= _EXACT_DIGITS:
            sheet.write_number(row, place, float(value), amount)
        case Decimal():
            sheet.write_string(row, place, f"{value:f}")
        case datetime(year=year) if year >= _FIRST_YEAR:
            sheet.write_datetime(row, place, value.replace(tzinfo=None))
        case datetime():
            sheet.write_string(row, place, value.isoformat())
        case tuple():
            sheet.write_string(row, place, "; ".join(str(each) for each in value))
        case _:
            sheet.write_string(row, place, value)
