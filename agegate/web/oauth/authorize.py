"""The authorization request: held against the registration before anything is kept or shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode, urlsplit

from authlib.oauth2 import OAuth2Error
from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from agegate.bootstrap import Services
from agegate.domain.ids import Digest, SubjectId
from agegate.domain.operators import Client
from agegate.domain.people import Subject
from agegate.services.core import Registration
from agegate.services.screening import AuthorizationRequest
from agegate.services.tokens import granted_scope
from agegate.web.oauth.front import checked
from agegate.web.rendering import page
from agegate.web.words import choose_language
from agegate.wire.scopes import CLIENT_SCOPES
from agegate.wire.tiers import AssuranceLevel

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_LONGEST_STATE: Final = 2048
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


def authorize(services: Services, browser: Digest) -> ResponseReturnValue:
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
    except OAuth2Error as error:
        return _to_client(services, redirect_uri, state, error.error, error.description or "")
    except RefusedRequest as refused:
        return _to_client(services, redirect_uri, state, refused.error, refused.description)
    flow_id = services.screening.begin(wanted, browser=browser)
    return redirect(f"/flow/{flow_id}", 303)


def _trusted(services: Services, source: MultiDict[str, str]) -> tuple[Registration, str]:
    """Client and redirect URI, each sent once and matching exactly (RFC 9700, 2.1)."""
    for name in ("client_id", "redirect_uri"):
        if len(source.getlist(name)) != 1 or not source.get(name):
            raise UntrustedRequest(f"{name} must be sent, once")
    with services.core.store.read() as r:
        registered = services.core.find_registration(r, source["client_id"][:128])
    if registered is None:
        raise UntrustedRequest("the app is not registered here", "invalid_client")
    redirect_uri = source["redirect_uri"]
    if not _is_registered(redirect_uri, registered.client):
        raise UntrustedRequest("redirect_uri is not one that the app registered")
    return registered, redirect_uri


def _is_registered(uri: str, client: Client) -> bool:
    if uri in client.redirect_uris:
        return True
    if not client.native:
        return False
    # RFC 8252, 7.3: a native app listens on whatever loopback port is free.
    return any(_without_port(uri) == _without_port(known) for known in client.redirect_uris)


def _without_port(uri: str) -> str | None:
    parts = urlsplit(uri)
    if parts.scheme != "http" or parts.hostname not in {"127.0.0.1", "::1"} or parts.fragment:
        return None
    return f"{parts.hostname}|{parts.path}|{parts.query}|{parts.username}"


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
    if "none" in prompts:
        # Nobody can be asked without a page, and a page is what `none` forbids (OIDC Core,
        # 3.1.2.6).
        raise RefusedRequest("interaction_required", "a page has to be shown")
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
    wanted = tuple(parameters.get("acr_values", "").split())
    if set(wanted) - set(AssuranceLevel):
        raise RefusedRequest("invalid_request", "acr_values has a value that is not known")
    return wanted


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
    return found[0].id if found and found[0].client_id == client.id else None


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
