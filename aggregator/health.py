"""Whether all is well, for `warta status`: portals read in time, and what they told published. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.config import Config, Portal
from aggregator.models import Verdict
from aggregator.repository import LastRuns
from aggregator.runs import find_next

LATE = 4  # times `every`: a last run so long ago, or a publish so far behind the last run, is not healthy


def tell_health(
    config: Config,
    last_runs: Mapping[str, LastRuns],
    database: str,
    tenders: int,
    published: datetime | None,
    now: datetime,
) -> dict[str, Any]:
    """The object that `warta status --json` prints. Portals that are switched off are told but do not count.

    ``published`` is when the last publish ended.
    """
    portals = [tell_portal(portal, last_runs.get(portal.id), now) for portal in config.portal]
    in_time = is_published_in_time(config, last_runs, published)
    updated = published.astimezone(ZoneInfo(config.publisher.timezone)).isoformat("T", "seconds") if published else None
    return {
        "healthy": in_time and all(portal["healthy"] for portal in portals if portal["enabled"]),
        "portals": portals,
        "database": {"url": database, "tenders": tenders},
        "published": {"directory": str(config.public_folder), "updated": updated, "healthy": in_time},
    }


def is_published_in_time(config: Config, last_runs: Mapping[str, LastRuns], published: datetime | None) -> bool:
    """Whether the last publish is not far behind the newest run; the portal read most often says what far is."""
    portals = [portal for portal in config.portal if portal.enabled]
    runs = [last_runs[portal.id].last.finished for portal in portals if portal.id in last_runs]
    if published is None or not runs:
        return published is not None
    return max(runs) - published <= LATE * min(portal.every for portal in portals)


def tell_portal(portal: Portal, runs: LastRuns | None, now: datetime) -> dict[str, Any]:
    """One portal as `warta portals --json` prints it; times in the portal's zone."""
    last, good = (runs.last, runs.good) if runs else (None, None)
    due, sweep = find_next(portal, runs, now)
    in_time = last is not None and now - last.finished <= LATE * portal.every
    return {
        "portal": portal.id,
        "name": portal.name,
        "url": portal.url,
        "enabled": portal.enabled,
        "verdict": last.verdict if last else None,
        "reasons": list(last.reasons) if last else [],
        "last_run": last.finished.astimezone(portal.zone).isoformat() if last else None,
        "last_good": good.finished.astimezone(portal.zone).isoformat() if good else None,
        "next_due": max(due, now).astimezone(portal.zone).isoformat(),
        "next_sweep": sweep,
        "healthy": in_time and last is not None and last.verdict in {Verdict.OK, Verdict.PARTIAL},
    }
