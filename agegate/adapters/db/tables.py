"""One table a kind, one column a field, by the field's type. Nothing here knows a rule.

Columns are derived, so a field can't be forgotten; migrations are written by hand, and `alembic
check`
holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final, get_origin

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Dialect,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

from agegate.adapters.codec import bare, hints, may_be_none
from agegate.adapters.kinds import TABLES, UNIQUE
from agegate.domain.consent import Consent
from agegate.domain.grants import Code, Family, Flow, IssuedToken, RefreshToken
from agegate.domain.ledger import Fact
from agegate.domain.outgoing import Outgoing
from agegate.domain.people import (
    BrowserSubject,
    Contact,
    EmailAddress,
    Link,
    ParentSession,
    SealedText,
    Subject,
)
from agegate.domain.records import Counter, Credential, Event
from agegate.domain.webhooks import WebhookDelivery


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out, on both databases. A naive time is a programming error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        value = value.astimezone(UTC)
        # SQLite's text form has no zone: naive UTC keeps `<=` true to time.
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's form
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


INDEXES: Final[dict[type[Any], tuple[tuple[str, ...], ...]]] = {
    Credential: (("operator_id",), ("old_webhook_until",)),
    Subject: (("client_id",), ("turns_on",)),
    BrowserSubject: (("subject_id",), ("expires_at",)),
    Flow: (("expires_at",), ("subject_id",)),
    Consent: (
        ("subject_id",),
        ("parent_id",),
        ("stage", "expires_at"),
        ("operator_id", "stage"),
        ("notice",),
    ),
    Contact: (("index",),),
    ParentSession: (("parent_id",), ("expires_at",)),
    Link: (("target",), ("expires_at",)),
    Code: (("subject_id",), ("expires_at",)),
    Family: (("subject_id",), ("expires_at",)),
    RefreshToken: (("family_id",), ("expires_at",)),
    IssuedToken: (("family_id",), ("record",), ("subject_id",), ("list_id",), ("expires_at",)),
    Outgoing: (("state", "due_at"), ("target",)),
    Fact: (("record",),),
    Event: (("client_id", "seq"), ("sub",)),
    WebhookDelivery: (
        ("state", "due_at"),
        ("client_id", "state", "due_at"),
        ("sub", "state"),
        ("state", "created_at"),
    ),
    Counter: (("expires_at",),),
}

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def is_sealed(hint: Any) -> bool:
    return bare(hint) in {EmailAddress, SealedText}


def is_mapping(hint: Any) -> bool:
    return get_origin(bare(hint)) is Mapping


def is_nested(hint: Any) -> bool:
    kind = bare(hint)
    return get_origin(kind) is not None or (is_dataclass(kind) and not is_sealed(kind))


def column_type(hint: Any) -> TypeEngine[Any]:
    kind = bare(hint)
    if is_sealed(kind):
        return LargeBinary()
    if is_nested(kind) or kind is str or issubclass(kind, StrEnum):
        return Text()
    plain: dict[type[Any], TypeEngine[Any]] = {
        bool: Boolean(),
        int: BigInteger(),
        datetime: UtcDateTime(),
        date: Date(),
    }
    return plain[kind]


def _table(kind: type[Any], name: str) -> Table:
    columns = [
        Column(field, column_type(hint), primary_key=field == "id", nullable=may_be_none(hint))
        for field, hint in hints(kind).items()
    ]
    unique = [UniqueConstraint(field) for field in UNIQUE.get(kind, ())]
    indexes = [Index(None, *fields) for fields in INDEXES.get(kind, ())]
    return Table(name, metadata, *columns, *unique, *indexes)


TABLE_OF: Final[dict[type[Any], Table]] = {
    kind: _table(kind, name) for kind, name in TABLES.items()
}
