"""A PostgreSQL whose client is killed between two of its messages: a transaction is there whole, or not at all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from tests.databases import OwnServer, run, start_server
from tests.torture import model
from tests.torture.killing import Report
from tests.torture.model import Broken
from tests.torture.stage import DATABASE, Play, Stage
from tests.torture.striking import FAIL, KILL, SEND, Blow


def strike_server(stage: Stage, rounds: int, dice: random.Random) -> Report:
    """A crawl into PostgreSQL is killed, or its connection fails, at a message to the server that is drawn."""
    report = Report("kill -9: crawl, PostgreSQL")
    with start_server() as server:
        admin = sa.create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        run(admin, "CREATE DATABASE first TEMPLATE template0 ENCODING 'UTF8'")
        address = server.url.set(database="first").render_as_string(hide_password=False)
        stage.good(stage.copy("first", "carried"), "db", "move", "--to", address)
        with _play(stage, server, admin) as play:
            calls = play.run("crawl", blow=Blow(classes=SEND)).calls
        for _ in range(rounds):
            report.rounds += 1
            blow = Blow(dice.choice([KILL, KILL, FAIL]), dice.randint(1, calls), SEND, 104)
            with _play(stage, server, admin) as play, report.watch(blow):
                _strike(stage, play, blow, report)
        admin.dispose()
    return report


def _strike(stage: Stage, play: Play, blow: Blow, report: Report) -> None:
    before = model.find_kept(play.address)
    ended = play.run("crawl", blow=Blow(blow.what, blow.at, SEND, blow.error, seconds=20))
    if "Traceback" in ended.err:
        raise Broken(f"a traceback: {ended}")
    report.blows += 1
    report.checked += model.check_database(play.address, stage.truths)
    model.check_nothing_lost(before, play.address)
    if (mended := play.run("crawl")).code:
        raise Broken(str(mended))
    model.check_database(play.address, stage.truths[1:])
    model.check_news(play.address, model.find_news(f"sqlite:///{stage.kept('moved') / DATABASE}"))
    report.checked += len(stage.truths[1])


@contextmanager
def _play(stage: Stage, server: OwnServer, admin: sa.Engine) -> Iterator[Play]:
    """The folder ``first`` with its database on the server."""
    run(admin, "DROP DATABASE IF EXISTS played WITH (FORCE)", "CREATE DATABASE played TEMPLATE first")
    with stage.play("first") as play:
        for path in (play.folder / DATABASE).parent.glob("warta.db*"):
            path.unlink()
        play.named = server.url.set(database="played").render_as_string(hide_password=False)
        yield play
