"""Every reason to refuse, one class each. A caller catches `NotAllowedError` and reads `.code`.

The sentences are fixed: no token, no claim and no personal data can reach them. `status` and
`error_type` are what an HTTP answer in the shape of Anthropic's errors carries: 401 asks for
another token, 403 means no, 503 means that we cannot know right now (which is also a no).
"""

from __future__ import annotations

from typing import ClassVar


class NotAllowedError(Exception):
    """The guard says no. `code` is stable and public; the message is safe to log."""

    code: ClassVar[str] = "not_allowed"
    sentence: ClassVar[str] = "This is not allowed."
    status: ClassVar[int] = 403
    error_type: ClassVar[str] = "permission_error"

    def __init__(self) -> None:
        super().__init__(f"{self.sentence} [{self.code}]")


class TokenError(NotAllowedError):
    """The token does not count; another one may."""

    code = "token_invalid"
    sentence = "The age token is not valid."
    status = 401
    error_type = "authentication_error"


class TokenMissingError(TokenError):
    code = "token_missing"
    sentence = "There is no age token."


class TokenMalformedError(TokenError):
    code = "token_malformed"
    sentence = "The age token is not a compact JWT of acceptable size."


class TokenHeaderError(TokenError):
    """RFC 8725 sections 3.1 and 3.11: we choose algorithm and type; no key comes from a header."""

    code = "token_header"
    sentence = "The age token's header is not that of an ES256 access token (RFC 9068)."


class TokenKeyUnknownError(TokenError):
    code = "token_key_unknown"
    sentence = "The age token names a key that the issuer does not publish."


class TokenSignatureError(TokenError):
    code = "token_signature"
    sentence = "The age token's signature does not verify."


class TokenIssuerError(TokenError):
    code = "token_issuer"
    sentence = "The age token comes from another issuer."


class TokenAudienceError(TokenError):
    code = "token_audience"
    sentence = "The age token is meant for another audience."


class TokenExpiredError(TokenError):
    code = "token_expired"
    sentence = "The age token is over; refresh it."


class TokenNotYetValidError(TokenError):
    code = "token_not_yet_valid"
    sentence = "The age token lies in the future; compare the clocks."


class TokenClaimsError(TokenError):
    code = "token_claims"
    sentence = "The age token lacks a claim or has one of the wrong kind."


class TokenBoundError(TokenError):
    """RFC 9449, RFC 8705: a bound token without its proof is no better than a stolen one."""

    code = "token_bound"
    sentence = "The age token is bound to a key; the guard accepts bearer tokens only."


class TokenRevokedError(TokenError):
    code = "token_revoked"
    sentence = "The age token no longer stands; refresh it to learn why."


class ContextMissingError(NotAllowedError):
    """Also what a thread that lost its context gets: a lost context is a no, never a default."""

    code = "context_missing"
    sentence = "No age context is in force here; use `with context:` or `guard.bind`."
    status = 401
    error_type = "authentication_error"


class ContextForeignError(NotAllowedError):
    code = "context_foreign"
    sentence = "The age context was made by a guard for another issuer or audience."


class ConsentError(NotAllowedError):
    """A parent's decision does not cover this, now."""

    code = "consent_missing"
    sentence = "There is no consent for this."


class ConsentRequiredError(ConsentError):
    code = "consent_required"
    sentence = "A parent has not been asked yet."


class ConsentPendingError(ConsentError):
    code = "consent_pending"
    sentence = "A parent has been asked and has not decided yet."


class ConsentDeniedError(ConsentError):
    code = "consent_denied"
    sentence = "A parent said no."


class ConsentWithdrawnError(ConsentError):
    code = "consent_withdrawn"
    sentence = "A parent has taken the consent back."


class ConsentRevokedError(ConsentError):
    code = "consent_revoked"
    sentence = "The consent was ended."


class ConsentExpiredError(ConsentError):
    code = "consent_expired"
    sentence = "The consent is over."


class ConsentStaleError(ConsentError):
    code = "consent_stale"
    sentence = "The operator's practices changed since the consent; a parent must be asked again."


class PurposeNotGrantedError(ConsentError):
    code = "purpose_not_granted"
    sentence = "The consent does not cover a purpose that this needs."


class PurposeNotNamedError(NotAllowedError):
    code = "purpose_not_named"
    sentence = "No purpose was named, neither for the check nor for the client."


class SurfaceDeniedError(NotAllowedError):
    code = "surface_denied"
    sentence = "This part of the API, or of the request, is not offered to minors."


class IssuerError(NotAllowedError):
    """We cannot know, so the answer is no. Trying again later may help."""

    code = "issuer_unavailable"
    sentence = "The issuer's answer is not available."
    status = 503
    error_type = "overloaded_error"


class IssuerUnreachableError(IssuerError):
    code = "issuer_unreachable"
    sentence = "The issuer cannot be reached and nothing fresh enough is held."


class IssuerInvalidError(IssuerError):
    code = "issuer_invalid"
    sentence = "The issuer's metadata, keys or status list are not acceptable."
