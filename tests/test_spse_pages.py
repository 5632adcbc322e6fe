"""SPSE's pages: each saved page beside the value it means, and the recorded ones where they are at hand.

The fixtures are made up. A new case is a page and its value: `python -m tests.test_spse_pages` writes the values
of pages that have none yet, to be read before they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aggregator.models import Kind, Money, Status
from spiders.reading import Refusal, ShapeError
from spiders.spse.lists import parse_home, parse_list, parse_token
from spiders.spse.pages import (
    find_deadline,
    parse_announcement,
    parse_contracts,
    parse_realisations,
    parse_refusal,
    parse_schedule,
    parse_winners,
)
from spiders.spse.words import find_status, is_retender
from tests.pages import as_json, find_pages, read_value, write_values

WIB = ZoneInfo("Asia/Jakarta")
FIXTURES = Path(__file__).parent / "fixtures" / "spse"
PAGES = find_pages("spse")
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "spse"
BASE = "https://spse.example.go.id/malangkota/"


def read_page(path: Path) -> Any:
    """What the page of a fixture means: its name is the reader, a case, and the key."""
    reader, _, rest = path.stem.partition("-")
    body = path.read_bytes()
    readers: dict[str, Callable[[], Any]] = {
        "announcement": lambda: parse_announcement(body, rest.rpartition("-")[2], WIB, BASE),
        "schedule": lambda: parse_schedule(body, WIB),
        "winners": lambda: parse_winners(body),
        "contracts": lambda: parse_contracts(body),
        "realisations": lambda: parse_realisations(body, WIB),
        "home": lambda: parse_home(body, WIB),
        "list": lambda: parse_list(body, Kind(rest))[0],
    }
    return as_json(readers[reader]())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_means_the_value_beside_it(path: Path) -> None:
    assert read_page(path) == read_value(path)


def test_every_reader_has_a_fixture() -> None:
    readers = {path.stem.partition("-")[0] for path in PAGES}
    assert readers == {"announcement", "schedule", "winners", "contracts", "realisations", "home", "list"}


# The recorded pages ---------------------------------------------------------------------------------------


def sample(name: str) -> bytes:
    if not SAMPLES.is_dir():
        pytest.skip("the recorded responses are not at hand")
    return (SAMPLES / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("dt_lelang_kemkes_2025.json", Kind.TENDER, 25),
        ("dt_pl_kemkes_2025.json", Kind.NON_TENDER, 25),
        ("dt_nonspk.json", Kind.RECORDED, 25),
        ("dt_swakelola.json", Kind.SELF_MANAGED, 25),
        ("dt_darurat_list.json", Kind.EMERGENCY, 3),
    ],
)
def test_recorded_lists(name: str, kind: Kind, count: int) -> None:
    rows, _ = parse_list(sample(name), kind)
    assert len(rows) == count
    assert all(row.title and row.buyer and row.stage and row.fiscal_years and not row.unknown for row in rows)
    assert len({row.key for row in rows}) == count


def test_recorded_badges_are_no_part_of_the_title() -> None:
    rows = {row.key: row for row in parse_list(sample("dt_lelang_kemkes_2025.json"), Kind.TENDER)[0]}
    both = rows["10100208000"]
    assert both.badges == ("Tender Ulang", "Tender Gagal")
    assert "Tender" not in both.title
    assert is_retender(both.badges)
    assert find_status(both.stage, both.badges) is Status.UNSUCCESSFUL


def test_recorded_home_page() -> None:
    home = parse_home(sample("homepage_tables_fragment.html"), WIB)
    assert [(row.kind, row.key, row.value, row.method_detail) for row in home.rows] == [
        (Kind.TENDER, "10166709000", Money(Decimal("927897900.00")), "Tender"),
        (Kind.TENDER, "10166425000", Money(Decimal("1763180700.00")), "Tender"),
        (Kind.NON_TENDER, "11040489000", Money(Decimal("9999000.00")), "Pengadaan Langsung"),
    ]
    assert home.rows[0].registration_deadline == datetime(2026, 9, 18, 12, 0, tzinfo=WIB)
    assert home.rows[0].category_detail == "Pekerjaan Konstruksi"
    assert (home.short, home.unknown) == ((), ())


def test_recorded_announcement_saved_by_a_browser() -> None:
    page = parse_announcement(sample("nontender_pengumuman_browser_saved.html"), "11002302000", WIB, BASE)
    assert page.title == "Pemeriksaan Kualitas Lingkungan Dalam Rangka lmplementasi DELH TA 2026"
    assert page.plans == ("67643676",)
    assert page.budget == page.value == Money(Decimal("165146000.00"))
    assert page.published == datetime(2026, 8, 11, tzinfo=WIB)
    assert page.locations == ("Jl. Dr. Sumeru No. 114 Bogor - Bogor (Kota)",)
    assert page.participants == 2
    assert len(page.documents) == 1
    assert page.tabs["Pemenang"].endswith("/evaluasinontender/11002302000/pemenang")
    assert page.unknown == ()


@pytest.mark.parametrize(
    ("name", "key", "budget", "buyer"),
    [
        ("nonspk_pengumuman.html", "10942236000", "3800000.00", "Kementerian Imigrasi dan Pemasyarakatan"),
        (
            "swakelola_pengumuman.html",
            "10336514000",
            "176320000.00",
            "Kementerian Ekonomi Kreatif/Badan Ekonomi Kreatif",
        ),
        ("darurat_pengumuman.html", "106802", "500000000.00", "Kab. Lampung Selatan"),
    ],
)
def test_recorded_announcements_of_the_small_kinds(name: str, key: str, budget: str, buyer: str) -> None:
    page = parse_announcement(sample(name), key, WIB, BASE)
    assert page.budget == Money(Decimal(budget))
    assert page.buyer == buyer
    assert page.fiscal_years == (2026,)
    assert page.unknown == ()


def test_recorded_schedule_winner_and_empty_contract() -> None:
    schedule = parse_schedule(sample("nontender_jadwal_changed.html"), WIB)
    assert [milestone.changes for milestone in schedule] == [1, 1, 1, 1, 1]
    assert find_deadline(schedule) == datetime(2026, 2, 10, 12, 0, tzinfo=WIB)
    (winner,) = parse_winners(sample("nontender_pemenang.html"))
    assert (winner.supplier, winner.amount) == ("CV DW KREASI KONSULTAN", Money(Decimal("99800000.00")))
    assert parse_contracts(sample("tender_pemenangberkontrak_empty_browser_saved.html")) == ()


def test_recorded_realisations_keep_no_contact() -> None:
    (paid,) = parse_realisations(sample("swakelola_pelaksana.html"), WIB)
    assert paid.supplier is not None
    assert paid.supplier.startswith("SEKRETARIAT KEMENTERIAN/")
    assert (paid.amount, paid.date) == (Money(Decimal("800000.00")), datetime(2026, 4, 8, tzinfo=WIB))
    (bought,) = parse_realisations(sample("nonspk_pemenang_berkontrak.html"), WIB)
    assert (bought.supplier, bought.amount) == (None, Money(Decimal("266400.00")))
    assert parse_realisations(sample("darurat_pemenang.html"), WIB) == ()


# Another shape is an error, never an empty value ----------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Halaman yang dituju tidak ditemukan</body></html>",
        b'{"draw":"1"}',
        b'{"data":{}}',
        b'{"data":[["1","x"]]}',
        b'{"data":[["x' + b'","'.join([b""] * 16) + b'"]]}',
    ],
)
def test_a_list_of_another_shape_is_an_error(body: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_list(body, Kind.TENDER)


def test_one_row_that_cannot_be_read_does_not_cost_the_others() -> None:
    answer = json.loads((FIXTURES / "list-tender.json").read_text(encoding="utf-8"))
    answer["data"][1].append("one cell too many")
    rows, wrong = parse_list(json.dumps(answer).encode(), Kind.TENDER)
    assert len(rows) == len(answer["data"]) - 1
    assert [str(error) for error in wrong] == ["a tender row that has not 16 cells"]


def test_an_empty_list_is_a_value() -> None:
    assert parse_list(b'{"draw":"1","recordsTotal":2147483647,"data":[]}', Kind.TENDER) == ([], [])


@pytest.mark.parametrize("reader", [parse_winners, parse_contracts])
def test_a_winner_page_of_another_shape_is_an_error(reader: Callable[[bytes], object]) -> None:
    with pytest.raises(ShapeError):
        reader(b"<div id='main'><table><tr><th>Peserta</th></tr></table></div>")


def test_an_announcement_of_another_package_is_an_error() -> None:
    path = next(path for path in PAGES if path.stem.startswith("announcement-tender-open"))
    with pytest.raises(ShapeError, match="code is not 99"):
        parse_announcement(path.read_bytes(), "99", WIB, BASE)


def test_an_unknown_label_is_handed_back() -> None:
    path = next(path for path in PAGES if path.stem.startswith("announcement-tender-open"))
    body = path.read_bytes().replace(b"Jenis Kontrak", b"Jenis Kontrak Baru")
    assert parse_announcement(body, path.stem.rpartition("-")[2], WIB, BASE).unknown == ("label Jenis Kontrak Baru",)


def test_a_home_page_that_announces_more_than_it_lists_is_short() -> None:
    body = (FIXTURES / "home.html").read_bytes().replace(b'float-right">1<', b'float-right">7<')
    assert body != (FIXTURES / "home.html").read_bytes()
    assert parse_home(body, WIB).short


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"<p>Maaf, terjadi error pada aplikasi SPSE.</p><p>Kode Error: 1f</p>", Refusal.ERROR),
        (b"<h3>Terjadi Kesalahan</h3>", Refusal.ERROR),
        (b"<p>Halaman yang dituju tidak ditemukan</p>", Refusal.MISSING),
        (b"<h1>Akses Ditolak!</h1>", Refusal.DENIED),
        (b"<td>Penanganan Terjadi Kesalahan Teknis</td>", None),
    ],
)
def test_refusals_are_known_by_their_words(body: bytes, refusal: Refusal | None) -> None:
    assert parse_refusal(body) is refusal


def test_the_token_stands_in_the_page_or_in_the_cookie() -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    assert parse_token(f"d.authenticityToken = '{token}';".encode()) == token
    assert parse_token(b"<html>", f"SPSE_SESSION=ff-___AT={token}&___TS=1") == token
    assert parse_token(b"<html>", f"SPSE_SESSION=ff-___AT%3D{token}%26___TS%3D1") == token
    with pytest.raises(ShapeError):
        parse_token(b"<html>")


@pytest.mark.parametrize(
    ("stage", "badges", "status"),
    [
        ("Tender Sudah Selesai", (), Status.COMPLETE),
        ("Paket Dibatalkan", (), Status.CANCELLED),
        ("Tender Sudah Selesai", ("Tender Gagal",), Status.UNSUCCESSFUL),
        ("Upload Dokumen Penawaran", ("Tender Ulang",), Status.ACTIVE),
        ("Tidak Ada Jadwal", (), Status.PLANNED),
        ("Pembatalan Penetapan Tidak Dikenal", ("Pengadaan Langsung Batal",), Status.CANCELLED),
    ],
)
def test_status_comes_from_stage_and_badges(stage: str, badges: tuple[str, ...], status: Status) -> None:
    assert find_status(stage, badges) is status


def test_an_evaluation_done_again_is_no_retender() -> None:
    assert not is_retender(("Evaluasi Ulang",))
    assert is_retender(("Seleksi Ulang",))


if __name__ == "__main__":
    write_values(PAGES, read_page)
