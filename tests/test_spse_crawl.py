"""The main road over real HTTP: crawl the stand-in, let the world change, crawl again, and read what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aggregator.archive import RunArchive
from aggregator.config import ConfigError, parse_config
from aggregator.database import open_database, tenders, writing
from aggregator.models import Event, Kind, Status, Sweep
from aggregator.repository import Repository
from aggregator.verdicts import Verdict
from demo.messages import Request, Response
from demo.server import serve
from demo.spse import Portal as StandIn
from demo.world import World
from spiders.crawl import Order, crawl
from tests.conftest import CONFIG
from tests.road import NOW, Road, is_same


@dataclass
class Without:
    """A stand-in that lacks one page."""

    stand_in: Any
    path: str
    prefix: str = "/malangkota"

    def advance(self, by: timedelta) -> None:
        self.stand_in.advance(by)

    def answer(self, request: Request) -> Response:
        if request.path.endswith(self.path):
            return Response(b"<p>Halaman yang dituju tidak ditemukan</p>", "missing", 404)
        answer: Response = self.stand_in.answer(request)
        return answer


@dataclass
class Spoilt:
    """A stand-in whose announcements lost something on the way, without a length that tells."""

    stand_in: Any
    spoil: Callable[[bytes], bytes]
    prefix: str = "/malangkota"

    def advance(self, by: timedelta) -> None:
        self.stand_in.advance(by)

    def answer(self, request: Request) -> Response:
        response: Response = self.stand_in.answer(request)
        return replace(response, body=self.spoil(response.body)) if "pengumuman" in request.path else response


@dataclass
class Deaf:
    """A stand-in whose emergency list begins anew at each page; with ``other`` the keys are new ones each time."""

    stand_in: Any
    other: bool
    prefix: str = "/malangkota"
    asked: int = 0

    def advance(self, by: timedelta) -> None:
        self.stand_in.advance(by)

    def answer(self, request: Request) -> Response:
        if not request.path.endswith("dt/darurat-list") or self.asked > 9:  # that a missing guard fails, not hangs
            answer: Response = self.stand_in.answer(request)
            return answer
        self.asked += 1
        answer = self.stand_in.answer(replace(request, body=re.sub(rb"start=[0-9]+", b"start=0", request.body)))
        rows = json.loads(answer.body)["data"]
        rows = [[f"{self.asked}{row[0]}" if self.other else row[0], *row[1:]] for row in rows]
        return replace(answer, body=json.dumps({"data": rows}).encode())


@dataclass
class Watched:
    """A stand-in that notes who asks."""

    stand_in: Any
    agents: set[str]
    prefix: str = "/malangkota"

    def advance(self, by: timedelta) -> None:
        self.stand_in.advance(by)

    def answer(self, request: Request) -> Response:
        self.agents.add(request.headers["user-agent"])
        answer: Response = self.stand_in.answer(request)
        return answer


# A quiet portal -------------------------------------------------------------------------------------------


def test_a_first_full_sweep_reads_the_truth_within_its_requests(make_road: Callable[..., Road]) -> None:
    road = make_road(tenders=60, non_tenders=90, recorded=40, self_managed=25, emergencies=3)
    run = road.crawl()
    assert (run.verdict, run.reasons, run.errors) == (Verdict.OK, (), 0)
    road.assert_true()
    assert run.new == run.seen == len(road.truth())
    assert run.requests == len(road.server.stats.requests) <= 3.3 * run.seen
    assert (road.server.stats.denied, road.server.stats.absent, road.server.stats.max_concurrency) == (0, 0, 1)


def test_a_second_run_asks_for_the_lists_only_and_changes_nothing(road: Road) -> None:
    road.crawl()
    count = len(road.events())
    run = road.crawl()
    assert (run.verdict, run.new, run.changed, run.unchanged) == (Verdict.OK, 0, 0, run.seen)
    assert set(road.server.stats.pages) <= {"robots", "home", "list", "rows"}
    assert len(road.events()) == count
    road.assert_true()


def test_an_open_sweep_of_a_quiet_portal_asks_once(road: Road) -> None:
    road.crawl()
    run = road.crawl(Sweep.OPEN)
    assert (run.verdict, run.new, run.changed, run.requests) == (Verdict.OK, 0, 0, 1)


def test_a_full_sweep_reads_open_packages_that_stand_in_no_list_of_its_years(road: Road) -> None:
    opened = {("tender", package.key) for package in road.world.open("tender")}
    run = road.crawl(kinds=(Kind.TENDER,), years=(2019,))
    assert run.verdict is Verdict.OK
    assert road.records().keys() == opened


def test_an_open_sweep_alone_finds_what_is_open(road: Road) -> None:
    run = road.crawl(Sweep.OPEN)
    opened = {(str(kind), p.key) for kind in ("tender", "non_tender") for p in road.world.open(kind)}
    assert road.records().keys() == opened
    assert run.verdict is Verdict.OK


def test_schedules_of_open_tenders_are_read_again_after_refresh(road: Road) -> None:
    road.crawl()
    run = road.crawl(Sweep.OPEN, minutes=7 * 60)
    opened = sum(len(road.world.open(kind)) for kind in ("tender", "non_tender"))
    assert road.server.stats.pages["schedule"] == opened
    assert "announcement" not in road.server.stats.pages
    assert (run.verdict, run.changed) == (Verdict.OK, 0)


def test_after_new_year_the_old_years_packages_are_followed_to_their_end(road: Road) -> None:
    road.crawl(years=())
    road.world.advance(days=60)
    assert road.crawl(minutes=60 * 24 * 60, years=()).verdict is Verdict.OK
    truth = road.truth()
    kept = {k: r.tender.status for k, r in road.records().items() if k in truth}
    told = {k: row["status"] for k, row in truth.items() if k in kept}
    assert kept == told


def test_a_narrowed_run_is_no_full_sweep(road: Road) -> None:
    road.crawl(limit=2)
    runs = road.repository.find_last_runs()["malangkota"]
    assert (runs.full, runs.tried) == (None, None)
    road.crawl(years=())
    assert road.repository.find_last_runs()["malangkota"].full is not None


def test_a_clock_that_was_ahead_costs_no_change(road: Road) -> None:
    road.crawl(minutes=365 * 24 * 60)
    key = road.world.open("tender")[0].key
    road.world.cancel(key, "Perubahan anggaran")
    assert road.crawl(minutes=-364 * 24 * 60).changed == 1
    assert road.records()["tender", key].tender.status is Status.CANCELLED


def test_a_kind_that_the_family_does_not_have_is_a_mistake_of_the_configuration(road: Road) -> None:
    with pytest.raises(ConfigError, match="spse has no plan; choose from tender"):
        road.crawl(kinds=(Kind.PLAN,))


def test_a_portal_without_lists_of_a_kind_is_partial(road: Road) -> None:
    road.server.stand_ins["/malangkota"] = Without(road.server.stand_ins["/malangkota"], "/darurat")
    run = road.crawl()
    assert run.verdict is Verdict.PARTIAL
    assert [reason[:20] for reason in run.reasons][:1] == ["missing_page: list o"]


def test_the_delay_and_the_agent_of_the_configuration_are_kept(road: Road) -> None:
    road.config = road.config.model_copy(update={"crawl": road.config.crawl.model_copy(update={"delay": 0.1})})
    agents: set[str] = set()
    stand_in = road.server.stand_ins["/malangkota"]
    road.server.stand_ins["/malangkota"] = Watched(stand_in, agents)
    road.crawl(Sweep.OPEN, limit=2)
    assert (road.server.stats.smallest_gap or 0) >= 0.09  # the clocks of two processes differ by a little
    assert agents == {road.config.user_agent}


def test_a_limit_ends_each_list_and_withdraws_nothing(road: Road) -> None:
    road.crawl()
    run = road.crawl(limit=2)
    assert (run.verdict, run.withdrawn, run.seen) == (Verdict.OK, 0, run.unchanged)


def test_a_dry_run_writes_nothing(road: Road) -> None:
    run = road.crawl(dry_run=True)
    assert run.new == len(road.truth())
    assert road.records() == {}
    assert road.repository.find_last_runs() == {}
    assert not list(road.config.archive_folder.rglob("*.zst"))


# A world that changes -------------------------------------------------------------------------------------


def test_every_kind_of_change_is_told_once(road: Road) -> None:
    road.crawl()
    count = len(road.events())
    opened = [package.key for package in road.world.open("tender")]
    moved, repriced, cancelled = opened[:3]
    retendered = road.world.open("non_tender")[0].key
    road.world.reschedule(moved, 6)
    road.world.reprice(repriced)
    road.world.cancel(cancelled, "Perubahan anggaran")
    road.world.retender(retendered, "Tidak ada penawaran yang lulus")
    added = road.world.add("tender")
    run = road.crawl()
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 1, 4)
    road.assert_true()
    told = dict(road.events(count))
    assert len(told) == len(road.events(count)) == 5
    assert Event.DEADLINE in told[moved]
    assert told[repriced] == (Event.VALUE,)
    assert told[cancelled][0] is Event.CANCELLED
    assert told[retendered][0] is Event.RETENDER
    assert told[added] == (Event.NEW,)
    assert road.crawl().changed == 0


def test_an_open_sweep_sees_a_moved_deadline_and_a_cancellation(road: Road) -> None:
    road.crawl()
    moved, cancelled = (package.key for package in road.world.open("tender")[:2])
    road.world.reschedule(moved, 6)
    road.world.cancel(cancelled, "Perubahan anggaran")
    run = road.crawl(Sweep.OPEN)
    assert (run.verdict, run.changed) == (Verdict.OK, 2)
    assert road.server.stats.pages["announcement"] == 2
    records = road.records()
    assert records["tender", cancelled].tender.status is Status.CANCELLED
    assert is_same(records["tender", moved].as_dict()["deadline"], road.truth()["tender", moved]["deadline"])


def test_winner_and_contract_are_read_when_they_come(road: Road) -> None:
    road.crawl()
    count = len(road.events())
    key = road.world.open("tender")[0].key
    road.world.award(key)
    road.crawl()
    road.world.sign(key)
    road.crawl()
    told = [events for found, events in road.events(count) if found == key]
    assert any(Event.AWARD in events for events in told)
    assert any(Event.CONTRACT in events for events in told)
    tender = road.records()["tender", key].tender
    assert tender.awards
    assert tender.contracts


def test_a_month_of_days_ends_in_the_truth(road: Road) -> None:
    road.crawl()
    for day in range(1, 31):
        road.world.advance(days=1)
        road.crawl(Sweep.FULL if day % 5 == 0 else Sweep.OPEN, minutes=24 * 60)
    road.crawl(minutes=24 * 60)
    run = road.crawl()
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 0, 0)
    withdrawn = {k for k, r in road.records().items() if r.tender.status is Status.WITHDRAWN}
    assert road.records().keys() - withdrawn == road.truth().keys()


# Vanishing ------------------------------------------------------------------------------------------------


def test_withdrawn_only_after_two_complete_listings_and_back_again(road: Road) -> None:
    road.crawl()
    key = road.world.listed("recorded")[0].key
    road.world.vanish(key)
    assert road.crawl().withdrawn == 0
    assert road.crawl().withdrawn == 1
    assert road.records()["recorded", key].tender.status is Status.WITHDRAWN
    assert road.crawl().withdrawn == 0
    count = len(road.events())
    road.world.restore(key)
    assert road.crawl().changed == 1
    assert [events[0] for found, events in road.events(count) if found == key] == [Event.RETURNED]


def test_a_run_over_other_years_or_kinds_withdraws_nothing(road: Road) -> None:
    road.crawl()
    for _ in range(3):
        assert road.crawl(years=(2019,)).withdrawn == 0
        assert road.crawl(kinds=(Kind.TENDER,), years=(2026,)).withdrawn == 0


def test_a_collapsed_listing_is_not_believed(road: Road) -> None:
    road.crawl()
    road.server.faults.add("shrunk", match="dt/")
    for _ in range(3):
        run = road.crawl()
        assert (run.verdict, run.withdrawn) == (Verdict.PARTIAL, 0)
        assert any(reason.startswith("collapsed") for reason in run.reasons)
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    road.assert_true()


def test_a_listing_that_stays_small_for_a_week_is_believed(road: Road) -> None:
    road.crawl()
    road.server.faults.add("shrunk", match="dt/nonspk")
    assert road.crawl(minutes=60).verdict is Verdict.PARTIAL
    assert road.crawl(minutes=8 * 24 * 60).verdict is Verdict.OK
    assert road.crawl(minutes=60).withdrawn == 4


# Bad days -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "match", "verdicts"),
    [
        ("error", "", {Verdict.FAILED}),
        ("error", "jadwal", {Verdict.PARTIAL, Verdict.FAILED}),
        ("apology", "pengumuman", {Verdict.FAILED}),
        ("trouble", "dt/lelang", {Verdict.FAILED}),
        ("html", "dt/", {Verdict.FAILED}),
        ("forbidden", "dt/", {Verdict.FAILED}),
        ("truncated", "pengumuman", {Verdict.FAILED}),
        ("hang_up", "dt/pl", {Verdict.FAILED}),
        ("odd_row", "dt/lelang", {Verdict.PARTIAL}),
        ("unsorted", "dt/", {Verdict.PARTIAL}),
        ("duplicates", "dt/", {Verdict.PARTIAL}),
        ("challenge", "", {Verdict.BLOCKED}),
        ("challenge", "pengumuman", {Verdict.BLOCKED}),
    ],
)
def test_faults_are_told_and_lose_nothing(road: Road, fault: str, match: str, verdicts: set[Verdict]) -> None:
    road.crawl()
    before = {k: replace(r, last_seen=NOW) for k, r in road.records().items()}
    road.server.faults.add(fault, match=match)
    key = road.world.open("tender")[0].key
    road.world.reprice(key)
    run = road.crawl()
    if run.verdict is Verdict.OK:
        pytest.fail(f"{fault} on {match!r} went unseen")
    assert run.verdict in verdicts or road.server.stats.pages.total() < 60
    assert run.reasons
    assert run.withdrawn == 0
    after = {k: replace(r, last_seen=NOW) for k, r in road.records().items()}
    assert after.keys() == before.keys()
    assert all(r == before[k] for k, r in after.items() if k != ("tender", key))
    road.server.faults.clear()
    clean = road.crawl()
    assert clean.verdict is Verdict.OK
    road.assert_true()


def test_random_errors_leave_nothing_incomplete_after_a_clean_run(road: Road) -> None:
    road.server.faults.add("error", chance=0.3)
    road.server.faults.add("truncated", match="pengumuman", chance=0.1)
    first = road.crawl()
    assert first.requests > first.seen
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    assert not any(record.tender.incomplete for record in road.records().values())
    road.assert_true()


def test_a_session_that_ends_in_mid_crawl_is_begun_again(road: Road) -> None:
    road.server.faults.add("rotate", match="dt/", skip=2, times=1)
    run = road.crawl()
    assert (run.verdict, run.errors) == (Verdict.OK, 0)
    road.assert_true()


def test_retry_after_is_obeyed_once_and_then_the_portal_is_left(make_road: Callable[..., Road]) -> None:
    road = make_road(tenders=2, non_tenders=2, recorded=1, self_managed=1, emergencies=1)  # it goes slower from then on
    road.server.faults.add("too_many", match="pengumuman", times=1, seconds=0)
    assert road.crawl().verdict is Verdict.OK
    road.server.faults.add("unavailable", match="lelang$", seconds=3600)
    run = road.crawl()
    assert run.verdict is Verdict.FAILED
    assert run.reasons[0].startswith("rate_limited")
    assert road.server.stats.requests[-1].status == 503


def test_rows_of_other_years_are_left_out(road: Road) -> None:
    road.server.faults.add("unfiltered", match="dt/")
    run = road.crawl(years=(2019,))
    assert run.verdict is Verdict.PARTIAL
    assert all(reason.startswith("filter") for reason in run.reasons)
    assert not any(2019 not in r.tender.fiscal_years and r.tender.kind == "recorded" for r in road.records().values())


def test_a_missing_page_leaves_the_row_and_is_tried_again(road: Road) -> None:
    key = road.world.listed("recorded")[0].key
    road.server.faults.add("error", match=f"id={key}")
    run = road.crawl()
    assert run.verdict is Verdict.PARTIAL
    record = road.records()["recorded", key]
    assert record.tender.incomplete
    assert record.tender.title == road.truth()["recorded", key]["title"]
    road.server.faults.clear()
    count = len(road.events())
    assert road.crawl().verdict is Verdict.OK
    assert road.events(count) == []  # what is first learnt is no news
    road.assert_true()


def test_robots_txt_is_asked_once_and_obeyed(tmp_path: Path) -> None:
    world = World(NOW, tenders=3, non_tenders=0, recorded=0, self_managed=0, emergencies=0)
    with serve([StandIn(world)], 0, robots="User-agent: *\nDisallow: /\n") as server:
        text = CONFIG.replace("https://spse.example.go.id/malangkota", f"{server.url}/malangkota")
        config = parse_config(text, tmp_path / "warta.toml")
        repository = Repository(open_database(config.database_url))
        (run,) = crawl(config, config.portal, repository, Order(), now=NOW)
        assert run.verdict is Verdict.FAILED
        assert server.stats.pages == {"robots": 1}


@pytest.mark.parametrize(
    ("other", "pages", "reason"), [(False, 2, "an earlier page again"), (True, 4, "no end after 4")]
)
def test_a_list_without_end_is_not_read_for_ever(
    road: Road, monkeypatch: pytest.MonkeyPatch, other: bool, pages: int, reason: str
) -> None:
    monkeypatch.setattr("spiders.spse.spider.MOST_PAGES", 4)
    deaf = Deaf(road.source, other)
    with serve([deaf]) as server:
        portal = road.config.portal[0].model_copy(update={"url": f"{server.url}/malangkota"})
        order = Order(kinds=(Kind.EMERGENCY,), years=(2026,))
        (run,) = crawl(road.config, (portal,), road.repository, order, now=NOW)
    assert (run.verdict, deaf.asked) == (Verdict.FAILED, pages)
    assert any(told.startswith("listing: list of emergency 2026: ") and reason in told for told in run.reasons)


def test_what_nobody_expected_of_a_portal_ends_its_own_run(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    other = road.config.portal[0].model_copy(update={"id": "lain"})

    def fail(archive: RunArchive, *raised: object) -> None:
        if archive._portal == "lain":
            raise OverflowError("SQLite INTEGER")

    monkeypatch.setattr(RunArchive, "close", fail)
    order = Order(kinds=(Kind.EMERGENCY,), years=(2026,))
    broken, alive = crawl(road.config, (other, *road.config.portal), road.repository, order, now=NOW)
    assert (broken.portal, broken.verdict) == ("lain", Verdict.FAILED)
    assert broken.reasons == ("errors: the run broke off: OverflowError: SQLite INTEGER",)
    assert road.repository.find_last_start("lain") == broken.started
    assert (alive.portal, alive.verdict) == ("malangkota", Verdict.OK)


def test_a_broken_portal_never_stops_another(road: Road) -> None:
    dead_end = {"id": "mati", "url": "http://127.0.0.1:9/mati", "kinds": (Kind.TENDER,)}
    broken = road.config.portal[0].model_copy(update=dead_end)
    portals = (broken, *road.config.portal)
    dead, alive = crawl(road.config, portals, road.repository, Order(years=(2026,)), now=NOW)
    assert (dead.portal, dead.verdict) == ("mati", Verdict.FAILED)
    assert (alive.portal, alive.verdict) == ("malangkota", Verdict.OK)


def test_a_portal_that_names_no_kinds_is_read_whole(road: Road) -> None:
    portal = road.config.portal[0].model_copy(update={"kinds": ()})
    road.config = road.config.model_copy(update={"portal": (portal,)})
    assert road.crawl().verdict is Verdict.OK
    road.assert_true()


def test_a_row_without_a_method_tells_nothing_of_it_where_its_page_cannot_be_had(road: Road) -> None:
    road.crawl()
    before = {key: record.tender for (kind, key), record in road.records().items() if kind == "self_managed"}
    known = road.repository.load_known("malangkota")
    assert {kind for kind, _ in known} >= {"self_managed"}
    with writing(open_database(road.config.database_url)) as connection:  # as if every row had changed
        connection.execute(sa.update(tenders).where(tenders.c.kind == "self_managed").values(row=b"other"))
    road.server.faults.add("error", match="pengumuman")
    assert road.crawl(kinds=(Kind.SELF_MANAGED,)).verdict is Verdict.FAILED
    after = {key: record.tender for (kind, key), record in road.records().items() if kind == "self_managed"}
    assert {key: (t.category_detail, t.method_detail) for key, t in after.items()} == {
        key: (t.category_detail, t.method_detail) for key, t in before.items()
    }
    assert any(tender.method_detail for tender in before.values())


@pytest.mark.parametrize(
    "spoil",
    [lambda body: body[: len(body) * 4 // 5], lambda body: body.replace(b"Nilai Pagu", b"Nilai Anggaran")],
    ids=["breaks off", "label renamed"],
)
def test_a_detail_page_that_lost_something_empties_nothing(road: Road, spoil: Callable[[bytes], bytes]) -> None:
    road.crawl()
    before = {key: record.tender for key, record in road.records().items()}
    with writing(open_database(road.config.database_url)) as connection:  # as if every row had changed
        connection.execute(sa.update(tenders).values(row=b"other"))
    stand_in = road.server.stand_ins["/malangkota"]
    road.server.stand_ins["/malangkota"] = Spoilt(stand_in, spoil)
    run = road.crawl()
    assert run.verdict in (Verdict.PARTIAL, Verdict.FAILED)
    assert any(reason.startswith("shape") for reason in run.reasons)
    after = {key: replace(record.tender, incomplete=False) for key, record in road.records().items()}
    assert {key: t.budget for key, t in after.items()} == {key: t.budget for key, t in before.items()}
    assert {key: t.locations for key, t in after.items()} == {key: t.locations for key, t in before.items()}
    road.server.stand_ins["/malangkota"] = stand_in
    road.crawl()
    road.assert_true()


def test_the_pages_of_another_package_are_not_believed(road: Road) -> None:
    """Ids used twice: a schedule or a winner that is another package's turns the run, and what is kept stays."""
    road.crawl()
    package = next(p for p in road.world.open("tender") if p.route)
    other = next(p for p in road.world.listed("tender") if p.key != package.key and p.route)
    answer = road.source.answer

    def swapped(request: Request) -> Response:
        if "/jadwal" in request.path or "/pemenang" in request.path:
            request = replace(request, path=request.path.replace(package.key, other.key))
        return answer(request)

    before = road.records()["tender", package.key].tender.milestones
    road.world.reprice(package.key)
    road.source.answer = swapped  # type: ignore[method-assign]
    run = road.crawl()
    assert run.verdict is not Verdict.OK
    assert any(f"a page of another package than {package.key}" in reason for reason in run.reasons)
    assert road.records()["tender", package.key].tender.milestones == before


def test_after_a_clock_that_was_years_ahead_the_lists_of_this_year_are_read(road: Road) -> None:
    ahead, order = NOW.replace(year=2100), Order(kinds=(Kind.TENDER,))
    crawl(road.config, road.config.portal, road.repository, order, now=ahead)
    road.server.stats.reset()
    crawl(road.config, road.config.portal, road.repository, order, now=NOW)
    assert any(f"tahun={NOW.year}" in seen.address for seen in road.server.stats.requests)
