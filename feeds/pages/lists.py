"""The list of open packages, the catalogue of feeds, and the page of one feed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from aggregator.models import Record
from feeds.addresses import embed_path
from feeds.definitions import Channel, Feed, Format, Group
from feeds.entries import Entry
from feeds.pages.listing import Identity, OpenList, Row, make_row
from feeds.pages.narrowing import Narrowing
from feeds.pages.portals import PortalState
from feeds.pages.site import Site

PREVIEW = 15  # entries on the page of a feed
MOST_LINES = 3  # portals told one by one above the list; the status page tells all
DISCOVERED = ("semua", "perubahan")  # what feed readers find on pages that are not about one feed


@dataclass(frozen=True, slots=True)
class Card:
    """A published feed as other pages name it; ``count``: the packages it is about that have not closed yet, None
    where it tells something else."""

    feed: Feed
    count: int | None


def list_path(number: int) -> str:
    """Page ``number`` (from 1) of the open packages."""
    return "index.html" if number == 1 else f"paket/{number}.html"


def render_list(
    site: Site,
    listed: OpenList,
    number: int,
    states: Sequence[PortalState],
    cards: Sequence[Card],
    notes: Mapping[Identity, str],
    narrowing: Narrowing,
) -> bytes:
    """Page ``number`` (from 1) of the open packages; ``notes`` tell what changed last. Reading times stand on the
    first page only, so that the others stay as they are while no package changes."""
    portals = {portal.id: portal for portal in site.config.portal}
    language = site.config.publisher.language
    sections: list[tuple[Any, list[Row]]] = []
    for section in listed.pages[number - 1]:
        noted = ((record, find_note(record, notes)) for record in section.records)
        sections.append((section, [make_row(record, portals, language, note) for record, note in noted]))
    before = sum(len(section.records) for page in listed.pages[: number - 1] for section in page)
    return site.render(
        "list.html",
        list_path(number),
        listed=listed,
        sections=sections,
        places=list(dict.fromkeys(section.place for section, _ in sections)),
        number=number,
        first=before + 1,
        last=before + sum(len(rows) for _, rows in sections),
        states=states if number == 1 else (),
        most_lines=MOST_LINES,
        narrowing=narrowing,
        addresses=list_formats(site, "feeds/semua.{form}"),
        news=[card.feed for card in cards if card.feed.group is Group.GENERAL and card.feed.id != "semua"],
        discover=_discovered(cards),
    )


def list_formats(site: Site, path: str) -> list[tuple[str, str]]:
    """The four forms of a feed as they are called, each with its place in the tree: ``path`` with its ``{form}``."""
    calendar = "Kalender" if site.config.publisher.language == "id" else "Calendar"
    names = {Format.RSS: "RSS", Format.ATOM: "Atom", Format.JSON: "JSON", Format.CALENDAR: calendar}
    return [(name, path.replace("{form}", form)) for form, name in names.items()]


def find_note(record: Record, notes: Mapping[Identity, str]) -> str:
    """The last change that one of the purchase's sources told."""
    tellers = [record.tender.identity, *((source.portal, source.kind, source.key) for source in record.sources)]
    return next((note for identity, note in notes.items() if identity in tellers), "")


def render_catalogue(site: Site, cards: Sequence[Card]) -> bytes:
    """All feeds, by group."""
    return site.render("catalogue.html", "feeds/index.html", groups=_group(cards), discover=_discovered(cards))


def render_feed_page(
    site: Site, channel: Channel, entries: Sequence[Entry], count: int | None, others: Sequence[Feed]
) -> bytes:
    """The page of one feed: how to subscribe, and what a reader shows. ``others`` are feeds named beside it."""
    address = channel.urls[Format.CALENDAR]
    return site.render(
        "feed.html",
        f"feeds/{channel.feed.id}.html",
        feed=channel.feed,
        feed_address=channel.urls[Format.RSS],
        embed_address=f"{site.config.publisher.url}{site.prefix}{embed_path(channel.feed.id)}",
        oembed_address=f"{site.config.publisher.url}{site.prefix}{embed_path(channel.feed.id, 'json')}",
        calendar=f"webcal{address[address.index(':') :]}",
        minutes=round(channel.ttl.total_seconds() / 60),
        entries=entries[:PREVIEW],
        more=len(entries[PREVIEW:]),
        count=count,
        others=[feed for feed in others if feed.id != channel.feed.id],
        discover=[channel.feed],
    )


def _discovered(cards: Iterable[Card]) -> list[Feed]:
    return [card.feed for card in cards if card.feed.id in DISCOVERED]


def _group(cards: Iterable[Card]) -> list[tuple[Group, list[Card]]]:
    """By group, slices with most packages first; general feeds stay in their order."""
    groups = [(group, list(members)) for group, members in groupby(cards, lambda card: card.feed.group)]
    return [
        (group, members if group is Group.GENERAL else sorted(members, key=lambda card: -(card.count or 0)))
        for group, members in groups
    ]
