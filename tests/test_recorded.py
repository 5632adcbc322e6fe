"""Real input: the recorded lists and pages of two portals, served sorted and sliced as asked, crawled and published."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import feedparser  # type: ignore[import-untyped]
import pytest

from aggregator.config import Config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Kind, Record
from aggregator.repository import Repository
from aggregator.verdicts import Verdict
from feeds.publish import publish
from spiders.crawl import Order, crawl
from tests.road import make_config

SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "spse"
NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
WIB = ZoneInfo("Asia/Jakarta")
LISTS = {
    "/kemkes/dt/lelang": "dt_lelang_kemkes_2025.json",
    "/kemkes/dt/pl": "dt_pl_kemkes_2025.json",
    "/nasional/dt/nonspk": "dt_nonspk.json",
    "/nasional/dt/swakelola": "dt_swakelola.json",
    "/nasional/dt/darurat-list": "dt_darurat_list.json",
}
PAGES = {
    "/kemkes/": "homepage_tables_fragment.html",
    "/nasional/pencatatan/pengumumannonspk?id=10942236000": "nonspk_pengumuman.html",
    "/nasional/pencatatan/pengumumannonspkpemenang?id=10942236000": "nonspk_pemenang_berkontrak.html",
    "/nasional/swakelola/10336514000/pengumuman": "swakelola_pengumuman.html",
    "/nasional/swakelola/pengumumanswakelolapelaksana/10336514000": "swakelola_pelaksana.html",
    "/nasional/darurat/pengumumandarurat?id=106802": "darurat_pengumuman.html",
    "/nasional/darurat/pengumumandaruratpemenang?id=106802": "darurat_pemenang.html",
}
TOKEN = "0123456789abcdef0123456789abcdef01234567"
LIST_PAGE = f"<html><script>d.authenticityToken = '{TOKEN}';</script></html>".encode()
EMPTY_HOME = b"""<table class="table table-sm"><tr><th>No</th><th>Nama Paket</th><th>HPS</th>
<th>Akhir Pendaftaran</th></tr></table>"""


class Recorded(BaseHTTPRequestHandler):
    """Answers from the recordings; what was not recorded is not there."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: 40 ms an answer otherwise

    def do_GET(self) -> None:
        if self.path in PAGES:
            self.answer(200, (SAMPLES / PAGES[self.path]).read_bytes())
        elif self.path == "/nasional/":
            self.answer(200, EMPTY_HOME)
        elif self.path.count("/") == 2 and self.path != "/robots.txt":
            self.answer(200, LIST_PAGE)
        else:
            self.answer(404, b"<p>Halaman yang dituju tidak ditemukan</p>")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        name = LISTS.get(urlsplit(self.path).path)
        rows = json.loads((SAMPLES / name).read_bytes())["data"] if name else []
        rows.sort(key=lambda row: int(row[0]))
        start, length = int(form["start"][0]), int(form["length"][0])
        answer = {"draw": form["draw"][0], "recordsTotal": 2147483647, "recordsFiltered": 2147483647}
        self.answer(200, json.dumps({**answer, "data": rows[start : start + length]}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if not SAMPLES.is_dir():
        pytest.skip("the recorded responses are not at hand")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorded)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


TABLES = """\
[[portal]]
id = "kemkes"
family = "spse"
name = "LPSE Kementerian Kesehatan"
url = "{url}/kemkes"
kinds = ["tender", "non_tender"]
years = [2025]

[[portal]]
id = "nasional"
family = "spse"
name = "LPSE Nasional"
url = "{url}/nasional"
kinds = ["recorded", "self_managed", "emergency"]
years = [2026]
"""


@pytest.fixture
def recorded(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.delenv("WARTA_DATABASE_URL", raising=False)
    return make_config(TABLES, address, tmp_path)


def test_recorded_portals_are_crawled_and_published(recorded: Config) -> None:
    repository = Repository(open_database(recorded.database_url))
    kemkes, nasional = crawl(recorded, recorded.portal, repository, Order(), now=NOW)
    assert (kemkes.verdict, kemkes.seen, kemkes.new) == (Verdict.PARTIAL, 53, 53)
    assert (nasional.verdict, nasional.seen, nasional.new) == (Verdict.PARTIAL, 53, 53)
    assert any(reason.startswith("missing_page") for reason in kemkes.reasons)
    found: dict[tuple[str, str], Record] = {
        (r.tender.portal, r.tender.key): r for r in repository.find(Filter(), NOW, WIB)
    }
    assert len(found) == 106
    whole = [key for key, record in found.items() if not record.tender.incomplete]
    assert sorted(whole) == [("nasional", "10336514000"), ("nasional", "106802"), ("nasional", "10942236000")]
    lacking = found["kemkes", "10102584000"].tender
    assert (lacking.kind, lacking.buyer, lacking.stage) == (
        Kind.TENDER,
        "Kementerian Kesehatan",
        "Tender Sudah Selesai",
    )
    assert lacking.value is None  # the list's rounded HPS is never a value
    recorded_one = found["nasional", "10942236000"].tender
    assert [str(contract.amount.amount) for contract in recorded_one.contracts if contract.amount] == ["266400.00"]
    publish(recorded, repository, NOW)
    feed = feedparser.parse((recorded.public_folder / "feeds" / "perubahan.rss").read_bytes())
    assert not feed.bozo
    assert len(feed.entries) == 100


def test_what_cannot_be_had_yet_is_tried_again_next_time(recorded: Config) -> None:
    repository = Repository(open_database(recorded.database_url))
    (portal,) = (p for p in recorded.portal if p.id == "nasional")
    (first,) = crawl(recorded, [portal], repository, Order(), now=NOW)
    (second,) = crawl(recorded, [portal], repository, Order(), now=NOW.replace(hour=3))
    assert second.verdict is Verdict.PARTIAL
    assert (second.new, second.changed, second.withdrawn) == (0, 0, 0)
    again = first.requests - 7  # neither the three that were read whole nor robots.txt are asked for once more
    assert second.requests == again
