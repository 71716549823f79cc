"""Pages for anyone: the front door, the online notice, health."""

from __future__ import annotations

from flask import Blueprint, abort, jsonify
from flask.typing import ResponseReturnValue

from agegate.bootstrap import Services, is_ready
from agegate.domain.consent import PENDING_FOR
from agegate.domain.operators import Operator
from agegate.domain.records import OperatorEntry
from agegate.services.screening import BROWSER_REMEMBERS_FOR
from agegate.web.rendering import page, page_language
from agegate.web.words import day_in_words, translator


def public_blueprint(services: Services) -> Blueprint:
    bp = Blueprint("public", __name__)

    @bp.get("/")
    def home() -> ResponseReturnValue:
        mailbox = "/sandbox/mailbox" if services.sandbox else None
        return page("home", parent_url="/parent/", mailbox_url=mailbox, docs_url="/openapi.json")

    @bp.get("/notice/<operator_id>")
    def notice(operator_id: str) -> ResponseReturnValue:
        with services.core.store.read() as r:
            entry = r.find(OperatorEntry, operator_id)
        if entry is None:
            abort(404)
        operator = entry.operator
        return page(
            "online_notice",
            operator=operator,
            apps=[client.display_name for client in operator.clients],
            purposes=_purposes(operator),
            can_publish=False,
            cookie_hours=int(BROWSER_REMEMBERS_FOR.total_seconds() // 3600),
            keep_days=PENDING_FOR.days,
            updated_on=day_in_words(entry.applied_at, page_language()),
            parent_url="/parent/",
        )

    @bp.get("/healthz")
    def alive() -> ResponseReturnValue:
        return jsonify(status="ok")

    @bp.get("/readyz")
    def ready() -> ResponseReturnValue:
        checks = is_ready(services)
        fine = all(checks.values())
        return jsonify(status="ok" if fine else "not ready", checks=checks), 200 if fine else 503

    return bp


def _purposes(operator: Operator) -> list[dict[str, object]]:
    t = translator(page_language())
    return [
        {
            "id": p.id,
            "title": p.title,
            "kind": p.kind.value,
            "core": p.core,
            "data": p.data,
            "use": p.use,
            "retention": t("common.days", count=p.retention_days),
            "recipients": [
                {
                    "name": r.name,
                    "category": r.category,
                    "aims": ", ".join(t(f"aim.{aim.value}") for aim in r.aims),
                    "role": r.role.value,
                    "integral_reason": r.integral_reason if r.integral else None,
                }
                for r in operator.recipients_of(p)
            ],
        }
        for p in operator.purposes
    ]
