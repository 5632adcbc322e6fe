"""Processes that die or meet: a crawl killed at any point, two crawls at once, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aggregator.models import Verdict
from tests.road import HEAD, Road

ROOT = Path(__file__).parents[1]


def start_crawl(road: Road, *arguments: str) -> subprocess.Popen[str]:
    """`warta crawl` in a process of its own, over the road's portal and years."""
    text = HEAD + road.table.replace("{url}", road.config.portal[0].url)
    config = road.config.folder / "warta.toml"
    config.write_text(text + "years = [2025, 2026, 2027]\n", encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "warta", "--config", str(config), "crawl", "--json", *arguments],
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
    crawl = start_crawl(road)
    wait_for_requests(road, requests)
    crawl.kill()
    crawl.communicate()
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
    crawl = start_crawl(road)
    wait_for_requests(road, 20)
    crawl.send_signal(signal.SIGINT)
    told, _ = crawl.communicate(timeout=60)
    (run,) = json.loads(told)["portals"]
    assert crawl.returncode == 1
    assert run["verdict"] == "failed"
    assert run["new"] == len(road.records()) > 0
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    road.assert_true()
