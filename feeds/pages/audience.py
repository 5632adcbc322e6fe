"""How much the site and its feeds are used: the page of visits, and the same for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.visits import OTHER, VisitDay, VisitReport
from feeds.definitions import Feed
from feeds.pages.charts import Bar, render_columns
from feeds.pages.lists import DISCOVERED
from feeds.pages.site import Site
from feeds.pages.statistics import Chart, Figure
from feeds.words.text import plain
from feeds.words.wording import Wording

PATH = "kunjungan.html"
DAYS = 30
MONTHS = 12
MOST_READERS = 10  # of a feed that are told one by one
SEARCH = "search"  # all feeds of searches are counted as one: what is searched for is not kept

_WEEK = 7
_COUNTS = ("pages", "embeds", "feeds")


@dataclass(frozen=True, slots=True)
class Followed:
    """A feed, and by reader how often it was fetched and how many subscribers the reader states; the last of
    ``readers`` is the sum of those that are not told by name, where there are any."""

    title: str
    fetches: int
    subscribers: int
    readers: list[tuple[str, int, int | None]]


def first_day(today: date) -> date:
    """The first of the days that are told one by one."""
    return today - timedelta(days=DAYS - 1)


def render_visits(site: Site, report: VisitReport, feeds: Sequence[Feed], now: datetime) -> bytes:
    """The page of visits as they stand at ``now``; ``feeds`` are all that are published."""
    wording = Wording(site.config.publisher.language, ZoneInfo(site.config.publisher.timezone))
    today = now.astimezone(wording.zone).date()
    days = list_days(report, today)
    titles = {feed.id: feed.title for feed in feeds} | {SEARCH: wording.say("visit_search")}
    return site.render(
        "visits.html",
        PATH,
        is_empty=not report.days,
        figures=list(_tell_figures(report, days, wording)),
        charts=[_tell_days(name, days, wording) for name in _COUNTS],
        months=_sum_months(report, today),
        followed=_tell_feeds(report, titles, wording),
        discover=[feed for feed in feeds if feed.id in DISCOVERED],
    )


def tell_visits(report: VisitReport, today: date) -> dict[str, Any]:
    """The last days, and the subscribers of each feed; no days where there was never a visit."""
    days = list_days(report, today) if report.days else []
    subscribers: dict[str, int] = {}
    for (name, _), number in sorted(report.subscribers.items()):
        subscribers[name] = subscribers.get(name, 0) + number
    return {
        "days": [
            {
                "day": day.day.isoformat(),
                "pages": day.pages,
                "embeds": day.embeds,
                "feeds": day.feeds,
                "subscribers": day.subscribers,
            }
            for day in days
        ],
        "subscribers": subscribers,
    }


def list_days(report: VisitReport, today: date) -> list[VisitDay]:
    """Every one of the last days, oldest first, those without a visit too."""
    known = {day.day: day for day in report.days}
    days = [first_day(today) + timedelta(days=number) for number in range(DAYS)]
    return [known.get(day, VisitDay(day)) for day in days]


def _tell_figures(report: VisitReport, days: list[VisitDay], wording: Wording) -> Iterator[Figure]:
    for name in _COUNTS:
        total = sum(getattr(day, name) for day in days)
        yield Figure(wording.say(f"visit_{name}"), wording.count(total), wording.say("visit_span"))
    stated = sum(report.subscribers.values())
    yield Figure(wording.say("visit_subscribers"), wording.count(stated), wording.say("visit_stated"))


def _tell_days(name: str, days: list[VisitDay], wording: Wording) -> Chart:
    label = wording.say(f"visit_{name}")
    counts = [(_date(day.day, wording), int(getattr(day, name))) for day in days]
    peak, most = max(counts, key=lambda count: count[1])
    # Of so many columns only some have a date below and only the highest its number: the table has them all.
    weekly = {day.day for day in days[::-_WEEK]}
    bars = [
        Bar(
            _tell_short(day.day, wording, is_today=day is days[-1]) if day.day in weekly else "",
            number,
            wording.count(number) if number and (told, number) == (peak, most) else "",
            day is days[-1],
        )
        for day, (told, number) in zip(days, counts, strict=True)
    ]
    values = {"label": label, "number": wording.count(most), "date": peak}
    total = wording.count(sum(number for _, number in counts))
    return Chart(
        wording.say("visit_peak", **values) if most else wording.say("visit_none", label=label),
        wording.say("visit_about"),
        wording.say("visit_summary", total=total, **values),
        (render_columns(bars),) if most else (),
        (wording.say("visit_day"), wording.say("visit_number")),
        [(date, wording.count(number)) for date, number in reversed(counts)],
    )


def _sum_months(report: VisitReport, today: date) -> list[tuple[datetime, VisitDay]]:
    """The last months with visits, newest first, each with a time in it. Subscribers do not add up."""
    months: dict[date, VisitDay] = {}
    for day in report.days:
        first = day.day.replace(day=1)
        known = months.get(first, VisitDay(first))
        months[first] = VisitDay(first, *(getattr(known, name) + getattr(day, name) for name in _COUNTS))
    newest = sorted(months, reverse=True)[:MONTHS]
    return [(_noon(first), months[first]) for first in newest if first <= today]


def _tell_feeds(report: VisitReport, titles: Mapping[str, str], wording: Wording) -> list[Followed]:
    """Feeds with most subscribers, then those fetched most, first."""
    by_feed: dict[str, dict[str, tuple[int, int | None]]] = {}
    for name, reader in (*report.fetches, *report.subscribers):
        numbers = report.fetches.get((name, reader), 0), report.subscribers.get((name, reader))
        by_feed.setdefault(name, {})[reader] = numbers
    followed = []
    for name, readers in by_feed.items():
        rows = _list_readers(readers, wording)
        fetches, subscribers = sum(row[1] for row in rows), sum(row[2] or 0 for row in rows)
        followed.append(Followed(titles.get(name, plain(name)), fetches, subscribers, rows))
    return sorted(followed, key=lambda feed: (-feed.subscribers, -feed.fetches, feed.title))


def _list_readers(readers: Mapping[str, tuple[int, int | None]], wording: Wording) -> list[tuple[str, int, int | None]]:
    rows = [(plain(reader), *numbers) for reader, numbers in readers.items() if reader != OTHER]
    rows.sort(key=lambda row: (-(row[2] or 0), -row[1], row[0]))
    rest = [row[1:] for row in rows[MOST_READERS:]] + [readers[name] for name in readers if name == OTHER]
    if not rest:
        return rows
    stated = [number for _, number in rest if number is not None]
    summed = (wording.say("visit_other"), sum(fetches for fetches, _ in rest), sum(stated) if stated else None)
    return [*rows[:MOST_READERS], summed]


def _date(day: date, wording: Wording) -> str:
    return wording.date(_noon(day).replace(tzinfo=wording.zone))


def _tell_short(day: date, wording: Wording, *, is_today: bool) -> str:
    return f"{day.day} {wording.month_name(day.month, short=True)}{'*' if is_today else ''}"


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12))
