"""Codes, tokens and what they are still worth: issue, refresh, introspect, revoke."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from agegate.domain.errors import ConflictError, UnavailableError
from agegate.domain.grants import (
    CODE_FOR,
    FAMILY_FOR,
    SERVICE_TOKEN_FOR,
    Code,
    Family,
    Flow,
    IssuedToken,
    RefreshToken,
    s256,
)
from agegate.domain.ids import ClientId, FamilyId, OperatorId, SubjectId, digest
from agegate.domain.operators import AuthMethod, Client, Service
from agegate.domain.people import Subject
from agegate.domain.records import Credential
from agegate.domain.standing import Standing
from agegate.services.core import Core, Registration
from agegate.services.families import revoke_family
from agegate.services.issuing import GrantError, Issuer, Tokens, seconds
from agegate.services.ports import Reader, TokenSigner, UnitOfWork
from agegate.wire.scopes import TOKEN_TYPE_ACCESS, Scope
from agegate.wire.tiers import AgeTier

_DOTS: Final = 2
INACTIVE: Final[dict[str, Any]] = {"active": False}


class TokenService:
    def __init__(self, core: Core, signer: TokenSigner, *, new_secret: Callable[[], str]) -> None:
        self._core = core
        self._signer = signer
        self._new_secret = new_secret
        self._issuer = Issuer(core, signer, new_secret=new_secret)

    # -- codes -----------------------------------------------------------------------------------

    def new_code(self, uow: UnitOfWork, flow: Flow, subject: Subject) -> str:
        """A code for a finished flow, inside the caller's transaction."""
        value = self._new_secret()
        uow.add(
            Code(
                id=digest(value),
                client_id=flow.client_id,
                subject_id=subject.id,
                family_id=FamilyId(self._core.new_id("fam")),
                redirect_uri=flow.redirect_uri,
                scope=flow.scope,
                resources=flow.resources,
                code_challenge=flow.code_challenge,
                nonce=flow.nonce,
                auth_time=subject.age_at or uow.now,
                expires_at=uow.now + CODE_FOR,
            )
        )
        return value

    def exchange(
        self,
        client: Client,
        *,
        code: str,
        redirect_uri: str,
        verifier: str,
        resource: str | None = None,
    ) -> Tokens:
        """RFC 6749, 4.1.3 with RFC 7636. One of many at once wins.

        A replay by its owner ends what was issued.

        Raises `GrantError`.
        """
        stored = self._find_code(client, code)
        right_verifier = hmac.compare_digest(stored.code_challenge, s256(verifier))
        if stored.used_at is not None:
            raise self._replayed(client, stored, right_verifier=right_verifier)
        try:
            with self._core.store.write() as uow:
                if uow.now >= stored.expires_at:
                    raise GrantError("invalid_grant", "this code has run out")
                if stored.redirect_uri != redirect_uri:
                    raise GrantError(
                        "invalid_grant", "redirect_uri is not the one of the authorization request"
                    )
                if not right_verifier:
                    raise GrantError("invalid_grant", "code_verifier does not fit the challenge")
                uow.save(stored.use(now=uow.now))
                family = Family(
                    id=stored.family_id,
                    client_id=client.id,
                    subject_id=stored.subject_id,
                    scope=stored.scope,
                    resources=stored.resources,
                    auth_time=stored.auth_time,
                    created_at=uow.now,
                    expires_at=uow.now + FAMILY_FOR,
                )
                self._issuer.hold(uow, family)
                tokens = self._issuer.issue(
                    uow,
                    client,
                    family,
                    scope=stored.scope,
                    nonce=stored.nonce,
                    resource=resource,
                )
                uow.add(self._issuer.until_next_tier(uow, family))
                uow.commit()
                return tokens
        except ConflictError:
            if self._find_code(client, code).used_at is None:
                raise UnavailableError("two things happened at once; try again") from None
            raise self._replayed(client, stored, right_verifier=right_verifier) from None

    def refresh(
        self, client: Client, *, refresh_token: str, scope: str | None, resource: str | None = None
    ) -> Tokens:
        """Rotate (RFC 9700, 4.14.2). A used one, shown again by its owner, ends the family.

        Raises `GrantError`.
        """
        stored = self._find_refresh_token(client, refresh_token)
        if stored.used_at is not None:
            raise self._reused(stored)
        try:
            with self._core.store.write() as uow:
                family = uow.find(Family, stored.family_id)
                if family is not None:
                    self._issuer.hold(uow, family)
                    family = uow.find(Family, stored.family_id)
                if (
                    family is None
                    or not family.is_live(now=uow.now)
                    or uow.now >= stored.expires_at
                ):
                    raise GrantError("invalid_grant", "this refresh token is not good")
                wanted = _narrowed(stored.scope, scope)
                uow.save(stored.use(now=uow.now))
                tokens = self._issuer.issue(
                    uow,
                    client,
                    family,
                    scope=wanted,
                    nonce=None,
                    kept=stored.scope,
                    resource=resource,
                )
                uow.commit()
                return tokens
        except ConflictError:
            if self._find_refresh_token(client, refresh_token).used_at is None:
                raise UnavailableError("two things happened at once; try again") from None
            raise self._reused(stored) from None

    def for_service(self, service: Service, *, scope: str | None) -> Tokens:
        """client_credentials for a back end. Raises `GrantError`."""
        allowed = " ".join(service.scopes)
        granted = _narrowed(allowed, scope)
        with self._core.store.write() as uow:
            jti = self._core.new_id("at")
            expires_at = uow.now + SERVICE_TOKEN_FOR
            uow.add(
                IssuedToken(
                    id=jti,
                    family_id=None,
                    client_id=service.id,
                    subject_id=None,
                    record=None,
                    tier=None,
                    list_id=None,
                    idx=None,
                    slot=None,
                    expires_at=expires_at,
                )
            )
            claims = {
                "iss": self._core.public_url,
                "sub": service.id,
                "aud": [self._core.public_url],
                "client_id": service.id,
                "iat": seconds(uow.now),
                "exp": seconds(expires_at),
                "jti": jti,
                "scope": granted,
            }
            token = self._signer.sign(claims, typ=TOKEN_TYPE_ACCESS)
            uow.commit()
        return Tokens(
            access_token=token, expires_in=int(SERVICE_TOKEN_FOR.total_seconds()), scope=granted
        )

    # -- what a token is worth -------------------------------------------------------------------

    def introspect(
        self, caller: ClientId, operator_id: OperatorId, audiences: tuple[str, ...], token: str
    ) -> dict[str, Any]:
        """RFC 7662, live. Unknown, expired, revoked and foreign tokens get one and the same answer.

        A token is the caller's own, or one of its operator's whose audience the caller is.
        """
        claims = self._signer.verify(token, typ=TOKEN_TYPE_ACCESS) if _is_jwt(token) else None
        if claims is None:
            return INACTIVE
        with self._core.store.read() as r:
            issued = r.find(IssuedToken, str(claims.get("jti")))
            now = self._core.now()
            if issued is None or not self._is_live(r, issued, now=now):
                return INACTIVE
            if issued.client_id != caller and not (
                set(claims.get("aud", [])) & set(audiences)
                and _is_of(r.find(Credential, issued.client_id), operator_id)
            ):
                return INACTIVE
            if issued.subject_id is None:
                return {"active": True, "token_type": "Bearer", **claims}
            standing = self._stand(r, issued.subject_id, issued.client_id, now=now)
            if standing is None or _is_younger(standing.tier, issued.tier):
                return INACTIVE
        kept = (
            "iss",
            "sub",
            "aud",
            "client_id",
            "iat",
            "exp",
            "jti",
            "auth_time",
            "scope",
            "status",
        )
        answer = {name: claims[name] for name in kept if name in claims}
        return {"active": True, "token_type": "Bearer", **answer, **standing.claims.to_json()}

    def userinfo(self, token: str) -> dict[str, Any] | None:
        """OIDC Core 5.3: the same claims, live.

        None for a token that is not good or lacks `openid`.
        """
        found = self.bearer(token)
        if found is None or Scope.OPENID not in str(found.get("scope", "")).split():
            return None
        with self._core.store.read() as r:
            issued = r.get(IssuedToken, str(found["jti"]))
            if issued.subject_id is None:
                return None
            standing = self._stand(r, issued.subject_id, issued.client_id, now=self._core.now())
        if standing is None:
            return None
        return {"sub": found["sub"], **standing.claims.to_json()}

    def bearer(self, token: str) -> dict[str, Any] | None:
        """The claims of one of our own live access tokens, shown to ourselves."""
        claims = self._signer.verify(token, typ=TOKEN_TYPE_ACCESS) if _is_jwt(token) else None
        if claims is None:
            return None
        with self._core.store.read() as r:
            issued = r.find(IssuedToken, str(claims.get("jti")))
            live = issued is not None and self._is_live(r, issued, now=self._core.now())
        return claims if live else None

    # -- ending ----------------------------------------------------------------------------------

    def revoke(self, client_id: ClientId, token: str) -> None:
        """RFC 7009: ends the whole family of either kind of token.

        Anything unknown or foreign changes nothing.
        """
        with self._core.store.read() as r:
            refresh = r.find(RefreshToken, digest(token))
            if refresh is not None:
                if refresh.client_id == client_id:
                    revoke_family(self._core, refresh.family_id, "revoked_by_client")
                return
            claims = self._signer.verify(token, typ=TOKEN_TYPE_ACCESS) if _is_jwt(token) else None
            issued = r.find(IssuedToken, str(claims.get("jti"))) if claims else None
        if issued is None or issued.client_id != client_id:
            return
        if issued.family_id is not None:
            revoke_family(self._core, issued.family_id, "revoked_by_client")
            return
        with self._core.store.write() as uow:
            uow.save(replace(issued, revoked_at=uow.now))
            uow.commit()

    def _replayed(self, client: Client, stored: Code, *, right_verifier: bool) -> GrantError:
        """RFC 6749, 4.1.2: whoever redeemed it first may not have been its owner.

        A public client shows nothing but the verifier; without it, a spent code out of somebody's
        history would be a way to sign others out.
        """
        if client.auth_method is not AuthMethod.NONE or right_verifier:
            revoke_family(self._core, stored.family_id, "code_replayed")
        return GrantError("invalid_grant", "this code has been used")

    def _reused(self, stored: RefreshToken) -> GrantError:
        revoke_family(self._core, stored.family_id, "refresh_token_reused")
        return GrantError("invalid_grant", "this refresh token has been used")

    # -- helpers ---------------------------------------------------------------------------------

    def _find_code(self, client: Client, code: str) -> Code:
        with self._core.store.read() as r:
            stored = r.find(Code, digest(code))
        if stored is None or stored.client_id != client.id:
            raise GrantError("invalid_grant", "this code is not good")
        return stored

    def _find_refresh_token(self, client: Client, value: str) -> RefreshToken:
        with self._core.store.read() as r:
            stored = r.find(RefreshToken, digest(value))
        if stored is None or stored.client_id != client.id:
            raise GrantError("invalid_grant", "this refresh token is not good")
        return stored

    def _is_live(self, r: Reader, issued: IssuedToken, *, now: datetime) -> bool:
        if issued.revoked_at is not None or now >= issued.expires_at:
            return False
        if issued.family_id is None:
            return True
        family = r.find(Family, issued.family_id)
        return family is not None and family.revoked_at is None

    def _stand(
        self, r: Reader, subject_id: SubjectId, client_id: ClientId, *, now: datetime
    ) -> Standing | None:
        subject = r.find(Subject, subject_id)
        registered: Registration | None = self._core.find_registration(r, client_id)
        if subject is None or registered is None:
            return None
        return self._core.standing(r, subject, registered, now=now)


def _narrowed(allowed: str, wanted: str | None) -> str:
    if wanted is None:
        return allowed
    asked = wanted.split()
    if not asked or set(asked) - set(allowed.split()):
        raise GrantError("invalid_scope", "more was asked for than was granted")
    return " ".join(s for s in allowed.split() if s in asked)


def _is_jwt(token: str) -> bool:
    return token.count(".") == _DOTS


def _is_younger(now: AgeTier, then: AgeTier | None) -> bool:
    tiers = list(AgeTier)
    return then is not None and tiers.index(now) < tiers.index(then)


def _is_of(credential: Credential | None, operator_id: OperatorId) -> bool:
    return credential is not None and credential.operator_id == operator_id
