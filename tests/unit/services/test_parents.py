from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agegate.adapters.operator_file import parse_operator
from agegate.domain.consent import Stage
from agegate.domain.errors import (
    LinkExpiredError,
    NotAllowedNowError,
    NotFoundError,
    TooManyRequestsError,
)
from agegate.domain.grants import Code, Family, Flow, IssuedToken
from agegate.domain.ids import ClientId, digest
from agegate.domain.ledger import Fact
from agegate.domain.people import (
    BrowserSubject,
    Contact,
    EmailAddress,
    Link,
    Parent,
    ParentSession,
    Subject,
)
from agegate.services.erasure import erase_by_sub
from agegate.services.operators import OperatorService
from agegate.services.screening import NextStep
from agegate.wire.tiers import ConsentState
from tests.factories import an_operator
from tests.unit.services.world import BOTH, KIM, PAT, PHONE, RULEBOOK, TABLET, World

OTHER_TABLET = digest("another tablet")


@pytest.fixture
def world() -> World:
    return World()


# -- sign in ---------------------------------------------------------------------------------------


def test_law_87_a_parent_signs_in_by_a_mailed_link_without_a_password(world: World) -> None:
    world.granted()
    assert world.signs_in().address == PAT


def test_a_sign_in_link_works_once(world: World) -> None:
    world.granted()
    world.parents.send_link(PAT, locale="en", browser=PHONE)
    link = world.letter_to(PAT, door="sign-in")
    world.parents.sign_in(link)
    for act in (world.parents.sign_in, world.parents.check_link):
        with pytest.raises(LinkExpiredError):
            act(link)


def test_looking_at_a_sign_in_link_does_not_use_it(world: World) -> None:
    world.granted()
    world.parents.send_link(PAT, locale="en", browser=PHONE)
    link = world.letter_to(PAT, door="sign-in")
    for _ in range(9):
        world.parents.check_link(link)
    assert world.parents.find_parent(world.parents.sign_in(link)) is not None


def test_a_sign_in_link_lives_half_an_hour(world: World) -> None:
    world.granted()
    world.parents.send_link(PAT, locale="en", browser=PHONE)
    link = world.letter_to(PAT, door="sign-in")
    world.clock.pass_(minutes=30)
    with pytest.raises(LinkExpiredError):
        world.parents.sign_in(link)


def test_an_address_nobody_knows_gets_no_letter_and_no_other_answer(world: World) -> None:
    world.granted()
    world.parents.send_link(KIM, locale="en", browser=PHONE)
    world.outbox.deliver()
    assert world.mailer.to(KIM) == []
    assert world.all(Link, purpose="sign_in") == []


@pytest.mark.parametrize("address", [PAT, KIM])
def test_signing_in_is_limited_alike_for_known_and_unknown(
    world: World, address: EmailAddress
) -> None:
    world.granted()
    for number in range(5):
        world.parents.send_link(address, locale="en", browser=digest(f"phone {number}"))
    with pytest.raises(TooManyRequestsError):
        world.parents.send_link(address, locale="en", browser=PHONE)


def test_a_session_lives_two_hours(world: World) -> None:
    world.granted()
    world.parents.send_link(PAT, locale="en", browser=PHONE)
    secret = world.parents.sign_in(world.letter_to(PAT, door="sign-in"))
    world.clock.pass_(hours=2, seconds=-1)
    assert world.parents.find_parent(secret) is not None
    world.clock.pass_(seconds=1)
    assert world.parents.find_parent(secret) is None


def test_signing_out_ends_the_session(world: World) -> None:
    world.granted()
    world.parents.send_link(PAT, locale="en", browser=PHONE)
    secret = world.parents.sign_in(world.letter_to(PAT, door="sign-in"))
    world.parents.sign_out(secret)
    assert world.parents.find_parent(secret) is None
    assert world.all(ParentSession) == []


@pytest.mark.parametrize("secret", [None, "", "guess", "\x00"])
def test_a_guessed_session_is_nobody(world: World, secret: str | None) -> None:
    world.granted()
    assert world.parents.find_parent(secret) is None


def test_a_session_is_stored_only_as_a_hash(world: World) -> None:
    world.granted()
    world.parents.send_link(PAT, locale="en", browser=PHONE)
    secret = world.parents.sign_in(world.letter_to(PAT, door="sign-in"))
    assert secret not in repr(world.all(ParentSession))


# -- see -------------------------------------------------------------------------------------------


def test_a_parent_sees_every_child_and_what_happened(world: World) -> None:
    world.granted()
    world.granted(browser=OTHER_TABLET)
    portal = world.parents.portal(world.signs_in())
    assert [seen.state for seen in portal.consents] == [ConsentState.GRANTED] * 2
    assert len({seen.consent.subject_id for seen in portal.consents}) == 2
    told = {fact.kind.value for fact in portal.history}
    assert {"consent.requested", "consent.granted"} <= told


def test_law_88_a_parent_sees_only_their_own(world: World) -> None:
    _, _, mine = world.granted()
    world.granted(KIM, browser=OTHER_TABLET)
    kim = world.signs_in(KIM)
    assert [s.consent.parent_id for s in world.parents.portal(kim).consents] == [kim.id]
    for act in (
        world.parents.consent_of,
        world.parents.withdraw,
        world.parents.erase,
        world.parents.export,
    ):
        with pytest.raises(NotFoundError):
            act(kim, mine.id)
        with pytest.raises(NotFoundError):
            act(kim, "cr_nothing")
    assert world.consent_now(mine.id).stage is Stage.GRANTED


def test_a_copy_holds_the_decisions_and_no_birth_date(world: World) -> None:
    _, _, consent = world.granted()
    copy = world.parents.export(world.signs_in(), consent.id)
    assert copy["record"] == consent.id
    assert [p["allowed"] for p in copy["purposes"]] == [True, True]
    text = json.dumps(copy)
    assert "2017" not in text
    assert PAT.value not in text


# -- take back -------------------------------------------------------------------------------------


def test_law_10_a_withdrawal_in_the_portal_counts_at_once(world: World) -> None:
    flow, _, consent = world.granted()
    token = world.token(flow)
    world.parents.withdraw(world.signs_in(), consent.id)
    assert world.introspect(token)["consent"]["state"] == "withdrawn"
    world.outbox.deliver()
    assert world.kinds_to(PAT)[-1] == "withdrawal"


def test_withdrawing_a_replacement_ends_tokens_of_what_it_replaced(world: World) -> None:
    flow, link = world.asks(purposes=("ai_chat",))
    world.decides(link, {"ai_chat": "grant"})
    token = world.token(flow)
    larger = world.begin()
    world.clock.pass_(minutes=1)
    world.asking.ask(larger, PAT, browser=TABLET)
    both = world.decides(world.letter_to(PAT), {"disclose:researchlab": "grant"})
    world.parents.withdraw(world.signs_in(), both.id)
    assert all(issued.withdrawn for issued in world.all(IssuedToken))
    assert world.introspect(token)["consent"]["purposes"] == []


def test_withdrawing_twice_in_the_portal_is_withdrawing_once(world: World) -> None:
    _, _, consent = world.granted()
    parent = world.signs_in()
    world.parents.withdraw(parent, consent.id)
    assert world.parents.withdraw(parent, consent.id).stage is Stage.WITHDRAWN
    assert world.facts().count("consent.withdrawn") == 1


def test_a_replaced_consent_cannot_be_withdrawn_by_itself(world: World) -> None:
    _, link = world.asks(purposes=("ai_chat",))
    small = world.decides(link, {"ai_chat": "grant"})
    larger = world.begin()
    world.clock.pass_(minutes=1)
    world.asking.ask(larger, PAT, browser=TABLET)
    world.decides(world.letter_to(PAT), {"disclose:researchlab": "grant"})
    with pytest.raises(NotAllowedNowError):
        world.parents.withdraw(world.signs_in(), small.id)


# -- erase -----------------------------------------------------------------------------------------


def test_law_89_erasing_ends_everything_at_once_and_tells_the_app(world: World) -> None:
    flow, _, consent = world.granted()
    token = world.token(flow)
    world.parents.erase(world.signs_in(), consent.id)
    assert world.introspect(token) == {"active": False}
    assert ("subject.erasure_requested", "erased") in world.events()
    world.outbox.deliver()
    assert world.kinds_to(PAT)[-1] == "erasure"


def test_law_90_nothing_that_leads_to_the_child_or_parent_is_left(world: World) -> None:
    flow, _, consent = world.granted()
    world.token(flow)
    sub = world.subject_of(flow).sub
    world.parents.erase(world.signs_in(), consent.id)
    for kind in (Subject, Flow, BrowserSubject, Code, Contact, Parent, ParentSession):
        assert world.all(kind) == [], kind
    assert [family.revoked_at is not None for family in world.all(Family)] == [True]
    assert world.all(Link, target=consent.id) == []
    assert world.consent_now(consent.id).stage is Stage.REVOKED
    assert sub not in repr(world.all(Fact))
    assert world.ledger_is_whole()


def test_erasing_one_child_leaves_the_sibling_and_the_parent(world: World) -> None:
    _, _, first = world.granted()
    _, _, second = world.granted(browser=OTHER_TABLET)
    parent = world.signs_in()
    world.parents.erase(parent, first.id)
    assert world.consent_now(second.id).stage is Stage.GRANTED
    assert [p.id for p in world.all(Parent)] == [parent.id]
    world.parents.erase(parent, second.id)
    assert world.all(Parent) == []


def test_erasing_twice_is_erasing_once(world: World) -> None:
    _, _, first = world.granted()
    world.granted(browser=OTHER_TABLET)
    parent = world.signs_in()
    world.parents.erase(parent, first.id)
    world.parents.erase(parent, first.id)
    assert world.facts().count("subject.erased") == 1


def test_after_an_erasure_the_browser_starts_anew(world: World) -> None:
    _, _, consent = world.granted()
    world.parents.erase(world.signs_in(), consent.id)
    assert world.look(world.begin()).step is NextStep.AGE_SCREEN


def test_erasing_while_another_question_is_open_ends_it_too(world: World) -> None:
    _, link = world.asks(purposes=("ai_chat",))
    small = world.decides(link, {"ai_chat": "grant"})
    larger = world.begin()
    world.clock.pass_(minutes=1)
    world.asking.ask(larger, KIM, browser=TABLET)
    open_link = world.letter_to(KIM)
    world.parents.erase(world.signs_in(), small.id)
    with pytest.raises(LinkExpiredError):
        world.consent.decide(open_link, BOTH)
    assert world.all(Contact) == []


def test_staff_erase_by_sub_and_the_parent_is_told(world: World) -> None:
    flow, _, _ = world.granted()
    sub = world.subject_of(flow).sub
    assert erase_by_sub(world.core, sub) == 1
    assert world.all(Subject) == []
    assert world.all(Parent) == []
    world.outbox.deliver()
    assert world.kinds_to(PAT)[-1] == "erasure"
    with pytest.raises(NotFoundError):
        erase_by_sub(world.core, sub)


def test_staff_erase_at_one_client_only(world: World) -> None:
    flow, _, _ = world.granted()
    sub = world.subject_of(flow).sub
    with pytest.raises(NotFoundError):
        erase_by_sub(world.core, sub, client_id="storybuddy-kids")
    assert erase_by_sub(world.core, sub, client_id="storybuddy-web") == 1


def test_a_parent_of_nobody_is_not_known(world: World) -> None:
    with pytest.raises(AssertionError, match="no sign-in link"):
        world.signs_in(EmailAddress("stranger@example.org"))


def test_the_people_of_a_retired_client_keep_their_rights(world: World) -> None:
    _, _, consent = world.granted()
    operator = an_operator()
    other = replace(operator.clients[0], id=ClientId("storybuddy-next"))
    OperatorService(
        world.store,
        parse=parse_operator,
        new_secret=lambda: "s" * 43,
        hash_secret=digest,
        load_rulebook=lambda: RULEBOOK,
        today=lambda: world.clock().date(),
    ).apply(replace(operator, clients=(other,)))
    parent = world.signs_in()
    assert [seen.consent.id for seen in world.parents.portal(parent).consents] == [consent.id]
    assert world.parents.withdraw(parent, consent.id).stage is Stage.WITHDRAWN
    world.parents.erase(parent, consent.id)
    with world.store.read() as r:
        assert r.select(Subject) == []
