"""What every use case starts from, and the look-ups they share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agegate.domain.change import Change
from agegate.domain.consent import Consent
from agegate.domain.errors import LinkExpiredError, NotFoundError
from agegate.domain.ids import ClientId, Digest, digest
from agegate.domain.ledger import FactKind
from agegate.domain.operators import Client, Operator, Service
from agegate.domain.people import Link, LinkPurpose, Subject
from agegate.domain.place_rules import PlaceRules
from agegate.domain.records import Credential, CredentialKind, Event, EventType, OperatorEntry
from agegate.domain.rules import Rulebook
from agegate.domain.standing import Standing, stand
from agegate.domain.webhooks import WebhookDelivery
from agegate.services.ports import Clock, LinkSigner, NewId, Reader, Sealer, Store, UnitOfWork

_EVENT_OF = {
    FactKind.CONSENT_REQUESTED: EventType.CONSENT_REQUESTED,
    FactKind.CONSENT_GRANTED: EventType.CONSENT_GRANTED,
    FactKind.CONSENT_DENIED: EventType.CONSENT_DENIED,
    FactKind.CONSENT_WITHDRAWN: EventType.CONSENT_WITHDRAWN,
    FactKind.CONSENT_REVOKED: EventType.CONSENT_REVOKED,
    FactKind.CONSENT_EXPIRED: EventType.CONSENT_EXPIRED,
    FactKind.CONSENT_STALE: EventType.CONSENT_STALE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    operator: Operator
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The ports and the rulebook, handed to every service."""

    store: Store
    rulebook: Rulebook
    new_id: NewId
    links: LinkSigner
    sealer: Sealer
    public_url: str
    now: Clock
    confirmation_delay: timedelta = timedelta(hours=1)
    """How long after the first answer the second letter of `email_plus` leaves."""

    def find_registration(self, r: Reader, client_id: str) -> Registration | None:
        credential = r.find(Credential, client_id)
        if credential is None or credential.kind is not CredentialKind.CLIENT:
            return None
        operator = r.get(OperatorEntry, credential.operator_id).operator
        client = operator.find_client(ClientId(client_id))
        return Registration(operator=operator, client=client) if client else None

    def registration(self, r: Reader, client_id: str) -> Registration:
        """Also of a client that was taken away since, whose people keep their rights."""
        found = self.find_registration(r, client_id) or self._retired(r, client_id)
        if found is None:
            raise NotFoundError("no such client")
        return found

    def _retired(self, r: Reader, client_id: str) -> Registration | None:
        credential = r.find(Credential, client_id)
        if credential is None or credential.kind is not CredentialKind.RETIRED:
            return None
        entry = r.get(OperatorEntry, credential.operator_id)
        client = next((c for c in entry.retired if c.id == client_id), None)
        return Registration(operator=entry.operator, client=client) if client else None

    def find_service(self, r: Reader, service_id: str) -> tuple[Operator, Service] | None:
        credential = r.find(Credential, service_id)
        if credential is None or credential.kind is not CredentialKind.SERVICE:
            return None
        operator = r.get(OperatorEntry, credential.operator_id).operator
        service = operator.find_service(ClientId(service_id))
        return (operator, service) if service else None

    def rules_for(self, place: str | None, client: Client, *, now: datetime) -> PlaceRules:
        return self.rulebook.rules_for(place, client.regions, on=now.date())

    def standing(
        self, r: Reader, subject: Subject, registered: Registration, *, now: datetime
    ) -> Standing:
        return stand(
            subject,
            registered.client,
            r.select(Consent, subject_id=subject.id),
            self.rules_for(subject.place, registered.client, now=now),
            rules_version=self.rulebook.version,
            practices=registered.operator.practices,
            now=now,
        )

    def address_index(self, address: str) -> Digest:
        return self.sealer.index(address.strip().casefold(), use="address")

    # -- consents --------------------------------------------------------------------------------

    def record(
        self,
        uow: UnitOfWork,
        change: Change[Consent],
        *,
        new: bool = False,
        state: str | None = None,
    ) -> Consent:
        """Store a consent's step with its fact.

        And tell the client where the step is one of its business.
        """
        after = uow.record(change, new=new)
        event = _EVENT_OF.get(change.fact.kind)
        if event is not None:
            subject = uow.find(Subject, after.subject_id)
            self.tell(
                uow,
                event,
                operator_id=after.operator_id,
                client_id=after.client_id,
                sub=subject.sub if subject else None,
                record=after.id,
                state=state or event.value.partition(".")[2],
            )
        return after

    def tell(self, uow: UnitOfWork, event: EventType, **fields: Any) -> None:
        """Write an event down, and its webhook where the client has a place for one."""
        told = Event(id=self.new_id("evt"), type=event, at=uow.now, **fields)
        uow.publish(told)
        registered = self.find_registration(uow, told.client_id)
        if registered is None or registered.client.webhook_url is None:
            return
        uow.add(
            WebhookDelivery(
                id=self.new_id("wh"),
                event_id=told.id,
                client_id=told.client_id,
                sub=told.sub,
                since=uow.now,
                due_at=uow.now,
                created_at=uow.now,
            )
        )

    # -- links -----------------------------------------------------------------------------------

    def new_link(
        self, uow: UnitOfWork, purpose: LinkPurpose, target: str, *, until: datetime
    ) -> str:
        """A fresh link's address. Only the hash of its id is stored."""
        id_ = self.new_id("ln")
        uow.add(Link(id=digest(id_), purpose=purpose, target=target, expires_at=until))
        return f"{self.public_url}{_PATH[purpose]}{self.links.sign(purpose.value, id_)}"

    def follow(self, r: Reader, purpose: LinkPurpose, text: str, *, now: datetime) -> Link:
        """The stored link behind a mailed one.

        Raises `LinkExpiredError`, whatever is wrong with it.
        """
        link = r.find(Link, digest(self.links.read(purpose.value, text)))
        if link is None or link.purpose is not purpose or now >= link.expires_at:
            raise LinkExpiredError("this link has run out")
        return link


_PATH = {
    LinkPurpose.REQUEST: "/parent/request/",
    LinkPurpose.CONFIRM: "/parent/confirm/",
    LinkPurpose.SIGN_IN: "/parent/sign-in/",
}
