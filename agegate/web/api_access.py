"""Who may use the API: a service of an operator, by its secret or by an access token of ours."""

from __future__ import annotations

from authlib.oauth2 import OAuth2Error
from flask import Response, request

from agegate.bootstrap import Services
from agegate.domain.ids import OperatorId
from agegate.domain.operators import AuthMethod
from agegate.web.oauth.clients import authenticate
from agegate.web.oauth.front import client_credentials
from agegate.web.problems import problem
from agegate.wire.problems import Problem
from agegate.wire.scopes import Scope

REALM = 'realm="agegate"'


class RefusedCaller(Exception):  # noqa: N818 - it is the caller who is refused
    """Carries the answer: RFC 6750, 3 and RFC 7617, 2 want a challenge with it."""

    def __init__(self, response: Response) -> None:
        super().__init__("this caller is refused")
        self.response = response


def require_service(services: Services, scope: Scope) -> OperatorId:
    """The operator for which the caller speaks. Raises `RefusedCaller`."""
    headers = request.headers.getlist("Authorization")
    scheme = headers[0].partition(" ")[0].lower() if len(headers) == 1 else ""
    if scheme == "bearer":
        operator_id, scopes = _by_token(services, headers[0].partition(" ")[2].strip())
    elif scheme == "basic":
        operator_id, scopes = _by_secret(services)
    else:
        raise RefusedCaller(_unauthorized("show a service's secret or access token"))
    if scope not in scopes:
        raise RefusedCaller(_lacking(scope))
    return operator_id


def _by_token(services: Services, token: str) -> tuple[OperatorId, frozenset[str]]:
    claims = services.tokens.bearer(token)
    if claims is None:
        raise RefusedCaller(_unauthorized("this access token is not good", error="invalid_token"))
    granted = frozenset(str(claims.get("scope", "")).split())
    with services.core.store.read() as r:
        found = services.core.find_service(r, str(claims.get("client_id")))
    if found is None:
        # A good token, but one that an app holds for a person: it carries no scope of ours.
        raise RefusedCaller(_lacking(Scope.CONSENTS_READ))
    if services.core.public_url not in claims.get("aud", []):
        raise RefusedCaller(_unauthorized("this access token is not good", error="invalid_token"))
    operator, service = found
    # A scope that was taken out of the operator file ends at once, not with the token.
    return operator.id, granted & frozenset(service.scopes)


def _by_secret(services: Services) -> tuple[OperatorId, frozenset[str]]:
    try:
        client_id, secret, method = client_credentials({})
        if not client_id.isprintable():
            raise RefusedCaller(_unauthorized("service authentication failed"))
        caller = authenticate(services, client_id, secret, method, public_ok=False)
    except OAuth2Error:
        raise RefusedCaller(_unauthorized("service authentication failed")) from None
    if caller.service is None or method != AuthMethod.CLIENT_SECRET_BASIC.value:
        raise RefusedCaller(_lacking(Scope.CONSENTS_READ))
    return caller.operator_id, frozenset(caller.service.scopes)


def _unauthorized(detail: str, *, error: str | None = None) -> Response:
    response = problem(Problem.UNAUTHORIZED, detail)
    bearer = f'Bearer {REALM}, error="{error}"' if error else f"Bearer {REALM}"
    response.headers.add("WWW-Authenticate", f'Basic {REALM}, charset="UTF-8"')
    response.headers.add("WWW-Authenticate", bearer)
    return response


def _lacking(scope: Scope) -> Response:
    response = problem(Problem.INSUFFICIENT_SCOPE, f"this needs the scope {scope.value}")
    response.headers["WWW-Authenticate"] = (
        f'Bearer {REALM}, error="insufficient_scope", scope="{scope.value}"'
    )
    return response
