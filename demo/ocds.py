"""A publisher of OCDS packages as Find a Tender, Contracts Finder and smaller ones answer. All of it is made up."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from demo.messages import JSON, Request, Response

# What may go wrong with this publisher, by the names that server.faults.add takes.
FAULTS = {
    "unfiltered": "the window asked for is ignored",
    "loop": "links.next leads back to the page it stands on",
    "endless": "links.next always has a new token, and the page behind it repeats",
    "other_host": "links.next leads to another host",
    "duplicates": "the first release of the page comes again at its end",
    "drifted": "the releases stand under another name",
    "odd_release": "the first release has lost its ocid",
    "short": "the total announced is larger than what comes",
    "apology": "200 with an error in JSON",
}

_LONGEST_WINDOW = timedelta(hours=6)  # of a longer one every third release is dropped, without a word
_ALLOWED = {"limit", "cursor", "updatedFrom", "updatedTo", "publishedFrom", "publishedTo", "stages"}
_TITLES = ("Footbridge repairs", "School meals", "Flood survey", "Library software", "Street lighting")
_CATEGORIES = (
    {"mainProcurementCategory": "works"},
    {"mainProcurementCategory": "goods"},
    {"mainProcurementCategory": "services", "additionalProcurementCategories": ["consultingServices"]},
    {"mainProcurementCategory": "services"},
)


class Publisher:
    """A stand-in (messages.StandIn). ``now`` is its clock; ``processes`` are as many, one opened every five hours.

    After ``limit`` answers it says 429 once, in Find a Tender's words (``pause`` seconds), or with ``forbid`` 403
    in none, as Contracts Finder does.
    """

    prefix = "/ocds"

    def __init__(
        self, now: datetime, processes: int = 12, *, limit: int | None = None, pause: int = 120, forbid: bool = False
    ) -> None:
        self.now = now
        self.releases: list[dict[str, Any]] = []
        self._limit = limit
        self._pause = pause
        self._forbid = forbid
        self._answered = 0
        for number in range(processes):
            self._open(number, now - timedelta(hours=5 * (processes - number)))

    def advance(self, by: timedelta) -> None:
        self.now += by

    # The world -----------------------------------------------------------------------------------------

    def ocids(self) -> list[str]:
        return list(dict.fromkeys(release["ocid"] for release in self.releases))

    def open(self) -> str:
        """One more tender, published now; its ocid."""
        return self._open(len(self.ocids()), self.now)

    def amend(self, ocid: str, amount: int) -> None:
        """A delta that tells a new value, and nothing else."""
        self._publish(ocid, "tenderAmendment", self.now, {"tender": {"value": {"amount": amount, "currency": "GBP"}}})

    def award(self, ocid: str, number: str, supplier: str, amount: float) -> None:
        """A delta that tells one award."""
        party = {"id": f"GB-{supplier}", "name": supplier}
        award = {
            "id": number,
            "status": "active",
            "date": _iso(self.now),
            "suppliers": [party],
            "value": {"amount": amount, "currency": "GBP"},
        }
        self._publish(ocid, "award", self.now, {"awards": [award]})

    def _open(self, number: int, time: datetime) -> str:
        ocid = f"ocds-r3k4an-{number:06d}"
        notice = f"https://tenders.example.org/Notice/{ocid}"
        tender = {
            "id": ocid,
            "title": f"{_TITLES[number % len(_TITLES)]} {number}",
            "description": "Made up for the demo.",
            "status": "active",
            "procurementMethod": "open",
            "procurementMethodDetails": "Open procedure",
            "procuringEntity": {"id": "GB-WORKS", "name": "Works Office of Sampleton"},
            "value": {"amount": 10_000.5 + number, "currency": "GBP"},
            "tenderPeriod": {"endDate": _iso(time + timedelta(days=30))},
            "documents": [{"id": "1", "documentType": "tenderNotice", "url": notice, "datePublished": _iso(time)}],
            **_CATEGORIES[number % len(_CATEGORIES)],
        }
        buyer = {"id": "GB-SAMPLETON", "name": "Borough of Sampleton"}
        self._publish(ocid, "tender", time, {"buyer": buyer, "tender": tender})
        return ocid

    def _publish(self, ocid: str, tag: str, time: datetime, sections: Mapping[str, Any]) -> None:
        number = f"{len(self.releases) + 1:06d}-2026"
        self.releases.append({"ocid": ocid, "id": number, "date": _iso(time), "tag": [tag], **sections})

    # Answers -------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        if refusal := self._rate_limit():
            return refusal
        if "apology" in request.faults:
            return _json({"error": {"code": 17, "message": "Try again later"}}, "fault")
        path = request.path.removeprefix(self.prefix)
        if path in ("/api/1.0/ocdsReleasePackages", "/Published/Notices/OCDS/Search"):
            return self._search(request)
        if path.startswith("/api/1.0/ocdsRecordPackages/"):
            return self._record(path.rpartition("/")[2])
        if path == "/pages":
            return self._page(request)
        if path == "/releases.json":
            return self._package(request, self.releases, "file")
        if path == "/releases.jsonl":
            return Response(
                b"\n".join(json.dumps(r).encode() for r in self.releases), "jsonl", type="application/jsonl"
            )
        if path == "/releases.zip":
            return Response(_zip(self.releases), "zip", type="application/zip")
        return _json({"message": "Not found"}, "missing", 404)

    def _rate_limit(self) -> Response | None:
        self._answered += 1
        if self._limit is None or self._answered <= self._limit:
            return None
        self._answered = 0
        if self._forbid:
            return Response(b"Forbidden", "limited", 403, "text/plain")
        text = f"Rate limit of {self._limit} exceeded. Please retry after {self._pause} seconds"
        return _json({"message": text}, "limited", 429)

    def _search(self, request: Request) -> Response:
        """Windows with cursors, as Find a Tender has them."""
        query = request.query
        window = [query[name] for name in ("updatedFrom", "updatedTo") if name in query]
        window = window or [query[name] for name in ("publishedFrom", "publishedTo") if name in query]
        size = query.get("limit", "100")
        if not query.keys() <= _ALLOWED or not size.isdecimal() or not 1 <= int(size) <= 100:
            return _json({"message": "Bad request"}, "refused", 400)
        if any(len(text) != 19 for text in window):
            return _json({"message": "Invalid date"}, "refused", 400)
        found = self.releases if "unfiltered" in request.faults else _within(self.releases, window)
        start = int(query.get("cursor", "0"))
        stop = start + int(size)
        following = str(stop) if stop < len(found) else None
        if "endless" in request.faults:
            found, following = found[:1], str(start + 1)
        elif "loop" in request.faults:
            following = query.get("cursor", "0")
        else:
            found = found[start:stop]
        return self._package(request, found, "search", following)

    def _page(self, request: Request) -> Response:
        """Pages by number, with an announced total; one after the last is empty."""
        size = 5
        start = (int(request.query.get("page", "1")) - 1) * size
        total = len(self.releases) + (3 if "short" in request.faults else 0)
        return self._package(
            request, self.releases[start : start + size], "page", extra={"pagination": {"total": total}}
        )

    def _package(
        self,
        request: Request,
        releases: list[dict[str, Any]],
        page: str,
        cursor: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Response:
        found = copy.deepcopy(releases)
        if "duplicates" in request.faults:
            found += found[:1]
        if "odd_release" in request.faults and found:
            del found[0]["ocid"]
        host = "elsewhere.example.org" if "other_host" in request.faults else request.headers.get("host", "")
        package: dict[str, Any] = {
            **_head(f"http://{host}{request.address}", self.now),
            "data" if "drifted" in request.faults else "releases": found,
            **(extra or {}),
        }
        if cursor is not None:
            query = urlencode(request.query | {"cursor": cursor}, safe=":")
            package["links"] = {"next": f"http://{host}{request.path}?{query}"}
        return _json(package, page)

    def _record(self, ocid: str) -> Response:
        releases = [release for release in self.releases if release["ocid"] == ocid]
        if not releases:
            return _json({"message": "Not found"}, "missing", 404)
        head = _head(f"https://tenders.example.org/{ocid}", self.now)
        return _json({**head, "records": [{"ocid": ocid, "releases": releases}]}, "record")


def _head(uri: str, now: datetime) -> dict[str, Any]:
    return {
        "uri": uri,
        "version": "1.1",
        "publishedDate": _iso(now),
        "publisher": {"name": "Office of Made-up Tenders"},
        "license": "https://creativecommons.org/publicdomain/zero/1.0/",
    }


def _within(releases: list[dict[str, Any]], window: list[str]) -> list[dict[str, Any]]:
    """The releases of a window; every third is missing of one that is too long."""
    if not window:
        return releases
    start, stop = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in window)
    found = [r for r in releases if start <= datetime.fromisoformat(r["date"]) <= stop]
    return found if stop - start <= _LONGEST_WINDOW else [r for n, r in enumerate(found) if n % 3 != 2]


def _zip(releases: list[dict[str, Any]]) -> bytes:
    """Two release packages, as yearly downloads come."""
    half, file = len(releases) // 2, io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", "Made up for the demo.\n")
        for name, part in (("2025.json", releases[:half]), ("2026.json", releases[half:])):
            archive.writestr(name, json.dumps({"version": "1.1", "releases": part}))
    return file.getvalue()


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).replace(microsecond=0).isoformat()


def _json(value: Any, page: str, status: int = 200) -> Response:
    return Response(json.dumps(value).encode(), page, status, JSON)
