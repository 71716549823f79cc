"""The use cases over the memory store, with two operators and whatever people a test needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from agegate.adapters.links import SignedLinks
from agegate.adapters.memory import MemoryStore
from agegate.adapters.rules_files import read_rulebook
from agegate.adapters.sealing import KeyedSealer
from agegate.adapters.signing import StoredKeySigner, new_signing_key
from agegate.domain.consent import Consent, request
from agegate.domain.grants import Flow, s256
from agegate.domain.ids import (
    ClientId,
    FlowId,
    OperatorId,
    ParentId,
    RecordId,
    Sub,
    SubjectId,
    digest,
)
from agegate.domain.notices import direct_notice
from agegate.domain.operators import Operator
from agegate.domain.people import Subject
from agegate.domain.records import Credential, CredentialKind, OperatorEntry, StoredNotice
from agegate.services.core import Core
from agegate.services.decisions import DecisionService
from agegate.services.keys import KeyService
from agegate.services.ledger import LedgerService
from agegate.services.records import RecordService
from agegate.services.tokens import TokenService
from agegate.wire.tiers import AssuranceLevel, MethodClass
from tests.factories import (
    NOON,
    a_client,
    a_purpose,
    a_service,
    an_operator,
    some_evidence,
)

RULEBOOK = read_rulebook()
OURS = OperatorId("storybuddy")
OTHERS = OperatorId("otherco")
CHAT = "ai_chat"
LAB = "disclose:researchlab"
SEALER = KeyedSealer("a secret of 32 bytes for the tests")


@dataclass
class Parts:
    """Wired by hand. The clock stands still until `pass_` is called."""

    now: datetime = NOON
    store: MemoryStore = field(init=False)
    core: Core = field(init=False)

    def __post_init__(self) -> None:
        numbers = count(1)

        def new_id(prefix: str) -> str:
            return f"{prefix}_{next(numbers):040d}"

        self.store = MemoryStore(clock=self.clock, new_id=new_id)
        self.core = Core(
            store=self.store,
            rulebook=RULEBOOK,
            new_id=new_id,
            links=SignedLinks(b"a key of 32 bytes for the tests."),
            sealer=SEALER,
            public_url="https://age.example",
            now=self.clock,
        )
        self.signer = StoredKeySigner(self.store, clock=self.clock)
        self.keys = KeyService(
            self.core, lambda state: new_signing_key(state=state, clock=self.clock)
        )
        self.keys.ensure()
        self.tokens = TokenService(
            self.core, self.signer, new_secret=lambda: f"secret-{next(numbers)}"
        )
        self.decisions = DecisionService(self.core, self.tokens)
        self.records = RecordService(self.core, self.signer)
        self.ledger = LedgerService(self.core, self.signer)
        self.apply(an_operator())
        self.apply(
            an_operator(
                id=OTHERS,
                services=(a_service(id=ClientId("other-api")),),
                clients=(a_client(id=ClientId("other-web")),),
            )
        )

    def clock(self) -> datetime:
        return self.now

    def pass_(self, **by: float) -> None:
        self.now += timedelta(**by)

    # -- who is there ----------------------------------------------------------------------------

    def apply(self, operator: Operator) -> None:
        with self.store.write() as uow:
            entry = uow.find(OperatorEntry, operator.id)
            if entry is None:
                uow.add(OperatorEntry(id=operator.id, operator=operator, applied_at=uow.now))
            else:
                uow.save(
                    OperatorEntry(
                        id=operator.id,
                        operator=operator,
                        applied_at=uow.now,
                        version=entry.version,
                    )
                )
            kinds = [(c.id, CredentialKind.CLIENT) for c in operator.clients]
            kinds += [(s.id, CredentialKind.SERVICE) for s in operator.services]
            for id_, kind in kinds:
                if uow.find(Credential, id_) is None:
                    uow.add(
                        Credential(
                            id=id_,
                            operator_id=operator.id,
                            kind=kind,
                            secret_hash=digest(f"secret of {id_}"),
                            webhook_secret=None,
                            created_at=uow.now,
                        )
                    )
            uow.commit()

    def subject(self, name: str = "mia", **overrides: Any) -> Subject:
        """Ten years old or so, in Illinois, unless told otherwise."""
        fields: dict[str, Any] = {
            "id": SubjectId(f"su_{name}"),
            "operator_id": OURS,
            "client_id": ClientId("storybuddy-web"),
            "sub": Sub(f"sub-{name}"),
            "place": "US-IL",
            "created_at": self.now,
            "upper": 12,
            "method": "age_screen",
            "method_class": MethodClass.SELF_DECLARATION,
            "level": AssuranceLevel.ASSERTED,
            "age_at": self.now,
        }
        made = Subject(**{**fields, **overrides})
        with self.store.write() as uow:
            uow.add(made)
            uow.commit()
        return made

    # -- a consent's life ------------------------------------------------------------------------

    def ask(self, subject: Subject, record: str = "cr_1", **overrides: Any) -> Consent:
        with self.store.write() as uow:
            registered = self.core.registration(uow, subject.client_id)
            operator, client = registered.operator, registered.client
            notice = direct_notice(
                operator,
                client,
                operator.purposes_of(client),
                language="en",
                methods=("payment_transaction",),
                online_notice_url="https://storybuddy.example/children",
                expires_on=(uow.now + timedelta(days=14)).date(),
                contact_from_child=True,
            )
            if uow.find(StoredNotice, notice.digest) is None:
                uow.add(
                    StoredNotice(
                        id=notice.digest,
                        operator_id=operator.id,
                        language="en",
                        content=notice.content(),
                        created_at=uow.now,
                    )
                )
            change = request(
                **{
                    "id_": RecordId(record),
                    "operator_id": operator.id,
                    "client_id": client.id,
                    "subject_id": subject.id,
                    "purposes": tuple(p.id for p in operator.purposes_of(client)),
                    "practices": operator.practices,
                    "jurisdiction": subject.place or "US",
                    "locale": "en",
                    "notice": notice.digest,
                    "now": uow.now,
                    **overrides,
                }
            )
            after = self.core.record(uow, change, new=True, state="pending")
            uow.commit()
        return after

    def decide(self, record: str = "cr_1", **answers: str) -> Consent:
        """The parent reads, proves and answers; `chat="grant"` and `lab="refuse"` by default."""
        said = {CHAT: answers.get("chat", "grant"), LAB: answers.get("lab", "refuse")}
        with self.store.write() as uow:
            consent = uow.get(Consent, record)
            operator = uow.get(OperatorEntry, consent.operator_id).operator
            client = operator.find_client(consent.client_id)
            assert client is not None
            consent = self.core.record(uow, consent.notify(now=uow.now))
            consent = self.core.record(uow, consent.open(same_browser=False, now=uow.now))
            consent = self.core.record(uow, consent.prove(some_evidence(), now=uow.now))
            asked = tuple(p for p in operator.purposes_of(client) if p.id in consent.purposes)
            change = consent.decide(said, asked, parent=ParentId("pa_maria"), now=uow.now)
            consent = self.core.record(uow, change)
            uow.commit()
        return consent

    def granted(self, name: str = "mia", record: str = "cr_1", **answers: str) -> Subject:
        subject = self.subject(name)
        self.ask(subject, record)
        self.decide(record, **answers)
        return subject

    def change(self, record: str, step: str, *args: Any) -> Consent:
        """One more transition, such as `change("cr_1", "withdraw")`."""
        with self.store.write() as uow:
            consent = uow.get(Consent, record)
            after = self.core.record(uow, getattr(consent, step)(*args, now=uow.now))
            uow.commit()
        return after

    def access_token(self, subject: Subject) -> str:
        """By a code and its exchange, as a client gets one."""
        verifier = "v" * 43
        with self.store.read() as r:
            client = self.core.registration(r, subject.client_id).client
        with self.store.write() as uow:
            flow = Flow(
                id=FlowId(self.core.new_id("fl")),
                browser=digest("a browser"),
                client_id=client.id,
                redirect_uri=client.redirect_uris[0],
                state=None,
                nonce=None,
                scope="openid age consent",
                resources=client.resources,
                code_challenge=s256(verifier),
                purposes=(),
                place=subject.place,
                locale="en",
                created_at=uow.now,
                expires_at=uow.now + timedelta(hours=1),
            )
            code = self.tokens.new_code(uow, flow, subject)
            uow.commit()
        tokens = self.tokens.exchange(
            client, code=code, redirect_uri=client.redirect_uris[0], verifier=verifier
        )
        return tokens.access_token


def new_practices() -> Operator:
    """StoryBuddy after it began to collect something more."""
    purpose = a_purpose(data=("chat messages", "account identifier", "favourite animal"))
    disclosure = an_operator().purposes[1]
    return an_operator(purposes=(purpose, disclosure))
