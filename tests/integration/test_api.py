"""The API as a back end meets it: over HTTP, on a real database, with real credentials."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from joserfc import jwt
from joserfc.jwk import KeySet
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from werkzeug.test import TestResponse

from agegate.adapters.db.store import SqlStore
from agegate.bootstrap import Services, open_services
from agegate.cli.ledger import verify_signature
from agegate.domain.ledger_files import check_file
from agegate.services.decisions import Reason
from agegate.settings import Settings
from agegate.web import create_app
from agegate.web.api import LARGEST_BODY
from agegate.web.api_models import (
    ConsentsAnswer,
    EvaluationAnswer,
    EvaluationsAnswer,
    EventsAnswer,
    ProblemDocument,
)
from agegate.web.openapi import OPEN_TO_ALL, OPERATIONS, Operation
from tests.factories import a_client, a_service, an_operator
from tests.unit.services.parts import CHAT, LAB, OTHERS, Parts

URL = "http://127.0.0.1:8000"
SECRET = "secret of storybuddy-api"
QUESTION: dict[str, Any] = {
    "subject": {"type": "subject", "id": "sub-mia"},
    "action": {"name": CHAT},
    "resource": {"type": "client", "id": "storybuddy-web"},
}


class Live(Parts):
    """The same helpers over a deployment's own services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.core = services.core
        self.store: Any = services.core.store
        self.tokens = services.tokens
        self.now = services.core.now()
        self.apply(an_operator())
        self.apply(
            an_operator(
                id=OTHERS,
                services=(a_service(id="other-api"),),
                clients=(a_client(id="other-web"),),
            )
        )


@contextmanager
def opened(database_url: str, public_url: str = URL) -> Iterator[Services]:
    env = {"AGEGATE_ENV": "test", "AGEGATE_DATABASE_URL": database_url}
    services = open_services(Settings.from_env(env | {"AGEGATE_PUBLIC_URL": public_url}))
    yield services
    assert isinstance(services.core.store, SqlStore)
    services.core.store.close()


@pytest.fixture
def services(migrated_sqlite_url: str) -> Iterator[Services]:
    with opened(migrated_sqlite_url) as services:
        yield services


@pytest.fixture
def live(services: Services) -> Live:
    return Live(services)


@pytest.fixture
def app(services: Services, live: Live) -> Flask:
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def basic(name: str = "storybuddy-api", secret: str | None = None) -> dict[str, str]:
    pair = f"{name}:{secret or f'secret of {name}'}".replace(" ", "+")
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def bearer(client: FlaskClient, **form: str) -> dict[str, str]:
    answer = client.post(
        "/oauth/token", data={"grant_type": "client_credentials", **form}, headers=basic()
    )
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json['access_token']}"}  # type: ignore[index]  # It is an object.


def ask(client: FlaskClient, body: object = None, **headers: str) -> TestResponse:
    return client.post(
        "/access/v1/evaluation", json=QUESTION if body is None else body, headers=headers or basic()
    )


def assert_problem(answer: TestResponse, status: int, code: str) -> None:
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    problem = ProblemDocument.model_validate(answer.json)
    assert (problem.status, problem.code.value) == (status, code)
    assert problem.request_id == answer.headers["X-Request-ID"]


# --- decisions ---------------------------------------------------------------------------------


def test_a_granted_purpose_may_go_ahead_and_a_withdrawal_shows_at_once(
    client: FlaskClient, live: Live
) -> None:
    live.granted()
    answer = ask(client)
    assert answer.status_code == 200
    found = EvaluationAnswer.model_validate_json(answer.data)
    assert (found.decision, found.context.reason_code) == (True, Reason.GRANTED)
    assert found.context.obligations.ai_disclosure is True
    live.change("cr_1", "withdraw")
    again = EvaluationAnswer.model_validate_json(ask(client).data)
    assert (again.decision, again.context.reason_code) == (False, Reason.WITHDRAWN)


def test_an_access_token_of_a_child_can_be_asked_about(client: FlaskClient, live: Live) -> None:
    token = live.access_token(live.granted())
    about = QUESTION | {"subject": {"type": "token", "id": token}}
    assert ask(client, about).json["decision"] is True  # type: ignore[index]  # It is an object.


def test_an_operator_asks_about_its_own_clients_only(client: FlaskClient, live: Live) -> None:
    live.granted()
    answer = ask(client, **basic("other-api")).json
    assert answer is not None
    assert (answer["decision"], answer["context"]["reason_code"]) == (False, "unknown_client")
    assert answer["context"]["record"] is None


def test_members_of_authzen_that_we_do_not_use_are_let_pass(
    client: FlaskClient, live: Live
) -> None:
    live.granted()
    body = {
        "subject": QUESTION["subject"] | {"properties": {"department": "stories"}},
        "action": QUESTION["action"] | {"properties": {"method": "POST"}},
        "resource": QUESTION["resource"] | {"properties": {}},
        "context": {"time": "2026-11-22T12:00:00Z"},
        "something_new": [1, 2],
    }
    assert ask(client, body).json["decision"] is True  # type: ignore[index]  # It is an object.


def ask_many(client: FlaskClient, body: dict[str, Any]) -> TestResponse:
    return client.post("/access/v1/evaluations", json=body, headers=basic())


def test_defaults_are_merged_into_each_question(client: FlaskClient, live: Live) -> None:
    live.granted()
    body = QUESTION | {
        "evaluations": [
            {},
            {"action": {"name": LAB}},
            {"subject": {"type": "subject", "id": "sub-nobody"}},
        ]
    }
    answers = EvaluationsAnswer.model_validate_json(ask_many(client, body).data).evaluations
    assert [a.context.reason_code.value for a in answers] == [
        "granted",
        "purpose_refused",
        "unknown_subject",
    ]


def test_a_question_that_stays_incomplete_is_a_no_of_its_own(
    client: FlaskClient, live: Live
) -> None:
    live.granted()
    without = {k: v for k, v in QUESTION.items() if k != "action"}
    body = without | {"evaluations": [{"action": {"name": CHAT}}, {}]}
    answer = ask_many(client, body).json
    assert answer is not None
    reasons = [a["context"]["reason_code"] for a in answer["evaluations"]]
    assert reasons == ["granted", "incomplete_question"]


@pytest.mark.parametrize(
    ("semantic", "expected"),
    [
        ("execute_all", [False, True, False]),
        ("deny_on_first_deny", [False]),
        ("permit_on_first_permit", [False, True]),
    ],
)
def test_the_semantic_is_the_callers_choice(
    client: FlaskClient, live: Live, semantic: str, expected: list[bool]
) -> None:
    live.granted()
    body = QUESTION | {
        "evaluations": [{"action": {"name": name}} for name in (LAB, CHAT, LAB)],
        "options": {"evaluations_semantic": semantic, "another_option": 1},
    }
    answer = ask_many(client, body).json
    assert answer is not None
    assert [a["decision"] for a in answer["evaluations"]] == expected


@pytest.mark.parametrize("more", [{}, {"evaluations": []}])
def test_without_questions_inside_the_request_is_the_question(
    client: FlaskClient, live: Live, more: dict[str, Any]
) -> None:
    live.granted()
    answer = EvaluationAnswer.model_validate_json(ask_many(client, QUESTION | more).data)
    assert answer.decision is True


# --- bad input ---------------------------------------------------------------------------------

_S, _A, _R = QUESTION["subject"], QUESTION["action"], QUESTION["resource"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "text",
        {"subject": _S, "action": _A},
        QUESTION | {"subject": {"type": "subject"}},
        QUESTION | {"subject": {"type": "subject", "id": ""}},
        QUESTION | {"subject": {"type": "subject", "id": 7}},
        QUESTION | {"subject": {"type": "subject", "id": None}},
        QUESTION | {"subject": {"type": "subject", "id": ["sub-mia"]}},
        QUESTION | {"subject": {"type": "subject", "id": "x" * 16_385}},
        QUESTION | {"subject": "sub-mia"},
        QUESTION | {"action": {"name": True}},
        QUESTION | {"action": {"name": "x" * 256}},
        QUESTION | {"resource": {"type": "client", "id": {}}},
        QUESTION | {"context": "now"},
    ],
    ids=lambda body: json.dumps(body)[:60],
)
def test_a_body_of_another_shape_is_a_problem_and_repeats_nothing(
    client: FlaskClient, body: object
) -> None:
    answer = client.post(
        "/access/v1/evaluation",
        data=json.dumps(body),
        content_type="application/json",
        headers=basic(),
    )
    assert_problem(answer, 400, "invalid_request")
    assert "xxx" not in answer.text
    assert "sub-mia" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        json.dumps(QUESTION).encode("utf-16"),
        b'{"subject": NaN}',
        b'{"action": {"name": "ai_chat"}, "action": {"name": "ai_chat"}}',
        b"[" * 30_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "half", "bytes", "utf-16", "NaN", "doubled", "deep", "long number"],
)
def test_what_is_not_json_is_a_problem(client: FlaskClient, body: bytes) -> None:
    for path in ("/access/v1/evaluation", "/access/v1/evaluations"):
        answer = client.post(path, data=body, content_type="application/json", headers=basic())
        assert_problem(answer, 400, "invalid_request")


def test_a_doubled_member_anywhere_is_refused(client: FlaskClient, live: Live) -> None:
    live.granted()
    text = json.dumps(QUESTION).replace('"id": "sub-mia"', '"id": "sub-mia", "id": "sub-leo"')
    answer = client.post(
        "/access/v1/evaluation", data=text, content_type="application/json", headers=basic()
    )
    assert_problem(answer, 400, "invalid_request")


def test_a_body_over_64_kib_is_too_large(client: FlaskClient) -> None:
    body = json.dumps(QUESTION | {"context": {"padding": "x" * LARGEST_BODY}})
    answer = client.post(
        "/access/v1/evaluation", data=body, content_type="application/json", headers=basic()
    )
    assert_problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    "media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/json-seq"]
)
def test_only_json_is_read(client: FlaskClient, media_type: str) -> None:
    answer = client.post(
        "/access/v1/evaluation",
        data=json.dumps(QUESTION),
        content_type=media_type,
        headers=basic(),
    )
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "evaluations",
    [None, {}, "all", [None], ["x"], [[]], [{}] * 101, [{"subject": {"id": "sub-mia"}}]],
    ids=lambda v: json.dumps(v)[:30],
)
def test_a_list_of_another_shape_is_a_problem(client: FlaskClient, evaluations: object) -> None:
    answer = ask_many(client, QUESTION | {"evaluations": evaluations})
    assert_problem(answer, 400, "invalid_request") if evaluations != {} else None
    assert answer.status_code == 400


@pytest.mark.parametrize("semantic", ["", "EXECUTE_ALL", "permit_first", 1, None, ["execute_all"]])
def test_an_unknown_semantic_is_a_problem(client: FlaskClient, semantic: object) -> None:
    body = QUESTION | {"evaluations": [{}], "options": {"evaluations_semantic": semantic}}
    assert_problem(ask_many(client, body), 400, "invalid_request")


@pytest.mark.parametrize(
    "query",
    ["after=", "after=x", "after=-1", "after=0&after=0", "limit=", "limit=0", "limit=501",
     "limit=1&limit=1", "limit=ten", "limit=%D9%A3", "limit=1e2", "after=%00"],
)  # fmt: skip
def test_a_strange_cursor_or_limit_is_a_problem(client: FlaskClient, query: str) -> None:
    assert_problem(client.get(f"/v1/events?{query}", headers=basic()), 400, "invalid_request")


@pytest.mark.parametrize(
    "name", ["sub-nobody", "%00", "%FF%FE", "x" * 300, "%2e%2e%2f", "%F0%9F%A6%84"]
)
def test_whatever_is_unknown_is_not_found(client: FlaskClient, name: str) -> None:
    for path in (
        f"/v1/subjects/{name}/consents",
        f"/v1/consents/{name}",
        f"/v1/consents/{name}/receipt",
    ):
        assert_problem(client.get(path, headers=basic()), 404, "not_found")


# --- who may ask -------------------------------------------------------------------------------


def protected() -> list[tuple[str, str]]:
    return [
        (op.method, op.path.replace("{", "").replace("}", ""))
        for op in OPERATIONS
        if op.path not in OPEN_TO_ALL
    ]


@pytest.mark.parametrize(("method", "path"), protected())
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic \xff"},
        {"Authorization": "Basic bm9ib2R5"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Digest abc"},
        basic(secret="wrong"),
        basic("nobody"),
        basic("story\x00buddy"),
        basic("störybuddy"),
    ],
    ids=lambda h: str(h.get("Authorization"))[:16],
)
def test_nobody_gets_in_without_credentials(
    client: FlaskClient, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = client.open(path, method=method.upper(), headers=headers, json=QUESTION)
    assert_problem(answer, 401, "unauthorized")
    challenges = answer.headers.getlist("WWW-Authenticate")
    assert [c.split()[0] for c in challenges] == ["Basic", "Bearer"]


def test_a_service_shows_its_secret_or_a_token(client: FlaskClient, live: Live) -> None:
    live.granted()
    assert ask(client, **basic()).status_code == 200
    assert ask(client, **bearer(client)).status_code == 200


def test_an_app_and_a_childs_token_are_not_enough(client: FlaskClient, live: Live) -> None:
    token = live.access_token(live.granted())
    for headers in (basic("storybuddy-web"), {"Authorization": f"Bearer {token}"}):
        answer = ask(client, **headers)
        assert_problem(answer, 403, "insufficient_scope")
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_a_token_without_the_scope_is_not_enough(client: FlaskClient, live: Live) -> None:
    assert_problem(ask(client, **bearer(client, scope="events:write")), 403, "insufficient_scope")


def test_a_scope_that_is_taken_away_ends_at_once(client: FlaskClient, live: Live) -> None:
    headers = bearer(client)
    live.apply(an_operator(services=(a_service(scopes=("events:write",)),)))
    assert_problem(ask(client, **headers), 403, "insufficient_scope")
    assert_problem(ask(client, **basic()), 403, "insufficient_scope")


def test_a_revoked_token_is_not_good(client: FlaskClient, live: Live) -> None:
    headers = bearer(client)
    token = headers["Authorization"].partition(" ")[2]
    assert client.post("/oauth/revoke", data={"token": token}, headers=basic()).status_code == 200
    answer = ask(client, **headers)
    assert_problem(answer, 401, "unauthorized")


def test_a_token_for_another_address_of_ours_is_not_good(
    client: FlaskClient, migrated_sqlite_url: str
) -> None:
    headers = bearer(client)
    with opened(migrated_sqlite_url, "http://localhost:8000") as elsewhere:
        answer = ask(create_app(elsewhere).test_client(), **headers)
    assert_problem(answer, 401, "unauthorized")


def test_two_authorization_headers_are_not_good(client: FlaskClient) -> None:
    header = ("Authorization", basic()["Authorization"])
    answer = client.get("/v1/events", headers=[header, header])
    assert_problem(answer, 401, "unauthorized")


def test_other_methods_are_told_which_ones_there_are(client: FlaskClient) -> None:
    answer = client.put("/access/v1/evaluation", headers=basic())
    assert_problem(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def test_a_request_id_is_echoed(client: FlaskClient, live: Live) -> None:
    answer = ask(client, **basic(), **{"X-Request-ID": "bfe9eb29-ab87"})
    assert answer.headers["X-Request-ID"] == "bfe9eb29-ab87"


# --- records, receipts, events -----------------------------------------------------------------


def test_a_subjects_consents_are_listed(client: FlaskClient, live: Live) -> None:
    live.granted()
    answer = client.get("/v1/subjects/sub-mia/consents", headers=basic())
    (consent,) = ConsentsAnswer.model_validate_json(answer.data).consents
    assert (consent.record, consent.purposes, consent.refused) == ("cr_1", [CHAT], [LAB])
    other = client.get("/v1/subjects/sub-mia/consents", headers=basic("other-api"))
    assert_problem(other, 404, "not_found")


def test_law_80_a_record_validates_against_the_published_schema(
    client: FlaskClient, live: Live
) -> None:
    live.granted()
    published = client.get("/schemas/consent-record.json")
    assert published.mimetype == "application/schema+json"
    record = client.get("/v1/consents/cr_1", headers=basic())
    Draft202012Validator(published.get_json(force=True)).validate(record.json)
    assert_problem(client.get("/v1/consents/cr_1", headers=basic("other-api")), 404, "not_found")


def test_law_83_a_receipt_verifies_with_the_published_keys(client: FlaskClient, live: Live) -> None:
    live.granted()
    answer = client.get("/v1/consents/cr_1/receipt", headers=basic())
    assert (answer.status_code, answer.mimetype) == (200, "application/jwt")
    keys = KeySet.import_key_set(client.get("/oauth/jwks.json").json)  # type: ignore[arg-type]  # It is an object.
    token = jwt.decode(answer.text, keys, algorithms=["ES256"])
    assert token.header["typ"] == "consent-receipt+jwt"
    assert token.claims["iss"] == URL
    assert token.claims["consent_receipt"]["record_id"] == "cr_1"
    foreign = client.get("/v1/consents/cr_1/receipt", headers=basic("other-api"))
    assert_problem(foreign, 404, "not_found")


def test_events_are_read_to_the_end_by_their_cursor(client: FlaskClient, live: Live) -> None:
    live.granted()
    live.change("cr_1", "withdraw")
    types, after = [], None
    for _ in range(4):
        query = {"limit": "1"} | ({"after": after} if after else {})
        answer = client.get("/v1/events", query_string=query, headers=basic())
        page = EventsAnswer.model_validate_json(answer.data)
        types += [event.type.value for event in page.events]
        after = page.next
    assert sorted(types) == ["consent.granted", "consent.requested", "consent.withdrawn"]
    assert client.get("/v1/events", headers=basic("other-api")).json == {"events": [], "next": "0"}


def test_no_answer_holds_a_parents_address_or_an_inner_id(client: FlaskClient, live: Live) -> None:
    live.granted()
    paths = ("/v1/subjects/sub-mia/consents", "/v1/consents/cr_1", "/v1/events")
    text = "".join(client.get(path, headers=basic()).text for path in paths) + ask(client).text
    assert "pa_maria" not in text
    assert "su_mia" not in text


# --- PostgreSQL --------------------------------------------------------------------------------


def test_the_answers_are_the_same_on_postgresql(migrated_postgres_url: str) -> None:
    with opened(migrated_postgres_url) as services:
        live = Live(services)
        client = create_app(services).test_client()
        live.granted()
        assert ask(client).json["decision"] is True  # type: ignore[index]  # It is an object.
        live.change("cr_1", "withdraw")
        answer = ask(client).json
        assert answer is not None
        assert answer["context"]["reason_code"] == "withdrawn"
        record = client.get("/v1/consents/cr_1", headers=basic()).json
        assert record is not None
        assert record["events"][-1]["event_state"] == "dpv:ConsentWithdrawn"
        events = client.get("/v1/events", headers=basic()).json
        assert events is not None
        assert [e["type"] for e in events["events"]][-1] == "consent.withdrawn"
        assert services.ledger.verify().ok
        assert check_file(services.ledger.export(), verify=verify_signature).ok
        assert check_file([json.dumps(services.ledger.prove("cr_1"))], verify=verify_signature).ok


def test_bytes_that_postgresql_cannot_hold_are_no_server_error(migrated_postgres_url: str) -> None:
    with opened(migrated_postgres_url) as services:
        Live(services)
        client = create_app(services).test_client()
        for name in ("%00", "a%00b", "%ED%A0%80"):
            for path in (f"/v1/subjects/{name}/consents", f"/v1/consents/{name}"):
                assert_problem(client.get(path, headers=basic()), 404, "not_found")
        assert ask(client, **basic("story\x00buddy")).status_code == 401
        about = QUESTION | {"subject": {"type": "subject", "id": "sub\x00mia"}}
        assert ask(client, about).json["decision"] is False  # type: ignore[index]  # It is an object.


# --- the document ------------------------------------------------------------------------------


def test_every_route_of_the_api_is_described_and_every_description_is_a_route(app: Flask) -> None:
    methods = {"GET", "POST", "PUT", "PATCH", "DELETE"}
    routes = {
        (method.lower(), rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.")
        for method in (rule.methods or set()) & methods
    }
    assert {(op.method, op.path) for op in OPERATIONS} == routes
    document = app.test_client().get("/openapi.json").json
    assert document is not None
    described = {(m, path) for path, item in document["paths"].items() for m in item}
    assert described == routes
    assert document["openapi"].startswith("3.1")


@pytest.fixture
def api_schema(app: Flask, live: Live) -> schemathesis.BaseSchema:
    live.granted()
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=_CONFIG)


# A body that is wrong and huge is refused for being huge: 413 is a refusal like the others.
_CONFIG = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}}}
)
TRIED = [
    (operation, mode)
    for operation in OPERATIONS
    for mode in GenerationMode
    # Without parameters and body there is nothing to get wrong.
    if mode is GenerationMode.POSITIVE or operation.parameters or operation.bodies
]


@pytest.mark.parametrize(("operation", "mode"), TRIED, ids=lambda v: getattr(v, "id", v))
def test_the_document_is_true(
    api_schema: schemathesis.BaseSchema, operation: Operation, mode: GenerationMode
) -> None:
    """Requests of and against every description: what is promised comes back, and nothing else."""
    described = api_schema[operation.path][operation.method.upper()]

    @given(case=described.as_strategy(generation_mode=mode))
    @bounded(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def try_one(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=basic())

    try_one()
