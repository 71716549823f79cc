"""Tier and consent are judged once, so tokens, introspection, decisions and pages can't differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

from agegate.domain.consent import GRANT_FOR, Consent, Stage
from agegate.domain.ids import PracticesVersion, PurposeId, RecordId
from agegate.domain.operators import AudienceType, Client
from agegate.domain.people import Subject
from agegate.domain.standing import Standing, age_that_counts, pick_consent, stand
from agegate.wire.claims import AgeClaims, ClaimsError, ConsentClaim
from agegate.wire.tiers import AgeTier, AssuranceLevel, ConsentState, MethodClass
from tests.factories import NOON, a_client, a_consent
from tests.unit.domain.rulebooks import some_rules
from tests.unit.domain.test_growing import a_subject

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "claims.json"
TICK = timedelta(microseconds=1)
CHAT = PurposeId("ai_chat")
PRACTICES = PracticesVersion("sha256:" + "5" * 64)
OTHER = PracticesVersion("sha256:" + "6" * 64)
RULES = some_rules(consent_required_below=13)
LEVELS = list(AssuranceLevel)


def a_child(**overrides: Any) -> Subject:
    known: dict[str, Any] = {
        "upper": 12,
        "turns_on": date(2028, 1, 1),
        "method": "age_screen",
        "method_class": MethodClass.SELF_DECLARATION,
        "level": AssuranceLevel.ASSERTED,
    }
    return a_subject(**{**known, **overrides})


def granted(**overrides: Any) -> Consent:
    fields: dict[str, Any] = {
        "stage": Stage.GRANTED,
        "granted": (CHAT,),
        "practices": PRACTICES,
        "expires_at": NOON + GRANT_FOR,
    }
    return a_consent(**{**fields, **overrides})


def standing(
    subject: Subject, *consents: Consent, client: Client | None = None, **more: Any
) -> Standing:
    fields: dict[str, Any] = {
        "rules": RULES,
        "rules_version": "2026-11-01",
        "practices": PRACTICES,
        "now": NOON,
    }
    fields |= more
    rules = fields.pop("rules")
    return stand(subject, client or a_client(), consents, rules, **fields)


# -- the age that counts -------------------------------------------------------------------------


@pytest.mark.parametrize("audience", list(AudienceType))
@pytest.mark.parametrize("level", [None, *LEVELS])
def test_law_12_a_mere_word_makes_nobody_older_where_children_are_addressed(
    audience: AudienceType, level: AssuranceLevel | None
) -> None:
    client = a_client(audience_type=audience)
    subject = a_child(lower=18, upper=None, turns_on=None, level=level)
    age = age_that_counts(subject, client, RULES, now=NOON)
    word_only = level in {None, AssuranceLevel.ASSERTED}
    if audience is AudienceType.CHILD_DIRECTED and word_only:
        assert age is None
        assert standing(subject, client=client).tier is AgeTier.CHILD
    else:
        assert age is not None
        assert age.lower == 18
        assert standing(subject, client=client).tier is AgeTier.ADULT


@pytest.mark.parametrize("audience", list(AudienceType))
def test_law_12_an_unknown_age_is_a_child(audience: AudienceType) -> None:
    client = a_client(audience_type=audience)
    unknown = a_subject(method=None, lower=18)
    found = standing(unknown, client=client)
    assert (found.tier, found.state) == (AgeTier.CHILD, ConsentState.REQUIRED)
    assert found.claims.acr is AssuranceLevel.ASSERTED
    assert found.claims.amr == ()


def test_law_79_a_birthday_counts_before_any_worker_comes_by() -> None:
    today = RULES.today(NOON)
    found = standing(a_child(turns_on=today))
    assert (found.tier, found.state) == (AgeTier.YOUNGER_TEEN, ConsentState.NOT_REQUIRED)
    assert standing(a_child(turns_on=today + timedelta(days=1))).tier is AgeTier.CHILD


# -- which consent speaks ------------------------------------------------------------------------


def named(name: str, age: int, **overrides: Any) -> Consent:
    return granted(id=RecordId(name), requested_at=NOON - timedelta(days=age), **overrides)


def test_of_no_consents_none_speaks() -> None:
    assert pick_consent([], practices=PRACTICES, now=NOON) is None


@pytest.mark.parametrize(
    ("consents", "speaks"),
    [
        ([named("old", 9), named("new", 1)], "new"),
        ([named("old", 9), named("new", 1, stage=Stage.NOTIFIED)], "old"),
        ([named("old", 9), named("new", 1, stage=Stage.DENIED)], "old"),
        ([named("old", 9, stage=Stage.DENIED), named("new", 1, stage=Stage.OPENED)], "new"),
        ([named("old", 9, practices=OTHER), named("new", 1, stage=Stage.OPENED)], "new"),
        ([named("old", 9, expires_at=NOON), named("new", 1, stage=Stage.WITHDRAWN)], "new"),
        ([named("a", 1, stage=Stage.DENIED), named("b", 1, stage=Stage.DENIED)], "b"),
    ],
)
def test_a_live_grant_speaks_first_and_the_newest_question_next(
    consents: Sequence[Consent], speaks: str
) -> None:
    for order in permutations(consents):
        found = pick_consent(order, practices=PRACTICES, now=NOON)
        assert found is not None
        assert found.id == speaks


# -- tier x need x state -------------------------------------------------------------------------

STATES = {
    **dict.fromkeys([s for s in Stage if s.is_open], ConsentState.PENDING),
    Stage.GRANTED: ConsentState.GRANTED,
    Stage.DENIED: ConsentState.DENIED,
    Stage.EXPIRED: ConsentState.EXPIRED,
    Stage.WITHDRAWN: ConsentState.WITHDRAWN,
    Stage.REVOKED: ConsentState.REVOKED,
    Stage.STALE: ConsentState.STALE,
    Stage.SUPERSEDED: ConsentState.WITHDRAWN,
}
AGES = {
    AgeTier.CHILD: (None, 12),
    AgeTier.YOUNGER_TEEN: (13, 15),
    AgeTier.OLDER_TEEN: (16, 17),
    AgeTier.ADULT: (18, None),
}


@pytest.mark.parametrize(
    ("tier", "below", "stage"), list(product(AgeTier, (13, 16, 18), [None, *Stage]))
)
def test_every_tier_need_and_stage(tier: AgeTier, below: int, stage: Stage | None) -> None:
    lower, upper = AGES[tier]
    subject = a_child(lower=lower, upper=upper, turns_on=None)
    consents = [] if stage is None else [granted(stage=stage)]
    found = standing(subject, *consents, rules=some_rules(consent_required_below=below))
    assert found.tier is tier
    assert (found.claims.age_tier, found.claims.lower, found.claims.upper) == (tier, lower, upper)
    if (lower or 0) >= below:
        assert found.state is ConsentState.NOT_REQUIRED
        assert (found.consent, found.purposes, found.consent_until) == (None, (), None)
        assert found.claims.consent == ConsentClaim(state=ConsentState.NOT_REQUIRED)
    elif stage is None:
        assert found.state is ConsentState.REQUIRED
        assert (found.consent, found.purposes, found.consent_until) == (None, (), None)
        assert found.claims.consent == ConsentClaim(state=ConsentState.REQUIRED)
    else:
        live = stage is Stage.GRANTED
        assert found.state is STATES[stage]
        assert found.consent == consents[0]
        assert found.purposes == ((CHAT,) if live else ())
        assert found.consent_until == (NOON + GRANT_FOR if live else None)
        assert found.claims.consent == ConsentClaim(
            state=STATES[stage],
            purposes=(CHAT,) if live else (),
            record="cr_storybuddy_1",
            practices=PRACTICES,
            until=int((NOON + GRANT_FOR).timestamp()) if live else None,
        )


@pytest.mark.parametrize(
    ("overrides", "state"),
    [
        ({}, ConsentState.GRANTED),
        ({"expires_at": NOON + timedelta(seconds=1)}, ConsentState.GRANTED),
        ({"expires_at": NOON}, ConsentState.EXPIRED),
        ({"practices": OTHER}, ConsentState.STALE),
    ],
)
def test_law_1_no_purpose_without_a_consent_that_stands(
    overrides: dict[str, Any], state: ConsentState
) -> None:
    found = standing(a_child(), granted(**overrides))
    assert found.state is state
    assert bool(found.purposes) is found.state.authorises is (state is ConsentState.GRANTED)
    assert found.claims.consent.allows(CHAT, now=NOON.timestamp()) is found.state.authorises


def test_law_77_a_claim_ends_with_the_second_in_which_the_consent_ends() -> None:
    """Claims count whole seconds, so they are rounded down: never later than the consent."""
    found = standing(a_child(), granted(expires_at=NOON + timedelta(seconds=2) - TICK))
    assert found.claims.consent.until == int(NOON.timestamp()) + 1


def test_law_74_a_token_shows_the_whole_bracket_and_no_more() -> None:
    """Where the age of consent is 15, a decision is made on one year; no token shows that."""
    rules = some_rules(consent_required_below=15)
    found = standing(a_child(lower=15, upper=15, turns_on=date(2027, 5, 1)), rules=rules)
    assert (found.claims.lower, found.claims.upper) == (13, 15)
    assert found.state is ConsentState.NOT_REQUIRED
    assert set(found.claims.to_json()) == {
        "age_tier",
        "age_range",
        "acr",
        "amr",
        "jurisdiction",
        "rules_version",
        "consent",
    }


def test_the_place_is_the_subjects_or_the_rules() -> None:
    assert standing(a_child(place="US-IL")).claims.jurisdiction == "US-IL"
    assert standing(a_child(place=None)).claims.jurisdiction == RULES.place == "US"
    assert standing(a_child()).claims.rules_version == "2026-11-01"


# -- claims on the wire --------------------------------------------------------------------------


def samples() -> dict[str, AgeClaims]:
    """One of each shape a client can meet."""
    teen = a_child(lower=13, upper=15, level=AssuranceLevel.STANDARD)
    adult = a_child(lower=18, upper=None, turns_on=None, method_class=MethodClass.AGE_ESTIMATION)
    return {
        "adult": standing(adult).claims,
        "child_denied": standing(a_child(), granted(stage=Stage.DENIED)).claims,
        "child_granted": standing(a_child(), granted()).claims,
        "child_required": standing(a_child()).claims,
        "teen": standing(teen).claims,
        "unknown": standing(a_subject(method=None, place=None)).claims,
    }


def test_the_claims_of_every_shape_are_frozen() -> None:
    shown = {name: claims.to_json() for name, claims in samples().items()}
    assert json.dumps(shown, indent=2, sort_keys=True) + "\n" == GOLDEN.read_text()


@pytest.mark.parametrize("name", list(samples()))
def test_claims_are_read_as_they_were_written(name: str) -> None:
    claims = samples()[name]
    assert AgeClaims.parse(json.loads(json.dumps(claims.to_json()))) == claims


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("age_tier", None, "age_tier"),
        ("age_tier", "toddler", "age_tier"),
        ("age_range", None, "age_range"),
        ("age_range", {"lower": "13"}, "age_range.lower"),
        ("age_range", {"upper": True}, "age_range.upper"),
        ("age_range", {"exact": 12}, "age_range"),
        ("acr", "very", "acr"),
        ("amr", "self_declaration", "amr"),
        ("amr", ["crystal_ball"], "amr"),
        ("amr", [1], "amr"),
        ("jurisdiction", "", "jurisdiction"),
        ("rules_version", 3, "rules_version"),
        ("consent", None, "consent"),
        ("consent", {"state": "maybe"}, "consent.state"),
        ("consent", {"state": "granted", "purposes": "ai_chat"}, "consent.purposes"),
        ("consent", {"state": "granted", "record": 1}, "consent.record"),
        ("consent", {"state": "granted", "practices": []}, "consent.practices"),
        ("consent", {"state": "granted", "until": "tomorrow"}, "consent.until"),
        ("consent", {"state": "granted", "until": True}, "consent.until"),
    ],
)
def test_law_1_strange_claims_are_an_error_and_never_a_guess(
    name: str, value: object, wrong: str
) -> None:
    raw = {**samples()["child_granted"].to_json(), name: value}
    with pytest.raises(ClaimsError) as caught:
        AgeClaims.parse(raw)
    assert str(caught.value) == wrong


@pytest.mark.parametrize("state", list(ConsentState))
def test_only_two_states_let_a_purpose_go_ahead(state: ConsentState) -> None:
    claim = ConsentClaim(state=state, purposes=("ai_chat",), until=100)
    free = state is ConsentState.NOT_REQUIRED
    live = state is ConsentState.GRANTED
    assert claim.allows("ai_chat", now=99.9) is (free or live)
    assert claim.allows("ai_chat", now=100) is free
    assert claim.allows("other", now=99.9) is free
    assert replace(claim, until=None).allows("ai_chat", now=1e12) is (free or live)
