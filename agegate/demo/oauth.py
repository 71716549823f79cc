"""The demo app as an OAuth client: code flow with PKCE (RFC 7636), refresh, live state.

Plain enough to read at one go; an app would take its framework's OpenID Connect client instead.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

SCOPE: Final = "openid age consent offline_access"
_TIMEOUT_S: Final = 10
_SPARE_S: Final = 30


class SignInError(Exception):
    """The way to agegate and back did not work out. `code` names nobody."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What is kept while the visitor is away, to recognise the answer."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    access: str
    refresh: str | None
    id: str

    @property
    def claims(self) -> dict[str, Any]:
        """What the access token says, for show: only the guard decides by it."""
        payload = self.access.split(".")[1]
        padded = payload + "=" * (-len(payload) % 4)
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(padded))
        return claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Who we are to the issuer: the app with its redirect, and the back end that asks questions."""

    issuer: str
    redirect_uri: str
    client_id: str
    client_secret: str
    service_id: str
    service_secret: str


class AgeClient:
    def __init__(self, registered: Registered) -> None:
        self._us = registered
        self._http = httpx2.Client(timeout=_TIMEOUT_S, trust_env=False)
        self._metadata: dict[str, Any] = {}
        self._service_token: tuple[str, float] = ("", 0.0)

    def close(self) -> None:
        self._http.close()

    # -- the visitor goes and comes back -----------------------------------------------------------

    def leave(self, *, hint: str | None = None, ask_again: bool = False) -> Leaving:
        """Where to send the visitor. Raises `SignInError` when agegate is away.

        With `ask_again` a parent who said no is asked once more; a no is an answer otherwise.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._us.client_id,
            "redirect_uri": self._us.redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        if hint is not None:
            query["id_token_hint"] = hint
        if ask_again:
            query["prompt"] = "consent"
        url = f"{self._endpoint('authorization_endpoint')}?{urlencode(query)}"
        return Leaving(url=url, state=state, nonce=nonce, verifier=verifier)

    def return_(self, answer: Mapping[str, str], leaving: Leaving) -> Tokens:
        """Tokens for the code that came back. Raises `SignInError`."""
        if answer.get("state") != leaving.state:
            raise SignInError("wrong_state")
        if answer.get("iss") != self._us.issuer:  # RFC 9207: an answer of somebody else
            raise SignInError("wrong_issuer")
        if "code" not in answer:
            raise SignInError(answer.get("error", "no_code"))
        tokens = self._tokens(
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": self._us.redirect_uri,
                "code_verifier": leaving.verifier,
            }
        )
        self._require_genuine(tokens.id, leaving.nonce)
        return tokens

    def refresh(self, tokens: Tokens) -> Tokens:
        """Newer tokens, which know what a parent decided meanwhile. Raises `SignInError`."""
        if tokens.refresh is None:
            raise SignInError("no_refresh_token")
        return self._tokens(
            {"grant_type": "refresh_token", "refresh_token": tokens.refresh}, before=tokens
        )

    # -- the back end asks -------------------------------------------------------------------------

    def introspect(self, token: str) -> dict[str, Any]:
        """The live state behind a token (RFC 7662). Raises `SignInError`."""
        return self._post(
            self._endpoint("introspection_endpoint"),
            data={"token": token},
            auth=(self._us.service_id, self._us.service_secret),
        )

    def decide(self, sub: str, purpose: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Question and answer: whether this purpose may be served now (OpenID AuthZEN).

        Raises `SignInError`.
        """
        question = {
            "subject": {"type": "subject", "id": sub},
            "action": {"name": purpose},
            "resource": {"type": "client", "id": self._us.client_id},
        }
        answer = self._post(
            f"{self._us.issuer}/access/v1/evaluation",
            json=question,
            headers={"Authorization": f"Bearer {self._as_service()}"},
        )
        return question, answer

    def _as_service(self) -> str:
        token, until = self._service_token
        if time.monotonic() >= until:
            answer = self._post(
                self._endpoint("token_endpoint"),
                data={"grant_type": "client_credentials", "scope": "consents:read"},
                auth=(self._us.service_id, self._us.service_secret),
            )
            token = str(answer["access_token"])
            until = time.monotonic() + int(answer.get("expires_in", 60)) - _SPARE_S
            self._service_token = (token, until)
        return token

    # -- helpers -----------------------------------------------------------------------------------

    def _tokens(self, form: dict[str, str], *, before: Tokens | None = None) -> Tokens:
        answer = self._post(
            self._endpoint("token_endpoint"),
            data=form,
            auth=(self._us.client_id, self._us.client_secret),
        )
        return Tokens(
            access=str(answer["access_token"]),
            refresh=answer.get("refresh_token", before.refresh if before else None),
            id=str(answer.get("id_token", before.id if before else "")),
        )

    def _require_genuine(self, id_token: str, nonce: str) -> None:
        """OpenID Connect Core 3.1.3.7."""
        try:
            keys = KeySet.import_key_set(self._get(self._endpoint("jwks_uri")))
            claims = jwt.decode(id_token, keys, algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            raise SignInError("id_token_not_genuine") from None
        audience = claims.get("aud")
        if (
            claims.get("iss") != self._us.issuer
            or self._us.client_id not in (audience if isinstance(audience, list) else [audience])
            or claims.get("nonce") != nonce
        ):
            raise SignInError("id_token_not_ours")

    def _endpoint(self, name: str) -> str:
        if not self._metadata:
            found = self._get(f"{self._us.issuer}/.well-known/openid-configuration")
            if found.get("issuer") != self._us.issuer:
                raise SignInError("wrong_issuer")
            self._metadata = found
        return str(self._metadata[name])

    def _get(self, url: str) -> Any:
        return self._answer("GET", url)

    def _post(self, url: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._answer("POST", url, **options)
        return answer

    def _answer(self, method: str, url: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, url, **options)
            body = response.json()
        except (httpx2.HTTPError, ValueError):
            raise SignInError("agegate_is_away") from None
        if response.is_error:
            code = body.get("error") or body.get("code") if isinstance(body, dict) else None
            raise SignInError(str(code or f"status_{response.status_code}"))
        return body
