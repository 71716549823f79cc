from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import pytest

from agegate.cli.keys import register
from tests.unit.services.parts import Parts

Run = Callable[..., int]


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def run(parts: Parts) -> Run:
    def run_command(*words: str) -> int:
        parser = argparse.ArgumentParser(prog="agegate")
        register(parser.add_subparsers(required=True), open_=lambda: parts.keys)
        args = parser.parse_args(["keys", *words])
        status = args.run(args)
        assert isinstance(status, int)
        return status

    return run_command


def listed(run: Run, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert run("list", "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return {key["kid"]: key["state"] for key in found["keys"]}


def test_every_key_is_listed_with_its_state(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(listed(run, capsys).values()) == ["active", "next"]
    assert run("list") == 0
    text = capsys.readouterr().out
    assert text.count("\n") == 2
    assert "since 2026-11-22T12:00+00:00" in text


def test_no_private_part_is_ever_printed(
    run: Run, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("list",), ("list", "--json"), ("rotate", "--now", "--json")):
        assert run(*words) == 0
    text = capsys.readouterr().out
    for key in parts.keys.list():
        assert json.loads(key.private.value)["d"] not in text


def test_a_key_that_nobody_has_seen_yet_does_not_sign(
    run: Run, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rotate") == 1
    assert "or use --now" in capsys.readouterr().err
    parts.pass_(minutes=20)
    assert run("rotate") == 0
    assert sorted(listed(run, _drained(capsys)).values()) == ["active", "next", "retired"]


def test_now_does_not_wait(run: Run, parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    before = listed(run, capsys)
    assert run("rotate", "--now", "--json") == 0
    active = json.loads(capsys.readouterr().out)
    assert before[active["kid"]] == "next"
    assert (active["state"], active["alg"]) == ("active", "ES256")


def test_a_retired_key_is_gone_at_once(
    run: Run, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rotate", "--now") == 0
    retired = next(k for k, s in listed(run, _drained(capsys)).items() if s == "retired")
    assert run("retire", retired) == 0
    assert retired not in listed(run, _drained(capsys))
    assert run("retire", retired, "--json") == 1
    assert "no key of this id" in capsys.readouterr().err


def test_the_key_that_signs_cannot_be_retired(
    run: Run, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    active = next(k for k, s in listed(run, capsys).items() if s == "active")
    assert run("retire", active) == 1
    assert "rotate first" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("retire",), ("list", "extra"), ("shred",)])
def test_wrong_use_is_status_2(run: Run, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as end:
        run(*words)
    assert end.value.code == 2


@pytest.mark.parametrize("command", ["list", "rotate", "retire"])
def test_help_shows_an_example(run: Run, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(command, "--help")
    assert end.value.code == 0
    assert f"example: agegate keys {command}" in capsys.readouterr().out


def _drained(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    capsys.readouterr()
    return capsys
