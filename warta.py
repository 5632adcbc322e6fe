"""The command line: one short function a verb. The only place that knows spiders, aggregator and feeds.

Standard output holds results only; progress, log lines and mistakes go to standard error. What is slow to import is
imported inside the verbs that need it, so that `warta --help` waits for neither Scrapy nor SQLAlchemy.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from aggregator.config import (
    DATABASE_URL,
    Config,
    ConfigError,
    Crawl,
    Database,
    Portal,
    Publish,
    load_config,
    parse_config,
)
from aggregator.filters import FILTER_HELP, Filter, FilterError
from aggregator.models import Run, Sweep, Verdict
from aggregator.starter import render_starter

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from aggregator.repository import Repository
    from aggregator.runs import Tally
    from spiders.crawl import Order

LOG_EVERY = 60.0  # seconds between two log lines about one portal's run
BAD = {Verdict.FAILED, Verdict.BLOCKED}
DEMO_CONTACT = "https://example.org/kontak"  # reserved for examples (RFC 2606): nobody is written to
DEMO_DAYS = timedelta(days=3)  # the demo reads its portal as it was so long ago, then today, so that there is news
DEMO_TABLES = {
    "crawl": Crawl(delay=0.0, archive=Path("archive")),
    "database": Database(url="sqlite:///warta.db"),
    "publish": Publish(directory=Path("public"), english=True),
}

app = typer.Typer(
    help="Reads official procurement portals politely and gives their tenders back as feeds.",
    epilog="Try it offline: [bold]warta demo[/]. Your own: [bold]warta init[/], [bold]warta run[/], "
    "[bold]warta serve[/].",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    # Filter keys are the same everywhere, so --min-value and --min_value are one option.
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": lambda t: t.replace("-", "_")},
)
out = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


class UsageMistake(ValueError):
    """Something the user can mend: the message says what is wrong and how to say it right."""


PortalIds = Annotated[
    list[str] | None, typer.Argument(metavar="PORTAL", help="Ids from warta.toml. None: all that are enabled.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def main() -> None:
    """Runs the command line. What the user can mend ends in one clear line and exit code 2, never in a traceback."""
    try:
        app(prog_name="warta")
    except Exception as error:
        from aggregator.archive import ArchiveError
        from aggregator.database import DatabaseError

        if not isinstance(error, ArchiveError | ConfigError | DatabaseError | UsageMistake | OSError):
            raise
        for line in str(error).splitlines():
            err.print(f"warta: {line}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"warta {version('warta-pengadaan')}")
        raise typer.Exit


@app.callback()
def _start(
    context: typer.Context,
    config: Annotated[Path, typer.Option(metavar="FILE", help="The configuration.")] = Path("warta.toml"),
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = config
    terminal = err.is_terminal
    handler = RichHandler(console=err, show_path=False) if terminal else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s" if terminal else "%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING if terminal else logging.INFO, handlers=[handler])
    for chatty in ("scrapy", "twisted", "alembic", "asyncio", "protego", "filelock"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


# Verbs -------------------------------------------------------------------------------------------------


@app.command()
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


@app.command()
def portals(
    context: typer.Context,
    as_json: AsJson = False,
    discover: Annotated[str, typer.Option(metavar="NAME", help="Find LPSE by words of their names.")] = "",
    source: Annotated[str, typer.Option("--from", metavar="URL", help="Satu Data's address, to find in.")] = "",
) -> None:
    """Lists the portals: last run, verdict, next due. With --discover it prints tables for warta.toml instead."""
    config = load_config(context.obj)
    if discover or source:
        from spiders.satudata.discover import find_tables

        tables, told = find_tables(config, discover, source)
        typer.echo(tables, nl=False)
        err.print(told)
        raise typer.Exit(0 if tables else 1)
    rows = _read_health(config)["portals"]
    if as_json:
        _print_json({"portals": rows})
    else:
        _print_portals(rows)


@app.command()
def crawl(
    context: typer.Context,
    portals: PortalIds = None,
    sweep: Annotated[Sweep, typer.Option(help="full: every list. open: only what is open now.")] = Sweep.FULL,
    kinds: Annotated[
        list[str] | None, typer.Option("--kinds", "--kind", metavar="KINDS", help="As in tender,non_tender.")
    ] = None,
    years: Annotated[list[str] | None, typer.Option("--year", metavar="YEARS", help="As in 2025,2026.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop each list after that many packages.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and compare, but write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reads portals into the database. One portal's failure never stops another's.

    Exit code: 0 all ok or partial, 1 any failed or blocked, 2 bad usage or configuration.

    [dim]warta crawl[/]

    [dim]warta crawl malangkota --sweep open[/]

    [dim]warta crawl malangkota --kinds tender,non_tender --year 2025 --limit 20 --dry-run[/]
    """
    from spiders.crawl import Order

    config = load_config(context.obj)
    chosen = _choose(config, portals)
    asked = _parse_filter({"kind": _split(kinds), "year": _split(years)})
    order = Order(sweep=sweep, kinds=asked.kind, years=asked.year, limit=limit, dry_run=dry_run)
    _finish(_crawl(config, _open(config), [(portal, order) for portal in chosen]), as_json)


@app.command()
def run(
    context: typer.Context,
    due: Annotated[bool, typer.Option("--due", help="Only portals whose time has come; skip busy hosts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Crawls and publishes, for cron and timers. Exit codes as crawl.

    [dim]*/5 * * * *  cd /srv/warta && warta run --due[/]
    """
    from aggregator.runs import find_due, find_next
    from feeds.publish import publish as publish_tree
    from spiders.crawl import Order

    config = load_config(context.obj)
    repository = _open(config)
    last, now = repository.find_last_runs(), datetime.now(UTC)
    if due:
        chosen = find_due(config.portal, last, now)
    else:
        chosen = [(portal, find_next(portal, last.get(portal.id), now)[1]) for portal in _choose(config, None)]
    runs = _crawl(config, repository, [(portal, Order(sweep=sweep)) for portal, sweep in chosen])
    publish_tree(config, repository, datetime.now(UTC))
    _finish([run for run in runs if not (due and _was_busy(run))], as_json)


@app.command()
def publish(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Instead of the configured folder.")] = None,
) -> None:
    """Writes the feeds and pages that changed; leaves every other file untouched."""
    from feeds.publish import publish as publish_tree

    config = load_config(context.obj)
    done = publish_tree(config, _open(config), datetime.now(UTC), output)
    err.print(
        f"{output or config.public_folder}: {done.written} written, {done.unchanged} unchanged, {done.removed} removed"
    )


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8080,
) -> None:
    """Serves the published tree and searches until Ctrl-C."""
    from feeds.app import make_app

    config = load_config(context.obj)
    changed = datetime.fromtimestamp(context.obj.stat().st_mtime, UTC)
    _serve(make_app(config, _open(config), since=changed), _listen(host, port))


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Tells whether all is well: portals, database, published tree. Exit code: 0 healthy, 1 not."""
    config = load_config(context.obj)
    health = _read_health(config)
    if as_json:
        _print_json(health)
    else:
        _print_portals(health["portals"])
        out.print(f"Database: {health['database']['tenders']} tenders in {health['database']['url']}")
        published = health["published"]
        late = "" if published["healthy"] or not published["updated"] else ", long before the last run: warta publish"
        out.print(f"Published: {published['updated'] or 'nothing yet'}, {published['directory']}{late}")
        out.print("Healthy." if health["healthy"] else "Not healthy.")
    raise typer.Exit(0 if health["healthy"] else 1)


@app.command()
def replay(
    context: typer.Context,
    portals: PortalIds = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only pages read on this day or later.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Parses the raw archive again, after a parser was mended. Asks no portal for anything. Exit codes as crawl."""
    from spiders.replay import replay as replay_portals

    config = load_config(context.obj)
    start = since.replace(tzinfo=ZoneInfo(config.publisher.timezone)) if since else None
    _finish(replay_portals(config, _choose(config, portals), _open(config), start, datetime.now(UTC)), as_json)


@app.command()
def archive(
    context: typer.Context,
    prune: Annotated[bool, typer.Option("--prune", help="Remove now what the configured limits ask for.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tells what the raw archive holds, and what its limits would remove. A crawl removes it when it ends."""
    from aggregator.archive import Archive
    from aggregator.retention import look_at, render_archive
    from spiders.crawl import WHOLE

    config = load_config(context.obj)
    repository = _open(config) if prune else _look(config)
    raw = Archive(config.archive_folder, repository)
    told = look_at(raw, repository, config.crawl, WHOLE, datetime.now(UTC), prune=prune)
    if as_json:
        _print_json(told)
    else:
        out.print(render_archive(told), soft_wrap=True)


F = TypeVar("F", bound=Callable[..., None])


def _with_filter_options(verb: F) -> F:
    """Gives ``verb`` one option for each key of Filter, repeatable where several values make sense."""
    signature = inspect.signature(verb, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = []
    for key in fields(Filter):
        several = isinstance(key.default, tuple)
        name = f"--{key.name.replace('_', '-')}"
        option = typer.Option(name, metavar="VALUE", help=FILTER_HELP[key.name], rich_help_panel="Filter")
        annotation = Annotated[list[str] | None if several else str | None, option]  # type: ignore[valid-type]
        options.append(inspect.Parameter(key.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    verb.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return verb


@app.command()
@_with_filter_options
def export(
    context: typer.Context,
    form: Annotated[Literal["jsonl"], typer.Option("--format", help="jsonl: one JSON object a line.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of standard output.")
    ] = None,
    **values: Any,
) -> None:
    """Writes tenders to standard output or a file, as many as there are, without holding them in memory.

    Each purchase once, with what all its sources tell; of one --portal alone, as that portal tells it.

    [dim]warta export --format jsonl -o tenders.jsonl[/]

    [dim]warta export --format jsonl --category works --min-value 200000000 --q "jalan OR jembatan" | head[/]
    """
    from aggregator.export import export_jsonl

    wanted = _parse_filter(values)
    config = load_config(context.obj)
    zone, apart = ZoneInfo(config.publisher.timezone), len(wanted.portal) == 1
    records = _open(config).find(wanted, datetime.now(UTC), zone, apart=apart)
    with _open_output(output) as stream:
        for line in export_jsonl(records):
            stream.write(line)


@app.command()
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
    listener = None if once else _listen("127.0.0.1", port)
    url = f"http://127.0.0.1:{listener.getsockname()[1] if listener else port}/"
    folder = Path("var/demo")
    shutil.rmtree(folder, ignore_errors=True)
    now = datetime.now(UTC)
    town = Town(now - DEMO_DAYS)
    with serve_stand_ins(town.stand_ins) as server:
        text = render_starter("BLP Kota Malang", url, f"{server.url}/malangkota", DEMO_CONTACT, date(2026, 1, 1))
        text += town.render_tables(server.url)
        config = parse_config(text, folder / "warta.toml").model_copy(update=DEMO_TABLES)
        repository = _open(config)
        err.print(f"Reading a made-up Kota Malang as it was {DEMO_DAYS.days} days ago …")
        crawl(config, config.portal, repository, Order(), now=town.world.now)
        town.advance(to=now)
        err.print("… and as it is today:")
        runs = crawl(config, config.portal, repository, Order(), now=now)
        _print_runs(runs)
        publish_tree(config, repository, now, sample=True)
        err.print(f"Published into {folder}/public; all of it is made up.")
        if listener and not _judge(runs):
            _serve(make_app(config, repository, sample=True), listener)  # beside the stand-in, so that links to it work
    raise typer.Exit(_judge(runs))


# What the verbs share -----------------------------------------------------------------------------------


def _open(config: Config) -> Repository:
    from aggregator.database import open_database
    from aggregator.repository import Repository

    return Repository(open_database(config.database_url))


def _choose(config: Config, ids: Sequence[str] | None) -> list[Portal]:
    """The portals named, each once, or all that are enabled."""
    chosen = [config.find_portal(i) for i in dict.fromkeys(ids)] if ids else [p for p in config.portal if p.enabled]
    if not chosen:
        raise ConfigError("no portal is enabled in the configuration; add one, or name a portal")
    return chosen


def _split(texts: Sequence[str] | None) -> list[str]:
    """``--year 2025,2026`` and ``--year 2025 --year 2026`` are the same."""
    return [word for text in texts or () for word in text.split(",")]


def _parse_filter(values: Mapping[str, Any]) -> Filter:
    try:
        return Filter.parse({key: value for key, value in values.items() if value is not None})
    except FilterError as error:
        raise UsageMistake(f"--{error.key.replace('_', '-')}: {error.why}") from error


@contextmanager
def _open_output(path: Path | None) -> Iterator[IO[str]]:
    """Standard output, or the file at ``path``. A reader that has seen enough (`| head`) ends the program quietly."""
    if path:
        try:
            stream = path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise UsageMistake(f"--output: {error.strerror}: {path}") from error
        with stream:
            yield stream
        return
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains while closing it


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise UsageMistake(
            f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}; choose another --port"
        ) from error


def _serve(application: Starlette, listener: socket.socket) -> None:
    from feeds.serving.running import run_server

    host, port = listener.getsockname()[:2]
    err.print(f"Open http://{host}:{port}/ (Ctrl-C ends it)")
    run_server(application, listener)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


def _crawl(config: Config, repository: Repository, asked: Sequence[tuple[Portal, Order]]) -> list[Run]:
    """Crawls each portal as asked; those that are asked alike together."""
    from spiders.crawl import crawl

    runs = []
    with _progress(len(asked)) as tell:
        for order in dict.fromkeys(order for _, order in asked):
            alike = [portal for portal, its_order in asked if its_order == order]
            runs += crawl(config, alike, repository, order, now=datetime.now(UTC), on_progress=tell)
    return runs


@contextmanager
def _progress(portals: int) -> Iterator[Callable[[Portal, Tally], None] | None]:
    """Numbers of each portal under way: a line on a terminal, elsewhere one in the log every minute."""
    if not portals:
        yield None
        return
    if not err.is_terminal:
        yield _log_progress()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        lines: dict[str, TaskID] = {}

        def tell(portal: Portal, tally: Tally) -> None:
            told = _tell_progress(portal, tally)
            if portal.id not in lines:
                lines[portal.id] = progress.add_task(told, total=None)
            progress.update(lines[portal.id], description=told)

        yield tell


def _log_progress(clock: Callable[[], float] = time.monotonic) -> Callable[[Portal, Tally], None]:
    last: dict[str, float] = {}

    def tell(portal: Portal, tally: Tally) -> None:
        now = clock()
        if now - last.setdefault(portal.id, now) >= LOG_EVERY:
            last[portal.id] = now
            logging.getLogger("warta").info("%s", _tell_progress(portal, tally))

    return tell


def _tell_progress(portal: Portal, tally: Tally) -> str:
    return f"{portal.name}: {tally.seen} read, {tally.new} new, {tally.changed} changed, {tally.errors} errors"


def _was_busy(run: Run) -> bool:
    """Whether another run held the host, so that this one never began."""
    return run.requests == 0 and any(reason.startswith("busy:") for reason in run.reasons)


def _judge(runs: Sequence[Run]) -> int:
    """The exit code that says how the runs went."""
    return 1 if any(run.verdict in BAD for run in runs) else 0


def _finish(runs: Sequence[Run], as_json: bool) -> None:
    """Tells how the runs went and ends the program."""
    if as_json:
        _print_json({"portals": [run.as_dict() for run in runs]})
    else:
        _print_runs(runs)
    raise typer.Exit(_judge(runs))


def _print_runs(runs: Sequence[Run]) -> None:
    table = Table("portal", "verdict", "requests", "seen", "new", "changed", "withdrawn", "seconds", box=None)
    for run in runs:
        told = run.as_dict()
        table.add_row(*(str(told[str(column.header)]) for column in table.columns))
    out.print(table)
    for run in runs:
        for reason in run.reasons:
            out.print(f"{run.portal}: {reason}", soft_wrap=True)


def _look(config: Config) -> Repository:
    """The database to look at, which changes nothing: one that is not there yet is not made."""
    from aggregator.database import is_made, open_database
    from aggregator.repository import Repository

    url = config.database_url
    return Repository(open_database(url if is_made(url) else "sqlite://"))


def _read_health(config: Config) -> dict[str, Any]:
    from aggregator.database import show_address
    from aggregator.health import tell_health
    from feeds.tree import find_last_publish

    now, url, repository = datetime.now(UTC), config.database_url, _look(config)
    tenders = repository.count(Filter(), now, ZoneInfo(config.publisher.timezone), apart=True)
    published = find_last_publish(config.public_folder)
    return tell_health(config, repository.find_last_runs(), show_address(url), tenders, published, now)


def _print_portals(portals: Sequence[dict[str, Any]]) -> None:
    table = Table("portal", "verdict", "last run", "next due", "reasons", box=None)
    for told in portals:
        last = (told["last_run"] or "")[:16].replace("T", " ")
        due = told["next_due"][:16].replace("T", " ") if told["enabled"] else "off"
        table.add_row(told["portal"], told["verdict"] or "never ran", last, due, "; ".join(told["reasons"]))
    out.print(table)


if __name__ == "__main__":
    main()
