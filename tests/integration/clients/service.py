"""A live service with a client of each kind, and a person who presses its buttons by HTTP alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from tests.support.processes import Processes, free_port

ROOT = Path(__file__).resolve().parents[3]
CALLBACK = "https://storybuddy.example/callback"
AUDIENCE = "https://api.storybuddy.example"
PUBLIC_CLIENT = """
[[client]]
id = "storybuddy-spa"
name = "StoryBuddy in the browser"
audience_type = "mixed_audience"
redirect_uris = ["https://storybuddy.example/callback"]
auth_method = "none"
resource = "https://api.storybuddy.example"
purposes = ["ai_chat", "disclose:researchlab"]
under_threshold = "parental_consent"
regions = ["US"]
age_methods = ["age_screen"]
vpc_methods = ["payment_transaction"]
"""


@dataclass(frozen=True, slots=True)
class LiveService:
    """`agegate serve` with the example operator of the documentation and a public client."""

    issuer: str
    secrets: dict[str, str]
    env: dict[str, str]
    processes: Processes

    @classmethod
    def start(cls, processes: Processes, folder: Path) -> LiveService:
        port = free_port()
        env = {
            "AGEGATE_ENV": "test",
            "AGEGATE_SANDBOX": "1",
            "AGEGATE_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "AGEGATE_DATABASE_URL": f"sqlite:///{folder / 'live.db'}",
        }
        file = folder / "operator.toml"
        example = (ROOT / "config" / "example-operator.toml").read_text(encoding="utf-8")
        file.write_text(example + PUBLIC_CLIENT, encoding="utf-8")
        processes.serve(env)
        applied = subprocess.run(
            [sys.executable, "-m", "agegate", "apply", str(file), "--json"],
            env={**env, "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(applied.stdout)
        parties = [*told["clients"], *told["services"]]
        secrets = {p["client_id"]: p["client_secret"] for p in parties if p.get("client_secret")}
        return cls(env["AGEGATE_PUBLIC_URL"], secrets, env, processes)

    def deliver(self) -> None:
        self.processes.worker(self.env, once=True)

    def letters(self) -> list[dict[str, Any]]:
        return list(requests.get(f"{self.issuer}/sandbox/letters", timeout=10).json())

    def set_outcome(self, method: str, outcome: str) -> None:
        answer = requests.post(
            f"{self.issuer}/sandbox/outcome",
            json={"method": method, "outcome": outcome},
            timeout=10,
        )
        assert answer.status_code == 204


class Person:
    """A browser without scripts: follows redirects until they leave the service."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._session = requests.Session()

    def visit(self, url: str) -> requests.Response:
        response = self._session.get(url, allow_redirects=False, timeout=10)
        return self._follow(response)

    def submit(self, page: requests.Response, **fields: str) -> requests.Response:
        found = re.search(r'name="csrf_token" value="(\w+)"', page.text)
        assert found is not None, page.text
        form = {"csrf_token": found[1], **fields}
        return self._follow(
            self._session.post(page.url, data=form, allow_redirects=False, timeout=10)
        )

    def adult(self, url: str) -> str:
        """Answers the age screen as an adult; returns the address that the client is called at."""
        return left_to(self.submit(self.visit(url), birth_month="5", birth_year="1985"))

    def child_with_parent(self, service: LiveService, url: str) -> str:
        """The whole story: a child asks, a parent pays and allows, the child comes back."""
        page = self.submit(self.visit(url), birth_month="5", birth_year="2018")
        waiting = self.submit(page, parent_email="pat@parents.example")
        service.deliver()
        links = service.letters()[-1]["links"]
        link = next(x for x in links if "/parent/request/" in x)
        parent = Person(service.issuer)
        service.set_outcome("payment_transaction", "pass")
        method = parent.submit(parent.visit(link), **{"continue": "1"})
        proof = parent.submit(method, method="payment_transaction")
        decision = parent.submit(proof, **{"continue": "1"})
        answers = dict.fromkeys(re.findall(r'name="(purpose\.[^"]+)"', decision.text), "grant")
        receipt = parent.submit(decision, submit="1", **answers)
        assert 'data-page="parent_receipt"' in receipt.text
        return left_to(self.visit(waiting.url))

    def _follow(self, response: requests.Response) -> requests.Response:
        while response.is_redirect:
            target = urljoin(response.url, response.headers["Location"])
            if not target.startswith(f"{self._issuer}/"):
                return response
            response = self._session.get(target, allow_redirects=False, timeout=10)
        return response


def left_to(response: requests.Response) -> str:
    """Where a redirect out of the service leads."""
    assert response.is_redirect, response.text
    return response.headers["Location"]
