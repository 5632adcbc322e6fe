"""The archive of every family read again: an empty database comes to the same tenders, and a second time to no change.

A family that is added belongs into FAMILIES; a test holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from scrapy.settings import Settings
from scrapy.spiderloader import SpiderLoader

import spiders.settings
from aggregator.archive import Archive, Segment
from aggregator.config import Crawl
from aggregator.database import open_database
from aggregator.models import Record, Release, Sweep
from aggregator.repository import Repository
from aggregator.retention import prune_archive
from aggregator.verdicts import Run, Verdict
from demo.blacklist import Blacklist
from demo.messages import StandIn
from demo.newsroom import Newsroom
from demo.ocds import Publisher
from demo.prozorro import Prozorro
from demo.satudata import MALANG_NAME, TOKEN, UUID, SatuData
from demo.sirup import Register
from demo.spse import Portal as Spse
from demo.syndication import Feeds
from demo.ted import Ted
from demo.wordpress import Site
from demo.world import World
from demo.worldbank import WorldBank
from spiders.crawl import WHOLE
from spiders.portal import PortalSpider
from spiders.replay import replay
from tests.road import ALL, NOW, WIB, SourceRoad

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Family:
    """A stand-in, where its portal begins, and the portal's own options, one a line."""

    name: str
    make: Callable[[], StandIn]
    path: str = ""
    options: str = ""


def spse() -> StandIn:
    return Spse(World(NOW, tenders=12, non_tenders=8, recorded=4, self_managed=3, emergencies=2))


ISB = 'api = "isb"\nservice = "SPSE-TenderPengumuman"\nnumber = 5346\nuuid_env = "WARTA_TEST_UUID"\ncode = "9071"\n'
GATEWAY = 'api = "gateway"\npath = "tender/pengumuman"\nkode_klpd = "D228"\ntoken_env = "WARTA_TEST_TOKEN"\n'
WINDOWS = 'paging = "windows"\nsince = "4d"\nquery = { limit = 2 }\n'
TED = 'query = "buyer-country IN (FRA DEU)"\nscope = "ALL"\n'
MALANG = 'id_kldi = "D228"\nnama_kldi = "Kota Malang"\n'

FAMILIES = {
    "spse": Family("spse", spse),
    "sirup": Family("sirup", lambda: Register(NOW, providers=12, self_managed=3), "/", MALANG),
    "sirup, searched": Family(
        "sirup", lambda: Register(NOW, providers=12, self_managed=3), "/", f"{MALANG}id_referensi = 271\n"
    ),
    "satudata, open": Family(
        "satudata", lambda: SatuData(NOW), "/api/satudata", f'api = "open"\nlpse = "{MALANG_NAME}"\n'
    ),
    "satudata, isb": Family("satudata", lambda: SatuData(NOW), "/api", ISB),
    "satudata, gateway": Family("satudata", lambda: SatuData(NOW), "/gateway", GATEWAY),
    "blacklist": Family("blacklist", lambda: Blacklist(NOW, 130), "/"),
    "ocds, windows": Family("ocds", lambda: Publisher(NOW), "/api/1.0/ocdsReleasePackages", WINDOWS),
    "ocds, links": Family("ocds", lambda: Publisher(NOW), "/api/1.0/ocdsReleasePackages", 'paging = "links"\n'),
    "ocds, pages": Family("ocds", lambda: Publisher(NOW), "/pages", 'paging = "pages"\ntotal = "pagination.total"\n'),
    "ocds, file": Family("ocds", lambda: Publisher(NOW), "/releases.json", 'paging = "file"\n'),
    "ocds, zip": Family("ocds", lambda: Publisher(NOW), "/releases.zip", 'paging = "zip"\n'),
    "prozorro": Family("prozorro", lambda: Prozorro(NOW, 130)),
    "ted": Family("ted", lambda: Ted(NOW, 130), "/v3", TED),
    "worldbank": Family("worldbank", lambda: WorldBank(NOW, 130)),
    "wordpress": Family("wordpress", lambda: Site(Newsroom(NOW, 130))),
    "syndication": Family("syndication", lambda: Feeds(Newsroom(NOW, 12)), "/rss.xml"),
}


def test_no_family_is_left_out() -> None:
    settings = Settings()
    settings.setmodule(spiders.settings)
    loader = SpiderLoader.from_settings(settings)
    families = {name for name in loader.list() if issubclass(loader.load(name), PortalSpider)}
    assert families == {family.name for family in FAMILIES.values()}


@dataclass
class Road(SourceRoad[StandIn]):
    def crawl_for_days(self) -> Iterator[Run]:
        """A whole reading, one of what is open a day later, and a whole one the day after."""
        for sweep in (Sweep.FULL, Sweep.OPEN, Sweep.FULL):
            run = self.crawl(sweep, minutes=0)
            assert (run.verdict, run.reasons) == (Verdict.OK, ())
            yield run
            self.server.advance(1)
            self.now += DAY

    def replay_into(self, repository: Repository) -> tuple[int, int]:
        """How many tenders were new, and how many wrong."""
        (run,) = replay(self.config, self.config.portal, repository, None, self.now)
        assert (run.verdict, run.reasons) == (Verdict.OK, ())
        return run.new, run.changed

    def read(self, repository: Repository) -> tuple[dict[tuple[str, str], Record], list[Release]]:
        """Every tender with its times and what was never read of it, and every release."""
        records = repository.find(ALL, self.now, WIB, apart=True)
        told = repository.find_releases(ALL, self.now, WIB, limit=10_000)
        return {(r.tender.kind, r.tender.key): r for r in records}, [release for release, _ in told]


@pytest.fixture
def road(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Road]:
    monkeypatch.delenv("WARTA_DATABASE_URL", raising=False)
    monkeypatch.setenv("WARTA_TEST_UUID", UUID)
    monkeypatch.setenv("WARTA_TEST_TOKEN", TOKEN)
    family = FAMILIES[request.param]
    table = f'[[portal]]\nid = "source"\nfamily = "{family.name}"\nname = "Sumber"\nurl = "{{url}}{family.path}"\n'
    with Road.open(family.make(), f"{table}[portal.options]\n{family.options}", tmp_path) as road:
        yield road


@pytest.mark.parametrize("road", FAMILIES, indirect=True)
def test_the_archive_read_again_says_the_same(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(list(road.crawl_for_days())) == 3
    kept = road.read(road.repository)
    assert kept[0]
    road.server.stats.reset()
    monkeypatch.delenv("WARTA_TEST_UUID")  # who reads again needs no key
    monkeypatch.delenv("WARTA_TEST_TOKEN")
    empty = Repository(open_database(f"sqlite:///{road.config.folder / 'again.db'}"))
    assert road.replay_into(empty)[1] == 0
    assert road.read(empty) == kept
    for repository in (empty, road.repository):
        assert road.replay_into(repository) == (0, 0)
        assert road.read(repository) == kept
    assert road.server.stats.requests == []


@pytest.mark.parametrize("road", FAMILIES, indirect=True)
def test_an_archive_whose_first_runs_are_gone_puts_nothing_wrong(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.archive.NEEDED_AT_MOST", 1.0)
    with ExitStack() as held:
        for _ in road.crawl_for_days():
            for path in road.config.archive_folder.glob("*.zst"):
                if segment := Segment.lock(path):  # so that the next run takes another
                    held.callback(segment.close)
    kept = road.read(road.repository)
    limits = Crawl.model_validate({"archive_keep": "36h"})
    archive = Archive(road.config.archive_folder, road.repository)
    assert prune_archive(archive, road.repository, limits, WHOLE, road.now - DAY + timedelta(hours=1)).names
    assert len(road.repository.find_archived_runs("source", NOW - DAY)) == 2
    assert road.repository.find_archived_runs("source", NOW - DAY)[0] > NOW + DAY / 2
    assert road.replay_into(road.repository) == (0, 0)
    assert road.read(road.repository) == kept
