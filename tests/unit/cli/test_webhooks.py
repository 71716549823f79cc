from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from agegate.cli.webhooks import register
from agegate.domain.people import SealedText
from agegate.domain.records import Credential, EventType
from agegate.services.operators import IssuedSecrets
from agegate.services.webhooks import WebhookService
from tests.factories import a_client
from tests.support.webhook_receiver import FakeSender, Script
from tests.unit.services.world import OPERATOR, WEB, World

URL = a_client().webhook_url or ""
SECRET = "whsec_" + base64.b64encode(b"a webhook secret of 32 bytes....").decode()


class Rotating:
    """What the command needs of the operators' use cases."""

    def rotate_webhook_secret(self, client_id: str) -> IssuedSecrets:
        return IssuedSecrets(client_id=WEB, webhook_secret=SealedText(f"whsec_of_{client_id}"))


@dataclass
class Here:
    webhooks: WebhookService
    operators: Rotating

    @property
    def services(self) -> Here:
        return self


@dataclass
class Shop:
    world: World
    script: Script
    here: Here

    def told(self) -> None:
        with self.world.store.write() as uow:
            self.world.core.tell(
                uow, EventType.CONSENT_GRANTED, operator_id=OPERATOR, client_id=WEB, state="x"
            )
            uow.commit()
        self.here.webhooks.deliver()


@pytest.fixture
def shop() -> Shop:
    world, sender = World(), FakeSender()
    with world.store.write() as uow:
        uow.save(replace(uow.get(Credential, WEB), webhook_secret=SealedText(SECRET)))
        uow.commit()
    here = Here(webhooks=WebhookService(world.core, sender), operators=Rotating())
    return Shop(world=world, script=sender.at(URL), here=here)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*words: str) -> tuple[int, str]:
        parser = argparse.ArgumentParser(prog="agegate")
        register(parser.add_subparsers(required=True), shop.here)  # type: ignore[arg-type]  # as much of the surroundings as the commands use
        args = parser.parse_args(["webhooks", *words])
        status = args.run(args)
        assert isinstance(status, int)
        return status, capsys.readouterr().out

    return run_command


def test_nothing_to_list_is_said(run: Run) -> None:
    assert run("list") == (0, "none\n")
    assert json.loads(run("list", "--json")[1]) == {"webhooks": []}


def test_each_delivery_is_a_line_with_its_last_answer(run: Run, shop: Shop) -> None:
    shop.script.lines = [410, 204]
    shop.told()
    shop.told()
    status, text = run("list")
    assert status == 0
    assert len(text.splitlines()) == 2
    [line] = run("list", "--parked")[1].splitlines()
    assert line.startswith("parked")
    assert "consent.granted" in line
    assert line.endswith("tries: 1  last: 410")
    assert len(run("list", "--limit", "1")[1].splitlines()) == 1
    assert run("list", "--client", "somebody") == (0, "none\n")


def test_replaying_says_how_many(run: Run, shop: Shop) -> None:
    shop.script.lines = [410]
    shop.told()
    shop.told()
    assert run("replay", "--client", WEB) == (0, "to be sent again: 2. The worker sends them.\n")
    assert json.loads(run("replay", "--client", WEB, "--json")[1]) == {"replayed": 0}


@pytest.mark.parametrize(
    "words",
    [
        (), ("test",), ("rotate",), ("replay",), ("replay", "wh_1", "--client", "x"),
        ("list", "--limit", "0"),
    ],
)  # fmt: skip
def test_wrong_use_is_status_2(run: Run, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2


def test_a_new_secret_is_shown(run: Run) -> None:
    status, text = run("rotate", WEB)
    assert status == 0
    assert f"{WEB}  webhook_secret  whsec_of_{WEB}" in text
    assert json.loads(run("rotate", WEB, "--json")[1]) == {
        "client_id": WEB,
        "webhook_secret": f"whsec_of_{WEB}",
    }


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ([204, 401], 0, "takes what we sign and nothing else"),
        ([204, 204], 1, "does not verify"),
        ([500, 401], 1, "does not take what we send"),
        (["hang", "hang"], 1, "no answer (timeout)"),
        ([204, "hang"], 1, "nothing is shown"),
    ],
)
def test_a_trial_is_told_in_words(
    run: Run, shop: Shop, answers: list[int | str], status: int, words: str
) -> None:
    shop.script.lines = answers
    said = run("test", WEB)
    assert said[0] == status
    assert words in said[1]
