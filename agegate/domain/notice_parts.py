"""What both notices are made of: sections for people, and typed facts about data and receivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agegate.domain.errors import ConfigurationError
from agegate.domain.ids import PurposeId
from agegate.domain.notice_texts import AIMS, DIRECT, UNITS
from agegate.domain.operators import (
    Aim,
    Operator,
    Purpose,
    PurposeKind,
    Recipient,
    RecipientRole,
)
from agegate.domain.words import Language, counted, joined, plain, quoted, sentence, single_stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One heading with its paragraphs, then a list, then one address. Plain text, never markup."""

    key: str
    heading: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    link: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_section(raw: object) -> Section:
    """The inverse of `Section.to_json`. Raises `ConfigurationError`."""
    match raw:
        case {
            "key": str(key),
            "heading": str(heading),
            "paragraphs": [*paragraphs],
            "items": [*items],
            "link": str(link),
            **rest,
        } if not rest and all(isinstance(text, str) for text in (*paragraphs, *items)):
            return Section(
                key=key,
                heading=heading,
                paragraphs=tuple(paragraphs),
                items=tuple(items),
                link=link,
            )
        case _:
            pass
    raise ConfigurationError("a stored notice holds something that is not a section")


@dataclass(frozen=True, slots=True, kw_only=True)
class Responsible:
    """The operator as 16 CFR 312.4(d)(1) wants it named."""

    name: str
    address: str
    phone: str
    email: str

    @property
    def fields(self) -> tuple[str, ...]:
        return self.name, self.address, self.phone, self.email


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUse:
    """Which items of personal information are collected for one purpose, and how they are used."""

    purpose: PurposeId
    shared: bool
    """Whether it is a disclosure of its own, which a parent may refuse."""
    title: str
    data: tuple[str, ...]
    use: str
    retention_days: int
    core: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Somebody else who gets data: identity, category and what for."""

    name: str
    category: str
    role: RecipientRole
    refusable: bool
    reason: str
    """Why there is no service without them; for integral third parties only."""
    titles: tuple[str, ...]
    """The purposes that bring the data there; empty for one who helps with all of them."""
    data: tuple[str, ...]
    aims: tuple[Aim, ...]


def responsible(operator: Operator) -> Responsible:
    return Responsible(
        name=plain(operator.legal_name),
        address=plain(operator.address),
        phone=plain(operator.phone),
        email=plain(operator.email),
    )


def data_use(purpose: Purpose) -> DataUse:
    return DataUse(
        purpose=purpose.id,
        shared=purpose.kind is PurposeKind.DISCLOSE,
        title=plain(purpose.title),
        data=tuple(plain(item) for item in purpose.data),
        use=sentence(purpose.use),
        retention_days=purpose.retention_days,
        core=purpose.core,
    )


def receivers(operator: Operator, purposes: tuple[Purpose, ...]) -> tuple[Receiver, ...]:
    """Everybody who gets data for these purposes.

    A service provider or an integral third party that no purpose of the operator mentions gets data
    for all of them: naming one too many misleads nobody, leaving one out does.
    """
    mentioned = {r.id for p in operator.purposes for r in operator.recipients_of(p)}
    found: list[Receiver] = []
    for recipient in operator.recipients:
        mine = tuple(p for p in purposes if recipient in operator.recipients_of(p))
        helps_with_all = recipient.id not in mentioned and (
            recipient.integral or recipient.role is RecipientRole.SERVICE_PROVIDER
        )
        if mine or helps_with_all:
            found.append(_receiver(recipient, mine))
    return tuple(found)


def _receiver(recipient: Recipient, purposes: tuple[Purpose, ...]) -> Receiver:
    is_third_party = recipient.role is RecipientRole.THIRD_PARTY
    data = dict.fromkeys(plain(item) for purpose in purposes for item in purpose.data)
    return Receiver(
        name=plain(recipient.name),
        category=plain(recipient.category),
        role=recipient.role,
        refusable=is_third_party and not recipient.integral,
        reason=sentence(recipient.integral_reason or "") if recipient.integral else "",
        titles=tuple(plain(purpose.title) for purpose in purposes),
        data=tuple(data),
        aims=recipient.aims,
    )


# --- words that both notices use ---------------------------------------------------------------


def days(number: int, *, language: Language) -> str:
    return counted(number, *UNITS[language]["day"])


def hours(number: int, *, language: Language) -> str:
    return counted(number, *UNITS[language]["hour"])


def titles(found: tuple[str, ...], *, language: Language) -> str:
    return joined([quoted(title, language=language) for title in found], language=language)


def aims(found: tuple[Aim, ...], *, language: Language) -> str:
    return joined([AIMS[language][aim.value] for aim in found], language=language)


def filled(texts: Mapping[str, str], key: str, **values: str) -> str:
    """The sentence with its values; a name that ends in a full stop doesn't leave two."""
    return single_stops(texts[key].format_map(values))


def purpose_in_words(operator: Operator, purpose: Purpose, *, language: Language) -> str:
    """One purpose as a receipt lists it: what, whose hands, how long."""
    use = data_use(purpose)
    names = [plain(recipient.name) for recipient in operator.recipients_of(purpose)]
    return filled(
        DIRECT[language],
        "answer.passed_on" if names else "answer.kept",
        title=quoted(use.title, language=language),
        data=joined(use.data, language=language),
        names=joined(names, language=language),
        kept=days(use.retention_days, language=language),
    )
