"""The token endpoint: RFC 6749 2.3, 3.2 and 5.2; one plain form, one way of authentication."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from tests.integration.oauth.operators import CALLBACK
from tests.integration.oauth.world import VERIFIER, World, a_verifier


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


ENDPOINTS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")


def is_refused(response: TestResponse, *errors: str) -> None:
    """RFC 6749, 5.2: JSON with a known error, never stored, nothing of what was sent in it."""
    body = response.get_json()
    assert body["error"] in errors, body
    assert response.status_code == (401 if body["error"] == "invalid_client" else 400)
    assert response.headers["Cache-Control"] == "no-store"
    assert set(body) <= {"error", "error_description"}
    assert body.get("error_description", "").isascii()
    assert "Set-Cookie" not in response.headers
    if response.status_code == 401:
        assert response.headers["WWW-Authenticate"].startswith("Basic realm=")


def basic(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return "Basic " + base64.b64encode(raw).decode()


MALFORMED = {
    "no value": "Basic",
    "empty value": "Basic ",
    "no base64": "Basic !!!",
    "broken padding": "Basic d2Vi=",
    "not UTF-8": basic(b"\xff\xfe:\xff"),
    "UTF-8": basic("wéb:sécret"),
    "no colon": basic("web"),
    "no id": basic(":secret"),
    "no secret": basic("web:"),
    "NUL in the id": basic("we\x00b:x"),
    "escaped NUL in the id": basic("web%00:x"),
    "escaped bytes": basic("%ff%fe:%ff"),
    "new line in the id": basic("web\n:x"),
    "long id": basic("w" * 20_000 + ":x"),
    "bearer": "Bearer abc",
    "digest": 'Digest username="web"',
    "two in one": f"{basic('web:x')}, {basic('api:x')}",
    "words": "web secret",
    "empty": "",
    "spaces": "   ",
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("case", MALFORMED)
def test_rfc6749_2_3_1_a_malformed_authorization_header_is_401(
    both_worlds: World, endpoint: str, case: str
) -> None:
    form = {"grant_type": "authorization_code", "token": "x", "code": "x"}
    response = both_worlds.post(endpoint, form, headers={"Authorization": MALFORMED[case]})
    is_refused(response, "invalid_client")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_unknown_client_wrong_secret_and_wrong_method_look_the_same(
    both_worlds: World, endpoint: str
) -> None:
    form = {"grant_type": "authorization_code", "token": "x", "code": "x"}
    right = both_worlds.secrets["web"]
    answers = [
        both_worlds.post(endpoint, form, basic=("nobody", "x")),
        both_worlds.post(endpoint, form, basic=("web", "x")),
        both_worlds.post(endpoint, form, basic=("web", right + "x")),
        both_worlds.post(endpoint, form, basic=("web", "%C3%BC")),
        both_worlds.post(endpoint, form, basic=("spa", "x")),
        both_worlds.post(endpoint, form, basic=("post", both_worlds.secrets["post"])),
        both_worlds.post(endpoint, {**form, "client_id": "web", "client_secret": right}),
        both_worlds.post(endpoint, {**form, "client_id": "web"}),
        both_worlds.post(endpoint, {**form, "client_id": "post"}),
        both_worlds.post(endpoint, {**form, "client_id": "nobody"}),
        both_worlds.post(endpoint, {**form, "client_id": "nobody", "client_secret": "x"}),
        both_worlds.post(endpoint, {**form, "client_id": "spa", "client_secret": "x"}),
    ]
    for answer in answers:
        is_refused(answer, "invalid_client")
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_nobody_at_all_is_401(world: World, endpoint: str) -> None:
    is_refused(
        world.post(endpoint, {"grant_type": "refresh_token", "token": "x"}), "invalid_client"
    )


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("second", ["client_secret", "client_assertion", "client_id"])
def test_rfc6749_2_3_two_ways_of_authentication_at_once_are_refused(
    world: World, endpoint: str, second: str
) -> None:
    form = {"grant_type": "authorization_code", "token": "x", "code": "x", second: "spa"}
    is_refused(world.post(endpoint, form, basic="web"), "invalid_request")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_rfc7523_client_assertions_are_refused_while_they_are_not_offered(
    world: World, endpoint: str
) -> None:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"token": "x", "client_assertion_type": kind, "client_assertion": "a.b.c"}
    response = world.post(endpoint, {"grant_type": "refresh_token", **form})
    is_refused(response, "invalid_client")


def test_rfc6749_2_3_1_id_and_secret_are_form_encoded_inside_basic(world: World) -> None:
    secret = world.secrets["web"]
    escaped = "".join(f"%{ord(c):02x}" for c in secret)
    answer = world.browser().as_adult()
    response = world.redeem(answer.code)
    assert response.status_code == 200
    form = {"grant_type": "refresh_token", "refresh_token": response.get_json()["refresh_token"]}
    again = world.post("/oauth/token", form, headers={"Authorization": basic(f"w%65b:{escaped}")})
    assert again.status_code == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("kind", ["json", "multipart", "query", "query beside", "text", "nothing"])
def test_rfc6749_3_2_parameters_come_in_one_form_body(
    world: World, endpoint: str, kind: str
) -> None:
    form = {"grant_type": "authorization_code", "token": "x", "code": "x"}
    more: dict[str, Any]
    match kind:
        case "json":
            response = world.post(endpoint, None, basic="api", json=form)
        case "multipart":
            response = world.post(endpoint, form, basic="api", content_type="multipart/form-data")
        case "query":
            response = world.post(f"{endpoint}?{urlencode(form)}", None, basic="api")
        case "query beside":
            response = world.post(f"{endpoint}?token=y", form, basic="api")
        case "text":
            response = world.post(endpoint, urlencode(form), basic="api", content_type="text/plain")
        case _:
            more = {"content_type": "application/x-www-form-urlencoded"}
            response = world.post(endpoint, b"", basic="api", **more)
    is_refused(response, "invalid_request", "unsupported_grant_type")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_rfc6749_3_2_only_post(world: World, endpoint: str, method: str) -> None:
    response = world.app.test_client().open(endpoint, method=method)
    assert response.status_code == 405
    assert "Set-Cookie" not in response.headers
    assert "POST" in response.headers["Allow"]


def a_good_form(world: World, grant: str) -> dict[str, str]:
    answer = world.browser().as_adult()
    if grant == "authorization_code":
        return {
            "grant_type": grant,
            "code": answer.code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
    return {"grant_type": grant, "refresh_token": world.tokens(answer)["refresh_token"]}


@pytest.mark.parametrize(
    ("grant", "doubled"),
    [
        *(("authorization_code", n) for n in ("grant_type", "code", "redirect_uri")),
        *(("authorization_code", n) for n in ("code_verifier", "resource", "anything")),
        *(("refresh_token", n) for n in ("grant_type", "refresh_token", "scope", "client_id")),
    ],
)
def test_rfc6749_3_2_a_parameter_sent_twice_is_refused_and_spends_nothing(
    world: World, grant: str, doubled: str
) -> None:
    form = a_good_form(world, grant)
    for second in (form.get(doubled, "web"), "other"):
        pairs = [*form.items(), (doubled, second)]
        if doubled not in form:
            pairs.append((doubled, second))
        body = urlencode(pairs)
        response = world.post(
            "/oauth/token", body, basic="web", content_type="application/x-www-form-urlencoded"
        )
        is_refused(response, "invalid_request", "unsupported_grant_type")
    assert world.post("/oauth/token", form, basic="web").status_code == 200


@pytest.mark.parametrize("missing", ["code", "redirect_uri", "code_verifier"])
@pytest.mark.parametrize("empty", [True, False])
def test_rfc6749_4_1_3_what_is_missing_is_an_invalid_request(
    world: World, missing: str, empty: bool
) -> None:
    form = a_good_form(world, "authorization_code")
    broken = {k: v for k, v in form.items() if k != missing} | ({missing: ""} if empty else {})
    is_refused(world.post("/oauth/token", broken, basic="web"), "invalid_request")
    assert world.post("/oauth/token", form, basic="web").status_code == 200


@pytest.mark.parametrize(
    "grant",
    ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "", "code",
     'auth"orization\\_code', "authorization_cödé", "a" * 5000, "authorization_code\n", "\x00"],
)  # fmt: skip
def test_rfc6749_5_2_other_grants_are_unsupported(both_worlds: World, grant: str) -> None:
    response = both_worlds.post("/oauth/token", {"grant_type": grant}, basic="web")
    is_refused(response, "unsupported_grant_type", "invalid_request")


def test_rfc6749_5_2_a_grant_of_another_kind_of_party_is_unauthorized(world: World) -> None:
    form = a_good_form(world, "authorization_code")
    is_refused(
        world.post("/oauth/token", {"grant_type": "client_credentials"}, basic="web"),
        "unauthorized_client",
    )
    is_refused(world.post("/oauth/token", form, basic="api"), "unauthorized_client")


VERIFIERS = {
    "wrong": a_verifier(),
    "too short": VERIFIER[:42],
    "too long": VERIFIER + "x" * 100,
    "one letter less": VERIFIER[:-1],
    "new line": VERIFIER + "\n",
    "non-ASCII": "ü" * 50,
    "spaces": VERIFIER.replace("-", " "),
    "padded": VERIFIER + "=",
    "the challenge": "Z" * 43,
    "NUL": VERIFIER + "\x00",
}


@pytest.mark.parametrize("case", VERIFIERS)
def test_rfc7636_4_6_a_verifier_that_does_not_fit_gets_nothing(world: World, case: str) -> None:
    code = world.browser().as_adult().code
    is_refused(
        world.redeem(code, code_verifier=VERIFIERS[case]), "invalid_grant", "invalid_request"
    )


@pytest.mark.parametrize(
    "uri",
    [CALLBACK + "/", f"{CALLBACK}?app=2", "https://evil.example/", "https://ü.example/cb", "x",
     CALLBACK + "\x00"],
)  # fmt: skip
def test_rfc6749_4_1_3_the_redirect_of_the_token_request_is_the_same(
    both_worlds: World, uri: str
) -> None:
    code = both_worlds.browser().as_adult().code
    response = both_worlds.redeem(code, redirect_uri=uri)
    is_refused(response, "invalid_grant", "invalid_request")


@pytest.mark.parametrize(
    "value", ["x", "ü", "\x00", "a" * 4000, "a" * 20_000, "'; DROP TABLE", '"']
)
def test_an_unknown_code_or_refresh_token_is_an_invalid_grant(
    both_worlds: World, value: str
) -> None:
    is_refused(both_worlds.redeem(value), "invalid_grant", "invalid_request")
    is_refused(both_worlds.refresh(value), "invalid_grant", "invalid_request")


def test_too_much_is_refused_before_it_is_read(world: World) -> None:
    response = world.post("/oauth/token", {"code": "x" * 3_000_000}, basic="web")
    assert response.status_code == 413
    many = {f"p{n}": "x" for n in range(200)} | {"grant_type": "refresh_token"}
    is_refused(world.post("/oauth/token", many, basic="web"), "invalid_request")


# -- RFC 6749 4.4 ------------------------------------------------------------------------------


def test_rfc6749_4_4_a_service_gets_a_token_for_itself_and_no_refresh_token(world: World) -> None:
    from tests.integration.oauth.world import claims_of, header_of

    body = world.post("/oauth/token", {"grant_type": "client_credentials"}, basic="api").get_json()
    claims = claims_of(body["access_token"])
    assert header_of(body["access_token"])["typ"] == "at+jwt"
    assert claims["sub"] == claims["client_id"] == "api"
    assert claims["scope"] == body["scope"] == "consents:read policies:read"
    assert claims["exp"] - claims["iat"] == body["expires_in"] <= 900
    assert "refresh_token" not in body
    assert "age_tier" not in claims


@pytest.mark.parametrize("scope", ["consents:write", "openid", "consents:read events:write", "ü"])
def test_rfc6749_4_4_a_service_gets_no_more_than_it_has(world: World, scope: str) -> None:
    form = {"grant_type": "client_credentials", "scope": scope}
    is_refused(world.post("/oauth/token", form, basic="api"), "invalid_scope")


def test_rfc6749_3_3_a_service_may_ask_for_less(world: World) -> None:
    form = {"grant_type": "client_credentials", "scope": "policies:read"}
    assert world.post("/oauth/token", form, basic="api").get_json()["scope"] == "policies:read"
