"""The envelope of data.inaproc.id's answers, and the cursor that leads from one to the next. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from aggregator.verdicts import Problem
from spiders.reading import ShapeError, parse_json
from spiders.satudata.rows import MOST_VALUES, NO_ROWS

MOST_PAGES = 2000  # no body has 2,000,000 plans in a year


@dataclass(frozen=True, slots=True)
class Envelope:
    """One page. ``cursor`` leads to the next one; None on the last. ``total`` where the gateway tells it."""

    rows: tuple[object, ...]
    cursor: str | None
    total: int | None


def parse_envelope(body: bytes) -> Envelope:
    """ShapeError when it is no page of rows, when it says that it failed, or goes on without saying where."""
    sample = body[:200].decode("utf-8", "replace")
    answer = parse_json(body, NO_ROWS, MOST_VALUES)
    if not isinstance(answer, dict):
        raise ShapeError("an answer of the gateway that is no object", sample)
    if answer.get("success") is not True:
        raise ShapeError("the gateway says that it failed", sample)
    rows, meta = answer.get("data"), answer.get("meta")
    if not isinstance(rows, list):
        raise ShapeError("an answer of the gateway without an array data", sample)
    if not isinstance(meta, dict) or not isinstance(meta.get("has_more"), bool):
        raise ShapeError("an answer of the gateway that does not say whether there is more", str(meta))
    cursor, total = meta.get("cursor"), meta.get("total")
    if meta["has_more"] and not (isinstance(cursor, str | int) and str(cursor)):
        raise ShapeError("the gateway says that there is more, and not where", str(meta))
    return Envelope(
        tuple(rows),
        str(cursor) if meta["has_more"] else None,
        total if isinstance(total, int) and not isinstance(total, bool) else None,
    )


@dataclass(slots=True)
class Cursor:
    """Where reading stands: ``at`` is the cursor to ask with, ``rows`` all that came; ``ended``: there is no more."""

    at: str | None = None
    rows: list[object] = field(default_factory=list)
    ended: bool = False
    _seen: set[str] = field(default_factory=set)
    _told: set[int] = field(default_factory=set)  # hashes of rows
    _total: int | None = None

    def take(self, page: Envelope) -> bool:
        """Adds a page; True on the last. ShapeError when the cursor leads back, or on and on without new rows."""
        fresh = {hash(str(row)) for row in page.rows} - self._told
        self._told |= fresh
        self.rows += page.rows
        self._total = page.total if page.total is not None else self._total
        if page.cursor is None:
            self.ended = True
            return True
        if page.cursor in self._seen or page.cursor == self.at:
            raise ShapeError("the cursor repeats, so the list has no end", page.cursor)
        if not fresh:
            raise ShapeError("the gateway goes on without new rows", page.cursor)
        self._seen.add(page.cursor)
        if len(self._seen) > MOST_PAGES:
            raise ShapeError(f"the gateway goes on after {MOST_PAGES} pages", page.cursor)
        self.at = page.cursor
        return False

    def problems(self, what: str) -> Iterator[Problem]:
        if self.ended and self._total is not None and self._total > len(self.rows):
            yield Problem("short", f"{what}: {len(self.rows)} rows of {self._total} announced")
