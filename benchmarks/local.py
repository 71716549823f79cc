"""What the parts cost inside one process: signatures, look-ups, the guard, kept answers."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import psycopg
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask

from agegate.domain.grants import IssuedToken
from agegate.guard import Guard
from agegate.web import create_app
from agegate.web.hot import HotAnswers
from agegate.wire.scopes import TOKEN_TYPE_ACCESS
from benchmarks import limits
from benchmarks.load import PLACE
from benchmarks.seed import House
from benchmarks.stats import interleaved, per_call

Measured = dict[str, list[float]]
RESOURCE = "https://api.storybuddy.example"


class Issuer:
    """The guard's network: our own documents, without a socket."""

    def __init__(self, app: Flask, public_url: str) -> None:
        self._client = app.test_client()
        self._public_url = public_url

    def get(self, url: str) -> tuple[int, bytes]:
        response = self._client.get(url.removeprefix(self._public_url))
        return response.status_code, response.data

    async def aget(self, url: str) -> tuple[int, bytes]:
        return self.get(url)


def signatures(house: House, *, seconds: float, rounds: int) -> Measured:
    """Microseconds a token: ours beside `cryptography` alone."""
    signer = house.services.signer
    token = house.tokens()[0]
    claims = signer.verify(token, typ=TOKEN_TYPE_ACCESS)
    assert claims is not None
    public = limits.read_key(signer.jwks()["keys"][0])
    private = ec.generate_private_key(ec.SECP256R1())
    return interleaved(
        {
            "limit: ES256 sign, cryptography": _act(
                lambda: limits.sign(claims, private), seconds=seconds
            ),
            "sign a token": _act(
                lambda: signer.sign(claims, typ=TOKEN_TYPE_ACCESS), seconds=seconds
            ),
            "limit: ES256 verify, cryptography": _act(
                lambda: limits.verify(token, public), seconds=seconds
            ),
            "verify a token": _act(
                lambda: signer.verify(token, typ=TOKEN_TYPE_ACCESS), seconds=seconds
            ),
        },
        rounds=rounds,
    )


def guard(house: House, *, seconds: float, rounds: int) -> Measured:
    """Microseconds a check: a token seen before, and one never seen."""
    logging.getLogger("agegate.guard").setLevel(logging.WARNING)  # as an application leaves it
    app = create_app(house.services)
    issuer = Issuer(app, house.public_url)
    tokens = house.tokens()
    token = tokens[0]
    public = limits.read_key(house.services.signer.jwks()["keys"][0])
    kept = {hashlib.sha256(one.encode()).digest(): one for one in tokens}
    purposes = ["ai_chat"]

    def fresh() -> Guard:
        made = Guard(issuer=house.public_url, audience=RESOURCE, transport=issuer)
        made.check(token, purposes=purposes)
        return made

    hot = fresh()

    def cold() -> float:
        checking = fresh()
        began = time.process_time()
        for one in tokens[1:]:
            checking.check(one, purposes=purposes)
        return (time.process_time() - began) / len(tokens[1:]) * 1e6

    return interleaved(
        {
            "limit: SHA-256 and a dictionary": _act(
                lambda: kept[hashlib.sha256(token.encode()).digest()], seconds=seconds
            ),
            "guard.check, hot": _act(lambda: hot.check(token, purposes=purposes), seconds=seconds),
            "limit: ES256 verify, cryptography": _act(
                lambda: limits.verify(token, public), seconds=seconds
            ),
            "guard.check, cold": cold,
        },
        rounds=rounds,
    )


def lookups(house: House, *, seconds: float, rounds: int) -> Measured:
    """Microseconds of this process's CPU: one row by its key, one stamp, one kept answer."""
    house.tokens()
    store = house.services.core.store
    with store.read() as r:
        id_ = r.select(IssuedToken, limit=1)[0].id
    select = _prepared(house.url)

    def find() -> IssuedToken | None:
        with store.read() as r:
            return r.find(IssuedToken, id_)

    assert select(id_)
    assert find()
    return interleaved(
        {
            "limit: one prepared SELECT by the driver": _act(lambda: select(id_), seconds=seconds),
            "one row through the store": _act(find, seconds=seconds),
            "one stamp": _act(store.stamp, seconds=seconds),
        },
        rounds=rounds,
    )


def answers(house: House, *, seconds: float, rounds: int) -> Measured:
    """Microseconds of this process's CPU for a whole request, without a server."""
    app = create_app(house.services)
    flask = Flask("hello")
    flask.post("/oauth/introspect")(lambda: {"active": True})
    question = house.introspections(house.tokens()[:1])[0]
    unlike = house.introspections(house.tokens()[:1], unlike=True)[0]
    asked = iter(range(10**9))
    decision = house.evaluations()[0]

    def cold() -> bytes:
        return call(app, unlike.replace(PLACE, b"%08d" % next(asked)))

    assert json.loads(call(app, question))["active"] is True
    assert json.loads(cold())["active"] is True
    assert json.loads(call(app, decision))["decision"] is True
    return interleaved(
        {
            "limit: raw WSGI hello": _act(lambda: call(limits.hello, question), seconds=seconds),
            "limit: Flask hello": _act(lambda: call(flask, question), seconds=seconds),
            "introspection, hot": _act(lambda: call(app, question), seconds=seconds),
            "evaluation, hot": _act(lambda: call(app, decision), seconds=seconds),
            "introspection, strict miss": _act(cold, seconds=seconds),
        },
        rounds=rounds,
    )


def imports(*, rounds: int) -> tuple[dict[str, list[float]], list[str]]:
    """Milliseconds to import, in new interpreters, and what came along that must not."""
    modules = (
        "agegate.guard",
        "agegate.guard.client",
        "agegate.guard.token",
        "agegate.wire.claims",
    )
    code = (
        "import sys,time; b=time.perf_counter(); import {0}; "
        "print((time.perf_counter()-b)*1e3, *sys.modules)"
    )
    unwanted = {"flask", "sqlalchemy", "authlib", "pydantic", "werkzeug", "alembic", "joserfc"}
    found: set[str] = set()

    def one(module: str) -> float:
        done = subprocess.run(
            [sys.executable, "-c", code.format(module)], stdout=subprocess.PIPE, check=True
        )
        took, *loaded = done.stdout.decode().split()
        found.update(unwanted & set(loaded))
        return float(took)

    acts = {f"import {module}": (lambda m=module: one(m)) for module in modules}
    return interleaved(acts, rounds=rounds), sorted(found)


def call(app: Any, message: bytes) -> bytes:
    """A request as the load generator sends it, handed to a WSGI application."""
    head, _, body = message.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": first.split()[1],
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
    }
    for line in lines:
        name, _, value = line.partition(": ")
        name = name.upper().replace("-", "_")
        plain = name in {"CONTENT_LENGTH", "CONTENT_TYPE"}
        environ[name if plain else f"HTTP_{name}"] = value
    return b"".join(app(environ, lambda *_: None))


def fill(app: Flask, number: int, answer: bytes) -> int:
    """Keep this many answers like `answer`, as many questions would; how many are kept."""
    front = cast("HotAnswers", app.wsgi_app)

    def computed(environ: Any, start: Any) -> list[bytes]:
        environ["agegate.hot"] = (None, None)
        start("200 OK", [("Content-Type", "application/json"), ("X-Request-ID", "x")])
        return [bytes(bytearray(answer))]

    filled = HotAnswers(computed, stamp=lambda: "one", now=time.time)
    for n in range(number):
        call(filled, b"POST /oauth/introspect HTTP/1.1\r\nContent-Length: 8\r\n\r\n%08d" % n)
    front._answers = filled._answers  # noqa: SLF001 - kept alive while it is weighed
    return len(filled._answers)  # noqa: SLF001 - as above


def _act(act: Callable[[], object], *, seconds: float) -> Callable[[], float]:
    return lambda: per_call(act, seconds=seconds)


def _prepared(url: str) -> Callable[[str], object]:
    if url.startswith("sqlite"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        cursor = lite.cursor()
        return lambda id_: cursor.execute(
            "SELECT * FROM issued_tokens WHERE id = ?", (id_,)
        ).fetchone()
    connection = psycopg.connect(url, autocommit=True)
    return lambda id_: connection.execute(
        "SELECT * FROM issued_tokens WHERE id = %s", (id_,), prepare=True
    ).fetchone()


def typical(values: list[float]) -> float:
    return statistics.median(values)
