"""What the demo keeps between two starts: secrets, in one file that only its owner reads."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

FILE: Final = "demo.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`database` is a file beside this one. Secrets and database belong together.

    So where the secrets are lost, a new database begins, and the old one is left alone.
    """

    database: str
    secret_key: str
    client_secret: str = ""
    service_secret: str = ""

    @classmethod
    def load(cls, folder: Path) -> Self:
        try:
            known: dict[str, Any] = json.loads((folder / FILE).read_text("utf-8"))
            state = cls(**known)
        except (OSError, ValueError, TypeError):
            return cls.begin(folder)
        return state if (folder / state.database).exists() else cls.begin(folder)

    @classmethod
    def begin(cls, folder: Path) -> Self:
        is_first = not (folder / "agegate.db").exists()
        name = "agegate.db" if is_first else f"agegate-{secrets.token_hex(4)}.db"
        return cls(database=name, secret_key=secrets.token_urlsafe(32))

    def with_issued(self, issued: dict[str, list[dict[str, str | None]]]) -> Self:
        """What `agegate apply --json` printed; only new secrets are in it."""
        client = issued["clients"][0]["client_secret"] or self.client_secret
        service = issued["services"][0]["client_secret"] or self.service_secret
        return replace(self, client_secret=client, service_secret=service)

    def save(self, folder: Path) -> None:
        write_private(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and for nobody else to read."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
