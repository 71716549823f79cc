"""Birthdays without birth dates: when the day comes, a subject moves into the next bracket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from agegate.domain.age import AgeRange
from agegate.domain.people import Subject
from agegate.domain.place_rules import PlaceRules


def grown(subject: Subject, boundaries: Sequence[int], *, today: date) -> Subject:
    """The subject as it is on `today`; the same object when nothing has changed.

    `boundaries` are the ages at which something changes, ascending.
    """
    while subject.turns_on is not None and subject.turns_on <= today and subject.upper is not None:
        age = subject.upper + 1
        ahead = [bound for bound in boundaries if bound > age]
        subject = replace(
            subject,
            lower=age,
            upper=min(ahead) - 1 if ahead else None,
            turns_on=_years_later(subject.turns_on, min(ahead) - age) if ahead else None,
        )
    return subject


def known_range(subject: Subject) -> AgeRange | None:
    """None while nothing is known."""
    return AgeRange(lower=subject.lower, upper=subject.upper) if subject.age_is_known else None


def day_begins(day: date, rules: PlaceRules) -> datetime:
    """The moment from which `rules.today` says `day`: midnight in the last of the place's zones."""
    return max(datetime.combine(day, time.min, ZoneInfo(zone)) for zone in rules.timezones)


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February: the day counts on 1 March in common years
        return date(day.year + years, 3, 1)
