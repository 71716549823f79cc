"""Facts and the chain that makes them tamper-evident.

A fact is written, without a number, inside the transaction of the change it records; one integrator
numbers facts afterwards, so no writer waits for another. `leaf` is the RFC 6962 leaf hash of the
canonical fact (RFC 8785), so a Merkle tree can be built over the same entries later without
touching one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from agegate.domain.ids import ClientId, Digest, FactId, OperatorId, RecordId

GENESIS: Final = Digest("0" * 64)

FactValue = str | int | bool | tuple[str, ...]


class FactKind(StrEnum):
    """Every irreversible happening. The first part of the name says what it happened to."""

    OPERATOR_APPLIED = "operator.applied"
    AGE_RECORDED = "age.recorded"
    AGE_TIER_CHANGED = "age.tier_changed"
    AGE_ACTUAL_KNOWLEDGE = "age.actual_knowledge"
    CONSENT_REQUESTED = "consent.requested"
    CONSENT_NOTIFIED = "consent.notified"
    CONSENT_OPENED = "consent.opened"
    CONSENT_PROVED = "consent.proved"
    CONSENT_DECIDED = "consent.decided"
    CONSENT_GRANTED = "consent.granted"
    CONSENT_DENIED = "consent.denied"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_REVOKED = "consent.revoked"
    CONSENT_STALE = "consent.stale"
    CONSENT_SUPERSEDED = "consent.superseded"
    CONSENT_UNDELIVERABLE = "consent.undeliverable"
    CONTACT_DELETED = "contact.deleted"
    SUBJECT_ERASED = "subject.erased"
    TOKEN_FAMILY_REVOKED = "token.family_revoked"  # noqa: S105 - a fact's name
    KEY_CREATED = "key.created"
    KEY_ACTIVATED = "key.activated"
    KEY_RETIRED = "key.retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One irreversible happening. Holds ids, codes, hashes and times.

    Never anything about a person.

    `seq`, `leaf` and `head` are given by the integrator; until then they are None.
    """

    id: FactId
    kind: FactKind
    at: datetime
    operator_id: OperatorId | None = None
    client_id: ClientId | None = None
    record: RecordId | None = None
    data: Mapping[str, FactValue] = field(default_factory=dict)
    seq: int | None = None
    leaf: Digest | None = None
    head: Digest | None = None

    def canonical(self) -> bytes:
        """The bytes that are hashed.

        RFC 8785 form (keys sorted, strings, integers, booleans and lists only).
        """
        body = {
            "v": 1,
            "id": self.id,
            "kind": self.kind.value,
            "at": self.at.isoformat(),
            "operator": self.operator_id,
            "client": self.client_id,
            "record": self.record,
            "data": {k: list(v) if isinstance(v, tuple) else v for k, v in self.data.items()},
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def extend(self, previous: Digest, seq: int) -> Fact:
        """This fact as entry number `seq` behind `previous`."""
        leaf = leaf_hash(self.canonical())
        return replace(self, seq=seq, leaf=leaf, head=chain_hash(previous, leaf))


def leaf_hash(data: bytes) -> Digest:
    """RFC 6962, section 2.1: SHA-256(0x00 || data)."""
    return Digest(hashlib.sha256(b"\x00" + data).hexdigest())


def chain_hash(previous: Digest, leaf: Digest) -> Digest:
    """RFC 6962's node hash over the head so far and the new leaf."""
    return Digest(
        hashlib.sha256(b"\x01" + bytes.fromhex(previous) + bytes.fromhex(leaf)).hexdigest()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head after `size` entries, signed: whoever keeps one can show that a tail was cut."""

    id: str
    """The size as text: one checkpoint a size."""
    size: int
    head: Digest
    at: datetime
    signature: str
    """Compact JWS over size, head and time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where the chain stops being what it was, and how that shows."""

    seq: int
    reason: str


def first_break(
    entries: Iterable[Fact], *, previous: Digest = GENESIS, start: int = 1
) -> Break | None:
    """Recompute the chain from its facts; None when every byte is as it was written."""
    expected = start
    for entry in entries:
        if entry.seq != expected:
            return Break(seq=expected, reason="missing or renumbered")
        if entry.leaf != leaf_hash(entry.canonical()):
            return Break(seq=expected, reason="changed")
        previous = chain_hash(previous, entry.leaf)
        if entry.head != previous:
            return Break(seq=expected, reason="does not follow the entry before it")
        expected += 1
    return None
