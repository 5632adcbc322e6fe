"""Documents that mean harm, given to every reader of bytes: XML that loads or swells, depth, size, words that lie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from aggregator.models import Kind
from spiders import blacklist, prozorro, syndication, wordpress, worldbank
from spiders.ocds import packages
from spiders.reading import ShapeError, parse_html, parse_labels, parse_table, text_of
from spiders.satudata import gateway, masters, rows
from spiders.sirup import lists as sirup
from spiders.sirup import plan
from spiders.spse import lists as spse
from spiders.spse import pages
from spiders.ted import notices as ted
from tests.hostile import Hostile, listening, ok
from tests.road import WIB

ROOT = Path(__file__).parents[1]
SECRET = "the secret of a file nearby"
Reader = Callable[[bytes], Any]

READ_JSON: dict[str, Reader] = {
    "spse": lambda body: spse.parse_list(body, Kind.TENDER),
    "sirup": lambda body: sirup.parse_page(body, sirup.SEARCH, WIB),
    "satudata": rows.parse_array,
    "satudata gateway": gateway.parse_envelope,
    "satudata masters": lambda body: masters.parse_master(body, "lpse"),
    "blacklist": lambda body: blacklist.parse_page(body, WIB),
    "ocds": lambda body: packages.parse_package(body, WIB),
    "ocds lines": lambda body: packages.parse_lines(body, WIB),
    "prozorro": prozorro.parse_feed,
    "prozorro tender": lambda body: prozorro.parse_tender(body, "uji", "1"),
    "ted": lambda body: ted.parse_page(body, "eng", WIB),
    "worldbank": lambda body: worldbank.parse_page(body, WIB),
    "wordpress": lambda body: wordpress.parse_posts(body, "https://a.example/", WIB),
}
READ_HTML: dict[str, Reader] = {
    "home": lambda body: spse.parse_home(body, WIB),
    "announcement": lambda body: pages.parse_announcement(body, "1", WIB, "https://a.example/x"),
    "schedule": lambda body: pages.parse_schedule(body, WIB),
    "winners": pages.parse_winners,
    "contracts": pages.parse_contracts,
    "realisations": lambda body: pages.parse_realisations(body, WIB),
    "plan": lambda body: plan.parse_details(body, "1", WIB),
}
read_feed: Reader = partial(syndication.parse_feed, site="https://a.example/", zone=WIB)

# XML ------------------------------------------------------------------------------------------------------

ITEM = "<item><guid>1</guid><title>{}</title></item>"
FEED = '<?xml version="1.0"?>{}<rss version="2.0"><channel>' + ITEM + "</channel></rss>"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BLOWN = "&a;" * 50_000


@pytest.fixture
def lurking(tmp_path: Path) -> Iterator[Hostile]:
    """What waits to be loaded: a DTD and an entity over HTTP."""
    (tmp_path / "secret.txt").write_text(SECRET, encoding="utf-8")
    with listening({"/x.dtd": ok(b'<!ENTITY e "loaded">'), "/x.txt": ok(SECRET.encode())}) as server:
        yield server


XML = {
    "entity of a file": FEED.format('<!DOCTYPE rss [<!ENTITY e SYSTEM "file://{folder}/secret.txt">]>', "&e;"),
    "entity of a relative file": FEED.format('<!DOCTYPE rss [<!ENTITY e SYSTEM "secret.txt">]>', "&e;"),
    "entity of the web": FEED.format('<!DOCTYPE rss [<!ENTITY e SYSTEM "{url}/x.txt">]>', "&e;"),
    "DTD of the web": FEED.format('<!DOCTYPE rss SYSTEM "{url}/x.dtd">', "&e;"),
    "DTD of a public name": FEED.format('<!DOCTYPE rss PUBLIC "-//x" "{url}/x.dtd">', "x"),
    "parameter entity": FEED.format(
        '<!DOCTYPE rss [<!ENTITY % p SYSTEM "{url}/x.dtd">%p;<!ENTITY % f SYSTEM "file://{folder}/secret.txt">]>', "&e;"
    ),
    "billion laughs": FEED.format(f'<!DOCTYPE rss [<!ENTITY l0 "lol">{LAUGHS}]>', "&l11;"),
    "billion laughs in an attribute": FEED.format(f'<!DOCTYPE rss [<!ENTITY l0 "lol">{LAUGHS}]>', '<b a="&l11;"/>'),
    "quadratic": FEED.format(f'<!DOCTYPE rss [<!ENTITY a "{"a" * 100_000}">]>', BLOWN),
    "quadratic in an attribute": FEED.format(f'<!DOCTYPE rss [<!ENTITY a "{"a" * 100_000}">]>', f'<b a="{BLOWN}"/>'),
    "entities that turn in circles": FEED.format('<!DOCTYPE rss [<!ENTITY a "&b;"><!ENTITY b "&a;">]>', "&a;"),
    "XInclude": FEED.format(
        "", '<x:include xmlns:x="http://www.w3.org/2001/XInclude" parse="text" href="file://{folder}/secret.txt"/>'
    ),
    "a style sheet": FEED.format('<?xml-stylesheet href="{url}/x.dtd"?>', "x"),
    "a schema": FEED.format("", "x").replace(
        "<rss ", '<rss xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:noNamespaceSchemaLocation="{url}/x.dtd" '
    ),
    "deep": FEED.format("", "<b>" * 100_000),
    "deep and closed": FEED.format("", "<b>" * 90_000 + "</b>" * 90_000),
    "many items": FEED.format("", "x</title></item>" + ITEM.format("x") * 300_000 + "<item><title>"),
    "many attributes": FEED.format("", "<b " + " ".join(f'a{n}="1"' for n in range(100_000)) + "/>"),
    "many names of spaces": FEED.format("", "<b " + " ".join(f'xmlns:a{n}="b{n}"' for n in range(20_000)) + "/>"),
}


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_loads_nothing_and_does_not_swell(name: str, encoding: str, lurking: Hostile, tmp_path: Path) -> None:
    text = XML[name].replace("{url}", lurking.url).replace("{folder}", str(tmp_path))
    began = time.process_time()
    try:
        feed = read_feed(text.encode(encoding))
        told = repr(feed)
    except ShapeError as error:
        told = f"{error} {error.sample}"
    assert time.process_time() - began < 5
    assert len(told) < 10_000
    assert SECRET not in told
    assert lurking.connected == 0


def test_a_feed_with_a_doctype_is_refused() -> None:
    with pytest.raises(ShapeError, match="DOCTYPE"):
        read_feed(FEED.format('<!DOCTYPE rss [<!ENTITY e "harmless">]>', "x").encode())


# JSON -----------------------------------------------------------------------------------------------------

JSON = {
    "deep lists": b"[" * 100_000,
    "deep lists, closed": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep objects, closed": b'{"data":' * 100_000 + b"1" + b"}" * 100_000,
    "a number of a million digits": b"[" + b"1" * 1_000_000 + b"]",
    "a fraction of a million digits": b"[0." + b"1" * 1_000_000 + b"]",
    "a power": b'[{"a": 1e999999999}]',
    "no number": b'[{"a": NaN}, {"b": Infinity}]',
    "UTF-16": '[{"a": 1}]'.encode("utf-16"),
    "UTF-7": b'[{"+AGE-": "+ADw-script+AD4-"}]',
    "bytes that are no text": b'[{"a": "\xff\xfe\xed\xa0\x80"}]',
    "half an emoji": b'[{"a": "\\ud83d"}]',
    "NULs": b"\x00" * 4096,
    "a BOM and nothing": b"\xef\xbb\xbf",
    "nothing": b"",
    "null": b"null",
    "a number": b"5",
    "text": b'"x"',
    "a name twice": b'{"data": [], "data": 5}',
}


@pytest.mark.parametrize("reader", READ_JSON)
def test_json_that_means_harm_is_told_and_ends_nothing(reader: str) -> None:
    began = time.process_time()
    for body in JSON.values():
        told: object = None
        try:
            told = READ_JSON[reader](body)
        except ShapeError as error:
            told = error.sample
        assert len(repr(told)) < 2_000_000  # of the two numbers of a million digits, as text
    assert time.process_time() - began < 8


@pytest.mark.parametrize("reader", [name for name in READ_JSON if name != "ocds lines"])
def test_json_a_hundred_thousand_deep_is_a_problem_like_any_other(reader: str) -> None:
    for body in (JSON["deep lists, closed"], JSON["deep objects, closed"]):
        with pytest.raises(ShapeError, match=r"no JSON|neither releases|more than"):
            READ_JSON[reader](body)


# HTML -----------------------------------------------------------------------------------------------------

HTML = {
    "deep": b"<div>" * 100_000,
    "deep tables": b"<table class='table-sm'><tr><td>" * 30_000,
    "tables in tables, and many heads": b"<table><tr><td>" * 80 + b"<table><tr>" + b"<th>Tahap</th>" * 40_000,
    "a million rows": b"<table class='table-sm'>" + b"<tr><td>x" * 1_000_000,
    "a hundred thousand columns": b"<table class='table-sm'><tr>" + b"<th class=bgwarning>x" * 90_000,
    "many lists": b"<ul class='nav-tabs'>" * 30_000 + b"<a href=x>x</a>" * 30_000,
    "open comment": b"<!--" * 200_000,
    "open tag": b"<a " * 60_000,
    "attributes": b"<table " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b">",
    "entities": b"&lt" * 300_000,
    "NULs": b"<table>\x00<tr>\x00</table>" * 100,
    "UTF-16": "<table><tr><th>x</th></tr></table>".encode("utf-16"),
    "UTF-7": b"<meta charset=utf-7>+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "white space": b"<table><th>" + b" " * 2_000_000 + b"Jenis Realisasi",
    "nothing": b"",
}


@pytest.mark.parametrize("reader", READ_HTML)
def test_html_that_means_harm_is_told_and_takes_no_time(reader: str) -> None:
    for name, body in HTML.items():
        began = time.process_time()
        told: object = None
        with suppress(ShapeError):
            told = READ_HTML[reader](body)
        assert not told, name
        assert time.process_time() - began < 6, name


def test_a_table_as_large_as_pages_may_have_is_read_in_time() -> None:
    rows = b"".join(b"<tr><th>Label %d</th><td>isi</td></tr>" % n for n in range(20_000))
    began = time.process_time()
    [table] = parse_html(b"<table>" + rows + b"</table>").iter("table")
    assert sum(1 for _ in parse_labels(table)) == 20_000
    assert time.process_time() - began < 6


def test_a_row_of_another_width_is_told() -> None:
    body = b"<table><tr>" + b"<th>x</th>" * 40_000 + b"</tr><tr><td>x</td></tr></table>"
    [table] = parse_html(body).iter("table")
    with pytest.raises(ShapeError, match="a row of 1 cells"):
        list(parse_table(table))
    assert text_of(table)


# Memory ---------------------------------------------------------------------------------------------------

SWELLING = {
    "lists": b"[" + b"[]," * 6_000_000 + b"[]]",
    "objects": b"[" + b'{"a":0},' * 2_000_000 + b"{}]",
    "numbers": b"[" + b"0," * 9_000_000 + b"0]",
    "tags": b"<b>" * 6_000_000,
    "items": b"<rss>" + b"<a/>" * 5_000_000 + b"</rss>",
}
_READ_IN_A_CHILD = """
import resource, sys
from tests.test_threats_documents import READ_HTML, READ_JSON, SWELLING, ShapeError, read_feed
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
refused = 0
for name, body in SWELLING.items():
    markup = name in {"tags", "items"}
    for key, read in {**(READ_HTML if markup else READ_JSON), "feed": read_feed}.items():
        if key.startswith("satudata"):
            continue  # a year of plans in one answer is as large: its body may have 200 MB
        try:
            read(body)
        except ShapeError:
            refused += 1
        else:
            print(name, key, "was read", file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, refused)
"""


def test_what_swells_in_memory_is_refused_before_it_is_read() -> None:
    child = subprocess.run(
        [sys.executable, "-c", _READ_IN_A_CHILD],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.stderr == ""
    grown, refused = map(int, child.stdout.split())
    assert refused == 3 * (len(READ_JSON) - 3 + 1) + 2 * (len(READ_HTML) + 1)
    assert grown < 60_000, f"{grown} kB"


# Packages -------------------------------------------------------------------------------------------------


def make_zip(files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", kind) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return made.getvalue()


RELEASE = json.dumps({"ocid": "o", "id": "1", "date": "2026-01-01", "tag": ["tender"]}).encode()
ZIPS = {
    "bomb": make_zip({"a.json": b" " * 60_000_000}),
    "many small bombs": make_zip({f"{n}.json": b" " * 500_000 for n in range(200)}),
    "bzip2 bomb": make_zip({"a.json": b" " * 60_000_000}, zipfile.ZIP_BZIP2),
    "lzma bomb": make_zip({"a.json": b" " * 60_000_000}, zipfile.ZIP_LZMA),
    "a ZIP in a ZIP": make_zip({"a.json": make_zip({"b.json": RELEASE})}),
    "a size that lies": make_zip({"a.json": b" " * 3_000_000}).replace(
        (3_000_000).to_bytes(4, "little"), (3).to_bytes(4, "little")
    ),
    "no files": make_zip({}),
    "other files": make_zip({"../../etc/passwd": b"x"}),
    "cut off": make_zip({"a.json": RELEASE})[:-30],
    "no ZIP": b"PK\x03\x04" + bytes(1000),
}


@pytest.mark.parametrize("name", ZIPS)
def test_a_zip_that_means_harm_is_refused(name: str) -> None:
    began = time.process_time()
    with pytest.raises(ShapeError, match="unpacks to more than it may" if name.endswith(("bomb", "bombs")) else r"."):
        packages.parse_zip(ZIPS[name], WIB)
    assert time.process_time() - began < 2


def test_a_zip_is_never_unpacked_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "of" / "work"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    body = make_zip({"../../escaped.json": RELEASE, "/absolute.json": RELEASE.replace(b'"1"', b'"2"')})
    assert len(packages.parse_zip(body, WIB).releases) == 2
    assert [*tmp_path.glob("**/*.json")] == []
    assert not Path("/absolute.json").exists()
