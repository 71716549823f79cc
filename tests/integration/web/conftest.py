from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.web.site import Site


@pytest.fixture
def site(migrated_sqlite_url: str) -> Iterator[Site]:
    """The application over a SQLite file."""
    made = Site(migrated_sqlite_url)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """The application over each database we promise to run on."""
    name = "migrated_sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
    made = Site(request.getfixturevalue(name))
    yield made
    made.close()
