"""Single use: RFC 6749 4.1.2 and 10.5, RFC 9700 4.14, OAuth 2.1 4.3.1."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.integration.oauth.operators import CALLBACK
from tests.integration.oauth.world import VERIFIER, World, a_verifier, claims_of


def test_rfc6749_4_1_2_a_code_shown_twice_by_its_owner_ends_everything(any_world: World) -> None:
    answer = any_world.browser().as_adult()
    tokens = any_world.tokens(answer)
    assert any_world.introspect(tokens["access_token"])["active"] is True
    again = any_world.redeem(answer.code)
    assert again.status_code == 400
    assert again.get_json()["error"] == "invalid_grant"
    assert any_world.introspect(tokens["access_token"]) == {"active": False}
    assert any_world.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert any_world.status_bit(tokens["access_token"]) == 1
    assert any_world.userinfo(tokens["access_token"]).status_code == 401


@pytest.mark.parametrize("thief", ["post", "spa", "paint"])
def test_rfc6749_4_1_2_a_code_shown_by_another_client_changes_nothing(
    world: World, thief: str
) -> None:
    answer = world.browser().as_adult()
    assert world.redeem(answer.code, client=thief).get_json()["error"] == "invalid_grant"
    tokens = world.tokens(answer)
    assert world.redeem(answer.code, client=thief).get_json()["error"] == "invalid_grant"
    assert world.introspect(tokens["access_token"])["active"] is True
    assert world.refresh(tokens["refresh_token"]).status_code == 200


def test_a_spent_code_of_a_public_client_signs_nobody_out_without_its_verifier(
    world: World,
) -> None:
    """Whoever finds a code in a browser's history has no verifier."""
    answer = world.browser().as_adult(client_id="spa")
    tokens = world.tokens(answer, client="spa")
    found = world.redeem(answer.code, client="spa", code_verifier=a_verifier())
    assert found.get_json()["error"] == "invalid_grant"
    assert world.introspect(tokens["access_token"])["active"] is True
    assert world.redeem(answer.code, client="spa").get_json()["error"] == "invalid_grant"
    assert world.introspect(tokens["access_token"]) == {"active": False}


def test_a_wrong_verifier_does_not_spend_the_code(world: World) -> None:
    answer = world.browser().as_adult()
    assert world.redeem(answer.code, code_verifier=a_verifier()).status_code == 400
    assert world.redeem(answer.code).status_code == 200


def test_rfc6749_4_1_2_a_code_is_good_for_60_seconds(world: World) -> None:
    in_time = world.browser().as_adult()
    world.move(timedelta(seconds=57))
    assert world.redeem(in_time.code).status_code == 200
    late = world.browser().as_adult()
    world.move(timedelta(seconds=61))
    assert world.redeem(late.code).get_json()["error"] == "invalid_grant"


def test_a_code_of_somebody_who_was_erased_is_good_no_more(world: World) -> None:
    from agegate.services.erasure import erase_by_sub

    browser = world.browser()
    tokens = world.tokens(browser.as_adult())
    second = browser.finish(browser.begin())
    erase_by_sub(world.services.core, claims_of(tokens["access_token"])["sub"])
    assert world.redeem(second.code).get_json()["error"] == "invalid_grant"
    assert world.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert world.introspect(tokens["access_token"]) == {"active": False}


# -- refresh -----------------------------------------------------------------------------------


def test_rfc9700_4_14_2_a_refresh_token_turns_into_a_new_one(any_world: World) -> None:
    first = any_world.tokens(any_world.browser().as_adult())
    second = any_world.refresh(first["refresh_token"]).get_json()
    assert second["refresh_token"] != first["refresh_token"]
    assert claims_of(second["access_token"])["sub"] == claims_of(first["access_token"])["sub"]
    assert claims_of(second["access_token"])["jti"] != claims_of(first["access_token"])["jti"]
    id_token = claims_of(second["id_token"])
    assert "nonce" not in id_token
    assert id_token["auth_time"] == claims_of(first["id_token"])["auth_time"]  # OIDC Core, 12.2


def test_rfc9700_4_14_2_a_refresh_token_shown_twice_by_its_owner_ends_the_family(
    any_world: World,
) -> None:
    first = any_world.tokens(any_world.browser().as_adult())
    second = any_world.refresh(first["refresh_token"]).get_json()
    assert any_world.refresh(first["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert any_world.refresh(second["refresh_token"]).get_json()["error"] == "invalid_grant"
    for tokens in (first, second):
        assert any_world.introspect(tokens["access_token"]) == {"active": False}
        assert any_world.status_bit(tokens["access_token"]) == 1


@pytest.mark.parametrize("thief", ["post", "spa", "paint"])
def test_a_refresh_token_shown_by_another_client_changes_nothing(world: World, thief: str) -> None:
    first = world.tokens(world.browser().as_adult())
    second = world.refresh(first["refresh_token"]).get_json()
    for stolen in (first["refresh_token"], second["refresh_token"]):
        assert world.refresh(stolen, client=thief).get_json()["error"] == "invalid_grant"
    assert world.introspect(second["access_token"])["active"] is True
    assert world.refresh(second["refresh_token"]).status_code == 200


@pytest.mark.parametrize("scope", ["openid age consent consents:read", "email", "", "  ", '"', "ü"])
def test_rfc6749_6_a_refresh_never_widens_the_scope(world: World, scope: str) -> None:
    tokens = world.tokens(world.browser().as_adult(scope="openid offline_access"))
    response = world.refresh(tokens["refresh_token"], scope=scope)
    if scope:  # an empty parameter counts as absent (RFC 6749, 3.2)
        assert response.get_json()["error"] == "invalid_scope"
        assert world.refresh(tokens["refresh_token"]).status_code == 200  # it was not spent
    else:
        assert response.get_json()["scope"] == "openid offline_access"


def test_rfc6749_6_a_narrower_scope_is_for_one_token_alone(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult())
    narrow = world.refresh(tokens["refresh_token"], scope="age").get_json()
    assert narrow["scope"] == "age"
    assert "id_token" not in narrow
    wide = world.refresh(narrow["refresh_token"]).get_json()
    assert wide["scope"] == "openid age consent offline_access"


def test_without_offline_access_there_is_nothing_to_refresh(world: World) -> None:
    assert "refresh_token" not in world.tokens(world.browser().as_adult(scope="openid age"))


def test_a_family_ends_after_30_days_whatever_happens(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult())
    world.move(timedelta(days=20))
    tokens = world.refresh(tokens["refresh_token"]).get_json()
    world.move(timedelta(days=9, hours=23))
    tokens = world.refresh(tokens["refresh_token"]).get_json()
    world.move(timedelta(hours=2))
    assert world.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"


def test_an_access_token_is_no_refresh_token_and_a_code_is_neither(world: World) -> None:
    answer = world.browser().as_adult()
    assert world.refresh(answer.code).get_json()["error"] == "invalid_grant"
    tokens = world.tokens(answer)
    for wrong in (tokens["access_token"], tokens["id_token"]):
        assert world.refresh(wrong).get_json()["error"] == "invalid_grant"
        assert world.redeem(wrong).get_json()["error"] == "invalid_grant"
    assert world.redeem(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"


def test_a_public_client_redeems_with_its_verifier_alone(world: World) -> None:
    answer = world.browser().as_adult(client_id="spa")
    tokens = world.tokens(answer, client="spa")
    assert world.refresh(tokens["refresh_token"], client="spa").status_code == 200


def test_client_secret_post_works_where_it_is_the_registered_way(world: World) -> None:
    answer = world.browser().as_adult(client_id="post")
    form = {"code": answer.code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    response = world.post(
        "/oauth/token",
        {
            "grant_type": "authorization_code",
            "client_id": "post",
            "client_secret": world.secrets["post"],
            **form,
        },
    )
    assert response.status_code == 200
