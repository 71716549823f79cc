"""What the production server loads in each of its workers."""

from __future__ import annotations

import os

from flask import Flask

from agegate.bootstrap import open_services
from agegate.settings import Settings
from agegate.web import create_app


def app() -> Flask:
    """The application, wired from the environment. A worker is a process, so this is its start."""
    return create_app(open_services(Settings.from_env(os.environ)))  # noqa: TID251 - see above
