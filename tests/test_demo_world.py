"""The stand-in's world: the same for the same arguments, of today, and moved by events; its truth follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from demo.names import MALANG_KAB, find_place
from demo.packages import KINDS
from demo.world import World

NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World(NOW)


def record(world: World, key: str) -> dict[str, Any]:
    return next(r for r in world.truth() if r["key"] == key)


def test_the_same_arguments_give_the_same_world() -> None:
    assert World(NOW).truth() == World(NOW).truth()
    assert World(NOW).truth() != World(NOW, seed=2).truth()


def test_advancing_in_steps_is_advancing_at_once() -> None:
    once, often = World(NOW), World(NOW)
    once.advance(days=6)
    for _ in range(12):
        often.advance(days=0.5)
    assert once.happenings == often.happenings
    assert once.truth() == often.truth()


def test_a_world_is_of_today_whenever_today_is() -> None:
    for day in (NOW, datetime(2027, 1, 2, tzinfo=UTC), datetime(2028, 2, 29, 23, tzinfo=UTC)):
        world = World(day)
        assert len(world.open("tender")) > 10
        assert len(world.open("non_tender")) > 10
        assert all(package.start <= world.now for package in world.packages.values())
        assert {r["fiscal_years"][0] for r in world.truth() if r["status"] == "active"} >= {world.now.year}


def test_a_world_does_not_go_back(world: World) -> None:
    with pytest.raises(ValueError, match="does not go back"):
        world.advance(days=-1)
    with pytest.raises(ValueError, match="time zone"):
        World(datetime(2026, 1, 1))  # noqa: DTZ001 -- what is refused


def test_a_month_brings_every_sort_of_event(world: World) -> None:
    happened = {h.what for h in world.advance(days=30)}
    assert happened == {"add", "reprice", "reschedule", "cancel", "retender", "vanish"}


def test_a_world_has_something_of_everything() -> None:
    records = World(NOW, tenders=300, non_tenders=300, recorded=60, self_managed=60, emergencies=20).truth()
    assert {r["kind"] for r in records} == set(KINDS)
    assert {r["status"] for r in records} == {"planned", "active", "complete", "cancelled", "unsuccessful"}
    assert {r["category"] for r in records} == {"goods", "works", "services", "consulting", None}
    assert {r["method"] for r in records} == {"open", "direct", None}
    assert any(r["retender"] and r["status"] in {"cancelled", "unsuccessful"} for r in records), "two badges at once"
    assert any(len(r["awards"]) == 2 for r in records)
    assert any(r["status"] == "complete" and r["awards"] and not r["contracts"] for r in records)
    assert any(not r["value"]["amount"].endswith(".00") for r in records if r["value"])
    assert any(len(r["fiscal_years"]) == 2 for r in records)
    assert any(c["supplier"] is None for r in records for c in r["contracts"])


def test_suppliers_say_that_they_are_made_up() -> None:
    names = {
        a["supplier"] for r in World(NOW).truth() if r["kind"] != "self_managed" for a in r["awards"] + r["contracts"]
    }
    assert names - {None}
    assert all("rekaan" in name.lower() for name in names - {None})


def test_reprice(world: World) -> None:
    key = world.open("tender")[0].key
    assert record(world, key)["value"]["amount"] != str(world.reprice(key, Decimal("123456789.05")))
    assert record(world, key)["value"] == {"amount": "123456789.05", "currency": "IDR"}


def test_reschedule_moves_what_has_not_ended(world: World) -> None:
    package = world.open("tender")[-1]
    before = record(world, package.key)
    world.reschedule(package.key, 3)
    after = record(world, package.key)
    moved = datetime.fromisoformat(after["deadline"]) - datetime.fromisoformat(before["deadline"])
    assert moved == timedelta(days=3)
    assert after["registration_deadline"] > before["registration_deadline"]
    assert {m["changes"] for m in after["milestones"]} == {1}


def test_cancel_and_retender(world: World) -> None:
    key = world.open("tender")[0].key
    world.cancel(key, "Salah dokumen", failed=True)
    assert (record(world, key)["status"], record(world, key)["cancellation_reason"]) == (
        "unsuccessful",
        "Salah dokumen",
    )
    world.retender(key, "Gagal")
    again = record(world, key)
    assert (again["status"], again["retender"], again["retender_reason"]) == ("active", True, "Gagal")
    assert again["cancellation_reason"] is None


def test_what_cannot_happen_is_refused(world: World) -> None:
    recorded, non_tender = world.listed("recorded")[0].key, world.open("non_tender")[0].key
    with pytest.raises(ValueError, match="cannot be cancelled"):
        world.cancel(recorded)
    with pytest.raises(ValueError, match="cannot be cancelled"):
        world.cancel(non_tender, failed=True)
    with pytest.raises(ValueError, match="no schedule"):
        world.reschedule(recorded, 1)
    world.cancel(non_tender)
    with pytest.raises(ValueError, match="never come"):
        world.award(non_tender)


def test_move_stage_award_and_sign(world: World) -> None:
    key = world.open("tender")[0].key
    before = record(world, key)["stage"]
    assert world.move_stage(key).split(" [")[0] == record(world, key)["stage"] != before
    world.award(key)
    assert record(world, key)["awards"]
    assert not record(world, key)["contracts"]
    world.sign(key)
    assert record(world, key)["contracts"]


def test_add_vanish_restore(world: World) -> None:
    key = world.add("tender", title="Pengadaan Kapur", value=Decimal(1000))
    assert record(world, key)["title"] == "Pengadaan Kapur"
    assert record(world, key)["registration_deadline"]
    world.vanish(key)
    assert key not in {r["key"] for r in world.truth()}
    world.restore(key)
    assert record(world, key)["title"] == "Pengadaan Kapur"


def test_unknown_slugs_are_malang_by_another_name() -> None:
    assert find_place("malangkab") is MALANG_KAB
    assert find_place("batukota").slug == "batukota"
    assert (
        World(NOW, place=find_place("batukota")).truth("http://x/batukota")[0]["url"].startswith("http://x/batukota/")
    )
