"""Who is responsible and what they do with children's data.

Operators, purposes, recipients, clients.

The practices version is a hash of exactly what a parent agrees to (16 CFR 312.5(a)(1): a material
change needs a new consent). Contact details of the operator and wording of titles are not part of
it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from agegate.domain.ids import ClientId, OperatorId, PracticesVersion, PurposeId, RecipientId


class AudienceType(StrEnum):
    """16 CFR 312.2, 'web site or online service directed to children' and 'mixed audience'."""

    CHILD_DIRECTED = "child_directed"
    MIXED_AUDIENCE = "mixed_audience"
    GENERAL_AUDIENCE = "general_audience"


class UnderThreshold(StrEnum):
    """What a client does with a person below the consent age."""

    BLOCK = "block"
    PARENTAL_CONSENT = "parental_consent"
    LIMITED = "limited"


class RecipientRole(StrEnum):
    SERVICE_PROVIDER = "service_provider"
    THIRD_PARTY = "third_party"


class Aim(StrEnum):
    OPERATION = "operation"
    ANALYTICS = "analytics"
    ADVERTISING = "advertising"
    SALE = "sale"
    AI_TRAINING = "ai_training"


class PurposeKind(StrEnum):
    COLLECT_USE = "collect_use"
    DISCLOSE = "disclose"


class AuthMethod(StrEnum):
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - a method name
    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105 - a method name
    PRIVATE_KEY_JWT = "private_key_jwt"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAssurance:
    """16 CFR 312.8(c): what a recipient has promised in writing, and when."""

    date: date
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    id: RecipientId
    name: str
    category: str
    role: RecipientRole
    aims: tuple[Aim, ...] = (Aim.OPERATION,)
    integral: bool = False
    integral_reason: str | None = None
    written_assurance: WrittenAssurance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One thing a parent says yes or no to. `recipient` is set for `disclose` only."""

    id: PurposeId
    kind: PurposeKind
    title: str
    data: tuple[str, ...]
    use: str
    retention_days: int
    recipients: tuple[RecipientId, ...] = ()
    recipient: RecipientId | None = None
    core: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    name: str
    colour: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A back end that calls Claude or checks consents."""

    id: ClientId
    name: str
    auth_method: AuthMethod
    resource: str
    scopes: tuple[str, ...]
    jwks: str | None = None  # canonical JSON of a JWK set, for private_key_jwt


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One app of an operator, in the OAuth sense."""

    id: ClientId
    name: str
    audience_type: AudienceType
    redirect_uris: tuple[str, ...]
    auth_method: AuthMethod
    resources: tuple[str, ...]
    purposes: tuple[PurposeId, ...]
    under_threshold: UnderThreshold
    regions: tuple[str, ...]
    age_methods: tuple[str, ...]
    vpc_methods: tuple[str, ...]
    webhook_url: str | None = None
    branding: Branding | None = None
    native: bool = False
    jwks: str | None = None
    post_logout_redirect_uris: tuple[str, ...] = ()

    @property
    def display_name(self) -> str:
        return self.branding.name if self.branding else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The legal entity responsible under COPPA, with everything it declared."""

    id: OperatorId
    legal_name: str
    address: str
    phone: str
    email: str
    establishment: str
    online_notice_url: str | None = None
    recipients: tuple[Recipient, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    services: tuple[Service, ...] = ()
    clients: tuple[Client, ...] = ()
    practices: PracticesVersion = field(init=False, default=PracticesVersion(""))

    def __post_init__(self) -> None:
        object.__setattr__(self, "practices", practices_version(self))

    def recipient(self, id_: RecipientId) -> Recipient:
        return next(r for r in self.recipients if r.id == id_)

    def purpose(self, id_: PurposeId) -> Purpose:
        return next(p for p in self.purposes if p.id == id_)

    def find_client(self, id_: ClientId) -> Client | None:
        return next((c for c in self.clients if c.id == id_), None)

    def find_service(self, id_: ClientId) -> Service | None:
        return next((s for s in self.services if s.id == id_), None)

    def purposes_of(self, client: Client) -> tuple[Purpose, ...]:
        """In the order the operator declared them, so that every page and hash agrees."""
        return tuple(p for p in self.purposes if p.id in client.purposes)

    def recipients_of(self, purpose: Purpose) -> tuple[Recipient, ...]:
        wanted = {*purpose.recipients, *((purpose.recipient,) if purpose.recipient else ())}
        return tuple(r for r in self.recipients if r.id in wanted)

    @property
    def discloses(self) -> bool:
        """Whether what was declared includes any disclosure (16 CFR 312.2).

        Integral third parties count: `email_plus` and `text_plus` need an operator that discloses
        nothing.
        """
        return any(r.role is RecipientRole.THIRD_PARTY for r in self.recipients) or any(
            p.kind is PurposeKind.DISCLOSE for p in self.purposes
        )


def practices_version(operator: Operator) -> PracticesVersion:
    """Hash of the declared data, uses, recipients and retention.

    Order of declaration does not count.
    """
    practices = {
        "recipients": sorted(
            [
                {
                    "id": r.id,
                    "name": r.name,
                    "category": r.category,
                    "role": r.role.value,
                    "aims": sorted(a.value for a in r.aims),
                    "integral": r.integral,
                }
                for r in operator.recipients
            ],
            key=lambda r: str(r["id"]),
        ),
        "purposes": sorted(
            [
                {
                    "id": p.id,
                    "kind": p.kind.value,
                    "data": sorted(p.data),
                    "use": p.use,
                    "retention_days": p.retention_days,
                    "recipients": sorted(p.recipients),
                    "recipient": p.recipient,
                    "core": p.core,
                }
                for p in operator.purposes
            ],
            key=lambda p: str(p["id"]),
        ),
    }
    canonical = json.dumps(practices, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return PracticesVersion("sha256:" + hashlib.sha256(canonical.encode()).hexdigest())
