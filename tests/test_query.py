"""Query strings of searches: what is read from them, and that one search has one address."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.filters import MAX_LIMIT, Filter, FilterError, Moment, Sort
from aggregator.models import Category, Kind, Method, Status
from feeds.query import MAX_PAGE, MAX_QUERY, list_pairs, make_canonical, parse_entries, parse_query, render_query

names = st.text(min_size=1, max_size=20).filter(
    lambda text: "".join(c if c.isprintable() else " " for c in text).strip()
)
moments = st.one_of(
    st.integers(-9999, 9999).map(lambda days: f"{days:+d}d"),
    st.dates().map(str),
    st.datetimes().map(lambda time: time.isoformat()),
)


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=3)


filters = st.fixed_dictionaries(
    {},
    optional={
        "q": names,
        **{key: several(names) for key in ("portal", "key", "buyer", "procuring_entity", "location")},
        "kind": several(st.sampled_from(Kind)),
        "category": several(st.sampled_from(Category)),
        "method": several(st.sampled_from(Method)),
        "status": several(st.sampled_from(Status)),
        "min_value": st.decimals(0, 10**17, places=2).map(str),
        "max_value": st.integers(0, 10**17),
        "year": several(st.integers(2000, 2100)),
        **dict.fromkeys(("published_from", "published_to", "deadline_from", "deadline_to", "changed_since"), moments),
        "retender": st.booleans(),
        "limit": st.integers(1, MAX_LIMIT),
        "sort": st.sampled_from(Sort),
    },
).map(Filter.parse)


@given(filters, st.integers(1, MAX_PAGE))
def test_what_is_written_is_read_again(wanted: Filter, page: int) -> None:
    query = render_query(wanted, page)
    assert parse_query(query) == (make_canonical(wanted), page)
    assert render_query(parse_query(query)[0], page) == query
    assert re.fullmatch(r"(?:[a-z_]+=[A-Za-z0-9._~%-]+(?:&|\Z))*", query)


def test_one_search_has_one_address() -> None:
    queries = [
        "q=jalan&kind=tender&kind=non_tender&procuring_entity=DPUPRPKP&min_value=500000000&deadline_to=%2B7d",
        "deadline_to=+7d&min_value=500000000.00&procuring_entity=dpuprpkp&kind=non_tender&kind=tender&q=+jalan+&sort=published",
        "utm_source=x&kind=non_tender&kind=tender&kind=tender&procuring_entity=Dpuprpkp&procuring_entity=DPUPRPKP"
        "&min_value=0500000000&deadline_to=%2B07d&q=jalan&q=&retender=&%00=%FF",
    ]
    address = "q=jalan&kind=non_tender&kind=tender&procuring_entity=dpuprpkp&min_value=500000000&deadline_to=%2B7d"
    assert {render_query(parse_query(query)[0]) for query in queries} == {address}


def test_a_filter_that_asks_for_everything_has_an_empty_one() -> None:
    assert render_query(Filter()) == ""
    assert parse_query("") == (Filter(), 1)


@pytest.mark.parametrize(
    ("given_", "settled"),
    [
        ("2026-12-03", "2026-12-03"),
        ("2026-12-03 14:00", "2026-12-03T14:00:00"),
        ("2026-12-03T14:00+07:00", "2026-12-03T14:00:00+07:00"),
        ("-0d", "+0d"),
        ("+07d", "+7d"),
    ],
)
def test_times_are_told_in_one_way(given_: str, settled: str) -> None:
    assert parse_query(f"changed_since={given_}")[0] == Filter(changed_since=Moment(settled))


def test_a_feed_may_ask_for_changes() -> None:
    query = render_query(Filter(q="jalan"), entries="changes")
    assert query == "q=jalan&entries=changes"
    assert parse_query(query) == (Filter(q="jalan"), 1)
    assert [parse_entries(raw) for raw in (query, "q=jalan", "entries=", "entries=tenders")] == [
        "changes",
        "tenders",
        "tenders",
        "tenders",
    ]


@pytest.mark.parametrize("blank", ["%00", "+", "%E2%80%8B", "%0A%20"])
def test_a_field_with_nothing_to_read_in_it_is_empty(blank: str) -> None:
    assert parse_query(f"q={blank}&location={blank}&page={blank}") == (Filter(), 1)


def test_pairs_fill_a_form() -> None:
    wanted = Filter(q="a b", min_value=Decimal(5), year=(2026, 2025), retender=False, sort=Sort.VALUE)
    pairs = [("q", "a b"), ("year", "2025"), ("year", "2026"), ("retender", "false"), ("sort", "value")]
    assert list_pairs(wanted, "min_value") == pairs
    assert list_pairs(replace(wanted, q=""))[0] == ("min_value", "5")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("min_value=limaratus", "min_value: 'limaratus' is not a number of rupiah; as in 500000000"),
        ("category=road", "category: 'road' is not known; choose from goods, works, services, consulting"),
        ("q=a&q=b", "q: takes one value"),
        ("limit=1001", "limit: '1001' is not from 1 to 1000"),
        ("&".join(f"key={n}" for n in range(51)), "key: at most 50 values"),
        ("q=" + "x" * MAX_QUERY, "query: must have 1 to 4000 characters"),
        ("page=0", "page: '0' is not from 1 to 100"),
        ("page=1&page=2", "page: takes one value"),
        ("page=٣", "page: '٣' is not a whole number; as in 1"),
    ],
)
def test_what_cannot_be_used_is_named(query: str, told: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_query(query)
    assert str(caught.value) == told


@given(st.text(max_size=200))
def test_no_query_raises_anything_else(query: str) -> None:
    with contextlib.suppress(FilterError):
        wanted, page = parse_query(query)
        assert parse_query(render_query(wanted, page)) == (wanted, page)
