"""Age context for any WSGI app: from the token of the request, or an answer instead of the app."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from agegate.guard.client import GuardClient, require_names
from agegate.guard.context import AgeContext
from agegate.guard.core.answer import CONTEXT_KEY, choose_token, error_body, error_headers
from agegate.guard.errors import NotAllowedError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class WsgiGuard:
    """`X-AgeGate-Token`, or else the app's own `Authorization: Bearer`, must stand for `purposes`.

    The context is in force while the app runs and while its answer is read; the app also finds it
    as `environ["agegate.context"]`. `open_paths` are served without a token and without context.
    """

    def __init__(
        self,
        app: WSGIApplication,
        guard: GuardClient,
        *,
        purposes: Collection[str],
        open_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._guard = guard
        self._purposes = require_names(purposes)
        self._open_paths = frozenset(open_paths)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.pop(CONTEXT_KEY, None)
        if environ.get("PATH_INFO", "") in self._open_paths:
            return self._app(environ, start_response)
        try:
            token = choose_token(
                environ.get("HTTP_X_AGEGATE_TOKEN"), environ.get("HTTP_AUTHORIZATION")
            )
            context = self._guard.check(token, purposes=self._purposes)
        except NotAllowedError as refusal:
            body = error_body(refusal)
            status = HTTPStatus(refusal.status)
            headers = [*error_headers(refusal), ("Content-Length", str(len(body)))]
            start_response(f"{status.value} {status.phrase}", headers)
            return [body]
        environ[CONTEXT_KEY] = context
        with context:
            return _InContext(context, self._app(environ, start_response))


class _InContext:
    """The app's answer, each part of it made with the context in force."""

    def __init__(self, context: AgeContext, parts: Iterable[bytes]) -> None:
        self._context = context
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        with self._context:
            rest = iter(self._parts)
        while True:
            with self._context:
                part = next(rest, None)
            if part is None:
                return
            yield part

    def close(self) -> None:
        close: Any = getattr(self._parts, "close", None)
        if close is not None:
            with self._context:
                close()
