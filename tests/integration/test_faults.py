"""The web is killed while a parent decides: what was told is recorded, and recorded once."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from agegate.bootstrap import open_services
from agegate.demo.oauth import AgeClient, Registered, SignInError, Tokens
from agegate.domain.ledger import Fact, FactKind
from agegate.settings import Settings
from tests.integration.story import (
    CALLBACK,
    Browser,
    Form,
    House,
    decision_form,
    sandbox_env,
    tokens_of,
)
from tests.support.processes import Processes

OPERATOR_FILE = Path(__file__).parents[2] / "config" / "demo-operator.toml"


def _house(processes: Processes, url: str, folder: Path) -> House:
    env = sandbox_env(url)
    services = open_services(Settings.from_env(env))
    text = OPERATOR_FILE.read_text("utf-8").replace("http://127.0.0.1:8001/callback", CALLBACK)
    applied = services.operators.apply(services.operators.read(text))
    told = {
        str(issued.client_id): issued.client_secret.value
        for issued in (*applied.clients, *applied.services)
        if issued.client_secret is not None
    }
    services.core.store.close()  # type: ignore[attr-defined]  # the SQL store alone has connections
    return House(
        processes=processes,
        env=env,
        registered=Registered(
            issuer=env["AGEGATE_PUBLIC_URL"],
            redirect_uri=CALLBACK,
            client_id="storybuddy-web",
            client_secret=told["storybuddy-web"],
            service_id="storybuddy-api",
            service_secret=told["storybuddy-api"],
        ),
    )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> Iterator[House]:
    name = {"sqlite": "migrated_sqlite_url", "postgres": "migrated_postgres_url"}[request.param]
    house = _house(processes, request.getfixturevalue(name), tmp_path)
    house.serve()
    house.worker = processes.worker(house.env)
    yield house
    house.close()


DELAYS_S = (0.0, 0.004, 0.012, 0.03, 0.3)
"""From before the request is read to after it is answered."""


@dataclass(slots=True)
class Family:
    """A child with its client's tokens, and a parent in front of the decision."""

    client: AgeClient
    child: Browser
    parent: Browser
    link: str
    address: str
    tokens: Tokens


def _family(house: House, number: int) -> Family:
    client = house.client()
    child, parent = Browser(), Browser()
    address = f"parent{number}@parents.example"
    leaving = client.leave()
    house.child_asks(child, address, start=leaving.url)
    tokens = tokens_of(client, child, leaving)
    assert tokens.claims["consent"]["state"] == "pending"
    link = house.parent_comes_to_decide(parent, address)
    return Family(client, child, parent, link, address, tokens)


def _facts(house: House) -> list[Fact]:
    services = open_services(Settings.from_env(house.env))
    services.ledger.integrate()
    with services.core.store.read() as r:
        facts = r.select(Fact)
    assert services.ledger.verify().ok
    services.core.store.close()  # type: ignore[attr-defined]  # the SQL store alone has connections
    return facts


def _decide(family: Family, filled: tuple[Form, dict[str, str]], heard: list[str]) -> None:
    form, chosen = filled
    try:
        heard.append(family.parent.send(form, "submit", **chosen).name)
    except requests.RequestException:
        heard.append("")


def test_a_web_process_killed_while_a_parent_decides(house: House) -> None:
    families = [_family(house, number) for number in range(5)]
    forms = [decision_form(family.parent) for family in families]
    told: list[bool] = []
    for family, filled, delay in zip(families, forms, DELAYS_S, strict=True):
        heard: list[str] = []
        click = threading.Thread(target=_decide, args=(family, filled, heard))
        click.start()
        time.sleep(delay)
        assert house.server is not None
        house.server.kill()
        click.join(timeout=30)
        told.append(heard == ["parent_receipt"])
        house.serve()

    before = Counter(f.record for f in _facts(house) if f.kind is FactKind.CONSENT_GRANTED)
    assert set(before.values()) <= {1}
    for family, was_told, (form, chosen) in zip(families, told, forms, strict=True):
        # What the parent sees now is what is recorded; who was told so finds it so.
        page = family.parent.go(family.link)
        assert page.name in {"parent_receipt", "parent_decision"}, page.text
        if was_told:
            assert page.name == "parent_receipt"
        if page.name == "parent_decision":
            assert family.parent.send(form, "submit", **chosen).name == "parent_receipt"
        # A second press of the old form, as an impatient thumb would.
        family.parent.send(form, "submit", **chosen)

    after = Counter(f.record for f in _facts(house) if f.kind is FactKind.CONSENT_GRANTED)
    assert len(after) == len(families)
    assert set(after.values()) == {1}
    for family in families:
        house.wait_for_letter(family.address, "receipt")
    time.sleep(1)
    receipts = Counter(letter["to"] for letter in house.letters() if letter["kind"] == "receipt")
    assert set(receipts.values()) == {1}


def test_two_clicks_of_one_parent_at_once_grant_once(house: House) -> None:
    family = _family(house, 1)
    form, chosen = decision_form(family.parent)
    twins = [Browser() for _ in range(6)]
    pages: list[str] = []
    barrier = threading.Barrier(len(twins))

    def click(browser: Browser) -> None:
        barrier.wait()
        pages.append(browser.send(form, "submit", **chosen).name)

    threads = [threading.Thread(target=click, args=(twin,)) for twin in twins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(pages) == len(twins)
    assert "parent_receipt" in pages
    granted = [f for f in _facts(house) if f.kind is FactKind.CONSENT_GRANTED]
    assert len(granted) == 1


def test_a_granted_consent_survives_every_process(house: House) -> None:
    family = _family(house, 1)
    form, chosen = decision_form(family.parent)
    assert family.parent.send(form, "submit", **chosen).name == "parent_receipt"
    assert house.server is not None
    house.server.kill()
    house.serve()
    fresh = family.client.refresh(family.tokens)
    assert fresh.claims["consent"]["state"] == "granted"
    assert fresh.claims["consent"]["purposes"] == ["ai_chat"]
    assert family.client.introspect(fresh.access)["consent"]["state"] == "granted"
    assert family.client.decide(fresh.claims["sub"], "ai_chat")[1]["decision"] is True
    refused = family.client.decide(fresh.claims["sub"], "disclose:researchlab")[1]
    assert refused["decision"] is False, json.dumps(refused)


def test_erasing_by_hand_ends_everything_and_tells_the_parent(house: House) -> None:
    family = _family(house, 1)
    form, chosen = decision_form(family.parent)
    family.parent.send(form, "submit", **chosen)
    fresh = family.client.refresh(family.tokens)
    sub = fresh.claims["sub"]

    elsewhere = house.processes.agegate(
        "erase", "--subject", sub, "--client", "another-app", env=house.env
    )
    assert elsewhere.wait() == 1
    assert family.client.introspect(fresh.access)["active"] is True

    erased = house.processes.agegate("erase", "--subject", sub, "--json", env=house.env)
    assert erased.wait() == 0, erased.output
    assert json.loads(erased.output) == {"erased": 1}
    assert family.client.introspect(fresh.access) == {"active": False}
    assert family.client.decide(sub, "ai_chat")[1]["decision"] is False
    with pytest.raises(SignInError):
        family.client.refresh(fresh)
    house.wait_for_letter(family.address, "erasure")

    again = house.processes.agegate("erase", "--subject", sub, env=house.env)
    assert again.wait() == 1
    assert "no subject" in again.output
