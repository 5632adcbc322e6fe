"""What the figures of a year say in words, and the pages, tables and files that they make."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aggregator.models import Reading
from aggregator.reports import Sum, YearReport
from aggregator.repository import Repository
from feeds.pages.figures import write_statistics
from feeds.pages.site import load_site, load_sites
from feeds.pages.statistics import Spread, Statistics, measure, render_csv, render_statistics, tell_year, year_path
from feeds.tree import open_tree
from feeds.words.wording import NBSP, Language, Wording
from tests.feed_samples import READ, make_config
from tests.test_reports import contract, make

WIB = ZoneInfo("Asia/Jakarta")
NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
TODAY = date(2026, 11, 24)
BILLION = 1_000_000_000

REPORT = YearReport(
    year=2026,
    months={1: Sum(31, 11 * BILLION), 3: Sum(68, 31 * BILLION), 11: Sum(33, 18 * BILLION)},
    categories={"works": Sum(90, 40 * BILLION), "goods": Sum(40, 15 * BILLION), None: Sum(2, 5 * BILLION)},
    entities=[("DPUPRPKP", Sum(70, 30 * BILLION)), ("=cmd()|<b>", Sum(22, 12 * BILLION))],
    entity_count=12,
    days={"open": {20: 1, 41: 1, 60: 1}, "direct": {7: 2}},
    margins={90: 3, 30: 1, -20: 1},
    equal=2,
)
NOTHING = YearReport(2026, {}, {}, [], 0, {}, {}, 0)


def tell(report: YearReport, language: Language = "id", today: date = TODAY) -> Statistics:
    return tell_year(report, today, Wording(language, WIB))


def test_the_head_has_four_figures() -> None:
    figures = [(figure.value, figure.note) for figure in tell(REPORT).figures]
    assert figures == [
        ("132", ""),
        (f"Rp60{NBSP}miliar", ""),
        (f"20{NBSP}hari", "median 5 kontrak"),
        ("3,0% di bawah", "median 7 kontrak"),
    ]


@pytest.mark.parametrize(
    ("language", "titles"),
    [
        (
            "id",
            [
                "Paling banyak paket diumumkan pada Maret",
                "67% dari nilai untuk Pekerjaan Konstruksi",
                f"Metode Terbuka paling lama: 41{NBSP}hari sampai kontrak",
                "50% dari nilai melalui DPUPRPKP",
                "Kontrak paling sering 5–10% di bawah HPS",
            ],
        ),
        (
            "en",
            [
                "Most packages were announced in March",
                "67% of the value is for Works",
                f"Open method takes longest: 41{NBSP}days to the contract",
                "50% of the value goes through DPUPRPKP",
                "Contracts are most often 5–10% below HPS",
            ],
        ),
    ],
)
def test_each_title_states_the_finding(language: Language, titles: list[str]) -> None:
    charts = tell(REPORT, language).charts
    assert [chart.title for chart in charts] == titles
    assert all(chart.summary and chart.drawings and chart.rows for chart in charts)
    assert all(len(row) == len(chart.head) for chart in charts for row in chart.rows)


def test_the_running_month_is_marked_and_no_later_one_drawn() -> None:
    months = tell(REPORT).charts[0]
    assert months.about.endswith("*November baru sampai tanggal 24.")
    assert "Nov*" in months.drawings[0]
    assert "Des" not in months.drawings[0]
    over = tell(REPORT, today=date(2027, 1, 2)).charts[0]
    assert "*" not in over.about + over.drawings[0]
    assert "Des" in over.drawings[0]


def test_what_has_no_name_is_told_but_is_no_finding() -> None:
    unnamed = replace(REPORT, categories={None: Sum(9, 50 * BILLION), "goods": Sum(1, 10 * BILLION)})
    categories = tell(unnamed).charts[1]
    assert categories.title == "17% dari nilai untuk Pengadaan Barang"
    assert categories.rows[0][0] == "Tidak disebut"


def test_other_work_units_are_summed_up() -> None:
    rows = tell(REPORT).charts[3].rows
    assert rows[-1] == ("10 satuan kerja lain", "40", f"Rp18{NBSP}miliar")


def test_where_there_is_nothing_to_say_nothing_is_said() -> None:
    told = tell(NOTHING)
    assert [chart.drawings for chart in told.charts] == [()] * 5
    assert [figure.value for figure in told.figures] == ["0", "Rp0"]
    assert told.charts[2].title == "Belum ada kontrak yang bertanggal"
    assert told.charts[4].title == "Belum ada kontrak yang dapat dibandingkan dengan HPS"


def test_contracts_above_and_equal_to_the_estimate_are_told() -> None:
    assert tell(replace(REPORT, margins={-300: 3})).figures[3].value == "30,0% di atas"
    assert tell(replace(REPORT, margins={}, equal=3)).figures[3].value == "sama dengan HPS"
    rows = {row[0]: row[1] for row in tell(REPORT).charts[4].rows}
    assert (rows["Di atas HPS"], rows["Sama dengan HPS"], rows["2–5% di bawah HPS"]) == ("1", "2", "1")
    assert sum(int(count) for count in rows.values()) == 7


@pytest.mark.parametrize(
    ("counts", "spread"),
    [
        ({}, None),
        ({5: 1}, Spread(1, 5, 5, 5)),
        ({1: 1, 2: 1, 3: 1, 4: 1}, Spread(4, 1, 2, 3)),
        ({10: 98, 1000: 1, 2000: 1}, Spread(100, 10, 10, 10)),
        ({-3: 1, 0: 2, 7: 1}, Spread(4, -3, 0, 0)),
    ],
)
def test_the_middle(counts: dict[int, int], spread: Spread | None) -> None:
    assert measure(counts) == spread


def test_csv_is_safe_in_a_spreadsheet() -> None:
    rows = list(csv.reader(io.StringIO(render_csv(REPORT).decode())))
    assert rows[0] == ["table", "item", "measure", "number"]
    assert ["month", "2026-03", "packages", "68"] in rows
    assert ["category", "works", "rupiah", str(40 * BILLION)] in rows
    assert ["days_to_contract", "open", "41", "1"] in rows
    assert ["thousandths_below_hps", "-20", "contracts", "1"] in rows
    assert ["procuring_entity", "'=cmd()|‹b›", "packages", "22"] in rows


def test_no_name_becomes_markup() -> None:
    page = render_statistics(load_site(make_config(), sample=False), REPORT, [2026, 2025], NOW).decode()
    assert "=cmd()|‹b›" in page
    assert "<b>" not in page.partition("<main")[2]
    assert 'href="statistik/2025.html"' in page
    assert 'href="statistik/2026.csv"' in page


def test_an_empty_year_says_so() -> None:
    for language, words in (("id", "Belum ada paket yang diumumkan pada 2026"), ("en", "No package was announced")):
        page = render_statistics(load_site(make_config(language), sample=False), NOTHING, [2026], NOW).decode()
        assert words in page
        assert "<svg viewBox" not in page


def test_years_have_pages_of_their_own(repository: Repository, tmp_path: Path) -> None:
    old = make("1", published=datetime(2024, 5, 1, tzinfo=WIB))
    new = make("2", contracts=contract(900_000_000, 30))
    repository.save([Reading(tender=tender) for tender in (old, new)], READ)
    publish = make_config().publish.model_copy(update={"english": True})
    sites = load_sites(make_config().model_copy(update={"publish": publish}), sample=False)

    def write(now: datetime, makers: str = "") -> tuple[int, set[str]]:
        with open_tree(tmp_path / "public") as tree:
            write_statistics(tree, sites, repository, now, makers)
        found = [path for path in tree.root.rglob("*") if path.suffix in {".html", ".csv"}]
        return tree.published.written, {path.relative_to(tree.root).as_posix() for path in found}

    pages = {"statistik.html", "statistik/2024.html", "en/statistik.html", "en/statistik/2024.html"}
    files = {*pages, "statistik/2026.csv", "statistik/2024.csv"}
    assert write(NOW) == (6, files)
    assert write(NOW + timedelta(hours=1)) == (0, files)
    later = write(datetime(2027, 1, 2, tzinfo=WIB))[1]
    assert later == files | {"statistik/2026.html", "en/statistik/2026.html", "statistik/2027.csv"}
    assert year_path(2026, date(2027, 1, 2)) == "statistik/2026.html"


def test_it_moves_with_what_is_read(repository: Repository, tmp_path: Path) -> None:
    sites = load_sites(make_config(), sample=False)
    repository.save([Reading(tender=make("1"))], READ)

    def write() -> str:
        with open_tree(tmp_path / "public") as tree:
            write_statistics(tree, sites, repository, NOW, "")
        return (tmp_path / "public/statistik.html").read_text(encoding="utf-8")

    assert f"Rp1{NBSP}miliar" in write()
    repository.save([Reading(tender=make("2", 2 * BILLION))], READ + timedelta(hours=1))
    assert f"Rp3{NBSP}miliar" in write()
