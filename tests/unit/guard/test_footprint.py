"""What the base install costs a service that only wants the guard."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROBE = """
import json, sys, threading, time
before = threading.active_count()
began = time.process_time()
import agegate.guard
took = time.process_time() - began
names = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([took, names, threading.active_count() - before]))
"""


def _probe() -> tuple[float, list[str], int]:
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PROBE], check=True, capture_output=True, text=True
    )
    took, names, threads = json.loads(run.stdout)
    return took, names, threads


def test_the_guard_loads_neither_the_server_nor_an_http_client() -> None:
    _, names, threads = _probe()
    heavy = {
        "flask",
        "sqlalchemy",
        "authlib",
        "anthropic",
        "httpx2",
        "joserfc",
        "asyncio",
        "jinja2",
    }
    assert heavy.isdisjoint(names)
    assert threads == 0


def test_the_guard_loads_in_a_moment() -> None:
    # Processor time and the best of five: a busy machine says nothing about the guard.
    assert min(_probe()[0] for _ in range(5)) < 0.15


@pytest.mark.parametrize("module", ["agegate.guard.testing", "agegate.guard.wsgi"])
def test_the_companions_need_no_framework_either(module: str) -> None:
    code = f"import sys, {module}; print('flask' in sys.modules, 'werkzeug' in sys.modules)"
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == ["False", "False"]
