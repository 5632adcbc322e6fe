"""The page of one tender, in each state it may be in: what it says, and that it stays light, harmless and the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.models import (
    Award,
    Contract,
    Event,
    Kind,
    Milestone,
    Money,
    Release,
    Sanction,
    Source,
    Status,
    Tender,
)
from aggregator.sanctions import Blacklist
from aggregator.versions import Told
from feeds.definitions import shipped_feeds
from feeds.entries import Around
from feeds.pages.site import Site, load_site
from feeds.pages.tender_page import MOST_PAGE, render_tender_page
from feeds.words.wording import Language
from tests.feed_samples import READ, TENDER, WIB, hostile_tenders, make_config, make_record, make_release
from tests.test_site import Page

SIRUP = """
[[portal]]
id = "sirup"
family = "sirup"
name = "SiRUP"
url = "https://sirup.example.go.id/"
"""
CONFIG = make_config(feeds=SIRUP)
CONTACT = CONFIG.publisher.model_copy(update={"contact": "https://blp.example.go.id/kontak"})
CONFIG = CONFIG.model_copy(update={"publisher": CONTACT})
ENGLISH = CONFIG.model_copy(update={"publisher": CONTACT.model_copy(update={"language": "en"})})
SITES: dict[str, Site] = {config.publisher.language: load_site(config, sample=False) for config in (CONFIG, ENGLISH)}
DISCOVERED = [feed for feed in shipped_feeds(CONFIG, ()) if feed.id in {"semua", "perubahan"}]
CALENDAR = "tenders/malangkota/tender/10099412000.ics"

ROWS = (
    Milestone(
        title="Pemberian Penjelasan",
        starts=datetime(2026, 11, 18, 9, tzinfo=WIB),
        ends=datetime(2026, 11, 18, 11, tzinfo=WIB),
    ),
    Milestone(
        title="Upload Dokumen Penawaran",
        starts=datetime(2026, 11, 19, 8, tzinfo=WIB),
        ends=datetime(2026, 12, 3, 14, tzinfo=WIB),
    ),
)
OPEN = replace(TENDER, milestones=ROWS)
PRICE = Money(Decimal("5374280700.00"))  # 9.1% below the HPS
WON = replace(OPEN, status=Status.COMPLETE, awards=(Award(supplier="CV Contoh", amount=PRICE),), participants=23)


def render(
    tender: Tender,
    *past: Release,
    language: Language = "id",
    now: datetime = READ,
    blacklist: Iterable[Tender] = (),
    calendar: str | None = None,
    **fields: Any,
) -> str:
    record = replace(make_record(tender), **fields)
    told = Told(record, tuple((release, tender) for release in past))
    around = Around({each.id: each for each in CONFIG.portal}, Blacklist(map(make_record, blacklist)))
    return render_tender_page(SITES[language], told, around, now, DISCOVERED, calendar).decode()


def read(html: str) -> str:
    """What stands on the page, without the block of data."""
    text = re.sub(r"<script type.*?</script>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", " ".join(Page(text).texts)).replace("\u00a0", " ")


def links(html: str) -> dict[str, str]:
    return {
        re.sub(r"<[^>]*>", "", text).strip(): address
        for address, text in re.findall(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', html, re.S)
    }


def data(html: str) -> dict[str, Any]:
    (block,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', html, re.S)
    graph: dict[str, Any] = json.loads(block)
    return graph


def test_an_open_tender() -> None:
    html = render(OPEN, calendar=CALENDAR)
    page, ways = read(html), links(html)
    for words in ("Terbuka", TENDER.title, "Rp5.912.300.000,00", "Rp6.000.000.000,00"):
        assert words in page
    facts = page.partition("Keterangan")[2].partition("Sumber")[0]
    for words in ("HPS", "Pagu", "Batas akhir", "Satuan kerja"):  # stand above in full
        assert words not in facts
    assert "Batas akhir penawaran Kamis, 3 Desember 2026, 14.00 WIB" in page
    assert '<time datetime="2026-12-03T14:00:00+07:00" data-closes>' in html
    assert ways["Buka di LPSE Kota Malang"] == TENDER.url
    assert ways["Tambahkan ke kalender"] == f"../../../{CALENDAR}"
    assert ways["Ikuti perubahan"] == "../../../cari.html?portal=malangkota&amp;kind=tender&amp;key=10099412000"
    assert "Penawaran disampaikan lewat LPSE Kota Malang, bukan di sini." in page
    assert ways["DPUPRPKP"] == "../../../cari.html?procuring_entity=dpuprpkp"
    assert ways["Laporkan / tanya"] == "https://blp.example.go.id/kontak"
    assert ways["Pekerjaan Konstruksi"].startswith(
        "../../../cari.html?kind=non_tender&amp;kind=tender&amp;category=works"
    )
    assert html.index("Buka di LPSE") < html.index("Tambahkan ke kalender") < html.index("Ikuti perubahan")
    assert "Halaman ini salinan yang dibaca pada 24 Nov 2026, 09.40 WIB" in page


def test_head_of_the_page() -> None:
    html = render(OPEN)
    assert f"<title>{TENDER.title} (10099412000) – " in html
    about = "DPUPRPKP, HPS Rp5,9\u00a0miliar. Ditutup Kamis, 3 Desember 2026, 14.00\u00a0WIB."
    assert f'<meta name="description" content="{about}">' in html
    base = "https://blp.example.go.id/umpan/tenders/malangkota/tender/10099412000.html"
    assert f'<link rel="canonical" href="{base}">' in html
    for feed in ("semua", "perubahan"):
        assert f'href="../../../feeds/{feed}.atom"' in html


def test_without_a_calendar_there_is_no_button() -> None:
    assert "Tambahkan ke kalender" not in render(OPEN)


def test_a_deadline_that_has_passed() -> None:
    page = read(render(OPEN, now=READ + timedelta(days=30)))
    assert "Dalam proses" in page
    assert "Terbuka " not in page.partition("Keterangan")[0]
    assert "Penawaran disampaikan" not in page


def test_the_day_it_ended_is_that_of_the_reading_that_found_it_so() -> None:
    ended = make_release(Event.STAGE, seq=9, status=("active", "complete"))
    award = make_release(Event.AWARD, seq=8, time=READ - timedelta(days=3))
    told = Told(make_record(WON), ((ended, WON), (award, replace(WON, status=Status.ACTIVE))))
    around = Around({each.id: each for each in CONFIG.portal}, Blacklist(()))
    page = read(render_tender_page(SITES["id"], told, around, READ, DISCOVERED, None).decode())
    assert "Selesai Diketahui 24 Nov 2026" in page


def test_a_schedule_that_was_called_off_says_when() -> None:
    off = replace(OPEN, status=Status.CANCELLED)
    html = render(off, make_release(Event.CANCELLED))
    assert f'data-steps="{READ.astimezone(WIB).isoformat(timespec="seconds")}"' in html
    assert 'data-steps=""' in render(OPEN)


def test_months_of_a_plan_are_told_as_months() -> None:
    html = render(replace(OPEN, kind=Kind.PLAN, status=Status.PLANNED, deadline=None))
    assert '<time datetime="2026-11">November 2026</time> – <time datetime="2026-12">Desember 2026</time>' in html


def test_a_plan_tells_its_number_once() -> None:
    page = read(render(replace(OPEN, kind=Kind.PLAN, key="61521911", plans=("61521911",), status=Status.PLANNED)))
    assert "Kode RUP 61521911" in page
    assert "Rencana (RUP)" not in page


def test_terms_are_explained_where_they_first_stand() -> None:
    tender = replace(OPEN, method_detail="Tender - Pascakualifikasi Satu File")
    page = read(render(tender))
    assert page.count("Syarat administrasi, teknis, dan harga dikirim dan dibuka sekaligus.") == 1
    assert page.count("Anggaran yang disediakan untuk paket ini") == 1
    assert "Pemberian Penjelasan Peserta bertanya" in page  # a row that is the term does not say it twice
    assert "Satu file : Syarat" in page
    assert "title=" not in re.sub(r'<link[^>]*title="[^"]*"', "", render(tender))  # no tooltips


def test_the_schedule_has_absolute_times_only() -> None:
    html = render(OPEN)
    assert "data-steps" in html
    assert 'aria-current="step"' not in html
    page = read(html)
    assert "18 Nov, 09.00 – 11.00" in page
    assert "Waktu dalam WIB, tahun 2026." in page
    assert not re.search(r"hari lagi|besok|hari ini|sudah lewat", page)


def test_a_moved_row_shows_where_it_was() -> None:
    old = [row.as_dict() for row in (ROWS[0], replace(ROWS[1], ends=datetime(2026, 11, 27, 14, tzinfo=WIB)))]
    moved = make_release(
        Event.DEADLINE,
        deadline=("2026-11-27T14:00:00+07:00", "2026-12-03T14:00:00+07:00"),
        milestones=(old, [row.as_dict() for row in ROWS]),
    )
    html = render(OPEN, moved)
    assert "semula <del>27 Nov, 14.00</del>" in html
    assert "Batas akhir diperpanjang 6\u00a0hari" in html
    assert "<del>27 Nov 2026, 14.00\u00a0WIB</del>" in html
    assert "<ins>3 Des 2026, 14.00\u00a0WIB</ins>" in html
    assert html.count("<del>") == 2  # the row that closes bids is not told beside the deadline


def test_the_history_quotes_reasons_and_marks_old_and_new() -> None:
    stage = make_release(Event.STAGE, Event.VALUE, stage=("A", "B"), value=({"amount": "9", "currency": "IDR"}, None))
    retender = make_release(Event.RETENDER, seq=6, retender=(False, True))
    page = read(render(replace(OPEN, retender=True, retender_reason="Tidak ada yang lulus."), stage, retender))
    assert "2 perubahan" in page
    assert "Tahap saat ini semula A menjadi B" in page
    assert "semula Rp9,00 menjadi belum diumumkan" in page
    assert page.count("Alasan di portal: “Tidak ada yang lulus") == 2
    assert page.index("2 perubahan") < page.rindex("Ditender ulang")


def test_a_winner_is_compared_without_praise() -> None:
    html = render(WON, make_release(Event.AWARD))
    page = read(html)
    assert "Pemenang CV Contoh, Rp5.374.280.700,00" in page
    assert "Rp538.019.300,00 (9,1%) di bawah HPS." in page
    assert re.findall(r'<rect width="([\d.]+)"', html) == ["100.0", "98.5", "89.6"]
    assert "Peserta 23" in page
    assert "hemat" not in page
    assert "Selesai Diketahui 24 Nov 2026" in page


def test_a_contract_tells_how_long_it_took() -> None:
    contract = Contract(supplier="CV Contoh", amount=PRICE, date=datetime(2026, 12, 30, tzinfo=WIB))
    page = read(render(replace(WON, contracts=(contract,))))
    assert "Kontrak ditandatangani 30 Des 2026" in page
    assert "Dari pengumuman sampai kontrak: 47 hari." in page


def test_several_winners_have_no_bars() -> None:
    html = render(replace(WON, awards=(*WON.awards, Award(supplier="PT Lain", amount=PRICE))))
    assert "<rect width" not in html.partition("<main")[2]
    assert "di bawah HPS" not in html


def test_participants_are_told_when_their_number_moves_no_more() -> None:
    assert "Peserta 17" not in read(render(replace(OPEN, participants=17)))
    assert render(replace(OPEN, participants=17)) == render(OPEN)


def test_a_blacklisted_name_is_a_caution() -> None:
    sanction = Sanction(supplier="CV CONTOH", starts=READ - timedelta(days=9), ends=READ + timedelta(days=9))
    notice = replace(TENDER, kind=Kind.NOTICE, key="s1", sanctions=(sanction,))
    assert "Nama yang sama belum tentu perusahaan yang sama" in read(render(WON, blacklist=[notice]))
    assert "Daftar Hitam" not in read(render(WON))


@pytest.mark.parametrize(
    ("tender", "words", "unwanted"),
    [
        (
            replace(OPEN, status=Status.CANCELLED, cancellation_reason="Salah dokumen."),
            ["Dibatalkan. Alasan di portal: “Salah dokumen”."],
            ["Ikuti perubahan", 'data-steps=""'],
        ),
        (replace(OPEN, status=Status.CANCELLED), ["Portal tidak menyebut alasan."], []),
        (replace(OPEN, status=Status.UNSUCCESSFUL), ["Gagal. Portal tidak menyebut alasan."], ["Ikuti perubahan"]),
        (replace(OPEN, status=Status.WITHDRAWN), ["Tidak tampil di portal", "isi terakhir tersimpan"], []),
        (replace(OPEN, retender=True, unread=frozenset({"retender_reason"})), ["Tender ulang"], ["menyebut alasan"]),
        (replace(TENDER, deadline=None), ["Batas akhir penawaran Jadwal belum diumumkan"], []),
        (
            replace(TENDER, deadline=None, registration_deadline=READ + timedelta(days=3)),
            ["Akhir pendaftaran Jumat, 27 November 2026, 09.40 WIB"],
            [],
        ),
        (replace(TENDER, value=None), ["HPS (harga perkiraan sendiri) belum diumumkan"], []),
        (
            replace(TENDER, value=None, deadline=None, incomplete=True, unread=frozenset({"value", "deadline"})),
            ["Belum terbaca: HPS (harga perkiraan sendiri), Batas akhir penawaran."],
            ["belum diumumkan"],
        ),
        (replace(TENDER, value=Money(Decimal(125000), "USD"), budget=None), ["USD 125.000,00"], ["Rp"]),
        (
            replace(
                TENDER,
                kind=Kind.RECORDED,
                deadline=None,
                status=Status.COMPLETE,
                contracts=(Contract(supplier="CV Dapur", amount=Money(Decimal(5)), date=READ),),
            ),
            ["Realisasi dicatat 24 Nov 2026", "Realisasi CV Dapur", "Pencatatan", "Nilai Rp5.912.300.000,00"],
            ["ditandatangani", "HPS (", "bawah HPS"],
        ),
        (
            replace(TENDER, kind=Kind.SELF_MANAGED, deadline=None),
            [
                "Sedang berjalan",
                "Swakelola",
                "bukan penyedia",
                "Dicatat 13 Nov 2026",
                "tanyakan kepada satuan kerjanya",
            ],
            ["tag open", "Batas akhir", "Jadwal belum diumumkan"],
        ),
        (
            replace(TENDER, kind=Kind.EMERGENCY, deadline=None),
            ["Darurat", "Belanja untuk menangani bencana", "Dicatat 13 Nov 2026"],
            ["tag open"],
        ),
        (
            replace(TENDER, kind=Kind.NON_TENDER, status=Status.PLANNED, deadline=None, unread=frozenset({"deadline"})),
            ["Batas akhir penawaran Jadwal belum diumumkan"],
            ["Belum terbaca"],
        ),
        (
            replace(
                TENDER,
                kind=Kind.PLAN,
                status=Status.PLANNED,
                deadline=None,
                value=None,
                milestones=(replace(ROWS[0], title="Jadwal Pemilihan Penyedia"),),
            ),
            ["Direncanakan", "Rencana 2026: pagu Rp6 miliar", "November 2026", "Kode RUP"],
            ["09.00", "belum diumumkan"],
        ),
        (
            replace(TENDER, kind=Kind.NEWS, status=None, deadline=None, description="Undangan bagi penyedia."),
            ["Berita", "Undangan bagi penyedia.", "Tayang 13 Nov 2026"],
            ["Keterangan", "Ikuti perubahan"],
        ),
        (
            replace(TENDER, kind=Kind.NOTICE, status=Status.COMPLETE, deadline=None, value=None, budget=None),
            ["Pengumuman", "Nomor pengumuman"],
            ["belum diumumkan"],
        ),
        (Tender(portal="malangkota", kind=Kind.TENDER, key="1", title="Hanya nama", url=""), ["Hanya nama"], ["None"]),
    ],
)
def test_every_state_reads_well(tender: Tender, words: list[str], unwanted: list[str]) -> None:
    html = render(tender)
    page = read(html)
    assert [each for each in words if each not in page] == []
    assert [each for each in unwanted if each in page or each in html] == []
    assert data(html)["isBasedOn"] == (TENDER.url if tender.url else "https://spse.example.go.id/malangkota")


def test_each_source_has_its_address_and_its_time() -> None:
    sources = (
        Source(portal="malangkota", kind=Kind.TENDER, key=TENDER.key, url=TENDER.url, changed=READ),
        Source(
            portal="sirup", kind=Kind.PLAN, key="61521911", url="javascript:alert(1)", changed=READ - timedelta(days=2)
        ),
    )
    plan = replace(make_release(Event.NEW, seq=1), portal="sirup", kind=Kind.PLAN, key="61521911")
    html = render(OPEN, plan, sources=sources)
    page = read(html)
    assert "Sumber resmi: LPSE Kota Malang (Tender 10099412000), dibaca 24 Nov 2026, 09.40 WIB" in page
    assert "Juga diumumkan oleh SiRUP (RUP 61521911), dibaca 22 Nov 2026" in page
    assert links(html)["SiRUP"] == "https://sirup.example.go.id/"
    assert "Paket baru 24 Nov 2026, 09.40 WIB · SiRUP" in page  # who told it, where several do


def test_in_english() -> None:
    page = read(render(WON, make_release(Event.AWARD), language="en"))
    for words in ("Winner named", "9.1%) below HPS", "Fiscal year", "Open on LPSE Kota Malang", "Official source:"):
        assert words in page
    assert not {"Sumber resmi", "Riwayat", "Ditutup"} & set(page.split("  "))


def test_what_search_engines_are_told() -> None:
    page = data(render(OPEN))
    wanted = page["mainEntity"]
    assert (page["@type"], wanted["@type"]) == ("WebPage", "Demand")
    assert wanted["availabilityEnds"] == "2026-12-03T14:00:00+07:00"
    assert wanted["priceSpecification"] == {
        "@type": "PriceSpecification",
        "price": "5912300000.00",
        "priceCurrency": "IDR",
    }
    assert wanted["areaServed"] == ["Kec. Lowokwaru"]
    assert "seller" not in wanted
    assert data(render(WON))["mainEntity"]["seller"] == [{"@type": "Organization", "name": "CV Contoh"}]
    crumbs = [crumb["item"] for crumb in page["breadcrumb"]["itemListElement"]]
    assert crumbs[0] == "https://blp.example.go.id/umpan/index.html"
    assert crumbs[1].startswith("https://blp.example.go.id/umpan/cari.html?")


def test_data_cannot_end_its_block() -> None:
    html = render(replace(OPEN, url="https://x.example/</script><script>alert(1)//&\u2028"))
    hostile = replace(WON, awards=(Award(supplier="</script><script>alert(1)</script>"),))
    for each in (html, render(hostile)):
        assert len([tag for tag, _ in Page(each).elements if tag == "script"]) == 2
        assert "alert(1)</" not in each
        data(each)


def test_long_parts_are_cut_and_counted() -> None:
    rows = tuple(replace(ROWS[0], title=f"Tahap {number} {'panjang ' * 30}") for number in range(200))
    awards = tuple(Award(supplier=f"CV Contoh {number} {'&' * 300}", amount=PRICE) for number in range(80))
    tender = replace(WON, milestones=rows, awards=awards, description="<&>" * 9000, locations=('"' * 900,) * 30)
    past = [make_release(Event.DETAILS, seq=n, description=("'" * 5000, "&" * 5000)) for n in range(300, 0, -1)]
    html = render(tender, *past)
    assert len(html.encode()) <= MOST_PAGE
    page = read(html)
    assert re.search(r"… \d+ baris lagi ada di portal", page)
    assert re.search(r"… \d+ lagi ada di portal", page)
    assert re.search(r"… \d+ perubahan lebih lama tidak ditampilkan", page)


@st.composite
def pasts(draw: st.DrawFn) -> list[Release]:
    """Releases that changed everything between hostile tenders."""
    before, after = draw(hostile_tenders()).as_dict(), draw(hostile_tenders()).as_dict()
    moves: dict[str, Any] = {name: (before.get(name, []), after.get(name, [])) for name in {**before, **after}}
    for fixed in ("portal", "kind", "key", "url", "documents", "participants", "incomplete"):
        moves.pop(fixed, None)
    events = st.lists(st.sampled_from(Event), unique=True)
    return [make_release(*draw(events), seq=seq, **moves) for seq in (3, 2, 1)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(hostile_tenders(), pasts(), st.sampled_from(["id", "en"]))
def test_no_source_text_becomes_markup(tender: Tender, past: list[Release], language: Language) -> None:
    html = render(tender, *past, language=language, calendar=CALENDAR)
    assert html == render(tender, *past, language=language, calendar=CALENDAR)
    assert len(html.encode()) <= MOST_PAGE
    page = Page(html)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 2
    assert not {"b", "u", "iframe", "style", "form", "input", "img"} - {"b", "img"} & set(tags)
    assert tags.count("img") == 1
    addresses = [*page.find("a", "href"), *page.find("link", "href")]
    assert all(urlsplit(address).scheme in {"", "https", "http"} for address in addresses)
    headings = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(headings))
    assert not any(name.startswith("on") or name == "style" for _, given in page.elements for name in given)
    data(html)


def test_the_contact_is_told_only_where_there_is_one() -> None:
    site = load_site(make_config(), sample=False)
    around = Around({each.id: each for each in make_config().portal}, Blacklist(()))
    html = render_tender_page(site, Told(make_record(OPEN), ()), around, READ, DISCOVERED, None).decode()
    assert "Laporkan / tanya" not in html
    assert "Tentang syarat paket" in html
