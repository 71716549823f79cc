"""The story teller: the only place where the app calls Claude, and always through the guard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anthropic
from anthropic.types import MessageParam

from agegate.guard import Guard

PURPOSE: Final = "ai_chat"
AUDIENCE: Final = "https://api.storybuddy.example"
_MAX_TOKENS: Final = 400
_REMEMBERED: Final = 8
_TIMEOUT_S: Final = 60.0
_SYSTEM: Final = (
    "You write stories together with a reader. Write the next part of the story in at most six "
    "short sentences, warm and easy to read, and end with a question about what happens next."
)


class SilentError(Exception):
    """Claude did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One turn of a story: what the reader asked for, and what was written."""

    wish: str
    text: str


class Teller:
    """`base_url` leads to the local stand-in; None means the real Claude, with its API key."""

    def __init__(self, *, issuer: str, base_url: str | None, model: str) -> None:
        self.is_real = base_url is None
        self._model = model
        # Two seconds instead of fifteen, so that a visitor sees a withdrawal work at once.
        self._guard = Guard(issuer=issuer, audience=AUDIENCE, freshness_s=2)
        plain = (
            anthropic.Anthropic(timeout=_TIMEOUT_S)
            if base_url is None
            else anthropic.Anthropic(base_url=base_url, api_key="local", timeout=_TIMEOUT_S)
        )
        self._claude = self._guard.claude(plain)

    def tell(self, token: str, wish: str, before: Sequence[Part]) -> str:
        """The next part. Raises `agegate.guard.NotAllowedError`, `SilentError`."""
        context = self._guard.check(token, purposes=[PURPOSE])
        messages: list[MessageParam] = []
        for part in before[-_REMEMBERED:]:
            messages.append({"role": "user", "content": part.wish})
            messages.append({"role": "assistant", "content": part.text})
        messages.append({"role": "user", "content": wish})
        try:
            with context:
                answer = self._claude.messages.create(
                    model=self._model, max_tokens=_MAX_TOKENS, system=_SYSTEM, messages=messages
                )
        except anthropic.AnthropicError:
            raise SilentError from None
        return "".join(block.text for block in answer.content if block.type == "text").strip()
