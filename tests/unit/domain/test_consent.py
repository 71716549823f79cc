"""The life of a consent: which step is allowed from where, until when, and what is written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from agegate.domain.change import Change
from agegate.domain.consent import GRANT_FOR, OPEN, PENDING_FOR, Consent, Stage, request
from agegate.domain.errors import (
    AgegateError,
    ConflictError,
    FieldErrors,
    LinkExpiredError,
    NotAllowedNowError,
)
from agegate.domain.ids import Digest, PracticesVersion, PurposeId, RecordId
from agegate.domain.ledger import FactKind
from agegate.domain.operators import Purpose
from agegate.wire.tiers import ConsentState
from tests.factories import (
    NOON,
    a_consent,
    a_disclosure,
    a_parent_id,
    a_purpose,
    some_evidence,
)

TICK = timedelta(microseconds=1)
CHAT, SHARE = PurposeId("ai_chat"), PurposeId("disclose:researchlab")
EXTRA = a_purpose(id=PurposeId("leaderboard"), core=False)
PURPOSES = (a_purpose(), a_disclosure())
YES: Mapping[str, str] = {CHAT: "grant", SHARE: "grant"}
NEW_PRACTICES = PracticesVersion("sha256:new")
EARLIER = frozenset({Stage.REQUESTED, Stage.NOTIFIED})


def at(stage: Stage, **overrides: Any) -> Consent:
    """A consent that went the whole way to `stage`."""
    consent = a_consent()
    fields: dict[str, Any] = {"stage": stage}
    if stage not in EARLIER:
        fields |= {"opened_at": NOON, "notified_at": NOON}
    if stage not in {*EARLIER, Stage.OPENED}:
        fields |= {"evidence": some_evidence()}
    if stage not in {*EARLIER, Stage.OPENED, Stage.PROVED}:
        fields |= {"decided_at": NOON, "granted": (CHAT, SHARE), "parent_id": a_parent_id()}
    return replace(consent, **{**fields, **overrides})


EVENTS: Mapping[str, Callable[[Consent], Change[Consent]]] = {
    "notify": lambda c: c.notify(now=NOON),
    "open": lambda c: c.open(same_browser=False, now=NOON),
    "prove": lambda c: c.prove(some_evidence(), now=NOON),
    "decide": lambda c: c.decide(YES, PURPOSES, parent=a_parent_id(), now=NOON),
    "confirm": lambda c: c.confirm(now=NOON),
    "refuse": lambda c: c.refuse("not_my_child", now=NOON),
    "lapse": lambda c: replace(c, expires_at=NOON).lapse(now=NOON),
    "withdraw": lambda c: c.withdraw(now=NOON),
    "revoke": lambda c: c.revoke("by_us", now=NOON),
    "outdate": lambda c: c.outdate(NEW_PRACTICES, now=NOON),
    "supersede": lambda c: c.supersede(RecordId("cr_2"), now=NOON),
}
S = Stage
ALLOWED: Mapping[str, Mapping[Stage, Stage]] = {
    "notify": {
        S.REQUESTED: S.NOTIFIED,
        S.NOTIFIED: S.NOTIFIED,
        S.OPENED: S.OPENED,
        S.PROVED: S.PROVED,
        S.DECIDED: S.DECIDED,
    },
    "open": {
        S.REQUESTED: S.OPENED,
        S.NOTIFIED: S.OPENED,
        S.OPENED: S.OPENED,
        S.PROVED: S.PROVED,
        S.DECIDED: S.DECIDED,
    },
    "prove": {S.OPENED: S.PROVED},
    "decide": {S.PROVED: S.GRANTED},
    "confirm": {S.DECIDED: S.GRANTED},
    "refuse": dict.fromkeys(OPEN, S.DENIED),
    "lapse": dict.fromkeys((*OPEN, S.GRANTED), S.EXPIRED),
    "withdraw": dict.fromkeys((S.GRANTED, S.STALE, S.DECIDED), S.WITHDRAWN),
    "revoke": dict.fromkeys((*OPEN, S.GRANTED, S.STALE), S.REVOKED),
    "outdate": {S.GRANTED: S.STALE},
    "supersede": {S.GRANTED: S.SUPERSEDED},
}
FACTS: Mapping[str, FactKind] = {
    "notify": FactKind.CONSENT_NOTIFIED,
    "open": FactKind.CONSENT_OPENED,
    "prove": FactKind.CONSENT_PROVED,
    "decide": FactKind.CONSENT_GRANTED,
    "confirm": FactKind.CONSENT_GRANTED,
    "refuse": FactKind.CONSENT_DENIED,
    "lapse": FactKind.CONSENT_EXPIRED,
    "withdraw": FactKind.CONSENT_WITHDRAWN,
    "revoke": FactKind.CONSENT_REVOKED,
    "outdate": FactKind.CONSENT_STALE,
    "supersede": FactKind.CONSENT_SUPERSEDED,
}
ENDS = frozenset(Stage) - OPEN - {Stage.GRANTED}


# -- every step from every stage -----------------------------------------------------------------


@pytest.mark.parametrize(("event", "stage"), list(product(EVENTS, Stage)))
def test_each_step_is_allowed_from_these_stages_only(event: str, stage: Stage) -> None:
    before = at(stage)
    expected = ALLOWED[event].get(stage)
    if expected is None:
        with pytest.raises(NotAllowedNowError):
            EVENTS[event](before)
        return
    change = EVENTS[event](before)
    assert change.after.stage is expected
    assert change.fact.kind is FACTS[event]
    assert (change.fact.operator_id, change.fact.client_id, change.fact.record) == (
        before.operator_id,
        before.client_id,
        before.id,
    )
    assert (change.after.ended_at == NOON) is (expected in ENDS)
    assert change.after.version == before.version, "the store alone counts versions"


def test_the_open_stages_are_the_first_five() -> None:
    assert [s for s in Stage if s.is_open] == list(Stage)[:5]


@pytest.mark.parametrize("event", ["notify", "open", "prove", "decide", "confirm", "refuse"])
def test_a_question_can_be_answered_until_it_runs_out(event: str) -> None:
    stage = next(iter(s for s in Stage if s in ALLOWED[event]))
    last = at(stage, expires_at=NOON + TICK)
    assert EVENTS[event](last).after.stage is ALLOWED[event][stage]
    for late in (NOON, NOON - TICK):
        with pytest.raises(LinkExpiredError):
            EVENTS[event](at(stage, expires_at=late))


def test_confirming_twice_is_not_allowed() -> None:
    granted = at(Stage.DECIDED).confirm(now=NOON).after
    with pytest.raises(NotAllowedNowError):
        granted.confirm(now=NOON)


def test_no_error_names_a_person_or_an_id() -> None:
    for event, stage in product(EVENTS, Stage):
        if stage not in ALLOWED[event]:
            with pytest.raises(AgegateError) as caught:
                EVENTS[event](at(stage))
            assert "cr_storybuddy" not in str(caught.value)


# -- asking --------------------------------------------------------------------------------------


def a_request(**overrides: Any) -> Change[Consent]:
    fields: dict[str, Any] = {
        "id_": RecordId("cr_2"),
        "operator_id": a_consent().operator_id,
        "client_id": a_consent().client_id,
        "subject_id": a_consent().subject_id,
        "purposes": (CHAT, SHARE),
        "practices": a_consent().practices,
        "jurisdiction": "US-IL",
        "locale": "es",
        "notice": Digest("a" * 64),
        "now": NOON,
    }
    return request(**{**fields, **overrides})


def test_a_request_is_what_was_asked_and_says_so() -> None:
    change = a_request()
    consent = change.after
    assert consent == a_consent(id=RecordId("cr_2"), locale="es", notice=Digest("a" * 64))
    assert change.fact.kind is FactKind.CONSENT_REQUESTED
    assert change.fact.record == "cr_2"
    assert (change.fact.operator_id, change.fact.client_id) == (
        consent.operator_id,
        consent.client_id,
    )
    assert change.fact.data == {
        "purposes": (CHAT, SHARE),
        "practices": consent.practices,
        "jurisdiction": "US-IL",
        "notice": "a" * 64,
    }


@pytest.mark.parametrize(
    ("wait", "waits"),
    [
        (timedelta(days=14), timedelta(days=14)),
        (timedelta(days=14) - TICK, timedelta(days=14) - TICK),
        (timedelta(days=14) + TICK, timedelta(days=14)),
        (timedelta(days=7), timedelta(days=7)),
        (timedelta(days=365), timedelta(days=14)),
    ],
)
def test_law_3_a_question_waits_fourteen_days_at_most(wait: timedelta, waits: timedelta) -> None:
    assert a_request(wait=wait).after.expires_at == NOON + waits
    assert a_request().after.expires_at == NOON + timedelta(days=14)
    assert timedelta(days=14) == PENDING_FOR


def test_a_larger_request_carries_what_is_granted_and_asks_only_for_the_rest() -> None:
    old = at(Stage.GRANTED, granted=(CHAT,), refused=(SHARE,), expires_at=NOON + GRANT_FOR)
    consent = a_request(purposes=(EXTRA.id,), replaces=old).after
    assert consent.carried == (CHAT,)
    assert consent.replaces == old.id
    assert consent.purposes == (EXTRA.id,)


def test_what_is_asked_anew_is_not_carried() -> None:
    old = at(Stage.GRANTED, granted=(CHAT, SHARE), expires_at=NOON + GRANT_FOR)
    assert a_request(purposes=(SHARE,), replaces=old).after.carried == (CHAT,)


@pytest.mark.parametrize(
    "old",
    [
        at(Stage.GRANTED, practices=NEW_PRACTICES, expires_at=NOON + GRANT_FOR),
        at(Stage.GRANTED, expires_at=NOON),
        *(at(stage) for stage in sorted(ENDS)),
    ],
    ids=lambda c: f"{c.stage}",
)
def test_law_9_nothing_is_carried_from_a_consent_that_no_longer_stands(old: Consent) -> None:
    assert a_request(purposes=(EXTRA.id,), replaces=old).after.carried == ()


# -- notice and opening --------------------------------------------------------------------------


def test_a_notice_that_left_is_written_down_with_its_words_and_language() -> None:
    change = at(Stage.REQUESTED).notify(now=NOON + TICK)
    assert change.after.notified_at == NOON + TICK
    assert change.fact.data == {"notice": "0" * 64, "language": "en"}


@pytest.mark.parametrize("same", [True, False])
def test_law_37_a_link_opened_where_the_child_asked_is_flagged(same: bool) -> None:
    change = at(Stage.NOTIFIED).open(same_browser=same, now=NOON + TICK)
    assert change.after.opened_in_same_browser is same
    assert change.after.opened_at == NOON + TICK
    assert change.fact.data == {"same_browser": same}


def test_law_37_a_flag_once_set_stays() -> None:
    first = at(Stage.NOTIFIED).open(same_browser=True, now=NOON).after
    again = first.open(same_browser=False, now=NOON)
    assert again.after.opened_in_same_browser
    assert again.fact.data == {"same_browser": False}, "the fact says what happened this time"


# -- proof ---------------------------------------------------------------------------------------


def test_law_36_identity_adulthood_and_relationship_are_separate_facts() -> None:
    evidence = some_evidence(reference=Digest("b" * 64), relationship=None)
    change = at(Stage.OPENED).prove(evidence, now=NOON)
    assert change.after.evidence == evidence
    assert change.fact.data == {
        "method": "payment_transaction",
        "identity": "card_holder",
        "adulthood": "card_holder",
        "reference": "b" * 64,
    }


def test_nobody_decides_without_proof() -> None:
    with pytest.raises(NotAllowedNowError):
        EVENTS["decide"](at(Stage.PROVED, evidence=None))


# -- decision ------------------------------------------------------------------------------------


def decide(
    answers: Mapping[str, str], *, purposes: tuple[Purpose, ...] = PURPOSES, **overrides: Any
) -> Change[Consent]:
    asked = tuple(p.id for p in purposes)
    consent = at(Stage.PROVED, purposes=asked, **overrides)
    return consent.decide(answers, purposes, parent=a_parent_id(), now=NOON)


def test_law_4_refusing_a_disclosure_still_grants_the_rest() -> None:
    change = decide({CHAT: "grant", SHARE: "refuse"})
    after = change.after
    assert (after.stage, after.granted, after.refused) == (Stage.GRANTED, (CHAT,), (SHARE,))
    assert change.fact.data == {"granted": (CHAT,), "refused": (SHARE,)}
    assert (after.decided_at, after.granted_at, after.parent_id) == (NOON, NOON, a_parent_id())
    assert after.ended_at is None


def test_law_4_a_disclosure_alone_is_no_consent_to_anything() -> None:
    quiet = (replace(a_purpose(), core=False), a_disclosure())
    after = decide({CHAT: "refuse", SHARE: "grant"}, purposes=quiet).after
    assert (after.stage, after.granted) == (Stage.DENIED, ())


@pytest.mark.parametrize(
    ("answers", "reasons"),
    [
        ({}, {"purpose.ai_chat": "missing", "purpose.disclose:researchlab": "missing"}),
        ({CHAT: "grant"}, {"purpose.disclose:researchlab": "missing"}),
        ({CHAT: "grant", SHARE: ""}, {"purpose.disclose:researchlab": "not_an_answer"}),
        ({CHAT: "on", SHARE: "grant"}, {"purpose.ai_chat": "not_an_answer"}),
        ({CHAT: "GRANT", SHARE: "grant"}, {"purpose.ai_chat": "not_an_answer"}),
        ({"all": "grant"}, {f"purpose.{CHAT}": "missing", f"purpose.{SHARE}": "missing"}),
    ],
)
def test_law_5_every_purpose_needs_an_answer_of_its_own(
    answers: Mapping[str, str], reasons: Mapping[str, str]
) -> None:
    with pytest.raises(FieldErrors) as caught:
        decide(answers)
    assert caught.value.reasons == reasons


def test_answers_nobody_asked_for_change_nothing() -> None:
    assert decide({**YES, "sell_everything": "grant"}).after.granted == (CHAT, SHARE)


def test_refusing_a_core_purpose_refuses_the_whole() -> None:
    change = decide({CHAT: "refuse", SHARE: "grant"})
    after = change.after
    assert (after.stage, after.granted, after.refused) == (Stage.DENIED, (), (CHAT,))
    assert (after.ended_at, after.granted_at) == (NOON, None)
    assert change.fact.kind is FactKind.CONSENT_DENIED
    assert change.fact.data == {"granted": (SHARE,), "refused": (CHAT,)}


def test_law_91_refusing_what_is_not_core_never_blocks_the_core() -> None:
    purposes = (*PURPOSES, EXTRA)
    after = decide({**YES, SHARE: "refuse", EXTRA.id: "refuse"}, purposes=purposes).after
    assert (after.stage, after.granted) == (Stage.GRANTED, (CHAT,))
    assert after.refused == (SHARE, EXTRA.id)


def test_refusing_everything_is_a_refusal_even_without_a_core() -> None:
    after = decide({EXTRA.id: "refuse"}, purposes=(EXTRA,)).after
    assert (after.stage, after.granted) == (Stage.DENIED, ())


def test_purposes_that_changed_meanwhile_are_a_conflict() -> None:
    consent = at(Stage.PROVED)
    for changed in ((a_purpose(),), (*PURPOSES, EXTRA), (a_purpose(), EXTRA)):
        with pytest.raises(ConflictError):
            consent.decide(YES, changed, parent=a_parent_id(), now=NOON)


def test_carried_purposes_are_granted_with_the_new_ones() -> None:
    after = decide({SHARE: "grant"}, purposes=(a_disclosure(),), carried=(CHAT,)).after
    assert (after.stage, after.granted) == (Stage.GRANTED, (CHAT, SHARE))


def test_refusing_what_is_new_keeps_what_is_carried() -> None:
    after = decide({SHARE: "refuse"}, purposes=(a_disclosure(),), carried=(CHAT,)).after
    assert (after.stage, after.granted, after.refused) == (Stage.GRANTED, (CHAT,), (SHARE,))


def test_refusing_a_new_core_purpose_refuses_the_whole_larger_request() -> None:
    core = replace(EXTRA, core=True)
    after = decide({EXTRA.id: "refuse"}, purposes=(core,), carried=(CHAT,)).after
    assert (after.stage, after.granted) == (Stage.DENIED, ())


# -- the second step -----------------------------------------------------------------------------


def test_law_33_email_plus_grants_nothing_before_the_second_step() -> None:
    change = decide(YES, evidence=some_evidence(method="email_plus", confirmation_needed=True))
    decided = change.after
    assert decided.stage is Stage.DECIDED
    assert change.fact.kind is FactKind.CONSENT_DECIDED
    assert change.fact.data == {"granted": (CHAT, SHARE), "refused": ()}
    assert decided.state(practices=decided.practices, now=NOON) is ConsentState.PENDING
    assert decided.live_purposes(practices=decided.practices, now=NOON) == ()
    assert (decided.granted_at, decided.decided_at) == (None, NOON)
    assert decided.expires_at == a_consent().expires_at, "no more time than before"


def test_law_33_the_grant_starts_with_the_confirmation() -> None:
    evidence = some_evidence(method="email_plus", confirmation_needed=True)
    decided = decide({CHAT: "grant", SHARE: "refuse"}, evidence=evidence).after
    later = NOON + timedelta(days=1)
    change = decided.confirm(now=later)
    after = change.after
    assert (after.stage, after.granted, after.refused) == (Stage.GRANTED, (CHAT,), (SHARE,))
    assert (after.granted_at, after.expires_at) == (later, later + GRANT_FOR)
    assert change.fact.data == {"granted": (CHAT,), "refused": (SHARE,)}


def test_a_confirmation_grants_what_is_carried_too_and_once() -> None:
    evidence = some_evidence(confirmation_needed=True)
    decided = decide(
        {SHARE: "grant"}, purposes=(a_disclosure(),), carried=(CHAT,), evidence=evidence
    ).after
    assert decided.granted == (SHARE,)
    assert decided.confirm(now=NOON).after.granted == (CHAT, SHARE)


def test_a_refusal_needs_no_second_step() -> None:
    evidence = some_evidence(confirmation_needed=True)
    assert decide({CHAT: "refuse", SHARE: "refuse"}, evidence=evidence).after.stage is Stage.DENIED


# -- ends ----------------------------------------------------------------------------------------


def test_a_stranger_who_got_the_letter_refuses_everything() -> None:
    change = at(Stage.NOTIFIED).refuse("not_my_child", now=NOON)
    assert (change.after.refused, change.after.granted) == ((CHAT, SHARE), ())
    assert change.fact.data == {"reason": "not_my_child"}


def test_a_refusal_takes_back_what_was_decided() -> None:
    assert at(Stage.DECIDED).refuse("not_my_child", now=NOON).after.granted == ()


@pytest.mark.parametrize("stage", [*sorted(OPEN), Stage.GRANTED])
def test_nothing_runs_out_before_its_time(stage: Stage) -> None:
    consent = at(stage, expires_at=NOON)
    with pytest.raises(NotAllowedNowError):
        consent.lapse(now=NOON - TICK)
    change = consent.lapse(now=NOON)
    assert (change.after.stage, change.after.ended_at) == (Stage.EXPIRED, NOON)
    assert change.fact.data == {}


def test_practices_that_did_not_change_outdate_nothing() -> None:
    with pytest.raises(NotAllowedNowError):
        at(Stage.GRANTED).outdate(a_consent().practices, now=NOON)
    change = at(Stage.GRANTED).outdate(NEW_PRACTICES, now=NOON)
    assert change.fact.data == {"practices": NEW_PRACTICES}
    assert change.after.practices == a_consent().practices, "what the parent agreed to stays said"


def test_an_end_says_why() -> None:
    assert at(Stage.GRANTED).revoke("key_leak", now=NOON).fact.data == {"reason": "key_leak"}
    assert at(Stage.GRANTED).withdraw(now=NOON).fact.data == {}
    assert at(Stage.GRANTED).supersede(RecordId("cr_2"), now=NOON).fact.data == {"by": "cr_2"}


# -- the public state ----------------------------------------------------------------------------

PUBLIC = {
    **dict.fromkeys(OPEN, ConsentState.PENDING),
    Stage.GRANTED: ConsentState.GRANTED,
    Stage.DENIED: ConsentState.DENIED,
    Stage.EXPIRED: ConsentState.EXPIRED,
    Stage.WITHDRAWN: ConsentState.WITHDRAWN,
    Stage.REVOKED: ConsentState.REVOKED,
    Stage.STALE: ConsentState.STALE,
    Stage.SUPERSEDED: ConsentState.WITHDRAWN,
}


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("practices", [a_consent().practices, NEW_PRACTICES])
@pytest.mark.parametrize("left", [TICK, timedelta(0), -TICK])
def test_the_state_is_judged_at_the_moment_it_is_asked(
    stage: Stage, practices: PracticesVersion, left: timedelta
) -> None:
    consent = at(stage, expires_at=NOON + left)
    expected = PUBLIC[stage]
    if stage in {*OPEN, Stage.GRANTED} and left <= timedelta(0):
        expected = ConsentState.EXPIRED
    elif stage is Stage.GRANTED and practices == NEW_PRACTICES:
        expected = ConsentState.STALE
    assert consent.state(practices=practices, now=NOON) is expected
    live = consent.live_purposes(practices=practices, now=NOON)
    assert live == ((CHAT, SHARE) if expected is ConsentState.GRANTED else ())


def test_a_grant_holds_365_days_to_the_microsecond() -> None:
    granted = decide(YES).after
    assert granted.expires_at == NOON + timedelta(days=365)
    for now, state in (
        (NOON + timedelta(days=365) - TICK, ConsentState.GRANTED),
        (NOON + timedelta(days=365), ConsentState.EXPIRED),
    ):
        assert granted.state(practices=granted.practices, now=now) is state


def test_law_9_a_change_of_practices_takes_the_consent_before_any_worker_comes_by() -> None:
    granted = decide(YES).after
    assert granted.stage is Stage.GRANTED
    assert granted.state(practices=NEW_PRACTICES, now=NOON) is ConsentState.STALE


def test_law_10_a_withdrawal_counts_at_once() -> None:
    after = at(Stage.GRANTED).withdraw(now=NOON).after
    assert after.live_purposes(practices=after.practices, now=NOON) == ()
