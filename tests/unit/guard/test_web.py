"""The guard in front of WSGI and ASGI apps, whatever framework made them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from agegate.guard import Guard
from agegate.guard.context import in_force
from agegate.guard.testing import TokenMint
from agegate.wire.tiers import ConsentState

Start = Callable[..., Any]
Answer = tuple[int, dict[str, str], bytes]


def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    context = environ.get("agegate.context")
    assert in_force() == (() if context is None else (context,))
    return _Parts(context is not None)


class _Parts:
    """An answer that is made while it is read, and notices when it is closed."""

    closed = 0

    def __init__(self, guarded: bool) -> None:
        self._guarded = guarded

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(2):
            assert bool(in_force()) is self._guarded
            yield b"hello "

    def close(self) -> None:
        _Parts.closed += 1


def call(wsgi: Any, headers: dict[str, str], path: str = "/chat") -> Answer:
    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": "", "SCRIPT_NAME": "", **headers}
    setup_testing_defaults(environ)
    told: dict[str, Any] = {}

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], Any]:
        told.update(status=int(status[:3]), headers={k.lower(): v for k, v in headers})
        return lambda _: None

    parts = validator(wsgi)(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        parts.close()  # type: ignore[attr-defined]  # the validator's iterator has it
    assert in_force() == ()
    return told["status"], told["headers"], body


@pytest.fixture
def wsgi(guard: Guard) -> Any:
    return guard.wsgi(app, purposes=["ai_chat"], open_paths=["/healthz"])


@pytest.mark.parametrize("scheme", ["own", "bearer"])
def test_a_good_token_reaches_the_app_in_its_context(
    wsgi: Any, mint: TokenMint, scheme: str
) -> None:
    headers = {
        "own": {"HTTP_X_AGEGATE_TOKEN": mint.token()},
        "bearer": {"HTTP_AUTHORIZATION": f"bearer {mint.token()}"},
    }[scheme]
    before = _Parts.closed
    assert call(wsgi, headers)[::2] == (200, b"hello hello ")
    assert _Parts.closed == before + 1


def test_the_guards_own_header_counts_before_the_apps(wsgi: Any, mint: TokenMint) -> None:
    mixed = {"HTTP_X_AGEGATE_TOKEN": mint.token(), "HTTP_AUTHORIZATION": "Bearer sk-app-key"}
    assert call(wsgi, mixed)[0] == 200
    mixed["HTTP_X_AGEGATE_TOKEN"] = ""
    assert call(wsgi, mixed)[0] == 401


REFUSED: dict[str, tuple[Callable[[TokenMint], dict[str, str]], int, str, str]] = {
    "nothing": (lambda _: {}, 401, "authentication_error", "token_missing"),
    "basic": (
        lambda _: {"HTTP_AUTHORIZATION": "Basic eDp5"},
        401,
        "authentication_error",
        "token_missing",
    ),
    "nonsense": (
        lambda _: {"HTTP_AUTHORIZATION": "Bearer x"},
        401,
        "authentication_error",
        "token_malformed",
    ),
    "two tokens in one": (
        lambda m: {"HTTP_X_AGEGATE_TOKEN": f"{m.token()}, {m.token()}"},
        401,
        "authentication_error",
        "token_malformed",
    ),
    "pending": (
        lambda m: {"HTTP_X_AGEGATE_TOKEN": m.token(state=ConsentState.PENDING)},
        403,
        "permission_error",
        "consent_pending",
    ),
    "issuer away": (
        lambda m: {"HTTP_X_AGEGATE_TOKEN": _without_issuer(m)},
        503,
        "overloaded_error",
        "issuer_unreachable",
    ),
}


def _without_issuer(mint: TokenMint) -> str:
    mint.faults["/oauth/jwks.json"] = (0, b"")
    return mint.token()


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_the_shape_of_anthropics_errors(
    wsgi: Any, mint: TokenMint, name: str
) -> None:
    make, status, kind, code = REFUSED[name]
    told, headers, body = call(wsgi, make(mint))
    assert told == status
    answer = json.loads(body)
    assert answer["type"] == "error"
    assert (answer["error"]["type"], answer["error"]["code"]) == (kind, code)
    assert headers["x-should-retry"] == "false"
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(body))
    assert ("www-authenticate" in headers) is (status == 401)


def test_open_paths_are_served_without_a_context(wsgi: Any, mint: TokenMint) -> None:
    assert call(wsgi, {"HTTP_X_AGEGATE_TOKEN": mint.token()}, "/healthz")[0] == 200
    assert call(wsgi, {}, "/healthz/x")[0] == 401


def test_an_app_that_fails_leaves_no_context_behind(guard: Guard, mint: TokenMint) -> None:
    def broken(environ: Any, start_response: Start) -> Iterable[bytes]:
        raise KeyError

    with pytest.raises(KeyError):
        guard.wsgi(broken, purposes=["ai_chat"])(
            {"HTTP_X_AGEGATE_TOKEN": mint.token()}, lambda *_: lambda _: None
        )
    assert in_force() == ()


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        return
    context = scope.get("agegate.context")
    assert in_force() == (() if context is None else (context,))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def acall(
    guard: Guard, headers: list[tuple[bytes, bytes]], kind: str = "http", path: str = "/chat"
) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    guarded = guard.asgi(asgi_app, purposes=["ai_chat"], open_paths=["/healthz"])
    scope = {"type": kind, "path": path, "headers": headers, "agegate.context": "forged"}
    asyncio.run(guarded(scope, receive, send))
    return sent


def test_asgi_puts_the_context_in_place(guard: Guard, mint: TokenMint) -> None:
    for name in (b"x-agegate-token", b"X-AgeGate-Token"):
        assert acall(guard, [(name, mint.token().encode())])[0]["status"] == 200
    bearer = f"Bearer {mint.token()}".encode()
    assert acall(guard, [(b"authorization", bearer)])[0]["status"] == 200
    assert acall(guard, [], path="/healthz")[0]["status"] == 200
    # Lifespan scopes go through as they are; the forged entry in them means nothing.
    assert acall(guard, [], "lifespan")[0]["type"] == "lifespan.startup.complete"


def test_asgi_refuses_as_wsgi_does(guard: Guard, mint: TokenMint) -> None:
    token = mint.token().encode()
    doubled = [(b"x-agegate-token", token), (b"x-agegate-token", token)]
    for headers, code in (([], "token_missing"), (doubled, "token_malformed")):
        start, body = acall(guard, headers)
        assert start["status"] == 401
        assert (b"x-should-retry", b"false") in start["headers"]
        assert json.loads(body["body"])["error"]["code"] == code


def test_a_websocket_is_closed_with_the_reason(guard: Guard) -> None:
    assert acall(guard, [], "websocket") == [
        {"type": "websocket.close", "code": 1008, "reason": "token_missing"}
    ]
