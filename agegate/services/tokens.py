"""Codes, tokens and what they are still worth: issue, refresh, introspect, revoke."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from agegate.domain.change import NewFact
from agegate.domain.consent import Consent
from agegate.domain.errors import AgegateError, ConflictError
from agegate.domain.grants import (
    CODE_FOR,
    FAMILY_FOR,
    SERVICE_TOKEN_FOR,
    Code,
    Family,
    Flow,
    IssuedToken,
    RefreshToken,
    access_token_until,
)
from agegate.domain.growing import day_begins, grown
from agegate.domain.ids import ClientId, FamilyId, OperatorId, RecordId, SubjectId, digest
from agegate.domain.ledger import FactKind
from agegate.domain.operators import Client, Service
from agegate.domain.people import Subject
from agegate.domain.records import Credential, EventType
from agegate.domain.standing import Standing
from agegate.services.core import Core, Registration
from agegate.services.ports import Reader, TokenSigner, UnitOfWork
from agegate.wire.scopes import CLIENT_SCOPES, STATUS_LIST, TOKEN_TYPE_ACCESS, Scope
from agegate.wire.tiers import AgeTier

STATUS_PLACES: Final = 1 << 17
"""Bits in one status list: a token hides among 131,072 places."""
_UNLUCKY: Final = 8
_DOTS: Final = 2
INACTIVE: Final[dict[str, Any]] = {"active": False}


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


class TokenService:
    def __init__(self, core: Core, signer: TokenSigner, *, new_secret: Callable[[], str]) -> None:
        self._core = core
        self._signer = signer
        self._new_secret = new_secret

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

    def exchange(self, client: Client, *, code: str, redirect_uri: str, verifier: str) -> Tokens:
        """RFC 6749, 4.1.3 with RFC 7636. One of many at once wins.

        A replay by its owner ends what was issued.

        Raises `GrantError`.
        """
        stored = self._find_code(client, code)
        if stored.used_at is not None:
            self._revoke_family(stored.family_id, "code_replayed")
            raise GrantError("invalid_grant", "this code has been used")
        try:
            with self._core.store.write() as uow:
                if uow.now >= stored.expires_at:
                    raise GrantError("invalid_grant", "this code has run out")
                if not hmac.compare_digest(stored.redirect_uri, redirect_uri):
                    raise GrantError(
                        "invalid_grant", "redirect_uri is not the one of the authorization request"
                    )
                if not hmac.compare_digest(stored.code_challenge, s256(verifier)):
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
                tokens = self._issue(uow, client, family, scope=stored.scope, nonce=stored.nonce)
                uow.add(self._live_family(uow, family))
                uow.commit()
                return tokens
        except ConflictError:
            self._revoke_family(stored.family_id, "code_replayed")
            raise GrantError("invalid_grant", "this code has been used") from None

    def refresh(self, client: Client, *, refresh_token: str, scope: str | None) -> Tokens:
        """Rotate (RFC 9700, 4.14.2). A used one, shown again by its owner, ends the family.

        Raises `GrantError`.
        """
        with self._core.store.read() as r:
            stored = r.find(RefreshToken, digest(refresh_token))
        if stored is None or stored.client_id != client.id:
            raise GrantError("invalid_grant", "this refresh token is not good")
        if stored.used_at is not None:
            self._revoke_family(stored.family_id, "refresh_token_reused")
            raise GrantError("invalid_grant", "this refresh token has been used")
        try:
            with self._core.store.write() as uow:
                family = uow.find(Family, stored.family_id)
                if (
                    family is None
                    or not family.is_live(now=uow.now)
                    or uow.now >= stored.expires_at
                ):
                    raise GrantError("invalid_grant", "this refresh token is not good")
                wanted = _narrowed(stored.scope, scope)
                uow.save(stored.use(now=uow.now))
                tokens = self._issue(
                    uow, client, family, scope=wanted, nonce=None, kept=stored.scope
                )
                uow.commit()
                return tokens
        except ConflictError:
            self._revoke_family(stored.family_id, "refresh_token_reused")
            raise GrantError("invalid_grant", "this refresh token has been used") from None

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
                "iat": _seconds(uow.now),
                "exp": _seconds(expires_at),
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
                    self._revoke_family(refresh.family_id, "revoked_by_client")
                return
            claims = self._signer.verify(token, typ=TOKEN_TYPE_ACCESS) if _is_jwt(token) else None
            issued = r.find(IssuedToken, str(claims.get("jti"))) if claims else None
        if issued is None or issued.client_id != client_id:
            return
        if issued.family_id is not None:
            self._revoke_family(issued.family_id, "revoked_by_client")
            return
        with self._core.store.write() as uow:
            uow.save(replace(issued, revoked_at=uow.now))
            uow.commit()

    def _revoke_family(self, family_id: FamilyId, reason: str) -> None:
        with self._core.store.write() as uow:
            family = uow.find(Family, family_id)
            if family is None or family.revoked_at is not None:
                return
            end_family(uow, self._core, family, reason=reason)
            uow.commit()

    # -- helpers ---------------------------------------------------------------------------------

    def _find_code(self, client: Client, code: str) -> Code:
        with self._core.store.read() as r:
            stored = r.find(Code, digest(code))
        if stored is None or stored.client_id != client.id:
            raise GrantError("invalid_grant", "this code is not good")
        return stored

    def _issue(
        self,
        uow: UnitOfWork,
        client: Client,
        family: Family,
        *,
        scope: str,
        nonce: str | None,
        kept: str | None = None,
    ) -> Tokens:
        registered = self._core.registration(uow, client.id)
        subject = uow.find(Subject, family.subject_id)
        if subject is None:
            raise GrantError("invalid_grant", "there is nobody behind this grant any more")
        standing = self._core.standing(uow, subject, registered, now=uow.now)
        until = access_token_until(standing.tier, consent_until=standing.consent_until, now=uow.now)
        shared = {
            "iss": self._core.public_url,
            "sub": subject.sub,
            "iat": _seconds(uow.now),
            "exp": _seconds(until),
            "auth_time": _seconds(family.auth_time),
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
                "aud": list(family.resources),
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
            ends = self._live_family(uow, family).expires_at
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
            expires_in=max(0, _seconds(until) - _seconds(uow.now)),
            scope=scope,
            refresh_token=refresh,
            id_token=id_token,
        )

    def _live_family(self, uow: UnitOfWork, family: Family) -> Family:
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


def end_family(uow: UnitOfWork, core: Core, family: Family, *, reason: str) -> None:
    """Revoke a family inside the caller's transaction, set its tokens' status bits and say so."""
    uow.save(family.revoke(now=uow.now))
    for issued in uow.select(IssuedToken, family_id=family.id):
        if issued.expires_at > uow.now:
            uow.save(replace(issued, revoked_at=uow.now, withdrawn=True))
    registered = core.registration(uow, family.client_id)
    operator_id, client_id = registered.operator.id, family.client_id
    uow.state(
        NewFact(
            kind=FactKind.TOKEN_FAMILY_REVOKED,
            operator_id=operator_id,
            client_id=client_id,
            data={"reason": reason},
        )
    )
    subject = uow.find(Subject, family.subject_id)
    core.tell(
        uow,
        EventType.TOKEN_REVOKED,
        operator_id=operator_id,
        client_id=client_id,
        sub=subject.sub if subject else None,
        state=reason,
    )


def spend_tokens(uow: UnitOfWork, consent: Consent) -> None:
    """Set the status bit of every token that carried this grant.

    The tokens themselves stay known.
    """
    for issued in uow.select(IssuedToken, record=consent.id):
        if issued.expires_at > uow.now and not issued.withdrawn:
            uow.save(replace(issued, withdrawn=True))


def s256(verifier: str) -> str:
    """RFC 7636, 4.2."""
    hashed = hashlib.sha256(verifier.encode("ascii", errors="replace")).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def _narrowed(allowed: str, wanted: str | None) -> str:
    if wanted is None:
        return allowed
    asked = wanted.split()
    if not asked or set(asked) - set(allowed.split()):
        raise GrantError("invalid_scope", "more was asked for than was granted")
    return " ".join(s for s in allowed.split() if s in asked)


def granted_scope(wanted: str | None) -> str:
    """The known client scopes among those asked for, in a fixed order.

    Strange ones are left out (RFC 6749, 3.3).
    """
    asked = set((wanted or "openid age consent").split())
    return " ".join(s for s in Scope if s in CLIENT_SCOPES and s in asked)


def _is_jwt(token: str) -> bool:
    return token.count(".") == _DOTS


def _is_younger(now: AgeTier, then: AgeTier | None) -> bool:
    tiers = list(AgeTier)
    return then is not None and tiers.index(now) < tiers.index(then)


def _is_of(credential: Credential | None, operator_id: OperatorId) -> bool:
    return credential is not None and credential.operator_id == operator_id


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
