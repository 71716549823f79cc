"""RFC 9700 2.1, RFC 6749 3.1.2: where an answer goes is compared letter by letter or not at all."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.integration.oauth.operators import CALLBACK
from tests.integration.oauth.world import ISSUER, World


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


HOSTILE = "<script>alert(1)</script>"
NEAR_MISSES = {
    "prefix": CALLBACK + "/more",
    "shorter": CALLBACK[:-1],
    "trailing slash": CALLBACK + "/",
    "case of path": "https://storybuddy.example/Callback",
    "case of host": "https://StoryBuddy.example/callback",
    "case of scheme": "HTTPS://storybuddy.example/callback",
    "port": "https://storybuddy.example:443/callback",
    "other port": "https://storybuddy.example:8443/callback",
    "plain http": "http://storybuddy.example/callback",
    "fragment": CALLBACK + "#x",
    "empty fragment": CALLBACK + "#",
    "query": CALLBACK + "?x=1",
    "empty query": CALLBACK + "?",
    "query of another case": CALLBACK + "?APP=2",
    "user": "https://storybuddy.example@evil.example/callback",
    "several users": "https://storybuddy.example@evil@storybuddy.example/callback",
    "own user": "https://u:p@storybuddy.example/callback",
    "subdomain": "https://a.storybuddy.example/callback",
    "host as prefix": "https://storybuddy.example.evil.example/callback",
    "dot segments": "https://storybuddy.example/x/../callback",
    "semicolon traversal": "https://storybuddy.example/..;/callback",
    "encoded dots": "https://storybuddy.example/%2e%2e/callback",
    "encoded letter": "https://storybuddy.example/%63allback",
    "backslash": "https://storybuddy.example\\@evil.example/callback",
    "double slash": "https://storybuddy.example//callback",
    "javascript": "JaVaScRiPt:alert(1)//https://storybuddy.example/callback",
    "data": "data:text/html,hello",
    "relative": "/callback",
    "scheme relative": "//storybuddy.example/callback",
    "non-ASCII": "https://storybuddy.example/cällback",
    "look-alike host": "https://ѕtorybuddy.example/callback",
    "quote": CALLBACK + '"onload=',
    "markup": CALLBACK + HOSTILE,
    "new line": CALLBACK + "\r\nSet-Cookie: a=b",
    "NUL": CALLBACK + "\x00",
    "space before": " " + CALLBACK,
    "space after": CALLBACK + " ",
    "broken address": "https://[::1/callback",
    "out-of-band": "urn:ietf:wg:oauth:2.0:oob",
    "wildcard": "https://*.storybuddy.example/callback",
    "loopback": "http://127.0.0.1/cb",
    "very long": CALLBACK + "a" * 5000,
    "empty": "",
}


@pytest.mark.parametrize("case", NEAR_MISSES)
def test_rfc9700_2_1_a_redirect_that_is_nearly_right_is_refused(
    both_worlds: World, case: str
) -> None:
    given = NEAR_MISSES[case]
    response = both_worlds.browser().authorize(redirect_uri=given)
    assert response.status_code == 400
    assert "Location" not in response.headers
    assert 'data-page="oauth_error"' in response.text
    assert len(given) < 3 or given not in response.text
    assert "evil" not in response.text
    assert HOSTILE not in response.text


def test_rfc6749_3_1_2_4_no_redirect_is_assumed(world: World) -> None:
    response = world.browser().authorize(redirect_uri=None)
    assert response.status_code == 400
    assert "Location" not in response.headers


@pytest.mark.parametrize("doubled", ["redirect_uri", "client_id"])
def test_rfc6749_3_1_what_trust_rests_on_is_sent_once(world: World, doubled: str) -> None:
    for second in (world.request()[doubled], "https://evil.example/cb"):
        pairs = [*world.request().items(), (doubled, second)]
        for order in (pairs, pairs[::-1]):
            response = world.app.test_client().get(f"/oauth/authorize?{urlencode(order)}")
            assert response.status_code == 400
            assert "Location" not in response.headers


@pytest.mark.parametrize(
    "client_id",
    ["nobody", "", "api", "WEB", "web ", "web\x00", "wéb", "web'--", "a" * 5000, HOSTILE],
)
def test_rfc6749_4_1_2_1_an_unknown_client_gets_a_page_and_no_redirect(
    both_worlds: World, client_id: str
) -> None:
    response = both_worlds.browser().authorize(client_id=client_id)
    assert response.status_code == 400
    assert "Location" not in response.headers
    assert CALLBACK not in response.text
    assert HOSTILE not in response.text


def test_a_redirect_of_another_client_is_refused(world: World) -> None:
    response = world.browser().authorize(redirect_uri="https://paintpals.example/callback")
    assert response.status_code == 400
    assert "Location" not in response.headers


def test_a_registered_query_is_kept_and_added_to(world: World) -> None:
    answer = world.browser().as_adult(redirect_uri=f"{CALLBACK}?app=2")
    assert answer.location.startswith(f"{CALLBACK}?app=2&code=")
    assert answer.parameters["app"] == "2"


# -- RFC 8252: native apps ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:49152/cb", "http://127.0.0.1/cb", "http://[::1]:8081/cb"]
)
def test_rfc8252_7_3_a_native_app_may_listen_on_any_loopback_port(world: World, uri: str) -> None:
    answer = world.browser().as_adult(client_id="native", redirect_uri=uri)
    assert answer.location.startswith(f"{uri}?code=")
    assert world.redeem(answer.code, client="native", redirect_uri=uri).status_code == 200


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:49152/cb?x=1",
        "http://127.0.0.1:49152/cb#x",
        "http://127.0.0.1:49152",
        "http://127.0.0.1:x/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:123456/cb",
        "http://127.0.0.1:80:80/cb",
        "http://u@127.0.0.1:1/cb",
        "http://127.0.0.1:1@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.2:1/cb",
        "http://localhost:1/cb",
        "https://127.0.0.1:1/cb",
        "HTTP://127.0.0.1:1/cb",
        "http://[::1:1/cb",
        "http://[::ffff:127.0.0.1]:1/cb",
        "https://evil.example/",
        "https://storybuddy.example:1/app",
        "com.evil:/cb",
        "http://127.0.0.1:1/cb\n",
    ],
)
def test_rfc8252_7_3_only_the_port_is_free(world: World, uri: str) -> None:
    response = world.browser().authorize(client_id="native", redirect_uri=uri)
    assert response.status_code == 400
    assert "Location" not in response.headers


def test_rfc8252_7_3_the_port_is_free_for_native_apps_alone(world: World) -> None:
    for client_id in ("web", "spa"):
        response = world.browser().authorize(
            client_id=client_id, redirect_uri="http://127.0.0.1:1/cb"
        )
        assert response.status_code == 400


# -- RFC 9207: who answers -----------------------------------------------------------------------


def test_rfc9207_2_the_answer_names_its_issuer_and_echoes_state(world: World) -> None:
    parameters = world.browser().as_adult(state="a&b=c#d e+f%20ü").parameters
    assert parameters["iss"] == ISSUER
    assert parameters["state"] == "a&b=c#d e+f%20ü"
    assert set(parameters) == {"code", "iss", "state"}


def test_rfc6749_4_1_2_no_state_is_invented(world: World) -> None:
    assert set(world.browser().as_adult(state=None).parameters) == {"code", "iss"}


@pytest.mark.parametrize("length", [64, 512, 2048])
def test_long_state_and_nonce_come_back_whole(world: World, length: int) -> None:
    answer = world.browser().as_adult(state="s" * length, nonce="n" * length)
    assert answer.parameters["state"] == "s" * length
    from tests.integration.oauth.world import claims_of

    assert claims_of(world.tokens(answer)["id_token"])["nonce"] == "n" * length


def test_errors_of_a_trusted_client_never_show_what_was_sent(world: World) -> None:
    response = world.browser().authorize(scope=HOSTILE, response_type=HOSTILE)
    assert response.status_code == 303
    location = response.headers["Location"]
    assert "<script" not in location
    assert "alert" not in location
