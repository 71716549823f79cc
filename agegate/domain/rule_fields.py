"""The one table of what a rule may say: how each field is read and what "strictest" means for it.

Every `strictest` is commutative, associative and idempotent, and its result is never looser than
any of its inputs; `tests/unit/domain/test_rules.py` holds that by property. A field that no rule
and no default sets is `None`: the law is silent, which is looser than anything it could say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar, cast

from agegate.domain.places import RuleError
from agegate.domain.rule_values import (
    AGE_METHODS,
    VPC_METHODS,
    EvidenceDeletion,
    LlmObligations,
    SignalResolution,
    Switch,
    TeenBands,
)
from agegate.wire.tiers import AssuranceLevel

Read = Callable[[object, str], Any]
Merge = Callable[[Any, Any], Any]
E = TypeVar("E", bound=StrEnum)

MAX_AGE: Final = 25
"""No law fixes a child's or young person's age above this; a larger number is a slip."""

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,8})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleField:
    name: str
    read: Read
    """Raises `RuleError` with the path of what is wrong."""
    strictest: Merge
    optional: bool = False
    """Whether `None` (the law is silent) is a lawful answer, so that no default is demanded."""

    def merge(self, one: Any, other: Any) -> Any:
        if one is None:
            return other
        return one if other is None else self.strictest(one, other)


# --- reading ---------------------------------------------------------------------------------


def read_flag(value: object, path: str) -> bool:
    if isinstance(value, bool):
        return value
    raise RuleError(f"{path}: must be true or false")


def whole(low: int, high: int) -> Read:
    def read(value: object, path: str) -> int:
        # `True` is an int in Python and never an age in a law.
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise RuleError(f"{path}: must be a whole number from {low} to {high}")

    return read


def read_text(value: object, path: str) -> str:
    if isinstance(value, str) and value.strip() and value == value.strip():
        return value
    raise RuleError(f"{path}: must be a text that is not empty")


def read_list(value: object, path: str) -> list[object]:
    if isinstance(value, list) and value:
        return value
    raise RuleError(f"{path}: must be a list that is not empty")


def read_table(value: object, path: str) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value)
    raise RuleError(f"{path}: must be a table")


def one_of(words: type[E]) -> Callable[[object, str], E]:
    def read(value: object, path: str) -> E:
        if isinstance(value, str) and value in list(words):
            return words(value)
        raise RuleError(f"{path}: must be one of {', '.join(words)}")

    return read


def words_from(known: frozenset[str]) -> Read:
    def read(value: object, path: str) -> frozenset[str]:
        words = [read_text(item, f"{path}[{i}]") for i, item in enumerate(read_list(value, path))]
        strange = sorted(set(words) - known)
        if strange or len(set(words)) != len(words):
            raise RuleError(f"{path}: unknown or doubled: {', '.join(strange or words)}")
        return frozenset(words)

    return read


def _read_languages(value: object, path: str) -> frozenset[str]:
    tags = [read_text(item, f"{path}[{i}]") for i, item in enumerate(read_list(value, path))]
    if all(_LANGUAGE.fullmatch(tag) for tag in tags):
        return frozenset(tags)
    raise RuleError(f"{path}: must be language tags such as es or zh-Hans (BCP 47)")


def _read_share(value: object, path: str) -> float:
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise RuleError(f"{path}: must be a number between 0 and 1")


def _read_teen_bands(value: object, path: str) -> TeenBands:
    age = whole(1, MAX_AGE)
    match value:
        case [[younger, younger_to], [older, older_to]]:
            ages = [age(item, path) for item in (younger, younger_to, older, older_to)]
            if ages[0] <= ages[1] and ages[1] + 1 == ages[2] and ages[2] <= ages[3]:
                return TeenBands(younger_from=ages[0], older_from=ages[2], adult_from=ages[3] + 1)
        case _:
            pass
    raise RuleError(f"{path}: must be two bands that touch, such as [[13, 15], [16, 17]]")


def _read_evidence_deletion(value: object, path: str) -> EvidenceDeletion:
    if value in ("immediate", "prompt"):
        return EvidenceDeletion(mode=str(value))
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 365:  # noqa: PLR2004 - days in a year
        return EvidenceDeletion(mode="days", days=value)
    raise RuleError(f"{path}: must be immediate, prompt or a number of days")


_OBLIGATIONS: Final[Mapping[str, Read]] = {
    "ai_disclosure": read_flag,
    "reminder_minutes": whole(1, 1440),
    "session_cap_minutes": whole(1, 1440),
    "daily_cap_minutes": whole(1, 1440),
    "memory_default": one_of(Switch),
    "push_default": one_of(Switch),
    "parent_link_required_to_change": read_flag,
}


def _read_obligations(value: object, path: str) -> LlmObligations:
    table = read_table(value, path)
    for key in table:
        if key not in _OBLIGATIONS:
            raise RuleError(f"{path}.{key}: unknown key")
    return LlmObligations(
        **{key: _OBLIGATIONS[key](item, f"{path}.{key}") for key, item in table.items()}
    )


# --- merging ---------------------------------------------------------------------------------


def _either(one: bool, other: bool) -> bool:  # noqa: FBT001 - a merge takes two values of its field
    return one or other


def _both(one: bool, other: bool) -> bool:  # noqa: FBT001 - a merge takes two values of its field
    return one and other


def _narrowest(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    return one & other


def _all_of(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    return one | other


def _higher_level(one: AssuranceLevel, other: AssuranceLevel) -> AssuranceLevel:
    return max(one, other, key=lambda level: level.rank)


def _lowest_wins(one: SignalResolution, other: SignalResolution) -> SignalResolution:
    # "lowest" can only ever lower an age, so it is the stricter of the two.
    return one if one is other else SignalResolution.LOWEST


def _sooner(one: EvidenceDeletion, other: EvidenceDeletion) -> EvidenceDeletion:
    return min(one, other, key=lambda deletion: deletion.rank)


_age = whole(1, MAX_AGE)
_days = whole(1, 3650)

_TABLE: Final = (
    # Ages: the higher age protects more people.
    RuleField(name="child_threshold", read=_age, strictest=max),
    RuleField(name="teen_bands", read=_read_teen_bands, strictest=TeenBands.strictest),
    RuleField(name="consent_required_below", read=_age, strictest=max),
    RuleField(name="child_assent_required_below", read=_age, strictest=max, optional=True),
    RuleField(name="account_minimum_age", read=_age, strictest=max, optional=True),
    # Duties: one law that asks is enough.
    RuleField(name="dual_consent", read=read_flag, strictest=_either),
    RuleField(name="birth_day_needed", read=read_flag, strictest=_either),
    RuleField(name="anonymous_option_required", read=read_flag, strictest=_either),
    RuleField(name="provider_must_be_us_entity", read=read_flag, strictest=_either),
    RuleField(name="third_party_provider_required", read=read_flag, strictest=_either),
    RuleField(name="age_change_requires_review", read=read_flag, strictest=_either),
    RuleField(name="relationship_check", read=read_flag, strictest=_either),
    RuleField(name="parent_identifiability", read=read_flag, strictest=_either),
    RuleField(name="child_monitoring_notice", read=read_flag, strictest=_either),
    RuleField(name="fee_or_degradation_ban", read=read_flag, strictest=_either),
    # Permissions: one law that refuses is enough.
    RuleField(name="self_declaration_allowed", read=read_flag, strictest=_both),
    RuleField(name="gov_id_may_be_only_method", read=read_flag, strictest=_both),
    RuleField(name="signal_request_permitted", read=read_flag, strictest=_both),
    # Methods: what every law accepts, and nothing that any law refuses.
    RuleField(
        name="allowed_methods", read=words_from(AGE_METHODS), strictest=_narrowest, optional=True
    ),
    RuleField(
        name="forbidden_methods", read=words_from(AGE_METHODS), strictest=_all_of, optional=True
    ),
    RuleField(name="vpc_methods", read=words_from(VPC_METHODS), strictest=_narrowest),
    # Quality: the better proof.
    RuleField(name="min_assurance_level", read=one_of(AssuranceLevel), strictest=_higher_level),
    RuleField(name="min_accuracy", read=_read_share, strictest=max, optional=True),
    RuleField(name="signal_resolution", read=one_of(SignalResolution), strictest=_lowest_wins),
    # Times: shorter for what we keep or owe, longer for leaving people alone and for the records.
    RuleField(name="appeal_days", read=_days, strictest=min),
    # 14 days is the ceiling everywhere: 16 CFR 312.5(c)(1) says "a reasonable time", and the FTC's
    # 2023 Microsoft order made that two weeks from collection.
    RuleField(name="pending_consent_ttl_days", read=whole(1, 14), strictest=min),
    RuleField(name="signal_rerequest_min_days", read=_days, strictest=max, optional=True),
    RuleField(name="records_hold_years", read=whole(1, 30), strictest=max, optional=True),
    RuleField(name="evidence_deletion", read=_read_evidence_deletion, strictest=_sooner),
    # Letters and machines.
    RuleField(name="notice_languages", read=_read_languages, strictest=_all_of, optional=True),
    RuleField(name="llm_obligations", read=_read_obligations, strictest=LlmObligations.strictest),
)

FIELDS: Final[Mapping[str, RuleField]] = {field.name: field for field in _TABLE}
