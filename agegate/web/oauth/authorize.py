"""The authorization request: held against the registration before anything is kept or shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from agegate.bootstrap import Services
from agegate.domain.grants import granted_scope
from agegate.domain.ids import SubjectId
from agegate.domain.operators import Client
from agegate.domain.people import Subject
from agegate.services.core import Registration
from agegate.services.screening import AuthorizationRequest, NextStep
from agegate.web.oauth.clients import is_plausible_id
from agegate.web.oauth.front import checked
from agegate.web.rendering import page
from agegate.web.screening import client_answer
from agegate.web.security import BrowserSession
from agegate.web.words import choose_language
from agegate.wire.scopes import AUTHORIZE, CLIENT_SCOPES
from agegate.wire.tiers import AssuranceLevel

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_LONGEST_STATE: Final = 2048
_LOOPBACK: Final = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?(/[^#]*)?")
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account", "age"})


class RefusedRequest(Exception):  # noqa: N818 - it is the request that is refused
    """An error for the client, once its redirect is trusted."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


class UntrustedRequest(Exception):  # noqa: N818 - it is the request that is not trusted
    """An error for the person: who asked, or where to answer, is not known to be true."""

    def __init__(self, description: str, error: str = "invalid_request") -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def authorize(services: Services, browser: BrowserSession) -> ResponseReturnValue:
    """Keep the request and send the browser to the first page; or say no to the right one."""
    source = request.form if request.method == "POST" else request.args
    if request.method == "POST" and (
        request.args or request.mimetype != "application/x-www-form-urlencoded"
    ):
        return _to_person(UntrustedRequest("a POST carries its parameters in a form body"))
    try:
        registered, redirect_uri = _trusted(services, source)
    except UntrustedRequest as error:
        return _to_person(error)
    state = _state(source)
    try:
        parameters = checked(source)
        wanted = _parse(services, registered, redirect_uri, parameters)
        if request.method == "POST" and browser.find() is None:
            # A form on the client's site does not send our cookie along (SameSite=Lax), and a new
            # session would forget what this browser has answered. A GET brings the cookie.
            return redirect(f"{AUTHORIZE}?{urlencode(parameters)}", 303)
        if parameters.get("prompt") == "none":
            return _silently(services, wanted, browser)
    except OAuth2Error as error:
        return _to_client(services, redirect_uri, state, error.error, error.description or "")
    except RefusedRequest as refused:
        return _to_client(services, redirect_uri, state, refused.error, refused.description)
    flow_id = services.screening.begin(wanted, browser=browser.current())
    return redirect(f"/flow/{flow_id}", 303)


def _silently(
    services: Services, wanted: AuthorizationRequest, browser: BrowserSession
) -> ResponseReturnValue:
    """`prompt=none`: a code where nobody has to be asked anything, else no (OIDC Core, 3.1.2.1)."""
    if browser.find() is None and wanted.subject_id is None:
        raise RefusedRequest("login_required", "nobody has answered here yet")
    here = browser.current()
    flow_id = services.screening.begin(wanted, browser=here)
    view = services.screening.look(flow_id, browser=here)
    if view.standing is None:
        raise RefusedRequest("login_required", "nobody has answered here yet")
    if view.step is not NextStep.FINISH:
        raise RefusedRequest("interaction_required", "a page has to be shown")
    flow, code = services.screening.finish(flow_id, browser=here)
    return redirect(client_answer(flow, services.core.public_url, code=code), 303)


def _trusted(services: Services, source: MultiDict[str, str]) -> tuple[Registration, str]:
    """Client and redirect URI, each sent once and matching exactly (RFC 9700, 2.1)."""
    for name in ("client_id", "redirect_uri"):
        if len(source.getlist(name)) != 1 or not source.get(name):
            raise UntrustedRequest(f"{name} must be sent, once")
    client_id, registered = source["client_id"], None
    if is_plausible_id(client_id):
        with services.core.store.read() as r:
            registered = services.core.find_registration(r, client_id)
    if registered is None:
        raise UntrustedRequest("the app is not registered here", "invalid_client")
    redirect_uri = source["redirect_uri"]
    if not _is_registered(redirect_uri, registered.client):
        raise UntrustedRequest("redirect_uri is not one that the app registered")
    return registered, redirect_uri


def _is_registered(uri: str, client: Client) -> bool:
    if uri in client.redirect_uris:
        return True
    # RFC 8252, 7.3: a native app listens on whatever loopback port is free.
    loopback = _without_port(uri) if client.native else None
    return loopback is not None and loopback in map(_without_port, client.redirect_uris)


def _without_port(uri: str) -> tuple[str, ...] | None:
    """Everything but the port of an http address on loopback; None for any other address."""
    found = _LOOPBACK.fullmatch(uri)
    return found.groups("") if found else None


def _state(source: MultiDict[str, str]) -> str | None:
    """Echoed exactly or not at all."""
    values = source.getlist("state")
    fine = len(values) == 1 and 0 < len(values[0]) <= _LONGEST_STATE and values[0].isprintable()
    return values[0] if fine else None


def _parse(
    services: Services, registered: Registration, redirect_uri: str, parameters: dict[str, str]
) -> AuthorizationRequest:
    client = registered.client
    if "request" in parameters:
        raise RefusedRequest("request_not_supported", "request objects are not supported")
    if "request_uri" in parameters:
        raise RefusedRequest("request_uri_not_supported", "request_uri is not supported")
    if parameters.get("response_type") != "code":
        raise RefusedRequest("unsupported_response_type", "response_type must be code")
    if parameters.get("response_mode", "query") != "query":
        raise RefusedRequest("invalid_request", "response_mode must be query")
    if parameters.get("code_challenge_method") != "S256":
        raise RefusedRequest("invalid_request", "code_challenge_method must be S256")
    if not _CHALLENGE.match(parameters.get("code_challenge", "")):
        raise RefusedRequest("invalid_request", "code_challenge must be a base64url SHA-256")
    state = parameters.get("state")
    if state is not None and len(state) > _LONGEST_STATE:
        raise RefusedRequest("invalid_request", "state is too long")
    prompts = set(parameters.get("prompt", "").split())
    if prompts - _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise RefusedRequest("invalid_request", "prompt has a value that is not known")
    scope = granted_scope(parameters.get("scope"))
    strange = set(parameters.get("scope", "").split()) - set(CLIENT_SCOPES)
    if not scope or strange:
        raise RefusedRequest("invalid_scope", "scope has a value that is not offered")
    return AuthorizationRequest(
        client_id=client.id,
        redirect_uri=redirect_uri,
        state=state,
        nonce=parameters.get("nonce"),
        scope=scope,
        resources=_resources(client, parameters),
        code_challenge=parameters["code_challenge"],
        purposes=_purposes(registered, parameters),
        place=_place(services, client, parameters),
        locale=choose_language(
            parameters.get("ui_locales"), [tag for tag, _ in request.accept_languages]
        ),
        acr_values=_acr_values(parameters),
        subject_id=_hinted(services, client, parameters),
        ask_age="age" in prompts,
        ask_parent="consent" in prompts,
    )


def _resources(client: Client, parameters: dict[str, str]) -> tuple[str, ...]:
    """RFC 8707: one of the client's own resources; all of them when none is named."""
    wanted = parameters.get("resource")
    if wanted is None:
        return client.resources
    if wanted not in client.resources:
        raise RefusedRequest("invalid_target", "resource is not one of the app's")
    return (wanted,)


def _purposes(registered: Registration, parameters: dict[str, str]) -> tuple[str, ...]:
    """A subset of what the client declared, in the operator's order.

    All of it when none is named.
    """
    wanted = parameters.get("purposes", "").split()
    if set(wanted) - set(registered.client.purposes):
        raise RefusedRequest("invalid_request", "purposes has a value that the app did not declare")
    declared = registered.operator.purposes_of(registered.client)
    return tuple(p.id for p in declared if p.id in wanted)


def _place(services: Services, client: Client, parameters: dict[str, str]) -> str | None:
    wanted = parameters.get("age_region")
    if wanted is None:
        return client.regions[0] if len(client.regions) == 1 else None
    # Unknown or foreign: the strictest of the client's regions applies, rule by rule.
    chosen = services.core.rulebook.choose_place(wanted, client.regions)
    return chosen or (client.regions[0] if len(client.regions) == 1 else None)


def _acr_values(parameters: dict[str, str]) -> tuple[str, ...]:
    """A wish, in order (OIDC Core, 3.1.2.1); the token's `acr` says what was reached."""
    return tuple(v for v in parameters.get("acr_values", "").split() if v in set(AssuranceLevel))


def _hinted(services: Services, client: Client, parameters: dict[str, str]) -> SubjectId | None:
    """The subject of one of our own ID tokens for this client; one past its `exp` is fine."""
    hint = parameters.get("id_token_hint")
    if hint is None:
        return None
    claims = services.signer.verify(hint, typ="JWT")
    if claims is None or client.id not in claims.get("aud", []):
        raise RefusedRequest("invalid_request", "id_token_hint is not one of this app's")
    with services.core.store.read() as r:
        found = r.select(Subject, sub=str(claims.get("sub")), limit=1)
    if not found or found[0].client_id != client.id:
        # Erased. To go on as whoever used this browser last would mix two people up.
        raise RefusedRequest("invalid_request", "id_token_hint speaks of nobody any more")
    return found[0].id


def _to_person(error: UntrustedRequest) -> ResponseReturnValue:
    text = page(
        "oauth_error",
        error=error.error,
        description=error.description,
        request_id=g.get("request_id", ""),
    )
    return text, 400


def _to_client(
    services: Services, redirect_uri: str, state: str | None, error: str, description: str
) -> ResponseReturnValue:
    values = {"error": error, "error_description": description, "iss": services.core.public_url}
    if state is not None:
        values["state"] = state
    joint = "&" if "?" in redirect_uri else "?"
    return redirect(f"{redirect_uri}{joint}{urlencode(values)}", 303)
