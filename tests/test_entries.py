"""Entries: ids, titles, addresses, times, and content that is nothing but escaped text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.models import Event, Kind, Status, Sweep
from aggregator.verdicts import Run, Verdict
from feeds.calendar import render_calendar
from feeds.definitions import make_channel, shipped_feeds
from feeds.entries import Entry, Topic, fit_entries, release_entry, run_entry, tender_entry
from feeds.jsonfeed import render_json
from feeds.rss_atom import render_atom, render_rss
from tests.feed_samples import (
    CONFIG,
    PORTAL,
    PUBLISHER,
    READ,
    TENDER,
    hostile_entries,
    hostile_texts,
    make_entries,
    make_record,
    make_release,
)

DEADLINE_MOVE: dict[str, Any] = {"deadline": ("2026-11-27T14:00:00+07:00", "2026-12-03T14:00:00+07:00")}
ALLOWED = {"p", "dl", "dt", "dd", "ul", "li", "a"}


class Html(HTMLParser):
    """Fails on anything but balanced, allowed tags with an absolute address in each link."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert [name for name, _ in attrs] == (["href"] if tag == "a" else [])
        self.links += [value or "" for _, value in attrs]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment {data!r}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"declaration {decl!r}")


def test_a_tender() -> None:
    entry = tender_entry(make_record(first_seen=READ - timedelta(days=3)), PORTAL, PUBLISHER)
    assert entry.id == "tag:blp.example.go.id,2026-01-01:malangkota/tender/10099412000"
    assert entry.title == TENDER.title
    assert entry.url == TENDER.url
    assert entry.published == TENDER.published
    assert entry.updated == READ
    assert (entry.author, entry.author_url) == ("LPSE Kota Malang", "https://spse.example.go.id/malangkota")
    assert entry.topics == (
        Topic("tender", "Tender"),
        Topic("works", "Pekerjaan Konstruksi"),
        Topic("open", "Terbuka"),
    )
    assert entry.starts == TENDER.deadline
    assert not entry.cancelled
    assert entry.content.startswith("<p>HPS Rp5,9\u00a0miliar, DPUPRPKP, penawaran ditutup")
    assert "<dt>Kode paket</dt><dd>10099412000</dd>" in entry.content
    assert entry.content.endswith(
        f'<p>Sumber: <a href="{TENDER.url}">LPSE Kota Malang</a>, dibaca 24 Nov 2026, 09.40\u00a0WIB.</p>'
    )
    assert entry.structured["value"] == {"amount": "5912300000.00", "currency": "IDR"}
    assert entry.structured["deadline"] == "2026-12-03T14:00:00+07:00"
    assert "participants" not in entry.structured


def test_a_change() -> None:
    entry = release_entry(make_release(Event.DEADLINE, **DEADLINE_MOVE), make_record(), PORTAL, PUBLISHER)
    assert entry.id == "tag:blp.example.go.id,2026-01-01:malangkota/tender/10099412000/changes/7"
    assert entry.title == f"Batas akhir diperpanjang 6\u00a0hari: {TENDER.title}"
    assert entry.summary.replace("\u00a0", " ") == (
        "Batas akhir penawaran: 27 Nov 2026, 14.00 WIB → 3 Des 2026, 14.00 WIB. "
        "HPS Rp5,9 miliar, DPUPRPKP, penawaran ditutup Kamis, 3 Desember 2026, 14.00 WIB. "
        "Pekerjaan Konstruksi, Tender, Kec. Lowokwaru."
    )
    assert entry.published == entry.updated == entry.starts == READ
    assert entry.structured["changes"] == [
        {"field": "deadline", "old": DEADLINE_MOVE["deadline"][0], "new": DEADLINE_MOVE["deadline"][1]}
    ]
    assert entry.structured["events"] == ["deadline"]
    with pytest.raises(ValueError, match="not saved"):
        release_entry(replace(make_release(Event.NEW), seq=None), make_record(), PORTAL, PUBLISHER)


def test_english() -> None:
    english = PUBLISHER.model_copy(update={"language": "en"})
    entry = release_entry(make_release(Event.DEADLINE, **DEADLINE_MOVE), make_record(), PORTAL, english)
    assert entry.title == f"Deadline extended by 6\u00a0days: {TENDER.title}"
    assert (
        "bids close Thursday 3 December 2026, 14:00\u00a0WIB (UTC+7). Works, Tender, Kec. Lowokwaru." in entry.summary
    )
    assert entry.content.endswith("LPSE Kota Malang</a>, read 24 Nov 2026, 09:40\u00a0WIB.</p>")


def test_a_reading_that_found_nothing_new_changes_nothing() -> None:
    before = make_record()
    after = replace(before, last_seen=READ + timedelta(days=5), tender=replace(TENDER, participants=9, incomplete=True))
    assert tender_entry(before, PORTAL, PUBLISHER) == tender_entry(after, PORTAL, PUBLISHER)


def test_the_title_holds_300_characters_and_only_the_name_is_cut() -> None:
    long = replace(TENDER, title="Pengadaan Barang " * 40)
    assert len(tender_entry(make_record(long), PORTAL, PUBLISHER).title) <= 300
    release = make_release(Event.STAGE, stage=("Evaluasi", "Masa Sanggah"))
    title = release_entry(release, make_record(long), PORTAL, PUBLISHER).title
    assert title.startswith("Masuk tahap Masa Sanggah: Pengadaan Barang Pengadaan")
    assert title.endswith("…")
    assert 280 <= len(title) <= 300


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("<script>alert(1)</script>", "‹script›alert(1)‹/script›"),
        (", Belanja \"ATK\" & 'lain'", ", Belanja \"ATK\" & 'lain'"),
        ('=HYPERLINK("http://x","y")', '=HYPERLINK("http://x","y")'),
        ("Rehab 😀\x07", "Rehab 😀"),
        ("\x00\u202e", "10099412000"),
    ],
)
def test_hostile_titles(title: str, shown: str) -> None:
    assert tender_entry(make_record(replace(TENDER, title=title)), PORTAL, PUBLISHER).title == shown


def test_an_unusable_address_leads_to_the_portal() -> None:
    for url in ("javascript:alert(1)", "/lelang/1", ""):
        entry = tender_entry(make_record(replace(TENDER, url=url)), PORTAL, PUBLISHER)
        assert entry.url == PORTAL.url
    assert Html(entry.content).links == [PORTAL.url]


def test_news_is_text_and_its_link() -> None:
    words = "Undangan bimbingan teknis bagi penyedia. " * 12
    news = replace(TENDER, kind=Kind.NEWS, key="7", title="Bimbingan teknis", description=words, status=Status.COMPLETE)
    entry = tender_entry(make_record(news), PORTAL, PUBLISHER)
    assert len(entry.summary) <= 300
    assert entry.content.startswith(f"<p>{words.strip()}</p><p>Sumber: ")
    assert (entry.url, entry.topics[0]) == (news.url, Topic("news", "Berita"))
    told = release_entry(make_release(Event.NEW), make_record(news), PORTAL, PUBLISHER)
    assert told.title == "Berita baru: Bimbingan teknis"
    assert "<dl>" not in entry.content + told.content


def test_a_sanction_that_moved_is_told() -> None:
    old, new = ({"supplier": "PT A", "decree": d, "reason": None, "starts": None, "ends": None} for d in ("1", "2"))
    notice = replace(TENDER, kind=Kind.NOTICE)
    entry = release_entry(make_release(Event.DETAILS, sanctions=([old], [new])), make_record(notice), PORTAL, PUBLISHER)
    assert "Sanksi: PT A, SK 1 → PT A, SK 2." in entry.summary


def test_without_a_published_date_first_sight_counts() -> None:
    record = make_record(replace(TENDER, published=None), first_seen=READ - timedelta(days=1))
    assert tender_entry(record, PORTAL, PUBLISHER).published == READ - timedelta(days=1)


def test_calendar_fields() -> None:
    registration = replace(TENDER, deadline=None, registration_deadline=READ)
    assert tender_entry(make_record(registration), PORTAL, PUBLISHER).starts == READ
    assert tender_entry(make_record(replace(TENDER, deadline=None)), PORTAL, PUBLISHER).starts is None
    for status in (Status.CANCELLED, Status.UNSUCCESSFUL, Status.WITHDRAWN):
        assert tender_entry(make_record(replace(TENDER, status=status)), PORTAL, PUBLISHER).cancelled


def test_the_sequence_grows_with_every_change() -> None:
    moments = [READ, READ + timedelta(microseconds=3), READ + timedelta(minutes=15), READ + timedelta(days=400)]
    sequences = [
        tender_entry(make_record(changed=moment, first_seen=READ), PORTAL, PUBLISHER).sequence for moment in moments
    ]
    assert sequences[0] == 0
    assert sequences == sorted(set(sequences))


@given(hostile_entries())
def test_hostile_sources_make_harmless_entries(entries: list[Entry]) -> None:
    for entry in entries:
        assert 0 < len(entry.title) <= 300
        assert not set("<>\n\r") & set(entry.title + entry.summary)
        assert entry.url.isascii()
        assert entry.url.startswith("https://")
        assert Html(entry.content).links == [entry.url]
        assert "<script" not in entry.content.lower()
        entry.content.encode("utf-8")


def make_run(verdict: Verdict, *reasons: str, errors: int = 0, seen: int = 40) -> Run:
    return Run(
        portal="malangkota",
        sweep=Sweep.OPEN,
        started=READ,
        finished=READ + timedelta(minutes=5),
        verdict=verdict,
        reasons=reasons,
        requests=212,
        seen=seen,
        errors=errors,
    )


@pytest.mark.parametrize(
    ("run", "title", "told", "english"),
    [
        (
            make_run(Verdict.FAILED, "shape: x", "errors: 40 of 50 requests failed"),
            "Gagal: LPSE Kota Malang",
            "Gagal: terlalu banyak halaman tidak terbaca. Terakhir berhasil 24 Nov 2026, 08.40 WIB.",
            "Failed: too many pages could not be read. Last success 24 Nov 2026, 08:40 WIB.",
        ),
        (
            make_run(Verdict.FAILED, "listing: tender 2026", "errors: 5 of 5 requests failed", seen=0),
            "Gagal: LPSE Kota Malang",
            "Gagal: portal tidak menjawab. Terakhir berhasil 24 Nov 2026, 08.40 WIB.",
            "Failed: no answer. Last success 24 Nov 2026, 08:40 WIB.",
        ),
        (
            make_run(Verdict.FAILED, "listing: tender 2026", "refused: the token, twice"),
            "Gagal: LPSE Kota Malang",
            "Gagal: portal menolak permintaan. Terakhir berhasil 24 Nov 2026, 08.40 WIB.",
            "Failed: the portal refused the request. Last success 24 Nov 2026, 08:40 WIB.",
        ),
        (
            make_run(Verdict.BLOCKED, "blocked: challenge page"),
            "Terblokir: LPSE Kota Malang",
            "Terblokir: portal meminta pemeriksaan peramban; pembacaan dihentikan. "
            "Terakhir berhasil 24 Nov 2026, 08.40 WIB.",
            "Blocked: the portal wants a browser check; reading stopped. Last success 24 Nov 2026, 08:40 WIB.",
        ),
        (
            make_run(Verdict.OK),
            "Pulih: LPSE Kota Malang",
            "Lancar: dibaca 24 Nov 2026, 09.45 WIB.",
            "Fine: read 24 Nov 2026, 09:45 WIB.",
        ),
        (
            make_run(Verdict.PARTIAL, "missing_page: x", errors=3),
            "Pulih: LPSE Kota Malang",
            "Sebagian: 3 dari 212 halaman tidak terbaca.",
            "Partial: 3 of 212 pages unread.",
        ),
        (
            make_run(Verdict.PARTIAL, "missing_page: x"),
            "Pulih: LPSE Kota Malang",
            "Sebagian terbaca 24 Nov 2026, 09.45 WIB.",
            "Partly read 24 Nov 2026, 09:45 WIB.",
        ),
        (
            make_run(Verdict.PARTIAL, "collapsed: tender 2026"),
            "Perlu diperiksa: LPSE Kota Malang",
            "Sebagian jawaban portal tidak seperti biasanya dan tidak dipakai; data yang sudah ada tetap disimpan.",
            "Some of the portal's answers were not as they should be and were not used; what is known already is kept.",
        ),
    ],
)
def test_turns_of_a_portal(run: Run, title: str, told: str, english: str) -> None:
    last_success = READ - timedelta(hours=1)
    entry = run_entry(run, PORTAL, PUBLISHER, last_success)
    assert entry.id == "tag:blp.example.go.id,2026-01-01:malangkota/runs/20261124T024000Z"
    assert entry.title == title
    assert entry.summary.replace("\u00a0", " ") == told
    assert entry.url == "https://blp.example.go.id/umpan/status.html"
    assert entry.updated == run.finished
    other = run_entry(run, PORTAL, PUBLISHER.model_copy(update={"language": "en"}), last_success)
    assert other.summary.replace("\u00a0", " ") == english


@given(hostile_texts)
def test_reasons_of_a_run_are_escaped(reason: str) -> None:
    entry = run_entry(make_run(Verdict.FAILED, f"listing: {reason}"), PORTAL, PUBLISHER)
    Html(entry.content)
    assert entry.summary == "Gagal: daftar paket tidak terbaca sampai akhir."


def test_a_small_feed_keeps_all_entries() -> None:
    assert fit_entries(make_entries()) == make_entries()
    assert fit_entries([]) == []


@given(st.sampled_from(["x", "&", "<", '"', "\\", "é", "😀", "\n", ", ", "“"]), st.booleans())
def test_a_feed_never_outgrows_its_limit_in_any_format(character: str, structured: bool) -> None:
    text = character * 900
    tender = replace(TENDER, description=text, cancellation_reason=text, stage=text if structured else None)
    entries = [
        replace(tender_entry(make_record(tender), PORTAL, PUBLISHER), id=f"tag:x,2026:{n}", title=text[:300])
        for n in range(60)
    ]
    kept = fit_entries(entries, most=150_000)
    assert kept == entries[: len(kept)]
    assert 2 <= len(kept) < 60
    channel = make_channel(shipped_feeds(CONFIG, [])[0], CONFIG, kept)
    for render in (render_rss, render_atom, render_json, render_calendar):
        size = len(render(channel, kept))
        assert size <= 150_000


def test_kinds_have_ids_of_their_own() -> None:
    records = [make_record(replace(TENDER, kind=kind)) for kind in Kind]
    assert len({tender_entry(record, PORTAL, PUBLISHER).id for record in records}) == len(Kind)
    assert datetime(2026, 11, 24, 2, 40, tzinfo=UTC) == READ
