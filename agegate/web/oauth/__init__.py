"""OAuth 2.1 and OpenID Connect: Authlib parses, our use cases decide."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from agegate.bootstrap import Services
from agegate.services.status import TTL_S
from agegate.web import hot
from agegate.web.oauth.authorize import authorize as begin
from agegate.web.oauth.metadata import server_metadata
from agegate.web.oauth.server import Server
from agegate.web.security import BrowserSession
from agegate.wire import scopes

_KEYS_FOR_S = 600
_LARGEST_QUESTION = 2 * 1024 * 1024
"""However long a token is, "not ours" is the answer (RFC 7662, 2.2)."""
_READABLE = frozenset(
    {
        scopes.TOKEN,
        scopes.REVOKE,
        scopes.USERINFO,
        scopes.JWKS,
        scopes.OPENID_CONFIGURATION,
        scopes.SERVER_METADATA,
    }
)
"""What browser apps may read. They carry no cookie of ours."""
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def oauth_blueprint(app: Flask, services: Services, browser: BrowserSession) -> Blueprint:
    bp = Blueprint("oauth", __name__)
    server = Server(app, services)
    metadata = server_metadata(services.settings)

    @bp.route(scopes.AUTHORIZE, methods=["GET", "POST"], provide_automatic_options=False)
    def authorize() -> ResponseReturnValue:
        if request.method == "HEAD":
            return make_response("", 405, {"Allow": "GET, POST"})
        return begin(services, browser)

    @bp.post(scopes.TOKEN)
    def token() -> ResponseReturnValue:
        return make_response(server.create_token_response())

    @bp.post(scopes.INTROSPECT)
    def introspect() -> ResponseReturnValue:
        _allow_long_tokens()
        answer = make_response(server.create_endpoint_response("introspection"))
        if answer.is_json:
            _keep(answer.get_json())
        return answer

    @bp.post(scopes.REVOKE)
    def revoke() -> ResponseReturnValue:
        _allow_long_tokens()
        return make_response(server.create_endpoint_response("revocation"))

    @bp.route(scopes.USERINFO, methods=["GET", "POST"])
    def userinfo() -> ResponseReturnValue:
        return _userinfo(services)

    @bp.get(scopes.JWKS)
    def jwks() -> ResponseReturnValue:
        return _cacheable(jsonify(services.signer.jwks()), _KEYS_FOR_S)

    @bp.get(scopes.OPENID_CONFIGURATION)
    @bp.get(scopes.SERVER_METADATA)
    def configuration() -> ResponseReturnValue:
        return _cacheable(jsonify(metadata), _KEYS_FOR_S)

    @bp.get(f"{scopes.STATUS_LIST}/<int(max=1000000):list_id>")
    def status_list(list_id: int) -> ResponseReturnValue:
        signed = Response(services.status.token(list_id), mimetype="application/statuslist+jwt")
        return _cacheable(signed, TTL_S // 3)

    bp.after_request(_open)
    return bp


def _userinfo(services: Services) -> ResponseReturnValue:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return "", 401, {"WWW-Authenticate": "Bearer"}  # RFC 6750, 3.1: no error to speak of
    claims = services.tokens.userinfo(value.strip())
    if claims is None:
        refused = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return jsonify(error="invalid_token"), 401, refused
    return jsonify(claims)


def _open(response: Response) -> Response:
    if request.path in _READABLE or request.path.startswith(f"{scopes.STATUS_LIST}/"):
        response.headers["Access-Control-Allow-Origin"] = "*"
        if request.method == "OPTIONS":
            response.headers.update(_PREFLIGHT)
    return response


def _keep(claims: dict[str, Any]) -> None:
    """The same question gets the same bytes until the answer would change by itself."""
    ends = [claims.get("exp"), claims.get("consent", {}).get("until")]
    hot.keep(until=min((float(end) for end in ends if end), default=None))


def _allow_long_tokens() -> None:
    request.max_content_length = request.max_form_memory_size = _LARGEST_QUESTION


def _cacheable(response: Response, seconds: int) -> Response:
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.add_etag()
    response.make_conditional(request)
    return response
