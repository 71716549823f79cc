"""What is sealed opens only where it belongs and under its own key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.adapters.sealing import KeyedSealer
from agegate.domain.errors import ConfigurationError

SEALER = KeyedSealer("a secret of 32 bytes for the tests")
OTHER = KeyedSealer("another secret of 32 bytes to test")


@given(st.binary(max_size=200), st.text(max_size=30))
def test_what_is_sealed_opens_again(data: bytes, context: str) -> None:
    sealed = SEALER.seal(data, context=context)
    assert SEALER.open(sealed, context=context) == data
    assert len(sealed) == len(data) + 29


def test_sealing_twice_gives_different_bytes_and_shows_none_of_the_first() -> None:
    sealed = {SEALER.seal(b"maria@eltern.example", context="a") for _ in range(50)}
    assert len(sealed) == 50
    assert all(b"maria" not in one for one in sealed)
    assert len({one[1:13] for one in sealed}) == 50, "a nonce is never used again"


@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal(b"maria@eltern.example", context="a"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ConfigurationError) as caught:
        SEALER.open(bytes(sealed), context="a")
    assert "maria" not in str(caught.value)


@pytest.mark.parametrize("length", range(30))
def test_a_cut_value_is_found(length: int) -> None:
    sealed = SEALER.seal(b"", context="a")
    if length == len(sealed):
        assert SEALER.open(sealed, context="a") == b""
        return
    with pytest.raises(ConfigurationError):
        SEALER.open(sealed[:length], context="a")


def test_a_value_of_another_place_or_key_does_not_open() -> None:
    sealed = SEALER.seal(b"x", context="contacts.address.cr_1")
    for sealer, context in ((SEALER, "contacts.address.cr_2"), (OTHER, "contacts.address.cr_1")):
        with pytest.raises(ConfigurationError, match="AGEGATE_SECRET_KEY"):
            sealer.open(sealed, context=context)


def test_an_index_finds_the_same_value_again_and_shows_nothing() -> None:
    index = SEALER.index("maria@eltern.example", use="address")
    assert index == SEALER.index("maria@eltern.example", use="address")
    assert index == KeyedSealer("a secret of 32 bytes for the tests").index(
        "maria@eltern.example", use="address"
    )
    assert len(index) == 64
    different = {
        SEALER.index("maria@eltern.example", use="limits"),
        SEALER.index("Maria@eltern.example", use="address"),
        OTHER.index("maria@eltern.example", use="address"),
        index,
    }
    assert len(different) == 4


def test_each_use_has_a_key_of_its_own() -> None:
    keys = {SEALER.key(use) for use in ("columns", "links", "sessions", "index/address")}
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)


def test_keys_are_frozen() -> None:
    """A key that came out differently would lose everything that was sealed."""
    assert SEALER.key("columns").hex() == GOLDEN_KEY
    assert SEALER.index("x", use="address") == GOLDEN_INDEX
    assert SEALER.open(bytes.fromhex(GOLDEN_SEALED), context="a") == b"x"


GOLDEN_KEY = "a18ddfde10d8de044197640ee6b90286c18d373616227067bcc8a3b88b5c4fc2"
GOLDEN_INDEX = "9f7aba1db4b8a254a847c87e351fe683fde6e90786f157f7b53100fc126fb8a6"
GOLDEN_SEALED = "012eb3ff2deaa98b3c1c8ba4ff482e2b1c6c6b92c1e81ffac5a85b4e934b"
