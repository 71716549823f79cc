"""`agegate ledger verify | checkpoint | export | prove`: the consent ledger, here and on paper."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from agegate.domain.errors import AgegateError
from agegate.domain.ledger_check import CHECKPOINT_TYPE, Report
from agegate.domain.ledger_files import (
    PROOF_NOTE,
    UnreadableFileError,
    check_file,
    checkpoint_to_json,
)
from agegate.services.ledger import LedgerService

OK: Final = 0
BROKEN: Final = 1
WRONG_USE: Final = 2

_ALGORITHM: Final = "ES256"
_PUBLIC: Final = frozenset({"kty", "crv", "x", "y", "kid", "use", "alg"})

Open = Callable[[], LedgerService]


def register(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], *, open_: Open | None = None
) -> None:
    """Add `ledger` and its commands. `args.run(args)` returns the exit status 0, 1 or 2.

    `open_` gives the use cases; by default those of the deployment that the environment describes.
    """
    ledger = subparsers.add_parser(
        "ledger",
        help="verify, sign, export and prove the consent ledger",
        description="Every step of every consent is a fact, and every fact is chained to the one "
        "before it. Exit status 0: all is as it was written. 1: something is not.",
        epilog="example: agegate ledger verify",
    )
    commands = ledger.add_subparsers(dest="ledger_command", required=True, metavar="COMMAND")

    verify = commands.add_parser(
        "verify",
        help="recompute the whole chain and hold it against checkpoints and consents",
        description="Without PATH: the ledger in the database. With PATH: an export or a proof, "
        "offline and without a database.",
        epilog="example: agegate ledger verify ledger.jsonl --jwks keys-i-kept.json",
    )
    verify.add_argument("path", nargs="?", type=Path, metavar="PATH", help="an export or a proof")
    verify.add_argument(
        "--jwks",
        type=Path,
        metavar="FILE",
        help="with PATH: trust these keys (a JWK set), not the ones inside the file",
    )
    checkpoint = commands.add_parser(
        "checkpoint",
        help="sign the size and head of the ledger",
        description="Keep a copy somewhere else: it shows later if anything before it changed.",
        epilog="example: agegate ledger checkpoint --json",
    )
    export = commands.add_parser(
        "export",
        help="write all entries, checkpoints and keys as JSON lines",
        epilog="example: agegate ledger export --out ledger.jsonl",
    )
    prove = commands.add_parser(
        "prove",
        help="write the facts of one record and the chain from them to a checkpoint",
        description=PROOF_NOTE,
        epilog="example: agegate ledger prove cr_4f… --out proof.json",
    )
    prove.add_argument("record", metavar="RECORD", help="the consent record's id")
    for command in (export, prove):
        command.add_argument("--out", type=Path, required=True, metavar="FILE")
    runs: tuple[tuple[argparse.ArgumentParser, _Run], ...] = (
        (verify, _verify),
        (checkpoint, _checkpoint),
        (export, _export),
        (prove, _prove),
    )
    for command, run in runs:
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=partial(_guarded, run, open_ or _open_from_environment))


_Run = Callable[[Open, argparse.Namespace], int]


def _guarded(run: _Run, open_: Open, args: argparse.Namespace) -> int:
    name = f"agegate ledger {args.ledger_command}"
    try:
        return run(open_, args)
    except UnreadableFileError as error:
        print(f"{name}: {args.path}: {error}", file=sys.stderr)
        return BROKEN
    except AgegateError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return BROKEN
    except UnicodeDecodeError:
        print(f"{name}: {args.path}: is not written in UTF-8", file=sys.stderr)
        return BROKEN
    except OSError as error:
        print(f"{name}: {error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG_USE


def _open_from_environment() -> LedgerService:
    from agegate.bootstrap import open_services
    from agegate.settings import Settings

    # A command's environment is its input, as its arguments are.
    return open_services(Settings.from_env(os.environ)).ledger  # noqa: TID251 - see above


# --- commands ----------------------------------------------------------------------------------


def _verify(open_: Open, args: argparse.Namespace) -> int:
    if args.path is None:
        if args.jwks is not None:
            print("agegate ledger verify: --jwks goes with PATH", file=sys.stderr)
            return WRONG_USE
        report = open_().verify()
    else:
        trusted = None if args.jwks is None else _read_jwks(args.jwks)
        with args.path.open(encoding="utf-8") as lines:
            report = check_file(lines, verify=verify_signature, trusted=trusted)
    if args.json:
        _print_json(report.to_json())
    else:
        _show(report)
    return OK if report.ok else BROKEN


def _show(report: Report) -> None:
    if report.ok and report.record is not None:
        print(f"Record {report.record}: its facts stand under the checkpoint at {report.size}.")
        return
    if report.ok:
        print(f"The ledger is whole: {report.size} entries, head {report.head}.")
    else:
        what = "The ledger is" if report.record is None else "These facts are"
        print(f"{what} NOT what was written.")
    if report.first_break is not None:
        print(f"  entry {report.first_break.seq}: {report.first_break.reason}")
    for problem in report.problems:
        print(f"  {problem}")
    print(f"Checkpoints: {report.checkpoints}. Waiting for a number: {report.waiting}.")
    if report.unproven:
        print(f"Compared only, because their key is retired: {report.unproven}.")
    if not report.checkpoints:
        print("Without a checkpoint a cut tail can't be noticed: agegate ledger checkpoint")


def _checkpoint(open_: Open, args: argparse.Namespace) -> int:
    made = open_().checkpoint()
    if args.json:
        _print_json(checkpoint_to_json(made))
    else:
        print(f"{made.size} entries, head {made.head}", made.signature, sep="\n")
    return OK


def _export(open_: Open, args: argparse.Namespace) -> int:
    count = _write(args.out, open_().export())
    _say(args, {"path": str(args.out), "lines": count}, f"{args.out}: {count} lines")
    return OK


def _prove(open_: Open, args: argparse.Namespace) -> int:
    proof = open_().prove(args.record)
    _write(args.out, [json.dumps(proof, ensure_ascii=False) + "\n"])
    facts, size = len(proof["facts"]), proof["checkpoint"]["size"]
    about = {"path": str(args.out), "record": args.record, "facts": facts, "size": size}
    _say(args, about, f"{args.out}: {facts} facts under the checkpoint at {size}. {PROOF_NOTE}")
    return OK


def _write(path: Path, lines: Iterable[str]) -> int:
    """Into a file beside it first, so that no half file bears the name."""
    part = path.with_name(path.name + ".part")
    count = 0
    with part.open("w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(line)
            count += 1
    part.replace(path)
    return count


# --- signatures --------------------------------------------------------------------------------


def verify_signature(token: str, jwks: Mapping[str, Any]) -> dict[str, Any] | None:
    """The claims of a checkpoint if one of these keys signed it. Needs no database."""
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey

    try:
        header = jws.extract_compact(token.encode()).headers()
        if set(header) != {"alg", "kid", "typ"} or header["typ"] != CHECKPOINT_TYPE:
            return None
        found = next((k for k in jwks["keys"] if k.get("kid") == header["kid"]), None)
        if found is None:
            return None
        key = ECKey.import_key({name: found[name] for name in found if name in _PUBLIC})
        if key.thumbprint() != header["kid"]:
            return None
        payload = jws.deserialize_compact(token, key, algorithms=[_ALGORITHM]).payload
        claims = json.loads(payload)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return claims if isinstance(claims, dict) else None


def _read_jwks(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise UnreadableFileError(f"{path} is not a JWK set")
    return found


def _say(args: argparse.Namespace, data: object, text: str) -> None:
    if args.json:
        _print_json(data)
    else:
        print(text)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
