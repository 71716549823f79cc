"""Domain objects to rows and back. Sealed fields are bound to their table, column and row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

from agegate.adapters.codec import bare, dumps, from_plain, hints
from agegate.adapters.db.tables import TABLE_OF, is_mapping, is_nested, is_sealed
from agegate.services.ports import Sealer

T = TypeVar("T")


@lru_cache(maxsize=4096)
def _nested(kind: Any, text: str) -> Any:
    """Values are immutable, so equal text may share one object.

    An operator is parsed once, not per request.
    """
    return from_plain(kind, json.loads(text))


class RowMapper(Generic[T]):
    """How one kind is laid out in its table."""

    def __init__(self, kind: type[T], sealer: Sealer) -> None:
        self.kind = kind
        self.table = TABLE_OF[kind]
        self._sealer = sealer
        self._fields = [(name, *self._ways(name, hint)) for name, hint in hints(kind).items()]

    def to_row(self, thing: Any) -> dict[str, Any]:
        id_ = thing.id
        row = {}
        for name, write, _ in self._fields:
            value = getattr(thing, name)
            row[name] = None if value is None else write(value, id_)
        return row

    def from_row(self, row: Mapping[Any, Any]) -> T:
        id_ = row["id"]
        values = {}
        for name, _, read in self._fields:
            value = row[name]
            values[name] = None if value is None else read(value, id_)
        return self.kind(**values)

    def _ways(
        self, name: str, hint: Any
    ) -> tuple[Callable[[Any, str], Any], Callable[[Any, str], Any]]:
        kind = bare(hint)
        if is_sealed(hint):
            place = f"{self.table.name}.{name}."
            return (
                lambda v, id_: self._sealer.seal(v.value.encode(), context=place + id_),
                lambda v, id_: kind(self._sealer.open(bytes(v), context=place + id_).decode()),
            )
        if is_mapping(hint):
            # A dict could be changed by whoever holds it, so each reader gets its own.
            return (lambda v, _: dumps(v)), (lambda v, _: from_plain(kind, json.loads(v)))
        if is_nested(hint):
            return (lambda v, _: dumps(v)), (lambda v, _: _nested(kind, v))
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return (lambda v, _: v.value), (lambda v, _: kind(v))
        return (lambda v, _: v), (lambda v, _: v)
