"""Tokens that must not count, and what is said of each: RFC 7519, RFC 8725, RFC 9068."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from agegate.guard import (
    ConsentError,
    Guard,
    NotAllowedError,
    TokenError,
    TokenMalformedError,
    errors,
)
from agegate.guard.testing import TokenMint
from agegate.wire.tiers import AgeTier, ConsentState
from tests.unit.guard.conftest import MovableClock

Forge = Callable[[TokenMint], object]


def refusal(guard: Guard, token: Any, *purposes: str) -> NotAllowedError:
    """The refusal, which must be the same for sync and async callers."""
    with pytest.raises(NotAllowedError) as told:
        guard.check(token, purposes=purposes)
    with pytest.raises(NotAllowedError) as told_async:
        asyncio.run(guard.acheck(token, purposes=purposes))
    assert type(told.value) is type(told_async.value)
    return told.value


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(mint: TokenMint) -> tuple[dict[str, Any], str]:
    header, payload, _ = mint.token().split(".")
    return json.loads(base64.urlsafe_b64decode(header + "==")), payload


def _alg_none(mint: TokenMint) -> str:
    header, payload = _parts(mint)
    return f"{_b64(json.dumps({**header, 'alg': 'none'}).encode())}.{payload}."


def _alg_none_with_signature(mint: TokenMint) -> str:
    return mint.token(header={"alg": "none"})


def _hs256_with_the_public_key(mint: TokenMint) -> str:
    header, payload = _parts(mint)
    pem = mint.private_key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{_b64(json.dumps({**header, 'alg': 'HS256'}).encode())}.{payload}"
    return f"{signed}.{_b64(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"


def _another_key_same_kid(mint: TokenMint) -> str:
    other = TokenMint(issuer=mint.issuer, audience=mint.audience, clock=mint.clock)
    return other.token(header={"kid": mint.kid})


def _embedded_key(mint: TokenMint) -> str:
    other = TokenMint(issuer=mint.issuer, audience=mint.audience, clock=mint.clock)
    return other.token(header={"kid": mint.kid, "jwk": other.jwks()["keys"][0]})


def _changed_payload(mint: TokenMint) -> str:
    header, _, signature = mint.token().split(".")
    _, payload, _ = mint.token(AgeTier.ADULT).split(".")
    return f"{header}.{payload}.{signature}"


def _der_signature(mint: TokenMint) -> str:
    token = mint.token()
    key = ECKey.import_key(mint.jwks()["keys"][0])
    assert jwt.decode(token, key, algorithms=["ES256"]).claims["age_tier"] == "child"
    return token[:-4]


def _header(**header: Any) -> Forge:
    return lambda mint: mint.token(header=header)


def _claims(**claims: Any) -> Forge:
    return lambda mint: mint.token(claims=claims)


def _raw(payload: bytes) -> Forge:
    def forge(mint: TokenMint) -> str:
        return mint.sign({"alg": "ES256", "typ": "at+jwt", "kid": mint.kid}, payload)

    return forge


def _consent(**members: Any) -> Forge:
    return _claims(consent={"state": "granted", "purposes": ["ai_chat"], **members})


def _status(**members: Any) -> Forge:
    def forge(mint: TokenMint) -> str:
        entry = {"idx": 1, "uri": mint.status_uri, **members}
        return mint.token(claims={"status": {"status_list": entry}})

    return forge


_NOW = 1_800_000_000
FORGED: list[tuple[str, Forge, str]] = [
    ("absent", lambda _: None, "token_missing"),
    ("empty", lambda _: "", "token_missing"),
    ("not text", lambda mint: mint.token().encode(), "token_malformed"),
    ("oversize", lambda mint: mint.token(claims={"x": "x" * 9000}), "token_malformed"),
    ("huge", lambda _: "a." * 5_000_000, "token_malformed"),
    ("two segments", lambda mint: mint.token().rpartition(".")[0], "token_malformed"),
    ("four segments", lambda mint: mint.token() + ".x", "token_malformed"),
    ("blank after it", lambda mint: mint.token() + "\n", "token_malformed"),
    ("padding", lambda mint: mint.token() + "=", "token_malformed"),
    ("not base64", lambda _: "a.b.c", "token_malformed"),
    ("not ASCII", lambda mint: mint.token() + "é", "token_malformed"),
    ("lone surrogate", lambda mint: mint.token() + "\ud800", "token_malformed"),
    ("header is a list", lambda mint: _b64(b"[]") + mint.token()[9:], "token_malformed"),
    ("payload is a list", _raw(b"[]"), "token_malformed"),
    ("payload is deep", _raw(b"[" * 5000), "token_malformed"),
    ("doubled claim", _raw(b'{"iss":"a","iss":"b"}'), "token_malformed"),
    ("not a number", _raw(b'{"exp":NaN}'), "token_malformed"),
    ("endless number", _raw(b'{"exp":' + b"9" * 5000 + b"}"), "token_malformed"),
    ("not UTF-8", _raw(b'{"iss":"\xff"}'), "token_malformed"),
    ("alg none", _alg_none, "token_malformed"),
    ("alg none, signed", _alg_none_with_signature, "token_header"),
    ("HS256 with the public key", _hs256_with_the_public_key, "token_header"),
    ("another algorithm", _header(alg="ES384"), "token_header"),
    ("a list of algorithms", _header(alg=["ES256"]), "token_header"),
    ("an ID token", _header(typ="JWT"), "token_header"),
    ("a status list", _header(typ="statuslist+jwt"), "token_header"),
    ("no typ", _header(typ=None), "token_header"),
    ("typ is a number", _header(typ=1), "token_header"),
    ("embedded key", _embedded_key, "token_header"),
    ("jku", _header(jku="https://evil.example/jwks"), "token_header"),
    ("x5u", _header(x5u="https://evil.example/cert"), "token_header"),
    ("crit", _header(crit=["exp"]), "token_header"),
    ("unencoded payload", _header(b64=False), "token_header"),
    ("no kid", _header(kid=None), "token_header"),
    ("kid is a list", _header(kid=["a"]), "token_header"),
    ("kid is a path", _header(kid="../../dev/null"), "token_key_unknown"),
    ("kid unknown", _header(kid="nobody"), "token_key_unknown"),
    ("another key, same kid", _another_key_same_kid, "token_signature"),
    ("changed payload", _changed_payload, "token_signature"),
    ("signature too short", _der_signature, "token_signature"),
    (
        "signature of zeros",
        lambda m: f"{m.token().rpartition('.')[0]}.{_b64(bytes(64))}",
        "token_signature",
    ),
    ("another issuer", _claims(iss="https://evil.example"), "token_issuer"),
    ("issuer with a slash", _claims(iss="https://age.test/"), "token_issuer"),
    ("no issuer", _claims(iss=None), "token_issuer"),
    ("another audience", _claims(aud=["https://other.example"]), "token_audience"),
    ("no audience", _claims(aud=None), "token_audience"),
    ("audience is a part", _claims(aud="https://api.storybuddy.test.evil"), "token_audience"),
    ("audience holds a number", _claims(aud=["https://api.storybuddy.test", 1]), "token_audience"),
    ("bound to a key", _claims(cnf={"jkt": "x"}), "token_bound"),
    ("expired", _claims(iat=_NOW - 300, exp=_NOW), "token_expired"),
    ("not before later", _claims(nbf=_NOW + 61), "token_not_yet_valid"),
    ("issued later", _claims(iat=_NOW + 61, exp=_NOW + 300), "token_not_yet_valid"),
    ("lives too long for a minor", _claims(exp=_NOW + 301), "token_claims"),
    ("over before it began", _claims(iat=_NOW + 30, exp=_NOW + 30), "token_claims"),
    ("exp is text", _claims(exp=str(_NOW + 60)), "token_claims"),
    ("exp is true", _claims(exp=True), "token_claims"),
    ("no exp", _claims(exp=None), "token_claims"),
    ("no iat", _claims(iat=None), "token_claims"),
    ("no sub", _claims(sub=None), "token_claims"),
    ("sub is a number", _claims(sub=7), "token_claims"),
    ("no jti", _claims(jti=None), "token_claims"),
    ("no client", _claims(client_id=None), "token_claims"),
    ("no tier", _claims(age_tier=None), "token_claims"),
    ("unknown tier", _claims(age_tier="unknown"), "token_claims"),
    ("tier is a list", _claims(age_tier=["adult"]), "token_claims"),
    ("no range", _claims(age_range=None), "token_claims"),
    ("no consent", _claims(consent=None), "token_claims"),
    ("consent is a list", _claims(consent=["granted"]), "token_claims"),
    ("consent state unknown", _consent(state="maybe"), "token_claims"),
    ("purposes is text", _consent(purposes="ai_chat"), "token_claims"),
    ("purposes hold a list", _consent(purposes=[["ai_chat"]]), "token_claims"),
    ("until is text", _consent(until="tomorrow"), "token_claims"),
    ("no status", _claims(status=None), "token_claims"),
    ("status elsewhere", _status(uri="https://evil.example/list"), "token_claims"),
    ("status at a lookalike", _status(uri="https://age.test.evil/list"), "token_claims"),
    ("status index is true", _status(idx=True), "token_claims"),
    ("status index below zero", _status(idx=-1), "token_claims"),
    ("status index beyond the list", _status(idx=4096), "issuer_invalid"),
    ("a service's token", _claims(age_tier=None, age_range=None, consent=None), "token_claims"),
]


@pytest.mark.parametrize(
    ("forge", "code"), [pytest.param(forge, code, id=name) for name, forge, code in FORGED]
)
def test_a_forged_token_is_refused_with_its_code(
    guard: Guard, mint: TokenMint, forge: Forge, code: str
) -> None:
    token = forge(mint)
    error = refusal(guard, token, "ai_chat")
    assert error.code == code
    if isinstance(token, str) and token:
        assert token[:40] not in str(error)
    assert "pairwise" not in str(error)
    assert error.__cause__ is None


def test_a_good_token_gives_its_tier_and_purposes(guard: Guard, mint: TokenMint) -> None:
    context = guard.check(mint.token(subject="p-1"), purposes=["ai_chat"])
    assert context.tier is AgeTier.CHILD
    assert context.purposes == ("ai_chat",)
    assert context.subject == "p-1"
    assert context.client_id == "storybuddy-web"
    assert context.record == "cr_test"
    assert context.allows("ai_chat")
    assert not context.allows("ads")
    assert context.expires_at == _NOW + 300


@pytest.mark.parametrize(
    "forge",
    [
        _claims(aud="https://api.storybuddy.test"),
        _claims(aud=["https://other.example", "https://api.storybuddy.test"]),
        _header(typ="application/at+jwt"),
        _claims(iat=_NOW + 60, exp=_NOW + 100),
        _claims(nbf=_NOW + 60),
        _claims(iss="https://age.test", unheard_of={"a": [1]}),
    ],
)
def test_a_token_within_the_standard_is_taken(guard: Guard, mint: TokenMint, forge: Forge) -> None:
    token = forge(mint)
    assert isinstance(token, str)
    assert guard.check(token, purposes=["ai_chat"]).tier is AgeTier.CHILD


def test_an_adult_token_may_live_fifteen_minutes(guard: Guard, mint: TokenMint) -> None:
    assert guard.check(mint.token(AgeTier.ADULT, lifetime_s=900)).tier is AgeTier.ADULT
    assert refusal(guard, mint.token(AgeTier.ADULT, lifetime_s=901)).code == "token_claims"


def test_a_token_signed_by_another_library_is_taken(guard: Guard, mint: TokenMint) -> None:
    _, payload = _parts(mint)
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    header = {"alg": "ES256", "typ": "at+jwt", "kid": mint.kid}
    token = jwt.encode(header, claims, ECKey.import_key(mint.private_key), algorithms=["ES256"])
    assert guard.check(token, purposes=["ai_chat"]).subject == claims["sub"]


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ConsentState.REQUIRED, "consent_required"),
        (ConsentState.PENDING, "consent_pending"),
        (ConsentState.DENIED, "consent_denied"),
        (ConsentState.WITHDRAWN, "consent_withdrawn"),
        (ConsentState.REVOKED, "consent_revoked"),
        (ConsentState.EXPIRED, "consent_expired"),
        (ConsentState.STALE, "consent_stale"),
    ],
)
def test_a_consent_that_does_not_stand_is_refused_by_name(
    guard: Guard, mint: TokenMint, state: ConsentState, code: str
) -> None:
    error = refusal(guard, mint.token(state=state), "ai_chat")
    assert isinstance(error, ConsentError)
    assert (error.code, error.status) == (code, 403)


def test_every_purpose_must_be_covered(guard: Guard, mint: TokenMint) -> None:
    token = mint.token(purposes=["ai_chat", "disclose:lab"])
    assert guard.check(token, purposes=["disclose:lab", "ai_chat"]).tier is AgeTier.CHILD
    assert refusal(guard, token, "ai_chat", "ads").code == "purpose_not_granted"


def test_consent_ends_at_its_until_to_the_second(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    consent = {"state": "granted", "purposes": ["ai_chat"], "until": _NOW + 10}
    token = mint.token(claims={"consent": consent})
    clock.advance(9.9)
    assert guard.check(token, purposes=["ai_chat"]).allows("ai_chat")
    clock.advance(0.1)
    assert refusal(guard, token, "ai_chat").code == "consent_expired"


def test_a_token_seen_before_still_ends_at_its_exp(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    token = mint.token()
    context = guard.check(token, purposes=["ai_chat"])
    clock.advance(299.9)
    assert guard.check(token, purposes=["ai_chat"]).allows("ai_chat")
    clock.advance(0.1)
    assert refusal(guard, token, "ai_chat").code == "token_expired"
    assert not context.allows("ai_chat")


def test_without_purposes_only_the_tier_is_told(guard: Guard, mint: TokenMint) -> None:
    context = guard.check(mint.token(state=ConsentState.PENDING))
    assert context.tier is AgeTier.CHILD
    assert not context.allows("ai_chat")


def test_adults_need_no_consent(guard: Guard, mint: TokenMint) -> None:
    assert guard.check(mint.token(AgeTier.ADULT), purposes=["ai_chat"]).allows("ai_chat")


@pytest.mark.parametrize("purposes", ["ai_chat", [""], ["ai_chat", ""]])
def test_purposes_that_are_no_list_of_names_are_a_mistake(
    guard: Guard, mint: TokenMint, purposes: Any
) -> None:
    with pytest.raises(TypeError, match="purposes"):
        guard.check(mint.token(), purposes=purposes)
    with pytest.raises(TypeError, match="purposes"):
        guard.claude(object(), purposes=purposes)
    with pytest.raises(TypeError, match="purposes"):
        guard.wsgi(lambda *_: [], purposes=purposes)


def test_a_token_seen_before_is_checked_anew_in_async_code(guard: Guard, mint: TokenMint) -> None:
    token = mint.token()
    first = guard.check(token, purposes=["ai_chat"])
    assert asyncio.run(guard.acheck(token, purposes=["ai_chat"])) is first
    assert len(mint.asked) == 3


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){2}"))
def test_no_text_but_a_token_is_a_token(text: str) -> None:
    mint = TokenMint()
    guard = Guard(issuer=mint.issuer, audience=mint.audience, transport=mint)
    with pytest.raises(TokenError):
        guard.check(text, purposes=["ai_chat"])


@given(st.data())
def test_any_changed_character_is_noticed(data: st.DataObject) -> None:
    mint = TokenMint()
    guard = Guard(issuer=mint.issuer, audience=mint.audience, transport=mint)
    token = mint.token()
    # The last character of a 64-byte signature carries four bits that mean nothing.
    place = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.sampled_from("ABCxyz019_-.").filter(lambda c: c != token[place]))
    with pytest.raises(NotAllowedError):
        guard.check(token[:place] + other + token[place + 1 :], purposes=["ai_chat"])


def test_every_refusal_has_its_own_code_and_a_plain_sentence() -> None:
    family = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, NotAllowedError)
    ]
    codes = [kind.code for kind in family]
    assert len(codes) == len(set(codes)) > 25
    for kind in family:
        assert str(kind()) == f"{kind.sentence} [{kind.code}]"
        assert kind.status in {401, 403, 503}
    assert issubclass(TokenMalformedError, TokenError)


def test_a_curve_that_is_not_ours_is_no_key(guard: Guard, mint: TokenMint) -> None:
    wrong = ECKey.import_key(ec.generate_private_key(ec.SECP384R1())).as_dict(private=False)
    keys = [{**wrong, "kid": mint.kid}, {"kty": "oct", "kid": mint.kid, "k": "AAAA"}, "x"]
    mint.faults["/oauth/jwks.json"] = (200, json.dumps({"keys": keys}).encode())
    assert refusal(guard, mint.token(), "ai_chat").code == "issuer_invalid"
