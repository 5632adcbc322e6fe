"""What may leave the raw archive: whole segments, the oldest first, as the configured age and size ask.

A body that a kept answer refers to is carried over before its segment goes, so that what is kept can be read. The
newest full run of each portal stays, whatever its age: a mended parser always has whole lists to read again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from aggregator.archive import GONE, Archive, ArchiveBusy, ArchivedRun, ArchiveError
from aggregator.config import Crawl
from aggregator.lines import count, tell_size
from aggregator.repository import Repository

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A segment as planning sees it: its size in bytes and the time of its newest run; ``kept``: it may not go.

    ``newest`` is None where the index knows nothing of it: it does not go either.
    """

    name: str
    size: int
    newest: datetime | None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """Segments, the oldest first, and their bytes."""

    names: tuple[str, ...] = ()
    size: int = 0

    def as_dict(self) -> dict[str, int]:
        return {"segments": len(self.names), "bytes": self.size}


def plan_removal(holdings: Iterable[Holding], keep: timedelta | None, size: int, now: datetime) -> Removal:
    """What goes: segments of which no run is younger than ``keep``, and the oldest while all are over ``size``."""
    held = list(holdings)
    left = sum(each.size for each in held)
    aged = [(each.newest, each.name, each.size) for each in held if each.newest and not each.kept]
    names: list[str] = []
    gone = 0
    for newest, name, its_size in sorted(aged):
        if left - gone > size or (keep is not None and now - newest > keep):
            names.append(name)
            gone += its_size
    return Removal(tuple(names), gone)


def find_newest_full(runs: Iterable[ArchivedRun], full: str) -> list[ArchivedRun]:
    """Of each portal the newest run that was asked for ``full``: the newest good one, where any is known as such.

    One that broke off, or is still under way, does not take the place of a good one.
    """
    found: dict[str, ArchivedRun] = {}
    for run in runs:
        if run.asked == full:
            before = found.get(run.portal)
            if before is None or (run.good, run.run) > (before.good, before.run):
                found[run.portal] = run
    return list(found.values())


def _tell_runs(runs: Sequence[ArchivedRun]) -> dict[str, Any]:
    times = [run.run for run in runs]
    return {
        "runs": len(runs),
        "answers": sum(run.answers for run in runs),
        "oldest": min(times).isoformat() if times else None,
        "newest": max(times).isoformat() if times else None,
    }


def render_archive(told: Mapping[str, Any]) -> str:
    """What ``look_at`` told, for people: a line a portal, then the whole."""
    rows = [("portal", "runs", "answers", "oldest (UTC)", "newest (UTC)")]
    for of in told["portals"]:
        days = [of[end][:16].replace("T", " ") for end in ("oldest", "newest")]
        rows.append((of["portal"], str(of["runs"]), str(of["answers"]), *days))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(
        f"{told['archive']}: {tell_size(told['bytes'])} in {count(told['segments'], 'segment')},"
        f" {count(told['answers'], 'answer')} of {count(told['runs'], 'run')}"
    )
    for done, words in (("removed", "Removed"), ("removable", "The limits would remove at most")):
        if told[done]["segments"] or done == "removable":
            lines.append(f"{words}: {count(told[done]['segments'], 'segment')}, {tell_size(told[done]['bytes'])}")
    return "\n".join(lines)


# At the rim ---------------------------------------------------------------------------------------------


def find_sizes(folder: Path) -> Mapping[str, int]:
    """Bytes on disk of each segment of the archive in ``folder``."""
    sizes: dict[str, int] = {}
    for path in folder.glob("*.zst"):
        with suppress(FileNotFoundError):  # removed by another process since
            sizes[path.name] = path.stat().st_size
    return sizes


def find_holdings(archive: Archive, repository: Repository, full: str) -> list[Holding]:
    """The segments as they are; those of each portal's newest full run are kept."""
    times, kept = repository.find_segment_times(), set[str]()
    for run in find_newest_full(repository.find_all_archived(), full):
        kept |= repository.find_segments_of(run.portal, run.run)
    return [
        Holding(name=name, size=size, newest=times.get(name), kept=name in kept)
        for name, size in find_sizes(archive.folder).items()
    ]


def prune_archive(archive: Archive, repository: Repository, limits: Crawl, full: str, now: datetime) -> Removal:
    """Removes what the limits ask for and tells what went. Cheap when nothing is to do; safe beside any crawl.

    ``full`` is what a run was asked for that left nothing out, in the archive's words. What cannot go now (another
    process writes to it, most of it is needed) stays for a later call. ArchiveError, DatabaseError.
    """
    if not _may_have_to(archive, repository, limits, now):
        return Removal()
    removed: dict[str, int] = {}
    with suppress(ArchiveBusy):  # the rest goes another time
        with archive.alone():
            archive.reindex()
        for name, size in _remove_planned(archive, repository, limits, full, now):
            removed[name] = size
    return Removal(tuple(removed), sum(removed.values()))


def _remove_planned(
    archive: Archive, repository: Repository, limits: Crawl, full: str, now: datetime
) -> Iterator[tuple[str, int]]:
    """Plans and removes until nothing more can go. Ends: each turn removes a segment, or leaves those that stay out."""
    stays: set[str] = set()
    while True:
        held = [replace(h, kept=h.kept or h.name in stays) for h in find_holdings(archive, repository, full)]
        plan = plan_removal(held, limits.archive_keep, limits.archive_size, now)
        if not plan.names:
            return
        sizes = {each.name: each.size for each in held}
        # The newest of them first: what it needed of an older one then need not be carried over.
        moved = False
        for name in reversed(plan.names):
            if _remove(archive, name, plan.names, now):
                moved = True
                yield name, sizes[name]
        stays = set() if moved else stays | set(plan.names)


def look_at(
    archive: Archive, repository: Repository, limits: Crawl, full: str, now: datetime, *, prune: bool
) -> dict[str, Any]:
    """What the archive holds and what its limits would remove, as `warta archive --json` prints it.

    With ``prune`` that goes first. Sizes in bytes, ``keep`` in seconds. Errors as ``prune``.
    """
    removed = prune_archive(archive, repository, limits, full, now) if prune else Removal()
    holdings = find_holdings(archive, repository, full)
    runs = repository.find_all_archived()
    return {
        "archive": str(archive.folder),
        "bytes": sum(each.size for each in holdings),
        "segments": len(holdings),
        **_tell_runs(runs),
        "limits": {
            "keep": None if limits.archive_keep is None else int(limits.archive_keep.total_seconds()),
            "size": limits.archive_size,
        },
        "removable": plan_removal(holdings, limits.archive_keep, limits.archive_size, now).as_dict(),
        "removed": removed.as_dict(),
        "portals": [
            {"portal": portal, **_tell_runs(list(its))} for portal, its in groupby(runs, key=lambda run: run.portal)
        ],
    }


def _remove(archive: Archive, name: str, avoid: Sequence[str], now: datetime) -> bool:
    try:
        return archive.remove(name, avoid, now)
    except ArchiveBusy:
        raise
    except ArchiveError as error:
        logger.warning("%s stays: %s", name, error)
        return False


def _may_have_to(archive: Archive, repository: Repository, limits: Crawl, now: datetime) -> bool:
    """Looks at the folder, and where an age is set at the index: whether planning is worth its cost."""
    if any(archive.folder.glob(f"*{GONE}")) or sum(find_sizes(archive.folder).values()) > limits.archive_size:
        return True
    oldest = repository.find_oldest_archived() if limits.archive_keep is not None else None
    return oldest is not None and limits.archive_keep is not None and now - oldest > limits.archive_keep
