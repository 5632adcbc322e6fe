"""Programs that follow all releases: whatever happens and whenever they stop, they end with what is kept."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from sqlalchemy.engine import Engine
from starlette.types import ASGIApp

from aggregator.config import DATABASE_URL
from aggregator.database import open_database
from aggregator.models import Change, Event, Kind, Milestone, Money, Reading, Sweep, Tender
from aggregator.repository import Repository
from aggregator.sequence import OtherSequence, find_stretch
from feeds.app import make_app
from spiders.replay import replay
from spiders.spse import pages
from tests.feed_samples import READ, TENDER
from tests.road import ALL, WIB, Road
from tests.test_app import ask

PORTAL = TENDER.portal
State = dict[str, Any]


@dataclass
class Follower:
    """A program that keeps what `/api/releases` tells, and its place, in one step; all else it forgets at a restart."""

    app: ASGIApp
    dice: random.Random
    tenders: dict[tuple[str, ...], State] = field(default_factory=dict)
    place: str = "?after=0"
    times: list[str] = field(default_factory=list)

    def follow(self, pages: int = 10_000) -> None:
        """Asks until nothing is left, or for so many pages."""
        for _ in range(pages):
            query = dict(parse_qsl(self.place[1:])) | {"limit": str(self.dice.randint(1, 60))}
            answer = ask(self.app, f"/api/releases?{urlencode(query)}")
            assert answer.status == 200, answer.body
            told = json.loads(answer.body)
            if self.dice.random() < 0.3:
                continue  # killed before it kept anything
            for step in told["releases"]:
                self.tenders[step["portal"], step["kind"], step["key"]] = step["tender"]
                self.times.append(step["time"])
            self.place = told["next"]
            if not told["more"]:
                return


def find_kept(repository: Repository, **wanted: Any) -> dict[tuple[str, ...], State]:
    """What `warta export --portal` tells, but for the time of the last sight, which moves without a release."""
    found = repository.find(replace(ALL, **wanted), READ, WIB, apart=True)
    kept = (json.loads(json.dumps(record.as_dict())) for record in found)
    return {(each["portal"], each["kind"], each["key"]): _without(each, "last_seen") for each in kept}


def _without(state: State, name: str) -> State:
    return {key: value for key, value in state.items() if key != name}


@pytest.fixture
def road(make_road: Callable[..., Road], address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Road]:
    monkeypatch.setenv(DATABASE_URL, address)
    road = make_road(tenders=8, non_tenders=6, recorded=3, self_managed=2, emergencies=1)
    yield road
    road.repository.engine.dispose()


def test_a_follower_that_restarts_at_random_ends_with_what_is_kept(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    right = pages.parse_announcement

    def misread(*arguments: Any) -> pages.Announcement:
        page = right(*arguments)
        page.locations = ("salah",)
        return page

    def mend() -> None:
        monkeypatch.setattr("spiders.spse.pages.parse_announcement", right)
        replay(road.config, road.config.portal, road.repository, None, road.now)

    followers = [Follower(make_app(road.config, road.repository), random.Random(seed)) for seed in range(3)]
    happenings: list[Callable[[], object]] = [
        lambda: road.server.faults.add("error", match="pengumuman", chance=0.6),
        road.server.faults.clear,
        lambda: monkeypatch.setattr("spiders.spse.pages.parse_announcement", misread),
        lambda: road.world.reprice(road.world.open("tender")[0].key),
        lambda: road.world.reschedule(road.world.open("tender")[1].key, 6),
        lambda: road.world.cancel(road.world.open("tender")[2].key),
        mend,
        lambda: road.world.vanish(road.world.listed("non_tender")[0].key),
        lambda: road.world.advance(days=2),
        lambda: road.world.add("tender"),
        lambda: road.world.restore(road.world.truth()[0]["key"]),
    ]
    for number, happen in enumerate(happenings):
        happen()
        road.crawl(Sweep.OPEN if number % 3 == 2 else Sweep.FULL, minutes=400)
        for follower in followers[number % 2 :]:
            follower.follow(pages=1 + number % 3)
    kept = find_kept(road.repository, portal=("malangkota",))
    assert len(kept) > 20
    for follower in followers:
        follower.follow()
        assert follower.tenders == kept
    late = Follower(followers[0].app, random.Random(9))
    late.follow()
    assert late.tenders == kept


def save(repository: Repository, minutes: int, *tenders: Tender) -> None:
    repository.save([Reading(tender=tender) for tender in tenders], READ + timedelta(minutes=minutes))


def find_steps(engine: Engine, after: int = 0) -> list[tuple[tuple[Event, ...], tuple[str, ...], tuple[Change, ...]]]:
    found = find_stretch(engine, after, 100, only=[PORTAL]).steps
    return [(release.events, release.tags, release.changes) for release, _ in found]


BARE = replace(TENDER, value=None, milestones=(), participants=None, unread=frozenset({"value", "milestones"}))
FULL = replace(
    BARE,
    value=Money(Decimal(5)),
    participants=4,
    milestones=(Milestone(title="Upload", starts=None, ends=READ),),
    unread=frozenset(),
)


def test_what_is_learnt_is_told_to_followers_and_to_no_reader(engine: Engine) -> None:
    repository = Repository(engine)
    save(repository, 0, BARE)
    before = repository.find_releases(ALL, READ, WIB)
    (kept,) = repository.find(ALL, READ, WIB)
    save(repository, 5, FULL)
    milestone = {"title": "Upload", "starts": None, "ends": READ.isoformat(), "changes": 0}
    assert find_steps(engine, 1) == [
        (
            (),
            (),
            (
                Change("value", None, {"amount": "5", "currency": "IDR"}),
                Change("participants", None, 4),
                Change("milestones", [], [milestone]),
            ),
        )
    ]
    assert [release for release, _ in repository.find_releases(ALL, READ, WIB)] == [release for release, _ in before]
    (learnt,) = repository.find(ALL, READ, WIB)
    assert learnt.changed == kept.changed
    (told,) = repository.find_told(repository.find_versions([PORTAL]))
    assert [(release.seq, tender) for release, tender in told.history] == [(1, FULL)]


def test_only_what_moved_is_learnt(engine: Engine) -> None:
    repository = Repository(engine)
    save(repository, 0, FULL)
    moved = replace(
        FULL, milestones=(replace(FULL.milestones[0], changes=2),), url="https://x.example/1", incomplete=True
    )
    save(repository, 5, moved)
    save(repository, 10, moved)
    ((events, tags, changes),) = find_steps(engine, 1)
    assert (events, tags) == ((), ())
    assert [change.field for change in changes] == ["url", "milestones", "incomplete"]


def test_news_and_what_is_learnt_beside_it_are_two_releases(engine: Engine) -> None:
    repository = Repository(engine)
    save(repository, 0, FULL)
    save(repository, 5, replace(FULL, value=Money(Decimal(6)), participants=9))
    learnt, news = find_steps(engine, 1)
    assert [change.field for change in learnt[2]] == ["participants"]
    assert (news[0], [change.field for change in news[2]]) == ((Event.VALUE,), ["value"])
    ((_, record),) = repository.find_releases(ALL, READ, WIB, limit=1)
    assert (record.tender.participants, record.tender.value) == (9, Money(Decimal(6)))


def test_each_release_comes_with_its_tender_as_it_left_it(engine: Engine) -> None:
    repository = Repository(engine)
    states = [BARE, FULL, replace(FULL, value=Money(Decimal(6))), replace(FULL, value=Money(Decimal(6)), stage="Baru")]
    for minutes, tender in enumerate(states):
        save(repository, minutes, tender)
    steps = find_stretch(engine, 0, 100, only=[PORTAL]).steps
    assert [record.tender.as_dict() for _, record in steps] == [tender.as_dict() for tender in states]
    changed = [READ, READ, *(READ + timedelta(minutes=minutes) for minutes in (2, 3))]
    assert [record.changed for _, record in steps] == changed
    # the same, one by one
    alone = [find_stretch(engine, after, 1, only=[PORTAL]).steps[0] for after in range(4)]
    assert alone == steps


def test_a_dossier_that_moves_when_its_first_source_says_nothing(engine: Engine) -> None:
    """What another source adds moves when the purchase changed, which the export tells with the first source."""
    repository = Repository(engine)
    other = replace(FULL, portal="other", description="Lebih banyak")
    readings = [replace(FULL, description=None), other, replace(other, description="Lain lagi")]
    told: dict[str, State] = {}
    after = 0
    for minutes, tender in enumerate(readings):
        save(repository, minutes, tender)
        found = find_stretch(engine, after, 100, only=[PORTAL, "other"])
        after = found.last
        told |= {release.portal: _without(record.as_dict(), "last_seen") for release, record in found.steps}
    kept = find_kept(repository)
    assert told[PORTAL]["changed"] == (READ + timedelta(minutes=2)).isoformat()
    assert told == {portal: kept[portal, FULL.kind, FULL.key] for portal in (PORTAL, "other")}


def test_rare_portals_are_found_in_bounded_steps(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.sequence.WINDOW", 3)
    repository = Repository(engine)
    save(repository, 0, *(replace(FULL, key=str(number)) for number in range(7)), replace(FULL, portal="rare"))
    lasts, keys, after = [], [], 0
    for _ in range(3):
        found = find_stretch(engine, after, 100, only=["rare"])
        keys += [release.key for release, _ in found.steps]
        lasts.append(after := found.last)
    assert (lasts, keys) == ([3, 6, 8], [FULL.key])
    assert find_stretch(engine, 0, 100, only=[PORTAL], kinds=[Kind.PLAN]).steps == []


def test_a_database_put_in_the_place_of_another_is_noticed(engine: Engine) -> None:
    repository = Repository(engine)
    save(repository, 0, FULL)
    found = find_stretch(engine, 0, 100, only=[PORTAL])
    assert (found.last, found.newest, found.time) == (1, 1, READ)
    assert find_stretch(engine, 1, 100, only=[PORTAL], time=READ).steps == []
    with pytest.raises(OtherSequence):
        find_stretch(engine, 2, 100, only=[PORTAL])
    with pytest.raises(OtherSequence):
        find_stretch(engine, 1, 100, only=[PORTAL], time=READ + timedelta(microseconds=1))


def test_several_writers_at_once_hide_nothing_from_a_follower(address: str) -> None:
    """Each writer has connections of its own, as other processes have."""
    writers, rounds = 4, 12
    reader = open_database(address)
    seen: dict[str, str | None] = {}
    ended = threading.Event()

    def write(number: int) -> None:
        engine = open_database(address)
        repository = Repository(engine)
        for turn in range(rounds):
            tender = replace(FULL, key=str(number), stage=f"Tahap {turn}", participants=turn)
            save(repository, turn * writers + number, tender)
        engine.dispose()

    def follow() -> None:
        after = 0
        while True:
            is_last = ended.is_set()
            found = find_stretch(reader, after, 5, only=[PORTAL])
            assert [release.seq for release, _ in found.steps] == list(range(after + 1, found.last + 1))
            seen.update({release.key: record.tender.stage for release, record in found.steps})
            after = found.last
            if is_last and after == found.newest:
                return

    failed: list[BaseException] = []

    def run(target: Callable[..., None], *arguments: int) -> threading.Thread:
        def guarded() -> None:
            try:
                target(*arguments)
            except BaseException as error:  # noqa: BLE001  told by the test
                failed.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    follower = run(follow)
    for thread in [run(write, number) for number in range(writers)]:
        thread.join()
    ended.set()
    follower.join()
    reader.dispose()
    assert failed == []
    assert seen == {str(number): f"Tahap {rounds - 1}" for number in range(writers)}
