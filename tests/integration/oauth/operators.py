"""Two operators: one with a client of every kind, and a stranger who must learn nothing."""

from __future__ import annotations

CALLBACK = "https://storybuddy.example/callback"
API = "https://api.storybuddy.example"
SECOND_API = "https://art.storybuddy.example"
AI_CHAT = "ai_chat"
LAB = "disclose:researchlab"

STORYBUDDY = f"""
[operator]
id = "storybuddy"
legal_name = "StoryBuddy Inc."
address = "1 Main Street, Springfield, IL 62701, USA"
phone = "+1 217 555 0100"
email = "privacy@storybuddy.example"
establishment = "US"
online_notice_url = "https://storybuddy.example/children"

[[recipient]]
id = "researchlab"
name = "University Reading Lab"
category = "research"
role = "third_party"
aims = ["analytics"]
written_assurance = {{ date = 2026-03-01, scope = "confidentiality, security" }}

[[purpose]]
id = "ai_chat"
kind = "collect_use"
title = "Make stories with an AI"
data = ["chat messages", "account identifier"]
use = "Sent to the AI model to write the next part of the story."
retention_days = 30
core = true

[[purpose]]
id = "disclose:researchlab"
kind = "disclose"
recipient = "researchlab"
title = "Share reading progress with researchers"
data = ["reading level", "time spent"]
use = "To study how children learn to read."
retention_days = 365

[[service]]
id = "api"
name = "StoryBuddy API"
auth_method = "client_secret_basic"
resource = "{API}"
scopes = ["consents:read", "policies:read"]

[[service]]
id = "art-api"
name = "StoryBuddy Art API"
auth_method = "client_secret_post"
resource = "{SECOND_API}"
scopes = ["consents:read"]
"""

_CLIENT = """
[[client]]
id = "{id}"
name = "StoryBuddy"
audience_type = "{audience}"
redirect_uris = {redirects}
auth_method = "{auth}"
resource = {resources}
purposes = ["ai_chat", "disclose:researchlab"]
under_threshold = "{under}"
regions = {regions}
age_methods = ["age_screen"]
vpc_methods = ["payment_transaction"]
native = {native}
"""


def _client(
    id_: str,
    *,
    auth: str = "client_secret_basic",
    redirects: tuple[str, ...] = (CALLBACK,),
    resources: tuple[str, ...] = (API,),
    regions: tuple[str, ...] = ("US",),
    under: str = "parental_consent",
    audience: str = "mixed_audience",
    native: bool = False,
) -> str:
    return _CLIENT.format(
        id=id_,
        auth=auth,
        redirects=_list(redirects),
        resources=_list(resources),
        regions=_list(regions),
        under=under,
        audience=audience,
        native=str(native).lower(),
    )


def _list(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


STORYBUDDY += "".join(
    (
        _client("web", redirects=(CALLBACK, f"{CALLBACK}?app=2")),
        _client("post", auth="client_secret_post"),
        _client("spa", auth="none"),
        _client(
            "native",
            auth="none",
            native=True,
            redirects=("https://storybuddy.example/app", "http://127.0.0.1/cb", "http://[::1]/cb"),
        ),
        _client("both", resources=(API, SECOND_API)),
        _client("world", regions=("US", "DE", "GB")),
        _client("calm", under="limited"),
        _client("grown", under="block", audience="general_audience"),
    )
)

PAINTPALS = """
[operator]
id = "paintpals"
legal_name = "PaintPals Ltd."
address = "2 High Street, London N1 9GU, UK"
phone = "+44 20 7946 0000"
email = "privacy@paintpals.example"
establishment = "GB"

[[purpose]]
id = "ai_chat"
kind = "collect_use"
title = "Paint with an AI"
data = ["pictures"]
use = "Sent to the AI model."
retention_days = 30
core = true

[[service]]
id = "paint-api"
name = "PaintPals API"
auth_method = "client_secret_basic"
resource = "https://api.storybuddy.example"
scopes = ["consents:read"]

[[client]]
id = "paint"
name = "PaintPals"
audience_type = "mixed_audience"
redirect_uris = ["https://paintpals.example/callback"]
auth_method = "client_secret_basic"
resource = "https://api.paintpals.example"
purposes = ["ai_chat"]
under_threshold = "parental_consent"
regions = ["US"]
age_methods = ["age_screen"]
vpc_methods = ["payment_transaction"]
"""
"""Its service names StoryBuddy's resource as its own, as a thief would."""
