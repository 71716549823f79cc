"""The online notice: the five parts of 16 CFR 312.4(d), from what the operator declared.

    (1) operators with name, address, telephone and e-mail          operator
    (2) data, uses, receivers by identity AND category, retention   uses, receivers
    (3) persistent identifiers without consent, 312.5(c)(7)         memory_hours
    (4) audio files, 312.5(c)(9)                                    always the same sentence
    (5) reviewing, deleting, refusing, and how                      operator, portal_url

Retention (312.10) is drawn from the same declarations that drive the deletion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agegate.domain.consent import GRANT_FOR, PENDING_FOR
from agegate.domain.errors import UnlawfulError
from agegate.domain.notice_parts import (
    DataUse,
    Receiver,
    Responsible,
    Section,
    aims,
    data_use,
    days,
    filled,
    hours,
    receivers,
    responsible,
    titles,
)
from agegate.domain.online_notice_texts import ONLINE
from agegate.domain.operators import Operator, RecipientRole
from agegate.domain.words import Language, is_wanting, joined, plain, quoted

SOURCE: Final = "16 CFR 312.4(d)"
PARTS: Final = ("(1)", "(2)", "(3)", "(4)", "(5)")
MEMORY_HOURS: Final = 24
"""Shortest memory of an answer to the age question; see `BrowserSubject`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineNotice:
    language: Language
    operator: Responsible
    client_names: tuple[str, ...]
    uses: tuple[DataUse, ...]
    receivers: tuple[Receiver, ...]
    memory_hours: int
    portal_url: str
    title: str = field(init=False)
    sections: tuple[Section, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", _text(self, "title"))
        object.__setattr__(self, "sections", _sections(self))


def online_notice(
    operator: Operator,
    *,
    language: Language,
    portal_url: str = "",
    memory_hours: int = MEMORY_HOURS,
) -> OnlineNotice:
    """Everything an operator declared, for all of its clients.

    `portal_url` is where parents sign in; `memory_hours` is how long the age screen remembers.
    """
    return OnlineNotice(
        language=language,
        operator=responsible(operator),
        client_names=tuple(plain(client.display_name) for client in operator.clients),
        uses=tuple(data_use(purpose) for purpose in operator.purposes),
        receivers=receivers(operator, operator.purposes),
        memory_hours=memory_hours,
        portal_url=portal_url,
    )


def missing_parts(notice: OnlineNotice) -> tuple[str, ...]:
    """The parts of 16 CFR 312.4(d) that this notice would leave out, `(1)` to `(5)`."""
    wanting = (
        is_wanting(notice.operator.fields),
        any(is_wanting(u.data) or is_wanting((u.title, u.use)) for u in notice.uses)
        or any(u.retention_days < 1 for u in notice.uses)
        or any(is_wanting((r.name, r.category)) or not r.aims for r in notice.receivers)
        or any(is_wanting((r.reason,)) for r in notice.receivers if _is_integral(r)),
        notice.memory_hours < 1,
        is_wanting((notice.operator.name,)),
        is_wanting((notice.operator.email, notice.operator.phone, notice.operator.address)),
    )
    return tuple(part for part, is_missing in zip(PARTS, wanting, strict=True) if is_missing)


def require_complete(notice: OnlineNotice) -> None:
    """Raises `UnlawfulError` where a part is empty."""
    missing = missing_parts(notice)
    if missing:
        raise UnlawfulError(f"the online notice lacks {', '.join(missing)} of {SOURCE}")


def _is_integral(receiver: Receiver) -> bool:
    return receiver.role is RecipientRole.THIRD_PARTY and not receiver.refusable


# --- the text ----------------------------------------------------------------------------------


def _sections(notice: OnlineNotice) -> tuple[Section, ...]:
    return (
        _operators(notice),
        _practices(notice),
        _receivers(notice),
        _age(notice),
        _section(
            notice,
            "cookies",
            _text(notice, "cookies.use", kept=hours(notice.memory_hours, language=notice.language)),
            _text(notice, "cookies.guard"),
        ),
        _section(notice, "audio", _text(notice, "audio.none")),
        _rights(notice),
        _procedures(notice),
    )


def _text(notice: OnlineNotice, key: str, **values: str) -> str:
    known = {
        "operator": notice.operator.name,
        "address": notice.operator.address,
        "phone": notice.operator.phone,
        "email": notice.operator.email,
    }
    return filled(ONLINE[notice.language], key, **(known | values))


def _section(
    notice: OnlineNotice, key: str, *paragraphs: str, items: tuple[str, ...] = (), link: str = ""
) -> Section:
    return Section(
        key=key, heading=_text(notice, key), paragraphs=paragraphs, items=items, link=link
    )


def _operators(notice: OnlineNotice) -> Section:
    paragraphs = [_text(notice, "operators.contact")]
    if notice.client_names:
        names = joined(notice.client_names, language=notice.language)
        paragraphs.append(_text(notice, "operators.clients", clients=names))
    paragraphs.append(_text(notice, "operators.us"))
    return _section(notice, "operators", *paragraphs)


def _practices(notice: OnlineNotice) -> Section:
    if not notice.uses:
        return _section(notice, "practices", _text(notice, "practices.none"))
    items = tuple(
        _text(
            notice,
            "practices.item",
            title=quoted(use.title, language=notice.language),
            data=joined(use.data, language=notice.language),
            use=use.use,
            kept=days(use.retention_days, language=notice.language),
        )
        for use in notice.uses
    )
    return _section(
        notice,
        "practices",
        _text(notice, "practices.consent"),
        items=items,
    )


def _receivers(notice: OnlineNotice) -> Section:
    if not notice.receivers:
        return _section(
            notice,
            "receivers",
            _text(notice, "receivers.public"),
            _text(notice, "receivers.nobody"),
        )
    items = tuple(_receiver(notice, receiver) for receiver in notice.receivers)
    return _section(notice, "receivers", _text(notice, "receivers.public"), items=items)


def _receiver(notice: OnlineNotice, receiver: Receiver) -> str:
    text = _text(
        notice,
        "receivers.item" if receiver.titles else "receivers.general",
        name=receiver.name,
        category=receiver.category,
        titles=titles(receiver.titles, language=notice.language),
        aims=aims(receiver.aims, language=notice.language),
    )
    if receiver.refusable:
        more = _text(notice, "receivers.refusable")
    elif _is_integral(receiver):
        more = _text(notice, "receivers.integral", reason=receiver.reason)
    else:
        more = _text(notice, "receivers.provider")
    return f"{text} {more}"


def _age(notice: OnlineNotice) -> Section:
    language = notice.language
    return _section(
        notice,
        "age",
        _text(notice, "age.parents"),
        _text(notice, "age.estimation"),
        _text(notice, "age.children"),
        _text(notice, "age.address", kept=days(PENDING_FOR.days, language=language)),
        _text(notice, "age.record", term=days(GRANT_FOR.days, language=language)),
    )


def _rights(notice: OnlineNotice) -> Section:
    rights = ("rights.review", "rights.delete", "rights.refuse")
    return _section(notice, "rights", items=tuple(_text(notice, right) for right in rights))


def _procedures(notice: OnlineNotice) -> Section:
    if not notice.portal_url:
        return _section(notice, "procedures", _text(notice, "procedures.contact"))
    paragraphs = (_text(notice, "procedures.contact"), _text(notice, "procedures.portal"))
    return _section(notice, "procedures", *paragraphs, link=notice.portal_url)
