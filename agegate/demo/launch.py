"""`agegate demo`: the whole product on loopback, from one command to four addresses.

It uses what a person would: `agegate apply`, `agegate serve`, `agegate worker`, as processes.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final

from agegate.demo.children import Child, stop_all
from agegate.demo.state import State, write_private

DEFAULT_PORT: Final = 8000
READY_WITHIN_S: Final = 60.0
HOST: Final = "127.0.0.1"
_PLACEHOLDER: Final = "http://127.0.0.1:8001"
_PASSED_ON: Final = (
    "HOME",
    "LANG",
    "LC_ALL",
    "PATH",
    "PYTHONPATH",
    "SSL_CERT_FILE",
    "SYSTEMROOT",
    "TMPDIR",
    "VIRTUAL_ENV",
)
"""A developer's AGEGATE_… settings must not turn the demo into something else."""
_FOR_CLAUDE: Final = (
    "AGEGATE_DEMO_MODEL",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
)


class DemoError(Exception):
    """Something that the person at the keyboard should read."""


def run(env: Mapping[str, str]) -> int:
    """Start everything, wait for Ctrl-C or SIGTERM, stop everything."""
    _stop_on_signals()
    demo = Demo(env)
    try:
        demo.start()
        print(demo.welcome, flush=True)
        demo.watch()
    except DemoError as error:
        print(f"agegate demo: {error}", file=sys.stderr)
        return 1
    except _Ended:
        return 0
    finally:
        # A second Ctrl-C must not leave half of them running.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stop_all(demo.children)
    return 0


class Demo:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.children: list[Child] = []
        self.port = DEFAULT_PORT
        self.folder = Path(env.get("AGEGATE_DATA_DIR") or Path("var") / "demo").absolute()

    @property
    def service_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def app_url(self) -> str:
        return f"http://{HOST}:{self.port + 1}"

    @property
    def is_real_claude(self) -> bool:
        return bool(self._env.get("ANTHROPIC_API_KEY"))

    @property
    def welcome(self) -> str:
        claude = (
            "the real Claude (ANTHROPIC_API_KEY is set)"
            if self.is_real_claude
            else "a local fake (set ANTHROPIC_API_KEY for the real one)"
        )
        return (
            f"\n  Demo app:    {self.app_url}   <- begin here\n"
            f"  Letter box:  {self.service_url}/sandbox/mailbox\n"
            f"  Service:     {self.service_url}\n"
            f"  Claude:      {claude}\n"
            f"  Data:        {self.folder}\n\n"
            "  Ctrl-C stops everything."
        )

    def start(self) -> None:
        """Raises `DemoError`."""
        self.port = _port(self._env.get("AGEGATE_DEMO_PORT", ""))
        for port in (self.port, self.port + 1):
            _require_free(port)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            state = State.load(self.folder)
            print("preparing the database and StoryBuddy, the demo's app", flush=True)
            state = self._apply(state)
            state.save(self.folder)
        except OSError as error:
            raise DemoError(f"{self.folder}: {error.strerror}") from None
        service = self._service_env(state)
        self._child("serve", "agegate", "serve", "--port", str(self.port), env=service)
        self._child("worker", "agegate", "worker", env=service)
        fake_url = self._fake_claude()
        self._child(
            "app",
            "agegate.demo",
            env=self._passed_on(*_FOR_CLAUDE) | self._app_env(state, fake_url),
        )
        self._wait_for(f"{self.service_url}/readyz")
        self._wait_for(f"{self.app_url}/healthz")

    def watch(self) -> None:
        """Until a signal comes. Raises `DemoError` when one of them ends by itself."""
        while True:
            self._require_alive()
            time.sleep(0.5)

    # -- parts -------------------------------------------------------------------------------------

    def _passed_on(self, *more: str) -> dict[str, str]:
        names = (*_PASSED_ON, *more)
        return {name: self._env[name] for name in names if name in self._env} | {
            "PYTHONUNBUFFERED": "1"
        }

    def _service_env(self, state: State) -> dict[str, str]:
        return self._passed_on() | {
            "AGEGATE_ENV": "development",
            "AGEGATE_SANDBOX": "1",
            "AGEGATE_PUBLIC_URL": self.service_url,
            "AGEGATE_DATABASE_URL": f"sqlite:///{self.folder / state.database}",
            "AGEGATE_SECRET_KEY": state.secret_key,
            "AGEGATE_MAIL_FROM": "agegate demo <consent@agegate.example>",
        }

    def _app_env(self, state: State, fake_url: str) -> dict[str, str]:
        return {
            "DEMO_ISSUER": self.service_url,
            "DEMO_PORT": str(self.port + 1),
            "DEMO_CLIENT_SECRET": state.client_secret,
            "DEMO_SERVICE_SECRET": state.service_secret,
            "DEMO_FAKE_CLAUDE": fake_url,
        }

    def _apply(self, state: State) -> State:
        file = self.folder / "operator.toml"
        declared = _operator_file().read_text("utf-8")
        write_private(file, declared.replace(_PLACEHOLDER, self.app_url))
        done = subprocess.run(  # noqa: S603 - our own program, by this interpreter
            [sys.executable, "-m", "agegate", "apply", str(file), "--json"],
            env=self._service_env(state),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DemoError(f"the operator file was not taken\n{done.stderr}")
        return state.with_issued(json.loads(done.stdout))

    def _fake_claude(self) -> str:
        if self.is_real_claude:
            return ""
        fake = self._child("claude", "agegate.guard.testing", "--port", "0", env=self._passed_on())
        deadline = time.monotonic() + READY_WITHIN_S
        while "http://" not in fake.output:
            self._require_in_time(deadline)
        return "http://" + fake.output.partition("http://")[2].split()[0]

    def _child(self, name: str, module: str, *arguments: str, env: Mapping[str, str]) -> Child:
        log = self.folder / f"{name}.log"
        child = Child(name, ["-m", module, *arguments], env, log)
        self.children.append(child)
        return child

    # -- waiting -----------------------------------------------------------------------------------

    def _wait_for(self, url: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not _answers(url):
            self._require_in_time(deadline)

    def _require_in_time(self, deadline: float) -> None:
        self._require_alive()
        if time.monotonic() > deadline:
            raise DemoError(f"not ready within {READY_WITHIN_S:.0f} s; logs are in {self.folder}")
        time.sleep(0.05)

    def _require_alive(self) -> None:
        for child in self.children:
            if child.exit_code is not None:
                last = "\n".join(child.output.splitlines()[-15:])
                raise DemoError(f"{child.name} ended ({child.log}):\n{last}")


class _Ended(BaseException):
    """Somebody wants us to stop."""


def _stop_on_signals() -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise _Ended

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)


def _port(text: str) -> int:
    highest = 65534  # the app gets the next one
    if not text:
        return DEFAULT_PORT
    if not text.isdecimal() or not 0 < int(text) <= highest:
        raise DemoError(f"AGEGATE_DEMO_PORT must lie between 1 and {highest}")
    return int(text)


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoError(
                f"port {port}: {error.strerror}; choose others with AGEGATE_DEMO_PORT=9000"
            ) from None


def _operator_file() -> Path:
    """In a source checkout, or the copy inside an installed wheel."""
    spec = find_spec("agegate")
    package = Path(str(spec.origin)).parent if spec else Path()
    for folder in (package.parent / "config", package / "_config"):
        if (folder / "demo-operator.toml").is_file():
            return folder / "demo-operator.toml"
    raise DemoError("demo-operator.toml is missing from this installation")


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)  # noqa: PLR2004 - OK
    except (OSError, urllib.error.URLError):
        return False
