"""Who is present, who governs, and what happens when nobody knows any more."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agegate.guard import AgeContext, ContextMissingError, Guard, NotAllowedError, bind
from agegate.guard.context import in_force, strictest
from agegate.guard.testing import TokenMint
from agegate.wire.tiers import AgeTier
from tests.unit.guard.conftest import MovableClock

Check = Callable[..., AgeContext]


@pytest.fixture
def check(guard: Guard, mint: TokenMint) -> Check:
    def make(
        tier: AgeTier = AgeTier.CHILD, *, purposes: tuple[str, ...] = ("ai_chat",)
    ) -> AgeContext:
        return guard.check(mint.token(tier), purposes=purposes)

    return make


def test_repr_shows_the_tier_only(check: Check) -> None:
    assert repr(check()) == "<AgeContext child>"
    assert f"{check(AgeTier.ADULT)}" == "<AgeContext adult>"


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_context_does_not_leave_its_process(check: Check, way: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="send the token"):
        way(check())


def test_a_context_cannot_be_changed(check: Check) -> None:
    with pytest.raises(AttributeError):
        check().tier = AgeTier.ADULT  # type: ignore[misc]  # that it is refused is the point


def test_without_a_context_the_answer_is_no(guard: Guard) -> None:
    with pytest.raises(ContextMissingError):
        guard.recheck()
    with pytest.raises(ContextMissingError):
        strictest(())


def test_a_context_is_in_force_inside_with_and_not_after_it(guard: Guard, check: Check) -> None:
    context = check()
    with context as entered:
        assert entered is context
        assert guard.recheck() is context
    assert in_force() == ()


def test_a_context_is_gone_after_an_exception(check: Check) -> None:
    with pytest.raises(KeyError), check():
        raise KeyError
    assert in_force() == ()


@pytest.mark.parametrize(
    ("tiers", "governs"),
    [
        ((AgeTier.ADULT, AgeTier.CHILD), AgeTier.CHILD),
        ((AgeTier.CHILD, AgeTier.ADULT), AgeTier.CHILD),
        ((AgeTier.OLDER_TEEN, AgeTier.YOUNGER_TEEN), AgeTier.YOUNGER_TEEN),
        ((AgeTier.ADULT, AgeTier.ADULT), AgeTier.ADULT),
    ],
)
def test_the_strictest_participant_governs(
    guard: Guard, check: Check, tiers: tuple[AgeTier, AgeTier], governs: AgeTier
) -> None:
    first, second = map(check, tiers)
    with first:
        with second:
            assert guard.recheck().tier is governs
        assert guard.recheck() is first


def test_everybody_present_must_still_be_allowed(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    leaving = mint.token(AgeTier.OLDER_TEEN)
    with (
        guard.check(mint.token(), purposes=["ai_chat"]),
        guard.check(leaving, purposes=["ai_chat"]),
    ):
        assert guard.recheck().tier is AgeTier.CHILD
        mint.revoke(leaving)
        clock.advance(16)
        with pytest.raises(NotAllowedError) as told:
            guard.recheck()
        assert told.value.code == "token_revoked"


def test_a_purpose_that_was_never_named_is_never_assumed(guard: Guard, check: Check) -> None:
    with check(purposes=()):
        with pytest.raises(NotAllowedError) as told:
            guard.recheck()
        assert told.value.code == "purpose_not_named"
        assert guard.recheck(purposes=["ai_chat"]).tier is AgeTier.CHILD
        with pytest.raises(NotAllowedError) as told:
            guard.recheck(purposes=["ads"])
        assert told.value.code == "purpose_not_granted"


@pytest.mark.parametrize("change", [{"issuer": "https://b.test"}, {"audience": "https://b.test"}])
def test_a_context_of_another_guard_does_not_count(
    guard: Guard, clock: MovableClock, change: dict[str, str]
) -> None:
    other = TokenMint(clock=clock, **change)
    theirs = Guard(issuer=other.issuer, audience=other.audience, transport=other, clock=clock)
    with theirs.check(other.token(), purposes=["ai_chat"]):
        assert theirs.recheck().tier is AgeTier.CHILD
        with pytest.raises(NotAllowedError) as told:
            guard.recheck()
    assert told.value.code == "context_foreign"


def test_a_thread_without_bind_has_lost_its_context(guard: Guard, check: Check) -> None:
    with check(), ThreadPoolExecutor(1) as pool, pytest.raises(ContextMissingError):
        pool.submit(guard.recheck).result()


def test_bind_carries_the_context_into_a_thread_and_takes_it_out_again(
    guard: Guard, check: Check
) -> None:
    context = check()
    with ThreadPoolExecutor(1) as pool:
        with context:
            bound = guard.bind(guard.recheck)
        assert pool.submit(bound).result() is context
        assert pool.submit(in_force).result() == ()
    assert in_force() == ()


def test_bind_carries_the_context_into_a_coroutine(guard: Guard, check: Check) -> None:
    context = check()
    with context:
        bound = bind(guard.arecheck)
    assert asyncio.run(bound()) is context
    assert in_force() == ()


def test_bind_without_a_context_is_a_refusal(guard: Guard) -> None:
    with pytest.raises(ContextMissingError):
        guard.bind(print)


def test_bind_takes_no_generators(guard: Guard, check: Check) -> None:
    def lazy() -> Iterator[int]:
        yield 1

    async def lazy_async() -> AsyncIterator[int]:
        yield 1

    with check():
        with pytest.raises(TypeError, match="generator"):
            guard.bind(lazy)
        with pytest.raises(TypeError, match="generator"):
            guard.bind(lazy_async)


def test_contexts_may_end_in_any_order(check: Check) -> None:
    first, second = check(), check(AgeTier.ADULT)
    with first:
        second.__enter__()
        first.__exit__(None, None, None)
        assert in_force() == (second,)
        second.__exit__(None, None, None)
    assert in_force() == ()


def test_tasks_keep_their_own_contexts(guard: Guard, check: Check) -> None:
    child, adult = check(), check(AgeTier.ADULT)

    async def talk(context: AgeContext) -> AgeTier:
        with context:
            await asyncio.sleep(0)
            return (await guard.arecheck()).tier

    async def both() -> list[AgeTier]:
        return list(await asyncio.gather(talk(child), talk(adult)))

    assert asyncio.run(both()) == [AgeTier.CHILD, AgeTier.ADULT]


def test_to_thread_keeps_the_context_and_an_executor_does_not(guard: Guard, check: Check) -> None:
    context = check()

    async def carried() -> AgeContext:
        with context:
            return await asyncio.to_thread(guard.recheck)

    async def lost() -> AgeContext:
        with context:
            return await asyncio.get_running_loop().run_in_executor(None, guard.recheck)

    assert asyncio.run(carried()) is context
    with pytest.raises(ContextMissingError):
        asyncio.run(lost())


def test_a_context_left_elsewhere_does_not_take_others_along(check: Check) -> None:
    inner, outer = check(), check(AgeTier.ADULT)
    errors: list[BaseException] = []

    def leave() -> None:
        try:
            inner.__exit__(None, None, None)
        except BaseException as error:  # noqa: BLE001 - carried to the test's own thread
            errors.append(error)

    with outer, inner:
        thread = threading.Thread(target=leave)
        thread.start()
        thread.join()
        assert in_force() == (outer, inner)
    assert errors == []
