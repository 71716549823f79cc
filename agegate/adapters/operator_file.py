"""The operator file: TOML in, a domain `Operator` out, or every problem at once.

Here is judged only whether the file can be read as one meaning. Whether the law allows what it says
is `agegate.domain.legality`'s business. `docs/reference/operator-file.md` describes every key.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agegate.adapters.operator_models import KNOWN_KEYS, FileContext, FileModel
from agegate.adapters.operator_references import reference_problems
from agegate.adapters.operator_words import is_id, said, suggestion
from agegate.domain.errors import ConfigurationError
from agegate.domain.operators import Operator

MAX_FILE: Final = 1_000_000
"""Characters. A file of this size has thousands of clients; beyond it is a mistake."""


MAX_SHOWN: Final = 60
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)


class OperatorFileError(ConfigurationError):
    """A file that can't be read as one meaning. `problems`: a sentence for each, with its path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parse_operator(
    toml_text: str, *, loopback_ok: bool = False, webhook_allow: Collection[str] = ()
) -> Operator:
    """Read an operator file strictly.

    `loopback_ok` permits http on this machine for every client (outside production);
    `webhook_allow` names `host:port` targets that webhooks may have although they are private.
    Raises `OperatorFileError` with all problems, each with its path in the file.
    """
    raw = _read_toml(toml_text)
    context = FileContext(loopback_ok=loopback_ok, webhook_allow=frozenset(webhook_allow))
    problems: list[str] = []
    model: FileModel | None = None
    try:
        model = FileModel.model_validate(raw, context=context)
    except ValidationError as error:
        problems += _sentences(error.errors(include_url=False), raw)
    problems += reference_problems(raw)
    if problems or model is None:
        raise OperatorFileError(problems)
    return model.to_domain()


def _read_toml(text: str) -> dict[str, Any]:
    if len(text) > MAX_FILE:
        raise OperatorFileError([f"the file is longer than {MAX_FILE} characters"])
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise OperatorFileError(["not valid TOML: nested too deeply"]) from None
    except ValueError as error:
        # tomllib says where; it repeats at most one character of the file.
        raise OperatorFileError([f"not valid TOML: {error}"]) from None


def _sentences(errors: list[ErrorDetails], raw: dict[str, Any]) -> Iterator[str]:
    for error in errors:
        loc = [part for part in error["loc"] if part not in {"str", "list[str]", "list"}]
        path = path_of(loc, raw)
        if error["type"] == "extra_forbidden":
            known = KNOWN_KEYS.get(tuple(part for part in loc[:-1] if isinstance(part, str)), ())
            yield f"{path}: is not a known key{suggestion(str(loc[-1]), known)}"
        else:
            yield f"{path}: {said(error)}"


def path_of(loc: list[int | str], raw: dict[str, Any]) -> str:
    """Like `client[storybuddy-web].redirect_uris[#2]`: tables by id, the rest counted from one."""
    path = ""
    here: Any = raw
    for part in loc:
        here = _inside(here, part)
        if isinstance(part, str):
            key = part if _BARE_KEY.fullmatch(part) else json.dumps(part[:MAX_SHOWN])
            path += f".{key}" if path else key
        else:
            named = here.get("id") if isinstance(here, dict) else None
            path += f"[{named}]" if is_id(named) else f"[#{part + 1}]"
    return path


def _inside(here: Any, part: int | str) -> Any:
    if isinstance(here, dict):
        return here.get(part)
    if isinstance(here, list) and isinstance(part, int):
        return here[part]
    return None
