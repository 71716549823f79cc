"""May this request to the Claude API go out? For minors, what is not on a list is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agegate.guard.errors import SurfaceDeniedError

MESSAGES: Final = "/v1/messages"
COUNT_TOKENS: Final = "/v1/messages/count_tokens"

_BODY_NAMES: Final = frozenset(
    {
        "cache_control",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
"""No `thread`, `container`, `mcp_servers`, `fallbacks`, `user_profile_id`: state, code, the open
web or another model, where the guard does not see what a child gets."""

_ROLES: Final = frozenset({"user", "assistant"})
_BLOCKS: Final = frozenset({"text", "tool_use", "tool_result", "thinking", "redacted_thinking"})
"""Words and the app's own tools. Pictures, documents and sound need purposes of their own."""

PROFILE_HEADER: Final = "anthropic-user-profile-id"
STRIPPED_HEADERS: Final = frozenset({"anthropic-beta", PROFILE_HEADER})
"""Headers that switch on surfaces, or name the person to the provider; not for minors."""


def path_of(url: str) -> str:
    """The path to compare, exactly as given: what is spelt otherwise is another path."""
    return url.removesuffix("?beta=true")


def require_offered_to_minors(
    *, method: str, url: str, query: Mapping[str, object], body: object, has_other_content: bool
) -> None:
    """Raises `SurfaceDeniedError` unless this is a plain call of the Messages API."""
    if (
        method.upper() != "POST"
        or path_of(url) not in {MESSAGES, COUNT_TOKENS}
        or set(query) - {"beta"}
        or has_other_content
        or not isinstance(body, Mapping)
        or not set(body) <= _BODY_NAMES
    ):
        raise SurfaceDeniedError
    _require_own_tools(body.get("tools"))
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise SurfaceDeniedError
    for message in messages:
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            raise SurfaceDeniedError
        _require_blocks(message.get("content"))


def _require_own_tools(tools: object) -> None:
    """The app's own functions have no `type`, or `custom`; the provider's act on the open web."""
    if tools is None:
        return
    if not isinstance(tools, list):
        raise SurfaceDeniedError
    for tool in tools:
        if not isinstance(tool, Mapping) or tool.get("type", "custom") not in {None, "custom"}:
            raise SurfaceDeniedError


def _require_blocks(content: object) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise SurfaceDeniedError
    for block in content:
        if not isinstance(block, Mapping) or block.get("type") not in _BLOCKS:
            raise SurfaceDeniedError
        if block["type"] == "tool_result" and block.get("content") is not None:
            _require_blocks(block["content"])


def text_blocks(system: Any) -> list[dict[str, Any]]:
    """The app's own system prompt as blocks. Raises `SurfaceDeniedError` on anything but text."""
    if system is None:
        return []
    if isinstance(system, str):
        return [{"type": "text", "text": system}] if system else []
    if not isinstance(system, list | tuple) or not all(
        isinstance(block, Mapping) and block.get("type") == "text" for block in system
    ):
        raise SurfaceDeniedError
    return [dict(block) for block in system]
