"""Which tokens still stand: Token Status Lists, held briefly (draft-ietf-oauth-status-list)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agegate.guard.context import StatusRef
from agegate.guard.core.fetch import Answer, Steps, get
from agegate.guard.core.keyring import CALM_PAUSE_S, FAILURE_PAUSE_S, Keyring
from agegate.guard.errors import (
    IssuerError,
    IssuerInvalidError,
    IssuerUnreachableError,
    TokenError,
    TokenRevokedError,
)
from agegate.guard.token import StatusList, parse_status_list, parse_status_token, verify_signature

MAX_LISTS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    list: StatusList
    at: float
    fresh_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    error: IssuerError
    at: float


class Statuses:
    """Status lists by address. Entries are replaced whole, so threads may share it."""

    def __init__(
        self, *, issuer: str, keyring: Keyring, freshness_s: float, clock: Callable[[], float]
    ) -> None:
        self._issuer = issuer
        self._keyring = keyring
        self._freshness_s = freshness_s
        self._clock = clock
        self._lists: dict[str, _Held] = {}
        self._failures: dict[str, _Failed] = {}

    def require_standing(self, ref: StatusRef, *, tolerance_s: float) -> Steps[None]:
        """Raises `TokenRevokedError` when the bit is set, `IssuerError` when we cannot know.

        A list older than `freshness_s` or its own `ttl` is fetched anew; when that fails, the
        old one counts until it is `tolerance_s` old.
        """
        held = self._lists.get(ref.uri)
        if held is None or not self._is_young(held, held.fresh_s, now=self._clock()):
            usable = held is not None and self._is_young(held, tolerance_s, now=self._clock())
            yield from self._try_refresh(ref.uri, CALM_PAUSE_S if usable else FAILURE_PAUSE_S)
            held = self._lists.get(ref.uri)
        if held is None or not self._is_young(held, tolerance_s, now=self._clock()):
            failed = self._failures.get(ref.uri)
            raise type(failed.error if failed else IssuerUnreachableError())
        if held.list.is_set(ref.idx):
            raise TokenRevokedError

    def stands(self, ref: StatusRef, *, now: float) -> bool:
        """Whether a list that needs no asking says that the token stands."""
        held = self._lists.get(ref.uri)
        if held is None or not self._is_young(held, held.fresh_s, now=now):
            return False
        return held.list.covers(ref.idx) and not held.list.is_set(ref.idx)

    def _is_young(self, held: _Held, limit_s: float, *, now: float) -> bool:
        return 0 <= now - held.at <= limit_s and now < held.list.over_at

    def _try_refresh(self, uri: str, pause_s: float) -> Steps[None]:
        failed = self._failures.get(uri)
        if failed is not None and 0 <= self._clock() - failed.at < pause_s:
            return
        try:
            answer = yield from get(uri)
            held = self._lists.get(uri)
            # Threads that waited for one fetch all get its answer; one of them unpacks it.
            if held is None or held.at != answer.at:
                self._lists[uri] = yield from self._parse(uri, answer)
            self._failures.pop(uri, None)
        except IssuerError as error:
            self._failures[uri] = _Failed(error=error, at=self._clock())
        except TokenError:
            self._failures[uri] = _Failed(error=IssuerInvalidError(), at=self._clock())
        _bound(self._lists)
        _bound(self._failures)

    def _parse(self, uri: str, answer: Answer) -> Steps[_Held]:
        jws = parse_status_token(answer.body)
        key = yield from self._keyring.find(jws.kid)
        raw = verify_signature(jws, key)
        if raw.get("iss", self._issuer) != self._issuer:
            raise IssuerInvalidError
        bits = parse_status_list(raw, uri=uri, now=self._clock(), default_ttl=self._freshness_s)
        fresh_s = min(bits.ttl, self._freshness_s)
        return _Held(list=bits, at=answer.at, fresh_s=fresh_s)


def _bound(entries: dict[str, _Held] | dict[str, _Failed]) -> None:
    while len(entries) > MAX_LISTS:
        entries.pop(next(iter(tuple(entries))), None)
