"""Satu Data, the keyed services and the gateway: saved answers beside what they mean, and crawls over real HTTP.

The fixtures are made up. `python -m tests.test_satudata` writes the values of answers that have none yet.
"""

from __future__ import annotations

import json
import logging
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings

import warta as command_line
from aggregator.archive import Archive
from aggregator.config import ConfigError, Portal, parse_config
from aggregator.database import open_database
from aggregator.models import Event, Kind, Method, Money, Status, Sweep
from aggregator.repository import Repository
from aggregator.verdicts import Verdict
from demo.satudata import FAULTS, MALANG, MALANG_NAME, NUMBERS, TOKEN, UUID, SatuData
from demo.server import serve
from demo.spse import Portal as SpseStandIn
from demo.world import World
from spiders.crawl import Order, crawl
from spiders.reading import ShapeError
from spiders.replay import replay
from spiders.satudata.gateway import Cursor, Envelope, parse_envelope
from spiders.satudata.masters import Entry, find_code, find_named, guess_slug, parse_master, render_portals
from spiders.satudata.options import check_secrets, load_options
from spiders.satudata.rows import Context, Page, parse_array
from spiders.satudata.sanctions import make_key, parse_sanctions
from spiders.satudata.services import parse_rows
from spiders.satudata.tenders import parse_tenders
from tests.pages import find_pages, read_value, write_values
from tests.road import ALL, HEAD, NOW, WIB, SourceRoad, make_config

FIXTURES = Path(__file__).parent / "fixtures" / "satudata"
ANSWERS = find_pages("satudata")
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "satudata"
CONTEXT = Context(portal="lkpp", zone=WIB, now=NOW, year=2026, page="https://example.go.id/{key}")


def parse(name: str, body: bytes) -> Page:
    """The answer of the service that ``name`` ends with."""
    service = name.removeprefix("empty-")
    if service == "TenderUmumPublik":
        return parse_tenders(body, CONTEXT)
    if service == "SanksiDaftarHitam":
        return parse_sanctions(body, CONTEXT)
    return parse_rows(parse_array(body), service, CONTEXT)


def read_page(path: Path) -> dict[str, Any]:
    page = parse(path.stem, path.read_bytes())
    return {
        "rows": [
            {
                **row.tender.as_dict(),
                "unread": sorted(row.tender.unread),
                "years": list(row.years),
                "of": row.of,
                "unknown": list(row.unknown),
            }
            for row in page.rows
        ],
        "wrong": [f"{error} ({error.sample[:60]})" for error in page.wrong],
        "twice": list(page.twice),
    }


# Answers, pure --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_each_answer_means_its_value(path: Path) -> None:
    assert read_page(path) == read_value(path)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_no_person_is_kept(path: Path) -> None:
    told = str(parse(path.stem, path.read_bytes()))
    assert "Contoh Nama" not in told
    assert "C***** N***" not in told
    assert "example.org" not in told


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"URL-NOT-DEFINED", "knows no such list"),
        (b"<invalid_response>x</invalid_response>", "knows no such list"),
        (b"", "no JSON"),
        (b"Kode Tender;Pagu\n1;2\n", "no JSON"),
        (b"<html>Segera kembali</html>", "no JSON"),
        (b"{}", "no array"),
        (b"null", "no array"),
    ],
)
def test_what_is_no_array_is_never_an_empty_list(body: bytes, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        parse_array(body)


def test_a_year_without_a_readable_row_is_another_shape() -> None:
    with pytest.raises(ShapeError, match="without Kode Tender"):
        parse_tenders(b'[{"Kode": 1}]', CONTEXT)
    with pytest.raises(ShapeError, match="number of its SK"):
        parse_sanctions(b'[{"nama_penyedia": "CV Contoh"}]', CONTEXT)


def test_a_tender_is_over_when_its_last_stage_is() -> None:
    row = json.loads((FIXTURES / "TenderUmumPublik.json").read_bytes())[0]  # 40 days from the fourth of November

    def at(now: datetime) -> Status | None:
        context = Context(portal="lkpp", zone=WIB, now=now, year=2026, page="https://example.go.id/")
        return parse_tenders(json.dumps([row]).encode(), context).rows[0].tender.status

    assert at(datetime(2026, 12, 14, 23, 0, tzinfo=WIB)) is Status.ACTIVE
    assert at(datetime(2026, 12, 15, 0, 1, tzinfo=WIB)) is Status.COMPLETE


def test_keys_of_decisions_are_stable_and_apart() -> None:
    assert make_key("188.45/20", "CV Contoh", "D228/1") == make_key("188.45/20", "CV CONTOH", "D228/1")
    decrees, firms, units = ("188.45/20", "188.45-20", "//", "№"), ("CV A", "CV B"), ("D228/1", "D228/2")
    assert len({make_key(d, firm, by) for d in decrees for firm in firms for by in units}) == 16


# Recorded samples -----------------------------------------------------------------------------------------

_KEYS = {  # the sample's keys were translated by machine: back to those of the service
    "Tender Code": "Kode Tender",
    "LPSE Repo id": "Repo id LPSE",
    "Tender_Status": "Status_Tender",
    "Package Name": "Nama Paket",
    "Ceiling": "Pagu",
    "package creation date": "tanggal paket dibuat",
    "package broadcast date": "tanggal paket tayang",
    "Work Category": "Kategori Pekerjaan",
    "Selection Method": "Metode Pemilihan",
    "Procurement Method": "Metode Pengadaan",
    "Evaluation Method": "Metode Evaluasi",
    "Payment Method": "Cara Pembayaran",
    "Winner Determination Type": "Jenis Penetapan Pemenang",
    "Agency and Work Unit": "Instansi dan Satker",
    "agency_name": "nama_instansi",
    "agency_type": "jenis_instansi",
    "Is the consolidation package": "Apakah paket konsolidasi",
    "consolidation package list": "daftar paket konsolidasi",
    "budget": "anggaran",
    "value_number": "ang_nilai",
    "year_number": "ang_tahun",
    "account_code": "ang_koderekening",
    "package_location": "lokasi_paket",
    "kbp_name": "kbp_nama",
    "prp_name": "prp_nama",
    "pkt_location": "pkt_lokasi",
    "Number of Applicants": "Jumlah Pendaftar",
    "Number of Bidders": "Jumlah Penawar",
    "number_of_qualifications_submitted": "jumlah_kirim_kualifikasi",
    "Tender Duration": "Durasi Tender",
    "Package_spse_version": "Versi_spse_paket",
    "announcement_schedule": "jadwal_pengumuman",
    "bidding_schedule": "jadwal_penawaran",
    "start_date": "tanggal_mulai",
    "end_date": "tanggal_akhir",
}
_WORDS = {
    "Active": "Aktif",
    "Individual Consulting Services": "Jasa Konsultansi Perorangan",
    "Selection": "Seleksi",
}


def translate(value: Any) -> Any:
    match value:
        case dict():
            return {_KEYS.get(name, name): translate(each) for name, each in value.items()}
        case list():
            return [translate(each) for each in value]
        case str():
            return _WORDS.get(value, value)
    return value


def need_sample(name: str) -> bytes:
    if not SAMPLES.is_dir():
        pytest.skip("the recorded responses are not at hand")
    return (SAMPLES / name).read_bytes()


def test_the_documented_tender_is_read() -> None:
    told = translate(json.loads(need_sample("TenderUmumPublik_doc_example_keys_translated.json")))
    page = parse_tenders(json.dumps(told).encode(), CONTEXT)
    (row,) = page.rows
    assert (page.wrong, page.twice, row.unknown, row.years) == ((), (), (), (2024,))
    assert row.of["kd_lpse"] == "119"
    tender = row.tender
    assert (tender.key, tender.plans, tender.participants) == ("9537119", ("44604827",), 3)
    assert tender.budget == tender.value == Money(Decimal("1057308000.00"))
    assert (tender.method, tender.status) == (Method.OPEN, Status.COMPLETE)
    assert tender.deadline == datetime(2023, 10, 30, 23, 59, tzinfo=WIB)
    assert tender.buyer == "State Treasury (Ministry of Finance)"
    assert len(tender.locations) == 1


def test_the_recorded_plans_are_read() -> None:
    body = need_sample("rup_paket_swakelola_terumumkan_40.json")
    page = parse("RUP-PaketSwakelola-Terumumkan", body)
    assert (len(page.rows), page.wrong, page.twice) == (40, (), ())
    assert not any(row.unknown for row in page.rows)
    assert len({row.key for row in page.rows}) == 40
    assert {row.of["kd_klpd"] for row in page.rows} == {"D228"}
    first = page.rows[0].tender
    assert (first.key, first.kind, first.plans) == ("42496468", Kind.PLAN, ("42496468",))
    assert (first.buyer, first.procuring_entity) == ("Kab. Kotawaringin Barat", "Dinas Pertanian")
    assert first.budget == Money(Decimal("245000000.00"))
    assert first.description == "Satuan Biaya Pendidikan dan Pelatihan"
    assert first.milestones[0].ends == datetime(2026, 8, 31, 23, 59, tzinfo=WIB)


# Options --------------------------------------------------------------------------------------------------


def make_portal(options: dict[str, Any]) -> Portal:
    return Portal(id="lkpp", family="satudata", name="LKPP", url="https://isb.example.go.id/api", options=options)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "options.api: choose from open, isb, gateway"),
        ({"api": "csv"}, "options.api: choose from open, isb, gateway"),
        ({"api": "open"}, "name whose data to read"),
        ({"api": "open", "lpse": "x", "kd_lpse": 1}, "not by both"),
        ({"api": "open", "lpsee": "x"}, "options.lpsee: unknown key"),
        (
            {"api": "isb", "service": "SPSE-TenderSelesai", "uuid_env": "X_Y", "number": 1, "code": "1"},
            "options.service",
        ),
        (
            {"api": "isb", "service": "SPSE-TenderPengumuman", "uuid_env": UUID, "number": 1, "code": "1"},
            "options.uuid_env",
        ),
        ({"api": "gateway", "path": "ekatalog/paket", "kode_klpd": "D228"}, "options.path"),
        ({"api": "gateway", "path": "tender/pengumuman", "kode_klpd": "D228", "limit": 5000}, "options.limit"),
    ],
)
def test_a_mistake_in_the_options_is_named(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match="portal lkpp: ") as error:
        load_options(make_portal(options))
    assert line in str(error.value)
    assert UUID not in str(error.value)


def test_a_key_that_cannot_be_one_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARTA_X", "two words of a secret")
    with pytest.raises(ConfigError, match="WARTA_X") as error:
        check_secrets(make_portal({}), ("WARTA_X",))
    assert "words" not in str(error.value)


# Names ----------------------------------------------------------------------------------------------------

MASTER = (
    Entry("71", "LPSE Kota Malang"),
    Entry("72", "LPSE Kabupaten Malang"),
    Entry("80", "LPSE Universitas Negeri Malang"),
    Entry("81", "LPSE Kota Batu"),
    Entry("82", "LPSE  KOTA batu"),
)


def test_a_name_is_found_whatever_its_case_and_spaces() -> None:
    assert find_code(MASTER, " lpse kota  MALANG", "kd_lpse") == "71"
    with pytest.raises(ConfigError, match=r"2 are called 'LPSE Kota Batu'.*81, 82.*kd_lpse"):
        find_code(MASTER, "LPSE Kota Batu", "kd_lpse")
    with pytest.raises(ConfigError, match=r"none is called 'LPSE Kota Malag'; near: 'LPSE Kota Malang' \(71\)"):
        find_code(MASTER, "LPSE Kota Malag", "kd_lpse")


@pytest.mark.parametrize(
    ("name", "slug", "sure"),
    [
        ("LPSE Kota Malang", "malangkota", True),
        ("LPSE Kabupaten Malang", "malangkab", True),
        ("LPSE Kab. Malang", "malangkab", True),
        ("LPSE Pemerintah Kota Batu", "batukota", True),
        ("LPSE Provinsi Jawa Timur", "jatimprov", True),
        ("LPSE Provinsi Bali", "baliprov", True),
        ("LPSE Kota Surabaya", "surabaya", True),
        ("LPSE Kementerian Kesehatan", "kemkes", True),
        ("LPSE Kementerian Keuangan", "kementeriankeuangan", False),
        ("LPSE", "lpse", False),
    ],
)
def test_slugs_are_guessed_from_names(name: str, slug: str, sure: bool) -> None:
    assert guess_slug(name) == (slug, sure)


def test_tables_of_look_alikes_load_together() -> None:
    config = parse_config(HEAD + render_portals([*MASTER, Entry("90", 'LPSE "Kutip"')]), Path("warta.toml"))
    assert [p.id for p in config.portal][-3:] == ["batukota", "batukota-82", "kutip"]
    assert config.find_portal("batukota-82").url == "https://spse.inaproc.id/batukota"


def test_masters_have_their_shape() -> None:
    with pytest.raises(ShapeError, match="is empty"):
        parse_master(b"[]", "lpse")
    with pytest.raises(ShapeError, match="without nama_lpse"):
        parse_master(b'[{"kd_lpse": 1}]', "lpse")
    assert find_named(MASTER, "malang kota") == [MASTER[0]]
    assert find_named(MASTER, "") == []


# The gateway's envelope -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"x",
        b'{"success": false, "data": [], "meta": {"has_more": false}}',
        b'{"success": true, "data": null, "meta": {"has_more": false}}',
        b'{"success": true, "data": []}',
        b'{"success": true, "data": [], "meta": {"has_more": "no"}}',
        b'{"success": true, "data": [], "meta": {"has_more": true, "cursor": ""}}',
    ],
)
def test_another_envelope_is_no_empty_page(body: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_envelope(body)


def test_a_cursor_that_repeats_ends_the_list() -> None:
    cursor = Cursor()
    assert not cursor.take(Envelope((1,), "a", None))
    assert not cursor.take(Envelope((2,), "b", None))
    with pytest.raises(ShapeError, match="repeats"):
        cursor.take(Envelope((3,), "a", None))


# Crawls ---------------------------------------------------------------------------------------------------

OPEN = f'api = "open", lpse = "{MALANG_NAME}", klpd = "Kota Malang"'
ANNOUNCED = 'service = "SPSE-TenderPengumuman", number = 5346, uuid_env = "WARTA_TEST_UUID", code = "9071"'
VALUES = 'service = "SPSE-TenderSelesaiNilai", number = 5348, uuid_env = "WARTA_TEST_UUID", code = "9071"'
PROVIDER = 'service = "RUP-PaketPenyedia-Terumumkan", number = 5352, uuid_env = "WARTA_TEST_UUID", code = "D228"'
OWN = 'service = "RUP-PaketSwakelola-Terumumkan", number = 5353, uuid_env = "WARTA_TEST_UUID", code = "D228"'
GATEWAY = 'api = "gateway", path = "tender/pengumuman", kode_klpd = "D228", token_env = "WARTA_TEST_TOKEN"'
BASES = {"open": "/satudata/api/satudata", "isb": "/satudata/api", "gateway": "/satudata/gateway"}


@dataclass
class Road(SourceRoad[SatuData]):
    def use(self, options: str) -> None:
        """Reads the service that ``options`` begin with from now on."""
        address = self.server.url + BASES[options.split('"')[1]]
        table = '[[portal]]\nid = "lkpp"\nfamily = "satudata"\nname = "LKPP"\nurl = "{url}"\n'
        self.config = make_config(f"{table}options = {{ {options} }}\n", address, self.config.folder)

    def keys(self) -> set[str]:
        return {row["key"] for row in self.source.packages}

    def everything_written(self) -> bytes:
        """All bytes of database and archive, bodies unpacked."""
        archive = Archive(self.config.archive_folder, self.repository)
        bodies = [
            archive.read(snapshot) + snapshot.url.encode()
            for time in self.repository.find_archived_runs("lkpp", NOW - timedelta(days=1))
            for snapshot in self.repository.find_snapshots("lkpp", time)
        ]
        files = [path.read_bytes() for path in self.config.folder.rglob("*") if path.is_file()]
        return b"\n".join((*bodies, *files))


@pytest.fixture
def road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Road]:
    monkeypatch.setenv("WARTA_TEST_UUID", UUID)
    monkeypatch.setenv("WARTA_TEST_TOKEN", TOKEN)
    with Road.open(SatuData(NOW), "", tmp_path) as road:
        road.use(OPEN)
        yield road


def test_a_first_crawl_reads_tenders_and_the_blacklist(road: Road) -> None:
    run = road.crawl()
    assert (run.verdict, run.reasons, run.errors) == (Verdict.OK, (), 0)
    notices = {key: r for key, r in road.records().items() if r.tender.kind is Kind.NOTICE}
    assert road.records().keys() - notices.keys() == road.keys()
    assert [len(r.tender.sanctions) for r in notices.values()] == [1] * 6  # two of them of one decision
    assert len({r.tender.sanctions[0].decree for r in notices.values()}) == 5
    assert road.server.stats.pages["master"] == 2
    assert road.server.stats.pages["rows"] == 2
    assert all(record.republished for record in road.records().values())
    row = road.source.packages[0]
    tender = road.records()[row["key"]].tender
    assert (tender.title, tender.buyer, tender.plans) == (row["title"], "Kota Malang", tuple(row["plans"]))
    assert tender.value == Money(Decimal(row["value"]["amount"]))
    assert tender.url == f"{road.config.portal[0].url}/TenderUmumPublik/2026/{MALANG}"


def test_a_second_crawl_tells_nothing_new(road: Road) -> None:
    road.crawl()
    road.assert_nothing_new(Sweep.OPEN)


def test_a_number_needs_no_master_and_a_page_leads_readers(road: Road) -> None:
    road.use(f'api = "open", kd_lpse = {MALANG}, page = "https://spse.example.go.id/malangkota/lelang/{{key}}"')
    assert road.crawl().verdict is Verdict.OK
    assert road.server.stats.pages["master"] == 0
    told = {key: r.tender.url for key, r in road.records().items()}
    assert told == {key: f"https://spse.example.go.id/malangkota/lelang/{key}" for key in told}
    assert told


def test_a_change_is_told_once(road: Road) -> None:
    road.crawl()
    row = next(row for row in road.source.packages if row["status"] == "active")
    row["value"] = {"amount": "123456789.50", "currency": "IDR"}
    told = len(road.events())
    assert road.crawl().changed == 1
    assert road.events()[told:] == [(row["key"], (Event.VALUE,))]
    assert road.records()[row["key"]].tender.value == Money(Decimal("123456789.50"))


def test_a_tender_is_over_by_the_clock_alone(road: Road) -> None:
    road.crawl()
    open_keys = {key for key, r in road.records().items() if r.tender.status is Status.ACTIVE}
    assert open_keys & road.keys()
    assert road.crawl(minutes=60 * 24 * 20, years=(2026,)).changed == len(open_keys & road.keys())


def test_a_tender_that_vanishes_is_withdrawn_after_two_whole_lists(road: Road) -> None:
    road.crawl()
    gone = road.source.packages.pop()["key"]
    assert road.crawl().withdrawn == 0
    assert road.crawl().withdrawn == 1
    assert road.records()[gone].tender.status is Status.WITHDRAWN


@pytest.mark.parametrize(
    ("fault", "match", "verdict", "words"),
    [
        ("undefined", "TenderUmum", Verdict.FAILED, "listing: TenderUmumPublik 2026: the service knows no such list"),
        ("invalid", "TenderUmum", Verdict.FAILED, "listing: TenderUmumPublik 2026: the service knows no such list"),
        ("html", "TenderUmum", Verdict.FAILED, "listing: TenderUmumPublik 2026: no JSON"),
        ("object", "TenderUmum", Verdict.FAILED, "listing: TenderUmumPublik 2026: an answer that is no array"),
        ("drifted", "TenderUmum", Verdict.FAILED, "without Kode Tender"),
        ("error", "TenderUmum", Verdict.FAILED, "listing: TenderUmumPublik 2026: 500"),
        ("stray", "TenderUmum", Verdict.PARTIAL, "filter: TenderUmumPublik 2026: rows of another owner left out"),
        ("other_year", "TenderUmum", Verdict.PARTIAL, "filter: TenderUmumPublik 2026: rows of other years left out"),
        ("duplicates", "TenderUmum", Verdict.PARTIAL, "duplicate_key: TenderUmumPublik 2026"),
        ("odd_row", "TenderUmum", Verdict.PARTIAL, "Pagu is no amount"),
        ("new_column", "TenderUmum", Verdict.OK, "unknown_label: column kolom_baru"),
        ("new_word", "TenderUmum", Verdict.OK, "unknown_label: status Menari"),
        ("nulls", "TenderUmum", Verdict.OK, ""),
        ("empty", "TenderUmum", Verdict.PARTIAL, "collapsed"),
        ("stray", "Sanksi", Verdict.PARTIAL, "filter: SanksiDaftarHitam 2026"),
        ("nameless", "Sanksi", Verdict.FAILED, "number of its SK"),
        ("duplicates", "Sanksi", Verdict.PARTIAL, "duplicate_key: SanksiDaftarHitam 2026"),
        ("new_word", "Sanksi", Verdict.OK, "unknown_label: status Menari"),
        ("undefined", "MasterLPSE", Verdict.FAILED, "knows no such list"),
        ("empty", "MasterLPSE", Verdict.FAILED, "MasterLPSE is empty"),
        ("twin", "MasterLPSE", Verdict.FAILED, "2 are called 'LPSE Kota Malang'"),
    ],
)
def test_each_lie_of_the_open_services_is_told_and_loses_nothing(
    road: Road, fault: str, match: str, verdict: Verdict, words: str
) -> None:
    road.crawl()
    before = road.tenders()
    road.server.faults.add(fault, match)
    run = road.crawl()
    assert (run.verdict, words in " ".join(run.reasons)) == (verdict, True), run.reasons
    assert run.withdrawn == 0
    assert road.records().keys() == before.keys()
    statuses = {key: r.tender.status for key, r in road.records().items()}
    assert statuses == {key: tender.status for key, tender in before.items()}
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK


def test_a_row_of_another_lpse_is_not_stored(road: Road) -> None:
    road.server.faults.add("stray", "TenderUmum")
    road.crawl()
    assert road.keys() - road.records().keys() == {road.source.packages[0]["key"]}


def test_an_empty_year_is_data(road: Road) -> None:
    run = road.crawl(years=(2019,))
    assert (run.verdict, run.seen, run.reasons) == (Verdict.OK, 0, ())


def test_names_that_are_not_there_end_in_a_clear_word(road: Road) -> None:
    road.use('api = "open", lpse = "LPSE Kota Malag"')
    run = road.crawl()
    assert run.verdict is Verdict.FAILED
    assert "near: 'LPSE Kota Malang' (9071)" in " ".join(run.reasons)
    road.use(OPEN)
    assert "tell of tender, notice, not of plan" in " ".join(road.crawl(kinds=(Kind.PLAN,)).reasons)


# Keyed services -------------------------------------------------------------------------------------------


def test_keyed_services_make_one_tender_of_announcement_and_values(road: Road) -> None:
    road.use(f'api = "isb", {ANNOUNCED}, also = [{{ {VALUES} }}]')
    run = road.crawl()
    assert (run.verdict, run.reasons) == (Verdict.OK, ())
    assert road.records().keys() == road.keys()
    for row in road.source.packages:
        tender = road.records()[row["key"]].tender
        assert tender.title == row["title"]
        assert [a.supplier for a in tender.awards] == [a["supplier"] for a in row["awards"]]
        assert [c.supplier for c in tender.contracts] == [c["supplier"] for c in row["contracts"]]
    assert road.crawl().changed == 0


def test_values_that_cannot_be_had_leave_those_that_are_kept(road: Road) -> None:
    road.use(f'api = "isb", {ANNOUNCED}, also = [{{ {VALUES} }}]')
    road.crawl()
    awards = {key: r.tender.awards for key, r in road.records().items()}
    road.server.faults.add("html", "SelesaiNilai")
    assert road.crawl().verdict is Verdict.FAILED
    assert {key: r.tender.awards for key, r in road.records().items()} == awards


def test_values_alone_tell_winners_of_tenders_without_a_name(road: Road) -> None:
    road.use(f'api = "isb", {VALUES}')
    assert road.crawl().verdict is Verdict.OK
    won = {row["key"] for row in road.source.packages if row["awards"]}
    assert road.records().keys() == won
    assert all("title" in r.tender.unread and r.tender.plans for r in road.records().values())


def test_keyed_plans_are_read(road: Road) -> None:
    road.use(f'api = "isb", {PROVIDER}, also = [{{ {OWN} }}]')
    run = road.crawl()
    assert (run.verdict, run.reasons, run.new) == (Verdict.OK, (), 40)
    tenders = [r.tender for r in road.records().values()]
    assert {t.kind for t in tenders} == {Kind.PLAN}
    assert all(t.url.startswith("https://sirup.inaproc.id/") and t.url.endswith(t.key) for t in tenders)
    assert [t.key for t in tenders if t.status is Status.CANCELLED] == ["61500000"]
    road.server.faults.add("stray", "PaketPenyedia")
    assert road.crawl().verdict is Verdict.PARTIAL


def test_a_key_that_is_not_set_is_asked_for_by_name(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARTA_TEST_UUID")
    monkeypatch.delenv("WARTA_TEST_TOKEN")
    for options, name in ((f'api = "isb", {ANNOUNCED}', "WARTA_TEST_UUID"), (GATEWAY, "WARTA_TEST_TOKEN")):
        road.use(options)
        run = road.crawl()
        assert (run.verdict, run.requests) == (Verdict.FAILED, 0)
        assert f"the environment has no {name}" in " ".join(run.reasons)


@pytest.mark.parametrize(
    "fault", ["", "echo", "error", "truncated", "hang_up", "challenge", "too_many", "away", "html"]
)
def test_no_key_is_written_anywhere(road: Road, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    if fault:
        road.server.faults.add(fault, "json|tender/", seconds=0, times=None if fault != "away" else 1)
    for options in (f'api = "isb", {ANNOUNCED}', GATEWAY):
        road.use(options)
        run = road.crawl()
        assert (run.verdict is Verdict.OK) == (fault in {"", "away"}), run.reasons
        told = "\n".join((*run.reasons, caplog.text, *(str(r.tender) for r in road.records().values())))
        assert UUID not in told
        assert TOKEN not in told
    written = road.everything_written()
    assert UUID.encode() not in written
    assert TOKEN.encode() not in written
    if fault == "echo":
        assert b"cannot answer /satudata/api/WARTA_TEST_UUID/json/" in written


def test_a_slow_answer_betrays_no_key(road: Road, caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    monkeypatch.setattr("spiders.settings.DOWNLOAD_TIMEOUT", 0.1)
    monkeypatch.setattr("spiders.settings.RETRY_TIMES", 0)
    caplog.set_level(logging.DEBUG)
    road.server.faults.add("slow", "json", seconds=0.5)
    road.use(f'api = "isb", {ANNOUNCED}')
    run = road.crawl()
    assert run.verdict is Verdict.FAILED
    assert "Timeout" in " ".join(run.reasons)
    assert UUID not in caplog.text + " ".join(run.reasons)


@pytest.mark.parametrize("options", [f'api = "isb", {ANNOUNCED}', GATEWAY])
def test_a_replay_needs_no_key(road: Road, options: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    road.use(options)
    road.crawl()
    kept = road.records()
    monkeypatch.delenv("WARTA_TEST_UUID")
    monkeypatch.delenv("WARTA_TEST_TOKEN")
    (run,) = replay(road.config, road.config.portal, road.repository, None, road.now)
    assert (run.reasons, run.seen, run.changed) == ((), len(kept), 0)


# Gateway --------------------------------------------------------------------------------------------------


def test_the_gateway_is_read_page_by_page(road: Road) -> None:
    road.source.page_cap = 7
    road.use(f'{GATEWAY}, also = ["tender/tender-selesai-nilai", "rup/paket-penyedia-terumumkan"]')
    run = road.crawl()
    assert (run.verdict, run.reasons) == (Verdict.OK, ())
    plans = {str(row["kd_rup"]) for row in road.source.plans}
    named = {plan for row in road.source.packages for plan in row["plans"]}
    assert road.records().keys() == road.keys() | (plans - named)  # the others stand in the dossiers of their tenders
    assert run.new == len(road.keys() | plans)
    won = sum(len(row["awards"]) for row in road.source.packages)
    assert road.server.stats.pages["page"] == -(-24 // 7) + -(-won // 7) + -(-30 // 7)


@pytest.mark.parametrize(
    ("fault", "verdict", "words"),
    [
        ("circle", Verdict.FAILED, "listing: tender/pengumuman 2026: the cursor repeats"),
        ("endless", Verdict.FAILED, "listing: tender/pengumuman 2026: the gateway goes on without new rows"),
        ("no_cursor", Verdict.FAILED, "there is more, and not where"),
        ("unsuccessful", Verdict.FAILED, "listing: tender/pengumuman 2026: the gateway says that it failed"),
        ("no_meta", Verdict.FAILED, "does not say whether there is more"),
        ("html", Verdict.FAILED, "no JSON"),
        ("forbidden", Verdict.FAILED, "refused: tender/pengumuman 2026: 403: the token may not read this"),
        ("puzzled", Verdict.FAILED, "listing: tender/pengumuman 2026: 400: the gateway refuses the question"),
        ("error", Verdict.FAILED, "listing: tender/pengumuman 2026: 500"),
        ("too_many", Verdict.FAILED, "rate_limited"),
        ("boastful", Verdict.PARTIAL, "short: tender/pengumuman: 24 rows of 29 announced"),
        ("stray", Verdict.PARTIAL, "filter: tender/pengumuman 2026"),
        ("duplicates", Verdict.PARTIAL, "duplicate_key"),
        ("drifted", Verdict.FAILED, "without kd_tender"),
        ("new_word", Verdict.OK, "unknown_label: status Menari"),
    ],
)
def test_each_lie_of_the_gateway_is_told_and_loses_nothing(
    road: Road, fault: str, verdict: Verdict, words: str
) -> None:
    road.use(GATEWAY)
    road.crawl()
    road.source.page_cap = 20
    road.server.faults.add(fault, "gateway", seconds=0)
    run = road.crawl()
    assert (run.verdict, words in " ".join(run.reasons)) == (verdict, True), run.reasons
    assert road.records().keys() == road.keys()
    assert Status.WITHDRAWN not in {r.tender.status for r in road.records().values()}


def test_pages_that_came_before_the_gateway_broke_off_are_kept(road: Road) -> None:
    road.source.page_cap = 7
    road.use(f'{GATEWAY}, also = ["tender/tender-selesai-nilai"]')
    fault = road.server.faults.add("error", "pengumuman", skip=2)
    run = road.crawl()
    assert (run.verdict, fault.hits, len(road.records())) == (Verdict.FAILED, 3, 14)
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    awards = {key: r.tender.awards for key, r in road.records().items()}
    assert awards.keys() == road.keys()
    road.server.faults.add("error", "selesai-nilai", skip=1)
    assert road.crawl().verdict is Verdict.FAILED
    assert {key: r.tender.awards for key, r in road.records().items()} == awards


def test_a_limit_asks_for_no_more_rows_than_that(road: Road) -> None:
    road.use(GATEWAY)
    run = road.crawl(limit=3)
    assert (run.verdict, run.seen, len(road.records())) == (Verdict.OK, 3, 3)
    assert road.server.stats.requests[-1].address.endswith("limit=3")


def test_a_wrong_token_and_a_wrong_question_are_told(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    road.use(GATEWAY)
    monkeypatch.setenv("WARTA_TEST_TOKEN", "another-token-altogether")
    run = road.crawl()
    assert "refused: tender/pengumuman 2026: 401: the gateway does not know the token" in " ".join(run.reasons)
    assert run.requests == 2  # robots.txt, and no second attempt
    monkeypatch.setenv("WARTA_TEST_TOKEN", TOKEN)
    road.use(GATEWAY.replace("D228", "D999"))
    assert road.crawl().verdict is Verdict.OK  # another body's year may be empty


def test_the_family_is_found_once_and_the_finder_is_none() -> None:
    from scrapy.spiderloader import SpiderLoader

    names = SpiderLoader.from_settings(Settings({"SPIDER_MODULES": ["spiders.satudata"]})).list()
    assert names == ["satudata"]


# With SPSE ------------------------------------------------------------------------------------------------


def test_the_same_purchase_of_two_sources_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(NOW, tenders=6, non_tenders=0, recorded=0, self_managed=0, emergencies=0, hostile=False)
    lkpp = SatuData(NOW, world.truth())
    with serve([SpseStandIn(world), lkpp]) as server:
        tables = (
            f'[[portal]]\nid = "malangkota"\nfamily = "spse"\nname = "LPSE"\nurl = "{{url}}/malangkota"\n'
            f'[[portal]]\nid = "lkpp"\nfamily = "satudata"\nname = "LKPP"\nurl = "{{url}}/satudata/api/satudata"\n'
            f'options = {{ api = "open", kd_lpse = {MALANG} }}\n'
        )
        config = make_config(tables, server.url, tmp_path)
        repository = Repository(open_database(config.database_url))
        years = Order(years=(2025, 2026, 2027), kinds=(Kind.TENDER,))
        runs = crawl(config, config.portal, repository, years, now=NOW)
    assert {run.verdict for run in runs} == {Verdict.OK}
    records = list(repository.find(ALL, NOW, WIB))
    assert {r.tender.key for r in records} == {row["key"] for row in world.truth()}
    assert all(len(r.sources) == 2 and r.sources[0].portal == "malangkota" for r in records)


# Discovery ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def run_warta(road: Road, monkeypatch: Any, capsys: Any, *arguments: str) -> Said:
    (road.config.folder / "warta.toml").write_text(HEAD, encoding="utf-8")
    monkeypatch.chdir(road.config.folder)
    monkeypatch.setattr(sys, "argv", ["warta", *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        command_line.main()
    return Said(int(end.value.code or 0), *capsys.readouterr())


def test_discovery_prints_tables_that_load(road: Road, monkeypatch: Any, capsys: Any) -> None:
    source = road.server.url + BASES["open"]
    said = run_warta(road, monkeypatch, capsys, "portals", "--discover", "malang", "--from", source)
    assert said.code == 0
    tables = tomllib.loads(said.out)["portal"]
    assert [t["id"] for t in tables[:2]] == ["malangkab", "malangkota"]
    assert all("malang" in t["name"].casefold() for t in tables)
    assert len({t["id"] for t in tables}) == len(tables) == 5
    parse_config(HEAD + said.out, Path("warta.toml"))
    assert "check" in said.err
    assert "check the slug" in said.out


def test_discovery_of_nothing_and_of_a_broken_list_is_told(road: Road, monkeypatch: Any, capsys: Any) -> None:
    source = road.server.url + BASES["open"]
    said = run_warta(road, monkeypatch, capsys, "portals", "--discover", "atlantis", "--from", source)
    assert (said.code, said.out) == (1, "")
    assert "no LPSE whose name holds 'atlantis'" in said.err
    road.server.faults.add("html", "MasterLPSE")
    said = run_warta(road, monkeypatch, capsys, "portals", "--discover", "malang", "--from", source)
    assert (said.code, said.out) == (1, "")
    assert "no JSON where rows were due" in said.err
    said = run_warta(road, monkeypatch, capsys, "portals", "--discover", "malang", "--from", "http://127.0.0.1:9/x")
    assert (said.code, said.out) == (1, "")
    assert "ConnectionRefused" in said.err.replace("DownloadConnectionRefused", "ConnectionRefused")
    for wrong in (["--from", source], ["--discover", "malang", "--from", "isb.lkpp.go.id"]):
        said = run_warta(road, monkeypatch, capsys, "portals", *wrong)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)


def test_faults_of_the_stand_in_are_all_tried() -> None:
    assert NUMBERS.keys() == {
        "SPSE-TenderPengumuman",
        "SPSE-TenderSelesaiNilai",
        *(s for s in NUMBERS if s[:3] == "RUP"),
    }
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FAULTS if f'"{name}"' not in text] == []


if __name__ == "__main__":
    write_values(ANSWERS, read_page)


def test_a_number_that_is_none_never_becomes_part_of_an_address() -> None:
    rows = [{"kd_lpse": "../../x", "nama_lpse": "LPSE Kota Malang"}]
    with pytest.raises(ShapeError, match="a kd_lpse that is none"):
        parse_master(json.dumps(rows).encode(), "lpse")
