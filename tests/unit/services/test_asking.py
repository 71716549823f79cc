from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agegate.domain.consent import Stage
from agegate.domain.errors import (
    LinkExpiredError,
    MethodNotLawfulError,
    NotAllowedNowError,
    TooManyRequestsError,
)
from agegate.domain.ids import PurposeId, digest
from agegate.domain.outgoing import Delivery, Outgoing
from agegate.domain.people import Contact, EmailAddress, Link, Parent, ProofRun
from agegate.domain.records import StoredNotice
from agegate.services.screening import NextStep
from agegate.wire.tiers import ConsentState
from tests.factories import NOON, a_client, a_purpose, an_operator
from tests.unit.services.world import (
    ADULT,
    BOTH,
    CORE_ONLY,
    KIM,
    NEITHER,
    PAT,
    PHONE,
    TABLET,
    WEB,
    World,
)


@pytest.fixture
def world() -> World:
    return World()


# -- asking ----------------------------------------------------------------------------------------


def test_asking_writes_question_address_notice_and_letter_together(world: World) -> None:
    flow = world.a_child()
    view = world.asking.ask(flow, PAT, browser=TABLET)
    assert view.step is NextStep.CONSENT_PENDING
    assert view.question is not None
    assert view.question.stage is Stage.REQUESTED
    [contact] = world.all(Contact)
    assert contact.address == PAT
    assert contact.id == view.question.id
    [letter] = world.all(Outgoing)
    assert (letter.target, letter.state) == (view.question.id, Delivery.WAITING)
    [notice] = world.all(StoredNotice)
    assert notice.id == view.question.notice
    assert ("consent.requested", "pending") in world.events()


def test_law_2_before_a_yes_only_address_bracket_times_and_notice_are_held(world: World) -> None:
    world.asks()
    held = {f.name for f in Contact.__dataclass_fields__.values()}
    assert held == {"id", "address", "index", "browser", "collected_at", "version"}
    assert world.all(Parent) == []
    assert PAT.value not in repr(world.all(Contact))


def test_law_47_the_exact_notice_is_kept_by_its_hash_with_its_language(world: World) -> None:
    world.asks(locale="es")
    [notice] = world.all(StoredNotice)
    assert notice.id == digest(notice.content)
    assert notice.language == "es"
    [letter] = world.mailer.letters
    for section in json.loads(notice.content)["sections"]:
        assert section["heading"] in letter.rendered.text
        assert section["heading"] in letter.rendered.html


def test_two_families_with_the_same_notice_share_one_stored_copy(world: World) -> None:
    world.asks()
    world.asks(KIM, browser=digest("another tablet"))
    assert len(world.all(StoredNotice)) == 1


def test_asking_twice_asks_once(world: World) -> None:
    flow = world.a_child()
    world.asking.ask(flow, PAT, browser=TABLET)
    view = world.asking.ask(flow, KIM, browser=TABLET)
    assert view.step is NextStep.CONSENT_PENDING
    [contact] = world.all(Contact)
    assert contact.address == PAT


def test_nobody_is_asked_for_an_adult(world: World) -> None:
    flow = world.begin()
    world.screening.answer_age(flow, ADULT, browser=TABLET)
    with pytest.raises(NotAllowedNowError):
        world.asking.ask(flow, PAT, browser=TABLET)
    assert world.all(Contact) == []


def test_law_18_nobody_is_asked_before_the_age_is_known(world: World) -> None:
    with pytest.raises(NotAllowedNowError):
        world.asking.ask(world.begin(), PAT, browser=TABLET)
    assert world.all(Contact) == []


def test_without_a_lawful_method_no_address_is_taken() -> None:
    world = World(an_operator(clients=(a_client(vpc_methods=("email_plus", "signed_form")),)))
    flow = world.a_child()
    with pytest.raises(MethodNotLawfulError):
        world.asking.ask(flow, PAT, browser=TABLET)
    assert world.all(Contact) == []
    assert world.all(Outgoing) == []


def test_another_browser_cannot_ask(world: World) -> None:
    flow = world.a_child()
    with pytest.raises(LinkExpiredError):
        world.asking.ask(flow, PAT, browser=PHONE)


def test_only_the_purposes_the_app_named_are_asked(world: World) -> None:
    flow, _ = world.asks(purposes=("ai_chat",))
    question = world.look(flow).question
    assert question is not None
    assert question.purposes == ("ai_chat",)


# -- waiting and sending again ---------------------------------------------------------------------


def test_a_child_sees_a_masked_address_and_when_it_left(world: World) -> None:
    flow = world.a_child()
    world.asking.ask(flow, PAT, browser=TABLET)
    waiting = world.asking.waiting(flow, browser=TABLET)
    assert waiting is not None
    assert (waiting.masked, waiting.sent_at) == ("p***@e***.org", None)
    world.outbox.deliver()
    waiting = world.asking.waiting(flow, browser=TABLET)
    assert waiting is not None
    assert waiting.sent_at == NOON


def test_there_is_nothing_to_wait_for_before_asking(world: World) -> None:
    assert world.asking.waiting(world.a_child(), browser=TABLET) is None


def test_sending_again_has_to_wait_a_minute(world: World) -> None:
    flow, _ = world.asks()
    world.clock.pass_(seconds=59)
    with pytest.raises(TooManyRequestsError) as refused:
        world.asking.resend(flow, browser=TABLET)
    assert 1 <= refused.value.retry_after_s <= 2
    world.clock.pass_(seconds=1)
    world.asking.resend(flow, browser=TABLET)
    world.outbox.deliver()
    first, second = world.mailer.to(PAT)
    assert first.message_id != second.message_id
    assert first.rendered.subject == second.rendered.subject


def test_a_second_letter_leaves_the_first_link_working(world: World) -> None:
    flow, first = world.asks()
    world.clock.pass_(minutes=2)
    world.asking.resend(flow, browser=TABLET)
    second = world.letter_to(PAT)
    assert first != second
    assert world.consent.look(first).consent.id == world.consent.look(second).consent.id


def test_law_38_one_address_gets_at_most_ten_letters_a_day(world: World) -> None:
    for number in range(10):
        browser = digest(f"tablet {number}")
        world.asking.ask(world.a_child(browser=browser), PAT, browser=browser)
    flow = world.a_child()
    for _ in range(3):
        with pytest.raises(TooManyRequestsError) as refused:
            world.asking.ask(flow, PAT, browser=TABLET)
        assert refused.value.retry_after_s == 12 * 3600
    world.outbox.deliver(limit=100)
    assert len(world.mailer.letters) == 10
    world.clock.pass_(days=1)
    browser = digest("tomorrow's tablet")
    world.asking.ask(world.a_child(browser=browser), PAT, browser=browser)


def test_law_38_spelling_an_address_otherwise_does_not_help(world: World) -> None:
    for number in range(10):
        browser = digest(f"tablet {number}")
        world.asking.ask(
            world.a_child(browser=browser),
            EmailAddress("PaT@Example.org" if number % 2 else "pat@example.org"),
            browser=browser,
        )
    with pytest.raises(TooManyRequestsError):
        world.asking.ask(world.a_child(), EmailAddress("PAT@EXAMPLE.ORG"), browser=TABLET)


def test_law_38_one_browser_asks_at_most_ten_times_an_hour(world: World) -> None:
    flow, _ = world.asks()
    for number in range(9):
        address = EmailAddress(f"parent{number}@example.org")
        world.asking.change_contact(flow, address, browser=TABLET)
    with pytest.raises(TooManyRequestsError):
        world.asking.change_contact(flow, KIM, browser=TABLET)
    world.clock.pass_(hours=1)
    world.asking.change_contact(flow, KIM, browser=TABLET)


# -- another address -------------------------------------------------------------------------------


def test_another_address_kills_the_links_of_the_old_one(world: World) -> None:
    flow, old = world.asks()
    world.asking.change_contact(flow, KIM, browser=TABLET)
    with pytest.raises(LinkExpiredError):
        world.consent.look(old)
    assert world.consent.look(world.letter_to(KIM)).consent.stage is Stage.NOTIFIED
    [contact] = world.all(Contact)
    assert contact.address == KIM
    assert world.facts().count("contact.deleted") == 1


def test_a_letter_to_the_old_address_that_has_not_left_stays(world: World) -> None:
    flow = world.a_child()
    world.asking.ask(flow, PAT, browser=TABLET)
    world.asking.change_contact(flow, KIM, browser=TABLET)
    world.outbox.deliver()
    assert world.mailer.to(PAT) == []
    assert len(world.mailer.to(KIM)) == 1
    dropped = [x for x in world.all(Outgoing) if x.state is Delivery.DROPPED]
    assert [x.payload.value for x in dropped] == [""]


def test_the_new_address_counts_as_sent_only_when_its_own_letter_left(world: World) -> None:
    flow, _ = world.asks()
    world.asking.change_contact(flow, KIM, browser=TABLET)
    waiting = world.asking.waiting(flow, browser=TABLET)
    assert waiting is not None
    assert waiting.sent_at is None


@pytest.mark.parametrize("how_far", ["opened", "proved"])
def test_law_37_one_person_s_proof_never_helps_another_address(world: World, how_far: str) -> None:
    flow, old = world.asks()
    if how_far == "opened":
        world.consent.open(old, browser=PHONE)
        world.consent.choose(old, "payment_transaction", return_url="https://age.example")
    else:
        world.proves(old)
    world.asking.change_contact(flow, KIM, browser=TABLET)
    fresh = world.letter_to(KIM)
    view = world.consent.look(fresh)
    assert view.consent.stage is Stage.NOTIFIED
    assert view.consent.evidence is None
    with pytest.raises(NotAllowedNowError):
        world.consent.decide(fresh, BOTH)
    with pytest.raises(LinkExpiredError):
        world.consent.decide(old, BOTH)
    assert world.all(ProofRun) == []
    standing = world.look(flow).standing
    assert standing is not None
    assert standing.state is ConsentState.PENDING


def test_an_address_is_changed_only_while_somebody_is_asked(world: World) -> None:
    flow, _, _ = world.granted()
    with pytest.raises(NotAllowedNowError):
        world.asking.change_contact(flow, KIM, browser=TABLET)


# -- after an answer -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["denied", "withdrawn"])
def test_after_a_no_the_child_goes_on_and_nobody_is_asked_again(world: World, how: str) -> None:
    flow, link = world.asks()
    world.decides(link, NEITHER if how == "denied" else BOTH)
    if how == "withdrawn":
        world.consent.withdraw(link)
    assert world.look(flow).step is NextStep.FINISH
    assert world.look(world.begin()).step is NextStep.FINISH


@pytest.mark.parametrize("how", ["denied", "withdrawn"])
def test_prompt_consent_asks_once_more_in_a_visit(world: World, how: str) -> None:
    _, link = world.asks()
    world.decides(link, NEITHER if how == "denied" else BOTH)
    if how == "withdrawn":
        world.consent.withdraw(link)
    world.clock.pass_(minutes=2)
    again = world.begin(ask_parent=True)
    assert world.look(again).step is NextStep.PARENT_CONTACT
    world.clock.pass_(minutes=2)
    world.asking.ask(again, PAT, browser=TABLET)
    assert world.look(again).step is NextStep.CONSENT_PENDING
    world.decides(world.letter_to(PAT), NEITHER)
    assert world.look(again).step is NextStep.FINISH


def test_law_3_after_the_wait_a_child_may_ask_anew(world: World) -> None:
    flow, _ = world.asks()
    subject = world.subject_of(flow)
    world.clock.pass_(days=14)
    again = world.begin(subject_id=subject.id)
    assert world.look(again).step is NextStep.PARENT_CONTACT


# -- more than before ------------------------------------------------------------------------------


def test_a_larger_wish_asks_only_what_is_new_and_takes_over(world: World) -> None:
    _, link = world.asks(purposes=("ai_chat",))
    small = world.decides(link, {"ai_chat": "grant"})
    world.clock.pass_(minutes=2)
    larger = world.begin()
    assert world.look(larger).step is NextStep.PARENT_CONTACT
    world.asking.ask(larger, PAT, browser=TABLET)
    view = world.look(larger)
    assert view.step is NextStep.CONSENT_PENDING
    assert view.question is not None
    assert view.question.purposes == ("disclose:researchlab",)
    assert view.standing is not None
    assert view.standing.purposes == ("ai_chat",)
    both = world.decides(world.letter_to(PAT), {"disclose:researchlab": "grant"})
    assert both.granted == ("ai_chat", "disclose:researchlab")
    assert world.consent_now(small.id).stage is Stage.SUPERSEDED
    assert world.look(larger).step is NextStep.FINISH
    assert world.ledger_is_whole()


def test_law_91_refusing_more_leaves_what_was_granted(world: World) -> None:
    _, link = world.asks(purposes=("ai_chat",))
    small = world.decides(link, {"ai_chat": "grant"})
    world.clock.pass_(minutes=2)
    larger = world.begin()
    world.asking.ask(larger, PAT, browser=TABLET)
    world.decides(world.letter_to(PAT), {"disclose:researchlab": "refuse"})
    view = world.look(larger)
    assert view.standing is not None
    assert (view.standing.state, view.standing.purposes) == (ConsentState.GRANTED, ("ai_chat",))
    assert world.consent_now(small.id).stage in {Stage.GRANTED, Stage.SUPERSEDED}
    assert view.step is NextStep.FINISH
    assert world.look(world.begin()).step is NextStep.FINISH


def test_what_was_withdrawn_meanwhile_is_not_carried_on(world: World) -> None:
    _, first = world.asks(purposes=("ai_chat",))
    world.decides(first, {"ai_chat": "grant"})
    world.clock.pass_(minutes=2)
    larger = world.begin()
    world.asking.ask(larger, PAT, browser=TABLET)
    second = world.letter_to(PAT)
    world.proves(second)
    world.consent.withdraw(first)
    world.consent.decide(second, {"disclose:researchlab": "grant"})
    standing = world.look(larger).standing
    assert standing is not None
    assert "ai_chat" not in standing.purposes


def test_law_9_changed_practices_are_asked_about_whole(world: World) -> None:
    world.granted()
    more = an_operator(
        purposes=(
            replace(a_purpose(), data=("chat messages", "account identifier", "voice")),
            an_operator().purpose(PurposeId("disclose:researchlab")),
        )
    )
    world.apply(more)
    world.clock.pass_(minutes=2)
    again = world.begin()
    view = world.look(again)
    assert view.standing is not None
    assert (view.standing.state, view.standing.purposes) == (ConsentState.STALE, ())
    assert view.step is NextStep.PARENT_CONTACT
    world.asking.ask(again, PAT, browser=TABLET)
    question = world.look(again).question
    assert question is not None
    assert question.purposes == ("ai_chat", "disclose:researchlab")
    assert (question.carried, question.replaces) == ((), None)


def test_law_9_a_question_about_old_practices_is_void(world: World) -> None:
    flow, link = world.asks()
    world.proves(link)
    world.apply(an_operator(purposes=(replace(a_purpose(), retention_days=60),)))
    with pytest.raises(LinkExpiredError):
        world.consent.decide(link, CORE_ONLY)
    assert world.look(flow).step is NextStep.PARENT_CONTACT
    assert world.sweeps.sweep()["stale"] == 1
    assert world.all(Contact) == []
    assert ("consent.revoked", "revoked") in world.events()


def test_two_children_of_one_parent_are_two_consents_of_one_parent(world: World) -> None:
    _, _, first = world.granted()
    _, _, second = world.granted(browser=digest("another tablet"))
    assert first.parent_id == second.parent_id
    assert first.subject_id != second.subject_id
    [parent] = world.all(Parent)
    assert parent.address == PAT
    assert world.all(Link) != []
    assert str(WEB) == first.client_id
