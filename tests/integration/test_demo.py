"""`agegate demo` as a visitor finds it: ready, told from end to end, and gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.integration.story import Browser, decision_form, parent_comes_to_decide
from tests.support.postgres import free_port
from tests.support.processes import Process, Processes, answers

READY = "Ctrl-C stops everything"


def _two_free_ports() -> int:
    while True:
        port = free_port()
        with socket.socket() as next_one:
            try:
                next_one.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def _start(processes: Processes, folder: Path, port: int) -> Process:
    env = {"AGEGATE_DEMO_PORT": str(port), "AGEGATE_DATA_DIR": str(folder)}
    demo = processes.agegate("demo", env=env)
    demo.wait_until(lambda: READY in demo.output, what="welcome", seconds=90)
    return demo


def _family_of(pid: int) -> list[int]:
    """A process and all its descendants."""
    family = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(parts[1]) == pid:
            family += _family_of(int(stat.parent.name))
    return family


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_until_gone(family: list[int], seconds: float = 15.0) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in family if _alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.fixture
def port() -> int:
    return _two_free_ports()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def on_linux() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("what is left running is looked up in /proc, which only Linux has")


def _parents_letter(service: str, parent: str, kind: str) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for letter in requests.get(f"{service}/sandbox/letters", timeout=10).json():
            if (letter["to"], letter["kind"]) == (parent, kind):
                return dict(letter)
        time.sleep(0.1)
    raise AssertionError(f"no {kind} to {parent}")


def _start_as_child(child: Browser, app: str, parent_address: str) -> None:
    """Asked by a neutral page; then limited mode, in which the child's own words work."""
    assert 'data-stage="start"' in child.go(app).text
    start = next(form for form in child.page.forms if form.action.endswith("/start"))
    assert child.send(start).name == "age_screen"
    child.press(birth_month="5", birth_year="2017")
    child.press(parent_email=parent_address)
    child.press("continue_limited")
    assert 'data-stage="pending"' in child.page.text
    assert "&#34;state&#34;: &#34;pending&#34;" in child.page.text
    child.press(own_story="Once I wrote this myself.")
    assert "Once I wrote this myself." in child.page.text


def test_the_whole_story_from_child_to_withdrawal(
    processes: Processes, folder: Path, port: int
) -> None:
    demo = _start(processes, folder, port)
    service, app = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    for address in (app, f"{service}/sandbox/mailbox", service):
        assert address in demo.output
    assert "a local fake" in demo.output
    assert answers(f"{service}/readyz")
    parent_address = "pat@parents.example"

    child, parent = Browser(), Browser()
    _start_as_child(child, app, parent_address)

    # The parent reads, shows to be an adult, allows the app and refuses the researchers.
    parent_comes_to_decide(parent, _parents_letter(service, parent_address, "direct_notice"))
    form, chosen = decision_form(parent)
    assert parent.send(form, "submit", **chosen).name == "parent_receipt"
    receipt = _parents_letter(service, parent_address, "receipt")

    # Behind the page the child's token is old news, until it is refreshed; then a story is told.
    live = child.ask(f"{app}/behind.json")
    assert (live["state"], live["changed"], live["says_yes"]) == ("granted", True, True)
    child.send(next(form for form in child.page.forms if form.action.endswith("/refresh")))
    assert 'data-stage="ready"' in child.page.text
    assert "local fake of Claude" in child.page.text
    child.press(wish="A dragon who bakes bread")
    assert child.page.text.count('class="told"') == 1
    assert "dragon" in child.page.text.partition('class="told"')[2]

    # The parent takes it back by the receipt; the next wish meets a kind sentence, not Claude.
    parent.go(next(str(u) for u in receipt["links"] if "/parent/request/" in str(u)))  # type: ignore[attr-defined]  # JSON
    parent.go(next(url for url in parent.page.links if url.endswith("/withdraw")))
    parent.press("confirm")
    live = child.ask(f"{app}/behind.json")
    assert (live["state"], live["says_yes"]) == ("withdrawn", False)
    time.sleep(2.1)  # as long as the demo's guard may hold a status list
    child.press(wish="And then?")
    assert 'data-stage="no"' in child.page.text
    assert "taken the permission back" in child.page.text
    assert child.page.text.count('class="told"') == 1

    # A parent can be asked again: the age is known, so the next page asks for the parent.
    assert child.press("again").name == "parent_contact"
    child.go(app)

    # Another child is another subject, asked anew.
    child.send(next(form for form in child.page.forms if form.action.endswith("/over")))
    assert 'data-stage="start"' in child.page.text
    start = next(form for form in child.page.forms if form.action.endswith("/start"))
    assert child.send(start).name == "age_screen"

    family = _family_of(demo.pid)
    assert len(family) >= 6  # serve and its worker process, worker, app, the stand-in, and itself
    assert demo.stop() == 0
    assert _wait_until_gone(family) == []
    assert not answers(f"{service}/healthz")


def test_a_second_start_knows_its_secrets_and_lost_ones_begin_anew(
    processes: Processes, folder: Path, port: int
) -> None:
    secrets = folder / "demo.json"
    assert _start(processes, folder, port).stop() == 0
    first = json.loads(secrets.read_text())
    assert secrets.stat().st_mode & 0o077 == 0
    assert _start(processes, folder, port).stop() == 0
    assert json.loads(secrets.read_text()) == first
    secrets.unlink()
    third = _start(processes, folder, port)
    fresh = json.loads(secrets.read_text())
    assert fresh["database"] != first["database"]
    assert fresh["client_secret"]
    assert (folder / first["database"]).exists()
    assert third.stop() == 0


def test_children_end_when_their_parent_is_killed(
    processes: Processes, folder: Path, port: int
) -> None:
    demo = _start(processes, folder, port)
    family = _family_of(demo.pid)
    # Not `kill()`: that would take the whole group, and the point is what happens without it.
    os.kill(demo.pid, signal.SIGKILL)
    assert _wait_until_gone(family) == []


def test_a_taken_port_is_told_and_nothing_is_started(
    processes: Processes, folder: Path, port: int
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        env = {"AGEGATE_DEMO_PORT": str(port), "AGEGATE_DATA_DIR": str(folder)}
        demo = processes.agegate("demo", env=env)
        assert demo.wait() == 1
    assert f"port {port + 1}" in demo.output
    assert "AGEGATE_DEMO_PORT" in demo.output
    assert "Traceback" not in demo.output
    assert not folder.exists()


@pytest.mark.parametrize("wrong", ["http", "0", "65535", "-1", "8000.5"])
def test_a_port_that_is_none_is_told(processes: Processes, folder: Path, wrong: str) -> None:
    env = {"AGEGATE_DEMO_PORT": wrong, "AGEGATE_DATA_DIR": str(folder)}
    demo = processes.agegate("demo", env=env)
    assert demo.wait() == 1
    assert "AGEGATE_DEMO_PORT" in demo.output
    assert "Traceback" not in demo.output
