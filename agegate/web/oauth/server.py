"""Authlib's server over our own use cases.

It parses and answers, `TokenService` decides and stores.
"""

from __future__ import annotations

from typing import Any, ClassVar

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2.rfc6749 import OAuth2Error, OAuth2Request, grants
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask, Request
from flask import request as flask_request

from agegate.bootstrap import Services
from agegate.domain.operators import AuthMethod
from agegate.services.issuing import GrantError, Tokens
from agegate.web.oauth.clients import Caller, authenticate
from agegate.web.oauth.front import client_credentials, read_form_body

NO_STORE = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}
_METHODS = [
    AuthMethod.CLIENT_SECRET_BASIC.value,
    AuthMethod.CLIENT_SECRET_POST.value,
    AuthMethod.NONE.value,
]
_SIGNED = "application/token-introspection+jwt"
_SHORTEST_VERIFIER, _LONGEST_VERIFIER = 43, 128
_VERIFIER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
Answer = tuple[int, dict[str, Any] | str, dict[str, str]]


class _SafeRequest(FlaskOAuth2Request):  # type: ignore[misc]  # Authlib has no types.
    """A request that Authlib does not judge by its address.

    TLS ends before us, and `Host` is anybody's word; `Settings` insists on https.
    """

    def __init__(self, request: Request) -> None:
        OAuth2Request.__init__(
            self, request.method, f"https://agegate{request.path}", headers=request.headers
        )
        self._request = request
        self.payload = FlaskOAuth2Payload(request)


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types.
    """One client-authentication method per client, at every endpoint."""

    def __init__(self, app: Flask, services: Services) -> None:
        super().__init__(app, query_client=lambda _: None, save_token=lambda *_: None)
        self.services = services
        for grant in (CodeGrant, RefreshGrant, ServiceGrant):
            self.register_grant(grant)
        self.register_endpoint(Introspection)
        self.register_endpoint(Revocation)

    def create_oauth2_request(self, request: Request | None) -> OAuth2Request:  # noqa: ARG002 - Authlib's form
        return _SafeRequest(flask_request)

    def authenticate_client(
        self, request: OAuth2Request, methods: list[str], endpoint: str = "token"
    ) -> Caller:
        client_id, secret, method = client_credentials(read_form_body())
        public_ok = endpoint != "introspection" and "none" in methods
        caller = authenticate(self.services, client_id, secret, method, public_ok=public_ok)
        request.auth_method = method
        return caller

    def handle_error_response(self, request: OAuth2Request, error: OAuth2Error) -> Any:  # noqa: ARG002 - Authlib's form
        """RFC 6749, 5.2. Descriptions are ours and hold nothing that was sent."""
        body = {"error": error.error}
        if error.description:
            body["error_description"] = error.description
        headers = dict(NO_STORE)
        if error.status_code == 401:  # noqa: PLR2004 - RFC 6749, 5.2 asks for the challenge
            headers["WWW-Authenticate"] = 'Basic realm="agegate", charset="UTF-8"'
        return self.handle_response(error.status_code, body, headers)


class _Grant:
    """What the three token grants share."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = _METHODS
    GRANT_TYPE: ClassVar[str]
    request: OAuth2Request
    server: Server
    form: dict[str, str]

    def validate_token_request(self) -> None:
        self.form = read_form_body()
        caller = self.server.authenticate_client(self.request, self.TOKEN_ENDPOINT_AUTH_METHODS)
        if not caller.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("this client may not use this grant")
        self.request.client = caller

    def need(self, name: str) -> str:
        if name not in self.form:
            raise InvalidRequestError(f"{name} is missing")
        return self.form[name]

    def create_token_response(self) -> Answer:
        try:
            return 200, self.tokens(self.request.client).to_json(), NO_STORE
        except GrantError as error:
            raise OAuth2Error(str(error), error=error.code, status_code=400) from None

    def tokens(self, caller: Caller) -> Tokens:
        raise NotImplementedError(self.GRANT_TYPE)  # each grant says what it gives


class CodeGrant(_Grant, grants.AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib has no types.
    """RFC 6749, 4.1.3; PKCE is not optional for anybody."""

    def tokens(self, caller: Caller) -> Tokens:
        verifier = self.need("code_verifier")
        if (
            not _SHORTEST_VERIFIER <= len(verifier) <= _LONGEST_VERIFIER
            or set(verifier) - _VERIFIER
        ):
            raise InvalidGrantError(
                description="code_verifier is not of the form RFC 7636 asks for"
            )
        assert caller.client is not None  # noqa: S101 - check_grant_type let only clients through
        return self.server.services.tokens.exchange(
            caller.client,
            code=self.need("code"),
            redirect_uri=self.need("redirect_uri"),
            verifier=verifier,
            resource=self.form.get("resource"),
        )


class RefreshGrant(_Grant, grants.RefreshTokenGrant):  # type: ignore[misc]  # Authlib has no types.
    def tokens(self, caller: Caller) -> Tokens:
        assert caller.client is not None  # noqa: S101 - check_grant_type let only clients through
        return self.server.services.tokens.refresh(
            caller.client,
            refresh_token=self.need("refresh_token"),
            scope=self.form.get("scope"),
            resource=self.form.get("resource"),
        )


class ServiceGrant(_Grant, grants.ClientCredentialsGrant):  # type: ignore[misc]  # Authlib has no types.
    def tokens(self, caller: Caller) -> Tokens:
        assert caller.service is not None  # noqa: S101 - check_grant_type let only services through
        return self.server.services.tokens.for_service(caller.service, scope=self.form.get("scope"))


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # Authlib has no types.
    """RFC 7662, for services. Everything that is not theirs is `{"active": false}`."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = _METHODS[:2]

    def create_endpoint_response(self, request: OAuth2Request) -> Answer:
        form = read_form_body()
        caller: Caller = self.authenticate_endpoint_client(request)
        if "token" not in form:
            raise InvalidRequestError("token is missing")
        tokens = self.server.services.tokens
        told = tokens.introspect(caller.id, caller.operator_id, caller.audiences, form["token"])
        if flask_request.accept_mimetypes.best_match(["application/json", _SIGNED]) == _SIGNED:
            return 200, self._signed(told, caller), NO_STORE | {"Content-Type": _SIGNED}
        return 200, told, NO_STORE

    def _signed(self, told: dict[str, Any], caller: Caller) -> str:
        """RFC 9701, 5: the same answer as evidence, for this caller alone."""
        services: Services = self.server.services
        about = {
            "iss": services.core.public_url,
            "aud": caller.id,
            "iat": int(services.core.now().timestamp()),
            "token_introspection": told,
        }
        return services.signer.sign(about, typ=_SIGNED.removeprefix("application/"))


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib has no types.
    """RFC 7009. An unknown token, and an unknown hint, are no errors."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = _METHODS

    def create_endpoint_response(self, request: OAuth2Request) -> Answer:
        form = read_form_body()
        caller: Caller = self.authenticate_endpoint_client(request)
        if "token" not in form:
            raise InvalidRequestError("token is missing")
        self.server.services.tokens.revoke(caller.id, form["token"])
        return 200, {}, NO_STORE
