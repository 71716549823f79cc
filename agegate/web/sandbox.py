"""The sandbox's doors: a movable clock, outcomes, a letter box, a pretend payment company.

Registered only where `services.sandbox` is set, which production refuses. No credentials are asked
for: everything behind these doors is pretend.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, ParamSpec

from flask import Blueprint, Response, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from agegate.bootstrap import Sandbox, Services
from agegate.domain.errors import AgegateError, ConflictError, InvalidRequestError, NotFoundError
from agegate.web.forms import read_form
from agegate.web.problems import problem
from agegate.web.rendering import page

P = ParamSpec("P")

REFRESH_S: Final = 5
AMOUNT: Final = "US$0.50"
_SHOWN: Final = 100
_LETTER_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""A letter's own styles are inline, as mail programs want them; nothing else of it may act."""


def sandbox_blueprint(services: Services) -> Blueprint:
    """Raises `RuntimeError` where there is no sandbox."""
    if services.sandbox is None:
        raise RuntimeError("there is no sandbox")
    bp = Blueprint("sandbox", __name__, url_prefix="/sandbox")
    _add_program_doors(bp, services.sandbox)
    _add_letter_box(bp, services.sandbox)
    _add_payments(bp, services.sandbox)
    return bp


def _add_program_doors(bp: Blueprint, sandbox: Sandbox) -> None:
    @bp.get("/clock")
    @_for_programs
    def show_clock() -> ResponseReturnValue:
        return jsonify(now=_iso(sandbox.clock()))

    @bp.post("/clock")
    @_for_programs
    def move_clock() -> ResponseReturnValue:
        sandbox.set_clock(_moment(_body({"now"})["now"]))
        return jsonify(now=_iso(sandbox.clock()))

    @bp.post("/outcome")
    @_for_programs
    def choose_outcome() -> ResponseReturnValue:
        body = _body({"method", "outcome"})
        sandbox.set_outcome(body["method"], body["outcome"])
        return Response(status=204)

    @bp.get("/letters")
    @_for_programs
    def letters() -> ResponseReturnValue:
        return jsonify(sandbox.letters())


def _add_letter_box(bp: Blueprint, sandbox: Sandbox) -> None:
    @bp.get("/letters/<letter_id>/html")
    def letter_html(letter_id: str) -> ResponseReturnValue:
        for letter in sandbox.letters():
            if letter["id"] == letter_id:
                return _LetterResponse(letter["html"], mimetype="text/html")
        raise NotFound

    @bp.get("/mailbox")
    def mailbox() -> ResponseReturnValue:
        newest_first = list(reversed(sandbox.letters()))[:_SHOWN]
        return page(
            "sandbox_mailbox",
            refresh_s=REFRESH_S,
            letters=[
                letter
                | {
                    "sent_at": letter["sent_at"][:19].replace("T", " ") + " UTC",
                    "html_url": f"/sandbox/letters/{letter['id']}/html",
                }
                for letter in newest_first
            ],
        )


def _add_payments(bp: Blueprint, sandbox: Sandbox) -> None:
    @bp.get("/payment/<payment_id>")
    def show_payment(payment_id: str) -> ResponseReturnValue:
        payment = sandbox.payment(payment_id)
        if payment.is_settled:
            return redirect(payment.return_url, 303)
        return page("sandbox_payment", language=payment.locale, amount=AMOUNT)

    @bp.post("/payment/<payment_id>")
    def choose_payment(payment_id: str) -> ResponseReturnValue:
        fields = read_form()
        try:
            payment = sandbox.choose_payment(payment_id, fields.get("outcome", ""))
        except ConflictError:
            # Pressed twice: the first press counts.
            payment = sandbox.payment(payment_id)
        return redirect(payment.return_url, 303)


class _LetterResponse(Response):
    """A letter as mail programs show it. It gets a policy of its own, said last."""

    def get_wsgi_headers(self, environ: Any) -> Any:
        headers = super().get_wsgi_headers(environ)
        headers["Content-Security-Policy"] = _LETTER_POLICY
        # A browser refuses a sandboxed page that also asks for a browsing context group.
        headers.pop("Cross-Origin-Opener-Policy", None)
        return headers


def _for_programs(
    view: Callable[P, ResponseReturnValue],
) -> Callable[P, ResponseReturnValue]:
    """Whatever is wrong is told as a problem document, whoever asks."""

    @wraps(view)
    def answer(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        try:
            return view(*args, **kwargs)
        except (InvalidRequestError, ConflictError, NotFoundError) as error:
            return problem(error.problem, str(error))
        except AgegateError as error:
            return problem(error.problem)

    return answer


def _body(names: Collection[str]) -> dict[str, str]:
    """Exactly these members, each a text. Raises `InvalidRequestError`."""
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict) or set(body) != set(names):
        raise InvalidRequestError(f"send a JSON object with {' and '.join(sorted(names))}")
    for name, value in body.items():
        if not isinstance(value, str):
            raise InvalidRequestError(f"{name}: must be a text")
    return body


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError("now: write a time like 2027-01-01T00:00:00Z") from None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
