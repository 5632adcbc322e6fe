"""Values that no source should tell, in every family's own answers: one such row must not cost the run its others."""

from __future__ import annotations

import json
import logging
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregator.database import open_database
from aggregator.models import Milestone, Money
from aggregator.repository import Repository
from demo.messages import Request, Response, StandIn
from demo.satudata import TOKEN, UUID
from spiders.crawl import Order, crawl
from spiders.keeping import find_unkeepable
from spiders.reading import ShapeError, parse_json, strictly
from spiders.wordpress import parse_posts
from tests.feed_samples import TENDER
from tests.hostile import listening, ok
from tests.road import ALL, NOW, WIB, SourceRoad, make_config
from tests.test_replay_families import FAMILIES

RAW = "\x00raw:"  # stands for a number as it is written, which json.dumps could not write itself
HOSTILE: list[Any] = [
    f"{RAW}1e999999999",
    f"{RAW}-1e40",
    f"{RAW}1e-999999",
    f"{RAW}{'9' * 60}",
    f"{RAW}{'9' * 4200}",
    f"{RAW}0.{'3' * 3000}",
    f"{RAW}-5",
    5,
    True,
    None,
    [],
    {},
    [[[]]],
    "",
    " ",
    "\ud83d",
    "a\u0000b",
    "\u202egro.live\u202c \u2066",
    "٣٣٣",
    "²",
    "0000-00-00",
    "0001-01-01T00:00:00+14:00",
    "0000-01-01",
    "9999-12-31T23:59:59-14:00",
    "99999-01-01",
    "31 Februari 0000",
    "00-00-0000",
    "Januari 0000",
    "9" * 60,
    "Rp. " + "9" * 60,
    "1e999999999",
    "NaN",
    "Infinity",
    "../../../etc/passwd",
    "..%2f..%2fetc",
    "x" * 5000,
    "javascript:alert(1)",
    "http://[::1",
    "a\r\nSet-Cookie: b",
    "\x1b[2J",
    "<b>" * 400,
    "&" * 3000,
]


@dataclass
class Spoilt:
    """A stand-in, of whose answers some values are hostile; which, the dice say, and no two runs the same."""

    inner: StandIn
    dice: random.Random
    share: float = 0.1

    @property
    def prefix(self) -> str:
        return self.inner.prefix

    def advance(self, by: timedelta) -> None:
        self.inner.advance(by)

    def answer(self, request: Request) -> Response:
        response = self.inner.answer(request)
        try:
            told = json.loads(response.body)
        except ValueError:
            body = self._spoil_markup(response.body)
        else:
            text = json.dumps(self._spoil(told))
            body = re.sub(r'"\\u0000raw:([^"]*)"', r"\1", text).encode()
        return Response(body, response.page, response.status, response.type, response.headers)

    def _spoil(self, value: Any, name: str = "") -> Any:
        """Leaves only, so that most of it can still be found where it is due."""
        if isinstance(value, dict) and value:
            return {key: self._spoil(part, key) for key, part in value.items()}
        if isinstance(value, list) and value:
            return [self._spoil(part, name) for part in value]
        return self.dice.choice(HOSTILE) if self.dice.random() < self.share else value

    def _spoil_markup(self, body: bytes) -> bytes:
        def spoil(match: re.Match[str]) -> str:
            value = self.dice.choice(HOSTILE)
            spoilt = self.dice.random() < self.share / 2 and match[1].strip() and isinstance(value, str)
            return f">{value.removeprefix(RAW)}<" if spoilt else match[0]

        try:
            text = body.decode()
        except UnicodeDecodeError:
            return body
        return re.sub(r">([^<>]*)<", spoil, text).encode("utf-8", "surrogatepass")


Road = SourceRoad[Any]


@pytest.fixture
def road(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Road]:
    monkeypatch.delenv("WARTA_DATABASE_URL", raising=False)
    monkeypatch.setenv("WARTA_TEST_UUID", UUID)
    monkeypatch.setenv("WARTA_TEST_TOKEN", TOKEN)
    family = FAMILIES[request.param]
    table = f'[[portal]]\nid = "source"\nfamily = "{family.name}"\nname = "Sumber"\nurl = "{{url}}{family.path}"\n'
    source = Spoilt(family.make(), random.Random(request.param))  # the same at every run
    with Road.open(source, f"{table}[portal.options]\n{family.options}", tmp_path) as road:
        yield road


@pytest.mark.parametrize("road", FAMILIES, indirect=True)
def test_hostile_values_end_no_run_and_poison_no_row(road: Road, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    for share in (0.02, 0.2):
        road.source.share = share
        run = road.crawl()
        broke = [told for told in run.reasons if "Error" in told or told.startswith("errors: ")]
        assert [told for told in broke if not told.endswith("requests failed")] == []
        for record in road.records().values():
            told = record.as_dict()
            assert json.loads(json.dumps(told, ensure_ascii=False).encode()) == told
            assert told["title"].strip()


# One by one -----------------------------------------------------------------------------------------------

UNKEEPABLE = {
    "a power": {"value": Money(Decimal("1e999999"))},
    "a negative power": {"budget": Money(Decimal("-1e40"))},
    "no number": {"value": Money(Decimal("NaN"))},
    "of a million digits": {"budget": Money(Decimal("1." + "3" * 1000))},
    "the first year": {"published": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))},
    "the last year": {"deadline": datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12)))},
    "a stage of the last year": {
        "milestones": (Milestone(title="x", starts=None, ends=datetime(9999, 12, 31, tzinfo=UTC)),)
    },
    "half an emoji": {"buyer": "Dinas \ud83d"},
    "a NUL": {"description": "a\x00b"},
    "too long": {"description": "x" * 2_000_000},
    "participants": {"participants": 10**4000},
}


@pytest.mark.parametrize("fields", UNKEEPABLE.values(), ids=[*UNKEEPABLE])
def test_what_cannot_be_kept_is_found(fields: dict[str, Any]) -> None:
    assert find_unkeepable(TENDER) is None
    assert find_unkeepable(replace(TENDER, description=r"it says \u0000 and \\u0000")) is None
    assert find_unkeepable(replace(TENDER, **fields))


def test_what_cannot_be_kept_costs_no_other_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARTA_DATABASE_URL", raising=False)
    releases = [
        {"ocid": f"o{n}", "id": "1", "date": "2026-11-01T00:00:00Z", "tag": ["tender"], "tender": {"title": f"Uji {n}"}}
        for n in range(3)
    ]
    releases[1]["tender"] |= {"tenderPeriod": {"endDate": "9998-12-31T23:59:59-14:00"}}  # type: ignore[operator]
    releases[2]["tender"] |= {"numberOfTenderers": 10**30}  # type: ignore[operator]
    body = json.dumps({"releases": releases}).encode()
    table = '[[portal]]\nid = "uji"\nfamily = "ocds"\nname = "Uji"\nurl = "{url}"\n[portal.options]\npaging = "file"\n'
    with listening({"/file": ok(body)}) as server:
        config = make_config(table, f"{server.url}/file", tmp_path)
        repository = Repository(open_database(config.database_url))
        [run] = crawl(config, config.portal, repository, Order(), now=NOW)
    assert (run.verdict, run.new) == ("partial", 2)
    assert [told for told in run.reasons if "left out: a number of participants that cannot be" in told]
    assert {record.tender.key for record in repository.find(ALL, NOW, WIB)} == {"o0", "o1"}


def test_a_release_that_breaks_its_reader_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARTA_DATABASE_URL", raising=False)
    releases: list[dict[str, Any]] = [
        {"ocid": f"o{n}", "id": "1", "date": "2026-11-01T00:00:00Z", "tag": ["tender"], "tender": {"title": f"Uji {n}"}}
        for n in range(3)
    ]
    releases[1] |= {"parties": [{"name": "Dinas", "roles": 5}]}
    releases[2] |= {"x": "DEEP"}
    body = json.dumps({"releases": releases}).replace('"DEEP"', '{"a":[' * 400 + "]}" * 400).encode()
    table = '[[portal]]\nid = "uji"\nfamily = "ocds"\nname = "Uji"\nurl = "{url}"\n[portal.options]\npaging = "file"\n'
    with listening({"/file": ok(body)}) as server:
        config = make_config(table, f"{server.url}/file", tmp_path)
        [run] = crawl(config, config.portal, Repository(open_database(config.database_url)), Order(), now=NOW)
    assert (run.verdict, run.new) == ("partial", 1)
    assert run.reasons == (
        "shape: o1: roles that are no list of codes (5)",
        "shape: o2: its releases that cannot be read: RecursionError",
    )


@pytest.mark.parametrize(
    "error", [OverflowError("x"), TypeError("x"), AttributeError("x"), KeyError("x"), RecursionError("x")]
)
def test_a_row_that_breaks_its_reader_is_of_a_wrong_shape(error: Exception) -> None:
    with pytest.raises(ShapeError, match="a row that cannot be read: "), strictly("a row"):
        raise error
    with pytest.raises(ShapeError, match="no name"), strictly("a row"):
        raise ShapeError("no name")


def test_a_number_nobody_could_reckon_with_stays_text() -> None:
    told = parse_json(b"[1e999999999, 1e-999999999, 1e99999999999999999999, 1.5, 12, " + b"9" * 5000 + b"]", "no JSON")
    assert told == ["1e999999999", "1e-999999999", "1e99999999999999999999", Decimal("1.5"), 12, "9" * 5000]


def test_half_an_emoji_hides_no_post() -> None:
    posts = [
        {"id": n, "link": f"https://a.example/{n}", "title": {"rendered": f"Judul {n} {emoji}"}, "content": None}
        for n, emoji in ((1, "\ud83d"), (2, "\ude00 dan \ud83d\ude00"), (3, "biasa"))
    ]
    read, wrong = parse_posts(json.dumps(posts).encode(), "https://a.example/", WIB)
    assert wrong == []
    assert [post.item.title for post in read] == ["Judul 1", "Judul 2 dan 😀", "Judul 3 biasa"]
