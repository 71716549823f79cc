"""RFC 8414, OIDC Discovery, RFC 7517: what the service says of itself, whoever asks and how."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jws
from joserfc.jwk import KeySet

from agegate.adapters.signing import StoredKeySigner
from agegate.domain.keys import KeyState
from tests.integration.oauth.world import ISSUER, World, claims_of, header_of, settings_for

OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
HOSTILE = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "host=evil.example;proto=https",
    "X-Original-URL": "/evil",
}


def document(world: World, path: str = OPENID, **headers: str) -> dict[str, Any]:
    response = world.app.test_client().get(path, headers=headers)
    assert response.status_code == 200
    return dict(response.get_json())


def test_rfc8414_3_both_documents_are_one(world: World) -> None:
    assert document(world, OPENID) == document(world, OAUTH)


@pytest.mark.parametrize("header", HOSTILE)
def test_rfc8414_3_no_header_moves_an_endpoint(world: World, header: str) -> None:
    assert document(world, **{header: HOSTILE[header]}) == document(world)


def test_rfc8414_2_every_address_lies_under_the_issuer(world: World) -> None:
    said = document(world)
    assert said["issuer"] == ISSUER
    addresses = [v for v in said.values() if isinstance(v, str) and "://" in v]
    assert len(addresses) >= 7
    assert all(address.startswith(ISSUER) for address in addresses)


def test_rfc8414_2_the_document_says_what_is_true(world: World) -> None:
    said = document(world)
    assert said["response_types_supported"] == ["code"]
    assert said["response_modes_supported"] == ["query"]
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["subject_types_supported"] == ["pairwise"]
    assert said["id_token_signing_alg_values_supported"] == ["ES256"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert said["request_parameter_supported"] is False
    assert said["request_uri_parameter_supported"] is False
    assert set(said["grant_types_supported"]) == {
        "authorization_code",
        "refresh_token",
        "client_credentials",
    }
    assert "none" not in said["introspection_endpoint_auth_methods_supported"]
    assert {"none", "age", "consent"} <= set(said["prompt_values_supported"])


def test_behind_tls_the_service_starts_and_its_document_passes_authlibs_validator(
    furnished: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    shutil.copytree(furnished[0], tmp_path / "copy")
    url = f"sqlite:///{tmp_path / 'copy' / 'agegate.db'}"
    https = World.open(settings_for(url, AGEGATE_PUBLIC_URL="https://age.example"), furnished[1])
    said = document(https)
    assert said["issuer"] == "https://age.example"
    AuthorizationServerMetadata(said).validate()
    answer = https.browser().as_adult()  # over plain http, as behind a proxy that ends TLS
    assert claims_of(https.tokens(answer)["access_token"])["iss"] == "https://age.example"
    https.close()


@pytest.mark.parametrize("path", [OPENID, OAUTH, "/oauth/jwks.json", "/oauth/status/1"])
def test_public_documents_may_be_kept_and_read_by_any_page(world: World, path: str) -> None:
    response = world.app.test_client().get(path, headers={"Origin": "https://app.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "public" in response.headers["Cache-Control"]
    assert "Set-Cookie" not in response.headers
    again = world.app.test_client().get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code in {200, 304}


@pytest.mark.parametrize(
    ("path", "method"),
    [("/oauth/token", "POST"), ("/oauth/revoke", "POST"), ("/oauth/userinfo", "GET")],
)
def test_a_browser_app_may_ask_with_its_headers(world: World, path: str, method: str) -> None:
    """A page's own headers need a preflight (Fetch, 4.8)."""
    response = world.app.test_client().options(
        path,
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert response.status_code in {200, 204}
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert method in response.headers["Access-Control-Allow-Methods"]
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    assert "Access-Control-Allow-Credentials" not in response.headers
    refused = world.app.test_client().open(path, method=method)
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/introspect", "/parent/", "/flow/x"])
def test_other_sites_may_not_read_what_is_not_for_them(world: World, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        response = world.app.test_client().open(
            path, method=method, headers={"Origin": "https://app.example"}
        )
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("header", HOSTILE)
def test_no_header_breaks_a_back_channel(world: World, header: str) -> None:
    """Authlib refuses plain http by an exception of its own; who stands before us may speak it."""
    answer = world.browser().as_adult()
    headers = {header: HOSTILE[header]}
    form = {"grant_type": "authorization_code", "code": answer.code}
    for path in ("/oauth/token", "/oauth/introspect", "/oauth/revoke"):
        response = world.post(path, {**form, "token": "x"}, basic="web", headers=headers)
        assert response.status_code in {200, 400}
    visit = world.app.test_client().get(
        "/oauth/authorize", query_string=world.request(), headers=headers
    )
    assert visit.status_code == 303
    assert visit.headers["Location"].startswith("/flow/")


# -- keys --------------------------------------------------------------------------------------


def jwks(world: World) -> list[dict[str, Any]]:
    forget(world)
    return list(world.app.test_client().get("/oauth/jwks.json").get_json()["keys"])


def forget(world: World) -> None:
    signer = world.services.signer
    assert isinstance(signer, StoredKeySigner)
    signer.forget()


def test_rfc7517_no_private_part_is_ever_shown(world: World) -> None:
    for key in jwks(world):
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


def test_the_next_key_is_shown_before_it_signs(world: World) -> None:
    shown = {key["kid"] for key in jwks(world)}
    states = {key.state: key.id for key in world.services.keys.list()}
    assert shown == {states[KeyState.ACTIVE], states[KeyState.NEXT]}
    world.services.keys.rotate(at_once=True)
    forget(world)
    token = world.tokens(world.browser().as_adult())["access_token"]
    assert header_of(token)["kid"] == states[KeyState.NEXT]


def test_a_token_verifies_with_the_key_that_its_header_names(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult())
    keys = KeySet.import_key_set({"keys": jwks(world)})
    for token in (tokens["access_token"], tokens["id_token"]):
        assert header_of(token)["alg"] == "ES256"
        jws.deserialize_compact(token, keys, algorithms=["ES256"])


def test_rotation_keeps_old_tokens_good_and_retirement_ends_them(world: World) -> None:
    token = world.tokens(world.browser().as_adult())["access_token"]
    world.services.keys.rotate(at_once=True)
    forget(world)
    assert world.introspect(token)["active"] is True
    assert header_of(token)["kid"] in {key["kid"] for key in jwks(world)}
    world.services.keys.retire(header_of(token)["kid"])
    forget(world)
    assert world.introspect(token) == {"active": False}
    assert header_of(token)["kid"] not in {key["kid"] for key in jwks(world)}
    assert world.userinfo(token).status_code == 401
