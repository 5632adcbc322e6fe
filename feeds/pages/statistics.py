"""What the figures of a year say: findings in words, charts, tables and CSV for the statistics page. Pure."""

from __future__ import annotations

import csv
import io
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import accumulate
from zoneinfo import ZoneInfo

from markupsafe import Markup

from aggregator.models import Category, Method, Money
from aggregator.reports import Sum, YearReport
from feeds.definitions import shipped_feeds
from feeds.pages.charts import Bar, render_columns, render_rows
from feeds.pages.lists import DISCOVERED
from feeds.pages.site import Site
from feeds.words.text import plain
from feeds.words.wording import NBSP, Wording

# Ranges of the difference between contract and HPS, in thousandths of the HPS: from, up to and without.
_RANGES = ((0, 20), (20, 50), (50, 100), (100, 150), (150, 200))
_UNTOLD = ""  # the name under which packages without a category stand
_UNSAFE = "=+-@\t\r"  # with one of these in front a spreadsheet takes a text for a formula


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the head of the page, with a note under it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """``title`` is the finding, ``about`` what is drawn, ``summary`` the drawing in one sentence for who cannot see it.

    Without ``drawings`` there is nothing to draw yet. The cells of ``rows`` stand under ``head``.
    """

    title: str
    about: str
    summary: str
    drawings: tuple[Markup, ...]
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The page of one year."""

    year: int
    count: int
    figures: list[Figure]
    charts: list[Chart]


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some numbers, and the bounds of the half of them that lies around it."""

    count: int
    low: int
    median: int
    high: int


def measure(counts: Mapping[int, int]) -> Spread | None:
    """``counts`` tells how often each number occurs. None where there is none."""
    numbers = sorted(counts)
    reached = list(accumulate(counts[number] for number in numbers))
    if not reached:
        return None

    def at(part: float) -> int:
        return numbers[bisect_left(reached, max(reached[-1] * part, 1))]

    return Spread(reached[-1], at(0.25), at(0.5), at(0.75))


def tell_year(report: YearReport, today: date, wording: Wording) -> Statistics:
    """The figures of a year as they stand ``today``."""
    teller = _Teller(report, today, wording)
    return Statistics(report.year, report.total.count, list(teller.tell_figures()), list(teller.tell_charts()))


class _Teller:
    def __init__(self, report: YearReport, today: date, wording: Wording) -> None:
        self._report = report
        self._today = today
        self._wording = wording
        self._say = wording.say
        days: dict[int, int] = {}
        for counts in report.days.values():
            for number, count in counts.items():
                days[number] = days.get(number, 0) + count
        self._days = measure(days)
        margins = {**report.margins, **({0: report.equal} if report.equal else {})}
        self._margin = measure(margins)

    def tell_figures(self) -> Iterator[Figure]:
        total = self._report.total
        yield Figure(self._say("stat_packages"), self._wording.count(total.count))
        yield Figure(self._say("stat_value"), self._money(total.rupiah))
        if self._days:
            note = self._say("stat_median_of", count=self._wording.count(self._days.count))
            yield Figure(self._say("stat_days"), self._span(self._days.median), note)
        if self._margin:
            note = self._say("stat_median_of", count=self._wording.count(self._margin.count))
            yield Figure(self._say("stat_margin"), self._tell_margin(self._margin.median), note)

    def tell_charts(self) -> Iterator[Chart]:
        yield self._tell_months()
        yield self._tell_categories()
        yield self._tell_days()
        yield self._tell_entities()
        yield self._tell_margins()

    def _tell_months(self) -> Chart:
        is_running = self._report.year == self._today.year
        last = self._today.month if is_running else 12
        months = [(month, self._report.months.get(month, Sum())) for month in range(1, last + 1)]
        power, unit = self._wording.unit(max(tally.rupiah for _, tally in months))
        peak, most = max(months, key=lambda month: month[1].count)
        name = self._wording.month_name(peak)
        about = self._say("stat_months_about")
        if is_running:
            about += " " + self._say("stat_running", month=self._wording.month_name(last), day=self._today.day)
        counts, values = [], []
        for month, tally in months:
            running = is_running and month == last
            label = self._wording.month_name(month, short=True) + ("*" if running else "")
            counts.append(Bar(label, tally.count, self._wording.count(tally.count), running))
            value = Decimal(tally.rupiah).scaleb(-power)
            values.append(Bar(label, float(value), self._wording.tenths(value), running))
        drawings = (
            render_columns(counts, self._say("stat_count_title")),
            render_columns(values, self._say("stat_value_title", unit=f"Rp{NBSP}{unit}".strip()), tone=2),
        )
        return Chart(
            self._say("stat_months", month=name),
            about,
            self._say(
                "stat_months_summary", month=name, count=self._packages(most.count), money=self._money(most.rupiah)
            ),
            drawings if most.count else (),
            (self._say("stat_month"), *self._tally_heads()),
            [(self._wording.month_name(month), *self._tally_cells(tally)) for month, tally in months],
        )

    def _tell_categories(self) -> Chart:
        names = {category.value: self._wording.name(category) for category in Category}
        found = [
            (names.get(category or _UNTOLD, self._say("stat_untold")), tally)
            for category, tally in self._report.categories.items()
        ]
        found.sort(key=lambda part: (-part[1].rupiah, -part[1].count, part[0]))
        named = [part for part in found if part[0] in names.values()]
        return self._tell_shares("categories", self._say("stat_category"), named, found)

    def _tell_entities(self) -> Chart:
        found = [(plain(name), tally) for name, tally in self._report.entities]
        drawn = list(found)
        if others := self._others():
            drawn.append(others)
        return self._tell_shares("entities", self._wording.label("procuring_entity"), found, drawn)

    def _others(self) -> tuple[str, Sum] | None:
        """What is not among the work units that are told by name."""
        told = sum((tally for _, tally in self._report.entities), Sum())
        total = self._report.total
        rest = Sum(total.count - told.count, total.rupiah - told.rupiah)
        number = self._report.entity_count - len(self._report.entities)
        if not rest.count:
            return None
        return (
            self._say("stat_others", count=self._wording.count(number)) if number else self._say("stat_untold")
        ), rest

    def _tell_shares(
        self, what: str, head: str, found: Sequence[tuple[str, Sum]], drawn: Sequence[tuple[str, Sum]]
    ) -> Chart:
        """How the value is shared; ``found`` are those that have a name, the greatest first."""
        total = self._report.total
        name, most = found[0] if found else (_UNTOLD, Sum())
        share = self._wording.whole_percent(Decimal(most.rupiah), Decimal(total.rupiah)) if total.rupiah else ""
        bars = [
            Bar(
                f"{label} ({self._packages(tally.count)})",
                float(tally.rupiah),
                self._money(tally.rupiah),
            )
            for label, tally in drawn
        ]
        return Chart(
            self._say(f"stat_{what}", name=name, share=share) if share else self._say("stat_no_values"),
            self._say(f"stat_{what}_about"),
            self._say(
                "stat_shares_summary",
                name=name,
                money=self._money(most.rupiah),
                share=share,
                count=self._packages(most.count),
            ),
            (render_rows(bars),) if share else (),
            (head, *self._tally_heads()),
            [(label, *self._tally_cells(tally)) for label, tally in drawn],
        )

    def _tell_days(self) -> Chart:
        found = [(self._wording.name(Method(method)), measure(days)) for method, days in self._report.days.items()]
        spreads = sorted(
            ((name, spread) for name, spread in found if spread), key=lambda part: (-part[1].median, part[0])
        )
        bars = [
            Bar(f"{name} ({self._contracts(spread.count)})", spread.median, self._span(spread.median))
            for name, spread in spreads
        ]
        title = self._say("stat_no_days")
        if self._days:
            title = self._say("stat_days_even", span=self._span(self._days.median))
        if len(spreads) > 1 and spreads[0][1].median > spreads[1][1].median:
            title = self._say("stat_days_finding", name=spreads[0][0], span=self._span(spreads[0][1].median))
        return Chart(
            title,
            self._say("stat_days_about"),
            "; ".join(f"{bar.label}: {bar.told}" for bar in bars) + ".",
            (render_rows(bars),) if bars else (),
            (
                self._wording.label("method"),
                self._say("stat_contracts_head"),
                self._say("stat_median_head"),
                self._say("stat_half_head"),
            ),
            [
                (name, self._wording.count(s.count), self._wording.count(s.median), f"{s.low}–{s.high}")
                for name, s in spreads
            ],
        )

    def _tell_margins(self) -> Chart:
        bars = [Bar(label, count, self._contracts(count)) for label, count in self._count_margins()]
        most = max(bars, key=lambda bar: bar.value)
        title = self._say("stat_margins", range=most.label[:1].lower() + most.label[1:])
        return Chart(
            title if self._margin else self._say("stat_no_margins"),
            self._say("stat_margins_about"),
            "; ".join(f"{bar.label}: {bar.told}" for bar in bars) + ".",
            (render_rows(_trim(bars), tone=2),) if self._margin else (),
            (self._say("stat_margin_head"), self._say("stat_contracts_head")),
            [(bar.label, self._wording.count(int(bar.value))) for bar in bars],
        )

    def _count_margins(self) -> Iterator[tuple[str, int]]:
        margins = self._report.margins
        yield self._say("stat_above"), sum(count for number, count in margins.items() if number < 0)
        yield self._say("stat_equal"), self._report.equal
        for start, end in _RANGES:
            count = sum(count for number, count in margins.items() if max(start, 1) <= number < end)
            yield self._say("stat_below", start=start // 10, end=end // 10), count
        last = _RANGES[-1][1]
        yield self._say("stat_far_below", start=last // 10), sum(c for number, c in margins.items() if number >= last)

    def _tell_margin(self, thousandths: int) -> str:
        if not thousandths:
            return self._say("stat_margin_equal")
        share = self._wording.percent(Decimal(abs(thousandths)), Decimal(1000))
        return self._say("stat_margin_below" if thousandths > 0 else "stat_margin_above", share=share)

    def _tally_heads(self) -> tuple[str, str]:
        return self._say("stat_packages_head"), self._say("stat_value_head")

    def _tally_cells(self, tally: Sum) -> tuple[str, str]:
        return self._wording.count(tally.count), self._money(tally.rupiah)

    def _packages(self, count: int) -> str:
        return self._say("stat_one" if count == 1 else "stat_count", count=self._wording.count(count))

    def _contracts(self, count: int) -> str:
        return self._say("stat_contract" if count == 1 else "stat_contracts", count=self._wording.count(count))

    def _span(self, days: int) -> str:
        return self._wording.days(days)

    def _money(self, rupiah: int) -> str:
        return self._wording.short_money(Money(Decimal(rupiah)))


def _trim(bars: Sequence[Bar]) -> Sequence[Bar]:
    """Without those of nothing at either end."""
    filled = [number for number, bar in enumerate(bars) if bar.value]
    return bars[filled[0] : filled[-1] + 1] if filled else ()


def year_path(year: int, today: date) -> str:
    """Where the page of a year stands."""
    return "statistik.html" if year == today.year else f"statistik/{year}.html"


def csv_path(year: int) -> str:
    """Where the figures of a year stand for programs."""
    return f"statistik/{year}.csv"


def render_statistics(site: Site, report: YearReport, years: Sequence[int], now: datetime) -> bytes:
    """The page of a year, with links to those of ``years``."""
    wording = Wording(site.config.publisher.language, ZoneInfo(site.config.publisher.timezone))
    today = now.astimezone(wording.zone).date()
    return site.render(
        "statistics.html",
        year_path(report.year, today),
        told=tell_year(report, today, wording),
        years=[(year, year_path(year, today)) for year in years],
        portals=[plain(portal.name) for portal in site.config.portal],
        csv=csv_path(report.year),
        now=now,
        discover=[feed for feed in shipped_feeds(site.config, ()) if feed.id in DISCOVERED],
    )


def render_csv(report: YearReport) -> bytes:
    """The figures for programs and spreadsheets, one a line: which table, of what, which measure, the number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # RFC 4180
    writer.writerow(("table", "item", "measure", "number"))
    for table, tallies in (
        ("month", [(f"{report.year}-{month:02}", tally) for month, tally in report.months.items()]),
        ("category", sorted((category or _UNTOLD, tally) for category, tally in report.categories.items())),
        ("procuring_entity", report.entities),
    ):
        for item, tally in tallies:
            writer.writerow((table, _cell(item), "packages", tally.count))
            writer.writerow((table, _cell(item), "rupiah", tally.rupiah))
    for method, days in sorted(report.days.items()):
        for number, count in sorted(days.items()):
            writer.writerow(("days_to_contract", method, number, count))
    writer.writerow(("equal_to_hps", "", "contracts", report.equal))
    for number, count in sorted(report.margins.items()):
        writer.writerow(("thousandths_below_hps", number, "contracts", count))
    return text.getvalue().encode()


def _cell(text: str) -> str:
    fit = plain(text)
    return f"'{fit}" if fit.startswith(tuple(_UNSAFE)) else fit
