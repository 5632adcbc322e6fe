"""SiRUP as it answers over HTTP: the search and its session, the tables of bodies and work units, plans' pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from html import escape
from typing import Any

from demo.messages import JSON, Request, Response
from demo.names import make_dice

# What may go wrong with this source, by the names that server.faults.add takes.
FAULTS = {
    "login": "a login form in place of whatever was asked for",
    "expired": "the session has ended at this request",
    "html": "an HTML page where JSON is due",
    "unfiltered": "whose plans and of which year is not looked at",
    "boastful": "the total announced is five too many",
    "modest": "the total announced is five too few",
    "stuck": "every page is the first one",
    "duplicates": "the first row of the page comes again at its end",
    "empty": "the page has no rows, though some are announced",
    "odd_row": "the first row has a cell too many, or lacks its name",
    "new_column": "rows of the search have a column that was not there before",
    "shuffled": "the cells of a row have changed places",
    "lost_label": "Total Pagu is called something else",
    "new_label": "a plan's page has a label that was not there before",
    "other_plan": "the page is another plan's",
}

COLUMNS = (
    *("", "paket", "pagu", "jenisPengadaan", "isPDN", "isUMK"),
    *("metode", "pemilihan", "kldi", "satuanKerja", "lokasi", "id"),
)
MONTHS = (
    *("Januari", "Februari", "Maret", "April", "Mei", "Juni"),
    *("Juli", "Agustus", "September", "Oktober", "November", "Desember"),
)
ENGLISH = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Body:
    """A K/L/PD with its two ids and its work units (idSatker → name)."""

    id_kldi: str
    id_referensi: int
    name: str
    province: str
    town: str
    units: Mapping[int, str]


MALANG = Body(
    "D228",
    271,
    "Kota Malang",
    "Jawa Timur",
    "Malang (Kota)",
    {
        70101: "Dinas Pekerjaan Umum, Penataan Ruang, Perumahan dan Kawasan Permukiman",
        70102: "Dinas Kesehatan",
        70103: "Dinas Pendidikan & Kebudayaan",
    },
)
BATU = Body("D229", 272, "Kota Batu", "Jawa Timur", "Batu (Kota)", {70201: "Dinas Lingkungan Hidup"})

_SUBJECTS = (
    ("Pekerjaan Konstruksi", "Tender", "Rehabilitasi Saluran Drainase Jl. Veteran", "Rehabilitasi saluran beton"),
    ("Pekerjaan Konstruksi", "Pengadaan Langsung", "Pemeliharaan Jalan Lingkungan Kec. Klojen", "Pelapisan ulang"),
    ("Barang", "E-Purchasing", "Belanja Obat-obatan & Vaksin", "Obat untuk puskesmas"),
    ("Barang", "Pengadaan Langsung", "Pengadaan Meja dan Kursi Sekolah", "Mebel ruang kelas"),
    ("Jasa Konsultansi", "Seleksi", "Perencanaan Gedung Puskesmas Mojolangu", "Dokumen perencanaan"),
    ("Jasa Lainnya", "Penunjukan Langsung", 'Sewa Server "Malang Satu Data"', "Sewa setahun"),
    ("Barang, Jasa Lainnya", "Dikecualikan", "Langganan Internet <50 Mbps>", "Perangkat dan langganan"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan as its agency announced it. ``month`` counts from January of ``year``; pagu in rupiah."""

    code: int
    body: Body
    unit: int
    self_managed: bool
    title: str
    text: str
    category: str
    method: str
    pagu: int
    year: int
    month: int
    announced: datetime


@dataclass
class Register:
    """A stand-in (messages.StandIn) of SiRUP with the made-up plans of two bodies.

    ``length_cap`` rows are the most that a list answers. The search wants a session and all ``columns[]``.
    """

    now: datetime
    providers: int = 30
    self_managed: int = 8
    length_cap: int = 1000
    prefix: str = "/sirup"
    plans: dict[int, Plan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._dice = make_dice("sirup", 1)
        self._sessions = 0
        self._next = 64_000_001
        for number in range(self.providers + self.self_managed):
            self.announce(self_managed=number >= self.providers)
        for self_managed in (False, True):
            self.announce(BATU, self_managed=self_managed)
            self.announce(year=self.now.year - 1, self_managed=self_managed)

    # What happens ------------------------------------------------------------------------------------

    def announce(self, body: Body = MALANG, *, year: int | None = None, self_managed: bool = False) -> str:
        """A new plan; its Kode RUP."""
        category, method, title, text = self._dice.choice(_SUBJECTS)
        code, self._next = self._next, self._next + self._dice.randrange(1, 90)
        self.plans[code] = Plan(
            code=code,
            body=body,
            unit=self._dice.choice(list(body.units)),
            self_managed=self_managed,
            title=f"{title} Paket {code % 1000}",
            text=text,
            category=category,
            method=method,
            pagu=self._dice.randrange(10, 9000) * 100_000,
            year=year or self.now.year,
            month=self._dice.randrange(12),
            announced=self.now.replace(microsecond=0),
        )
        return str(code)

    def revise(self, code: str, **changes: Any) -> None:
        """Changes fields of a plan, such as ``pagu`` or ``month``."""
        self.plans[int(code)] = replace(self.plans[int(code)], **changes)

    def withdraw(self, code: str) -> None:
        """Takes a plan out of the register."""
        del self.plans[int(code)]

    def advance(self, by: timedelta) -> None:
        """One new plan for each whole day that passes. ValueError when time would go back."""
        if by < timedelta(0):
            raise ValueError("the clock of a stand-in does not go back")
        for _ in range(by.days):
            self.now += timedelta(days=1)
            self.announce(self_managed=self._dice.random() < 0.2)
        self.now += by % timedelta(days=1)

    def listed(self, *, self_managed: bool, body: Body = MALANG, year: int | None = None) -> list[Plan]:
        """The plans of a body for a year, oldest first."""
        year = year or self.now.year
        return [
            plan
            for plan in self.plans.values()
            if plan.body is body and plan.year == year and plan.self_managed is self_managed
        ]

    # What is answered --------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(self.prefix).strip("/")
        if "expired" in request.faults:
            self._sessions += 1
        if path == "caripaketctr/index":
            cookie = ("Set-Cookie", f"PLAY_SESSION=rekaan-{self._sessions}; Path={self.prefix}")
            return Response(b"<html><title>SiRUP</title><body>Cari Paket</body></html>", "home", headers=(cookie,))
        if "login" in request.faults or "expired" in request.faults:
            return _login_form()
        if "html" in request.faults:
            return Response(b"<html><title>SiRUP</title><body>Sedang dalam pemeliharaan</body></html>", "rows")
        if path == "caripaketctr/search":
            return self._search(request)
        if path.startswith("datatablectr/"):
            return self._table(path.removeprefix("datatablectr/"), request)
        if path == "rup/detailPaketPenyedia2020":
            return self._page(request)
        return Response(b"<html><title>404</title>Halaman tidak ditemukan</html>", "missing", 404)

    def _has_session(self, request: Request) -> bool:
        return f"PLAY_SESSION=rekaan-{self._sessions}" in request.headers.get("cookie", "")

    def _search(self, request: Request) -> Response:
        if not self._has_session(request):
            return _login_form()
        query = request.query
        found = [
            plan
            for plan in self.plans.values()
            if not plan.self_managed
            and ("unfiltered" in request.faults or query.get("kldi") in {"", str(plan.body.id_referensi)})
            and ("unfiltered" in request.faults or query.get("tahunAnggaran") == str(plan.year))
        ]
        if any(query.get(f"columns[{n}][data]") != name for n, name in enumerate(COLUMNS)):
            found = []
        rows = [_found(plan) for plan in found]
        name = COLUMNS[int(query.get("order[0][column]", "5"))]
        rows.sort(key=lambda row: row[name], reverse=query.get("order[0][dir]", "").upper() == "DESC")
        page = self._cut(rows, query.get("start", "0"), query.get("length", "10"), request)
        for row in page if "new_column" in request.faults else ():
            row["isPradipa"] = False
        if "odd_row" in request.faults and page:
            del page[0]["paket"]
        if "shuffled" in request.faults:
            page = [row | {"paket": row["pagu"], "pagu": row["paket"]} for row in page]
        return _json({"draw": 1, "recordsFiltered": _total(len(rows), request), "data": page})

    def _table(self, name: str, request: Request) -> Response:
        query = request.query
        if not name.startswith(("dataruppenyedia", "datarupswakelola")) or not name.endswith(("kldi", "satker")):
            return Response(b"<html><title>404</title></html>", "missing", 404)
        of_unit = name.endswith("satker")
        found = [
            plan
            for plan in self.plans.values()
            if plan.self_managed is name.startswith("datarupswakelola")
            and ("unfiltered" in request.faults or query.get("tahun") == str(plan.year))
            and (
                "unfiltered" in request.faults
                or (query.get("idSatker") == str(plan.unit) if of_unit else query.get("idKldi") == plan.body.id_kldi)
            )
        ]
        rows = [_cells(plan, of_unit=of_unit) for plan in found]
        page = self._cut(rows, query.get("iDisplayStart", "0"), query.get("iDisplayLength", "10"), request)
        if "odd_row" in request.faults and page:
            page[0] = [*page[0], "?"]
        if "shuffled" in request.faults:
            page = [list(reversed(row)) for row in page]
        total = _total(len(rows), request)
        counts = {"iTotalRecords": total, "iTotalDisplayRecords": total}
        return _json({"sEcho": int(query.get("sEcho", "1")), **counts, "aaData": page})

    def _cut(self, rows: Sequence[Any], start: str, length: str, request: Request) -> list[Any]:
        first = 0 if "stuck" in request.faults else int(start)
        page = list(rows[first : first + min(int(length), self.length_cap)])
        if "duplicates" in request.faults and page:
            page.append(page[0])
        return [] if "empty" in request.faults else page

    def _page(self, request: Request) -> Response:
        code = request.query.get("idPaket", "")
        plan = self.plans.get(int(code)) if code.isdecimal() else None
        if plan is None or plan.self_managed:
            return Response(b"<html><title>404</title></html>", "missing", 404)
        if "other_plan" in request.faults:
            plan = replace(plan, code=plan.code + 1)
        body = render_page(plan)
        if "lost_label" in request.faults:
            body = body.replace(b'label-left">Total Pagu', b'label-left">Pagu Seluruhnya')
        if "new_label" in request.faults:
            body = body.replace(b"</table> <!--akhir-->", _label("Zonasi", "Ya").encode() + b"</table>")
        return Response(body, "plan")


def _login_form() -> Response:
    return Response(b"<html><title>SiRUP</title><body><h3>Form Login</h3><form></form></body></html>", "denied")


def _json(answer: object) -> Response:
    return Response(json.dumps(answer).encode(), "rows", type=JSON)


def _total(count: int, request: Request) -> int:
    return count + 5 * ("boastful" in request.faults) - 5 * ("modest" in request.faults)


def _found(plan: Plan) -> dict[str, Any]:
    """A row of the search; its months are English."""
    return {
        "id": plan.code,
        "paket": plan.title,
        "pagu": plan.pagu,
        "jenisPengadaan": plan.category,
        "isPDN": True,
        "isUMK": plan.pagu < 400_000_000,
        "metode": plan.method,
        "pemilihan": f"{ENGLISH[plan.month]} {plan.year}",
        "kldi": plan.body.name,
        "idKldi": plan.body.id_kldi,
        "id_referensi": plan.body.id_referensi,
        "satuanKerja": plan.body.units[plan.unit],
        "idSatker": plan.unit,
        "lokasi": f"{plan.body.province}, {plan.body.town}",
        "sumberDana": "APBD",
        "idBulan": plan.month + 1,
        "pds": False,
    }


def _cells(plan: Plan, *, of_unit: bool) -> list[str]:
    """A row of a table; months are Indonesian and names are written as HTML."""
    code, unit, time = str(plan.code), escape(plan.body.units[plan.unit]), f"{MONTHS[plan.month]} {plan.year}"
    front = [code] if of_unit and not plan.self_managed else [code, unit]
    shared = [*front, escape(plan.title), str(plan.pagu)]
    if not plan.self_managed:
        return [*shared, plan.method, "APBD", code, time]
    return [*shared, "APBD", code, time] if of_unit else [*shared, "APBD", code, time, "Terumumkan"]


def _label(label: str, value: str) -> str:
    return f'<tr><td class="label-left">{escape(label)}</td><td>{value}</td></tr>\n'


def _table_of(head: Sequence[str], *rows: Sequence[str]) -> str:
    lines = ["".join(f"<th>{escape(name)}</th>" for name in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return "<table class='table'>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _months(plan: Plan, first: int, last: int) -> str:
    told = [f"{MONTHS[n % 12]} {plan.year + n // 12}" for n in (plan.month + first, plan.month + last)]
    return _table_of(("Mulai", "Akhir"), told)


def render_page(plan: Plan) -> bytes:
    """A provider's plan: a fragment of HTML, as it is shown in a dialogue."""
    fund = _table_of(
        ("No.", "Sumber Dana", "T.A.", "KLPD", "MAK", "Pagu"),
        ("1.", "APBD", str(plan.year), plan.body.name, "1.03.10.2.01.0012.5.2.04.01.001.00004.", str(plan.pagu)),
    )
    total = f"<tr><th colspan='5'>Total Pagu</th><th><span class='rupiah2'> {plan.pagu}</span></th></tr></table>"
    place = ("1.", plan.body.province, plan.body.town, f"Kec. Klojen, {plan.body.name}")
    rows = (
        ("Kode RUP", str(plan.code)),
        ("Nama Paket", escape(plan.title)),
        ("Nama KLPD", escape(plan.body.name)),
        ("Satuan Kerja", escape(plan.body.units[plan.unit])),
        ("Tahun Anggaran", str(plan.year)),
        ("Lokasi Pekerjaan", _table_of(("No.", "Provinsi", "Kabupaten/Kota", "Detail Lokasi"), place)),
        ("Volume Pekerjaan", "1 paket"),
        ("Uraian Pekerjaan", escape(plan.text) + "\n"),
        ("Spesifikasi Pekerjaan", "Terlampir"),
        ("Produk Dalam Negeri", '<span class="badge">Ya</span>'),
        ("Usaha Kecil", '<span class="badge">Ya</span>'),
        ("Pra DIPA / DPA", '<span class="badge">Tidak</span>'),
        ("Sumber Dana", fund.removesuffix("</table>") + total),
        ("Jenis Pengadaan", plan.category + ","),
        ("Total Pagu", str(plan.pagu)),
        ("Metode Pemilihan", plan.method),
        ("Pemanfaatan Barang/Jasa", _months(plan, 3, 14)),
        ("Jadwal Pelaksanaan Kontrak", _months(plan, 1, 3)),
        ("Jadwal Pemilihan Penyedia", _months(plan, 0, 0)),
        ("Tanggal Umumkan Paket", _time(plan.announced)),
    )
    table = "".join(_label(label, value) for label, value in rows)
    return f'<div class="modal-body"><table class="table">\n{table}</table> <!--akhir--></div>\n'.encode()


def _time(time: datetime) -> str:
    """As the source writes it, in WIB."""
    time += timedelta(hours=7)
    return f"{time.day:02} {MONTHS[time.month - 1]} {time:%Y %H:%M:%S}"
