"""Equal stamps mean equal data: what answers are kept by, on real databases."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegate.adapters.db.engine import open_engine
from agegate.adapters.db.stamps import Stamps
from agegate.domain.errors import UnavailableError
from agegate.domain.records import Counter
from agegate.services.ports import Store
from tests.contract.conftest import POSTGRES, Database, OpenDatabase
from tests.contract.samples import full
from tests.support.postgres import Cluster, temporary_folder

MANY = 200
_SAVEPOINT = ("SAVEPOINT s", "INSERT INTO things VALUES (1)", "RELEASE SAVEPOINT s")
_UNDONE = ("SAVEPOINT s", "INSERT INTO things VALUES (1)", "ROLLBACK TO SAVEPOINT s")
_STEPS: dict[str, tuple[str, ...]] = {
    "insert": ("INSERT INTO things VALUES (1)",),
    "insert in a subtransaction": _SAVEPOINT,
    "insert in an aborted subtransaction": _UNDONE,
    "delete": ("DELETE FROM things WHERE n IN (SELECT n FROM things LIMIT 1)",),
    "commit": ("COMMIT", "BEGIN"),
    "abort": ("ROLLBACK", "BEGIN"),
}


@pytest.fixture
def stamps(database: Database) -> Iterator[Stamps]:
    with opened(database.url) as stamps:
        yield stamps


@contextmanager
def opened(url: str) -> Iterator[Stamps]:
    engine = open_engine(url, autocommit=True)
    stamps = Stamps(engine)
    yield stamps
    stamps.close()
    engine.dispose()


def connect(url: str) -> Any:
    """A connection of another process, as far as the database can tell."""
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=0)
    return psycopg.connect(url, autocommit=True)


def put(store: Store) -> None:
    with store.write() as uow:
        uow.add(full(Counter))
        uow.commit()


# --- what a stamp promises ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", POSTGRES])
def test_without_a_commit_the_stamp_stays(open_database: OpenDatabase, kind: str) -> None:
    reader = open_database(kind).another()
    seen = [reader.stamp() for _ in range(MANY)]
    # Other tests commit on the same PostgreSQL server, and their transactions count too.
    assert any(a == b for a, b in itertools.pairwise(seen))


def test_reading_does_not_move_the_stamp(open_database: OpenDatabase) -> None:
    database = open_database("sqlite")
    reader, other = database.another(), database.another()
    before = reader.stamp()
    with other.read() as r:
        r.select(Counter)
    assert reader.stamp() == before


def test_a_commit_of_another_process_moves_the_stamp_at_once(database: Database) -> None:
    reader, writer = database.another(), database.another()
    seen = [reader.stamp()]
    for _ in range(20):
        put(writer)
        seen.append(reader.stamp())
    assert len(set(seen)) == len(seen)


def test_a_commit_of_the_same_process_moves_the_stamp_at_once(database: Database) -> None:
    store = database.another()
    before = store.stamp()
    put(store)
    assert store.stamp() != before


def test_a_stamp_never_comes_again(database: Database, stamps: Stamps) -> None:
    seen: set[str] = set()
    with closing(connect(database.url)) as writer:
        writer.execute("CREATE TABLE things (n integer)")
        for _ in range(50):
            writer.execute("INSERT INTO things VALUES (1)")
            writer.execute("DELETE FROM things")
            stamp = stamps.current()
            assert stamp not in seen
            seen.add(stamp)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(sorted(_STEPS))), max_size=30))
@pytest.mark.postgres
def test_equal_stamps_see_equal_data_whatever_transactions_do(
    migrated_postgres_url: str, steps: list[tuple[int, str]]
) -> None:
    with closing(connect(migrated_postgres_url)) as reader:
        reader.execute("CREATE TABLE IF NOT EXISTS things (n integer); TRUNCATE things")
        require_equal_stamps_see_equal_data(
            migrated_postgres_url, [connect(migrated_postgres_url) for _ in range(3)], steps
        )


@settings(max_examples=30)
@given(st.lists(st.sampled_from([*sorted(_STEPS), "checkpoint"]), max_size=30))
def test_equal_stamps_see_equal_data_in_sqlite(migrated_sqlite_url: str, steps: list[str]) -> None:
    with closing(connect(migrated_sqlite_url)) as reader:
        reader.execute("CREATE TABLE IF NOT EXISTS things (n integer)")
        reader.execute("DELETE FROM things")
    require_equal_stamps_see_equal_data(
        migrated_sqlite_url, [connect(migrated_sqlite_url)], [(0, step) for step in steps]
    )


def require_equal_stamps_see_equal_data(
    url: str, writers: list[Any], steps: list[tuple[int, str]]
) -> None:
    seen: dict[str, int] = {}
    with opened(url) as stamps, closing(connect(url)) as reader:
        for writer in writers:
            writer.execute("BEGIN")
        for number, step in steps:
            if step == "checkpoint":
                with suppress(sqlite3.OperationalError):
                    reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for statement in _STEPS.get(step, ()):
                writers[number].execute(statement)
            before = stamps.current()
            count = reader.execute("SELECT count(*) FROM things").fetchone()[0]
            assert seen.setdefault(before, count) == count, step
    for writer in writers:
        writer.close()


def test_asking_from_many_threads_never_misses_a_commit(database: Database) -> None:
    reader, writer = database.another(), database.another()
    stop = threading.Event()
    strange: list[BaseException] = []

    def ask() -> None:
        try:
            while not stop.is_set():
                reader.stamp()
        except BaseException as error:  # noqa: BLE001 - handed on to the test below
            strange.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            before = reader.stamp()
            put(writer)
            assert reader.stamp() != before
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert not strange, strange


# --- connections that go away ------------------------------------------------------------------


def cut(database: Database, stamps: Stamps) -> None:
    """Take the connection away from under the stamps, as an idle-time limit would."""
    if database.url.startswith("sqlite"):
        connection = stamps._connection  # noqa: SLF001 - nobody else can close it
        assert connection is not None
        assert connection.driver_connection is not None
        connection.driver_connection.close()
        return
    with closing(connect(database.url)) as admin:
        gone = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
        assert gone


def test_no_stamp_from_before_a_lost_connection_equals_one_from_after(
    database: Database, stamps: Stamps
) -> None:
    before = {stamps.current() for _ in range(5)}
    cut(database, stamps)
    with pytest.raises(UnavailableError):
        stamps.current()
    after = {stamps.current() for _ in range(5)}
    assert not before & after


def test_a_closed_one_opens_anew_and_counts_anew(database: Database, stamps: Stamps) -> None:
    before = stamps.current()
    stamps.close()
    assert stamps.current() != before


def test_what_a_driver_says_is_not_passed_on(stamps: Stamps, database: Database) -> None:
    stamps.current()
    cut(database, stamps)
    with pytest.raises(UnavailableError) as caught:
        stamps.current()
    assert str(caught.value) == "the database can't be reached"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.postgres
def test_the_connection_holds_no_transaction(migrated_postgres_url: str) -> None:
    with opened(migrated_postgres_url) as stamps:
        stamps.current()
        with closing(connect(migrated_postgres_url)) as admin:
            states = admin.execute(
                "SELECT state, backend_xmin FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        assert states == [("idle", None)]


# --- a server of one's own: two phases, power cuts, standbys ------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = temporary_folder("agegate-stamps-")
    cluster = Cluster(folder)
    cluster.start()
    with closing(connect(cluster.url())) as admin:
        admin.execute("ALTER SYSTEM SET max_prepared_transactions = 4")
        admin.execute("CREATE TABLE things (n integer)")
    cluster.stop()
    cluster.start()
    yield cluster
    cluster.stop()
    shutil.rmtree(folder)


def waits(condition: Callable[[], bool]) -> bool:
    return any(condition() or threading.Event().wait(0.1) for _ in range(100))


@pytest.mark.postgres
def test_a_prepared_transaction_moves_the_stamp_when_it_commits(cluster: Cluster) -> None:
    with (
        opened(cluster.url()) as stamps,
        closing(connect(cluster.url())) as writer,
        closing(connect(cluster.url())) as other,
    ):
        writer.execute("BEGIN; INSERT INTO things VALUES (1); PREPARE TRANSACTION 'two'")
        other.execute("INSERT INTO things VALUES (2)")  # the upper bound has passed it
        before = stamps.current()
        writer.execute("COMMIT PREPARED 'two'")
        assert stamps.current() != before


@pytest.mark.postgres
def test_a_server_that_was_killed_and_came_back_counts_anew(cluster: Cluster) -> None:
    with opened(cluster.url()) as stamps:
        before = stamps.current()
        cluster.kill()
        for _ in range(2):
            with pytest.raises(UnavailableError):
                stamps.current()
        cluster.start()
        assert stamps.current() not in {before, ""}


@pytest.mark.postgres
def test_a_standby_vouches_for_nothing_until_it_is_promoted(cluster: Cluster) -> None:
    cluster.stop()
    (cluster.data / "standby.signal").touch(mode=0o644)
    cluster.start()
    with opened(cluster.url()) as stamps:
        seen = [stamps.current() for _ in range(20)]
        assert len(set(seen)) == len(seen)
        with closing(connect(cluster.url())) as admin:
            assert admin.execute("SELECT pg_promote()").fetchone() == (True,)
        assert waits(lambda: stamps.current() == stamps.current())
        assert stamps.current() not in seen
