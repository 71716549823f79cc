"""A payment (16 CFR 312.5(b)(2)(ii)).

A transaction by card or other online payment system that notifies
the primary account holder of each transaction. A card number alone proves nothing; prepaid and gift
cards are refused, since a child may hold one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from agegate.domain.consent import ConsentEvidence
from agegate.domain.ids import Digest
from agegate.methods.base import Ask, ConsentCase, ConsentStep, Done, Failed, Wait


class PaymentStatus(StrEnum):
    OPEN = "open"
    """The parent has not finished."""
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"


class Funding(StrEnum):
    CREDIT = "credit"
    DEBIT = "debit"
    PREPAID = "prepaid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSession:
    id: str
    url: str
    """The processor's own page; card numbers never reach us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOutcome:
    status: PaymentStatus
    funding: Funding = Funding.UNKNOWN
    notifies_holder: bool = False
    """The processor confirms that the account holder is told of this transaction."""
    transaction: str = ""


class CardGateway(Protocol):
    """A payment processor with a hosted page."""

    def start(self, *, reference: str, locale: str, return_url: str) -> PaymentSession:
        """Open a session; the same `reference` gives the same session. Raises `VendorError`."""
        ...

    def outcome(self, session_id: str) -> PaymentOutcome:
        """Where the session stands. Raises `VendorError`."""
        ...

    def refund(self, transaction: str) -> None:
        """Give the small amount back; doing it twice is doing it once. Raises `VendorError`."""
        ...


class PaymentTransaction:
    key: ClassVar[str] = "payment_transaction"

    def __init__(self, gateway: CardGateway) -> None:
        self._gateway = gateway

    def begin(self, case: ConsentCase) -> Ask:
        session = self._gateway.start(
            reference=case.reference, locale=case.locale, return_url=case.return_url
        )
        return Ask(url=session.url, memo=session.id)

    def answer(self, case: ConsentCase, submitted: Mapping[str, str]) -> ConsentStep:  # noqa: ARG002 - the processor answers
        outcome = self._gateway.outcome(case.memo)
        match outcome.status:
            case PaymentStatus.OPEN:
                return Ask(memo=case.memo)
            case PaymentStatus.PROCESSING:
                return Wait(memo=case.memo)
            case PaymentStatus.FAILED:
                return Failed("payment_failed")
            case PaymentStatus.PAID:
                self._gateway.refund(outcome.transaction)
        if outcome.funding not in {Funding.CREDIT, Funding.DEBIT}:
            return Failed("prepaid_not_accepted")
        if not outcome.notifies_holder:
            return Failed("holder_not_notified")
        return Done(
            ConsentEvidence(
                method=self.key,
                at=case.now,
                identity="account_holder",
                adulthood="account_holder",
                relationship="declared",
                reference=Digest(hashlib.sha256(outcome.transaction.encode()).hexdigest()),
            )
        )
