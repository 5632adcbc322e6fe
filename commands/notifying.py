"""The verb that tells channels (Telegram, e-mail, webhooks …) what is new."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aggregator.config import Config, load_config
from aggregator.lines import count
from commands.asking import look_at_repository, open_repository
from commands.terminal import err, out

if TYPE_CHECKING:
    from aggregator.repository import Repository
    from feeds.notifying import Outcome


def notify(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send and mark nothing.")] = False,
    test: Annotated[str, typer.Option(metavar="CHANNEL", help="Send one test message to that channel.")] = "",
) -> None:
    """Tells each channel of warta.toml what is new, as run does after publishing.

    Exit code: 0 all told, 1 a channel could not be told, 2 bad usage or configuration.
    """
    from feeds.notifying import check_channels, try_channel
    from feeds.notifying import notify as notify_channels

    config, now = load_config(context.obj), datetime.now(UTC)
    if test:
        why = try_channel(config, open_repository(config), now, test)
        out.print(f"{test}: the test message {f'did not arrive: {why}' if why else 'was taken'}", soft_wrap=True)
        raise typer.Exit(1 if why else 0)
    if not config.notify:
        err.print("Nobody to tell: the configuration has no [[notify]].")
        return
    repository = look_at_repository(config) if dry_run else open_repository(config)
    check_channels(config, repository, now)
    if dry_run:
        _show(config, repository, now)
        return
    outcomes = notify_channels(config, repository, now)
    for outcome in outcomes:
        out.print(f"{outcome.channel}: {_tell(outcome)}", soft_wrap=True)
    raise typer.Exit(1 if any(outcome.why for outcome in outcomes) else 0)


def _show(config: Config, repository: Repository, now: datetime) -> None:
    from feeds.notifying import Desk
    from feeds.posting import render_text

    desk = Desk(config, repository, now)
    for table in config.notify:
        look = desk.look(table)
        where = f"{table.id} ({table.shown_url})"
        if look.is_new:
            entries = count(len(look.silent), "entry", "entries")
            out.print(f"{where}: not seen before; {entries} will count as told", soft_wrap=True)
        elif not look.news:
            out.print(f"{where}: nothing new", soft_wrap=True)
        else:
            letter = look.write(table.most)
            out.print(f"{where}: {letter['title']}\n\n{render_text(letter['pieces'])}\n", soft_wrap=True)


def _tell(outcome: Outcome) -> str:
    if outcome.why:
        return f"not told, {outcome.left} waiting: {outcome.why}"
    if outcome.is_new:
        return f"seen for the first time; {count(outcome.told, 'entry counts', 'entries count')} as told"
    return f"told, entries: {outcome.told}" if outcome.told else "nothing new"
