"""What the app remembers of one browser, in memory: the browser itself holds a random id."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import Final

from agegate.demo.oauth import Leaving, Tokens
from agegate.demo.teller import Part

_MOST: Final = 500


@dataclass(slots=True, kw_only=True)
class Visit:
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    leaving: Leaving | None = None
    tokens: Tokens | None = None
    story: list[Part] = field(default_factory=list)
    own_story: str = ""
    message: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """One at a time: a refresh token that is used twice looks stolen."""

    def take_message(self) -> str | None:
        message, self.message = self.message, None
        return message


class Visits:
    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}
        self._lock = threading.Lock()

    def find(self, id_: str | None) -> Visit | None:
        return self._visits.get(id_ or "")

    def begin(self) -> tuple[str, Visit]:
        with self._lock:
            while len(self._visits) >= _MOST:
                self._visits.pop(next(iter(self._visits)))
            id_ = secrets.token_urlsafe(32)
            self._visits[id_] = visit = Visit()
            return id_, visit

    def end(self, id_: str | None) -> None:
        with self._lock:
            self._visits.pop(id_ or "", None)
