"""Two at once on real databases: one wins, the other is told, nothing is counted twice or lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest

from agegate.adapters.db.store import SqlStore
from agegate.domain.change import NewFact
from agegate.domain.errors import AgegateError, ConflictError
from agegate.domain.grants import Code
from agegate.domain.ids import Digest
from agegate.domain.ledger import FactKind, first_break
from agegate.domain.outgoing import Delivery, Outgoing
from agegate.domain.people import Parent
from agegate.domain.records import Counter, Event
from tests.contract.conftest import Database
from tests.contract.samples import MOMENT, full

R = TypeVar("R")
A_MINUTE = 60


def at_once(*acts: Callable[[], R]) -> list[R | AgegateError]:
    """What each of several threads that start together came to."""
    start = threading.Barrier(len(acts))
    results: dict[int, R | AgegateError] = {}
    strange: list[BaseException] = []

    def run(number: int, act: Callable[[], R]) -> None:
        start.wait(A_MINUTE)
        try:
            results[number] = act()
        except AgegateError as error:
            results[number] = error
        except BaseException as error:  # noqa: BLE001 - handed on to the test below
            strange.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(A_MINUTE)
    assert not strange, strange
    return [results[n] for n in range(len(acts))]


@pytest.fixture
def stores(database: Database) -> tuple[SqlStore, SqlStore]:
    """Two processes on one database."""
    return database.another(), database.another()


def put(store: SqlStore, *those: object) -> None:
    with store.write() as uow:
        for thing in those:
            uow.add(thing)
        uow.commit()


def find(store: SqlStore, kind: type[R], id_: str) -> R:
    with store.read() as r:
        return r.get(kind, id_)


def test_of_two_who_change_one_version_one_is_told(stores: tuple[SqlStore, SqlStore]) -> None:
    put(stores[0], Counter(id=Digest("one"), count=0, expires_at=MOMENT))
    seen = find(stores[0], Counter, "one")

    def change(store: SqlStore, to: int) -> int:
        with store.write() as uow:
            uow.save(replace(seen, count=to))
            uow.state(NewFact(kind=FactKind.KEY_CREATED, data={"to": to}))
            uow.commit()
        return to

    results = at_once(*(partial(change, s, n) for n, s in enumerate(stores * 2, 1)))
    (winner,) = (r for r in results if not isinstance(r, AgegateError))
    assert sum(isinstance(r, ConflictError) for r in results) == 3
    assert find(stores[0], Counter, "one") == replace(seen, count=winner, version=2)
    stores[0].integrate()
    assert [f.data for f in stores[0].entries()] == [{"to": winner}]


def test_a_code_presented_four_times_at_once_is_redeemed_once(
    stores: tuple[SqlStore, SqlStore],
) -> None:
    code = full(Code, used_at=None)
    put(stores[0], code)

    def redeem(store: SqlStore) -> str:
        with store.write() as uow:
            found = uow.get(Code, code.id)
            if found.used_at is not None:
                return "replayed"
            uow.save(found.use(now=uow.now))
            uow.commit()
            return "redeemed"

    results = at_once(*(partial(redeem, s) for s in stores * 2))
    assert results.count("redeemed") == 1
    assert all(r in {"redeemed", "replayed"} or isinstance(r, ConflictError) for r in results)
    assert find(stores[1], Code, code.id).used_at == MOMENT


def test_of_two_parents_of_one_address_one_is_made(stores: tuple[SqlStore, SqlStore]) -> None:
    def make(store: SqlStore, id_: str) -> str:
        put(store, full(Parent, id=id_, index="the address"))
        return id_

    results = at_once(*(partial(make, s, f"pa_{n}") for n, s in enumerate(stores * 2)))
    (winner,) = (r for r in results if not isinstance(r, AgegateError))
    assert sum(isinstance(r, ConflictError) for r in results) == 3
    with stores[0].read() as r:
        assert [p.id for p in r.select(Parent)] == [winner]


def test_counting_at_once_loses_no_count(stores: tuple[SqlStore, SqlStore]) -> None:
    def count(store: SqlStore) -> None:
        with store.write() as uow:
            seen = uow.find(Counter, "tries")
            if seen is None:
                uow.add(Counter(id=Digest("tries"), count=1, expires_at=MOMENT))
            else:
                uow.save(replace(seen, count=seen.count + 1))
            uow.commit()

    def until_taken(store: SqlStore, times: int) -> int:
        refused = 0
        for _ in range(times):
            while True:
                try:
                    count(store)
                    break
                except ConflictError:
                    refused += 1
        return refused

    results = at_once(*(partial(until_taken, s, 5) for s in stores * 2))
    assert not [r for r in results if isinstance(r, AgegateError)]
    assert find(stores[0], Counter, "tries").count == 20


def test_each_letter_is_claimed_by_one_worker(stores: tuple[SqlStore, SqlStore]) -> None:
    letters = [full(Outgoing, state=Delivery.WAITING, attempts=0) for _ in range(10)]
    put(stores[0], *letters)

    def work(store: SqlStore) -> list[str]:
        with store.read() as r:
            due = r.select(Outgoing, state=Delivery.WAITING)
        mine = []
        for letter in due:
            try:
                with store.write() as uow:
                    mine.append(uow.save(letter.claim(now=uow.now)).id)
                    uow.commit()
            except ConflictError:
                mine = [m for m in mine if m != letter.id]
        return mine

    results: list[Any] = at_once(*(partial(work, s) for s in stores * 2))
    assert sorted(id_ for mine in results for id_ in mine) == sorted(x.id for x in letters)
    with stores[0].read() as r:
        assert {x.attempts for x in r.select(Outgoing, state=Delivery.SENDING)} == {1}
        assert r.select(Outgoing, state=Delivery.WAITING) == []


def test_a_worker_that_slept_past_its_lease_overwrites_nobody(
    stores: tuple[SqlStore, SqlStore],
) -> None:
    slow, quick = stores
    put(slow, full(Outgoing, id="letter", state=Delivery.WAITING, attempts=0))

    def claim(store: SqlStore) -> Outgoing:
        with store.write() as uow:
            claimed = uow.save(uow.get(Outgoing, "letter").claim(now=uow.now))
            uow.commit()
            return claimed

    asleep, awake = claim(slow), claim(quick)
    with quick.write() as uow:
        uow.save(awake.sent(now=MOMENT))
        uow.commit()
    with pytest.raises(ConflictError), slow.write() as uow:
        uow.save(asleep.retry("timeout", now=MOMENT))
    assert find(slow, Outgoing, "letter").state is Delivery.SENT


def test_two_integrators_and_many_writers_make_one_gapless_chain(
    stores: tuple[SqlStore, SqlStore],
) -> None:
    writers, facts_each = 4, 10

    def write(store: SqlStore, who: int) -> int:
        for n in range(facts_each):
            with store.write() as uow:
                uow.state(NewFact(kind=FactKind.KEY_CREATED, data={"who": who, "n": n}))
                uow.publish(full(Event, seq=None))
                uow.commit()
        return 0

    def integrate(store: SqlStore) -> int:
        return sum(store.integrate(limit=3) for _ in range(10))

    results = at_once(
        *(partial(write, s, n) for n, s in enumerate(stores * (writers // 2))),
        *(partial(integrate, s) for s in stores),
    )
    assert not [r for r in results if isinstance(r, AgegateError)]
    done = sum(r for r in results if isinstance(r, int))
    while more := stores[0].integrate(limit=7):
        done += more
    stores[0].integrate()
    entries = stores[1].entries()
    assert done == len(entries) == writers * facts_each
    assert [entry.seq for entry in entries] == list(range(1, done + 1))
    assert first_break(entries) is None
    assert {(f.data["who"], f.data["n"]) for f in entries} == {
        (who, n) for who in range(writers) for n in range(facts_each)
    }
    with stores[0].read() as r:
        told = r.select(Event, order="seq", past=("seq", 0))
    assert [event.seq for event in told] == list(range(1, done + 1))


def test_a_writer_does_not_wait_for_the_integrator_of_postgresql(
    stores: tuple[SqlStore, SqlStore], database: Database
) -> None:
    """On SQLite there is one writer at a time anyway; there it is enough that both come through."""
    if database.url.startswith("sqlite"):
        assert at_once(stores[0].integrate, stores[1].integrate) == [0, 0]
        return
    with stores[0].write() as slow:
        slow.state(NewFact(kind=FactKind.KEY_CREATED, data={"who": "slow"}))
        with stores[1].write() as quick:
            quick.state(NewFact(kind=FactKind.KEY_CREATED, data={"who": "quick"}))
            quick.commit()
        assert stores[1].integrate() == 1, "what is not committed yet holds nobody up"
        slow.commit()
    assert stores[1].integrate() == 1
    entries = stores[0].entries()
    assert [(f.seq, f.data["who"]) for f in entries] == [(1, "quick"), (2, "slow")]
    assert first_break(entries) is None
