"""Random ids and secrets."""

from __future__ import annotations

import secrets


def new_id(prefix: str) -> str:
    """`prefix_` and 160 random bits in base32-like lower case.

    Safe in URLs, file names and logs.
    """
    return f"{prefix}_{secrets.token_hex(20)}"


def new_secret() -> str:
    """256 random bits for a machine, base64url."""
    return secrets.token_urlsafe(32)
