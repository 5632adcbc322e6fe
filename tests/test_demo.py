"""The stand-in portal: the shape of its pages beside recorded ones, its lists, sessions, refusals and faults."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import lxml.html
import pytest

from demo.messages import Request, Response
from demo.names import DENPASAR, HOSTILE_TITLES
from demo.packages import KINDS, Package, document, is_awarded, stage
from demo.spse import FAULTS, Portal
from demo.spse_frame import render_rupiah, tabs
from demo.spse_lists import LISTS, short_amount
from demo.world import World

NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "spse"
AGENT = "Mozilla/5.0 (compatible; WartaPengadaan/1.0; +https://blp.example.go.id/)"

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="recorded responses are not part of the project")


@dataclass
class Client:
    """Asks a portal without a network, as a polite spider would."""

    portal: Portal
    cookie: str = ""
    token: str = ""
    faults: frozenset[str] = field(default=frozenset())

    def get(self, address: str, **headers: str) -> Response:
        path, _, query = f"{self.portal.prefix}/{address}".partition("?")
        polite = {"user-agent": AGENT, "referer": f"http://x{self.portal.prefix}/", "cookie": self.cookie}
        return self.portal.answer(Request("GET", path, query, polite | headers, faults=self.faults))

    def open(self, kind: str) -> None:
        """Fetches cookie and token from the list page of ``kind``."""
        response = self.get(LISTS[kind][0])
        match = re.search(rb"d\.authenticityToken = '([0-9a-f]{40})';", response.body)
        assert match
        self.token = match[1].decode()
        self.cookie = dict(response.headers)["Set-Cookie"].split(";")[0]

    def post(self, kind: str, headers: dict[str, str] | None = None, query: str = "", **form: object) -> Response:
        page, endpoint = LISTS[kind]
        polite = {
            "user-agent": AGENT,
            "referer": f"http://x{self.portal.prefix}/{page}",
            "x-requested-with": "XMLHttpRequest",
            "cookie": self.cookie,
        }
        body = urlencode({"draw": 1, "start": 0, "length": 100, "authenticityToken": self.token} | form).encode()
        path = f"{self.portal.prefix}/{endpoint}"
        return self.portal.answer(Request("POST", path, query, polite | (headers or {}), body, self.faults))

    def rows(self, kind: str, **form: object) -> list[list[str | None]]:
        if not self.token:
            self.open(kind)
        response = self.post(kind, None, "", **({"order[0][column]": 0, "order[0][dir]": "asc"} | form))
        assert response.status == 200
        rows: list[list[str | None]] = json.loads(response.body)["data"]
        return rows


@pytest.fixture
def world() -> World:
    return World(NOW)


@pytest.fixture
def client(world: World) -> Client:
    return Client(Portal(world))


def page_of(client: Client, package: Package, page: str) -> bytes:
    response = client.get(tabs(package, client.portal.world.now)[page][1])
    assert response.status == 200
    return response.body


def text_of(element: Any) -> str:
    return " ".join(element.text_content().split())


# Pages beside recorded ones ------------------------------------------------------------------------------


def labels_of(page: bytes) -> list[str]:
    table = lxml.html.fromstring(page).get_element_by_id("main").xpath('.//table[.//th[@class="bgwarning"]]')[0]
    return [text_of(th) for th in table.xpath('.//th[@class="bgwarning"]')]


def heads_of(page: bytes) -> list[list[str]]:
    """The heads of all tables within the content."""
    main = lxml.html.fromstring(page).get_element_by_id("main")
    rows = [[text_of(th) for th in tr.xpath("./th[not(@class='bgwarning')]")] for tr in main.iter("tr")]
    return [row for row in rows if row]


def tabs_of(page: bytes) -> list[str]:
    return [text_of(a) for a in lxml.html.fromstring(page).xpath('//div[@id="main"]/ul[@class="nav nav-tabs"]//a')]


PAIRS = [
    ("non_tender", "announcement", "nontender_pengumuman_browser_saved.html"),
    ("non_tender", "winner", "nontender_pemenang.html"),
    ("tender", "contracted", "tender_pemenangberkontrak_empty_browser_saved.html"),
    ("recorded", "announcement", "nonspk_pengumuman.html"),
    ("recorded", "realised", "nonspk_pemenang_berkontrak.html"),
    ("self_managed", "announcement", "swakelola_pengumuman.html"),
    ("self_managed", "realised", "swakelola_pelaksana.html"),
    ("emergency", "announcement", "darurat_pengumuman.html"),
    ("emergency", "realised", "darurat_pemenang.html"),
]


@needs_samples
@pytest.mark.parametrize(("kind", "page", "sample"), PAIRS)
def test_pages_have_labels_and_tabs_as_recorded(client: Client, kind: str, page: str, sample: str) -> None:
    world = client.portal.world
    last = "contracted" if "tender" in kind else "realised"
    package = next(
        p
        for p in world.listed(kind)
        if last in tabs(p, world.now) and not p.again and (document(p) or last == "realised")
    )
    made, real = page_of(client, package, page), (SAMPLES / sample).read_bytes()
    assert labels_of(made) == labels_of(real)
    assert tabs_of(made) == tabs_of(real)


@needs_samples
@pytest.mark.parametrize(("kind", "page", "sample"), [pair for pair in PAIRS if pair[1] != "announcement"])
def test_tables_have_heads_as_recorded(kind: str, page: str, sample: str) -> None:
    real = heads_of((SAMPLES / sample).read_bytes())
    client = Client(Portal(World(NOW, emergencies=40)))
    world = client.portal.world
    made = [heads_of(page_of(client, p, page)) for p in world.listed(kind) if page in tabs(p, world.now)]
    assert real in made


@needs_samples
def test_schedule_as_recorded(client: Client, world: World) -> None:
    key = world.open("non_tender")[0].key
    world.reschedule(key, 1)
    made = client.get(f"nontender/{key}/jadwal").body
    assert heads_of(made) == heads_of((SAMPLES / "nontender_jadwal_changed.html").read_bytes())
    assert b">1 kali perubahan</a>" in made


@needs_samples
def test_home_page_as_recorded(client: Client) -> None:
    real = lxml.html.fromstring((SAMPLES / "homepage_tables_fragment.html").read_bytes())
    made = lxml.html.fromstring(client.get("").body)

    def shape(root: Any) -> list[Any]:
        return [
            (
                table.get("class"),
                [text_of(th) for th in table.iter("th")],
                {len(tr.findall("td")) for tr in table.iter("tr")},
                {cell.get("class") for tr in table.xpath(".//tr[@class]") for cell in tr.findall("td")},
            )
            for table in root.iter("table")
        ]

    assert shape(made) == shape(real)


@needs_samples
@pytest.mark.parametrize(
    ("kind", "sample"),
    [
        ("tender", "dt_lelang_kemkes_2025.json"),
        ("non_tender", "dt_pl_kemkes_2025.json"),
        ("recorded", "dt_nonspk.json"),
        ("self_managed", "dt_swakelola.json"),
        ("emergency", "dt_darurat_list.json"),
    ],
)
def test_rows_as_recorded(client: Client, kind: str, sample: str) -> None:
    real = json.loads((SAMPLES / sample).read_bytes())
    client.open(kind)
    made = json.loads(client.post(kind).body)
    assert made.keys() == real.keys()
    assert type(made["draw"]) is type(real["draw"]) is str
    assert made["recordsTotal"] == real["recordsTotal"]
    assert {len(row) for row in made["data"]} == {len(row) for row in real["data"]}
    amount = 4 if "tender" in kind else 3
    assert all(re.fullmatch(r"[\d.]+(,\d)? (T|M|Jt|Rb)", row[amount]) for row in (*real["data"], *made["data"]))
    assert all(re.fullmatch(r"\d+", row[0]) for row in (*real["data"], *made["data"]))


def test_announcements_have_no_tbody_and_two_amounts_in_a_row(client: Client, world: World) -> None:
    page = page_of(client, world.open("tender")[0], "announcement")
    assert b"<tbody" not in page
    row = lxml.html.fromstring(page).xpath('//tr[th="Nilai Pagu Paket"]')[0]
    assert [cell.tag for cell in row] == ["th", "td", "th", "td"]
    assert b"seedTime: parseInt(%d)" % (world.now.timestamp() * 1000) in page
    assert b"Aplikasi SPSE v4.5u20250321" in page


def test_hostile_titles_are_escaped_on_pages_and_in_lists(client: Client, world: World) -> None:
    titles = {p.title for kind in KINDS for p in world.listed(kind)}
    assert titles >= set(HOSTILE_TITLES)
    package = next(p for p in world.listed("tender") if p.title.startswith("<script>"))
    assert b"<script>alert" not in page_of(client, package, "announcement")
    assert b"<script>alert" not in client.get("").body
    row = next(row for row in client.rows("tender") if row[0] == package.key)
    assert (row[1] or "").startswith("&lt;script&gt;alert(&#x27;warta&#x27;)&lt;/script&gt; Pengadaan Laptop")


def test_gson_escapes_the_signs_of_html(client: Client, world: World) -> None:
    world.retender(world.open("tender")[0].key)
    client.open("tender")
    body = client.post("tender").body
    assert b"\\u003cspan class\\u003d\\u0027badge  badge-warning\\u0027\\u003eTender Ulang\\u003c/span\\u003e" in body
    assert not set(b"<>&='") & set(body)


def test_participants_are_numbers_before_the_award_and_names_after_it(client: Client, world: World) -> None:
    running = next(p for p in world.open("tender") if not is_awarded(p, world.now) and p.start < world.now)
    assert b"Peserta 1</td>" in page_of(client, running, "participants")
    world.award(running.key)
    assert b"Peserta 1</td>" not in page_of(client, running, "participants")
    assert b"REKAAN" in page_of(client, running, "participants")
    heads = heads_of(page_of(client, running, "evaluation"))[0]
    assert heads == ["No", "Nama Peserta", *"KBATH", "SK", "SB", "ST", "P", "PT", "HN", "SH", "SA", "P", "PK", "Alasan"]
    assert b"star.gif" in page_of(client, running, "evaluation")


def test_history_of_a_schedule(client: Client, world: World) -> None:
    key = world.open("tender")[-1].key
    world.reschedule(key, 2, "Adendum <dokumen>")
    link = re.search(r'href="/malangkota/(jadwal/\d+/history)"', client.get(f"lelang/{key}/jadwal").body.decode())
    assert link
    page = client.get(link[1])
    assert page.status == 200
    assert heads_of(page.body) == [["No", "Tanggal Edit", "Jadwal Original", "Keterangan"], ["Mulai", "Sampai"]]
    assert b"Adendum &lt;dokumen&gt;" in page.body
    other = world.open("tender")[0].key
    assert client.get(f"jadwal/{other}01/history").status == 404


def test_tabs_grow_with_the_stage(client: Client, world: World) -> None:
    package = world.open("tender")[0]
    assert list(tabs(package, world.now)) == ["announcement", "participants"]
    assert client.get(f"evaluasi/{package.key}/pemenang").page == "absent"
    world.award(package.key)
    assert list(tabs(package, world.now)) == ["announcement", "participants", "evaluation", "winner"]
    assert client.get(f"evaluasi/{package.key}/pemenang").page == "winner"
    world.sign(package.key)
    assert list(tabs(package, world.now))[-1] == "contracted"


def test_every_page_of_every_package_is_there(client: Client) -> None:
    world = client.portal.world
    for kind in KINDS:
        for package in world.listed(kind):
            for page in tabs(package, world.now):
                assert page_of(client, package, page)
            if "Tidak Ada" in stage(package, world.now):
                assert client.get(f"{LISTS[kind][0]}/{package.key}/jadwal").status == 404


def test_a_vanished_package_is_nowhere(client: Client, world: World) -> None:
    package = world.open("tender")[0]
    address = tabs(package, world.now)["announcement"][1]
    world.vanish(package.key)
    assert client.get(address).status == 404
    assert b"Halaman yang dituju tidak ditemukan" in client.get(address).body
    assert package.key not in {row[0] for row in client.rows("tender")}
    assert package.key.encode() not in client.get("").body


@pytest.mark.parametrize(
    ("amount", "short"),
    [
        ("22741000000", "22,7 M"),
        ("750939420", "750,9 Jt"),
        ("999960000", "1.000 Jt"),
        ("600000", "0,6 Jt"),
        ("60000000000", "60 M"),
        ("1250000000000", "1,3 T"),
        ("43500.50", "43,5 Rb"),
    ],
)
def test_short_amount(amount: str, short: str) -> None:
    assert short_amount(Decimal(amount)) == short


def test_render_rupiah() -> None:
    assert render_rupiah(Decimal("135126309.5")) == "Rp. 135.126.309,50"
    assert render_rupiah(None) == ""


def test_another_zone() -> None:
    world = World(NOW, place=DENPASAR)
    assert {r["published"][-6:] for r in world.truth()} == {"+08:00"}
    home = Client(Portal(world)).get("")
    assert b"<span>WITA</span>" in home.body
    assert b"utc_offset: 8" in home.body


# Lists ---------------------------------------------------------------------------------------------------


def test_column_0_is_ordered_as_a_number(client: Client, world: World) -> None:
    world.add("tender", key="999")
    keys = [int(row[0] or "") for row in client.rows("tender")]
    assert keys == sorted(keys)
    assert keys[0] == 999
    assert [int(row[0] or "") for row in client.rows("tender", **{"order[0][dir]": "desc"})] == keys[::-1]


def test_the_default_order_is_not_stable(client: Client) -> None:
    client.open("non_tender")
    pages = [[row[0] for row in json.loads(client.post("non_tender").body)["data"]] for _ in range(5)]
    assert len({tuple(page) for page in pages}) > 1
    assert len({frozenset(page) for page in pages}) == 1


def test_other_columns_are_ordered_by_their_words(client: Client) -> None:
    stages = [row[3] or "" for row in client.rows("tender", **{"order[0][column]": 3})]
    assert stages == sorted(stages)


def test_pages_short_and_empty(client: Client, world: World) -> None:
    total = len(world.listed("tender"))
    assert [len(client.rows("tender", start=start, length=25)) for start in (0, 25, 50, 75)] == [25, 25, total - 50, 0]


def test_length_cap(world: World) -> None:
    assert len(Client(Portal(world, length_cap=30)).rows("non_tender", length=100)) == 30


def test_filters_stand_in_the_query_or_in_the_body(client: Client, world: World) -> None:
    everything = {p.key for p in world.listed("tender")}
    of_year = {p.key for p in world.listed("tender") if 2025 in p.years}
    world.add("tender", years=(2025, 2026))
    client.open("tender")
    in_query = json.loads(client.post("tender", query="kategoriId=&rekanan=&tahun=2025&instansiId=").body)["data"]
    in_body = client.rows("tender", tahun=2025)
    assert {row[0] for row in in_query} == {row[0] for row in in_body}
    assert of_year < {row[0] for row in in_body}
    assert len(in_body) < len(everything)
    works = client.rows("tender", kategoriId=2)
    assert {(row[8] or "").split(" - ")[0] for row in works} == {"Pekerjaan Konstruksi"}
    assert {row[2] for row in client.rows("tender", instansiId=1)} == {"Kota Malang"}
    assert client.rows("tender", instansiId=99) == []
    assert len(client.rows("tender", **{"search[value]": "hyperlink"})) == 1


def test_ten_thousand_packages_answer_like_sixty() -> None:
    world = World(NOW, tenders=6000, non_tenders=4000, recorded=0, self_managed=0, emergencies=0)
    client = Client(Portal(world))
    assert len(client.rows("tender", start=5900, length=1000)) == 100
    assert {h.kind for h in world.advance(days=2)} == {"tender", "non_tender"}


# Sessions and refusals -----------------------------------------------------------------------------------


def test_token_stands_in_page_and_cookie(client: Client) -> None:
    client.open("tender")
    pattern = r"SPSE_SESSION=[0-9a-f]{40}-___AT=([0-9a-f]{40})&___TS=\d{13}&___ID=[0-9a-f-]{36}"
    match = re.fullmatch(pattern, client.cookie)
    assert match
    assert match[1] == client.token


def test_some_hosts_encode_the_cookie(world: World) -> None:
    client = Client(Portal(world, encode_cookie=True))
    assert client.rows("tender")
    assert "___AT%3D" in client.cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"referer": ""},
        {"x-requested-with": ""},
        {"user-agent": "curl/8"},
        {"cookie": ""},
        {"cookie": "SPSE_SESSION=x-y"},
    ],
)
def test_lists_refuse(client: Client, headers: dict[str, str]) -> None:
    client.open("tender")
    assert client.post("tender").status == 200
    refused = client.post("tender", headers)
    assert refused.status == 403
    assert b"Akses Ditolak!" in refused.body


def test_lists_refuse_a_wrong_token_and_get(client: Client) -> None:
    client.open("tender")
    assert client.post("tender", authenticityToken="0" * 40).status == 403
    assert client.get("dt/lelang").status == 404


def test_details_refuse_without_referer(client: Client, world: World) -> None:
    address = tabs(world.open("tender")[0], world.now)["announcement"][1]
    assert client.get(address).status == 200
    assert client.get(address, referer="").status == 403
    assert client.get(address, **{"user-agent": "python-requests/2"}).status == 403
    assert client.get("", referer="").status == 200, "the home page asks for none"


def test_sessions_slide_and_end(world: World) -> None:
    seconds = [0.0]
    client = Client(Portal(world, session_seconds=60, clock=lambda: seconds[0]))
    client.open("tender")
    seconds[0] = 50
    client.open("tender")  # the same session, at a new time
    seconds[0] = 100
    assert client.post("tender").status == 200
    seconds[0] = 111
    assert client.post("tender").status == 403
    client.open("tender")
    assert client.post("tender").status == 200


def test_a_stale_token_may_be_answered_by_html(world: World) -> None:
    client = Client(Portal(world, stale="html"))
    client.open("tender")
    answer = client.post("tender", authenticityToken="0" * 40)
    assert (answer.status, answer.body.lstrip()[:1]) == (200, b"<")


# Faults --------------------------------------------------------------------------------------------------


def test_faults_of_the_family(client: Client, world: World) -> None:
    world.add("tender", key="1", years=(2020,))
    good = client.rows("tender", length=20, tahun=2026)
    everything = client.rows("tender")
    told: dict[str, Any] = {}
    for fault in FAULTS.keys() - {"apology", "trouble", "html", "forbidden", "rotate"}:
        client.faults = frozenset({fault})
        told[fault] = client.rows("tender", start=20, length=20, tahun=2026)
    assert told["moving"][:3] == good[-3:]
    assert len(told["shrunk"]) == 0
    assert told["unfiltered"][0][0] == everything[20][0] != told["duplicates"][0][0]
    assert [row[0] for row in told["unsorted"]] != sorted(row[0] for row in told["unsorted"])
    assert told["duplicates"][0] == told["duplicates"][-1]
    assert (len(told["short"]), told["empty"], len(told["odd_row"][0])) == (15, [], 17)


def test_fault_pages_of_the_family(client: Client) -> None:
    client.open("tender")
    client.faults = frozenset({"apology"})
    apology = client.get("lelang")
    assert apology.status == 200
    assert b"Maaf, terjadi error pada aplikasi SPSE." in apology.body
    assert b"Kode Error: " in apology.body
    client.faults = frozenset({"trouble"})
    assert b"Terjadi Kesalahan" in client.get("").body
    client.faults = frozenset({"html"})
    assert client.post("tender").body.lstrip()[:1] == b"<"
    client.faults = frozenset({"forbidden"})
    assert client.get("").status == 403


def test_rotation_ends_sessions(client: Client) -> None:
    client.open("tender")
    client.faults = frozenset({"rotate"})
    assert client.post("tender").status == 403
    client.faults = frozenset()
    assert client.post("tender").status == 403
    client.open("tender")
    assert client.post("tender").status == 200
