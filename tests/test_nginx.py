"""deploy/nginx in a real nginx: it answers for the published tree as `warta serve` does, and asks it for the rest."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import pytest

from aggregator.config import parse_config
from aggregator.database import open_database
from aggregator.repository import Repository
from feeds.app import make_app
from feeds.publish import publish
from tests.browser import fill, serve
from tests.conftest import CONFIG, ROOT, need

CONF = ROOT / "deploy/nginx"
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
ADDRESSES = cycle(range(1, 255))  # of the loopback network
DATED = {"date", "server", "etag", "content-length", "connection", "accept-ranges", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Site:
    """The two servers, by their ports, and the tree that both answer for."""

    nginx: int
    warta: int
    tree: Path


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(port: int, target: str, method: str = "GET", source: str = "", **fields: str) -> Answer:
    """One request, whose target is sent as it is, from an address of its own: an address may not ask too often."""
    address = source or f"127.0.1.{next(ADDRESSES)}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(address, 0))
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in fields.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    headers = [(name.lower(), value) for name, value in answer.getheaders()]
    assert len(dict(headers)) == len(headers), f"{target}: a header twice: {headers}"
    return Answer(answer.status, dict(headers), body)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Some packages, published and served by both."""
    folder = tmp_path_factory.mktemp("nginx")
    english = CONFIG + "\n[publish]\nenglish = true\n"
    config = parse_config(english, folder / "warta.toml")
    repository = Repository(open_database(config.database_url))
    fill(repository, NOW)
    publish(config, repository, NOW)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        warta = listener.getsockname()[1]
        app = make_app(config, repository, now=lambda: NOW)
        with serve(app, listener), start_nginx(folder, warta, config.public_folder) as port:
            yield Site(port, warta, config.public_folder)


@pytest.fixture(scope="module")
def alone(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same tree, while `warta serve` is down."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        warta = closed.getsockname()[1]
    with start_nginx(tmp_path_factory.mktemp("alone"), warta, site.tree) as port:
        yield Site(port, warta, site.tree)


@contextmanager
def start_nginx(folder: Path, warta: int, tree: Path) -> Iterator[int]:
    """nginx at the port that is given, with the shipped files."""
    program = shutil.which("nginx") or need("/usr/sbin/nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    make_prefix(folder, warta, port, tree)
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as nginx:
        wait_for(port, nginx)
        yield port
        nginx.terminate()
        assert nginx.stderr
        told = nginx.stderr.read().decode()
        assert "[emerg]" not in told
        assert "[alert]" not in told


def make_prefix(folder: Path, warta: int, port: int, tree: Path) -> None:
    """The shipped files as an operator places them; only ports and the place of the tree are others."""
    (folder / "warta").mkdir()
    for name in ("files", "serve", "proxy"):
        text = (CONF / f"{name}.conf").read_text(encoding="utf-8")
        (folder / f"warta/{name}.conf").write_text(text.replace("/var/lib/warta/var/public", str(tree)))
    text = (CONF / "site.conf").read_text(encoding="utf-8").replace("127.0.0.1:8080", f"127.0.0.1:{warta}")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("    listen [::]:80;\n", "")
    (folder / "site.conf").write_text(text)
    shutil.copy(CONF / "http.conf", folder)
    user = "user root;\n" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\npid {folder}/nginx.pid;\nworker_processes 1;\nevents {{ worker_connections 128; }}\n"
        f"http {{\n    access_log off;\n{temporary}    default_type application/octet-stream;\n"
        "    include http.conf;\n    include site.conf;\n}\n"
    )


def wait_for(port: int, nginx: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert nginx.poll() is None, nginx.stderr and nginx.stderr.read().decode()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    pytest.fail("nginx does not answer")


def kinds_of_files(tree: Path) -> dict[str, str]:
    """One path for each ending in each folder of the tree."""
    found: dict[str, str] = {}
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree).as_posix()
        if (
            path.is_file()
            and not path.name.startswith(".")
            and not (path.suffix == ".gz" and path.with_suffix("").exists())
        ):
            found.setdefault(f"{Path(name).parent.parts[:1]}{path.suffix}", name)
    return found


def test_every_kind_of_file_has_the_type_and_the_rules_that_warta_serve_gives_it(site: Site) -> None:
    names = [name for name in kinds_of_files(site.tree).values() if name not in {"cari.html", "en/cari.html"}]
    names += ["index.html", "status.json", "feeds/semua.json", "feeds/index.html", "embed/semua.html", "icon.svg"]
    names += ["en/embed/semua.html", "feeds/semua.atom", "feeds/semua.ics", "feeds.opml", "robots.txt", "embed.js"]
    assert len({Path(name).suffix for name in names}) >= 11
    for name in names:
        for coding in ("identity", "gzip"):
            one, other = (
                ask(site.nginx, f"/umpan/{name}", Accept_Encoding=coding),
                ask(site.warta, f"/{name}", Accept_Encoding=coding),
            )
            assert (one.status, other.status) == (200, 200), name
            assert one.body == other.body, name
            if not (site.tree / f"{name}.gz").exists():
                other.headers.pop("vary", None)  # there is nothing that it could vary by
            assert drop_dated(one) == drop_dated(other), name


def drop_dated(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in DATED}


def test_archives_never_change(site: Site) -> None:
    path = site.tree / "feeds/semua/archive/2026-10.atom"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"<feed/>")
    one, other = (
        ask(site.nginx, "/umpan/feeds/semua/archive/2026-10.atom"),
        ask(site.warta, "/feeds/semua/archive/2026-10.atom"),
    )
    assert one.headers["cache-control"] == other.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_the_packed_twin_is_sent_as_it_lies_there(site: Site) -> None:
    answer = ask(site.nginx, "/umpan/feeds/semua.rss", Accept_Encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.body == (site.tree / "feeds/semua.rss.gz").read_bytes()
    assert gzip.decompress(answer.body) == (site.tree / "feeds/semua.rss").read_bytes()


def test_what_is_held_already_is_not_sent_again(site: Site) -> None:
    held = ask(site.nginx, "/umpan/feeds/semua.atom").headers
    for field in ({"If_None_Match": held["etag"]}, {"If_Modified_Since": held["last-modified"]}):
        answer = ask(site.nginx, "/umpan/feeds/semua.atom", **field)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == held["cache-control"]


@pytest.mark.parametrize(
    "target",
    [
        "cari.html?q=gedung",
        "en/cari.html?q=gedung",
        "feeds/search.rss?q=gedung",
        "feeds/search.json?q=gedung",
        "cari.html?limit=x",
    ],
)
def test_searches_are_answered_by_warta_serve(site: Site, target: str) -> None:
    one, other = ask(site.nginx, f"/umpan/{target}"), ask(site.warta, f"/{target}")
    assert (one.status, one.body) == (other.status, other.body)
    assert drop_dated(one) == drop_dated(other)


def test_what_is_not_there_has_a_page_in_the_look_of_the_site(site: Site) -> None:
    for name in ("tiada.html", "tenders/tiada/", "en/tiada.html", "feeds/tiada.rss", "archive.zip"):
        one, other = ask(site.nginx, f"/umpan/{name}"), ask(site.warta, f"/{name}")
        assert (one.status, one.body) == (404, other.body), name
        assert drop_dated(one) == drop_dated(other)


def test_a_folder_leads_to_its_page(site: Site) -> None:
    assert ask(site.nginx, "/umpan/").body == (site.tree / "index.html").read_bytes()
    answer = ask(site.nginx, "/umpan/feeds")
    assert (answer.status, answer.headers["location"]) == (301, "/umpan/feeds/")


@pytest.mark.parametrize("target", ["/umpan", "/umpan/api"])
def test_an_address_without_its_last_slash_leads_there_whatever_host_and_port_are_outside(
    site: Site, target: str
) -> None:
    answer = ask(site.nginx, target)
    assert (answer.status, answer.headers["location"]) == (301, f"{target}/")


@pytest.mark.parametrize(
    "target",
    [
        "/umpan../warta.toml",
        "/umpan/../warta.toml",
        "/umpan/..%2fwarta.toml",
        "/umpan/%2e%2e/warta.toml",
        "/umpan/feeds/..%2f..%2f..%2fwarta.toml",
        "/umpan/.warta.json",
        "/umpan/%2ewarta.json",
        "/umpan/data/.warta.json",
        "/umpan/feeds/semua.rss.gz",
        "/umpan//etc/passwd",
        "/umpan/outside.html",
    ],
)
def test_nothing_else_is_given_away(site: Site, target: str) -> None:
    outside = site.tree / "outside.html"
    if not outside.is_symlink():
        outside.symlink_to(site.tree.parent.parent / "warta.toml")
    answer = ask(site.nginx, target)
    assert answer.status in {400, 404}
    assert b"[publisher]" not in answer.body
    assert b"root:" not in answer.body


def test_numbers_are_for_this_machine_only(site: Site) -> None:
    assert ask(site.nginx, "/umpan/metrics", source="127.0.0.2").status == 403
    one, other = (
        ask(port, path, source="127.0.0.1") for port, path in ((site.nginx, "/umpan/metrics"), (site.warta, "/metrics"))
    )
    assert one.status == other.status


@pytest.mark.parametrize("name", ["livez", "healthz", "api/tenders?limit=1", "api/openapi.json"])
def test_programs_get_the_answers_of_warta_serve(site: Site, name: str) -> None:
    one, other = ask(site.nginx, f"/umpan/{name}"), ask(site.warta, f"/{name}")
    assert one.status == other.status
    assert drop_dated(one) == drop_dated(other)


def test_only_what_is_read_is_allowed(site: Site) -> None:
    assert ask(site.nginx, "/umpan/feeds/semua.rss", "POST").status == 405
    assert ask(site.nginx, "/umpan/cari.html", "POST").status == 405
    refused = ask(site.nginx, "/umpan/index.html", "POST")  # by a page of nginx's own
    assert refused.status == 405
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in refused.headers["content-security-policy"]
    assert "cache-control" not in refused.headers


def test_a_flood_of_searches_is_slowed_down_and_files_are_not(site: Site) -> None:
    searches = [
        ask(site.nginx, f"/umpan/feeds/search.rss?q=jalan&page={number + 1}", source="127.0.0.3").status
        for number in range(40)
    ]
    assert searches[0] == 200
    assert searches.count(429) > 5
    assert {ask(site.nginx, "/umpan/feeds/semua.rss", source="127.0.0.3").status for _ in range(40)} == {200}


def test_a_program_that_asks_too_often_hears_so_in_its_own_tongue(site: Site) -> None:
    answers = [ask(site.nginx, f"/umpan/api/releases?after={number}", source="127.0.0.4") for number in range(40)]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) > 5
    for answer in refused:
        told = json.loads(answer.body)
        assert (set(told), told["parameter"]) == ({"error", "parameter"}, None)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    for target in ("/umpan/cari.html?q=x", "/umpan/feeds/search.rss?q=x", "/umpan/tiada.html"):
        answers = [ask(site.nginx, target, source="127.0.0.5") for _ in range(40)]
        answer = next(answer for answer in answers if answer.status == 429)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8", target
        assert answer.headers["retry-after"] == "1"
        assert b"Too often" in answer.body


def test_the_follower_of_the_docs_comes_through_nginx(site: Site, tmp_path: Path) -> None:
    """It asks for more pages than the limit lets pass at once."""
    (recipe,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/api.md").read_text(), re.MULTILINE | re.DOTALL)
    start = f"http://127.0.0.1:{site.nginx}/umpan/api/releases?after=0&limit=1"
    recipe = re.sub(r'"http://[^"]+"', f'"{start}"', recipe)
    subprocess.run([sys.executable, "-c", recipe], cwd=tmp_path, check=True, timeout=60)
    kept = json.loads((tmp_path / "tenders.json").read_text(encoding="utf-8"))
    last = json.loads(ask(site.warta, "/api/releases?limit=1000").body)
    assert last["last"] > 21
    assert f"after={last['last']}&" in kept["next"]


@pytest.mark.parametrize("name", ["cari.html", "en/cari.html"])
def test_while_warta_serve_is_down_the_browser_searches(alone: Site, name: str) -> None:
    answer = ask(alone.nginx, f"/umpan/{name}?q=gedung")
    assert (answer.status, answer.body) == (200, (alone.tree / name).read_bytes())
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"  # the server may be back in a moment


def test_while_warta_serve_is_down_files_are_there_and_the_rest_says_when_to_come_again(alone: Site) -> None:
    assert ask(alone.nginx, "/umpan/feeds/semua.rss").status == 200
    answer = ask(alone.nginx, "/umpan/tiada.html")
    assert (answer.status, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert b"no such page" in answer.body
    feed, api = ask(alone.nginx, "/umpan/feeds/search.rss?q=x"), ask(alone.nginx, "/umpan/api/releases")
    assert (feed.status, feed.headers["retry-after"], b"try again" in feed.body) == (503, "30", True)
    assert (api.status, api.headers["retry-after"]) == (503, "30")
    assert set(json.loads(api.body)) == {"error", "parameter"}
    assert api.headers["access-control-allow-origin"] == "*"
