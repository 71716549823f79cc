"""How a change becomes a stored state and a fact: the same in every store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, TypeVar

from agegate.domain.change import Change, NewFact
from agegate.domain.ids import FactId
from agegate.domain.ledger import Fact
from agegate.domain.records import Event
from agegate.services.ports import NewId

T = TypeVar("T")


class Recording(ABC):
    """The part of a unit of work that needs only `add` and `save`."""

    def __init__(self, *, now: datetime, new_id: NewId) -> None:
        self._now = now
        self._new_id = new_id

    @property
    def now(self) -> datetime:
        return self._now

    @abstractmethod
    def add(self, thing: Any) -> None: ...

    @abstractmethod
    def save(self, thing: T) -> T: ...

    def record(self, change: Change[T], *, new: bool = False) -> T:
        after = change.after
        if new:
            self.add(after)
        else:
            after = self.save(after)
        self.state(change.fact)
        return after

    def state(self, fact: NewFact) -> None:
        self.add(
            Fact(
                id=FactId(self._new_id("fact")),
                kind=fact.kind,
                at=self._now,
                operator_id=fact.operator_id,
                client_id=fact.client_id,
                record=fact.record,
                data=dict(fact.data),
            )
        )

    def publish(self, event: Event) -> None:
        self.add(event)
