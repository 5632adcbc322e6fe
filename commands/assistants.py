"""The verb that lets AI assistants look at what was gathered."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from aggregator.config import Config, load_config
from commands.asking import open_repository
from commands.serving import listen, serve_until_stopped
from commands.terminal import UsageMistake

_ADDRESS = re.compile(r"(?P<host>[^:\s]+):(?P<port>\d{1,5})", re.ASCII)


def mcp(
    context: typer.Context,
    http: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Listen there, for streamable HTTP at /mcp, instead of standard input."),
    ] = "",
) -> None:
    """Offers search, tenders, changes and status to AI assistants (MCP); they can read and nothing else.

    An assistant starts it by itself, and speaks with it over standard input and output.
    """
    address = _parse_address(http) if http else None
    config = load_config(context.obj)
    _check_database(config)
    from feeds.serving.assistants import Assistants, make_assistant, make_http_app

    server = make_assistant(Assistants(config, open_repository(config), lambda: datetime.now(UTC)))
    if address is None:
        server.run("stdio")
        return
    listener = listen(*address, option="--http")
    serve_until_stopped(make_http_app(server, config, address[0]), listener, "mcp")


def _parse_address(text: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise UsageMistake(f"--http: {text!r} is no address to listen on; write one as in 127.0.0.1:8090")
    return match["host"], int(match["port"])


def _check_database(config: Config) -> None:
    """Whoever only looks makes no database: an assistant started in the wrong folder would find nothing, for ever."""
    from aggregator.database import is_made, show_address

    if not is_made(config.database_url):
        raise UsageMistake(
            f"there is no database yet at {show_address(config.database_url)}; make one with: warta crawl"
        )
