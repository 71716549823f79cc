from __future__ import annotations

from dataclasses import replace

import pytest

from agegate.domain.consent import Consent, Stage
from agegate.domain.grants import Code, Family, Flow, IssuedToken
from agegate.domain.ids import ClientId, OperatorId
from agegate.domain.outgoing import Delivery, Outgoing
from agegate.domain.people import BrowserSubject, Contact, Link, Parent, ParentSession
from agegate.domain.records import Counter, Event
from agegate.services.sweep import LETTERS_KEPT_FOR, RETENTION
from tests.factories import a_disclosure, a_purpose, an_operator
from tests.unit.services.world import BOTH, PAT, PHONE, TABLET, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_round_over_nothing_does_nothing(world: World) -> None:
    assert world.sweeps.sweep() == {}
    world.granted()
    assert world.sweeps.sweep() == {}


def test_law_3_after_fourteen_days_the_question_and_the_address_are_gone(world: World) -> None:
    flow, _ = world.asks()
    question = world.look(flow).question
    assert question is not None
    world.clock.pass_(days=14, seconds=-1)
    assert "lapsed" not in world.sweeps.sweep()
    assert len(world.all(Contact)) == 1
    world.clock.pass_(seconds=1)
    assert world.sweeps.sweep()["lapsed"] == 1
    assert world.all(Contact) == []
    assert world.all(Link) == []
    assert world.consent_now(question.id).stage is Stage.EXPIRED
    assert world.facts(question.id)[-2:] == ["consent.expired", "contact.deleted"]
    assert ("consent.expired", "expired") in world.events()


def test_law_3_a_letter_that_never_left_goes_with_its_question(world: World) -> None:
    flow = world.a_child()
    world.asking.ask(flow, PAT, browser=TABLET)
    world.clock.pass_(days=14)
    world.sweeps.sweep()
    [letter] = world.all(Outgoing)
    assert (letter.state, letter.payload.value) == (Delivery.DROPPED, "")
    world.outbox.deliver()
    assert world.mailer.letters == []


def test_law_3_nothing_of_the_parent_is_left_after_an_unanswered_question(world: World) -> None:
    world.asks()
    world.clock.pass_(days=60)
    for _ in range(3):
        world.sweeps.sweep()
    for kind in (Contact, Link, Outgoing, Parent, Counter, Flow, BrowserSubject):
        assert world.all(kind) == [], kind


def test_law_9_a_change_of_practices_outdates_a_grant(world: World) -> None:
    flow, _, consent = world.granted()
    token = world.token(flow)
    world.apply(an_operator(purposes=(replace(a_purpose(), retention_days=31), a_disclosure())))
    assert world.introspect(token)["consent"]["state"] == "stale"
    assert world.sweeps.sweep()["stale"] == 1
    assert world.consent_now(consent.id).stage is Stage.STALE
    assert all(issued.withdrawn for issued in world.all(IssuedToken))
    assert ("consent.stale", "stale") in world.events()
    assert "stale" not in world.sweeps.sweep()


def test_words_alone_outdate_nothing(world: World) -> None:
    world.granted()
    world.apply(an_operator(purposes=(replace(a_purpose(), title="Tell tales"), a_disclosure())))
    assert "stale" not in world.sweeps.sweep()


def test_a_grant_ends_with_its_year(world: World) -> None:
    _, _, consent = world.granted()
    world.clock.pass_(days=365)
    assert world.sweeps.sweep()["lapsed"] == 1
    assert world.consent_now(consent.id).stage is Stage.EXPIRED


def test_one_that_cannot_end_does_not_hold_up_the_others(world: World) -> None:
    world.asks()
    flow, _ = world.asks(browser=PHONE)
    question = world.look(flow, browser=PHONE).question
    assert question is not None
    with world.store.write() as uow:  # a client that is gone: its question can't be told to anyone
        other = uow.get(Consent, question.id)
        uow.save(replace(other, operator_id=OperatorId("gone"), client_id=ClientId("gone")))
        uow.commit()
    world.clock.pass_(days=14)
    world.sweeps.sweep()
    assert "expired" in {c.stage.value for c in world.all(Consent)}


@pytest.mark.parametrize("kind", [row[0] for row in RETENTION], ids=lambda kind: kind.__name__)
def test_law_97_everything_kept_for_a_while_is_deleted_when_it_is_over(
    world: World, kind: type
) -> None:
    flow, _, _ = world.granted()
    world.token(flow)
    world.signs_in()
    kept = {Flow, BrowserSubject, ParentSession, Counter, Link, IssuedToken, Code, Family, Event}
    if kind in kept:
        assert world.all(kind) != [], kind
    world.clock.pass_(days=800)
    for _ in range(3):
        world.sweeps.sweep()
    left = [
        thing
        for thing in world.all(kind)
        if getattr(thing, "at", getattr(thing, "expires_at", None)) is not None
    ]
    # The sweep itself tells of the lapse; that event is new. A key's door is never closed.
    fresh = [
        thing
        for thing in left
        if not (kind is Event and thing.at == world.clock.time)
        and not (kind is Counter and thing.expires_at.year > 9000)
    ]
    assert fresh == []


def test_sent_letters_are_remembered_for_a_month(world: World) -> None:
    world.granted()
    world.outbox.deliver()
    assert len(world.all(Outgoing)) == 2
    world.clock.time += LETTERS_KEPT_FOR
    world.sweeps.sweep()
    assert world.all(Outgoing) == []


def test_a_used_code_is_kept_while_its_family_may_live(world: World) -> None:
    flow, _, _ = world.granted()
    world.token(flow)
    world.clock.pass_(days=29)
    world.sweeps.sweep()
    assert len(world.all(Code)) == 1


def test_law_79_a_birthday_of_a_child_with_a_consent_keeps_the_consent(world: World) -> None:
    _, link = world.asks()
    consent = world.decides(link, BOTH)
    world.clock.pass_(days=364)
    world.sweeps.sweep()
    assert world.consent_now(consent.id).stage is Stage.GRANTED
