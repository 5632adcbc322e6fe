"""SiRUP: each saved page beside the value it means, the recorded ones where they are at hand, and crawls of the
stand-in over real HTTP.

The fixtures are made up. `python -m tests.test_sirup` writes the values of pages that have none yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregator.config import DATABASE_URL, ConfigError, Portal
from aggregator.database import open_database
from aggregator.models import Category, Event, Kind, Method, Milestone, Money, Status, Sweep
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from demo.sirup import BATU, MALANG, Plan, Register
from spiders.options import parse_options
from spiders.reading import Refusal, ShapeError
from spiders.replay import replay
from spiders.sirup.lists import (
    SEARCH,
    Options,
    Source,
    find_sources,
    parse_month,
    parse_page,
    render_query,
)
from spiders.sirup.plan import find_category, parse_details, parse_refusal
from tests.pages import as_json, find_pages, read_value, write_values
from tests.road import NOW, WIB, SourceRoad

FIXTURES = Path(__file__).parent / "fixtures" / "sirup"
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "sirup"

PROVIDER, SELF_MANAGED = find_sources(Options(id_kldi="D228"))

# Pages ----------------------------------------------------------------------------------------------------


def read_page(path: Path) -> Any:
    """What a page means; of a row's fingerprint only that there is one."""
    body = path.read_bytes()
    if path.suffix == ".html":
        return as_json(parse_details(body, path.stem.partition("-")[2], WIB))
    source = {"penyedia": PROVIDER, "swakelola": SELF_MANAGED}.get(path.stem, SEARCH)
    return as_json(parse_page(body, source, WIB), lambda found: "…" if found else "")


@pytest.mark.parametrize("path", find_pages("sirup"), ids=lambda path: path.name)
def test_each_page_means_its_value(path: Path) -> None:
    assert read_page(path) == read_value(path)


def need_sample(name: str) -> bytes:
    if not SAMPLES.exists():
        pytest.skip("the recorded responses are not at hand")
    return (SAMPLES / name).read_bytes()


def test_a_recorded_row_of_the_search() -> None:
    page = parse_page(need_sample("caripaketctr_search_rows.json"), SEARCH, WIB)
    (row,) = page.rows
    assert (page.total, row.key, row.budget, row.unknown) == (3210751, "62466015", Money(Decimal(45553000)), ())
    assert (row.buyer, row.id_kldi, row.id_referensi, row.id_satker) == ("Provinsi Gorontalo", "D76", "729", "415091")
    assert (row.category_detail, row.method_detail) == ("Barang", "Pengadaan Langsung")
    assert row.time == Milestone(
        title="Waktu Pemilihan",
        starts=datetime(2026, 1, 1, tzinfo=WIB),
        ends=datetime(2026, 1, 31, 23, 59, tzinfo=WIB),
    )


def test_a_recorded_plan() -> None:
    plan = parse_details(need_sample("detail_penyedia.html"), "64482894", WIB)
    assert plan.title.startswith("Belanja Modal Jalan Kota (Jl. Petani")
    assert (plan.buyer, plan.fiscal_years, plan.unknown) == ("Kota Pontianak", (2026,), ())
    assert (plan.budget, plan.category_detail) == (Money(Decimal("200000000.00")), "Pekerjaan Konstruksi")
    assert plan.published == datetime(2026, 2, 9, 15, 24, 28, tzinfo=WIB)
    assert plan.locations == (
        "Jl. Petani, Gg. Green Sentarum, Kec. Pontianak Kota, Pontianak (Kota), Kalimantan Barat",
    )
    told = [
        (m.title, m.starts and m.starts.date().isoformat(), m.ends and m.ends.date().isoformat())
        for m in plan.milestones
    ]
    assert told == [
        ("Jadwal Pemilihan Penyedia", "2026-03-01", "2026-03-31"),
        ("Jadwal Pelaksanaan Kontrak", "2026-03-01", "2026-07-31"),
        ("Pemanfaatan Barang/Jasa", "2026-12-01", "2031-12-31"),
    ]


@pytest.mark.parametrize(
    ("source", "body", "words"),
    [
        (SEARCH, b"<html>Form Login</html>", "no JSON"),
        (SEARCH, b'{"recordsFiltered": 1}', "without data"),
        (SEARCH, b'{"data": []}', "recordsFiltered is no number"),
        (SEARCH, b'{"recordsFiltered": -1, "data": []}', "no number"),
        (SEARCH, b'{"recordsFiltered": 1, "data": [[1, 2]]}', "without object"),
        (SEARCH, b'{"recordsFiltered": 1, "data": [{"id": 1}]}', "without idKldi, idSatker"),
        (PROVIDER, b'{"iTotalDisplayRecords": 1, "aaData": [["1", "2"]]}', "8 cells"),
        (PROVIDER, b'{"iTotalDisplayRecords": 1, "aaData": [["1","u","t","9","m","f","2","Mei 2026"]]}', "differ"),
        (PROVIDER, b'{"iTotalDisplayRecords": 1, "aaData": [["x","u","t","9","m","f","x","Mei 2026"]]}', "no number"),
        (
            PROVIDER,
            b'{"iTotalDisplayRecords": 1, "aaData": [["1","u","","9","m","f","1","Mei 2026"]]}',
            "without a name",
        ),
        (PROVIDER, b'{"iTotalDisplayRecords": 1, "aaData": [["1","u","t","m","9","f","1","Mei 2026"]]}', "no rupiah"),
        (PROVIDER, b'{"iTotalDisplayRecords": 1, "aaData": [["1",{},"t","9","m","f","1","Mei 2026"]]}', "no text"),
    ],
)
def test_another_shape_is_told(source: Source, body: bytes, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        parse_page(body, source, WIB)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Total Pagu</td>", "Pagu Seluruhnya</td>", "without Total Pagu"),
        ("64000011", "64000012", "another plan"),
        ("Detail Lokasi", "Alamat", "head No., Provinsi"),
        ("> Februari 2026<", "> akhir tahun<", "a month"),
        ('rupiah2">200000000', 'rupiah2">dua ratus juta', "no rupiah"),
    ],
)
def test_another_plan_page_is_told(old: str, new: str, words: str) -> None:
    page = (FIXTURES / "plan-64000011.html").read_text(encoding="utf-8")
    assert old in page
    with pytest.raises(ShapeError, match=words):
        parse_details(page.replace(old, new).encode(), "64000011", WIB)


def test_one_row_of_another_shape_leaves_the_others() -> None:
    rows = b'["1","u","t","9","m","f","1","Mei 2026"], ["2","u"]'
    page = parse_page(b'{"iTotalDisplayRecords": 2, "aaData": [' + rows + b"]}", PROVIDER, WIB)
    assert [row.key for row in page.rows] == ["1"]
    assert [str(error) for error in page.wrong] == ["a row of dataruppenyediakldi that has not 8 cells"]
    assert page.length == 2


def test_months_in_two_languages() -> None:
    assert parse_month("February 2028", WIB) == parse_month("Februari 2028", WIB)
    assert parse_month("Februari 2028", WIB) == (
        datetime(2028, 2, 1, tzinfo=WIB),
        datetime(2028, 2, 29, 23, 59, tzinfo=WIB),
    )
    assert parse_month(" - ", WIB) is None
    with pytest.raises(ShapeError):
        parse_month("Smarch 2028", WIB)


def test_words() -> None:
    assert find_category("Jasa Konsultansi,") is Category.CONSULTING
    assert find_category("Barang, Jasa Lainnya") is None
    assert parse_refusal(b"<h3>Form Login</h3>") is Refusal.DENIED
    assert parse_refusal(b"{}") is None


def test_the_search_is_asked_with_all_its_columns() -> None:
    query = render_query(SEARCH, Options(id_referensi=271), 2026, 1, 200, 100)
    assert 2_000 < len(query) < 4_000
    assert "kldi=271&" in query
    assert "&columns%5B11%5D%5Bdata%5D=id&" in query
    assert "&start=200&length=100&" in query


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"id_kldi": "D228"}, ["dataruppenyediakldi", "datarupswakelolakldi"]),
        ({"id_kldi": "D228", "id_referensi": 271}, ["search", "datarupswakelolakldi"]),
        ({"id_referensi": 271}, ["search"]),
        ({"id_satker": 70101}, ["dataruppenyediasatker", "datarupswakelolasatker"]),
        ({"id_referensi": 271, "id_satker": 70101}, ["search", "datarupswakelolasatker"]),
    ],
)
def test_which_lists_are_read(options: dict[str, Any], paths: list[str]) -> None:
    assert [source.title for source in find_sources(Options(**options))] == paths


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name whose plans to read"),
        ({"kldi": "D228"}, "options.kldi: unknown key"),
        ({"id_kldi": "kota malang"}, "options.id_kldi"),
        ({"id_referensi": "D228"}, "options.id_referensi"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    portal = Portal(id="rup", family="sirup", name="RUP", url="https://sirup.example.go.id/sirup", options=options)
    with pytest.raises(ConfigError, match=words):
        parse_options(Options, portal)


# Crawls ---------------------------------------------------------------------------------------------------


TABLE = '[[portal]]\nid = "rup"\nfamily = "sirup"\nname = "RUP Kota Malang"\nurl = "{url}/"\n[portal.options]\n'


@dataclass
class Road(SourceRoad[Register]):
    def crawl(self, sweep: Sweep = Sweep.FULL, minutes: float = 20, **order: Any) -> Run:
        return super().crawl(sweep, minutes, **{"years": (2026,), **order})

    def contents(self) -> dict[str, dict[str, Any]]:
        return {key: tender.as_dict() for key, tender in self.tenders().items()}

    def plans(self, *, self_managed: bool = False) -> list[Plan]:
        return self.source.listed(self_managed=self_managed)

    def assert_true(self) -> None:
        """What is kept is what the register lists, and not one plan more."""
        plans = [*self.plans(), *self.plans(self_managed=True)]
        kept = self.tenders()
        assert kept.keys() == {str(plan.code) for plan in plans}
        for plan in plans:
            tender = kept[str(plan.code)]
            assert (tender.kind, tender.status, tender.plans) == (Kind.PLAN, Status.PLANNED, (str(plan.code),))
            assert (tender.title, tender.procuring_entity) == (plan.title, MALANG.units[plan.unit])
            assert (tender.budget, tender.value) == (Money(Decimal(plan.pagu).quantize(Decimal("0.01"))), None)
            assert (tender.fiscal_years, tender.incomplete, tender.buyer) == ((2026,), False, "Kota Malang")
            assert tender.milestones[0].starts == datetime(2026, plan.month + 1, 1, tzinfo=WIB)
            if not plan.self_managed:
                assert (tender.published, tender.description) == (plan.announced, plan.text)
                assert tender.category_detail == plan.category


@pytest.fixture
def make_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Road]]:
    """Makes roads from the portal's options and the register's own; their servers end with the test."""
    monkeypatch.delenv(DATABASE_URL, raising=False)
    with ExitStack() as servers:

        def make(options: str = 'id_kldi = "D228"\nnama_kldi = "Kota Malang"', **register: Any) -> Road:
            made = Register(NOW, **{"providers": 12, "self_managed": 3, **register})
            return servers.enter_context(Road.open(made, TABLE + options, tmp_path))

        yield make


@pytest.fixture
def road(make_road: Callable[..., Road]) -> Road:
    return make_road()


SEARCHED = 'id_kldi = "D228"\nid_referensi = 271\nnama_kldi = "Kota Malang"'


@pytest.mark.parametrize("options", ['id_kldi = "D228"\nnama_kldi = "Kota Malang"', SEARCHED])
def test_a_first_crawl_reads_the_truth_and_a_second_the_lists_only(
    make_road: Callable[..., Road], options: str
) -> None:
    road = make_road(options, providers=130)
    run = road.crawl()
    assert (run.verdict, run.reasons, run.errors, run.new) == (Verdict.OK, (), 0, 133)
    road.assert_true()
    count = len(road.events())
    run = road.crawl()
    assert (run.verdict, run.new, run.changed, run.unchanged) == (Verdict.OK, 0, 0, 133)
    assert set(road.server.stats.pages) <= {"robots", "home", "rows"}
    assert road.server.stats.pages["rows"] == 3
    assert road.server.stats.denied == 0
    assert len(road.events()) == count


def test_what_a_plan_becomes(road: Road) -> None:
    code = road.source.announce()
    road.source.revise(code, category="Pekerjaan Konstruksi", method="Tender", month=2)
    road.crawl()
    tender = road.records()[code].tender
    assert (tender.category, tender.method, tender.method_detail) == (Category.WORKS, Method.OPEN, "Tender")
    assert tender.url == f"{road.server.url}/sirup/rup/detailPaketPenyedia2020?idPaket={code}"
    assert tender.locations == ("Kec. Klojen, Kota Malang, Malang (Kota), Jawa Timur",)
    assert tender.milestones[0].title == "Jadwal Pemilihan Penyedia"
    (own,) = (r.tender for r in road.records().values() if r.tender.key == str(road.plans(self_managed=True)[0].code))
    assert (own.method_detail, own.milestones[0].title) == ("Swakelola", "Waktu Pelaksanaan")
    assert "category" in own.unread


def test_a_year_of_one_hundred_plans_is_asked_whether_there_is_one_more(make_road: Callable[..., Road]) -> None:
    road = make_road(providers=100, self_managed=0)
    assert road.crawl().verdict is Verdict.OK
    assert road.server.stats.pages["rows"] == 3


def test_lists_that_answer_fewer_rows_than_asked(make_road: Callable[..., Road]) -> None:
    road = make_road(providers=25, length_cap=10)
    assert road.crawl().verdict is Verdict.OK
    road.assert_true()


def test_no_plans_are_an_answer(make_road: Callable[..., Road]) -> None:
    run = make_road(SEARCHED).crawl(years=(2019,))
    assert (run.verdict, run.seen) == (Verdict.OK, 0)


def test_changes_are_told_once(road: Road) -> None:
    road.crawl()
    count = len(road.events())
    repriced, moved, kept = (str(plan.code) for plan in road.plans()[:3])
    road.source.revise(repriced, pagu=777_000_000)
    road.source.revise(moved, month=(road.source.plans[int(moved)].month + 1) % 12)
    added = road.source.announce()
    own = str(road.plans(self_managed=True)[0].code)
    road.source.revise(own, pagu=5_000_000)
    run = road.crawl()
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 1, 3)
    road.assert_true()
    told = dict(road.events(count))
    assert told == {
        repriced: (Event.BUDGET,),
        moved: (Event.SCHEDULE,),
        added: (Event.NEW,),
        own: (Event.BUDGET,),
    }
    assert kept not in told
    assert road.server.stats.pages["plan"] == 3
    assert road.crawl().changed == 0


def test_a_plan_that_is_taken_back_is_withdrawn_after_two_readings(road: Road) -> None:
    road.crawl()
    code = str(road.plans()[0].code)
    road.source.withdraw(code)
    assert road.crawl().withdrawn == 0
    assert road.crawl().withdrawn == 1
    assert road.records()[code].tender.status is Status.WITHDRAWN


def test_the_name_of_the_body_is_learnt_where_it_is_not_configured(make_road: Callable[..., Road]) -> None:
    road = make_road('id_kldi = "D228"')
    assert road.crawl().verdict is Verdict.OK
    road.assert_true()


@pytest.mark.parametrize("search", ["", "id_referensi = 271\n"])
def test_one_work_unit(make_road: Callable[..., Road], search: str) -> None:
    road = make_road(f'{search}id_satker = 70102\nnama_kldi = "Kota Malang"')
    plans = [*road.plans(), *road.plans(self_managed=True)]
    run = road.crawl()
    assert (run.verdict, run.reasons) == (Verdict.OK, ())
    assert road.records().keys() == {str(plan.code) for plan in plans if plan.unit == 70102}


def test_a_limit_ends_each_list_and_withdraws_nothing(road: Road) -> None:
    road.crawl()
    run = road.crawl(limit=2)
    assert (run.verdict, run.seen, run.withdrawn) == (Verdict.OK, 4, 0)


def test_both_sweeps_read_the_lists(road: Road) -> None:
    road.crawl(sweep=Sweep.OPEN)
    road.assert_true()


@pytest.mark.parametrize(
    ("fault", "match", "code", "verdict"),
    [
        ("login", "", "refused", Verdict.FAILED),
        ("login", "detailPaket", "refused", Verdict.FAILED),
        ("html", "search", "listing", Verdict.FAILED),
        ("error", "datarupswakelola", "listing", Verdict.FAILED),
        ("challenge", "search", "blocked", Verdict.BLOCKED),
        ("odd_row", "search", "shape", Verdict.PARTIAL),
        ("odd_row", "swakelola", "shape", Verdict.PARTIAL),
        ("shuffled", "search", "listing", Verdict.FAILED),
        ("shuffled", "swakelola", "listing", Verdict.FAILED),
        ("boastful", "search", "short", Verdict.PARTIAL),
        ("modest", "search", "short", Verdict.PARTIAL),
        ("empty", "search", "short", Verdict.PARTIAL),
        ("duplicates", "search", "duplicate_key", Verdict.PARTIAL),
        ("unfiltered", "search", "filter", Verdict.PARTIAL),
    ],
)
def test_drift_and_faults_are_told_and_lose_nothing(
    make_road: Callable[..., Road], fault: str, match: str, code: str, verdict: Verdict
) -> None:
    road = make_road(SEARCHED)
    road.crawl()
    kept = road.contents()
    count = len(road.events())
    road.server.faults.add(fault, match=match)
    for plan in road.plans()[:4]:
        road.source.revise(str(plan.code), month=(plan.month + 1) % 12)
    for _ in range(3):
        run = road.crawl()
        assert run.verdict is verdict, run.reasons
        assert any(reason.startswith(f"{code}:") for reason in run.reasons), run.reasons
        assert run.withdrawn == 0
    assert road.contents().keys() == kept.keys()
    told = road.events(count)
    assert all(events == (Event.SCHEDULE,) for _, events in told)  # nothing but what did change
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    road.assert_true()


def test_a_source_that_ignores_its_filter_is_left_after_one_page(make_road: Callable[..., Road]) -> None:
    road = make_road(SEARCHED, providers=2, length_cap=50)
    for _ in range(300):
        road.source.announce(BATU)
    road.server.faults.add("unfiltered", match="search")
    run = road.crawl()
    assert run.reasons[0].startswith("filter: search 2026: ")
    assert {record.tender.buyer for record in road.records().values()} == {"Kota Malang"}
    assert all(record.tender.fiscal_years == (2026,) for record in road.records().values())
    assert sum("search" in seen.address for seen in road.server.stats.requests) == 1


def test_a_table_that_ignores_its_filter_is_known_by_the_pages(road: Road) -> None:
    road.server.faults.add("unfiltered", match="datarup")
    run = road.crawl()
    assert run.verdict is Verdict.PARTIAL
    assert any(reason.startswith("filter: dataruppenyediakldi 2026: ") for reason in run.reasons)
    providers = [r.tender for r in road.records().values() if r.tender.method_detail != "Swakelola"]
    assert {tender.buyer for tender in providers} == {"Kota Malang"}
    assert {tender.fiscal_years for tender in providers} == {(2026,)}


def test_a_source_whose_pages_are_all_the_first_is_left(make_road: Callable[..., Road]) -> None:
    road = make_road(SEARCHED, providers=20, length_cap=10)
    road.server.faults.add("stuck", match="search")
    run = road.crawl()
    assert any(reason.startswith("duplicate_key: search 2026") for reason in run.reasons)
    assert sum("search" in seen.address for seen in road.server.stats.requests) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [("lost_label", "shape"), ("other_plan", "shape"), ("html", "shape"), ("hang_up", "missing_page")],
)
def test_a_page_that_cannot_be_read_leaves_what_is_kept_and_is_tried_again(
    make_road: Callable[..., Road], fault: str, code: str
) -> None:
    road = make_road(providers=60)
    road.crawl()
    changed = str(road.plans()[0].code)
    added = road.source.announce()
    road.source.revise(changed, pagu=777_000_000)
    road.server.faults.add(fault, match=f"idPaket=({changed}|{added})")
    count = len(road.events())
    run = road.crawl()
    assert run.verdict in (Verdict.PARTIAL, Verdict.FAILED)
    assert any(reason.startswith(f"{code}:") for reason in run.reasons), run.reasons
    kept = road.records()
    assert kept[changed].tender.incomplete
    assert kept[changed].tender.category_detail == road.source.plans[int(changed)].category
    assert kept[added].tender.title == road.source.plans[int(added)].title
    assert dict(road.events(count)) == {changed: (Event.BUDGET,), added: (Event.NEW,)}
    road.server.faults.clear()
    count = len(road.events())
    assert road.crawl().verdict is Verdict.OK
    assert road.events(count) == []  # what is first learnt is no news
    road.assert_true()


def test_a_session_that_ends_is_begun_again(make_road: Callable[..., Road]) -> None:
    road = make_road(SEARCHED)
    road.server.faults.add("expired", match="detailPaket", skip=2, times=1)
    run = road.crawl()
    assert (run.verdict, run.errors) == (Verdict.OK, 0)
    assert road.server.stats.pages["home"] == 2
    road.assert_true()


def test_one_refused_page_ends_nothing_and_three_end_the_run(road: Road) -> None:
    plans = road.plans()
    road.server.faults.add("login", match=f"idPaket={plans[0].code}")
    assert len(road.records()) == 0
    road.crawl()
    assert len(road.records()) == 15
    road.server.faults.clear()
    road.server.faults.add("login", match="idPaket=")
    for plan in plans[1:]:
        road.source.revise(str(plan.code), pagu=1_000_000)
    run = road.crawl()
    assert run.verdict is Verdict.FAILED
    assert road.server.stats.pages["denied"] == 6


def test_unknown_words_and_columns_are_told_but_no_failure(make_road: Callable[..., Road]) -> None:
    road = make_road(SEARCHED)
    road.source.revise(str(road.plans()[0].code), category="Jasa Gaib", method="Undian")
    road.server.faults.add("new_column", match="search")
    road.server.faults.add("new_label", match="detailPaket")
    run = road.crawl()
    assert run.verdict is Verdict.OK
    told = "\n".join(run.reasons)
    for words in ("category Jasa Gaib", "method Undian", "label Zonasi", "column isPradipa"):
        assert f"unknown_label: {words}" in told


def test_an_empty_database_is_rebuilt_from_the_archive(make_road: Callable[..., Road]) -> None:
    road = make_road(SEARCHED)
    road.crawl()
    road.source.revise(str(road.plans()[0].code), pagu=777_000_000)
    road.crawl()
    again = Repository(open_database(f"sqlite:///{road.config.folder / 'again.db'}"))
    (run,) = replay(road.config, road.config.portal, again, None, road.now)
    assert (run.verdict, run.reasons) == (Verdict.OK, ())
    assert replace(road, repository=again).records() == road.records()


def test_wrong_options_are_named_before_the_crawl(make_road: Callable[..., Road]) -> None:
    with pytest.raises(ConfigError, match=r"portal rup: options\.id_kdli: unknown key"):
        make_road('id_kdli = "D228"').crawl()


if __name__ == "__main__":
    write_values(find_pages("sirup"), read_page)
