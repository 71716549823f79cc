"""A consent as a record of ISO/IEC TS 27560:2023, with the states of the W3C's DPV 2.3.

The child, by pairwise pseudonym, is the principal; the parent is the entity that indicated the
consent, known here only as the parent of this record: no address and nothing that could be joined
with another record. What the parent was shown comes from the stored notice, not from what the
operator declares today.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from agegate.domain.consent import GRANT_FOR, PENDING_FOR, Consent, Stage
from agegate.domain.ids import PurposeId, RecordId, Sub
from agegate.domain.ledger import Fact, FactKind
from agegate.domain.operators import Client, Operator, Purpose, PurposeKind, Recipient
from agegate.domain.records import StoredNotice
from agegate.wire.tiers import ConsentState

SCHEMA_VERSION: Final = "urn:agegate:schema:consent-record:1"
PROFILE: Final = "ISO/IEC TS 27560:2023"
PATH: Final = "/schemas/consent-record.json"

_EVENTS: Final[Mapping[FactKind, tuple[str, str]]] = {
    FactKind.CONSENT_REQUESTED: ("requested", "ConsentRequested"),
    FactKind.CONSENT_NOTIFIED: ("notice_sent", "ConsentRequested"),
    FactKind.CONSENT_UNDELIVERABLE: ("notice_undeliverable", "ConsentRequestDeferred"),
    FactKind.CONSENT_OPENED: ("notice_opened", "ConsentRequested"),
    FactKind.CONSENT_PROVED: ("parent_proved", "ConsentRequested"),
    FactKind.CONSENT_DECIDED: ("decided_awaiting_confirmation", "ConsentRequestDeferred"),
    FactKind.CONSENT_GRANTED: ("granted", "ConsentGiven"),
    FactKind.CONSENT_DENIED: ("denied", "ConsentRefused"),
    FactKind.CONSENT_EXPIRED: ("expired", "ConsentExpired"),
    FactKind.CONSENT_WITHDRAWN: ("withdrawn", "ConsentWithdrawn"),
    FactKind.CONSENT_REVOKED: ("revoked", "ConsentRevoked"),
    FactKind.CONSENT_STALE: ("practices_changed", "ConsentInvalidated"),
    FactKind.CONSENT_SUPERSEDED: ("superseded", "ConsentInvalidated"),
}
"""Our facts as DPV states. DPV has no state between request and answer, so those stay requested."""

_BY_PARENT: Final = frozenset(
    {
        FactKind.CONSENT_OPENED,
        FactKind.CONSENT_PROVED,
        FactKind.CONSENT_DECIDED,
        FactKind.CONSENT_GRANTED,
        FactKind.CONSENT_DENIED,
        FactKind.CONSENT_WITHDRAWN,
    }
)
_STATES: Final[Mapping[ConsentState, str]] = {
    ConsentState.PENDING: "ConsentRequested",
    ConsentState.GRANTED: "ConsentGiven",
    ConsentState.DENIED: "ConsentRefused",
    ConsentState.WITHDRAWN: "ConsentWithdrawn",
    ConsentState.REVOKED: "ConsentRevoked",
    ConsentState.EXPIRED: "ConsentExpired",
    ConsentState.STALE: "ConsentInvalidated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Where a parent may complain."""

    id: str
    name: str
    url: str

    def to_json(self) -> dict[str, str]:
        return {"party_id": self.id, "party_name": self.name, "party_url": self.url}


AUTHORITIES: Final[Mapping[str, Authority]] = {
    "US": Authority(id="us-ftc", name="Federal Trade Commission", url="https://www.ftc.gov/"),
    "GB": Authority(
        id="gb-ico", name="Information Commissioner's Office", url="https://ico.org.uk/"
    ),
    "EU": Authority(
        id="eu-edpb",
        name="European Data Protection Board (lists the authority of each member state)",
        url="https://www.edpb.europa.eu/",
    ),
}
"""By country or group: 15 USC 6505(a); Data Protection Act 2018, s. 115; GDPR art. 77."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordParts:
    """All that a record is made of. `sub` is None once the child's account was erased."""

    consent: Consent
    operator: Operator
    client: Client | None
    sub: Sub | None
    notice: StoredNotice | None
    facts: tuple[Fact, ...]
    state: ConsentState
    authority: Authority | None
    public_url: str


def consent_record(parts: RecordParts) -> dict[str, Any]:
    """The record as JSON. `agegate/web/schemas/consent-record.json` describes it field by field."""
    consent = parts.consent
    return {
        "schema_version": SCHEMA_VERSION,
        "profile": PROFILE,
        "record_id": consent.id,
        "record_uuid": str(record_uuid(consent.id)),
        "pii_principal_id": parts.sub or f"erased:{consent.id}",
        "pii_principal_type": "dpv:Child",
        "consent_state": parts.state.value,
        "event_state": _dpv(consent, parts.state),
        "practices": consent.practices,
        "pii_processing": _processing(parts),
        "indicated_by": _indicated_by(consent),
        "parties": list(_parties(parts)),
        "events": list(_events(parts)),
    }


def consent_receipt(record: Mapping[str, Any], receipt_id: str) -> dict[str, Any]:
    """The same for a parent to keep: a receipt repeats the record under an id of its own."""
    return {"receipt_id": receipt_id, **record}


def record_uuid(record: RecordId) -> uuid.UUID:
    """The record's id in the form of a version 4 UUID, for tools that accept nothing else.

    Hashing 160 random bits leaves 122 random bits, which is what RFC 9562, 5.4 asks for.
    """
    return uuid.UUID(bytes=hashlib.sha256(record.encode()).digest()[:16], version=4)


def parent_of(record: RecordId) -> str:
    """The parent's name in a record. Different in each, so that siblings can't be joined by it."""
    return f"parent-of:{record}"


# --- processing --------------------------------------------------------------------------------


def _processing(parts: RecordParts) -> dict[str, Any]:
    consent, operator = parts.consent, parts.operator
    purposes = [
        _purpose(parts, purpose) for purpose in dict.fromkeys((*consent.carried, *consent.purposes))
    ]
    recipients = [party for purpose in purposes for party in purpose["recipient_third_parties"]]
    processing: dict[str, Any] = {
        "privacy_notice": {
            "hash": f"sha256:{consent.notice}",
            "shown_at": _moment(consent.notified_at),
            "online_notice_url": operator.online_notice_url
            or f"{parts.public_url}/notice/{operator.id}",
        },
        "language": parts.notice.language if parts.notice else consent.locale,
        "purposes": purposes,
        "lawful_basis": "dpv:Consent (16 CFR 312.5(a)(1))",
        "pii_information": [
            {"pii_type": item}
            for item in dict.fromkeys(d["pii_type"] for p in purposes for d in p["pii_information"])
        ],
        "pii_controllers": [operator.id],
        "storage_locations": [
            {"country": operator.establishment, "basis": "establishment of the operator"}
        ],
        "retention_period": _days(max((p["retention_days"] for p in purposes), default=0)),
        "jurisdiction": consent.jurisdiction,
        "recipient_third_parties": list(dict.fromkeys(recipients)),
        "withdrawal_method": {
            "url": f"{parts.public_url}/parent/",
            "how": "Sign in by mailed link and press one button; no reason is asked.",
            "source": "16 CFR 312.6(a)(2)",
        },
        "privacy_rights": [
            "review (16 CFR 312.6(a)(1))",
            "refuse further use and delete (16 CFR 312.6(a)(2))",
            "receive a copy (16 CFR 312.6(a)(3))",
        ],
    }
    if parts.client is not None:
        processing["service"] = {"client_id": parts.client.id, "name": parts.client.display_name}
    if parts.authority is not None:
        processing["authority_party"] = parts.authority.to_json()
    return processing


def _purpose(parts: RecordParts, id_: PurposeId) -> dict[str, Any]:
    """One purpose with its own decision: as shown, else as declared, else by its id alone."""
    consent = parts.consent
    shown = _shown(parts.notice).get(id_)
    declared = next((p for p in parts.operator.purposes if p.id == id_), None)
    entry: dict[str, Any] = {
        "purpose_id": id_,
        "purpose": id_,
        "use": "",
        "purpose_type": _kind(shown, declared),
        "core": False,
        "decision": _decision(consent, id_),
        "carried_over": id_ in consent.carried,
        "pii_information": [],
        "retention_days": 0,
        "retention_period": _days(0),
        "recipient_third_parties": [
            r.id for r in (parts.operator.recipients_of(declared) if declared else ())
        ],
    }
    if shown is not None:
        _fill(entry, shown["title"], shown["use"], shown["data"], shown["retention_days"])
        entry["core"] = bool(shown["core"])
    elif declared is not None:
        _fill(entry, declared.title, declared.use, declared.data, declared.retention_days)
        entry["core"] = declared.core
    return entry


def _fill(entry: dict[str, Any], title: str, use: str, data: Sequence[str], days: int) -> None:
    entry["purpose"] = title
    entry["use"] = use
    entry["pii_information"] = [{"pii_type": item} for item in data]
    entry["retention_days"] = days
    entry["retention_period"] = _days(days)


def _shown(notice: StoredNotice | None) -> dict[str, dict[str, Any]]:
    if notice is None:
        return {}
    uses = json.loads(notice.content).get("facts", {}).get("uses", [])
    return {use["purpose"]: use for use in uses}


def _kind(shown: Mapping[str, Any] | None, declared: Purpose | None) -> str:
    if shown is not None:
        return (PurposeKind.DISCLOSE if shown["shared"] else PurposeKind.COLLECT_USE).value
    return declared.kind.value if declared else PurposeKind.COLLECT_USE.value


def _decision(consent: Consent, id_: PurposeId) -> str:
    if id_ in consent.granted:
        # email_plus: a yes that waits for its second step allows nothing yet.
        return "granted" if consent.granted_at is not None else "awaiting_confirmation"
    return "refused" if id_ in consent.refused else "not_decided"


# --- parties -----------------------------------------------------------------------------------


def _indicated_by(consent: Consent) -> dict[str, Any]:
    """Who said so, how it was learned that they may, and in which act they said it."""
    evidence = consent.evidence
    body: dict[str, Any] = {
        "entity_id": parent_of(consent.id),
        "entity_type": "dpv:ParentOfDataSubject",
        "justification": "A parent or legal guardian decides for a child (16 CFR 312.5(a)(1)).",
        "expression_method": "one separate answer for each purpose, nothing preselected",
        "opened_in_the_childs_browser": consent.opened_in_same_browser,
    }
    if evidence is not None:
        body["verification"] = {
            "method": evidence.method,
            "at": _moment(evidence.at),
            "identity": evidence.identity,
            "adulthood": evidence.adulthood,
            "relationship": evidence.relationship,
            "evidence_hash": evidence.reference,
        }
    return body


def _parties(parts: RecordParts) -> Iterator[dict[str, Any]]:
    operator = parts.operator
    yield {
        "party_id": operator.id,
        "party_name": operator.legal_name,
        "party_address": operator.address,
        "party_contact": operator.email,
        "party_type": "pii_controller",
        "party_email": operator.email,
        "party_phone": operator.phone,
    }
    wanted = {
        recipient.id
        for purpose in operator.purposes
        if purpose.id in {*parts.consent.purposes, *parts.consent.carried}
        for recipient in operator.recipients_of(purpose)
    }
    for recipient in operator.recipients:
        if recipient.id in wanted:
            yield _recipient(recipient, operator)


def _recipient(recipient: Recipient, operator: Operator) -> dict[str, Any]:
    # The operator answers for those it shares with; their own addresses are not declared to us.
    return {
        "party_id": recipient.id,
        "party_name": recipient.name,
        "party_address": f"care of {operator.legal_name}, {operator.address}",
        "party_contact": operator.email,
        "party_type": recipient.role.value,
        "party_role": recipient.category,
        "integral": recipient.integral,
    }


# --- events ------------------------------------------------------------------------------------


def _events(parts: RecordParts) -> Iterator[dict[str, Any]]:
    consent = parts.consent
    for fact in parts.facts:
        if fact.kind not in _EVENTS:
            continue
        type_, state = _EVENTS[fact.kind]
        if fact.kind is FactKind.CONSENT_GRANTED and consent.replaces is not None:
            state = "RenewedConsentGiven"
        if fact.data.get("reason") == "not_my_child":
            type_, entity = "not_my_child", f"addressee-of:{consent.id}"
        else:
            entity = parent_of(consent.id) if fact.kind in _BY_PARENT else parts.operator.id
        yield {
            "event_time": _moment(fact.at),
            "validity_duration": _validity(fact.kind),
            "entity_id": entity,
            "event_type": type_,
            "event_state": f"dpv:{state}",
            "ledger": {"fact": fact.id, "number": fact.seq, "leaf": fact.leaf, "head": fact.head},
        }


def _validity(kind: FactKind) -> str:
    """How long the state lasts unless something happens; an ended consent allows nothing."""
    if kind is FactKind.CONSENT_GRANTED:
        return _days(GRANT_FOR.days)
    state = _EVENTS[kind][1]
    return _days(PENDING_FOR.days if state.startswith("ConsentRequest") else 0)


def _dpv(consent: Consent, state: ConsentState) -> str:
    if state is ConsentState.GRANTED and consent.replaces is not None:
        return "dpv:RenewedConsentGiven"
    if consent.stage is Stage.SUPERSEDED:
        return "dpv:ConsentInvalidated"
    return f"dpv:{_STATES[state]}"


def _days(days: int) -> str:
    return f"P{days}D"


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
