"""Signing keys: made on first start, published before use, rotated by command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from agegate.domain.change import NewFact
from agegate.domain.errors import ConflictError, NotAllowedNowError
from agegate.domain.ids import digest
from agegate.domain.keys import PUBLISH_BEFORE_USE, RETIRED_FOR, KeyState, SigningKey
from agegate.domain.ledger import FactKind
from agegate.domain.records import Counter
from agegate.services.core import Core
from agegate.services.ports import UnitOfWork

_NEVER: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)


class KeyService:
    def __init__(self, core: Core, new_key: Callable[[KeyState], SigningKey]) -> None:
        self._core = core
        self._new_key = new_key

    def ensure(self) -> None:
        """One active key and one published next key. Several processes may start at once."""
        with self._core.store.read() as r:
            states = {key.state for key in r.select(SigningKey)}
        if {KeyState.ACTIVE, KeyState.NEXT} <= states:
            return
        try:
            with self._core.store.write() as uow:
                if KeyState.ACTIVE not in states:
                    # Of many first starts at once, one may make the first key: this row is the
                    # door.
                    uow.add(Counter(id=digest("the first key"), count=1, expires_at=_NEVER))
                    self._create(uow, KeyState.ACTIVE)
                if KeyState.NEXT not in states:
                    self._create(uow, KeyState.NEXT)
                uow.commit()
        except ConflictError:
            return

    def list(self) -> list[SigningKey]:
        with self._core.store.read() as r:
            return r.select(SigningKey, order="created_at")

    def rotate(self, *, at_once: bool = False) -> SigningKey:
        """The next key signs from now on; the old one is published until its last token has ended.

        Raises `NotAllowedNowError` while verifiers may not have seen the next key yet, unless
        `at_once`.
        """
        with self._core.store.write() as uow:
            keys = uow.select(SigningKey)
            following = next((k for k in keys if k.state is KeyState.NEXT), None)
            if following is None:
                following = self._create(uow, KeyState.NEXT)
            published = uow.now - following.created_at
            if published < PUBLISH_BEFORE_USE and not at_once:
                minutes = int((PUBLISH_BEFORE_USE - published).total_seconds() // 60) + 1
                raise NotAllowedNowError(
                    "the next key has not been published long enough; "
                    f"wait {minutes} min or use --now"
                )
            for key in keys:
                if key.state is KeyState.ACTIVE:
                    uow.save(key.retire(now=uow.now))
                    self._say(uow, FactKind.KEY_RETIRED, key)
            active = uow.save(following.activate(now=uow.now))
            self._say(uow, FactKind.KEY_ACTIVATED, active)
            self._create(uow, KeyState.NEXT)
            uow.commit()
            return active

    def retire(self, kid: str) -> None:
        """Take a retired or next key out of the JWKS at once.

        What it signed is no longer accepted.
        """
        with self._core.store.write() as uow:
            key = uow.get(SigningKey, kid)
            if key.state is KeyState.ACTIVE:
                raise NotAllowedNowError("the active key can't be removed; rotate first")
            uow.delete(SigningKey, kid)
            self._say(uow, FactKind.KEY_RETIRED, key)
            uow.commit()

    def clean(self) -> int:
        """Remove retired keys whose last token has long ended."""
        with self._core.store.write() as uow:
            old = [
                key
                for key in uow.select(SigningKey, state=KeyState.RETIRED)
                if key.retired_at is not None and uow.now - key.retired_at >= RETIRED_FOR
            ]
            for key in old:
                uow.delete(SigningKey, key.id)
            uow.commit()
            return len(old)

    def _create(self, uow: UnitOfWork, state: KeyState) -> SigningKey:
        key = self._new_key(state)
        uow.add(key)
        self._say(uow, FactKind.KEY_CREATED, key)
        return key

    def _say(self, uow: UnitOfWork, kind: FactKind, key: SigningKey) -> None:
        uow.state(NewFact(kind=kind, data={"kid": key.id}))
