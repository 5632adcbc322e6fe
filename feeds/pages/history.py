"""How a purchase came to be what it is: its changes for a page, newest first, and its schedule before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from aggregator.models import Event, Milestone, Release, Tender
from feeds.words.headlines import Move, tell_apart
from feeds.words.text import clip
from feeds.words.wording import Wording

Past = Sequence[tuple[Release, Tender]]  # newest first, each tender as its release left it


class Change(NamedTuple):
    """One release in words, and its ``time`` for programs; ``portal`` names who told it where several do, ``more``
    counts the moves left out."""

    headline: str
    time: str
    time_text: str
    portal: str
    notes: Sequence[str]
    moves: Sequence[Move]
    more: int


def tell_history(
    past: Past, wordings: Mapping[str, Wording], names: Mapping[str, str], most: int, length: int
) -> list[Change]:
    """The newest ``most`` changes; texts are cut at ``length`` characters. ``wordings`` and ``names`` are those of
    portals by their ids; a portal without a name is not named."""
    return [
        _tell_change(release, tender, past, wordings[release.portal], names.get(release.portal, ""), length)
        for release, tender in islice(past, most)
    ]


_MOST_MOVES = 8


def _tell_change(release: Release, tender: Tender, past: Past, wording: Wording, portal: str, length: int) -> Change:
    since = _find_missing_since(release, past) if Event.RETURNED in release.events else None
    news, moves = tell_apart(release, tender, wording, since)
    shown = [Move(*(clip(text, length) for text in move)) for move in moves[:_MOST_MOVES]]
    notes = [clip(line, 2 * length) for line in news.lines]
    told = wording.short_time(release.time)
    time = release.time.astimezone(wording.zone).isoformat(timespec="seconds")
    return Change(news.headline, time, told, portal, notes, shown, len(moves[_MOST_MOVES:]))


def _find_missing_since(returned: Release, past: Past) -> datetime | None:
    own = (release for release, _ in past if (release.portal, release.key) == (returned.portal, returned.key))
    return next((each.time for each in own if each.time < returned.time and Event.WITHDRAWN in each.events), None)


def find_former_rows(rows: Iterable[Milestone], past: Past) -> dict[str, Milestone]:
    """By the title of a row of the schedule that moved: the row as it last was before."""
    current = {row.title: (row.starts, row.ends) for row in rows}
    former: dict[str, Milestone] = {}
    for release, _ in past:
        for change in release.changes:
            if change.field == "milestones":
                after = {row["title"]: row for row in change.new or []}
                # Most rows stay: only those that are written otherwise are read.
                for row in (Milestone.from_dict(each) for each in change.old or [] if each != after.get(each["title"])):
                    if row.title in current and (row.starts, row.ends) != current[row.title]:
                        former.setdefault(row.title, row)
    return former
