"""The neutral age screen (16 CFR 312.2, mixed audience).

Month and year, freely typed, no hint of the right answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from agegate.domain.age import (
    BirthAnswerError,
    age_from_birth,
    next_boundary_on,
    parse_birth,
    reduce_to_range,
)
from agegate.domain.errors import FieldErrors
from agegate.methods.base import AgeCase, AgeFinding, Ask, Done
from agegate.wire.tiers import AssuranceLevel, MethodClass


class AgeScreen:
    """A declared age: the lowest assurance. The birth month lives in `answer` and nowhere else."""

    key: ClassVar[str] = "age_screen"

    def begin(self, case: AgeCase) -> Ask:
        day = ("birth_day",) if case.rules.birth_day_needed else ()
        return Ask(fields=("birth_month", "birth_year", *day))

    def answer(self, case: AgeCase, submitted: Mapping[str, str]) -> Done[AgeFinding]:
        try:
            birth = parse_birth(submitted, today=case.today, day_needed=case.rules.birth_day_needed)
            age = age_from_birth(birth.year, birth.month, birth.day, today=case.today)
        except BirthAnswerError as error:
            raise FieldErrors({error.field: error.reason}) from None
        bounds = case.rules.boundaries
        turns_on = next_boundary_on(
            birth.year, birth.month, birth.day, bounds=bounds, today=case.today
        )
        return Done(
            AgeFinding(
                range=reduce_to_range(age, bounds),
                turns_on=turns_on,
                method=self.key,
                method_class=MethodClass.SELF_DECLARATION,
                level=AssuranceLevel.ASSERTED,
            )
        )
