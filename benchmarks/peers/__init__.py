"""What is measured beside us: other programs, in an environment of their own where they are not in ours (`make bench`
makes it from requirements.lock)."""

from __future__ import annotations

from pathlib import Path

ENVIRONMENT = Path(__file__).parents[2] / ".venv-peers"


class PeersMissing(RuntimeError):
    """The peers' environment is not there."""


def find_python() -> str:
    """The Python that the peers run in. PeersMissing where there is none."""
    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        raise PeersMissing(f"{ENVIRONMENT.name} is missing, in which the peers stand: make bench makes it")
    return str(python)
