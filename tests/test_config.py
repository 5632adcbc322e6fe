"""aggregator/config.py: what warta.toml says, and that each mistake is named with its line, key and mend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.config import DATABASE_URL, Config, ConfigError, load_config, parse_config, parse_duration
from aggregator.filters import Filter
from aggregator.models import Category, Kind

HERE = Path("/srv/warta/warta.toml")
PUBLISHER = """\
[publisher]
name = "BLP Kota Malang"
url = "https://blp.malangkota.go.id/umpan/"
authority = "blp.malangkota.go.id"
since = "2026-01-01"
"""
PORTAL = """
[[portal]]
id = "malangkota"
family = "spse"
name = "LPSE Kota Malang"
url = "https://spse.inaproc.id/malangkota"
"""
NOTIFY = '[[notify]]\nid = "operator"\nurl = "env:WARTA_MAIL"\non = "failures"\n\n'


def parse(text: str) -> Config:
    return parse_config(PUBLISHER + text, HERE)


def mistake(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, HERE)
    return str(caught.value)


def test_the_shipped_configuration_loads() -> None:
    config = load_config(Path(__file__).parents[1] / "warta.toml")
    assert config.publisher.name == "BLP Kota Malang"
    enabled = [portal.id for portal in config.portal if portal.enabled]
    assert enabled == ["malangkota", "malangkab", "batukota"]
    spse = [portal for portal in config.portal if portal.family == "spse"]
    assert all(portal.url == f"https://spse.inaproc.id/{portal.id}" for portal in spse)
    assert {portal.enabled for portal in config.portal if portal.family != "spse"} == {False}
    assert [feed.id for feed in config.feed] == ["konstruksi-jalan", "paket-kecil", "perubahan-konstruksi"]


def test_a_portal_needs_five_lines() -> None:
    portal = parse(PORTAL).find_portal("malangkota")
    assert portal.host == "spse.inaproc.id"
    assert (portal.every, portal.full_every, portal.refresh) == (
        timedelta(minutes=15),
        timedelta(hours=24),
        timedelta(hours=6),
    )
    assert portal.enabled


def test_years_are_told_in_the_portals_own_zone() -> None:
    portal = parse(PORTAL + 'timezone = "Asia/Jayapura"\nyears = ["current", "previous", 2024, 2026]\n').portal[0]
    new_year_in_papua = datetime(2026, 12, 31, 15, 30, tzinfo=UTC)
    assert portal.fiscal_years(new_year_in_papua) == (2027, 2026, 2024)


def test_a_feed_holds_a_filter() -> None:
    feed = parse('[[feed]]\nid = "jalan"\ntitle = "Jalan"\nfilter = { category = "works", kind = ["tender"] }\n').feed[
        0
    ]
    assert feed.filter == Filter(category=(Category.WORKS,), kind=(Kind.TENDER,))


def test_paths_are_told_from_the_folder_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATABASE_URL, raising=False)
    config = parse("")
    assert config.public_folder == Path("/srv/warta/var/public")
    assert config.archive_folder == Path("/srv/warta/var/archive")
    assert config.lock_folder == Path("/srv/warta/var/locks")
    assert config.database_url == "sqlite:////srv/warta/var/warta.db"


def test_the_environment_overrides_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_URL, "postgresql+psycopg://warta@db/warta")
    assert parse("").database_url == "postgresql+psycopg://warta@db/warta"
    monkeypatch.setenv(DATABASE_URL, "sqlite:///other.db")
    assert parse("").database_url == "sqlite:////srv/warta/other.db"


def test_the_agent_is_honest_and_begins_as_spse_wants_it() -> None:
    agent = parse("").user_agent
    assert agent.startswith("Mozilla/")
    assert "WartaPengadaan" in agent
    assert "https://blp.malangkota.go.id/umpan/" in agent


@pytest.mark.parametrize(
    ("text", "line", "key", "mend"),
    [
        (PUBLISHER + 'nama = "BLP"\n', 6, "publisher.nama", "unknown key; check its spelling or remove it"),
        (PUBLISHER.replace('name = "BLP Kota Malang"\n', ""), 1, "publisher.name", "is missing; add it"),
        (PUBLISHER.replace("https://", ""), 3, "publisher.url", "write it with https:// in front"),
        (PUBLISHER.replace("umpan/", "umpan feed/"), 3, "publisher.url", "has a space in it"),
        (PUBLISHER.replace("umpan/", "umpan/?a=b/"), 3, "publisher.url", "has a ? or #"),
        (PUBLISHER.replace("umpan/", "umpan/#a/"), 3, "publisher.url", "has a ? or #"),
        (PUBLISHER + PORTAL.replace("/malangkota", "/Kota Batu"), 11, "portal.1.url", "has a space in it"),
        (PUBLISHER.replace("umpan/", "umpan"), 1, "publisher", "url must end with '/'"),
        (PUBLISHER.replace('"blp.malangkota.go.id"', '"BLP"'), 4, "publisher.authority", "'BLP' must match"),
        (PUBLISHER + 'language = "jv"\n', 6, "publisher.language", "'jv' is not one of 'id' or 'en'"),
        (PUBLISHER + 'timezone = "WIB"\n', 6, "publisher.timezone", "Asia/Jakarta, Asia/Makassar, Asia/Jayapura"),
        (PUBLISHER + "[crawl]\ndelay = -1\n", 7, "crawl.delay", "greater than or equal to 0"),
        (PUBLISHER + '[crawl]\nuser_agent = "curl/8"\n', 7, "crawl.user_agent", "must match ^Mozilla/"),
        (PUBLISHER + "[crawler]\ndelay = 1\n", 6, "crawler", "unknown key"),
        (PUBLISHER + PORTAL + 'every = "15"\n', 12, "portal.1.every", "as in '15m'"),
        (PUBLISHER + PORTAL + 'kinds = ["lelang"]\n', 12, "portal.1.kinds.1", "'lelang' is not one of 'tender'"),
        (PUBLISHER + PORTAL + 'years = ["next"]\n', 12, "portal.1.years.1", "'current' or 'previous'"),
        (PUBLISHER + PORTAL + PORTAL.replace('"spse"', '"SPSE"'), 15, "portal.2.family", "must match"),
        (PUBLISHER + PORTAL + PORTAL, 14, "portal.2.id", "'malangkota' stands twice; give each its own"),
        (PUBLISHER + 2 * NOTIFY, 12, "notify.2.id", "'operator' stands twice; give each its own"),
        (PUBLISHER + PORTAL + 'every = "0m"\n', 12, "portal.1.every", "is no time at all"),
        (PUBLISHER + PORTAL + 'full_every = "0s"\n', 12, "portal.1.full_every", "is no time at all"),
        (
            PUBLISHER + '[[feed]]\nid = "a"\ntitle = "A"\nfilter = { harga = 1 }\n',
            6,
            "feed.1",
            "filter: harga: unknown filter key",
        ),
        (
            PUBLISHER + '[[feed]]\nid = "a"\ntitle = "A"\nfilter = { limit = 1001 }\n',
            6,
            "feed.1",
            "filter: limit: 1001 is not from 1 to 1000",
        ),
        ('folder = "/"\n' + PUBLISHER, 1, "folder", "unknown key; remove it"),
    ],
)
def test_a_mistake_is_named_with_line_key_and_mend(text: str, line: int, key: str, mend: str) -> None:
    said = mistake(text)
    assert said.startswith(f"{HERE}:{line}: {key}"), said
    assert mend in said


def test_every_mistake_of_a_file_is_told_at_once() -> None:
    said = mistake(PUBLISHER.replace("name", "nama") + "[crawl]\ndelay = -1\n")
    assert said.count("\n") == 2
    assert "publisher.name" in said
    assert "crawl.delay" in said


def test_a_missing_or_broken_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="warta init"):
        load_config(tmp_path / "warta.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[publisher\n")
    with pytest.raises(ConfigError, match=r"broken\.toml: not valid TOML: .*line 1"):
        load_config(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(broken)


def test_an_unknown_portal_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no portal 'malang' in the configuration; it has: malangkota"):
        parse(PORTAL).find_portal("malang")


@given(st.integers(0, 10_000), st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_durations(count: int, unit: tuple[str, int]) -> None:
    assert parse_duration(f"{count}{unit[0]}") == timedelta(seconds=count * unit[1])


@pytest.mark.parametrize(
    "text", ["", "15", "m", "1.5h", "-1h", "1w", "15 m", 15, None, "٣d", "36526d", "9" * 40 + "d", "9" * 5000 + "d"]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="as in '15m'"):
        parse_duration(text)
