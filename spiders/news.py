"""News as a value, for the families that read it: text cleaned, address, key and time checked, fingerprint. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from urllib.parse import urlsplit

import nh3
from bs4 import BeautifulSoup

from aggregator.config import Portal
from aggregator.models import Kind, Known, Reading, Status, Tender
from spiders.reading import ShapeError, clean_text

LONGEST_TITLE = 300  # characters
LONGEST_TEXT = 2_000  # characters
_LONGEST_MARKUP = 100_000  # characters of a body that are looked at: nesting makes sanitising quadratic

# What keeps two words apart. Every other tag is unwrapped, so that <b>P</b>engumuman stays one word.
_BLOCKS = frozenset({
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "figure", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
    "ul",
})  # fmt: skip
_DROPPED = frozenset({
    "aside", "button", "footer", "form", "header", "iframe", "math", "nav", "noscript", "object", "script", "select",
    "style", "svg", "template", "textarea",
})  # fmt: skip
_INLINE_FILE = re.compile(r"\bdata:[\w/+;=,.%-]{200,}")
_URL_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}")
_NOT_IN_ADDRESS = re.compile(r"[\x00-\x20\x7f-\xa0<>\"\\^`{|}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsItem:
    """One piece of official news. ``unread`` names fields that the source told in a way nobody can read."""

    key: str
    title: str
    url: str
    text: str | None
    published: datetime | None
    unread: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> bytes:
        """Eight bytes that differ when the item does; WordPress's *modified* also moves when nothing is changed."""
        published = self.published.isoformat() if self.published else ""
        told = "\x1f".join((self.title, self.url, self.text or "", published))
        return blake2b(told.encode(), digest_size=8).digest()

    def as_reading(self, portal: Portal) -> Reading:
        return Reading(
            tender=Tender(
                portal=portal.id,
                kind=Kind.NEWS,
                key=self.key,
                title=self.title,
                url=self.url,
                description=self.text,
                status=Status.COMPLETE,
                published=self.published,
                unread=self.unread,
            ),
            row=self.fingerprint,
        )


def find_changed(items: Iterable[NewsItem], known: Mapping[tuple[Kind, str], Known]) -> Iterator[NewsItem]:
    """The items that are new, or not as they were when last read."""
    for item in items:
        kept = known.get((Kind.NEWS, item.key))
        if kept is None or kept.row != item.fingerprint:
            yield item


def clean_title(markup: str) -> str:
    """A title's HTML as one line of plain text; empty where it holds none."""
    return clip(_text_of(markup, frozenset()), LONGEST_TITLE)


def clean_body(markup: str) -> str | None:
    """A body's HTML as plain text, its scripts, styles, navigation and forms left out; None where nothing is left."""
    return clip(_text_of(markup, _BLOCKS), LONGEST_TEXT) or None


def _text_of(markup: str, blocks: frozenset[str]) -> str:
    """What a reader would see. Sanitised first: what is left to parse is text, ``blocks`` and nothing else."""
    seen = clean_text(_INLINE_FILE.sub("", markup))[:_LONGEST_MARKUP]
    safe = nh3.clean(seen, tags=set(blocks), clean_content_tags=set(_DROPPED), attributes={})
    return clean_text(BeautifulSoup(f"<p>{safe}", "html.parser").get_text(" "))


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters; what is longer is cut at a word and ends in …"""
    if len(text) <= limit:
        return text
    word_end = text.rfind(" ", limit // 2, limit)  # a word longer than half of it is cut itself
    return text[: word_end if word_end > 0 else limit - 1].rstrip() + "…"


def web_address(text: str) -> str | None:
    """``text`` as an absolute http(s) address, or None when it is something else: relative, ``javascript:``, …"""
    text = text.strip().replace(" ", "%20")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # raises ValueError where it is no number
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    return None if _NOT_IN_ADDRESS.search(text) else text


def make_key(identifier: str) -> str:
    """A stable URL-safe key: the source's own identifier where it is one already, else its hash (32 hex digits)."""
    if _URL_SAFE.fullmatch(identifier):
        return identifier
    return blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def check_time(time: datetime) -> datetime:
    """``time`` where news can be of it. ShapeError for a year that only a broken source tells."""
    if not 1990 <= time.year <= 2100:
        raise ShapeError("a time that cannot be", time)
    return time
