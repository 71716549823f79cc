"""A consent by e-mail plus: nothing stands before its second step (16 CFR 312.5(b)(2)(viii))."""

from __future__ import annotations

import pytest

from agegate.domain.consent import Stage
from agegate.domain.errors import LinkExpiredError
from agegate.domain.people import Contact
from agegate.services.consent import ParentStep
from agegate.services.screening import NextStep
from agegate.wire.tiers import ConsentState
from tests.factories import a_client, a_purpose, a_quiet_operator, an_operator
from tests.unit.services.world import BACK, PAT, PHONE, World


@pytest.fixture
def quiet() -> World:
    """An operator that discloses nothing, so that `email_plus` is lawful."""
    return World(a_quiet_operator())


def test_law_33_an_e_mail_alone_grants_nothing_before_its_second_step(quiet: World) -> None:
    flow, link = quiet.asks()
    consent = quiet.decides(link, {"ai_chat": "grant"}, method="email_plus")
    assert consent.stage is Stage.DECIDED
    standing = quiet.look(flow).standing
    assert standing is not None
    assert (standing.state, standing.purposes) == (ConsentState.PENDING, ())
    assert quiet.consent.look(link).step is ParentStep.SECOND_STEP


def test_law_33_the_second_letter_comes_later_and_its_link_confirms(quiet: World) -> None:
    flow, link = quiet.asks()
    quiet.decides(link, {"ai_chat": "grant"}, method="email_plus")
    quiet.outbox.deliver()
    assert quiet.kinds_to(PAT) == ["direct_notice"]
    quiet.clock.pass_(minutes=59)
    quiet.outbox.deliver()
    assert quiet.kinds_to(PAT) == ["direct_notice"]
    quiet.clock.pass_(minutes=1)
    confirm = quiet.letter_to(PAT, door="confirm")
    assert quiet.consent.look_confirmation(confirm).step is ParentStep.SECOND_STEP
    assert quiet.consent.confirm(confirm).consent.stage is Stage.GRANTED
    assert quiet.look(flow).step is NextStep.FINISH
    assert quiet.all(Contact) == []
    quiet.outbox.deliver()
    assert quiet.kinds_to(PAT) == ["direct_notice", "confirmation", "receipt"]


def test_confirming_twice_is_confirming_once(quiet: World) -> None:
    _, link = quiet.asks()
    quiet.decides(link, {"ai_chat": "grant"}, method="email_plus")
    quiet.clock.pass_(hours=2)
    confirm = quiet.letter_to(PAT, door="confirm")
    quiet.consent.confirm(confirm)
    assert quiet.consent.confirm(confirm).consent.stage is Stage.GRANTED
    assert quiet.facts().count("consent.granted") == 1


def test_the_first_link_does_not_confirm(quiet: World) -> None:
    _, link = quiet.asks()
    quiet.decides(link, {"ai_chat": "grant"}, method="email_plus")
    with pytest.raises(LinkExpiredError):
        quiet.consent.confirm(link)


def test_law_3_an_unconfirmed_yes_lapses_with_the_address(quiet: World) -> None:
    _, link = quiet.asks()
    consent = quiet.decides(link, {"ai_chat": "grant"}, method="email_plus")
    quiet.clock.pass_(hours=2)
    confirm = quiet.letter_to(PAT, door="confirm")
    quiet.clock.pass_(days=14)
    with pytest.raises(LinkExpiredError):
        quiet.consent.confirm(confirm)
    quiet.sweeps.sweep()
    assert quiet.consent_now(consent.id).stage is Stage.EXPIRED
    assert quiet.all(Contact) == []


def test_a_yes_taken_back_before_the_second_letter_sends_none(quiet: World) -> None:
    flow, link = quiet.asks()
    quiet.decides(link, {"ai_chat": "grant"}, method="email_plus")
    quiet.consent.withdraw(link)
    quiet.clock.pass_(hours=2)
    quiet.outbox.deliver()
    assert "confirmation" not in quiet.kinds_to(PAT)
    assert quiet.look(flow).step is NextStep.FINISH


def test_a_refusal_by_e_mail_needs_no_second_step(quiet: World) -> None:
    _, link = quiet.asks()
    consent = quiet.decides(link, {"ai_chat": "refuse"}, method="email_plus")
    assert consent.stage is Stage.DENIED
    quiet.clock.pass_(hours=2)
    quiet.outbox.deliver()
    assert quiet.kinds_to(PAT) == ["direct_notice"]


def test_law_8_a_new_disclosure_closes_email_plus_at_once(quiet: World) -> None:
    _, link = quiet.asks()
    quiet.consent.open(link, browser=PHONE)
    client = a_client(purposes=("ai_chat",), vpc_methods=("email_plus", "payment_transaction"))
    quiet.apply(an_operator(purposes=(a_purpose(),), clients=(client,)))
    with pytest.raises(LinkExpiredError):
        quiet.consent.choose(link, "email_plus", return_url=BACK)
