"""What a publish may cost, in counts: they are the same on every machine, and do not grow with what is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import aggregator.rows
import feeds.contents
import feeds.tree
from aggregator.config import Config, load_config
from aggregator.database import open_database
from aggregator.models import Award, Category, Method, Reading, Status, Tender
from aggregator.repository import Repository
from feeds.drafts import File, compare_file
from feeds.entries import tender_entry
from feeds.pages.site import Site
from feeds.publish import publish
from feeds.tree import Published
from tests.feed_samples import READ, TENDER
from tests.test_publish import files, read

NOW = READ + timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
FEW, MANY = 40, 400  # tenders, both below the 500 that one statement takes


def make(number: int) -> Tender:
    """Every third can be bid for, for weeks yet; the work units and categories take turns."""
    is_open = number % 3 == 0
    return replace(
        TENDER,
        key=str(10_000_000 + number),
        title=f"Paket nomor {number} di Klojen",
        procuring_entity=f"Dinas {number % 7}",
        category=list(Category)[number % 3],
        method=list(Method)[number % 2],
        status=Status.ACTIVE if is_open else Status.COMPLETE,
        deadline=READ + timedelta(days=10 + number % 20, minutes=number),
        published=READ - timedelta(days=number % 60 + 1),
        milestones=(),
        awards=() if is_open else (Award(supplier=f"CV Maju {number}", date=READ - timedelta(days=1)),),
    )


CHANGED = 3  # of them
EDITIONS = ("", "en/")
LISTS = ("index", "status")


@dataclass
class Cost:
    """What a publish did: SQL statements, tenders read from their JSON, pages rendered and entries worded."""

    statements: int = 0
    read: int = 0
    rendered: list[str] = field(default_factory=list)
    worded: int = 0
    written: set[str] = field(default_factory=set)
    published: Published = field(default_factory=Published)


@contextmanager
def counting(engine: sa.Engine, cost: Cost) -> Iterator[None]:
    def note(*_: Any) -> None:
        cost.statements += 1

    real_parse, real_render, real_word = aggregator.rows.parse_tender, Site._render, tender_entry

    def parse(*given: Any) -> Tender:
        cost.read += 1
        return real_parse(*given)

    def render(site: Site, template: str, root: str, path: str | None, **values: Any) -> bytes:
        cost.rendered.append(f"{site.prefix}{path}")
        return real_render(site, template, root, path, **values)

    def word(*given: Any) -> Any:
        cost.worded += 1
        return real_word(*given)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aggregator.rows, "parse_tender", parse)
            patch.setattr(Site, "_render", render)
            patch.setattr(feeds.contents, "tender_entry", word)
            yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@dataclass
class Town:
    """A database with so many tenders, and its tree."""

    config: Config
    repository: Repository

    @property
    def root(self) -> Path:
        return self.config.public_folder

    def publish(self, minutes: int) -> Cost:
        """At so many minutes after NOW; what it wrote and what that cost."""
        cost, before = Cost(), _places(self.root)
        with counting(self.repository.engine, cost):
            cost.published = publish(self.config, self.repository, NOW + minutes * MINUTE)
        cost.written = {path for path, place in _places(self.root).items() if before.get(path) != place}
        return cost


def _places(root: Path) -> dict[str, int]:
    """Each file by its inode, which moves whenever it is put in place."""
    return {path: (root / path).stat().st_ino for path in files(root)} if root.exists() else {}


def found(folder: Path, text: str, number: int, *, english: bool = True) -> Town:
    folder.mkdir()
    path = folder / "warta.toml"
    path.write_text(text + f"\n[publish]\nenglish = {str(english).lower()}\n", encoding="utf-8")
    config = load_config(path)
    town = Town(config, Repository(open_database(config.database_url)))
    read(town.repository, *(make(each) for each in range(number)))
    return town


@pytest.fixture
def town(tmp_path: Path, config_file: Path) -> Town:
    town = found(tmp_path / "town", config_file.read_text(), FEW)
    town.publish(0)
    return town


def test_the_publish_after_the_first_finds_nothing_to_do(town: Town) -> None:
    cost = town.publish(1)
    assert cost.published == Published(unchanged=len(files(town.root)))
    assert (cost.written, cost.rendered, cost.read, cost.worded) == (set(), [], 0, 0)
    assert cost.statements <= 50


def test_a_crawl_that_found_nothing_rewrites_only_what_tells_of_it(town: Town) -> None:
    """When the portal was last read stands on the list and on the status page."""
    read(town.repository, *(make(each) for each in range(FEW)), now=NOW)
    cost = town.publish(1)
    assert cost.written == {"status.json", *(f"{edition}{name}.html" for edition in EDITIONS for name in LISTS)}
    assert cost.worded == 0
    assert not [path for path in cost.rendered if path.removeprefix("en/").startswith(("tenders/", "embed/"))]
    assert cost.statements <= 100


TITLE = "Nama yang lain sama sekali"
DEADLINE = datetime(2026, 12, 24, 2, 40, tzinfo=UTC)
SHOWN_AS = {  # how a file of each form tells of that deadline
    "html": ("24 Des", "24 Dec"),
    "rss": ("24 Des",),
    "atom": ("24 Des",),
    "json": ("2026-12-24T02:40", str(int(DEADLINE.timestamp()))),
    "ics": ("20261224T024000Z", "24 Des"),
}
# What tells when feeds and pages changed, of each thing that moves.
TIMES = {"feeds.opml", "sitemap.xml", "status.json"}


@pytest.mark.parametrize("change", [{"title": TITLE}, {"deadline": DEADLINE}], ids=["title", "deadline"])
def test_one_changed_tender_rewrites_only_the_files_that_show_it(town: Town, change: dict[str, Any]) -> None:
    changed = replace(make(CHANGED), **change)
    town.repository.save([Reading(tender=changed)], NOW)
    cost = town.publish(1)
    page = f"tenders/malangkota/tender/{changed.key}"
    held_by = ("semua", "perubahan", "jenis-barang", "metode-terseleksi", "satker-dinas-3")
    pages = ("index.html", "pekan-ini.html", f"{page}.html")
    assert cost.written == {
        *(f"feeds/{feed}.{form}" for feed in held_by for form in ("rss", "atom", "json", "ics")),
        *(f"{edition}{room}/{feed}.html" for edition in EDITIONS for feed in held_by for room in ("feeds", "embed")),
        *(f"{edition}{each}" for edition in EDITIONS for each in pages),
        *("cari.json", f"{page}.ics"),
        *TIMES,
    }
    texts = {path: (town.root / path).read_text(encoding="utf-8") for path in cost.written - TIMES}
    unfolded = {path: text.replace("\r\n ", "") for path, text in texts.items()}
    wanted = {path: (TITLE,) if "title" in change else SHOWN_AS[path.rpartition(".")[2]] for path in texts}
    assert [path for path, text in unfolded.items() if not any(told in text for told in wanted[path])] == []
    assert [path for path in cost.rendered if "tenders/" in path] == [f"{page}.html", f"en/{page}.html"]
    assert cost.published == Published(written=len(cost.written), unchanged=len(files(town.root)) - len(cost.written))
    assert cost.worded <= FEW


def test_costs_do_not_grow_with_the_tenders_known(tmp_path: Path, config_file: Path) -> None:
    """Ten times as many tenders: the same statements, the same pages, the same files."""
    costs, statements = [], []
    for number in (FEW, MANY):
        town = found(tmp_path / str(number), config_file.read_text(), number, english=False)
        town.publish(0)
        same = town.publish(1)
        town.repository.save([Reading(tender=replace(make(CHANGED), title=TITLE))], NOW)
        changed = town.publish(2)
        # The list has more pages, and the week's page shows the newest: those are others in another town.
        rendered = [path for path in changed.rendered if not path.startswith("paket/")]
        written = sorted(path for path in changed.written if path.startswith(("feeds", "embed/", "tenders/", "cari")))
        costs.append((same.statements, same.rendered, rendered, written, len(changed.written - {"pekan-ini.html"})))
        statements.append(changed.statements)
    assert costs[0] == costs[1]
    assert abs(statements[1] - statements[0]) <= 8  # a feed that holds more tells of more that no other one read


def test_a_page_is_packed_and_looked_at_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there is compared, and nothing of it packed, while it is kept."""
    packed: list[str] = []

    def compare(root: str, path: str, file: File) -> Any:
        packed.append(path)
        return compare_file(root, path, file)

    monkeypatch.setattr(feeds.tree, "compare_file", compare)
    town.publish(1)
    assert packed == []
    town.repository.save([Reading(tender=replace(make(CHANGED), title=TITLE))], NOW)
    town.publish(2)
    assert len(packed) == len(set(packed))
    assert f"tenders/malangkota/tender/{make(CHANGED).key}.html" in packed
