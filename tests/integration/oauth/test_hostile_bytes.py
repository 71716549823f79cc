"""Whatever arrives, the answer is ours: no 5xx, no trace, no redirect to a stranger."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.integration.oauth.operators import CALLBACK
from tests.integration.oauth.world import World

AUTHORIZE = (
    "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
    "code_challenge", "code_challenge_method", "prompt", "resource", "purposes", "ui_locales",
    "acr_values", "age_region", "id_token_hint", "max_age", "request", "request_uri", "claims",
)  # fmt: skip
BACK_CHANNEL = (
    "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource",
    "client_id", "client_secret", "token", "token_type_hint", "client_assertion",
    "client_assertion_type",
)  # fmt: skip
NASTY = [
    "\x00", "\r\nX: y", '"', "\\", "'", "%", "%zz", "ü", "\U0001f600", "\u202e", "\ufeff", "\ud7ff",
    "<b>", "{{7*7}}", "${7*7}", "../../etc/passwd", "a" * 20_000, " ", "\t", "[]", "null", "-1",
    "1e999", "https://", "//", "://", "http://[", "http://a:b", "javascript:alert(1)", "a,b", "*",
    "en-US-x-" + "a" * 200, ".", "..", "a.b.c", "eyJ", "Ω" * 100, "\u0661\u0662", "--",
]  # fmt: skip
_LIMITS = settings(max_examples=40, suppress_health_check=list(HealthCheck))


def is_ours(response: TestResponse) -> None:
    assert response.status_code < 500, response.text
    assert "Traceback" not in response.text
    assert "authlib" not in response.text.lower()
    location = response.headers.get("Location", "/flow/")
    assert re.match(rf"/flow/|/oauth/authorize\?|{re.escape(CALLBACK)}\?", location), location


@pytest.mark.parametrize("name", AUTHORIZE)
def test_no_value_breaks_the_authorization_endpoint(both_worlds: World, name: str) -> None:
    for value in NASTY:
        is_ours(both_worlds.browser().authorize(**{name: value}))
        raw = "&".join(f"{k}={quote(v)}" for k, v in both_worlds.request().items() if k != name)
        for garbage in ("%ff%fe", "%ed%a0%80", "%", "%c0%af"):
            is_ours(both_worlds.app.test_client().get(f"/oauth/authorize?{raw}&{name}={garbage}"))


@pytest.mark.parametrize("name", BACK_CHANNEL)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
def test_no_value_breaks_a_back_channel(both_worlds: World, path: str, name: str) -> None:
    for grant in ("authorization_code", "refresh_token"):
        form = {
            "grant_type": grant, "code": "x", "redirect_uri": CALLBACK, "code_verifier": "v" * 43,
            "refresh_token": "x", "token": "x",
        }  # fmt: skip
        for value in NASTY:
            is_ours(both_worlds.post(path, {**form, name: value}, basic="web"))
            is_ours(both_worlds.post(path, {"client_id": "spa", **form, name: value}))


@given(pairs=st.lists(st.tuples(st.sampled_from(AUTHORIZE), st.binary(max_size=60)), max_size=8))
@_LIMITS
def test_no_query_breaks_the_authorization_endpoint(
    both_worlds: World, pairs: list[tuple[str, bytes]]
) -> None:
    asked = {name: quote(value) for name, value in both_worlds.request().items()}
    asked |= {name: quote_from_bytes(value) for name, value in pairs}
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    is_ours(both_worlds.app.test_client().get(f"/oauth/authorize?{query}"))


@given(body=st.binary(max_size=300), header=st.text(st.characters(max_codepoint=255), max_size=60))
@_LIMITS
def test_no_body_and_no_header_break_a_back_channel(
    both_worlds: World, body: bytes, header: str
) -> None:
    clean = re.sub(r"[\x00-\x1f\x7f]", "", header)
    for path in ("/oauth/token", "/oauth/introspect", "/oauth/revoke"):
        for kind in (
            "application/x-www-form-urlencoded",
            "application/json",
            "multipart/form-data",
        ):
            is_ours(
                both_worlds.app.test_client().post(
                    path, data=body, content_type=kind, headers={"Authorization": clean}
                )
            )
    is_ours(both_worlds.app.test_client().get("/oauth/userinfo", headers={"Authorization": clean}))


@given(language=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80))
@_LIMITS
def test_no_language_breaks_a_page(both_worlds: World, language: str) -> None:
    browser = both_worlds.browser()
    response = browser.http.get(
        "/oauth/authorize",
        query_string=both_worlds.request(),
        headers={"Accept-Language": language},
    )
    is_ours(response)
    is_ours(browser.http.get(response.headers["Location"]))
