"""Writes the statistics of each year into the tree, in every edition of the site."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from aggregator.reports import find_year, find_years
from aggregator.repository import Repository
from feeds.drafts import File
from feeds.pages.site import Site
from feeds.pages.statistics import csv_path, render_csv, render_statistics, year_path
from feeds.tree import Tree

YEARS = 5  # with a page of their own, this one included


def write_statistics(tree: Tree, sites: Sequence[Site], repository: Repository, now: datetime, makers: str) -> None:
    """The page of this year and of each one before that has packages; ``makers`` tells what they are made by.

    This year is counted anew whenever something was read, the others once a day: hardly anything moves in them.
    """
    config = sites[0].config
    zone, portals = ZoneInfo(config.publisher.timezone), [portal.id for portal in config.portal]
    today = now.astimezone(zone).date()
    earlier = range(today.year - 1, today.year - YEARS, -1)
    years = [today.year, *find_years(repository.engine, earlier, zone, portals)]
    state = repository.find_state()
    for year in years:
        fingerprint = repr((makers, today, years, state if year == today.year else None))
        if tree.find_kept(f"statistics {year}", fingerprint):
            continue
        report = find_year(repository.engine, year, zone, portals)
        files = {
            f"{site.prefix}{year_path(year, today)}": render_statistics(site, report, years, now) for site in sites
        }
        files[csv_path(year)] = render_csv(report)
        tree.save(f"statistics {year}", fingerprint, {path: File(body, now) for path, body in files.items()}, {})
