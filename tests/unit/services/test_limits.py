from __future__ import annotations

from datetime import timedelta

import pytest

from agegate.adapters.ids import new_id
from agegate.adapters.memory import MemoryStore
from agegate.adapters.sealing import KeyedSealer
from agegate.domain.errors import TooManyRequestsError
from agegate.domain.records import Counter
from agegate.services.limits import Limit, count
from tests.fakes import FixedClock

SEALER = KeyedSealer("a secret of 32 bytes for the tests")
THREE_AN_HOUR = Limit(name="things", most=3, per=timedelta(hours=1))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def store(clock: FixedClock) -> MemoryStore:
    return MemoryStore(clock=clock, new_id=new_id)


def once(store: MemoryStore, key: str = "somebody", limit: Limit = THREE_AN_HOUR) -> None:
    with store.write() as uow:
        count(uow, limit, key, SEALER)
        uow.commit()


def test_the_last_allowed_one_is_counted_and_the_next_refused(store: MemoryStore) -> None:
    for _ in range(3):
        once(store)
    with pytest.raises(TooManyRequestsError):
        once(store)
    with store.read() as r:
        assert [c.count for c in r.select(Counter)] == [3]


def test_whoever_is_refused_is_told_when_to_come_back(
    store: MemoryStore, clock: FixedClock
) -> None:
    clock.pass_(minutes=59, seconds=50)
    for _ in range(3):
        once(store)
    with pytest.raises(TooManyRequestsError) as refused:
        once(store)
    assert refused.value.retry_after_s == 10
    clock.pass_(seconds=10)
    once(store)


def test_one_key_is_not_another(store: MemoryStore) -> None:
    for _ in range(3):
        once(store, "one")
    once(store, "another")


def test_one_limit_is_not_another(store: MemoryStore) -> None:
    for _ in range(3):
        once(store)
    once(store, limit=Limit(name="letters", most=3, per=timedelta(hours=1)))


def test_what_is_not_committed_is_not_counted(store: MemoryStore) -> None:
    for _ in range(9):
        with store.write() as uow:
            count(uow, THREE_AN_HOUR, "somebody", SEALER)
    with store.read() as r:
        assert r.select(Counter) == []


def test_a_counter_names_nobody(store: MemoryStore) -> None:
    once(store, "pat@example.org")
    with store.read() as r:
        [counter] = r.select(Counter)
    assert "pat" not in repr(counter)
    assert len(counter.id) == 64
