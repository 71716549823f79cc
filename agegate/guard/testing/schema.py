"""What the Messages API takes, as far as a stand-in must know it to say no like the real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

VERSIONS: Final = frozenset({"2023-06-01", "2026-10-21"})
SAMPLING: Final = frozenset({"temperature", "top_p", "top_k"})
COUNT_NAMES: Final = frozenset(
    [
        "cache_control",
        "messages",
        "model",
        "output_config",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    ]
)
CREATE_NAMES: Final = COUNT_NAMES | frozenset(
    [
        "container",
        "diagnostics",
        "inference_geo",
        "max_tokens",
        "metadata",
        "service_tier",
        "stop_sequences",
        "stream",
    ]
)
BETA_NAMES: Final = frozenset(
    [
        "billing_policy",
        "compaction",
        "context_management",
        "fallback_credit_token",
        "fallbacks",
        "mcp_servers",
        "thread",
    ]
)
ROLES: Final = frozenset({"user", "assistant", "system"})
BLOCKS: Final = frozenset(
    [
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
        "search_result",
        "server_tool_use",
        "web_search_tool_result",
    ]
)
MAX_USER_ID_CHARS: Final = 256


class SchemaError(ValueError):
    """A body the API answers with 400; the message is what it would say."""


def require_body(body: object, *, version: str, counting: bool, beta: bool) -> Mapping[str, Any]:
    """The body, if the API of `version` takes it. Raises `SchemaError`."""
    if not isinstance(body, Mapping):
        raise SchemaError("The request body must be a JSON object")
    allowed = COUNT_NAMES if counting else CREATE_NAMES
    if beta:
        allowed |= BETA_NAMES
    if version == "2023-06-01":
        allowed |= SAMPLING
    for name in sorted(set(body) - allowed):
        raise SchemaError(f"{name}: Extra inputs are not permitted")
    _require(
        isinstance(body.get("model"), str) and bool(body.get("model")), "model: Field required"
    )
    if not counting:
        limit = body.get("max_tokens")
        whole = isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0
        _require(whole, "max_tokens: Field required")
        _require(isinstance(body.get("stream", False), bool), "stream: Input should be a boolean")
        _require_metadata(body.get("metadata"))
    _require_messages(body.get("messages"))
    system = body.get("system", "")
    if not isinstance(system, str):
        _require(isinstance(system, list), "system: Input should be a valid string or list")
        for block in system:
            _require(_is_block(block, {"text"}), "system: Input should be a text block")
    _require(isinstance(body.get("tools", []), list), "tools: Input should be a valid list")
    return body


def _require_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise SchemaError("messages: at least one message is required")
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping) or set(message) != {"role", "content"}:
            raise SchemaError(f"messages.{place}: Field required or extra inputs")
        _require(message["role"] in ROLES, f"messages.{place}.role: unexpected value")
        content = message["content"]
        if isinstance(content, str):
            _require(bool(content), f"messages.{place}: content must be non-empty")
            continue
        blocks = isinstance(content, list) and all(_is_block(b, BLOCKS) for b in content)
        _require(blocks, f"messages.{place}.content: unexpected value")
    _require(messages[0]["role"] == "user", "messages: first message must use the user role")


def _require_metadata(metadata: object) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping) or set(metadata) - {"user_id"}:
        raise SchemaError("metadata: Extra inputs are not permitted")
    user_id = metadata.get("user_id")
    fits = user_id is None or (isinstance(user_id, str) and len(user_id) <= MAX_USER_ID_CHARS)
    _require(fits, "metadata.user_id: String should have at most 256 characters")


def _is_block(block: object, kinds: frozenset[str] | set[str]) -> bool:
    if not isinstance(block, Mapping) or block.get("type") not in kinds:
        return False
    return block["type"] != "text" or (isinstance(block.get("text"), str) and bool(block["text"]))


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - reads as "require that"
    if not holds:
        raise SchemaError(message)
