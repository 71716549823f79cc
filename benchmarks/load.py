"""A small load generator of our own: `python -m benchmarks.load < plan.json`.

One process, a few kept connections, as many requests as the server answers within the time.
It reads whole answers and counts those that are not 200.
"""

from __future__ import annotations

import base64
import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

PLACE = b"@@@@@@@@"
"""Eight characters that `vary` replaces with a number that no other request has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`seconds` of wall time; `p50` and `p99` in milliseconds."""

    answers: int
    wrong: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


def request(path: str, body: bytes, **headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def generate(
    port: int,
    requests: Sequence[bytes],
    *,
    seconds: float,
    connections: int = 8,
    vary: bool = False,
    once: bool = False,
) -> Result:
    """In a process of its own. `once` ends after the last request instead of beginning anew."""
    plan = {
        "port": port, "seconds": seconds, "connections": connections, "vary": vary, "once": once,
        "requests": [base64.b64encode(one).decode() for one in requests],
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(plan).encode(), stdout=subprocess.PIPE, check=True, timeout=seconds + 60,
    )  # fmt: skip
    return Result(**json.loads(done.stdout))


class Connection:
    """Has one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""
        self.sent_at = 0.0

    def send(self, data: bytes) -> None:
        self._read = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(data)

    def receive(self) -> bool | None:
        """Whether the answer is 200; None while it is not whole."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server hung up")
        self._read += data
        head, blank, body = self._read.partition(b"\r\n\r\n")
        if not blank:
            return None
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return None
        return head.startswith(b"HTTP/1.1 200")


def run(plan: dict[str, Any]) -> dict[str, float]:
    requests = [base64.b64decode(one) for one in plan["requests"]]
    serial = count(int(time.time() * 1000) % 90_000_000)
    numbers = iter(range(len(requests))) if plan["once"] else (n % len(requests) for n in count())

    def next_request() -> bytes | None:
        n = next(numbers, None)
        if n is None:
            return None
        return requests[n].replace(PLACE, b"%08d" % next(serial)) if plan["vary"] else requests[n]

    selector = selectors.DefaultSelector()
    began = time.perf_counter()
    for _ in range(min(plan["connections"], len(requests) if plan["once"] else 1 << 30)):
        data = next_request()
        if data is None:
            break
        connection = Connection(plan["port"])
        connection.send(data)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    wrong, took = 0, []
    ends = began + plan["seconds"]
    while selector.get_map():
        for key, _ in selector.select(20):
            connection = key.data
            fine = connection.receive()
            if fine is None:
                continue
            now = time.perf_counter()
            took.append(now - connection.sent_at)
            wrong += not fine
            data = next_request() if plan["once"] or now < ends else None
            if data is None:
                selector.unregister(connection.socket)
                connection.socket.close()
            else:
                connection.send(data)
    ended = time.perf_counter()
    took.sort()
    return {
        "answers": len(took),
        "wrong": wrong,
        "seconds": ended - began,
        "p50": took[len(took) // 2] * 1e3,
        "p99": took[len(took) * 99 // 100] * 1e3,
    }


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
