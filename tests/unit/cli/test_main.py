"""The program itself: what a person reads, and the exit status a script sees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agegate.cli.main import run
from agegate.cli.settings_doc import document
from tests.support.processes import free_port

ROOT = Path(__file__).parents[3]
SECRET = "a-secret-of-more-than-32-characters-of-nobody"
PRODUCTION = {
    "AGEGATE_ENV": "production",
    "AGEGATE_PUBLIC_URL": "https://age.example",
    "AGEGATE_SECRET_KEY": SECRET,
    "AGEGATE_SMTP_URL": "smtp://mail.example",
    "AGEGATE_MAIL_FROM": "agegate <consent@age.example>",
}
COMMANDS = (
    "serve", "worker", "sweep", "migrate", "apply", "rules", "keys", "ledger", "erase", "demo",
    "settings", "webhooks",
)  # fmt: skip
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def agegate(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command: exit status, output, errors."""

    def command(*words: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        status = run(words, env or {}, work=lambda *_: 0, demo=lambda _: 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def _env(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"AGEGATE_DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}", **more}


def _production(tmp_path: Path, **more: str) -> dict[str, str]:
    return PRODUCTION | _env(tmp_path, **more)


# --- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(agegate: Command, command: str) -> None:
    status, out, _ = agegate(command, "--help")
    assert status == 0
    assert "example: " in out
    assert f"agegate {command}" in out.partition("example: ")[2]


def test_help_lists_every_command(agegate: Command) -> None:
    status, out, _ = agegate("--help")
    assert status == 0
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("    ")]
    assert set(listed) - {"COMMAND"} >= set(COMMANDS)


def test_help_loads_no_server() -> None:
    heavy = ("alembic", "authlib", "flask", "granian", "joserfc", "pydantic", "sqlalchemy")
    script = (
        "import sys; from agegate.cli.main import run;"
        "run(['--help'], {}, work=lambda *_: 0, demo=lambda _: 0);"
        f"print('loaded:', [m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("loaded: []\n")


# --- wrong use --------------------------------------------------------------------------------

WRONG = {
    "no command": (),
    "unknown command": ("sever",),
    "unknown option": ("serve", "--prot", "1"),
    "port is no number": ("serve", "--port", "http"),
    "port too large": ("serve", "--port", "65536"),
    "port zero": ("serve", "--port", "0"),
    "no worker at all": ("serve", "--workers", "0"),
    "erase whom": ("erase",),
    "apply what": ("apply",),
    "apply a folder": ("apply", "/"),
    "apply nothing there": ("apply", "/does/not/exist.toml"),
    "rules how": ("rules",),
    "explain what": ("rules", "explain"),
    "explain nowhere": ("rules", "explain", "--place", "XX", "--on", "2027-01-01"),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_wrong_use_is_told_and_is_status_2(agegate: Command, words: tuple[str, ...]) -> None:
    status, out, err = agegate(*words)
    assert status == 2
    assert out == ""
    assert err
    assert "Traceback" not in err


# --- settings ---------------------------------------------------------------------------------

BAD_SETTINGS = {
    "secret missing": ({"AGEGATE_SECRET_KEY": None}, "AGEGATE_SECRET_KEY"),
    "secret short": ({"AGEGATE_SECRET_KEY": "short"}, "AGEGATE_SECRET_KEY"),
    "secret of development": (
        {"AGEGATE_SECRET_KEY": "development-only-secret-never-in-production"},
        "AGEGATE_SECRET_KEY",
    ),
    "plain http": ({"AGEGATE_PUBLIC_URL": "http://age.example"}, "AGEGATE_PUBLIC_URL"),
    "a path in the address": (
        {"AGEGATE_PUBLIC_URL": "https://age.example/x"},
        "AGEGATE_PUBLIC_URL",
    ),
    "sandbox": ({"AGEGATE_SANDBOX": "1"}, "AGEGATE_SANDBOX"),
    "no mail server": ({"AGEGATE_SMTP_URL": None}, "AGEGATE_SMTP_URL"),
    "no sender": ({"AGEGATE_MAIL_FROM": None}, "AGEGATE_MAIL_FROM"),
    "no database": ({"AGEGATE_DATABASE_URL": None}, "AGEGATE_DATABASE_URL"),
    "no such environment": ({"AGEGATE_ENV": "prod"}, "AGEGATE_ENV"),
    "neither yes nor no": ({"AGEGATE_SANDBOX": "maybe"}, "AGEGATE_SANDBOX"),
    "a file that is not there": (
        {"AGEGATE_SECRET_KEY": None, "AGEGATE_SECRET_KEY_FILE": "/does/not/exist"},
        "AGEGATE_SECRET_KEY_FILE",
    ),
    "said twice": ({"AGEGATE_MAIL_FROM_FILE": "/etc/hostname"}, "AGEGATE_MAIL_FROM"),
    "a number that is none": (
        {"AGEGATE_CONFIRMATION_DELAY_S": "an hour"},
        "AGEGATE_CONFIRMATION_DELAY_S",
    ),
}


@pytest.mark.parametrize(("change", "named"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
@pytest.mark.parametrize("command", ["serve", "migrate", "sweep"])
def test_bad_settings_are_named_and_nothing_starts(
    agegate: Command, tmp_path: Path, command: str, change: dict[str, str | None], named: str
) -> None:
    env = {k: v for k, v in (_production(tmp_path) | change).items() if v is not None}
    status, out, err = agegate(command, env=env)
    assert status == 1
    assert out == ""
    assert named in err
    assert SECRET not in err
    assert "Traceback" not in err
    assert not (tmp_path / "a.db").exists()


def test_all_bad_settings_are_told_at_once(agegate: Command) -> None:
    _, _, err = agegate("serve", env={"AGEGATE_ENV": "production"})
    for name in ("PUBLIC_URL", "SECRET_KEY", "SMTP_URL", "MAIL_FROM", "DATABASE_URL"):
        assert f"AGEGATE_{name}" in err


def test_commands_without_settings_work_whatever_they_are(agegate: Command) -> None:
    broken = {"AGEGATE_ENV": "nonsense"}
    assert agegate("settings", env=broken)[0] == 0
    assert agegate("rules", "check", env=broken)[0] == 0


# --- the database -----------------------------------------------------------------------------


def test_an_old_schema_is_refused_in_production_with_the_cure(
    agegate: Command, tmp_path: Path
) -> None:
    status, _, err = agegate("serve", "--port", str(free_port()), env=_production(tmp_path))
    assert status == 1
    assert "agegate migrate" in err
    status, _, err = agegate("sweep", env=_production(tmp_path))
    assert status == 1
    assert "agegate migrate" in err


def test_migrating_twice_is_harmless(agegate: Command, tmp_path: Path) -> None:
    env = _production(tmp_path)
    for _ in range(2):
        status, out, _ = agegate("migrate", env=env)
        assert status == 0
        assert "schema" in out
    assert agegate("sweep", env=env)[0] == 0


UNUSABLE = {
    "not an address": "nonsense",
    "a database we do not know": "mysql://a:pw-of-db@127.0.0.1/x",
    "nobody listens": "postgresql://a:pw-of-db@127.0.0.1:1/x",
    "no folder": "sqlite:////proc/nowhere/a.db",
    "in memory": "sqlite:///:memory:",
}


@pytest.mark.parametrize("url", UNUSABLE.values(), ids=UNUSABLE)
def test_a_database_that_cannot_be_used_is_told_without_its_password(
    agegate: Command, url: str
) -> None:
    status, _, err = agegate("sweep", env={"AGEGATE_DATABASE_URL": url})
    assert status == 1
    assert err.startswith("agegate sweep: ")
    assert "Traceback" not in err
    assert "pw-of-db" not in err


# --- single commands --------------------------------------------------------------------------


def test_erasing_nobody_is_refused(agegate: Command, tmp_path: Path) -> None:
    status, _, err = agegate("erase", "--subject", "nobody", env=_env(tmp_path))
    assert status == 1
    assert "no subject" in err


def test_sweep_tells_what_it_did(agegate: Command, tmp_path: Path) -> None:
    assert agegate("sweep", env=_env(tmp_path))[1] == "nothing was due\n"
    assert agegate("sweep", "--json", env=_env(tmp_path))[1] == "{}\n"


def test_the_worker_gets_the_environment_and_once() -> None:
    seen: list[tuple[Mapping[str, str], bool]] = []

    def work(env: Mapping[str, str], once: bool) -> int:
        seen.append((env, once))
        return 0

    env = {"AGEGATE_ENV": "test"}
    assert run(["worker", "--once"], env, work=work, demo=lambda _: 0) == 0
    assert run(["worker"], env, work=work, demo=lambda _: 0) == 0
    assert seen == [(env, True), (env, False)]


INTERRUPTIONS = {"Ctrl-C": KeyboardInterrupt(), "disk full": OSError(28, "No space left", "/x")}


@pytest.mark.parametrize("error", INTERRUPTIONS.values(), ids=INTERRUPTIONS)
def test_an_interruption_leaves_no_stack_trace(
    capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    def work(*_: object) -> int:
        raise error

    assert run(["worker"], {}, work=work, demo=lambda _: 0) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_missing_server_package_is_told_with_the_cure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(*_: object) -> int:
        raise ModuleNotFoundError("No module named 'granian'", name="granian")

    assert run(["worker"], {}, work=work, demo=lambda _: 0) == 1
    assert "agegate[server]" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_hidden() -> None:
    def work(*_: object) -> int:
        raise ModuleNotFoundError("No module named 'agegate.nothing'", name="agegate.nothing")

    with pytest.raises(ModuleNotFoundError):
        run(["worker"], {}, work=work, demo=lambda _: 0)


# --- reference --------------------------------------------------------------------------------


def test_the_reference_of_settings_is_current() -> None:
    assert (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8") == document()


def test_the_reference_of_commands_names_every_command() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    for command in COMMANDS:
        assert f"`agegate {command}" in text, command
