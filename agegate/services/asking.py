"""The child's side of a consent: give a parent's address, send again, send elsewhere, wait."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from agegate.domain.consent import PENDING_FOR, Consent, Stage, request
from agegate.domain.errors import (
    ConflictError,
    MethodNotLawfulError,
    NotAllowedNowError,
    TooManyRequestsError,
)
from agegate.domain.ids import Digest, RecordId
from agegate.domain.lawful_methods import lawful_methods
from agegate.domain.letters import DirectNoticeLetter
from agegate.domain.notices import (
    DirectNotice,
    direct_notice,
    require_complete,
    sections_from_content,
)
from agegate.domain.outgoing import Outgoing, OutgoingKind
from agegate.domain.people import Contact, EmailAddress, LinkPurpose
from agegate.domain.records import StoredNotice
from agegate.domain.words import language_of
from agegate.services.core import Core
from agegate.services.ending import forget_contact
from agegate.services.letters import portal_url, post
from agegate.services.limits import (
    LETTERS_TO_ONE_ADDRESS,
    REQUESTS_BY_ONE_BROWSER,
    RESEND_WAIT,
    count,
)
from agegate.services.ports import UnitOfWork
from agegate.services.screening import FlowView, NextStep, ScreeningService


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a child may see of a question that is on its way: never the address itself."""

    masked: str
    sent_at: datetime | None
    may_resend_at: datetime


class AskingService:
    def __init__(
        self, core: Core, screening: ScreeningService, *, implemented: Collection[str]
    ) -> None:
        self._core = core
        self._screening = screening
        self._implemented = frozenset(implemented)

    def ask(self, flow_id: str, address: EmailAddress, *, browser: Digest) -> FlowView:
        """Write down the question, the parent's address, the exact notice and the letter.

        All or nothing.

        Only now is an address taken (16 CFR 312.5(c)(1)). Asking twice at once asks once. Raises
        `UnlawfulError` when the notice would lack an item, `MethodNotLawfulError` when no method is
        left by which the parent could answer, `TooManyRequestsError`.
        """
        with self._core.store.write() as uow:
            view = self._screening.look_in(uow, flow_id, browser=browser)
            if view.step is NextStep.CONSENT_PENDING:
                return view
            if view.step is not NextStep.PARENT_CONTACT:
                raise NotAllowedNowError("there is nothing to ask a parent right now")
            self._limit(uow, browser, address)
            consent = self._request(uow, view, self._notice(uow, view))
            self._add_contact(uow, consent.id, address, browser)
            self._post(uow, view, consent, address)
            # The one row that two clicks at once both want: the second is told, and sees the
            # pending page.
            uow.save(replace(view.flow, expires_at=consent.expires_at))
            uow.commit()
        return self._screening.look(flow_id, browser=browser)

    def waiting(self, flow_id: str, *, browser: Digest) -> Waiting | None:
        with self._core.store.read() as r:
            view = self._screening.look_in(r, flow_id, browser=browser)
            contact = r.find(Contact, view.question.id) if view.question else None
            if view.question is None or contact is None:
                return None
            letters = r.select(Outgoing, target=view.question.id, kind=OutgoingKind.DIRECT_NOTICE)
        last = max(letter.created_at for letter in letters)
        sent = [x.sent_at for x in letters if x.sent_at and x.index == contact.index]
        return Waiting(
            masked=contact.address.masked,
            sent_at=max(sent) if sent else None,
            may_resend_at=last + RESEND_WAIT,
        )

    def resend(self, flow_id: str, *, browser: Digest) -> FlowView:
        """The same question to the same address, in a fresh letter.

        Raises `TooManyRequestsError`.
        """
        waiting = self.waiting(flow_id, browser=browser)
        now = self._core.now()
        if waiting is not None and now < waiting.may_resend_at:
            wait = int((waiting.may_resend_at - now).total_seconds()) + 1
            raise TooManyRequestsError("the e-mail has just been sent", retry_after_s=wait)
        with self._core.store.write() as uow:
            view, consent = self._pending(uow, flow_id, browser)
            contact = uow.find(Contact, consent.id)
            if contact is None:
                raise ConflictError("somebody has just answered")
            self._limit(uow, browser, contact.address)
            self._post(uow, view, consent, contact.address)
            uow.commit()
        return self._screening.look(flow_id, browser=browser)

    def change_contact(self, flow_id: str, address: EmailAddress, *, browser: Digest) -> FlowView:
        """Another address instead: the old one is deleted and its links stop working.

        What somebody at the old address did with the question must not help somebody at the new
        one, so a question that was opened ends and a new one begins.
        """
        with self._core.store.write() as uow:
            view, consent = self._pending(uow, flow_id, browser)
            self._limit(uow, browser, address)
            forget_contact(uow, consent)
            if consent.stage not in {Stage.REQUESTED, Stage.NOTIFIED}:
                self._core.record(uow, consent.revoke("contact_changed", now=uow.now))
                consent = self._request(uow, view, self._notice(uow, view))
            self._add_contact(uow, consent.id, address, browser)
            self._post(uow, view, consent, address)
            uow.save(replace(view.flow, expires_at=consent.expires_at))
            uow.commit()
        return self._screening.look(flow_id, browser=browser)

    # -- helpers ---------------------------------------------------------------------------------

    def _pending(self, uow: UnitOfWork, flow_id: str, browser: Digest) -> tuple[FlowView, Consent]:
        view = self._screening.look_in(uow, flow_id, browser=browser)
        if view.step is not NextStep.CONSENT_PENDING or view.question is None:
            raise NotAllowedNowError("nobody is being asked right now")
        return view, view.question

    def _limit(self, uow: UnitOfWork, browser: Digest, address: EmailAddress) -> None:
        index = self._core.address_index(address.value)
        count(uow, REQUESTS_BY_ONE_BROWSER, browser, self._core.sealer)
        count(uow, LETTERS_TO_ONE_ADDRESS, index, self._core.sealer)

    def _notice(self, uow: UnitOfWork, view: FlowView) -> DirectNotice:
        operator, client = view.registration.operator, view.client
        allowed = lawful_methods(operator, client, view.rules, implemented=self._implemented)
        methods = tuple(key for key, why_not in allowed.items() if why_not is None)
        if not methods:
            raise MethodNotLawfulError("this app has no lawful way to ask a parent here")
        wanted = view.flow.purposes or client.purposes
        answered = {*view.grant.granted, *view.grant.refused} if view.grant else set()
        purposes = tuple(
            p for p in operator.purposes_of(client) if p.id in wanted and p.id not in answered
        )
        notice = direct_notice(
            operator,
            client,
            purposes,
            language=language_of(view.flow.locale),
            methods=methods,
            online_notice_url=operator.online_notice_url
            or f"{self._core.public_url}/notice/{operator.id}",
            expires_on=(uow.now + PENDING_FOR).date(),
            contact_from_child=True,
            portal_url=portal_url(self._core),
        )
        require_complete(notice)
        return notice

    def _request(self, uow: UnitOfWork, view: FlowView, notice: DirectNotice) -> Consent:
        operator = view.registration.operator
        if view.flow.subject_id is None:
            raise NotAllowedNowError("nobody has answered the first question yet")
        if uow.find(StoredNotice, notice.digest) is None:
            uow.add(
                StoredNotice(
                    id=notice.digest,
                    operator_id=operator.id,
                    language=notice.language,
                    content=notice.content(),
                    created_at=uow.now,
                )
            )
        change = request(
            id_=RecordId(self._core.new_id("cr")),
            operator_id=operator.id,
            client_id=view.client.id,
            subject_id=view.flow.subject_id,
            purposes=tuple(use.purpose for use in notice.uses),
            practices=operator.practices,
            jurisdiction=view.rules.place,
            locale=view.flow.locale,
            notice=notice.digest,
            replaces=view.grant,
            now=uow.now,
        )
        return self._core.record(uow, change, new=True, state="pending")

    def _add_contact(
        self, uow: UnitOfWork, record: RecordId, address: EmailAddress, browser: Digest
    ) -> None:
        uow.add(
            Contact(
                id=record,
                address=address,
                index=self._core.address_index(address.value),
                browser=browser,
                collected_at=uow.now,
            )
        )

    def _post(
        self, uow: UnitOfWork, view: FlowView, consent: Consent, address: EmailAddress
    ) -> None:
        """The letter around the stored notice.

        So that a second one says exactly what the first did.
        """
        stored = uow.get(StoredNotice, consent.notice)
        letter = DirectNoticeLetter(
            language=language_of(consent.locale),
            client_name=view.client.display_name,
            operator_name=view.registration.operator.legal_name,
            sections=sections_from_content(stored.content),
            link_url=self._core.new_link(
                uow, LinkPurpose.REQUEST, consent.id, until=consent.expires_at
            ),
            expires_on=consent.expires_at.date(),
        )
        post(uow, self._core, letter, to=address, target=consent.id)
