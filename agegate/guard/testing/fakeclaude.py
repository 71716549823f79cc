"""A faithful stand-in for the Messages API on a real socket, with faults and a recorder.

Faithful means: what the real one refuses is refused in the same shape, and what it answers parses
as the types of the `anthropic` package, streamed or whole.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, Self
from urllib.parse import urlsplit

from agegate.guard.testing.schema import VERSIONS, SchemaError, require_body
from agegate.guard.testing.server import LoopbackServer
from agegate.guard.testing.story import next_part, split_into_deltas

MESSAGES: Final = "/v1/messages"
COUNT_TOKENS: Final = "/v1/messages/count_tokens"
MAX_BODY_BYTES: Final = 1024 * 1024
OK: Final = 200

ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to say to one request. Everything left out is a short, warm next part of a story.

    `deltas` fixes how a stream splits the text; `blocks` are whole content blocks (`tool_use`)
    instead of it. `status` other than 200 is an error of that type. The `…_after` faults hit
    streams once that many deltas are out: an `error` event, a connection cut short, or silence
    until the server stops.
    """

    text: str | None = None
    deltas: Sequence[str] | None = None
    blocks: Sequence[Mapping[str, Any]] = ()
    stop_reason: str = "end_turn"
    stop_details: Mapping[str, Any] | None = None
    status: int = OK
    headers: Mapping[str, str] = field(default_factory=dict)
    error_after: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One request as it arrived. Header names are in lower case; `body` is None if not JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class FakeClaude:
    """`with FakeClaude() as claude: anthropic.Anthropic(base_url=claude.url, api_key="test")`.

    `requests` holds all that arrived. `script(...)` queues replies; an empty queue tells stories.
    `pace_s` waits between the deltas of a stream, for people who watch.
    """

    def __init__(self, *, port: int = 0, pace_s: float = 0.0) -> None:
        self.requests: list[Recorded] = []
        self._pace_s = pace_s
        self._replies: list[Reply] = []
        self._stopped = threading.Event()
        self._server = LoopbackServer(self._handle, port=port)

    @property
    def url(self) -> str:
        return self._server.url

    def script(self, *replies: Reply) -> None:
        """Queue what to say, one reply per request that would be answered with success."""
        self._replies.extend(replies)

    def start(self) -> Self:
        self._server.start()
        return self

    def stop(self) -> None:
        self._stopped.set()
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _handle(self, http: BaseHTTPRequestHandler) -> None:
        length = int(http.headers.get("content-length") or 0)
        if length > MAX_BODY_BYTES:
            http.close_connection = True
            self._refuse(http, 413, "Request exceeds the maximum size")
            return
        raw = http.rfile.read(length)
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        headers = {name.lower(): value for name, value in http.headers.items()}
        self.requests.append(
            Recorded(method=http.command, path=http.path, headers=headers, body=body)
        )
        address = urlsplit(http.path)
        if not _has_key(headers):
            self._refuse(http, 401, "x-api-key header is required")
        elif http.command != "POST" or address.path not in {MESSAGES, COUNT_TOKENS}:
            self._refuse(http, 404, "Not found")
        elif address.query not in {"", "beta=true"}:
            self._refuse(http, 400, "Unexpected query parameters")
        elif headers.get("anthropic-version") not in VERSIONS:
            self._refuse(http, 400, "anthropic-version: header is required")
        else:
            self._answer(http, headers, body, address.path, beta=bool(address.query))

    def _answer(
        self,
        http: BaseHTTPRequestHandler,
        headers: Mapping[str, str],
        body: Any,
        path: str,
        *,
        beta: bool,
    ) -> None:
        counting = path == COUNT_TOKENS
        try:
            asked = require_body(
                body, version=headers["anthropic-version"], counting=counting, beta=beta
            )
        except SchemaError as error:
            self._refuse(http, 400, str(error))
            return
        if counting:
            self._send(http, OK, {"input_tokens": _tokens(asked)}, {})
            return
        reply = self._replies.pop(0) if self._replies else Reply()
        if reply.status != OK:
            self._refuse(http, reply.status, "As the script said", reply.headers)
            return
        message = _message(asked, reply, self._request_id())
        if asked.get("stream"):
            self._stream(http, message, reply)
        else:
            self._send(http, OK, message, reply.headers)

    def _stream(self, http: BaseHTTPRequestHandler, message: dict[str, Any], reply: Reply) -> None:
        http.send_response(OK)
        http.send_header("Content-Type", "text/event-stream; charset=utf-8")
        http.send_header("Cache-Control", "no-cache")
        http.send_header("Transfer-Encoding", "chunked")
        http.send_header("request-id", self._request_id())
        http.end_headers()
        said = 0
        for event in _events(message, reply):
            if event["type"] == "content_block_delta":
                if said == reply.error_after:
                    _write_event(http, _error(529, "Overloaded"))
                    break
                if said == reply.stall_after:
                    self._stopped.wait()
                if said in {reply.cut_after, reply.stall_after}:
                    http.close_connection = True
                    return
                said += 1
                if self._pace_s:
                    time.sleep(self._pace_s)
            _write_event(http, event)
        http.wfile.write(b"0\r\n\r\n")

    def _refuse(
        self,
        http: BaseHTTPRequestHandler,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._send(http, status, _error(status, message), headers or {})

    def _send(
        self, http: BaseHTTPRequestHandler, status: int, body: Any, headers: Mapping[str, str]
    ) -> None:
        data = json.dumps(body).encode()
        http.send_response(status)
        http.send_header("Content-Type", "application/json")
        http.send_header("Content-Length", str(len(data)))
        http.send_header("request-id", self._request_id())
        for name, value in headers.items():
            http.send_header(name, value)
        http.end_headers()
        http.wfile.write(data)

    def _request_id(self) -> str:
        return f"req_fake_{len(self.requests):06d}"


def _has_key(headers: Mapping[str, str]) -> bool:
    """Both ways to show a key: the newer SDKs use the bearer, the older ones the header."""
    bearer = headers.get("authorization", "")
    return bool(headers.get("x-api-key")) or bearer.startswith("Bearer ")


def _message(asked: Mapping[str, Any], reply: Reply, request_id: str) -> dict[str, Any]:
    text = reply.text
    if text is None:
        text = next_part(asked["messages"]) if reply.deltas is None else "".join(reply.deltas)
    content = [dict(b) for b in reply.blocks] or ([{"type": "text", "text": text}] if text else [])
    return {
        "id": request_id.replace("req", "msg"),
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": content,
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "stop_details": None if reply.stop_details is None else dict(reply.stop_details),
        "usage": {
            "input_tokens": _tokens(asked),
            "output_tokens": _tokens(content),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "service_tier": "standard",
        },
    }


def _events(message: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    usage = {**message["usage"], "output_tokens": 1}
    begun: dict[str, Any] = {
        "content": [],
        "stop_reason": None,
        "stop_details": None,
        "usage": usage,
    }
    yield {"type": "message_start", "message": {**message, **begun}}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        empty, deltas = _in_deltas(block, reply)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    names = ("stop_reason", "stop_sequence", "stop_details")
    yield {
        "type": "message_delta",
        "delta": {name: message[name] for name in names},
        "usage": {"output_tokens": message["usage"]["output_tokens"]},
    }
    yield {"type": "message_stop"}


def _in_deltas(block: dict[str, Any], reply: Reply) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if block["type"] == "text":
        pieces = split_into_deltas(block["text"]) if reply.deltas is None else reply.deltas
        return {**block, "text": ""}, [{"type": "text_delta", "text": p} for p in pieces]
    if block["type"] == "tool_use":
        whole = json.dumps(block["input"])
        half = len(whole) // 2
        pieces = [whole[:half], whole[half:]]
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces]
        return {**block, "input": {}}, deltas
    return block, []


def _write_event(http: BaseHTTPRequestHandler, event: Mapping[str, Any]) -> None:
    # Without its `event:` line the SDK drops a frame silently.
    data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    http.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def _error(status: int, message: str) -> dict[str, Any]:
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def _tokens(value: object) -> int:
    """About a token for four characters; nobody is billed."""
    return len(json.dumps(value)) // 4 + 1
