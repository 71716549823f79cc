"""How a decision asks for bytes: it yields a `Fetch` and is sent an `Answer`."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, TypeVar

from agegate.guard.errors import IssuerInvalidError, IssuerUnreachableError

T = TypeVar("T")

OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A GET that the decision needs. The address always lies below the issuer's."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `status` is 0 when nothing did.

    `at` is when it was asked, by the guard's clock in seconds since the epoch: an answer is never
    younger than its question.
    """

    status: int
    body: bytes
    at: float


Steps = Generator[Fetch, Answer, T]


def get(url: str) -> Steps[Answer]:
    """A good answer.

    Raises `IssuerUnreachableError` (nothing, or a server's trouble) or `IssuerInvalidError` (any
    other answer, redirects among them).
    """
    answer = yield Fetch(url=url)
    if answer.status == OK:
        return answer
    if answer.status == 0 or answer.status >= 500 or answer.status == 429:  # noqa: PLR2004 - RFC 9110
        raise IssuerUnreachableError
    raise IssuerInvalidError
