from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from standardwebhooks import Webhook

from agegate.adapters.operator_file import parse_operator
from agegate.domain.errors import NotAllowedNowError, NotFoundError
from agegate.domain.ids import ClientId, Sub, digest
from agegate.domain.people import SealedText
from agegate.domain.records import Credential, Event, EventType
from agegate.domain.webhooks import LEASE, RETRIED_FOR, WebhookDelivery, WebhookState
from agegate.services.operators import OperatorService
from agegate.services.sweep import WEBHOOKS_KEPT_FOR
from agegate.services.webhooks import AT_ONCE, WebhookService
from tests.factories import a_client, an_operator
from tests.support.webhook_receiver import HANG, FakeSender, Received, Script
from tests.unit.services.world import OPERATOR, PAT, RULEBOOK, WEB, World

URL = a_client().webhook_url or ""
SECRET = "whsec_" + base64.b64encode(b"a webhook secret of 32 bytes....").decode()
NEW = "whsec_" + base64.b64encode(b"another webhook secret of 32 ...").decode()
KIDS = ClientId("storybuddy-kids")
KIDS_URL = "https://kids.example/events"


@dataclass
class House:
    world: World
    sender: FakeSender
    webhooks: WebhookService
    script: Script

    def tell(self, *states: str, sub: str | None = "sub-mia", client: ClientId = WEB) -> None:
        """Each in a transaction of its own, so that they have an order."""
        for state in states:
            self.world.clock.pass_(seconds=1)
            with self.world.store.write() as uow:
                self.world.core.tell(
                    uow,
                    EventType.CONSENT_GRANTED,
                    operator_id=OPERATOR,
                    client_id=client,
                    sub=Sub(sub) if sub else None,
                    state=state,
                )
                uow.commit()

    def rounds(self, count: int = 10) -> None:
        for _ in range(count):
            self.webhooks.deliver()

    def states(self) -> list[str]:
        return [d.state.value for d in self.deliveries()]

    def deliveries(self) -> list[WebhookDelivery]:
        found: list[WebhookDelivery] = self.world.all(WebhookDelivery)
        return found

    def only(self) -> WebhookDelivery:
        [delivery] = self.deliveries()
        return delivery

    def arrived(self) -> list[str]:
        """The states that were told, in order."""
        return [_content(r)["data"]["state"] for r in self.script.received]

    def give_secret(self, client: ClientId = WEB, **fields: Any) -> None:
        with self.world.store.write() as uow:
            credential = uow.get(Credential, client)
            uow.save(replace(credential, **{"webhook_secret": SealedText(SECRET), **fields}))
            uow.commit()


def _content(received: Received) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(received.body)
    return content


def signed(received: Received, secret: str, house: House) -> str:
    """By the standard's own library, at the time of this house."""
    made: str = Webhook(secret).sign(received.id, house.world.clock(), received.body.decode())
    return made


@pytest.fixture
def house() -> House:
    kids = a_client(id=KIDS, webhook_url=KIDS_URL)
    silent = a_client(id=ClientId("silent"), webhook_url=None)
    world = World(an_operator(clients=(a_client(), kids, silent)))
    sender = FakeSender()
    house = House(
        world=world,
        sender=sender,
        webhooks=WebhookService(world.core, sender),
        script=sender.at(URL),
    )
    house.give_secret()
    house.give_secret(KIDS)
    return house


# -- what is told ----------------------------------------------------------------------------------


def test_each_event_leaves_once(house: House) -> None:
    house.tell("granted", "denied")
    house.rounds()
    assert house.arrived() == ["granted", "denied"]
    assert house.states() == ["delivered", "delivered"]


def test_events_and_webhooks_are_written_together_or_not_at_all(house: House) -> None:
    with house.world.store.write() as uow:
        house.world.core.tell(
            uow, EventType.TOKEN_REVOKED, operator_id=OPERATOR, client_id=WEB, state="erased"
        )
    assert house.world.all(Event) == house.deliveries() == []


def test_a_client_without_a_place_for_webhooks_gets_none(house: House) -> None:
    house.tell("granted", client=ClientId("silent"))
    assert len(house.world.all(Event)) == 1
    assert house.deliveries() == []


def test_the_signature_is_one_that_the_standards_library_makes(house: House) -> None:
    house.tell("granted")
    house.rounds()
    [received] = house.script.received
    assert received.headers["webhook-signature"] == signed(received, SECRET, house)
    assert received.id == house.only().id
    assert received.headers["content-type"] == "application/json"


def test_a_webhook_says_what_the_list_of_events_says(house: House) -> None:
    house.tell("granted")
    house.rounds()
    [received] = house.script.received
    [event] = house.world.all(Event)
    said = _content(received)
    assert said.pop("data") == {
        "sub": "sub-mia",
        "client_id": "storybuddy-web",
        "state": "granted",
        "seq": event.seq,
    }
    assert said == {
        "id": event.id,
        "type": "consent.granted",
        "timestamp": event.at.isoformat(),
    }


def test_every_event_has_its_number_before_it_leaves(house: House) -> None:
    house.tell("granted", "denied", "withdrawn")
    house.rounds()
    assert [_content(r)["data"]["seq"] for r in house.script.received] == [1, 2, 3]


def test_law_89_a_whole_story_is_told_and_nothing_about_the_people_in_it(house: House) -> None:
    flow, _, consent = house.world.granted()
    house.world.token(flow)
    parent = house.world.signs_in()
    subject = house.world.subject_of(flow)
    house.world.parents.erase(parent, consent.id)
    house.rounds(20)
    told = [r.content["type"] for r in house.script.received]
    assert told[:2] == ["consent.requested", "consent.granted"]
    assert {"consent.revoked", "token.revoked", "subject.erasure_requested"} <= set(told)
    allowed = {"sub", "client_id", "record", "state", "seq"}
    for received in house.script.received:
        content = _content(received)
        assert set(content) == {"id", "type", "timestamp", "data"}
        assert set(content["data"]) <= allowed
        everything = received.body.decode() + str(received.headers)
        for canary in (PAT.value, "pat", "2017", "US-", subject.id, parent.id, "example.org"):
            assert canary not in everything


# -- failures --------------------------------------------------------------------------------------


def test_a_receiver_that_is_away_gets_it_later(house: House) -> None:
    house.script.lines = [503, 204]
    house.tell("granted")
    house.rounds(3)
    waiting = house.only()
    assert (waiting.state, waiting.attempts) == (WebhookState.WAITING, 1)
    assert waiting.last_code == "503"
    house.world.clock.pass_(seconds=4)
    assert house.webhooks.deliver() == 0
    house.world.clock.pass_(seconds=1)
    assert house.webhooks.deliver() == 1
    assert house.states() == ["delivered"]
    first, second = house.script.received
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]


def test_without_an_answer_it_is_tried_again(house: House) -> None:
    house.script.lines = [HANG]
    house.tell("granted")
    house.rounds(2)
    assert house.only().last_code == "timeout"
    assert house.states() == ["waiting"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure(house: House, status: int) -> None:
    house.script.lines = [status]
    house.tell("granted")
    house.rounds(2)
    assert house.states() == ["waiting"]


def test_after_three_days_it_is_parked(house: House) -> None:
    house.script.lines = [500]
    house.tell("granted")
    for _ in range(40):
        house.webhooks.deliver()
        house.world.clock.pass_(hours=2)
        if house.states() == ["parked"]:
            break
    parked = house.only()
    assert parked.state is WebhookState.PARKED
    tried_for = house.world.clock() - parked.created_at
    assert RETRIED_FOR <= tried_for <= RETRIED_FOR + timedelta(hours=4)
    count = len(house.script.received)
    house.world.clock.pass_(days=2)
    house.rounds()
    assert len(house.script.received) == count


def test_410_parks_at_once(house: House) -> None:
    house.script.lines = [410]
    house.tell("granted")
    house.rounds()
    assert house.states() == ["parked"]
    assert len(house.script.received) == 1


def test_a_dead_workers_claim_is_taken_up_after_its_lease(house: House) -> None:
    house.tell("granted")
    [taken] = house.webhooks.take(limit=9, busy={})
    house.rounds(2)
    assert house.script.received == []
    house.world.clock.pass_(seconds=LEASE.total_seconds())
    house.rounds(1)
    assert house.states() == ["delivered"]
    # Whoever slept past the lease overwrites nobody.
    house.script.lines = [500]
    assert house.webhooks.send(taken) is None
    assert house.states() == ["delivered"]


def test_a_client_that_was_taken_away_is_told_nothing_more(house: House) -> None:
    house.tell("granted")
    house.world.apply(an_operator(clients=(a_client(id=KIDS, webhook_url=KIDS_URL),)))
    house.rounds(2)
    assert house.script.received == []
    assert (house.states(), house.only().last_code) == (["parked"], "no_receiver")


def test_without_a_secret_nothing_leaves_unsigned(house: House) -> None:
    house.give_secret(webhook_secret=None)
    house.tell("granted")
    house.rounds(2)
    assert house.script.received == []
    assert (house.states(), house.only().last_code) == (["parked"], "no_receiver")


def test_what_is_no_longer_kept_is_parked(house: House) -> None:
    house.tell("granted")
    with house.world.store.write() as uow:
        uow.delete(Event, house.only().event_id)
        uow.commit()
    house.rounds(2)
    assert (house.states(), house.only().last_code) == (["parked"], "no_event")


# -- order -----------------------------------------------------------------------------------------


def test_what_is_about_one_subject_leaves_in_its_order(house: House) -> None:
    house.script.lines = [500, 204]
    house.tell("requested", "granted", "withdrawn")
    house.rounds(5)
    assert house.arrived() == ["requested"]
    house.world.clock.pass_(seconds=6)
    house.rounds(5)
    assert house.arrived() == ["requested", "requested", "granted", "withdrawn"]


def test_other_subjects_do_not_wait(house: House) -> None:
    house.script.lines = [500, 204]
    house.tell("first", sub="sub-mia")
    house.rounds(1)
    house.tell("second", sub="sub-mia")
    house.tell("third", sub="sub-leo")
    house.tell("fourth", sub=None)
    house.rounds(3)
    assert house.arrived() == ["first", "third", "fourth"]


def test_what_was_parked_holds_nobody_up(house: House) -> None:
    house.script.lines = [410, 204]
    house.tell("first", "second")
    house.rounds(3)
    assert house.arrived() == ["first", "second"]
    assert sorted(house.states()) == ["delivered", "parked"]


def test_while_one_is_under_way_the_next_waits(house: House) -> None:
    house.tell("first", "second")
    [first] = house.webhooks.take(limit=9, busy={})
    assert house.webhooks.take(limit=9, busy={}) == []
    house.webhooks.send(first)
    assert len(house.webhooks.take(limit=9, busy={})) == 1


def test_a_long_queue_behind_one_failure_does_not_hide_the_others(house: House) -> None:
    house.script.lines = [500, 204]
    house.tell("first")
    house.rounds(1)
    house.tell(*(f"later {n}" for n in range(30)))
    house.tell("other", sub="sub-leo")
    house.rounds(60)
    assert "other" in house.arrived()
    mine = [state for state in house.arrived() if state != "other"]
    assert mine == ["first", "first", *(f"later {n}" for n in range(30))]


# -- many clients ----------------------------------------------------------------------------------


def test_one_client_takes_up_only_so_many_places(house: House) -> None:
    for n in range(10):
        house.tell("x", sub=f"sub-{n}")
        house.tell("y", sub=f"sub-{n}", client=KIDS)
    taken = house.webhooks.take(limit=100, busy={WEB: 1})
    assert [d.client_id for d in taken].count(WEB) == AT_ONCE - 1
    assert [d.client_id for d in taken].count(KIDS) == AT_ONCE
    assert house.webhooks.take(limit=0, busy={}) == []


def test_a_receiver_with_a_long_queue_holds_up_no_other(house: House) -> None:
    for n in range(60):
        house.tell("x", sub=f"sub-{n}")
    house.tell("y", client=KIDS)
    taken = house.webhooks.take(limit=8, busy={WEB: AT_ONCE})
    assert [d.client_id for d in taken] == [KIDS]


# -- replay ----------------------------------------------------------------------------------------


def test_a_parked_one_is_sent_again_with_its_old_id(house: House) -> None:
    house.script.lines = [410, 204]
    house.tell("granted")
    house.rounds(2)
    house.webhooks.replay(house.only().id)
    house.rounds(2)
    assert house.states() == ["delivered"]
    first, second = house.script.received
    assert first.id == second.id


def test_all_that_is_parked_for_a_client_is_sent_again(house: House) -> None:
    house.script.lines = [410]
    for n in range(3):
        house.tell("x", sub=f"sub-{n}")
    house.tell("y", client=KIDS)
    house.sender.at(KIDS_URL, 410)
    house.rounds(3)
    assert house.states() == ["parked"] * 4
    house.script.lines = [204]
    assert house.webhooks.replay_parked(WEB) == 3
    house.rounds(3)
    assert sorted(house.states()) == ["delivered"] * 3 + ["parked"]
    assert house.webhooks.replay_parked(WEB) == 0


def test_what_is_on_its_way_is_not_replayed(house: House) -> None:
    house.tell("granted")
    with pytest.raises(NotAllowedNowError):
        house.webhooks.replay(house.only().id)
    with pytest.raises(NotFoundError):
        house.webhooks.replay("wh_of_nobody")
    with pytest.raises(NotFoundError):
        house.webhooks.replay_parked("silent")


# -- secrets ---------------------------------------------------------------------------------------


def test_for_a_day_both_secrets_sign(house: House) -> None:
    until = house.world.clock() + timedelta(hours=24)
    house.give_secret(
        webhook_secret=SealedText(NEW),
        old_webhook_secret=SealedText(SECRET),
        old_webhook_until=until,
    )
    house.tell("first")
    house.rounds(1)
    [received] = house.script.received
    by_both = f"{signed(received, NEW, house)} {signed(received, SECRET, house)}"
    assert received.headers["webhook-signature"] == by_both
    house.world.clock.time = until
    house.tell("second")
    house.rounds(1)
    second = house.script.received[-1]
    assert second.headers["webhook-signature"] == signed(second, NEW, house)


@pytest.fixture
def operators(house: House) -> OperatorService:
    return OperatorService(
        house.world.store,
        parse=parse_operator,
        new_secret=partial(house.world.ids, "secret"),
        hash_secret=digest,
        load_rulebook=lambda: RULEBOOK,
        today=lambda: house.world.clock().date(),
    )


def test_a_rotated_secret_is_told_once_and_the_one_before_it_kept_a_day(
    house: House, operators: OperatorService
) -> None:
    issued = operators.rotate_webhook_secret(WEB)
    [new] = [issued.webhook_secret]
    assert new is not None
    assert len(base64.b64decode(new.value.removeprefix("whsec_"))) == 32
    assert repr(new.value) not in repr(issued)
    house.tell("granted")
    house.rounds(1)
    [received] = house.script.received
    by_both = f"{signed(received, new.value, house)} {signed(received, SECRET, house)}"
    assert received.headers["webhook-signature"] == by_both


def test_a_second_rotation_ends_the_oldest_secret_at_once(
    house: House, operators: OperatorService
) -> None:
    secrets = [operators.rotate_webhook_secret(WEB).webhook_secret for _ in range(2)]
    assert secrets[0] != secrets[1]
    house.tell("granted")
    house.rounds(1)
    [received] = house.script.received
    signatures = received.headers["webhook-signature"].split(" ")
    assert len(signatures) == 2
    assert signed(received, SECRET, house) not in signatures


def test_applying_the_file_again_keeps_both_secrets(
    house: House, operators: OperatorService
) -> None:
    operator = an_operator(clients=(a_client(),))
    operators.apply(operator)
    operators.rotate_webhook_secret(WEB)
    with house.world.store.read() as r:
        before = r.get(Credential, WEB)
    operators.apply(operator)
    with house.world.store.read() as r:
        after = r.get(Credential, WEB)
    assert before.old_webhook_secret is not None
    assert (after.webhook_secret, after.old_webhook_secret, after.old_webhook_until) == (
        before.webhook_secret,
        before.old_webhook_secret,
        before.old_webhook_until,
    )
    operators.apply(an_operator(clients=(a_client(webhook_url=None),)))
    with house.world.store.read() as r:
        gone = r.get(Credential, WEB)
    assert (gone.webhook_secret, gone.old_webhook_secret, gone.old_webhook_until) == (None,) * 3


@pytest.mark.parametrize("client_id", ["silent", "storybuddy-api", "nobody"])
def test_who_gets_no_webhooks_has_no_secret_to_rotate(
    operators: OperatorService, client_id: str
) -> None:
    with pytest.raises(NotFoundError):
        operators.rotate_webhook_secret(client_id)


def test_the_old_secret_is_deleted_when_its_day_is_over(house: House) -> None:
    until = house.world.clock() + timedelta(hours=24)
    house.give_secret(old_webhook_secret=SealedText(NEW), old_webhook_until=until)
    assert "webhook_secret" not in house.world.sweeps.sweep()
    house.world.clock.time = until
    assert house.world.sweeps.sweep()["webhook_secret"] == 1
    with house.world.store.read() as r:
        credential = r.get(Credential, WEB)
    assert (credential.old_webhook_secret, credential.old_webhook_until) == (None, None)
    assert credential.webhook_secret == SealedText(SECRET)


# -- trial -----------------------------------------------------------------------------------------


def test_a_receiver_that_verifies_takes_one_and_refuses_the_other(house: House) -> None:
    class Verifying(FakeSender):
        def post(self, url: str, headers: Any, body: bytes) -> int:
            status = super().post(url, headers, body)
            received = self.places[url].received[-1]
            right = signed(received, SECRET, house)
            return status if right in received.headers["webhook-signature"].split() else 401

    sender = Verifying()
    script = sender.at(URL)
    trial = WebhookService(house.world.core, sender).try_out(WEB)
    assert (trial.good, trial.bad) == ("204", "401")
    assert trial.accepts_good
    assert trial.refuses_bad
    assert [r.type for r in script.received] == ["webhook.test"] * 2
    assert house.deliveries() == []
    assert house.world.all(Event) == []


def test_a_receiver_that_takes_anything_is_found_out(house: House) -> None:
    trial = house.webhooks.try_out(WEB)
    assert trial.accepts_good
    assert not trial.refuses_bad


def test_silence_is_no_refusal(house: House) -> None:
    house.script.lines = [HANG]
    trial = house.webhooks.try_out(WEB)
    assert trial.good == trial.bad == "timeout"
    assert not trial.accepts_good
    assert not trial.refuses_bad
    with pytest.raises(NotFoundError):
        house.webhooks.try_out("silent")


# -- what is kept ----------------------------------------------------------------------------------


def test_what_is_over_is_deleted_after_a_month_and_what_waits_is_not(house: House) -> None:
    house.script.lines = [204, 410]
    house.tell("first", "second")
    house.rounds(3)
    house.world.clock.pass_(seconds=WEBHOOKS_KEPT_FOR.total_seconds() - 2)
    assert "webhook" not in house.world.sweeps.sweep()
    house.world.clock.pass_(days=1)
    house.tell("third")
    assert house.world.sweeps.sweep()["webhook"] == 2
    assert house.states() == ["waiting"]


def test_the_list_shows_the_newest_first_and_what_was_given_up(house: House) -> None:
    house.script.lines = [410, 204]
    house.tell("first")
    house.rounds(1)
    house.tell("second")
    house.rounds(1)
    listed = house.webhooks.list(limit=10)
    assert [entry.delivery.state.value for entry in listed] == ["delivered", "parked"]
    assert {entry.type for entry in listed} == {"consent.granted"}
    parked = house.webhooks.list(state=WebhookState.PARKED, client_id=WEB, limit=10)
    assert [entry.delivery.last_code for entry in parked] == ["410"]
    assert house.webhooks.list(client_id=KIDS, limit=10) == []
    assert len(house.webhooks.list(limit=1)) == 1
