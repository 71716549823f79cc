from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agegate.cli.ledger import register
from agegate.domain.ledger import Fact
from agegate.services.ledger import LedgerService
from tests.unit.services.parts import Parts

Run = Callable[..., int]


@pytest.fixture
def parts() -> Parts:
    parts = Parts()
    parts.granted("mia", "cr_1")
    parts.ledger.integrate()
    return parts


def runner(open_: Callable[[], LedgerService]) -> Run:
    def run_command(*words: str | Path) -> int:
        parser = argparse.ArgumentParser(prog="agegate")
        register(parser.add_subparsers(required=True), open_=open_)
        args = parser.parse_args(["ledger", *map(str, words)])
        status = args.run(args)
        assert isinstance(status, int)
        return status

    return run_command


@pytest.fixture
def run(parts: Parts) -> Run:
    return runner(lambda: parts.ledger)


@pytest.fixture
def offline() -> Run:
    """Without any database."""

    def refuse() -> LedgerService:
        pytest.fail("this command must not open the database")

    return runner(refuse)


def break_entry(parts: Parts, number: int) -> None:
    entry = parts.store.entries(past=number - 1, limit=1)[0]
    parts.store._tables[Fact][entry.id] = replace(entry, record=None)  # noqa: SLF001 - a thief asks no port


def test_a_whole_ledger_is_status_0(
    run: Run, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify") == 0
    text = capsys.readouterr().out
    assert "The ledger is whole: 7 entries" in text
    assert "agegate ledger checkpoint" in text  # what would make it safer
    assert run("verify", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["size"], report["first_break"]) == (True, 7, None)


def test_a_broken_ledger_is_status_1_and_says_where(
    run: Run, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    break_entry(parts, 5)
    assert run("verify") == 1
    text = capsys.readouterr().out
    assert "The ledger is NOT what was written." in text
    assert "entry 5: changed" in text
    assert run("verify", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["first_break"] == {"number": 5, "reason": "changed"}


def test_an_export_is_verified_without_a_database(
    run: Run, offline: Run, parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ledger.jsonl"
    assert run("export", "--out", out, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(out), "lines": 10}
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.jsonl"]
    assert offline("verify", out) == 0
    kept = tmp_path / "jwks.json"
    kept.write_text(json.dumps(parts.signer.jwks()))
    assert offline("verify", out, "--jwks", kept) == 0
    kept.write_text(json.dumps(Parts().signer.jwks()))
    assert offline("verify", out, "--jwks", kept) == 1


def test_a_changed_export_is_status_1(
    run: Run, offline: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ledger.jsonl"
    assert run("export", "--out", out) == 0
    out.write_text(out.read_text().replace('"granted":["ai_chat"]', '"granted":["all_of_it"]'))
    assert offline("verify", out) == 1
    assert "changed" in capsys.readouterr().out


def test_a_proof_is_written_and_verified(
    run: Run, offline: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "proof.json"
    assert run("prove", "cr_1", "--out", out) == 0
    assert "5 facts under the checkpoint at 7" in capsys.readouterr().out
    assert offline("verify", out) == 0
    assert "Record cr_1: its facts stand under the checkpoint at 7." in capsys.readouterr().out
    out.write_text(out.read_text().replace('"refused": ["disclose:researchlab"]', '"refused": []'))
    assert offline("verify", out, "--json") == 1
    assert json.loads(capsys.readouterr().out)["record"] == "cr_1"
    assert offline("verify", out) == 1
    assert "These facts are NOT what was written." in capsys.readouterr().out
    assert run("prove", "cr_9", "--out", tmp_path / "other.json") == 1
    assert "holds nothing about this record" in capsys.readouterr().err
    assert not (tmp_path / "other.json").exists()


def test_a_checkpoint_is_printed_to_be_kept(
    run: Run, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("checkpoint", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["size"] == 7
    assert made["head"] == parts.store.entries()[-1].head
    assert run("checkpoint") == 0
    assert made["signature"] in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not ours", b"\xff\xfe", b"{}", b"[[[["])
def test_a_file_that_is_not_ours_is_refused_in_plain_words(
    offline: Run, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert offline("verify", file) == 1
    told = capsys.readouterr().err
    assert told.startswith("agegate ledger verify: ")
    assert "Traceback" not in told


def test_a_file_that_is_not_there_is_wrong_use(
    run: Run, offline: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offline("verify", tmp_path / "nowhere") == 2
    assert run("export", "--out", tmp_path / "no" / "folder") == 2
    assert run("verify", "--jwks", tmp_path / "nowhere") == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("export",), ("prove",), ("prove", "cr_1"), ("burn",)])
def test_wrong_use_is_status_2(run: Run, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as end:
        run(*words)
    assert end.value.code == 2


@pytest.mark.parametrize("command", ["verify", "checkpoint", "export", "prove"])
def test_help_shows_an_example(run: Run, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(command, "--help")
    assert end.value.code == 0
    assert f"example: agegate ledger {command}" in capsys.readouterr().out
