"""The tables of an operator file, key by key. Unknown keys are refused everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from agegate.adapters.operator_keys import check_jwks
from agegate.adapters.operator_urls import check_https, check_webhook
from agegate.adapters.operator_words import (
    Colour,
    Email,
    Id,
    Line,
    MaybeLine,
    Phone,
    Sentence,
    StrictFlag,
)
from agegate.domain.ids import ClientId, OperatorId, PurposeId, RecipientId
from agegate.domain.operators import (
    Aim,
    AudienceType,
    AuthMethod,
    Branding,
    Client,
    Operator,
    Purpose,
    PurposeKind,
    Recipient,
    RecipientRole,
    Service,
    UnderThreshold,
    WrittenAssurance,
)

MAX_TABLES: Final = 500
MAX_LIST: Final = 50
MAX_DATA: Final = 100
MAX_REGIONS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContext:
    """What the deployment allows that a file alone can't know."""

    loopback_ok: bool
    webhook_allow: frozenset[str]


def _context(info: ValidationInfo) -> FileContext:
    return cast("FileContext", info.context)


def _redirect(value: str, info: ValidationInfo) -> str:
    # RFC 8252 section 7.3: a native client listens on loopback, where nobody gives certificates.
    native = info.data.get("native") is True
    return check_https(value, loopback_ok=native or _context(info).loopback_ok)


def _audience(value: str, info: ValidationInfo) -> str:
    return check_https(value, loopback_ok=_context(info).loopback_ok)


def _webhook(value: str, info: ValidationInfo) -> str:
    return check_webhook(value, allow=_context(info).webhook_allow)


def _no_doubles(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("names the same thing twice")
    return values


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _days(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(  # noqa: TRY004 - pydantic gathers ValueErrors
            "must be a whole number of days; data may not be kept indefinitely (16 CFR 312.10)"
        )
    return value


def _refused_jwks_uri(_value: Any) -> Any:
    raise ValueError(
        "is refused: whoever controls that address could speak as this client, and the service "
        "would have to fetch it; write the public keys inline as jwks = { keys = [ … ] }"
    )


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Ids = Annotated[list[Id], Field(max_length=MAX_LIST), AfterValidator(_no_doubles)]
Redirect = Annotated[StrictStr, AfterValidator(_redirect)]
Audience = Annotated[StrictStr, AfterValidator(_audience)]
Webhook = Annotated[StrictStr, AfterValidator(_webhook)]
Days = Annotated[int, BeforeValidator(_days)]
JwksUri = Annotated[StrictStr | None, BeforeValidator(_refused_jwks_uri)]


class AssuranceTable(_Table):
    date: Annotated[date, Strict()]
    scope: Sentence

    def to_domain(self) -> WrittenAssurance:
        return WrittenAssurance(date=self.date, scope=self.scope)


class RecipientTable(_Table):
    id: Id
    name: Line
    category: Line
    role: RecipientRole
    aims: Annotated[list[Aim], Field(min_length=1), AfterValidator(_no_doubles)] = [Aim.OPERATION]
    integral: StrictFlag = False
    integral_reason: Sentence | None = None
    written_assurance: AssuranceTable | None = None

    def to_domain(self) -> Recipient:
        assurance = self.written_assurance
        return Recipient(
            id=RecipientId(self.id),
            name=self.name,
            category=self.category,
            role=self.role,
            aims=tuple(self.aims),
            integral=self.integral,
            integral_reason=self.integral_reason,
            written_assurance=assurance.to_domain() if assurance else None,
        )


class PurposeTable(_Table):
    id: Id
    kind: PurposeKind
    title: Line
    data: Annotated[
        list[Line], Field(min_length=1, max_length=MAX_DATA), AfterValidator(_no_doubles)
    ]
    use: Sentence
    retention_days: Days = 0  # Silence is refused later, like any term without an end.
    recipients: Ids = []
    recipient: Id | None = None
    core: StrictFlag = False

    @field_validator("recipients")
    @classmethod
    def _recipients_of_use(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if value and info.data.get("kind") is PurposeKind.DISCLOSE:
            raise ValueError('belongs to kind "collect_use"; a disclosure names one `recipient`')
        return value

    @field_validator("recipient")
    @classmethod
    def _recipient_of_disclosure(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("kind") is PurposeKind.COLLECT_USE:
            raise ValueError('belongs to kind "disclose"; here the key is `recipients = [ … ]`')
        return value

    def to_domain(self) -> Purpose:
        return Purpose(
            id=PurposeId(self.id),
            kind=self.kind,
            title=self.title,
            data=tuple(self.data),
            use=self.use,
            retention_days=self.retention_days,
            recipients=tuple(RecipientId(id_) for id_ in self.recipients),
            recipient=RecipientId(self.recipient) if self.recipient else None,
            core=self.core,
        )


class _Party(_Table):
    """What services and clients have in common: an id, a name, and a way to show who they are."""

    id: Id
    name: Line
    jwks_uri: JwksUri = None
    jwks: dict[str, Any] | None = None
    auth_method: AuthMethod

    @field_validator("jwks")
    @classmethod
    def _public_keys(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_jwks(value)
        return value

    @field_validator("auth_method")
    @classmethod
    def _keys_where_needed(cls, value: AuthMethod, info: ValidationInfo) -> AuthMethod:
        if "jwks" not in info.data:  # The keys themselves are already refused.
            return value
        if value is AuthMethod.PRIVATE_KEY_JWT and info.data["jwks"] is None:
            raise ValueError('"private_key_jwt" needs the public keys: jwks = { keys = [ … ] }')
        if value is not AuthMethod.PRIVATE_KEY_JWT and info.data["jwks"] is not None:
            raise ValueError('jwks is used by "private_key_jwt" only: remove it or change this')
        return value

    @property
    def keys(self) -> str | None:
        return check_jwks(self.jwks) if self.jwks is not None else None


class ServiceTable(_Party):
    resource: Audience
    scopes: Annotated[
        list[Literal["consents:read", "consents:write", "events:write", "policies:read"]],
        AfterValidator(_no_doubles),
    ] = []

    @field_validator("auth_method")
    @classmethod
    def _not_public(cls, value: AuthMethod) -> AuthMethod:
        if value is AuthMethod.NONE:
            raise ValueError(
                "a service must show who it is: client_secret_basic or private_key_jwt"
            )
        return value

    def to_domain(self) -> Service:
        return Service(
            id=ClientId(self.id),
            name=self.name,
            auth_method=self.auth_method,
            resource=self.resource,
            scopes=tuple(self.scopes),
            jwks=self.keys,
        )


class BrandingTable(_Table):
    name: Line | None = None
    colour: Colour | None = None


class ClientTable(_Party):
    native: StrictFlag = False
    audience_type: AudienceType
    redirect_uris: Annotated[
        list[Redirect], Field(min_length=1, max_length=MAX_LIST), AfterValidator(_no_doubles)
    ]
    post_logout_redirect_uris: Annotated[
        list[Redirect], Field(max_length=MAX_LIST), AfterValidator(_no_doubles)
    ] = []
    resource: Annotated[
        list[Audience],
        Field(min_length=1, max_length=MAX_LIST),
        BeforeValidator(_as_list),
        AfterValidator(_no_doubles),
    ]
    purposes: Ids = []
    under_threshold: UnderThreshold
    regions: Annotated[
        list[Line], Field(min_length=1, max_length=MAX_REGIONS), AfterValidator(_no_doubles)
    ]
    age_methods: Ids = ["age_screen"]
    vpc_methods: Ids = []
    webhook_url: Webhook | None = None
    branding: BrandingTable | None = None

    def to_domain(self) -> Client:
        branding = self.branding
        return Client(
            id=ClientId(self.id),
            name=self.name,
            audience_type=self.audience_type,
            redirect_uris=tuple(self.redirect_uris),
            auth_method=self.auth_method,
            resources=tuple(self.resource),
            purposes=tuple(PurposeId(id_) for id_ in self.purposes),
            under_threshold=self.under_threshold,
            regions=tuple(self.regions),
            age_methods=tuple(self.age_methods),
            vpc_methods=tuple(self.vpc_methods),
            webhook_url=self.webhook_url,
            branding=(
                Branding(name=branding.name or self.name, colour=branding.colour)
                if branding
                else None
            ),
            native=self.native,
            jwks=self.keys,
            post_logout_redirect_uris=tuple(self.post_logout_redirect_uris),
        )


class OperatorTable(_Table):
    """Contact details may be missing here: the law, which demands them, then says so itself."""

    id: Id
    legal_name: MaybeLine = ""
    address: MaybeLine = ""
    phone: Phone = ""
    email: Email = ""
    establishment: Line
    online_notice_url: Audience | None = None


class FileModel(_Table):
    operator: OperatorTable
    recipient: Annotated[list[RecipientTable], Field(max_length=MAX_TABLES)] = []
    purpose: Annotated[list[PurposeTable], Field(max_length=MAX_TABLES)] = []
    service: Annotated[list[ServiceTable], Field(max_length=MAX_TABLES)] = []
    client: Annotated[list[ClientTable], Field(max_length=MAX_TABLES)] = []

    def to_domain(self) -> Operator:
        head = self.operator
        return Operator(
            id=OperatorId(head.id),
            legal_name=head.legal_name,
            address=head.address,
            phone=head.phone,
            email=head.email,
            establishment=head.establishment,
            online_notice_url=head.online_notice_url,
            recipients=tuple(table.to_domain() for table in self.recipient),
            purposes=tuple(table.to_domain() for table in self.purpose),
            services=tuple(table.to_domain() for table in self.service),
            clients=tuple(table.to_domain() for table in self.client),
        )


KNOWN_KEYS: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    (): tuple(FileModel.model_fields),
    ("operator",): tuple(OperatorTable.model_fields),
    ("recipient",): tuple(RecipientTable.model_fields),
    ("recipient", "written_assurance"): tuple(AssuranceTable.model_fields),
    ("purpose",): tuple(PurposeTable.model_fields),
    ("service",): tuple(k for k in ServiceTable.model_fields if k != "jwks_uri"),
    ("client",): tuple(k for k in ClientTable.model_fields if k != "jwks_uri"),
    ("client", "branding"): tuple(BrandingTable.model_fields),
}
"""The keys each table may have; `docs/reference/operator-file.md` describes the same ones."""
