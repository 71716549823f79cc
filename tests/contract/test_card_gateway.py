"""Every `CardGateway` keeps the same promises; after them, what only Stripe's has to keep."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

import pytest

from agegate.adapters import stripe_gateway
from agegate.adapters.ids import new_id
from agegate.adapters.memory import MemoryStore
from agegate.adapters.sandbox import SandboxGateway, SandboxOutcome
from agegate.adapters.stripe_gateway import StripeGateway
from agegate.domain.errors import ConfigurationError, VendorError
from agegate.methods.consent.payment_transaction import (
    CardGateway,
    Funding,
    PaymentSession,
    PaymentStatus,
)
from tests.support.fake_stripe import KEY, FakeStripe

RETURN_URL = "https://age.example/parent/back"


class World(Protocol):
    """A gateway, and the payer at the other end of it."""

    @property
    def gateway(self) -> CardGateway: ...

    def settle(self, session_id: str, outcome: SandboxOutcome) -> None: ...

    def times_refunded(self, transaction: str) -> int: ...


class SandboxWorld:
    def __init__(self) -> None:
        store = MemoryStore(clock=lambda: datetime(2026, 11, 22, tzinfo=UTC), new_id=new_id)
        self.gateway = SandboxGateway(store, "http://127.0.0.1:8000/")

    def settle(self, session_id: str, outcome: SandboxOutcome) -> None:
        self.gateway.choose(session_id, outcome)

    def times_refunded(self, transaction: str) -> int:
        return int(self.gateway.session(transaction).refunded)


class StripeWorld:
    def __init__(self, stripe: FakeStripe) -> None:
        self.stripe = stripe
        self.gateway = StripeGateway(KEY, api_base=stripe.url)

    def settle(self, session_id: str, outcome: SandboxOutcome) -> None:
        match outcome:
            case SandboxOutcome.PASS:
                self.stripe.pay(session_id)
            case SandboxOutcome.FAIL:
                self.stripe.expire(session_id)
            case SandboxOutcome.INCONCLUSIVE:
                self.stripe.pay(session_id, funding="prepaid")
            case SandboxOutcome.ERROR:  # Twice: the library asks once more by itself.
                self.stripe.misbehave(503, times=2)
            case SandboxOutcome.WAIT:
                self.stripe.submit(session_id, intent="processing")

    def times_refunded(self, transaction: str) -> int:
        return int(transaction in self.stripe.refunds)


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(params=["sandbox", "stripe"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "sandbox":
        return SandboxWorld()
    return StripeWorld(request.getfixturevalue("stripe"))


def start(gateway: CardGateway, reference: str = "pr_1", locale: str = "en") -> PaymentSession:
    return gateway.start(reference=reference, locale=locale, return_url=RETURN_URL)


class TestEveryGateway:
    def test_the_same_reference_gives_the_same_session(self, world: World) -> None:
        assert start(world.gateway) == start(world.gateway)

    def test_two_references_give_two_sessions(self, world: World) -> None:
        first, second = start(world.gateway, "pr_1"), start(world.gateway, "pr_2")
        assert first.id != second.id
        assert first.url != second.url

    def test_neither_id_nor_address_shows_the_reference(self, world: World) -> None:
        session = start(world.gateway, "pr_0123456789")
        assert "0123456789" not in session.id + session.url

    def test_a_new_session_is_open(self, world: World) -> None:
        found = world.gateway.outcome(start(world.gateway).id)
        assert found.status is PaymentStatus.OPEN
        assert not found.transaction

    def test_a_credit_card_pays_and_its_holder_is_notified(self, world: World) -> None:
        session = start(world.gateway)
        world.settle(session.id, SandboxOutcome.PASS)
        found = world.gateway.outcome(session.id)
        assert (found.status, found.funding) == (PaymentStatus.PAID, Funding.CREDIT)
        assert found.notifies_holder
        assert found.transaction

    def test_law_30_a_prepaid_card_is_told_from_a_credit_card(self, world: World) -> None:
        session = start(world.gateway)
        world.settle(session.id, SandboxOutcome.INCONCLUSIVE)
        found = world.gateway.outcome(session.id)
        assert (found.status, found.funding) == (PaymentStatus.PAID, Funding.PREPAID)

    def test_a_payment_that_fails_is_no_transaction(self, world: World) -> None:
        session = start(world.gateway)
        world.settle(session.id, SandboxOutcome.FAIL)
        found = world.gateway.outcome(session.id)
        assert found.status is PaymentStatus.FAILED
        assert not found.transaction

    def test_a_payment_may_take_its_time_and_still_end_well(self, world: World) -> None:
        session = start(world.gateway)
        world.settle(session.id, SandboxOutcome.WAIT)
        assert world.gateway.outcome(session.id).status is PaymentStatus.PROCESSING
        world.settle(session.id, SandboxOutcome.PASS)
        assert world.gateway.outcome(session.id).status is PaymentStatus.PAID

    def test_a_processor_that_is_away_can_be_asked_again(self, world: World) -> None:
        session = start(world.gateway)
        world.settle(session.id, SandboxOutcome.ERROR)
        with pytest.raises(VendorError) as refusal:
            world.gateway.outcome(session.id)
        assert refusal.value.retryable
        assert world.gateway.outcome(session.id).status is PaymentStatus.OPEN

    def test_refunding_twice_is_refunding_once(self, world: World) -> None:
        session = start(world.gateway)
        world.settle(session.id, SandboxOutcome.PASS)
        transaction = world.gateway.outcome(session.id).transaction
        assert world.times_refunded(transaction) == 0
        world.gateway.refund(transaction)
        world.gateway.refund(transaction)
        assert world.times_refunded(transaction) == 1

    def test_a_refunded_payment_stays_paid(self, world: World) -> None:
        session = start(world.gateway)
        world.settle(session.id, SandboxOutcome.PASS)
        before = world.gateway.outcome(session.id)
        world.gateway.refund(before.transaction)
        assert world.gateway.outcome(session.id) == before

    @pytest.mark.parametrize("stranger", ["", "cs_nobody", "../../v1/customers", "sp_ü\x00"])
    def test_a_session_nobody_started_is_refused_for_good(
        self, world: World, stranger: str
    ) -> None:
        with pytest.raises(VendorError) as refusal:
            world.gateway.outcome(stranger)
        assert not refusal.value.retryable

    def test_a_transaction_nobody_made_can_not_be_refunded(self, world: World) -> None:
        with pytest.raises(VendorError) as refusal:
            world.gateway.refund("pi_nobody")
        assert not refusal.value.retryable


@pytest.fixture
def gateway(stripe: FakeStripe) -> StripeGateway:
    return StripeGateway(KEY, api_base=stripe.url)


class TestWhatStripeIsTold:
    def test_no_person_is_named_and_the_only_metadata_is_the_reference(
        self, stripe: FakeStripe, gateway: StripeGateway
    ) -> None:
        start(gateway, "pr_1", "es")
        fields = stripe.requests[0].fields
        assert {v for k, v in fields.items() if "metadata" in k} == {"pr_1"}
        assert not [name for name in fields if "customer" in name or "email" in name]
        assert fields["success_url"] == fields["cancel_url"] == RETURN_URL

    def test_the_sum_is_fifty_cents(self, stripe: FakeStripe, gateway: StripeGateway) -> None:
        start(gateway)
        item = "line_items[0][price_data]"
        fields = stripe.requests[0].fields
        assert fields[f"{item}[unit_amount]"] == "50"
        assert fields[f"{item}[currency]"] == "usd"
        assert fields["payment_intent_data[description]"]

    def test_the_reference_is_the_idempotency_key(
        self, stripe: FakeStripe, gateway: StripeGateway
    ) -> None:
        start(gateway, "pr_77")
        assert stripe.requests[0].headers["idempotency-key"] == "pr_77"

    def test_no_telemetry_is_sent(self, stripe: FakeStripe, gateway: StripeGateway) -> None:
        start(gateway)
        gateway.outcome("cs_live_1")
        for request in stripe.requests:
            assert "x-stripe-client-telemetry" not in request.headers
            assert "telemetry_id" not in request.headers["x-stripe-client-user-agent"]

    @pytest.mark.parametrize(
        ("locale", "sent", "word"),
        [
            ("en", "en", "adult"),
            ("es", "es", "adulta"),
            ("es-419", "es-419", "adulta"),
            ("es-AR", "es", "adulta"),
            ("pt-BR", "pt-BR", "adult"),
            ("de-AT", "de", "adult"),
            ("tlh", "auto", "adult"),
            ("", "auto", "adult"),
        ],
    )
    def test_the_page_speaks_the_parents_language_where_stripe_does(
        self, stripe: FakeStripe, gateway: StripeGateway, locale: str, sent: str, word: str
    ) -> None:
        start(gateway, locale=locale)
        fields = stripe.requests[0].fields
        assert fields["locale"] == sent
        assert f" {word} " in fields["line_items[0][price_data][product_data][name]"]

    def test_nothing_a_payer_typed_reaches_the_log(
        self, stripe: FakeStripe, gateway: StripeGateway, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        session = start(gateway)
        stripe.pay(session.id)
        gateway.outcome(session.id)
        assert "jo@home.example" not in caplog.text
        assert "pr_1" not in caplog.text


class TestWhatStripeSays:
    @pytest.mark.parametrize(
        ("funding", "wallet", "expected"),
        [
            ("credit", None, Funding.CREDIT),
            ("debit", None, Funding.DEBIT),
            ("prepaid", None, Funding.PREPAID),
            ("unknown", None, Funding.UNKNOWN),
            ("a kind of next year", None, Funding.UNKNOWN),
            ("credit", "apple_pay", Funding.CREDIT),
            ("prepaid", "apple_pay", Funding.PREPAID),
            ("debit", "google_pay", Funding.DEBIT),
            (None, None, Funding.UNKNOWN),
        ],
    )
    def test_law_30_the_card_inside_decides_whatever_is_around_it(
        self,
        stripe: FakeStripe,
        gateway: StripeGateway,
        funding: str | None,
        wallet: str | None,
        expected: Funding,
    ) -> None:
        session = start(gateway)
        stripe.pay(session.id, funding=funding, wallet=wallet)
        found = gateway.outcome(session.id)
        assert (found.status, found.funding) == (PaymentStatus.PAID, expected)

    def test_law_30_without_a_receipt_sent_the_holder_is_not_notified(
        self, stripe: FakeStripe, gateway: StripeGateway
    ) -> None:
        session = start(gateway)
        stripe.pay(session.id, receipt=False, ago_s=600)
        found = gateway.outcome(session.id)
        assert found.status is PaymentStatus.PAID
        assert not found.notifies_holder

    def test_a_receipt_may_take_two_minutes_to_leave(
        self, stripe: FakeStripe, gateway: StripeGateway
    ) -> None:
        session = start(gateway)
        stripe.pay(session.id, receipt=False, ago_s=5)
        assert gateway.outcome(session.id).status is PaymentStatus.PROCESSING
        stripe.charge(session.id)["receipt_number"] = "1"
        assert gateway.outcome(session.id).notifies_holder

    def test_law_30_where_nobody_tells_the_time_no_receipt_is_waited_for(
        self, stripe: FakeStripe, gateway: StripeGateway
    ) -> None:
        session = start(gateway)
        stripe.pay(session.id, receipt=False, ago_s=0)
        stripe.tells_time = False
        found = gateway.outcome(session.id)
        assert found.status is PaymentStatus.PAID
        assert not found.notifies_holder

    @pytest.mark.parametrize(
        ("name", "value"), [("captured", False), ("paid", False), ("status", "pending")]
    )
    def test_law_30_a_charge_that_did_not_go_through_notifies_nobody(
        self, stripe: FakeStripe, gateway: StripeGateway, name: str, value: object
    ) -> None:
        session = start(gateway)
        stripe.pay(session.id)
        stripe.charge(session.id)[name] = value
        assert not gateway.outcome(session.id).notifies_holder

    def test_a_charge_the_holder_disputes_proves_nothing(
        self, stripe: FakeStripe, gateway: StripeGateway
    ) -> None:
        session = start(gateway)
        stripe.pay(session.id)
        stripe.charge(session.id)["disputed"] = True
        assert gateway.outcome(session.id).status is PaymentStatus.FAILED

    @pytest.mark.parametrize("intent", ["canceled", "requires_payment_method", "requires_capture"])
    def test_an_intent_without_money_is_a_failure(
        self, stripe: FakeStripe, gateway: StripeGateway, intent: str
    ) -> None:
        session = start(gateway)
        stripe.submit(session.id, intent=intent)
        assert gateway.outcome(session.id).status is PaymentStatus.FAILED

    def test_a_refund_that_stripe_remembers_better_than_its_keys_is_done(
        self, stripe: FakeStripe, gateway: StripeGateway
    ) -> None:
        session = start(gateway)
        stripe.pay(session.id)
        transaction = gateway.outcome(session.id).transaction
        gateway.refund(transaction)
        stripe.forgets_keys = True
        gateway.refund(transaction)
        assert list(stripe.refunds) == [transaction]

    @pytest.mark.parametrize("status", ["failed", "canceled", "requires_action"])
    def test_a_refund_that_does_not_go_through_is_said(
        self, stripe: FakeStripe, gateway: StripeGateway, status: str
    ) -> None:
        stripe.misbehave(
            200, b'{"object": "refund", "id": "re_1", "status": "%b"}' % status.encode()
        )
        with pytest.raises(VendorError) as refusal:
            gateway.refund("pi_1")
        assert not refusal.value.retryable


class TestTestMode:
    def test_a_test_key_is_refused_where_payments_must_be_real(self) -> None:
        with pytest.raises(ConfigurationError):
            StripeGateway("sk_test_fake")

    def test_a_test_payment_is_refused_where_payments_must_be_real(self) -> None:
        with FakeStripe(live=False) as stripe:
            gateway = StripeGateway(KEY, api_base=stripe.url)
            session = start(gateway)
            stripe.pay(session.id)
            with pytest.raises(VendorError) as refusal:
                gateway.outcome(session.id)
            assert not refusal.value.retryable

    def test_a_test_payment_counts_as_told_where_it_is_accepted(self) -> None:
        with FakeStripe(live=False) as stripe:
            gateway = StripeGateway(KEY, api_base=stripe.url, accept_test_payments=True)
            session = start(gateway)
            stripe.pay(session.id, receipt=False)
            assert gateway.outcome(session.id).notifies_holder

    def test_accepting_test_payments_does_not_loosen_a_real_one(self, stripe: FakeStripe) -> None:
        gateway = StripeGateway(KEY, api_base=stripe.url, accept_test_payments=True)
        session = start(gateway)
        stripe.pay(session.id, receipt=False, ago_s=600)
        assert not gateway.outcome(session.id).notifies_holder


class TestStripeInTrouble:
    @pytest.mark.parametrize(
        ("status", "retryable"),
        [
            *[(400, False), (401, False), (402, False), (403, False), (404, False)],
            *[(409, True), (429, True), (500, True), (503, True)],
        ],
    )
    def test_every_refusal_says_whether_to_try_again_and_nothing_of_stripes(
        self, stripe: FakeStripe, gateway: StripeGateway, status: int, retryable: bool
    ) -> None:
        stripe.misbehave(status)
        for ask in (
            lambda: start(gateway),
            lambda: gateway.outcome("cs_live_1"),
            lambda: gateway.refund("pi_1"),
        ):
            with pytest.raises(VendorError) as refusal:
                ask()
            assert refusal.value.retryable is retryable
            assert "example" not in str(refusal.value)
            assert refusal.value.__cause__ is None
            assert refusal.value.__suppress_context__

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>jo@home.example</html>",
            b"\xff\xfe",
            b"null",
            b"[]",
            b'"jo@home.example"',
            b"17",
            b"{}",
            b'{"id": 7, "livemode": true}',
            b'{"livemode": true, "status": "complete"}',
            b'{"livemode": true, "status": "complete", "payment_intent": "pi_unexpanded"}',
            b'{"livemode": true, "status": "complete", "payment_intent": null}',
            b'{"livemode": true, "status": "complete", "payment_intent": {"status": "succeeded"}}',
            b'{"livemode": true, "status": "complete", "payment_intent": %b}'
            % b'{"status": "succeeded", "latest_charge": null}',
            b'{"livemode": true, "status": "complete", "payment_intent": %b}'
            % b'{"status": "succeeded", "latest_charge": "ch_unexpanded"}',
        ],
    )
    def test_garbage_is_no_payment_and_quoted_nowhere(
        self, stripe: FakeStripe, gateway: StripeGateway, body: bytes
    ) -> None:
        stripe.misbehave(200, body)
        with pytest.raises(VendorError) as refusal:
            gateway.outcome("cs_live_1")
        assert "example" not in str(refusal.value)

    @pytest.mark.parametrize(
        "body", [b"", b"null", b"[]", b"17", b"{}", b'{"status": []}', b'{"status": null}']
    )
    def test_garbage_is_no_refund(
        self, stripe: FakeStripe, gateway: StripeGateway, body: bytes
    ) -> None:
        stripe.misbehave(200, body)
        with pytest.raises(VendorError):
            gateway.refund("pi_1")

    def test_garbage_is_never_a_session(self, stripe: FakeStripe, gateway: StripeGateway) -> None:
        for body in (b"", b"[]", b"{}", b'{"id": "cs_1"}', b'{"id": "", "url": ""}'):
            stripe.misbehave(200, body)
            with pytest.raises(VendorError) as refusal:
                start(gateway)
            assert refusal.value.retryable

    def test_it_is_asked_once_more_and_no_oftener(
        self, stripe: FakeStripe, gateway: StripeGateway
    ) -> None:
        stripe.misbehave(500)
        with pytest.raises(VendorError):
            start(gateway)
        assert len(stripe.requests) == 2
        keys = {request.headers["idempotency-key"] for request in stripe.requests}
        assert keys == {"pr_1"}

    def test_a_hiccup_is_not_noticed(self, stripe: FakeStripe, gateway: StripeGateway) -> None:
        stripe.misbehave(500, times=1)
        assert start(gateway).id == "cs_live_1"

    def test_a_stripe_that_hangs_is_given_up(
        self, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stripe_gateway, "TIMEOUT_S", 0.1)
        gateway = StripeGateway(KEY, api_base=stripe.url)
        stripe.misbehave(200, delay_s=1)
        with pytest.raises(VendorError) as refusal:
            gateway.outcome("cs_live_1")
        assert refusal.value.retryable

    def test_a_stripe_that_can_not_be_reached_can_be_tried_again(self) -> None:
        with FakeStripe() as stripe:
            url = stripe.url
        with pytest.raises(VendorError) as refusal:
            start(StripeGateway(KEY, api_base=url))
        assert refusal.value.retryable

    def test_a_wrong_key_is_not_tried_again(self, stripe: FakeStripe) -> None:
        with pytest.raises(VendorError) as refusal:
            start(StripeGateway("sk_live_other", api_base=stripe.url))
        assert not refusal.value.retryable
        assert len(stripe.requests) == 1
