"""Build the wheel and use it as a stranger would: `python -m tests.support.wheel`.

Two clean environments outside the checkout. The base install must be the guard alone: quick to
import and free of the server's libraries. The server install must judge and migrate by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
IMPORT_LIMIT_MS = 150.0
_MUST_CONTAIN = (
    "agegate/_config/jurisdictions/us.toml",
    "agegate/_migrations/env.py",
    "agegate/guard/__init__.py",
    "agegate/py.typed",
    "agegate/web/templates/age_screen.html",
)
_MUST_NOT_CONTAIN = ("tests/", "benchmarks/", "requirements/", "__pycache__")
# Prints milliseconds. The modules named must not even be there.
_IMPORT_GUARD = """
import importlib.util, sys, time
start = time.perf_counter()
import agegate.guard
print((time.perf_counter() - start) * 1000)
for name in ("flask", "sqlalchemy", "alembic", "authlib", "anthropic"):
    assert name not in sys.modules, f"agegate.guard imports {name}"
    assert importlib.util.find_spec(name) is None, f"the base install brings {name}"
"""


def main() -> int:
    """Build and try; prints one line per promise, raises at the first that is broken."""
    with tempfile.TemporaryDirectory(prefix="agegate-wheel-") as name:
        folder = Path(name)
        wheel = _build(folder)
        _look_inside(wheel)
        _try_guard(folder, wheel)
        _try_server(folder, wheel)
    return 0


def _build(folder: Path) -> Path:
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], _ROOT)
    [wheel] = folder.glob("*.whl")
    print(f"wheel: {wheel.name}, {wheel.stat().st_size // 1024} KiB")
    return wheel


def _look_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for wanted in _MUST_CONTAIN:
        assert wanted in names, f"the wheel lacks {wanted}"
    for unwanted in _MUST_NOT_CONTAIN:
        found = [n for n in names if n.startswith(unwanted) or f"/{unwanted}" in n]
        assert not found, f"the wheel carries {found[0]}"


def _try_guard(folder: Path, wheel: Path) -> None:
    python = _install(folder / "guard", "guard", wheel)
    times = [float(_run([str(python), "-c", _IMPORT_GUARD], folder)) for _ in range(5)]
    print(f"base install: `import agegate.guard` takes {min(times):.0f} ms, no server library")
    assert min(times) < IMPORT_LIMIT_MS, f"importing the guard takes {min(times):.0f} ms"


def _try_server(folder: Path, wheel: Path) -> None:
    command = _install(folder / "server", "server", wheel).parent / "agegate"
    data = folder / "data"
    data.mkdir()
    _run([str(command), "rules", "check"], data)
    _run([str(command), "migrate"], data)
    assert (data / "var").is_dir(), "agegate migrate made no data folder where it was called"
    print("server install: `agegate rules check` and `agegate migrate` work outside a checkout")


def _install(folder: Path, requirements: str, wheel: Path) -> Path:
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    _run([*pip, "--require-hashes", "-r", str(_ROOT / "requirements" / f"{requirements}.txt")])
    _run([*pip, "--no-deps", str(wheel)])
    return python


def _run(arguments: list[str], folder: Path = _ROOT) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AGEGATE_", "PYTHON"))}
    env["AGEGATE_ENV"] = "development"
    done = subprocess.run(
        arguments, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
