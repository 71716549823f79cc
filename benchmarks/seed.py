"""A service with children whose parents said yes, and tokens of theirs, as fast as can be made."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

from agegate.adapters.ids import new_secret
from agegate.bootstrap import Services, open_services
from agegate.domain.consent import Consent, Stage
from agegate.domain.grants import Family, Flow, s256
from agegate.domain.ids import (
    FamilyId,
    FlowId,
    ParentId,
    PurposeId,
    RecordId,
    Sub,
    SubjectId,
    digest,
)
from agegate.domain.people import Subject
from agegate.domain.records import Credential, CredentialKind, OperatorEntry
from agegate.services.issuing import Issuer
from agegate.settings import Settings
from agegate.wire.scopes import EVALUATION, INTROSPECT, TOKEN
from agegate.wire.tiers import AssuranceLevel, MethodClass
from benchmarks.load import PLACE, basic, request
from tests.factories import a_client, a_consent, a_service, an_operator, some_evidence

SECRET = "a-secret-of-the-benchmarks"  # noqa: S105 - of a database that lives for minutes
VERIFIER = "a-verifier-of-the-benchmarks-that-is-long-enough-0123456789"
_FORM = "application/x-www-form-urlencoded"
_OPERATOR = an_operator()
_CLIENT, _SERVICE = a_client(), a_service()
SERVICE_AUTH = basic(_SERVICE.id, SECRET)
CLIENT_AUTH = basic(_CLIENT.id, SECRET)


@dataclass
class House:
    """One database and this process's own services on it."""

    url: str
    public_url: str
    people: int
    services: Services = field(init=False)
    subjects: list[Subject] = field(init=False)
    families: list[Family] = field(init=False)

    def __post_init__(self) -> None:
        self.services = open_services(Settings.from_env(self.env))
        self._found()
        self.subjects = [self._subject(number) for number in range(self.people)]
        self.families = [self._family(subject) for subject in self.subjects]
        with self.services.core.store.write() as uow:
            for number, subject in enumerate(self.subjects):
                uow.add(subject)
                uow.add(self._consent(number, subject))
                uow.add(self.families[number])
            uow.commit()

    @property
    def env(self) -> dict[str, str]:
        return {
            "AGEGATE_ENV": "test",
            "AGEGATE_DATABASE_URL": self.url,
            "AGEGATE_PUBLIC_URL": self.public_url,
        }

    def tokens(self) -> list[str]:
        """A fresh access token for each child, good for five minutes."""
        made = []
        issuer = Issuer(self.services.core, self.services.signer, new_secret=new_secret)
        with self.services.core.store.write() as uow:
            for family in self.families:
                issued = issuer.issue(uow, _CLIENT, family, scope=family.scope, nonce=None)
                made.append(issued.access_token)
            uow.commit()
        return made

    def codes(self, number: int) -> list[str]:
        """Authorization codes, good for a minute."""
        core, tokens = self.services.core, self.services.tokens
        now = core.now()
        made = []
        with core.store.write() as uow:
            for subject in (self.subjects * (number // self.people + 1))[:number]:
                flow = Flow(
                    id=FlowId(core.new_id("flow")),
                    browser=digest("browser"),
                    client_id=_CLIENT.id,
                    redirect_uri=_CLIENT.redirect_uris[0],
                    state=None,
                    nonce=None,
                    scope="openid age consent offline_access",
                    resources=_CLIENT.resources,
                    code_challenge=s256(VERIFIER),
                    purposes=_CLIENT.purposes,
                    place="US-IL",
                    locale="en",
                    subject_id=subject.id,
                    created_at=now,
                    expires_at=now + timedelta(hours=1),
                )
                made.append(tokens.new_code(uow, flow, subject))
            uow.commit()
        return made

    def introspections(self, tokens: list[str], *, unlike: bool = False) -> list[bytes]:
        """With `unlike`, a place that the load generator fills makes each of them new."""
        more = {"unlike": PLACE.decode()} if unlike else {}
        return [
            request(
                INTROSPECT,
                urlencode({"token": token, **more}).replace("%40", "@").encode(),
                Authorization=SERVICE_AUTH,
                Content_Type=_FORM,
            )
            for token in tokens
        ]

    def evaluations(self, *, unlike: bool = False) -> list[bytes]:
        more = {"context": {"unlike": PLACE.decode()}} if unlike else {}
        return [
            request(
                EVALUATION,
                json.dumps(
                    {
                        "subject": {"type": "subject", "id": subject.sub},
                        "action": {"name": "ai_chat"},
                        "resource": {"type": "client", "id": _CLIENT.id},
                        **more,
                    }
                ).encode(),
                Authorization=SERVICE_AUTH,
                Content_Type="application/json",
            )
            for subject in self.subjects
        ]

    def redemptions(self, codes: list[str]) -> list[bytes]:
        form = {
            "grant_type": "authorization_code",
            "redirect_uri": _CLIENT.redirect_uris[0],
            "code_verifier": VERIFIER,
        }
        return [
            request(
                TOKEN,
                urlencode({**form, "code": code}).encode(),
                Authorization=CLIENT_AUTH,
                Content_Type=_FORM,
            )
            for code in codes
        ]

    def _found(self) -> None:
        with self.services.core.store.write() as uow:
            uow.add(OperatorEntry(id=_OPERATOR.id, operator=_OPERATOR, applied_at=uow.now))
            for one, kind in (
                (_CLIENT, CredentialKind.CLIENT),
                (_SERVICE, CredentialKind.SERVICE),
            ):
                uow.add(
                    Credential(
                        id=one.id,
                        operator_id=_OPERATOR.id,
                        kind=kind,
                        secret_hash=digest(SECRET),
                        webhook_secret=None,
                        created_at=uow.now,
                    )
                )
            uow.commit()

    def _subject(self, number: int) -> Subject:
        now = self.services.core.now()
        return Subject(
            id=SubjectId(f"su_{number}"),
            operator_id=_OPERATOR.id,
            client_id=_CLIENT.id,
            sub=Sub(f"sub-{number}"),
            place="US-IL",
            created_at=now,
            upper=12,
            method="age_screen",
            method_class=MethodClass.SELF_DECLARATION,
            level=AssuranceLevel.ASSERTED,
            age_at=now,
        )

    def _consent(self, number: int, subject: Subject) -> Consent:
        now = self.services.core.now()
        return a_consent(
            id=RecordId(f"cr_{number}"),
            subject_id=subject.id,
            requested_at=now,
            expires_at=now + timedelta(days=365),
            stage=Stage.GRANTED,
            evidence=some_evidence(at=now),
            decided_at=now,
            granted_at=now,
            parent_id=ParentId(f"pa_{number}"),
            granted=(PurposeId("ai_chat"),),
            refused=(PurposeId("disclose:researchlab"),),
        )

    def _family(self, subject: Subject) -> Family:
        core = self.services.core
        now = core.now()
        return Family(
            id=FamilyId(core.new_id("fam")),
            client_id=_CLIENT.id,
            subject_id=subject.id,
            scope="openid age consent",
            resources=_CLIENT.resources,
            auth_time=now,
            created_at=now,
            expires_at=now + timedelta(days=30),
        )


def service_tokens() -> list[bytes]:
    body = b"grant_type=client_credentials"
    return [request(TOKEN, body, Authorization=SERVICE_AUTH, Content_Type=_FORM)]
