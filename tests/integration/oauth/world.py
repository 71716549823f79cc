"""The whole service in this process, browsers that press its buttons, and clients that ask it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from agegate.adapters.db.store import SqlStore
from agegate.bootstrap import Services, open_services
from agegate.settings import Settings
from agegate.web import create_app
from tests.integration.oauth.operators import AI_CHAT, CALLBACK, PAINTPALS, STORYBUDDY

ISSUER = "http://127.0.0.1:8000"
VERIFIER = "a-verifier-that-a-client-made-at-random-0123456789"
PARENT = "pat@parents.example"


def s256(verifier: str) -> str:
    """RFC 7636, 4.2."""
    hashed = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def settings_for(database_url: str, **env: str) -> Settings:
    return Settings.from_env(
        {
            "AGEGATE_ENV": "test",
            "AGEGATE_SANDBOX": "1",
            "AGEGATE_PUBLIC_URL": ISSUER,
            "AGEGATE_DATABASE_URL": database_url,
            **env,
        }
    )


def apply_operators(services: Services) -> dict[str, str]:
    """Every secret by client id."""
    told: dict[str, str] = {}
    for text in (STORYBUDDY, PAINTPALS):
        applied = services.operators.apply(services.operators.read(text))
        for issued in (*applied.clients, *applied.services):
            if issued.client_secret is not None:
                told[issued.client_id] = issued.client_secret.value
    return told


@dataclass(frozen=True, slots=True)
class Answer:
    """Where an authorization ended: the parameters of the redirect back to the client."""

    location: str

    @property
    def parameters(self) -> dict[str, str]:
        parsed = parse_qs(urlsplit(self.location).query, keep_blank_values=True)
        assert all(len(values) == 1 for values in parsed.values()), parsed
        return {name: values[0] for name, values in parsed.items()}

    @property
    def code(self) -> str:
        return self.parameters["code"]


@dataclass(repr=False)
class Browser:
    """One person's browser: follows nobody, keeps cookies, presses buttons."""

    http: FlaskClient
    world: World

    def authorize(self, **overrides: str | None) -> TestResponse:
        return self.http.get(f"/oauth/authorize?{urlencode(self.world.request(**overrides))}")

    def begin(self, **overrides: str | None) -> str:
        """The path of the visit that an authorization request leads to."""
        response = self.authorize(**overrides)
        assert response.status_code == 303, response.text
        path = response.headers["Location"]
        assert path.startswith("/flow/"), path
        return path

    def submit(self, path: str, **fields: str) -> TestResponse:
        """Send the form at a path, with the token that its page holds."""
        shown = self.http.get(path)
        found = re.search(r'name="csrf_token" value="(\w+)"', shown.text)
        assert found is not None, (shown.status, shown.text)
        return self.http.post(path, data={"csrf_token": found[1], **fields})

    def say_age(self, path: str, *, year: int, month: int = 5) -> TestResponse:
        return self.submit(path, birth_month=str(month), birth_year=str(year))

    def finish(self, path: str) -> Answer:
        response = self.http.get(path)
        assert response.status_code == 303, response.text
        return Answer(response.headers["Location"])

    def as_adult(self, **overrides: str | None) -> Answer:
        path = self.begin(**overrides)
        self.say_age(path, year=1985)
        return self.finish(path)

    def as_child(self, **overrides: str | None) -> str:
        """The path of a visit whose child has given a parent's address and waits."""
        path = self.begin(**overrides)
        self.say_age(path, year=self.world.now.year - 9)
        self.submit(path, parent_email=PARENT)
        return path

    def continue_limited(self, path: str) -> Answer:
        response = self.submit(path, continue_limited="1")
        assert response.status_code == 303, response.text
        return Answer(response.headers["Location"])


@dataclass(repr=False)
class World:
    """The service and everyone who talks to it."""

    services: Services
    app: Flask
    secrets: dict[str, str]

    @classmethod
    def open(cls, settings: Settings, secrets: dict[str, str] | None = None) -> World:
        services = open_services(settings)
        known = apply_operators(services) if secrets is None else secrets
        return cls(services, create_app(services), known)

    def close(self) -> None:
        store = self.services.core.store
        assert isinstance(store, SqlStore)
        store.close()

    # -- time ------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.services.core.now()

    def move(self, delta: timedelta) -> None:
        assert self.services.sandbox is not None
        self.services.sandbox.set_clock(self.now + delta)

    # -- people ----------------------------------------------------------------------------------

    def browser(self) -> Browser:
        return Browser(self.app.test_client(), self)

    def request(self, **overrides: str | None) -> dict[str, str]:
        """A good authorization request of `web`; an override of None leaves a parameter out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": "web",
            "redirect_uri": CALLBACK,
            "scope": "openid age consent offline_access",
            "state": "s t&te=ü",
            "nonce": "n-0S6_WzA2Mj",
            "code_challenge": s256(VERIFIER),
            "code_challenge_method": "S256",
            **overrides,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def parent_decides(self, *, grant: tuple[str, ...] = (AI_CHAT,)) -> str:
        """A parent opens the newest letter, pays, and answers every purpose; returns the path."""
        sandbox = self.services.sandbox
        assert sandbox is not None
        self.services.outbox.deliver()
        links = [link for letter in sandbox.letters() for link in letter["links"]]
        path = str(urlsplit([x for x in links if "/parent/request/" in x][-1]).path)
        parent = self.browser()
        parent.submit(path, **{"continue": "1"})
        sandbox.set_outcome("payment_transaction", "pass")
        parent.submit(path, method="payment_transaction")
        parent.submit(path, **{"continue": "1"})
        asked = set(re.findall(r'name="purpose\.([^"]+)"', parent.http.get(path).text))
        answers = {f"purpose.{p}": "grant" if p in grant else "refuse" for p in asked}
        done = parent.submit(path, submit="1", **answers)
        assert done.status_code == 303, done.text
        return path

    def parent_signs_in(self) -> Browser:
        """A parent's browser, signed in at the portal."""
        sandbox = self.services.sandbox
        assert sandbox is not None
        parent = self.browser()
        parent.submit("/parent/", email=PARENT)
        self.services.outbox.deliver()
        letter = sandbox.letters()[-1]
        assert letter["kind"] == "sign_in"
        parent.submit(urlsplit(letter["links"][0]).path, **{"continue": "1"})
        return parent

    def parent_ends(self, what: str) -> None:
        """`withdraw` or `erase`, by its button and its second page."""
        parent = self.parent_signs_in()
        found = re.search(rf'name="{what}" value="([^"]+)"', parent.http.get("/parent/").text)
        assert found is not None
        chosen = parent.submit("/parent/", **{what: found[1]})
        done = parent.submit(urlsplit(chosen.headers["Location"]).path, confirm="1")
        assert done.status_code in {200, 303}, done.text

    # -- clients ---------------------------------------------------------------------------------

    def post(
        self,
        path: str,
        form: Any = None,
        *,
        basic: str | tuple[str, str] | None = None,
        **more: Any,
    ) -> TestResponse:
        """A back-channel request without cookies. `basic` names a client, or is id and secret."""
        auth = (basic, self.secrets[basic]) if isinstance(basic, str) else basic
        return self.app.test_client().post(path, data=form, auth=auth, **more)

    def redeem(self, code: str, *, client: str = "web", **overrides: str | None) -> TestResponse:
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **overrides,
        }
        return self._as(client, "/oauth/token", fields)

    def refresh(self, token: str, *, client: str = "web", **overrides: str | None) -> TestResponse:
        fields = {"grant_type": "refresh_token", "refresh_token": token, **overrides}
        return self._as(client, "/oauth/token", fields)

    def introspect(self, token: str, *, by: str = "api", **more: str) -> dict[str, Any]:
        response = self._as(by, "/oauth/introspect", {"token": token, **more})
        assert response.status_code == 200, response.text
        return dict(response.get_json())

    def revoke(self, token: str, *, client: str = "web", **more: str) -> TestResponse:
        return self._as(client, "/oauth/revoke", {"token": token, **more})

    def userinfo(self, token: str) -> TestResponse:
        return self.app.test_client().get(
            "/oauth/userinfo", headers={"Authorization": f"Bearer {token}"}
        )

    def tokens(self, answer: Answer, **how: Any) -> dict[str, Any]:
        response = self.redeem(answer.code, **how)
        assert response.status_code == 200, response.text
        return dict(response.get_json())

    def status_bit(self, access_token: str) -> int:
        place = claims_of(access_token)["status"]["status_list"]
        path = urlsplit(place["uri"]).path
        listed = claims_of(self.app.test_client().get(path).text)["status_list"]
        return bit(listed["lst"], place["idx"])

    def _as(self, client: str, path: str, fields: dict[str, str | None]) -> TestResponse:
        form = {name: value for name, value in fields.items() if value is not None}
        if client in {"spa", "native"}:
            return self.post(path, {"client_id": client, **form})
        if client in {"post", "art-api"}:
            secret = self.secrets[client]
            return self.post(path, {"client_id": client, "client_secret": secret, **form})
        return self.post(path, form, basic=client)


def bit(packed: str, index: int) -> int:
    """One bit of a status list (Token Status List, 4.1)."""
    import zlib

    raw = zlib.decompress(base64.urlsafe_b64decode(packed + "=="))
    return raw[index // 8] >> (index % 8) & 1


def part_of(token: str, number: int) -> dict[str, Any]:
    part = token.split(".")[number]
    return dict(json.loads(base64.urlsafe_b64decode(part + "==")))


def header_of(token: str) -> dict[str, Any]:
    return part_of(token, 0)


def claims_of(token: str) -> dict[str, Any]:
    return part_of(token, 1)


def b64(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def a_verifier() -> str:
    return secrets.token_urlsafe(48)
