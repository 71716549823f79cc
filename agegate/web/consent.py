"""The pages behind the letters: GET shows and never changes anything, POST does."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, redirect, request
from flask.typing import ResponseReturnValue

from agegate.bootstrap import Services
from agegate.domain.consent import Consent, Stage
from agegate.domain.errors import (
    ConflictError,
    FieldErrors,
    LinkExpiredError,
    NotAllowedNowError,
    VendorError,
)
from agegate.domain.operators import Operator, Purpose
from agegate.services.consent import ParentStep, RequestView
from agegate.services.letters import titles
from agegate.web.forms import read_form, read_press
from agegate.web.rendering import error_words, page, page_language
from agegate.web.security import BrowserSession, FormGuard, origin_of
from agegate.web.words import day_in_words, span_in_words, translator

_BACK_WITHIN_S: Final = 60 * 60 * 2
_EARLIER: Final = frozenset({"continue", "method", "change_method", "not_my_child"})
"""Buttons of pages before the decision; one pressed in an old tab leads on and decides nothing."""
_MAY_WITHDRAW: Final = frozenset({Stage.GRANTED, Stage.STALE, Stage.DECIDED})
_MINUTES = {"email_plus": 1, "payment_transaction": 2}
_INCONCLUSIVE = frozenset({"prepaid_not_accepted", "holder_not_notified"})


def consent_blueprint(services: Services, browser: BrowserSession, forms: FormGuard) -> Blueprint:
    bp = Blueprint("consent", __name__)
    RequestPages(services, browser, forms).mount(bp)
    return bp


class RequestPages:
    """The pages behind one mailed request."""

    def __init__(self, services: Services, browser: BrowserSession, forms: FormGuard) -> None:
        self._services = services
        self._consent = services.consent
        self._home = services.settings.public_url
        self._browser, self._forms = browser, forms
        self._cookie = browser.name + "-request"

    def mount(self, bp: Blueprint) -> None:
        bp.add_url_rule("/parent/request/<link>", view_func=self.show, methods=["GET"])
        bp.add_url_rule("/parent/request/<link>", view_func=self.act, methods=["POST"])
        bp.add_url_rule(
            "/parent/request/<link>/withdraw", view_func=self.show_withdraw, methods=["GET"]
        )
        bp.add_url_rule(
            "/parent/request/<link>/withdraw", view_func=self.withdraw, methods=["POST"]
        )
        bp.add_url_rule("/parent/request/<link>/receipt", view_func=self.receipt, methods=["GET"])
        bp.add_url_rule("/parent/back", view_func=self.back, methods=["GET"])
        bp.add_url_rule("/parent/confirm/<link>", view_func=self.show_confirm, methods=["GET"])
        bp.add_url_rule("/parent/confirm/<link>", view_func=self.confirm, methods=["POST"])

    def show(self, link: str) -> ResponseReturnValue:
        view = _begin_page(self._consent.look(link))
        return self._render(view, link, proof="waiting" if "wait" in request.args else "ready")

    def act(self, link: str) -> ResponseReturnValue:
        view = _begin_page(self._consent.look(link))
        fields = read_form()
        self._forms.check(link)
        try:
            return self._act(view, link, fields)
        except FieldErrors as error:
            return self._render(self._consent.look(link), link, error=error, answers=fields), 422
        except VendorError:
            return self._render(self._consent.look(link), link, proof="error"), 503

    def _act(self, view: RequestView, link: str, fields: dict[str, str]) -> ResponseReturnValue:
        match view.step:
            case ParentStep.NOTICE | ParentStep.METHOD | ParentStep.PROOF if (
                "not_my_child" in fields
            ):
                ended = self._consent.not_my_child(link)
                return page("not_my_child", **_shared(ended, self._forms, link))
            case ParentStep.NOTICE if "continue" in fields:
                self._consent.open(link, browser=self._browser.find())
            case ParentStep.METHOD:
                return self._choose(view, link, fields)
            case ParentStep.PROOF if "change_method" in fields:
                self._consent.another_method(link)
            case ParentStep.PROOF:
                return self._after_proof(
                    self._consent.answer_proof(
                        link, fields, return_url=f"{self._home}/parent/back"
                    ),
                    link,
                    view,
                )
            case ParentStep.DECISION if not _EARLIER & fields.keys():
                self._decide(link, _answers(fields))
            case ParentStep.SECOND_STEP | ParentStep.OUTCOME if _answers(fields):
                if not _is_what_was_decided(view.consent, _answers(fields)):
                    raise ConflictError("this has already been decided")
            case _:
                pass
        return redirect(f"/parent/request/{link}", 303)

    def _decide(self, link: str, answers: dict[str, str]) -> None:
        """Of two different answers at once the second is told; the same one twice is one answer."""
        try:
            self._consent.decide(link, answers)
        except ConflictError:
            if not _is_what_was_decided(self._consent.look(link).consent, answers):
                raise

    def _choose(self, view: RequestView, link: str, fields: dict[str, str]) -> ResponseReturnValue:
        if _EARLIER & fields.keys() - {"method"}:
            return redirect(f"/parent/request/{link}", 303)
        key = fields.get("method", "")
        if not key:
            raise FieldErrors({"method": "missing"})
        after = self._consent.choose(link, key, return_url=f"{self._home}/parent/back")
        if after.failed is not None:
            return self._after_proof(after, link, view)
        answer = redirect(f"/parent/request/{link}", 303)
        self._browser.set_cookie(answer, self._cookie, link, max_age=_BACK_WITHIN_S)
        return answer

    def _after_proof(
        self, after: RequestView, link: str, before: RequestView
    ) -> ResponseReturnValue:
        if after.failed is not None:
            state = "inconclusive" if after.failed in _INCONCLUSIVE else "failed"
            key = before.proof.method if before.proof else _usable(after)[0]
            return self._proof(after, link, key, state)
        if after.step is ParentStep.PROOF and after.proof is not None:
            if after.waiting or after.proof.url is None:
                return redirect(f"/parent/request/{link}?wait=1", 303)
            return redirect(after.proof.url, 303)
        return redirect(f"/parent/request/{link}", 303)

    def show_withdraw(self, link: str) -> ResponseReturnValue:
        view = _begin_page(self._consent.look(link))
        if view.consent.stage not in _MAY_WITHDRAW:
            return redirect(f"/parent/request/{link}", 303)
        return page(
            "withdraw_confirm",
            record=view.consent.id,
            account_made_on=_made_on(view),
            allowed=titles(view.operator, view.consent.granted),
            back_url=f"/parent/request/{link}",
            **_shared(view, self._forms, link),
        )

    def withdraw(self, link: str) -> ResponseReturnValue:
        _begin_page(self._consent.look(link))
        read_press("confirm")
        self._forms.check(link)
        self._consent.withdraw(link)
        return redirect(f"/parent/request/{link}", 303)

    def receipt(self, link: str) -> ResponseReturnValue:
        view = self._consent.look(link)
        if view.consent.decided_at is None:
            raise NotAllowedNowError("nothing has been decided yet")
        token = self._services.records.receipt_for(view.consent.id)
        answer = Response(token, mimetype="application/jwt")
        answer.headers["Content-Disposition"] = f'attachment; filename="{view.consent.id}.jwt"'
        return answer

    def show_confirm(self, link: str) -> ResponseReturnValue:
        view = _begin_page(self._consent.look_confirmation(link))
        if view.consent.stage is not Stage.DECIDED:
            return self._render_outcome(view, link)
        return self._confirm(view, link, "ready")

    def confirm(self, link: str) -> ResponseReturnValue:
        _begin_page(self._consent.look_confirmation(link))
        read_press("confirm")
        self._forms.check(link)
        self._consent.confirm(link)
        return redirect(f"/parent/confirm/{link}", 303)

    # -- pages -----------------------------------------------------------------------------------

    def _render(
        self,
        view: RequestView,
        link: str,
        *,
        error: FieldErrors | None = None,
        answers: dict[str, str] | None = None,
        proof: str = "ready",
    ) -> str:
        shared = _shared(view, self._forms, link)
        named = {str(p.id): p.title for p in view.purposes}
        errors = (
            error_words(error.reasons, language=view.consent.locale, titles=named)
            if error
            else None
        )
        match view.step:
            case ParentStep.NOTICE:
                return page(
                    "parent_notice",
                    account_made_on=_made_on(view),
                    expires_on=_day(view, view.consent.expires_at),
                    host=urlsplit(self._home).netloc,
                    sections=view.sections,
                    **shared,
                )
            case ParentStep.METHOD if proof == "error":
                return self._proof(view, link, _usable(view)[0], "error")
            case ParentStep.METHOD:
                methods = [_method(view, key) for key in _usable(view)]
                return page("parent_method", errors=errors, methods=methods, **shared)
            case ParentStep.PROOF if view.proof is not None:
                return self._proof(view, link, view.proof.method, proof)
            case ParentStep.DECISION:
                return page(
                    "parent_decision",
                    errors=errors,
                    account_made_on=_made_on(view),
                    purposes=[_purpose(view.operator, p, answers or {}) for p in view.purposes],
                    **shared,
                )
            case ParentStep.SECOND_STEP:
                return self._confirm(view, link, "coming")
            case _:
                return self._render_outcome(view, link)

    def _proof(self, view: RequestView, link: str, key: str, state: str) -> str:
        if view.proof is not None and view.proof.url is not None:
            g.form_targets = (origin_of(view.proof.url),)
        return page(
            "parent_proof",
            method=_method(view, key),
            state=state,
            can_change=len(_usable(view)) > 1 or state in {"failed", "inconclusive", "error"},
            refresh_s=15,
            **_shared(view, self._forms, link),
        )

    def _confirm(self, view: RequestView, link: str, state: str) -> str:
        delay = span_in_words(self._services.core.confirmation_delay, view.consent.locale)
        return page(
            "parent_confirm",
            state=state,
            channel="email",
            to=view.masked,
            comes=delay if state == "coming" else "",
            decided_on=_day(view, view.consent.decided_at),
            allowed=titles(view.operator, view.consent.granted),
            refused=titles(view.operator, view.consent.refused),
            account_made_on=_made_on(view),
            **_shared(view, self._forms, link),
        )

    def _render_outcome(self, view: RequestView, link: str) -> str:
        granted = view.consent.stage is Stage.GRANTED
        base = f"/parent/request/{link}"
        by_request_link = request.path.startswith("/parent/request/")
        return page(
            "parent_receipt",
            state=_OUTCOMES[view.consent.stage],
            decided_on=_day(view, view.consent.decided_at or view.consent.ended_at),
            account_made_on=_made_on(view),
            allowed=titles(view.operator, view.consent.granted),
            refused=titles(view.operator, view.consent.refused),
            until=_day(view, view.consent.expires_at) if granted else None,
            record=view.consent.id,
            receipt_url=f"{base}/receipt" if by_request_link else None,
            withdraw_url=f"{base}/withdraw" if granted and by_request_link else None,
            portal_url="/parent/",
            **_shared(view, self._forms, link),
        )

    def back(self) -> ResponseReturnValue:
        """Where a vendor sends the parent back to.

        No vendor learns a link that can act for a parent.
        """
        link = request.cookies.get(self._cookie)
        if link is None:
            raise LinkExpiredError("this browser has no open request")
        return redirect(f"/parent/request/{link}", 303)


def _begin_page(view: RequestView) -> RequestView:
    g.language = view.consent.locale
    return view


def _usable(view: RequestView) -> list[str]:
    return [m.key for m in view.methods if m.why_not is None]


def _answers(fields: dict[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("purpose."): value
        for name, value in fields.items()
        if name.startswith("purpose.")
    }


def _is_what_was_decided(consent: Consent, answers: dict[str, str]) -> bool:
    granted = {id_ for id_, answer in answers.items() if answer == "grant"}
    refused = {id_ for id_, answer in answers.items() if answer == "refuse"}
    said = set(consent.granted) - set(consent.carried)
    if consent.stage is Stage.DENIED:  # with a core purpose refused, the rest has no effect
        said = set(consent.purposes) - set(consent.refused)
    return consent.decided_at is not None and (granted, refused) == (said, set(consent.refused))


def _shared(view: RequestView, forms: FormGuard, link: str) -> dict[str, Any]:
    return {
        "language": view.consent.locale,
        "client": view.client,
        "operator": view.operator,
        "csrf": forms.token(link),
    }


_OUTCOMES: Final = {
    Stage.GRANTED: "granted",
    Stage.DENIED: "denied",
    Stage.WITHDRAWN: "withdrawn",
    Stage.STALE: "stale",
    Stage.SUPERSEDED: "replaced",
}


def _day(view: RequestView, moment: datetime | None) -> str:
    return day_in_words(moment, page_language(view.consent.locale)) if moment else ""


def _made_on(view: RequestView) -> str:
    return _day(view, datetime.fromisoformat(view.child_since)) if view.child_since else ""


def _method(view: RequestView, key: str) -> dict[str, Any]:
    t = translator(page_language(view.consent.locale))
    words = {
        name: t(f"method.{key}.{name}", app=view.client.display_name)
        for name in ("title", "needs", "kept", "seen_by")
    }
    return {"key": key, "minutes": _MINUTES[key], **words}


def _purpose(operator: Operator, purpose: Purpose, answers: dict[str, str]) -> dict[str, Any]:
    t = translator(page_language())
    chosen = answers.get(f"purpose.{purpose.id}")
    return {
        "id": purpose.id,
        "title": purpose.title,
        "kind": purpose.kind.value,
        "core": purpose.core,
        "data": purpose.data,
        "use": purpose.use,
        "retention": t("common.days", count=purpose.retention_days),
        "recipients": [
            {
                "name": r.name,
                "category": r.category,
                "integral_reason": r.integral_reason if r.integral else None,
            }
            for r in operator.recipients_of(purpose)
        ],
        "decision": chosen if chosen in {"grant", "refuse"} else None,
    }
