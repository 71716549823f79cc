"""What an operator may declare and probably did not mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Final

from agegate.domain.lawful_methods import age_method_is_open, only_declares, vpc_fault
from agegate.domain.legal_findings import Caution
from agegate.domain.operators import AudienceType, Client, Operator, RecipientRole, UnderThreshold
from agegate.domain.rule_values import AGE_METHODS, DEFAULT_SCOPES, VPC_METHODS, RuleStatus, Scope
from agegate.domain.rules import Rule, Rulebook


def warnings(
    operator: Operator,
    rulebook: Rulebook,
    *,
    on: date,
    implemented: Collection[str] | None = None,
) -> tuple[Caution, ...]:
    """What is lawful on the day `on` and still worth a second look.

    `implemented` names the age and consent methods this deployment can run; None skips that check.
    """
    return (
        *_unused(operator),
        *(
            caution
            for client in operator.clients
            for caution in _cautions(operator, client, rulebook, on, implemented)
        ),
    )


def _unused(operator: Operator) -> Iterator[Caution]:
    named = {id_ for p in operator.purposes for id_ in (*p.recipients, p.recipient)}
    for recipient in operator.recipients:
        if recipient.id not in named:
            counts = (
                "; it still counts as a disclosure and closes email_plus and text_plus"
                if recipient.role is RecipientRole.THIRD_PARTY
                else ""
            )
            yield Caution(
                path=f"recipient[{recipient.id}]",
                rule="recipient_unused",
                message=f"no purpose names this recipient{counts}",
            )
    asked = {id_ for client in operator.clients for id_ in client.purposes}
    for purpose in operator.purposes:
        if purpose.id not in asked:
            yield Caution(
                path=f"purpose[{purpose.id}]",
                rule="purpose_unused",
                message="no client asks for this purpose",
            )
    audiences = {resource for client in operator.clients for resource in client.resources}
    for service in operator.services:
        if service.resource not in audiences:
            yield Caution(
                path=f"service[{service.id}].resource",
                rule="resource_unused",
                message="no client's tokens are made out to this resource; compare the spelling",
            )


def _cautions(
    operator: Operator,
    client: Client,
    rulebook: Rulebook,
    on: date,
    implemented: Collection[str] | None,
) -> Iterator[Caution]:
    path = f"client[{client.id}]"
    if client.under_threshold is UnderThreshold.PARENTAL_CONSENT and not any(
        purpose.core for purpose in operator.purposes_of(client)
    ):
        yield Caution(
            path=f"{path}.purposes",
            rule="core_missing",
            message="no purpose is core, so a parent who refuses nearly everything still grants",
        )
    if client.audience_type is AudienceType.CHILD_DIRECTED and client.age_methods:
        yield Caution(
            path=f"{path}.age_methods",
            rule="screen_on_child_directed",
            message="on a service directed to children an answer exempts nobody from consent",
        )
    if client.audience_type is not AudienceType.CHILD_DIRECTED and not client.age_methods:
        yield Caution(
            path=f"{path}.age_methods",
            rule="age_methods_missing",
            message="without a way to learn an age everybody is treated as a child",
        )
    for region in client.regions:
        if rulebook.knows(region):
            yield from _local_cautions(operator, client, rulebook, region, on)
    if implemented is not None:
        for kind, register in (("age_methods", AGE_METHODS), ("vpc_methods", VPC_METHODS)):
            for method in getattr(client, kind):
                if method in register and method not in implemented:
                    yield Caution(
                        path=f"{path}.{kind}",
                        rule="method_not_available",
                        message=f'this server can\'t run "{method}" yet; it is left out',
                    )


def _local_cautions(
    operator: Operator, client: Client, rulebook: Rulebook, region: str, on: date
) -> Iterator[Caution]:
    path = f"client[{client.id}]"
    rules = rulebook.rules_for(region, (region,), on=on)
    for method in client.age_methods:
        if not age_method_is_open(method, rules):
            yield Caution(
                path=f"{path}.age_methods",
                rule="age_method_local",
                message=f'"{method}" is passed over in {region}, where it may not be used',
            )
    for method in client.vpc_methods:
        if vpc_fault(operator, method)[0] is None and method not in rules.vpc_methods:
            yield Caution(
                path=f"{path}.vpc_methods",
                rule="vpc_method_local",
                message=f'"{method}" is not offered in {region}, where it is not accepted',
            )
    # Where every visitor counts as a child, an answer opens nothing anyway.
    if client.audience_type is not AudienceType.CHILD_DIRECTED and only_declares(client, rules):
        for rule in rulebook.rules_about(region):
            condition = _when_declarations_end(rule, on)
            if condition:
                yield Caution(
                    path=f"{path}.age_methods",
                    rule="self_declaration_ends",
                    message=f"in {region} a person's own word is not enough {condition} "
                    f"({rule.source})",
                )


def _when_declarations_end(rule: Rule, on: date) -> str | None:
    """The condition under which a rule, silent today, would exclude self-declaration.

    None when the rule says nothing of it, is not law, is over, or speaks already (then it is a
    refusal and no caution).
    """
    if (
        rule.values.get("self_declaration_allowed") is not False
        or rule.status not in {RuleStatus.IN_FORCE, RuleStatus.FUTURE}
        or (rule.valid_to is not None and rule.valid_to < on)
    ):
        return None
    conditions = []
    if rule.scope not in DEFAULT_SCOPES:
        conditions.append(f"where the app is {_SCOPE_WORDS[rule.scope]}")
    if rule.valid_from is not None and rule.valid_from > on:
        conditions.append(f"from {rule.valid_from.isoformat()}")
    return ", ".join(conditions) or None


_SCOPE_WORDS: Final[Mapping[Scope, str]] = {
    Scope.ANY: "any service",
    Scope.AI_CHAT: "a chat with an AI",
    Scope.APP_STORE: "in an app store",
    Scope.SOCIAL_MEDIA: "social media",
    Scope.ADDICTIVE_FEED: "an addictive feed",
    Scope.ONLINE_PLATFORM: "an online platform",
    Scope.ADULT_CONTENT: "for adult content",
}
