"""Stand-ins that tell the truth: a clock that waits, ids that count, a card company."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from agegate.domain.errors import VendorError
from agegate.methods.consent.payment_transaction import (
    Funding,
    PaymentOutcome,
    PaymentSession,
    PaymentStatus,
)
from tests.factories import NOON


@dataclass
class FixedClock:
    """Stands still until it is told to go on."""

    time: datetime = NOON

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, **by: float) -> None:
        self.time += timedelta(**by)


class Ids:
    """`cr_0001`, `cr_0002`, …: every id is new, and a failure names the one it is about."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):04}"


PAID = PaymentOutcome(
    status=PaymentStatus.PAID,
    funding=Funding.CREDIT,
    notifies_holder=True,
    transaction="tx_1",
)


@dataclass
class ScriptedCards:
    """Implements `CardGateway`: answers by the script, one line for each question.

    The last line is said again and again. `None` is a company that does not answer.
    """

    script: list[PaymentOutcome | None] = field(default_factory=lambda: [PAID])
    started: list[str] = field(default_factory=list)
    return_urls: list[str] = field(default_factory=list)
    refunded: list[str] = field(default_factory=list)
    is_away: bool = False

    def start(self, *, reference: str, locale: str, return_url: str) -> PaymentSession:
        if self.is_away:
            raise VendorError("the card company is away", retryable=True)
        self.started.append(reference)
        self.return_urls.append(return_url)
        return PaymentSession(id=f"ps_{reference}", url=f"https://cards.example/{reference}")

    def outcome(self, session_id: str) -> PaymentOutcome:
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if line is None:
            raise VendorError("the card company is away", retryable=True)
        return line

    def refund(self, transaction: str) -> None:
        self.refunded.append(transaction)
