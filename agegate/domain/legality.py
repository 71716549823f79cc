"""What the law lets an operator declare: every refusal with its rule, its source and the way out.

Pure: an operator, a rulebook and a day go in, refusals come out. `docs/reference/operator-file.md`
lists every rule of `SOURCES`; a test keeps both lists equal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Final

from agegate.domain.cautions import warnings
from agegate.domain.lawful_methods import (
    APPROVAL_METHODS,
    UNOBTRUSIVE_AGE_METHODS,
    age_method_is_open,
    lawful_methods,
    only_declares,
    sources_of,
    vpc_fault,
)
from agegate.domain.legal_findings import SOURCES, Caution, Refusal, RefusedError
from agegate.domain.operators import (
    Aim,
    AudienceType,
    Client,
    Operator,
    Purpose,
    PurposeKind,
    Recipient,
    RecipientRole,
    UnderThreshold,
)
from agegate.domain.place_rules import PlaceRules
from agegate.domain.places import is_place_code
from agegate.domain.rule_values import AGE_METHODS
from agegate.domain.rules import Rulebook

__all__ = [
    "SOURCES",
    "Caution",
    "Refusal",
    "RefusedError",
    "lawful_methods",
    "refusals",
    "warnings",
]

MAX_RETENTION_DAYS: Final = 3650
"""Ten years. 16 CFR 312.10 forbids keeping data indefinitely and names no number; a longer term is
indefinite by another name, and a slip of the hand more often than a plan."""


def refusals(operator: Operator, rulebook: Rulebook, *, on: date) -> tuple[Refusal, ...]:
    """Everything in the declaration that the law forbids on the day `on`, in the file's order."""
    return (
        *_about_operator(operator),
        *(found for r in operator.recipients for found in _about_recipient(r, on=on)),
        *(found for p in operator.purposes for found in _about_purpose(operator, p)),
        *(found for c in operator.clients for found in _about_client(operator, c, rulebook, on)),
    )


# --- the parts of the file -------------------------------------------------------------------


def _refuse(path: str, rule: str, message: str, *, source: str | None = None) -> Refusal:
    return Refusal(path=path, rule=rule, source=source or SOURCES[rule], message=message)


def _about_operator(operator: Operator) -> Iterator[Refusal]:
    for name in ("legal_name", "address", "phone", "email"):
        if not getattr(operator, name).strip():
            yield _refuse(
                f"operator.{name}",
                "contact_missing",
                f"parents must be told the operator's name, address, telephone and email: "
                f"fill in `{name}`",
            )
    if not is_place_code(operator.establishment):
        yield _refuse(
            "operator.establishment",
            "establishment_unknown",
            'must be the ISO 3166 code of a country or subdivision, such as "US" or "US-IL"',
        )


def _about_recipient(recipient: Recipient, *, on: date) -> Iterator[Refusal]:
    path = f"recipient[{recipient.id}]"
    assurance = recipient.written_assurance
    if assurance is None:
        yield _refuse(
            f"{path}.written_assurance",
            "assurance_missing",
            "nobody may receive children's data before promising in writing to protect it: add "
            "`written_assurance = { date = …, scope = … }`, or remove the recipient",
        )
    elif assurance.date > on:
        yield _refuse(
            f"{path}.written_assurance.date",
            "assurance_in_future",
            f"the written assurance is dated {assurance.date.isoformat()}, which is still to "
            "come: apply this file once it is given",
        )
    if recipient.role is RecipientRole.SERVICE_PROVIDER:
        yield from _about_provider(recipient, path)
    elif recipient.integral:
        yield from _about_integral(recipient, path)


def _about_provider(recipient: Recipient, path: str) -> Iterator[Refusal]:
    # Analytics of the service itself is on the closed list of internal operations; the rest is not.
    strange = [a.value for a in recipient.aims if a not in {Aim.OPERATION, Aim.ANALYTICS}]
    if strange:
        yield _refuse(
            f"{path}.aims",
            "provider_aims",
            f"a service provider supports internal operations only; {_listed(strange)} makes it a "
            'third party: set `role = "third_party"` and give it its own disclose purpose',
        )
    if recipient.integral:
        yield _refuse(
            f"{path}.integral",
            "integral_provider",
            "integral speaks of third parties; a service provider needs no such mark: remove it",
        )


def _about_integral(recipient: Recipient, path: str) -> Iterator[Refusal]:
    strange = [a.value for a in recipient.aims if a is not Aim.OPERATION]
    if strange:
        yield _refuse(
            f"{path}.integral",
            "integral_aims",
            f"{_listed(strange)} is never integral to a service: set `integral = false` and ask "
            "the parent separately with a disclose purpose",
        )
    if not (recipient.integral_reason or "").strip():
        yield _refuse(
            f"{path}.integral_reason",
            "integral_reason",
            "say in one sentence why the service can't run without this recipient; parents read it",
        )


def _about_purpose(operator: Operator, purpose: Purpose) -> Iterator[Refusal]:
    path = f"purpose[{purpose.id}]"
    if not 1 <= purpose.retention_days <= MAX_RETENTION_DAYS:
        yield _refuse(
            f"{path}.retention_days",
            "retention",
            "children's data may be kept only as long as its purpose needs and never "
            f"indefinitely: give a number of days from 1 to {MAX_RETENTION_DAYS}",
        )
    if purpose.kind is PurposeKind.DISCLOSE:
        yield from _about_disclosure(operator, purpose, path)
        return
    for recipient in operator.recipients_of(purpose):
        if recipient.role is RecipientRole.THIRD_PARTY and not recipient.integral:
            yield _refuse(
                f"{path}.recipients",
                "bundled_disclosure",
                f'"{recipient.id}" is a third party the service can run without, so the parent '
                "must be able to refuse it: take it out here and give it its own purpose of "
                'kind "disclose"',
            )


def _about_disclosure(operator: Operator, purpose: Purpose, path: str) -> Iterator[Refusal]:
    if purpose.core:
        yield _refuse(
            f"{path}.core",
            "disclosure_core",
            "refusing a disclosure must still open the service: set `core = false`",
        )
    recipient = next((r for r in operator.recipients if r.id == purpose.recipient), None)
    if recipient is None:
        yield _refuse(
            f"{path}.recipient",
            "disclosure_recipient",
            "a disclosure is agreed to for one named third party: add `recipient`",
        )
    elif recipient.role is RecipientRole.SERVICE_PROVIDER:
        yield _refuse(
            f"{path}.recipient",
            "disclosure_to_provider",
            f'"{recipient.id}" is a service provider, so this is no disclosure: name it in the '
            "`recipients` of the collect_use purpose it serves",
        )
    elif recipient.integral:
        yield _refuse(
            f"{path}.recipient",
            "disclosure_to_integral",
            f'"{recipient.id}" is integral and has no purpose of its own: name it in the '
            "`recipients` of the collect_use purpose that needs it, or set `integral = false`",
        )


def _about_client(
    operator: Operator, client: Client, rulebook: Rulebook, on: date
) -> Iterator[Refusal]:
    path = f"client[{client.id}]"
    if (
        client.under_threshold is UnderThreshold.BLOCK
        and client.audience_type is not AudienceType.GENERAL_AUDIENCE
    ):
        yield _refuse(
            f"{path}.under_threshold",
            "block_audience",
            "a service made for children may not shut them out: use "
            '"parental_consent" or "limited"',
        )
    asks_parents = client.under_threshold is UnderThreshold.PARENTAL_CONSENT
    if asks_parents and not client.purposes:
        yield _refuse(
            f"{path}.purposes",
            "purposes_missing",
            "a parent can't agree to nothing: name at least one purpose, or set "
            '`under_threshold = "limited"`',
        )
    known = [region for region in client.regions if rulebook.knows(region)]
    for region in client.regions:
        if region not in known:
            yield _refuse(
                f"{path}.regions",
                "region_unknown",
                f'the rulebook has no rules for "{region}": remove it, or add its rules with a '
                "source first",
            )
    rules = {region: rulebook.rules_for(region, (region,), on=on) for region in known}
    yield from _about_age_methods(client, rules, path)
    yield from _about_vpc_methods(operator, client, path)
    if asks_parents:
        yield from _without_lawful_method(operator, client, rules, path)


def _about_age_methods(
    client: Client, rules: Mapping[str, PlaceRules], path: str
) -> Iterator[Refusal]:
    path = f"{path}.age_methods"
    for method in client.age_methods:
        if method not in AGE_METHODS:
            yield _refuse(
                path,
                "age_method_unknown",
                f'"{method}" is no age method; known are: {", ".join(sorted(AGE_METHODS))}',
            )
        elif (
            client.audience_type is AudienceType.CHILD_DIRECTED
            and method not in UNOBTRUSIVE_AGE_METHODS
        ):
            yield _refuse(
                path,
                "estimation_before_consent",
                f'"{method}" takes in personal information of children before a parent agreed, '
                "and here every visitor counts as a child: remove it",
            )
        elif rules and all(not age_method_is_open(method, r) for r in rules.values()):
            yield _refuse(
                path,
                "age_method_forbidden",
                f'"{method}" is allowed in none of the regions served: remove it',
                source=sources_of(rules.values(), "forbidden_methods", "allowed_methods"),
            )
    for region, place in rules.items():
        if not place.self_declaration_allowed and only_declares(client, place):
            yield _refuse(
                path,
                "self_declaration_excluded",
                f"in {region} a person's own word is not enough: add a method that estimates or "
                "verifies an age",
                source=sources_of([place], "self_declaration_allowed"),
            )


def _about_vpc_methods(operator: Operator, client: Client, path: str) -> Iterator[Refusal]:
    for method in client.vpc_methods:
        rule, why = vpc_fault(operator, method)
        if rule:
            yield _refuse(f"{path}.vpc_methods", rule, f'"{method}": {why}')


def _without_lawful_method(
    operator: Operator, client: Client, rules: Mapping[str, PlaceRules], path: str
) -> Iterator[Refusal]:
    for region, place in rules.items():
        if all(lawful_methods(operator, client, place).values()):
            yield _refuse(
                f"{path}.vpc_methods",
                "vpc_none_lawful",
                f"in {region} no method is left by which a parent could lawfully consent: add one "
                f"of {', '.join(sorted(place.vpc_methods - APPROVAL_METHODS))}",
                source="; ".join(
                    dict.fromkeys((SOURCES["vpc_none_lawful"], sources_of([place], "vpc_methods")))
                ),
            )


def _listed(words: Collection[str]) -> str:
    return " and ".join(words)
