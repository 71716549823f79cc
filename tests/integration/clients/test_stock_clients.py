"""Clients as their authors ship them complete the flow against a live server, unmodified."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from requests_oauthlib import OAuth2Session as OauthlibSession

from tests.integration.clients.service import AUDIENCE, CALLBACK, LiveService, Person

HERE = Path(__file__).resolve().parent
SCOPE = "openid age consent offline_access"
CONFIDENTIAL, PUBLIC, API = "storybuddy-web", "storybuddy-spa", "storybuddy-api"
ADULT = {"state": "not_required"}


class NodeClient:
    """A Node script that takes turns with the test, one line of JSON each."""

    def __init__(self, node: str, script: str) -> None:
        self._process = subprocess.Popen(
            [node, str(HERE / script)],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)

    def say(self, thing: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(thing) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(self._process.communicate(timeout=10)[1])
        return dict(json.loads(line))


def settings(service: LiveService, client: str, **more: str) -> dict[str, Any]:
    return {
        "issuer": service.issuer,
        "client_id": client,
        "client_secret": service.secrets.get(client),
        "redirect_uri": CALLBACK,
        "scope": SCOPE,
        "audience": AUDIENCE,
        "service": {"id": API, "secret": service.secrets[API]},
        "more": more,
    }


def agrees(result: dict[str, Any], service: LiveService, client: str, tier: str) -> None:
    claims, live = result["claims"], result["live"]
    assert claims["iss"] == service.issuer
    assert claims["aud"] in (client, [client])
    assert claims["age_tier"] == result["userinfo"]["age_tier"] == live["age_tier"] == tier
    assert claims["sub"] == result["userinfo"]["sub"] == live["sub"]
    assert claims["consent"] == result["userinfo"]["consent"] == live["consent"]
    assert live["active"] is True
    assert result["ended"] == {"active": False}
    assert set(result["scope"].split()) == set(SCOPE.split())


@pytest.mark.parametrize("script", ["openid-client.mjs", "oauth4webapi.mjs"])
@pytest.mark.parametrize("client", [CONFIDENTIAL, PUBLIC])
def test_a_node_client_completes_the_flow_for_an_adult(
    service: LiveService, node: str, script: str, client: str
) -> None:
    with NodeClient(node, script) as program:
        program.say(settings(service, client))
        program.say({"ended": Person(service.issuer).adult(program.hear()["url"])})
        result = program.hear()
    assert "error" not in result, result
    agrees(result, service, client, "adult")
    assert result["claims"]["consent"] == ADULT


@pytest.mark.parametrize("script", ["openid-client.mjs", "oauth4webapi.mjs"])
def test_a_node_client_completes_the_flow_for_a_child_with_a_parent(
    service: LiveService, node: str, script: str
) -> None:
    with NodeClient(node, script) as program:
        program.say(settings(service, CONFIDENTIAL, age_region="US"))
        url = program.hear()["url"]
        program.say({"ended": Person(service.issuer).child_with_parent(service, url)})
        result = program.hear()
    assert "error" not in result, result
    agrees(result, service, CONFIDENTIAL, "child")
    assert result["claims"]["consent"]["state"] == "granted"
    assert set(result["claims"]["consent"]["purposes"]) == {"ai_chat", "disclose:researchlab"}


def test_both_metadata_documents_pass_the_strict_client_and_are_one(
    service: LiveService, node: str
) -> None:
    with NodeClient(node, "oauth4webapi.mjs") as program:
        program.say(settings(service, CONFIDENTIAL))
        assert program.hear()["same"] is True


@pytest.mark.parametrize("script", ["openid-client.mjs", "oauth4webapi.mjs"])
@pytest.mark.parametrize(
    ("more", "error"),
    [({"prompt": "none"}, "login_required"), ({"resource": "https://x.example"}, "invalid_target")],
)
def test_a_strict_client_understands_a_refusal(
    service: LiveService, node: str, script: str, more: dict[str, str], error: str
) -> None:
    with NodeClient(node, script) as program:
        program.say(settings(service, CONFIDENTIAL, **more))
        ended = Person(service.issuer).visit(program.hear()["url"]).headers["Location"]
        program.say({"ended": ended})
        result = program.hear()
    assert result["error"] == error
    assert result["name"] == "AuthorizationResponseError"


@pytest.mark.parametrize("script", ["openid-client.mjs", "oauth4webapi.mjs"])
def test_a_strict_client_refuses_an_answer_of_another_issuer(
    service: LiveService, node: str, script: str
) -> None:
    with NodeClient(node, script) as program:
        program.say(settings(service, CONFIDENTIAL))
        ended = Person(service.issuer).adult(program.hear()["url"])
        program.say({"ended": ended.replace("iss=http%3A%2F%2F127", "iss=http%3A%2F%2F128")})
        result = program.hear()
    assert "error" in result
    assert "claims" not in result


# -- Python ----------------------------------------------------------------------------------------


def metadata(service: LiveService) -> dict[str, Any]:
    url = f"{service.issuer}/.well-known/openid-configuration"
    return dict(requests.get(url, timeout=10).json())


def id_token_claims(service: LiveService, token: str, *, client: str, nonce: str) -> dict[str, Any]:
    said = metadata(service)
    keys = KeySet.import_key_set(requests.get(said["jwks_uri"], timeout=10).json())
    decoded = jwt.decode(token, keys, algorithms=["ES256"])
    parameters = {"nonce": nonce, "client_id": client}
    claims = CodeIDToken(decoded.claims, decoded.header, params=parameters)
    claims.options = {"iss": {"values": [service.issuer]}, "aud": {"value": client}}
    claims.validate(leeway=5)
    return dict(decoded.claims)


@pytest.mark.parametrize("client", [CONFIDENTIAL, PUBLIC])
def test_authlibs_client_completes_the_flow(service: LiveService, client: str) -> None:
    said = metadata(service)
    secret = service.secrets.get(client)
    method = "client_secret_basic" if secret else "none"
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    with AuthlibSession(
        client,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri=CALLBACK,
        scope=SCOPE,
        code_challenge_method="S256",
    ) as session:
        url, _ = session.create_authorization_url(
            said["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        ended = Person(service.issuer).adult(url)
        tokens = session.fetch_token(
            said["token_endpoint"], authorization_response=ended, code_verifier=verifier
        )
        claims = id_token_claims(service, tokens["id_token"], client=client, nonce=nonce)
        assert claims["age_tier"] == "adult"
        assert session.get(said["userinfo_endpoint"]).json()["sub"] == claims["sub"]
        old = tokens["refresh_token"]
        again = session.refresh_token(said["token_endpoint"], refresh_token=old)
        assert again["refresh_token"] != old
        gone = session.revoke_token(said["revocation_endpoint"], again["refresh_token"])
        assert gone.status_code == 200
        assert session.get(said["userinfo_endpoint"]).status_code == 401


def test_requests_oauthlib_completes_the_flow(
    service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # it knows no exception for loopback
    said = metadata(service)
    with OauthlibSession(
        CONFIDENTIAL, redirect_uri=CALLBACK, scope=SCOPE.split(), pkce="S256"
    ) as session:
        url, _ = session.authorization_url(said["authorization_endpoint"], nonce="n")
        ended = Person(service.issuer).adult(url)
        secret = service.secrets[CONFIDENTIAL]
        tokens = session.fetch_token(
            said["token_endpoint"], authorization_response=ended, client_secret=secret
        )
        claims = id_token_claims(service, tokens["id_token"], client=CONFIDENTIAL, nonce="n")
        assert session.get(said["userinfo_endpoint"]).json()["sub"] == claims["sub"]
        again = session.refresh_token(said["token_endpoint"], auth=(CONFIDENTIAL, secret))
        assert again["refresh_token"] != tokens["refresh_token"]


# -- what only a live server shows ---------------------------------------------------------------


def test_two_authorization_headers_are_refused_by_the_server_itself(service: LiveService) -> None:
    import http.client
    from base64 import b64encode
    from urllib.parse import urlsplit

    good = b64encode(f"{CONFIDENTIAL}:{service.secrets[CONFIDENTIAL]}".encode()).decode()
    place = urlsplit(service.issuer)
    for pair in ((good, good), (good, "eDp5"), ("eDp5", good)):
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
        connection.putrequest("POST", "/oauth/introspect")
        for value in pair:
            connection.putheader("Authorization", f"Basic {value}")
        body = b"token=x"
        connection.putheader("Content-Type", "application/x-www-form-urlencoded")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        said = json.loads(response.read())
        connection.close()
        assert response.status in {400, 401}, pair
        assert said["error"] in {"invalid_request", "invalid_client"}
