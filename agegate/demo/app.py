"""StoryBuddy: “make a story with an AI”, for a visitor who reads nothing but the page.

The visitor plays the child, then the parent, and sees behind the page what a developer would see.
"""

from __future__ import annotations

import hmac
import json
import time
from typing import Any, Final

from flask import Flask, Response, abort, g, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from agegate.demo.oauth import AgeClient, SignInError
from agegate.demo.teller import PURPOSE, Part, SilentError, Teller
from agegate.demo.visits import Visit, Visits
from agegate.guard import IssuerError, NotAllowedError

COOKIE: Final = "storybuddy"
SERVICE_COOKIE: Final = "agegate"
_LONGEST_WISH: Final = 500
_LONGEST_STORY: Final = 5000
_SPARE_S: Final = 5

WISHES: Final = (
    "A small robot who is afraid of the dark",
    "A dragon who bakes bread",
    "Two friends and a door that nobody has opened",
)
NO: Final = {
    "denied": "Your grown-up said no to stories with the AI. That is okay. You can still write "
    "stories yourself.",
    "withdrawn": "Your grown-up has taken the permission back, so the AI has stopped. Nothing more "
    "is sent to it. Your own stories still work.",
    "expired": "The permission has run out, so the AI has stopped. Your grown-up can be asked "
    "again.",
    "revoked": "The permission has ended, so the AI has stopped. Your grown-up can be asked again.",
    "stale": "StoryBuddy has changed what it does, so your grown-up must be asked again first.",
    "required": "A grown-up must be asked first.",
    "pending": "Your grown-up has not answered yet. You can write a story yourself meanwhile.",
}
_AWAY: Final = "The age service does not answer right now, so the AI stays quiet. Please try again."
_GONE: Final = "This account does not exist any more. Please start again."
_FIRST: Final = ("age_tier", "age_range", "consent", "acr", "amr", "jurisdiction")
"""What a visitor looks for stands on top; in JSON the order means nothing."""
_SIGN_IN: Final = {
    "access_denied": "No account was made. That is fine.",
    "agegate_is_away": "The age service does not answer. Please try again in a moment.",
}


def create_app(client: AgeClient, teller: Teller, *, issuer: str) -> Flask:
    app = Flask("agegate.demo", static_folder="static", template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    pages = Pages(client, teller, issuer=issuer)
    app.before_request(pages.begin)
    app.after_request(pages.finish)
    app.add_url_rule("/", view_func=pages.home)
    app.add_url_rule("/start", view_func=pages.start, methods=["POST"])
    app.add_url_rule("/callback", view_func=pages.callback)
    app.add_url_rule("/refresh", view_func=pages.refresh, methods=["POST"])
    app.add_url_rule("/story", view_func=pages.story, methods=["POST"])
    app.add_url_rule("/own", view_func=pages.own, methods=["POST"])
    app.add_url_rule("/over", view_func=pages.over, methods=["POST"])
    app.add_url_rule("/behind.json", view_func=pages.behind)
    app.add_url_rule("/healthz", view_func=pages.alive)
    return app


class Pages:
    """One method a page or button."""

    def __init__(self, client: AgeClient, teller: Teller, *, issuer: str) -> None:
        self._client = client
        self._teller = teller
        self._issuer = issuer
        self._visits = Visits()

    # -- around every answer -----------------------------------------------------------------------

    def begin(self) -> None:
        g.visit_id = request.cookies.get(COOKIE)
        g.visit = self._visits.find(g.visit_id)
        if g.visit is None and request.endpoint not in {"static", "alive"}:
            g.visit_id, g.visit = self._visits.begin()
            g.is_new = True
        if request.method == "POST" and not hmac.compare_digest(
            request.form.get("csrf", "").encode(), g.visit.csrf.encode()
        ):
            abort(400, "This page is too old. Please go back and load it again.")

    def finish(self, response: Response) -> Response:
        if g.get("is_new"):
            response.set_cookie(COOKIE, g.visit_id, httponly=True, samesite="Lax")
        headers = response.headers
        headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            f"connect-src 'self'; form-action 'self' {self._issuer}; frame-ancestors 'none'; "
            "base-uri 'none'"
        )
        headers["Referrer-Policy"] = "same-origin"
        headers["X-Content-Type-Options"] = "nosniff"
        if request.endpoint != "static":
            headers["Cache-Control"] = "no-store"
        return response

    # -- pages -------------------------------------------------------------------------------------

    def home(self) -> ResponseReturnValue:
        visit: Visit = g.visit
        _keep_fresh(self._client, visit)
        behind = _behind(self._client, visit)
        if behind.get("state") == "granted" and _state(visit) == "pending":
            # The answer a child waits for should not wait for a button as well.
            with visit.lock:
                _renew(self._client, visit)
            behind = _behind(self._client, visit)
        return render_template(
            "story.html",
            stage=_stage(visit),
            visit=visit,
            message=visit.take_message(),
            claims=visit.tokens.claims if visit.tokens else None,
            consent=_state(visit),
            no=NO,
            behind=behind,
            wishes=WISHES,
            is_real=self._teller.is_real,
            issuer=self._issuer,
            longest_wish=_LONGEST_WISH,
            longest_story=_LONGEST_STORY,
            in_words=_in_words,
        )

    def behind(self) -> ResponseReturnValue:
        return jsonify(_behind(self._client, g.visit))

    def alive(self) -> ResponseReturnValue:
        return jsonify(status="ok")

    # -- buttons -----------------------------------------------------------------------------------

    def start(self) -> ResponseReturnValue:
        visit: Visit = g.visit
        try:
            visit.leaving = self._client.leave(
                hint=visit.tokens.id if visit.tokens else None, ask_again="again" in request.form
            )
        except SignInError as error:
            visit.message = _sign_in_words(error)
            return redirect("/", 303)
        return redirect(visit.leaving.url, 303)

    def callback(self) -> ResponseReturnValue:
        visit: Visit = g.visit
        leaving, visit.leaving = visit.leaving, None
        if leaving is not None:
            try:
                visit.tokens = self._client.return_(request.args, leaving)
            except SignInError as error:
                visit.message = _sign_in_words(error)
        return redirect("/", 303)

    def refresh(self) -> ResponseReturnValue:
        with g.visit.lock:
            _renew(self._client, g.visit)
        return redirect("/", 303)

    def story(self) -> ResponseReturnValue:
        visit: Visit = g.visit
        wish = " ".join(request.form.get("wish", "").split())[:_LONGEST_WISH]
        if wish:
            with visit.lock:
                _tell(self._client, self._teller, visit, wish)
        return redirect("/#story", 303)

    def own(self) -> ResponseReturnValue:
        g.visit.own_story = request.form.get("own_story", "")[:_LONGEST_STORY]
        g.visit.message = "Kept, here and nowhere else. No AI has seen it."
        return redirect("/", 303)

    def over(self) -> ResponseReturnValue:
        self._visits.end(g.visit_id)
        answer = redirect("/", 303)
        answer.delete_cookie(COOKIE)
        # Another child comes with another tablet. Here both live on one host, whose cookies know no
        # ports, so the demo can put the service's own memory of this browser aside.
        answer.delete_cookie(SERVICE_COOKIE)
        return answer


# --- the story --------------------------------------------------------------------------------


def _tell(client: AgeClient, teller: Teller, visit: Visit, wish: str) -> None:
    """The next part, or a kind sentence why not. A refusal is looked into once, by a refresh."""
    for is_last in (False, True):
        if visit.tokens is None:
            return
        try:
            text = teller.tell(visit.tokens.access, wish, visit.story)
        except IssuerError:
            visit.message = _AWAY
            return
        except NotAllowedError:
            if is_last:
                visit.message = NO.get(_state(visit), NO["required"])
            else:
                _renew(client, visit)
        except SilentError:
            visit.message = "The story teller does not answer right now. Please try again."
            return
        else:
            visit.story.append(Part(wish=wish, text=text))
            return


# --- what the app knows -----------------------------------------------------------------------


def _keep_fresh(client: AgeClient, visit: Visit) -> None:
    with visit.lock:
        if visit.tokens and visit.tokens.claims["exp"] <= _now() + _SPARE_S:
            _renew(client, visit)


def _renew(client: AgeClient, visit: Visit) -> None:
    """Newer tokens; where the account is gone, none at all."""
    if visit.tokens is None:
        return
    try:
        visit.tokens = client.refresh(visit.tokens)
    except SignInError as error:
        if error.code == "agegate_is_away":
            visit.message = _AWAY
        else:
            visit.tokens = None
            visit.message = _GONE


def _state(visit: Visit) -> str:
    if visit.tokens is None:
        return ""
    return str(visit.tokens.claims.get("consent", {}).get("state", "required"))


def _stage(visit: Visit) -> str:
    match _state(visit):
        case "":
            return "start"
        case "granted" | "not_required":
            return "ready"
        case "pending":
            return "pending"
        case _:
            return "no"


def _behind(client: AgeClient, visit: Visit) -> dict[str, Any]:
    """Token, live state and decision, as the app's back end sees them this moment."""
    if visit.tokens is None:
        return {}
    claims = visit.tokens.claims
    try:
        live = client.introspect(visit.tokens.access)
        question, decision = client.decide(claims["sub"], PURPOSE)
    except SignInError as error:
        return {"claims": _pretty(claims), "problem": error.code, "changed": False}
    state = live.get("consent", {}).get("state") if live.get("active") else None
    return {
        "claims": _pretty(claims),
        "live": _pretty(live),
        "question": _pretty(question),
        "decision": _pretty(decision),
        "says_yes": decision.get("decision") is True,
        "state": state,
        # The token is a snapshot; introspection is the present.
        "changed": state != claims.get("consent", {}).get("state"),
    }


def _pretty(value: dict[str, Any]) -> str:
    ordered = {name: value[name] for name in _FIRST if name in value} | value
    return json.dumps(ordered, indent=2, ensure_ascii=False)


def _sign_in_words(error: SignInError) -> str:
    return _SIGN_IN.get(error.code, f"That did not work ({error.code}).")


def _in_words(claims: dict[str, Any]) -> str:
    """`child, up to 12`."""
    span = claims.get("age_range", {})
    lower, upper = span.get("lower"), span.get("upper")
    tier = str(claims.get("age_tier", "child")).replace("_", " ")
    if lower is None and upper is None:
        return tier
    if lower is None:
        return f"{tier}, up to {upper}"
    return f"{tier}, {lower} and older" if upper is None else f"{tier}, {lower} to {upper}"


def _now() -> float:
    return time.time()
