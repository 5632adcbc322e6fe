"""Tells each [[notify]] channel of what is new in its feed: every entry once, together, never more than can be read.

What waits is not kept: it is whatever stands in the feed and was not told. So a channel that was down is told later of
what still holds then.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aggregator.config import Config, ConfigError, Notify
from aggregator.database import DatabaseError
from aggregator.models import Status
from aggregator.notices import Standing, claim_entries, find_noted, find_standing, save_told, start_channel
from aggregator.repository import Repository
from feeds.addresses import ENGLISH
from feeds.contents import Contents, find_moving
from feeds.definitions import Feed, Group, shipped_feeds
from feeds.entries import Entry
from feeds.posting import Letter
from feeds.words.messages import Subject, write_letter, write_trial
from feeds.words.wording import Language

NOTIFY_LASTS = 60.0  # seconds for all channels together; those that are left are told the next time
SEND_LASTS = 20.0  # seconds for one letter
LOOKED_THROUGH = 1000  # entries of a feed, which itself holds fewer: so that what it is too small for is known, too
NEWS_FOR = timedelta(days=365)  # after that time an entry is no news; less than notices.KEPT
LONGEST_RUN = timedelta(days=2)  # changes carry the time at which their run began
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)  # after failures, twice as long each time

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a letter: how many of its pieces arrived, and why not the others."""

    sent: int
    why: str = ""


def send_apart(url: str, letter: Letter, patience: float) -> Answer:
    """Sends it through apprise in a process of its own. ConfigError where apprise cannot use the address."""
    asked = json.dumps({"url": url, "letter": letter}).encode()  # by its input: what it is called with, all may see
    program = [sys.executable, "-P", str(Path(__file__).with_name("posting.py"))]  # -P: this folder has a calendar.py
    why = "it broke off"
    output: bytes | None
    try:
        ended = subprocess.run(  # noqa: S603 # nosec B603 # our own program; what it works with it reads from its input
            program, input=asked, capture_output=True, timeout=patience, check=False
        )
        output = ended.stdout
    except subprocess.TimeoutExpired as error:
        output, why = error.stdout, f"no answer within {patience:.0f} s"
    told = [json.loads(line) for line in (output or b"").splitlines(keepends=True) if line.endswith(b"\n")]
    said: dict[str, Any] = {"sent": 0, "why": why, **{key: value for line in told for key, value in line.items()}}
    if "unusable" in said:
        raise ConfigError(f"url: {said['unusable']}")
    return Answer(said["sent"], "" if said["sent"] == len(letter["pieces"]) else said["why"])


Send = Callable[[str, Letter, float], Answer]  # an address, what to tell, and how many seconds that may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one channel. ``told`` entries it now knows of, ``left`` wait; ``why`` is what went wrong.

    ``is_new``: it was seen for the first time, so that it counts as told of everything.
    """

    channel: str
    told: int = 0
    left: int = 0
    why: str = ""
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a channel has to be told. ``silent`` entries have come into sight, but are no news."""

    subject: Subject
    standing: Standing | None
    news: Sequence[Entry]
    silent: Sequence[Entry]

    @property
    def is_new(self) -> bool:
        return self.standing is None or self.standing.about != self.subject.feed.id

    def write(self, most: int) -> Letter:
        """What one letter tells of it."""
        return write_letter(self.subject, self.news[:most], max(len(self.news) - most, 0))


def notify(
    config: Config,
    repository: Repository,
    now: datetime,
    *,
    send: Send = send_apart,
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Tells every channel what it has not been told. Whatever goes wrong is a warning and stops no other channel.

    An entry is marked as told when the service took the message: who dies in between lets it be told once more.
    """
    desk, end = Desk(config, repository, now), clock() + NOTIFY_LASTS
    outcomes = []
    for table in config.notify:
        patience = min(SEND_LASTS, end - clock())
        try:
            outcome = _tell(desk, table, send, patience)
        except (ConfigError, DatabaseError, OSError) as error:
            outcome = Outcome(channel=table.id, why=str(error))
        outcomes.append(outcome)
        if outcome.why:
            _log.warning("notify %s: not told, %d waiting: %s", table.id, outcome.left, outcome.why)
        elif outcome.told and not outcome.is_new:
            _log.info("notify %s: told, entries: %d", table.id, outcome.told)
    return outcomes


def try_channel(config: Config, repository: Repository, now: datetime, channel: str) -> str:
    """Sends a letter that tells nothing; why it did not arrive, if so. ConfigError for an unknown channel."""
    table = next((table for table in config.notify if table.id == channel), None)
    if table is None:
        known = ", ".join(table.id for table in config.notify) or "none"
        raise ConfigError(f"no [[notify]] {channel!r} in the configuration; it has: {known}")
    with _naming(table):
        letter = write_trial(Desk(config, repository, now).find_subject(table))
        why = send_apart(table.load_url(), letter, SEND_LASTS).why
    standing = find_standing(repository.engine, channel)
    if standing and standing.failures and not why:  # it was mended: so nothing has to wait any more
        save_told(repository.engine, channel, (), (), replace(standing, failures=0, retry_at=None), now)
    return why


class Desk:
    """What there is to tell at ``now``; only looks."""

    def __init__(self, config: Config, repository: Repository, now: datetime) -> None:
        self._config = config
        self.repository = repository
        self.now = now
        self._contents: dict[str, tuple[Contents, list[Feed]]] = {}
        # Looking for all work units takes a second where there are a million tenders.
        self._has_entities = any((table.feed or "").startswith("satker-") for table in config.notify)

    def look(self, table: Notify) -> Look:
        """What is new to a channel. ConfigError where its feed is none."""
        subject = self.find_subject(table)
        engine = self.repository.engine
        entries, standing = self._find_entries(subject), find_standing(engine, table.id)
        if standing is None or standing.about != subject.feed.id:
            return Look(subject=subject, standing=standing, news=(), silent=entries)
        noted = find_noted(engine, table.id, [entry.id for entry in entries], self.now)
        open_now = (entry for entry in entries if not has_closed(entry, subject.feed, self.now))
        unknown = [entry for entry in open_now if entry.id not in noted]
        is_moving = any(find_moving(subject.feed.filter))
        news = choose_news(unknown, standing.caught_up, self.now, is_moving=is_moving)
        told = {entry.id for entry in news}
        return Look(subject=subject, standing=standing, news=news, silent=[e for e in unknown if e.id not in told])

    def find_subject(self, table: Notify) -> Subject:
        """What a channel is told of. ConfigError naming the feeds there are, where its feed is none of them."""
        publisher = self._config.publisher
        language = table.language or publisher.language
        _, feeds = self._read(language)
        wanted = table.feed or "status"
        feed = next((feed for feed in feeds if feed.id == wanted), None)
        if feed is None:
            known = ", ".join(feed.id for feed in feeds if feed.group is not Group.ENTITY)
            raise ConfigError(
                f"feed: there is no {wanted!r}, but there are: {known}, and one for each work unit (satker-…)"
            )
        is_twin = language != publisher.language and self._config.publish.english
        page = "status.html" if feed.kind == "status" else f"feeds/{feed.id}.html"
        return Subject(
            feed=feed,
            page_url=f"{publisher.url}{ENGLISH if is_twin else ''}{page}",
            language=language,
            is_for_operator=table.on is not None,
        )

    def _find_entries(self, subject: Subject) -> list[Entry]:
        contents, _ = self._read(subject.language)
        feed = subject.feed
        if feed.kind == "status":
            return contents.find_turns(LOOKED_THROUGH)
        return contents.find(replace(feed, filter=replace(feed.filter, limit=LOOKED_THROUGH)))

    def _read(self, language: Language) -> tuple[Contents, list[Feed]]:
        """What is published in a language, and its feeds; once for all channels."""
        if language not in self._contents:
            publisher = self._config.publisher.model_copy(update={"language": language})
            config = self._config.model_copy(update={"publisher": publisher})
            contents = Contents(config, self.repository, self.now)
            entities = self.repository.find_names("procuring_entity") if self._has_entities else ()
            self._contents[language] = (
                contents,
                shipped_feeds(config, [name for name, _ in entities], contents.find_kinds()),
            )
        return self._contents[language]


def choose_news(unknown: Sequence[Entry], caught_up: datetime, now: datetime, *, is_moving: bool) -> list[Entry]:
    """Those of ``unknown`` entries that are news to a channel which knew all there was at ``caught_up``.

    What has not changed since then only came into sight, since others left the feed; unless time itself brings entries
    into it (``is_moving``). What is very old is never told: whether it was told before may have been forgotten.
    """
    since = min(caught_up, now) - LONGEST_RUN
    newest = [entry for entry in unknown if entry.first_known >= now - NEWS_FOR]
    return [entry for entry in newest if is_moving or entry.updated >= since]


def has_closed(entry: Entry, feed: Feed, now: datetime) -> bool:
    """Whether ``entry`` is a package that can be bid for no more, though its portal calls it open until all is decided:
    a first full sweep finds many. It is passed over, not noted: its deadline may be moved, or this clock be wrong. Not
    for a feed that asks for deadlines itself."""
    if feed.kind != "tenders" or feed.filter.deadline_from or feed.filter.deadline_to:
        return False
    return entry.structured.get("status") == Status.ACTIVE and entry.starts is not None and entry.starts < now


def find_pause(failures: int) -> timedelta:
    """How long a channel is left alone after so many failures in a row."""
    return min(FIRST_PAUSE * (1 << min(failures - 1, 20)), LONGEST_PAUSE)


@contextmanager
def _naming(table: Notify) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"[[notify]] {table.id}: {error}") from error


def check_channels(config: Config, repository: Repository, now: datetime) -> None:
    """ConfigError, a line for each channel whose feed is none, or whose address apprise cannot use."""
    desk, mistakes = Desk(config, repository, now), []
    for table in config.notify:
        try:
            with _naming(table):
                desk.find_subject(table)
                send_apart(table.load_url(), {"title": "", "pieces": ()}, SEND_LASTS)
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _tell(desk: Desk, table: Notify, send: Send, patience: float) -> Outcome:
    look, engine, now = desk.look(table), desk.repository.engine, desk.now
    standing = look.standing
    news, silent = [entry.id for entry in look.news], [entry.id for entry in look.silent]
    if standing is None or look.is_new:
        about = look.subject.feed.id
        start_channel(engine, table.id, about, silent, now)
        _log.info("notify %s: tells of %s from now on; %d entries count as told", table.id, about, len(silent))
        return Outcome(channel=table.id, told=len(silent), is_new=True)
    if not news:
        if silent or now - standing.caught_up > LONGEST_RUN / 2:
            claim_entries(engine, table.id, (), silent, now)
            save_told(engine, table.id, (), (), replace(standing, caught_up=now), now)
        return Outcome(channel=table.id)
    if why := _find_hindrance(standing, now, patience):
        return Outcome(channel=table.id, left=len(news), why=why)
    url = table.load_url()
    claimed = claim_entries(engine, table.id, news, silent, now)
    look = replace(look, news=[entry for entry in look.news if entry.id in claimed])
    return _deliver(desk, table, look, standing, lambda letter: send(url, letter, patience))


def _find_hindrance(standing: Standing, now: datetime, patience: float) -> str:
    retry_at = standing.retry_at
    if retry_at and now < retry_at <= now + LONGEST_PAUSE:  # later only where the clock was set back
        return f"it failed, {standing.failures} in a row; tried again after {retry_at:%H:%M} UTC"
    return "no time is left; they are told the next time" if patience < 1 else ""


def _deliver(desk: Desk, table: Notify, look: Look, standing: Standing, send: Callable[[Letter], Answer]) -> Outcome:
    """Sends what was claimed, and gives back what did not arrive."""
    if not look.news:
        return Outcome(channel=table.id)  # another one is telling it
    letter, told, answer = look.write(table.most), 0, Answer(0, "it was broken off")
    try:
        answer = send(letter)
        told = len(look.news) if answer.sent == len(letter["pieces"]) else min(answer.sent, table.most)
        if told == len(look.news):
            standing = replace(standing, caught_up=desk.now, failures=0, retry_at=None)
        else:
            failures = standing.failures + 1
            standing = replace(standing, failures=failures, retry_at=desk.now + find_pause(failures))
    finally:
        ids = [entry.id for entry in look.news]
        save_told(desk.repository.engine, table.id, ids[:told], ids[told:], standing, desk.now)
    return Outcome(channel=table.id, told=told, left=len(look.news) - told, why=answer.why)
