"""Many portals, several workers, one of them killed: what the stand-ins saw and what the database then holds.

`make scale` runs it with 730 portals on one host and 60 on hosts of their own; a small one runs in the tests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from aggregator.config import DATABASE_URL, load_config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Event, Sweep
from aggregator.queue import RUNNING, Job, find_jobs, prepare_queue
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from benchmarks.databases import make_postgresql
from commands.asking import open_repository
from commands.logs import LogForm, set_up_log
from commands.terminal import err
from commands.working import Pace, Worker
from demo.names import MALANG_KOTA
from demo.packages import TENDER
from demo.server import Seen, Server, serve
from demo.spse import Portal as StandIn
from demo.world import World

ZONE = ZoneInfo("Asia/Jakarta")
REAL_DELAY = 1.0  # seconds between two requests to one host that the simulated delay stands for
KILLED_WITHIN = 0.05  # seconds after a request: its run is under way
PATIENCE = 3 * 3600.0  # seconds after which the simulation is given up

_HEAD = """\
[publisher]
name = "Simulasi"
url = "https://umpan.example.go.id/"
authority = "umpan.example.go.id"
since = "2026-01-01"

[crawl]
delay = {delay}
"""
_PORTAL = """
[[portal]]
id = "{id}"
family = "spse"
name = "LPSE {id}"
url = "{url}/{id}"
kinds = ["tender"]
every = "24h"
full_every = "30d"
"""
_START = "import sys, json; from benchmarks.scale import work; work(sys.argv[1], *json.loads(sys.argv[2]))"


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is simulated. ``delay`` in seconds; ``slack`` is how much of it a machine that is busy may take away: Scrapy
    counts from when it decides to send, which a process that must wait for a processor does later."""

    shared: int = 730
    own: int = 60
    workers: int = 3
    at_once: int = 4
    delay: float = 0.25
    slack: float = 0.1
    pace: Pace | None = None  # None: the very command that operators use, at its own pace


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that must hold, what was measured, and whether it does."""

    text: str
    measured: str
    holds: bool


def simulate(size: Size, address: str, folder: Path) -> list[Claim]:
    """Reads all portals with the workers, kills one in the middle, and tells what came of it."""
    now = datetime.now(UTC)
    with _standing_in(size, now) as (servers, worlds):
        config = folder / "warta.toml"
        config.write_text(_render_config(size, servers), encoding="utf-8")
        repository = Repository(open_database(address))
        prepare_queue(repository.engine)
        _save_first_runs(repository, list(worlds), now)
        began = time.monotonic()
        killed = _work(size, config, address, repository, servers)
        seconds = time.monotonic() - began
        claims = [*killed, *_judge_politeness(size, servers), *_judge_database(repository, worlds, now)]
        claims.append(_tell_time(servers, seconds))
        repository.engine.dispose()
    return claims


@contextmanager
def _standing_in(size: Size, now: datetime) -> Iterator[tuple[list[Server], dict[str, World]]]:
    """A server for the shared host and for each other one, and the portals' worlds, one open package in each."""
    ids = [f"p{number:04}" for number in range(size.shared + size.own)]
    worlds = {}
    for number, slug in enumerate(ids):
        nothing = dict.fromkeys(("tenders", "non_tenders", "recorded", "self_managed", "emergencies"), 0)
        worlds[slug] = World(now, place=replace(MALANG_KOTA, slug=slug), seed=number, hostile=False, **nothing)
        worlds[slug].add(TENDER, key=f"{20_000_000 + number}000")
    stand_ins = [StandIn(world) for world in worlds.values()]
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(stand_ins[: size.shared]))]
        servers += [stack.enter_context(serve([each])) for each in stand_ins[size.shared :]]
        yield servers, worlds


def _render_config(size: Size, servers: Sequence[Server]) -> str:
    text = _HEAD.format(delay=size.delay)
    for server in servers:
        for prefix in server.stand_ins:
            text += _PORTAL.format(id=prefix.strip("/"), url=server.url)
    return text


def _save_first_runs(repository: Repository, portals: Sequence[str], now: datetime) -> None:
    """Each portal was read whole two days ago, when nothing was there: what is due now is an open sweep."""
    then = now - timedelta(days=2)
    for portal in portals:
        repository.save_run(Run(portal=portal, sweep=Sweep.FULL, started=then, finished=then, verdict=Verdict.OK))


# Workers --------------------------------------------------------------------------------------------------


def work(config: str, at_once: int, publishes: bool, pace: dict[str, Any]) -> None:
    """A worker in a hurry: what `warta worker --drain` does, at another pace."""
    set_up_log(LogForm.TEXT, err)
    worker = Worker(Path(config), open_repository(load_config(Path(config))), Pace(**pace))
    asyncio.run(worker.run(at_once, publishes=publishes, drain=True))


def start_worker(
    config: Path, address: str, at_once: int, pace: Pace | None, *, publishes: bool = True
) -> subprocess.Popen[bytes]:
    """A worker on the database at ``address`` that ends once nothing is left."""
    command = [sys.executable, "-m", "warta", "--config", str(config), "worker", "--drain", "--jobs", str(at_once)]
    if pace:
        command = [sys.executable, "-c", _START, str(config), json.dumps([at_once, publishes, asdict(pace)])]
    env = {**os.environ, DATABASE_URL: address, "PYTHONPATH": str(Path(__file__).parents[1])}
    log = (config.parent / "workers.log").open("ab")
    with log:
        return subprocess.Popen(command, env=env, stdout=log, stderr=log)


def _work(size: Size, config: Path, address: str, repository: Repository, servers: Sequence[Server]) -> list[Claim]:
    """Starts the workers, kills the one that reads the shared host once a third is read, and waits for the others."""
    workers = [start_worker(config, address, size.at_once, size.pace) for _ in range(size.workers)]
    try:
        portals = size.shared + size.own
        _wait(lambda: _count_read(repository) >= portals // 3, workers)
        killed, children = _kill_reader(repository, workers, servers[0])
        at = time.monotonic()
        _wait(lambda: not any(_is_alive(child) for child in children), workers)
        orphaned = time.monotonic() - at
        survivors = [worker for worker in workers if worker is not killed]
        for worker in survivors:
            worker.wait(PATIENCE)
        codes = [worker.returncode for worker in survivors]
        left = find_jobs(repository.engine)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return [
        Claim(
            "a worker was killed (-9) while it read the shared host", f"{len(children)} runs under way", bool(children)
        ),
        Claim("its runs ended with it", f"after {orphaned:.2f} s", orphaned < 5),
        Claim("the others did the rest, and ended well", f"exit codes {codes}", set(codes) == {0}),
        Claim("no job is left, none failed", f"{len(left)} left", not left),
    ]


def _count_read(repository: Repository) -> int:
    return sum(runs.last.sweep is Sweep.OPEN for runs in repository.find_last_runs().values())


def _kill_reader(
    repository: Repository, workers: Sequence[subprocess.Popen[bytes]], shared: Server
) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Kills the worker whose run asks the shared host just now; it and the processes it had begun."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        last = shared.stats.requests[-1]
        if time.monotonic() - last.time < KILLED_WITHIN:
            job = next((job for job in find_jobs(repository.engine) if job.state == RUNNING and _asks(job, last)), None)
            for worker in workers:
                children = _find_children(worker.pid) if job and job.worker.endswith(f":{worker.pid}") else []
                if children:
                    worker.kill()
                    worker.wait()
                    return worker, children
        time.sleep(0.01)
    raise TimeoutError("no worker read the shared host")


def _asks(job: Job, request: Seen) -> bool:
    return bool(job.portal) and request.address.startswith(f"/{job.portal}/")


def _find_children(process: int) -> list[int]:
    """The processes that ``process`` began (Linux)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):  # it ended just now
            continue
        if parent == process:
            found.append(int(stat.parent.name))
    return found


def _is_alive(process: int) -> bool:
    """Whether it runs; one that is dead and not yet buried does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _wait(is_so: Callable[[], bool], workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until something is so. TimeoutError where all workers ended before, or it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline or all(worker.poll() is not None for worker in workers):
            raise TimeoutError("the workers did not come so far; see workers.log")
        time.sleep(0.1)


# What came of it ------------------------------------------------------------------------------------------


def _judge_politeness(size: Size, servers: Sequence[Server]) -> list[Claim]:
    """By the times at which requests arrived at the stand-ins."""
    most = max(server.stats.max_concurrency for server in servers)
    gaps = [gap for server in servers for gap in _gaps(server)]
    close = sum(gap < size.delay - size.slack for gap in gaps)
    requests = sum(len(server.stats.requests) for server in servers)
    robots = [server.stats.pages["robots"] for server in servers]
    return [
        Claim("no two requests at once on one host", f"at most {most}, of {requests} requests", most == 1),
        Claim(
            f"at least {size.delay:g} s between two requests to a host (within {size.slack:g} s, on a busy machine)",
            f"shortest {min(gaps):.3f} s, {close} of {len(gaps)} shorter",
            close == 0,
        ),
        Claim(
            "nothing was refused",
            f"{sum(s.stats.denied for s in servers)} refused",
            not any(s.stats.denied for s in servers),
        ),
        Claim(
            "robots.txt was asked for on every host", f"{min(robots)} to {max(robots)} times a host", min(robots) > 0
        ),
    ]


def _gaps(server: Server) -> list[float]:
    times = sorted(seen.time for seen in server.stats.requests)
    return [later - earlier for earlier, later in pairwise(times)]


def _judge_database(repository: Repository, worlds: Mapping[str, World], now: datetime) -> list[Claim]:
    """What the database holds, against what the portals have."""
    last = repository.find_last_runs()
    read = [
        portal for portal in worlds if last[portal].last.sweep is Sweep.OPEN and last[portal].good == last[portal].last
    ]
    truth = {(slug, row["key"]) for slug, world in worlds.items() for row in world.truth()}
    kept = Counter((r.tender.portal, r.tender.key) for r in repository.find(Filter(), now, ZONE, apart=True))
    found = repository.find_releases(Filter(), now, ZONE, limit=3 * len(truth))
    first = Counter(
        (record.tender.portal, record.tender.key) for release, record in found if Event.NEW in release.events
    )
    other = len(found) - first.total()
    incomplete = sum(r.tender.incomplete for r in repository.find(Filter(), now, ZONE, apart=True))
    return [
        Claim("all portals were read, and well", f"{len(read)} of {len(worlds)}", len(read) == len(worlds)),
        Claim(
            "every package is kept exactly once",
            f"{len(kept)} of {len(truth)}, {incomplete} incomplete",
            kept == Counter(truth) and not incomplete,
        ),
        Claim("each has one first release", f"{first.total()} of {len(truth)}", first == Counter(truth)),
        Claim("and no other", f"{other} others", other == 0),
    ]


def _tell_time(servers: Sequence[Server], seconds: float) -> Claim:
    """The time it would have taken at REAL_DELAY: where the shared host waited less than that between two requests,
    the rest of it is added; everything else (starting processes, reading, saving) took what it took here."""
    simulated = seconds + sum(max(REAL_DELAY - gap, 0.0) for gap in _gaps(servers[0]))
    busiest = len(servers[0].stats.requests)
    text = f"time: {seconds:.0f} s here, {simulated:.0f} simulated s at {REAL_DELAY:g} s between requests"
    return Claim(text, f"{busiest} requests to the shared host", True)


def render_claims(claims: Sequence[Claim]) -> Table:
    """What was shown, one claim a row."""
    table = Table("claim", "measured", "holds", box=None)
    for claim in claims:
        table.add_row(claim.text, claim.measured, "yes" if claim.holds else "NO")
    return table


def main() -> None:
    """Exit code: 0 everything holds, 1 something does not."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--shared", type=int, default=Size.shared, help="portals on one host")
    asked.add_argument("--own", type=int, default=Size.own, help="portals on hosts of their own")
    asked.add_argument("--workers", type=int, default=Size.workers)
    size = Size(**vars(asked.parse_args()))
    with make_postgresql() as address, tempfile.TemporaryDirectory(prefix="warta-scale-") as folder:
        claims = simulate(size, address, Path(folder))
    Console(width=160, highlight=False, markup=False).print(render_claims(claims))
    sys.exit(0 if all(claim.holds for claim in claims) else 1)


if __name__ == "__main__":
    main()
