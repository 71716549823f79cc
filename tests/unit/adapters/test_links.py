"""A mailed link is ours, whole and for its purpose, or it is nothing at all."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from agegate.adapters.links import SignedLinks
from agegate.domain.errors import LinkExpiredError
from agegate.wire.problems import Problem

LINKS = SignedLinks(b"k" * 32)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=50), st.sampled_from(["a", "b"]))
def test_a_link_gives_back_its_id(id_: str, purpose: str) -> None:
    assert LINKS.read(purpose, LINKS.sign(purpose, id_)) == id_


def test_a_link_can_stand_in_a_url_and_an_email() -> None:
    text = LINKS.sign("request", "li_" + "0123456789abcdef" * 4)
    assert all(c.isalnum() or c in "-_." for c in text)
    assert len(text) < 150


def test_a_link_of_another_purpose_or_key_is_not_ours() -> None:
    text = LINKS.sign("request", "x")
    for links, purpose in ((LINKS, "confirm"), (SignedLinks(b"o" * 32), "request")):
        with pytest.raises(LinkExpiredError):
            links.read(purpose, text)


@given(st.text(max_size=60))
def test_anything_else_is_not_ours(text: str) -> None:
    with pytest.raises(LinkExpiredError) as caught:
        LINKS.read("request", text)
    assert str(caught.value) == "this link is not ours"
    assert caught.value.problem is Problem.LINK_EXPIRED


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "\x00",
        "ü.ü",
        "\ud800",
        " " + LINKS.sign("request", "x"),
        LINKS.sign("request", "x")[:-1],
        LINKS.sign("request", "x").swapcase(),
        LINKS.sign("request", "".join(sha256(bytes([n])).hexdigest() for n in range(12))),
        "a" * 1_000_000,
    ],
    ids=lambda t: f"{len(t)}",
)
def test_hostile_links_are_not_ours(text: str) -> None:
    with pytest.raises(LinkExpiredError):
        LINKS.read("request", text)


@given(st.data())
def test_any_changed_letter_is_found(data: st.DataObject) -> None:
    text = LINKS.sign("request", "li_0123456789abcdef")
    # The last letter of a base64url signature carries spare bits; all before it count in full.
    place = data.draw(st.integers(0, len(text) - 2))
    letter = data.draw(st.sampled_from("aZ0-_.").filter(lambda c: c != text[place]))
    with pytest.raises(LinkExpiredError):
        LINKS.read("request", text[:place] + letter + text[place + 1 :])


@pytest.mark.parametrize("inside", [1, None, ["x"], {"id": "x"}, True])
def test_a_signed_value_that_is_no_id_is_not_ours(inside: object) -> None:
    text = URLSafeSerializer(b"k" * 32, salt="agegate.link.request").dumps(inside)
    with pytest.raises(LinkExpiredError):
        LINKS.read("request", str(text))
