"""Source text made fit to show: clean characters, cut at a word, and web addresses that are nothing else."""

from __future__ import annotations

import html
import re
from urllib.parse import quote, urlsplit, urlunsplit

from aggregator.texts import UNFIT

# Line and paragraph breaks of any kind: they would end a title, a calendar line or a log line.
_BREAKS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]")
# What the database does not take either, and U+FFFD, the trace of a broken character, of which validators warn.
_UNFIT = re.compile(f"[{UNFIT}\ufffd]")
_ENTITY = re.compile(r"&(?:amp;)*((?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)")
_MOST_ESCAPES = 3

_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?")  # no IPv6 address: RSS validators take none
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH = "/%:@!$&'()*+,;=~"


def scrub(text: str) -> str:
    """``text`` without the characters that break a feed; line breaks and tabs become spaces."""
    if text.isprintable() and "\ufffd" not in text:  # as most are: nothing else that is taken out prints
        return text
    return _UNFIT.sub("", _BREAKS.sub(" ", text))


def plain(text: str) -> str:
    """Source text as plain text in a feed: scrubbed, escaped twice no more, ``<`` ``>`` shown as ‹ ›.

    Readers disagree on whether a title is HTML, so nothing that looks like markup is left in it.
    """
    for _ in range(_MOST_ESCAPES if "&" in text else 0):  # a bound, so that hostile text cannot keep it busy
        text = _ENTITY.sub(lambda entity: html.unescape(f"&{entity[1]}"), scrub(text))
    return scrub(text).replace("<", "‹").replace(">", "›").strip()


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters (2 or more); what is longer is cut at a word and ends in …"""
    if len(text) <= limit:
        return text
    word_end = text.rfind(" ", limit // 2, limit)  # a word longer than half of it is cut itself
    return text[: word_end if word_end > 0 else limit - 1].rstrip(" ,;:.–-") + "…"


def web_address(text: str) -> str | None:
    """``text`` as an absolute ASCII http(s) address (RFC 3986), or None when it is none."""
    try:
        parts = urlsplit(scrub(text).strip())
    except ValueError:  # such as an unclosed bracket around an IPv6 host
        return None
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.netloc):
        return None
    path, query, fragment = (
        _STRAY_PERCENT.sub("%25", quote(part, safe=safe, errors="replace"))
        for part, safe in ((parts.path, _PATH), (parts.query, _PATH + "?"), (parts.fragment, _PATH + "?"))
    )
    return urlunsplit((parts.scheme, parts.netloc, path, query, fragment))
