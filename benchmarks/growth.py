"""What each cost is with a thousand tenders and with a million, on both databases: to save, search, publish, export."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from aggregator.database import open_database
from aggregator.repository import Repository
from benchmarks.databases import make_postgresql
from benchmarks.exporting import FASTEST, FORMATS, measure_export
from benchmarks.figures import Curve, Figure
from benchmarks.measuring import run_apart
from benchmarks.publishing import publish_again, publish_first, publish_one
from benchmarks.saving import measure_saving
from benchmarks.searching import WORDS, measure_query_feeds, measure_searches
from benchmarks.serving import serve_ours
from benchmarks.tenders import render_config

SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK = SIZES[:2]
AGAIN = 5_000  # tenders that are saved again, unchanged and changed
BOUND_AT = 10_000  # tenders with which saving and publishing are bounded
MOST_PUBLISHED = 100_000  # a million pages from nothing take a quarter of an hour and say nothing new
MUST_SAVE = {"SQLite": 5_000.0, "PostgreSQL": 4_000.0}
MUST_PASS = 10_000.0  # unchanged
CATALOGUE = 2  # files that tell the time of the last change and so are rewritten with each: feeds.opml, status.json

Points = dict[str, list[tuple[int, float]]]


class Growth:
    """Curves that gain a point at each size, and the figures that are bounded."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str, str], Points] = defaultdict(lambda: defaultdict(list))

    def note(self, group: str, name: str, unit: str, line: str, size: int, value: float) -> None:
        """A point of the curve ``name``."""
        self._points[group, name, unit][line].append((size, value))

    def list_curves(self) -> list[Curve]:
        return [
            Curve(group=group, name=name, unit=unit, points=dict(points))
            for (group, name, unit), points in self._points.items()
        ]


def measure(*, quick: bool, sizes: tuple[int, ...] = ()) -> Iterator[Figure | Curve]:
    """Fills each database step by step; what is measured at each size is a process of its own."""
    sizes = sizes or (QUICK if quick else SIZES)
    growth = Growth()
    yield from measure_database("SQLite", sizes, growth)
    yield from measure_database("PostgreSQL", sizes, growth)
    yield from growth.list_curves()


def measure_database(name: str, sizes: tuple[int, ...], growth: Growth) -> Iterator[Figure]:
    """All that grows on one database."""
    with tempfile.TemporaryDirectory(prefix="warta-bench-") as folder, ExitStack() as stack:
        config = Path(folder, "warta.toml")
        address = f"sqlite:///{folder}/warta.db" if name == "SQLite" else stack.enter_context(make_postgresql())
        config.write_text(render_config(address), encoding="utf-8")
        known = 0
        for size in sizes:
            repository = Repository(open_database(address))
            yield from _save(name, repository, known, size, growth)
            repository.engine.dispose()
            yield from _search(name, address, config, size, growth, is_last=size == sizes[-1])
            if name == "SQLite":  # a publish and an export read alike from both
                if size <= MOST_PUBLISHED:
                    yield from _publish(config, size, growth)
                _export(config, size, growth)
            known = size


def _save(name: str, repository: Repository, known: int, size: int, growth: Growth) -> Iterator[Figure]:
    rates = measure_saving(repository, known, size, AGAIN)
    for line, rate in (("new", rates.new), ("unchanged", rates.unchanged), ("changed", rates.changed)):
        growth.note("Save", f"Tenders saved a second, {name}", "1/s", line, size, rate)
    bounds = {"new": MUST_SAVE[name], "unchanged": MUST_PASS, "changed": None} if size == BOUND_AT else {}
    for line, must in bounds.items():
        yield Figure(
            group="Save",
            name=f"{name}: {line}, with {size:,}",
            value=getattr(rates, line),
            unit="/s",
            must=must,
            higher_is_better=True,
        )


def _search(name: str, address: str, config: Path, size: int, growth: Growth, *, is_last: bool) -> Iterator[Figure]:
    found, _ = run_apart(measure_searches, address=address)
    for search, seconds in found.items():
        growth.note("Search", f"A page of 20 by date, {name}", "ms", search, size, seconds * 1_000)
    with serve_ours(config) as server:
        first, again = measure_query_feeds(server.port)
    growth.note("Search", "A feed of a search over HTTP", "ms", f"{name}, first asked", size, first * 1_000)
    growth.note("Search", "A feed of a search over HTTP", "ms", f"{name}, again", size, again * 1_000)
    if not is_last:
        return
    for search, seconds in found.items():
        must = 50.0 if search in WORDS else None
        yield Figure(group="Search", name=f"{name}: {search}, {size:,}", value=seconds * 1_000, unit="ms", must=must)
    told = f"first asked {first * 1_000:.0f} ms"
    yield Figure(
        group="Search", name=f"{name}: a query feed, {size:,}", value=again * 1_000, unit="ms", must=20, against=told
    )


def _publish(config: Path, size: int, growth: Growth) -> Iterator[Figure]:
    first, spent = run_apart(publish_first, config=str(config))
    again, _ = run_apart(publish_again, config=str(config))
    one, _ = run_apart(publish_one, config=str(config), size=size)
    for line, seconds in (("from nothing", first), ("nothing changed", again), ("one changed", one)):
        growth.note("Publish", "Seconds of a publish", "s", line, size, seconds["seconds"])
    growth.note("Publish", "Files rewritten when one tender changed", "files", "files", size, one["files"])
    growth.note("Memory", "Memory of a process", "MB", "publish from nothing", size, spent.megabytes)
    if size != BOUND_AT:
        return
    told = f"{first['feeds']} feeds, {first['files']:,} files, {spent.cpu:.0f} s of processors"
    yield Figure(
        group="Publish",
        name=f"{size:,} tenders from nothing",
        value=first["seconds"],
        unit="s",
        must=10,
        against=told,
    )
    yield Figure(group="Publish", name="nothing changed", value=again["seconds"], unit="s", must=0.3)
    yield Figure(group="Publish", name="nothing changed: files written", value=again["files"], unit="files", must=0)
    yield Figure(group="Publish", name="one changed", value=one["seconds"], unit="s", against=f"{one['files']} files")
    yield Figure(
        group="Publish",
        name="one changed: rewritten files that do not show it",
        value=len(one["others"]),
        unit="files",
        must=CATALOGUE,
        against=", ".join(one["others"][:8]),
    )


def _export(config: Path, size: int, growth: Growth) -> None:
    for form in FORMATS if size <= MOST_PUBLISHED else FASTEST:
        told = measure_export(config, form, size)
        growth.note("Export", "Tenders exported a second", "1/s", form, size, told.rate)
        growth.note("Memory", "Memory of an export", "MB", form, size, told.megabytes)
