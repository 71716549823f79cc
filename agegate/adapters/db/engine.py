"""Engines for SQLite (WAL, embedded) and PostgreSQL (production).

Time limits, and what must be safe.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from agegate.domain.errors import ConfigurationError

_REST_S: Final = 1.0


def open_engine(url: str, *, autocommit: bool) -> Engine:
    """`autocommit=True` for look-ups: no BEGIN and no ROLLBACK around them."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError("AGEGATE_DATABASE_URL is not a database address") from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(str(parsed.database or ""), autocommit=autocommit)
        case "postgresql":
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED",
                pool_size=8,
                max_overflow=16,
                pool_pre_ping=not autocommit,
                pool_timeout=5,
                hide_parameters=True,
                connect_args={
                    "connect_timeout": 5,
                    "application_name": "agegate",
                    "options": "-c statement_timeout=15000 -c lock_timeout=5000"
                    " -c idle_in_transaction_session_timeout=60000",
                },
            )
            if autocommit:
                _ping_after_rest(engine)
            return engine
        case other:
            raise ConfigurationError(
                f"AGEGATE_DATABASE_URL: {other} is not supported; use sqlite or postgresql"
            )


def _ping_after_rest(engine: Engine) -> None:
    """Try a connection before its use, if it has lain idle for a while: a ping costs a look-up."""

    @event.listens_for(engine, "checkin")
    def _rest(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["rested_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _wake(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        rested_at = record.info.get("rested_at")
        if rested_at is None or time.monotonic() - rested_at < _REST_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            # All that rested as long are gone with it; the pool opens a new one.
            raise InvalidatePoolError from None


def _sqlite(path: str, *, autocommit: bool) -> Engine:
    if not path or path == ":memory:":
        raise ConfigurationError("AGEGATE_DATABASE_URL: SQLite needs a file")
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        poolclass=QueuePool,
        connect_args={"timeout": 10, "check_same_thread": False},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = (
            None  # We say BEGIN ourselves: the driver's is too late for writers.
        )
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if not autocommit:

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            # A writer takes its place at once: two readers who both want to write would deadlock.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
