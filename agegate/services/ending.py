"""What goes away when a question or a consent ends: addresses, links, letters, token bits."""

from __future__ import annotations

from agegate.domain.change import NewFact
from agegate.domain.consent import Consent
from agegate.domain.ledger import FactKind
from agegate.domain.outgoing import Delivery, Outgoing, OutgoingKind
from agegate.domain.people import Contact, Link, ProofRun
from agegate.services.ports import UnitOfWork

_ASKING = frozenset({OutgoingKind.DIRECT_NOTICE, OutgoingKind.CONFIRMATION})


def forget_contact(uow: UnitOfWork, consent: Consent) -> None:
    """Delete the address a child gave, its links and letters not yet sent (16 CFR 312.5(c)(1))."""
    uow.delete(ProofRun, consent.id)
    for link in uow.select(Link, target=consent.id):
        uow.delete(Link, link.id)
    for letter in uow.select(Outgoing, target=consent.id, state=Delivery.WAITING):
        if letter.kind in _ASKING:
            uow.save(letter.dropped())
    if uow.find(Contact, consent.id) is not None:
        uow.delete(Contact, consent.id)
        uow.state(
            NewFact(
                kind=FactKind.CONTACT_DELETED,
                operator_id=consent.operator_id,
                client_id=consent.client_id,
                record=consent.id,
            )
        )
