"""The search page for plain file hosts, where the reader's browser searches: its words, and its HTML. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.models import Category, Kind, Method, Status
from feeds.definitions import BIDDABLE, OPEN, Group
from feeds.pages.listing import PAGE_ROWS
from feeds.pages.lists import Card
from feeds.pages.marks import find_chip
from feeds.pages.narrowing import MOST_CHOICES, SHOWN, SPANS, THRESHOLDS, name_active, name_under_way
from feeds.pages.site import Site
from feeds.query import list_pairs
from feeds.words.wording import Wording

PATH = "cari.html"

_PHRASES = (
    "facet_deadline",
    "facet_value",
    "sort_deadline",
    "sort_published",
    "sort_value",
    "sort_changed",
    "at_least",
    "up_to",
    "at_most",
    "one_day",
    "days",
    "within",
    "closes_within",
    "moment",
    "days_ahead",
    "days_ago",
    "deadline_from",
    "deadline_to",
    "published_from",
    "published_to",
    "changed_since",
    "located",
    "keyed",
    "of_year",
    "only_retenders",
    "no_retenders",
    "any_status",
    "active",
    "all_active",
    "not_closed",
    "perubahan",
    "announced_on",
    "method_name",
    "semua",
    "short_value",
    "short_budget",
    "none",
    "and_source",
    "and_sources",
    "million",
    "billion",
    "trillion",
    "bad_value",
    "example",
    "choices",
    "searched",
    "way_complete",
    "way_open",
    "way_any",
    "way_word",
    "way_all",
    "UNKNOWN_KEY",
    "SEVERAL",
    "TOO_MANY",
    "LENGTH",
    "UNKNOWN_CODE",
    "NO_WHOLE_NUMBER",
    "OUT_OF_RANGE",
    "NO_AMOUNT",
    "NO_MOMENT",
    "NO_FLAG",
)
_LABELS = ("category", "method", "procuring_entity", "kind", "status", "retender")
_CODES: tuple[Kind | Category | Method | Status, ...] = (*Kind, *Category, *Method, *Status)
_BLANKS = (
    "money",
    "count",
    "span",
    "time",
    "place",
    "key",
    "year",
    "name",
    "date",
    "portal",
    "right",
    "value",
    "least",
    "most",
    "what",
    "hint",
    "word",
)


def render_search(site: Site, cards: Sequence[Card]) -> bytes:
    """The page; ``cards`` are the feeds published."""
    general = [card.feed for card in cards if card.feed.group is Group.GENERAL]
    return site.render(
        "static-search.html",
        PATH,
        words=json.dumps(_find_words(site), ensure_ascii=False, separators=(",", ":")),
        form_pairs=list_pairs(BIDDABLE, "q"),
        slices=[card for card in cards if card.count and card.feed.group is not Group.GENERAL],
        discover=[feed for feed in general if feed.id in {"semua", "perubahan"}],
    )


def _find_words(site: Site) -> dict[str, Any]:
    """What the script says, by phrase; what it puts in stands in braces."""
    publisher = site.config.publisher
    wording = Wording(publisher.language, ZoneInfo(publisher.timezone))
    blanks = {name: f"{{{name}}}" for name in _BLANKS}
    return {
        **{phrase: wording.say(phrase, **blanks) for phrase in _PHRASES},
        "labels": {field: wording.label(field) for field in _LABELS},
        "names": {code: wording.name(code) for code in _CODES},
        "chips": {status: find_chip(status, Kind.RECORDED, wording) for status in Status},
        "actives": {kind: name_active([kind], wording) for kind in Kind if kind not in OPEN.kind},
        "under_way": name_under_way(wording),
        "spans": [moment.text for moment in SPANS],
        "shown": SHOWN,
        "choices_shown": MOST_CHOICES,
        "rows": PAGE_ROWS,
        "thresholds": [int(least) for least in THRESHOLDS],
    }
