"""One PostgreSQL for a whole test run, whoever starts it first, gone whatever happens.

pytest (and each xdist worker) calls `shared_server(run_folder)`. The first caller starts a keeper
process: it runs the cluster, writes down its address and watches the owner of the run. When the
owner ends, by itself or by `kill -9`, the keeper stops PostgreSQL and removes the folder. Should
the keeper itself be killed, `sweep` of the next run finds what is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import Cluster, temporary_folder

PREFIX = "agegate-tests-"
RUN_FOLDER = "AGEGATE_TEST_RUN_FOLDER"  # inherited by xdist workers
_ROOT = Path(__file__).resolve().parents[2]
_started: list[
    subprocess.Popen[bytes]
] = []  # a dropped Popen complains that its process still runs


def new_run_folder() -> Path:
    """Return a folder for this test run, after removing what killed runs left behind."""
    folder = temporary_folder(f"{PREFIX}{os.getuid()}-")
    (folder / "owner").write_text(str(os.getpid()))
    sweep(folder.parent)
    return folder


def sweep(parent: Path) -> list[Path]:
    """Remove the folders, and stop the servers, of test runs whose owner is gone."""
    gone = []
    for folder in sorted(parent.glob(f"{PREFIX}{os.getuid()}-*")):
        if _alive(_read_pid(folder / "owner")) or _alive(_read_pid(folder / "keeper")):
            continue
        postmaster = _read_pid(folder / "pg" / "data" / "postmaster.pid")
        if _alive(postmaster) and str(folder) in _command_line(postmaster):
            os.kill(postmaster, signal.SIGQUIT)
            _wait_until_dead(postmaster)
        shutil.rmtree(folder, ignore_errors=True)
        gone.append(folder)
    return gone


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock that all processes of one test run share."""
    with (folder / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def shared_server(folder: Path) -> str:
    """Return the address of this run's PostgreSQL; the first caller waits for its start."""
    with locked(folder, "postgres"):
        state = folder / "postgres.json"
        if not state.exists():
            _start_keeper(folder, state)
        url: str = json.loads(state.read_text())["url"]
        return url


def end_run(folder: Path) -> None:
    """Stop this run's PostgreSQL, if one was started, and remove the folder."""
    keeper = _read_pid(folder / "keeper")
    if _alive(keeper):
        os.kill(keeper, signal.SIGTERM)
        _wait_until_dead(keeper)
    for process in _started:
        if process.pid == keeper:
            process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _start_keeper(folder: Path, state: Path) -> None:
    log = folder / "keeper.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.support.postgres_keeper", str(folder)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=_ROOT,
            start_new_session=True,
        )  # fmt: skip
    _started.append(keeper)
    while not state.exists():
        if keeper.poll() is not None:
            raise RuntimeError(f"no PostgreSQL for the tests:\n{log.read_text()[-3000:]}")
        time.sleep(0.02)


def keep(folder: Path) -> None:
    """Run the cluster until the owner of the run is gone or SIGTERM comes."""
    asked_to_stop = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    signal.signal(signal.SIGTERM, stop)
    (folder / "keeper").write_text(str(os.getpid()))
    owner = _read_pid(folder / "owner")
    cluster = Cluster(folder / "pg")
    cluster.start()
    draft = folder / "postgres.json.part"
    draft.write_text(json.dumps({"url": cluster.url()}))
    draft.chmod(0o600)
    draft.rename(folder / "postgres.json")
    while not asked_to_stop and _alive(owner):
        time.sleep(0.2)
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _read_pid(file: Path) -> int:
    try:
        return int(file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A zombie answers signals but does nothing any more.
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return not Path("/proc/self").exists()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 30
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
