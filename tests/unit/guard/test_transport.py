"""The guard's way to the network: bounded in time and size, and honest about what came."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agegate.guard import Guard
from agegate.guard.testing import TokenMint
from agegate.guard.transport import MAX_BODY_BYTES, NOTHING, HttpTransport
from agegate.wire.scopes import JWKS
from agegate.wire.tiers import AgeTier


@contextmanager
def _raw_server(*chunks: bytes, pause: float = 0) -> Iterator[str]:
    """A server that says exactly these bytes to everyone, slowly if asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    try:
                        for chunk in chunks:
                            connection.sendall(chunk)
                            time.sleep(pause)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _both(url: str) -> list[tuple[int, bytes]]:
    transport = HttpTransport()
    return [transport.get(url), asyncio.run(transport.aget(url))]


def test_the_network_gives_status_and_body() -> None:
    with TokenMint.serving() as mint:
        answers = _both(f"{mint.issuer}{JWKS}")
        assert answers == [(200, json.dumps(mint.jwks()).encode())] * 2
        assert _both(f"{mint.issuer}/nowhere") == [(404, b"{}")] * 2


def test_redirects_are_not_followed() -> None:
    with TokenMint.serving() as mint:
        mint.faults["/moved"] = (302, b"")
        assert _both(f"{mint.issuer}/moved") == [(302, b"")] * 2
        assert mint.asked == ["/moved"] * 2


def test_an_answer_beyond_the_bound_is_none() -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with _raw_server(head, b"x" * (MAX_BODY_BYTES + 1)) as url:
        assert _both(url) == [NOTHING, NOTHING]


def test_a_packed_answer_is_none() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
    with _raw_server(head, b"x") as url:
        assert _both(url) == [NOTHING, NOTHING]


def test_a_dripping_answer_ends_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegate.guard.transport.TIMEOUT_S", 0.3)
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with _raw_server(head, *[b"x"] * 20, pause=0.1) as url:
        began = time.monotonic()
        assert _both(url) == [NOTHING, NOTHING]
        assert time.monotonic() - began < 2


def test_a_dead_port_and_broken_http_are_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    assert _both(url) == [NOTHING, NOTHING]
    with _raw_server(b"HELLO\r\n\r\n") as broken:
        assert _both(broken) == [NOTHING, NOTHING]


def test_the_guard_works_over_a_real_socket() -> None:
    with TokenMint.serving() as mint:
        guard = Guard(issuer=mint.issuer, audience=mint.audience)
        token = mint.token()
        assert guard.check(token, purposes=["ai_chat"]).tier is AgeTier.CHILD
        assert asyncio.run(guard.acheck(mint.token(), purposes=["ai_chat"])).is_minor


@pytest.mark.parametrize(
    ("issuer", "says"),
    [
        ("http://age.example", "https"),
        ("ftp://127.0.0.1", "https"),
        ("http://127.0.0.1.evil.example", "https"),
        ("http://localhost.evil.example", "https"),
        ("https://age.example/", "slash"),
        ("https://user@age.example", "address"),
        ("https://age.example?x=1", "address"),
        ("age.example", "address"),
        ("", "address"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused_at_the_start(issuer: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Guard(issuer=issuer, audience="https://api.example")


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost"]
)
def test_plain_http_is_for_loopback(issuer: str) -> None:
    assert Guard(issuer=issuer, audience="https://api.example") is not None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"audience": ""}, "audience"),
        ({"freshness_s": 15.1}, "freshness_s"),
        ({"freshness_s": 0}, "freshness_s"),
        ({"user_id_key": b"short"}, "user_id_key"),
    ],
)
def test_settings_that_weaken_the_guard_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Guard(**({"issuer": "https://age.example", "audience": "https://a.example"} | options))
