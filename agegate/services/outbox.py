"""Deliver letters.

Claim in one short transaction, send with none open, then write down what became of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agegate.domain.change import NewFact
from agegate.domain.consent import Consent, Stage
from agegate.domain.errors import ConflictError
from agegate.domain.ledger import FactKind
from agegate.domain.letters import Letter, unpack
from agegate.domain.outgoing import Delivery, Outgoing, OutgoingKind
from agegate.services.core import Core
from agegate.services.ending import forget_contact
from agegate.services.ports import Mailer, MailError, Rendered, UnitOfWork

BATCH: Final = 20
_UNREAD: Final = frozenset({Stage.REQUESTED, Stage.NOTIFIED})
_ENDS_THE_QUESTION: Final = frozenset({OutgoingKind.DIRECT_NOTICE, OutgoingKind.CONFIRMATION})


class OutboxService:
    def __init__(self, core: Core, mailer: Mailer, render: Callable[[Letter], Rendered]) -> None:
        self._core = core
        self._mailer = mailer
        self._render = render

    def deliver(self, *, limit: int = BATCH) -> int:
        """Send what is due. Returns how many letters were taken up."""
        taken = 0
        for letter in self._due(limit):
            claimed = self._claim(letter)
            if claimed is not None:
                self._send(claimed)
                taken += 1
        return taken

    def _due(self, limit: int) -> list[Outgoing]:
        now = self._core.now()
        with self._core.store.read() as r:
            # SENDING ones are due again once their lease is over: whoever took them has died.
            return [
                letter
                for state in (Delivery.WAITING, Delivery.SENDING)
                for letter in r.select(
                    Outgoing, state=state, upto=("due_at", now), order="due_at", limit=limit
                )
            ][:limit]

    def _claim(self, letter: Outgoing) -> Outgoing | None:
        try:
            with self._core.store.write() as uow:
                claimed = uow.save(letter.claim(now=uow.now))
                uow.commit()
                return claimed
        except ConflictError:  # another worker was first
            return None

    def _send(self, outgoing: Outgoing) -> None:
        to, letter = unpack(outgoing.kind, outgoing.payload)
        try:
            self._mailer.send(
                self._render(letter),
                to=to,
                kind=outgoing.kind.value,
                message_id=outgoing.message_id,
                language=letter.language,
                now=self._core.now(),
            )
        except MailError as error:
            self._note(outgoing, error)
            return
        self._note(outgoing, None)

    def _note(self, outgoing: Outgoing, error: MailError | None) -> None:
        """Saved against the claimed version.

        A worker that slept past its lease overwrites nobody.
        """
        try:
            with self._core.store.write() as uow:
                if error is None:
                    uow.save(outgoing.sent(now=uow.now))
                    self._after_sent(uow, outgoing)
                elif error.permanent:
                    uow.save(outgoing.bounced(error.code))
                    self._after_bounce(uow, outgoing, error.code)
                else:
                    after = uow.save(outgoing.retry(error.code, now=uow.now))
                    if after.state is Delivery.FAILED:
                        self._after_bounce(uow, outgoing, "given_up")
                uow.commit()
        except ConflictError:
            return

    def _after_sent(self, uow: UnitOfWork, outgoing: Outgoing) -> None:
        if outgoing.kind is not OutgoingKind.DIRECT_NOTICE:
            return
        consent = uow.find(Consent, outgoing.target)
        if consent is not None and consent.stage.is_open and uow.now < consent.expires_at:
            self._core.record(uow, consent.notify(now=uow.now))

    def _after_bounce(self, uow: UnitOfWork, outgoing: Outgoing, code: str) -> None:
        """An undeliverable notice is no notice (16 CFR 312.5(c)(4)).

        The question ends, the address goes.
        """
        if outgoing.kind not in _ENDS_THE_QUESTION:
            return
        consent = uow.find(Consent, outgoing.target)
        if consent is None or not consent.stage.is_open:
            return
        if outgoing.kind is OutgoingKind.DIRECT_NOTICE and consent.stage not in _UNREAD:
            return  # a second copy; somebody has read the first
        uow.state(
            NewFact(
                kind=FactKind.CONSENT_UNDELIVERABLE,
                operator_id=consent.operator_id,
                client_id=consent.client_id,
                record=consent.id,
                data={"code": code},
            )
        )
        ended = self._core.record(uow, consent.revoke("undeliverable", now=uow.now))
        forget_contact(uow, ended)
