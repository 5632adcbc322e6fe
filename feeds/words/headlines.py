"""What a release tells a reader: a headline for its title, and one line for each thing that happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from aggregator.models import (
    Award,
    Category,
    Change,
    Event,
    Kind,
    Method,
    Milestone,
    Money,
    Release,
    Sanction,
    Status,
    Tender,
)
from feeds.words.sentences import join_parts, tell_award, tell_sanction
from feeds.words.text import clip, plain
from feeds.words.wording import NBSP, RECORDS, Wording

MOST_STAGE = 80
MOST_TEXT = 400
MOST_REASON = 1000

# News of its own. Where one of these happened, the headline is about it and not about what moved beside it.
_NEWS = {
    Event.CANCELLED,
    Event.UNSUCCESSFUL,
    Event.RETENDER,
    Event.AWARD,
    Event.CONTRACT,
    Event.WITHDRAWN,
    Event.RETURNED,
    Event.NEW,
}
# Which events tell of a field; where none of them happened, DETAILS does.
_ENDINGS = {Event.CANCELLED, Event.UNSUCCESSFUL}
_TOLD_BY: Mapping[str, set[Event]] = {
    "status": {*_ENDINGS, Event.WITHDRAWN, Event.RETURNED, Event.STAGE},
    "stage": {*_ENDINGS, Event.STAGE},
    "cancellation_reason": _ENDINGS,
    "retender": {Event.RETENDER},
    "retender_reason": {Event.RETENDER},
    "awards": {Event.AWARD},
    "contracts": {Event.CONTRACT},
    "deadline": {Event.DEADLINE},
    "registration_deadline": {Event.REGISTRATION},
    "milestones": {Event.DEADLINE, Event.SCHEDULE},
    "value": {Event.VALUE},
    "budget": {Event.BUDGET},
    "locations": {Event.LOCATION},
}
_NEW_KINDS = {Kind.PLAN: "new_plan", Kind.NOTICE: "new_notice", Kind.NEWS: "new_news"}
_CODES: Mapping[str, Callable[[str], Category | Method]] = {"category": Category, "method": Method}

T = TypeVar("T")

Telling = tuple[str, str]  # headline and line; the line may be empty


@dataclass(frozen=True, slots=True)
class News:
    """``headline`` stands before the tender's name, ``lines`` are sentences of the body."""

    headline: str
    lines: tuple[str, ...]


class Move(NamedTuple):
    """One thing that moved, in words; ``old`` is empty where nothing had been told before."""

    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class _Case:
    release: Release
    tender: Tender
    wording: Wording
    missing_since: datetime | None

    def find(self, field: str) -> tuple[Any, Any]:
        """Old and new value of a field as ``Tender.as_dict`` writes them; None and None where it did not change."""
        for change in self.release.changes:
            if change.field == field:
                return change.old, change.new
        return None, None


def tell_release(release: Release, tender: Tender, wording: Wording, missing_since: datetime | None = None) -> News:
    """``tender`` is as of the release; ``missing_since`` is when it had vanished, if it is back again."""
    case = _Case(release, tender, wording, missing_since)
    lines = [line for event in _find_events(case) if (line := _TELLERS[event](case)[1])]
    return News(_tell_headline(case), tuple(lines))


def _find_events(case: _Case) -> list[Event]:
    return [event for event in Event if event in case.release.events] or [Event.DETAILS]


def _tell_headline(case: _Case) -> str:
    first, *others = _find_events(case)
    if first in _NEWS or not others:
        return _TELLERS[first](case)[0]
    return case.wording.say("many", count=f"{len(others) + 1}").replace(" ", NBSP, 1)


def tell_apart(
    release: Release, tender: Tender, wording: Wording, missing_since: datetime | None = None
) -> tuple[News, list[Move]]:
    """The same for a page that shows old and new side by side: what moved, and lines about the rest alone."""
    case = _Case(release, tender, wording, missing_since)
    told = _NEWS & set(release.events)
    lines = [line for event in Event if event in told and (line := _TELLERS[event](case)[1])]
    moves = [
        move
        for change in release.changes
        if not told & _TOLD_BY.get(change.field, set())
        for move in (_list_rows(case) if change.field == "milestones" else _list_move(case, change))
    ]
    return News(_tell_headline(case), tuple(lines)), moves


def _list_move(case: _Case, change: Change) -> Iterator[Move]:
    form = _FORMS.get(change.field)
    old, new = (
        (form(case, value) if form else _show(case.wording, change.field, value)) if value not in (None, []) else ""
        for value in (change.old, change.new)
    )
    if old != new:
        yield Move(case.wording.label(change.field), old, new or case.wording.say("none"))


def _list_rows(case: _Case) -> Iterator[Move]:
    """The rows of the schedule that moved, but for the one that closes bids: its move is that of the deadline."""
    deadline = tuple(None if time is None else datetime.fromisoformat(time) for time in case.find("deadline"))
    for old, new in _find_moved_rows(case):
        if old is None or (old.ends, new.ends) != deadline:
            yield _row_move(case.wording, old, new)


def _find_moved_rows(case: _Case) -> list[tuple[Milestone | None, Milestone]]:
    old_rows, new_rows = (rows or [] for rows in case.find("milestones"))
    old_by_title = {row["title"]: row for row in old_rows}
    pairs = ((old_by_title.get(row["title"]), row) for row in new_rows)
    # Most rows stay: only those that are written otherwise are read.
    read = [(old and Milestone.from_dict(old), Milestone.from_dict(new)) for old, new in pairs if old != new]
    return [(old, new) for old, new in read if old is None or (old.starts, old.ends) != (new.starts, new.ends)]


def _tell_new(case: _Case) -> Telling:
    return case.wording.say(_NEW_KINDS.get(case.tender.kind, "new")), ""


def _tell_cancelled(case: _Case) -> Telling:
    return case.wording.say("cancelled"), _quote_reason(case, "cancellation_reason")


def _tell_unsuccessful(case: _Case) -> Telling:
    return case.wording.say("unsuccessful"), _quote_reason(case, "cancellation_reason")


def _tell_retender(case: _Case) -> Telling:
    line = _quote_reason(case, "retender_reason")
    if case.tender.deadline:
        line += " " + case.wording.say("new_deadline", time=case.wording.short_time(case.tender.deadline))
    return case.wording.say("retendered"), line.strip()


def _quote_reason(case: _Case, field: str) -> str:
    if field in case.tender.unread:
        return ""  # not "gives no reason": nobody has looked
    reason = clip(plain(getattr(case.tender, field) or ""), MOST_REASON)
    return case.wording.say("reason", reason=reason) if reason else case.wording.say("no_reason")


def _tell_award(case: _Case) -> Telling:
    wording, awards = case.wording, case.tender.awards
    if len(awards) == 1:
        line = _tell_winner(awards[0], case)
    else:
        told = join_parts((tell_award(award, wording) for award in awards), "; ")
        line = f"{told}." if told else ""
    before = [Award.from_dict(old) for old in case.find("awards")[0] or []]
    if {award.supplier for award in before} - {award.supplier for award in awards}:
        line += " " + wording.say("award_before", awards=join_parts((tell_award(a, wording) for a in before), "; "))
    return wording.say("awarded"), line.strip()


def _tell_winner(award: Award, case: _Case) -> str:
    """Only a single winner's price compares with the HPS: several share it."""
    wording, value = case.wording, case.tender.value
    told = tell_award(award, wording)
    if not (award.amount and value and value.amount > 0 and value.currency == award.amount.currency):
        return f"{told}." if told else ""
    gap = value.amount - award.amount.amount
    if not gap:
        return wording.say("award_equal", award=told)
    difference = f"{wording.money(Money(abs(gap), value.currency))} ({wording.percent(abs(gap), value.amount)})"
    return wording.say("award_below" if gap > 0 else "award_above", award=told, difference=difference)


def _tell_contract(case: _Case) -> Telling:
    # What the small kinds call realisasi is kept as a contract, but nobody signed one.
    headline = case.wording.say("realised" if case.tender.kind in RECORDS else "contracted")
    told = join_parts((tell_award(contract, case.wording) for contract in case.tender.contracts), "; ")
    return headline, f"{told}." if told else ""


def _tell_withdrawn(case: _Case) -> Telling:
    return case.wording.say("withdrawn"), case.wording.say("withdrawn_body")


def _tell_returned(case: _Case) -> Telling:
    since = case.missing_since
    return case.wording.say("returned"), (
        case.wording.say("returned_body", date=case.wording.date(since)) if since else ""
    )


def _tell_deadline(case: _Case) -> Telling:
    return _tell_moved_time(case, "deadline", "deadline")


def _tell_registration(case: _Case) -> Telling:
    return _tell_moved_time(case, "registration_deadline", "registration")


def _tell_moved_time(case: _Case, field: str, phrase: str) -> Telling:
    wording = case.wording
    old, new = (datetime.fromisoformat(text) if text else None for text in case.find(field))
    line = _move(wording, wording.label(field), old, new, wording.short_time)
    if old and new:
        direction = "later" if new > old else "sooner"
        return wording.say(f"{phrase}_{direction}", span=wording.span(old, new)), line
    return wording.say(f"{phrase}_set" if new else f"{phrase}_gone"), line


def _tell_value(case: _Case) -> Telling:
    return _tell_price(case, "value")


def _tell_budget(case: _Case) -> Telling:
    return _tell_price(case, "budget")


def _tell_price(case: _Case, field: str) -> Telling:
    wording, label = case.wording, case.wording.say(f"short_{field}")
    old, new = (Money.from_dict(money) if money else None for money in case.find(field))
    line = _move(wording, label, old, new, wording.money)
    if not (old and new):
        return wording.say("price_set" if new else "price_gone", label=label), line
    if old.currency != new.currency:
        return wording.say("price_changed", label=label), line
    gap = new.amount - old.amount
    difference = wording.short_money(Money(abs(gap), new.currency)) + _share(wording, abs(gap), old.amount)
    return wording.say("price_up" if gap > 0 else "price_down", label=label, difference=difference), line


def _share(wording: Wording, part: Decimal, whole: Decimal) -> str:
    return f" ({wording.percent(part, whole)})" if whole > 0 else ""


def _tell_stage(case: _Case) -> Telling:
    wording = case.wording
    old, new = (clip(plain(text or ""), MOST_STAGE) for text in case.find("stage"))
    before, after = (_show_status(case, status) for status in case.find("status"))
    if new and new != old:
        is_over = case.find("status")[1] == Status.COMPLETE  # a source's name for its last stage only says it again
        headline = after if is_over else wording.say("stage_now", stage=new)
        return headline, _move(wording, wording.say("short_stage"), old, new, str)
    headline = wording.say("status_now", status=after) if after else wording.say("details")
    return headline, _move(wording, wording.label("status"), before, after, str)


def _show_status(case: _Case, status: str | None) -> str:
    tender = case.tender
    return case.wording.status(Status(status), tender.kind, tender.deadline, case.release.time) if status else ""


def _tell_schedule(case: _Case) -> Telling:
    """The first row that moved, and how many others did."""
    wording = case.wording
    moves = [_line(wording, _row_move(wording, old, new)) for old, new in _find_moved_rows(case)]
    if len(moves) > 1:
        moves[0] = f"{moves[0].removesuffix('.')}, {wording.say('and_more', count=len(moves) - 1)}."
    return wording.say("schedule"), moves[0] if moves else ""


def _row_move(wording: Wording, old: Milestone | None, new: Milestone) -> Move:
    """A row's end, or its start where the end stayed; dates, or times too where the day stayed."""
    end_moved = old is None or old.ends != new.ends
    before, after = (None if row is None else row.ends if end_moved else row.starts for row in (old, new))
    form = wording.short_time if before and after and wording.date(before) == wording.date(after) else wording.date
    told = form(after) if after else wording.say("none")
    return Move(clip(plain(new.title), MOST_STAGE), form(before) if before else "", told)


def _tell_location(case: _Case) -> Telling:
    wording = case.wording
    old, new = (clip(join_parts(places or [], "; "), MOST_TEXT) for places in case.find("locations"))
    return wording.say("location"), _move(wording, wording.label("locations"), old, new, str)


def _tell_details(case: _Case) -> Telling:
    events = set(case.release.events)
    moves = (
        _move_detail(case.wording, change)
        for change in case.release.changes
        if not events & _TOLD_BY.get(change.field, set())
    )
    return case.wording.say("details"), " ".join(moves)


def _move_detail(wording: Wording, change: Change) -> str:
    old, new = (_show(wording, change.field, value) for value in (change.old, change.new))
    return _move(wording, wording.label(change.field), old, new, str)


def _show(wording: Wording, field: str, value: Any) -> str:
    """A value as ``Tender.as_dict`` writes it, in words."""
    if isinstance(value, bool):
        return wording.say("yes" if value else "no")
    if field in _CODES and value:
        return wording.name(_CODES[field](value))
    if field in {"awards", "contracts"}:
        return join_parts((tell_award(Award.from_dict(award), wording) for award in value), "; ")
    if field == "sanctions":
        return join_parts((tell_sanction(Sanction.from_dict(each), wording) for each in value), "; ")
    if field == "published":
        return wording.date(datetime.fromisoformat(value)) if value else ""
    parts: Iterable[Any] = value if isinstance(value, list) else [value or ""]
    return clip(join_parts(str(part) for part in parts), MOST_TEXT)


def _move(wording: Wording, label: str, old: T | None, new: T | None, form: Callable[[T], str]) -> str:
    """Label: old → new. Where there was nothing before, only what there is now."""
    return _line(wording, Move(label, form(old) if old else "", form(new) if new else wording.say("none")))


def _line(wording: Wording, move: Move) -> str:
    return wording.say("moved" if move.old else "told", label=move.label, old=move.old, new=move.new)


def _form_time(case: _Case, value: str) -> str:
    return case.wording.short_time(datetime.fromisoformat(value))


def _form_money(case: _Case, value: Mapping[str, str]) -> str:
    return case.wording.money(Money.from_dict(value))


_FORMS: Mapping[str, Callable[[_Case, Any], str]] = {
    "deadline": _form_time,
    "registration_deadline": _form_time,
    "value": _form_money,
    "budget": _form_money,
    "status": _show_status,
}
_TELLERS: Mapping[Event, Callable[[_Case], Telling]] = {
    Event.CANCELLED: _tell_cancelled,
    Event.UNSUCCESSFUL: _tell_unsuccessful,
    Event.RETENDER: _tell_retender,
    Event.AWARD: _tell_award,
    Event.CONTRACT: _tell_contract,
    Event.WITHDRAWN: _tell_withdrawn,
    Event.RETURNED: _tell_returned,
    Event.NEW: _tell_new,
    Event.DEADLINE: _tell_deadline,
    Event.REGISTRATION: _tell_registration,
    Event.VALUE: _tell_value,
    Event.BUDGET: _tell_budget,
    Event.STAGE: _tell_stage,
    Event.SCHEDULE: _tell_schedule,
    Event.LOCATION: _tell_location,
    Event.DETAILS: _tell_details,
}
