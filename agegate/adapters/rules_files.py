"""A folder of TOML files becomes the rulebook."""

from __future__ import annotations

import tomllib
from pathlib import Path

import agegate
from agegate.domain.places import RuleError
from agegate.domain.rule_parsing import RuleDocument, assemble, parse_document
from agegate.domain.rules import Rulebook


def default_folder() -> Path:
    """The rules that came with this code: `config/` of a checkout, else the installed copy.

    Raises `RuleError` when neither is there.
    """
    package = Path(agegate.__file__).resolve().parent
    for folder in (
        package.parent / "config" / "jurisdictions",
        package / "_config" / "jurisdictions",
    ):
        if (folder / "rulebook.toml").is_file():
            return folder
    raise RuleError("no rulebook was installed with agegate")


def read_rulebook(folder: Path | None = None) -> Rulebook:
    """Read every `*.toml` of `folder`, by default the rules that came with agegate.

    Raises `RuleError` that names the file and the key.
    """
    folder = folder or default_folder()
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise RuleError(f"{folder}: no rule files")
    return assemble([_read_file(file) for file in files])


def _read_file(file: Path) -> RuleDocument:
    try:
        return parse_document(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuleError(f"{file.name}: {error}") from error
    except RuleError as error:
        raise RuleError(f"{file.name}: {error}") from error
