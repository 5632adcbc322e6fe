"""Hostile texts in every field, and what readers get of them: each file of the tree, read by another's parser."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import icalendar
import pytest
from lxml import etree

from aggregator.config import ConfigError, parse_config
from aggregator.database import open_database
from aggregator.models import Sanction
from aggregator.repository import Repository
from aggregator.sanctions import Blacklist
from feeds.publish import publish
from tests.conftest import CONFIG
from tests.feed_samples import READ, TENDER, make_record
from tests.hostile_texts import NOW, UNSEEN, make_few, save_hostile, write_config

# The elements of our templates; of markup that a source could bring none is among them, but for links and bold type.
ELEMENTS = {
    *("a", "article", "aside", "b", "blockquote", "body", "button", "caption", "circle", "code", "dd", "defs"),
    *("del", "details", "div", "dl", "dt", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "head"),
    *("header", "html", "iframe", "img", "input", "ins", "kbd", "label", "li", "link", "main", "meta", "nav"),
    *("ol", "p", "path", "rect", "script", "section", "small", "span", "summary", "svg", "symbol", "table"),
    *("tbody", "td", "text", "th", "thead", "time", "title", "tr", "ul", "use"),
}
ADDRESSED = {"href", "src", "action", "formaction", "data", "poster", "srcset", "xlink:href"}
SCHEMES = {"", "http", "https", "webcal", "webcals"}
PARTS = re.compile(r"\s*(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?")
LOADED = {"script", "img", "iframe"}
SITE_URL = "https://blp.example.go.id/umpan/"
ATOM = "{http://www.w3.org/2005/Atom}"


class Suspicion(HTMLParser):
    """What of a page is not ours."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._script: dict[str, str | None] | None = None
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or name in {"style", "srcdoc", "http-equiv", "formaction"}:
                self.found.append(f"<{tag} {name}={value}>")
            if UNSEEN.search(value or ""):
                self.found.append(f"<{tag} {name}> holds what nobody sees: {value!r}")
            if name in ADDRESSED:
                self._check_address(tag, name, value or "")
        if tag == "script":
            self._script, self._inside = dict(attrs), ""

    def handle_data(self, data: str) -> None:
        if UNSEEN.search(data):
            self.found.append(f"text that nobody sees: {UNSEEN.findall(data)}")
        self._inside += data

    def handle_endtag(self, tag: str) -> None:
        if tag != "script" or self._script is None:
            return
        if self._script.get("type") == "application/ld+json":
            self.found += find_unseen(json.loads(self._inside))
        elif self._inside or not self._script.get("src"):
            self.found.append(f"a script of its own: {self._inside[:80]}")
        self._script = None

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self.found.append(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"<![{data}]>")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data}>")

    def _check_address(self, tag: str, name: str, value: str) -> None:
        scheme, host = PARTS.match(value).groups("")  # type: ignore[union-attr]  # it matches anything
        if scheme.lower() not in SCHEMES or "\\" in value or "@" in host or not value.isprintable():
            self.found.append(f"<{tag} {name}={value}>")
        if tag in LOADED and (host or scheme) and not value.startswith(SITE_URL):
            self.found.append(f"<{tag} {name}={value}> loads from elsewhere")


def find_unseen(value: Any) -> list[str]:
    """Texts of a JSON value, names among them, that hold what nobody sees."""
    if isinstance(value, str):
        return [repr(value)] if UNSEEN.search(value) else []
    if isinstance(value, dict):
        return [told for pair in value.items() for part in pair for told in find_unseen(part)]
    return [told for part in value for told in find_unseen(part)] if isinstance(value, list) else []


def suspect_html(text: str) -> Iterator[str]:
    yield from Suspicion(text).found
    for script in re.findall(r"(?s)<script[^>]*>(.*?)</script>", text):
        if "<" in script or ">" in script:
            yield f"a mark inside of a script: {script[:80]}"


def suspect_xml(body: bytes) -> Iterator[str]:
    """An XML file: nothing but elements, addresses that are such, HTML that is harmless itself."""
    for element in etree.fromstring(body, etree.XMLParser(resolve_entities=False)).iter():
        if not isinstance(element.tag, str):
            yield f"no element: {element}"
            continue
        name, text = etree.QName(element).localname, element.text or ""
        yield from (repr(each) for each in (text, *element.attrib.values()) if UNSEEN.search(str(each)))
        addresses = [str(v) for k, v in element.attrib.items() if k in {"href", "src", "url", "xmlUrl", "htmlUrl"}]
        addresses += [text] if name in {"link", "uri", "loc", "comments", "docs"} and text else []
        yield from (each for each in addresses if urlsplit(each).scheme not in {"http", "https"})
        if name in {"encoded", "description", "content", "summary"} and element.get("type") in {None, "html"}:
            yield from Suspicion(text).found
        if name == "title" and ("<" in text or ">" in text):
            yield f"markup in a title: {text}"


def suspect_calendar(body: bytes) -> Iterator[str]:
    """A calendar: as many events as there are lines that begin one, of properties that we write, in folded lines."""
    calendar = icalendar.Calendar.from_ical(body)
    names = Counter(each.name for each in calendar.walk())
    yield from (f"BEGIN:{name}" for name in names if name not in {"VCALENDAR", "VEVENT", "VTIMEZONE", "STANDARD"})
    lines = body.split(b"\r\n")
    if lines.count(b"BEGIN:VEVENT") != names["VEVENT"] or lines.count(b"END:VEVENT") != names["VEVENT"]:
        yield "an event that is none"
    yield from (repr(line) for line in lines if len(line) > 75 or b"\r" in line or b"\n" in line)
    written = {"UID", "DTSTAMP", "LAST-MODIFIED", "SEQUENCE", "DTSTART", "SUMMARY", "DESCRIPTION", "URL"}
    for event in calendar.walk("VEVENT"):
        yield from (f"a property {name}" for name in event if name not in written | {"CATEGORIES", "STATUS", "TRANSP"})
        if urlsplit(str(event["url"])).scheme not in {"http", "https"}:
            yield f"URL:{event['url']}"
        yield from (repr(event[name]) for name in ("SUMMARY", "DESCRIPTION") if UNSEEN.search(str(event[name])))


def suspect(path: Path) -> list[str]:
    """What in a file of the tree could do harm to who reads it."""
    body = path.read_bytes()
    text = body.decode()  # strict: all is UTF-8
    found = [f"raw: {UNSEEN.findall(text)}"] if UNSEEN.search(text) else []
    if path.suffix == ".html":
        found += suspect_html(text)
    elif path.suffix == ".json":
        value = json.loads(text)
        found += find_unseen(value)
        found += Suspicion(value["html"]).found if path.parent.name == "embed" else []
        if path.parent.name == "feeds":
            found += [told for item in value["items"] for told in Suspicion(item["content_html"]).found]
            found += [i["url"] for i in value["items"] if urlsplit(i["url"]).scheme not in {"http", "https"}]
    elif path.suffix in {".rss", ".atom", ".opml", ".xml"}:
        found += suspect_xml(body)
    elif path.suffix == ".ics":
        found += suspect_calendar(body)
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is published where every text of every tender, and every name of the configuration, is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    config = parse_config(write_config(), folder / "warta.toml")
    repository = Repository(open_database(config.database_url))
    save_hostile(repository, list(make_few()))
    publish(config, repository, NOW)
    return config.public_folder


@pytest.mark.parametrize(
    "form", [".html", ".rss", ".atom", ".json", ".ics", ".opml", ".xml"], ids=lambda form: form.removeprefix(".")
)
def test_nothing_hostile_is_published(tree: Path, form: str) -> None:
    paths = sorted(tree.rglob(f"*{form}"))
    told = {path.relative_to(tree).as_posix(): found[:3] for path in paths if (found := suspect(path))}
    assert paths
    assert told == {}


@pytest.mark.parametrize("name", ["name", "place"])
def test_a_name_that_turns_the_page_around_is_refused(tmp_path: Path, name: str) -> None:
    head = CONFIG.replace('place = "Kota Malang"\n', "").replace('name = "BLP Kota Malang"\n', "", 1)
    other = {"name": 'place = "x"', "place": 'name = "x"'}[name]
    text = head.replace("[publisher]", f'[publisher]\n{other}\n{name} = "BLP \\u202egnalaM"')
    with pytest.raises(ConfigError, match=rf"publisher\.{name}: .*U\+202E; take it out"):
        parse_config(text, tmp_path / "warta.toml")


@pytest.mark.parametrize("supplier", ["CV \u041a\u0430rya Jaya", "CV Ka\u200brya Jaya", "CV K\u00e1rya Jay\u0251"])
def test_a_name_that_only_looks_like_another_accuses_nobody(supplier: str) -> None:
    """Letters of other scripts are shown as they are, and never taken for those that they look like."""
    sanction = Sanction(supplier="CV Karya Jaya", starts=READ.replace(year=2025), ends=READ.replace(year=2028))
    fields = {**TENDER.as_dict(), "kind": "notice", "sanctions": [sanction.as_dict()]}
    listed = Blacklist([make_record(type(TENDER).from_dict(fields))])
    assert listed.find("CV KARYA JAYA", READ)
    assert listed.find(supplier, READ) is None
