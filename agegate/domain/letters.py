"""Letters to parents, one class for each `OutgoingKind`. What a letter must say is a field of it.

A letter holds no name of a child or a parent: the address stands beside it, sealed (`pack`).
Subjects are made from the app's name alone. Sentences are the renderer's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, ClassVar, Final

from agegate.domain.errors import ConfigurationError
from agegate.domain.ids import Digest
from agegate.domain.notice_parts import Section, parse_section
from agegate.domain.notices import DirectNotice, require_complete
from agegate.domain.outgoing import OutgoingKind
from agegate.domain.people import EmailAddress, SealedText
from agegate.domain.words import LANGUAGES, Language, is_wanting, plain

_MAY_BE_EMPTY: Final = frozenset({"allowed", "refused", "until", "ledger_head"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """What all letters share. A letter that lacks something can't be made."""

    kind: ClassVar[OutgoingKind]
    language: Language

    def __post_init__(self) -> None:
        for field in fields(self):
            value = _tidy(getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            self._require(field.name, value)

    def _require(self, name: str, value: object) -> None:
        if name == "language" and value not in LANGUAGES:
            raise ConfigurationError(f"a {self.kind} letter in a language that we do not write")
        if name in _MAY_BE_EMPTY:
            return
        texts = value if isinstance(value, tuple) else (value,)
        if is_wanting(str(text) for text in texts):
            raise ConfigurationError(f"a {self.kind} letter without its {name}")
        if name.endswith("_url") and not str(value).startswith(("https://", "http://")):
            raise ConfigurationError(f"the {name} of a {self.kind} letter is not a web address")
        if name == "minutes" and not (isinstance(value, int) and value > 0):
            raise ConfigurationError(f"a {self.kind} letter whose link does not last")


def _tidy(value: Any) -> Any:
    """Names as one plain line, so that none can dress up a subject or break a header."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, tuple):
        return tuple(_tidy(item) for item in value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutClient(_Letter):
    client_name: str
    operator_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectNoticeLetter(_AboutClient):
    """The request for consent, 16 CFR 312.4(c)(1). Made by `direct_notice_letter`."""

    kind: ClassVar[OutgoingKind] = OutgoingKind.DIRECT_NOTICE
    sections: tuple[Section, ...]
    link_url: str
    expires_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationLetter(_AboutClient):
    """The second step of `email_plus`, 16 CFR 312.5(b)(2)(viii): says that and how to revoke."""

    kind: ClassVar[OutgoingKind] = OutgoingKind.CONFIRMATION
    allowed: tuple[str, ...]
    """Each purpose in words, see `purpose_in_words`."""
    refused: tuple[str, ...]
    link_url: str
    """Where the answer is confirmed."""
    portal_url: str
    expires_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLetter(_AboutClient):
    """What a parent decided, and how to take it back. `allowed` is empty after a refusal."""

    kind: ClassVar[OutgoingKind] = OutgoingKind.RECEIPT
    decided_on: date
    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    until: date | None = None
    """The day on which the permission ends by itself."""
    receipt_url: str
    portal_url: str
    ledger_head: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalLetter(_AboutClient):
    """A permission was taken back, 16 CFR 312.6(a)(2)."""

    kind: ClassVar[OutgoingKind] = OutgoingKind.WITHDRAWAL
    withdrawn_on: date
    withdrawn: tuple[str, ...]
    portal_url: str
    operator_email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureLetter(_AboutClient):
    """The last letter: what we held is deleted, and the operator has to delete what it holds."""

    kind: ClassVar[OutgoingKind] = OutgoingKind.ERASURE
    erased_on: date
    operator_email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLetter(_Letter):
    """A link into the pages for parents."""

    kind: ClassVar[OutgoingKind] = OutgoingKind.SIGN_IN
    link_url: str
    minutes: int
    """How long the link works."""


Letter = (
    DirectNoticeLetter
    | ConfirmationLetter
    | ReceiptLetter
    | WithdrawalLetter
    | ErasureLetter
    | SignInLetter
)

LETTERS: Final[Mapping[OutgoingKind, type[Letter]]] = {
    OutgoingKind.DIRECT_NOTICE: DirectNoticeLetter,
    OutgoingKind.CONFIRMATION: ConfirmationLetter,
    OutgoingKind.RECEIPT: ReceiptLetter,
    OutgoingKind.WITHDRAWAL: WithdrawalLetter,
    OutgoingKind.ERASURE: ErasureLetter,
    OutgoingKind.SIGN_IN: SignInLetter,
}


def direct_notice_letter(notice: DirectNotice, *, link_url: str) -> DirectNoticeLetter:
    """The letter around a notice. Raises `UnlawfulError` where an item of the notice is empty."""
    require_complete(notice)
    if notice.expires_on is None or not notice.contact_from_child:
        # Its first sentence says so, and a notice may not contradict itself (16 CFR 312.4(a)).
        raise ConfigurationError("this letter is for an address that a child gave")
    return DirectNoticeLetter(
        language=notice.language,
        client_name=notice.client_name,
        operator_name=notice.operator.name,
        sections=notice.sections,
        link_url=link_url,
        expires_on=notice.expires_on,
    )


# --- the form in which a letter waits ----------------------------------------------------------


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _texts(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise TypeError
    return tuple(_text(item) for item in raw)


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "sections": lambda raw: tuple(parse_section(section) for section in raw),
    "expires_on": date.fromisoformat,
    "decided_on": date.fromisoformat,
    "withdrawn_on": date.fromisoformat,
    "erased_on": date.fromisoformat,
    "until": lambda raw: None if raw is None else date.fromisoformat(raw),
    "allowed": _texts,
    "refused": _texts,
    "withdrawn": _texts,
    "minutes": lambda raw: raw,
    "ledger_head": lambda raw: None if raw is None else Digest(_text(raw)),
}
"""How a field is read back; the others are text. One name means one type in every letter."""


def _read(name: str, raw: Any) -> Any:
    return _READ[name](raw) if name in _READ else _text(raw)


def letter_to_payload(letter: Letter) -> str:
    return json.dumps(_to_json(letter), sort_keys=True, ensure_ascii=False)


def letter_from_payload(kind: OutgoingKind, payload: str) -> Letter:
    """Raises `ConfigurationError` for text that is not such a letter; quotes nothing of it."""
    return _from_json(kind, _object(payload))


def pack(to: EmailAddress, letter: Letter) -> SealedText:
    """Address and letter together, as the outbox keeps them until the letter is sent."""
    body = {"to": to.value, "letter": _to_json(letter)}
    return SealedText(json.dumps(body, sort_keys=True, ensure_ascii=False))


def unpack(kind: OutgoingKind, sealed: SealedText) -> tuple[EmailAddress, Letter]:
    """The inverse of `pack`. Raises `ConfigurationError`."""
    match _object(sealed.value):
        case {"to": str(to), "letter": dict(letter)} if to:
            return EmailAddress(to), _from_json(kind, letter)
        case _:
            raise ConfigurationError("a stored letter has no address")


def _to_json(letter: Letter) -> dict[str, Any]:
    return {field.name: _plain_value(getattr(letter, field.name)) for field in fields(letter)}


def _plain_value(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain_value(item) for item in value]
    return value.to_json() if isinstance(value, Section) else value


def _from_json(kind: OutgoingKind, raw: Mapping[str, Any]) -> Letter:
    make: Callable[..., Letter] = LETTERS[kind]
    if set(raw) != {field.name for field in fields(LETTERS[kind])}:
        raise ConfigurationError(f"a stored {kind} letter has other fields than ours")
    try:
        return make(**{name: _read(name, value) for name, value in raw.items()})
    except (TypeError, ValueError):
        raise ConfigurationError(f"a stored {kind} letter can't be read") from None


def _object(payload: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(payload)
    except ValueError:
        raise ConfigurationError("a stored letter is not JSON") from None
    if not isinstance(found, dict):
        raise ConfigurationError("a stored letter is not an object")
    return found
