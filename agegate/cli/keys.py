"""`agegate keys list | rotate | retire`: the keys that sign tokens."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from agegate.domain.errors import AgegateError, NotFoundError
from agegate.domain.keys import SigningKey
from agegate.services.keys import KeyService

OK: Final = 0
REFUSED: Final = 1

Open = Callable[[], KeyService]


def register(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], *, open_: Open | None = None
) -> None:
    """Add `keys` and its commands. `args.run(args)` returns the exit status 0, 1 or 2.

    `open_` gives the use cases; by default those of the deployment that the environment describes.
    """
    keys = subparsers.add_parser(
        "keys",
        help="list, rotate and retire signing keys",
        description="One key signs, the next one is already published, and a retired one stays "
        "published until its last token has ended.",
        epilog="example: agegate keys list --json",
    )
    commands = keys.add_subparsers(dest="keys_command", required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "list", help="every key and what it is for", epilog="example: agegate keys list --json"
    )
    rotate = commands.add_parser(
        "rotate",
        help="let the next key sign from now on",
        description="Refused while verifiers may not have seen the next key yet.",
        epilog="example: agegate keys rotate",
    )
    rotate.add_argument(
        "--now",
        action="store_true",
        help="do not wait; verifiers that cached the old key set refuse tokens for some minutes",
    )
    retire = commands.add_parser(
        "retire",
        help="stop publishing a key at once",
        description="Whatever the key signed is refused from then on: for a key that leaked. "
        "The key that signs now can't be retired; rotate first.",
        epilog="example: agegate keys retire 4nHk3wq0vXl6sN0gF1aB2cD3eF4gH5iJ6kL7mN8oP9q",
    )
    retire.add_argument("kid", metavar="KID", help="the key's id as `agegate keys list` shows it")
    for command, run in ((listing, _list), (rotate, _rotate), (retire, _retire)):
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=partial(_guarded, run, open_ or _open_from_environment))


def _guarded(
    run: Callable[[KeyService, argparse.Namespace], None], open_: Open, args: argparse.Namespace
) -> int:
    try:
        run(open_(), args)
    except NotFoundError:
        print(f"agegate keys {args.keys_command}: there is no key of this id", file=sys.stderr)
        return REFUSED
    except AgegateError as error:
        print(f"agegate keys {args.keys_command}: {error}", file=sys.stderr)
        return REFUSED
    return OK


def _open_from_environment() -> KeyService:
    from agegate.bootstrap import open_services
    from agegate.settings import Settings

    # A command's environment is its input, as its arguments are.
    return open_services(Settings.from_env(os.environ)).keys  # noqa: TID251 - see above


def _list(keys: KeyService, args: argparse.Namespace) -> None:
    found = keys.list()
    if args.json:
        _print_json({"keys": [_to_json(key) for key in found]})
        return
    for key in found:
        since = key.retired_at or key.activated_at or key.created_at
        print(f"{key.state.value:8}{key.id}  since {since.isoformat(timespec='minutes')}")


def _rotate(keys: KeyService, args: argparse.Namespace) -> None:
    active = keys.rotate(at_once=args.now)
    if args.json:
        _print_json(_to_json(active))
        return
    print(f"{active.id} signs from now on. Running processes notice within five seconds.")


def _retire(keys: KeyService, args: argparse.Namespace) -> None:
    keys.retire(args.kid)
    if args.json:
        _print_json({"retired": args.kid})
        return
    print(f"{args.kid} is no longer published; what it signed is refused.")


def _to_json(key: SigningKey) -> dict[str, Any]:
    return {
        "kid": key.id,
        "state": key.state.value,
        "alg": "ES256",
        "created_at": key.created_at.isoformat(),
        "activated_at": key.activated_at.isoformat() if key.activated_at else None,
        "retired_at": key.retired_at.isoformat() if key.retired_at else None,
    }


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))
