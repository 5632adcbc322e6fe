"""The pages of tenders in the published tree: one for each, kept while nothing moves, gone with their portal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar

import feeds.pages.tender_files
import feeds.tree
from aggregator.config import Config, load_config
from aggregator.database import open_database
from aggregator.models import Award, Kind, Money, Reading, Sanction, Status, Tender
from aggregator.repository import Repository
from aggregator.versions import Told
from feeds.columns import COLUMNS
from feeds.contents import Contents
from feeds.drafts import File
from feeds.pages.site import Site, load_sites
from feeds.pages.tender_files import Shown, TenderFiles
from feeds.pages.tender_page import render_tender_page
from feeds.publish import publish
from feeds.tree import MANIFEST, Published, Tree, open_tree
from tests.feed_samples import READ, TENDER
from tests.test_publish import NOW, SECOND, changes, files, read, stamps

LPSE = """
[[portal]]
id = "cermin"
family = "spse"
name = "Cermin"
url = "https://cermin.example.go.id/"
"""
PAGE = "tenders/malangkota/tender/10099412000.html"
CALENDAR = PAGE.replace("html", "ics")
SEVERAL = [replace(TENDER, key=f"{number}", title=f"Paket {number}") for number in range(8)]


def write(config: Config, repository: Repository, now: datetime, root: Path | None = None) -> Published:
    """The part of a publish that is about tenders."""
    sites, contents = load_sites(config, sample=False), Contents(config, repository, now)
    wanted = TenderFiles(
        editions=[Shown(site, ()) for site in sites],
        repository=repository,
        now=now,
        state=repr(contents.find_state(())),
        makers=repr(config),
        find_around=partial(getattr, contents, "around"),
    )
    with open_tree(root or config.public_folder) as tree, wanted.rendering(tree) as pages:
        pages.write()
    return tree.published


def tenders(root: Path) -> set[str]:
    return {name for name in files(root) if name.startswith("tenders/")}


@pytest.fixture
def root(config: Config) -> Path:
    return config.public_folder


@pytest.fixture
def pair(config_file: Path) -> Config:
    """Two portals, one of which tells again what the other announces."""
    config_file.write_text(config_file.read_text() + LPSE)
    return load_config(config_file)


def test_every_tender_has_a_page_and_open_ones_a_calendar(config: Config, repository: Repository, root: Path) -> None:
    news = replace(TENDER, kind=Kind.NEWS, key="n1", status=None)
    done = replace(TENDER, key="2", status=Status.COMPLETE)
    read(repository, TENDER, done, replace(TENDER, key="a:b", deadline=None), news)
    publish(config, repository, NOW)
    found = tenders(root)
    assert {name for name in found if name.endswith(".ics")} == {CALENDAR}
    assert {PAGE, "tenders/malangkota/tender/2.html", "tenders/malangkota/news/n1.html"} < found
    assert len(found) == 5
    assert f'href="../../../{CALENDAR}"' in files(root)[PAGE].decode()
    (event,) = Calendar.from_ical(files(root)[CALENDAR]).walk("VEVENT")
    assert event["uid"] == "tag:blp.example.go.id,2026-01-01:malangkota/tender/10099412000"
    assert event.decoded("dtstart") == TENDER.deadline
    assert (root / PAGE).stat().st_mtime == READ.timestamp()


def test_only_what_moved_is_rendered(
    config: Config, repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(repository, *SEVERAL)
    write(config, repository, NOW)
    rendered: list[str] = []
    real = render_tender_page

    def watch(site: Site, told: Told, *rest: Any) -> bytes:
        rendered.append(told.record.tender.key)
        return real(site, told, *rest)

    monkeypatch.setattr(feeds.pages.tender_files, "render_tender_page", watch)
    before = stamps(root)
    write(config, repository, NOW + SECOND)
    assert rendered == []
    assert stamps(root) == before
    read(repository, replace(SEVERAL[3], value=Money(Decimal(7))), now=READ + timedelta(minutes=1))
    _, changed = changes(root, lambda: write(config, repository, NOW + 2 * SECOND))
    assert rendered == ["3"]
    assert {name for name in changed if name.startswith("tenders/")} == {
        f"tenders/malangkota/tender/3.{form}" for form in ("html", "ics")
    }


def test_a_reading_that_found_nothing_new_writes_no_page(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *SEVERAL)
    write(config, repository, NOW)
    before = {name: stamp for name, stamp in stamps(root).items() if name.startswith("tenders/")}
    read(repository, *(replace(each, participants=9) for each in SEVERAL), now=READ + timedelta(minutes=1))
    write(config, repository, NOW + SECOND)
    assert {name: stamp for name, stamp in stamps(root).items() if name.startswith("tenders/")} == before


def test_while_the_database_stays_the_same_no_tender_is_looked_at(
    config: Config, repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(repository, *SEVERAL)
    write(config, repository, NOW)
    before = stamps(root)
    monkeypatch.delattr(Repository, "find_versions")
    done = write(config, repository, NOW + SECOND)
    assert (done.written, done.unchanged) == (0, 2 * len(SEVERAL))
    assert stamps(root) == before


def test_a_deadline_that_passes_takes_the_calendar_away(config: Config, repository: Repository, root: Path) -> None:
    read(repository, replace(TENDER, deadline=NOW + timedelta(hours=1)))
    write(config, repository, NOW)
    assert CALENDAR in tenders(root)
    write(config, repository, NOW + timedelta(hours=2))
    assert tenders(root) == {PAGE}
    assert "Dalam proses" in files(root)[PAGE].decode()
    assert ".ics" not in files(root)[PAGE].decode()


def test_a_page_that_was_lost_or_spoilt_is_mended(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *SEVERAL)
    write(config, repository, NOW)
    whole = files(root)
    (root / "tenders/malangkota/tender/1.html").unlink()
    (root / "tenders/malangkota/tender/2.html.gz").write_bytes(b"torn")
    done = write(config, repository, NOW + SECOND)
    assert files(root) == whole
    assert done.written == 2


def test_a_portal_taken_out_takes_its_pages_along(pair: Config, repository: Repository, config_file: Path) -> None:
    read(repository, TENDER, replace(TENDER, portal="cermin", key="7", title="Lain"))
    root = pair.public_folder
    write(pair, repository, NOW)
    assert "tenders/cermin/tender/7.html" in tenders(root)
    config_file.write_text(config_file.read_text().replace(LPSE, ""))
    write(load_config(config_file), repository, NOW + SECOND)
    assert tenders(root) == {PAGE, CALENDAR}


def test_one_page_for_all_sources_of_a_purchase(pair: Config, repository: Repository, config_file: Path) -> None:
    mirror = replace(TENDER, portal="cermin", url="https://cermin.example.go.id/10099412000")
    read(repository, TENDER)
    repository.save([Reading(tender=mirror, republished=True)], READ + SECOND)
    root = pair.public_folder
    write(pair, repository, NOW)
    other = "tenders/cermin/tender/10099412000.html"
    assert files(root)[other] == files(root)[PAGE]
    page = files(root)[PAGE].decode()
    assert f'<link rel="canonical" href="https://blp.example.go.id/umpan/{PAGE}">' in page
    assert "https://cermin.example.go.id/10099412000" in page
    assert tenders(root) == {PAGE, CALENDAR, other}
    # The purchase moves with each of its sources, and its page with it.
    repository.save([Reading(tender=replace(mirror, budget=Money(Decimal(9))), republished=True)], NOW)
    write(pair, repository, NOW + SECOND)
    assert files(root)[other] == files(root)[PAGE] != page.encode()
    # Where the one that spoke for both is not listened to any more, the other speaks for itself.
    config_file.write_text(config_file.read_text().replace('id = "malangkota"', 'id = "lain"'))
    write(load_config(config_file), repository, NOW + 2 * SECOND)
    assert tenders(root) == {other, other.replace("html", "ics")}
    assert f'href="https://blp.example.go.id/umpan/{other}"' in files(root)[other].decode()


def test_a_database_in_anothers_place(config: Config, repository: Repository, root: Path, tmp_path: Path) -> None:
    """Filled at the very same times, with other tenders and with one that reads otherwise."""
    read(repository, *SEVERAL)
    write(config, repository, NOW)
    another = Repository(open_database(f"sqlite:///{tmp_path}/another.db"))
    read(another, replace(SEVERAL[0], title="Nama lain sama sekali"), replace(TENDER, key="99"))
    write(config, another, NOW)
    assert {name.rpartition("/")[2] for name in tenders(root)} == {"0.html", "0.ics", "99.html", "99.ics"}
    assert "Nama lain sama sekali" in files(root)["tenders/malangkota/tender/0.html"].decode()


def test_a_firm_that_gets_blacklisted_is_told_of(config: Config, repository: Repository, root: Path) -> None:
    award = Award(supplier="PT Contoh Karya", date=READ)
    read(repository, replace(TENDER, status=Status.COMPLETE, awards=(award,)), *SEVERAL)
    write(config, repository, NOW)
    assert "Daftar Hitam" not in files(root)[PAGE].decode()
    sanction = Sanction(supplier="PT CONTOH KARYA", starts=READ - timedelta(days=1), ends=READ + timedelta(days=1))
    notice = replace(TENDER, kind=Kind.NOTICE, key="s1", status=Status.ACTIVE, sanctions=(sanction,))
    read(repository, notice, now=READ + timedelta(minutes=1))
    _, changed = changes(root, lambda: write(config, repository, NOW + SECOND))
    assert "Daftar Hitam" in files(root)[PAGE].decode()
    assert {name for name in changed if name.startswith("tenders/malangkota/tender/")} == {PAGE}


def test_the_english_edition_has_pages_of_its_own(config_file: Path, repository: Repository) -> None:
    config_file.write_text(config_file.read_text() + "\n[publish]\nenglish = true\n")
    config = load_config(config_file)
    read(repository, TENDER)
    write(config, repository, NOW)
    page = files(config.public_folder)[f"en/{PAGE}"].decode()
    assert "Bids close" in page
    assert f'href="../../../../{CALENDAR}"' in page
    assert f'href="../../../../{PAGE}"' in page
    assert not (config.public_folder / "en" / CALENDAR).exists()


def test_processes_render_the_same(
    config: Config, repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(repository, *SEVERAL)
    write(config, repository, NOW)
    alone = files(root)
    monkeypatch.setattr(feeds.pages.tender_files, "MANY", 2)
    monkeypatch.setattr(feeds.pages.tender_files, "_CHUNK", 3)
    write(config, repository, NOW, root.with_name("together"))
    assert files(root.with_name("together")) == alone


def test_many_files_are_synced_together(
    config: Config, repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(repository, *SEVERAL)
    write(config, repository, NOW)
    monkeypatch.setattr(feeds.tree, "MANY", 2)
    monkeypatch.setattr(feeds.tree, "BATCH", 5)
    done = write(config, repository, NOW, root.with_name("together"))
    assert files(root.with_name("together")) == files(root)
    assert done == Published(written=len(files(root)))
    assert not list(root.with_name("together").rglob("*.tmp"))


def test_the_manifest_stays_small(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *(replace(TENDER, key=f"1009941{number:04}", deadline=None) for number in range(50)))
    write(config, repository, NOW)
    assert list((root / COLUMNS).read_text().split('"')[1].split("\\n")) == [
        f"tenders/malangkota/tender/1009941{number:04}" for number in range(50)
    ]
    assert (root / COLUMNS).stat().st_size < 50 * 250  # 25 MB for 100,000
    assert (root / MANIFEST).stat().st_size < 40_000  # however many there are


def test_what_is_saved_is_there_at_the_end(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    part = tree.save("a", "1", {"x.html": File(b"x", datetime(2026, 1, 1, tzinfo=UTC))}, {})
    assert part.files == {}
    assert tree.changed == {"x.html"}
    assert part.files == {"x.html": [1, 1767225600_000000000]}
    tree.close()


def test_a_plan_belongs_to_the_first_purchase_that_names_it(config: Config, repository: Repository, root: Path) -> None:
    plan = replace(TENDER, kind=Kind.PLAN, key="61521911", status=Status.PLANNED, plans=(), deadline=None)
    second: Tender = replace(TENDER, key="10099413000", title="Tahap dua")
    read(repository, plan)
    read(repository, TENDER, second, now=READ + timedelta(minutes=1))
    write(config, repository, NOW)
    found = files(root)
    assert found["tenders/malangkota/plan/61521911.html"] == found[PAGE]
    assert "RUP 61521911" in found["tenders/malangkota/tender/10099413000.html"].decode()
    assert "Rencana baru" in found[PAGE].decode()
