"""A web officer's WordPress, for real: RSS block, pasted address, frame, script, shortcode and block, on good days and
bad ones. Debian's WordPress with MariaDB on loopback; the pictures taken here lie in pytest's temporary folder."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from html import unescape
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Page, sync_playwright

from aggregator.config import Config, parse_config
from aggregator.database import open_database
from aggregator.models import Category, Reading, Sweep, Tender
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from feeds.app import make_app
from feeds.publish import publish
from tests.conftest import CONFIG, need
from tests.feed_samples import TENDER, WIB
from tests.hostile_texts import ADDRESSES, LANGUAGES, MARKUP
from tests.test_threats_readers import Suspicion
from tests.wordpress.site import DEBIAN, WordPress, find_port, run_wordpress

NOW = datetime.now(UTC).replace(microsecond=0)
Browse = Callable[..., Page]
SHORTCODE = "[video src=https://x.example/a.mp4]"  # one of WordPress's own
HOSTILE = f'Pengadaan <script>alert(1)</script> & "Meubelair" {SHORTCODE}'
HOSTILE_UNIT = '"><img src=x onerror=alert(1)> Dinas'
PACKAGES = [
    ("Pemeliharaan Berkala Jalan Danau Toba, Kecamatan Kedungkandang", "DPUPRPKP", 1),
    ("Rehabilitasi Saluran Drainase Jalan Soekarno-Hatta Segmen Jembatan–Simpang Borobudur", "DPUPRPKP", 9),
    ("Rehabilitasi Ruang Kelas SMPN 24 Kota Malang", "Dinas Pendidikan dan Kebudayaan", 14),
    (HOSTILE, HOSTILE_UNIT, 3),
    ("Penggantian Perkerasan Trotoar Jalan Veteran Sisi Utara", "DPUPRPKP", 2),
]
LAST = "Rehabilitasi Ruang Kelas"
LONG = "Pembangunan Saluran Drainase, Trotoar, dan Penerangan Jalan Lingkungan Permukiman di Kecamatan Kedungkandang "


@dataclass
class Feeds:
    """Our server on loopback: what it publishes, and whether it answers."""

    config: Config
    repository: Repository
    port: int
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None
    _seen: list[Tender] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.config.publisher.url

    def add(self, *tenders: Tender) -> None:
        """A crawl that read these too, and the publish after it."""
        now = NOW + timedelta(seconds=len(self._seen))
        self._seen += tenders
        self.repository.save([Reading(tender=tender) for tender in tenders], now)
        run = Run(portal="malangkota", sweep=Sweep.OPEN, started=now, finished=now, verdict=Verdict.OK)
        self.repository.save_run(run)
        publish(self.config, self.repository, now)

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._server = uvicorn.Server(uvicorn.Config(make_app(self.config, self.repository), log_level="error"))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(10)


def make_tender(number: int, title: str, unit: str, days: int) -> Tender:
    """It closes at noon, ``days`` after today where the portal is."""
    deadline = datetime.combine(NOW.astimezone(WIB).date() + timedelta(days=days), time(12), WIB)
    return replace(
        TENDER,
        key=f"1009941{number}000",
        title=title,
        procuring_entity=unit,
        category=Category.WORKS,
        deadline=deadline,
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # the database runs as a user of its own
        yield Path(name)


@pytest.fixture(scope="module")
def feeds(folder: Path) -> Iterator[Feeds]:
    port = find_port()
    text = CONFIG.replace("https://blp.example.go.id/umpan/", f"http://127.0.0.1:{port}/")
    config = parse_config(text, folder / "warta.toml")
    served = Feeds(config, Repository(open_database(config.database_url)), port)
    served.add(*(make_tender(number, *package) for number, package in enumerate(PACKAGES)))
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def wordpress(folder: Path, feeds: Feeds) -> Iterator[WordPress]:
    for program in ("mariadbd", "mariadb-install-db", "php"):
        need(program)
    if not DEBIAN.is_dir() or "mysqli" not in subprocess.run(["php", "-m"], capture_output=True, text=True).stdout:
        need("Debian's wordpress and php-mysql")  # skips, or fails in CI
    with run_wordpress(folder, feeds.port) as site:
        site.run(f"return update_option('warta_url', '{feeds.url}');")
        yield site


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browse]:
    """Opens a page in Chromium and waits until a condition in JavaScript holds; keeps a picture of it."""
    pictures = tmp_path_factory.mktemp("wordpress")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])

        def look(address: str, name: str, until: str = "true", width: int = 1100) -> Page:
            page = chromium.new_page(viewport={"width": width, "height": 1000})
            page.goto(address)
            page.wait_for_function(until)
            page.screenshot(path=pictures / f"{name}.png", full_page=True)
            return page

        yield look
        chromium.close()


def age(wordpress: WordPress) -> None:
    """All that WordPress keeps of feeds becomes old enough to be asked for again; nothing is lost."""
    wordpress.run("""
        global $wpdb;
        $find = "SELECT option_name FROM $wpdb->options WHERE option_name LIKE %s";
        foreach ($wpdb->get_col($wpdb->prepare($find, '_transient_warta_%')) as $name) {
            update_option($name, array_merge(get_option($name), array('read' => 0, 'next' => 0)));
        }
        foreach ($wpdb->get_col($wpdb->prepare($find, '_transient_feed_mod_%')) as $name) {
            update_option($name, time() - 3600);
        }
        return true;
    """)


def assert_shown(html: str, first: str = PACKAGES[0][0]) -> None:
    """The packages stand in it, closing soonest first, and the hostile one is text."""
    words = unescape(html)
    assert words.index(first) < words.index(LAST)
    assert "<script>alert(1)" not in html
    assert "<img src=x" not in html


def rss_block(feeds: Feeds, feed: str = "semua") -> str:
    return (
        f'<!-- wp:rss {{"feedURL":"{feeds.url}feeds/{feed}.rss","itemsToShow":8,"displayExcerpt":true,'
        '"displayDate":true,"excerptLength":30} /-->'
    )


def test_the_rss_block_shows_the_feed(wordpress: WordPress, feeds: Feeds, browse: Browse) -> None:
    html = browse(wordpress.publish(rss_block(feeds)), "rss-block").content()
    assert "wp-block-rss__item-excerpt" in html
    assert "HPS Rp5,9\u00a0miliar, DPUPRPKP, penawaran ditutup" in unescape(html)
    assert "<script>alert(1)" not in html
    assert LAST in html


def test_no_title_in_the_rss_block_is_taken_for_a_shortcode(wordpress: WordPress, feeds: Feeds) -> None:
    html = wordpress.read(wordpress.publish(rss_block(feeds)))
    assert SHORTCODE in unescape(html)
    assert "<video" not in html
    content = f"return apply_filters('the_content', '{rss_block(feeds)}');"
    assert "<video" in wordpress.run(f"remove_all_filters('render_block_core/rss'); {content}"), "but for our mu-plugin"
    other = "add_filter('wp_feed_options', function () {}); define('WARTA_URL', 'https://other.example/');"
    assert "<video" in wordpress.run(other + content), "other feeds stay as they are"


def test_the_mu_plugin_shortens_the_cache_of_our_feeds_only(wordpress: WordPress, feeds: Feeds) -> None:
    code = "return apply_filters('wp_feed_cache_transient_lifetime', 43200, '{}');"
    assert wordpress.run(code.format(f"{feeds.url}feeds/semua.rss")) == 15 * 60
    assert wordpress.run(code.format(f"{feeds.url}feeds/semua.atom?x=1")) == 15 * 60
    assert wordpress.run(code.format("https://other.example/blog/feed/")) == 43200
    assert wordpress.run("return apply_filters('wp_feed_cache_transient_lifetime', 43200, md5('x'));") == 43200
    assert wordpress.run("define('WARTA_FEED_MINUTES', 1);" + code.format(f"{feeds.url}feeds/semua.rss")) == 5 * 60
    elsewhere = "define('WARTA_URL', 'https://warta.example.go.id');"
    assert wordpress.run(elsewhere + code.format("https://warta.example.go.id/feeds/semua.rss")) == 15 * 60
    assert wordpress.run(elsewhere + code.format(f"{feeds.url}feeds/semua.rss")) == 43200


def test_a_pasted_address_becomes_a_frame_as_high_as_its_list(
    wordpress: WordPress, feeds: Feeds, browse: Browse
) -> None:
    address = f"{feeds.url}feeds/jenis-konstruksi.html"
    block = (
        f'<!-- wp:embed {{"url":"{address}","type":"rich"}} -->\n<figure class="wp-block-embed is-type-rich">'
        f'<div class="wp-block-embed__wrapper">\n{address}\n</div></figure>\n<!-- /wp:embed -->'
    )
    page = wordpress.publish(block)
    html = wordpress.read(page)
    assert f'src="{feeds.url}embed/jenis-konstruksi.html?items=6#?secret=' in html
    assert 'sandbox="allow-scripts"' in html
    assert '<blockquote class="wp-embedded-content"' in html
    seen = browse(page, "oembed", "() => document.querySelector('iframe.wp-embedded-content:not([style])')")
    assert 300 < int(seen.locator("iframe").get_attribute("height") or 0) < 640
    assert not seen.locator("blockquote.wp-embedded-content").is_visible()
    frame = seen.frame_locator("iframe")
    assert frame.locator("li").first.inner_text().startswith(PACKAGES[0][0])
    assert frame.locator(".tag").first.inner_text() in {"Besok", "Hari ini"}  # if midnight comes while this runs
    frame.locator("a").first.click()  # WordPress's page follows it, for a frame in its sandbox may not
    seen.wait_for_url(f"{feeds.url}tenders/malangkota/tender/10099410000.html")


def test_the_editor_previews_a_pasted_address(wordpress: WordPress, feeds: Feeds) -> None:
    html = wordpress.run(f"""
        wp_set_current_user(1);
        $request = new WP_REST_Request('GET', '/oembed/1.0/proxy');
        $request->set_query_params(array('url' => '{feeds.url}feeds/perubahan.html'));
        return rest_do_request($request)->get_data()->html;
    """)
    assert f'src="{feeds.url}embed/perubahan.html?items=6#?secret=' in html


def test_an_address_alone_in_its_line_becomes_a_frame_too(wordpress: WordPress, feeds: Feeds) -> None:
    html = wordpress.read(wordpress.publish(f"Lihat daftar ini:\n\n{feeds.url}feeds/semua.html\n\nSelesai."))
    assert f'src="{feeds.url}embed/semua.html?items=6#?secret=' in html


def test_frame_and_script_work_in_custom_html(wordpress: WordPress, feeds: Feeds, browse: Browse) -> None:
    snippet = (
        f'<a href="{feeds.url}feeds/semua.html">Semua paket terbuka</a>'
        f'<script src="{feeds.url}embed.js" data-feed="semua" data-items="3" data-title="Paket terbuka" async></script>'
        f'<iframe src="{feeds.url}embed/semua.html?items=4" title="Paket terbuka" width="100%" height="420"></iframe>'
    )
    ready = "() => document.querySelector('warta-list')?.dataset.state === 'ready'"
    page = browse(wordpress.publish(f"<!-- wp:html -->{snippet}<!-- /wp:html -->"), "script-and-frame", ready)
    assert page.locator("warta-list li").count() == 3
    assert page.locator("warta-list li").first.inner_text().startswith(PACKAGES[0][0])
    assert page.get_by_role("link", name="Semua paket terbuka").count() == 0, "the link gave way to the list"
    rows = page.frame_locator("iframe").locator("li:not([hidden])")
    assert rows.count() == 4


def test_of_the_snippet_of_an_author_without_that_right_the_link_stays(wordpress: WordPress, feeds: Feeds) -> None:
    link = f'<a href="{feeds.url}feeds/semua.html">Semua paket terbuka</a>'
    tag = f'<script src="{feeds.url}embed.js" data-feed="semua" async></script>'
    html = wordpress.read(wordpress.publish(f"<!-- wp:html -->{link}{tag}<!-- /wp:html -->", is_admin=False))
    assert link in html
    assert "embed.js" not in html


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("shortcode", '[warta feed="jenis-konstruksi" items="8" title="Pekerjaan konstruksi"]'),
        ("block", '<!-- wp:warta/list {"feed":"jenis-konstruksi","items":8,"title":"Pekerjaan konstruksi"} /-->'),
    ],
    ids=["shortcode", "block"],
)
def test_the_plugin_shows_the_list_without_scripts(
    wordpress: WordPress, feeds: Feeds, browse: Browse, name: str, content: str
) -> None:
    page = wordpress.publish(content)
    html = wordpress.read(page)
    assert_shown(html)
    assert html.count('<span class="warta-about">') == len(PACKAGES)
    assert '<p class="warta-title">Pekerjaan konstruksi</p>' in html
    assert "HPS Rp5,9\u00a0miliar · DPUPRPKP" in html
    assert f'<a href="{feeds.url}tenders/malangkota/tender/10099410000.html">' in html
    assert "Dibaca dari LPSE Kota Malang" in html
    assert ">Semua paket</a>" in html
    assert "‹img src=x onerror=alert(1)› Dinas" in html
    assert ".warta-rows" in html, "its style is there"
    assert SHORTCODE in unescape(html), "no title is taken for a shortcode"
    assert "Data contoh" not in html
    assert re.search(r"<time datetime=.[^>]*>\d+ \w+ \d{4}, \d\d\.\d\d\u00a0WIB</time>", html)
    browse(page, name)


def test_attributes_are_cleaned(wordpress: WordPress) -> None:
    html = wordpress.read(
        wordpress.publish('[warta feed="../../wp-config" items="2" title="A<b onclick=alert(1)>B" cache="x" lang="en"]')
    )
    assert html.count('<span class="warta-about">') == 2
    assert '<p class="warta-title">AB</p>' in html
    assert "Closes <time" in html
    assert f">All {len(PACKAGES)} packages</a>" in html
    assert '<ol class="warta-rows" lang="id">' in html, "the packages themselves stay as they are"


def test_what_is_closed_by_now_is_left_out(wordpress: WordPress) -> None:
    code = """
        $asked = warta_clean(array('feed' => 'jenis-konstruksi'));
        $status = array('sample' => true);
        $feed = warta_fetch('feeds/jenis-konstruksi.json', 15);
        return warta_render_list($asked, $feed, $status, strtotime('+{} days'));
    """
    html = wordpress.run(code.replace("{}", "5"))
    assert html.count("<li>") == sum(days > 5 for *_, days in PACKAGES)
    assert "Ditutup" not in html
    assert html.startswith('<p class="warta-note">Data contoh: ')
    html = wordpress.run(code.replace("{}", "40"))
    assert html.count("Ditutup <time") == len(PACKAGES), "nothing else is left"


def test_news_tells_what_happened(wordpress: WordPress) -> None:
    news = '{"title":"Pemenang ditetapkan: X","date_published":"2026-11-24T02:40:00+00:00"'
    told = '"deadline":"2026-11-01T00:00:00+07:00","about":"CV X, Rp9: di bawah HPS."'
    about = '"_warta":{"kind":"tender","changes":[],' + told + "}"
    feed = f"""json_decode('{{"items":[{news},{about}}}]}}', true)"""
    html = wordpress.run(f"return warta_render_list(warta_clean(array()), {feed}, array(), time());")
    assert '<span class="warta-about">CV X, Rp9: di bawah HPS.</span>' in html
    assert "Batas akhir" not in html
    assert "Ditutup" not in html


def test_a_feed_that_is_not_there_is_told_calmly(wordpress: WordPress, feeds: Feeds) -> None:
    html = wordpress.read(wordpress.publish('[warta feed="tidak-ada"]'))
    assert "Daftar paket sedang tidak dapat dimuat." in html
    assert f'<a href="{feeds.url}feeds/tidak-ada.html">' in html


def test_odd_answers_break_no_page(wordpress: WordPress) -> None:
    odd = ['{"items":[1,null,{"_warta":{"deadline":[],"about":{"x":1},"key":{}}}]}', '{"items":"x"}', '{"a":1}']
    status = '{"feeds":[3,{"id":[]}],"portals":[{"read":"gestern"},7]}'
    for answer in odd:
        parsed = f"json_decode('{answer}', true), json_decode('{status}', true)"
        html = wordpress.run(f"return warta_render_list(warta_clean(array()), {parsed}, time());")
        assert 'class="warta-' in html
    for answer in ('{"a":1}', "3", '{"items":"x"}', '{"portals":[]}', "null"):
        assert wordpress.run(f"return warta_trim(json_decode('{answer}', true));") is None
    odd_status = '{"portals":[{"id":[1],"read":"a"},{"id":"x","read":[2]}],"feeds":[{"id":["y"]}]}'
    trimmed = f"warta_trim(json_decode('{odd_status}', true))"
    html = wordpress.run(
        f"return warta_render_list(warta_clean(array()), array('items' => array()), {trimmed}, time());"
    )
    assert "Belum ada isi." in html


def test_new_packages_arrive_and_a_dead_server_empties_nothing(wordpress: WordPress, feeds: Feeds) -> None:
    page = wordpress.publish('[warta items="20"]' + rss_block(feeds))
    assert_shown(wordpress.read(page))
    feeds.add(make_tender(9, "Paket yang baru", "Dinas Kesehatan", 5))
    assert "Paket yang baru" not in wordpress.read(page)
    age(wordpress)
    html = wordpress.read(page)
    assert html.count("Paket yang baru") == 2, "in the list and in the RSS block"
    age(wordpress)
    feeds.stop()
    try:
        html = wordpress.read(page)
        assert_shown(html)
        assert html.count("Paket yang baru") == 2
    finally:
        feeds.start()
    age(wordpress)
    assert_shown(wordpress.read(page))


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone_all_of_the_frame_is_seen(wordpress: WordPress, feeds: Feeds, browse: Browse, width: int) -> None:
    goods = (make_tender(number, LONG * 2, LONG, number) for number in range(20, 27))
    feeds.add(*(replace(tender, category=Category.GOODS) for tender in goods))
    address = f"{feeds.url}feeds/jenis-barang.html"
    grown = "() => document.querySelector('iframe.wp-embedded-content:not([style])')"
    page = browse(wordpress.publish(address), f"oembed-{width}", grown, width)
    frame = page.frame_locator("iframe")
    page.wait_for_function("document.querySelector('iframe').clientHeight > 640")
    inside = frame.locator("html").evaluate("root => [innerWidth, innerHeight, root.scrollHeight]")
    assert 250 < inside[0] < width
    assert inside[1] <= 1000
    assert inside[2] <= inside[1], "the foot is there"
    assert frame.locator("li:visible").count() in {2, 3}
    page.set_viewport_size({"width": 1100, "height": 1000})
    frame.locator("li:visible").nth(3).wait_for()


def test_the_editor_knows_the_block_and_the_feeds(wordpress: WordPress) -> None:
    told = wordpress.run("""
        $type = WP_Block_Type_Registry::get_instance()->get_registered('warta/list');
        do_action('enqueue_block_editor_assets');
        $script = wp_scripts()->registered[$type->editor_script_handles[0] ?? $type->editor_script];
        return array(array_keys($type->attributes), $script->deps, $script->extra['before']);
    """)
    assert {"feed", "items", "title", "cache", "lang"} <= set(told[0])
    assert "wp-server-side-render" in told[1]
    assert '"value":"jenis-konstruksi"' in str(told[2])


def test_no_title_of_a_feed_ends_the_script_of_the_editor(wordpress: WordPress) -> None:
    told = wordpress.run("""
        $key = 'warta_' . md5(warta_base() . 'status.json');
        $kept = get_transient($key);
        $feeds = array(array('id' => 'x', 'title' => '</script><!--<script>&'));
        $odd = array('data' => array('portals' => array(), 'feeds' => $feeds), 'read' => time());
        set_transient($key, array_merge((array) $kept, $odd));
        warta_name_feeds();
        set_transient($key, $kept, WARTA_KEPT);
        return wp_scripts()->registered['warta-list-editor-script']->extra['before'];
    """)
    last = str(told[-1])
    assert '"value":"x"' in last
    assert not re.search("[<>&]", last)


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ("https://w.example/umpan", "https://w.example/umpan/"),
        ("https://w.example/umpan/feeds/semua.html", "https://w.example/umpan/"),
        ("https://w.example/umpan/index.html?x#y", "https://w.example/umpan/"),
        ("https://w.example/umpan/en/statistik/2025.html", "https://w.example/umpan/"),
        ("https://w.example/embed.js", "https://w.example/"),
        ("https://w.example/kabupaten/newsfeeds/", "https://w.example/kabupaten/newsfeeds/"),
        ("https://sragen/umpan/", "https://sragen/umpan/"),
    ],
)
def test_any_address_of_the_site_will_do(wordpress: WordPress, pasted: str, kept: str) -> None:
    assert wordpress.run(f"return warta_clean_address('{pasted}');") == kept


def test_the_settings_page_offers_every_feed(wordpress: WordPress) -> None:
    page = wordpress.run("ob_start(); warta_show_page(); return ob_get_clean();")
    assert "[warta feed=&quot;jenis-konstruksi&quot;" in page or '[warta feed="jenis-konstruksi" items="8"]' in page


def test_no_answer_of_a_server_becomes_markup_or_a_shortcode(wordpress: WordPress) -> None:
    """Not even of one that is no Warta: hostile texts in every field that the list shows."""
    about = {"kind": "tender", "deadline": "2099-01-01T00:00:00+07:00<script>"}
    items = [
        {
            "title": text,
            "url": text,
            "date_published": text,
            "_warta": {**about, "portal": text, "key": text, "about": text, **({"kind": text} if number % 2 else {})},
        }
        for number, text in enumerate((*MARKUP, *ADDRESSES, *LANGUAGES))
    ]
    portals = [{"id": text, "name": text, "read": "2026-11-24T02:40:00+07:00"} for text in MARKUP]
    feeds = [{"id": "semua", "list": text, "packages": text} for text in ADDRESSES]
    given = {
        "feed": {"language": MARKUP[0], "title": MARKUP[0], "items": items},
        "status": {"portals": portals, "feeds": feeds, "sample": True},
        "asked": dict.fromkeys(("feed", "title", "lang", "cache"), MARKUP[0]) | {"items": "50"},
    }
    told = base64.b64encode(json.dumps(given).encode()).decode()
    html = wordpress.run(f"""
        $given = json_decode(base64_decode('{told}'), true);
        return warta_render_list(warta_clean($given['asked']), $given['feed'], $given['status'], time());
    """)
    assert html.count("<li>") == 50
    # It may lead to whom it likes, and hold what it likes, as long as that is text.
    assert [each for each in Suspicion(html).found if "@" not in each and "nobody sees" not in each] == []
    assert "[" not in html


def test_the_address_of_another_host_of_the_network_is_not_asked(wordpress: WordPress, feeds: Feeds) -> None:
    """Whoever may set it is no reader of what only the server can reach."""
    told = wordpress.run(f"""
        $told = array();
        add_action('http_api_debug', function ($answer) use (&$told) {{
            $told[] = is_wp_error($answer) ? $answer->get_error_message() : 'asked';
        }});
        foreach (array('http://10.1.2.3/', 'http://192.168.0.1:8080/', 'http://127.0.0.1:1/', 'ftp://x.id/') as $url) {{
            update_option('warta_url', $url);
            $told[] = warta_fetch('status.json', 5);
        }}
        update_option('warta_url', '{feeds.url}');
        return $told;
    """)
    assert "asked" not in told
    assert set(told) == {None, "A valid URL was not provided."}


def test_only_administrators_set_the_address(wordpress: WordPress) -> None:
    told = wordpress.run("""
        global $submenu;
        $told = array();
        foreach (array('subscriber', 'editor', 'administrator') as $role) {
            $user = wp_insert_user(array('user_login' => "x$role", 'user_pass' => 'x', 'role' => $role));
            wp_set_current_user($user);
            $submenu = array();
            warta_add_page();
            $told[] = in_array('warta', array_column($submenu['options-general.php'] ?? array(), 2), true);
        }
        warta_add_setting();
        $told[] = sanitize_option('warta_url', 'javascript:alert(1)//https://x.example/');
        ob_start();
        warta_show_page();
        $told[] = strpos(ob_get_clean(), 'name="_wpnonce"') > 0;
        return $told;
    """)
    assert told == [False, False, True, "", True]


def test_nothing_was_complained_of_and_uninstalling_leaves_nothing(wordpress: WordPress) -> None:
    assert wordpress.complaints() == []
    left = wordpress.run("""
        define('WP_UNINSTALL_PLUGIN', 'warta/warta.php');
        require WP_PLUGIN_DIR . '/warta/uninstall.php';
        global $wpdb;
        return $wpdb->get_col("SELECT option_name FROM $wpdb->options WHERE option_name LIKE '%warta%'");
    """)
    assert left == []
