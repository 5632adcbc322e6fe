"""The World Bank's search of procurement notices, imitated: deaf to parameters that it does not know."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.messages import HTML, JSON, Request, Response
from demo.names import make_dice

# What may go wrong here, by the names that server.faults.add takes.
FAULTS = {
    "unfiltered": "the country is ignored: the whole corpus",
    "stray": "the first row is of another country",
    "unsorted": "the order asked for is ignored",
    "stuck": "every page has the rows of the first",
    "duplicates": "the first row of the page comes again at its end",
    "short": "the last five rows are missing, though they count in the total",
    "overfull": "the total announced is five too low",
    "no_total": "no total is announced",
    "empty": "no rows at all, and a total of 0",
    "odd_row": "the first row's deadline is in words",
    "drifted": "procnotices is called notices",
    "new_column": "rows have a column that was not there before",
    "html": "an HTML page where JSON is due",
}

_ABROAD = ("Togo", "Viet Nam", "Kenya")
_SUBJECTS = (
    ("CW", "RFB", "Request for Bids", "Invitation for Bids", "Rehabilitation of the {} Irrigation Scheme"),
    ("GO", "RFQ", "Request for Quotations", "Invitation for Bids", "Supply of Water Meters for {}"),
    ("CS", "QCBS", "Quality And Cost-Based Selection", "Request for Expression of Interest", "Design Review for {}"),
    ("CS", "INDV", "Individual Consultant Selection", "Request for Expression of Interest", "Engineer in {}"),
    ("NC", "RFB", "Request for Bids", "Invitation for Bids", "Household Survey in {}"),
    ("CW", "RFB", "Request for Bids", "Contract Award", "Road Maintenance around {}"),
    (None, None, None, "General Procurement Notice", "National Urban Water Project, {}"),
)
_PLACES = ("Sumberpucung", "Kepanjen", "Batu", "Singosari", "Lawang", "Turen", "Dampit")


class WorldBank:
    """A stand-in (messages.StandIn): ``notices`` by id, made up: of ``size`` days up to ``now``, on each one of
    Indonesia and two of other countries. ``rows_cap`` is the most that one page answers.
    """

    prefix = "/worldbank"

    def __init__(self, now: datetime, size: int = 40, *, seed: int = 1, rows_cap: int = 500) -> None:
        self.now = now
        self.rows_cap = rows_cap
        self.notices: dict[str, dict[str, Any]] = {}
        self._dice = make_dice("worldbank", seed)
        self._number = 460_000
        for age in reversed(range(size)):
            self._add_day(now - timedelta(days=age))

    def advance(self, by: timedelta) -> None:
        """Time goes on; each whole day brings its notices."""
        for day in range(1, by.days + 1):
            self._add_day(self.now + timedelta(days=day))
        self.now += by

    def add(self, day: datetime | None = None, country: str = "Indonesia") -> str:
        """A new notice of ``day`` (now, where none is told); returns its id."""
        day = day or self.now
        self._number += self._dice.randrange(1, 9)
        key = f"OP{self._number:08}"
        self.notices[key] = self._make(key, day, country)
        return key

    def _add_day(self, day: datetime) -> None:
        for country in ("Indonesia", *self._dice.sample(_ABROAD, 2)):
            self.add(day, country)

    def of(self, country: str) -> list[dict[str, Any]]:
        return [notice for notice in self.notices.values() if notice["project_ctry_name"] == country]

    def answer(self, request: Request) -> Response:
        if request.path != f"{self.prefix}/procnotices":
            return Response(b"<html><title>404</title>", "missing", 404)
        if "html" in request.faults:
            return Response(b"<html><title>Service notice</title><p>Back soon.</html>", "rows", type=HTML)
        answer = self._search(request)
        body = json.dumps(_spoiled(answer, request.faults), ensure_ascii=False)
        return Response(body.encode(), "rows", type=JSON)

    def _search(self, request: Request) -> dict[str, Any]:
        """Unknown parameters, misspelt ones too, change nothing."""
        query, faults = request.query, request.faults
        country = None if "unfiltered" in faults else query.get("project_ctry_name")
        found = self.of(country) if country else list(self.notices.values())
        if query.get("srt") == "noticedate" and "unsorted" not in faults:
            found.sort(key=_day, reverse=query.get("order") == "desc")
        total = len(found) - 5 if "overfull" in faults else len(found)
        found = found[:-5] if "short" in faults else found
        start, rows = int(query.get("os", "0")), min(int(query.get("rows", "10")), self.rows_cap)
        first = 0 if "stuck" in faults else start
        return {
            "rows": rows,
            "os": str(start),
            "page": str(start // rows + 1),
            "total": str(total),
            "procnotices": [dict(notice) for notice in found[first : first + rows]],
        }

    def _make(self, key: str, day: datetime, country: str) -> dict[str, Any]:
        group, code, method, kind, subject = self._dice.choice(_SUBJECTS)
        title = subject.format(self._dice.choice(_PLACES))
        notice = {
            "id": key,
            "notice_type": kind,
            "noticedate": f"{day.astimezone(UTC):%d-%b-%Y}",
            "notice_lang_name": "English",
            "notice_status": "Published",
            "project_ctry_name": country,
            "project_id": f"P{self._dice.randrange(100_000, 199_999)}",
            "project_name": "Made-up Water and Roads Project",
            "bid_reference_no": f"ID-{self._number}-{code or 'GPN'}",
            "bid_description": title,
            "procurement_group": group,
            "procurement_method_code": code,
            "procurement_method_name": method,
            "contact_name": "Contoh Nama",
            "contact_email": "nama@pengadaan.example.org",
            "contact_phone_no": "+62 000 000",
            "submission_date": f"{day.astimezone(UTC):%Y-%m-%d}T00:00:00Z",
            "notice_text": f"<p><strong>{title}</strong></p><p>Bids &amp; questions<br>in English.</p>",
        }
        if kind not in ("Contract Award", "General Procurement Notice"):
            due = day.astimezone(UTC) + timedelta(days=self._dice.randrange(14, 45))
            notice |= {"submission_deadline_date": f"{due:%Y-%m-%d}T00:00:00Z", "submission_deadline_time": "10:00"}
        return {name: value for name, value in notice.items() if value is not None}


def _day(notice: dict[str, Any]) -> datetime:
    return datetime.strptime(notice["noticedate"], "%d-%b-%Y").replace(tzinfo=UTC)


def _spoiled(answer: dict[str, Any], faults: frozenset[str]) -> dict[str, Any]:
    rows = answer["procnotices"]
    if "empty" in faults:
        answer |= {"total": "0", "procnotices": []}
    if "stray" in faults and rows:
        rows[0]["project_ctry_name"] = "Togo"
    if "duplicates" in faults and rows:
        rows[-1] = rows[0]
    if "odd_row" in faults and rows:
        rows[0] |= {"submission_deadline_date": "the first Monday of May"}
    if "new_column" in faults:
        for row in rows:
            row["sector_code"] = "WA"
    if "no_total" in faults:
        del answer["total"]
    if "drifted" in faults:
        answer["notices"] = answer.pop("procnotices")
    return answer
