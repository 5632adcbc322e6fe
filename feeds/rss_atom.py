"""Entries → RSS 2.0 and Atom (RFC 4287), through feedgen 1.0 with the mends that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import Any

from feedgen.entry import FeedEntry  # type: ignore[import-untyped]
from feedgen.feed import FeedGenerator  # type: ignore[import-untyped]
from lxml import etree

from feeds.definitions import Channel, Format
from feeds.entries import Entry

GENERATOR = "Warta Pengadaan"
_ATOM_LINK = "{http://www.w3.org/2005/Atom}link"
_HISTORY = "http://purl.org/syndication/history/1.0"


def render_rss(channel: Channel, entries: Sequence[Entry]) -> bytes:
    """RSS 2.0 with the Advisory Board's profile; entries stay in their order."""
    generator = _start(channel, Format.RSS)
    generator.load_extension("dc", atom=False)
    generator.ttl(max(1, round(channel.ttl.total_seconds() / 60)))
    for entry in entries:
        item = _Item(entry)
        generator.add_entry(item, order="append")
        item.dc.dc_creator(entry.author)  # <author> would need an e-mail address
        # RSS descriptions are HTML, so plain text is escaped once more; feedgen writes them before the content.
        item.description(escape(entry.summary), isSummary=True)
        item.content(entry.content)
    return _refer(generator.rss_str())


def render_atom(channel: Channel, entries: Sequence[Entry]) -> bytes:
    """Atom 1.0 with the archives of RFC 5005; entries stay in their order."""
    generator = _start(channel, Format.ATOM)
    archives = {"current": channel.current, "prev-archive": channel.previous, "next-archive": channel.following}
    for rel, address in archives.items():
        if address:
            generator.link(href=address, rel=rel, type=Format.ATOM.media_type)
    for entry in entries:
        item = _Item(entry)
        item.author(name=entry.author, uri=entry.author_url)
        item.summary(entry.summary)
        item.content(entry.content, type="html")
        item.published(entry.published.astimezone(UTC))
        generator.add_entry(item, order="append")
    return _refer(generator.atom_str())


class _Generator(FeedGenerator):  # type: ignore[misc]  # feedgen has no types
    """feedgen's feed, which by itself leaves the hub out of RSS, writes dates by way of the process locale, and knows
    no archives."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def _create_atom(self, extensions: bool = True) -> tuple[Any, Any]:
        feed, document = super()._create_atom(extensions)
        if self._channel.current:
            feed.insert(0, etree.Element(f"{{{_HISTORY}}}archive", nsmap={"fh": _HISTORY}))
        return feed, document

    def _create_rss(self, extensions: bool = True) -> tuple[Any, Any]:
        self._FeedGenerator__rss_lastBuildDate = None  # ours comes below; there is no public way to unset it
        feed, document = super()._create_rss(extensions)
        if self._channel.hub:
            feed.find(f"channel/{_ATOM_LINK}").addnext(etree.Element(_ATOM_LINK, rel="hub", href=self._channel.hub))
        built = etree.Element("lastBuildDate")
        built.text = _rfc822(self._channel.updated)
        feed.find("channel/language").addnext(built)
        return feed, document


class _Item(FeedEntry):  # type: ignore[misc]  # feedgen has no types
    """feedgen's entry, which by itself loses what a link is, and writes dates by way of the process locale."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._entry = entry
        self.id(entry.id)
        self.title(entry.title)
        self.link(href=entry.url)
        self.updated(entry.updated.astimezone(UTC))
        self.category([topic._asdict() for topic in entry.topics])

    def atom_entry(self, extensions: bool = True) -> Any:
        element = super().atom_entry(extensions)
        element.find("link").attrib.update({"rel": "alternate", "type": "text/html"})
        return element

    def rss_entry(self, extensions: bool = True) -> Any:
        element = super().rss_entry(extensions)
        published = etree.SubElement(element, "pubDate")
        published.text = _rfc822(self._entry.published)
        return element


def _start(channel: Channel, form: Format) -> _Generator:
    generator = _Generator(channel)
    generator.id(channel.id)
    generator.title(channel.feed.title)
    generator.subtitle(channel.feed.description)
    generator.language(channel.language)
    generator.author(name=channel.author, uri=channel.author_url)
    generator.generator(GENERATOR)
    generator.updated(channel.updated.astimezone(UTC))
    generator.link(href=channel.urls[form], rel="self", type=form.media_type)
    if channel.hub:
        generator.link(href=channel.hub, rel="hub")
    generator.link(href=channel.page_url, rel="alternate", type="text/html")  # last: RSS takes the last as its own
    return generator


def _refer(xml: bytes) -> bytes:
    """The same XML with & as the RSS Profile has it: in "B&1", written &amp;, validators see markup in plain text."""
    return xml.replace(b"&amp;", b"&#x26;")


def _rfc822(time: datetime) -> str:
    """RFC 822 with a year of four digits, as RSS asks; English whatever the locale."""
    return format_datetime(time.astimezone(UTC))
