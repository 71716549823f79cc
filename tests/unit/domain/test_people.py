"""People hide themselves: nothing personal in a repr, nothing about a birth in a record."""

from __future__ import annotations

from dataclasses import fields

import pytest

from agegate.domain.ids import Digest, RecordId
from agegate.domain.people import Contact, EmailAddress, Link, LinkPurpose, SealedText, Subject
from tests.factories import NOON
from tests.unit.domain.test_growing import a_subject


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("maria@eltern.example", "m***@e***.example"),
        ("m@e.org", "m***@e***.org"),
        ("maria@mail.eltern.example", "m***@m***.example"),
        ("mária@éltern.example", "m***@é***.example"),
        ("maria@localhost", "m***@***localhost"),
        ("not an address", "n***@***"),
        ("", "***@***"),
    ],
)
def test_a_masked_address_tells_its_owner_and_nobody_else(address: str, masked: str) -> None:
    assert EmailAddress(address).masked == masked


@pytest.mark.parametrize("kind", [EmailAddress, SealedText])
def test_secrets_hide_themselves(kind: type[EmailAddress | SealedText]) -> None:
    secret = kind("maria@eltern.example")
    assert repr(secret) == f"{secret}" == f"{kind.__name__}()"
    assert secret == kind("maria@eltern.example")
    assert secret != kind("other@eltern.example")


def test_a_contact_shows_no_address() -> None:
    contact = Contact(
        id=RecordId("cr_1"),
        address=EmailAddress("maria@eltern.example"),
        index=Digest("a" * 64),
        browser=Digest("b" * 64),
        collected_at=NOON,
    )
    assert "maria" not in repr(contact)


def test_law_2_a_contact_holds_nothing_that_was_not_allowed() -> None:
    assert {f.name for f in fields(Contact)} == {
        "id",
        "address",
        "index",
        "browser",
        "collected_at",
        "version",
    }


def test_law_19_a_subject_has_no_place_for_a_birth() -> None:
    assert not {f.name for f in fields(Subject)} & {"birth", "birthday", "born", "dob", "age"}


def test_an_age_is_known_once_a_method_said_it() -> None:
    assert a_subject(method="age_screen").age_is_known
    assert not a_subject(method=None).age_is_known


def test_a_used_link_keeps_its_time() -> None:
    link = Link(id=Digest("a" * 64), purpose=LinkPurpose.SIGN_IN, target="pa_1", expires_at=NOON)
    assert link.used_at is None
    assert link.use(now=NOON).used_at == NOON
