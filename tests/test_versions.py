"""How far the telling of each purchase has come: its mark moves when, and only when, something may read otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.engine import Engine

from aggregator.changes import rewind
from aggregator.models import Event, Kind, Money, Reading, Record, Tender
from aggregator.repository import Repository
from aggregator.versions import Version
from tests.feed_samples import READ, TENDER

SECOND = timedelta(seconds=1)
PLAN = replace(TENDER, portal="sirup", kind=Kind.PLAN, key="61521911", plans=(), deadline=None)
MIRROR = replace(TENDER, portal="cermin")
PORTALS = ("malangkota", "sirup", "cermin")


@pytest.fixture
def repository(engine: Engine) -> Repository:
    """On SQLite and on PostgreSQL."""
    return Repository(engine)


def save(repository: Repository, *tenders: Tender, after: int = 0) -> None:
    repository.save([Reading(tender=tender) for tender in tenders], READ + after * SECOND)


def test_the_mark_moves_with_what_is_read(repository: Repository) -> None:
    def mark() -> tuple[int, ...]:
        (version,) = repository.find_versions(PORTALS)
        return version.mark

    save(repository, TENDER)
    first = mark()
    repository.touch("malangkota", Kind.TENDER, [TENDER.key], READ + SECOND)  # still listed, not read
    assert mark() == first
    marks = [first]
    for after, seen in enumerate(
        [
            replace(TENDER, value=Money(Decimal(7))),
            replace(TENDER, participants=9),
            replace(TENDER, url="https://x.example/"),
        ],
        2,
    ):
        save(repository, seen, after=after)
        marks.append(mark())
    assert len(set(marks)) == len(marks)


def test_one_version_for_all_sources_of_a_purchase(repository: Repository) -> None:
    save(repository, PLAN)
    save(repository, TENDER, replace(TENDER, key="2", title="Lain", plans=()), after=1)
    save(repository, MIRROR, after=2)
    dossier, alone = sorted(repository.find_versions(PORTALS), key=lambda each: -len(each.numbers))
    assert dossier.identity == TENDER.identity
    assert dossier.others == (MIRROR.identity, PLAN.identity)
    assert (alone.identity[2], alone.others) == ("2", ())


def test_portals_that_are_not_listened_to_tell_nothing(repository: Repository) -> None:
    save(repository, TENDER)
    save(repository, MIRROR, PLAN, after=1)
    (version,) = repository.find_versions({"cermin"})
    assert (version.identity, version.others) == (MIRROR.identity, ())
    (told,) = repository.find_told([version])
    assert told.record == replace(told.record, tender=MIRROR)
    assert repository.find_versions(set()) == []


def test_records_come_with_their_history(repository: Repository) -> None:
    save(repository, PLAN)
    save(repository, TENDER, after=1)
    moved = replace(TENDER, stage="Evaluasi", value=None)
    save(repository, moved, after=2)
    (version,) = repository.find_versions(PORTALS)
    (told,) = repository.find_told([version])
    assert isinstance(told.record, Record)
    assert told.record.tender.stage == "Evaluasi"
    assert [(release.portal, release.events) for release, _ in told.history] == [
        ("malangkota", (Event.VALUE, Event.STAGE)),
        ("malangkota", (Event.NEW,)),
        ("sirup", (Event.NEW,)),
    ]
    assert [tender.stage for _, tender in told.history[:2]] == ["Evaluasi", TENDER.stage]
    assert told.history[1][1] == rewind(moved, [told.history[0][0]]) == TENDER


def test_what_replay_put_right_is_no_part_of_the_history(repository: Repository) -> None:
    save(repository, TENDER)
    right = replace(TENDER, title="Nama yang benar")
    repository.correct([Record(tender=right, first_seen=READ, last_seen=READ, changed=READ)], READ + SECOND)
    versions: list[Version] = repository.find_versions(PORTALS)
    (told,) = repository.find_told(versions)
    ((release, then),) = told.history
    assert release.events == (Event.NEW,)
    assert then.title == TENDER.title
    assert told.record.tender.title == "Nama yang benar"
