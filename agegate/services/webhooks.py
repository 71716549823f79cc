"""Tell clients what happened.

Claim in one short transaction, send with none open, then write down what became of it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from agegate.domain.errors import ConflictError, NotAllowedNowError, NotFoundError
from agegate.domain.ids import ClientId
from agegate.domain.records import Credential, Event, OperatorEntry
from agegate.domain.webhooks import (
    SECRET_PREFIX,
    UNDELIVERED,
    Turn,
    WebhookDelivery,
    WebhookState,
    find_earlier,
    headers,
    payload,
    to_body,
    trial,
)
from agegate.services.core import Core
from agegate.services.ports import Reader

BATCH: Final = 20
AT_ONCE: Final = 4
"""How many posts to one client are under way at a time: a receiver that hangs holds up no other."""
NO_RECEIVER: Final = "no_receiver"
NO_EVENT: Final = "no_event"


class WebhookError(Exception):
    """There was no answer. `code` says why and holds nothing of the other side."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class WebhookSender(Protocol):
    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the answer; no redirect is followed. Raises `WebhookError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where a client wants to be told, and what signs for it, the newest secret first."""

    client_id: ClientId
    url: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    delivery: WebhookDelivery
    type: str | None
    """None where the event is no longer kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a receiver answered to a good and to a bad signature: a status, or why there is none."""

    good: str
    bad: str

    @property
    def accepts_good(self) -> bool:
        return self.good.startswith("2")

    @property
    def refuses_bad(self) -> bool:
        """Only an answer tells: silence may be an accident."""
        return self.bad.isdecimal() and not self.bad.startswith("2")


class WebhookService:
    def __init__(self, core: Core, sender: WebhookSender) -> None:
        self._core = core
        self._sender = sender

    # -- the worker's part -------------------------------------------------------------------------

    def deliver(self) -> int:
        """Send what is due, one after the other. Returns how many were taken up."""
        taken = self.take(limit=BATCH, busy={})
        for delivery in taken:
            self.send(delivery)
        return len(taken)

    def take(self, *, limit: int, busy: Mapping[ClientId, int]) -> list[WebhookDelivery]:
        """Claim up to `limit` of what is due; `busy` counts what the caller already sends.

        At most one about each subject, and at most `AT_ONCE` to each client.
        """
        if limit <= 0:
            return []
        with self._core.store.read() as r:
            if not self._due(r, limit=1):
                return []
        # Its number goes out with an event, and the order goes by it.
        self._core.store.integrate()
        with self._core.store.read() as r:
            due = self._due(r, limit=BATCH)
            clients = _clients_with_webhooks(r)
        for delivery in due:
            if delivery.client_id not in clients:
                self._keep(delivery.park(NO_RECEIVER))
        taken: list[WebhookDelivery] = []
        for client_id in clients:
            room = min(limit - len(taken), AT_ONCE - busy.get(client_id, 0))
            if room > 0:
                taken += self._take_for(client_id, room)
        return taken

    def send(self, delivery: WebhookDelivery) -> WebhookDelivery | None:
        """Post a claimed one and write down what came of it; None where another took it over."""
        with self._core.store.read() as r:
            event = r.find(Event, delivery.event_id)
            receiver = self._receiver(r, delivery.client_id)
        if event is None or receiver is None:
            return self._keep(delivery.park(NO_EVENT if event is None else NO_RECEIVER))
        body = to_body(payload(event))
        try:
            status = self._post(receiver, delivery.id, body, receiver.secrets)
        except WebhookError as error:
            return self._keep(delivery.failed(error.code, now=self._core.now()))
        return self._keep(delivery.answered(status, now=self._core.now()))

    # -- an operator's part ------------------------------------------------------------------------

    def list(
        self, *, state: WebhookState | None = None, client_id: str | None = None, limit: int
    ) -> Sequence[Listed]:
        """The newest first."""
        given: dict[str, Any] = {"state": state, "client_id": client_id}
        wanted = {name: value for name, value in given.items() if value is not None}
        with self._core.store.read() as r:
            found = r.select(
                WebhookDelivery,
                order="created_at",
                descending=True,
                limit=limit,
                **wanted,
            )
            events = [r.find(Event, delivery.event_id) for delivery in found]
        return [
            Listed(delivery=delivery, type=event.type.value if event else None)
            for delivery, event in zip(found, events, strict=True)
        ]

    def replay(self, id_: str) -> WebhookDelivery:
        """Have one sent again, parked or delivered, with its old id.

        Raises `NotFoundError`, and `NotAllowedNowError` for one that is on its way anyway.
        """
        with self._core.store.write() as uow:
            delivery = uow.get(WebhookDelivery, id_)
            if delivery.state in UNDELIVERED:
                raise NotAllowedNowError("this webhook is on its way already")
            again = uow.save(delivery.replay(now=uow.now))
            uow.commit()
        return again

    def replay_parked(self, client_id: str) -> int:
        """Have everything sent again that was given up for one client. Returns how many.

        Raises `NotFoundError` for a client that gets no webhooks.
        """
        with self._core.store.read() as r:
            if self._receiver(r, client_id) is None:
                raise NotFoundError("no client of this id gets webhooks")
            parked = r.select(WebhookDelivery, client_id=client_id, state=WebhookState.PARKED)
        now = self._core.now()
        return sum(self._keep(delivery.replay(now=now)) is not None for delivery in parked)

    def try_out(self, client_id: str) -> Trial:
        """Send `webhook.test` twice, well signed and badly signed. Nothing is stored.

        A receiver that takes both verifies nothing. Raises `NotFoundError` for a client that gets
        no webhooks.
        """
        with self._core.store.read() as r:
            receiver = self._receiver(r, client_id)
        if receiver is None:
            raise NotFoundError("no client of this id gets webhooks")
        body = to_body(trial(receiver.client_id, now=self._core.now()))
        # A key of our own kind that is nobody's: the form is right, the signature is not.
        forger = SECRET_PREFIX + base64.b64encode(hashlib.sha256(body).digest()).decode()
        answers = []
        for secrets in (receiver.secrets, (forger,)):
            try:
                status = self._post(receiver, self._core.new_id("wh"), body, secrets)
            except WebhookError as error:
                answers.append(error.code)
            else:
                answers.append(str(status))
        return Trial(good=answers[0], bad=answers[1])

    # -- helpers -----------------------------------------------------------------------------------

    def _due(self, r: Reader, *, limit: int, **equals: Any) -> Sequence[WebhookDelivery]:
        now = self._core.now()
        # SENDING ones are due again once their lease is over: whoever took them has died.
        return [
            delivery
            for state in UNDELIVERED
            for delivery in r.select(
                WebhookDelivery,
                state=state,
                upto=("due_at", now),
                order="due_at",
                limit=limit,
                **equals,
            )
        ][:limit]

    def _take_for(self, client_id: ClientId, room: int) -> Sequence[WebhookDelivery]:
        now = self._core.now()
        taken: list[WebhookDelivery] = []
        with self._core.store.read() as r:
            due = [_turn(r, d) for d in self._due(r, limit=BATCH, client_id=client_id)]
            for turn in sorted(due, key=lambda turn: turn.seq or 0):
                if len(taken) == room:
                    break
                first = self._earliest(r, turn)
                if first is None or (first.state is WebhookState.SENDING and first.due_at > now):
                    continue  # not numbered yet, or on its way just now
                if first.due_at > now:
                    # It rests after a failure; this one gets out of the way of others.
                    self._keep(turn.delivery.wait_for(first))
                    continue
                claimed = self._keep(first.claim(now=now))
                taken += [claimed] if claimed is not None else []
        return taken

    def _earliest(self, r: Reader, turn: Turn) -> WebhookDelivery | None:
        """What must leave first about the same subject, which may be this one itself."""
        if turn.seq is None:
            return None
        if turn.delivery.sub is None:
            return turn.delivery
        others = [
            _turn(r, other)
            for state in UNDELIVERED
            for other in r.select(
                WebhookDelivery,
                sub=turn.delivery.sub,
                client_id=turn.delivery.client_id,
                state=state,
            )
        ]
        return find_earlier(turn, others) or turn.delivery

    def _receiver(self, r: Reader, client_id: str) -> Receiver | None:
        registered = self._core.find_registration(r, client_id)
        credential = r.find(Credential, client_id)
        if registered is None or credential is None:
            return None
        url, secret = registered.client.webhook_url, credential.webhook_secret
        if url is None or secret is None:
            return None  # never unsigned
        old, until = credential.old_webhook_secret, credential.old_webhook_until
        secrets = [secret.value]
        if old is not None and until is not None and self._core.now() < until:
            secrets.append(old.value)
        return Receiver(client_id=credential.id, url=url, secrets=tuple(secrets))

    def _post(self, receiver: Receiver, id_: str, body: bytes, secrets: Sequence[str]) -> int:
        signed = headers(id_, body, secrets, now=self._core.now())
        return self._sender.post(receiver.url, signed, body)

    def _keep(self, delivery: WebhookDelivery) -> WebhookDelivery | None:
        """Saved against the version it came from: whoever was late overwrites nobody."""
        try:
            with self._core.store.write() as uow:
                kept = uow.save(delivery)
                uow.commit()
                return kept
        except ConflictError:
            return None


def _turn(r: Reader, delivery: WebhookDelivery) -> Turn:
    event = r.find(Event, delivery.event_id)
    # What has no event any more waits for nobody.
    return Turn(delivery=delivery, seq=event.seq if event else 0)


def _clients_with_webhooks(r: Reader) -> tuple[ClientId, ...]:
    return tuple(
        client.id
        for entry in r.select(OperatorEntry)
        for client in entry.operator.clients
        if client.webhook_url is not None
    )
