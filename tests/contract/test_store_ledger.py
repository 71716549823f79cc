"""Every store numbers facts and events without a gap, and the chain over them holds."""

from __future__ import annotations

import pytest

from agegate.domain.change import NewFact
from agegate.domain.errors import AgegateError
from agegate.domain.ledger import GENESIS, Fact, FactKind, chain_hash, first_break, leaf_hash
from agegate.domain.records import Event
from agegate.services.ports import Store
from tests.contract.conftest import FixedClock
from tests.contract.samples import full


def state(store: Store, *names: str) -> None:
    with store.write() as uow:
        for name in names:
            uow.state(NewFact(kind=FactKind.KEY_CREATED, data={"kid": name}))
        uow.commit()


def names(store: Store) -> list[object]:
    return [fact.data["kid"] for fact in store.entries()]


def test_an_empty_ledger_has_no_entries(store: Store) -> None:
    assert store.integrate() == 0
    assert list(store.entries()) == []


def test_a_fact_is_no_entry_until_it_is_numbered(store: Store) -> None:
    state(store, "a")
    assert list(store.entries()) == []
    with store.read() as r:
        (waiting,) = r.select(Fact)
    assert store.integrate() == 1
    (entry,) = store.entries()
    assert entry.seq == 1
    assert entry.leaf == leaf_hash(waiting.canonical())
    assert entry.head == chain_hash(GENESIS, entry.leaf)
    assert store.integrate() == 0
    assert list(store.entries()) == [entry]


def test_facts_are_numbered_in_the_order_of_their_times(store: Store, clock: FixedClock) -> None:
    for name in "abcde":
        state(store, name)
        clock.pass_(seconds=1)
    assert store.integrate() == 5
    assert names(store) == list("abcde")
    assert [fact.seq for fact in store.entries()] == [1, 2, 3, 4, 5]
    assert first_break(store.entries()) is None


def test_facts_of_one_time_are_ordered_by_id(store: Store) -> None:
    state(store, *"abcdefgh")
    store.integrate()
    ids = [fact.id for fact in store.entries()]
    assert ids == sorted(ids)


def test_a_small_batch_goes_on_where_the_last_one_ended(store: Store, clock: FixedClock) -> None:
    for name in "abcde":
        state(store, name)
        clock.pass_(seconds=1)
    assert [store.integrate(limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert names(store) == list("abcde")
    assert first_break(store.entries()) is None


def test_a_late_fact_of_an_earlier_time_goes_to_the_end(store: Store, clock: FixedClock) -> None:
    """Times come from many machines; the numbers alone order the ledger."""
    state(store, "on time")
    store.integrate()
    clock.pass_(hours=-1)
    state(store, "late")
    store.integrate()
    assert names(store) == ["on time", "late"]
    assert first_break(store.entries()) is None


def test_entries_come_in_pages(store: Store, clock: FixedClock) -> None:
    for name in "abcde":
        state(store, name)
        clock.pass_(seconds=1)
    store.integrate()
    assert [f.seq for f in store.entries(limit=2)] == [1, 2]
    second = store.entries(past=2, limit=2)
    assert [f.seq for f in second] == [3, 4]
    assert [f.seq for f in store.entries(past=4)] == [5]
    assert list(store.entries(past=5)) == []
    before = store.entries(past=1, limit=1)[0].head
    assert before is not None
    assert first_break(second, previous=before, start=3) is None


def test_events_are_numbered_too(store: Store, clock: FixedClock) -> None:
    with store.write() as uow:
        uow.publish(full(Event, id="later", at=clock(), seq=None))
        uow.commit()
    clock.pass_(seconds=-1)
    with store.write() as uow:
        uow.publish(full(Event, id="earlier", at=clock(), seq=None))
        uow.commit()
    assert store.integrate() == 0, "only facts are counted"
    with store.write() as uow:
        uow.publish(full(Event, id="last", at=clock(), seq=None))
        uow.commit()
    store.integrate()
    with store.read() as r:
        told = r.select(Event, order="seq", past=("seq", 0))
    assert [(e.id, e.seq) for e in told] == [("earlier", 1), ("later", 2), ("last", 3)]


def test_an_event_that_is_deleted_gives_its_number_to_nobody(store: Store) -> None:
    """Old events go after 90 days; a client that reads on from a number must not miss a new one."""
    for id_ in ("first", "second"):
        with store.write() as uow:
            uow.publish(full(Event, id=id_, seq=None))
            uow.commit()
        store.integrate()
    with store.write() as uow:
        uow.delete(Event, "first")
        uow.publish(full(Event, id="third", seq=None))
        uow.commit()
    store.integrate()
    with store.read() as r:
        assert r.get(Event, "third").seq == 3


def test_law_81_a_fact_is_never_deleted(store: Store) -> None:
    state(store, "a")
    store.integrate()
    (entry,) = store.entries()
    with pytest.raises(AgegateError), store.write() as uow:
        uow.delete(Fact, entry.id)
    assert list(store.entries()) == [entry]


def test_numbering_changes_nothing_but_the_number(store: Store) -> None:
    state(store, "a")
    with store.read() as r:
        (before,) = r.select(Fact)
    store.integrate()
    (after,) = store.entries()
    assert after == before.extend(GENESIS, 1)
