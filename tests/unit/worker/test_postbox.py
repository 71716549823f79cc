from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import pytest

from agegate.domain.ids import ClientId
from agegate.domain.webhooks import WebhookDelivery
from agegate.services.webhooks import WebhookSender, WebhookService
from agegate.worker.postbox import Postbox
from tests.factories import NOON
from tests.unit.services.world import World

WEB = ClientId("storybuddy-web")


class Nobody(WebhookSender):
    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        raise AssertionError("nothing is posted here")


class Slow(WebhookService):
    """Hands out what it is given, and sends until it is let go."""

    def __init__(self, count: int) -> None:
        super().__init__(World().core, Nobody())
        self.left = [_delivery(n) for n in range(count)]
        self.asked: list[tuple[int, dict[ClientId, int]]] = []
        self.sent: list[str] = []
        self.go_on = threading.Event()
        self.fails = False

    def take(self, *, limit: int, busy: Mapping[ClientId, int]) -> list[WebhookDelivery]:
        self.asked.append((limit, dict(busy)))
        taken, self.left = self.left[: max(limit, 0)], self.left[max(limit, 0) :]
        return taken

    def send(self, delivery: WebhookDelivery) -> WebhookDelivery | None:
        assert self.go_on.wait(10)
        if self.fails:
            raise RuntimeError("pat@example.org said so")
        self.sent.append(delivery.id)
        return delivery


def _delivery(n: int) -> WebhookDelivery:
    return WebhookDelivery(
        id=f"wh_{n}",
        event_id=f"evt_{n}",
        client_id=WEB,
        sub=None,
        since=NOON,
        due_at=NOON,
        created_at=NOON,
    )


def test_a_round_does_not_wait_for_what_it_started() -> None:
    slow = Slow(5)
    postbox = Postbox(slow, threads=3)
    assert postbox.post() == 3
    assert postbox.post() == 0
    assert slow.asked == [(3, {}), (0, {WEB: 3})]
    assert slow.sent == []
    slow.go_on.set()
    postbox.post(wait=True)
    while postbox.post(wait=True):
        continue
    assert sorted(slow.sent) == [f"wh_{n}" for n in range(5)]


def test_waiting_ends_when_all_have_left() -> None:
    slow = Slow(3)
    slow.go_on.set()
    assert Postbox(slow, threads=8).post(wait=True) == 3
    assert len(slow.sent) == 3


def test_a_faulty_one_stops_no_thread_and_says_nothing_of_anybody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow = Slow(4)
    slow.fails = True
    slow.go_on.set()
    postbox = Postbox(slow, threads=1)
    with caplog.at_level(logging.ERROR):
        assert [postbox.post(wait=True) for _ in range(3)] == [1, 1, 1]
    slow.fails = False
    assert postbox.post(wait=True) == 1
    assert slow.sent == ["wh_3"]
    assert [r.getMessage() for r in caplog.records] == [
        f"webhook wh_{n}: RuntimeError" for n in range(3)
    ]


def test_an_empty_postbox_starts_no_thread() -> None:
    before = threading.active_count()
    assert Postbox(Slow(0)).post(wait=True) == 0
    assert threading.active_count() == before
