"""The middleware by itself, over an application that counts how often it is asked."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from agegate.domain.errors import UnavailableError
from agegate.web import hot
from agegate.web.hot import HotAnswers
from agegate.wire.scopes import EVALUATION, INTROSPECT, TOKEN

NOON = 1_795_348_800.0  # a whole quarter of an hour
JUST_AFTER = NOON + 0.25
LARGEST = 32 * 1024


class Chunks:
    """A WSGI answer in pieces, which must be closed."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        self.closed += 1


@dataclass
class House:
    """An application whose answer says how often it was asked and what it was asked."""

    now: float = JUST_AFTER
    stamp: str = "a"
    keeps: bool = True
    until: float | None = None
    away: bool = False
    asked: int = 0
    told: int = 0
    given: list[Chunks] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.front = HotAnswers(self.application, stamp=self.current, now=lambda: self.now)

    def current(self) -> str:
        if self.away:
            raise UnavailableError("the database can't be reached")
        return self.stamp

    def application(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.asked += 1
        body = environ["wsgi.input"].read()
        if self.keeps:
            environ["agegate.hot"] = (self.until, self._tell)
        status = "503 SERVICE UNAVAILABLE" if self.away else "200 OK"
        start(status, [("Content-Type", "text/plain"), ("X-Request-ID", f"r{self.asked}")])
        self.given.append(Chunks(b"%d " % self.asked, hashlib.sha256(body).hexdigest().encode()))
        return self.given[-1]

    def ask(self, body: bytes = b"token=x", **environ: Any) -> tuple[str, dict[str, str], bytes]:
        said: list[Any] = []
        asked = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": INTROSPECT,
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": "Basic eDp5",
            "wsgi.input": io.BytesIO(body),
            **environ,
        }
        chunks = self.front(
            {name: value for name, value in asked.items() if value is not None},
            lambda status, headers, *_: said.extend([status, headers]),  # type: ignore[arg-type]  # A test listens to less than WSGI may say.
        )
        return said[0], dict(said[1]), b"".join(chunks)

    def asks_again(self, body: bytes = b"token=x", **environ: Any) -> bool:
        """Whether the application itself is asked when this is asked."""
        before = self.asked
        self.ask(body, **environ)
        return self.asked > before

    def _tell(self) -> None:
        self.told += 1


@pytest.fixture
def house() -> House:
    return House()


# --- the same question --------------------------------------------------------------------------


def test_the_same_question_gets_the_same_bytes(house: House) -> None:
    first = house.ask(HTTP_X_REQUEST_ID="one")
    again = house.ask(HTTP_X_REQUEST_ID="two")
    assert house.asked == 1
    assert again[0] == first[0]
    assert again[2] == first[2]
    assert again[1].pop("X-Request-ID") == "two"
    assert first[1].pop("X-Request-ID") == "r1"
    assert again[1] == first[1]


def test_a_request_without_an_id_gets_a_fresh_one(house: House) -> None:
    ids = {house.ask()[1]["X-Request-ID"] for _ in range(10)}
    assert len(ids) == 10


def test_what_must_be_written_down_is_written_for_every_repeated_answer(house: House) -> None:
    for _ in range(4):
        house.ask()
    assert (house.asked, house.told) == (1, 3)


def test_the_applications_answer_is_closed_once(house: House) -> None:
    house.ask()
    house.ask()
    assert [chunks.closed for chunks in house.given] == [1]


def test_an_answer_that_was_not_given_leave_is_not_kept(house: House) -> None:
    house.keeps = False
    assert house.asks_again()
    assert house.asks_again()


# --- another question ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_AUTHORIZATION": "Basic ejp5"},
        {"HTTP_AUTHORIZATION": None},
        {"HTTP_ACCEPT": "application/token-introspection+jwt"},
        {"CONTENT_TYPE": "application/json"},
        {"CONTENT_TYPE": None},
        {"PATH_INFO": EVALUATION},
        {"HTTP_AUTHORIZATION": "", "HTTP_ACCEPT": "Basic eDp5"},
        {"HTTP_AUTHORIZATION": "\ud800 ☃"},
    ],
    ids=str,
)
def test_whoever_asks_differently_never_gets_anothers_answer(
    house: House, environ: dict[str, str | None]
) -> None:
    house.ask()
    assert house.asks_again(b"token=x", **environ)


def test_parts_of_a_question_do_not_run_into_each_other(house: House) -> None:
    house.ask(b"b", CONTENT_TYPE="a\x001:b", HTTP_ACCEPT="")
    assert house.asks_again(b"b", CONTENT_TYPE="a", HTTP_ACCEPT="b")
    assert house.asks_again(b"token=y")


@pytest.mark.parametrize(
    "environ",
    [
        {"PATH_INFO": TOKEN},
        {"PATH_INFO": f"{INTROSPECT}/"},
        {"REQUEST_METHOD": "GET"},
        {"QUERY_STRING": "token=x"},
        {"CONTENT_LENGTH": None},
        {"CONTENT_LENGTH": "0"},
        {"CONTENT_LENGTH": "-7"},
        {"CONTENT_LENGTH": "+7"},
        {"CONTENT_LENGTH": "0_7"},
        {"CONTENT_LENGTH": "٧"},
        {"CONTENT_LENGTH": "seven"},
        {"CONTENT_LENGTH": "9" * 5000},
        {"CONTENT_LENGTH": str(LARGEST + 1)},
    ],
    ids=lambda environ: str(environ)[:40],
)
def test_other_requests_pass_through_untouched(
    house: House, environ: dict[str, str | None]
) -> None:
    for _ in range(2):
        *_, body = house.ask(b"token=x", **environ)
        assert body.endswith(hashlib.sha256(b"token=x").hexdigest().encode())
    assert house.asked == 2


@pytest.mark.parametrize(("size", "kept"), [(LARGEST, True), (LARGEST + 1, False)])
def test_a_body_reaches_the_application_whole(house: House, size: int, *, kept: bool) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    *_, answer = house.ask(body)
    assert answer.endswith(hashlib.sha256(body).hexdigest().encode())
    assert house.asks_again(body) is not kept


def test_a_body_that_was_cut_short_is_judged_by_the_application(house: House) -> None:
    house.ask(b"token=x")
    assert house.asks_again(b"token=x", CONTENT_LENGTH="9")


def test_a_caller_who_goes_away_is_the_applications_to_judge(house: House) -> None:
    class Gone(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    *_, answer = house.ask(b"token=x", **{"wsgi.input": Gone()})
    assert answer == b"1 " + hashlib.sha256(b"").hexdigest().encode()


# --- how long an answer serves --------------------------------------------------------------------


def test_another_stamp_is_another_answer(house: House) -> None:
    house.ask()
    house.stamp = "b"
    assert house.asks_again()


def test_a_commit_while_an_answer_is_made_makes_it_useless(house: House) -> None:
    def commits(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        house.stamp = "b"
        return house.application(environ, start)

    house.front = HotAnswers(commits, stamp=house.current, now=lambda: house.now)
    house.ask()
    assert house.asks_again()


@pytest.mark.parametrize(
    ("until", "passed", "fresh"),
    [
        (0.5, 0.499, False),
        (0.5, 0.5, True),
        (None, 0.999, False),
        (None, 1.0, True),
        (60.0, 0.999, False),
        (60.0, 1.0, True),
        (0.0, 0.0, True),
        (-5.0, 0.0, True),
    ],
)
def test_an_answer_serves_until_its_end_and_not_a_moment_longer(
    house: House, until: float | None, passed: float, *, fresh: bool
) -> None:
    house.until = None if until is None else house.now + until
    house.ask()
    house.now += passed
    assert house.asks_again() is fresh


def test_an_answer_never_outlives_a_day_anywhere(house: House) -> None:
    house.now = NOON - 0.25
    house.ask()
    house.now = NOON - 0.001
    assert not house.asks_again()
    house.now = NOON
    assert house.asks_again()


def test_a_clock_that_goes_back_makes_every_answer_useless(house: House) -> None:
    house.ask()
    house.now -= 0.001
    assert house.asks_again()


# --- bounds and faults ----------------------------------------------------------------------------


def test_without_a_database_the_application_answers_itself(house: House) -> None:
    house.ask()
    house.away = True
    assert house.ask()[0].startswith("503")
    house.away = False
    house.keeps = False
    house.stamp = "b"
    assert house.asks_again()


def kept(house: House) -> int:
    return len(house.front._answers)  # noqa: SLF001 - what it costs is the promise


def test_the_number_of_kept_answers_is_bounded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "_MOST", 10)
    for number in range(101):
        house.ask(b"%d" % number)
        assert kept(house) <= 10
    assert not house.asks_again(b"100")


def test_answers_of_an_older_stamp_are_given_up(house: House) -> None:
    for number in range(50):
        house.ask(b"%d" % number)
    house.stamp = "b"
    house.ask()
    assert kept(house) == 1


def test_no_secret_lies_about_in_the_keys(house: House) -> None:
    house.ask(b"token=very-secret", HTTP_AUTHORIZATION="Basic very-secret")
    assert "very-secret" not in repr(house.front._answers)  # noqa: SLF001 - as above
