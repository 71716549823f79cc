"""What is learned of a subject's age: kept as a range, and only lowered by being asked again."""

from __future__ import annotations

from dataclasses import replace

from agegate.domain.age import AgeRange, combine_ranges
from agegate.domain.change import NewFact
from agegate.domain.grants import Flow
from agegate.domain.growing import grown, known_range
from agegate.domain.ids import Sub, SubjectId
from agegate.domain.ledger import FactKind
from agegate.domain.people import Subject
from agegate.domain.place_rules import PlaceRules
from agegate.domain.records import EventType
from agegate.domain.tiers import decide_tier
from agegate.methods.base import AgeFinding
from agegate.services.core import Core, Registration
from agegate.services.families import spend_tokens_of
from agegate.services.ports import UnitOfWork
from agegate.wire.tiers import AgeTier


def know(
    uow: UnitOfWork,
    core: Core,
    flow: Flow,
    finding: AgeFinding,
    *,
    registered: Registration,
    rules: PlaceRules,
) -> Subject:
    """Write down a finding about the visit's subject, who begins here if there is none yet.

    Where something is known already, only what lowers it counts.
    """
    old = uow.find(Subject, flow.subject_id) if flow.subject_id else None
    if old is None:
        after = _with(_begin(uow, core, flow, registered), finding.range, finding, uow)
        after = replace(after, turns_on=finding.turns_on)
        uow.add(after)
    else:
        now = grown(old, rules.boundaries, today=rules.today(uow.now))
        before = known_range(now)
        found = finding.range if before is None else combine_ranges([before, finding.range])
        stays = before is not None and _lower(before) <= _lower(finding.range)
        after = _with(now, found, finding, uow)
        after = uow.save(replace(after, turns_on=now.turns_on if stays else finding.turns_on))
        if before is not None and decide_tier(found, rules) is not decide_tier(before, rules):
            _tell_younger(uow, core, after, decide_tier(found, rules))
    _state_age(uow, after, rules)
    return after


def _begin(uow: UnitOfWork, core: Core, flow: Flow, registered: Registration) -> Subject:
    id_ = SubjectId(core.new_id("su"))
    # One key, one sector per client: two clients can't join their people (OIDC Core, 8.1).
    sub = Sub(core.sealer.index(f"{flow.client_id}\x00{id_}", use="pairwise"))
    return Subject(
        id=id_,
        operator_id=registered.operator.id,
        client_id=flow.client_id,
        sub=sub,
        place=flow.place,
        created_at=uow.now,
    )


def _with(subject: Subject, age: AgeRange, finding: AgeFinding, uow: UnitOfWork) -> Subject:
    return replace(
        subject,
        lower=age.lower,
        upper=age.upper,
        method=finding.method,
        method_class=finding.method_class,
        level=finding.level,
        age_at=uow.now,
    )


def _state_age(uow: UnitOfWork, subject: Subject, rules: PlaceRules) -> None:
    tier = decide_tier(known_range(subject), rules)
    kinds = [FactKind.AGE_RECORDED]
    if tier is AgeTier.CHILD:
        kinds.append(FactKind.AGE_ACTUAL_KNOWLEDGE)
    for kind in kinds:
        uow.state(
            NewFact(
                kind=kind,
                operator_id=subject.operator_id,
                client_id=subject.client_id,
                data={"tier": tier.value, "method": subject.method or "", "place": rules.place},
            )
        )


def _tell_younger(uow: UnitOfWork, core: Core, subject: Subject, tier: AgeTier) -> None:
    """What was issued for an older tier ends now, also for those who check offline."""
    spend_tokens_of(uow, subject)
    operator_id, client_id = subject.operator_id, subject.client_id
    uow.state(
        NewFact(
            kind=FactKind.AGE_TIER_CHANGED,
            operator_id=operator_id,
            client_id=client_id,
            data={"tier": tier.value},
        )
    )
    core.tell(
        uow,
        EventType.AGE_TIER_CHANGED,
        operator_id=operator_id,
        client_id=client_id,
        sub=subject.sub,
        state=tier.value,
    )


def _lower(age: AgeRange) -> int:
    return age.lower or 0
