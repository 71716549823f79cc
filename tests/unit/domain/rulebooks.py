"""A small rulebook that says everything it must, for tests that change one thing about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from agegate.domain.rule_parsing import assemble, parse_document
from agegate.domain.rules import PlaceRules, Rulebook

DAY = date(2026, 11, 22)

DEFAULTS: Mapping[str, Any] = {
    "source": "house",
    "child_threshold": 13,
    "teen_bands": [[13, 15], [16, 17]],
    "consent_required_below": 16,
    "dual_consent": False,
    "birth_day_needed": False,
    "anonymous_option_required": False,
    "provider_must_be_us_entity": False,
    "third_party_provider_required": False,
    "age_change_requires_review": True,
    "relationship_check": False,
    "parent_identifiability": False,
    "child_monitoring_notice": False,
    "fee_or_degradation_ban": False,
    "self_declaration_allowed": True,
    "gov_id_may_be_only_method": False,
    "signal_request_permitted": False,
    "vpc_methods": ["signed_form", "kba", "email_plus"],
    "min_assurance_level": "asserted",
    "signal_resolution": "lowest",
    "appeal_days": 30,
    "pending_consent_ttl_days": 14,
    "evidence_deletion": "prompt",
    "llm_obligations": {},
}

PLACES = (
    {"code": "US", "name": "United States", "timezone": "Pacific/Honolulu"},
    {"code": "US-CA", "name": "California", "timezone": "America/Los_Angeles"},
    {"code": "DE", "name": "Germany", "timezone": "Europe/Berlin"},
    {"code": "FR", "name": "France", "timezone": "Europe/Paris"},
    {"code": "KI", "name": "Kiribati", "timezone": "Pacific/Kiritimati"},
)


def a_rule(jurisdiction: str | list[str] = "US", **more: Any) -> dict[str, Any]:
    rule = {
        "id": "a-rule",
        "title": "A rule",
        "jurisdiction": jurisdiction,
        "source": "A Law s. 1",
        "status": "in_force",
        "valid_from": date(2020, 1, 1),
    }
    return rule | ({"consent_required_below": 13} if not more else {}) | more


def a_document(*rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": "2026-11-01",
        "timezone": "Etc/GMT+12",
        "place": [dict(place) for place in PLACES],
        "group": [{"code": "EU", "name": "European Union", "members": ["DE", "FR"]}],
        "default": [dict(DEFAULTS)],
    }
    if rules:
        document["rule"] = [
            {**rule, "id": f"rule-{i}"} if rule.get("id") == "a-rule" else dict(rule)
            for i, rule in enumerate(rules)
        ]
    return document | more


def a_rulebook(*rules: Mapping[str, Any], **more: Any) -> Rulebook:
    return assemble([parse_document(a_document(*rules, **more))])


def some_rules(**values: Any) -> PlaceRules:
    """What applies in the United States when one rule there sets `values`."""
    return a_rulebook(*([a_rule(**values)] if values else [])).rules_for("US", (), on=DAY)
