"""The pages of a visit from an app.

One address for every step, so that no address tells what an answer led to.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, g, redirect, request
from flask.typing import ResponseReturnValue

from agegate.bootstrap import Services
from agegate.domain.consent import PENDING_FOR
from agegate.domain.errors import ConflictError, FieldErrors, TooManyRequestsError
from agegate.domain.grants import Flow
from agegate.services.screening import FlowView, NextStep
from agegate.web.forms import read_email, read_form
from agegate.web.rendering import error_words, page
from agegate.web.security import BrowserSession, FormGuard, origin_of
from agegate.web.words import day_in_words, span_in_words
from agegate.wire.tiers import AgeTier, ConsentState

REFRESH_S = 15
_WHY_AGAIN = {
    ConsentState.REVOKED: "came_back",
    ConsentState.EXPIRED: "expired",
    ConsentState.STALE: "changed",
}
"""Why a child is asked for an address once more."""
_ANSWERS = frozenset({"birth_month", "birth_year", "birth_day"})
"""A first page that was open in a second tab still sends these; they answer nothing any more."""


def screening_blueprint(services: Services, browser: BrowserSession, forms: FormGuard) -> Blueprint:
    bp = Blueprint("screening", __name__)
    VisitPages(services, browser, forms).mount(bp)
    return bp


class VisitPages:
    """One address for every step of a visit."""

    def __init__(self, services: Services, browser: BrowserSession, forms: FormGuard) -> None:
        self._services = services
        self._screening, self._asking = services.screening, services.asking
        self._browser, self._forms = browser, forms

    def mount(self, bp: Blueprint) -> None:
        bp.add_url_rule("/flow/<flow_id>", view_func=self.show, methods=["GET"])
        bp.add_url_rule("/flow/<flow_id>", view_func=self.act, methods=["POST"])
        bp.register_error_handler(TooManyRequestsError, self._too_many)

    def show(self, flow_id: str) -> ResponseReturnValue:
        view = self._screening.look(flow_id, browser=self._browser.current())
        _begin_page(view)
        if request.method == "HEAD":
            # A waiting page asks this way whether to look again; it must not mint a code.
            waiting = view.step is NextStep.CONSENT_PENDING
            return "", 200, {"X-Agegate-Waiting": "1" if waiting else "0"}
        if view.step is NextStep.FINISH:
            return self._finish(flow_id)
        if view.step is NextStep.CONSENT_PENDING and "other" not in request.args:
            return self._pending(view)
        return self._render(view)

    def act(self, flow_id: str) -> ResponseReturnValue:
        view = self._screening.look(flow_id, browser=self._browser.current())
        _begin_page(view)
        fields = read_form()
        self._forms.check()
        try:
            return self._act(view, fields)
        except FieldErrors as error:
            view = self._screening.look(flow_id, browser=self._browser.current())
            return self._render(view, error=error, typed=fields.get("parent_email", "")), 422
        except ConflictError:
            # Another click was first: what it led to is shown.
            return self._again(flow_id)

    def _act(self, view: FlowView, fields: dict[str, str]) -> ResponseReturnValue:
        flow_id, here = view.flow.id, self._browser.current()
        match view.step:
            case NextStep.AGE_SCREEN:
                self._screening.answer_age(flow_id, fields, browser=here)
            case NextStep.PARENT_CONTACT if not _ANSWERS & fields.keys():
                self._asking.ask(flow_id, read_email(fields, "parent_email"), browser=here)
            case NextStep.CONSENT_PENDING if "continue_limited" in fields:
                return self._finish(flow_id, limited=True)
            case NextStep.CONSENT_PENDING if "change_contact" in fields:
                return redirect(f"/flow/{flow_id}?other=1", 303)
            case NextStep.CONSENT_PENDING if "resend" in fields:
                self._asking.resend(flow_id, browser=here)
                return redirect(f"/flow/{flow_id}?sent=1", 303)
            case NextStep.CONSENT_PENDING if "parent_email" in fields:
                self._asking.change_contact(
                    flow_id, read_email(fields, "parent_email"), browser=here
                )
            case _:
                pass
        return self._again(flow_id)

    def _again(self, flow_id: str) -> ResponseReturnValue:
        return redirect(f"/flow/{flow_id}", 303)

    def _finish(self, flow_id: str, *, limited: bool = False) -> ResponseReturnValue:
        flow, code = self._screening.finish(
            flow_id, browser=self._browser.current(), limited=limited
        )
        return redirect(client_answer(flow, self._services.settings.public_url, code=code), 303)

    def _render(self, view: FlowView, *, error: FieldErrors | None = None, typed: str = "") -> str:
        shared = _shared(view, self._forms)
        errors = error_words(error.reasons, language=view.flow.locale) if error else None
        match view.step:
            case NextStep.AGE_SCREEN:
                return page(
                    "age_screen", errors=errors, needs_day="birth_day" in view.fields, **shared
                )
            case NextStep.BLOCKED:
                back = client_answer(
                    view.flow, self._services.settings.public_url, error="access_denied"
                )
                return page("age_result", outcome="blocked", return_url=back, **shared)
            case _:
                return page(
                    "parent_contact",
                    errors=errors,
                    contact_kind="email",
                    tone=_tone(view),
                    why_again=_WHY_AGAIN.get(view.standing.state) if view.standing else None,
                    keep_days=PENDING_FOR.days,
                    value=typed,
                    **shared,
                )

    def _pending(self, view: FlowView) -> str:
        waiting = self._asking.waiting(view.flow.id, browser=self._browser.current())
        language = view.flow.locale
        now = self._services.core.now()
        left = waiting.may_resend_at - now if waiting else timedelta(0)
        sent_at = waiting.sent_at if waiting else None
        return page(
            "consent_pending",
            tone=_tone(view),
            state="sent" if sent_at else "queued",
            sent_at=day_in_words(sent_at, language) if sent_at else "",
            to=waiting.masked if waiting else "",
            expires_on=day_in_words(view.flow.expires_at, language),
            limited=True,
            resend_after=span_in_words(left, language) if left > timedelta(0) else None,
            can_resend=True,
            resent="sent" in request.args,
            code=None,
            code_url=None,
            refresh_s=REFRESH_S,
            **_shared(view, self._forms),
        )

    def _too_many(self, error: TooManyRequestsError) -> ResponseReturnValue:
        words = span_in_words(timedelta(seconds=error.retry_after_s), g.get("language", "en"))
        text = page(
            "error",
            kind="too_many",
            request_id=g.get("request_id", ""),
            retry_after=words,
            home_url=request.path,
        )
        return text, 429, {"Retry-After": str(error.retry_after_s)}


def client_answer(flow: Flow, issuer: str, **parameters: str) -> str:
    """The redirect back: what the client registered, its `state`, and who answers (RFC 9207)."""
    values = {**parameters, "iss": issuer}
    if flow.state is not None:
        values["state"] = flow.state
    joint = "&" if "?" in flow.redirect_uri else "?"
    return f"{flow.redirect_uri}{joint}{urlencode(values)}"


def _begin_page(view: FlowView) -> None:
    g.language = view.flow.locale
    g.form_targets = (origin_of(view.flow.redirect_uri),)


def _shared(view: FlowView, forms: FormGuard) -> dict[str, Any]:
    return {
        "language": view.flow.locale,
        "client": view.client,
        "operator": view.registration.operator,
        "csrf": forms.token(),
    }


def _tone(view: FlowView) -> str:
    tier = view.standing.tier if view.standing else AgeTier.CHILD
    return "child" if tier is AgeTier.CHILD else "teen"
