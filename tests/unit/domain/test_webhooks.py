from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from agegate.domain.ids import ClientId, OperatorId, RecordId, Sub
from agegate.domain.records import Event, EventType
from agegate.domain.webhooks import (
    LEASE,
    RETRIED_FOR,
    RETRY_AFTER,
    Turn,
    WebhookDelivery,
    WebhookState,
    find_earlier,
    headers,
    payload,
    sign,
    to_body,
    trial,
)
from tests.factories import NOON

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
WEB = ClientId("storybuddy-web")


def a_delivery(**overrides: Any) -> WebhookDelivery:
    fields: dict[str, Any] = {
        "id": "wh_1",
        "event_id": "evt_1",
        "client_id": WEB,
        "sub": Sub("sub-mia"),
        "since": NOON,
        "due_at": NOON,
        "created_at": NOON,
    }
    return WebhookDelivery(**{**fields, **overrides})


def an_event(**overrides: Any) -> Event:
    fields: dict[str, Any] = {
        "id": "evt_1",
        "type": EventType.CONSENT_WITHDRAWN,
        "at": NOON,
        "operator_id": OperatorId("storybuddy"),
        "client_id": WEB,
        "sub": Sub("sub-mia"),
        "record": RecordId("cr_1"),
        "state": "withdrawn",
        "seq": 7,
    }
    return Event(**{**fields, **overrides})


def signed_by_the_standards_library(secret: str, id_: str, at: datetime, body: bytes) -> str:
    signature: str = Webhook(secret).sign(id_, at, body.decode())
    return signature


# -- signatures ------------------------------------------------------------------------------------


def test_the_signature_is_the_one_that_the_standards_library_makes() -> None:
    body = to_body(payload(an_event()))
    ours = sign(SECRET, "wh_1", int(NOON.timestamp()), body)
    assert ours == signed_by_the_standards_library(SECRET, "wh_1", NOON, body)
    assert ours.startswith("v1,")


@given(
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.binary(min_size=24, max_size=64),
    st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - given its zone below
)
def test_every_body_and_key_is_signed_alike(text: str, key: bytes, at: datetime) -> None:
    at = at.replace(tzinfo=NOON.tzinfo)
    secret = "whsec_" + base64.b64encode(key).decode()
    body = to_body({"text": text})
    assert sign(secret, "wh_x", int(at.timestamp()), body) == signed_by_the_standards_library(
        secret, "wh_x", at, body
    )


def test_the_standards_own_example_is_signed_as_it_says() -> None:
    """From the specification's reference implementations."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_secrets_change_both_sign_the_newest_first() -> None:
    body = b"{}"
    made = headers("wh_1", body, (SECRET, OTHER), now=NOON)
    first, second = made["webhook-signature"].split(" ")
    assert first == signed_by_the_standards_library(SECRET, "wh_1", NOON, body)
    assert second == signed_by_the_standards_library(OTHER, "wh_1", NOON, body)
    assert made["webhook-id"] == "wh_1"
    assert made["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert made["content-type"] == "application/json"


def test_a_secret_that_is_none_signs_nothing() -> None:
    with pytest.raises(ValueError, match="base64"):
        sign("whsec_not base64!", "wh_1", 0, b"")


# -- payloads --------------------------------------------------------------------------------------


def test_a_payload_holds_ids_and_states_only() -> None:
    assert json.loads(to_body(payload(an_event()))) == {
        "id": "evt_1",
        "type": "consent.withdrawn",
        "timestamp": "2026-11-22T12:00:00+00:00",
        "data": {
            "sub": "sub-mia",
            "client_id": "storybuddy-web",
            "record": "cr_1",
            "state": "withdrawn",
            "seq": 7,
        },
    }


def test_what_an_event_does_not_have_is_left_out() -> None:
    made = payload(an_event(sub=None, record=None, state=None))
    assert made["data"] == {"client_id": "storybuddy-web", "seq": 7}


def test_a_trial_is_about_nobody() -> None:
    assert trial(WEB, now=NOON) == {
        "type": "webhook.test",
        "timestamp": "2026-11-22T12:00:00+00:00",
        "data": {"client_id": "storybuddy-web"},
    }


# -- tries -----------------------------------------------------------------------------------------


def test_a_claim_ends_with_its_lease() -> None:
    claimed = a_delivery().claim(now=NOON)
    assert (claimed.state, claimed.attempts) == (WebhookState.SENDING, 1)
    assert claimed.due_at == NOON + LEASE


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    after = a_delivery().claim(now=NOON).answered(status, now=NOON)
    assert (after.state, after.delivered_at) == (WebhookState.DELIVERED, NOON)
    assert after.last_code == str(status)


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 308, 400, 404, 429, 500, 503])
def test_anything_else_is_tried_again(status: int) -> None:
    after = a_delivery().claim(now=NOON).answered(status, now=NOON)
    assert (after.state, after.last_code) == (WebhookState.WAITING, str(status))
    assert after.due_at == NOON + timedelta(seconds=5)


def test_410_parks_at_once() -> None:
    after = a_delivery().claim(now=NOON).answered(410, now=NOON)
    assert (after.state, after.last_code) == (WebhookState.PARKED, "410")


def _tries(delivery: WebhookDelivery) -> list[timedelta]:
    """When each try comes, if all fail, until it is parked."""
    times = []
    while delivery.state is WebhookState.WAITING:
        now = delivery.due_at
        times.append(now - NOON)
        delivery = delivery.claim(now=now).failed("timeout", now=now)
    assert delivery.state is WebhookState.PARKED
    return times


def test_tries_grow_rarer_and_end_after_three_days() -> None:
    times = _tries(a_delivery())
    waits = [b - a for a, b in pairwise(times)]
    assert times[0] == timedelta(0)
    assert tuple(waits[:10]) == RETRY_AFTER
    assert [w.total_seconds() for w in waits[:9]] == [
        5, 30, 120, 600, 1800, 3600, 10800, 21600, 43200
    ]  # fmt: skip
    assert waits[9] == timedelta(hours=24)
    assert times[-1] == RETRIED_FOR


def test_a_failure_after_three_days_parks_however_few_tries_there_were() -> None:
    late = NOON + RETRIED_FOR
    after = a_delivery().claim(now=late).failed("timeout", now=late)
    assert (after.state, after.attempts) == (WebhookState.PARKED, 1)


def test_a_replay_begins_anew_with_the_old_id() -> None:
    later = NOON + timedelta(days=5)
    again = a_delivery().claim(now=NOON).park("410").replay(now=later)
    assert (again.id, again.state, again.attempts) == ("wh_1", WebhookState.WAITING, 0)
    assert (again.due_at, again.since, again.created_at) == (later, later, NOON)
    assert again.failed("timeout", now=later).state is WebhookState.WAITING


# -- order -----------------------------------------------------------------------------------------


def turns(*states: WebhookState) -> list[Turn]:
    return [
        Turn(delivery=a_delivery(id=f"wh_{n}", state=state), seq=n)
        for n, state in enumerate(states, 1)
    ]


@pytest.mark.parametrize("state", [WebhookState.WAITING, WebhookState.SENDING])
def test_what_is_undelivered_goes_first(state: WebhookState) -> None:
    first, second, third = turns(state, WebhookState.WAITING, WebhookState.WAITING)
    assert find_earlier(third, [third, second, first]) == first.delivery
    assert find_earlier(first, [third, second, first]) is None


@pytest.mark.parametrize("state", [WebhookState.DELIVERED, WebhookState.PARKED])
def test_what_is_over_holds_nobody_up(state: WebhookState) -> None:
    first, second = turns(state, WebhookState.WAITING)
    assert find_earlier(second, [first, second]) is None


def test_what_has_no_number_yet_is_later() -> None:
    first, second = turns(WebhookState.WAITING, WebhookState.WAITING)
    fresh = Turn(delivery=second.delivery, seq=None)
    assert find_earlier(first, [fresh]) is None
    assert find_earlier(fresh, [first]) is None
