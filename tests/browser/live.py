"""A running service with its worker, an app to come back to, and the people's ways through it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Page

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""The code challenge of RFC 7636, appendix B: these stories end before a token is asked for."""


@dataclass
class Live:
    """Where the service and the app are, and what the letter box holds."""

    home: str
    app: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def new_parent(self) -> str:
        return f"parent{next(self._numbers)}@example.org"

    def authorize(self, client: str = "storybuddy-web", **parameters: str) -> str:
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": f"{self.app}/callback",
            "state": "s",
            "scope": "openid age consent",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "age_region": "US",
        }
        return f"{self.home}/oauth/authorize?{urlencode(asked | parameters)}"

    def letters(self, to: str) -> list[dict[str, Any]]:
        with self._ask("/sandbox/letters") as answer:
            return [letter for letter in json.load(answer) if letter["to"] == to]

    def link(self, to: str, *, door: str = "request", after: int = 0) -> str:
        """Wait for the worker to bring a letter with such a link; the newest one's."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            found = [
                url
                for letter in self.letters(to)[after:]
                for url in letter["links"]
                if f"/parent/{door}/" in url
            ]
            if found:
                return str(found[-1])
            time.sleep(0.1)
        raise AssertionError(f"no {door} letter for {to}")

    def choose_outcome(self, outcome: str) -> None:
        body = json.dumps({"method": "payment_transaction", "outcome": outcome}).encode()
        self._ask("/sandbox/outcome", body).close()

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        url, headers = f"{self.home}{path}", {"Content-Type": "application/json"}
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - loopback
        return urllib.request.urlopen(request, timeout=10)  # noqa: S310 - loopback


class Pages:
    """What every person does with a page."""

    def __init__(self, page: Page, live: Live) -> None:
        self.page, self.live = page, live
        self.presses = 0

    @property
    def name(self) -> str:
        return self.page.locator("main").get_attribute("data-page") or ""

    def is_at(self, name: str) -> None:
        self.page.locator(f'main[data-page="{name}"]').wait_for()

    def press(self, selector: str) -> None:
        self.presses += 1
        self.page.click(selector)


class ChildPages(Pages):
    def comes_from_the_app(self, **parameters: str) -> ChildPages:
        self.page.goto(self.live.authorize(**parameters))
        self.is_at("age_screen")
        return self

    def answers(self, month: str, year: str) -> ChildPages:
        self.page.fill('[name="birth_month"]', month)
        self.page.fill('[name="birth_year"]', year)
        self.press("main form button")
        return self

    def gives_address(self, address: str) -> ChildPages:
        self.is_at("parent_contact")
        self.page.fill('[name="parent_email"]', address)
        self.press("main form button")
        self.is_at("consent_pending")
        return self


class ParentPages(Pages):
    def __init__(self, page: Page, live: Live, address: str) -> None:
        super().__init__(page, live)
        self.address = address

    def open_letter(self, *, door: str = "request", after: int = 0) -> ParentPages:
        self.page.goto(self.live.link(self.address, door=door, after=after))
        return self

    def reads_on(self) -> ParentPages:
        self.is_at("parent_notice")
        self.press('[name="continue"]')
        self.is_at("parent_method")
        return self

    def pays(self) -> ParentPages:
        """By the pretend company's own page, where a person chooses how it ends."""
        self.page.check('[name="method"][value="payment_transaction"]')
        self.press("main form button:not([name=change_method])")
        self.is_at("parent_proof")
        self.press('[name="continue"]')
        self.is_at("sandbox_payment")
        self.press('[name="outcome"][value="pass"]')
        self.is_at("parent_proof")
        self.press('[name="continue"]')
        self.is_at("parent_decision")
        return self

    def decides(self, **answers: str) -> ParentPages:
        """`ai_chat="grant"` and so on; a colon in a purpose is written as `__`."""
        for purpose, answer in answers.items():
            name = f"purpose.{purpose.replace('__', ':')}"
            self.presses += 1
            self.page.check(f'[name="{name}"][value="{answer}"]')
        self.press('[name="submit"]')
        return self

    def confirm(self) -> ParentPages:
        self.is_at("parent_confirm")
        self.press('[name="confirm"]')
        self.is_at("parent_receipt")
        return self

    def signs_in(self) -> ParentPages:
        before = len(self.live.letters(self.address))
        self.page.goto(f"{self.live.home}/parent/")
        self.is_at("parent_sign_in")
        self.page.fill('[name="email"]', self.address)
        self.press("main form button")
        self.open_letter(door="sign-in", after=before)
        self.is_at("parent_opened")
        self.press('[name="continue"]')
        self.is_at("parent_portal")
        return self
