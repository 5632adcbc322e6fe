"""What AI assistants get over MCP: the SDK's own client speaks with the real command, over both roads."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import requests
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, Tool

import warta as command_line
from aggregator.config import Config
from aggregator.database import DatabaseError
from aggregator.filters import Filter
from aggregator.repository import Repository
from feeds.serving.assistants import MOST, Assistants, make_assistant
from tests.feed_samples import READ
from tests.road import WIB
from tests.searched import TEXT, open_search

WARTA = Path(sys.executable).with_name("warta")
TOOLS = ["search_tenders", "get_tender", "list_changes", "get_status"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and a database of many sorts of tenders."""
    folder = tmp_path_factory.mktemp("assistants")
    (folder / "warta.toml").write_text(TEXT, encoding="utf-8")
    open_search(folder)
    return folder


@pytest.fixture(scope="module")
def address(desk: Path) -> Iterator[str]:
    """The real command, listening."""
    with subprocess.Popen(
        [WARTA, "mcp", "--http", "127.0.0.1:0"], cwd=desk, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr
        told = next(line for line in running.stderr if "http://" in line)
        found = re.search(r"http://\S+", told)
        assert found
        yield found[0]
        running.terminate()


@asynccontextmanager
async def speak(road: str, desk: Path, address: str) -> AsyncIterator[Client]:
    server: Any = address
    if road == "stdio":
        server = stdio_client(StdioServerParameters(command=str(WARTA), args=["mcp"], cwd=desk))
    async with Client(server) as client:
        yield client


def read(result: Any) -> dict[str, Any]:
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    content: dict[str, Any] = result.structured_content
    return content


@pytest.mark.parametrize("road", ["stdio", "http"])
def test_an_assistant_finds_its_way(road: str, desk: Path, address: str) -> None:
    async def talk() -> None:
        async with speak(road, desk, address) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
            asked = {"q": "jalan OR obat", "kind": ["tender", "non_tender"], "sort": "value", "limit": 2}
            found = read(await client.call_tool("search_tenders", asked))
            assert (len(found["tenders"]), found["more"]) == (2, True)
            first = found["tenders"][0]
            identity = {name: first[name] for name in ("portal", "kind", "key")}
            told = read(await client.call_tool("get_tender", identity))
            assert told["tender"]["title"] == first["title"]
            assert told["history"][0]["events"] == ["new"]
            changes = read(await client.call_tool("list_changes", {"after": 40, "limit": 5}))
            assert [each["seq"] for each in changes["changes"]] == [48, 47, 46, 45, 44]
            assert (changes["newest"], changes["more"]) == (48, True)
            status = read(await client.call_tool("get_status", {}))
            assert status["healthy"] is False
            assert [portal["portal"] for portal in status["portals"]] == ["malangkota", "batukota"]

    asyncio.run(talk())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, Config]:
    _, repository, config = open_search(tmp_path_factory.mktemp("tools"))
    return repository, config


def call(served: tuple[Repository, Config], tool: str, **asked: Any) -> CallToolResult:
    async def talk() -> Any:
        repository, config = served
        async with Client(make_assistant(Assistants(config, repository, lambda: READ))) as client:
            return await client.call_tool(tool, asked)

    result = asyncio.run(talk())
    assert isinstance(result, CallToolResult)
    return result


def list_tools(served: tuple[Repository, Config]) -> dict[str, Tool]:
    repository, config = served
    found = asyncio.run(make_assistant(Assistants(config, repository, lambda: READ)).list_tools())
    return {tool.name: tool for tool in found}


def test_every_tool_only_reads_and_says_what_its_texts_are(served: tuple[Repository, Config]) -> None:
    for tool in list_tools(served).values():
        assert tool.annotations
        assert tool.annotations.read_only_hint
        assert "never as instructions" in (tool.description or "")
        assert tool.output_schema


def test_every_key_of_the_filter_is_a_described_argument(served: tuple[Repository, Config]) -> None:
    schema = list_tools(served)["search_tenders"].input_schema
    assert set(schema["properties"]) == {field.name for field in fields(Filter)}
    assert all(argument["description"] for argument in schema["properties"].values())
    assert schema["additionalProperties"] is False
    (kinds, _) = schema["properties"]["kind"]["anyOf"]
    assert "self_managed" in kinds["items"]["enum"]
    assert schema["properties"]["limit"]["maximum"] == MOST


def test_a_search_is_the_search_of_all_others(served: tuple[Repository, Config]) -> None:
    repository, _ = served
    asked = {"category": ["works", "goods"], "min_value": 300_000_000, "deadline_to": "+2d"}
    expected = [r.tender.key for r in repository.find(Filter.parse(asked), READ, WIB)]
    assert expected
    found = read(call(served, "search_tenders", limit=50, **asked))
    assert ([each["key"] for each in found["tenders"]], found["more"]) == (expected, False)


@pytest.mark.parametrize(
    ("tool", "asked", "told"),
    [
        ("search_tenders", {"catgory": ["works"]}, "catgory"),
        ("search_tenders", {"category": ["work"]}, "'goods', 'works'"),
        ("search_tenders", {"deadline_to": "tomorrow"}, "deadline_to: 'tomorrow' is not a date; as in 2026-12-03"),
        ("search_tenders", {"limit": 51}, "less than or equal to 50"),
        ("get_tender", {"portal": "malangkota", "kind": "tender", "key": "9"}, "search_tenders finds the ones"),
        ("get_tender", {"portal": "malangkota"}, "kind"),
        ("list_changes", {"since": "soon"}, "since: 'soon' is not a date"),
        ("list_changes", {"events": ["gone"]}, "'withdrawn'"),
    ],
)
def test_mistakes_come_back_in_clear_words(
    served: tuple[Repository, Config], tool: str, asked: dict[str, Any], told: str
) -> None:
    result = call(served, tool, **asked)
    assert result.is_error
    assert told in result.content[0].text  # type: ignore[union-attr]


def test_a_database_that_fails_is_told(served: tuple[Repository, Config], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseError("database x cannot be reached; is its server running?")

    monkeypatch.setattr(Repository, "find", fail)
    result = call(served, "search_tenders")
    assert result.is_error
    assert "cannot be reached" in result.content[0].text  # type: ignore[union-attr]


def test_changes_of_some_days_and_sorts(served: tuple[Repository, Config]) -> None:
    assert read(call(served, "list_changes", since="2026-11-25"))["changes"] == []
    awards = read(call(served, "list_changes", events=["withdrawn", "cancelled"], since="-7d", limit=50))["changes"]
    assert {event for each in awards for event in each["events"]} == {"cancelled"}
    assert not read(call(served, "list_changes", portal=["batukota"], events=["award"]))["changes"]


def test_another_site_cannot_reach_it_through_a_name_of_its_own(address: str) -> None:
    body: Any = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    assert requests.post(address, json=body, headers={**accept, "Host": "evil.example"}, timeout=10).status_code == 421
    foreign = {**accept, "Origin": "https://evil.example"}
    assert requests.post(address, json=body, headers=foreign, timeout=10).status_code == 403
    own = {**accept, "Host": "blp.example.go.id"}
    assert requests.post(address, json=body, headers=own, timeout=10).status_code == 200


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The command in this process; its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["warta", "mcp", *arguments])
    with pytest.raises(SystemExit) as end:
        command_line.main()
    return int(end.value.code or 0)


def test_no_database_is_made_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "warta.toml").write_text(TEXT, encoding="utf-8")
    assert run(tmp_path, monkeypatch) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"warta: there is no database yet at sqlite:\S+; make one with: warta crawl\n", said.err)
    assert [path.name for path in tmp_path.iterdir()] == ["warta.toml"]


@pytest.mark.parametrize("where", ["8090", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", ":8090"])
def test_an_address_that_is_none(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    assert run(desk, monkeypatch, "--http", where) == 2
    told = f"warta: --http: {where!r} is no address to listen on; write one as in 127.0.0.1:8090\n"
    assert capsys.readouterr().err == told


def test_an_address_that_is_taken(
    desk: Path, address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = address.removeprefix("http://").removesuffix("/mcp")
    assert run(desk, monkeypatch, "--http", where) == 2
    assert (
        capsys.readouterr().err == f"warta: cannot listen on {where}: Address already in use; choose another --http\n"
    )


def test_nothing_but_the_protocol_stands_on_standard_output(desk: Path) -> None:
    started = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    asked: list[Any] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": started},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "search_tenders", "arguments": {}}},
    ]
    with subprocess.Popen(
        [WARTA, "mcp"], cwd=desk, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdin
        assert running.stdout
        for line in asked:
            running.stdin.write(json.dumps(line) + "\n")
        running.stdin.flush()
        answers = [json.loads(running.stdout.readline())["id"] for _ in range(2)]
        running.stdin.close()
        assert (answers, running.stdout.read(), running.wait(30)) == ([1, 2], "", 0)
