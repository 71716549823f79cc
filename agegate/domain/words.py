"""Small helpers for sentences in a parent's language. Pure: texts in, texts out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, Literal, get_args

Language = Literal["en", "es"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

_BREAKS: Final = frozenset({"Cc", "Zl", "Zp"})
_UNSEEN: Final = frozenset({"Cf", "Cs", "Co", "Cn"})
_JOINERS: Final = frozenset("\u200c\u200d")
"""Some scripts can't be written without them; every other unseen character only disguises."""

_MONTHS: Final[dict[Language, tuple[str, ...]]] = {
    "en": (
        "January", "February", "March", "April", "May", "June", "July",
        "August", "September", "October", "November", "December",
    ),
    "es": (
        "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio",
        "agosto", "septiembre", "octubre", "noviembre", "diciembre",
    ),
}  # fmt: skip


def language_of(locale: str) -> Language:
    """The language we write for a BCP 47 tag; English where we have no other."""
    first = locale.replace("_", "-").partition("-")[0].lower()
    return next((language for language in LANGUAGES if language == first), "en")


def plain(text: str) -> str:
    """One line without control, direction or invisible characters, safe in a subject and a page."""
    kept: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if category in _BREAKS:
            kept.append(" ")
        elif category not in _UNSEEN or character in _JOINERS:
            kept.append(character)
    return " ".join("".join(kept).split())


def joined(parts: Sequence[str], *, language: Language) -> str:
    """`a, b and c`."""
    if len(parts) < 2:  # noqa: PLR2004 - one thing needs no comma
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {_and(parts[-1], language)} {parts[-1]}"


def _and(following: str, language: Language) -> str:
    if language == "en":
        return "and"
    sound = following.lower().lstrip("«“\"'")
    # Spanish says "e" before the sound of i, but not before the diphthongs hie- and io-.
    i_sound = sound.startswith(("i", "í", "hi", "hí")) and not sound.startswith(
        ("hie", "hia", "io")
    )
    return "e" if i_sound else "y"


def sentence(text: str) -> str:
    """With a full stop at the end, unless it has its own."""
    text = plain(text)
    return text if not text or text[-1] in ".!?…" else text + "."


def quoted(text: str, *, language: Language) -> str:
    return f"«{text}»" if language == "es" else f"“{text}”"


def long_date(day: date, *, language: Language) -> str:
    """A date that reads the same on both sides of the Atlantic: `6 December 2026`."""
    month = _MONTHS[language][day.month - 1]
    if language == "es":
        return f"{day.day} de {month} de {day.year}"
    return f"{day.day} {month} {day.year}"


def single_stops(text: str) -> str:
    """`StoryBuddy Inc..` at the end of a sentence becomes `StoryBuddy Inc.` alone."""
    return re.sub(r"(?<!\.)\.\.(?!\.)", ".", text)


def counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def is_wanting(texts: Iterable[str]) -> bool:
    """Whether there is nothing at all, or a text that says nothing."""
    found = [plain(text) for text in texts]
    return not found or not all(found)
