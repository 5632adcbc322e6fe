"""What all of LKPP's services have in common: an array of objects, read cell by cell. Pure; all raise ShapeError.

A service answers a question that it does not understand with status 200 and a word in place of JSON, which is never
the same as an empty array.
"""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time
from decimal import Decimal
from html import unescape
from zoneinfo import ZoneInfo

from aggregator.models import Money, Tender
from spiders.reading import ShapeError, clean_text, fingerprint, parse_json, strictly

_NOT_DEFINED = re.compile(rb"URL-NOT-DEFINED|<invalid_response", re.IGNORECASE)
_CENT = Decimal("0.01")
NO_ROWS = "no JSON where rows were due"
MOST_VALUES = 8_000_000  # a service answers a year of plans at once: 150,000 of some 40 values
# People's names and numbers, and the tax numbers of suppliers: dropped before anything is compared or kept.
PERSONAL = frozenset(
    {
        *("nama_ppk", "nip_ppk", "username_ppk", "nama_pokja", "nip_pokja", "nip_nama_pokja"),
        *("npwp_penyedia", "npwp_16_penyedia", "npwp16_penyedia", "npwp_penyedia_16"),
        *("nama_koresponden", "email_koresponden", "alamat_penyedia", "alamat_tambahan_penyedia"),
    }
)
_MOVING = frozenset({"_event_date", "tgl_penarikan"})  # when LKPP copied the row: no news of the package


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a row does not say itself: whose it is, its clock, when it is read and where it came from.

    ``page`` is an address with ``{key}`` in it, or one without.
    """

    portal: str
    zone: ZoneInfo
    now: datetime
    year: int
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row, or several of the same package, as a tender. ``of``: the codes and names of whose it says it is."""

    tender: Tender
    years: tuple[int, ...]
    of: dict[str, str]
    fingerprint: bytes
    unknown: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.tender.key


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer told. ``wrong``: rows that could not be read; ``twice``: keys that stand twice in it."""

    rows: tuple[Row, ...]
    wrong: tuple[ShapeError, ...] = ()
    twice: tuple[str, ...] = ()


def parse_array(body: bytes) -> list[object]:
    """The rows of an answer; an empty array is one without rows. ShapeError for anything that is no array."""
    sample = body[:200].decode("utf-8", "replace")
    if _NOT_DEFINED.search(body[:2000]):
        raise ShapeError("the service knows no such list: check its code, number and year", sample)
    rows = parse_json(body, NO_ROWS, MOST_VALUES)
    if not isinstance(rows, list):
        raise ShapeError("an answer that is no array of rows", sample)
    return rows


def read_rows(found: Iterable[object], parse: Callable[[object], Row]) -> Page:
    """Each row by itself: a bad one breaks no other. ShapeError where none can be read."""
    rows: list[Row] = []
    wrong: list[ShapeError] = []
    for row in found:
        try:
            with strictly("a row"):
                rows.append(parse(row))
        except ShapeError as error:
            wrong.append(error)
    if wrong and not rows:
        raise wrong[0]
    return Page(tuple(rows), tuple(wrong))


class Cells:
    """The cells of one row by name. What has been asked for is known; ``rest`` names the others.

    ShapeError on making it from something else than an object, or one without the names in ``need``.
    """

    def __init__(self, row: object, what: str, need: Iterable[str] = ()) -> None:
        if not isinstance(row, dict):
            raise ShapeError(f"a row of {what} that is no object", row)
        self._what = what
        self._row = {name: value for name, value in row.items() if name.casefold() not in PERSONAL}
        self._asked: set[str] = set()
        missing = [name for name in need if name not in row]
        if missing:
            raise ShapeError(f"a row of {what} without {', '.join(missing)}", self.sample)

    @property
    def sample(self) -> str:
        return json.dumps(self._row, ensure_ascii=False, default=str)

    @property
    def fingerprint(self) -> bytes:
        told = (f"{name}={json.dumps(self._row[name], sort_keys=True, default=str)}" for name in sorted(self._row))
        return fingerprint(each for each in told if each.partition("=")[0] not in _MOVING)

    def has(self, name: str) -> bool:
        return name in self._row

    def get(self, name: str) -> object:
        self._asked.add(name)
        return self._row.get(name)

    def text(self, name: str) -> str | None:
        """Cleaned, entities resolved; numbers as they are written. None where there is nothing."""
        match self.get(name):
            case None:
                return None
            case str(value):
                return clean_text(unescape(value)) or None
            case bool() | float():
                raise self._error(name, "no text")
            case int() | Decimal() as value:
                return str(value)
            case _:
                raise self._error(name, "no text")

    def title(self, name: str) -> str:
        text = self.text(name)
        if text is None:
            raise self._error(name, "empty")
        return text

    def key(self, name: str) -> str:
        text = self.text(name) or ""
        if not re.fullmatch(r"[0-9]{1,20}", text):
            raise self._error(name, "no number")
        return text

    def flag(self, name: str) -> bool | None:
        value = self.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise self._error(name, "neither true nor false")

    def count(self, name: str) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"\d{1,9}", text):
            raise self._error(name, "no count")
        return int(text)

    def year(self, name: str) -> int | None:
        count = self.count(name)
        if count is not None and not 2000 <= count <= 2100:
            raise self._error(name, "no year")
        return count

    def money(self, name: str) -> Money | None:
        """Rupiah, with cents as SPSE writes them."""
        match self.get(name):
            case None | "":
                return None
            case bool():
                raise self._error(name, "no amount")
            case int() | Decimal() as value:
                amount = Decimal(value)
            case str(value) if re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,6})?", value.strip()):
                amount = Decimal(value.strip())
            case _:
                raise self._error(name, "no amount")
        if amount.adjusted() > 20:
            raise self._error(name, "more than there is")
        cents = amount.quantize(_CENT)
        return Money(cents if cents == amount else amount)

    def time(self, name: str, zone: ZoneInfo) -> datetime | None:
        """``2024-01-10T13:30:00.5Z``, ``2024-01-10 13:30:00`` or a date, on the clock of ``zone``.

        The Z is not believed: the recorded times that carry it lie in office hours of Indonesia.
        """
        text = self.text(name)
        try:
            return datetime.fromisoformat(text).replace(tzinfo=zone) if text else None
        except ValueError as error:
            raise self._error(name, "no time") from error

    def day_end(self, name: str, zone: ZoneInfo) -> datetime | None:
        """The last minute of a day, where only the day is told; a time of day is kept."""
        told = self.time(name, zone)
        return end_of_day(told) if told else None

    def month_end(self, name: str, zone: ZoneInfo) -> datetime | None:
        """As ``day_end``; the first of a month means all of it, since SiRUP knows months only."""
        told = self.day_end(name, zone)
        if told is None or told.day > 1:
            return told
        return told.replace(day=calendar.monthrange(told.year, told.month)[1])

    def each(self, name: str) -> list[Cells]:
        """The objects of an array, or of a single object; null is none."""
        value = self.get(name)
        if value is None:
            return []
        return [Cells(part, name) for part in (value if isinstance(value, list) else [value])]

    def rest(self, unused: Iterable[str]) -> tuple[str, ...]:
        """Columns that nobody asked for and that are not known as ``unused``."""
        names = self._row.keys() - self._asked - set(unused) - _MOVING
        return tuple(f"column {name} of {self._what}" for name in sorted(names))

    def _error(self, name: str, words: str) -> ShapeError:
        return ShapeError(f"{self._what}: {name} is {words}", self._row.get(name))


def end_of_day(told: datetime) -> datetime:
    """23:59 of the day of ``told``, which has no time of day; one that has is given back."""
    return told if told.timetz().replace(tzinfo=None) != time() else told.replace(hour=23, minute=59)


def with_tender(row: Row, tender: Tender, other: bytes, unknown: tuple[str, ...]) -> Row:
    """``row`` with what a second service told; ``other`` is that one's fingerprint."""
    both = fingerprint((row.fingerprint.hex(), other.hex()))
    return replace(row, tender=tender, fingerprint=both, unknown=(*row.unknown, *unknown))
