"""This week: what has yet to close in seven days from today on, and what the seven days up to today brought. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from aggregator.config import Portal
from aggregator.filters import Filter, Moment, Sort
from aggregator.models import Event, Record, Release
from feeds.addresses import tender_path
from feeds.definitions import OPEN, PURCHASES, Feed
from feeds.entries import MOST_TITLE
from feeds.pages.listing import MOST_NAME, Identity, make_row
from feeds.pages.site import Site
from feeds.query import render_query
from feeds.words.headlines import tell_release
from feeds.words.text import clip, plain
from feeds.words.wording import Language, Wording

PATH = "pekan-ini.html"
DAYS = 7
MOST_SHOWN = 10  # of each sort; the whole is a click away
MOST_RELEASES = 1000  # looked through for each sort of news
MOST_TOLD = 240

WINNERS = frozenset({Event.AWARD, Event.CONTRACT})
CALLED_OFF = frozenset({Event.CANCELLED, Event.UNSUCCESSFUL, Event.RETENDER})

_DISCOVERED = ("tenggat", "semua", "pemenang", "batal-ulang")  # what the page is made of, as feeds
_DAY = timedelta(days=1)

Found = tuple[Release, Record]


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days in ``zone`` around ``today``, so that a page and its links say the same the whole day long."""

    today: date
    zone: ZoneInfo

    @property
    def first(self) -> date:
        """The first of the days whose news is told."""
        return self.today - (DAYS - 1) * _DAY

    @property
    def last(self) -> date:
        """The last of the days whose deadlines are told."""
        return self.today + (DAYS - 1) * _DAY

    @property
    def start(self) -> datetime:
        """Midnight before ``first``."""
        return datetime.combine(self.first, time.min, self.zone)

    @property
    def days(self) -> list[date]:
        """The days whose deadlines are told."""
        return [self.today + number * _DAY for number in range(DAYS)]

    @property
    def closing(self) -> Filter:
        """Open packages that close in these days from now on, soonest first."""
        return self.closing_between(self.today, self.last)

    def closing_between(self, first: date, last: date) -> Filter:
        """Those that close from one of these days on up to another; what closed earlier today is over."""
        start = Moment("+0d" if first == self.today else first.isoformat())
        return replace(OPEN, deadline_from=start, deadline_to=Moment(last.isoformat()), sort=Sort.DEADLINE)

    @property
    def new(self) -> Filter:
        """Packages, open or under way, that were published in the days whose news is told."""
        return replace(OPEN, published_from=Moment(self.first.isoformat()))

    @property
    def changed(self) -> Filter:
        """Every purchase that may have news."""
        return Filter(kind=PURCHASES, changed_since=Moment(self.first.isoformat()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What the page tells. ``closing``: all that close, soonest first; ``new``: some of the ``new_count`` new
    ones; ``winners`` and ``called_off``: each purchase once, by its newest release."""

    span: Span
    closing: Sequence[Record]
    new: Sequence[Record]
    new_count: int
    winners: Sequence[Found]
    called_off: Sequence[Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsRow:
    """One piece of news in words; all texts are plain, ``time`` is in the portal's zone, ``page`` a path from the top
    of the edition."""

    title: str
    page: str
    unit: str
    headline: str
    told: str
    time: datetime
    time_text: str


def find_span(now: datetime, zone: ZoneInfo) -> Span:
    """The days around ``now``, told in ``zone``."""
    return Span(now.astimezone(zone).date(), zone)


def choose_news(found: Iterable[Found], span: Span) -> list[Found]:
    """What happened in the days whose news is told, of ``found``, newest first.

    A purchase that Warta meets with its winner named tells no news, unless the source dates it to these days.
    """
    news: dict[Identity, Found] = {}
    for release, record in found:
        if release.time >= span.start and (release.changes or _is_dated(record, span)):
            news.setdefault(record.tender.identity, (release, record))
    return list(news.values())


def _is_dated(record: Record, span: Span) -> bool:
    told = (*record.tender.awards, *record.tender.contracts)
    return any(each.date is not None and each.date >= span.start for each in told)


def render_week(site: Site, week: Week, feeds: Sequence[Feed]) -> bytes:
    """The page; ``feeds`` are those published."""
    portals = {portal.id: portal for portal in site.config.portal}
    language = site.config.publisher.language
    span = week.span
    by_day = Counter(_find_closes(record).astimezone(span.zone).date() for record in week.closing)
    return site.render(
        "week.html",
        PATH,
        week=week,
        span=span,
        days=[(day, by_day[day], render_query(span.closing_between(day, day))) for day in span.days],
        closing=[make_row(record, portals, language, "") for record in week.closing[:MOST_SHOWN]],
        closing_query=render_query(span.closing),
        new=[make_row(record, portals, language, "") for record in week.new],
        new_query=render_query(span.new),
        winners=list(_tell(week.winners[:MOST_SHOWN], portals, language)),
        called_off=list(_tell(week.called_off[:MOST_SHOWN], portals, language)),
        discover=[feed for name in _DISCOVERED for feed in feeds if feed.id == name],
    )


def _find_closes(record: Record) -> datetime:
    closes = record.tender.deadline or record.tender.registration_deadline
    if closes is None:
        raise ValueError(f"{record.tender.identity} has no deadline")
    return closes


def _tell(found: Iterable[Found], portals: Mapping[str, Portal], language: Language) -> Iterator[NewsRow]:
    for release, record in found:
        tender, zone = record.tender, portals[release.portal].zone
        wording = Wording(language, zone)
        news = tell_release(release, tender, wording)
        yield NewsRow(
            title=clip(plain(tender.title) or tender.key, MOST_TITLE),
            page=tender_path(*tender.identity),
            unit=clip(plain(tender.procuring_entity or tender.buyer or ""), MOST_NAME),
            headline=news.headline,
            told=clip(next(iter(news.lines), ""), MOST_TOLD),  # what moved beside it stands on the tender's page
            time=release.time.astimezone(zone),
            time_text=wording.date(release.time),
        )
