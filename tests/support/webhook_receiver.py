"""A real HTTP server that takes webhooks, keeps what it gets and misbehaves on demand."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

from agegate.services.webhooks import WebhookError
from tests.support.certificates import Certificate

HANG, DRIP_HEAD, DRIP_BODY, HUGE, GARBAGE, CLOSE, FLOOD = (
    "hang", "drip head", "drip body", "huge", "garbage", "close", "flood",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One webhook as it came over the wire. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    """Seconds on the monotonic clock."""

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def type(self) -> str:
        return str(self.content["type"])

    def is_signed_by(self, secret: str) -> bool:
        """As the standard's own library sees it, at the present time."""
        try:
            Webhook(secret).verify(self.body, dict(self.headers))
        except WebhookVerificationError:
            return False
        return True


@dataclass(slots=True)
class Script:
    """What to answer: the lines in turn, the last one again and again.

    A number is a status, a text one of the ways to misbehave. With `secret` a bad signature is
    answered with 401 before all that.
    """

    lines: list[int | str] = field(default_factory=lambda: [204])
    location: str | None = None
    secret: str | None = None
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, received: Received) -> int | str:
        with self.lock:
            self.received.append(received)
            if self.secret is not None and not received.is_signed_by(self.secret):
                return 401
            return self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]


class WebhookReceiver:
    """On a free loopback port, in threads of its own. Use it with `with`."""

    def __init__(self, *lines: int | str, certificate: Certificate | None = None) -> None:
        self.script = Script(lines=[*lines] or [204])
        self.over = threading.Event()
        of_this = {
            "script": self.script,
            "over": self.over,
            "tls": certificate.server_context() if certificate else None,
        }
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), of_this))
        self.scheme = "https" if certificate else "http"
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def received(self) -> list[Received]:
        with self.script.lock:
            return list(self.script.received)

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}/agegate-events?from=age"

    def answer(self, *lines: int | str) -> None:
        with self.script.lock:
            self.script.lines = [*lines]

    def wait_for(self, count: int, *, seconds: float = 20.0) -> list[Received]:
        deadline = time.monotonic() + seconds
        while len(self.received) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(self.received)} of {count} webhooks in {seconds} s")
            time.sleep(0.02)
        return self.received

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A sender that leaves early is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    script: Script
    over: threading.Event
    tls: ssl.SSLContext | None

    def setup(self) -> None:
        if self.tls is not None:
            self.request = self.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.request.close()

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        """Nobody asks for this; what comes is kept, so that a test sees it."""
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        line = self.script.take(
            Received(path=self.path, headers=headers, body=body, at=time.monotonic())
        )
        self.close_connection = True
        if isinstance(line, int):
            self.send_response(line)
            if self.script.location is not None:
                self.send_header("Location", self.script.location)
            self.send_header("Set-Cookie", "known=1")
            self.send_header("Content-Length", "2")
            self.end_headers()
            if line != 204:
                self.wfile.write(b"ok")
        else:
            self._misbehave(line)

    def _misbehave(self, line: str) -> None:
        try:
            match line:
                case "hang":
                    self.over.wait(60)
                case "drip head":
                    self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 4000)
                case "drip body":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
                    self._drip(b"a" * 4000)
                case "huge":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    for _ in range(160):
                        self.wfile.write(b"a" * 65536)
                case "flood":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-More: a\r\n" * 100_000)
                case "garbage":
                    self.wfile.write(b"\x00\xffnothing of HTTP\r\n\r\n")
                case "close":
                    self.connection.shutdown(socket.SHUT_RDWR)
                case _:
                    raise ValueError(line)
        except OSError:
            return  # the sender has gone, as it should

    def _drip(self, data: bytes) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.over.wait(0.05):
                return

    def log_message(self, *_: object) -> None:
        """Tests print what matters themselves."""


class FakeSender:
    """Implements `WebhookSender` without a network: a table of addresses, each with a script."""

    def __init__(self, *, allow: tuple[str, ...] = ()) -> None:
        self.places: dict[str, Script] = {}
        self._allow = allow

    def at(self, url: str, *lines: int | str) -> Script:
        """What answers at this address from now on."""
        self.places[url] = Script(lines=[*lines] or [204])
        return self.places[url]

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        scheme, _, rest = url.partition("://")
        if scheme != "https" and rest.partition("/")[0] not in self._allow:
            raise WebhookError("not_https")
        script = self.places.get(url)
        if script is None:
            raise WebhookError("unreachable")
        path = "/" + rest.partition("/")[2]
        given = {name.lower(): value for name, value in headers.items()}
        line = script.take(Received(path=path, headers=given, body=body, at=time.monotonic()))
        if isinstance(line, int):
            return line
        if line in {DRIP_BODY, HUGE}:
            return 200
        raise WebhookError("timeout" if line in {HANG, DRIP_HEAD} else "bad_answer")
