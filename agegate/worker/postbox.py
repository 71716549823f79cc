"""Webhooks leave in threads of their own, so that whoever is slow to take one stops nobody else."""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from typing import Final

from agegate.domain.ids import ClientId
from agegate.domain.webhooks import WebhookDelivery
from agegate.services.webhooks import WebhookService

log = logging.getLogger("agegate.worker")

THREADS: Final = 8


class Postbox:
    """A few threads that post. They are daemons: what a stop cuts off is due again by its lease."""

    def __init__(self, webhooks: WebhookService, *, threads: int = THREADS) -> None:
        self._webhooks = webhooks
        self._most = threads
        self._waiting: queue.SimpleQueue[WebhookDelivery] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._busy: Counter[ClientId] = Counter()
        self._started = 0

    def post(self, *, wait: bool = False) -> int:
        """Start what is due, as far as threads are free. Returns how many were started.

        With `wait` it returns when all of them are over.
        """
        with self._changed:
            busy = +self._busy
        taken = self._webhooks.take(limit=self._most - busy.total(), busy=busy)
        for delivery in taken:
            with self._changed:
                self._busy[delivery.client_id] += 1
            self._waiting.put(delivery)
        while self._started < min(self._most, busy.total() + len(taken)):
            self._started += 1
            threading.Thread(target=self._work, name="webhooks", daemon=True).start()
        if wait:
            with self._changed:
                self._changed.wait_for(lambda: self._busy.total() == 0)
        return len(taken)

    def _work(self) -> None:
        while True:
            delivery = self._waiting.get()
            try:
                self._webhooks.send(delivery)
            except Exception as error:  # noqa: BLE001 - the thread goes on; this one is due again by its lease
                log.error("webhook %s: %s", delivery.id, type(error).__name__)  # noqa: TRY400 - a trace may hold what a receiver sent
            finally:
                with self._changed:
                    self._busy[delivery.client_id] -= 1
                    self._changed.notify_all()
