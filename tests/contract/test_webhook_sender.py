"""Whoever posts webhooks says what was answered, and is led nowhere else by whoever answers."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agegate.adapters.webhook_sender import HttpWebhookSender, is_public
from agegate.services.webhooks import WebhookError, WebhookSender
from tests.support.certificates import Certificate
from tests.support.postgres import free_port
from tests.support.webhook_receiver import (
    CLOSE,
    DRIP_BODY,
    DRIP_HEAD,
    FLOOD,
    GARBAGE,
    HANG,
    HUGE,
    FakeSender,
    Script,
    WebhookReceiver,
)

BODY = '{"type":"webhook.test","data":{"who":"ü"}}'.encode()
HEADERS = {"content-type": "application/json", "webhook-id": "wh_1"}
SHORT_S = 1.0

Place = Callable[..., tuple[WebhookSender, str, Script]]


@pytest.fixture(params=["fake", "http", "https"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A sender, an address, and the script of what answers there."""
    opened: list[WebhookReceiver] = []

    def make(*lines: int | str) -> tuple[WebhookSender, str, Script]:
        if request.param == "fake":
            fake, url = FakeSender(), "https://app.example/agegate-events?from=age"
            return fake, url, fake.at(url, *lines)
        certificate = Certificate.make(tmp_path) if request.param == "https" else None
        receiver = WebhookReceiver(*lines, certificate=certificate)
        receiver.__enter__()
        opened.append(receiver)
        sender = HttpWebhookSender(
            allow=(receiver.authority,),
            tls=certificate.trusting_context() if certificate else None,
            within_s=SHORT_S,
        )
        return sender, receiver.url, receiver.script

    yield make
    for receiver in opened:
        receiver.__exit__(None, None, None)


# -- the contract ----------------------------------------------------------------------------------


def test_what_is_posted_arrives_byte_for_byte(place: Place) -> None:
    sender, url, script = place(204)
    assert sender.post(url, HEADERS, BODY) == 204
    [received] = script.received
    assert received.body == BODY
    assert received.path == "/agegate-events?from=age"
    assert {**received.headers, **HEADERS} == dict(received.headers)


@pytest.mark.parametrize("status", [200, 201, 299, 400, 401, 404, 410, 429, 500, 503])
def test_the_status_is_what_was_answered(place: Place, status: int) -> None:
    sender, url, _ = place(status)
    assert sender.post(url, HEADERS, BODY) == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(place: Place, status: int) -> None:
    sender, url, script = place(status)
    with WebhookReceiver() as elsewhere:
        script.location = elsewhere.url
        assert sender.post(url, HEADERS, BODY) == status
        assert elsewhere.received == []
    assert len(script.received) == 1


def test_nobody_is_known_the_second_time(place: Place) -> None:
    sender, url, script = place(200)
    for _ in range(2):
        sender.post(url, HEADERS, BODY)
    assert ["cookie" in received.headers for received in script.received] == [False, False]


@pytest.mark.parametrize("way", [HANG, DRIP_HEAD])
def test_a_receiver_that_does_not_come_to_the_point_is_left(place: Place, way: str) -> None:
    sender, url, _ = place(way)
    began = time.monotonic()
    with pytest.raises(WebhookError) as caught:
        sender.post(url, HEADERS, BODY)
    assert caught.value.code == "timeout"
    assert time.monotonic() - began < SHORT_S + 2


@pytest.mark.parametrize("way", [DRIP_BODY, HUGE])
def test_an_answer_counts_by_its_status_however_long_it_gets(place: Place, way: str) -> None:
    sender, url, _ = place(way)
    began = time.monotonic()
    assert sender.post(url, HEADERS, BODY) == 200
    assert time.monotonic() - began < SHORT_S + 2


@pytest.mark.parametrize("way", [GARBAGE, CLOSE, FLOOD])
def test_what_is_no_answer_is_an_error(place: Place, way: str) -> None:
    sender, url, _ = place(way)
    with pytest.raises(WebhookError) as caught:
        sender.post(url, HEADERS, BODY)
    assert caught.value.code in {"bad_answer", "unreachable"}


def test_plain_http_is_refused(place: Place) -> None:
    sender, _, _ = place()
    with pytest.raises(WebhookError, match="not_https"):
        sender.post("http://elsewhere.example/agegate-events", HEADERS, BODY)


@pytest.mark.parametrize("is_real", [False, True])
def test_nobody_there_is_an_error(is_real: bool) -> None:
    target = f"127.0.0.1:{free_port()}"
    sender: WebhookSender = HttpWebhookSender(allow=(target,)) if is_real else FakeSender()
    with pytest.raises(WebhookError, match="unreachable"):
        sender.post(f"https://{target}/agegate-events", HEADERS, BODY)


# -- which addresses -------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",  # noqa: S104 - to be refused
    "169.254.169.254",
    "100.64.0.1", "168.63.129.16", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
    "2001:20::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1",
    "fd00:ec2::254",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2620:4f:8000::1", "4000::1", "e000::1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "203.0.114.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111",
    "2a00:1450::1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_the_open_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_open_internet_is_taken(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "2130706433", "0x7f.1", "127.1", "017700000001"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


@pytest.fixture
def at_home() -> Iterator[WebhookReceiver]:
    """Listens on this machine, where nothing may arrive."""
    with WebhookReceiver() as receiver:
        yield receiver


HOSTILE_HOSTS = [
    "127.0.0.1", "localhost", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1",
    "017700000001", "0177.0.0.1", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]",  # noqa: S104 - to be refused
    "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "192.168.0.1",
    "172.31.255.255", "100.64.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_of_a_private_address_is_called(
    at_home: WebhookReceiver, host: str, scheme: str
) -> None:
    with pytest.raises(WebhookError) as caught:
        HttpWebhookSender(within_s=2).post(f"{scheme}://{host}:{at_home.port}/", HEADERS, BODY)
    assert caught.value.code in {"not_https", "forbidden_address", "no_such_host", "bad_address"}
    assert at_home.received == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1@8.8.8.8/", "https://8.8.8.8@127.0.0.1/", "https://[::1/", "https:///x",
        "file:///etc/passwd", "gopher://127.0.0.1/", "https://app.example:port/", "app.example",
        "https://app.example/\r\nX-Injected: 1", "https://app.example /", "https://äpp.example/",
        "",
    ],
)  # fmt: skip
def test_an_address_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(WebhookError) as caught:
        HttpWebhookSender(within_s=2).post(url, HEADERS, BODY)
    assert caught.value.code in {"bad_address", "not_https", "forbidden_address"}


class Names:
    """A resolver that gives these addresses, and counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0

    def __call__(self, _host: str, port: int, **_options: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in self.addresses
        ]


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("2606:4700::1111", "::1"), ("169.254.169.254",)],
)
def test_a_name_that_leads_to_a_private_address_is_refused(
    at_home: WebhookReceiver, addresses: tuple[str, ...]
) -> None:
    names = Names(*addresses)
    sender = HttpWebhookSender(resolve=names, within_s=2)
    with pytest.raises(WebhookError, match="forbidden_address"):
        sender.post(f"https://innocent.example:{at_home.port}/", HEADERS, BODY)
    assert at_home.received == []
    assert names.asked == 1


def test_a_name_without_an_address_is_an_error() -> None:
    with pytest.raises(WebhookError, match="no_such_host"):
        HttpWebhookSender(resolve=Names()).post("https://nobody.example/", HEADERS, BODY)


def test_the_address_that_was_looked_at_is_the_one_that_is_called(tmp_path: Path) -> None:
    """TLS and the host header speak to the name all the same."""
    certificate = Certificate.make(tmp_path)
    names = Names("127.0.0.1")
    with WebhookReceiver(certificate=certificate) as receiver:
        target = f"localhost:{receiver.port}"
        sender = HttpWebhookSender(
            allow=(target,), tls=certificate.trusting_context(), resolve=names
        )
        assert sender.post(f"https://{target}/", HEADERS, BODY) == 204
        assert receiver.received[0].headers["host"] == target
    assert names.asked == 1


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    certificate = Certificate.make(tmp_path)
    with WebhookReceiver(certificate=certificate) as receiver:
        target = f"somebody.example:{receiver.port}"
        sender = HttpWebhookSender(
            allow=(target,), tls=certificate.trusting_context(), resolve=Names("127.0.0.1")
        )
        with pytest.raises(WebhookError, match="bad_certificate"):
            sender.post(f"https://{target}/", HEADERS, BODY)
        assert receiver.received == []


def test_a_certificate_that_nobody_trusts_is_refused(tmp_path: Path) -> None:
    with WebhookReceiver(certificate=Certificate.make(tmp_path)) as receiver:
        sender = HttpWebhookSender(allow=(receiver.authority,))
        with pytest.raises(WebhookError, match="bad_certificate"):
            sender.post(receiver.url, HEADERS, BODY)
        assert receiver.received == []


def test_a_handshake_that_never_ends_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(WebhookError, match="timeout"):
            HttpWebhookSender(allow=(target,), within_s=SHORT_S).post(
                f"https://{target}/", HEADERS, BODY
            )
        assert time.monotonic() - began < SHORT_S + 2


def test_another_port_of_an_exempted_host_is_refused(at_home: WebhookReceiver) -> None:
    sender = HttpWebhookSender(allow=("127.0.0.1:1",))
    with pytest.raises(WebhookError, match="not_https"):
        sender.post(at_home.url, HEADERS, BODY)
    assert at_home.received == []


def test_no_proxy_of_the_environment_is_asked(
    at_home: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookReceiver() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.authority}")
        sender = HttpWebhookSender(allow=(at_home.authority,))
        assert sender.post(at_home.url, HEADERS, BODY) == 204
        assert proxy.received == []
    assert len(at_home.received) == 1


def test_no_more_of_an_answer_is_read_than_allowed(tmp_path: Path) -> None:
    """10 MB are on offer; what fits into the buffers of two sockets may be on its way."""
    sent: list[int] = []
    done = threading.Event()

    class Generous(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                for _ in range(1600):
                    self.wfile.write(b"a" * 65536)
                    sent.append(65536)
            except OSError:
                done.set()

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Generous) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        target = f"127.0.0.1:{server.server_address[1]}"
        assert HttpWebhookSender(allow=(target,)).post(f"http://{target}/", HEADERS, BODY) == 200
        assert done.wait(5)
        server.shutdown()
        thread.join()
    assert sum(sent) < 16_000_000


def test_nothing_stays_open(at_home: WebhookReceiver) -> None:
    sender = HttpWebhookSender(allow=(at_home.authority,))
    sender.post(at_home.url, HEADERS, BODY)
    for _ in range(20):
        sender.post(at_home.url, HEADERS, BODY)
    deadline = time.monotonic() + 5
    while any(isinstance(t, threading.Timer) for t in threading.enumerate()):
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.02)
