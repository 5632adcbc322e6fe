"""aggregator/models.py: what a tender refuses to be, and that it survives the way to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.models import (
    TENDER_FIELDS,
    Award,
    Category,
    Contract,
    Document,
    Kind,
    Known,
    KnownTenders,
    Method,
    Milestone,
    Money,
    Record,
    Status,
    Sweep,
    Tender,
)
from aggregator.verdicts import PROBLEMS, Problem, Run, Verdict

T = TypeVar("T")

TENDER = Tender(portal="malangkota", kind=Kind.TENDER, key="10020728000", title="Jalan", url="https://lpse.test/1")
WIB = ZoneInfo("Asia/Jakarta")

# The keys of `warta export --format jsonl` that programs rely on, in order.
EXPORTED = [
    "portal",
    "kind",
    "key",
    "title",
    "description",
    "buyer",
    "procuring_entity",
    "category",
    "category_detail",
    "method",
    "method_detail",
    "status",
    "stage",
    "budget",
    "value",
    "fiscal_years",
    "published",
    "registration_deadline",
    "deadline",
    "locations",
    "plans",
    "retender",
    "retender_reason",
    "cancellation_reason",
    "participants",
    "milestones",
    "awards",
    "contracts",
    "documents",
    "incomplete",
    "url",
]

texts = st.text(min_size=1, max_size=20)
moneys = st.builds(Money, st.decimals(min_value=0, max_value=10**15, places=2), st.sampled_from(["IDR", "USD"]))
times = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 -- hypothesis takes naive bounds and adds the zone itself
    datetime(2099, 1, 1),  # noqa: DTZ001 -- likewise
    timezones=st.sampled_from([UTC, WIB, ZoneInfo("Asia/Jayapura")]),
)
awards = st.builds(Award, supplier=texts, amount=st.none() | moneys, date=st.none() | times)
contracts = st.builds(Contract, supplier=texts, amount=st.none() | moneys, date=st.none() | times)
milestones = st.builds(
    Milestone, title=texts, starts=st.none() | times, ends=st.none() | times, changes=st.integers(0, 9)
)
documents = st.builds(Document, title=texts, url=texts)


def tuples(items: st.SearchStrategy[T]) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(items, max_size=3).map(tuple)


tenders = st.builds(
    Tender,
    portal=st.just("malangkota"),
    kind=st.sampled_from(Kind),
    key=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,20}", fullmatch=True),
    title=texts,
    url=st.just("https://lpse.test/1"),
    description=st.none() | texts,
    buyer=st.none() | texts,
    procuring_entity=st.none() | texts,
    category=st.none() | st.sampled_from(Category),
    method=st.none() | st.sampled_from(Method),
    status=st.none() | st.sampled_from(Status),
    budget=st.none() | moneys,
    value=st.none() | moneys,
    fiscal_years=tuples(st.integers(2000, 2100)),
    published=st.none() | times,
    registration_deadline=st.none() | times,
    deadline=st.none() | times,
    locations=tuples(texts),
    plans=tuples(texts),
    retender=st.booleans(),
    participants=st.none() | st.integers(0, 500),
    milestones=tuples(milestones),
    awards=tuples(awards),
    contracts=tuples(contracts),
    documents=tuples(documents),
    incomplete=st.booleans(),
    unread=st.frozensets(st.sampled_from(TENDER_FIELDS)),
)


@given(tenders)
def test_a_tender_survives_the_way_to_json_and_back(tender: Tender) -> None:
    text = json.dumps(tender.as_dict())
    again = Tender.from_dict(json.loads(text), unread=sorted(tender.unread))
    assert again == tender
    assert json.dumps(again.as_dict()) == text


def test_the_keys_of_an_exported_tender_are_these() -> None:
    assert list(TENDER.as_dict()) == EXPORTED
    assert set(EXPORTED) == set(TENDER_FIELDS) - {"unread", "sanctions"}


def test_a_record_adds_when_it_was_seen() -> None:
    seen = datetime(2026, 11, 24, 3, tzinfo=UTC)
    told = Record(tender=TENDER, first_seen=seen, last_seen=seen, changed=seen).as_dict()
    assert list(told) == [*EXPORTED, "first_seen", "last_seen", "changed"]
    assert told["changed"] == "2026-11-24T03:00:00+00:00"


def test_amounts_travel_as_exact_strings_with_their_currency() -> None:
    told = replace(TENDER, value=Money(Decimal("69000098702.00"))).as_dict()
    assert told["value"] == {"amount": "69000098702.00", "currency": "IDR"}


def test_times_keep_the_offset_they_were_given() -> None:
    told = replace(TENDER, deadline=datetime(2026, 2, 5, 4, 1, tzinfo=WIB)).as_dict()
    assert told["deadline"] == "2026-02-05T04:01:00+07:00"


@pytest.mark.parametrize("key", ["", "a b", "../etc", "-1", "1/2", "é", "1" * 129, "1\n"])
def test_a_key_that_is_not_url_safe_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not a URL-safe"):
        replace(TENDER, key=key)


def test_an_empty_title_is_refused() -> None:
    with pytest.raises(ValueError, match="malangkota/tender/10020728000 has no title"):
        replace(TENDER, title="")


@pytest.mark.parametrize("field", ["published", "registration_deadline", "deadline"])
def test_a_time_without_a_zone_is_refused(field: str) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 -- the point of the test
    with pytest.raises(ValueError, match="has no zone"):
        replace(TENDER, **{field: naive})  # type: ignore[arg-type] # mypy takes the key for any field


@pytest.mark.parametrize(
    "break_it",
    [
        lambda: setattr(TENDER, "title", "other"),
        lambda: setattr(Money(Decimal(1)), "currency", "USD"),
        lambda: setattr(Problem("shape", "x"), "code", "busy"),
    ],
)
def test_values_are_frozen(break_it: Callable[[], None]) -> None:
    with pytest.raises(FrozenInstanceError):
        break_it()


def test_a_run_tells_what_crawl_json_prints() -> None:
    started = datetime(2026, 11, 24, 3, tzinfo=UTC)
    run = Run(
        portal="malangkota",
        sweep=Sweep.OPEN,
        started=started,
        finished=started + timedelta(seconds=1.23456),
        verdict=Verdict.PARTIAL,
        reasons=("short: 3 rows",),
    )
    assert run.as_dict() == {
        "portal": "malangkota",
        "verdict": "partial",
        "reasons": ["short: 3 rows"],
        **dict.fromkeys(("requests", "seen", "new", "changed", "unchanged", "withdrawn", "errors"), 0),
        "seconds": 1.235,
    }


def test_every_field_of_a_run_that_counts_is_printed() -> None:
    told = {f.name for f in fields(Run)} - {"sweep", "started", "finished", "narrowed"}
    run = Run(
        portal="x",
        sweep=Sweep.FULL,
        started=datetime(2026, 1, 1, tzinfo=UTC),
        finished=datetime(2026, 1, 1, tzinfo=UTC),
        verdict=Verdict.OK,
    )
    assert set(run.as_dict()) == told | {"seconds"}


def test_a_problem_reads_as_code_thing_and_sample() -> None:
    assert str(Problem("shape", "row 3 of dt/lelang")) == "shape: row 3 of dt/lelang"
    assert str(Problem("shape", "row 3", "<html>")) == "shape: row 3 (<html>)"


def test_no_problem_makes_a_run_better() -> None:
    assert Verdict.OK not in PROBLEMS.values()


def test_what_is_known_is_found_by_kind_and_key() -> None:
    known = KnownTenders()
    known.add(Kind.TENDER, "1", Known(row=b"a"))
    known.add(Kind.NEWS, "1", Known(row=b"b"))
    assert known == {(Kind.TENDER, "1"): Known(row=b"a"), (Kind.NEWS, "1"): Known(row=b"b")}
    assert (len(known), known.get((Kind.TENDER, "2")), known.get((Kind.PLAN, "1"))) == (2, None, None)
