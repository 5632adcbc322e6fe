"""Whether all is well, for `warta status`: portals read in time, something published. Reads only file times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aggregator.config import Config, Portal
from aggregator.models import Verdict
from aggregator.repository import LastRuns
from aggregator.runs import find_next

LATE = 4  # a portal is not healthy when its last run is more than this many times `every` ago


def tell_health(
    config: Config, last_runs: Mapping[str, LastRuns], database: str, tenders: int, now: datetime
) -> dict[str, Any]:
    """The object that `warta status --json` prints. Portals that are switched off are told but do not count."""
    portals = [tell_portal(portal, last_runs.get(portal.id), now) for portal in config.portal]
    index = config.public_folder / "index.html"
    updated = datetime.fromtimestamp(index.stat().st_mtime, UTC).isoformat() if index.exists() else None
    return {
        "healthy": updated is not None and all(portal["healthy"] for portal in portals if portal["enabled"]),
        "portals": portals,
        "database": {"url": database, "tenders": tenders},
        "published": {"directory": str(config.public_folder), "updated": updated},
    }


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
