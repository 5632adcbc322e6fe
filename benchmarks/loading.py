"""Load for a server: as many answers a second as it gives, asked for by wrk where it is installed, else by a client of
our own in a process of its own; the same for every server that is compared."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from benchmarks.measuring import run_apart, run_program

CONNECTIONS = 16  # kept open, each asks again as soon as it is answered


class WrongAnswer(RuntimeError):
    """A server under load answered otherwise than it was to."""


def measure_rate(url: str, headers: Mapping[str, str], seconds: float, status: int) -> float:
    """Answers a second; WrongAnswer where one of them had another ``status``."""
    if program := shutil.which("wrk"):
        return _run_wrk(program, url, headers, seconds, status)
    rate, _ = run_apart(ask_on_and_on, url=url, headers=dict(headers), seconds=seconds, status=status)
    return float(rate)


def _run_wrk(program: str, url: str, headers: Mapping[str, str], seconds: float, status: int) -> float:
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    # wrk counts whole seconds
    command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", *fields, url]
    told = run_program(command).output.decode()
    others = re.search(r"(?:Socket errors|Non-2xx or 3xx).*", told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    if others or not rate:
        raise WrongAnswer(f"{url}, to be answered with {status}: {others[0] if others else told}")
    return float(rate[1])


def ask_on_and_on(url: str, headers: dict[str, str], seconds: float, status: int) -> float:
    """The client of our own."""
    return asyncio.run(_ask_on_and_on(url, headers, seconds, status))


async def _ask_on_and_on(url: str, headers: Mapping[str, str], seconds: float, status: int) -> float:
    parts = urlsplit(url)
    fields = "".join(f"{name}: {value}\r\n" for name, value in {"Host": parts.netloc, **headers}.items())
    request = f"GET {parts.path} HTTP/1.1\r\n{fields}\r\n".encode()
    until = time.perf_counter() + seconds

    async def ask() -> int:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**22)
        answers = 0
        while not answers or time.perf_counter() < until:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(f"http/1.1 {status} ".encode()):
                raise WrongAnswer(f"{url}: {head.splitlines()[0].decode()}")
            if length := re.search(rb"content-length: (\d+)", head):
                await reader.readexactly(int(length[1]) if status == 200 else 0)
            answers += 1
        writer.close()
        return answers

    began = time.perf_counter()
    counts = await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return sum(counts) / (time.perf_counter() - began)
