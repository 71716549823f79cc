"""What is different between two declarations of an operator, in lines a person can read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any, Final

from agegate.domain.operators import Operator

_TABLES: Final = {
    "recipient": "recipients",
    "purpose": "purposes",
    "service": "services",
    "client": "clients",
}


def changes(old: Operator | None, new: Operator) -> tuple[str, ...]:
    """Lines that begin with `+` (new), `-` (gone) or `~` (changed); none when nothing changes."""
    if old is None:
        return (
            f"+ operator[{new.id}]",
            *(
                f"+ {name}[{item.id}]"
                for name, attr in _TABLES.items()
                for item in getattr(new, attr)
            ),
        )
    return (*_changes(old, new),)


def _changes(old: Operator, new: Operator) -> Iterator[str]:
    lines = [*_differences(old, new)]
    yield from lines
    if old.practices != new.practices:
        yield (
            f"~ practices: {old.practices[:19]}… → {new.practices[:19]}…; consents given for the "
            "old practices become stale"
        )
    elif old != new and not lines:
        # The order of tables is the order in which parents read the purposes.
        yield "~ the order of the tables"


def _differences(old: Operator, new: Operator) -> Iterator[str]:
    tables = {*_TABLES.values()}
    yield from _fields("operator", _plain(old, but=tables), _plain(new, but=tables))
    for name, attr in _TABLES.items():
        yield from _table(name, getattr(old, attr), getattr(new, attr))


def _table(name: str, old: Iterable[Any], new: Iterable[Any]) -> Iterator[str]:
    before, after = {item.id: item for item in old}, {item.id: item for item in new}
    for id_ in before:
        if id_ not in after:
            yield f"- {name}[{id_}]"
    for id_, item in after.items():
        if id_ not in before:
            yield f"+ {name}[{id_}]"
        else:
            yield from _fields(f"{name}[{id_}]", _plain(before[id_]), _plain(item))


def _fields(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key, value in new.items():
        if old[key] != value:
            yield f"~ {path}.{key}: {_shown(old[key])} → {_shown(value)}"


def _plain(item: Any, *, but: Iterable[str] = ()) -> dict[str, Any]:
    return {f.name: getattr(item, f.name) for f in fields(item) if f.init and f.name not in but}


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value):
        inside = (f"{f.name} = {_shown(getattr(value, f.name))}" for f in fields(value))
        return "{ " + ", ".join(inside) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)
