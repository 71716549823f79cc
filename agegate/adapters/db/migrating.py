"""Bring a database to head."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from agegate.adapters.db.engine import open_engine
from agegate.adapters.db.revisions import scripts_folder
from agegate.domain.errors import UnavailableError

LOCK: Final = 0x6D696772  # one migration at a time, whoever starts it


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()))
    return config


def migrate(url: str, *, to: str = "head") -> None:
    """Upgrade to `to`. Two at once do not meet, and no lock is waited for longer than seconds.

    Raises `UnavailableError` when the database is away or somebody holds what a migration needs.
    """
    engine = open_engine(url, autocommit=False)
    config = configuration()
    try:
        with engine.connect() as connection, _alone(connection):
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    except OperationalError:
        raise UnavailableError(
            "the database is away, or somebody else is migrating it or holds a table; "
            "nothing was changed"
        ) from None
    finally:
        engine.dispose()


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """One migration at a time. SQLite has one writer anyway, from its first look on."""
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        connection.commit()
    try:
        yield
    finally:
        if connection.in_transaction():
            connection.rollback()
        if postgresql:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
            connection.commit()
