"""A visit through `/oauth/authorize`.

Begin, answer the age screen, find the next step, finish with a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from agegate.domain.consent import Consent
from agegate.domain.errors import ConflictError, LinkExpiredError, NotAllowedNowError
from agegate.domain.grants import Flow
from agegate.domain.growing import known_range
from agegate.domain.ids import (
    ClientId,
    Digest,
    FlowId,
    SubjectId,
    digest,
)
from agegate.domain.operators import Client, UnderThreshold
from agegate.domain.people import BrowserSubject, Subject
from agegate.domain.place_rules import PlaceRules
from agegate.domain.standing import Standing
from agegate.domain.tiers import decide_tier, needs_parent
from agegate.methods.base import AgeCase, AgeMethod, Ask, Done
from agegate.services.asked import Asked
from agegate.services.core import Core, Registration
from agegate.services.ports import Reader, UnitOfWork
from agegate.services.subjects import know
from agegate.services.tokens import TokenService
from agegate.wire.tiers import AgeTier, ConsentState

FLOW_FOR: Final = timedelta(hours=24)
BROWSER_REMEMBERS_FOR: Final = timedelta(hours=36)
"""Longer than the 24 hours for which an answer must hold (FTC FAQ.

No way back to a better answer).
"""


class NextStep(StrEnum):
    AGE_SCREEN = "age_screen"
    BLOCKED = "blocked"
    PARENT_CONTACT = "parent_contact"
    CONSENT_PENDING = "consent_pending"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A checked request: every value has been held against the client's registration."""

    client_id: ClientId
    redirect_uri: str
    state: str | None
    nonce: str | None
    scope: str
    resources: tuple[str, ...]
    code_challenge: str
    purposes: tuple[str, ...]
    place: str | None
    locale: str
    acr_values: tuple[str, ...] = ()
    subject_id: SubjectId | None = None
    """From `id_token_hint`."""
    ask_age: bool = False
    ask_parent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """All that a page needs to show one step."""

    flow: Flow
    registration: Registration
    step: NextStep
    rules: PlaceRules
    standing: Standing | None
    """None while nobody has answered yet."""
    question: Consent | None = None
    """What a parent is being asked right now; a live grant may stand beside it."""
    fields: tuple[str, ...] = ()
    """What the age screen asks for."""

    @property
    def client(self) -> Client:
        return self.registration.client

    @property
    def grant(self) -> Consent | None:
        """The consent that stands, which a larger one would replace."""
        live = self.standing is not None and self.standing.state is ConsentState.GRANTED
        return self.standing.consent if self.standing and live else None


class ScreeningService:
    def __init__(self, core: Core, tokens: TokenService, methods: Mapping[str, AgeMethod]) -> None:
        self._core = core
        self._tokens = tokens
        self._methods = methods

    # -- use cases -------------------------------------------------------------------------------

    def begin(self, request: AuthorizationRequest, *, browser: Digest) -> FlowId:
        """Keep a client's request on our side.

        The subject is the hinted one, or this browser's, or nobody yet.
        """
        with self._core.store.write() as uow:
            subject_id = request.subject_id
            if subject_id is None or uow.find(Subject, subject_id) is None:
                subject_id = self._remembered(uow, browser, request.client_id, now=uow.now)
            flow = Flow(
                id=FlowId(self._core.new_id("fl")),
                browser=browser,
                client_id=request.client_id,
                redirect_uri=request.redirect_uri,
                state=request.state,
                nonce=request.nonce,
                scope=request.scope,
                resources=request.resources,
                code_challenge=request.code_challenge,
                purposes=request.purposes,
                place=request.place,
                locale=request.locale,
                acr_values=request.acr_values,
                subject_id=subject_id,
                ask_age=request.ask_age,
                ask_parent=request.ask_parent,
                created_at=uow.now,
                expires_at=uow.now + FLOW_FOR,
            )
            uow.add(flow)
            uow.commit()
            return flow.id

    def look(self, flow_id: str, *, browser: Digest) -> FlowView:
        """Where this visit stands; changes nothing.

        Raises `LinkExpiredError` for any flow that is not this browser's.
        """
        with self._core.store.read() as r:
            return self.look_in(r, flow_id, browser=browser)

    def look_in(self, r: Reader, flow_id: str, *, browser: Digest) -> FlowView:
        """`look` inside a caller's transaction."""
        return self._view(r, self._flow(r, flow_id, browser))

    def answer_age(
        self, flow_id: str, submitted: Mapping[str, str], *, browser: Digest
    ) -> FlowView:
        """Take the age screen's answer: reduced to a range here, stored as a range.

        A second answer never helps: once known, an age can only be lowered (law: no way back to a
        better
        answer). Raises `FieldErrors`; nothing of a refused answer is kept.
        """
        with self._core.store.write() as uow:
            flow = self._flow(uow, flow_id, browser)
            view = self._view(uow, flow)
            if view.step is not NextStep.AGE_SCREEN:
                return view
            method = self._method(view.client)
            step = method.answer(AgeCase(rules=view.rules, now=uow.now), submitted)
            if not isinstance(step, Done):
                raise NotAllowedNowError("this method has not come to an end")
            is_new = flow.subject_id is None
            subject = know(
                uow,
                self._core,
                flow,
                step.found,
                registered=view.registration,
                rules=view.rules,
            )
            flow = uow.save(replace(flow, subject_id=subject.id, ask_age=False))
            self._remember(uow, flow, subject, is_new=is_new)
            view = self._view(uow, flow)
            uow.commit()
            return view

    def finish(self, flow_id: str, *, browser: Digest, limited: bool = False) -> tuple[Flow, str]:
        """The code for the client. `limited` goes on while a parent decides.

        Raises `NotAllowedNowError` while a step is open, `ConflictError` when another click was
        first.
        """
        with self._core.store.write() as uow:
            flow = self._flow(uow, flow_id, browser)
            view = self._view(uow, flow)
            waiting = view.step is NextStep.CONSENT_PENDING
            if (
                not (view.step is NextStep.FINISH or (limited and waiting))
                or flow.subject_id is None
            ):
                raise NotAllowedNowError("there is still a step to do")
            code = self._tokens.new_code(uow, flow, uow.get(Subject, flow.subject_id))
            flow = uow.save(replace(flow, finished_at=uow.now))
            uow.commit()
            return flow, code

    # -- rules of the path -----------------------------------------------------------------------

    def _view(self, r: Reader, flow: Flow) -> FlowView:
        registered = self._core.registration(r, flow.client_id)
        now = self._core.now()
        subject = r.find(Subject, flow.subject_id) if flow.subject_id else None
        place = subject.place if subject else flow.place
        rules = self._core.rules_for(place, registered.client, now=now)
        standing = self._core.standing(r, subject, registered, now=now) if subject else None
        asked = Asked.of(r, subject, registered.operator.practices, now=now)
        step = self._next(flow, subject, standing, registered.client, rules, asked=asked)
        fields: tuple[str, ...] = ()
        if step is NextStep.AGE_SCREEN:
            begun = self._method(registered.client).begin(AgeCase(rules=rules, now=now))
            fields = begun.fields if isinstance(begun, Ask) else ()
        return FlowView(
            flow=flow,
            registration=registered,
            step=step,
            rules=rules,
            standing=standing,
            question=asked.question,
            fields=fields,
        )

    def _next(
        self,
        flow: Flow,
        subject: Subject | None,
        standing: Standing | None,
        client: Client,
        rules: PlaceRules,
        *,
        asked: Asked,
    ) -> NextStep:
        if (
            subject is None
            or standing is None
            or not subject.age_is_known
            or self._asks_again(flow, subject, rules)
        ):
            return NextStep.AGE_SCREEN
        if standing.state is ConsentState.NOT_REQUIRED:
            return NextStep.FINISH
        match client.under_threshold:
            case UnderThreshold.BLOCK:
                return NextStep.BLOCKED
            case UnderThreshold.LIMITED:
                return NextStep.FINISH
            case UnderThreshold.PARENTAL_CONSENT:
                return self._next_with_parent(flow, standing, asked, client)

    def _next_with_parent(
        self, flow: Flow, standing: Standing, asked: Asked, client: Client
    ) -> NextStep:
        consent = standing.consent
        wanted = set(flow.purposes or client.purposes)
        # One yes or no is an answer: only `prompt=consent` asks once more, and once a visit.
        again = flow.ask_parent and not asked.since(flow.created_at)
        if standing.state is ConsentState.GRANTED and consent is not None:
            answered = {*consent.granted, *consent.refused}
            if wanted <= answered:
                return NextStep.FINISH
            if asked.question is None:
                refused = set() if again else asked.refused_since(consent)
                return NextStep.FINISH if wanted <= answered | refused else NextStep.PARENT_CONTACT
        if asked.question is not None:
            return NextStep.CONSENT_PENDING
        if standing.state in {ConsentState.DENIED, ConsentState.WITHDRAWN}:
            return NextStep.PARENT_CONTACT if again else NextStep.FINISH
        return NextStep.PARENT_CONTACT

    def _asks_again(self, flow: Flow, subject: Subject, rules: PlaceRules) -> bool:
        """`prompt=age` may only be answered by somebody whose age a new answer can lower."""
        if not flow.ask_age:
            return False
        known = known_range(subject)
        return not needs_parent(known, rules) and decide_tier(known, rules) is not AgeTier.CHILD

    # -- subjects --------------------------------------------------------------------------------

    def _remember(self, uow: UnitOfWork, flow: Flow, subject: Subject, *, is_new: bool) -> None:
        id_ = _at_client(flow.browser, flow.client_id)
        known = uow.find(BrowserSubject, id_)
        if known is not None and is_new and uow.now < known.expires_at:
            # Another tab answered while we did: its answer is this browser's.
            raise ConflictError("this browser has answered already")
        until = uow.now + BROWSER_REMEMBERS_FOR
        if known is None:
            uow.add(BrowserSubject(id=id_, subject_id=subject.id, expires_at=until))
        else:
            uow.save(replace(known, subject_id=subject.id, expires_at=until))

    def _flow(self, r: Reader, flow_id: str, browser: Digest) -> Flow:
        flow = r.find(Flow, flow_id)
        if flow is None or flow.browser != browser or self._core.now() >= flow.expires_at:
            raise LinkExpiredError("this visit has run out; please start again from the app")
        if flow.subject_id is None:
            # A second tab may have begun before the first one answered: one browser, one answer.
            known = self._remembered(r, browser, flow.client_id, now=self._core.now())
            return replace(flow, subject_id=known)
        return flow

    def _remembered(
        self, r: Reader, browser: Digest, client_id: ClientId, *, now: datetime
    ) -> SubjectId | None:
        known = r.find(BrowserSubject, _at_client(browser, client_id))
        if known is None or now >= known.expires_at or r.find(Subject, known.subject_id) is None:
            return None
        return known.subject_id

    def _method(self, client: Client) -> AgeMethod:
        """The first of the client's methods that this server has.

        The age screen where none is named.
        """
        for key in client.age_methods:
            if key in self._methods:
                return self._methods[key]
        if "age_screen" not in self._methods:
            raise ConflictError("no age method is available")
        return self._methods["age_screen"]


def _at_client(browser: Digest, client_id: ClientId) -> Digest:
    return digest(f"{browser}|{client_id}")
