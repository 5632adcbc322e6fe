"""Portals on stand-in hosts, a PostgreSQL database and real workers in a hurry, for tests of the queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aggregator.config import DATABASE_URL
from aggregator.database import open_database
from aggregator.queue import CRAWL, Job, find_jobs, prepare_queue
from aggregator.repository import Repository
from benchmarks.scale import start_worker
from commands.working import Pace
from demo.names import MALANG_KOTA
from demo.packages import TENDER
from demo.server import Server, serve
from demo.spse import Portal as StandIn
from demo.world import World
from tests.road import HEAD

ROOT = Path(__file__).parents[1]
HURRY = Pace(look=0.3, heartbeat=0.3, dead_after=1.5, publish_after=10, retry=0.01)
PATIENCE = 150.0  # seconds a test waits for what must come
PORTAL = """
[[portal]]
id = "{id}"
family = "spse"
name = "LPSE {id}"
url = "{url}/{id}"
kinds = ["tender"]
every = "24h"
"""


@dataclass
class Yard:
    """Some hosts with portals, the configuration that reads them, the database, and the workers begun so far."""

    folder: Path
    address: str
    servers: list[Server]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config = self.folder / "warta.toml"
        self.repository = Repository(open_database(self.address))
        prepare_queue(self.repository.engine)

    def work(self, at_once: int = 2, pace: Pace = HURRY) -> subprocess.Popen[bytes]:
        """A worker more, that ends once nothing is left to crawl."""
        worker = start_worker(self.config, self.address, at_once, pace, publishes=False)
        self.workers.append(worker)
        return worker

    def finish(self) -> list[int]:
        """Waits for all workers; their exit codes."""
        return [worker.wait(PATIENCE) for worker in self.workers]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One verb, as an operator runs it."""
        return subprocess.run(
            [sys.executable, "-m", "warta", "--config", str(self.config), *arguments],
            env={**os.environ, DATABASE_URL: self.address, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def ask(self, *arguments: str) -> dict[str, Any]:
        """What a verb prints with --json."""
        told: dict[str, Any] = json.loads(self.run(*arguments, "--json").stdout)
        return told

    def jobs(self) -> list[Job]:
        """The crawls in the queue."""
        return [job for job in find_jobs(self.repository.engine) if job.task == CRAWL]

    def find_job(self, portal: str, state: str) -> Job | None:
        return next((job for job in self.jobs() if (job.portal, job.state) == (portal, state)), None)

    def log(self) -> str:
        return (self.folder / "workers.log").read_text(encoding="utf-8")

    def wait_for(self, is_so: Callable[[], Any]) -> Any:
        """Until something is so; what it then is."""
        deadline = time.monotonic() + PATIENCE
        while not (found := is_so()):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return found


@contextmanager
def open_yard(folder: Path, address: str, hosts: Sequence[Sequence[str]], more: str = "") -> Iterator[Yard]:
    """A host for each of ``hosts``, which are ids of portals with one open package each."""
    now = datetime.now(UTC)
    nothing = dict.fromkeys(("tenders", "non_tenders", "recorded", "self_managed", "emergencies"), 0)
    with ExitStack() as stack:
        text, servers = HEAD + more, []
        for ids in hosts:
            worlds = [World(now, place=replace(MALANG_KOTA, slug=slug), hostile=False, **nothing) for slug in ids]
            for world in worlds:
                world.add(TENDER)
            server = stack.enter_context(serve([StandIn(world) for world in worlds]))
            text += "".join(PORTAL.format(id=slug, url=server.url) for slug in ids)
            servers.append(server)
        (folder / "warta.toml").write_text(text, encoding="utf-8")
        yard = Yard(folder, address, servers)
        try:
            yield yard
        finally:
            for worker in yard.workers:
                worker.kill()
                worker.wait()
            yard.repository.engine.dispose()
