"""The OpenAPI 3.1 document, made from the models that requests are read with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agegate.domain.consent_record import PATH as SCHEMA_PATH
from agegate.services.records import EVENTS_AT_ONCE, MOST_EVENTS
from agegate.web.api_models import (
    ConsentsAnswer,
    EvaluationAnswer,
    EvaluationRequest,
    EvaluationsAnswer,
    EvaluationsRequest,
    EventsAnswer,
    ProblemDocument,
)
from agegate.wire.scopes import EVALUATION, EVALUATIONS, SERVER_METADATA, TOKEN, Scope

OPENAPI_PATH: Final = "/openapi.json"
OPEN_TO_ALL: Final = frozenset({OPENAPI_PATH, SCHEMA_PATH})
_SCHEMA_FILE: Final = Path(__file__).parent / "schemas" / "consent-record.json"
_COMPONENT: Final = "#/components/schemas/"
_ID: Final = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
_Json = dict[str, Any]

_WHY: Final = {
    400: "The request is not of the described form.",
    401: "No credentials, or none that are good.",
    403: "The caller lacks a scope.",
    404: "Unknown, erased or another operator's: alike.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not `application/json`.",
    503: "Nothing was decided; try again after `Retry-After` seconds.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route of the API. `answers` are models, or the name of a schema of our own."""

    method: str
    path: str
    id: str
    summary: str
    description: str = ""
    bodies: tuple[type[BaseModel], ...] = ()
    answers: tuple[type[BaseModel], ...] = ()
    media_type: str = "application/json"
    schema: Mapping[str, Any] = field(default_factory=dict)
    """Where no model describes the answer."""
    parameters: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[int, ...] = (401, 403)


def _in_path(name: str, description: str) -> Mapping[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": _ID,
    }


_SUB: Final = _in_path("sub", "The pairwise `sub` of a token.")
_RECORD: Final = _in_path("record", "The `consent.record` of a token.")
_RECORD_SCHEMA: Final = {"$ref": _COMPONENT + "ConsentRecord"}

OPERATIONS: Final = (
    Operation(
        method="post",
        path=EVALUATION,
        id="evaluate",
        summary="May this purpose go ahead?",
        description="OpenID AuthZEN Authorization API 1.0. Whatever is unknown or foreign is "
        "`decision: false` with a `reason_code`, never an error.",
        bodies=(EvaluationRequest,),
        answers=(EvaluationAnswer,),
        problems=(400, 401, 403, 413, 415),
    ),
    Operation(
        method="post",
        path=EVALUATIONS,
        id="evaluateMany",
        summary="The same for up to 100 questions at once.",
        description="Members beside `evaluations` are defaults for each question. Without "
        "`evaluations` the request is a single question and so is the answer.",
        bodies=(EvaluationsRequest, EvaluationRequest),
        answers=(EvaluationsAnswer, EvaluationAnswer),
        problems=(400, 401, 403, 413, 415),
    ),
    Operation(
        method="get",
        path="/v1/subjects/{sub}/consents",
        id="listConsents",
        summary="Every consent about one subject, newest first.",
        answers=(ConsentsAnswer,),
        parameters=(_SUB,),
        problems=(401, 403, 404),
    ),
    Operation(
        method="get",
        path="/v1/consents/{record}",
        id="getConsent",
        summary="One consent as an ISO/IEC TS 27560 record.",
        schema=_RECORD_SCHEMA,
        parameters=(_RECORD,),
        problems=(401, 403, 404),
    ),
    Operation(
        method="get",
        path="/v1/consents/{record}/receipt",
        id="getReceipt",
        summary="The record as a signed receipt.",
        description="A compact JWS with `typ: consent-receipt+jwt`, signed by a key of the JWKS; "
        "the receipt is its claim `consent_receipt`.",
        media_type="application/jwt",
        schema={"type": "string", "pattern": r"^[\w-]+\.[\w-]+\.[\w-]+$"},
        parameters=(_RECORD,),
        problems=(401, 403, 404),
    ),
    Operation(
        method="get",
        path="/v1/events",
        id="listEvents",
        summary="What happened at the operator's clients, oldest first.",
        description="Go on with `next` as `after`. Events are kept for 90 days.",
        answers=(EventsAnswer,),
        parameters=(
            {
                "name": "after",
                "in": "query",
                "description": "The cursor of the answer before; without it, from the beginning.",
                "schema": {"type": "string", "pattern": "^(0|[1-9][0-9]{0,17})$"},
            },
            {
                "name": "limit",
                "in": "query",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MOST_EVENTS,
                    "default": EVENTS_AT_ONCE,
                },
            },
        ),
        problems=(400, 401, 403),
    ),
    Operation(
        method="get",
        path=OPENAPI_PATH,
        id="getOpenapi",
        summary="This document.",
        schema={"type": "object", "required": ["openapi", "paths"]},
        problems=(),
    ),
    Operation(
        method="get",
        path=SCHEMA_PATH,
        id="getConsentRecordSchema",
        summary="The JSON Schema of a consent record.",
        media_type="application/schema+json",
        schema={"type": "object", "required": ["$schema", "$id"]},
        problems=(),
    ),
)


def openapi_document(public_url: str) -> _Json:
    """All of `OPERATIONS`, with every schema they name."""
    paths: _Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "agegate",
            "version": "1",
            "description": "May a purpose go ahead for a child, and what did the parent decide? "
            "For services with the scope `consents:read`. Errors are RFC 9457 problem documents; "
            f"the OAuth endpoints describe themselves at `{SERVER_METADATA}`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "externalDocs": {
            "description": "OAuth 2.1 server metadata (RFC 8414)",
            "url": public_url + SERVER_METADATA,
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {_name(status): _problem(status) for status in _WHY},
            "securitySchemes": {
                "serviceToken": {
                    "type": "oauth2",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": public_url + TOKEN,
                            "scopes": {Scope.CONSENTS_READ.value: "read decisions and consents"},
                        }
                    },
                },
                "serviceSecret": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "`client_id` and `client_secret` of a service.",
                },
            },
        },
    }


def _operation(operation: Operation) -> _Json:
    body: _Json = {"operationId": operation.id, "summary": operation.summary}
    if operation.description:
        body["description"] = operation.description
    if operation.parameters:
        body["parameters"] = [dict(parameter) for parameter in operation.parameters]
    if operation.bodies:
        body["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _any_of(operation.bodies)}},
        }
    schema = _any_of(operation.answers) if operation.answers else dict(operation.schema)
    body["responses"] = {
        "200": {
            "description": "The answer.",
            "content": {operation.media_type: {"schema": schema}},
        },
        **{str(s): {"$ref": f"#/components/responses/{_name(s)}"} for s in operation.problems},
    }
    if operation.path in OPEN_TO_ALL:
        body["security"] = []
    else:
        body["responses"]["503"] = {"$ref": f"#/components/responses/{_name(503)}"}
        body["security"] = [{"serviceToken": [Scope.CONSENTS_READ.value]}, {"serviceSecret": []}]
    return body


def _problem(status: int) -> _Json:
    return {
        "description": _WHY[status],
        "content": {"application/problem+json": {"schema": _reference(ProblemDocument)}},
    }


def _name(status: int) -> str:
    return f"Problem{status}"


def _reference(model: type[BaseModel]) -> _Json:
    return {"$ref": _COMPONENT + model.__name__}


def _any_of(models: tuple[type[BaseModel], ...]) -> _Json:
    described = [_reference(model) for model in models]
    return described[0] if len(described) == 1 else {"anyOf": described}


def _schemas() -> _Json:
    requests = {model for op in OPERATIONS for model in op.bodies}
    answers = {model for op in OPERATIONS for model in op.answers} | {ProblemDocument}
    wanted = [(model, "validation") for model in sorted(requests, key=lambda m: m.__name__)]
    wanted += [(model, "serialization") for model in sorted(answers, key=lambda m: m.__name__)]
    _, found = models_json_schema(wanted, ref_template=_COMPONENT + "{model}")  # type: ignore[arg-type]  # Its modes are literals, ours come out of a list.
    record = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    # Published under its own address too; here it is part of this document.
    for name in ("$schema", "$id"):
        record.pop(name)
    return {**found["$defs"], "ConsentRecord": record}
