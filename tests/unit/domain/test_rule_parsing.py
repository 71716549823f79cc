"""Rules are read strictly: what is not understood is refused, with its place in the document."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from agegate.domain.errors import ConfigurationError
from agegate.domain.places import RuleError
from agegate.domain.rule_parsing import assemble, parse_document
from agegate.domain.rule_values import EvidenceDeletion, Scope
from agegate.wire.problems import Problem
from tests.unit.domain.rulebooks import DAY, DEFAULTS, PLACES, a_document, a_rule, a_rulebook


def without(table: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("consent_required_below", True),
        ("consent_required_below", 13.0),
        ("consent_required_below", "13"),
        ("consent_required_below", 0),
        ("consent_required_below", -13),
        ("consent_required_below", 26),
        ("child_threshold", None),
        ("dual_consent", 1),
        ("dual_consent", "yes"),
        ("teen_bands", [[13, 15]]),
        ("teen_bands", [[13, 15], [17, 18]]),
        ("teen_bands", [[13, 15], [15, 17]]),
        ("teen_bands", [[15, 13], [14, 17]]),
        ("teen_bands", [[13, 15], [16, 15]]),
        ("teen_bands", [[13, True], [16, 17]]),
        ("teen_bands", "13-15"),
        ("allowed_methods", []),
        ("allowed_methods", ["guessing"]),
        ("allowed_methods", ["credit_card", "credit_card"]),
        ("allowed_methods", "credit_card"),
        ("forbidden_methods", ["kba"]),
        ("vpc_methods", ["facial_estimation"]),
        ("vpc_methods", [13]),
        ("min_assurance_level", "sure"),
        ("min_assurance_level", 3),
        ("min_accuracy", 1),
        ("min_accuracy", 1.0),
        ("min_accuracy", 0.0),
        ("signal_resolution", "highest"),
        ("evidence_deletion", "later"),
        ("evidence_deletion", True),
        ("evidence_deletion", 0),
        ("evidence_deletion", 366),
        ("evidence_deletion", [1]),
        ("pending_consent_ttl_days", 15),
        ("pending_consent_ttl_days", 0),
        ("notice_languages", ["Spanish!"]),
        ("notice_languages", [""]),
        ("llm_obligations", []),
        ("llm_obligations", {"reminder": 3}),
        ("llm_obligations", {"reminder_minutes": True}),
        ("llm_obligations", {"reminder_minutes": 0}),
        ("llm_obligations", {"ai_disclosure": "yes"}),
        ("llm_obligations", {"memory_default": False}),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_path(field: str, value: Any) -> None:
    with pytest.raises(RuleError, match=rf"^rule\[0\]\.{field}"):
        parse_document(a_document(a_rule(**{field: value})))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("consent_required_below", 1, 1),
        ("consent_required_below", 25, 25),
        ("min_accuracy", 0.95, 0.95),
        ("pending_consent_ttl_days", 14, 14),
        ("evidence_deletion", "immediate", EvidenceDeletion(mode="immediate")),
        ("evidence_deletion", 1, EvidenceDeletion(mode="days", days=1)),
        ("evidence_deletion", 365, EvidenceDeletion(mode="days", days=365)),
        ("notice_languages", ["es", "zh-Hans"], frozenset({"es", "zh-Hans"})),
        ("allowed_methods", ["credit_card"], frozenset({"credit_card"})),
    ],
)
def test_a_value_at_the_edge_is_read(field: str, value: Any, expected: object) -> None:
    rules = a_rulebook(a_rule(**{field: value})).rules_for("US", (), on=DAY)
    assert getattr(rules, field) == expected


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"consent_below": 13}, r"rule\[0\]\.consent_below: unknown key"),
        ({"id": "Not An Id"}, r"rule\[0\]\.id"),
        ({"title": ""}, r"rule\[0\]\.title"),
        ({"title": " padded"}, r"rule\[0\]\.title"),
        ({"source": 13}, r"rule\[0\]\.source"),
        ({"status": "active"}, r"rule\[0\]\.status"),
        ({"scope": "everything"}, r"rule\[0\]\.scope"),
        ({"note": ""}, r"rule\[0\]\.note"),
        ({"jurisdiction": []}, r"rule\[0\]\.jurisdiction"),
        ({"jurisdiction": ["US", 1]}, r"rule\[0\]\.jurisdiction\[1\]"),
        ({"valid_from": "2026-01-01"}, r"rule\[0\]\.valid_from"),
        ({"valid_from": datetime(2026, 1, 1, tzinfo=UTC)}, r"rule\[0\]\.valid_from"),
        ({"valid_to": date(2019, 12, 31)}, r"rule\[0\]\.valid_to"),
    ],
)
def test_a_strange_rule_is_refused_by_path(more: dict[str, Any], path: str) -> None:
    with pytest.raises(RuleError, match=f"^{path}"):
        parse_document(a_document(a_rule(**{"appeal_days": 3, **more})))


@pytest.mark.parametrize("key", ["id", "title", "jurisdiction", "source", "status", "valid_from"])
def test_a_rule_without_its_papers_is_refused(key: str) -> None:
    with pytest.raises(RuleError, match=rf"^rule\[0\]\.{key}: missing"):
        parse_document(a_document(rule=[without(a_rule(), key)]))


def test_a_rule_that_sets_nothing_is_refused() -> None:
    with pytest.raises(RuleError, match=r"^rule\[0\]: says nothing"):
        parse_document(a_document(rule=[without(a_rule(), "consent_required_below")]))


def test_a_rule_of_one_day_is_a_rule() -> None:
    book = a_rulebook(a_rule(valid_to=date(2020, 1, 1), appeal_days=3))
    assert book.rules_for("US", (), on=date(2020, 1, 1)).appeal_days == 3


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"rules": []}, r"rules: unknown key"),
        ({"version": 20261101}, "version"),
        ({"version": "v1"}, "version"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"place": {"code": "US"}}, "place: must be a list"),
        ({"place": ["US"]}, r"place\[0\]: must be a table"),
        (
            {"place": [{"code": "US", "name": "x", "timezone": "UTC", "age": 13}]},
            r"place\[0\]\.age",
        ),
        ({"place": [{"code": "PO", "name": "Poland", "timezone": "UTC"}]}, r"place\[0\]\.code"),
        ({"place": [{"code": "US-XX", "name": "x", "timezone": "UTC"}]}, r"place\[0\]\.code"),
        ({"place": [{"code": "PL", "timezone": "UTC"}]}, r"place\[0\]\.name: missing"),
        ({"place": [{"code": "PL", "name": "Poland"}]}, r"place\[0\]\.timezone: missing"),
        ({"place": [{"code": "PL", "name": "x", "timezone": "PL"}]}, r"place\[0\]\.timezone"),
        ({"group": [{"code": "US", "name": "x", "members": ["US"]}]}, r"group\[0\]\.code"),
        ({"group": [{"code": "eu", "name": "x", "members": ["DE"]}]}, r"group\[0\]\.code"),
        ({"group": [{"code": "EU", "name": "x", "members": []}]}, r"group\[0\]\.members"),
        ({"group": [{"code": "EU", "name": "x", "is": 1}]}, r"group\[0\]\.is: unknown key"),
        ({"default": [{"source": "x"}]}, r"default\[0\]: says nothing"),
        ({"default": [{"appeal_days": 3}]}, r"default\[0\]\.source: missing"),
        ({"default": [{"source": "x", "status": "in_force"}]}, r"default\[0\]\.status: unknown"),
    ],
)
def test_a_strange_document_is_refused_by_path(more: dict[str, Any], path: str) -> None:
    with pytest.raises(RuleError, match=f"^{path}"):
        parse_document(a_document(**more))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (a_document(rule=[a_rule(), a_rule()]), "rule a-rule: given twice"),
        (a_document(place=[*PLACES, PLACES[0]]), "place US: given twice"),
        (a_document(a_rule("AT")), "rule rule-0: no such place: AT"),
        (a_document(a_rule("EEA")), "rule rule-0: no such place: EEA"),
        (
            a_document(group=[{"code": "EU", "name": "x", "members": ["DE", "AT"]}]),
            "group EU: no such place: AT",
        ),
        (
            a_document(default=[dict(DEFAULTS), {"source": "x", "appeal_days": 3}]),
            "default appeal_days: given twice",
        ),
        (
            a_document(default=[without(dict(DEFAULTS), "appeal_days")]),
            "no default for: appeal_days",
        ),
        (without(a_document(), "version"), "version: must be given once, found 0"),
        (without(a_document(), "timezone"), "timezone: must be given once, found 0"),
        (without(without(a_document(), "place"), "group"), "the rulebook knows no place"),
    ],
)
def test_documents_that_contradict_each_other_are_refused(
    document: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuleError) as caught:
        assemble([parse_document(document)])
    assert str(caught.value) == message


def test_two_versions_are_one_too_many() -> None:
    with pytest.raises(RuleError, match="found 2"):
        assemble([parse_document(a_document()), parse_document({"version": "2026-01-01"})])


def test_a_rulebook_may_lie_in_several_documents() -> None:
    whole = a_document(a_rule("EU", appeal_days=3))
    parts = [{key: value} for key, value in whole.items()]
    book = assemble([parse_document(part) for part in parts])
    assert book.digest == assemble([parse_document(whole)]).digest
    assert book.version == "2026-11-01"


def test_a_bad_rule_is_a_configuration_error() -> None:
    assert issubclass(RuleError, ConfigurationError)
    assert RuleError.problem is Problem.INVALID_CONFIGURATION


def test_a_rule_speaks_of_every_service_unless_it_says_otherwise() -> None:
    (rule,) = a_rulebook(a_rule(["US", "DE", "US"], appeal_days=3)).rules
    assert (rule.scope, rule.note, rule.jurisdictions) == (Scope.ANY, None, ("DE", "US"))
