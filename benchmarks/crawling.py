"""How fast a portal is read for the first time, beside the best public client and a bare Scrapy crawl of the same
pages, and how much memory a crawl takes that knows many packages."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Self

from aggregator.models import Kind, Tender
from benchmarks.figures import Curve, Figure
from benchmarks.measuring import alternate, find_ratio, run_apart, run_program
from benchmarks.peers import find_python
from benchmarks.peers.bare_scrapy import download
from benchmarks.portals import BIDDING, NOW, fill, find_tenders, make_packages, read, write_config
from benchmarks.stand_in import Packages, StandIn, stand_apart
from demo.server import Seen

GROUP = "Crawl speed"
MEMORY = "Memory of a crawl"
THREADS = 8  # of pyproc
PYPROC = Path(__file__).parent / "peers/pyproc_crawl.py"
_PYPROC_KINDS = {Kind.TENDER: "lelang", Kind.NON_TENDER: "pl"}
# Which of pyproc's methods reads what we read.
_METHODS = {
    "announcement": "get_pengumuman",
    "schedule": "get_jadwal",
    "winner": "get_pemenang",
    "contracted": "get_pemenang_berkontrak",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """``rounds`` are measured over a portal of ``packages``. pyproc reads an even sample of it: ``shipped`` packages as
    it ships, of which it takes about one a second, and ``existing`` where it is told which pages there are. ``known``:
    packages of the portals whose crawls' memory is measured."""

    packages: Packages
    rounds: int
    shipped: int
    existing: int
    known: Sequence[int]


FULL = Size(
    packages=Packages(tenders=300, non_tenders=450), rounds=5, shipped=24, existing=160, known=(1_000, 10_000, 100_000)
)
QUICK = Size(packages=Packages(tenders=12, non_tenders=18), rounds=1, shipped=2, existing=8, known=(200, 400))


def measure(*, quick: bool = False) -> Iterator[Figure | Curve]:
    """The figures of one run. PeersMissing where the peers' environment is not made."""
    size, python = QUICK if quick else FULL, find_python()
    with Course.open(size.packages) as course:
        yield from measure_beside_scrapy(course, size.rounds)
        yield from measure_beside_pyproc(course, size, python)
    yield from measure_memory(size.known)


@dataclass
class Course:
    """A portal that is read again and again, each time as if for the first. ``pages``, which our first run asked for,
    and the ``tenders`` that it found tell the others what to read, and what they must have found."""

    stand_in: StandIn
    folder: Path
    pages: Sequence[Seen] = ()
    tenders: Sequence[Tender] = ()

    @classmethod
    @contextmanager
    def open(cls, packages: Packages) -> Iterator[Self]:
        """Serves a portal of so many ``packages`` until the block ends, and reads it once, unmeasured."""
        with stand_apart(packages, NOW) as stand_in, tempfile.TemporaryDirectory() as folder:
            course = cls(stand_in, Path(folder))
            config = course._configure()
            run_apart(read, config=str(config))
            course.pages = [seen for seen in stand_in.take_requests() if seen.page != "robots"]
            course.tenders = find_tenders(config)
            yield course

    def _configure(self) -> Path:
        """A configuration whose database is empty."""
        return write_config(Path(tempfile.mkdtemp(dir=self.folder)), {"malangkota": self.stand_in.url}, BIDDING)

    def crawl(self) -> dict[str, Any]:
        """Our crawl, with all that belongs to it: archive, database, releases."""
        took, _ = run_apart(read, config=str(self._configure()))
        (run,) = took["runs"]
        self._expect_pages("our crawl")
        if run["verdict"] != "ok" or run["new"] != len(self.tenders):
            raise RuntimeError(f"our crawl did not go well: {run}")
        return {**took, "packages": run["new"]}

    def download(self) -> dict[str, Any]:
        """A bare Scrapy crawl of the same pages."""
        asked = self.folder / "asked.json"
        asked.write_text(json.dumps([(seen.method, seen.address) for seen in self.pages]), encoding="utf-8")
        took, _ = run_apart(download, url=self.stand_in.url, asked=str(asked))
        self._expect_pages("bare Scrapy")
        return {**took, "packages": len(self.tenders)}

    def _expect_pages(self, who: str) -> None:
        answered = Counter((seen.page, seen.status) for seen in self.stand_in.take_requests() if seen.page != "robots")
        expected = Counter((seen.page, seen.status) for seen in self.pages)
        if answered != expected:
            raise RuntimeError(f"{who} had {answered}, not {expected}")

    def ask_pyproc(self, python: str, number: int, *, told: bool) -> dict[str, Any]:
        """pyproc's way with an even sample of ``number`` packages: as it ships, or ``told`` which of the pages that we
        read are there. What it found must be what we found."""
        sample = self.tenders[:: max(1, len(self.tenders) // number)][:number]
        packages = [(_PYPROC_KINDS[each.kind], each.key, self.find_methods(each) if told else None) for each in sample]
        asked = {"url": self.stand_in.url, "threads": THREADS, "packages": packages}
        took: dict[str, Any] = json.loads(run_program([python, str(PYPROC)], given=json.dumps(asked).encode()).output)
        requests = len(self.stand_in.take_requests())
        for tender, found in zip(sample, took["packages"], strict=True):
            if found != describe(tender):
                raise RuntimeError(f"pyproc found {found}, and we {describe(tender)}")
        return {**took, "packages": len(sample), "requests": requests}

    def find_methods(self, tender: Tender) -> list[str]:
        """pyproc's, for the pages of a package that are there."""
        return [_METHODS[seen.page] for seen in self.pages if f"/{tender.key}/" in seen.address]


def measure_beside_scrapy(course: Course, rounds: int) -> Iterator[Figure]:
    """Our crawl and the bare one in turn: by the clock, where the bare one has eight requests under way and ours one,
    and by processor time."""
    took = _alternate(rounds, ours=course.crawl, bare=course.download)
    for key, name in (("seconds", "time"), ("cpu", "processor time")):
        ours, bare = ([each[key] for each in took[who]] for who in ("ours", "bare"))
        yield Figure(
            group=GROUP,
            name=f"{name}, over a bare Scrapy crawl's",
            value=find_ratio(ours, bare),
            unit="×",
            must=1.5,
            against=f"{median(ours):.2f} s beside {median(bare):.2f} s, {len(course.pages)} pages, {rounds} rounds",
        )
    rate = median(each["packages"] / each["seconds"] for each in took["ours"])
    yield Figure(
        group=GROUP, name="packages a second", value=rate, unit="/s", against=f"{len(course.tenders)} packages"
    )


def measure_beside_pyproc(course: Course, size: Size, python: str) -> Iterator[Figure]:
    """Our crawl and pyproc in turn, in packages a second: once as it ships, once asking for what is there."""
    for name, number, told, must in (
        ("as it ships", size.shipped, False, 30.0),
        ("asking for existing tabs only", size.existing, True, 1.5),
    ):
        took = _alternate(size.rounds, ours=course.crawl, pyproc=partial(course.ask_pyproc, python, number, told=told))
        rates = {who: [each["packages"] / each["seconds"] for each in found] for who, found in took.items()}
        requests = median(each["requests"] / each["packages"] for each in took["pyproc"])
        cpu = {who: 1000 * median(each["cpu"] / each["packages"] for each in found) for who, found in took.items()}
        yield Figure(
            group=GROUP,
            name=f"packages a second, over pyproc's {name}",
            value=find_ratio(rates["ours"], rates["pyproc"]),
            unit="×",
            must=must,
            higher_is_better=True,
            against=f"{median(rates['ours']):.0f}/s beside {median(rates['pyproc']):.2g}/s ({requests:.2g} requests a "
            f"package, {THREADS} threads, {number} packages), {size.rounds} rounds; processor time a package "
            f"{cpu['ours']:.1f} ms beside {cpu['pyproc']:.1f} ms",
        )


def measure_memory(sizes: Sequence[int]) -> Iterator[Figure | Curve]:
    """The most memory of a full sweep's process, for a portal of which so many packages are known already."""
    points = []
    for number in sizes:
        packages = make_packages(number)
        with stand_apart(packages, NOW) as stand_in, tempfile.TemporaryDirectory() as folder:
            config = str(write_config(Path(folder), {"malangkota": stand_in.url}))
            known, _ = run_apart(fill, config=config, packages=vars(packages))
            took, spent = run_apart(read, config=config)
        (run,) = took["runs"]
        if run["unchanged"] != known or run["verdict"] != "ok":
            raise RuntimeError(f"{known} packages were known, but the sweep found {run}")
        points.append((known, spent.megabytes))
        yield Figure(
            group=MEMORY,
            name=f"full sweep, {known:,} packages known",
            value=spent.megabytes,
            unit="MB",
            must=200,
            against=f"{run['requests']} requests, {took['cpu']:.1f} s of processor time",
        )
    yield Curve(group=MEMORY, name="full sweep", unit="MB", points={"packages known": points})


def _alternate(rounds: int, **runs: Callable[[], dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What each of ``runs`` found, in rounds that take all in turn."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}

    def run(name: str) -> float:
        found[name].append(runs[name]())
        return 0.0

    alternate(rounds, **{name: partial(run, name) for name in runs})
    return found


def describe(tender: Tender) -> dict[str, Any]:
    """A tender as far as pyproc tells it."""
    return {
        "key": tender.key,
        "title": tender.title,
        "value": float(tender.value.amount) if tender.value else None,
        "milestones": len(tender.milestones),
        "winner": tender.awards[0].supplier if tender.awards else None,
        "contractor": tender.contracts[0].supplier if tender.contracts else None,
    }
