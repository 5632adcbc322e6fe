"""An SPSE portal as it answers over HTTP: addresses, session and token, refusals, and the faults of its own."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha1
from urllib.parse import parse_qsl, quote, unquote
from uuid import uuid4

from demo.messages import JSON, Request, Response
from demo.names import GUEST_BUYERS, Place
from demo.packages import BIDDING_KINDS, EMERGENCY, NON_TENDER, RECORDED, SELF_MANAGED, TENDER, Package, milestones
from demo.spse_announcement import render_announcement, render_history, render_schedule
from demo.spse_frame import render_notice, tabs
from demo.spse_lists import LISTS, Cells, arrange, render_answer, render_home, render_list_page, render_row, select
from demo.spse_results import (
    render_contracted,
    render_evaluation,
    render_participants,
    render_realised,
    render_winner,
)
from demo.world import World

# What may go wrong with this portal, by the names that server.faults.add takes.
FAULTS = {
    "apology": "200 with Maaf, terjadi error pada aplikasi SPSE. and a Kode Error",
    "trouble": "200 with Terjadi Kesalahan",
    "html": "an HTML page where JSON is due",
    "forbidden": "403 Akses Ditolak!",
    "rotate": "all sessions end at this request",
    "moving": "rows move by three between pages, so that some repeat",
    "shrunk": "the list has only a third of its rows",
    "unfiltered": "filters are ignored",
    "unsorted": "the order asked for is ignored",
    "duplicates": "the first row of the page comes again at its end",
    "short": "the page ends five rows early",
    "empty": "the page has no rows",
    "odd_row": "the first row has a cell too many",
}

_DETAILS = tuple(
    (re.compile(pattern), kind, page)  # nosemgrep: patterns-are-ours # those below
    for pattern, kind, page in (
        (r"lelang/(\d+)/pengumumanlelang", TENDER, "announcement"),
        (r"lelang/(\d+)/peserta", TENDER, "participants"),
        (r"lelang/(\d+)/jadwal", TENDER, "schedule"),
        (r"evaluasi/(\d+)/hasil", TENDER, "evaluation"),
        (r"evaluasi/(\d+)/pemenang", TENDER, "winner"),
        (r"evaluasi/(\d+)/pemenangberkontrak", TENDER, "contracted"),
        (r"jadwal/(\d+)/history", TENDER, "history"),
        (r"nontender/(\d+)/pengumumanpl", NON_TENDER, "announcement"),
        (r"nontender/(\d+)/peserta", NON_TENDER, "participants"),
        (r"nontender/(\d+)/jadwal", NON_TENDER, "schedule"),
        (r"evaluasinontender/(\d+)/hasil", NON_TENDER, "evaluation"),
        (r"evaluasinontender/(\d+)/pemenang", NON_TENDER, "winner"),
        (r"evaluasinontender/(\d+)/pemenangberkontrak", NON_TENDER, "contracted"),
        (r"jadwalnontender/(\d+)/history", NON_TENDER, "history"),
        (r"pencatatan/pengumumannonspk\?id=(\d+)", RECORDED, "announcement"),
        (r"pencatatan/pengumumannonspkpemenang\?id=(\d+)", RECORDED, "realised"),
        (r"swakelola/(\d+)/pengumuman", SELF_MANAGED, "announcement"),
        (r"swakelola/pengumumanswakelolapelaksana/(\d+)", SELF_MANAGED, "realised"),
        (r"darurat/pengumumandarurat\?id=(\d+)", EMERGENCY, "announcement"),
        (r"darurat/pengumumandaruratpemenang\?id=(\d+)", EMERGENCY, "realised"),
    )
)
_RENDERERS: Mapping[str, Callable[[Place, Package, datetime], bytes]] = {
    "participants": render_participants,
    "evaluation": render_evaluation,
    "winner": render_winner,
    "contracted": render_contracted,
    "realised": render_realised,
    "schedule": render_schedule,
}
_IGNORED = {  # fault → what it makes the list deaf to
    "unfiltered": ("tahun", "kategoriId", "instansiId", "search[value]"),
    "unsorted": ("order[0][column]", "order[0][dir]"),
}
_LIST_PAGES = {page: kind for kind, (page, _) in LISTS.items()}
_ENDPOINTS = {endpoint: kind for kind, (_, endpoint) in LISTS.items()}
_CSS = b"body{font-family:sans-serif}table{border-collapse:collapse}td,th{padding:.3em;text-align:left}"


class Portal:
    """A stand-in (messages.StandIn) of one SPSE portal.

    ``length_cap`` rows are the most that a list answers; ``session_seconds`` is how long a session lives after
    its list page was last asked for; ``encode_cookie`` percent-encodes the cookie, as some hosts do;
    ``stale`` says whether a stale token is answered by 403 or by a 200 HTML page; ``clock`` gives seconds.
    """

    def __init__(
        self,
        world: World,
        *,
        length_cap: int = 100_000,
        session_seconds: float = 1800,
        encode_cookie: bool = False,
        stale: str = "403",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.world = world
        self.prefix = f"/{world.place.slug}"
        self.length_cap = length_cap
        self._sessions = _Sessions(world.place.slug, session_seconds, encode_cookie, clock)
        self._stale = stale
        self._buyers = (world.place.buyer, *GUEST_BUYERS)
        self._made: dict[tuple[str, ...], list[Package]] = {}
        self._home = b""
        self._version = -1
        self._turn = 0

    def advance(self, by: timedelta) -> None:
        self.world.advance(to=self.world.now + by)

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(self.prefix).strip("/")
        if "rotate" in request.faults:
            self._sessions.rotate()
        if not request.headers.get("user-agent", "").startswith("Mozilla/"):
            return self._denied()
        fault = self._acted_out(request)
        if fault:
            return fault
        if path in _ENDPOINTS:
            return self._rows(_ENDPOINTS[path], request)
        if path in _LIST_PAGES:
            return self._list_page(_LIST_PAGES[path], request)
        if path == "":
            return self._home_page()
        if path == "public/css/application.css":
            return Response(_CSS, "asset", type="text/css")
        return self._detail(path, request)

    # Fronts ------------------------------------------------------------------------------------------

    def _home_page(self) -> Response:
        self._forget_old()
        if not self._home:
            world = self.world
            self._home = render_home(world.place, world.now, *(world.open(kind) for kind in BIDDING_KINDS))
        return Response(self._home, "home")

    def _list_page(self, kind: str, request: Request) -> Response:
        session = self._sessions.find(request) or self._sessions.make()
        body = render_list_page(self.world.place, self.world.now, kind, session["___AT"], self._buyers)
        return Response(body, "list", headers=(("Set-Cookie", self._sessions.cookie(session)),))

    def _rows(self, kind: str, request: Request) -> Response:
        if request.method != "POST":
            return self._missing()
        headers, form = request.headers, request.form
        if headers.get("x-requested-with") != "XMLHttpRequest" or self.prefix not in headers.get("referer", ""):
            return self._denied()
        session = self._sessions.find(request)
        if session is None or form.get("authenticityToken") != session["___AT"]:
            return self._denied() if self._stale == "403" else self._front_for_json()
        return Response(render_answer(form.get("draw", ""), self._page_of_rows(kind, request)), "rows", type=JSON)

    def _page_of_rows(self, kind: str, request: Request) -> list[Cells]:
        faults, form = request.faults, request.form
        ignored = {name for fault, names in _IGNORED.items() if fault in faults for name in names}
        packages = self._arranged(kind, {name: value for name, value in form.items() if name not in ignored})
        start, length = _number(form, "start", 0), min(_number(form, "length", 10), self.length_cap)
        if "shrunk" in faults:
            packages = packages[: len(packages) // 3]
        if "moving" in faults and start >= 3:
            start -= 3
        if "short" in faults:
            length = max(0, length - 5)
        if "empty" in faults:
            length = 0
        rows = [render_row(package, self.world.now) for package in packages[start : start + length]]
        if "duplicates" in faults:
            rows += rows[:1]
        if "odd_row" in faults and rows:
            rows[0] = [*rows[0], "?"]
        return rows

    def _arranged(self, kind: str, form: Mapping[str, str]) -> list[Package]:
        """The rows asked for; kept while the world stands still, but for the default order, which never stands."""
        self._forget_old()
        self._turn += 1
        asked = ("tahun", "kategoriId", "instansiId", "search[value]", "order[0][column]", "order[0][dir]")
        key = (kind, *(form.get(name, "") for name in asked))
        if key not in self._made or not form.get("order[0][column]"):
            found = select(self.world.listed(kind), form, self._buyers)
            self._made[key] = arrange(found, form, self.world.now, self._turn)
        return self._made[key]

    def _forget_old(self) -> None:
        if self._version != self.world.version:
            self._version, self._home = self.world.version, b""
            self._made.clear()

    # Details -----------------------------------------------------------------------------------------

    def _detail(self, path: str, request: Request) -> Response:
        if not request.headers.get("referer"):
            return self._denied()
        if path.startswith("dl/"):
            return Response(b"%PDF-1.4 rekaan\n", "document", type="application/pdf")
        address = f"{path}?id={request.query['id']}" if "id" in request.query else path
        for pattern, kind, page in _DETAILS:
            if match := pattern.fullmatch(address):
                return self._page_of(kind, match[1], page, request)
        return self._missing()

    def _page_of(self, kind: str, key: str, page: str, request: Request) -> Response:
        world = self.world
        if page == "history":
            return self._history(kind, key)
        package = world.find(kind, key)
        if package is None:
            return self._missing()
        if page not in tabs(package, world.now) and not (page == "schedule" and package.route):
            return self._missing("absent")
        if page == "announcement":
            session = self._sessions.find(request)
            mark = session["___ID"] if session else ""
            return Response(render_announcement(world.place, package, world.now, mark), page)
        return Response(_RENDERERS[page](world.place, package, world.now), page)

    def _history(self, kind: str, number: str) -> Response:
        """``number`` is the package's key and two digits for the row."""
        package, row = self.world.find(kind, number[:-2]), int(number[-2:])
        rows = milestones(package) if package else ()
        if not 0 < row <= len(rows) or not rows[row - 1].edits:
            return self._missing()
        return Response(render_history(self.world.place, self.world.now, rows[row - 1]), "history")

    # Refusals ----------------------------------------------------------------------------------------

    def _notice(self, title: str, text: str, size: int = 0) -> bytes:
        return render_notice(self.world.place, self.world.now, title, text, size=size)

    def _denied(self) -> Response:
        text = "Anda tidak memiliki hak akses ke halaman ini."
        return Response(self._notice("Akses Ditolak!", text), "denied", 403)

    def _missing(self, page: str = "missing") -> Response:
        text = "Silakan kembali ke halaman utama."
        return Response(self._notice("Halaman yang dituju tidak ditemukan", text), page, 404)

    def _front_for_json(self) -> Response:
        return Response(self._notice("Cari Paket", "Sesi Anda telah berakhir."), "rows")

    def _acted_out(self, request: Request) -> Response | None:
        """The faults that replace the whole answer."""
        if "forbidden" in request.faults:
            return self._denied()
        if "apology" in request.faults:
            text = f"Kode Error: {request.path.count('/')}x{len(request.path)}rekaan"
            return Response(self._notice("Maaf, terjadi error pada aplikasi SPSE.", text), "fault")
        if "trouble" in request.faults:
            return Response(self._notice("Terjadi Kesalahan", "Silakan ulangi beberapa saat lagi."), "fault")
        if "html" in request.faults and "/dt/" in request.path:
            return self._front_for_json()
        return None


class _Sessions:
    """Play's way: the session lives in its signed cookie, ``{signature}-___AT={token}&___TS={ms}&___ID={uuid}``."""

    def __init__(self, slug: str, seconds: float, encode: bool, clock: Callable[[], float]) -> None:
        self._slug = slug
        self._seconds = seconds
        self._encode = encode
        self._clock = clock
        self._rotations = 0

    def rotate(self) -> None:
        """Ends all sessions."""
        self._rotations += 1

    def make(self) -> dict[str, str]:
        name = str(uuid4())
        return {"___AT": sha1(name.encode(), usedforsecurity=False).hexdigest(), "___ID": name}

    def cookie(self, session: Mapping[str, str]) -> str:
        """Set-Cookie of ``session``, which slides: its time is now."""
        text = f"___AT={session['___AT']}&___TS={int(self._clock() * 1000)}&___ID={session['___ID']}"
        value = f"{self._sign(text)}-{text}"
        return f"SPSE_SESSION={quote(value, safe='') if self._encode else value}; Path=/{self._slug}; HttpOnly"

    def find(self, request: Request) -> dict[str, str] | None:
        """The session of the request's cookie; None when it has none, or a stale or forged one."""
        found = re.search(r"(?:^|;\s*)SPSE_SESSION=([^;]+)", request.headers.get("cookie", ""))
        signature, _, text = unquote(found[1]).strip('"').partition("-") if found else ("", "", "")
        if not text or not hmac.compare_digest(signature, self._sign(text)):
            return None
        session = dict(parse_qsl(text))
        fresh = self._clock() - int(session["___TS"]) / 1000 <= self._seconds
        return session if fresh else None

    def _sign(self, text: str) -> str:
        secret = f"{self._slug}/{self._rotations}"
        return hmac.new(secret.encode(), text.encode(), sha1).hexdigest()


def _number(form: Mapping[str, str], name: str, default: int) -> int:
    text = form.get(name, "")
    return int(text) if text.isdecimal() else default
