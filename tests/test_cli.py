"""warta.py: exit codes, what stands on standard output, and the one line that tells a mistake."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import warta as command_line
from aggregator.config import DATABASE_URL, Config, load_config
from aggregator.connecting import DatabaseAway
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.leases import Leases, name_portal
from aggregator.repository import Repository
from commands import crawling, terminal
from commands.asking import open_repository
from demo.server import Server, serve
from demo.spse import Portal
from demo.world import World

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        told = json.loads(self.out)
        assert isinstance(told, dict)
        return told


Warta = Callable[..., Said]


@pytest.fixture
def warta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Warta:
    """Runs the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(DATABASE_URL, raising=False)

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["warta", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            command_line.main()
        return Said(int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def portal() -> Iterator[Server]:
    world = World(NOW, tenders=6, non_tenders=4, recorded=2, self_managed=2, emergencies=1, hostile=False)
    with serve([Portal(world)]) as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, portal: Server, warta: Warta) -> Path:
    """A folder with a configuration of one small stand-in portal."""
    portal.faults.clear()
    answers = ("--name", "BLP Kota Malang", "--url", "https://blp.example.go.id/", "--yes")
    assert warta("init", "--portal", f"{portal.url}/malangkota", *answers).code == 0
    path = tmp_path / "warta.toml"
    path.write_text(path.read_text().replace("delay = 1.0", "delay = 0.0").replace('["current"]', "[2026]"))
    return tmp_path


# Mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["portals"], "warta: warta.toml: no such file; make one with 'warta init', or name it with --config"),
        (["--config", "other.toml", "publish"], "warta: other.toml: no such file"),
        (["init"], "warta: init needs --name, --url, --portal"),
        (
            ["export", "--format", "jsonl", "--min-value", "limaratus"],
            "warta: --min-value: 'limaratus' is not a number",
        ),
        (["export", "--format", "jsonl", "--category", "road"], "warta: --category: 'road' is not known; choose from"),
        (
            ["export", "--format", "jsonl", "--deadline-to", "besok"],
            "warta: --deadline-to: 'besok' is not a date; as in",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(warta: Warta, arguments: list[str], line: str) -> None:
    said = warta(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1


FORMS = "ocds, ocds-records, jsonl, csv, xlsx, parquet"
BAD_USAGE = [
    (["--nope"], "No such option: --nope; see warta --help"),
    (["fetch"], "No such command 'fetch'; see warta --help"),
    (["crawl", "--sweep", "half"], "Invalid value for '--sweep': 'half' is not one of 'open', 'full'; see warta crawl"),
    (["export"], f"Missing option '--format'. Choose from: {FORMS}; see warta export --help"),
    (["export", "--format", "x"], "Invalid value for '--format': 'x' is not one of 'ocds', 'ocds-records', "),
    (["serve", "--port", "99999"], "Invalid value for '--port': Input should be less than or equal to 65535"),
    (["backup", "a.tar", "postgresql+psycopg://w:ge@he/im@h/d"], "Got unexpected extra argument(s) (postgresql+psyco"),
]


@pytest.mark.parametrize(("arguments", "line"), BAD_USAGE)
def test_bad_usage_is_one_line_and_exit_code_2(warta: Warta, arguments: list[str], line: str) -> None:
    said = warta(*arguments)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"warta: {line}")
    assert "im@" not in said.err


@pytest.mark.parametrize("verb", [(), ("db",)])
def test_without_a_verb_the_help_is_shown(warta: Warta, verb: tuple[str, ...]) -> None:
    said = warta(*verb)
    assert (said.code, said.err) == (2, "")
    assert "Usage: warta" in said.out


@pytest.mark.parametrize(
    ("host", "why"), [("nix.invalid", "Name or service not known"), ("192.0.2.1", "Cannot assign requested address")]
)
def test_a_host_that_is_not_here_is_told_as_such(desk: Path, warta: Warta, host: str, why: str) -> None:
    said = warta("serve", "--host", host, "--port", "0")
    assert (said.code, said.err) == (2, f"warta: cannot listen on {host}:0: {why}; choose another --host\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["crawl", "malang"], "warta: no portal 'malang' in the configuration; it has: malangkota"),
        (
            ["crawl", "--kinds", "tender,lelang"],
            "warta: --kinds: 'lelang' is not known; choose from tender, non_tender",
        ),
        (["crawl", "--year", "26"], "warta: --year: '26' is not from 2000 to 2100"),
        (
            ["export", "--format", "jsonl", "--portal", "nix"],
            "warta: --portal: no portal 'nix' in the configuration or the database; there are: malangkota",
        ),
        (["export", "--format", "jsonl", "-o", "no/where.jsonl"], "warta: --output: No such file or directory"),
    ],
)
def test_a_mistake_in_a_good_folder(desk: Path, warta: Warta, arguments: list[str], line: str) -> None:
    said = warta(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1


def test_a_mistake_in_the_configuration_names_file_line_key_and_mend(desk: Path, warta: Warta) -> None:
    with (desk / "warta.toml").open("a") as file:
        file.write('\n[[feed]]\nid = "jalan"\ntitle = "Jalan"\nfilter = { harga = 1 }\n')
    said = warta("status")
    assert said.code == 2
    assert "warta.toml:" in said.err
    assert "feed.1: filter: harga: unknown filter key; choose from" in said.err


def test_a_port_in_use_is_told(desk: Path, warta: Warta) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = warta("serve", "--port", port)
    assert said.code == 2
    assert said.err == f"warta: cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n"


def test_a_file_that_is_no_database_is_told(desk: Path, warta: Warta) -> None:
    (desk / "var").mkdir()
    (desk / "var/warta.db").write_text("not a database " * 100)
    said = warta("publish")
    assert said.code == 2
    assert "is not an SQLite database" in said.err


# Verbs --------------------------------------------------------------------------------------------------


def test_help_lists_every_verb_and_needs_no_configuration(warta: Warta) -> None:
    said = warta("--help")
    assert said.code == 0
    for verb in ("init", "portals", "crawl", "publish", "run", "serve", "export", "status", "replay", "demo"):
        assert f" {verb} " in said.out


def test_init_keeps_what_was_answered_and_never_overwrites(warta: Warta, tmp_path: Path) -> None:
    answers = (
        "--name",
        'BLP "Kota" Batu',
        "--url",
        "https://blp.batukota.go.id/umpan",
        "--portal",
        "batukota",
        "--yes",
    )
    assert warta("init", "desk", *answers, "--contact", "https://blp.batukota.go.id/kontak").code == 0
    config = load_config(tmp_path / "desk/warta.toml")
    assert config.publisher.name == 'BLP "Kota" Batu'
    assert config.publisher.url == "https://blp.batukota.go.id/umpan/"
    assert config.publisher.authority == "blp.batukota.go.id"
    assert config.publisher.contact == "https://blp.batukota.go.id/kontak"
    assert [(p.id, p.name, p.url) for p in config.portal] == [
        ("batukota", "LPSE Kota Batu", "https://spse.inaproc.id/batukota")
    ]
    before = (tmp_path / "desk/warta.toml").read_bytes()
    said = warta("init", "desk", *answers)
    assert said.code == 2
    assert "is there already" in said.err
    assert (tmp_path / "desk/warta.toml").read_bytes() == before


def test_init_writes_nothing_that_would_not_load(warta: Warta, tmp_path: Path) -> None:
    said = warta("init", "desk", "--name", "BLP", "--url", "batukota", "--portal", "batukota", "--yes")
    assert said.code == 2
    assert "write it with https:// in front" in said.err
    assert not (tmp_path / "desk").exists()


@pytest.mark.parametrize(
    ("url", "portal", "line"),
    [
        ("batukota", "batukota", "warta: url: 'batukota' is not a web address; write it with https:// in front"),
        ("https://blp.example.go.id/?a=b", "batukota", "warta: url: 'https://blp.example.go.id/?a=b' has a ? or #"),
        ("https://blp.example.go.id/", "Kota Batu", "warta: portal: 'Kota Batu' is no slug of spse.inaproc.id"),
        ("https://blp.example.go.id/", "lpse.x.go.id/eproc4", "warta: portal: 'lpse.x.go.id/eproc4' is no slug"),
        ("https://blp.example.go.id/", "https://lpse.x.go.id/kota batu", "warta: portal: 'https://lpse.x.go.id/kota"),
        ("http://localhost:8080/", "https://batukota.go.id", "warta: url: 'localhost' is no host name that you own;"),
    ],
)
def test_init_refuses_what_cannot_work(warta: Warta, tmp_path: Path, url: str, portal: str, line: str) -> None:
    said = warta("init", "desk", "--name", "BLP", "--url", url, "--portal", portal, "--yes")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1
    assert portal == "batukota" or "https://" in said.err
    assert not (tmp_path / "desk").exists()


def test_init_names_a_contact_that_is_none(warta: Warta, tmp_path: Path) -> None:
    answers = ("--name", "BLP", "--url", "https://blp.example.go.id/", "--portal", "batukota", "--yes")
    said = warta("init", "desk", *answers, "--contact", "blp@example.go.id")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith("warta: contact: 'blp@example.go.id' is not a web address")


def test_a_place_that_may_not_be_written_is_told_without_a_number(
    desk: Path, warta: Warta, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    answers = ("--name", "BLP", "--url", "https://blp.example.go.id/", "--portal", "batukota", "--yes")
    said = warta("init", "other", *answers)
    assert said.code == 2
    assert said.err == "warta: other: Permission denied; run it as a user who may, or choose another place\n"


def test_crawl_json_prints_one_object_and_nothing_else(desk: Path, warta: Warta) -> None:
    said = warta("crawl", "--json")
    [told] = said.json["portals"]
    assert (said.code, told["portal"], told["verdict"], told["reasons"]) == (0, "malangkota", "ok", [])
    assert (told["seen"], told["new"], told["errors"]) == (15, 15, 0)
    [again] = warta("crawl", "--json").json["portals"]
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, 15)


def test_a_dry_run_writes_no_tender(desk: Path, warta: Warta) -> None:
    [told] = warta("crawl", "--dry-run", "--json").json["portals"]
    assert told["new"] == 15
    assert warta("export", "--format", "jsonl").out == ""


def test_crawl_takes_only_what_it_is_asked_for(desk: Path, warta: Warta) -> None:
    [told] = warta("crawl", "malangkota", "--kinds", "recorded,self_managed", "--kinds", "emergency", "--json").json[
        "portals"
    ]
    assert told["seen"] == 5
    kinds = {json.loads(line)["kind"] for line in warta("export", "--format", "jsonl").out.splitlines()}
    assert kinds == {"recorded", "self_managed", "emergency"}


def test_a_portal_that_fails_is_exit_code_1_with_its_reason(desk: Path, portal: Server, warta: Warta) -> None:
    path = desk / "warta.toml"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    path.write_text(path.read_text().replace(portal.url, nobody))
    said = warta("crawl", "--json")
    [told] = said.json["portals"]
    assert (said.code, told["verdict"]) == (1, "failed")
    assert told["reasons"]
    assert warta("status").code == 1


def test_export_takes_the_filter_keys_as_options(desk: Path, warta: Warta) -> None:
    warta("crawl")

    def export(*options: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in warta("export", "--format", "jsonl", *options).out.splitlines()]

    everything = export()
    assert len(everything) == 15
    assert {t["kind"] for t in export("--kind", "tender", "--kind", "recorded")} == {"tender", "recorded"}
    assert export("--min_value", "1000000") == export("--min-value", "1000000")
    assert len(export("--limit", "3", "--sort", "value")) == 3
    assert export("--limit", "5000") == everything
    assert [t["key"] for t in export("--key", everything[0]["key"])] == [everything[0]["key"]]
    assert export("--q", "tidakadakatainiya") == []


def test_export_has_an_option_for_every_key_of_the_filter(warta: Warta) -> None:
    told = warta("export", "--help").out
    for key in fields(Filter):
        assert f"--{key.name.replace('_', '-')} " in told


def test_export_writes_the_same_into_a_file(desk: Path, warta: Warta) -> None:
    warta("crawl")
    said = warta("export", "--format", "jsonl", "-o", "tenders.jsonl")
    assert (said.code, said.out) == (0, "")
    assert (desk / "tenders.jsonl").read_text() == warta("export", "--format", "jsonl").out


def test_status_and_portals_tell_how_it_stands(desk: Path, warta: Warta) -> None:
    said = warta("status", "--json")
    assert said.code == 1
    assert not said.json["healthy"]
    assert said.json["portals"][0]["verdict"] is None
    assert warta("run").code == 0
    said = warta("status", "--json")
    assert said.code == 0
    told = said.json["portals"][0]
    assert (told["portal"], told["verdict"], told["healthy"]) == ("malangkota", "ok", True)
    assert told["next_due"]
    assert warta("portals", "--json").json["portals"] == said.json["portals"]
    for verb in ("portals", "status"):
        said = warta(verb)
        assert "malangkota" in said.out
        assert "Times are those of Asia/Jakarta." in said.out
    assert said.out.startswith("Healthy.")


def test_status_tells_since_when_a_portal_is_being_read(desk: Path, warta: Warta) -> None:
    repository = Repository(open_database(f"sqlite:///{desk}/var/warta.db"))
    with Leases(repository.engine, desk / "var/locks") as leases, leases.take(name_portal("malangkota")):
        told = warta("status").out
    assert "never read" not in told
    assert "malangkota  never ran  never      being read" in told
    assert "malangkota: being read since 20" in told


def test_status_tells_first_what_is_wrong_and_its_mend(
    desk: Path, portal: Server, warta: Warta, monkeypatch: pytest.MonkeyPatch
) -> None:
    warta("run")
    portal.faults.add("challenge")
    warta("crawl", "--sweep", "open")
    said = warta("status")
    first, trouble, *_ = said.out.splitlines()
    assert (said.code, first) == (1, "Not healthy:")
    assert trouble.startswith("- malangkota: last run blocked (blocked: ")
    assert "ask its operators to let your User-Agent in" in trouble
    junk = desk / "junk.db"
    junk.write_bytes(b"no database" * 100)
    monkeypatch.setenv(DATABASE_URL, f"sqlite:///{junk}")
    said = warta("status")
    assert said.code == 1
    assert "the database cannot be read" in said.out
    assert "is not an SQLite database" in said.out


def test_a_publish_far_behind_the_last_run_is_not_healthy(desk: Path, warta: Warta) -> None:
    warta("run")
    published = warta("status", "--json").json["published"]
    assert published["updated"].endswith("+07:00")
    manifest = desk / "var/public/.warta.json"
    last_run = datetime.fromisoformat(str(warta("status", "--json").json["portals"][0]["last_run"]))
    for minutes, code in ((59, 0), (61, 1)):  # four times 15m
        then = (last_run - timedelta(minutes=minutes)).timestamp()
        os.utime(manifest, (then, then))
        said = warta("status", "--json")
        assert (said.code, said.json["healthy"], said.json["published"]["healthy"]) == (code, not code, not code)
        assert said.json["portals"][0]["healthy"]
    assert "long before the last run" in warta("status").out
    warta("publish")
    assert warta("status").code == 0


def test_run_crawls_and_publishes_and_due_waits_for_its_turn(desk: Path, portal: Server, warta: Warta) -> None:
    assert warta("run", "--json").json["portals"][0]["new"] == 15
    assert (desk / "var/public/feeds/semua.rss").exists()
    asked = len(portal.stats.requests)
    said = warta("run", "--due", "--json")
    assert (said.code, said.json) == (0, {"portals": []})
    assert warta("run", "--due").out == ""
    assert len(portal.stats.requests) == asked


def test_publish_writes_only_what_changed(desk: Path, warta: Warta) -> None:
    warta("crawl")
    assert "0 unchanged" in warta("publish").err
    assert " 0 written" in warta("publish").err
    warta("publish", "--output", "copy")
    assert (desk / "copy/index.html").exists()


def test_replay_reads_the_archive_and_asks_the_portal_for_nothing(desk: Path, portal: Server, warta: Warta) -> None:
    warta("crawl")
    asked = len(portal.stats.requests)
    before = warta("export", "--format", "jsonl").out
    assert warta("replay").code == 0
    assert warta("export", "--format", "jsonl").out == before
    assert len(portal.stats.requests) == asked


# Programs -----------------------------------------------------------------------------------------------


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "warta", *arguments]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_reader_that_has_seen_enough_ends_export_quietly(desk: Path, warta: Warta) -> None:
    warta("crawl")
    process = start("export", "--format", "jsonl", cwd=desk)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 0
    process.stderr.close()


def test_serve_says_where_and_ends_quietly_on_ctrl_c(desk: Path, warta: Warta) -> None:
    warta("run")
    process = start("serve", "--port", "0", cwd=desk)
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.startswith("Open http://127.0.0.1:")
    with urllib.request.urlopen(said.split()[1] + "feeds/semua.rss", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("application/rss+xml")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert "Traceback" not in rest


def test_the_demo_runs_from_nothing_and_marks_its_data_as_made_up(tmp_path: Path) -> None:
    process = start("demo", "--once", cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "malangkota" in out
    public = tmp_path / "var/demo/public"
    assert "Data contoh" in (public / "index.html").read_text(encoding="utf-8")
    for ending in ("rss", "atom", "json", "ics"):
        assert (public / f"feeds/semua.{ending}").stat().st_size > 1000


def test_looking_makes_no_database(desk: Path, warta: Warta) -> None:
    said = warta("portals", "--json")
    assert (said.code, said.json["portals"][0]["verdict"]) == (0, None)
    assert warta("status").code == 1
    assert not (desk / "var").exists()


def test_where_nobody_watches_the_log_tells_once_a_minute(
    desk: Path, warta: Warta, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "warta")
    monkeypatch.setattr(terminal, "LOG_EVERY", 0.0)
    warta("crawl")
    told = [record.getMessage() for record in caplog.records if record.name == "warta"]
    assert told[-1].endswith("15 read, 15 new, 0 changed, 0 errors")
    caplog.clear()
    monkeypatch.setattr(terminal, "LOG_EVERY", 60.0)
    warta("crawl")
    assert [record for record in caplog.records if record.name == "warta"] == []


def test_a_run_waits_for_a_database_that_is_being_started(
    desk: Path, warta: Warta, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def open_late(config: Config) -> Repository:
        asked.append(True)
        if len(asked) == 1:
            raise DatabaseAway("the database system is starting up")
        return open_repository(config)

    monkeypatch.setattr(crawling, "open_repository", open_late)
    assert warta("run").code == 0
    assert len(asked) == 2
