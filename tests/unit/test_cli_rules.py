"""`agegate rules`: exit status, text and data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from agegate.adapters.rules_files import read_rulebook
from agegate.cli.rules import register
from agegate.domain.places import RuleError
from agegate.domain.rule_fields import FIELDS
from agegate.domain.rules import Rulebook

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def book() -> Rulebook:
    return read_rulebook()


def run(*words: str, load: Callable[[], Rulebook], now: bool = True) -> int:
    parser = argparse.ArgumentParser(prog="agegate")
    register(parser.add_subparsers(), load=load, now=(lambda: NOW) if now else None)
    args = parser.parse_args(["rules", *words])
    status = args.run(args)
    assert isinstance(status, int)
    return status


def data(capsys: pytest.CaptureFixture[str], book: Rulebook, *words: str) -> dict[str, Any]:
    assert run(*words, "--json", load=lambda: book) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_a_sound_rulebook_is_called_sound(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", load=lambda: book) == 0
    assert f"rulebook {book.version} is sound" in capsys.readouterr().out
    found = data(capsys, book, "check")
    assert (found["valid"], found["digest"]) == (True, book.digest)
    assert sum(found["by_status"].values()) == found["rules"] == len(book.rules)


def test_a_broken_rulebook_fails_with_its_reason_and_no_trace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken() -> Rulebook:
        raise RuleError("us.toml: rule[0].source: missing")

    assert run("check", load=broken) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "the rulebook can't be used: us.toml: rule[0].source: missing\n"


def test_explain_names_every_field_and_every_rule_with_source_and_status(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    found = data(capsys, book, "explain", "--place", "US-CA", "--on", "2027-01-01")
    assert set(FIELDS) <= set(found)
    assert (found["jurisdiction"], found["on"]) == ("US-CA", "2027-01-01")
    assert found["rules_version"] == book.version
    assert found["consent_required_below"] == 13
    assert found["teen_bands"] == [[13, 15], [16, 17]]
    assert found["signal_resolution"] == "os_primary_unless_clear_convincing"
    assert found["llm_obligations"]["reminder_minutes"] == 180
    applied = {rule["id"]: rule for rule in found["rules"]}
    assert applied["us-ca-daaa"]["status"] == "future"
    assert applied["us-coppa"]["jurisdiction"] == "US"
    silent = {rule["id"]: rule["why_not"] for rule in found["not_applied"]}
    assert silent["us-ca-sb1119"] == "begins on 2027-07-01"
    assert silent["us-kids-act"] == "proposed"
    for rule in found["rules"] + found["not_applied"]:
        assert rule["source"]
        assert rule["status"] in {"in_force", "future", "enjoined", "proposed"}
    assert found["because"]["consent_required_below"][0]["rule"] == "us-coppa"


def test_explain_reads_as_text(book: Rulebook, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "--place", "US-FL", "--on", "2026-11-22", load=lambda: book) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"US-FL on 2026-11-22, rulebook {book.version}\n")
    assert "consent_required_below: 13\n    US, in_force: 16 CFR 312.2" in shown
    assert "evidence_deletion: immediate\n" in shown
    assert "(says prompt)" in shown
    assert "us-fl-social (speaks of social_media only)" in shown
    assert "llm_obligations: ai_disclosure true\n" in shown


def test_explain_of_a_place_where_everything_applies_lists_nothing_else(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("explain", "--place", "KR", "--on", "2026-11-22", load=lambda: book) == 0
    assert "not applied" not in capsys.readouterr().out


def test_explain_of_the_unknown_place_is_the_strictest(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    everywhere = data(capsys, book, "explain", "--place", "unknown", "--on", "2026-11-22")
    assert (everywhere["jurisdiction"], everywhere["consent_required_below"]) == ("unknown", 16)
    regions = ("--region", "US", "--region", "FR")
    some = data(capsys, book, "explain", "--place", "unknown", "--on", "2026-11-22", *regions)
    assert some["consent_required_below"] == 15
    assert some["dual_consent"] is True
    assert {rule["jurisdiction"] for rule in some["rules"]} == {"US", "FR", "EU"}


def test_explain_takes_other_services_into_account_on_request(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("explain", "--place", "BR", "--on", "2026-11-22")
    assert data(capsys, book, *words)["self_declaration_allowed"] is True
    adult = data(capsys, book, *words, "--scope", "adult_content")
    assert adult["self_declaration_allowed"] is False


@pytest.mark.parametrize(
    ("place", "today"),
    [("US-CA", "2026-11-21"), ("DE", "2026-11-22"), ("unknown", "2026-11-21")],
)
def test_explain_without_a_day_means_today_at_the_place(
    book: Rulebook, capsys: pytest.CaptureFixture[str], place: str, today: str
) -> None:
    assert data(capsys, book, "explain", "--place", place)["on"] == today


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["explain", "--place", "ZZ"], 'knows no place "ZZ"'),
        (["explain", "--place", "US-ZZ"], 'knows no place "US-ZZ"'),
        (["explain", "--place", "US", "--on", "tomorrow"], "--on: write a day"),
        (["explain", "--place", "unknown", "--region", "ZZ"], 'knows no place "ZZ"'),
        (["explain", "--place", "unknown", "--region", "unknown"], "--region must name a place"),
        (["diff", "v1", "2027-01-01"], "A: write a day"),
        (["diff", "2027-01-01", "2027-13-01"], "B: write a day"),
    ],
)
def test_a_mistake_is_named_and_leaves_status_2(
    book: Rulebook, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert run(*words, load=lambda: book) == 2
    shown = capsys.readouterr()
    assert complaint in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    "words", [["explain"], ["diff", "2027-01-01"], [], ["explain", "--place", "US"]]
)
def test_missing_words_leave_status_2(
    book: Rulebook, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words, load=lambda: book, now=False)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "diff", "explain"])
def test_help_shows_an_example(
    book: Rulebook, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(command, "--help", load=lambda: book)
    assert caught.value.code == 0
    assert f"example: agegate rules {command}" in capsys.readouterr().out


def test_diff_of_two_days_lists_what_changes_and_why(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    found = data(capsys, book, "diff", "2026-12-31", "2027-07-01")
    changes = {
        (place, change["field"]): change
        for change in found["changes"]
        for place in change["places"]
    }
    assert changes["IN", "consent_required_below"]["before"] == 16
    assert changes["IN", "consent_required_below"]["after"] == 18
    assert any("DPDP" in source for source in changes["IN", "consent_required_below"]["sources"])
    assert changes["US-CA", "llm_obligations"]["after"]["session_cap_minutes"] == 60
    assert not any(place == "US-IL" for place, _ in changes)
    backwards = data(capsys, book, "diff", "2027-07-01", "2026-12-31")
    assert len(backwards["changes"]) == len(found["changes"])


def test_diff_tells_the_source_of_what_changes(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", "2018-05-24", "2018-05-25", load=lambda: book) == 0
    shown = capsys.readouterr().out
    assert "GB: consent_required_below: 16 -> 13\n    Data Protection Act 2018 s. 9" in shown
    assert "FR: dual_consent: false -> true\n    Loi 78-17" in shown


def test_a_law_that_says_what_the_default_said_changes_nothing(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data(capsys, book, "diff", "2026-08-01", "2026-08-02")["changes"] == []


def test_diff_of_a_day_with_itself_is_empty(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", book.version, book.version, load=lambda: book) == 0
    assert "nothing changes" in capsys.readouterr().out
    assert data(capsys, book, "diff", book.version, book.version)["changes"] == []


def test_diff_groups_places_that_change_alike(
    book: Rulebook, capsys: pytest.CaptureFixture[str]
) -> None:
    found = data(capsys, book, "diff", "2024-12-31", "2025-01-01")
    groups = [c["places"] for c in found["changes"] if c["field"] == "evidence_deletion"]
    assert ["US-AR", "US-NY", "US-TN"] in groups
