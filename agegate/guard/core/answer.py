"""The guard's side of HTTP, whatever carries it: where the token stands and what a refusal says."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from agegate.guard.errors import NotAllowedError, TokenMalformedError

CONTEXT_KEY: Final = "agegate.context"
TOKEN_HEADER: Final = "X-AgeGate-Token"  # noqa: S105 - the name of a header


def choose_token(own: str | None, authorization: str | None) -> str | None:
    """Our header when it is there, else a bearer token. Raises `TokenMalformedError` on two."""
    if own is not None:
        # Servers join a doubled header with a comma, which no token holds.
        if "," in own:
            raise TokenMalformedError
        return own
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def error_body(refusal: NotAllowedError) -> bytes:
    """The refusal in the shape of Anthropic's errors, so that its SDKs raise their own types."""
    error = {"type": refusal.error_type, "message": str(refusal), "code": refusal.code}
    return json.dumps({"type": "error", "error": error}).encode()


def error_headers(refusal: NotAllowedError) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        # The SDKs would ask three times otherwise, and three times get the same no.
        ("x-should-retry", "false"),
    ]
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers.append(("WWW-Authenticate", 'Bearer error="invalid_token"'))
    return headers
