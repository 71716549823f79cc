"""One cheap question to the database: whether anything was committed since it was last asked.

Two equal stamps of one `Stamps` mean: no. They need no clock and no message from the writer, so
a commit of any process on any machine shows at the next question.

PostgreSQL: the stamp is `pg_current_snapshot()`, whose numbers have 64 bits and never come again.

- Whatever a look-up may see was written under a transaction number. To end, by commit or abort, a
  number either leaves the list of those in progress or, being above them all, moves the snapshot's
  upper bound. That bound never goes back, and no number below it can begin any more, so for one
  bound the list can only shrink: a snapshot that has changed never returns to an earlier text.
- A transaction leaves that list before its COMMIT is answered. A stamp that is asked for after
  somebody was told "done" therefore differs from every stamp from before.
- Numbers of subtransactions are not in the text. They need not be: what they wrote shows when
  their parent's number ends, or never.
- A prepared transaction (two-phase) stays on the list until COMMIT PREPARED.
- A standby is different. There the text leaves out the transactions in progress, so a commit may
  change what is seen and not the text. The question notices, and then no two stamps are equal.
- A pooler may change the server behind a connection after a failover, and a promoted server may
  give old numbers to other transactions. So the stamp also says when the server was started.

SQLite: `PRAGMA data_version` on a connection that never writes moves whenever any other connection
committed, in this process or another. It counts for one connection only, so a new connection begins
a new generation of stamps.

Both are asked on a connection kept for nothing else and by the driver's shortest way: the answer
must cost less than the look-ups it saves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Engine, PoolProxiedConnection

from agegate.domain.errors import UnavailableError

_POSTGRESQL: Final = (
    b"SELECT CASE WHEN pg_is_in_recovery() THEN NULL"
    b" ELSE pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text END"
)
_STATEMENT: Final = b"agegate_stamp"
_SQLITE: Final = "PRAGMA data_version"


class Stamps:
    """Safe to share between threads; they take turns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: PoolProxiedConnection | None = None
        self._ask: Callable[[], object] | None = None
        self._generation = 0

    def current(self) -> str:
        """Only comparable with stamps of this object. Raises `UnavailableError`."""
        with self._lock:
            try:
                answer = (self._ask or self._open())()
            except Exception:  # noqa: BLE001 - the driver's and the pool's own, which may hold secrets
                self._drop()
                raise UnavailableError("the database can't be reached") from None
            if answer is None:
                # Nobody vouches for this moment, so that no other stamp may equal it.
                self._generation += 1
            return f"{self._generation}.{answer}"

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _open(self) -> Callable[[], object]:
        self._connection = self._engine.raw_connection()
        driver: Any = self._connection.driver_connection
        is_sqlite = self._engine.dialect.name == "sqlite"
        self._ask = ask = _asking_sqlite(driver) if is_sqlite else _asking_postgresql(driver)
        return ask

    def _drop(self) -> None:
        # A new connection counts anew: no stamp from before may equal one from after.
        self._generation += 1
        connection, self._connection, self._ask = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()


def _asking_sqlite(driver: Any) -> Callable[[], object]:
    cursor = driver.cursor()

    def ask() -> object:
        return cursor.execute(_SQLITE).fetchone()[0]

    return ask


def _asking_postgresql(driver: Any) -> Callable[[], object]:
    """By libpq itself: a quarter of what the driver's cursor costs."""
    libpq = driver.pgconn
    libpq.prepare(_STATEMENT, _POSTGRESQL)

    def ask() -> object:
        result = libpq.exec_prepared(_STATEMENT, [])
        if result.ntuples != 1:
            raise ConnectionError
        return result.get_value(0, 0)

    return ask
