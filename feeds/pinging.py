"""Pings to a WebSub hub, one for each feed, within some seconds. Apart from websub.py, for few have a hub to import
requests for, which takes its time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import requests

PATIENCE = 8.0  # seconds that a publish may last longer for the hub's sake
TIMEOUT = 3.0  # seconds for an answer to begin
PAUSES = (0.0, 0.5, 2.0)  # seconds before each try to tell of one feed

_BUSY = {408, 425, 429}  # worth another try, as 500 and above are


class _Refused(Exception):
    """The hub answers, but not as one that took the ping."""


class Round:
    """Pings one after another, within ``PATIENCE``. ``why`` is what the last failure was."""

    def __init__(self, hub: str, agent: str, sleep: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._hub = hub
        self._agent = agent
        self._sleep = sleep
        self._clock = clock
        self._end = clock() + PATIENCE
        self.why = ""

    def tell(self, topics: Iterable[str]) -> set[str]:
        """Those of ``topics`` that the hub took. One that it refuses is passed over; a hub that is down ends it."""
        told: set[str] = set()
        with requests.Session() as session:
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
                    told.add(topic)
        return told

    def _ping(self, session: requests.Session, topic: str) -> None:
        """_Refused, or RequestException where the hub cannot be had, however often it is asked."""
        for pause in PAUSES:
            left = self._end - self._clock() - pause
            if left <= 0:
                raise requests.Timeout(self.why or f"no time left after {PATIENCE:g} s")
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
        answer = session.post(self._hub, form, timeout=timeout, allow_redirects=False)
        if answer.status_code in _BUSY or answer.status_code >= 500:
            raise requests.HTTPError(f"it answered {answer.status_code}")
        if not 200 <= answer.status_code < 300:
            raise _Refused(f"it answered {answer.status_code}")
