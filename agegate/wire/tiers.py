"""The closed sets of words that travel in tokens, answers and events."""

from __future__ import annotations

from enum import StrEnum


class AgeTier(StrEnum):
    """The age outcome a token carries, decided from the youngest age the evidence allows.

    The bounds between tiers come from the rulebook. A person whose age is unknown is a `CHILD`.
    """

    CHILD = "child"
    YOUNGER_TEEN = "younger_teen"
    OLDER_TEEN = "older_teen"
    ADULT = "adult"

    @property
    def is_minor(self) -> bool:
        return self is not AgeTier.ADULT


class AssuranceLevel(StrEnum):
    """How sure we are of an age, IEEE 2089.1 (ascending)."""

    ASSERTED = "asserted"
    BASIC = "basic"
    STANDARD = "standard"
    ENHANCED = "enhanced"
    STRICT = "strict"

    @property
    def rank(self) -> int:
        return list(AssuranceLevel).index(self)


class MethodClass(StrEnum):
    """How an age was learned, ISO/IEC 27566-1 words plus the two that come from others."""

    SELF_DECLARATION = "self_declaration"
    AGE_INFERENCE = "age_inference"
    AGE_ESTIMATION = "age_estimation"
    AGE_VERIFICATION = "age_verification"
    PLATFORM_SIGNAL = "platform_signal"
    PARENT_DECLARATION = "parent_declaration"


class ConsentState(StrEnum):
    """What a client may know of a parent's decision."""

    NOT_REQUIRED = "not_required"
    REQUIRED = "required"
    PENDING = "pending"
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    EXPIRED = "expired"
    STALE = "stale"

    @property
    def authorises(self) -> bool:
        """Only these two let a purpose go ahead."""
        return self in {ConsentState.GRANTED, ConsentState.NOT_REQUIRED}
