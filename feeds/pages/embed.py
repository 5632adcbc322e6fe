"""The embeds of a feed: the page that other sites show in a frame, and the oEmbed answer that names it. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from aggregator.models import Kind, Status
from feeds.addresses import embed_path, tender_path
from feeds.definitions import Channel, Feed
from feeds.entries import Entry
from feeds.opml import make_title
from feeds.pages.site import Site
from feeds.words.wording import Wording

MOST_ROWS = 20  # on the page; its script shows as many of them as ``?items=`` asks for
FIRST_ROWS = 8  # shown where nobody asks
OEMBED_ROWS = 6  # WordPress lets a frame grow to 1000 pixels; where they need more, the page's script shows fewer
OEMBED_WIDTH, OEMBED_HEIGHT = 600, 640
OEMBED_AGE = 24 * 60 * 60  # seconds; the answer itself never changes, what the frame shows is always fresh


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRow:
    """One line of an embed. ``url`` leads from the top of the edition unless it is an address of its own; ``time`` is
    a deadline or when news was found, None where neither is known; ``closes``: it is a deadline, and ``can_bid``:
    until then anybody may bid."""

    title: str
    url: str
    about: str
    time: datetime | None
    told: str
    closes: bool
    can_bid: bool


def render_embed(site: Site, channel: Channel, entries: Sequence[Entry], count: int | None) -> bytes:
    """The page for frames: complete without scripts, with MOST_ROWS rows at most. Its script adds what is known at
    view time only: relative days, what is closed since, when the portals were read, the height of the frame."""
    is_news = channel.feed.kind != "tenders"
    rows = [_make_row(entry, site, is_news=is_news) for entry in entries]
    if not is_news:
        # As of the newest change and not of the clock, so that the same entries give the same bytes.
        rows.sort(key=lambda row: _rank(row, channel.updated))
    return site.render(
        "embed.html",
        embed_path(channel.feed.id),
        feed=channel.feed,
        page_address=_find_address(site, f"feeds/{channel.feed.id}.html"),
        rows=rows[:MOST_ROWS],
        first_rows=FIRST_ROWS,
        count=count,
        portals=sorted({entry.structured["portal"] for entry in entries[:MOST_ROWS]}),
    )


def _rank(row: EmbedRow, now: datetime) -> tuple[int, float]:
    """Closing soonest first, then what has no day yet, then what is closed, as the list of open packages has it."""
    if row.time is None or not row.closes:
        return 1, 0.0
    seconds = (row.time - now).total_seconds()
    return (0, seconds) if seconds > 0 else (2, -seconds)


def _make_row(entry: Entry, site: Site, *, is_news: bool) -> EmbedRow:
    told, config = entry.structured, site.config
    zone = config.find_portal(told["portal"]).zone
    wording = Wording(config.publisher.language, zone)
    time = entry.published if is_news else entry.starts
    closes = time is not None and not is_news
    return EmbedRow(
        title=entry.title,
        url=_find_page(entry),
        about=told["about"],
        time=time and time.astimezone(zone),
        told=wording.short_time(time) if time else "",
        closes=closes,
        can_bid=closes and told.get("status") == Status.ACTIVE,
    )


def _find_page(entry: Entry) -> str:
    """The page of the tender; news and failures lead where their entries do."""
    told = entry.structured
    if "key" not in told or told["kind"] == Kind.NEWS:
        return entry.url
    return tender_path(told["portal"], Kind(told["kind"]), told["key"])


def render_oembed(site: Site, feed: Feed) -> bytes:
    """The oEmbed 1.0 answer of a feed's page.

    WordPress keeps only blockquote, a and iframe of it, hides the frame until it tells its height, and loads the
    script that listens for this only where there is a blockquote (wp_maybe_enqueue_oembed_host_js).
    """
    name = make_title(site.config.publisher)
    page, frame = _find_address(site, f"feeds/{feed.id}.html"), _find_address(site, embed_path(feed.id))
    html = (
        f'<blockquote><a href="{escape(page)}">{escape(feed.title)}</a></blockquote>'
        f'<iframe src="{escape(frame)}?items={OEMBED_ROWS}" title="{escape(f"{feed.title} – {name}")}" '
        f'width="100%" height="{OEMBED_HEIGHT}" frameborder="0"></iframe>'
    )
    answer = {
        "type": "rich",
        "version": "1.0",
        "title": feed.title,
        "provider_name": name,
        "provider_url": _find_address(site, ""),
        "cache_age": OEMBED_AGE,
        "html": html,
        "width": OEMBED_WIDTH,
        "height": OEMBED_HEIGHT,
    }
    return json.dumps(answer, ensure_ascii=False, indent=1).encode()


def _find_address(site: Site, path: str) -> str:
    """``path`` in this edition as an absolute address."""
    return f"{site.config.publisher.url}{site.prefix}{path}"
