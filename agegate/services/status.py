"""Token Status Lists (IETF draft-ietf-oauth-status-list).

One signed bit a token, for those who check offline.
"""

from __future__ import annotations

import base64
import threading
import zlib
from dataclasses import dataclass
from typing import Any, Final

from agegate.domain.grants import STATUS_PLACES, IssuedToken
from agegate.services.core import Core
from agegate.services.ports import TokenSigner
from agegate.wire.scopes import STATUS_LIST, TOKEN_TYPE_STATUS_LIST

TTL_S: Final = 15
"""How long a verifier may trust a list: the longest that a withdrawal stays unseen offline."""
_REBUILD_S: Final = 1.0
_MOST_LISTS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusList:
    token: str
    built_at: float


class StatusService:
    def __init__(self, core: Core, signer: TokenSigner) -> None:
        self._core = core
        self._signer = signer
        self._lock = threading.Lock()
        self._lists: dict[int, StatusList] = {}

    def token(self, list_id: int) -> str:
        """The signed list, built at most once a second.

        A number nobody uses gives a list of zeros, so that
        nothing can be learned from asking.
        """
        now = self._core.now().timestamp()
        known = self._lists.get(list_id)
        if known is not None and 0 <= now - known.built_at < _REBUILD_S:
            return known.token
        with self._lock:
            token = self._build(list_id, int(now))
            if len(self._lists) > _MOST_LISTS:
                self._lists.clear()
            self._lists[list_id] = StatusList(token=token, built_at=now)
            return token

    def _build(self, list_id: int, now: int) -> str:
        bits = bytearray(STATUS_PLACES // 8)
        with self._core.store.read() as r:
            for issued in r.select(IssuedToken, list_id=list_id, withdrawn=True):
                if issued.idx is not None:
                    bits[issued.idx >> 3] |= 1 << (
                        issued.idx & 7
                    )  # section 4.1: least significant bit first
        claims: dict[str, Any] = {
            "iss": self._core.public_url,
            "sub": f"{self._core.public_url}{STATUS_LIST}/{list_id}",
            "iat": now,
            "exp": now + 4 * TTL_S,
            "ttl": TTL_S,
            "status_list": {"bits": 1, "lst": _pack(bytes(bits))},
        }
        return self._signer.sign(claims, typ=TOKEN_TYPE_STATUS_LIST)


def _pack(bits: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(bits, 9)).rstrip(b"=").decode()
