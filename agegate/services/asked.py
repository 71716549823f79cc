"""What parents were asked about one subject, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agegate.domain.consent import Consent, Stage
from agegate.domain.ids import PracticesVersion, PurposeId
from agegate.domain.people import Subject
from agegate.services.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    consents: tuple[Consent, ...]
    """Newest first."""
    question: Consent | None
    """The one that waits for an answer."""

    @classmethod
    def of(
        cls, r: Reader, subject: Subject | None, practices: PracticesVersion, *, now: datetime
    ) -> Asked:
        found = r.select(Consent, subject_id=subject.id) if subject else []
        consents = tuple(sorted(found, key=lambda c: (c.requested_at, c.id), reverse=True))
        # A question about practices that have changed since is void (16 CFR 312.5(a)(1)).
        still_open = (
            c
            for c in consents
            if c.stage.is_open and now < c.expires_at and c.practices == practices
        )
        return cls(consents=consents, question=next(still_open, None))

    def since(self, moment: datetime) -> bool:
        return any(c.requested_at > moment for c in self.consents)

    def refused_since(self, grant: Consent) -> set[PurposeId]:
        """What a parent was asked beside a live grant, and refused as a whole."""
        return {
            id_
            for c in self.consents
            if c.stage is Stage.DENIED and c.requested_at > grant.requested_at
            for id_ in c.purposes
        }
