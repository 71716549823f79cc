"""Processes under test start clean, die when told to, and leave nothing behind."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.support.processes import Processes, answers, free_port

# Prints its environment, starts a child of its own, then waits for SIGTERM.
_PROGRAM = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
child = subprocess.Popen(["sleep", "600"])
print(sorted(k for k in os.environ if k.startswith("AGEGATE")), child.pid, flush=True)
print("ready", flush=True)
time.sleep(600)
"""


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _gone_soon(pid: int) -> bool:
    """A signal is sent before it is felt."""
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not _alive(pid)


def test_nothing_of_the_developers_settings_comes_in(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGEGATE_SANDBOX", "1")
    process = processes.start("p", [sys.executable, "-c", _PROGRAM], {"AGEGATE_ENV": "test"})
    process.wait_until(lambda: "ready" in process.output, what="ready")
    assert process.output.startswith("['AGEGATE_ENV']")


def test_stop_lets_it_end_its_own_way(processes: Processes) -> None:
    process = processes.start("p", [sys.executable, "-c", _PROGRAM], {})
    process.wait_until(lambda: "ready" in process.output, what="ready")
    assert process.stop() == 3


def test_children_die_with_it(processes: Processes) -> None:
    process = processes.start("p", [sys.executable, "-c", _PROGRAM], {})
    process.wait_until(lambda: "ready" in process.output, what="ready")
    child = int(process.output.splitlines()[0].split()[-1])
    assert _alive(child)
    process.kill()
    assert process.exit_code == -signal.SIGKILL
    assert _gone_soon(child)


def test_an_early_end_is_told_with_its_output(processes: Processes) -> None:
    process = processes.start("p", [sys.executable, "-c", "print('no key'); exit(2)"], {})
    with pytest.raises(AssertionError, match="no key"):
        process.wait_until(lambda: False, what="ready")


def test_answers_knows_a_server_from_a_silence(processes: Processes, tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    assert not answers(address)
    server = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    process = processes.start("http", [*server, "--directory", str(tmp_path)], {})
    process.wait_until(lambda: answers(address), what="200")
    assert answers(f"{address}nothing-here", status=404)
