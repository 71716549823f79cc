"""An issuer for tests: its own key, tokens of any shape, and the three documents a guard reads."""

from __future__ import annotations

import base64
import json
import secrets
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from agegate.guard.testing.server import LoopbackServer
from agegate.wire import scopes
from agegate.wire.claims import AgeClaims, ConsentClaim
from agegate.wire.tiers import AgeTier, AssuranceLevel, ConsentState, MethodClass

PLACES: Final = 4096
STATUS_PATH: Final = f"{scopes.STATUS_LIST}/1"
_BOUNDS: Final[dict[AgeTier, tuple[int | None, int | None]]] = {
    AgeTier.CHILD: (None, 12),
    AgeTier.YOUNGER_TEEN: (13, 15),
    AgeTier.OLDER_TEEN: (16, 17),
    AgeTier.ADULT: (18, None),
}


class TokenMint:
    """Makes tokens that a `Guard` with the same issuer and audience accepts.

        mint = TokenMint()
        guard = Guard(issuer=mint.issuer, audience=mint.audience, transport=mint)

    It is a `Transport` itself, so nothing leaves the process; `serving()` gives one behind a real
    server. Faults: `faults[path] = (status, body)` answers so (status 0: not at all), and `asked`
    lists the paths that were asked for.
    """

    def __init__(
        self,
        *,
        issuer: str = "https://age.test",
        audience: str = "https://api.storybuddy.test",
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the edge: here the clock comes in
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.clock = clock
        self.faults: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._bits = bytearray(PLACES // 8)
        self._next_idx = 0
        self.kid = ""
        self.rotate()

    @classmethod
    @contextmanager
    def serving(cls, **options: Any) -> Iterator[TokenMint]:
        """A mint behind a real server on loopback, whose address is the issuer."""
        mint = cls(**options)
        with LoopbackServer(mint._serve) as server:
            mint.issuer = server.url
            yield mint

    @property
    def status_uri(self) -> str:
        return f"{self.issuer}{STATUS_PATH}"

    def token(
        self,
        tier: AgeTier | str = AgeTier.CHILD,
        *,
        purposes: Collection[str] = ("ai_chat",),
        state: ConsentState | str | None = None,
        subject: str = "pairwise-subject-of-tests",
        lifetime_s: int = 300,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """A fresh token with its own place in the status list.

        `claims` and `header` replace single members; None removes one. Without `state` a minor's
        consent is granted for `purposes`, an adult needs none.
        """
        now = int(self.clock())
        tier = AgeTier(tier)
        body = {
            "iss": self.issuer,
            "sub": subject,
            "aud": [self.audience],
            "client_id": "storybuddy-web",
            "iat": now,
            "exp": now + lifetime_s,
            "jti": secrets.token_urlsafe(12),
            "auth_time": now,
            "scope": "openid age consent",
            **_age_claims(tier, tuple(purposes), state, until=now + 86_400).to_json(),
            "status": {"status_list": {"idx": self._next_idx % PLACES, "uri": self.status_uri}},
        }
        self._next_idx += 1
        head = {"alg": "ES256", "typ": scopes.TOKEN_TYPE_ACCESS, "kid": self.kid}
        return self.sign(_changed(head, header), _changed(body, claims))

    def sign(self, header: Mapping[str, Any], payload: Mapping[str, Any] | bytes) -> str:
        """Any header over any payload, signed with the key of today."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        signing_input = f"{_base64(json.dumps(header).encode())}.{_base64(body)}"
        der = self._keys[self.kid].sign(signing_input.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der)
        return f"{signing_input}.{_base64(r.to_bytes(32) + s.to_bytes(32))}"

    def revoke(self, token: str) -> None:
        """Set the token's bit, as the service does on withdrawal, revocation and erasure."""
        payload = token.split(".")[1]
        body = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        idx = body["status"]["status_list"]["idx"]
        self._bits[idx // 8] |= 1 << idx % 8

    def rotate(self, *, keep: bool = True) -> str:
        """A new signing key; the old ones stay published unless `keep` is false. Gives its kid."""
        if not keep:
            self._keys.clear()
        self.kid = secrets.token_urlsafe(8)
        self._keys[self.kid] = ec.generate_private_key(ec.SECP256R1())
        return self.kid

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The key of today, for forging with other tools."""
        return self._keys[self.kid]

    def jwks(self) -> dict[str, Any]:
        return {"keys": [_jwk(kid, key) for kid, key in self._keys.items()]}

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}{scopes.JWKS}",
            "authorization_endpoint": f"{self.issuer}{scopes.AUTHORIZE}",
            "token_endpoint": f"{self.issuer}{scopes.TOKEN}",
            "response_types_supported": ["code"],
        }

    def status_list(self, **claims: Any) -> str:
        """The Status List Token of now; `claims` replace single members."""
        now = int(self.clock())
        header = {"alg": "ES256", "typ": scopes.TOKEN_TYPE_STATUS_LIST, "kid": self.kid}
        body = {
            "iss": self.issuer,
            "sub": self.status_uri,
            "iat": now,
            "exp": now + 60,
            "ttl": 15,
            "status_list": {"bits": 1, "lst": _base64(zlib.compress(bytes(self._bits), 9))},
        }
        return self.sign(header, _changed(body, claims))

    def get(self, url: str) -> tuple[int, bytes]:
        """`Transport.get`: straight from here."""
        path = url.removeprefix(self.issuer)
        self.asked.append(path)
        if path in self.faults:
            return self.faults[path]
        if path == scopes.SERVER_METADATA:
            return 200, json.dumps(self.metadata()).encode()
        if path == scopes.JWKS:
            return 200, json.dumps(self.jwks()).encode()
        if path == STATUS_PATH:
            return 200, self.status_list().encode()
        return 404, b"{}"

    async def aget(self, url: str) -> tuple[int, bytes]:
        """`Transport.aget`: the same."""
        return self.get(url)

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        status, body = self.get(self.issuer + request.path)
        if status == 0:
            request.close_connection = True
            return
        request.send_response(status)
        is_list = request.path == STATUS_PATH
        kind = "application/statuslist+jwt" if is_list else "application/json"
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110 section 15.4
            request.send_header("Location", self.issuer + scopes.JWKS)
        request.end_headers()
        request.wfile.write(body)


def _age_claims(
    tier: AgeTier, purposes: tuple[str, ...], state: ConsentState | str | None, *, until: int
) -> AgeClaims:
    default = ConsentState.GRANTED if tier.is_minor else ConsentState.NOT_REQUIRED
    chosen = ConsentState(state or default)
    granted = chosen is ConsentState.GRANTED
    free = chosen is ConsentState.NOT_REQUIRED
    consent = ConsentClaim(
        state=chosen,
        purposes=purposes if granted else (),
        record=None if free else "cr_test",
        practices=None if free else "sha256:test",
        until=until if granted else None,
    )
    lower, upper = _BOUNDS[tier]
    return AgeClaims(
        age_tier=tier,
        lower=lower,
        upper=upper,
        acr=AssuranceLevel.ASSERTED,
        amr=(MethodClass.SELF_DECLARATION,),
        jurisdiction="US-IL",
        rules_version="2026-11-01",
        consent=consent,
    )


def _changed(base: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {k: v for k, v in {**base, **(changes or {})}.items() if v is not None}


def _jwk(kid: str, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    point = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
        "kid": kid,
        "x": _base64(point.x.to_bytes(32)),
        "y": _base64(point.y.to_bytes(32)),
    }


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
