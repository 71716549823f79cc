"""A consent under any order of events, times and deliveries keeps what we promise of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from agegate.adapters.memory import MemoryStore
from agegate.domain.change import Change
from agegate.domain.consent import GRANT_FOR, OPEN, PENDING_FOR, Consent, Stage, request
from agegate.domain.errors import AgegateError, ConflictError
from agegate.domain.ids import Digest, PracticesVersion, PurposeId, RecordId
from agegate.domain.ledger import Fact, FactKind, first_break
from agegate.wire.tiers import ConsentState
from tests.factories import NOON, a_consent, a_disclosure, a_parent_id, a_purpose, some_evidence

FINAL: Final = frozenset(Stage) - OPEN - {Stage.GRANTED, Stage.STALE}
PURPOSES: Final = (a_purpose(), a_disclosure(), a_purpose(id=PurposeId("extra"), core=False))
PRACTICES: Final = (PracticesVersion("sha256:a"), PracticesVersion("sha256:b"))
RECORD: Final = RecordId("cr_1")
GRANTED_BY: Final = {True: "confirm", False: "decide"}
answers = st.fixed_dictionaries(
    {}, optional={p.id: st.sampled_from(["grant", "refuse", "on"]) for p in PURPOSES}
)
waits = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=400)),
    st.sampled_from([timedelta(microseconds=1), PENDING_FOR, GRANT_FOR]),
)


class LifeOfAConsent(RuleBasedStateMachine):
    """One consent in a real store; every event goes through `record`, as use cases do."""

    pages = Bundle("pages")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.ids = 0
        self.practices = PRACTICES[0]
        self.store = MemoryStore(clock=lambda: self.now, new_id=self._new_id)
        self.accepted: list[tuple[str, Consent, Consent, datetime]] = []

    def _new_id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}_{self.ids:06}"

    @initialize(wait=st.timedeltas(timedelta(days=1), timedelta(days=30)))
    def ask(self, wait: timedelta) -> None:
        first = a_consent()
        change = request(
            id_=RECORD,
            operator_id=first.operator_id,
            client_id=first.client_id,
            subject_id=first.subject_id,
            purposes=tuple(p.id for p in PURPOSES),
            practices=self.practices,
            jurisdiction="US-IL",
            locale="en",
            notice=Digest("0" * 64),
            wait=wait,
            now=self.now,
        )
        with self.store.write() as uow:
            uow.record(change, new=True)
            uow.commit()

    @property
    def consent(self) -> Consent:
        with self.store.read() as r:
            return r.get(Consent, RECORD)

    def happen(self, name: str, step: Callable[[Consent], Change[Consent]], seen: Consent) -> None:
        try:
            with self.store.write() as uow:
                uow.record(step(seen))
                uow.commit()
        except AgegateError:
            return
        self.accepted.append((name, seen, self.consent, self.now))

    # -- time and the world ----------------------------------------------------------------------

    @rule(by=waits)
    def time_passes(self, by: timedelta) -> None:
        self.now += by

    @rule(practices=st.sampled_from(PRACTICES))
    def the_operator_applies(self, practices: PracticesVersion) -> None:
        self.practices = practices

    @rule()
    def the_worker_numbers_facts(self) -> None:
        self.store.integrate(limit=3)

    @rule(target=pages)
    def somebody_loads_a_page(self) -> Consent:
        """What was seen may be old when it is acted on: a duplicate, a second tab, a crash."""
        return self.consent

    # -- events ----------------------------------------------------------------------------------

    @rule(seen=pages)
    def an_old_page_is_used(self, seen: Consent) -> None:
        for name in ("open", "confirm", "withdraw"):
            self.event(name, seen)

    @rule(name=st.sampled_from(["notify", "open", "prove", "prove_weakly", "confirm"]))
    def it_goes_on(self, name: str) -> None:
        self.event(name, self.consent)

    @rule(name=st.sampled_from(["refuse", "lapse", "withdraw", "revoke", "outdate", "supersede"]))
    def it_ends(self, name: str) -> None:
        self.event(name, self.consent)

    def event(self, name: str, seen: Consent) -> None:
        now = self.now
        weak = some_evidence(method="email_plus", confirmation_needed=True)
        steps: dict[str, Callable[[Consent], Change[Consent]]] = {
            "notify": lambda c: c.notify(now=now),
            "open": lambda c: c.open(same_browser=False, now=now),
            "prove": lambda c: c.prove(some_evidence(), now=now),
            "prove_weakly": lambda c: c.prove(weak, now=now),
            "confirm": lambda c: c.confirm(now=now),
            "refuse": lambda c: c.refuse("not_my_child", now=now),
            "lapse": lambda c: c.lapse(now=now),
            "withdraw": lambda c: c.withdraw(now=now),
            "revoke": lambda c: c.revoke("by_us", now=now),
            "outdate": lambda c: c.outdate(self.practices, now=now),
            "supersede": lambda c: c.supersede(RecordId("cr_2"), now=now),
        }
        self.happen(name, steps[name], seen)

    @rule(given=answers)
    def a_parent_decides(self, given: dict[str, str]) -> None:
        self.decide(given, self.consent)

    @rule(seen=pages)
    def a_parent_says_yes_twice(self, seen: Consent) -> None:
        yes = {str(p.id): "grant" for p in PURPOSES}
        self.decide(yes, seen)
        self.decide(yes, seen)

    def decide(self, given: dict[str, str], seen: Consent) -> None:
        parent, now = a_parent_id(), self.now
        self.happen("decide", lambda c: c.decide(given, PURPOSES, parent=parent, now=now), seen)

    @rule()
    def a_worker_dies_before_its_commit(self) -> None:
        before = self.consent
        try:
            with self.store.write() as uow:
                uow.record(before.revoke("by_us", now=self.now))
        except AgegateError:
            pass
        assert self.consent == before

    @rule()
    def an_old_version_is_saved(self) -> None:
        before = self.consent
        try:
            with self.store.write() as uow:
                uow.save(replace(before, version=before.version - 1, stage=Stage.GRANTED))
                uow.commit()
            raise AssertionError("an old version was taken")
        except ConflictError:
            assert self.consent == before

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def a_final_state_stays_final(self) -> None:
        for _, before, after, _ in self.accepted:
            assert before.stage not in FINAL
            assert after.version == before.version + 1

    @invariant()
    def a_grant_has_proof_answers_and_a_parent(self) -> None:
        for _, before, after, now in self.accepted:
            if after.stage is not Stage.GRANTED or before.stage is Stage.GRANTED:
                continue
            assert before.stage in {Stage.PROVED, Stage.DECIDED}
            assert now < before.expires_at, "never granted late"
            assert after.evidence is not None
            assert after.parent_id is not None
            assert after.opened_at is not None
            assert PURPOSES[0].id in after.granted, "the core was granted"
            assert set(after.granted) | set(after.refused) == set(after.purposes)
            assert not set(after.granted) & set(after.refused)
            assert after.expires_at == now + GRANT_FOR

    @invariant()
    def a_weak_proof_grants_only_by_its_second_step(self) -> None:
        for name, before, after, _ in self.accepted:
            if after.stage is Stage.GRANTED and before.stage is not Stage.GRANTED:
                assert after.evidence is not None
                assert name == GRANTED_BY[after.evidence.confirmation_needed]

    @invariant()
    def it_is_granted_at_most_once(self) -> None:
        grants = [f for f in self.facts() if f.kind is FactKind.CONSENT_GRANTED]
        assert len(grants) <= 1

    @invariant()
    def purposes_are_live_only_while_the_parents_word_stands(self) -> None:
        consent = self.consent
        state = consent.state(practices=self.practices, now=self.now)
        live = consent.live_purposes(practices=self.practices, now=self.now)
        stands = (
            consent.stage is Stage.GRANTED
            and consent.practices == self.practices
            and self.now < consent.expires_at
        )
        assert (state is ConsentState.GRANTED) is stands
        assert live == (consent.granted if stands else ())

    @invariant()
    def a_question_never_waits_longer_than_fourteen_days(self) -> None:
        if self.consent.stage.is_open:
            assert self.consent.expires_at <= NOON + PENDING_FOR

    @invariant()
    def there_is_a_fact_for_each_change_and_the_chain_holds(self) -> None:
        assert len(self.facts()) == len(self.accepted) + 1
        assert first_break(self.store.entries()) is None

    @invariant()
    def an_end_has_its_time(self) -> None:
        ended = not (self.consent.stage.is_open or self.consent.stage is Stage.GRANTED)
        assert (self.consent.ended_at is not None) is ended

    def facts(self) -> list[Fact]:
        with self.store.read() as r:
            return r.select(Fact)


TestLifeOfAConsent = LifeOfAConsent.TestCase
TestLifeOfAConsent.settings = settings(
    max_examples=60, stateful_step_count=40, parent=settings.default
)
