"""Domain values to plain JSON values and back, by their type hints.

Used for nested values in rows.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from agegate.domain.people import EmailAddress, SealedText

_HINTS: dict[type[Any], dict[str, Any]] = {}


def hints(kind: type[Any]) -> dict[str, Any]:
    """Resolved type hints of a dataclass's init fields."""
    if kind not in _HINTS:
        resolved = get_type_hints(kind)
        _HINTS[kind] = {f.name: resolved[f.name] for f in fields(kind) if f.init}
    return _HINTS[kind]


def bare(hint: Any) -> Any:
    """`X | None` and NewTypes down to the class that holds the value."""
    while True:
        if isinstance(hint, NewType):
            hint = hint.__supertype__
        elif may_be_none(hint):
            rest = [a for a in get_args(hint) if a is not type(None)]
            if len(rest) != 1:
                return hint
            hint = rest[0]
        else:
            return hint


def may_be_none(hint: Any) -> bool:
    return get_origin(hint) in {Union, types.UnionType} and type(None) in get_args(hint)


def to_plain(value: Any) -> Any:
    """JSON values only. Secrets are refused.

    A nested secret would escape the sealing of its column.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (EmailAddress, SealedText)):
        raise TypeError(f"{type(value).__name__} may not be nested")
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in hints(type(value))}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(v) for v in value]
    raise TypeError(f"no plain form for {type(value).__name__}")


def from_plain(hint: Any, value: Any) -> Any:
    """The way back; `hint` is the type wanted."""
    hint = bare(hint)
    if value is None:
        return None
    origin = get_origin(hint)
    if origin is tuple:
        return tuple(from_plain(get_args(hint)[0], v) for v in value)
    if origin is not None and isinstance(value, Mapping):
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    if isinstance(hint, type):
        if is_dataclass(hint):
            return hint(
                **{n: from_plain(h, value[n]) for n, h in hints(hint).items() if n in value}
            )
        if issubclass(hint, StrEnum):
            return hint(value)
        if hint is datetime:
            return datetime.fromisoformat(value)
        if hint is date:
            return date.fromisoformat(value)
    return value


def dumps(value: Any) -> str:
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
