"""What the tests of searches share: a small repository of many sorts of tenders, and the server over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from starlette.applications import Starlette

from aggregator.config import Config, parse_config
from aggregator.database import open_database
from aggregator.filters import Filter, Sort
from aggregator.models import Category, Kind, Method, Money, Reading, Status, Tender
from aggregator.repository import Repository
from feeds.app import make_app
from tests.feed_samples import READ, TENDER

UNITS = ("DPUPRPKP", "Dinas Kesehatan", "RSUD Kota Malang", "Kecamatan Lowokwaru")
NAMES = ("Rehabilitasi Jalan Danau", "Pengadaan Obat", "Jembatan dan Jalan", "Trotoar Jalan Ijen", "<b>Sewa & Co</b>")

TEXT = """
[publisher]
name = "BLP Kota Malang"
url = "https://blp.example.go.id/umpan/"
authority = "blp.example.go.id"
since = "2026-01-01"
place = "Kota Malang"
[publish]
english = true
hub = "https://hub.example/"
[[portal]]
id = "malangkota"
family = "spse"
name = "LPSE Kota Malang"
url = "https://spse.example.go.id/malangkota"
[[portal]]
id = "batukota"
family = "spse"
name = "LPSE Kota Batu"
url = "https://spse.example.go.id/batukota"
"""


def make_tenders(number: int = 48) -> Iterator[Tender]:
    """Of every kind, status, category and method, in two portals; some without value, deadline or unit."""
    kinds, statuses = (*Kind, Kind.TENDER, Kind.NON_TENDER), (Status.ACTIVE, *Status, Status.ACTIVE)
    for n in range(number):
        yield replace(
            TENDER,
            portal="batukota" if n % 7 == 3 else "malangkota",
            kind=kinds[n % len(kinds)],
            key=str(1000 + n),
            title=f"{NAMES[n % len(NAMES)]} {n}",
            procuring_entity=UNITS[n % 4] if n % 11 else None,
            category=[*Category, None][n % 5],
            category_detail=None,
            method=list(Method)[n % 4],
            status=statuses[n % len(statuses)],
            value=Money(Decimal(100_000_000 * (n % 13))) if n % 6 else None,
            budget=None,
            published=READ - timedelta(days=n % 17, hours=n),
            deadline=READ + timedelta(days=n % 9 - 3, hours=1) if n % 5 else None,
            fiscal_years=(2025 + n % 3,),
            retender=n % 10 == 0,
            plans=(),
        )


class Clock:
    """Times that only move when told to."""

    def __init__(self) -> None:
        self.now: datetime = READ + timedelta(minutes=5)
        self.seconds = 100.0

    def move(self, **span: float) -> None:
        self.now += timedelta(**span)
        self.seconds += timedelta(**span).total_seconds()


def open_search(folder: Path, clock: Clock | None = None) -> tuple[Starlette, Repository, Config]:
    """A server over the tenders of ``make_tenders``."""
    config = parse_config(TEXT, folder / "warta.toml")
    repository = Repository(open_database(config.database_url))
    repository.save([Reading(tender=tender) for tender in make_tenders()], READ)
    clock = clock or Clock()
    app = make_app(config, repository, now=lambda: clock.now, clock=lambda: clock.seconds)
    return app, repository, config


def several(values: Any) -> Any:
    return st.lists(st.sampled_from(values), max_size=2)


# Filters that find something now and then.
filters = st.fixed_dictionaries(
    {},
    optional={
        "q": st.sampled_from(["jalan", '"jalan danau"', "jalan OR obat", "jalan -ijen", "-jalan", "nihil", '"']),
        "portal": several(["malangkota", "BATUKOTA", "nihil"]),
        "kind": several(list(Kind)),
        "category": several(list(Category)),
        "method": several(list(Method)),
        "status": several(list(Status)),
        "procuring_entity": several([*UNITS, "dpuprpkp"]),
        "min_value": st.sampled_from(["0", "200000000", "500000000.50"]),
        "max_value": st.sampled_from(["300000000", "1000000000"]),
        "year": several([2025, 2026, 2027]),
        "published_from": st.sampled_from(["-3d", "2026-11-10"]),
        "deadline_from": st.sampled_from(["+0d", "-2d", "2026-11-24"]),
        "deadline_to": st.sampled_from(["+2d", "2026-11-26T12:00"]),
        "changed_since": st.sampled_from(["-1d", "+0d"]),
        "retender": st.booleans(),
        "limit": st.sampled_from([1, 5, 100]),
        "sort": st.sampled_from(Sort),
    },
).map(Filter.parse)
