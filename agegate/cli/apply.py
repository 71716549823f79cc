"""`agegate apply`: bring in an operator file, or look at what it would do."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

from agegate.domain.errors import AgegateError
from agegate.domain.people import SealedText
from agegate.services.operators import Applied, IssuedSecrets, OperatorService, Plan

OK: Final = 0
REFUSED: Final = 1
WRONG_USE: Final = 2

MAX_BYTES: Final = 4_000_000

Open = Callable[[], OperatorService]


def register(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], *, open_: Open | None = None
) -> None:
    """Add `apply`. `args.run(args)` returns the exit status 0, 1 or 2.

    `open_` gives the use cases; by default those of the deployment that the environment describes.
    """
    parser = subparsers.add_parser(
        "apply",
        help="create or update an operator, its practices and its clients",
        description="Read an operator file, refuse what the law refuses, and store the rest in "
        "one step. New secrets are shown once and can't be shown again. A file replaces what was "
        "applied before for the same operator and leaves other operators alone.",
        epilog="example: agegate apply storybuddy.toml --check",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the operator file (TOML)")
    parser.add_argument(
        "--check", action="store_true", help="show changes and every refusal; write nothing"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=partial(run, open_=open_ or _open_from_environment))


def run(args: argparse.Namespace, *, open_: Open) -> int:
    try:
        text = _read(args.file)
    except (OSError, ValueError) as error:
        # Only the reason: an error's own text would repeat bytes of the file.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        _complain(f"agegate apply: {args.file}: {reason}")
        return WRONG_USE
    try:
        operators = open_()
        operator = operators.read(text)
        if args.check:
            return _show_plan(operators.check(operator), as_json=args.json)
        applied = operators.apply(operator)
    except AgegateError as error:
        _complain(f"agegate apply: {args.file} was not applied; nothing was written.")
        _complain(*str(error).splitlines(), indent="  ")
        return REFUSED
    _show_applied(applied, as_json=args.json)
    return OK


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not written in UTF-8") from None


def _open_from_environment() -> OperatorService:
    from agegate.bootstrap import open_services
    from agegate.settings import Settings

    # A command's environment is its input, as its arguments are.
    return open_services(Settings.from_env(os.environ)).operators  # noqa: TID251 - see above


def _show_plan(plan: Plan, *, as_json: bool) -> int:
    if as_json:
        _print_json(
            {
                "changes": list(plan.changes),
                "refusals": [asdict(refusal) for refusal in plan.refusals],
                "conflicts": list(plan.conflicts),
                "warnings": [asdict(caution) for caution in plan.warnings],
            }
        )
    else:
        _section("Changes", plan.changes, empty="No changes.")
        _section("Refused", (*plan.refusals, *plan.conflicts))
        _section("Worth a second look", plan.warnings)
        print(
            "Nothing was written. This file can be applied."
            if plan.is_fine
            else "Nothing was written. This file can't be applied as it is."
        )
    return OK if plan.is_fine else REFUSED


def _show_applied(applied: Applied, *, as_json: bool) -> None:
    if as_json:
        _print_json(
            {
                "clients": [
                    {
                        "client_id": issued.client_id,
                        "client_secret": _plain(issued.client_secret),
                        "webhook_secret": _plain(issued.webhook_secret),
                    }
                    for issued in applied.clients
                ],
                "services": [
                    {
                        "client_id": issued.client_id,
                        "client_secret": _plain(issued.client_secret),
                    }
                    for issued in applied.services
                ],
            }
        )
        return
    _section("Applied", applied.changes, empty="Nothing to change.")
    _section("Worth a second look", applied.warnings)
    secrets = [line for issued in (*applied.clients, *applied.services) for line in _lines(issued)]
    if secrets:
        print("New secrets. Keep them now; they can't be shown again.")
        print(*(f"  {line}" for line in secrets), sep="\n")


def _lines(issued: IssuedSecrets) -> Iterable[str]:
    for name in ("client_secret", "webhook_secret"):
        secret = _plain(getattr(issued, name))
        if secret is not None:
            yield f"{issued.client_id}  {name}  {secret}"


def _plain(secret: SealedText | None) -> str | None:
    return secret.value if secret else None


def _section(title: str, lines: Iterable[object], *, empty: str | None = None) -> None:
    shown = [f"  {line}" for line in lines]
    if shown:
        print(f"{title}:", *shown, sep="\n")
    elif empty:
        print(empty)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _complain(*lines: str, indent: str = "") -> None:
    for line in lines:
        print(f"{indent}{line}", file=sys.stderr)
