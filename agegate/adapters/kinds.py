"""Every kind the store keeps, its table name and what must be unique in it.

One list for all stores.
"""

from __future__ import annotations

from typing import Any, Final

from agegate.domain.consent import Consent
from agegate.domain.grants import Code, Family, Flow, IssuedToken, RefreshToken
from agegate.domain.keys import SigningKey
from agegate.domain.ledger import Checkpoint, Fact
from agegate.domain.outgoing import Outgoing
from agegate.domain.people import (
    BrowserSubject,
    Contact,
    Link,
    Parent,
    ParentSession,
    ProofRun,
    Subject,
)
from agegate.domain.records import (
    Counter,
    Credential,
    Event,
    OperatorEntry,
    SandboxLetter,
    SandboxSetting,
    StoredNotice,
)
from agegate.domain.webhooks import WebhookDelivery

TABLES: Final[dict[type[Any], str]] = {
    OperatorEntry: "operators",
    Credential: "credentials",
    Subject: "subjects",
    BrowserSubject: "browser_subjects",
    Flow: "flows",
    Consent: "consents",
    Contact: "contacts",
    ProofRun: "proof_runs",
    Parent: "parents",
    ParentSession: "parent_sessions",
    Link: "links",
    StoredNotice: "notices",
    Code: "codes",
    Family: "families",
    RefreshToken: "refresh_tokens",
    IssuedToken: "issued_tokens",
    SigningKey: "signing_keys",
    Outgoing: "outbox",
    Fact: "facts",
    Event: "events",
    WebhookDelivery: "webhook_deliveries",
    Checkpoint: "checkpoints",
    Counter: "counters",
    SandboxLetter: "sandbox_letters",
    SandboxSetting: "sandbox_settings",
}

UNIQUE: Final[dict[type[Any], tuple[str, ...]]] = {
    Subject: ("sub",),
    Parent: ("index",),
    IssuedToken: ("slot",),
    Fact: ("seq",),
    Event: ("seq",),
}
"""Beside `id`. None is never equal to None, as in SQL."""
