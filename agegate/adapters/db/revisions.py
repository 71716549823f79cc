"""Which schema this code needs, and which one a database has.

Every start asks this, so it is asked without Alembic, which alone would take a fifth of the time
that a start may take.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from agegate.adapters.db.engine import open_engine
from agegate.domain.errors import ConfigurationError, UnavailableError


def scripts_folder() -> Path:
    """`migrations/` of a source checkout, or the copy inside an installed wheel."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package.parent / "migrations", package / "_migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigurationError("the migrations are missing from this installation")


@cache
def head() -> str:
    """The newest revision. It stands in a file, so that two branches that add one meet in git."""
    return (scripts_folder() / ".head").read_text(encoding="utf-8").strip()


def current(url: str) -> str | None:
    """The revision a database is at; None for an empty one. Raises `UnavailableError`."""
    engine = open_engine(url, autocommit=True)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except SQLAlchemyError:
        raise UnavailableError("the database can't be reached") from None
    finally:
        engine.dispose()
