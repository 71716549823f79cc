"""A local fake of the three Stripe calls we make, strict about what it is sent.

Keeps sessions, charges and refunds; a test plays the payer with `pay`, `submit` and `expire`, an
outage with `misbehave`. Speaks the one API version that the library is pinned to.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import parse_qsl, urlsplit

KEY: Final = "sk_live_fake"
API_VERSION: Final = "2026-10-28.endive"

_CREATE: Final = {
    "mode",
    "allowed_payment_method_types[0]",
    "wallet_options[link][display]",
    "line_items[0][quantity]",
    "line_items[0][price_data][currency]",
    "line_items[0][price_data][unit_amount]",
    "line_items[0][price_data][product_data][name]",
    "payment_intent_data[description]",
    "payment_intent_data[metadata][reference]",
    "metadata[reference]",
    "locale",
    "success_url",
    "cancel_url",
}
_LEAST_CENTS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    fields: dict[str, str]


@dataclass(slots=True)
class _Fault:
    status: int
    body: bytes
    headers: dict[str, str]
    delay_s: float
    times: int


class _RefusalError(Exception):
    def __init__(self, status: int, kind: str, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": f"{code}: jo@home.example"}}


@dataclass(slots=True)
class FakeStripe:
    """Use it with `with`. `requests` holds everything that came, also what was refused."""

    live: bool = True
    requests: list[Received] = field(default_factory=list)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    forgets_keys: bool = False
    tells_time: bool = True
    """Whether answers carry a `Date`."""
    _answers: dict[str, tuple[dict[str, str], dict[str, Any]]] = field(default_factory=dict)
    _fault: _Fault | None = None
    _server: ThreadingHTTPServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        assert self._server is not None, "not started"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True, name="fake-stripe"
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    # -- what the payer and the world do -----------------------------------------------------------

    def pay(
        self,
        session_id: str,
        *,
        funding: str | None = "credit",
        wallet: str | None = None,
        receipt: bool = True,
        ago_s: float = 5,
    ) -> None:
        """The payer typed a card, and it went through; `funding=None` is no card at all."""
        session = self.sessions[session_id]
        card: dict[str, Any] = {
            "brand": "visa",
            "funding": funding,
            "last4": "4242",
            "country": "US",
        }
        card |= {"wallet": {"type": wallet} if wallet else None}
        session["status"], session["payment_status"] = "complete", "paid"
        # What Stripe knows about the payer and we must not carry any further.
        session["customer_details"] = {"email": "jo@home.example", "name": "Jo Parent"}
        session["payment_intent"] = {
            "id": "pi_" + session_id.removeprefix("cs_"),
            "object": "payment_intent",
            "status": "succeeded",
            "latest_charge": {
                "id": "ch_" + session_id.removeprefix("cs_"),
                "object": "charge",
                "status": "succeeded",
                "paid": True,
                "captured": True,
                "disputed": False,
                "refunded": False,
                "livemode": self.live,
                "created": int(time.time() - ago_s),
                "receipt_email": None,
                "receipt_number": "1234-5678" if receipt else None,
                "receipt_url": "https://pay.stripe.example/receipts/1",
                "payment_method_details": (
                    {"type": "card", "card": card}
                    if funding is not None
                    else {"type": "link", "link": {"country": "US"}}
                ),
            },
        }

    def submit(self, session_id: str, *, intent: str) -> None:
        """The payer finished the page without paying yet; `intent` is the intent's state."""
        session = self.sessions[session_id]
        session["status"], session["payment_status"] = "complete", "unpaid"
        session["payment_intent"] = {
            "id": "pi_" + session_id.removeprefix("cs_"),
            "object": "payment_intent",
            "status": intent,
            "latest_charge": None,
        }

    def expire(self, session_id: str) -> None:
        self.sessions[session_id]["status"] = "expired"

    def charge(self, session_id: str) -> dict[str, Any]:
        charge: dict[str, Any] = self.sessions[session_id]["payment_intent"]["latest_charge"]
        return charge

    def misbehave(
        self,
        status: int,
        body: bytes = b'{"error": {"message": "jo@home.example"}}',
        *,
        headers: dict[str, str] | None = None,
        delay_s: float = 0,
        times: int = 10,
    ) -> None:
        """Answer the next `times` requests so, whatever they are."""
        self._fault = _Fault(status, body, headers or {}, delay_s, times)

    def heal(self) -> None:
        self._fault = None

    # -- Stripe's side -----------------------------------------------------------------------------

    def answer(self, request: Received) -> tuple[int, bytes, dict[str, str]]:
        with self._lock:
            self.requests.append(request)
            fault = self._fault
            if fault is not None and fault.times > 0:
                fault.times -= 1
            else:
                fault = None
        if fault is not None:
            time.sleep(fault.delay_s)
            return fault.status, fault.body, fault.headers
        try:
            with self._lock:
                return 200, json.dumps(self._route(request)).encode(), {}
        except _RefusalError as refusal:
            return refusal.status, json.dumps(refusal.body).encode(), {}

    def _route(self, request: Received) -> dict[str, Any]:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise _RefusalError(401, "invalid_request_error", "api_key_invalid")
        if request.headers.get("stripe-version") != API_VERSION:
            raise _RefusalError(400, "invalid_request_error", "unknown_version")
        match (request.method, request.path.strip("/").split("/")):
            case ("POST", ["v1", "checkout", "sessions"]):
                return self._once(request, self._create)
            case ("GET", ["v1", "checkout", "sessions", session_id]):
                return self._retrieve(session_id, request.fields)
            case ("POST", ["v1", "refunds"]):
                return self._once(request, self._refund)
            case _:
                raise _RefusalError(404, "invalid_request_error", "url_invalid")

    def _once(
        self, request: Received, do: Callable[[dict[str, str]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Idempotency: same key and fields, same answer; same key alone, an error."""
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            raise _RefusalError(400, "invalid_request_error", "not_a_form")
        key = request.headers.get("idempotency-key", "")
        if not key:
            raise _RefusalError(400, "invalid_request_error", "no_idempotency_key")
        if key in self._answers and not self.forgets_keys:
            fields, answer = self._answers[key]
            if fields != request.fields:
                raise _RefusalError(400, "idempotency_error", "idempotency_key_in_use")
            return answer
        answer = do(request.fields)
        self._answers[key] = (request.fields, answer)
        return answer

    def _create(self, fields: dict[str, str]) -> dict[str, Any]:
        if set(fields) != _CREATE:
            raise _RefusalError(400, "invalid_request_error", "parameter_unknown")
        if fields["mode"] != "payment" or fields["allowed_payment_method_types[0]"] != "card":
            raise _RefusalError(400, "invalid_request_error", "parameter_invalid")
        cents = int(fields["line_items[0][price_data][unit_amount]"])
        if cents < _LEAST_CENTS:
            raise _RefusalError(400, "invalid_request_error", "amount_too_small")
        id_ = f"cs_{'live' if self.live else 'test'}_{len(self.sessions) + 1}"
        self.sessions[id_] = {
            "id": id_,
            "object": "checkout.session",
            "url": f"https://checkout.stripe.example/c/pay/{id_}",
            "status": "open",
            "payment_status": "unpaid",
            "livemode": self.live,
            "payment_intent": None,
            "amount_total": cents,
        }
        return dict(self.sessions[id_])

    def _retrieve(self, session_id: str, fields: dict[str, str]) -> dict[str, Any]:
        if fields != {"expand[0]": "payment_intent.latest_charge"}:
            raise _RefusalError(400, "invalid_request_error", "parameter_unknown")
        if session_id not in self.sessions:
            raise _RefusalError(404, "invalid_request_error", "resource_missing")
        return self.sessions[session_id]

    def _refund(self, fields: dict[str, str]) -> dict[str, Any]:
        if set(fields) != {"payment_intent"}:
            raise _RefusalError(400, "invalid_request_error", "parameter_unknown")
        intents = [s["payment_intent"] for s in self.sessions.values() if s["payment_intent"]]
        found = [i for i in intents if i["id"] == fields["payment_intent"] and i["latest_charge"]]
        if not found:
            raise _RefusalError(404, "invalid_request_error", "resource_missing")
        charge = found[0]["latest_charge"]
        if charge["refunded"]:
            raise _RefusalError(400, "invalid_request_error", "charge_already_refunded")
        charge["refunded"] = True
        refund = {"id": f"re_{len(self.refunds) + 1}", "object": "refund", "status": "succeeded"}
        self.refunds[found[0]["id"]] = refund
        return refund


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: ClassVar[FakeStripe]

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Tests print nothing."""

    def _answer(self, form: str) -> None:
        pairs = parse_qsl(form, keep_blank_values=True, strict_parsing=bool(form))
        assert len(dict(pairs)) == len(pairs), "a field was sent twice"
        request = Received(
            method=self.command,
            path=urlsplit(self.path).path,
            headers={name.lower(): value for name, value in self.headers.items()},
            fields=dict(pairs),
        )
        status, body, headers = self.fake.answer(request)
        try:
            self.send_response_only(status)
            if self.fake.tells_time:
                self.send_header("Date", self.date_time_string())
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True
