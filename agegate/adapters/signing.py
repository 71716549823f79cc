"""ES256 signatures by joserfc over the keys in the store."""

from __future__ import annotations

import json
import threading
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from agegate.domain.errors import UnavailableError
from agegate.domain.keys import KeyState, SigningKey
from agegate.domain.people import SealedText
from agegate.services.ports import Clock, Store

ALGORITHM: Final = "ES256"
_LONGEST_TOKEN: Final = 16_384
_DOTS: Final = 2
_FRESH_S: Final = 5.0


def new_signing_key(state: KeyState, *, clock: Clock) -> SigningKey:
    """A fresh P-256 key; its id is the RFC 7638 thumbprint."""
    key = ECKey.generate_key("P-256", private=True)
    kid = key.thumbprint()
    now = clock()
    return SigningKey(
        id=kid,
        state=state,
        public=json.dumps(_public(key, kid), sort_keys=True, separators=(",", ":")),
        private=SealedText(json.dumps(key.as_dict(private=True))),
        created_at=now,
        activated_at=now if state is KeyState.ACTIVE else None,
    )


class StoredKeySigner:
    """Signs with the one active key.

    Re-reads the keys every five seconds, so a rotation reaches every process.
    """

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: list[tuple[SigningKey, ECKey]] = []
        self._read_at: float | None = None

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        for stored, key in self._current():
            if stored.state is KeyState.ACTIVE:
                header = {"alg": ALGORITHM, "kid": stored.id, "typ": typ}
                body = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
                return jws.serialize_compact(header, body, key, algorithms=[ALGORITHM])
        raise UnavailableError("there is no active signing key")

    def verify(self, token: str, *, typ: str) -> dict[str, Any] | None:
        if len(token) > _LONGEST_TOKEN or token.count(".") != _DOTS or not token.isascii():
            return None
        try:
            header = jws.extract_compact(token.encode()).headers()
            key = self._find(header)
            if key is None or header.get("typ") != typ:
                return None
            payload = json.loads(
                jws.deserialize_compact(token, key, algorithms=[ALGORITHM]).payload
            )
        except (JoseError, ValueError, TypeError, KeyError):
            return None
        return payload if isinstance(payload, dict) else None

    def jwks(self) -> dict[str, Any]:
        return {"keys": [json.loads(stored.public) for stored, _ in self._current()]}

    def forget(self) -> None:
        """Read the keys anew at the next use."""
        self._read_at = None

    def _find(self, header: dict[str, Any]) -> ECKey | None:
        if header.get("alg") != ALGORITHM or set(header) - {"alg", "kid", "typ"}:
            return None
        return next(
            (key for stored, key in self._current() if stored.id == header.get("kid")), None
        )

    def _current(self) -> list[tuple[SigningKey, ECKey]]:
        now = self._clock().timestamp()
        if self._read_at is None or not 0 <= now - self._read_at < _FRESH_S:
            with self._store.read() as r:
                stored = r.select(SigningKey, order="created_at")
            with self._lock:
                known = {s.id: k for s, k in self._keys}
                self._keys = [
                    (s, known.get(s.id) or ECKey.import_key(json.loads(s.private.value)))
                    for s in stored
                ]
                self._read_at = now
        return self._keys


def _public(key: ECKey, kid: str) -> dict[str, Any]:
    members = key.as_dict(private=False)
    return {
        **{k: members[k] for k in ("kty", "crv", "x", "y")},
        "kid": kid,
        "use": "sig",
        "alg": ALGORITHM,
    }
