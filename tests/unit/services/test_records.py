from __future__ import annotations

import json
from typing import Any

import pytest

from agegate.domain.errors import InvalidRequestError, NotFoundError
from agegate.domain.people import Subject
from agegate.services.records import RECEIPT_TYPE
from tests.factories import an_operator
from tests.unit.services.parts import CHAT, LAB, OTHERS, OURS, Parts


@pytest.fixture
def parts() -> Parts:
    return Parts()


def erase(parts: Parts, subject: Subject) -> None:
    with parts.store.write() as uow:
        uow.delete(Subject, subject.id)
        uow.commit()


# --- consents ----------------------------------------------------------------------------------


def test_a_subjects_consents_are_listed_newest_first(parts: Parts) -> None:
    subject = parts.granted(record="cr_1", chat="refuse")
    parts.pass_(days=1)
    parts.ask(subject, "cr_2")
    listed = parts.records.consents_of(OURS, "sub-mia")
    assert (listed["sub"], listed["client_id"]) == ("sub-mia", "storybuddy-web")
    states = [(c["record"], c["state"], c["purposes"]) for c in listed["consents"]]
    assert states == [("cr_2", "pending", []), ("cr_1", "denied", [])]


def test_a_grant_lists_what_it_allows_and_what_was_refused(parts: Parts) -> None:
    parts.granted()
    (consent,) = parts.records.consents_of(OURS, "sub-mia")["consents"]
    assert (consent["purposes"], consent["refused"]) == ([CHAT], [LAB])
    assert consent["until"] == "2027-11-22T12:00:00+00:00"
    assert consent["practices"] == an_operator().practices


def test_a_withdrawn_consent_allows_nothing(parts: Parts) -> None:
    parts.granted()
    parts.change("cr_1", "withdraw")
    (consent,) = parts.records.consents_of(OURS, "sub-mia")["consents"]
    assert (consent["state"], consent["purposes"]) == ("withdrawn", [])


@pytest.mark.parametrize("sub", ["sub-nobody", "", "s\x00", "ü", "x" * 300])
def test_an_unknown_subject_is_not_found(parts: Parts, sub: str) -> None:
    parts.granted()
    with pytest.raises(NotFoundError):
        parts.records.consents_of(OURS, sub)


def test_another_operators_subject_is_not_found(parts: Parts) -> None:
    parts.granted()
    with pytest.raises(NotFoundError):
        parts.records.consents_of(OTHERS, "sub-mia")


def test_an_erased_subject_is_not_found(parts: Parts) -> None:
    erase(parts, parts.granted())
    with pytest.raises(NotFoundError):
        parts.records.consents_of(OURS, "sub-mia")


# --- records and receipts ----------------------------------------------------------------------


def test_a_record_is_only_shown_to_its_operator(parts: Parts) -> None:
    parts.granted()
    assert parts.records.record(OURS, "cr_1")["record_id"] == "cr_1"
    for operator, record in ((OTHERS, "cr_1"), (OURS, "cr_9"), (OURS, "cr\x001")):
        with pytest.raises(NotFoundError):
            parts.records.record(operator, record)
        with pytest.raises(NotFoundError):
            parts.records.receipt(operator, record)


def test_a_record_outlives_the_erased_child_without_naming_it(parts: Parts) -> None:
    erase(parts, parts.granted())
    record = parts.records.record(OURS, "cr_1")
    assert record["pii_principal_id"] == "erased:cr_1"
    assert "sub-mia" not in json.dumps(record)


def test_a_record_names_the_authority_of_the_childs_place(parts: Parts) -> None:
    for number, (place, authority) in enumerate(
        [("US-IL", "us-ftc"), ("DE", "eu-edpb"), ("GB", "gb-ico"), ("BR", "us-ftc")]
    ):
        subject = parts.subject(f"child{number}", place=place)
        parts.ask(subject, f"cr_{number}")
        processing = parts.records.record(OURS, f"cr_{number}")["pii_processing"]
        assert processing["authority_party"]["party_id"] == authority


def test_no_authority_is_made_up(parts: Parts) -> None:
    parts.apply(an_operator(establishment="BR"))
    parts.ask(parts.subject(place="BR"))
    assert "authority_party" not in parts.records.record(OURS, "cr_1")["pii_processing"]


def test_law_83_a_receipt_is_the_signed_record_with_an_id_of_its_own(parts: Parts) -> None:
    parts.granted()
    claims = parts.signer.verify(parts.records.receipt(OURS, "cr_1"), typ=RECEIPT_TYPE)
    assert claims is not None
    receipt: dict[str, Any] = claims["consent_receipt"]
    assert claims["iss"] == "https://age.example"
    assert claims["jti"] == receipt["receipt_id"]
    assert receipt["receipt_id"].startswith("rc_")
    del receipt["receipt_id"]
    assert receipt == parts.records.record(OURS, "cr_1")
    assert receipt["pii_processing"]["withdrawal_method"]["url"] == "https://age.example/parent/"


def test_a_parent_gets_the_same_receipt(parts: Parts) -> None:
    parts.granted()
    claims = parts.signer.verify(parts.records.receipt_for("cr_1"), typ=RECEIPT_TYPE)
    assert claims is not None
    assert claims["consent_receipt"]["record_id"] == "cr_1"
    with pytest.raises(NotFoundError):
        parts.records.receipt_for("cr_9")


# --- events ------------------------------------------------------------------------------------


def test_events_tell_ids_and_states_in_order(parts: Parts) -> None:
    parts.ask(parts.subject())
    parts.pass_(hours=1)
    parts.decide()
    parts.pass_(hours=1)
    parts.change("cr_1", "withdraw")
    told = parts.records.events(OURS)
    assert [e["type"] for e in told["events"]] == [
        "consent.requested",
        "consent.granted",
        "consent.withdrawn",
    ]
    event = told["events"][1]
    assert event["timestamp"] == "2026-11-22T13:00:00+00:00"
    assert event["data"] == {
        "sub": "sub-mia",
        "client_id": "storybuddy-web",
        "record": "cr_1",
        "state": "granted",
    }


def test_a_cursor_goes_on_where_the_last_answer_ended(parts: Parts) -> None:
    parts.granted("mia", "cr_1")
    first = parts.records.events(OURS, limit=1)
    assert len(first["events"]) == 1
    second = parts.records.events(OURS, after=first["next"])
    assert len(second["events"]) == 1
    assert first["events"][0]["id"] != second["events"][0]["id"]
    nothing = parts.records.events(OURS, after=second["next"])
    assert nothing == {"events": [], "next": second["next"]}
    parts.pass_(hours=1)
    parts.change("cr_1", "withdraw")
    news = parts.records.events(OURS, after=nothing["next"])
    assert [e["type"] for e in news["events"]] == ["consent.withdrawn"]


def test_a_new_reader_without_events_begins_at_the_beginning(parts: Parts) -> None:
    assert parts.records.events(OURS) == {"events": [], "next": "0"}


def test_no_event_of_another_operator_is_told(parts: Parts) -> None:
    parts.granted()
    assert parts.records.events(OTHERS)["events"] == []


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.0", "01", " 1", "1 ", "٣", "1" * 19, "1\n"])
def test_a_strange_cursor_is_refused(parts: Parts, cursor: str) -> None:
    with pytest.raises(InvalidRequestError):
        parts.records.events(OURS, after=cursor)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_strange_limit_is_refused(parts: Parts, limit: int) -> None:
    with pytest.raises(InvalidRequestError):
        parts.records.events(OURS, limit=limit)
