"""Tenders as CSV (RFC 4180): UTF-8 with a byte order mark, which Excel needs, and no cell that runs as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

from aggregator.exports.columns import COLUMNS, Clocks, Language, read_row
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
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # ends lines with CR LF, quotes what needs it
    text.write(_MARK)
    writer.writerow([column.heading(language) for column in COLUMNS])
    for record in records:
        writer.writerow([_render(value) for value in read_row(record, clocks)])
        stream.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()
    stream.write(text.getvalue().encode())  # the headings, where there is no record


def neutralise(text: str) -> str:
    """``text`` with ' before whatever would run as a formula."""
    return _FORMULA.sub(r"\1'", text)


def parse_text(cell: str) -> str:
    """The inverse of ``neutralise``, for programs that read the file back."""
    return _NEUTRAL.sub(r"\1", cell)


def _render(value: Any) -> str | int:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return value
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat()
        case tuple():
            return neutralise("; ".join(str(each).replace(";", ",") for each in value))
        case _:
            return neutralise(value)
