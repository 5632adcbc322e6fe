"""Where a hostile source may lead the crawler: redirects, refreshes, links, names, and the certificates it shows."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.address import IPv4Address, IPv6Address

from aggregator.config import ConfigError, check_web_address, parse_config
from spiders import addresses
from spiders.addresses import is_public
from spiders.crawl import run_in_reactor
from spiders.own_host import find_place
from spiders.transport import check_authority
from tests.conftest import CONFIG
from tests.hostile import Hostile, end_after, listening, ok, probe

SECRET = b"the inner network's secret"


@pytest.fixture(scope="module")
def inner() -> Iterator[Hostile]:
    """What nobody may ask: a service of the same machine, on another port, that would tell everything."""
    with listening({"/secret": ok(SECRET)}) as server:
        yield server


def locate(port: int) -> list[str]:
    """Ways to say where the inner service is."""
    return [
        f"http://localhost:{port}/secret",
        f"http://127.0.0.1:{port}/secret",
        f"//127.0.0.1:{port}/secret",
        f"http:/\\127.0.0.1:{port}/secret",
        f"http://{{portal}}@127.0.0.1:{port}/secret",
        f"http://{{portal}}%40127.0.0.1:{port}/secret",
        f"http://{{portal}}#@127.0.0.1:{port}/secret",
        f"http://user:password@127.0.0.1:{port}/secret",
        f"http://2130706433:{port}/secret",
        f"http://0x7f000001:{port}/secret",
        f"http://0177.0.0.1:{port}/secret",
        f"http://127.1:{port}/secret",
        f"http://0:{port}/secret",
        f"http://[::1]:{port}/secret",
        f"http://[::ffff:127.0.0.1]:{port}/secret",
        f"http://①②⑦.⓪.⓪.①:{port}/secret",
        f"http://127。0。0。1:{port}/secret",
        f"http://LOCALHOST.:{port}/secret",
        f"https://127.0.0.1:{port}/secret",
        f"ftp://127.0.0.1:{port}/secret",
        f"gopher://127.0.0.1:{port}/secret",
        "file:///etc/hostname",
        "data:application/json,{}",
        "s3://bucket/key",
        "http://[::1",
        "http://127.0.0.1:99999/secret",
        "javascript:alert(1)",
    ]


def redirects(status: int, targets: list[str]) -> dict[str, bytes]:
    return {
        f"/{status}/{number}": f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n".encode()
        for number, target in enumerate(targets)
    }


def test_no_redirect_leads_away(inner: Hostile, tmp_path: Path) -> None:
    with listening() as server:
        portal = f"127.0.0.1:{server.port}"
        targets = [target.replace("{portal}", portal) for target in locate(inner.port)]
        server.replies = {
            **redirects(302, targets),
            **{
                path: reply for status in (301, 303, 307, 308) for path, reply in redirects(status, targets[:3]).items()
            },
        }
        before = inner.connected
        told, _ = probe(server.url, [server.url + path for path in server.replies], tmp_path)
        assert len(told) == len(server.replies) == len(targets) + 12
        assert [url for url, how in told.items() if how == "answered"] == []
        assert inner.connected == before
        led = sum("which is not the portal's" in how for how in told.values())
        assert led == 29, told


def test_no_link_leads_away(inner: Hostile, tmp_path: Path) -> None:
    with listening() as server:
        targets = [target.replace("{portal}", f"127.0.0.1:{server.port}") for target in locate(inner.port)]
        before = inner.connected
        told, _ = probe(server.url, targets, tmp_path)
        assert len(told) == len(targets)
        assert "answered" not in told.values()
        assert inner.connected == before


def test_no_refresh_is_followed(inner: Hostile, tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{inner.port}/secret"
    meta = f'<html><head><meta http-equiv="refresh" content="0;url={away}"></head></html>'.encode()
    with listening(
        {
            "/header": ok(b"as it is", f"Refresh: 0; url={away}", "Content-Type: text/html"),
            "/meta": ok(meta, "Content-Type: text/html"),
            "/location": ok(
                b"as it is", f"Location: {away}", f"Content-Location: {away}", f'Link: <{away}>; rel="next"'
            ),
        }
    ) as server:
        before = inner.connected
        told, spider = probe(server.url, [server.url + path for path in server.replies], tmp_path)
        assert set(told.values()) == {"answered"}
        assert SECRET not in spider.bodies.values()
        assert inner.connected == before


def test_robots_txt_may_not_lead_away_either(inner: Hostile, tmp_path: Path) -> None:
    with listening({"/page": ok(b"page")}) as server:
        server.replies["/robots.txt"] = ok(b"", f"Location: http://127.0.0.1:{inner.port}/secret", status="302 Found")
        before = inner.connected
        told, _ = probe(server.url, [f"{server.url}/page"], tmp_path)
        assert set(told.values()) == {"answered"}  # as if there were none
        assert inner.connected == before


def test_redirects_round_in_circles_end_and_are_no_missing_page(tmp_path: Path) -> None:
    with listening({"/round": ok(b"", "Location: /round", status="302 Found")}) as server:
        told, _ = probe(server.url, [f"{server.url}/round"], tmp_path)
        assert set(told.values()) == {"max redirections reached"}
        assert len(server.paths) <= 5


# Lines of a link that would be lines of our request -------------------------------------------------------


def test_no_address_of_a_source_adds_a_line_to_our_requests(tmp_path: Path) -> None:
    addresses = [
        "/a\r\nX-Injected: 1",
        "/b%0d%0aX-Injected: 1",
        "/c\nX-Injected: 1",
        "/d HTTP/1.1\r\nX-Injected: 1\r\n",
    ]
    with listening({"/away": ok(b"", "Location: /e%0d%0aX-Injected:%201", status="302 Found")}) as server:
        probe(server.url, [f"{server.url}{path}" for path in (*addresses, "/away")], tmp_path)
        heads = [head for _, head in server.asked]
        assert len(heads) == 1 + len(addresses) + 2
        assert [line for head in heads for line in head.split(b"\r\n") if line.lower().startswith(b"x-injected")] == []
        assert all(head.count(b"HTTP/1.1\r\n") == 1 and b"\n" not in head.replace(b"\r\n", b"") for head in heads)


# Names ----------------------------------------------------------------------------------------------------

PRIVATE = """\
0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 192.0.0.170 192.0.2.1 192.168.1.1
198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::7f00:1 64:ff9b::7f00:1
64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001:db8::1 2002:7f00:1:: 2001:0:0:0:0:0:80ff:fffe fc00::1 fd00:ec2::254 fe80::1
fe80::1%eth0 fec0::1 ff02::1"""
PUBLIC = """\
93.184.216.34 8.8.8.8 103.28.12.1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_an_address_of_no_public_network_is_known_as_one(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_is_known_as_one(address: str) -> None:
    assert is_public(address)


@dataclass
class Names:
    """A name server that answers as a test tells it; each name's answers one after another, the last for ever."""

    answers: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)

    def resolveHostName(self, receiver: Any, host: str, port: int = 0, *_: object) -> Any:
        self.asked.append(host)
        receiver.resolutionBegan(self)
        told = self.answers.get(host, [[host]] if host[:1].isdigit() else [[]])
        for address in told.pop(0) if len(told) > 1 else told[0]:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, port))
        receiver.resolutionComplete()
        return self

    def cancel(self) -> None:
        """Nothing is under way."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    async def find() -> Any:
        from twisted.internet import reactor

        return reactor.nameResolver

    made = Names({})
    monkeypatch.setattr(run_in_reactor(find), "_inner", made, raising=False)
    monkeypatch.setattr(addresses, "_allowed", set())
    return made


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.7", "::1", "::ffff:127.0.0.1", "fd00::1"])
def test_a_name_that_leads_into_a_private_network_is_not_asked(
    address: str, inner: Hostile, names: Names, tmp_path: Path
) -> None:
    names.answers["lpse.example.go.id"] = [[address]]
    before = inner.connected
    url = f"http://lpse.example.go.id:{inner.port}"
    told, _ = probe(url, [f"{url}/secret"], tmp_path)
    [how] = told.values()
    assert f"leads to {address}, an address of a private network" in how
    assert "private = true" in how
    assert inner.connected == before
    assert names.asked


def test_a_name_may_lead_there_where_its_portal_says_so(inner: Hostile, names: Names, tmp_path: Path) -> None:
    names.answers["lpse.intern"] = [["127.0.0.1"]]
    url = f"http://lpse.intern:{inner.port}"
    told, spider = probe(url, [f"{url}/secret"], tmp_path, "private = true")
    assert set(told.values()) == {"answered"}
    assert [*spider.bodies.values()] == [SECRET]


def test_of_several_addresses_only_public_ones_are_used(
    names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.2")
    with listening({"/page": ok(b"public")}, "127.0.0.2") as public:
        names.answers["lpse.example.go.id"] = [["127.0.0.1", "127.0.0.2", "::1"]]
        url = f"http://lpse.example.go.id:{public.port}"
        told, _ = probe(url, [f"{url}/page"], tmp_path)
        assert set(told.values()) == {"answered"}


def test_a_name_that_turns_private_is_not_followed_there(
    names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: what counts is the address that is connected to, each time."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.2")
    with (
        listening({"/page": ok(b"public")}, "127.0.0.2") as public,
        socket.create_server(("127.0.0.1", public.port)) as private,
    ):
        private.settimeout(0.2)
        public.replies["/robots.txt"] = public.replies["/page"] = end_after(ok(b""))
        names.answers["lpse.example.go.id"] = [["127.0.0.2"], ["127.0.0.2"], ["127.0.0.1"]]
        url = f"http://lpse.example.go.id:{public.port}"
        told, _ = probe(url, [f"{url}/page", f"{url}/secret"], tmp_path)
        assert told[f"{url}/page"] == "answered"
        assert "leads to 127.0.0.1" in told[f"{url}/secret"]
        assert len(names.asked) == 3  # each connection anew
        with pytest.raises(TimeoutError):
            private.accept()


# The configuration ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "mend"),
    [
        ("http://admin:hunter2@lpse.example.go.id/", "leave that out"),
        ("https://lpse.example.go.id@evil.example/", "leave that out"),
        ("ftp://lpse.example.go.id/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("javascript:alert(1)", "https://"),
        ("//lpse.example.go.id/", "https://"),
        ("https://lpse.example.go.id:99999/", "port"),
        ("https://lpse.example.go.id:x/", "port"),
        ("https://lpse.example.go.id/\r\nX: y", "space"),
        ("https://xn--\u0430.example/", "https://"),
    ],
)
def test_an_address_that_may_not_be_configured(address: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend) as told:
        check_web_address(address)
    assert "hunter2" not in str(told.value)


def test_a_configuration_with_credentials_is_refused_without_telling_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        parse_config(CONFIG.replace("https://spse.", "https://admin:hunter2@spse."), tmp_path / "warta.toml")
    assert "portal.1.url: " in str(told.value)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://A.example/x", ("a.example", 443)),
        ("http://a.example:8080", ("a.example", 8080)),
        ("http://[::1]:80/", ("::1", 80)),
        ("http://a.example@b.example/", None),
        ("file:///etc/passwd", None),
        ("http:///x", None),
        ("http://a.example:99999/", None),
        ("", None),
    ],
)
def test_what_place_an_address_means(url: str, place: tuple[str, int] | None) -> None:
    assert find_place(url) == place


# Certificates ---------------------------------------------------------------------------------------------


@dataclass
class Authority:
    """A certificate authority of a test's own; ``path`` is its file."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    path: Path

    @classmethod
    def make(cls, folder: Path, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            start_certificate(subject, subject, key, 30)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = folder / f"{name}.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return cls(key, made, path)

    @contextmanager
    def serving(self, name: str = "127.0.0.1", days: int = 30) -> Iterator[Hostile]:
        """A server whose certificate is of ``name``, and good for ``days`` from yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        known_as = x509.DNSName(name) if name[-1].isalpha() else x509.IPAddress(ip_address(name))
        made = (
            start_certificate(subject, self.certificate.subject, key, days)
            .add_extension(x509.SubjectAlternativeName([known_as]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = self.path.with_name(f"server-{name}-{days}.pem")
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        with listening({"/page": ok(b"page")}, tls=context) as server:
            yield server


def start_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(yesterday - timedelta(days=1) if days < 1 else yesterday)
        .not_valid_after(yesterday + timedelta(days=days))
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"), "ours")


def assert_refused(server: Hostile, folder: Path, options: str = "") -> None:
    """Neither the page nor robots.txt is asked for."""
    told, _ = probe(server.url, [f"{server.url}/page"], folder, options)
    [how] = told.values()
    assert "certificate" in how.lower() or "SSL" in how or "Verification" in how, how
    assert server.asked == []


def test_the_portals_own_authority_is_believed(authority: Authority, tmp_path: Path) -> None:
    with authority.serving() as server:
        told, _ = probe(server.url, [f"{server.url}/page"], tmp_path, f'ca = "{authority.path}"')
        assert set(told.values()) == {"answered"}
        assert [path for path, _ in server.asked] == ["/robots.txt", "/page"]


def test_an_authority_that_nobody_named_is_not(authority: Authority, tmp_path: Path) -> None:
    with authority.serving() as server:
        assert_refused(server, tmp_path)


def test_the_authority_of_one_portal_is_not_that_of_another(authority: Authority, tmp_path: Path) -> None:
    other = Authority.make(tmp_path, "other")
    with authority.serving() as server, other.serving() as second:
        assert set(probe(server.url, [f"{server.url}/page"], tmp_path, f'ca = "{authority.path}"')[0].values()) == {
            "answered"
        }
        assert_refused(second, tmp_path, f'ca = "{authority.path}"')
        assert_refused(second, tmp_path)


def test_a_certificate_of_another_name_is_refused(authority: Authority, tmp_path: Path) -> None:
    for name in ("127.0.0.9", "lpse.example.go.id"):
        with authority.serving(name) as server:
            assert_refused(server, tmp_path, f'ca = "{authority.path}"')


def test_an_expired_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    with authority.serving(days=0) as server:
        assert_refused(server, tmp_path, f'ca = "{authority.path}"')


def test_an_authority_that_cannot_be_read_is_told_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"portal uji: ca: .*none\.pem cannot be read: No such file"):
        check_authority("uji", tmp_path / "none.pem")
    (tmp_path / "empty.pem").write_text("no certificate", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no certificate; it must be a PEM file"):
        check_authority("uji", tmp_path / "empty.pem")
