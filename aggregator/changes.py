"""How a tender changes: what a reading adds to what is kept, and which release that makes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from aggregator.models import (
    TENDER_FIELDS,
    Award,
    Change,
    Event,
    Kind,
    Milestone,
    Money,
    Release,
    Status,
    Tender,
    parse_field,
)

# Identity, and what may move without anything having happened: addresses change, participants are counted.
_NOT_CONTENT = {"portal", "kind", "key", "url", "documents", "participants", "incomplete", "unread"}
CONTENT = tuple(name for name in TENDER_FIELDS if name not in _NOT_CONTENT)

# The fields that an event tells of, so that their moves are not told again beside it. Times of the schedule move
# with every deadline, and the stage with every cancellation.
_TOLD_BY: Mapping[Event, frozenset[str]] = {
    Event.CANCELLED: frozenset({"status", "stage", "cancellation_reason"}),
    Event.UNSUCCESSFUL: frozenset({"status", "stage", "cancellation_reason"}),
    Event.RETENDER: frozenset({"retender", "retender_reason"}),
    Event.AWARD: frozenset({"awards"}),
    Event.CONTRACT: frozenset({"contracts"}),
    Event.WITHDRAWN: frozenset({"status"}),
    Event.RETURNED: frozenset({"status"}),
    Event.DEADLINE: frozenset({"deadline", "milestones"}),
}

# Every other field's move is one of these, or Event.DETAILS.
_FIELD_EVENTS: Mapping[str, Event] = {
    "registration_deadline": Event.REGISTRATION,
    "value": Event.VALUE,
    "budget": Event.BUDGET,
    "status": Event.STAGE,
    "stage": Event.STAGE,
    "milestones": Event.SCHEDULE,
    "locations": Event.LOCATION,
}

_STATUS_EVENTS: Mapping[Status | None, Event] = {
    Status.CANCELLED: Event.CANCELLED,
    Status.UNSUCCESSFUL: Event.UNSUCCESSFUL,
    Status.WITHDRAWN: Event.WITHDRAWN,
}

_RESULTS = {"awards", "contracts"}
_COURSE = {"status", "stage", "cancellation_reason"}  # moves in the course of things: no amendment of the terms


def merge(stored: Tender | None, seen: Tender) -> Tender:
    """The tender as it is known after a reading: what the reading did not look at stays as it was.

    Status *withdrawn* never stays: the reading shows that the tender is there again, with a status that is
    unread if the reading does not tell it.
    """
    if stored is None or not seen.unread:
        return seen
    kept = {name: getattr(stored, name) for name in seen.unread}
    unread = seen.unread & stored.unread
    if kept.get("status") is Status.WITHDRAWN:
        kept["status"] = None
        unread |= {"status"}
    return replace(seen, **{**kept, "unread": unread})


def compare(stored: Tender | None, seen: Tender, now: datetime) -> Release | None:
    """The release that the move from ``stored`` to ``seen`` (already merged) makes; None where content is the same.

    A field that was unread in ``stored`` is learnt, not changed: that is for ``note``.
    """
    changes: tuple[Change, ...] = ()
    if stored is None:
        tags, events = _first_tags(seen), _first_events(seen)
    else:
        changes = tuple(_changes(stored, seen))
        if not changes:
            return None
        fields = {change.field for change in changes}
        tags, events = tuple(_tags(stored, seen, fields)), _events(stored, seen, fields)
    return Release(
        portal=seen.portal, kind=seen.kind, key=seen.key, time=now, tags=tags, events=events, changes=changes
    )


def note(stored: Tender, seen: Tender, now: datetime) -> Release | None:
    """The release of all that the move from ``stored`` to ``seen`` tells beside what ``compare`` finds; None where that
    is nothing.

    Fields first read, participants counted, addresses that moved: no reader hears of them, but whoever follows the
    sequence of releases ends with what is kept. It has neither tags nor events.
    """
    old, new = stored.as_dict(), seen.as_dict()
    moved = [Change(name, old.get(name, []), new.get(name, [])) for name in TENDER_FIELDS]  # no sanctions: no key
    changes = tuple(each for each in moved if each.old != each.new and not _is_told(each.field, stored, seen))
    if not changes:
        return None
    return Release(portal=seen.portal, kind=seen.kind, key=seen.key, time=now, tags=(), events=(), changes=changes)


def is_learnt(release: Release) -> bool:
    """Whether it is one that ``note`` makes: nothing changed but what is known."""
    return not release.tags


def rewind(tender: Tender, releases_after: Sequence[Release]) -> Tender:
    """The tender as it was before ``releases_after``, which come newest first."""
    before = {change.field: change.old for release in releases_after for change in release.changes}
    return replace(tender, **{name: parse_field(name, value) for name, value in before.items()})


def _comparable(value: Any) -> Any:
    """``value`` as plain lists and texts, without what does not count: offsets of times, trailing zeros, order."""
    match value:
        case datetime():
            return value.timestamp()
        case Money():
            return [str(value.amount.normalize()), value.currency]
        case Milestone(title=title, starts=starts, ends=ends):
            # Without ``changes``: where only that count moved, the row was moved to and fro between two visits.
            return [title, starts and starts.timestamp(), ends and ends.timestamp()]
        case Award():
            return [value.supplier, _comparable(value.amount), _comparable(value.date)]
        case tuple():
            return sorted([_comparable(part) for part in value], key=str)
        case _:
            return value


def _changes(stored: Tender, seen: Tender) -> Iterator[Change]:
    moved = [name for name in CONTENT if _is_told(name, stored, seen)]
    if moved:
        old, new = stored.as_dict(), seen.as_dict()
        yield from (Change(name, old.get(name, []), new.get(name, [])) for name in moved)  # no sanctions: no key


def _is_told(name: str, stored: Tender, seen: Tender) -> bool:
    return name not in _NOT_CONTENT and name not in stored.unread and _differs(name, stored, seen)


def _differs(name: str, stored: Tender, seen: Tender) -> bool:
    old, new = getattr(stored, name), getattr(seen, name)
    return bool(old != new and _comparable(old) != _comparable(new))


def _first_tags(seen: Tender) -> tuple[str, ...]:
    sections = {"award": seen.awards, "contract": seen.contracts}
    main = "planning" if seen.kind is Kind.PLAN else "tender"
    return (main, *(tag for tag, section in sections.items() if section))


def _first_events(seen: Tender) -> tuple[Event, ...]:
    """The most advanced thing that a tender tells when it is first seen."""
    if seen.status in {Status.CANCELLED, Status.UNSUCCESSFUL}:
        return (_STATUS_EVENTS[seen.status],)
    if seen.contracts:
        return (Event.CONTRACT,)
    return (Event.AWARD if seen.awards else Event.NEW,)


def _tags(stored: Tender, seen: Tender, fields: set[str]) -> Iterator[str]:
    """OCDS releaseTag (closed codelist of OCDS 1.1) for a later release."""
    if seen.kind is Kind.PLAN:
        yield "planningUpdate"
        return
    if "status" in fields and seen.status in {Status.CANCELLED, Status.UNSUCCESSFUL}:
        yield "tenderCancellation"
    elif fields - _RESULTS - _COURSE and seen.status is Status.ACTIVE:
        yield "tenderAmendment"
    elif fields - _RESULTS:
        yield "tenderUpdate"
    if "awards" in fields:
        yield "awardUpdate" if stored.awards and seen.awards else "award" if seen.awards else "awardCancellation"
    if "contracts" in fields:
        yield "contractUpdate" if stored.contracts else "contract"


def _events(stored: Tender, seen: Tender, fields: set[str]) -> tuple[Event, ...]:
    told = set(_headlines(stored, seen, fields))
    left = fields - {name for event in told for name in _TOLD_BY[event]}
    told.update(_FIELD_EVENTS.get(name, Event.DETAILS) for name in left)
    return tuple(event for event in Event if event in told)


def _headlines(stored: Tender, seen: Tender, fields: set[str]) -> Iterator[Event]:
    if "status" in fields and seen.status in _STATUS_EVENTS:
        yield _STATUS_EVENTS[seen.status]
    if "status" in fields and stored.status is Status.WITHDRAWN:
        yield Event.RETURNED
    if "retender" in fields and seen.retender:
        yield Event.RETENDER
    if "awards" in fields and seen.awards:
        yield Event.AWARD
    if "contracts" in fields and seen.contracts:
        yield Event.CONTRACT
    if "deadline" in fields:
        yield Event.DEADLINE
