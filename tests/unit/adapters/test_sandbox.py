"""The pretend world: outcomes are used once, time moves for everybody, letters stay in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from agegate.adapters.db.store import SqlStore
from agegate.adapters.db.tables import metadata
from agegate.adapters.ids import new_id
from agegate.adapters.mail.memory import MemoryMailer
from agegate.adapters.memory import MemoryStore
from agegate.adapters.sandbox import (
    Sandbox,
    SandboxClock,
    SandboxGateway,
    SandboxMailer,
    SandboxOutcome,
    letters,
    links_in,
    set_outcome,
    take_outcome,
)
from agegate.adapters.sealing import KeyedSealer
from agegate.domain.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    VendorError,
)
from agegate.domain.people import EmailAddress
from agegate.domain.records import SandboxLetter, SandboxSetting
from agegate.methods.consent.payment_transaction import Funding, PaymentStatus
from agegate.services.ports import Clock, Mailer, MailError, Reader, Rendered, Store
from tests.factories import NOON

METHOD = "payment_transaction"
RETURN_URL = "https://age.example/parent/back"


def a_memory_store(clock: Clock = lambda: NOON) -> MemoryStore:
    return MemoryStore(clock=clock, new_id=new_id)


SqliteStores = Callable[[Clock], SqlStore]


@pytest.fixture
def sqlite_stores(tmp_path: Path) -> Iterator[SqliteStores]:
    """Makes stores on one SQLite file, as several processes would."""
    opened: list[SqlStore] = []

    def open_one(clock: Clock) -> SqlStore:
        store = SqlStore(
            f"sqlite:///{tmp_path / 'a.db'}",
            sealer=KeyedSealer("a secret of tests"),
            clock=clock,
            new_id=new_id,
        )
        metadata.create_all(store.engine)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store() -> MemoryStore:
    return a_memory_store()


def taken(store: Store, method: str = METHOD) -> SandboxOutcome | None:
    with store.write() as uow:
        outcome = take_outcome(uow, method)
        uow.commit()
        return outcome


class TestOutcome:
    def test_an_outcome_is_used_once(self, store: MemoryStore) -> None:
        set_outcome(store, METHOD, SandboxOutcome.FAIL)
        assert taken(store) is SandboxOutcome.FAIL
        assert taken(store) is None

    def test_a_later_outcome_overrules_an_unused_one(self, store: MemoryStore) -> None:
        set_outcome(store, METHOD, SandboxOutcome.FAIL)
        set_outcome(store, METHOD, SandboxOutcome.PASS)
        assert taken(store) is SandboxOutcome.PASS

    def test_an_outcome_belongs_to_one_method(self, store: MemoryStore) -> None:
        set_outcome(store, "fmvpi", SandboxOutcome.FAIL)
        assert taken(store) is None
        assert taken(store, "fmvpi") is SandboxOutcome.FAIL

    def test_an_outcome_taken_by_a_use_that_fails_is_still_there(self, store: MemoryStore) -> None:
        set_outcome(store, METHOD, SandboxOutcome.PASS)
        with store.write() as uow:
            take_outcome(uow, METHOD)
        assert taken(store) is SandboxOutcome.PASS


class TestGateway:
    @pytest.fixture
    def gateway(self, store: MemoryStore) -> SandboxGateway:
        return SandboxGateway(store, "http://127.0.0.1:8000")

    def start(self, gateway: SandboxGateway, reference: str = "pr_1") -> str:
        return gateway.start(reference=reference, locale="es", return_url=RETURN_URL).id

    @pytest.mark.parametrize(
        ("outcome", "status", "funding"),
        [
            (SandboxOutcome.PASS, PaymentStatus.PAID, Funding.CREDIT),
            (SandboxOutcome.FAIL, PaymentStatus.FAILED, Funding.UNKNOWN),
            (SandboxOutcome.INCONCLUSIVE, PaymentStatus.PAID, Funding.PREPAID),
            (SandboxOutcome.WAIT, PaymentStatus.PROCESSING, Funding.UNKNOWN),
        ],
    )
    def test_the_next_payment_ends_as_was_set_and_the_one_after_is_open(
        self,
        store: MemoryStore,
        gateway: SandboxGateway,
        outcome: SandboxOutcome,
        status: PaymentStatus,
        funding: Funding,
    ) -> None:
        set_outcome(store, METHOD, outcome)
        found = gateway.outcome(self.start(gateway))
        assert (found.status, found.funding) == (status, funding)
        assert found.notifies_holder is (outcome is SandboxOutcome.PASS)
        assert gateway.outcome(self.start(gateway, "pr_2")).status is PaymentStatus.OPEN

    def test_an_error_that_was_set_happens_once_and_leaves_the_choice_open(
        self, store: MemoryStore, gateway: SandboxGateway
    ) -> None:
        set_outcome(store, METHOD, SandboxOutcome.ERROR)
        id_ = self.start(gateway)
        with pytest.raises(VendorError):
            gateway.outcome(id_)
        assert gateway.outcome(id_).status is PaymentStatus.OPEN
        gateway.choose(id_, SandboxOutcome.PASS)
        assert gateway.outcome(id_).status is PaymentStatus.PAID

    def test_starting_the_same_again_uses_up_no_second_outcome(
        self, store: MemoryStore, gateway: SandboxGateway
    ) -> None:
        self.start(gateway)
        set_outcome(store, METHOD, SandboxOutcome.FAIL)
        assert gateway.outcome(self.start(gateway)).status is PaymentStatus.OPEN
        assert taken(store) is SandboxOutcome.FAIL

    def test_the_page_learns_where_to_go_back_to_and_in_which_language(
        self, gateway: SandboxGateway
    ) -> None:
        payment = gateway.session(self.start(gateway))
        assert (payment.return_url, payment.locale) == (RETURN_URL, "es")
        assert not payment.is_settled

    def test_the_address_is_that_of_the_sandbox_page(self, gateway: SandboxGateway) -> None:
        session = gateway.start(reference="pr_1", locale="en", return_url=RETURN_URL)
        assert session.url == f"http://127.0.0.1:8000/sandbox/payment/{session.id}"

    @pytest.mark.parametrize("first", [SandboxOutcome.PASS, SandboxOutcome.FAIL])
    @pytest.mark.parametrize("second", list(SandboxOutcome))
    def test_choosing_after_the_end_is_a_conflict(
        self, gateway: SandboxGateway, first: SandboxOutcome, second: SandboxOutcome
    ) -> None:
        id_ = self.start(gateway)
        before = gateway.choose(id_, first)
        with pytest.raises(ConflictError):
            gateway.choose(id_, second)
        assert gateway.session(id_) == before

    def test_a_payment_nobody_started_is_not_found(self, gateway: SandboxGateway) -> None:
        with pytest.raises(NotFoundError):
            gateway.session("sp_nobody")
        with pytest.raises(NotFoundError):
            gateway.choose("sp_nobody", SandboxOutcome.PASS)

    def test_what_was_not_paid_is_not_refunded(self, gateway: SandboxGateway) -> None:
        id_ = self.start(gateway)
        with pytest.raises(VendorError):
            gateway.refund(id_)
        assert not gateway.session(id_).refunded

    def test_another_process_sees_the_same_payment(self, sqlite_stores: SqliteStores) -> None:
        here = SandboxGateway(sqlite_stores(lambda: NOON), "http://127.0.0.1:8000")
        there = SandboxGateway(sqlite_stores(lambda: NOON), "http://127.0.0.1:8000")
        id_ = self.start(here)
        there.choose(id_, SandboxOutcome.PASS)
        assert here.outcome(id_).status is PaymentStatus.PAID
        assert self.start(there) == id_


class Ticks:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class BrokenStore(MemoryStore):
    """A memory store whose database goes away."""

    broken = False

    @contextmanager
    def read(self) -> Iterator[Reader]:
        if self.broken:
            raise UnavailableError("away")
        with super().read() as reader:
            yield reader


class TestClock:
    @pytest.fixture
    def ticks(self) -> Ticks:
        return Ticks()

    def test_before_it_has_a_store_it_shows_the_real_time(self, ticks: Ticks) -> None:
        clock = SandboxClock(lambda: NOON, ticks=ticks)
        assert clock() == NOON
        with pytest.raises(UnavailableError):
            clock.set(NOON)

    @pytest.mark.parametrize("days", [-400, -1, 0, 1, 5000])
    def test_it_moves_both_ways(self, ticks: Ticks, days: int) -> None:
        clock = attached(a_memory_store(), ticks)
        there = NOON + timedelta(days=days, microseconds=7)
        clock.set(there)
        assert clock() == there

    def test_it_goes_on_from_where_it_was_set(self, ticks: Ticks) -> None:
        real = [NOON]
        clock = SandboxClock(lambda: real[0], ticks=ticks)
        clock.attach(a_memory_store())
        clock.set(datetime(2030, 1, 1, tzinfo=UTC))
        real[0] += timedelta(seconds=90)
        assert clock() == datetime(2030, 1, 1, 0, 1, 30, tzinfo=UTC)

    def test_setting_it_twice_does_not_add_up(self, ticks: Ticks) -> None:
        clock = attached(a_memory_store(), ticks)
        clock.set(NOON + timedelta(days=9))
        clock.set(NOON + timedelta(days=2))
        assert clock() == NOON + timedelta(days=2)

    def test_another_process_follows_within_a_fifth_of_a_second(self, ticks: Ticks) -> None:
        store = a_memory_store()
        here, there = attached(store, ticks), attached(store, ticks)
        assert there() == NOON
        here.set(NOON + timedelta(days=30))
        ticks.seconds += 0.21
        assert there() == NOON + timedelta(days=30)
        here.set(NOON - timedelta(days=30))
        ticks.seconds += 0.21
        assert there() == NOON - timedelta(days=30)

    def test_a_process_that_starts_later_takes_up_the_shift(self, ticks: Ticks) -> None:
        store = a_memory_store()
        attached(store, ticks).set(NOON + timedelta(days=30))
        assert attached(store, ticks)() == NOON + timedelta(days=30)

    def test_the_store_is_not_read_more_than_five_times_a_second(self, ticks: Ticks) -> None:
        store = a_memory_store()
        clock = attached(store, ticks)
        clock()
        attached(store, ticks).set(NOON + timedelta(days=30))
        ticks.seconds += 0.19
        assert clock() == NOON

    def test_any_zone_will_do_and_the_answer_is_utc(self, ticks: Ticks) -> None:
        clock = attached(a_memory_store(), ticks)
        clock.set(datetime(2027, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
        assert clock() == datetime(2027, 1, 1, tzinfo=UTC)
        assert clock().utcoffset() == timedelta(0)

    @pytest.mark.parametrize(
        "time",
        [
            datetime(2027, 1, 1),  # noqa: DTZ001 - a time without a zone is the point
            datetime(1999, 12, 31, 23, 59, tzinfo=UTC),
            datetime(2200, 1, 1, tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        ],
    )
    def test_a_time_that_can_not_be_is_refused_and_nothing_moves(
        self, ticks: Ticks, time: datetime
    ) -> None:
        clock = attached(a_memory_store(), ticks)
        with pytest.raises(InvalidRequestError):
            clock.set(time)
        assert clock() == NOON

    def test_while_the_database_is_away_the_last_shift_holds(self, ticks: Ticks) -> None:
        store = BrokenStore(clock=lambda: NOON, new_id=new_id)
        clock = attached(store, ticks)
        clock.set(NOON + timedelta(days=30))
        store.broken = True
        ticks.seconds += 1
        assert clock() == NOON + timedelta(days=30)

    def test_a_set_during_a_read_is_not_undone_by_what_was_read(self, ticks: Ticks) -> None:
        there = NOON + timedelta(days=30)

        class SlowStore(MemoryStore):
            during: Callable[[], None] | None = None

            @contextmanager
            def read(self) -> Iterator[Reader]:
                during, self.during = self.during, None
                with super().read() as reader:
                    if during is not None:
                        during()
                    yield reader

        store = SlowStore(clock=lambda: NOON, new_id=new_id)
        clock = attached(store, ticks)
        clock()
        ticks.seconds += 1
        store.during = lambda: clock.set(there)
        assert clock() == there

    def test_a_store_may_run_on_the_clock_that_reads_from_it(
        self, sqlite_stores: SqliteStores
    ) -> None:
        clock = SandboxClock(lambda: NOON)
        store = sqlite_stores(clock)
        clock.attach(store)
        clock.set(NOON + timedelta(days=30))
        with store.write() as uow:
            assert uow.now == NOON + timedelta(days=30)
            uow.add(SandboxSetting(id="x", value="y"))
            clock()
            uow.commit()
        clock.set(NOON - timedelta(days=30))
        with store.write() as uow:
            assert uow.now == NOON - timedelta(days=30)


def attached(store: Store, ticks: Ticks) -> SandboxClock:
    clock = SandboxClock(lambda: NOON, ticks=ticks)
    clock.attach(store)
    return clock


def a_rendered(text: str = "Hello") -> Rendered:
    return Rendered(subject="A subject", text=text, html=f"<p>{text}</p>")


def send(mailer: Mailer, text: str = "Hello", *, now: datetime = NOON) -> None:
    mailer.send(
        a_rendered(text),
        to=EmailAddress("jo@home.example"),
        kind="direct_notice",
        message_id="<1@age.example>",
        language="en",
        now=now,
    )


class TestLetters:
    def test_a_letter_is_kept_as_it_was_sent(self, store: MemoryStore) -> None:
        send(SandboxMailer(None, store, new_id), "Open https://age.example/parent/request/abc.")
        (letter,) = letters(store)
        assert letter.pop("id")
        assert letter == {
            "kind": "direct_notice",
            "to": "jo@home.example",
            "subject": "A subject",
            "text": "Open https://age.example/parent/request/abc.",
            "html": "<p>Open https://age.example/parent/request/abc.</p>",
            "links": ["https://age.example/parent/request/abc"],
            "sent_at": "2026-11-22T12:00:00Z",
        }

    def test_letters_come_in_the_order_of_sending_even_when_time_went_back(
        self, store: MemoryStore
    ) -> None:
        mailer = SandboxMailer(None, store, new_id)
        for number in range(12):
            send(mailer, str(number), now=NOON - timedelta(days=number))
        assert [letter["text"] for letter in letters(store)] == [str(n) for n in range(12)]

    def test_the_real_mailer_sends_it_too(self, store: MemoryStore) -> None:
        inner = MemoryMailer()
        send(SandboxMailer(inner, store, new_id))
        (sent,) = inner.to(EmailAddress("jo@home.example"))
        assert (sent.kind, sent.message_id, sent.at) == ("direct_notice", "<1@age.example>", NOON)
        assert sent.rendered == a_rendered()

    def test_what_was_not_sent_is_not_in_the_letter_box(self, store: MemoryStore) -> None:
        inner = MemoryMailer()
        inner.failure = MailError("no_such_mailbox", permanent=True)
        with pytest.raises(MailError):
            send(SandboxMailer(inner, store, new_id))
        assert letters(store) == []

    def test_no_address_and_no_text_lies_open_in_the_database(
        self, tmp_path: Path, sqlite_stores: SqliteStores
    ) -> None:
        store = sqlite_stores(lambda: NOON)
        send(SandboxMailer(None, store, new_id), "Dear Jo, https://age.example/l")
        assert letters(store)[0]["links"] == ["https://age.example/l"]
        store.close()
        for file in tmp_path.iterdir():
            assert b"jo@home" not in file.read_bytes()
            assert b"Dear Jo" not in file.read_bytes()

    def test_a_letter_shows_nothing_of_itself(self, store: MemoryStore) -> None:
        send(SandboxMailer(None, store, new_id), "Dear Jo")
        with store.read() as r:
            (letter,) = r.select(SandboxLetter)
        assert "jo@home" not in repr(letter)
        assert "Dear Jo" not in repr(letter)

    @pytest.mark.parametrize(
        ("text", "links"),
        [
            ("", []),
            ("write to jo@home.example or ftp://x.example", []),
            ("https://a.example/x", ["https://a.example/x"]),
            (
                "one http://b.example two https://a.example",
                ["http://b.example", "https://a.example"],
            ),
            (
                "https://a.example https://b.example https://a.example",
                ["https://a.example", "https://b.example"],
            ),
            ("(see https://a.example/x?y=1&z=2).", ["https://a.example/x?y=1&z=2"]),
            (
                "<https://a.example/x>\n\nhttps://a.example/y, and",
                ["https://a.example/x", "https://a.example/y"],
            ),
            ("«https://a.example/x!»", ["https://a.example/x"]),
            ("https://a.example/a_b-c.d~e", ["https://a.example/a_b-c.d~e"]),
        ],
    )
    def test_links_are_found_in_order_and_once(self, text: str, links: list[str]) -> None:
        assert links_in(text) == links


class TestSandbox:
    @pytest.fixture
    def sandbox(self, store: MemoryStore) -> Sandbox:
        clock = attached(store, Ticks())
        return Sandbox(store, clock, public_url="http://127.0.0.1:8000", new_id=new_id)

    @pytest.mark.parametrize("outcome", ["pass", "fail", "inconclusive", "error", "wait"])
    @pytest.mark.parametrize("method", ["payment_transaction", "fmvpi", "facial_estimation"])
    def test_every_outcome_of_every_method_can_be_set(
        self, sandbox: Sandbox, store: MemoryStore, method: str, outcome: str
    ) -> None:
        sandbox.set_outcome(method, outcome)
        assert taken(store, method) == outcome

    @pytest.mark.parametrize(
        ("method", "outcome"),
        [
            ("payment_transaction", ""),
            ("payment_transaction", "PASS"),
            ("payment_transaction", "passed"),
            ("", "pass"),
            ("clock", "pass"),
            ("payment_transaction/../clock", "pass"),
        ],
    )
    def test_what_there_is_not_is_refused_and_nothing_is_set(
        self, sandbox: Sandbox, store: MemoryStore, method: str, outcome: str
    ) -> None:
        with pytest.raises(InvalidRequestError):
            sandbox.set_outcome(method, outcome)
        with store.read() as r:
            assert r.select(SandboxSetting) == []

    def test_a_person_may_choose_on_the_payment_page(self, sandbox: Sandbox) -> None:
        id_ = sandbox.gateway.start(reference="pr_1", locale="en", return_url=RETURN_URL).id
        with pytest.raises(InvalidRequestError):
            sandbox.choose_payment(id_, "")
        assert sandbox.choose_payment(id_, "pass").is_settled
        assert sandbox.payment(id_).status is PaymentStatus.PAID

    def test_its_letters_are_those_its_mailer_sent(self, sandbox: Sandbox) -> None:
        inner = MemoryMailer()
        send(sandbox.mailer(inner))
        send(sandbox.mailer(None))
        assert [letter["to"] for letter in sandbox.letters()] == ["jo@home.example"] * 2
        assert len(inner.letters) == 1

    def test_its_clock_is_the_one_that_is_set(self, sandbox: Sandbox) -> None:
        sandbox.set_clock(NOON + timedelta(days=1))
        assert sandbox.clock() == NOON + timedelta(days=1)
