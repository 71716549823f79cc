"""What every `Mailer` promises, held by the real one and by the one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pytest

from agegate.adapters.mail.memory import MemoryMailer
from agegate.adapters.mail.render import render
from agegate.adapters.mail.smtp import SmtpMailer
from agegate.domain.people import EmailAddress
from agegate.services.ports import Mailer, MailError, Rendered
from tests.factories import NOON
from tests.letter_factories import all_letters
from tests.support.smtp_sink import SmtpSink

MUM = EmailAddress("mum@example.org")
DAD = EmailAddress("dad@example.org")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    to: str
    subject: str
    text: str
    html: str
    message_id: str
    language: str
    at: datetime


class PostOffice(Protocol):
    """A mailer together with what stands behind it."""

    mailer: Mailer

    def arrived(self) -> list[Arrived]: ...
    def refuse_for_good(self) -> None: ...
    def refuse_for_now(self) -> None: ...
    def heal(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._memory = MemoryMailer()
        self.mailer: Mailer = self._memory

    def arrived(self) -> list[Arrived]:
        return [
            Arrived(
                to=letter.to.value,
                subject=letter.rendered.subject,
                text=letter.rendered.text,
                html=letter.rendered.html,
                message_id=letter.message_id,
                language=letter.language,
                at=letter.at,
            )
            for letter in self._memory.letters
        ]

    def refuse_for_good(self) -> None:
        self._memory.failure = MailError("smtp_550", permanent=True)

    def refuse_for_now(self) -> None:
        self._memory.failure = MailError("smtp_451", permanent=False)

    def heal(self) -> None:
        self._memory.failure = None


class OverSmtp:
    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self.mailer: Mailer = SmtpMailer(sink.url, "agegate <letters@age.example>", timeout=5)

    def arrived(self) -> list[Arrived]:
        return [
            Arrived(
                to=letter.rcpt_tos[0],
                subject=letter.subject,
                text=letter.part("plain").replace("\r\n", "\n"),
                html=letter.part("html").replace("\r\n", "\n"),
                message_id=str(letter.message["Message-ID"]).strip("<>"),
                language=str(letter.message["Content-Language"]),
                at=letter.message["Date"].datetime,
            )
            for letter in self._sink.letters
        ]

    def refuse_for_good(self) -> None:
        self._sink.answer_rcpt("550 5.1.1 no mailbox mum@example.org here")

    def refuse_for_now(self) -> None:
        self._sink.answer_rcpt("451 4.7.1 mum@example.org is greylisted")

    def heal(self) -> None:
        self._sink.heal()


@pytest.fixture(params=["memory", "smtp"])
def office(request: pytest.FixtureRequest) -> Iterator[PostOffice]:
    if request.param == "memory":
        yield InMemory()
        return
    with SmtpSink() as sink:
        yield OverSmtp(sink)


def post(office: PostOffice, rendered: Rendered, *, to: EmailAddress = MUM, id_: str = "a") -> None:
    office.mailer.send(
        rendered,
        to=to,
        kind="receipt",
        message_id=f"{id_}@age.example",
        language="es",
        now=NOON,
    )


def test_a_letter_arrives_as_it_was_rendered(office: PostOffice) -> None:
    for language in ("en", "es"):
        for letter in all_letters(language):
            post(office, render(letter), id_=f"{letter.kind}-{language}")
    expected = [
        Arrived(
            to="mum@example.org",
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            message_id=f"{letter.kind}-{language}@age.example",
            language="es",
            at=NOON,
        )
        for language in ("en", "es")
        for letter in all_letters(language)
        for rendered in (render(letter),)
    ]
    assert office.arrived() == expected


def test_letters_arrive_in_order_at_their_own_addresses(office: PostOffice) -> None:
    rendered = render(all_letters("en")[0])
    post(office, rendered, to=MUM)
    post(office, rendered, to=DAD)
    assert [letter.to for letter in office.arrived()] == ["mum@example.org", "dad@example.org"]


def test_a_letter_that_no_retry_can_help_is_a_permanent_failure(office: PostOffice) -> None:
    office.refuse_for_good()
    with pytest.raises(MailError) as caught:
        post(office, render(all_letters("en")[0]))
    assert (caught.value.code, caught.value.permanent) == ("smtp_550", True)
    assert office.arrived() == []


def test_a_letter_that_a_retry_may_help_is_a_passing_failure(office: PostOffice) -> None:
    office.refuse_for_now()
    with pytest.raises(MailError) as caught:
        post(office, render(all_letters("en")[0]))
    assert (caught.value.code, caught.value.permanent) == ("smtp_451", False)
    office.heal()
    post(office, render(all_letters("en")[0]))
    assert len(office.arrived()) == 1


def test_a_failure_names_no_address(office: PostOffice) -> None:
    office.refuse_for_good()
    with pytest.raises(MailError) as caught:
        post(office, render(all_letters("en")[0]))
    error: BaseException | None = caught.value
    while error is not None:
        assert "example.org" not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
