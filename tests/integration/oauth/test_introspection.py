"""RFC 7662 and RFC 7009: what a token is worth right now, told to those it was made for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from tests.integration.oauth.operators import API
from tests.integration.oauth.world import ISSUER, World, b64, claims_of, header_of

INACTIVE = {"active": False}
Forgery = Callable[[World, str], str]


def _signed(header: dict[str, Any], claims: Any, key: Any) -> str:
    registry = jws.JWSRegistry(algorithms=["ES256", "HS256"], strict_check_header=False)
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(header, payload, key, registry=registry)


def _alg_none(world: World, good: str) -> str:
    return f"{b64({**header_of(good), 'alg': 'none'})}.{good.split('.')[1]}."


def _hs256_with_the_public_key(world: World, good: str) -> str:
    public = world.services.signer.jwks()["keys"][0]
    key = OctKey.import_key(json.dumps(public))
    return _signed({**header_of(good), "alg": "HS256"}, claims_of(good), key)


def _foreign_key(world: World, good: str) -> str:
    return _signed(header_of(good), claims_of(good), ECKey.generate_key("P-256"))


def _embedded_jwk(world: World, good: str) -> str:
    key = ECKey.generate_key("P-256")
    return _signed({**header_of(good), "jwk": key.as_dict(private=False)}, claims_of(good), key)


def _jku(world: World, good: str) -> str:
    key = ECKey.generate_key("P-256")
    return _signed({**header_of(good), "jku": "http://127.0.0.1:9/jwks"}, claims_of(good), key)


def _x5u(world: World, good: str) -> str:
    key = ECKey.generate_key("P-256")
    return _signed({**header_of(good), "x5u": "http://127.0.0.1:9/x"}, claims_of(good), key)


def _resigned(world: World, header: dict[str, Any], claims: Any) -> str:
    """By our own active key, as nobody outside can."""
    from agegate.domain.keys import KeyState, SigningKey

    with world.services.core.store.read() as r:
        active = r.select(SigningKey, state=KeyState.ACTIVE)[0]
    return _signed(header, claims, ECKey.import_key(json.loads(active.private.value)))


def _crit(world: World, good: str) -> str:
    return ".".join([b64({**header_of(good), "crit": ["exp"], "exp": 1}), *good.split(".")[1:]])


def _b64_false(world: World, good: str) -> str:
    head = b64({**header_of(good), "b64": False, "crit": ["b64"]})
    return ".".join([head, *good.split(".")[1:]])


def _other_typ(world: World, good: str) -> str:
    return _resigned(world, {**header_of(good), "typ": "JWT"}, claims_of(good))


def _unknown_jti(world: World, good: str) -> str:
    return _resigned(world, header_of(good), {**claims_of(good), "jti": "at_x"})


def _no_jti(world: World, good: str) -> str:
    claims = claims_of(good)
    del claims["jti"]
    return _resigned(world, header_of(good), claims)


def _no_object(world: World, good: str) -> str:
    return _resigned(world, header_of(good), b"[1]")


def _zip_bomb(world: World, good: str) -> str:
    return ".".join([b64({**header_of(good), "zip": "DEF"}), *good.split(".")[1:]])


def _changed(world: World, good: str) -> str:
    head, _, tail = good.split(".")
    return f"{head}.{b64({**claims_of(good), 'age_tier': 'adult'})}.{tail}"


def _strange_kid(world: World, good: str) -> str:
    return _signed(
        {**header_of(good), "kid": '"\\ü\x00'}, claims_of(good), ECKey.generate_key("P-256")
    )


FORGERIES: dict[str, Forgery] = {
    "alg none": _alg_none,
    "HS256 with the public key": _hs256_with_the_public_key,
    "foreign key": _foreign_key,
    "embedded jwk": _embedded_jwk,
    "jku": _jku,
    "x5u": _x5u,
    "crit": _crit,
    "b64 false": _b64_false,
    "other typ": _other_typ,
    "unknown jti": _unknown_jti,
    "no jti": _no_jti,
    "no object": _no_object,
    "zip": _zip_bomb,
    "changed claim": _changed,
    "strange kid": _strange_kid,
    "no signature": lambda _, good: good.rpartition(".")[0] + ".",
    "cut": lambda _, good: good[:-1],
    "longer": lambda _, good: good + "A",
    "padded": lambda _, good: good + "=",
    "with a space": lambda _, good: good + " ",
    "with a new line": lambda _, good: good + "\n",
    "with a NUL": lambda _, good: good + "\x00",
    "two dots": lambda _, good: "..",
    "four dots": lambda _, good: good + "..",
    "JSON": lambda _, good: '{"payload": ""}',
    "words": lambda _, good: "not a token at all",
    "non-ASCII": lambda _, good: good + "ü",
    "quotes": lambda _, good: '"' + good + '"',
    "17 kB": lambda _, good: good + "A" * 17_000,
    "1 MB": lambda _, good: "A" * 400_000 + "." + "B" * 300_000 + "." + "C" * 300_000,
    "1 MB without dots": lambda _, good: "A" * 1_000_000,
}


@pytest.mark.parametrize("case", FORGERIES)
def test_rfc7662_2_2_whatever_is_not_ours_is_inactive_and_nothing_more(
    both_worlds: World, case: str
) -> None:
    good = both_worlds.tokens(both_worlds.browser().as_adult())["access_token"]
    assert both_worlds.introspect(good)["active"] is True
    forged = FORGERIES[case](both_worlds, good)
    assert both_worlds.introspect(forged) == INACTIVE
    if not set(forged) & set(" \n\x00"):  # a header can't carry those
        assert both_worlds.userinfo(forged).status_code == 401
    assert both_worlds.revoke(forged).status_code == 200
    assert both_worlds.introspect(good)["active"] is True


def test_rfc7662_2_2_tokens_that_are_no_access_tokens_are_inactive(world: World) -> None:
    answer = world.browser().as_adult()
    tokens = world.tokens(answer)
    for other in (answer.code, tokens["id_token"], tokens["refresh_token"]):
        assert world.introspect(other) == INACTIVE
        assert world.userinfo(other).status_code == 401


def test_rfc7662_2_2_an_expired_token_is_inactive(world: World) -> None:
    token = world.tokens(world.browser().as_adult())["access_token"]
    world.move(timedelta(seconds=claims_of(token)["exp"] - int(world.now.timestamp()) - 3))
    assert world.introspect(token)["active"] is True
    world.move(timedelta(seconds=4))
    assert world.introspect(token) == INACTIVE
    assert world.userinfo(token).status_code == 401


def test_rfc7662_4_only_the_audience_and_the_owner_may_ask(world: World) -> None:
    token = world.tokens(world.browser().as_adult())["access_token"]
    assert claims_of(token)["aud"] == [API]
    assert world.introspect(token, by="api")["active"] is True
    assert world.introspect(token, by="web")["active"] is True
    for stranger in ("art-api", "paint-api", "paint", "both", "post"):
        assert world.introspect(token, by=stranger) == INACTIVE


@pytest.mark.parametrize("client", ["spa", "native"])
def test_rfc7662_2_1_a_public_client_may_not_ask(world: World, client: str) -> None:
    response = world.post("/oauth/introspect", {"client_id": client, "token": "x"})
    assert response.status_code == 401
    assert response.get_json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "hint", ["access_token", "refresh_token", "pat", "id_token", "ü", '"\\', ""]
)
def test_rfc7662_2_1_and_rfc7009_2_1_a_hint_is_only_a_hint(world: World, hint: str) -> None:
    token = world.tokens(world.browser().as_adult())["access_token"]
    assert world.introspect(token, token_type_hint=hint)["active"] is True
    assert world.revoke(token, token_type_hint=hint).status_code == 200
    assert world.introspect(token, token_type_hint=hint) == INACTIVE


@pytest.mark.parametrize("endpoint", ["/oauth/introspect", "/oauth/revoke"])
def test_rfc7662_2_1_and_rfc7009_2_1_a_token_is_named_once(world: World, endpoint: str) -> None:
    for body in ("", "token=", "token=a&token=b", "token=a&token=a"):
        response = world.post(
            endpoint, body, basic="api", content_type="application/x-www-form-urlencoded"
        )
        assert response.status_code == 400
        assert response.get_json()["error"] == "invalid_request"


def test_introspection_answers_are_never_stored(world: World) -> None:
    response = world.post("/oauth/introspect", {"token": "x"}, basic="api")
    assert response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Set-Cookie" not in response.headers


def test_a_services_own_token_is_active_for_itself_alone(world: World) -> None:
    form = {"grant_type": "client_credentials"}
    token = world.post("/oauth/token", form, basic="api").get_json()["access_token"]
    assert world.introspect(token, by="api")["active"] is True
    assert world.introspect(token, by="art-api") == INACTIVE
    assert world.introspect(token, by="web") == INACTIVE
    assert world.userinfo(token).status_code in {401, 403}
    assert world.revoke(token, client="api").status_code == 200
    assert world.introspect(token, by="api") == INACTIVE


def test_rfc9701_5_a_signed_answer_for_whoever_asks_for_one(world: World) -> None:
    token = world.tokens(world.browser().as_adult())["access_token"]
    for asked, value in ((token, world.introspect(token)), ("unknown", INACTIVE)):
        response = world.post(
            "/oauth/introspect",
            {"token": asked},
            basic="api",
            headers={"Accept": "application/token-introspection+jwt"},
        )
        assert response.status_code == 200
        assert response.mimetype == "application/token-introspection+jwt"
        assert response.headers["Cache-Control"] == "no-store"
        signed = world.services.signer.verify(response.text, typ="token-introspection+jwt")
        assert signed is not None
        assert set(signed) == {"iss", "aud", "iat", "token_introspection"}
        assert (signed["iss"], signed["aud"]) == (ISSUER, "api")
        assert signed["token_introspection"] == value
        # RFC 9701, 8.1: such an answer is never taken for a token.
        assert world.introspect(response.text) == INACTIVE
        assert world.userinfo(response.text).status_code == 401


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/html", "", "ü", "a/b;q=x"])
def test_rfc9701_4_otherwise_the_answer_is_json(world: World, accept: str) -> None:
    response = world.post(
        "/oauth/introspect", {"token": "x"}, basic="api", headers={"Accept": accept}
    )
    assert response.get_json() == INACTIVE


# -- RFC 7009 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_rfc7009_2_1_either_token_ends_the_whole_grant(any_world: World, which: str) -> None:
    first = any_world.tokens(any_world.browser().as_adult())
    second = any_world.refresh(first["refresh_token"]).get_json()
    response = any_world.revoke(second[which])
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    for tokens in (first, second):
        assert any_world.introspect(tokens["access_token"]) == INACTIVE
        assert any_world.status_bit(tokens["access_token"]) == 1
    assert any_world.refresh(second["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert any_world.revoke(second[which]).status_code == 200


@pytest.mark.parametrize("thief", ["post", "spa", "paint", "api", "paint-api"])
def test_rfc7009_2_1_a_stranger_revokes_nothing_and_is_not_told(world: World, thief: str) -> None:
    tokens = world.tokens(world.browser().as_adult())
    for which in ("access_token", "refresh_token"):
        assert world.revoke(tokens[which], client=thief).status_code == 200
    assert world.introspect(tokens["access_token"])["active"] is True
    assert world.refresh(tokens["refresh_token"]).status_code == 200


def test_rfc7009_2_2_an_unknown_token_is_no_error(world: World) -> None:
    assert world.revoke("unknown").status_code == 200


def test_revoking_one_grant_leaves_another_of_the_same_person(world: World) -> None:
    browser = world.browser()
    first = world.tokens(browser.as_adult())
    second = world.tokens(browser.finish(browser.begin()))
    assert claims_of(first["access_token"])["sub"] == claims_of(second["access_token"])["sub"]
    world.revoke(first["refresh_token"])
    assert world.introspect(second["access_token"])["active"] is True


# -- OIDC Core 5.3, RFC 6750 ---------------------------------------------------------------------


def test_oidc_core_5_3_2_userinfo_says_the_same_as_introspection(world: World) -> None:
    tokens = world.tokens(world.browser().as_adult())
    response = world.userinfo(tokens["access_token"])
    said = response.get_json()
    live = world.introspect(tokens["access_token"])
    assert said["sub"] == claims_of(tokens["id_token"])["sub"]
    names = ("age_tier", "age_range", "acr", "amr", "jurisdiction", "rules_version", "consent")
    assert said == {"sub": live["sub"]} | {name: live[name] for name in names}
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic d2ViOng=", "Bearer a b", "Bearer \xff", "x"]
)
def test_rfc6750_3_without_a_good_token_userinfo_asks_for_one(world: World, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    response = world.app.test_client().get("/oauth/userinfo", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.headers["Cache-Control"] == "no-store"


def test_rfc6750_3_1_who_shows_no_token_is_told_no_error(world: World) -> None:
    response = world.app.test_client().get("/oauth/userinfo")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_rfc6750_2_3_a_token_in_the_address_is_not_read(world: World) -> None:
    token = world.tokens(world.browser().as_adult())["access_token"]
    response = world.app.test_client().get(f"/oauth/userinfo?access_token={token}")
    assert response.status_code == 401
