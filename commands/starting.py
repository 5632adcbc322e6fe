"""How one begins: a configuration of one's own, and the demo."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from aggregator.config import DATABASE_URL, Crawl, Database, Publish, parse_config
from aggregator.starter import render_starter
from commands.asking import open_repository
from commands.serving import listen, serve_until_stopped
from commands.terminal import UsageMistake, err, judge, print_runs

DEMO_CONTACT = "https://example.org/kontak"  # reserved for examples (RFC 2606): nobody is written to
DEMO_DAYS = timedelta(days=3)  # the demo reads its portal as it was so long ago, then today, so that there is news
DEMO_TABLES = {
    "crawl": Crawl(delay=0.0, archive=Path("archive")),
    "database": Database(url="sqlite:///warta.db"),
    "publish": Publish(directory=Path("public"), english=True),
}


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write warta.toml.")] = Path(),
    name: Annotated[str, typer.Option(help="Who publishes, as readers see it.")] = "",
    url: Annotated[str, typer.Option(help="Where the published tree will be served.")] = "",
    portal: Annotated[str, typer.Option(help="The portal's slug on spse.inaproc.id, or its address.")] = "",
    contact: Annotated[str, typer.Option(help="A page where readers can ask; may stay empty.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take the options as they are.")] = False,
) -> None:
    """Asks four questions and writes a commented warta.toml.

    Without a terminal, or with --yes, it asks nothing and takes the options:

    [dim]warta init desk --name "BLP Kota Batu" --url https://blp.batukota.go.id/umpan/ --portal batukota --yes[/]
    """
    path = directory / "warta.toml"
    if path.exists():
        raise UsageMistake(f"{path} is there already; edit it, or choose another folder")
    if not yes and sys.stdin.isatty():
        name = name or typer.prompt("Who publishes? (as in BLP Kota Batu)", err=True)
        url = url or typer.prompt("Where will the feeds be served? (as in https://blp.example.go.id/umpan/)", err=True)
        portal = portal or typer.prompt("Which portal? (its slug on spse.inaproc.id, or its address)", err=True)
        contact = contact or typer.prompt("A page where readers can ask? (Enter: none)", default="", err=True)
    missing = [f"--{key}" for key, said in (("name", name), ("url", url), ("portal", portal)) if not said.strip()]
    if missing:
        raise UsageMistake(f"init needs {', '.join(missing)}")
    text = render_starter(name, url, portal, contact, datetime.now(UTC).date())
    parse_config(text, path)
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    err.print(f"Wrote {path}. Next, in that folder: warta run, then warta serve.")


def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to serve; 0 takes any free one.")] = 8080,
    once: Annotated[bool, typer.Option("--once", help="Stop after publishing.")] = False,
) -> None:
    """Shows everything offline: a made-up LPSE with its plans, open data and news, crawled, published and served.

    All its data is made up, and every page says so. It writes into var/demo and nowhere else.
    """
    from demo.server import serve as serve_stand_ins
    from demo.town import Town
    from feeds.app import make_app
    from feeds.publish import publish as publish_tree
    from spiders.crawl import Order, crawl

    os.environ.pop(DATABASE_URL, None)  # whatever the real database is, the demo leaves it alone
    listener = None if once else listen("127.0.0.1", port)
    url = f"http://127.0.0.1:{listener.getsockname()[1] if listener else port}/"
    folder = Path("var/demo")
    shutil.rmtree(folder, ignore_errors=True)
    now = datetime.now(UTC)
    town = Town(now - DEMO_DAYS)
    with serve_stand_ins(town.stand_ins) as server:
        text = render_starter("BLP Kota Malang", url, f"{server.url}/malangkota", DEMO_CONTACT, date(2026, 1, 1))
        text += town.render_tables(server.url)
        config = parse_config(text, folder / "warta.toml").model_copy(update=DEMO_TABLES)
        repository = open_repository(config)
        err.print(f"Reading a made-up Kota Malang as it was {DEMO_DAYS.days} days ago …")
        crawl(config, config.portal, repository, Order(), now=town.world.now)
        town.advance(to=now)
        err.print("… and as it is today:")
        runs = crawl(config, config.portal, repository, Order(), now=now)
        print_runs(runs)
        publish_tree(config, repository, now, sample=True)
        err.print(f"Published into {folder}/public; all of it is made up.")
        if listener and not judge(runs):
            serve_until_stopped(
                make_app(config, repository, sample=True), listener
            )  # beside the stand-in, so that links to it work
    raise typer.Exit(judge(runs))
