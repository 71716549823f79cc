"""Births become ages by the youngest reading; evidence combines without ever widening."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agegate.domain.age import (
    OLDEST,
    AgeEvidence,
    AgeRange,
    Birth,
    BirthAnswerError,
    age_from_birth,
    combine,
    combine_ranges,
    next_boundary_on,
    parse_birth,
    reduce_to_range,
)
from agegate.wire.problems import Problem
from agegate.wire.tiers import AssuranceLevel, MethodClass

BOUNDS = (13, 16, 18)
TODAY = date(2026, 11, 22)

days = st.dates(date(2000, 1, 1), date(2100, 12, 31))
ages = st.integers(0, 40)


@st.composite
def ranges(draw: st.DrawFn) -> AgeRange:
    low, high = sorted((draw(ages), draw(ages)))
    return AgeRange(
        lower=draw(st.sampled_from([low, None])), upper=draw(st.sampled_from([high, None]))
    )


@st.composite
def births(draw: st.DrawFn) -> tuple[date, int, int, int | None]:
    today = draw(days)
    born = draw(st.dates(today - timedelta(days=365 * 100), today))
    return today, born.year, born.month, draw(st.sampled_from([born.day, None]))


def evidence(
    range_: AgeRange,
    *,
    level: AssuranceLevel = AssuranceLevel.ASSERTED,
    method: str = "age_screen",
) -> AgeEvidence:
    return AgeEvidence(
        range=range_,
        method=method,
        method_class=MethodClass.SELF_DECLARATION,
        level=level,
        obtained_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


class TestAge:
    @pytest.mark.parametrize(
        ("born", "today", "age"),
        [
            ((2013, 11, 22), date(2026, 11, 22), 13),
            ((2013, 11, 23), date(2026, 11, 22), 12),
            ((2013, 11, 21), date(2026, 11, 22), 13),
            ((2013, 12, 31), date(2026, 12, 30), 12),
            ((2013, 12, 31), date(2026, 12, 31), 13),
            ((2014, 1, 1), date(2026, 12, 31), 12),
            ((2014, 1, 1), date(2027, 1, 1), 13),
            ((2026, 11, 22), date(2026, 11, 22), 0),
        ],
    )
    def test_law_20_thirteen_today_is_thirteen(
        self, born: tuple[int, int, int], today: date, age: int
    ) -> None:
        assert age_from_birth(*born, today=today) == age

    @pytest.mark.parametrize(
        ("born", "today", "age"),
        [
            ((2013, 11), date(2026, 10, 31), 12),
            ((2013, 11), date(2026, 11, 1), 12),
            ((2013, 11), date(2026, 11, 30), 12),
            ((2013, 11), date(2026, 12, 1), 13),
            ((2013, 12), date(2026, 12, 31), 12),
            ((2013, 12), date(2027, 1, 1), 13),
            ((2014, 2), date(2027, 2, 28), 12),
            ((2014, 2), date(2027, 3, 1), 13),
            ((2015, 2), date(2028, 2, 29), 12),
            ((2015, 2), date(2028, 3, 1), 13),
            ((2026, 11), date(2026, 11, 22), 0),
        ],
    )
    def test_law_19_the_younger_age_holds_until_the_month_is_over(
        self, born: tuple[int, int], today: date, age: int
    ) -> None:
        assert age_from_birth(*born, None, today=today) == age

    @pytest.mark.parametrize(
        ("today", "age"),
        [
            (date(2025, 2, 27), 12),
            (date(2025, 2, 28), 12),
            (date(2025, 3, 1), 13),
            (date(2028, 2, 28), 15),
            (date(2028, 2, 29), 16),
            (date(2028, 3, 1), 16),
            (date(2030, 2, 28), 17),
            (date(2030, 3, 1), 18),
        ],
    )
    def test_law_20_a_leap_day_birthday_counts_on_1_march_in_common_years(
        self, today: date, age: int
    ) -> None:
        assert age_from_birth(2012, 2, 29, today=today) == age

    def test_a_century_that_is_no_leap_year_is_a_common_year(self) -> None:
        assert age_from_birth(2096, 2, 29, today=date(2100, 2, 28)) == 3
        assert age_from_birth(2096, 2, 29, today=date(2100, 3, 1)) == 4

    @given(births())
    def test_leaving_out_the_day_never_makes_anybody_older(
        self, birth: tuple[date, int, int, int | None]
    ) -> None:
        today, year, month, day = birth
        with_day = age_from_birth(year, month, day, today=today)
        assert age_from_birth(year, month, None, today=today) in {with_day, with_day - 1}

    @given(births(), st.integers(0, 400))
    def test_nobody_gets_younger(
        self, birth: tuple[date, int, int, int | None], later: int
    ) -> None:
        today, year, month, day = birth
        before = age_from_birth(year, month, day, today=today)
        assert age_from_birth(year, month, day, today=today + timedelta(days=later)) >= before


class TestImpossibleBirths:
    @pytest.mark.parametrize(
        ("answers", "field", "reason"),
        [
            ({}, "birth_month", "missing"),
            ({"birth_month": "5"}, "birth_year", "missing"),
            ({"birth_month": "  ", "birth_year": "2010"}, "birth_month", "missing"),
            ({"birth_month": "May", "birth_year": "2010"}, "birth_month", "not_a_number"),
            ({"birth_month": "5", "birth_year": "-2010"}, "birth_year", "not_a_number"),
            ({"birth_month": "5", "birth_year": "2010.5"}, "birth_year", "not_a_number"),
            ({"birth_month": "5", "birth_year": "²"}, "birth_year", "not_a_number"),
            ({"birth_month": "5", "birth_year": "9" * 5000}, "birth_year", "not_a_number"),
            ({"birth_month": "5", "birth_year": "1e3\x00"}, "birth_year", "not_a_number"),
            ({"birth_month": "0", "birth_year": "2010"}, "birth_month", "no_such_month"),
            ({"birth_month": "13", "birth_year": "2010"}, "birth_month", "no_such_month"),
            ({"birth_month": "5", "birth_year": "2027"}, "birth_year", "in_the_future"),
            ({"birth_month": "5", "birth_year": "99999999"}, "birth_year", "in_the_future"),
            ({"birth_month": "12", "birth_year": "2026"}, "birth_month", "in_the_future"),
            ({"birth_month": "5", "birth_year": "0"}, "birth_year", "too_long_ago"),
            ({"birth_month": "5", "birth_year": "10"}, "birth_year", "too_long_ago"),
            ({"birth_month": "5", "birth_year": "1894"}, "birth_year", "too_long_ago"),
            ({"birth_month": "10", "birth_year": "1895"}, "birth_year", "too_long_ago"),
        ],
    )
    def test_an_impossible_answer_names_the_field_and_the_reason(
        self, answers: dict[str, str], field: str, reason: str
    ) -> None:
        with pytest.raises(BirthAnswerError) as caught:
            parse_birth(answers, today=TODAY)
        assert (caught.value.field, caught.value.reason) == (field, reason)
        assert caught.value.problem is Problem.INVALID_REQUEST

    @pytest.mark.parametrize(
        ("day", "month", "year", "reason"),
        [
            ("", "5", "2010", "missing"),
            ("0", "5", "2010", "no_such_day"),
            ("32", "5", "2010", "no_such_day"),
            ("31", "4", "2010", "no_such_day"),
            ("29", "2", "2011", "no_such_day"),
            ("32", "12", "2010", "no_such_day"),
            ("23", "11", "2026", "in_the_future"),
        ],
    )
    def test_a_day_is_checked_where_a_rule_demands_it(
        self, day: str, month: str, year: str, reason: str
    ) -> None:
        answers = {"birth_day": day, "birth_month": month, "birth_year": year}
        with pytest.raises(BirthAnswerError) as caught:
            parse_birth(answers, today=TODAY, day_needed=True)
        assert (caught.value.field, caught.value.reason) == ("birth_day", reason)

    def test_the_oldest_possible_person_is_let_in(self) -> None:
        assert age_from_birth(TODAY.year - OLDEST, 1, 1, today=TODAY) == OLDEST
        assert age_from_birth(1895, 11, None, today=TODAY) == OLDEST

    def test_one_day_older_than_possible_is_not(self) -> None:
        assert age_from_birth(1895, 11, 23, today=TODAY) == OLDEST
        with pytest.raises(BirthAnswerError):
            age_from_birth(1895, 11, 22, today=TODAY)

    def test_a_day_that_nobody_asked_for_is_dropped(self) -> None:
        answers = {"birth_day": "99", "birth_month": " 5 ", "birth_year": "2010"}
        assert parse_birth(answers, today=TODAY) == Birth(year=2010, month=5, day=None)

    def test_digits_of_any_script_are_numbers(self) -> None:
        answers = {"birth_day": "29", "birth_month": "٠٢", "birth_year": "２０１２"}
        birth = parse_birth(answers, today=TODAY, day_needed=True)
        assert birth == Birth(year=2012, month=2, day=29)

    def test_law_19_a_birth_shows_itself_nowhere(self) -> None:
        birth = Birth(year=1999, month=7, day=23)
        assert f"{birth}{birth!r}" == "Birth()Birth()"
        with pytest.raises(BirthAnswerError) as caught:
            parse_birth({"birth_month": "77", "birth_year": "1999"}, today=TODAY)
        assert "77" not in repr(caught.value)
        assert "1999" not in repr(caught.value)


class TestBoundaries:
    @pytest.mark.parametrize(
        ("birth", "today", "expected"),
        [
            ((2016, 5, None), TODAY, date(2029, 6, 1)),
            ((2013, 11, None), TODAY, date(2026, 12, 1)),
            ((2013, 12, None), TODAY, date(2027, 1, 1)),
            ((2012, 5, None), TODAY, date(2028, 6, 1)),
            ((2009, 5, None), TODAY, date(2027, 6, 1)),
            ((2013, 11, 23), TODAY, date(2026, 11, 23)),
            ((2013, 11, 22), TODAY, date(2029, 11, 22)),
            ((2012, 2, 29), date(2025, 2, 28), date(2025, 3, 1)),
            ((2012, 2, 29), date(2025, 3, 1), date(2028, 2, 29)),
            ((2008, 11, 22), TODAY, None),
            ((2008, 10, None), TODAY, None),
            ((1950, 1, None), TODAY, None),
        ],
    )
    def test_the_next_boundary_is_a_first_of_a_month_or_the_birthday(
        self, birth: tuple[int, int, int | None], today: date, expected: date | None
    ) -> None:
        assert next_boundary_on(*birth, bounds=BOUNDS, today=today) == expected

    @given(births())
    def test_on_the_boundary_the_age_is_the_bound_and_the_day_before_it_is_not(
        self, birth: tuple[date, int, int, int | None]
    ) -> None:
        today, year, month, day = birth
        turns = next_boundary_on(year, month, day, bounds=BOUNDS, today=today)
        if turns is None:
            assert age_from_birth(year, month, day, today=today) >= BOUNDS[-1]
            return
        bound = age_from_birth(year, month, day, today=turns)
        assert turns > today
        assert bound in BOUNDS
        assert age_from_birth(year, month, day, today=turns - timedelta(days=1)) == bound - 1

    @pytest.mark.parametrize(
        ("age", "expected"),
        [
            (0, AgeRange(lower=None, upper=12)),
            (12, AgeRange(lower=None, upper=12)),
            (13, AgeRange(lower=13, upper=15)),
            (15, AgeRange(lower=13, upper=15)),
            (16, AgeRange(lower=16, upper=17)),
            (17, AgeRange(lower=16, upper=17)),
            (18, AgeRange(lower=18, upper=None)),
            (130, AgeRange(lower=18, upper=None)),
        ],
    )
    def test_law_19_an_age_is_reduced_to_its_bracket(self, age: int, expected: AgeRange) -> None:
        assert reduce_to_range(age, BOUNDS) == expected

    @given(ages, st.sets(st.integers(1, 30)))
    def test_the_bracket_holds_the_age_and_ends_at_bounds(self, age: int, bounds: set[int]) -> None:
        bracket = reduce_to_range(age, sorted(bounds))
        assert bracket.contains(age)
        assert bracket.lower in bounds | {None}
        assert bracket.upper is None or bracket.upper + 1 in bounds


class TestRanges:
    @pytest.mark.parametrize(("low", "high"), [(-1, 5), (5, 4), (None, -1)])
    def test_a_range_that_holds_no_age_is_refused(self, low: int | None, high: int) -> None:
        with pytest.raises(ValueError, match="age range"):
            AgeRange(lower=low, upper=high)

    @pytest.mark.parametrize(
        ("one", "claim"),
        [
            (AgeRange(lower=None, upper=12), {"upper": 12}),
            (AgeRange(lower=13, upper=15), {"lower": 13, "upper": 15}),
            (AgeRange(lower=18, upper=None), {"lower": 18}),
            (AgeRange(lower=None, upper=None), {}),
        ],
    )
    def test_the_claim_names_only_bounds_that_are_there(
        self, one: AgeRange, claim: dict[str, int]
    ) -> None:
        assert one.to_json() == claim

    @pytest.mark.parametrize(
        ("low", "high", "age", "inside"),
        [
            (13, 15, 12, False),
            (13, 15, 13, True),
            (13, 15, 15, True),
            (13, 15, 16, False),
            (None, 12, 0, True),
            (18, None, 99, True),
        ],
    )
    def test_both_ends_belong_to_the_range(
        self, low: int | None, high: int | None, age: int, inside: bool
    ) -> None:
        assert AgeRange(lower=low, upper=high).contains(age) is inside

    @pytest.mark.parametrize(
        ("known", "expected"),
        [
            ([(13, None), (None, 15)], (13, 15)),
            ([(18, None), (None, 12)], (None, 12)),
            ([(18, None), (13, 15)], (13, 15)),
            ([(13, None), (16, None)], (16, None)),
            ([(5, 20), (10, 20), (0, 7)], (5, 7)),
            ([(None, None)], (None, None)),
            ([(16, 17), (18, None), (None, 17)], (16, 17)),
            ([(13, 15), (15, 17)], (15, 15)),
        ],
    )
    def test_where_evidence_conflicts_the_youngest_wins(
        self, known: list[tuple[int | None, int | None]], expected: tuple[int | None, int | None]
    ) -> None:
        for order in permutations(known):
            found = combine_ranges(AgeRange(lower=low, upper=high) for low, high in order)
            assert (found.lower, found.upper) == expected

    @given(st.lists(ranges(), min_size=1, max_size=5), st.data())
    def test_order_does_not_matter(self, known: list[AgeRange], data: st.DataObject) -> None:
        assert combine_ranges(data.draw(st.permutations(known))) == combine_ranges(known)

    @given(st.lists(ranges(), min_size=1, max_size=5))
    def test_the_result_lies_inside_the_range_that_ends_youngest(
        self, known: list[AgeRange]
    ) -> None:
        found = combine_ranges(known)
        youngest = min(known, key=lambda one: 999 if one.upper is None else one.upper)
        assert (found.lower or 0) >= (youngest.lower or 0)
        assert found.upper == youngest.upper

    @given(st.lists(ranges(), min_size=1, max_size=4), ranges())
    def test_more_evidence_never_raises_the_oldest_age(
        self, known: list[AgeRange], more: AgeRange
    ) -> None:
        before, after = combine_ranges(known), combine_ranges([*known, more])
        assume(before.upper is not None)
        assert after.upper is not None
        assert before.upper is not None
        assert after.upper <= before.upper

    @given(ranges())
    def test_hearing_the_same_twice_changes_nothing(self, one: AgeRange) -> None:
        assert combine_ranges([one, one]) == one

    def test_nothing_can_be_combined_from_nothing(self) -> None:
        with pytest.raises(ValueError, match="nothing"):
            combine_ranges([])


class TestEvidence:
    def test_the_surest_piece_that_carries_the_lower_bound_speaks(self) -> None:
        said = evidence(AgeRange(lower=18, upper=None))
        seen = evidence(
            AgeRange(lower=18, upper=None),
            level=AssuranceLevel.ENHANCED,
            method="photo_id_matching",
        )
        other = evidence(AgeRange(lower=13, upper=None), level=AssuranceLevel.STRICT)
        for order in permutations([said, seen, other]):
            assert combine(order) == seen

    def test_a_word_that_narrows_a_proof_is_worth_a_word(self) -> None:
        proved = evidence(AgeRange(lower=13, upper=None), level=AssuranceLevel.STRICT)
        said = evidence(AgeRange(lower=18, upper=None))
        assert combine([proved, said]).level is AssuranceLevel.ASSERTED

    def test_without_a_lower_bound_the_upper_one_decides(self) -> None:
        young = evidence(AgeRange(lower=None, upper=12))
        old = evidence(AgeRange(lower=18, upper=None), level=AssuranceLevel.STRICT)
        assert combine([old, young]) == young

    def test_of_equals_the_latest_speaks(self) -> None:
        first = evidence(AgeRange(lower=13, upper=15))
        later = replace(first, obtained_at=first.obtained_at + timedelta(days=1))
        assert combine([later, first]) == combine([first, later]) == later

    @given(st.lists(ranges(), min_size=1, max_size=4))
    def test_combining_evidence_combines_its_ranges(self, known: list[AgeRange]) -> None:
        pieces = [evidence(one) for one in known]
        assert combine(pieces).range == combine_ranges(known)
        assert combine(pieces) == combine(reversed(pieces))
