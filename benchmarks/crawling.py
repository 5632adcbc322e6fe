"""How fast a portal is read for the first time, beside the best public client and a bare Scrapy crawl."""
from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aggregator.config import load_config
from aggregator.database import open_database
from aggregator.models import Sweep
from aggregator.repository import Repository
from spiders.crawl import Order, crawl

CONFIG = """\
[publisher]
name = "Pengukuran"
url = "https://umpan.example.go.id/"
authority = "umpan.example.go.id"
since = "2026-01-01"

[crawl]
delay = 0.0

[[portal]]
id = "malangkota"
family = "spse"
name = "LPSE Kota Malang"
url = "{url}"
kinds = ["tender", "non_tender"]
"""

def read(config: str, sweep: str = Sweep.FULL) -> dict[str, Any]:
    """One run over all portals of a configuration; what it took, and what it found."""
    loaded = load_config(Path(config))
    repository = Repository(open_database(loaded.database_url))
    began, used = time.perf_counter(), time.process_time()
    runs = crawl(loaded, loaded.portal, repository, Order(sweep=Sweep(sweep)), now=datetime.now(UTC))
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    return spent | {"runs": [run.as_dict() for run in runs]}
