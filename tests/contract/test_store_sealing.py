"""What a thief of the database reads: no address, no letter, no key; and errors show no values."""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from agegate.adapters.db.tables import TABLE_OF
from agegate.domain.errors import AgegateError, ConfigurationError, ConflictError, UnavailableError
from agegate.domain.people import Contact, EmailAddress, Parent, SealedText
from agegate.domain.records import Counter, SandboxLetter
from agegate.services.ports import Store
from tests.contract.conftest import Database
from tests.contract.samples import KINDS, MOMENT, SEALED, full, name_of, sealed_fields

CANARY = "canary-7f3a@eltern.example"
AN_ID = "pa_9d41c0ffee"  # by name in the tests, for a traceback shows source lines
AN_INDEX = "41b2c3d4e5"
WITH_SECRETS = [kind for kind in KINDS if sealed_fields(kind)]


def put(store: Store, *those: object) -> None:
    with store.write() as uow:
        for thing in those:
            uow.add(thing)
        uow.commit()


def with_canary(kind: type[Any]) -> Any:
    thing = full(kind)
    return replace(thing, **{n: type(getattr(thing, n))(CANARY) for n in sealed_fields(kind)})


def written(database: Database) -> bytes:
    """All that is on disk, or all that PostgreSQL shows."""
    if database.url.startswith("sqlite"):
        return b"\n".join(p.read_bytes() for p in sorted(database.folder.iterdir()))
    with database.another().engine.connect() as connection:
        rows = [
            str(row[0])
            for table in TABLE_OF.values()
            for row in connection.execute(text(f'SELECT t::text FROM "{table.name}" t'))  # noqa: S608
        ]
    return "\n".join(rows).encode()


def test_the_kinds_that_hold_secrets_are_these() -> None:
    assert {name_of(kind): sealed_fields(kind) for kind in WITH_SECRETS} == {
        "contacts": ("address",),
        "credentials": ("webhook_secret", "old_webhook_secret"),
        "outbox": ("payload",),
        "parents": ("address",),
        "proof_runs": ("memo",),
        "sandbox_letters": ("address", "text", "html"),
        "signing_keys": ("private",),
    }


def test_no_byte_of_an_address_is_in_the_database(database: Database) -> None:
    store = database.another()
    those = [with_canary(kind) for kind in WITH_SECRETS]
    put(store, *those)
    with store.write() as uow:
        for thing in those:
            uow.save(thing)
        uow.commit()
    found = written(database)
    for secret in (CANARY, "canary-7f3a"):
        for form in (secret.encode(), secret.encode("utf-16-le"), secret.encode().hex().encode()):
            assert form not in found
    for thing in those:
        assert thing.id.encode() in found, "the search looks where the rows are"
        with store.read() as r:
            again = r.get(type(thing), thing.id)
        assert all(getattr(again, n).value == CANARY for n in sealed_fields(type(thing)))


def test_the_same_address_is_sealed_differently_each_time(database: Database) -> None:
    store = database.another()
    put(store, *(full(Parent, address=EmailAddress(CANARY)) for _ in range(3)))
    with store.engine.connect() as connection:
        cells = [bytes(row[0]) for row in connection.execute(text("SELECT address FROM parents"))]
    assert len(set(cells)) == 3


@pytest.mark.parametrize("kind", WITH_SECRETS, ids=name_of)
def test_a_cell_of_another_row_does_not_open(database: Database, kind: type[Any]) -> None:
    store = database.another()
    mine, other = full(kind), full(kind)
    put(store, mine, other)
    for name in sealed_fields(kind):
        with store.engine.connect() as connection:
            table = TABLE_OF[kind].name
            connection.execute(
                text(
                    f"UPDATE {table} SET {name} = "  # noqa: S608 - names of ours
                    f"(SELECT {name} FROM {table} WHERE id = :other) WHERE id = :mine"
                ),
                {"mine": mine.id, "other": other.id},
            )
            connection.commit()
        with pytest.raises(ConfigurationError), store.read() as r:
            r.get(kind, mine.id)
        with store.read() as r:
            assert r.get(kind, other.id) == other


def test_a_cell_of_another_column_or_table_does_not_open(database: Database) -> None:
    store = database.another()
    put(store, full(SandboxLetter, id="x"), full(Parent, id="x"), full(Contact, id="x"))
    with store.engine.connect() as connection:
        connection.execute(text("UPDATE sandbox_letters SET html = text"))
        connection.execute(text("UPDATE parents SET address = (SELECT address FROM contacts)"))
        connection.commit()
    for kind in (SandboxLetter, Parent):
        with pytest.raises(ConfigurationError), store.read() as r:
            r.get(kind, "x")


def test_under_another_key_nothing_opens(database: Database) -> None:
    put(database.another(), full(Parent, id="x", address=EmailAddress(CANARY)))
    with (
        pytest.raises(ConfigurationError, match="AGEGATE_SECRET_KEY"),
        database.another(secret="another secret of 32 bytes").read() as r,
    ):
        r.get(Parent, "x")


@pytest.mark.parametrize("kind", SEALED)
def test_a_secret_hides_itself(kind: type[Any]) -> None:
    assert CANARY not in repr(kind(CANARY))
    assert CANARY not in f"{kind(CANARY)}"


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


def test_a_conflict_shows_no_value(database: Database) -> None:
    store = database.another()
    put(store, full(Parent, id=AN_ID, index=AN_INDEX))
    with pytest.raises(ConflictError) as same_id, store.write() as uow:
        uow.add(full(Parent, id=AN_ID))
    with pytest.raises(ConflictError) as same_index, store.write() as uow:
        uow.add(full(Parent, index=AN_INDEX))
    for caught in (same_id, same_index):
        assert AN_ID not in shown(caught.value)
        assert AN_INDEX not in shown(caught.value)


def test_a_refused_statement_shows_no_value(database: Database) -> None:
    store = database.another()
    with store.engine.connect() as connection:
        connection.execute(text("DROP TABLE parents"))
        connection.commit()
    with pytest.raises(UnavailableError) as caught, store.write() as uow:
        uow.add(full(Parent, id=AN_ID, locale=CANARY))
    assert AN_ID not in shown(caught.value)
    assert CANARY not in shown(caught.value)


def test_a_number_too_large_is_refused_and_shows_no_value(database: Database) -> None:
    store = database.another()
    with pytest.raises((AgegateError, OverflowError)) as caught, store.write() as uow:
        uow.add(Counter(id=AN_ID, count=2**63, expires_at=MOMENT))  # type: ignore[arg-type]  # any text
    assert AN_ID not in shown(caught.value)
    with store.read() as r:
        assert r.select(Counter) == []


def test_a_time_without_a_zone_is_refused_and_shows_no_value(database: Database) -> None:
    store = database.another()
    with pytest.raises(Exception, match=r".") as caught, store.write() as uow:
        uow.add(full(Parent, id=AN_ID, locale=CANARY, created_at=MOMENT.replace(tzinfo=None)))
    assert AN_ID not in shown(caught.value)
    assert CANARY not in shown(caught.value)
    with store.read() as r:
        assert r.select(Parent) == []


def test_a_sealed_value_can_not_be_nested(database: Database) -> None:
    from agegate.adapters.codec import dumps

    for secret in (EmailAddress(CANARY), SealedText(CANARY)):
        with pytest.raises(TypeError) as caught:
            dumps({"a": [secret]})
        assert CANARY not in str(caught.value)


def test_a_database_that_is_away_is_unavailable(database: Database) -> None:
    store = database.another()
    gone = Database("postgresql://nobody@127.0.0.1:1/none", database.clock)
    if database.url.startswith("sqlite"):
        folder = database.folder / "a folder"
        folder.mkdir()
        gone = Database(f"sqlite:///{folder}", database.clock)
    away = gone.another()
    try:
        for attempt in (away.ready, away.integrate, away.entries):
            with pytest.raises((UnavailableError, ConfigurationError)):
                attempt()
        with pytest.raises(UnavailableError), away.read() as r:
            r.find(Counter, "x")
        with pytest.raises(UnavailableError), away.write() as uow:
            uow.find(Counter, "x")
    finally:
        with suppress(AgegateError):
            away.close()
    store.ready()
