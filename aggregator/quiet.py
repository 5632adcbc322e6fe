"""Quiet hours: times of the day at which no run is begun. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import count

_DAY = 24 * 60  # minutes
_RANGE = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """``ranges`` are beginnings and ends in minutes of the day in ``zone``; one that ends before it begins goes over
    midnight. Without any, no hour is quiet."""

    ranges: tuple[tuple[int, int], ...] = ()
    zone: tzinfo = UTC

    def find_end(self, moment: datetime) -> datetime:
        """When the quiet hours are over that ``moment`` lies in; ``moment`` itself when it lies in none."""
        for begins, ends in self._spans(moment):
            if begins > moment:
                break
            moment = max(moment, ends)
        return moment

    def add(self, moment: datetime, span: timedelta) -> datetime:
        """``span`` after ``moment``, quiet hours not counted: by when what is to happen so soon can have happened."""
        until = moment + span
        for begins, ends in self._spans(moment):
            if begins >= until:
                break
            until += max(ends - max(begins, moment), timedelta())
            moment = max(moment, ends)
        return until

    def _spans(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Quiet times that end after ``moment``, in their order."""
        if not self.ranges:
            return
        day = moment.astimezone(self.zone).date() - timedelta(days=1)
        for number in count():
            for begins, ends in self.ranges:
                first = day + timedelta(days=number)
                last = first if ends > begins else first + timedelta(days=1)
                span = self._at(first, begins), self._at(last, ends)
                if span[1] > moment:
                    yield span

    def _at(self, day: date, minutes: int) -> datetime:
        return datetime.combine(day, time(*divmod(minutes, 60)), self.zone).astimezone(UTC)


def parse_quiet(text: object) -> QuietHours:
    """``01:00-05:00``, ``12:00-13:00, 23:30-04:00``, or an empty text for none. ValueError on anything else."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no time of the day; write it as in '01:00-05:00'")
    ranges = sorted(_parse_range(part.strip()) for part in text.split(",")) if text.strip() else []
    if _covers_all(ranges):
        raise ValueError(f"{text!r} leaves no time to read anything; leave some hours out")
    return QuietHours(tuple(ranges))


def _parse_range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if not match:
        raise ValueError(
            f"{text!r} is no time of the day; write it as in '01:00-05:00', or '12:00-13:00, 23:00-04:00' for several"
        )
    hours = [int(part) for part in match.groups()]
    begins, ends = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if begins == ends:
        raise ValueError(f"{text!r} ends when it begins; write when it ends, as in '01:00-05:00'")
    return begins, ends


def _covers_all(ranges: Sequence[tuple[int, int]]) -> bool:
    quiet = {m % _DAY for begins, ends in ranges for m in range(begins, ends if ends > begins else ends + _DAY)}
    return len(quiet) == _DAY
