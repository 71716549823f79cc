"""Bring a database to head, or say how far from it it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from agegate.adapters.db.engine import open_engine
from agegate.domain.errors import ConfigurationError, UnavailableError

LOCK: Final = 0x6D696772  # one migration at a time, whoever starts it


def scripts_folder() -> Path:
    """`migrations/` of a source checkout, or the copy inside an installed wheel."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package.parent / "migrations", package / "_migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigurationError("the migrations are missing from this installation")


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()))
    return config


def head() -> str | None:
    return ScriptDirectory.from_config(configuration()).get_current_head()


def current(url: str) -> str | None:
    """The revision a database is at; None for an empty one. Raises `UnavailableError`."""
    engine = open_engine(url, autocommit=True)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError:
        raise UnavailableError("the database can't be reached") from None
    finally:
        engine.dispose()


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
