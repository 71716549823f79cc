"""The sandbox's doors, through the whole application."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from agegate.bootstrap import Sandbox, Services, open_services
from agegate.domain.people import EmailAddress
from agegate.services.ports import Rendered
from agegate.settings import Settings
from agegate.web import create_app

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
BACK = "http://127.0.0.1:8000/parent/request/link"


def _settings(url: str, **more: str) -> Settings:
    return Settings.from_env({"AGEGATE_ENV": "test", "AGEGATE_DATABASE_URL": url, **more})


@pytest.fixture
def services(migrated_sqlite_url: str) -> Services:
    return open_services(_settings(migrated_sqlite_url, AGEGATE_SANDBOX="1"))


@pytest.fixture
def sandbox(services: Services) -> Sandbox:
    assert services.sandbox is not None
    return services.sandbox


@pytest.fixture
def http(services: Services) -> Iterator[FlaskClient]:
    with create_app(services).test_client() as client:
        yield client


def _send(sandbox: Sandbox, subject: str, html: str = "<p>Hello</p>") -> None:
    sandbox.mailer(None).send(
        Rendered(subject=subject, text="Go to http://127.0.0.1:8000/x?y=1.", html=html),
        to=EmailAddress("pat@parents.example"),
        kind="direct_notice",
        message_id="<1@age.example>",
        language="en",
        now=NEW_YEAR,
    )


def _pay(sandbox: Sandbox, reference: str = "cr_1") -> str:
    return sandbox.gateway.start(reference=reference, locale="en", return_url=BACK).id


# --- not in production ------------------------------------------------------------------------

DOORS = (
    ("GET", "/sandbox/clock"), ("POST", "/sandbox/clock"), ("POST", "/sandbox/outcome"),
    ("GET", "/sandbox/letters"), ("GET", "/sandbox/mailbox"), ("GET", "/sandbox/payment/sp_1"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_without_the_sandbox_there_are_no_doors(
    migrated_sqlite_url: str, method: str, path: str
) -> None:
    app = create_app(open_services(_settings(migrated_sqlite_url)))
    assert app.test_client().open(path, method=method).status_code == 404


# --- clock ------------------------------------------------------------------------------------


def test_the_clock_moves_both_ways_and_goes_on(http: FlaskClient, services: Services) -> None:
    for moment in (NEW_YEAR, NEW_YEAR - timedelta(days=3650)):
        moved = http.post("/sandbox/clock", json={"now": moment.isoformat()})
        assert moved.status_code == 200
        assert services.core.now() - moment < timedelta(seconds=5)
        shown = datetime.fromisoformat(http.get("/sandbox/clock").get_json()["now"])
        assert timedelta(0) <= shown - moment < timedelta(seconds=5)


def test_another_process_follows_the_clock(http: FlaskClient, migrated_sqlite_url: str) -> None:
    http.post("/sandbox/clock", json={"now": "2027-01-01T00:00:00Z"})
    other = open_services(_settings(migrated_sqlite_url, AGEGATE_SANDBOX="1"))
    assert other.core.now() - NEW_YEAR < timedelta(seconds=5)


BAD_BODIES: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"now=2027",
    "not UTF-8": b'{"now": "\xff"}',
    "a list": b"[]",
    "a text": b'"2027-01-01T00:00:00Z"',
    "null": b"null",
    "empty": b"{}",
    "another member": b'{"then": "2027-01-01T00:00:00Z"}',
    "one too many": b'{"now": "2027-01-01T00:00:00Z", "x": 1}',
    "a number": b'{"now": 1}',
    "an empty text": b'{"now": ""}',
    "no time": b'{"now": "tomorrow"}',
    "no zone": b'{"now": "2027-01-01T00:00:00"}',
    "too early": b'{"now": "1999-12-31T00:00:00Z"}',
    "too late": b'{"now": "2201-01-01T00:00:00Z"}',
    "no such day": b'{"now": "2027-02-30T00:00:00Z"}',
    "very long": b'{"now": "' + b"9" * 100_000 + b'"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
@pytest.mark.parametrize("path", ["/sandbox/clock", "/sandbox/outcome"])
def test_a_body_that_makes_no_sense_is_a_problem_and_moves_nothing(
    http: FlaskClient, services: Services, path: str, body: bytes
) -> None:
    before = services.core.now()
    answer = http.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["code"] == "invalid_request"
    assert services.core.now() - before < timedelta(seconds=5)


# --- outcomes ---------------------------------------------------------------------------------


def test_an_outcome_holds_for_the_next_use_alone(http: FlaskClient, sandbox: Sandbox) -> None:
    wanted = {"method": "payment_transaction", "outcome": "fail"}
    assert http.post("/sandbox/outcome", json=wanted).status_code == 204
    assert sandbox.payment(_pay(sandbox, "one")).status.value == "failed"
    assert sandbox.payment(_pay(sandbox, "two")).status.value == "open"


WRONG_OUTCOMES = (
    {"method": "payment_transaction", "outcome": "win"},
    {"method": "payment_transaction", "outcome": ""},
    {"method": "magic", "outcome": "pass"},
    {"method": "", "outcome": "pass"},
)


@pytest.mark.parametrize("body", WRONG_OUTCOMES)
def test_an_outcome_of_unknown_words_is_a_problem(http: FlaskClient, body: dict[str, str]) -> None:
    answer = http.post("/sandbox/outcome", json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")


# --- letters ----------------------------------------------------------------------------------


def test_letters_come_oldest_first_with_their_links(http: FlaskClient, sandbox: Sandbox) -> None:
    assert http.get("/sandbox/letters").get_json() == []
    _send(sandbox, "one")
    _send(sandbox, "two")
    letters = http.get("/sandbox/letters").get_json()
    assert [letter["subject"] for letter in letters] == ["one", "two"]
    assert set(letters[0]) == {
        "id", "kind", "to", "subject", "text", "html", "links", "sent_at"
    }  # fmt: skip
    assert letters[0]["to"] == "pat@parents.example"
    assert letters[0]["links"] == ["http://127.0.0.1:8000/x?y=1"]
    assert letters[0]["sent_at"] == "2027-01-01T00:00:00Z"


def test_the_letter_box_shows_the_newest_first(http: FlaskClient, sandbox: Sandbox) -> None:
    assert 'data-page="sandbox_mailbox"' in http.get("/sandbox/mailbox").text
    _send(sandbox, "The first")
    _send(sandbox, "The second <b>bold</b>")
    text = http.get("/sandbox/mailbox").text
    assert 0 < text.index("The second") < text.index("The first")
    assert "<b>bold</b>" not in text
    assert 'href="http://127.0.0.1:8000/x?y=1"' in text


def test_a_letter_is_shown_as_a_mail_program_would_and_can_do_nothing(
    http: FlaskClient, sandbox: Sandbox
) -> None:
    _send(sandbox, "one", html='<p style="color: red">Hi</p><script>alert(1)</script>')
    letter = http.get("/sandbox/letters").get_json()[0]
    page = http.get(f"/sandbox/letters/{letter['id']}/html")
    policy = page.headers["Content-Security-Policy"]
    assert page.mimetype == "text/html"
    assert 'style="color: red"' in page.text
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    # A browser shows no page that is sandboxed and has an opener policy.
    assert "Cross-Origin-Opener-Policy" not in page.headers


@pytest.mark.parametrize("id_", ["x", "00000001.sl_1", "../clock", "%00"])
def test_a_letter_that_is_not_there_is_not_found(http: FlaskClient, id_: str) -> None:
    assert http.get(f"/sandbox/letters/{id_}/html").status_code == 404


# --- payments ---------------------------------------------------------------------------------


def test_the_pretend_company_lets_a_person_choose(http: FlaskClient, sandbox: Sandbox) -> None:
    id_ = _pay(sandbox)
    text = http.get(f"/sandbox/payment/{id_}").text
    assert 'data-page="sandbox_payment"' in text
    for outcome in ("pass", "fail", "inconclusive", "error", "wait"):
        assert f'name="outcome" value="{outcome}"' in text
    done = http.post(f"/sandbox/payment/{id_}", data={"outcome": "pass"})
    assert (done.status_code, done.headers["Location"]) == (303, BACK)
    assert sandbox.payment(id_).status.value == "paid"


def test_looking_at_a_payment_changes_nothing(http: FlaskClient, sandbox: Sandbox) -> None:
    id_ = _pay(sandbox)
    http.get(f"/sandbox/payment/{id_}?outcome=pass")
    assert sandbox.payment(id_).status.value == "open"


def test_the_second_press_changes_nothing(http: FlaskClient, sandbox: Sandbox) -> None:
    id_ = _pay(sandbox)
    http.post(f"/sandbox/payment/{id_}", data={"outcome": "fail"})
    again = http.post(f"/sandbox/payment/{id_}", data={"outcome": "pass"})
    assert (again.status_code, again.headers["Location"]) == (303, BACK)
    assert sandbox.payment(id_).status.value == "failed"
    assert http.get(f"/sandbox/payment/{id_}").headers["Location"] == BACK


@pytest.mark.parametrize("fields", [{}, {"outcome": ""}, {"outcome": "win"}])
def test_a_choice_that_is_none_leaves_the_payment_open(
    http: FlaskClient, sandbox: Sandbox, fields: dict[str, str]
) -> None:
    id_ = _pay(sandbox)
    assert http.post(f"/sandbox/payment/{id_}", data=fields).status_code == 400
    assert sandbox.payment(id_).status.value == "open"


def test_an_unknown_payment_is_not_found(http: FlaskClient) -> None:
    assert http.get("/sandbox/payment/sp_nobody").status_code == 404
    assert http.post("/sandbox/payment/sp_nobody", data={"outcome": "pass"}).status_code == 404
