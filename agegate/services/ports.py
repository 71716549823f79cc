"""What the use cases need from the world. Adapters implement these; `bootstrap` picks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from agegate.domain.change import Change, NewFact
from agegate.domain.ids import Digest
from agegate.domain.ledger import Fact
from agegate.domain.people import EmailAddress
from agegate.domain.records import Event

T = TypeVar("T")

Clock = Callable[[], datetime]
"""The present time, aware and in UTC."""
NewId = Callable[[str], str]
"""`new_id("cr")` gives `cr_` and 128 random bits or more."""


class Reader(Protocol):
    """Look things up. Every kind is a domain dataclass with an `id`."""

    def find(self, kind: type[T], id_: str) -> T | None: ...

    def get(self, kind: type[T], id_: str) -> T:
        """Like `find`. Raises `NotFoundError`."""
        ...

    def select(
        self,
        kind: type[T],
        /,
        *,
        order: str = "id",
        descending: bool = False,
        limit: int | None = None,
        upto: tuple[str, date] | None = None,
        past: tuple[str, int] | None = None,
        **equals: Any,
    ) -> list[T]:
        """All that equal `equals`; `upto=(field, t)` keeps field <= t.

        `past=(field, n)` keeps field > n.
        """
        ...


class UnitOfWork(Reader, Protocol):
    """One transaction. Leaving it without `commit` undoes everything."""

    @property
    def now(self) -> datetime:
        """The time this transaction began: one use case, one time."""
        ...

    def add(self, thing: object) -> None:
        """Store something new. Raises `ConflictError` where its id or a unique field is taken."""
        ...

    def save(self, thing: T) -> T:
        """Store the next version.

        Raises `ConflictError` unless `thing.version` is the stored one.
        """
        ...

    def hold(self, kind: type[Any], id_: str) -> None:
        """Nobody changes this row until the transaction ends; whoever does so now is waited for."""
        ...

    def delete(self, kind: type[Any], id_: str) -> None:
        """Remove irretrievably; a missing one is fine."""
        ...

    def record(self, change: Change[T], *, new: bool = False) -> T:
        """Save (or add) the state after a change, and its fact: both or neither."""
        ...

    def state(self, fact: NewFact) -> None:
        """Write a fact that belongs to no stored state."""
        ...

    def publish(self, event: Event) -> None: ...

    def commit(self) -> None: ...


class Store(Protocol):
    def read(self) -> AbstractContextManager[Reader]:
        """Look-ups without a transaction: each statement sees what is committed."""
        ...

    def write(self) -> AbstractContextManager[UnitOfWork]: ...

    def integrate(self, *, limit: int = 1000) -> int:
        """Number waiting facts and events, oldest first; one integrator at a time.

        Returns how many facts.
        """
        ...

    def entries(self, *, past: int = 0, limit: int = 1000) -> Sequence[Fact]:
        """Numbered facts in order."""
        ...

    def stamp(self) -> str:
        """A name for what the database holds, cheaper to get than any look-up.

        Two equal ones, taken by one process, mean that nothing was committed between them.
        """
        ...

    def ready(self) -> None:
        """Raises `ConfigurationError` when the database is away or its schema is not ours."""
        ...


class Sealer(Protocol):
    """Keyed hashing and encryption, a separate key for each use."""

    def seal(self, data: bytes, *, context: str) -> bytes: ...

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Raises `ConfigurationError` when the bytes are not ours or belong elsewhere."""
        ...

    def index(self, value: str, *, use: str) -> Digest:
        """HMAC-SHA256: finds the same value again without showing it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A letter as it leaves: both parts say the same."""

    subject: str
    text: str
    html: str


class MailError(Exception):
    """A letter that did not leave. `permanent` means that no retry will help.

    `code` names no address.
    """

    def __init__(self, code: str, *, permanent: bool) -> None:
        super().__init__(code)
        self.code = code
        self.permanent = permanent


class Mailer(Protocol):
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
        """Hand one letter to a mail server. Raises `MailError`."""
        ...


class LinkSigner(Protocol):
    def sign(self, purpose: str, id_: str) -> str:
        """The text of a link around a random id, signed for one purpose."""
        ...

    def read(self, purpose: str, text: str) -> str:
        """The id inside.

        Raises `LinkExpiredError` for anything that is not ours, whatever is wrong with it.
        """
        ...


class TokenSigner(Protocol):
    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        """A compact JWS by the one active key, with `kid`."""
        ...

    def verify(self, token: str, *, typ: str) -> dict[str, Any] | None:
        """The claims if one of our published keys signed it, else None. Does not look at times."""
        ...

    def jwks(self) -> dict[str, Any]: ...
