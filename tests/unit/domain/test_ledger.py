"""Facts are bytes that never change, and the chain shows whatever was done to them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from agegate.domain.change import NewFact
from agegate.domain.ids import ClientId, Digest, FactId, OperatorId, RecordId
from agegate.domain.ledger import (
    GENESIS,
    Break,
    Fact,
    FactKind,
    chain_hash,
    first_break,
    leaf_hash,
)
from tests.factories import NOON

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def a_fact(number: int = 1, **overrides: Any) -> Fact:
    fact = Fact(
        id=FactId(f"fact_{number}"),
        kind=FactKind.CONSENT_GRANTED,
        at=NOON + timedelta(microseconds=123456),
        operator_id=OperatorId("storybuddy"),
        client_id=ClientId("storybuddy-web"),
        record=RecordId("cr_1"),
        data={"granted": ("ai_chat", "ü"), "same_browser": True, "attempts": 2, "reason": 'a"b'},
    )
    return replace(fact, **overrides)


def a_chain(length: int) -> list[Fact]:
    entries: list[Fact] = []
    head = GENESIS
    for seq in range(1, length + 1):
        entry = a_fact(seq).extend(head, seq)
        head = entry.head or head
        entries.append(entry)
    return entries


def changed(fact: Fact, field: str, value: Any) -> Fact:
    fields: dict[str, Any] = {field: value}
    return replace(fact, **fields)


# -- bytes ---------------------------------------------------------------------------------------


def test_the_bytes_of_a_fact_are_frozen() -> None:
    assert a_fact().canonical() == (GOLDEN / "ledger_fact.json").read_bytes()


def test_the_bytes_of_a_fact_about_nothing_are_frozen() -> None:
    fact = Fact(id=FactId("fact_2"), kind=FactKind.KEY_CREATED, at=NOON)
    assert fact.canonical() == (
        b'{"at":"2026-11-22T12:00:00+00:00","client":null,"data":{},"id":"fact_2",'
        b'"kind":"key.created","operator":null,"record":null,"v":1}'
    )


def test_the_hashes_of_a_chain_are_frozen() -> None:
    golden = json.loads((GOLDEN / "ledger_chain.json").read_text())
    assert [{"leaf": e.leaf, "head": e.head} for e in a_chain(3)] == golden


def test_a_leaf_is_hashed_as_rfc_6962_says() -> None:
    # RFC 6962, 2.1.3: the leaf hash of the empty string.
    assert leaf_hash(b"") == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    one, two = leaf_hash(b""), leaf_hash(b"\x00")
    both = hashlib.sha256(b"\x01" + bytes.fromhex(one) + bytes.fromhex(two)).hexdigest()
    assert chain_hash(one, two) == both
    assert both == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"


# Keys of facts are names of ours: plain ASCII, where code points and UTF-16 sort alike.
_values = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.booleans(),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=3).map(tuple),
)
_data = st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), _values, max_size=5)


@given(_data)
def test_a_fact_is_written_as_rfc_8785_says(data: dict[str, Any]) -> None:
    fact = a_fact(data=data)
    assert fact.canonical() == rfc8785.dumps(json.loads(fact.canonical()))


@given(_data, _data)
def test_different_facts_have_different_bytes(one: dict[str, Any], two: dict[str, Any]) -> None:
    def typed(data: dict[str, Any]) -> list[Any]:  # 1 equals True, but they are different words
        return sorted((k, type(v).__name__, v) for k, v in data.items())

    same = a_fact(data=one).canonical() == a_fact(data=two).canonical()
    assert same is (typed(one) == typed(two))


def test_every_kind_names_its_subject_first() -> None:
    subjects = {kind.value.split(".")[0] for kind in FactKind}
    assert subjects == {"operator", "age", "consent", "contact", "subject", "token", "key"}
    assert all(len(kind.value.split(".")) == 2 for kind in FactKind)


def test_a_new_fact_is_about_nothing_unless_it_says_so() -> None:
    new = NewFact(kind=FactKind.KEY_CREATED)
    assert (new.operator_id, new.client_id, new.record, new.data) == (None, None, None, {})


# -- the chain -----------------------------------------------------------------------------------


def test_an_untouched_chain_has_no_break() -> None:
    assert first_break([]) is None
    for length in (1, 2, 9):
        assert first_break(a_chain(length)) is None


CHANGES: dict[str, Any] = {
    "id": "fact_x",
    "kind": FactKind.CONSENT_DENIED,
    "at": NOON,
    "operator_id": None,
    "client_id": ClientId("other"),
    "record": RecordId("cr_2"),
    "data": {"granted": ("ai_chat",)},
    "leaf": Digest("0" * 64),
}


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("where", [0, 4, 8])
def test_law_81_any_changed_field_is_found(field: str, where: int) -> None:
    chain = a_chain(9)
    chain[where] = changed(chain[where], field, CHANGES[field])
    assert first_break(chain) == Break(seq=where + 1, reason="changed")


@pytest.mark.parametrize("where", [0, 4, 8])
def test_law_81_a_changed_fact_with_a_fresh_leaf_is_found(where: int) -> None:
    chain = a_chain(9)
    forged = replace(chain[where], data={})
    chain[where] = replace(forged, leaf=leaf_hash(forged.canonical()))
    assert first_break(chain) == Break(seq=where + 1, reason="does not follow the entry before it")


def test_law_81_a_forged_entry_with_fresh_hashes_breaks_the_next_one() -> None:
    chain = a_chain(9)
    forged = replace(chain[4], data={})
    chain[4] = forged.extend(chain[3].head or GENESIS, 5)
    assert first_break(chain) == Break(seq=6, reason="does not follow the entry before it")


@pytest.mark.parametrize("where", [0, 4, 7])
def test_law_81_a_cut_entry_is_found(where: int) -> None:
    chain = a_chain(9)
    del chain[where]
    assert first_break(chain) == Break(seq=where + 1, reason="missing or renumbered")


def test_law_81_a_cut_entry_is_found_after_renumbering_too() -> None:
    chain = a_chain(9)
    del chain[4]
    renumbered = [replace(e, seq=n) for n, e in enumerate(chain, 1)]
    assert first_break(renumbered) == Break(seq=5, reason="does not follow the entry before it")


def test_law_81_moved_entries_are_found() -> None:
    chain = a_chain(9)
    chain[3], chain[4] = chain[4], chain[3]
    assert first_break(chain) == Break(seq=4, reason="missing or renumbered")
    moved = [replace(e, seq=n) for n, e in enumerate(chain, 1)]
    assert first_break(moved) == Break(seq=4, reason="does not follow the entry before it")


def test_law_81_a_doubled_entry_is_found() -> None:
    chain = a_chain(3)
    assert first_break([*chain[:2], chain[1], chain[2]]) == Break(
        seq=3, reason="missing or renumbered"
    )


@pytest.mark.parametrize("lost", ["seq", "leaf", "head"])
def test_law_81_an_entry_without_its_hashes_is_found(lost: str) -> None:
    chain = a_chain(3)
    chain[1] = changed(chain[1], lost, None)
    broken = first_break(chain)
    assert broken is not None
    assert broken.seq == 2


def test_a_chain_of_another_beginning_is_found() -> None:
    chain = a_chain(3)
    assert first_break(chain, previous=Digest("1" * 64)) == Break(
        seq=1, reason="does not follow the entry before it"
    )


def test_a_page_is_checked_behind_the_page_before() -> None:
    chain = a_chain(9)
    head = chain[3].head
    assert head is not None
    assert first_break(chain[4:], previous=head, start=5) is None
    assert first_break(chain[4:], previous=head) == Break(seq=1, reason="missing or renumbered")
    assert first_break(chain[5:], previous=head, start=6) is not None


@given(st.data())
def test_law_81_any_changed_byte_is_found(data: st.DataObject) -> None:
    """Whatever a hand in the database writes over one text of one entry."""
    chain = a_chain(4)
    where = data.draw(st.integers(0, 3))
    field = data.draw(st.sampled_from(["id", "operator_id", "client_id", "record", "leaf", "head"]))
    text = str(getattr(chain[where], field))
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdefxyz").filter(lambda c: c != text[place]))
    chain[where] = changed(chain[where], field, text[:place] + letter + text[place + 1 :])
    broken = first_break(chain)
    assert broken is not None
    assert broken.seq == where + 1
