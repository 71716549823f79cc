"""What stands around every answer.

Request id, headers, the browser's session, and proof that a form is ours.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Flask, Response, g, request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.wrappers import Response as BaseResponse

from agegate.domain.errors import InvalidRequestError
from agegate.domain.ids import Digest, digest
from agegate.settings import Settings

_LONGEST_ID: Final = 64
_REMEMBERED_S: Final = 60 * 60 * 36
COOKIE_FREE: Final = (
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/access/",
    "/v1/",
    "/static/",
)


class BrowserSession:
    """A random id in a signed cookie; we know it only as a hash. It holds nothing else (law.

    No birth date).
    """

    def __init__(self, settings: Settings, key: bytes) -> None:
        self._secure = settings.public_url.startswith("https://")
        # `__Host-` binds the cookie to this host over TLS; on loopback without TLS browsers
        # refuse that name.
        self.name = "__Host-agegate" if self._secure else "agegate"
        self._signer: URLSafeSerializer = URLSafeSerializer(
            key, salt="agegate.browser", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def current(self) -> Digest:
        """This browser, beginning one if there is none yet."""
        return digest(self._secret())

    def find(self) -> Digest | None:
        secret = self._read()
        return digest(secret) if secret else None

    def write(self, response: Response) -> None:
        secret = g.get("new_browser")
        if secret is not None:
            self.set_cookie(response, self.name, self._signer.dumps(secret), max_age=_REMEMBERED_S)

    def set_cookie(self, response: BaseResponse, name: str, value: str, *, max_age: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            secure=self._secure,
            httponly=True,
            samesite="Lax",
            path="/",
        )

    def _secret(self) -> str:
        known = self._read() or g.get("new_browser")
        if known is None:
            known = g.new_browser = secrets.token_urlsafe(32)
        return str(known)

    def _read(self) -> str | None:
        text = request.cookies.get(self.name)
        if text is None:
            return None
        try:
            secret = self._signer.loads(text)
        except BadSignature:
            return None
        return secret if isinstance(secret, str) else None


class FormGuard:
    """A token in each form, bound to the browser session.

    Or to the link where there may be no cookie.
    """

    def __init__(self, key: bytes, browser: BrowserSession) -> None:
        self._key = key
        self._browser = browser

    def token(self, bound_to: str | None = None) -> str:
        what = bound_to or self._browser.current()
        return hmac.new(self._key, what.encode(), hashlib.sha256).hexdigest()

    def check(self, bound_to: str | None = None) -> None:
        """Raises `InvalidRequestError` for a form that this browser did not get from us."""
        given = request.form.get("csrf_token", "")
        if not given.isascii() or not hmac.compare_digest(given, self.token(bound_to)):
            raise InvalidRequestError("this page is too old; please go back and try again")


def install(app: Flask, settings: Settings, browser: BrowserSession) -> None:
    @app.before_request
    def _begin() -> None:
        g.request_id = request_id(request.environ)

    @app.after_request
    def _finish(response: Response) -> Response:
        headers = response.headers
        headers["X-Request-ID"] = g.get("request_id", "")
        if "hot" in g and response.status_code == HTTPStatus.OK:
            request.environ["agegate.hot"] = g.hot
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers.setdefault("Cache-Control", "no-store")
        if response.mimetype == "text/html":
            headers["Content-Security-Policy"] = content_policy(g.get("form_targets", ()))
            headers["X-Frame-Options"] = "DENY"
            headers["Permissions-Policy"] = (
                "camera=(), microphone=(), geolocation=(), interest-cohort=()"
            )
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
        if settings.public_url.startswith("https://"):
            headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
        if not request.path.startswith(COOKIE_FREE):
            browser.write(response)
        return response


def request_id(environ: Mapping[str, Any]) -> str:
    """The caller's own id where it is a plain one, else a fresh one."""
    given = str(environ.get("HTTP_X_REQUEST_ID", ""))
    fine = given.isascii() and given.isprintable() and 0 < len(given) <= _LONGEST_ID
    return given if fine else secrets.token_hex(8)


def content_policy(form_targets: tuple[str, ...]) -> str:
    """Everything from here or not at all.

    `form_targets` are origins a form's answer may redirect to: Chromium
    holds redirects after a form to `form-action` too.
    """
    targets = " ".join(("'self'", *form_targets))
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
        f"connect-src 'self'; form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )


def origin_of(url: str) -> str:
    """Scheme, host and port, for `form-action`; a private-use scheme of a native app by itself."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"
