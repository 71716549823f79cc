from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from agegate.domain.consent import Stage
from agegate.domain.errors import (
    ConflictError,
    FieldErrors,
    LinkExpiredError,
    MethodNotLawfulError,
    NotAllowedNowError,
    TooManyRequestsError,
    VendorError,
)
from agegate.domain.grants import IssuedToken
from agegate.domain.ids import Digest
from agegate.domain.people import Contact, Link, LinkPurpose, Parent, ProofRun
from agegate.methods.consent.payment_transaction import Funding, PaymentOutcome, PaymentStatus
from agegate.services.consent import ParentStep
from agegate.services.screening import NextStep
from agegate.wire.tiers import ConsentState
from tests.fakes import PAID
from tests.unit.services.world import (
    ADULT,
    BACK,
    BOTH,
    CORE_ONLY,
    KIM,
    NEITHER,
    PAT,
    PHONE,
    TABLET,
    World,
)

OPEN = PaymentOutcome(status=PaymentStatus.OPEN)
PROCESSING = PaymentOutcome(status=PaymentStatus.PROCESSING)
FAILED = PaymentOutcome(status=PaymentStatus.FAILED)
PREPAID = replace(PAID, funding=Funding.PREPAID)
SILENT = replace(PAID, notifies_holder=False)


@pytest.fixture
def world() -> World:
    return World()


# -- looking ---------------------------------------------------------------------------------------


def test_looking_changes_nothing_however_often(world: World) -> None:
    _, link = world.asks()
    before = world.store._tables  # noqa: SLF001 - the very rows, not what the service says of them
    for _ in range(9):
        assert world.consent.look(link).step is ParentStep.NOTICE
    assert world.store._tables == before  # noqa: SLF001 - as above


@pytest.mark.parametrize("text", ["", "abc", "a.b.c", "ä", "x" * 500, "\x00"])
def test_a_forged_link_has_run_out(world: World, text: str) -> None:
    with pytest.raises(LinkExpiredError):
        world.consent.look(text)


def test_law_38_a_link_is_good_for_its_purpose_alone(world: World) -> None:
    world.granted()
    world.parents.send_link(PAT, locale="en", browser=PHONE)
    sign_in = world.letter_to(PAT, door="sign-in")
    with pytest.raises(LinkExpiredError):
        world.consent.look(sign_in)
    with pytest.raises(LinkExpiredError):
        world.consent.look_confirmation(world.letter_to(PAT))


def test_law_38_a_link_s_id_is_stored_only_as_a_hash(world: World) -> None:
    _, link = world.asks()
    id_ = world.core.links.read("request", link)
    assert id_ not in repr(world.all(Link))


def test_law_3_an_unanswered_link_runs_out_after_fourteen_days(world: World) -> None:
    _, link = world.asks()
    world.clock.pass_(days=14, seconds=-1)
    assert world.consent.look(link).step is ParentStep.NOTICE
    world.clock.pass_(seconds=1)
    with pytest.raises(LinkExpiredError):
        world.consent.look(link)


# -- reading on ------------------------------------------------------------------------------------


def test_going_on_from_the_notice_opens_the_request_once(world: World) -> None:
    _, link = world.asks()
    assert world.consent.open(link, browser=PHONE).step is ParentStep.METHOD
    assert world.consent.open(link, browser=PHONE).step is ParentStep.METHOD
    assert world.facts().count("consent.opened") == 1


@pytest.mark.parametrize(("browser", "flagged"), [(PHONE, False), (TABLET, True), (None, False)])
def test_law_37_a_link_opened_on_the_child_s_device_is_flagged(
    world: World, browser: Digest | None, flagged: bool
) -> None:
    _, link = world.asks()
    view = world.consent.open(link, browser=browser)
    assert view.consent.opened_in_same_browser is flagged


def test_law_37_the_child_s_side_never_holds_the_parent_s_link(world: World) -> None:
    flow, link = world.asks()
    view = world.look(flow)
    assert link not in repr(view)
    assert world.core.links.read("request", link) not in repr(view)


def test_not_my_child_ends_it_and_deletes_the_address(world: World) -> None:
    flow, link = world.asks()
    view = world.consent.not_my_child(link)
    assert (view.consent.stage, view.step) == (Stage.DENIED, ParentStep.OUTCOME)
    assert world.all(Contact) == []
    assert world.all(Link) == []
    with pytest.raises(LinkExpiredError):
        world.consent.look(link)
    assert world.look(flow).step is NextStep.FINISH
    world.outbox.deliver()
    assert world.kinds_to(PAT) == ["direct_notice"]


def test_not_my_child_after_a_decision_takes_nothing_back(world: World) -> None:
    _, link, consent = world.granted()
    world.consent.not_my_child(link)
    assert world.consent_now(consent.id).stage is Stage.GRANTED


# -- proving ---------------------------------------------------------------------------------------


def test_a_payment_proves_an_adult_and_is_given_back(world: World) -> None:
    _, link = world.asks()
    view = world.proves(link)
    assert view.step is ParentStep.DECISION
    evidence = view.consent.evidence
    assert evidence is not None
    assert (evidence.identity, evidence.adulthood, evidence.relationship) == (
        "account_holder",
        "account_holder",
        "declared",
    )
    assert "tx_1" not in repr(evidence)
    assert world.cards.refunded == ["tx_1"]
    assert world.all(ProofRun) == []


def test_a_payment_page_is_where_the_parent_goes_on(world: World) -> None:
    _, link = world.asks()
    world.consent.open(link, browser=PHONE)
    view = world.consent.choose(link, "payment_transaction", return_url=BACK)
    assert view.step is ParentStep.PROOF
    assert view.proof is not None
    assert (view.proof.url or "").startswith("https://cards.example/")
    assert world.cards.return_urls == [BACK]


def test_a_parent_who_comes_back_early_finds_the_page_again(world: World) -> None:
    world.cards.script = [OPEN, PAID]
    _, link = world.asks()
    view = world.proves(link)
    assert view.step is ParentStep.PROOF
    assert view.proof is not None
    assert view.proof.url is not None
    assert world.consent.answer_proof(link, {}, return_url=BACK).step is ParentStep.DECISION


def test_a_vendor_still_at_work_means_waiting(world: World) -> None:
    world.cards.script = [PROCESSING, PROCESSING, PAID]
    _, link = world.asks()
    assert world.proves(link).waiting
    assert world.consent.answer_proof(link, {}, return_url=BACK).waiting
    assert world.consent.answer_proof(link, {}, return_url=BACK).step is ParentStep.DECISION


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (FAILED, "payment_failed"),
        (PREPAID, "prepaid_not_accepted"),
        (SILENT, "holder_not_notified"),
    ],
)
def test_law_30_a_payment_that_shows_nothing_leaves_the_parent_at_the_choice(
    world: World, outcome: PaymentOutcome, reason: str
) -> None:
    world.cards.script = [outcome]
    _, link = world.asks()
    view = world.proves(link)
    assert (view.failed, view.step) == (reason, ParentStep.METHOD)
    with pytest.raises(NotAllowedNowError):
        world.consent.decide(link, BOTH)


def test_a_vendor_that_is_away_changes_nothing(world: World) -> None:
    world.cards.is_away = True
    _, link = world.asks()
    world.consent.open(link, browser=PHONE)
    with pytest.raises(VendorError):
        world.consent.choose(link, "payment_transaction", return_url=BACK)
    assert world.consent.look(link).step is ParentStep.METHOD
    world.cards.is_away = False
    world.cards.script = [None, PAID]
    with pytest.raises(VendorError):
        world.proves(link)
    assert world.consent.look(link).step is ParentStep.PROOF
    assert world.consent.answer_proof(link, {}, return_url=BACK).step is ParentStep.DECISION


@pytest.mark.parametrize("key", ["email_plus", "fmvpi", "signed_form", "magic", ""])
def test_law_8_only_a_lawful_method_can_be_chosen(world: World, key: str) -> None:
    _, link = world.asks()
    world.consent.open(link, browser=PHONE)
    with pytest.raises(MethodNotLawfulError):
        world.consent.choose(link, key, return_url=BACK)
    assert world.cards.started == []


def test_a_method_is_chosen_only_after_the_notice(world: World) -> None:
    _, link = world.asks()
    view = world.consent.choose(link, "payment_transaction", return_url=BACK)
    assert view.step is ParentStep.NOTICE
    assert world.cards.started == []


def test_another_method_may_be_chosen_while_one_runs(world: World) -> None:
    world.cards.script = [OPEN]
    _, link = world.asks()
    world.proves(link)
    assert world.consent.another_method(link).step is ParentStep.METHOD
    assert world.all(ProofRun) == []


def test_law_38_proofs_are_limited_per_request(world: World) -> None:
    world.cards.script = [FAILED]
    _, link = world.asks()
    for _ in range(10):
        world.proves(link)
    with pytest.raises(TooManyRequestsError):
        world.consent.choose(link, "payment_transaction", return_url=BACK)
    assert len(world.cards.started) == 10


def test_a_proof_that_comes_after_the_end_is_of_no_use(world: World) -> None:
    world.cards.script = [OPEN, PAID]
    _, link = world.asks()
    world.proves(link)
    world.clock.pass_(days=14)
    with pytest.raises(LinkExpiredError):
        world.consent.answer_proof(link, {}, return_url=BACK)


# -- deciding --------------------------------------------------------------------------------------


def test_law_4_refusing_the_disclosure_still_grants_the_rest(world: World) -> None:
    _, link = world.asks()
    consent = world.decides(link, CORE_ONLY)
    assert consent.stage is Stage.GRANTED
    assert consent.granted == ("ai_chat",)
    assert consent.refused == ("disclose:researchlab",)


@pytest.mark.parametrize(
    "answers", [NEITHER, {"ai_chat": "refuse", "disclose:researchlab": "grant"}]
)
def test_refusing_a_core_purpose_is_a_refusal(world: World, answers: dict[str, str]) -> None:
    flow, link = world.asks()
    consent = world.decides(link, answers)
    assert (consent.stage, consent.granted) == (Stage.DENIED, ())
    assert world.all(Contact) == []
    assert world.all(Parent) == []
    standing = world.look(flow).standing
    assert standing is not None
    assert (standing.state, standing.purposes) == (ConsentState.DENIED, ())


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"ai_chat": "grant"},
        {"ai_chat": "grant", "disclose:researchlab": ""},
        {"ai_chat": "grant", "disclose:researchlab": "yes"},
        {"ai_chat": "GRANT", "disclose:researchlab": "refuse"},
    ],
)
def test_law_5_a_missing_answer_is_neither_yes_nor_no(
    world: World, answers: dict[str, str]
) -> None:
    _, link = world.asks()
    world.proves(link)
    with pytest.raises(FieldErrors):
        world.consent.decide(link, answers)
    assert world.consent.look(link).step is ParentStep.DECISION


def test_an_answer_nobody_asked_for_is_not_a_grant(world: World) -> None:
    _, link = world.asks(purposes=("ai_chat",))
    consent = world.decides(link, BOTH)
    assert consent.granted == ("ai_chat",)


def test_deciding_before_the_proof_is_refused(world: World) -> None:
    _, link = world.asks()
    with pytest.raises(NotAllowedNowError):
        world.consent.decide(link, BOTH)
    world.consent.open(link, browser=PHONE)
    with pytest.raises(NotAllowedNowError):
        world.consent.decide(link, BOTH)


def test_deciding_twice_is_a_conflict(world: World) -> None:
    _, link, consent = world.granted()
    with pytest.raises(ConflictError):
        world.consent.decide(link, NEITHER)
    assert world.consent_now(consent.id).granted == ("ai_chat", "disclose:researchlab")


def test_a_yes_moves_the_address_from_the_question_to_the_parent(world: World) -> None:
    world.granted()
    assert world.all(Contact) == []
    [parent] = world.all(Parent)
    assert parent.address == PAT


def test_a_yes_is_confirmed_by_a_receipt(world: World) -> None:
    world.granted()
    receipt = world.letter_to(PAT)
    assert world.kinds_to(PAT) == ["direct_notice", "receipt"]
    assert world.consent.look(receipt).step is ParentStep.OUTCOME
    world.clock.pass_(days=300)
    assert world.consent.look(receipt).step is ParentStep.OUTCOME


def test_a_consent_lasts_a_year(world: World) -> None:
    flow, _, consent = world.granted()
    assert consent.expires_at - world.clock.time == timedelta(days=365)
    subject = world.subject_of(flow)
    world.clock.pass_(days=365)
    later = world.look(world.begin(subject_id=subject.id))
    assert later.standing is not None
    assert (later.standing.state, later.standing.purposes) == (ConsentState.EXPIRED, ())
    assert later.step is NextStep.PARENT_CONTACT


def test_every_step_has_its_fact(world: World) -> None:
    _, _, consent = world.granted()
    assert world.facts(consent.id) == [
        "consent.requested",
        "consent.notified",
        "consent.opened",
        "consent.proved",
        "consent.granted",
    ]
    assert world.ledger_is_whole()


# -- taking back -----------------------------------------------------------------------------------


def test_law_10_a_withdrawal_counts_at_once(world: World) -> None:
    flow, link, consent = world.granted()
    token = world.token(flow)
    assert world.introspect(token)["consent"]["state"] == "granted"
    world.consent.withdraw(link)
    seen = world.introspect(token)
    assert seen["active"] is True
    assert (seen["consent"]["state"], seen["consent"]["purposes"]) == ("withdrawn", [])
    [issued] = world.all(IssuedToken, record=consent.id)
    assert issued.withdrawn


def test_law_10_a_withdrawal_is_told_to_app_and_parent(world: World) -> None:
    _, link, _ = world.granted()
    world.consent.withdraw(link)
    assert ("consent.withdrawn", "withdrawn") in world.events()
    world.outbox.deliver()
    assert world.kinds_to(PAT) == ["direct_notice", "receipt", "withdrawal"]


def test_withdrawing_twice_is_withdrawing_once(world: World) -> None:
    _, link, _ = world.granted()
    world.consent.withdraw(link)
    assert world.consent.withdraw(link).consent.stage is Stage.WITHDRAWN
    assert world.facts().count("consent.withdrawn") == 1


def test_there_is_nothing_to_withdraw_before_a_yes(world: World) -> None:
    _, link = world.asks()
    with pytest.raises(NotAllowedNowError):
        world.consent.withdraw(link)


def test_law_88_one_parent_s_link_says_nothing_of_another_family(world: World) -> None:
    _, mine = world.asks()
    _, theirs = world.asks(KIM, browser=PHONE)
    assert world.consent.look(mine).consent.id != world.consent.look(theirs).consent.id
    shown = repr(world.consent.look(mine))
    assert KIM.value not in shown
    assert PAT.value not in shown


def test_an_adult_has_no_links(world: World) -> None:
    world.screening.answer_age(world.begin(), ADULT, browser=TABLET)
    assert world.all(Link, purpose=LinkPurpose.REQUEST) == []
