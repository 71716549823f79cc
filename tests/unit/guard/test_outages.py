"""What happens when the issuer is slow, gone, or talks nonsense: never a yes, never a storm."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agegate.guard import Guard, IssuerError, NotAllowedError, TokenRevokedError
from agegate.guard.testing import TokenMint
from agegate.guard.testing.mint import STATUS_PATH
from agegate.wire.scopes import JWKS, SERVER_METADATA
from agegate.wire.tiers import AgeTier
from tests.unit.guard.conftest import MovableClock

ALL = [SERVER_METADATA, JWKS, STATUS_PATH]
GONE = (0, b"")


def _code(guard: Guard, token: str) -> str:
    try:
        guard.check(token, purposes=["ai_chat"])
    except NotAllowedError as error:
        return error.code
    return "ok"


def _zip(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).rstrip(b"=").decode()


def test_nothing_is_fetched_before_the_first_check(guard: Guard, mint: TokenMint) -> None:
    assert mint.asked == []
    guard.check(mint.token(), purposes=["ai_chat"])
    assert mint.asked == ALL


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (GONE, "issuer_unreachable"),
        ((500, b""), "issuer_unreachable"),
        ((503, b"{}"), "issuer_unreachable"),
        ((429, b""), "issuer_unreachable"),
        ((301, b""), "issuer_invalid"),
        ((404, b"{}"), "issuer_invalid"),
        ((200, b""), "issuer_invalid"),
        ((200, b"<html>captive portal</html>"), "issuer_invalid"),
        ((200, b"[]"), "issuer_invalid"),
        ((200, b'{"keys": {}}'), "issuer_invalid"),
        ((200, b"\xff\xfe"), "issuer_invalid"),
    ],
)
def test_a_cold_guard_refuses_whatever_is_broken(
    guard: Guard, mint: TokenMint, path: str, answer: tuple[int, bytes], code: str
) -> None:
    mint.faults[path] = answer
    with pytest.raises(IssuerError) as told:
        guard.check(mint.token(), purposes=["ai_chat"])
    assert (told.value.code, told.value.status) == (code, 503)


@pytest.mark.parametrize("path", ALL)
def test_a_guard_recovers_within_a_second_of_the_issuer(
    guard: Guard, mint: TokenMint, clock: MovableClock, path: str
) -> None:
    mint.faults[path] = GONE
    token = mint.token()
    assert _code(guard, token) == "issuer_unreachable"
    mint.faults.clear()
    clock.advance(1.0)
    assert _code(guard, token) == "ok"


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"issuer": "https://age.test/"},
        {"jwks_uri": "https://evil.example/jwks.json"},
        {"jwks_uri": "https://age.test.evil/jwks.json"},
        {"jwks_uri": None},
    ],
)
def test_metadata_of_somebody_else_is_refused(
    guard: Guard, mint: TokenMint, change: dict[str, Any]
) -> None:
    mint.faults[SERVER_METADATA] = (200, json.dumps(mint.metadata() | change).encode())
    assert _code(guard, mint.token()) == "issuer_invalid"


def test_known_keys_serve_for_an_hour_of_outage_and_no_longer(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    guard.check(mint.token(), purposes=["ai_chat"])
    mint.faults |= {SERVER_METADATA: GONE, JWKS: (200, b"garbage")}
    clock.advance(3600)
    mint.asked.clear()
    for _ in range(9):
        assert _code(guard, mint.token()) == "ok"
    # Those who have what they need are not kept waiting by an issuer that is away.
    assert mint.asked.count(SERVER_METADATA) == 1
    clock.advance(1)
    assert _code(guard, mint.token()) == "issuer_unreachable"


def test_a_new_key_is_learned_at_once_and_unknown_ones_cause_no_storm(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    guard.check(mint.token(), purposes=["ai_chat"])
    clock.advance(10)
    mint.rotate()
    assert _code(guard, mint.token()) == "ok"
    mint.asked.clear()
    for number in range(50):
        token = mint.token(header={"kid": f"made-up-{number}"})
        assert _code(guard, token) == "token_key_unknown"
    assert mint.asked == []
    clock.advance(10)
    for number in range(50):
        assert _code(guard, mint.token(header={"kid": f"more-{number}"})) == "token_key_unknown"
    assert mint.asked.count(JWKS) == 1


def test_a_withdrawn_key_takes_its_cached_tokens_along(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    token = mint.token(AgeTier.ADULT, lifetime_s=900)
    context = guard.check(token, purposes=["ai_chat"])
    mint.rotate(keep=False)
    clock.advance(301)
    assert _code(guard, token) == "token_key_unknown"
    with context, pytest.raises(NotAllowedError) as told:
        guard.recheck()
    assert told.value.code == "token_key_unknown"


def test_law_10_a_withdrawal_takes_effect_within_fifteen_seconds(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    token, other = mint.token(), mint.token()
    guard.check(token, purposes=["ai_chat"])
    mint.revoke(token)
    clock.advance(15.1)
    with pytest.raises(TokenRevokedError):
        guard.check(token, purposes=["ai_chat"])
    assert _code(guard, other) == "ok"


def test_the_list_is_not_asked_for_more_often_than_needed(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    for _ in range(60):
        guard.check(mint.token(), purposes=["ai_chat"])
        clock.advance(0.25)
    assert mint.asked.count(STATUS_PATH) == 1
    clock.advance(1)
    guard.check(mint.token(), purposes=["ai_chat"])
    assert mint.asked.count(STATUS_PATH) == 2


def test_a_shorter_ttl_of_the_list_is_kept(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    mint.faults[STATUS_PATH] = (200, mint.status_list(ttl=3).encode())
    guard.check(mint.token(), purposes=["ai_chat"])
    clock.advance(3.1)
    guard.check(mint.token(), purposes=["ai_chat"])
    assert mint.asked.count(STATUS_PATH) == 2


def test_minors_are_refused_once_the_list_is_older_than_fifteen_seconds(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    token, adult = mint.token(), mint.token(AgeTier.ADULT, lifetime_s=900)
    guard.check(token, purposes=["ai_chat"])
    mint.faults[STATUS_PATH] = GONE
    clock.advance(15)
    assert _code(guard, token) == "ok"
    clock.advance(0.1)
    assert _code(guard, token) == "issuer_unreachable"
    mint.asked.clear()
    for _ in range(9):
        assert _code(guard, adult) == "ok"
        clock.advance(1)
    assert mint.asked == []
    clock.advance(1)
    assert _code(guard, adult) == "ok"
    assert mint.asked == [STATUS_PATH]


def test_an_adult_is_refused_after_five_minutes_without_a_list(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    mint.faults[STATUS_PATH] = (200, mint.status_list(exp=int(clock()) + 9000).encode())
    adult = mint.token(AgeTier.ADULT, lifetime_s=900)
    guard.check(adult)
    mint.faults[STATUS_PATH] = GONE
    clock.advance(300)
    assert _code(guard, adult) == "ok"
    clock.advance(0.1)
    assert _code(guard, adult) == "issuer_unreachable"


def test_an_issuer_that_is_gone_is_asked_once_a_second_only(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    guard.check(mint.token(), purposes=["ai_chat"])
    mint.faults[STATUS_PATH] = GONE
    clock.advance(20)
    mint.asked.clear()
    for _ in range(30):
        assert _code(guard, mint.token()) == "issuer_unreachable"
    assert mint.asked == [STATUS_PATH]


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "https://age.test/oauth/status/2"},
        {"iss": "https://evil.example"},
        {"exp": 1_800_000_000},
        {"exp": True},
        {"iat": 1_800_000_061},
        {"iat": None},
        {"exp": None, "iat": 1_799_999_900},
        {"ttl": 0},
        {"ttl": "15"},
        {"status_list": None},
        {"status_list": {"bits": 2, "lst": _zip(bytes(512))}},
        {"status_list": {"bits": 1, "lst": 5}},
        {"status_list": {"bits": 1, "lst": "not zlib"}},
        {"status_list": {"bits": 1, "lst": _zip(b"")}},
        {"status_list": {"bits": 1, "lst": _zip(bytes(512))[:-8]}},
        {"status_list": {"bits": 1, "lst": _zip(bytes(200 * 1024 * 1024))}},
    ],
)
def test_a_list_that_is_not_right_counts_as_none(
    guard: Guard, mint: TokenMint, claims: dict[str, Any]
) -> None:
    mint.faults[STATUS_PATH] = (200, mint.status_list(**claims).encode())
    assert _code(guard, mint.token()) == "issuer_invalid"


def test_a_list_signed_by_somebody_else_counts_as_none(guard: Guard, mint: TokenMint) -> None:
    other = TokenMint(issuer=mint.issuer, audience=mint.audience, clock=mint.clock)
    mint.faults[STATUS_PATH] = (200, other.status_list().encode())
    assert _code(guard, mint.token()) == "issuer_invalid"
    mint.faults[STATUS_PATH] = (200, mint.token().encode())
    clocked = Guard(issuer=mint.issuer, audience=mint.audience, transport=mint, clock=mint.clock)
    assert _code(clocked, mint.token()) == "issuer_invalid"


def test_a_clock_that_jumps_back_is_answered_by_asking_again(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    guard.check(mint.token(), purposes=["ai_chat"])
    clock.advance(-86_400)
    assert _code(guard, mint.token()) == "ok"
    assert mint.asked == ALL * 2


def test_whatever_a_transport_raises_is_a_refusal(mint: TokenMint) -> None:
    class Broken:
        def get(self, url: str) -> tuple[int, bytes]:
            raise RuntimeError(url)

        async def aget(self, url: str) -> tuple[int, bytes]:
            raise RuntimeError(url)

    guard = Guard(issuer=mint.issuer, audience=mint.audience, transport=Broken())
    assert _code(guard, mint.token()) == "issuer_unreachable"
    other = Guard(issuer=mint.issuer, audience=mint.audience, transport=Broken())
    with pytest.raises(IssuerError):
        asyncio.run(other.acheck(mint.token(), purposes=["ai_chat"]))


def test_a_crowd_of_threads_costs_one_request(mint: TokenMint) -> None:
    slow = _Slow(mint)
    guard = Guard(issuer=mint.issuer, audience=mint.audience, transport=slow, clock=mint.clock)
    tokens = [mint.token() for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(lambda token: _code(guard, token), tokens))
    assert codes == ["ok"] * 12
    assert sorted(mint.asked) == sorted(ALL)


def test_a_crowd_of_tasks_costs_one_request(mint: TokenMint) -> None:
    slow = _Slow(mint)
    guard = Guard(issuer=mint.issuer, audience=mint.audience, transport=slow, clock=mint.clock)

    async def crowd() -> int:
        checks = [guard.acheck(mint.token(), purposes=["ai_chat"]) for _ in range(12)]
        return len(await asyncio.gather(*checks))

    assert asyncio.run(crowd()) == 12
    assert sorted(mint.asked) == sorted(ALL)
    # Another event loop, the same guard: nothing is left tied to the first one.
    assert asyncio.run(crowd()) == 12


class _Slow:
    def __init__(self, mint: TokenMint) -> None:
        self._mint = mint

    def get(self, url: str) -> tuple[int, bytes]:
        time.sleep(0.02)
        return self._mint.get(url)

    async def aget(self, url: str) -> tuple[int, bytes]:
        await asyncio.sleep(0.02)
        return self._mint.get(url)


def test_an_issuer_with_a_path_is_asked_where_rfc_8414_says(clock: MovableClock) -> None:
    mint = TokenMint(issuer="https://age.test/tenant", clock=clock)
    guard = Guard(issuer=mint.issuer, audience=mint.audience, transport=mint, clock=clock)
    assert _code(guard, mint.token()) == "issuer_invalid"
    assert mint.asked == [f"https://age.test{SERVER_METADATA}/tenant"]


def test_law_11_each_check_writes_one_line_without_a_person_in_it(
    guard: Guard, mint: TokenMint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="agegate.guard")
    token = mint.token(subject="pairwise-secret")
    guard.check(token, purposes=["ai_chat"])
    assert _code(guard, mint.token(state="withdrawn", subject="pairwise-secret")) != "ok"
    assert _code(guard, "nonsense") == "token_malformed"
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    told = {"record": "cr_test", "rules_version": "2026-11-01", "tier": "child", "stage": "check"}
    assert lines == [
        told | {"decision": "allowed", "code": "ok"},
        told | {"decision": "refused", "code": "consent_withdrawn"},
        {
            "stage": "check",
            "decision": "refused",
            "code": "token_malformed",
            "tier": None,
            "record": None,
            "rules_version": None,
        },
    ]
    assert "pairwise-secret" not in caplog.text
    assert token[:30] not in caplog.text


def test_a_kid_that_comes_back_with_another_key_ends_what_it_signed(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    token = mint.token(AgeTier.ADULT, lifetime_s=900)
    guard.check(token, purposes=["ai_chat"])
    other = TokenMint(issuer=mint.issuer, audience=mint.audience, clock=clock)
    renamed = other.jwks()["keys"][0] | {"kid": mint.kid}
    mint.faults[JWKS] = (200, json.dumps({"keys": [renamed]}).encode())
    clock.advance(301)
    assert _code(guard, token) == "token_key_unknown"


@pytest.mark.parametrize(
    "change",
    [
        {"x": "AAAA"},
        {"x": "é"},
        {"y": None},
        {"use": "enc"},
        {"alg": "ES384"},
        {"kid": ""},
        {"d": "AAAA"},
    ],
)
def test_a_published_key_that_is_not_fit_is_passed_over(
    guard: Guard, mint: TokenMint, change: dict[str, Any]
) -> None:
    keys = [mint.jwks()["keys"][0] | change, {"kty": "RSA", "kid": "r"}]
    mint.faults[JWKS] = (200, json.dumps({"keys": keys}).encode())
    assert _code(guard, mint.token()) == "issuer_invalid"


def test_one_kid_for_two_keys_is_nobodys_key(
    guard: Guard, mint: TokenMint, clock: MovableClock
) -> None:
    twin = TokenMint(clock=clock).jwks()["keys"][0] | {"kid": mint.kid}
    keys = [mint.jwks()["keys"][0], twin]
    mint.faults[JWKS] = (200, json.dumps({"keys": keys}).encode())
    assert _code(guard, mint.token()) == "issuer_invalid"


def test_more_keys_than_anybody_needs_are_refused(guard: Guard, mint: TokenMint) -> None:
    keys = mint.jwks()["keys"] * 33
    mint.faults[JWKS] = (200, json.dumps({"keys": keys}).encode())
    assert _code(guard, mint.token()) == "issuer_invalid"


def test_what_the_guard_keeps_is_bounded(
    guard: Guard, mint: TokenMint, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agegate.guard.core.statuses.MAX_LISTS", 3)
    monkeypatch.setattr("agegate.guard.core.verify.CACHED_TOKENS", 4)
    small = Guard(issuer=mint.issuer, audience=mint.audience, transport=mint, clock=clock)
    for number in range(8):
        uri = f"{mint.issuer}/oauth/status/{number + 10}"
        mint.faults[uri.removeprefix(mint.issuer)] = (200, mint.status_list(sub=uri).encode())
        token = mint.token(claims={"status": {"status_list": {"idx": 0, "uri": uri}}})
        # Twice: what was dropped is verified anew, with the same answer.
        assert [_code(small, token) for _ in range(2)] == ["ok", "ok"]
        assert _code(guard, token) == "ok"


def test_a_list_that_shrank_is_a_refusal_each_time_and_logged(
    guard: Guard, mint: TokenMint, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    mint.token()
    tokens = [mint.token() for _ in range(9)]
    guard.check(tokens[-1], purposes=["ai_chat"])
    short = {"bits": 1, "lst": _zip(bytes(1))}
    mint.faults[STATUS_PATH] = (200, mint.status_list(status_list=short).encode())
    clock.advance(16)
    caplog.clear()
    assert [_code(guard, tokens[-1]) for _ in range(3)] == ["issuer_invalid"] * 3
    assert len(caplog.records) == 3
