"""Real workers, killed and cut off while letters are due: nothing is lost, nothing is sent anew."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from agegate.bootstrap import Services, open_services
from agegate.domain.letters import SignInLetter
from agegate.domain.outgoing import LEASE, RETRY_AFTER, Delivery, Outgoing
from agegate.domain.people import EmailAddress
from agegate.services.letters import post
from agegate.settings import Settings
from tests.integration.story import sandbox_env
from tests.support.databases import PostgresServer
from tests.support.processes import Process, Processes
from tests.support.smtp_sink import SmtpSink

AFTER_LEASE = LEASE + timedelta(seconds=1)


@dataclass(slots=True)
class Post:
    """A post office: letters are queued in this process and delivered by real workers."""

    env: dict[str, str]
    services: Services
    sink: SmtpSink

    def queue(self, count: int) -> list[str]:
        addresses = [f"parent{n}@parents.example" for n in range(count)]
        with self.services.core.store.write() as uow:
            for address in addresses:
                letter = SignInLetter(
                    language="en", link_url="https://age.example/parent/sign-in/x", minutes=30
                )
                post(uow, self.services.core, letter, to=EmailAddress(address), target="pa_1")
            uow.commit()
        return addresses

    def pass_time(self, span: timedelta) -> None:
        sandbox = self.services.sandbox
        assert sandbox is not None
        sandbox.set_clock(sandbox.clock() + span)

    def states(self) -> dict[Delivery, int]:
        counts: dict[Delivery, int] = defaultdict(int)
        with self.services.core.store.read() as r:
            for letter in r.select(Outgoing):
                counts[letter.state] += 1
        return dict(counts)

    def wait_until_sent(self, worker: Process, count: int, *, seconds: float = 40.0) -> None:
        worker.wait_until(
            lambda: self.states() == {Delivery.SENT: count}, what=f"{count} sent", seconds=seconds
        )

    def copies(self) -> dict[str, set[str]]:
        """Message-IDs by address."""
        found: dict[str, set[str]] = defaultdict(set)
        for letter in list(self.sink.letters):
            found[letter.rcpt_tos[0]].add(str(letter.message["Message-ID"]))
        return found


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    name = {"sqlite": "migrated_sqlite_url", "postgres": "migrated_postgres_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


def _open(url: str, sink: SmtpSink) -> Post:
    env = sandbox_env(url, AGEGATE_SMTP_URL=sink.url)
    return Post(env=env, services=open_services(Settings.from_env(env)), sink=sink)


@pytest.fixture
def office(database_url: str, smtp_sink: SmtpSink) -> Iterator[Post]:
    office = _open(database_url, smtp_sink)
    yield office
    office.services.core.store.close()  # type: ignore[attr-defined]  # the SQL store alone has connections


@pytest.fixture
def small_office(migrated_sqlite_url: str, smtp_sink: SmtpSink) -> Iterator[Post]:
    """Where the database makes no difference."""
    office = _open(migrated_sqlite_url, smtp_sink)
    yield office
    office.services.core.store.close()  # type: ignore[attr-defined]  # the SQL store alone has connections


def _at_work(processes: Processes, env: dict[str, str]) -> Process:
    worker = processes.worker(env)
    worker.wait_until(lambda: "at work" in worker.output, what="start of work")
    return worker


# --- killed -----------------------------------------------------------------------------------


def test_no_letter_is_lost_when_workers_are_killed(office: Post, processes: Processes) -> None:
    addresses = office.queue(60)
    for until in (5, 20, 35):
        worker = processes.worker(office.env)
        # At no particular moment of a letter: whatever it was doing, it is dead now.
        office.sink.wait_for(until, seconds=40)
        worker.kill()
    office.pass_time(AFTER_LEASE)
    worker = processes.worker(office.env)
    office.wait_until_sent(worker, len(addresses))
    copies = office.copies()
    assert set(copies) == set(addresses)
    # A copy after a kill is the same letter: mail programs show it once.
    assert {len(ids) for ids in copies.values()} == {1}
    assert worker.stop(seconds=8) == 0


def test_a_letter_that_was_being_sent_is_due_again_after_its_lease(
    small_office: Post, processes: Processes
) -> None:
    (address,) = small_office.queue(1)
    small_office.sink.hang("rcpt")
    worker = processes.worker(small_office.env)
    worker.wait_until(
        lambda: small_office.states() == {Delivery.SENDING: 1}, what="a letter under way"
    )
    worker.kill()
    small_office.sink.heal()
    processes.worker(small_office.env, once=True)
    assert small_office.sink.letters == []  # somebody may still be sending it
    small_office.pass_time(AFTER_LEASE)
    processes.worker(small_office.env, once=True)
    assert len(small_office.sink.to(address)) == 1


def test_a_copy_after_a_lost_acknowledgement_is_the_same_letter(
    small_office: Post, processes: Processes
) -> None:
    (address,) = small_office.queue(1)
    small_office.sink.drop_after_data(times=1)
    processes.worker(small_office.env, once=True)
    small_office.pass_time(RETRY_AFTER[0] + timedelta(seconds=1))
    processes.worker(small_office.env, once=True)
    first, second = small_office.sink.to(address)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.part("plain") == second.part("plain")


# --- several ----------------------------------------------------------------------------------


def test_two_workers_at_once_deliver_each_letter_once(office: Post, processes: Processes) -> None:
    workers = [_at_work(processes, office.env) for _ in range(2)]
    addresses = office.queue(80)
    office.wait_until_sent(workers[0], len(addresses))
    assert sorted(letter.rcpt_tos[0] for letter in office.sink.letters) == sorted(addresses)
    assert [worker.stop(seconds=8) for worker in workers] == [0, 0]


# --- cut off ----------------------------------------------------------------------------------


def test_letters_wait_while_the_mail_server_is_down(
    small_office: Post, processes: Processes
) -> None:
    addresses = small_office.queue(3)
    small_office.sink.refuse()
    worker = processes.worker(small_office.env)
    worker.wait_until(
        lambda: (
            small_office.states() == {Delivery.WAITING: 3}
            and all(letter.attempts == 1 for letter in _queued(small_office))
        ),
        what="a first try of each",
    )
    small_office.sink.accept()
    small_office.pass_time(RETRY_AFTER[0] + timedelta(seconds=1))
    small_office.wait_until_sent(worker, len(addresses))
    assert sorted(letter.rcpt_tos[0] for letter in small_office.sink.letters) == addresses
    assert "@parents.example" not in worker.output


def _queued(office: Post) -> list[Outgoing]:
    with office.services.core.store.read() as r:
        return r.select(Outgoing)


def test_a_worker_outlives_an_absent_database(
    postgres_server: PostgresServer,
    migrated_postgres_url: str,
    smtp_sink: SmtpSink,
    processes: Processes,
) -> None:
    office = _open(migrated_postgres_url, smtp_sink)
    worker = _at_work(processes, office.env)
    name = migrated_postgres_url.rpartition("/")[2]
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        _allow_connections(admin, name, allowed=False)
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        worker.wait_until(lambda: worker.output.count("next try in") >= 2, what="patience")
        _allow_connections(admin, name, allowed=True)
    office.queue(2)
    office.wait_until_sent(worker, 2)
    complaints = [line for line in worker.output.splitlines() if "next try in" in line]
    # One line a try, ever slower, and nothing in it but that the database is away.
    assert all("database" in line for line in complaints), complaints
    assert "Traceback" not in worker.output
    assert name not in worker.output
    assert worker.stop(seconds=8) == 0
    office.services.core.store.close()  # type: ignore[attr-defined]  # the SQL store alone has connections


def _allow_connections(
    admin: psycopg.Connection[tuple[object, ...]], name: str, *, allowed: bool
) -> None:
    admin.execute(
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
            sql.Identifier(name), sql.Literal(allowed)
        )
    )


# --- ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_hung", [False, True], ids=["idle", "in the middle of a letter"])
def test_a_worker_stops_within_five_seconds(
    small_office: Post, processes: Processes, is_hung: bool
) -> None:
    worker = _at_work(processes, small_office.env)
    if is_hung:
        small_office.sink.hang("data")
        small_office.queue(1)
        worker.wait_until(
            lambda: small_office.states() == {Delivery.SENDING: 1}, what="a letter under way"
        )
    asked = time.monotonic()
    assert worker.stop(seconds=5) == 0
    assert time.monotonic() - asked < 5


def test_once_sends_what_is_due_numbers_every_fact_and_ends(
    small_office: Post, processes: Processes
) -> None:
    small_office.queue(45)
    worker = processes.worker(small_office.env, once=True)
    assert small_office.states() == {Delivery.SENT: 45}
    assert small_office.services.ledger.integrate() == 0
    assert "Traceback" not in worker.output


def test_what_was_deleted_leaves_the_log_of_writes_too(
    small_office: Post, processes: Processes, tmp_path: Path
) -> None:
    small_office.queue(3)
    log = tmp_path / "agegate.db-wal"
    assert log.stat().st_size > 0
    worker = _at_work(processes, small_office.env)
    small_office.wait_until_sent(worker, 3)
    small_office.pass_time(timedelta(days=31))
    worker.wait_until(lambda: small_office.states() == {}, what="a sweep", seconds=5)
    worker.wait_until(lambda: log.stat().st_size == 0, what="an empty log", seconds=10)
    assert log.stat().st_size == 0


def test_once_without_a_database_is_status_1(processes: Processes) -> None:
    env = sandbox_env("postgresql://nobody@127.0.0.1:1/nothing")
    worker = processes.worker(env)
    assert worker.exit_code or worker.wait() == 1
    assert "Traceback" not in worker.output


def test_a_moved_clock_brings_a_sweep_at_once(small_office: Post, processes: Processes) -> None:
    small_office.queue(1)
    worker = _at_work(processes, small_office.env)
    small_office.wait_until_sent(worker, 1)
    small_office.pass_time(timedelta(days=31))  # as long as a sent letter's row is kept
    worker.wait_until(lambda: small_office.states() == {}, what="a sweep", seconds=5)
    assert small_office.states() == {}
