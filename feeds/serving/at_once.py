"""What most readers ask for, a published file that is in memory, answered without a task, a route or a wrapper."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from feeds.serving.files import HeldFile, PublishedFiles, RawHeaders, choose_answer
from feeds.serving.visits import Visits


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Answers as the application would, and counts that as it does. What no route led to ``files`` is never held, so
    that no path is answered which is another's."""

    files: PublishedFiles
    visits: Visits
    answers: Counter[int]

    def find(self, path: str) -> HeldFile | None:
        """What is to be answered to a GET of ``path``; None where the application has to see to it."""
        return self.files.find_held(path.removeprefix("/"))

    def answer(self, file: HeldFile, path: str, fields: RawHeaders) -> tuple[int, RawHeaders, bytes]:
        """Status, headers and body for a GET of ``path`` with the header ``fields``."""
        status, headers, body = choose_answer(file, fields)
        self.answers[status] += 1
        if status in (200, 304):
            self.visits.count_request(path, fields)
        return status, headers, body
