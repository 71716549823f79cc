"""The bodies of the API: what is read strictly, and what is answered.

Requests follow AuthZEN 1.0: members that are not known are let pass, types are never converted.
The OpenAPI document is made from these models, so they are the only description there is.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agegate.domain.records import EventType
from agegate.services.decisions import Question, Reason, Semantic
from agegate.wire.problems import Problem
from agegate.wire.tiers import AgeTier, ConsentState

MOST_EVALUATIONS = 100
LONGEST_NAME = 255
LONGEST_TOKEN = 16_384

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


# --- questions ---------------------------------------------------------------------------------


class SubjectBody(_Request):
    """Whom it is about: `subject` with a pairwise `sub`, or `token` with an access token."""

    type: Name
    id: Annotated[str, Field(min_length=1, max_length=LONGEST_TOKEN, repr=False)]


class ActionBody(_Request):
    """The purpose."""

    name: Name


class ResourceBody(_Request):
    """The app: `client` with its `client_id`."""

    type: Name
    id: Name


class EvaluationRequest(_Request):
    subject: SubjectBody
    action: ActionBody
    resource: ResourceBody
    context: dict[str, Any] = Field(default_factory=dict)

    def question(self) -> Question:
        return _question(self.subject, self.action, self.resource)


class EvaluationItem(_Request):
    """One of several questions; what it leaves out is taken from the request around it."""

    subject: SubjectBody | None = None
    action: ActionBody | None = None
    resource: ResourceBody | None = None
    context: dict[str, Any] = Field(default_factory=dict)


class EvaluationOptions(_Request):
    evaluations_semantic: Annotated[Semantic, Field(strict=False)] = Semantic.EXECUTE_ALL


class EvaluationsRequest(EvaluationItem):
    """Several questions, with defaults for them around."""

    evaluations: Annotated[list[EvaluationItem], Field(min_length=1, max_length=MOST_EVALUATIONS)]
    options: EvaluationOptions = Field(default_factory=EvaluationOptions)

    def questions(self) -> list[Question | None]:
        """Each question with the defaults merged in; None where something is still missing."""
        return [
            self._merged(
                item.subject or self.subject,
                item.action or self.action,
                item.resource or self.resource,
            )
            for item in self.evaluations
        ]

    @staticmethod
    def _merged(
        subject: SubjectBody | None, action: ActionBody | None, resource: ResourceBody | None
    ) -> Question | None:
        if subject is None or action is None or resource is None:
            return None
        return _question(subject, action, resource)


def _question(subject: SubjectBody, action: ActionBody, resource: ResourceBody) -> Question:
    return Question(
        subject_type=subject.type,
        subject_id=subject.id,
        purpose=action.name,
        resource_type=resource.type,
        resource_id=resource.id,
    )


# --- answers -----------------------------------------------------------------------------------


class Obligations(_Answer):
    """What a service that lets minors talk to a model owes them. Empty for adults."""

    ai_disclosure: bool | None = None
    reminder_minutes: int | None = None
    session_cap_minutes: int | None = None
    daily_cap_minutes: int | None = None
    memory_default: str | None = None
    push_default: str | None = None
    parent_link_required_to_change: bool | None = None


class DecisionContext(_Answer):
    age_tier: AgeTier
    consent_state: ConsentState
    reason_code: Reason
    record: str | None
    practices: str | None
    obligations: Obligations
    evaluated_at: str


class EvaluationAnswer(_Answer):
    decision: bool
    context: DecisionContext


class EvaluationsAnswer(_Answer):
    evaluations: list[EvaluationAnswer]


class ConsentSummary(_Answer):
    record: str
    state: ConsentState
    purposes: list[str]
    """What is allowed right now; empty unless `state` is `granted`."""
    refused: list[str]
    practices: str
    jurisdiction: str
    requested_at: str
    decided_at: str | None
    until: str


class ConsentsAnswer(_Answer):
    sub: str
    client_id: str
    consents: list[ConsentSummary]


class EventData(_Answer):
    sub: str | None = None
    client_id: str
    record: str | None = None
    state: str | None = None


class EventBody(_Answer):
    id: str
    type: EventType
    timestamp: str
    data: EventData


class EventsAnswer(_Answer):
    events: list[EventBody]
    next: str


class ProblemDocument(BaseModel):
    """RFC 9457. `code` is stable; `detail` holds nothing that was sent."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: Problem
    request_id: str
    detail: str | None = None
