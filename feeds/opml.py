"""All feeds → OPML 2.0, grouped as in the catalogue, for import into a reader."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from email.utils import format_datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from lxml import etree

from aggregator.config import Publisher
from feeds.definitions import Channel, Format, Group
from feeds.words.text import plain
from feeds.words.wording import Wording

_GROUP_LABELS = {Group.CATEGORY: "category", Group.METHOD: "method", Group.ENTITY: "procuring_entity"}


def render_opml(publisher: Publisher, channels: Sequence[Channel]) -> bytes:
    """OPML 2.0 of the feeds' RSS, which every reader takes. ``channels`` (one at least) stand in the order of
    their groups; slices come in folders."""
    wording = Wording(publisher.language, ZoneInfo(publisher.timezone))
    opml = etree.Element("opml", version="2.0")
    head = etree.SubElement(opml, "head")
    etree.SubElement(head, "title").text = make_title(publisher)
    newest = max(channel.updated for channel in channels)
    etree.SubElement(head, "dateModified").text = format_datetime(newest.astimezone(UTC))
    etree.SubElement(head, "ownerName").text = plain(publisher.name)
    etree.SubElement(head, "ownerId").text = publisher.contact or publisher.url
    body = etree.SubElement(opml, "body")
    for group, members in groupby(channels, key=lambda channel: channel.feed.group):
        folder = body
        if group in _GROUP_LABELS:
            folder = etree.SubElement(body, "outline", text=wording.label(_GROUP_LABELS[group]))
        for channel in members:
            etree.SubElement(folder, "outline", _outline(channel))
    return etree.tostring(opml, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def make_title(publisher: Publisher) -> str:
    """Warta Pengadaan Kota Malang; without a place, the publisher's name."""
    return f"Warta Pengadaan {plain(publisher.place) or plain(publisher.name)}"


def _outline(channel: Channel) -> dict[str, str]:
    return {
        "type": "rss",
        "text": channel.feed.title,
        "title": channel.feed.title,
        "description": channel.feed.description,
        "xmlUrl": channel.urls[Format.RSS],
        "htmlUrl": channel.page_url,
        "language": channel.language,
        "version": "RSS2",
    }
