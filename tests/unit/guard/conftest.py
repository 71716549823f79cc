"""An issuer in the process, a guard that knows only it, and a clock that moves when told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agegate.guard import Guard
from agegate.guard.testing import FakeClaude, TokenMint


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
