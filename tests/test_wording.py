"""The forms of money and time, and that both languages say the same."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.models import TENDER_FIELDS, Category, Kind, Method, Money, Status
from feeds.words import wording as module
from feeds.words.wording import NBSP, Language, Wording
from tests.feed_samples import WIB

ID, EN = Wording("id", WIB), Wording("en", WIB)
DEADLINE = datetime(2026, 12, 3, 7, tzinfo=UTC)


def rupiah(amount: str) -> Money:
    return Money(Decimal(amount))


@pytest.mark.parametrize(
    ("amount", "exact", "short", "english"),
    [
        ("1234567890", "Rp1.234.567.890,00", "Rp1,2 miliar", "Rp1.2 billion"),
        ("2400000000000", "Rp2.400.000.000.000,00", "Rp2,4 triliun", "Rp2.4 trillion"),
        ("750000000", "Rp750.000.000,00", "Rp750 juta", "Rp750 million"),
        ("750000", "Rp750.000,00", "Rp750.000", "Rp750,000"),
        ("999960000", "Rp999.960.000,00", "Rp1 miliar", "Rp1 billion"),
        ("999949999", "Rp999.949.999,00", "Rp999,9 juta", "Rp999.9 million"),
        ("950000000", "Rp950.000.000,00", "Rp950 juta", "Rp950 million"),
        ("999999.50", "Rp999.999,50", "Rp1 juta", "Rp1 million"),
        ("999999.49", "Rp999.999,49", "Rp999.999", "Rp999,999"),
        ("168250000", "Rp168.250.000,00", "Rp168,3 juta", "Rp168.3 million"),
        ("1234567890123456", "Rp1.234.567.890.123.456,00", "Rp1.234,6 triliun", "Rp1,234.6 trillion"),
        ("0", "Rp0,00", "Rp0", "Rp0"),
        ("1.005", "Rp1,01", "Rp1", "Rp1"),
        ("-57700000", "-Rp57.700.000,00", "-Rp57,7 juta", "-Rp57.7 million"),
    ],
)
def test_money(amount: str, exact: str, short: str, english: str) -> None:
    assert ID.money(rupiah(amount)) == exact
    assert ID.short_money(rupiah(amount)) == short.replace(" ", NBSP)
    assert EN.short_money(rupiah(amount)) == english.replace(" ", NBSP)


def test_money_in_english_and_in_other_currencies() -> None:
    assert EN.money(rupiah("1234567890")) == "Rp1,234,567,890.00"
    assert ID.money(Money(Decimal("1234.5"), "USD")) == "USD\u00a01.234,50"
    assert EN.short_money(Money(Decimal("1250000"), "USD")) == "USD\u00a01.3\u00a0million"


@given(st.decimals(0, Decimal("1e20"), allow_nan=False, places=2))
def test_short_money_is_within_a_twentieth_of_its_unit(amount: Decimal) -> None:
    number, _, unit = EN.short_money(Money(amount)).removeprefix("Rp").replace(",", "").partition(NBSP)
    scale = {"": 0, "million": 6, "billion": 9, "trillion": 12}[unit]
    assert abs(Decimal(number).scaleb(scale) - amount) <= Decimal("0.05" if unit else "0.5").scaleb(scale)
    assert Decimal(number) < 1000 or unit in {"", "trillion"}
    assert not number.endswith(".0")


def test_percent() -> None:
    assert ID.percent(Decimal(366900000), Decimal(4031800000)) == "9,1%"
    assert EN.percent(Decimal(366900000), Decimal(4031800000)) == "9.1%"
    assert ID.percent(Decimal(57700000), Decimal(5970000000)) == "1,0%"


def test_times() -> None:
    assert ID.long_time(DEADLINE) == "Kamis, 3 Desember 2026, 14.00\u00a0WIB"
    assert EN.long_time(DEADLINE) == "Thursday 3 December 2026, 14:00\u00a0WIB (UTC+7)"
    assert ID.short_time(DEADLINE) == "3 Des 2026, 14.00\u00a0WIB"
    assert EN.short_time(DEADLINE) == "3 Dec 2026, 14:00\u00a0WIB"
    assert ID.date(datetime(2026, 8, 31, 17, tzinfo=UTC)) == "1 Sep 2026"
    assert ID.month(datetime(2026, 12, 31, 17, tzinfo=UTC)) == "Januari 2027"


def test_indonesian_months() -> None:
    shown = [ID.date(datetime(2026, month, 3, tzinfo=WIB)).split()[1] for month in range(1, 13)]
    assert " ".join(shown) == "Jan Feb Mar Apr Mei Jun Jul Agu Sep Okt Nov Des"


@pytest.mark.parametrize(
    ("zone", "clock"),
    [
        ("Asia/Pontianak", "14.00\u00a0WIB"),
        ("Asia/Makassar", "15.00\u00a0WITA"),
        ("Asia/Jayapura", "16.00\u00a0WIT"),
        ("Europe/London", "07.00\u00a0UTC"),
        ("Asia/Kolkata", "12.30\u00a0UTC+5:30"),
        ("America/New_York", "02.00\u00a0UTC-5"),
    ],
)
def test_the_zone_stands_after_every_time(zone: str, clock: str) -> None:
    assert Wording("id", ZoneInfo(zone)).short_time(DEADLINE) == f"3 Des 2026, {clock}"


@pytest.mark.parametrize(
    ("apart", "told"),
    [
        (timedelta(days=6), ("6\u00a0hari", "6\u00a0days")),
        (timedelta(days=5, hours=20), ("6\u00a0hari", "6\u00a0days")),  # from 18.00 on one day to 14.00 on the sixth
        (timedelta(hours=24), ("1\u00a0hari", "1\u00a0day")),
        (timedelta(hours=23, minutes=59), ("23\u00a0jam", "23\u00a0hours")),
        (timedelta(minutes=90), ("1\u00a0jam", "1\u00a0hour")),
        (timedelta(minutes=59), ("59\u00a0menit", "59\u00a0minutes")),
        (timedelta(seconds=1), ("1\u00a0menit", "1\u00a0minute")),
    ],
)
def test_spans(apart: timedelta, told: tuple[str, str]) -> None:
    assert (ID.span(DEADLINE - apart, DEADLINE), EN.span(DEADLINE, DEADLINE - apart)) == told


def test_an_active_tender_is_open_until_its_deadline() -> None:
    assert ID.status(Status.ACTIVE, Kind.TENDER, DEADLINE, DEADLINE - timedelta(seconds=1)) == "Terbuka"
    assert ID.status(Status.ACTIVE, Kind.TENDER, DEADLINE, DEADLINE) == "Dalam proses"
    assert EN.status(Status.ACTIVE, Kind.NON_TENDER) == "Open"
    assert EN.status(Status.WITHDRAWN, Kind.TENDER, DEADLINE, DEADLINE) == "No longer on the portal"


def test_only_what_can_be_bid_for_is_open() -> None:
    for kind in (Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY, Kind.PLAN):
        assert ID.status(Status.ACTIVE, kind, None, DEADLINE) == "Sedang berjalan"
        assert ID.status(Status.COMPLETE, kind) == "Selesai"
    assert ID.status(Status.ACTIVE, Kind.NOTICE) == "Berlaku"
    assert ID.status(Status.ACTIVE, Kind.NOTICE, DEADLINE, DEADLINE - timedelta(days=1)) == "Terbuka"


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}


@pytest.mark.parametrize("phrase", sorted(module._PHRASES))
def test_both_languages_say_the_same_things(phrase: str) -> None:
    indonesian, english = module._PHRASES[phrase]
    assert placeholders(indonesian) == placeholders(english)
    assert "!" not in indonesian + english


@pytest.mark.parametrize("language", ["id", "en"])
def test_everything_has_a_name(language: Language) -> None:
    wording = Wording(language, WIB)
    assert all(wording.name(code) for codes in (Kind, Category, Method, Status) for code in codes)
    told_nowhere = {"portal", "url", "participants", "documents", "incomplete", "unread"}
    assert all(wording.label(field) for field in set(TENDER_FIELDS) - told_nowhere)
