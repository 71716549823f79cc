"""Write letters into the outbox, inside the transaction they belong to."""

from __future__ import annotations

from collections.abc import Sequence

from agegate.domain.consent import Consent
from agegate.domain.letters import (
    ConfirmationLetter,
    ErasureLetter,
    Letter,
    ReceiptLetter,
    WithdrawalLetter,
    pack,
)
from agegate.domain.notice_parts import purpose_in_words
from agegate.domain.operators import Operator
from agegate.domain.outgoing import Outgoing
from agegate.domain.people import EmailAddress, LinkPurpose
from agegate.domain.words import Language, language_of
from agegate.services.core import Core, Registration
from agegate.services.ports import UnitOfWork


def post(uow: UnitOfWork, core: Core, letter: Letter, *, to: EmailAddress, target: str) -> Outgoing:
    """Queue one letter. Its Message-ID is fixed now, so that any copy is the same letter."""
    id_ = core.new_id("out")
    host = core.public_url.partition("://")[2].partition("/")[0].partition(":")[0]
    outgoing = Outgoing(
        id=id_,
        kind=letter.kind,
        target=target,
        index=core.address_index(to.value),
        payload=pack(to, letter),
        message_id=f"<{id_}@{host}>",
        due_at=uow.now,
        created_at=uow.now,
    )
    uow.add(outgoing)
    return outgoing


def titles(operator: Operator, ids: Sequence[str]) -> tuple[str, ...]:
    """The operator's own words for its purposes; one that is no longer declared keeps its id."""
    known: dict[str, str] = {p.id: p.title for p in operator.purposes}
    return tuple(known.get(id_, id_) for id_ in ids)


def in_words(registered: Registration, ids: Sequence[str], language: Language) -> tuple[str, ...]:
    """Each purpose with its data, receivers and retention, as a parent's letter tells it."""
    operator = registered.operator
    return tuple(
        purpose_in_words(operator, p, language=language) for p in operator.purposes if p.id in ids
    )


def portal_url(core: Core) -> str:
    return f"{core.public_url}/parent/"


def post_confirmation(
    uow: UnitOfWork, core: Core, registered: Registration, consent: Consent, *, to: EmailAddress
) -> None:
    """The second step of `email_plus`: a later letter, with a link of its own."""
    language = language_of(consent.locale)
    letter = ConfirmationLetter(
        language=language,
        client_name=registered.client.display_name,
        operator_name=registered.operator.legal_name,
        allowed=in_words(registered, consent.granted, language),
        refused=in_words(registered, consent.refused, language),
        link_url=core.new_link(uow, LinkPurpose.CONFIRM, consent.id, until=consent.expires_at),
        portal_url=portal_url(core),
        expires_on=consent.expires_at.date(),
    )
    queued = post(uow, core, letter, to=to, target=consent.id)
    uow.save(queued.later(core.confirmation_delay))


def post_receipt(
    uow: UnitOfWork, core: Core, registered: Registration, consent: Consent, *, to: EmailAddress
) -> None:
    language = language_of(consent.locale)
    letter = ReceiptLetter(
        language=language,
        client_name=registered.client.display_name,
        operator_name=registered.operator.legal_name,
        decided_on=(consent.decided_at or uow.now).date(),
        allowed=in_words(registered, consent.granted, language),
        refused=in_words(registered, consent.refused, language),
        until=consent.expires_at.date(),
        receipt_url=core.new_link(uow, LinkPurpose.REQUEST, consent.id, until=consent.expires_at),
        portal_url=portal_url(core),
    )
    post(uow, core, letter, to=to, target=consent.id)


def post_withdrawal(
    uow: UnitOfWork, core: Core, registered: Registration, consent: Consent, *, to: EmailAddress
) -> None:
    language = language_of(consent.locale)
    letter = WithdrawalLetter(
        language=language,
        client_name=registered.client.display_name,
        operator_name=registered.operator.legal_name,
        withdrawn_on=uow.now.date(),
        withdrawn=in_words(registered, consent.granted, language),
        portal_url=portal_url(core),
        operator_email=registered.operator.email,
    )
    post(uow, core, letter, to=to, target=consent.id)


def post_erasure(
    uow: UnitOfWork, core: Core, registered: Registration, consent: Consent, *, to: EmailAddress
) -> None:
    language = language_of(consent.locale)
    letter = ErasureLetter(
        language=language,
        client_name=registered.client.display_name,
        operator_name=registered.operator.legal_name,
        erased_on=uow.now.date(),
        operator_email=registered.operator.email,
    )
    post(uow, core, letter, to=to, target=consent.id)
