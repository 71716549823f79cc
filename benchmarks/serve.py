"""`python -m benchmarks.serve MODULE:NAME PORT [--factory]`: Granian as `agegate serve` sets it."""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import HTTPModes, Interfaces

from agegate.cli.serve import BACKLOG, THREADS

WORKERS = 2


def main(arguments: list[str]) -> None:
    target, port, *more = arguments
    Granian(
        target,
        factory="--factory" in more,
        interface=Interfaces.WSGI,
        address="127.0.0.1",
        port=int(port),
        workers=WORKERS,
        blocking_threads=THREADS,
        backlog=BACKLOG,
        http=HTTPModes.http1,
        websockets=False,
        log_access=False,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
