"""Whatever stands in a page, a header, an address or a file: it is read, or refused in our own words, and soon."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzzing.checking import TooLong, bounded
from tests.fuzzing.mutating import mutated
from tests.fuzzing.readers import FOUND, READERS, Reader, try_read

# Of each reader, in every run of the tests; `make fuzz` tries as many as there is time for.
EXAMPLES = int(os.environ.get("WARTA_FUZZ_EXAMPLES", "12"))

each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


def names(readers: Iterable[Reader]) -> list[str]:
    return [reader.name for reader in readers]


@each_reader
def test_the_pages_to_begin_with_are_read(reader: Reader) -> None:
    assert reader.seeds
    assert all(try_read(reader, body) for body in reader.seeds)


@each_reader
def test_what_was_found_stays_mended(reader: Reader) -> None:
    read = [try_read(reader, body) for body in reader.found]
    assert len(read) == len(reader.found)  # each read or refused, and nothing was raised


@each_reader
def test_hostile_input(reader: Reader) -> None:
    read: list[bool] = []

    # Not made smaller here, which may take a minute: `make fuzz` does that.
    @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(mutated(reader.seeds, reader.form))
    def hold(body: bytes) -> None:
        read.append(try_read(reader, body))

    hold()
    assert read  # some were made, each read or refused, and nothing was raised


def test_every_finding_has_its_reader() -> None:
    assert len(set(names(READERS))) == len(READERS)
    assert {path.name for path in FOUND.iterdir()} <= set(names(READERS))


def test_what_never_ends_is_noticed() -> None:
    def spin() -> None:
        while True:  # in Python: a signal is heard between two steps of it
            pass

    with pytest.raises(TooLong), bounded(0.05):
        spin()
