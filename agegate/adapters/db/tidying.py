"""Let what was deleted leave the disk too."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from agegate.adapters.db.engine import open_engine
from agegate.domain.errors import UnavailableError

_PATIENCE_MS = 500


def forget_deleted(url: str) -> None:
    """Empty SQLite's write-ahead log, where the old bytes of deleted rows stay readable.

    The main file holds none of them (`secure_delete`). While somebody reads, nothing happens and
    the next call tries again. PostgreSQL looks after itself. Raises `UnavailableError`.
    """
    engine = open_engine(url, autocommit=True)
    try:
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={_PATIENCE_MS}")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    except SQLAlchemyError:
        raise UnavailableError("the database can't be reached") from None
    finally:
        engine.dispose()
