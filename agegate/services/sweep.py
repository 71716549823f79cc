"""What time brings: questions lapse, consents end or go stale, birthdays come, old rows go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from agegate.domain.change import NewFact
from agegate.domain.consent import OPEN, Consent, Stage
from agegate.domain.errors import AgegateError
from agegate.domain.grants import FAMILY_FOR, Code, Family, Flow, IssuedToken, RefreshToken
from agegate.domain.growing import grown, known_range
from agegate.domain.ids import ClientId, RecordId, SubjectId
from agegate.domain.ledger import FactKind
from agegate.domain.outgoing import Delivery, Outgoing
from agegate.domain.people import BrowserSubject, Link, ParentSession, Subject
from agegate.domain.place_rules import PlaceRules
from agegate.domain.records import Counter, Credential, Event, EventType, OperatorEntry
from agegate.domain.tiers import decide_tier
from agegate.domain.webhooks import FINISHED, WebhookDelivery
from agegate.services.core import Core
from agegate.services.ending import forget_contact, spend_grant
from agegate.services.ports import Reader, UnitOfWork

BATCH: Final = 200
RETENTION: Final[tuple[tuple[type[Any], str, timedelta], ...]] = (
    (Flow, "expires_at", timedelta(0)),
    (BrowserSubject, "expires_at", timedelta(0)),
    (ParentSession, "expires_at", timedelta(0)),
    (Counter, "expires_at", timedelta(0)),
    (Link, "expires_at", timedelta(days=1)),
    (IssuedToken, "expires_at", timedelta(hours=1)),
    (RefreshToken, "expires_at", timedelta(days=1)),
    # A used code is kept while its family may live, so that a replay is still recognised.
    (Code, "expires_at", FAMILY_FOR),
    (Family, "expires_at", timedelta(days=1)),
    (Event, "at", timedelta(days=90)),
)
"""Every kind that holds something for a while, the field that says until when.

And what is added to it.
"""
LETTERS_KEPT_FOR: Final = timedelta(days=30)
WEBHOOKS_KEPT_FOR: Final = timedelta(days=30)
SETTLED: Final = tuple(s for s in Delivery if s not in {Delivery.WAITING, Delivery.SENDING})


class SweepService:
    def __init__(self, core: Core) -> None:
        self._core = core

    def sweep(self) -> dict[str, int]:
        """One round over everything that is due. Returns what was done, by name."""
        now = self._core.now()
        done = {
            "lapsed": self._each(
                self._open_and_granted(), lambda uow, c: self._lapse(uow, uow.get(Consent, c))
            ),
            "stale": self._each(self._outdated(), self._outdate),
            "birthdays": self._each(self._birthdays(), self._grow),
        }
        for kind, field, extra in RETENTION:
            done[kind.__name__.lower()] = self._delete_old(kind, field, now - extra)
        done["letter"] = self._delete_finished(Outgoing, SETTLED, LETTERS_KEPT_FOR)
        done["webhook"] = self._delete_finished(WebhookDelivery, FINISHED, WEBHOOKS_KEPT_FOR)
        done["webhook_secret"] = self._each(self._outlived_secrets(), self._drop_old_secret)
        return {name: count for name, count in done.items() if count}

    # -- consents --------------------------------------------------------------------------------

    def _open_and_granted(self) -> list[RecordId]:
        now = self._core.now()
        stages = [stage for stage in Stage if stage.is_open or stage is Stage.GRANTED]
        with self._core.store.read() as r:
            return [
                c.id
                for stage in stages
                for c in r.select(Consent, stage=stage, upto=("expires_at", now), limit=BATCH)
            ]

    def _lapse(self, uow: UnitOfWork, consent: Consent) -> None:
        after = self._core.record(uow, consent.lapse(now=uow.now))
        spend_grant(uow, after)
        forget_contact(uow, after)

    def _outdated(self) -> list[RecordId]:
        with self._core.store.read() as r:
            return [
                c.id
                for entry in r.select(OperatorEntry)
                for stage in (*OPEN, Stage.GRANTED)
                for c in r.select(Consent, operator_id=entry.id, stage=stage)
                if c.practices != entry.operator.practices
            ][:BATCH]

    def _outdate(self, uow: UnitOfWork, record: str) -> None:
        """A grant goes stale; a question about practices that are no longer true ends."""
        consent = uow.get(Consent, record)
        if consent.stage.is_open:
            ended = self._core.record(uow, consent.revoke("practices_changed", now=uow.now))
            forget_contact(uow, ended)
            return
        practices = uow.get(OperatorEntry, consent.operator_id).operator.practices
        after = self._core.record(uow, consent.outdate(practices, now=uow.now))
        spend_grant(uow, after)

    # -- birthdays -------------------------------------------------------------------------------

    def _birthdays(self) -> list[SubjectId]:
        # A day early by UTC, since somewhere it is tomorrow already; the place's own date
        # decides below.
        tomorrow = self._core.now() + timedelta(days=1)
        with self._core.store.read() as r:
            due = r.select(
                Subject, upto=("turns_on", tomorrow.date()), order="turns_on", limit=BATCH
            )
            return [s.id for s in due if self._grown(r, s)[0] is not s]

    def _grow(self, uow: UnitOfWork, id_: str) -> None:
        subject = uow.get(Subject, id_)
        after, rules = self._grown(uow, subject)
        before_tier = decide_tier(known_range(subject), rules)
        tier = decide_tier(known_range(after), rules)
        uow.save(after)
        if tier is before_tier:
            return
        uow.state(
            NewFact(
                kind=FactKind.AGE_TIER_CHANGED,
                operator_id=subject.operator_id,
                client_id=subject.client_id,
                data={"tier": tier.value},
            )
        )
        self._core.tell(
            uow,
            EventType.AGE_TIER_CHANGED,
            operator_id=subject.operator_id,
            client_id=subject.client_id,
            sub=subject.sub,
            state=tier.value,
        )

    def _grown(self, r: Reader, subject: Subject) -> tuple[Subject, PlaceRules]:
        now = self._core.now()
        registered = self._core.registration(r, subject.client_id)
        rules = self._core.rules_for(subject.place, registered.client, now=now)
        return grown(subject, rules.boundaries, today=rules.today(now)), rules

    # -- old rows --------------------------------------------------------------------------------

    def _delete_old(self, kind: type[Any], field: str, until: datetime) -> int:
        """Looks before it writes: a round with nothing to do takes no writer's place."""
        with self._core.store.read() as r:
            old = r.select(kind, upto=(field, until), limit=BATCH)
            if kind is Event:
                # The newest stays, so that numbers go on from it and no cursor misses a later one.
                newest = r.select(Event, order="seq", descending=True, past=("seq", 0), limit=1)
                old = [event for event in old if event not in newest]
        return self._delete(kind, old)

    def _delete_finished(self, kind: type[Any], states: Iterable[str], kept_for: timedelta) -> int:
        """What has left or was given up. What still waits stays, however old it is."""
        until = self._core.now() - kept_for
        with self._core.store.read() as r:
            old = [
                thing
                for state in states
                for thing in r.select(kind, state=state, upto=("created_at", until), limit=BATCH)
            ]
        return self._delete(kind, old)

    def _outlived_secrets(self) -> list[ClientId]:
        with self._core.store.read() as r:
            old = r.select(Credential, upto=("old_webhook_until", self._core.now()), limit=BATCH)
        return [credential.id for credential in old]

    @staticmethod
    def _drop_old_secret(uow: UnitOfWork, id_: str) -> None:
        credential = uow.get(Credential, id_)
        uow.save(replace(credential, old_webhook_secret=None, old_webhook_until=None))

    def _delete(self, kind: type[Any], old: Sequence[Any]) -> int:
        if old:
            with self._core.store.write() as uow:
                for thing in old:
                    uow.delete(kind, thing.id)
                uow.commit()
        return len(old)

    def _each(self, ids: list[Any], act: Callable[[UnitOfWork, Any], None]) -> int:
        """One transaction each.

        One that fails or was changed meanwhile does not hold up the others.
        """
        done = 0
        for id_ in ids:
            try:
                with self._core.store.write() as uow:
                    act(uow, id_)
                    uow.commit()
                    done += 1
            except AgegateError:
                continue
        return done
