"""The direct notice to a parent: everything that 16 CFR 312.4(c)(1) demands, as typed fields.

    (i)   the address came from the child, to ask for permission    contact_from_child
    (ii)  nothing is collected, used or disclosed without it        client_name, operator
    (iii) the data, how each is used, chances of disclosure         uses
    (iv)  receivers, their purposes, and the choice to refuse       receivers
    (v)   the online notice                                         online_notice_url
    (vi)  the ways of giving consent                                methods
    (vii) deletion where no answer comes                            expires_on

The exact text a parent was shown is kept as `content()` and known by its `digest`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final

from agegate.domain.consent import PENDING_FOR
from agegate.domain.errors import ConfigurationError, UnlawfulError
from agegate.domain.ids import Digest
from agegate.domain.notice_parts import (
    DataUse,
    Receiver,
    Responsible,
    Section,
    aims,
    data_use,
    days,
    filled,
    parse_section,
    receivers,
    responsible,
    titles,
)
from agegate.domain.notice_texts import DIRECT, METHODS
from agegate.domain.operators import Aim, Client, Operator, Purpose, RecipientRole
from agegate.domain.words import Language, is_wanting, joined, long_date, plain, quoted

SOURCE: Final = "16 CFR 312.4(c)(1)"
ITEMS: Final = ("(i)", "(ii)", "(iii)", "(iv)", "(v)", "(vi)", "(vii)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectNotice:
    """A request for consent as one parent reads it. Holds nothing about the child or the parent."""

    language: Language
    client_name: str
    operator: Responsible
    contact_from_child: bool
    uses: tuple[DataUse, ...]
    receivers: tuple[Receiver, ...]
    online_notice_url: str
    methods: tuple[str, ...]
    expires_on: date | None
    portal_url: str | None = None
    sections: tuple[Section, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", _sections(self))

    def content(self) -> str:
        """Canonical JSON of what the parent is shown and of the facts behind it."""
        facts = asdict(self)
        facts.pop("sections")
        document = {
            "v": 1,
            "kind": "direct_notice",
            "language": facts.pop("language"),
            "facts": facts | {"expires_on": self.expires_on and self.expires_on.isoformat()},
            "sections": [section.to_json() for section in self.sections],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def digest(self) -> Digest:
        return digest_of(self.content())


def digest_of(content: str) -> Digest:
    """SHA-256 of a notice's content: what a consent and its facts refer to."""
    return Digest(hashlib.sha256(content.encode()).hexdigest())


def direct_notice(
    operator: Operator,
    client: Client,
    purposes: tuple[Purpose, ...],
    *,
    language: Language,
    methods: tuple[str, ...],
    online_notice_url: str,
    expires_on: date,
    contact_from_child: bool,
    portal_url: str | None = None,
) -> DirectNotice:
    """The notice for these purposes of this client.

    `methods` are the keys of the consent methods on offer; `expires_on` is the last day on which
    the parent's address may still be held without an answer; `portal_url` is where a parent
    withdraws.
    """
    return DirectNotice(
        language=language,
        client_name=plain(client.display_name),
        operator=responsible(operator),
        contact_from_child=contact_from_child,
        uses=tuple(data_use(purpose) for purpose in purposes),
        receivers=receivers(operator, purposes),
        online_notice_url=online_notice_url,
        methods=methods,
        expires_on=expires_on,
        portal_url=portal_url,
    )


def missing_items(notice: DirectNotice) -> tuple[str, ...]:
    """The items of 16 CFR 312.4(c)(1) that this notice would leave out, `(i)` to `(vii)`."""
    named = (notice.client_name, notice.operator.name)
    receivers_ = notice.receivers
    integral = [r for r in receivers_ if r.role is RecipientRole.THIRD_PARTY and not r.refusable]
    known = METHODS[notice.language]
    wanting = (
        notice.contact_from_child and is_wanting(named),
        is_wanting(named),
        not notice.uses
        or any(is_wanting(u.data) or is_wanting((u.title, u.use)) for u in notice.uses)
        or any(u.retention_days < 1 for u in notice.uses),
        any(is_wanting((r.name, r.category)) or not (r.titles or r.aims) for r in receivers_)
        or any(is_wanting((r.reason,)) for r in integral)
        # A disclosure that names nobody to refuse.
        or (any(u.shared for u in notice.uses) and not any(r.refusable for r in receivers_)),
        not notice.online_notice_url.startswith(("https://", "http://")),
        not notice.methods or any(method not in known for method in notice.methods),
        notice.contact_from_child and notice.expires_on is None,
    )
    return tuple(item for item, is_missing in zip(ITEMS, wanting, strict=True) if is_missing)


def require_complete(notice: DirectNotice) -> None:
    """Raises `UnlawfulError` where an item is empty: such a letter must not leave."""
    missing = missing_items(notice)
    if missing:
        raise UnlawfulError(f"the direct notice lacks {', '.join(missing)} of {SOURCE}")


def sections_from_content(content: str) -> tuple[Section, ...]:
    """The sections of a stored notice, exactly as its parent was shown them.

    Raises `ConfigurationError` for text that is not a stored notice.
    """
    try:
        document: Any = json.loads(content)
    except ValueError:
        raise ConfigurationError("a stored notice is not JSON") from None
    match document:
        case {"v": 1, "kind": "direct_notice", "sections": [_, *_] as sections}:
            return tuple(parse_section(raw) for raw in sections)
        case _:
            raise ConfigurationError("a stored notice is of a form that is not ours")


# --- the text ----------------------------------------------------------------------------------


def _sections(notice: DirectNotice) -> tuple[Section, ...]:
    return (
        _why(notice),
        _section(notice, "required", "required.text"),
        _data(notice),
        _who(notice),
        _choice(notice),
        _how(notice),
        _silence(notice),
        _undo(notice),
        _section(notice, "more", "more.contact", "more.text", link=notice.online_notice_url),
    )


def _text(notice: DirectNotice, key: str, **values: str) -> str:
    known = {
        "client": notice.client_name,
        "operator": notice.operator.name,
        "address": notice.operator.address,
        "phone": notice.operator.phone,
        "email": notice.operator.email,
    }
    return filled(DIRECT[notice.language], key, **(known | values))


def _section(
    notice: DirectNotice, key: str, *paragraphs: str, items: tuple[str, ...] = (), link: str = ""
) -> Section:
    """`paragraphs` are keys of texts that need no values of their own."""
    return Section(
        key=key,
        heading=_text(notice, key),
        paragraphs=tuple(_text(notice, paragraph) for paragraph in paragraphs),
        items=items,
        link=link,
    )


def _why(notice: DirectNotice) -> Section:
    origin = "why.from_child" if notice.contact_from_child else "why.not_from_child"
    return _section(notice, "why", origin, "why.operator")


def _data(notice: DirectNotice) -> Section:
    return _section(notice, "data", items=tuple(_use(notice, use) for use in notice.uses))


def _use(notice: DirectNotice, use: DataUse) -> str:
    language = notice.language
    text = _text(
        notice,
        "data.shared_item" if use.shared else "data.item",
        title=quoted(use.title, language=language),
        data=joined(use.data, language=language),
        use=use.use,
        kept=days(use.retention_days, language=language),
    )
    return f"{text} {_text(notice, 'data.core')}" if use.core else text


def _who(notice: DirectNotice) -> Section:
    if not notice.receivers:
        return _section(notice, "who", "who.public", "who.nobody")
    items = tuple(_receiver(notice, receiver) for receiver in notice.receivers)
    return _section(notice, "who", "who.public", "who.only", items=items)


def _receiver(notice: DirectNotice, receiver: Receiver) -> str:
    language = notice.language
    declared_aims = aims(receiver.aims, language=language)
    values = {
        "name": receiver.name,
        "category": receiver.category,
        "data": joined(receiver.data, language=language),
        "title": titles(receiver.titles, language=language),
        "reason": receiver.reason,
    }
    is_provider = receiver.role is RecipientRole.SERVICE_PROVIDER
    if receiver.refusable:
        text = _text(notice, "who.refusable", **values)
    elif receiver.titles:
        text = _text(notice, "who.provider" if is_provider else "who.integral", **values)
    elif is_provider:
        text = _text(notice, "who.general", **(values | {"aims": declared_aims}))
    else:
        text = _text(notice, "who.integral_general", **values)
    if receiver.titles and receiver.aims != (Aim.OPERATION,):
        text = f"{text} {_text(notice, 'who.aims', aims=declared_aims)}"
    return text


def _choice(notice: DirectNotice) -> Section:
    third_parties = [r for r in notice.receivers if r.role is RecipientRole.THIRD_PARTY]
    paragraphs = []
    for key, is_refusable in (("choice.refusable", True), ("choice.integral", False)):
        names = [r.name for r in third_parties if r.refusable is is_refusable]
        if names:
            paragraphs.append(_text(notice, key, names=joined(names, language=notice.language)))
    if not third_parties:
        paragraphs.append(_text(notice, "choice.nothing_shared"))
    paragraphs.append(_text(notice, "choice.each"))
    return Section(key="choice", heading=_text(notice, "choice"), paragraphs=tuple(paragraphs))


def _how(notice: DirectNotice) -> Section:
    words = METHODS[notice.language]
    ways = tuple(words[method] for method in notice.methods if method in words)
    return _section(notice, "how", "how.text", items=ways)


def _silence(notice: DirectNotice) -> Section:
    by = long_date(notice.expires_on, language=notice.language) if notice.expires_on else ""
    key = "silence.from_child" if notice.contact_from_child else "silence.not_from_child"
    wait = days(PENDING_FOR.days, language=notice.language)
    return Section(
        key="silence",
        heading=_text(notice, "silence"),
        paragraphs=(_text(notice, key, date=by, wait=wait),),
    )


def _undo(notice: DirectNotice) -> Section:
    if notice.portal_url is None:
        return _section(notice, "undo", "undo.no_page")
    return _section(notice, "undo", "undo.text", link=notice.portal_url)
