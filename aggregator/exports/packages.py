"""OCDS release and record packages: each state of a purchase a release with an id made of its content, streamed.

As "easy releases" have it (standard.open-contracting.org/1.1/en/guidance/build/easy_releases): a release tells the
whole of a process at its time, and another content has another id.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import IO, Any

from aggregator.changes import compare
from aggregator.config import Publisher
from aggregator.exports.merging import Merging, merge_bodies, prune
from aggregator.exports.ocds import Body, describe, make_ocid, withdraw
from aggregator.histories import Purchase, is_process
from aggregator.models import Kind, Tender

_WHENEVER = datetime.min.replace(tzinfo=UTC)  # comparing asks for a time that nobody looks at here
_LOOSE = ("documents", "numberOfTenderers")
_TAGS = ("planning", "tender", "award", "contract")  # their order, by how they begin
_NEXT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Package:
    """What stands around releases or records: who publishes, the package's own address or name (``uri``), and the time
    that a package with nothing in it is dated."""

    publisher: Publisher
    uri: str
    now: datetime

    @property
    def prefix(self) -> str:
        """The registered prefix of ocids, or one made of the authority, in the same form."""
        owner = f"{self.publisher.authority},{self.publisher.since}"
        made = base64.b32encode(hashlib.sha256(owner.encode()).digest()).decode().lower()
        return self.publisher.ocid_prefix or f"ocds-{made[:6]}"

    def as_dict(self) -> Body:
        """The fields of a package, but for the date and what it holds."""
        publisher = self.publisher
        links = {"license": publisher.license, "publicationPolicy": publisher.publication_policy}
        return {
            "uri": self.uri,
            "version": "1.1",
            "publisher": {"name": publisher.name, "uri": publisher.url},
            **{name: link for name, link in links.items() if link},
        }


def write_releases(purchases: Iterable[Purchase], stream: IO[bytes], package: Package) -> int:
    """A release package of every release of ``purchases``, a release a line; how many there are.

    OCDS wants at least one: a package without any does not validate.
    """

    def write(purchase: Purchase) -> Iterator[tuple[Body, str]]:
        return ((release, release["date"]) for release in list_releases(purchase, package.prefix))

    return _write_package("releases", write, purchases, stream, package)


def write_records(purchases: Iterable[Purchase], stream: IO[bytes], package: Package) -> int:
    """A record package: of each of ``purchases`` all its releases and what they compile to; how many there are."""

    def write(purchase: Purchase) -> Iterator[tuple[Body, str]]:
        if releases := list_releases(purchase, package.prefix):
            compiled = prune(merge_bodies(releases))
            yield {"ocid": compiled["ocid"], "releases": releases, "compiledRelease": compiled}, compiled["date"]

    return _write_package("records", write, purchases, stream, package)


def list_releases(purchase: Purchase, prefix: str) -> list[Body]:
    """The releases of a purchase, oldest first; none where it is no contracting process.

    Each is dated when it was read, and later than the one before. What a source told that changed nothing of what the
    purchase as a whole tells makes none.
    """
    ocid = make_ocid(prefix, purchase.identity)
    found: list[Body] = []
    merging = Merging()
    before: Body | None = None
    told: Tender | None = None
    date: datetime | None = None
    for time, record in purchase.replay():
        now = describe(record, ocid, prefix)
        if now == before or not is_process(record.tender):
            continue
        date = time if date is None else max(time, date + _NEXT)
        body = withdraw(_without_stamp(merging.compile()), before, now) if before else now
        tags = _find_tags(told, record.tender, before or {}, now)
        found.append(_stamp(body, date, tags))
        merging.add(found[-1])
        before, told = now, record.tender
    return found


def render_json(value: Any) -> bytes:
    """JSON in which every Decimal is the exact number."""
    inexact: dict[str, str] = {}

    def render(amount: Decimal) -> int | float | str:
        if amount == amount.to_integral_value():
            return int(amount)
        if Decimal(repr(float(amount))) == amount:
            return float(amount)
        mark = secrets.token_hex(16)  # that no text can foresee
        inexact[f'"{mark}"'] = f"{amount:f}"
        return mark

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=render)
    for mark, number in inexact.items():
        text = text.replace(mark, number)
    return text.encode()


def _write_package(
    name: str,
    write: Callable[[Purchase], Iterator[tuple[Body, str]]],
    purchases: Iterable[Purchase],
    stream: IO[bytes],
    package: Package,
) -> int:
    """The date stands last, since it is that of the last release: the same data makes the same package."""
    stream.write(render_json(package.as_dict())[:-1] + f',"{name}":['.encode())
    number, newest = 0, ""
    for purchase in purchases:
        for part, date in write(purchase):
            stream.write((b",\n" if number else b"\n") + render_json(part))
            number, newest = number + 1, max(newest, date)
    stream.write(f'\n],"publishedDate":"{newest or _render_date(package.now)}"}}\n'.encode())
    return number


def _stamp(body: Body, date: datetime, tags: list[str]) -> Body:
    """The release with its id: a hash of all that it tells, but for what may move without anything having happened
    (changes.CONTENT): files, whose addresses are made anew at each visit, and the count of participants."""
    told = {"date": _render_date(date), "tag": tags, **body}
    sections = {name: body[name] for name in ("planning", "tender") if name in body}
    firm = {name: {k: v for k, v in told.items() if k not in _LOOSE} for name, told in sections.items()}
    content = json.dumps({**told, **firm}, sort_keys=True, default=lambda amount: f"{amount.normalize():f}")
    number = hashlib.sha256(content.encode()).hexdigest()[:32]
    return {"ocid": body["ocid"], "id": number, **told}


def _without_stamp(compiled: Body) -> Body:
    return {name: value for name, value in prune(compiled).items() if name not in ("id", "date", "tag")}


def _find_tags(told: Tender | None, now: Tender, before: Body, body: Body) -> list[str]:
    """OCDS releaseTag. What was only learnt counts as well; a tender that follows its plan begins anew."""
    if told is None or (told.kind is Kind.PLAN and now.kind is not Kind.PLAN):
        release = compare(None, now, _WHENEVER)
    else:
        release = compare(replace(told, unread=frozenset()), now, _WHENEVER)
    tags = release.tags if release else ()
    tags = tags or ("planningUpdate" if now.kind is Kind.PLAN else "tenderUpdate",)
    sections = (("awards", "award"), ("contracts", "contract"))
    begun = [tag for name, tag in sections if name in body and name not in before and tag not in tags]
    return sorted((*tags, *begun), key=lambda tag: [tag.startswith(each) for each in _TAGS].index(True))


def _render_date(time: datetime) -> str:
    """UTC, always of the same length: merging sorts dates as texts."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
