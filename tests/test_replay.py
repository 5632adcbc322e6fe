"""The archive read again: an empty database is rebuilt, a wrong one put right, a right one left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aggregator.config import Config
from aggregator.database import open_database
from aggregator.leases import Leases, name_portal
from aggregator.models import Reading, Sweep
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from spiders.replay import replay
from spiders.spse import pages
from tests.road import ALL, WIB, Road


def replay_all(road: Road, repository: Repository, config: Config | None = None) -> Run:
    config = config or road.config
    (run,) = replay(config, config.portal, repository, None, road.now)
    return run


def crawl_three_days(road: Road) -> None:
    road.crawl()
    opened = road.world.open("tender")
    road.world.reprice(opened[0].key)
    road.world.reschedule(opened[1].key, 6)
    road.crawl(Sweep.OPEN)
    road.world.cancel(opened[2].key, "Perubahan anggaran")
    road.world.add("tender")
    road.crawl()


def test_an_empty_database_is_rebuilt_as_it_was(road: Road) -> None:
    crawl_three_days(road)
    road.server.stats.reset()
    repository = Repository(open_database(f"sqlite:///{road.config.folder / 'again.db'}"))
    run = replay_all(road, repository)
    assert run.verdict is Verdict.OK
    assert road.server.stats.requests == []
    for rebuilt, kept in zip(
        repository.find(ALL, road.now, WIB), road.repository.find(ALL, road.now, WIB), strict=True
    ):
        assert rebuilt.as_dict() == kept.as_dict()
    told = [r.find_releases(ALL, road.now, WIB, limit=10_000) for r in (repository, road.repository)]
    assert told[0] == told[1]


def test_a_right_database_is_left_alone(road: Road) -> None:
    crawl_three_days(road)
    before = road.records()
    for _ in range(2):
        run = replay_all(road, road.repository)
        assert (run.verdict, run.new, run.changed) == (Verdict.OK, 0, 0)
    assert road.records() == before


def test_what_was_read_wrong_is_corrected_and_is_no_news(
    road: Road,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = pages.parse_announcement

    def misread(*arguments: Any) -> pages.Announcement:
        page = right(*arguments)
        page.locations = ("salah",)
        return page

    monkeypatch.setattr("spiders.spse.pages.parse_announcement", misread)
    crawl_three_days(road)
    monkeypatch.undo()
    count = len(road.events())
    run = replay_all(road, road.repository)
    assert run.changed > 0
    road.assert_true()
    assert len(road.events()) == count
    assert replay_all(road, road.repository).changed == 0
    assert road.crawl().changed == 0


def test_what_the_database_lacks_is_added(road: Road) -> None:
    crawl_three_days(road)
    lost = replace(road, repository=Repository(open_database(f"sqlite:///{road.config.folder / 'lost.db'}")))
    some = [record.tender for record in road.records().values()][:3]
    lost.repository.save([Reading(tender=tender) for tender in some], road.now)
    run = replay_all(road, lost.repository)
    assert run.new == len(road.records()) - 3
    assert lost.records().keys() == road.records().keys()


def test_what_could_not_be_read_once_is_complete_after_the_next_replay(road: Road) -> None:
    road.crawl()
    anew = replace(road, repository=Repository(open_database(f"sqlite:///{road.config.folder / 'anew.db'}")))
    whole = next(record.tender for record in road.records().values() if not record.tender.incomplete)
    anew.repository.save([Reading(tender=replace(whole, incomplete=True, method_detail=None))], road.now)
    assert replay_all(road, anew.repository).changed == 1
    anew.assert_true()
    assert not any(record.tender.incomplete for record in anew.records().values())


def test_a_replay_beside_a_crawl_is_refused(road: Road) -> None:
    road.crawl()
    with Leases(road.repository.engine, road.config.lock_folder) as leases, leases.take(name_portal("malangkota")):
        run = replay_all(road, road.repository)
    assert run.verdict is Verdict.FAILED
    assert run.reasons[0].startswith("busy")
