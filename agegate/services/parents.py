"""A parent's later wishes: sign in by mailed link, see, take back, erase."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from agegate.domain.change import NewFact
from agegate.domain.consent import Consent, Stage
from agegate.domain.errors import LinkExpiredError, NotFoundError
from agegate.domain.grants import Code, Family, Flow
from agegate.domain.ids import Digest, ParentId, SubjectId, digest
from agegate.domain.ledger import Fact, FactKind
from agegate.domain.letters import SignInLetter
from agegate.domain.operators import Client, Operator
from agegate.domain.people import (
    BrowserSubject,
    EmailAddress,
    LinkPurpose,
    Parent,
    ParentSession,
    Subject,
)
from agegate.domain.records import EventType
from agegate.domain.words import language_of
from agegate.services.consent import withdraw_consent
from agegate.services.core import Core
from agegate.services.ending import forget_contact
from agegate.services.families import end_family
from agegate.services.letters import post, post_erasure
from agegate.services.limits import SIGN_INS_BY_ONE_BROWSER, SIGN_INS_TO_ONE_ADDRESS, count
from agegate.services.ports import Reader, UnitOfWork
from agegate.wire.tiers import ConsentState

SIGN_IN_LINK_FOR: Final = timedelta(minutes=30)
SESSION_FOR: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentConsent:
    """One consent as its parent sees it."""

    consent: Consent
    operator: Operator
    client: Client
    state: ConsentState
    child_since: datetime | None
    """None when the child's data has been erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    parent: Parent
    consents: tuple[ParentConsent, ...]
    history: tuple[Fact, ...]


class ParentService:
    def __init__(self, core: Core, *, new_secret: Callable[[], str]) -> None:
        self._core = core
        self._new_secret = new_secret

    # -- sign in ---------------------------------------------------------------------------------

    def send_link(self, address: EmailAddress, *, locale: str, browser: Digest) -> None:
        """Mail a link to a parent we know. The caller answers the same for everybody.

        Raises `TooManyRequestsError`.
        """
        index = self._core.address_index(address.value)
        with self._core.store.write() as uow:
            count(uow, SIGN_INS_BY_ONE_BROWSER, browser, self._core.sealer)
            count(uow, SIGN_INS_TO_ONE_ADDRESS, index, self._core.sealer)
            known = uow.select(Parent, index=index, limit=1)
            if known:
                until = uow.now + SIGN_IN_LINK_FOR
                url = self._core.new_link(uow, LinkPurpose.SIGN_IN, known[0].id, until=until)
                minutes = int(SIGN_IN_LINK_FOR.total_seconds() // 60)
                letter = SignInLetter(language=language_of(locale), link_url=url, minutes=minutes)
                post(uow, self._core, letter, to=known[0].address, target=known[0].id)
            uow.commit()

    def check_link(self, link: str) -> None:
        """Whether the button may be shown; changes nothing. Raises `LinkExpiredError`."""
        with self._core.store.read() as r:
            found = self._core.follow(r, LinkPurpose.SIGN_IN, link, now=self._core.now())
            if found.used_at is not None:
                raise LinkExpiredError("this link has been used")

    def sign_in(self, link: str) -> str:
        """Press the button: a session's secret, once.

        Raises `LinkExpiredError`, `ConflictError`.
        """
        with self._core.store.write() as uow:
            found = self._core.follow(uow, LinkPurpose.SIGN_IN, link, now=uow.now)
            if found.used_at is not None or uow.find(Parent, found.target) is None:
                raise LinkExpiredError("this link has been used")
            uow.save(found.use(now=uow.now))
            secret = self._new_secret()
            uow.add(
                ParentSession(
                    id=digest(secret),
                    parent_id=ParentId(found.target),
                    expires_at=uow.now + SESSION_FOR,
                )
            )
            uow.commit()
            return secret

    def sign_out(self, secret: str) -> None:
        with self._core.store.write() as uow:
            uow.delete(ParentSession, digest(secret))
            uow.commit()

    def find_parent(self, secret: str | None) -> Parent | None:
        if not secret:
            return None
        with self._core.store.read() as r:
            session = r.find(ParentSession, digest(secret))
            if session is None or self._core.now() >= session.expires_at:
                return None
            return r.find(Parent, session.parent_id)

    # -- see -------------------------------------------------------------------------------------

    def portal(self, parent: Parent) -> Portal:
        with self._core.store.read() as r:
            consents = r.select(Consent, parent_id=parent.id, order="requested_at", descending=True)
            facts = [f for c in consents for f in r.select(Fact, record=c.id, order="at")]
            return Portal(
                parent=parent,
                consents=tuple(self._seen(r, c) for c in consents),
                history=tuple(sorted(facts, key=lambda f: f.at, reverse=True)),
            )

    def consent_of(self, parent: Parent, record: str) -> ParentConsent:
        """Raises `NotFoundError`, alike for what is missing and what is somebody else's."""
        with self._core.store.read() as r:
            return self._seen(r, self._own(r, parent, record))

    def export(self, parent: Parent, record: str) -> dict[str, Any]:
        """Everything we hold about one consent, for its parent to keep (16 CFR 312.6(a))."""
        with self._core.store.read() as r:
            seen = self._seen(r, self._own(r, parent, record))
            subject = r.find(Subject, seen.consent.subject_id)
            facts = r.select(Fact, record=seen.consent.id, order="at")
        return {
            "record": seen.consent.id,
            "app": seen.client.display_name,
            "operator": seen.operator.legal_name,
            "state": seen.state.value,
            "purposes": [
                {"id": p.id, "title": p.title, "allowed": p.id in seen.consent.granted}
                for p in seen.operator.purposes_of(seen.client)
            ],
            "child_account": subject
            and {
                "since": subject.created_at.date().isoformat(),
                "age_range": {"lower": subject.lower, "upper": subject.upper},
                "learned_by": subject.method,
            },
            "history": [{"what": f.kind.value, "at": f.at.isoformat()} for f in facts],
        }

    # -- take back -------------------------------------------------------------------------------

    def withdraw(self, parent: Parent, record: str) -> Consent:
        """Raises `NotFoundError`, `NotAllowedNowError`."""
        with self._core.store.write() as uow:
            consent = withdraw_consent(uow, self._core, self._own(uow, parent, record))
            uow.commit()
            return consent

    def erase(self, parent: Parent, record: str) -> None:
        """Delete the child's account here, irretrievably.

        And tell the operator (16 CFR 312.6(a)(2)).

        What stays of a consent names nobody: random ids, states and times.
        """
        with self._core.store.write() as uow:
            own = self._own(uow, parent, record)
            erase_subject(uow, self._core, own.subject_id, asked_by=own)
            self._forget_parent_without_children(uow, parent)
            uow.commit()

    # -- helpers ---------------------------------------------------------------------------------

    def _own(self, r: Reader, parent: Parent, record: str) -> Consent:
        consent = r.find(Consent, record)
        if consent is None or consent.parent_id != parent.id:
            raise NotFoundError("no such consent")
        return consent

    def _seen(self, r: Reader, consent: Consent) -> ParentConsent:
        registered = self._core.registration(r, consent.client_id)
        subject = r.find(Subject, consent.subject_id)
        practices = registered.operator.practices
        return ParentConsent(
            consent=consent,
            operator=registered.operator,
            client=registered.client,
            state=consent.state(practices=practices, now=self._core.now()),
            child_since=subject.created_at if subject else None,
        )

    def _forget_parent_without_children(self, uow: UnitOfWork, parent: Parent) -> None:
        theirs = uow.select(Consent, parent_id=parent.id)
        if any(uow.find(Subject, c.subject_id) is not None for c in theirs):
            return
        for session in uow.select(ParentSession, parent_id=parent.id):
            uow.delete(ParentSession, session.id)
        uow.delete(Parent, parent.id)


def erase_subject(
    uow: UnitOfWork, core: Core, subject_id: SubjectId, *, asked_by: Consent | None
) -> None:
    """Delete everything about a subject inside the caller's transaction.

    And tell client and parents.
    """
    subject = uow.find(Subject, subject_id)
    if subject is None:
        return  # erased before
    registered = core.registration(uow, subject.client_id)
    for consent in uow.select(Consent, subject_id=subject_id):
        _end(uow, core, consent)
    if asked_by is not None and asked_by.parent_id is not None:
        parent = uow.find(Parent, asked_by.parent_id)
        if parent is not None:
            post_erasure(uow, core, registered, asked_by, to=parent.address)
    for family in uow.select(Family, subject_id=subject_id):
        if family.revoked_at is None:
            end_family(uow, core, family, reason="erased")
    for code in uow.select(Code, subject_id=subject_id):
        uow.delete(Code, code.id)
    for flow in uow.select(Flow, subject_id=subject_id):
        uow.delete(Flow, flow.id)
    for known in uow.select(BrowserSubject, subject_id=subject_id):
        uow.delete(BrowserSubject, known.id)
    core.tell(
        uow,
        EventType.SUBJECT_ERASURE_REQUESTED,
        operator_id=subject.operator_id,
        client_id=subject.client_id,
        sub=subject.sub,
        record=asked_by.id if asked_by else None,
        state="erased",
    )
    uow.delete(Subject, subject_id)
    uow.state(
        NewFact(
            kind=FactKind.SUBJECT_ERASED,
            operator_id=subject.operator_id,
            client_id=subject.client_id,
            record=asked_by.id if asked_by else None,
        )
    )


def _end(uow: UnitOfWork, core: Core, consent: Consent) -> None:
    if consent.stage.is_open or consent.stage in {Stage.GRANTED, Stage.STALE}:
        core.record(uow, consent.revoke("erased", now=uow.now))
    forget_contact(uow, consent)
