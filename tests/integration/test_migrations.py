"""Databases come to head whole from every revision, and history can't be rewritten."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, bindparam, inspect, text
from sqlalchemy.exc import DBAPIError

from agegate.adapters.db.engine import open_engine
from agegate.adapters.db.migrating import configuration, migrate
from agegate.adapters.db.revisions import current, head
from agegate.adapters.db.store import SqlStore
from agegate.adapters.db.tables import TABLE_OF, UtcDateTime, metadata
from agegate.adapters.ids import new_id
from agegate.adapters.sealing import KeyedSealer
from agegate.domain.errors import AgegateError, UnavailableError
from agegate.domain.ledger import Fact, first_break
from tests.contract.samples import KINDS, MOMENT, bare, full

_ROOT = Path(__file__).resolve().parents[2]
FIRST: Final = "0001"
Step = Callable[[Connection], None]


def _a_client_with_webhooks(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO credentials "
            "(id, operator_id, kind, secret_hash, webhook_secret, created_at, version) "
            "VALUES ('app', 'op', 'client', 'hash', :sealed, :at, 3)"
        ).bindparams(bindparam("at", type_=UtcDateTime())),
        {"sealed": b"sealed", "at": MOMENT},
    )


def _keeps_its_secret_and_has_no_old_one(connection: Connection) -> None:
    row = connection.execute(
        text(
            "SELECT id, secret_hash, webhook_secret, version, old_webhook_secret, "
            "old_webhook_until FROM credentials"
        )
    ).one()
    assert (row[0], row[1], bytes(row[2]), *row[3:]) == ("app", "hash", b"sealed", 3, None, None)
    assert connection.execute(text("SELECT count(*) FROM webhook_deliveries")).scalar_one() == 0


DATA_TESTS: Final[dict[str, tuple[Step, Step]]] = {
    "0002": (_a_client_with_webhooks, _keeps_its_secret_and_has_no_old_one),
}
"""For every migration after the first: what to put in before it, what must be there after it."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'agegate.db'}"
    return str(request.getfixturevalue("postgres_url"))


def a_store(url: str) -> SqlStore:
    sealer = KeyedSealer("a secret of 32 bytes for the tests")
    return SqlStore(url, sealer=sealer, clock=lambda: MOMENT, new_id=new_id)


def with_engine(url: str, act: Callable[[Engine], None]) -> None:
    engine = open_engine(url, autocommit=False)
    try:
        act(engine)
    finally:
        engine.dispose()


def revisions() -> list[str]:
    walked = ScriptDirectory.from_config(configuration()).walk_revisions()
    return [script.revision for script in walked][::-1]


# -- the schema ----------------------------------------------------------------------------------


def test_an_empty_database_comes_to_head(url: str) -> None:
    assert current(url) is None
    migrate(url)
    assert current(url) == head() == revisions()[-1]


def test_models_and_migrations_say_the_same(url: str) -> None:
    migrate(url)

    def compare(engine: Engine) -> None:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
            inspector = inspect(connection)
            for table in TABLE_OF.values():
                assert inspector.get_pk_constraint(table.name)["constrained_columns"] == ["id"]
                nullable = {c["name"]: c["nullable"] for c in inspector.get_columns(table.name)}
                assert nullable == {c.name: c.nullable for c in table.columns}, table.name

    with_engine(url, compare)


def test_revisions_are_numbered_in_one_line() -> None:
    found = revisions()
    assert found[0] == FIRST
    assert found == [f"{n:04}" for n in range(1, len(found) + 1)]


def test_every_later_migration_has_a_data_test() -> None:
    assert set(DATA_TESTS) == set(revisions()[1:])


@pytest.mark.parametrize("revision", [*DATA_TESTS] or [FIRST])
def test_data_survives(url: str, revision: str) -> None:
    """Nothing was before the first one, so there it is enough that it can be reached alone."""
    if revision == FIRST:
        migrate(url, to=FIRST)
        assert current(url) == FIRST
        return
    before, after = DATA_TESTS[revision]
    migrate(url, to=f"{int(revision) - 1:04}")

    def step(engine: Engine) -> None:
        with engine.connect() as connection:
            before(connection)
            connection.commit()
        migrate(url, to=revision)
        with engine.connect() as connection:
            after(connection)

    with_engine(url, step)


def test_migrating_again_changes_nothing(url: str) -> None:
    migrate(url)
    store = a_store(url)
    those: list[object] = [make(kind) for kind in KINDS for make in (full, bare)]
    with store.write() as uow:
        for thing in those:
            uow.add(thing)
        uow.commit()
    migrate(url)
    assert current(url) == head()
    with store.read() as r:
        assert sum(len(r.select(kind)) for kind in KINDS) == len(those)
    store.close()


def test_going_back_is_refused_and_takes_nothing(url: str) -> None:
    migrate(url)

    def back(engine: Engine) -> None:
        config = configuration()
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            with pytest.raises(NotImplementedError, match="backup"):
                command.downgrade(config, "base")
            connection.rollback()

    with_engine(url, back)
    assert current(url) == head()
    store = a_store(url)
    with store.read() as r:
        assert r.select(Fact) == []
    store.close()


# -- many at once and locks ----------------------------------------------------------------------


def test_several_processes_that_migrate_at_once_all_come_to_head(url: str) -> None:
    code = "import sys; from agegate.adapters.db.migrating import migrate; migrate(sys.argv[1])"
    started = [
        subprocess.Popen([sys.executable, "-c", code, url], cwd=_ROOT, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert current(url) == head()


def test_a_table_that_somebody_holds_is_left_alone_within_seconds(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
    with psycopg.connect(postgres_url) as connection:
        connection.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="nothing was changed"):
            migrate(postgres_url)
        assert time.monotonic() - began < 10
        connection.rollback()
    migrate(postgres_url)
    assert current(postgres_url) == head()


def test_a_migration_that_somebody_else_runs_is_waited_for_only_for_seconds(
    postgres_url: str,
) -> None:
    from agegate.adapters.db import migrating

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (migrating.LOCK,))
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="nothing was changed"):
            migrate(postgres_url)
        assert time.monotonic() - began < 15
    migrate(postgres_url)
    assert current(postgres_url) == head()


def test_a_migration_leaves_no_lock_behind(postgres_url: str) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        locks = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
    assert locks == (0,)


def test_a_database_that_is_away_says_so_without_its_address() -> None:
    address = "postgresql://somebody:secret-word@127.0.0.1:1/none"
    with pytest.raises(UnavailableError) as caught:
        migrate(address)
    assert "secret-word" not in str(caught.value)


# -- the ledger's table --------------------------------------------------------------------------


@pytest.fixture
def ledger(url: str) -> str:
    migrate(url)
    store = a_store(url)
    with store.write() as uow:
        for id_ in ("f1", "f2"):
            uow.add(bare(Fact, id=id_, data={"kid": id_}))
        uow.commit()
    store.integrate()
    with store.write() as uow:
        uow.add(bare(Fact, id="waiting", data={"kid": "w"}))
        uow.commit()
    store.close()
    return url


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM facts WHERE id = 'f1'",
        "DELETE FROM facts WHERE id = 'waiting'",
        "DELETE FROM facts",
        "UPDATE facts SET data = '{}' WHERE id = 'f1'",
        "UPDATE facts SET kind = 'consent.granted' WHERE id = 'f1'",
        "UPDATE facts SET at = '2020-01-01 00:00:00' WHERE id = 'f1'",
        "UPDATE facts SET seq = 9 WHERE id = 'f1'",
        "UPDATE facts SET seq = NULL, leaf = NULL, head = NULL WHERE id = 'f2'",
        "UPDATE facts SET head = leaf WHERE id = 'f1'",
        "UPDATE facts SET data = '{}' WHERE id = 'waiting'",
        "UPDATE facts SET data = '{}', seq = 3 WHERE id = 'waiting'",
        "UPDATE facts SET operator_id = 'op' WHERE id = 'waiting'",
        "UPDATE facts SET id = 'other' WHERE id = 'waiting'",
    ],
)
def test_law_81_the_database_refuses_to_change_history(ledger: str, statement: str) -> None:
    refused_and_unchanged(ledger, statement)


def test_law_81_the_ledger_can_not_be_emptied_or_replaced(ledger: str) -> None:
    if ledger.startswith("sqlite"):
        refused_and_unchanged(
            ledger,
            "REPLACE INTO facts (id, kind, at, data, seq) "
            "VALUES ('f1', 'key.retired', '2020-01-01 00:00:00', '{}', 1)",
        )
        refused_and_unchanged(
            ledger,
            "REPLACE INTO facts (id, kind, at, data, seq) "
            "VALUES ('f9', 'key.retired', '2020-01-01 00:00:00', '{}', 2)",
        )
        refused_and_unchanged(ledger, "UPDATE OR REPLACE facts SET seq = 1 WHERE id = 'waiting'")
    else:
        refused_and_unchanged(ledger, "TRUNCATE facts")
        refused_and_unchanged(
            ledger,
            "INSERT INTO facts (id, kind, at, data) VALUES ('f1', 'x', now(), '{}') "
            "ON CONFLICT (id) DO UPDATE SET data = '{}'",
        )


def refused_and_unchanged(url: str, statement: str) -> None:
    def attack(engine: Engine) -> None:
        with engine.connect() as connection:
            with pytest.raises(DBAPIError):
                connection.execute(text(statement))
            connection.rollback()

    with_engine(url, attack)
    store = a_store(url)
    try:
        entries = store.entries()
        assert [(f.id, f.seq, f.data) for f in entries] == [
            ("f1", 1, {"kid": "f1"}),
            ("f2", 2, {"kid": "f2"}),
        ]
        assert first_break(entries) is None
        with store.read() as r:
            assert r.get(Fact, "waiting") == bare(
                Fact, id="waiting", at=r.get(Fact, "waiting").at, data={"kid": "w"}
            )
    finally:
        store.close()


def test_the_integrator_may_still_number(ledger: str) -> None:
    store = a_store(ledger)
    assert store.integrate() == 1
    assert [f.seq for f in store.entries()] == [1, 2, 3]
    assert first_break(store.entries()) is None
    store.close()


def test_the_store_can_not_delete_a_fact_either(ledger: str) -> None:
    store = a_store(ledger)
    with pytest.raises(AgegateError), store.write() as uow:
        uow.delete(Fact, "f1")
    with store.read() as r:
        assert r.find(Fact, "f1") is not None
    store.close()


def test_the_head_file_names_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == head()
