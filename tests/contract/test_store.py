"""What every store promises: values come back, and a transaction is all or nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegate.adapters.kinds import UNIQUE
from agegate.domain.change import Change, NewFact
from agegate.domain.consent import Consent, Stage
from agegate.domain.errors import ConflictError, NotFoundError
from agegate.domain.grants import Code, Flow, IssuedToken
from agegate.domain.ids import Digest
from agegate.domain.ledger import Fact, FactKind
from agegate.domain.people import Link, Parent, Subject
from agegate.domain.records import Counter, Event, SandboxSetting
from agegate.services.ports import Store, UnitOfWork
from tests.contract.conftest import FixedClock
from tests.contract.samples import KINDS, MOMENT, bare, full, name_of, things

VERSIONED = [kind for kind in KINDS if "version" in kind.__dataclass_fields__]
UNIQUE_FIELDS = [(kind, name) for kind, names in UNIQUE.items() for name in names]


class Interrupted(Exception):  # noqa: N818 - not an error of ours
    """Whatever may go wrong in the middle of a use case."""


def put(store: Store, *those: object) -> None:
    with store.write() as uow:
        for thing in those:
            uow.add(thing)
        uow.commit()


def find(store: Store, kind: type[Any], id_: str) -> Any:
    with store.read() as r:
        return r.find(kind, id_)


def a_counter(id_: str = "one", *, count: int = 1, ends: datetime = MOMENT) -> Counter:
    return Counter(id=Digest(id_), count=count, expires_at=ends)


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_every_kind_comes_back_as_it_went_in(store: Store, kind: type[Any]) -> None:
    for thing in (full(kind), bare(kind)):
        put(store, thing)
        assert find(store, kind, thing.id) == thing


@settings(max_examples=8 * len(KINDS))
@given(data=st.data())
def test_any_value_comes_back_as_it_went_in(store: Store, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    thing = data.draw(things(kind))
    names = [field.name for field in fields(kind)]
    put(store, thing)
    found = find(store, kind, thing.id)
    assert found == thing
    # A StrEnum equals its text, so equality alone would not see a value that lost its type.
    assert [type(getattr(found, n)) for n in names] == [type(getattr(thing, n)) for n in names]


def test_a_saved_version_comes_back_whole(store: Store) -> None:
    for kind in VERSIONED:
        for make, remake in ((full, bare), (bare, full)):
            before: Any = make(kind)
            put(store, before)
            after: Any = remake(kind, id=before.id)
            with store.write() as uow:
                saved = uow.save(after)
                uow.commit()
            assert saved == replace(after, version=2)
            assert find(store, kind, before.id) == saved


def test_a_time_of_another_zone_is_the_same_moment_in_utc(store: Store) -> None:
    there = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    put(store, a_counter(ends=there))
    found = find(store, Counter, "one")
    assert found.expires_at == MOMENT
    with store.read() as r:
        assert r.select(Counter, upto=("expires_at", there)) == [found]
        assert r.select(Counter, upto=("expires_at", there - timedelta(microseconds=1))) == []


def test_what_one_reader_does_to_a_fact_no_other_sees(store: Store) -> None:
    one, two = full(Fact, data={"code": "a"}), full(Fact, data={"code": "a"})
    put(store, one, two)
    with suppress(TypeError):  # a store may hand out data that can't be changed at all
        find(store, Fact, one.id).data["code"] = "b"
    assert find(store, Fact, two.id).data == {"code": "a"}


def test_the_same_id_may_be_used_by_two_kinds(store: Store) -> None:
    put(store, a_counter("x"), SandboxSetting(id="x", value="y"))
    assert find(store, Counter, "x") == a_counter("x")
    assert find(store, SandboxSetting, "x").value == "y"


# -- look-ups ------------------------------------------------------------------------------------


def test_what_is_not_there_is_none_or_not_found(store: Store) -> None:
    for kind in KINDS:
        with store.read() as r:
            assert r.find(kind, "maria@eltern.example") is None
            assert r.select(kind) == []
            with pytest.raises(NotFoundError) as caught:
                r.get(kind, "maria@eltern.example")
        assert "maria" not in str(caught.value)


def test_get_finds_what_is_there(store: Store) -> None:
    put(store, a_counter())
    with store.read() as r:
        assert r.get(Counter, "one") == a_counter()


def test_select_keeps_what_equals_everything_asked(store: Store) -> None:
    wanted = full(Consent, stage=Stage.GRANTED, parent_id="pa_1", opened_in_same_browser=True)
    others = [
        full(Consent, stage=Stage.GRANTED, parent_id="pa_2", opened_in_same_browser=True),
        full(Consent, stage=Stage.DENIED, parent_id="pa_1", opened_in_same_browser=True),
        full(Consent, stage=Stage.GRANTED, parent_id="pa_1", opened_in_same_browser=False),
        bare(Consent, stage=Stage.GRANTED),
    ]
    put(store, wanted, *others)
    with store.read() as r:
        found = r.select(
            Consent, stage=Stage.GRANTED, parent_id="pa_1", opened_in_same_browser=True
        )
        assert found == [wanted]
        assert len(r.select(Consent, stage=Stage.GRANTED)) == 4


def test_select_finds_what_has_no_value(store: Store) -> None:
    without, with_ = bare(Flow), full(Flow)
    put(store, without, with_)
    with store.read() as r:
        assert r.select(Flow, subject_id=None) == [without]
        assert r.select(Flow, subject_id=with_.subject_id) == [with_]


def test_select_is_ordered_by_id_unless_told_otherwise(store: Store) -> None:
    put(store, *(a_counter(i, count=c) for i, c in [("b", 1), ("c", 2), ("a", 2), ("d", 0)]))
    with store.read() as r:

        def ids(**more: Any) -> str:
            return "".join(c.id for c in r.select(Counter, **more))

        assert ids() == "abcd"
        assert ids(descending=True) == "dcba"
        assert ids(order="count") == "dbac", "ties by id"
        assert ids(order="count", descending=True) == "cabd", "ties by id, descending too"
        assert ids(limit=2) == "ab"
        assert ids(limit=0) == ""
        assert ids(limit=9) == "abcd"
        assert ids(order="count", descending=True, limit=1) == "c"


def test_select_is_ordered_by_time(store: Store) -> None:
    times = [MOMENT, MOMENT + timedelta(microseconds=1), MOMENT - timedelta(days=400)]
    put(store, *(a_counter(f"{n}", ends=t) for n, t in enumerate(times)))
    with store.read() as r:
        assert [c.id for c in r.select(Counter, order="expires_at")] == ["2", "0", "1"]


def test_upto_includes_its_own_moment_and_leaves_out_what_has_none(store: Store) -> None:
    tick = timedelta(microseconds=1)
    at = {"before": MOMENT - tick, "at": MOMENT, "after": MOMENT + tick, "never": None}
    put(store, *(full(Link, id=name, used_at=t) for name, t in at.items()))
    with store.read() as r:
        found = r.select(Link, upto=("used_at", MOMENT), order="used_at")
        assert [link.id for link in found] == ["before", "at"]
        assert r.select(Link, upto=("used_at", MOMENT - 2 * tick)) == []


def test_upto_works_on_days(store: Store) -> None:
    on = {"before": date(2028, 2, 28), "on": date(2028, 2, 29), "after": date(2028, 3, 1)}
    put(store, *(full(Subject, id=name, turns_on=d) for name, d in on.items()), bare(Subject))
    with store.read() as r:
        found = r.select(Subject, upto=("turns_on", date(2028, 2, 29)), order="turns_on")
        assert [subject.id for subject in found] == ["before", "on"]


def test_past_leaves_out_its_own_number_and_what_has_none(store: Store) -> None:
    numbers = {"four": 4, "five": 5, "six": 6, "none": None}
    put(store, *(full(Event, id=name, seq=n) for name, n in numbers.items()))
    with store.read() as r:
        assert [e.id for e in r.select(Event, past=("seq", 4), order="seq")] == ["five", "six"]
        assert r.select(Event, past=("seq", 6)) == []


def test_conditions_of_all_sorts_hold_together(store: Store) -> None:
    put(
        store,
        full(IssuedToken, id="yes", list_id=2, expires_at=MOMENT, record="cr_1"),
        full(IssuedToken, id="other record", list_id=2, expires_at=MOMENT, record="cr_2"),
        full(
            IssuedToken, id="too late", list_id=2, expires_at=MOMENT + timedelta(1), record="cr_1"
        ),
        full(IssuedToken, id="too small", list_id=1, expires_at=MOMENT, record="cr_1"),
    )
    with store.read() as r:
        found = r.select(
            IssuedToken, record="cr_1", upto=("expires_at", MOMENT), past=("list_id", 1)
        )
    assert [token.id for token in found] == ["yes"]


# -- one transaction -----------------------------------------------------------------------------


def test_adding_twice_is_a_conflict(store: Store) -> None:
    for kind in KINDS:
        first: Any = full(kind)
        put(store, first)
        with pytest.raises(ConflictError), store.write() as uow:
            uow.add(bare(kind, id=first.id))
        fresh: Any = full(kind)
        with pytest.raises(ConflictError):
            put(store, fresh, fresh)
        with store.read() as r:
            assert r.select(kind) == [first]


@pytest.mark.parametrize(("kind", "name"), UNIQUE_FIELDS)
def test_a_taken_unique_field_is_a_conflict(store: Store, kind: type[Any], name: str) -> None:
    first = full(kind)
    put(store, first)
    with pytest.raises(ConflictError), store.write() as uow:
        uow.add(full(kind, **{name: getattr(first, name)}))
    with store.read() as r:
        assert r.select(kind) == [first]


@pytest.mark.parametrize(
    ("kind", "name"), [(k, n) for k, n in UNIQUE_FIELDS if "version" in k.__dataclass_fields__]
)
def test_saving_onto_a_taken_unique_field_is_a_conflict(
    store: Store, kind: type[Any], name: str
) -> None:
    first, second = full(kind), full(kind)
    put(store, first, second)
    with pytest.raises(ConflictError), store.write() as uow:
        uow.save(replace(second, **{name: getattr(first, name)}))
    assert find(store, kind, second.id) == second


@pytest.mark.parametrize("kind", [IssuedToken, Fact, Event])
def test_having_no_value_is_not_taken(store: Store, kind: type[Any]) -> None:
    put(store, bare(kind), bare(kind))
    with store.read() as r:
        assert len(r.select(kind)) == 2


def test_saving_an_old_version_is_a_conflict(store: Store) -> None:
    put(store, a_counter())
    with store.write() as uow:
        assert uow.save(a_counter(count=2)).version == 2
        uow.commit()
    with pytest.raises(ConflictError), store.write() as uow:
        uow.save(a_counter(count=99))
    with pytest.raises(ConflictError), store.write() as uow:
        uow.save(replace(a_counter(count=99), version=3))
    assert find(store, Counter, "one").count == 2


def test_saving_what_is_not_there_is_a_conflict(store: Store) -> None:
    with pytest.raises(ConflictError), store.write() as uow:
        uow.save(a_counter())
    assert find(store, Counter, "one") is None


def test_each_save_in_a_transaction_is_a_version_of_its_own(store: Store) -> None:
    with store.write() as uow:
        uow.add(a_counter())
        once = uow.save(a_counter(count=2))
        assert uow.save(replace(once, count=3)).version == 3
        uow.commit()
    assert find(store, Counter, "one") == replace(a_counter(count=3), version=3)


def test_a_deleted_thing_is_gone_and_may_be_made_anew(store: Store) -> None:
    put(store, a_counter(), a_counter("two"))
    with store.write() as uow:
        uow.delete(Counter, "one")
        uow.delete(Counter, "one")
        uow.delete(Counter, "never was")
        assert uow.find(Counter, "one") is None
        uow.commit()
    with store.read() as r:
        assert r.select(Counter) == [a_counter("two")]
    put(store, a_counter(count=9))
    assert find(store, Counter, "one") == a_counter(count=9)


def test_a_transaction_sees_what_it_did(store: Store) -> None:
    put(store, a_counter("old"))
    with store.write() as uow:
        uow.add(a_counter("new"))
        uow.save(a_counter("old", count=2))
        assert [c.count for c in uow.select(Counter)] == [1, 2]
        assert uow.get(Counter, "new") == a_counter("new")


def everything(uow: UnitOfWork) -> None:
    """Each way of changing something, once."""
    uow.add(full(Parent, id="new"))
    uow.save(a_counter("kept", count=2))
    uow.delete(Counter, "gone")
    change = Change(full(Consent, id="cr"), NewFact(kind=FactKind.CONSENT_REQUESTED))
    uow.record(change, new=True)
    uow.state(NewFact(kind=FactKind.KEY_CREATED))
    uow.publish(full(Event, id="told"))


def nothing_of_it(store: Store) -> bool:
    with store.read() as r:
        return (
            r.select(Counter) == [a_counter("gone"), a_counter("kept")]
            and not r.select(Parent)
            and not r.select(Consent)
            and not r.select(Fact)
            and not r.select(Event)
        )


def test_without_a_commit_nothing_happened(store: Store) -> None:
    put(store, a_counter("kept"), a_counter("gone"))
    with store.write() as uow:
        everything(uow)
    assert nothing_of_it(store)


def test_after_an_error_nothing_happened(store: Store) -> None:
    put(store, a_counter("kept"), a_counter("gone"))
    with suppress(Interrupted), store.write() as uow:
        everything(uow)
        raise Interrupted
    assert nothing_of_it(store)


def test_after_a_conflict_nothing_of_the_transaction_happened(store: Store) -> None:
    put(store, a_counter("kept"), a_counter("gone"))
    with suppress(ConflictError), store.write() as uow:
        everything(uow)
        uow.add(a_counter("kept"))
        uow.commit()
    assert nothing_of_it(store)


def test_with_a_commit_all_of_it_happened(store: Store) -> None:
    put(store, a_counter("kept"), a_counter("gone"))
    with store.write() as uow:
        everything(uow)
        uow.commit()
    with store.read() as r:
        assert [(c.id, c.version) for c in r.select(Counter)] == [("kept", 2)]
        assert r.find(Parent, "new") is not None
        assert r.find(Event, "told") is not None
        assert {f.kind for f in r.select(Fact)} == {
            FactKind.CONSENT_REQUESTED,
            FactKind.KEY_CREATED,
        }


def test_what_is_committed_stays_whatever_comes_after(store: Store) -> None:
    with suppress(Interrupted), store.write() as uow:
        uow.add(a_counter("first"))
        uow.commit()
        assert find(store, Counter, "first") is not None, "others see it from the commit on"
        uow.add(a_counter("second"))
        raise Interrupted
    with store.read() as r:
        assert [c.id for c in r.select(Counter)] == ["first"]


def test_changes_after_a_commit_need_one_of_their_own(store: Store) -> None:
    with store.write() as uow:
        uow.add(a_counter("first"))
        uow.commit()
        uow.add(a_counter("second"))
        assert uow.find(Counter, "second") is not None
    with store.read() as r:
        assert [c.id for c in r.select(Counter)] == ["first"]


def test_others_see_only_what_is_committed(store: Store) -> None:
    put(store, a_counter())
    with store.read() as r:
        with store.write() as uow:
            uow.save(a_counter(count=2))
            uow.add(a_counter("two"))
            assert r.get(Counter, "one").count == 1
            assert r.find(Counter, "two") is None
            uow.commit()
        assert r.get(Counter, "one").count == 2, "each look-up sees what is committed by then"
        assert r.find(Counter, "two") is not None


def test_one_transaction_has_one_time(store: Store, clock: FixedClock) -> None:
    with store.write() as uow:
        clock.pass_(hours=1)
        uow.state(NewFact(kind=FactKind.KEY_CREATED))
        assert uow.now == MOMENT
        uow.commit()
    with store.write() as uow:
        assert uow.now == MOMENT + timedelta(hours=1)
    with store.read() as r:
        assert [fact.at for fact in r.select(Fact)] == [MOMENT]


# -- state and fact ------------------------------------------------------------------------------


def a_fact() -> NewFact:
    return NewFact(
        kind=FactKind.CONSENT_REQUESTED,
        operator_id=full(Consent).operator_id,
        client_id=full(Consent).client_id,
        record=full(Consent, id="cr_1").id,
        data={"purposes": ("a", "b"), "same_browser": True, "times": 3, "reason": "none"},
    )


def test_a_new_state_and_its_fact_are_stored_together(store: Store) -> None:
    thing = full(Consent, id="cr_1")
    with store.write() as uow:
        assert uow.record(Change(thing, a_fact()), new=True) == thing
        uow.commit()
    assert find(store, Consent, "cr_1") == thing
    with store.read() as r:
        (fact,) = r.select(Fact, record="cr_1")
    new = a_fact()
    assert (fact.kind, fact.operator_id, fact.client_id) == (
        new.kind,
        new.operator_id,
        new.client_id,
    )
    assert fact.data == new.data
    assert (fact.at, fact.seq, fact.leaf, fact.head) == (MOMENT, None, None, None)


def test_a_later_state_and_its_fact_are_stored_together(store: Store) -> None:
    thing = full(Consent, id="cr_1")
    put(store, thing)
    with store.write() as uow:
        after = uow.record(Change(replace(thing, stage=Stage.DENIED), a_fact()))
        uow.commit()
    assert after.version == 2
    assert find(store, Consent, "cr_1") == after
    with store.read() as r:
        assert len(r.select(Fact, record="cr_1")) == 1


@pytest.mark.parametrize("new", [True, False])
def test_a_state_that_is_not_taken_leaves_no_fact(store: Store, new: bool) -> None:
    thing = full(Consent, id="cr_1")
    put(store, replace(thing, version=2))
    with pytest.raises(ConflictError), store.write() as uow:
        uow.record(Change(thing, a_fact()), new=new)
    with store.read() as r:
        assert r.select(Fact) == []


def test_each_fact_has_an_id_of_its_own(store: Store) -> None:
    with store.write() as uow:
        for _ in range(3):
            uow.state(NewFact(kind=FactKind.KEY_CREATED))
        uow.commit()
    with store.read() as r:
        assert len({fact.id for fact in r.select(Fact)}) == 3


def test_a_code_is_used_once(store: Store) -> None:
    code = full(Code, used_at=None)
    put(store, code)
    with store.write() as uow:
        uow.save(uow.get(Code, code.id).use(now=MOMENT))
        uow.commit()
    with pytest.raises(ConflictError), store.write() as uow:
        uow.save(code.use(now=MOMENT))
    assert find(store, Code, code.id).used_at == MOMENT.astimezone(UTC)


def test_a_store_that_is_there_is_ready(store: Store) -> None:
    store.ready()
    with store.read() as r:
        assert r.select(Counter) == []
