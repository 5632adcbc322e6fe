"""Archives as RFC 5005 has them: a closed month each, chained, written once, and the same from the database again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import feedparser  # type: ignore[import-untyped]
import pytest
from lxml import etree

from aggregator.config import Config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Award, Category, Kind, Reading, Record, Status, Sweep, Tender
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from feeds.archives import CLOSING, Month, find_last_closed, is_archive, write_archives
from feeds.definitions import Feed, shipped_feeds
from feeds.publish import publish
from feeds.tree import MANIFEST, Published, open_tree
from tests.feed_samples import TENDER, WIB
from tests.test_publish import files, stamps

ATOM = "{http://www.w3.org/2005/Atom}"
HISTORY = "{http://purl.org/syndication/history/1.0}"
URL = "https://blp.example.go.id/umpan/"
DEC = datetime(2026, 12, 15, tzinfo=UTC)
ROAD = replace(TENDER, title="Jalan")
DRUGS = replace(TENDER, key="2", title="Obat & <Alat>", category=Category.GOODS, procuring_entity="Dinas Kesehatan")


def read(repository: Repository, time: datetime, *tenders: Tender, verdict: Verdict = Verdict.OK) -> None:
    repository.save([Reading(tender=tender) for tender in tenders], time)
    repository.save_run(Run(portal="malangkota", sweep=Sweep.OPEN, started=time, finished=time, verdict=verdict))


@pytest.fixture
def told(repository: Repository) -> Repository:
    """September: two tenders. October: nothing. November: one has a later deadline, then the other a winner."""
    read(repository, day(9, 10), ROAD, DRUGS)
    later = replace(ROAD, deadline=datetime(2026, 12, 20, 14, tzinfo=WIB))
    read(repository, day(11, 5), later, DRUGS)
    read(repository, day(11, 7), later, replace(DRUGS, status=Status.COMPLETE, awards=(Award(supplier="CV Contoh"),)))
    read(repository, day(12, 2))  # so that November is known to be over
    return repository


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, 3, tzinfo=UTC)


def catalogue(config: Config, repository: Repository) -> list[Feed]:
    return shipped_feeds(config, [name for name, _ in repository.find_names("procuring_entity")])


def write(config: Config, repository: Repository, now: datetime = DEC, feeds: Sequence[Feed] = ()) -> Published:
    with open_tree(config.public_folder) as tree:
        write_archives(tree, config, repository, feeds or catalogue(config, repository), now)
    return tree.published


def titles(root: Path, feed: str, month: str) -> list[str]:
    found = etree.fromstring((root / f"feeds/{feed}/archive/{month}.atom").read_bytes())
    return [entry.findtext(f"{ATOM}title") or "" for entry in found.iter(f"{ATOM}entry")]


def months(root: Path, feed: str) -> list[str]:
    return sorted(path.stem for path in (root / f"feeds/{feed}/archive").glob("*.atom"))


def links(atom: bytes) -> dict[str | None, str | None]:
    return {link.get("rel"): link.get("href") for link in etree.fromstring(atom).findall(f"{ATOM}link")}


@pytest.fixture
def root(config: Config) -> Path:
    return config.public_folder


# What stands in them -----------------------------------------------------------------------------------


def test_changes_are_told_in_the_month_they_were_found(config: Config, told: Repository, root: Path) -> None:
    write(config, told)
    assert months(root, "perubahan") == ["2026-09", "2026-10", "2026-11"]
    assert titles(root, "perubahan", "2026-09") == ["Paket baru: Obat & ‹Alat›", "Paket baru: Jalan"]
    assert [title.partition(":")[0] for title in titles(root, "perubahan", "2026-11")] == [
        "Pemenang ditetapkan",
        "Batas akhir diperpanjang 17\N{NO-BREAK SPACE}hari",
    ]
    assert months(root, "pemenang") == ["2026-11"]


def test_a_tender_stands_in_each_month_it_changed_in_as_it_was_then(
    config: Config, told: Repository, root: Path
) -> None:
    write(config, told)
    assert titles(root, "semua", "2026-09") == ["Obat & ‹Alat›", "Jalan"]
    assert titles(root, "semua", "2026-11") == ["Jalan"]  # the other was open no more
    found = [feedparser.parse((root / f"feeds/semua/archive/2026-{month}.atom").read_bytes()) for month in ("09", "11")]
    old, new = (next(entry for entry in feed.entries if entry.title == "Jalan") for feed in found)
    assert old.id == new.id
    assert (old.updated, new.updated) == ("2026-09-10T03:00:00+00:00", "2026-11-05T03:00:00+00:00")
    assert "3 Desember" in old.summary
    assert "20 Desember" in new.summary
    assert titles(root, "satker-dinas-kesehatan", "2026-11") == []
    assert months(root, "metode-terseleksi") == []


def test_a_filter_told_from_now_archives_what_it_told_then(config: Config, told: Repository, root: Path) -> None:
    write(config, told)
    assert titles(root, "tenggat", "2026-09") == titles(root, "semua", "2026-09")


def test_portals_that_failed_stand_in_their_month(config: Config, repository: Repository, root: Path) -> None:
    read(repository, day(9, 10), verdict=Verdict.BLOCKED)
    read(repository, day(11, 2))
    read(repository, day(12, 2))
    write(config, repository)
    assert titles(root, "status", "2026-09") == ["Terblokir: LPSE Kota Malang"]
    assert titles(root, "status", "2026-11") == ["Pulih: LPSE Kota Malang"]


def test_no_limit_cuts_an_archive(config: Config, repository: Repository, root: Path) -> None:
    read(repository, day(9, 1), *(replace(TENDER, key=f"{number}") for number in range(130)))
    read(repository, day(12, 2))
    write(config, repository, feeds=[f for f in catalogue(config, repository) if f.id in {"semua", "perubahan"}])
    assert len(titles(root, "semua", "2026-09")) == len(titles(root, "perubahan", "2026-09")) == 130


def test_what_two_sources_announce_is_one_purchase(config: Config, repository: Repository, root: Path) -> None:
    """A republished tender is hidden behind the other source's, in an archive as in the feed."""
    read(repository, day(9, 10), ROAD)
    other = config.portal[0].model_copy(update={"id": "satudata"})
    both = config.model_copy(update={"portal": (*config.portal, other)})
    repository.save([Reading(tender=replace(ROAD, portal="satudata"), republished=True)], day(9, 11))
    read(repository, day(12, 2))
    assert len(list(repository.find(shipped_feeds(both, [])[0].filter, DEC, WIB))) == 1
    write(both, repository)
    assert titles(root, "semua", "2026-09") == ["Jalan"]


# How they are chained ----------------------------------------------------------------------------------


def test_the_chain(config: Config, told: Repository, root: Path) -> None:
    read(told, day(12, 3), replace(ROAD, title="Jalan raya"))
    publish(config, told, DEC)
    feed = (root / "feeds/perubahan.atom").read_bytes()
    newest = (root / "feeds/perubahan/archive/2026-11.atom").read_bytes()
    oldest = (root / "feeds/perubahan/archive/2026-09.atom").read_bytes()
    base = f"{URL}feeds/perubahan"
    assert links(feed)["prev-archive"] == f"{base}/archive/2026-11.atom"
    assert links(newest) == {
        "self": f"{base}/archive/2026-11.atom",
        "current": f"{base}.atom",
        "prev-archive": f"{base}/archive/2026-10.atom",
        "alternate": f"{base}.html",
    }
    assert "prev-archive" not in links(oldest)
    assert links(oldest)["next-archive"] == f"{base}/archive/2026-10.atom"
    marks = [[child.tag for child in etree.fromstring(atom)].count(f"{HISTORY}archive") for atom in (feed, newest)]
    assert marks == [0, 1]
    ids = {etree.fromstring(atom).findtext(f"{ATOM}id") for atom in (feed, newest, oldest)}
    assert len(ids) == 1
    assert b"prev-archive" not in (root / "feeds/perubahan.rss").read_bytes()


def test_a_month_without_news_has_an_archive_that_says_so(config: Config, told: Repository, root: Path) -> None:
    write(config, told)
    empty = (root / "feeds/perubahan/archive/2026-10.atom").read_bytes()
    assert titles(root, "perubahan", "2026-10") == []
    assert etree.fromstring(empty).findtext(f"{ATOM}updated") == "2026-10-31T17:00:00+00:00"  # when it was over
    assert months(root, "pemenang") == ["2026-11"]  # before the first news there is none


def test_no_archive_has_a_hub(config: Config, told: Repository, root: Path) -> None:
    hub = config.model_copy(update={"publish": config.publish.model_copy(update={"hub": "https://hub.example.org/"})})
    write(hub, told)
    assert b"hub.example.org" not in (root / "feeds/semua/archive/2026-09.atom").read_bytes()


# When they are written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (datetime(2026, 12, 1, 0, tzinfo=WIB), "2026-10"),
        (datetime(2026, 12, 1, 0, tzinfo=WIB) + CLOSING, "2026-11"),
        (datetime(2026, 11, 30, 23, tzinfo=UTC) + CLOSING, "2026-11"),
        (datetime(2027, 1, 15, tzinfo=UTC), "2026-12"),
    ],
)
def test_a_month_is_over_in_the_publishers_zone_and_when_no_run_tells_of_it(now: datetime, month: str) -> None:
    assert str(find_last_closed(now, ZoneInfo("Asia/Jakarta"))) == month


def test_months_move_over_years() -> None:
    assert [str(Month(2026, 12).move(step)) for step in (1, -12, 13)] == ["2027-01", "2025-12", "2028-01"]


def test_what_lies_there_is_never_written_again(
    config: Config, told: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(config, told, DEC)
    before = {path: body for path, body in files(root).items() if is_archive(path)}
    times = {path: stamp for path, stamp in stamps(root).items() if "/archive/" in path}
    assert before
    told.correct([replace(record, tender=replace(record.tender, title="Lain")) for record in find_all(told)], DEC)
    monkeypatch.setattr("feeds.publish._digest_code", lambda: "another program")
    renamed = config.model_copy(update={"publisher": config.publisher.model_copy(update={"name": "BLP lain"})})
    publish(renamed, told, DEC + timedelta(hours=1))
    assert b"BLP lain" in files(root)["feeds/semua.atom"]
    assert {path: body for path, body in files(root).items() if is_archive(path)} == before
    assert {path: stamp for path, stamp in stamps(root).items() if "/archive/" in path} == times


def find_all(repository: Repository) -> list[Record]:
    return list(repository.find(Filter(), DEC, WIB))


def test_nor_when_the_manifest_is_lost(config: Config, told: Repository, root: Path) -> None:
    write(config, told)
    before = stamps(root)
    (root / MANIFEST).unlink()
    archive = root / "feeds/semua/archive/2026-09.atom"
    body = archive.read_bytes()
    archive.with_name("2026-09.atom.gz").unlink()
    write(config.model_copy(update={"portal": ()}), told)  # which by itself would tell nothing
    assert archive.read_bytes() == body
    assert stamps(root).keys() == before.keys()


def test_a_lost_tree_comes_back_the_same(config: Config, told: Repository, root: Path) -> None:
    write(config, told, day(10, 15))
    write(config, told, DEC)
    before = files(root)
    shutil.rmtree(root)
    write(config, told, DEC + timedelta(days=1))
    assert files(root) == before


def test_a_lost_archive_comes_back_between_the_others(config: Config, told: Repository, root: Path) -> None:
    write(config, told)
    before = files(root)
    (root / "feeds/semua/archive/2026-09.atom").unlink()
    assert write(config, told).written == 1
    assert files(root) == before


def test_a_month_that_turned_adds_its_own(config: Config, told: Repository, root: Path) -> None:
    write(config, told, day(10, 15))
    assert months(root, "perubahan") == ["2026-09"]
    before = stamps(root)
    done = write(config, told, DEC)
    assert months(root, "perubahan") == ["2026-09", "2026-10", "2026-11"]
    assert before.items() - stamps(root).items() <= {(".warta.size", before[".warta.size"])}
    assert done.written == len(stamps(root).keys() - before.keys()) / 2  # each with its twin


def test_until_the_month_turns_no_archive_is_asked_for(
    config: Config, told: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(config, told)
    feeds = catalogue(config, told)

    def refuse(*_: object) -> None:
        raise AssertionError("nothing has to be read")

    monkeypatch.setattr(Repository, "find_first_release", refuse)
    monkeypatch.setattr(Repository, "find_seqs", refuse)
    assert write(config, told, DEC + timedelta(days=10), feeds) == Published(unchanged=first.written)


def test_a_new_feed_gets_the_archives_of_the_past(config: Config, told: Repository, root: Path) -> None:
    feeds = catalogue(config, told)
    write(config, told, feeds=feeds[1:])
    before = stamps(root)
    write(config, told, feeds=feeds)
    added = stamps(root).keys() - before.keys()
    assert {path.removesuffix(".gz") for path in added} == {
        f"feeds/{feeds[0].id}/archive/2026-{m}.atom" for m in ("09", "10", "11")
    }


def test_a_feed_taken_out_takes_its_archives_along(config: Config, told: Repository, root: Path) -> None:
    feeds = catalogue(config, told)
    write(config, told, feeds=feeds)
    write(config, told, feeds=feeds[1:])
    assert months(root, feeds[0].id) == []


def test_plans_stay_out_of_purchases(config: Config, repository: Repository, root: Path) -> None:
    read(repository, day(9, 10), replace(ROAD, kind=Kind.PLAN))
    write(config, repository)
    assert months(root, "semua") == months(root, "perubahan") == []


# When a clock is wrong, or a run comes late ------------------------------------------------------------


def test_a_clock_that_is_ahead_closes_no_month(config: Config, told: Repository, root: Path) -> None:
    write(config, told, DEC + timedelta(days=366))
    assert months(root, "perubahan") == ["2026-09", "2026-10", "2026-11"]
    read(told, day(12, 20), replace(ROAD, title="Jalan raya"))
    read(told, datetime(2027, 1, 2, 3, tzinfo=UTC))
    write(config, told, DEC + timedelta(days=367))
    assert len(titles(root, "perubahan", "2026-12")) == 1


def test_what_was_closed_too_early_goes_and_is_made_again(config: Config, told: Repository, root: Path) -> None:
    ahead = DEC + timedelta(days=366)
    read(told, ahead)  # this clock too
    write(config, told, ahead)
    assert months(root, "perubahan")[-1] == "2027-11"
    publish(config, told, DEC)
    assert months(root, "perubahan") == ["2026-09", "2026-10", "2026-11"]
    assert links((root / "feeds/perubahan.atom").read_bytes())["prev-archive"] == (
        f"{URL}feeds/perubahan/archive/2026-11.atom"
    )
    read(told, day(12, 20), replace(ROAD, title="Jalan raya"))
    read(told, datetime(2027, 1, 2, 3, tzinfo=UTC))
    write(config, told, datetime(2027, 1, 3, tzinfo=UTC))
    assert len(titles(root, "perubahan", "2026-12")) == 1


def test_what_comes_after_its_months_archive_stands_in_the_next(config: Config, told: Repository, root: Path) -> None:
    write(config, told)
    before = files(root)
    late = datetime(2026, 11, 30, 23, tzinfo=WIB)  # when the run began; it took days
    told.save([Reading(tender=replace(TENDER, key="3", title="Telat"))], late)
    read(told, datetime(2027, 1, 2, 3, tzinfo=UTC))
    write(config, told, datetime(2027, 1, 3, tzinfo=UTC))
    assert before.items() <= files(root).items()
    assert titles(root, "perubahan", "2026-12") == ["Paket baru: Telat"]
    assert titles(root, "semua", "2026-12") == ["Telat"]


def test_an_empty_database_takes_no_archive_away(config: Config, told: Repository, root: Path) -> None:
    write(config, told)
    before = files(root)
    feeds = catalogue(config, told)
    write(config, Repository(open_database("sqlite://")), DEC, feeds)
    assert files(root) == before
