"""The answer of the rulebook: what applies at a place on a day, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from agegate.domain.places import UNKNOWN_PLACE
from agegate.domain.rule_fields import FIELDS
from agegate.domain.rule_values import (
    EvidenceDeletion,
    LlmObligations,
    RuleStatus,
    SignalResolution,
    TeenBands,
)
from agegate.wire.tiers import AssuranceLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Which rule said what. `jurisdiction` is `default` where no rule speaks and the house does."""

    field: str
    value: Any
    source: str
    status: RuleStatus
    jurisdiction: str
    rule: str

    def to_json(self) -> dict[str, object]:
        return {
            "field": self.field,
            "value": value_to_json(self.value),
            "source": self.source,
            "status": self.status.value,
            "jurisdiction": self.jurisdiction,
            "rule": self.rule,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRules:
    """Everything that applies at `place` on the day `on`; ages in completed years.

    Made by `Rulebook.rules_for`. `place` is an ISO 3166 code, or `unknown` when several places
    were merged. `None` means that no law on file says anything on the matter.
    """

    place: str
    on: date
    timezones: frozenset[str]
    """IANA names. `today` takes the one where the day begins last."""

    child_threshold: int
    teen_bands: TeenBands
    consent_required_below: int
    dual_consent: bool
    """Both the young person and the parent must agree (France, Loi 78-17 art. 45)."""
    child_assent_required_below: int | None
    account_minimum_age: int | None

    birth_day_needed: bool
    """Whether the age screen must ask for the day; month and year are the default."""
    self_declaration_allowed: bool
    """Whether a self-declared age may open what the law keeps from minors. Where it may not, a
    declaration still decides tier and consent of a service that anyone may use."""
    allowed_methods: frozenset[str] | None
    forbidden_methods: frozenset[str]
    min_assurance_level: AssuranceLevel
    min_accuracy: float | None
    gov_id_may_be_only_method: bool
    anonymous_option_required: bool
    provider_must_be_us_entity: bool
    third_party_provider_required: bool
    signal_resolution: SignalResolution
    signal_request_permitted: bool
    signal_rerequest_min_days: int | None
    age_change_requires_review: bool
    appeal_days: int
    evidence_deletion: EvidenceDeletion

    pending_consent_ttl_days: int
    notice_languages: frozenset[str]
    vpc_methods: frozenset[str]
    relationship_check: bool
    parent_identifiability: bool

    llm_obligations: LlmObligations
    child_monitoring_notice: bool
    fee_or_degradation_ban: bool
    records_hold_years: int | None

    reasons: frozenset[Reason]
    """Every rule that spoke, also those that a stricter one outdid."""

    @property
    def younger_teen_from(self) -> int:
        return max(self.child_threshold, self.teen_bands.younger_from)

    @property
    def older_teen_from(self) -> int:
        # A bracket of one year would be an exact age, so none is narrower than two.
        return max(self.younger_teen_from + 2, self.teen_bands.older_from)

    @property
    def adult_from(self) -> int:
        return max(self.older_teen_from + 2, self.teen_bands.adult_from)

    @property
    def tier_bounds(self) -> tuple[int, ...]:
        """The ages at which the tier changes, ascending: 13, 16, 18 unless a law says otherwise."""
        return (self.younger_teen_from, self.older_teen_from, self.adult_from)

    @property
    def boundaries(self) -> tuple[int, ...]:
        """The ages at which anything changes: the tier bounds and the age of consent.

        For decisions on our side only. Where the age of consent falls between two tier bounds
        (France: 15) a bracket can be one year wide, so tokens show `tiers.tier_range` instead.
        """
        ages = {*self.tier_bounds, self.consent_required_below}
        return tuple(sorted(ages))

    def today(self, now: datetime) -> date:
        """The day it is here, at the moment `now` (aware).

        Of several zones the one where the day begins last, so that nobody is older too early.
        """
        if now.tzinfo is None:
            raise ValueError("now must know its time zone")
        return min(now.astimezone(ZoneInfo(zone)).date() for zone in self.timezones)

    def because(self, field: str) -> list[Reason]:
        """The rules that spoke on one field, in a stable order."""
        return sorted(
            (reason for reason in self.reasons if reason.field == field),
            key=lambda reason: (reason.jurisdiction, reason.rule),
        )

    def strictest(self, other: PlaceRules) -> PlaceRules:
        """Rule by rule the stricter of the two. Both must speak of the same day."""
        if self.on != other.on:
            raise ValueError("rules of two days can't be merged")
        merged = {
            name: field.merge(getattr(self, name), getattr(other, name))
            for name, field in FIELDS.items()
        }
        return replace(
            self,
            place=self.place if self.place == other.place else UNKNOWN_PLACE,
            timezones=self.timezones | other.timezones,
            reasons=self.reasons | other.reasons,
            **merged,
        )

    def to_json(self) -> dict[str, object]:
        """The field names are those of the rule files; reasons are left to the caller."""
        return {name: value_to_json(getattr(self, name)) for name in FIELDS}


def value_to_json(value: Any) -> Any:
    """A rule's value as JSON, the way the rule files write it."""
    if isinstance(value, TeenBands | LlmObligations | EvidenceDeletion):
        return value.to_json()
    if isinstance(value, frozenset):
        return sorted(value)
    return value.value if isinstance(value, Enum) else value


def strictest_of(answers: Iterable[PlaceRules]) -> PlaceRules:
    """Merge at least one answer into the strictest."""
    first, *rest = answers
    for answer in rest:
        first = first.strictest(answer)
    return first


# The table and the dataclass must name the same fields; a slip is found on import, not in court.
_STRANGERS = set(FIELDS) ^ (
    {field.name for field in fields(PlaceRules)} - {"place", "on", "timezones", "reasons"}
)
if _STRANGERS:  # pragma: no cover - only a programmer's slip gets here
    raise TypeError(f"fields without a partner: {sorted(_STRANGERS)}")
