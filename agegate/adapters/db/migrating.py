"""Bring a database to head, or say how far from it it is."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from agegate.adapters.db.engine import open_engine
from agegate.domain.errors import ConfigurationError, UnavailableError

_LOCK = 0x6D696772  # one migration at a time, whoever starts it


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
    """Upgrade to `to`, with a lock so that two at once do not meet.

    And short waits for locks of others.
    """
    engine = open_engine(url, autocommit=False)
    config = configuration()
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
                connection.commit()
            try:
                config.attributes["connection"] = connection
                command.upgrade(config, to)
            finally:
                _unlock(connection)
    finally:
        engine.dispose()


def _unlock(connection: Connection) -> None:
    if connection.in_transaction():
        connection.rollback()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
        connection.commit()
