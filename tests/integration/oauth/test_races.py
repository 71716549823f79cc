"""Many at once, with real threads on a real database: exactly one wins (RFC 9700 2.1.1, 4.14)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from agegate.domain.grants import Family, IssuedToken, RefreshToken
from tests.integration.oauth.world import World, claims_of

AT_ONCE = 8


def all_at_once(act: Callable[[], TestResponse]) -> list[TestResponse]:
    """`act` by many threads that all wait for the same moment."""
    answers: list[TestResponse] = []
    failures: list[BaseException] = []
    start = threading.Barrier(AT_ONCE)

    def run() -> None:
        try:
            start.wait(timeout=30)
            answers.append(act())
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures, failures
    assert len(answers) == AT_ONCE
    return answers


def split(answers: list[TestResponse]) -> list[TestResponse]:
    """The winners; every other was told in the words of RFC 6749, 5.2."""
    won = [a for a in answers if a.status_code == 200]
    for lost in answers:
        if lost not in won:
            assert lost.status_code == 400, lost.text
            assert lost.get_json()["error"] == "invalid_grant"
    return won


def live_families(world: World) -> int:
    with world.services.core.store.read() as r:
        return len([f for f in r.select(Family) if f.is_live(now=world.now)])


@pytest.mark.parametrize("attempt", range(3))
def test_of_many_redemptions_at_once_exactly_one_wins(any_world: World, attempt: int) -> None:
    code = any_world.browser().as_adult().code
    won = split(all_at_once(lambda: any_world.redeem(code)))
    assert len(won) == 1
    with any_world.services.core.store.read() as r:
        assert len(r.select(Family)) == 1
        assert len(r.select(IssuedToken)) == 1
        assert len(r.select(RefreshToken)) == 1
    # The others were replays: what the winner got has ended with them.
    assert live_families(any_world) == 0
    assert any_world.introspect(won[0].get_json()["access_token"]) == {"active": False}


@pytest.mark.parametrize("attempt", range(3))
def test_of_many_refreshes_at_once_exactly_one_wins(any_world: World, attempt: int) -> None:
    tokens = any_world.tokens(any_world.browser().as_adult())
    won = split(all_at_once(lambda: any_world.refresh(tokens["refresh_token"])))
    assert len(won) == 1
    with any_world.services.core.store.read() as r:
        assert len(r.select(Family)) == 1
        assert len(r.select(RefreshToken)) == 2
    assert live_families(any_world) == 0
    assert any_world.refresh(won[0].get_json()["refresh_token"]).status_code == 400


def test_many_redemptions_by_strangers_do_not_disturb_the_owner(any_world: World) -> None:
    code = any_world.browser().as_adult().code
    assert split(all_at_once(lambda: any_world.redeem(code, client="paint"))) == []
    assert any_world.redeem(code).status_code == 200


def test_many_revocations_at_once_are_one(any_world: World) -> None:
    tokens = any_world.tokens(any_world.browser().as_adult())
    answers = all_at_once(lambda: any_world.revoke(tokens["refresh_token"]))
    assert {a.status_code for a in answers} == {200}
    assert any_world.introspect(tokens["access_token"]) == {"active": False}


@pytest.mark.parametrize("end", ["withdraw", "revoke", "erase"])
def test_what_ends_while_tokens_are_refreshed_leaves_no_status_bit_unset(
    any_world: World, end: str
) -> None:
    """Whoever checks offline knows nothing but the bit (Token Status List)."""
    browser = any_world.browser()
    path = browser.as_child()
    any_world.parent_decides()
    tokens = [any_world.tokens(browser.finish(path))]
    stop = threading.Event()

    def refresh() -> None:
        while not stop.is_set():
            answer = any_world.refresh(tokens[-1]["refresh_token"])
            if answer.status_code != 200:
                return
            tokens.append(answer.get_json())

    thread = threading.Thread(target=refresh)
    thread.start()
    if end == "revoke":
        any_world.revoke(tokens[0]["refresh_token"])
    else:
        any_world.parent_ends(end)
    stop.set()
    thread.join(timeout=60)
    any_world.move(timedelta(seconds=2))
    for issued in tokens:
        claims = claims_of(issued["access_token"])
        carried = claims["consent"]["state"] == "granted" or end != "withdraw"
        assert any_world.status_bit(issued["access_token"]) == int(carried)


def test_different_codes_at_once_all_win_and_share_no_status_bit(any_world: World) -> None:
    codes = [any_world.browser().as_adult().code for _ in range(AT_ONCE)]
    answers = all_at_once(lambda: any_world.redeem(codes.pop()))
    assert {a.status_code for a in answers} == {200}
    with any_world.services.core.store.read() as r:
        assert len({issued.slot for issued in r.select(IssuedToken)}) == AT_ONCE
    assert live_families(any_world) == AT_ONCE
