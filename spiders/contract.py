"""What a list is held to, in one vocabulary: keys once, in order, no page twice, the total reached, recent enough."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from aggregator.config import Duration
from aggregator.verdicts import Problem
from spiders.reading import ShapeError


class ListOptions(BaseModel):
    """What every list may be told: ``stale_after``, how old its newest item may be before it counts as gone quiet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stale_after: Duration | None = None


@dataclass(slots=True, kw_only=True)
class ListContract:
    """What one list has shown so far; a family's own check adds what only its source promises.

    ``one`` is what a row is called. ``ended``: the list was read to its end, so that its total counts; ``deaf``: the
    source does not listen to what it is asked for, and there is no use in reading on. ``newest`` is the latest time of
    a row that may be kept, for ``stale_after``.
    """

    one: str = "row"
    total_is_due: bool = False  # also where there are no rows
    ended: bool = False
    deaf: bool = False
    keys: set[str] = field(default_factory=set)
    newest: datetime | None = None
    received: int = 0
    total: int | None = None
    _last: date | None = None
    _problems: dict[str, Problem] = field(default_factory=dict)

    def tell(self, code: str, text: str, sample: str = "") -> None:
        """Keeps a problem: the first of its code, but each wrong shape."""
        self._problems.setdefault(f"{code}: {text}" if code == "shape" else code, Problem(code, text, sample))

    def note_page(self, size: int, total: int | None, broken: Sequence[ShapeError]) -> None:
        """One more page of ``size`` rows, of which ``broken`` could not be read. The last page's total counts: rows may
        come in while pages are read."""
        self.received += size
        self.total = total
        self.note_broken(broken)

    def note_broken(self, broken: Sequence[ShapeError]) -> None:
        for error in broken:
            self.tell("shape", f"{self.one} left out: {error}", error.sample)

    def note_repeat(self, keys: Collection[str], size: int) -> None:
        """``keys`` of a page of ``size`` rows, before they are taken: a source that repeats itself never ends."""
        if keys and self.keys.issuperset(keys):
            self.deaf = True
            self.tell("listing", f"{self.one} {self.received - size + 1} on: an earlier page again")

    def take(self, key: str) -> bool:
        """Whether ``key`` is new; one that stands twice is told."""
        if key in self.keys:
            self.tell("duplicate_key", f"one key of a {self.one} stands twice", key)
            return False
        self.keys.add(key)
        return True

    def note_order(self, day: date | None, key: str) -> None:
        """Rows come newest first, by days or by times; one without says nothing of that."""
        if day is not None:
            if self._last and day > self._last:
                self.tell("unsorted", f"a {self.one} newer than the one before it", key)
            self._last = day

    def note_newest(self, time: datetime | None) -> None:
        if time is not None:
            self.newest = max(time, self.newest or time)

    @property
    def is_kept(self) -> bool:
        """The list was read to its end and every promise was kept: only then may it show that a key is gone."""
        return self.ended and not self._problems

    def find_problems(self, stale_after: timedelta | None, now: datetime) -> list[Problem]:
        """All that is wrong, when nothing more is to be read."""
        if self.ended:
            self._check_total()
        stale = find_stale(self.newest, stale_after, now)
        return [*self._problems.values(), *([stale] if stale else [])]

    def _check_total(self) -> None:
        if self.total is None:
            if self.received or self.total_is_due:
                self.tell("shape", "no total announced")
        elif self.received < self.total:
            self.tell("short", f"{self.received} of {self.total} announced")
        elif self.received > self.total:
            self.tell("shape", f"{self.received}, more than the {self.total} announced")


def find_stale(newest: datetime | None, stale_after: timedelta | None, now: datetime) -> Problem | None:
    """The problem that the newest item is too old; None while it is not, or where nothing is said of that."""
    if newest is None or stale_after is None or now - newest <= stale_after:
        return None
    return Problem("stale", f"the newest item is older than {stale_after.total_seconds() / 86400:g} days", f"{newest}")
