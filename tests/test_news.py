"""News as a value: what becomes of markup, addresses, identifiers and options that come from outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.config import ConfigError, Portal
from aggregator.models import Kind, Known, Status, Tender
from spiders.contract import ListOptions, find_stale
from spiders.news import (
    LONGEST_TEXT,
    LONGEST_TITLE,
    NewsItem,
    check_time,
    clean_body,
    clean_title,
    find_changed,
    make_key,
    web_address,
)
from spiders.options import parse_options
from spiders.reading import ShapeError

PORTAL = Portal(id="blp", family="wordpress", name="Berita BLP", url="https://blp.example.go.id")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ITEM = NewsItem(key="7", title="Judul", url="https://blp.example.go.id/7", text="Isi", published=NOON)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Satu</p><p>dua</p>", "Satu dua"),
        ("<b>P</b>engumuman<br>baru", "Pengumuman baru"),
        ("<ul><li>a</li><li>b</li></ul><table><tr><td>c</td><td>d</td></tr></table>", "a b c d"),
        ("<script>alert(1)</script><style>p{}</style><nav>Menu</nav><noscript>x</noscript>Isi", "Isi"),
        ("<img src=x onerror=alert(1)>Isi<iframe src='https://x'>y</iframe>", "Isi"),
        ("PT A &amp; B &lt;Persero&gt; &#8220;kutip&#8221;", "PT A & B <Persero> “kutip”"),
        ("nilai < 10 juta & > 5", "nilai < 10 juta & > 5"),
        ("<scr<script>ipt>alert(1)</script>", "ipt>alert(1)"),
        ("<p>tak ditutup <b>tebal", "tak ditutup tebal"),
        ("https://blp.example.go.id/", "https://blp.example.go.id/"),
        ("<p>&nbsp;</p><!-- komentar -->", None),
        ("\ud800a\x00b", "ab"),
    ],
)
def test_a_body_becomes_what_a_reader_would_see(markup: str, text: str | None) -> None:
    assert clean_body(markup) == text


def test_a_title_is_one_line_without_markup() -> None:
    assert clean_title("<b>Lelang</b>\n <i>ulang</i> &amp; <script>x</script>baru") == "Lelang ulang & baru"
    assert clean_title("<p></p>") == ""


@given(st.text())
def test_any_text_is_cleaned_within_its_length(markup: str) -> None:
    assert len(clean_body(markup) or "") <= LONGEST_TEXT
    assert len(clean_title(markup)) <= LONGEST_TITLE


def test_long_text_is_cut_at_a_word() -> None:
    text = clean_body("<p>kata kunci</p>" * 1000)
    assert text is not None
    assert LONGEST_TEXT - 20 < len(text) <= LONGEST_TEXT
    assert text.endswith(("kata…", "kunci…"))
    assert clean_body("x" * 5000) == "x" * (LONGEST_TEXT - 1) + "…"


def test_an_inline_picture_hides_no_text() -> None:
    picture = "A" * 300_000
    assert clean_body(f'<img src="data:image/png;base64,{picture}"><p>Isi</p>') == "Isi"


def test_deep_nesting_ends_soon() -> None:
    assert clean_body("<p>Isi</p>" + "<div>" * 300_000) == "Isi"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://blp.example.go.id/a?b=c#d", "https://blp.example.go.id/a?b=c#d"),
        (" http://blp.example.go.id:8080/berkas baru.pdf ", "http://blp.example.go.id:8080/berkas%20baru.pdf"),
        ("/relatif", None),
        ("//blp.example.go.id/", None),
        ("javascript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("data:text/html,x", None),
        ("ftp://blp.example.go.id/", None),
        ("https://", None),
        ("https://user:pw@blp.example.go.id/", None),
        ("https://blp.example.go.id:port/", None),
        ("https://[::1", None),
        ('https://blp.example.go.id/"><script>', None),
        ("", None),
    ],
)
def test_only_absolute_web_addresses_are_kept(text: str, address: str | None) -> None:
    assert web_address(text) == address


@given(st.text(min_size=1))
def test_every_identifier_makes_a_key(identifier: str) -> None:
    key = make_key(identifier)
    Tender(portal="blp", kind=Kind.NEWS, key=key, title="x", url="https://x.id/")  # raises for a key that is unfit
    assert key == make_key(identifier)


def test_a_safe_identifier_is_its_own_key_and_others_differ() -> None:
    assert make_key("urn:uuid:1225c695") == "urn:uuid:1225c695"
    assert make_key("https://x.id/?p=1") != make_key("https://x.id/?p=2")
    assert (
        make_key("https://x.id/?p=1") == "6c4c7f9f2c2f6a2d7b1fdbf1d3f1ad5e" or len(make_key("https://x.id/?p=1")) == 32
    )


def test_an_item_becomes_a_reading() -> None:
    tender = ITEM.as_reading(PORTAL).tender
    assert (tender.portal, tender.kind, tender.key, tender.status) == ("blp", Kind.NEWS, "7", Status.COMPLETE)
    assert (tender.title, tender.description, tender.published) == ("Judul", "Isi", NOON)


@pytest.mark.parametrize(
    "other",
    [
        replace(ITEM, title="x"),
        replace(ITEM, text=None),
        replace(ITEM, url="https://x.id/"),
        replace(ITEM, published=None),
    ],
)
def test_an_item_that_differs_is_read_again(other: NewsItem) -> None:
    known = {(Kind.NEWS, "7"): Known(row=ITEM.fingerprint)}
    assert list(find_changed([ITEM], known)) == []
    assert list(find_changed([other], known)) == [other]
    assert list(find_changed([ITEM], {(Kind.NEWS, "7"): Known()})) == [ITEM]


def test_a_source_gone_quiet_is_told_only_where_asked() -> None:
    week = timedelta(days=7)
    assert find_stale(NOON, None, NOON + 9 * week) is None
    assert find_stale(None, week, NOON) is None
    assert find_stale(NOON, week, NOON + week) is None
    stale = find_stale(NOON, week, NOON + week + timedelta(seconds=1))
    assert stale is not None
    assert (stale.code, stale.text) == ("stale", "the newest item is older than 7 days")


def test_times_that_cannot_be_are_refused() -> None:
    assert check_time(NOON) is NOON
    with pytest.raises(ShapeError):
        check_time(datetime(1, 1, 1, tzinfo=UTC))


def test_options_are_checked_and_the_mistake_is_named() -> None:
    wrong = PORTAL.model_copy(update={"options": {"stale_aftr": "7d", "stale_after": "soon"}})
    with pytest.raises(ConfigError, match=r"^portal blp: .*options\.stale_aftr: unknown key; check") as raised:
        parse_options(ListOptions, wrong)
    assert "options.stale_after: " in str(raised.value)
    assert "'soon' is not a duration" in str(raised.value)
    assert parse_options(ListOptions, PORTAL).stale_after is None
