"""Real workers and a real receiver: what happens is told in seconds, once, and never lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from agegate.bootstrap import Services, open_services
from agegate.domain.consent import Consent, request
from agegate.domain.ids import ClientId, OperatorId, ParentId, RecordId, Sub, SubjectId, digest
from agegate.domain.letters import SignInLetter
from agegate.domain.outgoing import Delivery, Outgoing
from agegate.domain.people import EmailAddress, Parent, Subject
from agegate.domain.records import EventType
from agegate.domain.webhooks import LEASE, WebhookDelivery
from agegate.services.letters import post
from agegate.settings import Settings
from tests.factories import a_client, an_operator, some_evidence
from tests.integration.story import sandbox_env
from tests.support.processes import Process, Processes
from tests.support.smtp_sink import SmtpSink
from tests.support.webhook_receiver import HANG, WebhookReceiver

OPERATOR = OperatorId("storybuddy")
WEB, SLOW = ClientId("storybuddy-web"), ClientId("storybuddy-slow")
AFTER_LEASE = LEASE + timedelta(seconds=1)
ADDRESS = "pat.canary@parents.example"


@dataclass(slots=True)
class Office:
    """Things happen in this process; real workers tell of them."""

    env: dict[str, str]
    services: Services
    receiver: WebhookReceiver
    slow: WebhookReceiver
    secret: str

    def tell(self, *states: str, sub: str = "sub-mia", client: ClientId = WEB) -> None:
        for state in states:
            with self.services.core.store.write() as uow:
                self.services.core.tell(
                    uow,
                    EventType.CONSENT_GRANTED,
                    operator_id=OPERATOR,
                    client_id=client,
                    sub=Sub(sub),
                    state=state,
                )
                uow.commit()

    def a_consent(self) -> tuple[Parent, Consent]:
        """Granted, as after a parent's decision."""
        core = self.services.core
        operator = an_operator()
        client = operator.clients[0]
        asked = operator.purposes_of(client)
        with core.store.write() as uow:
            parent = Parent(
                id=ParentId("pa_1"),
                address=EmailAddress(ADDRESS),
                index=core.address_index(ADDRESS),
                locale="en",
                created_at=uow.now,
            )
            subject = Subject(
                id=SubjectId("su_1"),
                operator_id=OPERATOR,
                client_id=WEB,
                sub=Sub("sub-canary"),
                place="US-IL",
                created_at=uow.now,
                upper=12,
                age_at=uow.now,
            )
            uow.add(parent)
            uow.add(subject)
            change = request(
                id_=RecordId("cr_canary"),
                operator_id=OPERATOR,
                client_id=WEB,
                subject_id=subject.id,
                purposes=tuple(p.id for p in asked),
                practices=operator.practices,
                jurisdiction="US-IL",
                locale="en",
                notice=digest("a notice"),
                now=uow.now,
            )
            consent = core.record(uow, change, new=True)
            uow.commit()
        with core.store.write() as uow:
            consent = core.record(uow, consent.notify(now=uow.now))
            consent = core.record(uow, consent.open(same_browser=False, now=uow.now))
            consent = core.record(uow, consent.prove(some_evidence(), now=uow.now))
            answers: dict[str, str] = {p.id: "grant" for p in asked}
            change = consent.decide(answers, asked, parent=parent.id, now=uow.now)
            consent = core.record(uow, change)
            uow.commit()
        return parent, consent

    def deliveries(self) -> list[WebhookDelivery]:
        with self.services.core.store.read() as r:
            return r.select(WebhookDelivery)

    def states(self) -> list[str]:
        return sorted(d.state.value for d in self.deliveries())

    def arrived(self) -> list[str]:
        return [str(r.content["data"]["state"]) for r in self.receiver.received]

    def wait_for(self, worker: Process, *states: str, seconds: float = 30.0) -> None:
        worker.wait_until(
            lambda: self.states() == sorted(states), what=str(states), seconds=seconds
        )

    def pass_time(self, span: timedelta) -> None:
        sandbox = self.services.sandbox
        assert sandbox is not None
        sandbox.set_clock(sandbox.clock() + span)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    name = {"sqlite": "migrated_sqlite_url", "postgres": "migrated_postgres_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def open_office(smtp_sink: SmtpSink) -> Iterator[Callable[[str], Office]]:
    opened: list[Office] = []
    receivers = [WebhookReceiver(), WebhookReceiver()]

    def open_(url: str) -> Office:
        receiver, slow = (r.__enter__() for r in receivers)
        env = sandbox_env(
            url,
            AGEGATE_SMTP_URL=smtp_sink.url,
            AGEGATE_SECRET_KEY="a-secret-of-more-than-32-characters-of-nobody",
            AGEGATE_WEBHOOK_ALLOW=f"{receiver.authority},{slow.authority}",
        )
        services = open_services(Settings.from_env(env))
        clients = (
            a_client(id=WEB, webhook_url=receiver.url),
            a_client(id=SLOW, webhook_url=slow.url),
        )
        applied = services.operators.apply(an_operator(clients=clients))
        secret = applied.clients[0].webhook_secret
        assert secret is not None
        opened.append(
            Office(env=env, services=services, receiver=receiver, slow=slow, secret=secret.value)
        )
        return opened[-1]

    yield open_
    for office in opened:
        for receiver in (office.receiver, office.slow):
            receiver.__exit__(None, None, None)
        office.services.core.store.close()  # type: ignore[attr-defined]  # the SQL store alone has connections


@pytest.fixture
def office(database_url: str, open_office: Callable[[str], Office]) -> Office:
    return open_office(database_url)


@pytest.fixture
def small_office(migrated_sqlite_url: str, open_office: Callable[[str], Office]) -> Office:
    """Where the database makes no difference."""
    return open_office(migrated_sqlite_url)


def _at_work(processes: Processes, env: dict[str, str]) -> Process:
    worker = processes.worker(env)
    worker.wait_until(lambda: "at work" in worker.output, what="start of work")
    return worker


# --- told -------------------------------------------------------------------------------------


def test_a_withdrawal_arrives_within_five_seconds(office: Office, processes: Processes) -> None:
    worker = _at_work(processes, office.env)
    parent, consent = office.a_consent()
    office.receiver.wait_for(2)
    office.services.parents.withdraw(parent, consent.id)
    acknowledged = time.monotonic()
    told = office.receiver.wait_for(3, seconds=5)
    withdrawn = next(r for r in told if r.type == "consent.withdrawn")
    assert withdrawn.at - acknowledged < 5
    assert withdrawn.is_signed_by(office.secret)
    assert withdrawn.content["data"] == {
        "sub": "sub-canary",
        "client_id": "storybuddy-web",
        "record": "cr_canary",
        "state": "withdrawn",
        "seq": 3,
    }
    assert [r.type for r in told] == ["consent.requested", "consent.granted", "consent.withdrawn"]
    for received in told:
        everything = received.body.decode() + str(received.headers) + received.path
        assert not [c for c in (ADDRESS, "pat", "su_1", "pa_1", "US-") if c in everything]
    assert "canary" not in worker.output
    assert worker.stop(seconds=8) == 0


def test_what_is_polled_is_what_was_told(small_office: Office, processes: Processes) -> None:
    small_office.a_consent()
    processes.worker(small_office.env, once=True)
    polled = small_office.services.records.events(OPERATOR)["events"]
    told = [r.content for r in small_office.receiver.received]
    for content in told:
        content["data"].pop("seq")
    assert told == polled


def test_two_workers_at_once_tell_each_once_and_in_order(
    office: Office, processes: Processes
) -> None:
    workers = [_at_work(processes, office.env) for _ in range(2)]
    expected: dict[str, list[str]] = {}
    for n in range(6):
        for sub in ("sub-a", "sub-b", "sub-c", "sub-d"):
            office.tell(str(n), sub=sub)
            expected.setdefault(sub, []).append(str(n))
    office.wait_for(workers[0], *["delivered"] * 24, seconds=60)
    by_sub: dict[str, list[str]] = {}
    for received in office.receiver.received:
        data = received.content["data"]
        by_sub.setdefault(data["sub"], []).append(data["state"])
    assert by_sub == expected
    assert len({r.id for r in office.receiver.received}) == 24
    assert [worker.stop(seconds=8) for worker in workers] == [0, 0]


# --- killed -----------------------------------------------------------------------------------


def test_nothing_is_lost_when_workers_are_killed(office: Office, processes: Processes) -> None:
    for n in range(40):
        office.tell("x", sub=f"sub-{n}")
    for until in (4, 12, 20):
        worker = processes.worker(office.env)
        office.receiver.wait_for(until, seconds=40)
        worker.kill()
    office.pass_time(AFTER_LEASE)
    worker = processes.worker(office.env)
    office.wait_for(worker, *["delivered"] * 40, seconds=60)
    subs: dict[str, set[str]] = {}
    for received in office.receiver.received:
        subs.setdefault(received.content["data"]["sub"], set()).add(received.id)
    assert set(subs) == {f"sub-{n}" for n in range(40)}
    # A copy after a kill has the id of the first, so that a receiver knows it as one.
    assert {len(ids) for ids in subs.values()} == {1}
    assert worker.stop(seconds=8) == 0


def test_a_worker_stops_within_five_seconds_while_a_receiver_hangs(
    small_office: Office, processes: Processes
) -> None:
    small_office.receiver.answer(HANG)
    worker = _at_work(processes, small_office.env)
    small_office.tell("x")
    small_office.receiver.wait_for(1)
    asked = time.monotonic()
    assert worker.stop(seconds=5) == 0
    assert time.monotonic() - asked < 5
    assert small_office.states() == ["sending"]


# --- bad receivers ----------------------------------------------------------------------------


def test_receivers_that_hang_stop_neither_letters_nor_others(
    small_office: Office, processes: Processes
) -> None:
    small_office.slow.answer(HANG)
    worker = _at_work(processes, small_office.env)
    for n in range(12):
        small_office.tell("x", sub=f"sub-{n}", client=SLOW)
    small_office.slow.wait_for(4)
    letter = SignInLetter(
        language="en", link_url="https://age.example/parent/sign-in/x", minutes=30
    )
    core = small_office.services.core
    with core.store.write() as uow:
        post(uow, core, letter, to=EmailAddress(ADDRESS), target="pa_1")
        uow.commit()
    small_office.tell("in time")
    began = time.monotonic()
    small_office.receiver.wait_for(1, seconds=5)

    def is_sent() -> bool:
        with core.store.read() as r:
            return [o.state for o in r.select(Outgoing)] == [Delivery.SENT]

    worker.wait_until(is_sent, what="a letter", seconds=5)
    assert time.monotonic() - began < 5
    assert len(small_office.slow.received) == 4  # no more of one client's at a time


def test_a_receiver_that_was_away_is_told_when_it_is_back(
    small_office: Office, processes: Processes
) -> None:
    small_office.receiver.answer(503)
    small_office.tell("first", "second")
    worker = _at_work(processes, small_office.env)
    small_office.receiver.wait_for(1)
    small_office.receiver.answer(204)
    small_office.wait_for(worker, "delivered", "delivered")
    assert small_office.arrived()[-2:] == ["first", "second"]
    assert {r.is_signed_by(small_office.secret) for r in small_office.receiver.received} == {True}


def test_a_redirect_to_this_machine_is_not_followed(
    small_office: Office, processes: Processes
) -> None:
    with WebhookReceiver() as inside:
        small_office.receiver.script.location = inside.url
        small_office.receiver.answer(307)
        small_office.tell("x")
        processes.worker(small_office.env, once=True)
        assert inside.received == []
    [delivery] = small_office.deliveries()
    assert (delivery.state.value, delivery.last_code) == ("waiting", "307")


def test_in_production_no_exemption_counts(small_office: Office, processes: Processes) -> None:
    """The address was applied outside production; the sender refuses it all the same."""
    small_office.tell("x")
    env = {
        **small_office.env,
        "AGEGATE_ENV": "production",
        "AGEGATE_PUBLIC_URL": "https://age.example",
        "AGEGATE_SANDBOX": "0",
    }
    services = open_services(Settings.from_env(env))
    assert services.webhooks.deliver() == 1
    [delivery] = small_office.deliveries()
    assert (delivery.state.value, delivery.last_code) == ("waiting", "not_https")
    services.core.store.close()  # type: ignore[attr-defined]  # the SQL store alone has connections
    assert small_office.receiver.received == []


# --- by hand ----------------------------------------------------------------------------------


def _agegate(office: Office, processes: Processes, *words: str) -> tuple[int, str]:
    process = processes.agegate(*words, env=office.env)
    code = process.wait(seconds=60)
    return code, process.output


def _json_of(output: str) -> Any:
    return json.loads(output[output.index("{") :])


def test_what_is_parked_is_listed_and_sent_again_by_hand(
    small_office: Office, processes: Processes
) -> None:
    office = small_office
    office.receiver.answer(410)
    office.tell("granted")
    processes.worker(office.env, once=True)
    assert office.states() == ["parked"]
    code, output = _agegate(office, processes, "webhooks", "list", "--parked", "--json")
    [listed] = _json_of(output)["webhooks"]
    assert (code, listed["state"], listed["last_code"]) == (0, "parked", "410")
    assert (listed["type"], listed["client_id"]) == ("consent.granted", WEB)
    office.receiver.answer(204)
    assert _agegate(office, processes, "webhooks", "replay", listed["id"])[0] == 0
    processes.worker(office.env, once=True)
    assert office.states() == ["delivered"]
    first, second = office.receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    code, output = _agegate(office, processes, "webhooks", "replay", "wh_none")
    assert code == 1
    assert "Traceback" not in output


def test_after_a_rotation_both_secrets_verify_what_arrives(
    small_office: Office, processes: Processes
) -> None:
    office = small_office
    code, output = _agegate(office, processes, "webhooks", "rotate", WEB, "--json")
    assert code == 0
    new = _json_of(output)["webhook_secret"]
    office.tell("granted")
    processes.worker(office.env, once=True)
    [received] = office.receiver.received
    assert [received.is_signed_by(secret) for secret in (new, office.secret)] == [True, True]
    assert not received.is_signed_by(new[:-4] + "AAA=")


def test_a_trial_tells_a_receiver_that_verifies_from_one_that_does_not(
    small_office: Office, processes: Processes
) -> None:
    office = small_office
    code, output = _agegate(office, processes, "webhooks", "test", WEB)
    assert code == 1
    assert "does not verify" in output
    office.receiver.script.secret = office.secret
    code, output = _agegate(office, processes, "webhooks", "test", WEB, "--json")
    assert code == 0
    assert _json_of(output) == {
        "good_signature": {"answer": "204", "accepted": True},
        "bad_signature": {"answer": "401", "refused": True},
        "ok": True,
    }
    assert [r.type for r in office.receiver.received] == ["webhook.test"] * 4
