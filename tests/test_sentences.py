"""What is said of a tender: the examples of the house in both languages, and its 30 words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from aggregator.models import Award, Category, Contract, Kind, Milestone, Money, Sanction, Status, Tender
from feeds.words.sentences import list_facts, short_name, tell_tender
from feeds.words.wording import NBSP, Language, Wording
from tests.feed_samples import TENDER, WIB, hostile_tenders

ID, EN = Wording("id", WIB), Wording("en", WIB)


def told(tender: Tender, wording: Wording = ID) -> str:
    return tell_tender(tender, wording).replace(NBSP, " ")


def test_an_open_tender() -> None:
    assert told(TENDER) == (
        "HPS Rp5,9 miliar, DPUPRPKP, penawaran ditutup Kamis, 3 Desember 2026, 14.00 WIB. "
        "Pekerjaan Konstruksi, Tender, Kec. Lowokwaru."
    )
    assert told(TENDER, EN) == (
        "HPS Rp5.9 billion, DPUPRPKP, bids close Thursday 3 December 2026, 14:00 WIB (UTC+7). "
        "Works, Tender, Kec. Lowokwaru."
    )


def test_no_hps_no_value_registration_only() -> None:
    budget_only = replace(TENDER, value=None, registration_deadline=TENDER.deadline, deadline=None)
    assert told(budget_only).startswith(
        "Pagu Rp6 miliar, DPUPRPKP, pendaftaran ditutup Kamis, 3 Desember 2026, 14.00 WIB."
    )
    assert told(budget_only, EN).startswith(
        "Budget Rp6 billion, DPUPRPKP, registration closes Thursday 3 December 2026, 14:00 WIB (UTC+7)."
    )
    bare = replace(TENDER, value=None, budget=None, deadline=None)
    assert told(bare).startswith("Nilai belum diumumkan, DPUPRPKP, jadwal belum diumumkan.")
    assert told(bare, EN).startswith("Value not announced, DPUPRPKP, dates not announced.")


def test_what_nobody_has_looked_at_is_not_called_unannounced() -> None:
    row_only = replace(
        TENDER, value=None, budget=None, deadline=None, unread=frozenset({"value", "budget", "deadline"})
    )
    assert told(row_only) == "DPUPRPKP. Pekerjaan Konstruksi, Tender, Kec. Lowokwaru."
    assert told(replace(TENDER, deadline=None, status=Status.COMPLETE)).startswith("HPS Rp5,9 miliar, DPUPRPKP. ")


def test_a_plan() -> None:
    plan = Tender(
        portal="sirup",
        kind=Kind.PLAN,
        key="61521911",
        title="Pengadaan obat",
        url="https://sirup.example/",
        procuring_entity="Dinas Kesehatan",
        budget=Money(Decimal(750_000_000)),
        fiscal_years=(2027,),
        milestones=(
            Milestone(title="Kontrak", starts=datetime(2027, 3, 1, tzinfo=WIB), ends=None),
            Milestone(title="Pemilihan", starts=datetime(2027, 1, 1, tzinfo=WIB), ends=None),
        ),
    )
    assert told(plan) == "Rencana 2027: pagu Rp750 juta, Dinas Kesehatan, pemilihan mulai Januari 2027."
    assert told(plan, EN) == "Plan 2027: budget Rp750 million, Dinas Kesehatan, selection from January 2027."
    unknown = replace(plan, budget=None, milestones=(), fiscal_years=())
    assert told(unknown) == "Rencana: nilai belum diumumkan, Dinas Kesehatan."
    own = replace(plan, milestones=plan.milestones[:1], status=Status.PLANNED)
    assert told(own) == "Rencana 2027: pagu Rp750 juta, Dinas Kesehatan, pelaksanaan mulai Maret 2027."
    assert facts(plan) | {"Kode RUP": "61521911"} == facts(plan)
    assert facts(plan)["Jadwal"] == "Kontrak: Maret 2027; Pemilihan: Januari 2027"


def test_a_notice() -> None:
    notice = Tender(
        portal="worldbank",
        kind=Kind.NOTICE,
        key="OP00012345",
        title="Consulting Services for Flood Control",
        url="https://projects.example.org/OP00012345",
        buyer="Ministry of Public Works",
        category=Category.CONSULTING,
        status=Status.ACTIVE,
        stage="Request for Expression of Interest",
        deadline=datetime(2026, 12, 3, 14, tzinfo=WIB),
    )
    assert told(notice) == (
        "Ministry of Public Works, penawaran ditutup Kamis, 3 Desember 2026, 14.00 WIB. "
        "Jasa Konsultansi, Request for Expression of Interest."
    )
    assert facts(notice)["Nomor pengumuman"] == "OP00012345"
    assert facts(notice)["Menurut sumber"] == "Request for Expression of Interest"


def test_a_notice_of_a_blacklist() -> None:
    sanction = Sanction(
        supplier="PT Contoh",
        decree="12/SK/2026",
        reason="Mengundurkan diri setelah ditetapkan",
        starts=datetime(2026, 12, 3, tzinfo=WIB),
        ends=datetime(2027, 12, 3, tzinfo=WIB),
    )
    notice = Tender(
        portal="hitam",
        kind=Kind.NOTICE,
        key="7",
        title="Daftar hitam: PT Contoh",
        url="https://daftar-hitam.example/7",
        procuring_entity="Dinas Kesehatan",
        status=Status.ACTIVE,
        sanctions=(sanction,),
    )
    days = "berlaku 3 Des 2026 s.d. 2 Des 2027"
    assert told(notice) == f"SK 12/SK/2026, {days}, Dinas Kesehatan, Mengundurkan diri setelah ditetapkan."
    assert told(notice, EN).startswith("Decree 12/SK/2026, in force 3 Dec 2026 to 2 Dec 2027, Dinas Kesehatan")
    assert facts(notice)["Sanksi"] == f"PT Contoh, SK 12/SK/2026, {days}, Mengundurkan diri setelah ditetapkan"
    eastern = tell_tender(notice, Wording("id", ZoneInfo("Asia/Jayapura")))
    assert days in eastern  # days of the list, not of the reader
    bare = replace(notice, procuring_entity=None, sanctions=(Sanction(supplier="PT Contoh", starts=sanction.starts),))
    assert told(bare) == "Berlaku mulai 3 Des 2026."
    unknown = replace(bare, sanctions=(Sanction(supplier="PT Contoh"),))
    assert told(unknown) == "Pengumuman."


@pytest.mark.parametrize("kind", [Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY])
def test_a_recorded_purchase(kind: Kind) -> None:
    recorded = Tender(
        portal="malangkota",
        kind=kind,
        key="1",
        title="Belanja ATK",
        url=TENDER.url,
        procuring_entity="Dinas Kesehatan",
        budget=Money(Decimal(168_250_000)),
        published=datetime(2026, 11, 12, tzinfo=WIB),
        status=Status.COMPLETE,
    )
    assert told(recorded) == "Nilai Rp168,3 juta, Dinas Kesehatan, dicatat 12 Nov 2026. Selesai."
    assert told(recorded, EN) == "Value Rp168.3 million, Dinas Kesehatan, recorded 12 Nov 2026. Complete."


def test_news_and_the_barest_tender() -> None:
    news = Tender(
        portal="blp", kind=Kind.NEWS, key="7", title="Bimtek", url=TENDER.url, description="Undangan <b>bimtek"
    )
    assert told(news) == "Undangan ‹b›bimtek"
    assert told(replace(news, description=None)) == "Berita"
    unread = replace(news, kind=Kind.NOTICE, unread=frozenset({"value", "deadline"}))
    assert told(unread) == "Pengumuman."


def test_retender_status_and_places() -> None:
    many = replace(TENDER, retender=True, status=Status.CANCELLED, locations=("A", "B", "C", "D"))
    assert told(many).endswith("Pekerjaan Konstruksi, Tender, A, B, dan 2 lainnya, tender ulang, dibatalkan.")
    assert told(many, EN).endswith("Works, Tender, A, B, and 2 more, retender, cancelled.")


def test_units_are_as_the_source_gives_them_but_never_hide_the_deadline() -> None:
    assert short_name("DINAS PEKERJAAN UMUM, PENATAAN RUANG") == "DINAS PEKERJAAN UMUM, PENATAAN RUANG"
    long = short_name(" ".join(["bidang"] * 40))
    assert long.endswith("…")
    assert len(long.split()) <= 12


@pytest.mark.parametrize("wording", [ID, EN], ids=["id", "en"])
@given(tender=hostile_tenders())
def test_value_unit_and_deadline_stand_in_the_first_thirty_words(wording: Wording, tender: Tender) -> None:
    shown = tell_tender(tender, wording)
    assert shown
    assert not set("<>") & set(shown)
    if tender.kind in {Kind.TENDER, Kind.NON_TENDER, Kind.NOTICE} and not tender.sanctions:
        head = " ".join(shown.split()[:30])
        parts = [short_name(tender.procuring_entity or tender.buyer or "")]
        if money := tender.value or tender.budget:
            parts.append(wording.short_money(money))
        if deadline := tender.deadline or tender.registration_deadline:
            parts.append(wording.long_time(deadline))
        for part in parts:
            assert " ".join(part.split()).lower() in head.lower()


def facts(tender: Tender, language: Language = "id") -> dict[str, str]:
    return dict(list_facts(tender, Wording(language, WIB)))


def test_facts_are_exact_and_complete() -> None:
    award = Award(supplier="CV Contoh <Karya>", amount=Money(Decimal(3_664_900_000)))
    contract = Contract(supplier="CV Contoh", amount=award.amount, date=datetime(2026, 9, 14, tzinfo=WIB))
    tender = replace(TENDER, awards=(award,), contracts=(contract,), retender_reason="Semua gugur")
    assert facts(tender) == {
        "Kode paket": "10099412000",
        "Jenis pengumuman": "Tender",
        "Instansi": "Kota Malang",
        "Satuan kerja": "DPUPRPKP",
        "Jenis pengadaan": "Pekerjaan Konstruksi",
        "Metode": "Terbuka, Tender",
        "Tahap saat ini": "Upload Dokumen Penawaran",
        "Pagu (anggaran)": "Rp6.000.000.000,00",
        "HPS (harga perkiraan sendiri)": "Rp5.912.300.000,00",
        "Tahun anggaran": "2026",
        "Tayang": "13 Nov 2026",
        "Batas akhir penawaran": "Kamis, 3 Desember 2026, 14.00\u00a0WIB",
        "Lokasi": "Kec. Lowokwaru",
        "Rencana (RUP)": "61521911",
        "Pemenang": "CV Contoh ‹Karya›, Rp3.664.900.000,00",
        "Kontrak": "CV Contoh, Rp3.664.900.000,00, 14 Sep 2026",
        "Alasan diulang": "Semua gugur",
    }
    assert facts(tender, "en")["HPS (owner's estimate)"] == "Rp5,912,300,000.00"
    assert facts(replace(tender, category=None), "en")["Category"] == "Pekerjaan Konstruksi"
    assert facts(replace(tender, category=Category.GOODS), "en")["Category"] == "Goods"


def test_facts_leave_out_what_moves_without_a_change() -> None:
    assert facts(replace(TENDER, participants=23, incomplete=True, url="https://elsewhere.example/")) == facts(TENDER)
    assert len(facts(replace(TENDER, locations=tuple("x" * 90 for _ in range(500))))["Lokasi"]) <= 1000
