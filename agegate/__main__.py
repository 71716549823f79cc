"""`agegate` and `python -m agegate`: the one place where commands meet the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def main() -> int:
    """Run one command. Returns the exit status: 0, 1 for a refusal or fault, 2 for wrong use."""
    from agegate.cli.main import run  # noqa: PLC0415 - importing this module costs nothing

    return run(sys.argv[1:], os.environ, work=_work, demo=_demo)


def _work(env: Mapping[str, str], once: bool) -> int:  # noqa: FBT001 - the shape that the command calls
    from agegate.worker import run  # noqa: PLC0415 - the command line and the worker are siblings

    return run(env, once=once)


def _demo(env: Mapping[str, str]) -> int:
    from agegate.demo.launch import run  # noqa: PLC0415 - the demo is a program of its own

    return run(env)


if __name__ == "__main__":
    sys.exit(main())
