"""A database moves into another one whole or not at all; a backup comes back as it was, and refuses what is none."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import zstandard
from sqlalchemy.engine import Engine

import aggregator.copying
import aggregator.database
import warta as command_line
from aggregator.archive import Snapshot
from aggregator.backup import BackupError, restore_backup, save_backup, unpack_backup
from aggregator.config import DATABASE_URL, Config, ConfigError, Database, load_config, parse_config
from aggregator.copying import Progress, copy_database
from aggregator.database import DatabaseError, Instant, metadata, open_database, reading, visits, writing
from aggregator.filters import Filter
from aggregator.models import Kind, Reading, Sweep
from aggregator.repository import Repository
from aggregator.search import FENCE, parse_vector, render_text, render_vector
from aggregator.settling import settle_config
from aggregator.verdicts import Run, Verdict
from aggregator.visits import Counted, VisitKind, save_visits
from feeds.publish import publish
from spiders.replay import replay
from tests.databases import BOTH, Server
from tests.feed_samples import READ, TENDER
from tests.road import ALL, HEAD, WIB, Road
from tests.searched import make_tenders

ROOT = Path(__file__).parents[1]
MINUTE = timedelta(minutes=1)
SNAPSHOT = Snapshot(
    portal="malangkota",
    run=READ,
    asked="",
    method="GET",
    url="https://spse.example.go.id/",
    request_hash=b"\x00\xff",
    fetched=READ,
    status=200,
    headers="{}",
    body_hash=b"\x01" * 32,
    segment="a.zst",
    start=0,
    frame=10,
    stop=20,
)
# For tables that no crawl fills.
VALUES = ((Instant, READ), (sa.Boolean, True), (sa.LargeBinary, b"\x00\xff"), (sa.Integer, 7), (sa.String, "Á"))
Make = Callable[[str], Engine]


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes empty databases of a kind."""
    with ExitStack() as stack:

        def make_one(kind: str) -> Engine:
            if kind == "sqlite":
                address = f"sqlite:///{tmp_path}/{len(list(tmp_path.iterdir()))}.db"
            else:
                server: Server = request.getfixturevalue("postgresql")
                address = stack.enter_context(server.make_database())
            engine = open_database(address)
            stack.callback(engine.dispose)
            return engine

        yield make_one


def fill(engine: Engine) -> Repository:
    """Something in every table, more of the tenders than are in memory at once."""
    repository = Repository(engine)
    tenders = [*make_tenders(), *(replace(TENDER, key=str(number)) for number in range(30))]
    tenders.append(replace(TENDER, portal="pusat", key="1", plans=("61521911",)))  # the same purchase as another's
    tenders.append(replace(TENDER, key="aneh", title="“Aneh” \t\\ 🙂 'kata' "))
    repository.save([Reading(tender=tender, row=b"\x00\x01") for tender in tenders], READ)
    repository.save([Reading(tender=replace(tenders[0], title="Judul lain"))], READ + MINUTE)
    repository.save_listing("malangkota", Kind.TENDER, 2026, {"1", "Á", "a", "B"}, READ, complete=True)
    repository.save_run(Run(portal="malangkota", sweep=Sweep.FULL, started=READ, finished=READ, verdict=Verdict.OK))
    repository.save_snapshots([SNAPSHOT])
    save_visits(engine, {Counted(date(2026, 11, 24), VisitKind.PAGE, name): 3 for name in ("b", "A", "á")}, READ.date())
    with writing(engine) as connection:
        for table in metadata.sorted_tables:
            if connection.execute(sa.select(table)).first() is None:
                row = {
                    column.name: next(v for kind, v in VALUES if isinstance(column.type, kind)) for column in table.c
                }
                connection.execute(sa.insert(table), row)
    return repository


def read_all(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with reading(engine) as connection:
        rows = {
            name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for name, table in metadata.tables.items()
        }
    assert [name for name in rows if not rows[name]] == []
    return rows


def is_empty(engine: Engine) -> bool:
    with reading(engine) as connection:
        return not any(connection.execute(sa.select(table).limit(1)).all() for table in metadata.tables.values())


# Copies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"), [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite")]
)
def test_a_copy_is_the_same(make: Make, monkeypatch: pytest.MonkeyPatch, first: str, second: str) -> None:
    monkeypatch.setattr(aggregator.copying, "CHUNK", 20)
    source, target = make(first), make(second)
    repository = fill(source)
    told: list[tuple[str, int, int]] = []
    copied = copy_database(source, target, lambda *progress: told.append(progress))
    rows = read_all(target)
    assert rows == read_all(source)
    assert copied == {**{name: len(found) for name, found in rows.items()}, "tender_text": len(rows["tenders"])}
    assert all(0 <= done <= size for _, done, size in told)
    again = Repository(target)
    for q in ("jalan", '"jembatan dan jalan"', "trotoar OR obat", "jalan -ijen", "-jalan", "aneh kata"):
        wanted = Filter.parse({"q": q})
        assert list(again.find(wanted, READ, WIB)) == list(repository.find(wanted, READ, WIB)), q
    for each in (repository, again):  # the one goes on where the other does
        assert each.save([Reading(tender=replace(TENDER, key="1", stage="Evaluasi"))], READ + MINUTE).changed == 1
    assert repository.find_state()[:2] == again.find_state()[:2]
    assert read_all(target) == read_all(source)


@pytest.mark.parametrize("kind", BOTH)
def test_only_an_empty_database_is_filled(make: Make, kind: str) -> None:
    source, target = make("sqlite"), make(kind)
    fill(source)
    with writing(target) as connection:
        row = {"day": "2026-11-24", "kind": "page", "name": "", "reader": "", "number": 1}
        connection.execute(sa.insert(visits), row)
    with pytest.raises(DatabaseError, match=r"holds something already \(in visits\): name an empty one"):
        copy_database(source, target)
    with reading(target) as connection:
        assert connection.execute(sa.select(visits.c.number)).scalars().all() == [1]
    assert Repository(target).count(ALL, READ, WIB) == 0


@pytest.mark.parametrize(
    "damage",
    [
        "AFTER INSERT ON visits BEGIN UPDATE visits SET number = number + 1 WHERE name = 'b'; END",
        "BEFORE INSERT ON visits WHEN new.name = 'b' BEGIN SELECT RAISE(IGNORE); END",
    ],
)
def test_a_row_that_came_out_otherwise_leaves_nothing(make: Make, damage: str) -> None:
    source, target = make("sqlite"), make("sqlite")
    fill(source)
    with writing(target) as connection:
        connection.exec_driver_sql(f"CREATE TRIGGER damage {damage}")
    with pytest.raises(DatabaseError, match=r"row 2026-11-24, page, b, .*of visits came out otherwise than it was"):
        copy_database(source, target)
    assert is_empty(target)


@pytest.mark.parametrize("kind", BOTH)
def test_what_is_written_meanwhile_is_not_in_the_copy(make: Make, kind: str) -> None:
    source, target = make(kind), make("sqlite")
    repository = fill(source)
    before = read_all(source)

    def write(name: str, _done: int, _size: int) -> None:
        if name == "tenders":
            repository.save([Reading(tender=replace(TENDER, key="baru"))], READ + MINUTE)

    copy_database(source, target, write)
    assert read_all(target) == before
    assert repository.count(ALL, READ, WIB) == Repository(target).count(ALL, READ, WIB) + 1


@pytest.mark.parametrize("kind", BOTH)
def test_a_copy_that_is_killed_leaves_nothing(make: Make, kind: str) -> None:
    source, target = make("sqlite"), make(kind)
    fill(source)
    code = (
        "import os, signal, sys; from aggregator.copying import copy_database\n"
        "from aggregator.database import open_database\n"
        "def die(name, done, size):\n    if name == 'releases': os.kill(os.getpid(), signal.SIGKILL)\n"
        "copy_database(open_database(sys.argv[1]), open_database(sys.argv[2]), die)"
    )
    addresses = [each.url.render_as_string(hide_password=False) for each in (source, target)]
    killed = subprocess.run([sys.executable, "-c", code, *addresses], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert is_empty(target)
    copy_database(source, target)
    assert read_all(target) == read_all(source)


def test_a_vector_is_told_back_in_words() -> None:
    text = render_text(["Jalan jalan, danau", "Jalan", *["kata"] * 300, "akhir"])
    told = parse_vector(" ".join(sorted(render_vector(text).split(" "))))  # PostgreSQL has its own order
    assert told == text
    assert parse_vector(render_vector(FENCE)) == FENCE


# The verbs ---------------------------------------------------------------------------------------------


Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(road: Road, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs the command line in the folder of a road; exit code, and all that it said."""
    table = road.table.replace("{url}", road.server.url + road.source.prefix)
    (road.config.folder / "warta.toml").write_text(HEAD + table, encoding="utf-8")
    monkeypatch.chdir(road.config.folder)
    opened: list[Engine] = []

    def open_noted(address: str) -> Engine:
        opened.append(open_database(address))
        return opened[-1]

    monkeypatch.setattr(aggregator.database, "open_database", open_noted)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["warta", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            command_line.main()
        for engine in opened:
            engine.dispose()
        return int(end.value.code or 0), "".join(capsys.readouterr())

    return run


def read_tree(config: Config, repository: Repository, road: Road) -> dict[str, bytes]:
    publish(config, repository, road.now + MINUTE)
    root = config.public_folder
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("[!.]*") if path.is_file()}


def test_moving_and_back(road: Road, say: Say, postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    road.crawl()
    _, export = say("export", "--format", "jsonl")
    with postgresql.make_database() as address:
        url = sa.make_url(address).set(password="geheim").render_as_string(hide_password=False)
        code, told = say("db", "move", "--to", url)
        assert (code, "tenders: 36 rows" in told, "geheim" in told) == (0, True, False), told
        assert "put the new address in url under [database] in warta.toml" in told
        code, told = say("db", "move", "--to", url)
        assert (code, told.count("\n")) == (2, 1)
        assert "holds something already (in tenders): name an empty one" in told
        monkeypatch.setenv(DATABASE_URL, url)
        assert say("export", "--format", "jsonl") == (0, export)
        assert say("db", "move", "--to", url)[0] == 2  # into itself
        assert say("db", "move", "--to", "sqlite:///back.db")[0] == 0
    monkeypatch.setenv(DATABASE_URL, "sqlite:///back.db")
    assert say("export", "--format", "jsonl") == (0, export)
    assert (road.config.folder / "back.db").exists()


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:"])
def test_nothing_is_moved_into_memory(road: Road, say: Say, address: str) -> None:
    road.crawl()
    code, told = say("db", "move", "--to", address)
    assert (code, told.count("\n")) == (2, 1), told
    assert "lies in memory, and would be gone; name a file" in told
    assert list(road.config.folder.glob(":memory:*")) == []


def test_nothing_is_moved_into_itself(
    road: Road, say: Say, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever address: at once, not after half a minute of waiting for itself."""
    monkeypatch.setattr(aggregator.database, "LOCK_PATIENCE", 0.01)
    road.crawl()
    folder = road.config.folder
    (folder / "link").symlink_to("var")
    for address in ("sqlite:///link/warta.db", f"sqlite:///{folder}//var/../var/warta.db"):
        code, told = say("db", "move", "--to", address)
        assert (code, "is the configured database itself" in told, told.count("\n")) == (2, True, 1), told
    with postgresql.make_database() as made:
        monkeypatch.setenv(DATABASE_URL, made)
        road.config = load_config(folder / "warta.toml")
        open_database(made).dispose()
        code, told = say("db", "move", "--to", sa.make_url(made).set(password="geheim").render_as_string(False))
        assert (code, "is the configured database itself" in told, "geheim" in told) == (2, True, False), told


def test_there_is_nothing_to_move_yet(road: Road, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_URL, "sqlite:///none.db")
    for verb in (["db", "move", "--to", "sqlite:///x.db"], ["backup", "x.tar"]):
        code, told = say(*verb)
        assert (code, "there is no database" in told, told.count("\n")) == (2, True, 1)
    assert not (road.config.folder / "none.db").exists()


@pytest.mark.parametrize("kind", BOTH)
def test_a_backup_comes_back_whole(
    kind: str, road: Road, say: Say, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.crawl()
    opened = road.world.open("tender")
    road.world.reprice(opened[0].key)
    road.crawl(Sweep.OPEN)
    _, export = say("export", "--format", "jsonl")
    tree = read_tree(road.config, road.repository, road)
    code, told = say("backup", "--archive", "kept.tar.zst")
    assert (code, told.startswith("kept.tar.zst: ")) == (0, True), told
    assert (road.config.folder / "kept.tar.zst").stat().st_mode & 0o777 == 0o600
    assert list(road.config.folder.glob(".warta-*")) == []

    new = road.config.folder / "new"
    if kind == "postgresql":
        monkeypatch.setenv(DATABASE_URL, make(kind).url.render_as_string(hide_password=False))
    code, told = say("restore", "kept.tar.zst", "new")
    assert (code, "tenders: 36 rows" in told) == (0, True), told
    assert say("--config", "new/warta.toml", "export", "--format", "jsonl") == (0, export)
    config = load_config(new / "warta.toml")
    repository = Repository(open_database(config.database_url))
    assert read_tree(config, repository, road) == tree
    (run,) = replay(config, config.portal, repository, None, road.now)  # from the archive that came back
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 0, 0)
    road.config, road.repository, last = config, repository, repository.find_newest_seq()
    road.world.reprice(opened[1].key)
    run = road.crawl(Sweep.OPEN)
    assert (run.new, run.changed, repository.find_newest_seq()) == (0, 1, last + 1)
    assert list(new.glob(".warta-*")) == []
    repository.engine.dispose()


def test_a_drill_leaves_what_lives_alone(
    road: Road, say: Say, postgresql: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever the configuration of the backup names, all comes into the new folder, and stays there."""
    folder, live = road.config.folder, tmp_path / "live"
    with postgresql.make_database() as made:
        address = sa.make_url(made).set(password="ge%heim").render_as_string(hide_password=False)
        with (folder / "warta.toml").open("a", encoding="utf-8") as file:
            file.write(f'[database]\nurl = "{address}"  # the live one\n')
            file.write(f"[publish]\ndirectory = '{live}/tree'\n")
        text = (folder / "warta.toml").read_text(encoding="utf-8")
        (folder / "warta.toml").write_text(text.replace("[crawl]", f'[crawl]\narchive = "{live}/archive"'))
        config = load_config(folder / "warta.toml")
        road.config, road.repository = config, Repository(open_database(made))
        road.crawl()
        road.repository.engine.dispose()
        _, export = say("export", "--format", "jsonl")
        assert say("backup", "--archive", "kept.tar.zst")[0] == 0
        kept = {path: path.read_bytes() for path in live.rglob("*.zst")}
        code, told = say("restore", "kept.tar.zst", "drill")
        assert (code, "heim" in told) == (0, False), told
        assert "database.url was postgresql+psycopg://" in told
        assert f"publish.directory was {live}/tree; in drill/warta.toml it is var/public" in told
        assert f"The database is sqlite:///{folder}/drill/var/warta.db." in told
    drill = load_config(folder / "drill/warta.toml")  # the live one is gone by now
    assert say("--config", "drill/warta.toml", "export", "--format", "jsonl") == (0, export)
    assert say("--config", "drill/warta.toml", "publish")[0] == 0
    assert (drill.public_folder, drill.archive_folder) == (folder / "drill/var/public", folder / "drill/var/archive")
    assert sorted(path.name for path in drill.archive_folder.glob("*.zst")) == sorted(path.name for path in kept)
    assert {path: path.read_bytes() for path in live.rglob("*.zst")} == kept
    assert not (live / "tree").exists()
    assert "# Before it was restored here: url = " in (folder / "drill/warta.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "tables",
    [
        'database = { url = "postgresql+psycopg:///warta" }\n',
        'database.url = "postgresql+psycopg:///warta"\n',
        "[database]\nurl = 'postgresql+psycopg:///warta'\n",
        '# url = "postgresql+psycopg:///warta"\n[database]\n"url"="postgresql+psycopg:///warta" # live\n',
        '[database]\nurl = "sqlite:////srv/warta/var/warta.db"\n',
        '[database]\nurl = "sqlite:///../warta.db"\n',
    ],
)
def test_a_database_outside_of_the_folder_is_named_inside(tables: str, tmp_path: Path) -> None:
    text = tables + HEAD if tables.startswith("database") else HEAD + tables
    path = tmp_path / "warta.toml"
    settled, told = settle_config(text, path, has_database=False)
    before, after = parse_config(text, path), parse_config(settled, path)
    assert after == before.model_copy(update={"database": Database()})
    assert len(told) == 1
    assert settle_config(settled, path, has_database=False) == (settled, [])
    assert settle_config(text, path, has_database=True) == (text, [])


def test_what_lies_in_the_folder_stays_and_what_is_not_understood_is_told(tmp_path: Path) -> None:
    path = tmp_path / "warta.toml"
    text = HEAD + '[database]\nurl = "sqlite:///mine/warta.db"\n[publish]\ndirectory = "tree"\n'
    assert settle_config(text, path, has_database=False) == (text, [])
    odd = HEAD + '[database]\nurl = """\\\npostgresql+psycopg:///warta"""\n'
    with pytest.raises(ConfigError, match=r"database\.url of the backup names a place outside of its folder, written"):
        settle_config(odd, path, has_database=False)


def test_a_restore_that_is_refused_leaves_no_folder(
    road: Road, say: Say, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.crawl()
    folder = road.config.folder
    assert say("backup", "kept.tar.zst")[0] == 0
    (folder / "cut.tar.zst").write_bytes((folder / "kept.tar.zst").read_bytes()[:5000])
    code, told = say("restore", "cut.tar.zst", "a/new")
    assert (code, told.count("\n")) == (2, 1), told
    assert "cut.tar.zst cannot be restored: it was cut short or damaged, or is no backup; nothing was written" in told
    assert not (folder / "a").exists()
    monkeypatch.setenv(DATABASE_URL, f"sqlite:///{folder}/var/warta.db")
    code, told = say("restore", "kept.tar.zst", "new")
    assert (code, told.count("\n")) == (2, 1), told
    assert f"holds something already (in tenders): name an empty one; nothing was written ({DATABASE_URL} names" in told
    assert not (folder / "new").exists()
    (folder / "mine").mkdir()
    assert say("restore", "kept.tar.zst", "mine")[0] == 2
    assert list((folder / "mine").iterdir()) == []  # what was there before stays


def test_restoring_refuses_to_write_over_anything(road: Road, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    road.crawl()
    assert say("backup", "kept.tar", "--archive")[0] == 0
    for arguments, why in (
        (["restore", "kept.tar"], "holds something already (in tenders)"),
        (["restore", "kept.tar", "."], "warta.toml is there already; name another folder"),
        (["restore", "none.tar", "new"], "none.tar: no such file"),
        (["backup", "kept.tar"], "kept.tar is there already, and a backup overwrites nothing"),
        (["backup", "kept.zip"], "name it as in warta-2026-11-24.tar.zst"),
        (["backup", "no/kept.tar"], "no: no such folder"),
    ):
        code, told = say(*arguments)
        assert (code, why in told, told.count("\n")) == (2, True, 1), told
    segment = next(road.config.archive_folder.glob("*.zst"))
    monkeypatch.setenv(DATABASE_URL, "sqlite:///other.db")
    assert say("restore", "kept.tar")[0] == 0  # the archive is there already and the same
    monkeypatch.setenv(DATABASE_URL, "sqlite:///third.db")
    segment.write_bytes(segment.read_bytes() + b"x")
    code, told = say("restore", "kept.tar")
    assert (code, "is there already and differs" in told) == (2, True), told
    assert is_empty(open_database(f"sqlite:///{road.config.folder}/third.db"))


# Files that are no backup ------------------------------------------------------------------------------


def pack(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for info, body in members:
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return path


def assert_refused(path: Path, place: Path, why: str = "") -> None:
    told = pytest.raises(BackupError, match=rf"cannot be restored: .*{why}.*; nothing was written")
    with told, unpack_backup(path, place):
        pytest.fail("it was unpacked")


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        *map(
            member, ("../evil", "/tmp/evil", "archive/../../evil.zst", "archive/.lock", "archive/a/b.zst", "warta.py")
        ),
        *(member("warta.db", kind, "/etc/passwd") for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)),
        member("archive", tarfile.DIRTYPE),
        member("archive", tarfile.SYMTYPE, "/tmp"),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_nothing_of_a_hostile_file_is_written(hostile: tarfile.TarInfo, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    path = pack(tmp_path / "hostile.tar", [(hostile, b""), (member("warta.toml"), b"")])
    assert_refused(path, place, "which no backup of this program does")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["hostile.tar", "place"]
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("suffix", [".tar", ".tar.zst"])
def test_a_damaged_backup_is_told(config_file: Path, config: Config, tmp_path: Path, suffix: str) -> None:
    repository = fill(open_database(config.database_url))
    path = tmp_path / f"kept{suffix}"
    save_backup(path, config_file, config, repository, raw=False)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[: len(whole) * 9 // 10], b"", b"Rapat pukul sembilan. " * 100):
        path.write_bytes(damaged)
        assert_refused(path, tmp_path)
    if suffix == ".tar":
        place = whole.index(b"Judul lain")
        path.write_bytes(whole[:place] + b"J" + whole[place + 1 :].replace(b"Judul lain", b"Judul baru", 1))
        assert_refused(path, tmp_path, r"it is damaged: warta\.db is not what SHA256SUMS says")


def test_a_database_that_did_not_come_into_one_file_is_no_backup(
    config_file: Path, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite brings its log into the file when the last connection closes; where that fails, it says nothing."""
    with ExitStack() as stack:

        def copy(source: Engine, target: Engine, on_progress: Progress | None) -> dict[str, int]:
            copied = copy_database(source, target, on_progress)
            reader = stack.enter_context(closing(sqlite3.connect(str(target.url.database))))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM tenders")
            return copied

        monkeypatch.setattr("aggregator.backup.copy_database", copy)
        repository = fill(open_database(config.database_url))
        path = tmp_path / "x.tar.zst"
        with pytest.raises(DatabaseError) as told:
            save_backup(path, config_file, config, repository, raw=False)
    assert str(told.value) == f"database in {path} cannot be written; is its disk full, or broken?"
    assert not path.exists()


def test_a_backup_can_be_looked_into(config_file: Path, config: Config, tmp_path: Path) -> None:
    repository = fill(open_database(config.database_url))
    path = tmp_path / "kept.tar.zst"
    save_backup(path, config_file, config, repository, raw=True)
    with (
        path.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        tar.extractall(tmp_path / "look", filter="data")
    assert sorted(os.listdir(tmp_path / "look")) == ["SHA256SUMS", "warta.db", "warta.toml"]
    summed = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "look", check=False)
    assert summed.returncode == 0
    assert (tmp_path / "look/warta.toml").read_bytes() == config_file.read_bytes()


def test_the_backup_of_an_older_program_is_brought_up_to_date(
    config_file: Path, config: Config, tmp_path: Path, make: Make
) -> None:
    """And one of a newer program is refused."""
    repository = fill(open_database(config.database_url))
    path = tmp_path / "kept.tar"
    save_backup(path, config_file, config, repository, raw=False)
    empty = config.model_copy(update={"folder": tmp_path / "elsewhere"})
    with unpack_backup(path, tmp_path) as unpacked:
        made = open_database(f"sqlite:///{unpacked.folder}/warta.db")
        with writing(made) as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        made.dispose()
        with pytest.raises(DatabaseError, match="was made by a newer version of this program"):
            restore_backup(unpacked, empty)
    assert is_empty(open_database(empty.database_url))
