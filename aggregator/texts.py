"""Text of others as it may be kept: without characters that nobody sees and that something or other trips over."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from aggregator.models import Tender

_PLANE_ENDS = "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
# XML 1.0 forbids C0 controls, lone surrogates, U+FFFE and U+FFFF; PostgreSQL takes no NUL, no UTF-8 holds a surrogate;
# terminals obey C0 and C1; validators warn of the other noncharacters; bidi embeddings, overrides and isolates turn
# the text around them; tag letters spell what only machines read, and tell apart no more than three flags. What
# languages and emoji need stays: joiners, marks of direction that turn nothing.
UNFIT = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufeff"
    "\U000e0001\U000e0020-\U000e007f" + _PLANE_ENDS
)
_UNFIT = re.compile(f"[{UNFIT}]")
_BREAKS = re.compile("[\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")  # odd ones, that few programs take for breaks

_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and a symbol by name, and nothing to see
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Cs", "Mn", "Zl", "Zp", "Zs"})  # general categories; marks need a letter


def clean(text: str) -> str:
    """``text`` without unfit characters; odd breaks of lines and pages become spaces, tabs and usual ones stay."""
    if text.isprintable():  # as most are; nothing that is taken out prints
        return text
    return _UNFIT.sub("", _BREAKS.sub(" ", text))


def clean_tender(tender: Tender, written: str) -> Tender:
    """The tender with clean texts, called by its key where its title shows nothing; itself if all are clean.

    ``written`` is its JSON: one look at that tells, for nearly all.
    """
    fits = written.isprintable() and not any(escape in written for escape in ("\\u", "\\b", "\\f"))
    if fits and _shows(tender.title):
        return tender
    values = _clean_all(tender.as_dict())
    values["title"] = values["title"] if _shows(values["title"]) else tender.key
    return Tender.from_dict(values, tuple(tender.unread))


def _shows(text: str) -> bool:
    return any(letter not in _FILLERS and unicodedata.category(letter) not in _UNSEEN for letter in text)


def _clean_all(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean_all(part) for part in value]
    return {name: _clean_all(part) for name, part in value.items()} if isinstance(value, dict) else value
