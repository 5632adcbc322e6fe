"""One letter to one service, through apprise. A program of its own, which notifying.py starts and ends: what it logs,
a secret address among it, stays here, and whatever a service does holds nobody else up."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from html import escape
from typing import IO, TYPE_CHECKING, TypedDict
from urllib.parse import unquote

if TYPE_CHECKING:
    from apprise import Apprise
    from apprise.plugins.base import NotifyBase

SPARE = 0.75  # of a service's longest message: its own markup and escapes may be longer than what is measured here
TELEGRAM = 4096  # characters of a message there, as apprise knows it too
MOST_URL = 500  # characters; an address that is longer is left out, never cut

_GAP = "\u2060"  # stands alone in the line between two pieces: Telegram's plugin drops lines that are empty
_SERVICES = "https://appriseit.com/services/"
_LEAST_SECRET = 4  # characters of a part of an address that is worth hiding


class Piece(TypedDict):
    """One entry of a letter: plain text, ``lines`` below the ``title``, which leads to ``url`` (or nowhere: "")."""

    title: str
    lines: Sequence[str]
    url: str


class Letter(TypedDict):
    """What one channel is told at once: ``pieces`` under one ``title``, in as many messages as the service needs."""

    title: str
    pieces: Sequence[Piece]


def render_text(pieces: Sequence[Piece]) -> str:
    """Plain text: the address in a line of its own."""
    return "\n\n".join("\n".join(filter(None, (each["title"], *each["lines"], each["url"]))) for each in pieces)


def render_html(pieces: Sequence[Piece]) -> str:
    """HTML of bold, links and line breaks only, which every service with HTML knows."""
    return f"<br>{_GAP}<br>".join("<br>".join(map(str, (_head(each), *map(escape, each["lines"])))) for each in pieces)


def _head(piece: Piece) -> str:
    title = f"<b>{escape(piece['title'])}</b>"
    return f'<a href="{escape(piece["url"])}">{title}</a>' if piece["url"] else title


def pack(pieces: Sequence[Piece], most: int) -> Iterator[list[Piece]]:
    """``pieces`` by message, each of at most ``most`` characters in either form unless one piece alone is longer."""
    message: list[Piece] = []
    for piece in (fit(each, most) for each in pieces):
        if message and _measure([*message, piece]) > most:
            yield message
            message = []
        message.append(piece)
    if message:
        yield message


def fit(piece: Piece, most: int) -> Piece:
    """``piece`` itself; where it is too long without its lines, then with a shorter title. The address stays whole."""
    if len(piece["url"]) > MOST_URL:
        piece = {**piece, "url": ""}
    if _measure([piece]) <= most:
        return piece
    bare: Piece = {**piece, "lines": ()}
    over = _measure([bare]) - most
    if over <= 0:
        return bare
    return {**bare, "title": piece["title"][: max(len(piece["title"]) - over - 1, 10)].rstrip() + "…"}


def _measure(pieces: Sequence[Piece]) -> int:
    return max(len(render_text(pieces)), len(render_html(pieces)))


def render_messages(letter: Letter, most: int, *, titled: bool) -> list[tuple[str, list[Piece]]]:
    """Title and pieces of each message. Where the service has no titles, the first piece is the title itself."""
    room = int(most * SPARE)
    head: list[Piece] = [] if titled else [{"title": letter["title"], "lines": (), "url": ""}]
    packed = list(pack([*head, *letter["pieces"]], room))
    if not titled or len(packed) == 1:
        return [(letter["title"] if titled else "", pieces) for pieces in packed]
    return [(f"{letter['title']} ({number}/{len(packed)})", pieces) for number, pieces in enumerate(packed, start=1)]


def load_service(url: str) -> Apprise:
    """What apprise knows behind ``url``. ValueError, without the address, where it knows nothing."""
    import apprise
    from apprise.plugins import N_MGR

    scheme = url.partition("://")[0].lower()
    if scheme not in N_MGR:
        raise ValueError(f"apprise knows no service {scheme}://; {_SERVICES} lists them")
    # Without apprise's own name and pictures, which would stand beside each message.
    asset = apprise.AppriseAsset(app_id="Warta Pengadaan", image_url_mask="", image_url_logo="", async_mode=False)
    plugin = apprise.Apprise.instantiate(url, asset=asset)  # not add(url), which takes a list of addresses apart
    if plugin is None:
        raise ValueError(f"apprise cannot use this {scheme}:// address; {_SERVICES} shows its parts")
    return apprise.Apprise(plugin, asset=asset)


def post(service: Apprise, letter: Letter) -> Iterator[int]:
    """After each message that was delivered, how many pieces of ``letter`` are; ends with the first that was not."""
    (plugin,) = service.services
    titled = int(plugin.title_maxlen) > 0
    sent = 0 if titled else -1  # without titles, the first piece is the title
    for title, pieces in render_messages(letter, int(plugin.body_maxlen), titled=titled):
        if not _post_message(service, plugin, title[: plugin.title_maxlen], pieces):
            return
        sent += len(pieces)
        yield sent


def _post_message(service: Apprise, plugin: NotifyBase, title: str, pieces: Sequence[Piece]) -> bool:
    from apprise import NotifyFormat
    from apprise.conversion import convert_between

    form, known = plugin.resolve_format(None), plugin.notify_format
    if form is NotifyFormat.TEXT and isinstance(known, tuple) and NotifyFormat.HTML not in known:
        form = NotifyFormat.MARKDOWN  # Discord and its like read any text as Markdown: so it is escaped
    html = form is not NotifyFormat.TEXT
    body = convert_between(NotifyFormat.HTML, form, render_html(pieces)) if html else render_text(pieces)  # type: ignore[no-untyped-call]
    return bool(service.notify(body=body, title=title, body_format=form))


def hide(text: str, url: str) -> str:
    """``text`` without whatever of it stands in ``url`` behind the scheme."""
    secret = url.partition("://")[2]
    parts = {part for form in (secret, unquote(secret)) for part in re.split(r"[/:@?&=,#%+\s]", form)}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _LEAST_SECRET:
            text = text.replace(part, "…")
    return text


class _Ear(logging.Handler):
    """apprise says in its log alone why something failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = "apprise gives no reason"

    def emit(self, record: logging.LogRecord) -> None:
        self.said = " ".join(record.getMessage().split())


def main() -> None:
    """Reads an address and a letter from its input. Writes, a line of JSON each, how many pieces are delivered after
    each message, and at last, where not all were, why. Without pieces it only looks at the address."""
    asked, answers = json.load(sys.stdin), sys.stdout
    sys.stdout = sys.stderr  # nothing that a library prints is taken for an answer
    ear = _Ear()
    logging.getLogger("apprise").addHandler(ear)
    logging.getLogger("apprise").propagate = False
    try:
        service = load_service(asked["url"])
    except ValueError as error:
        _say(answers, unusable=str(error))
        return
    sent, letter = 0, asked["letter"]
    for sent in post(service, letter) if letter["pieces"] else ():
        _say(answers, sent=sent)
    if sent < len(letter["pieces"]):
        _say(answers, why=hide(ear.said, asked["url"]))


def _say(answers: IO[str], **told: object) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
