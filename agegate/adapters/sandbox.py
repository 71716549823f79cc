"""The sandbox: pretend vendors, a movable clock, a letter box. Loud, and refused in production.

Everything here keeps its state in the store, so that all processes see the same pretend world.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from agegate.domain.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    VendorError,
)
from agegate.domain.people import EmailAddress, SealedText
from agegate.domain.records import SandboxLetter, SandboxSetting
from agegate.domain.rule_values import AGE_METHODS, VPC_METHODS
from agegate.methods.consent.payment_transaction import (
    Funding,
    PaymentOutcome,
    PaymentSession,
    PaymentStatus,
)
from agegate.services.ports import Clock, Mailer, NewId, Rendered, Store, UnitOfWork

# -- outcomes --------------------------------------------------------------------------------------


class SandboxOutcome(StrEnum):
    """How the next use of a method ends."""

    PASS = "pass"  # noqa: S105 - an outcome's name
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    WAIT = "wait"


def set_outcome(store: Store, method: str, outcome: SandboxOutcome) -> None:
    """The next use of `method` ends so; a later call overrules an earlier one that was not used."""
    with store.write() as uow:
        _put(uow, _outcome_id(method), outcome.value)
        uow.commit()


def take_outcome(uow: UnitOfWork, method: str) -> SandboxOutcome | None:
    """The outcome set for `method`, used up by this call. Of two uses at once, one gets it."""
    found = uow.find(SandboxSetting, _outcome_id(method))
    if found is None:
        return None
    try:
        uow.save(found)
    except ConflictError:
        return None
    uow.delete(SandboxSetting, found.id)
    return SandboxOutcome(found.value)


def _outcome_id(method: str) -> str:
    return f"outcome/{method}"


def _put(uow: UnitOfWork, id_: str, value: str) -> None:
    found = uow.find(SandboxSetting, id_)
    if found is None:
        uow.add(SandboxSetting(id=id_, value=value))
    else:
        uow.save(replace(found, value=value))


# -- payments --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPayment:
    """A pretend payment as its page shows it. `id` is also its transaction."""

    id: str
    return_url: str
    locale: str
    status: PaymentStatus = PaymentStatus.OPEN
    funding: Funding = Funding.UNKNOWN
    notifies_holder: bool = False
    failing: bool = False
    """The next question about it is not answered, as when a processor is away."""
    refunded: bool = False

    @property
    def is_settled(self) -> bool:
        return self.status in {PaymentStatus.PAID, PaymentStatus.FAILED}


class SandboxGateway:
    """Implements `CardGateway` without a card. An outcome means here what follows.

    - `pass`: paid by a credit card whose holder is notified;
    - `fail`: the payment fails;
    - `inconclusive`: paid, but by a prepaid card, which shows nothing about an adult;
    - `error`: the next question ends in a retryable `VendorError`, then the choice is open again;
    - `wait`: processing, until somebody chooses once more.

    Without an outcome set beforehand a person chooses on the page at `url`.
    """

    method: Final = "payment_transaction"

    def __init__(self, store: Store, public_url: str) -> None:
        self._store = store
        self._public_url = public_url.rstrip("/")

    def start(self, *, reference: str, locale: str, return_url: str) -> PaymentSession:
        # The reference is random, so its hash is an id that nobody guesses, the same each time.
        id_ = "sp_" + hashlib.sha256(reference.encode()).hexdigest()[:40]
        # A ConflictError says that the same reference was started a moment ago: the same session.
        with suppress(ConflictError), self._store.write() as uow:
            if uow.find(SandboxSetting, _payment_id(id_)) is None:
                payment = SandboxPayment(id=id_, return_url=return_url, locale=locale)
                outcome = take_outcome(uow, self.method)
                if outcome is not None:
                    payment = _settle(payment, outcome)
                uow.add(SandboxSetting(id=_payment_id(id_), value=_to_json(payment)))
                uow.commit()
        return PaymentSession(id=id_, url=f"{self._public_url}/sandbox/payment/{id_}")

    def outcome(self, session_id: str) -> PaymentOutcome:
        payment = self._known(session_id)
        if payment.failing:
            self._change(session_id, lambda p: replace(p, failing=False))
            raise VendorError("the pretend payment processor is away", retryable=True)
        paid = payment.status is PaymentStatus.PAID
        return PaymentOutcome(
            status=payment.status,
            funding=payment.funding,
            notifies_holder=payment.notifies_holder,
            transaction=payment.id if paid else "",
        )

    def refund(self, transaction: str) -> None:
        payment = self._known(transaction)
        if payment.status is not PaymentStatus.PAID:
            raise VendorError("nothing was paid", retryable=False)
        if not payment.refunded:
            self._change(transaction, lambda p: replace(p, refunded=True))

    def session(self, session_id: str) -> SandboxPayment:
        """What the page shows. Raises `NotFoundError`."""
        with self._store.read() as r:
            return _from_json(r.get(SandboxSetting, _payment_id(session_id)).value)

    def choose(self, session_id: str, outcome: SandboxOutcome) -> SandboxPayment:
        """A person presses a button. Raises `NotFoundError`; `ConflictError` once it is settled."""
        return self._change(session_id, lambda p: _settle(p, outcome))

    def _known(self, session_id: str) -> SandboxPayment:
        try:
            return self.session(session_id)
        except NotFoundError:
            raise VendorError("there is no such payment", retryable=False) from None

    def _change(
        self, session_id: str, change: Callable[[SandboxPayment], SandboxPayment]
    ) -> SandboxPayment:
        with self._store.write() as uow:
            row = uow.get(SandboxSetting, _payment_id(session_id))
            after = change(_from_json(row.value))
            uow.save(replace(row, value=_to_json(after)))
            uow.commit()
            return after


def _settle(payment: SandboxPayment, outcome: SandboxOutcome) -> SandboxPayment:
    if payment.is_settled:
        raise ConflictError("this payment is already over")
    match outcome:
        case SandboxOutcome.PASS:
            return replace(
                payment,
                status=PaymentStatus.PAID,
                funding=Funding.CREDIT,
                notifies_holder=True,
                failing=False,
            )
        case SandboxOutcome.FAIL:
            return replace(payment, status=PaymentStatus.FAILED, failing=False)
        case SandboxOutcome.INCONCLUSIVE:
            return replace(
                payment, status=PaymentStatus.PAID, funding=Funding.PREPAID, failing=False
            )
        case SandboxOutcome.ERROR:
            return replace(payment, failing=True)
        case SandboxOutcome.WAIT:
            return replace(payment, status=PaymentStatus.PROCESSING, failing=False)


def _payment_id(session_id: str) -> str:
    return f"payment/{session_id}"


def _to_json(payment: SandboxPayment) -> str:
    return json.dumps(asdict(payment), sort_keys=True)


def _from_json(text: str) -> SandboxPayment:
    values: dict[str, Any] = json.loads(text)
    return SandboxPayment(
        **values
        | {"status": PaymentStatus(values["status"]), "funding": Funding(values["funding"])}
    )


# -- clock -----------------------------------------------------------------------------------------

_CLOCK: Final = "clock"
_FRESH_S: Final = 0.2
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


class SandboxClock:
    """The present time, moved by a number of seconds that all processes share through the store.

    A store needs a clock and this clock a store: build the clock, build the store on it, `attach`
    the store. Until then, and while the store can't be read, the shift last known holds (at first:
    none). Other processes follow within 0.2 s.
    """

    def __init__(self, real: Clock, *, ticks: Callable[[], float] = time.monotonic) -> None:
        """`real` gives the real time, `ticks` seconds that only ever grow."""
        self._real = real
        self._ticks = ticks
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._shift = timedelta(0)
        self._read_at: float | None = None
        self._sets = 0

    def attach(self, store: Store) -> None:
        self._store = store
        self._read_at = None

    def __call__(self) -> datetime:
        if self._store is not None and not self._is_fresh():
            self._refresh(self._store)
        return self._real().astimezone(UTC) + self._shift

    def set(self, now: datetime) -> None:
        """Make `now` the present, forwards or backwards; time goes on from there.

        Raises `InvalidRequestError` for a time without a zone or outside the years 2000 to 2199.
        """
        if self._store is None:
            raise UnavailableError("the sandbox clock has no store yet")
        if now.tzinfo is None or not _EARLIEST <= now < _LATEST:
            raise InvalidRequestError("now must be a time with a zone, between 2000 and 2200")
        shift = now.astimezone(UTC) - self._real().astimezone(UTC)
        with self._store.write() as uow:
            _put(uow, _CLOCK, repr(shift.total_seconds()))
            uow.commit()
        with self._lock:
            self._sets += 1
            self._shift = shift
            self._read_at = self._ticks()

    def _is_fresh(self) -> bool:
        return self._read_at is not None and self._ticks() - self._read_at < _FRESH_S

    def _refresh(self, store: Store) -> None:
        sets = self._sets
        shift: timedelta | None = None
        # The lock is not held meanwhile: whoever writes to the store asks for the time.
        try:
            with store.read() as r:
                found = r.find(SandboxSetting, _CLOCK)
            shift = timedelta(seconds=float(found.value)) if found is not None else timedelta(0)
        except UnavailableError:
            shift = None
        with self._lock:
            if sets == self._sets:  # else it was set while we read, and what we read is old
                self._shift = self._shift if shift is None else shift
                self._read_at = self._ticks()


# -- letters ---------------------------------------------------------------------------------------

_LINK: Final = re.compile(r"https?://[^\s<>\"']+")
_NOT_OF_A_LINK: Final = ".,;:!?)]}’”»"


class SandboxMailer:
    """Implements `Mailer`: sends through `inner`, if there is one, and keeps what was sent."""

    def __init__(self, inner: Mailer | None, store: Store, new_id: NewId) -> None:
        self._inner = inner
        self._store = store
        self._new_id = new_id

    def send(
        self,
        rendered: Rendered,
        *,
        to: EmailAddress,
        kind: str,
        message_id: str,
        language: str,
        now: datetime,
    ) -> None:
        """Raises `MailError` of `inner`; then nothing is kept."""
        if self._inner is not None:
            self._inner.send(
                rendered, to=to, kind=kind, message_id=message_id, language=language, now=now
            )
        with self._store.write() as uow:
            last = uow.select(SandboxLetter, descending=True, limit=1)
            number = int(last[0].id.partition(".")[0]) + 1 if last else 1
            uow.add(
                SandboxLetter(
                    # Ids that sort: the clock moves both ways, so times don't tell the order.
                    id=f"{number:08d}.{self._new_id('sl')}",
                    kind=kind,
                    address=SealedText(to.value),
                    subject=rendered.subject,
                    text=SealedText(rendered.text),
                    html=SealedText(rendered.html),
                    sent_at=now,
                )
            )
            uow.commit()


def letters(store: Store) -> list[dict[str, Any]]:
    """All letters of the letter box as JSON objects, in the order in which they were sent."""
    with store.read() as r:
        return [_letter_to_json(letter) for letter in r.select(SandboxLetter)]


def links_in(text: str) -> list[str]:
    """Every http(s) address in a text, in order, each once."""
    return list(dict.fromkeys(found.rstrip(_NOT_OF_A_LINK) for found in _LINK.findall(text)))


def _letter_to_json(letter: SandboxLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "kind": letter.kind,
        "to": letter.address.value,
        "subject": letter.subject,
        "text": letter.text.value,
        "html": letter.html.value,
        "links": links_in(letter.text.value),
        "sent_at": letter.sent_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


# -- all of it -------------------------------------------------------------------------------------


class Sandbox:
    """The whole pretend world of one process, as `bootstrap` hands it to the edges."""

    def __init__(
        self, store: Store, clock: SandboxClock, *, public_url: str, new_id: NewId
    ) -> None:
        self._store = store
        self._new_id = new_id
        self.clock = clock
        self.gateway = SandboxGateway(store, public_url)

    def mailer(self, real: Mailer | None) -> Mailer:
        """A mailer that also fills the letter box; without `real` it does nothing else."""
        return SandboxMailer(real, self._store, self._new_id)

    def letters(self) -> list[dict[str, Any]]:
        """All letters as JSON objects, oldest first."""
        return letters(self._store)

    def set_outcome(self, method: str, outcome: str) -> None:
        """The next use of `method` ends so. Raises `InvalidRequestError` for unknown words."""
        if method not in AGE_METHODS | VPC_METHODS:
            raise InvalidRequestError("method: there is no such method")
        set_outcome(self._store, method, _outcome(outcome))

    def set_clock(self, now: datetime) -> None:
        """Raises `InvalidRequestError` for a time without a zone or far away."""
        self.clock.set(now)

    def payment(self, id_: str) -> SandboxPayment:
        """Raises `NotFoundError`."""
        return self.gateway.session(id_)

    def choose_payment(self, id_: str, outcome: str) -> SandboxPayment:
        """Raises `NotFoundError`, `InvalidRequestError`; `ConflictError` once it is settled."""
        return self.gateway.choose(id_, _outcome(outcome))


def _outcome(word: str) -> SandboxOutcome:
    if word not in set(SandboxOutcome):
        raise InvalidRequestError(f"outcome: one of {', '.join(SandboxOutcome)}")
    return SandboxOutcome(word)
