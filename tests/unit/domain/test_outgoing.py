"""A letter waits, is taken, comes back or is given up; what it held is gone once it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from agegate.domain.ids import Digest
from agegate.domain.outgoing import LEASE, RETRY_AFTER, Delivery, Outgoing, OutgoingKind
from agegate.domain.people import SealedText
from tests.factories import NOON

LATER = NOON + timedelta(hours=1)


def a_letter(**overrides: Any) -> Outgoing:
    letter = Outgoing(
        id="out_1",
        kind=OutgoingKind.DIRECT_NOTICE,
        target="cr_1",
        index=Digest("a" * 64),
        payload=SealedText("maria@eltern.example and a link"),
        message_id="<1@age.example>",
        due_at=NOON,
        created_at=NOON,
    )
    return replace(letter, **overrides)


def test_a_letter_can_be_written_for_later() -> None:
    letter = a_letter().later(timedelta(days=1))
    assert letter == a_letter(due_at=NOON + timedelta(days=1))


def test_a_claimed_letter_is_due_again_when_its_lease_is_over() -> None:
    letter = a_letter(attempts=2).claim(now=LATER)
    assert letter == a_letter(
        state=Delivery.SENDING, due_at=LATER + timedelta(seconds=90), attempts=3
    )
    assert timedelta(seconds=90) == LEASE


@pytest.mark.parametrize(
    ("attempts", "wait"),
    [
        (1, timedelta(seconds=30)),
        (2, timedelta(minutes=2)),
        (3, timedelta(minutes=10)),
        (4, timedelta(minutes=30)),
        (5, timedelta(hours=1)),
        (6, timedelta(hours=2)),
        (7, timedelta(hours=4)),
        *((n, timedelta(hours=6)) for n in range(8, 18)),
    ],
)
def test_a_letter_that_did_not_leave_is_tried_again(attempts: int, wait: timedelta) -> None:
    letter = a_letter(state=Delivery.SENDING, attempts=attempts).retry("greylisted", now=LATER)
    assert letter == a_letter(due_at=LATER + wait, attempts=attempts, error="greylisted")
    assert letter.payload.value, "kept until it is sent"


@pytest.mark.parametrize("attempts", [18, 19])
def test_after_all_tries_a_letter_is_given_up_and_emptied(attempts: int) -> None:
    letter = a_letter(state=Delivery.SENDING, attempts=attempts).retry("timeout", now=LATER)
    assert letter == a_letter(
        state=Delivery.FAILED, attempts=attempts, payload=SealedText(""), error="timeout"
    )


def test_tries_stretch_over_three_days_and_grow_apart() -> None:
    assert timedelta(days=2, hours=12) < sum(RETRY_AFTER, timedelta()) < timedelta(days=3)
    assert all(one <= two for one, two in pairwise(RETRY_AFTER))


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda x: x.sent(now=LATER), {"state": Delivery.SENT, "sent_at": LATER, "error": None}),
        (lambda x: x.bounced("550"), {"state": Delivery.BOUNCED, "error": "550"}),
        (lambda x: x.dropped(), {"state": Delivery.DROPPED, "error": "greylisted"}),
    ],
)
def test_a_letter_that_is_over_holds_no_address(
    end: Callable[[Outgoing], Outgoing], expected: dict[str, Any]
) -> None:
    letter = end(a_letter(state=Delivery.SENDING, error="greylisted"))
    assert letter == a_letter(payload=SealedText(""), **expected)


def test_a_letter_shows_no_address() -> None:
    assert "maria" not in repr(a_letter())
