"""What must leave the house after the transaction: letters, each written down before it is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from agegate.domain.ids import Digest
from agegate.domain.people import SealedText

RETRY_AFTER: Final = tuple(
    timedelta(seconds=s) for s in (30, 120, 600, 1800, 3600, 7200, 14400, *[21600] * 10)
)
"""Greylisting passes at the fourth try.

After three days a letter is given up and somebody is told.
"""
LEASE: Final = timedelta(seconds=90)


class OutgoingKind(StrEnum):
    DIRECT_NOTICE = "direct_notice"
    CONFIRMATION = "confirmation"
    RECEIPT = "receipt"
    WITHDRAWAL = "withdrawal"
    ERASURE = "erasure"
    SIGN_IN = "sign_in"


class Delivery(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    BOUNCED = "bounced"
    FAILED = "failed"
    DROPPED = "dropped"
    """Its reason went away before it left: the parent was erased or the request ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One letter. `payload` (address, link, names) is sealed and deleted once it is sent.

    Message-ID and link are fixed here, so a copy after a lost acknowledgement is the same letter.
    """

    id: str
    kind: OutgoingKind
    target: str
    """Record id, or parent id for a sign-in link."""
    index: Digest
    """Keyed hash of the address, for limits."""
    payload: SealedText
    message_id: str
    due_at: datetime
    created_at: datetime
    state: Delivery = Delivery.WAITING
    attempts: int = 0
    sent_at: datetime | None = None
    error: str | None = None
    """A code; never the server's text, which holds addresses."""
    version: int = 1

    def later(self, delay: timedelta) -> Outgoing:
        """Not before `delay` from its writing."""
        return replace(self, due_at=self.created_at + delay)

    def claim(self, *, now: datetime) -> Outgoing:
        """Take it for sending; if the taker dies, it is due again when the lease is over."""
        return replace(self, state=Delivery.SENDING, due_at=now + LEASE, attempts=self.attempts + 1)

    def sent(self, *, now: datetime) -> Outgoing:
        return replace(self, state=Delivery.SENT, sent_at=now, payload=SealedText(""), error=None)

    def retry(self, code: str, *, now: datetime) -> Outgoing:
        if self.attempts > len(RETRY_AFTER):
            return replace(self, state=Delivery.FAILED, payload=SealedText(""), error=code)
        return replace(
            self, state=Delivery.WAITING, due_at=now + RETRY_AFTER[self.attempts - 1], error=code
        )

    def bounced(self, code: str) -> Outgoing:
        return replace(self, state=Delivery.BOUNCED, payload=SealedText(""), error=code)

    def dropped(self) -> Outgoing:
        return replace(self, state=Delivery.DROPPED, payload=SealedText(""))
