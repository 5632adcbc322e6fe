"""The API: what it answers is what it describes, pages miss and repeat nothing, and mistakes are named."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy.engine import Engine
from starlette.applications import Starlette
from starlette.types import ASGIApp

from aggregator.config import Config, parse_config
from aggregator.database import DatabaseError, open_database
from aggregator.dictionary import TENDER_FIELDS_HELP
from aggregator.filters import FILTER_HELP, Filter, Sort
from aggregator.models import Reading, Sanction, Source
from aggregator.paging import Place, find_page
from aggregator.repository import Repository
from feeds.app import make_app
from feeds.query import render_query
from feeds.serving.api import DEFAULT_LIMIT, tell_release
from tests.feed_samples import READ, TENDER, make_record
from tests.road import WIB
from tests.searched import TEXT, Clock, filters, make_tenders, open_search
from tests.test_app import Answer, ask

ROOT = Path(__file__).parents[1]
CLOCK = Clock()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Starlette, Repository, Config]:
    return open_search(tmp_path_factory.mktemp("api"), CLOCK)


@pytest.fixture(scope="module")
def app(served: tuple[Starlette, Repository, Config]) -> ASGIApp:
    return served[0]


@pytest.fixture(scope="module")
def description(app: ASGIApp) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(ask(app, "/api/openapi.json").body)
    return described


def read(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def read_all(app: ASGIApp, path: str) -> list[dict[str, Any]]:
    """The tenders of all pages from ``path`` on."""
    found: list[dict[str, Any]] = []
    following: str | None = ""
    while following is not None:
        page = read(ask(app, urljoin(path, following)))
        found += page["tenders"]
        following = page["next"]
    return found


def check(description: dict[str, Any], schema: str, value: Any) -> None:
    wanted = {**description, "$ref": f"#/components/schemas/{schema}"}
    errors = OAS31Validator(wanted, format_checker=oas31_format_checker).iter_errors(value)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_the_description_is_valid_openapi(description: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(description).iter_errors()) == []
    names = {parameter["name"] for parameter in description["paths"]["/tenders"]["get"]["parameters"]}
    assert names == {*FILTER_HELP, "cursor"}


def test_the_dictionary_knows_every_field() -> None:
    record = make_record(replace(TENDER, sanctions=(Sanction(supplier="CV X"),)))
    record = replace(record, sources=(Source(portal="x", kind=TENDER.kind, key="1", url="", changed=READ),))
    assert list(TENDER_FIELDS_HELP) == list(record.as_dict())


def test_every_answer_is_as_it_is_described(app: ASGIApp, description: dict[str, Any]) -> None:
    for path, schema in (
        ("/api/tenders?limit=1000", "Tenders"),
        ("/api/tenders?portal=malangkota&limit=3", "Tenders"),
        ("/api/releases?limit=1000", "Releases"),
        ("/api/tenders/malangkota/tender/1000", "Tender"),
        ("/api/tenders/malangkota/tender/1000/releases", "History"),
    ):
        check(description, schema, read(ask(app, path)))
    for path in ("/api/tenders?sort=size", "/api/releases?after=x", "/api/releases?after=9999", "/api/nix"):
        answer = ask(app, path)
        assert str(answer.status) in {"400", "404", "410"}
        check(description, "Mistake", json.loads(answer.body))


def test_every_question_may_hear_that_it_is_asked_too_often(description: dict[str, Any]) -> None:
    """As the nginx in front answers; tests/test_nginx.py looks at its body."""
    for path in description["paths"].values():
        told = path["get"]["responses"]["429"]
        assert "Retry-After" in told["description"]
        assert told["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Mistake"}


def test_a_description_that_forgot_a_field_would_fail(description: dict[str, Any]) -> None:
    told = make_record(TENDER).as_dict()
    check(description, "Tender", json.loads(json.dumps(told)))
    with pytest.raises(AssertionError, match="unexpected"):
        check(description, "Tender", {**json.loads(json.dumps(told)), "size": 1})


@given(filters)
@settings(max_examples=60)
def test_all_pages_together_are_what_the_export_finds(
    served: tuple[Starlette, Repository, Config], wanted: Filter
) -> None:
    app, repository, config = served
    wanted = replace(wanted, limit=5)
    expected = repository.find(
        replace(wanted, limit=None), CLOCK.now, WIB, apart=len(wanted.portal) == 1, only={p.id for p in config.portal}
    )
    found = read_all(app, f"/api/tenders?{render_query(wanted)}")
    assert found == [json.loads(json.dumps(record.as_dict())) for record in expected]


@pytest.mark.parametrize("sort", Sort)
def test_pages_neither_miss_nor_repeat_while_others_come(engine: Engine, sort: Sort) -> None:
    repository = Repository(engine)
    tenders = [replace(tender, portal="malangkota") for tender in make_tenders(40)]
    repository.save([Reading(tender=tender) for tender in tenders[:30]], READ)
    wanted, place, found = Filter(sort=sort), None, []
    for number in range(100):
        page = find_page(engine, wanted, READ, WIB, limit=4, after=place)
        found += [record.tender.key for record, _ in page]
        if number < 10:  # somebody else writes meanwhile
            added = tenders[30 + number]
            later = READ + timedelta(minutes=number)
            repository.save([Reading(tender=replace(added, published=later, value=None))], later)
        if len(page) < 4:
            break
        place = page[-1][1]
    assert len(found) == len(set(found))
    assert {tender.key for tender in tenders[:30]} <= set(found)


def test_days_are_counted_from_the_first_page(served: tuple[Starlette, Repository, Config]) -> None:
    app, repository, _ = served
    wanted = Filter.parse({"deadline_to": "+1d", "sort": "deadline", "limit": 3})
    expected = [r.tender.key for r in repository.find(replace(wanted, limit=None), CLOCK.now, WIB)]
    first = read(ask(app, f"/api/tenders?{render_query(wanted)}"))
    CLOCK.move(days=1)
    rest = read_all(app, f"/api/tenders{first['next']}")
    CLOCK.move(days=-1)
    assert [each["key"] for each in first["tenders"] + rest] == expected


def test_one_tender_is_as_its_source_tells_it(served: tuple[Starlette, Repository, Config]) -> None:
    app, repository, _ = served
    told = read(ask(app, "/api/tenders/malangkota/tender/1000"))
    (record,) = repository.find(Filter(key=("1000",)), READ, WIB, apart=True)
    assert told == json.loads(json.dumps(record.as_dict()))
    history = read(ask(app, "/api/tenders/malangkota/tender/1000/releases"))["releases"]
    assert history == [tell_release(r) for r in repository.find_history("malangkota", TENDER.kind, "1000")]


@pytest.mark.parametrize(
    ("path", "status", "parameter"),
    [
        ("tenders?sort=size", 400, "sort"),
        ("tenders?limit=0", 400, "limit"),
        ("tenders?limit=1001", 400, "limit"),
        ("tenders?catgory=works", 400, "catgory"),
        ("tenders?page=2", 400, "page"),
        ("tenders?min_value=x", 400, "min_value"),
        ("tenders?cursor=x", 400, "cursor"),
        ("tenders?cursor=" + "W" * 3000, 400, "cursor"),
        ("tenders?cursor=WyJkZWFkbGluZSIsbnVsbCwxLG51bGxd", 400, "cursor"),  # of another order
        ("tenders?cursor=WyJwdWJsaXNoZWQiLG51bGwsMTAwMDAwMDAwMDAwMDAwMDAwMDAsbnVsbF0", 400, "cursor"),  # 10**19
        ("tenders?cursor=a&cursor=b", 400, "cursor"),
        ("tenders?q=" + "x" * 4001, 400, "query"),
        ("releases?after=-1", 400, "after"),
        ("releases?after=1.5", 400, "after"),
        ("releases?after=" + "9" * 19, 400, "after"),
        ("releases?after=1&after=2", 400, "after"),
        ("releases?after=1&at=yesterday", 400, "at"),
        ("releases?q=jalan", 400, "q"),
        ("releases?kind=nix", 400, "kind"),
        ("releases?after=9999", 410, "after"),
        ("releases?after=1&at=2026-01-01T00:00:00.000000Z", 410, "after"),
        ("tenders/malangkota/tender/9999", 404, None),
        ("tenders/nobody/tender/1000", 404, None),
        ("tenders/malangkota/nix/1000", 404, None),
        ("tenders/malangkota/tender/10%2000", 404, None),
        ("tenders/malangkota/tender/9999/releases", 404, None),
        ("tenders/malangkota/tender/1000?x=1", 400, "x"),
        ("tenders/", 404, None),
        ("nothing", 404, None),
        ("\nnothing", 404, None),
    ],
)
def test_mistakes_are_named(app: ASGIApp, path: str, status: int, parameter: str | None) -> None:
    answer = ask(app, f"/api/{path}")
    told = json.loads(answer.body)
    assert (answer.status, told["parameter"]) == (status, parameter)
    assert told["error"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ask(app, f"/api/{path}", "HEAD").body == b""


@given(st.text(st.characters(codec="utf-8", exclude_characters="#?"), max_size=40), st.text(max_size=40))
def test_nothing_breaks_the_api(served: tuple[Starlette, Repository, Config], path: str, query: str) -> None:
    query = query.encode("utf-8", "replace").decode("latin-1").encode("ascii", "replace").decode()
    assert ask(served[0], f"/api/{path}?{query}").status in {200, 308, 400, 404}
    assert ask(served[0], f"/api/tenders?cursor={query}").status in {200, 400}


def test_it_is_polled_for_next_to_nothing(app: ASGIApp) -> None:
    full = ask(app, "/api/releases?after=48", accept_encoding="gzip")
    assert full.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(full.body)) == {
        "last": 48,
        "more": False,
        "next": f"?after=48&at={(READ + timedelta(microseconds=47)):%Y-%m-%dT%H:%M:%S.%fZ}",
        "releases": [],
    }
    assert full.headers["cache-control"] == "public, max-age=60"
    assert full.headers["access-control-allow-origin"] == "*"
    again = ask(app, "/api/releases?after=48", accept_encoding="gzip", if_none_match=full.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    for path in ("releases", "tenders", "openapi.json", ""):
        got, head = ask(app, f"/api/{path}"), ask(app, f"/api/{path}", "HEAD")
        assert (head.status, head.headers, head.body) == (200, got.headers, b"")


def test_what_is_written_is_told_at_once(tmp_path: Path) -> None:
    app, repository, _ = open_search(tmp_path)
    assert read(ask(app, "/api/releases?after=48"))["releases"] == []
    repository.save([Reading(tender=replace(TENDER, portal="batukota"))], READ + timedelta(minutes=1))
    told = read(ask(app, "/api/releases?after=48"))
    assert ([release["portal"] for release in told["releases"]], told["last"], told["more"]) == (
        ["batukota"],
        49,
        False,
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_it_is_read_only(app: ASGIApp, method: str) -> None:
    for path in ("tenders", "releases", "openapi.json", "tenders/malangkota/tender/1000", "nothing", ""):
        answer = ask(app, f"/api/{path}", method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_portals_that_are_not_configured_are_not_told(served: tuple[Starlette, Repository, Config]) -> None:
    _, repository, config = served
    alone = config.model_copy(update={"portal": config.portal[:1]})
    app = make_app(alone, repository, now=lambda: CLOCK.now)
    assert {each["portal"] for each in read_all(app, "/api/tenders?limit=20")} == {"malangkota"}
    told = read(ask(app, "/api/releases?limit=1000"))
    assert {each["portal"] for each in told["releases"]} == {"malangkota"}
    assert told["last"] == 48
    assert ask(app, "/api/tenders/batukota/tender/1003").status == 404


def test_releases_of_some_portals_or_kinds(app: ASGIApp) -> None:
    told = read(ask(app, "/api/releases?portal=batukota&kind=plan&kind=tender&limit=2"))
    assert {(each["portal"], each["kind"]) for each in told["releases"]} <= {
        ("batukota", "plan"),
        ("batukota", "tender"),
    }
    assert told["next"].endswith("&portal=batukota&kind=plan&kind=tender&limit=2")
    assert read(ask(app, "/api/releases?portal=nobody"))["last"] == 48


def test_an_answer_has_an_end(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feeds.serving.api.MOST_BYTES", 5_000)
    whole = read_all(app, "/api/tenders?limit=1000&sort=value")
    monkeypatch.undo()
    assert whole == read_all(app, "/api/tenders?limit=999&sort=value")
    monkeypatch.setattr("feeds.serving.api.MOST_BYTES", 1)
    told = read(ask(app, "/api/releases?limit=7"))
    assert ([release["seq"] for release in told["releases"]], told["last"], told["more"]) == ([1], 1, True)
    assert len(read(ask(app, "/api/tenders?limit=47"))["tenders"]) == 1


def test_as_many_as_are_asked_for(app: ASGIApp) -> None:
    assert len(read(ask(app, "/api/tenders?limit=3"))["tenders"]) == 3
    assert DEFAULT_LIMIT > 48
    assert len(read(ask(app, "/api/tenders"))["tenders"]) == 48


def test_a_database_that_fails_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, repository, _ = open_search(tmp_path)

    def fail(*_: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(Repository, "find_state", fail)
    app = make_app(parse_config(TEXT, tmp_path / "warta.toml"), repository)
    answer = ask(app, "/api/tenders")
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert json.loads(answer.body)["parameter"] is None


def test_the_page_of_the_api(app: ASGIApp) -> None:
    moved = ask(app, "/api")
    assert (moved.status, moved.headers["location"]) == (308, "api/")
    page = ask(app, "/api/").body.decode()
    assert "Data untuk program" in page
    for address in re.findall(r'href="((?:tenders|releases|openapi)[^"]*)"', page):
        assert ask(app, f"/api/{address.replace('&amp;', '&')}").status == 200


def test_places_beyond_everything(engine: Engine) -> None:
    Repository(engine).save([Reading(tender=TENDER)], READ)
    for place in (Place(None, -(2**63)), Place(2**63 - 1, 2**63 - 1), Place(-(2**63), 0)):
        for sort in Sort:
            assert len(find_page(engine, Filter(sort=sort), READ, WIB, limit=2, after=place)) <= 1


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def served_address(tmp_path: Path) -> Iterator[str]:
    """A real server over the sample tenders, in a thread of its own."""
    import socket

    import uvicorn

    app, _, _ = open_search(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join()
    listener.close()


def test_what_the_docs_show_works(served_address: str, tmp_path: Path) -> None:
    shown = [line.removeprefix("$ ") for text in blocks("console") for line in text.splitlines() if line[:2] == "$ "]
    assert len(shown) >= 4
    for command in shown:
        assert command.startswith("curl ")
        told = command.replace("http://127.0.0.1:8080/", served_address).replace("10020728000", "1000")
        done = subprocess.run(["bash", "-ec", told], capture_output=True, text=True, cwd=tmp_path, timeout=30)
        assert done.returncode == 0, (command, done.stderr)
        assert '"error"' not in done.stdout, (command, done.stdout)


def test_the_follower_of_the_docs_keeps_everything(served_address: str, tmp_path: Path) -> None:
    (recipe,) = blocks("python")
    (tmp_path / "follow.py").write_text(recipe.replace("http://127.0.0.1:8080/", served_address), encoding="utf-8")
    for _ in range(2):
        subprocess.run([sys.executable, "follow.py"], cwd=tmp_path, check=True, timeout=60)
    kept = json.loads((tmp_path / "tenders.json").read_text(encoding="utf-8"))
    repository = Repository(open_database(f"sqlite:///{tmp_path}/var/warta.db"))
    found = [record.as_dict() for record in repository.find(Filter(), READ, WIB, apart=True)]
    expected = {
        f"{each['portal']}/{each['kind']}/{each['key']}": {k: v for k, v in each.items() if k != "last_seen"}
        for each in json.loads(json.dumps(found))
    }
    assert kept["tenders"] == expected
