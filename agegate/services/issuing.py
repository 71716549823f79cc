"""What a grant turns into: a signed access token with its place in a status list, and the rest."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from agegate.domain.consent import Consent
from agegate.domain.errors import AgegateError, ConflictError
from agegate.domain.grants import (
    STATUS_PLACES,
    Family,
    IssuedToken,
    RefreshToken,
    access_token_until,
)
from agegate.domain.growing import day_begins, grown
from agegate.domain.ids import RecordId, digest
from agegate.domain.operators import Client
from agegate.domain.people import Subject
from agegate.services.core import Core
from agegate.services.ports import TokenSigner, UnitOfWork
from agegate.wire.scopes import STATUS_LIST, TOKEN_TYPE_ACCESS, Scope

_UNLUCKY: Final = 8


class GrantError(AgegateError):
    """A grant that can't be honoured; `code` is the OAuth error (RFC 6749, 5.2)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the token endpoint answers with."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "scope": self.scope,
        }
        if self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token
        if self.id_token is not None:
            body["id_token"] = self.id_token
        return body


class Issuer:
    def __init__(self, core: Core, signer: TokenSigner, *, new_secret: Callable[[], str]) -> None:
        self._core = core
        self._signer = signer
        self._new_secret = new_secret

    def hold(self, uow: UnitOfWork, family: Family) -> None:
        """Let no grant be withdrawn and no family be ended between our look and our commit.

        Either such an ending waits and then sees the new token, whose status bit it sets, or we
        wait and then see the ending. Consents before families, as those who end them do.
        """
        for consent in uow.select(Consent, subject_id=family.subject_id):
            uow.hold(Consent, consent.id)
        uow.hold(Family, family.id)

    def issue(
        self,
        uow: UnitOfWork,
        client: Client,
        family: Family,
        *,
        scope: str,
        nonce: str | None,
        kept: str | None = None,
        resource: str | None = None,
    ) -> Tokens:
        """One set of tokens, inside the caller's transaction.

        `kept` is the scope that a later refresh may ask for again.

        Raises `GrantError`.
        """
        audiences = _audiences(family.resources, resource)
        registered = self._core.registration(uow, client.id)
        subject = uow.find(Subject, family.subject_id)
        if subject is None:
            raise GrantError("invalid_grant", "there is nobody behind this grant any more")
        standing = self._core.standing(uow, subject, registered, now=uow.now)
        until = access_token_until(standing.tier, consent_until=standing.consent_until, now=uow.now)
        shared = {
            "iss": self._core.public_url,
            "sub": subject.sub,
            "iat": seconds(uow.now),
            "exp": seconds(until),
            "auth_time": seconds(family.auth_time),
        }
        granted = scope.split()
        jti = self._core.new_id("at")
        list_id, idx = self._free_slot(uow)
        uow.add(
            IssuedToken(
                id=jti,
                family_id=family.id,
                client_id=client.id,
                subject_id=subject.id,
                record=RecordId(standing.claims.consent.record or "") or None,
                tier=standing.tier,
                list_id=list_id,
                idx=idx,
                slot=f"{list_id}:{idx}",
                expires_at=until,
            )
        )
        status = {"idx": idx, "uri": f"{self._core.public_url}{STATUS_LIST}/{list_id}"}
        body = standing.claims.to_json()
        access = self._signer.sign(
            {
                **shared,
                "aud": audiences,
                "client_id": client.id,
                "jti": jti,
                "scope": scope,
                **body,
                "status": {"status_list": status},
            },
            typ=TOKEN_TYPE_ACCESS,
        )
        id_token = None
        if Scope.OPENID in granted:
            about = {**shared, "aud": [client.id], **body} | ({"nonce": nonce} if nonce else {})
            id_token = self._signer.sign(about, typ="JWT")
        refresh = None
        if Scope.OFFLINE_ACCESS in (kept or scope).split():
            refresh = self._new_secret()
            ends = self.until_next_tier(uow, family).expires_at
            uow.add(
                RefreshToken(
                    id=digest(refresh),
                    family_id=family.id,
                    client_id=client.id,
                    scope=kept or scope,
                    created_at=uow.now,
                    expires_at=ends,
                )
            )
        return Tokens(
            access_token=access,
            expires_in=max(0, seconds(until) - seconds(uow.now)),
            scope=scope,
            refresh_token=refresh,
            id_token=id_token,
        )

    def until_next_tier(self, uow: UnitOfWork, family: Family) -> Family:
        """A family ends when the tier does.

        The next refresh is refused, and no token tells why or when.
        """
        subject = uow.get(Subject, family.subject_id)
        registered = self._core.registration(uow, family.client_id)
        rules = self._core.rules_for(subject.place, registered.client, now=uow.now)
        turns_on = grown(subject, rules.boundaries, today=rules.today(uow.now)).turns_on
        if turns_on is None:
            return family
        return replace(family, expires_at=min(family.expires_at, day_begins(turns_on, rules)))

    def _free_slot(self, uow: UnitOfWork) -> tuple[int, int]:
        """A random unused bit; a list that is half full is left for the next one."""
        newest = uow.select(
            IssuedToken, order="list_id", descending=True, past=("list_id", 0), limit=1
        )
        list_id = (newest[0].list_id or 1) if newest else 1
        for attempt in range(3 * _UNLUCKY):
            idx = secrets.randbelow(STATUS_PLACES)
            if not uow.select(IssuedToken, slot=f"{list_id}:{idx}", limit=1):
                return list_id, idx
            if attempt > _UNLUCKY:  # so many taken places in a row: more than half are gone
                list_id += 1
        raise ConflictError("no free place in the status list")


def seconds(moment: datetime) -> int:
    """Since the epoch, whole: what JWT calls a NumericDate."""
    return int(moment.timestamp())


def _audiences(allowed: tuple[str, ...], wanted: str | None) -> list[str]:
    """RFC 8707, 2.2: one of those granted, or all of them when none is named."""
    if wanted is None:
        return list(allowed)
    if wanted not in allowed:
        raise GrantError("invalid_target", "resource is not one that was granted")
    return [wanted]
