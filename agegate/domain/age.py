"""Ages as ranges: what a birth answer becomes, and how several pieces of evidence become one.

A date of birth lives in these functions' arguments only. Nothing here stores it, and no error or
`repr` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from agegate.domain.errors import InvalidRequestError
from agegate.wire.tiers import AssuranceLevel, MethodClass

OLDEST: Final = 130
"""Completed years. A birth further back is a slip of the finger, not a person."""

_DECEMBER: Final = 12
_LONGEST_NUMBER: Final = 8


class BirthAnswerError(InvalidRequestError):
    """A birth that can't be. Names the form field and a reason code; never the value.

    Reasons: `missing`, `not_a_number`, `no_such_month`, `no_such_day`, `in_the_future`,
    `too_long_ago`.
    """

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(f"{field_name}: {reason}")
        self.field = field_name
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeRange:
    """Completed years from `lower` to `upper`, both inclusive; `None` is open on that side."""

    lower: int | None
    upper: int | None

    def __post_init__(self) -> None:
        low = 0 if self.lower is None else self.lower
        high = low if self.upper is None else self.upper
        if not 0 <= low <= high:
            raise ValueError("an age range must begin at 0 or later and not end before it begins")

    def contains(self, age: int) -> bool:
        return (self.lower or 0) <= age and (self.upper is None or age <= self.upper)

    def to_json(self) -> dict[str, int]:
        """Only the bounds that are there, as in the `age_range` claim."""
        bounds = {"lower": self.lower, "upper": self.upper}
        return {name: bound for name, bound in bounds.items() if bound is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeEvidence:
    """What one method learned about an age."""

    range: AgeRange
    method: str
    method_class: MethodClass
    level: AssuranceLevel
    obtained_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """A birth answer that is possible. Passed on to a reduction at once, never kept or shown."""

    year: int = field(repr=False)
    month: int = field(repr=False)
    day: int | None = field(default=None, repr=False)


def parse_birth(answers: Mapping[str, str], *, today: date, day_needed: bool = False) -> Birth:
    """Read `birth_month`, `birth_year` and, where a rule demands it, `birth_day`.

    A day that nobody asked for is dropped unread (16 CFR 312.10: no more than needed). Raises
    `BirthAnswerError` for the first field that can't be; an impossible date names the month.
    """
    month = _read_number(answers, "birth_month")
    year = _read_number(answers, "birth_year")
    day = _read_number(answers, "birth_day") if day_needed else None
    check_birth(year, month, day, today=today)
    return Birth(year=year, month=month, day=day)


def check_birth(year: int, month: int, day: int | None, *, today: date) -> None:
    """Raises `BirthAnswerError` unless somebody alive on `today` can be born then."""
    if not 1 <= month <= _DECEMBER:
        raise BirthAnswerError("birth_month", "no_such_month")
    if year > today.year:
        raise BirthAnswerError("birth_year", "in_the_future")
    if year < today.year - OLDEST - 1:
        raise BirthAnswerError("birth_year", "too_long_ago")
    if day is not None and not 1 <= day <= _days_in(year, month):
        raise BirthAnswerError("birth_day", "no_such_day")
    if (year, month) > (today.year, today.month):
        raise BirthAnswerError("birth_month", "in_the_future")
    if day is not None and date(year, month, day) > today:
        raise BirthAnswerError("birth_day", "in_the_future")
    if _completed_years(year, month, day, today=today) > OLDEST:
        raise BirthAnswerError("birth_year", "too_long_ago")


def age_from_birth(year: int, month: int, day: int | None, *, today: date) -> int:
    """The youngest age in completed years that the answer allows on `today`.

    Without a day, the younger age holds until the first day of the next month.
    Raises `BirthAnswerError` for an impossible birth.
    """
    check_birth(year, month, day, today=today)
    return _completed_years(year, month, day, today=today)


def next_boundary_on(
    year: int, month: int, day: int | None, *, bounds: Sequence[int], today: date
) -> date | None:
    """The first day after `today` on which `age_from_birth` reaches one of `bounds`.

    `None` when all bounds are behind. Raises `BirthAnswerError` for an impossible birth.
    """
    age = age_from_birth(year, month, day, today=today)
    ahead = [bound for bound in bounds if bound > age]
    return _turns_on(year, month, day, age=min(ahead)) if ahead else None


def reduce_to_range(age: int, bounds: Sequence[int]) -> AgeRange:
    """The bracket between two `bounds` in which `age` lies; the exact age is gone afterwards."""
    below = [bound for bound in bounds if bound <= age]
    above = [bound for bound in bounds if bound > age]
    return AgeRange(lower=max(below) if below else None, upper=min(above) - 1 if above else None)


def combine_ranges(ranges: Iterable[AgeRange]) -> AgeRange:
    """One range from several. Where they contradict each other the youngest wins.

    The result lies inside the range that ends youngest, so it never widens what is known, and the
    order of the ranges does not matter. Hand over all evidence at once: folding pair by pair
    forgets bounds that a later contradiction would need. Raises `ValueError` for no range.
    """
    known = list(ranges)
    if not known:
        raise ValueError("nothing to combine")
    uppers = [one.upper for one in known if one.upper is not None]
    upper = min(uppers, default=None)
    lowers = [
        one.lower
        for one in known
        if one.lower is not None and (upper is None or one.lower <= upper)
    ]
    return AgeRange(lower=max(lowers, default=None), upper=upper)


def combine(evidences: Iterable[AgeEvidence]) -> AgeEvidence:
    """All evidence about one person as one piece.

    The range is `combine_ranges`; method, level and time are those of the surest piece that
    carries the deciding bound (the lower one, or the upper one when no lower bound is known).
    Raises `ValueError` for no evidence.
    """
    known = list(evidences)
    combined = combine_ranges(one.range for one in known)
    carriers = [one for one in known if _carries(one.range, combined)]
    surest = max(
        carriers,
        key=lambda one: (one.level.rank, one.obtained_at, one.method, one.method_class.value),
    )
    return AgeEvidence(
        range=combined,
        method=surest.method,
        method_class=surest.method_class,
        level=surest.level,
        obtained_at=surest.obtained_at,
    )


def _carries(one: AgeRange, combined: AgeRange) -> bool:
    if combined.lower is not None:
        return one.lower == combined.lower
    return one.upper == combined.upper


def _read_number(answers: Mapping[str, str], name: str) -> int:
    text = answers.get(name, "").strip()
    if not text:
        raise BirthAnswerError(name, "missing")
    # Decimal digits of any script are numbers people type; int() reads them all.
    if not text.isdecimal() or len(text) > _LONGEST_NUMBER:
        raise BirthAnswerError(name, "not_a_number")
    return int(text)


def _completed_years(year: int, month: int, day: int | None, *, today: date) -> int:
    years = today.year - year
    if _turns_on(year, month, day, age=years) > today:
        years -= 1
    # Born this month without a day: the next month has not come, and nobody is -1.
    return max(years, 0)


def _turns_on(year: int, month: int, day: int | None, *, age: int) -> date:
    """The first day on which the person is surely `age` years old."""
    if day is None:
        years, month_index = divmod(month, _DECEMBER)
        return date(year + age + years, month_index + 1, 1)
    if day > _days_in(year + age, month):
        # Born on 29 February: in common years the birthday counts on 1 March. Laws differ (28
        # February in New Zealand, 1 March in England); the later day makes nobody older too early.
        return date(year + age, month + 1, 1)
    return date(year + age, month, day)


def _days_in(year: int, month: int) -> int:
    years, month_index = divmod(month, _DECEMBER)
    return (date(year + years, month_index + 1, 1) - date(year, month, 1)).days
