"""`python -m benchmarks.memory`: what a loaded process weighs, before and after kept answers.

In a process of its own, because what measures is heavy too. Prints JSON in MiB.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from agegate.bootstrap import open_services
from agegate.settings import Settings
from agegate.web import create_app
from benchmarks.local import fill
from benchmarks.machine import memory_mib

ANSWERS = 20_000
ANSWER = json.dumps({"active": True, "claims": "x" * 900}).encode()
"""As long as the introspection of a child's token with two purposes."""


def main() -> None:
    with TemporaryDirectory() as folder:
        env = {"AGEGATE_ENV": "test", "AGEGATE_DATABASE_URL": f"sqlite:///{Path(folder)}/a.db"}
        app = create_app(open_services(Settings.from_env(env)))
        app.test_client().get("/readyz")
        gc.collect()
        idle = memory_mib(os.getpid())
        kept = fill(app, ANSWERS, ANSWER)
        assert kept == ANSWERS
        gc.collect()
        json.dump({"idle": idle, "full": memory_mib(os.getpid()), "answers": kept}, sys.stdout)


if __name__ == "__main__":
    main()
