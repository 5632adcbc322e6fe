"""How a package stands, as a tag: a word that fits its kind, a shape and a colour, the same in rows and pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from aggregator.models import Kind, Status
from feeds.definitions import OPEN
from feeds.words.wording import Wording

_TOLD_ONCE = (Kind.PLAN, Kind.NOTICE, Kind.NEWS)  # announcements that have no state to follow
_LOOKS: Mapping[Status, tuple[str, str]] = {
    Status.PLANNED: ("calendar", ""),
    Status.ACTIVE: ("ring", ""),
    Status.COMPLETE: ("check", "done"),
    Status.CANCELLED: ("shut", ""),
    Status.UNSUCCESSFUL: ("shut", ""),
    Status.WITHDRAWN: ("gone", "gone"),
}


class Mark(NamedTuple):
    """A tag: its word, icon and tone."""

    label: str
    icon: str
    tone: str = ""


def find_mark(status: Status, kind: Kind, closes: datetime | None, at: datetime, wording: Wording) -> Mark:
    """The status as it stands ``at`` that time; ``closes`` is when bids or registration do."""
    word = wording.status(status, kind, closes, at)
    if status is Status.ACTIVE and closes is not None and closes <= at:
        return Mark(word, "shut")
    icon, tone = _LOOKS[status]
    return Mark(word, icon, "open" if status is Status.ACTIVE and word == wording.name(status) else tone)


def find_chip(status: Status | None, kind: Kind, wording: Wording) -> Mark | None:
    """What stands beside the deadline; None for what can be bid for, where the deadline says it all."""
    if status is None or kind in _TOLD_ONCE or (status is Status.ACTIVE and kind in OPEN.kind):
        return None
    icon, tone = _LOOKS[status]
    return Mark(wording.status(status, kind), icon, tone)
