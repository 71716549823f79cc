"""Payments by Stripe Checkout: the parent pays fifty cents on Stripe's own page and gets them back.

What Stripe is told: a random reference, a language, where to send the browser afterwards. Never an
address of the parent, never anything about a child. What the parent types on Stripe's page (an
e-mail address, a card) stays there; of the answer only the fields read below are looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import stripe
from stripe import HTTPClient, RequestsClient, StripeClient, StripeError, StripeObject
from stripe.params.checkout import SessionCreateParams

from agegate.domain.errors import ConfigurationError, VendorError
from agegate.methods.consent.payment_transaction import (
    Funding,
    PaymentOutcome,
    PaymentSession,
    PaymentStatus,
)

T = TypeVar("T")

AMOUNT: Final = 50
"""Cents: the smallest sum Stripe takes in US dollars."""
CURRENCY: Final = "usd"
TIMEOUT_S: Final = 10
RETRIES: Final = 1
RECEIPT_WITHIN_S: Final = 120
"""How long after a charge its receipt may be on its way before it counts as never sent."""

_PRODUCT: Final = {
    "en": "Showing that you are an adult (you get this back)",
    "es": "Comprobar que es una persona adulta (se le devuelve)",
}
_DESCRIPTION: Final = "A parent showing to be an adult for a consent; refunded"
# The languages of Stripe's page; any other is left to the browser.
# fmt: off
_LOCALES: Final = frozenset({
    "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA",
    "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR",
    "ro", "ru", "sk", "sl", "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
})
# fmt: on
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_FUNDINGS: Final[Mapping[Any, Funding]] = {
    "credit": Funding.CREDIT,
    "debit": Funding.DEBIT,
    "prepaid": Funding.PREPAID,
}


class StripeGateway:
    """Implements `CardGateway`. Safe to share between threads.

    When does the processor confirm that the account holder is notified (16 CFR
    312.5(b)(2)(ii))? No field of Stripe's API says that a bank told its customer. Two things can be
    read, and both must be there:

    - the charge went through on a credit or debit card (`succeeded`, `paid`, `captured`), so that
      the card network carries it to the account, where it is listed as a transaction of its own;
    - Stripe sent a receipt for this one charge: `receipt_number`, which Stripe leaves empty until
      a receipt has been sent. A `receipt_url` is not enough: every charge has one, sent or not.

    The receipt matters because a refund soon after a charge may be carried out as a reversal, which
    takes the line off the statement again. Receipts go to the address that the payer typed on
    Stripe's page; they need "Successful payments" under the account's customer e-mails switched on.
    A receipt that has not left after two minutes, by Stripe's own clock, counts as never sent.

    A charge in Stripe's test mode moves no money and sends no letter. It is refused unless
    `accept_test_payments`, which production must never set; then its receipt is taken as sent.
    """

    def __init__(
        self, api_key: str, *, api_base: str | None = None, accept_test_payments: bool = False
    ) -> None:
        """Raises `ConfigurationError` for a test key where test payments are not accepted."""
        if "_test_" in api_key and not accept_test_payments:
            raise ConfigurationError("the Stripe key is one of the test mode, which proves nothing")
        # Telemetry would tell Stripe an id of this machine; bodies hold what a payer typed.
        stripe.enable_telemetry = False
        logging.getLogger("stripe").setLevel(logging.WARNING)
        client: HTTPClient = RequestsClient(timeout=TIMEOUT_S)
        self._accept_test_payments = accept_test_payments
        self._stripe = StripeClient(
            api_key,
            base_addresses={"api": api_base} if api_base is not None else {},
            max_network_retries=RETRIES,
            http_client=client,
        )

    def start(self, *, reference: str, locale: str, return_url: str) -> PaymentSession:
        """Open a session; the same `reference` gives the same one (for Stripe's 24 hours)."""
        params: SessionCreateParams = {
            "mode": "payment",
            "allowed_payment_method_types": ["card"],
            # Link would hide which kind of card is behind it.
            "wallet_options": {"link": {"display": "never"}},
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": CURRENCY,
                        "unit_amount": AMOUNT,
                        "product_data": {"name": _product_name(locale)},
                    },
                }
            ],
            "payment_intent_data": {
                "description": _DESCRIPTION,
                "metadata": {"reference": reference},
            },
            "metadata": {"reference": reference},
            "locale": _stripe_locale(locale),
            "success_url": return_url,
            "cancel_url": return_url,
        }
        created = _asked(
            lambda: self._stripe.v1.checkout.sessions.create(params, {"idempotency_key": reference})
        )
        with _Reading():
            session = _data(created)
            return PaymentSession(id=_text(session["id"]), url=_text(session["url"]))

    def outcome(self, session_id: str) -> PaymentOutcome:
        found = _asked(
            lambda: self._stripe.v1.checkout.sessions.retrieve(
                session_id, {"expand": ["payment_intent.latest_charge"]}
            )
        )
        with _Reading():
            session = _data(found)
            is_test = session["livemode"] is not True
            if is_test and not self._accept_test_payments:
                raise VendorError("the payment was made in test mode", retryable=False)
            if session["status"] == "open":
                return PaymentOutcome(status=PaymentStatus.OPEN)
            if session["status"] != "complete":
                return PaymentOutcome(status=PaymentStatus.FAILED)
            return _of_intent(session["payment_intent"], is_test=is_test, asked_at=_asked_at(found))

    def refund(self, transaction: str) -> None:
        def give_back() -> object:
            try:
                refund = self._stripe.v1.refunds.create(
                    {"payment_intent": transaction},
                    {"idempotency_key": f"refund-{transaction}"},
                )
            except stripe.InvalidRequestError as error:
                # Stripe forgets idempotency keys after a while; the refund itself it remembers.
                if error.code == "charge_already_refunded":
                    return "succeeded"
                raise
            return _data(refund)["status"]

        if _asked(give_back) not in ("succeeded", "pending"):
            raise VendorError("the refund did not go through", retryable=False)


def _of_intent(
    intent: Mapping[str, Any], *, is_test: bool, asked_at: float | None
) -> PaymentOutcome:
    if intent["status"] == "processing":
        return PaymentOutcome(status=PaymentStatus.PROCESSING)
    if intent["status"] != "succeeded":
        return PaymentOutcome(status=PaymentStatus.FAILED)
    charge = intent["latest_charge"]
    if charge["disputed"]:  # The account holder says that this was not theirs.
        return PaymentOutcome(status=PaymentStatus.FAILED)
    went_through = charge["status"] == "succeeded" and charge["paid"] and charge["captured"]
    receipt = is_test or bool(charge["receipt_number"])
    if not receipt and asked_at is not None and asked_at < charge["created"] + RECEIPT_WITHIN_S:
        return PaymentOutcome(status=PaymentStatus.PROCESSING)
    card = charge["payment_method_details"].get("card") or {}
    return PaymentOutcome(
        status=PaymentStatus.PAID,
        # A wallet shows the funding of the card inside; what it hides is unknown, so refused.
        funding=_FUNDINGS.get(card.get("funding"), Funding.UNKNOWN),
        notifies_holder=bool(went_through and receipt),
        transaction=_text(intent["id"]),
    )


class _Reading:
    """Turns an answer of another shape than promised into a `VendorError` that quotes nothing."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, (LookupError, TypeError, AttributeError)):
            raise VendorError("the payment processor answered nonsense", retryable=True) from None


def _asked(call: Callable[[], T]) -> T:
    """Ask Stripe. Raises `VendorError` without a word of Stripe's."""
    try:
        return call()
    except StripeError as error:
        status = error.http_status
        retryable = (
            isinstance(error, (stripe.APIConnectionError, stripe.RateLimitError))
            or status in {_CONFLICT, _TOO_MANY}
            # Something unreadable under a good status comes as a bare `APIError`.
            or (isinstance(error, stripe.APIError) and (status is None or status < 400))  # noqa: PLR2004 - HTTP
            or (status is not None and status >= _SERVER_ERRORS)
        )
        raise VendorError("the payment processor did not do this", retryable=retryable) from None
    except (LookupError, TypeError, ValueError, AttributeError):  # a body the library can't hold
        raise VendorError("the payment processor answered nonsense", retryable=True) from None


def _data(answer: StripeObject) -> dict[str, Any]:
    """The JSON object as it came, without the library's classes around it."""
    response: Any = answer.last_response
    data: dict[str, Any] = response.data
    return data


def _asked_at(answer: StripeObject) -> float | None:
    """When Stripe answered, by its own clock (Unix time), as `created` of a charge is."""
    response: Any = answer.last_response
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _stripe_locale(locale: str) -> str:
    language = locale.partition("-")[0]
    return next((tag for tag in (locale, language) if tag in _LOCALES), "auto")


def _product_name(locale: str) -> str:
    return _PRODUCT.get(locale.partition("-")[0], _PRODUCT["en"])
