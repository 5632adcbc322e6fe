"""What is said of a tender: one sentence that holds value, work unit and deadline, and the facts below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aggregator.models import Award, Kind, Status, Tender
from feeds.text import clip, plain
from feeds.wording import Wording

MOST_NAME = 90  # characters of a unit or place in a sentence, so that the deadline stays within 30 words
MOST_WORDS = 12
MOST_FACT = 1000
MOST_PARTS = 20  # places, plans or winners that are written out

_RECORDS = {Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY}
_WITHOUT_DATES = {None, Status.PLANNED, Status.ACTIVE}


def tell_tender(tender: Tender, wording: Wording) -> str:
    """The tender in one or two sentences: value, unit and deadline first, then what it is and where.

    A field that no reading has looked at is passed over: nothing is said to be unannounced unless it is.
    """
    if tender.kind is Kind.NEWS:
        return clip(plain(tender.description or ""), 300) or wording.name(tender.kind)
    if tender.kind is Kind.PLAN:
        first = _tell_plan(tender, wording)
    else:
        close = _tell_recording if tender.kind in _RECORDS else _tell_deadline
        first = ", ".join(filter(None, (_tell_value(tender, wording), _tell_unit(tender), close(tender, wording))))
    second = ", ".join(_tell_sort(tender, wording))
    sentences = [sentence for sentence in (first, second) if sentence] or [wording.name(tender.kind)]
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def _tell_value(tender: Tender, wording: Wording) -> str:
    money = tender.value or tender.budget
    if money is None:
        return "" if {"value", "budget"} & tender.unread else wording.say("no_value")
    phrase = "amount" if tender.kind in _RECORDS else "value" if tender.value else "budget"
    return wording.say(phrase, money=wording.short_money(money))


def _tell_unit(tender: Tender) -> str:
    return short_name(tender.procuring_entity or tender.buyer or "")


def _tell_deadline(tender: Tender, wording: Wording) -> str:
    if tender.deadline:
        return wording.say("bids_close", time=wording.long_time(tender.deadline))
    if tender.registration_deadline:
        return wording.say("registration_closes", time=wording.long_time(tender.registration_deadline))
    is_silent = "deadline" in tender.unread or tender.status not in _WITHOUT_DATES
    return "" if is_silent else wording.say("no_dates")


def _tell_recording(tender: Tender, wording: Wording) -> str:
    return wording.say("recorded_on", date=wording.date(tender.published)) if tender.published else ""


def _tell_plan(tender: Tender, wording: Wording) -> str:
    years = "–".join(str(year) for year in sorted({*tender.fiscal_years[:1], *tender.fiscal_years[-1:]}))
    money = tender.budget or tender.value
    worth = wording.say("plan_budget", money=wording.short_money(money)) if money else wording.say("plan_no_value")
    starts = [milestone.starts for milestone in tender.milestones if milestone.starts]
    selection = wording.say("plan_from", month=wording.month(min(starts))) if starts else ""
    rest = ", ".join(filter(None, (worth, _tell_unit(tender), selection)))
    return f"{wording.say('plan', year=years).strip()}: {rest}"


def _tell_sort(tender: Tender, wording: Wording) -> Iterator[str]:
    if category := name_category(tender, wording):
        yield category
    if method := plain(tender.method_detail or "") or (wording.name(tender.method) if tender.method else ""):
        yield clip(method, MOST_NAME)
    places = [short_name(place) for place in tender.locations]
    yield from filter(None, places[:2])
    if len(places) > 2:
        yield wording.say("and_more", count=len(places) - 2)
    if tender.retender:
        yield wording.label("retender").lower()
    if tender.status and tender.status is not Status.ACTIVE:
        yield wording.name(tender.status).lower()


def short_name(text: str) -> str:
    """A name in a sentence: cut where it is so long that it would push the deadline out of sight."""
    words = plain(text).split()
    return clip(" ".join(words[:MOST_WORDS]) + ("…" if len(words) > MOST_WORDS else ""), MOST_NAME)


def name_category(tender: Tender, wording: Wording) -> str:
    """The source's own words in Indonesian; in English the category's name, where it is known."""
    detail = clip(plain(tender.category_detail or ""), MOST_NAME)
    known = wording.name(tender.category) if tender.category else ""
    return (detail or known) if wording.language == "id" else (known or detail)


def list_facts(tender: Tender, wording: Wording) -> list[tuple[str, str]]:
    """Label and value of all that is known of the tender, as plain text.

    Participants, documents and addresses are left out: their moves are no change, so they must not show.
    """
    registration = tender.registration_deadline
    method = wording.name(tender.method) if tender.method else None
    texts: dict[str, str | None] = {
        "key": tender.key,
        "kind": wording.name(tender.kind),
        "buyer": tender.buyer,
        "procuring_entity": tender.procuring_entity,
        "category": name_category(tender, wording),
        "method": join_parts([part for part in (method, tender.method_detail) if part]),
        "stage": tender.stage,
        "budget": wording.money(tender.budget) if tender.budget else None,
        "value": wording.money(tender.value) if tender.value else None,
        "fiscal_years": join_parts(str(year) for year in tender.fiscal_years),
        "published": wording.date(tender.published) if tender.published else None,
        "registration_deadline": wording.long_time(registration) if registration else None,
        "deadline": wording.long_time(tender.deadline) if tender.deadline else None,
        "locations": join_parts(tender.locations, "; "),
        "plans": join_parts(tender.plans),
        "awards": join_parts((tell_award(award, wording) for award in tender.awards), "; "),
        "contracts": join_parts((tell_award(contract, wording) for contract in tender.contracts), "; "),
        "retender_reason": tender.retender_reason,
        "cancellation_reason": tender.cancellation_reason,
        "description": tender.description,
    }
    shown = ((wording.label(field), clip(plain(text or ""), MOST_FACT)) for field, text in texts.items())
    return [(label, text) for label, text in shown if text]


def tell_award(award: Award, wording: Wording) -> str:
    """CV Contoh, Rp3.664.900.000,00, 14 Sep 2026: supplier, amount and date, each where it is known."""
    amount = wording.money(award.amount) if award.amount else ""
    date = wording.date(award.date) if award.date else ""
    return ", ".join(filter(None, (clip(plain(award.supplier or ""), 200), amount, date)))


def join_parts(parts: Iterable[str], mark: str = ", ") -> str:
    """The first parts in one text; … stands for the others."""
    written = [text for part in parts if (text := plain(part))]
    return mark.join([*written[:MOST_PARTS], *(["…"] if len(written) > MOST_PARTS else [])])
