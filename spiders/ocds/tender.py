"""A compiled release → Tender. Pure; a value that is not what OCDS says raises ShapeError."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from aggregator.config import Portal
from aggregator.models import Award, Category, Contract, Document, Kind, Method, Money, Status, Tender
from spiders.ocds.packages import Release, read_time
from spiders.own_host import find_place
from spiders.reading import ShapeError, clean_text

_STATUSES: Mapping[str, Status] = {  # codelist tenderStatus
    "planning": Status.PLANNED,
    "planned": Status.PLANNED,
    "active": Status.ACTIVE,
    "cancelled": Status.CANCELLED,
    "unsuccessful": Status.UNSUCCESSFUL,
    "complete": Status.COMPLETE,
    "withdrawn": Status.WITHDRAWN,
}
_STANDING = frozenset({None, "active"})  # award statuses that name a winner
_SIGNED = frozenset({None, "active", "terminated"})  # contract statuses of what was signed; terminated: it has ended
_LONGEST_KEY = 128
# What a compiled release tells, or leaves out; all other fields OCDS does not have.
_TOLD = (
    *("title", "description", "buyer", "procuring_entity", "category", "category_detail", "method", "method_detail"),
    *("status", "stage", "budget", "value", "published", "deadline", "locations", "participants"),
    *("awards", "contracts", "documents"),
)

T = TypeVar("T")


def parse_tender(
    compiled: Mapping[str, Any], releases: Sequence[Release], portal: Portal, page: str = "", *, whole: bool
) -> Tender:
    """The tender that ``compiled``, merged of ``releases`` (oldest first), tells of.

    ``whole``: nothing was published of it that is not in ``compiled``, so what is not told is not there; otherwise
    it is unread. ``page`` is the address of its web page, with ``{ocid}`` or ``{id}`` of its newest release.
    """
    ocid = _text(compiled, "ocid") or ""
    tender = _object(compiled, "tender")
    awards, contracts = _objects(compiled, "awards"), _objects(compiled, "contracts")
    title = _text(tender, "title") or _text(compiled, "title") or _first_text((*awards, *contracts), "title")
    documents = tuple(_documents(compiled))
    address = _render_page(page, releases[-1]) or _find_page(compiled, portal)
    found = Tender(
        portal=portal.id,
        kind=Kind.TENDER,
        key=render_key(ocid),
        title=title or ocid,
        url=address or portal.url,
        description=_text(tender, "description"),
        buyer=_party_name(compiled, _object(compiled, "buyer"), "buyer"),
        procuring_entity=_party_name(compiled, _object(tender, "procuringEntity"), "procuringEntity"),
        category=_find_category(tender),
        category_detail=", ".join(_category_words(tender)) or None,
        method=_find_code(Method, tender, "procurementMethod"),
        method_detail=_text(tender, "procurementMethodDetails") or _text(tender, "procurementMethod"),
        status=_find_status(compiled, tender),
        stage=_text(tender, "status"),
        budget=_money(_object(_object(compiled, "planning"), "budget"), "amount"),
        value=_money(tender, "value"),
        published=_time(tender, "datePublished", portal) or _notice_date(tender, portal) or _find_opening(releases),
        deadline=_time(_object(tender, "tenderPeriod"), "endDate", portal),
        locations=tuple(dict.fromkeys(_locations(tender))),
        participants=_count(tender, "numberOfTenderers"),
        awards=tuple(_award(award, portal) for award in awards if _text(award, "status") in _STANDING),
        contracts=tuple(_contract(c, awards, portal) for c in contracts if _text(c, "status") in _SIGNED),
        documents=tuple({document.url: document for document in documents}.values()),
    )
    unread = set() if whole else {name for name in _TOLD if not getattr(found, name)}
    unread |= {name for name, value in (("title", title), ("url", address)) if not value and not whole}
    return replace(found, unread=frozenset(unread))


def unknown_words(tender: Tender, compiled: Mapping[str, Any]) -> tuple[str, ...]:
    """Codes outside OCDS's closed lists, and amounts without a currency."""
    told = _object(compiled, "tender")
    words = []
    for name, value in (
        ("status", tender.status if tender.stage else Status.ACTIVE),
        ("procurementMethod", tender.method),
        ("mainProcurementCategory", tender.category),
    ):
        code = _text(told, name)
        if code and value is None:
            words.append(f"{name} {code}")
    for place, amount in (("tender.value", told.get("value")), *_amounts(compiled)):
        if isinstance(amount, dict) and amount.get("amount") is not None and not amount.get("currency"):
            words.append(f"{place} without a currency")
    return tuple(dict.fromkeys(words))


def _amounts(compiled: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section in ("awards", "contracts"):
        for part in _objects(compiled, section):
            yield f"{section}.value", part.get("value")


def render_key(ocid: str) -> str:
    """``ocid`` made URL-safe, two ocids never alike: other characters become ``~`` and two hexadecimal digits a byte.

    ShapeError where nothing URL-safe comes of it.
    """
    safe = re.sub(
        r"[^A-Za-z0-9._:-]", lambda match: "".join(f"~{byte:02x}" for byte in match[0].encode("utf-8", "replace")), ocid
    )
    if not safe or not safe[0].isalnum():
        raise ShapeError("an ocid that begins with neither letter nor digit", ocid)
    if len(safe) <= _LONGEST_KEY:
        return safe
    digest = hashlib.sha256(ocid.encode("utf-8", "replace")).hexdigest()[:32]
    return f"{safe[: _LONGEST_KEY - 34]}~~{digest}"  # ~~ stands in no shorter key


def fingerprint(releases: Sequence[Release]) -> bytes:
    """What tells that these releases, oldest first, are not those of last time.

    It begins with the newest one's date (8 bytes, seconds since 1970), so that older news is known for what it is.
    """
    digest = hashlib.sha256()
    for release in releases:
        digest.update(repr((release.ocid, release.id, _ordered(release.body))).encode("utf-8", "surrogatepass"))
    seconds = max(0, int(releases[-1].date.timestamp()))
    return seconds.to_bytes(8, "big") + digest.digest()[:16]


def _ordered(value: Any) -> Any:
    """JSON with the order of its keys taken out."""
    if isinstance(value, dict):
        return sorted((key, _ordered(part)) for key, part in value.items())
    return [_ordered(part) for part in value] if isinstance(value, list) else value


# Codes ---------------------------------------------------------------------------------------------------


def _find_status(compiled: Mapping[str, Any], tender: Mapping[str, Any]) -> Status | None:
    """tender.status; a process that is only being planned need not have one."""
    code = _text(tender, "status")
    if code is None:
        return Status.PLANNED if "planning" in compiled and not tender else None
    return _STATUSES.get(code)


def _category_words(tender: Mapping[str, Any]) -> list[str]:
    main = _text(tender, "mainProcurementCategory")
    more = tender.get("additionalProcurementCategories") or []
    if not isinstance(more, list) or not all(isinstance(word, str) for word in more):
        raise ShapeError("additionalProcurementCategories that are no list of codes", more)
    return list(dict.fromkeys(word for word in (main, *more) if word))


def _find_category(tender: Mapping[str, Any]) -> Category | None:
    """OCDS knows consulting only as services with an additional category of consultingServices."""
    words = _category_words(tender)
    if "consultingServices" in words and words[0] in ("services", "consultingServices"):
        return Category.CONSULTING
    main = _text(tender, "mainProcurementCategory")
    return Category(main) if main in ("goods", "works", "services") else None


def _find_code(codes: type[Method], value: Mapping[str, Any], name: str) -> Method | None:
    code = _text(value, name)
    return codes(code) if code in tuple(codes) else None


# Sections ------------------------------------------------------------------------------------------------


def _award(award: Mapping[str, Any], portal: Portal) -> Award:
    return Award(supplier=_suppliers(award), amount=_money(award, "value"), date=_time(award, "date", portal))


def _contract(contract: Mapping[str, Any], awards: Sequence[Mapping[str, Any]], portal: Portal) -> Contract:
    """A contract names its winner only by its award's id."""
    number = contract.get("awardID")
    award = next((award for award in awards if number is not None and award.get("id") == number), {})
    return Contract(
        supplier=_suppliers(contract) or _suppliers(award),
        amount=_money(contract, "value"),
        date=_time(contract, "dateSigned", portal),
    )


def _suppliers(award: Mapping[str, Any]) -> str | None:
    """All suppliers of one award in one text: the amount is theirs together."""
    names = [_text(supplier, "name") or _text(supplier, "id") for supplier in _objects(award, "suppliers")]
    return "; ".join(dict.fromkeys(name for name in names if name)) or None


def _party_name(compiled: Mapping[str, Any], reference: Mapping[str, Any], role: str) -> str | None:
    """The name in a reference to an organisation, else that of the party it means, else of the one in that role."""
    name = _text(reference, "name")
    if name:
        return name
    parties = _objects(compiled, "parties")
    number = reference.get("id")
    meant = [party for party in parties if number is not None and party.get("id") == number]
    return _first_text(meant or [party for party in parties if role in _roles(party)], "name")


def _roles(party: Mapping[str, Any]) -> list[Any]:
    roles = party.get("roles") or []
    if not isinstance(roles, list):
        raise ShapeError("roles that are no list of codes", roles)
    return roles


def _locations(tender: Mapping[str, Any]) -> Iterator[str]:
    for item in _objects(tender, "items"):
        for address in (*_objects(item, "deliveryAddresses"), _object(item, "deliveryAddress")):
            words = [_text(address, name) for name in ("streetAddress", "locality", "region", "countryName")]
            told = ", ".join(word for word in words if word)
            if told:
                yield told


def _documents(compiled: Mapping[str, Any]) -> Iterator[Document]:
    for _, document in _told_documents(compiled):
        url = _web_address(document)
        if url:
            title = _text(document, "title") or _text(document, "description") or _text(document, "documentType")
            yield Document(title=title or url, url=url)


def _told_documents(compiled: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Document type and document, those of the tender itself first."""
    sections = [_object(compiled, "tender"), *_objects(compiled, "awards"), *_objects(compiled, "contracts")]
    for section in (*sections, _object(compiled, "planning")):
        for document in _objects(section, "documents"):
            yield _text(document, "documentType") or "", document


def _render_page(page: str, latest: Release) -> str:
    return page.replace("{ocid}", quote(latest.ocid, safe="")).replace("{id}", quote(latest.id, safe=""))


def _find_page(compiled: Mapping[str, Any], portal: Portal) -> str | None:
    """Where a reader is sent: a notice on the publisher's host, else any notice."""
    notices = [_web_address(document) for kind, document in _told_documents(compiled) if kind.endswith("Notice")]
    addresses = [url for url in notices if url]
    own = [url for url in addresses if urlsplit(url).netloc == portal.host]
    return next(iter((*own, *addresses)), None)


def _find_opening(releases: Sequence[Release]) -> datetime | None:
    """When the tender was first told of, or else the plan for it."""
    steps = [release for release in releases if not release.compiled]
    dates = [release.date for tag in ("tender", "planning") for release in steps if tag in release.tags]
    return next(iter(dates), None)


def _notice_date(tender: Mapping[str, Any], portal: Portal) -> datetime | None:
    dates = [
        _time(document, "datePublished", portal)
        for document in _objects(tender, "documents")
        if _text(document, "documentType") == "tenderNotice"
    ]
    return min((date for date in dates if date), default=None)


# Values --------------------------------------------------------------------------------------------------


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise ShapeError(f"{name} that is no object", part)
    return part


def _objects(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    parts = value.get(name)
    if parts is None:
        return []
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ShapeError(f"{name} that are no list of objects", parts)
    return parts


def _text(value: Mapping[str, Any], name: str) -> str | None:
    """Cleaned text; ids may be numbers."""
    part = value.get(name)
    if part is None:
        return None
    if isinstance(part, bool) or not isinstance(part, str | int):
        raise ShapeError(f"{name} that is no text", part)
    return clean_text(str(part)) or None


def _first_text(values: Sequence[Mapping[str, Any]], name: str) -> str | None:
    return next((text for value in values if (text := _text(value, name))), None)


def _money(value: Mapping[str, Any], name: str) -> Money | None:
    """An exact amount with its currency; None without either: no currency is guessed."""
    told = _object(value, name)
    amount, currency = told.get("amount"), _text(told, "currency")
    if amount is None or currency is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise ShapeError(f"{name}.amount that is no number", amount)
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise ShapeError(f"{name}.currency that is no ISO 4217 code", currency)
    return Money(Decimal(amount), currency)


def _count(value: Mapping[str, Any], name: str) -> int | None:
    count = value.get(name)
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
        raise ShapeError(f"{name} that is no count", count)
    return count


def _time(value: Mapping[str, Any], name: str, portal: Portal) -> datetime | None:
    return read_time(value.get(name), portal.zone)


def _web_address(document: Mapping[str, Any]) -> str | None:
    """Only http and https: an address of a source may be anything, and readers will click on it."""
    url = _text(document, "url") or ""
    return url if "://" in url[:8] and find_place(url) else None
