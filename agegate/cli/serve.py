"""`agegate serve`: the production server.

Granian takes slow connections without a proxy in front and replaces a worker that died.
"""

from __future__ import annotations

import argparse
import socket
import sys
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from agegate.cli.surroundings import Surroundings
from agegate.settings import Settings

TARGET: Final = "agegate.web.server:app"
THREADS: Final = 4
"""Per worker. A request waits for the database, not for the interpreter."""
BACKLOG: Final = 1024
DRAIN_S: Final = 10
_HIGHEST_PORT: Final = 65535


def register(commands: Any, here: Surroundings) -> None:
    parser = commands.add_parser(
        "serve",
        help="the production server",
        description="Serve pages, OAuth and the API over HTTP/1.1. Put TLS in front of it. "
        "Production refuses an old schema; development and test migrate by themselves.",
        epilog="example: agegate serve --host 0.0.0.0 --port 8000 --workers 2",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=_port, default=8000, metavar="N", help="port to listen on (%(default)s)"
    )
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="worker processes (%(default)s)"
    )
    parser.set_defaults(run=partial(_run, here))


def _run(here: Surroundings, args: argparse.Namespace) -> int:
    settings = here.settings
    _require_free(args.host, args.port)

    from agegate.bootstrap import check_schema

    check_schema(settings)
    _say_where(settings, args.port)

    from granian import Granian
    from granian.constants import HTTPModes, Interfaces

    Granian(
        TARGET,
        factory=True,
        interface=Interfaces.WSGI,
        address=args.host,
        port=args.port,
        workers=args.workers,
        blocking_threads=THREADS,
        backlog=BACKLOG,
        http=HTTPModes.http1,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_S,
        # Paths hold parents' links; a log of them would be a bunch of keys.
        log_access=False,
    ).serve()
    return 0


def _require_free(host: str, port: int) -> None:
    """Raises `OSError` in words when nobody could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or "can't be listened on"
            raise OSError(error.errno, reason, f"{host} port {port}") from None


def _say_where(settings: Settings, port: int) -> None:
    url = urlsplit(settings.public_url)
    if url.scheme == "http" and (url.port or 80) != port:
        print(
            f"agegate serve: AGEGATE_PUBLIC_URL says {settings.public_url}, "
            f"but port {port} is served; links and tokens name the former",
            file=sys.stderr,
        )


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"a port lies between 1 and {_HIGHEST_PORT}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)
