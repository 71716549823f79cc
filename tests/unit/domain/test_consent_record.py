from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import agegate.web
from agegate.domain.change import NewFact
from agegate.domain.consent import Consent, Stage
from agegate.domain.consent_record import (
    PROFILE,
    SCHEMA_VERSION,
    RecordParts,
    consent_record,
    record_uuid,
)
from agegate.domain.ids import PurposeId, RecordId
from agegate.domain.ledger import Fact, FactKind
from agegate.domain.people import Subject
from agegate.domain.records import StoredNotice
from agegate.wire.tiers import ConsentState
from tests.factories import a_disclosure, an_operator
from tests.unit.services.parts import CHAT, LAB, OURS, Parts, new_practices

_SCHEMA: dict[str, Any] = json.loads(
    (Path(str(agegate.web.__file__)).parent / "schemas" / "consent-record.json").read_text()
)
# Mandatory in ISO/IEC TS 27560:2023, by section.
_HEADER = {"schema_version", "record_id", "pii_principal_id"}
_PROCESSING = {
    "privacy_notice",
    "language",
    "purposes",
    "pii_information",
    "pii_controllers",
    "storage_locations",
    "retention_period",
    "jurisdiction",
    "recipient_third_parties",
    "withdrawal_method",
}
_PARTY = {"party_id", "party_name", "party_address", "party_contact", "party_type"}
_EVENT = {"event_time", "validity_duration", "entity_id", "event_type", "event_state"}


@pytest.fixture
def parts() -> Parts:
    return Parts()


def record_of(parts: Parts, id_: str = "cr_1") -> dict[str, Any]:
    record = parts.records.record(OURS, id_)
    validator = Draft202012Validator(_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(record)] == []
    return record


def events(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(e["event_type"], e["event_state"].removeprefix("dpv:")) for e in record["events"]]


def test_the_schema_is_sound_and_names_itself() -> None:
    Draft202012Validator.check_schema(_SCHEMA)
    assert _SCHEMA["$id"] == SCHEMA_VERSION


def test_law_80_every_mandatory_field_is_there_and_demanded_by_the_schema(parts: Parts) -> None:
    parts.granted()
    record = record_of(parts)
    assert set(_SCHEMA["required"]) >= _HEADER
    assert record["profile"] == PROFILE
    for section, fields in (
        (_SCHEMA["properties"]["pii_processing"], _PROCESSING),
        (_SCHEMA["properties"]["parties"]["items"], _PARTY),
        (_SCHEMA["properties"]["events"]["items"], _EVENT),
    ):
        assert set(section["required"]) >= fields
    assert all(item["pii_type"] for item in record["pii_processing"]["pii_information"])


def test_law_80_a_record_that_lacks_something_does_not_validate(parts: Parts) -> None:
    parts.granted()
    validator = Draft202012Validator(_SCHEMA)
    for path in [
        ("record_id",),
        ("pii_processing", "withdrawal_method"),
        ("parties", 0, "party_id"),
    ]:
        record = record_of(parts)
        *way, last = path
        place: Any = record
        for step in way:
            place = place[step]
        del place[last]
        assert not validator.is_valid(record)


@pytest.mark.parametrize(
    "step", ["asked", "granted", "denied", "withdrawn", "revoked", "stale", "erased", "not_mine"]
)
def test_law_80_the_record_validates_at_every_stage_of_its_life(parts: Parts, step: str) -> None:
    parts.ask(parts.subject())
    if step == "not_mine":
        parts.change("cr_1", "refuse", "not_my_child")
    elif step != "asked":
        parts.decide(chat="refuse" if step == "denied" else "grant")
    match step:
        case "withdrawn":
            parts.change("cr_1", "withdraw")
        case "revoked":
            parts.change("cr_1", "revoke", "by_store")
        case "stale":
            parts.apply(new_practices())
            parts.change("cr_1", "outdate", new_practices().practices)
        case "erased":
            with parts.store.write() as uow:
                uow.delete(Subject, "su_mia")
                uow.commit()
        case _:
            pass
    expected = {"asked": "pending", "erased": "granted", "not_mine": "denied"}.get(step, step)
    assert record_of(parts)["consent_state"] == expected


def test_law_82_the_child_is_the_principal_and_the_parent_indicates(parts: Parts) -> None:
    parts.granted()
    record = record_of(parts)
    assert (record["pii_principal_id"], record["pii_principal_type"]) == ("sub-mia", "dpv:Child")
    parent = record["indicated_by"]
    assert parent["entity_type"] == "dpv:ParentOfDataSubject"
    assert parent["verification"]["method"] == "payment_transaction"
    assert "312.5" in parent["justification"]


def test_the_parents_name_in_a_record_joins_nothing(parts: Parts) -> None:
    parts.granted("mia", "cr_1")
    parts.granted("leo", "cr_2")  # the same parent answers for both
    one, other = record_of(parts, "cr_1"), record_of(parts, "cr_2")
    assert one["indicated_by"]["entity_id"] != other["indicated_by"]["entity_id"]
    assert "pa_maria" not in json.dumps([one, other])
    assert "su_" not in json.dumps([one, other])


def test_law_81_events_are_dpv_states_in_their_order(parts: Parts) -> None:
    parts.ask(parts.subject())
    parts.pass_(minutes=1)
    parts.decide()
    parts.pass_(minutes=1)
    parts.change("cr_1", "withdraw")
    parts.ledger.integrate()
    found = events(record_of(parts))
    assert found[0] == ("requested", "ConsentRequested")
    assert set(found[1:5]) == {  # of one moment
        ("notice_sent", "ConsentRequested"),
        ("notice_opened", "ConsentRequested"),
        ("parent_proved", "ConsentRequested"),
        ("granted", "ConsentGiven"),
    }
    assert found[5:] == [("withdrawn", "ConsentWithdrawn")]


def test_law_81_each_event_says_where_the_ledger_keeps_it(parts: Parts) -> None:
    parts.granted()
    assert all(e["ledger"]["number"] is None for e in record_of(parts)["events"])
    parts.ledger.integrate()
    numbers = [e["ledger"]["number"] for e in record_of(parts)["events"]]
    assert numbers == sorted(numbers)
    assert all(len(e["ledger"]["head"]) == 64 for e in record_of(parts)["events"])


def test_a_larger_consent_that_replaces_another_is_a_renewal(parts: Parts) -> None:
    subject = parts.subject()
    parts.ask(subject, "cr_1", purposes=(PurposeId(CHAT),))
    old = parts.decide("cr_1")
    parts.pass_(days=1)
    parts.ask(subject, "cr_2", purposes=(PurposeId(LAB),), replaces=old)
    purposes = record_of(parts, "cr_2")["pii_processing"]["purposes"]
    told = [(p["purpose_id"], p["carried_over"], p["decision"]) for p in purposes]
    assert told == [(CHAT, True, "not_decided"), (LAB, False, "not_decided")]
    parts.decide("cr_2", lab="grant")
    parts.change("cr_1", "supersede", "cr_2")
    parts.ledger.integrate()
    assert record_of(parts, "cr_2")["event_state"] == "dpv:RenewedConsentGiven"
    assert ("granted", "RenewedConsentGiven") in events(record_of(parts, "cr_2"))
    assert record_of(parts, "cr_1")["event_state"] == "dpv:ConsentInvalidated"


def test_law_04_each_purpose_has_a_decision_of_its_own(parts: Parts) -> None:
    parts.granted(lab="refuse")
    chat, lab = record_of(parts)["pii_processing"]["purposes"]
    assert (chat["purpose_id"], chat["decision"], chat["purpose_type"], chat["core"]) == (
        CHAT,
        "granted",
        "collect_use",
        True,
    )
    assert (lab["purpose_id"], lab["decision"], lab["purpose_type"]) == (LAB, "refused", "disclose")
    assert (chat["retention_period"], lab["retention_period"]) == ("P30D", "P365D")
    assert lab["recipient_third_parties"] == ["researchlab"]


def test_law_47_the_record_keeps_what_was_shown_not_what_is_declared_today(parts: Parts) -> None:
    parts.granted()
    parts.apply(new_practices())
    chat = record_of(parts)["pii_processing"]["purposes"][0]
    assert {"pii_type": "favourite animal"} not in chat["pii_information"]
    assert {"pii_type": "chat messages"} in chat["pii_information"]
    notice = record_of(parts)["pii_processing"]["privacy_notice"]
    assert notice["hash"].startswith("sha256:")
    assert record_of(parts)["pii_processing"]["language"] == "en"


def test_law_43_the_model_provider_is_a_party(parts: Parts) -> None:
    parts.granted()
    parties = {p["party_id"]: p for p in record_of(parts)["parties"]}
    assert set(parties) == {"storybuddy", "anthropic", "researchlab"}
    assert parties["storybuddy"]["party_phone"] == an_operator().phone
    assert parties["anthropic"]["integral"] is True


def test_a_letter_to_the_wrong_person_is_not_told_as_a_parents_answer(parts: Parts) -> None:
    parts.ask(parts.subject())
    parts.pass_(minutes=1)
    parts.change("cr_1", "refuse", "not_my_child")
    last = record_of(parts)["events"][-1]
    assert (last["event_type"], last["entity_id"]) == ("not_my_child", "addressee-of:cr_1")


def parts_of(parts: Parts) -> RecordParts:
    with parts.store.read() as r:
        consent = r.get(Consent, "cr_1")
        return RecordParts(
            consent=consent,
            operator=an_operator(),
            client=an_operator().clients[0],
            sub=None,
            notice=r.get(StoredNotice, consent.notice),
            facts=tuple(r.select(Fact, record="cr_1")),
            state=ConsentState.GRANTED,
            authority=None,
            public_url="https://age.example",
        )


def test_a_record_of_an_app_that_is_no_more_names_none(parts: Parts) -> None:
    parts.granted()
    gone = consent_record(replace(parts_of(parts), client=None))
    assert "service" not in gone["pii_processing"]
    assert "authority_party" not in gone["pii_processing"]
    Draft202012Validator(_SCHEMA).validate(gone)


def test_without_its_notice_a_purpose_is_told_as_declared(parts: Parts) -> None:
    parts.granted()
    lost = consent_record(replace(parts_of(parts), notice=None))
    chat = lost["pii_processing"]["purposes"][0]
    assert (chat["purpose"], chat["core"]) == ("Make stories with an AI", True)
    assert lost["pii_processing"]["language"] == "en"


def test_a_purpose_nobody_knows_any_more_keeps_its_id_and_decision(parts: Parts) -> None:
    parts.granted()
    operator = an_operator(purposes=(a_disclosure(),))
    lost = consent_record(replace(parts_of(parts), notice=None, operator=operator))
    chat = lost["pii_processing"]["purposes"][0]
    assert (chat["purpose"], chat["decision"], chat["pii_information"]) == (CHAT, "granted", [])
    Draft202012Validator(_SCHEMA).validate(lost)


def test_facts_that_are_no_step_of_a_consent_are_no_events(parts: Parts) -> None:
    parts.granted()
    before = record_of(parts)["events"]
    with parts.store.write() as uow:
        uow.state(NewFact(kind=FactKind.CONTACT_DELETED, record=RecordId("cr_1")))
        uow.commit()
    assert record_of(parts)["events"] == before


def test_a_yes_that_waits_for_its_second_step_is_told_so(parts: Parts) -> None:
    parts.granted()
    made = parts_of(parts)
    waiting = replace(made.consent, stage=Stage.DECIDED, granted_at=None)
    record = consent_record(replace(made, consent=waiting, state=ConsentState.PENDING))
    assert record["pii_processing"]["purposes"][0]["decision"] == "awaiting_confirmation"
    Draft202012Validator(_SCHEMA).validate(record)


def test_the_uuid_of_a_record_is_of_version_4_and_always_the_same() -> None:
    made = record_uuid(RecordId("cr_1"))
    assert (made.version, made.variant) == (4, uuid.RFC_4122)
    assert made == record_uuid(RecordId("cr_1")) != record_uuid(RecordId("cr_2"))
