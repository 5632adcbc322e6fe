"""The benchmarks of crawling, at sizes that take no time: real crawls, their counts, and what keeps them honest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import crawling, peers, requesting
from benchmarks.crawling import Course, measure_beside_scrapy, measure_memory
from benchmarks.figures import Curve, Figure
from benchmarks.measuring import Spent
from benchmarks.peers import PeersMissing, find_python
from benchmarks.portals import NOW
from benchmarks.requesting import DELAY, tell_time
from benchmarks.stand_in import Packages, Recalling
from demo.messages import Request
from demo.server import Seen
from demo.spse import Portal

LOCK = Path(peers.__file__).with_name("requirements.lock")


@pytest.fixture(scope="module")
def course() -> Iterator[Course]:
    with Course.open(Packages(tenders=4, non_tenders=6)) as course:
        yield course


def test_requests_are_counted_and_within_their_bounds() -> None:
    figures = list(requesting.measure(quick=True))
    counted = [figure for figure in figures if figure.unit == ""]
    assert len(counted) == 7
    assert all(figure.reached for figure in counted), [figure for figure in counted if not figure.reached]
    (simulated,) = (figure for figure in figures if figure.unit == "min")
    assert simulated.value >= (requesting.QUICK.portals - 1) * DELAY / 60


def test_time_is_that_of_the_delay_and_ours_where_it_is_longer() -> None:
    asked = [Seen(time, "GET", "/", "home", 200) for time in (0.0, 0.01, 4.01, 4.5)]
    assert tell_time(asked) == pytest.approx(DELAY + 4.0 + DELAY)
    assert tell_time(asked[:1]) == 0


def test_our_crawl_is_measured_beside_a_bare_one_of_the_same_pages(course: Course) -> None:
    pages = Counter(seen.page for seen in course.pages)
    assert pages["announcement"] == len(course.tenders) == 10
    figures = {figure.name: figure for figure in measure_beside_scrapy(course, 1)}
    assert len(figures) == 3
    assert all(figure.value > 0 for figure in figures.values())
    assert f"{len(course.pages)} pages" in figures["time, over a bare Scrapy crawl's"].against


def test_a_crawl_of_other_pages_is_no_comparison(course: Course) -> None:
    shorter = replace(course, pages=course.pages[:-1])
    course.stand_in.take_requests()
    with pytest.raises(RuntimeError, match="our crawl had"):
        shorter.crawl()


def test_our_crawl_is_measured_beside_pyproc(course: Course) -> None:
    try:
        python = find_python()
    except PeersMissing as missing:
        pytest.skip(str(missing))
    # As it ships it would try for minutes.
    size = replace(crawling.QUICK, existing=4)
    took = course.ask_pyproc(python, size.existing, told=True)
    assert took["packages"] == 4
    assert took["requests"] == sum(len(course.find_methods(each)) for each in course.tenders[::2][:4])


def test_what_pyproc_found_must_be_what_we_found(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(command: list[str], *, given: bytes) -> Spent:
        packages = [{**crawling.describe(by_key[key]), "title": title} for _, key, _ in json.loads(given)["packages"]]
        return Spent(1.0, 1.0, 1, json.dumps({"seconds": 2.0, "cpu": 1.0, "packages": packages}).encode())

    by_key = {tender.key: tender for tender in course.tenders}
    monkeypatch.setattr(crawling, "run_program", find)
    title = course.tenders[0].title
    took: dict[str, Any] = course.ask_pyproc("python", 1, told=True)
    assert (took["packages"], took["seconds"]) == (1, 2.0)
    title = "Paket lain"
    with pytest.raises(RuntimeError, match="pyproc found"):
        course.ask_pyproc("python", 1, told=True)


def test_memory_is_that_of_a_sweep_that_finds_all_as_it_was() -> None:
    figure, curve = measure_memory([150])
    assert isinstance(curve, Curve)
    ((known, megabytes),) = curve.points["packages known"]
    assert known == 148  # in the proportions of the kinds
    assert 20 < megabytes < 200
    assert isinstance(figure, Figure)
    assert figure.reached


def test_the_stand_in_recalls_what_the_portal_answers() -> None:
    portal = Portal(Packages(tenders=4, non_tenders=2).make_world(NOW))
    recalling = Recalling(portal)
    key = portal.world.listed("tender")[0].key
    sent = {"user-agent": "Mozilla/5.0", "referer": "x"}
    page = Request("GET", f"{portal.prefix}/lelang/{key}/pengumumanlelang", headers=sent)
    assert recalling.answer(page) is recalling.answer(page)
    assert recalling.answer(page).body == portal.answer(page).body
    assert recalling.answer(replace(page, headers={"user-agent": "Mozilla/5.0"})).status == 403
    front = Request("GET", f"{portal.prefix}/lelang", headers=sent)
    assert recalling.answer(front).headers != recalling.answer(front).headers  # a session of its own for each


def test_peers_that_are_missing_are_told_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENT", tmp_path / ".venv-peers")
    with pytest.raises(PeersMissing, match=r"\.venv-peers is missing.*make bench"):
        find_python()


def test_peers_are_pinned_and_come_from_no_named_index() -> None:
    lock = LOCK.read_text(encoding="utf-8")
    assert "pyproc==0.3.3 \\\n    --hash=sha256:" in lock
    assert "://" not in lock
