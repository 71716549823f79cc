"""`agegate migrate`: bring the database to the schema of this version."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from agegate.cli.surroundings import Surroundings


def register(commands: Any, here: Surroundings) -> None:
    parser = commands.add_parser(
        "migrate",
        help="bring the database to this version's schema",
        description="Under a lock, so that two at once do not meet. Running it again is harmless.",
        epilog="example: AGEGATE_DATABASE_URL=postgresql://age@db/age agegate migrate",
    )
    parser.set_defaults(run=partial(_run, here))


def _run(here: Surroundings, _args: argparse.Namespace) -> int:
    settings = here.settings

    from agegate.bootstrap import migrate

    migrate(settings.database)
    print("the database is at this version's schema")
    return 0
