"""A change and its fact travel together: the store takes both or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from agegate.domain.ids import ClientId, OperatorId, RecordId
from agegate.domain.ledger import FactKind, FactValue

A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFact:
    """What happened; id and time are given by the unit of work that records it."""

    kind: FactKind
    operator_id: OperatorId | None = None
    client_id: ClientId | None = None
    record: RecordId | None = None
    data: Mapping[str, FactValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change(Generic[A]):
    after: A
    fact: NewFact
