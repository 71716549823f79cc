"""One cheap question to the database, whether anything was committed since it was last asked.

PostgreSQL: equal snapshots see equal data, since every transaction that writes takes a number and
so
moves the snapshot on. SQLite: `data_version` moves when any other connection commits, in this
process
or another. Both are asked on a connection kept for nothing else, by the driver itself: the answer
must cost less than the look-ups it saves.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Engine, PoolProxiedConnection

_QUESTION: Final = {
    "postgresql": "SELECT pg_current_snapshot()::text",
    "sqlite": "PRAGMA data_version",
}


class Stamps:
    """Safe to share between threads; they take turns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._question = _QUESTION[engine.dialect.name]
        self._lock = threading.Lock()
        self._connection: PoolProxiedConnection | None = None
        self._generation = 0

    def current(self) -> str:
        """Only comparable with stamps of this object.

        Raises what SQLAlchemy or the driver raises.
        """
        with self._lock:
            try:
                return f"{self._generation}.{self._ask()}"
            except Exception:
                # A new connection counts anew, so no stamp from before may equal one from after.
                self._drop()
                raise

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _ask(self) -> object:
        if self._connection is None:
            self._connection = self._engine.raw_connection()
        cursor: Any = self._connection.driver_connection.cursor()  # type: ignore[union-attr]  # Both drivers have one.
        try:
            cursor.execute(self._question)
            return cursor.fetchone()[0]
        finally:
            cursor.close()

    def _drop(self) -> None:
        self._generation += 1
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
