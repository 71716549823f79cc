"""Fill a page: its words, who asks, and the hidden token of its forms."""

from __future__ import annotations

from typing import Any, Final, TypedDict

from flask import current_app, g, render_template, request

from agegate.domain.operators import Client, Operator
from agegate.web.words import RIGHT_TO_LEFT, choose_language, translator


class ClientWords(TypedDict):
    name: str
    colour: str | None


class OperatorWords(TypedDict):
    legal_name: str
    address: str
    phone: str
    email: str
    notice_url: str


def client_words(client: Client) -> ClientWords:
    return {
        "name": client.display_name,
        "colour": client.branding.colour if client.branding else None,
    }


def operator_words(operator: Operator) -> OperatorWords:
    return {
        "legal_name": operator.legal_name,
        "address": operator.address,
        "phone": operator.phone,
        "email": operator.email,
        "notice_url": operator.online_notice_url or f"/notice/{operator.id}",
    }


def page_language(wanted: str | None = None) -> str:
    """The language of this page: the flow's or letter's own first."""
    known = wanted or g.get("language") or request.args.get("lang")
    return choose_language(known, [tag for tag, _ in request.accept_languages])


def page(
    name: str,
    *,
    language: str | None = None,
    operator: Operator | None = None,
    client: Client | None = None,
    csrf: str = "",
    errors: dict[str, str] | None = None,
    **context: Any,
) -> str:
    """One template with all that `base.html` asks for.

    Names of templates are those of `data-page`.
    """
    lang = page_language(language)
    return render_template(
        f"{name}.html",
        t=translator(lang),
        lang=lang,
        dir="rtl" if lang in RIGHT_TO_LEFT else "ltr",
        sandbox=current_app.config["SANDBOX"],
        csrf=csrf,
        client=client_words(client) if client else None,
        operator=operator_words(operator) if operator else None,
        errors=errors or {},
        **context,
    )


_ERROR_WORDS: Final[dict[str, dict[str, str]]] = {
    "birth_month": {
        "missing": "month_missing",
        "in_the_future": "date_not_real",
        "": "month_wrong",
    },
    "birth_day": {"missing": "day_missing", "in_the_future": "date_not_real", "": "day_wrong"},
    "birth_year": {"missing": "year_missing", "not_a_number": "year_wrong", "": "date_not_real"},
    "parent_email": {"missing": "email_missing", "": "email_wrong"},
    "email": {"missing": "email_missing", "": "email_wrong"},
    "method": {"": "method_missing"},
    "purpose": {"": "decision_missing"},
}


def error_words(
    reasons: dict[str, str], *, language: str | None = None, titles: dict[str, str] | None = None
) -> dict[str, str]:
    """Reason codes of fields as sentences.

    `titles` names the purposes for `purpose.<id>` fields.
    """
    t = translator(page_language(language))
    words: dict[str, str] = {}
    for field, reason in reasons.items():
        kind, _, id_ = field.partition(".")
        keys = _ERROR_WORDS[kind]
        words[field] = t(f"errors.{keys.get(reason, keys[''])}", title=(titles or {}).get(id_, id_))
    return words
