"""`agegate settings`: the reference of all settings, made from the settings themselves."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from typing import Any, Final

from agegate.settings import DEVELOPMENT_SECRET, Settings

_HEAD: Final = """\
# Settings

<!-- Made by `agegate settings`; a test compares the two. Change agegate/settings.py instead. -->

Everything comes from the environment. Each name also works as `NAME_FILE`, the path of a file that
holds the value, for secrets that must not stand in an environment. A name set both ways is an
error, and so is a value that can't be read; all problems are told at once.

| setting | kind | default | meaning |
|---|---|---|---|
"""
_KINDS: Final = {"str": "text", "int": "number", "bool": "0 or 1", "tuple[str, ...]": "list"}
_DEMO: Final = """
`agegate demo` reads three more: `AGEGATE_DEMO_PORT` (default 8000; the demo app gets the next one),
`AGEGATE_DATA_DIR` (default `var/demo`) and `ANTHROPIC_API_KEY` (absent: a local fake tells the
stories).
"""


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "settings",
        help="the reference of all settings",
        description="Every setting with its default and meaning. Reads nothing, shows no value.",
        epilog="example: agegate settings --json",
    )
    parser.add_argument("--json", action="store_true", help="print data instead of text")
    parser.set_defaults(run=partial(_run))


def document() -> str:
    """The whole of docs/reference/settings.md."""
    lines = (
        f"| `{name}` | {kind} | {f'`{default}`' if default else ''} | {meaning} |\n"
        for name, kind, default, meaning in _rows()
    )
    return _HEAD + "".join(lines) + _DEMO


def _run(args: argparse.Namespace) -> int:
    if args.json:
        names = ("name", "kind", "default", "meaning")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in _rows()], indent=2))
    else:
        print(document(), end="")
    return 0


def _rows() -> Iterator[tuple[str, str, str, str]]:
    for spec in fields(Settings):
        default: object = spec.default
        if isinstance(default, bool):
            default = int(default)
        elif isinstance(default, tuple):
            default = ",".join(default)
        elif default == DEVELOPMENT_SECRET:
            default = ""
        kind = _KINDS.get(str(spec.type), "text")
        yield f"AGEGATE_{spec.name.upper()}", kind, str(default), spec.metadata["doc"]
