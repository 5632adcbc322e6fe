"""What RFC 9110 asks of an answer to GET and HEAD: preconditions and content coding. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_CODING = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?", re.I)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = (
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_CLOCK} GMT"),  # IMF-fixdate
    re.compile(rf"[A-Z][a-z]+day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_CLOCK} GMT"),  # RFC 850
    re.compile(rf"[A-Z][a-z]{{2}} {_MONTH} (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})"),  # asctime
)


def check_preconditions(fields: Mapping[str, str], etag: str, modified: datetime) -> int:
    """The status that the request's preconditions ask for: 200, 304 or 412 (RFC 9110 §13.2.2).

    ``fields`` has lower-case names, lines of one name joined by commas; ``etag`` is the strong tag of the
    representation that would be sent, ``modified`` its time in whole seconds. Junk dates are as if absent.
    """
    if (wanted := fields.get("if-match")) is not None:
        if wanted.strip() != "*" and etag not in _TAG.findall(wanted):
            return 412
    elif (since := parse_http_date(fields.get("if-unmodified-since", ""))) and modified > since:
        return 412
    if (held := fields.get("if-none-match")) is not None:
        return 304 if held.strip() == "*" or etag in _weak_tags(held) else 200
    if (since := parse_http_date(fields.get("if-modified-since", ""))) and modified <= since:
        return 304
    return 200


def _weak_tags(field: str) -> list[str]:
    return [tag.removeprefix("W/") for tag in _TAG.findall(field)]


def parse_http_date(text: str) -> datetime | None:
    """An HTTP-date in any of its three forms (RFC 9110 §5.6.7); None for everything else."""
    for form in _DATES:
        if match := form.fullmatch(text.strip()):
            try:
                return _read_date(match)
            except ValueError:  # such as 31 February
                return None
    return None


def _read_date(match: re.Match[str]) -> datetime:
    year = int(match["year"])
    if len(match["year"]) == 2:
        # "more than 50 years in the future" means the past century; 2000 to 2076 outlives every cached copy
        year += 2000 if year <= 76 else 1900
    month = _MONTHS.index(match["month"]) + 1
    clock = (int(match["hour"]), int(match["minute"]), min(int(match["second"]), 59))  # 60: a leap second
    return datetime(year, month, int(match["day"]), *clock, tzinfo=UTC)


def render_http_date(time: datetime) -> str:
    """IMF-fixdate of ``time``, whatever the process locale says."""
    utc = time.astimezone(UTC)
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[utc.weekday()]
    return f"{weekday}, {utc.day:02} {_MONTHS[utc.month - 1]} {utc:%Y %H:%M:%S} GMT"


def prefers_gzip(accept_encoding: str) -> bool:
    """Whether gzip may be sent and no coding at all is not liked better (RFC 9110 §12.5.3)."""
    weights: dict[str, float] = {}
    for member in accept_encoding.split(","):
        if match := _CODING.fullmatch(member):
            weights[match[1].lower()] = float(match[2] or 1)
    others = weights.get("*", 0.0)
    gzip = weights.get("gzip", weights.get("x-gzip", others))
    return gzip > 0 and gzip >= weights.get("identity", others)
