"""Which methods an operator may use: to learn an age, and to hear a parent's consent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from agegate.domain.legal_findings import SOURCES
from agegate.domain.operators import Client, Operator
from agegate.domain.place_rules import PlaceRules
from agegate.domain.rule_values import AGE_METHODS, VPC_METHODS

APPROVAL_METHODS: Final = frozenset({"safe_harbor_approved", "commission_approved"})
DECLARED_AGE_METHODS: Final = frozenset({"age_screen", "self_declaration"})
UNOBTRUSIVE_AGE_METHODS: Final = DECLARED_AGE_METHODS | {"parent_declaration", "platform_signal"}
"""What estimates and verifies nothing by itself; every other method takes in personal data."""

SHOWS_RELATIONSHIP: Final = frozenset({"signed_form", "video_conference"})
"""Methods in which trained staff can look at papers that tie an adult to a child."""
SHOWS_IDENTITY: Final = frozenset({"gov_id_database", "fmvpi", "signed_form", "video_conference"})
"""Methods that end with a name on record. A card shows that somebody holds an account, not who."""

_FACES_OF_PARENTS: Final = frozenset({"facial_estimation", "facial_age_estimation"})


def lawful_methods(
    operator: Operator,
    client: Client,
    rules: PlaceRules,
    *,
    implemented: Collection[str] = VPC_METHODS,
) -> dict[str, str | None]:
    """For each of the client's consent methods, in its order: None, or why it may not be used.

    `implemented` names the methods this deployment can run.
    """
    return {
        method: _why_not_vpc(operator, method, rules)
        or (None if method in implemented else "this server has no such method yet")
        for method in client.vpc_methods
    }


def vpc_fault(operator: Operator, method: str) -> tuple[str, str] | tuple[None, None]:
    """The rule that refuses a consent method whatever the place, and the sentence for it."""
    if method in _FACES_OF_PARENTS:
        return (
            "vpc_face_of_parent",
            "a guess at a parent's age from the face is no approved method of consent: remove it",
        )
    if method not in VPC_METHODS:
        return (
            "vpc_method_unknown",
            f"is no method of consent; known are: {', '.join(sorted(VPC_METHODS))}",
        )
    if method in APPROVAL_METHODS:
        return (
            "vpc_approval_missing",
            (
                "needs the reference of an approval, and none is on file: use one of the nine "
                "methods of 16 CFR 312.5(b)(2)"
            ),
        )
    if method in {"email_plus", "text_plus"} and operator.discloses:
        return (
            f"{method}_disclosure",
            (
                "is open only to an operator that discloses nothing to anybody, and integral third "
                "parties count: remove the method, or every third party and disclose purpose"
            ),
        )
    return (None, None)


def _why_not_vpc(operator: Operator, method: str, rules: PlaceRules) -> str | None:
    rule, why = vpc_fault(operator, method)
    if rule:
        return f"{why} [{rule}; {SOURCES[rule]}]"
    if method not in rules.vpc_methods:
        return f"not accepted in {rules.place} [{sources_of([rules], 'vpc_methods')}]"
    if rules.relationship_check and method not in SHOWS_RELATIONSHIP:
        source = sources_of([rules], "relationship_check")
        return f"does not show that the adult is this child's parent [{source}]"
    if rules.parent_identifiability and method not in SHOWS_IDENTITY:
        source = sources_of([rules], "parent_identifiability")
        return f"does not show who the adult is [{source}]"
    return None


def age_method_is_open(method: str, rules: PlaceRules) -> bool:
    return method not in rules.forbidden_methods and (
        rules.allowed_methods is None or method in rules.allowed_methods
    )


def only_declares(client: Client, rules: PlaceRules) -> bool:
    left = {m for m in client.age_methods if m in AGE_METHODS and age_method_is_open(m, rules)}
    return bool(left) and left <= DECLARED_AGE_METHODS


def sources_of(places: Collection[PlaceRules], *fields: str) -> str:
    found = [r.source for place in places for field in fields for r in place.because(field)]
    return "; ".join(dict.fromkeys(found)) or SOURCES["age_method_forbidden"]
