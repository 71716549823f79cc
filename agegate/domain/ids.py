"""Names for every identifier, so that one kind can't be passed for another."""

from __future__ import annotations

import hashlib
from typing import NewType

OperatorId = NewType("OperatorId", str)
ClientId = NewType("ClientId", str)
PurposeId = NewType("PurposeId", str)
RecipientId = NewType("RecipientId", str)
SubjectId = NewType("SubjectId", str)
Sub = NewType("Sub", str)
"""Pairwise subject identifier: all that a client ever learns of who somebody is."""
RecordId = NewType("RecordId", str)
ParentId = NewType("ParentId", str)
FlowId = NewType("FlowId", str)
FamilyId = NewType("FamilyId", str)
FactId = NewType("FactId", str)
PracticesVersion = NewType("PracticesVersion", str)
Digest = NewType("Digest", str)
"""Lower-case hex SHA-256."""


def digest(value: str) -> Digest:
    """SHA-256. One fast hash is right for 256 random bits.

    A slow one would only slow every request.
    """
    return Digest(hashlib.sha256(value.encode()).hexdigest())
