"""E-mail plus: a mailbox that answered is half of it."""

from __future__ import annotations

import pytest

from agegate.methods.base import ConsentCase
from agegate.methods.consent.email_plus import EmailPlus
from tests.factories import NOON


@pytest.fixture
def case() -> ConsentCase:
    return ConsentCase(
        reference="pr_1",
        locale="en",
        return_url="https://age.example/parent/back",
        memo="",
        now=NOON,
    )


def test_law_33_a_second_step_is_always_needed(case: ConsentCase) -> None:
    assert EmailPlus().begin(case).found.confirmation_needed


@pytest.mark.parametrize(
    "submitted", [{}, {"confirm": "1"}, {"confirmation_needed": "", "second_step": "done"}]
)
def test_law_33_nothing_that_is_submitted_stands_in_for_the_second_step(
    case: ConsentCase, submitted: dict[str, str]
) -> None:
    step = EmailPlus().answer(case, submitted)
    assert step == EmailPlus().begin(case)
    assert step.found.confirmation_needed


def test_law_36_a_mailbox_shows_neither_adulthood_nor_relationship(case: ConsentCase) -> None:
    evidence = EmailPlus().begin(case).found
    assert evidence.identity == "mailbox"
    assert evidence.adulthood is None
    assert evidence.relationship == "declared"


def test_the_evidence_names_its_method_and_time_and_no_address(case: ConsentCase) -> None:
    evidence = EmailPlus().begin(case).found
    assert (evidence.method, evidence.at, evidence.reference) == ("email_plus", NOON, None)
