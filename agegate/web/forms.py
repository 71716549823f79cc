"""Read what a form sent: each field once, of a sane length, and nothing else gets further."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email
from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from agegate.domain.errors import FieldErrors, InvalidRequestError
from agegate.domain.people import EmailAddress

_MOST_FIELDS = 100
_LONGEST = 4000


def read_form() -> dict[str, str]:
    """The fields of a form body.

    Raises `InvalidRequestError` for doubled, over-long or too many fields.
    """
    if request.mimetype not in {"application/x-www-form-urlencoded", "multipart/form-data", ""}:
        raise UnsupportedMediaType
    if request.files:
        raise InvalidRequestError("no file was asked for")
    fields: dict[str, str] = {}
    for name, values in request.form.lists():
        if len(values) != 1:
            raise InvalidRequestError("a field was sent more than once")
        if len(values[0]) > _LONGEST or len(name) > _LONGEST:
            raise InvalidRequestError("a field is too long")
        if "\x00" in values[0]:
            raise InvalidRequestError("a field holds a character that no text has")
        fields[name] = values[0]
    if len(fields) > _MOST_FIELDS:
        raise InvalidRequestError("too many fields were sent")
    return fields


def read_press(name: str) -> None:
    """A form with one button that means something: nothing is ended by a form without it.

    Raises `InvalidRequestError`.
    """
    if name not in read_form():
        raise InvalidRequestError("press the button of the page")


def read_email(fields: dict[str, str], name: str) -> EmailAddress:
    """An address that mail can be sent to. Raises `FieldErrors`.

    No look-up is made, so nobody is probed.
    """
    text = fields.get(name, "").strip()
    if not text:
        raise FieldErrors({name: "missing"})
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except (EmailNotValidError, UnicodeError):
        raise FieldErrors({name: "wrong"}) from None
    return EmailAddress(found.normalized)
