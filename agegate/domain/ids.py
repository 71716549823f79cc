"""Names for every identifier, so that one kind can't be passed for another."""

from __future__ import annotations

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
