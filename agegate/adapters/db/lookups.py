"""Look-ups by the driver's shortest way.

SQLAlchemy writes each statement once; from then on the driver gets it prepared, without the layers
that fit any statement. An answer about one token takes ten look-ups, so this is most of what an
answer costs that was not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from typing import Any, Final, NamedTuple, TypeVar

from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from sqlalchemy import BigInteger, Connection, Dialect, PoolProxiedConnection, bindparam, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from agegate.adapters.db.rows import RowMapper
from agegate.domain.errors import NotFoundError, UnavailableError

T = TypeVar("T")
Mappers = Mapping[type[Any], RowMapper[Any]]
_ID: Final = ("id",)
_MOST: Final = 500
_numbers = count()
Rows = list[tuple[Any, ...]]
Convert = Callable[[Any], Any]


class _Shape(NamedTuple):
    """Everything a statement's text depends on. The names come from our own code alone."""

    kind: type[Any]
    equals: tuple[str, ...]
    nothing: tuple[str, ...] = ()
    upto: str | None = None
    past: str | None = None
    order: tuple[str, ...] = ()
    descending: bool = False
    limited: bool = False


@dataclass(frozen=True, slots=True)
class _Prepared:
    sql: str
    name: bytes
    """Its name on every connection to PostgreSQL."""
    places: tuple[str, ...]
    """The parameters in their order."""
    fixed: Mapping[str, Any]
    """Parameters of SQLAlchemy's own, such as SQLite's OFFSET 0."""
    outward: Mapping[str, Convert]
    columns: tuple[tuple[str, Convert | None], ...]


class Lookups:
    """The statements of one engine, shared by its connections."""

    def __init__(self, dialect: Dialect, mappers: Mappers) -> None:
        self.dialect = dialect
        self.mappers = mappers
        self.is_postgresql = dialect.name == "postgresql"
        # libpq knows parameters by number.
        self._writing = (
            PGDialect_psycopg(  # type: ignore[no-untyped-call]  # SQLAlchemy's own lacks them.
                paramstyle="numeric_dollar"
            )
            if self.is_postgresql
            else dialect
        )
        self._prepared: dict[_Shape, _Prepared] = {}

    def prepared(self, shape: _Shape) -> _Prepared:
        found = self._prepared.get(shape)
        if found is None:
            if len(self._prepared) >= _MOST:
                self._prepared = {}
            found = self._prepared[shape] = self._prepare(shape)
        return found

    def _prepare(self, shape: _Shape) -> _Prepared:
        table = self.mappers[shape.kind].table
        query = select(table)
        given: dict[str, Any] = {}
        for name in shape.nothing:
            query = query.where(table.c[name].is_(None))
        for name in shape.equals:
            given[name] = table.c[name].type
            query = query.where(table.c[name] == bindparam(name, type_=given[name]))
        if shape.upto is not None:
            given["_upto"] = table.c[shape.upto].type
            query = query.where(table.c[shape.upto] <= bindparam("_upto", type_=given["_upto"]))
        if shape.past is not None:
            given["_past"] = table.c[shape.past].type
            query = query.where(table.c[shape.past] > bindparam("_past", type_=given["_past"]))
        for name in shape.order:
            query = query.order_by(table.c[name].desc() if shape.descending else table.c[name])
        if shape.limited:
            query = query.limit(bindparam("_limit", type_=BigInteger()))
        compiled: Any = query.compile(dialect=self._writing)
        outward = {name: self._outward(kind) for name, kind in given.items()}
        return _Prepared(
            sql=str(compiled),
            name=b"agegate_%d" % next(_numbers),
            places=tuple(compiled.positiontup),
            fixed={n: v for n, v in compiled.params.items() if n not in given and n != "_limit"},
            outward={name: convert for name, convert in outward.items() if convert is not None},
            columns=tuple((column.name, self._inward(column.type)) for column in table.c),
        )

    def _outward(self, kind: Any) -> Convert | None:
        convert: Convert | None = kind.dialect_impl(self.dialect).bind_processor(self.dialect)
        return convert

    def _inward(self, kind: Any) -> Convert | None:
        convert: Convert | None = kind.dialect_impl(self.dialect).result_processor(
            self.dialect, None
        )
        return convert


class DirectReader:
    """A `Reader` over one connection without a transaction."""

    def __init__(self, connection: Connection, lookups: Lookups) -> None:
        self._connection = connection
        self._lookups = lookups
        self._ask = _ask_postgresql if lookups.is_postgresql else _ask_sqlite
        self._errors: Any = lookups.dialect.loaded_dbapi.Error

    def find(self, kind: type[T], id_: str) -> T | None:
        found = self._look(_Shape(kind, _ID), {"id": id_})
        return found[0] if found else None

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
        values = {name: value for name, value in equals.items() if value is not None}
        shape = _Shape(
            kind,
            equals=tuple(values),
            nothing=tuple(name for name, value in equals.items() if value is None),
            upto=upto[0] if upto else None,
            past=past[0] if past else None,
            order=(order, "id"),
            descending=descending,
            limited=limit is not None,
        )
        if upto is not None:
            values["_upto"] = upto[1]
        if past is not None:
            values["_past"] = past[1]
        if limit is not None:
            values["_limit"] = limit
        return self._look(shape, values)

    def _look(self, shape: _Shape, values: dict[str, Any]) -> list[Any]:
        if any(isinstance(value, str) and "\x00" in value for value in values.values()):
            return []  # PostgreSQL has no such text, so nothing can be stored under it
        prepared = self._lookups.prepared(shape)
        for name, convert in prepared.outward.items():
            values[name] = convert(values[name])
        values |= prepared.fixed
        given = [values[name] for name in prepared.places]
        try:
            rows = self._ask(self._connection.connection, prepared, given)
        except self._errors as error:
            # What the driver says may hold values of people.
            driver: Any = self._connection.connection.driver_connection
            if self._lookups.dialect.is_disconnect(error, driver, None):
                # Its like will be gone too: none of them may be handed out again.
                self._connection.invalidate()
                self._connection.engine.dispose()
            raise UnavailableError("the database did not take this") from None
        from_row = self._lookups.mappers[shape.kind].from_row
        columns = prepared.columns
        return [
            from_row(
                {
                    name: value if inward is None else inward(value)
                    for (name, inward), value in zip(columns, row, strict=True)
                }
            )
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class _Known:
    """What one connection has prepared, and how it reads each statement's values."""

    driver: Any
    reading: dict[bytes, Any]


def _ask_sqlite(connection: PoolProxiedConnection, prepared: _Prepared, given: list[Any]) -> Rows:
    driver: Any = connection.driver_connection
    rows: Rows = driver.execute(prepared.sql, given).fetchall()
    return rows


def _ask_postgresql(
    connection: PoolProxiedConnection, prepared: _Prepared, given: list[Any]
) -> Rows:
    """By libpq itself and psycopg's own way of reading values: less than half a cursor's cost."""
    driver: Any = connection.driver_connection
    known = connection.info.get(__name__)
    if known is None or known.driver is not driver:
        known = connection.info[__name__] = _Known(driver, {})
    reading = known.reading.get(prepared.name)
    if reading is None:
        _require(driver.pgconn.prepare(prepared.name, prepared.sql.encode()), driver)
        reading = known.reading[prepared.name] = Transformer(driver)
    result = driver.pgconn.exec_prepared(prepared.name, [_text(value) for value in given])
    _require(result, driver)
    reading.set_pgresult(result)
    rows: Rows = reading.load_rows(0, result.ntuples, tuple)
    return rows


def _require(result: Any, driver: Any) -> None:
    """Raises psycopg's error for what the server refused."""
    if result.status not in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        raise error_from_result(result, encoding=driver.info.encoding)


def _text(value: Any) -> bytes:
    """A parameter as PostgreSQL reads it; the statement says of which type it is."""
    if isinstance(value, datetime | date):
        return value.isoformat().encode()
    return str(value).encode()
