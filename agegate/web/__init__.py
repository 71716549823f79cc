"""The service's Flask application, in one readable list."""

from __future__ import annotations

import logging

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from agegate.bootstrap import Services
from agegate.web import problems, security
from agegate.web.access import Access, register
from agegate.web.api import api_blueprint
from agegate.web.consent import consent_blueprint
from agegate.web.hot import HotAnswers
from agegate.web.oauth import oauth_blueprint
from agegate.web.parents import parents_blueprint
from agegate.web.public import public_blueprint
from agegate.web.sandbox import sandbox_blueprint
from agegate.web.screening import screening_blueprint

_LARGEST_BODY = 256 * 1024


def create_app(services: Services) -> Flask:
    settings = services.settings
    app = Flask("agegate.web", static_folder="static", template_folder="templates")
    app.config.update(
        MAX_CONTENT_LENGTH=_LARGEST_BODY,
        MAX_FORM_MEMORY_SIZE=_LARGEST_BODY,
        MAX_FORM_PARTS=100,
        SANDBOX=settings.sandbox,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    # Authlib's debug lines hold tokens.
    logging.getLogger("authlib").setLevel(logging.INFO)

    browser = security.BrowserSession(settings, services.cookie_key)
    forms = security.FormGuard(services.csrf_key, browser)
    security.install(app, settings, browser)
    problems.install(app)

    register(app, public_blueprint(services), Access.PUBLIC)
    register(app, oauth_blueprint(app, services, browser), Access.CLIENT)
    register(app, screening_blueprint(services, browser, forms), Access.OWN_BROWSER)
    register(app, consent_blueprint(services, browser, forms), Access.MAILED_LINK)
    register(app, parents_blueprint(services, browser, forms), Access.PARENT)
    register(app, api_blueprint(services), Access.CLIENT)
    if services.sandbox is not None:
        register(app, sandbox_blueprint(services), Access.SANDBOX)

    app.wsgi_app = HotAnswers(  # type: ignore[assignment]  # Flask's own way to add middleware.
        app.wsgi_app,
        stamp=services.core.store.stamp,
        now=lambda: services.core.now().timestamp(),
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        # Never X-Forwarded-Host: every address we write comes from AGEGATE_PUBLIC_URL.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]  # Flask's own way to add middleware.
    return app
