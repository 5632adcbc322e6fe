"""What feeds hold where several sources tell of one purchase."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aggregator.config import Config, parse_config
from aggregator.database import open_database
from aggregator.filters import Filter, Moment
from aggregator.models import Kind, Money, Reading, Status
from aggregator.repository import Repository
from feeds.contents import Contents
from feeds.definitions import OPEN, Feed, Group
from tests.conftest import CONFIG
from tests.feed_samples import READ, TENDER

SECOND_SOURCE = """
[[portal]]
id = "satudata"
family = "satudata"
name = "Satu Data"
url = "https://isb.example.go.id/api/satudata"
"""
PASSED_ON = replace(TENDER, portal="satudata", url="https://isb.example.go.id/1", value=Money(TENDER.value.amount + 1))  # type: ignore[union-attr]


def make_feed(wanted: Filter) -> Feed:
    return Feed(id="x", title="x", short="x", description="x", group=Group.OWN, filter=wanted)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return parse_config(CONFIG + SECOND_SOURCE, tmp_path / "warta.toml")


@pytest.fixture
def contents(config: Config) -> Contents:
    repository = Repository(open_database(config.database_url))
    repository.save([Reading(tender=TENDER)], READ)
    repository.save([Reading(tender=PASSED_ON, republished=True)], READ + timedelta(minutes=1))
    return Contents(config, repository, READ + timedelta(minutes=5))


def test_a_purchase_is_one_entry_of_all_its_sources(contents: Contents) -> None:
    (entry,) = contents.find(make_feed(OPEN))
    assert entry.url == TENDER.url
    assert [source["portal"] for source in entry.structured["sources"]] == ["malangkota", "satudata"]
    assert contents.count(make_feed(OPEN)) == 1


def test_a_purchase_is_found_whole_by_any_of_its_portals(contents: Contents) -> None:
    for portal in ("satudata", "malangkota"):
        (entry,) = contents.find(make_feed(replace(OPEN, portal=(portal,))))
        assert entry == contents.find(make_feed(OPEN))[0]
        assert contents.count(make_feed(replace(OPEN, portal=(portal,)))) == 1
    assert len(contents.find(make_feed(replace(OPEN, key=(TENDER.key,))))) == 1
    assert len(contents.find(make_feed(replace(OPEN, portal=("satudata", "malangkota"))))) == 1


def test_a_portal_that_is_configured_no_more_tells_nothing(config: Config, contents: Contents) -> None:
    assert len(contents.find(make_feed(OPEN))) == 1
    left = tuple(portal for portal in config.portal if portal.id == "malangkota")
    repository = Repository(open_database(config.database_url))
    (entry,) = Contents(config.model_copy(update={"portal": left}), repository, READ).find(make_feed(OPEN))
    assert entry.author == left[0].name
    assert "satudata" not in repr(entry)


def test_kinds_that_are_there(config: Config, contents: Contents) -> None:
    assert contents.find_kinds() == {Kind.TENDER}
    gone = config.model_copy(update={"portal": ()})
    repository = Repository(open_database(config.database_url))
    assert Contents(gone, repository, READ).find_kinds() == frozenset()


def test_only_what_can_be_bid_for_counts(config: Config, contents: Contents) -> None:
    later = Contents(config, Repository(open_database(config.database_url)), READ + timedelta(days=30))
    assert contents.count(make_feed(OPEN)) == 1
    assert later.count(make_feed(OPEN)) == 0
    assert later.count(make_feed(Filter(status=(Status.COMPLETE,)))) is None


def test_when_something_found_may_have_changed_last(config: Config, contents: Contents) -> None:
    """The newest change, or when time alone moved a tender past what is told from now: TENDER closes on 3 December."""
    later = Contents(config, Repository(open_database(config.database_url)), datetime(2026, 12, 3, 8, tzinfo=UTC))
    assert TENDER.deadline
    assert TENDER.published
    day = timedelta(days=1)
    for wanted, changed in [
        (OPEN, READ),
        (Filter(deadline_from=Moment("+0d")), TENDER.deadline),
        (Filter(deadline_to=Moment("+1d"), published_from=Moment("-1d")), TENDER.deadline - day),
        (Filter(published_from=Moment("-20d")), TENDER.published + 20 * day),
        (Filter(changed_since=Moment("-2d")), READ + 2 * day + timedelta(minutes=1)),
        (Filter(deadline_from=Moment("2026-12-03")), READ),
    ]:
        assert later.find_newest_change(wanted) == changed, wanted
    assert contents.find_newest_change(Filter(deadline_from=Moment("+0d"))) == READ


def test_counting_may_stop(contents: Contents) -> None:
    assert (contents.count_tenders(OPEN), contents.count_tenders(OPEN, 0), contents.count_tenders(OPEN, 9)) == (1, 0, 1)
