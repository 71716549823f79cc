"""Whose visit it is: OIDC Core 3.1.2.1 (`prompt`, `id_token_hint`), session fixation, cookies."""

from __future__ import annotations

from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from tests.integration.oauth.operators import CALLBACK
from tests.integration.oauth.world import ISSUER, Answer, World, claims_of


def answered(response: TestResponse) -> dict[str, str]:
    assert response.status_code == 303
    location = response.headers["Location"]
    assert location.startswith(f"{CALLBACK}?"), location
    return Answer(location).parameters


# -- fixation ------------------------------------------------------------------------------------


def test_a_visit_of_another_browser_is_refused(world: World) -> None:
    """A link into somebody else's visit would hand over whatever is answered there."""
    attacker, victim = world.browser(), world.browser()
    path = attacker.begin()
    assert victim.http.get(path).status_code == 410
    victim.begin()
    assert victim.http.get(path).status_code == 410
    assert (
        victim.http.post(path, data={"birth_month": "5", "birth_year": "1985"}).status_code == 410
    )
    attacker.say_age(path, year=1985)
    assert victim.http.get(path).status_code == 410
    assert attacker.finish(path).code


@pytest.mark.parametrize(
    "path", ["/flow/x", "/flow/fl_" + "0" * 40, "/flow/%00", "/flow/" + "a" * 5000]
)
def test_a_visit_that_never_was_is_refused(both_worlds: World, path: str) -> None:
    response = both_worlds.browser().http.get(path)
    assert 400 <= response.status_code < 500
    assert "Traceback" not in response.text


def test_a_form_needs_the_token_of_its_own_browser(world: World) -> None:
    browser, other = world.browser(), world.browser()
    path = browser.begin()
    fields = {"birth_month": "5", "birth_year": "1985"}
    for token in ("", "x", "ü", "0" * 64):
        assert browser.http.post(path, data={**fields, "csrf_token": token}).status_code == 400
    foreign = other.begin()
    import re

    stolen = re.search(r'name="csrf_token" value="(\w+)"', other.http.get(foreign).text)
    assert stolen is not None
    assert browser.http.post(path, data={**fields, "csrf_token": stolen[1]}).status_code == 400


def test_a_finished_visit_gives_a_fresh_code_to_its_browser_alone(world: World) -> None:
    browser = world.browser()
    path = browser.begin()
    browser.say_age(path, year=1985)
    first = browser.finish(path)
    again = browser.finish(path)
    assert again.code != first.code
    assert world.redeem(first.code).status_code == world.redeem(again.code).status_code == 200


def test_a_head_request_finishes_nothing(world: World) -> None:
    browser = world.browser()
    path = browser.begin()
    browser.say_age(path, year=1985)
    response = browser.http.head(path)
    assert response.status_code == 200
    assert "Location" not in response.headers
    assert browser.finish(path).code


def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(world: World) -> None:
    response = world.browser().authorize()
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def test_a_refused_request_sets_no_cookie(world: World) -> None:
    for overrides in ({"redirect_uri": "https://evil.example"}, {"scope": "email"}):
        response = world.browser().authorize(**overrides)
        assert "Set-Cookie" not in response.headers


def test_a_forged_cookie_is_a_new_browser(world: World) -> None:
    browser = world.browser()
    path = browser.begin()
    forged = world.browser()
    forged.http.set_cookie("agegate", "IkEi.forged")
    assert forged.http.get(path).status_code == 410


# -- prompt ----------------------------------------------------------------------------------------


def test_prompt_none_without_anybody_is_login_required(world: World) -> None:
    response = world.browser().authorize(prompt="none")
    said = answered(response)
    assert said["error"] == "login_required"
    assert said["iss"] == ISSUER
    assert said["state"] == "s t&te=ü"
    assert "Set-Cookie" not in response.headers


def test_prompt_none_before_an_answer_is_login_required(world: World) -> None:
    browser = world.browser()
    browser.begin()
    assert answered(browser.authorize(prompt="none"))["error"] == "login_required"


def test_prompt_none_gives_a_code_where_nothing_is_left_to_ask(world: World) -> None:
    browser = world.browser()
    first = world.tokens(browser.as_adult())
    said = answered(browser.authorize(prompt="none"))
    assert set(said) == {"code", "iss", "state"}
    second = world.redeem(said["code"]).get_json()
    assert claims_of(second["id_token"])["sub"] == claims_of(first["id_token"])["sub"]


def test_prompt_none_with_a_hint_works_from_any_browser(world: World) -> None:
    hint = world.tokens(world.browser().as_adult())["id_token"]
    said = answered(world.browser().authorize(prompt="none", id_token_hint=hint))
    assert (
        claims_of(world.redeem(said["code"]).get_json()["id_token"])["sub"]
        == claims_of(hint)["sub"]
    )


@pytest.mark.parametrize("stage", ["contact", "pending"])
def test_prompt_none_while_a_page_is_open_is_interaction_required(world: World, stage: str) -> None:
    browser = world.browser()
    if stage == "contact":
        browser.say_age(browser.begin(), year=world.now.year - 9)
    else:
        browser.as_child()
    assert answered(browser.authorize(prompt="none"))["error"] == "interaction_required"


def test_prompt_none_works_by_post(world: World) -> None:
    browser = world.browser()
    browser.as_adult()
    response = browser.http.post("/oauth/authorize", data=world.request(prompt="none"))
    assert "code" in answered(response)


# -- id_token_hint ---------------------------------------------------------------------------------


def test_a_hint_brings_its_subject_back_on_a_shared_tablet(world: World) -> None:
    tablet = world.browser()
    older = world.tokens(tablet.as_adult())
    other = world.browser()
    younger_path = other.begin(client_id="calm")
    other.say_age(younger_path, year=world.now.year - 9)
    back = other.finish(other.begin(id_token_hint=older["id_token"]))
    assert claims_of(world.tokens(back)["id_token"])["sub"] == claims_of(older["id_token"])["sub"]


def test_an_expired_hint_is_accepted(world: World) -> None:
    hint = world.tokens(world.browser().as_adult())["id_token"]
    world.move(timedelta(days=3))
    browser = world.browser()
    back = browser.finish(browser.begin(id_token_hint=hint))
    assert claims_of(world.tokens(back)["id_token"])["sub"] == claims_of(hint)["sub"]


def test_a_hint_signed_by_a_rotated_key_is_accepted(world: World) -> None:
    hint = world.tokens(world.browser().as_adult())["id_token"]
    world.services.keys.rotate(at_once=True)
    assert world.browser().begin(id_token_hint=hint).startswith("/flow/")


@pytest.mark.parametrize("kind", ["other client", "access token", "refresh token", "cut", "status"])
def test_any_other_hint_is_refused(world: World, kind: str) -> None:
    browser = world.browser()
    own = world.tokens(browser.as_adult())
    foreign = world.tokens(browser.as_adult(client_id="post"), client="post")
    hint = {
        "other client": foreign["id_token"],
        "access token": own["access_token"],
        "refresh token": own["refresh_token"],
        "cut": own["id_token"][:-2],
        "status": world.app.test_client().get("/oauth/status/1").text,
    }[kind]
    said = answered(world.browser().authorize(id_token_hint=hint))
    assert said["error"] == "invalid_request"
    assert said["iss"] == ISSUER


def test_a_hint_of_an_erased_subject_does_not_become_somebody_else(world: World) -> None:
    from agegate.services.erasure import erase_by_sub

    gone = world.tokens(world.browser().as_adult())["id_token"]
    sibling = world.browser()
    sibling.as_adult()
    erase_by_sub(world.services.core, claims_of(gone)["sub"])
    assert answered(sibling.authorize(id_token_hint=gone))["error"] == "invalid_request"


# -- who is blocked ------------------------------------------------------------------------------


def test_a_blocked_child_gets_a_page_and_the_client_no_code(world: World) -> None:
    browser = world.browser()
    path = browser.begin(client_id="grown")
    browser.say_age(path, year=world.now.year - 9)
    page = browser.http.get(path)
    assert page.status_code == 200
    assert "Location" not in page.headers
    said = answered(browser.authorize(client_id="grown", prompt="none"))
    assert said["error"] == "interaction_required"


def test_a_page_names_its_client_as_the_only_place_a_form_may_lead_to(world: World) -> None:
    browser = world.browser()
    policy = browser.http.get(browser.begin()).headers["Content-Security-Policy"]
    assert "form-action 'self' https://storybuddy.example;" in policy
    assert "unsafe" not in policy
