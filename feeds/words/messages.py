"""What a channel is told: new entries in one letter, in words for readers; for the operator also why and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aggregator.models import Kind
from aggregator.verdicts import CONTRACT, Verdict
from feeds.definitions import Feed
from feeds.entries import Entry
from feeds.posting import Letter, Piece
from feeds.words.text import clip
from feeds.words.wording import Language

MOST_TITLE = 200
MOST_SUMMARY = 320
MOST_REASONS = 3
MOST_REASON = 200

# One, several, and how many more there are.
_COUNTS: Mapping[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "tenders": (
        ("1 paket baru", "{count} paket baru", "dan {count} paket lain"),
        ("1 new package", "{count} new packages", "and {count} more"),
    ),
    "plans": (
        ("1 rencana baru", "{count} rencana baru", "dan {count} rencana lain"),
        ("1 new plan", "{count} new plans", "and {count} more"),
    ),
    "news": (
        ("1 berita baru", "{count} berita baru", "dan {count} berita lain"),
        ("1 new article", "{count} new articles", "and {count} more"),
    ),
    "changes": (
        ("1 kabar", "{count} kabar", "dan {count} kabar lain"),
        ("1 change", "{count} changes", "and {count} more"),
    ),
    "status": (
        ("1 kabar", "{count} kabar", "dan {count} kabar lain"),
        ("1 event", "{count} events", "and {count} more"),
    ),
}
_OF_KINDS: Mapping[tuple[Kind, ...], str] = {(Kind.PLAN,): "plans", (Kind.NEWS,): "news"}

# What an operator may do, by the code of the first reason that has one; of a blocked run and a silent portal always.
_MENDS: Mapping[str, tuple[str, str]] = {
    "blocked": (
        "Warta tidak mencoba menembusnya. Buka portal di peramban; bila tetap dihadang, hubungi pengelolanya.",
        "Warta does not try to get past it. Open the portal in a browser; if the check stays, ask those who run it.",
    ),
    "lease": (
        "Dibaca lagi pada giliran berikutnya. Bila berulang, periksa basis data dan beban server ini.",
        "It is read again in its next turn. If this repeats, look at the database and at this server's load.",
    ),
    "busy": (
        "Tidak perlu apa-apa: dibaca lagi pada giliran berikutnya.",
        "Nothing to do: it is read again in its next turn.",
    ),
    "rate_limited": (
        "Dibaca lagi pada giliran berikutnya. Bila berulang, perbesar delay atau every portal ini di warta.toml.",
        "It is read again in its next turn. If this repeats, raise the portal's delay or every in warta.toml.",
    ),
    "refused": (
        "Periksa alamat, token, dan robots.txt portal; bila memang dilarang, hubungi pengelolanya.",
        "Check the portal's address, token and robots.txt; where reading is forbidden, ask those who run it.",
    ),
    "broken": (
        "Buka portal dan bandingkan; bila tampilannya berubah, perbarui Warta lalu jalankan warta replay.",
        "Open the portal and compare; if its pages changed, update Warta, then run warta replay.",
    ),
    "no_answer": (
        "Buka portal di peramban. Bila terbuka, periksa jaringan server ini; bila alamatnya salah, perbaiki url di "
        "warta.toml; bila portal mati, tunggu: Warta mencoba lagi.",
        "Open the portal in a browser. If it opens, check this server's network; if its address is wrong, mend its url "
        "in warta.toml; if the portal is down, wait: Warta tries again.",
    ),
}
_TRIAL = (
    ("Pesan uji", "Saluran ini akan menerima: {title}. Bila pesan ini terbaca, pengaturannya sudah benar."),
    ("Test message", "This channel will be told of: {title}. If you can read this, it is set up well."),
)
_MENTION = re.compile(r"@(?=\w)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a channel is told of: a feed, the page that shows all of it, and in which language.

    ``is_for_operator``: why a portal failed and what to do is told, too.
    """

    feed: Feed
    page_url: str
    language: Language
    is_for_operator: bool = False


def write_letter(subject: Subject, entries: Sequence[Entry], left: int) -> Letter:
    """``entries`` in full, and last that there are ``left`` more, where there are."""
    feed = subject.feed
    counts = _COUNTS[_OF_KINDS.get(feed.filter.kind, "tenders") if feed.kind == "tenders" else feed.kind]
    one, several, more = counts[_side(subject)]
    total = len(entries) + left
    told = one if total == 1 else several.format(count=total)
    pieces = [_write_piece(subject, entry) for entry in entries]
    if left:
        pieces.append({"title": more.format(count=left), "lines": (), "url": subject.page_url})
    return {"title": f"{neutralise(feed.title)}: {told}", "pieces": pieces}


def write_trial(subject: Subject) -> Letter:
    """A letter that tells nothing but that it arrived."""
    title, line = _TRIAL[_side(subject)]
    lines = (line.format(title=neutralise(subject.feed.title)),)
    return {"title": title, "pieces": [{"title": title, "lines": lines, "url": subject.page_url}]}


def neutralise(text: str) -> str:
    """``text`` that no service reads as a mention of anybody or as a link under another name. It looks the same."""
    return _MENTION.sub("@\u2060", text).replace("](", "] (")


def _write_piece(subject: Subject, entry: Entry) -> Piece:
    lines = [clip(entry.summary, MOST_SUMMARY), *(_tell_mend(subject, entry) if subject.is_for_operator else ())]
    return {
        "title": neutralise(clip(entry.title, MOST_TITLE)),
        "lines": [neutralise(line) for line in lines if line],
        "url": entry.url,
    }


def _tell_mend(subject: Subject, entry: Entry) -> Iterator[str]:
    """The run's reasons as they are, and what to do; of a portal that is back, neither."""
    verdict, reasons = entry.structured["verdict"], entry.structured["reasons"]
    codes = [reason.partition(":")[0] for reason in reasons]
    if verdict == Verdict.BLOCKED:
        mend = "blocked"
    elif verdict == Verdict.FAILED:
        mend = next((code for code in codes if code in _MENDS), "no_answer")
    elif CONTRACT & set(codes):
        mend = "broken"
    else:
        return
    yield from (clip(reason, MOST_REASON) for reason in reasons[:MOST_REASONS])
    yield _MENDS[mend][_side(subject)]


def _side(subject: Subject) -> int:
    return 0 if subject.language == "id" else 1
