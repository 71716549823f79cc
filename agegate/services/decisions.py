"""May this go ahead? One answer per question, live, for services that act on a child's data.

The questions and answers are those of the OpenID AuthZEN Authorization API 1.0. Whatever is
unknown, foreign or incomplete is answered with no and a reason, never with an error and never yes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from agegate.domain.ids import OperatorId, PurposeId
from agegate.domain.people import Subject
from agegate.domain.standing import Standing
from agegate.services.core import Core, Registration
from agegate.services.ports import Reader
from agegate.services.tokens import TokenService
from agegate.wire.tiers import AgeTier, ConsentState

log = logging.getLogger("agegate.decisions")

_LONGEST_ID: Final = 255


class Reason(StrEnum):
    """Why the answer is what it is: the consent's state, or what stood in the way before it."""

    NOT_REQUIRED = "not_required"
    GRANTED = "granted"
    REQUIRED = "required"
    PENDING = "pending"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    EXPIRED = "expired"
    STALE = "stale"
    PURPOSE_REFUSED = "purpose_refused"
    """The parent granted other purposes and refused this one."""
    PURPOSE_NOT_ASKED = "purpose_not_asked"
    """The parent granted other purposes and was never asked about this one."""
    UNKNOWN_CLIENT = "unknown_client"
    UNKNOWN_PURPOSE = "unknown_purpose"
    """Nobody declared it, or this client did not."""
    UNKNOWN_SUBJECT = "unknown_subject"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a reason's name
    """Alike for unknown, expired, revoked and foreign tokens."""
    INCOMPLETE_QUESTION = "incomplete_question"
    """One of several questions that lacks a subject, an action or a resource."""


class Semantic(StrEnum):
    """How far a list of questions is worked through (AuthZEN 1.0, `evaluations_semantic`)."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Asks whether `purpose` may go ahead for this subject at this client.

    `subject_type` is `subject` (a pairwise sub) or `token` (an access token of ours);
    `resource_type` is `client`.
    """

    subject_type: str
    subject_id: str = field(repr=False)
    purpose: str
    resource_type: str
    resource_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer and what it rests on. Without a known subject the tier is `child`."""

    allowed: bool
    reason: Reason
    tier: AgeTier
    state: ConsentState
    record: str | None
    practices: str | None
    obligations: dict[str, object]
    evaluated_at: datetime

    def to_json(self) -> dict[str, Any]:
        return {
            "decision": self.allowed,
            "context": {
                "age_tier": self.tier.value,
                "consent_state": self.state.value,
                "reason_code": self.reason.value,
                "record": self.record,
                "practices": self.practices,
                "obligations": self.obligations,
                "evaluated_at": self.evaluated_at.isoformat(timespec="milliseconds"),
            },
        }


class DecisionService:
    def __init__(self, core: Core, tokens: TokenService) -> None:
        self._core = core
        self._tokens = tokens

    def evaluate(self, operator_id: OperatorId, question: Question) -> Decision:
        """One answer, about clients of this operator only."""
        return self.evaluate_many(operator_id, [question])[0]

    def log(self, decision: Decision) -> None:
        """The line for an answer that is given once more."""
        _log(decision, self._core.rulebook.version)

    def evaluate_many(
        self,
        operator_id: OperatorId,
        questions: Sequence[Question | None],
        *,
        semantic: Semantic = Semantic.EXECUTE_ALL,
    ) -> list[Decision]:
        """Answers in the order of the questions, at one moment; None is an incomplete question.

        With a short-circuiting semantic the list ends with the answer that decided it.
        """
        answers: list[Decision] = []
        with self._core.store.read() as r:
            desk = _Desk(self._core, self._tokens, r, operator_id)
            for question in questions:
                answer = desk.answer(question)
                _log(answer, self._core.rulebook.version)
                answers.append(answer)
                if semantic is Semantic.DENY_ON_FIRST_DENY and not answer.allowed:
                    break
                if semantic is Semantic.PERMIT_ON_FIRST_PERMIT and answer.allowed:
                    break
        return answers


class _Desk:
    """Answers the questions of one request: each client and subject is looked up once."""

    def __init__(
        self, core: Core, tokens: TokenService, r: Reader, operator_id: OperatorId
    ) -> None:
        self._core = core
        self._tokens = tokens
        self._r = r
        self._operator_id = operator_id
        self._now = core.now()
        self._clients: dict[str, Registration | None] = {}
        self._subjects: dict[tuple[str, str, str], tuple[Subject, Standing] | None] = {}

    def answer(self, question: Question | None) -> Decision:
        if question is None:
            return self._no(Reason.INCOMPLETE_QUESTION)
        registered = self._client(question)
        if registered is None:
            return self._no(Reason.UNKNOWN_CLIENT)
        found = self._subject(question, registered)
        if found is None:
            by_token = question.subject_type == "token"
            return self._no(Reason.INVALID_TOKEN if by_token else Reason.UNKNOWN_SUBJECT)
        subject, standing = found
        reason = _reason(question.purpose, registered, standing)
        return Decision(
            allowed=reason in {Reason.GRANTED, Reason.NOT_REQUIRED},
            reason=reason,
            tier=standing.tier,
            state=standing.state,
            record=standing.claims.consent.record,
            practices=standing.claims.consent.practices,
            obligations=self._obligations(subject, registered, standing),
            evaluated_at=self._now,
        )

    def _no(self, reason: Reason) -> Decision:
        # Unknown age is a child, and a child whom nobody has been asked about needs a parent.
        return Decision(
            allowed=False,
            reason=reason,
            tier=AgeTier.CHILD,
            state=ConsentState.REQUIRED,
            record=None,
            practices=None,
            obligations={},
            evaluated_at=self._now,
        )

    def _client(self, question: Question) -> Registration | None:
        id_ = question.resource_id
        if question.resource_type != "client" or not _may_be_an_id(id_):
            return None
        if id_ not in self._clients:
            found = self._core.find_registration(self._r, id_)
            own = found is not None and found.operator.id == self._operator_id
            self._clients[id_] = found if own else None
        return self._clients[id_]

    def _subject(
        self, question: Question, registered: Registration
    ) -> tuple[Subject, Standing] | None:
        key = (question.subject_type, question.subject_id, registered.client.id)
        if key not in self._subjects:
            self._subjects[key] = self._find_subject(question, registered)
        return self._subjects[key]

    def _find_subject(
        self, question: Question, registered: Registration
    ) -> tuple[Subject, Standing] | None:
        sub: object = question.subject_id
        if question.subject_type == "token":
            claims = self._tokens.bearer(question.subject_id)
            if claims is None or claims.get("client_id") != registered.client.id:
                return None
            sub = claims.get("sub")
        elif question.subject_type != "subject":
            return None
        if not isinstance(sub, str) or not _may_be_an_id(sub):
            return None
        found = self._r.select(Subject, sub=sub, limit=1)
        if not found or found[0].client_id != registered.client.id:
            return None
        return found[0], self._core.standing(self._r, found[0], registered, now=self._now)

    def _obligations(
        self, subject: Subject, registered: Registration, standing: Standing
    ) -> dict[str, object]:
        """What a service that lets minors talk to a model owes them where this one is."""
        if not standing.tier.is_minor:
            return {}
        rules = self._core.rules_for(subject.place, registered.client, now=self._now)
        return rules.llm_obligations.to_json()


def _reason(purpose: str, registered: Registration, standing: Standing) -> Reason:
    if purpose not in registered.client.purposes:
        return Reason.UNKNOWN_PURPOSE
    if standing.state is not ConsentState.GRANTED:
        return Reason(standing.state.value)
    if PurposeId(purpose) in standing.purposes:
        return Reason.GRANTED
    refused = standing.consent is not None and purpose in standing.consent.refused
    return Reason.PURPOSE_REFUSED if refused else Reason.PURPOSE_NOT_ASKED


def _may_be_an_id(text: str) -> bool:
    """Everything we gave out is short printable ASCII; nothing else needs a look into the store."""
    return 0 < len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()


def _log(answer: Decision, rules_version: str) -> None:
    """One line a check, of our own words only: no subject, no purpose, nothing that was sent."""
    about = {
        "decision": answer.allowed,
        "tier": answer.tier.value,
        "record": answer.record or "-",
        "rules_version": rules_version,
        "reason": answer.reason.value,
    }
    log.info(
        "decision=%(decision)s tier=%(tier)s record=%(record)s rules_version=%(rules_version)s "
        "reason=%(reason)s",
        about,
        extra=about,
    )
