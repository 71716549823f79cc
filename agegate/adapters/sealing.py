"""Encryption and keyed hashing under one secret.

A separate key for each use, by HKDF (RFC 5869).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agegate.domain.errors import ConfigurationError
from agegate.domain.ids import Digest

_VERSION: Final = b"\x01"
_NONCE: Final = 12
_SHORTEST: Final = 1 + _NONCE + 16  # version, nonce and the tag of an empty text


class KeyedSealer:
    """AES-256-GCM with the place of a value as associated data, so a swapped cell does not open.

    `secret` is `AGEGATE_SECRET_KEY`. Losing it loses what was sealed; changing it does too.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._cipher = AESGCM(self.key("columns"))
        self._indexes: dict[str, bytes] = {}

    def key(self, use: str) -> bytes:
        """32 bytes for one use; knowing one key tells nothing of another."""
        return HKDF(
            algorithm=SHA256(), length=32, salt=None, info=b"agegate/" + use.encode()
        ).derive(self._secret)

    def seal(self, data: bytes, *, context: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, data, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        if sealed[:1] != _VERSION or len(sealed) < _SHORTEST:
            raise ConfigurationError("a sealed value has an unknown form")
        nonce, body = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            return self._cipher.decrypt(nonce, body, context.encode())
        except InvalidTag:
            raise ConfigurationError(
                "a sealed value does not open: AGEGATE_SECRET_KEY is not the one it was sealed with"
            ) from None

    def index(self, value: str, *, use: str) -> Digest:
        key = self._indexes.get(use)
        if key is None:
            key = self._indexes[use] = self.key("index/" + use)
        return Digest(hmac.new(key, value.encode(), hashlib.sha256).hexdigest())
