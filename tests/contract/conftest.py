"""One store three times: in memory, in a SQLite file, in a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agegate.adapters.db.migrating import migrate
from agegate.adapters.db.store import SqlStore
from agegate.adapters.ids import new_id
from agegate.adapters.memory import MemoryStore
from agegate.adapters.sealing import KeyedSealer
from agegate.services.ports import Store
from tests.contract.samples import MOMENT
from tests.support.databases import PostgresServer

SECRET = "a secret of 32 bytes for the tests"


@dataclass
class FixedClock:
    """Stands still until it is told to go on."""

    time: datetime = MOMENT

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Database:
    """A migrated database of this test, and as many stores on it as there would be processes."""

    url: str
    clock: FixedClock
    opened: list[SqlStore] = field(default_factory=list)

    def another(self, *, secret: str = SECRET) -> SqlStore:
        store = SqlStore(self.url, sealer=KeyedSealer(secret), clock=self.clock, new_id=new_id)
        self.opened.append(store)
        return store

    @property
    def folder(self) -> Path:
        """Where a SQLite file lives, with its WAL."""
        return Path(self.url.removeprefix("sqlite:///")).parent

    def close(self) -> None:
        for store in self.opened:
            store.close()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("contract") / "agegate.db"
    migrate(f"sqlite:///{file}")
    return file


OpenDatabase = Callable[[str], Database]


@pytest.fixture
def open_database(
    request: pytest.FixtureRequest, clock: FixedClock, tmp_path: Path
) -> Iterator[OpenDatabase]:
    opened: list[Database] = []
    taken: list[tuple[PostgresServer, str]] = []

    def open_(kind: str) -> Database:
        if kind == "sqlite":
            template: Path = request.getfixturevalue("sqlite_template")
            folder = tmp_path / "database"
            shutil.copytree(template.parent, folder)
            url = f"sqlite:///{folder / template.name}"
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            name = server.create(template=server.migrated_template(migrate))
            taken.append((server, name))
            url = server.url(name)
        database = Database(url, clock)
        opened.append(database)
        return database

    yield open_
    for database in opened:
        database.close()
    for server, name in taken:
        server.drop(name)


POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)


@pytest.fixture(params=["sqlite", POSTGRES])
def database(request: pytest.FixtureRequest, open_database: OpenDatabase) -> Database:
    return open_database(request.param)


@pytest.fixture(params=["memory", "sqlite", POSTGRES])
def store(request: pytest.FixtureRequest, open_database: OpenDatabase, clock: FixedClock) -> Store:
    if request.param == "memory":
        return MemoryStore(clock=clock, new_id=new_id)
    return open_database(request.param).another()
