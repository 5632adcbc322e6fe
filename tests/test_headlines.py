"""What a release tells: the table of the house in both languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from aggregator.models import Award, Contract, Event, Kind, Milestone, Money, Status, Tender
from feeds.words.headlines import News, tell_release
from feeds.words.wording import NBSP, Wording
from tests.feed_samples import TENDER, WIB, make_release

OLD, NEW = "2026-11-27T14:00:00+07:00", "2026-12-03T14:00:00+07:00"


def tell(
    *events: Event,
    language: Any = "id",
    tender: Tender = TENDER,
    since: datetime | None = None,
    **moves: Any,
) -> tuple[str, ...]:
    """Headline, then lines, with plain spaces."""
    news = tell_release(make_release(*events, **moves), tender, Wording(language, WIB), since)
    return tuple(text.replace(NBSP, " ") for text in (news.headline, *news.lines))


def rupiah(amount: int, currency: str = "IDR") -> dict[str, str]:
    return {"amount": f"{amount}.00", "currency": currency}


def test_new() -> None:
    assert tell(Event.NEW) == ("Paket baru",)
    assert tell(Event.NEW, language="en") == ("New package",)


def test_deadline() -> None:
    line = "Batas akhir penawaran: 27 Nov 2026, 14.00 WIB → 3 Des 2026, 14.00 WIB."
    assert tell(Event.DEADLINE, deadline=(OLD, NEW)) == ("Batas akhir diperpanjang 6 hari", line)
    assert tell(Event.DEADLINE, deadline=(NEW, OLD))[0] == "Batas akhir dimajukan 6 hari"
    assert tell(Event.DEADLINE, language="en", deadline=(OLD, NEW)) == (
        "Deadline extended by 6 days",
        "Bids close: 27 Nov 2026, 14:00 WIB → 3 Dec 2026, 14:00 WIB.",
    )
    assert tell(Event.DEADLINE, language="en", deadline=(NEW, OLD))[0] == "Deadline brought forward by 6 days"
    assert tell(Event.DEADLINE, deadline=(None, NEW)) == (
        "Batas akhir diumumkan",
        "Batas akhir penawaran: 3 Des 2026, 14.00 WIB.",
    )
    assert tell(Event.DEADLINE, deadline=(OLD, None)) == (
        "Batas akhir dihapus",
        "Batas akhir penawaran: 27 Nov 2026, 14.00 WIB → belum diumumkan.",
    )


def test_registration() -> None:
    assert tell(Event.REGISTRATION, registration_deadline=(OLD, NEW)) == (
        "Pendaftaran diperpanjang 6 hari",
        "Akhir pendaftaran: 27 Nov 2026, 14.00 WIB → 3 Des 2026, 14.00 WIB.",
    )


def test_prices() -> None:
    down: dict[str, Any] = {"value": (rupiah(5_970_000_000), rupiah(5_912_300_000))}
    assert tell(Event.VALUE, **down) == (
        "HPS turun Rp57,7 juta (1,0%)",
        "HPS: Rp5.970.000.000,00 → Rp5.912.300.000,00.",
    )
    assert tell(Event.VALUE, language="en", **down) == (
        "HPS down Rp57.7 million (1.0%)",
        "HPS: Rp5,970,000,000.00 → Rp5,912,300,000.00.",
    )
    assert tell(Event.BUDGET, budget=(rupiah(100_000_000), rupiah(150_000_000))) == (
        "Pagu naik Rp50 juta (50,0%)",
        "Pagu: Rp100.000.000,00 → Rp150.000.000,00.",
    )
    assert tell(Event.BUDGET, language="en", budget=(rupiah(0), rupiah(1)))[0] == "Budget up Rp1"
    assert tell(Event.VALUE, value=(None, rupiah(10)))[0] == "HPS diumumkan"
    assert tell(Event.VALUE, value=(rupiah(10), None))[0] == "HPS dihapus"
    assert tell(Event.VALUE, value=(rupiah(10), rupiah(10, "USD")))[0] == "HPS berubah"


def test_the_last_stage_is_not_said_twice() -> None:
    assert tell(Event.STAGE, stage=("Masa Sanggah", "Tender Sudah Selesai"), status=("active", "complete")) == (
        "Selesai",
        "Tahap: Masa Sanggah → Tender Sudah Selesai.",
    )


def test_the_status_of_what_is_recorded_is_never_open() -> None:
    recorded = replace(TENDER, kind=Kind.RECORDED, deadline=None)
    assert tell(Event.STAGE, tender=recorded, status=("complete", "active"))[0] == "Status kini Sedang berjalan"


def test_stage_and_status() -> None:
    assert tell(Event.STAGE, stage=("Upload Dokumen Penawaran", "Evaluasi")) == (
        "Masuk tahap Evaluasi",
        "Tahap: Upload Dokumen Penawaran → Evaluasi.",
    )
    assert tell(Event.STAGE, language="en", stage=("Upload Dokumen Penawaran", "Evaluasi")) == (
        "Now at stage Evaluasi",
        "Stage: Upload Dokumen Penawaran → Evaluasi.",
    )
    assert tell(Event.STAGE, status=("active", "complete")) == ("Status kini Selesai", "Status: Terbuka → Selesai.")
    assert tell(Event.STAGE, status=("active", None))[0] == "Rincian berubah"


def test_retender() -> None:
    tender = replace(TENDER, retender=True, retender_reason="Semua penawaran gugur")
    moves: dict[str, Any] = {"retender": (False, True), "retender_reason": (None, "Semua penawaran gugur")}
    assert tell(Event.RETENDER, tender=tender, **moves) == (
        "Ditender ulang",
        "Alasan di portal: “Semua penawaran gugur”. Batas akhir baru: 3 Des 2026, 14.00 WIB.",
    )
    assert tell(Event.RETENDER, tender=tender, language="en", **moves) == (
        "Retendered",
        "Reason on the portal: “Semua penawaran gugur”. New deadline: 3 Dec 2026, 14:00 WIB.",
    )


@pytest.mark.parametrize(
    ("event", "status", "headlines"),
    [
        (Event.CANCELLED, Status.CANCELLED, ("Dibatalkan", "Cancelled")),
        (Event.UNSUCCESSFUL, Status.UNSUCCESSFUL, ("Gagal", "Unsuccessful")),
    ],
)
def test_endings(event: Event, status: Status, headlines: tuple[str, str]) -> None:
    tender = replace(TENDER, status=status, cancellation_reason="Anggaran <dialihkan>")
    moves: dict[str, Any] = {"status": ("active", status.value), "stage": ("Evaluasi", "Tender Batal")}
    assert tell(event, tender=tender, **moves) == (headlines[0], "Alasan di portal: “Anggaran ‹dialihkan›”.")
    silent = replace(tender, cancellation_reason=None)
    assert tell(event, tender=silent, **moves) == (headlines[0], "Portal tidak menyebut alasan.")
    assert tell(event, tender=silent, language="en", **moves) == (headlines[1], "The portal gives no reason.")
    unread = replace(silent, unread=frozenset({"cancellation_reason"}))
    assert tell(event, tender=unread, **moves) == (headlines[0],)


def winner(amount: int | None, value: int | None = 4_031_800_000) -> Tender:
    award = Award(supplier="CV Contoh Karya Arjuna", amount=None if amount is None else Money(Decimal(amount)))
    return replace(TENDER, value=None if value is None else Money(Decimal(value)), awards=(award,))


@pytest.mark.parametrize(
    ("tender", "line"),
    [
        (winner(3_664_900_000), "Rp3.664.900.000,00: Rp366.900.000,00 (9,1%) di bawah HPS."),
        (winner(4_132_595_000), "Rp4.132.595.000,00: Rp100.795.000,00 (2,5%) di atas HPS."),
        (winner(4_031_800_000), "Rp4.031.800.000,00: sama dengan HPS."),
        (winner(3_664_900_000, None), "Rp3.664.900.000,00."),
        (winner(3_664_900_000, 0), "Rp3.664.900.000,00."),
    ],
)
def test_a_winner_is_compared_with_the_hps(tender: Tender, line: str) -> None:
    award = tender.as_dict()["awards"]
    assert tell(Event.AWARD, tender=tender, awards=([], award)) == (
        "Pemenang ditetapkan",
        f"CV Contoh Karya Arjuna, {line}",
    )


def test_winners() -> None:
    assert tell(Event.AWARD, tender=winner(3_664_900_000), language="en") == (
        "Winner named",
        "CV Contoh Karya Arjuna, Rp3,664,900,000.00: Rp366,900,000.00 (9.1%) below HPS.",
    )
    assert tell(Event.AWARD, tender=winner(None)) == ("Pemenang ditetapkan", "CV Contoh Karya Arjuna.")
    two = replace(TENDER, awards=(Award(supplier="CV A", amount=Money(Decimal(5))), Award(supplier="CV B")))
    assert tell(Event.AWARD, tender=two)[1] == "CV A, Rp5,00; CV B."
    other = tell(Event.AWARD, tender=winner(None), awards=([{"supplier": "CV Lama", "amount": None, "date": None}], []))
    assert other[1] == "CV Contoh Karya Arjuna. Semula: CV Lama."
    nameless = replace(TENDER, awards=(Award(supplier=None),))
    assert tell(Event.AWARD, tender=nameless) == ("Pemenang ditetapkan",)


def test_contract() -> None:
    contract = Contract(
        supplier="CV Contoh", amount=Money(Decimal(3_664_900_000)), date=datetime(2026, 9, 14, tzinfo=WIB)
    )
    tender = replace(TENDER, contracts=(contract,))
    assert tell(Event.CONTRACT, tender=tender) == (
        "Kontrak ditandatangani",
        "CV Contoh, Rp3.664.900.000,00, 14 Sep 2026.",
    )
    assert tell(Event.CONTRACT, tender=tender, language="en")[0] == "Contract signed"
    assert tell(Event.CONTRACT, tender=replace(tender, kind=Kind.RECORDED))[0] == "Realisasi dicatat"


def test_withdrawn_and_returned() -> None:
    assert tell(Event.WITHDRAWN, status=("active", "withdrawn")) == (
        "Tidak tampil lagi di portal",
        "Dua pembacaan lengkap tidak menemukannya; isi terakhir tersimpan.",
    )
    since = datetime(2026, 11, 3, 1, tzinfo=UTC)
    assert tell(Event.RETURNED, since=since, status=("withdrawn", "active")) == (
        "Tampil lagi di portal",
        "Hilang sejak 3 Nov 2026.",
    )
    assert tell(Event.RETURNED, language="en", since=since)[1] == "Missing since 3 Nov 2026."
    assert tell(Event.RETURNED) == ("Tampil lagi di portal",)


def row(title: str, start: int | None, end: int | None, hour: int = 10) -> dict[str, Any]:
    ends = None if end is None else datetime(2026, 12, end, hour, tzinfo=WIB)
    starts = None if start is None else datetime(2026, 12, start, 8, tzinfo=WIB)
    return Milestone(title=title, starts=starts, ends=ends).as_dict()


def test_schedule() -> None:
    old = [row("Evaluasi", 4, 8), row("Penetapan pemenang", 14, 14), row("Masa sanggah", 15, 19)]
    moved = [old[0], row("Penetapan pemenang", 18, 18), old[2]]
    assert tell(Event.SCHEDULE, milestones=(old, moved)) == (
        "Jadwal berubah",
        "Penetapan pemenang: 14 Des 2026 → 18 Des 2026.",
    )
    assert tell(Event.SCHEDULE, language="en", milestones=(old, moved))[0] == "Schedule changed"
    all_moved = [row(before["title"], 20, 21) for before in old]
    assert tell(Event.SCHEDULE, milestones=(old, all_moved))[1] == (
        "Evaluasi: 8 Des 2026 → 21 Des 2026, dan 2 lainnya."
    )
    same_day = [row("Evaluasi", 4, 8, hour=16), *old[1:]]
    assert tell(Event.SCHEDULE, milestones=(old, same_day))[1] == (
        "Evaluasi: 8 Des 2026, 10.00 WIB → 8 Des 2026, 16.00 WIB."
    )
    start_only = [row("Evaluasi", 5, 8), *old[1:]]
    assert tell(Event.SCHEDULE, milestones=(old, start_only))[1] == "Evaluasi: 4 Des 2026 → 5 Des 2026."
    assert tell(Event.SCHEDULE, milestones=([], old[:1]))[1] == "Evaluasi: 8 Des 2026."


def test_location() -> None:
    assert tell(Event.LOCATION, locations=(["Kec. Klojen"], ["Kec. Blimbing", "Kec. Sukun"])) == (
        "Lokasi berubah",
        "Lokasi: Kec. Klojen → Kec. Blimbing; Kec. Sukun.",
    )


def test_details() -> None:
    assert tell(Event.DETAILS, title=("Belanja", "Belanja ATK"), category=("goods", "works"), plans=(["1"], [])) == (
        "Rincian berubah",
        "Nama paket: Belanja → Belanja ATK. Jenis pengadaan: Pengadaan Barang → Pekerjaan Konstruksi. "
        "Rencana (RUP): 1 → belum diumumkan.",
    )
    assert tell(Event.DETAILS, retender=(True, False))[1] == "Tender ulang: ya → tidak."
    gone = [{"supplier": "CV A", "amount": None, "date": None}]
    assert tell(Event.DETAILS, awards=(gone, []))[1] == "Pemenang: CV A → belum diumumkan."
    assert tell(Event.DETAILS, published=(OLD, NEW))[1] == "Tayang: 27 Nov 2026 → 3 Des 2026."
    assert tell(Event.DETAILS, fiscal_years=([2026], [2026, 2027]))[1] == "Tahun anggaran: 2026 → 2026, 2027."


def test_several_changes_one_line_each_deadline_first() -> None:
    moves: dict[str, Any] = {
        "stage": ("Upload", "Evaluasi"),
        "value": (rupiah(20), rupiah(10)),
        "deadline": (OLD, NEW),
        "milestones": ([], [row("Evaluasi", 4, 8)]),
    }
    lines = (
        "Batas akhir penawaran: 27 Nov 2026, 14.00 WIB → 3 Des 2026, 14.00 WIB.",
        "HPS: Rp20,00 → Rp10,00.",
        "Tahap: Upload → Evaluasi.",
    )
    assert tell(Event.STAGE, Event.VALUE, Event.DEADLINE, **moves) == ("3 perubahan", *lines)
    assert tell(Event.STAGE, Event.VALUE, Event.DEADLINE, language="en", **moves)[0] == "3 changes"


def test_news_keeps_the_headline_whatever_moved_beside_it() -> None:
    tender = replace(TENDER, status=Status.CANCELLED)
    headline, *lines = tell(
        Event.CANCELLED, Event.DETAILS, tender=tender, status=("active", "cancelled"), title=("A", "B")
    )
    assert headline == "Dibatalkan"
    assert lines == ["Portal tidak menyebut alasan.", "Nama paket: A → B."]


def test_a_release_without_events_still_says_something() -> None:
    assert tell_release(make_release(), TENDER, Wording("id", WIB)) == News("Rincian berubah", ())
