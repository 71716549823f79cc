"""The worker: a loop over what is due. Any number may run; whichever dies, another takes over."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import FrameType
from typing import Final

from agegate.bootstrap import Services, open_services, tidy
from agegate.domain.errors import AgegateError, UnavailableError
from agegate.settings import Settings
from agegate.worker.postbox import Postbox

log = logging.getLogger("agegate.worker")

IDLE_S: Final = 0.5
SANDBOX_IDLE_S: Final = 0.2
SWEEP_EVERY: Final = timedelta(seconds=10)
TIDY_EVERY: Final = timedelta(seconds=20)
"""A deleted address is gone from every byte within a minute of the letter that says so."""
CHECKPOINT_EVERY: Final = timedelta(hours=1)
LONGEST_PAUSE_S: Final = 10.0
STOP_WITHIN_S: Final = 4.0

Sleep = Callable[[float], bool]
"""Wait so many seconds; True as soon as it is time to stop."""


def run(env: Mapping[str, str], *, once: bool) -> int:
    """Work until SIGTERM or SIGINT, or with `once` until nothing is due. Returns the exit status.

    Raises `SettingsError` or `AgegateError` when it can't even start.
    """
    settings = Settings.from_env(env)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = threading.Event()
    _stop_on_signals(stop)
    worker = Worker(open_services(settings))
    if once:
        return worker.run_until_idle(stop.wait)
    log.info("at work")
    worker.run(stop.wait, idle_s=SANDBOX_IDLE_S if settings.sandbox else IDLE_S)
    log.info("stopped")
    return 0


class Worker:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._postbox = Postbox(services.webhooks)
        self._swept = _Every(SWEEP_EVERY)
        self._checked = _Every(CHECKPOINT_EVERY)
        self._tidied = _Every(TIDY_EVERY)
        self._is_untidy = True

    def run(self, sleep: Sleep, *, idle_s: float) -> None:
        """Rounds until `sleep` says stop. Outlives an absent database and a faulty letter."""
        failures = 0
        while True:
            try:
                was_busy = self.round()
                failures = 0
                pause = 0.0 if was_busy else idle_s
            except Exception as error:  # noqa: BLE001 - the loop goes on; letters must not wait for a person
                failures += 1
                pause = min(LONGEST_PAUSE_S, 0.5 * 2**failures)
                _complain(error, pause)
            if sleep(pause):
                return

    def run_until_idle(self, sleep: Sleep) -> int:
        """Rounds until nothing is due. Returns 1 when something failed."""
        while not sleep(0):
            try:
                if not self.round(everything=True):
                    return 0
            except AgegateError as error:
                _complain(error, 0)
                return 1
        return 0

    def round(self, *, everything: bool = False) -> bool:
        """Once over all that may be due. Returns whether there was anything.

        Sweeps and checkpoints come now and then, or with `everything` in each round.
        """
        services = self._services
        done = services.outbox.deliver()
        now = services.core.now()
        # Each is noted first: one that fails must not keep the others from their turn.
        if self._swept.is_due(now) or everything:
            self._swept.note(now)
            done += sum(services.sweeps.sweep().values())
        done += services.ledger.integrate()
        # A receiver that hangs must not hold up letters: posts are under way beside the rounds.
        done += self._postbox.post(wait=everything)
        if self._checked.is_due(now) or everything:
            self._checked.note(now)
            services.keys.clean()
            services.ledger.checkpoint()
        self._is_untidy |= bool(done)
        if self._is_untidy and (self._tidied.is_due(now) or (everything and not done)):
            self._tidied.note(now)
            tidy(services.settings)
            self._is_untidy = False
        return bool(done)


class _Every:
    """Due at first, then again after a span of the service's own time, whichever way it went."""

    def __init__(self, span: timedelta) -> None:
        self._span = span
        self._last: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        return self._last is None or not self._last <= now < self._last + self._span

    def note(self, now: datetime) -> None:
        self._last = now


def _complain(error: Exception, pause: float) -> None:
    # A strange error's text may hold an address: its type and place are enough.
    what = str(error) if isinstance(error, UnavailableError) else _place(error)
    log.error("%s; next try in %.1f s", what, pause)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    return f"{type(error).__name__} at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _stop_on_signals(stop: threading.Event) -> None:
    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        # A mail server that says nothing must not hold up a shutdown. A letter in the middle of it
        # is due again when its lease is over, with the same Message-ID.
        end = threading.Timer(STOP_WITHIN_S, os._exit, args=(0,))
        end.daemon = True
        end.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
