"""Pages for anyone: the front door, the online notice, health."""

from __future__ import annotations

from flask import Blueprint, abort, jsonify
from flask.typing import ResponseReturnValue

from agegate.bootstrap import Services, is_ready
from agegate.domain.online_notices import online_notice, require_complete
from agegate.domain.records import OperatorEntry
from agegate.domain.words import language_of
from agegate.services.screening import BROWSER_REMEMBERS_FOR
from agegate.web.rendering import page, page_language
from agegate.web.words import day_in_words


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
        notice = online_notice(
            entry.operator,
            language=language_of(page_language()),
            portal_url=f"{services.settings.public_url}/parent/",
            memory_hours=int(BROWSER_REMEMBERS_FOR.total_seconds() // 3600),
        )
        require_complete(notice)
        return page(
            "online_notice",
            operator=entry.operator,
            title=notice.title,
            sections=notice.sections,
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
