"""One purchase from its plan to its contract, told by three sources: crawled over HTTP, published once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest

from aggregator.config import Config, FeedTable
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Event, Kind, Record
from aggregator.repository import Repository
from aggregator.verdicts import Verdict
from demo.satudata import SatuData
from demo.server import serve
from demo.sirup import MALANG, Register
from demo.spse import Portal as StandIn
from demo.world import World
from feeds.publish import publish
from spiders.crawl import Order, crawl
from tests.road import NOW, WIB, make_config

TABLES = """\
[[portal]]
id = "rup"
family = "sirup"
name = "SiRUP Kota Malang"
url = "{url}/sirup"
kinds = ["plan"]
options = { id_kldi = "D228", nama_kldi = "Kota Malang" }

[[portal]]
id = "satudata"
family = "satudata"
name = "Satu Data LPSE Kota Malang"
url = "{url}/satudata/api/satudata"
kinds = ["tender"]
options = { api = "open", lpse = "LPSE Kota Malang" }

[[portal]]
id = "malangkota"
family = "spse"
name = "LPSE Kota Malang"
url = "{url}/malangkota"
kinds = ["tender"]
years = [2025, 2026, 2027]
"""


@dataclass
class Town:
    """Three stand-ins that tell of the same purchases; ``key`` and ``code`` are one of them and its plan."""

    config: Config
    repository: Repository
    register: Register
    open_data: SatuData
    key: str
    code: str
    hours: int = 0

    def crawl(self, *portals: str) -> None:
        self.hours += 1
        chosen = [self.config.find_portal(portal) for portal in portals]
        runs = crawl(self.config, chosen, self.repository, Order(), now=NOW + timedelta(hours=self.hours))
        assert [(run.verdict, run.reasons) for run in runs] == [(Verdict.OK, ())] * len(portals)

    def find(self) -> list[Record]:
        """The purchase, as often as it is shown."""
        ours = {(Kind.PLAN, self.code), (Kind.TENDER, self.key)}
        found = self.repository.find(Filter(), NOW, WIB)
        return [record for record in found if (record.tender.kind, record.tender.key) in ours]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    world = World(NOW, tenders=20, non_tenders=0, recorded=0, self_managed=0, emergencies=0, hostile=False)
    truth = [row for row in world.truth() if row["fiscal_years"] == [2026]]
    package = next(row for row in truth if row["contracts"] and len(row["plans"]) == 1)
    register = Register(NOW)
    code = int(package["plans"][0])
    model = next(plan for plan in register.plans.values() if plan.body is MALANG and not plan.self_managed)
    register.plans[code] = replace(model, code=code, title=package["title"], year=2026)
    open_data = SatuData(NOW, truth)
    with serve([register, open_data, StandIn(world)]) as server:
        config = make_config(TABLES, server.url, tmp_path)
        repository = Repository(open_database(config.database_url))
        yield Town(config, repository, register, open_data, package["key"], str(code))


def test_plan_tender_award_and_contract_are_one_purchase(town: Town) -> None:
    town.crawl("rup")
    (plan,) = town.find()
    assert plan.tender.kind is Kind.PLAN

    town.crawl("satudata")
    (announced,) = town.find()
    assert [source.portal for source in announced.sources] == ["satudata", "rup"]

    town.crawl("malangkota")
    (record,) = town.find()
    assert record.tender.identity == ("satudata", Kind.TENDER, town.key)  # seen first: its ids stay
    assert [source.portal for source in record.sources] == ["malangkota", "satudata", "rup"]
    assert record.tender.awards
    assert record.tender.contracts
    tellers = {name: source.portal for source in record.sources for name in source.fields}
    assert (tellers["contracts"], tellers["title"]) == ("malangkota", "malangkota")
    assert record.tender.url.startswith(town.config.find_portal("malangkota").url)


def test_it_is_published_once_with_links_to_all_its_sources(town: Town) -> None:
    wanted = FeedTable(id="paket", title="Satu paket", filter=Filter(q=town.key))
    town.config = town.config.model_copy(update={"feed": (wanted,)})
    town.crawl("rup", "satudata", "malangkota")
    town.crawl("rup", "satudata", "malangkota")
    publish(town.config, town.repository, NOW + timedelta(hours=9))
    (entry,) = read_feed(town.config, "paket")
    (record,) = town.find()
    assert entry["id"].endswith(f":satudata/tender/{town.key}")
    assert entry["url"] == record.sources[0].url
    assert [source["portal"] for source in entry["_warta"]["sources"]] == ["malangkota", "satudata", "rup"]
    assert all(escape(source.url) in entry["content_html"] for source in record.sources)
    ours = [item for item in read_feed(town.config, "perubahan") if f"/{town.key}/" in item["id"]]
    told = [event for item in ours for event in item["_warta"]["events"]]
    assert sorted(told) == [Event.CONTRACT, Event.NEW]


def test_a_look_alike_stays_another_purchase(town: Town) -> None:
    stranger = replace(town.register.plans[int(town.code)], code=99_999_999)
    town.register.plans[stranger.code] = stranger
    twin = {**town.open_data.packages[0], "key": "10999999000", "plans": []}
    town.open_data.packages.append(twin)
    town.crawl("rup", "satudata", "malangkota")
    found = list(town.repository.find(Filter(), NOW, WIB))
    assert [r.sources for r in found if r.tender.key in ("99999999", "10999999000")] == [(), ()]
    assert len(town.find()) == 1


def read_feed(config: Config, feed: str) -> list[dict[str, Any]]:
    items = json.loads((config.public_folder / f"feeds/{feed}.json").read_text())["items"]
    assert isinstance(items, list)
    return items
