"""Writes the static tree: feeds, their pages, the list of open packages, the status of portals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.config import Config
from aggregator.repository import Repository
from feeds.calendar import render_calendar
from feeds.contents import Contents
from feeds.definitions import OPEN, Channel, Feed, Format, Group, make_channel, shipped_feeds
from feeds.entries import Entry, fit_entries
from feeds.jsonfeed import render_json
from feeds.listing import NOTED, list_open, tell_last_changes
from feeds.opml import render_opml
from feeds.pages import (
    ASSETS,
    SITE,
    Card,
    PortalState,
    Site,
    list_path,
    load_sites,
    render_catalogue,
    render_feed_page,
    render_list,
    render_status,
    render_status_json,
    tell_portals,
)
from feeds.rss_atom import render_atom, render_rss
from feeds.tree import File, Part, Published, Tree, open_tree

ROBOTS = b"User-agent: *\nDisallow:\n"
MOST_NOTES = 500  # releases looked through for the last changes of open packages

_RENDERERS: Mapping[Format, Callable[[Channel, Sequence[Entry]], bytes]] = {
    Format.RSS: render_rss,
    Format.ATOM: render_atom,
    Format.JSON: render_json,
    Format.CALENDAR: render_calendar,
}
_WRITERS = ("babel", "feedgen", "icalendar", "jinja2")  # libraries that decide what bytes come out


def publish(
    config: Config, repository: Repository, now: datetime, directory: Path | None = None, *, sample: bool = False
) -> Published:
    """Writes into ``directory`` (the configured one unless told) what differs from what lies there.

    ``sample`` marks all pages as made-up data. A second publish into the same folder waits for the first. OSError
    where the folder cannot be written: each file is then either old or new.
    """
    with open_tree(directory or config.public_folder) as tree:
        for site in load_sites(config, sample=sample):
            _Edition(site, repository, now, tree, sample=sample).write()
    return tree.published


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
        self._makers = _digest(_digest_code(), site.config, site.prefix, sample)

    @property
    def _is_first(self) -> bool:
        return not self._site.prefix

    def write(self) -> None:
        entities = [name for name, _ in self._repository.find_names("procuring_entity")]
        feeds = shipped_feeds(self._config, entities, self._contents.find_kinds())
        # Read before anything else: what a crawl saves meanwhile is found now or by the next publish.
        inputs = _digest(self._makers, [_stable(feed) for feed in feeds], self._contents.find_state(feeds))
        states = tell_portals(self._config, self._repository.find_last_runs())
        unmoved = self._find_kept("inputs", inputs) is not None
        shelves = [self._write_feed(feed, feeds, unmoved=unmoved) for feed in feeds]
        self._write_list(shelves, states, inputs)
        self._write_status(shelves, states)
        self._write_catalogue(shelves)
        self._save("inputs", inputs, {}, {})

    def _write_feed(self, feed: Feed, feeds: Sequence[Feed], *, unmoved: bool) -> _Shelf:
        name = f"feed {feed.id}"
        part = self._find_kept(name) if unmoved else None
        if part is None:
            entries, dated = self._contents.find(feed), self._contents.find_calendar(feed)
            count = self._contents.count(feed)
            fingerprint = _digest(self._makers, _stable(feed), count, entries, dated)
            part = self._find_kept(name, fingerprint)
            if part is None:
                files, updated = self._render_feed(feed, feeds, fit_entries(entries), fit_entries(dated), count)
                part = self._save(name, fingerprint, files, {"count": count, "updated": updated.isoformat()})
        channel = make_channel(feed, self._config, ())
        return _Shelf(replace(channel, updated=datetime.fromisoformat(part.facts["updated"])), part.facts["count"])

    def _render_feed(
        self, feed: Feed, feeds: Sequence[Feed], entries: Sequence[Entry], dated: Sequence[Entry], count: int | None
    ) -> tuple[dict[str, File], datetime]:
        channel = make_channel(feed, self._config, entries)
        calendar = make_channel(feed, self._config, dated)
        general = [each for each in feeds if each.group is Group.GENERAL]
        files = {
            f"feeds/{feed.id}.html": File(
                render_feed_page(self._site, channel, entries, count, general), channel.updated
            )
        }
        for form, render in _RENDERERS.items() if self._is_first else ():
            told, held = (calendar, dated) if form is Format.CALENDAR else (channel, entries)
            files[f"feeds/{feed.id}.{form}"] = File(render(told, held), told.updated)
        return files, channel.updated

    def _write_list(self, shelves: Sequence[_Shelf], states: Sequence[PortalState], inputs: str) -> None:
        cards = [shelf.card for shelf in shelves]
        fingerprint = _digest(inputs, states, [(_stable(card.feed), card.count) for card in cards])
        if self._find_kept("list", fingerprint):
            return
        portals = {portal.id: portal for portal in self._config.portal}
        listed = list_open(self._contents.find_open(), self._now, ZoneInfo(self._config.publisher.timezone))
        releases = self._contents.find_releases(OPEN, NOTED, MOST_NOTES)
        notes = tell_last_changes(releases, portals, self._config.publisher.language)
        files = {}
        for number in range(1, len(listed.pages) + 1):
            page = render_list(self._site, listed, number, states, cards, notes)
            files[list_path(number)] = File(page, self._now)
        self._save("list", fingerprint, files, {})

    def _write_status(self, shelves: Sequence[_Shelf], states: Sequence[PortalState]) -> None:
        feed = next(shelf.channel.feed for shelf in shelves if shelf.channel.feed.kind == "status")
        turns = self._contents.find_turns()
        told = [(shelf.channel, shelf.count) for shelf in shelves]
        pages = {
            "status.html": render_status(self._site, states, turns, feed),
            **({"status.json": render_status_json(states, told)} if self._is_first else {}),
        }
        self._save_pages("status", pages)

    def _write_catalogue(self, shelves: Sequence[_Shelf]) -> None:
        pages = {"feeds/index.html": render_catalogue(self._site, [shelf.card for shelf in shelves])}
        if self._is_first:
            pages |= {
                "feeds.opml": render_opml(self._config.publisher, [shelf.channel for shelf in shelves]),
                "robots.txt": ROBOTS,
                **{name: (SITE / name).read_bytes() for name in ASSETS},
            }
        self._save_pages("catalogue", pages)

    def _save_pages(self, name: str, pages: Mapping[str, bytes]) -> Part:
        """For pages that cost next to nothing to render: what they are made from is what they are."""
        files = {path: File(body, self._now) for path, body in pages.items()}
        fingerprint = _digest(pages)
        return self._find_kept(name, fingerprint) or self._save(name, fingerprint, files, {})

    def _find_kept(self, name: str, fingerprint: str | None = None) -> Part | None:
        return self._tree.find_kept(self._site.prefix + name, fingerprint)

    def _save(self, name: str, fingerprint: str, files: Mapping[str, File], facts: Mapping[str, Any]) -> Part:
        """``files`` by their paths in the edition."""
        placed = {self._site.prefix + path: file for path, file in files.items()}
        return self._tree.save(self._site.prefix + name, fingerprint, placed, facts)


@cache
def _digest_code() -> str:
    """Moves whenever the words, the templates or the libraries that write them may have changed."""
    code = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.*")) if path.suffix != ".pyc"]
    return _digest(code, [version(library) for library in _WRITERS])


def _stable(feed: Feed) -> tuple[Feed, list[str]]:
    """The same in every process, which the order of a set of strings is not."""
    return replace(feed, events=frozenset()), sorted(feed.events)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()
