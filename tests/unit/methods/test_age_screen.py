"""The neutral age screen: every answer is taken, none is hinted at, none is kept."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.domain.age import OLDEST, AgeRange
from agegate.domain.errors import FieldErrors
from agegate.domain.place_rules import PlaceRules
from agegate.methods.age.age_screen import AgeScreen
from agegate.methods.base import AgeCase, AgeFinding, Ask, Done
from agegate.wire.tiers import AssuranceLevel, MethodClass
from tests.unit.domain.rulebooks import DAY, a_rulebook, some_rules

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CHILD = AgeRange(lower=None, upper=12)
YOUNGER = AgeRange(lower=13, upper=15)
OLDER = AgeRange(lower=16, upper=17)
ADULT = AgeRange(lower=18, upper=None)

MONTHLY = some_rules()
DAILY = some_rules(birth_day_needed=True)


def a_case(rules: PlaceRules = MONTHLY, now: datetime = NOON) -> AgeCase:
    return AgeCase(rules=rules, now=now)


def at(zone: str, day: date, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone))


def here(day: date) -> datetime:
    """Noon of that day in the place of `some_rules`."""
    return at("Pacific/Honolulu", day)


def born(year: object, month: object, day: object | None = None) -> dict[str, str]:
    answers = {"birth_month": str(month), "birth_year": str(year)}
    return answers if day is None else answers | {"birth_day": str(day)}


def found(answers: dict[str, str], case: AgeCase) -> AgeFinding:
    return AgeScreen().answer(case, answers).found


def refused(answers: dict[str, str], case: AgeCase | None = None) -> FieldErrors:
    with pytest.raises(FieldErrors) as refusal:
        AgeScreen().answer(case or a_case(), answers)
    return refusal.value


class TestWhatIsAsked:
    def test_law_14_15_month_and_year_are_asked_freely_and_nothing_else(self) -> None:
        assert AgeScreen().begin(a_case()) == Ask(fields=("birth_month", "birth_year"))

    def test_the_day_is_asked_only_where_a_rule_demands_it(self) -> None:
        asked = AgeScreen().begin(a_case(DAILY))
        assert asked.fields == ("birth_month", "birth_year", "birth_day")

    def test_law_14_the_question_is_the_same_whatever_the_thresholds(self) -> None:
        elsewhere = some_rules(child_threshold=14, consent_required_below=15)
        assert AgeScreen().begin(a_case(elsewhere)) == AgeScreen().begin(a_case())

    def test_law_19_a_day_nobody_asked_for_is_not_read(self) -> None:
        plain = found(born(2013, 11), a_case())
        assert found(born(2013, 11, 1), a_case()) == plain
        assert found(born(2013, 11, "nonsense"), a_case()) == plain


class TestEveryYearIsTaken:
    @pytest.mark.parametrize("year", range(2026 - OLDEST, 2027))
    def test_law_13_every_birth_year_is_an_answer(self, year: int) -> None:
        age = 2026 - year
        range_ = found(born(year, 1), a_case()).range
        assert range_.contains(age)

    @given(year=st.integers(2026 - OLDEST, 2025), month=st.integers(1, 12), day=st.integers(1, 28))
    def test_law_20_leaving_out_the_day_makes_nobody_older(
        self, year: int, month: int, day: int
    ) -> None:
        without = found(born(year, month), a_case()).range
        with_day = found(born(year, month, day), a_case(DAILY)).range
        assert (without.lower or 0) <= (with_day.lower or 0)

    def test_what_is_learned_is_a_declaration_and_no_more(self) -> None:
        finding = found(born(1980, 1), a_case())
        assert finding.method == "age_screen"
        assert finding.method_class is MethodClass.SELF_DECLARATION
        assert finding.level is AssuranceLevel.ASSERTED


class TestBoundaries:
    @pytest.mark.parametrize(
        ("birth", "today", "range_", "turns_on"),
        [
            # Thirteen today, and one day short of it.
            ((2013, 11, 22), date(2026, 11, 22), YOUNGER, date(2029, 11, 22)),
            ((2013, 11, 23), date(2026, 11, 22), CHILD, date(2026, 11, 23)),
            ((2013, 11, 21), date(2026, 11, 22), YOUNGER, date(2029, 11, 21)),
            # Sixteen and eighteen.
            ((2010, 11, 22), date(2026, 11, 22), OLDER, date(2028, 11, 22)),
            ((2010, 11, 23), date(2026, 11, 22), YOUNGER, date(2026, 11, 23)),
            ((2008, 11, 22), date(2026, 11, 22), ADULT, None),
            ((2008, 11, 23), date(2026, 11, 22), OLDER, date(2026, 11, 23)),
            # Over the turn of a year.
            ((2013, 12, 31), date(2026, 12, 30), CHILD, date(2026, 12, 31)),
            ((2013, 12, 31), date(2026, 12, 31), YOUNGER, date(2029, 12, 31)),
            ((2014, 1, 1), date(2026, 12, 31), CHILD, date(2027, 1, 1)),
            ((2014, 1, 1), date(2027, 1, 1), YOUNGER, date(2030, 1, 1)),
            # A leap day's birthday counts on 1 March in common years.
            ((2012, 2, 29), date(2025, 2, 28), CHILD, date(2025, 3, 1)),
            ((2012, 2, 29), date(2025, 3, 1), YOUNGER, date(2028, 2, 29)),
            ((2012, 2, 29), date(2028, 2, 28), YOUNGER, date(2028, 2, 29)),
            ((2012, 2, 29), date(2028, 2, 29), OLDER, date(2030, 3, 1)),
            ((2012, 2, 29), date(2030, 2, 28), OLDER, date(2030, 3, 1)),
            ((2012, 2, 29), date(2030, 3, 1), ADULT, None),
            # Born today.
            ((2026, 11, 22), date(2026, 11, 22), CHILD, date(2039, 11, 22)),
        ],
    )
    def test_law_20_thirteen_today_is_thirteen(
        self,
        birth: tuple[int, int, int],
        today: date,
        range_: AgeRange,
        turns_on: date | None,
    ) -> None:
        finding = found(born(*birth), a_case(DAILY, here(today)))
        assert (finding.range, finding.turns_on) == (range_, turns_on)

    @pytest.mark.parametrize(
        ("birth", "today", "range_", "turns_on"),
        [
            ((2013, 11), date(2026, 10, 31), CHILD, date(2026, 12, 1)),
            ((2013, 11), date(2026, 11, 1), CHILD, date(2026, 12, 1)),
            ((2013, 11), date(2026, 11, 30), CHILD, date(2026, 12, 1)),
            ((2013, 11), date(2026, 12, 1), YOUNGER, date(2029, 12, 1)),
            ((2013, 12), date(2026, 12, 31), CHILD, date(2027, 1, 1)),
            ((2013, 12), date(2027, 1, 1), YOUNGER, date(2030, 1, 1)),
            ((2014, 2), date(2027, 2, 28), CHILD, date(2027, 3, 1)),
            ((2015, 2), date(2028, 2, 29), CHILD, date(2028, 3, 1)),
            ((2015, 2), date(2028, 3, 1), YOUNGER, date(2031, 3, 1)),
            ((2010, 11), date(2026, 11, 30), YOUNGER, date(2026, 12, 1)),
            ((2010, 11), date(2026, 12, 1), OLDER, date(2028, 12, 1)),
            ((2008, 11), date(2026, 11, 30), OLDER, date(2026, 12, 1)),
            ((2008, 11), date(2026, 12, 1), ADULT, None),
            ((2026, 11), date(2026, 11, 22), CHILD, date(2039, 12, 1)),
        ],
    )
    def test_law_19_the_younger_range_holds_until_the_month_is_over(
        self, birth: tuple[int, int], today: date, range_: AgeRange, turns_on: date | None
    ) -> None:
        finding = found(born(*birth), a_case(MONTHLY, here(today)))
        assert (finding.range, finding.turns_on) == (range_, turns_on)

    @pytest.mark.parametrize(
        ("place", "now", "range_"),
        [
            # 1 December begins at 10:00 UTC of 30 November on Kiritimati, at 10:00 UTC of
            # 1 December in Honolulu.
            ("KI", datetime(2026, 11, 30, 9, 59, tzinfo=UTC), CHILD),
            ("KI", datetime(2026, 11, 30, 10, 0, tzinfo=UTC), YOUNGER),
            ("US", datetime(2026, 12, 1, 9, 59, tzinfo=UTC), CHILD),
            ("US", datetime(2026, 12, 1, 10, 0, tzinfo=UTC), YOUNGER),
            ("DE", datetime(2026, 11, 30, 22, 59, tzinfo=UTC), CHILD),
            ("DE", datetime(2026, 11, 30, 23, 0, tzinfo=UTC), YOUNGER),
        ],
    )
    def test_law_20_the_day_is_that_of_the_place(
        self, place: str, now: datetime, range_: AgeRange
    ) -> None:
        rules = a_rulebook().rules_for(place, (), on=DAY)
        assert found(born(2013, 11), a_case(rules, now)).range == range_

    def test_law_20_of_several_places_the_day_that_begins_last_counts(self) -> None:
        rules = a_rulebook().rules_for(None, ("KI", "US"), on=DAY)
        now = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
        assert found(born(2013, 11), a_case(rules, now)).range == CHILD

    @pytest.mark.parametrize(
        "now", [at("Pacific/Honolulu", DAY), at("Pacific/Honolulu", DAY).astimezone(UTC)]
    )
    def test_law_20_the_zone_in_which_the_clock_speaks_changes_nothing(self, now: datetime) -> None:
        assert a_case(MONTHLY, now).today == DAY

    def test_the_thresholds_come_from_the_rules(self) -> None:
        rules = some_rules(child_threshold=14)
        finding = found(born(2013, 1), a_case(rules))
        assert finding.range.upper == 13


class TestNothingIsKept:
    def test_law_19_the_finding_holds_neither_month_nor_year_of_birth(self) -> None:
        finding = found(born(1987, 7), a_case())
        assert asdict(finding) == {
            "range": {"lower": 18, "upper": None},
            "turns_on": None,
            "method": "age_screen",
            "method_class": MethodClass.SELF_DECLARATION,
            "level": AssuranceLevel.ASSERTED,
        }
        assert "1987" not in repr(finding)

    def test_law_19_everybody_of_one_range_and_month_is_alike(self) -> None:
        assert found(born(1987, 7), a_case()) == found(born(1950, 2), a_case())

    def test_law_16_the_same_answer_has_the_same_end_however_often_it_is_given(self) -> None:
        screen = AgeScreen()
        first = screen.answer(a_case(), born(2015, 5))
        screen.answer(a_case(), born(1980, 5))
        assert screen.answer(a_case(), born(2015, 5)) == first
        assert not vars(screen)


class TestHostileAnswers:
    @pytest.mark.parametrize(
        ("answers", "field", "reason"),
        [
            ({}, "birth_month", "missing"),
            ({"birth_month": "", "birth_year": ""}, "birth_month", "missing"),
            ({"birth_month": "   ", "birth_year": "2013"}, "birth_month", "missing"),
            ({"birth_month": "5"}, "birth_year", "missing"),
            ({"birth_year": "2013"}, "birth_month", "missing"),
            (born(2013, 0), "birth_month", "no_such_month"),
            (born(2013, 13), "birth_month", "no_such_month"),
            (born(2013, "-1"), "birth_month", "not_a_number"),
            (born(2013, "may"), "birth_month", "not_a_number"),
            (born(2013, "5.0"), "birth_month", "not_a_number"),
            (born(2013, "5e0"), "birth_month", "not_a_number"),
            (born(2013, "0x5"), "birth_month", "not_a_number"),
            (born(2013, "1_0"), "birth_month", "not_a_number"),
            (born(2013, "²"), "birth_month", "not_a_number"),
            (born(2013, "Ⅴ"), "birth_month", "not_a_number"),
            (born(2013, "5\x00"), "birth_month", "not_a_number"),
            (born(2013, "\ud800"), "birth_month", "not_a_number"),
            (born(2013, "9" * 9), "birth_month", "not_a_number"),
            (born(2013, "9" * 100_000), "birth_month", "not_a_number"),
            (born("<script>alert(1)</script>", 5), "birth_year", "not_a_number"),
            (born("' OR 1=1 --", 5), "birth_year", "not_a_number"),
            (born("{{7*7}}", 5), "birth_year", "not_a_number"),
            (born("nan", 5), "birth_year", "not_a_number"),
            (born("13", 5), "birth_year", "too_long_ago"),
            (born("0", 5), "birth_year", "too_long_ago"),
            (born("1800", 5), "birth_year", "too_long_ago"),
            (born(2027, 1), "birth_year", "in_the_future"),
            (born("99999999", 1), "birth_year", "in_the_future"),
            (born(2026, 12), "birth_month", "in_the_future"),
        ],
    )
    def test_what_can_not_be_is_refused_by_field_and_reason(
        self, answers: dict[str, str], field: str, reason: str
    ) -> None:
        assert refused(answers).reasons == {field: reason}

    @pytest.mark.parametrize(
        ("answers", "reason"),
        [
            (born(2013, 5), "missing"),
            (born(2013, 5, ""), "missing"),
            (born(2013, 5, 0), "no_such_day"),
            (born(2013, 5, 32), "no_such_day"),
            (born(2013, 4, 31), "no_such_day"),
            (born(2013, 2, 29), "no_such_day"),
            (born(2026, 11, 23), "in_the_future"),
            (born(2013, 5, "first"), "not_a_number"),
        ],
    )
    def test_a_day_that_can_not_be_is_refused_where_it_is_asked(
        self, answers: dict[str, str], reason: str
    ) -> None:
        assert refused(answers, a_case(DAILY)).reasons == {"birth_day": reason}

    def test_digits_of_any_script_are_numbers(self) -> None:
        assert found(born("٢٠١٣", "٥"), a_case()) == found(born(2013, 5), a_case())

    def test_blanks_around_a_number_do_not_matter(self) -> None:
        assert found(born(" 2013 ", "\t05\n"), a_case()) == found(born(2013, 5), a_case())

    @given(month=st.text(), year=st.text(), day=st.text())
    def test_any_text_is_an_answer_or_a_refusal_that_repeats_nothing(
        self, month: str, year: str, day: str
    ) -> None:
        try:
            done = AgeScreen().answer(a_case(DAILY), born(year, month, day))
        except FieldErrors as error:
            known = {"birth_month", "birth_year", "birth_day"}
            assert set(error.reasons) < known  # noqa: PT017 - one property, both ways out
            assert str(error).isascii()  # noqa: PT017 - as above
        else:
            assert isinstance(done, Done)

    @pytest.mark.parametrize("secret", ["31337", "1799", "jo@home.example", "31 May 2013"])
    def test_law_19_a_refusal_holds_no_value_that_was_typed(self, secret: str) -> None:
        error = refused(born(secret, 5))
        for shown in (str(error), repr(error), repr(error.args), repr(error.reasons)):
            assert secret not in shown
        assert error.__cause__ is None
        assert error.__suppress_context__

    def test_law_14_a_refusal_speaks_of_no_threshold(self) -> None:
        for answers in ({}, born(2013, 13), born(2030, 1), born(1700, 1)):
            shown = str(refused(answers)).lower()
            assert not [word for word in ("13", "18", "under", "parent", "old") if word in shown]

    def test_other_fields_are_left_alone(self) -> None:
        plain = found(born(2013, 5), a_case())
        assert found(born(2013, 5) | {"lower": "18", "tier": "adult"}, a_case()) == plain


def test_a_case_knows_its_day() -> None:
    case = replace(a_case(), now=datetime(2026, 11, 22, 9, 59, tzinfo=UTC))
    assert case.today == date(2026, 11, 21)
