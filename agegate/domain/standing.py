"""Where a subject stands at one moment: tier, and what a parent's decision allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agegate.domain.age import AgeRange
from agegate.domain.consent import Consent
from agegate.domain.growing import grown, known_range
from agegate.domain.ids import PracticesVersion, PurposeId
from agegate.domain.operators import AudienceType, Client
from agegate.domain.people import Subject
from agegate.domain.place_rules import PlaceRules
from agegate.domain.tiers import decide_tier, needs_parent, tier_range
from agegate.wire.claims import AgeClaims, ConsentClaim
from agegate.wire.tiers import AgeTier, AssuranceLevel, ConsentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One answer for tokens, introspection, decisions and pages alike, so that none can differ."""

    tier: AgeTier
    state: ConsentState
    consent: Consent | None
    purposes: tuple[PurposeId, ...]
    claims: AgeClaims

    @property
    def consent_until(self) -> datetime | None:
        return (
            self.consent.expires_at if self.consent and self.state is ConsentState.GRANTED else None
        )


def age_that_counts(
    subject: Subject, client: Client, rules: PlaceRules, *, now: datetime
) -> AgeRange | None:
    """The range decisions are made on.

    A service directed to children may not take anyone's mere word for being older: everyone is a
    child there until something better than a declaration says otherwise (16 CFR 312.2).
    """
    if client.audience_type is AudienceType.CHILD_DIRECTED and subject.level in {
        None,
        AssuranceLevel.ASSERTED,
    }:
        return None
    return known_range(grown(subject, rules.boundaries, today=rules.today(now)))


def pick_consent(
    consents: Sequence[Consent], *, practices: PracticesVersion, now: datetime
) -> Consent | None:
    """The one that speaks: a live grant before anything else, otherwise the newest question."""
    newest_first = sorted(consents, key=lambda c: (c.requested_at, c.id), reverse=True)
    for consent in newest_first:
        if consent.state(practices=practices, now=now) is ConsentState.GRANTED:
            return consent
    return newest_first[0] if newest_first else None


def stand(
    subject: Subject,
    client: Client,
    consents: Sequence[Consent],
    rules: PlaceRules,
    *,
    rules_version: str,
    practices: PracticesVersion,
    now: datetime,
) -> Standing:
    """Everything that is true of a subject at a client at `now`."""
    age = age_that_counts(subject, client, rules, now=now)
    tier = decide_tier(age, rules)
    consent = pick_consent(consents, practices=practices, now=now)
    purposes: tuple[PurposeId, ...] = ()
    if not needs_parent(age, rules):
        state, consent = ConsentState.NOT_REQUIRED, None
        claim = ConsentClaim(state=state)
    elif consent is None:
        state = ConsentState.REQUIRED
        claim = ConsentClaim(state=state)
    else:
        state = consent.state(practices=practices, now=now)
        purposes = consent.live_purposes(practices=practices, now=now)
        live = state is ConsentState.GRANTED
        claim = ConsentClaim(
            state=state,
            purposes=purposes,
            record=consent.id,
            practices=consent.practices,
            until=int(consent.expires_at.timestamp()) if live else None,
        )
    shown = tier_range(tier, rules)
    claims = AgeClaims(
        age_tier=tier,
        lower=shown.lower,
        upper=shown.upper,
        acr=subject.level or AssuranceLevel.ASSERTED,
        amr=(subject.method_class,) if subject.method_class else (),
        jurisdiction=subject.place or rules.place,
        rules_version=rules_version,
        consent=claim,
    )
    return Standing(tier=tier, state=state, consent=consent, purposes=purposes, claims=claims)
