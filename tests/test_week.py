"""The page of this week: what closes, what is new, who won, what was called off; whole days, ten of each."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aggregator.config import Config
from aggregator.models import Award, Event, Kind, Money, Record, Release, Status, Tender
from aggregator.repository import Repository
from feeds.pages.week import PATH, choose_news, find_span
from feeds.publish import publish
from tests.feed_samples import TENDER, WIB, make_record, make_release
from tests.test_publish import NOW, OPEN, SECOND, changes, files, read

DAY = timedelta(days=1)
SPAN = find_span(NOW, WIB)


@pytest.fixture
def root(config: Config) -> Path:
    return config.public_folder


def page(root: Path) -> str:
    return files(root)[PATH].decode()


def section(html: str, name: str) -> str:
    """One of the four sections."""
    found = re.search(rf'<section class="section" id="{name}">.*?</section>', html, re.DOTALL)
    assert found
    return found[0]


def counts(html: str) -> list[str]:
    return re.findall(r'<li><a href="#[a-z]+"><b class="digits">(.+?)</b>', html)


def titles(html: str) -> list[str]:
    return re.findall(r"<h3><a [^>]+>(.+?)</a>", html)


def test_days_are_those_of_the_publisher() -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=WIB)
    assert (SPAN.first, SPAN.today, SPAN.last) == (date(2026, 11, 18), date(2026, 11, 24), date(2026, 11, 30))
    assert find_span(late, WIB) == SPAN
    assert find_span(late + timedelta(hours=1), WIB).today == date(2026, 11, 25)


def test_what_stands_on_it(config: Config, repository: Repository, root: Path) -> None:
    def make(key: str, title: str, **fields: object) -> Tender:
        return replace(TENDER, key=key, title=title, **fields)  # type: ignore[arg-type]

    old = NOW - 30 * DAY
    before = [
        make("1", "Besok tutup", deadline=NOW + DAY, published=old),
        make("2", "Hari ketujuh", deadline=datetime(2026, 11, 30, 23, 59, tzinfo=WIB), published=old),
        make("3", "Hari kedelapan", deadline=datetime(2026, 12, 1, 0, 0, tzinfo=WIB), published=old),
        make("4", "Tadi pagi", deadline=datetime(2026, 11, 24, 8, 0, tzinfo=WIB), published=old),
        make("5", "Baru tayang", deadline=None, published=datetime(2026, 11, 18, 0, 0, tzinfo=WIB)),
        make("6", "Tayang kemarin dulu", deadline=None, published=datetime(2026, 11, 17, 23, 59, tzinfo=WIB)),
        make("7", "Dimenangkan", deadline=old, published=old),
        make("8", "Dibatalkan", deadline=old, published=old),
    ]
    read(repository, *before, now=NOW - 20 * DAY)
    won = replace(before[6], status=Status.COMPLETE, awards=(Award(supplier="CV Contoh", amount=Money(Decimal(5))),))
    off = replace(before[7], status=Status.CANCELLED, cancellation_reason="Anggaran <b>dialihkan</b>")
    read(repository, *before[:6], won, off, now=NOW - DAY)
    publish(config, repository, NOW)
    html = page(root)
    assert counts(html) == ["2", "1", "1", "1"]  # "Tadi pagi" has closed
    assert titles(section(html, "tutup")) == ["Besok tutup", "Hari ketujuh"]
    assert titles(section(html, "baru")) == ["Baru tayang"]
    assert titles(section(html, "menang")) == ["Dimenangkan"]
    assert "CV Contoh, Rp5,00" in section(html, "menang")
    assert titles(section(html, "batal")) == ["Dibatalkan"]
    assert "“Anggaran ‹b›dialihkan‹/b›”" in section(html, "batal")
    assert "dari Selasa, 24 November 2026 sampai Senin, 30 November 2026" in html
    assert "Tayang sejak Rabu, 18 November 2026" in html
    assert "deadline_from=%2B0d&amp;deadline_to=2026-11-30&amp;sort=deadline" in html


def test_ten_of_each_and_the_way_to_the_rest(config: Config, repository: Repository, root: Path) -> None:
    soon = [replace(TENDER, key=f"{n}", title=f"Paket {n}", deadline=NOW + DAY, published=NOW) for n in range(12)]
    read(repository, *soon, now=NOW - DAY)
    publish(config, repository, NOW)
    html = page(root)
    assert counts(html) == ["12", "12", "0", "0"]
    for name in ("tutup", "baru"):
        assert len(titles(section(html, name))) == 10
        assert "12 paket</a>" in section(html, name)
        assert "10 di antaranya di atas" in section(html, name)
    days = re.findall(r"<b>(\d+)</b>.*?<span class=\"digits\">(\d+)<", section(html, "tutup"))
    assert days == [("24", "0"), ("25", "12"), ("26", "0"), ("27", "0"), ("28", "0"), ("29", "0"), ("30", "0")]


def test_a_quiet_week(config: Config, repository: Repository, root: Path) -> None:
    publish(config, repository, NOW)
    assert counts(page(root)) == ["0", "0", "0", "0"]
    assert page(root).count('class="empty"') == 4


def test_it_is_written_when_the_day_or_the_packages_move(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    read(repository, *OPEN, now=NOW)
    _, changed = changes(root, lambda: publish(config, repository, NOW + SECOND))
    assert PATH not in changed
    _, changed = changes(root, lambda: publish(config, repository, NOW + timedelta(hours=15)))
    assert PATH in changed
    assert "Rabu, 25 November 2026" in page(root)


def found(release: Release, **fields: object) -> tuple[Release, Record]:
    return release, make_record(replace(TENDER, **fields))  # type: ignore[arg-type]


def test_what_is_met_for_the_first_time_is_no_news_unless_its_source_dates_it_so() -> None:
    first_sight = make_release(Event.AWARD, time=NOW)
    assert choose_news([found(first_sight, awards=(Award(supplier="A"),))], SPAN) == []
    assert choose_news([found(first_sight, awards=(Award(supplier="A", date=NOW - 30 * DAY),))], SPAN) == []
    assert choose_news([found(first_sight, awards=(Award(supplier="A", date=NOW - DAY),))], SPAN)


def test_each_purchase_is_told_once_by_its_newest_news() -> None:
    contract = found(make_release(Event.CONTRACT, seq=9, time=NOW, contracts=([], [1])))
    award = found(make_release(Event.AWARD, seq=8, time=NOW - DAY, awards=([], [1])))
    other = found(make_release(Event.AWARD, seq=7, time=NOW - DAY, awards=([], [1])), kind=Kind.NON_TENDER)
    old = found(make_release(Event.AWARD, seq=6, time=SPAN.start - SECOND, awards=([], [1])), key="77")
    assert choose_news([contract, award, other, old], SPAN) == [contract, other]
