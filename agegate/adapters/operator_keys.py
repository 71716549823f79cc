"""Public keys in an operator file, for `private_key_jwt` (RFC 7523)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

MAX_KEYS: Final = 10
MAX_MEMBER: Final = 200

_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
"""RFC 7518 section 6: members that only a private or symmetric key has."""
_KINDS: Final[Mapping[tuple[str, str], tuple[type[ECKey | OKPKey], str]]] = {
    ("EC", "P-256"): (ECKey, "ES256"),
    ("OKP", "Ed25519"): (OKPKey, "EdDSA"),
}
_KEPT: Final = ("kty", "crv", "x", "y", "kid", "alg", "use")


def check_jwks(jwks: Mapping[str, Any]) -> str:
    """Canonical JSON of the set, with public members only. Raises `ValueError` with a sentence."""
    if set(jwks) != {"keys"} or not isinstance(jwks["keys"], list):
        raise ValueError("must be written as { keys = [ … ] }")
    keys = jwks["keys"]
    if not 1 <= len(keys) <= MAX_KEYS:
        raise ValueError(f"must hold 1 to {MAX_KEYS} keys")
    problems = [
        f"key {number} {problem}"
        for number, key in enumerate(keys, 1)
        for problem in _problems(key, alone=len(keys) == 1)
    ]
    if problems:
        raise ValueError("; ".join(problems))
    ids = [key.get("kid") for key in keys]
    if len(set(ids)) < len(ids):
        raise ValueError("holds two keys with the same kid")
    kept = [{name: key[name] for name in _KEPT if name in key} for key in keys]
    return json.dumps({"keys": kept}, sort_keys=True, separators=(",", ":"))


def _problems(key: Any, *, alone: bool) -> Iterator[str]:
    if not isinstance(key, dict):
        yield "is not a table"
        return
    private = [name for name in _PRIVATE if name in key]
    if private:
        # The value is not repeated: this sentence may end in a log.
        yield (
            "is a private or shared key; it is known to whoever read this file, so make a new "
            "one and give only its public half"
        )
        return
    kind = _KINDS.get((str(key.get("kty")), str(key.get("crv"))))
    if kind is None:
        yield "must be EC with P-256 or OKP with Ed25519"
        return
    reader, algorithm = kind
    wrong = [n for n in _KEPT if n in key and not _is_short_text(key[n])]
    if wrong:
        yield f"has members that are no short text: {', '.join(wrong)}"
        return
    if key.get("alg", algorithm) != algorithm:
        yield f'must have alg "{algorithm}" or none'
    if key.get("use", "sig") != "sig":
        yield 'must have use "sig" or none'
    if not alone and "kid" not in key:
        yield "needs a kid, since there are several keys"
    try:
        reader.import_key({n: key[n] for n in ("kty", "crv", "x", "y") if n in key})
    except (JoseError, ValueError, TypeError, KeyError):
        yield "is damaged: x or y is no point of its curve"


def _is_short_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_MEMBER and value.isascii()
