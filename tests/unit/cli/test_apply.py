from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from agegate.adapters.memory import MemoryStore
from agegate.adapters.operator_file import parse_operator
from agegate.adapters.rules_files import read_rulebook
from agegate.cli.apply import MAX_BYTES, register
from agegate.domain.errors import ConfigurationError
from agegate.domain.ids import digest
from agegate.domain.records import OperatorEntry
from agegate.services.operators import OperatorService
from tests.factories import NOON

EXAMPLE = Path(__file__).parents[3] / "config" / "example-operator.toml"
Run = Callable[..., int]


@pytest.fixture
def store() -> MemoryStore:
    numbers = count(1)
    return MemoryStore(clock=lambda: NOON, new_id=lambda prefix: f"{prefix}_{next(numbers)}")


@pytest.fixture
def operators(store: MemoryStore) -> OperatorService:
    numbers = count(1)
    return OperatorService(
        store,
        parse=parse_operator,
        new_secret=lambda: f"secret-{next(numbers)}",
        hash_secret=digest,
        load_rulebook=read_rulebook,
        today=NOON.date,
        implemented={"age_screen", "facial_estimation", "payment_transaction", "signed_form"},
    )


@pytest.fixture
def run(operators: OperatorService) -> Run:
    def run_command(*words: str | Path) -> int:
        parser = argparse.ArgumentParser(prog="agegate")
        register(parser.add_subparsers(required=True), open_=lambda: operators)
        args = parser.parse_args(["apply", *map(str, words)])
        status = args.run(args)
        assert isinstance(status, int)
        return status

    return run_command


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(old: str, new: str) -> Path:
        text = EXAMPLE.read_text(encoding="utf-8")
        assert old in text
        file = tmp_path / "operator.toml"
        file.write_text(text.replace(old, new), encoding="utf-8")
        return file

    return write


def is_applied(store: MemoryStore) -> bool:
    with store.read() as reader:
        return reader.find(OperatorEntry, "storybuddy") is not None


def test_json_has_exactly_the_promised_shape(
    run: Run, store: MemoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(EXAMPLE, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"clients", "services"}
    (client,), (service,) = printed["clients"], printed["services"]
    assert set(client) == {"client_id", "client_secret", "webhook_secret"}
    assert set(service) == {"client_id", "client_secret"}
    assert (client["client_id"], client["client_secret"]) == ("storybuddy-web", "secret-1")
    assert client["webhook_secret"].startswith("whsec_")
    assert service == {"client_id": "storybuddy-api", "client_secret": "secret-3"}
    assert is_applied(store)


def test_secrets_are_shown_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(EXAMPLE) == 0
    first = capsys.readouterr().out
    assert "storybuddy-web  client_secret  secret-1" in first
    assert "they can't be shown again" in first
    assert run(EXAMPLE) == 0
    again = capsys.readouterr().out
    assert "Nothing to change." in again
    assert "secret" not in again
    assert run(EXAMPLE, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["clients"] == [
        {"client_id": "storybuddy-web", "client_secret": None, "webhook_secret": None}
    ]


def test_check_shows_changes_and_writes_nothing(
    run: Run, store: MemoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(EXAMPLE, "--check") == 0
    out = capsys.readouterr().out
    assert out.startswith("Changes:\n  + operator[storybuddy]\n")
    assert "Worth a second look:\n  client[storybuddy-web].vpc_methods: this server" in out
    assert out.endswith("Nothing was written. This file can be applied.\n")
    assert not is_applied(store)


def test_check_shows_every_refusal_with_rule_and_source(
    run: Run,
    store: MemoryStore,
    changed: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = changed('"payment_transaction"', '"email_plus"')
    assert run(file, "--check") == 1
    out = capsys.readouterr().out
    assert "[email_plus_disclosure; 16 CFR 312.5(b)(2)(viii)]" in out
    assert out.endswith("Nothing was written. This file can't be applied as it is.\n")
    assert run(file, "--check", "--json") == 1
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"changes", "refusals", "conflicts", "warnings"}
    (refusal,) = printed["refusals"]
    assert set(refusal) == {"path", "rule", "source", "message"}
    assert refusal["rule"] == "email_plus_disclosure"
    assert not is_applied(store)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_unlawful_file_is_refused_in_words(
    options: tuple[str, ...],
    run: Run,
    store: MemoryStore,
    changed: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(changed('"mixed_audience"', '"child_directed"'), *options) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "nothing was written" in captured.err
    assert "[estimation_before_consent; 16 CFR 312.5(a)(1)" in captured.err
    assert not is_applied(store)


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_an_unreadable_declaration_is_refused_with_every_problem(
    options: tuple[str, ...],
    run: Run,
    store: MemoryStore,
    changed: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(changed("core = true", 'core = "yes"\nfoo = 1'), *options) == 1
    err = capsys.readouterr().err
    assert "\n  purpose[ai_chat].core: must be true or false\n" in err
    assert "\n  purpose[ai_chat].foo: is not a known key\n" in err
    assert not is_applied(store)


def test_a_file_that_is_not_there_is_a_wrong_use(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "nothing.toml") == 2
    assert "No such file" in capsys.readouterr().err
    assert run(tmp_path) == 2
    assert "Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"\xff\xfe\x00", "is not written in UTF-8"), (b" " * (MAX_BYTES + 1), "is larger than")],
)
def test_a_file_that_is_no_text_is_a_wrong_use(
    data: bytes, reason: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "operator.toml"
    file.write_bytes(data)
    assert run(file) == 2
    assert reason in capsys.readouterr().err


def test_a_deployment_that_is_not_set_up_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> OperatorService:
        raise ConfigurationError("AGEGATE_SECRET_KEY is missing")

    parser = argparse.ArgumentParser(prog="agegate")
    register(parser.add_subparsers(), open_=broken)
    args = parser.parse_args(["apply", str(EXAMPLE)])
    assert args.run(args) == 1
    assert "AGEGATE_SECRET_KEY is missing" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="agegate")
    register(parser.add_subparsers())
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["apply", "--help"])
    assert caught.value.code == 0
    assert "example: agegate apply storybuddy.toml --check" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["a.toml", "b.toml"], ["a.toml", "--force"]])
def test_a_misused_command_exits_with_2(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="agegate")
    register(parser.add_subparsers(required=True))
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["apply", *words])
    assert caught.value.code == 2
