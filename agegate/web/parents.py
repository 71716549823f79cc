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
from agegate.web.forms import read_email, read_form, read_press
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
    PortalPages(services, browser, forms).mount(bp)
    return bp


class PortalPages:
    """The pages of a parent who signs in."""

    def __init__(self, services: Services, browser: BrowserSession, forms: FormGuard) -> None:
        self._services = services
        self._parents = services.parents
        self._cookie = browser.name + "-parent"
        self._browser, self._forms = browser, forms

    def mount(self, bp: Blueprint) -> None:
        bp.add_url_rule("/parent/", view_func=self.home, methods=["GET"])
        bp.add_url_rule("/parent/", view_func=self.act, methods=["POST"])
        bp.add_url_rule("/parent/sign-in/<link>", view_func=self.opened, methods=["GET"])
        bp.add_url_rule("/parent/sign-in/<link>", view_func=self.sign_in, methods=["POST"])
        bp.add_url_rule("/parent/withdraw/<record>", view_func=self.ask_withdraw, methods=["GET"])
        bp.add_url_rule("/parent/erase/<record>", view_func=self.ask_erase, methods=["GET"])
        bp.add_url_rule("/parent/withdraw/<record>", view_func=self.withdraw, methods=["POST"])
        bp.add_url_rule("/parent/erase/<record>", view_func=self.erase, methods=["POST"])

    def _signed_in(self) -> Parent | None:
        return self._parents.find_parent(request.cookies.get(self._cookie))

    def home(self) -> ResponseReturnValue:
        parent = self._signed_in()
        if parent is None and request.args.get("done") == "erased":
            # With the last child's data the parent's own is gone too, and with it the sign-in.
            return page("parent_portal", csrf="", children=[], notice="erased", sign_out_url=None)
        if parent is None:
            return self._sign_in("sent" if "sent" in request.args else "ask")
        return self._portal(parent, request.args.get("done"))

    def act(self) -> ResponseReturnValue:
        fields = read_form()
        self._forms.check()
        parent = self._signed_in()
        if parent is None:
            return self._send_link(fields)
        for wish in ("withdraw", "erase"):
            if wish in fields:
                record = self._parents.consent_of(parent, fields[wish]).consent.id
                return redirect(f"/parent/{wish}/{record}", 303)
        if "export" in fields:
            return _download(self._parents.export(parent, fields["export"]), fields["export"])
        if "sign_out" in fields:
            self._parents.sign_out(request.cookies.get(self._cookie, ""))
            gone = redirect("/parent/", 303)
            gone.delete_cookie(
                self._cookie, path="/", secure=self._cookie.startswith("__Host-"), httponly=True
            )
            return gone
        return redirect("/parent/", 303)

    def _send_link(self, fields: dict[str, str]) -> ResponseReturnValue:
        try:
            address = read_email(fields, "email")
        except FieldErrors as error:
            words = error_words(error.reasons)
            return self._sign_in("ask", errors=words, value=fields.get("email", "")[:254]), 422
        self._parents.send_link(address, locale=page_language(), browser=self._browser.current())
        return redirect("/parent/?sent=1", 303)

    def opened(self, link: str) -> ResponseReturnValue:
        self._parents.check_link(link)
        host = urlsplit(self._services.settings.public_url).netloc
        return page("parent_opened", csrf=self._forms.token(link), host=host)

    def sign_in(self, link: str) -> ResponseReturnValue:
        read_press("continue")
        self._forms.check(link)
        secret = self._parents.sign_in(link)
        answer = redirect("/parent/", 303)
        self._browser.set_cookie(
            answer, self._cookie, secret, max_age=int(SESSION_FOR.total_seconds())
        )
        return answer

    def ask_withdraw(self, record: str) -> ResponseReturnValue:
        return self._confirm_page("withdraw_confirm", record)

    def ask_erase(self, record: str) -> ResponseReturnValue:
        return self._confirm_page("erase_confirm", record)

    def withdraw(self, record: str) -> ResponseReturnValue:
        return self._confirmed("withdrawn", record)

    def erase(self, record: str) -> ResponseReturnValue:
        return self._confirmed("erased", record)

    def _confirmed(self, what: str, record: str) -> ResponseReturnValue:
        read_press("confirm")
        self._forms.check()
        parent = self._signed_in()
        if parent is None:
            return redirect("/parent/", 303)
        if what == "withdrawn":
            self._parents.withdraw(parent, record)
        else:
            self._parents.erase(parent, record)
        return redirect(f"/parent/?done={what}", 303)

    # -- pages -----------------------------------------------------------------------------------

    def _sign_in(self, state: str, *, errors: dict[str, str] | None = None, value: str = "") -> str:
        minutes = int(SIGN_IN_LINK_FOR.total_seconds() // 60)
        return page(
            "parent_sign_in",
            csrf=self._forms.token(),
            state=state,
            minutes=minutes,
            value=value,
            errors=errors,
        )

    def _confirm_page(self, name: str, record: str) -> ResponseReturnValue:
        parent = self._signed_in()
        if parent is None:
            return redirect("/parent/", 303)
        seen = self._parents.consent_of(parent, record)
        return page(
            name,
            language=parent.locale,
            operator=seen.operator,
            client=seen.client,
            csrf=self._forms.token(),
            record=record,
            account_made_on=_made_on(seen, parent),
            allowed=titles(seen.operator, seen.consent.granted),
            back_url="/parent/",
        )

    def _portal(self, parent: Parent, done: str | None) -> str:
        portal = self._parents.portal(parent)
        children: dict[str, list[ParentConsent]] = defaultdict(list)
        for seen in portal.consents:
            children[seen.consent.subject_id].append(seen)
        return page(
            "parent_portal",
            language=parent.locale,
            csrf=self._forms.token(),
            children=[self._child(group, parent, portal.history) for group in children.values()],
            notice=done if done in {"withdrawn", "erased"} else None,
            sign_out_url="/parent/",
        )

    def _child(
        self, group: list[ParentConsent], parent: Parent, history: tuple[Fact, ...]
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
