"""What every test may ask for: databases, a mail server, a browser, real processes.

Fixtures that need the world are lazy: a run of unit tests starts none of it. Tests that ask for
PostgreSQL or a browser are marked so by the fixture they use.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.databases import PostgresServer, drop_databases_of
from tests.support.postgres_keeper import RUN_FOLDER, end_run, new_run_folder
from tests.support.processes import Processes
from tests.support.smtp_sink import SmtpSink

pytest_plugins = ["tests.support.browser"]

# `ci` finds the same examples on every machine; `night` searches for new ones.
_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=_SLOW)
settings.register_profile(
    "night", deadline=None, max_examples=2000, suppress_health_check=_SLOW, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_WORLD = {
    "postgres": {"postgres_server", "postgres_url", "migrated_postgres_url"},
    "browser": {"browser", "page"},
}


def pytest_configure(config: pytest.Config) -> None:
    # xdist's workers inherit the folder; whoever made it removes it.
    if RUN_FOLDER not in os.environ:
        folder = new_run_folder()
        os.environ[RUN_FOLDER] = str(folder)
        config.add_cleanup(lambda: _end_run(folder))


def _end_run(folder: Path) -> None:
    os.environ.pop(RUN_FOLDER, None)
    drop_databases_of(folder)
    end_run(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        for marker, fixtures in _WORLD.items():
            if asked & fixtures:
                item.add_marker(marker)


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """A folder that all processes of this test run share."""
    return Path(os.environ[RUN_FOLDER])


@pytest.fixture(scope="session")
def postgres_server(run_folder: Path) -> PostgresServer:
    """The run's real PostgreSQL. Fails, never skips, when there is none."""
    return PostgresServer.of_run(run_folder)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a new, empty database."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def migrated_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a new database at head, copied from one that was migrated once."""
    from agegate.bootstrap import migrate

    name = postgres_server.create(template=postgres_server.migrated_template(migrate))
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a new SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'agegate.db'}"


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from agegate.bootstrap import migrate

    file = tmp_path_factory.mktemp("template") / "agegate.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def migrated_sqlite_url(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    """The address of a new SQLite file at head, copied from one that was migrated once."""
    for part in migrated_sqlite_file.parent.iterdir():  # WAL and shared memory, if any, too
        shutil.copy(part, tmp_path / part.name)
    return f"sqlite:///{tmp_path / migrated_sqlite_file.name}"


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """A real SMTP server on a free port; accepts everything until told to misbehave."""
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts real `agegate` processes and leaves none behind."""
    with Processes(tmp_path / "processes") as started:
        yield started
