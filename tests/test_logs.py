"""The log: one structured line a run, as text or JSON; no secret, no item, and nothing that forges a line of it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console

from aggregator.database import DatabaseError, open_database, show_address, writing
from aggregator.lines import FIELDS, count, mask_secrets, one_line, tell_size
from aggregator.models import Kind, Listing, Reading
from commands.logs import VARIABLE, JsonLines, LogForm, TextLines, render_fields, set_up_log
from demo.server import serve
from demo.spse import Portal
from demo.world import World
from spiders.log_lines import name_item
from tests.conftest import SPSE
from tests.feed_samples import TENDER
from tests.road import HEAD, NOW, Road

SAID = "isi " + "paket"  # in two, or the line of this source in a traceback would hold it
FORGED = "Jalan\n2026-11-24 INFO run portal=malangkota verdict=ok\r\x1b[2J\u202e\u2028\x9b1m"


@contextmanager
def logging_to(formatter: logging.Formatter) -> Iterator[tuple[logging.Logger, StringIO]]:
    """A logger of its own, and what it writes."""
    logger, written = logging.Logger("warta.test"), StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    yield logger, written


def test_fields_are_logfmt() -> None:
    told = {"portal": "malangkota", "reasons": ["shape: a", 'said "b"'], "new": 3, "why": "", "url": "a=b"}
    assert render_fields(told) == [
        "portal=malangkota",
        'reasons="shape: a; said \\"b\\""',
        "new=3",
        'why=""',
        'url="a=b"',
    ]


@pytest.mark.parametrize(("number", "told"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (1204, "1,204 jobs")])
def test_one_is_not_called_many(number: int, told: str) -> None:
    assert count(number, "job") == told
    assert count(number, "entry counts", "entries count").endswith("entry counts" if number == 1 else "entries count")


@pytest.mark.parametrize(
    ("size", "told"), [(0, "0 B"), (5443, "5.4 kB"), (999_999, "1,000.0 kB"), (7e13, "70,000.0 GB")]
)
def test_sizes_are_told_in_the_largest_unit(size: float, told: str) -> None:
    assert tell_size(size) == told


def test_what_the_queue_does_inside_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """`warta queue add` says what it did itself."""
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setenv(VARIABLE, "text")
    set_up_log(LogForm.TEXT, Console(file=StringIO()))
    for name in ("procrastinate.blueprints", "procrastinate.jobs"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_a_line_of_text_cannot_be_forged() -> None:
    with logging_to(TextLines("%(levelname)s %(message)s")) as (logger, written):
        logger.warning("%s", FORGED, extra={FIELDS: {"reasons": [FORGED]}})
        try:
            raise ValueError(FORGED)
        except ValueError:
            logger.exception("the run broke off")
    lines = written.getvalue().removesuffix("\n").split("\n")
    assert lines[0].startswith(
        r"WARNING Jalan\n2026-11-24 INFO run portal=malangkota verdict=ok\r\x1b[2J\u202e\u2028\x9b1m"
    )
    assert lines[1] == "ERROR the run broke off"
    assert all(line.startswith("    ") for line in lines[2:])
    assert all(line.isprintable() for line in lines)


def test_a_line_of_json_holds_the_fields_and_the_exception() -> None:
    with logging_to(JsonLines()) as (logger, written):
        logger.info("run", extra={FIELDS: {"portal": "malangkota", "reasons": [FORGED], "new": 3}})
        try:
            raise ValueError(FORGED)
        except ValueError:
            logger.exception("broke off: %s", FORGED)
    run, broke = (json.loads(line) for line in written.getvalue().splitlines())
    assert written.getvalue().isascii()
    assert list(run) == ["time", "level", "logger", "message", "portal", "reasons", "new"]
    assert (run["level"], run["logger"], run["message"]) == ("info", "warta.test", "run")
    assert (run["portal"], run["reasons"], run["new"]) == ("malangkota", [FORGED], 3)
    assert run["time"].endswith("+00:00")
    assert "ValueError: Jalan\n" in broke["exception"]


@pytest.mark.parametrize("formatter", [TextLines(), JsonLines()])
def test_no_log_holds_a_password_or_token(formatter: logging.Formatter) -> None:
    secrets = (
        "postgresql+psycopg://warta:hunter2@db/warta",
        "https://bot:hunter2@example.org/?q=1",
        "postgresql+psycopg://warta:hun@hunter2/hunter2@db/warta",
        "https://hub.example/?x=1&access_token=hunter2&y=2",
        "https://hub.example/?api_key=hunter2",
    )
    with logging_to(formatter) as (logger, written):
        for secret in secrets:
            logger.warning("%s was not told", secret, extra={FIELDS: {"reasons": [secret], "url": secret}})
            try:
                raise ValueError(secret)
            except ValueError:
                logger.exception("so")
    assert "hunter2" not in written.getvalue()
    assert "db/warta" in written.getvalue()
    assert "y=2" in written.getvalue()


@pytest.mark.parametrize("text", ["https://a.example/b?c=d", "mail a@b.example: 3", "portal=x key=5", "10:30@x"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask_secrets(text) == text
    assert one_line(text) == text


def test_a_bad_database_address_does_not_tell_its_password() -> None:
    with pytest.raises(DatabaseError) as told:
        show_address("postgres://warta:hunter2@db/warta")
    assert "hunter2" not in str(told.value)
    assert "postgres://warta:***@db/warta" in str(told.value)


def test_an_error_of_the_database_holds_no_item(address: str) -> None:
    engine = open_database(address)
    with pytest.raises(DatabaseError) as told, writing(engine) as connection:
        connection.execute(sa.text("INSERT INTO nowhere VALUES (:title)"), {"title": SAID})
    assert SAID not in "".join(traceback.format_exception(told.value))
    engine.dispose()


def test_an_item_is_logged_by_its_name() -> None:
    assert name_item(Reading(tender=TENDER)) == "malangkota/tender/10099412000"
    assert name_item(Listing(kind=Kind.TENDER, year=2026)) == "list of tender 2026"
    assert name_item({"title": "x"}) == "dict"


def test_an_item_that_cannot_be_saved_is_not_logged_as_a_whole(
    road: Road, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseError("the database is gone")

    monkeypatch.setattr("aggregator.pipeline.Intake.take", fail)
    run = road.crawl()
    assert run.verdict == "failed"
    titles = [row["title"] for row in road.truth().values()]
    assert "the database is gone" in caplog.text
    assert [title for title in titles if title in caplog.text] == []
    assert "Reading(" not in caplog.text


def test_every_run_is_one_record_with_its_numbers(road: Road, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = road.crawl()
    [record] = [record for record in caplog.records if record.getMessage() == "run"]
    assert vars(record)[FIELDS] == {"sweep": "full", **run.as_dict()}


def test_on_a_terminal_only_warnings_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.WARNING))
    monkeypatch.setattr(logging.Logger, "root", logging.root)
    monkeypatch.setenv(VARIABLE, "")
    written = StringIO()
    set_up_log(LogForm.TEXT, Console(file=written, force_terminal=True, width=200, color_system=None))
    logging.root.info("quiet")
    logging.root.warning("%s", FORGED)
    assert "quiet" not in written.getvalue()
    assert "\x1b[2J" not in written.getvalue()
    assert r"Jalan\n2026" in written.getvalue()


def run_warta(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "warta", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_json_is_all_that_stands_on_standard_error(tmp_path: Path) -> None:
    world = World(NOW, tenders=2, non_tenders=1, recorded=0, self_managed=0, emergencies=0)
    with serve([Portal(world)]) as server:
        table = SPSE.replace("{url}", f"{server.url}/malangkota")
        (tmp_path / "warta.toml").write_text(HEAD + table, encoding="utf-8")
        said = run_warta(tmp_path, "--log", "json", "crawl", "--year", "2026", "--json")
    told = [json.loads(line) for line in said.stderr.splitlines()]
    [run] = [line for line in told if line["message"] == "run"]
    [printed] = json.loads(said.stdout)["portals"]
    assert {key: run[key] for key in printed} == printed
    assert (run["level"], run["logger"], run["sweep"]) == ("info", "spiders.crawl", "full")


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--log", "json", "crawl", "--limit", "0"], "", "Invalid value for '--limit': Input should be greater"),
        (["--log=json", "fetch"], "", "No such command 'fetch'; see warta --help"),
        (["--log", "json", "--nope"], "text", "No such option: --nope; see warta --help"),
        (["--nope"], "json", "No such option: --nope; see warta --help"),
    ],
)
def test_bad_usage_is_json_too(tmp_path: Path, arguments: list[str], environment: str, message: str) -> None:
    said = run_warta(tmp_path, *arguments, **{VARIABLE: environment or "text"})
    told = json.loads(said.stderr)
    assert (said.returncode, told["level"], told["logger"]) == (2, "error", "warta")
    assert told["message"].startswith(message)


def test_mistakes_are_json_too_and_the_environment_may_ask_for_it(tmp_path: Path) -> None:
    said = run_warta(tmp_path, "crawl", **{VARIABLE: "json"})
    told = json.loads(said.stderr)
    assert (said.returncode, told["level"], told["logger"]) == (2, "error", "warta")
    assert told["message"].startswith("warta.toml: no such file")
    assert "Traceback" not in said.stderr
