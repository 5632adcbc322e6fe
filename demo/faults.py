"""What goes wrong on demand: on the wire by the server, in a family's own words by its stand-in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from demo.messages import Request, Response
from demo.names import make_dice

# Faults that the server acts out for any stand-in. Those of SPSE are demo.spse.FAULTS.
WIRE_FAULTS = {
    "error": "500, 32 kB",
    "too_many": "429 with Retry-After",
    "unavailable": "503 with Retry-After",
    "challenge": "403, Cloudflare's Just a moment…",
    "truncated": "half of the body that Content-Length announces, then the connection ends",
    "slow": "the body takes `seconds`",
    "hang_up": "the connection ends without an answer",
}


@dataclass
class Fault:
    """One standing order. ``match`` is a regular expression searched in the address (path and query).

    ``times`` requests are hit (None: all), after ``skip`` were let through, each with ``chance`` of one.
    ``seconds``: of Retry-After, or how long a slow body takes.
    """

    name: str
    match: str = ""
    times: int | None = None
    skip: int = 0
    chance: float = 1.0
    seconds: float = 1.0
    hits: int = 0


class Faults:
    """The faults in force, oldest first. ``add`` and ``clear`` may be called while the server runs."""

    def __init__(self, seed: int = 1) -> None:
        self._orders: list[Fault] = []
        self._dice = make_dice("faults", seed)

    def add(
        self,
        name: str,
        match: str = "",
        *,
        times: int | None = None,
        skip: int = 0,
        chance: float = 1.0,
        seconds: float = 1.0,
    ) -> Fault:
        """Orders a fault; the Fault returned counts its ``hits``."""
        fault = Fault(name, match, times, skip, chance, seconds)
        self._orders.append(fault)
        return fault

    def clear(self) -> None:
        self._orders.clear()

    def strike(self, request: Request) -> dict[str, Fault]:
        """The faults that hit this request, by name; counts them."""
        found: dict[str, Fault] = {}
        for fault in self._orders:
            if fault.times is not None and fault.hits >= fault.times:
                continue
            # nosemgrep: patterns-are-ours # of whoever orders the fault
            if not re.search(fault.match, request.address):
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif fault.chance >= 1 or self._dice.random() < fault.chance:
                fault.hits += 1
                found[fault.name] = fault
        return found


def wire_response(fault: Fault) -> Response | None:
    """The whole answer that a wire fault gives instead of the stand-in's; None where it only spoils that one."""
    if fault.name == "error":
        return Response(b"<html><title>500</title>" + b"<!-- Internal Server Error -->" * 1060, "fault", 500)
    wait = (("Retry-After", f"{fault.seconds:.0f}"),)
    if fault.name == "too_many":
        return Response(b"<html><title>429 Too Many Requests</title>", "fault", 429, headers=wait)
    if fault.name == "unavailable":
        return Response(b"<html><title>503 Service Unavailable</title>", "fault", 503, headers=wait)
    if fault.name == "challenge":
        return Response(_CHALLENGE, "fault", 403, headers=(("cf-mitigated", "challenge"), ("Server", "cloudflare")))
    return None


_CHALLENGE = b"""<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head>
<body><noscript>Enable JavaScript and cookies to continue</noscript>
<script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script></body></html>
"""
