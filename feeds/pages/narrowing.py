"""A search in words, and how it can be narrowed, widened and sorted: each way a link with its count. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aggregator.config import Portal
from aggregator.facets import Facet as Field
from aggregator.filters import Fault, Filter, FilterError, Moment, Sort
from aggregator.models import Category, Kind, Method, Money, Status
from aggregator.search import fold
from feeds.definitions import BIDDABLE, NOW, OPEN
from feeds.query import list_pairs, render_query
from feeds.words.text import clip, plain
from feeds.words.wording import Wording

SHOWN = 5  # choices of a facet at first sight
MOST_CHOICES = 10  # of a facet: a page of links stays light; who looks for another work unit types its name
THRESHOLDS = tuple(Decimal(number) for number in (200_000_000, 500_000_000, 1_000_000_000, 2_500_000_000))
SPANS = (Moment("+1d"), Moment("+7d"), Moment("+30d"))  # how soon bids close

MOST_COUNTED = 20_000  # packages: beyond, counting all for each choice would keep the reader waiting

_MOST_NAME = 80
_CODES: Mapping[Field, tuple[str, ...]] = {
    "category": tuple(Category),
    "method": tuple(Method),
    "kind": tuple(Kind),
    "status": tuple(Status),
}
_COUNTED: tuple[Field, ...] = ("category", "method", "procuring_entity", "kind", "status")
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)  # what a date means does not depend on now
_HINTS = {
    Fault.NO_WHOLE_NUMBER: "example",
    Fault.NO_AMOUNT: "example",
    Fault.NO_MOMENT: "example",
    Fault.NO_FLAG: "choices",
    Fault.UNKNOWN_CODE: "choices",
}
_SORTS = (Sort.DEADLINE, Sort.PUBLISHED, Sort.VALUE)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tenders a search would find for each value of a field, with all that it asks of other fields.

    ``values`` by least value, ``spans`` by how soon bids close, ``open`` what has not closed yet, ``under_way`` what
    has. Numbers go up to MOST_COUNTED; None where there are more to look through.
    """

    by: Mapping[Field, Sequence[tuple[str, int | None]]]
    values: Mapping[Decimal, int | None]
    spans: Mapping[Moment, int]
    open: int
    under_way: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A link to another search, by its ``query`` string. ``chosen``: it is part of this one, and the link leads to
    the search without it."""

    label: str
    query: str
    count: int | None = None
    chosen: bool = False

    @property
    def is_more(self) -> bool:
        """Whether there are more than ``count`` says."""
        return self.count is not None and self.count >= MOST_COUNTED


@dataclass(frozen=True, slots=True)
class Facet:
    """What a search can be narrowed by. ``is_one``: one choice takes the place of another."""

    key: str
    label: str
    is_one: bool
    choices: Sequence[Choice]
    shown: int = SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """All that stands around a list: facets, what is chosen, orders, and the form for a range of values."""

    facets: Sequence[Facet]
    pills: Sequence[Choice]
    cleared: str
    sorts: Sequence[Choice]
    form_pairs: Sequence[tuple[str, str]]
    range_pairs: Sequence[tuple[str, str]]
    least: str
    most: str


@dataclass(frozen=True, slots=True)
class Names:
    """How what a search names is written: work units and buyers by their folded names, portals by their ids."""

    spelt: Mapping[str, str]
    portals: Mapping[str, Portal]

    def spell(self, name: str) -> str:
        return clip(plain(self.spelt.get(fold(name), name)), _MOST_NAME)

    def name_portal(self, portal: str) -> str:
        known = self.portals.get(portal)
        return clip(plain(known.name if known else portal), _MOST_NAME)


def count_choices(
    wanted: Filter, count: Callable[[Filter], int], count_by: Callable[[Field, Filter], Sequence[tuple[str, int]]]
) -> Counts:
    """The counts of every choice that ``make_narrowing`` offers; ``count`` stops at MOST_COUNTED."""
    free = replace(wanted, limit=None)
    known: dict[Filter, int] = {}

    def are_few(found: Filter) -> bool:
        if found not in known:
            known[found] = count(found)
        return known[found] < MOST_COUNTED

    by: dict[Field, Sequence[tuple[str, int | None]]] = {}
    for field in _COUNTED:
        others = _of_any_status(free) if field == "status" else _without(free, field)
        by[field] = count_by(field, others) if are_few(others) else [(code, None) for code in _CODES.get(field, ())]
    valued = replace(free, min_value=None, max_value=None)
    return Counts(
        by=by,
        values={least: count(replace(valued, min_value=least)) if are_few(valued) else None for least in THRESHOLDS},
        spans={span: count(spanned) for span, spanned in zip(SPANS, list_spans(free), strict=True)},
        open=count(_biddable(free)),
        under_way=count(_under_way(free)),
    )


def list_spans(wanted: Filter) -> list[Filter]:
    """``wanted`` of what closes soon, for each of SPANS."""
    return [replace(wanted, deadline_from=NOW, deadline_to=span) for span in SPANS]


def _without(wanted: Filter, key: str) -> Filter:
    changes: dict[str, Any] = {key: ()}
    return replace(wanted, **changes)


def _is_biddable(wanted: Filter) -> bool:
    """Whether it asks for what has not closed yet: what the site calls open."""
    return wanted.status == OPEN.status and wanted.deadline_from == NOW and _may_be_open(wanted.kind)


def _is_under_way(wanted: Filter) -> bool:
    """Whether it asks for what has closed, but is active still."""
    is_active = wanted.status == OPEN.status and _may_be_open(wanted.kind)
    return is_active and wanted.deadline_to == NOW and wanted.deadline_from != NOW


def _biddable(wanted: Filter) -> Filter:
    free = _of_any_status(wanted)
    return replace(free, status=OPEN.status, kind=_open_kinds(wanted), deadline_from=NOW)


def _under_way(wanted: Filter) -> Filter:
    free = _of_any_status(wanted)
    return replace(free, status=OPEN.status, kind=_open_kinds(wanted), deadline_to=NOW)


def _of_any_status(wanted: Filter) -> Filter:
    """``wanted`` without a status, and without the days that belong to being open or under way."""
    free = replace(wanted, status=())
    if _is_biddable(wanted):
        is_span = wanted.deadline_to is not None and wanted.deadline_to.text.startswith("+")
        return replace(free, deadline_from=None, deadline_to=None if is_span else wanted.deadline_to)
    return replace(free, deadline_to=None) if _is_under_way(wanted) else free


def with_status(wanted: Filter, status: Status) -> Filter:
    """``wanted`` of one status; what is not open may have closed at any time."""
    return replace(_of_any_status(wanted), status=(status,))


def _open_kinds(wanted: Filter) -> tuple[Kind, ...]:
    return tuple(kind for kind in wanted.kind if kind in OPEN.kind) or OPEN.kind


def _may_be_open(kinds: Sequence[Kind]) -> bool:
    """Whether one of ``kinds`` (none: all of them) can be bid for."""
    return not kinds or not set(kinds).isdisjoint(OPEN.kind)


def _is_all_open(kinds: Iterable[Kind]) -> bool:
    return set(kinds) == set(OPEN.kind)


def name_active(kinds: Sequence[Kind], wording: Wording) -> str:
    """How an active purchase of ``kinds`` that nobody can bid for is called."""
    names = (wording.status(Status.ACTIVE, kind, None, _ANY_TIME) for kind in kinds)
    return " / ".join(dict.fromkeys(names))


def name_under_way(wording: Wording) -> str:
    """How an active tender past its deadline is called."""
    return wording.status(Status.ACTIVE, Kind.TENDER, _ANY_TIME, _ANY_TIME)


def make_narrowing(
    wanted: Filter, counts: Counts, names: Names, wording: Wording, listed: Sort | None = None
) -> Narrowing:
    """``counts`` as ``count_choices`` makes them of ``wanted``; ``listed`` is the order of the list beside it, where
    that is not the one ``wanted`` asks for."""
    facets = [
        _deadline_facet(wanted, counts, wording),
        _value_facet(wanted, counts, wording),
        _many_facet("category", wanted, counts, wording, lambda code: wording.name(Category(code))),
        _many_facet("method", wanted, counts, wording, lambda code: wording.name(Method(code))),
        _unit_facet(wanted, counts, names, wording),
        _many_facet("kind", wanted, counts, wording, lambda code: wording.name(Kind(code))),
        _status_facet(wanted, counts, wording),
    ]
    parts = [(label, without) for label, without in tell_parts(wanted, names, wording) if without.q == wanted.q]
    return Narrowing(
        facets=[facet for facet in facets if facet.choices],
        pills=[Choice(label=label, query=render_query(without)) for label, without in parts],
        cleared=render_query(replace(BIDDABLE, q=wanted.q, sort=wanted.sort)),
        sorts=[
            _sort_choice(wanted, sort, listed or wanted.sort, wording) for sort in dict.fromkeys((*_SORTS, wanted.sort))
        ],
        form_pairs=list_pairs(wanted, "q", "limit"),
        range_pairs=list_pairs(wanted, "min_value", "max_value", "limit"),
        least=dict(list_pairs(wanted)).get("min_value", ""),
        most=dict(list_pairs(wanted)).get("max_value", ""),
    )


def _sort_choice(wanted: Filter, sort: Sort, listed: Sort, wording: Wording) -> Choice:
    query = render_query(replace(wanted, sort=sort))
    return Choice(label=wording.say(f"sort_{sort}"), query=query, chosen=listed is sort)


def _one(label: str, count: int | None, wanted: Filter, narrowed: Filter, without: Filter) -> Choice | None:
    """A choice that takes the place of another; None where nothing would be found and it is not chosen."""
    chosen = narrowed == wanted
    query = render_query(without if chosen else narrowed)
    return Choice(label=label, query=query, count=count, chosen=chosen) if count != 0 or chosen else None


def _deadline_facet(wanted: Filter, counts: Counts, wording: Wording) -> Facet:
    """Of open packages it stays with these; what has closed already closes no more."""
    first = NOW if _is_biddable(wanted) else None
    without = replace(wanted, deadline_from=first, deadline_to=None)
    spans = () if _is_under_way(wanted) else SPANS
    choices = [
        _one(
            wording.say("within", span=_tell_span(span, wording)),
            counts.spans[span],
            wanted,
            replace(wanted, deadline_from=NOW, deadline_to=span),
            without,
        )
        for span in spans
    ]
    return Facet("deadline", wording.say("facet_deadline"), True, [each for each in choices if each])


def _value_facet(wanted: Filter, counts: Counts, wording: Wording) -> Facet:
    without = replace(wanted, min_value=None, max_value=None)
    choices = [
        _one(
            wording.say("at_least", money=_tell_money(least, wording)),
            counts.values[least],
            wanted,
            replace(wanted, min_value=least, max_value=None),
            without,
        )
        for least in THRESHOLDS
    ]
    return Facet("value", wording.say("facet_value"), True, [each for each in choices if each])


def _many_facet(
    key: Field, wanted: Filter, counts: Counts, wording: Wording, name: Callable[[str], str], shown: int = SHOWN
) -> Facet:
    found = dict(counts.by[key])
    found |= {value: 0 for value in getattr(wanted, key) if value not in found}
    choices = [_toggle(key, value, name(value), number, wanted) for value, number in found.items()]
    return Facet(key, wording.label(key), False, choices, shown)


def _toggle(key: str, value: str, label: str, count: int | None, wanted: Filter) -> Choice:
    held: tuple[Any, ...] = getattr(wanted, key)
    chosen = value in held
    kept: Any = tuple(each for each in held if each != value) if chosen else (*held, value)
    return Choice(label=label, query=render_query(replace(wanted, **{key: kept})), count=count, chosen=chosen)


def _unit_facet(wanted: Filter, counts: Counts, names: Names, wording: Wording) -> Facet:
    """Chosen work units first, however few packages they have."""
    held = {fold(name) for name in wanted.procuring_entity}
    found = {fold(name): (names.spell(name), number) for name, number in counts.by["procuring_entity"]}
    found |= {name: (names.spell(name), 0) for name in held if name not in found}
    ordered = sorted(found, key=lambda name: name not in held)
    unfolded = replace(wanted, procuring_entity=tuple(held))
    choices = [_toggle("procuring_entity", name, *found[name], unfolded) for name in ordered]
    most = max(MOST_CHOICES, len(held))
    return Facet("procuring_entity", wording.label("procuring_entity"), False, choices[:most], max(SHOWN, len(held)))


def _status_facet(wanted: Filter, counts: Counts, wording: Wording) -> Facet:
    """What can be bid for is open or under way; other kinds keep their own statuses, and stay what they are."""
    free, found = _of_any_status(wanted), dict(counts.by["status"])
    has_open = _may_be_open(wanted.kind)
    choices: list[Choice | None] = []
    if has_open:
        cleared = replace(free, kind=()) if _is_all_open(wanted.kind) else free
        is_open, is_closed = _is_biddable(wanted), _is_under_way(wanted)
        choices = [
            _one(wording.name(Status.ACTIVE), counts.open, wanted, wanted if is_open else _biddable(wanted), cleared),
            _one(
                name_under_way(wording), counts.under_way, wanted, wanted if is_closed else _under_way(wanted), cleared
            ),
        ]
    for status in Status:
        if status is not Status.ACTIVE or not has_open:
            name, narrowed = _name_status(status, wanted.kind, wording), with_status(wanted, status)
            choices.append(_one(name, found.get(status, 0), wanted, narrowed, free))
    return Facet("status", wording.label("status"), True, [each for each in choices if each], len(choices))


def tell_parts(wanted: Filter, names: Names, wording: Wording) -> list[tuple[str, Filter]]:
    """What ``wanted`` asks for, part by part in words, each with the filter that no longer asks for it.

    That packages have not closed yet goes without saying; that they may have, or may be anything, does not.
    """
    parts: list[tuple[str, Filter]] = []

    def tell(label: str, **without: Any) -> None:
        parts.append((label, replace(wanted, **without)))

    def tell_each(key: str, name: Callable[[Any], str]) -> None:
        values = getattr(wanted, key)
        for value in values:
            tell(name(value), **{key: tuple(each for each in values if each != value)})

    if wanted.q:
        tell(clip(plain(wanted.q), _MOST_NAME), q="")
    if wanted.min_value is not None or wanted.max_value is not None:
        tell(_tell_range(wanted, wording), min_value=None, max_value=None)
    tell_each("category", wording.name)
    tell_each("method", lambda method: wording.say("method_name", name=wording.name(method)))
    tell_each("procuring_entity", names.spell)
    tell_each("buyer", names.spell)
    tell_each("location", lambda place: wording.say("located", place=clip(plain(place), _MOST_NAME)))
    tell_each("key", lambda key: wording.say("keyed", key=clip(plain(key), _MOST_NAME)))
    tell_each("portal", names.name_portal)
    tell_each("year", lambda year: wording.say("of_year", year=year))
    if not _is_all_open(wanted.kind):
        tell_each("kind", wording.name)
    if not _may_be_open(wanted.kind):
        tell_each("status", lambda code: _name_status(code, wanted.kind, wording))
    elif _is_under_way(wanted):
        tell(name_under_way(wording), status=(), deadline_to=None)
    elif wanted.status == OPEN.status and wanted.deadline_from is None and wanted.deadline_to is None:
        tell(wording.say("active"), status=())
    elif wanted.status != OPEN.status:
        tell_each("status", wording.name)
    for key, label, cleared in _tell_times(wanted, wording):
        tell(label, **dict.fromkeys((key, *cleared)))
    if wanted.retender is not None:
        tell(wording.say("only_retenders" if wanted.retender else "no_retenders"), retender=None)
    if wanted.limit is not None:
        tell(wording.say("at_most", count=wanted.limit), limit=None)
    return parts


def _name_status(status: Status, kinds: Sequence[Kind], wording: Wording) -> str:
    return name_active(kinds, wording) if status is Status.ACTIVE else wording.name(status)


def tell_search(wanted: Filter, names: Names, wording: Wording) -> str:
    """``wanted`` in a line: jalan, Rp500 juta ke atas, DPUPRPKP."""
    parts = [label for label, _ in tell_parts(wanted, names, wording)]
    if parts == [wording.say("active")] and _is_all_open(wanted.kind):
        return wording.say("all_active")
    if wanted.status == OPEN.status:
        return ", ".join(parts) or wording.say("semua")
    if not wanted.status:
        parts.append(wording.say("any_status"))
    return ", ".join(parts)


def tell_fault(error: FilterError, wording: Wording) -> str:
    """What is wrong with a search, and what would be right; what was given is shown cut and plain."""
    value = f"“{clip(plain(str(error.value)), _MOST_NAME)}”"
    right = ", ".join(error.right)
    least, most = (*error.right, "", "")[:2]
    what = wording.say(error.fault.name, value=value, right=right, least=least, most=most)
    hint = wording.say(_HINTS[error.fault], right=right) if error.fault in _HINTS else ""
    key = clip(plain(error.key), _MOST_NAME)
    return wording.say("bad_value", key=key, what=what, hint=hint).strip()


def _tell_range(wanted: Filter, wording: Wording) -> str:
    if wanted.max_value is None:
        return wording.say("at_least", money=_tell_money(wanted.min_value or Decimal(), wording))
    most = _tell_money(wanted.max_value, wording)
    if wanted.min_value is None:
        return wording.say("up_to", money=most)
    return f"{_tell_money(wanted.min_value, wording)}–{most}"


def _tell_money(amount: Decimal, wording: Wording) -> str:
    """In short form where that is exact, else in full."""
    short = wording.short_money(Money(amount))
    digits = f"{amount:f}".rstrip("0").rstrip(".") if "." in f"{amount:f}" else f"{amount:f}".rstrip("0")
    return short if len(digits) <= 2 else wording.money(Money(amount))


def _tell_times(wanted: Filter, wording: Wording) -> Iterable[tuple[str, str, Sequence[str]]]:
    """Each bound in words, with the keys that it stands for; what open or under way tells already is left out."""
    is_open = _is_biddable(wanted)
    if wanted.deadline_from == NOW and wanted.deadline_to and wanted.deadline_to.text.startswith("+"):
        span = _tell_span(wanted.deadline_to, wording)
        yield "deadline_to", wording.say("closes_within", span=span), () if is_open else ("deadline_from",)
    else:
        told = {"deadline_from": is_open, "deadline_to": _is_under_way(wanted)}
        for key in (key for key, is_told in told.items() if not is_told):
            if moment := getattr(wanted, key):
                is_now = key == "deadline_from" and moment == NOW
                yield key, wording.say("not_closed" if is_now else key, time=_tell_moment(moment, wording)), ()
    for key in ("published_from", "published_to", "changed_since"):
        if moment := getattr(wanted, key):
            yield key, wording.say(key, time=_tell_moment(moment, wording)), ()


def _tell_span(moment: Moment, wording: Wording) -> str:
    days = int(moment.text[:-1])
    return wording.say("one_day") if days == 1 else wording.say("days", count=days)


def _tell_moment(moment: Moment, wording: Wording) -> str:
    if moment.text[0] in "+-":
        days = int(moment.text[:-1])
        return wording.say("days_ahead" if days > 0 else "days_ago" if days else "moment", count=abs(days))
    try:
        at = moment.resolve(_ANY_TIME, wording.zone, end=False)
        return wording.short_time(at) if "T" in moment.text else wording.date(at)
    except OverflowError:  # the first or last hours of all years, told in another zone
        return moment.text
