"""Portals as readers are told of them: when each was read, what failed; the status page. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

from aggregator.config import Config, Portal
from aggregator.health import find_stale
from aggregator.models import Kind
from aggregator.run_log import LastRuns
from aggregator.verdicts import Verdict
from feeds.definitions import Channel, Feed, find_kinds
from feeds.entries import Entry, run_entry
from feeds.pages.site import Site
from feeds.words.attribution import find_attribution

KEPT = timedelta(days=1)  # a browser shows its copy of a page so long before it asks again (files.CACHE_CONTROL)
MOST_TURNS = 10  # failures and recoveries on the status page

_WORST_FIRST = (None, Verdict.BLOCKED, Verdict.FAILED, Verdict.PARTIAL, Verdict.OK)


@dataclass(frozen=True, slots=True)
class PortalState:
    """A portal and its last runs; ``told`` is the last one in words."""

    portal: Portal
    runs: LastRuns | None
    told: str

    @property
    def only_kind(self) -> Kind | None:
        """What it tells of, where that is of one kind."""
        kinds = find_kinds(self.portal)
        return kinds[0] if len(kinds) == 1 else None

    @property
    def verdict(self) -> Verdict | None:
        return self.runs.last.verdict if self.runs else None

    @property
    def is_bad(self) -> bool:
        return self.verdict not in {Verdict.OK, Verdict.PARTIAL}

    @property
    def read(self) -> datetime | None:
        """When it was last read well, in its own zone."""
        good = self.runs.good if self.runs else None
        return good.finished.astimezone(self.portal.zone) if good else None

    @property
    def late(self) -> datetime | None:
        """From when on a reader is told that the last reading is old: by the browser, for a static page cannot know.
        Never before a day has passed: a copy that a browser kept may be that old while all is well."""
        return self.read and max(self.read + KEPT, find_stale(self.portal, self.read))


def tell_portals(config: Config, runs: Mapping[str, LastRuns]) -> list[PortalState]:
    """Every portal that is read, worst first."""
    states = [_tell_portal(portal, runs.get(portal.id), config) for portal in config.portal if portal.enabled]
    return sorted(states, key=lambda state: (_WORST_FIRST.index(state.verdict), state.portal.name))


def _tell_portal(portal: Portal, runs: LastRuns | None, config: Config) -> PortalState:
    if runs is None:
        return PortalState(portal, None, "")
    last_success = runs.good.finished if runs.good else None
    return PortalState(portal, runs, run_entry(runs.last, portal, config.publisher, last_success).summary)


@dataclass(frozen=True, slots=True)
class RunWeek:
    """How the readings of each portal, by its id, ended on each of some ``days``, oldest first."""

    days: Sequence[date]
    readings: Mapping[str, Sequence[Counter[Verdict]]]

    def of(self, portal: Portal) -> list[tuple[str, int]]:
        """For each day ``none``, ``ok``, ``partial`` or ``failed``, and how many readings there were."""
        return [(_judge(day), day.total()) for day in self.readings.get(portal.id, [Counter() for _ in self.days])]


def _judge(day: Counter[Verdict]) -> str:
    if day[Verdict.OK] == day.total():
        return "ok" if day else "none"
    return "partial" if day[Verdict.OK] + day[Verdict.PARTIAL] else "failed"


def render_status(
    site: Site, states: Sequence[PortalState], turns: Sequence[Entry], feed: Feed, week: RunWeek
) -> bytes:
    """When portals were read and what failed; ``turns`` are the entries of ``feed``, the feed of failures."""
    asked = ((state.portal, find_attribution(state.portal, (), state.read)) for state in states if state.read)
    since: dict[str, datetime] = {}
    for turn in turns:  # the newest first
        since.setdefault(turn.structured["portal"], turn.published)
    return site.render(
        "status.html",
        "status.html",
        states=states,
        since={state.portal.id: since.get(state.portal.id) for state in states if state.is_bad},
        read=max((state for state in states if state.read), key=lambda state: state.read or 0, default=None),
        week=week,
        turns=turns[:MOST_TURNS],
        credits=[(portal, found) for portal, found in asked if found],
        discover=[feed],
    )


def render_status_json(
    states: Sequence[PortalState],
    channels: Sequence[tuple[Channel, int | None]],
    visits: Mapping[str, Any],
    *,
    sample: bool,
) -> bytes:
    """The same for programs: portals with their last run, feeds with the time of their newest change, and visits;
    ``sample`` says that all of it is made up."""
    status = {
        "sample": sample,
        "portals": [
            {
                "id": state.portal.id,
                "name": state.portal.name,
                "url": state.portal.url,
                "every": round(state.portal.every.total_seconds()),
                "verdict": state.verdict,
                "read": state.read.isoformat() if state.read else None,
                "fresh_until": find_stale(state.portal, state.read).isoformat() if state.read else None,
                "last_run": state.runs.last.as_dict() if state.runs else None,
                "last_run_finished": state.runs.last.finished.isoformat() if state.runs else None,
            }
            for state in states
        ],
        "feeds": [
            {
                "id": channel.feed.id,
                "title": channel.feed.title,
                "page": channel.page_url,
                "list": urljoin(channel.page_url, f"../{channel.feed.list_path}"),
                "updated": channel.updated.isoformat(),
                "packages": count,
            }
            for channel, count in channels
        ],
        "visits": visits,
    }
    return json.dumps(status, ensure_ascii=False, indent=1).encode()
