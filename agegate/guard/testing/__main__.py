"""`python -m agegate.guard.testing --port 8002`: the fake Messages API until a signal ends it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from agegate.guard.testing.fakeclaude import FakeClaude


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m agegate.guard.testing",
        description="A stand-in for Claude's Messages API on loopback; it tells gentle stories.",
        epilog="example: python -m agegate.guard.testing --port 8002 --pace-ms 40",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--pace-ms", type=int, default=0, help="pause between words of a stream")
    chosen = parser.parse_args(argv)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    try:
        claude = FakeClaude(port=chosen.port, pace_s=chosen.pace_ms / 1000)
    except OSError as error:
        print(f"cannot listen on port {chosen.port}: {error.strerror}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    with claude:
        print(f"A stand-in for Claude listens on {claude.url}", flush=True)  # noqa: T201 - a command
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
