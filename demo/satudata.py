"""LKPP's three interfaces as they answer over HTTP: open Satu Data, keyed ISB services, the data.inaproc.id gateway."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from demo.messages import HTML, JSON, Request, Response
from demo.names import make_dice

# What may go wrong here, by the names that server.faults.add takes.
FAULTS = {
    "undefined": "status 200 and the word URL-NOT-DEFINED",
    "invalid": "status 200 and <invalid_response> around a few words",
    "html": "an HTML page where JSON is due",
    "object": "an object where an array is due",
    "empty": "no rows at all",
    "stray": "the first row is of another LPSE, or body",
    "other_year": "the first row is of another fiscal year",
    "duplicates": "the first row comes again at the end",
    "odd_row": "the first row's pagu is in words",
    "drifted": "the column that holds the key has another name",
    "new_column": "rows have a column that was not there before",
    "new_word": "the first row has a status that nobody heard of",
    "nulls": "arrays in rows are null",
    "twin": "MasterLPSE has LPSE KOTA MALANG a second time, in capitals",
    "nameless": "rows of the blacklist have no number of their decision",
    "echo": "the answer repeats the address that was asked for, key and all",
    "away": "a redirect to the same address with a query, key and all",
    "circle": "the gateway's cursor leads back to where it came from",
    "endless": "the gateway always has more, with a new cursor and the same rows",
    "no_cursor": "the gateway has more, and does not say where",
    "unsuccessful": "the gateway answers success: false",
    "no_meta": "the gateway leaves out meta",
    "boastful": "the gateway's meta.total is five too many",
    "puzzled": "the gateway's 400: it does not understand the question",
    "forbidden": "the gateway's 403: not for this token",
}

MALANG, MALANG_NAME, MALANG_BODY = 9071, "LPSE Kota Malang", ("D228", "Kota Malang")
UUID = "7d1f0a52-93c4-4e0b-a6d1-5b1e2c3d4f60"  # made up
TOKEN = "inaproc.made-up-token-of-the-stand-in"  # noqa: S105 # made up
NUMBERS = {
    "SPSE-TenderPengumuman": 5346,
    "SPSE-TenderSelesaiNilai": 5348,
    "RUP-PaketPenyedia-Terumumkan": 5352,
    "RUP-PaketSwakelola-Terumumkan": 5353,
}
PATHS = {
    "tender/pengumuman": "SPSE-TenderPengumuman",
    "tender/tender-selesai-nilai": "SPSE-TenderSelesaiNilai",
    "rup/paket-penyedia-terumumkan": "RUP-PaketPenyedia-Terumumkan",
    "rup/paket-swakelola-terumumkan": "RUP-PaketSwakelola-Terumumkan",
}

_WIB = timezone(timedelta(hours=7))
_TOWNS = ("Batu", "Blitar", "Kediri", "Madiun", "Mojokerto", "Pasuruan", "Probolinggo")
_REGENCIES = ("Blitar", "Jombang", "Kediri", "Lumajang", "Mojokerto", "Pasuruan", "Probolinggo", "Sidoarjo", "Tuban")
_PROVINCES = ("Jawa Timur", "Jawa Tengah", "Bali", "Sumatera Utara", "Nusa Tenggara Barat", "Maluku")
_OTHERS = ("Kementerian Kesehatan", "Kementerian Agama", "Kementerian Keuangan", "Universitas Negeri Malang")
_LPSE = {
    MALANG: MALANG_NAME,
    9072: "LPSE Kabupaten Malang",
    9073: "LPSE Universitas Islam Negeri Malang",
    9074: "LPSE Universitas  Islam Negeri MALANG",  # a look-alike: the same but for case and spaces
    10: "LPSE Kota Surabaya",
    **dict(enumerate((f"LPSE Kota {town}" for town in _TOWNS), 9100)),
    **dict(enumerate((f"LPSE Kabupaten {regency}" for regency in _REGENCIES), 9200)),
    **dict(enumerate((f"LPSE Provinsi {province}" for province in _PROVINCES), 9300)),
    **dict(enumerate((f"LPSE {other}" for other in _OTHERS), 9400)),
}
_KLPD = {MALANG_BODY[0]: MALANG_BODY[1], "D229": "Kota Batu", "D230": "Kab. Malang", "K1": "Kementerian Agama"}
_SUBJECTS = (
    ("Rehabilitasi Saluran Drainase Jl. {}", "Pekerjaan Konstruksi", "Tender", "Dinas Pekerjaan Umum"),
    ("Perencanaan Puskesmas {}", "Jasa Konsultansi Badan Usaha Konstruksi", "Seleksi", "Dinas Kesehatan"),
    ("Pengadaan Alat Kesehatan & Obat untuk {}", "Pengadaan Barang", "Tender Cepat", "Dinas Kesehatan"),
    ("Jasa Kebersihan Pasar {}", "Jasa Lainnya", "Tender", "Dinas Perdagangan"),
)
_PLACES = ("Klojen", "Blimbing", "Lowokwaru", "Sukun", "Kedungkandang")
_FIRMS = ("PT Contoh Karya Arema", "CV Sumber Contoh", "PT Teladan Brantas", "CV Kawi Contoh")


class SatuData:
    """A stand-in (messages.StandIn): tenders, plans and a blacklist of Kota Malang in the fiscal year of ``now``.

    ``packages`` stand in the place of made-up tenders: rows as `warta export --format jsonl` writes them, or as
    another stand-in's ``truth()`` has them, of which kind tender alone is taken. Only ``key`` and ``title`` must be
    there. ``page_cap`` is the most rows that a page of the gateway has.
    """

    prefix = "/satudata"

    def __init__(
        self,
        now: datetime,
        packages: Sequence[Mapping[str, Any]] | None = None,
        *,
        tenders: int = 24,
        plans: int = 30,
        page_cap: int = 1000,
        seed: int = 1,
    ) -> None:
        self.now = now
        self.page_cap = page_cap
        self.year = now.astimezone(_WIB).year
        self._dice = make_dice("satudata", seed)
        made = [self._make(n) for n in range(tenders)] if packages is None else packages
        self.packages = [dict(row) for row in made if row.get("kind", "tender") == "tender"]
        self.plans = [self._make_plan(n) for n in range(plans)]
        self.self_managed = [self._make_self_managed(n) for n in range(plans // 3)]
        self.blacklist = [self._make_sanction(n) for n in range(6)]

    def advance(self, by: timedelta) -> None:
        self.now += by

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(self.prefix).strip("/")
        if "away" in request.faults:
            return Response(b"", "away", 302, headers=(("Location", f"{request.path}?again=1"),))
        if path.startswith("gateway/"):
            return self._answer_gateway(path.removeprefix("gateway/"), request)
        if (word := _in_place_of_rows(request)) is not None:
            return word
        rows = self._find_open(path) if path.startswith("api/satudata/") else self._find_keyed(path)
        if rows is None:
            return Response(b"URL-NOT-DEFINED", "undefined", type=HTML)
        if path.endswith("MasterLPSE") and "twin" in request.faults:
            rows = [*rows, {"kd_lpse": 9999, "nama_lpse": "LPSE KOTA MALANG"}]
        return _respond(_spoiled(rows, request.faults), "master" if "Master" in path else "rows")

    # Open ----------------------------------------------------------------------------------------------

    def _find_open(self, path: str) -> list[dict[str, Any]] | None:
        day = f"{self.now:%Y-%m-%d}"
        match path.removeprefix("api/satudata/").split("/"):
            case ["MasterLPSE"]:
                return [{"kd_lpse": code, "nama_lpse": name, "_event_date": day} for code, name in _LPSE.items()]
            case ["MasterKLPD"]:
                bodies = _KLPD.items()
                return [{"kd_klpd": code, "nama_klpd": name, "jenis_klpd": "KOTA"} for code, name in bodies]
            case ["TenderUmumPublik", year, code] if year.isdigit() and code.isdigit() and int(code) in _LPSE:
                mine = int(code) == MALANG
                return [self._as_open(row) for row in self.packages if mine and int(year) in _years(row, self.year)]
            case ["SanksiDaftarHitam", year, code] if year.isdigit() and code in _KLPD:
                return [dict(row) for row in self.blacklist if (row["tahun_anggaran"], row["kd_klpd"]) == (year, code)]
        return None

    def _as_open(self, row: Mapping[str, Any]) -> dict[str, Any]:
        plans = [int(plan) for plan in row.get("plans") or []]
        pagu, years = _amount(row.get("budget")), _years(row, self.year)
        body = {"jenis_instansi": "KOTA", "nama_instansi": row.get("buyer"), "stk_nama": row.get("procuring_entity")}
        line = {"sbd_id": "APBD", "ang_nilai": pagu, "ang_koderekening": "-"}
        opens, closes = _day(row.get("published")), _day(row.get("deadline"))
        places = [{"kbp_nama": "Malang (Kota)", "prp_nama": "Jawa Timur", "pkt_lokasi": place} for place in _at(row)]
        return {
            "Kode Tender": int(row["key"]),
            "Repo id LPSE": MALANG,
            "LPSE": MALANG_NAME,
            "Status_Tender": "Ditutup" if row.get("status") in ("cancelled", "unsuccessful") else "Aktif",
            "Nama Paket": row["title"],
            "Pagu": pagu,
            "HPS": _amount(row.get("value")),
            "tanggal paket dibuat": _local(row.get("published")),
            "tanggal paket tayang": _local(row.get("published")),
            "Kategori Pekerjaan": row.get("category_detail"),
            "Metode Pemilihan": row.get("method_detail"),
            "Metode Pengadaan": "Pascakualifikasi Satu File",
            "Metode Evaluasi": "Harga Terendah Sistem Gugur",
            "Cara Pembayaran": "Lumsum",
            "Jenis Penetapan Pemenang": "Tender Non-Itemized",
            "Instansi dan Satker": [{"rup_id": plan, **body} for plan in plans] or [{"rup_id": None, **body}],
            "Apakah paket konsolidasi": "TIDAK",
            "daftar paket konsolidasi": None,
            "anggaran": [{"rup_id": plan, **line, "ang_tahun": year} for plan in plans for year in years],
            "lokasi_paket": [{"lokasi": place} for place in places],
            "Jumlah Pendaftar": row.get("participants"),
            "Jumlah Penawar": 0,
            "Durasi Tender": None,
            "Versi_spse_paket": "Versi 4.5",
            "jadwal_pengumuman": {"tanggal_mulai": opens, "tanggal_akhir": closes},
            "jadwal_penawaran": {"tanggal_mulai": opens, "tanggal_akhir": closes},
        }

    # Keyed ---------------------------------------------------------------------------------------------

    def _find_keyed(self, path: str) -> list[dict[str, Any]] | None:
        match = re.fullmatch(r"api/([^/]+)/json/(\d+)/([\w-]+)/tipe/([\d:]+)/parameter/(\d{4}):(\w+)", path)
        if not match or match[1] != UUID or NUMBERS.get(match[3]) != int(match[2]):
            return None
        plans = match[3].startswith("RUP-")
        if match[4] != ("4:12" if plans else "4:4") or match[6] != (MALANG_BODY[0] if plans else str(MALANG)):
            return None
        return self.rows(match[3], int(match[5]))

    def rows(self, service: str, year: int) -> list[dict[str, Any]]:
        """All rows of a keyed service in a fiscal year."""
        if service == "RUP-PaketPenyedia-Terumumkan":
            return [dict(row) for row in self.plans if row["tahun_anggaran"] == year]
        if service == "RUP-PaketSwakelola-Terumumkan":
            return [dict(row) for row in self.self_managed if row["tahun_anggaran"] == year]
        mine = [row for row in self.packages if year in _years(row, self.year)]
        if service == "SPSE-TenderPengumuman":
            return [self._as_announced(row, year) for row in mine]
        return [values for row in mine for values in self._as_values(row, year)]

    def _owner(self, year: int) -> dict[str, Any]:
        code, name = MALANG_BODY
        return {"tahun_anggaran": year, "kd_klpd": code, "nama_klpd": name, "jenis_klpd": "KOTA"}

    def _as_announced(self, row: Mapping[str, Any], year: int) -> dict[str, Any]:
        words = {"cancelled": "Batal", "unsuccessful": "Gagal", "complete": "Selesai"}
        return {
            **self._owner(year),
            "nama_klpd": row.get("buyer"),
            "list_tahun_anggaran": ",".join(map(str, _years(row, self.year))),
            "kd_tender": int(row["key"]),
            "kd_lpse": MALANG,
            "nama_lpse": MALANG_NAME,
            "url_lpse": "https://spse.example.go.id/malangkota",
            "nama_paket": row["title"],
            "status_tender": words.get(str(row.get("status")), "Berlangsung"),
            "tanggal_status": _local(row.get("published")),
            "pagu": _amount(row.get("budget")),
            "hps": _amount(row.get("value")),
            "kd_rup": ";".join(map(str, row.get("plans") or [])),
            "nama_satker": row.get("procuring_entity"),
            "nama_ppk": "Contoh Nama",
            "nip_ppk": "***************001",
            "jenis_pengadaan": row.get("category_detail"),
            "mtd_pemilihan": row.get("method_detail"),
            "mtd_evaluasi": "Harga Terendah Sistem Gugur",
            "mtd_kualifikasi": "Pascakualifikasi Satu File",
            "kontrak_pembayaran": "Lumsum",
            "kualifikasi_paket": "Kecil",
            "lokasi_pekerjaan": next(iter(_at(row)), None),
            "sumber_dana": "APBD",
            "tgl_buat_paket": f"{_local(row.get('published'))}Z",
            "tgl_pengumuman_tender": f"{_local(row.get('published'))}Z",
            "versi_tender": 2 if row.get("retender") else 1,
            "ket_diulang": row.get("retender_reason"),
            "ket_ditutup": row.get("cancellation_reason"),
            "_event_date": f"{self.now:%Y-%m-%d}",
        }

    def _as_values(self, row: Mapping[str, Any], year: int) -> list[dict[str, Any]]:
        signed = {each["supplier"]: _amount(each["amount"]) for each in row.get("contracts") or []}
        return [
            {
                **self._owner(year),
                "nama_klpd": row.get("buyer"),
                "kd_tender": int(row["key"]),
                "kd_paket": int(row["key"]) // 10,
                "kd_lpse": MALANG,
                "kd_rup_paket": ";".join(map(str, row.get("plans") or [])),
                "nama_satker": row.get("procuring_entity"),
                "pagu": _amount(row.get("budget")),
                "hps": _amount(row.get("value")),
                "nilai_penawaran": _amount(award["amount"]),
                "nilai_terkoreksi": 0,
                "nilai_negosiasi": None,
                "nilai_kontrak": signed.get(award["supplier"], 0),
                "nilai_pdn_kontrak": 0,
                "nilai_umk_kontrak": 0,
                "kd_penyedia": 100 + n,
                "nama_penyedia": award["supplier"],
                "npwp_penyedia": "01.***.***.*-***.000",
                "tgl_penetapan_pemenang": (_local(award.get("date") or row.get("deadline")) or "")[:10] or None,
            }
            for n, award in enumerate(row.get("awards") or [])
        ]

    # Gateway -------------------------------------------------------------------------------------------

    def _answer_gateway(self, path: str, request: Request) -> Response:
        query, faults = request.query, request.faults
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refuse(401, "token tidak dikenal")
        if "forbidden" in faults or path not in PATHS:
            return _refuse(403, "tidak diizinkan")
        limit, year = query.get("limit", "50"), query.get("tahun", "")
        if "puzzled" in faults or not (
            query.get("kode_klpd") and year.isdigit() and limit.isdigit() and 1 <= int(limit) <= 1000
        ):
            return _refuse(400, "kode_klpd, tahun dan limit 1 sampai 1000")
        if (word := _in_place_of_rows(request)) is not None:
            return word
        mine = query["kode_klpd"] == MALANG_BODY[0]
        rows = _spoiled(self.rows(PATHS[path], int(year)) if mine else [], faults)
        start = int(query.get("cursor", "c0-0").split("-")[0].removeprefix("c"))
        stop = start + min(int(limit), self.page_cap)
        more = stop < len(rows) or "endless" in faults
        cursor = f"c{stop}-0"
        if "endless" in faults:
            cursor = f"c0-{int(query.get('cursor', 'c0-0').split('-')[1]) + 1}"
            start, stop = 0, min(int(limit), self.page_cap)
        if "circle" in faults:
            more, cursor = True, "c0-0"
        meta = {"limit": int(limit), "has_more": more, "cursor": cursor if more and "no_cursor" not in faults else None}
        if "boastful" in faults:
            meta["total"] = len(rows) + 5
        answer = {"success": "unsuccessful" not in faults, "data": rows[start:stop], "meta": meta}
        if "no_meta" in faults:
            del answer["meta"]
        return _respond(answer, "page")

    # Made up -------------------------------------------------------------------------------------------

    def _make(self, n: int) -> dict[str, Any]:
        subject, category, method, unit = self._dice.choice(_SUBJECTS)
        opened = self.now.astimezone(_WIB).replace(microsecond=0) - timedelta(days=self._dice.randrange(1, 90))
        closes = opened + timedelta(days=14)
        budget = self._dice.randrange(200, 9000) * 1_000_000
        over = closes < self.now
        firm, price = self._dice.choice(_FIRMS), {"amount": f"{budget * 9 // 10}.50", "currency": "IDR"}
        return {
            "kind": "tender",
            "key": f"{10_700_000 + 7 * n}000",
            "title": subject.format(f"{self._dice.choice(_PLACES)} {n + 1}"),
            "buyer": MALANG_BODY[1],
            "procuring_entity": unit,
            "plans": [str(61_500_000 + n)],
            "budget": {"amount": f"{budget}.00", "currency": "IDR"},
            "value": {"amount": f"{budget - 1_250_000}.00", "currency": "IDR"},
            "fiscal_years": [self.year],
            "category_detail": category,
            "method_detail": method,
            "status": "complete" if over else "active",
            "published": opened.isoformat(),
            "deadline": closes.isoformat(),
            "locations": [f"Kec. {self._dice.choice(_PLACES)}"],
            "participants": self._dice.randrange(0, 40),
            "awards": [{"supplier": firm, "amount": price}] if over else [],
            "contracts": [{"supplier": firm, "amount": price}] if over and n % 2 else [],
        }

    def _make_plan(self, n: int) -> dict[str, Any]:
        subject, _, _, unit = self._dice.choice(_SUBJECTS)
        day = f"{self.year}-{self._dice.randrange(1, 6):02}-01"
        return {
            **self._owner(self.year),
            "kd_rup": 61_500_000 + n,
            "kd_satker": 70_101,
            "nama_satker": unit,
            "nama_paket": subject.format(self._dice.choice(_PLACES)),
            "pagu": self._dice.randrange(20, 900) * 1_000_000,
            "jenis_pengadaan": self._dice.choice(("Barang", "Jasa Lainnya", "Pekerjaan Konstruksi")),
            "metode_pengadaan": self._dice.choice(("E-Purchasing", "Pengadaan Langsung", "Tender")),
            "urarian_pekerjaan": "Belanja contoh; Belanja contoh; ",
            "status_umumkan_rup": "Terumumkan",
            "status_aktif_rup": n != 0,
            "status_delete_rup": False,
            "nama_ppk": "C***** N***",
            "tgl_awal_pemilihan": day,
            "tgl_akhir_pemilihan": day,
            "tgl_awal_kontrak": day,
            "tgl_akhir_kontrak": f"{self.year}-12-01",
            "tgl_pengumuman_paket": f"{self.year}-01-20T09:13:57.916Z",
        }

    def _make_self_managed(self, n: int) -> dict[str, Any]:
        return {
            **self._owner(self.year),
            "kd_rup": 42_400_000 + n,
            "kd_satker": 70_103,
            "nama_satker": "Dinas Pendidikan dan Kebudayaan",
            "nama_paket": f"Pelatihan Guru Gugus {n + 1}",
            "pagu": self._dice.randrange(5, 200) * 1_000_000,
            "tipe_swakelola": 1 + n % 4,
            "uraian_pekerjaan": "-; ",
            "status_umumkan_rup": "Terumumkan",
            "status_aktif_rup": True,
            "status_delete_rup": False,
            "nama_ppk": "C***** N***",
            "tgl_awal_pelaksanaan_kontrak": f"{self.year}-02-01",
            "tgl_akhir_pelaksanaan_kontrak": f"{self.year}-12-01",
            "tgl_pengumuman_paket": f"{self.year}-02-20T09:13:57.916Z",
        }

    def _make_sanction(self, n: int) -> dict[str, Any]:
        day = self.now.astimezone(_WIB).date() - timedelta(days=30 + 20 * n)
        return {
            "tahun_anggaran": str(self.year),
            "kd_klpd": MALANG_BODY[0],
            "nama_klpd": MALANG_BODY[1],
            "kd_satker": "70101",
            "nama_satker": "Dinas Pekerjaan Umum",
            "kd_penyedia": f"xxxx{100 + n}",
            "nama_penyedia": f"CV Contoh Ingkar {n + 1}",
            "npwp_penyedia": "02.***.xxx.x-xxx.000",
            "jenis_pelanggaran": "Tidak melaksanakan kontrak",
            "deskripsi_pelanggaran": "\n\nPenyedia yang tidak menyelesaikan pekerjaan\n\n",
            # the last two are of one decision
            "no_sk_blacklist": f"188.45/{20 + min(n, 4)}/35.73.405/{self.year}",
            "tgl_tayang_blacklist": f"{day.isoformat()}T10:15:00",
            "masa_sanksi": [{"tgl_mulai": day.isoformat(), "tgl_akhir": (day + timedelta(days=365)).isoformat()}],
            "no_sk_pencabutan": "",
            "nama_koresponden": "Contoh Nama",
            "email_koresponden": "nama@pengadaan.example.org",
            "status": "Dicabut" if n == 1 else "Tayang",
        }


def _in_place_of_rows(request: Request) -> Response | None:
    """What comes where rows are due, with a status of 200."""
    faults = request.faults
    if "undefined" in faults:
        return Response(b"URL-NOT-DEFINED", "undefined", type=HTML)
    if "invalid" in faults:
        return Response(b"<invalid_response>no such service</invalid_response>", "undefined", type=HTML)
    if "html" in faults:
        return Response(b"<html><title>Pemeliharaan</title><p>Segera kembali.</html>", "rows", type=HTML)
    if "echo" in faults:
        return Response(f"cannot answer {request.address}".encode(), "rows", type=HTML)
    if "object" in faults:
        return _respond({"message": "ok"}, "rows")
    return None


def _respond(value: object, page: str) -> Response:
    return Response(json.dumps(value, ensure_ascii=False).encode(), page, type=JSON)


def _refuse(status: int, message: str) -> Response:
    body = json.dumps({"success": False, "message": message}).encode()
    return Response(body, "denied" if status == 403 else "refused", status, JSON)


def _spoiled(rows: list[dict[str, Any]], faults: frozenset[str]) -> list[dict[str, Any]]:
    if "empty" in faults or not rows:
        return []
    first = rows[0]
    key = next((name for name in ("Kode Tender", "kd_tender", "kd_rup") if name in first), "nama_penyedia")
    if "stray" in faults:
        strange = {"Repo id LPSE": 9072, "LPSE": "LPSE Kabupaten Malang", "kd_lpse": 9072, "kd_klpd": "D230"}
        first.update({name: value for name, value in strange.items() if name in first})
    if "other_year" in faults:
        for line in first.get("anggaran") or []:
            line["ang_tahun"] = 2019
        first.update({name: 2019 for name in ("tahun_anggaran", "list_tahun_anggaran") if name in first})
    if "odd_row" in faults:
        first.update({name: "dua juta" for name in ("Pagu", "pagu") if name in first})
    if "new_word" in faults:
        first.update({name: "Menari" for name in ("Status_Tender", "status_tender", "status") if name in first})
    if "nameless" in faults:
        rows = [{name: value for name, value in row.items() if name != "no_sk_blacklist"} for row in rows]
    if "nulls" in faults:
        rows = [{name: None if isinstance(value, list) else value for name, value in row.items()} for row in rows]
    if "new_column" in faults:
        rows = [{**row, "kolom_baru": "1"} for row in rows]
    if "drifted" in faults:
        rows = [{f"{name} baru" if name == key else name: value for name, value in row.items()} for row in rows]
    return [*rows, rows[0]] if "duplicates" in faults else rows


# Rows of another stand-in ------------------------------------------------------------------------------


def _years(row: Mapping[str, Any], year: int) -> list[int]:
    return list(row.get("fiscal_years") or [year])


def _at(row: Mapping[str, Any]) -> list[str]:
    return [str(place) for place in row.get("locations") or []]


def _amount(value: Any) -> int | float | None:
    """An amount as the services write it: a number, with a fraction only where there is one."""
    if isinstance(value, Mapping):
        value = value["amount"]
    if value is None:
        return None
    whole, _, cents = str(value).partition(".")
    return float(str(value)) if cents.strip("0") else int(whole)


def _local(text: str | None) -> str | None:
    """A time as these services write it: on the clock of Jakarta, without saying so."""
    return datetime.fromisoformat(text).astimezone(_WIB).replace(tzinfo=None).isoformat() if text else None


def _day(text: str | None) -> str | None:
    return (_local(text) or "")[:10] or None
