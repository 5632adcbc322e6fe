"""Tenders as CSV (RFC 4180): UTF-8 with a byte order mark, which Excel needs, and no cell that runs as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

from aggregator.exports.columns import COLUMNS, Clocks, Language, Row, Type, Write, read_rows
from aggregator.models import Record

# What a spreadsheet takes for a formula: the signs (full-width ones too), alone or behind blanks and quotes
# (owasp.org/www-community/attacks/CSV_Injection). Where lists are separated by semicolons, as in Indonesia, Excel
# reads this file with other cells: it begins a new one behind each ; tab or line feed inside of a text.
_FORMULA = re.compile(r"""(^|[;\t\r\n])(?=[\s"']*(?:[=+\-@\t\r]|[＝＋－＠]))""")
_NEUTRAL = re.compile(r"""(^|[;\t\r\n])'(?=[\s"']*(?:[=+\-@\t\r]|[＝＋－＠]))""")
_MARK = "\ufeff"


def write_csv(records: Iterable[Record], stream: IO[bytes], clocks: Clocks, language: Language | None = None) -> None:
    """A row for each record below one of headings, names of columns where there is no ``language``.

    Amounts are plain decimals; times ISO 8601 with the offset of the portal's zone; lists are joined by ``"; "``.
    """
    with open_csv(stream, language) as write:
        for rows in read_rows(records, clocks):
            write(rows)


@contextmanager
def open_csv(stream: IO[bytes], language: Language | None = None) -> Iterator[Write]:
    """The same, for rows that are read elsewhere."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # ends lines with CR LF, quotes what needs it

    def flush() -> None:
        stream.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()

    def write(rows: Iterable[Row]) -> None:
        writer.writerows(map(_render_row, rows))
        flush()

    text.write(_MARK)
    writer.writerow([column.heading(language) for column in COLUMNS])
    flush()
    yield write


def neutralise(text: str) -> str:
    """``text`` with ' before whatever would run as a formula."""
    if text[:1].isalnum() and ";" not in text and text.isprintable():
        return text  # no place in it for _FORMULA, and that is told sooner
    return _FORMULA.sub(r"\1'", text)


def parse_text(cell: str) -> str:
    """The inverse of ``neutralise``, for programs that read the file back."""
    return _NEUTRAL.sub(r"\1", cell)


def _render_row(row: Row) -> list[str | int]:
    return ["" if value is None else render(value) for render, value in zip(_RENDER, row, strict=True)]


def _render_list(values: Iterable[str | int]) -> str:
    return neutralise("; ".join(str(each).replace(";", ",") for each in values)) if values else ""


_BY_TYPE: Mapping[Type, Callable[[Any], str | int]] = {
    Type.TEXT: neutralise,
    Type.TEXTS: _render_list,
    Type.YEARS: _render_list,
    Type.COUNT: int,
    Type.AMOUNT: "{:f}".format,
    Type.TIME: datetime.isoformat,
    Type.FLAG: lambda value: "true" if value else "false",
}
_RENDER = [_BY_TYPE[column.type] for column in COLUMNS]
