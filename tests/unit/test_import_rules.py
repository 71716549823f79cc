"""The import contracts catch what they are there for: one bad import per case, in a copy."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
# All cases in one process: starting the linter takes longer than linting.
_LINT_EACH = """
import json, pathlib, shutil, sys
from importlinter.cli import lint_imports

for number, (file, line) in enumerate([("__init__.py", ""), *json.load(sys.stdin)]):
    path = pathlib.Path("agegate", file)
    before = path.read_text() if path.exists() else None
    made_folder = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text((before or "") + "\\n" + line + "\\n")
    print("CASE", number, flush=True)
    lint_imports(no_logo=True)
    if before is not None:
        path.write_text(before)
    else:
        shutil.rmtree(path.parent) if made_folder else path.unlink()
"""

ONE_WAY = "One way down"
PURE = "The inside is pure"
EDGES = "Edges never touch storage"
FLASK = "Flask and Authlib live in web, and only there"
ADAPTERS = "Only bootstrap picks adapters"
SETTINGS = "Only the edges read settings"
SERVER_GUARD = "Nobody in the server uses the SDK"
DEMO = "The demo app is an outsider"
BASE_INSTALL = "The SDK installs without the server"
GUARD_LAYERS = "Inside the SDK, one way down too"
GUARD_CORE = "The SDK's core does no I/O"
ANTHROPIC = "The Anthropic SDK is optional"
VENDORS = "Vendors are known to adapters alone"
METHODS = "Methods do not know each other"
CYCLES = "No cycles between siblings"

BAD_IMPORTS = [
    # Layers
    ("web/extra.py", "import agegate.cli", ONE_WAY),
    ("cli/extra.py", "import agegate.worker", ONE_WAY),
    ("worker/extra.py", "import agegate.web", ONE_WAY),
    ("bootstrap.py", "import agegate.web", ONE_WAY),
    ("adapters/extra.py", "import agegate.bootstrap", ONE_WAY),
    ("services/extra.py", "import agegate.adapters", ONE_WAY),
    ("methods/extra.py", "import agegate.services.ports", ONE_WAY),
    ("domain/extra.py", "import agegate.methods.base", ONE_WAY),
    ("settings.py", "import agegate.services.ports", ONE_WAY),
    ("wire/extra.py", "import agegate.domain.errors", ONE_WAY),
    ("helpers/__init__.py", "import agegate.wire", ONE_WAY),
    # Purity
    ("wire/extra.py", "import httpx2", PURE),
    ("domain/extra.py", "import sqlalchemy", PURE),
    ("domain/extra.py", "import os", PURE),
    ("methods/age/extra.py", "from flask import request", PURE),
    ("methods/consent/extra.py", "import stripe", PURE),
    ("services/extra.py", "from itsdangerous import URLSafeSerializer", PURE),
    ("services/extra.py", "import smtplib", PURE),
    # Edges
    ("web/extra.py", "from sqlalchemy.orm import Session", EDGES),
    ("cli/extra.py", "import alembic", EDGES),
    ("worker/extra.py", "import psycopg", EDGES),
    ("adapters/extra.py", "import flask", FLASK),
    ("bootstrap.py", "import authlib", FLASK),
    ("cli/extra.py", "import werkzeug", FLASK),
    ("web/extra.py", "import agegate.adapters", ADAPTERS),
    ("cli/extra.py", "from agegate.adapters import rules_files", ADAPTERS),
    ("services/extra.py", "import agegate.settings", SETTINGS),
    ("adapters/extra.py", "import agegate.settings", SETTINGS),
    # Guard
    ("web/extra.py", "import agegate.guard", SERVER_GUARD),
    ("services/extra.py", "from agegate.guard import token", SERVER_GUARD),
    ("demo/extra.py", "import agegate.domain.tiers", DEMO),
    ("demo/extra.py", "import agegate.services", DEMO),
    ("guard/client.py", "import flask", BASE_INSTALL),
    ("wire/extra.py", "import pydantic", BASE_INSTALL),
    ("guard/context.py", "import agegate.guard.client", GUARD_LAYERS),
    ("guard/transport.py", "import agegate.guard.client", GUARD_LAYERS),
    ("guard/wsgi.py", "import agegate.guard.asgi", GUARD_LAYERS),
    ("guard/extra.py", "import agegate.wire", GUARD_LAYERS),
    ("guard/core/extra.py", "import time", GUARD_CORE),
    ("guard/core/extra.py", "import httpx2", GUARD_CORE),
    ("guard/context.py", "import threading", GUARD_CORE),
    ("guard/client.py", "import anthropic", ANTHROPIC),
    ("guard/core/extra.py", "import anthropic", ANTHROPIC),
    ("web/extra.py", "import stripe", VENDORS),
    # Methods
    ("methods/age/age_screen.py", "import agegate.methods.consent.email_plus", METHODS),
    ("methods/consent/email_plus.py", "import agegate.methods.age.age_screen", METHODS),
    (
        "methods/consent/payment_transaction.py",
        "import agegate.methods.consent.email_plus",
        METHODS,
    ),
    ("wire/tiers.py", "import agegate.wire.claims", CYCLES),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> list[set[str]]:
    """The broken contracts of the house as it is, then those of each case."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(
        _ROOT / "agegate", folder / "agegate", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(_ROOT / "pyproject.toml", folder)
    done = subprocess.run(
        [sys.executable, "-c", _LINT_EACH],
        cwd=folder,
        input=json.dumps([case[:2] for case in BAD_IMPORTS]),
        capture_output=True,
        text=True,
        check=False,
    )
    reports = re.split(r"^CASE \d+$", done.stdout, flags=re.MULTILINE)[1:]
    assert len(reports) == 1 + len(BAD_IMPORTS), done.stdout + done.stderr
    return [_broken_contracts(report) for report in reports]


def _broken_contracts(report: str) -> set[str]:
    verdicts = re.findall(r"^(.+) (KEPT|BROKEN)$", report, flags=re.MULTILINE)
    assert verdicts, f"no verdict:\n{report}"
    return {name for name, verdict in verdicts if verdict == "BROKEN"}


def test_the_house_keeps_its_contracts(broken: list[set[str]]) -> None:
    assert broken[0] == set()


@pytest.mark.parametrize(
    ("number", "contract"),
    [
        pytest.param(number, contract, id=f"{file}: {line}")
        for number, (file, line, contract) in enumerate(BAD_IMPORTS, start=1)
    ],
)
def test_a_bad_import_is_caught(broken: list[set[str]], number: int, contract: str) -> None:
    assert contract in broken[number]


def test_every_contract_has_a_case() -> None:
    with (_ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    assert {c["name"] for c in contracts} == {contract for _, _, contract in BAD_IMPORTS}
