"""Real `agegate` processes: started, watched, killed, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.postgres import free_port

__all__ = ["Process", "Processes", "free_port"]

_ROOT = Path(__file__).resolve().parents[2]
# What a child process may inherit. Nothing else: a developer's AGEGATE_… must not change a test.
_INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "VIRTUAL_ENV")


class Process:
    """One running command and what it printed."""

    def __init__(self, name: str, arguments: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                arguments, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=_ROOT, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal, None while it runs."""
        return self._popen.poll()

    @property
    def output(self) -> str:
        """Everything printed so far, both streams."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """Kill -9, with all its children, and wait."""
        self._signal_group(signal.SIGKILL)
        self._popen.wait(timeout=10)

    def stop(self, *, seconds: float = 15.0) -> int:
        """Ask it to stop (SIGTERM) and return its exit code; fails when it does not."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            return self._popen.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{self.name} did not stop within {seconds} s:\n{self.output}"
            ) from None

    def wait(self, *, seconds: float = 30.0) -> int:
        """Wait until it ends by itself and return its exit code."""
        return self._popen.wait(timeout=seconds)

    def wait_until(
        self, condition: Callable[[], bool], *, what: str, seconds: float = 30.0
    ) -> None:
        """Wait for a condition while the process lives; fails with its output otherwise."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self._popen.poll() is not None:
                raise AssertionError(f"{self.name} ended before {what}:\n{self.output}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: no {what} in {seconds} s:\n{self.output}")
            time.sleep(0.05)

    def clean_up(self) -> None:
        """Kill whatever is left of it, children included."""
        self._signal_group(signal.SIGKILL)
        self._popen.wait(timeout=10)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._popen.pid, number)
        except ProcessLookupError:
            return


class Processes:
    """Starts commands with a clean environment. Use it with `with`; all end at its end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._started: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self._started):
            process.clean_up()

    def start(self, name: str, arguments: list[str], env: Mapping[str, str]) -> Process:
        """Start any command; `env` is added to the few variables a child may inherit."""
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        log = self.folder / f"{len(self._started):02}-{name}.log"
        process = Process(name, arguments, {**inherited, "PYTHONUNBUFFERED": "1", **env}, log)
        self._started.append(process)
        return process

    def agegate(self, *arguments: str, env: Mapping[str, str]) -> Process:
        """Start `agegate ARGUMENTS…` with this interpreter."""
        return self.start(arguments[0], [sys.executable, "-m", "agegate", *arguments], env)

    def serve(
        self, env: Mapping[str, str], *, port: int | None = None, workers: int = 1
    ) -> Process:
        """Start `agegate serve` and wait until `/readyz` says yes.

        Without `port` it is the one in `AGEGATE_PUBLIC_URL`, so that links and issuer lead home.
        """
        chosen = port or _port_of(env.get("AGEGATE_PUBLIC_URL", "")) or free_port()
        process = self.agegate(
            "serve", "--host", "127.0.0.1", "--port", str(chosen), "--workers", str(workers),
            env=env,
        )  # fmt: skip
        address = f"http://127.0.0.1:{chosen}/readyz"
        process.wait_until(lambda: answers(address), what=f"200 from {address}")
        return process

    def worker(self, env: Mapping[str, str], *, once: bool = False) -> Process:
        """Start `agegate worker`; with `once` wait for its end and insist on success."""
        process = self.agegate("worker", *(["--once"] if once else []), env=env)
        if once:
            code = process.wait(seconds=60)
            assert code == 0, f"agegate worker --once: exit {code}\n{process.output}"
        return process


def answers(address: str, *, status: int = 200) -> bool:
    """Whether a GET of the address ends in this status."""
    try:
        with urllib.request.urlopen(address, timeout=2) as response:  # noqa: S310 -- loopback
            return bool(response.status == status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code == status
    except OSError:
        return False


def _port_of(url: str) -> int | None:
    last = url.rstrip("/").rpartition(":")[2]
    return int(last) if last.isdigit() else None
