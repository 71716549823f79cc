"""A fresh world for each test: SQLite by default, `any_world` on PostgreSQL too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agegate.bootstrap import migrate
from tests.integration.oauth.listener import Listener
from tests.integration.oauth.world import World, settings_for
from tests.support.databases import PostgresServer


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A database with keys and both operators, made once, and the secrets that were told."""
    folder = tmp_path_factory.mktemp("furnished")
    url = f"sqlite:///{folder / 'agegate.db'}"
    migrate(url)
    world = World.open(settings_for(url))
    world.close()
    return folder, world.secrets


@pytest.fixture
def world(furnished: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[World]:
    folder, secrets = furnished
    for part in folder.iterdir():
        shutil.copy(part, tmp_path / part.name)
    world = World.open(settings_for(f"sqlite:///{tmp_path / 'agegate.db'}"), secrets)
    yield world
    world.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The same world on both databases: what the driver refuses differs, answers must not."""
    if request.param == "sqlite":
        yield request.getfixturevalue("world")
        return
    world = World.open(settings_for(request.getfixturevalue("migrated_postgres_url")))
    yield world
    world.close()


@pytest.fixture(scope="module")
def shared_world(
    furnished: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One world for a whole file whose tests move no clock and end nobody."""
    folder, secrets = furnished
    copy = tmp_path_factory.mktemp("shared") / "agegate"
    shutil.copytree(folder, copy)
    world = World.open(settings_for(f"sqlite:///{copy / 'agegate.db'}"), secrets)
    yield world
    world.close()


@pytest.fixture(scope="module")
def _shared_postgres_world(postgres_server: PostgresServer) -> Iterator[World]:
    name = postgres_server.create(template=postgres_server.migrated_template(migrate))
    world = World.open(settings_for(postgres_server.url(name)))
    yield world
    world.close()
    postgres_server.drop(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def both_worlds(request: pytest.FixtureRequest) -> World:
    """`shared_world` on both databases."""
    name = "shared_world" if request.param == "sqlite" else "_shared_postgres_world"
    world: World = request.getfixturevalue(name)
    return world


@pytest.fixture
def unused_tcp_listener() -> Iterator[Listener]:
    with Listener() as listener:
        yield listener
