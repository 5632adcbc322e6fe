"""The pages and calendars of tenders in the published tree: only what moved is read and rendered, by several processes
where that is much."""

from __future__ import annotations

import gc
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from typing import Any

from aggregator.database import to_micros
from aggregator.filters import Filter
from aggregator.models import Kind, Record
from aggregator.repository import Repository
from aggregator.versions import Told, Version
from feeds.addresses import tender_path
from feeds.calendar import render_calendar
from feeds.definitions import Channel, Feed, Format, Group
from feeds.entries import Around, make_id, tender_entry
from feeds.pages.site import Site
from feeds.pages.tender_page import is_open, render_tender_page
from feeds.tree import File, Tree

MANY = 1500  # purchases: from here on processes of their own render faster than they start
MOST_PROCESSES = 8

_CHUNK = 100  # purchases that are read and rendered at once
_AHEAD = 60  # chunks that may wait to be written: 100 MB at the most
_NEVER = 2**63  # microseconds: after all times

Files = dict[str, File]


@dataclass(frozen=True, slots=True)
class TenderFiles:
    """The pages of one edition as they are at ``now``. ``state`` moves with the database, ``makers`` with whatever else
    the bytes come from; ``discover`` are the feeds that readers find on the pages."""

    site: Site
    repository: Repository
    now: datetime
    state: str
    makers: str
    discover: Sequence[Feed]
    find_around: Callable[[], Around]

    @contextmanager
    def rendering(self, tree: Tree) -> Iterator[Callable[[], None]]:
        """Keeps what has not moved, and begins to render the rest; calling what it gives writes that."""
        whole, now = f"{self.site.prefix}tenders", to_micros(self.now)
        last = tree.find_kept(whole)  # a part without files: its facts are about all pages together
        state = _digest(self.makers, self.state)
        if last and last.fingerprint == state and now < last.facts["until"] and tree.keep_all(f"{whole}/"):
            yield lambda: None
            return
        versions = self.repository.find_versions({portal.id for portal in self.site.config.portal})
        facts = self._find_facts(versions, last.facts if last else {})
        tree.save(whole, state, {}, facts)
        moved: list[tuple[Version, str, str]] = []
        for version in versions:
            name = f"{self.site.prefix}{tender_path(*version.identity).removesuffix('.html')}"
            is_late = version.closes is not None and version.closes <= now
            fingerprint = _digest(self.makers, facts["warned"], version.identity, version.others, version.mark, is_late)
            if tree.find_kept(name, fingerprint) is None:
                moved.append((version, name, fingerprint))
        renderer = _Renderer(self, self.find_around()) if moved else None
        with _start(renderer, [version for version, _, _ in moved]) as rendered:

            def write() -> None:
                for (_, name, fingerprint), files in zip(moved, rendered, strict=True):
                    tree.save(name, fingerprint, files, {})

            yield write

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

    def render(self, versions: Sequence[Version]) -> list[Files]:
        told = self._wanted.repository.find_told(versions)
        return [self._render(version, each) for version, each in zip(versions, told, strict=True)]

    def _render(self, version: Version, told: Told) -> Files:
        """A tender that another one speaks for has that one's page, which names its own address."""
        site, record = self._wanted.site, told.record
        calendar = None
        files: Files = {}
        if is_open(record.tender, self._wanted.now):
            calendar = tender_path(*record.tender.identity).removesuffix("html") + "ics"
            if not site.prefix:
                files[calendar] = File(self._render_calendar(record, calendar), record.changed)
        page = render_tender_page(site, told, self._around, self._wanted.now, self._wanted.discover, calendar)
        for identity in (version.identity, *version.others):
            files[f"{site.prefix}{tender_path(*identity)}"] = File(page, record.changed)
        return files

    def _render_calendar(self, record: Record, path: str) -> bytes:
        publisher = self._wanted.site.config.publisher
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


@contextmanager
def _start(renderer: _Renderer | None, versions: Sequence[Version]) -> Iterator[Iterator[Files]]:
    """The files of each of ``versions``, in their order."""
    chunks = [versions[start : start + _CHUNK] for start in range(0, len(versions), _CHUNK)]
    if renderer is None or len(versions) < MANY:
        yield (files for chunk in chunks if renderer for files in renderer.render(chunk))
        return
    # Forked, so that templates and configuration are there at once; nothing but the database is shared with others.
    fork = get_context("fork")
    with ProcessPoolExecutor(
        min(os.cpu_count() or 1, MOST_PROCESSES), mp_context=fork, initializer=_adopt, initargs=(renderer,)
    ) as pool:
        waiting = deque(pool.submit(_render, chunk) for chunk in chunks[:_AHEAD])
        try:
            yield _collect(pool, waiting, chunks[_AHEAD:])
        finally:
            pool.shutdown(cancel_futures=True)


def _collect(
    pool: ProcessPoolExecutor, waiting: deque[Future[list[Files]]], later: Sequence[Sequence[Version]]
) -> Iterator[Files]:
    left = iter(later)
    while waiting:
        yield from waiting.popleft().result()
        waiting.extend(pool.submit(_render, chunk) for chunk in [next(left, None)] if chunk)


_adopted: list[_Renderer] = []  # in a process of the pool: its own copy


def _adopt(renderer: _Renderer) -> None:
    gc.freeze()  # what the parent made stays, so nothing need look through it again
    renderer.forget_connections()
    _adopted.append(renderer)


def _render(versions: Sequence[Version]) -> list[Files]:
    return _adopted[0].render(versions)


def _digest(*parts: object) -> str:
    """Short: there is one for every tender."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
