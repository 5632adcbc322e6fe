"""The feed of any search, over the server: its entries, its words, its validators, and what it does on a bad day."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import feedparser  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from icalendar import Calendar
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from aggregator.config import Config
from aggregator.database import DatabaseError
from aggregator.filters import Filter
from aggregator.models import Reading, Status, Tender
from aggregator.repository import Repository
from feeds.definitions import FEED_LIMIT, OPEN, Format
from feeds.query import render_query
from feeds.serving.answers import TOLD_EVERY
from feeds.serving.files import send_file
from feeds.serving.searching import Searching
from tests.feed_samples import READ, TENDER
from tests.searched import Clock, filters, make_tenders, open_search
from tests.test_app import Answer, ask

ATOM = "{http://www.w3.org/2005/Atom}"
BASE = "https://blp.example.go.id/umpan/"
CLOCK = Clock()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Starlette, Repository, Config]:
    return open_search(tmp_path_factory.mktemp("search"), CLOCK)


@pytest.fixture(scope="module")
def app(served: tuple[Starlette, Repository, Config]) -> ASGIApp:
    return served[0]


def find_keys(repository: Repository, config: Config, wanted: Filter) -> list[str]:
    """As ``warta export`` finds them."""
    zone = ZoneInfo(config.publisher.timezone)
    found = repository.find(wanted, CLOCK.now, zone, apart=len(wanted.portal) == 1)
    return [f"{record.tender.kind}/{record.tender.key}" for record in found]


def list_keys(answer: Answer) -> list[str]:
    assert answer.status == 200
    return [item["id"].partition(":")[2].partition("/")[2] for item in json.loads(answer.body)["items"]]


@given(filters)
def test_a_feed_holds_what_the_export_finds(served: tuple[Starlette, Repository, Config], wanted: Filter) -> None:
    app, repository, config = served
    answer = ask(app, f"/feeds/search.json?{render_query(wanted)}")
    assert list_keys(answer) == find_keys(repository, config, wanted.with_limit(FEED_LIMIT))


def test_all_forms_are_twins_that_lead_to_their_search(app: ASGIApp) -> None:
    query = "q=jalan&procuring_entity=dpuprpkp&min_value=500000000"
    told = "jalan, Rp500\u00a0juta ke atas, DPUPRPKP, semua status – Warta Pengadaan Kota Malang"
    rss = feedparser.parse(ask(app, f"/feeds/search.rss?{query}").body)
    atom = ET.fromstring(ask(app, f"/feeds/search.atom?{query}").body)
    feed = json.loads(ask(app, f"/feeds/search.json?{query}").body)
    assert rss.feed.title == atom.findtext(f"{ATOM}title") == feed["title"] == told
    assert rss.feed.link == feed["home_page_url"] == f"{BASE}cari.html?{query}"
    assert feed["feed_url"] == f"{BASE}feeds/search.json?{query}"
    assert atom.findtext(f"{ATOM}id") == f"tag:blp.example.go.id,2026-01-01:feeds/search?{query}"
    links = {link.get("rel"): link.get("href") for link in atom.findall(f"{ATOM}link")}
    assert links == {"self": f"{BASE}feeds/search.atom?{query}", "alternate": f"{BASE}cari.html?{query}"}
    ids = [entry.id for entry in rss.entries]
    assert ids == [entry.findtext(f"{ATOM}id") for entry in atom.findall(f"{ATOM}entry")]
    assert ids == [item["id"] for item in feed["items"]]
    assert ids
    assert not rss.bozo
    assert "hubs" not in feed  # no publish tells a hub of it


def test_a_calendar_keeps_what_was_called_off(app: ASGIApp) -> None:
    query = render_query(replace(OPEN, deadline_from=None))
    calendar: Any = Calendar.from_ical(ask(app, f"/feeds/search.ics?{query}").body)
    states = {str(event["status"]) for event in calendar.walk("VEVENT")}
    assert states == {"CONFIRMED", "CANCELLED"}
    assert str(calendar["source"]) == f"{BASE}feeds/search.ics?{query}"
    later: Any = Calendar.from_ical(ask(app, "/feeds/search.ics?status=active&deadline_from=%2B3d").body)
    starts = [event.decoded("dtstart") for event in later.walk("VEVENT")]
    assert min(starts) >= CLOCK.now + timedelta(days=3)


def test_one_tender_can_be_followed(app: ASGIApp) -> None:
    tender = next(make_tenders())
    query = f"portal={tender.portal}&kind={tender.kind}&key={tender.key}"
    assert list_keys(ask(app, f"/feeds/search.json?{query}")) == [f"{tender.kind}/{tender.key}"]


def test_the_changes_of_what_a_search_finds(bench: Bench) -> None:
    tender = replace(TENDER, key="9", title="Perbaikan Jalan", deadline=READ + timedelta(days=5))
    bench.save(tender)
    bench.clock.move(minutes=10)
    bench.save(replace(tender, deadline=READ + timedelta(days=9)))
    query = "portal=malangkota&kind=tender&key=9"
    for sort in ("", "&sort=value"):
        parsed = feedparser.parse(ask(bench, f"/?{query}{sort}&entries=changes").body)
        assert [entry.title.partition(":")[0] for entry in parsed.entries] == [
            "Batas akhir diperpanjang 4\u00a0hari",
            "Paket baru",
        ]
        assert [re.sub(r"\d+$", "", entry.id) for entry in parsed.entries] == [
            "tag:blp.example.go.id,2026-01-01:malangkota/tender/9/changes/"
        ] * 2
        assert parsed.feed.title.startswith("Perubahan: kode 9, LPSE Kota Malang, Tender, semua status – ")
        assert parsed.feed.link == f"{BASE}cari.html?portal=malangkota&kind=tender&key=9"
        assert parsed.feed.links[-1].href.endswith(f"feeds/search.rss?{query}&entries=changes")
    assert len(feedparser.parse(ask(bench, f"/?{query}&entries=tenders").body).entries) == 1
    assert len(feedparser.parse(ask(bench, f"/?{query}&entries=changes&limit=1").body).entries) == 1


def test_changes_have_their_own_validators_and_days(app: ASGIApp) -> None:
    query = "q=jalan&kind=tender"
    atom = ET.fromstring(ask(app, f"/feeds/search.atom?entries=changes&{query}").body)
    assert atom.findtext(f"{ATOM}id") == f"tag:blp.example.go.id,2026-01-01:feeds/search?{query}&entries=changes"
    assert atom.findall(f"{ATOM}entry")
    calendar: Any = Calendar.from_ical(ask(app, f"/feeds/search.ics?{query}&entries=changes").body)
    assert {event.decoded("dtstart") for event in calendar.walk("VEVENT")} == {READ}
    path = f"/feeds/search.rss?{query}&entries=changes"
    first = ask(app, path)
    assert ask(app, path, if_none_match=first.headers["etag"]).status == 304
    assert first.headers["etag"] != ask(app, f"/feeds/search.rss?{query}").headers["etag"]


def test_nothing_found_is_a_feed_too(app: ASGIApp) -> None:
    for form in ("rss", "atom", "json", "ics"):
        answer = ask(app, f"/feeds/search.{form}?q=nihil")
        assert answer.status == 200
        assert b"nihil" in answer.body
    assert not feedparser.parse(ask(app, "/feeds/search.atom?q=nihil").body).bozo


def test_hostile_words_stay_words(app: ASGIApp) -> None:
    query = "q=%3Cscript%3E%22%5D%5D%3E%00%0d%0aBEGIN:VEVENT%26amp;&procuring_entity=%F0%9F%98%80%E2%80%AE&x=%zz;--"
    for form in ("rss", "atom"):
        parsed = feedparser.parse(ask(app, f"/feeds/search.{form}?{query}").body)
        assert not parsed.bozo
        assert "‹script›" in parsed.feed.title
    assert ask(app, f"/feeds/search.ics?{query}").body.count(b"BEGIN:VEVENT\r\n") == 0
    assert json.loads(ask(app, f"/feeds/search.json?{query}").body)["items"] == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("min_value=limaratus", "min_value tidak dapat dibaca: “limaratus” bukan bilangan. Contoh: 500000000."),
        (
            "category=jalan",
            "category tidak dapat dibaca: “jalan” tidak dikenal. Pilihan: goods, works, services, consulting.",
        ),
        ("limit=1001", "limit tidak dapat dibaca: “1001” tidak di antara 1 dan 1000."),
        ("deadline_to=besok", "Contoh: 2026-12-03, 2026-12-03T14:00, +7d."),
        ("retender=mungkin", "“mungkin” bukan true atau false. Pilihan: true, false."),
        ("sort=value&sort=deadline", "sort tidak dapat dibaca: hanya boleh satu nilai."),
        ("q=" + "x" * 4000, "query tidak dapat dibaca: panjangnya harus 1 sampai 4000 huruf."),
        ("year=%3Cb%3E" + "9" * 500, "year tidak dapat dibaca: “‹b›999"),
    ],
)
def test_what_cannot_be_read_is_named(app: ASGIApp, query: str, told: str) -> None:
    for path, kind in (("/feeds/search.rss", "plain"), ("/cari.html", "html")):
        answer = ask(app, f"{path}?{query}")
        assert answer.status == 400
        assert answer.headers["content-type"] == f"text/{kind}; charset=utf-8"
        assert told in answer.body.decode()
        assert len(answer.body) < 9000
        assert ask(app, f"{path}?{query}", "HEAD").body == b""


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/feeds/search.rss?entries=berita", 400, "entries tidak dapat dibaca: “berita” tidak dikenal."),
        ("/feeds/search.ics?entries=changes&entries=tenders", 400, "entries tidak dapat dibaca: hanya boleh satu"),
        ("/feeds/tidak-ada.json", 503, "Layanan terganggu"),  # nothing is published
    ],
)
def test_programs_hear_what_is_wrong_in_a_line(app: ASGIApp, path: str, status: int, told: str) -> None:
    answer = ask(app, path)
    assert answer.status == status
    assert answer.body.decode().startswith(told)
    assert answer.body.count(b"\n") == 1
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (ask(app, path, "HEAD").status, ask(app, path, "HEAD").body) == (status, b"")


def test_a_feed_is_only_read(app: ASGIApp) -> None:
    refused = ask(app, "/feeds/search.rss", "POST")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert refused.body.decode() == "Umpan hanya untuk dibaca.\n"


def test_the_english_edition_says_it_in_english(app: ASGIApp) -> None:
    answer = ask(app, "/en/cari.html?min_value=limaratus")
    assert "min_value cannot be read: “limaratus” is not a number. As in 500000000." in answer.body.decode()
    assert 'href="../style.css"' in answer.body.decode()


def test_validators_are_those_of_a_published_feed(app: ASGIApp) -> None:
    path = "/feeds/search.rss?q=jalan"
    plain, packed = ask(app, path), ask(app, path, accept_encoding="gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] == plain.headers["etag"].removesuffix('"') + '-gzip"'
    headers = plain.headers
    assert headers["content-type"] == "application/rss+xml; charset=utf-8"
    assert headers["last-modified"] == "Tue, 24 Nov 2026 02:40:00 GMT"  # of the data, not of the clock
    assert headers["cache-control"] == "public, max-age=300, stale-while-revalidate=86400"
    assert (headers["vary"], headers["access-control-allow-origin"]) == ("Accept-Encoding", "*")
    assert headers["x-content-type-options"] == "nosniff"
    assert not {"link", "set-cookie"} & headers.keys()
    for form in ("{}", "W/{}", '"x", {}', "*"):
        answer = ask(app, path, if_none_match=form.format(headers["etag"]))
        assert (answer.status, answer.body) == (304, b"")
        assert {name: answer.headers[name] for name in ("etag", "cache-control", "vary")} == {
            name: headers[name] for name in ("etag", "cache-control", "vary")
        }
    assert ask(app, path, if_modified_since=headers["last-modified"]).status == 304
    head = ask(app, path, "HEAD")
    assert (head.status, head.headers, head.body) == (200, headers, b"")
    answer = ask(app, path, "POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert ask(app, "/feeds/search.xml?q=jalan").status in {404, 503}


def test_one_search_is_kept_once(app: ASGIApp) -> None:
    first = ask(app, "/feeds/search.atom?q=jalan&kind=tender&kind=non_tender")
    assert ask(app, "/feeds/search.atom?utm_source=x&kind=non_tender&kind=tender&q=+jalan+") == first


class Watched(Repository):
    """Counts what is asked of it, and fails or waits when told to."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository.engine)
        self.found = self.states = 0
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()

    def find(self, *asked: Any, **how: Any) -> Iterator[Any]:
        self.found += 1
        self.gate.wait(5)
        return super().find(*asked, **how)

    def find_state(self) -> tuple[int, ...]:
        self.states += 1
        if self.fails:
            raise DatabaseError("it has gone")
        return super().find_state()


class Bench:
    """The feed of searches without the rest of the server, over a repository that is watched."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.since = READ - timedelta(days=1)
        _, repository, self.config = open_search(folder, self.clock)
        self.repository = Watched(repository)
        self.start()

    def start(self) -> None:
        """Anew, with nothing in memory."""
        self._searching = Searching(self.repository, lambda: self.clock.now, lambda: self.clock.seconds, self.since)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        file = await self._searching.find_feed(self.config, Format.RSS, scope["query_string"].decode())
        await send_file(file, scope, send)

    def save(self, tender: Tender) -> None:
        self.repository.save([Reading(tender=tender)], self.clock.now)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


OPEN_ROADS = "/?q=jalan&status=active"


def test_a_warm_answer_asks_the_database_nothing(bench: Bench) -> None:
    first = ask(bench, OPEN_ROADS)
    asked = bench.repository.found
    assert ask(bench, OPEN_ROADS) == ask(bench, "/?status=active&q=jalan") == first
    assert (bench.repository.found, bench.repository.states) == (asked, 2)
    bench.clock.move(seconds=2)  # the state is asked for again, the tenders are not
    assert ask(bench, OPEN_ROADS) == first
    assert (bench.repository.found, bench.repository.states) == (asked, 3)
    bench.clock.move(days=2)  # nothing in this filter is told from now
    assert ask(bench, OPEN_ROADS) == first
    assert bench.repository.found == asked


def test_validators_stay_while_the_bytes_do(bench: Bench) -> None:
    first = ask(bench, OPEN_ROADS)
    bench.clock.move(minutes=10)
    bench.save(replace(TENDER, key="9", title="Pengadaan Obat", procuring_entity="X", locations=()))
    again = ask(bench, OPEN_ROADS)
    assert bench.repository.found > 1
    assert again == first


def test_other_bytes_are_later(bench: Bench) -> None:
    first = ask(bench, OPEN_ROADS)
    bench.clock.move(minutes=10)
    bench.save(replace(TENDER, key="9", title="Perbaikan Jalan"))
    second = ask(bench, OPEN_ROADS, if_modified_since=first.headers["last-modified"])
    assert second.status == 200
    assert second.headers["etag"] != first.headers["etag"]
    assert second.headers["last-modified"] == "Tue, 24 Nov 2026 02:55:00 GMT"
    bench.clock.move(minutes=10)
    bench.save(replace(TENDER, key="9", title="Perbaikan Jalan", status=Status.CANCELLED))  # it leaves the result
    third = ask(bench, OPEN_ROADS, if_modified_since=second.headers["last-modified"])
    assert (third.status, third.body) == (200, first.body)
    assert third.headers["last-modified"] == "Tue, 24 Nov 2026 03:05:00 GMT"


def test_bytes_that_move_faster_than_seconds_are_told_apart(bench: Bench) -> None:
    first = ask(bench, OPEN_ROADS)
    tender = replace(TENDER, key="9", title="Perbaikan Jalan")
    bench.repository.save([Reading(tender=tender)], READ + timedelta(microseconds=900))
    bench.clock.seconds += 2
    second = ask(bench, OPEN_ROADS)
    assert second.body != first.body
    assert second.headers["last-modified"] == "Tue, 24 Nov 2026 02:40:01 GMT"


def test_time_alone_moves_a_search_that_is_told_from_now(bench: Bench) -> None:
    path = "/?status=active&deadline_from=%2B0d"
    first = ask(bench, path)
    bench.clock.move(seconds=50)
    assert ask(bench, path) == first
    bench.clock.move(hours=1)  # some close one hour after READ
    second = ask(bench, path, if_modified_since=first.headers["last-modified"])
    assert second.status == 200
    assert second.headers["last-modified"] == "Tue, 24 Nov 2026 03:40:00 GMT"  # when they closed
    bench.start()  # what was in memory is forgotten, what was sent is not taken back
    assert ask(bench, path) == second


def test_many_who_ask_at_once_wait_for_one_answer(bench: Bench) -> None:
    ask(bench, OPEN_ROADS)
    once = bench.repository.found
    bench.start()
    bench.repository.found = 0
    bench.repository.gate.clear()

    async def ask_many() -> list[bytes]:
        waiting = [
            asyncio.create_task(bench._searching.find_feed(bench.config, Format.RSS, "q=jalan&status=active"))
            for _ in range(20)
        ]
        await asyncio.sleep(0.05)
        bench.repository.gate.set()
        return [file.plain.body for file in await asyncio.gather(*waiting)]

    assert len(set(asyncio.run(ask_many()))) == 1
    assert bench.repository.found == once


def test_a_database_that_fails_is_told_or_spared(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    first = ask(bench, OPEN_ROADS)
    bench.repository.fails = True
    bench.clock.move(seconds=5)
    assert ask(bench, OPEN_ROADS) == ask(bench, OPEN_ROADS) == first  # stale rather than none
    bench.clock.move(seconds=TOLD_EVERY)
    with pytest.raises(HTTPException) as caught:
        ask(bench, "/?q=obat")
    assert (caught.value.status_code, caught.value.headers) == (503, {"Retry-After": "30"})
    assert [record.getMessage() for record in caplog.records] == [
        "feeds/search.rss: it has gone; an older one is sent",  # never what was searched for
        "feeds/search.rss: it has gone; 503 (1 more before)",
    ]
    bench.repository.fails = False
    assert ask(bench, "/?q=obat").status == 200


def test_a_slow_database_keeps_nobody_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = ask(bench, OPEN_ROADS)
    monkeypatch.setattr("feeds.serving.answers.PATIENCE", 0.05)
    monkeypatch.setattr("feeds.serving.answers.STALE_PATIENCE", 0.05)
    bench.clock.move(minutes=1)
    bench.save(replace(TENDER, key="9", title="Perbaikan Jalan"))
    bench.repository.gate.clear()
    assert ask(bench, OPEN_ROADS) == first
    bench.clock.move(seconds=TOLD_EVERY)
    with pytest.raises(HTTPException):
        ask(bench, "/?q=obat")
    bench.repository.gate.set()
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "no answer in time; an older one is sent",
        "no answer in time; 503",
    ]


def test_a_row_that_cannot_be_read_is_a_bad_day_too(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    first = ask(bench, OPEN_ROADS)
    with bench.repository.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tenders SET tender = '{'")
    bench.clock.move(minutes=1)
    bench.save(replace(TENDER, key="9", title="Perbaikan Jalan"))
    assert ask(bench, OPEN_ROADS) == first
    for _ in range(2):
        bench.clock.move(minutes=1)
        with pytest.raises(HTTPException) as caught:
            ask(bench, "/?q=jalan")
        assert caught.value.status_code == 503
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert [bool(record.exc_info) for record in caplog.records] == [True, False, False]  # its traceback is told once
    assert "q=jalan" not in caplog.text


def test_a_database_put_in_the_place_of_another_is_noticed(bench: Bench, tmp_path: Path) -> None:
    first = ask(bench, OPEN_ROADS)
    other = Bench(tmp_path / "other", bench.clock)
    with other.repository.engine.begin() as connection:  # as many releases and runs, other words
        connection.exec_driver_sql("UPDATE tenders SET tender = replace(tender, 'Jalan', 'Lautan')")
    other.repository.engine.dispose()
    assert other.config.database_url != bench.config.database_url
    mine, its = (Path(str(each.repository.engine.url.database)) for each in (bench, other))
    for old in mine.parent.glob("warta.db-*"):
        old.unlink()
    its.replace(mine)
    bench.clock.move(seconds=5)
    second = ask(bench, OPEN_ROADS)
    assert b"Lautan" in second.body
    assert b"Lautan" not in first.body
    bench.save(replace(TENDER, key="9", title="Perbaikan Jalan"))  # what is written goes to the new one, too
    bench.clock.move(seconds=5)
    assert b"Perbaikan" in ask(bench, OPEN_ROADS).body


def test_another_configuration_is_another_answer(bench: Bench) -> None:
    first = ask(bench, OPEN_ROADS)
    bench.config = bench.config.model_copy(update={"portal": bench.config.portal[1:]})
    bench.since = READ + timedelta(minutes=3)
    bench.start()
    second = ask(bench, OPEN_ROADS, if_modified_since=first.headers["last-modified"])
    assert second.status == 200
    assert second.body != first.body
    assert second.headers["last-modified"] == "Tue, 24 Nov 2026 02:43:00 GMT"


def test_a_clock_that_was_set_back_tells_no_time_to_come(bench: Bench) -> None:
    first = ask(bench, OPEN_ROADS)
    bench.save(replace(TENDER, key="9", title="Perbaikan Jalan"))
    bench.clock.now -= timedelta(days=3)
    bench.clock.seconds += 5
    second = ask(bench, OPEN_ROADS, if_modified_since=first.headers["last-modified"])
    assert second.status == 200
    assert second.body != first.body
    assert second.headers["last-modified"] == "Sat, 21 Nov 2026 02:45:00 GMT"  # RFC 9110 §8.8.2.1
