"""Preconditions, dates and content coding as RFC 9110 has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.serving.http import check_preconditions, parse_http_date, prefers_gzip, render_http_date

ETAG = '"abc"'
MODIFIED = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
SAME = "Tue, 24 Nov 2026 02:40:00 GMT"
BEFORE = "Tue, 24 Nov 2026 02:39:59 GMT"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"if-none-match": '"abc"'}, 304),
        ({"if-none-match": 'W/"abc"'}, 304),
        ({"if-none-match": '"x", W/"y" ,"abc"'}, 304),
        ({"if-none-match": '"a,b", "abc"'}, 304),
        ({"if-none-match": " * "}, 304),
        ({"if-none-match": '"x", *'}, 200),
        ({"if-none-match": "abc"}, 200),
        ({"if-none-match": '"abc-gzip"'}, 200),
        ({"if-none-match": ""}, 200),
        ({"if-modified-since": SAME}, 304),
        ({"if-modified-since": "Fri, 01 Jan 2077 00:00:00 GMT"}, 304),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-none-match": '"x"', "if-modified-since": SAME}, 200),
        ({"if-none-match": "", "if-modified-since": SAME}, 200),
        ({"if-none-match": ETAG, "if-modified-since": BEFORE}, 304),
        ({"if-match": '"abc"'}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"x", "abc"'}, 200),
        ({"if-match": 'W/"abc", "abc"'}, 200),
        ({"if-match": ""}, 412),
        ({"if-match": ETAG, "if-none-match": ETAG}, 304),
        ({"if-unmodified-since": SAME, "if-modified-since": SAME}, 304),
        ({"if-match": 'W/"abc"'}, 412),
        ({"if-match": '"x"', "if-none-match": ETAG}, 412),
        ({"if-match": ETAG, "if-unmodified-since": BEFORE}, 200),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": SAME}, 200),
        ({"if-unmodified-since": "junk"}, 200),
    ],
)
def test_check_preconditions(fields: dict[str, str], status: int) -> None:
    assert check_preconditions(fields, ETAG, MODIFIED) == status


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_the_three_forms_of_a_date(text: str) -> None:
    assert parse_http_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "2026-11-24",
        "Sun, 06 Nov 1994 08:49:37 +0700",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 31 Feb 2026 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Nop 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert parse_http_date(text) is None


@given(
    st.integers(0, 32_000_000_000_000_000).map(
        lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    )
)
def test_a_rendered_date_is_read_back(time: datetime) -> None:
    assert parse_http_date(render_http_date(time)) == time.replace(microsecond=0)
    assert timedelta(0) <= time - time.replace(microsecond=0) < timedelta(seconds=1)


@given(st.text(max_size=80))
def test_no_field_value_breaks_the_readers(text: str) -> None:
    parse_http_date(text)
    prefers_gzip(text)
    assert check_preconditions({"if-none-match": text, "if-match": "*"}, ETAG, MODIFIED) in {200, 304}


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("", False),
        ("gzip", True),
        ("GZip", True),
        ("x-gzip", True),
        ("br, gzip, deflate", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0.001", True),
        ("gzip ; q=0.5", True),
        ("gzip;Q=1.0", True),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("gzip, identity;q=0", True),
        ("*", True),
        ("*;q=0", False),
        ("*;q=0, gzip", True),
        ("gzip;q=0, *", False),
        ("gzip;q=0.5, *;q=1", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=2", False),
        ("gzip;q=high", False),
        ("gzipped", False),
    ],
)
def test_prefers_gzip(field: str, wanted: bool) -> None:
    assert prefers_gzip(field) is wanted
