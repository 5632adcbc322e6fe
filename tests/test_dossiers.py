"""Which tenders of several sources are one purchase, what they tell together, and what of it is news."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.database import dossiers, open_database, tenders
from aggregator.dossiers import LINKED, Member, belongs, compile_record, group, is_plan, is_same_purchase
from aggregator.filters import Filter
from aggregator.models import Award, Event, Kind, Money, Reading, Record, Status, Tender
from aggregator.repository import Repository
from tests.feed_samples import READ, TENDER, WIB

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CODE = "61521911"
WINNER = Award(supplier="CV Karya Maju", amount=Money(Decimal("5500000000.00")))
# The same package as its portal, a national service and the plan tell it.
SPSE = replace(TENDER, plans=(CODE,), value=Money(Decimal("5912300000.00")))
OPEN_DATA = replace(
    SPSE, portal="satudata", url="https://satudata.example.go.id/", milestones=(), unread=frozenset({"milestones"})
)
PLAN = Tender(
    portal="rup",
    kind=Kind.PLAN,
    key=CODE,
    title="Belanja modal jalan kota",
    url="https://sirup.example.go.id/61521911",
    buyer="Pemerintah Kota Malang",
    budget=Money(Decimal("6000000000.00")),
    status=Status.PLANNED,
    published=datetime(2026, 1, 5, tzinfo=UTC),
)


def member(number: int, tender: Tender, *, republished: bool = False) -> Member:
    record = Record(tender=tender, first_seen=READ, last_seen=READ, changed=READ, republished=republished)
    return Member(number=number, record=record)


@pytest.fixture
def repository(engine: sa.Engine) -> Repository:
    """An empty repository, on SQLite and on PostgreSQL."""
    return Repository(engine)


def keep(repository: Repository, tender: Tender, now: datetime = READ) -> None:
    repository.save([Reading(tender=tender, republished=tender.portal == "satudata")], now)


def shown(repository: Repository, **values: Any) -> list[Record]:
    return list(repository.find(Filter.parse(values), READ, WIB))


def apart(repository: Repository) -> dict[str, Tender]:
    return {r.tender.portal: r.tender for r in repository.find(Filter(), READ, WIB, apart=True)}


def news(repository: Repository) -> list[tuple[str, tuple[Event, ...]]]:
    """Portal and events of every release that tells a reader something, oldest first."""
    found = repository.find_releases(Filter(), READ, WIB, limit=100)
    return [(release.portal, release.events) for release, _ in reversed(found)]


# The rules ---------------------------------------------------------------------------------------------


def test_the_same_key_with_the_same_title_is_one_purchase() -> None:
    assert is_same_purchase(SPSE, replace(OPEN_DATA, plans=()))
    assert is_same_purchase(SPSE, replace(OPEN_DATA, title=f" {SPSE.title.upper()}."))


def test_the_same_key_with_a_common_plan_is_one_purchase() -> None:
    assert is_same_purchase(SPSE, replace(OPEN_DATA, title="Judul lama"))


def test_a_source_without_a_title_needs_the_same_value_or_plan() -> None:
    bare = replace(OPEN_DATA, title=OPEN_DATA.key, plans=(), unread=frozenset({"title"}))
    assert is_same_purchase(SPSE, bare)
    assert not is_same_purchase(SPSE, replace(bare, value=Money(Decimal(1))))
    assert not is_same_purchase(replace(SPSE, value=None), replace(bare, value=None))
    assert is_same_purchase(SPSE, replace(bare, value=None, plans=SPSE.plans))
    assert compile_record([member(1, bare, republished=True), member(2, SPSE)]).tender.title == SPSE.title


@pytest.mark.parametrize(
    "other",
    [
        replace(OPEN_DATA, key="10099999000"),
        replace(OPEN_DATA, kind=Kind.NON_TENDER),
        replace(OPEN_DATA, portal=SPSE.portal),
        replace(OPEN_DATA, title="Pengadaan lain", plans=()),
        replace(OPEN_DATA, title="Pengadaan lain", plans=("11111111",)),
        replace(OPEN_DATA, buyer="Kabupaten Malang"),
        replace(OPEN_DATA, buyer="Kota Surabaya"),
    ],
    ids=["key", "kind", "portal", "title", "title and plan", "regency", "city"],
)
def test_look_alikes_stay_two(other: Tender) -> None:
    assert not is_same_purchase(SPSE, other)
    assert not is_same_purchase(other, SPSE)


def test_news_of_two_sites_with_the_same_number_stay_two() -> None:
    first = Tender(portal="blp", kind=Kind.NEWS, key="1", title="Halo dunia", url="https://a.example/1")
    assert not is_same_purchase(first, replace(first, portal="dinas"))


def test_a_doubt_keeps_all_apart() -> None:
    one, other = replace(SPSE, buyer=None), replace(SPSE, portal="surabaya", buyer="Kota Surabaya")
    third = replace(OPEN_DATA, buyer="Kota Malang")
    assert is_same_purchase(one, other)
    assert is_same_purchase(one, third)
    assert not is_same_purchase(other, third)
    groups = group([member(1, one), member(2, other), member(3, third)])
    assert [[m.number for m in each] for each in groups] == [[1], [2], [3]]


def test_a_plan_belongs_to_the_tenders_that_name_it() -> None:
    assert belongs(PLAN, SPSE)
    assert not belongs(PLAN, replace(SPSE, plans=("11111111",)))
    assert not belongs(PLAN, replace(SPSE, buyer="Kabupaten Malang"))
    assert not belongs(SPSE, PLAN)
    assert not belongs(PLAN, replace(PLAN, key="2", plans=(CODE,)))


# What they tell together -------------------------------------------------------------------------------


def test_the_portal_itself_is_believed_before_who_republishes_it_and_a_plan_last() -> None:
    late = replace(OPEN_DATA, value=Money(Decimal(1)), participants=7, stage="Lama", description="Dari Satu Data")
    first = replace(SPSE, description=None, participants=None, budget=None)
    record = compile_record([member(1, late, republished=True), member(2, first), member(3, PLAN)])
    assert record.tender.identity == late.identity  # seen first
    assert record.tender.url == first.url
    assert (record.tender.value, record.tender.stage) == (first.value, first.stage)
    assert (record.tender.participants, record.tender.description) == (7, "Dari Satu Data")
    assert record.tender.budget == late.budget
    assert record.tender.milestones == first.milestones
    assert [source.portal for source in record.sources] == ["malangkota", "satudata", "rup"]
    assert "description" in record.sources[1].fields
    assert "value" in record.sources[0].fields


def test_a_plan_fills_what_a_tender_does_not_tell_and_nothing_of_its_course() -> None:
    bare = replace(SPSE, budget=None, status=None, stage=None, published=None)
    record = compile_record([member(2, bare), member(1, PLAN)])
    assert record.tender.identity == bare.identity
    assert record.tender.budget == PLAN.budget
    assert (record.tender.status, record.tender.published) == (None, None)
    assert record.sources[1].fields == ("budget",)


def test_every_told_field_has_one_teller() -> None:
    record = compile_record([member(1, SPSE), member(2, OPEN_DATA), member(3, PLAN)])
    told = [name for source in record.sources for name in source.fields]
    assert len(told) == len(set(told))
    assert {name for name in ("title", "value", "deadline", "plans", "status") if getattr(SPSE, name)} <= set(told)


# Kept and found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", list(permutations([SPSE, OPEN_DATA, PLAN])), ids=lambda o: "-".join(t.portal for t in o)
)
def test_a_purchase_is_found_once_whichever_source_comes_first(repository: Repository, order: Sequence[Tender]) -> None:
    for hours, tender in enumerate(order):
        keep(repository, tender, READ + hours * HOUR)
    (record,) = shown(repository)
    assert [source.portal for source in record.sources] == ["malangkota", "satudata", "rup"]
    assert record.tender.portal == next(t.portal for t in order if not is_plan(t))
    assert repository.count(Filter(), READ, WIB) == 1
    assert apart(repository) == {t.portal: t for t in order}


def test_filters_and_words_look_at_the_whole_purchase(repository: Repository) -> None:
    keep(repository, replace(SPSE, value=None, budget=None, awards=()))
    assert shown(repository, min_value="1") == []
    keep(repository, replace(OPEN_DATA, awards=(WINNER,)))
    assert [r.tender.portal for r in shown(repository, min_value="5912300000")] == ["malangkota"]
    assert [r.tender.portal for r in shown(repository, q='"karya maju"')] == ["malangkota"]


def test_a_purchase_is_found_by_any_of_its_portals(repository: Repository) -> None:
    keep(repository, OPEN_DATA)
    keep(repository, SPSE)
    keep(repository, replace(TENDER, portal="batukota", key="10055555000"))
    assert [r.tender.portal for r in shown(repository, portal=["malangkota", "rup"])] == ["satudata"]
    assert len(shown(repository, portal=["malangkota", "batukota"])) == 2
    heard = repository.find(Filter(), READ, WIB, only=["malangkota"])
    assert [(record.tender, record.sources) for record in heard] == [(SPSE, ())]
    assert repository.count(Filter(), READ, WIB, only=["batukota"]) == 1
    told = repository.find(Filter(portal=("malangkota",)), READ, WIB, apart=True)
    assert [record.tender for record in told] == [SPSE]


def test_a_plan_and_its_tender_in_one_batch_are_one_purchase(repository: Repository) -> None:
    repository.save([Reading(tender=PLAN), Reading(tender=SPSE)], READ)
    assert [record.tender.identity for record in shown(repository)] == [SPSE.identity]


def test_a_plan_that_only_another_source_named_stands_by_itself_again(repository: Repository) -> None:
    keep(repository, replace(SPSE, plans=()))
    keep(repository, PLAN)
    keep(repository, OPEN_DATA, READ + HOUR)
    assert len(shown(repository)) == 1
    keep(repository, replace(OPEN_DATA, plans=()), READ + 2 * HOUR)
    assert sorted(record.tender.kind for record in shown(repository)) == ["plan", "tender"]


def test_one_that_withdrew_is_believed_after_one_that_still_announces(repository: Repository) -> None:
    keep(repository, replace(SPSE, status=Status.WITHDRAWN))
    keep(repository, replace(SPSE, portal="nasional"), READ + HOUR)
    (record,) = shown(repository, status="active")
    assert (record.tender.portal, record.sources[0].portal) == ("malangkota", "nasional")


def test_a_date_that_another_source_tells_is_the_one_found_and_ordered_by(repository: Repository) -> None:
    keep(repository, replace(OPEN_DATA, published=None))
    keep(repository, replace(TENDER, portal="batukota", key="10055555000", published=READ - 5 * DAY), READ + HOUR)
    keep(repository, replace(SPSE, published=READ - 9 * DAY), READ + HOUR)
    day = (READ - 9 * DAY).astimezone(WIB).date().isoformat()
    assert [r.tender.portal for r in shown(repository, published_from=day, published_to=day)] == ["satudata"]
    assert [r.tender.portal for r in shown(repository)] == ["batukota", "satudata"]
    assert [r.tender.portal for r in shown(repository, q="drainase")] == ["batukota", "satudata"]


def test_who_was_seen_first_leads_whichever_is_saved_first(repository: Repository) -> None:
    keep(repository, SPSE, READ + 24 * HOUR)
    keep(repository, OPEN_DATA, READ)  # as when runs are replayed, portal by portal
    assert [record.tender.portal for record in shown(repository)] == ["satudata"]


def test_who_led_before_says_only_its_own_again(repository: Repository) -> None:
    keep(repository, replace(SPSE, title="Lain", plans=()))
    keep(repository, replace(SPSE, portal="nasional", plans=(), awards=()))
    keep(repository, replace(OPEN_DATA, plans=(), awards=(WINNER,)))
    keep(repository, replace(SPSE, plans=()), READ + HOUR)
    (record,) = shown(repository)
    assert (record.tender.portal, len(record.sources)) == ("malangkota", 3)
    found = repository.find(Filter(q='"karya maju"'), READ, WIB, apart=True)
    assert sorted(each.tender.portal for each in found) == ["malangkota", "satudata"]


def test_look_alikes_are_found_as_two(repository: Repository) -> None:
    keep(repository, SPSE)
    keep(repository, replace(OPEN_DATA, buyer="Kabupaten Malang"))
    keep(repository, replace(PLAN, buyer="Kota Surabaya"))
    assert len(shown(repository)) == 3
    assert all(not record.sources for record in shown(repository))


def test_a_plan_of_two_tenders_stands_in_both_and_by_itself_no_more(repository: Repository) -> None:
    keep(repository, PLAN)
    assert len(shown(repository, kind="plan")) == 1
    keep(repository, SPSE)
    keep(repository, replace(SPSE, key="10020999000", title="Tahap dua"))
    records = shown(repository)
    assert [[source.portal for source in record.sources] for record in records] == [["malangkota", "rup"]] * 2
    keep(repository, replace(SPSE, plans=()), READ + HOUR)
    assert len(shown(repository)) == 2
    keep(repository, replace(SPSE, key="10020999000", title="Tahap dua", plans=()), READ + HOUR)
    assert sorted(record.tender.kind for record in shown(repository)) == ["plan", "tender", "tender"]
    assert shown(repository, kind="plan")[0].tender == PLAN


def test_splitting_a_wrong_match_loses_nothing(repository: Repository) -> None:
    keep(repository, replace(SPSE, value=None))
    keep(repository, replace(OPEN_DATA, awards=(WINNER,)))
    assert shown(repository)[0].tender.awards == (WINNER,)
    split = replace(SPSE, value=None, title="Nama baru", plans=())
    keep(repository, split, READ + HOUR)
    assert {r.tender.portal: r.tender for r in shown(repository)} == apart(repository)
    assert apart(repository) == {"malangkota": split, "satudata": replace(OPEN_DATA, awards=(WINNER,))}
    assert shown(repository, min_value="1")[0].tender.portal == "satudata"
    assert [r.tender.portal for r in shown(repository, q='"karya maju"')] == ["satudata"]


# News --------------------------------------------------------------------------------------------------


def test_what_another_source_told_before_is_no_news(repository: Repository) -> None:
    keep(repository, SPSE)
    keep(repository, OPEN_DATA, READ + HOUR)
    keep(repository, PLAN, READ + HOUR)
    assert news(repository) == [("malangkota", (Event.NEW,))]


def test_a_tender_that_follows_its_plan_is_news(repository: Repository) -> None:
    keep(repository, PLAN)
    keep(repository, SPSE, READ + HOUR)
    assert news(repository) == [("rup", (Event.NEW,)), ("malangkota", (Event.NEW,))]


def test_whichever_source_names_the_winner_first_tells_it_once(repository: Repository) -> None:
    keep(repository, SPSE)
    keep(repository, OPEN_DATA, READ + HOUR)
    keep(repository, replace(OPEN_DATA, awards=(WINNER,)), READ + 2 * HOUR)
    assert shown(repository)[0].tender.awards == (WINNER,)
    assert shown(repository)[0].changed == READ + 2 * HOUR
    keep(repository, replace(SPSE, awards=(WINNER,)), READ + 3 * HOUR)
    assert news(repository) == [("malangkota", (Event.NEW,)), ("satudata", (Event.AWARD,))]


def test_a_first_sight_that_brings_the_winner_tells_it(repository: Repository) -> None:
    keep(repository, SPSE)
    keep(repository, replace(OPEN_DATA, awards=(WINNER,)), READ + HOUR)
    assert news(repository) == [("malangkota", (Event.NEW,)), ("satudata", (Event.AWARD,))]


def test_a_first_sight_tells_a_winner_that_no_source_could_tell_before(repository: Repository) -> None:
    keep(repository, replace(OPEN_DATA, unread=OPEN_DATA.unread | {"awards", "contracts"}))
    keep(repository, replace(SPSE, awards=(WINNER,)), READ + HOUR)
    assert news(repository) == [("satudata", (Event.NEW,)), ("malangkota", (Event.AWARD,))]


def test_what_a_source_says_that_is_believed_less_is_no_news(repository: Repository) -> None:
    keep(repository, SPSE)
    keep(repository, OPEN_DATA, READ + HOUR)
    keep(repository, replace(OPEN_DATA, value=Money(Decimal(1))), READ + 2 * HOUR)
    assert news(repository) == [("malangkota", (Event.NEW,))]
    (record,) = shown(repository)
    assert (record.tender.value, record.changed) == (SPSE.value, READ)
    assert apart(repository)["satudata"].value == Money(Decimal(1))


# Against the rules, applied to everything at once ------------------------------------------------------

PORTALS = ("malangkota", "surabaya", "satudata", "rup")
TENDERS = st.builds(
    lambda portal, key, title, buyer, plans, awarded: replace(
        TENDER,
        portal=portal,
        key=key,
        title=title,
        buyer=buyer,
        plans=plans,
        awards=(WINNER,) if awarded else (),
        url=f"https://{portal}.example/{key}",
    ),
    st.sampled_from(PORTALS[:3]),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["Jalan", "Jembatan"]),
    st.sampled_from(["Kota Malang", "Kota Surabaya", None]),
    st.sampled_from([(), ("7",), ("8",), ("7", "8")]),
    st.booleans(),
)
PLANS = st.builds(
    lambda portal, key, buyer: replace(PLAN, portal=portal, key=key, buyer=buyer, title="Jalan"),
    st.sampled_from(["rup", "satudata"]),
    st.sampled_from(["7", "8"]),
    st.sampled_from(["Kota Malang", "Kota Surabaya", None]),
)


@settings(max_examples=60)
@given(st.lists(st.lists(st.one_of(TENDERS, PLANS), min_size=1, max_size=3), min_size=1, max_size=8))
def test_the_dossiers_kept_are_those_of_the_rules(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Tender]]
) -> None:
    engine = open_database(f"sqlite:///{Path(tmp_path_factory.mktemp('dossiers'))}/warta.db")
    repository = Repository(engine)
    for hours, batch in enumerate(batches):
        repository.save([Reading(tender=tender) for tender in batch], READ + hours * HOUR)
    with engine.connect() as connection:
        pairs = {tuple(pair) for pair in connection.execute(sa.select(dossiers.c.leader_id, dossiers.c.member_id))}
        numbers = {
            (row.portal, Kind(row.kind), row.key): row.id
            for row in connection.execute(sa.select(tenders.c.id, tenders.c.portal, tenders.c.kind, tenders.c.key))
        }
    everything = [
        Member(number=numbers[record.tender.identity], record=record)
        for record in repository.find(Filter(), READ, WIB, apart=True)
    ]
    assert {member.tender.kind for member in everything} <= LINKED
    expected = _expect(everything)
    assert pairs == expected
    members = {number for _, number in expected}
    assert {m.tender.identity for m in everything if m.number not in members} == {
        record.tender.identity for record in repository.find(Filter(), READ, WIB)
    }


def _expect(everything: list[Member]) -> set[tuple[int, int]]:
    pairs = set()
    for cluster in group(everything):
        others = cluster[1:]
        if not is_plan(cluster[0].tender):
            others += [m for m in everything if any(belongs(m.tender, each.tender) for each in cluster)]
        pairs |= {(cluster[0].number, other.number) for other in others}
    return pairs
