"""What is said of a tender: one sentence that holds value, work unit and deadline, and the facts below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from aggregator.models import Award, Kind, Milestone, Sanction, Status, Tender
from feeds.words.text import clip, plain
from feeds.words.wording import RECORDS, Wording

MOST_NAME = 90  # characters of a unit or place in a sentence, so that the deadline stays within 30 words
MOST_WORDS = 12
MOST_FACT = 1000
MOST_PARTS = 20  # places, plans or winners that are written out
MOST_NEWS = 300  # characters of the text of news

_SELECTION = "pemilihan"  # in the title of a plan's milestone: SiRUP's «Jadwal Pemilihan Penyedia»
_PLANNED = (Kind.PLAN, Status.PLANNED)
_WITHOUT_DATES = {None, Status.PLANNED, Status.ACTIVE}


# What a field is called where a tender's own word for it would mislead.
_LABELS = {
    (Kind.PLAN, "key"): "plan_key",
    (Kind.PLAN, "published"): "plan_published",
    **{(kind, "published"): "recorded_published" for kind in RECORDS},
    (Kind.NOTICE, "key"): "notice_key",
    (Kind.NOTICE, "stage"): "notice_stage",
}


def tell_tender(tender: Tender, wording: Wording) -> str:
    """The tender in one or two sentences: value, unit and deadline first, then what it is and where.

    A field that no reading has looked at is passed over: nothing is said to be unannounced unless it is.
    """
    if tender.kind is Kind.NEWS:
        return clip(plain(tender.description or ""), MOST_NEWS) or wording.name(tender.kind)
    if tender.kind is Kind.PLAN:
        first = _tell_plan(tender, wording)
    elif tender.sanctions:
        first = _tell_sanctions(tender, wording)
    else:
        close = _tell_recording if tender.kind in RECORDS else _tell_deadline
        first = ", ".join(filter(None, (_tell_value(tender, wording), _tell_unit(tender), close(tender, wording))))
    second = ", ".join(_tell_sort(tender, wording))
    sentences = [sentence for sentence in (first, second) if sentence] or [wording.name(tender.kind)]
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def tell_row(tender: Tender, wording: Wording) -> str:
    """What stands in a row beside title and deadline: value and unit, and where there is no deadline what there is
    instead: when a plan begins, when a record was made, of news the day."""
    if tender.sanctions:
        return _tell_sanctions(tender, wording)
    value = _tell_value(tender, wording) if tender.value or tender.budget else ""
    return " · ".join(filter(None, (value, _tell_unit(tender), _tell_instead(tender, wording))))


def _tell_instead(tender: Tender, wording: Wording) -> str:
    if tender.deadline or tender.registration_deadline:
        return ""
    if tender.kind is Kind.PLAN:
        return _tell_start(tender.milestones, wording)
    if tender.kind is Kind.NEWS:
        return wording.date(tender.published) if tender.published else ""
    return (_tell_recording if tender.kind in RECORDS else _tell_deadline)(tender, wording)


def _tell_sanctions(tender: Tender, wording: Wording) -> str:
    """The first sanction's decision and days, who decided, and what for."""
    reason = clip(plain(tender.sanctions[0].reason or ""), MOST_NAME)
    return ", ".join(filter(None, (*tell_terms(tender.sanctions[0], wording), _tell_unit(tender), reason)))


def _tell_value(tender: Tender, wording: Wording) -> str:
    money = tender.value or tender.budget
    if money is None:  # of many a notice nobody expects a value
        is_silent = tender.kind is Kind.NOTICE or {"value", "budget"} & tender.unread
        return "" if is_silent else wording.say("no_value")
    phrase = "amount" if tender.kind in RECORDS else "value" if tender.value else "budget"
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
    rest = ", ".join(filter(None, (worth, _tell_unit(tender), _tell_start(tender.milestones, wording))))
    return f"{wording.say('plan', year=years).strip()}: {rest}"


def _tell_start(milestones: Iterable[Milestone], wording: Wording) -> str:
    """When a plan's provider is chosen; where that is not told (swakelola), when the work begins."""
    dated = [(_SELECTION not in each.title.casefold(), each.starts) for each in milestones if each.starts]
    if not dated:
        return ""
    is_work, starts = min(dated)
    return wording.say("plan_work" if is_work else "plan_from", month=wording.month(starts))


def _tell_sort(tender: Tender, wording: Wording) -> Iterator[str]:
    if category := name_category(tender, wording):
        yield category
    if method := plain(tender.method_detail or "") or (wording.name(tender.method) if tender.method else ""):
        yield clip(method, MOST_NAME)
    if tender.kind is Kind.NOTICE and not tender.sanctions:
        yield from filter(None, [short_name(tender.stage or "")])
    places = [short_name(place) for place in tender.locations]
    yield from filter(None, places[:2])
    if len(places) > 2:
        yield wording.say("and_more", count=len(places) - 2)
    if tender.retender:
        yield wording.label("retender").lower()
    # That a plan is planned goes without saying.
    if tender.status and tender.status is not Status.ACTIVE and (tender.kind, tender.status) != _PLANNED:
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
        "plans": join_parts(plan for plan in tender.plans if plan != tender.key),  # a plan may name itself
        "milestones": _tell_months(tender.milestones, wording) if tender.kind is Kind.PLAN else None,
        "awards": join_parts((tell_award(award, wording) for award in tender.awards), "; "),
        "contracts": join_parts((tell_award(contract, wording) for contract in tender.contracts), "; "),
        "sanctions": join_parts((tell_sanction(sanction, wording) for sanction in tender.sanctions), "; "),
        "retender_reason": tender.retender_reason,
        "cancellation_reason": tender.cancellation_reason,
        "description": tender.description,
    }
    shown = (
        (wording.label(_LABELS.get((tender.kind, field), field)), clip(plain(text), MOST_FACT))
        for field, text in texts.items()
        if text
    )
    return [(label, text) for label, text in shown if text]


def _tell_months(milestones: Iterable[Milestone], wording: Wording) -> str:
    """A plan's schedule, which is told in months: Pemilihan Penyedia: Januari 2027–Februari 2027."""
    rows = []
    for each in milestones:
        months = dict.fromkeys(wording.month(time) for time in (each.starts, each.ends) if time)
        rows.append(f"{each.title.removeprefix('Jadwal ')}: {'–'.join(months)}")
    return join_parts(rows, "; ")


def tell_terms(sanction: Sanction, wording: Wording) -> Iterator[str]:
    """SK 12/2026, berlaku 3 Des 2026 s.d. 3 Des 2027: the decision and its days, as far as they are known."""
    if decree := clip(plain(sanction.decree or ""), 200):
        # Some sources write the word into the number.
        yield decree if decree.casefold().startswith("sk") else wording.say("decree", number=decree)
    starts = _tell_day(sanction.starts, wording) if sanction.starts else ""
    # ``ends`` is the first moment without the sanction, or the last of its last day.
    ends = _tell_day(sanction.ends - timedelta(microseconds=1), wording) if sanction.ends else ""
    if starts and ends:
        yield wording.say("in_force", starts=starts, ends=ends)
    elif starts or ends:
        yield wording.say("in_force_from", date=starts) if starts else wording.say("in_force_to", date=ends)


def _tell_day(time: datetime, wording: Wording) -> str:
    """The day as the list itself tells it, in whatever zone the reader's portal lies."""
    return wording.date(datetime(time.year, time.month, time.day, 12, tzinfo=wording.zone))


def tell_sanction(sanction: Sanction, wording: Wording) -> str:
    """PT Contoh, SK 12/2026, berlaku 3 Des 2026 s.d. 3 Des 2027, Mengundurkan diri."""
    reason = clip(plain(sanction.reason or ""), 200)
    supplier = clip(plain(sanction.supplier), 200)
    return ", ".join(filter(None, (supplier, *tell_terms(sanction, wording), reason)))


def tell_award(award: Award, wording: Wording) -> str:
    """CV Contoh, Rp3.664.900.000,00, 14 Sep 2026: supplier, amount and date, each where it is known."""
    amount = wording.money(award.amount) if award.amount else ""
    date = wording.date(award.date) if award.date else ""
    return ", ".join(filter(None, (clip(plain(award.supplier or ""), 200), amount, date)))


def join_parts(parts: Iterable[str], mark: str = ", ") -> str:
    """The first parts in one text; … stands for the others."""
    written = [text for part in parts if (text := plain(part))]
    return mark.join([*written[:MOST_PARTS], *(["…"] if len(written) > MOST_PARTS else [])])
