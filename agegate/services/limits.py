"""How often something may happen, counted in the database so that all processes agree.

Keys name nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from agegate.domain.errors import TooManyRequestsError
from agegate.domain.records import Counter
from agegate.services.ports import Sealer, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    name: str
    most: int
    per: timedelta


LETTERS_TO_ONE_ADDRESS: Final = Limit(name="letters", most=10, per=timedelta(days=1))
REQUESTS_BY_ONE_BROWSER: Final = Limit(name="requests", most=10, per=timedelta(hours=1))
PROOFS_FOR_ONE_REQUEST: Final = Limit(name="proofs", most=10, per=timedelta(days=1))
SIGN_INS_TO_ONE_ADDRESS: Final = Limit(name="sign-in letters", most=5, per=timedelta(days=1))
"""Counted apart from questions, so that what is left of it tells nobody who was asked today."""
SIGN_INS_BY_ONE_BROWSER: Final = Limit(name="sign-ins", most=10, per=timedelta(hours=1))
RESEND_WAIT: Final = timedelta(seconds=60)


def count(uow: UnitOfWork, limit: Limit, key: str, sealer: Sealer) -> None:
    """Count one more in a fixed window. Raises `TooManyRequestsError`.

    A refused one is not counted.
    """
    seconds = int(limit.per.total_seconds())
    window = int(uow.now.timestamp()) // seconds
    id_ = sealer.index(f"{limit.name}|{window}|{key}", use="limits")
    ends = datetime.fromtimestamp((window + 1) * seconds, tz=uow.now.tzinfo)
    seen = uow.find(Counter, id_)
    if seen is None:
        uow.add(Counter(id=id_, count=1, expires_at=ends))
        return
    if seen.count >= limit.most:
        wait = max(1, int((ends - uow.now).total_seconds()))
        raise TooManyRequestsError("too many tries; please wait a while", retry_after_s=wait)
    uow.save(replace(seen, count=seen.count + 1))
