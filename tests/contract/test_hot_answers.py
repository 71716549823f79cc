"""The whole application on real databases: a kept answer is what would be computed now."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, cast
from urllib.parse import quote_plus

import psycopg
import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from agegate.adapters.db.store import SqlStore
from agegate.bootstrap import Services, open_services
from agegate.settings import Settings
from agegate.web import create_app
from agegate.web.hot import HotAnswers
from agegate.wire.scopes import EVALUATION, INTROSPECT
from tests.contract.conftest import POSTGRES
from tests.factories import an_operator
from tests.support.databases import PostgresServer
from tests.unit.services.parts import CHAT, LAB, Parts, new_practices

SERVICE = "storybuddy-api"
ROUNDS = 6


class Process(Parts):
    """One process of the service on a shared database; its people are made by hand."""

    def __init__(self, url: str) -> None:
        self.services: Services = open_services(
            Settings.from_env({"AGEGATE_ENV": "test", "AGEGATE_DATABASE_URL": url})
        )
        core = self.services.core
        self.now = core.now()
        self.store = core.store  # type: ignore[assignment]  # Any store will do.
        self.core = core
        self.tokens = self.services.tokens
        self.app: Flask = create_app(self.services)
        self.cold: Flask = create_app(self.services)
        front = cast("HotAnswers", self.cold.wsgi_app)
        self.cold.wsgi_app = front._app  # type: ignore[assignment,method-assign]  # noqa: SLF001 - without it

    def introspect(self, token: str, *, cold: bool = False, **headers: str) -> TestResponse:
        return self._post(INTROSPECT, cold=cold, headers=headers, data={"token": token})

    def evaluate(
        self, sub: str, purpose: str = CHAT, *, cold: bool = False, **headers: str
    ) -> TestResponse:
        question = {
            "subject": {"type": "subject", "id": sub},
            "action": {"name": purpose},
            "resource": {"type": "client", "id": "storybuddy-web"},
        }
        return self._post(EVALUATION, cold=cold, headers=headers, json=question)

    def _post(self, path: str, *, cold: bool, headers: dict[str, str], **body: Any) -> TestResponse:
        client = (self.cold if cold else self.app).test_client()
        auth = (SERVICE, quote_plus(f"secret of {SERVICE}"))
        return client.post(path, auth=auth, headers=headers, **body)

    def close(self) -> None:
        cast("SqlStore", self.store).close()


class Place:
    """A database and two processes on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.one, self.other = Process(url), Process(url)
        self.other.apply(an_operator())

    def close(self) -> None:
        self.one.close()
        self.other.close()


@pytest.fixture(params=["sqlite", POSTGRES])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    place = Place(request.getfixturevalue(f"migrated_{request.param}_url"))
    yield place
    place.close()


def state_of(answer: TestResponse) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["consent"]["state"])


def without_time(answer: TestResponse) -> tuple[int, dict[str, Any]]:
    body = json.loads(answer.data)
    body.get("context", {}).pop("evaluated_at", None)
    return answer.status_code, body


def is_kept(place: Place, ask: Callable[[], TestResponse]) -> bool:
    """Whether one of several repeated answers came without the application."""
    front = cast("HotAnswers", place.one.app.wsgi_app)
    inner, asked = front._app, []  # noqa: SLF001 - to count

    def counting(environ: Any, start: Any) -> Any:
        asked.append(1)
        return inner(environ, start)

    front._app = counting  # noqa: SLF001 - as above
    for _ in range(20):
        ask()
    front._app = inner  # noqa: SLF001 - as above
    return len(asked) < 20


# --- the same bytes ------------------------------------------------------------------------------


def test_a_kept_introspection_is_byte_for_byte_the_computed_one(
    place: Place,
) -> None:
    token = place.other.access_token(place.other.granted())
    kind: dict[str, Any] = {"X-Request-ID": "same"}
    cold = place.one.introspect(token, cold=True, **kind)
    assert is_kept(place, lambda: place.one.introspect(token, **kind))
    kept = place.one.introspect(token, **kind)
    assert (kept.status, kept.data) == (cold.status, cold.data)
    assert sorted(kept.headers) == sorted(cold.headers)
    assert state_of(kept) == "granted"


def test_a_kept_decision_is_the_computed_one_and_is_logged_each_time(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.other.granted()
    caplog.set_level(logging.INFO, logger="agegate.decisions")
    answers = [place.one.evaluate("sub-mia") for _ in range(20)]
    assert len({answer.data for answer in answers}) < 20
    lines = [r.getMessage() for r in caplog.records if r.name == "agegate.decisions"]
    assert len(lines) == 20
    assert len(set(lines)) == 1
    assert "decision=True" in lines[0]
    cold = place.one.evaluate("sub-mia", cold=True)
    assert without_time(answers[-1]) == without_time(cold)


def test_a_refused_caller_is_refused_each_time(place: Place) -> None:
    token = place.other.access_token(place.other.granted())
    assert state_of(place.one.introspect(token)) == "granted"
    client = place.one.app.test_client()
    for auth in [(SERVICE, "wrong"), ("storybuddy-web", "wrong"), None]:
        for _ in range(3):
            assert client.post(INTROSPECT, data={"token": token}, auth=auth).status_code == 401


# --- freshness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["withdraw", "revoke", "new practices", "erased"])
def test_law_10_what_another_process_ended_is_seen_at_once(place: Place, how: str) -> None:
    subject = place.other.granted()
    token = place.other.access_token(subject)
    for _ in range(5):
        assert state_of(place.one.introspect(token)) == "granted"
        assert place.one.evaluate("sub-mia").get_json()["decision"] is True
    if how == "withdraw":
        place.other.change("cr_1", "withdraw")
    elif how == "revoke":
        place.other.change("cr_1", "revoke", "by_store")
    elif how == "new practices":
        place.other.apply(new_practices())
    else:
        with place.other.store.write() as uow:
            uow.delete(type(subject), subject.id)
            uow.commit()
    assert place.one.evaluate("sub-mia").get_json()["decision"] is False
    answer = place.one.introspect(token).get_json()
    assert answer == {"active": False} or answer["consent"]["state"] != "granted"


def test_law_10_nobody_gets_granted_after_a_withdrawal_was_acknowledged(place: Place) -> None:
    done, stop = threading.Event(), threading.Event()
    late: list[str] = []
    strange: list[BaseException] = []
    asked = [0]
    token = ""

    def hammer() -> None:
        try:
            while not stop.is_set():
                acknowledged = done.is_set()
                state = state_of(place.one.introspect(token))
                asked[0] += 1
                if acknowledged and done.is_set() and state == "granted":
                    late.append(state)
        except BaseException as error:  # noqa: BLE001 - handed on to the test below
            strange.append(error)

    for number in range(ROUNDS):
        token = place.other.access_token(place.other.granted(f"kid{number}", f"cr_{number}"))
        done.clear()
        stop.clear()
        before = asked[0]
        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        while asked[0] < before + 20 and not strange:
            threading.Event().wait(0.005)
        place.other.change(f"cr_{number}", "withdraw")
        done.set()
        answered = asked[0]
        while asked[0] < answered + 20 and not strange:
            threading.Event().wait(0.005)
        stop.set()
        for thread in threads:
            thread.join(20)
    assert not strange, strange
    assert not late


# --- whatever happens in between -----------------------------------------------------------------


class Life:
    """One child's story, step by step, told by another process; every question asked twice."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.number = next(_numbers)
        self.records: list[str] = []
        place.other.apply(an_operator())
        self.subject = place.other.subject(f"kid{self.number}")
        self.token = place.other.access_token(self.subject)

    def introspect(self) -> None:
        one = self.place.one
        kept, cold = one.introspect(self.token), one.introspect(self.token, cold=True)
        assert (kept.status, kept.data) == (cold.status, cold.data)

    def evaluate(self) -> None:
        one, sub = self.place.one, self.subject.sub
        for purpose in (CHAT, LAB):
            kept, cold = one.evaluate(sub, purpose), one.evaluate(sub, purpose, cold=True)
            assert without_time(kept) == without_time(cold)

    def grant(self) -> None:
        record = f"cr_{next(_numbers)}"
        self.place.other.ask(self.subject, record)
        self.place.other.decide(record)
        self.records.append(record)

    def withdraw(self) -> None:
        if self.records:
            self.place.other.change(self.records.pop(), "withdraw")

    def change_practices(self) -> None:
        self.place.other.apply(new_practices())

    def change_back(self) -> None:
        self.place.other.apply(an_operator())

    def somebody_else_comes(self) -> None:
        self.place.other.subject(f"other{next(_numbers)}")

    def lose_the_connection(self) -> None:
        cast("SqlStore", self.place.one.store)._stamps.close()  # noqa: SLF001 - from under it


_numbers = itertools.count()
_QUESTIONS = [Life.introspect, Life.evaluate]
_EVENTS = [
    Life.grant,
    Life.withdraw,
    Life.change_practices,
    Life.change_back,
    Life.somebody_else_comes,
    Life.lose_the_connection,
]
STEPS = st.lists(st.sampled_from(_QUESTIONS * 3 + _EVENTS), max_size=20)


@settings(max_examples=15)
@given(steps=STEPS)
def test_whatever_was_committed_in_between_an_answer_is_the_computed_one(
    place: Place, steps: list[Callable[[Life], None]]
) -> None:
    life = Life(place)
    for step in steps:
        step(life)
    life.introspect()
    life.evaluate()


# --- a database that goes away -------------------------------------------------------------------


@pytest.mark.postgres
def test_a_cut_connection_never_lets_an_old_answer_through(
    migrated_postgres_url: str,
) -> None:
    place = Place(migrated_postgres_url)
    token = place.other.access_token(place.other.granted())
    for _ in range(5):
        assert state_of(place.one.introspect(token)) == "granted"
    with closing(psycopg.connect(migrated_postgres_url, autocommit=True)) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    place.other.change("cr_1", "withdraw")
    for _ in range(5):
        answer = place.one.introspect(token)
        assert answer.status_code == 503 or state_of(answer) == "withdrawn"
    assert state_of(place.one.introspect(token)) == "withdrawn"
    place.close()


@pytest.mark.postgres
def test_without_a_database_a_kept_answer_is_not_given(
    migrated_postgres_url: str, postgres_server: PostgresServer
) -> None:
    place = Place(migrated_postgres_url)
    token = place.other.access_token(place.other.granted())
    for _ in range(5):
        assert state_of(place.one.introspect(token)) == "granted"
    postgres_server.drop(migrated_postgres_url.rpartition("/")[2])
    for _ in range(3):
        for answer in (place.one.introspect(token), place.one.evaluate("sub-mia")):
            assert answer.status_code == 503
            assert answer.get_json()["code"] == "unavailable"
    place.close()
