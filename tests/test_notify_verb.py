"""warta notify and the end of warta run: what is shown, exit codes, and that nothing of it stops a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import warta as command_line
from demo.server import Server, serve
from demo.spse import Portal
from demo.world import World
from tests.receivers import Webhook, serving

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
CHANNEL = '\n[[notify]]\nid = "hook"\nurl = "env:WARTA_HOOK"\nfeed = "semua"\n'

Warta = Callable[..., tuple[int, str, str]]


@pytest.fixture
def warta(config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Warta:
    """Runs the command line in this process, with the configuration beside it; tells code, output and errors."""
    monkeypatch.chdir(config_file.parent)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["warta", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            command_line.main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture
def world() -> World:
    return World(NOW, tenders=2, non_tenders=1, recorded=0, self_managed=0, emergencies=0, hostile=False)


@pytest.fixture
def portal(world: World, config_file: Path) -> Iterator[Server]:
    """A portal that the configuration reads, and a channel."""
    with serve([Portal(world)]) as server:
        text = config_file.read_text(encoding="utf-8").replace("https://spse.example.go.id", server.url)
        config_file.write_text(text + "years = [2025, 2026]\n" + CHANNEL, encoding="utf-8")
        yield server


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """The receiver that WARTA_HOOK leads to."""
    server = Webhook()
    monkeypatch.setenv("WARTA_HOOK", f"json://{server.place}/t0kent0ken")
    with serving(server):
        yield server


def test_a_run_tells_what_is_new(warta: Warta, portal: Server, world: World, webhook: Webhook) -> None:
    assert warta("run")[0] == 0
    assert webhook.bodies == []
    key = world.add("tender")
    code, out, _ = warta("notify", "--dry-run")
    assert (code, out) == (0, "hook (env:WARTA_HOOK): nothing new\n")
    assert warta("crawl")[0] == 0
    for _ in range(2):  # it marks nothing
        code, out, err = warta("notify", "--dry-run")
        assert code == 0, err
        assert out.startswith("hook (env:WARTA_HOOK): Semua paket terbuka: 1 paket baru\n\n")
        assert key in out
        assert "t0kent0ken" not in out + err
    webhook.status = 500
    assert warta("run")[0] == 0  # whatever becomes of a message
    code, out, _ = warta("notify")
    assert code == 1
    assert out.startswith("hook: not told, 1 waiting: it failed, 1 in a row; tried again after ")


def test_nobody_to_tell(warta: Warta) -> None:
    assert warta("notify") == (0, "", "Nobody to tell: the configuration has no [[notify]].\n")


def test_mistakes_end_in_one_line(warta: Warta, config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARTA_HOOK", raising=False)
    text = config_file.read_text(encoding="utf-8")
    config_file.write_text(text + CHANNEL, encoding="utf-8")
    missing = "the environment has no WARTA_HOOK; set it to the channel's address"
    assert warta("notify") == (2, "", f"warta: [[notify]] hook: url: {missing}\n")
    code, _, err = warta("notify", "--test", "hok")
    assert (code, err) == (2, "warta: no [[notify]] 'hok' in the configuration; it has: hook\n")
    config_file.write_text(text + CHANNEL.replace("env:WARTA_HOOK", "t0kent0ken"), encoding="utf-8")
    code, _, err = warta("notify")
    assert code == 2
    assert "notify.1.url: is no address for apprise; write one as in 'tgram://…'" in err
    assert "t0kent0ken" not in err


def test_a_test_message(warta: Warta, config_file: Path, webhook: Webhook) -> None:
    config_file.write_text(config_file.read_text(encoding="utf-8") + CHANNEL, encoding="utf-8")
    assert warta("notify", "--test", "hook") == (0, "hook: the test message was taken\n", "")
    (message,) = webhook.messages
    assert message["title"] == "Pesan uji"
    webhook.status = 404
    code, out, err = warta("notify", "--test", "hook")
    assert code == 1
    assert out.startswith("hook: the test message did not arrive: ")
    assert "t0kent0ken" not in out + err
