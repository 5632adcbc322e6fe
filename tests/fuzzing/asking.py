"""Questions for the API that schemathesis makes of its own description: such as it allows, and such as it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.searched import Clock, open_search

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    negative_data_rejection,  # the last: left out where it does not hold by design
]
KNOWN = {"portal": "malangkota", "kind": "tender", "key": "1000"}  # a tender that is there


def find_operations(folder: Path) -> Iterator[Any]:
    """Every operation that the description of a server with some tenders names."""
    app, *_ = open_search(folder, Clock())
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    schema.config.update(base_url="http://testserver/api")
    for result in schema.get_all_operations():
        if not isinstance(result, Ok):
            raise AssertionError(f"an operation that cannot be read: {result}")
        yield result.ok()


def make_asking(operation: Any, number: int, most: int, tell: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """A test that asks ``operation`` questions made from ``number``, right ones and wrong ones in turn."""

    @seed(number)
    @settings(
        max_examples=most,
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        st.booleans(),
    )
    def ask(case: Case[Any], known: bool) -> None:
        tell()
        if known and case.path_parameters:
            case.path_parameters = dict(KNOWN)
        checks = [*CHECKS] if _is_told(case) and not known else CHECKS[:-1]
        case.call_and_validate(checks=checks)

    return ask


def _is_told(case: Case[Any]) -> bool:
    """Whether all values hold something to read: the others are as if absent, as an empty field of a form is."""
    values = [each for value in (case.query or {}).values() for each in (value if isinstance(value, list) else [value])]
    return all(any(letter.isprintable() and not letter.isspace() for letter in str(value)) for value in values)
