"""Settings from the environment: read once, checked at once, frozen.

Every name also as `NAME_FILE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agegate.wire.loopback import is_loopback

DEVELOPMENT_SECRET: Final = "development-only-secret-never-in-production"  # noqa: S105 - refused in production
_SHORTEST_SECRET: Final = 32


class SettingsError(ValueError):
    """All that is wrong with the environment, one sentence each. Never holds a secret's value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Environment(StrEnum):
    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


def _doc(text: str) -> dict[str, str]:
    return {"doc": text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`metadata["doc"]` of each field is its line in the settings reference."""

    env: Environment = field(
        default=Environment.DEVELOPMENT,
        metadata=_doc("`production`, `development` or `test`."),
    )
    public_url: str = field(
        default="http://127.0.0.1:8000",
        metadata=_doc(
            "Where people and clients reach the service; also the issuer. https in production."
        ),
    )
    database_url: str = field(
        default="",
        metadata=_doc(
            "`sqlite:////absolute/path.db` or `postgresql://…`. "
            "Default: `agegate.db` in the data folder."
        ),
    )
    data_dir: str = field(
        default="var",
        metadata=_doc("Folder for the embedded database. Default: `var` in the current folder."),
    )
    secret_key: str = field(
        default=DEVELOPMENT_SECRET,
        repr=False,
        metadata=_doc(
            "At least 32 random characters. Everything sealed in the database opens only with it; "
            "required in production."
        ),
    )
    smtp_url: str = field(
        default="",
        repr=False,
        metadata=_doc(
            "`smtp://user:pass@host:port?starttls=1` or `smtps://…`. Required outside the sandbox."
        ),
    )
    mail_from: str = field(
        default="agegate <consent@localhost>",
        metadata=_doc("Sender of every letter. Required in production."),
    )
    sandbox: bool = field(
        default=False,
        metadata=_doc(
            "`1` adds pretend vendors, a movable clock and a letter box. Refused in production."
        ),
    )
    stripe_api_key: str = field(
        default="",
        repr=False,
        metadata=_doc("Secret key of the payment processor; switches `payment_transaction` on."),
    )
    stripe_api_base: str = field(
        default="", metadata=_doc("Another address of the payment processor's API, for tests.")
    )
    confirmation_delay_s: int = field(
        default=3600,
        metadata=_doc("Seconds between the first answer and the second letter of `email_plus`."),
    )
    trusted_proxies: int = field(
        default=0,
        metadata=_doc("How many reverse proxies stand before the service and set `X-Forwarded-*`."),
    )
    webhook_allow: tuple[str, ...] = field(
        default=(),
        metadata=_doc(
            "`host:port,…` of private webhook targets that are allowed outside production."
        ),
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Raises `SettingsError` with every problem found, not the first."""
        problems: list[str] = []
        values: dict[str, object] = {}
        known = {f"AGEGATE_{f.name.upper()}": f for f in fields(cls)}
        for name, spec in known.items():
            text = _text(env, name, problems)
            if text is None:
                continue
            try:
                values[spec.name] = _parse(spec.type, text)
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise SettingsError(problems)
        settings = cls(**values)  # type: ignore[arg-type]  # _parse gave each the type its field names.
        problems = settings.problems()
        if problems:
            raise SettingsError(problems)
        return settings

    def problems(self) -> list[str]:
        """What must be mended before anything starts."""
        found = []
        url = urlsplit(self.public_url)
        if url.scheme not in {"http", "https"} or not url.hostname or url.path not in {"", "/"}:
            found.append("AGEGATE_PUBLIC_URL: must be like https://age.example, without a path")
        elif url.scheme == "http" and not is_loopback(url.hostname):
            found.append("AGEGATE_PUBLIC_URL: plain http is for loopback only; use https")
        if self.public_url.endswith("/"):
            found.append("AGEGATE_PUBLIC_URL: must not end in a slash")
        if len(self.secret_key) < _SHORTEST_SECRET:
            found.append(f"AGEGATE_SECRET_KEY: at least {_SHORTEST_SECRET} characters")
        if self.env is Environment.PRODUCTION:
            found += self._production_problems(url.scheme)
        return found

    def _production_problems(self, scheme: str) -> list[str]:
        found = []
        if scheme != "https":
            found.append("AGEGATE_PUBLIC_URL: production needs https")
        if self.secret_key == DEVELOPMENT_SECRET:
            found.append("AGEGATE_SECRET_KEY: missing; production refuses the development default")
        if self.sandbox:
            found.append("AGEGATE_SANDBOX: pretend vendors are refused in production")
        if not self.smtp_url:
            found.append("AGEGATE_SMTP_URL: missing; parents could not be written to")
        if self.mail_from == "agegate <consent@localhost>":
            found.append("AGEGATE_MAIL_FROM: missing; letters need a real sender")
        if not self.database_url:
            found.append("AGEGATE_DATABASE_URL: missing; name the production database")
        return found

    @property
    def database(self) -> str:
        if self.database_url:
            return self.database_url
        return f"sqlite:///{Path(self.data_dir).absolute() / 'agegate.db'}"

    @property
    def confirmation_delay(self) -> timedelta:
        return timedelta(seconds=self.confirmation_delay_s)

    @property
    def is_production(self) -> bool:
        return self.env is Environment.PRODUCTION


def _text(env: Mapping[str, str], name: str, problems: list[str]) -> str | None:
    path = env.get(f"{name}_FILE")
    if path is None:
        return env.get(name)
    if name in env:
        problems.append(f"{name}: set both directly and by {name}_FILE")
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        problems.append(f"{name}_FILE: can't be read")
        return None


def _parse(kind: object, text: str) -> object:
    match kind:
        case "bool":
            if text.lower() not in {"0", "1", "true", "false", "yes", "no", ""}:
                raise ValueError("must be 0 or 1")
            return text.lower() in {"1", "true", "yes"}
        case "int":
            if not text.isdecimal():
                raise ValueError("must be a whole number")
            return int(text)
        case "tuple[str, ...]":
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case "Environment":
            if text not in set(Environment):
                raise ValueError("must be production, development or test")
            return Environment(text)
        case _:
            return text
