"""The real application on a real database, and the people who use it through its pages."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from agegate.adapters.kinds import TABLES
from agegate.bootstrap import Services, open_services
from agegate.domain.grants import s256
from agegate.domain.records import Counter, SandboxSetting
from agegate.settings import Settings
from agegate.web import create_app

HOME = "http://127.0.0.1:8000"
CALLBACK = "https://storybuddy.example/callback"
VERIFIER = "v" * 43
CHILD = {"birth_month": "5", "birth_year": "2017"}
ADULT = {"birth_month": "5", "birth_year": "1980"}
PAT = "pat@example.org"
KIM = "kim@example.net"
BOTH = {"purpose.ai_chat": "grant", "purpose.disclose:researchlab": "grant", "submit": "1"}
CORE_ONLY = {**BOTH, "purpose.disclose:researchlab": "refuse"}
NEITHER = {"purpose.ai_chat": "refuse", "purpose.disclose:researchlab": "refuse", "submit": "1"}

STORYBUDDY = """
[operator]
id = "storybuddy"
legal_name = "StoryBuddy Inc."
address = "1 Main Street, Springfield, IL 62701, USA"
phone = "+1 217 555 0100"
email = "privacy@storybuddy.example"
establishment = "US"

[[recipient]]
id = "anthropic"
name = "Anthropic PBC"
category = "AI model provider"
role = "third_party"
integral = true
integral_reason = "Without the model there is no story to tell."
written_assurance = { date = 2026-03-01, scope = "confidentiality, security, no training" }

[[recipient]]
id = "researchlab"
name = "University Reading Lab"
category = "research"
role = "third_party"
aims = ["analytics"]
written_assurance = { date = 2026-03-01, scope = "confidentiality, security" }

[[purpose]]
id = "ai_chat"
kind = "collect_use"
title = "Make stories with an AI"
data = ["chat messages", "account identifier"]
recipients = ["anthropic"]
use = "Sent to the AI model to write the next part of the story."
retention_days = 30
core = true

[[purpose]]
id = "disclose:researchlab"
kind = "disclose"
recipient = "researchlab"
title = "Share reading progress with researchers"
data = ["reading level", "time spent"]
use = "To study how children learn to read."
retention_days = 365

[[service]]
id = "storybuddy-api"
name = "StoryBuddy API"
auth_method = "client_secret_basic"
resource = "https://api.storybuddy.example"
scopes = ["consents:read", "policies:read", "events:write"]

[[client]]
id = "storybuddy-web"
name = "StoryBuddy"
audience_type = "mixed_audience"
redirect_uris = ["https://storybuddy.example/callback"]
auth_method = "client_secret_basic"
resource = "https://api.storybuddy.example"
purposes = ["ai_chat", "disclose:researchlab"]
under_threshold = "parental_consent"
regions = ["US", "DE"]
age_methods = ["age_screen"]
vpc_methods = ["payment_transaction"]
branding = { name = "StoryBuddy", colour = "#3b5bdb" }

[[client]]
id = "storybuddy-forum"
name = "StoryBuddy for grown-ups"
audience_type = "general_audience"
redirect_uris = ["https://storybuddy.example/callback"]
auth_method = "client_secret_basic"
resource = "https://api.storybuddy.example"
purposes = ["ai_chat"]
under_threshold = "block"
regions = ["US"]
age_methods = ["age_screen"]
vpc_methods = ["payment_transaction"]
"""
QUIET = """
[operator]
id = "quiet"
legal_name = "Quiet Books Ltd"
address = "2 Side Street, Springfield, IL 62701, USA"
phone = "+1 217 555 0200"
email = "privacy@quiet.example"
establishment = "US"

[[purpose]]
id = "bookshelf"
kind = "collect_use"
title = "Keep a shelf of books"
data = ["titles of books"]
use = "Kept so that the shelf is there next time."
retention_days = 30
core = true

[[service]]
id = "quiet-api"
name = "Quiet API"
auth_method = "client_secret_basic"
resource = "https://api.quiet.example"
scopes = ["consents:read", "policies:read"]

[[client]]
id = "quiet-web"
name = "Quiet Books"
audience_type = "mixed_audience"
redirect_uris = ["https://quiet.example/callback"]
auth_method = "client_secret_basic"
resource = "https://api.quiet.example"
purposes = ["bookshelf"]
under_threshold = "parental_consent"
regions = ["US"]
age_methods = ["age_screen"]
vpc_methods = ["email_plus", "payment_transaction"]
"""


@dataclass(frozen=True)
class Answer:
    """One answer of the site, with what a person would look at."""

    raw: TestResponse

    @property
    def status(self) -> int:
        return self.raw.status_code

    @property
    def text(self) -> str:
        return self.raw.get_data(as_text=True)

    @property
    def page(self) -> str | None:
        """The page's name; None for a redirect or a document."""
        found = re.search(r'<main[^>]* data-page="(\w+)"', self.text)
        return found[1] if found else None

    @property
    def location(self) -> str:
        return str(self.raw.headers.get("Location", ""))

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf_token" value="(\w+)"', self.text)
        assert found, f"{self.status} {self.page} has no form"
        return found[1]

    @property
    def controls(self) -> set[str]:
        """Names of the controls a person may use, without the hidden token."""
        names = re.findall(r'<(?:input|button)[^>]* name="([^"]+)"', self.text)
        return set(names) - {"csrf_token"}


class Visitor:
    """One browser. Redirects are followed by hand, one at a time."""

    def __init__(self, http: FlaskClient) -> None:
        self.http = http

    def get(self, path: str, **options: Any) -> Answer:
        return Answer(self.http.get(path, base_url=HOME, **options))

    def head(self, path: str, **options: Any) -> Answer:
        return Answer(self.http.head(path, base_url=HOME, **options))

    def post(self, path: str, fields: Any = None, **options: Any) -> Answer:
        """A form as it is; no token is added."""
        return Answer(self.http.post(path, data=fields, base_url=HOME, **options))

    def send(self, path: str, fields: dict[str, Any] | None = None, **options: Any) -> Answer:
        """Open the page, fill in its form and send it."""
        return self.post(path, {"csrf_token": self.get(path).csrf, **(fields or {})}, **options)


class Site:
    """The application with both operators applied, and shortcuts through its pages."""

    def __init__(self, database_url: str, **env: str) -> None:
        self.settings = Settings.from_env(
            {
                "AGEGATE_ENV": "test",
                "AGEGATE_DATABASE_URL": database_url,
                "AGEGATE_SANDBOX": "1",
                "AGEGATE_PUBLIC_URL": HOME,
                "AGEGATE_CONFIRMATION_DELAY_S": "0",
                **env,
            }
        )
        self.services: Services = open_services(self.settings)
        self.secrets: dict[str, str] = {}
        for text in (STORYBUDDY, QUIET):
            operators = self.services.operators
            applied = operators.apply(operators.read(text))
            for issued in (*applied.clients, *applied.services):
                assert issued.client_secret is not None
                self.secrets[issued.client_id] = issued.client_secret.value
        self.app = create_app(self.services)

    def close(self) -> None:
        close = getattr(self.services.core.store, "close", None)
        if close is not None:
            close()

    def visitor(self) -> Visitor:
        return Visitor(self.app.test_client())

    # -- the child -------------------------------------------------------------------------------

    def authorize(self, child: Visitor, **parameters: str) -> str:
        """An app sends a child here; the address of the visit."""
        answer = child.get("/oauth/authorize", query_string=self.request(**parameters))
        assert answer.status == 303, answer.text
        assert answer.location.startswith("/flow/"), answer.location
        return answer.location

    def request(self, **parameters: str) -> dict[str, str]:
        asked = {
            "response_type": "code",
            "client_id": "storybuddy-web",
            "redirect_uri": CALLBACK,
            "state": secrets.token_hex(8),
            "scope": "openid age consent",
            "code_challenge": s256(VERIFIER),
            "code_challenge_method": "S256",
            "age_region": "US",
        }
        if parameters.get("client_id") == "quiet-web":
            asked["redirect_uri"] = "https://quiet.example/callback"
        return asked | parameters

    def child(self, to: str = PAT, **parameters: str) -> tuple[Visitor, str]:
        """A child who answered and gave an address: the browser and the visit."""
        child = self.visitor()
        flow = self.authorize(child, **parameters)
        assert child.send(flow, CHILD).status == 303
        assert child.send(flow, {"parent_email": to}).status == 303
        return child, flow

    # -- the letters -----------------------------------------------------------------------------

    def letters(self, to: str = PAT) -> list[dict[str, Any]]:
        """Deliver what is due; the letters to one address, oldest first."""
        self.services.outbox.deliver(limit=1000)
        assert self.services.sandbox is not None
        return [letter for letter in self.services.sandbox.letters() if letter["to"] == to]

    def link(self, to: str = PAT, *, door: str = "request") -> str:
        """The path of the newest link of a kind in a mailbox."""
        links = [url for letter in self.letters(to) for url in letter["links"]]
        found = [url for url in links if f"/parent/{door}/" in url]
        assert found, f"no {door} link for {to}"
        return str(urlsplit(found[-1]).path)

    # -- the parent ------------------------------------------------------------------------------

    def parent_at(self, step: str, to: str = PAT) -> tuple[Visitor, str]:
        """A parent who has got as far as this page of the newest request."""
        parent, link = self.visitor(), self.link(to)
        assert parent.get(link).page == "parent_notice"
        if step == "parent_notice":
            return parent, link
        assert parent.send(link, {"continue": "1"}).status == 303
        if step == "parent_method":
            return parent, link
        assert self.services.sandbox is not None
        if step == "parent_decision":
            self.services.sandbox.set_outcome("payment_transaction", "pass")
        assert parent.send(link, {"method": "payment_transaction"}).status == 303
        if step == "parent_proof":
            return parent, link
        assert parent.send(link, {"continue": "1"}).status == 303
        assert parent.get(link).page == step
        return parent, link

    def grant(
        self, to: str = PAT, answers: dict[str, str] | None = None, **parameters: str
    ) -> tuple[Visitor, str, Visitor, str]:
        """The whole way to a decision: child, visit, parent, link."""
        child, flow = self.child(to, **parameters)
        parent, link = self.parent_at("parent_decision", to)
        assert parent.send(link, answers or BOTH).status == 303
        return child, flow, parent, link

    def sign_in(self, to: str = PAT, parent: Visitor | None = None) -> Visitor:
        parent = parent or self.visitor()
        assert parent.send("/parent/", {"email": to}).status == 303
        assert parent.send(self.link(to, door="sign-in"), {"continue": "1"}).status == 303
        return parent

    # -- the app ---------------------------------------------------------------------------------

    def tokens(self, child: Visitor, flow: str) -> dict[str, Any]:
        """Finish the visit and redeem the code, as the app does."""
        answer = child.get(flow)
        assert answer.status == 303, answer.page
        code = parse_qs(urlsplit(answer.location).query)["code"][0]
        return self.redeem(code)

    def redeem(self, code: str) -> dict[str, Any]:
        answer = self.visitor().post(
            "/oauth/token",
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": CALLBACK,
                "code_verifier": VERIFIER,
            },
            auth=("storybuddy-web", self.secrets["storybuddy-web"]),
        )
        assert answer.status == 200, answer.text
        body: dict[str, Any] = answer.raw.get_json()
        return body

    def introspect(self, token: str, *, service: str = "storybuddy-api") -> dict[str, Any]:
        answer = self.visitor().post(
            "/oauth/introspect", {"token": token}, auth=(service, self.secrets[service])
        )
        body: dict[str, Any] = answer.raw.get_json()
        return body

    # -- what is kept ----------------------------------------------------------------------------

    def rows(self, *, counters: bool = False) -> dict[str, list[Any]]:
        """Everything stored, table by table, apart from counters of tries and the pretend world."""
        skipped = {SandboxSetting} if counters else {SandboxSetting, Counter}
        with self.services.core.store.read() as r:
            return {name: r.select(kind) for kind, name in TABLES.items() if kind not in skipped}
