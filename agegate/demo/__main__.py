"""`python -m agegate.demo`: StoryBuddy's own web server, on loopback. `agegate demo` starts it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType

from werkzeug.serving import make_server

from agegate.demo.app import create_app
from agegate.demo.oauth import AgeClient, Registered
from agegate.demo.teller import Teller


def main() -> int:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    env = os.environ
    port = int(env["DEMO_PORT"])
    registered = Registered(
        issuer=env["DEMO_ISSUER"],
        redirect_uri=f"http://127.0.0.1:{port}/callback",
        client_id="storybuddy-web",
        client_secret=env["DEMO_CLIENT_SECRET"],
        service_id="storybuddy-api",
        service_secret=env["DEMO_SERVICE_SECRET"],
    )
    teller = Teller(
        issuer=registered.issuer,
        base_url=env["DEMO_FAKE_CLAUDE"] or None,
        model=env.get("AGEGATE_DEMO_MODEL", "claude-haiku-4-5"),
    )
    app = create_app(AgeClient(registered), teller, issuer=registered.issuer)
    server = make_server("127.0.0.1", port, app, threaded=True)

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
