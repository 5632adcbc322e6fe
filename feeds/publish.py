"""Writes the static tree: feeds, their pages, the list of open packages, the status of portals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.asked import AskedOnce
from aggregator.config import Config
from aggregator.database import DatabaseError, show_address
from aggregator.filters import Filter, Sort
from aggregator.reports import find_run_days
from aggregator.repository import Repository
from aggregator.visits import find_visits
from feeds.addresses import embed_path
from feeds.archives import write_archives
from feeds.contents import Contents
from feeds.datasets import write_datasets
from feeds.definitions import BIDDABLE, OPEN, Channel, Feed, Format, Group, make_channel, shipped_feeds
from feeds.drafts import File
from feeds.entries import Around, Entry, fit_entries
from feeds.formats import RENDERERS
from feeds.opml import render_opml
from feeds.pages.audience import PATH as VISITS_PATH
from feeds.pages.audience import first_day, render_visits, tell_visits
from feeds.pages.embed import render_embed, render_oembed
from feeds.pages.figures import write_statistics
from feeds.pages.listing import NOTED, list_open, tell_last_changes
from feeds.pages.lists import DISCOVERED, Card, list_path, render_catalogue, render_feed_page, render_list
from feeds.pages.narrowing import list_spans
from feeds.pages.portals import PortalState, RunWeek, render_status, render_status_json, tell_portals
from feeds.pages.search_index import MOST_ROWS, order_rows, render_index
from feeds.pages.search_index import PATH as INDEX_PATH
from feeds.pages.site import ASSETS, SITE, Site, load_sites
from feeds.pages.sitemap import find_pages, render_robots, render_sitemap
from feeds.pages.static_search import PATH as SEARCH_PATH
from feeds.pages.static_search import render_search
from feeds.pages.tender_files import Shown, TenderFiles
from feeds.pages.week import CALLED_OFF, MOST_RELEASES, MOST_SHOWN, WINNERS, Week, choose_news, find_span, render_week
from feeds.pages.week import PATH as WEEK_PATH
from feeds.tree import Part, Published, Tree, open_tree
from feeds.websub import note_changes, tell_hub

MOST_NOTES = 500  # releases looked through for the last changes of open packages

_WRITERS = ("babel", "feedgen", "icalendar", "jinja2", "pygal")  # libraries that decide what bytes come out


def publish(
    config: Config, repository: Repository, now: datetime, directory: Path | None = None, *, sample: bool = False
) -> Published:
    """Writes into ``directory`` (the configured one unless told) what differs from what lies there.

    ``sample`` marks all pages as made-up data. A second publish into the same folder waits for the first. OSError
    where the folder cannot be written: each file is then either old or new. DatabaseError where the tree shows tenders
    and the database, which must then be another one, holds none.
    """
    with open_tree(directory or config.public_folder) as tree:
        if tree.had("tenders/") and not repository.find_newest_seq():
            raise DatabaseError(
                f"database {show_address(config.database_url)} holds no tender, and {tree.root} shows some: put the "
                "database back (warta restore), or remove that folder to begin anew"
            )
        sites = load_sites(config, sample=sample)
        makers = _digest(_digest_code(), config, sample)
        asked = AskedOnce(repository)
        # Read before anything else: what a crawl saves meanwhile is found now or by the next publish.
        editions = [_Edition(site, asked, now, tree, sample=sample) for site in sites]
        with _find_tenders(editions, asked, now, makers).rendering(tree) as pages:
            for edition in editions:
                edition.write(pages.warned)
            write_statistics(tree, sites, repository, now, makers)
            write_datasets(tree, sites, repository, now, makers)
            pages.write()
        _write_sitemap(sites, tree, now)
        note_changes(tree, config)
    tell_hub(tree.root, config)
    return tree.published


def _find_tenders(editions: Sequence[_Edition], repository: Repository, now: datetime, makers: str) -> TenderFiles:
    return TenderFiles(
        editions=[edition.shown_on_pages for edition in editions],
        repository=repository,
        now=now,
        state=repr(editions[0].state),
        makers=makers,
        find_around=lambda: editions[0].around,
    )


def _write_sitemap(sites: Sequence[Site], tree: Tree, now: datetime) -> None:
    """The pages that the editions wrote or kept, for robots."""
    base, editions = sites[0].config.publisher.url, [site.prefix for site in sites]
    last = tree.find_last("sitemap")
    known = last.facts.get("pages") if last and tree.is_unmoved(but="sitemap") else None
    pages = {} if known else find_pages(tree.find_parts())
    told = known or _digest(pages)
    fingerprint = _digest(_digest_code(), base, editions, told)
    if not tree.find_kept("sitemap", fingerprint):
        pages = pages or find_pages(tree.find_parts())
        bodies = {**render_sitemap(base, pages), "robots.txt": render_robots(base, editions)}
        tree.save("sitemap", fingerprint, {path: File(body, now) for path, body in bodies.items()}, {"pages": told})


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A feed that was written or kept."""

    channel: Channel
    count: int | None

    @property
    def card(self) -> Card:
        return Card(self.channel.feed, self.count)


class _Edition:
    """One edition of the site in one publish. Only the publisher's own language has the feeds beside the pages, and
    what stands once in the tree."""

    def __init__(self, site: Site, repository: Repository, now: datetime, tree: Tree, *, sample: bool) -> None:
        self._site = site
        self._config = site.config
        self._repository = repository
        self._now = now
        self._tree = tree
        self._contents = Contents(site.config, repository, now)
        self._sample = sample
        self._makers = _digest(_digest_code(), site.config, site.prefix, sample)
        entities = [name for name, _ in repository.find_names("procuring_entity")]
        self._feeds = shipped_feeds(site.config, entities, self._contents.find_kinds())
        self._archives: Mapping[str, str] = {}  # the newest one of each feed, by the feed's id
        self.state = self._contents.find_state(self._feeds)

    @property
    def shown_on_pages(self) -> Shown:
        return Shown(self._site, [feed for feed in self._feeds if feed.id in DISCOVERED])

    @property
    def around(self) -> Around:
        return self._contents.around

    @property
    def _is_first(self) -> bool:
        return not self._site.prefix

    def write(self, warned: str) -> None:
        """Everything but the pages of tenders; ``warned`` moves with the blacklist."""
        feeds = self._feeds
        states = tell_portals(self._config, self._repository.find_last_runs())
        if self._is_first:
            self._archives = write_archives(self._tree, self._config, self._repository, feeds, self._now)
        shelves = [self._write_feed(feed, warned) for feed in feeds]
        self._write_list(shelves, states)
        self._write_week()
        self._write_search(shelves)
        self._write_status(shelves, states)
        self._write_catalogue(shelves)

    def _write_feed(self, feed: Feed, warned: str) -> _Shelf:
        """Looks no further while nothing moved that its filters rest on; then no tender is read while none of those
        that it holds moved."""
        name, contents = f"feed {feed.id}", self._contents
        made_from = (self._makers, _stable(feed), warned, self._archives.get(feed.id))
        ground = _digest(
            made_from, contents.find_turns() if feed.kind == "status" else contents.find_ground(*feed.filters)
        )
        last = self._tree.find_last(self._site.prefix + name)
        part = self._find_kept(name) if last and last.facts.get("ground") == ground else None
        if part is None:
            count = contents.count(feed)
            fingerprint = _digest(made_from, count, contents.find_marks(feed))
            part = self._find_kept(name, fingerprint)
            if part is not None:
                part = self._save(name, fingerprint, {}, {**part.facts, "ground": ground}, part)
            else:
                entries, dated = fit_entries(contents.find(feed)), fit_entries(contents.find_calendar(feed))
                files, updated = self._render_feed(feed, entries, dated, count)
                facts = {"count": count, "updated": updated.isoformat(), "ground": ground}
                part = self._save(name, fingerprint, files, facts)
        channel = make_channel(feed, self._config, ())
        return _Shelf(replace(channel, updated=datetime.fromisoformat(part.facts["updated"])), part.facts["count"])

    def _render_feed(
        self, feed: Feed, entries: Sequence[Entry], dated: Sequence[Entry], count: int | None
    ) -> tuple[dict[str, File], datetime]:
        channel = replace(make_channel(feed, self._config, entries), previous=self._archives.get(feed.id))
        calendar = make_channel(feed, self._config, dated)
        general = [each for each in self._feeds if each.group is Group.GENERAL]
        files = {
            f"feeds/{feed.id}.html": File(
                render_feed_page(self._site, channel, entries, count, general), channel.updated
            )
        }
        files[embed_path(feed.id)] = File(render_embed(self._site, channel, entries, count), channel.updated)
        files[embed_path(feed.id, "json")] = File(render_oembed(self._site, feed), channel.updated)
        for form, render in RENDERERS.items() if self._is_first else ():
            told, held = (calendar, dated) if form is Format.CALENDAR else (channel, entries)
            files[f"feeds/{feed.id}.{form}"] = File(render(told, held), told.updated)
        return files, channel.updated

    def _write_list(self, shelves: Sequence[_Shelf], states: Sequence[PortalState]) -> None:
        cards = [shelf.card for shelf in shelves]
        told = [(_stable(card.feed), card.count) for card in cards]
        fingerprint = _digest(self._makers, states, told, self._contents.find_ground(OPEN, *list_spans(BIDDABLE)))
        if self._find_kept("list", fingerprint):
            return
        portals = {portal.id: portal for portal in self._config.portal}
        listed = list_open(self._contents.find_open(), self._now, ZoneInfo(self._config.publisher.timezone))
        releases = self._contents.find_releases(OPEN, NOTED, MOST_NOTES)
        notes = tell_last_changes(releases, portals, self._config.publisher.language)
        narrowing = self._contents.find_narrowing(BIDDABLE, Sort.DEADLINE)
        files = {}
        for number in range(1, len(listed.pages) + 1):
            page = render_list(self._site, listed, number, states, cards, notes, narrowing)
            files[list_path(number)] = File(page, self._now)
        self._save("list", fingerprint, files, {})

    def _write_week(self) -> None:
        span = find_span(self._now, ZoneInfo(self._config.publisher.timezone))
        ground = self._contents.find_ground(span.closing, span.new, span.changed)
        closing = self._contents.count_tenders(span.closing)  # fewer as time goes on
        fingerprint = _digest(self._makers, [_stable(feed) for feed in self._feeds], ground, span.today, closing)
        if self._find_kept("week", fingerprint):
            return
        contents = self._contents
        week = Week(
            span=span,
            closing=list(contents.find_tenders(span.closing)),
            new=list(contents.find_tenders(span.new.with_limit(MOST_SHOWN))),
            new_count=contents.count_tenders(span.new),
            winners=choose_news(contents.find_releases(span.changed, WINNERS, MOST_RELEASES), span),
            called_off=choose_news(contents.find_releases(span.changed, CALLED_OFF, MOST_RELEASES), span),
        )
        self._save("week", fingerprint, {WEEK_PATH: File(render_week(self._site, week, self._feeds), self._now)}, {})

    def _write_search(self, shelves: Sequence[_Shelf]) -> None:
        cards = [shelf.card for shelf in shelves]
        self._write_pages("search", _tell(shelves), lambda: {SEARCH_PATH: render_search(self._site, cards)})
        contents, feeds = self._contents, [card.feed for card in cards]
        total = contents.count_tenders(Filter())
        fingerprint = _digest(
            self._makers, [_stable(feed) for feed in feeds], self._repository.find_newest_seq(), total
        )
        if self._is_first and not self._find_kept("index", fingerprint):
            newest, opened = contents.find_tenders(Filter(limit=MOST_ROWS)), contents.find_tenders(OPEN)
            index = render_index(self._config, order_rows(newest, opened), total, feeds)
            self._save("index", fingerprint, {INDEX_PATH: File(index, self._now)}, {})

    def _write_status(self, shelves: Sequence[_Shelf], states: Sequence[PortalState]) -> None:
        feed = next(shelf.channel.feed for shelf in shelves if shelf.channel.feed.kind == "status")
        turns = self._contents.find_turns()
        today = self._now.astimezone(ZoneInfo(self._config.publisher.timezone)).date()
        week, visits = self._find_week(today), find_visits(self._repository.engine, first_day(today), today)

        def render() -> Mapping[str, bytes]:
            told = [(shelf.channel, shelf.count) for shelf in shelves]
            pages = {
                "status.html": render_status(self._site, states, turns, feed, week),
                VISITS_PATH: render_visits(self._site, visits, [shelf.channel.feed for shelf in shelves], self._now),
            }
            if self._is_first:
                pages["status.json"] = render_status_json(states, told, tell_visits(visits, today), sample=self._sample)
            return pages

        self._write_pages("status", (states, turns, week, visits, today, _tell(shelves), _date(shelves)), render)

    def _find_week(self, today: date) -> RunWeek:
        """The readings of the last seven days, up to ``today``."""
        days = [today - timedelta(days=back) for back in range(6, -1, -1)]
        zone = ZoneInfo(self._config.publisher.timezone)
        starts = [datetime.combine(day, time(), zone) for day in days]
        return RunWeek(days, find_run_days(self._repository.engine, starts))

    def _write_catalogue(self, shelves: Sequence[_Shelf]) -> None:
        def render() -> Mapping[str, bytes]:
            pages = {"feeds/index.html": render_catalogue(self._site, [shelf.card for shelf in shelves])}
            if self._is_first:
                pages |= {
                    "feeds.opml": render_opml(self._config.publisher, [shelf.channel for shelf in shelves]),
                    **{name: (SITE / name).read_bytes() for name in ASSETS},
                }
            return pages

        self._write_pages("catalogue", (_tell(shelves), _date(shelves)), render)

    def _write_pages(self, name: str, made_from: object, render: Callable[[], Mapping[str, bytes]]) -> None:
        fingerprint = _digest(self._makers, made_from)
        if not self._find_kept(name, fingerprint):
            self._save(name, fingerprint, {path: File(body, self._now) for path, body in render().items()}, {})

    def _find_kept(self, name: str, fingerprint: str | None = None) -> Part | None:
        return self._tree.find_kept(self._site.prefix + name, fingerprint)

    def _save(
        self,
        name: str,
        fingerprint: str,
        files: Mapping[str, File],
        facts: Mapping[str, Any],
        kept: Part | None = None,
    ) -> Part:
        """``files`` by their paths in the edition."""
        placed = {self._site.prefix + path: file for path, file in files.items()}
        return self._tree.save(self._site.prefix + name, fingerprint, placed, facts, kept)


@cache
def _digest_code() -> str:
    """Moves whenever the words, the templates or the libraries that write them may have changed."""
    code = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.*")) if path.suffix != ".pyc"]
    return _digest(code, [version(library) for library in _WRITERS])


def _stable(feed: Feed) -> tuple[Feed, list[str]]:
    """The same in every process, which the order of a set of strings is not."""
    return replace(feed, events=frozenset()), sorted(feed.events)


def _tell(shelves: Sequence[_Shelf]) -> list[object]:
    return [(_stable(shelf.channel.feed), shelf.count) for shelf in shelves]


def _date(shelves: Sequence[_Shelf]) -> list[datetime]:
    return [shelf.channel.updated for shelf in shelves]


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()
