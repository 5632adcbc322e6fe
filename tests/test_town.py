"""The demo's town: its sources agree, so that a purchase told by three of them is shown once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from aggregator.config import parse_config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Kind
from aggregator.repository import Repository
from aggregator.verdicts import Verdict
from demo.server import serve
from demo.town import Town
from spiders.crawl import Order, crawl
from tests.conftest import CONFIG
from tests.road import NOW, WIB


def test_every_plan_that_a_package_names_is_part_of_it(tmp_path: Path) -> None:
    town = Town(NOW - timedelta(days=3))
    with serve(town.stand_ins) as server:
        lpse = CONFIG.replace("https://spse.example.go.id", server.url)
        config = parse_config(lpse + town.render_tables(server.url), tmp_path / "warta.toml")
        repository = Repository(open_database(config.database_url))
        crawl(config, config.portal, repository, Order(), now=town.world.now)
        town.advance(to=NOW)
        runs = crawl(config, config.portal, repository, Order(), now=NOW)
    assert [(run.verdict, run.reasons) for run in runs] == [(Verdict.OK, ())] * 4
    ours = [row for row in town.world.truth() if row["buyer"] == "Kota Malang" and 2026 in row["fiscal_years"]]
    named = {code for row in ours for code in row["plans"]}
    shown = list(repository.find(Filter(kind=(Kind.PLAN,)), NOW, WIB))
    assert named.isdisjoint(record.tender.key for record in shown)
    three = [r for r in repository.find(Filter(kind=(Kind.TENDER,)), NOW, WIB) if len(r.sources) >= 3]
    assert len(three) > 20
    assert all({"malangkota", "satudata", "rup"} == {source.portal for source in record.sources} for record in three)
    assert repository.count(Filter(kind=(Kind.NEWS,)), NOW, WIB) > 5
