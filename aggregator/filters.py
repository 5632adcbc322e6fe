"""One filter for warta.toml, query strings and the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Self, TypeVar
from zoneinfo import ZoneInfo

from aggregator.models import Category, Kind, Method, Status


class Sort(StrEnum):
    """Order of what is found; ties are broken by identity, so that pages never overlap."""

    PUBLISHED = "published"  # newest first
    DEADLINE = "deadline"  # closing soonest first, without deadline last
    VALUE = "value"  # highest first
    CHANGED = "changed"  # changed last first


class Fault(StrEnum):
    """What can be wrong with a filter value, in the words of the command line.

    ``value`` is what was given, ``right`` (all of them, or ``0``, ``1`` …) what would do.
    """

    UNKNOWN_KEY = "unknown filter key; choose from {right}"
    SEVERAL = "takes one value"
    TOO_MANY = "at most {right} values"
    NO_TEXT = "{value} is not a text; put it in quotes"
    LENGTH = "must have 1 to {right} characters"
    UNKNOWN_CODE = "{value} is not known; choose from {right}"
    NO_WHOLE_NUMBER = "{value} is not a whole number; as in {right}"
    OUT_OF_RANGE = "{value} is not from {0} to {1}"
    NO_AMOUNT = "{value} is not a number of rupiah; as in {right}"
    NO_MOMENT = "{value} is not a date; as in {0}, {1} or {2}"
    NO_FLAG = "{value} is neither true nor false"


class FilterError(ValueError):
    """A filter value that cannot be used: ``key`` names it, ``why`` says in English what is wrong.

    For other languages: ``fault``, the ``value`` as it was given, and ``right``, what would do instead.
    """

    def __init__(self, key: str, fault: Fault, value: object = None, right: Sequence[str] = ()) -> None:
        self.key = key
        self.fault = fault
        self.value = value
        self.right = tuple(right)
        self.why = fault.format(*right, value=repr(value), right=", ".join(right))
        super().__init__(f"{key}: {self.why}")


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time in a filter: a date or time, or an offset in days from now (``+7d``, ``-30d``)."""

    text: str

    def resolve(self, now: datetime, zone: ZoneInfo, *, end: bool) -> datetime:
        """The instant meant; a bare date is its first, or with ``end`` its last, microsecond in ``zone``."""
        if match := _OFFSET.fullmatch(self.text):
            return now + timedelta(days=int(match[1]))
        value = datetime.fromisoformat(self.text)
        if "T" not in self.text and " " not in self.text:
            value = datetime.combine(value.date(), time.max if end else time.min)
        return value if value.tzinfo else value.replace(tzinfo=zone)


# What each key means, in the words of the command line.
FILTER_HELP = {
    "q": 'Words: jalan drainase, "jalan danau", jalan OR jembatan, jalan -trotoar.',
    "portal": "Portal id; repeat for several.",
    "kind": "tender, non_tender, recorded, self_managed, emergency, plan, notice or news; repeat for several.",
    "key": "The package's own number (Kode paket); repeat for several.",
    "category": "goods, works, services or consulting; repeat for several.",
    "method": "open, selective, limited or direct; repeat for several.",
    "status": "planned, active, complete, cancelled, unsuccessful or withdrawn; repeat for several.",
    "buyer": "Institution (K/L/PD), in full; repeat for several.",
    "procuring_entity": "Work unit (Satuan Kerja), in full; repeat for several.",
    "location": "Part of a place of work; repeat for several.",
    "min_value": "Least HPS in rupiah, or pagu where there is no HPS.",
    "max_value": "Highest HPS in rupiah, or pagu where there is no HPS.",
    "year": "Budget year; repeat for several.",
    "published_from": "First day of publication: 2026-12-03, 2026-12-03T14:00 or -30d.",
    "published_to": "Last day of publication.",
    "deadline_from": "Bids close at this time or later: 2026-12-03, +0d.",
    "deadline_to": "Bids close at this time or earlier: 2026-12-10, +7d.",
    "changed_since": "Changed at this time or later: -1d.",
    "retender": "true: only retendered ones; false: none of them.",
    "limit": "At most this many.",
    "sort": "published, deadline, value or changed.",
}

E = TypeVar("E", bound=StrEnum)

_OFFSET = re.compile(r"([+-]\d{1,4})d", re.ASCII)
# The forms of ISO 8601 that people write; fromisoformat takes week dates and times without colons too.
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?)?", re.ASCII
)
_TEXTS = ("portal", "key", "buyer", "procuring_entity", "location")
_CODES: Mapping[str, type[StrEnum]] = {"kind": Kind, "category": Category, "method": Method, "status": Status}
_AMOUNTS = ("min_value", "max_value")
_MOMENTS = ("published_from", "published_to", "deadline_from", "deadline_to", "changed_since")
MAX_TEXT = 200
MAX_CHOICES = 50
MAX_LIMIT = 1000  # of a feed: readers fetch all of it, again and again
MAX_ROWS = 10**9  # of anything else, so that every database can count it


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which tenders. Every key that is set must hold; a key with several values holds when one of them does.

    ``q`` is full text (words, "phrases", OR, -not); ``buyer``, ``procuring_entity`` and ``portal`` match
    whole and without regard to case, ``location`` as a part. ``min_value`` and ``max_value`` are IDR over the
    HPS, or over the pagu where there is no HPS. ``status=active`` means open, whatever the clock.
    """

    q: str = ""
    portal: tuple[str, ...] = ()
    kind: tuple[Kind, ...] = ()
    key: tuple[str, ...] = ()
    category: tuple[Category, ...] = ()
    method: tuple[Method, ...] = ()
    status: tuple[Status, ...] = ()
    buyer: tuple[str, ...] = ()
    procuring_entity: tuple[str, ...] = ()
    location: tuple[str, ...] = ()
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    year: tuple[int, ...] = ()
    published_from: Moment | None = None
    published_to: Moment | None = None
    deadline_from: Moment | None = None
    deadline_to: Moment | None = None
    changed_since: Moment | None = None
    retender: bool | None = None
    limit: int | None = None
    sort: Sort = Sort.PUBLISHED

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, most: int = MAX_ROWS) -> Self:
        """A filter from TOML, a query string or options: values may be scalars, or lists where several make sense.

        Empty strings are as if absent; ``limit`` is at most ``most``. FilterError names the first key that cannot be
        used.
        """
        known = {f.name for f in fields(cls)}
        parsed: dict[str, Any] = {}
        for key, value in values.items():
            if key not in known:
                raise FilterError(key, Fault.UNKNOWN_KEY, right=sorted(known))
            choices = [v for v in _as_list(value) if v != ""]
            if not choices:
                continue
            if len(choices) > MAX_CHOICES:
                raise FilterError(key, Fault.TOO_MANY, right=[str(MAX_CHOICES)])
            parsed[key] = _whole(key, _only(key, choices), 1, most) if key == "limit" else _parse(key, choices)
        return cls(**parsed)

    def with_limit(self, limit: int) -> Self:
        return self if self.limit is not None else replace(self, limit=limit)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]


def _parse(key: str, choices: list[Any]) -> Any:
    if key in _TEXTS:
        return tuple(_text(key, c) for c in choices)
    if key in _CODES:
        return tuple(_code(key, _CODES[key], c) for c in choices)
    if key == "year":
        return tuple(_whole(key, c, 2000, 2100) for c in choices)
    value = _only(key, choices)
    if key == "q":
        return _text(key, value)
    if key in _AMOUNTS:
        return _amount(key, value)
    if key in _MOMENTS:
        return _moment(key, value)
    if key == "retender":
        return _flag(key, value)
    return _code(key, Sort, value)


def _only(key: str, choices: list[Any]) -> Any:
    if len(choices) > 1:
        raise FilterError(key, Fault.SEVERAL, choices)
    return choices[0]


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FilterError(key, Fault.NO_TEXT, value)
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    if not text or len(text) > MAX_TEXT:
        raise FilterError(key, Fault.LENGTH, value, [str(MAX_TEXT)])
    return text


def _code(key: str, codes: type[E], value: Any) -> E:
    try:
        return codes(value)
    except ValueError:
        raise FilterError(key, Fault.UNKNOWN_CODE, value, list(codes)) from None


def _whole(key: str, value: Any, least: int, most: int) -> int:
    text = str(value)
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise FilterError(key, Fault.NO_WHOLE_NUMBER, value, [str(least)])
    number = int(text)
    if isinstance(value, bool) or not least <= number <= most:
        raise FilterError(key, Fault.OUT_OF_RANGE, value, [str(least), str(most)])
    return number


def _amount(key: str, value: Any) -> Decimal:
    text = str(value)
    try:
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,18}(\.\d{1,2})?", text, re.ASCII):
            raise InvalidOperation
        return Decimal(text)
    except InvalidOperation:
        raise FilterError(key, Fault.NO_AMOUNT, value, ["500000000"]) from None


def _moment(key: str, value: Any) -> Moment:
    text = value.isoformat() if isinstance(value, date | datetime) else str(value)
    moment = Moment(text)
    try:
        if not (_OFFSET.fullmatch(text) or _TIME.fullmatch(text)):
            raise ValueError
        moment.resolve(datetime(2000, 1, 1, tzinfo=UTC), ZoneInfo("UTC"), end=False)
    except (ValueError, OverflowError):
        raise FilterError(key, Fault.NO_MOMENT, value, ["2026-12-03", "2026-12-03T14:00", "+7d"]) from None
    return moment


def _flag(key: str, value: Any) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    try:
        return flags[str(value).lower()]
    except KeyError:
        raise FilterError(key, Fault.NO_FLAG, value, ["true", "false"]) from None
