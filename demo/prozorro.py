"""Prozorro's public interface, imitated: the change feed with its offsets, and one page a tender."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from hashlib import md5
from typing import Any
from zoneinfo import ZoneInfo

from demo.messages import JSON, Request, Response
from demo.names import make_dice

# What may go wrong here, by the names that server.faults.add takes.
FAULTS = {
    "ascending": "descending is ignored",
    "shuffled": "a page's rows come in another order",
    "stuck": "next_page.offset is the offset asked for",
    "repeats": "every page of the feed has the rows of the first, under ever new offsets",
    "no_offset": "next_page is missing",
    "drifted": "data is called items",
    "odd_row": "the first row's dateModified has no zone",
    "new_column": "rows have a column that was not there before",
    "other": "the page of another tender",
    "untitled": "the tender has no title",
    "html": "an HTML page where JSON is due",
}
_KYIV = ZoneInfo("Europe/Kyiv")
_SUBJECTS = (
    ("goods", "Папір офісний", "44617100-9"),
    ("services", "Послуги з прибирання", "90910000-9"),
    ("works", "Поточний ремонт дороги", "45233142-6"),
)
_STAGES = ("active.enquiries", "active.tendering", "active.qualification", "complete", "unsuccessful")


class Prozorro:
    """A stand-in (messages.StandIn): ``tenders`` by id, made up, ``size`` of them, one every hour up to ``now``."""

    prefix = "/prozorro"

    def __init__(self, now: datetime, size: int = 40, *, seed: int = 1) -> None:
        self.now = now
        self.tenders: dict[str, dict[str, Any]] = {}
        self._dice = make_dice("prozorro", seed)
        for age in reversed(range(size)):
            self.add(now - timedelta(hours=age))

    def advance(self, by: timedelta) -> None:
        """Time goes on; each whole day brings a tender."""
        for day in range(1, by.days + 1):
            self.add(self.now + timedelta(days=day))
        self.now += by

    def add(self, time: datetime | None = None) -> str:
        """A new tender, modified at ``time`` (now, where none is told); returns its id."""
        time = time or self.now
        number = len(self.tenders) + 1
        key = md5(f"tender/{number}".encode(), usedforsecurity=False).hexdigest()
        self.tenders[key] = self._make(key, number, time)
        return key

    def change(self, key: str, time: datetime | None = None, **fields: Any) -> None:
        """Sets ``fields`` of a tender, and when it was modified."""
        self.tenders[key] |= {**fields, "dateModified": _words(time or self.now)}

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(self.prefix)
        if "html" in request.faults:
            return Response(b"<html><title>Maintenance</title>", "feed")
        if path == "/tenders":
            return Response(json.dumps(self._feed(request)).encode(), "feed", type=JSON)
        found = re.fullmatch(r"/tenders/([0-9a-f]{32})", path)
        tender = self.tenders.get(found[1]) if found else None
        if tender is None:
            errors = {
                "status": "error",
                "errors": [{"location": "url", "name": "tender_id", "description": "Not Found"}],
            }
            return Response(json.dumps(errors).encode(), "missing", 404, JSON)
        if "other" in request.faults:
            tender = next(other for other in self.tenders.values() if other is not tender)
        if "untitled" in request.faults:
            tender = {name: value for name, value in tender.items() if name != "title"}
        body = json.dumps({"data": tender, "config": {"restricted": False}}, ensure_ascii=False)
        return Response(body.encode(), "tender", type=JSON)

    def _feed(self, request: Request) -> dict[str, Any]:
        """Offsets name the place after the last row told: its time, and a tail that only the source understands."""
        query, faults = request.query, request.faults
        back = query.get("descending") == "1" and "ascending" not in faults
        offset, limit = query.get("offset", ""), min(int(query.get("limit", "100")), 1000)
        found = sorted(self.tenders.values(), key=_time, reverse=back)
        if offset and "repeats" not in faults:
            edge = float(offset.split("-")[0])
            found = [t for t in found if (_time(t) < edge if back else _time(t) > edge)]
        rows = [{name: tender[name] for name in ("id", "dateModified")} for tender in found[:limit]]
        ends = f"{_time(found[:limit][-1])!r}-{len(offset)}.1.4325efbb" if rows else offset
        answer = {"data": rows, "next_page": self._page(offset if "stuck" in faults else ends)}
        if "shuffled" in faults:
            rows.sort(key=lambda row: row["id"])
        if "odd_row" in faults and rows:
            rows[0]["dateModified"] = rows[0]["dateModified"][:19]
        if "new_column" in faults:
            for row in rows:
                row["status"] = "active"
        if "no_offset" in faults:
            del answer["next_page"]
        if "drifted" in faults:
            answer["items"] = answer.pop("data")
        return answer

    def _page(self, offset: str) -> dict[str, str]:
        path = f"/api/2.5/tenders?offset={offset}"
        return {"offset": offset, "path": path, "uri": f"http://lb-api.prozorro.invalid{path}"}

    def _make(self, key: str, number: int, time: datetime) -> dict[str, Any]:
        category, title, code = self._dice.choice(_SUBJECTS)
        due = time + timedelta(days=self._dice.randrange(7, 30))
        return {
            "id": key,
            "tenderID": f"UA-{time:%Y-%m-%d}-{number:06}-a",
            "title": f"{title} №{number}",
            "status": self._dice.choice(_STAGES),
            "mainProcurementCategory": category,
            "procurementMethod": "open",
            "procurementMethodType": "belowThreshold",
            "procuringEntity": {
                "name": "Вигадана міська рада",
                "contactPoint": {"name": "Вигадана особа", "email": "osoba@example.org"},
            },
            "value": {"currency": "UAH", "amount": self._dice.randrange(1_000, 900_000) / 2},
            "tenderPeriod": {"startDate": _words(time), "endDate": _words(due)},
            "items": [{"description": title, "classification": {"scheme": "ДК021", "id": code}}],
            "dateCreated": _words(time),
            "dateModified": _words(time),
        }


def _words(time: datetime) -> str:
    return time.astimezone(_KYIV).isoformat()


def _time(tender: dict[str, Any]) -> float:
    return datetime.fromisoformat(tender["dateModified"]).timestamp()
