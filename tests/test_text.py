"""Source text made fit to show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from feeds.words.text import clip, plain, scrub, web_address
from tests.feed_samples import hostile_texts


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<script>alert(1)</script>", "‹script›alert(1)‹/script›"),
        (", \"Pengadaan\" 'ATK'", ", \"Pengadaan\" 'ATK'"),
        ('=HYPERLINK("http://x")', '=HYPERLINK("http://x")'),
        ("Rehab 👨‍👩‍👧 😀", "Rehab 👨‍👩‍👧 😀"),
        ("a\x00b\x07c\x85d\u2028e\tf\r\ng", "abc d e f  g"),
        ("a\ud800b\ufffec\ufeff", "abc"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("Jasa &amp; Barang", "Jasa & Barang"),
        ("Jasa &amp;amp; &lt;b&gt;", "Jasa & ‹b›"),
        ("AT&T R&D; 5 &gt 3", "AT&T R&D; 5 &gt 3"),
        ("&#x202e;&#0;x&#xD800;\ufffd", "x"),
    ],
)
def test_plain(source: str, shown: str) -> None:
    assert plain(source) == shown


@given(hostile_texts)
def test_plain_text_fits_into_xml_and_json_and_holds_no_markup(text: str) -> None:
    shown = plain(text)
    assert not set("<>") & set(shown)
    etree.Element("x").text = shown  # raises for what XML 1.0 cannot hold
    shown.encode("utf-8")
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert scrub(shown) == shown


def test_hostile_escapes_do_not_keep_it_busy() -> None:
    assert len(plain("&" + "amp;" * 500_000)) < 2_000_001


@given(st.text(), st.integers(2, 40))
def test_clip_is_never_longer_and_keeps_the_head(text: str, limit: int) -> None:
    cut = clip(text, limit)
    assert len(cut) <= limit
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


def test_clip_cuts_at_a_word() -> None:
    assert clip("Rehabilitasi Saluran Drainase", 22) == "Rehabilitasi Saluran…"
    assert clip("Rehabilitasi Saluran Drainase", 29) == "Rehabilitasi Saluran Drainase"
    assert clip("A" + "b" * 50, 10) == "Abbbbbbbb…"


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("https://x.example/a/b?c=d&e=f#g", "https://x.example/a/b?c=d&e=f#g"),
        (" https://x.example/ü b?q=<>\n", "https://x.example/%C3%BC%20b?q=%3C%3E"),
        ("https://x.example/%C3%BC%zz", "https://x.example/%C3%BC%25zz"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
        ("https://x.example/\ud800", "https://x.example/"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("/relative", None),
        ("//x.example/", None),
        ("https://", None),
        ("https://user:pw@x.example/", None),
        ('https://x"onload=.example/', None),
        ("http://[::1", None),
        ("http://[::1]/", None),
    ],
)
def test_web_address(source: str, address: str | None) -> None:
    assert web_address(source) == address


@given(hostile_texts)
def test_web_address_is_ascii_without_anything_that_ends_an_attribute(text: str) -> None:
    address = web_address("https://x.example/" + text)
    if address is not None:
        assert address.isascii()
        assert not set(' "<>\\^`{|}') & set(address)
