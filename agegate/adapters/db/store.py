"""The store over SQLAlchemy Core.

Look-ups without a transaction, changes in one, facts numbered afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Select, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from agegate.adapters.db.engine import open_engine
from agegate.adapters.db.lookups import DirectReader, Lookups
from agegate.adapters.db.rows import RowMapper
from agegate.adapters.db.stamps import Stamps
from agegate.adapters.db.tables import TABLE_OF
from agegate.adapters.recording import Recording
from agegate.domain.errors import ConflictError, NotFoundError, UnavailableError
from agegate.domain.ledger import GENESIS, Fact
from agegate.domain.records import Event
from agegate.services.ports import Clock, NewId, Reader, Sealer, UnitOfWork

T = TypeVar("T")

INTEGRATOR_LOCK = (
    0x61676567  # any constant of ours; PostgreSQL's advisory locks share one number space
)
Mappers = dict[type[Any], RowMapper[Any]]


class SqlReader:
    def __init__(self, connection: Connection, mappers: Mappers) -> None:
        self._connection = connection
        self._mappers = mappers

    def find(self, kind: type[T], id_: str) -> T | None:
        if "\x00" in id_:
            return None  # PostgreSQL has no such text, so nothing can be stored under it
        mapper = self._mappers[kind]
        row = self._connection.execute(_BY_ID[kind], {"id": id_}).mappings().first()
        return None if row is None else mapper.from_row(row)

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
        if any(isinstance(value, str) and "\x00" in value for value in equals.values()):
            return []
        mapper = self._mappers[kind]
        columns = mapper.table.c
        query = select(mapper.table)
        for name, value in equals.items():
            query = query.where(
                columns[name].is_(None) if value is None else columns[name] == value
            )
        if upto is not None:
            query = query.where(columns[upto[0]] <= upto[1])
        if past is not None:
            query = query.where(columns[past[0]] > past[1])
        for name in (order, "id"):
            query = query.order_by(columns[name].desc() if descending else columns[name])
        rows = self._connection.execute(query.limit(limit)).mappings()
        return [mapper.from_row(row) for row in rows]


class SqlUnitOfWork(SqlReader, Recording):
    def __init__(
        self, connection: Connection, mappers: Mappers, *, now: datetime, new_id: NewId
    ) -> None:
        SqlReader.__init__(self, connection, mappers)
        Recording.__init__(self, now=now, new_id=new_id)

    def add(self, thing: Any) -> None:
        mapper = self._mappers[type(thing)]
        try:
            self._connection.execute(mapper.table.insert(), mapper.to_row(thing))
        except IntegrityError:
            raise ConflictError(f"this {type(thing).__name__.lower()} already exists") from None

    def save(self, thing: T) -> T:
        row: Any = thing
        mapper = self._mappers[type(thing)]
        after: Any = replace(row, version=row.version + 1)
        columns = mapper.table.c
        try:
            done = self._connection.execute(
                mapper.table.update().where(columns.id == row.id, columns.version == row.version),
                mapper.to_row(after),
            )
        except IntegrityError:
            raise ConflictError(f"this {type(thing).__name__.lower()} already exists") from None
        if done.rowcount != 1:
            raise ConflictError(f"this {type(thing).__name__.lower()} was changed by somebody else")
        return after  # type: ignore[no-any-return]  # The type of `thing`, one version on.

    def hold(self, kind: type[Any], id_: str) -> None:
        # SQLite has one writer at a time, so it needs (and knows) no such words.
        table = self._mappers[kind].table
        query = select(table.c.id).where(table.c.id == id_).with_for_update(read=True)
        self._connection.execute(query)

    def delete(self, kind: type[Any], id_: str) -> None:
        table = self._mappers[kind].table
        self._connection.execute(table.delete().where(table.c.id == id_))

    def commit(self) -> None:
        self._connection.commit()


class SqlStore:
    """Safe to share between threads; each use takes its own connection."""

    def __init__(self, url: str, *, sealer: Sealer, clock: Clock, new_id: NewId) -> None:
        self._writer = open_engine(url, autocommit=False)
        self._reader = open_engine(url, autocommit=True)
        self._stamps = Stamps(self._reader)
        self._clock = clock
        self._new_id = new_id
        self._mappers: Mappers = {kind: RowMapper(kind, sealer) for kind in TABLE_OF}
        self._lookups = Lookups(self._reader.dialect, self._mappers)

    @property
    def engine(self) -> Engine:
        return self._writer

    @contextmanager
    def read(self) -> Iterator[Reader]:
        with _translated(), self._reader.connect() as connection:
            yield DirectReader(connection, self._lookups)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        with _translated(), self._writer.connect() as connection:
            yield SqlUnitOfWork(connection, self._mappers, now=self._clock(), new_id=self._new_id)

    def integrate(self, *, limit: int = 1000) -> int:
        with _translated(), self._writer.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(INTEGRATOR_LOCK)))
            reader = SqlReader(connection, self._mappers)
            last = reader.select(Fact, order="seq", descending=True, past=("seq", 0), limit=1)
            seq, previous = (last[0].seq or 0, last[0].head or GENESIS) if last else (0, GENESIS)
            facts = reader.select(Fact, order="at", limit=limit, seq=None)
            for fact in facts:
                seq += 1
                entry = fact.extend(previous, seq)
                previous = entry.head or previous
                table = TABLE_OF[Fact]
                connection.execute(
                    table.update().where(table.c.id == entry.id, table.c.seq.is_(None)),
                    {"seq": entry.seq, "leaf": entry.leaf, "head": entry.head},
                )
            self._number_events(connection, reader, limit)
            connection.commit()
            return len(facts)

    def entries(self, *, past: int = 0, limit: int = 1000) -> Sequence[Fact]:
        with self.read() as r:
            return r.select(Fact, order="seq", past=("seq", past), limit=limit)

    def stamp(self) -> str:
        with _translated():
            return self._stamps.current()

    def ready(self) -> None:
        with _translated(), self._reader.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self._stamps.close()
        self._writer.dispose()
        self._reader.dispose()

    @staticmethod
    def _number_events(connection: Connection, reader: SqlReader, limit: int) -> None:
        table = TABLE_OF[Event]
        number = connection.execute(select(func.coalesce(func.max(table.c.seq), 0))).scalar_one()
        fresh = reader.select(Event, order="at", limit=limit, seq=None)
        if fresh:
            connection.execute(
                table.update().where(table.c.id == bindparam("which")),
                [{"which": e.id, "seq": n} for n, e in enumerate(fresh, number + 1)],
            )


@contextmanager
def _translated() -> Iterator[None]:
    """What the driver says may hold values of people; what we say does not."""
    try:
        yield
    except IntegrityError:
        raise ConflictError("somebody else was first") from None
    except DBAPIError:
        raise UnavailableError("the database did not take this; nothing was changed") from None
    except SQLAlchemyError:
        raise UnavailableError("the database can't be reached; nothing was changed") from None


_BY_ID: dict[type[Any], Select[Any]] = {
    kind: select(table).where(table.c.id == bindparam("id")) for kind, table in TABLE_OF.items()
}
