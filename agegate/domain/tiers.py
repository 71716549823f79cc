"""Tier and need for consent: two axes, both decided by the youngest age the evidence allows."""

from __future__ import annotations

from typing import assert_never

from agegate.domain.age import AgeRange
from agegate.domain.place_rules import PlaceRules
from agegate.wire.tiers import AgeTier


def decide_tier(age: AgeRange | None, rules: PlaceRules) -> AgeTier:
    """The tier of the youngest age in the range. Not knowing is being a child."""
    youngest = _youngest(age)
    if youngest >= rules.adult_from:
        return AgeTier.ADULT
    if youngest >= rules.older_teen_from:
        return AgeTier.OLDER_TEEN
    if youngest >= rules.younger_teen_from:
        return AgeTier.YOUNGER_TEEN
    return AgeTier.CHILD


def needs_parent(age: AgeRange | None, rules: PlaceRules) -> bool:
    """Whether the youngest possible age can't consent alone here. Not knowing means yes."""
    return _youngest(age) < rules.consent_required_below


def tier_range(tier: AgeTier, rules: PlaceRules) -> AgeRange:
    """What a token may say of the age: the whole bracket of the tier, never less.

    The range a decision was made on can be narrower, down to one year where the age of consent
    falls inside a bracket, and one year would be an exact age.
    """
    match tier:
        case AgeTier.CHILD:
            return AgeRange(lower=None, upper=rules.younger_teen_from - 1)
        case AgeTier.YOUNGER_TEEN:
            return AgeRange(lower=rules.younger_teen_from, upper=rules.older_teen_from - 1)
        case AgeTier.OLDER_TEEN:
            return AgeRange(lower=rules.older_teen_from, upper=rules.adult_from - 1)
        case AgeTier.ADULT:
            return AgeRange(lower=rules.adult_from, upper=None)
        case _:  # pragma: no cover - mypy proves that there is no fifth tier
            assert_never(tier)


def _youngest(age: AgeRange | None) -> int:
    return 0 if age is None or age.lower is None else age.lower
