"""The guard: age and consent, checked inside the service that calls Claude.

    guard = Guard(issuer="https://age.example", audience="https://api.storybuddy.example")
    context = guard.check(token, purposes=["ai_chat"])     # raises NotAllowedError
    client = guard.claude(anthropic.Anthropic())
    with context:
        client.messages.create(...)

The rule of the house: no valid context, no byte upstream.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, TypeVar

from agegate.guard.client import GuardClient, require_names
from agegate.guard.context import AgeContext, bind
from agegate.guard.errors import (
    ConsentDeniedError,
    ConsentError,
    ConsentExpiredError,
    ConsentPendingError,
    ConsentRequiredError,
    ConsentRevokedError,
    ConsentStaleError,
    ConsentWithdrawnError,
    ContextForeignError,
    ContextMissingError,
    IssuerError,
    IssuerInvalidError,
    IssuerUnreachableError,
    NotAllowedError,
    PurposeNotGrantedError,
    PurposeNotNamedError,
    SurfaceDeniedError,
    TokenAudienceError,
    TokenBoundError,
    TokenClaimsError,
    TokenError,
    TokenExpiredError,
    TokenHeaderError,
    TokenIssuerError,
    TokenKeyUnknownError,
    TokenMalformedError,
    TokenMissingError,
    TokenNotYetValidError,
    TokenRevokedError,
    TokenSignatureError,
)
from agegate.guard.transport import Transport

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from agegate.guard.asgi import App, AsgiGuard
    from agegate.guard.wsgi import WsgiGuard

C = TypeVar("C")

__all__ = [
    "AgeContext",
    "ConsentDeniedError",
    "ConsentError",
    "ConsentExpiredError",
    "ConsentPendingError",
    "ConsentRequiredError",
    "ConsentRevokedError",
    "ConsentStaleError",
    "ConsentWithdrawnError",
    "ContextForeignError",
    "ContextMissingError",
    "Guard",
    "IssuerError",
    "IssuerInvalidError",
    "IssuerUnreachableError",
    "NotAllowedError",
    "PurposeNotGrantedError",
    "PurposeNotNamedError",
    "SurfaceDeniedError",
    "TokenAudienceError",
    "TokenBoundError",
    "TokenClaimsError",
    "TokenError",
    "TokenExpiredError",
    "TokenHeaderError",
    "TokenIssuerError",
    "TokenKeyUnknownError",
    "TokenMalformedError",
    "TokenMissingError",
    "TokenNotYetValidError",
    "TokenRevokedError",
    "TokenSignatureError",
    "Transport",
    "bind",
]


class Guard(GuardClient):
    """`GuardClient` with its doors: Anthropic's SDK, WSGI and ASGI, each loaded when it is used."""

    def claude(self, client: C, *, purposes: Collection[str] = ()) -> C:
        """A guarded copy of an `anthropic` client: sync, async, Bedrock, Vertex.

        Every call raises a `NotAllowedError` unless contexts are in force that still stand for
        `purposes` (by default: those they were checked for). Raises `TypeError` for other clients.
        """
        from agegate.guard.claude import guarded

        return guarded(client, self, require_names(purposes))

    def wsgi(
        self, app: WSGIApplication, *, purposes: Collection[str], open_paths: Collection[str] = ()
    ) -> WsgiGuard:
        """`app` behind the guard: `app.wsgi_app = guard.wsgi(app.wsgi_app, purposes=[...])`."""
        from agegate.guard.wsgi import WsgiGuard

        return WsgiGuard(app, self, purposes=purposes, open_paths=open_paths)

    def asgi(
        self, app: App, *, purposes: Collection[str], open_paths: Collection[str] = ()
    ) -> AsgiGuard:
        """`app` behind the guard: `app = guard.asgi(app, purposes=[...])`."""
        from agegate.guard.asgi import AsgiGuard

        return AsgiGuard(app, self, purposes=purposes, open_paths=open_paths)
