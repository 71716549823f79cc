"""People at their browsers, over real HTTP: they read pages and press buttons, nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

from agegate.demo.oauth import AgeClient, Registered, Tokens
from tests.support.processes import Process, Processes, free_port

TIMEOUT_S = 10
CALLBACK = "http://127.0.0.1:1/callback"
"""Nobody listens there: our browsers stop before they go."""


@dataclass(slots=True)
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class Page(HTMLParser):
    """What a page offers: its name, its forms, its links."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__()
        self.url = url
        self.text = text
        self.name = ""
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "main":
            self.name = given.get("data-page", "")
        elif tag == "a" and "href" in given:
            self.links.append(urljoin(self.url, given["href"]))
        elif tag == "form":
            self.forms.append(Form(urljoin(self.url, given.get("action", ""))))
            self._inside = True
        elif self._inside and tag == "button":
            self.forms[-1].buttons.append((given.get("name", ""), given.get("value", "")))
        elif self._inside and tag in {"input", "textarea", "select"} and "name" in given:
            self.forms[-1].names.add(given["name"])
            if given.get("type") == "hidden":
                self.forms[-1].fields[given["name"]] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

    def form_with(self, *names: str) -> Form:
        """The form that has all these fields or buttons."""
        for form in self.forms:
            if set(names) <= form.names | {name for name, _ in form.buttons}:
                return form
        raise AssertionError(f"no form with {names} on {self.name} ({self.url})\n{self.text}")


class Browser:
    """One person's browser. It follows redirects, but not out to `stop_at`."""

    def __init__(self, stop_at: str = CALLBACK) -> None:
        self._cookies = requests.cookies.RequestsCookieJar()
        self._stop_at = stop_at
        self.page = Page("", "")
        self.landed = ""
        """The address at which it stopped."""

    def go(self, url: str) -> Page:
        return self._follow("GET", url, {})

    def ask(self, url: str) -> Any:
        """What a script of the page would get."""
        return self._send("GET", url, {}).json()

    def press(self, *buttons: str, value: str | None = None, **fields: str) -> Page:
        """Fill in `fields` and press a button, or the one without a name."""
        return self.send(self.page.form_with(*fields, *buttons), *buttons, value=value, **fields)

    def send(self, form: Form, *buttons: str, value: str | None = None, **fields: str) -> Page:
        pressed = {
            name: value if value is not None else next(v for n, v in form.buttons if n == name)
            for name in buttons
        }
        return self._follow("POST", form.action, form.fields | fields | pressed)

    def _follow(self, method: str, url: str, data: dict[str, str]) -> Page:
        for _ in range(10):
            if url.startswith(self._stop_at):
                self.landed = url
                return self.page
            response = self._send(method, url, data)
            if not response.is_redirect:
                self.page = Page(url, response.text)
                return self.page
            url = urljoin(url, response.headers["Location"])
            method, data = "GET", {}
        raise AssertionError("too many redirects")

    def _send(self, method: str, url: str, data: dict[str, str]) -> requests.Response:
        with requests.Session() as http:  # closed at once: a server may be killed any moment
            http.trust_env = False
            http.cookies = self._cookies
            return http.request(method, url, data=data, allow_redirects=False, timeout=TIMEOUT_S)


@dataclass(slots=True)
class House:
    """A served sandbox with StoryBuddy in it, and its people."""

    processes: Processes
    env: dict[str, str]
    registered: Registered
    server: Process | None = None
    worker: Process | None = None
    _clients: list[AgeClient] = field(default_factory=list)

    def client(self) -> AgeClient:
        """StoryBuddy's own OAuth client."""
        self._clients.append(AgeClient(self.registered))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()

    @property
    def url(self) -> str:
        return self.env["AGEGATE_PUBLIC_URL"]

    def serve(self) -> Process:
        self.server = self.processes.serve(self.env)
        return self.server

    # -- sandbox -----------------------------------------------------------------------------------

    def letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _json("GET", f"{self.url}/sandbox/letters")
        return found

    def wait_for_letter(self, to: str, kind: str, *, seconds: float = 20.0) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for letter in self.letters():
                if letter["to"] == to and letter["kind"] == kind:
                    return letter
            time.sleep(0.1)
        output = self.worker.output if self.worker else "no worker"
        raise AssertionError(
            f"no {kind} in {seconds} s; there are {len(self.letters())} letters\n{output}"
        )

    # -- people ------------------------------------------------------------------------------------

    def child_asks(self, browser: Browser, parent: str, *, start: str) -> None:
        """Screened as a child, and a parent's address given; goes on in limited mode."""
        page = browser.go(start) if start else browser.page
        assert page.name == "age_screen", (page.url, page.text)
        browser.press(birth_month="5", birth_year="2017")
        assert browser.page.name == "parent_contact", browser.page.text
        browser.press(parent_email=parent)
        assert browser.page.name == "consent_pending", browser.page.text
        browser.press("continue_limited")

    def parent_comes_to_decide(self, browser: Browser, parent: str) -> str:
        """From the letter to the decision page; returns the link."""
        return parent_comes_to_decide(browser, self.wait_for_letter(parent, "direct_notice"))


def parent_comes_to_decide(browser: Browser, letter: dict[str, Any]) -> str:
    link = next(url for url in letter["links"] if "/parent/request/" in url)
    assert browser.go(link).name == "parent_notice"
    assert browser.press("continue").name == "parent_method"
    method = next(form for form in browser.page.forms if "method" in form.names)
    assert browser.send(method, method="payment_transaction").name == "parent_proof"
    assert browser.press("continue").name == "sandbox_payment"
    browser.press("outcome", value="pass")
    if browser.page.name == "parent_proof":
        browser.press("continue")
    assert browser.page.name == "parent_decision", browser.page.text
    return str(link)


def decision_form(browser: Browser) -> tuple[Form, dict[str, str]]:
    """The form of the decision page, and the answers of a parent who allows the app alone."""
    form = browser.page.form_with("purpose.ai_chat", "submit")
    answers = {name: "refuse" for name in form.names if name.startswith("purpose.")}
    return form, answers | {"purpose.ai_chat": "grant"}


def tokens_of(client: AgeClient, browser: Browser, leaving: Any) -> Tokens:
    """What the client gets for the address at which the browser stopped."""
    return client.return_(dict(parse_qsl(urlsplit(browser.landed).query)), leaving)


def sandbox_env(database_url: str, **more: str) -> dict[str, str]:
    return {
        "AGEGATE_ENV": "test",
        "AGEGATE_SANDBOX": "1",
        "AGEGATE_DATABASE_URL": database_url,
        "AGEGATE_PUBLIC_URL": f"http://127.0.0.1:{free_port()}",
        "AGEGATE_MAIL_FROM": "agegate <consent@age.example>",
        **more,
    }


def _json(method: str, url: str, **options: Any) -> Any:
    response = requests.request(method, url, timeout=TIMEOUT_S, **options)
    assert response.ok, (url, response.status_code, response.text)
    return response.json()
