"""Portals for measured crawls: their configuration, one run over them, and a database that knows a portal already."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.config import load_config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Kind, Listing, Reading, Sweep, Tender
from aggregator.pipeline import BATCH, Intake
from aggregator.repository import Repository
from aggregator.runs import Tally
from benchmarks.stand_in import Packages
from demo.messages import Request
from demo.spse import Portal
from demo.spse_lists import render_answer, render_row
from demo.world import World
from spiders.crawl import Order, crawl, make_visit
from spiders.spse.lists import HomeRow, Row, parse_home, parse_list
from spiders.spse.tender import Details, Spot, assemble

NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
KINDS = (Kind.TENDER, Kind.NON_TENDER, Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY)
BIDDING = (Kind.TENDER, Kind.NON_TENDER)  # those that the home page shows
YEARS = (2025, 2026, 2027)  # in which a world of NOW has packages

_HEAD = """\
[publisher]
name = "Pengukuran"
url = "https://umpan.example.go.id/"
authority = "umpan.example.go.id"
since = "2026-01-01"

[crawl]
delay = 0.0
"""
_PORTAL = """
[[portal]]
id = "{id}"
family = "spse"
name = "LPSE {id}"
url = "{url}"
kinds = [{kinds}]
years = [{years}]
"""


def write_config(folder: Path, urls: Mapping[str, str], kinds: tuple[Kind, ...] = KINDS) -> Path:
    """A warta.toml in ``folder`` that reads the portals at ``urls``, by their ids, without a delay."""
    told = {"kinds": ", ".join(f'"{kind}"' for kind in kinds), "years": ", ".join(map(str, YEARS))}
    text = _HEAD + "".join(_PORTAL.format(id=name, url=url, **told) for name, url in urls.items())
    path = folder / "warta.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(config: str, sweep: str = Sweep.FULL, after: float = 0.0) -> dict[str, Any]:
    """One run over every portal of a configuration, ``after`` hours after NOW: the seconds that it took, by the clock
    and of processors, and what each run found. The database is there before, as modules are."""
    loaded = load_config(Path(config))
    repository = Repository(open_database(loaded.database_url))
    now = NOW + timedelta(hours=after)
    began, used = time.perf_counter(), time.process_time()
    runs = crawl(loaded, loaded.portal, repository, Order(sweep=Sweep(sweep)), now=now)
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    repository.engine.dispose()
    return spent | {"runs": [run.as_dict() for run in runs]}


def find_tenders(config: Path) -> list[Tender]:
    """What the database of a configuration holds, by kind and key."""
    repository = Repository(open_database(load_config(config).database_url))
    found = [record.tender for record in repository.find(Filter(), NOW, ZoneInfo("Asia/Jakarta"), apart=True)]
    repository.engine.dispose()
    return sorted(found, key=lambda tender: (tender.kind, tender.key))


def make_packages(number: int) -> Packages:
    """So many packages, or a few less, of all kinds, in the demo's proportions."""
    parts = {"tenders": 60, "non_tenders": 90, "recorded": 40, "self_managed": 25, "emergencies": 3}
    return Packages(**{kind: number * part // sum(parts.values()) for kind, part in parts.items()})


def fill(config: str, packages: Mapping[str, int]) -> int:
    """Takes in a portal of so many ``packages`` as its lists and its home page show it at NOW, an hour before: a run
    that follows finds every row unchanged. Their details, which nobody asks for, are left out. How many there are."""
    loaded = load_config(Path(config))
    (portal,) = loaded.portal
    repository = Repository(open_database(loaded.database_url))
    world = Packages(**packages).make_world(NOW)
    home = {(row.kind, row.key): row for row in _read_home(world)}
    intake = Intake(repository, make_visit(portal, Order(), NOW - timedelta(hours=1), {}), Tally())
    seen = 0
    for kind in KINDS:
        listed: dict[int, list[str]] = defaultdict(list)
        for row in _read_rows(world, kind):
            spot = Spot(kind, row.key, row, home.get((kind, row.key)), home_read=kind in BIDDING)
            tender = assemble(portal, spot, Details(), f"{portal.url}/{row.key}")
            intake.take(Reading(tender=tender, row=row.fingerprint, home=spot.home_fingerprint, schedule_read=True))
            seen += 1
            for year in row.fiscal_years:
                listed[year].append(row.key)
        for year in YEARS:
            intake.take(Listing(kind=kind, year=year, keys=tuple(listed[year]), complete=True))
        if kind in BIDDING:
            keys = tuple(key for of_kind, key in home if of_kind is kind)
            intake.take(Listing(kind=kind, year=None, keys=keys, complete=True))
    intake.close()
    repository.engine.dispose()
    return seen


def _read_home(world: World) -> tuple[HomeRow, ...]:
    asked = Request("GET", f"/{world.place.slug}", headers={"user-agent": "Mozilla/5.0"})
    return parse_home(Portal(world).answer(asked).body, world.zone).rows


def _read_rows(world: World, kind: Kind) -> list[Row]:
    packages = world.listed(kind)
    rows: list[Row] = []
    for start in range(0, len(packages), BATCH):
        cells = [render_row(package, world.now) for package in packages[start : start + BATCH]]
        rows += parse_list(render_answer("1", cells), kind)[0]
    return rows
