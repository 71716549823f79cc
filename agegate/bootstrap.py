"""The only place where the parts meet: settings in, use cases out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial

from agegate.adapters import sandbox
from agegate.adapters.db import revisions, tidying
from agegate.adapters.db.store import SqlStore
from agegate.adapters.ids import new_id, new_secret
from agegate.adapters.links import SignedLinks
from agegate.adapters.mail.render import render
from agegate.adapters.mail.smtp import SmtpMailer
from agegate.adapters.rules_files import read_rulebook
from agegate.adapters.sealing import KeyedSealer
from agegate.adapters.signing import StoredKeySigner, new_signing_key
from agegate.adapters.webhook_sender import HttpWebhookSender
from agegate.domain.errors import AgegateError, ConfigurationError
from agegate.domain.ids import digest
from agegate.domain.keys import KeyState
from agegate.domain.operators import Operator
from agegate.domain.rules import Rulebook
from agegate.methods.age.age_screen import AgeScreen
from agegate.methods.base import AgeMethod, ConsentMethod
from agegate.methods.consent.email_plus import EmailPlus
from agegate.methods.consent.payment_transaction import PaymentTransaction
from agegate.services.asking import AskingService
from agegate.services.consent import ConsentService
from agegate.services.core import Core
from agegate.services.decisions import DecisionService
from agegate.services.keys import KeyService
from agegate.services.ledger import LedgerService
from agegate.services.operators import OperatorService
from agegate.services.outbox import OutboxService
from agegate.services.parents import ParentService
from agegate.services.ports import Mailer, MailError, TokenSigner
from agegate.services.records import RecordService
from agegate.services.screening import ScreeningService
from agegate.services.status import StatusService
from agegate.services.sweep import SweepService
from agegate.services.tokens import TokenService
from agegate.services.webhooks import WebhookService
from agegate.settings import Environment, Settings

Sandbox = sandbox.Sandbox
"""For annotations at the edges, which know no adapter."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything the edges may use."""

    settings: Settings
    core: Core
    signer: TokenSigner
    keys: KeyService
    operators: OperatorService
    screening: ScreeningService
    asking: AskingService
    consent: ConsentService
    parents: ParentService
    tokens: TokenService
    status: StatusService
    decisions: DecisionService
    records: RecordService
    outbox: OutboxService
    webhooks: WebhookService
    sweeps: SweepService
    ledger: LedgerService
    sandbox: sandbox.Sandbox | None
    csrf_key: bytes
    cookie_key: bytes


@lru_cache(maxsize=1)
def load_rulebook() -> Rulebook:
    """The rulebook this deployment runs with. Raises `RuleError`."""
    return read_rulebook()


def migrate(database_url: str) -> None:
    """Bring a database to head."""
    from agegate.adapters.db import migrating

    migrating.migrate(database_url)


def tidy(settings: Settings) -> None:
    """Let what was deleted leave the disk. Raises `UnavailableError`."""
    tidying.forget_deleted(settings.database)


def check_schema(settings: Settings) -> None:
    """Refuse a schema that is not ours; in development and test, bring it to head instead.

    Raises `ConfigurationError`.
    """
    head, current = revisions.head(), revisions.current(settings.database)
    if current == head:
        return
    if settings.env is not Environment.PRODUCTION:
        migrate(settings.database)
        return
    raise ConfigurationError(
        f"the database is at schema {current or 'none'}, this version needs {head}: "
        "run `agegate migrate`"
    )


def open_services(settings: Settings) -> Services:
    """Wire everything for one process. Opens no connection yet, apart from the schema check.

    Raises `ConfigurationError`.
    """
    check_schema(settings)
    sealer = KeyedSealer(settings.secret_key)
    clock = sandbox.SandboxClock(_utc_now) if settings.sandbox else _utc_now
    store = SqlStore(settings.database, sealer=sealer, clock=clock, new_id=new_id)
    pretend: sandbox.Sandbox | None = None
    if isinstance(clock, sandbox.SandboxClock):
        clock.attach(store)
        pretend = sandbox.Sandbox(store, clock, public_url=settings.public_url, new_id=new_id)
    core = Core(
        store=store,
        rulebook=load_rulebook(),
        new_id=new_id,
        links=SignedLinks(sealer.key("links")),
        sealer=sealer,
        public_url=settings.public_url,
        now=clock,
        confirmation_delay=settings.confirmation_delay,
    )
    signer = StoredKeySigner(store, clock=clock)
    age_methods = _age_methods()
    consent_methods = _consent_methods(settings, pretend)
    tokens = TokenService(core, signer, new_secret=new_secret)
    screening = ScreeningService(core, tokens, age_methods)
    keys = KeyService(core, partial(new_signing_key, clock=clock))
    keys.ensure()
    return Services(
        settings=settings,
        core=core,
        signer=signer,
        keys=keys,
        operators=OperatorService(
            store,
            parse=partial(_parse_operator, settings),
            new_secret=new_secret,
            hash_secret=digest,
            load_rulebook=load_rulebook,
            today=lambda: clock().date(),
            implemented=(*age_methods, *consent_methods),
        ),
        screening=screening,
        asking=AskingService(core, screening, implemented=tuple(consent_methods)),
        consent=ConsentService(core, consent_methods),
        parents=ParentService(core, new_secret=new_secret),
        tokens=tokens,
        status=StatusService(core, signer),
        decisions=DecisionService(core, tokens),
        records=RecordService(core, signer),
        outbox=OutboxService(core, _mailer(settings, pretend), render),
        webhooks=WebhookService(core, _webhook_sender(settings)),
        sweeps=SweepService(core),
        ledger=LedgerService(core, signer),
        sandbox=pretend,
        csrf_key=sealer.key("csrf"),
        cookie_key=sealer.key("cookies"),
    )


def _parse_operator(settings: Settings, text: str) -> Operator:
    from agegate.adapters.operator_file import parse_operator  # a server never reads one: 0.2 s

    return parse_operator(
        text,
        loopback_ok=not settings.is_production,
        webhook_allow=() if settings.is_production else settings.webhook_allow,
    )


def _age_methods() -> dict[str, AgeMethod]:
    return {method.key: method for method in (AgeScreen(),)}


def _consent_methods(
    settings: Settings, pretend: sandbox.Sandbox | None
) -> dict[str, ConsentMethod]:
    """By hand and in this order, so that a reader sees what this deployment can do."""
    methods: list[ConsentMethod] = [EmailPlus()]
    if pretend is not None:
        methods.append(PaymentTransaction(pretend.gateway))
    elif settings.stripe_api_key:
        from agegate.adapters.stripe_gateway import StripeGateway  # only where it is used: 0.2 s

        gateway = StripeGateway(
            settings.stripe_api_key,
            api_base=settings.stripe_api_base or None,
            accept_test_payments=not settings.is_production,
        )
        methods.append(PaymentTransaction(gateway))
    return {method.key: method for method in methods}


def _mailer(settings: Settings, pretend: sandbox.Sandbox | None) -> Mailer:
    real = SmtpMailer(settings.smtp_url, settings.mail_from) if settings.smtp_url else None
    if pretend is not None:
        return pretend.mailer(real)
    return real or _NoMailer()


def _webhook_sender(settings: Settings) -> HttpWebhookSender:
    return HttpWebhookSender(allow=() if settings.is_production else settings.webhook_allow)


class _NoMailer:
    """Outside the sandbox without a mail server: letters wait, and the reason is on record."""

    def send(self, *_args: object, **_kwargs: object) -> None:
        raise MailError("no_mail_server", permanent=False)


def _utc_now() -> datetime:
    return datetime.fromtimestamp(time.time(), tz=UTC)


def is_ready(services: Services) -> dict[str, bool]:
    """What must hold before this process may answer: database, schema, keys, rules."""
    checks = dict.fromkeys(("database", "schema", "keys", "rules"), False)
    try:
        services.core.store.ready()
        checks["database"] = True
        checks["schema"] = revisions.current(services.settings.database) == revisions.head()
        checks["keys"] = any(key.state is KeyState.ACTIVE for key in services.keys.list())
    except AgegateError:
        return checks
    checks["rules"] = bool(services.core.rulebook.rules)
    return checks
