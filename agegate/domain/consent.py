"""The life of one consent, from the request to its end.

    requested -> notified -> opened -> proved -> decided -> granted | denied
         any of the first five -> expired | revoked
    granted -> withdrawn (by a parent) | revoked (by us) | stale (practices changed)
                | expired (its term ended) | superseded (a larger consent replaced it)

Every step is a pure function that returns the state after it together with its fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from agegate.domain.change import Change, NewFact
from agegate.domain.errors import ConflictError, FieldErrors, LinkExpiredError, NotAllowedNowError
from agegate.domain.ids import (
    ClientId,
    Digest,
    OperatorId,
    ParentId,
    PracticesVersion,
    PurposeId,
    RecordId,
    SubjectId,
)
from agegate.domain.ledger import FactKind, FactValue
from agegate.domain.operators import Purpose, PurposeKind
from agegate.wire.tiers import ConsentState

PENDING_FOR: Final = timedelta(days=14)
"""Default and longest wait for a parent (16 CFR 312.5(c)(1) says 'a reasonable time'.

The ceiling is ours).
"""
GRANT_FOR: Final = timedelta(days=365)
"""A consent's term. The Rule sets none; a year keeps a parent's decision from being forgotten."""


class Stage(StrEnum):
    REQUESTED = "requested"
    NOTIFIED = "notified"
    OPENED = "opened"
    PROVED = "proved"
    DECIDED = "decided"
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    STALE = "stale"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        return self in OPEN


OPEN: Final = frozenset(
    {Stage.REQUESTED, Stage.NOTIFIED, Stage.OPENED, Stage.PROVED, Stage.DECIDED}
)

_PUBLIC: Final[Mapping[Stage, ConsentState]] = {
    **dict.fromkeys(OPEN, ConsentState.PENDING),
    Stage.GRANTED: ConsentState.GRANTED,
    Stage.DENIED: ConsentState.DENIED,
    Stage.EXPIRED: ConsentState.EXPIRED,
    Stage.WITHDRAWN: ConsentState.WITHDRAWN,
    Stage.REVOKED: ConsentState.REVOKED,
    Stage.STALE: ConsentState.STALE,
    Stage.SUPERSEDED: ConsentState.WITHDRAWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEvidence:
    """What proved the parent: three facts kept apart, and how each was learned.

    No document, no number.

    `identity`, `adulthood` and `relationship` are codes such as `card_holder` or `declared`; None
    means not proved.
    `reference` is a hash of the vendor's reference.
    """

    method: str
    at: datetime
    identity: str | None = None
    adulthood: str | None = None
    relationship: str | None = None
    reference: Digest | None = None
    confirmation_needed: bool = False

    def to_fact(self) -> dict[str, FactValue]:
        found = {
            "method": self.method,
            "identity": self.identity,
            "adulthood": self.adulthood,
            "relationship": self.relationship,
            "reference": self.reference,
        }
        return {k: v for k, v in found.items() if v is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One question to one parent about one subject at one client, and what came of it."""

    id: RecordId
    operator_id: OperatorId
    client_id: ClientId
    subject_id: SubjectId
    purposes: tuple[PurposeId, ...]
    carried: tuple[PurposeId, ...] = ()
    """Already granted by an earlier consent that this one will replace; not asked again."""
    replaces: RecordId | None = None
    practices: PracticesVersion
    jurisdiction: str
    locale: str
    stage: Stage = Stage.REQUESTED
    requested_at: datetime
    expires_at: datetime
    """While open: when the question lapses. Once granted: when the consent's term ends."""
    notice: Digest
    """Hash of the exact direct notice this parent is shown."""
    notified_at: datetime | None = None
    opened_at: datetime | None = None
    opened_in_same_browser: bool = False
    evidence: ConsentEvidence | None = None
    decided_at: datetime | None = None
    granted: tuple[PurposeId, ...] = ()
    refused: tuple[PurposeId, ...] = ()
    parent_id: ParentId | None = None
    granted_at: datetime | None = None
    ended_at: datetime | None = None
    version: int = 1

    # -- questions ---------------------------------------------------------------------------

    def state(self, *, practices: PracticesVersion, now: datetime) -> ConsentState:
        """The public state at `now`, judged against the operator's present practices.

        A consent is good for one practices version (16 CFR 312.5(a)(1)) and for its term, whether
        or
        not the worker has come by yet to write that down.
        """
        if self.stage.is_open and now >= self.expires_at:
            return ConsentState.EXPIRED
        if self.stage is Stage.GRANTED:
            if now >= self.expires_at:
                return ConsentState.EXPIRED
            if self.practices != practices:
                return ConsentState.STALE
        return _PUBLIC[self.stage]

    def live_purposes(self, *, practices: PracticesVersion, now: datetime) -> tuple[PurposeId, ...]:
        if self.state(practices=practices, now=now) is ConsentState.GRANTED:
            return self.granted
        return ()

    # -- transitions -------------------------------------------------------------------------

    def notify(self, *, now: datetime) -> Change[Consent]:
        """A mail server took the direct notice.

        A second sending of the same notice changes only the time.
        """
        self._require_open(now)
        stage = Stage.NOTIFIED if self.stage is Stage.REQUESTED else self.stage
        after = self._next(stage=stage, notified_at=now)
        return self._change(
            after, FactKind.CONSENT_NOTIFIED, notice=self.notice, language=self.locale
        )

    def open(self, *, same_browser: bool, now: datetime) -> Change[Consent]:
        """A person pressed the button on the notice page. A visit alone opens nothing.

        Whoever holds the link has the letter, even when the mail server's receipt for it was lost.
        """
        self._require_open(now)
        stage = Stage.OPENED if self.stage in {Stage.REQUESTED, Stage.NOTIFIED} else self.stage
        # A child who looked first leaves a mark that a parent's later visit does not wipe out.
        seen_there = self.opened_in_same_browser or same_browser
        after = self._next(stage=stage, opened_at=now, opened_in_same_browser=seen_there)
        return self._change(after, FactKind.CONSENT_OPENED, same_browser=same_browser)

    def prove(self, evidence: ConsentEvidence, *, now: datetime) -> Change[Consent]:
        """A lawful method showed that the person is an adult who may answer (16 CFR 312.5(b))."""
        self._require_open(now)
        if self.stage is not Stage.OPENED:
            raise NotAllowedNowError("this request is not waiting for proof")
        after = self._next(stage=Stage.PROVED, evidence=evidence)
        return self._change(after, FactKind.CONSENT_PROVED, **evidence.to_fact())

    def decide(
        self,
        answers: Mapping[str, str],
        purposes: tuple[Purpose, ...],
        *,
        parent: ParentId,
        now: datetime,
    ) -> Change[Consent]:
        """Take one separate answer per purpose (16 CFR 312.5(a)(2)).

        `answers` maps `PurposeId` to `grant` or `refuse`; a missing one is an error, never a yes
        or a no. `purposes` are the declared ones behind `self.purposes`. Refusing a core purpose,
        or every purpose, is a refusal of the whole. Raises `FieldErrors`.
        """
        self._require_open(now)
        if self.stage is not Stage.PROVED or self.evidence is None:
            raise NotAllowedNowError("this request is not waiting for a decision")
        asked = {p.id: p for p in purposes}
        if set(asked) != set(self.purposes):
            raise ConflictError("the operator's purposes changed while the parent was deciding")
        reasons = {
            f"purpose.{id_}": "missing" if answers.get(id_) is None else "not_an_answer"
            for id_ in self.purposes
            if answers.get(id_) not in {"grant", "refuse"}
        }
        if reasons:
            raise FieldErrors(reasons)
        yes = tuple(id_ for id_ in self.purposes if answers[id_] == "grant")
        no = tuple(id_ for id_ in self.purposes if answers[id_] == "refuse")
        core_refused = any(asked[id_].core for id_ in no)
        uses_anything = any(asked[id_].kind is PurposeKind.COLLECT_USE for id_ in yes)
        facts: dict[str, FactValue] = {"granted": yes, "refused": no}
        answered = {"decided_at": now, "refused": no, "parent_id": parent}
        if core_refused or not (uses_anything or self.carried):
            after = self._next(**answered, stage=Stage.DENIED, ended_at=now, granted=())
            return self._change(after, FactKind.CONSENT_DENIED, **facts)
        if self.evidence.confirmation_needed:
            after = self._next(**answered, stage=Stage.DECIDED, granted=yes)
            return self._change(after, FactKind.CONSENT_DECIDED, **facts)
        after = self._grant(yes, now=now, **answered)
        return self._change(after, FactKind.CONSENT_GRANTED, **facts)

    def confirm(self, *, now: datetime) -> Change[Consent]:
        """The second step of `email_plus` or `text_plus` (16 CFR 312.5(b)(2)(viii), (ix)).

        The grant starts here.
        """
        self._require_open(now)
        if self.stage is not Stage.DECIDED:
            raise NotAllowedNowError("this request is not waiting for a confirmation")
        after = self._grant(self.granted, now=now)
        return self._change(
            after, FactKind.CONSENT_GRANTED, granted=self.granted, refused=self.refused
        )

    def refuse(self, reason: str, *, now: datetime) -> Change[Consent]:
        """A refusal before any decision: `not_my_child`, or a bounced notice."""
        self._require_open(now)
        after = self._next(stage=Stage.DENIED, ended_at=now, refused=self.purposes, granted=())
        return self._change(after, FactKind.CONSENT_DENIED, reason=reason)

    def lapse(self, *, now: datetime) -> Change[Consent]:
        """Nobody answered in time, or the consent's term is over."""
        if not (self.stage.is_open or self.stage is Stage.GRANTED) or now < self.expires_at:
            raise NotAllowedNowError("this consent has not run out")
        after = self._next(stage=Stage.EXPIRED, ended_at=now)
        return self._change(after, FactKind.CONSENT_EXPIRED)

    def withdraw(self, *, now: datetime) -> Change[Consent]:
        """A parent takes it back: at any time, without a reason (16 CFR 312.6(a)(2))."""
        if self.stage not in {Stage.GRANTED, Stage.STALE, Stage.DECIDED}:
            raise NotAllowedNowError("there is nothing to withdraw")
        after = self._next(stage=Stage.WITHDRAWN, ended_at=now)
        return self._change(after, FactKind.CONSENT_WITHDRAWN)

    def revoke(self, reason: str, *, now: datetime) -> Change[Consent]:
        """We or a third party end it; `reason` is a code."""
        if not (self.stage.is_open or self.stage in {Stage.GRANTED, Stage.STALE}):
            raise NotAllowedNowError("this consent has already ended")
        after = self._next(stage=Stage.REVOKED, ended_at=now)
        return self._change(after, FactKind.CONSENT_REVOKED, reason=reason)

    def outdate(self, practices: PracticesVersion, *, now: datetime) -> Change[Consent]:
        """The operator now does something else than what the parent agreed to."""
        if self.stage is not Stage.GRANTED or self.practices == practices:
            raise NotAllowedNowError("the practices have not changed")
        after = self._next(stage=Stage.STALE, ended_at=now)
        return self._change(after, FactKind.CONSENT_STALE, practices=practices)

    def supersede(self, by: RecordId, *, now: datetime) -> Change[Consent]:
        """A newer consent carries this one's purposes on."""
        if self.stage is not Stage.GRANTED:
            raise NotAllowedNowError("only a granted consent can be replaced")
        after = self._next(stage=Stage.SUPERSEDED, ended_at=now)
        return self._change(after, FactKind.CONSENT_SUPERSEDED, by=by)

    # -- helpers -----------------------------------------------------------------------------

    def _require_open(self, now: datetime) -> None:
        if not self.stage.is_open:
            raise NotAllowedNowError("this request has already been answered or has ended")
        if now >= self.expires_at:
            raise LinkExpiredError("this request has run out")

    def _grant(self, yes: tuple[PurposeId, ...], *, now: datetime, **more: object) -> Consent:
        return self._next(
            **more,
            stage=Stage.GRANTED,
            granted=(*self.carried, *yes),
            granted_at=now,
            expires_at=now + GRANT_FOR,
        )

    def _next(self, **fields: object) -> Consent:
        return replace(self, **fields)  # type: ignore[arg-type]  # Each caller names fields of this class.

    def _change(self, after: Consent, kind: FactKind, **data: FactValue) -> Change[Consent]:
        fact = NewFact(
            kind=kind,
            operator_id=self.operator_id,
            client_id=self.client_id,
            record=self.id,
            data=data,
        )
        return Change(after, fact)


def request(
    *,
    id_: RecordId,
    operator_id: OperatorId,
    client_id: ClientId,
    subject_id: SubjectId,
    purposes: tuple[PurposeId, ...],
    practices: PracticesVersion,
    jurisdiction: str,
    locale: str,
    notice: Digest,
    replaces: Consent | None = None,
    wait: timedelta = PENDING_FOR,
    now: datetime,
) -> Change[Consent]:
    """Begin to ask. Waits at most 14 days, whatever a rule or setting says."""
    # Only what a parent's word still covers is carried: nothing withdrawn, run out or gone stale.
    kept = replaces.live_purposes(practices=practices, now=now) if replaces else ()
    consent = Consent(
        id=id_,
        operator_id=operator_id,
        client_id=client_id,
        subject_id=subject_id,
        purposes=purposes,
        carried=tuple(p for p in kept if p not in purposes),
        replaces=replaces.id if replaces else None,
        practices=practices,
        jurisdiction=jurisdiction,
        locale=locale,
        notice=notice,
        requested_at=now,
        expires_at=now + min(wait, PENDING_FOR),
    )
    fact = NewFact(
        kind=FactKind.CONSENT_REQUESTED,
        operator_id=consent.operator_id,
        client_id=consent.client_id,
        record=consent.id,
        data={
            "purposes": consent.purposes,
            "practices": consent.practices,
            "jurisdiction": consent.jurisdiction,
            "notice": consent.notice,
        },
    )
    return Change(consent, fact)
