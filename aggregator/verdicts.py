"""How a run went: its problems, the verdict that follows from them by rule, and what it counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from aggregator.models import Sweep


class Verdict(StrEnum):
    """How a run ended."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a run has to answer for. ``code`` is one of PROBLEMS, ``text`` names thing and place.

    ``sample`` holds at most 200 characters of what the source sent instead.
    """

    code: str
    text: str
    sample: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" + (f" ({self.sample})" if self.sample else "")


PROBLEMS: Mapping[str, Verdict | None] = {
    # code: the verdict it forces, at the least; None: told, but the run may still be ok
    "unknown_label": None,  # a label, column or code that the parser has no word for
    "shape": Verdict.PARTIAL,  # a page or row that is not what it should be; kept data stays
    "filter": Verdict.PARTIAL,  # rows that the request's filter should have left out
    "unsorted": Verdict.PARTIAL,  # a page out of the order asked for
    "duplicate_key": Verdict.PARTIAL,  # one key twice in one listing
    "short": Verdict.PARTIAL,  # fewer rows than the source announced
    "collapsed": Verdict.PARTIAL,  # a listing shrank by more than a third; not believed
    "stale": Verdict.PARTIAL,  # the newest row is older than the source's own rhythm allows
    "missing_page": Verdict.PARTIAL,  # a detail page that cannot be had; tried again later
    "listing": Verdict.FAILED,  # a listing that could not be read to its end
    "rate_limited": Verdict.FAILED,  # 429 or 503 again after waiting, or a wait too long
    "refused": Verdict.FAILED,  # 401, 403, robots.txt, or a token refused twice
    "busy": Verdict.FAILED,  # another run holds the host or the portal
    "lease": Verdict.FAILED,  # another run took its place, or the database could not be asked who holds it
    "stopped": Verdict.FAILED,  # by a signal; such a run is told and not kept, since it says nothing of the portal
    "blocked": Verdict.BLOCKED,  # a challenge page
    "errors": Verdict.FAILED,  # too many failed requests, or the run broke off
}


# What a source promises of its answers. One broken promise turns the run, and readers of the status feed hear of it.
CONTRACT = frozenset({"shape", "filter", "unsorted", "duplicate_key", "short", "collapsed", "stale"})


_SEVERITY = (Verdict.OK, Verdict.PARTIAL, Verdict.FAILED, Verdict.BLOCKED)

# Shares of requests that failed after all retries (as in the open-contracting data registry).
PARTIAL_ABOVE = 0.01
_FAILED_ABOVE = 0.15
_FAILED_FROM = 3  # errors: one broken page of a small run is no broken portal


def decide_verdict(codes: Iterable[str], requests: int, errors: int) -> Verdict:
    """The worst that the problems with these ``codes`` (keys of PROBLEMS) and the share of failed requests force."""
    rate = error_rate(requests, errors)
    verdicts = [PROBLEMS[code] or Verdict.OK for code in codes]
    failed = rate > _FAILED_ABOVE and errors >= _FAILED_FROM
    verdicts.append(Verdict.FAILED if failed else Verdict.PARTIAL if rate > PARTIAL_ABOVE else Verdict.OK)
    return max(verdicts, key=_SEVERITY.index)


def error_rate(requests: int, errors: int) -> float:
    return errors / max(requests, errors, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished crawl of one portal; ``narrowed``: it was asked for less than the portal's own kinds and years.

    ``requests`` counts every request sent, robots.txt and retries too; ``errors`` those that failed after
    retries; the other counts are tenders.
    """

    portal: str
    sweep: Sweep
    started: datetime
    finished: datetime  # before ``started`` where the clock was set back: a run starts after the last one
    verdict: Verdict
    narrowed: bool = False
    reasons: tuple[str, ...] = ()
    requests: int = 0
    seen: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    withdrawn: int = 0
    errors: int = 0

    @property
    def broken(self) -> bool:
        """Whether the source broke its contract: some of what it sent was not believed."""
        return any(reason.partition(":")[0] in CONTRACT for reason in self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """The run as `crawl --json` prints it; ``seconds`` of wall time."""
        return {
            "portal": self.portal,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "requests": self.requests,
            "seen": self.seen,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "withdrawn": self.withdrawn,
            "errors": self.errors,
            "seconds": max(round((self.finished - self.started).total_seconds(), 3), 0.0),
        }
