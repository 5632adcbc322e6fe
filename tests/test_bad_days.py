"""Processes that die or meet, leases lost, disks and databases that fail: nothing lost, no overlap, clear words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from aggregator.config import Portal
from aggregator.database import leases, metadata, open_database, reading, runs, writing
from aggregator.leases import name_host
from aggregator.models import Sweep
from aggregator.quiet import QuietHours
from aggregator.repository import Repository
from aggregator.runs import Tally, find_due
from aggregator.verdicts import Verdict
from spiders.crawl import Order, crawl
from tests.databases import run as run_sql
from tests.road import HEAD, WIB, Road

ROOT = Path(__file__).parents[1]


def start_crawl(road: Road, *arguments: str, verb: str = "crawl", delay: float = 0.0) -> subprocess.Popen[str]:
    """`warta crawl` in a process of its own, over the road's portal and years; or another verb."""
    text = HEAD.replace("delay = 0.0", f"delay = {delay}") + road.table.replace("{url}", road.config.portal[0].url)
    config = road.config.folder / "warta.toml"
    config.write_text(text + "years = [2025, 2026, 2027]\n", encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "warta", "--config", str(config), verb, "--json", *arguments],
        cwd=road.config.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for_requests(road: Road, count: int) -> None:
    end = time.monotonic() + 30
    while len(road.server.stats.requests) < count:
        assert time.monotonic() < end, "the crawl sends no requests"
        time.sleep(0.005)


@pytest.mark.parametrize("requests", [3, 25, 60])
def test_after_kill_9_the_next_run_is_whole_and_tells_nothing_twice(road: Road, requests: int) -> None:
    road.server.faults.add("slow", seconds=0.01)
    crawling = start_crawl(road)
    wait_for_requests(road, requests)
    crawling.kill()
    crawling.communicate()
    road.server.faults.clear()
    run = road.crawl()
    assert run.verdict is Verdict.OK
    road.assert_true()
    keys = [(key, events) for key, events in road.events()]
    assert len(keys) == len(set(keys)) == len(road.truth())


def test_two_crawls_at_once_never_ask_one_host_together(road: Road) -> None:
    road.server.faults.add("slow", seconds=0.1)
    first = start_crawl(road)
    wait_for_requests(road, 3)
    second, _ = start_crawl(road).communicate(timeout=60)
    road.server.faults.clear()
    told, _ = first.communicate(timeout=120)
    (refused,) = json.loads(second)["portals"]
    (done,) = json.loads(told)["portals"]
    assert (refused["verdict"], refused["requests"]) == ("failed", 0)
    assert refused["reasons"][0].startswith("busy")
    assert done["verdict"] == "ok"
    assert road.server.stats.max_concurrency == 1


def test_ctrl_c_ends_the_run_and_keeps_what_was_read(road: Road) -> None:
    road.server.faults.add("slow", seconds=0.02)
    crawling = start_crawl(road)
    wait_for_requests(road, 20)
    crawling.send_signal(signal.SIGINT)
    told, _ = crawling.communicate(timeout=60)
    (run,) = json.loads(told)["portals"]
    assert crawling.returncode == 1
    assert run["verdict"] == "failed"
    assert run["new"] == len(road.records()) > 0
    assert road.repository.find_last_runs() == {}  # it says nothing of the portal: no failure for anybody to hear of
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    road.assert_true()


def test_two_timers_at_once_read_once_and_the_second_ends_at_once(road: Road) -> None:
    fault = road.server.faults.add("slow", seconds=0.1)
    first = start_crawl(road, "--due", verb="run")
    wait_for_requests(road, 3)
    second = start_crawl(road, "--due", verb="run")
    told, _ = second.communicate(timeout=60)
    assert (second.returncode, json.loads(told)) == (0, {"portals": []})
    assert first.poll() is None  # it did not wait for the other
    assert not (road.config.public_folder / "index.html").exists()
    fault.seconds = 0.0
    told, _ = first.communicate(timeout=120)
    assert [run["verdict"] for run in json.loads(told)["portals"]] == ["ok"]
    assert (road.config.public_folder / "index.html").exists()
    assert road.server.stats.max_concurrency == 1


def test_a_run_that_waits_for_its_turn_ends_when_it_is_told_to(road: Road) -> None:
    road.crawl()
    asked = len(road.server.stats.requests)
    crawling = start_crawl(road, delay=600.0)
    held = name_host(road.config.portal[0].host)
    end = time.monotonic() + 30
    while not find_holder(road, held):
        assert time.monotonic() < end, "it takes no lease"
        time.sleep(0.02)
    crawling.send_signal(signal.SIGTERM)
    told, _ = crawling.communicate(timeout=20)
    (run,) = json.loads(told)["portals"]
    assert (crawling.returncode, run["verdict"], run["reasons"]) == (1, "failed", ["stopped: before it began"])
    assert len(road.server.stats.requests) == asked
    assert not find_holder(road, held)


def find_holder(road: Road, name: str) -> str:
    with reading(road.repository.engine) as connection:
        return str(connection.execute(sa.select(leases.c.holder).where(leases.c.name == name)).scalar_one())


@pytest.mark.parametrize("of", ["host", "portal"])
def test_a_run_whose_lease_another_took_ends_at_once(road: Road, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.leases.BEAT_EVERY", 0.05)
    road.server.faults.add("slow", seconds=0.05)

    def steal(_portal: Portal, tally: Tally) -> None:
        if tally.seen:
            with writing(road.repository.engine) as connection:
                named = leases.c.name.startswith(f"{of} ")
                connection.execute(sa.update(leases).where(named).values(holder="another a:1:1 a:1"))

    order = Order(years=(2025, 2026, 2027))
    (run,) = crawl(road.config, road.config.portal, road.repository, order, now=road.now, on_progress=steal)
    assert run.verdict is Verdict.FAILED
    assert run.reasons[0].startswith(f"lease: another run took {of} ")
    assert find_holder(road, name_host(road.config.portal[0].host)).startswith("another") is (of == "host")
    whole = len(road.truth())
    assert 0 < len(road.records()) < whole
    assert road.repository.find_last_runs()["malangkota"].last == run


def test_a_lease_that_finds_no_room_on_the_disk_fails_its_host_in_clear_words(road: Road) -> None:
    other = road.config.portal[0].model_copy(
        update={"id": "lain", "url": road.config.portal[0].url.replace("127.0.0.1", "localhost")}
    )
    with writing(road.repository.engine) as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON leases WHEN new.name LIKE 'host localhost%'"
            " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    portals = [other, *road.config.portal]
    full, good = crawl(road.config, portals, road.repository, Order(years=(2025, 2026, 2027)), now=road.now)
    assert (full.verdict, good.verdict) == (Verdict.FAILED, Verdict.OK)
    assert "has no room left on its disk; what was saved before is kept" in full.reasons[0]
    assert full.requests == 0


def test_the_delay_is_kept_from_one_machine_to_the_next(road: Road) -> None:
    times = []
    for machine in ("one", "two"):
        polite = road.config.crawl.model_copy(update={"delay": 0.4, "archive": Path(machine, "archive")})
        config = road.config.model_copy(update={"crawl": polite})
        crawl(config, config.portal, road.repository, Order(sweep=Sweep.OPEN, limit=1), now=road.now)
        times.append([seen.time for seen in road.server.stats.requests])
        road.server.stats.reset()
    assert times[1][0] - times[0][-1] >= 0.39


def test_a_database_whose_connections_break_in_mid_run_loses_nothing(
    emptied: Engine, road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.leases.BEAT_EVERY", 0.05)
    run_sql(emptied, f"TRUNCATE tender_text, {', '.join(metadata.tables)}")
    road.repository = Repository(open_database(emptied.url.render_as_string(hide_password=False)))
    broken: list[int] = []

    def break_all(_portal: Portal, tally: Tally) -> None:
        if tally.seen > 10 * (len(broken) + 1):
            broken.append(tally.seen)
            run_sql(
                emptied,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )

    order = Order(years=(2025, 2026, 2027))
    (run,) = crawl(road.config, road.config.portal, road.repository, order, now=road.now, on_progress=break_all)
    assert len(broken) >= 2
    assert (run.verdict, run.reasons) == (Verdict.OK, ())
    road.assert_true()
    keys = road.events()
    assert len(keys) == len(set(keys)) == len(road.truth())
    road.repository.engine.dispose()


def test_a_turn_that_reaches_quiet_hours_begins_nothing_in_them(road: Road) -> None:
    hours = QuietHours(((9 * 60, 10 * 60),), WIB)  # NOW is 09.40 there
    portals = [portal.model_copy(update={"quiet": hours}) for portal in road.config.portal]
    for due in (True, False):
        order = Order(sweep=Sweep.OPEN, due=due)
        (run,) = crawl(road.config, portals, road.repository, order, now=road.now)
        assert (run.requests == 0) is due
    assert run.verdict is Verdict.OK


def test_a_clock_that_was_ahead_in_a_run_that_was_killed_costs_no_change(road: Road) -> None:
    """Its tenders are kept and itself is not: they alone tell how far ahead it was."""
    road.crawl(minutes=365 * 24 * 60)
    with writing(road.repository.engine) as connection:
        connection.execute(sa.delete(runs))
    road.world.cancel(road.world.open("tender")[0].key, "Perubahan anggaran")
    run = road.crawl(minutes=-364 * 24 * 60)
    assert (run.verdict, run.changed) == (Verdict.OK, 1)
    assert run.finished < run.started
    assert run.as_dict()["seconds"] == 0
    assert find_due(road.config.portal, road.repository.find_last_runs(), run.finished) == []


def test_a_signal_ends_a_turn_whatever_its_portals_are_asked_for(road: Road) -> None:
    """One portal is read open, the other in full: both are one crawl."""
    (first,) = road.config.portal
    second = first.model_copy(update={"id": "kedua"})
    orders = {first.id: Order(sweep=Sweep.OPEN), second.id: Order(sweep=Sweep.FULL)}

    def interrupt(_portal: Portal, _tally: Tally) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    runs = crawl(road.config, [first, second], road.repository, orders, now=road.now, on_progress=Once(interrupt))
    assert runs[0].requests > 0
    assert (runs[1].reasons, runs[1].requests) == (("stopped: before it began",), 0)


class Once:
    """Calls ``act`` the first time that it is called."""

    def __init__(self, act: Callable[[Portal, Tally], None]) -> None:
        self._act = act
        self._done = False

    def __call__(self, portal: Portal, tally: Tally) -> None:
        if not self._done:
            self._done = True
            self._act(portal, tally)
