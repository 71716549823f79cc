"""The house keeps its own rules: the habits that no linter knows."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_MOST_LINES = 500
_MOST_LINES_OF_TESTS = 700  # a table of cases is long, but flat
_REQUIREMENTS = sorted((_ROOT / "requirements").glob("*.txt"))
_SCRIPTS = [_ROOT / "Makefile", _ROOT / ".ci" / "run", _ROOT / ".githooks" / "pre-commit"]


def _files(*patterns: str) -> Iterator[Path]:
    for folder in ("agegate", "benchmarks", "migrations", "tests"):
        for pattern in patterns:
            for path in sorted((_ROOT / folder).rglob(pattern)):
                if not {"__pycache__", "node_modules"} & set(path.parts):
                    yield path


def _name(path: Path) -> str:
    return str(path.relative_to(_ROOT))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


@pytest.fixture(scope="module")
def makefile() -> str:
    return (_ROOT / "Makefile").read_text()


# --- size and shape ---------------------------------------------------------------------------


def test_no_file_outgrows_its_reader() -> None:
    long = {
        _name(path): lines
        for path in _files("*.py", "*.html", "*.css", "*.js")
        # A migration is written once and read once.
        if path.parent.name != "versions"
        and (lines := len(path.read_text().splitlines()))
        > (_MOST_LINES_OF_TESTS if path.name.startswith("test_") else _MOST_LINES)
    }
    assert long == {}


def test_every_package_folder_is_a_package() -> None:
    folders = {path.parent for path in (_ROOT / "agegate").rglob("*.py")}
    assert [_name(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_nothing_of_the_house_hides_from_version_control() -> None:
    if not (_ROOT / ".git").exists():
        pytest.skip("not a checkout: there is no index to compare with")
    ignored = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--", "agegate"],  # noqa: S607 -- git is wherever it is
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert [name for name in ignored if "__pycache__" not in name] == []


# --- tests ------------------------------------------------------------------------------------


def test_nobody_mocks() -> None:
    mocking = [
        f"{_name(path)}:{node.lineno}"
        for path in _files("*.py")
        for node in ast.walk(_tree(path))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mock")
        or (
            isinstance(node, ast.ImportFrom)
            and f"{node.module}.{node.names[0].name}".startswith("unittest.mock")
        )
        or (
            isinstance(node, ast.Import)
            and any(a.name.startswith(("unittest.mock", "mock")) for a in node.names)
        )
    ]
    assert mocking == []


def test_every_skip_says_why() -> None:
    silent = []
    for path in _files("test_*.py", "conftest.py"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call) and _dotted(node.func) == "pytest.skip":
                silent += [] if node.args or node.keywords else [f"{_name(path)}:{node.lineno}"]
            if isinstance(node, ast.Call) and _dotted(node.func).startswith("pytest.mark.skip"):
                given = any(k.arg == "reason" for k in node.keywords)
                silent += [] if given else [f"{_name(path)}:{node.lineno}"]
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and any(
                _dotted(d) == "pytest.mark.skip" for d in node.decorator_list
            ):
                silent.append(f"{_name(path)}:{node.lineno}")
    assert silent == []


def test_every_test_asserts() -> None:
    functions = [
        (path, node)
        for path in _files("*.py")
        if path.is_relative_to(_ROOT / "tests")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    asserting: set[str] = set()
    while True:  # a helper that asserts lends its word to whoever calls it
        more = {node.name for _, node in functions if _asserts(node, asserting)}
        if more == asserting:
            break
        asserting = more
    empty = [
        f"{_name(path)}: {node.name}"
        for path, node in functions
        if path.name.startswith("test_")
        and node.name.startswith("test_")
        and node.name not in asserting
    ]
    assert empty == []


def _asserts(function: ast.AST, asserting: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = _dotted(node.func)
            last = name.rpartition(".")[2]
            if name in {"pytest.raises", "pytest.fail", "pytest.warns"} or last in asserting:
                return True
            if last.startswith(("assert_", "expect", "validate", "call_and_validate")):
                return True
    return False


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        return _dotted(node.func)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


# --- exceptions to rules ----------------------------------------------------------------------

_EXCEPTION = re.compile(r"#\s*(noqa|type: ignore|pragma: no cover)(?P<rest>.*)$")
_CODED_WITH_REASON = re.compile(r"^\s*(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|\[[a-z\-, ]+\])?\W*\s\w+")


def test_every_exception_to_a_rule_says_why() -> None:
    silent = [
        f"{_name(path)}:{number}: {line.strip()}"
        for path in _files("*.py")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (found := _EXCEPTION.search(line)) and not _CODED_WITH_REASON.match(found["rest"])
    ]
    assert silent == []


# --- requirements and commands ----------------------------------------------------------------


@pytest.mark.parametrize("path", _REQUIREMENTS, ids=lambda p: p.name)
def test_every_pin_is_exact_and_hashed(path: Path) -> None:
    text = path.read_text().replace("\\\n", " ")
    pins = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert pins
    for pin in pins:
        assert re.match(r"^[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==\S+", pin), pin
        assert "--hash=sha256:" in pin, pin


@pytest.mark.parametrize("path", [*_REQUIREMENTS, *_SCRIPTS], ids=lambda p: p.name)
def test_no_registry_is_named(path: Path) -> None:
    text = path.read_text()
    assert not re.findall(r"\w+://\S+", text)
    assert not re.findall(r"--(?:extra-)?index-url \S+|--find-links|--trusted-host", text)


def test_each_requirements_file_agrees_with_the_others() -> None:
    seen: dict[str, set[str]] = {}
    for path in _REQUIREMENTS:
        for name, version in re.findall(
            r"^([a-z0-9._-]+)(?:\[.*\])?==(\S+)", path.read_text(), re.MULTILINE
        ):
            seen.setdefault(name, set()).add(version)
    assert {name: versions for name, versions in seen.items() if len(versions) > 1} == {}


@pytest.mark.parametrize("path", _SCRIPTS[1:], ids=lambda p: p.name)
def test_scripts_can_be_run(path: Path) -> None:
    assert os.access(path, os.X_OK)


def test_ci_is_make_setup_ci_and_the_hook_is_make_quick() -> None:
    assert "make --no-print-directory setup ci\n" in (_ROOT / ".ci" / "run").read_text()
    assert "make --no-print-directory quick\n" in (_ROOT / ".githooks" / "pre-commit").read_text()


def _targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


def test_help_lists_every_command(makefile: str) -> None:
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## \S", makefile, re.MULTILINE))
    steps_of_others = {"venv", "setup-demo"}
    assert explained == _targets(makefile) - steps_of_others
    assert ".DEFAULT_GOAL := help" in makefile
    assert set(re.findall(r"^\.PHONY: (\S+)", makefile, re.MULTILINE)) == _targets(makefile)


def test_ci_runs_the_test_command_of_the_readme(makefile: str) -> None:
    assert "make test" in (_ROOT / "README.md").read_text()
    needs = re.search(r"^ci: ([^#\n]*)", makefile, re.MULTILINE)
    assert needs
    assert {"check", "test"} <= set(needs[1].split())


_MAKE_COMMAND = re.compile(r"(?:^|`|\$ )make ([a-z][a-z-]*)", re.MULTILINE)


def test_documents_name_commands_that_exist(makefile: str) -> None:
    documents = [
        _ROOT / "README.md", *_ROOT.glob("CONTRIBUTING.md"), *(_ROOT / "docs").rglob("*.md")
    ]  # fmt: skip
    unknown = [
        f"{_name(document)}: make {target}"
        for document in documents
        for target in re.findall(
            r"(?:^|`|\$ )make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE
        )
        if target not in _targets(makefile)
    ]
    assert unknown == []


def test_every_ignored_lint_rule_has_its_reason() -> None:
    text = (_ROOT / "pyproject.toml").read_text()
    block = text.partition("\nignore = [\n")[2].partition("\n]\n")[0]
    # One comment may speak for neighbours of one kind.
    assert len(re.findall(r"#\s+\w+", block)) >= len(block.splitlines()) / 2
    assert tomllib.loads(text)["tool"]["ruff"]["lint"]["select"] == ["ALL"]
