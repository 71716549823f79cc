"""Signing keys: next -> active -> retired -> removed. Exactly one is active."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from agegate.domain.people import SealedText

PUBLISH_BEFORE_USE: Final = timedelta(minutes=20)
"""Twice the JWKS's `max-age`, so every verifier has seen a key before it signs."""
RETIRED_FOR: Final = timedelta(days=1)
"""Longer than any token lives."""


class KeyState(StrEnum):
    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """An ES256 key. `id` is its RFC 7638 thumbprint; `private` is a sealed JWK."""

    id: str
    state: KeyState
    public: str
    """The public JWK as canonical JSON."""
    private: SealedText
    created_at: datetime
    activated_at: datetime | None = None
    retired_at: datetime | None = None
    version: int = 1

    def activate(self, *, now: datetime) -> SigningKey:
        return replace(self, state=KeyState.ACTIVE, activated_at=now)

    def retire(self, *, now: datetime) -> SigningKey:
        return replace(self, state=KeyState.RETIRED, retired_at=now)
