"""Valid-by-default builders of domain values. They know the domain and nothing else.

The people and firms here are the ones everybody knows: StoryBuddy Inc. makes stories with a model
that Anthropic runs (an integral recipient) and would like to share reading progress with a lab.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from agegate.domain.consent import Consent, ConsentEvidence
from agegate.domain.ids import (
    ClientId,
    Digest,
    OperatorId,
    ParentId,
    PracticesVersion,
    PurposeId,
    RecipientId,
    RecordId,
    SubjectId,
)
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

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
"""The time on every test's clock."""
CONSENT_FOR = timedelta(days=14)


def a_recipient(**overrides: Any) -> Recipient:
    """The model provider: a third party without whom there is no service."""
    recipient = Recipient(
        id=RecipientId("anthropic"),
        name="Anthropic PBC",
        category="AI model provider",
        role=RecipientRole.THIRD_PARTY,
        aims=(Aim.OPERATION,),
        integral=True,
        integral_reason="Without the model there is no story to tell.",
        written_assurance=WrittenAssurance(
            date=date(2026, 3, 1), scope="confidentiality, security, no training"
        ),
    )
    return replace(recipient, **overrides)


def a_research_lab(**overrides: Any) -> Recipient:
    """A third party that a parent may refuse."""
    recipient = Recipient(
        id=RecipientId("researchlab"),
        name="University Reading Lab",
        category="research",
        role=RecipientRole.THIRD_PARTY,
        aims=(Aim.ANALYTICS,),
        written_assurance=WrittenAssurance(
            date=date(2026, 3, 1), scope="confidentiality, security"
        ),
    )
    return replace(recipient, **overrides)


def a_purpose(**overrides: Any) -> Purpose:
    """The core purpose: chat with the model."""
    purpose = Purpose(
        id=PurposeId("ai_chat"),
        kind=PurposeKind.COLLECT_USE,
        title="Make stories with an AI",
        data=("chat messages", "account identifier"),
        use="Sent to the AI model to write the next part of the story.",
        retention_days=30,
        recipients=(RecipientId("anthropic"),),
        core=True,
    )
    return replace(purpose, **overrides)


def a_disclosure(**overrides: Any) -> Purpose:
    """The separate purpose behind `a_research_lab`."""
    purpose = Purpose(
        id=PurposeId("disclose:researchlab"),
        kind=PurposeKind.DISCLOSE,
        title="Share reading progress with researchers",
        data=("reading level", "time spent"),
        use="To study how children learn to read.",
        retention_days=365,
        recipient=RecipientId("researchlab"),
    )
    return replace(purpose, **overrides)


def a_service(**overrides: Any) -> Service:
    service = Service(
        id=ClientId("storybuddy-api"),
        name="StoryBuddy API",
        auth_method=AuthMethod.CLIENT_SECRET_BASIC,
        resource="https://api.storybuddy.example",
        scopes=("consents:read", "policies:read", "events:write"),
    )
    return replace(service, **overrides)


def a_client(**overrides: Any) -> Client:
    client = Client(
        id=ClientId("storybuddy-web"),
        name="StoryBuddy",
        audience_type=AudienceType.MIXED_AUDIENCE,
        redirect_uris=("https://storybuddy.example/callback",),
        auth_method=AuthMethod.CLIENT_SECRET_BASIC,
        resources=("https://api.storybuddy.example",),
        purposes=(PurposeId("ai_chat"), PurposeId("disclose:researchlab")),
        under_threshold=UnderThreshold.PARENTAL_CONSENT,
        regions=("US", "DE", "GB"),
        age_methods=("age_screen", "facial_estimation"),
        vpc_methods=("payment_transaction", "fmvpi", "signed_form"),
        webhook_url="https://api.storybuddy.example/agegate-events",
        branding=Branding(name="StoryBuddy", colour="#3b5bdb"),
    )
    return replace(client, **overrides)


def an_operator(**overrides: Any) -> Operator:
    """StoryBuddy Inc., which discloses: `email_plus` and `text_plus` are not open to it."""
    fields: dict[str, Any] = {
        "id": OperatorId("storybuddy"),
        "legal_name": "StoryBuddy Inc.",
        "address": "1 Main Street, Springfield, IL 62701, USA",
        "phone": "+1 217 555 0100",
        "email": "privacy@storybuddy.example",
        "establishment": "US",
        "online_notice_url": "https://storybuddy.example/children",
        "recipients": (a_recipient(), a_research_lab()),
        "purposes": (a_purpose(), a_disclosure()),
        "services": (a_service(),),
        "clients": (a_client(),),
    }
    return Operator(**{**fields, **overrides})


def a_quiet_operator(**overrides: Any) -> Operator:
    """Discloses nothing, so that `email_plus` is lawful (16 CFR 312.5(b)(2)(viii))."""
    purpose = a_purpose(recipients=())
    client = a_client(purposes=(purpose.id,), vpc_methods=("email_plus", "payment_transaction"))
    fields: dict[str, Any] = {"recipients": (), "purposes": (purpose,), "clients": (client,)}
    return an_operator(**{**fields, **overrides})


def some_evidence(**overrides: Any) -> ConsentEvidence:
    """A card holder who was told about the payment (16 CFR 312.5(b)(2)(ii))."""
    evidence = ConsentEvidence(
        method="payment_transaction",
        at=NOON,
        identity="card_holder",
        adulthood="card_holder",
        relationship="declared",
    )
    return replace(evidence, **overrides)


def a_consent(**overrides: Any) -> Consent:
    """A request that no letter has left for yet. `stage=…` and its times make it any other."""
    fields: dict[str, Any] = {
        "id": RecordId("cr_storybuddy_1"),
        "operator_id": OperatorId("storybuddy"),
        "client_id": ClientId("storybuddy-web"),
        "subject_id": SubjectId("su_1"),
        "purposes": (PurposeId("ai_chat"), PurposeId("disclose:researchlab")),
        "practices": PracticesVersion(an_operator().practices),
        "jurisdiction": "US-IL",
        "locale": "en",
        "requested_at": NOON,
        "expires_at": NOON + CONSENT_FOR,
        "notice": Digest("0" * 64),
    }
    return Consent(**{**fields, **overrides})


def a_parent_id() -> ParentId:
    return ParentId("pa_1")
