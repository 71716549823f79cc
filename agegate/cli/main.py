"""The program `agegate`: its commands, and what a person reads when something is wrong.

Exit status: 0 done, 1 refused or broken, 2 wrong use. Nobody who mistyped a setting or a name
sees a stack trace.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agegate.cli import (
    apply,
    erase,
    keys,
    ledger,
    migrate,
    rules,
    serve,
    settings_doc,
    webhooks,
    worker,
)
from agegate.cli.surroundings import Demo, Surroundings, Work
from agegate.domain.errors import AgegateError
from agegate.settings import SettingsError

OK: Final = 0
BROKEN: Final = 1
WRONG_USE: Final = 2


def run(argv: Sequence[str], env: Mapping[str, str], *, work: Work, demo: Demo) -> int:
    """One command from its arguments and environment to its exit status."""
    here = Surroundings(env)
    parser = build_parser(here, work=work, demo=demo)
    try:
        args = parser.parse_args(argv)
    except SystemExit as end:  # argparse has said what it wants, or printed its help
        return end.code if isinstance(end.code, int) else WRONG_USE
    if "run" not in args:
        parser.print_help(sys.stderr)
        return WRONG_USE
    return _guarded(lambda: args.run(args), args.command)


def build_parser(here: Surroundings, *, work: Work, demo: Demo) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agegate",
        description="Ask for ages, ask parents, issue age-tier tokens, keep the consent ledger.",
        epilog="Settings come from the environment: see `agegate settings`. "
        "`agegate COMMAND --help` shows an example of each.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    serve.register(commands, here)
    worker.register(commands, here, work=work)
    migrate.register(commands, here)
    apply.register(commands, open_=lambda: here.services.operators)
    rules.register(commands)
    keys.register(commands, open_=lambda: here.services.keys)
    ledger.register(commands, open_=lambda: here.services.ledger)
    erase.register(commands, here)
    webhooks.register(commands, here)
    _register_demo(commands, here, demo=demo)
    settings_doc.register(commands)
    return parser


def _register_demo(commands: Any, here: Surroundings, *, demo: Demo) -> None:
    parser = commands.add_parser(
        "demo",
        help="the whole product on this machine",
        description="Service, worker, letter box and a demo app on loopback, with a database of "
        "their own in AGEGATE_DATA_DIR (default var/demo). Ctrl-C stops all of it.",
        epilog="example: AGEGATE_DEMO_PORT=9000 agegate demo",
    )
    parser.set_defaults(run=lambda _args: demo(here.env))


def _guarded(command: Callable[[], int], name: str) -> int:
    try:
        return command()
    except SettingsError as error:
        return _refuse(name, "these settings can't be used:", *error.problems)
    except AgegateError as error:
        first, *rest = str(error).splitlines() or [error.problem.value]
        return _refuse(name, first, *rest)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "agegate"}:
            raise
        return _refuse(
            name,
            f"this needs the server's packages ({package} is missing):",
            "pip install 'agegate[server]'",
        )
    except BrokenPipeError:
        # Whoever read our output has read enough. What is left must not fail at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN
    except OSError as error:
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return _refuse(name, f"{where}{error.strerror or type(error).__name__}")
    except KeyboardInterrupt:
        return BROKEN


def _refuse(name: str, first: str, *rest: str) -> int:
    print(f"agegate {name}: {first}", file=sys.stderr)
    for line in rest:
        print(f"  {line}", file=sys.stderr)
    return BROKEN


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], **options: Any) -> None:
        super().__init__(option_strings, **options, nargs=0)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"agegate {version('agegate')}")
        except PackageNotFoundError:
            print("agegate, from a folder that was not installed")
        parser.exit(OK)
