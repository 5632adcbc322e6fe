"""How a tender changes: what is kept of an unread field, which release a move makes, and what takes it back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.changes import CONTENT, compare, merge, rewind
from aggregator.models import (
    Award,
    Category,
    Change,
    Contract,
    Document,
    Event,
    Kind,
    Method,
    Milestone,
    Money,
    Sanction,
    Status,
    Tender,
)
from tests.feed_samples import READ, TENDER, WIB

WINNER = Award(supplier="CV Karya Maju", amount=Money(Decimal("5500000000.00")))
SIGNED = Contract(supplier="CV Karya Maju", amount=Money(Decimal("5490000000.00")))
LATER = datetime(2026, 12, 10, 14, tzinfo=WIB)
UPLOAD = Milestone(title="Upload Dokumen Penawaran", starts=None, ends=TENDER.deadline)

# TENDER with every field that may move moved.
OTHER = replace(
    TENDER,
    title="Nama lain",
    description="Uraian",
    buyer="Kab. Malang",
    procuring_entity="DINAS LAIN",
    category=Category.GOODS,
    category_detail="Pengadaan Barang",
    method=Method.DIRECT,
    method_detail="Penunjukan Langsung",
    status=Status.WITHDRAWN,
    stage="Evaluasi",
    budget=None,
    value=Money(Decimal("1.5")),
    fiscal_years=(2026, 2027),
    published=None,
    registration_deadline=LATER,
    deadline=LATER,
    locations=(),
    plans=("1", "2"),
    retender=True,
    retender_reason="Tidak ada penawaran",
    cancellation_reason="Anggaran",
    participants=4,
    milestones=(UPLOAD,),
    awards=(WINNER,),
    contracts=(SIGNED,),
    sanctions=(Sanction(supplier="CV Karya Maju"),),
    documents=(Document(title="KAK", url="https://spse.example.go.id/dl/1f"),),
    incomplete=True,
)
MOVING = (*CONTENT, "participants", "documents", "incomplete")


@st.composite
def readings(draw: st.DrawFn) -> Tender:
    """A reading that found some fields as in TENDER, some as in OTHER, and skipped some."""
    moved = draw(st.sets(st.sampled_from(MOVING)))
    unread = draw(st.frozensets(st.sampled_from(MOVING)))
    return replace(TENDER, **{name: getattr(OTHER, name) for name in moved}, unread=unread)


def test_every_field_moves_in_other() -> None:
    assert [name for name in MOVING if getattr(TENDER, name) == getattr(OTHER, name)] == []


# merge -------------------------------------------------------------------------------------------------


def test_an_unread_field_stays_as_it_was() -> None:
    seen = replace(TENDER, title="Baru", value=None, unread=frozenset({"value"}))
    merged = merge(TENDER, seen)
    assert merged.title == "Baru"
    assert merged.value == TENDER.value
    assert merged.unread == frozenset()


def test_a_field_that_nobody_read_yet_stays_unread() -> None:
    stored = replace(TENDER, deadline=None, unread=frozenset({"deadline", "awards"}))
    merged = merge(stored, replace(stored, unread=frozenset({"deadline", "contracts"})))
    assert merged.unread == {"deadline"}


def test_a_first_reading_is_taken_as_it_is() -> None:
    seen = replace(TENDER, unread=frozenset({"value"}))
    assert merge(None, seen) is seen


@given(readings(), readings())
def test_merging_twice_is_merging_once(stored: Tender, seen: Tender) -> None:
    once = merge(stored, seen)
    assert merge(once, seen) == once


# compare: nothing happened -----------------------------------------------------------------------------


@given(readings(), readings())
def test_the_same_reading_again_makes_no_release(stored: Tender, seen: Tender) -> None:
    merged = merge(stored, seen)
    assert compare(merged, merged, READ) is None
    assert compare(merged, merge(merged, seen), READ) is None


@pytest.mark.parametrize(
    "moves",
    [
        {"participants": 7},
        {"documents": (Document(title="KAK", url="https://spse.example.go.id/dl/1f"),)},
        {"url": "https://spse.example.go.id/elsewhere"},
        {"incomplete": True},
        {"deadline": TENDER.deadline and TENDER.deadline.astimezone(timezone(timedelta(hours=9)))},
        {"value": Money(Decimal("5912300000"))},
    ],
    ids=lambda moves: next(iter(moves)),
)
def test_what_is_no_content_makes_no_release(moves: dict[str, Any]) -> None:
    assert compare(TENDER, replace(TENDER, **moves), READ) is None


def test_the_order_of_a_list_is_no_content() -> None:
    stored = replace(TENDER, plans=("1", "2"), locations=("Sukun", "Klojen"))
    assert compare(stored, replace(TENDER, plans=("2", "1"), locations=("Klojen", "Sukun")), READ) is None


def test_a_count_of_moves_alone_is_no_move() -> None:
    stored = replace(TENDER, milestones=(UPLOAD,))
    assert compare(stored, replace(TENDER, milestones=(replace(UPLOAD, changes=2),)), READ) is None


def test_a_field_first_learnt_makes_no_release() -> None:
    stored = replace(TENDER, value=None, awards=(), unread=frozenset({"value", "awards"}))
    assert compare(stored, merge(stored, replace(TENDER, awards=(WINNER,))), READ) is None


# compare: something happened ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moves", "tags", "events"),
    [
        ({}, ("tender",), (Event.NEW,)),
        ({"kind": Kind.PLAN}, ("planning",), (Event.NEW,)),
        ({"awards": (WINNER,)}, ("tender", "award"), (Event.AWARD,)),
        ({"awards": (WINNER,), "contracts": (SIGNED,)}, ("tender", "award", "contract"), (Event.CONTRACT,)),
        ({"status": Status.CANCELLED, "awards": (WINNER,)}, ("tender", "award"), (Event.CANCELLED,)),
        ({"status": Status.UNSUCCESSFUL}, ("tender",), (Event.UNSUCCESSFUL,)),
    ],
)
def test_the_first_release_tells_the_most_advanced_thing(
    moves: dict[str, Any], tags: tuple[str, ...], events: tuple[Event, ...]
) -> None:
    release = compare(None, replace(TENDER, **moves), READ)
    assert release is not None
    assert (release.tags, release.events, release.changes) == (tags, events, ())
    assert (release.portal, release.key, release.time, release.seq) == ("malangkota", TENDER.key, READ, None)


@pytest.mark.parametrize(
    ("before", "moves", "tags", "events"),
    [
        ({}, {"value": Money(Decimal(5))}, ["tenderAmendment"], [Event.VALUE]),
        ({}, {"budget": Money(Decimal(5))}, ["tenderAmendment"], [Event.BUDGET]),
        ({}, {"registration_deadline": LATER}, ["tenderAmendment"], [Event.REGISTRATION]),
        ({}, {"locations": ("Sukun",)}, ["tenderAmendment"], [Event.LOCATION]),
        ({}, {"title": "Baru"}, ["tenderAmendment"], [Event.DETAILS]),
        ({}, {"milestones": (UPLOAD,)}, ["tenderAmendment"], [Event.SCHEDULE]),
        ({}, {"deadline": LATER, "milestones": (UPLOAD,)}, ["tenderAmendment"], [Event.DEADLINE]),
        ({}, {"stage": "Evaluasi"}, ["tenderUpdate"], [Event.STAGE]),
        ({}, {"status": Status.COMPLETE, "stage": "Selesai"}, ["tenderUpdate"], [Event.STAGE]),
        ({"status": Status.COMPLETE}, {"value": Money(Decimal(5))}, ["tenderUpdate"], [Event.VALUE]),
        (
            {},
            {"status": Status.CANCELLED, "stage": "Tender Batal", "cancellation_reason": "Anggaran"},
            ["tenderCancellation"],
            [Event.CANCELLED],
        ),
        ({}, {"status": Status.UNSUCCESSFUL}, ["tenderCancellation"], [Event.UNSUCCESSFUL]),
        (
            {},
            {"retender": True, "retender_reason": "Gagal", "deadline": LATER},
            ["tenderAmendment"],
            [Event.RETENDER, Event.DEADLINE],
        ),
        ({"retender": True}, {"retender": False}, ["tenderAmendment"], [Event.DETAILS]),
        ({}, {"status": Status.WITHDRAWN}, ["tenderUpdate"], [Event.WITHDRAWN]),
        ({"status": Status.WITHDRAWN}, {"status": Status.ACTIVE}, ["tenderUpdate"], [Event.RETURNED]),
        (
            {"status": Status.WITHDRAWN},
            {"status": Status.CANCELLED},
            ["tenderCancellation"],
            [Event.CANCELLED, Event.RETURNED],
        ),
        ({}, {"awards": (WINNER,)}, ["award"], [Event.AWARD]),
        ({"awards": (WINNER,)}, {"awards": (replace(WINNER, supplier="PT Lain"),)}, ["awardUpdate"], [Event.AWARD]),
        ({"awards": (WINNER,)}, {"awards": ()}, ["awardCancellation"], [Event.DETAILS]),
        ({}, {"contracts": (SIGNED,)}, ["contract"], [Event.CONTRACT]),
        ({"contracts": (SIGNED,)}, {"contracts": (SIGNED, SIGNED)}, ["contractUpdate"], [Event.CONTRACT]),
        (
            {},
            {"awards": (WINNER,), "stage": "Pengumuman Pemenang", "value": Money(Decimal(5))},
            ["tenderAmendment", "award"],
            [Event.AWARD, Event.VALUE, Event.STAGE],
        ),
        ({"kind": Kind.PLAN}, {"budget": Money(Decimal(5))}, ["planningUpdate"], [Event.BUDGET]),
    ],
)
def test_a_later_release_tells_what_moved(
    before: dict[str, Any], moves: dict[str, Any], tags: list[str], events: list[Event]
) -> None:
    stored = replace(TENDER, **before)
    seen = replace(stored, **moves)
    release = compare(stored, seen, READ)
    assert release is not None
    assert list(release.tags) == tags
    assert list(release.events) == events
    old, new = stored.as_dict(), seen.as_dict()
    assert {c.field: (c.old, c.new) for c in release.changes} == {name: (old[name], new[name]) for name in moves}


def test_a_reading_after_withdrawn_returns_even_if_it_does_not_tell_the_status() -> None:
    stored = replace(TENDER, status=Status.WITHDRAWN)
    merged = merge(stored, replace(TENDER, status=None, unread=frozenset({"status"})))
    release = compare(stored, merged, READ)
    assert release is not None
    assert release.events == (Event.RETURNED,)
    assert merged.status is None
    learnt = merge(merged, TENDER)
    assert learnt.status is Status.ACTIVE
    assert compare(merged, learnt, READ) is None


# rewind ------------------------------------------------------------------------------------------------


@given(readings(), readings())
def test_rewinding_a_release_undoes_it(stored: Tender, seen: Tender) -> None:
    stored = replace(stored, unread=frozenset())
    after = merge(stored, seen)
    release = compare(stored, after, READ)
    before = rewind(after, [release] if release else [])
    assert compare(stored, before, READ) is None


def test_rewinding_several_releases_goes_back_step_by_step() -> None:
    second = replace(TENDER, stage="Evaluasi", value=Money(Decimal(7)))
    third = replace(second, stage="Penetapan Pemenang", awards=(WINNER,))
    releases = [compare(second, third, READ), compare(TENDER, second, READ)]
    assert rewind(third, [r for r in releases[:1] if r]) == second
    assert rewind(third, [r for r in releases if r]) == TENDER


def test_times_of_releases_are_told_not_read() -> None:
    now = datetime(2001, 1, 1, tzinfo=UTC)
    release = compare(TENDER, replace(TENDER, stage="Evaluasi"), now)
    assert release is not None
    assert release.time == now


def test_sanctions_come_and_go() -> None:
    sanction = Sanction(supplier="PT Contoh", decree="SK-1")
    listed = replace(TENDER, sanctions=(sanction,))
    release = compare(TENDER, listed, READ)
    assert release is not None
    assert release.changes == (Change("sanctions", [], [sanction.as_dict()]),)
    assert rewind(listed, [release]) == TENDER
