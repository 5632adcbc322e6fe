"""Starts a real WordPress on 127.0.0.1 with a database of its own, and ends both."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "deploy" / "wordpress"
DEBIAN = Path("/usr/share/wordpress")
PATIENCE = 30.0  # seconds until a started program must answer
_DIE_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True)
class WordPress:
    """A WordPress that runs: ``folder`` of its files, ``home`` without a slash at its end."""

    folder: Path
    home: str
    environment: Mapping[str, str]
    log: Path

    def run(self, code: str, **more: str) -> Any:
        """What PHP code returns that runs inside; RuntimeError where it ends badly."""
        ended = subprocess.run(
            ["php", HERE / "inside.php", self.folder],
            input=code.encode(),
            env={**self.environment, **more},
            capture_output=True,
            timeout=PATIENCE,
        )
        if ended.returncode:
            raise RuntimeError(ended.stdout.decode() + ended.stderr.decode())
        return json.loads(ended.stdout)

    def publish(self, content: str, *, is_admin: bool = True) -> str:
        """The address of a new page that holds ``content``. WordPress takes scripts and frames from an administrator
        only."""
        post = {"post_type": "page", "post_status": "publish", "post_title": "Pengadaan", "post_content": content}
        packed = base64.b64encode(json.dumps(post).encode()).decode()
        insert = f"return wp_insert_post(wp_slash(json_decode(base64_decode('{packed}'), true)), true);"
        number = self.run(f"wp_set_current_user({1 if is_admin else 0}); {insert}")
        return f"{self.home}/?page_id={number}"

    def read(self, address: str) -> str:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            body: bytes = answer.read()
        return body.decode()

    def complaints(self) -> list[str]:
        """What PHP and WordPress complained of, but for WordPress's own code: Debian's is older than its PHP."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line for line in lines if "warta" in line or "/wp-includes/" not in line]


@contextmanager
def run_wordpress(folder: Path, feeds_port: int) -> Iterator[WordPress]:
    """A fresh WordPress of Debian's, with our plugin active and our mu-plugin, until the block ends.

    ``folder`` must be one that the user mysql may enter, where root runs this.
    """
    files, port = folder / "wp", find_port()
    shutil.copytree(DEBIAN, files, ignore=shutil.ignore_patterns("wp-config.php", "akismet"))
    shutil.copy(HERE / "wp-config.php", files)
    shutil.copytree(SHIPPED / "warta", files / "wp-content" / "plugins" / "warta")
    (files / "wp-content" / "mu-plugins").mkdir()
    for plugin in (SHIPPED / "warta-cache.php", HERE / "loopback.php"):
        shutil.copy(plugin, files / "wp-content" / "mu-plugins")
    home = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "WARTA_TEST_SOCKET": str(folder / "database" / "s"),
        "WARTA_TEST_HOME": home,
        "WARTA_TEST_LOG": str(folder / "debug.log"),
        "WARTA_TEST_FEEDS": str(feeds_port),
        "PHP_CLI_SERVER_WORKERS": "4",
    }
    site = WordPress(files, home, environment, folder / "debug.log")
    server = ["php", "-S", f"127.0.0.1:{port}", "-t", files, HERE / "router.php"]
    with _run_database(folder / "database"), _run(server, environment):
        _await("WordPress", lambda: _answers(port))
        install = "return wp_install('Situs Bagian Contoh', 'admin', 'admin@example.org', true, '', 'admin');"
        site.run(install, WARTA_TEST_INSTALL="1")
        site.run("return activate_plugin('warta/warta.php');")
        yield site


def find_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def _run_database(folder: Path) -> Iterator[None]:
    """MariaDB without grants and without a port, on the socket ``s`` in ``folder``."""
    folder.mkdir()
    options = ["--no-defaults", f"--datadir={folder}"]
    if os.geteuid() == 0:  # which MariaDB refuses to run as
        shutil.chown(folder, "mysql")
        options.append("--user=mysql")
    subprocess.run(["mariadb-install-db", *options, "--skip-test-db"], check=True, capture_output=True)
    fast = ["--skip-grant-tables", "--skip-networking", "--innodb-flush-log-at-trx-commit=0"]
    with _run(["mariadbd", *options, *fast, f"--socket={folder}/s", f"--pid-file={folder}/pid"], os.environ):
        client = ["mariadb", "--no-defaults", "-uroot", "-S", f"{folder}/s", "-e"]
        create = [*client, "create database wordpress character set utf8mb4"]
        _await("MariaDB", lambda: not subprocess.run(create, capture_output=True).returncode)
        yield


@contextmanager
def _run(command: list[Any], environment: Mapping[str, str]) -> Iterator[None]:
    """A program that ends with the block, and with this process however that ends."""
    started = subprocess.Popen(
        [sys.executable, "-c", _DIE_WITH_PARENT, *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(started.pid, 15)
        try:
            started.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, 9)
            started.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _await(what: str, is_there: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not start")
        time.sleep(0.1)
