"""The parent's side of a consent: read, prove, decide, confirm, take back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from agegate.domain.consent import Consent, ConsentEvidence, Stage
from agegate.domain.errors import (
    ConflictError,
    LinkExpiredError,
    MethodNotLawfulError,
    NotAllowedNowError,
)
from agegate.domain.ids import Digest, ParentId
from agegate.domain.lawful_methods import lawful_methods
from agegate.domain.notice_parts import Section
from agegate.domain.notices import sections_from_content
from agegate.domain.operators import Client, Operator, Purpose
from agegate.domain.people import Contact, Link, LinkPurpose, Parent, ProofRun, SealedText, Subject
from agegate.domain.records import StoredNotice
from agegate.methods.base import Ask, ConsentCase, ConsentMethod, ConsentStep, Done, Failed, Wait
from agegate.services.core import Core, Registration
from agegate.services.ending import forget_contact, spend_grant
from agegate.services.letters import post_confirmation, post_receipt, post_withdrawal
from agegate.services.limits import PROOFS_FOR_ONE_REQUEST, count
from agegate.services.ports import Reader, UnitOfWork


class ParentStep(StrEnum):
    NOTICE = "parent_notice"
    METHOD = "parent_method"
    PROOF = "parent_proof"
    DECISION = "parent_decision"
    SECOND_STEP = "second_step"
    """Decided; the confirmation letter is on its way."""
    OUTCOME = "parent_receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChoice:
    key: str
    why_not: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """All that a parent's page needs.

    Holds nothing about the child but the day its account was made.
    """

    consent: Consent
    operator: Operator
    client: Client
    step: ParentStep
    sections: tuple[Section, ...]
    purposes: tuple[Purpose, ...]
    methods: tuple[MethodChoice, ...]
    proof: ProofRun | None
    child_since: str
    masked: str = ""
    """The parent's own address, enough to know it again; empty once it is deleted."""
    failed: str | None = None
    """Why the attempt to prove that has just ended showed nothing."""
    waiting: bool = False
    """The vendor is still at work; there is nothing for the parent to do."""


class ConsentService:
    def __init__(self, core: Core, methods: Mapping[str, ConsentMethod]) -> None:
        self._core = core
        self._methods = methods

    # -- look ------------------------------------------------------------------------------------

    def look(self, link: str) -> RequestView:
        """What the link is about; changes nothing, however often it is opened.

        Raises `LinkExpiredError`.
        """
        with self._core.store.read() as r:
            return self._view(r, self._behind(r, link))

    def look_confirmation(self, link: str) -> RequestView:
        with self._core.store.read() as r:
            return self._view(r, self._behind(r, link, purpose=LinkPurpose.CONFIRM))

    # -- steps -----------------------------------------------------------------------------------

    def open(self, link: str, *, browser: Digest | None) -> RequestView:
        """The parent read the notice and goes on."""
        with self._core.store.write() as uow:
            consent = self._behind(uow, link)
            if consent.stage in {Stage.REQUESTED, Stage.NOTIFIED}:
                contact = uow.find(Contact, consent.id)
                same = contact is not None and contact.browser == browser
                consent = self._core.record(uow, consent.open(same_browser=same, now=uow.now))
                uow.commit()
            return self._view(uow, consent)

    def not_my_child(self, link: str) -> RequestView:
        """Whoever got the letter is not the parent.

        Ended, address deleted, nothing more is sent.
        """
        with self._core.store.write() as uow:
            consent = self._behind(uow, link)
            view = self._view(uow, consent)
            if consent.stage.is_open:
                consent = self._core.record(uow, consent.refuse("not_my_child", now=uow.now))
                forget_contact(uow, consent)
                uow.commit()
            return replace(view, consent=consent, step=ParentStep.OUTCOME)

    def choose(self, link: str, key: str, *, return_url: str) -> RequestView:
        """Begin to prove by one method. The vendor is asked outside any transaction.

        Raises `MethodNotLawfulError`, `VendorError`, `TooManyRequestsError`.
        """
        with self._core.store.write() as uow:
            consent = self._behind(uow, link)
            view = self._view(uow, consent)
            if consent.stage is not Stage.OPENED:
                return view
            choice = next((m for m in view.methods if m.key == key), None)
            if choice is None or choice.why_not is not None:
                raise MethodNotLawfulError("this way of showing who you are can't be used here")
            count(uow, PROOFS_FOR_ONE_REQUEST, consent.id, self._core.sealer)
            uow.commit()
        case = ConsentCase(
            reference=self._core.new_id("pr"),
            locale=consent.locale,
            return_url=return_url,
            memo="",
            now=self._core.now(),
        )
        step = self._methods[key].begin(case)
        return self._take(link, key, step)

    def answer_proof(
        self, link: str, submitted: Mapping[str, str], *, return_url: str
    ) -> RequestView:
        """Ask the running method how it stands. Raises `VendorError`."""
        with self._core.store.read() as r:
            consent = self._behind(r, link)
            run = r.find(ProofRun, consent.id)
            if run is None or consent.stage is not Stage.OPENED:
                return self._view(r, consent)
        case = ConsentCase(
            reference=consent.id,
            locale=consent.locale,
            return_url=return_url,
            memo=run.memo.value,
            now=self._core.now(),
        )
        step = self._methods[run.method].answer(case, submitted)
        return self._take(link, run.method, step)

    def another_method(self, link: str) -> RequestView:
        """Leave the running method and choose again."""
        with self._core.store.write() as uow:
            consent = self._behind(uow, link)
            if consent.stage is Stage.OPENED:
                uow.delete(ProofRun, consent.id)
                uow.commit()
            return self._view(uow, consent)

    def decide(self, link: str, answers: Mapping[str, str]) -> RequestView:
        """One separate answer per purpose. Of two clicks at once one decides and the other is told.

        Raises `FieldErrors`, `ConflictError`, `NotAllowedNowError`.
        """
        with self._core.store.write() as uow:
            consent = self._behind(uow, link)
            view = self._view(uow, consent)
            if view.step is not ParentStep.DECISION:
                if consent.decided_at is not None or consent.ended_at is not None:
                    raise ConflictError("this has already been decided")
                raise NotAllowedNowError("there is nothing to decide yet")
            consent = self._without_ended_grant(uow, consent)
            registered = self._core.registration(uow, consent.client_id)
            contact = uow.find(Contact, consent.id)
            if contact is None:
                raise ConflictError("somebody else has just answered")
            known = uow.select(Parent, index=contact.index, limit=1)
            parent = known[0] if known else self._new_parent(uow, contact, consent)
            change = consent.decide(answers, view.purposes, parent=parent.id, now=uow.now)
            consent = self._core.record(uow, change)
            if consent.stage is Stage.DENIED:
                forget_contact(uow, consent, keep_links=True)
            else:
                if not known:
                    uow.add(parent)
                self._after_yes(uow, registered, consent, parent)
            uow.commit()
            return self._view(uow, consent)

    def confirm(self, link: str) -> RequestView:
        """The second step of `email_plus`: from here on the consent stands."""
        with self._core.store.write() as uow:
            consent = self._behind(uow, link, purpose=LinkPurpose.CONFIRM)
            if consent.stage is not Stage.DECIDED or consent.parent_id is None:
                return self._view(uow, consent)
            registered = self._core.registration(uow, consent.client_id)
            parent = uow.get(Parent, consent.parent_id)
            consent = self._without_ended_grant(uow, consent)
            consent = self._core.record(uow, consent.confirm(now=uow.now))
            self._after_yes(uow, registered, consent, parent)
            uow.commit()
            return self._view(uow, consent)

    def withdraw(self, link: str) -> RequestView:
        """Take it back from the receipt page: no sign-in, no reason, no other step."""
        with self._core.store.write() as uow:
            consent = withdraw_consent(uow, self._core, self._behind(uow, link))
            uow.commit()
            return self._view(uow, consent)

    # -- helpers ---------------------------------------------------------------------------------

    def _behind(
        self, r: Reader, link: str, *, purpose: LinkPurpose = LinkPurpose.REQUEST
    ) -> Consent:
        found: Link = self._core.follow(r, purpose, link, now=self._core.now())
        consent = r.find(Consent, found.target)
        now = self._core.now()
        if consent is None or (consent.stage.is_open and now >= consent.expires_at):
            raise LinkExpiredError("this question has run out")
        if consent.stage in {Stage.EXPIRED, Stage.REVOKED}:
            raise LinkExpiredError("this question has run out")
        if consent.stage.is_open:
            # Nobody may answer a notice that is no longer true (16 CFR 312.4(b)).
            operator = self._core.registration(r, consent.client_id).operator
            if consent.practices != operator.practices:
                raise LinkExpiredError("the app has changed its plans since this question")
        return consent

    def _view(self, r: Reader, consent: Consent) -> RequestView:
        registered = self._core.registration(r, consent.client_id)
        operator, client = registered.operator, registered.client
        rules = self._core.rules_for(consent.jurisdiction, client, now=self._core.now())
        allowed = lawful_methods(operator, client, rules, implemented=self._methods)
        stored = r.find(StoredNotice, consent.notice)
        subject = r.find(Subject, consent.subject_id)
        run = r.find(ProofRun, consent.id) if consent.stage is Stage.OPENED else None
        contact = r.find(Contact, consent.id) if consent.stage is Stage.DECIDED else None
        return RequestView(
            consent=consent,
            operator=operator,
            client=client,
            step=_step(consent, run),
            sections=sections_from_content(stored.content) if stored else (),
            purposes=tuple(p for p in operator.purposes if p.id in consent.purposes),
            methods=tuple(MethodChoice(key=k, why_not=why) for k, why in allowed.items()),
            proof=run,
            child_since=subject.created_at.isoformat() if subject else "",
            masked=contact.address.masked if contact else "",
        )

    def _take(self, link: str, key: str, step: ConsentStep) -> RequestView:
        """Store what a method said. The request may have moved on meanwhile.

        Then its new state is shown.
        """
        with self._core.store.write() as uow:
            consent = self._behind(uow, link)
            if consent.stage is not Stage.OPENED:
                return self._view(uow, consent)
            run = uow.find(ProofRun, consent.id)
            failed: str | None = None
            match step:
                case Ask() | Wait():
                    self._keep_run(uow, consent, run, key, step)
                case Done():
                    consent = self._proved(uow, consent, step.found)
                case Failed():
                    failed = step.reason
                    uow.delete(ProofRun, consent.id)
            uow.commit()
            view = self._view(uow, consent)
            return replace(view, failed=failed, waiting=isinstance(step, Wait))

    def _keep_run(
        self,
        uow: UnitOfWork,
        consent: Consent,
        run: ProofRun | None,
        key: str,
        step: Ask | Wait,
    ) -> None:
        known = run.url if run else None
        url = (step.url if isinstance(step, Ask) else None) or known
        after = ProofRun(
            id=consent.id, method=key, memo=SealedText(step.memo), url=url, started_at=uow.now
        )
        if run is None:
            uow.add(after)
        else:
            uow.save(replace(after, version=run.version))

    def _proved(self, uow: UnitOfWork, consent: Consent, evidence: ConsentEvidence) -> Consent:
        uow.delete(ProofRun, consent.id)
        return self._core.record(uow, consent.prove(evidence, now=uow.now))

    def _new_parent(self, uow: UnitOfWork, contact: Contact, consent: Consent) -> Parent:
        return Parent(
            id=ParentId(self._core.new_id("pa")),
            address=contact.address,
            index=contact.index,
            locale=consent.locale,
            created_at=uow.now,
        )

    def _without_ended_grant(self, uow: UnitOfWork, consent: Consent) -> Consent:
        """What an earlier consent allowed is carried on only while that one still stands."""
        if consent.replaces is None:
            return consent
        old = uow.get(Consent, consent.replaces)
        live = old.live_purposes(practices=consent.practices, now=uow.now)
        return replace(consent, carried=tuple(p for p in consent.carried if p in live))

    def _after_yes(
        self, uow: UnitOfWork, registered: Registration, consent: Consent, parent: Parent
    ) -> None:
        if consent.stage is Stage.DECIDED:
            post_confirmation(uow, self._core, registered, consent, to=parent.address)
            return
        uow.delete(Contact, consent.id)
        if consent.replaces is not None:
            old = uow.get(Consent, consent.replaces)
            if old.stage is Stage.GRANTED:
                self._core.record(uow, old.supersede(consent.id, now=uow.now))
        post_receipt(uow, self._core, registered, consent, to=parent.address)


def withdraw_consent(uow: UnitOfWork, core: Core, consent: Consent) -> Consent:
    """End a grant inside the caller's transaction.

    At once for every look-up, and told by letter.
    """
    if consent.stage is Stage.WITHDRAWN:
        return consent  # pressed twice
    after = core.record(uow, consent.withdraw(now=uow.now))
    spend_grant(uow, after)
    registered = core.registration(uow, after.client_id)
    parent = uow.find(Parent, after.parent_id) if after.parent_id else None
    if parent is not None:
        post_withdrawal(uow, core, registered, after, to=parent.address)
    if consent.stage is Stage.DECIDED:
        forget_contact(uow, after, keep_links=True)
    return after


def _step(consent: Consent, run: ProofRun | None) -> ParentStep:
    match consent.stage:
        case Stage.REQUESTED | Stage.NOTIFIED:
            return ParentStep.NOTICE
        case Stage.OPENED:
            return ParentStep.METHOD if run is None else ParentStep.PROOF
        case Stage.PROVED:
            return ParentStep.DECISION
        case Stage.DECIDED:
            return ParentStep.SECOND_STEP
        case _:
            return ParentStep.OUTCOME
