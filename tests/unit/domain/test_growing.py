"""Birthdays come without birth dates: on the right day, in the right place, never too early."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agegate.domain.age import AgeRange, age_from_birth, next_boundary_on, reduce_to_range
from agegate.domain.growing import day_begins, grown, known_range
from agegate.domain.ids import ClientId, OperatorId, Sub, SubjectId
from agegate.domain.people import Subject
from tests.factories import NOON
from tests.unit.domain.rulebooks import some_rules

BOUNDS = (13, 16, 18)
TICK = timedelta(microseconds=1)
ZONES = (
    "Etc/GMT+12",
    "Pacific/Honolulu",
    "America/Havana",  # summer time begins and ends at midnight here
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Pacific/Kiritimati",
)


def a_subject(**overrides: Any) -> Subject:
    subject = Subject(
        id=SubjectId("su_1"),
        operator_id=OperatorId("storybuddy"),
        client_id=ClientId("storybuddy-web"),
        sub=Sub("pairwise-1"),
        place="US-IL",
        created_at=NOON,
        method="age_screen",
    )
    return replace(subject, **overrides)


def born(
    year: int, month: int, day: int | None, *, today: date, bounds: tuple[int, ...] = BOUNDS
) -> Subject:
    """A subject as the age screen leaves it."""
    age = age_from_birth(year, month, day, today=today)
    known = reduce_to_range(age, bounds)
    turns_on = next_boundary_on(year, month, day, bounds=bounds, today=today)
    return a_subject(lower=known.lower, upper=known.upper, turns_on=turns_on)


def as_tuple(subject: Subject) -> tuple[int | None, int | None, date | None]:
    return subject.lower, subject.upper, subject.turns_on


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 11, 22), (None, 12, date(2026, 11, 23))),
        (date(2026, 11, 23), (13, 15, date(2029, 11, 23))),
        (date(2029, 11, 22), (13, 15, date(2029, 11, 23))),
        (date(2029, 11, 23), (16, 17, date(2031, 11, 23))),
        (date(2031, 11, 22), (16, 17, date(2031, 11, 23))),
        (date(2031, 11, 23), (18, None, None)),
        (date(2099, 1, 1), (18, None, None)),
    ],
)
def test_law_79_each_birthday_leads_into_the_next_bracket(
    today: date, expected: tuple[int | None, int | None, date | None]
) -> None:
    subject = born(2013, 11, 23, today=date(2026, 11, 22))
    assert as_tuple(grown(subject, BOUNDS, today=today)) == expected


def test_without_a_birthday_it_is_the_same_subject() -> None:
    for subject in (
        born(2013, 11, 23, today=date(2026, 11, 22)),
        a_subject(lower=18),
        a_subject(lower=18, turns_on=date(2020, 1, 1)),
        a_subject(upper=12),
    ):
        assert grown(subject, BOUNDS, today=date(2026, 11, 22)) is subject


def test_a_birthday_changes_nothing_but_the_age() -> None:
    before = born(2013, 11, 23, today=date(2026, 11, 22))
    after = grown(before, BOUNDS, today=date(2026, 11, 23))
    assert replace(after, lower=None, upper=12, turns_on=before.turns_on) == before


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2029, 2, 28), (None, 12, date(2029, 3, 1))),
        (date(2029, 3, 1), (13, 15, date(2032, 3, 1))),
        (date(2032, 2, 29), (13, 15, date(2032, 3, 1))),
        (date(2032, 3, 1), (16, 17, date(2034, 3, 1))),
    ],
)
def test_law_20_born_on_a_leap_day_counts_from_the_first_of_march(
    today: date, expected: tuple[int | None, int | None, date | None]
) -> None:
    subject = born(2016, 2, 29, today=date(2029, 2, 28))
    assert as_tuple(grown(subject, BOUNDS, today=today)) == expected


def test_law_20_a_leap_day_boundary_goes_on_in_common_years() -> None:
    subject = a_subject(lower=13, upper=15, turns_on=date(2028, 2, 29))
    after = grown(subject, BOUNDS, today=date(2028, 2, 29))
    assert as_tuple(after) == (16, 17, date(2030, 3, 1))


def test_a_leap_day_boundary_meets_the_next_leap_day() -> None:
    subject = a_subject(upper=11, turns_on=date(2028, 2, 29))
    after = grown(subject, (12, 16), today=date(2028, 2, 29))
    assert as_tuple(after) == (12, 15, date(2032, 2, 29))


def test_a_new_boundary_of_the_law_is_met_on_the_way() -> None:
    subject = a_subject(upper=12, turns_on=date(2027, 5, 1))
    after = grown(subject, (14, 16, 18), today=date(2027, 5, 1))
    assert as_tuple(after) == (13, 13, date(2028, 5, 1))
    after = grown(subject, (14, 16, 18), today=date(2028, 5, 1))
    assert as_tuple(after) == (14, 15, date(2030, 5, 1))


@given(
    st.dates(date(1990, 1, 1), date(2040, 12, 31)),
    st.dates(date(1990, 1, 1), date(2040, 12, 31)),
    st.dates(date(1990, 1, 1), date(2080, 12, 31)),
    st.booleans(),
)
def test_nobody_is_ever_older_than_by_their_birth(
    birth: date, asked: date, later: date, with_day: bool
) -> None:
    assume(birth <= asked <= later)
    day = birth.day if with_day else None
    subject = born(birth.year, birth.month, day, today=asked)
    after = known_range(grown(subject, BOUNDS, today=later))
    assert after is not None
    truth = age_from_birth(birth.year, birth.month, day, today=later)
    lower = after.lower or 0
    assert lower <= truth
    # A leap-day birthday may be met one day late, all others on their day.
    if (birth.month, birth.day) != (2, 29):
        assert after == reduce_to_range(truth, BOUNDS)
    else:
        before = age_from_birth(birth.year, birth.month, day, today=later - timedelta(days=1))
        assert after in {reduce_to_range(a, BOUNDS) for a in (truth, before)}


@given(
    st.dates(date(2000, 1, 1), date(2030, 12, 31)),
    st.lists(st.integers(0, 9000), max_size=4),
)
def test_growing_day_by_day_or_at_once_is_the_same(birth: date, days: list[int]) -> None:
    subject = at_once = born(birth.year, birth.month, birth.day, today=birth)
    for passed in sorted(days):
        today = birth + timedelta(days=passed)
        subject = grown(subject, BOUNDS, today=today)
        assert subject == grown(at_once, BOUNDS, today=today)


def test_an_unknown_age_is_no_range() -> None:
    assert known_range(a_subject(method=None, lower=18)) is None
    assert known_range(a_subject(lower=13, upper=15)) == AgeRange(lower=13, upper=15)
    assert known_range(a_subject()) == AgeRange(lower=None, upper=None)


# -- where the day begins ------------------------------------------------------------------------


@given(
    st.dates(date(2020, 1, 1), date(2040, 12, 31)),
    st.sets(st.sampled_from(ZONES), min_size=1, max_size=3),
)
def test_a_day_begins_when_the_place_says_it_is_that_day(day: date, zones: set[str]) -> None:
    rules = replace(some_rules(), timezones=frozenset(zones))
    begins = day_begins(day, rules).astimezone(UTC)
    assert rules.today(begins) == day
    assert rules.today(begins - TICK) == day - timedelta(days=1)


def test_law_20_the_last_zone_of_a_place_decides() -> None:
    rules = replace(some_rules(), timezones=frozenset({"Pacific/Honolulu", "Pacific/Kiritimati"}))
    assert day_begins(date(2026, 11, 22), rules) == datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_law_79_the_birthday_comes_at_the_places_midnight() -> None:
    rules = replace(some_rules(), timezones=frozenset({"Pacific/Honolulu"}))
    subject = born(2013, 11, 23, today=date(2026, 11, 22))
    midnight = datetime(2026, 11, 23, 10, tzinfo=UTC)
    for now, lower in ((midnight - TICK, None), (midnight, 13)):
        assert grown(subject, BOUNDS, today=rules.today(now)).lower == lower
