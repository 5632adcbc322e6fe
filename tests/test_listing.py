"""Open packages by the day they close."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregator.models import Event, Kind, Money, Source, Status
from feeds.pages.listing import MOST_PAGES, PAGE_ROWS, OpenList, list_open, make_row, tell_last_changes
from feeds.words.wording import NBSP
from tests.feed_samples import PORTAL, READ, TENDER, WIB, make_record, make_release

PORTALS = {PORTAL.id: PORTAL}


def close(key: str, deadline: datetime | None, **fields: Any) -> Any:
    return make_record(replace(TENDER, key=key, deadline=deadline, **fields))


def shown(listed: OpenList) -> list[list[tuple[str, str | None, int, str]]]:
    """Per page and section: place, day, count and the keys of the rows."""
    return [
        [
            (s.place, f"{s.start:%d %H:%M}" if s.start else None, s.count, " ".join(r.tender.key for r in s.records))
            for s in page
        ]
        for page in listed.pages
    ]


def test_days_come_first_then_undated_then_past() -> None:
    records = [
        close("p1", READ - timedelta(days=2)),
        close("p2", READ),  # closes this very moment
        close("a", READ + timedelta(minutes=1)),
        close("b", datetime(2026, 11, 24, 23, 59, tzinfo=WIB)),
        close("c", None, registration_deadline=datetime(2026, 11, 25, 0, 0, tzinfo=WIB)),
        close("d", datetime(2026, 12, 1, 9, tzinfo=WIB)),
        close("u", None),
    ]
    listed = list_open(records, READ, WIB)
    assert shown(listed) == [
        [
            ("day", "24 00:00", 2, "a b"),
            ("day", "25 00:00", 1, "c"),
            ("day", "01 00:00", 1, "d"),
            ("undated", None, 1, "u"),
            ("past", None, 2, "p2 p1"),
        ]
    ]
    assert (listed.count, listed.undated, listed.under_way, listed.total) == (4, 1, 2, 7)
    assert listed.closes == READ + timedelta(minutes=1)
    assert listed.worth == Money(4 * Decimal("5912300000.00"))


def test_only_rupiah_is_added_up() -> None:
    day = READ + timedelta(days=1)
    records = [close("a", day, value=None), close("b", day, value=Money(Decimal(5), "USD")), close("c", day)]
    assert list_open([*records, close("d", None)], READ, WIB).worth == Money(Decimal("5912300000.00"))


def test_nothing_open_is_one_empty_page() -> None:
    nothing = OpenList(count=0, undated=0, under_way=0, worth=Money(Decimal()), closes=None, pages=[[]])
    assert list_open([], READ, WIB) == nothing


def test_a_long_section_goes_on_on_the_next_page() -> None:
    day = READ + timedelta(days=1)
    listed = list_open([close(str(n), day) for n in range(PAGE_ROWS + 2)] + [close("u", None)], READ, WIB)
    first, second = shown(listed)
    assert [(place, count, len(keys.split())) for place, _, count, keys in first] == [("day", 32, 30)]
    assert [(place, count, keys) for place, _, count, keys in second] == [("day", 32, "30 31"), ("undated", 1, "u")]


def test_a_full_page_is_followed_by_no_empty_one() -> None:
    assert len(list_open([close(str(n), None) for n in range(PAGE_ROWS)], READ, WIB).pages) == 1


def test_pages_have_an_end() -> None:
    listed = list_open([close(str(n), None) for n in range(PAGE_ROWS * (MOST_PAGES + 1))], READ, WIB)
    assert len(listed.pages) == MOST_PAGES
    assert listed.undated == PAGE_ROWS * (MOST_PAGES + 1)


def test_a_row() -> None:
    row = make_row(make_record(), PORTALS, "id", "")
    assert (row.title, row.unit, row.sort) == (TENDER.title, "DPUPRPKP", "Pekerjaan Konstruksi · Tender")
    assert (row.worth_label, row.worth) == ("HPS", f"Rp5,9{NBSP}miliar")
    assert row.closes_text == f"3 Des 2026, 14.00{NBSP}WIB"
    assert not row.is_registration


def test_a_row_of_little() -> None:
    tender = replace(TENDER, value=None, deadline=None, registration_deadline=READ, procuring_entity=None)
    row = make_row(make_record(replace(tender, method_detail=None)), PORTALS, "id", "")
    assert (row.worth_label, row.worth) == ("Pagu", f"Rp6{NBSP}miliar")
    assert (row.unit, row.sort) == ("Kota Malang", "Pekerjaan Konstruksi · Terbuka")
    assert row.is_registration
    assert str(row.closes) == "2026-11-24 09:40:00+07:00"  # in the portal's zone, whatever the record says
    bare = make_row(make_record(replace(tender, budget=None, title="<b>A</b>", url="javascript:x")), PORTALS, "id", "")
    assert (bare.worth_label, bare.worth) == ("HPS", "belum diumumkan")
    assert (bare.title, bare.chip) == ("‹b›A‹/b›", None)


def test_rows_of_what_is_not_open_say_what_they_are() -> None:
    for status, told in [(Status.COMPLETE, "Selesai"), (Status.WITHDRAWN, "Tidak tampil di portal")]:
        row = make_row(make_record(replace(TENDER, status=status)), PORTALS, "id", "")
        assert row.chip
        assert (row.chip.label, row.is_open) == (told, False)
    plan = replace(TENDER, kind=Kind.PLAN, status=Status.PLANNED, deadline=None, published=READ)
    row = make_row(make_record(plan), PORTALS, "id", "")
    assert (row.chip, row.told) == (None, "tayang 24 Nov 2026")
    assert row.sort.startswith("RUP · ")
    news = make_row(make_record(replace(plan, kind=Kind.NEWS, value=None, budget=None)), PORTALS, "en", "")
    assert (news.worth, news.told) == ("", "published 24 Nov 2026")


def test_rows_name_the_portal_where_there_are_several() -> None:
    other = PORTAL.model_copy(update={"id": "batukota", "name": "LPSE Kota Batu"})
    row = make_row(make_record(replace(TENDER, portal="batukota")), PORTALS | {"batukota": other}, "en", "")
    assert row.sort == "Works · Tender · LPSE Kota Batu"


@pytest.mark.parametrize(
    ("others", "told"), [(("rup",), "dan 1 sumber lain"), (("rup", "satudata"), "dan 2 sumber lain")]
)
def test_rows_of_a_dossier_tell_of_its_other_sources(others: tuple[str, ...], told: str) -> None:
    sources = tuple(
        Source(portal=name, kind=Kind.TENDER, key=TENDER.key, url=TENDER.url, changed=READ)
        for name in ("malangkota", *others)
    )
    row = make_row(replace(make_record(), sources=sources), PORTALS, "id", "")
    assert row.sort.endswith(f"LPSE Kota Malang {told}")


def test_the_last_change_of_each_package_is_told() -> None:
    moved = make_release(Event.DEADLINE, deadline=("2026-11-27T14:00:00+07:00", "2026-12-03T14:00:00+07:00"))
    older = make_release(Event.BUDGET, budget=({"amount": "1", "currency": "IDR"}, {"amount": "2", "currency": "IDR"}))
    both = make_release(Event.DEADLINE, Event.LOCATION, deadline=(None, "2026-12-03T14:00:00+07:00"))
    other = make_record(replace(TENDER, key="2"))
    found = [(moved, make_record()), (older, make_record()), (replace(both, key="2"), other)]
    assert tell_last_changes(found, PORTALS, "id") == {
        TENDER.identity: f"Batas akhir diperpanjang 6{NBSP}hari (24 Nov 2026)",
        other.tender.identity: f"Batas akhir penawaran: 3 Des 2026, 14.00{NBSP}WIB (24 Nov 2026)",
    }
