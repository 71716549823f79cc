"""Erase by hand: the operator's staff carry out what a parent asked for in another way."""

from __future__ import annotations

from agegate.domain.consent import Consent
from agegate.domain.errors import NotFoundError
from agegate.domain.ids import ParentId
from agegate.domain.people import Parent, ParentSession, Subject
from agegate.services.core import Core
from agegate.services.parents import erase_subject
from agegate.services.ports import UnitOfWork


def erase_by_sub(core: Core, sub: str, *, client_id: str | None = None) -> int:
    """Delete every account with this `sub`, at one client or at all (16 CFR 312.6(a)(2)).

    A parent who gave consent gets a letter about it. Returns how many accounts were deleted. Raises
    `NotFoundError` when there is none.
    """
    with core.store.write() as uow:
        subjects = [
            subject
            for subject in uow.select(Subject, sub=sub)
            if client_id in {None, subject.client_id}
        ]
        if not subjects:
            raise NotFoundError("no subject has this sub" + (" at this client" * bool(client_id)))
        for subject in subjects:
            consents = uow.select(Consent, subject_id=subject.id, order="requested_at")
            asked = [c for c in consents if c.parent_id is not None]
            erase_subject(uow, core, subject.id, asked_by=asked[-1] if asked else None)
            for parent_id in {c.parent_id for c in asked if c.parent_id is not None}:
                _forget_without_children(uow, parent_id)
        uow.commit()
    return len(subjects)


def _forget_without_children(uow: UnitOfWork, parent_id: ParentId) -> None:
    """A parent's address is kept for their children's sake alone."""
    theirs = uow.select(Consent, parent_id=parent_id)
    if any(uow.find(Subject, consent.subject_id) is not None for consent in theirs):
        return
    for session in uow.select(ParentSession, parent_id=parent_id):
        uow.delete(ParentSession, session.id)
    uow.delete(Parent, parent_id)
