"""What a token says, for how long, and never: RFC 9068, OIDC Core 2, 8.1; duties 74 to 79."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from agegate.domain.grants import STATUS_PLACES, IssuedToken
from tests.integration.oauth.operators import AI_CHAT, API, LAB
from tests.integration.oauth.world import (
    ISSUER,
    PARENT,
    Browser,
    World,
    bit,
    claims_of,
    header_of,
)

AGE_CLAIMS = {"age_tier", "age_range", "acr", "amr", "jurisdiction", "rules_version", "consent"}
ACCESS_CLAIMS = AGE_CLAIMS | {
    "iss", "sub", "aud", "client_id", "iat", "exp", "jti", "auth_time", "scope", "status",
}  # fmt: skip
ID_CLAIMS = AGE_CLAIMS | {"iss", "sub", "aud", "iat", "exp", "auth_time", "nonce"}


def a_granted_child(
    world: World, *, grant: tuple[str, ...] = (AI_CHAT,), **overrides: str | None
) -> tuple[Browser, dict[str, Any]]:
    browser = world.browser()
    path = browser.as_child(**overrides)
    world.parent_decides(grant=grant)
    return browser, world.tokens(browser.finish(path))


def consent_of(token: str) -> dict[str, Any]:
    return dict(claims_of(token)["consent"])


# -- content -----------------------------------------------------------------------------------


def test_rfc9068_2_an_access_token_holds_exactly_this(world: World) -> None:
    tokens = a_granted_child(world, grant=(AI_CHAT, LAB), age_region="US-IL")[1]
    token = tokens["access_token"]
    header, claims = header_of(token), claims_of(token)
    assert set(header) == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert set(claims) == ACCESS_CLAIMS
    now = int(world.now.timestamp())
    consent = claims["consent"]
    assert claims == claims | {
        "iss": ISSUER,
        "aud": [API],
        "client_id": "web",
        "scope": "openid age consent offline_access",
        "age_tier": "child",
        "age_range": {"upper": 12},
        "acr": "asserted",
        "amr": ["self_declaration"],
        "jurisdiction": "US-IL",
        "rules_version": world.services.core.rulebook.version,
    }
    assert set(consent) == {"state", "purposes", "record", "practices", "until"}
    assert consent["state"] == "granted"
    assert consent["purposes"] == [AI_CHAT, LAB]
    assert consent["record"].startswith("cr_")
    assert consent["practices"].startswith("sha256:")
    assert consent["until"] > now
    place = claims["status"]["status_list"]
    assert set(claims["status"]) == {"status_list"}
    assert set(place) == {"idx", "uri"}
    assert place["uri"].startswith(f"{ISSUER}/oauth/status/")
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == claims["exp"] - claims["iat"]


def test_oidc_core_2_an_id_token_holds_exactly_this(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult(nonce="n1"))
    claims = claims_of(tokens["id_token"])
    assert set(claims) == ID_CLAIMS
    assert claims["aud"] == ["web"]
    assert claims["nonce"] == "n1"
    assert claims["sub"] == claims_of(tokens["access_token"])["sub"]
    assert header_of(tokens["id_token"])["typ"] != "at+jwt"
    assert "nonce" not in claims_of(world.tokens(world.browser().as_adult(nonce=None))["id_token"])


def test_law_74_nothing_personal_is_in_any_answer(world: World) -> None:
    tokens = a_granted_child(world)[1]
    year = str(world.now.year - 9)
    everything = [
        *(
            json.dumps([header_of(tokens[t]), claims_of(tokens[t])])
            for t in ("access_token", "id_token")
        ),
        json.dumps(world.introspect(tokens["access_token"])),
        world.userinfo(tokens["access_token"]).text,
        json.dumps({k: v for k, v in tokens.items() if not k.endswith("token")}),
    ]
    for text in everything:
        assert PARENT.partition("@")[0] not in text
        assert "@" not in text
        assert year not in text.replace(str(claims_of(tokens["access_token"])["exp"]), "")
        for word in ("birth", "email", "name", "parent", "turns_on", '"lower": 9', "su_"):
            assert word not in text


def test_law_75_every_client_knows_somebody_else(world: World) -> None:
    browser = world.browser()
    subs = set()
    for client in ("web", "post", "both"):
        tokens = world.tokens(browser.as_adult(client_id=client), client=client)
        assert claims_of(tokens["access_token"])["sub"] == claims_of(tokens["id_token"])["sub"]
        subs.add(claims_of(tokens["access_token"])["sub"])
    assert len(subs) == 3


def test_oidc_core_8_a_subject_stays_the_same_at_its_client(world: World) -> None:
    browser = world.browser()
    first = world.tokens(browser.as_adult())
    world.services.keys.rotate(at_once=True)
    second = world.tokens(browser.finish(browser.begin()))
    third = world.refresh(second["refresh_token"]).get_json()
    subs = {claims_of(t["access_token"])["sub"] for t in (first, second, third)}
    assert len(subs) == 1


@pytest.mark.parametrize(
    ("years", "tier", "shown"),
    [
        (9, "child", {"upper": 12}),
        (14, "younger_teen", {"lower": 13, "upper": 15}),
        (17, "older_teen", {"lower": 16, "upper": 17}),
        (30, "adult", {"lower": 18}),
    ],
)
def test_law_57_a_tier_is_told_and_never_an_age(
    world: World, years: int, tier: str, shown: dict[str, int]
) -> None:
    browser = world.browser()
    path = browser.begin(client_id="calm")
    browser.say_age(path, year=world.now.year - years, month=1)
    claims = claims_of(world.tokens(browser.finish(path), client="calm")["access_token"])
    assert claims["age_tier"] == tier
    assert claims["age_range"] == shown
    minutes = 15 if tier == "adult" else 5
    assert claims["exp"] - claims["iat"] == minutes * 60


def test_not_required_has_no_purposes_and_no_record(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult())
    assert consent_of(tokens["access_token"]) == {"state": "not_required"}


# -- the life of a consent ------------------------------------------------------------------------


def test_while_a_parent_decides_there_are_no_purposes_and_a_refresh_carries_the_grant(
    world: World,
) -> None:
    browser = world.browser()
    path = browser.as_child()
    limited = world.tokens(browser.continue_limited(path))
    consent = consent_of(limited["access_token"])
    assert (consent["state"], consent["purposes"]) == ("pending", [])
    world.parent_decides()
    again = world.refresh(limited["refresh_token"]).get_json()
    consent = consent_of(again["access_token"])
    assert (consent["state"], consent["purposes"]) == ("granted", [AI_CHAT])
    assert world.introspect(limited["access_token"])["consent"]["state"] == "granted"


def test_a_parent_who_refuses_still_gives_the_client_its_code(world: World) -> None:
    tokens = a_granted_child(world, grant=())[1]
    consent = consent_of(tokens["access_token"])
    assert (consent["state"], consent["purposes"]) == ("denied", [])


def test_withdrawal_shows_at_once_everywhere(any_world: World) -> None:
    tokens = a_granted_child(any_world)[1]
    token = tokens["access_token"]
    assert any_world.status_bit(token) == 0
    any_world.parent_ends("withdraw")
    live = any_world.introspect(token)
    assert live["active"] is True
    assert live["consent"]["state"] == "withdrawn"
    assert live["consent"]["purposes"] == []
    assert any_world.userinfo(token).get_json()["consent"]["state"] == "withdrawn"
    any_world.move(timedelta(seconds=2))
    assert any_world.status_bit(token) == 1
    after = any_world.refresh(tokens["refresh_token"]).get_json()["access_token"]
    assert consent_of(after)["state"] == "withdrawn"
    assert consent_of(after)["purposes"] == []
    assert any_world.status_bit(after) == 0


def test_erasure_leaves_nothing_to_ask_about(any_world: World) -> None:
    tokens = a_granted_child(any_world)[1]
    any_world.parent_ends("erase")
    assert any_world.introspect(tokens["access_token"]) == {"active": False}
    assert any_world.userinfo(tokens["access_token"]).status_code == 401
    assert any_world.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    any_world.move(timedelta(seconds=2))
    assert any_world.status_bit(tokens["access_token"]) == 1


def test_law_77_no_token_outlives_its_consent(world: World) -> None:
    tokens = a_granted_child(world)[1]
    until = consent_of(tokens["access_token"])["until"]
    refresh_token = tokens["refresh_token"]
    now = int(world.now.timestamp())
    while now + 29 * 86400 < until:  # a family lives 30 days; a client comes back with its hint
        world.move(timedelta(days=29))
        browser = world.browser()
        path = browser.begin(id_token_hint=tokens["id_token"])
        tokens = world.tokens(browser.finish(path))
        refresh_token, now = tokens["refresh_token"], int(world.now.timestamp())
    world.move(datetime.fromtimestamp(until - 100, tz=UTC) - world.now)
    last = world.refresh(refresh_token).get_json()
    assert claims_of(last["access_token"])["exp"] == until
    assert last["expires_in"] <= 100
    world.move(timedelta(seconds=101))
    assert world.introspect(last["access_token"]) == {"active": False}
    after = world.refresh(last["refresh_token"]).get_json()
    assert consent_of(after["access_token"])["state"] == "expired"
    assert consent_of(after["access_token"])["purposes"] == []


def test_law_79_a_refresh_is_refused_once_a_birthday_has_changed_the_tier(world: World) -> None:
    """Month and year only: the younger range holds until the first day of the next month."""
    browser = world.browser()
    path = browser.begin(client_id="calm", age_region="US")
    turning = date(world.now.year - 13, world.now.month, 1)  # thirteen some day this month
    browser.say_age(path, year=turning.year, month=turning.month)
    tokens = world.tokens(browser.finish(path), client="calm")
    assert claims_of(tokens["access_token"])["age_tier"] == "child"
    next_month = (world.now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0)
    world.move(next_month - timedelta(hours=2) - world.now)
    tokens = world.refresh(tokens["refresh_token"], client="calm").get_json()
    assert claims_of(tokens["access_token"])["age_tier"] == "child"
    world.move(timedelta(hours=2 + 12))  # midnight has come to the last place of the US
    assert (
        world.refresh(tokens["refresh_token"], client="calm").get_json()["error"] == "invalid_grant"
    )
    anew = world.browser()
    back = anew.finish(anew.begin(client_id="calm", id_token_hint=tokens["id_token"]))
    claims = claims_of(world.tokens(back, client="calm")["access_token"])
    assert claims["age_tier"] == "younger_teen"


def test_a_lowered_tier_makes_older_tokens_inactive(any_world: World) -> None:
    browser = any_world.browser()
    tokens = any_world.tokens(browser.as_adult())
    path = browser.begin(prompt="age")
    browser.say_age(path, year=any_world.now.year - 9)
    assert any_world.introspect(tokens["access_token"]) == {"active": False}
    again = any_world.refresh(tokens["refresh_token"]).get_json()["access_token"]
    assert claims_of(again)["age_tier"] == "child"
    assert claims_of(again)["exp"] - claims_of(again)["iat"] <= 300


def test_law_22_an_answer_can_not_be_raised(world: World) -> None:
    browser = world.browser()
    path = browser.begin()
    browser.say_age(path, year=world.now.year - 9)
    for prompt in ("age", "login", "select_account", None):
        again = browser.begin(prompt=prompt)
        assert 'data-page="parent_contact"' in browser.http.get(again).text


# -- Token Status List ---------------------------------------------------------------------------


def test_status_list_5_1_is_signed_short_lived_and_names_itself(world: World) -> None:
    token = world.tokens(world.browser().as_adult())["access_token"]
    uri = claims_of(token)["status"]["status_list"]["uri"]
    response = world.app.test_client().get(uri.removeprefix(ISSUER))
    assert response.mimetype == "application/statuslist+jwt"
    assert header_of(response.text)["typ"] == "statuslist+jwt"
    claims = claims_of(response.text)
    assert claims["sub"] == uri
    assert claims["iss"] == ISSUER
    assert 0 < claims["ttl"] <= 15
    assert claims["iat"] < claims["exp"] <= claims["iat"] + 300
    assert claims["status_list"]["bits"] == 1
    age = int(response.headers["Cache-Control"].rpartition("=")[2])
    assert 0 < age <= 15
    assert world.services.signer.verify(response.text, typ="statuslist+jwt") == claims
    assert STATUS_PLACES >= 4096
    assert bit(claims["status_list"]["lst"], STATUS_PLACES - 1) == 0


def test_status_list_13_2_places_are_random_and_never_shared(world: World) -> None:
    places = []
    browser = world.browser()
    browser.as_adult()
    for _ in range(20):
        token = world.tokens(browser.finish(browser.begin()))["access_token"]
        places.append(claims_of(token)["status"]["status_list"]["idx"])
    assert len(set(places)) == 20
    assert places != sorted(places)
    assert max(places) - min(places) > 4096
    with world.services.core.store.read() as r:
        assert all(issued.idx in places for issued in r.select(IssuedToken))


@pytest.mark.parametrize("number", ["0", "1", "2", "999999"])
def test_a_list_that_nobody_uses_tells_nothing(world: World, number: str) -> None:
    listed = claims_of(world.app.test_client().get(f"/oauth/status/{number}").text)
    assert bit(listed["status_list"]["lst"], 0) == 0


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "99999999999999999999", "1/2", "%00", ""])
def test_a_list_that_can_not_be_is_not_found(both_worlds: World, number: str) -> None:
    response = both_worlds.app.test_client().get(f"/oauth/status/{number}")
    assert response.status_code == 404
    assert response.get_json()["code"] == "not_found"
