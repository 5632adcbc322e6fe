"""The strict readers: what they read back, what they refuse."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.models import Money
from spiders.reading import (
    MONTHS,
    ShapeError,
    clean_text,
    parse_count,
    parse_html,
    parse_labels,
    parse_rupiah,
    parse_table,
    parse_time,
    text_of,
)

WIB, WIT = ZoneInfo("Asia/Jakarta"), ZoneInfo("Asia/Jayapura")
NAMES = [
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
]


@given(st.decimals(min_value=0, max_value=Decimal("9" * 15), places=2))
def test_rupiah_is_read_back_exactly(amount: Decimal) -> None:
    whole, cents = f"{amount:,.2f}".split(".")
    assert parse_rupiah(f"Rp. {whole.replace(',', '.')},{cents}") == Money(amount)
    assert parse_rupiah(f"  Rp\xa0{whole.replace(',', '.')},{cents} ") == Money(amount)


@pytest.mark.parametrize("text", ["Rp. 1,234.00", "22,7 M", "Rp. 1.23,00", "USD 5", "Rp. 12.345,678", "1 2"])
def test_what_is_no_rupiah_is_refused(text: str) -> None:
    with pytest.raises(ShapeError):
        parse_rupiah(text)


def test_no_amount_is_none() -> None:
    assert parse_rupiah(" ") is None
    assert parse_rupiah("-") is None


@given(st.datetimes(timezones=st.just(WIT)).filter(lambda time: 1970 <= time.year < 2100))
def test_times_are_read_back_in_the_portals_zone(time: datetime) -> None:
    text = f"{time.day} {NAMES[time.month - 1]} {time.year} {time:%H:%M}"
    assert parse_time(text, WIT) == time.replace(second=0, microsecond=0)
    assert parse_time(f"{time:%d-%m-%Y}", WIB) == datetime(time.year, time.month, time.day, tzinfo=WIB)


def test_months_are_known_in_both_languages() -> None:
    assert set(MONTHS.values()) == set(range(1, 13))
    assert parse_time("1 Pebruari 2026", WIB) == parse_time("1 February 2026", WIB)


@pytest.mark.parametrize("text", ["31 Februari 2026", "1 Foo 2026", "2026-01-01", "1 Mei 2026 25:00", "kemarin"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ShapeError):
        parse_time(text, WIB)


@given(st.text())
def test_clean_text_is_fit_for_xml_and_settles(text: str) -> None:
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert not any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF or ord(c) & 0xFFFE == 0xFFFE for c in cleaned)
    assert "  " not in cleaned


def test_clean_text_keeps_what_is_meant() -> None:
    assert (
        clean_text(", “A” =1+1 \U0001f469\u200d\U0001f527 é <b>\x07\ufffe")
        == ", “A” =1+1 \U0001f469\u200d\U0001f527 é <b>"
    )


@given(st.text(max_size=30))
def test_counts_never_guess(text: str) -> None:
    try:
        count = parse_count(text)
    except ShapeError:
        assert not clean_text(text)[:1].isdigit() or not clean_text(text)[:1].isascii() or len(text) > 9
    else:
        assert clean_text(text).startswith(clean_text(text)[: len(str(count))])


def test_labels_two_pairs_in_a_row_without_tbody() -> None:
    table = lxml.html.fragment_fromstring(
        "<table><tr><th>Nilai Pagu Paket</th><td>1</td><th>Nilai HPS Paket</th><td>2</td></tr>"
        "<tr><th>RUP</th><td><table><tr><th>Kode</th><td>in</td></tr></table></td></tr></table>"
    )
    assert [(label, text_of(cell)) for label, cell in parse_labels(table)] == [
        ("Nilai Pagu Paket", "1"),
        ("Nilai HPS Paket", "2"),
        ("RUP", "Kode in"),
    ]


def test_a_row_of_another_width_is_refused() -> None:
    table = lxml.html.fragment_fromstring("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td></tr></table>")
    with pytest.raises(ShapeError, match="1 cells under the head A, B"):
        list(parse_table(table))


def test_an_empty_page_is_refused() -> None:
    with pytest.raises(ShapeError):
        parse_html(b"  ")


def test_words_of_neighbouring_lines_stay_apart() -> None:
    cell = lxml.html.fragment_fromstring("<td>Kec.<br>Klojen<ul><li>A</li><li>B</li></ul>CO<sub>2</sub></td>")
    assert text_of(cell) == "Kec. Klojen A B CO2"
