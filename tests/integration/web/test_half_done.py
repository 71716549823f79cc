"""A statement fails in the middle of a step: nothing half done, a kind page, and a retry works."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from agegate.adapters.kinds import TABLES
from tests.integration.web.site import BOTH, CHILD, PAT, Answer, Site


class Fuse:
    """A trigger in the database file that makes one kind of statement on one table fail."""

    def __init__(self, site: Site) -> None:
        self._file = Path(site.settings.database.removeprefix("sqlite:///"))

    def blow(self, verb: str, table: str) -> None:
        self._run(
            f"CREATE TRIGGER fuse BEFORE {verb} ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END"
        )

    def mend(self) -> None:
        self._run("DROP TRIGGER IF EXISTS fuse")

    def _run(self, statement: str) -> None:
        with sqlite3.connect(self._file) as connection:
            connection.execute(statement)
        connection.close()


def is_kind(answer: Answer) -> bool:
    return (
        answer.status in {409, 500, 503}
        and answer.page == "error"
        and "on fire" not in answer.text
        and "Traceback" not in answer.text
    )


GRANT = [
    ("UPDATE", "consents"),
    ("INSERT", "facts"),
    ("INSERT", "events"),
    ("INSERT", "parents"),
    ("DELETE", "contacts"),
    ("INSERT", "links"),
    ("INSERT", "outbox"),
]
ASK = [
    ("INSERT", "counters"),
    ("INSERT", "notices"),
    ("INSERT", "consents"),
    ("INSERT", "facts"),
    ("INSERT", "events"),
    ("INSERT", "contacts"),
    ("INSERT", "links"),
    ("INSERT", "outbox"),
    ("UPDATE", "flows"),
]
WITHDRAW = [
    ("UPDATE", "consents"),
    ("INSERT", "facts"),
    ("INSERT", "events"),
    ("INSERT", "outbox"),
    ("UPDATE", "issued_tokens"),
]
ERASE = [
    ("UPDATE", "consents"),
    ("INSERT", "facts"),
    ("INSERT", "outbox"),
    ("UPDATE", "families"),
    ("DELETE", "subjects"),
    ("DELETE", "browser_subjects"),
    ("INSERT", "events"),
    ("DELETE", "parents"),
]


def test_every_table_of_a_grant_may_fail_and_nothing_is_half_done(site: Site) -> None:
    fuse = Fuse(site)
    site.child()
    parent, link = site.parent_at("parent_decision")
    token = parent.get(link).csrf
    before = site.rows(counters=True)
    for verb, table in GRANT:
        fuse.blow(verb, table)
        answer = parent.post(link, {"csrf_token": token, **BOTH})
        assert is_kind(answer), (verb, table, answer.status)
        fuse.mend()
        assert site.rows(counters=True) == before, (verb, table)
        assert parent.get(link).page == "parent_decision"
    assert parent.post(link, {"csrf_token": token, **BOTH}).status == 303
    assert parent.get(link).page == "parent_receipt"
    assert [x["kind"] for x in site.letters()] == ["direct_notice", "receipt"]


def test_every_table_of_a_question_may_fail_and_no_address_is_kept(site: Site) -> None:
    fuse = Fuse(site)
    child = site.visitor()
    flow = site.authorize(child)
    child.send(flow, CHILD)
    token = child.get(flow).csrf
    before = site.rows(counters=True)
    for verb, table in ASK:
        fuse.blow(verb, table)
        answer = child.post(flow, {"csrf_token": token, "parent_email": PAT})
        assert is_kind(answer) or answer.status == 303, (verb, table, answer.status)
        fuse.mend()
        assert site.rows(counters=True) == before, (verb, table)
        assert child.get(flow).page == "parent_contact"
    assert child.post(flow, {"csrf_token": token, "parent_email": PAT}).status == 303
    assert child.get(flow).page == "consent_pending"


@pytest.mark.parametrize("wish", ["withdraw", "erase"])
def test_every_table_of_a_wish_may_fail_and_it_can_be_said_again(site: Site, wish: str) -> None:
    fuse = Fuse(site)
    child, flow, _, _ = site.grant()
    site.tokens(child, flow)
    parent = site.sign_in()
    [consent] = site.rows()["consents"]
    path = f"/parent/{wish}/{consent.id}"
    token = parent.get(path).csrf
    before = site.rows()
    for verb, table in WITHDRAW if wish == "withdraw" else ERASE:
        fuse.blow(verb, table)
        answer = parent.post(path, {"csrf_token": token, "confirm": "1"})
        assert is_kind(answer), (verb, table, answer.status)
        fuse.mend()
        assert site.rows() == before, (verb, table)
    assert parent.post(path, {"csrf_token": token, "confirm": "1"}).status == 303
    [after] = site.rows()["consents"]
    assert after.stage.value == ("withdrawn" if wish == "withdraw" else "revoked")


def test_the_fuses_name_real_tables() -> None:
    assert {table for _, table in (*GRANT, *ASK, *WITHDRAW, *ERASE)} <= set(TABLES.values())
