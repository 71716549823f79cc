"""`agegate serve` as an operator runs it: ready soon, hard to kill, silent about links."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from agegate.bootstrap import migrate
from tests.integration.story import sandbox_env
from tests.support.processes import Processes, answers, free_port

SECRET = "a-secret-of-more-than-32-characters-of-nobody"


def _production(url: str) -> dict[str, str]:
    return {
        "AGEGATE_ENV": "production",
        "AGEGATE_PUBLIC_URL": "https://age.example",
        "AGEGATE_DATABASE_URL": url,
        "AGEGATE_SECRET_KEY": SECRET,
        "AGEGATE_SMTP_URL": "smtp://127.0.0.1:1",
        "AGEGATE_MAIL_FROM": "agegate <consent@age.example>",
    }


def _children_of(pid: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(parts[1]) == pid and parts[0] != "Z":
            yield int(stat.parent.name)


# --- start ------------------------------------------------------------------------------------


def test_development_migrates_by_itself_and_is_ready(processes: Processes, sqlite_url: str) -> None:
    env = sandbox_env(sqlite_url)
    server = processes.serve(env)
    ready = requests.get(f"{env['AGEGATE_PUBLIC_URL']}/readyz", timeout=10)
    assert ready.json()["checks"] == dict.fromkeys(("database", "schema", "keys", "rules"), True)
    assert server.stop() == 0


def test_production_refuses_an_older_schema_before_it_listens(
    processes: Processes, sqlite_url: str
) -> None:
    port = free_port()
    server = processes.agegate("serve", "--port", str(port), env=_production(sqlite_url))
    assert server.wait() == 1
    assert "agegate migrate" in server.output
    assert "Listening" not in server.output
    assert "Traceback" not in server.output


def test_production_serves_a_migrated_database_without_a_sandbox(
    processes: Processes, sqlite_url: str
) -> None:
    migrate(sqlite_url)
    port = free_port()
    processes.serve(_production(sqlite_url), port=port, workers=2)
    url = f"http://127.0.0.1:{port}"
    assert requests.get(f"{url}/sandbox/letters", timeout=10).status_code == 404
    home = requests.get(f"{url}/", timeout=10)
    assert home.status_code == 200
    assert "max-age" in home.headers["Strict-Transport-Security"]


def test_a_taken_port_is_told(processes: Processes, migrated_sqlite_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        server = processes.agegate("serve", "--port", port, env=sandbox_env(migrated_sqlite_url))
        assert server.wait() == 1
    assert f"port {port}" in server.output
    assert "Traceback" not in server.output


def test_commands_run_from_any_folder(processes: Processes, tmp_path: Path) -> None:
    """The data folder lies in the current one; nothing else depends on it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    root = str(Path(__file__).parents[2])
    port = free_port()
    script = f"cd {folder} && exec {sys.executable} -m agegate serve --port {port}"
    env = {"PYTHONPATH": root, "AGEGATE_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    server = processes.start("elsewhere", ["/bin/sh", "-c", script], env)
    server.wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), what="readiness")
    assert (folder / "var" / "agegate.db").exists()


# --- while it runs ----------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the worker in /proc")
def test_a_worker_process_that_died_is_replaced(
    processes: Processes, migrated_sqlite_url: str
) -> None:
    env = sandbox_env(migrated_sqlite_url)
    server = processes.serve(env)
    (before,) = _children_of(server.pid)
    os.kill(before, signal.SIGKILL)
    server.wait_until(
        lambda: (
            before not in set(_children_of(server.pid))
            and answers(f"{env['AGEGATE_PUBLIC_URL']}/readyz")
        ),
        what="another worker process",
    )
    assert server.exit_code is None


def test_no_path_and_no_query_reaches_the_log(
    processes: Processes, migrated_sqlite_url: str
) -> None:
    env = sandbox_env(migrated_sqlite_url)
    server = processes.serve(env)
    for path in ("/parent/request/canary-link", "/nowhere/canary-path", "/?q=canary-query"):
        requests.get(f"{env['AGEGATE_PUBLIC_URL']}{path}", timeout=10)
    requests.post(
        f"{env['AGEGATE_PUBLIC_URL']}/oauth/token", data={"code": "canary-code"}, timeout=10
    )
    assert server.stop() == 0
    assert "canary" not in server.output


def test_slow_visitors_do_not_keep_others_out(
    processes: Processes, migrated_sqlite_url: str
) -> None:
    """Half a request each, more of them than there are threads."""
    env = sandbox_env(migrated_sqlite_url)
    processes.serve(env)
    port = int(env["AGEGATE_PUBLIC_URL"].rpartition(":")[2])
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
    try:
        for one in slow:
            one.sendall(b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert requests.get(f"{env['AGEGATE_PUBLIC_URL']}/readyz", timeout=5).ok
    finally:
        for one in slow:
            one.close()


def test_sigterm_finishes_what_is_running(processes: Processes, migrated_sqlite_url: str) -> None:
    """Requests in flight get whole answers; later ones find nobody."""
    env = sandbox_env(migrated_sqlite_url)
    server = processes.serve(env)
    results: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answer = requests.get(f"{env['AGEGATE_PUBLIC_URL']}/notice/nobody", timeout=5)
                results.append("whole" if answer.text.rstrip().endswith("</html>") else "cut")
            except requests.ConnectionError as error:
                refused = "refused" in str(error) or "NewConnectionError" in str(error)
                results.append("refused" if refused else "broken")
                if refused:
                    return

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    time.sleep(0.5)
    assert server.stop(seconds=12) == 0
    stop.set()
    for asker in askers:
        asker.join(timeout=10)
    assert results.count("whole") > 0
    assert "cut" not in results


def test_the_wsgi_door_opens_for_any_server(
    processes: Processes, migrated_sqlite_url: str, tmp_path: Path
) -> None:
    script = (
        "from wsgi import application;print(application.test_client().get('/readyz').status_code)"
    )
    door = processes.start("wsgi", [sys.executable, "-c", script], sandbox_env(migrated_sqlite_url))
    assert door.wait() == 0
    assert door.output.splitlines()[-1] == "200"
