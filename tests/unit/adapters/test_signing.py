"""Tokens are signed by the one active key and believed only when one of our keys signed them."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from agegate.adapters.memory import MemoryStore
from agegate.adapters.signing import StoredKeySigner, new_signing_key
from agegate.domain.errors import UnavailableError
from agegate.domain.keys import KeyState, SigningKey
from tests.factories import NOON

CLAIMS = {"sub": "pairwise-1", "name": "ü"}


class World:
    """A store with keys and a signer over it, at a time of our own."""

    def __init__(self, *states: KeyState) -> None:
        self.now = NOON
        self.store = MemoryStore(clock=self.clock, new_id=lambda prefix: prefix)
        self.keys = [self.add(state) for state in states]
        self.signer = StoredKeySigner(self.store, clock=self.clock)

    def clock(self) -> datetime:
        return self.now

    def add(self, state: KeyState) -> SigningKey:
        key = new_signing_key(state=state, clock=self.clock)
        self.now += timedelta(milliseconds=1)
        with self.store.write() as uow:
            uow.add(key)
            uow.commit()
        return key

    def change(self, key: SigningKey) -> None:
        with self.store.write() as uow:
            uow.save(key)
            uow.commit()


@pytest.fixture
def world() -> World:
    return World(KeyState.ACTIVE, KeyState.NEXT, KeyState.RETIRED)


def private(key: SigningKey) -> ECKey:
    return ECKey.import_key(json.loads(key.private.value))


def header_of(token: str) -> dict[str, Any]:
    part, _, _ = token.partition(".")
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_a_new_key_is_named_by_its_thumbprint_and_hides_its_secret(world: World) -> None:
    active, following, _ = world.keys
    public = json.loads(active.public)
    assert active.id == ECKey.import_key(public).thumbprint() == public["kid"]
    assert set(public) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (public["crv"], public["alg"], public["use"]) == ("P-256", "ES256", "sig")
    assert json.loads(active.private.value)["d"] not in repr(active)
    assert (active.activated_at, following.activated_at) == (NOON, None)
    assert len({key.id for key in world.keys}) == 3


def test_the_active_key_signs(world: World) -> None:
    token = world.signer.sign(CLAIMS, typ="at+jwt")
    assert header_of(token) == {"alg": "ES256", "kid": world.keys[0].id, "typ": "at+jwt"}
    assert world.signer.verify(token, typ="at+jwt") == CLAIMS


def test_without_an_active_key_nothing_is_signed() -> None:
    for states in ((), (KeyState.NEXT, KeyState.RETIRED)):
        with pytest.raises(UnavailableError):
            World(*states).signer.sign(CLAIMS, typ="at+jwt")


def test_every_published_key_is_believed_and_no_other(world: World) -> None:
    published = world.signer.jwks()["keys"]
    assert [key["kid"] for key in published] == [key.id for key in world.keys]
    assert all("d" not in key for key in published)
    for key in world.keys:
        header = {"alg": "ES256", "kid": key.id, "typ": "at+jwt"}
        token = jws.serialize_compact(header, json.dumps(CLAIMS), private(key))
        assert world.signer.verify(token, typ="at+jwt") == CLAIMS
    stranger = new_signing_key(state=KeyState.ACTIVE, clock=world.clock)
    for kid in (stranger.id, world.keys[0].id):
        header = {"alg": "ES256", "kid": kid, "typ": "at+jwt"}
        token = jws.serialize_compact(header, json.dumps(CLAIMS), private(stranger))
        assert world.signer.verify(token, typ="at+jwt") is None


def test_a_token_of_another_type_is_not_believed(world: World) -> None:
    token = world.signer.sign(CLAIMS, typ="at+jwt")
    for typ in ("JWT", "statuslist+jwt", "AT+JWT", ""):
        assert world.signer.verify(token, typ=typ) is None


def forged(header: dict[str, Any], payload: bytes = b"{}", signature: bytes = b"x" * 64) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return ".".join((part(json.dumps(header).encode()), part(payload), part(signature)))


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": None},
        {"alg": ["ES256"]},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": ["x"]},
        {"kid": {"a": 1}},
        {"typ": None},
        {"typ": "JWT"},
        {"jwk": {"kty": "EC"}},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"crit": ["exp"]},
        {"b64": False},
    ],
    ids=str,
)
def test_a_strange_header_is_not_believed(world: World, change: dict[str, Any]) -> None:
    header = {"alg": "ES256", "kid": world.keys[0].id, "typ": "at+jwt", **change}
    for signature in (b"", b"x" * 64):
        assert world.signer.verify(forged(header, signature=signature), typ="at+jwt") is None


def test_our_public_key_as_a_shared_secret_is_not_believed(world: World) -> None:
    header = {"alg": "HS256", "kid": world.keys[0].id, "typ": "at+jwt"}
    secret = OctKey.import_key(world.keys[0].public)
    token = jws.serialize_compact(header, b"{}", secret, algorithms=["HS256"])
    assert world.signer.verify(token, typ="at+jwt") is None


@pytest.mark.parametrize("payload", [b"[]", b"1", b"not json", b"", b"\xff", b'"x"', b"null"])
def test_signed_bytes_that_are_no_claims_are_not_believed(world: World, payload: bytes) -> None:
    header = {"alg": "ES256", "kid": world.keys[0].id, "typ": "at+jwt"}
    token = jws.serialize_compact(header, payload, private(world.keys[0]))
    assert world.signer.verify(token, typ="at+jwt") is None


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b.c", "a.b", "ü.b.c", "\x00..", "e30.e30.e30", "W10.e30.x"]
)
def test_what_is_no_token_is_not_believed(world: World, token: str) -> None:
    assert world.signer.verify(token, typ="at+jwt") is None


def test_a_huge_token_is_not_even_read(world: World) -> None:
    token = world.signer.sign({"x": "y" * 20_000}, typ="at+jwt")
    assert world.signer.verify(token, typ="at+jwt") is None


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_the_check(one: str, two: str, three: str) -> None:
    assert World(KeyState.ACTIVE).signer.verify(f"{one}.{two}.{three}", typ="at+jwt") is None


@given(st.data())
def test_any_changed_letter_is_found(data: st.DataObject) -> None:
    world = World(KeyState.ACTIVE)
    token = world.signer.sign(CLAIMS, typ="at+jwt")
    # The last letter of each part carries spare bits, so only letters before it are changed.
    spare = {token.index(".") - 1, token.rindex(".") - 1, len(token) - 1}
    place = data.draw(st.integers(0, len(token) - 1).filter(lambda p: p not in spare))
    letter = data.draw(st.sampled_from("aZ0-_.").filter(lambda c: c != token[place]))
    changed = token[:place] + letter + token[place + 1 :]
    assert world.signer.verify(changed, typ="at+jwt") is None


def test_a_rotation_reaches_a_running_process_within_five_seconds(world: World) -> None:
    active, following, _ = world.keys
    before = world.signer.sign(CLAIMS, typ="at+jwt")
    world.change(active.retire(now=world.now))
    world.change(following.activate(now=world.now))
    world.now += timedelta(seconds=4.9)
    assert header_of(world.signer.sign(CLAIMS, typ="at+jwt"))["kid"] == active.id
    world.now += timedelta(seconds=0.1)
    assert header_of(world.signer.sign(CLAIMS, typ="at+jwt"))["kid"] == following.id
    assert world.signer.verify(before, typ="at+jwt") == CLAIMS, "a retired key is still believed"


def test_a_removed_key_is_forgotten_within_five_seconds_or_when_told(world: World) -> None:
    token = world.signer.sign(CLAIMS, typ="at+jwt")
    with world.store.write() as uow:
        uow.delete(SigningKey, world.keys[0].id)
        uow.commit()
    assert world.signer.verify(token, typ="at+jwt") == CLAIMS
    world.signer.forget()
    assert world.signer.verify(token, typ="at+jwt") is None


def test_a_clock_that_goes_back_does_not_keep_old_keys(world: World) -> None:
    world.signer.jwks()
    late = world.add(KeyState.NEXT)
    world.now -= timedelta(hours=1)
    assert late.id in {key["kid"] for key in world.signer.jwks()["keys"]}
