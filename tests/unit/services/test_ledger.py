from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.cli.ledger import verify_signature
from agegate.domain.consent import Consent, Stage
from agegate.domain.errors import NotFoundError
from agegate.domain.ledger import Checkpoint, Fact, chain_hash, leaf_hash
from agegate.domain.ledger_check import CHECKPOINT_TYPE, Report
from agegate.domain.ledger_files import UnreadableFileError, check_file
from tests.unit.services.parts import Parts


@pytest.fixture
def parts() -> Parts:
    """A ledger with a child's whole story in it, and a checkpoint half way."""
    parts = Parts()
    parts.granted("mia", "cr_1")
    parts.ledger.checkpoint()
    parts.pass_(hours=1)
    parts.change("cr_1", "withdraw")
    parts.granted("leo", "cr_2", lab="grant")
    parts.ledger.integrate()
    return parts


def tamper(parts: Parts, kind: type[Any], pick: Callable[[str], bool], **changes: Any) -> None:
    """Change rows, picked by their ids, as somebody with the database's password could."""
    rows = parts.store._tables[kind]  # noqa: SLF001 - a thief asks no port
    for id_, row in list(rows.items()):
        if pick(id_):
            rows[id_] = replace(row, **changes)


def id_of(parts: Parts, number: int) -> str:
    return parts.store.entries(past=number - 1, limit=1)[0].id


def cut(parts: Parts, past: int) -> None:
    rows = parts.store._tables[Fact]  # noqa: SLF001 - as above
    for id_, fact in list(rows.items()):
        if fact.seq > past:
            del rows[id_]


def numbers(report: Report) -> tuple[bool, int | None]:
    return report.ok, report.first_break.seq if report.first_break else None


# --- a whole ledger ----------------------------------------------------------------------------


def test_an_untouched_ledger_is_whole(parts: Parts) -> None:
    report = parts.ledger.verify()
    assert report.ok
    assert (report.checkpoints, report.unproven, report.waiting) == (1, 0, 0)
    assert report.size == len(parts.store.entries())
    assert report.head == parts.store.entries()[-1].head


def test_verifying_changes_nothing_and_counts_what_waits(parts: Parts) -> None:
    parts.pass_(hours=1)
    parts.change("cr_2", "withdraw")
    size = len(parts.store.entries())
    report = parts.ledger.verify()
    assert (report.ok, report.waiting, report.size) == (True, 1, size)
    assert len(parts.store.entries()) == size
    assert parts.ledger.integrate() == 1
    assert parts.ledger.integrate() == 0
    assert parts.ledger.verify().waiting == 0


def test_a_ledger_longer_than_a_page_is_walked_to_its_end(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agegate.services.ledger.PAGE", 3)
    assert parts.ledger.verify().ok
    last = parts.store.entries()[-1]
    tamper(parts, Fact, last.id.__eq__, data={"extra": "yes"})
    assert numbers(parts.ledger.verify()) == (False, last.seq)


# --- what a thief may try ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"granted": ("everything",)}},
        {"record": "cr_other"},
        {"client_id": "other-web"},
        {"leaf": "0" * 64},
        {"head": "0" * 64},
        {"seq": 999},
    ],
)
def test_law_81_any_change_to_any_entry_is_found(parts: Parts, change: dict[str, Any]) -> None:
    for chosen in list(parts.store.entries()):
        whole_one = parts.store._tables[Fact][chosen.id]  # noqa: SLF001 - as above
        tamper(parts, Fact, chosen.id.__eq__, **change)
        assert numbers(parts.ledger.verify()) == (False, chosen.seq)
        parts.store._tables[Fact][chosen.id] = whole_one  # noqa: SLF001 - as above


def test_a_missing_entry_is_found(parts: Parts) -> None:
    rows = parts.store._tables[Fact]  # noqa: SLF001 - as above
    del rows[next(id_ for id_, f in rows.items() if f.seq == 3)]
    assert numbers(parts.ledger.verify()) == (False, 3)


def test_a_rewritten_chain_is_found_by_its_checkpoint(parts: Parts) -> None:
    size = parts.ledger.checkpoint().size
    tamper(parts, Fact, id_of(parts, 4).__eq__, data={"reason": "nothing to see"})
    head = parts.store.entries(past=2, limit=1)[0].head
    for entry in parts.store.entries(past=3):
        leaf = leaf_hash(entry.canonical())
        assert head is not None
        head = chain_hash(head, leaf)
        tamper(parts, Fact, entry.id.__eq__, leaf=leaf, head=head)
    report = parts.ledger.verify()
    assert report.first_break is None
    assert f"checkpoint {size}: the ledger had another head then; it was rewritten" in (
        report.problems
    )


def test_a_cut_tail_is_found_by_its_checkpoint(parts: Parts) -> None:
    size = parts.ledger.checkpoint().size
    cut(parts, size - 2)
    report = parts.ledger.verify()
    assert report.first_break is None
    assert f"checkpoint {size}: the ledger ends at {size - 2}, its tail was cut off" in (
        report.problems
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"signature": "a.b.c"}, "its signature is not ours"),
        ({"signature": ""}, "its signature is not ours"),
        ({"signature": "W10.W10.W10"}, "its signature is not ours"),
        ({"head": "0" * 64}, "says something else than what was signed"),
    ],
)
def test_a_forged_checkpoint_is_found(parts: Parts, change: dict[str, str], problem: str) -> None:
    tamper(parts, Checkpoint, lambda _: True, **change)
    assert any(problem in found for found in parts.ledger.verify().problems)


def test_a_checkpoint_of_a_stranger_is_found(parts: Parts) -> None:
    stranger = Parts()
    (ours,) = checkpoints(parts)
    claims = {"size": ours.size, "head": ours.head, "at": ours.at.isoformat()}
    signature = stranger.signer.sign(claims, typ=CHECKPOINT_TYPE)
    tamper(parts, Checkpoint, lambda _: True, signature=signature)
    assert parts.ledger.verify().problems == (f"checkpoint {ours.size}: its signature is not ours",)


def test_a_checkpoint_outlives_its_key(parts: Parts) -> None:
    parts.keys.rotate(at_once=True)
    parts.pass_(days=1)
    assert parts.keys.clean() == 1
    parts.signer.forget()
    report = parts.ledger.verify()
    assert (report.ok, report.unproven) == (True, 1)


def test_a_break_is_told_once_and_not_again_for_each_checkpoint_behind_it(parts: Parts) -> None:
    parts.ledger.checkpoint()
    tamper(parts, Fact, id_of(parts, 2).__eq__, record="cr_other")
    report = parts.ledger.verify()
    assert numbers(report) == (False, 2)
    assert report.problems == ()


def test_a_consent_changed_behind_the_ledgers_back_is_found(parts: Parts) -> None:
    tamper(parts, Consent, "cr_1".__eq__, stage=Stage.GRANTED)
    assert parts.ledger.verify().problems == (
        "consent cr_1: its state is not the one its facts lead to",
    )


def test_a_consent_without_facts_is_found(parts: Parts) -> None:
    rows = parts.store._tables[Consent]  # noqa: SLF001 - as above
    rows["cr_9"] = replace(rows["cr_2"], id="cr_9")
    assert parts.ledger.verify().problems == (
        "consent cr_9: its state is not the one its facts lead to",
    )


def test_a_second_sending_of_the_notice_is_no_step_back(parts: Parts) -> None:
    parts.ask(parts.subject("ada"), "cr_3")
    for step in ("notify", "open", "notify"):
        with parts.store.write() as uow:
            consent = uow.get(Consent, "cr_3")
            more = {"same_browser": False} if step == "open" else {}
            parts.core.record(uow, getattr(consent, step)(now=uow.now, **more))
            uow.commit()
    assert parts.ledger.verify().ok


# --- checkpoints -------------------------------------------------------------------------------


def checkpoints(parts: Parts) -> list[Checkpoint]:
    with parts.store.read() as r:
        return r.select(Checkpoint, order="size")


def test_a_checkpoint_signs_size_head_and_time(parts: Parts) -> None:
    made = parts.ledger.checkpoint()
    claims = parts.signer.verify(made.signature, typ=CHECKPOINT_TYPE)
    assert claims == {
        "iss": "https://age.example",
        "iat": int(parts.now.timestamp()),
        "size": len(parts.store.entries()),
        "head": parts.store.entries()[-1].head,
        "at": parts.now.isoformat(),
    }


def test_a_checkpoint_of_an_unchanged_ledger_is_the_same_one(parts: Parts) -> None:
    made = parts.ledger.checkpoint()
    parts.pass_(days=1)
    assert parts.ledger.checkpoint() == made
    assert len(checkpoints(parts)) == 2


def test_a_checkpoint_numbers_what_waits_first(parts: Parts) -> None:
    parts.pass_(hours=1)
    parts.change("cr_2", "withdraw")
    assert parts.ledger.checkpoint().size == len(parts.store.entries())
    assert parts.ledger.verify().waiting == 0


def test_two_checkpoints_at_once_are_one(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[Checkpoint] = []
    write = parts.store.write

    def race() -> Any:
        monkeypatch.undo()
        first.append(parts.ledger.checkpoint())
        return write()

    monkeypatch.setattr(parts.store, "write", race)
    assert parts.ledger.checkpoint() == first[0]


# --- offline -----------------------------------------------------------------------------------


def export(parts: Parts) -> list[str]:
    return list(parts.ledger.export())


def check(lines: list[str], **more: Any) -> Report:
    return check_file(lines, verify=verify_signature, **more)


def test_an_export_verifies_offline(parts: Parts) -> None:
    report = check(export(parts))
    assert report.ok
    assert (report.size, report.checkpoints) == (len(parts.store.entries()), 2)
    assert report.head == parts.store.entries()[-1].head


def test_an_export_verifies_against_keys_that_were_kept(parts: Parts) -> None:
    lines = export(parts)
    assert check(lines, trusted=parts.signer.jwks()).ok
    assert not check(lines, trusted=Parts().signer.jwks()).ok


def test_an_export_holds_nothing_about_a_person(parts: Parts) -> None:
    text = "".join(export(parts))
    assert "sub-mia" not in text
    assert "su_mia" not in text
    assert "pa_maria" not in text


def test_an_export_of_a_broken_ledger_tells_the_break(parts: Parts) -> None:
    parts.ledger.checkpoint()
    tamper(parts, Fact, id_of(parts, 5).__eq__, record="cr_other")
    assert numbers(check(export(parts))) == (False, 5)


_WHOLE: list[str] = []


def whole() -> list[str]:
    """One export for all examples: making it anew for each would take minutes."""
    if not _WHOLE:
        parts = Parts()
        parts.granted("mia", "cr_1")
        _WHOLE.extend(export(parts))
    return _WHOLE


@given(data=st.data())
def test_law_81_no_byte_of_an_entry_can_change_unseen(data: st.DataObject) -> None:
    lines = list(whole())
    entries = [n for n, line in enumerate(lines) if '"type":"entry"' in line]
    number = data.draw(st.sampled_from(entries))
    line = lines[number]
    at = data.draw(st.integers(0, len(line) - 2))
    other = data.draw(st.characters(codec="ascii", exclude_categories=["Cc"]))
    if other == line[at]:
        return
    lines[number] = line[:at] + other + line[at + 1 :]
    try:
        seen = not check(lines).ok
    except UnreadableFileError:
        seen = True
    assert seen


@given(lines=st.lists(st.text(max_size=40) | st.sampled_from(["{}", "[]", '{"type":"entry"}'])))
def test_a_file_that_is_not_ours_is_refused_in_plain_words(lines: list[str]) -> None:
    with pytest.raises(UnreadableFileError):
        check(lines)


def test_an_export_whose_end_was_cut_off_with_its_checkpoint_is_found(parts: Parts) -> None:
    lines = export(parts)
    last = max(n for n, line in enumerate(lines) if '"type":"entry"' in line)
    newest = max(n for n, line in enumerate(lines) if '"type":"checkpoint"' in line)
    shorter = [line for n, line in enumerate(lines) if n not in {last, newest}]
    assert check(shorter).problems == (
        "no checkpoint by one of these keys stands at the end of this file",
    )


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"secret"}',
        '{"type":"checkpoint","size":true,"head":"0","at":"2026-11-22","signature":""}',
        '{"type":"checkpoint","size":1}',
        '{"type":"jwks","keys":7}',
    ],
)
def test_a_strange_line_in_an_export_is_refused(parts: Parts, line: str) -> None:
    with pytest.raises(UnreadableFileError, match="line 2 is not one of an export"):
        check([export(parts)[0], line])


@pytest.mark.parametrize("field", ["operator", "client", "record"])
def test_an_id_that_is_not_text_is_refused(parts: Parts, field: str) -> None:
    lines = export(parts)
    lines[1] = json.dumps(json.loads(lines[1]) | {field: 7})
    with pytest.raises(UnreadableFileError):
        check(lines)


def test_an_empty_line_is_no_line(parts: Parts) -> None:
    assert check(["\n", *export(parts), "\n"]).ok


@pytest.mark.parametrize("without", ["jwks", "agegate-ledger"])
def test_half_an_export_is_refused(parts: Parts, without: str) -> None:
    lines = [line for line in export(parts) if json.loads(line)["type"] != without]
    with pytest.raises(UnreadableFileError):
        check(lines)


# --- proofs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", ["cr_1", "cr_2"])
def test_a_proof_shows_one_records_facts_and_no_others(parts: Parts, record: str) -> None:
    proof = parts.ledger.prove(record)
    assert {fact["record"] for fact in proof["facts"]} == {record}
    assert check([json.dumps(proof)]).ok
    other = {"cr_1": "cr_2", "cr_2": "cr_1"}[record]
    assert other not in json.dumps(proof)
    assert "not a Merkle" in proof["note"]


def test_the_first_entry_of_a_ledger_can_be_proved() -> None:
    parts = Parts()
    parts.store._tables[Fact].clear()  # noqa: SLF001 - a ledger without the keys' own facts
    parts.ask(parts.subject())
    assert check([json.dumps(parts.ledger.prove("cr_1"))]).ok


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p["facts"][0].update(kind="consent.denied"),
        lambda p: p["facts"][0].update(number=1),
        lambda p: p.update(facts=[]),
        lambda p: p.update(record="cr_2"),
        lambda p: p["leaves"].reverse(),
        lambda p: p["leaves"].pop(),
        lambda p: p["start"].update(head="0" * 64),
        lambda p: p["checkpoint"].update(head="0" * 64),
        lambda p: p["checkpoint"].update(signature="a.b.c"),
    ],
)
def test_a_spoiled_proof_proves_nothing(
    parts: Parts, spoil: Callable[[dict[str, Any]], None]
) -> None:
    proof = parts.ledger.prove("cr_1")
    spoil(proof)
    assert not check([json.dumps(proof)]).ok


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p.pop("facts"),
        lambda p: p["start"].update(number="many"),
        lambda p: p.update(leaves=["not hex"] * len(p["leaves"])),
        lambda p: p.update(keys=7),
        lambda p: p.update(checkpoint=[]),
    ],
)
def test_a_proof_of_another_form_is_refused(
    parts: Parts, spoil: Callable[[dict[str, Any]], object]
) -> None:
    proof = parts.ledger.prove("cr_1")
    spoil(proof)
    try:
        fine = check([json.dumps(proof)]).ok
    except UnreadableFileError:
        fine = False
    assert not fine


def test_nothing_can_be_proved_of_an_unknown_record(parts: Parts) -> None:
    with pytest.raises(NotFoundError):
        parts.ledger.prove("cr_9")
