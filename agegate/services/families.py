"""How a family of tokens ends: its status bits are set, and its client is told."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from agegate.domain.change import NewFact
from agegate.domain.consent import Consent
from agegate.domain.errors import ConflictError, UnavailableError
from agegate.domain.grants import Family, IssuedToken
from agegate.domain.ids import FamilyId
from agegate.domain.ledger import FactKind
from agegate.domain.people import Subject
from agegate.domain.records import EventType
from agegate.services.core import Core
from agegate.services.ports import UnitOfWork

_TRIES: Final = 5


def revoke_family(core: Core, family_id: FamilyId, reason: str) -> None:
    """End a family in a transaction of its own. Raises `UnavailableError`."""
    for _ in range(_TRIES):
        # Of many who revoke at once one is first; the others look again and find it done.
        with suppress(ConflictError), core.store.write() as uow:
            family = uow.find(Family, family_id)
            if family is not None and family.revoked_at is None:
                end_family(uow, core, family, reason=reason)
                uow.commit()
            return
    raise UnavailableError("the tokens could not be ended; try again")


def end_family(uow: UnitOfWork, core: Core, family: Family, *, reason: str) -> None:
    """Revoke a family inside the caller's transaction, set its tokens' status bits and say so."""
    uow.save(family.revoke(now=uow.now))
    for issued in uow.select(IssuedToken, family_id=family.id):
        if issued.expires_at > uow.now:
            uow.save(replace(issued, revoked_at=uow.now, withdrawn=True))
    registered = core.registration(uow, family.client_id)
    operator_id, client_id = registered.operator.id, family.client_id
    uow.state(
        NewFact(
            kind=FactKind.TOKEN_FAMILY_REVOKED,
            operator_id=operator_id,
            client_id=client_id,
            data={"reason": reason},
        )
    )
    subject = uow.find(Subject, family.subject_id)
    core.tell(
        uow,
        EventType.TOKEN_REVOKED,
        operator_id=operator_id,
        client_id=client_id,
        sub=subject.sub if subject else None,
        state=reason,
    )


def spend_tokens(uow: UnitOfWork, consent: Consent) -> None:
    """Set the status bit of every token that carried this grant; the tokens stay known."""
    _spend(uow, uow.select(IssuedToken, record=consent.id))


def spend_tokens_of(uow: UnitOfWork, subject: Subject) -> None:
    """Set the status bit of every token that speaks of this subject's age as it was."""
    _spend(uow, uow.select(IssuedToken, subject_id=subject.id))


def _spend(uow: UnitOfWork, tokens: Iterable[IssuedToken]) -> None:
    for issued in tokens:
        if issued.expires_at > uow.now and not issued.withdrawn:
            uow.save(replace(issued, withdrawn=True))
