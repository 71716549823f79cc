"""Read what the issuer signed: access tokens (RFC 9068) and status lists. Cheap checks first.

Signatures are verified with `cryptography` directly: one algorithm (ES256), one kind of key, no
key ever from a header. That is little code, and it imports in a tenth of a JOSE library's time.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from agegate.guard.context import StatusRef
from agegate.guard.errors import (
    IssuerInvalidError,
    TokenAudienceError,
    TokenBoundError,
    TokenClaimsError,
    TokenExpiredError,
    TokenHeaderError,
    TokenIssuerError,
    TokenMalformedError,
    TokenMissingError,
    TokenNotYetValidError,
    TokenSignatureError,
)
from agegate.wire.claims import AgeClaims, ClaimsError
from agegate.wire.scopes import TOKEN_TYPE_ACCESS, TOKEN_TYPE_STATUS_LIST

MAX_TOKEN_CHARS: Final = 8 * 1024
MAX_LIST_BYTES: Final = 1024 * 1024
"""A status list of 8,388,608 tokens; what unpacks to more is refused unread."""
MAX_KEYS: Final = 32
LEEWAY_S: Final = 60
"""How far two clocks may differ for `iat` and `nbf`. `exp` gets none: late is late."""
MAX_LIFETIME_S: Final = 15 * 60
MAX_LIFETIME_MINOR_S: Final = 5 * 60

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADER_NAMES: Final = frozenset({"alg", "typ", "kid"})
_P256_BYTES: Final = 32
_ES256: Final = ec.ECDSA(hashes.SHA256())
_MAX_NAME: Final = 512
_MAX_TIME: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyKey:
    """One published P-256 key. Equal when the point is, whatever object holds it."""

    kid: str
    identity: tuple[str, int, int]
    public: ec.EllipticCurvePublicKey = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """A JWS taken apart, its signature not yet looked at."""

    kid: str
    signing_input: bytes
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AccessToken:
    """A token whose signature and claims stand. Times are seconds since the epoch."""

    key: VerifyKey
    claims: AgeClaims
    subject: str
    client_id: str
    iat: int
    nbf: int | None
    exp: int
    status: StatusRef


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StatusList:
    """The unpacked bits. `ttl` in seconds; `over_at` in seconds since the epoch."""

    bits: bytes
    ttl: float
    over_at: float

    def covers(self, idx: int) -> bool:
        return idx < 8 * len(self.bits)

    def is_set(self, idx: int) -> bool:
        """Whether the bit at `idx` is set. Raises `IssuerInvalidError` beyond the list's end."""
        if not self.covers(idx):
            raise IssuerInvalidError
        place, bit = divmod(idx, 8)
        return bool(self.bits[place] >> bit & 1)


def parse_compact(
    token: object, *, typ: str = TOKEN_TYPE_ACCESS, limit: int = MAX_TOKEN_CHARS
) -> Compact:
    """Take a compact JWS apart and refuse all but ES256 with a key named by `kid`.

    Raises `TokenMissingError`, `TokenMalformedError`, `TokenHeaderError`. RFC 8725, RFC 9068 2.1.
    """
    if token is None or token == "":
        raise TokenMissingError
    if not isinstance(token, str) or len(token) > limit:
        raise TokenMalformedError
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise TokenMalformedError
    kid = _kid(parts[1], typ)
    try:
        payload, signature = _unbase64(parts[2]), _unbase64(parts[3])
    except ValueError:
        raise TokenMalformedError from None
    signing_input = token[: parts.end(2)].encode("ascii")
    return Compact(kid=kid, signing_input=signing_input, payload=payload, signature=signature)


@lru_cache(maxsize=2 * MAX_KEYS)
def _kid(segment: str, typ: str) -> str:
    """The key that the header names. All tokens of one key share one header, letter by letter.

    Raises `TokenMalformedError`, `TokenHeaderError`.
    """
    try:
        header = _json_object(_unbase64(segment))
    except ValueError:
        raise TokenMalformedError from None
    kid = header.get("kid")
    # An allow-list: `crit`, `jku`, `jwk`, `x5u`, `b64` and whatever comes next fall out here.
    if (
        set(header) != _HEADER_NAMES
        or header["alg"] != "ES256"
        or not _is_name(kid)
        or not isinstance(header["typ"], str)
        or header["typ"].lower().removeprefix("application/") != typ
    ):
        raise TokenHeaderError
    return kid


def verify_signature(jws: Compact, key: VerifyKey) -> Mapping[str, Any]:
    """The payload, if `key` signed it. Raises `TokenSignatureError`, `TokenMalformedError`."""
    if len(jws.signature) != 2 * _P256_BYTES:
        raise TokenSignatureError
    r = int.from_bytes(jws.signature[:_P256_BYTES])
    s = int.from_bytes(jws.signature[_P256_BYTES:])
    try:
        key.public.verify(encode_dss_signature(r, s), jws.signing_input, _ES256)
    except InvalidSignature:
        raise TokenSignatureError from None
    try:
        return _json_object(jws.payload)
    except ValueError:
        raise TokenMalformedError from None


def parse_access_token(
    raw: Mapping[str, Any], *, key: VerifyKey, issuer: str, audience: str
) -> AccessToken:
    """The claims of a verified payload, strictly; the times are judged by `require_time`.

    Raises `TokenIssuerError`, `TokenAudienceError`, `TokenBoundError`, `TokenClaimsError`.
    """
    if raw.get("iss") != issuer:
        raise TokenIssuerError
    aud = raw.get("aud")
    audiences = aud if isinstance(aud, list) else [aud]
    if audience not in audiences or not all(isinstance(one, str) for one in audiences):
        raise TokenAudienceError
    if "cnf" in raw:
        raise TokenBoundError
    for name in ("sub", "client_id", "jti"):
        if not _is_name(raw.get(name)):
            raise TokenClaimsError
    try:
        claims = AgeClaims.parse(raw)
    except ClaimsError:
        raise TokenClaimsError from None
    iat, exp = _moment(raw.get("iat")), _moment(raw.get("exp"))
    lifetime = MAX_LIFETIME_MINOR_S if claims.age_tier.is_minor else MAX_LIFETIME_S
    if not 0 < exp - iat <= lifetime:
        raise TokenClaimsError
    return AccessToken(
        key=key,
        claims=claims,
        subject=raw["sub"],
        client_id=raw["client_id"],
        iat=iat,
        nbf=None if raw.get("nbf") is None else _moment(raw["nbf"]),
        exp=exp,
        status=_status_ref(raw.get("status"), issuer=issuer),
    )


def require_time(token: AccessToken, *, now: float) -> None:
    """Raises `TokenExpiredError`, `TokenNotYetValidError`. RFC 7519 sections 4.1.4 to 4.1.6."""
    if now >= token.exp:
        raise TokenExpiredError
    if max(token.iat, token.nbf or 0) > now + LEEWAY_S:
        raise TokenNotYetValidError


def parse_status_list(
    raw: Mapping[str, Any], *, uri: str, now: float, default_ttl: float
) -> StatusList:
    """The bits of a verified Status List Token. Raises `IssuerInvalidError`.

    `sub` must be the address it was fetched from; one bit a token; least significant bit first.
    """
    body = raw.get("status_list")
    if raw.get("sub") != uri or not isinstance(body, Mapping) or body.get("bits") != 1:
        raise IssuerInvalidError
    ttl, iat, exp = raw.get("ttl", default_ttl), raw.get("iat"), raw.get("exp")
    if not _is_number(ttl) or not _is_number(iat) or ttl <= 0 or iat > now + LEEWAY_S:
        raise IssuerInvalidError
    over_at = iat + ttl + LEEWAY_S if exp is None else exp
    if not _is_number(over_at) or over_at <= now or not isinstance(body.get("lst"), str):
        raise IssuerInvalidError
    try:
        packed = _unbase64(body["lst"])
        unpacker = zlib.decompressobj()
        bits = unpacker.decompress(packed, MAX_LIST_BYTES)
    except (ValueError, zlib.error):
        raise IssuerInvalidError from None
    # Not at its end means cut short, or a bomb that would go on beyond our bound.
    if not unpacker.eof or not bits:
        raise IssuerInvalidError
    return StatusList(bits=bits, ttl=float(ttl), over_at=float(over_at))


def parse_keys(body: bytes) -> Mapping[str, VerifyKey]:
    """The usable P-256 keys of a JWK Set (RFC 7517) by `kid`. Raises `IssuerInvalidError`."""
    try:
        raw = _json_object(body).get("keys")
    except ValueError:
        raise IssuerInvalidError from None
    if not isinstance(raw, list) or len(raw) > MAX_KEYS:
        raise IssuerInvalidError
    found: dict[str, VerifyKey] = {}
    for jwk in raw:
        key = _verify_key(jwk)
        if key is not None and found.setdefault(key.kid, key) != key:
            raise IssuerInvalidError
    if not found:
        raise IssuerInvalidError
    return found


def parse_metadata(body: bytes, *, issuer: str) -> str:
    """The `jwks_uri` of the metadata (RFC 8414 section 3.3). Raises `IssuerInvalidError`."""
    try:
        raw = _json_object(body)
    except ValueError:
        raise IssuerInvalidError from None
    address = raw.get("jwks_uri")
    if raw.get("issuer") != issuer or not _is_name(address) or not address.startswith(f"{issuer}/"):
        raise IssuerInvalidError
    return address


def parse_status_token(body: bytes) -> Compact:
    """A Status List Token taken apart. Raises `IssuerInvalidError`."""
    try:
        text = body.decode("ascii").strip()
        return parse_compact(text, typ=TOKEN_TYPE_STATUS_LIST, limit=2 * MAX_LIST_BYTES)
    except (UnicodeDecodeError, TokenMissingError, TokenMalformedError, TokenHeaderError):
        raise IssuerInvalidError from None


def _verify_key(jwk: Any) -> VerifyKey | None:
    """The key, or nothing for those of other kinds, which a JWK Set may well hold."""
    match jwk:
        case {"kty": "EC", "crv": "P-256", "kid": str(kid), "x": str(x), "y": str(y)} if (
            _is_name(kid)
            and "d" not in jwk
            and jwk.get("use", "sig") == "sig"
            and jwk.get("alg", "ES256") == "ES256"
        ):
            try:
                point = (int.from_bytes(_unbase64(x)), int.from_bytes(_unbase64(y)))
                public = ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()
            except ValueError:
                return None
            return VerifyKey(kid=kid, identity=(kid, *point), public=public)
        case _:
            return None


def _status_ref(raw: object, *, issuer: str) -> StatusRef:
    match raw:
        case {"status_list": {"idx": int(idx), "uri": str(uri)}} if (
            not isinstance(idx, bool)
            and 0 <= idx < 8 * MAX_LIST_BYTES
            and _is_name(uri)
            and uri.startswith(f"{issuer}/")
        ):
            return StatusRef(uri=uri, idx=idx)
        case _:
            raise TokenClaimsError


def _moment(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MAX_TIME:
        raise TokenClaimsError
    return value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_TIME


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME


def _unbase64(text: str) -> bytes:
    """RFC 4648 section 5 without padding. Raises `ValueError`."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError):
        raise ValueError("base64url") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("doubled name")
    return made


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


_STRICT_JSON: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)


def _json_object(data: bytes) -> dict[str, Any]:
    """One JSON object without doubled names or numbers that JSON does not have.

    Raises `ValueError`.
    """
    try:
        value = _STRICT_JSON.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of error for all callers
    return value
