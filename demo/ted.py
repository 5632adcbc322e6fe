"""TED's search of notices, imitated: page numbers up to 15,000 notices, or a token that never says when to stop."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.messages import HTML, JSON, Request, Response
from demo.names import make_dice

# What may go wrong here, by the names that server.faults.add takes.
FAULTS = {
    "unfiltered": "the query is ignored: all notices",
    "stray": "the first row is of a buyer in Norway",
    "old": "the first row was published in 2019",
    "unsorted": "the order asked for is ignored",
    "stuck": "every page has the rows of the first, under a token and in a total that never end",
    "duplicates": "the first row of the page comes again at its end",
    "short": "the last five rows are missing, though they count in the total",
    "overfull": "the total announced is five too low",
    "no_total": "no total is announced",
    "empty": "no rows at all, and a total of 0",
    "timed_out": "half of the page's rows, and timedOut true",
    "no_token": "no token after a page of an iteration",
    "odd_row": "the first row's publication-date is in words",
    "untitled": "the first row has no notice-title",
    "uneven": "the first row with a deadline has an hour more than it has days",
    "missing_field": "no row has its form-type",
    "new_field": "rows have a field that was not asked for",
    "new_code": "the first row's procedure-type is one never seen",
    "drifted": "notices is called results",
    "html": "an HTML page where JSON is due",
}
MOST_BY_PAGE = 15_000
_BUYERS = {
    "FRA": ("fra", "Commune de Valfleuri", "FRB05"),
    "ITA": ("ita", "Comune di Valfiorita", "ITC11"),
    "DEU": ("deu", "Stadt Blumental", "DE212"),
}
_SUBJECTS = (
    ("supplies", "33140000", "Medical consumables", "Fournitures"),
    ("works", "45233142", "Road repair works", "Travaux"),
    ("services", "90910000", "Cleaning services", "Services"),
)
_FORMS = (
    ("competition", "cn-standard", "open"),
    ("competition", "cn-standard", "restricted"),
    ("result", "can-standard", "open"),
    ("planning", "pin-only", None),
)


class Ted:
    """A stand-in (messages.StandIn): ``notices`` by publication number, made up: of ``size`` days up to ``now``, on
    each one of three countries. ``rows_cap`` is the most that one page answers.
    """

    prefix = "/ted"

    def __init__(self, now: datetime, size: int = 40, *, seed: int = 1, rows_cap: int = 250) -> None:
        self.now = now
        self.rows_cap = rows_cap
        self.asked: list[dict[str, Any]] = []  # the bodies of the searches, as they came
        self.notices: dict[str, dict[str, Any]] = {}
        self._dice = make_dice("ted", seed)
        self._number = 380_000
        for age in reversed(range(size)):
            self._add_day(now - timedelta(days=age))

    def advance(self, by: timedelta) -> None:
        """Time goes on; each whole day brings its notices."""
        for day in range(1, by.days + 1):
            self._add_day(self.now + timedelta(days=day))
        self.now += by

    def add(self, day: datetime | None = None, country: str = "FRA", form: int | None = None) -> str:
        """A new notice of ``day`` (now, where none is told); returns its publication number."""
        day = day or self.now
        self._number += self._dice.randrange(1, 9)
        key = f"{self._number}-{day:%Y}"
        self.notices[key] = self._make(key, day, country, self._dice.choice(_FORMS) if form is None else _FORMS[form])
        return key

    def _add_day(self, day: datetime) -> None:
        for country in _BUYERS:
            self.add(day, country)

    def answer(self, request: Request) -> Response:
        if request.path != f"{self.prefix}/v3/notices/search":
            return Response(b'{"message": "Not Found"}', "missing", 404, JSON)
        if request.method != "POST":
            return Response(b'{"message": "Method Not Allowed"}', "missing", 405, JSON, (("Allow", "POST"),))
        if "html" in request.faults:
            return Response(b"<html><title>Maintenance</title><p>Back soon.</html>", "search", type=HTML)
        try:
            answer = self._search(request)
        except (KeyError, ValueError) as error:
            told = {"message": f"{error}", "error": {"type": "QUERY_SYNTAX_ERROR"}}
            return Response(json.dumps(told).encode(), "refused", 400, JSON)
        return Response(json.dumps(answer, ensure_ascii=False).encode(), "search", type=JSON)

    def _search(self, request: Request) -> dict[str, Any]:
        """KeyError and ValueError for a search that the source would refuse."""
        asked, faults = json.loads(request.body), request.faults
        self.asked.append(asked)
        limit = min(asked["limit"], self.rows_cap)
        if not asked["fields"] or not 1 <= asked["limit"] <= 250:
            raise ValueError("fields must not be empty, and limit is at most 250")
        iterates = asked["paginationMode"] == "ITERATION"
        start = int(asked.get("iterationNextToken", "it-0")[3:]) if iterates else (asked["page"] - 1) * limit
        if not iterates and asked["page"] * asked["limit"] > MOST_BY_PAGE:
            raise ValueError(f"PAGE_NUMBER gives {MOST_BY_PAGE} notices at most")
        found = self._find("" if "unfiltered" in faults else asked["query"], asked["scope"])
        if "SORT BY publication-date DESC" in asked["query"] and "unsorted" not in faults:
            found.sort(key=lambda notice: notice["publication-date"], reverse=True)
        total = len(found) - 5 if "overfull" in faults else 10**6 if "stuck" in faults else len(found)
        found = found[:-5] if "short" in faults else found
        first = 0 if "stuck" in faults else start
        names = {*asked["fields"], "links"}
        rows = [{name: notice[name] for name in notice if name in names} for notice in found[first : first + limit]]
        answer = {"notices": rows, "totalNoticeCount": total, "timedOut": False}
        if iterates and "no_token" not in faults:
            answer["iterationNextToken"] = f"it-{start + len(rows)}"
        return _spoiled(answer, faults)

    def _find(self, query: str, scope: str) -> list[dict[str, Any]]:
        """The notices that the query's terms and the scope let through; of the expert language no more is known."""
        tests: list[Callable[[dict[str, Any]], bool]] = []
        for name, words in re.findall(r"(buyer-country|classification-cpv|publication-number) IN \(([^)]*)\)", query):
            wanted = set(words.split())
            tests.append(lambda notice, name=name, wanted=wanted: bool({*_listed(notice[name])} & wanted))  # type: ignore[misc]
        for day in re.findall(r"publication-date >= (\d{8})", query):
            tests.append(lambda notice, day=day: notice["publication-date"][:10].replace("-", "") >= day)  # type: ignore[misc]
        if scope == "ACTIVE":
            tests.append(self._is_active)
        return [notice for notice in self.notices.values() if all(test(notice) for test in tests)]

    def _is_active(self, notice: dict[str, Any]) -> bool:
        days = notice.get("deadline-receipt-tender-date-lot")
        return not days or max(days)[:10] >= f"{self.now:%Y-%m-%d}"

    def _make(self, key: str, day: datetime, country: str, form: tuple[str, str, str | None]) -> dict[str, Any]:
        language, buyer, place = _BUYERS[country]
        nature, code, english, french = self._dice.choice(_SUBJECTS)
        title = f"Lot {self._number} of the made-up programme"
        value, due = self._dice.randrange(50, 900) * 1000, day + timedelta(days=self._dice.randrange(14, 45))
        notice: dict[str, Any] = {
            "publication-number": key,
            "publication-date": _words(day),
            "notice-title": {language: f"{french} – {title}", "eng": f"{english} – {title}"},
            "notice-type": form[1],
            "form-type": form[0],
            "description-proc": {language: [f"{english}, in {language}"]},
            "procedure-identifier": f"00000000-0000-4000-8000-{self._number:012}",
            "contract-nature": [nature, nature],
            "procedure-type": form[2],
            "classification-cpv": [code, code],
            "buyer-name": {language: [buyer]},
            "buyer-country": [country],
            "place-of-performance": [place, country],
            "estimated-value-lot": [str(value), "1000.5"],
            "estimated-value-cur-lot": ["EUR", "EUR"],
            "links": {"html": {"ENG": f"https://ted.europa.eu/en/notice/-/detail/{key}"}},
        }
        if form[0] == "competition":
            notice["deadline-receipt-tender-date-lot"] = [_words(due), _words(due + timedelta(days=1))]
            notice["deadline-receipt-tender-time-lot"] = ["12:00:00+01:00", "16:30:00+01:00"]
        if form[0] == "result":
            notice["winner-name"] = {language: [f"Contoh {self._number} S.A.", "Exemple SARL"]}
            notice["winner-decision-date"] = [_words(day), _words(day)]
            notice["tender-value"] = [str(value - 500), "990"]
            notice["tender-value-cur"] = ["EUR", "EUR"]
        return {name: value for name, value in notice.items() if value is not None}


def _words(day: datetime) -> str:
    """``2026-11-24+01:00``, the day in UTC so that it does not turn with the offset."""
    return f"{day.astimezone(UTC):%Y-%m-%d}+01:00"


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _spoiled(answer: dict[str, Any], faults: frozenset[str]) -> dict[str, Any]:
    rows = answer["notices"]
    if "empty" in faults:
        answer |= {"notices": [], "totalNoticeCount": 0}
    if "timed_out" in faults:
        answer |= {"notices": rows[: len(rows) // 2], "timedOut": True}
    if "no_total" in faults:
        del answer["totalNoticeCount"]
    if "drifted" in faults:
        answer["results"] = answer.pop("notices")
    if rows:
        _spoil_rows(rows, faults)
    return answer


def _spoil_rows(rows: list[dict[str, Any]], faults: frozenset[str]) -> None:
    """In place, and each row is a copy of its own: the notices stay as they are."""
    for fault, change in (
        ("stray", {"buyer-country": ["NOR"]}),
        ("old", {"publication-date": "2019-01-02+01:00"}),
        ("odd_row", {"publication-date": "the first Monday of May"}),
        ("untitled", {"notice-title": {}}),
        ("new_code", {"procedure-type": "by-lot-drawn"}),
    ):
        if fault in faults:
            rows[0] |= change
    if "duplicates" in faults:
        rows[-1] = rows[0]
    for row in rows:
        if "missing_field" in faults:
            del row["form-type"]
        if "new_field" in faults:
            row["sme-suitable"] = True
    if "uneven" in faults:
        row = next(row for row in rows if "deadline-receipt-tender-time-lot" in row)
        row["deadline-receipt-tender-time-lot"] = [*row["deadline-receipt-tender-time-lot"], "09:00:00+01:00"]
