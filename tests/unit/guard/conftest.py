"""An issuer in the process, a guard that knows only it, a fake Claude, and a movable clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import anthropic
import pytest

from agegate.guard import AgeContext, Guard
from agegate.guard.testing import FakeClaude, TokenMint
from agegate.wire.tiers import AgeTier


@dataclass
class MovableClock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def mint(clock: MovableClock) -> TokenMint:
    return TokenMint(clock=clock)


@pytest.fixture
def guard(mint: TokenMint, clock: MovableClock) -> Guard:
    return Guard(issuer=mint.issuer, audience=mint.audience, transport=mint, clock=clock)


@pytest.fixture
def claude() -> Iterator[FakeClaude]:
    with FakeClaude() as fake:
        yield fake


@pytest.fixture
def plain(claude: FakeClaude) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=claude.url, api_key="test", max_retries=2) as client:
        yield client


@pytest.fixture
def client(guard: Guard, plain: anthropic.Anthropic) -> anthropic.Anthropic:
    return guard.claude(plain)


@pytest.fixture
def child(guard: Guard, mint: TokenMint) -> AgeContext:
    return guard.check(mint.token(subject="pairwise-1"), purposes=["ai_chat"])


@pytest.fixture
def adult(guard: Guard, mint: TokenMint) -> AgeContext:
    return guard.check(mint.token(AgeTier.ADULT, subject="pairwise-2"), purposes=["ai_chat"])
