"""A mail server of the imagination: keeps what it is given, refuses what it is told to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agegate.domain.people import EmailAddress
from agegate.services.ports import MailError, Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLetter:
    rendered: Rendered
    to: EmailAddress
    kind: str
    message_id: str
    language: str
    at: datetime


class MemoryMailer:
    """Implements `Mailer`. Keeps accepted letters in order; refuses all while `failure` is set."""

    def __init__(self) -> None:
        self.letters: list[SentLetter] = []
        self.failure: MailError | None = None

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
        if self.failure is not None:
            raise MailError(self.failure.code, permanent=self.failure.permanent)
        self.letters.append(
            SentLetter(
                rendered=rendered,
                to=to,
                kind=kind,
                message_id=message_id,
                language=language,
                at=now,
            )
        )

    def to(self, address: EmailAddress) -> list[SentLetter]:
        return [letter for letter in self.letters if letter.to == address]
