"""`agegate erase`: a subject's erasure by hand."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

from agegate.cli.surroundings import Surroundings


def register(commands: Any, here: Surroundings) -> None:
    parser = commands.add_parser(
        "erase",
        help="delete everything about a subject",
        description="Delete a subject, its tokens and what was asked about it, irretrievably. A "
        "parent who was asked gets a letter that says so; the client is told.",
        epilog="example: agegate erase --subject 4Qx1fH --client storybuddy-web",
    )
    parser.add_argument("--subject", required=True, metavar="SUB", help="the pairwise `sub`")
    parser.add_argument("--client", metavar="ID", help="only at this client")
    parser.add_argument("--json", action="store_true", help="print data instead of text")
    parser.set_defaults(run=partial(_run, here))


def _run(here: Surroundings, args: argparse.Namespace) -> int:
    from agegate.services.erasure import erase_by_sub

    count = erase_by_sub(here.services.core, args.subject, client_id=args.client)
    if args.json:
        print(json.dumps({"erased": count}))
    else:
        print(f"erased: {count}. The worker sends the letters.")
    return 0
