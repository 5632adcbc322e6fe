"""Which feeds there are: the shipped set, one for each work unit found, and those of the configuration."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from aggregator.config import Config, ConfigError, FeedTable, Portal, Publisher
from aggregator.filters import Filter, Moment
from aggregator.models import Category, Event, Kind, Method, Status
from feeds.entries import Entry, make_id
from feeds.query import render_query
from feeds.words.text import clip, plain
from feeds.words.wording import Language, Wording

FEED_LIMIT = 100  # entries, where the filter names no other number

# What portals call open, whatever the clock; and what of it has a deadline that is not past.
OPEN = Filter(status=(Status.ACTIVE,), kind=(Kind.TENDER, Kind.NON_TENDER))
NOW = Moment("+0d")
BIDDABLE = replace(OPEN, deadline_from=NOW)
PURCHASES = (Kind.TENDER, Kind.NON_TENDER, Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY)

_OFF = (Status.CANCELLED, Status.UNSUCCESSFUL, Status.WITHDRAWN)
# With a prefix of their own, ids of slices meet neither the general feeds nor, likely, a bureau's own.
_CATEGORY_IDS = {
    Category.GOODS: "jenis-barang",
    Category.WORKS: "jenis-konstruksi",
    Category.SERVICES: "jenis-jasa-lainnya",
    Category.CONSULTING: "jenis-konsultansi",
}
_METHOD_IDS = {
    Method.OPEN: "metode-terbuka",
    Method.SELECTIVE: "metode-terseleksi",
    Method.LIMITED: "metode-terbatas",
    Method.DIRECT: "metode-langsung",
}
_MOST_SLUG = 40
_MARKED = re.compile(r"(?:^|-)[0-9a-f]{6}$")
_OF_KIND = {"rup": Kind.PLAN, "berita": Kind.NEWS}  # feeds that most bureaus have nothing for
_FAMILY_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "sirup": (Kind.PLAN,),
    "wordpress": (Kind.NEWS,),
    "syndication": (Kind.NEWS,),
}


class Format(StrEnum):
    """The four forms of a feed; the value ends its address."""

    RSS = "rss"
    ATOM = "atom"
    JSON = "json"
    CALENDAR = "ics"

    @property
    def media_type(self) -> str:
        """Without charset: RFC 4287 §7, JSON Feed 1.1, RFC 5545 §3.1; RSS has one by custom."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.RSS: "application/rss+xml",
    Format.ATOM: "application/atom+xml",
    Format.JSON: "application/feed+json",
    Format.CALENDAR: "text/calendar",
}


class Group(StrEnum):
    """Where a feed stands in the catalogue."""

    GENERAL = "general"
    CATEGORY = "category"
    METHOD = "method"
    ENTITY = "entity"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One feed: ``kind`` is what its entries are, ``events`` narrow a feed of changes (none: all of them).

    ``short`` is the title without the place, for lists that stand under one.
    """

    id: str
    title: str
    short: str
    description: str
    group: Group
    filter: Filter
    kind: Literal["tenders", "changes", "status"] = "tenders"
    events: frozenset[Event] = frozenset()

    @property
    def list_path(self) -> str:
        """The page that shows what it is about, from the top of an edition: the search for what of it has not closed
        yet, as ``Contents.count`` counts it, or the feed's own page."""
        if self.kind != "tenders":
            return f"feeds/{self.id}.html"
        return f"cari.html?{render_query(replace(self.biddable_filter or self.filter, limit=None))}"

    @property
    def biddable_filter(self) -> Filter | None:
        """What of it can still be bid for; None for a feed about something else than open packages."""
        if self.kind != "tenders" or self.filter.status != OPEN.status:
            return None
        return replace(self.filter, deadline_from=self.filter.deadline_from or NOW)

    @property
    def is_dated(self) -> bool:
        """Whether entries of it may stand in a calendar: plans and news have no day there."""
        undated = set(_OF_KIND.values())
        return self.kind != "tenders" or not self.filter.kind or not undated.issuperset(self.filter.kind)

    @property
    def called_off_filter(self) -> Filter | None:
        """What its calendar holds beside the entries: tenders called off before their deadline.

        They are shown as cancelled instead of vanishing from the subscriber's calendar, until the day is past.
        """
        biddable = self.biddable_filter
        return replace(biddable, status=_OFF) if biddable else None

    @property
    def filters(self) -> list[Filter]:
        """Everything that its entries and its calendar are found by."""
        return [self.filter, *filter(None, [self.called_off_filter])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A feed as it is published: what its renderings tell beside the entries.

    ``updated`` is the newest change of an entry, never the clock; ``ttl`` is the time between two readings.
    ``previous`` and ``following`` are the addresses of the archives before and after (RFC 5005), ``current`` that of
    the feed which this archives.
    """

    feed: Feed
    id: str
    language: Language
    page_url: str
    urls: Mapping[Format, str]
    updated: datetime
    author: str
    author_url: str
    ttl: timedelta
    hub: str | None = None
    previous: str | None = None
    following: str | None = None
    current: str | None = None


def make_channel(feed: Feed, config: Config, entries: Sequence[Entry]) -> Channel:
    """The channel of a published feed that holds ``entries``."""
    publisher = config.publisher
    base = f"{publisher.url}feeds/{feed.id}"
    return Channel(
        feed=feed,
        id=make_id(publisher, f"feeds/{feed.id}"),
        language=publisher.language,
        page_url=f"{base}.html",
        urls={form: f"{base}.{form}" for form in Format},
        updated=max((entry.updated for entry in entries), default=find_first_day(publisher)),
        author=plain(publisher.name),
        author_url=publisher.contact or publisher.url,
        ttl=min((portal.every for portal in config.portal if portal.enabled), default=timedelta(hours=1)),
        hub=config.publish.hub,
    )


def find_first_day(publisher: Publisher) -> datetime:
    """When a feed without entries was last changed: a constant, so that its bytes stay the same."""
    return datetime.combine(publisher.since, time.min, ZoneInfo(publisher.timezone))


def shipped_feeds(config: Config, entities: Iterable[str], kinds: Collection[Kind] = ()) -> list[Feed]:
    """Every feed to publish: general ones, slices of what is open, one for each of ``entities`` (names of
    procuring entities as their sources give them), and the configuration's own.

    Feeds of plans and of news are among them where ``kinds`` (those of known tenders) has theirs, or a portal that is
    read has. ConfigError when an id of the configuration is taken already.
    """
    publisher = config.publisher
    told = {*kinds, *(kind for portal in config.portal if portal.enabled for kind in find_kinds(portal))}
    general = [feed for feed in _general(publisher) if feed.id not in _OF_KIND or _OF_KIND[feed.id] in told]
    shipped = [*general, *_slices(publisher), *_entities(publisher, entities)]
    taken = {feed.id for feed in shipped}
    for table in config.feed:
        if table.id in taken:
            raise ConfigError(f"[[feed]] id {table.id!r} is a shipped feed's; choose another, as in '{table.id}-kami'")
    return shipped + [_own(table) for table in config.feed]


def find_kinds(portal: Portal) -> tuple[Kind, ...]:
    """What a portal may tell of: its own ``kinds``, else what its family is made for; none for one that is made for
    many."""
    return portal.kinds or _FAMILY_KINDS.get(portal.family, ())


def _general(publisher: Publisher) -> Iterator[Feed]:
    wording = _wording(publisher)

    def make(feed_id: str, wanted: Filter, kind: Literal["tenders", "changes", "status"], *events: Event) -> Feed:
        return Feed(
            id=feed_id,
            title=wording.say(feed_id),
            short=wording.say(feed_id),
            description=wording.say(f"{feed_id}_about"),
            group=Group.GENERAL,
            kind=kind,
            filter=wanted.with_limit(FEED_LIMIT),
            events=frozenset(events),
        )

    purchases = Filter(kind=PURCHASES)
    yield make("semua", OPEN, "tenders")
    yield make("perubahan", purchases, "changes")
    yield make("tenggat", replace(BIDDABLE, deadline_to=Moment("+7d")), "tenders")
    yield make("pemenang", purchases, "changes", Event.AWARD, Event.CONTRACT)
    yield make("batal-ulang", purchases, "changes", Event.CANCELLED, Event.UNSUCCESSFUL, Event.RETENDER)
    yield make("rup", Filter(kind=(Kind.PLAN,)), "tenders")
    yield make("berita", Filter(kind=(Kind.NEWS,)), "tenders")
    yield make("status", Filter(), "status")


def _slices(publisher: Publisher) -> Iterator[Feed]:
    wording = _wording(publisher)
    for category, feed_id in _CATEGORY_IDS.items():
        yield _slice(publisher, feed_id, wording.name(category), Group.CATEGORY, replace(OPEN, category=(category,)))
    for method, feed_id in _METHOD_IDS.items():
        # «Langsung di Kota Malang» alone would read as live from Malang.
        name = wording.say("method_name", name=wording.name(method))
        feed = _slice(publisher, feed_id, name, Group.METHOD, replace(OPEN, method=(method,)))
        yield replace(feed, description=wording.say("method_about", name=wording.name(method)))


def _entities(publisher: Publisher, entities: Iterable[str]) -> Iterator[Feed]:
    """One feed a name; a name that comes in two spellings of its capitals is one, as it is to Filter."""
    by_name = {name.casefold(): name for name in sorted(entities, reverse=True) if plain(name)}
    for folded, name in sorted(by_name.items()):
        shown = clip(plain(name), 150)
        wanted = replace(OPEN, procuring_entity=(name,))
        yield _slice(publisher, f"satker-{_slug(folded)}", shown, Group.ENTITY, wanted)


def _slice(publisher: Publisher, feed_id: str, name: str, group: Group, wanted: Filter) -> Feed:
    wording, place = _wording(publisher), plain(publisher.place)
    has_place = not place or place.casefold() in name.casefold()
    return Feed(
        id=feed_id,
        title=name if has_place else wording.say("of_place", name=name, place=place),
        short=name,
        description=wording.say("slice_about", name=name),
        group=group,
        filter=wanted.with_limit(FEED_LIMIT),
    )


def _own(table: FeedTable) -> Feed:
    title = plain(table.title) or table.id
    return Feed(
        id=table.id,
        title=title,
        short=title,
        description=plain(table.description) or title,
        group=Group.OWN,
        kind=table.kind,
        filter=table.filter.with_limit(FEED_LIMIT),
    )


def _slug(name: str) -> str:
    """An ASCII id of a casefolded name. It depends on nothing else, so that a new name never moves an old one:
    six digits of a hash stand behind every slug that does not tell its name in full, or that looks as if they did."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
    if slug.replace("-", " ") == name and len(slug) <= _MOST_SLUG and not _MARKED.search(slug):
        return slug
    mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:6]
    return f"{slug[:_MOST_SLUG].strip('-')}-{mark}".strip("-")


def _wording(publisher: Publisher) -> Wording:
    return Wording(publisher.language, ZoneInfo(publisher.timezone))
