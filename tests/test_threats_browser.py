"""Hostile texts in a real browser: pages of the site, a search in the browser, lists on other sites. Nothing runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from aggregator.config import parse_config
from aggregator.database import open_database
from aggregator.repository import Repository
from feeds.app import make_app
from feeds.publish import publish
from tests.browser import Reader, Town, host, open_browser, serve, watched
from tests.hostile_texts import ADDRESSES, MARKUP, NOW, UNSEEN, make_few, save_hostile, write_config

ANYWHERE = {"Access-Control-Allow-Origin": "*"}
# Whatever runs says so: `attack` is what every text calls, and a dialog would come of others.
TRAP = """
    window.attack = (which) => console.error(`attack ${which}`);
    for (const name of ['alert', 'confirm', 'prompt', 'open']) window[name] = () => console.error(`attack by ${name}`);
    addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.blockedURI}`));
"""
# What the browser has made of a page that is none of ours; with its own parser, after all that mutates.
LOOK = """() => {
    const found = [], strange = /^\\s*(?!https?:|webcals?:)[a-z-]+:/i;
    const look = (root) => {
        for (const each of root.querySelectorAll('*')) {
            const name = each.localName;
            for (const { name: key, value } of each.attributes) {
                if (key.startsWith('on') || key === 'srcdoc' || key === 'formaction') found.push(`${name} ${key}`);
                if (['href', 'src', 'action', 'data'].includes(key) && strange.test(value))
                    found.push(`${name} ${key}=${value}`);
            }
            if (/^(object|embed|base|form|style|math|template|noscript|marquee|video|audio)$/.test(name)
                && !(name === 'form' && each.closest('main, header'))) found.push(name);
            if (name === 'script' && !each.src && each.type !== 'application/ld+json') found.push('script');
            if (each.shadowRoot) look(each.shadowRoot);
        }
    };
    look(document);
    return [found, document.documentElement.innerText];
}"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A published tree of hostile texts, on its own server, and on a plain host, which has no policy to help."""
    folder = tmp_path_factory.mktemp("hostile")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        config = parse_config(write_config(site), folder / "warta.toml")
        repository = Repository(open_database(config.database_url))
        save_hostile(repository, list(make_few()))
        publish(config, repository, NOW)
        with serve(make_app(config, repository, now=lambda: NOW), listener), host(config.public_folder) as files:
            yield Town(config, repository, site, files)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def reader(browser: Browser, town: Town) -> Iterator[Reader]:
    with watched(browser, town.site, town.files) as reader:
        yield reader


def open_trapped(reader: Reader, address: str) -> Page:
    page = reader.open("about:blank")
    page.add_init_script(TRAP)
    page.on("dialog", lambda dialog: reader.watch.complaints.append(f"dialog: {dialog.message}"))
    page.goto(address)
    return page


def find_traces(page: Page) -> list[str]:
    """What a text of a source has brought about on the page: elements and addresses, or letters that are not seen."""
    found, text = page.evaluate(LOOK)
    unseen = UNSEEN.search(text)
    return [f"{page.url}: {trace}" for trace in [*found, *([ascii(unseen[0])] if unseen else [])]]


def test_no_page_runs_what_a_source_says(town: Town, reader: Reader) -> None:
    root = town.config.public_folder
    names = ["index.html", "status.html", "statistik.html", "pekan-ini.html", "feeds/index.html", "feeds/kami.html"]
    names += [
        "feeds/perubahan.html",
        "embed/semua.html",
        "embed/perubahan.html",
        "en/embed/kami.html",
        "data/index.html",
    ]
    names += [path.relative_to(root).as_posix() for path in sorted(root.glob("tenders/*/*/*.html"))[::2]]
    page = open_trapped(reader, f"{town.files}index.html")
    for name in names:
        page.goto(town.files + name)
        assert find_traces(page) == []
    page.goto(f"{town.site}{names[-1]}")
    assert find_traces(page) == []


def test_no_search_runs_what_is_looked_for(town: Town, reader: Reader) -> None:
    page = open_trapped(reader, f"{town.files}cari.html?q=attack")
    expect(page.locator(".rows .row").first).to_be_visible()
    assert find_traces(page) == []
    for query in ("q=%22%3E%3Cimg%20src%3Dx%20onerror%3Dattack(90)%3E", "limit=%3Cscript%3Eattack(91)%3C%2Fscript%3E"):
        page.goto(f"{town.files}cari.html?{query}")
        page.locator("h1").first.wait_for()
        assert find_traces(page) == []
        if query.startswith("q"):  # the server answers the other one with its mistake
            page.goto(f"{town.site}cari.html?{query}")
            assert find_traces(page) == []
    page.goto(f"{town.site}cari.html?q=attack")
    assert find_traces(page) == []


def test_no_list_on_another_site_runs_what_a_source_says(town: Town, reader: Reader, tmp_path: Path) -> None:
    """That site has no policy, and its visitors are logged in there: what runs in it is its own."""
    tags = "".join(
        f'<script src="{town.site}embed.js" data-feed="{feed}" data-items="50" async></script>'
        for feed in ("semua", "perubahan", "kami")
    )
    frame = f'<iframe title="Paket" src="{town.site}embed/semua.html?items=50"></iframe>'
    (tmp_path / "index.html").write_text(f'<!doctype html><link rel="icon" href="data:,"><h1>Blog</h1>{tags}{frame}')
    with host(tmp_path) as address:
        reader.watch.origins.add(address.rstrip("/"))
        page = open_trapped(reader, address)
        for each in page.locator("warta-list").all():
            each.scroll_into_view_if_needed()
            expect(each.locator("li").first).to_be_visible()
        found, _ = page.evaluate(LOOK)
        assert [each for each in found if not each.startswith("link href=data:,")] == []
        assert page.locator("warta-list li").count() > 20
        reader.leave()


def test_no_list_leads_to_an_address_that_runs(town: Town, reader: Reader, tmp_path: Path) -> None:
    """Not even where the server of the list is no longer ours."""
    items = [{"title": address, "url": address, "_warta": {"about": MARKUP[2], "portal": "x"}} for address in ADDRESSES]
    feed = {"title": MARKUP[0], "language": MARKUP[4], "items": items}
    status = {"portals": [], "feeds": [{"id": "semua", "list": ADDRESSES[0], "packages": MARKUP[2]}]}
    options = f'data-feed="semua" data-items="99" data-title="{escape(MARKUP[2])}"'
    tag = f'<script src="{town.site}embed.js" {options}></script>'
    (tmp_path / "index.html").write_text(f'<!doctype html><link rel="icon" href="data:,"><p>{tag}')
    with host(tmp_path) as address:
        reader.watch.origins.add(address.rstrip("/"))
        page = reader.open("about:blank")
        page.add_init_script(TRAP)
        page.route(f"{town.site}feeds/semua.json", lambda route: route.fulfill(json=feed, headers=ANYWHERE))
        page.route(f"{town.site}status.json", lambda route: route.fulfill(json=status, headers=ANYWHERE))
        page.goto(address)
        expect(page.locator("warta-list li")).to_have_count(len(ADDRESSES))
        links = page.locator("warta-list a").evaluate_all("all => all.map((each) => each.href)")
        assert {link.partition(":")[0] for link in links} <= {"http", "https"}
        found, _ = page.evaluate(LOOK)
        assert [each for each in found if not each.startswith("link href=data:,")] == []
        reader.leave()
