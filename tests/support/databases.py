"""Fresh databases on the run's PostgreSQL: empty ones, and copies of one migrated template."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.support.postgres_keeper import locked, shared_server

_FILE_COPY_SINCE = 150000  # PostgreSQL 15: CREATE DATABASE … STRATEGY


class PostgresServer:
    """The server of this test run; hands out databases and takes them back."""

    def __init__(self, admin_url: str, run_folder: Path) -> None:
        self.admin_url = admin_url
        (run_folder / "used").touch()
        self._run_folder = run_folder
        # Databases of two runs on one TEST_DATABASE_URL must not meet.
        self._prefix = "t_" + "".join(c for c in run_folder.name[-8:].lower() if c.isalnum())
        with self._admin() as connection:
            self._file_copy = connection.info.server_version >= _FILE_COPY_SINCE

    @classmethod
    def of_run(cls, run_folder: Path) -> PostgresServer:
        """Use `TEST_DATABASE_URL`, or else start (or join) the run's own server."""
        return cls(os.environ.get("TEST_DATABASE_URL") or shared_server(run_folder), run_folder)

    def url(self, database: str) -> str:
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))

    def create(self, *, template: str | None = None) -> str:
        """Create a database and return its name. From a template it takes some 40 ms."""
        name = f"{self._prefix}_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            if self._file_copy:
                statement += sql.SQL(" STRATEGY file_copy")
        with self._admin() as connection:
            connection.execute(statement)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, cutting whoever is still connected."""
        with self._admin() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def migrated_template(self, migrate: Callable[[str], None]) -> str:
        """Return a migrated template database; the first caller of the run makes it."""
        name = f"{self._prefix}_template"
        with locked(self._run_folder, "template"):
            made = self._run_folder / "template-is-made"
            if made.exists():
                return name
            self.drop(name)
            with self._admin() as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            migrate(self.url(name))
            with self._admin() as connection:
                # A template that somebody is connected to cannot be copied.
                connection.execute(
                    sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(
                        sql.Identifier(name)
                    )
                )
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    (name,),
                )
            made.touch()
        return name

    def drop_all(self) -> None:
        """Drop every database of this run."""
        with self._admin() as connection:
            names = connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)",
                (self._prefix + "_",),
            ).fetchall()
        for (name,) in names:
            self.drop(str(name))

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.admin_url, autocommit=True)


def drop_databases_of(run_folder: Path) -> None:
    """Leave nothing on an external server; the run's own disappears as a whole."""
    if (external := os.environ.get("TEST_DATABASE_URL")) and (run_folder / "used").exists():
        PostgresServer(external, run_folder).drop_all()
