"""JSON for clients' back ends: decisions, consents, receipts, events."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from flask import Blueprint, Flask, Response, g, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from agegate.bootstrap import Services
from agegate.domain.consent_record import PATH as SCHEMA_PATH
from agegate.domain.errors import InvalidRequestError
from agegate.services.records import EVENTS_AT_ONCE, MOST_EVENTS
from agegate.web import access, hot
from agegate.web.api_access import RefusedCaller, require_service
from agegate.web.api_models import EvaluationRequest, EvaluationsRequest
from agegate.web.openapi import OPEN_TO_ALL, openapi_document
from agegate.wire.scopes import EVALUATION, EVALUATIONS, Scope

LARGEST_BODY: Final = 64 * 1024
RECEIPT_MEDIA_TYPE: Final = "application/jwt"
_MOST_SHOWN: Final = 5
_MOST_DIGITS: Final = 9
_SCHEMA: Final = Path(__file__).parent / "schemas" / "consent-record.json"

M = TypeVar("M", bound=BaseModel)


def register(app: Flask, services: Services) -> None:
    access.register(app, api_blueprint(services), access.Access.CLIENT)


def api_blueprint(services: Services) -> Blueprint:
    """Every endpoint but the two public documents asks for a service with `consents:read`."""
    bp = Blueprint("api", __name__)
    decisions, records = services.decisions, services.records

    @bp.before_request
    def _who() -> Response | None:
        request.max_content_length = LARGEST_BODY
        if request.path in OPEN_TO_ALL:
            return None
        try:
            g.operator_id = require_service(services, Scope.CONSENTS_READ)
        except RefusedCaller as refused:
            return refused.response
        return None

    @bp.post(EVALUATION)
    def evaluation() -> ResponseReturnValue:
        question = _body(EvaluationRequest).question()
        decision = decisions.evaluate(g.operator_id, question)
        hot.keep(again=partial(decisions.log, decision))
        return jsonify(decision.to_json())

    @bp.post(EVALUATIONS)
    def evaluations() -> ResponseReturnValue:
        raw = _json_body()
        if isinstance(raw, dict) and raw.get("evaluations", []) == []:
            # AuthZEN 1.0, 7.1: without questions inside, the request itself is the question.
            single = _parse(EvaluationRequest, raw).question()
            return jsonify(decisions.evaluate(g.operator_id, single).to_json())
        asked = _parse(EvaluationsRequest, raw)
        semantic = asked.options.evaluations_semantic
        answers = decisions.evaluate_many(g.operator_id, asked.questions(), semantic=semantic)
        return jsonify({"evaluations": [answer.to_json() for answer in answers]})

    @bp.get("/v1/subjects/<sub>/consents", merge_slashes=False)
    def consents(sub: str) -> ResponseReturnValue:
        return jsonify(records.consents_of(g.operator_id, sub))

    @bp.get("/v1/consents/<record>", merge_slashes=False)
    def consent(record: str) -> ResponseReturnValue:
        return jsonify(records.record(g.operator_id, record))

    @bp.get("/v1/consents/<record>/receipt", merge_slashes=False)
    def receipt(record: str) -> ResponseReturnValue:
        return Response(records.receipt(g.operator_id, record), mimetype=RECEIPT_MEDIA_TYPE)

    @bp.get("/v1/events")
    def events() -> ResponseReturnValue:
        limit = _number("limit", EVENTS_AT_ONCE, most=MOST_EVENTS)
        return jsonify(records.events(g.operator_id, after=_once("after"), limit=limit))

    _add_documents(bp, services.settings.public_url)
    return bp


def _add_documents(bp: Blueprint, public_url: str) -> None:
    document = openapi_document(public_url)
    schema = _SCHEMA.read_text(encoding="utf-8")

    @bp.get("/openapi.json")
    def openapi() -> ResponseReturnValue:
        return jsonify(document)

    @bp.get(SCHEMA_PATH)
    def record_schema() -> ResponseReturnValue:
        return Response(schema, mimetype="application/schema+json")


# --- reading a request strictly ----------------------------------------------------------------


def _body(model: type[M]) -> M:
    return _parse(model, _json_body())


def _parse(model: type[M], raw: object) -> M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        # Place and kind of each fault, never the value: it may be somebody's token.
        faults = [
            f"{'.'.join(str(part)[:40] for part in fault['loc']) or 'the body'}: {fault['type']}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise InvalidRequestError("; ".join(faults[:_MOST_SHOWN])) from None


def _json_body() -> object:
    """RFC 8259 in UTF-8, no member twice.

    Raises `InvalidRequestError`, and werkzeug's 413 and 415.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    data = request.get_data(cache=False)  # no more than `max_content_length`
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_no_doubles, parse_constant=_no_constants
        )
    except (ValueError, RecursionError):
        # A parser's message repeats what it read, so it is left out.
        raise InvalidRequestError("the body is not JSON in UTF-8 with each member once") from None


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member twice")
    return found


def _no_constants(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _once(name: str) -> str | None:
    values = request.args.getlist(name)
    if len(values) > 1:
        raise InvalidRequestError(f"{name} was sent more than once")
    return values[0] if values else None


def _number(name: str, default: int, *, most: int) -> int:
    text = _once(name)
    if text is None:
        return default
    fine = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    if not fine or not 1 <= int(text) <= most:
        raise InvalidRequestError(f"{name} is a number from 1 to {most}")
    return int(text)
