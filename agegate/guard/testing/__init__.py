"""For the tests of those who use the guard: an issuer and a Claude that live on this machine.

`TokenMint` makes tokens and the documents behind them; `FakeClaude` answers like the Messages API,
records what arrived and fails as it is told. `python -m agegate.guard.testing` runs the fake.
"""

from __future__ import annotations

from agegate.guard.testing.fakeclaude import FakeClaude, Recorded, Reply
from agegate.guard.testing.mint import TokenMint

__all__ = ["FakeClaude", "Recorded", "Reply", "TokenMint"]
