from __future__ import annotations

from datetime import timedelta

import pytest

from agegate.adapters.mail.memory import MemoryMailer
from agegate.adapters.mail.render import render
from agegate.domain.consent import Stage
from agegate.domain.errors import LinkExpiredError
from agegate.domain.ids import digest
from agegate.domain.outgoing import LEASE, RETRY_AFTER, Delivery, Outgoing
from agegate.domain.people import Contact, Link
from agegate.services.outbox import OutboxService
from agegate.services.ports import MailError
from agegate.services.screening import NextStep
from tests.unit.services.world import BOTH, KIM, PAT, TABLET, World

OTHER_TABLET = digest("another tablet")
AWAY = MailError("connection_refused", permanent=False)
NO_SUCH_BOX = MailError("550", permanent=True)


@pytest.fixture
def world() -> World:
    return World()


def asked(world: World) -> str:
    flow = world.a_child()
    world.asking.ask(flow, PAT, browser=TABLET)
    return flow


def test_a_letter_leaves_once(world: World) -> None:
    asked(world)
    assert world.outbox.deliver() == 1
    assert world.outbox.deliver() == 0
    assert len(world.mailer.letters) == 1


def test_law_40_a_notice_that_left_is_written_down(world: World) -> None:
    asked(world)
    assert "consent.notified" not in world.facts()
    world.outbox.deliver()
    assert world.facts().count("consent.notified") == 1


def test_address_and_link_leave_the_outbox_with_the_letter(world: World) -> None:
    asked(world)
    world.outbox.deliver()
    [letter] = world.all(Outgoing)
    assert (letter.state, letter.payload.value) == (Delivery.SENT, "")


def test_letters_wait_while_the_mail_server_is_away_and_go_later(world: World) -> None:
    asked(world)
    world.mailer.failure = AWAY
    world.outbox.deliver()
    [letter] = world.all(Outgoing)
    assert (letter.state, letter.attempts, letter.error) == (
        Delivery.WAITING,
        1,
        "connection_refused",
    )
    assert world.outbox.deliver() == 0
    world.mailer.failure = None
    world.clock.time += RETRY_AFTER[0]
    assert world.outbox.deliver() == 1
    assert world.kinds_to(PAT) == ["direct_notice"]


def test_after_three_days_a_letter_is_given_up_and_the_address_deleted(world: World) -> None:
    asked(world)
    begun = world.clock.time
    world.mailer.failure = AWAY
    for _ in range(len(RETRY_AFTER) + 1):
        world.outbox.deliver()
        world.clock.time = max([world.clock.time, *[x.due_at for x in world.all(Outgoing)]])
    [letter] = world.all(Outgoing)
    assert letter.state is Delivery.FAILED
    assert timedelta(days=2) < world.clock.time - begun < timedelta(days=4)
    assert world.all(Contact) == []


def test_law_39_a_bounced_notice_is_no_notice_and_ends_the_question(world: World) -> None:
    flow = world.a_child()
    view = world.asking.ask(flow, PAT, browser=TABLET)
    assert view.question is not None
    world.mailer.failure = NO_SUCH_BOX
    world.outbox.deliver()
    consent = world.consent_now(view.question.id)
    assert (consent.stage, consent.notified_at) == (Stage.REVOKED, None)
    assert world.all(Contact) == []
    assert world.all(Link) == []
    assert "consent.undeliverable" in world.facts()
    assert "consent.notified" not in world.facts()
    assert world.look(flow).step is NextStep.PARENT_CONTACT


def test_law_39_after_a_bounce_another_address_may_be_asked(world: World) -> None:
    flow = world.a_child()
    world.asking.ask(flow, PAT, browser=TABLET)
    world.mailer.failure = NO_SUCH_BOX
    world.outbox.deliver()
    world.mailer.failure = None
    world.clock.pass_(minutes=1)
    world.asking.ask(flow, KIM, browser=TABLET)
    assert world.decides(world.letter_to(KIM), BOTH).stage is Stage.GRANTED


def test_a_bounced_second_copy_does_not_stop_a_parent_who_reads_the_first(world: World) -> None:
    flow, link = world.asks()
    world.proves(link)
    world.clock.pass_(minutes=2)
    world.asking.resend(flow, browser=TABLET)
    world.mailer.failure = NO_SUCH_BOX
    world.outbox.deliver()
    assert world.consent.decide(link, BOTH).consent.stage is Stage.GRANTED


def test_a_bounced_receipt_takes_nothing_back(world: World) -> None:
    _, _, consent = world.granted()
    world.mailer.failure = NO_SUCH_BOX
    world.outbox.deliver()
    assert world.consent_now(consent.id).stage is Stage.GRANTED


def test_a_worker_that_died_with_a_letter_in_hand_leaves_it_to_the_next(world: World) -> None:
    asked(world)
    with world.store.write() as uow:
        [letter] = uow.select(Outgoing)
        uow.save(letter.claim(now=uow.now))
        uow.commit()
    assert world.outbox.deliver() == 0
    world.clock.time += LEASE
    assert world.outbox.deliver() == 1
    assert [letter.message_id for letter in world.mailer.letters] == [letter.message_id]


def test_a_letter_in_the_hand_of_a_dead_worker_is_not_sent_after_its_question_ended(
    world: World,
) -> None:
    flow = world.a_child()
    world.asking.ask(flow, PAT, browser=TABLET)
    with world.store.write() as uow:
        [letter] = uow.select(Outgoing)
        uow.save(letter.claim(now=uow.now))
        uow.commit()
    world.asking.change_contact(flow, KIM, browser=TABLET)
    world.clock.time += LEASE
    world.outbox.deliver()
    assert world.mailer.to(PAT) == []
    assert len(world.mailer.to(KIM)) == 1


def test_two_workers_send_a_letter_once(world: World) -> None:
    """The second looks while the first is sending."""
    asked(world)

    class Slow(MemoryMailer):
        def send(self, *args: object, **kwargs: object) -> None:
            other.deliver()
            super().send(*args, **kwargs)  # type: ignore[arg-type]  # Passed on as they came.

    mailer = Slow()
    other = OutboxService(world.core, world.mailer, render)
    OutboxService(world.core, mailer, render).deliver()
    assert len(mailer.letters) + len(world.mailer.letters) == 1


def test_a_notice_sent_as_its_question_ran_out_counts_for_nothing(world: World) -> None:
    flow = world.a_child()
    view = world.asking.ask(flow, PAT, browser=TABLET)
    assert view.question is not None
    world.clock.pass_(days=14)
    world.outbox.deliver()
    assert world.consent_now(view.question.id).stage is Stage.REQUESTED
    with pytest.raises(LinkExpiredError):
        world.consent.look(world.letter_to(PAT))


def test_at_most_a_batch_is_taken_at_once(world: World) -> None:
    asked(world)
    world.asking.ask(world.a_child(browser=OTHER_TABLET), KIM, browser=OTHER_TABLET)
    assert world.outbox.deliver(limit=1) == 1
    assert world.outbox.deliver(limit=1) == 1


def test_law_42_no_letter_holds_an_image_or_a_foreign_address(world: World) -> None:
    _, _, consent = world.granted()
    world.outbox.deliver()
    world.consent.withdraw(world.letter_to(PAT))
    world.outbox.deliver()
    assert len(world.mailer.letters) == 3
    for letter in world.mailer.letters:
        for sign in ("<img", "background=", "url(", "@import", "<script", "utm_"):
            assert sign not in letter.rendered.html, (letter.kind, sign)
    assert consent.stage is Stage.GRANTED
