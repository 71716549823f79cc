"""Real servers on loopback, two workers each, asked in turn by the load generator."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from agegate.bootstrap import migrate
from benchmarks import limits, naive
from benchmarks.load import Result, basic, generate, request
from benchmarks.machine import cpu_seconds, family, memory_mib
from benchmarks.seed import SERVICE_AUTH, House, service_tokens
from benchmarks.serve import WORKERS
from tests.support.postgres import Cluster, free_port
from tests.support.processes import Process, Processes, answers

PEOPLE = 400
REDEMPTIONS = 60
_TOKENS_LAST_S = 200
_FORM = "application/x-www-form-urlencoded"


@dataclass
class Target:
    """One kind of request to one server."""

    name: str
    port: int
    pid: int
    requests: Callable[[], list[bytes]]
    vary: bool = False
    once: bool = False
    database: int | None = None
    """The PostgreSQL server behind it."""
    results: list[Result] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    database_cpu: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        """One round. Raises `RuntimeError` when an answer was not 200."""
        asked = self.requests()
        before = cpu_seconds(self.pid), cpu_seconds(self.database) if self.database else 0.0
        result = generate(self.port, asked, seconds=seconds, vary=self.vary, once=self.once)
        after = cpu_seconds(self.pid), cpu_seconds(self.database) if self.database else 0.0
        if result.wrong:
            raise RuntimeError(f"{self.name}: {result.wrong} of {result.answers} were not 200")
        self.results.append(result)
        self.cpu.append((after[0] - before[0]) / result.answers * 1e6)
        self.database_cpu.append((after[1] - before[1]) / result.answers * 1e6)

    @property
    def rates(self) -> list[float]:
        return [result.rate for result in self.results]


class Fleet:
    """Starts servers on demand; all of them end with it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.processes = stack.enter_context(Processes(folder / "logs"))
        self._stack = stack
        self._cluster: Cluster | None = None

    def cluster(self) -> Cluster:
        """A PostgreSQL that keeps what it has said it keeps: commits cost what they cost."""
        if self._cluster is None:
            self._cluster = Cluster(self.folder / "postgres", durable=True)
            self._cluster.start()
            self._stack.callback(self._cluster.stop)
        return self._cluster

    def database(self, kind: str, name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        import psycopg

        cluster = self.cluster()
        with psycopg.connect(cluster.url(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        return cluster.url(name)

    def agegate(self, kind: str) -> tuple[House, Process]:
        url = self.database(kind, "ours")
        migrate(url)
        house = House(url, f"http://127.0.0.1:{free_port()}", PEOPLE)
        return house, self.processes.serve(house.env, workers=WORKERS)

    def other(self, target: str, env: Mapping[str, str], *more: str) -> tuple[int, Process]:
        port = free_port()
        process = self.processes.start(
            target.rpartition(":")[2],
            [sys.executable, "-m", "benchmarks.serve", target, str(port), *more],
            env,
        )
        process.wait_until(
            lambda: (
                answers(f"http://127.0.0.1:{port}/", status=404)
                or answers(f"http://127.0.0.1:{port}/")
            ),
            what="an answer",
        )
        return port, process


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(folder, stack)


def our_targets(fleet: Fleet, kind: str) -> tuple[list[Target], House, Process]:
    """Everything `agegate serve` is asked on one database."""
    house, process = fleet.agegate(kind)
    port = int(house.public_url.rpartition(":")[2])
    database = fleet.cluster().pid if kind == "postgresql" else None
    tokens = _Fresh(house)

    def target(
        name: str, requests: Callable[[], list[bytes]], *, vary: bool = False, once: bool = False
    ) -> Target:
        return Target(
            f"{name}, {kind}", port, process.pid, requests,
            vary=vary, once=once, database=database,
        )  # fmt: skip

    return (
        [
            target("introspection, one hot token", lambda: house.introspections(tokens()[:1])),
            target(f"introspection, {PEOPLE} in turn", lambda: house.introspections(tokens())),
            target(
                "introspection, strict miss",
                lambda: house.introspections(tokens(), unlike=True),
                vary=True,
            ),
            target("evaluation, hot", lambda: house.evaluations()[:1]),
            target("evaluation, strict miss", lambda: house.evaluations(unlike=True), vary=True),
            target("token, client_credentials", service_tokens),
            target(
                "token, code redeemed",
                lambda: house.redemptions(house.codes(REDEMPTIONS)),
                once=True,
            ),
        ],
        house,
        process,
    )


class _Fresh:
    """Tokens that still live for a while."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._made_at = float("-inf")
        self._tokens: list[str] = []

    def __call__(self) -> list[str]:
        if time.monotonic() - self._made_at > _TOKENS_LAST_S:
            self._tokens, self._made_at = self._house.tokens(), time.monotonic()
        return self._tokens


def limit_targets(fleet: Fleet, house: House) -> list[Target]:
    """What the same server does with a WSGI hello, and with Flask and a token cache."""
    port, process = fleet.other("benchmarks.limits:hello", {})
    hello = Target("limit: raw WSGI hello", port, process.pid, service_tokens)
    env = {
        limits.KEY_ENV: json.dumps(house.services.signer.jwks()["keys"][0]),
        limits.AUTHORIZATION_ENV: SERVICE_AUTH,
    }
    port, process = fleet.other("benchmarks.limits:bare_flask", env, "--factory")
    tokens = _Fresh(house)
    bare = Target(
        "limit: Flask view, token cache", port, process.pid,
        lambda: house.introspections(tokens()[:1]),
    )  # fmt: skip
    return [hello, bare]


def naive_targets(fleet: Fleet, kind: str) -> list[Target]:
    url = fleet.database(kind, "naive")
    driver = url.replace("postgresql://", "postgresql+psycopg://")
    tokens = naive.seed(driver, PEOPLE)
    port, process = fleet.other("benchmarks.naive:app", {naive.URL_ENV: driver}, "--factory")
    auth = basic(*naive.CLIENT)
    asked = [
        request(
            "/oauth/introspect",
            urlencode({"token": token}).encode(),
            Authorization=auth,
            Content_Type=_FORM,
        )
        for token in tokens
    ]
    issue = [
        request(
            "/oauth/token",
            b"grant_type=client_credentials&scope=consents:read",
            Authorization=auth,
            Content_Type=_FORM,
        )
    ]
    database = fleet.cluster().pid if kind == "postgresql" else None
    return [
        Target(
            f"naive: introspection, {kind}", port, process.pid, lambda: asked, database=database
        ),
        Target(
            f"naive: client_credentials, {kind}", port, process.pid, lambda: issue,
            database=database,
        ),
    ]  # fmt: skip


def cold_starts(fleet: Fleet, times: int) -> list[float]:
    """Seconds from `agegate serve` to its first good `/readyz`, on a migrated SQLite file."""
    url = fleet.database("sqlite", "starts")
    migrate(url)
    took = []
    for _ in range(times):
        port = free_port()
        env = {
            "AGEGATE_ENV": "test",
            "AGEGATE_DATABASE_URL": url,
            "AGEGATE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        began = time.perf_counter()
        process = fleet.processes.agegate("serve", "--port", str(port), env=env)
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            if time.perf_counter() - began > 60:
                raise RuntimeError(process.output)
            time.sleep(0.01)
        took.append(time.perf_counter() - began)
        process.stop()
    return took


def worker_memory(process: Process) -> float:
    """MiB of the heaviest worker."""
    return max(memory_mib(pid) for pid in family(process.pid)[1:])


def typical_latency(target: Target) -> tuple[float, float]:
    """Median of the rounds' p50 and p99 in milliseconds, at full load."""
    return (
        statistics.median(result.p50 for result in target.results),
        statistics.median(result.p99 for result in target.results),
    )
