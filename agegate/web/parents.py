"""The parent portal: sign in by mailed link, see, take back, erase, keep a copy."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from agegate.bootstrap import Services
from agegate.domain.errors import FieldErrors
from agegate.domain.ledger import Fact
from agegate.domain.people import Parent
from agegate.services.letters import titles
from agegate.services.parents import SESSION_FOR, SIGN_IN_LINK_FOR, ParentConsent
from agegate.web.forms import read_email, read_form
from agegate.web.rendering import client_words, error_words, operator_words, page, page_language
from agegate.web.security import BrowserSession, FormGuard
from agegate.web.words import day_in_words
from agegate.wire.tiers import ConsentState

_HISTORY: Final = {
    "consent.requested": "requested",
    "consent.notified": "notified",
    "consent.opened": "opened",
    "consent.proved": "proved",
    "consent.decided": "decided",
    "consent.granted": "granted",
    "consent.denied": "denied",
    "consent.expired": "expired",
    "consent.withdrawn": "withdrawn",
    "consent.revoked": "revoked",
    "consent.stale": "stale",
    "consent.undeliverable": "bounced",
    "subject.erased": "erased",
}
"""Facts that mean something to a parent, with their words in the catalogue."""
_MAY_WITHDRAW: Final = frozenset({ConsentState.GRANTED, ConsentState.STALE})


def parents_blueprint(services: Services, browser: BrowserSession, forms: FormGuard) -> Blueprint:
    bp = Blueprint("parents", __name__)
    parents = services.parents
    cookie = browser.name + "-parent"

    def _signed_in() -> Parent | None:
        return parents.find_parent(request.cookies.get(cookie))

    @bp.get("/parent/")
    def home() -> ResponseReturnValue:
        parent = _signed_in()
        if parent is None:
            return _sign_in("sent" if "sent" in request.args else "ask")
        return _portal(parent, request.args.get("done"))

    @bp.post("/parent/")
    def act() -> ResponseReturnValue:
        fields = read_form()
        forms.check()
        parent = _signed_in()
        if parent is None:
            return _send_link(fields)
        for wish in ("withdraw", "erase"):
            if wish in fields:
                record = parents.consent_of(parent, fields[wish]).consent.id
                return redirect(f"/parent/{wish}/{record}", 303)
        if "export" in fields:
            return _download(parents.export(parent, fields["export"]), fields["export"])
        if "sign_out" in fields:
            parents.sign_out(request.cookies.get(cookie, ""))
            gone = redirect("/parent/", 303)
            gone.delete_cookie(cookie, path="/", secure=cookie.startswith("__Host-"), httponly=True)
            return gone
        return redirect("/parent/", 303)

    def _send_link(fields: dict[str, str]) -> ResponseReturnValue:
        try:
            address = read_email(fields, "email")
        except FieldErrors as error:
            words = error_words(error.reasons)
            return _sign_in("ask", errors=words, value=fields.get("email", "")[:254]), 422
        parents.send_link(address, locale=page_language(), browser=browser.current())
        return redirect("/parent/?sent=1", 303)

    @bp.get("/parent/sign-in/<link>")
    def opened(link: str) -> ResponseReturnValue:
        parents.check_link(link)
        host = urlsplit(services.settings.public_url).netloc
        return page("parent_opened", csrf=forms.token(link), host=host)

    @bp.post("/parent/sign-in/<link>")
    def sign_in(link: str) -> ResponseReturnValue:
        read_form()
        forms.check(link)
        secret = parents.sign_in(link)
        answer = redirect("/parent/", 303)
        browser.set_cookie(answer, cookie, secret, max_age=int(SESSION_FOR.total_seconds()))
        return answer

    @bp.get("/parent/withdraw/<record>")
    def ask_withdraw(record: str) -> ResponseReturnValue:
        return _confirm_page("withdraw_confirm", record)

    @bp.get("/parent/erase/<record>")
    def ask_erase(record: str) -> ResponseReturnValue:
        return _confirm_page("erase_confirm", record)

    @bp.post("/parent/withdraw/<record>")
    def withdraw(record: str) -> ResponseReturnValue:
        return _confirmed("withdrawn", record)

    @bp.post("/parent/erase/<record>")
    def erase(record: str) -> ResponseReturnValue:
        return _confirmed("erased", record)

    def _confirmed(what: str, record: str) -> ResponseReturnValue:
        read_form()
        forms.check()
        parent = _signed_in()
        if parent is None:
            return redirect("/parent/", 303)
        if what == "withdrawn":
            parents.withdraw(parent, record)
        else:
            parents.erase(parent, record)
        return redirect(f"/parent/?done={what}", 303)

    # -- pages -----------------------------------------------------------------------------------

    def _sign_in(state: str, *, errors: dict[str, str] | None = None, value: str = "") -> str:
        minutes = int(SIGN_IN_LINK_FOR.total_seconds() // 60)
        return page(
            "parent_sign_in",
            csrf=forms.token(),
            state=state,
            minutes=minutes,
            value=value,
            errors=errors,
        )

    def _confirm_page(name: str, record: str) -> ResponseReturnValue:
        parent = _signed_in()
        if parent is None:
            return redirect("/parent/", 303)
        seen = parents.consent_of(parent, record)
        return page(
            name,
            language=parent.locale,
            operator=seen.operator,
            client=seen.client,
            csrf=forms.token(),
            record=record,
            account_made_on=_made_on(seen, parent),
            allowed=titles(seen.operator, seen.consent.granted),
            back_url="/parent/",
        )

    def _portal(parent: Parent, done: str | None) -> str:
        portal = parents.portal(parent)
        children: dict[str, list[ParentConsent]] = defaultdict(list)
        for seen in portal.consents:
            children[seen.consent.subject_id].append(seen)
        return page(
            "parent_portal",
            language=parent.locale,
            csrf=forms.token(),
            children=[_child(group, parent, portal.history) for group in children.values()],
            notice=done if done in {"withdrawn", "erased"} else None,
            sign_out_url="/parent/",
        )

    def _child(
        group: list[ParentConsent], parent: Parent, history: tuple[Fact, ...]
    ) -> dict[str, Any]:
        first = group[0]
        records = {seen.consent.id for seen in group}
        told = [f for f in history if f.record in records and f.kind.value in _HISTORY]
        return {
            "account_made_on": _made_on(first, parent),
            "client": client_words(first.client),
            "operator": operator_words(first.operator),
            "records": [_record(seen, parent) for seen in group],
            "history": [
                {
                    "when": day_in_words(f.at, page_language(parent.locale)),
                    "kind": _HISTORY[f.kind.value],
                }
                for f in told
            ],
        }

    return bp


def _record(seen: ParentConsent, parent: Parent) -> dict[str, Any]:
    consent = seen.consent
    language = page_language(parent.locale)
    live = seen.state is ConsentState.GRANTED
    decided = [(id_, "grant") for id_ in consent.granted] + [
        (id_, "refuse") for id_ in consent.refused
    ]
    return {
        "record": consent.id,
        "state": seen.state.value,
        "since": day_in_words(
            consent.ended_at or consent.granted_at or consent.requested_at, language
        ),
        "until": day_in_words(consent.expires_at, language) if live else None,
        "purposes": [
            {"title": titles(seen.operator, (id_,))[0], "decision": decision}
            for id_, decision in decided
        ],
        "can_withdraw": seen.state in _MAY_WITHDRAW,
        "can_erase": seen.child_since is not None,
        "can_export": True,
        "receipt_url": None,
    }


def _made_on(seen: ParentConsent, parent: Parent) -> str:
    since = seen.child_since or seen.consent.requested_at
    return day_in_words(since, page_language(parent.locale))


def _download(data: dict[str, Any], record: str) -> Response:
    text = json.dumps(data, indent=2, ensure_ascii=False)
    answer = Response(text, mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="agegate-{record}.json"'
    return answer
