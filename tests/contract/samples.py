"""Values of every kind the store keeps, from their type hints: a new field can't be forgotten.

`full` fills every field, `bare` leaves out whatever may be left out, `things` searches for trouble.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from agegate.adapters.kinds import TABLES, UNIQUE
from agegate.domain.people import EmailAddress, SealedText

T = TypeVar("T")

MOMENT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
KINDS = tuple(TABLES)
SEALED = (EmailAddress, SealedText)
_numbers = itertools.count(1)


def number() -> int:
    """A number that no other sample of this run has."""
    return next(_numbers)


def name_of(kind: type[Any]) -> str:
    return TABLES[kind]


def full(kind: type[T], **overrides: Any) -> T:
    """Every field has a value."""
    made = {n: _value(h, n) for n, h in _hints(kind).items() if n != "version"}
    return kind(**{**made, **_unique(kind), **overrides})


def bare(kind: type[T], **overrides: Any) -> T:
    """Every field that may be None is None, every tuple and mapping empty."""
    made = {n: _least(h, n) for n, h in _hints(kind).items() if n != "version"}
    unique = {n: v for n, v in _unique(kind).items() if made[n] is not None}
    return kind(**{**made, **unique, **overrides})


def sealed_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(n for n, h in _hints(kind).items() if _bare(h)[0] in SEALED)


def things(kind: type[T]) -> st.SearchStrategy[T]:
    """Any value of a kind, with an id and unique fields of its own."""
    parts = {n: _strategy(h) for n, h in _hints(kind).items()}
    return st.fixed_dictionaries(parts).map(lambda p: kind(**{**p, **_unique(kind)}))


def _hints(kind: type[Any]) -> dict[str, Any]:
    resolved = get_type_hints(kind)
    return {f.name: resolved[f.name] for f in fields(kind) if f.init}


def _unique(kind: type[Any]) -> dict[str, Any]:
    n = number()
    hints = _hints(kind)
    return {
        name: n if _bare(hints[name])[0] is int else f"{name_of(kind)}_{n}"
        for name in ("id", *UNIQUE.get(kind, ()))
    }


def _bare(hint: Any) -> tuple[Any, bool]:
    """The class behind a hint and whether None is allowed."""
    optional = False
    while True:
        if isinstance(hint, NewType):
            hint = hint.__supertype__
        elif get_origin(hint) in {Union, types.UnionType} and type(None) in get_args(hint):
            optional = True
            (hint,) = (a for a in get_args(hint) if a is not type(None))
        else:
            return hint, optional


def _is_nested(kind: Any) -> bool:
    return is_dataclass(kind) and kind not in SEALED


def _value(hint: Any, name: str) -> Any:
    kind, _ = _bare(hint)
    origin = get_origin(kind)
    if origin is tuple:
        return (_value(get_args(kind)[0], name),) * 2
    if origin is not None and issubclass(origin, Mapping):
        return {
            "text": "ü 'quoted' \"too\"",
            "count": 7,
            "yes": True,
            "no": False,
            "ids": ("a", "b"),
        }
    if issubclass(kind, StrEnum):
        return list(kind)[-1]
    if _is_nested(kind):
        return kind(**{n: _value(h, n) for n, h in _hints(kind).items()})
    plain: dict[Any, Any] = {
        bool: True,
        int: 41,
        str: f"{name} — ü 'quoted'; \"too\"",
        datetime: MOMENT + timedelta(seconds=number()),
        date: date(2028, 2, 29),
        EmailAddress: EmailAddress("maria@eltern.example"),
        SealedText: SealedText("a secret — ü"),
    }
    return plain[kind]


def _least(hint: Any, name: str) -> Any:
    kind, optional = _bare(hint)
    if optional:
        return None
    origin = get_origin(kind)
    if origin is tuple:
        return ()
    if origin is not None:
        return {}
    if _is_nested(kind):
        return kind(**{n: _least(h, n) for n, h in _hints(kind).items()})
    plain: dict[Any, Any] = {
        bool: False,
        int: 0,
        str: "",
        EmailAddress: EmailAddress(""),
        SealedText: SealedText(""),
    }
    return plain[kind] if kind in plain else _value(kind, name)


# What both databases can hold: no NUL and no half of a surrogate pair; the web layer refuses those.
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
_integers = st.integers(-(2**63), 2**63 - 1)
_moments = st.datetimes(datetime(1970, 1, 2), datetime(9990, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_facts = st.dictionaries(
    _texts, st.one_of(_texts, _integers, st.booleans(), st.lists(_texts, max_size=3).map(tuple))
)


def _strategy(hint: Any) -> st.SearchStrategy[Any]:
    kind, optional = _bare(hint)
    if optional:
        return st.none() | _strategy(kind)
    origin = get_origin(kind)
    if origin is tuple:
        return st.lists(_strategy(get_args(kind)[0]), max_size=2).map(tuple)
    if origin is not None:
        return _facts
    if issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    if kind in SEALED:
        return _texts.map(kind)
    if _is_nested(kind):
        parts = {n: _strategy(h) for n, h in _hints(kind).items()}
        return st.fixed_dictionaries(parts).map(lambda p: kind(**p))
    plain: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: _integers,
        str: _texts,
        datetime: _moments,
        date: st.dates(),
    }
    return plain[kind]
