"""The pages and calendars of tenders in the published tree: only what moved is read and rendered, for all editions at
once, by several processes where that is much."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from typing import Any, NamedTuple

from aggregator.database import to_micros
from aggregator.filters import Filter
from aggregator.models import Kind, Record
from aggregator.repository import Repository
from aggregator.versions import Told, Version
from feeds.addresses import tender_path
from feeds.calendar import render_calendar
from feeds.definitions import Channel, Feed, Format, Group
from feeds.drafts import Draft, File, write_drafts
from feeds.entries import Around, make_id, tender_entry
from feeds.pages.site import Site
from feeds.pages.tender_page import is_open, render_tender_page
from feeds.tree import Tree

MANY = 1500  # purchases: from here on processes of their own render faster than they start
MOST_PROCESSES = 8

_CHUNK = 100  # purchases that are read and rendered at once
_NEVER = 2**63  # microseconds: after all times
_WHOLE = "tenders"

Files = dict[str, File]


class Shown(NamedTuple):
    """An edition of the site, and the feeds that readers find on its pages."""

    site: Site
    discover: Sequence[Feed]


class Pages(NamedTuple):
    """The pages of a publish, some of which may be under way: ``write`` waits for those. ``warned`` moves with the
    blacklist."""

    warned: str
    write: Callable[[], None]


class _Moved(NamedTuple):
    """A purchase whose files may be others now. ``free``: where they may lie, None for wherever they belong."""

    version: Version
    name: str
    fingerprint: str
    free: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class TenderFiles:
    """The pages of all ``editions``, the publisher's own first, as they are at ``now``. ``state`` moves with the
    database, ``makers`` with whatever else the bytes come from."""

    editions: Sequence[Shown]
    repository: Repository
    now: datetime
    state: str
    makers: str
    find_around: Callable[[], Around]

    @contextmanager
    def rendering(self, tree: Tree) -> Iterator[Pages]:
        """Keeps what has not moved, and begins to render the rest."""
        now = to_micros(self.now)
        last = tree.find_kept(_WHOLE)  # a part without files: its facts are about all pages together
        state = _digest(self.makers, self.state)
        if last and last.fingerprint == state and now < last.facts["until"] and tree.keep_many():
            yield Pages(last.facts["warned"], lambda: None)
            return
        versions = self.repository.find_versions({portal.id for portal in self.editions[0].site.config.portal})
        facts = self._find_facts(versions, last.facts if last else {})
        tree.save(_WHOLE, state, {}, facts)
        moved = list(self._find_moved(tree, versions, now, facts["warned"]))
        if len(moved) < MANY:
            renderer = _Renderer(self, self.find_around()) if moved else None
            yield Pages(facts["warned"], lambda: _save(tree, moved, renderer))
            return
        claimed = [each._replace(free=tree.claim(each.name, self._list_paths(each.version))) for each in moved]
        wanted = [each for each in claimed if each.free]
        tree.note(path for each in wanted for path in each.free or ())
        with _start(_Renderer(self, self.find_around()), str(tree.root), wanted) as drafts:
            yield Pages(facts["warned"], lambda: _save_drafts(tree, wanted, drafts))

    def _find_moved(self, tree: Tree, versions: Sequence[Version], now: int, warned: str) -> Iterator[_Moved]:
        for version in versions:
            name = tender_path(*version.identity).removesuffix(".html")
            is_late = version.closes is not None and version.closes <= now
            fingerprint = _digest(self.makers, warned, version.identity, version.others, version.mark, is_late)
            if tree.find_kept(name, fingerprint) is None:
                yield _Moved(version, name, fingerprint)

    def _list_paths(self, version: Version) -> list[str]:
        """Where its files may lie. A tender that another one speaks for has that one's page at its own address."""
        paths = [tender_path(*identity) for identity in (version.identity, *version.others)]
        return [_calendar_path(paths[0]), *(f"{each.site.prefix}{path}" for each in self.editions for path in paths)]

    def _find_facts(self, versions: Sequence[Version], last: Mapping[str, Any]) -> dict[str, Any]:
        """Until when pages stay the same while the database does, in microseconds since 1970 UTC; and what moves with
        the blacklist, which is read only where a notice moved."""
        now = to_micros(self.now)
        deadlines = (version.closes for version in versions if version.closes is not None and version.closes > now)
        notices = _digest(*(version.mark for version in versions if version.identity[1] is Kind.NOTICE))
        is_known = last.get("notices") == notices
        warned = last["warned"] if is_known else self.find_around().blacklist.fingerprint
        return {"until": min(deadlines, default=_NEVER), "notices": notices, "warned": warned}


class _Renderer:
    """Makes the files of purchases, by their paths in the tree."""

    def __init__(self, wanted: TenderFiles, around: Around) -> None:
        self._wanted = wanted
        self._around = around

    def forget_connections(self) -> None:
        self._wanted.repository.forget_connections()

    def render(self, moved: Sequence[_Moved]) -> Iterator[Files]:
        told = self._wanted.repository.find_told([each.version for each in moved])
        for each, one in zip(moved, told, strict=True):
            files = self._render(each.version, one)
            yield {path: file for path, file in files.items() if each.free is None or path in each.free}

    def _render(self, version: Version, told: Told) -> Files:
        record = told.record
        path = tender_path(*record.tender.identity)
        calendar = _calendar_path(path) if is_open(record.tender, self._wanted.now) else None
        files: Files = {}
        if calendar:
            files[calendar] = File(self._render_calendar(record, calendar), record.changed)
        for site, discover in self._wanted.editions:
            page = render_tender_page(site, told, self._around, self._wanted.now, discover, calendar)
            for identity in (version.identity, *version.others):
                files[f"{site.prefix}{tender_path(*identity)}"] = File(page, record.changed)
        return files

    def _render_calendar(self, record: Record, path: str) -> bytes:
        publisher = self._wanted.editions[0].site.config.publisher
        entry = tender_entry(record, self._around.portals[record.official_portal], publisher, self._around)
        channel = Channel(
            feed=Feed(
                id=record.tender.key,
                title=entry.title,
                short=entry.title,
                description=entry.summary,
                group=Group.OWN,
                filter=Filter(),
            ),
            id=make_id(publisher, path),
            language=publisher.language,
            page_url=f"{publisher.url}{tender_path(*record.tender.identity)}",
            urls={Format.CALENDAR: f"{publisher.url}{path}"},
            updated=entry.updated,
            author=entry.author,
            author_url=entry.author_url,
            ttl=timedelta(hours=1),
        )
        return render_calendar(channel, [entry])


def _calendar_path(page: str) -> str:
    return page.removesuffix("html") + "ics"


def _save(tree: Tree, moved: Sequence[_Moved], renderer: _Renderer | None) -> None:
    for each, files in zip(moved, renderer.render(moved) if renderer else (), strict=True):
        tree.save(each.name, each.fingerprint, files, {})


def _save_drafts(tree: Tree, moved: Sequence[_Moved], drafts: Iterator[list[Draft]]) -> None:
    for each, written in zip(moved, drafts, strict=True):
        tree.save_drafts(each.name, each.fingerprint, written)


@contextmanager
def _start(renderer: _Renderer, root: str, moved: Sequence[_Moved]) -> Iterator[Iterator[list[Draft]]]:
    """The files of each of ``moved``, in their order, written beside their places in the tree."""
    # Forked, so that templates and configuration are there at once; nothing but the database is shared with others.
    fork = get_context("fork")
    processes = min(len(os.sched_getaffinity(0)), MOST_PROCESSES)
    with ProcessPoolExecutor(processes, mp_context=fork, initializer=_adopt, initargs=(renderer, root)) as pool:
        chunks = [moved[start : start + _CHUNK] for start in range(0, len(moved), _CHUNK)]
        waiting = [pool.submit(_write, chunk) for chunk in chunks]
        try:
            yield (drafts for future in waiting for drafts in future.result())
        finally:
            pool.shutdown(cancel_futures=True)


class _Adopted(NamedTuple):
    renderer: _Renderer
    root: str


_adopted: list[_Adopted] = []  # in a process of the pool: its own copy


def _adopt(renderer: _Renderer, root: str) -> None:
    gc.freeze()  # what the parent made stays, so nothing need look through it again
    gc.set_threshold(100_000)  # hardly anything here goes round in circles, and all of it goes with the process
    renderer.forget_connections()
    _adopted.append(_Adopted(renderer, root))


def _write(moved: Sequence[_Moved]) -> list[list[Draft]]:
    renderer, root = _adopted[0]
    return [write_drafts(root, files) for files in renderer.render(moved)]


def _digest(*parts: object) -> str:
    """Short: there is one for every tender."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
