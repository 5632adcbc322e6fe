"""`python -m demo`: serves made-up portals until it is interrupted, and prints their addresses."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from demo.names import find_place
from demo.server import serve
from demo.spse import Portal
from demo.world import World


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    now = datetime.fromisoformat(options.now) if options.now else datetime.now(UTC)
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
        for portal in portals:
            sys.stdout.write(f"{server.url}{portal.prefix}\n")
        sys.stdout.flush()
        try:
            while True:
                time.sleep(options.advance_every or 3600)
                if options.advance_every:
                    server.advance(1)
        except KeyboardInterrupt:
            sys.stdout.write("\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--portals", default="malangkota", help="slugs, with commas between")
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
