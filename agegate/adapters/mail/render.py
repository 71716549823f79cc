"""Letter → subject, text, HTML. The sentences stand in `texts/`, their order in `templates/`."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from agegate.domain.letters import Letter, SignInLetter
from agegate.domain.notice_texts import UNITS
from agegate.domain.words import Language, counted, long_date, plain, single_stops
from agegate.services.ports import Rendered

_HERE: Final = Path(__file__).parent
_WIDTH: Final = 76
"""Columns of the text part: with a quotation mark or two it still fits into 78 (RFC 5322 2.1.1)."""


def render(letter: Letter) -> Rendered:
    """The letter as it leaves. The text part says all that the HTML part says."""
    values = {
        "letter": letter,
        "language": letter.language,
        "t": _texts(letter),
    }
    parts = {
        name: _templates().get_template(f"{letter.kind.value}/{name}").render(values)
        for name in ("subject.txt", "body.txt", "body.html")
    }
    return Rendered(
        subject=plain(parts["subject.txt"]),
        text=_without_gaps(parts["body.txt"], gap="\n\n"),
        html=_without_gaps(parts["body.html"], gap="\n"),
    )


def _texts(letter: Letter) -> Mapping[str, str]:
    """The sentences of this letter, with names and dates in place."""
    values = _values(letter)
    found = catalogue(letter.language)[letter.kind.value]
    return {key: single_stops(text.format_map(values)) for key, text in found.items()}


def _values(letter: Letter) -> Mapping[str, str]:
    language = letter.language
    if isinstance(letter, SignInLetter):
        return {"minutes": counted(letter.minutes, *UNITS[language]["minute"])}
    known: dict[str, str] = {
        "client": letter.client_name,
        "operator": letter.operator_name,
        "email": getattr(letter, "operator_email", ""),
        "head": getattr(letter, "ledger_head", None) or "",
    }
    for name in ("expires_on", "decided_on", "withdrawn_on", "erased_on"):
        day = getattr(letter, name, None)
        if day is not None:
            known["date"] = long_date(day, language=language)
    until: date | None = getattr(letter, "until", None)
    known["until"] = long_date(until, language=language) if until else ""
    return known


@cache
def catalogue(language: Language) -> Mapping[str, Mapping[str, str]]:
    """The sentences of one language: letter kind → key → text."""
    raw: dict[str, Any] = tomllib.loads(
        (_HERE / "texts" / f"{language}.toml").read_text(encoding="utf-8")
    )
    return raw


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["wrapped"] = _wrapped
    environment.filters["bulleted"] = _bulleted
    environment.filters["underlined"] = _underlined
    return environment


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _bulleted(text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _underlined(text: str, mark: str) -> str:
    return mark * min(max(map(len, _wrapped(text).split("\n"))), _WIDTH)


def _without_gaps(text: str, *, gap: str) -> str:
    """One gap where template tags left several."""
    return re.sub(r"\n(?:[ \t]*\n)+", gap, text).strip() + "\n"
