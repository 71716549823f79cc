"""One live service, and the Node clients installed from their lock file, for this folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clients.service import LiveService
from tests.support.postgres_keeper import locked
from tests.support.processes import Processes

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    folder = tmp_path_factory.mktemp("live")
    with Processes(folder / "processes") as processes:
        yield LiveService.start(processes, folder)


@pytest.fixture(scope="session")
def node(run_folder: Path) -> str:
    """The `node` program, with the packages of `package-lock.json` beside the scripts."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.skip("node and npm are not installed here, so no Node client can be tried")
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = HERE / "node_modules" / ".installed"
    with locked(run_folder, "npm"):
        if not stamp.exists() or stamp.read_text() != hashlib.sha256(lock).hexdigest():
            subprocess.run(
                [npm, "ci", "--ignore-scripts"], cwd=HERE, check=True, capture_output=True
            )
            stamp.write_text(hashlib.sha256(lock).hexdigest())
    return program
