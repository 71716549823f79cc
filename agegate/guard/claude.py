"""The guard inside Anthropic's SDK: a middleware that every call of a client passes, last.

It runs once per attempt, retries among them, and closest to the wire, so no other middleware can
undo what it did. Refusals leave the SDK unchanged and are not retried.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import anthropic
from anthropic import APIRequest, AsyncCallNext, CallNext, Middleware

from agegate.guard.client import GuardClient
from agegate.guard.context import AgeContext
from agegate.guard.core.admit import (
    COUNT_TOKENS,
    MESSAGES,
    PROFILE_HEADER,
    STRIPPED_HEADERS,
    path_of,
    require_offered_to_minors,
)
from agegate.guard.core.compose import compose_body

C = TypeVar("C")

_COPIERS: Final = ("copy", "with_options")


class GuardMiddleware(Middleware):
    """Refuses without a live context; composes what goes out with one."""

    def __init__(self, guard: GuardClient, purposes: tuple[str, ...]) -> None:
        self._guard = guard
        self._purposes = purposes

    def handle(self, request: APIRequest, call_next: CallNext) -> anthropic.APIResponse[Any]:
        context = self._guard.recheck(purposes=self._purposes)
        return call_next(self._prepare(request, context))

    async def handle_async(
        self, request: APIRequest, call_next: AsyncCallNext
    ) -> anthropic.AsyncAPIResponse[Any]:
        context = await self._guard.arecheck(purposes=self._purposes)
        return await call_next(self._prepare(request, context))

    def _prepare(self, request: APIRequest, context: AgeContext) -> APIRequest:
        body = _merged_body(request)
        if context.is_minor:
            require_offered_to_minors(
                method=request.method,
                url=request.url,
                query=request.query_params,
                body=body,
                has_other_content=_has_other_content(request),
            )
        path = path_of(request.url)
        if path not in {MESSAGES, COUNT_TOKENS} or not isinstance(body, Mapping):
            return request
        made = request.copy(
            body=compose_body(
                body,
                tier=context.tier,
                user_id=self._guard.user_id(context) if path == MESSAGES else None,
                provider_prompt=self._guard.provider_prompt,
            ),
            headers=_headers(request, minor=context.is_minor),
        )
        # Some versions of the SDK merge this after the middleware; it must not undo our work.
        made.options.extra_json = None
        return made


def guarded(client: C, guard: GuardClient, purposes: tuple[str, ...]) -> C:
    """A copy of `client`, of the same class, whose every call passes the guard.

    Raises `TypeError` for what is no client of Anthropic's SDK, or is guarded already;
    `ValueError` for one that names a user profile in a default header.
    """
    present = getattr(client, "middleware", None)
    if not callable(getattr(client, "copy", None)) or not isinstance(present, tuple):
        raise TypeError("guard.claude takes a client of the anthropic package, 0.108 or newer")
    if any(isinstance(one, GuardMiddleware) for one in present):
        raise TypeError("this client is guarded already")
    # The class's own, unbound: the instance's may belong to somebody who wrapped it.
    copy: Any = getattr(type(client), "copy")  # noqa: B009 - `C` promises no such attribute
    made: C = _attach(copy, client, GuardMiddleware(guard, purposes), {})
    return made


def _attach(
    copy: Callable[..., Any], client: Any, ours: GuardMiddleware, options: dict[str, Any]
) -> Any:
    """Copy `client` with the guard innermost, and make its own copies do the same."""
    given = options.pop("middleware", None) if "middleware" in options else client.middleware
    others: Sequence[Any] = [one for one in given or () if one is not ours]
    options |= _without_content_in_traces(copy, client, options)
    made = copy(client, middleware=[*others, ours], **options)

    def copy_guarded(**again: Any) -> Any:
        return _attach(copy, made, ours, again)

    # The SDK keeps this one header of a client's own against what a middleware says.
    if any(name.lower() == PROFILE_HEADER for name in made.default_headers):
        raise ValueError(f"a guarded client cannot have a default header {PROFILE_HEADER}")

    # On the instance, because the SDK looks at the exact class when it resolves credentials.
    for name in _COPIERS:
        setattr(made, name, copy_guarded)
    return made


def _without_content_in_traces(
    copy: Callable[..., Any], client: Any, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Spans may carry what was said when the environment asks for it; a guarded client's do not."""
    if "open_telemetry" not in inspect.signature(copy).parameters:
        return {}
    wanted = options.get("open_telemetry")
    if wanted is False:
        return {}
    chosen = {**client.open_telemetry, **(wanted if isinstance(wanted, Mapping) else {})}
    traces = {**dict(chosen.get("traces") or {}), "content_mode": "metadata_only"}
    return {"open_telemetry": {**chosen, "traces": traces}}


def _merged_body(request: APIRequest) -> object:
    extra = request.options.extra_json
    if extra is None:
        return request.json
    if isinstance(request.json, Mapping):
        return {**request.json, **extra}
    return extra if request.json is None else request.json


def _has_other_content(request: APIRequest) -> bool:
    return any(getattr(request.options, name, None) for name in ("files", "content"))


def _headers(request: APIRequest, *, minor: bool) -> Any:
    if not minor:
        return request.headers
    kept = {k: v for k, v in request.headers.items() if k.lower() not in STRIPPED_HEADERS}
    return {**kept, **dict.fromkeys(STRIPPED_HEADERS, anthropic.omit)}
