"""The age and consent claims of a token: one codec for the issuer and for those who check.

No claim holds a name, an address, a birth date, an exact age or a parent's data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from agegate.wire.tiers import AgeTier, AssuranceLevel, ConsentState, MethodClass

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T", str, int)


class ClaimsError(ValueError):
    """Claims that are not of the agreed shape. The message names the claim, never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentClaim:
    """The `consent` claim: what a parent's decision allows right now.

    `purposes` is empty unless `state` is `granted`. `until` is seconds since the epoch.
    """

    state: ConsentState
    purposes: tuple[str, ...] = ()
    record: str | None = None
    practices: str | None = None
    until: int | None = None

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"state": self.state.value}
        if self.state is not ConsentState.NOT_REQUIRED:
            body["purposes"] = list(self.purposes)
        if self.record is not None:
            body["record"] = self.record
        if self.practices is not None:
            body["practices"] = self.practices
        if self.until is not None:
            body["until"] = self.until
        return body

    @classmethod
    def parse(cls, raw: object) -> ConsentClaim:
        """Read the claim strictly. Raises `ClaimsError`."""
        if not isinstance(raw, Mapping):
            raise ClaimsError("consent")
        return cls(
            state=_member(ConsentState, raw.get("state"), "consent.state"),
            purposes=_strings(raw.get("purposes", []), "consent.purposes"),
            record=_optional(raw.get("record"), str, "consent.record"),
            practices=_optional(raw.get("practices"), str, "consent.practices"),
            until=_optional(raw.get("until"), int, "consent.until"),
        )

    def allows(self, purpose: str, *, now: float) -> bool:
        """Whether `purpose` may go ahead at `now` (seconds since the epoch)."""
        match self.state:
            case ConsentState.NOT_REQUIRED:
                return True
            case ConsentState.GRANTED:
                return purpose in self.purposes and (self.until is None or now < self.until)
            case _:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeClaims:
    """The `age_*`, `acr`, `amr`, `jurisdiction` and `consent` claims.

    Alike in every token and answer.
    """

    age_tier: AgeTier
    lower: int | None
    upper: int | None
    acr: AssuranceLevel
    amr: tuple[MethodClass, ...]
    jurisdiction: str
    rules_version: str
    consent: ConsentClaim

    def to_json(self) -> dict[str, Any]:
        age_range = {"lower": self.lower, "upper": self.upper}
        return {
            "age_tier": self.age_tier.value,
            "age_range": {k: v for k, v in age_range.items() if v is not None},
            "acr": self.acr.value,
            "amr": [m.value for m in self.amr],
            "jurisdiction": self.jurisdiction,
            "rules_version": self.rules_version,
            "consent": self.consent.to_json(),
        }

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> AgeClaims:
        """Read the claims strictly; a missing or strange one is an error, never a guess.

        Raises `ClaimsError`.
        """
        age_range = raw.get("age_range")
        if not isinstance(age_range, Mapping) or set(age_range) - {"lower", "upper"}:
            raise ClaimsError("age_range")
        methods = _strings(raw.get("amr"), "amr")
        return cls(
            age_tier=_member(AgeTier, raw.get("age_tier"), "age_tier"),
            lower=_optional(age_range.get("lower"), int, "age_range.lower"),
            upper=_optional(age_range.get("upper"), int, "age_range.upper"),
            acr=_member(AssuranceLevel, raw.get("acr"), "acr"),
            amr=tuple(_member(MethodClass, m, "amr") for m in methods),
            jurisdiction=_required(raw.get("jurisdiction"), "jurisdiction"),
            rules_version=_required(raw.get("rules_version"), "rules_version"),
            consent=ConsentClaim.parse(raw.get("consent")),
        )


def _member(kind: type[E], value: object, name: str) -> E:
    if not isinstance(value, str):
        raise ClaimsError(name)
    try:
        return kind(value)
    except ValueError:
        raise ClaimsError(name) from None


def _optional(value: object, kind: type[T], name: str) -> T | None:
    if value is None:
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ClaimsError(name)
    return value


def _required(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ClaimsError(name)
    return value


def _strings(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ClaimsError(name)
    return tuple(value)
