"""aggregator/filters.py: what a filter takes, what it refuses, and the words it refuses with."""

from __future__ import annotations

import contextlib
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.filters import MAX_CHOICES, MAX_LIMIT, MAX_ROWS, MAX_TEXT, Filter, FilterError, Moment, Sort
from aggregator.models import Category, Kind, Method, Status

WIB = ZoneInfo("Asia/Jakarta")
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
KEYS = [f.name for f in fields(Filter)]


def test_a_query_string_toml_and_options_give_the_same_filter() -> None:
    from_toml = Filter.parse({"category": "works", "min_value": 200_000_000, "year": 2026, "retender": True})
    from_query = Filter.parse({"category": ["works"], "min_value": ["200000000"], "year": ["2026"], "retender": "1"})
    assert from_toml == from_query
    assert from_toml.category == (Category.WORKS,)
    assert from_toml.min_value == Decimal(200_000_000)


def test_several_values_of_one_key_are_kept_in_order() -> None:
    wanted = Filter.parse({"kind": ["non_tender", "tender"], "method": ["direct"], "status": "active"})
    assert wanted.kind == (Kind.NON_TENDER, Kind.TENDER)
    assert wanted.method == (Method.DIRECT,)
    assert wanted.status == (Status.ACTIVE,)


def test_empty_values_are_as_if_absent() -> None:
    assert Filter.parse({"q": "", "category": [], "min_value": "", "buyer": ["", ""]}) == Filter()


def test_text_loses_control_characters_and_spare_spaces() -> None:
    assert Filter.parse({"q": " jalan\x00 \n danau\u202e "}).q == "jalan danau"


def test_sort_and_limit() -> None:
    wanted = Filter.parse({"sort": "deadline", "limit": "20"})
    assert (wanted.sort, wanted.limit) == (Sort.DEADLINE, 20)
    assert wanted.with_limit(5).limit == 20
    assert Filter().with_limit(5).limit == 5


def test_the_cap_of_a_limit_is_the_callers() -> None:
    assert Filter.parse({"limit": MAX_LIMIT + 1}).limit == MAX_LIMIT + 1
    assert Filter.parse({"limit": MAX_LIMIT}, most=MAX_LIMIT).limit == MAX_LIMIT
    with pytest.raises(FilterError, match=f"not from 1 to {MAX_LIMIT}"):
        Filter.parse({"limit": MAX_LIMIT + 1}, most=MAX_LIMIT)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("harga", "1", "unknown filter key"),
        ("category", "road", "choose from goods, works, services, consulting"),
        ("min_value", "limaratus", "as in 500000000"),
        ("min_value", "-1", "as in 500000000"),
        ("min_value", "1e9", "as in 500000000"),
        ("min_value", "NaN", "as in 500000000"),
        ("min_value", True, "as in 500000000"),
        ("year", "1999", "not from 2000 to 2100"),
        ("year", "dua ribu", "not a whole number"),
        ("limit", str(MAX_ROWS + 1), f"not from 1 to {MAX_ROWS}"),
        ("limit", "0", f"not from 1 to {MAX_ROWS}"),
        ("limit", ["1", "2"], "takes one value"),
        ("sort", "price", "choose from published, deadline, value, changed"),
        ("retender", "maybe", "neither true nor false"),
        ("deadline_to", "besok", "as in 2026-12-03"),
        ("changed_since", "2026-02-30", "as in 2026-12-03"),
        ("q", ["a", "b"], "takes one value"),
        ("q", 7, "not a text"),
        ("q", "x" * (MAX_TEXT + 1), f"1 to {MAX_TEXT} characters"),
        ("q", "\x00\x01", f"1 to {MAX_TEXT} characters"),
        ("buyer", ["x"] * (MAX_CHOICES + 1), f"at most {MAX_CHOICES} values"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_key(key: str, value: object, why: str) -> None:
    with pytest.raises(FilterError) as caught:
        Filter.parse({key: value})
    assert caught.value.key == key
    assert why in caught.value.why
    assert str(caught.value) == f"{key}: {caught.value.why}"


def test_a_bare_date_is_the_whole_day_in_the_zone() -> None:
    day = Moment("2026-12-03")
    assert day.resolve(NOW, WIB, end=False) == datetime(2026, 12, 3, 0, 0, tzinfo=WIB)
    assert day.resolve(NOW, WIB, end=True) == datetime(2026, 12, 3, 23, 59, 59, 999_999, tzinfo=WIB)


def test_a_time_is_told_in_the_zone_unless_it_has_its_own() -> None:
    assert Moment("2026-12-03T14:00").resolve(NOW, WIB, end=True) == datetime(2026, 12, 3, 14, 0, tzinfo=WIB)
    assert Moment("2026-12-03T14:00Z").resolve(NOW, WIB, end=True) == datetime(2026, 12, 3, 14, 0, tzinfo=UTC)


@given(st.integers(-9999, 9999))
def test_an_offset_counts_days_from_now(days: int) -> None:
    wanted = Filter.parse({"deadline_to": f"{days:+d}d"})
    assert wanted.deadline_to is not None
    assert wanted.deadline_to.resolve(NOW, WIB, end=True) == NOW + timedelta(days=days)


@given(st.dates(date(1970, 1, 1), date(2999, 12, 31)))
def test_every_date_works_as_text_and_as_toml_date(day: date) -> None:
    assert Filter.parse({"published_from": day}) == Filter.parse({"published_from": day.isoformat()})


@given(st.decimals(min_value=0, max_value=10**17, places=2))
def test_every_amount_is_exact(amount: Decimal) -> None:
    assert Filter.parse({"max_value": str(amount)}).max_value == amount


@given(st.sampled_from(KEYS), st.one_of(st.text(), st.lists(st.text()), st.integers(), st.floats(), st.booleans()))
def test_nothing_from_outside_raises_anything_but_filter_error(key: str, value: object) -> None:
    with contextlib.suppress(FilterError):
        assert isinstance(Filter.parse({key: value}), Filter)
