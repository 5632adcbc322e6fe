"""robots.txt: asked for once a host and day, obeyed, and what happens while it cannot be had (RFC 9309)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from aggregator.config import parse_config
from aggregator.database import open_database
from aggregator.models import Sweep
from aggregator.repository import Repository
from aggregator.robots import Robots, RobotsAnswer
from aggregator.verdicts import Run, Verdict
from demo.messages import Request, Response
from demo.server import Server, serve
from demo.spse import Portal as StandIn
from demo.world import World
from spiders.crawl import Order, crawl
from tests.road import HEAD, NOW

HOST = "https://a.example"
DAY = timedelta(hours=24)


@pytest.mark.parametrize(
    ("status", "body", "rules", "lasts"),
    [
        (200, b"User-agent: *\nDisallow: /x", b"User-agent: *\nDisallow: /x", DAY),
        (404, b"<html>", b"", DAY),
        (410, b"", b"", DAY),
        (403, b"User-agent: *\nDisallow: /", b"", timedelta(hours=1)),
        (0, b"", b"", timedelta(hours=1)),
    ],
)
def test_how_long_an_answer_is_kept(status: int, body: bytes, rules: bytes, lasts: timedelta) -> None:
    answer = RobotsAnswer(NOW, status, body)
    assert answer.rules == rules
    second = timedelta(seconds=1)
    assert answer.is_fresh(NOW + lasts - second)
    assert not answer.is_fresh(NOW + lasts)
    assert not answer.is_fresh(NOW - lasts)  # the clock was set back


def test_an_answer_is_found_by_the_next_process(engine: Engine) -> None:
    answer = RobotsAnswer(NOW, 200, b"Crawl-delay: 2\n\x00\xff")
    assert Robots(engine).find(HOST) is None
    Robots(engine, dry_run=True).save(HOST, answer)
    assert Robots(engine).find(HOST) is None
    Robots(engine).save(HOST, answer)
    Robots(engine).save("http://a.example", answer)
    newer = answer._replace(body=b"")
    Robots(engine).save(HOST, newer)
    assert Robots(engine).find(HOST) == newer
    assert Robots(engine).find("http://a.example") == answer


def test_without_a_database_it_is_kept_in_memory() -> None:
    robots, answer = Robots(), RobotsAnswer(datetime.now(UTC), 200, b"")
    robots.save(HOST, answer)
    assert robots.find(HOST) is answer


# One host, many portals ----------------------------------------------------------------------------------


@dataclass
class Town:
    """Many portals on one host, and the database that keeps them."""

    server: Server
    folder: Path
    repository: Repository
    number: int = 20
    delay: float = 0.0

    def crawl(self, now: datetime = NOW, *, dry_run: bool = False) -> list[Run]:
        tables = [
            f'[[portal]]\nid = "p{n}"\nfamily = "spse"\nname = "P{n}"\nurl = "{self.server.url}/p{n}"\n'
            'kinds = ["tender"]\n'
            for n in range(self.number)
        ]
        config = parse_config(HEAD.replace("delay = 0.0", f"delay = {self.delay}") + "".join(tables), self.folder / "w")
        self.server.stats.reset()
        return crawl(config, config.portal, self.repository, Order(sweep=Sweep.OPEN, dry_run=dry_run), now=now)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    stand_ins = [
        StandIn(World(NOW, tenders=0, non_tenders=0, recorded=0, self_managed=0, emergencies=0)) for _ in range(20)
    ]
    for number, stand_in in enumerate(stand_ins):
        stand_in.prefix = f"/p{number}"
    with serve(stand_ins) as server:
        yield server


@pytest.fixture
def town(server: Server, tmp_path: Path) -> Town:
    server.faults.clear()
    server.robots = "User-agent: *\nDisallow: /*/login\n"
    return Town(server, tmp_path, Repository(open_database(f"sqlite:///{tmp_path}/warta.db")))


def test_twenty_portals_cost_one_robots_txt_and_a_home_page_each(town: Town) -> None:
    runs = town.crawl()
    assert {run.verdict for run in runs} == {Verdict.OK}
    assert town.server.stats.pages == {"robots": 1, "home": 20}
    assert [run.requests for run in runs] == [2] + 19 * [1]
    town.crawl(NOW + DAY / 2)  # in a run of its own
    assert town.server.stats.pages == {"home": 20}
    town.crawl(NOW + 2 * DAY)
    assert town.server.stats.pages == {"robots": 1, "home": 20}


def test_the_delay_is_kept_from_one_portal_to_the_next(town: Town) -> None:
    town.number, town.delay = 5, 0.5
    town.crawl()
    times = [seen.time for seen in town.server.stats.requests]
    assert len(times) == 6
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.35  # sent 0.5 s apart; one may travel longer
    assert town.server.stats.max_concurrency == 1


def test_a_kept_crawl_delay_is_obeyed_from_the_first_request_on(town: Town) -> None:
    town.number = 3
    town.server.robots = "User-agent: *\nCrawl-delay: 0.5\n"
    for now in (NOW, NOW + DAY / 2):
        town.crawl(now)
        times = [seen.time for seen in town.server.stats.requests]
        assert min(later - earlier for earlier, later in pairwise(times)) >= 0.35


def test_a_dry_run_asks_once_and_keeps_nothing(town: Town) -> None:
    for _ in range(2):
        town.crawl(dry_run=True)
        assert town.server.stats.pages == {"robots": 1, "home": 20}


def test_what_it_forbids_is_not_asked_for(town: Town) -> None:
    town.number = 2
    town.server.robots = "User-agent: *\nDisallow: /p1\n"
    allowed, forbidden = town.crawl()
    assert (allowed.verdict, forbidden.verdict) == (Verdict.OK, Verdict.FAILED)
    assert forbidden.reasons == ("refused: p1: Forbidden by robots.txt",)
    assert town.server.stats.pages == {"robots": 1, "home": 1}


@pytest.mark.parametrize(
    ("fault", "verdict", "reason"),
    [
        ("error", Verdict.FAILED, "listing: p0: 500"),
        ("hang_up", Verdict.FAILED, "listing: p0: "),
        ("unavailable", Verdict.FAILED, "rate_limited: "),
        ("too_many", Verdict.FAILED, "rate_limited: "),
    ],
)
def test_while_it_cannot_be_had_nothing_is_asked_for(town: Town, fault: str, verdict: Verdict, reason: str) -> None:
    town.number = 1
    town.server.faults.add(fault, r"^/robots\.txt", seconds=0.01)
    (run,) = town.crawl()
    assert run.verdict is verdict
    assert run.reasons[0].startswith(reason)
    assert "home" not in town.server.stats.pages
    town.server.faults.clear()
    (run,) = town.crawl(NOW + timedelta(minutes=15))  # nothing of it was kept
    assert (run.verdict, town.server.stats.pages) == (Verdict.OK, {"robots": 1, "home": 1})


@pytest.mark.parametrize("fault", ["error", "hang_up", "unavailable"])
def test_what_it_said_before_is_obeyed_while_it_cannot_be_had(town: Town, fault: str) -> None:
    town.number = 2
    town.server.robots = "User-agent: *\nDisallow: /p1\n"
    town.crawl()
    town.server.faults.add(fault, r"^/robots\.txt")
    allowed, forbidden = town.crawl(NOW + 40 * DAY)
    assert (allowed.verdict, forbidden.verdict) == (Verdict.OK, Verdict.FAILED)
    assert town.server.stats.pages["home"] == 1


def test_a_wall_in_front_of_robots_txt_stands_in_front_of_the_portal(town: Town) -> None:
    town.number = 1
    town.server.faults.add("challenge")
    (run,) = town.crawl()
    assert run.verdict is Verdict.BLOCKED


def test_a_host_without_one_lets_everything_be_read(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = town.server.answer

    def without(request: Request) -> Response:
        return Response(b"", "none", 404) if request.path == "/robots.txt" else answer(request)

    monkeypatch.setattr(town.server, "answer", without)
    assert {run.verdict for run in town.crawl()} == {Verdict.OK}
    assert town.server.stats.pages == {"none": 1, "home": 20}
