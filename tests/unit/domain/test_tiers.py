"""Tier and need for a parent, by the youngest age the evidence allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.domain.age import AgeRange, reduce_to_range
from agegate.domain.tiers import decide_tier, needs_parent, tier_range
from agegate.wire.tiers import AgeTier
from tests.unit.domain.rulebooks import some_rules
from tests.unit.domain.test_age import ranges

CHILD, YOUNGER, OLDER, ADULT = AgeTier
USUAL = some_rules(consent_required_below=13)


@pytest.mark.parametrize(
    ("low", "high", "tier"),
    [
        (None, None, CHILD),
        (None, 12, CHILD),
        (None, 40, CHILD),
        (0, 0, CHILD),
        (12, None, CHILD),
        (12, 13, CHILD),
        (13, 15, YOUNGER),
        (13, None, YOUNGER),
        (15, 99, YOUNGER),
        (16, 17, OLDER),
        (17, 18, OLDER),
        (17, None, OLDER),
        (18, None, ADULT),
        (18, 18, ADULT),
    ],
)
def test_the_youngest_possible_age_decides_the_tier(
    low: int | None, high: int | None, tier: AgeTier
) -> None:
    assert decide_tier(AgeRange(lower=low, upper=high), USUAL) is tier


def test_law_12_an_unknown_age_is_a_child() -> None:
    assert decide_tier(None, USUAL) is CHILD
    assert needs_parent(None, USUAL)


@pytest.mark.parametrize(
    ("low", "below", "needed"),
    [
        (None, 13, True),
        (12, 13, True),
        (13, 13, False),
        (13, 16, True),
        (15, 16, True),
        (16, 16, False),
        (17, 18, True),
        (18, 18, False),
    ],
)
def test_a_parent_is_needed_below_the_age_of_consent(
    low: int | None, below: int, needed: bool
) -> None:
    rules = some_rules(consent_required_below=below)
    assert needs_parent(AgeRange(lower=low, upper=None), rules) is needed


def test_fourteen_in_germany_is_a_younger_teen_who_needs_a_parent() -> None:
    germany = some_rules(consent_required_below=16)
    fourteen = reduce_to_range(14, germany.boundaries)
    assert decide_tier(fourteen, germany) is YOUNGER
    assert needs_parent(fourteen, germany)


def test_fifteen_in_france_consents_and_the_token_still_shows_the_whole_bracket() -> None:
    france = some_rules(consent_required_below=15)
    fifteen = reduce_to_range(15, france.boundaries)
    assert not needs_parent(fifteen, france)
    assert tier_range(decide_tier(fifteen, france), france) == AgeRange(lower=13, upper=15)


def test_law_105_the_bounds_come_from_the_rules() -> None:
    rules = some_rules(child_threshold=14, teen_bands=[[14, 17], [18, 20]])
    tiers = [decide_tier(AgeRange(lower=age, upper=age), rules) for age in (13, 14, 17, 18, 21)]
    assert tiers == [CHILD, YOUNGER, YOUNGER, OLDER, ADULT]


@pytest.mark.parametrize(
    ("tier", "low", "high"),
    [(CHILD, None, 12), (YOUNGER, 13, 15), (OLDER, 16, 17), (ADULT, 18, None)],
)
def test_the_range_of_a_tier_is_its_bracket(
    tier: AgeTier, low: int | None, high: int | None
) -> None:
    assert tier_range(tier, USUAL) == AgeRange(lower=low, upper=high)


@given(ranges(), st.integers(0, 40))
def test_wider_evidence_never_raises_the_tier(known: AgeRange, slack: int) -> None:
    lower = max(0, (known.lower or 0) - slack)
    wider = AgeRange(lower=lower, upper=None)
    order = list(AgeTier)
    assert order.index(decide_tier(wider, USUAL)) <= order.index(decide_tier(known, USUAL))
    assert needs_parent(wider, USUAL) or not needs_parent(known, USUAL)


@given(st.integers(0, 40), st.integers(1, 25), st.integers(1, 25))
def test_a_tier_lies_in_its_own_range_and_no_range_is_an_exact_age(
    age: int, threshold: int, below: int
) -> None:
    rules = some_rules(child_threshold=threshold, consent_required_below=below)
    tier = decide_tier(reduce_to_range(age, rules.boundaries), rules)
    shown = tier_range(tier, rules)
    assert shown.contains(age)
    assert decide_tier(shown, rules) is tier
    assert shown.lower is None or shown.lower != shown.upper
