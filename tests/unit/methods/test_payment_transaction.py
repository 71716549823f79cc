"""A payment shows an adult only when it went through, by a card no child holds, and was told."""

from __future__ import annotations

import hashlib

import pytest

from agegate.domain.errors import VendorError
from agegate.methods.base import Ask, ConsentCase, Done, Failed, Wait
from agegate.methods.consent.payment_transaction import (
    Funding,
    PaymentOutcome,
    PaymentSession,
    PaymentStatus,
    PaymentTransaction,
)
from tests.factories import NOON


class ScriptedGateway:
    """A processor that says what it is told to and remembers what it was asked."""

    def __init__(self, outcome: PaymentOutcome | None = None) -> None:
        self.says = outcome or PaymentOutcome(status=PaymentStatus.OPEN)
        self.started: list[tuple[str, str, str]] = []
        self.asked: list[str] = []
        self.refunded: list[str] = []
        self.away: set[str] = set()

    def start(self, *, reference: str, locale: str, return_url: str) -> PaymentSession:
        self._require_there("start")
        self.started.append((reference, locale, return_url))
        return PaymentSession(id="session-1", url="https://pay.example/session-1")

    def outcome(self, session_id: str) -> PaymentOutcome:
        self._require_there("outcome")
        self.asked.append(session_id)
        return self.says

    def refund(self, transaction: str) -> None:
        self._require_there("refund")
        self.refunded.append(transaction)

    def _require_there(self, call: str) -> None:
        if call in self.away:
            raise VendorError("away", retryable=True)


def a_case(memo: str = "session-1") -> ConsentCase:
    return ConsentCase(
        reference="pr_1",
        locale="es",
        return_url="https://age.example/parent/back",
        memo=memo,
        now=NOON,
    )


def paid(funding: Funding = Funding.CREDIT, *, notifies_holder: bool = True) -> PaymentOutcome:
    return PaymentOutcome(
        status=PaymentStatus.PAID,
        funding=funding,
        notifies_holder=notifies_holder,
        transaction="pi_1",
    )


class TestBeginning:
    def test_the_parent_is_sent_to_the_processors_own_page(self) -> None:
        step = PaymentTransaction(ScriptedGateway()).begin(a_case(memo=""))
        assert step == Ask(url="https://pay.example/session-1", memo="session-1")

    def test_law_30_no_card_number_is_ever_asked_here(self) -> None:
        assert PaymentTransaction(ScriptedGateway()).begin(a_case()).fields == ()

    def test_the_processor_learns_a_reference_a_language_and_the_way_back(self) -> None:
        gateway = ScriptedGateway()
        PaymentTransaction(gateway).begin(a_case())
        assert gateway.started == [("pr_1", "es", "https://age.example/parent/back")]

    def test_a_processor_that_is_away_is_said(self) -> None:
        gateway = ScriptedGateway()
        gateway.away = {"start"}
        with pytest.raises(VendorError):
            PaymentTransaction(gateway).begin(a_case())


class TestAnswer:
    @pytest.mark.parametrize("funding", [Funding.CREDIT, Funding.DEBIT])
    def test_a_notified_payment_by_credit_or_debit_card_shows_an_adult(
        self, funding: Funding
    ) -> None:
        step = PaymentTransaction(ScriptedGateway(paid(funding))).answer(a_case(), {})
        assert isinstance(step, Done)
        evidence = step.found
        assert (evidence.method, evidence.at) == ("payment_transaction", NOON)
        assert not evidence.confirmation_needed

    def test_law_36_identity_adulthood_and_relationship_are_three_facts(self) -> None:
        step = PaymentTransaction(ScriptedGateway(paid())).answer(a_case(), {})
        assert isinstance(step, Done)
        assert step.found.identity == "account_holder"
        assert step.found.adulthood == "account_holder"
        assert step.found.relationship == "declared"

    def test_law_84_of_the_transaction_a_hash_is_kept(self) -> None:
        step = PaymentTransaction(ScriptedGateway(paid())).answer(a_case(), {})
        assert isinstance(step, Done)
        assert step.found.reference == hashlib.sha256(b"pi_1").hexdigest()
        assert "pi_1" not in repr(step)

    @pytest.mark.parametrize("funding", [Funding.PREPAID, Funding.UNKNOWN])
    def test_law_30_prepaid_gift_and_unknown_cards_are_refused(self, funding: Funding) -> None:
        step = PaymentTransaction(ScriptedGateway(paid(funding))).answer(a_case(), {})
        assert step == Failed("prepaid_not_accepted")

    @pytest.mark.parametrize("funding", [Funding.CREDIT, Funding.DEBIT])
    def test_law_30_without_a_notice_to_the_account_holder_nothing_is_shown(
        self, funding: Funding
    ) -> None:
        outcome = paid(funding, notifies_holder=False)
        step = PaymentTransaction(ScriptedGateway(outcome)).answer(a_case(), {})
        assert step == Failed("holder_not_notified")

    @pytest.mark.parametrize("funding", list(Funding))
    @pytest.mark.parametrize("notifies", [True, False])
    def test_every_payment_is_given_back_once_whatever_it_shows(
        self, funding: Funding, notifies: bool
    ) -> None:
        gateway = ScriptedGateway(paid(funding, notifies_holder=notifies))
        PaymentTransaction(gateway).answer(a_case(), {})
        assert gateway.refunded == ["pi_1"]

    @pytest.mark.parametrize(
        ("status", "step"),
        [
            (PaymentStatus.OPEN, Ask(memo="session-1")),
            (PaymentStatus.PROCESSING, Wait(memo="session-1")),
        ],
    )
    @pytest.mark.parametrize("funding", list(Funding))
    def test_an_unfinished_payment_shows_nothing_and_keeps_its_session(
        self, status: PaymentStatus, step: Ask | Wait, funding: Funding
    ) -> None:
        gateway = ScriptedGateway(
            PaymentOutcome(status=status, funding=funding, notifies_holder=True, transaction="pi_1")
        )
        assert PaymentTransaction(gateway).answer(a_case(), {}) == step
        assert gateway.refunded == []

    def test_a_failed_payment_shows_nothing_and_gives_nothing_back(self) -> None:
        gateway = ScriptedGateway(
            PaymentOutcome(
                status=PaymentStatus.FAILED,
                funding=Funding.CREDIT,
                notifies_holder=True,
                transaction="pi_1",
            )
        )
        assert PaymentTransaction(gateway).answer(a_case(), {}) == Failed("payment_failed")
        assert gateway.refunded == []

    def test_law_30_nothing_the_browser_sends_counts(self) -> None:
        gateway = ScriptedGateway()
        claims = {"status": "paid", "funding": "credit", "card": "4242 4242 4242 4242"}
        assert PaymentTransaction(gateway).answer(a_case(), claims) == Ask(memo="session-1")

    def test_the_session_asked_about_is_that_of_the_memo(self) -> None:
        gateway = ScriptedGateway()
        PaymentTransaction(gateway).answer(a_case(memo="session-9"), {"memo": "session-1"})
        assert gateway.asked == ["session-9"]

    @pytest.mark.parametrize("call", ["outcome", "refund"])
    def test_while_the_processor_is_away_nothing_is_decided(self, call: str) -> None:
        gateway = ScriptedGateway(paid())
        gateway.away = {call}
        with pytest.raises(VendorError) as refusal:
            PaymentTransaction(gateway).answer(a_case(), {})
        assert refusal.value.retryable
        gateway.away = set()
        assert isinstance(PaymentTransaction(gateway).answer(a_case(), {}), Done)
