"""The one interface of every method, and what it may say next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Generic, Protocol, TypeVar

from agegate.domain.age import AgeRange
from agegate.domain.consent import ConsentEvidence
from agegate.domain.place_rules import PlaceRules
from agegate.wire.tiers import AssuranceLevel, MethodClass

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Ask:
    """The person has something to do: fill in `fields`, or go to `url` and come back."""

    fields: tuple[str, ...] = ()
    url: str | None = None
    memo: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else has to act; asking again later is right."""

    memo: str = ""


@dataclass(frozen=True, slots=True)
class Done(Generic[F]):
    """What was learned."""

    found: F


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not show what it should. `reason` is a code; another method, or another try, may."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeFinding:
    """What an age method learned.

    A range for our own decisions, and the day on which it is out of date.
    """

    range: AgeRange
    turns_on: date | None
    method: str
    method_class: MethodClass
    level: AssuranceLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeCase:
    """All that an age method may know."""

    rules: PlaceRules
    now: datetime

    @property
    def today(self) -> date:
        return self.rules.today(self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentCase:
    """All that a consent method may know.

    A reference, a language, where to come back to, its own memo.
    """

    reference: str
    locale: str
    return_url: str
    memo: str
    now: datetime


AgeStep = Ask | Wait | Done[AgeFinding] | Failed
ConsentStep = Ask | Wait | Done[ConsentEvidence] | Failed


class AgeMethod(Protocol):
    key: ClassVar[str]

    def begin(self, case: AgeCase) -> AgeStep: ...

    def answer(self, case: AgeCase, submitted: Mapping[str, str]) -> AgeStep:
        """Raises `FieldErrors` for an answer that can't be read; nothing of it is kept."""
        ...


class ConsentMethod(Protocol):
    key: ClassVar[str]

    def begin(self, case: ConsentCase) -> ConsentStep:
        """Raises `VendorError`."""
        ...

    def answer(self, case: ConsentCase, submitted: Mapping[str, str]) -> ConsentStep:
        """Raises `VendorError`."""
        ...
