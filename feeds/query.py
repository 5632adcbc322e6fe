"""Query strings of searches: read into a Filter, and written so that one search has one address. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import parse_qs, quote

from aggregator.filters import MAX_LIMIT, MAX_TEXT, Fault, Filter, FilterError, Moment
from aggregator.search import fold

MAX_QUERY = 4000  # characters; what servers and readers in between let pass is twice that
Entries = Literal["tenders", "changes"]  # of a search's feed: what it finds, or how that changes

MAX_PAGE = 100  # of a list; who looks beyond 3,000 packages wants a narrower search, or the export

_KEYS = frozenset(field.name for field in fields(Filter))
_CASE_BLIND = ("portal", "buyer", "procuring_entity", "location")
_EXACT = ("kind", "key", "category", "method", "status", "year")
_MOMENTS = ("published_from", "published_to", "deadline_from", "deadline_to", "changed_since")
_OFFSET = re.compile(r"([+-]\d+)d")
# Nobody escapes the plus of +7d or +07:00 by hand, and unescaped it is a space.
_LOST_PLUS = re.compile(r"^ (?=\d)|(?<=\d:\d\d) (?=\d\d:?\d\d$)")


def parse_query(raw: str) -> tuple[Filter, int]:
    """The filter that a query string (without its ``?``) asks for, and the page of its list.

    Keys of Filter may stand in it several times where several values make sense; every other key is ignored. The
    filter is canonical. FilterError names the first key that cannot be used.
    """
    given = _read_pairs(raw)
    return _parse_filter(given), _parse_page(given.get("page", ["1"]))


def parse_request(raw: str, keys: Collection[str], own: Collection[str]) -> tuple[Filter, dict[str, str]]:
    """What a program asks for: the filter that the query string tells by ``keys`` (of Filter), and the values of
    ``own`` keys that stand in it. Every other key is a mistake; FilterError names the first that cannot be used."""
    given = _read_pairs(raw)
    for key, values in given.items():
        if key not in keys and key not in own:
            raise FilterError(key, Fault.UNKNOWN_KEY, right=sorted({*keys, *own}))
        if key in own and len(values) > 1:
            raise FilterError(key, Fault.SEVERAL, values)
    wanted = _parse_filter({key: values for key, values in given.items() if key in keys})
    return wanted, {key: values[0] for key, values in given.items() if key in own}


def _parse_filter(given: Mapping[str, list[str]]) -> Filter:
    values: dict[str, Any] = {key: value for key, value in given.items() if key in _KEYS}
    for key in _MOMENTS:
        if key in values:
            values[key] = [_LOST_PLUS.sub("+", value) for value in values[key]]
    return make_canonical(Filter.parse(values, most=MAX_LIMIT))


def parse_entries(raw: str) -> Entries:
    """What the entries of the feed shall be that a query string asks for, beside its filter; FilterError."""
    match _read_pairs(raw).get("entries", []):
        case [] | ["tenders"]:
            return "tenders"
        case ["changes"]:
            return "changes"
        case [value]:
            raise FilterError("entries", Fault.UNKNOWN_CODE, value, ["tenders", "changes"])
        case values:
            raise FilterError("entries", Fault.SEVERAL, values)


def _read_pairs(raw: str) -> dict[str, list[str]]:
    """The values of each key; those without anything to read are as if absent, as an empty field of a form is.

    FilterError where there is too much to read."""
    if len(raw) > MAX_QUERY:
        raise FilterError("query", Fault.LENGTH, raw, [str(MAX_QUERY)])
    given = {key: list(filter(_has_text, values)) for key, values in parse_qs(raw, errors="replace").items()}
    return {key: values for key, values in given.items() if values}


def _has_text(value: str) -> bool:
    return any(letter.isprintable() and not letter.isspace() for letter in value)


def _parse_page(values: list[str]) -> int:
    if len(values) > 1:
        raise FilterError("page", Fault.SEVERAL, values)
    if not re.fullmatch(r"\d{1,9}", values[0], re.ASCII):
        raise FilterError("page", Fault.NO_WHOLE_NUMBER, values[0], ["1"])
    if not 1 <= int(values[0]) <= MAX_PAGE:
        raise FilterError("page", Fault.OUT_OF_RANGE, values[0], ["1", str(MAX_PAGE)])
    return int(values[0])


def make_canonical(wanted: Filter) -> Filter:
    """The one of all filters that ask for the same: values sorted, each once, folded where case does not count."""
    changed: dict[str, Any] = {key: _sort(getattr(wanted, key)) for key in _EXACT}
    changed |= {key: _sort(_fold(name) for name in getattr(wanted, key)) for key in _CASE_BLIND}
    changed |= {key: _settle(getattr(wanted, key)) for key in _MOMENTS}
    for key in ("min_value", "max_value"):
        amount = getattr(wanted, key)
        changed[key] = None if amount is None else Decimal(_render(amount))
    return replace(wanted, **changed)


def _sort(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(set(values)))


def _fold(name: str) -> str:
    """Folded as it is compared, but for the few names that would then read as others."""
    folded = fold(name)
    is_same = fold(folded) == folded and " ".join(folded.split()) == folded and folded.isprintable()
    return folded if is_same and 0 < len(folded) <= MAX_TEXT else name


def _settle(moment: Moment | None) -> Moment | None:
    if moment is None:
        return None
    if match := _OFFSET.fullmatch(moment.text):
        return Moment(f"{int(match[1]):+d}d")
    value = datetime.fromisoformat(moment.text)
    has_time = "T" in moment.text or " " in moment.text  # as Moment tells them apart
    return Moment(value.isoformat() if has_time else value.date().isoformat())


def render_query(wanted: Filter, page: int = 1, entries: Entries = "tenders") -> str:
    """The query string of ``wanted`` (without ``?``; empty for a filter that asks for everything): ASCII, keys in the
    order of Filter's fields, then the page of a list or the entries of a feed, defaults left out."""
    pairs = [f"{key}={quote(value, safe='')}" for key, value in list_pairs(wanted)]
    pairs += [f"page={page}"] if page > 1 else []
    return "&".join([*pairs, *([f"entries={entries}"] if entries != "tenders" else [])])


def list_pairs(wanted: Filter, *left_out: str) -> list[tuple[str, str]]:
    """The keys and values of ``wanted`` as a form sends them, without the keys ``left_out``."""
    canonical = make_canonical(wanted)
    return [
        (field.name, _render(value))
        for field in fields(Filter)
        if field.name not in left_out
        for value in _as_values(getattr(canonical, field.name), field.default)
    ]


def _as_values(value: Any, default: Any) -> Iterable[Any]:
    if value == default:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _render(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case Decimal():
            text = f"{value:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case Moment():
            return value.text
        case StrEnum():
            return value.value
        case _:
            return str(value)
