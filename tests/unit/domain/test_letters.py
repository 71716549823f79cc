from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.domain.errors import ConfigurationError, UnlawfulError
from agegate.domain.letters import (
    LETTERS,
    Letter,
    ReceiptLetter,
    SignInLetter,
    direct_notice_letter,
    letter_from_payload,
    letter_to_payload,
    pack,
    unpack,
)
from agegate.domain.outgoing import OutgoingKind
from agegate.domain.people import EmailAddress, SealedText
from agegate.domain.words import LANGUAGES
from tests.letter_factories import LINK, a_direct_notice, a_receipt, all_letters

EVERY_LETTER = [letter for language in LANGUAGES for letter in all_letters(language)]
ADDRESS = EmailAddress("mum@example.org")


def test_every_kind_of_outgoing_mail_has_its_letter() -> None:
    assert set(LETTERS) == set(OutgoingKind)
    assert {letter.kind for letter in EVERY_LETTER} == set(OutgoingKind)
    assert all(LETTERS[letter.kind] is type(letter) for letter in EVERY_LETTER)


@pytest.mark.parametrize("letter", EVERY_LETTER, ids=lambda x: f"{x.kind}-{x.language}")
def test_a_letter_survives_its_wait_in_the_outbox(letter: Letter) -> None:
    assert letter_from_payload(letter.kind, letter_to_payload(letter)) == letter
    assert unpack(letter.kind, pack(ADDRESS, letter)) == (ADDRESS, letter)


@given(
    allowed=st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=0x4FF), min_size=1)),
    until=st.none() | st.dates(),
)
def test_any_receipt_survives_its_wait(allowed: list[str], until: date | None) -> None:
    letter = a_receipt(allowed=tuple(allowed), until=until)
    assert letter_from_payload(letter.kind, letter_to_payload(letter)) == letter


def test_the_address_is_hidden_while_it_waits() -> None:
    sealed = pack(ADDRESS, a_receipt())
    assert "mum@example.org" not in repr(sealed)
    assert "mum@example.org" not in letter_to_payload(a_receipt())


@pytest.mark.parametrize("letter", all_letters("en"), ids=lambda x: str(x.kind))
def test_a_letter_can_not_be_made_without_what_it_must_say(letter: Letter) -> None:
    values = {f.name: getattr(letter, f.name) for f in fields(letter)}
    needed = set(values) - {"allowed", "refused", "until", "ledger_head"}
    make: Any = type(letter)
    for name in needed:
        with pytest.raises(TypeError):
            make(**{k: v for k, v in values.items() if k != name})
    for name in needed:
        if isinstance(values[name], (str, tuple)):
            with pytest.raises(ConfigurationError, match=name.removeprefix("language") or "letter"):
                make(**(values | {name: type(values[name])()}))


@pytest.mark.parametrize(
    "overrides",
    [
        {"link_url": "javascript:alert(1)"},
        {"link_url": "/parent/"},
        {"minutes": 0},
        {"language": "xx"},
    ],
)
def test_a_letter_with_a_useless_value_can_not_be_made(overrides: dict[str, Any]) -> None:
    values: dict[str, Any] = {"language": "en", "link_url": LINK, "minutes": 30}
    SignInLetter(**values)
    with pytest.raises(ConfigurationError):
        SignInLetter(**(values | overrides))


def test_names_become_one_plain_line() -> None:
    letter = a_receipt(client_name="Story\r\nBcc: x\u202eBuddy", allowed=("a\u2066b\nc",))
    assert letter.client_name == "Story Bcc: xBuddy"
    assert letter.allowed == ("ab c",)


def test_law_40_no_letter_is_made_of_an_incomplete_notice() -> None:
    with pytest.raises(UnlawfulError, match=r"\(v\)"):
        direct_notice_letter(a_direct_notice(online_notice_url=""), link_url=LINK)


def test_a_notice_whose_address_did_not_come_from_a_child_needs_another_letter() -> None:
    with pytest.raises(ConfigurationError, match="an address that a child gave"):
        direct_notice_letter(a_direct_notice(contact_from_child=False), link_url=LINK)


def test_a_letter_keeps_the_sections_of_its_notice() -> None:
    notice = a_direct_notice(language="es")
    letter = direct_notice_letter(notice, link_url=LINK)
    assert letter.sections == notice.sections
    assert letter.language == "es"


def damaged(**changes: Any) -> str:
    found = json.loads(letter_to_payload(a_receipt()))
    return json.dumps({k: v for k, v in (found | changes).items() if v != "gone"})


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "[]",
        "null",
        damaged(portal_url="gone"),
        damaged(extra="field"),
        damaged(decided_on="yesterday"),
        damaged(decided_on=20261122),
        damaged(allowed="not a list"),
        damaged(allowed=[1]),
        damaged(client_name=None),
        damaged(ledger_head=7),
        damaged(language="xx"),
    ],
)
def test_what_is_not_a_stored_letter_is_refused_without_quoting_it(payload: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        letter_from_payload(OutgoingKind.RECEIPT, payload)
    assert "StoryBuddy" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "sealed",
    ["", "{}", '{"to": "", "letter": {}}', '{"to": 1, "letter": {}}', '{"to": "a@b", "letter": 1}'],
)
def test_a_stored_letter_without_an_address_is_refused(sealed: str) -> None:
    with pytest.raises(ConfigurationError):
        unpack(OutgoingKind.RECEIPT, SealedText(sealed))


def test_a_letter_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="other fields"):
        unpack(OutgoingKind.SIGN_IN, pack(ADDRESS, a_receipt()))


def test_a_refusal_has_a_receipt_too() -> None:
    letter = replace(a_receipt(), allowed=(), until=None, ledger_head=None)
    assert isinstance(letter, ReceiptLetter)
    assert letter_from_payload(letter.kind, letter_to_payload(letter)) == letter
