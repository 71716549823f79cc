"""The shapes of an operator file's texts, and plain sentences for what is wrong with them."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Strict, StrictStr
from pydantic_core import ErrorDetails

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{0,63}", re.ASCII)
_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ()./-]{3,38}[0-9]", re.ASCII)
# Marks that reorder what a reader sees: text could then say one thing and show another.
_REORDERING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

MAX_LINE: Final = 200
MAX_SENTENCE: Final = 1000

_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "string_type": "must be a text in quotation marks",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list: [ … ]",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "date_type": "must be a date without quotation marks, such as 2026-03-01",
}


def said(error: ErrorDetails) -> str:
    """What is wrong, without repeating the value: it may be a secret or an address."""
    kind, details = error["type"], error.get("ctx", {})
    match kind:
        case "value_error":
            return str(details["error"])
        case "enum" | "literal_error":
            return f"must be one of {details['expected']}"
        case "too_short":
            return f"must have at least {details['min_length']} entry"
        case "too_long":
            return f"must have at most {details['max_length']} entries"
        case _:
            return _SENTENCES.get(kind, error["msg"])


def suggestion(key: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _id(text: str) -> str:
    if not is_id(text):
        raise ValueError(
            "must be an id of at most 64 characters: a-z, 0-9, and . _ : - after the first"
        )
    return text


def _readable(text: str, *, most: int) -> str:
    if len(text) > most:
        raise ValueError(f"must be at most {most} characters long")
    # Control, half and private characters, line and paragraph separators.
    if any(
        char in _REORDERING or unicodedata.category(char) in {"Cc", "Cs", "Co", "Zl", "Zp"}
        for char in text
    ):
        raise ValueError("must not hold line breaks, control characters or invisible marks")
    return text


def _line(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return _readable(text, most=MAX_LINE)


def _sentence(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return _readable(text, most=MAX_SENTENCE)


def _maybe_line(text: str) -> str:
    return _readable(text, most=MAX_LINE)


def _email(text: str) -> str:
    if not text.strip():
        return ""  # Whether it may be empty is the law's question, not the reader's.
    _readable(text, most=254)
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("must be one e-mail address, such as privacy@app.example") from None


def _phone(text: str) -> str:
    if not text.strip():
        return ""
    if not _PHONE.fullmatch(text):
        raise ValueError("must be a telephone number, such as +1 217 555 0100")
    return text


def _colour(text: str) -> str:
    if not _COLOUR.fullmatch(text):
        raise ValueError('must be written as "#rrggbb"')
    return text.lower()


Id = Annotated[StrictStr, AfterValidator(_id)]
Line = Annotated[StrictStr, AfterValidator(_line)]
MaybeLine = Annotated[StrictStr, AfterValidator(_maybe_line)]
Sentence = Annotated[StrictStr, AfterValidator(_sentence)]
Email = Annotated[StrictStr, AfterValidator(_email)]
Phone = Annotated[StrictStr, AfterValidator(_phone)]
Colour = Annotated[StrictStr, AfterValidator(_colour)]
StrictFlag = Annotated[bool, Strict()]
