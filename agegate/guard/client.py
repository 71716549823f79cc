"""The guard: carries bytes between the decisions and the network, and says no out loud.

One class for sync and async code, because both must share one set of keys and status lists:
`check` and `acheck`, `recheck` and `arecheck` differ in how they wait and in nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from agegate.guard.context import AgeContext, Decision, bind, in_force
from agegate.guard.core.fetch import Answer, Steps
from agegate.guard.core.verify import Verifier
from agegate.guard.transport import NOTHING, HttpTransport, Transport, require_issuer_address

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("agegate.guard")

MAX_FRESHNESS_S: Final = 15
"""A withdrawal must take effect within this time for minors, whatever a caller configures."""
MIN_KEY_BYTES: Final = 16
SHARED_S: Final = 1
_KEPT_ANSWERS: Final = 8


class GuardClient:
    """Checks age tokens for one audience against one issuer. Safe to share between threads.

    Nothing is fetched before the first check. Keyword arguments:

    - `issuer`: exactly as in its metadata; https, or plain http to loopback.
    - `audience`: the `aud` that tokens for this service carry.
    - `freshness_s`: seconds after which a status list is asked for again; at most 15.
    - `transport`: replaces the network (`agegate.guard.transport.Transport`).
    - `clock`: seconds since the epoch.
    - `user_id_key`: at least 16 secret bytes that key the pseudonymous `metadata.user_id`. Without
      it a key is derived from issuer and audience: stable, not secret.
    - `provider_prompt`: a safety prompt that the model's provider supplied, put first, verbatim.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        freshness_s: float = MAX_FRESHNESS_S,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the edge: here the clock comes in
        user_id_key: bytes | None = None,
        provider_prompt: str | None = None,
    ) -> None:
        require_issuer_address(issuer)
        if not audience:
            raise ValueError("audience must not be empty")
        if not 0 < freshness_s <= MAX_FRESHNESS_S:
            raise ValueError(f"freshness_s must lie above 0 and not above {MAX_FRESHNESS_S}")
        if user_id_key is not None and len(user_id_key) < MIN_KEY_BYTES:
            raise ValueError(f"user_id_key must have at least {MIN_KEY_BYTES} bytes")
        self._transport: Transport = HttpTransport() if transport is None else transport
        self._clock = clock
        self._user_id_key = (
            user_id_key
            or hashlib.sha256(f"agegate.guard user id v1|{issuer}|{audience}".encode()).digest()
        )
        self.provider_prompt = provider_prompt
        self._verifier = Verifier(
            issuer=issuer, audience=audience, freshness_s=freshness_s, clock=clock
        )
        self._lock = threading.Lock()
        self._loop_locks: WeakKeyDictionary[
            AbstractEventLoop, AbstractAsyncContextManager[None]
        ] = WeakKeyDictionary()
        self._answers: dict[str, tuple[float, Answer]] = {}

    def check(self, token: str | None, *, purposes: Collection[str] = ()) -> AgeContext:
        """What `token` stands for, if it stands and its consent covers every one of `purposes`.

        Raises a subclass of `NotAllowedError` for every refusal.
        """
        wanted = require_names(purposes)
        context = self._verifier.known(token, wanted)
        if context is not None:
            return _agreed(context)
        return _conclude("check", self._run(self._verifier.check(token, wanted)))

    async def acheck(self, token: str | None, *, purposes: Collection[str] = ()) -> AgeContext:
        """`check` for async code; the same errors. Waits on asyncio."""
        wanted = require_names(purposes)
        context = self._verifier.known(token, wanted)
        if context is not None:
            return _agreed(context)
        return _conclude("check", await self._arun(self._verifier.check(token, wanted)))

    def recheck(self, *, purposes: Collection[str] = ()) -> AgeContext:
        """Whether everybody in force may still go on; the context that governs.

        Without `purposes`, those that each context was checked for, and at least one. Raises a
        subclass of `NotAllowedError`.
        """
        steps = self._verifier.recheck(in_force(), require_names(purposes))
        return _conclude("call", self._run(steps))

    async def arecheck(self, *, purposes: Collection[str] = ()) -> AgeContext:
        """`recheck` for async code; the same errors."""
        steps = self._verifier.recheck(in_force(), require_names(purposes))
        return _conclude("call", await self._arun(steps))

    def bind(self, fn: Callable[P, R]) -> Callable[P, R]:
        """`fn`, to be called in another thread, with the context in force here and now."""
        return bind(fn)

    def user_id(self, context: AgeContext) -> str:
        """The pseudonym for the model's provider: 64 hex digits, joinable by nobody but us."""
        return hmac.new(self._user_id_key, context.subject.encode(), hashlib.sha256).hexdigest()

    def _run(self, steps: Steps[Decision]) -> Decision:
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(self._fetch(wanted.url))
        except StopIteration as stop:
            return _decision(stop)

    async def _arun(self, steps: Steps[Decision]) -> Decision:
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(await self._afetch(wanted.url))
        except StopIteration as stop:
            return _decision(stop)

    def _fetch(self, url: str) -> Answer:
        with self._lock:
            shared = self._shared(url)
            if shared is not None:
                return shared
            at = self._clock()
            try:
                status, body = self._transport.get(url)
            except Exception:  # noqa: BLE001 - whatever a transport raises, there is no answer
                status, body = NOTHING
            return self._keep(url, Answer(status=status, body=body, at=at))

    async def _afetch(self, url: str) -> Answer:
        async with self._loop_lock():
            shared = self._shared(url)
            if shared is not None:
                return shared
            at = self._clock()
            try:
                status, body = await self._transport.aget(url)
            except Exception:  # noqa: BLE001 - whatever a transport raises, there is no answer
                status, body = NOTHING
            return self._keep(url, Answer(status=status, body=body, at=at))

    def _shared(self, url: str) -> Answer | None:
        """The answer that came while we waited for our turn: a crowd costs one request.

        It keeps the time at which it was asked for, so sharing makes nothing look fresher.
        """
        done, answer = self._answers.get(url, (float("-inf"), None))
        return answer if 0 <= self._clock() - done < SHARED_S else None

    def _keep(self, url: str, answer: Answer) -> Answer:
        if len(self._answers) >= _KEPT_ANSWERS:
            self._answers = {}
        self._answers[url] = (self._clock(), answer)
        return answer

    def _loop_lock(self) -> AbstractAsyncContextManager[None]:
        import asyncio

        loop = asyncio.get_running_loop()
        return self._loop_locks.setdefault(loop, asyncio.Lock())


def require_names(purposes: Collection[str]) -> tuple[str, ...]:
    """The purposes as they are kept. Raises `TypeError` for what is no list of names."""
    # A bare string is a collection of its letters; the types cannot tell the two apart.
    if isinstance(purposes, str) or not all(purposes):
        raise TypeError('purposes must be a list of names, like ["ai_chat"]')
    return tuple(purposes)


def _decision(stop: StopIteration) -> Decision:
    decision = stop.value
    if not isinstance(decision, Decision):  # pragma: no cover - the types say so already
        raise TypeError("a decision")
    return decision


def _conclude(stage: str, decision: Decision) -> AgeContext:
    """Write the one log line of a decision, then give the context or raise the refusal.

    The line holds no token, no subject and no text: tier, record and rules version only.
    """
    level = logging.WARNING if decision.context is None else logging.INFO
    if log.isEnabledFor(level):
        fields = _fields(stage, decision)
        log.log(level, "%s", json.dumps(fields), extra={"agegate": fields})
    if decision.context is None:
        raise decision.refusal or RuntimeError("a decision is a context or a refusal")
    return decision.context


def _agreed(context: AgeContext) -> AgeContext:
    """`_conclude` for the short way, which costs little unless somebody reads the log."""
    if log.isEnabledFor(logging.INFO):
        return _conclude("check", Decision(context=context, claims=context.claims))
    return context


def _fields(stage: str, decision: Decision) -> dict[str, str | None]:
    refusal, claims = decision.refusal, decision.claims
    return {
        "stage": stage,
        "decision": "refused" if decision.context is None else "allowed",
        "code": "ok" if refusal is None else refusal.code,
        "tier": claims.age_tier.value if claims else None,
        "record": claims.consent.record if claims else None,
        "rules_version": claims.rules_version if claims else None,
    }
