"""Mailed links: itsdangerous around a random id, one salt per purpose."""

from __future__ import annotations

from hashlib import sha256

from itsdangerous import BadSignature, URLSafeSerializer

from agegate.domain.errors import LinkExpiredError

_LONGEST = 400


class SignedLinks:
    """The signature stops guessing before the database is asked.

    Expiry is kept with the link itself.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, purpose: str, id_: str) -> str:
        return self._serializer(purpose).dumps(id_)

    def read(self, purpose: str, text: str) -> str:
        if len(text) > _LONGEST or not text.isascii():
            raise LinkExpiredError("this link is not ours")
        try:
            id_ = self._serializer(purpose).loads(text)
        except BadSignature:
            raise LinkExpiredError("this link is not ours") from None
        if not isinstance(id_, str):
            raise LinkExpiredError("this link is not ours")
        return id_

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(
            self._key, salt=f"agegate.link.{purpose}", signer_kwargs={"digest_method": sha256}
        )
