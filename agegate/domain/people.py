"""Subjects, parents, the addresses we may hold for a while, browsers and links."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from agegate.domain.ids import ClientId, Digest, OperatorId, ParentId, RecordId, Sub, SubjectId
from agegate.wire.tiers import AssuranceLevel, MethodClass


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """Online contact information. Hides itself: `repr` shows nothing, storage seals it."""

    value: str = field(repr=False)

    @property
    def masked(self) -> str:
        """Enough for its owner to know it again: `m***@e***.org`."""
        local, _, domain = self.value.partition("@")
        name, dot, end = domain.rpartition(".")
        return f"{local[:1]}***@{name[:1]}***{dot}{end}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One account at one client. Holds an age range, never a birth date.

    `turns_on` is the first day on which the range is out of date (always the first of a month when
    only month and year were asked), so that a birthday needs no birth date (law: 16 CFR 312.10).
    """

    id: SubjectId
    operator_id: OperatorId
    client_id: ClientId
    sub: Sub
    place: str | None
    created_at: datetime
    lower: int | None = None
    upper: int | None = None
    method: str | None = None
    method_class: MethodClass | None = None
    level: AssuranceLevel | None = None
    turns_on: date | None = None
    age_at: datetime | None = None
    version: int = 1

    @property
    def age_is_known(self) -> bool:
        return self.method is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSubject:
    """Which subject a browser session was at a client.

    The age screen's memory against a second try.
    """

    id: Digest
    """Hash of browser session and client."""
    subject_id: SubjectId
    expires_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A parent's address as the child gave it, kept only to ask (16 CFR 312.5(c)(1)).

    Deleted with the question.
    """

    id: RecordId
    address: EmailAddress
    index: Digest
    """Keyed hash of the address: finds, limits and blocks without showing it."""
    browser: Digest
    """Hash of the child's browser session, to flag a parent's link opened in it."""
    collected_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    id: ParentId
    address: EmailAddress
    index: Digest
    locale: str
    created_at: datetime
    version: int = 1


class LinkPurpose(StrEnum):
    REQUEST = "request"
    CONFIRM = "confirm"
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A mailed link, known only by the hash of its random id. Survives any number of visits."""

    id: Digest
    purpose: LinkPurpose
    target: str
    """The record or the parent it is about."""
    expires_at: datetime
    used_at: datetime | None = None
    version: int = 1

    def use(self, *, now: datetime) -> Link:
        return replace(self, used_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentSession:
    """A parent who is signed in, known only by the hash of the cookie."""

    id: Digest
    parent_id: ParentId
    expires_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRun:
    """A method at work for one consent. `memo` is the method's own.

    Sealed in storage, gone when it is over.
    """

    id: RecordId
    method: str
    memo: SealedText
    url: str | None = None
    """A vendor's page where the parent goes on."""
    started_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class SealedText:
    """Text that storage encrypts and `repr` hides."""

    value: str = field(repr=False)
