"""Who may call what: every blueprint names its rule when it is registered."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from flask import Blueprint, Flask


class Access(StrEnum):
    PUBLIC = "public"
    """Anyone; shows nothing about anyone."""
    OWN_BROWSER = "own_browser"
    """The browser session that began the visit."""
    MAILED_LINK = "mailed_link"
    """Whoever holds a link that we mailed."""
    PARENT = "parent"
    """A parent who signed in by a mailed link."""
    CLIENT = "client"
    """A registered client or service that shows its credentials."""
    SANDBOX = "sandbox"
    """Anyone, in a sandbox; not there in production."""


def register(app: Flask, blueprint: Blueprint, access: Access, **options: Any) -> None:
    app.extensions.setdefault("agegate.access", {})[blueprint.name] = access
    app.register_blueprint(blueprint, **options)
