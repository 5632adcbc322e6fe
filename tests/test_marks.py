"""Tags: the word fits the kind, and what can be bid for has none beside its deadline."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aggregator.models import Kind, Status
from feeds.pages.marks import Mark, find_chip, find_mark
from feeds.words.wording import RECORDS, Wording
from tests.feed_samples import READ, WIB

ID = Wording("id", WIB)


def test_a_tender_is_open_until_its_deadline() -> None:
    closes = READ + timedelta(days=1)
    assert find_mark(Status.ACTIVE, Kind.TENDER, closes, READ, ID) == Mark("Terbuka", "ring", "open")
    assert find_mark(Status.ACTIVE, Kind.TENDER, closes, closes, ID) == Mark("Dalam proses", "shut")


@pytest.mark.parametrize("kind", sorted(RECORDS))
def test_what_is_recorded_is_never_open(kind: Kind) -> None:
    assert find_mark(Status.ACTIVE, kind, None, READ, ID) == Mark("Sedang berjalan", "ring")
    assert find_chip(Status.ACTIVE, kind, ID) == Mark("Sedang berjalan", "ring")


@pytest.mark.parametrize("status", Status)
def test_rows_and_pages_say_the_same(status: Status) -> None:
    chip = find_chip(status, Kind.TENDER, ID)
    assert chip == (None if status is Status.ACTIVE else find_mark(status, Kind.TENDER, None, READ, ID))


@pytest.mark.parametrize("kind", [Kind.PLAN, Kind.NOTICE, Kind.NEWS])
def test_announcements_have_no_state_to_follow(kind: Kind) -> None:
    assert [find_chip(status, kind, ID) for status in (None, *Status)] == [None] * 7
