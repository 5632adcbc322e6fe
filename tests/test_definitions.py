"""The shipped feeds, the configuration's own, and what a channel says of each."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.config import ConfigError
from aggregator.filters import Filter, Moment
from aggregator.models import Category, Event, Kind, Method, Status
from feeds.definitions import Feed, Format, Group, make_channel, shipped_feeds
from tests.feed_samples import CONFIG, READ, hostile_texts, make_config, make_entries

GENERAL = ["semua", "perubahan", "tenggat", "pemenang", "batal-ulang", "status"]
KINDS = (Kind.PLAN, Kind.NEWS)
OWN = """
[[feed]]
id = "konstruksi"
title = "Pekerjaan <konstruksi>"
filter = { category = "works", min_value = 200_000_000, limit = 20 }
[[feed]]
id = "kabar"
title = "Kabar"
kind = "changes"
description = "Semua kabar."
"""


def by_id(language: str = "id", place: str = "Kota Malang", *entities: str) -> dict[str, Feed]:
    return {feed.id: feed for feed in shipped_feeds(make_config(language, place=place), entities, KINDS)}


def test_the_shipped_set() -> None:
    feeds = shipped_feeds(CONFIG, ["DINAS KESEHATAN"])
    assert [feed.id for feed in feeds if feed.group is Group.GENERAL] == GENERAL
    assert [feed.filter.category for feed in feeds if feed.group is Group.CATEGORY] == [(c,) for c in Category]
    assert [feed.filter.method for feed in feeds if feed.group is Group.METHOD] == [(m,) for m in Method]
    assert [feed.id for feed in feeds if feed.group is Group.ENTITY] == ["satker-dinas-kesehatan"]
    assert len({feed.id for feed in feeds}) == len(feeds)
    assert all(feed.filter.limit == 100 for feed in feeds)


def make_portal(family: str, kinds: str = "", enabled: bool = True) -> str:
    lines = ["[[portal]]", 'id = "lain"', f'family = "{family}"', 'name = "Lain"', 'url = "https://lain.example/"']
    return "\n".join([*lines, f"enabled = {str(enabled).lower()}", f"kinds = [{kinds}]" if kinds else ""])


@pytest.mark.parametrize(
    ("portal", "kinds", "more"),
    [
        ("", (), set()),
        ("", (Kind.PLAN,), {"rup"}),
        ("", (Kind.NEWS, Kind.NOTICE), {"berita"}),
        (make_portal("sirup"), (), {"rup"}),
        (make_portal("sirup", enabled=False), (), set()),
        (make_portal("wordpress"), (), {"berita"}),
        (make_portal("satudata", '"plan"'), (), {"rup"}),
        (make_portal("satudata", '"tender"'), (), set()),
    ],
)
def test_plans_and_news_have_a_feed_where_there_may_be_any(
    portal: str, kinds: tuple[Kind, ...], more: set[str]
) -> None:
    feeds = shipped_feeds(make_config(feeds=portal), [], kinds)
    assert {feed.id for feed in feeds if feed.group is Group.GENERAL} == {*GENERAL, *more}


def test_titles_and_descriptions() -> None:
    feeds = by_id("id", "Kota Malang", "DINAS KESEHATAN", "RSUD Kota Malang")
    said = {feed.id: (feed.title, feed.description.replace("\u00a0", " ")) for feed in feeds.values()}
    assert said["semua"] == ("Semua paket terbuka", "Setiap paket yang masih terbuka atau dalam proses.")
    assert said["perubahan"] == (
        "Perubahan paket",
        "Kabar tiap kali batas akhir, nilai, tahap, atau status berubah.",
    )
    assert said["tenggat"] == ("Segera ditutup", "Ditutup dalam 7 hari.")
    assert said["pemenang"] == ("Pemenang dan kontrak", "Pemenang, nilai kontrak, selisih dari HPS.")
    assert said["batal-ulang"] == (
        "Dibatalkan dan diulang",
        "Paket yang dibatalkan atau diulang, beserta alasannya.",
    )
    assert said["status"] == ("Gangguan portal", "Portal yang gagal dibaca, lalu pulih.")
    assert said["jenis-konstruksi"] == (
        "Pekerjaan Konstruksi di Kota Malang",
        "Paket Pekerjaan Konstruksi yang masih terbuka atau dalam proses.",
    )
    assert said["metode-langsung"][0] == "Metode Langsung di Kota Malang"
    assert said["satker-dinas-kesehatan"] == (
        "DINAS KESEHATAN di Kota Malang",
        "Paket DINAS KESEHATAN yang masih terbuka atau dalam proses.",
    )
    assert said["satker-rsud-kota-malang"][0] == "RSUD Kota Malang"
    assert feeds["satker-dinas-kesehatan"].short == "DINAS KESEHATAN"


def test_titles_in_english_and_without_a_place() -> None:
    english = by_id("en")
    assert english["semua"].title == "All open packages"
    assert english["jenis-konstruksi"].title == "Works in Kota Malang"
    assert english["jenis-konstruksi"].description == "Works packages, open or under way."
    assert by_id(place="")["jenis-konstruksi"].title == "Pekerjaan Konstruksi"


def test_what_the_feeds_hold() -> None:
    feeds = by_id()
    bids = Filter(status=(Status.ACTIVE,), kind=(Kind.TENDER, Kind.NON_TENDER), limit=100)
    assert feeds["semua"].filter == bids
    assert feeds["tenggat"].filter.deadline_to == Moment("+7d")
    assert (feeds["perubahan"].kind, feeds["perubahan"].events) == ("changes", frozenset())
    assert feeds["pemenang"].events == {Event.AWARD, Event.CONTRACT}
    assert feeds["batal-ulang"].events == {Event.CANCELLED, Event.UNSUCCESSFUL, Event.RETENDER}
    assert feeds["rup"].filter.kind == (Kind.PLAN,)
    assert feeds["berita"].filter.kind == (Kind.NEWS,)
    assert feeds["status"].kind == "status"


def test_what_can_still_be_bid_for_is_counted_and_listed() -> None:
    feeds = by_id()
    assert feeds["semua"].list_path == "cari.html?kind=non_tender&kind=tender&status=active&deadline_from=%2B0d"
    assert feeds["tenggat"].list_path.endswith("&deadline_from=%2B0d&deadline_to=%2B7d")
    assert feeds["rup"].list_path == "cari.html?kind=plan"
    assert feeds["perubahan"].list_path == "feeds/perubahan.html"


def test_calendars_keep_what_was_called_off_until_its_day() -> None:
    feeds = by_id()
    wanted = feeds["jenis-konstruksi"].called_off_filter
    assert wanted is not None
    assert wanted.category == (Category.WORKS,)
    assert wanted.status == (Status.CANCELLED, Status.UNSUCCESSFUL, Status.WITHDRAWN)
    assert wanted.deadline_from == Moment("+0d")
    assert feeds["perubahan"].called_off_filter is None
    assert feeds["rup"].called_off_filter is None


def test_own_feeds() -> None:
    feeds = {feed.id: feed for feed in shipped_feeds(make_config(feeds=OWN), [])}
    own = feeds["konstruksi"]
    assert (own.title, own.description, own.group) == ("Pekerjaan ‹konstruksi›",) * 2 + (Group.OWN,)
    assert own.filter.limit == 20
    assert (feeds["kabar"].kind, feeds["kabar"].description) == ("changes", "Semua kabar.")


@pytest.mark.parametrize("taken", ["semua", "metode-langsung", "satker-dinas-kesehatan"])
def test_an_id_that_is_taken_is_an_error_with_the_mend(taken: str) -> None:
    config = make_config(feeds=f'[[feed]]\nid = "{taken}"\ntitle = "x"')
    with pytest.raises(ConfigError, match=f"'{taken}' is a shipped feed's; choose another, as in '{taken}-kami'"):
        shipped_feeds(config, ["DINAS KESEHATAN"])


def entity_ids(*names: str) -> list[str]:
    return [feed.id for feed in shipped_feeds(CONFIG, names) if feed.group is Group.ENTITY]


def test_spellings_of_one_name_are_one_feed() -> None:
    assert entity_ids("DINAS KESEHATAN", "Dinas Kesehatan") == ["satker-dinas-kesehatan"]


def test_names_that_look_alike_in_ascii_have_ids_of_their_own() -> None:
    ids = entity_ids("Dinas A, B", "Dinas A B", "Dinas A-B", "Dinas Ä B", "局", "部", "x" * 60, "x" * 61)
    assert len(set(ids)) == 8
    assert "satker-dinas-a-b" in ids


@pytest.mark.parametrize("name", ["Dinas X!", "局"])
def test_a_name_that_looks_like_the_id_of_another_has_an_id_of_its_own(name: str) -> None:
    (taken,) = entity_ids(name)
    assert len(set(entity_ids(name, taken.removeprefix("satker-").replace("-", " ")))) == 2


@given(st.lists(hostile_texts, max_size=6), hostile_texts)
def test_ids_are_short_unique_and_never_moved_by_another_name(names: list[str], other: str) -> None:
    ids = entity_ids(*names)
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", feed_id) for feed_id in ids)
    assert set(ids) <= set(entity_ids(other, *names))


def test_a_channel() -> None:
    config = make_config(hub="https://hub.example.org/")
    feed = shipped_feeds(config, [])[0]
    channel = make_channel(feed, config, make_entries())
    assert channel.id == "tag:blp.example.go.id,2026-01-01:feeds/semua"
    assert channel.page_url == "https://blp.example.go.id/umpan/feeds/semua.html"
    assert channel.urls[Format.CALENDAR] == "https://blp.example.go.id/umpan/feeds/semua.ics"
    assert channel.updated == READ
    assert channel.ttl == timedelta(minutes=15)
    assert channel.hub == "https://hub.example.org/"


def test_a_feed_without_entries_was_last_changed_when_it_all_began() -> None:
    channel = make_channel(shipped_feeds(CONFIG, [])[0], CONFIG, [])
    assert channel.updated == datetime(2025, 12, 31, 17, tzinfo=UTC)


def test_plans_and_news_offer_no_calendar() -> None:
    feeds = shipped_feeds(CONFIG, [], {Kind.PLAN, Kind.NEWS})
    assert {feed.id for feed in feeds if not feed.is_dated} == {"rup", "berita"}
