"""Age context for any ASGI app (HTTP, WebSocket): from the request's token, or a refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Final

from agegate.guard.client import GuardClient, require_names
from agegate.guard.core.answer import (
    CONTEXT_KEY,
    TOKEN_HEADER,
    choose_token,
    error_body,
    error_headers,
)
from agegate.guard.errors import NotAllowedError, TokenMalformedError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY_VIOLATION: Final = 1008
"""RFC 6455 section 7.4.1."""


class AsgiGuard:
    """As `WsgiGuard`; the app finds the context as `scope["agegate.context"]`.

    A connection that stays open keeps its context, whose tokens end within minutes: every call to
    Claude asks again whether it still stands.
    """

    def __init__(
        self,
        app: App,
        guard: GuardClient,
        *,
        purposes: Collection[str],
        open_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._guard = guard
        self._purposes = require_names(purposes)
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        scope = {name: value for name, value in scope.items() if name != CONTEXT_KEY}
        if scope.get("path") in self._open_paths:
            await self._app(scope, receive, send)
            return
        try:
            token = choose_token(_one(scope, TOKEN_HEADER.lower()), _one(scope, "authorization"))
            context = await self._guard.acheck(token, purposes=self._purposes)
        except NotAllowedError as refusal:
            await _refuse(scope, send, refusal)
            return
        with context:
            await self._app({**scope, CONTEXT_KEY: context}, receive, send)


def _one(scope: Scope, name: str) -> str | None:
    """The header's only value. Raises `TokenMalformedError` when there are two."""
    values = [value for key, value in scope["headers"] if key.lower() == name.encode()]
    if len(values) > 1:
        raise TokenMalformedError
    return values[0].decode("latin-1") if values else None


async def _refuse(scope: Scope, send: Send, refusal: NotAllowedError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal.code})
        return
    body = error_body(refusal)
    headers = [(k.lower().encode(), v.encode()) for k, v in error_headers(refusal)]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
