"""How fast the repository saves: tenders never seen before, seen again, and changed, on a database of any size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aggregator.models import Reading
from aggregator.repository import Repository
from benchmarks.tenders import NOW, find_run, make_changed, make_reading

BATCH = 500  # as the pipeline saves them


@dataclass(frozen=True, slots=True)
class Rates:
    """Tenders a second by the clock; making them up does not count."""

    new: float
    unchanged: float
    changed: float


def measure_saving(repository: Repository, known: int, size: int, again: int) -> Rates:
    """Fills a database that holds ``known`` tenders up to ``size``, then saves ``again`` of them twice more."""
    new = _save(repository, range(known, size), make_reading, find_run)
    # Each size reads later than the one before, and ends before what a publish takes for now.
    later = NOW - timedelta(hours=10) + timedelta(seconds=size / 1_000)
    sample = range(max(0, size - again), size)
    unchanged = _save(repository, sample, make_reading, lambda _: later)
    changed = _save(repository, sample, make_changed, lambda _: later + timedelta(hours=1))
    return Rates(new, unchanged, changed)


def _save(
    repository: Repository, numbers: range, make: Callable[[int], Reading], find_time: Callable[[int], datetime]
) -> float:
    spent = 0.0
    for start in range(numbers.start, numbers.stop, BATCH):
        readings = [make(number) for number in range(start, min(start + BATCH, numbers.stop))]
        began = time.perf_counter()
        repository.save(readings, find_time(start))
        spent += time.perf_counter() - began
    return len(numbers) / spent
