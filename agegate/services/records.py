"""What a client's back end and a parent may read about a consent, and what they are told of it."""

from __future__ import annotations

import re
from typing import Any, Final

from agegate.domain.consent import Consent
from agegate.domain.consent_record import (
    AUTHORITIES,
    Authority,
    RecordParts,
    consent_receipt,
    consent_record,
)
from agegate.domain.errors import InvalidRequestError, NotFoundError
from agegate.domain.ids import ClientId, OperatorId
from agegate.domain.ledger import Fact
from agegate.domain.people import Subject
from agegate.domain.places import country_of
from agegate.domain.records import Event, OperatorEntry, StoredNotice
from agegate.services.core import Core
from agegate.services.ports import Reader, TokenSigner

RECEIPT_TYPE: Final = "consent-receipt+jwt"
MOST_EVENTS: Final = 500
EVENTS_AT_ONCE: Final = 100

_LONGEST_ID: Final = 255
_CURSOR = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


class RecordService:
    def __init__(self, core: Core, signer: TokenSigner) -> None:
        self._core = core
        self._signer = signer

    # -- consents --------------------------------------------------------------------------------

    def consents_of(self, operator_id: OperatorId, sub: str) -> dict[str, Any]:
        """Every consent about one subject of this operator, newest first.

        Raises `NotFoundError`, alike for a subject that is unknown, erased or another operator's.
        """
        _require_id(sub)
        with self._core.store.read() as r:
            found = r.select(Subject, sub=sub, limit=1)
            if not found or found[0].operator_id != operator_id:
                raise NotFoundError("no such subject")
            consents = r.select(
                Consent, subject_id=found[0].id, order="requested_at", descending=True
            )
            operator = r.get(OperatorEntry, operator_id).operator
        now = self._core.now()
        return {
            "sub": sub,
            "client_id": found[0].client_id,
            "consents": [
                {
                    "record": c.id,
                    "state": c.state(practices=operator.practices, now=now).value,
                    "purposes": list(c.live_purposes(practices=operator.practices, now=now)),
                    "refused": list(c.refused),
                    "practices": c.practices,
                    "jurisdiction": c.jurisdiction,
                    "requested_at": c.requested_at.isoformat(),
                    "decided_at": c.decided_at.isoformat() if c.decided_at else None,
                    "until": c.expires_at.isoformat(),
                }
                for c in consents
            ],
        }

    def record(self, operator_id: OperatorId, record_id: str) -> dict[str, Any]:
        """One consent as an ISO/IEC TS 27560 record.

        Raises `NotFoundError`, alike for what is missing and what is another operator's.
        """
        with self._core.store.read() as r:
            return consent_record(self._parts(r, record_id, operator_id))

    # -- receipts --------------------------------------------------------------------------------

    def receipt(self, operator_id: OperatorId, record_id: str) -> str:
        """The record as a receipt, signed: a compact JWS of type `consent-receipt+jwt`.

        Raises `NotFoundError` like `record`.
        """
        with self._core.store.read() as r:
            parts = self._parts(r, record_id, operator_id)
        return self._sign(parts)

    def receipt_for(self, record_id: str) -> str:
        """The same for a parent; the caller made sure that it is theirs. Raises `NotFoundError`."""
        with self._core.store.read() as r:
            parts = self._parts(r, record_id, None)
        return self._sign(parts)

    def _sign(self, parts: RecordParts) -> str:
        receipt = consent_receipt(consent_record(parts), self._core.new_id("rc"))
        claims = {
            "iss": self._core.public_url,
            "sub": receipt["pii_principal_id"],
            "iat": int(self._core.now().timestamp()),
            "jti": receipt["receipt_id"],
            "consent_receipt": receipt,
        }
        return self._signer.sign(claims, typ=RECEIPT_TYPE)

    # -- events ----------------------------------------------------------------------------------

    def events(
        self, operator_id: OperatorId, *, after: str | None = None, limit: int = EVENTS_AT_ONCE
    ) -> dict[str, Any]:
        """What happened at this operator's clients after a cursor, oldest first.

        `next` is the cursor to go on with; without news it is the one that came in. Events are
        kept for 90 days. Raises `InvalidRequestError` for a cursor or limit that is not ours.
        """
        if not 1 <= limit <= MOST_EVENTS:
            raise InvalidRequestError(f"limit is a number from 1 to {MOST_EVENTS}")
        cursor = _parse_cursor(after)
        # Events are numbered after their transaction; nobody shall wait for the worker to do it.
        self._core.store.integrate()
        with self._core.store.read() as r:
            events = r.select(
                Event, operator_id=operator_id, order="seq", past=("seq", cursor), limit=limit
            )
        last = events[-1].seq if events else None
        return {
            "events": [event_to_json(event) for event in events],
            "next": str(cursor if last is None else last),
        }

    # -- helpers ---------------------------------------------------------------------------------

    def _parts(self, r: Reader, record_id: str, operator_id: OperatorId | None) -> RecordParts:
        _require_id(record_id)
        consent = r.find(Consent, record_id)
        if consent is None or operator_id not in {None, consent.operator_id}:
            raise NotFoundError("no such consent record")
        operator = r.get(OperatorEntry, consent.operator_id).operator
        subject = r.find(Subject, consent.subject_id)
        facts = r.select(Fact, record=consent.id, order="at")
        return RecordParts(
            consent=consent,
            operator=operator,
            client=operator.find_client(ClientId(consent.client_id)),
            sub=subject.sub if subject else None,
            notice=r.find(StoredNotice, consent.notice),
            facts=tuple(sorted(facts, key=_in_order)),
            state=consent.state(practices=operator.practices, now=self._core.now()),
            authority=self._authority(consent.jurisdiction, operator.establishment),
            public_url=self._core.public_url,
        )

    def _authority(self, *places: str) -> Authority | None:
        """Of the child's place; where that is not on file, of the operator's."""
        for place in places:
            country = country_of(place)
            groups = [g.code for g in self._core.rulebook.groups if country in g.members]
            for code in (country, *groups):
                if code in AUTHORITIES:
                    return AUTHORITIES[code]
        return None


def event_to_json(event: Event) -> dict[str, Any]:
    """An event as it is polled: ids and states only."""
    data = {
        "sub": event.sub,
        "client_id": event.client_id,
        "record": event.record,
        "state": event.state,
    }
    return {
        "id": event.id,
        "type": event.type.value,
        "timestamp": event.at.isoformat(),
        "data": {name: value for name, value in data.items() if value is not None},
    }


def _in_order(fact: Fact) -> tuple[bool, int, str, str]:
    """Numbered facts by number, then those that still wait."""
    return fact.seq is None, fact.seq or 0, fact.at.isoformat(), fact.id


def _parse_cursor(text: str | None) -> int:
    if text is None:
        return 0
    if not _CURSOR.fullmatch(text):
        raise InvalidRequestError("after is not a cursor of ours")
    return int(text)


def _require_id(text: str) -> None:
    """Everything we gave out is short printable ASCII; nothing else needs a look into the store."""
    if not (len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()):
        raise NotFoundError("nothing of that name")
