"""Small things the store keeps beside the large ones: what was applied, shown, counted and told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agegate.domain.ids import ClientId, Digest, OperatorId, RecordId, Sub
from agegate.domain.operators import Client, Operator
from agegate.domain.people import SealedText


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEntry:
    """An operator as it was last applied."""

    id: OperatorId
    operator: Operator
    retired: tuple[Client, ...] = ()
    """Clients that the operator took away. Nobody gets in by them, but the people they asked keep
    their rights: to see, to take back, to have erased."""
    applied_at: datetime
    version: int = 1


class CredentialKind(StrEnum):
    CLIENT = "client"
    SERVICE = "service"
    RETIRED = "retired"
    """A client that is no longer declared: opens nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """How one client or service shows who it is.

    Secrets are 256 random bits, kept as one SHA-256.
    """

    id: ClientId
    operator_id: OperatorId
    kind: CredentialKind
    secret_hash: Digest | None
    webhook_secret: SealedText | None
    old_webhook_secret: SealedText | None = None
    """Signs beside the present one until `old_webhook_until`, so that a client can change over."""
    old_webhook_until: datetime | None = None
    created_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """The exact words of a notice, kept as long as a consent points at them (16 CFR 312.4(b))."""

    id: Digest
    operator_id: OperatorId
    language: str
    content: str
    """Canonical JSON of the notice's sections; `id` is its SHA-256."""
    created_at: datetime
    version: int = 1


class EventType(StrEnum):
    AGE_TIER_CHANGED = "age.tier_changed"
    CONSENT_REQUESTED = "consent.requested"
    CONSENT_GRANTED = "consent.granted"
    CONSENT_DENIED = "consent.denied"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_REVOKED = "consent.revoked"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_STALE = "consent.stale"
    SUBJECT_ERASURE_REQUESTED = "subject.erasure_requested"
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - an event's name
    SAFETY_ESCALATED = "safety.escalated"
    WEBHOOK_TEST = "webhook.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a client is told. Ids and states only; numbered by the integrator, like facts."""

    id: str
    type: EventType
    at: datetime
    operator_id: OperatorId
    client_id: ClientId
    sub: Sub | None = None
    record: RecordId | None = None
    state: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """How often something happened in one window; `id` is a keyed hash, so it names nobody."""

    id: Digest
    count: int
    expires_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLetter:
    """A letter as the sandbox's letter box shows it."""

    id: str
    kind: str
    address: SealedText
    subject: str
    text: SealedText
    html: SealedText
    sent_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSetting:
    """A sandbox value all processes share.

    The clock's shift, the next outcome of a method, a pretend payment.
    """

    id: str
    value: str
    version: int = 1
