"""Letters in messages that a service can take: whole addresses, nothing lost, hostile text shown as it is."""

from __future__ import annotations

import json
import logging
from html.parser import HTMLParser
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from feeds.posting import MOST_URL, Letter, Piece, fit, hide, pack, render_html, render_messages, render_text
from tests.feed_samples import hostile_texts


def make_piece(number: int, length: int = 300) -> Piece:
    return {"title": f"Paket {number}", "lines": ["x" * length], "url": f"https://x.go.id/{number}"}


urls = st.text("abc/?=&%'()", max_size=600).map("https://x.go.id/".__add__)
pieces = st.fixed_dictionaries({"title": hostile_texts, "lines": st.lists(hostile_texts, max_size=3), "url": urls})


@given(st.lists(pieces, max_size=12), st.integers(900, 5000))
def test_no_message_is_too_long_and_no_piece_is_lost(letter: list[Piece], most: int) -> None:
    messages = list(pack(letter, most))
    assert [piece["url"] for message in messages for piece in message] == [
        piece["url"] if len(piece["url"]) <= MOST_URL else "" for piece in letter
    ]
    for message in messages:
        assert max(len(render_text(message)), len(render_html(message))) <= most or len(message) == 1


def test_a_piece_that_is_too_long_loses_its_lines_first() -> None:
    assert fit(make_piece(1), 1000) == make_piece(1)
    assert fit(make_piece(1), 200) == {"title": "Paket 1", "lines": (), "url": "https://x.go.id/1"}
    long: Piece = {"title": "Jalan " * 50, "lines": ["x"], "url": "https://x.go.id/1"}
    short = fit(long, 120)
    assert short["url"] == long["url"]
    assert short["title"].endswith("…")
    assert len(render_html([short])) <= 120


def test_titles_of_several_messages_are_numbered() -> None:
    letter: Letter = {"title": "Semua: 10 paket baru", "pieces": [make_piece(number) for number in range(10)]}
    messages = render_messages(letter, 2000, titled=True)
    assert [title for title, _ in messages] == [f"Semua: 10 paket baru ({n}/3)" for n in (1, 2, 3)]
    assert [piece for _, some in messages for piece in some] == letter["pieces"]
    ((title, _),) = render_messages(letter, 30_000, titled=True)
    assert title == "Semua: 10 paket baru"


def test_without_titles_the_title_comes_first() -> None:
    letter: Letter = {"title": "Semua & lain", "pieces": [make_piece(1)]}
    ((title, some),) = render_messages(letter, 4096, titled=False)
    assert title == ""
    assert render_text(some).startswith("Semua & lain\n\nPaket 1\n")
    assert render_html(some).startswith("<b>Semua &amp; lain</b><br>")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(pieces)
def test_html_holds_no_markup_of_others(piece: Piece) -> None:
    reader = _Reader()
    reader.feed(render_html([piece]))
    reader.close()
    assert reader.tags <= {"a", "b", "br"}
    assert "".join(reader.texts) == "".join([piece["title"], *piece["lines"]])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("error=401 at hooks.example.org", "error=401 at …"),
        ("to a%40b.id and a@b.id refused", "to a%40b.id and a@b.id refused"),
        ("bot123456:AAEhBOweik refused", "bot…:… refused"),
    ],
)
def test_what_stands_in_the_address_is_hidden(text: str, told: str) -> None:
    url = "tgram://123456:AAEhBOweik/@kanal?x=1"
    assert hide(text, "json://hooks.example.org/x" if "hooks" in text else url) == told


# What services get: apprise in this process, the network taken away ----------------------------------------

HOSTILE: Letter = {
    "title": "Semua: 2 paket baru",
    "pieces": [
        {
            "title": "Jalan [klik] (http://evil) *x* _y_ <!channel> `c` & <b>",
            "lines": ["a_b"],
            "url": "https://x.go.id/?a=1&b=2",
        },
        {"title": "Drainase", "lines": ["Rp1\u00a0miliar"], "url": "https://x.go.id/2"},
    ],
}


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was posted as JSON, wherever to."""
    found: list[dict[str, Any]] = []

    def answer(*_: object, data: Any, **__: object) -> requests.Response:
        found.append(json.loads(data))
        made = requests.Response()
        made.status_code, made._content = 200, b"ok"
        return made

    monkeypatch.setattr(requests, "post", answer)
    monkeypatch.setattr(requests, "request", answer)
    return found


def post(url: str, letter: Letter = HOSTILE) -> int:
    from feeds.posting import load_service
    from feeds.posting import post as post_letter

    logging.getLogger("apprise").propagate = False
    return max(post_letter(load_service(url), letter), default=0)


pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_telegram(posted: list[dict[str, Any]]) -> None:
    assert post("tgram://123456789:abcdefghij-ABC_xyz0123456789abcdefgh/-1001234/") == 2
    (sent,) = posted
    assert sent["parse_mode"] == "HTML"
    assert sent["text"].split("\r\n") == [
        "<b>Semua: 2 paket baru</b>",
        "\u2060",
        '<a href="https://x.go.id/?a=1&amp;b=2"><b>Jalan [klik] (http://evil) *x* _y_ '
        "&lt;!channel&gt; `c` &amp; &lt;b&gt;</b></a>",
        "a_b",
        "\u2060",
        '<a href="https://x.go.id/2"><b>Drainase</b></a>',
        "Rp1 miliar",
    ]


def test_slack(posted: list[dict[str, Any]]) -> None:
    assert post("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23c") == 2
    text = posted[0]["attachments"][0]["text"]
    assert "<!channel>" not in text
    assert "<https://x.go.id/2|" in text


def test_discord(posted: list[dict[str, Any]]) -> None:
    assert post("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js") == 2
    text = posted[0]["content"]
    assert r"\*x\* \_y\_" in text
    assert "[**Drainase**](<https://x.go.id/2>)" in text


def test_a_service_with_short_messages_gets_several(posted: list[dict[str, Any]]) -> None:
    many: Letter = {"title": "Semua: 10 paket baru", "pieces": [make_piece(number) for number in range(10)]}
    assert post("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", many) == 10
    assert len(posted) == 3
    assert all(len(sent["content"]) <= 2000 for sent in posted)
