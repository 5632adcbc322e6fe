"""Channels: each entry once, together, silent at first, never a flood, retried; whatever one does stops no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from aggregator.config import ConfigError, parse_config
from aggregator.database import open_database
from aggregator.models import Reading, Status, Sweep, Tender
from aggregator.notices import CLAIM_LASTS, claim_entries
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from feeds.entries import make_id
from feeds.notifying import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    SEND_LASTS,
    Answer,
    Outcome,
    check_channels,
    find_pause,
    notify,
    send_apart,
    try_channel,
)
from feeds.posting import Letter, render_text
from tests.conftest import CONFIG
from tests.feed_samples import READ, TENDER
from tests.receivers import Mailbox, Webhook, serving

CHANNEL = '[[notify]]\nid = "{id}"\nurl = "{url}"\n{what}\n'
OPEN_FEED = 'feed = "semua"'
FAILURES = 'on = "failures"'


class Desk:
    """A bureau with channels; ``letters`` are what its sender was given, by the channel's address."""

    def __init__(self, engine: Engine, *tables: str) -> None:
        self.config = parse_config(CONFIG + "".join(tables), Path("warta.toml"))
        self.repository = Repository(engine)
        self.letters: list[tuple[str, Letter]] = []
        self.why: dict[str, str] = {}
        self.now = READ

    def add(self, *keys: int, minutes: float = 5, **fields: Any) -> None:
        self.now += timedelta(minutes=minutes)
        made = [Reading(tender=make_tender(key, **fields)) for key in keys]
        self.repository.save(made, self.now)

    def fail(self, verdict: Verdict = Verdict.FAILED, *reasons: str) -> None:
        self.now += timedelta(minutes=15)
        run = Run(portal="malangkota", sweep=Sweep.OPEN, started=self.now, finished=self.now, verdict=verdict)
        self.repository.save_run(replace(run, reasons=reasons))

    def send(self, url: str, letter: Letter, patience: float) -> Answer:
        assert 0 < patience <= SEND_LASTS
        if why := self.why.get(url):
            return Answer(0, why)
        self.letters.append((url, letter))
        return Answer(len(letter["pieces"]))

    def notify(self, minutes: float = 1) -> list[Outcome]:
        self.now += timedelta(minutes=minutes)
        return notify(self.config, self.repository, self.now, send=self.send)

    def told(self) -> list[str]:
        """The titles of all that was told since it was asked last."""
        titles = [piece["title"] for _, letter in self.letters for piece in letter["pieces"]]
        self.letters.clear()
        return titles


def make_tender(key: int, **fields: Any) -> Tender:
    url = f"https://spse.example.go.id/malangkota/lelang/{key}/pengumumanlelang"
    return replace(TENDER, key=str(key), title=f"Paket {key}", url=url, **fields)


def make_channel(url: str = "json://x", what: str = OPEN_FEED, id: str = "telegram", more: str = "") -> str:
    return CHANNEL.format(id=id, url=url, what=f"{what}\n{more}")


@pytest.fixture
def desk(engine: Engine) -> Desk:
    """With one channel of all open packages, which knows the first one: on both databases."""
    made = Desk(engine, make_channel())
    made.add(1)
    assert made.notify() == [Outcome(channel="telegram", told=1, is_new=True)]
    assert made.told() == []
    return made


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Engine]:
    """A database, where SQL is not what is tested."""
    opened = open_database(f"sqlite:///{tmp_path}/warta.db")
    yield opened
    opened.dispose()


def test_each_entry_is_told_once(desk: Desk) -> None:
    desk.add(2, 3)
    assert desk.notify() == [Outcome(channel="telegram", told=2)]
    ((url, letter),) = desk.letters
    assert url == "json://x"
    assert letter["title"] == "Semua paket terbuka: 2 paket baru"
    assert sorted(desk.told()) == ["Paket 2", "Paket 3"]
    assert desk.notify() == [Outcome(channel="telegram")]
    desk.add(2, stage="Evaluasi")
    assert desk.notify() == [Outcome(channel="telegram")]
    assert desk.told() == []


def test_an_entry_that_comes_back_is_not_told_again(desk: Desk) -> None:
    desk.add(1, 2)
    desk.notify()
    assert desk.told() == ["Paket 2"]
    desk.add(1, 2, status=Status.CANCELLED)
    desk.notify()
    desk.add(1, 2, status=Status.ACTIVE)
    desk.notify()
    assert desk.told() == []


def test_what_enters_by_a_change_is_told(desk: Desk) -> None:
    desk.add(2, status=Status.PLANNED)
    desk.notify()
    assert desk.told() == []
    desk.add(2, minutes=60 * 24 * 30, status=Status.ACTIVE, deadline=READ + timedelta(days=40))
    desk.notify()
    assert desk.told() == ["Paket 2"]


def test_what_closed_before_it_could_be_told_is_passed_over(engine: Engine) -> None:
    """A first full sweep finds packages that their portal calls open until the winner is known."""
    made = Desk(engine, make_channel(), make_channel("json://y", 'feed = "perubahan"', "changes"))
    made.add(1)
    made.notify()
    made.add(2, deadline=READ - timedelta(days=3))
    made.add(3, deadline=READ + timedelta(days=3))
    made.notify()
    assert [url for url, _ in made.letters] == ["json://x", "json://y"]  # what changes is news whenever it does
    made.letters.pop()
    assert made.told() == ["Paket 3"]
    made.add(2, deadline=READ + timedelta(days=5))  # it is open again
    made.notify()
    made.letters.pop()
    assert made.told() == ["Paket 2"]


def test_a_feed_that_asks_for_deadlines_is_told_of_those(engine: Engine) -> None:
    closed = '[[feed]]\nid = "baru-tutup"\ntitle = "Baru tutup"\nfilter = { deadline_to = "-0d" }\n'
    made = Desk(engine, closed, make_channel(what='feed = "baru-tutup"'))
    made.add(1, deadline=READ - timedelta(days=3))
    made.notify()
    made.add(2, deadline=READ - timedelta(days=2))
    made.notify()
    assert made.told() == ["Paket 2"]


def test_a_flood_is_told_in_short(desk: Desk) -> None:
    desk.add(*range(100, 150), minutes=60 * 24 * 7)
    assert desk.notify() == [Outcome(channel="telegram", told=50)]
    ((_, letter),) = desk.letters
    assert len(letter["pieces"]) == 11
    assert letter["pieces"][-1] == {
        "title": "dan 40 paket lain",
        "lines": (),
        "url": "https://blp.example.go.id/umpan/feeds/semua.html",
    }
    desk.told()
    assert desk.notify() == [Outcome(channel="telegram")]


def test_what_the_feed_was_too_small_for_is_no_news_when_others_leave(desk: Desk) -> None:
    small = parse_config(
        CONFIG
        + '[[feed]]\nid = "kecil"\ntitle = "x"\nfilter = { status = "active", limit = 3 }\n'
        + make_channel(what='feed = "kecil"', id="kecil"),
        Path("warta.toml"),
    )
    desk.config = small
    desk.add(*range(2, 9))
    desk.notify()
    desk.add(8, 7, 6, status=Status.CANCELLED)
    assert desk.notify() == [Outcome(channel="kecil")]


def test_a_failed_send_is_tried_again_with_pauses(desk: Desk) -> None:
    desk.why["json://x"] = "error=500"
    desk.add(2)
    (outcome,) = desk.notify()
    assert (outcome.told, outcome.left, outcome.why) == (0, 1, "error=500")
    (outcome,) = desk.notify(minutes=1)
    assert outcome.why.startswith("it failed, 1 in a row; tried again after ")
    desk.add(3)  # queues up
    desk.notify(minutes=5)
    del desk.why["json://x"]
    (outcome,) = desk.notify(minutes=6)
    assert outcome.why.startswith("it failed, 2 in a row")
    assert desk.notify(minutes=5) == [Outcome(channel="telegram", told=2)]
    assert sorted(desk.told()) == ["Paket 2", "Paket 3"]
    desk.why["json://x"] = "error=500"
    desk.add(4)
    desk.notify()
    del desk.why["json://x"]
    assert desk.notify(minutes=FIRST_PAUSE.total_seconds() / 60) == [Outcome(channel="telegram", told=1)]


def test_what_waits_for_days_is_told_later(desk: Desk) -> None:
    desk.why["json://x"] = "error=500"
    desk.add(2)
    for _ in range(20):
        desk.notify(minutes=360)
    del desk.why["json://x"]
    assert desk.notify(minutes=360) == [Outcome(channel="telegram", told=1)]


def test_pauses_grow_to_a_bound() -> None:
    assert [find_pause(n) for n in (1, 2, 3)] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert find_pause(10_000) == LONGEST_PAUSE


def test_a_clock_that_jumped_loses_nothing(desk: Desk) -> None:
    desk.why["json://x"] = "error=500"
    right = desk.now
    desk.add(2, minutes=60 * 24 * 300)
    desk.notify()
    desk.why.clear()
    desk.now = right  # the clock was set right
    desk.add(3)
    desk.notify()
    assert sorted(desk.told()) == ["Paket 2", "Paket 3"]
    desk.now = right + timedelta(days=300)
    desk.notify()
    desk.now = right
    desk.add(4)
    desk.notify()
    assert desk.told() == ["Paket 4"]


def test_half_a_letter_is_not_told_again(bureau: Engine) -> None:
    desk = Desk(bureau, make_channel())
    desk.notify()
    desk.add(1, 2, 3)
    desk.now += timedelta(minutes=1)
    sent: list[str] = []

    def send_one(_url: str, letter: Letter, _patience: float) -> Answer:
        sent.extend(piece["title"] for piece in letter["pieces"][:1])
        return Answer(1, "error=502")

    (outcome,) = notify(desk.config, desk.repository, desk.now, send=send_one)
    assert (outcome.told, outcome.left) == (1, 2)
    desk.notify(minutes=10)
    assert sorted([*sent, *desk.told()]) == ["Paket 1", "Paket 2", "Paket 3"]


def test_two_at_once_tell_it_once(desk: Desk) -> None:
    desk.add(*range(2, 8))
    desk.now += timedelta(minutes=1)
    both = threading.Barrier(2)
    outcomes: list[Outcome] = []

    def run() -> None:
        both.wait(10)
        outcomes.extend(notify(desk.config, desk.repository, desk.now, send=desk.send))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.told for outcome in outcomes) == [0, 6]
    assert len(desk.told()) == 6


def test_what_a_killed_one_was_telling_is_told_after_a_while(desk: Desk) -> None:
    desk.add(2)
    entry = make_id(desk.config.publisher, "malangkota/tender/2")
    assert claim_entries(desk.repository.engine, "telegram", [entry], [], desk.now)
    assert desk.notify() == [Outcome(channel="telegram")]
    assert desk.notify(minutes=CLAIM_LASTS.total_seconds() / 60) == [Outcome(channel="telegram", told=1)]
    assert desk.told() == ["Paket 2"]


def test_a_broken_off_send_gives_back_what_it_claimed(desk: Desk) -> None:
    desk.add(2)
    desk.now += timedelta(minutes=1)

    def stop(*_: object) -> Answer:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        notify(desk.config, desk.repository, desk.now, send=stop)
    assert desk.notify() == [Outcome(channel="telegram", told=1)]


def test_a_channel_that_tells_of_something_else_starts_anew(desk: Desk) -> None:
    desk.config = parse_config(CONFIG + make_channel(what='feed = "perubahan"'), Path("warta.toml"))
    (outcome,) = desk.notify()
    assert outcome.is_new
    desk.add(1, stage="Evaluasi")
    desk.notify()
    assert desk.told() == ["Masuk tahap Evaluasi: Paket 1"]


def test_old_news_is_none(desk: Desk) -> None:
    desk.add(2, status=Status.PLANNED)
    desk.add(2, minutes=60 * 24 * 370, status=Status.ACTIVE)
    desk.notify()
    assert desk.told() == []


def test_portals_that_fail_and_are_back(bureau: Engine) -> None:
    desk = Desk(bureau, make_channel(what=FAILURES))
    desk.fail(Verdict.OK)
    desk.notify()
    for _ in range(5):
        desk.fail(Verdict.FAILED, "errors: 12 of 40 requests failed")
        desk.notify()
    ((_, letter),) = desk.letters
    (piece,) = letter["pieces"]
    assert letter["title"] == "Gangguan portal: 1 kabar"
    assert piece["title"] == "Gagal: LPSE Kota Malang"
    assert piece["lines"][1] == "errors: 12 of 40 requests failed"
    assert piece["lines"][2].startswith("Buka portal di peramban.")
    desk.told()
    desk.fail(Verdict.OK)
    desk.notify()
    assert desk.told() == ["Pulih: LPSE Kota Malang"]


def test_one_channel_stops_no_other(bureau: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARTA_NONE", raising=False)
    desk = Desk(
        bureau,
        make_channel("env:WARTA_NONE", id="none"),
        make_channel("json://a", id="down"),
        make_channel("json://b", what='feed = "konstruksi"', id="mistaken"),
        make_channel("json://c", id="up"),
    )
    desk.notify()
    desk.why["json://a"] = "error=500"
    desk.add(1)
    none, down, mistaken, up = desk.notify()
    assert none.why == "url: the environment has no WARTA_NONE; set it to the channel's address"
    assert down.why == "error=500"
    assert mistaken.why.startswith("feed: there is no 'konstruksi', but there are: semua, perubahan, ")
    assert up == Outcome(channel="up", told=1)
    monkeypatch.setenv("WARTA_NONE", "json://d")
    assert desk.notify()[0] == Outcome(channel="none", told=1)


def test_all_together_take_a_minute_at_most(bureau: Engine) -> None:
    desk = Desk(bureau, *(make_channel(f"json://{number}", id=f"c{number}") for number in range(6)))
    desk.notify()
    desk.add(1)
    times = iter(range(0, 1000, 16))

    def fail(_url: str, _letter: Letter, patience: float) -> Answer:
        return Answer(0, f"no answer within {patience:.0f} s")

    outcomes = notify(desk.config, desk.repository, desk.now, send=fail, clock=lambda: float(next(times)))
    assert [outcome.why for outcome in outcomes] == [
        *["no answer within 20 s"] * 2,
        "no answer within 12 s",
        *["no time is left; they are told the next time"] * 3,
    ]


def test_a_channel_in_another_language(bureau: Engine) -> None:
    desk = Desk(bureau, make_channel(more='language = "en"'))
    desk.notify()
    desk.add(1)
    desk.notify()
    ((_, letter),) = desk.letters
    assert letter["title"].endswith(": 1 new package")
    assert "bids close Thursday 3 December 2026, 14:00" in letter["pieces"][0]["lines"][0]


def test_a_database_that_fails_is_told(bureau: Engine, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(bureau, make_channel())
    with bureau.begin() as connection:
        connection.exec_driver_sql("DROP TABLE channels")
    (outcome,) = desk.notify()
    assert "no such table: channels" in outcome.why
    assert caplog.records[-1].levelno == logging.WARNING


# Through apprise, to receivers on loopback ------------------------------------------------------------------


@pytest.fixture(scope="module")
def webhook() -> Any:
    server = Webhook()
    with serving(server):
        yield server


@pytest.fixture(autouse=True)
def empty_webhook(webhook: Webhook) -> None:
    webhook.bodies.clear()
    webhook.status = 200
    webhook.free.set()


LETTER: Letter = {
    "title": "Semua: 2 paket baru",
    "pieces": [
        {
            "title": "Jalan & <b>jembatan</b>",
            "lines": ["HPS Rp5,9 miliar, DPUPRPKP."],
            "url": "https://x.go.id/?a=1&b=2",
        },
        {"title": "Drainase", "lines": [], "url": "https://x.go.id/2"},
    ],
}


@pytest.mark.parametrize("scheme", ["json", "xml", "form"])
def test_webhooks(webhook: Webhook, scheme: str) -> None:
    assert send_apart(f"{scheme}://{webhook.place}/hook", LETTER, SEND_LASTS) == Answer(2)
    (body,) = webhook.bodies
    assert b"Drainase" in body


def test_a_webhook_gets_plain_text_and_html_on_request(webhook: Webhook) -> None:
    send_apart(f"json://{webhook.place}/", LETTER, SEND_LASTS)
    send_apart(f"json://{webhook.place}/?format=html", LETTER, SEND_LASTS)
    text, html = webhook.messages
    assert text["title"] == html["title"] == LETTER["title"]
    assert text["message"] == render_text(LETTER["pieces"])
    assert (
        '<a href="https://x.go.id/?a=1&amp;b=2"><b>Jalan &amp; &lt;b&gt;jembatan&lt;/b&gt;</b></a>' in html["message"]
    )


def test_e_mail() -> None:
    mailbox = Mailbox()
    with serving(mailbox):
        url = f"mailto://127.0.0.1:{mailbox.server_address[1]}?from=warta@example.go.id&to=pembaca@example.org"
        assert send_apart(url, LETTER, SEND_LASTS) == Answer(2)
    (letter,) = mailbox.letters
    assert letter["Subject"] == LETTER["title"]
    assert letter["To"] == "pembaca@example.org"
    body = letter.get_body(("html",))
    assert body is not None
    assert "&lt;b&gt;jembatan" in body.get_content()


def test_a_refusal_is_told_without_the_address(webhook: Webhook) -> None:
    webhook.status = 401
    answer = send_apart(f"json://warta:s3cretpass@{webhook.place}/tokentoken", LETTER, SEND_LASTS)
    assert answer.sent == 0
    assert "error=401" in answer.why
    assert "127.0.0.1" not in answer.why


def test_a_receiver_that_hangs_is_given_up(webhook: Webhook) -> None:
    webhook.free.clear()
    answer = send_apart(f"json://{webhook.place}/?rto=60", LETTER, 1.5)
    assert answer == Answer(0, "no answer within 2 s")
    webhook.free.set()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nosuch://tokentoken/x", "url: apprise knows no service nosuch://; https://"),
        ("tgram://tokentoken", "url: apprise cannot use this tgram:// address; https://"),
    ],
)
def test_an_address_that_apprise_cannot_use(bureau: Engine, url: str, why: str) -> None:
    desk = Desk(bureau, make_channel(url))
    with pytest.raises(ConfigError) as caught:
        check_channels(desk.config, desk.repository, desk.now)
    assert str(caught.value).startswith(f"[[notify]] telegram: {why}")
    assert "tokentoken" not in str(caught.value)
    desk.notify()
    desk.add(1)
    (outcome,) = notify(desk.config, desk.repository, desk.now + timedelta(minutes=1))
    assert outcome.why.startswith(why)


def test_a_test_message_ends_the_pause(webhook: Webhook, bureau: Engine) -> None:
    desk = Desk(bureau, make_channel(f"json://{webhook.place}/"))
    desk.notify()
    desk.add(1)
    webhook.status = 500
    assert "error=500" in notify(desk.config, desk.repository, desk.now)[0].why
    assert "error=500" in try_channel(desk.config, desk.repository, desk.now, "telegram")
    webhook.status = 200
    assert notify(desk.config, desk.repository, desk.now)[0].why.startswith("it failed, 1 in a row")
    assert try_channel(desk.config, desk.repository, desk.now, "telegram") == ""
    assert webhook.messages[-1]["title"] == "Pesan uji"
    assert notify(desk.config, desk.repository, desk.now) == [Outcome(channel="telegram", told=1)]
    with pytest.raises(ConfigError, match=r"no \[\[notify\]\] 'mail' in the configuration; it has: telegram"):
        try_channel(desk.config, desk.repository, desk.now, "mail")


def test_no_secret_is_logged(webhook: Webhook, bureau: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"json://warta:s3cretpass@{webhook.place}/t0kent0ken?+X-Key=h3aderkey"
    desk = Desk(bureau, make_channel(url))
    notify(desk.config, desk.repository, desk.now)
    desk.add(1)
    webhook.status = 500
    outcomes: Sequence[Outcome] = notify(desk.config, desk.repository, desk.now)
    assert outcomes[0].why
    told = "\n".join([caplog.text, repr(outcomes), repr(desk.config), str(desk.config)])
    assert "error=500" in told
    for secret in ("s3cretpass", "t0kent0ken", "h3aderkey"):
        assert secret not in told
    assert len(webhook.bodies) == 1


def test_the_address_may_stand_in_the_environment(
    webhook: Webhook, bureau: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(bureau, make_channel("env:WARTA_HOOK"))
    monkeypatch.setenv("WARTA_HOOK", f"json://{webhook.place}/")
    notify(desk.config, desk.repository, desk.now)
    desk.add(1)
    assert notify(desk.config, desk.repository, desk.now) == [Outcome(channel="telegram", told=1)]
    assert "Paket 1" in webhook.messages[0]["message"]
