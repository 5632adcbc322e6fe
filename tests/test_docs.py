"""The docs hold: every command they show runs, every key and option is named, every link leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel
from scrapy.settings import Settings
from scrapy.spiderloader import SpiderLoader

import warta
from aggregator.config import (
    DATABASE_URL,
    Config,
    ConfigError,
    Crawl,
    Database,
    FeedTable,
    Notify,
    Portal,
    Publish,
    Publisher,
    parse_config,
)
from aggregator.filters import FILTER_HELP
from aggregator.verdicts import PROBLEMS, Run
from demo import server, spse, world
from spiders.portal import PortalSpider

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
PAPERS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = sorted((ROOT / "docs/sources").glob("*.md"))
PUBLISHER = '[publisher]\nname = "x"\nurl = "https://x.id/"\nauthority = "x.id"\nsince = "2026-01-01"\n'
COMMANDS = typer.main.get_command(warta.app)


def blocks(language: str, papers: Sequence[Path] = PAPERS) -> list[tuple[str, str]]:
    """(where, text) of the fenced blocks of a language in all papers."""
    fence = re.compile(rf"^ *```{language}\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
    return [(path.name, match[1]) for path in papers for match in fence.finditer(path.read_text(encoding="utf-8"))]


def shown_commands() -> list[str]:
    return list(dict.fromkeys(line.strip() for _, text in blocks("sh") for line in text.splitlines()))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the shipped configuration, its portals led to a stand-in, crawled and published once."""
    folder = tmp_path_factory.mktemp("desk")
    made = world.World(NOW, tenders=4, non_tenders=3, recorded=2, self_managed=1, emergencies=1)
    with server.serve([spse.Portal(made)]) as standing_in:
        text = (ROOT / "warta.toml").read_text(encoding="utf-8")
        text = re.sub(r"https://spse\.inaproc\.id/\w+", f"{standing_in.url}/malangkota", text)
        text = text.replace("delay = 1.0", "delay = 0.0").replace('years = ["current"] ', "years = [2026]")
        (folder / "warta.toml").write_text(text, encoding="utf-8")
        run_command("warta run", folder)
        yield folder


def run_command(line: str, folder: Path) -> tuple[int, str]:
    """Runs one line as it is shown. A server is ended once it says that it is open."""
    program, *arguments = shlex.split(line)
    assert program == "warta"
    env = {key: value for key, value in os.environ.items() if key != DATABASE_URL}
    env["PYTHONPATH"] = str(ROOT)
    with subprocess.Popen(
        [sys.executable, "-m", "warta", *arguments],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        told: list[str] = []
        deadline = time.monotonic() + 120
        for said in process.stderr:
            told.append(said)
            if said.startswith("Open http://"):
                process.terminate()
                process.communicate()
                return 0, "".join(told)
            assert time.monotonic() < deadline, line
        return process.wait(60), "".join(told)


@pytest.mark.parametrize("line", shown_commands())
def test_every_command_that_is_shown_runs(line: str, desk: Path) -> None:
    code, told = run_command(free_port(line), desk)
    assert code == 0, told
    assert "Traceback" not in told


def free_port(line: str) -> str:
    """The same line with a port that is free on this machine."""
    return re.sub(r"--port \d+", "--port 0", line)


def test_the_papers_show_commands() -> None:
    assert len(shown_commands()) > 20


def test_every_verb_and_option_is_documented() -> None:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    filters = set(FILTER_HELP)
    for name, command in COMMANDS.commands.items():  # type: ignore[attr-defined] # a group has commands
        assert f"\n## {name}: " in text
        for option in command.params:
            if option.param_type_name == "option" and option.name not in {*filters, "help"}:
                assert any(flag in text for flag in option.opts), f"{name} {option.opts}"


TABLES: dict[str, type[BaseModel]] = {
    "publisher": Publisher,
    "crawl": Crawl,
    "database": Database,
    "publish": Publish,
    "portal": Portal,
    "feed": FeedTable,
    "notify": Notify,
}


def test_every_key_of_the_configuration_is_documented() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z_.]+)`", " ".join(re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE))))
    for table, model in TABLES.items():
        for key in model.model_fields:
            assert {key, f"{table}.{key}"} & documented, f"[{table}] {key}"
    assert set(TABLES) == set(Config.model_fields) - {"folder"}


def test_every_key_of_the_filter_is_documented() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8").split("## Filters")[1]
    assert set(re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE)))) == set(
        FILTER_HELP
    )


@pytest.mark.parametrize(("where", "text"), blocks("toml"))
def test_every_piece_of_configuration_that_is_shown_loads(where: str, text: str) -> None:
    config = parse_config(PUBLISHER + text, Path(where))
    assert config.portal or config.feed or config.notify


# Pages of the sources -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_page_of_a_source_begins_with_a_portal_of_its_family(path: Path) -> None:
    (where, text), *_ = blocks("toml", [path])
    portals = parse_config(PUBLISHER + text, Path(where)).portal
    assert portals
    for portal in portals:
        assert portal.family == path.stem
        spider = load_spider(portal)
        assert set(portal.kinds) <= set(spider.kinds)
        spider.check_options(portal)


@pytest.mark.parametrize(
    ("where", "text"), [block for block in blocks("toml", SOURCES) if block[1].startswith("[portal.options]")]
)
def test_other_options_that_are_shown_are_options_of_the_family(where: str, text: str) -> None:
    family = where.removesuffix(".md")
    table = f'[[portal]]\nid = "x"\nfamily = "{family}"\nname = "x"\nurl = "https://x.example.org"\n{text}'
    (portal,) = parse_config(PUBLISHER + table, Path(where)).portal
    assert portal.options
    spider = load_spider(portal)
    spider.check_options(portal)
    for name in portal.options:  # one letter more, and it is none of the family's
        wrong = portal.model_copy(update={"options": {**portal.options, f"{name}x": portal.options[name]}})
        with pytest.raises(ConfigError, match=rf"portal x: options\.{name}x: unknown key"):
            spider.check_options(wrong)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_page_of_a_source_says_what_is_asserted_with_codes_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", text)) & set(PROBLEMS)
    assert {"shape", "listing"} & named


def load_spider(portal: Portal) -> type[PortalSpider]:
    """The spider of the portal's family."""
    loader = SpiderLoader.from_settings(Settings({"SPIDER_MODULES": ["spiders"]}))
    spider = loader.load(portal.family)
    assert issubclass(spider, PortalSpider)
    return spider


def test_crawl_json_is_documented_as_it_is() -> None:
    [text] = [text for _, text in blocks("json") if '"portals"' in text]
    zero = datetime(2026, 1, 1, tzinfo=UTC)
    run = Run(portal="x", sweep="full", started=zero, finished=zero, verdict="ok")  # type: ignore[arg-type]
    assert re.findall(r'"(\w+)":', text) == ["portals", *run.as_dict()]


def test_every_target_of_make_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", all_papers(), re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", [*PAPERS, *SOURCES], ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)?(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if target and "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", [*PAPERS, *SOURCES], ids=lambda path: path.name)
def test_every_anchor_is_a_heading(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        other = (path.parent / target if target else path).read_text(encoding="utf-8")
        headings = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)", other, re.M)]
        assert anchor in headings, f"{target}#{anchor}"


def test_files_that_the_papers_name_exist() -> None:
    named = set(re.findall(r"`((?:spiders|aggregator|feeds|demo|tests|docs)/[\w./]+)`", all_papers()))
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def all_papers() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in PAPERS)
