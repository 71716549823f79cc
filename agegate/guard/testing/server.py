"""A small real HTTP server on loopback, for both stand-ins: sockets, threads, nothing pretended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class LoopbackServer:
    """Serves on `127.0.0.1` from `start()` to `stop()`, or inside `with`.

    `port` 0 takes a free one; it is bound at once, so `url` is known before serving begins.
    """

    def __init__(self, handle: Callable[[BaseHTTPRequestHandler], None], *, port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _handler(handle))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A stalled answer must not keep `stop` waiting.
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of many a test, not news."""


def _handler(handle: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "agegate-testing"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            handle(self)

        def do_POST(self) -> None:
            handle(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base names it
            """Say nothing."""

    return Handler
