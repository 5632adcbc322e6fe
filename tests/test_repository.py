"""What the repository keeps of readings and listings, and what it finds again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

import aggregator.conditions
from aggregator.archive import Snapshot
from aggregator.bookkeeping import FIRST_RETRY, LONGEST_RETRY, collapsed, weigh_listing
from aggregator.database import DatabaseError, open_database, tenders, writing
from aggregator.filters import Filter
from aggregator.models import (
    GONE,
    Award,
    Category,
    Event,
    Kind,
    Known,
    Milestone,
    Money,
    Reading,
    Record,
    Status,
    Sweep,
    Tender,
)
from aggregator.repository import Listed, Repository, Saved
from aggregator.rows import render_tender
from aggregator.texts import clean_tender
from aggregator.verdicts import Run, Verdict
from tests.feed_samples import READ, TENDER, WIB

ROOT = Path(__file__).parents[1]
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
WINNER = Award(supplier="CV Karya Maju", amount=Money(Decimal("5500000000.00")))


@pytest.fixture
def repository(engine: sa.Engine) -> Repository:
    """An empty repository, on SQLite and on PostgreSQL."""
    return Repository(engine)


def make(key: str, **fields: Any) -> Tender:
    return replace(TENDER, key=key, **fields)


def read(*tenders: Tender) -> list[Reading]:
    return [Reading(tender=tender) for tender in tenders]


def find(repository: Repository, now: datetime = READ, **values: Any) -> list[str]:
    return [record.tender.key for record in repository.find(Filter.parse(values), now, WIB)]


def one(repository: Repository) -> Tender:
    (record,) = repository.find(Filter(), READ, WIB)
    return record.tender


def events(repository: Repository, key: str = TENDER.key) -> list[tuple[Event, ...]]:
    return [release.events for release in repository.find_history("malangkota", Kind.TENDER, key)]


# Saving ------------------------------------------------------------------------------------------------


def test_a_new_tender_comes_back_whole(repository: Repository) -> None:
    milestone = Milestone(title="Upload", starts=TENDER.published, ends=TENDER.deadline, changes=1)
    tender = replace(TENDER, milestones=(milestone,), awards=(WINNER,), unread=frozenset({"contracts"}))
    assert repository.save(read(tender), READ) == Saved(new=1)
    (record,) = repository.find(Filter(), READ, WIB)
    assert record.tender == tender
    assert (record.first_seen, record.last_seen, record.changed) == (READ, READ, READ)


def test_the_same_reading_again_makes_nothing_new(repository: Repository) -> None:
    repository.save(read(TENDER), READ)
    assert repository.save(read(TENDER), READ) == Saved()
    assert repository.save(read(TENDER), READ + HOUR) == Saved()
    (record,) = repository.find(Filter(), READ, WIB)
    assert (record.first_seen, record.last_seen, record.changed) == (READ, READ + HOUR, READ)
    assert events(repository) == [(Event.NEW,)]


def test_a_change_is_kept_with_its_release(repository: Repository) -> None:
    repository.save(read(TENDER), READ)
    cheaper = replace(TENDER, value=Money(Decimal("5900000000.00")))
    assert repository.save(read(cheaper), READ + HOUR) == Saved(changed=1)
    first, second = repository.find_history("malangkota", Kind.TENDER, TENDER.key)
    assert (first.seq, first.tags, first.events, first.changes) == (1, ("tender",), (Event.NEW,), ())
    assert (second.seq, second.tags, second.events) == (2, ("tenderAmendment",), (Event.VALUE,))
    assert [(c.field, c.old["amount"], c.new["amount"]) for c in second.changes] == [
        ("value", "5912300000.00", "5900000000.00")
    ]
    (record,) = repository.find(Filter(), READ, WIB)
    assert record.tender == cheaper
    assert record.changed == second.time == READ + HOUR


def test_what_is_no_content_is_kept_without_a_release(repository: Repository) -> None:
    repository.save(read(TENDER), READ)
    assert repository.save(read(replace(TENDER, participants=9)), READ + HOUR) == Saved()
    (record,) = repository.find(Filter(), READ, WIB)
    assert (record.tender.participants, record.changed) == (9, READ)


def test_releases_of_a_run_are_a_microsecond_apart(repository: Repository) -> None:
    repository.save(read(make("1"), make("2")), READ)
    repository.save(read(make("3"), replace(make("1"), stage="Evaluasi")), READ)
    found = repository.find_releases(Filter(), READ, WIB)
    assert [release.time - READ for release, _ in found] == [3 * MICROSECOND, 2 * MICROSECOND, MICROSECOND, 0 * HOUR]
    assert [release.seq for release, _ in found] == [4, 3, 2, 1]
    assert find(repository, sort="changed") == ["1", "3", "2"]


def test_a_tender_twice_in_one_batch(repository: Repository) -> None:
    second = replace(TENDER, stage="Evaluasi", title="Jembatan")
    assert repository.save(read(TENDER, second, second), READ) == Saved(new=1)
    assert one(repository) == second
    assert events(repository) == [(Event.NEW,), (Event.STAGE, Event.DETAILS)]
    assert find(repository, q="jembatan") == [TENDER.key]
    assert find(repository, q="drainase") == []


def test_unread_fields_are_kept_and_first_learnt_in_silence(repository: Repository) -> None:
    row = replace(TENDER, deadline=None, unread=frozenset({"deadline"}), incomplete=True)
    repository.save(read(row), READ)
    assert repository.save(read(TENDER), READ + HOUR) == Saved()
    assert one(repository) == TENDER
    assert repository.save(read(row), READ + 2 * HOUR) == Saved()
    assert one(repository) == replace(TENDER, incomplete=True)


def test_a_reading_older_than_the_kept_one_changes_nothing(repository: Repository) -> None:
    newer = replace(TENDER, stage="Evaluasi")
    repository.save(read(newer), READ)
    assert repository.save(read(TENDER), READ - HOUR) == Saved()
    assert one(repository) == newer


def test_a_field_the_program_learns_to_read_later_re_issues_nothing(repository: Repository, engine: sa.Engine) -> None:
    repository.save(read(replace(TENDER, retender_reason="Gagal")), READ)
    with writing(engine) as connection:  # as a program without the field kept it
        values = json.loads(connection.execute(sa.select(tenders.c.tender)).scalar_one())
        del values["retender_reason"]
        connection.execute(sa.update(tenders).values(tender=json.dumps(values)))
    assert "retender_reason" in one(repository).unread
    assert repository.save(read(replace(TENDER, retender_reason="Gagal")), READ + HOUR) == Saved()
    assert one(repository).retender_reason == "Gagal"


def test_a_failing_batch_leaves_nothing(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("aggregator.saving.write_links", fail)  # when all else is written
    with pytest.raises(ZeroDivisionError):
        repository.save(read(make("1"), make("2")), READ)
    monkeypatch.undo()
    assert find(repository) == []
    assert repository.save(read(make("1")), READ) == Saved(new=1)


def test_a_dry_run_counts_but_writes_nothing(repository: Repository) -> None:
    repository.save(read(make("1"), make("2")), READ)
    batch = read(make("1"), make("2", stage="Evaluasi"), make("3"))
    assert repository.save(batch, READ + HOUR, dry_run=True) == Saved(new=1, changed=1)
    assert sorted(find(repository)) == ["1", "2"]
    assert len(repository.find_releases(Filter(), READ, WIB)) == 2


def test_any_text_can_be_kept_and_what_nobody_sees_is_not(repository: Repository) -> None:
    """One of them alone would cost a batch its 500 tenders, or turn the text of a page around."""
    hostile = make("1", title="\ud800\x00\u202e", stage="Jalan \u202eagnuS\x1b[2J\x9b\ufffe\x00", buyer="a\x0bb\u2028c")
    assert repository.save(read(hostile, make("2", stage="Jalan\xa0\U0001f468\u200d\U0001f467\nB")), READ) == Saved(
        new=2
    )
    kept = {each.key: each for each in (r.tender for r in repository.find(Filter(), READ, WIB))}
    assert (kept["1"].title, kept["1"].stage, kept["1"].buyer) == ("1", "Jalan agnuS[2J", "a b c")
    assert kept["2"].stage == "Jalan\xa0\U0001f468\u200d\U0001f467\nB"
    assert repository.save(read(hostile), READ + HOUR) == Saved()


@pytest.mark.parametrize("title", ["\u200b\u00ad", "\u3164", "\U000e0041\U000e007f", "\u2800 \ufe0f\u115f", " \xa0"])
def test_a_title_that_shows_nothing_is_the_key(title: str) -> None:
    blank, shown = make("1", title=title), make("1", title=f"{title}Jalan")
    assert clean_tender(blank, render_tender(blank)).title == "1"
    assert clean_tender(shown, render_tender(shown)).title.endswith("Jalan")


def test_any_amount_and_time_can_be_kept(repository: Repository) -> None:
    vast = Money(Decimal("1e30"))
    repository.save(read(make("1", value=vast, published=datetime(9999, 12, 31, tzinfo=UTC))), READ)
    repository.save(read(make("2", value=Money(Decimal(5), "USD"), published=datetime(1, 1, 2, tzinfo=UTC))), READ)
    assert find(repository) == ["1", "2"]
    assert find(repository, min_value=10**17) == ["1"]
    assert find(repository, published_from="9999-12-31", published_to="9999-12-31") == ["1"]


MOVES: dict[str, tuple[Any, ...]] = {
    "stage": ("Pengumuman", "Evaluasi"),
    "value": (None, Money(Decimal(7)), Money(Decimal(8))),
    "awards": ((), (WINNER,)),
    "status": (Status.ACTIVE, Status.COMPLETE, Status.CANCELLED),
}


@st.composite
def histories(draw: st.DrawFn) -> list[Tender]:
    """A tender as it was found in one run after the other."""
    return [
        replace(TENDER, **{name: draw(st.sampled_from(values)) for name, values in MOVES.items()})
        for _ in range(draw(st.integers(1, 5)))
    ]


@settings(max_examples=30, deadline=None)
@given(histories())
def test_every_release_comes_with_the_tender_as_it_left_it(history: list[Tender]) -> None:
    repository = Repository(open_database("sqlite://"))
    for number, tender in enumerate(history):
        repository.save(read(tender), READ + number * HOUR)
    found = repository.find_releases(Filter(), READ, WIB)[::-1]
    states = [history[0], *(new for old, new in pairwise(history) if old != new)]
    assert [record.tender for _, record in found] == states
    assert [record.changed for _, record in found] == [release.time for release, _ in found]


def test_a_correction_is_recorded_but_no_news(repository: Repository) -> None:
    repository.save(read(TENDER), READ)
    right = replace(TENDER, title="Rehabilitasi Saluran")
    records = [Record(tender=t, first_seen=READ, last_seen=READ, changed=READ) for t in (right, make("unknown"))]
    assert repository.correct(records, READ + HOUR) == 1
    assert one(repository) == right
    assert events(repository) == [(Event.NEW,), ()]
    assert [release.events for release, _ in repository.find_releases(Filter(), READ, WIB)] == [(Event.NEW,)]
    assert find(repository, q="drainase") == []


def test_a_correction_from_before_the_last_reading_is_left_out(repository: Repository) -> None:
    repository.save(read(TENDER), READ + HOUR)
    stale = Record(tender=replace(TENDER, title="Lama"), first_seen=READ, last_seen=READ, changed=READ)
    assert repository.correct([stale], READ + 2 * HOUR) == 0
    assert one(repository) == TENDER


def test_a_killed_writer_leaves_whole_batches(repository: Repository, address: str) -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_repository import *\n"
        "repository = Repository(open_database(sys.argv[1]))\n"
        "for number in range(10_000):\n"
        "    repository.save(read(*(make(f'{number}-{n}') for n in range(50))), READ)\n"
        "    print(number, flush=True)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, address], cwd=ROOT, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout is not None
        for _ in range(3):
            assert writer.stdout.readline()
        writer.kill()
    kept = repository.count(Filter(), READ, WIB)
    assert kept >= 150
    assert kept % 50 == 0
    assert repository.count(Filter.parse({"q": "drainase"}), READ, WIB) == kept
    assert len(repository.find_releases(Filter(), READ, WIB, limit=2 * kept)) == kept
    assert repository.save(read(make("0-0"), make("new")), READ + HOUR) == Saved(new=1)


# Bookkeeping -------------------------------------------------------------------------------------------


def known(repository: Repository) -> Known:
    return repository.load_known("malangkota")[Kind.TENDER, TENDER.key]


def test_what_the_next_visit_compares_with(repository: Repository) -> None:
    repository.save([Reading(tender=TENDER, row=b"r1", home=GONE, schedule_read=True)], READ)
    assert known(repository) == Known(row=b"r1", home=GONE, active=True, schedule_read=READ)
    complete = replace(TENDER, status=Status.COMPLETE)
    repository.save([Reading(tender=complete, home=b"h1")], READ + HOUR)
    assert known(repository) == Known(row=b"r1", home=b"h1", active=False, schedule_read=READ)
    assert repository.load_known("batukota") == {}


def test_missing_pages_are_asked_for_later_and_later(repository: Repository) -> None:
    lacking = Reading(tender=replace(TENDER, incomplete=True), missing=True)
    waits = []
    for number in range(10):
        now = READ + number * HOUR
        repository.save([lacking], now)
        retry_at = known(repository).retry_at
        assert retry_at is not None
        waits.append(retry_at - now)
    assert waits[:4] == [timedelta(0), FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert waits[-1] == LONGEST_RETRY
    repository.save(read(TENDER), READ + 10 * HOUR)
    assert known(repository).retry_at is None
    repository.save([lacking], READ + 11 * HOUR)
    assert known(repository).retry_at == READ + 11 * HOUR


def test_a_page_that_failed_otherwise_is_asked_for_in_the_next_run(repository: Repository) -> None:
    repository.save([Reading(tender=replace(TENDER, incomplete=True))], READ)
    assert known(repository).retry_at == READ


def test_a_reading_that_did_not_look_leaves_the_next_try_alone(repository: Repository) -> None:
    repository.save([Reading(tender=replace(TENDER, incomplete=True), missing=True)], READ)
    repository.save(read(replace(TENDER, unread=frozenset({"incomplete"}))), READ + HOUR)
    assert one(repository).incomplete
    assert known(repository).retry_at == READ


def test_touching_moves_last_seen_alone(repository: Repository) -> None:
    repository.save(read(make("1"), make("2")), READ)
    repository.touch("malangkota", Kind.TENDER, ["1", "unknown"], READ + HOUR)
    repository.touch("malangkota", Kind.TENDER, ["1"], READ)
    seen = {record.tender.key: record.last_seen for record in repository.find(Filter(), READ, WIB)}
    assert seen == {"1": READ + HOUR, "2": READ}


# Listings ----------------------------------------------------------------------------------------------


def list_(
    repository: Repository, keys: Iterable[str], hours: int, year: int | None = 2026, *, complete: bool = True
) -> Listed:
    now = READ + hours * HOUR
    return repository.save_listing("malangkota", Kind.TENDER, year, set(keys), now, complete=complete)


@pytest.fixture
def five(repository: Repository) -> Repository:
    """Five tenders, 1 to 5, in the list of 2026."""
    repository.save([Reading(tender=make(key), row=b"row", home=b"home") for key in "12345"], READ)
    list_(repository, "12345", 0)
    return repository


def withdrawn(repository: Repository) -> list[str]:
    return sorted(find(repository, status="withdrawn"))


def test_a_tender_is_withdrawn_when_two_complete_lists_lack_it(five: Repository) -> None:
    assert list_(five, "1234", 1) == Listed()
    assert list_(five, "1234", 2) == Listed(withdrawn=1)
    assert list_(five, "1234", 3) == Listed()
    assert withdrawn(five) == ["5"]
    assert events(five, "5") == [(Event.NEW,), (Event.WITHDRAWN,)]
    assert five.load_known("malangkota")[Kind.TENDER, "5"] == Known()


def test_a_withdrawn_tender_that_is_read_again_has_returned(five: Repository) -> None:
    list_(five, "1234", 1)
    list_(five, "1234", 2)
    assert five.save(read(make("5")), READ + 3 * HOUR) == Saved(changed=1)
    assert events(five, "5")[-1] == (Event.RETURNED,)
    assert withdrawn(five) == []


def test_a_withdrawn_tender_whose_status_was_never_read_is_told_too(five: Repository) -> None:
    five.save(read(make("6", status=None, unread=frozenset({"status"}))), READ)
    list_(five, "123456", 1)
    list_(five, "12345", 2)
    assert list_(five, "12345", 3) == Listed(withdrawn=1)
    assert events(five, "6")[-1] == (Event.WITHDRAWN,)


def test_once_more_in_the_list_and_the_count_begins_anew(five: Repository) -> None:
    for hours, keys in enumerate(["1234", "12345", "1234", "12345"], start=1):
        assert list_(five, keys, hours) == Listed()
    assert withdrawn(five) == []


def test_a_list_not_read_to_its_end_withdraws_nothing_but_shows_what_is_there(five: Repository) -> None:
    list_(five, "1234", 1)
    assert list_(five, "5", 2, complete=False) == Listed()
    assert list_(five, "1234", 3) == Listed()
    assert list_(five, "12", 4, complete=False) == Listed()
    assert withdrawn(five) == []
    assert list_(five, "1234", 5) == Listed(withdrawn=1)


def test_a_list_that_collapses_is_not_believed(five: Repository) -> None:
    list_(five, "1234", 1)
    assert list_(five, "12", 2) == Listed(not_believed=4)
    assert list_(five, "", 3) == Listed(not_believed=4)
    assert withdrawn(five) == []
    assert list_(five, "1234", 4) == Listed(withdrawn=1)


def test_a_list_that_shrinks_by_a_third_is_believed() -> None:
    assert not collapsed(2, 3)
    assert not collapsed(200, 300)
    assert collapsed(199, 300)
    assert not collapsed(0, 0)


def test_a_tender_in_another_list_or_on_the_home_page_is_there(five: Repository) -> None:
    list_(five, "5", 0, year=2027)
    list_(five, "4", 0, year=None)
    for hours, keys in enumerate(["1234", "1234", "123", "123", "123"], start=1):
        assert list_(five, keys, hours) == Listed()
    assert withdrawn(five) == []


def test_the_home_page_withdraws_none_and_forgets_at_once(five: Repository) -> None:
    list_(five, "5", 0, year=None)
    assert list_(five, "", 1, year=None) == Listed()
    list_(five, "1234", 1)
    assert list_(five, "1234", 2) == Listed(withdrawn=1)


def test_a_tender_that_was_only_ever_on_the_home_page_is_withdrawn_too(five: Repository) -> None:
    five.save(read(make("6", fiscal_years=(2026,)), make("7", fiscal_years=(2027,))), READ)
    list_(five, "67", 0, year=None)
    list_(five, "", 1, year=None)
    assert [list_(five, "12345", hours) for hours in (1, 2)] == [Listed(), Listed(withdrawn=1)]
    assert withdrawn(five) == ["6"]


def test_another_kind_or_portal_is_another_list(five: Repository) -> None:
    for hours in (1, 2):
        now = READ + hours * HOUR
        five.save_listing("batukota", Kind.TENDER, 2026, set(), now, complete=True)
        five.save_listing("malangkota", Kind.NON_TENDER, 2026, set(), now, complete=True)
    assert withdrawn(five) == []


def test_a_listing_that_is_not_newer_is_left_out(five: Repository) -> None:
    list_(five, "1234", 1)
    assert list_(five, "1234", 1) == Listed()
    assert list_(five, "1234", -1) == Listed()
    assert withdrawn(five) == []


def test_a_dry_run_of_a_listing_counts_but_writes_nothing(five: Repository) -> None:
    list_(five, "1234", 1)
    listed = five.save_listing(
        "malangkota", Kind.TENDER, 2026, set("1234"), READ + 2 * HOUR, complete=True, dry_run=True
    )
    assert listed == Listed(withdrawn=1)
    assert withdrawn(five) == []


def test_many_may_vanish_at_once(repository: Repository) -> None:
    keys = [str(number) for number in range(3000)]
    repository.save(read(*(make(key) for key in keys)), READ)
    for hours, left in enumerate([keys, keys[:2000], keys[:2000]]):
        listed = list_(repository, left, hours)
    assert listed == Listed(withdrawn=1000)
    assert repository.count(Filter.parse({"status": "withdrawn"}), READ, WIB) == 1000


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1)), st.sets(st.sampled_from("abcdefgh")))
def test_weighing_sorts_every_key_once(missed: dict[str, int], keys: set[str]) -> None:
    weighed = weigh_listing(missed, keys, complete=True, patience=2)
    assert weighed.added == keys - missed.keys()
    assert weighed.missed | weighed.gone == missed.keys() - keys
    assert not weighed.missed & weighed.gone
    assert weighed.gone == {key for key in missed.keys() - keys if missed[key] == 1}


# Finding -----------------------------------------------------------------------------------------------


@pytest.fixture
def varied(repository: Repository) -> Repository:
    """Four tenders that differ in everything a filter looks at."""
    day = datetime(2026, 11, 20, tzinfo=WIB)
    repository.save(
        read(
            make("a", published=day, deadline=day + timedelta(days=5), value=Money(Decimal("100.50"))),
            make(
                "b",
                kind=Kind.NON_TENDER,
                title="Pengadaan alat tulis kantor",
                buyer="Kab. Malang",
                procuring_entity="Dinas Kesehatan",
                category=Category.GOODS,
                status=Status.COMPLETE,
                published=day + timedelta(days=1),
                deadline=None,
                registration_deadline=day + timedelta(days=3),
                value=None,
                budget=Money(Decimal(200)),
                fiscal_years=(2025, 2026),
                locations=("Kel. Cisadea 100% - Malang (Kota)",),
                retender=True,
            ),
            make("c", published=None, deadline=None, value=None, budget=None, title="Jembatan Sukun"),
        ),
        READ,
    )
    repository.save(read(replace(TENDER, portal="batukota", key="d", published=day)), READ + HOUR)
    return repository


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({}, "cbda"),
        ({"portal": "MalangKota"}, "cba"),
        ({"portal": ["malangkota", "batukota"]}, "cbda"),
        ({"portal": "malangkota", "kind": "tender", "key": "a"}, "a"),
        ({"kind": "non_tender"}, "b"),
        ({"category": ["goods", "works"], "status": "active"}, "cda"),
        ({"buyer": "kab. malang"}, "b"),
        ({"buyer": "malang"}, ""),
        ({"procuring_entity": ["DINAS KESEHATAN", "dpuprpkp"]}, "cbda"),
        ({"location": "CISADEA"}, "b"),
        ({"location": "100%"}, "b"),
        ({"location": "c%a"}, ""),
        ({"min_value": "100.5"}, "bda"),
        ({"min_value": "100.51", "max_value": 200}, "b"),
        ({"max_value": 200}, "ba"),
        ({"year": 2025}, "b"),
        ({"year": [2025, 2026]}, "cbda"),
        ({"retender": "true"}, "b"),
        ({"retender": "false"}, "cda"),
        ({"published_from": "2026-11-21"}, "cb"),
        ({"published_to": "2026-11-20"}, "da"),
        ({"published_from": "2026-11-20T00:00:01"}, "cb"),
        ({"deadline_from": "+0d"}, "da"),
        ({"deadline_to": "2026-11-25"}, "ba"),
        ({"sort": "deadline"}, "badc"),
        ({"sort": "value"}, "dbac"),
        ({"sort": "changed"}, "dcba"),
        ({"changed_since": (READ + HOUR).isoformat()}, "d"),
        ({"limit": 2}, "cb"),
        ({"q": "drainase"}, "da"),
        ({"q": "drainase", "portal": "malangkota"}, "a"),
        ({"q": "drainase OR tulis", "sort": "deadline"}, "bad"),
        ({"q": "-drainase", "limit": 1}, "c"),
        ({"q": "***"}, ""),
    ],
    ids=json.dumps,
)
def test_what_a_filter_finds(varied: Repository, values: dict[str, Any], keys: str) -> None:
    assert "".join(find(varied, **values)) == keys
    wanted = Filter.parse({key: value for key, value in values.items() if key not in {"limit", "sort"}})
    if "limit" not in values:
        assert varied.count(wanted, READ, WIB) == len(keys)


@pytest.mark.parametrize("collected", [-1, 10**9])
def test_words_that_few_or_most_tenders_have_are_found_alike(
    varied: Repository, monkeypatch: pytest.MonkeyPatch, collected: int
) -> None:
    monkeypatch.setattr(aggregator.conditions, "MOST_COLLECTED", collected)
    for sort, keys in {"published": "bda", "deadline": "bad", "value": "dba", "changed": "dba"}.items():
        assert "".join(find(varied, q="drainase OR tulis", sort=sort)) == keys
    assert find(varied, q="drainase", portal="malangkota", limit=1) == ["a"]
    assert find(varied, q="***") == []
    releases = varied.find_releases(Filter.parse({"q": "drainase OR tulis"}), READ, WIB)
    assert "".join(release.key for release, _ in releases) == "dba"


def test_finding_starts_where_it_is_told(varied: Repository) -> None:
    def page(start: int, **values: Any) -> str:
        return "".join(r.tender.key for r in varied.find(Filter.parse(values), READ, WIB, start=start))

    assert [page(start) for start in (0, 1, 3, 4)] == ["cbda", "bda", "a", ""]
    assert [page(start, limit=2, q="drainase OR tulis") for start in (0, 2)] == ["bd", "a"]
    assert page(1, sort="value", limit=1) == "b"


def test_all_states_of_what_readers_find_differ(varied: Repository) -> None:
    assert varied.find_state()[:2] == (4, 0)
    varied.touch("malangkota", Kind.TENDER, ["a"], READ + 2 * HOUR)
    assert varied.find_state()[:2] == (4, 0)
    save_runs(varied, "malangkota", "o")
    assert varied.find_state()[:2] == (4, 1)
    varied.save(read(make("e")), READ + 2 * HOUR)
    assert varied.find_state()[:2] == (5, 1)


def test_the_newest_change(varied: Repository) -> None:
    assert varied.find_newest_change() == READ + HOUR
    assert varied.find_newest_change(["malangkota"]) == READ + 2 * MICROSECOND
    assert varied.find_newest_change([]) is None


def test_the_newest_change_of_nothing(repository: Repository) -> None:
    assert repository.find_newest_change() is None
    assert repository.find_state()[:2] == (0, 0)


def test_finding_streams_and_lets_others_write(varied: Repository) -> None:
    found = varied.find(Filter(), READ, WIB)
    first = next(found)
    varied.save(read(make("e")), READ + 2 * HOUR)
    assert [first.tender.key, *(record.tender.key for record in found)] == ["c", "b", "d", "a"]


def test_the_newest_releases_of_what_a_filter_finds(varied: Repository) -> None:
    varied.save(
        read(make("c", published=None, deadline=None, value=None, budget=None, awards=(WINNER,))), READ + 2 * HOUR
    )

    def keys(only: frozenset[Event] = frozenset(), limit: int = 100, **values: Any) -> list[str]:
        found = varied.find_releases(Filter.parse(values), READ, WIB, only, limit)
        return [release.key for release, _ in found]

    assert keys() == ["c", "d", "c", "b", "a"]
    assert keys(limit=2) == ["c", "d"]
    assert keys(frozenset({Event.AWARD, Event.CONTRACT})) == ["c"]
    assert keys(frozenset({Event.NEW}), portal="malangkota") == ["c", "b", "a"]
    assert keys(q="sukun") == []
    assert keys(q="tulis") == ["b"]
    assert keys(key="c") == ["c", "c"]
    assert keys(category="goods") == ["b"]


def test_the_releases_of_a_time(varied: Repository) -> None:
    changed = make("c", published=None, deadline=None, value=None, budget=None, awards=(WINNER,))
    varied.save(read(changed), READ + 2 * HOUR)
    every = varied.find_releases(Filter(), READ, WIB)
    start, end = every[1][0].time, every[0][0].time

    def find(start: datetime, end: datetime, *events: Event, **values: Any) -> list[int]:
        return varied.find_seqs(Filter.parse(values), READ, WIB, frozenset(events), start, end, apart=True)

    assert find(READ, end + HOUR) == [release.seq for release, _ in every]
    assert find(start, end) == [every[1][0].seq]  # without what is found at the end itself
    assert find(READ, end + HOUR, Event.AWARD, key="c") == [every[0][0].seq]
    assert varied.find_releases_of(find(READ, end + HOUR)) == {
        release.seq: (release, as_of) for release, as_of in every
    }
    assert varied.find_releases_of([]) == {}
    assert varied.find_first_release() == every[-1][0].time


def test_names_are_counted_whatever_their_case(repository: Repository) -> None:
    names = ["DINAS KESEHATAN", "Dinas Kesehatan", "DISKOMINFO", None]
    repository.save(read(*(make(str(n), procuring_entity=name) for n, name in enumerate(names))), READ)
    assert repository.find_names("procuring_entity") == [("Dinas Kesehatan", 2), ("DISKOMINFO", 1)]
    assert repository.find_names("buyer") == [("Kota Malang", 4)]


def test_names_and_codes_of_any_length_are_kept(repository: Repository) -> None:
    dice = Random(1)
    name, other, code = ("".join(chr(dice.randrange(0x4E00, 0x9FFF)) for _ in range(6000)) for _ in range(3))
    repository.save(read(make("1", buyer=name, procuring_entity=other, plans=(code,))), READ)
    (record,) = repository.find(Filter(), READ, WIB)
    assert (record.tender.buyer, record.tender.procuring_entity, record.tender.plans) == (name, other, (code,))


def test_a_database_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/warta.db")
    repository = Repository(engine)
    repository.save(read(TENDER), READ)
    with writing(engine) as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON releases BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    with pytest.raises(DatabaseError, match="has no room left on its disk"):
        repository.save(read(make("1")), READ)
    assert find(repository) == [TENDER.key]


# Runs --------------------------------------------------------------------------------------------------


def save_runs(repository: Repository, portal: str, verdicts: str, sweep: Sweep = Sweep.OPEN) -> None:
    """Runs an hour apart: o for ok, p partial, f failed, b blocked."""
    for hours, letter in enumerate(verdicts):
        verdict = next(v for v in Verdict if v.startswith(letter))
        started = READ + hours * HOUR
        reasons = () if verdict is Verdict.OK else (f"errors: {letter} {hours}",)
        repository.save_run(
            Run(
                portal=portal,
                sweep=sweep,
                started=started,
                finished=started + timedelta(seconds=30),
                verdict=verdict,
                reasons=reasons,
                requests=7,
                seen=hours,
            )
        )


def test_a_run_comes_back_as_it_was(repository: Repository) -> None:
    save_runs(repository, "malangkota", "opf")
    save_runs(repository, "batukota", "o")
    assert repository.find_last_runs().keys() == {"batukota", "malangkota"}
    run = repository.find_last_runs()["malangkota"].last
    assert run.verdict is Verdict.FAILED
    assert run.reasons == ("errors: f 2",)
    assert (run.started, run.requests, run.seen) == (READ + 2 * HOUR, 7, 2)


def test_the_last_runs_of_each_portal(repository: Repository) -> None:
    save_runs(repository, "malangkota", "opf", Sweep.FULL)
    save_runs(repository, "malangkota", "oob", Sweep.OPEN)
    save_runs(repository, "batukota", "f")
    found = repository.find_last_runs()
    malang = found["malangkota"]
    assert malang.full is not None
    assert malang.good is not None
    assert (malang.last.verdict, malang.good.sweep, malang.full.verdict) == (
        Verdict.BLOCKED,
        Sweep.OPEN,
        Verdict.PARTIAL,
    )
    assert (found["batukota"].good, found["batukota"].full) == (None, None)
    assert set(found) == {"malangkota", "batukota"}


def test_verdicts_that_turned(repository: Repository) -> None:
    save_runs(repository, "malangkota", "oopffbpo")
    save_runs(repository, "batukota", "fo")
    turns = [(run.portal[0], run.verdict[0], (run.started - READ) // HOUR) for run in repository.find_verdict_turns()]
    assert turns == [("b", "o", 1), ("b", "f", 0), ("m", "p", 6), ("m", "f", 3)]
    assert len(repository.find_verdict_turns(limit=1)) == 1


def test_a_broken_contract_is_a_turn_told_once(repository: Repository) -> None:
    told = ["", "missing_page: 1", "shape: rows", "filter: rows", "", "shape: rows", "listing: gone", "short: rows"]
    for hours, reason in enumerate(told):
        verdict = Verdict.FAILED if reason.startswith("listing") else Verdict.PARTIAL if reason else Verdict.OK
        at = READ + hours * HOUR
        reasons = (reason,) if reason else ()
        repository.save_run(
            Run(portal="m", sweep=Sweep.FULL, started=at, finished=at, verdict=verdict, reasons=reasons)
        )
    turns = [(run.started - READ) // HOUR for run in repository.find_verdict_turns()]
    assert turns == [7, 6, 5, 4, 2]


# The index of the archive ------------------------------------------------------------------------------


def test_the_index_of_the_archive(repository: Repository) -> None:
    first = Snapshot(
        portal="malangkota",
        run=READ,
        asked="open",
        method="GET",
        url="https://spse.example.go.id/malangkota",
        request_hash=b"\x00request",
        fetched=READ,
        status=200,
        headers="{}",
        body_hash=b"\xffbody",
        segment="one",
        start=0,
        frame=100,
        stop=5_000_000_000,
    )
    again = replace(first, run=READ + HOUR, segment="two", start=0, frame=90, stop=90)  # the same body
    repository.save_snapshots([first, again])
    repository.save_snapshots([first])
    save_runs(repository, "malangkota", "o")
    assert repository.find_snapshots("malangkota", READ) == [first]
    assert [repository.find_segment_end(name) for name in ("one", "two", "three")] == [5_000_000_000, 90, 0]
    assert repository.find_body(b"\xffbody") == first
    assert repository.find_needed("one") == [replace(first, run=READ + HOUR)]
    assert sorted(repository.find_segments()) == ["one", "two"]
    assert repository.find_segment_times() == {"one": READ, "two": READ + HOUR}
    assert repository.find_oldest_archived() == READ
    assert repository.find_segments_of("malangkota", READ) == {"one"}
    assert [(run.run, run.answers, run.good) for run in repository.find_all_archived()] == [
        (READ, 1, True),
        (READ + HOUR, 1, False),
    ]
    assert repository.find_archived_runs("malangkota", READ + HOUR) == [READ + HOUR]
    repository.forget_segment("one")
    assert repository.find_body(b"\xffbody") is None
