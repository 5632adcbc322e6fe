"""Archives of the feeds (RFC 5005 §4): an Atom document for each closed month, written once and never again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from aggregator.config import Config
from aggregator.repository import Repository
from feeds.contents import Contents
from feeds.definitions import Channel, Feed, Format, make_channel
from feeds.drafts import File
from feeds.entries import Entry
from feeds.rss_atom import render_atom
from feeds.tree import Part, Tree

CLOSING = timedelta(hours=12)  # a run dates what it finds by its own start, and the longest ones take hours

_PATH = re.compile(r"feeds/[a-z0-9-]+/archive/(\d{4})-(\d\d)\.atom")


class Month(NamedTuple):
    """A month of the calendar, 2026-11; later ones are greater."""

    year: int
    number: int

    @classmethod
    def of(cls, time: datetime) -> Self:
        """The month that ``time`` falls in, in the zone it is told in."""
        return cls(time.year, time.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    def move(self, months: int) -> Month:
        years, number = divmod(self.number - 1 + months, 12)
        return Month(self.year + years, number + 1)

    def start(self, zone: ZoneInfo) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=zone)


def find_last_closed(now: datetime, zone: ZoneInfo) -> Month:
    """The last month that is over in ``zone``, and that no run still tells of."""
    return Month.of((now - CLOSING).astimezone(zone)).move(-1)


def _find_newest_time(repository: Repository) -> datetime | None:
    """Until when the database tells of anything; None: of nothing."""
    times = [portal.last.finished for portal in repository.find_last_runs().values()]
    times += filter(None, [repository.find_newest_change()])
    return max(times, default=None)


def archive_path(feed: Feed, month: Month) -> str:
    """Where an archive stands in the published tree."""
    return f"feeds/{feed.id}/archive/{month}.atom"


def is_archive(path: str) -> bool:
    """Whether a path of the published tree is an archive's, whose bytes never change."""
    return _PATH.fullmatch(path) is not None


def write_archives(
    tree: Tree, config: Config, repository: Repository, feeds: Sequence[Feed], now: datetime
) -> dict[str, str]:
    """Writes the archives that are not there yet; the address of each feed's newest one, by the feed's id.

    What lies in the tree stays as it is, whatever has changed since: words, programs or the tenders themselves. Only
    what lies beyond the last month that is over, for a clock was ahead, goes. A month is closed when both the clock
    and what was read since say that it is over.
    """
    zone = ZoneInfo(config.publisher.timezone)
    over, newest_time, seq = find_last_closed(now, zone), _find_newest_time(repository), repository.find_newest_seq()
    parts = {feed.id: _keep(tree, feed, over) for feed in feeds}
    newest = {feed_id: _address(config, max(part.files)) for feed_id, part in parts.items() if part and part.files}
    if newest_time is None:
        return newest
    last = min(over, find_last_closed(newest_time, zone))
    # The fingerprint of a part is the last month that was looked at.
    due = [feed for feed in feeds if (part := parts[feed.id]) is None or part.fingerprint < str(last)]
    for month in _find_months(tree, config, repository, due, last, now) if due else ():
        wanted = [feed for feed in due if (part := parts[feed.id]) is None or part.fingerprint < str(month)]
        late = {feed.id: part.facts["seq"] for feed in wanted if (part := parts[feed.id]) and "seq" in part.facts}
        for feed, path, file in _make(tree, config, repository, wanted, newest, month, now, late):
            parts[feed.id] = tree.save(_name(feed), str(month), {path: file}, {}, kept=parts[feed.id])
            newest[feed.id] = _address(config, path)
    for feed in due:
        parts[feed.id] = tree.save(_name(feed), str(last), {}, {"seq": seq}, kept=parts[feed.id])
    return newest


def _keep(tree: Tree, feed: Feed, over: Month) -> Part | None:
    """The archives of a feed as they lie there, but for those beyond ``over``."""
    part = tree.find_kept(_name(feed))
    if part is None or part.fingerprint <= str(over):
        return part
    most = archive_path(feed, over)
    files = {path: stamp for path, stamp in part.files.items() if path <= most}
    return tree.save(_name(feed), str(over), {}, part.facts, kept=replace(part, files=files))


def _address(config: Config, path: str) -> str:
    return config.publisher.url + path


def _name(feed: Feed) -> str:
    return f"archives {feed.id}"


def _find_months(
    tree: Tree, config: Config, repository: Repository, feeds: Sequence[Feed], last: Month, now: datetime
) -> Iterator[Month]:
    """From the first month that something is known of, or that has an archive, to ``last``."""
    zone = ZoneInfo(config.publisher.timezone)
    turns = Contents(config, repository, now).find_turns(None)
    times = [repository.find_first_release(), *(entry.updated for entry in turns[-1:])]
    months = [Month.of(time.astimezone(zone)) for time in times if time]
    for feed in feeds:
        lying = (path.relative_to(tree.root).as_posix() for path in (tree.root / f"feeds/{feed.id}/archive").glob("*"))
        months += [Month(int(found[1]), int(found[2])) for path in lying if (found := _PATH.fullmatch(path))]
    month = min(months, default=last.move(1))
    while month <= last:
        yield month
        month = month.move(1)


def _make(
    tree: Tree,
    config: Config,
    repository: Repository,
    feeds: Sequence[Feed],
    newest: Mapping[str, str],
    month: Month,
    now: datetime,
    late: Mapping[str, int],
) -> Iterator[tuple[Feed, str, File]]:
    """The archives of one month: what lies there, else what is known of it now.

    ``newest`` are the addresses of those of the month before, by the feed's id. The first one that a feed has is of a
    month that told something; from there on every month has its own. ``late`` are seqs, by the feed's id: what is of
    the month before but came after that one, so that its archive was written already, stands in this one.
    """
    lying = {feed.id: _load(tree.root / archive_path(feed, month)) for feed in feeds}
    missing = [feed for feed in feeds if lying[feed.id] is None]
    zone = ZoneInfo(config.publisher.timezone)
    # Contents of its own, so that what it words is forgotten with the month.
    start, end = month.start(zone), month.move(1).start(zone)
    told = Contents(config, repository, now).find_between(missing, start, end, month.move(-1).start(zone), late)
    for feed in feeds:
        file, entries = lying[feed.id], told.get(feed.id, ())
        if file is None and (entries or feed.id in newest):
            channel = _make_channel(feed, config, entries, month, newest.get(feed.id))
            file = File(render_atom(channel, entries), channel.updated)
        if file:
            yield feed, archive_path(feed, month), file


def _load(target: Path) -> File | None:
    try:
        return File(target.read_bytes(), datetime.fromtimestamp(target.stat().st_mtime, UTC))
    except FileNotFoundError:
        return None


def _make_channel(feed: Feed, config: Config, entries: Sequence[Entry], month: Month, previous: str | None) -> Channel:
    """Without hub: there is nothing to wait for. Validators ask each archive for a neighbour: the first names the one
    that will come after it."""
    channel = make_channel(feed, config, entries)
    end = month.move(1).start(ZoneInfo(config.publisher.timezone))
    return replace(
        channel,
        urls={**channel.urls, Format.ATOM: _address(config, archive_path(feed, month))},
        updated=channel.updated if entries else end,
        hub=None,
        current=channel.urls[Format.ATOM],
        previous=previous,
        following=None if previous else _address(config, archive_path(feed, month.move(1))),
    )
