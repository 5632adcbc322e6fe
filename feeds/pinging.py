"""Pings to a WebSub hub, one for each feed, within some seconds. A program of its own, which websub.py starts and ends:
no timeout of a client is a bound on what a hub may do (a byte a second, headers without end, answers that unpack to
gigabytes)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator

import requests

TIMEOUT = 3.0  # seconds for an answer to begin
PAUSES = (0.0, 0.5, 2.0)  # seconds before each try to tell of one feed

_BUSY = {408, 425, 429}  # worth another try, as 500 and above are


class _Refused(Exception):
    """The hub answers, but not as one that took the ping."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: a client that follows none would still take a hub's Location apart, and fail on a broken one."""


class Round:
    """Pings one after another, within ``patience`` seconds. ``why`` is what the last failure was."""

    def __init__(
        self,
        hub: str,
        agent: str,
        patience: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub = hub
        self._agent = agent
        self._patience = patience
        self._sleep = sleep
        self._clock = clock
        self._end = clock() + patience
        self.why = ""

    def tell(self, topics: Iterable[str]) -> Iterator[str]:
        """Those of ``topics`` that the hub took, each as soon as it did. One that it refuses is passed over; a hub
        that is down ends it."""
        with _Session() as session:
            session.headers["User-Agent"] = self._agent
            for topic in topics:
                try:
                    self._ping(session, topic)
                except _Refused as error:
                    self.why = str(error)
                except requests.RequestException as error:
                    self.why = str(error)
                    break
                else:
                    yield topic

    def _ping(self, session: requests.Session, topic: str) -> None:
        """_Refused, or RequestException where the hub cannot be had, however often it is asked."""
        for pause in PAUSES:
            left = self._end - self._clock() - pause
            if left <= 0:
                raise requests.Timeout(self.why or f"no time left after {self._patience:g} s")
            if pause:
                self._sleep(pause)
            try:
                self._post(session, topic, min(TIMEOUT, left))
            except requests.RequestException as error:
                self.why, failure = str(error), error
            else:
                return
        raise failure

    def _post(self, session: requests.Session, topic: str, timeout: float) -> None:
        # The Recommendation leaves the ping open (§6). Hubs know it as hub.url (PubSubHubbub) or as hub.topic.
        form = {"hub.mode": "publish", "hub.url": topic, "hub.topic": topic}
        with session.post(self._hub, form, timeout=timeout, allow_redirects=False, stream=True) as answer:
            if answer.raw.length_remaining == 0:
                answer.raw.drain_conn()  # nothing, but it frees the connection for the next ping; no other body is read
            if answer.status_code in _BUSY or answer.status_code >= 500:
                raise requests.HTTPError(f"it answered {answer.status_code}")
            if not 200 <= answer.status_code < 300:
                raise _Refused(f"it answered {answer.status_code}")


def main() -> None:
    """Reads from its input what to tell whom, writes each topic that the hub took, and at last, as an error, why it
    did not take all."""
    asked = json.load(sys.stdin)
    pings = Round(asked["hub"], asked["agent"], asked["patience"])
    for topic in pings.tell(asked["topics"]):
        sys.stdout.write(f"{topic}\n")
        sys.stdout.flush()
    sys.stderr.write(f"{pings.why}\n")


if __name__ == "__main__":
    main()
