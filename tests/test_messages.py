"""Words of messages: how many are new, in full or in short, in both languages; for the operator why and what to do."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest
from hypothesis import given, settings

from aggregator.filters import Filter
from aggregator.models import Event, Kind, Sweep
from aggregator.verdicts import PROBLEMS, Run, Verdict
from feeds.definitions import Feed, Group
from feeds.entries import Entry, release_entry, run_entry, tender_entry
from feeds.words.messages import MOST_SUMMARY, MOST_TITLE, Subject, neutralise, write_letter, write_trial
from tests.feed_samples import PORTAL, PUBLISHER, READ, hostile_entries, make_record, make_release

FEED = Feed(id="x", title="Konstruksi", short="x", description="x", group=Group.OWN, filter=Filter())


def make_subject(language: Literal["id", "en"] = "id", feed: Feed = FEED, *, operator: bool = False) -> Subject:
    return Subject(feed=feed, page_url="https://x.go.id/feeds/x.html", language=language, is_for_operator=operator)


def tell_run(verdict: Verdict, *reasons: str, language: Literal["id", "en"] = "id") -> list[str]:
    run = Run(
        portal="malangkota",
        sweep=Sweep.OPEN,
        started=READ,
        finished=READ + timedelta(minutes=5),
        verdict=verdict,
        reasons=reasons,
    )
    entry = run_entry(run, PORTAL, PUBLISHER.model_copy(update={"language": language}))
    status = replace(FEED, kind="status")
    (piece,) = write_letter(make_subject(language, status, operator=True), [entry], 0)["pieces"]
    return [piece["title"], *piece["lines"]]


def test_a_tender_is_told_with_value_unit_deadline_and_link() -> None:
    letter = write_letter(make_subject(), [tender_entry(make_record(), PORTAL, PUBLISHER)], 0)
    assert letter == {
        "title": "Konstruksi: 1 paket baru",
        "pieces": [
            {
                "title": "Rehabilitasi Saluran Drainase Jalan Soekarno-Hatta",
                "lines": [
                    "HPS Rp5,9\u00a0miliar, DPUPRPKP, penawaran ditutup Kamis, 3 Desember 2026, 14.00\u00a0WIB. "
                    "Pekerjaan Konstruksi, Tender, Kec. Lowokwaru."
                ],
                "url": "https://spse.example.go.id/malangkota/lelang/10099412000/pengumumanlelang",
            }
        ],
    }


def test_a_change_is_told_with_old_and_new() -> None:
    moved = make_release(Event.DEADLINE, deadline=("2026-11-27T14:00:00+07:00", "2026-12-03T14:00:00+07:00"))
    entry = release_entry(moved, make_record(), PORTAL, PUBLISHER)
    letter = write_letter(make_subject(feed=replace(FEED, kind="changes")), [entry], 2)
    assert letter["title"] == "Konstruksi: 3 kabar"
    assert letter["pieces"][0]["title"].startswith("Batas akhir diperpanjang 6\u00a0hari: ")
    assert letter["pieces"][0]["lines"][0].startswith("Batas akhir penawaran: 27 Nov 2026, 14.00\u00a0WIB → 3 Des 2026")
    assert letter["pieces"][1]["title"] == "dan 2 kabar lain"


@pytest.mark.parametrize(
    ("kinds", "indonesian", "english"),
    [
        ((), ("5 paket baru", "dan 5 paket lain"), ("5 new packages", "and 5 more")),
        ((Kind.PLAN,), ("5 rencana baru", "dan 5 rencana lain"), ("5 new plans", "and 5 more")),
        ((Kind.NEWS,), ("5 berita baru", "dan 5 berita lain"), ("5 new articles", "and 5 more")),
    ],
)
def test_what_is_new_has_a_name(kinds: tuple[Kind, ...], indonesian: tuple[str, str], english: tuple[str, str]) -> None:
    feed = replace(FEED, filter=Filter(kind=kinds))
    languages: dict[Literal["id", "en"], tuple[str, str]] = {"id": indonesian, "en": english}
    for language, (told, rest) in languages.items():
        letter = write_letter(make_subject(language, feed), [], 5)
        assert (letter["title"], letter["pieces"][0]["title"]) == (f"Konstruksi: {told}", rest)


@pytest.mark.parametrize(
    "code", [code for code, verdict in PROBLEMS.items() if verdict in {Verdict.FAILED, Verdict.BLOCKED}]
)
@pytest.mark.parametrize("language", ["id", "en"])
def test_the_operator_is_told_why_and_what_to_do(code: str, language: Literal["id", "en"]) -> None:
    verdict = PROBLEMS[code]
    assert verdict is not None
    title, summary, reason, mend = tell_run(verdict, f"{code}: HTTP 503 from x", language=language)
    assert title.endswith("LPSE Kota Malang")
    assert summary
    assert reason == f"{code}: HTTP 503 from x"
    assert mend.endswith(".")


def test_a_portal_that_never_answers_has_no_reason_but_a_mend() -> None:
    assert tell_run(Verdict.FAILED)[1:] == [
        "Gagal: portal tidak menjawab.",
        "Buka portal di peramban. Bila terbuka, periksa jaringan server ini; bila alamatnya salah, perbaiki url di "
        "warta.toml; bila portal mati, tunggu: Warta mencoba lagi.",
    ]


def test_a_broken_contract_wants_a_look_and_a_recovery_none() -> None:
    assert "warta replay" in tell_run(Verdict.PARTIAL, "shape: no table in x")[-1]
    assert tell_run(Verdict.OK, "unknown_label: x") == [
        "Pulih: LPSE Kota Malang",
        "Lancar: dibaca 24 Nov 2026, 09.45\u00a0WIB.",
    ]


def test_a_trial_tells_of_what_will_come() -> None:
    (piece,) = write_trial(make_subject())["pieces"]
    assert piece["lines"][0].startswith("Saluran ini akan menerima: Konstruksi.")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("@everyone @here", "@\u2060everyone @\u2060here"),
        ("surel a@b.id", "surel a@\u2060b.id"),
        ("[klik](http://evil)", "[klik] (http://evil)"),
        ("harga @ 5", "harga @ 5"),
    ],
)
def test_mentions_and_links_of_others_are_text(text: str, told: str) -> None:
    assert neutralise(text) == told


@settings(max_examples=40)
@given(hostile_entries())
def test_hostile_text_stays_text(entries: list[Entry]) -> None:
    letter = write_letter(make_subject(), entries, 0)
    for piece in letter["pieces"]:
        for text in (piece["title"], *piece["lines"]):
            assert "Cc" not in {unicodedata.category(character) for character in text}
            assert not {"<", ">"} & set(text)
            assert "](" not in text
            assert len(text) <= max(MOST_TITLE, MOST_SUMMARY) * 2
        assert piece["url"].startswith("http")
        assert piece["url"].isascii()
