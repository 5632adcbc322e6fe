"""Rules as tests: what holds of every family that has a spider, and of every portal that is configured."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from scrapy.settings import Settings
from scrapy.spiderloader import SpiderLoader

from aggregator.config import DATABASE_URL, Config, ConfigError, Portal, load_config, parse_config
from aggregator.database import open_database
from aggregator.models import Kind, Record
from aggregator.repository import Repository
from aggregator.verdicts import PROBLEMS, Run, Verdict
from demo.__main__ import main
from demo.messages import StandIn
from demo.registry import EXAMPLES, SIZE, Drift, Example, make_stand_ins, render_config
from demo.server import Server, serve
from spiders.crawl import Order, crawl, find_delay, make_settings
from spiders.portal import PortalSpider
from tests.road import ALL, NOW, WIB

ROOT = Path(__file__).parents[1]
SHIPPED = load_config(ROOT / "warta.toml")


def load_families() -> Mapping[str, type[PortalSpider]]:
    """Every spider that Scrapy finds, by its name: the family. A module that cannot be imported is an error here."""
    settings = Settings({"SPIDER_MODULES": ["spiders"], "SPIDER_LOADER_WARN_ONLY": False})
    loader = SpiderLoader.from_settings(settings)
    found = {name: loader.load(name) for name in sorted(loader.list())}
    assert all(issubclass(spider, PortalSpider) for spider in found.values())
    return found  # type: ignore[return-value] # asserted above


FAMILIES = load_families()
each_family = pytest.mark.parametrize("family", FAMILIES)
each_portal = pytest.mark.parametrize("portal", SHIPPED.portal, ids=lambda portal: portal.id)


def find_example(family: str) -> Example:
    """The registry's entry of the family; where there is none the test fails and says what to do."""
    if family not in EXAMPLES:
        pytest.fail(
            f"demo/registry.py has no Example of {family}: add it as docs/adding-a-source.md says", pytrace=False
        )
    return EXAMPLES[family]


# Families: what belongs to one ----------------------------------------------------------------------------


@each_family
def test_a_family_has_a_stand_in_that_can_drift(family: str) -> None:
    example = find_example(family)
    assert re.fullmatch(r"/[a-z]+", example.make(NOW, SIZE).prefix)
    assert (ROOT / "demo" / f"{family}.py").is_file(), f"demo/{family}.py is missing: the stand-in of {family}"
    faults = importlib.import_module(f"demo.{family}").FAULTS
    assert example.drift.fault in faults, f"demo/{family}.py: FAULTS has no {example.drift.fault!r}"


@each_family
def test_a_family_has_tests_of_its_own(family: str) -> None:
    assert [*(ROOT / "tests").glob(f"test_{family}.py"), *(ROOT / "tests").glob(f"test_{family}_*.py")], (
        f"tests/test_{family}.py is missing: pages beside their values, crawls, bad days"
    )


@each_family
def test_a_family_has_fixtures_each_with_its_value(family: str) -> None:
    pages = [p for p in (ROOT / "tests/fixtures" / family).glob("*") if not p.name.endswith(".value.json")]
    assert pages, f"tests/fixtures/{family} is missing or empty: put a made-up page and its value there"
    assert [page.name for page in pages if not page.with_suffix(".value.json").exists()] == []


@each_family
def test_a_family_has_a_page_in_the_docs_and_an_example(family: str) -> None:
    path = ROOT / "docs/sources" / f"{family}.md"
    assert path.is_file(), f"docs/sources/{family}.md is missing: what {family} reads, and what it asserts"
    shown = path.read_text(encoding="utf-8")
    assert family in {portal.family for portal in SHIPPED.portal} or f'family = "{family}"' in shown, (
        f"neither warta.toml nor docs/sources/{family}.md has a portal of {family}"
    )


@each_family
def test_a_family_reads_some_kinds(family: str) -> None:
    kinds = FAMILIES[family].kinds
    assert kinds
    assert all(isinstance(kind, Kind) for kind in kinds)


def test_the_registry_has_no_family_more_and_no_prefix_twice() -> None:
    assert EXAMPLES.keys() - FAMILIES.keys() == set(), "demo/registry.py has families that no spider has"
    prefixes = [stand_in.prefix for stand_in in make_stand_ins(NOW).values()]
    assert sorted(prefixes) == sorted(set(prefixes))


# Families: politeness -------------------------------------------------------------------------------------

# What makes a crawler polite and honest; no family may have it otherwise.
SACRED = {
    "ROBOTSTXT_OBEY": True,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    "DOWNLOAD_VERIFY_CERTIFICATES": True,
    "AUTOTHROTTLE_ENABLED": False,  # it lowers the delay where a host is quick
    "DOWNLOAD_DELAY_JITTER": 0.0,
}
UNTOUCHED = {*SACRED, "USER_AGENT", "DOWNLOAD_DELAY", "CONCURRENT_REQUESTS", "CONCURRENT_REQUESTS_PER_IP"}


def test_the_settings_are_polite() -> None:
    settings = make_settings(SHIPPED, SHIPPED.portal[0])
    assert {name: settings[name] for name in SACRED} == SACRED
    assert settings.getfloat("DOWNLOAD_DELAY") >= 1
    for code in (403, 429, 503):
        assert code not in settings.getlist("RETRY_HTTP_CODES")


def test_the_user_agent_says_who_we_are() -> None:
    agent = make_settings(SHIPPED, SHIPPED.portal[0])["USER_AGENT"]
    assert "WartaPengadaan" in agent
    assert f"+{SHIPPED.publisher.url}" in agent
    assert not re.search(r"Chrome|Firefox|Safari|Gecko|Windows|Macintosh", agent)


@each_family
def test_a_family_keeps_to_them(family: str) -> None:
    spider = FAMILIES[family]
    assert not UNTOUCHED & {*(spider.custom_settings or {})}
    assert not hasattr(spider, "user_agent")
    assert not hasattr(spider, "download_delay")
    settings = make_settings(SHIPPED, SHIPPED.portal[0])
    before = {name: settings[name] for name in UNTOUCHED}
    spider.update_settings(settings)
    assert {name: settings[name] for name in UNTOUCHED} == before


# Portals that are configured ------------------------------------------------------------------------------


@each_portal
def test_a_portal_can_be_crawled_politely(portal: Portal) -> None:
    assert portal.family in FAMILIES
    assert set(portal.kinds) <= set(FAMILIES[portal.family].kinds)
    assert portal.url.startswith("https://")
    assert find_delay(SHIPPED, portal) >= 1
    assert portal.every >= timedelta(minutes=5)
    FAMILIES[portal.family].check_options(portal)


@each_portal
def test_a_portal_has_the_zone_of_its_country(portal: Portal) -> None:
    assert portal.timezone in available_timezones()
    if re.search(r"(\.go\.id|(^|\.)inaproc\.id)$", portal.host):
        assert portal.timezone in {"Asia/Jakarta", "Asia/Pontianak", "Asia/Makassar", "Asia/Jayapura"}


# Roads to the stand-ins -----------------------------------------------------------------------------------


@dataclass
class Road:
    """Stand-ins on one server, the configuration that reads them, and the database that keeps what they say."""

    server: Server
    config: Config
    repository: Repository
    now: datetime = NOW

    def crawl(self) -> list[Run]:
        """One run of every portal, two hours after the one before."""
        self.now += timedelta(hours=2)
        return crawl(self.config, self.config.portal, self.repository, Order(), now=self.now)

    def drift(self, drift: Drift) -> None:
        self.server.faults.add(drift.fault, drift.match)

    def records(self) -> dict[tuple[str, ...], Record]:
        """Each source's tenders by themselves, without what every visit moves."""
        found = self.repository.find(ALL, self.now, WIB, apart=True)
        return {(r.tender.portal, r.tender.kind, r.tender.key): replace(r, last_seen=NOW) for r in found}


@pytest.fixture
def make_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Road]]:
    """Makes roads to the stand-ins of families; their servers end with the test."""
    monkeypatch.delenv(DATABASE_URL, raising=False)
    with ExitStack() as servers:

        def make(*families: str, size: int = SIZE) -> Road:
            stand_ins: dict[str, StandIn] = {family: find_example(family).make(NOW, size) for family in families}
            server = servers.enter_context(serve([*stand_ins.values()]))
            config = parse_config(render_config(server.url, stand_ins), tmp_path / "warta.toml")
            return Road(server, config, Repository(open_database(config.database_url)))

        yield make


def test_all_families_are_crawled_together(make_road: Callable[..., Road]) -> None:
    road = make_road(*EXAMPLES)
    runs = road.crawl()
    assert [(run.portal, run.verdict, run.reasons) for run in runs] == [
        (portal.id, Verdict.OK, ()) for portal in road.config.portal
    ]
    assert all(run.new > 0 for run in runs)
    assert {portal for portal, *_ in road.records()} == {portal.id for portal in road.config.portal}
    assert road.server.stats.max_concurrency == 1  # all of them live on one host


@each_family
def test_a_source_that_changed_its_shape_spoils_nothing(family: str, make_road: Callable[..., Road]) -> None:
    road = make_road(family)
    (first,) = road.crawl()
    assert (first.verdict, first.reasons) == (Verdict.OK, ())
    before = road.records()
    road.drift(find_example(family).drift)
    for _ in range(2):  # what vanishes from two listings in a row is withdrawn: a drifted one is none
        (run,) = road.crawl()
        assert run.verdict in (Verdict.PARTIAL, Verdict.FAILED)
        assert any(names_a_sample(reason) for reason in run.reasons), run.reasons
        assert road.records() == before
    road.server.faults.clear()
    (mended,) = road.crawl()
    assert (mended.verdict, mended.changed, mended.withdrawn) == (Verdict.OK, 0, 0)


def names_a_sample(reason: str) -> bool:
    """Whether a reason has a code of PROBLEMS that turns the verdict, and shows what came: ``code: text (sample)``."""
    code, _, rest = reason.partition(": ")
    return PROBLEMS.get(code) is not None and re.search(r"\(.+\)(, \d+ times)?$", rest, re.DOTALL) is not None


@each_family
def test_an_empty_source_has_not_changed_its_shape(family: str, make_road: Callable[..., Road]) -> None:
    road = make_road(family, size=0)
    (run,) = road.crawl()
    assert (run.verdict, run.reasons, run.seen) == (Verdict.OK, (), 0)


# Options --------------------------------------------------------------------------------------------------


@each_family
def test_options_are_checked_before_any_crawl_begins(family: str, make_road: Callable[..., Road]) -> None:
    road = make_road(*dict.fromkeys(["spse", family]))
    portal = road.config.portal[-1]
    wrong = portal.model_copy(update={"options": {**portal.options, "colour": "red"}})
    with pytest.raises(ConfigError, match=rf"portal {portal.id}: options\.colour: \w+"):
        crawl(road.config, [*road.config.portal[:-1], wrong], road.repository, Order(), now=NOW)
    assert road.server.stats.requests == []


def test_a_family_without_options_takes_none() -> None:
    portal = SHIPPED.find_portal("malangkota").model_copy(update={"options": {"slug": "x"}})
    with pytest.raises(ConfigError, match=r"portal malangkota: options\.slug: spse has no options; remove it"):
        FAMILIES["spse"].check_options(portal)


# The registry's tables ------------------------------------------------------------------------------------


def test_the_demo_prints_a_configuration_of_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("demo.__main__.time.sleep", interrupt)
    main(["--all", "--now", NOW.isoformat()])
    config = parse_config(capsys.readouterr().out, Path("warta.toml"))
    assert {portal.family for portal in config.portal} == EXAMPLES.keys()
    assert all(portal.host.startswith("127.0.0.1:") for portal in config.portal)


@each_family
def test_the_example_of_the_registry_loads(family: str) -> None:
    config = parse_config(
        render_config("https://example.org", {family: find_example(family).make(NOW, SIZE)}), Path("warta.toml")
    )
    (portal,) = config.portal
    assert portal.family == family
    FAMILIES[family].check_options(portal)
    assert isinstance(portal.zone, ZoneInfo)
    assert portal.fiscal_years(datetime(2026, 11, 24, tzinfo=UTC))
