"""The figures of a year, on both databases: what counts, what does not, and what hostile amounts cannot break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from aggregator.models import Category, Contract, Kind, Method, Milestone, Money, Reading, Status, Sweep, Tender
from aggregator.reports import MOST_ENTITIES, Sum, YearReport, find_run_days, find_year, find_years
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from tests.feed_samples import READ, TENDER, WIB

PUBLISHED = datetime(2026, 3, 10, tzinfo=WIB)
BILLION = 1_000_000_000


def rupiah(amount: object) -> Money:
    return Money(Decimal(str(amount)))


def make(key: str, amount: object = BILLION, **fields: Any) -> Tender:
    return replace(TENDER, key=key, **{"value": rupiah(amount), "published": PUBLISHED, **fields})


def contract(amount: object, days: int | None = None) -> tuple[Contract, ...]:
    date = None if days is None else PUBLISHED + timedelta(days=days)
    return (Contract(supplier="CV Karya Maju", amount=rupiah(amount), date=date),)


def report(engine: Engine, tenders: Iterable[Tender], only: Iterable[str] | None = None) -> YearReport:
    Repository(engine).save([Reading(tender=tender) for tender in tenders], READ)
    return find_year(engine, 2026, WIB, None if only is None else list(only))


def test_months_are_those_of_the_zone(engine: Engine) -> None:
    found = report(
        engine,
        [
            make("1", published=datetime(2025, 12, 31, 16, 59, tzinfo=UTC)),  # still 2025 in Malang
            make("2", published=datetime(2025, 12, 31, 17, 0, tzinfo=UTC)),
            make("3", published=datetime(2026, 1, 31, 23, 59, tzinfo=WIB)),
            make("4", published=datetime(2026, 2, 1, tzinfo=WIB), category=Category.GOODS),
            make("5", published=datetime(2026, 12, 31, 23, 59, tzinfo=WIB), category=None),
            make("6", published=datetime(2027, 1, 1, tzinfo=WIB)),
        ],
    )
    one = Sum(1, BILLION)
    assert found.months == {1: one + one, 2: one, 12: one}
    assert found.categories == {"works": one + one, "goods": one, None: one}
    assert found.total == Sum(4, 4 * BILLION)
    assert find_years(engine, range(2024, 2029), WIB, None) == [2025, 2026, 2027]


def test_no_package_is_no_year(engine: Engine) -> None:
    assert find_years(engine, [2026, 2025], WIB, None) == []
    empty = find_year(engine, 2026, WIB, None)
    assert (empty.total, empty.months, empty.entities, empty.days, empty.margins) == (Sum(), {}, [], {}, {})


def test_only_purchases_that_stand_count(engine: Engine) -> None:
    found = report(
        engine,
        [
            make("1", status=Status.COMPLETE),
            make("2", status=None),
            make("3", kind=Kind.RECORDED, status=Status.ACTIVE),
            make("4", status=Status.CANCELLED),
            make("5", status=Status.UNSUCCESSFUL),
            make("6", kind=Kind.PLAN),
            make("7", kind=Kind.NOTICE),
            make("8", portal="elsewhere"),
        ],
        only=["malangkota"],
    )
    assert found.total.count == 3


def test_a_value_that_cannot_be_is_no_value(engine: Engine) -> None:
    """Thousands of absurd amounts must not make the sum too large for the database."""
    absurd = [make(str(number), "9" * 30) for number in range(5)]
    other = [make("usd", value=Money(Decimal(100), "USD"), budget=None), make("none", value=None, budget=None)]
    found = report(engine, [*absurd, *other, make("good", "1234.56")])
    assert found.total == Sum(8, 1234)


def test_work_units_of_most_value_come_first(engine: Engine) -> None:
    units = [make(f"{n}", (n + 1) * BILLION, procuring_entity=f"Dinas {n:02}") for n in range(MOST_ENTITIES + 3)]
    small = make("case", 1, procuring_entity="DINAS 12")
    found = report(engine, [*units, small, make("nobody", procuring_entity=None)])
    assert found.entity_count == MOST_ENTITIES + 3
    assert [tally.count for _, tally in found.entities] == [2] + [1] * (MOST_ENTITIES - 1)
    assert found.entities[1] == ("Dinas 11", Sum(1, 12 * BILLION))


def test_days_from_announcement_to_contract(engine: Engine) -> None:
    found = report(
        engine,
        [
            make("1", contracts=contract(1, 30)),
            make("2", contracts=contract(1, 30)),
            make("3", contracts=contract(1, 0)),
            make("4", contracts=contract(1, 9), method=Method.DIRECT, kind=Kind.NON_TENDER),
            make("5", contracts=contract(1, -1)),  # signed before it was announced
            make("6", contracts=contract(1)),
            make("7", contracts=contract(1, 9), kind=Kind.RECORDED),  # recorded when all is over
            make("8", contracts=contract(1, 250), published=None),  # counted from its first sight otherwise
            make("9", contracts=contract(1, 9), method=None),
        ],
    )
    assert found.days == {"open": {0: 1, 30: 2}, "direct": {9: 1}}


@pytest.mark.parametrize(
    ("value", "signed", "thousandths"),
    [
        ("1000000000", "910000000", 90),
        ("1000000000", "1100000000", -100),
        ("1000000000", "999999999", 1),  # less, by less than a thousandth
        ("1000000000", "1000000001", -1),
        ("999000000000000", "899100000000000", 100),
    ],
)
def test_what_a_contract_costs_against_the_estimate(engine: Engine, value: str, signed: str, thousandths: int) -> None:
    found = report(engine, [make("1", value, contracts=contract(signed))])
    assert (found.margins, found.equal) == ({thousandths: 1}, 0)


def test_a_contract_without_an_estimate_is_not_compared(engine: Engine) -> None:
    found = report(
        engine,
        [
            make("same", 5_000_000, contracts=contract(5_000_000)),
            make("budget", value=None, budget=rupiah(BILLION), contracts=contract(5)),
            make("recorded", kind=Kind.RECORDED, contracts=contract(5)),
            make("free", contracts=contract(0)),
            make("tiny", 999, contracts=contract(5)),
            make("absurd", contracts=contract("9" * 30)),
        ],
    )
    assert (found.margins, found.equal) == ({}, 1)


def test_runs_are_counted_by_portal_and_day(engine: Engine) -> None:
    repository = Repository(engine)
    for portal, hours, verdict in (
        ("malangkota", 1, Verdict.OK),
        ("malangkota", 2, Verdict.OK),
        ("malangkota", 25, Verdict.FAILED),
        ("batu", 30, Verdict.BLOCKED),
        ("old", 24 * 9, Verdict.OK),
    ):
        ended = READ - timedelta(hours=hours)
        repository.save_run(Run(portal=portal, sweep=Sweep.OPEN, started=ended, finished=ended, verdict=verdict))
    today = datetime(2026, 11, 24, tzinfo=WIB)
    found = find_run_days(engine, [today - timedelta(days=back) for back in (2, 1, 0)])
    assert found == {
        "malangkota": [Counter(), Counter({Verdict.FAILED: 1}), Counter({Verdict.OK: 2})],
        "batu": [Counter(), Counter({Verdict.BLOCKED: 1}), Counter()],
    }


def test_without_a_date_the_schedule_tells_when_a_contract_was_to_be_signed(engine: Engine) -> None:
    signing = Milestone(title="Penandatanganan Kontrak", starts=PUBLISHED, ends=PUBLISHED + timedelta(days=40, hours=9))
    tenders = [make("1", contracts=contract(1), milestones=(signing,)), make("2", milestones=(signing,))]
    assert report(engine, tenders).days == {"open": {40: 1}}
