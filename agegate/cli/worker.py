"""`agegate worker` and `agegate sweep`: what happens without anybody asking."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

from agegate.cli.surroundings import Surroundings, Work


def register(commands: Any, here: Surroundings, *, work: Work) -> None:
    parser = commands.add_parser(
        "worker",
        help="letters, webhooks, expiry, birthdays, retention, the ledger",
        description="Run beside `agegate serve`, as many of them as you like. Stops cleanly at "
        "SIGTERM; what it was killed over, another one takes up.",
        epilog="example: agegate worker --once",
    )
    parser.add_argument("--once", action="store_true", help="exit when nothing is due any more")
    parser.set_defaults(run=lambda args: work(here.env, args.once))

    sweep = commands.add_parser(
        "sweep",
        help="expiry, birthdays and retention, now",
        description="What the worker does by itself: end what has run out, delete what is old.",
        epilog="example: agegate sweep --json",
    )
    sweep.add_argument("--json", action="store_true", help="print data instead of text")
    sweep.set_defaults(run=partial(_sweep, here))


def _sweep(here: Surroundings, args: argparse.Namespace) -> int:
    total: dict[str, int] = {}
    while done := here.services.sweeps.sweep():
        for name, count in done.items():
            total[name] = total.get(name, 0) + count
    if args.json:
        print(json.dumps(total, indent=2, sort_keys=True))
    elif total:
        print("\n".join(f"{count:6}  {name}" for name, count in sorted(total.items())))
    else:
        print("nothing was due")
    return 0
