"""`python -m demo`: serves made-up portals until it is interrupted, and prints their addresses.

`python -m demo --all > warta.toml` writes the configuration that reads one source of each family.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from demo.names import find_place
from demo.registry import make_stand_ins, render_config
from demo.server import Server, serve
from demo.spse import Portal
from demo.world import World


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    now = datetime.fromisoformat(options.now) if options.now else datetime.now(UTC)
    if options.all:
        stand_ins = make_stand_ins(now)
        with serve([*stand_ins.values()], options.port, crawl_delay=options.crawl_delay) as server:
            _write(render_config(server.url, stand_ins))
            _wait(server, options.advance_every)
        return
    portals = [
        Portal(
            World(
                now,
                place=find_place(slug),
                seed=options.seed,
                tenders=options.tenders,
                non_tenders=options.non_tenders,
            ),
            length_cap=options.length_cap,
        )
        for slug in options.portals.split(",")
    ]
    with serve(portals, options.port, crawl_delay=options.crawl_delay) as server:
        _write("".join(f"{server.url}{portal.prefix}\n" for portal in portals))
        _wait(server, options.advance_every)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _wait(server: Server, advance_every: float) -> None:
    """Until Ctrl-C; a day passes every so many seconds, or 0: none."""
    try:
        while True:
            time.sleep(advance_every or 3600)
            if advance_every:
                server.advance(1)
    except KeyboardInterrupt:
        _write("\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--portals", default="malangkota", help="slugs, with commas between")
    parser.add_argument(
        "--all", action="store_true", help="a source of each family; prints a warta.toml that reads them"
    )
    parser.add_argument("--tenders", type=int, default=60, help="how many, in each portal")
    parser.add_argument("--non-tenders", type=int, default=90, help="how many, in each portal")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another world")
    parser.add_argument("--now", help="ISO date and time with zone at which the worlds begin; now")
    parser.add_argument("--advance-every", type=float, default=0, metavar="SECONDS", help="a day passes this often")
    parser.add_argument("--crawl-delay", type=float, metavar="SECONDS", help="what robots.txt asks for")
    parser.add_argument("--length-cap", type=int, default=100_000, help="the most rows that a list answers")
    return parser


if __name__ == "__main__":
    main()
