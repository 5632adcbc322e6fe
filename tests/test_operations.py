"""docs/operations.md holds: its commands are typed one after the other, on a machine whose system is played."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from aggregator.config import DATABASE_URL
from demo import server, spse, world
from tests.conftest import ROOT
from tests.test_deploy import assert_understood

TEXT = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
STEPS = ("1. Install", "2. Configure, and look", "3. Services and timers", "4. nginx", "5. Check")

# What the machine's own programs do when they are asked as root: nothing but being written down, or the like of it.
PLAYED = f"""\
#!/bin/bash
echo "sudo $*" >> "$PLAYED_LOG"
[[ $1 == -u ]] && shift 2
[[ $1 == *=* ]] && exec env "$@"
case "$1" in
    apt-get | useradd | usermod | systemctl | nginx | */pip)
        exit 0 ;;
    python3)
        mkdir -p "$4/bin"
        printf '#!/bin/sh\\nexec {sys.executable} -m warta "$@"\\n' > "$4/bin/warta"
        chmod +x "$4/bin/warta" ;;
    install)
        $(printf '%s\\n' "$@" | sed '/^--owner$/,/^warta$/d; /^--group$/,/^warta$/d')
        [[ $4 != deploy/warta ]] || sed -i -E "s#/(opt|var|etc)#$MACHINE/\\1#g" "$5" ;;
    *)
        exec "$@" ;;
esac
"""


SITE = "umpan.example.go.id"
# A machine on which workers read.
SYSTEMCTL = """\
#!/bin/sh
[ "$1" != list-units ] || printf "%s loaded active running x\\n" warta-backup.timer warta-worker@1.service warta.service
"""


def fences(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in the place of /, with the programs of the system played, and a stand-in as the portal."""
    root = tmp_path_factory.mktemp("machine")
    programs = root / "programs"
    programs.mkdir()
    played = {
        "sudo": PLAYED,
        "curl": "#!/bin/sh\n",
        "journalctl": "#!/bin/sh\n",
        "systemctl": SYSTEMCTL,
        "id": "#!/bin/sh\necho 0\n",
        "runuser": '#!/bin/sh\n[ "$1 $2 $3" = "--user warta --" ] && shift 3 && exec "$@"\n',
    }
    for name, text in played.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    for folder in ("etc/systemd/system", "etc/nginx/conf.d", "etc/nginx/sites-enabled"):
        (root / folder).mkdir(parents=True)
    made = world.World(datetime.now(UTC), tenders=3, non_tenders=2, recorded=1, self_managed=1, emergencies=1)
    with server.serve([spse.Portal(made)]) as standing_in:
        (root / "portal").write_text(f"{standing_in.url}/malangkota", encoding="utf-8")
        yield root


def type_in(machine: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    """Runs the shown lines of ``parts`` in one shell, in this checkout; only where things lie is another place."""
    names = fences("bash", TEXT.split("\n## ")[0])[0]
    for name, place in {"PROGRAM": "opt/warta", "DESK": "var/lib/warta", "ETC": "etc"}.items():
        names = re.sub(rf"^{name}=\S+", f"{name}={machine / place}", names, flags=re.MULTILINE)
    names = re.sub(r"^SITE=\S+", f"SITE={SITE}", names, flags=re.MULTILINE)
    script = "".join((names, *(block for part in parts for block in fences("bash", part))))
    script = script.replace("/usr/local/bin", str(machine / "programs"))
    script = script.replace("--portal batukota", f"--portal {(machine / 'portal').read_text()}")
    # one request a second is for real portals
    script = script.replace("warta crawl", "sed -i 's/^delay = 1.0/delay = 0.0/' \"$DESK/warta.toml\"; warta crawl")
    env = {key: value for key, value in os.environ.items() if key != DATABASE_URL}
    env |= {"PATH": f"{machine / 'programs'}:{env['PATH']}", "PYTHONPATH": str(ROOT)}
    env |= {"PLAYED_LOG": str(machine / "log"), "MACHINE": str(machine)}
    run = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


Said = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def installed(machine: Path) -> Said:
    """What was said while the machine was set up, from nothing, and a backup was put back."""
    return type_in(machine, *map(section, STEPS), section("Backup and restore"))


def test_from_nothing_to_a_service_and_back_from_a_backup(machine: Path, installed: Said) -> None:
    done = installed
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Healthy." in done.stdout
    desk = machine / "var/lib/warta"
    assert (desk / "var/public/index.html").exists()
    assert (desk / "restored/var/warta.db").exists()
    for name in ("warta.service", "warta-run.timer", "warta-backup.timer", "warta-worker@.service"):
        assert (machine / "etc/systemd/system" / name).exists()
    assert (machine / "etc/warta").stat().st_mode & 0o777 == 0o750
    assert f"server_name {SITE};" in (machine / "etc/nginx/sites-enabled/warta").read_text(encoding="utf-8")
    assert f'url = "https://{SITE}/umpan/"' in (desk / "warta.toml").read_text(encoding="utf-8")
    for name in ("files", "serve", "proxy"):
        assert (machine / f"etc/nginx/warta/{name}.conf").exists()
    log = (machine / "log").read_text(encoding="utf-8")
    assert "pip install --require-hashes" in log
    enabled = re.findall(r"systemctl enable --now (.*)", log)
    assert enabled == ["warta.service warta-run.timer warta-backup.timer"]


def test_an_upgrade_starts_again_what_ran_and_nothing_else(machine: Path, installed: Said) -> None:
    done = type_in(machine, section("Upgrades"))
    assert done.returncode == 0, done.stderr
    log = (machine / "log").read_text(encoding="utf-8")
    ran = "warta-backup.timer warta-worker@1.service warta.service"
    assert log.index(f"systemctl stop {ran} warta-run.service") < log.index("--force-reinstall")
    assert log.rstrip().endswith(f"systemctl start {ran}")


def test_hands_get_what_services_get(machine: Path, installed: Said) -> None:
    """The program is the one of the services, in their database, whatever a secret is made of."""
    secret = "postgresql+psycopg://warta:a$b&c;d#e@localhost:1/x y"
    (machine / "etc/warta/env").write_text(f"# of services\n\n{DATABASE_URL}={secret}\nWARTA_TOKEN=$HOME", "utf-8")
    program = machine / "opt/warta/bin/warta"
    kept = program.read_text(encoding="utf-8")
    program.write_text(f'#!/bin/sh\npwd\numask\necho "${DATABASE_URL}|$WARTA_TOKEN|$*"\nexit 3\n', encoding="utf-8")
    try:
        done = type_in(machine, "```bash\nwarta status --json\n```")
    finally:
        program.write_text(kept, encoding="utf-8")
        (machine / "etc/warta/env").unlink()
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        str(machine / "var/lib/warta"), "0027", f"{secret}|$HOME|status --json"
    ]  # fmt: skip


def test_a_secret_that_systemd_would_read_otherwise_is_refused(machine: Path, installed: Said) -> None:
    (machine / "etc/warta/env").write_text('WARTA_TOKEN="rahasia"\n', encoding="utf-8")
    done = type_in(machine, "```bash\nwarta status\n```")
    (machine / "etc/warta/env").unlink()
    assert done.returncode == 2
    assert "WARTA_TOKEN holds a quote" in done.stderr
    assert "rahasia" not in done.stderr


def test_cron_calls_what_was_installed() -> None:
    [line] = re.findall(r"^\*/5 \* \* \* \*  root  (\S+) (.*)$", TEXT, re.MULTILINE)
    assert f"deploy/warta {line[0]}" in section("1. Install")
    assert_understood(shlex.split(line[1]))


def test_every_shown_command_of_warta_is_understood() -> None:
    """Also of those that need PostgreSQL, or a container."""
    lines = re.compile(r"^(?:.*exec app |docker run .* )?warta (.*)", re.MULTILINE)
    shown = [line for block in (*fences("text"), *fences("bash")) for line in lines.findall(block)]
    assert len(shown) > 12
    for line in shown:
        assert_understood(shlex.split(line.replace("$DESK", "/var/lib/warta"), comments=True))


def test_units_and_files_that_are_named_exist() -> None:
    for name in re.findall(r"\bwarta(?:-\w+)?(?:@\d?)?\.(?:service|timer)\b", TEXT):
        assert (ROOT / "deploy/systemd" / re.sub(r"@\d", "@", name)).exists(), name
    for name in re.findall(r"deploy/[\w./-]+\.(?:conf|lock|yaml)", TEXT):
        assert (ROOT / name).exists(), name


def test_what_is_shown_to_prometheus_names_numbers_that_there_are() -> None:
    scrape, rules = (yaml.safe_load(block) for block in fences("yaml"))
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:8080"]
    known = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    expressions = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    named = re.findall(r"warta_\w+", expressions)
    assert named
    assert all(f"`{name}`" in known for name in named)
    # The age grows in quiet hours and in long sweeps, too: see test_a_quiet_night_is_no_alarm.
    assert "freshness" not in expressions
    assert "warta_portal_healthy == 0" in expressions
