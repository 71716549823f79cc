from __future__ import annotations

from typing import Any

import pytest

from agegate.domain.errors import UnlawfulError
from agegate.domain.online_notices import missing_parts, online_notice, require_complete
from agegate.domain.operators import RecipientRole
from agegate.domain.words import LANGUAGES, Language
from tests.factories import a_disclosure, a_purpose, a_recipient, a_research_lab, an_operator
from tests.letter_factories import PORTAL, reading_grade, text_of


@pytest.mark.parametrize("language", LANGUAGES)
def test_law_48_the_online_notice_names_who_is_responsible_in_full(language: Language) -> None:
    notice = online_notice(an_operator(), language=language, portal_url=PORTAL)
    assert missing_parts(notice) == ()
    require_complete(notice)
    text = text_of(notice.sections)
    for field in notice.operator.fields:
        assert field in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_law_49_the_online_notice_names_receivers_by_identity_and_category(
    language: Language,
) -> None:
    notice = online_notice(an_operator(), language=language)
    for recipient in an_operator().recipients:
        line = next(
            item for s in notice.sections for item in s.items if item.startswith(recipient.name)
        )
        assert recipient.category in line


def test_law_50_retention_is_drawn_from_the_declared_days() -> None:
    operator = an_operator(purposes=(a_purpose(retention_days=7), a_disclosure(retention_days=1)))
    text = text_of(online_notice(operator, language="en").sections)
    assert "at most 7 days" in text
    assert "at most 1 day," in text


def test_law_17_the_cookie_against_a_second_try_is_a_named_internal_operation() -> None:
    notice = online_notice(an_operator(), language="en", memory_hours=48)
    cookies = text_of(tuple(s for s in notice.sections if s.key == "cookies"))
    assert "remembers it for 48 hours" in cookies
    assert "integrity of the service" in cookies
    assert "no birth date" in cookies


def test_law_52_the_age_question_is_explained_to_parents_and_to_children() -> None:
    age = next(s for s in online_notice(an_operator(), language="en").sections if s.key == "age")
    assert any(p.startswith("Parents: we ask for the month and year") for p in age.paragraphs)
    children = next(p for p in age.paragraphs if p.startswith("Children: "))
    assert reading_grade(children) <= 5


def test_an_operator_that_collects_nothing_says_so_online() -> None:
    operator = an_operator(recipients=(), purposes=(), clients=())
    text = text_of(online_notice(operator, language="en").sections)
    assert "collects no personal information from children" in text
    assert "passes none of it on" in text


def test_a_service_provider_stands_in_the_online_notice() -> None:
    host = a_recipient(role=RecipientRole.SERVICE_PROVIDER, integral=False, integral_reason=None)
    operator = an_operator(purposes=(), recipients=(host,))
    text = text_of(online_notice(operator, language="en").sections)
    assert "It may use the information for nothing else." in text


@pytest.mark.parametrize(
    ("overrides", "missing"),
    [
        ({"phone": ""}, ("(1)", "(5)")),
        ({"legal_name": ""}, ("(1)", "(4)")),
        ({"recipients": (a_recipient(category=""), a_research_lab())}, ("(2)",)),
        ({"recipients": (a_recipient(integral_reason=None), a_research_lab())}, ("(2)",)),
        ({"purposes": (a_purpose(use=""), a_disclosure())}, ("(2)",)),
        ({"purposes": (a_purpose(retention_days=0), a_disclosure())}, ("(2)",)),
    ],
)
def test_an_empty_part_of_the_online_notice_is_named(
    overrides: dict[str, Any], missing: tuple[str, ...]
) -> None:
    notice = online_notice(an_operator(**overrides), language="en")
    assert missing_parts(notice) == missing
    with pytest.raises(UnlawfulError, match=r"16 CFR 312\.4\(d\)"):
        require_complete(notice)


def test_a_memory_without_length_is_part_three() -> None:
    assert missing_parts(online_notice(an_operator(), language="en", memory_hours=0)) == ("(3)",)
