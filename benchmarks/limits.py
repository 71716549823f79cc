"""What this machine, this server and Flask could do at most: nothing here decides anything."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from flask import Flask, Response, abort, jsonify, request

ES256 = ec.ECDSA(hashes.SHA256())
KEY_ENV = "BENCH_PUBLIC_KEY"
AUTHORIZATION_ENV = "BENCH_AUTHORIZATION"


def hello(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """The least that a WSGI server can be asked for."""
    environ["wsgi.input"].read()
    body = b'{"active":true}\n'
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def bare_flask() -> Flask:
    """One Flask view with a cache of verified tokens: no database, so nothing can be withdrawn."""
    app = Flask("limit")
    key = read_key(json.loads(os.environ[KEY_ENV]))
    wanted = hashlib.sha256(os.environ[AUTHORIZATION_ENV].encode()).digest()
    verified: dict[bytes, dict[str, Any]] = {}

    @app.post("/oauth/introspect")
    def introspect() -> Response:
        given = hashlib.sha256(request.headers["Authorization"].encode()).digest()
        if not hmac.compare_digest(given, wanted):
            abort(401)
        token = request.form["token"]
        name = hashlib.sha256(token.encode()).digest()
        claims = verified.get(name)
        if claims is None:
            claims = verified[name] = verify(token, key)
        if claims["exp"] <= time.time():
            return jsonify(active=False)
        return jsonify(active=True, **claims)

    return app


def read_key(jwk: dict[str, str]) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(decoded(jwk[name])) for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def verify(token: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """Nothing but the signature. Raises `InvalidSignature`."""
    signed, _, signature = token.rpartition(".")
    raw = decoded(signature)
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    key.verify(encode_dss_signature(r, s), signed.encode(), ES256)
    claims: dict[str, Any] = json.loads(decoded(signed.partition(".")[2]))
    return claims


def sign(claims: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """Nothing but the signature."""
    header = encoded(b'{"alg":"ES256","typ":"at+jwt","kid":"x"}')
    signed = f"{header}.{encoded(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ES256))
    return f"{signed}.{encoded(r.to_bytes(32) + s.to_bytes(32))}"


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
