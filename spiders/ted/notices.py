"""Pure readers of TED's answers: a page of the search, its rows, and what a row means in Warta's words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.models import Award, Category, Kind, Method, Milestone, Money, Status, Tender
from spiders.reading import ShapeError, clean_text, parse_json, strictly

PUBLIC_PAGE = "https://ted.europa.eu/{}/notice/-/detail/{}"
# The languages of the source, by the code of its values (ISO 639-3) and the one of its pages.
LANGUAGES: Mapping[str, str] = {
    pair[:3]: pair[4:]
    for pair in (
        *("bul:bg", "ces:cs", "dan:da", "deu:de", "ell:el", "eng:en", "est:et", "fin:fi", "fra:fr", "gle:ga", "hrv:hr"),
        *("hun:hu", "ita:it", "lav:lv", "lit:lt", "mlt:mt", "nld:nl", "pol:pl", "por:pt", "ron:ro", "slk:sk", "slv:sl"),
        *("spa:es", "swe:sv"),
    )
}
# Codes of eForms (EU) 2019/1780: contract-nature, procedure-type, form-type.
CATEGORIES: Mapping[str, Category] = {
    "supplies": Category.GOODS,
    "works": Category.WORKS,
    "services": Category.SERVICES,
}
METHODS: Mapping[str, Method | None] = {
    "open": Method.OPEN,
    "restricted": Method.SELECTIVE,
    "neg-w-call": Method.SELECTIVE,
    "comp-dial": Method.SELECTIVE,
    "comp-tend": Method.SELECTIVE,
    "innovation": Method.SELECTIVE,
    "neg-wo-call": Method.LIMITED,
    "oth-single": None,
    "oth-mult": None,
}
# What a notice of a form says of its process; a call is open until its deadline.
FORMS: Mapping[str, Status | None] = {
    "planning": Status.PLANNED,
    "competition": Status.ACTIVE,
    "dir-awa-pre": Status.PLANNED,
    "result": Status.COMPLETE,
    "cont-modif": Status.COMPLETE,
    "completion": Status.COMPLETE,
    "change": None,
    "bri": None,
}
_TENDER_DAY, _TENDER_HOUR = "deadline-receipt-tender-date-lot", "deadline-receipt-tender-time-lot"
_REQUEST_DAY, _REQUEST_HOUR = "deadline-receipt-request-date-lot", "deadline-receipt-request-time-lot"
FIELDS = (
    *("publication-number", "publication-date", "notice-title", "notice-type", "form-type", "description-proc"),
    *("procedure-identifier", "contract-nature", "procedure-type", "classification-cpv"),
    *("buyer-name", "buyer-country", "place-of-performance"),
    *(_TENDER_DAY, _TENDER_HOUR, _REQUEST_DAY, _REQUEST_HOUR),
    *("estimated-value-proc", "estimated-value-cur-proc", "estimated-value-lot", "estimated-value-cur-lot"),
    *("winner-name", "winner-decision-date", "tender-value", "tender-value-cur"),
)
_UNASKED = "links"  # comes with every row; the public page is known without it
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d)?")
_HOUR = re.compile(r"(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One row. ``countries`` are the buyers', ``fields`` those it told, ``unknown`` what has no word here."""

    key: str
    title: str
    published: datetime
    form: str | None
    type: str | None
    description: str | None
    buyer: str | None
    countries: tuple[str, ...]
    places: tuple[str, ...]
    natures: tuple[str, ...]
    procedure: str | None
    deadlines: tuple[datetime, ...]
    value: Money | None
    awards: tuple[Award, ...]
    fingerprint: bytes
    fields: frozenset[str]
    unknown: tuple[str, ...] = ()

    @property
    def day(self) -> date:
        """As the source tells it, whatever the zone: what it sorts by."""
        return self.published.date()


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: ``total`` and ``token`` as announced, ``broken``: the rows that could not be read."""

    total: int | None
    token: str | None
    size: int
    notices: tuple[Notice, ...]
    broken: tuple[ShapeError, ...]


def parse_page(body: bytes, language: str, zone: ZoneInfo) -> Page:
    """One answer; times without a zone in ``zone``. ShapeError where it is none; a broken row breaks no other."""
    answer = parse_json(body, "no JSON where a page of notices was due")
    rows = answer.get("notices") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ShapeError("no list notices in the answer", _head(body))
    if answer.get("timedOut") not in (None, False):
        raise ShapeError("the search timed out: not all of its rows", answer["timedOut"])
    total, token = answer.get("totalNoticeCount"), answer.get("iterationNextToken")
    if total is not None and (isinstance(total, bool) or not isinstance(total, int) or total < 0):
        raise ShapeError("totalNoticeCount is no number", total)
    if token is not None and not isinstance(token, str):
        raise ShapeError("iterationNextToken is no text", token)
    notices, broken = [], []
    for row in rows:
        try:
            with strictly("a row"):
                notices.append(parse_notice(row, language, zone))
        except ShapeError as error:
            broken.append(error)
    return Page(total, token or None, len(rows), tuple(notices), tuple(broken))


def parse_notice(row: object, language: str, zone: ZoneInfo) -> Notice:
    """One row. ShapeError for one without number, title or date, or with a value that is not what it should be."""
    if not isinstance(row, dict):
        raise ShapeError("a row that is no object", row)
    key = _first(_texts(row, "publication-number", language)) or ""
    if not re.fullmatch(r"[0-9]{1,9}-[0-9]{4}", key):
        raise ShapeError("a row without a publication-number", key or sorted(row))
    try:
        return _parse_notice(key, _Row(row, language, zone))
    except ShapeError as error:
        raise ShapeError(f"{key}: {error}", error.sample) from error


@dataclass(slots=True)
class _Row:
    """A row's values as texts, and what of them has no word here."""

    values: Mapping[str, Any]
    language: str
    zone: ZoneInfo
    unknown: list[str] = field(default_factory=list)

    def texts(self, name: str) -> tuple[str, ...]:
        return _texts(self.values, name, self.language)

    def text(self, name: str) -> str | None:
        return _first(self.texts(name))

    def parallel(self, name: str, beside: Sequence[str]) -> tuple[str, ...]:
        """The array that stands beside another, lot by lot; none where it has not as many values: told, not guessed."""
        found = self.texts(name)
        if found and len(found) != len(beside):
            self.unknown.append(f"{name} is not parallel to its neighbour")
            return ()
        return found


def _parse_notice(key: str, row: _Row) -> Notice:
    title, day = row.text("notice-title"), row.text("publication-date")
    if not title:
        raise ShapeError("no notice-title", ", ".join(sorted(row.values)))
    if not day:
        raise ShapeError("no publication-date", ", ".join(sorted(row.values)))
    form, procedure = row.text("form-type"), row.text("procedure-type")
    natures = tuple(dict.fromkeys(row.texts("contract-nature")))
    codes: list[tuple[str, str | None, Mapping[str, object]]]
    codes = [("form-type", form, FORMS), ("procedure-type", procedure, METHODS)]
    codes += [("contract-nature", nature, CATEGORIES) for nature in natures]
    row.unknown += [f"column {clean_text(name)[:60]}" for name in row.values if name not in {*FIELDS, _UNASKED}]
    row.unknown += [f"{name} {code[:60]}" for name, code, known in codes if code and code not in known]
    return Notice(
        key=key,
        title=title,
        published=_instant(day, "00:00", row.zone),
        form=form,
        type=row.text("notice-type"),
        description=_describe(row),
        buyer="; ".join(dict.fromkeys(row.texts("buyer-name"))) or None,
        countries=tuple(dict.fromkeys(row.texts("buyer-country"))),
        places=tuple(dict.fromkeys(row.texts("place-of-performance"))),
        natures=natures,
        procedure=procedure,
        deadlines=_deadlines(row, _TENDER_DAY, _TENDER_HOUR) or _deadlines(row, _REQUEST_DAY, _REQUEST_HOUR),
        value=_value(row),
        awards=_awards(row) if form == "result" else (),
        fingerprint=_fingerprint(row),
        fields=frozenset(name for name in row.values if row.values[name] is not None),
        unknown=tuple(dict.fromkeys(row.unknown)),
    )


def find_status(notice: Notice, now: datetime) -> Status | None:
    """A call is active until its last deadline and complete after it; without a deadline nobody can tell."""
    status = FORMS.get(notice.form or "")
    if status is not Status.ACTIVE:
        return status
    if not notice.deadlines:
        return None
    return Status.ACTIVE if now <= notice.deadlines[-1] else Status.COMPLETE


def make_tender(portal: str, notice: Notice, language: str, now: datetime) -> Tender:
    """The notice in Warta's words, as of ``now``."""
    lots = enumerate(notice.deadlines, start=1) if len(notice.deadlines) > 1 else ()
    return Tender(
        portal=portal,
        kind=Kind.NOTICE,
        key=notice.key,
        title=notice.title,
        url=PUBLIC_PAGE.format(LANGUAGES[language], notice.key),
        description=notice.description,
        buyer=notice.buyer,
        category=CATEGORIES.get(notice.natures[0]) if len(notice.natures) == 1 else None,
        category_detail=", ".join(notice.natures) or None,
        method=METHODS.get(notice.procedure or ""),
        method_detail=notice.procedure,
        status=find_status(notice, now),
        stage=" ".join(filter(None, (notice.form, notice.type))) or None,
        value=notice.value,
        published=notice.published,
        deadline=notice.deadlines[-1] if notice.deadlines else None,
        locations=notice.places or notice.countries,
        milestones=tuple(Milestone(title=f"Deadline {n}", starts=None, ends=at) for n, at in lots),
        awards=notice.awards,
    )


def _texts(row: Mapping[str, Any], name: str, language: str) -> tuple[str, ...]:
    """A value as a list of texts: of ``language``, else English, else what the source has; it may be a list or not."""
    value = row.get(name)
    if isinstance(value, dict):
        told = [code for code in (language, "eng", "mul", *sorted(value)) if value.get(code)]
        value = value[told[0]] if told else None
    values = value if isinstance(value, list) else [] if value is None else [value]
    if any(isinstance(one, bool) or not isinstance(one, str | int | Decimal) for one in values):
        raise ShapeError(f"{name} is no text", json.dumps(value, default=str))
    return tuple(clean_text(str(one)) for one in values)


def _first(texts: Sequence[str]) -> str | None:
    return next(filter(None, texts), None)


def _deadlines(row: _Row, day_name: str, hour_name: str) -> tuple[datetime, ...]:
    """The lots' deadlines, each once, the earliest first; a day without its hour means the day's end."""
    days = row.texts(day_name)
    hours = row.parallel(hour_name, days) or ("23:59",) * len(days)
    return tuple(sorted({_instant(day, hour, row.zone) for day, hour in zip(days, hours, strict=True)}))


def _instant(day: str, hour: str, zone: ZoneInfo) -> datetime:
    """``2026-06-04+02:00`` and ``12:00:00+02:00``; the hour's offset leads, where neither has one it is ``zone``."""
    day_match, hour_match = _DAY.fullmatch(day), _HOUR.fullmatch(hour)
    if not day_match or not hour_match:
        raise ShapeError("a date that is none", f"{day} {hour}")
    offset = hour_match[2] or day_match[2]
    try:
        at = datetime.combine(date.fromisoformat(day_match[1]), time.fromisoformat(hour_match[1]))
        return datetime.fromisoformat(f"{at.isoformat()}{offset}") if offset else at.replace(tzinfo=zone)
    except ValueError as error:
        raise ShapeError("a date that does not exist", f"{day} {hour}") from error


def _value(row: _Row) -> Money | None:
    """The procedure's estimated value, else the sum of its lots' where all are in one currency."""
    whole, currency = row.text("estimated-value-proc"), row.text("estimated-value-cur-proc")
    if whole and currency:
        return _money(whole, currency)
    lots = row.texts("estimated-value-lot")
    amounts = [_money(*pair) for pair in zip(lots, row.parallel("estimated-value-cur-lot", lots), strict=False)]
    if len({money.currency for money in amounts}) != 1:
        return None
    return Money(sum((money.amount for money in amounts), Decimal(0)), amounts[0].currency)


def _awards(row: _Row) -> tuple[Award, ...]:
    """The winners with their tenders' values and days, each only where there are as many as winners.

    Without values a winner stands once, however many lots it won.
    """
    winners = row.texts("winner-name")
    values, days = row.parallel("tender-value", winners), row.parallel("winner-decision-date", winners)
    currencies = row.parallel("tender-value-cur", values) if values else ()
    awards = [
        Award(
            supplier=winner or None,
            amount=_money(values[n], currencies[n]) if currencies else None,
            date=_instant(days[n], "00:00", row.zone) if days else None,
        )
        for n, winner in enumerate(winners)
    ]
    return tuple(awards if currencies else dict.fromkeys(awards))


def _money(amount: str, currency: str) -> Money:
    """With two decimals where it has no more, so that 500 and 500.0 are the same."""
    try:
        exact = Decimal(amount)
        cents = exact.quantize(Decimal("0.01"))
    except InvalidOperation as error:
        raise ShapeError("an amount that is none", amount) from error
    if not exact.is_finite():
        raise ShapeError("an amount that is none", amount)
    if not re.fullmatch("[A-Z]{3}", currency):
        raise ShapeError("a currency that is none", currency)
    return Money(cents if cents == exact else exact, currency)


def _describe(row: _Row) -> str | None:
    """The source's description, and what no other field has room for."""
    procedure, codes = row.text("procedure-identifier"), dict.fromkeys(row.texts("classification-cpv"))
    parts = (
        row.text("description-proc"),
        f"CPV: {', '.join(codes)}." if codes else None,
        procedure and f"Procedure: {procedure}.",
    )
    return " ".join(filter(None, parts)) or None


def _fingerprint(row: _Row) -> bytes:
    """Eight bytes that differ when a row, or the language it is read in, does."""
    told = {name: value for name, value in row.values.items() if name != _UNASKED}
    text = json.dumps([row.language, told], sort_keys=True, default=str)
    return blake2b(text.encode("ascii"), digest_size=8).digest()


def _head(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")
