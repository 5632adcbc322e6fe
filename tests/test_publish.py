"""The published tree: complete, atomic, and untouched where nothing changed."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from aggregator.config import Config, load_config
from aggregator.database import DatabaseError, open_database
from aggregator.models import Award, Category, Kind, Method, Money, Reading, Status, Sweep, Tender
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from feeds.addresses import DATA
from feeds.publish import publish
from feeds.serving.files import is_large
from feeds.tree import MANIFEST, Published
from tests.feed_samples import READ, TENDER

NOW = READ + timedelta(minutes=5)
SECOND = timedelta(seconds=1)
FIRST_DAY = datetime(2025, 12, 31, 17, tzinfo=UTC)  # publisher.since in Malang: of a feed without entries
FORMATS = ("rss", "atom", "json", "ics", "html")

OPEN = [
    TENDER,
    replace(TENDER, key="2", title="Obat & Alat", category=Category.GOODS, procuring_entity="Dinas Kesehatan"),
    replace(TENDER, key="3", kind=Kind.NON_TENDER, method=Method.DIRECT, deadline=None),
    replace(TENDER, key="4", title="Mendesak", deadline=NOW + timedelta(hours=2)),
]


def read(repository: Repository, *tenders: Tender, now: datetime = READ, verdict: Verdict = Verdict.OK) -> None:
    """A crawl of the one portal that read these."""
    repository.save([Reading(tender=tender) for tender in tenders], now)
    run = Run(portal="malangkota", sweep=Sweep.OPEN, started=now, finished=now + SECOND, verdict=verdict)
    repository.save_run(run)


def files(root: Path) -> dict[str, bytes]:
    """What visitors can see, without the twins."""
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    twins = {f"{name}.gz" for name in found}
    return {name: path.read_bytes() for name, path in found.items() if name not in twins and "/." not in f"/{name}"}


def drop(found: dict[str, bytes], names: set[str]) -> dict[str, bytes]:
    return {name: body for name, body in found.items() if name not in names}


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """When each file was written, twins too; the time of the manifest moves with every publish."""
    paths = [path for path in root.rglob("*") if path.is_file() and path.name != MANIFEST]
    return {path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}


def changes(root: Path, act: Callable[[], Published]) -> tuple[Published, set[str]]:
    """What ``act`` reports, and the files whose bytes it changed."""
    before = files(root)
    done = act()
    after = files(root)
    return done, {name for name in before | after if before.get(name) != after.get(name)}


def times(root: Path, feed: str) -> set[datetime]:
    paths = [root / f"feeds/{feed}.{form}" for form in FORMATS]
    twins = [path.with_name(f"{path.name}.gz") for path in paths]
    return {datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in paths + twins}


@pytest.fixture
def root(config: Config) -> Path:
    return config.public_folder


def test_the_tree(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    done = publish(config, repository, NOW)
    general = {"semua", "perubahan", "tenggat", "pemenang", "batal-ulang", "status"}
    slices = {"jenis-konstruksi", "jenis-barang", "metode-terbuka", "metode-langsung"}
    units = {"satker-dpuprpkp", "satker-dinas-kesehatan"}
    found = files(root)
    for feed in general | slices | units:
        for form in FORMATS:
            assert found[f"feeds/{feed}.{form}"]
    assert not {"feeds/rup.rss", "feeds/berita.rss"} & set(found)  # nobody tells of plans or news
    for name in ("index.html", "status.html", "status.json", "feeds.opml", "feeds/index.html", "robots.txt"):
        assert found[name]
    assert done == Published(written=len(found))


def test_every_file_has_its_twin_and_reads_as_what_it_is(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    for name, body in files(root).items():
        twin = root / f"{name}.gz"
        assert name == "robots.txt" or is_large(name) or gzip.decompress(twin.read_bytes()) == body
        if name.endswith((".rss", ".atom", ".opml", ".svg")):
            etree.fromstring(body)
        if name.endswith(".json"):
            json.loads(body)
    assert [item["title"] for item in json.loads(files(root)["feeds/semua.json"])["items"]][-1] == TENDER.title


def test_nothing_changed_nothing_written(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    first = publish(config, repository, NOW)
    before = stamps(root)
    for later in (SECOND, timedelta(hours=1)):
        assert publish(config, repository, NOW + later) == Published(unchanged=first.written)
    assert stamps(root) == before


def test_another_process_finds_nothing_changed_either(config: Config, repository: Repository, root: Path) -> None:
    """Fingerprints must not depend on the order of sets, which differs from process to process."""
    read(repository, *OPEN)
    publish(config, repository, NOW)
    code = (
        "import sys; from datetime import datetime; from pathlib import Path\n"
        "from tests.test_publish import *\n"
        "config = load_config(Path(sys.argv[1]))\n"
        "print(publish(config, Repository(open_database(config.database_url)), NOW))"
    )
    command = [sys.executable, "-c", code, str(config.folder / "warta.toml")]
    told = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    assert told.stdout == f"{Published(unchanged=len(files(root)))}\n"


def test_the_time_of_a_feed_is_its_newest_change(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    later = replace(OPEN[1], value=Money(Decimal(1)))
    read(repository, later, now=READ + timedelta(minutes=2))
    publish(config, repository, NOW)
    assert times(root, "jenis-barang") == {READ + timedelta(minutes=2)}
    assert times(root, "pemenang") == {FIRST_DAY}


def test_one_changed_tender_rewrites_only_what_shows_it(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    read(repository, replace(OPEN[1], value=Money(Decimal(1))), now=READ + timedelta(minutes=1))
    _, changed = changes(root, lambda: publish(config, repository, NOW + SECOND))
    feeds = {"semua", "perubahan", "jenis-barang", "metode-terbuka", "satker-dinas-kesehatan"}
    expected = {f"feeds/{feed}.{form}" for feed in feeds for form in FORMATS} | {f"embed/{feed}.html" for feed in feeds}
    expected |= {"statistik.html", "statistik/2026.csv", "cari.json", "sitemap.xml"}
    expected |= {"tenders/malangkota/tender/2.html", "tenders/malangkota/tender/2.ics"}
    assert changed == expected | {"index.html", "status.html", "status.json", "feeds.opml"}


def test_a_quiet_crawl_rewrites_only_the_reading_times(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    read(repository, *OPEN, now=READ + timedelta(minutes=1))
    done, changed = changes(root, lambda: publish(config, repository, NOW + SECOND))
    assert changed == {"index.html", "status.html", "status.json"}
    assert done.written == 3


def test_a_day_that_passes_moves_its_package(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    assert b"Mendesak" in files(root)["feeds/tenggat.rss"]
    _, changed = changes(root, lambda: publish(config, repository, NOW + timedelta(hours=3)))
    assert b"Mendesak" not in files(root)["feeds/tenggat.rss"]
    for name in ("feeds/semua.rss", "feeds/semua.ics"):
        assert b"Mendesak" in files(root)[name]  # open until the portal says otherwise
    assert "index.html" in changed
    assert "feeds/semua.rss" not in changed
    page = files(root)["index.html"].decode()
    assert page.index("sudah ditutup") < page.index(">Mendesak<")


def test_a_feed_that_lost_an_entry_has_a_later_time(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    before = (root / "feeds/tenggat.rss").stat().st_mtime_ns
    publish(config, repository, NOW + timedelta(hours=3))
    assert (root / "feeds/tenggat.rss").stat().st_mtime_ns > before


def test_plans_and_news_are_published_once_there_are_any(config: Config, repository: Repository, root: Path) -> None:
    news = replace(TENDER, kind=Kind.NEWS, title="Bimbingan teknis", description="Undangan bagi penyedia.")
    read(repository, *OPEN)
    publish(config, repository, NOW)
    read(repository, news, replace(TENDER, kind=Kind.PLAN, key="77"), now=READ + timedelta(minutes=1))
    publish(config, repository, NOW + SECOND)
    found = files(root)
    (plan,) = json.loads(found["feeds/rup.json"])["items"]
    assert plan["summary"].startswith("Rencana 2026: pagu Rp6")
    (item,) = json.loads(found["feeds/berita.json"])["items"]
    assert item["content_html"].startswith("<p>Undangan bagi penyedia.</p><p>Sumber: ")
    assert b"feeds/berita.rss" in found["feeds.opml"]


def test_what_is_past_its_deadline_counts_as_open_no_more(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    assert "<b>3 paket</b> · 1 belum berjadwal · jumlah HPS" in files(root)["index.html"].decode()
    publish(config, repository, NOW + timedelta(hours=3))
    assert "<b>2 paket</b> · 1 belum berjadwal · 1 lagi dalam proses · jumlah HPS" in files(root)["index.html"].decode()
    assert "2 paket belum ditutup sekarang" in files(root)["feeds/semua.html"].decode()
    packages = {feed["id"]: feed["packages"] for feed in json.loads(files(root)["status.json"])["feeds"]}
    assert (packages["semua"], packages["perubahan"]) == (2, None)


def test_news_of_changes(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    won = replace(OPEN[0], status=Status.COMPLETE, awards=(Award(supplier="CV Contoh"),))
    read(repository, won, now=READ + timedelta(minutes=1))
    publish(config, repository, NOW)
    items = json.loads(files(root)["feeds/perubahan.json"])["items"]
    assert [item["title"].partition(":")[0] for item in items] == ["Pemenang ditetapkan"] + ["Paket baru"] * 4
    assert json.loads(files(root)["feeds/pemenang.json"])["items"] == items[:1]


def test_a_failing_portal_is_told(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    read(repository, now=READ + timedelta(minutes=1), verdict=Verdict.BLOCKED)
    publish(config, repository, NOW)
    assert [i["title"] for i in json.loads(files(root)["feeds/status.json"])["items"]] == [
        "Terblokir: LPSE Kota Malang"
    ]
    status = json.loads(files(root)["status.json"])
    assert [(p["id"], p["verdict"], p["read"]) for p in status["portals"]] == [
        ("malangkota", "blocked", "2026-11-24T09:40:01+07:00")
    ]
    assert "gagal dibaca; isinya dari" in files(root)["index.html"].decode()


def test_a_feed_taken_out_goes_and_foreign_files_stay(config_file: Path, repository: Repository) -> None:
    plain = config_file.read_text()
    config_file.write_text(plain + '\n[[feed]]\nid = "kami"\ntitle = "Kami"\nfilter = { q = "drainase" }\n')
    read(repository, *OPEN)
    config = load_config(config_file)
    root = config.public_folder
    publish(config, repository, NOW)
    assert b"Drainase" in files(root)["feeds/kami.rss"]
    (root / "feeds/foreign.rss").write_bytes(b"foreign")
    config_file.write_text(plain)
    done, changed = changes(root, lambda: publish(load_config(config_file), repository, NOW + SECOND))
    assert done.removed == 7, "with its two files for embeds"
    assert {"embed/kami.html", "embed/kami.json", *(f"feeds/kami.{form}" for form in FORMATS)} <= changed
    assert not list(root.glob("feeds/kami*"))
    assert (root / "feeds/foreign.rss").exists()


def test_a_portal_taken_out_is_published_no_more(config: Config, repository: Repository, root: Path) -> None:
    read(
        repository, *OPEN, replace(TENDER, portal="elsewhere", title="Dari tempat lain", awards=(Award(supplier="X"),))
    )
    repository.save_run(Run(portal="elsewhere", sweep=Sweep.OPEN, started=READ, finished=READ, verdict=Verdict.FAILED))
    publish(config, repository, NOW)
    assert not [name for name, body in files(root).items() if b"tempat lain" in body or b"elsewhere" in body]


def test_sample_data_is_marked_on_every_page(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    _, changed = changes(root, lambda: publish(config, repository, NOW, sample=True))
    pages = {name for name in files(root) if name.endswith(".html")}
    assert changed == pages | {"sitemap.xml", "status.json"}
    assert all("Data contoh" in files(root)[name].decode() for name in pages)


def test_an_empty_database(config: Config, repository: Repository, root: Path) -> None:
    publish(config, repository, NOW)
    assert "Belum ada paket terbuka" in files(root)["index.html"].decode()
    assert "belum pernah berhasil dibaca" in files(root)["index.html"].decode()
    assert "Belum ada isi; umpan ini aktif." in files(root)["feeds/semua.html"].decode()


def test_another_folder(config: Config, repository: Repository, tmp_path: Path) -> None:
    publish(config, repository, NOW, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/index.html").exists()
    assert not config.public_folder.exists()


def test_a_long_list_has_pages(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *(replace(TENDER, key=f"{number}", title=f"Paket {number}") for number in range(70)))
    publish(config, repository, NOW)
    found = files(root)
    listed = [found[name].decode() for name in ("index.html", "paket/2.html", "paket/3.html")]
    assert [page.count('<li class="row">') for page in listed] == [30, 30, 10]
    assert 'href="paket/2.html"' in listed[0]
    assert 'href="../index.html"' in listed[1]
    assert 'href="../paket/3.html"' in listed[1]
    read(
        repository,
        *(replace(TENDER, key=f"{n}", title=f"Paket {n}", status=Status.COMPLETE) for n in range(50)),
        now=NOW,
    )
    publish(config, repository, NOW + SECOND)
    assert not [name for name in files(root) if name.startswith("paket/")]


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Makes the process "die" at the n-th rename."""
    real = Path.replace

    def die_at(count: int) -> None:
        left = count

        def replace_or_die(self: Path, target: Any) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace_or_die)

    yield die_at
    monkeypatch.setattr(Path, "replace", real)


@pytest.mark.parametrize("renames", [0, 1, 2, 7, 40, 41])
def test_a_publish_cut_short_is_mended_by_the_next(
    config: Config, repository: Repository, root: Path, dying: Callable[[int], None], renames: int
) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    old = files(root)
    read(repository, replace(OPEN[0], title="Judul baru"), now=READ + timedelta(minutes=1))
    later = NOW + SECOND
    publish(config, repository, later, root.with_name("fresh"))
    new = files(root.with_name("fresh"))
    dying(renames)
    with pytest.raises(KeyboardInterrupt):
        publish(config, repository, later)
    assert all(body in {old.get(name), new.get(name)} for name, body in files(root).items())
    dying(1000)
    publish(config, repository, later)
    today = {name for name in new if name.startswith(DATA)}  # written once a day: these are the first publish's
    assert drop(files(root), today) == drop(new, today)
    assert not list(root.rglob("*.tmp"))


def test_two_publishes_at_once(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    done: list[Published] = []

    def run() -> None:
        own = Repository(open_database(config.database_url))
        done.append(publish(config, own, NOW))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = len(files(root))
    assert sorted((each.written, each.unchanged) for each in done) == [(0, count), (0, count), (count, 0)]


def test_a_lost_manifest_only_costs_time(config: Config, repository: Repository, root: Path) -> None:
    read(repository, *OPEN)
    first = publish(config, repository, NOW)
    (root / MANIFEST).unlink()
    assert publish(config, repository, NOW) == Published(unchanged=first.written)
    shutil.rmtree(root)
    assert publish(config, repository, NOW) == first


def test_an_empty_database_empties_no_site(config: Config, repository: Repository, tmp_path: Path) -> None:
    """Its address is misspelt, or its file was lost: a publish would remove every page."""
    read(repository, TENDER)
    publish(config, repository, READ)
    before = files(config.public_folder)
    empty = Repository(open_database(f"sqlite:///{tmp_path / 'other.db'}"))
    with pytest.raises(DatabaseError, match=r"holds no tender, and .* shows some: put the database back"):
        publish(config, empty, READ)
    assert files(config.public_folder) == before
