"""The whole service in memory: every use case is real, only the world outside is made up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from agegate.adapters.links import SignedLinks
from agegate.adapters.mail.memory import MemoryMailer
from agegate.adapters.mail.render import render
from agegate.adapters.memory import MemoryStore
from agegate.adapters.rules_files import read_rulebook
from agegate.adapters.sealing import KeyedSealer
from agegate.adapters.signing import StoredKeySigner, new_signing_key
from agegate.domain.consent import Consent
from agegate.domain.grants import s256
from agegate.domain.ids import ClientId, Digest, FlowId, OperatorId, RecordId, digest
from agegate.domain.ledger import Fact, first_break
from agegate.domain.operators import Operator
from agegate.domain.people import EmailAddress, Parent, Subject
from agegate.domain.records import Credential, CredentialKind, Event, OperatorEntry
from agegate.methods.age.age_screen import AgeScreen
from agegate.methods.base import ConsentMethod
from agegate.methods.consent.email_plus import EmailPlus
from agegate.methods.consent.payment_transaction import PaymentTransaction
from agegate.services.asking import AskingService
from agegate.services.consent import ConsentService, RequestView
from agegate.services.core import Core
from agegate.services.keys import KeyService
from agegate.services.outbox import OutboxService
from agegate.services.parents import ParentService
from agegate.services.screening import AuthorizationRequest, FlowView, ScreeningService
from agegate.services.sweep import SweepService
from agegate.services.tokens import TokenService
from tests.factories import an_operator
from tests.fakes import FixedClock, Ids, ScriptedCards

RULEBOOK = read_rulebook()
OPERATOR = OperatorId("storybuddy")
WEB = ClientId("storybuddy-web")
VERIFIER = "v" * 43
TABLET = digest("the tablet of the child")
PHONE = digest("the phone of the parent")
PAT = EmailAddress("pat@example.org")
KIM = EmailAddress("kim@example.net")
CHILD = {"birth_month": "5", "birth_year": "2017"}
ADULT = {"birth_month": "5", "birth_year": "1980"}
BOTH = {"ai_chat": "grant", "disclose:researchlab": "grant"}
CORE_ONLY = {"ai_chat": "grant", "disclose:researchlab": "refuse"}
NEITHER = {"ai_chat": "refuse", "disclose:researchlab": "refuse"}
BACK = "https://age.example/parent/back"


class World:
    """All services over one store. Helpers go through the same doors as the pages do."""

    def __init__(self, operator: Operator | None = None) -> None:
        self.clock = FixedClock()
        self.ids = Ids()
        self.store = MemoryStore(clock=self.clock, new_id=self.ids)
        self.mailer = MemoryMailer()
        self.cards = ScriptedCards()
        sealer = KeyedSealer("a secret of 32 bytes for the tests")
        self.core = Core(
            store=self.store,
            rulebook=RULEBOOK,
            new_id=self.ids,
            links=SignedLinks(sealer.key("links")),
            sealer=sealer,
            public_url="https://age.example",
            now=self.clock,
        )
        methods: dict[str, ConsentMethod] = {
            "email_plus": EmailPlus(),
            "payment_transaction": PaymentTransaction(self.cards),
        }
        self.signer = StoredKeySigner(self.store, clock=self.clock)
        new_secret = partial(self.ids, "secret")
        self.keys = KeyService(self.core, partial(new_signing_key, clock=self.clock))
        self.tokens = TokenService(self.core, self.signer, new_secret=new_secret)
        self.screening = ScreeningService(self.core, self.tokens, {"age_screen": AgeScreen()})
        self.asking = AskingService(self.core, self.screening, implemented=tuple(methods))
        self.consent = ConsentService(self.core, methods)
        self.parents = ParentService(self.core, new_secret=new_secret)
        self.outbox = OutboxService(self.core, self.mailer, render)
        self.sweeps = SweepService(self.core)
        self.apply(operator or an_operator())

    # -- the operator ----------------------------------------------------------------------------

    def apply(self, operator: Operator) -> None:
        with self.store.write() as uow:
            known = uow.find(OperatorEntry, operator.id)
            entry = OperatorEntry(
                id=operator.id,
                operator=operator,
                applied_at=uow.now,
                version=known.version if known else 1,
            )
            uow.save(entry) if known else uow.add(entry)
            for client in operator.clients:
                if uow.find(Credential, client.id) is None:
                    uow.add(
                        Credential(
                            id=client.id,
                            operator_id=operator.id,
                            kind=CredentialKind.CLIENT,
                            secret_hash=None,
                            webhook_secret=None,
                            created_at=uow.now,
                        )
                    )
            uow.commit()

    # -- the child -------------------------------------------------------------------------------

    def begin(self, *, browser: Digest = TABLET, **overrides: Any) -> FlowId:
        fields: dict[str, Any] = {
            "client_id": WEB,
            "redirect_uri": "https://storybuddy.example/callback",
            "state": "xyz",
            "nonce": None,
            "scope": "openid age consent",
            "resources": ("https://api.storybuddy.example",),
            "code_challenge": s256(VERIFIER),
            "purposes": (),
            "place": "US",
            "locale": "en",
        }
        request = AuthorizationRequest(**{**fields, **overrides})
        return self.screening.begin(request, browser=browser)

    def look(self, flow: FlowId, *, browser: Digest = TABLET) -> FlowView:
        return self.screening.look(flow, browser=browser)

    def a_child(self, *, browser: Digest = TABLET, **overrides: Any) -> FlowId:
        """A visit whose age question has been answered with a child's birth."""
        flow = self.begin(browser=browser, **overrides)
        self.screening.answer_age(flow, CHILD, browser=browser)
        return flow

    def asks(
        self, to: EmailAddress = PAT, *, browser: Digest = TABLET, **overrides: Any
    ) -> tuple[FlowId, str]:
        """A child who gave an address, and the link in the letter that has arrived there."""
        flow = self.a_child(browser=browser, **overrides)
        self.asking.ask(flow, to, browser=browser)
        return flow, self.letter_to(to)

    # -- the letters -----------------------------------------------------------------------------

    def letter_to(self, to: EmailAddress, *, door: str = "request") -> str:
        """Deliver what is due; the text of the newest link of this kind in this mailbox."""
        self.outbox.deliver(limit=100)
        found = [link for link in self.links_to(to) if f"/parent/{door}/" in link]
        assert found, f"no {door} link for this mailbox"
        return found[-1].rpartition("/")[2]

    def links_to(self, to: EmailAddress) -> list[str]:
        texts = [letter.rendered.text for letter in self.mailer.to(to)]
        return [url for text in texts for url in re.findall(r"https://[^\s<>]+", text)]

    def kinds_to(self, to: EmailAddress) -> list[str]:
        return [letter.kind for letter in self.mailer.to(to)]

    # -- the app ---------------------------------------------------------------------------------

    def token(self, flow: FlowId, *, browser: Digest = TABLET) -> str:
        """Finish a visit begun with this world's PKCE pair, and redeem its code."""
        self.keys.ensure()
        finished, code = self.screening.finish(flow, browser=browser)
        with self.store.read() as r:
            client = self.core.registration(r, finished.client_id).client
        redirect_uri = finished.redirect_uri
        tokens = self.tokens.exchange(
            client, code=code, redirect_uri=redirect_uri, verifier=VERIFIER
        )
        return tokens.access_token

    def introspect(self, token: str) -> dict[str, Any]:
        """What the app itself is told about its token."""
        return self.tokens.introspect(WEB, OPERATOR, (), token)

    # -- the parent ------------------------------------------------------------------------------

    def proves(self, link: str, *, method: str = "payment_transaction") -> RequestView:
        """Read, choose, come back from the vendor."""
        self.consent.open(link, browser=PHONE)
        view = self.consent.choose(link, method, return_url=BACK)
        if view.proof is not None:
            view = self.consent.answer_proof(link, {}, return_url=BACK)
        return view

    def decides(
        self, link: str, answers: dict[str, str], *, method: str = "payment_transaction"
    ) -> Consent:
        self.proves(link, method=method)
        return self.consent.decide(link, answers).consent

    def granted(self, to: EmailAddress = PAT, **overrides: Any) -> tuple[FlowId, str, Consent]:
        """The whole way to a yes to everything."""
        flow, link = self.asks(to, **overrides)
        return flow, link, self.decides(link, BOTH)

    def signs_in(self, to: EmailAddress = PAT, *, browser: Digest = PHONE) -> Parent:
        self.parents.send_link(to, locale="en", browser=browser)
        secret = self.parents.sign_in(self.letter_to(to, door="sign-in"))
        parent = self.parents.find_parent(secret)
        assert parent is not None
        return parent

    # -- what is kept ----------------------------------------------------------------------------

    def all(self, kind: type[Any], **equals: Any) -> list[Any]:
        with self.store.read() as r:
            return r.select(kind, **equals)

    def consent_now(self, record: RecordId) -> Consent:
        with self.store.read() as r:
            return r.get(Consent, record)

    def subject_of(self, flow: FlowId, *, browser: Digest = TABLET) -> Subject:
        subject_id = self.look(flow, browser=browser).flow.subject_id
        assert subject_id is not None
        with self.store.read() as r:
            return r.get(Subject, subject_id)

    def facts(self, record: RecordId | None = None) -> list[str]:
        with self.store.read() as r:
            found: Sequence[Fact] = r.select(Fact, order="id")
        return [f.kind.value for f in found if record is None or f.record == record]

    def events(self) -> list[tuple[str, str | None]]:
        with self.store.read() as r:
            return [(e.type.value, e.state) for e in r.select(Event, order="id")]

    def ledger_is_whole(self) -> bool:
        self.store.integrate()
        return first_break(self.store.entries()) is None
