"""What goes away when a question or a consent ends: addresses, links, letters, token bits."""

from __future__ import annotations

from agegate.domain.change import NewFact
from agegate.domain.consent import Consent
from agegate.domain.ledger import FactKind
from agegate.domain.outgoing import Delivery, Outgoing, OutgoingKind
from agegate.domain.people import Contact, Link, ProofRun
from agegate.services.families import spend_tokens
from agegate.services.ports import UnitOfWork

_ASKING = frozenset({OutgoingKind.DIRECT_NOTICE, OutgoingKind.CONFIRMATION})


def spend_grant(uow: UnitOfWork, consent: Consent) -> None:
    """Set the status bits of all tokens that carried a grant, or one that it replaced."""
    carried: Consent | None = consent
    while carried is not None:
        spend_tokens(uow, carried)
        carried = uow.find(Consent, carried.replaces) if carried.replaces else None


def forget_contact(uow: UnitOfWork, consent: Consent, *, keep_links: bool = False) -> None:
    """Delete the address a child gave, its links and letters not yet sent (16 CFR 312.5(c)(1)).

    `keep_links` lets a parent who has just answered see what was recorded; a link names nobody.
    """
    uow.delete(ProofRun, consent.id)
    for link in () if keep_links else uow.select(Link, target=consent.id):
        uow.delete(Link, link.id)
    for state in (Delivery.WAITING, Delivery.SENDING):
        # One that is being sent is dropped too, lest it be sent again when its lease is over.
        for letter in uow.select(Outgoing, target=consent.id, state=state):
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
