"""The server's door: `wsgi:application` for any WSGI server."""

from __future__ import annotations

import os

from agegate.bootstrap import open_services
from agegate.settings import Settings
from agegate.web import create_app

application = create_app(open_services(Settings.from_env(os.environ)))
