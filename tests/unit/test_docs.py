"""The documents are true: their Python runs, their links lead somewhere, their lists are complete.

`python -m tests.unit.test_docs` enters the tests that cover a legal duty into the list of duties.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from agegate.adapters.codec import hints
from agegate.adapters.db.tables import is_sealed
from agegate.adapters.kinds import TABLES
from agegate.cli.main import build_parser
from agegate.cli.surroundings import Surroundings
from agegate.settings import Settings
from agegate.web.problems import STATUS
from agegate.wire.claims import AgeClaims
from agegate.wire.tiers import AgeTier, AssuranceLevel, ConsentState, MethodClass

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
LAW: Final = DOCS / "reference/law.md"
DUTIES: Final = 111
PAGES: Final = sorted(
    [
        *DOCS.rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
        ROOT / "config/README.md",
        ROOT / "changelog.d/README.md",
    ]
)
RUNS_ELSEWHERE: Final = {"guard-your-first-claude-call.md"}
"""Pages whose Python has a test of its own, which also looks at what it says."""


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=_name)


# --- Python ------------------------------------------------------------------------------------


def _blocks(page: Path) -> list[tuple[str, str]]:
    """Every fence's info line and its text."""
    return re.findall(
        r"^```([^\n`]*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def _python(page: Path) -> list[tuple[str, str]]:
    return [(info, text) for info, text in _blocks(page) if info.split()[:1] == ["python"]]


WITH_PYTHON: Final = [
    page
    for page in PAGES
    if page.name not in RUNS_ELSEWHERE
    and page.parent.name != "reference"
    and any(info == "python" for info, _ in _python(page))
]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=_name)
def test_python_in_a_document_runs_as_it_stands(page: Path, capsys: Any) -> None:
    names: dict[str, Any] = {"__name__": page.stem}
    for info, text in _python(page):
        if info == "python":
            exec(compile(text, _name(page), "exec"), names)  # noqa: S102 - our own document
    for thing in names.values():
        if hasattr(thing, "close") and type(thing).__module__.startswith("anthropic"):
            thing.close()
    said = capsys.readouterr().out
    for promised in re.findall(r"print\(refusal\.code\)  # (\w+)", page.read_text("utf-8")):
        assert promised in said


def test_the_readme_shows_the_guard_in_python_that_runs() -> None:
    assert ROOT / "README.md" in WITH_PYTHON


@each_page
def test_python_that_does_not_run_says_why(page: Path) -> None:
    for info, _ in _python(page):
        assert info == "python" or re.fullmatch(r"python no-run: \S.*", info), info


# --- links -------------------------------------------------------------------------------------


def _prose(page: Path) -> str:
    """The page without its fences and its inline code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]+`", "", text)


@cache
def _anchors(page: Path) -> frozenset[str]:
    """As the usual renderers make them: lower case, no punctuation, spaces to hyphens."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles)


def _links(page: Path) -> list[str]:
    inline = re.findall(r"\]\(([^)\s]+)\)", _prose(page))
    return inline + re.findall(r"^\[[^\]]+\]: (\S+)$", _prose(page), re.MULTILINE)


@each_page
def test_links_inside_the_documents_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        if anchor:
            assert anchor in _anchors(target), f"{link}: no such heading"


def test_every_page_can_be_found_from_the_index() -> None:
    found: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in found or not page.is_relative_to(DOCS) or not page.exists():
            continue
        if page.suffix != ".md":
            continue
        found.add(page)
        paths = [link.partition("#")[0] for link in _links(page)]
        waiting += [(page.parent / p).resolve() for p in paths if p and not re.match(r"[a-z]+:", p)]
    assert set(DOCS.rglob("*.md")) - found == set()


def test_every_page_begins_with_its_title() -> None:
    assert [_name(p) for p in PAGES if not p.read_text("utf-8").startswith("# ")] == []


@each_page
def test_no_document_names_a_registry_or_somebodys_machine(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"(?:pypi|pythonhosted|npmjs|docker)\.(?:org|com|io)\b", text)
    assert not re.search(r"(?<![\w.])/(?:home|root|Users|work|mnt)/\w", text)


# --- commands ----------------------------------------------------------------------------------


def _commands(page: Path, program: str) -> Iterator[list[str]]:
    """What the page tells people to type: in inline code and behind the prompt of a console."""
    text = page.read_text("utf-8")
    spoken = re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    )
    typed = [
        line.removeprefix("$ ").partition(" #")[0]
        for info, block in _blocks(page)
        if info == "console"
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    for line in (*spoken, *typed):
        words = line.split()
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if words and words[0].removeprefix(".venv/bin/") == program:
            yield words[1:]


@each_page
def test_every_make_target_named_in_a_document_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for words in _commands(page, "make"):
        assert set(words[:1]) <= targets, words


@cache
def _parser() -> argparse.ArgumentParser:
    def never(*_: object) -> int:
        raise AssertionError("nothing is run here")

    return build_parser(Surroundings({}), work=never, demo=never)


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to look inside
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            return dict(action.choices)
    return {}


@each_page
def test_every_agegate_command_named_in_a_document_exists(page: Path) -> None:
    for words in _commands(page, "agegate"):
        if words and not re.match(r"[\w…\[-]", words[0]):  # a sender's name, not a command
            continue
        parser, left = _parser(), list(words)
        while (below := _subcommands(parser)) and left and not left[0].startswith(("-", "…")):
            if left[0].isupper():  # `agegate COMMAND --help`
                break
            chosen = left.pop(0).split("/")  # `agegate keys list/rotate/retire`
            assert set(chosen) <= set(below), f"agegate {' '.join(words)}"
            parser = below[chosen[0]]
        options = set(parser._option_string_actions)  # noqa: SLF001 - as above
        for word in (w.strip("[]") for w in left):
            if word.startswith("--"):
                assert word.partition("=")[0] in {*options, "--help"}, f"agegate {' '.join(words)}"


@each_page
def test_every_setting_named_in_a_document_exists(page: Path) -> None:
    known = {f"AGEGATE_{f.name.upper()}" for f in fields(Settings)} | {"AGEGATE_DEMO_PORT"}
    named = set(re.findall(r"\bAGEGATE_[A-Z_]*[A-Z]", page.read_text("utf-8")))
    assert {name.removesuffix("_FILE") for name in named} <= known


# --- lists that must be complete ----------------------------------------------------------------


def _rows(page: Path) -> list[list[str]]:
    lines = page.read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]


def _of_kind(kind: type[Any]) -> list[str]:
    rows = _rows(DOCS / "explanation/privacy-by-fields.md")
    found = [row for row in rows if row[0] == f"`{kind.__name__}`"]
    assert len(found) == 1, f"{kind.__name__} needs one row in privacy-by-fields.md"
    return found[0]


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_law_97_every_stored_field_has_purpose_and_deletion(kind: type[Any]) -> None:
    _, listed, purpose, deletion = _of_kind(kind)
    told = dict(re.findall(r"`(\w+)`( \(sealed\))?", listed))
    assert list(told) == list(hints(kind))
    assert {n for n, mark in told.items() if mark} == {
        n for n, h in hints(kind).items() if is_sealed(h)
    }
    assert len(purpose) > 10
    assert len(deletion) > 4


def test_every_problem_is_listed_with_its_status() -> None:
    rows = _rows(DOCS / "reference/problems.md")
    listed = {row[0].strip("`"): int(row[1]) for row in rows if row[1].isdigit()}
    assert listed == {problem.value: status for problem, status in STATUS.items()}


def test_every_claim_and_every_state_is_listed() -> None:
    page = DOCS / "reference/claims.md"
    rows = _rows(page)
    first = " ".join(row[0] for row in rows)
    shared = {f.name for f in fields(AgeClaims)} - {"lower", "upper"}
    assert {f"`{name}`" for name in shared | {"age_range"}} <= set(first.split())
    assert {row[0].strip("`") for row in rows} >= {state.value for state in ConsentState}
    text = page.read_text("utf-8")
    for kind in (AgeTier, AssuranceLevel, MethodClass):
        assert all(f"`{member.value}`" in text for member in kind)


def test_every_decision_says_what_enforces_it() -> None:
    parts = ("Context", "Decision", "Consequences", "Rejected", "Enforced by")
    for page in sorted((DOCS / "adr").glob("0*.md")):
        text = page.read_text("utf-8")
        assert [p for p in parts if f"**{p}.**" not in text] == [], page.name
        assert page.name in (DOCS / "adr/README.md").read_text("utf-8")


def test_every_runbook_begins_with_what_to_switch_off() -> None:
    for page in (DOCS / "runbooks").glob("*.md"):
        second = page.read_text("utf-8").split("\n\n")[1]
        assert second.startswith("**Switch off first.**"), page.name


# --- legal duties --------------------------------------------------------------------------------


@cache
def _tests() -> frozenset[str]:
    """The name of every test there is."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
    return frozenset(name for name in found if name.startswith("test_"))


def _duties_of(test: str) -> set[int]:
    """`test_law_14_15_month_and_year…` covers 14 and 15."""
    matched = re.match(r"test_law((?:_\d+)+)_", test)
    return {int(n) for n in matched[1].strip("_").split("_")} if matched else set()


def _covering(duty: int) -> list[str]:
    return sorted(name for name in _tests() if duty in _duties_of(name))


def _duties() -> dict[int, list[str]]:
    return {int(row[0]): row for row in _rows(LAW) if row[0].isdigit()}


def test_every_legal_duty_has_a_row() -> None:
    assert list(_duties()) == list(range(1, DUTIES + 1))


def test_every_test_that_a_duty_names_exists_and_none_is_missed() -> None:
    wrong = {
        number: sorted(set(re.findall(r"`(test_\w+)`", row[4])) ^ set(_covering(number)))
        for number, row in _duties().items()
    }
    assert {n: names for n, names in wrong.items() if names} == {}, (
        "run `python -m tests.unit.test_docs`"
    )


def test_a_duty_that_is_done_names_where() -> None:
    for number, row in _duties().items():
        where, state = row[2], row[3]
        assert state.startswith(("yes", "part", "not yet")), number
        assert where or state.startswith("not yet"), number
        for place in re.findall(r"`([\w./-]+/[\w./-]*)`", where):
            folders = (ROOT, ROOT / "agegate")
            assert any((folder / place).exists() for folder in folders), f"{number}: {place}"


def test_a_duty_with_tests_is_not_called_missing() -> None:
    said = [n for n, row in _duties().items() if row[3] == "not yet" and _covering(n)]
    assert said == []


def enter_tests_into_the_list() -> None:
    """Rewrite the last column of the list of duties."""
    lines = LAW.read_text("utf-8").splitlines()
    for at, line in enumerate(lines):
        cells = line.split("|")
        if line.startswith("| ") and cells[1].strip().isdigit():
            names = ", ".join(f"`{name}`" for name in _covering(int(cells[1])))
            lines[at] = "|".join([*cells[:5], f" {names} ", ""])
    LAW.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    enter_tests_into_the_list()
