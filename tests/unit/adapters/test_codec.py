"""Nested values survive as JSON, and a secret never gets into them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NewType, get_type_hints

import pytest

from agegate.adapters.codec import bare, dumps, from_plain, hints, may_be_none, to_plain
from agegate.domain.consent import ConsentEvidence
from agegate.domain.operators import Aim, Operator
from agegate.domain.people import EmailAddress, SealedText
from tests.factories import NOON, an_operator, some_evidence

Name = NewType("Name", str)
LongName = NewType("LongName", Name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """What an older version wrote: one field less than `New`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    name: str
    on: date = date(2026, 1, 1)
    names: tuple[LongName, ...] = ()


@dataclass(frozen=True, slots=True)
class Hints:
    a: Name | None
    b: str | None
    c: LongName
    d: int | str | None
    e: tuple[Name, ...] | None


@pytest.mark.parametrize(
    ("name", "kind", "optional"),
    [
        ("a", str, True),
        ("b", str, True),
        ("c", str, False),
        ("d", int | str | None, True),
        ("e", tuple[Name, ...], True),
    ],
)
def test_a_hint_tells_its_class_and_whether_none_is_allowed(
    name: str, kind: object, optional: bool
) -> None:
    hint = get_type_hints(Hints)[name]
    assert bare(hint) == kind
    assert may_be_none(hint) is optional


def test_an_operator_survives_whole() -> None:
    operator = an_operator()
    again = from_plain(Operator, to_plain(operator))
    assert again == operator
    assert again.practices == operator.practices
    assert type(again.recipients[0].aims[0]) is Aim
    assert type(again.recipients) is tuple


def test_derived_fields_are_not_stored() -> None:
    assert "practices" not in hints(Operator)
    assert "practices" not in to_plain(an_operator())


def test_evidence_survives_with_its_time() -> None:
    evidence = some_evidence()
    assert from_plain(ConsentEvidence, to_plain(evidence)) == evidence


def test_a_field_that_did_not_exist_yet_gets_its_default() -> None:
    assert from_plain(New, to_plain(Old(name="x"))) == New(name="x")


def test_the_same_value_has_the_same_text() -> None:
    assert dumps({"b": (1, True, None), "a": "ü"}) == '{"a":"ü","b":[1,true,null]}'
    assert dumps({"at": NOON, "on": date(2026, 1, 2), "aim": Aim.SALE}) == (
        '{"aim":"sale","at":"2026-11-22T12:00:00+00:00","on":"2026-01-02"}'
    )


def test_dates_and_times_come_back_as_what_they_were() -> None:
    at = datetime(2026, 11, 22, 12, 0, 0, 1, tzinfo=UTC)
    assert from_plain(datetime, to_plain(at)) == at
    assert from_plain(date | None, to_plain(date(2028, 2, 29))) == date(2028, 2, 29)
    assert from_plain(date | None, None) is None
    assert from_plain(dict[str, object], {"ids": ["a"], "n": 1}) == {"ids": ("a",), "n": 1}
    assert from_plain(str, "x") == from_plain(int | str, "x") == "x"


@pytest.mark.parametrize("secret", [EmailAddress("maria@x.org"), SealedText("maria@x.org")])
def test_a_secret_is_refused_however_deep(secret: object) -> None:
    for value in (secret, [secret], {"a": {"b": (secret,)}}):
        with pytest.raises(TypeError) as caught:
            dumps(value)
        assert "maria" not in str(caught.value)


@pytest.mark.parametrize("strange", [b"bytes", {1, 2}, object(), Old, 1j])
def test_what_has_no_plain_form_is_refused(strange: object) -> None:
    with pytest.raises(TypeError, match="no plain form"):
        to_plain(strange)
