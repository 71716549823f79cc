"""Codes, token families and what was issued.

Lifetimes, audiences, single use (OAuth 2.1, RFC 9700).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from agegate.domain.ids import ClientId, Digest, FamilyId, FlowId, RecordId, SubjectId
from agegate.wire.scopes import CLIENT_SCOPES, Scope
from agegate.wire.tiers import AgeTier

CODE_FOR: Final = timedelta(seconds=60)
ACCESS_FOR_MINORS: Final = timedelta(minutes=5)
ACCESS_FOR_ADULTS: Final = timedelta(minutes=15)
SERVICE_TOKEN_FOR: Final = timedelta(minutes=15)
FAMILY_FOR: Final = timedelta(days=30)
STATUS_PLACES: Final = 1 << 17
"""Bits in one status list: a token hides among 131,072 places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code, known only by the hash of its value; good once, for 60 seconds."""

    id: Digest
    client_id: ClientId
    subject_id: SubjectId
    family_id: FamilyId
    redirect_uri: str
    scope: str
    resources: tuple[str, ...]
    code_challenge: str
    nonce: str | None
    auth_time: datetime
    expires_at: datetime
    used_at: datetime | None = None
    version: int = 1

    def use(self, *, now: datetime) -> Code:
        """Mark it used. The store's version check lets exactly one of many at once through."""
        return replace(self, used_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Everything issued from one authorization. Revoking it ends all of it at once."""

    id: FamilyId
    client_id: ClientId
    subject_id: SubjectId
    scope: str
    resources: tuple[str, ...]
    auth_time: datetime
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    version: int = 1

    def is_live(self, *, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at

    def revoke(self, *, now: datetime) -> Family:
        return replace(self, revoked_at=self.revoked_at or now)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """Known only by its hash; used once, then replaced (RFC 9700, 4.14.2)."""

    id: Digest
    family_id: FamilyId
    client_id: ClientId
    scope: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    version: int = 1

    def use(self, *, now: datetime) -> RefreshToken:
        return replace(self, used_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """What we must remember of a signed access token.

    Where its status bit is, and whether it was ended.
    """

    id: str
    """The token's `jti`."""
    family_id: FamilyId | None
    client_id: ClientId
    subject_id: SubjectId | None
    record: RecordId | None
    tier: AgeTier | None
    list_id: int | None
    idx: int | None
    slot: str | None
    """`list_id:idx`, unique: two tokens never share a bit."""
    expires_at: datetime
    withdrawn: bool = False
    """The status-list bit: the grant this token carries is gone."""
    revoked_at: datetime | None = None
    version: int = 1


def access_token_until(tier: AgeTier, *, consent_until: datetime | None, now: datetime) -> datetime:
    """When an access token ends.

    5 minutes for minors, 15 for adults, never past the consent's end.
    """
    longest = now + (ACCESS_FOR_MINORS if tier.is_minor else ACCESS_FOR_ADULTS)
    return longest if consent_until is None else min(longest, consent_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One visit through `/oauth/authorize`.

    What the client asked for, kept on our side until the answer.
    """

    id: FlowId
    browser: Digest
    """Hash of the browser session that began it; nobody else may go on with it."""
    client_id: ClientId
    redirect_uri: str
    state: str | None
    nonce: str | None
    scope: str
    resources: tuple[str, ...]
    code_challenge: str
    purposes: tuple[str, ...]
    place: str | None
    locale: str
    acr_values: tuple[str, ...] = ()
    subject_id: SubjectId | None = None
    ask_age: bool = False
    """The client sent `prompt=age`; the answer may only lower what is known."""
    ask_parent: bool = False
    """The client sent `prompt=consent`: ask a parent again after a refusal or a withdrawal."""
    created_at: datetime
    expires_at: datetime
    finished_at: datetime | None = None
    version: int = 1


def s256(verifier: str) -> str:
    """RFC 7636, 4.2."""
    hashed = hashlib.sha256(verifier.encode("ascii", errors="replace")).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def granted_scope(wanted: str | None) -> str:
    """The known client scopes among those asked for, in a fixed order.

    Strange ones are left out (RFC 6749, 3.3).
    """
    asked = set((wanted or "openid age consent").split())
    return " ".join(s for s in Scope if s in CLIENT_SCOPES and s in asked)
