"""The feed and the page of any search: what a query string asks for, found in the database and told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from aggregator.config import Config
from aggregator.filters import MAX_ROWS, Filter, Sort
from aggregator.models import Record, Status
from aggregator.repository import Repository
from aggregator.run_log import LastRuns
from feeds.contents import Contents, find_moving
from feeds.definitions import BIDDABLE, FEED_LIMIT, Channel, Feed, Format, Group, find_first_day, make_channel
from feeds.entries import Around, Entry, fit_entries, make_id
from feeds.formats import RENDERERS
from feeds.opml import make_title
from feeds.pages.listing import NOTED, PAGE_ROWS, Row, make_row, tell_last_changes
from feeds.pages.lists import MOST_LINES, find_note, list_formats
from feeds.pages.narrowing import MOST_COUNTED, Choice, list_spans, tell_search, with_status
from feeds.pages.portals import tell_portals
from feeds.pages.site import Site
from feeds.query import MAX_PAGE, Entries, parse_entries, parse_query, render_query
from feeds.serving.answers import Answers, Rendered
from feeds.serving.files import HeldFile
from feeds.words.text import clip, plain
from feeds.words.wording import Wording

FEED_PATH = "feeds/search"  # and .rss, .atom, .json, .ics
PAGE_PATH = "cari.html"

MOST_TITLE = 250
_KINDS: tuple[Entries, ...] = ("tenders", "changes")
MOST_WORD = 40
MOST_WAYS = 2  # out of a search that finds nothing
MOST_NOTES = 200  # releases looked through for the last changes of a page's rows


class Searching:
    """Finds and tells what searches ask for. ``now`` is the time that they count from, ``clock`` a steady one in
    seconds; no answer says that it changed before ``since``."""

    def __init__(
        self,
        repository: Repository,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        since: datetime,
    ) -> None:
        self._repository = repository
        self._answers = Answers(repository.find_state, now, clock, since)
        self._around: tuple[object, Around] | None = None

    async def find_feed(self, config: Config, form: Format, raw: str) -> HeldFile:
        """The feed that the query string ``raw`` asks for; FilterError where it cannot be read."""
        (wanted, _), entries = parse_query(raw), parse_entries(raw)
        if entries == "changes":
            wanted = replace(wanted, sort=Sort.PUBLISHED)  # changes come newest first, whatever finds their packages
        path = f"{FEED_PATH}.{form}"
        asked = make_search_feed(wanted, "", entries).filters if form is Format.CALENDAR else [wanted]
        render = partial(self._render_feed, config, form, wanted, entries)
        name = f"{path}?{render_query(wanted, entries=entries)}"
        return await self._answers.find(name, path, render, moves=any(True for one in asked for _ in find_moving(one)))

    async def find_page(self, site: Site, raw: str) -> HeldFile:
        """The page of an edition; FilterError where ``raw`` cannot be read."""
        wanted, number = parse_query(raw)
        path = site.prefix + PAGE_PATH
        render = partial(self._render_page, site, wanted, number)
        # it counts what closes soon, from now
        return await self._answers.find(f"{path}?{render_query(wanted, number)}", path, render, moves=True)

    def _render_feed(self, config: Config, form: Format, wanted: Filter, kind: Entries, now: datetime) -> Rendered:
        contents = Contents(config, self._repository, now, by_portal=True)
        contents.around = self._find_around(contents)
        wording = Wording(config.publisher.language, ZoneInfo(config.publisher.timezone))
        feed = make_search_feed(wanted, tell_search(wanted, contents.find_names(wanted), wording), kind)
        dated = form is Format.CALENDAR
        entries = fit_entries(contents.find_calendar(feed) if dated else contents.find(feed))
        channel = make_search_channel(feed, wanted, config, entries)
        newest = contents.find_newest_change(*(feed.filters if dated else [wanted]))
        return Rendered(RENDERERS[form](channel, entries), max(newest or channel.updated, channel.updated))

    def _find_around(self, contents: Contents) -> Around:
        """What entries tell beside their tenders, found once while the database stays the same: it reads a lot."""
        state, held = self._repository.find_state(), self._around
        if held is None or held[0] != state:
            held = self._around = (state, contents.around)
        return held[1]

    def _render_page(self, site: Site, wanted: Filter, number: int, now: datetime) -> Rendered:
        contents = Contents(site.config, self._repository, now, by_portal=True)
        runs = self._repository.find_last_runs()
        times = [
            contents.find_newest_change(wanted, *list_spans(BIDDABLE)),
            *(last.last.finished for last in runs.values()),
        ]
        body = render_search_page(site, contents, wanted, number, runs)
        known = [time for time in times if time]
        return Rendered(body, max(known, default=find_first_day(site.config.publisher)))


def make_search_feed(wanted: Filter, told: str, kind: Entries = "tenders") -> Feed:
    """The feed of a search that is ``told`` in words: of the packages it finds, or of their changes."""
    return Feed(
        id="search",
        title=clip(told, MOST_TITLE),
        short=clip(told, MOST_TITLE),
        description=told,
        group=Group.OWN,
        kind=kind,
        filter=wanted.with_limit(FEED_LIMIT),
    )


def make_search_channel(feed: Feed, wanted: Filter, config: Config, entries: Sequence[Entry]) -> Channel:
    """The channel of a search: its address holds the query, its page is the search itself, no hub knows it."""
    publisher, is_news = config.publisher, feed.kind == "changes"
    asked, page = (
        f"?{query}" if query else ""
        for query in (render_query(wanted, entries="changes" if is_news else "tenders"), render_query(wanted))
    )
    wording = Wording(publisher.language, ZoneInfo(publisher.timezone))
    title = wording.say("search_changes", search=feed.title) if is_news else feed.title
    titled = replace(
        feed,
        title=f"{title} – {make_title(publisher)}",
        description=wording.say("search_changes_about" if is_news else "search_about", search=feed.description),
    )
    return replace(
        make_channel(titled, config, entries),
        id=make_id(publisher, FEED_PATH + asked),
        page_url=f"{publisher.url}{PAGE_PATH}{page}",
        urls={form: f"{publisher.url}{FEED_PATH}.{form}{asked}" for form in Format},
        hub=None,
    )


def render_search_page(
    site: Site, contents: Contents, wanted: Filter, number: int, runs: Mapping[str, LastRuns]
) -> bytes:
    """Page ``number`` (from 1, the last one where there are fewer) of what ``wanted`` finds."""
    publisher = site.config.publisher
    wording = Wording(publisher.language, ZoneInfo(publisher.timezone))
    counted = contents.count_tenders(wanted, MOST_COUNTED)
    total = min(counted, wanted.limit or MAX_ROWS)
    number = min(number, max(1, math.ceil(total / PAGE_ROWS)))
    start = (number - 1) * PAGE_ROWS
    shown = replace(wanted, limit=max(1, min(PAGE_ROWS, total - start)))
    rows = _make_rows(site, contents, list(contents.find_tenders(shown, start)) if total else [])
    told = tell_search(wanted, contents.find_names(wanted), wording)
    query = render_query(wanted, number)
    addresses, changes = (
        list_formats(site, f"{FEED_PATH}.{{form}}?{render_query(replace(wanted, sort=Sort.PUBLISHED), entries=kind)}")
        for kind in _KINDS
    )
    is_one = len(wanted.portal) == len(wanted.kind) == len(wanted.key) == 1
    if is_one:  # whoever follows one package waits for its changes; its calendar has the day
        addresses, changes = changes[:3] + addresses[3:], []
    return site.render(
        "search.html",
        f"{PAGE_PATH}?{query}" if query else PAGE_PATH,
        told=told,
        q=wanted.q,
        total=total,
        is_more=total == MOST_COUNTED,
        number=number,
        first=start + 1,
        last=start + len(rows),
        rows=rows,
        previous=render_query(wanted, number - 1) if number > 1 else None,
        next=render_query(wanted, number + 1) if start + len(rows) < total and number < MAX_PAGE else None,
        narrowing=contents.find_narrowing(wanted),
        ways=[] if rows else _find_ways(contents, wanted, wording),
        states=tell_portals(site.config, runs),
        most_lines=MOST_LINES,
        addresses=addresses,
        changes=changes,
        is_one=is_one,
        discover=(),
        discovered=[
            (form.media_type, name, address)
            for form, (name, address) in zip(Format, addresses, strict=True)
            if form is not Format.CALENDAR
        ],
    )


def _make_rows(site: Site, contents: Contents, records: Sequence[Record]) -> list[Row]:
    portals = {portal.id: portal for portal in site.config.portal}
    language = site.config.publisher.language
    keys = {record.tender.key for record in records}
    keys |= {source.key for record in records for source in record.sources}
    releases = contents.find_releases(Filter(key=tuple(sorted(keys))), NOTED, MOST_NOTES) if keys else []
    notes = tell_last_changes(releases, portals, language)
    return [make_row(record, portals, language, find_note(record, notes)) for record in records]


def _find_ways(contents: Contents, wanted: Filter, wording: Wording) -> list[Choice]:
    """Out of a search that finds nothing: to similar ones that find something."""
    word = wanted.q.split()[0] if wanted.q else ""
    others = [
        ("way_complete", with_status(wanted, Status.COMPLETE)),
        ("way_open", replace(BIDDABLE, q=wanted.q)),
        ("way_any", Filter(q=wanted.q)),
        ("way_word", replace(BIDDABLE, q=word)),
        ("way_all", BIDDABLE),
    ]
    ways = []
    for phrase, other in others:
        if other != wanted and (count := contents.count_tenders(other, MOST_COUNTED)):
            label = wording.say(phrase, word=clip(plain(word), MOST_WORD))
            ways.append(Choice(label=label, query=render_query(replace(other, sort=wanted.sort)), count=count))
        if len(ways) == MOST_WAYS:
            break
    return ways
