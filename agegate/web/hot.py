"""Answers that a back end asks for again and again, given without running the application.

Flask computes every answer; this keeps its bytes beside the database's stamp. While nothing was
committed since, and no moment has passed at which the answer would change by itself, the same
question gets the same bytes. A withdrawal is a commit, so the next question is computed anew, on
every worker.

A stamp is taken before the look-ups of an answer, and one stamp never comes again. So two equal
ones enclose the look-ups: what they saw still holds. A commit that falls between makes the kept
answer useless, not wrong.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from flask import g

from agegate.domain.errors import AgegateError
from agegate.web.security import request_id
from agegate.wire import scopes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATHS: Final = frozenset({scopes.INTROSPECT, scopes.EVALUATION})
_LARGEST_BODY: Final = 32 * 1024
_MOST: Final = 20_000
_MOST_DIGITS: Final = 9
_KEPT_S: Final = 1.0
"""The longest that one answer serves: what time changes and nobody named is seen this late."""
_QUARTER_S: Final = 900
"""Days begin at whole quarters of an hour everywhere on earth, birthdays and rules with them."""
_KEY_HEADERS: Final = ("HTTP_AUTHORIZATION", "CONTENT_TYPE", "HTTP_ACCEPT")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stamp: str
    made_at: float
    good_until: float
    again: Callable[[], None] | None


def keep(*, until: float | None = None, again: Callable[[], None] | None = None) -> None:
    """Let this request's answer serve for the same question, at most until `until` (epoch seconds).

    `again` is called each time it does, for what must be written down about every answer.
    """
    g.hot = (until, again)


class HotAnswers:
    """WSGI middleware in front of the application."""

    def __init__(
        self, app: WSGIApplication, *, stamp: Callable[[], str], now: Callable[[], float]
    ) -> None:
        self._app = app
        self._stamp = stamp
        self._now = now
        self._answers: dict[bytes, _Answer] = {}
        self._all_made_at = ""

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") not in PATHS or environ.get("REQUEST_METHOD") != "POST":
            return self._app(environ, start)
        body = _read(environ)
        if body is None:
            return self._app(environ, start)
        try:
            stamp = self._stamp()
        except AgegateError:
            return self._app(environ, start)  # it answers 503 by itself
        key = _key(environ, body)
        known = self._answers.get(key)
        now = self._now()
        if known and known.stamp == stamp and known.made_at <= now < known.good_until:
            if known.again is not None:
                known.again()
            start(known.status, [*known.headers, ("X-Request-ID", request_id(environ))])
            return [known.body]
        return self._compute(environ, start, key, stamp, now)

    def _compute(
        self, environ: WSGIEnvironment, start: StartResponse, key: bytes, stamp: str, now: float
    ) -> Iterable[bytes]:
        seen: list[Any] = []

        def remember(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            seen[:] = [status, headers]
            return start(status, headers, error) if error else start(status, headers)

        chunks = self._app(environ, remember)
        kept = environ.get("agegate.hot")
        if kept is None or not seen:
            return chunks
        until, again = kept
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        good_until = min(now + _KEPT_S, (now // _QUARTER_S + 1) * _QUARTER_S)
        answer = _Answer(
            status=seen[0],
            headers=_shared_headers(*((k, v) for k, v in seen[1] if k != "X-Request-ID")),
            body=body,
            stamp=stamp,
            made_at=now,
            good_until=good_until if until is None else min(good_until, until),
            again=again,
        )
        if stamp != self._all_made_at or len(self._answers) >= _MOST:
            # Answers of another stamp serve nobody any more.
            self._answers = {}
            self._all_made_at = stamp
        self._answers[key] = answer
        return [body]


def _read(environ: WSGIEnvironment) -> bytes | None:
    """The body, put back for the application; None where it is too large or of unknown length."""
    text = environ.get("CONTENT_LENGTH") or ""
    # Only what every reader reads alike: `int` also takes "+5", "1_0" and other scripts' digits.
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        return None
    length = int(text)
    if not 0 < length <= _LARGEST_BODY or environ.get("QUERY_STRING"):
        return None
    try:
        body: bytes = environ["wsgi.input"].read(length)
    except OSError:  # The caller has gone. The application finds too little and says so.
        body = b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body if len(body) == length else None


def _key(environ: WSGIEnvironment, body: bytes) -> bytes:
    """Everything an answer depends on. Hashed, so that no secret lies about in a dictionary."""
    parts = [environ["PATH_INFO"], *(environ.get(name, "") for name in _KEY_HEADERS)]
    framed = "\x00".join(f"{len(part)}:{part}" for part in parts)
    # A server may hand over any text as a header's value.
    return hashlib.sha256(framed.encode("utf-8", "surrogatepass") + b"\x00" + body).digest()


@lru_cache(maxsize=256)
def _shared_headers(*headers: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Thousands of answers have few different sets of headers, each held once."""
    return headers
