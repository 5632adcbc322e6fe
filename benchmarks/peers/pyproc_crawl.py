"""Reads packages with pyproc, the best public client of SPSE, and prints what it found and how long it took, as JSON.

Runs in the peers' environment, which has nothing of this project. Standard input names the portal (``url``), how many
``threads`` read, and the ``packages``: kind (of pyproc's own), key, and which of its methods to call; none: all, as
``get_all_detil`` does.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pyproc.lpse import Lpse  # type: ignore[import-not-found]  # it stands in the peers' environment only

TIMEOUT = 30  # seconds


def read(lpse: Any, package: tuple[str, str, list[str] | None]) -> dict[str, Any]:
    """One package's details, in the words of its pages."""
    kind, key, methods = package
    details = lpse.detil_paket_tender(key) if kind == "lelang" else lpse.detil_paket_non_tender(key)
    if methods is None:
        details.get_all_detil()
    for method in methods or ():
        getattr(details, method)()
    announced = details.pengumuman or {}
    return {
        "key": key,
        "title": announced.get("nama_tender") or announced.get("nama_paket"),
        "value": announced.get("nilai_hps_paket"),
        "milestones": len(details.jadwal or ()),
        "winner": next((row["nama_pemenang"] for row in details.pemenang or ()), None),
        "contractor": next((row["nama_pemenang"] for row in details.pemenang_berkontrak or ()), None),
    }


def main() -> None:
    asked = json.load(sys.stdin)
    lpse = Lpse("", verify=True, timeout=TIMEOUT)
    lpse.url = asked["url"]
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(asked["threads"]) as threads:
        found = list(threads.map(partial(read, lpse), asked["packages"]))
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    json.dump(spent | {"packages": found}, sys.stdout)


if __name__ == "__main__":
    main()
