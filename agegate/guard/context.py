"""What is known about the people on the other side, and for how long it holds.

The context in force travels in a context variable. Python carries it into tasks, but not into
threads: there it is lost, and a lost context is a refusal. `bind` carries it on purpose.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NoReturn, ParamSpec, Self, TypeVar, cast

from agegate.guard.errors import ContextMissingError, NotAllowedError
from agegate.wire.claims import AgeClaims
from agegate.wire.tiers import AgeTier

P = ParamSpec("P")
R = TypeVar("R")

_STRICTNESS: Final = {tier: rank for rank, tier in enumerate(AgeTier)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRef:
    """Where a token's bit stands: `status_list` of the Token Status List specification."""

    uri: str
    idx: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class AgeContext:
    """One verified token: who may do what, and until when.

    `purposes` are those the context was checked for. `subject` is the pairwise id. `expires_at`
    is in seconds since the epoch. `with context:` puts it in force; inside one another, contexts
    add up to a shared conversation, in which the strictest participant governs.
    """

    tier: AgeTier
    claims: AgeClaims
    subject: str
    client_id: str
    purposes: tuple[str, ...]
    expires_at: int
    issuer: str
    audience: str
    key: tuple[str, int, int]
    status: StatusRef
    clock: Callable[[], float]

    @property
    def record(self) -> str | None:
        """The consent record, to show or to look up; not a secret."""
        return self.claims.consent.record

    @property
    def is_minor(self) -> bool:
        return self.tier.is_minor

    def allows(self, purpose: str) -> bool:
        """Whether the token, as it was issued, covers `purpose` now.

        Asks nobody: a withdrawal since then shows at the next `check` or call.
        """
        now = self.clock()
        return now < self.expires_at and self.claims.consent.allows(purpose, now=now)

    def __enter__(self) -> Self:
        _in_force.set((*_in_force.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stack = list(_in_force.get())
        for place in reversed(range(len(stack))):
            if stack[place] is self:
                del stack[place]
                break
        _in_force.set(tuple(stack))

    def __repr__(self) -> str:
        return f"<AgeContext {self.tier.value}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an AgeContext does not leave its process; send the token and check it there"
        )

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            "an AgeContext does not leave its process; send the token and check it there"
        )


_in_force: ContextVar[tuple[AgeContext, ...]] = ContextVar("agegate_in_force", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome of one question: a context or a refusal, and the claims for the log line."""

    context: AgeContext | None = None
    refusal: NotAllowedError | None = None
    claims: AgeClaims | None = None


def in_force() -> tuple[AgeContext, ...]:
    """The participants of the conversation at hand, outermost first; empty when there is none."""
    return _in_force.get()


def strictest(participants: tuple[AgeContext, ...]) -> AgeContext:
    """The participant who governs: the youngest tier. Raises `ContextMissingError` on nobody."""
    if not participants:
        raise ContextMissingError
    return min(participants, key=lambda one: _STRICTNESS[one.tier])


def bind(fn: Callable[P, R]) -> Callable[P, R]:
    """`fn`, to be called in another thread, with the context in force here and now.

    Raises `ContextMissingError` when none is in force, `TypeError` for a generator function,
    whose body would run after the context is put back.
    """
    participants = _in_force.get()
    if not participants:
        raise ContextMissingError
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError("bind takes a function or a coroutine function, not a generator")
    if inspect.iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def carry_async(*args: Any, **kwargs: Any) -> Any:
            before = _in_force.set(participants)
            try:
                return await fn(*args, **kwargs)
            finally:
                _in_force.reset(before)

        return cast("Callable[P, R]", carry_async)

    @functools.wraps(fn)
    def carry(*args: P.args, **kwargs: P.kwargs) -> R:
        before = _in_force.set(participants)
        try:
            return fn(*args, **kwargs)
        finally:
            _in_force.reset(before)

    return carry
