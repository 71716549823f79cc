"""May this token do this, now? One state machine for sync, async, middleware and proxy alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from agegate.guard.context import AgeContext, Decision, strictest
from agegate.guard.core.fetch import Steps
from agegate.guard.core.keyring import Keyring
from agegate.guard.core.statuses import Statuses
from agegate.guard.errors import (
    ConsentDeniedError,
    ConsentError,
    ConsentExpiredError,
    ConsentPendingError,
    ConsentRequiredError,
    ConsentRevokedError,
    ConsentStaleError,
    ConsentWithdrawnError,
    ContextForeignError,
    NotAllowedError,
    PurposeNotGrantedError,
    PurposeNotNamedError,
    TokenExpiredError,
    TokenKeyUnknownError,
)
from agegate.guard.token import (
    MAX_TOKEN_CHARS,
    AccessToken,
    parse_access_token,
    parse_compact,
    require_time,
    verify_signature,
)
from agegate.wire.claims import ConsentClaim
from agegate.wire.tiers import ConsentState

CACHED_TOKENS: Final = 10_000
_Place = tuple[bytes, tuple[str, ...]]

ADULT_TOLERANCE_S: Final = 300
"""How long an adult's token stands on an old list while the issuer is away."""

_NO: Final[dict[ConsentState, type[ConsentError]]] = {
    ConsentState.REQUIRED: ConsentRequiredError,
    ConsentState.PENDING: ConsentPendingError,
    ConsentState.DENIED: ConsentDeniedError,
    ConsentState.WITHDRAWN: ConsentWithdrawnError,
    ConsentState.REVOKED: ConsentRevokedError,
    ConsentState.EXPIRED: ConsentExpiredError,
    ConsentState.STALE: ConsentStaleError,
}


class Verifier:
    """Everything the guard knows of its issuer, and the questions it answers with it."""

    def __init__(
        self, *, issuer: str, audience: str, freshness_s: float, clock: Callable[[], float]
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._freshness_s = freshness_s
        self._clock = clock
        self._keyring = Keyring(issuer=issuer, clock=clock)
        self._statuses = Statuses(
            issuer=issuer, keyring=self._keyring, freshness_s=freshness_s, clock=clock
        )
        self._cache = _TwoGenerations(CACHED_TOKENS)

    def known(self, token: object, purposes: tuple[str, ...]) -> AgeContext | None:
        """The answer for a token seen before, when everything behind it is fresh and well.

        The short way of `check`, which runs on every request: it can only say yes, and says
        nothing whenever it would have to fetch, refuse or think.
        """
        context = self._cache.get((_digest(token), purposes))
        if context is None:
            return None
        now, consent = self._clock(), context.claims.consent
        if (
            now < context.expires_at
            and all(consent.allows(purpose, now=now) for purpose in purposes)
            and self._keyring.holds(context.key, now=now)
            and self._statuses.stands(context.status, now=now)
        ):
            return context
        return None

    def check(self, token: object, purposes: tuple[str, ...]) -> Steps[Decision]:
        """A token's first and every later presentation. Never raises; refusals are values."""
        claims = None
        try:
            context = yield from self._verify(token, purposes)
            claims = context.claims
            yield from self._require(context, purposes)
        except NotAllowedError as refusal:
            return Decision(refusal=refusal, claims=claims)
        return Decision(context=context, claims=claims)

    def recheck(
        self, participants: tuple[AgeContext, ...], purposes: tuple[str, ...]
    ) -> Steps[Decision]:
        """Whether everybody present may still go on; answers with who governs.

        `purposes` empty means those that each context was checked for, at least one.
        """
        claims = None
        try:
            governing = strictest(participants)
            for one in participants:
                claims = one.claims
                yield from self._require_ours(one)
                needed = purposes or one.purposes
                if not needed:
                    raise PurposeNotNamedError
                yield from self._require(one, needed)
        except NotAllowedError as refusal:
            return Decision(refusal=refusal, claims=claims)
        return Decision(context=governing, claims=governing.claims)

    def _verify(self, token: object, purposes: tuple[str, ...]) -> Steps[AgeContext]:
        """Signature and claims, once for each token; status and consent are asked every time."""
        place = (_digest(token), purposes)
        held = self._cache.get(place)
        if held is not None:
            yield from self._require_key(held.key)
            return held
        jws = parse_compact(token)
        key = yield from self._keyring.find(jws.kid)
        parsed = parse_access_token(
            verify_signature(jws, key), key=key, issuer=self._issuer, audience=self._audience
        )
        require_time(parsed, now=self._clock())
        context = self._context(parsed, purposes)
        self._cache.put(place, context)
        return context

    def _require_key(self, identity: tuple[str, int, int]) -> Steps[None]:
        """A key that is gone takes the tokens it signed along."""
        found = yield from self._keyring.find(identity[0])
        if found.identity != identity:
            raise TokenKeyUnknownError

    def _require_ours(self, context: AgeContext) -> Steps[None]:
        if (context.issuer, context.audience) != (self._issuer, self._audience):
            raise ContextForeignError
        yield from self._require_key(context.key)

    def _require(self, context: AgeContext, purposes: tuple[str, ...]) -> Steps[None]:
        """Time, status and consent: what may change between two calls with one token."""
        minor = context.is_minor
        yield from self._statuses.require_standing(
            context.status, tolerance_s=self._freshness_s if minor else ADULT_TOLERANCE_S
        )
        now = self._clock()
        if now >= context.expires_at:
            raise TokenExpiredError
        for purpose in purposes:
            _require_purpose(context.claims.consent, purpose, now=now)

    def _context(self, token: AccessToken, purposes: tuple[str, ...]) -> AgeContext:
        return AgeContext(
            tier=token.claims.age_tier,
            claims=token.claims,
            subject=token.subject,
            client_id=token.client_id,
            purposes=purposes,
            expires_at=token.exp,
            issuer=self._issuer,
            audience=self._audience,
            key=token.key.identity,
            status=token.status,
            clock=self._clock,
        )


def _require_purpose(consent: ConsentClaim, purpose: str, *, now: float) -> None:
    if consent.allows(purpose, now=now):
        return
    if consent.state is not ConsentState.GRANTED:
        raise _NO.get(consent.state, ConsentError)
    if consent.until is not None and now >= consent.until:
        raise ConsentExpiredError
    raise PurposeNotGrantedError


def _digest(token: object) -> bytes:
    """Of the whole token, never a prefix: two tokens must not share an entry.

    What is longer than a token may be is cut one character later: cheap, and equal to no token.
    """
    text = token[: MAX_TOKEN_CHARS + 1] if isinstance(token, str) else ""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class _TwoGenerations:
    """A bounded cache that needs no lock: the older half goes when the younger one is full."""

    def __init__(self, size: int) -> None:
        self._half = size // 2
        self._young: dict[_Place, AgeContext] = {}
        self._old: dict[_Place, AgeContext] = {}

    def get(self, place: _Place) -> AgeContext | None:
        return self._young.get(place) or self._old.get(place)

    def put(self, place: _Place, context: AgeContext) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[place] = context
