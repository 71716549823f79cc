"""The whole store in dicts: for tests, under the same contract as the databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

from agegate.adapters.kinds import TABLES, UNIQUE
from agegate.adapters.recording import Recording
from agegate.domain.errors import ConflictError, NotFoundError
from agegate.domain.ledger import GENESIS, Fact
from agegate.domain.records import Event
from agegate.services.ports import Clock, NewId, Reader, UnitOfWork

T = TypeVar("T")
Tables = dict[type[Any], dict[str, Any]]


class MemoryReader:
    """Each look-up asks anew for what is there, as statements without a transaction do."""

    def __init__(self, now_there: Callable[[], Tables]) -> None:
        self._now_there = now_there

    @property
    def _tables(self) -> Tables:
        return self._now_there()

    def find(self, kind: type[T], id_: str) -> T | None:
        return self._tables[kind].get(id_)

    def get(self, kind: type[T], id_: str) -> T:
        found = self.find(kind, id_)
        if found is None:
            raise NotFoundError(f"no such {kind.__name__.lower()}")
        return found

    def select(
        self,
        kind: type[T],
        /,
        *,
        order: str = "id",
        descending: bool = False,
        limit: int | None = None,
        upto: tuple[str, date] | None = None,
        past: tuple[str, int] | None = None,
        **equals: Any,
    ) -> list[T]:
        found: list[Any] = [
            row
            for row in self._tables[kind].values()
            if all(getattr(row, name) == value for name, value in equals.items())
        ]
        if upto is not None:
            name, until = upto
            found = [r for r in found if getattr(r, name) is not None and getattr(r, name) <= until]
        if past is not None:
            field, number = past
            found = [
                r for r in found if getattr(r, field) is not None and getattr(r, field) > number
            ]
        found.sort(key=lambda r: (getattr(r, order), getattr(r, "id")), reverse=descending)  # noqa: B009
        return found[:limit]


class MemoryUnitOfWork(MemoryReader, Recording):
    def __init__(
        self, tables: Tables, install: Callable[[Tables], None], *, now: datetime, new_id: NewId
    ) -> None:
        mine = _copy(tables)
        MemoryReader.__init__(self, lambda: mine)
        Recording.__init__(self, now=now, new_id=new_id)
        self._install = install

    def add(self, thing: Any) -> None:
        rows = self._tables[type(thing)]
        if thing.id in rows:
            raise ConflictError(f"this {type(thing).__name__.lower()} already exists")
        self._check_unique(thing)
        rows[thing.id] = thing

    def save(self, thing: T) -> T:
        row: Any = thing
        stored = self._tables[type(thing)].get(row.id)
        if stored is None or stored.version != row.version:
            raise ConflictError(f"this {type(thing).__name__.lower()} was changed by somebody else")
        after: Any = replace(row, version=row.version + 1)
        self._check_unique(after)
        self._tables[type(thing)][row.id] = after
        return after  # type: ignore[no-any-return]  # The type of `thing`, one version on.

    def hold(self, kind: type[Any], id_: str) -> None:
        """Two who change the same row are told apart at commit."""

    def delete(self, kind: type[Any], id_: str) -> None:
        if kind is Fact and id_ in self._tables[kind]:
            raise ConflictError("facts are append-only")
        self._tables[kind].pop(id_, None)

    def commit(self) -> None:
        self._install(_copy(self._tables))

    def _check_unique(self, thing: Any) -> None:
        for name in UNIQUE.get(type(thing), ()):
            value = getattr(thing, name)
            taken = (r for r in self._tables[type(thing)].values() if r.id != thing.id)
            if value is not None and any(getattr(r, name) == value for r in taken):
                raise ConflictError(f"this {type(thing).__name__.lower()} already exists")


class MemoryStore:
    """One writer at a time, as in SQLite; readers see what is committed."""

    def __init__(self, *, clock: Clock, new_id: NewId) -> None:
        self._tables: Tables = {kind: {} for kind in TABLES}
        self._lock = threading.RLock()
        self._commits = 0
        self._clock = clock
        self._new_id = new_id

    @contextmanager
    def read(self) -> Iterator[Reader]:
        yield MemoryReader(lambda: self._tables)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        with self._lock:
            yield MemoryUnitOfWork(
                self._tables, self._install, now=self._clock(), new_id=self._new_id
            )

    def integrate(self, *, limit: int = 1000) -> int:
        with self._lock:
            tables = _copy(self._tables)
            facts: dict[str, Fact] = tables[Fact]
            done = [f for f in facts.values() if f.seq is not None]
            seq = len(done)
            last = max(done, key=lambda f: f.seq or 0).head if done else None
            previous = last or GENESIS
            waiting = sorted(
                (f for f in facts.values() if f.seq is None), key=lambda f: (f.at, f.id)
            )
            for fact in waiting[:limit]:
                seq += 1
                facts[fact.id] = entry = fact.extend(previous, seq)
                previous = entry.head or previous
            events: dict[str, Event] = tables[Event]
            number = max((e.seq or 0 for e in events.values()), default=0)
            fresh = sorted(
                (e for e in events.values() if e.seq is None), key=lambda e: (e.at, e.id)
            )
            for number, event in enumerate(fresh, number + 1):  # noqa: B020 - goes on from the last number
                events[event.id] = replace(event, seq=number)
            self._install(tables)
            return len(waiting[:limit])

    def entries(self, *, past: int = 0, limit: int = 1000) -> Sequence[Fact]:
        with self.read() as r:
            return r.select(Fact, order="seq", past=("seq", past), limit=limit)

    def stamp(self) -> str:
        return str(self._commits)

    def ready(self) -> None:
        """Memory is always ready."""

    def _install(self, tables: Tables) -> None:
        self._tables = tables
        self._commits += 1


def _copy(tables: Tables) -> Tables:
    return {kind: dict(rows) for kind, rows in tables.items()}
