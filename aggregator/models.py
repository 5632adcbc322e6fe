"""The words of the domain: frozen values in OCDS's terms, with no I/O.

A ``Tender`` is one contracting process as its source announces it. A ``Reading`` is what one visit to the
source told of it, a ``Release`` one recorded change, a ``Record`` the tender as the database keeps it.

Amounts are exact decimals with a currency, times are aware datetimes, and every field that Warta
normalises (category, method, status) stands beside the source's own words for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Self


class Kind(StrEnum):
    """What sort of announcement a tender is; part of its identity."""

    TENDER = "tender"
    NON_TENDER = "non_tender"
    RECORDED = "recorded"
    SELF_MANAGED = "self_managed"
    EMERGENCY = "emergency"
    PLAN = "plan"
    NOTICE = "notice"
    NEWS = "news"


class Category(StrEnum):
    """OCDS mainProcurementCategory, with consulting apart (OCDS: services + consultingServices)."""

    GOODS = "goods"
    WORKS = "works"
    SERVICES = "services"
    CONSULTING = "consulting"


class Method(StrEnum):
    """OCDS procurementMethod (closed codelist)."""

    OPEN = "open"
    SELECTIVE = "selective"
    LIMITED = "limited"
    DIRECT = "direct"


class Status(StrEnum):
    """OCDS tenderStatus as far as Indonesian portals tell it; withdrawn: no longer on the portal."""

    PLANNED = "planned"
    ACTIVE = "active"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    UNSUCCESSFUL = "unsuccessful"
    WITHDRAWN = "withdrawn"


class Sweep(StrEnum):
    """How much of a portal a crawl looks at: what is open now, or every list."""

    OPEN = "open"
    FULL = "full"


class Event(StrEnum):
    """What a release tells a reader; one release may tell several. Order is the order they are told in."""

    CANCELLED = "cancelled"
    UNSUCCESSFUL = "unsuccessful"
    RETENDER = "retender"
    AWARD = "award"
    CONTRACT = "contract"
    WITHDRAWN = "withdrawn"
    RETURNED = "returned"
    NEW = "new"
    DEADLINE = "deadline"
    REGISTRATION = "registration"
    VALUE = "value"
    BUDGET = "budget"
    STAGE = "stage"
    SCHEDULE = "schedule"
    LOCATION = "location"
    DETAILS = "details"


KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}")


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount with its ISO 4217 currency."""

    amount: Decimal
    currency: str = "IDR"

    def as_dict(self) -> dict[str, str]:
        return {"amount": str(self.amount), "currency": self.currency}

    @classmethod
    def from_dict(cls, value: Mapping[str, str]) -> Self:
        return cls(Decimal(value["amount"]), value["currency"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """One row of the schedule (jadwal). ``changes``: how often the portal says this row was moved."""

    title: str
    starts: datetime | None
    ends: datetime | None
    changes: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "starts": _iso(self.starts),
            "ends": _iso(self.ends),
            "changes": self.changes,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            title=value["title"],
            starts=_instant(value["starts"]),
            ends=_instant(value["ends"]),
            changes=value["changes"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """A named winner. ``amount``: the negotiated price, else the corrected, else the bid.

    ``supplier`` is None where the source tells an amount but no name (realisations without a provider table).
    """

    supplier: str | None
    amount: Money | None = None
    date: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "supplier": self.supplier,
            "amount": self.amount.as_dict() if self.amount else None,
            "date": _iso(self.date),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            supplier=value["supplier"],
            amount=Money.from_dict(value["amount"]) if value["amount"] else None,
            date=_instant(value["date"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract(Award):
    """A signed contract, or one realisation (realisasi) of a recorded, self-managed or emergency purchase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file the source offers. Its address may change at any time, so it is never compared."""

    title: str
    url: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, str]) -> Self:
        return cls(**value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanction:
    """An entry of a blacklist (daftar hitam): from ``starts`` to ``ends`` the supplier may not be awarded anything.

    ``decree`` is the number of the decision (nomor SK), ``reason`` the violation, both as the source words them.
    """

    supplier: str
    decree: str | None = None
    reason: str | None = None
    starts: datetime | None = None
    ends: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "starts": _iso(self.starts), "ends": _iso(self.ends)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(**{**value, "starts": _instant(value["starts"]), "ends": _instant(value["ends"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """One contracting process as its source announces it.

    Identity is (``portal``, ``kind``, ``key``); ``key`` is the source's own number, never a title or a date.
    ``budget`` is the pagu, ``value`` the HPS. ``registration_deadline`` closes registration (home page,
    *Akhir Pendaftaran*), ``deadline`` closes bids (the schedule's upload stage). ``published`` is *Tanggal
    Pembuatan*. ``unread`` names fields that this reading, or for a kept tender no reading so far, looked at:
    their value here means nothing. ``incomplete``: a page that should have been read could not be had.
    ``sanctions`` are what a notice of a blacklist tells; every other tender has none.

    Raises ValueError when the key is not URL-safe, the title empty, or a time has no zone.
    """

    portal: str
    kind: Kind
    key: str
    title: str
    url: str
    description: str | None = None
    buyer: str | None = None
    procuring_entity: str | None = None
    category: Category | None = None
    category_detail: str | None = None
    method: Method | None = None
    method_detail: str | None = None
    status: Status | None = None
    stage: str | None = None
    budget: Money | None = None
    value: Money | None = None
    fiscal_years: tuple[int, ...] = ()
    published: datetime | None = None
    registration_deadline: datetime | None = None
    deadline: datetime | None = None
    locations: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    retender: bool = False
    retender_reason: str | None = None
    cancellation_reason: str | None = None
    participants: int | None = None
    milestones: tuple[Milestone, ...] = ()
    awards: tuple[Award, ...] = ()
    contracts: tuple[Contract, ...] = ()
    documents: tuple[Document, ...] = ()
    sanctions: tuple[Sanction, ...] = ()
    incomplete: bool = False
    unread: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not KEY.fullmatch(self.key):
            raise ValueError(f"key {self.key!r} of {self.portal} is not a URL-safe number or name")
        if not self.title:
            raise ValueError(f"{self.portal}/{self.kind}/{self.key} has no title")
        for time in (self.published, self.registration_deadline, self.deadline):
            if time is not None and time.tzinfo is None:
                raise ValueError(f"{self.portal}/{self.kind}/{self.key}: time {time} has no zone")

    @property
    def identity(self) -> tuple[str, Kind, str]:
        return (self.portal, self.kind, self.key)

    def as_dict(self) -> dict[str, Any]:
        """The tender as JSON-able values, keys in the order that `export --format jsonl` writes them.

        ``sanctions`` stands in it only where there are any.
        """
        return {
            "portal": self.portal,
            "kind": self.kind,
            "key": self.key,
            "title": self.title,
            "description": self.description,
            "buyer": self.buyer,
            "procuring_entity": self.procuring_entity,
            "category": self.category,
            "category_detail": self.category_detail,
            "method": self.method,
            "method_detail": self.method_detail,
            "status": self.status,
            "stage": self.stage,
            "budget": self.budget.as_dict() if self.budget else None,
            "value": self.value.as_dict() if self.value else None,
            "fiscal_years": list(self.fiscal_years),
            "published": _iso(self.published),
            "registration_deadline": _iso(self.registration_deadline),
            "deadline": _iso(self.deadline),
            "locations": list(self.locations),
            "plans": list(self.plans),
            "retender": self.retender,
            "retender_reason": self.retender_reason,
            "cancellation_reason": self.cancellation_reason,
            "participants": self.participants,
            "milestones": [m.as_dict() for m in self.milestones],
            "awards": [a.as_dict() for a in self.awards],
            "contracts": [c.as_dict() for c in self.contracts],
            "documents": [d.as_dict() for d in self.documents],
            **({"sanctions": [s.as_dict() for s in self.sanctions]} if self.sanctions else {}),
            "incomplete": self.incomplete,
            "url": self.url,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], unread: Sequence[str] = ()) -> Self:
        """The inverse of ``as_dict``; ``unread`` is kept beside it. KeyError on a missing key."""
        values = {name: value[name] for name in _WRITTEN}
        values["kind"] = parse_field("kind", values["kind"])
        values["sanctions"] = value.get("sanctions")
        for name, parse, empty in _SPARSE:
            values[name] = parse(values[name]) if values[name] else empty
        return cls(**values, unread=frozenset(unread))


TENDER_FIELDS = tuple(f.name for f in fields(Tender))
_WRITTEN = tuple(name for name in TENDER_FIELDS if name not in {"sanctions", "unread"})


def parse_field(name: str, value: Any) -> Any:
    """One field of a Tender from what ``as_dict`` writes of it."""
    parse = _FIELDS.get(name)
    return parse(value) if parse else value


@dataclass(frozen=True, slots=True)
class Change:
    """One field's move from ``old`` to ``new``, both as ``Tender.as_dict`` writes them."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One recorded change of a tender (OCDS release).

    ``tags`` are OCDS releaseTag values, ``events`` what it tells a reader; ``changes`` hold only the
    difference (empty for the first release of a tender). ``time`` is the run's ``now`` plus n µs in the
    order found; ``seq`` is given by the database in commit order and None before that. Without events it is no news: a
    correction, or what another source told before; without tags, too, no change: more became known (changes.note).
    """

    portal: str
    kind: Kind
    key: str
    time: datetime
    tags: tuple[str, ...]
    events: tuple[Event, ...]
    changes: tuple[Change, ...] = ()
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source of a purchase that several tell of: what it calls it, where, and which ``fields`` it told.

    ``changed`` is when its own telling last changed. A field that no source told stands in none.
    """

    portal: str
    kind: Kind
    key: str
    url: str
    changed: datetime
    fields: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "changed": _iso(self.changed), "fields": list(self.fields)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A tender as the database keeps it (OCDS record): ``changed`` moves only when its content did.

    A dossier, where several sources tell of the same purchase: ``tender`` is then compiled of all of them and has
    the identity of the one seen first, and ``sources`` names each, the most authoritative first. ``republished``:
    the source passes on what another portal announces.
    """

    tender: Tender
    first_seen: datetime
    last_seen: datetime
    changed: datetime
    republished: bool = False
    sources: tuple[Source, ...] = ()

    @property
    def official_portal(self) -> str:
        """The portal whose page is the one to look at: of several sources the most authoritative."""
        return self.sources[0].portal if self.sources else self.tender.portal

    def as_dict(self) -> dict[str, Any]:
        """The tender and its times; ``sources`` stands in it only where there are several."""
        return {
            **self.tender.as_dict(),
            "first_seen": _iso(self.first_seen),
            "last_seen": _iso(self.last_seen),
            "changed": _iso(self.changed),
            **({"sources": [source.as_dict() for source in self.sources]} if self.sources else {}),
        }


# What a spider yields, in the order found ------------------------------------------------------------


GONE = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one visit told of one tender; the item a spider yields.

    ``row`` and ``home`` are fingerprints of the tender's list row and home-page row; they are kept in the same
    transaction as the tender, so that a crash between list and detail reads the detail again. None: that
    listing was not looked at, so keep what is stored; ``GONE``: looked at, and the tender does not stand there.
    ``schedule_read``: the schedule was asked for and answered. ``missing``: a page that should be there
    was answered 404, so the incomplete tender is tried again with backoff; after any other failure it is
    tried again in the very next run. ``republished``: the source passes on what another portal announces, which is
    believed first where the two differ.
    """

    tender: Tender
    row: bytes | None = None
    home: bytes | None = None
    schedule_read: bool = False
    missing: bool = False
    republished: bool = False


ONE_LIST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of a listing: these keys stand in it, whether or not their details were read.

    A listing is the list of one kind and ``year``; ``ONE_LIST`` is the year of a source whose list has none, and
    ``year`` None is the portal's home page. ``complete`` is
    set on the last item of a listing that was read to its end: only then may keys count as vanished.
    """

    kind: Kind
    year: int | None
    keys: tuple[str, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the database remembers of one tender for the next visit; ``row``, ``home`` as in Reading."""

    row: bytes | None = None
    home: bytes | None = None
    active: bool = False
    schedule_read: datetime | None = None
    retry_at: datetime | None = None


class KnownTenders(Mapping[tuple[Kind, str], Known]):
    """All that is remembered of one portal. By kind and then by key, since a pair for each of a hundred thousand keys
    would take a quarter more memory."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, dict[str, Known]] = {}

    def add(self, kind: Kind, key: str, known: Known) -> None:
        self._kinds.setdefault(kind, {})[key] = known

    def __getitem__(self, identity: tuple[Kind, str]) -> Known:
        kind, key = identity
        return self._kinds[kind][key]

    def __iter__(self) -> Iterator[tuple[Kind, str]]:
        return ((kind, key) for kind, keys in self._kinds.items() for key in keys)

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One run's assignment to a spider: which part of the portal, what is known already, and the run's time.

    ``portal`` is the portal's id; ``years`` are fiscal years; ``limit`` ends each listing after that many
    rows (the listing is then never complete).
    """

    portal: str
    now: datetime
    sweep: Sweep = Sweep.FULL
    kinds: tuple[Kind, ...] = ()
    years: tuple[int, ...] = ()
    limit: int | None = None
    known: Mapping[tuple[Kind, str], Known]


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _optional(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: parse(value) if value else None


def _each(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: tuple([parse(value) for value in values])


# How a field is read that is not kept as it is. To look up a word takes a quarter of the time that an enum takes.
_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "kind": cache(Kind),
    "category": _optional(cache(Category)),
    "method": _optional(cache(Method)),
    "status": _optional(cache(Status)),
    **dict.fromkeys(("budget", "value"), _optional(Money.from_dict)),
    **dict.fromkeys(("published", "registration_deadline", "deadline"), _instant),
    **dict.fromkeys(("fiscal_years", "locations", "plans"), tuple),
    "milestones": _each(Milestone.from_dict),
    "awards": _each(Award.from_dict),
    "contracts": _each(Contract.from_dict),
    "documents": _each(Document.from_dict),
    "sanctions": _each(Sanction.from_dict),
}
# Those that may be empty, and are in most tenders: there are many tenders.
_SPARSE = tuple((f.name, _FIELDS[f.name], f.default) for f in fields(Tender) if f.name in _FIELDS.keys() - {"kind"})
