"""Official news of a site that offers a feed: RSS 2.0, RSS 1.0 (web.resource.org/rss/1.0) or Atom (RFC 4287).

The feed comes from outside: no entity of it is ever expanded, nothing it names is loaded, no DOCTYPE is taken.
"""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from lxml import etree

from aggregator.config import Portal
from aggregator.models import Kind, Listing, Reading
from aggregator.verdicts import Problem
from spiders.contract import ListOptions, find_stale
from spiders.news import (
    NewsItem,
    check_time,
    clean_body,
    clean_title,
    find_changed,
    make_key,
    web_address,
)
from spiders.options import parse_options
from spiders.portal import PortalSpider
from spiders.reading import ShapeError, clean_text, refuse_many_tags, strictly

_ATOM = "{http://www.w3.org/2005/Atom}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_RSS1 = "{http://purl.org/rss/1.0/}"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
_DATE = "{http://purl.org/dc/elements/1.1/}date"


class SyndicationSpider(PortalSpider):
    """One feed; ``portal.url`` is its own address. A feed shows the latest items only, so none ever vanishes."""

    name = "syndication"
    kinds = (Kind.NEWS,)

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        parse_options(ListOptions, portal)

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        options = parse_options(ListOptions, self.portal)
        response = await self.fetch(self.portal.url)
        feed = parse_feed(response.body, self.portal.url, self.portal.zone)
        items = feed.items[: self.task.limit]
        newest = max((item.published for item in items if item.published), default=None)
        stale = find_stale(newest, options.stale_after, self.task.now)
        for problem in (*feed.problems, *([stale] if stale else [])):
            self.tally.report(problem)
        for item in find_changed(items, self.task.known):
            yield item.as_reading(self.portal)
        yield Listing(kind=Kind.NEWS, year=None, keys=tuple(item.key for item in items))


@dataclass(frozen=True, slots=True)
class Feed:
    """The items of a feed in its order, each key once, and what is wrong with it."""

    items: tuple[NewsItem, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Format:
    """The names that a format knows below its channel and below an item, in the namespace ``space``."""

    space: str
    item: str
    channel_names: frozenset[str]
    item_names: frozenset[str]


_RSS2_FORMAT = _Format(
    "",
    "item",
    frozenset({
        "title", "link", "description", "language", "copyright", "managingEditor", "webMaster", "pubDate",
        "lastBuildDate", "category", "generator", "docs", "cloud", "ttl", "image", "rating", "textInput", "skipHours",
        "skipDays", "item",
    }),
    frozenset({
        "title", "link", "description", "author", "category", "comments", "enclosure", "guid", "pubDate", "source",
    }),
)  # fmt: skip
_RSS1_FORMAT = _Format(
    _RSS1, "item", frozenset({"channel", "image", "item", "textinput"}), frozenset({"title", "link", "description"})
)
_ATOM_FORMAT = _Format(
    _ATOM,
    "entry",
    frozenset({
        "author", "category", "contributor", "entry", "generator", "icon", "id", "link", "logo", "rights", "subtitle",
        "title", "updated",
    }),
    frozenset({
        "author", "category", "content", "contributor", "id", "link", "published", "rights", "source", "summary",
        "title", "updated",
    }),
)  # fmt: skip


def parse_feed(body: bytes, site: str, zone: ZoneInfo) -> Feed:
    """The items of an RSS or Atom feed; ``site`` is the address of an item that names none of its own.

    ``zone`` is that of times told without one. An item without identity or without title and text is left out and
    told, as are names that the format does not know. ShapeError when it is no such feed, or no item can be read.
    """
    channel, form = _find_channel(parse_xml(body))
    elements = channel.findall(form.space + form.item)
    unknown = _find_unknown(channel, form.space, form.channel_names)
    if unknown and not elements:
        raise ShapeError(f"a feed without {form.item} elements that has others", ", ".join(unknown))
    problems = [Problem("unknown_label", f"feed element {name}") for name in unknown]
    wrong: list[ShapeError] = []
    items: dict[str, NewsItem] = {}
    for element in elements:
        names = _find_unknown(element, form.space, form.item_names)
        problems += [Problem("unknown_label", f"{form.item} element {name}") for name in names]
        try:
            with strictly("an item"):
                item, odd_date = _parse_item(element, form, site, zone)
        except ShapeError as error:
            wrong.append(error)
            continue
        wrong += [odd_date] if odd_date else []
        if item.key in items:
            problems.append(Problem("duplicate_key", f"an {form.item} stands twice", item.key))
        items.setdefault(item.key, item)
    if wrong and not items:
        raise wrong[0]
    problems += [Problem("shape", str(error), error.sample) for error in wrong]
    return Feed(tuple(items.values()), tuple(dict.fromkeys(problems)))


def parse_xml(body: bytes) -> etree._Element:
    """The root of a document from outside. ShapeError when it is no XML, or has a DOCTYPE: only attacks need one."""
    refuse_many_tags(body)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body.removeprefix(b"\xef\xbb\xbf").lstrip(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ShapeError(f"a feed that is no XML: {error}", body[:200].decode("utf-8", "replace")) from None
    if root.getroottree().docinfo.doctype:
        raise ShapeError("a feed with a DOCTYPE, which is refused", body[:200].decode("utf-8", "replace"))
    return root


def _find_channel(root: etree._Element) -> tuple[etree._Element, _Format]:
    """The element whose children are the items, and the format."""
    if root.tag == _ATOM + "feed":
        return root, _ATOM_FORMAT
    if root.tag == _RDF + "RDF" and root.find(_RSS1 + "channel") is not None:
        return root, _RSS1_FORMAT
    channel = root.find("channel") if root.tag == "rss" else None
    if channel is None:
        raise ShapeError("an XML document that is no RSS or Atom feed", root.tag)
    return channel, _RSS2_FORMAT


def _find_unknown(element: etree._Element, space: str, known: Iterable[str]) -> list[str]:
    """Names of the format's own namespace that it does not have. Other namespaces may add what they like."""
    names = [str(child.tag) for child in element]
    own = [n.removeprefix(space) for n in names if (n.startswith(space) if space else not n.startswith("{"))]
    return list(dict.fromkeys(name for name in own if name not in known))


# Items ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """An item in a feed's own words: ``title`` and ``body`` are HTML, ``link`` and ``date`` as they stand."""

    identifier: str
    link: str
    title: str
    body: str
    date: str


def _parse_item(
    element: etree._Element, form: _Format, site: str, zone: ZoneInfo
) -> tuple[NewsItem, ShapeError | None]:
    """The item, and what is wrong with its date, which then stays unread."""
    told = _read_atom(element) if form is _ATOM_FORMAT else _read_rss(element, form.space)
    text = clean_body(told.body)
    title = clean_title(told.title) or clean_title(html.escape(text or ""))
    if not told.identifier or not title:
        missing = "guid, id and link" if title else "title and text"
        raise ShapeError(f"an {form.item} without {missing}, left out", _markup(element))
    published, odd_date = None, None
    try:
        published = parse_date(told.date, zone)
    except ShapeError as error:
        odd_date = error
    item = NewsItem(
        key=make_key(told.identifier),
        title=title,
        url=web_address(told.link) or site,
        text=text,
        published=published,
        unread=frozenset({"published"} if odd_date else ()),
    )
    return item, odd_date


def _read_rss(item: etree._Element, space: str) -> _Told:
    link = _text(item.find(space + "link"))
    guid = item.find(space + "guid")
    identifier = _text(guid) or clean_text(item.get(_RDF + "about") or "") or link
    if not link and guid is not None and guid.get("isPermaLink") != "false":
        link = _text(guid)
    return _Told(
        identifier=identifier,
        link=link,
        title=_text(item.find(space + "title")),
        body=_text(item.find(_CONTENT)) or _text(item.find(space + "description")),
        date=_text(item.find(space + "pubDate")) or _text(item.find(_DATE)),
    )


def _read_atom(entry: etree._Element) -> _Told:
    links = [link for link in entry.findall(_ATOM + "link") if link.get("rel", "alternate") == "alternate"]
    link = clean_text(links[0].get("href") or "") if links else ""
    return _Told(
        identifier=_text(entry.find(_ATOM + "id")) or link,
        link=link,
        title=_read_construct(entry.find(_ATOM + "title")),
        body=_read_construct(entry.find(_ATOM + "content")) or _read_construct(entry.find(_ATOM + "summary")),
        date=_text(entry.find(_ATOM + "published")) or _text(entry.find(_ATOM + "updated")),
    )


def _read_construct(element: etree._Element | None) -> str:
    """An Atom text or content construct as HTML (RFC 4287 sections 3.1 and 4.1.3); empty for other media."""
    if element is None:
        return ""
    match element.get("type", "text").lower():
        case "text" | "text/plain":
            return html.escape(_text(element))
        case "html" | "text/html":
            return _text(element)
        case "xhtml" | "application/xhtml+xml":
            for part in element.iterdescendants():
                part.tag = etree.QName(part).localname
            return "".join(_markup(child) for child in element)
        case _:
            return ""


def _text(element: etree._Element | None) -> str:
    return "" if element is None else clean_text("".join(element.itertext()))


def _markup(element: etree._Element) -> str:
    return etree.tostring(element, encoding="unicode", with_tail=False)


def parse_date(text: str, zone: ZoneInfo) -> datetime | None:
    """A time of RFC 822 (RSS) or RFC 3339 (Atom, Dublin Core), aware; None where there is none.

    One without a zone, or with letters that RFC 822 does not know (WIB), is in ``zone``. ShapeError when it is
    no such time.
    """
    text = clean_text(text)
    if not text:
        return None
    found = _iso_time(text) or _mail_time(text)
    if found is None:
        raise ShapeError("a date that is none of RFC 822 or RFC 3339", text)
    return check_time(found if found.tzinfo else found.replace(tzinfo=zone))


def _iso_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _mail_time(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # RFC 5322 section 3.3: -0000 is a time in UTC, told by somebody elsewhere.
    return found.replace(tzinfo=UTC) if text.endswith("-0000") else found
