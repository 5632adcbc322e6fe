"""Which entries each channel was told of, as SQL: each once, whoever else tells it at the same time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.database import channels, notices, reading, writing
from aggregator.statements import chunks

CLAIM_LASTS = timedelta(minutes=5)  # longer than anybody takes to tell; then whoever claimed an entry has died
KEPT = timedelta(days=400)  # longer than an entry can be news to any channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a channel stands: what it tells of, when it last knew all of that, how often in a row it failed since, and
    until when it is left alone."""

    about: str
    caught_up: datetime
    failures: int = 0
    retry_at: datetime | None = None


def find_standing(engine: Engine, channel: str) -> Standing | None:
    """None for a channel that was never looked at."""
    return find_standings(engine).get(channel)


def find_standings(engine: Engine) -> dict[str, Standing]:
    """By channel; one that was never looked at is absent."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(channels)).mappings().all()
    names = ("about", "caught_up", "failures", "retry_at")
    return {row["channel"]: Standing(**{name: row[name] for name in names}) for row in rows}


def find_noted(engine: Engine, channel: str, entries: Collection[str], now: datetime) -> set[str]:
    """Those of ``entries`` that the channel knows, or is being told of."""
    with reading(engine) as connection:
        return _find_noted(connection, channel, entries, now)


def start_channel(engine: Engine, channel: str, about: str, known: Collection[str], now: datetime) -> None:
    """A channel that is seen for the first time, or tells of something else from now on: it knows all there is."""
    with writing(engine) as connection:
        _save_standing(connection, channel, Standing(about=about, caught_up=now))
        _note(connection, channel, known, now, sent=now)


def claim_entries(
    engine: Engine, channel: str, entries: Collection[str], known: Collection[str], now: datetime
) -> set[str]:
    """Those of ``entries`` that nobody has told the channel of or is telling: they are the caller's to tell now.

    ``known`` are noted as if it had been told of them. What a caller claimed and neither saved nor gave back, since it
    died, is free again after CLAIM_LASTS.
    """
    with writing(engine) as connection:
        dead = sa.and_(notices.c.channel == channel, notices.c.sent.is_(None), sa.not_(_is_claimed(now)))
        connection.execute(sa.delete(notices).where(dead))
        free = set(entries) - _find_noted(connection, channel, entries, now)
        _note(connection, channel, free, now, sent=None)
        _note(connection, channel, known, now, sent=now)
    return free


def save_told(
    engine: Engine, channel: str, told: Collection[str], untold: Collection[str], standing: Standing, now: datetime
) -> None:
    """What came of the entries that were claimed, and how the channel stands after it."""
    with writing(engine) as connection:
        _save_standing(connection, channel, standing)
        for chunk in chunks(told):
            connection.execute(sa.update(notices).where(_among(channel, chunk)).values(sent=now))
        for chunk in chunks(untold):
            connection.execute(sa.delete(notices).where(_among(channel, chunk)))
        connection.execute(sa.delete(notices).where(notices.c.noted < now - KEPT))


def _find_noted(connection: Connection, channel: str, entries: Collection[str], now: datetime) -> set[str]:
    is_noted = sa.or_(notices.c.sent.is_not(None), _is_claimed(now))
    found: set[str] = set()
    for chunk in chunks(entries):
        found.update(connection.execute(sa.select(notices.c.entry).where(_among(channel, chunk), is_noted)).scalars())
    return found


def _note(
    connection: Connection, channel: str, entries: Collection[str], now: datetime, *, sent: datetime | None
) -> None:
    """Adds those of ``entries`` that are not noted."""
    for chunk in chunks(entries):
        noted = set(connection.execute(sa.select(notices.c.entry).where(_among(channel, chunk))).scalars())
        rows = [{"channel": channel, "entry": each, "noted": now, "sent": sent} for each in chunk if each not in noted]
        if rows:
            connection.execute(sa.insert(notices), rows)


def _save_standing(connection: Connection, channel: str, standing: Standing) -> None:
    connection.execute(sa.delete(channels).where(channels.c.channel == channel))
    values = {name: getattr(standing, name) for name in ("about", "caught_up", "failures", "retry_at")}
    connection.execute(sa.insert(channels).values(channel=channel, **values))


def _among(channel: str, entries: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(notices.c.channel == channel, notices.c.entry.in_(entries))


def _is_claimed(now: datetime) -> sa.ColumnElement[bool]:
    """Both ways, for a clock that was set back."""
    return notices.c.noted.between(now - CLAIM_LASTS, now + CLAIM_LASTS)
