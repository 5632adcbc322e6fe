"""How many requests a portal is asked for: the scarce thing, counted where they arrive. Exact, whatever the machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from aggregator.models import Sweep
from benchmarks.figures import Figure
from benchmarks.portals import KINDS, NOW, YEARS, fill, make_packages, read, write_config
from benchmarks.stand_in import Packages
from demo.names import MALANG_KOTA
from demo.packages import BIDDING_KINDS
from demo.server import Seen, Server, serve
from demo.spse import Portal
from demo.world import World

GROUP = "Requests"
DELAY = 1.0  # seconds between two requests that the portals' shared host asks for
DETAILS = ("announcement", "schedule", "winner", "contracted", "realised")  # pages of one package


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Packages of a portal as it is read for the ``first`` time, and of one that is ``known`` already, of which some
    are ``changed``. ``portals`` share one host; a package of each of ``busy`` of them changes."""

    first: int
    known: int
    changed: int
    portals: int
    busy: int


FULL = Size(first=1_000, known=10_000, changed=10, portals=730, busy=40)
QUICK = Size(first=140, known=250, changed=4, portals=20, busy=1)


def measure(*, quick: bool = False) -> Iterator[Figure]:
    """The figures of one run."""
    size = QUICK if quick else FULL
    yield from _measure_first(size.first)
    yield from _measure_known(size)
    yield from _measure_host(size)


def _measure_first(packages: int) -> Iterator[Figure]:
    """A portal of the demo's proportions of kinds, read whole for the first time."""
    with served([make_packages(packages).make_world(NOW)]) as (server, config):
        (run,) = read(config)["runs"]
        absent = server.stats.absent
    told = f"{run['requests']} requests, {run['new']} packages of five kinds"
    yield _figure("first full crawl: requests a package", run["requests"] / run["new"], 3.3, told)
    yield _figure("first full crawl: requests for a tab that is not there", absent, 0, "pyproc asks for all six tabs")


def _measure_known(size: Size) -> Iterator[Figure]:
    """Two sweeps of a portal that is known and has not changed; then some of its packages do."""
    packages = make_packages(size.known)
    world = packages.make_world(NOW)
    with served([world]) as (server, config):
        known = fill(config, vars(packages))
        for sweep, bound in ((Sweep.FULL, known / 100 + 3 * len(KINDS) * len(YEARS) + 1), (Sweep.OPEN, 1)):
            server.stats.reset()
            (run,) = read(config, sweep, after=0.0 if sweep is Sweep.FULL else 0.1)["runs"]
            _expect(run["unchanged"] == run["seen"], f"something changed in a portal that stood still: {run}")
            pages = len(server.stats.requests) - server.stats.pages["robots"]
            told = f"{run['seen']} packages seen, {known} known; {_count_details(server)} detail pages"
            yield _figure(f"{sweep} sweep, nothing changed: requests", pages, bound, told)
            yield _figure(f"{sweep} sweep, nothing changed: detail pages", _count_details(server), 0, told)
        changed = _change(world, size.changed)
        server.stats.reset()
        (run,) = read(config, Sweep.OPEN, after=0.2)["runs"]
        _expect(run["new"] + run["changed"] == changed, f"{changed} changed, but it was found: {run}")
        each = (len(server.stats.requests) - 1) / changed
    yield _figure("open sweep: requests a new or changed package, beside the first", each, 3, f"{changed} of them")


def _measure_host(size: Size) -> Iterator[Figure]:
    """Portals on one host that are known, each with one open package, of which some change: the time of an open sweep
    at DELAY, by when its requests arrived without."""
    worlds = [make_small_world(number) for number in range(size.portals)]
    with served(worlds) as (server, config):
        read(config, Sweep.OPEN)
        for world in worlds[: size.busy]:
            _change(world, 1)
        server.stats.reset()
        runs = read(config, Sweep.OPEN, after=1.0)["runs"]
        found = sum(run["changed"] for run in runs)
        _expect(found == size.busy, f"{size.busy} packages changed, {found} were found")
        asked = list(server.stats.requests)
    yield Figure(
        group=GROUP,
        name=f"open sweep of {size.portals} portals on one host, {size.busy} packages changed: time, simulated",
        value=tell_time(asked) / 60,
        unit="min",
        must=15 * size.portals / FULL.portals,
        against=f"{len(asked)} requests at one a second, or as fast as we are where that is slower",
    )


def tell_time(requests: Sequence[Seen]) -> float:
    """Seconds that ``requests`` would have taken with DELAY between two of them: what lay between them without one
    counts where it was longer."""
    times = sorted(seen.time for seen in requests)
    return sum(max(DELAY, later - earlier) for earlier, later in pairwise(times))


@contextmanager
def served(worlds: Sequence[World]) -> Iterator[tuple[Server, str]]:
    """The worlds on one host, and the path of a configuration that reads them."""
    with serve([Portal(world) for world in worlds]) as server, tempfile.TemporaryDirectory() as folder:
        urls = {prefix.strip("/"): server.url + prefix for prefix in server.stand_ins}
        yield server, str(write_config(Path(folder), urls))


def make_small_world(number: int) -> World:
    nothing = vars(Packages(tenders=0, non_tenders=0))
    world = World(NOW, place=replace(MALANG_KOTA, slug=f"p{number:04}"), seed=number, hostile=False, **nothing)
    world.add(BIDDING_KINDS[number % 2])
    return world


def _change(world: World, number: int) -> int:
    """Another price for open packages, and for every fourth of them one that is new: ``number`` in all."""
    new = number // 4
    running = [package.key for kind in BIDDING_KINDS for package in world.open(kind)]
    for key in running[: number - new]:
        world.reprice(key)
    for _ in range(new):
        world.add(BIDDING_KINDS[0])
    return number


def _count_details(server: Server) -> int:
    return sum(server.stats.pages[page] for page in DETAILS)


def _figure(name: str, value: float, must: float, against: str) -> Figure:
    return Figure(group=GROUP, name=name, value=value, unit="", must=must, against=against)


def _expect(holds: bool, text: str) -> None:
    """RuntimeError where a crawl did not do what is counted here: its figures would mean nothing."""
    if not holds:
        raise RuntimeError(text)
