"""Problem to status, in one table; the unknown says nothing.

JSON for programs, a page for people.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from flask import Flask, Response, g, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from agegate.domain.errors import AgegateError, TooManyRequestsError
from agegate.web.rendering import page
from agegate.wire.problems import Problem

log = logging.getLogger("agegate.web")

STATUS: Final[dict[Problem, int]] = {
    Problem.INVALID_REQUEST: 400,
    Problem.INVALID_CONFIGURATION: 500,
    Problem.UNLAWFUL_CONFIGURATION: 500,
    Problem.UNAUTHORIZED: 401,
    Problem.INSUFFICIENT_SCOPE: 403,
    Problem.FORBIDDEN: 403,
    Problem.NOT_FOUND: 404,
    Problem.METHOD_NOT_ALLOWED: 405,
    Problem.CONFLICT: 409,
    Problem.LINK_EXPIRED: 410,
    Problem.NOT_ALLOWED_NOW: 409,
    Problem.METHOD_NOT_LAWFUL: 409,
    Problem.TOO_LARGE: 413,
    Problem.UNSUPPORTED_MEDIA_TYPE: 415,
    Problem.TOO_MANY_REQUESTS: 429,
    Problem.VENDOR_UNAVAILABLE: 503,
    Problem.UNAVAILABLE: 503,
    Problem.INTERNAL: 500,
}
_OF_STATUS: Final = {
    400: Problem.INVALID_REQUEST,
    401: Problem.UNAUTHORIZED,
    403: Problem.FORBIDDEN,
    404: Problem.NOT_FOUND,
    405: Problem.METHOD_NOT_ALLOWED,
    409: Problem.CONFLICT,
    413: Problem.TOO_LARGE,
    415: Problem.UNSUPPORTED_MEDIA_TYPE,
    429: Problem.TOO_MANY_REQUESTS,
    503: Problem.UNAVAILABLE,
}
_KINDS: Final = {
    Problem.INVALID_REQUEST: "bad_request",
    Problem.UNAUTHORIZED: "forbidden",
    Problem.FORBIDDEN: "forbidden",
    Problem.NOT_FOUND: "not_found",
    Problem.METHOD_NOT_ALLOWED: "method_not_allowed",
    Problem.CONFLICT: "conflict",
    Problem.NOT_ALLOWED_NOW: "not_now",
    Problem.METHOD_NOT_LAWFUL: "not_now",
    Problem.TOO_LARGE: "too_large",
    Problem.TOO_MANY_REQUESTS: "too_many",
    Problem.VENDOR_UNAVAILABLE: "vendor",
    Problem.UNAVAILABLE: "unavailable",
}
"""Which words of the error page a problem gets."""
_LINKS: Final = {
    "/parent/request/": "request",
    "/parent/sign-in/": "sign_in",
    "/parent/confirm/": "confirm",
}
_VISITS: Final = ("/parent/request/", "/flow/")
_RETRY_AFTER_S: Final = 5
_PROGRAMS: Final = (
    "/oauth/",
    "/access/",
    "/v1/",
    "/.well-known/",
    "/schemas/",
    "/openapi.json",
    "/sandbox/clock",
)


def problem(
    code: Problem, detail: str | None = None, *, status: int | None = None, **more: Any
) -> Response:
    """An RFC 9457 document. `detail` must hold nothing of a person and nothing that was sent."""
    number = status or STATUS[code]
    body: dict[str, Any] = {
        "type": f"urn:agegate:problem:{code.value}",
        "title": code.value.replace("_", " "),
        "status": number,
        "code": code.value,
        "request_id": g.get("request_id", ""),
    }
    if detail:
        body["detail"] = detail
    response = jsonify(body | more)
    response.status_code = number
    response.mimetype = "application/problem+json"
    return response


def install(app: Flask) -> None:
    app.register_error_handler(AgegateError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unknown)


def _ours(error: AgegateError) -> ResponseReturnValue:
    status = STATUS[error.problem]
    if status >= 500:  # noqa: PLR2004 - the server's own faults
        log.error("%s: %s", error.problem.value, error)
    detail = str(error) if status < 500 else None  # noqa: PLR2004 - as above
    response = _answer(error.problem, status, detail)
    if isinstance(error, TooManyRequestsError):
        response.headers["Retry-After"] = str(error.retry_after_s)
    elif status == 503:  # noqa: PLR2004 - unavailable
        response.headers["Retry-After"] = str(_RETRY_AFTER_S)
    return response


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:  # noqa: PLR2004 - a redirect is no error
        return error.get_response()
    code = _OF_STATUS.get(status, Problem.INVALID_REQUEST if status < 500 else Problem.INTERNAL)  # noqa: PLR2004
    response = _answer(code, status, None)
    for name, value in error.get_headers(request.environ):
        if name in {"Allow", "Retry-After", "WWW-Authenticate"}:
            response.headers[name] = value
    return response


def _unknown(error: Exception) -> ResponseReturnValue:
    # The message of a strange exception may hold what a person typed: the type and place are
    # enough.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    log.error("%s at %s (request %s)", type(error).__name__, where, g.get("request_id", ""))
    return _answer(Problem.INTERNAL, 500, None)


def _answer(code: Problem, status: int, detail: str | None) -> Response:
    if request.path.startswith(_PROGRAMS) or request.accept_mimetypes.best == "application/json":
        return problem(code, detail, status=status)
    if code is Problem.LINK_EXPIRED:
        kind = next((k for path, k in _LINKS.items() if request.path.startswith(path)), "unknown")
        sign_in = "/parent/" if kind == "sign_in" else None
        return make_response(page("link_expired", kind=kind, sign_in_url=sign_in), status)
    # Where somebody else was first, the way on is the same page as it is now.
    stays = status == 409 and request.path.startswith(_VISITS)  # noqa: PLR2004 - conflict
    text = page(
        "error",
        kind=_KINDS.get(code, "internal"),
        request_id=g.get("request_id", ""),
        retry_after=None,
        home_url=request.path if stays else "/",
        stays=stays,
    )
    return make_response(text, status)
