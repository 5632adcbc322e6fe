"""What a run has read of each process, and whether the publisher kept its word about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aggregator.verdicts import Problem
from spiders.ocds.options import Window
from spiders.ocds.packages import OPENING_TAGS, Package, Release


@dataclass
class Chain:
    """The pages of one listing or window, each named by the one before. ``place`` names it in problems.

    ``seen`` holds ocid and id of every release that came, and what is told of those that cannot be read. ``deaf``: the
    publisher does not listen to the window that it is asked for, so there is no use in reading on.
    """

    place: str
    window: Window | None = None
    slack: timedelta = timedelta(0)
    seen: set[tuple[str, str]] = field(default_factory=set)
    records: set[str] = field(default_factory=set)
    deaf: bool = False

    def accept(self, package: Package) -> tuple[list[Release], list[Problem]]:
        """The releases of one more page that are new and stand in the window, and what is wrong with the others."""
        kept, problems = [], [Problem("shape", f"{self.place}: {e}", e.sample) for e in package.rejected]
        self.seen.update((str(error), error.sample) for error in package.rejected)
        problems += [Problem("unknown_label", f"package field {name}", self.place) for name in package.unknown]
        for ocid in package.records:
            if ocid in self.records:
                problems.append(Problem("duplicate_key", f"{self.place}: two records of one ocid", ocid))
            self.records.add(ocid)
        outside = [f"{release.id} {release.date}" for release in package.releases if self._is_outside(release.date)]
        if 2 * len(outside) > len(package.releases):
            self.deaf = True
            told = f"the window is ignored: {len(outside)} of {len(package.releases)} releases are of another time"
            return [], [*problems, Problem("listing", f"{self.place}: {told}", outside[0])]
        for release in package.releases:
            if (release.ocid, release.id) in self.seen:
                problems.append(Problem("duplicate_key", f"{self.place}: a release twice", release.id))
            elif self._is_outside(release.date):
                problems.append(
                    Problem("filter", f"{self.place}: a release of another time", f"{release.id} {release.date}")
                )
            else:
                kept.append(release)
            self.seen.add((release.ocid, release.id))
        return kept, problems

    def _is_outside(self, date: datetime) -> bool:
        if self.window is None:
            return False
        # Ends are asked for in whole seconds.
        return not self.window.start - self.slack <= date < self.window.stop + self.slack + timedelta(seconds=1)


@dataclass
class Shelf:
    """Releases by ocid and id; where windows overlap the same release comes twice and stays one."""

    processes: dict[str, dict[str, Release]] = field(default_factory=dict)

    def put(self, release: Release) -> None:
        """Keeps a release; of two readings of one id the later published one."""
        kept = self.processes.setdefault(release.ocid, {})
        if release.id not in kept or kept[release.id].date < release.date:
            kept[release.id] = release

    def __len__(self) -> int:
        return sum(len(releases) for releases in self.processes.values())

    def __iter__(self) -> Iterator[tuple[str, list[Release]]]:
        """Each ocid with its releases, oldest first; from its newest sum on, where there is one."""
        for ocid, releases in self.processes.items():
            ordered = sorted(releases.values(), key=lambda release: (release.date, release.id))
            sums = [number for number, release in enumerate(ordered) if release.compiled]
            yield ocid, ordered[sums[-1] :] if sums else ordered

    def newest(self) -> datetime | None:
        return max((r.date for releases in self.processes.values() for r in releases.values()), default=None)


def is_opened(releases: list[Release]) -> bool:
    """Whether a process is told from its beginning, and not from the middle."""
    return any(OPENING_TAGS & set(release.tags) or release.compiled for release in releases)
