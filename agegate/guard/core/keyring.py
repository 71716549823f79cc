"""The issuer's keys: learned once, refreshed now and then, kept for a while when it is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from agegate.guard.core.fetch import Steps, get
from agegate.guard.errors import IssuerError, IssuerUnreachableError, TokenKeyUnknownError
from agegate.guard.token import VerifyKey, parse_keys, parse_metadata
from agegate.wire.scopes import SERVER_METADATA

REFRESH_S: Final = 300
"""Keys older than this are asked for again."""
STALE_S: Final = 3600
"""Keys older than this count no more, reachable issuer or not."""
UNKNOWN_KID_PAUSE_S: Final = 10
"""Made-up key ids cost the issuer one request in this time, not one each."""
FAILURE_PAUSE_S: Final = 1
CALM_PAUSE_S: Final = 10
"""An issuer that is away need not slow down callers who still have what they need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    keys: Mapping[str, VerifyKey]
    at: float


class Keyring:
    """Verification keys by `kid`. Replaces its whole state at once, so threads may share it."""

    def __init__(self, *, issuer: str, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._clock = clock
        self._held: _Held | None = None
        self._failure: IssuerError | None = None
        self._tried_at = float("-inf")

    def find(self, kid: str) -> Steps[VerifyKey]:
        """The key, fetched when it must be. Raises `TokenKeyUnknownError`, `IssuerError`."""
        if self._is_due(kid):
            try:
                yield from self._refresh()
                self._failure = None
            except IssuerError as error:
                self._failure = error
            self._tried_at = self._clock()
        held = self._held
        if held is None or not 0 <= self._clock() - held.at <= STALE_S:
            raise type(self._failure or IssuerUnreachableError())
        if kid not in held.keys:
            raise TokenKeyUnknownError
        return held.keys[kid]

    def holds(self, identity: tuple[str, int, int], *, now: float) -> bool:
        """Whether this very key is among those held, fresh enough that nobody need ask."""
        held = self._held
        if held is None or not 0 <= now - held.at <= REFRESH_S:
            return False
        key = held.keys.get(identity[0])
        return key is not None and key.identity == identity

    def _is_due(self, kid: str) -> bool:
        now, held = self._clock(), self._held
        usable = held is not None and 0 <= now - held.at <= STALE_S
        calm = self._failure is not None and usable
        if 0 <= now - self._tried_at < (CALM_PAUSE_S if calm else FAILURE_PAUSE_S):
            return False
        if held is None or not 0 <= now - held.at <= REFRESH_S:
            return True
        return kid not in held.keys and not 0 <= now - self._tried_at < UNKNOWN_KID_PAUSE_S

    def _refresh(self) -> Steps[None]:
        metadata = yield from get(metadata_url(self._issuer))
        answer = yield from get(parse_metadata(metadata.body, issuer=self._issuer))
        self._held = _Held(keys=parse_keys(answer.body), at=metadata.at)


def metadata_url(issuer: str) -> str:
    """RFC 8414 section 3.1: the well-known part goes between the host and the issuer's path."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}{SERVER_METADATA}{parts.path}"
