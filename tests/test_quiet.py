"""Quiet hours: when they are over, and that they do not count as time in which something should have happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aggregator.config import ConfigError, parse_config
from aggregator.quiet import QuietHours, parse_quiet
from tests.road import HEAD

WIB = ZoneInfo("Asia/Jakarta")
HOUR = timedelta(hours=1)


def at(day: int, hour: int, minute: int = 0, zone: ZoneInfo = WIB) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=zone)


def quiet(text: str, zone: ZoneInfo = WIB) -> QuietHours:
    return replace(parse_quiet(text), zone=zone)


@pytest.mark.parametrize(
    ("text", "moment", "end"),
    [
        ("01:00-05:00", at(24, 0, 59), at(24, 0, 59)),
        ("01:00-05:00", at(24, 1), at(24, 5)),
        ("01:00-05:00", at(24, 4, 59), at(24, 5)),
        ("01:00-05:00", at(24, 5), at(24, 5)),
        ("22:30-04:00", at(24, 23), at(25, 4)),
        ("22:30-04:00", at(24, 3), at(24, 4)),
        ("22:30-04:00", at(24, 12), at(24, 12)),
        ("12:00-13:00, 23:00-00:00,00:00-05:00", at(24, 23, 30), at(25, 5)),
        ("12:00-13:00, 23:00-00:00,00:00-05:00", at(24, 12, 30), at(24, 13)),
        ("01:00-05:00, 02:00-03:00", at(24, 2, 30), at(24, 5)),
        ("", at(24, 2), at(24, 2)),
    ],
)
def test_quiet_hours_are_over(text: str, moment: datetime, end: datetime) -> None:
    assert quiet(text).find_end(moment) == end


def test_they_are_told_in_their_zone_whatever_its_clocks_do() -> None:
    assert quiet("01:00-05:00", ZoneInfo("Asia/Jayapura")).find_end(at(24, 2)) == at(24, 3)
    berlin = ZoneInfo("Europe/Berlin")
    night = datetime(2026, 3, 29, 1, 30, tzinfo=berlin)  # at 2 it is 3
    assert quiet("01:00-05:00", berlin).find_end(night) - night == timedelta(hours=2.5)


@pytest.mark.parametrize(
    ("text", "begins", "span", "ends"),
    [
        ("", at(24, 1), HOUR, at(24, 2)),
        ("01:00-05:00", at(24, 12), HOUR, at(24, 13)),
        ("01:00-05:00", at(24, 0, 30), HOUR, at(24, 5, 30)),
        ("01:00-05:00", at(24, 2), HOUR, at(24, 6)),
        ("22:00-04:00", at(24, 21), 20 * HOUR, at(25, 23) + 6 * HOUR),
        ("01:00-05:00, 02:00-06:00", at(24, 0, 30), HOUR, at(24, 6, 30)),
    ],
)
def test_they_do_not_count(text: str, begins: datetime, span: timedelta, ends: datetime) -> None:
    assert quiet(text).add(begins, span) == ends


PORTALS = """
[[portal]]
id = "a"
family = "spse"
name = "A"
url = "https://a.example"
[[portal]]
id = "b"
family = "spse"
name = "B"
url = "https://b.example"
quiet = "12:00-13:00"
[[portal]]
id = "c"
family = "spse"
name = "C"
url = "https://c.example"
quiet = ""
"""


def test_a_portal_has_its_own_or_those_of_all_in_the_publishers_zone() -> None:
    head = HEAD.replace("[crawl]", 'timezone = "Asia/Makassar"\n\n[crawl]\nquiet = "01:00-05:00"')
    portals = parse_config(head + PORTALS, Path("warta.toml")).portal
    assert [portal.quiet.ranges for portal in portals] == [((60, 300),), ((720, 780),), ()]
    assert {portal.quiet.zone for portal in portals} == {ZoneInfo("Asia/Makassar")}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("'1-5'", r"quiet: '1-5' is no time of the day; write it as in '01:00-05:00'"),
        ("'01:00-25:00'", "is no time of the day"),
        ("'05:00-05:00'", "'05:00-05:00' ends when it begins"),
        ("'05:00-04:00, 04:00-05:00'", "leaves no time to read anything"),
        ("5", "5 is no time of the day"),
    ],
)
def test_mistakes_are_told(value: str, words: str) -> None:
    text = HEAD.replace("[crawl]", f"[crawl]\nquiet = {value}")
    with pytest.raises(ConfigError, match=rf"warta\.toml:9: crawl\.quiet: .*{words}|{words}"):
        parse_config(text, Path("warta.toml"))
    with pytest.raises(ConfigError, match=r"portal\.1\.quiet: "):
        parse_config(HEAD + PORTALS.replace("[[portal]]", f"[[portal]]\nquiet = {value}", 1), Path("warta.toml"))
