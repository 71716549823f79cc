"""OAuth 2.1 and OpenID Connect: Authlib parses, our use cases decide."""

from __future__ import annotations

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
_OPEN = {"Access-Control-Allow-Origin": "*"}


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
        return _open(server.create_token_response())

    @bp.post(scopes.INTROSPECT)
    def introspect() -> ResponseReturnValue:
        answer = make_response(server.create_endpoint_response("introspection"))
        claims = answer.get_json(silent=True) or {}
        ends = [claims.get("exp"), claims.get("consent", {}).get("until")]
        hot.keep(until=min((float(end) for end in ends if end), default=None))
        return answer

    @bp.post(scopes.REVOKE)
    def revoke() -> ResponseReturnValue:
        return _open(server.create_endpoint_response("revocation"))

    @bp.route(scopes.USERINFO, methods=["GET", "POST"])
    def userinfo() -> ResponseReturnValue:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        claims = services.tokens.userinfo(value.strip()) if scheme.lower() == "bearer" else None
        if claims is None:
            refused = jsonify(error="invalid_token")
            refused.status_code = 401
            refused.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            return _open(refused)
        return _open(jsonify(claims))

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

    return bp


def _open(response: Response) -> Response:
    """Readable by browser apps, which carry no cookie of ours."""
    response.headers.update(_OPEN)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _cacheable(response: Response, seconds: int) -> Response:
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.add_etag()
    response.make_conditional(request)
    return _open(response)
