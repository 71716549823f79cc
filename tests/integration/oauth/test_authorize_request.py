"""The authorization request: RFC 6749 4.1.1, RFC 7636, RFC 9101, OIDC Core 3.1.2.1, RFC 8707."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from werkzeug.test import TestResponse

from tests.integration.oauth.listener import Listener
from tests.integration.oauth.operators import AI_CHAT, API, CALLBACK, LAB, SECOND_API
from tests.integration.oauth.world import ISSUER, VERIFIER, World, claims_of, s256


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


def refusal(response: TestResponse) -> str:
    """The `error` of a redirect to the client that says who answers and gives its state back."""
    assert response.status_code == 303, response.text
    location = response.headers["Location"]
    assert location.startswith(f"{CALLBACK}?"), location
    parameters = parse_qs(urlsplit(location).query)
    assert parameters["iss"] == [ISSUER]
    assert parameters["state"] == ["s t&te=ü"]
    assert "code" not in parameters
    assert parameters["error_description"][0].isascii()
    return parameters["error"][0]


CASES: dict[str, tuple[dict[str, str | None], str]] = {
    # RFC 7636, 4.3 and 4.4.1; OAuth 2.1, 7.5.1: for every client, S256 alone.
    "no challenge": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "challenge without method": ({"code_challenge_method": None}, "invalid_request"),
    "method without challenge": ({"code_challenge": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
    "empty method": ({"code_challenge_method": ""}, "invalid_request"),
    "method in another case": ({"code_challenge_method": "s256"}, "invalid_request"),
    "short challenge": ({"code_challenge": s256(VERIFIER)[:-1]}, "invalid_request"),
    "long challenge": ({"code_challenge": s256(VERIFIER) + "A"}, "invalid_request"),
    "padded challenge": ({"code_challenge": s256(VERIFIER) + "="}, "invalid_request"),
    "challenge and new line": ({"code_challenge": s256(VERIFIER) + "\n"}, "invalid_request"),
    "challenge of strange letters": ({"code_challenge": "é" * 43}, "invalid_request"),
    "challenge of other digits": ({"code_challenge": "٣" * 43}, "invalid_request"),
    "standard base64": ({"code_challenge": "+/" * 21 + "A"}, "invalid_request"),
    # RFC 6749, 3.1.1
    "no response_type": ({"response_type": None}, "unsupported_response_type"),
    "empty response_type": ({"response_type": ""}, "unsupported_response_type"),
    "token": ({"response_type": "token"}, "unsupported_response_type"),
    "id_token": ({"response_type": "id_token"}, "unsupported_response_type"),
    "hybrid": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "none": ({"response_type": "none"}, "unsupported_response_type"),
    "hostile type": ({"response_type": 'co"de\\ü'}, "unsupported_response_type"),
    "code in another case": ({"response_type": "CODE"}, "unsupported_response_type"),
    # OAuth 2.0 Multiple Response Type Encoding Practices, 2.1
    "fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "form_post": ({"response_mode": "form_post"}, "invalid_request"),
    "jwt": ({"response_mode": "jwt"}, "invalid_request"),
    # RFC 6749, 3.3
    "unknown scope": ({"scope": "openid email"}, "invalid_scope"),
    "scope of a service": ({"scope": "openid consents:read"}, "invalid_scope"),
    "scope of strange letters": ({"scope": 'openid "\\ü'}, "invalid_scope"),
    "blank scope": ({"scope": "   "}, "invalid_scope"),
    # RFC 8707, 2
    "foreign resource": ({"resource": "https://api.paintpals.example"}, "invalid_target"),
    "other resource of ours": ({"resource": SECOND_API}, "invalid_target"),
    "resource with a fragment": ({"resource": f"{API}#x"}, "invalid_target"),
    "resource that is no address": ({"resource": "api"}, "invalid_target"),
    # OIDC Core, 3.1.2.1
    "unknown prompt": ({"prompt": "dance"}, "invalid_request"),
    "none and more": ({"prompt": "none login"}, "invalid_request"),
    "unknown purpose": ({"purposes": "ai_chat sell_everything"}, "invalid_request"),
    "garbage as a hint": ({"id_token_hint": "a.b.c"}, "invalid_request"),
    "a word as a hint": ({"id_token_hint": "x"}, "invalid_request"),
    "very long nonce": ({"nonce": "n" * 5000}, "invalid_request"),
    "nonce with a NUL": ({"nonce": "n\x00"}, "invalid_request"),
    "region with a new line": ({"age_region": "US\n"}, "invalid_request"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_request_that_is_not_allowed_goes_back_with_iss_and_state(
    both_worlds: World, case: str
) -> None:
    overrides, error = CASES[case]
    assert refusal(both_worlds.browser().authorize(**overrides)) == error


@pytest.mark.parametrize(
    "parameter",
    ["response_type", "scope", "nonce", "code_challenge", "code_challenge_method", "prompt",
     "resource", "purposes", "ui_locales", "acr_values", "age_region", "id_token_hint", "max_age",
     "something_else"],
)  # fmt: skip
def test_rfc6749_3_1_a_parameter_sent_twice_is_refused(world: World, parameter: str) -> None:
    known = world.request().get(parameter, "1")
    for second in (known, "other"):
        pairs = [*world.request(**{parameter: known}).items(), (parameter, second)]
        response = world.app.test_client().get(f"/oauth/authorize?{urlencode(pairs)}")
        assert refusal(response) == "invalid_request"


@pytest.mark.parametrize("state", ["x" * 2049, "a\nb", "a\x00b"])
def test_a_state_that_can_not_be_echoed_is_refused_without_it(world: World, state: str) -> None:
    response = world.browser().authorize(state=state)
    assert response.status_code == 303
    parameters = parse_qs(urlsplit(response.headers["Location"]).query)
    assert parameters["error"] == ["invalid_request"]
    assert parameters["iss"] == [ISSUER]
    assert "state" not in parameters


def test_rfc6749_3_1_two_states_are_refused_and_none_is_echoed(world: World) -> None:
    pairs = [*world.request().items(), ("state", "other")]
    response = world.app.test_client().get(f"/oauth/authorize?{urlencode(pairs)}")
    parameters = parse_qs(urlsplit(response.headers["Location"]).query)
    assert parameters["error"] == ["invalid_request"]
    assert "state" not in parameters


@pytest.mark.parametrize("parameter", ["request", "request_uri"])
def test_rfc9101_6_request_objects_are_refused_and_never_fetched(
    world: World, parameter: str, unused_tcp_listener: Listener
) -> None:
    value = unused_tcp_listener.url if parameter == "request_uri" else "eyJhbGciOiJub25lIn0.e30."
    assert refusal(world.browser().authorize(**{parameter: value})) == f"{parameter}_not_supported"
    assert unused_tcp_listener.nobody_came()


def test_unknown_parameters_are_ignored(world: World) -> None:
    path = world.browser().begin(foo="bar", claims_locales="en", display="popup", max_age="10000")
    assert path.startswith("/flow/")


def test_rfc6749_3_3_scope_order_does_not_matter_and_repeats_count_once(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult(scope="consent age openid age"))
    assert tokens["scope"] == "openid age consent"
    assert "refresh_token" not in tokens


def test_without_openid_there_is_no_id_token(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult(scope="age consent"))
    assert "id_token" not in tokens
    assert tokens["scope"] == "age consent"
    assert world.userinfo(tokens["access_token"]).status_code in {401, 403}


def test_no_scope_means_openid_age_and_consent(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult(scope=None))
    assert tokens["scope"] == "openid age consent"


# -- methods and bodies --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
def test_only_get_and_post_begin_a_visit(world: World, method: str) -> None:
    response = world.app.test_client().open(
        f"/oauth/authorize?{urlencode(world.request())}", method=method
    )
    assert response.status_code == 405
    assert "Location" not in response.headers
    assert "Set-Cookie" not in response.headers


def test_oidc_core_3_1_2_1_a_post_works_like_a_get(world: World) -> None:
    browser = world.browser()
    response = browser.http.post("/oauth/authorize", data=world.request())
    while response.headers["Location"].startswith("/oauth/authorize?"):
        response = browser.http.get(response.headers["Location"])
    path = response.headers["Location"]
    browser.say_age(path, year=1985)
    assert world.redeem(browser.finish(path).code).status_code == 200


def test_a_post_from_another_site_does_not_begin_a_new_session(world: World) -> None:
    """SameSite=Lax keeps our cookie back there; without it a child could try the age again."""
    browser = world.browser()
    path = browser.begin()
    browser.say_age(path, year=world.now.year - 9)
    foreign = world.app.test_client()
    response = foreign.post("/oauth/authorize", data=world.request())
    assert "Set-Cookie" not in response.headers
    again = browser.http.get(response.headers["Location"])
    assert "parent_contact" in browser.http.get(again.headers["Location"]).text


@pytest.mark.parametrize("kind", ["json", "multipart", "query", "text"])
def test_a_post_carries_one_form_body_and_nothing_else(world: World, kind: str) -> None:
    http = world.app.test_client()
    match kind:
        case "json":
            response = http.post("/oauth/authorize", json=world.request())
        case "multipart":
            response = http.post(
                "/oauth/authorize", data=world.request(), content_type="multipart/form-data"
            )
        case "query":
            response = http.post(f"/oauth/authorize?{urlencode(world.request())}")
        case _:
            response = http.post(
                "/oauth/authorize", data=urlencode(world.request()), content_type="text/plain"
            )
    assert response.status_code == 400
    assert "Location" not in response.headers


# -- place, purposes, resource, words ---------------------------------------------------------


def jurisdiction(world: World, **overrides: str | None) -> str:
    return str(
        claims_of(world.tokens(world.browser().as_adult(**overrides))["access_token"])[
            "jurisdiction"
        ]
    )


@pytest.mark.parametrize("region", ["US", "US-IL"])
def test_an_age_region_inside_the_clients_regions_counts(world: World, region: str) -> None:
    assert jurisdiction(world, age_region=region) == region


@pytest.mark.parametrize("region", ["FR", "XX", "us", "", "US-ZZ", "<b>", "U" * 300])
def test_an_age_region_outside_falls_back_to_the_one_region(world: World, region: str) -> None:
    assert jurisdiction(world, age_region=region) == "US"


def test_without_a_region_the_strictest_of_several_applies(world: World) -> None:
    browser = world.browser()
    path = browser.begin(client_id="world")
    browser.say_age(path, year=world.now.year - 15)  # a child for German law alone
    assert 'data-page="parent_contact"' in browser.http.get(path).text


def test_purposes_narrow_what_a_parent_is_asked(world: World) -> None:
    browser = world.browser()
    path = browser.as_child(purposes=AI_CHAT)
    world.parent_decides()
    consent = claims_of(world.tokens(browser.finish(path))["access_token"])["consent"]
    assert consent["purposes"] == [AI_CHAT]
    sub_record = consent["record"]
    with world.services.core.store.read() as r:
        from agegate.domain.consent import Consent

        assert r.get(Consent, sub_record).purposes == (AI_CHAT,)
    assert LAB not in consent["purposes"]


def test_rfc8707_2_a_resource_becomes_the_audience(world: World) -> None:
    tokens = world.tokens(
        world.browser().as_adult(client_id="both", resource=SECOND_API), client="both"
    )
    assert claims_of(tokens["access_token"])["aud"] == [SECOND_API]
    assert claims_of(tokens["id_token"])["aud"] == ["both"]
    assert world.introspect(tokens["access_token"], by="art-api")["active"] is True
    assert world.introspect(tokens["access_token"], by="api") == {"active": False}


def test_rfc8707_2_2_the_token_request_may_narrow_the_audience_and_never_widen_it(
    world: World,
) -> None:
    answer = world.browser().as_adult(client_id="both")
    tokens = world.tokens(answer, client="both", resource=SECOND_API)
    assert claims_of(tokens["access_token"])["aud"] == [SECOND_API]
    again = world.refresh(tokens["refresh_token"], client="both", resource=API).get_json()
    assert claims_of(again["access_token"])["aud"] == [API]
    for foreign in ("https://api.paintpals.example", "x", f"{API}/"):
        refused = world.refresh(again["refresh_token"], client="both", resource=foreign)
        assert refused.status_code == 400
        assert refused.get_json()["error"] == "invalid_target"


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [("es", "es"), ("es-MX en", "es"), ("fr es", "es"), ("xx", "en"), ("\u00fc <b>", "en")],
)
def test_oidc_core_3_1_2_1_ui_locales_choose_the_language(
    world: World, wanted: str, shown: str
) -> None:
    browser = world.browser()
    page = browser.http.get(browser.begin(ui_locales=wanted)).text
    assert f'<html lang="{shown}"' in page


@pytest.mark.parametrize("wanted", ["asserted", "strict asserted", "urn:example:loa3", "0", "<b>"])
def test_oidc_core_acr_values_are_a_wish_and_the_token_says_what_was_reached(
    world: World, wanted: str
) -> None:
    tokens = world.tokens(world.browser().as_adult(acr_values=wanted))
    assert claims_of(tokens["id_token"])["acr"] == "asserted"


@pytest.mark.parametrize("max_age", ["0", "1", "10000", "-1", "x"])
def test_oidc_core_max_age_never_asks_an_age_again_and_auth_time_is_told(
    world: World, max_age: str
) -> None:
    """An age is not a login: asking once more would be a way to a better answer."""
    browser = world.browser()
    first = claims_of(world.tokens(browser.as_adult())["id_token"])
    second = browser.finish(browser.begin(max_age=max_age))
    assert claims_of(world.tokens(second)["id_token"])["auth_time"] == first["auth_time"]
