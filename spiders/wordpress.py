"""Official news of a site that runs WordPress, by its REST interface (developer.wordpress.org/rest-api)."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aggregator.config import Duration, Portal
from aggregator.models import ONE_LIST, Kind, Listing, Reading, Sweep, Visit
from aggregator.verdicts import Problem
from spiders.contract import ListOptions, find_stale
from spiders.news import (
    NewsItem,
    check_time,
    clean_body,
    clean_title,
    find_changed,
    web_address,
)
from spiders.options import parse_options
from spiders.portal import PortalSpider
from spiders.reading import ShapeError, parse_json, strictly

PER_PAGE = 100  # the most that WordPress gives; more is answered 400
MOST_PAGES = 1000  # a hundred thousand posts; a site that announces more for ever must end
FIELDS = "id,date,date_gmt,link,title,content,excerpt,categories"


class WordpressOptions(ListOptions):
    """``type`` is the REST name of the post type, ``categories`` are category ids, ``since`` the oldest day read.

    ``recent``: how far an open sweep looks back.
    """

    type: str = Field(default="posts", pattern=r"^[a-z0-9_-]+$")
    categories: tuple[int, ...] = ()
    since: date | None = None
    recent: Duration = timedelta(days=30)


class WordpressSpider(PortalSpider):
    """One WordPress site; ``portal.url`` is its front page."""

    name = "wordpress"
    kinds = (Kind.NEWS,)

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        parse_options(WordpressOptions, portal)

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        options = parse_options(WordpressOptions, self.portal)
        after = find_after(options, self.task, self.portal.zone)
        check = _ListCheck(after, frozenset(options.categories))
        async for posts in self._pages(options, after, check):
            items = [post.item for post in check.accept(posts)]
            for item in find_changed(items, self.task.known):
                yield item.as_reading(self.portal)
            yield Listing(kind=Kind.NEWS, year=ONE_LIST, keys=tuple(item.key for item in items))
        problems = check.problems(whole=self.task.limit is None)
        stale = find_stale(check.newest, options.stale_after, self.task.now)
        for problem in (*problems, *([stale] if stale else [])):
            self.tally.report(problem)
        if self.task.limit is None and self.task.sweep is Sweep.FULL and not problems:
            yield Listing(kind=Kind.NEWS, year=ONE_LIST, complete=True)

    async def _pages(
        self, options: WordpressOptions, after: datetime | None, check: _ListCheck
    ) -> AsyncIterator[list[Post]]:
        """All pages that the source announces, newest posts first; until an empty one, a repeat or the limit."""
        limit = self.task.limit
        base = f"{self.portal.url.rstrip('/')}/wp-json/wp/v2/{options.type}"
        query = render_query(options, after, PER_PAGE if limit is None else min(PER_PAGE, limit))
        page, pages, received = 1, 1, 0
        while page <= pages and (limit is None or received < limit):
            response = await self.fetch(f"{base}?{query}&page={page}")
            total, pages = parse_totals(response.headers)
            posts, wrong = parse_posts(response.body, self.portal.url, self.portal.zone)
            check.announce(total)
            check.refuse(wrong)
            if not posts or check.is_repeat(posts, page):
                return
            yield posts if limit is None else posts[: limit - received]
            page, received = page + 1, received + len(posts)


def find_after(options: WordpressOptions, visit: Visit, zone: ZoneInfo) -> datetime | None:
    """The time, in the site's own clock and without a zone, that posts must be after; None for all of them.

    A full sweep reads every post since ``since``. An open one reads the recent ones, once anything is known.
    """
    bounds = []
    if options.since:
        bounds.append(datetime.combine(options.since, time.min) - timedelta(seconds=1))
    if visit.sweep is Sweep.OPEN and any(kind is Kind.NEWS for kind, _ in visit.known):
        day = (visit.now - options.recent).astimezone(zone).date()
        bounds.append(datetime.combine(day, time.min))
    return max(bounds, default=None)


def render_query(options: WordpressOptions, after: datetime | None, per_page: int) -> str:
    """The query of a list of posts, without its page."""
    query: dict[str, object] = {"per_page": per_page, "orderby": "date", "order": "desc"}
    if after:
        query["after"] = after.isoformat()
    if options.categories:
        query["categories"] = ",".join(map(str, options.categories))
    return urlencode({**query, "_fields": FIELDS}, safe=",:")


def parse_totals(headers: Mapping[str, bytes | None]) -> tuple[int, int]:
    """X-WP-Total and X-WP-TotalPages. ShapeError where an answer does not announce them."""
    found = []
    for name in ("X-WP-Total", "X-WP-TotalPages"):
        text = (headers.get(name) or b"").decode("latin-1").strip()
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ShapeError(f"a list of posts without {name}", text)
        found.append(int(text))
    return found[0], found[1]


# Posts ---------------------------------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Rendered(_Strict):
    rendered: str


class _Row(_Strict):
    """A post as WordPress tells it. What plugins add is left out; a post type may lack content, dates, categories."""

    id: int = Field(gt=0)
    link: str
    title: _Rendered
    content: _Rendered | None = None
    excerpt: _Rendered | None = None
    date: datetime | None = None
    date_gmt: datetime | None = None
    categories: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """One post of a list: the item it is, and what the list is asserted by. ``date`` is in the site's own clock."""

    item: NewsItem
    date: datetime | None
    categories: frozenset[int]


def parse_posts(body: bytes, site: str, zone: ZoneInfo) -> tuple[list[Post], list[ShapeError]]:
    """The posts of one page, and what is wrong with those that cannot be read.

    ShapeError when it is no JSON list (an HTML page, say), or when no post can be read: other names, other types.
    """
    rows = parse_json(body, "a list of posts that is no JSON")
    if not isinstance(rows, list):
        raise ShapeError("a list of posts that is no list", rows)
    read: list[Post] = []
    wrong: list[ShapeError] = []
    for row in rows:
        try:
            with strictly("a post"):
                read.append(_make_post(_parse_row(row), site, zone))
        except ShapeError as error:
            wrong.append(error)
    if wrong and not read:
        raise wrong[0]
    return read, wrong


def _parse_row(row: object) -> _Row:
    try:
        # Lone halves of emoji are left out here, as clean_text does: pydantic takes no text that holds one.
        told = json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "ignore")
        return _Row.model_validate_json(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ShapeError(f"a post whose {where or 'row'} is wrong: {first['msg']}", row) from None


def _make_post(row: _Row, site: str, zone: ZoneInfo) -> Post:
    text = clean_body(row.content.rendered) if row.content else None
    if text is None and row.excerpt:
        text = clean_body(row.excerpt.rendered)
    # Every post has this second address, whatever its first one is.
    url = web_address(row.link) or f"{site.rstrip('/')}/?p={row.id}"
    item = NewsItem(
        key=str(row.id),
        title=clean_title(row.title.rendered) or clean_title(text or "") or url,
        url=url,
        text=text,
        published=_published(row, zone),
    )
    return Post(item, row.date.replace(tzinfo=None) if row.date else None, frozenset(row.categories or ()))


def _published(row: _Row, zone: ZoneInfo) -> datetime | None:
    """``date_gmt`` is UTC and ``date`` the site's own clock, both told without a zone."""
    told = row.date_gmt or row.date
    if told is None:
        return None
    return check_time(told if told.tzinfo else told.replace(tzinfo=UTC if row.date_gmt else zone))


@dataclass(slots=True)
class _ListCheck:
    """Asserts the list's contract: posts once, newest first, as filtered, and as many as announced."""

    after: datetime | None
    categories: frozenset[int]
    newest: datetime | None = None
    _keys: set[str] = field(default_factory=set)
    _totals: list[int] = field(default_factory=list)
    _last: datetime | None = None
    _twice: str = ""
    _unsorted: str = ""
    _unfiltered: str = ""
    _deaf: str = ""
    _wrong: list[ShapeError] = field(default_factory=list)

    def is_repeat(self, posts: Sequence[Post], page: int) -> bool:
        """Whether there is no use in reading on: a page without a new post, or more pages than a site can have."""
        if self._keys.issuperset(post.item.key for post in posts):
            self._deaf = f"page {page}: an earlier page again"
        elif page > MOST_PAGES:
            self._deaf = f"no end after {MOST_PAGES} pages"
        return bool(self._deaf)

    def announce(self, total: int) -> None:
        self._totals.append(total)

    def refuse(self, wrong: Sequence[ShapeError]) -> None:
        """Posts that cannot be read: told, and the list is not complete."""
        self._wrong += wrong

    def accept(self, posts: Sequence[Post]) -> Iterator[Post]:
        """The posts that may be kept: each once, none that the filter should have left out."""
        for post in posts:
            key = post.item.key
            if key in self._keys:
                self._twice = key
                continue
            self._keys.add(key)
            if self._last and post.date and post.date > self._last:
                self._unsorted = f"{key} of {post.date.isoformat()} after one of {self._last.isoformat()}"
            self._last = post.date or self._last
            if not self._obeys_filter(post):
                self._unfiltered = f"{key} of {post.date.isoformat() if post.date else 'no date'}"
                continue
            published = post.item.published
            if published and (self.newest is None or published > self.newest):
                self.newest = published
            yield post

    def _obeys_filter(self, post: Post) -> bool:
        if self.after and not (post.date and post.date >= self.after):
            return False
        return not self.categories or bool(self.categories & post.categories)

    def problems(self, *, whole: bool) -> list[Problem]:
        """``whole``: the list was read to its end, so its totals count."""
        found = []
        if self._deaf:
            found.append(Problem("listing", f"posts: {self._deaf}"))
        if self._twice:
            found.append(Problem("duplicate_key", "posts: an id stands twice", self._twice))
        if self._unsorted:
            found.append(Problem("unsorted", "posts: not newest first as asked", self._unsorted))
        if self._unfiltered:
            found.append(Problem("filter", "posts: some that were not asked for left out", self._unfiltered))
        came = len(self._keys) + len(self._wrong)
        if whole and set(self._totals) != {came}:
            announced = ", ".join(map(str, dict.fromkeys(self._totals)))
            found.append(Problem("short", f"posts: {announced} announced, {came} came"))
        return found + [Problem("shape", f"posts: {error}", error.sample) for error in self._wrong]
