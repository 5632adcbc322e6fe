"""Verbs that hand out what was gathered as a tree of files or a server."""

from __future__ import annotations

import errno
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aggregator.config import load_config
from commands.asking import open_repository
from commands.terminal import UsageMistake, err

if TYPE_CHECKING:
    from starlette.applications import Starlette


def publish(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Instead of the configured folder.")] = None,
) -> None:
    """Writes the feeds and pages that changed; leaves every other file untouched."""
    from feeds.publish import publish as publish_tree

    config = load_config(context.obj)
    done = publish_tree(config, open_repository(config), datetime.now(UTC), output)
    err.print(
        f"{output or config.public_folder}: {done.written} written, {done.unchanged} unchanged, {done.removed} removed"
    )


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8080,
) -> None:
    """Serves the published tree and searches until Ctrl-C."""
    from feeds.app import make_app

    config = load_config(context.obj)
    changed = datetime.fromtimestamp(context.obj.stat().st_mtime, UTC)
    serve_until_stopped(make_app(config, open_repository(config), since=changed), listen(host, port))


def listen(host: str, port: int, option: str = "") -> socket.socket:
    """A socket there. UsageMistake names the ``option`` that says where, or which of --host and --port is wrong."""
    try:
        return socket.create_server((host, port))
    except (OSError, UnicodeError) as error:  # UnicodeError: of a name that can be none
        code = getattr(error, "errno", None)
        # Of a name that nobody knows errno is negative, and Python adds what it was about.
        said = getattr(error, "strerror", "no name of a machine").partition(" (while")[0]
        why = os.strerror(code) if code and code > 0 else said
        option = option or ("--port" if code in {errno.EADDRINUSE, errno.EACCES} else "--host")
        raise UsageMistake(f"cannot listen on {host}:{port}: {why}; choose another {option}") from error


def serve_until_stopped(application: Starlette, listener: socket.socket, path: str = "") -> None:
    from feeds.serving.running import run_server

    host, port = listener.getsockname()[:2]
    err.print(f"Open http://{host}:{port}/{path} (Ctrl-C ends it)")
    run_server(application, listener)
