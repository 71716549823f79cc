"""The guard's documents are true: the tutorial runs, the tables are complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import agegate.guard
from agegate.guard import Guard, NotAllowedError, errors
from agegate.guard.core import admit, compose
from agegate.guard.testing import FakeClaude, TokenMint

DOCS = Path(__file__).parents[3] / "docs"
TUTORIAL = (DOCS / "tutorials/guard-your-first-claude-call.md").read_text("utf-8")
REFERENCE = (DOCS / "reference/guard.md").read_text("utf-8")


def test_the_tutorial_runs_as_it_stands(capsys: Any) -> None:
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
    assert len(blocks) >= 10
    names: dict[str, Any] = {"__name__": "tutorial"}
    try:
        for block in blocks[:-1]:
            exec(compile(block, "tutorial", "exec"), names)  # noqa: S102 - our own document
        _the_guarded_app_answers(names)
        exec(compile(blocks[-1], "tutorial", "exec"), names)  # noqa: S102 - our own document
    finally:
        names["client"].close()
        names["fake"].stop()
    said = capsys.readouterr().out
    for code in re.findall(r"print\(refusal\.code.*?\)  # (.+)", TUTORIAL):
        assert code in said
    assert isinstance(names["guard"], Guard)


def _the_guarded_app_answers(names: dict[str, Any]) -> None:
    mint, fake = names["mint"], names["fake"]
    assert isinstance(mint, TokenMint)
    assert isinstance(fake, FakeClaude)
    told: list[str] = []

    def ask(**headers: str) -> bytes:
        environ: dict[str, Any] = dict(headers)
        setup_testing_defaults(environ)
        return b"".join(names["app"](environ, lambda status, _headers: told.append(status)))

    assert b"fox" in ask(HTTP_AUTHORIZATION=f"Bearer {mint.token()}")
    assert b"token_missing" in ask()
    assert told == ["200 OK", "401 Unauthorized"]


def test_the_reference_names_every_refusal_with_its_status() -> None:
    for kind in vars(errors).values():
        if not (isinstance(kind, type) and issubclass(kind, NotAllowedError)):
            continue
        assert kind.__name__ in agegate.guard.__all__
        if kind.__subclasses__():
            assert re.search(rf"`{kind.__name__}`\s+\(`{kind.code}`\)", REFERENCE)
        else:
            assert f"| `{kind.code}` | {kind.status} | `{kind.__name__}` |" in REFERENCE


def test_the_reference_tells_what_minors_are_offered() -> None:
    listed = REFERENCE.partition("**For minors, what is not on this list")[2].partition("So no")[0]
    words = set(re.findall(r"`([^`]+)`", listed))
    offered = admit._BODY_NAMES | admit._BLOCKS | admit._ROLES | {admit.COUNT_TOKENS}  # noqa: SLF001 - the lists themselves
    assert words == offered | {"surface_denied", f"POST {admit.MESSAGES}"}
    assert f"`{compose.PROMPT_VERSION}`" in REFERENCE
