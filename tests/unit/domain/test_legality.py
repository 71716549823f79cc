from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agegate.adapters.rules_files import read_rulebook
from agegate.domain import cautions
from agegate.domain.ids import PurposeId, RecipientId
from agegate.domain.legality import (
    SOURCES,
    RefusedError,
    lawful_methods,
    refusals,
    warnings,
)
from agegate.domain.operators import (
    Aim,
    AudienceType,
    Operator,
    RecipientRole,
    UnderThreshold,
    WrittenAssurance,
)
from agegate.domain.places import is_place_code
from agegate.domain.rule_values import VPC_METHODS, RuleStatus, Scope
from agegate.domain.rules import Default, Rule, Rulebook
from agegate.wire.problems import Problem
from tests.factories import (
    a_client,
    a_disclosure,
    a_purpose,
    a_quiet_operator,
    a_recipient,
    a_research_lab,
    an_operator,
)

TODAY = date(2026, 11, 22)
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "operator-file.md"


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return read_rulebook()


def with_rule(rulebook: Rulebook, **overrides: Any) -> Rulebook:
    """The shipped rulebook and one rule more."""
    rule: dict[str, Any] = {
        "id": "test-rule",
        "title": "A rule for this test",
        "jurisdictions": ("GB",),
        "source": "Test Act s. 1",
        "status": RuleStatus.IN_FORCE,
        "valid_from": date(2026, 1, 1),
        "valid_to": None,
        "scope": Scope.ANY,
        "note": None,
        "values": {"self_declaration_allowed": False},
    }
    # No public way leads back from a book to its defaults; a copy keeps the test near the real law.
    defaults = rulebook._defaults.values()  # noqa: SLF001 - see above
    return Rulebook(
        version=rulebook.version,
        unknown_timezone=rulebook._unknown_timezone,  # noqa: SLF001 - see above
        places=tuple(rulebook.places.values()),
        groups=rulebook.groups,
        rules=(*rulebook.rules, Rule(**{**rule, **overrides})),
        defaults=[Default(values={r.field: r.value}, source=r.source) for r in defaults],
    )


def rules_of(operator: Operator, rulebook: Rulebook) -> set[str]:
    return {refusal.rule for refusal in refusals(operator, rulebook, on=TODAY)}


def operator_with_recipient(**overrides: Any) -> Operator:
    return an_operator(recipients=(a_recipient(**overrides), a_research_lab()))


def operator_with_purpose(**overrides: Any) -> Operator:
    return an_operator(purposes=(a_purpose(**overrides), a_disclosure()))


def operator_with_disclosure(**overrides: Any) -> Operator:
    return an_operator(purposes=(a_purpose(), a_disclosure(**overrides)))


def operator_with_client(**overrides: Any) -> Operator:
    return an_operator(clients=(a_client(**overrides),))


def quiet_operator_with_client(**overrides: Any) -> Operator:
    quiet = a_quiet_operator()
    return replace(quiet, clients=(replace(quiet.clients[0], **overrides),))


def provider(**overrides: Any) -> Operator:
    return operator_with_recipient(
        role=RecipientRole.SERVICE_PROVIDER, integral=False, integral_reason=None, **overrides
    )


def assurance_on(day: date) -> WrittenAssurance:
    return WrittenAssurance(date=day, scope="security")


LAB = RecipientId("researchlab")
MODEL = RecipientId("anthropic")

CASES: list[tuple[str, Callable[[], Operator], str]] = [
    ("contact_missing", lambda: an_operator(legal_name=" "), "operator.legal_name"),
    ("contact_missing", lambda: an_operator(address=""), "operator.address"),
    ("contact_missing", lambda: an_operator(phone=""), "operator.phone"),
    ("contact_missing", lambda: an_operator(email=""), "operator.email"),
    (
        "establishment_unknown",
        lambda: an_operator(establishment="USA"),
        "operator.establishment",
    ),
    (
        "establishment_unknown",
        lambda: an_operator(establishment="US-XX"),
        "operator.establishment",
    ),
    (
        "region_unknown",
        lambda: operator_with_client(regions=("US", "XX")),
        "client[storybuddy-web].regions",
    ),
    (
        "region_unknown",
        lambda: operator_with_client(regions=("us",)),
        "client[storybuddy-web].regions",
    ),
    (
        "assurance_missing",
        lambda: operator_with_recipient(written_assurance=None),
        "recipient[anthropic].written_assurance",
    ),
    (
        "assurance_missing",
        lambda: provider(written_assurance=None),
        "recipient[anthropic].written_assurance",
    ),
    (
        "assurance_in_future",
        lambda: operator_with_recipient(written_assurance=assurance_on(date(2026, 11, 23))),
        "recipient[anthropic].written_assurance.date",
    ),
    (
        "provider_aims",
        lambda: provider(aims=(Aim.OPERATION, Aim.ADVERTISING)),
        "recipient[anthropic].aims",
    ),
    ("provider_aims", lambda: provider(aims=(Aim.AI_TRAINING,)), "recipient[anthropic].aims"),
    ("provider_aims", lambda: provider(aims=(Aim.SALE,)), "recipient[anthropic].aims"),
    (
        "integral_provider",
        lambda: operator_with_recipient(role=RecipientRole.SERVICE_PROVIDER),
        "recipient[anthropic].integral",
    ),
    (
        "integral_reason",
        lambda: operator_with_recipient(integral_reason=None),
        "recipient[anthropic].integral_reason",
    ),
    (
        "integral_reason",
        lambda: operator_with_recipient(integral_reason="  "),
        "recipient[anthropic].integral_reason",
    ),
    ("retention", lambda: operator_with_purpose(retention_days=0), "purpose[ai_chat]"),
    ("retention", lambda: operator_with_purpose(retention_days=-1), "purpose[ai_chat]"),
    ("retention", lambda: operator_with_purpose(retention_days=3651), "purpose[ai_chat]"),
    (
        "retention",
        lambda: operator_with_disclosure(retention_days=0),
        "purpose[disclose:researchlab].retention_days",
    ),
    (
        "bundled_disclosure",
        lambda: operator_with_purpose(recipients=(MODEL, LAB)),
        "purpose[ai_chat].recipients",
    ),
    (
        "disclosure_recipient",
        lambda: operator_with_disclosure(recipient=None),
        "purpose[disclose:researchlab].recipient",
    ),
    (
        "disclosure_to_integral",
        lambda: operator_with_disclosure(recipient=MODEL),
        "purpose[disclose:researchlab].recipient",
    ),
    (
        "disclosure_to_provider",
        lambda: an_operator(
            recipients=(a_recipient(), a_research_lab(role=RecipientRole.SERVICE_PROVIDER))
        ),
        "purpose[disclose:researchlab].recipient",
    ),
    (
        "disclosure_core",
        lambda: operator_with_disclosure(core=True),
        "purpose[disclose:researchlab].core",
    ),
    (
        "purposes_missing",
        lambda: operator_with_client(purposes=()),
        "client[storybuddy-web].purposes",
    ),
    (
        "age_method_unknown",
        lambda: operator_with_client(age_methods=("puzzle",)),
        "client[storybuddy-web].age_methods",
    ),
    (
        "age_method_forbidden",
        lambda: operator_with_client(age_methods=("age_screen", "debit_card"), regions=("GB",)),
        "client[storybuddy-web].age_methods",
    ),
    (
        "vpc_method_unknown",
        lambda: operator_with_client(vpc_methods=("payment_transaction", "app_store_password")),
        "client[storybuddy-web].vpc_methods",
    ),
    (
        "vpc_none_lawful",
        lambda: operator_with_client(vpc_methods=()),
        "client[storybuddy-web].vpc_methods",
    ),
    (
        "vpc_none_lawful",
        lambda: operator_with_client(vpc_methods=("fmvpi",), regions=("US", "KR")),
        "client[storybuddy-web].vpc_methods",
    ),
]


@pytest.mark.parametrize(("rule", "make", "path"), CASES)
def test_an_unlawful_declaration_is_refused_with_its_source(
    rule: str, make: Callable[[], Operator], path: str, rulebook: Rulebook
) -> None:
    found = [r for r in refusals(make(), rulebook, on=TODAY) if r.rule == rule]
    assert found, f"{rule} was not refused"
    assert all(r.source and r.message for r in found)
    assert found[0].path.startswith(path)


@pytest.mark.parametrize("operator", [an_operator(), a_quiet_operator()])
def test_the_operators_everybody_knows_are_lawful(operator: Operator, rulebook: Rulebook) -> None:
    assert refusals(operator, rulebook, on=TODAY) == ()


def test_a_refusal_says_where_what_rule_and_source(rulebook: Rulebook) -> None:
    (refusal,) = refusals(operator_with_purpose(retention_days=0), rulebook, on=TODAY)
    assert str(refusal) == (
        "purpose[ai_chat].retention_days: children's data may be kept only as long as its purpose "
        "needs and never indefinitely: give a number of days from 1 to 3650 "
        "[retention; 16 CFR 312.10]"
    )


def test_every_refusal_is_found_at_once(rulebook: Rulebook) -> None:
    operator = an_operator(
        email="",
        recipients=(a_recipient(written_assurance=None), a_research_lab()),
        purposes=(a_purpose(retention_days=0), a_disclosure(core=True)),
        clients=(a_client(under_threshold=UnderThreshold.BLOCK),),
    )
    assert rules_of(operator, rulebook) == {
        "contact_missing",
        "assurance_missing",
        "retention",
        "disclosure_core",
        "block_audience",
    }


def test_the_error_carries_every_refusal(rulebook: Rulebook) -> None:
    found = refusals(an_operator(email="", phone=""), rulebook, on=TODAY)
    error = RefusedError(found)
    assert error.problem is Problem.UNLAWFUL_CONFIGURATION
    assert error.refusals == found
    assert [line.partition(":")[0] for line in str(error).splitlines()] == [
        "operator.phone",
        "operator.email",
    ]


# --- the items of the law, by number --------------------------------------------------------------


def test_law_4_a_disclosure_can_always_be_refused(rulebook: Rulebook) -> None:
    bundled = operator_with_purpose(recipients=(MODEL, LAB))
    forced = operator_with_disclosure(core=True)
    assert rules_of(bundled, rulebook) == {"bundled_disclosure"}
    assert rules_of(forced, rulebook) == {"disclosure_core"}


@pytest.mark.parametrize("aim", [Aim.ADVERTISING, Aim.SALE, Aim.AI_TRAINING, Aim.ANALYTICS])
@pytest.mark.parametrize("beside", [(), (Aim.OPERATION,)])
def test_law_6_only_operation_can_be_integral(
    aim: Aim, beside: tuple[Aim, ...], rulebook: Rulebook
) -> None:
    operator = operator_with_recipient(aims=(*beside, aim))
    (refusal,) = refusals(operator, rulebook, on=TODAY)
    assert refusal.rule == "integral_aims"
    assert "90 FR 16918" in refusal.source
    assert aim.value in refusal.message


def test_law_7_integral_needs_a_written_reason(rulebook: Rulebook) -> None:
    assert rules_of(operator_with_recipient(integral_reason=None), rulebook) == {"integral_reason"}


@pytest.mark.parametrize(
    ("method", "source"),
    [("email_plus", "16 CFR 312.5(b)(2)(viii)"), ("text_plus", "16 CFR 312.5(b)(2)(ix)")],
)
def test_law_8_email_plus_and_text_plus_end_where_anything_is_disclosed(
    method: str, source: str, rulebook: Rulebook
) -> None:
    only_integral = an_operator(
        recipients=(a_recipient(),),
        purposes=(a_purpose(),),
        clients=(a_client(purposes=("ai_chat",), vpc_methods=("payment_transaction", method)),),
    )
    (refusal,) = refusals(only_integral, rulebook, on=TODAY)
    assert (refusal.rule, refusal.source) == (f"{method}_disclosure", source)

    quiet = quiet_operator_with_client(vpc_methods=(method,))
    assert refusals(quiet, rulebook, on=TODAY) == ()


def test_law_8_a_service_provider_is_no_disclosure(rulebook: Rulebook) -> None:
    operator = an_operator(
        recipients=(a_recipient(role=RecipientRole.SERVICE_PROVIDER, integral=False),),
        purposes=(a_purpose(),),
        clients=(a_client(purposes=("ai_chat",), vpc_methods=("email_plus",)),),
    )
    assert refusals(operator, rulebook, on=TODAY) == ()


@pytest.mark.parametrize(
    ("audience", "refused"),
    [
        (AudienceType.CHILD_DIRECTED, True),
        (AudienceType.MIXED_AUDIENCE, True),
        (AudienceType.GENERAL_AUDIENCE, False),
    ],
)
def test_law_21_only_a_general_audience_may_be_blocked(
    audience: AudienceType, refused: bool, rulebook: Rulebook
) -> None:
    operator = operator_with_client(
        audience_type=audience,
        under_threshold=UnderThreshold.BLOCK,
        age_methods=("age_screen",),
    )
    assert ("block_audience" in rules_of(operator, rulebook)) is refused


def test_law_24_the_register_has_the_nine_methods_and_two_kinds_of_approval() -> None:
    nine = {
        "signed_form",
        "payment_transaction",
        "toll_free_call",
        "video_conference",
        "gov_id_database",
        "kba",
        "fmvpi",
        "email_plus",
        "text_plus",
    }
    assert nine | {"safe_harbor_approved", "commission_approved"} == VPC_METHODS


@pytest.mark.parametrize("method", ["safe_harbor_approved", "commission_approved"])
def test_law_24_an_approval_without_reference_is_refused(method: str, rulebook: Rulebook) -> None:
    operator = operator_with_client(vpc_methods=("payment_transaction", method))
    assert rules_of(operator, rulebook) == {"vpc_approval_missing"}


@pytest.mark.parametrize("method", ["facial_estimation", "facial_age_estimation"])
def test_law_25_a_guess_at_the_parents_face_is_no_consent(method: str, rulebook: Rulebook) -> None:
    operator = operator_with_client(vpc_methods=("payment_transaction", method))
    (refusal,) = refusals(operator, rulebook, on=TODAY)
    assert refusal.rule == "vpc_face_of_parent"
    assert "2024-03-29" in refusal.source


@pytest.mark.parametrize(
    "method", ["facial_estimation", "photo_id_matching", "credit_card", "email_age_estimation"]
)
def test_law_53_no_estimation_before_consent_on_a_child_directed_client(
    method: str, rulebook: Rulebook
) -> None:
    operator = operator_with_client(
        audience_type=AudienceType.CHILD_DIRECTED, age_methods=("age_screen", method)
    )
    (refusal,) = refusals(operator, rulebook, on=TODAY)
    assert refusal.rule == "estimation_before_consent"
    assert "312.2" in refusal.source


@pytest.mark.parametrize("audience", [AudienceType.MIXED_AUDIENCE, AudienceType.GENERAL_AUDIENCE])
def test_law_53_others_may_estimate(audience: AudienceType, rulebook: Rulebook) -> None:
    operator = operator_with_client(audience_type=audience, age_methods=("facial_estimation",))
    assert refusals(operator, rulebook, on=TODAY) == ()


@pytest.mark.parametrize("method", ["parent_declaration", "platform_signal"])
def test_law_53_a_child_directed_client_may_hear_parents_and_platforms(
    method: str, rulebook: Rulebook
) -> None:
    operator = operator_with_client(
        audience_type=AudienceType.CHILD_DIRECTED, age_methods=(method,)
    )
    assert refusals(operator, rulebook, on=TODAY) == ()


def test_law_63_self_declaration_alone_is_refused_where_a_rule_excludes_it(
    rulebook: Rulebook,
) -> None:
    strict = with_rule(rulebook)
    alone = operator_with_client(age_methods=("age_screen", "self_declaration"))
    (refusal,) = refusals(alone, strict, on=TODAY)
    assert refusal.rule == "self_declaration_excluded"
    assert refusal.message.startswith("in GB ")
    assert "Test Act s. 1" in refusal.source

    with_another = operator_with_client(age_methods=("age_screen", "facial_estimation"))
    elsewhere = operator_with_client(age_methods=("age_screen",), regions=("US",))
    assert refusals(with_another, strict, on=TODAY) == ()
    assert refusals(elsewhere, strict, on=TODAY) == ()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"valid_from": date(2027, 1, 1), "status": RuleStatus.FUTURE}, "from 2027-01-01"),
        ({"scope": Scope.SOCIAL_MEDIA}, "where the app is social media"),
        (
            {"scope": Scope.ADULT_CONTENT, "valid_from": date(2027, 5, 6)},
            "where the app is for adult content, from 2027-05-06",
        ),
        ({"status": RuleStatus.PROPOSED}, None),
        ({"status": RuleStatus.ENJOINED}, None),
        ({"valid_to": date(2026, 6, 30)}, None),
        ({"values": {"child_monitoring_notice": True}}, None),
    ],
)
def test_law_63_a_rule_that_is_silent_today_is_a_caution_if_it_may_speak(
    overrides: dict[str, Any], words: str | None, rulebook: Rulebook
) -> None:
    book = with_rule(rulebook, **overrides)
    operator = operator_with_client(age_methods=("age_screen",), regions=("GB",))
    assert refusals(operator, book, on=TODAY) == ()
    found = [c.message for c in warnings(operator, book, on=TODAY) if "Test Act" in c.message]
    expected = f"in GB a person's own word is not enough {words} (Test Act s. 1)"
    assert found == ([expected] if words else [])


def test_law_64_a_debit_card_proves_no_age_in_gb(rulebook: Rulebook) -> None:
    everywhere = operator_with_client(age_methods=("age_screen", "debit_card"))
    assert refusals(everywhere, rulebook, on=TODAY) == ()
    found = warnings(everywhere, rulebook, on=TODAY)
    assert [c.message for c in found if c.rule == "age_method_local"] == [
        '"debit_card" is passed over in GB, where it may not be used'
    ]
    only_gb = operator_with_client(age_methods=("age_screen", "debit_card"), regions=("GB",))
    (refusal,) = refusals(only_gb, rulebook, on=TODAY)
    assert refusal.rule == "age_method_forbidden"
    assert "Ofcom" in refusal.source


def test_law_95_no_recipient_without_written_assurance(rulebook: Rulebook) -> None:
    assert rules_of(operator_with_recipient(written_assurance=None), rulebook) == {
        "assurance_missing"
    }
    given_today = operator_with_recipient(written_assurance=assurance_on(TODAY))
    assert refusals(given_today, rulebook, on=TODAY) == ()


@pytest.mark.parametrize("days", [1, 30, 3650])
def test_law_97_a_finite_retention_is_accepted(days: int, rulebook: Rulebook) -> None:
    assert refusals(operator_with_purpose(retention_days=days), rulebook, on=TODAY) == ()


def test_internal_operations_may_include_analytics(rulebook: Rulebook) -> None:
    operator = provider(aims=(Aim.OPERATION, Aim.ANALYTICS))
    assert refusals(operator, rulebook, on=TODAY) == ()


def test_a_client_that_asks_no_parent_needs_no_method(rulebook: Rulebook) -> None:
    operator = operator_with_client(
        under_threshold=UnderThreshold.LIMITED, vpc_methods=(), purposes=()
    )
    assert refusals(operator, rulebook, on=TODAY) == ()


# --- which methods a parent may use ---------------------------------------------------------------


def test_lawful_methods_keep_the_clients_order_and_give_reasons(rulebook: Rulebook) -> None:
    operator = operator_with_client(
        vpc_methods=("signed_form", "email_plus", "payment_transaction", "kba")
    )
    rules = rulebook.rules_for("US", ("US",), on=TODAY)
    found = lawful_methods(
        operator,
        operator.clients[0],
        rules,
        implemented={"payment_transaction", "email_plus", "kba"},
    )
    assert list(found) == ["signed_form", "email_plus", "payment_transaction", "kba"]
    assert found["payment_transaction"] is None
    assert found["kba"] is None
    assert found["signed_form"] == "this server has no such method yet"
    assert "16 CFR 312.5(b)(2)(viii)" in str(found["email_plus"])


def test_lawful_methods_follow_the_place(rulebook: Rulebook) -> None:
    operator = operator_with_client(vpc_methods=("payment_transaction", "fmvpi"))
    client = operator.clients[0]
    korea = rulebook.rules_for("KR", ("KR",), on=TODAY)
    found = lawful_methods(operator, client, korea)
    assert found["payment_transaction"] is None
    assert "KR" in str(found["fmvpi"])
    assert "PIPA" in str(found["fmvpi"])


# --- cautions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        (
            "recipient_unused",
            lambda: an_operator(
                purposes=(a_purpose(),), clients=(a_client(purposes=("ai_chat",)),)
            ),
        ),
        (
            "recipient_unused",
            lambda: an_operator(
                recipients=(
                    a_recipient(),
                    a_research_lab(),
                    a_recipient(
                        id=RecipientId("host"), role=RecipientRole.SERVICE_PROVIDER, integral=False
                    ),
                )
            ),
        ),
        ("purpose_unused", lambda: operator_with_client(purposes=("ai_chat",))),
        ("core_missing", lambda: operator_with_purpose(core=False)),
        (
            "screen_on_child_directed",
            lambda: operator_with_client(
                audience_type=AudienceType.CHILD_DIRECTED, age_methods=("age_screen",)
            ),
        ),
        ("age_methods_missing", lambda: operator_with_client(age_methods=())),
        ("resource_unused", lambda: operator_with_client(resources=("https://other.example",))),
        (
            "vpc_method_local",
            lambda: operator_with_client(
                vpc_methods=("payment_transaction", "fmvpi"), regions=("US", "KR")
            ),
        ),
    ],
)
def test_what_is_lawful_and_odd_is_a_caution(
    rule: str, make: Callable[[], Operator], rulebook: Rulebook
) -> None:
    operator = make()
    assert refusals(operator, rulebook, on=TODAY) == ()
    assert [c.rule for c in warnings(operator, rulebook, on=TODAY)] == [rule]


def test_an_unused_third_party_still_counts_as_a_disclosure(rulebook: Rulebook) -> None:
    quiet = quiet_operator_with_client(vpc_methods=("email_plus",))
    operator = replace(quiet, recipients=(a_research_lab(),))
    assert "email_plus_disclosure" in rules_of(operator, rulebook)
    (caution,) = warnings(operator, rulebook, on=TODAY)
    assert str(caution) == (
        "recipient[researchlab]: no purpose names this recipient; it still counts as a disclosure "
        "and closes email_plus and text_plus [recipient_unused]"
    )


def test_methods_this_server_lacks_are_named(rulebook: Rulebook) -> None:
    found = warnings(
        an_operator(), rulebook, on=TODAY, implemented={"age_screen", "payment_transaction"}
    )
    assert [c.rule for c in found] == ["method_not_available"] * 3
    assert [c.message.split('"')[1] for c in found] == ["facial_estimation", "fmvpi", "signed_form"]
    assert warnings(an_operator(), rulebook, on=TODAY) == ()


def test_an_unknown_region_is_passed_over_in_cautions(rulebook: Rulebook) -> None:
    operator = operator_with_client(regions=("XX",))
    assert warnings(operator, rulebook, on=TODAY) == ()
    assert not is_place_code("XX")


def test_a_client_may_ask_a_subset_of_purposes(rulebook: Rulebook) -> None:
    operator = operator_with_client(purposes=(PurposeId("ai_chat"),))
    assert refusals(operator, rulebook, on=TODAY) == ()


# --- the page -------------------------------------------------------------------------------------


def rows_of_the_page() -> dict[str, str]:
    """First and last column of every table row that begins with a rule or key."""
    text = PAGE.read_text(encoding="utf-8").partition("## What is refused")[2]
    return dict(re.findall(r"^\| `([a-z_]+)` \| (?:.* \| )?(.+) \|$", text, re.MULTILINE))


def test_every_refusal_is_on_the_reference_page_with_its_source() -> None:
    listed = {rule: source for rule, source in rows_of_the_page().items() if rule in SOURCES}
    assert listed == dict(SOURCES)


def test_every_caution_is_on_the_reference_page() -> None:
    source = Path(cautions.__file__).read_text(encoding="utf-8")
    in_code = set(re.findall(r'rule="([a-z_]+)"', source))
    assert rows_of_the_page().keys() - SOURCES.keys() == in_code


def test_every_rule_of_the_table_is_tried_here() -> None:
    tried = {rule for rule, _, _ in CASES} | {
        # Tried by their number in the law.
        "integral_aims",
        "email_plus_disclosure",
        "text_plus_disclosure",
        "block_audience",
        "estimation_before_consent",
        "self_declaration_excluded",
        "vpc_face_of_parent",
        "vpc_approval_missing",
    }
    assert tried == set(SOURCES)


def test_law_36_where_the_relationship_counts_a_card_does_not_do(rulebook: Rulebook) -> None:
    texas = rulebook.rules_for("US-TX", ["US-TX"], on=date(2026, 11, 22))
    client = a_client(vpc_methods=("payment_transaction", "signed_form"))
    found = lawful_methods(an_operator(), client, texas)
    assert "509.101" in (found["payment_transaction"] or "")
    assert found["signed_form"] is None


def test_law_36_where_the_parent_must_be_identifiable_a_card_does_not_do(
    rulebook: Rulebook,
) -> None:
    india = rulebook.rules_for("IN", ["IN"], on=date(2027, 6, 1))
    client = a_client(vpc_methods=("payment_transaction", "fmvpi"))
    found = lawful_methods(an_operator(), client, india)
    assert "DPDP" in (found["payment_transaction"] or "")
    assert found["fmvpi"] is None
