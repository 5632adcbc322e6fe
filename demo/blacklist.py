"""The national blacklist of suppliers, imitated: one GraphQL address that answers the fields it is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from demo.messages import HTML, JSON, Request, Response
from demo.names import FIRM_FIRST, FIRM_FORMS, FIRM_LAST, make_dice

# What may go wrong here, by the names that server.faults.add takes.
FAULTS = {
    "errors": "an errors array and no data, with status 200",
    "half": "an errors array beside the data, with status 200",
    "denied": "403, whatever the header says",
    "bad_request": "400, whatever is asked",
    "stuck": "every page has the entries of the first, whatever number it says",
    "other_page": "the first page, and it says so",
    "duplicates": "the first entry of the page comes again at its end",
    "short": "the last five entries are missing, though they count in the total",
    "overfull": "the total announced is five too low",
    "few_pages": "one page is announced, whatever the total",
    "no_total": "pagination without totalData",
    "empty": "no entries at all, and a total of 0",
    "odd_row": "the first entry's start is in words",
    "odd_rows": "every entry's start is in words",
    "backwards": "the first entry ends before it begins",
    "drifted": "blacklists is called items",
    "new_column": "entries have fields that nobody asked for",
    "new_status": "the first entry's status is a word that was not there before",
    "chatty": "all fields are answered, asked for or not",
    "html": "an HTML page where JSON is due",
}

WIB = ZoneInfo("Asia/Jakarta")
_YEAR = timedelta(days=365)
_NESTED = {"blacklists", "pagination", "tender", "provider", "correspondence", "kldi", "satker", "violation"}
_VIOLATIONS = (
    ("Dokumen palsu", "Peserta pemilihan menyampaikan dokumen atau keterangan palsu.", 2),
    ("Tidak melaksanakan kontrak", "Penyedia tidak melaksanakan kewajiban dalam kontrak.", 1),
    ("Persekongkolan", "Peserta terindikasi bersekongkol untuk mengatur harga penawaran.", 2),
    ("Mengundurkan diri", "Pemenang mengundurkan diri dengan alasan yang tidak dapat diterima.", 1),
)
_BUYERS = (("Kota Malang", "DINAS KESEHATAN"), ("Kab. Malang", "DINAS BINA MARGA"), ("Kota Batu", "SEKRETARIAT DAERAH"))


class Blacklist:
    """A stand-in (messages.StandIn): ``entries`` by id, the newest last, made up: one for each of ``size`` weeks up
    to ``now``. ``rows_cap`` is the most that one page answers.
    """

    prefix = "/daftarhitam"

    def __init__(self, now: datetime, size: int = 130, *, seed: int = 1, rows_cap: int = 100) -> None:
        self.now = now
        self.rows_cap = rows_cap
        self.entries: dict[str, dict[str, Any]] = {}
        self._dice = make_dice("blacklist", seed)
        for age in reversed(range(size)):
            self.add(day=now - timedelta(weeks=age))

    def advance(self, by: timedelta) -> None:
        """Time goes on; each whole week brings an entry, and what is over says so."""
        for week in range(1, by.days // 7 + 1):
            self.add(day=self.now + timedelta(weeks=week))
        self.now += by
        for entry in self.entries.values():
            if entry["status"] == "PUBLISHED" and datetime.fromisoformat(entry["expiredDate"]) <= self.now:
                entry["status"] = "EXPIRED"

    def add(self, supplier: str | None = None, *, day: datetime | None = None) -> str:
        """A new entry of ``day`` (now, where none is told); returns its id."""
        dice = self._dice
        start = (day or self.now).astimezone(WIB).replace(hour=0, minute=0, second=0, microsecond=0)
        name, text, years = dice.choice(_VIOLATIONS)
        end = start + years * _YEAR
        kldi, satker = dice.choice(_BUYERS)
        key = str(UUID(int=dice.getrandbits(128), version=4))
        firm = f"{dice.choice(FIRM_FORMS)}. {dice.choice(FIRM_FIRST)} {dice.choice(FIRM_LAST)}"
        self.entries[key] = {
            "id": key,
            "skNumber": f"{dice.randrange(1, 999):03}/SK-DH/{start.year}",
            "status": "EXPIRED" if end <= self.now else "PUBLISHED",
            "startDate": start.isoformat(),
            "expiredDate": end.isoformat(),
            "publishDate": (start + timedelta(hours=9)).isoformat(),
            "tender": {
                "name": "Rehabilitasi Gedung (contoh)",
                "packageId": f"{dice.randrange(10_000_000, 10_999_999)}000",
                "pagu": dice.randrange(200, 9_000) * 1_000_000,
            },
            "provider": {
                "name": supplier or firm,
                "npwp": f"00.{dice.randrange(100, 999)}.000.0-000.000",
                "address": f"Jl. Contoh Rahasia No. {dice.randrange(1, 99)}",
            },
            "correspondence": {"kldi": {"name": kldi}, "satker": {"name": satker}},
            "violation": {"name": name, "description": text},
        }
        return key

    def answer(self, request: Request) -> Response:
        faults = request.faults
        if request.path.rstrip("/") != self.prefix or request.method != "POST":
            return Response(b"<html><title>404</title>", "missing", 404)
        if "html" in faults:
            return Response(b"<html><title>Pemeliharaan</title><p>Segera kembali.</html>", "rows", type=HTML)
        app = request.headers.get("x-gtp-app")
        if app is None or "bad_request" in faults:
            return _refuse(400, "x-gtp-app is missing")
        if app != "blacklist" or "denied" in faults:
            return _refuse(403, "no such application")
        try:
            question = json.loads(request.body)
            fields = parse_fields(question["query"])
            asked = question["variables"]["input"]["pagination"]
            number, rows = int(asked["pageNumber"]), min(int(asked["perPage"]), self.rows_cap)
        except (ValueError, KeyError, TypeError) as error:
            return _refuse(400, f"cannot be read: {error}")
        if "errors" in faults:
            return _refuse(200, "Internal server error")
        data = _spoiled(self._search(number, rows, faults), faults)
        try:
            told: dict[str, Any] = {"data": data if "chatty" in faults else _select(data, fields)}
        except KeyError as error:
            return _refuse(200, f"Cannot query field {error}.")
        if "half" in faults:
            told["errors"] = [{"message": "provider could not be resolved"}]
        _drift(told["data"]["blacklists"], faults)
        return Response(json.dumps(told, ensure_ascii=False).encode(), "rows", type=JSON)

    def _search(self, number: int, rows: int, faults: frozenset[str]) -> dict[str, Any]:
        """The newest first, as copies."""
        found = [json.loads(json.dumps(entry)) for entry in reversed(self.entries.values())]
        total = len(found) - 5 if "overfull" in faults else len(found)
        pages = 1 if "few_pages" in faults else -(-len(found) // rows)
        found = found[:-5] if "short" in faults else found
        start = 0 if faults & {"stuck", "other_page"} else (number - 1) * rows
        told = 1 if "other_page" in faults else number
        return {
            "blacklists": {
                "blacklists": found[start : start + rows],
                "pagination": {"pageNumber": told, "totalPage": pages, "totalData": total},
            }
        }


def parse_fields(query: str) -> dict[str, Any]:
    """The fields that a GraphQL query selects, each with those below it. ValueError where braces do not match."""
    parts = iter(re.findall(r"\.\.\.\s*on\s+\w+|[{}]|\w+", re.sub(r"\([^)]*\)", "", query)))
    for part in parts:
        if part == "{":
            return _parse_selection(parts)
    raise ValueError("a query without a selection")


def _parse_selection(parts: Iterator[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    last = ""
    for part in parts:
        if part == "}":
            return fields
        if part == "{":
            below = _parse_selection(parts)
            if last.startswith("..."):
                fields |= below
            else:
                fields[last] = below
        elif not part.startswith("..."):
            fields[part] = {}
        last = part
    raise ValueError("a brace that is not closed")


def _select(value: Any, fields: dict[str, Any]) -> Any:
    """Only what was asked for. KeyError for a field that there is not, or one whose own fields were not told."""
    if isinstance(value, list):
        return [_select(part, fields) for part in value]
    if not isinstance(value, dict):
        return value
    for name, below in fields.items():
        if name in _NESTED and not below:
            raise KeyError(name)
    return {name: _select(value[name], below) for name, below in fields.items()}


def _refuse(status: int, message: str) -> Response:
    body = json.dumps({"errors": [{"message": message}], "data": None}).encode()
    return Response(body, "denied" if status == 403 else "rows", status, JSON)


def _spoiled(data: dict[str, Any], faults: frozenset[str]) -> dict[str, Any]:
    rows, told = data["blacklists"]["blacklists"], data["blacklists"]["pagination"]
    if "empty" in faults:
        rows.clear()
        told |= {"totalPage": 0, "totalData": 0}
    if "duplicates" in faults and rows:
        rows[-1] = rows[0]
    for row in rows if "odd_rows" in faults else rows[:1] if "odd_row" in faults else ():
        row["startDate"] = "awal bulan"
    if "backwards" in faults and rows:
        rows[0]["expiredDate"] = "2020-01-01T00:00:00+07:00"
    if "new_status" in faults and rows:
        rows[0]["status"] = "UNDER_REVIEW"
    return data


def _drift(lists: dict[str, Any], faults: frozenset[str]) -> None:
    """What changes whatever was asked for."""
    if "new_column" in faults:
        for row in lists["blacklists"]:
            row["score"] = 1
            row["provider"]["director"] = "Nama Contoh"
    if "no_total" in faults:
        del lists["pagination"]["totalData"]
    if "drifted" in faults:
        lists["items"] = lists.pop("blacklists")
