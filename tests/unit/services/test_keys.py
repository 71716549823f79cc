from __future__ import annotations

import json

import pytest

from agegate.domain.errors import NotAllowedNowError, NotFoundError
from agegate.domain.keys import PUBLISH_BEFORE_USE, RETIRED_FOR, KeyState, SigningKey
from tests.unit.services.world import World

CLAIMS = {"sub": "somebody", "iat": 1}


@pytest.fixture
def world() -> World:
    world = World()
    world.keys.ensure()
    return world


def states(world: World) -> list[KeyState]:
    return sorted(key.state for key in world.keys.list())


def test_the_first_start_makes_one_active_and_one_next_key(world: World) -> None:
    assert states(world) == [KeyState.ACTIVE, KeyState.NEXT]
    world.keys.ensure()
    assert len(world.keys.list()) == 2


def test_a_missing_next_key_is_made_again(world: World) -> None:
    [following] = [k for k in world.keys.list() if k.state is KeyState.NEXT]
    world.keys.retire(following.id)
    world.keys.ensure()
    assert states(world) == [KeyState.ACTIVE, KeyState.NEXT]


def test_a_next_key_is_published_before_it_signs(world: World) -> None:
    with pytest.raises(NotAllowedNowError, match="min"):
        world.keys.rotate()
    world.clock.time += PUBLISH_BEFORE_USE
    [following] = [k for k in world.keys.list() if k.state is KeyState.NEXT]
    assert following.id in {key["kid"] for key in world.signer.jwks()["keys"]}
    assert world.keys.rotate().id == following.id
    assert states(world) == [KeyState.ACTIVE, KeyState.NEXT, KeyState.RETIRED]


def test_in_an_emergency_nobody_waits(world: World) -> None:
    before = {key.id for key in world.keys.list() if key.state is KeyState.ACTIVE}
    assert world.keys.rotate(at_once=True).id not in before


def test_what_the_old_key_signed_stays_good_until_it_is_retired(world: World) -> None:
    old = world.signer.sign(CLAIMS, typ="at+jwt")
    [first] = [k for k in world.keys.list() if k.state is KeyState.ACTIVE]
    world.keys.rotate(at_once=True)
    world.signer.forget()
    new = world.signer.sign(CLAIMS, typ="at+jwt")
    assert world.signer.verify(old, typ="at+jwt") == CLAIMS
    assert world.signer.verify(new, typ="at+jwt") == CLAIMS
    world.keys.retire(first.id)
    world.signer.forget()
    assert world.signer.verify(old, typ="at+jwt") is None
    assert world.signer.verify(new, typ="at+jwt") == CLAIMS


def test_the_active_key_cannot_be_taken_away(world: World) -> None:
    [active] = [k for k in world.keys.list() if k.state is KeyState.ACTIVE]
    with pytest.raises(NotAllowedNowError):
        world.keys.retire(active.id)
    with pytest.raises(NotFoundError):
        world.keys.retire("nothing")


def test_retired_keys_go_when_their_last_token_has_ended(world: World) -> None:
    world.keys.rotate(at_once=True)
    assert world.keys.clean() == 0
    world.clock.time += RETIRED_FOR
    assert world.keys.clean() == 1
    assert states(world) == [KeyState.ACTIVE, KeyState.NEXT]


def test_every_turn_of_a_key_is_a_fact_without_the_key(world: World) -> None:
    world.keys.rotate(at_once=True)
    assert [f for f in world.facts() if f.startswith("key.")] == [
        "key.created",
        "key.created",
        "key.retired",
        "key.activated",
        "key.created",
    ]
    assert world.ledger_is_whole()


def test_a_key_hides_its_private_half(world: World) -> None:
    for key in world.all(SigningKey):
        private = json.loads(key.private.value)["d"]
        assert private not in repr(key)
        assert "d" not in json.loads(key.public)
