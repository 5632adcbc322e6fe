"""A month on one portal, over a year's end, with something amiss on most days; then database, feeds and truth agree.

Time is simulated: the made-up portal lives on, crawls and publishes are given their ``now``. What goes wrong is drawn
from ``OFTEN``, with a seed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect
from typing import Any

from aggregator.backup import save_backup
from aggregator.config import load_config
from aggregator.database import open_database
from aggregator.models import Event, Record, Sweep
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from demo.messages import Request, Response
from demo.packages import BIDDING_KINDS
from demo.spse import Portal
from demo.world import World
from feeds.publish import publish
from spiders.crawl import Order, crawl
from spiders.replay import replay
from tests.conftest import SPSE
from tests.road import ALL, HEAD, UNTOLD, WIB, Road, is_same
from tests.torture.killing import Report
from tests.torture.model import Broken, Identity, check_database, check_healed, list_files
from tests.torture.stage import Stage

BEGIN = datetime(2026, 12, 9, 23, 10, tzinfo=UTC)
TURN = timedelta(hours=7)  # longer than `refresh`, so that each turn looks at the schedules again
SIZES: dict[str, Any] = {"tenders": 16, "non_tenders": 10, "recorded": 4, "self_managed": 3, "emergencies": 1}
YEARS = "years = [2025, 2026, 2027]\n"
ZONES = ("UTC", "Asia/Jakarta", "Pacific/Kiritimati", "America/St_Johns")
ROOT = Path(__file__).parents[2]

# What befalls a turn, and how often: what starts processes of its own takes its time.
OFTEN = {
    **dict.fromkeys(("nothing", "wire", "portal", "lie"), 4),
    **dict.fromkeys(("clock", "kill"), 2),
    **dict.fromkeys(("zone", "lock", "kill_of_publish", "twin", "replay"), 1),
}
# What the wire and the portal do by themselves (demo.faults, demo.spse), and how often a request is hit.
WIRE = ("error", "unavailable", "too_many", "challenge", "truncated", "hang_up")
PORTAL = (
    *("apology", "trouble", "html", "forbidden", "rotate", "moving", "shrunk", "unfiltered", "unsorted"),
    *("duplicates", "short", "empty", "odd_row"),
)


class Liar(Portal):
    """A portal that lies where it is told to: ``lie`` turns an answer into another one."""

    lie: Callable[[Request, Response], Response] | None = None

    def answer(self, request: Request) -> Response:
        told = super().answer(request)
        return self.lie(request, told) if self.lie else told

    def tell_another(self, request: Request, told: Response) -> Response:
        """A package's pages are those of another one: ids used twice."""
        if told.page not in {"announcement", "schedule", "winner", "contracted", "realised"}:
            return told
        key = next((key for key in self.world.packages if key in request.address), None)
        asked = self.world.packages[key] if key else None
        for other in self.world.packages.values():
            if key and asked and other is not asked and other.kind == asked.kind and not other.gone:
                path, query = request.path.replace(key, other.key), request.query_string.replace(key, other.key)
                return super().answer(replace(request, path=path, query_string=query))
        return told

    @staticmethod
    def swap_encoding(_: Request, told: Response) -> Response:
        """The bytes are not in the encoding that is told."""
        return replace(told, body=told.body.decode("utf-8", "replace").encode("utf-16"))

    @staticmethod
    def change_labels(_: Request, told: Response) -> Response:
        """A new version of the software words its tables otherwise."""
        body = told.body
        for label in (b"Kode Tender", b"Kode Paket", b"Nilai HPS", b"Nilai Pagu", b"Satuan Kerja", b"Tahap Tender"):
            body = body.replace(label, b"Nama Lain")
        return replace(told, body=body)

    @staticmethod
    def cut(_: Request, told: Response) -> Response:
        """The second half of every page is missing, and nothing tells so."""
        return replace(told, body=told.body[: len(told.body) // 2])


LIES: Mapping[str, Callable[[Liar], Callable[[Request, Response], Response]]] = {
    "another's page": lambda liar: liar.tell_another,
    "encoding": lambda liar: liar.swap_encoding,
    "labels": lambda liar: liar.change_labels,
    "cut": lambda liar: liar.cut,
}


@dataclass
class Month:
    """What happens to one portal, and what is known of it: ``told`` is every value that each field ever had."""

    road: Road
    liar: Liar
    dice: random.Random
    old: frozenset[str]  # packages that the portal had at the month's begin
    told: dict[Identity, dict[str, list[Any]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    gone: set[Identity] = field(default_factory=set)
    befell: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    looked_at: int = 0

    @property
    def folder(self) -> Path:
        return self.road.config.folder

    @property
    def database(self) -> Path:
        return self.folder / "var" / "warta.db"

    # What happens ------------------------------------------------------------------------------------------

    def live(self, turns: int) -> None:
        """``turns`` with whatever befalls, each followed by a look at what is kept."""
        for turn in range(turns):
            self._move_on()
            (chosen,) = self.dice.choices(list(OFTEN), weights=list(OFTEN.values()))
            sweep = Sweep.FULL if turn % 3 == 0 else Sweep.OPEN
            self.befell[chosen] += 1
            getattr(self, f"meet_{chosen}")(sweep)
            self.liar.lie = None
            self.road.server.faults.clear()
            if self.dice.random() < 0.2:
                publish(self.road.config, self.road.repository, self.road.now)
            self.check_fields()
            if turn % 9 == 8:
                self.looked_at += check_database(self.road.config.database_url, [])

    def _move_on(self) -> None:
        self.road.now += TURN
        self.road.world.advance(to=self.road.now)
        self._learn()

    def _learn(self) -> None:
        for identity, row in self.road.truth().items():
            for name, value in row.items():
                if name not in UNTOLD and not any(is_same(value, known) for known in self.told[identity][name]):
                    self.told[identity][name].append(value)
        self.gone |= {(p.kind, p.key) for p in self.road.world.packages.values() if p.gone}

    def read(self, sweep: Sweep, now: datetime | None = None) -> Run:
        config = self.road.config
        (run,) = crawl(config, config.portal, self.road.repository, Order(sweep=sweep), now=now or self.road.now)
        self.verdicts[run.verdict] += 1
        return run

    def meet_nothing(self, sweep: Sweep) -> None:
        """A calm turn."""
        self.read(sweep)

    def meet_wire(self, sweep: Sweep) -> None:
        """The wire fails, at some requests or at all."""
        name, chance = self.dice.choice(WIRE), self.dice.choice((0.05, 0.3, 1.0))
        self.road.server.faults.add(name, chance=chance, seconds=0)
        self.read(sweep)

    def meet_portal(self, sweep: Sweep) -> None:
        """The portal says something else than is so, in its own ways."""
        self.road.server.faults.add(self.dice.choice(PORTAL), chance=self.dice.choice((0.2, 1.0)))
        self.read(sweep)

    def meet_lie(self, sweep: Sweep) -> None:
        """The portal lies."""
        self.liar.lie = LIES[self.dice.choice(list(LIES))](self.liar)
        self.read(sweep)

    def meet_kill(self, sweep: Sweep) -> None:
        """The crawl is killed somewhere."""
        with self._starting("crawl", sweep) as child:
            self._wait_for_requests(child, self.dice.randrange(1, 60))
            child.send_signal(signal.SIGKILL)

    def meet_kill_of_publish(self, sweep: Sweep) -> None:
        """The publish is killed somewhere."""
        self.read(sweep)
        with self._starting("publish", sweep) as child:
            if child.stdout:
                child.stdout.readline()
            time.sleep(self.dice.random() * 0.4)
            child.send_signal(signal.SIGKILL)

    def meet_twin(self, sweep: Sweep) -> None:
        """Two crawls and a publish at once."""
        with self._starting("crawl", sweep), self._starting("publish", sweep):
            self.read(sweep)

    def meet_clock(self, sweep: Sweep) -> None:
        """The machine's clock is wrong, either way."""
        self.read(sweep, now=self.road.now + timedelta(hours=self.dice.choice((-50, -9, -1, 2, 5))))

    def meet_zone(self, sweep: Sweep) -> None:
        """Somebody moved the machine into another zone."""
        os.environ["TZ"] = self.dice.choice(ZONES)
        time.tzset()
        self.read(sweep)

    def meet_lock(self, sweep: Sweep) -> None:
        """Somebody else writes into the database for a while."""
        with closing(connect(self.database, check_same_thread=False, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            end = threading.Timer(0.3, other.rollback)
            end.start()
            self.read(sweep)
            end.join()

    def meet_replay(self, sweep: Sweep) -> None:
        """What lies in the archive is read again, and a backup made."""
        self.read(sweep)
        replay(self.road.config, self.road.config.portal, self.road.repository, self.road.now - 5 * TURN, self.road.now)
        backup = self.folder / "backup.tar.zst"
        backup.unlink(missing_ok=True)
        save_backup(backup, self.folder / "warta.toml", self.road.config, self.road.repository, raw=True)

    @contextmanager
    def _starting(self, verb: str, sweep: Sweep) -> Iterator[subprocess.Popen[str]]:
        """The verb at the month's time in a process of its own, which ends with the block."""
        arguments = [str(self.folder / "warta.toml"), verb, sweep, self.road.now.isoformat()]
        program = [sys.executable, "-m", "tests.torture.month", *arguments]
        child = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            yield child
        finally:
            child.communicate(timeout=120)

    def _wait_for_requests(self, child: subprocess.Popen[str], count: int) -> None:
        """Until the portal was asked so often, or the crawl ended before that."""
        self.road.server.stats.reset()
        while len(self.road.server.stats.requests) < count and child.poll() is None:
            time.sleep(0.002)

    # What must be so ----------------------------------------------------------------------------------------

    def check_fields(self) -> None:
        """Every field of every tender is what the portal told of it at some time; only what went is withdrawn."""
        for identity, record in self._find_records().items():
            if identity not in self.told:
                raise Broken(f"{identity} was never announced")
            row = record.as_dict()
            for name, known in self.told[identity].items():
                allowed = name == "incomplete" or (
                    name == "status" and row[name] == "withdrawn" and identity in self.gone
                )
                # A page that was never had tells nothing yet, and says so.
                unread = record.tender.incomplete and row[name] in (None, [], False)
                if not allowed and not unread and not any(is_same(row[name], value) for value in known):
                    raise Broken(f"{identity}: {name} is {row[name]!r}, and was never more than {known!r}")

    def _find_records(self) -> dict[Identity, Record]:
        found = self.road.repository.find(ALL, self.road.now, WIB)
        return {(record.tender.kind, record.tender.key): record for record in found}

    def end(self) -> None:
        """Three calm turns; then all agrees: the database with the portal, the releases with what happened, the feeds
        with the database."""
        self.road.now = max(self.road.now, *(run.finished for run in self._find_runs()))
        for _ in range(3):
            self._move_on()
            if (run := self.read(Sweep.FULL)).verdict is not Verdict.OK:
                raise Broken(f"on a calm day the run is {run}")
        self.check_fields()
        self.looked_at += check_database(self.road.config.database_url, [])
        records, truth = self._find_records(), self.road.truth()
        for identity, expected in truth.items():
            if identity not in records:
                raise Broken(f"{identity} was never found")
            row = records[identity].as_dict()
            if expected["registration_deadline"] is None:
                row["registration_deadline"] = None  # kept after the package has left the home page
            # No row tells that more firms take part, nor that a purchase without a home page is carried out in part:
            # they are as they were when the row last changed.
            untold = UNTOLD | {"participants"} | (set() if identity[0] in BIDDING_KINDS else {"contracts"})
            wrong = {k: (row[k], v) for k, v in expected.items() if k not in untold and not is_same(row[k], v)}
            if wrong:
                raise Broken(f"{identity} is not as the portal tells it: {wrong}")
        kept = {identity for identity, record in records.items() if record.tender.status != "withdrawn"}
        if kept != truth.keys():
            raise Broken(f"still there, though gone: {kept - truth.keys()}")
        self._check_told()
        self._check_published(records)

    def _find_runs(self) -> list[Run]:
        last = self.road.repository.find_last_runs()
        return [runs.last for runs in last.values()]

    def _check_told(self) -> None:
        """What befell a package was told, and once: its first release, its end, its vanishing."""
        events: dict[Identity, list[Event]] = defaultdict(list)
        times = []
        for release, _ in self.road.repository.find_releases(ALL, self.road.now, WIB, limit=100_000):
            events[release.kind, release.key] += release.events
            times.append(release.time)
        if len(times) != len(set(times)):
            raise Broken("two releases have one time")
        for package in self.road.world.packages.values():
            found = Counter(events.get((package.kind, package.key), []))
            if not found and package.gone:
                continue  # came and went between two readings
            ended = {"": None, "Batal": Event.CANCELLED, "Gagal": Event.UNSUCCESSFUL}[package.ended]
            expected = {Event.WITHDRAWN: int(package.gone) + found[Event.RETURNED]}
            if package.key not in self.old and not ended and not package.gone:
                expected[Event.NEW] = 1
            if ended and not package.gone:
                expected[ended] = 1
            wrong = {event: (found[event], count) for event, count in expected.items() if found[event] != count}
            if wrong:
                raise Broken(f"{package.kind}/{package.key} was told as {wrong} (how often, and how often it was so)")

    def _check_published(self, records: Mapping[Identity, Record]) -> None:
        """The folder of this month is what a publish from nothing writes, and its feed holds what is open."""
        config, repository = self.road.config, self.road.repository
        # Data files of a year that stood still tell when its tenders were last seen as of their own making.
        shutil.rmtree(config.public_folder / "data", ignore_errors=True)
        publish(config, repository, self.road.now)
        fresh = self.folder / "fresh"
        publish(config, repository, self.road.now, fresh)
        check_healed(config.public_folder, list_files(fresh))
        feed = json.loads((config.public_folder / "feeds" / "semua.json").read_bytes())
        told = {tuple(item["id"].rsplit(":", 1)[1].split("/")[1:3]) for item in feed["items"]}
        opened = {
            identity
            for identity, record in records.items()
            if record.tender.status == "active" and identity[0] in BIDDING_KINDS
        }
        if len(opened) < 100 and told != opened:
            raise Broken(f"the feed of all that is open and the database differ in {told ^ opened}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a month came to."""

    turns: int
    befell: Counter[str]
    verdicts: Counter[str]
    looked_at: int


def live_a_month(folder: Path, seed: int, turns: int = 103) -> Outcome:
    """From ``BEGIN`` on, ``turns`` of seven hours (a hundred and three are a month). Raises Broken."""
    liar = Liar(World(BEGIN, seed=seed, hostile=True, **SIZES))
    zone = os.environ.get("TZ")
    with Road.open(liar, SPSE + YEARS, folder) as road:
        text = HEAD + (SPSE + YEARS).replace("{url}", road.server.url + liar.prefix)
        (folder / "warta.toml").write_text(text, encoding="utf-8")
        road.config = load_config(folder / "warta.toml")
        road.now = BEGIN
        month = Month(road, liar, random.Random(seed), frozenset(road.world.packages))
        month._learn()
        month.read(Sweep.FULL)
        try:
            month.live(turns)
            month.end()
        finally:
            os.environ.pop("TZ", None)
            if zone is not None:
                os.environ["TZ"] = zone
            time.tzset()
    return Outcome(turns, month.befell, month.verdicts, month.looked_at)


def live_months(stage: Stage, rounds: int, dice: random.Random) -> Report:
    """A whole month for every sixty ``rounds``, or one; ``blows`` are the turns in which something was amiss."""
    report = Report("month")
    for _ in range(max(1, rounds // 60)):
        seed = dice.randrange(1_000_000)
        report.rounds += 1
        with report.watch("seed", seed), tempfile.TemporaryDirectory(dir=stage.root) as folder:
            outcome = live_a_month(Path(folder), seed)
            report.blows += outcome.turns - outcome.befell["nothing"]
            report.checked += outcome.looked_at
    return report


def main() -> None:
    """What the month starts in a process of its own: a crawl or a publish at a time that it is told."""
    path, verb, sweep, now = sys.argv[1:]
    config = load_config(Path(path))
    repository = Repository(open_database(config.database_url))
    print("ready", flush=True)  # noqa: T201
    if verb == "publish":
        publish(config, repository, datetime.fromisoformat(now))
    else:
        crawl(config, config.portal, repository, Order(sweep=Sweep(sweep)), now=datetime.fromisoformat(now))


if __name__ == "__main__":
    main()
