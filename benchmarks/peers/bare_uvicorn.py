"""The least that a Python server can do: uvicorn as it comes, the bytes of one file from memory, in both codings.

bare_uvicorn.py PORT FILE TYPE: answers every path with FILE, or its .gz where it is accepted, or 304.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn

ETAG = b'"bare"'
MODIFIED = b"Tue, 24 Nov 2026 03:00:00 GMT"


def make_app(path: Path, media_type: str) -> Any:
    """The ASGI app of one file."""
    plain, packed = path.read_bytes(), Path(f"{path}.gz").read_bytes()
    kind = [(b"content-type", media_type.encode()), (b"etag", ETAG), (b"last-modified", MODIFIED)]
    full = {
        False: (plain, [*kind, (b"content-length", str(len(plain)).encode())]),
        True: (packed, [*kind, (b"content-encoding", b"gzip"), (b"content-length", str(len(packed)).encode())]),
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = dict(scope["headers"])
        if fields.get(b"if-none-match") == ETAG or fields.get(b"if-modified-since") == MODIFIED:
            await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", ETAG)]})
            await send({"type": "http.response.body", "body": b""})
            return
        body, headers = full[b"gzip" in fields.get(b"accept-encoding", b"")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


if __name__ == "__main__":
    served = make_app(Path(sys.argv[2]), sys.argv[3])
    uvicorn.run(served, port=int(sys.argv[1]), lifespan="off", log_level="error", access_log=False)
