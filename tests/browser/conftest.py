from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agegate.bootstrap import open_services
from agegate.settings import Settings
from tests.browser.live import Live
from tests.integration.web.site import QUIET, STORYBUDDY
from tests.support.browser import find_browser
from tests.support.postgres import free_port
from tests.support.processes import Processes


class _App(BaseHTTPRequestHandler):
    """The app people come back to: one page that says so."""

    def do_GET(self) -> None:
        body = b"<!doctype html><html lang=en><title>App</title><main><h1>Welcome back</h1></main>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: a failure prints the service's own log."""


@pytest.fixture(scope="session")
def app_address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, app_address: str) -> Iterator[Live]:
    """`agegate serve` and `agegate worker` over a SQLite file, with both operators applied."""
    if find_browser() is None:
        pytest.skip("no browser: install chromium or set CHROMIUM to its path")
    folder = tmp_path_factory.mktemp("live")
    home = f"http://127.0.0.1:{free_port()}"
    env = {
        "AGEGATE_ENV": "test",
        "AGEGATE_SANDBOX": "1",
        "AGEGATE_PUBLIC_URL": home,
        "AGEGATE_DATABASE_URL": f"sqlite:///{folder / 'agegate.db'}",
        "AGEGATE_CONFIRMATION_DELAY_S": "0",
    }
    services = open_services(Settings.from_env(env))
    for text, host in ((STORYBUDDY, "storybuddy"), (QUIET, "quiet")):
        here = text.replace(f"https://{host}.example/callback", f"{app_address}/callback")
        services.operators.apply(services.operators.read(here))
    with Processes(folder / "processes") as started:
        started.serve(env)
        started.worker(env)
        yield Live(home=home, app=app_address)
