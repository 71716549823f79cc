"""What a client is told by itself: one delivery an event, signed as Standard Webhooks 1.0.0 says.

A delivery holds no payload. What is sent is built from its event when it is sent: ids and states,
nothing about a person.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from agegate.domain.ids import ClientId, Sub
from agegate.domain.records import Event, EventType

RETRY_AFTER: Final = tuple(
    timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 10800, 21600, 43200, 86400)
)
"""The first try is at once; after the last of these a day lies between any two."""
RETRIED_FOR: Final = timedelta(days=3)
LEASE: Final = timedelta(seconds=60)
"""Four times as long as a receiver may take to answer."""
ROTATION: Final = timedelta(hours=24)
"""How long the secret before the present one still signs beside it."""
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how the standard marks a secret

GONE: Final = 410
"""RFC 9110, 15.5.11. The standard: whoever answers so wants no more of it."""


class WebhookState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    PARKED = "parked"
    """Given up. A person may have it sent again."""


UNDELIVERED: Final = (WebhookState.WAITING, WebhookState.SENDING)
FINISHED: Final = (WebhookState.DELIVERED, WebhookState.PARKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """One event on its way to one client. `id` is the `webhook-id`, the same with every try."""

    id: str
    event_id: str
    client_id: ClientId
    sub: Sub | None
    """As in the event: what is about one subject leaves in its order."""
    state: WebhookState = WebhookState.WAITING
    attempts: int = 0
    since: datetime
    """When it was written or last asked for again: the three days count from here."""
    due_at: datetime
    last_code: str | None = None
    """What the receiver answered, as `503`, or why there was no answer, as `timeout`."""
    created_at: datetime
    delivered_at: datetime | None = None
    version: int = 1

    def claim(self, *, now: datetime) -> WebhookDelivery:
        """Take it for sending; if the taker dies, it is due again when the lease is over."""
        return replace(
            self, state=WebhookState.SENDING, due_at=now + LEASE, attempts=self.attempts + 1
        )

    def answered(self, status: int, *, now: datetime) -> WebhookDelivery:
        """2xx is delivered, 410 parks at once, anything else (3xx too) is tried again."""
        if 200 <= status < 300:  # noqa: PLR2004 - the class of answers, RFC 9110, 15.3
            return replace(
                self, state=WebhookState.DELIVERED, delivered_at=now, last_code=str(status)
            )
        return self.park(str(status)) if status == GONE else self.failed(str(status), now=now)

    def failed(self, code: str, *, now: datetime) -> WebhookDelivery:
        """Again later. The last try comes when three days are over; then it is parked."""
        end = self.since + RETRIED_FOR
        if now >= end:
            return self.park(code)
        wait = RETRY_AFTER[min(max(self.attempts, 1), len(RETRY_AFTER)) - 1]
        return replace(
            self, state=WebhookState.WAITING, due_at=min(now + wait, end), last_code=code
        )

    def park(self, code: str) -> WebhookDelivery:
        return replace(self, state=WebhookState.PARKED, last_code=code)

    def wait_for(self, other: WebhookDelivery) -> WebhookDelivery:
        """Not before an earlier one about the same subject has had its turn."""
        return replace(self, due_at=other.due_at)

    def replay(self, *, now: datetime) -> WebhookDelivery:
        """From the beginning, with the same id, so that a receiver knows a copy as one."""
        return replace(
            self,
            state=WebhookState.WAITING,
            attempts=0,
            since=now,
            due_at=now,
            delivered_at=None,
        )


# -- what is sent ----------------------------------------------------------------------------------


def payload(event: Event) -> dict[str, Any]:
    """An event as the client gets it. `seq` gives the order of all events of this deployment."""
    data = {
        "sub": event.sub,
        "client_id": event.client_id,
        "record": event.record,
        "state": event.state,
        "seq": event.seq,
    }
    return {
        "id": event.id,
        "type": event.type.value,
        "timestamp": event.at.isoformat(),
        "data": {name: value for name, value in data.items() if value is not None},
    }


def trial(client_id: ClientId, *, now: datetime) -> dict[str, Any]:
    """The payload of `webhook.test`, which is about nobody."""
    return {
        "type": EventType.WEBHOOK_TEST.value,
        "timestamp": now.isoformat(),
        "data": {"client_id": client_id},
    }


def to_body(content: dict[str, Any]) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def headers(id_: str, body: bytes, secrets: Iterable[str], *, now: datetime) -> dict[str, str]:
    """Standard Webhooks' headers; one signature for each secret, the newest first.

    `webhook-timestamp` is the time of this try, not of the event.
    """
    timestamp = int(now.timestamp())
    return {
        "content-type": "application/json",
        "user-agent": "agegate-webhooks/1",
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(s, id_, timestamp, body) for s in secrets),
    }


def sign(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 HMAC-SHA256 of id, time and body, joined by dots.

    `secret` is `whsec_` and base64, as it was shown to the client; `timestamp` is in Unix seconds.
    """
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


# -- in which order --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A delivery with the number of its event; None until the integrator has given it."""

    delivery: WebhookDelivery
    seq: int | None


def find_earlier(turn: Turn, others: Sequence[Turn]) -> WebhookDelivery | None:
    """The first of `others` that must leave before this one.

    `others` are what is undelivered for the same client and subject. What is parked holds nobody
    up: it comes late, and `seq` shows it.
    """
    if turn.seq is None:
        return None
    before = [
        other
        for other in others
        if other.delivery.id != turn.delivery.id
        and other.delivery.state in UNDELIVERED
        and other.seq is not None
        and other.seq < turn.seq
    ]
    return min(before, key=lambda t: t.seq or 0).delivery if before else None
