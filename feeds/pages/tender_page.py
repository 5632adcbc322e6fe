"""The page of one tender: what it is, until when, how it moved and who says so, in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from itertools import takewhile
from typing import NamedTuple

from markupsafe import Markup

from aggregator.config import Portal
from aggregator.filters import Filter
from aggregator.models import Award, Contract, Kind, Milestone, Money, Record, Status, Tender
from aggregator.versions import Told
from feeds.addresses import tender_path
from feeds.definitions import OPEN, PURCHASES, Feed
from feeds.entries import MOST_TITLE, Around, find_sanctions, find_url
from feeds.pages.history import Change, Past, find_former_rows, tell_history
from feeds.pages.json_ld import describe_page
from feeds.pages.marks import Mark, find_mark
from feeds.pages.site import Site
from feeds.query import render_query
from feeds.words.attribution import find_attribution
from feeds.words.glossary import explain
from feeds.words.sentences import list_facts, tell_award, tell_tender
from feeds.words.text import clip, plain, web_address
from feeds.words.wording import RECORDS, Language, Wording

MOST_PAGE = 40_000  # bytes of HTML
_MOST_ABOUT = 300
_MOST_NAME = 300


class Room(NamedTuple):
    """How much of a tender's long parts a page has room for: changes, rows of the schedule, winners, and characters
    of one text."""

    changes: int
    rows: int
    winners: int
    text: int


_ROOMS = (Room(25, 40, 20, 600), Room(8, 15, 5, 160), Room(3, 5, 2, 60))  # the first that fits


_ask = lru_cache(2048)(render_query)  # categories and work units come again on every page, all in the other language


@dataclass(frozen=True, slots=True)
class Figure:
    """An amount in the head of the page; ``meaning`` explains its label."""

    label: str
    text: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Card:
    """What stands first beside the name; ``closes`` is a deadline that can still be met or has just passed."""

    label: str
    text: str
    closes: datetime | None
    tone: str
    note: str = ""


class Step(NamedTuple):
    """A row of the schedule: when it starts and ends, for programs and in words (empty where that is not told); of a
    plan in months.

    ``was`` is its time before it was moved, ``meanings`` explain terms in its title.
    """

    title: str
    starts: str
    starts_text: str
    ends: str
    ends_text: str
    was: str
    meanings: Sequence[tuple[str, str]]


class Fact(NamedTuple):
    label: str
    text: str
    meanings: Sequence[tuple[str, str]]


class Bar(NamedTuple):
    """``share`` is per cent of the longest bar."""

    label: str
    text: str
    share: str
    is_price: bool


@dataclass(frozen=True, slots=True)
class Result:
    """Winners and contracts: lines, and how one price compares with what was planned."""

    heading: str
    lines: Sequence[tuple[str, str]]
    more: int
    bars: Sequence[Bar]
    compared: str


class SourceLine(NamedTuple):
    portal: str
    url: str
    about: str
    time: datetime
    time_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenderPage:
    """All that the template shows; texts are plain, times in the zone of the portal that announces. ``stopped`` is
    when what goes no further was found so, ``ask`` says whom to ask, in front of the portal's name."""

    tender: Tender
    title: str
    about: str
    marks: Sequence[Mark]
    unit: str
    unit_query: str
    figures: Sequence[Figure]
    opening: str
    missing: str
    cautions: Sequence[str]
    reasons: Sequence[tuple[str, str]]
    card: Card
    official: SourceLine
    others: Sequence[SourceLine]
    credits: Sequence[Markup]
    crumbs: Sequence[tuple[str, str]]
    follow: str
    result: Result | None
    steps: Sequence[Step]
    steps_note: str
    more_steps: int
    stopped: str
    facts: Sequence[Fact]
    changes: Sequence[Change]
    more_changes: int
    first_seen: str
    ask: str
    is_active: bool
    is_open: bool


def is_open(tender: Tender, now: datetime) -> bool:
    """Whether it can still be bid for, or registered for, by a day that is told."""
    closes = tender.deadline or tender.registration_deadline
    return tender.status is Status.ACTIVE and closes is not None and closes > now


def render_tender_page(
    site: Site, told: Told, around: Around, now: datetime, discover: Sequence[Feed], calendar: str | None
) -> bytes:
    """The page, at most MOST_PAGE bytes: of long schedules and histories the end is left out and counted.

    ``now`` tells only whether the deadline has passed. ``calendar`` is the path of the tender's calendar from the top
    of the tree, None where there is none.
    """
    path = tender_path(*told.record.tender.identity)
    for room in _ROOMS:
        page = tell_page(site, told, around, now, room)
        graph = describe_page(site, page.tender, page.title, page.about, page.official.url, path, page.crumbs)
        values = {"page": page, "tender": page.tender, "graph": graph, "calendar": calendar, "discover": discover}
        body = site.render("tender.html", path, **values)
        if len(body) <= MOST_PAGE:
            break
    return body


def tell_page(site: Site, told: Told, around: Around, now: datetime, room: Room) -> TenderPage:
    """The page in words."""
    record, tender = told.record, told.record.tender
    portal = around.portals[record.official_portal]
    language = site.config.publisher.language
    wording = Wording(language, portal.zone)
    wordings = {each.id: Wording(language, each.zone) for each in around.portals.values()}
    names = {source.portal: plain(around.portals[source.portal].name) for source in record.sources}
    meanings = _Meanings(language)
    figures = list(_tell_figures(tender, wording, meanings))
    card = _tell_card(tender, told.history, wording, now)
    unit = clip(plain(tender.procuring_entity or tender.buyer or ""), _MOST_NAME)
    head = {
        (wording.label("procuring_entity" if tender.procuring_entity else "buyer"), unit),
        (card.label, card.text),
        *((figure.label, figure.text) for figure in figures),
    }
    rows = () if tender.kind is Kind.NEWS else tender.milestones
    dated = len({time.astimezone(portal.zone).year for row in rows for time in (row.starts, row.ends) if time}) > 1
    is_plan = tender.kind is Kind.PLAN
    tell = wording.months if is_plan else partial(wording.period, dated=dated)
    steps = list(_tell_steps(rows[: room.rows], told.history, wording, meanings, tell, in_months=is_plan))
    return TenderPage(
        tender=tender,
        title=clip(plain(tender.title) or tender.key, MOST_TITLE),
        about=_tell_about(tender, wording),
        marks=list(_tell_marks(tender, wording, now)),
        unit=unit,
        unit_query=_ask_for_unit(tender),
        figures=figures,
        opening=_tell_opening(tender, wording),
        missing=_tell_missing(tender, wording),
        cautions=find_sanctions(record, around.blacklist, wording)[0],
        reasons=list(_tell_reasons(tender, wording)),
        card=card,
        official=_official(record, portal, wording),
        others=list(_other_sources(record, around.portals, wording)),
        credits=list(_credits(record, portal, around.portals)),
        crumbs=list(_crumbs(tender, wording)),
        follow=_ask(Filter(portal=(tender.portal,), kind=(tender.kind,), key=(tender.key,))),
        result=_tell_result(tender, wording, room),
        steps=steps,
        steps_note="" if is_plan else _note_steps(rows, wording, dated),
        more_steps=len(rows[room.rows :]),
        stopped=_find_stop(record, told.history, portal),
        facts=list(_tell_facts(tender, head, wording, meanings, room.text)),
        changes=tell_history(told.history, wordings, names if len(names) > 1 else {}, room.changes, room.text),
        more_changes=len(told.history[room.changes :]),
        first_seen=wording.short_time(record.first_seen),
        ask=wording.say(_find_question(tender)),
        is_active=tender.status in {Status.ACTIVE, Status.PLANNED, None} and tender.kind is not Kind.NEWS,
        is_open=is_open(tender, now) and not tender.awards,
    )


_COMING = {Status.ACTIVE, Status.PLANNED}
_OFF = {Status.CANCELLED, Status.UNSUCCESSFUL, Status.WITHDRAWN}


class _Meanings:
    """Explains each term once, where it first stands on the page."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._told: set[str] = set()

    def find(self, *texts: str) -> Sequence[tuple[str, str]]:
        """Terms, and sentences about them."""
        found = _explain(texts, self._language)
        if not found:
            return found
        new = [(term, sentence) for term, sentence in found if sentence not in self._told]
        self._told.update(sentence for _, sentence in new)
        alone = texts[-1].casefold()  # a text that is the term itself need not say it again
        return [("" if term.casefold() == alone else term, sentence) for term, sentence in new]


@lru_cache(4096)  # labels, methods and stages come again on every page
def _explain(texts: tuple[str, ...], language: Language) -> tuple[tuple[str, str], ...]:
    return tuple(explain(texts, language))


def _tell_marks(tender: Tender, wording: Wording, now: datetime) -> Iterator[Mark]:
    if tender.status and tender.kind is not Kind.NEWS:
        closes = tender.deadline or tender.registration_deadline
        yield find_mark(tender.status, tender.kind, closes, now, wording)
    yield Mark(wording.name(tender.kind), "page")
    if tender.retender:
        yield Mark(wording.label("retender"), "again")


def _tell_figures(tender: Tender, wording: Wording, meanings: _Meanings) -> Iterator[Figure]:
    """HPS and pagu; of what must have an HPS it is told where none is announced."""
    for field, money in (("value", tender.value), ("budget", tender.budget)):
        expected = field == "value" and tender.kind in {Kind.TENDER, Kind.NON_TENDER} and field not in tender.unread
        if money or (expected and tender.status in {Status.ACTIVE, Status.PLANNED}):
            label = _label(tender, field, wording)
            meaning = " ".join(sentence for _, sentence in meanings.find(label))
            yield Figure(label, wording.money(money) if money else wording.say("none"), meaning)


def _label(tender: Tender, field: str, wording: Wording) -> str:
    """What is recorded after it was bought has a value, but no HPS."""
    is_recorded = field == "value" and tender.kind in RECORDS
    return wording.say("worth") if is_recorded else wording.label(field)


def _tell_about(tender: Tender, wording: Wording) -> str:
    """{unit}, HPS {value}. Ditutup {date}: for what is not open, the sentence that feeds have."""
    closes = tender.deadline or tender.registration_deadline
    if tender.status is not Status.ACTIVE or tender.kind not in PURCHASES or closes is None:
        return clip(tell_tender(tender, wording), _MOST_ABOUT)
    money = tender.value or tender.budget
    phrase = "value" if tender.value else "budget"
    worth = wording.say(phrase, money=wording.short_money(money)) if money else wording.say("no_value")
    unit = clip(plain(tender.procuring_entity or tender.buyer or ""), _MOST_ABOUT - 100)
    parts = ", ".join(filter(None, (unit, worth)))
    return f"{parts}. {wording.say('closes_on', time=wording.long_time(closes))}"


def _ask_for_unit(tender: Tender) -> str:
    """The search for all of the work unit's packages; empty where no search can name it."""
    name = " ".join((tender.procuring_entity or "").split())
    fits = name.isprintable() and 0 < len(name) <= 200
    return _ask(Filter(procuring_entity=(name,))) if fits else ""


def _tell_opening(tender: Tender, wording: Wording) -> str:
    if tender.kind is Kind.NEWS:
        return clip(plain(tender.description or ""), 4000)
    return tell_tender(tender, wording) if tender.kind in {Kind.PLAN, Kind.NOTICE} else ""


_TOLD_MISSING = ("value", "budget", "deadline", "milestones", "locations", "awards", "contracts")


def _tell_missing(tender: Tender, wording: Wording) -> str:
    """Labels of what has not been read yet; empty for a tender that was read whole."""
    if not tender.incomplete:
        return ""
    return ", ".join(wording.label(field) for field in _TOLD_MISSING if field in tender.unread) or wording.say("some")


def _tell_reasons(tender: Tender, wording: Wording) -> Iterator[tuple[str, str]]:
    """What became of it, and why in the portal's own words."""
    if tender.status in {Status.CANCELLED, Status.UNSUCCESSFUL}:
        yield wording.name(tender.status), _quote(tender, "cancellation_reason", wording)
    if tender.status is Status.WITHDRAWN:
        yield wording.say("withdrawn"), wording.say("withdrawn_body")
    if tender.retender:
        yield wording.say("retendered"), _quote(tender, "retender_reason", wording)


def _quote(tender: Tender, field: str, wording: Wording) -> str:
    if field in tender.unread:
        return ""
    reason = clip(plain(getattr(tender, field) or ""), 1000).rstrip(".")
    return wording.say("reason", reason=reason) if reason else wording.say("no_reason")


def _tell_card(tender: Tender, past: Past, wording: Wording, now: datetime) -> Card:
    """The one day that matters now."""
    closes = tender.deadline or tender.registration_deadline
    if tender.kind in {Kind.NEWS, Kind.NOTICE}:
        return Card(wording.label("published"), wording.date(tender.published) if tender.published else "", None, "")
    if tender.kind is Kind.PLAN:
        first = min((row for row in tender.milestones if row.starts), key=_starts, default=None)
        told = wording.month(first.starts) if first and first.starts else wording.say("no_dates").capitalize()
        return Card(clip(plain(first.title), 80) if first else wording.label("milestones"), told, None, "")
    if tender.status is Status.ACTIVE and closes:
        label = wording.label("deadline" if tender.deadline else "registration_deadline")
        closes = closes.astimezone(wording.zone)
        return Card(label, wording.long_time(closes), closes, "open" if closes > now else "")
    if tender.status in _COMING and tender.kind in RECORDS:
        told = wording.date(tender.published) if tender.published else wording.say("none").capitalize()
        return Card(wording.label("recorded_published"), told, None, "")
    if tender.status in _COMING:
        # Of what is planned the portal says itself that there is no schedule: nothing was left unread.
        is_unread = tender.status is Status.ACTIVE and "deadline" in tender.unread
        told = wording.say("unread") if is_unread else wording.say("no_dates").capitalize()
        return Card(wording.label("deadline"), told, None, "open" if tender.status is Status.ACTIVE else "")
    signed = next((contract.date for contract in tender.contracts if contract.date), None)
    if tender.status is Status.COMPLETE and signed:
        return Card(
            wording.say("realised" if tender.kind in RECORDS else "contracted"), wording.date(signed), None, "done"
        )
    name = wording.name(tender.status) if tender.status else wording.name(tender.kind)
    since = _find_since(tender, past)
    tone = "done" if tender.status is Status.COMPLETE else ""
    return Card(name, wording.say("found_on", date=wording.date(since)) if since else "", None, tone)


def _starts(row: Milestone) -> float:
    return row.starts.timestamp() if row.starts else 0.0


def _find_since(tender: Tender, past: Past) -> datetime | None:
    """When a reading first found it as it now stands."""
    own = ((release, then) for release, then in past if then.identity == tender.identity)
    since = [release.time for release, _ in takewhile(lambda each: each[1].status is tender.status, own)]
    return since[-1] if since else None


def _find_stop(record: Record, past: Past, portal: Portal) -> str:
    """When what was called off, or is no longer on its portal, was found so; empty for all else."""
    if record.tender.status not in _OFF:
        return ""
    return (_find_since(record.tender, past) or record.changed).astimezone(portal.zone).isoformat(timespec="seconds")


_QUESTIONS = {Kind.PLAN: "ask_plan", Kind.NOTICE: "ask_notice", Kind.NEWS: "ask_news"}


def _find_question(tender: Tender) -> str:
    can_ask = tender.kind in OPEN.kind and tender.status in {*_COMING, None} and not tender.awards
    return "ask_bidding" if can_ask else _QUESTIONS.get(tender.kind, "ask_purchase")


def _official(record: Record, portal: Portal, wording: Wording) -> SourceLine:
    about = f"{wording.name(record.tender.kind)} {record.tender.key}"
    if record.sources:
        about = f"{wording.name(record.sources[0].kind)} {record.sources[0].key}"
    told = wording.short_time(record.changed)
    return SourceLine(plain(portal.name), find_url(record.tender, portal), about, record.changed, told)


def _other_sources(record: Record, portals: Mapping[str, Portal], wording: Wording) -> Iterator[SourceLine]:
    for source in record.sources[1:]:
        portal = portals[source.portal]
        about, told = f"{wording.name(source.kind)} {source.key}", wording.short_time(source.changed)
        yield SourceLine(plain(portal.name), web_address(source.url) or portal.url, about, source.changed, told)


def _credits(record: Record, portal: Portal, portals: Mapping[str, Portal]) -> Iterator[Markup]:
    """What the licences of all sources ask to be told."""
    told = [(portals[each.portal], each.kind, each.changed) for each in record.sources]
    asked = (
        find_attribution(source, (kind,), read)
        for source, kind, read in told or [(portal, record.tender.kind, record.changed)]
    )
    return (Markup(markup) for markup in dict.fromkeys(each.markup for each in asked if each))  # noqa: S704 # nosec B704 # escaped by Attribution


def _crumbs(tender: Tender, wording: Wording) -> Iterator[tuple[str, str]]:
    """Searches that the tender is in, from wide to narrow: label and query."""
    kinds = OPEN.kind if tender.kind in OPEN.kind else (tender.kind,)
    status = OPEN.status if tender.status is Status.ACTIVE else ()
    if tender.kind not in OPEN.kind:
        yield wording.name(tender.kind), _ask(Filter(kind=kinds, status=status))
    if tender.category:
        wanted = Filter(kind=kinds, category=(tender.category,), status=status)
        yield wording.name(tender.category), _ask(wanted)


def _tell_result(tender: Tender, wording: Wording, room: Room) -> Result | None:
    """Winners, contracts, and bars from zero: only one price compares with the HPS, several share it."""
    told: list[tuple[str, Award]] = [(wording.say("winner"), award) for award in tender.awards]
    # What the small kinds call realisasi is kept as a contract, but nobody signed one.
    signed = "realisation" if tender.kind in RECORDS else "contract"
    told += [(wording.say(signed), contract) for contract in tender.contracts]
    if not told or tender.kind in {Kind.NEWS, Kind.NOTICE}:
        return None
    price = _find_price(tender)
    name = wording.say(signed if tender.contracts else "price")
    bars, compared = (_draw_bars(tender, price, name, wording), _compare(tender, price, wording)) if price else ((), "")
    heading = wording.say(signed if not tender.awards else "result" if tender.contracts else "winner")
    lines = [
        ("" if label == heading else label, text)
        for label, award in told[: room.winners]
        if (text := tell_award(award, wording))
    ]
    return Result(heading, lines, len(told[room.winners :]), bars, compared)


def _find_price(tender: Tender) -> Award | None:
    for prices in (tender.contracts, tender.awards):
        if prices:
            return prices[0] if len(prices) == 1 and prices[0].amount else None
    return None


def _draw_bars(tender: Tender, price: Award, name: str, wording: Wording) -> Sequence[Bar]:
    amounts = [
        (wording.say("short_budget"), tender.budget),
        (wording.say("short_value"), None if tender.kind in RECORDS else tender.value),
        (name, price.amount),
    ]
    known = [(label, money) for label, money in amounts if money and money.amount > 0]
    if len(known) < 2 or price.amount is None or len({money.currency for _, money in known}) > 1:
        return ()
    longest = max(money.amount for _, money in known)
    return [
        Bar(label, wording.money(money), f"{100 * money.amount / longest:.1f}", money is price.amount)
        for label, money in known
    ]


def _compare(tender: Tender, price: Award, wording: Wording) -> str:
    """Rp366.900.000,00 (9,1%) di bawah HPS. Dari pengumuman sampai kontrak: 47 hari."""
    said = []
    value, amount = tender.value, price.amount
    has_estimate = value is not None and value.amount > 0 and tender.kind not in RECORDS
    if amount and value and has_estimate and value.currency == amount.currency:
        gap = abs(value.amount - amount.amount)
        difference = f"{wording.money(Money(gap, value.currency))} ({wording.percent(gap, value.amount)})"
        way = "equal" if not gap else "below" if amount.amount < value.amount else "above"
        said.append(wording.say(f"price_{way}", difference=difference))
    if isinstance(price, Contract) and price.date and tender.published and tender.published < price.date:
        took = "took_to_realisation" if tender.kind in RECORDS else "took"
        said.append(wording.say(took, span=wording.span(tender.published, price.date)))
    return " ".join(said)


def _tell_steps(
    rows: Sequence[Milestone],
    past: Past,
    wording: Wording,
    meanings: _Meanings,
    tell: Callable[[datetime | None, datetime | None], tuple[str, str]],
    *,
    in_months: bool,
) -> Iterator[Step]:
    """``tell`` words the start and the end of a row. A month is told as such to programs too: it is not over before
    its last day is."""
    former = find_former_rows(rows, past)
    for row in rows:
        title = clip(plain(row.title), 150)
        times = [time and time.astimezone(wording.zone) for time in (row.starts, row.ends)]
        starts, ends = tell(*times)
        old = former.get(row.title)
        was = ""
        if old:  # only the end, where the start stayed
            was = " – ".join(filter(None, tell(None if old.starts == row.starts else old.starts, old.ends)))
        first, last = (time.isoformat()[: 7 if in_months else None] if time else "" for time in times)
        yield Step(title, first, starts, last, ends, was, meanings.find(title))


def _note_steps(rows: Sequence[Milestone], wording: Wording, dated: bool) -> str:
    """Waktu dalam WIB, tahun 2026."""
    time = next((time for row in rows for time in (row.starts, row.ends) if time), None)
    if time is None:
        return ""
    clock = wording.clock_name(time)
    return wording.say("clock" if dated else "clock_year", clock=clock, year=time.astimezone(wording.zone).year)


_ELSEWHERE = ("awards", "contracts", "milestones", "retender_reason", "cancellation_reason")


def _tell_facts(
    tender: Tender, head: Collection[tuple[str, str]], wording: Wording, meanings: _Meanings, length: int
) -> Iterator[Fact]:
    """All that is known but what the page tells elsewhere; ``head`` are labels and texts that stand above."""
    if tender.kind is Kind.NEWS:
        return
    elsewhere = {wording.label(field) for field in _ELSEWHERE}
    renamed = {wording.label("value"): _label(tender, "value", wording)}
    listed = [(renamed.get(label, label), text) for label, text in list_facts(tender, wording)]
    facts = [fact for fact in listed if fact not in head and fact[0] not in elsewhere]
    if tender.status not in {*_COMING, None} and tender.participants is not None:
        facts.append((wording.label("participants"), str(tender.participants)))
    worded = {wording.label(field) for field in ("kind", "category", "method", "stage")}
    for label, text in facts:
        meant = (label, text) if label in worded else (label,)
        yield Fact(label, clip(text, length), meanings.find(*meant))
