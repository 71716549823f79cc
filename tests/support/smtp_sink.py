"""A real SMTP server that keeps what it gets and misbehaves on demand."""

from __future__ import annotations

import asyncio
import email
import email.message
import email.policy
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.certificates import Certificate
from tests.support.postgres import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedLetter:
    """One letter as it came over the wire."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    raw: bytes
    message: email.message.EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    def part(self, subtype: str) -> str:
        """Return the text of the `plain` or `html` part; fails when there is none."""
        body = self.message.get_body(preferencelist=(subtype,))
        assert body is not None, f"no text/{subtype} part in {self.subject!r}"
        content: str = body.get_content()
        return content


@dataclass(slots=True)
class _Fault:
    """What to do at one SMTP step, and how many times (None: until told otherwise)."""

    answer: str
    times: int | None

    def take(self) -> str | None:
        if self.times is None:
            return self.answer
        if self.times <= 0:
            return None
        self.times -= 1
        return self.answer


_HANG = "hang"
_DROP = "drop"


@dataclass(slots=True)
class SmtpSink:
    """An SMTP server on a free loopback port, in a thread of its own. Use it with `with`.

    `letters` holds what was accepted, in order. A fault holds for `times` uses, or until `heal`.
    """

    user: str | None = None
    password: str | None = None
    certificate: Certificate | None = None  # with one, the server offers STARTTLS
    letters: list[ReceivedLetter] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    _faults: dict[str, _Fault] = field(default_factory=dict)
    _controller: Controller | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Address in the form that `AGEGATE_SMTP_URL` takes."""
        login = f"{self.user}:{self.password}@" if self.user else ""
        query = "?starttls=1" if self.certificate else ""
        return f"smtp://{login}127.0.0.1:{self.port}{query}"

    def __enter__(self) -> Self:
        self.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse()

    # --- faults -----------------------------------------------------------------------------

    def refuse(self) -> None:
        """Close the port: connections are refused until `accept`."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def accept(self) -> None:
        """Listen, again on the same port after `refuse`."""
        if self._controller is None:
            self._controller = Controller(
                _Handler(self), hostname="127.0.0.1", port=self.port,
                auth_required=self.user is not None, auth_require_tls=False,
                authenticator=self._authenticate if self.user else None,
                tls_context=self.certificate.server_context() if self.certificate else None,
            )  # fmt: skip
            self._controller.start()

    def answer_mail(self, answer: str, *, times: int | None = None) -> None:
        """Answer MAIL FROM so, for instance `"421 4.3.2 closing"`."""
        self._faults["mail"] = _Fault(answer, times)

    def answer_rcpt(self, answer: str, *, times: int | None = None) -> None:
        """Answer RCPT TO so: `"451 4.7.1 greylisted"`, `"550 5.1.1 no such mailbox"`."""
        self._faults["rcpt"] = _Fault(answer, times)

    def answer_data(self, answer: str, *, times: int | None = None) -> None:
        """Answer the end of DATA so, keeping nothing: `"554 5.6.0 refused"`."""
        self._faults["data"] = _Fault(answer, times)

    def hang(self, step: str = "rcpt", *, times: int | None = None) -> None:
        """Say nothing at `mail`, `rcpt` or `data`, for as long as the client waits."""
        self._faults[step] = _Fault(_HANG, times)

    def drop_after_data(self, *, times: int | None = 1) -> None:
        """Keep the letter, then cut the line before the answer: the lost acknowledgement."""
        self._faults["data"] = _Fault(_DROP, times)

    def heal(self) -> None:
        """Take back every fault and listen."""
        self._faults.clear()
        self.accept()

    # --- letters ----------------------------------------------------------------------------

    def wait_for(self, count: int, *, seconds: float = 10.0) -> list[ReceivedLetter]:
        """Return all letters as soon as there are `count`; fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if len(self.letters) >= count:
                    return list(self.letters)
            time.sleep(0.02)
        raise AssertionError(f"{len(self.letters)} of {count} letters after {seconds} s")

    def to(self, address: str) -> list[ReceivedLetter]:
        """Return the letters to one address, oldest first."""
        with self._lock:
            return [letter for letter in self.letters if address in letter.rcpt_tos]

    def _keep(self, envelope: Envelope) -> None:
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        letter = ReceivedLetter(
            mail_from=envelope.mail_from or "",
            rcpt_tos=tuple(envelope.rcpt_tos),
            raw=raw,
            message=email.message_from_bytes(raw, policy=email.policy.default),
        )
        with self._lock:
            self.letters.append(letter)

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        right = (
            isinstance(data, LoginPassword)
            and data.login.decode() == self.user
            and data.password.decode() == self.password
        )
        return AuthResult(success=right, handled=False)


class _Handler:
    """aiosmtpd calls these by name."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink

    async def _fault(self, step: str) -> str | None:
        fault = self._sink._faults.get(step)  # noqa: SLF001 -- the other half of the same object
        answer = fault.take() if fault else None
        if answer == _HANG:
            await asyncio.sleep(3600)
        return answer

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := await self._fault("mail"):
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := await self._fault("rcpt"):
            return answer
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 -- aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        answer = await self._fault("data")
        if answer is not None and answer != _DROP:
            return answer
        self._sink._keep(envelope)  # noqa: SLF001 -- the other half of the same object
        if answer == _DROP and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
            # What is written now goes nowhere; the line is cut already.
        return "250 2.0.0 kept"
