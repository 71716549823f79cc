"""The small values that rules are made of: closed sets of words and the few compound values."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

VPC_METHODS: Final = frozenset(
    {
        # 16 CFR 312.5(b)(2)(i)-(ix)
        "signed_form",
        "payment_transaction",
        "toll_free_call",
        "video_conference",
        "gov_id_database",
        "kba",
        "fmvpi",
        "email_plus",
        "text_plus",
        # 16 CFR 312.5(b)(3) and 312.12(a): only with an approval's reference
        "safe_harbor_approved",
        "commission_approved",
    }
)

AGE_METHODS: Final = frozenset(
    {
        "age_screen",
        "self_declaration",
        "facial_estimation",
        "email_age_estimation",
        "parent_declaration",
        "platform_signal",
        "photo_id_matching",
        "digital_identity",
        "proof_of_age",
        "open_banking",
        "mobile_operator_check",
        "credit_card",
        "debit_card",
    }
)
"""Ways of learning an age. Not a register of parents' methods: a debit card may prove a parent in
the United States and still says nothing about an age in the United Kingdom."""


class RuleStatus(StrEnum):
    IN_FORCE = "in_force"
    ENJOINED = "enjoined"
    FUTURE = "future"
    PROPOSED = "proposed"


class Scope(StrEnum):
    """Which services a rule speaks of."""

    ANY = "any"
    AI_CHAT = "ai_chat"
    APP_STORE = "app_store"
    SOCIAL_MEDIA = "social_media"
    ADDICTIVE_FEED = "addictive_feed"
    ONLINE_PLATFORM = "online_platform"
    ADULT_CONTENT = "adult_content"


DEFAULT_SCOPES: Final = frozenset({Scope.ANY, Scope.AI_CHAT, Scope.APP_STORE})
"""What is assumed of every client: an app that talks to an AI and may come from an app store."""


class SignalResolution(StrEnum):
    """Who wins when an operating system's age signal and our own data differ."""

    LOWEST = "lowest"
    OS_PRIMARY = "os_primary_unless_clear_convincing"


class Switch(StrEnum):
    OFF = "off"
    ON = "on"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeenBands:
    """Where the tiers meet, in completed years: younger teens, older teens, adults begin."""

    younger_from: int
    older_from: int
    adult_from: int

    def strictest(self, other: TeenBands) -> TeenBands:
        return TeenBands(
            younger_from=max(self.younger_from, other.younger_from),
            older_from=max(self.older_from, other.older_from),
            adult_from=max(self.adult_from, other.adult_from),
        )

    def to_json(self) -> list[list[int]]:
        return [
            [self.younger_from, self.older_from - 1],
            [self.older_from, self.adult_from - 1],
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmObligations:
    """What a service that lets people talk to a model owes them; durations in minutes."""

    ai_disclosure: bool = False
    reminder_minutes: int | None = None
    session_cap_minutes: int | None = None
    daily_cap_minutes: int | None = None
    memory_default: Switch = Switch.ON
    push_default: Switch = Switch.ON
    parent_link_required_to_change: bool = False

    def strictest(self, other: LlmObligations) -> LlmObligations:
        return LlmObligations(
            ai_disclosure=self.ai_disclosure or other.ai_disclosure,
            reminder_minutes=least(self.reminder_minutes, other.reminder_minutes),
            session_cap_minutes=least(self.session_cap_minutes, other.session_cap_minutes),
            daily_cap_minutes=least(self.daily_cap_minutes, other.daily_cap_minutes),
            memory_default=_off_wins(self.memory_default, other.memory_default),
            push_default=_off_wins(self.push_default, other.push_default),
            parent_link_required_to_change=(
                self.parent_link_required_to_change or other.parent_link_required_to_change
            ),
        )

    def to_json(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceDeletion:
    """When what was shown as evidence must be gone: at once, promptly, or within some days."""

    mode: str
    days: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        return ("immediate", "prompt", "days").index(self.mode), self.days

    def to_json(self) -> str | int:
        return self.days if self.mode == "days" else self.mode


def least(one: int | None, other: int | None) -> int | None:
    """The smaller limit; `None` is no limit at all."""
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _off_wins(one: Switch, other: Switch) -> Switch:
    return Switch.OFF if Switch.OFF in {one, other} else Switch.ON
