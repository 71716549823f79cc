"""The words of every page, by language, and small things said in them: days, waits, lifetimes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

from babel.dates import format_date, format_timedelta

LANGUAGES: Final = ("en", "es")
RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur"})


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Flat keys: `page.key`. English fills what a language lacks."""
    own = _flat(
        tomllib.loads((files("agegate.web") / "i18n" / f"{language}.toml").read_text("utf-8"))
    )
    return own if language == "en" else {**catalogue("en"), **own}


def translator(language: str) -> Callable[..., str]:
    """`t(key, **values)`. A key that is missing is a programmer's slip and raises `KeyError`."""
    words = catalogue(language)

    def t(key: str, **values: object) -> str:
        return words[key].format(**values)

    return t


def choose_language(wanted: str | None, accepted: list[str]) -> str:
    """`ui_locales` first, then what the browser asks for, then English (OIDC Core, 3.1.2.1)."""
    for tag in [*(wanted or "").split(), *accepted]:
        language = tag.lower().split("-")[0]
        if language in LANGUAGES:
            return language
    return "en"


def day_in_words(day: date | datetime, language: str) -> str:
    """Written as our letters write it: a notice quoted on a page must not contradict the page."""
    return format_date(day, format="long", locale="en_GB" if language == "en" else language)


def span_in_words(span: timedelta, language: str) -> str:
    """When that is from now: "in 2 minutes"."""
    return format_timedelta(span, locale=language, threshold=1.2, add_direction=True)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, str):
            flat[prefix + key] = value
        else:
            flat |= _flat(value, f"{prefix}{key}.")
    return flat
