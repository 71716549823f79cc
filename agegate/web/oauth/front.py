"""What stands before Authlib: only requests of the plainest form get further.

Authlib reads query and body as one, takes the first of doubled parameters, and answers some hostile
bytes with an exception. Here is the one place that says no first.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from flask import request
from werkzeug.datastructures import MultiDict

_LONGEST: Final = 4096
_LONGEST_TOKEN: Final = 16_384
_MOST: Final = 40
_NAME: Final = re.compile(r"[!-~]{1,64}")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_TOKENS: Final = frozenset({"refresh_token", "client_assertion", "id_token_hint", "request"})
_OPAQUE: Final = frozenset({"token"})
"""Whatever it holds: it is one of ours or it is not, and that is for others to say."""


def read_form_body() -> dict[str, str]:
    """The parameters of a back-channel request: form body only, each once, plain text.

    Raises Authlib's `InvalidRequestError`.
    """
    if request.mimetype != "application/x-www-form-urlencoded":
        raise InvalidRequestError("the body must be application/x-www-form-urlencoded")
    if request.args:
        raise InvalidRequestError("parameters belong into the body")
    return checked(request.form)


def checked(parameters: MultiDict[str, str]) -> dict[str, str]:
    """Each parameter once, of a sane length, printable.

    An empty value counts as absent (RFC 6749, 3.1).
    """
    found: dict[str, str] = {}
    if len(parameters) > _MOST:
        raise InvalidRequestError("too many parameters")
    for name, values in parameters.lists():
        if not _NAME.fullmatch(name):
            raise InvalidRequestError("a parameter has a name that is not known")
        if len(values) != 1:
            raise InvalidRequestError("a parameter was sent more than once")
        value = values[0]
        if name not in _OPAQUE:
            _check_value(value, longest=_LONGEST_TOKEN if name in _TOKENS else _LONGEST)
        if value:
            found[name] = value
    return found


def _check_value(value: str, *, longest: int) -> None:
    if len(value) > longest or _CONTROLS.search(value):
        raise InvalidRequestError("a parameter is too long or holds control characters")
    if "\ufffd" in value:
        raise InvalidRequestError("a parameter is not UTF-8")


def client_credentials(form: Mapping[str, str]) -> tuple[str, str | None, str]:
    """Client id, secret and method (`client_secret_basic`, `client_secret_post`, `none`).

    Exactly one way at once.

    Raises Authlib's `InvalidClientError` and `InvalidRequestError`.
    """
    headers = request.headers.getlist("Authorization")
    if len(headers) > 1:
        raise InvalidRequestError("more than one Authorization header")
    if "client_assertion" in form or "client_assertion_type" in form:
        if headers or "client_secret" in form:
            raise InvalidRequestError("more than one way of client authentication")
        raise InvalidClientError(status_code=401, description="client assertions are not supported")
    if headers:
        if "client_secret" in form:
            raise InvalidRequestError("more than one way of client authentication")
        client_id, secret = _basic(headers[0])
        if form.get("client_id", client_id) != client_id:
            raise InvalidRequestError("client_id is not the one of the Authorization header")
        return client_id, secret, "client_secret_basic"
    client_id = form.get("client_id", "")
    if not client_id:
        raise InvalidClientError(status_code=401, description="the client did not say who it is")
    if "client_secret" in form:
        return client_id, form["client_secret"], "client_secret_post"
    return client_id, None, "none"


def _basic(header: str) -> tuple[str, str]:
    """RFC 6749, 2.3.1: both halves are form-encoded inside."""
    scheme, _, value = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        text = base64.b64decode(value.strip(), validate=True).decode("ascii")
        client_id, colon, secret = text.partition(":")
        if not colon or not client_id or not secret:
            raise ValueError
    except (ValueError, binascii.Error, UnicodeDecodeError):
        raise InvalidClientError(
            status_code=401, description="the Authorization header is not of the Basic form"
        ) from None
    return unquote_plus(client_id), unquote_plus(secret)
