"""What licences ask, and what an entry tells of other sources and of blacklisted winners."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aggregator.config import Portal
from aggregator.models import Award, Contract, Kind, Record, Sanction, Source, Status, Tender
from aggregator.sanctions import Blacklist
from feeds.entries import Around, release_entry, tender_entry
from feeds.words.attribution import find_attribution
from tests.feed_samples import PORTAL, PUBLISHER, READ, TENDER, make_record, make_release

OPEN_OPTIONS = {"api": "open", "lpse": "LPSE Kota Malang", "klpd": "Kota Malang"}
OPEN_DATA = Portal(
    id="satudata",
    family="satudata",
    name="Satu Data <Malang>",
    url="https://isb.example.go.id/api/satudata",
    options=OPEN_OPTIONS,
)
RUP = Portal(id="rup", family="sirup", name="SiRUP", url="https://sirup.example.go.id/sirup")
SOURCES = (
    Source(portal="malangkota", kind=Kind.TENDER, key=TENDER.key, url=TENDER.url, changed=READ, fields=("title",)),
    Source(portal="satudata", kind=Kind.TENDER, key=TENDER.key, url="javascript:alert(1)", changed=READ),
    Source(portal="rup", kind=Kind.PLAN, key="61521911", url="https://sirup.example.go.id/?a=1&b=2", changed=READ),
)
SANCTION = Sanction(
    supplier="PT Contoh Karya",
    decree="SK/1/<2026>",
    starts=datetime(2026, 1, 1, tzinfo=UTC),
    ends=datetime(2027, 1, 1, tzinfo=UTC),
)
NOTICE = Tender(
    portal="hitam", kind=Kind.NOTICE, key="1", title="Daftar hitam", url="https://x.example/1", status=Status.ACTIVE
)
AROUND = Around(
    {portal.id: portal for portal in (PORTAL, OPEN_DATA, RUP)},
    Blacklist([make_record(replace(NOTICE, sanctions=(SANCTION,)))]),
)


def dossier() -> Record:
    return replace(make_record(), sources=SOURCES)


@pytest.mark.parametrize(
    ("family", "options", "kind", "words"),
    [
        ("satudata", OPEN_OPTIONS, Kind.TENDER, "API Satu Data eProc (TenderUmumPublik dan 24 Nov 2026)."),
        ("satudata", OPEN_OPTIONS, Kind.NOTICE, "API Satu Data eProc (SanksiDaftarHitam dan 24 Nov 2026)."),
        (
            "satudata",
            {"api": "isb", "service": "SPSE-TenderPengumuman"},
            Kind.TENDER,
            "API Satu Data eProc (SPSE-TenderPengumuman dan 24 Nov 2026).",
        ),
        ("worldbank", {}, Kind.NOTICE, "© The World Bank,"),
        ("ocds", {"licence": "OGL-UK-3.0"}, Kind.TENDER, "Contains public sector information licensed under the"),
    ],
)
def test_licences_are_kept_in_their_own_words(family: str, options: dict[str, str], kind: Kind, words: str) -> None:
    portal = OPEN_DATA.model_copy(update={"family": family, "options": options})
    found = find_attribution(portal, (kind,), READ)
    assert found is not None
    assert words in found.text


@pytest.mark.parametrize("family", ["spse", "sirup", "ocds", "wordpress"])
def test_who_asks_for_nothing_is_not_attributed(family: str) -> None:
    assert find_attribution(OPEN_DATA.model_copy(update={"family": family, "options": {}}), (), READ) is None


def test_an_entry_names_every_source_with_its_link() -> None:
    entry = tender_entry(dossier(), PORTAL, PUBLISHER, AROUND)
    assert entry.url == TENDER.url
    assert f'<a href="{TENDER.url}">LPSE Kota Malang</a>' in entry.content
    assert '<a href="https://isb.example.go.id/api/satudata">Satu Data ‹Malang›</a>' in entry.content
    assert '<a href="https://sirup.example.go.id/?a=1&amp;b=2">SiRUP</a> (RUP 61521911)' in entry.content
    assert "javascript" not in entry.content
    assert entry.content.count("Layanan ini menggunakan API Satu Data eProc") == 1
    assert [source["portal"] for source in entry.structured["sources"]] == ["malangkota", "satudata", "rup"]
    assert entry.structured["sources"][0]["fields"] == ["title"]


def test_an_entry_of_one_source_says_nothing_of_others() -> None:
    entry = tender_entry(make_record(), PORTAL, PUBLISHER, AROUND)
    assert entry == tender_entry(make_record(), PORTAL, PUBLISHER)
    assert "sources" not in entry.structured


@pytest.mark.parametrize(
    "tender",
    [
        replace(TENDER, awards=(Award(supplier="CONTOH KARYA, PT"),)),
        replace(TENDER, contracts=(Contract(supplier="CONTOH KARYA, PT"),)),
    ],
)
def test_a_winner_of_a_blacklisted_name_is_flagged_with_care(tender: Tender) -> None:
    entry = tender_entry(make_record(tender), PORTAL, PUBLISHER, AROUND)
    assert "nama “CONTOH KARYA, PT” sama dengan nama di Daftar Hitam Nasional (SK/1/‹2026›, berlaku" in entry.summary
    assert "1 Jan 2026 s.d. 31 Des 2026)" in entry.summary  # the sanction ends as 2027 begins
    assert "Nama yang sama belum tentu perusahaan yang sama; periksa di sumber resmi." in entry.content
    (sanctioned,) = entry.structured["sanctioned"]
    assert (sanctioned["name"], sanctioned["supplier"]) == ("CONTOH KARYA, PT", "PT Contoh Karya")
    told = release_entry(make_release(), make_record(tender), PORTAL, PUBLISHER, around=AROUND)
    assert told.structured["sanctioned"] == entry.structured["sanctioned"]


@pytest.mark.parametrize(
    "award",
    [
        Award(supplier="CV Contoh Karya"),
        Award(supplier=None),
        Award(supplier="PT Contoh Karya", date=datetime(2027, 1, 2, tzinfo=UTC)),
        Award(supplier="PT Contoh Karya", date=datetime(2025, 12, 30, tzinfo=UTC)),
    ],
)
def test_nobody_else_is_flagged(award: Award) -> None:
    entry = tender_entry(make_record(replace(TENDER, awards=(award,))), PORTAL, PUBLISHER, AROUND)
    assert "Perhatian" not in entry.content
    assert "sanctioned" not in entry.structured
    assert timedelta(0) == READ - entry.updated
