from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.adapters.memory import MemoryStore
from agegate.adapters.operator_file import OperatorFileError, parse_operator
from agegate.adapters.rules_files import read_rulebook
from agegate.domain.errors import ConflictError
from agegate.domain.ids import ClientId, OperatorId, digest
from agegate.domain.ledger import Fact, FactKind
from agegate.domain.legality import RefusedError
from agegate.domain.operators import AuthMethod, Operator
from agegate.domain.records import Credential, CredentialKind, OperatorEntry
from agegate.services.operators import IssuedSecrets, OperatorService
from tests.factories import (
    NOON,
    a_client,
    a_disclosure,
    a_purpose,
    a_service,
    an_operator,
)

WEB, API = ClientId("storybuddy-web"), ClientId("storybuddy-api")
RULEBOOK = read_rulebook()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    numbers = count(1)
    return MemoryStore(clock=clock, new_id=lambda prefix: f"{prefix}_{next(numbers):04}")


@pytest.fixture
def operators(store: MemoryStore, clock: Clock) -> OperatorService:
    numbers = count(1)
    return OperatorService(
        store,
        parse=parse_operator,
        new_secret=lambda: f"secret-{next(numbers)}",
        hash_secret=digest,
        load_rulebook=lambda: RULEBOOK,
        today=clock.now.date,
    )


def credential(store: MemoryStore, id_: str) -> Credential:
    with store.read() as reader:
        return reader.get(Credential, id_)


def entry(store: MemoryStore, id_: str = "storybuddy") -> OperatorEntry:
    with store.read() as reader:
        return reader.get(OperatorEntry, id_)


def facts(store: MemoryStore) -> list[Fact]:
    with store.read() as reader:
        return reader.select(Fact)


def everything(store: MemoryStore) -> list[Any]:
    with store.read() as reader:
        kinds: tuple[type[Any], ...] = (OperatorEntry, Credential, Fact)
        return [row for kind in kinds for row in reader.select(kind)]


def another_operator(**overrides: Any) -> Operator:
    fields: dict[str, Any] = {
        "id": OperatorId("puzzlebox"),
        "legal_name": "PuzzleBox Ltd",
        "clients": (a_client(id=ClientId("puzzlebox-web")),),
        "services": (a_service(id=ClientId("puzzlebox-api")),),
    }
    return an_operator(**{**fields, **overrides})


def with_client(**overrides: Any) -> Operator:
    return an_operator(clients=(a_client(**overrides),))


# --- the first time -------------------------------------------------------------------------------


def test_applying_stores_the_operator_and_tells_new_secrets(
    operators: OperatorService, store: MemoryStore
) -> None:
    applied = operators.apply(an_operator())
    (client,), (service,) = applied.clients, applied.services
    assert (client.client_id, service.client_id) == (WEB, API)
    assert client.client_secret is not None
    assert service.client_secret is not None
    assert service.webhook_secret is None
    assert entry(store).operator == an_operator()
    assert entry(store).applied_at == NOON


def test_a_secret_is_kept_as_a_hash_only(operators: OperatorService, store: MemoryStore) -> None:
    applied = operators.apply(an_operator())
    secret = applied.clients[0].client_secret
    assert secret is not None
    kept = credential(store, WEB)
    assert kept.secret_hash == digest(secret.value)
    assert kept.kind is CredentialKind.CLIENT
    assert kept.operator_id == "storybuddy"
    assert credential(store, API).kind is CredentialKind.SERVICE
    assert not any(secret.value in repr(row) for row in everything(store))


def test_a_webhook_secret_is_256_bits_in_the_standard_form_and_sealed(
    operators: OperatorService, store: MemoryStore
) -> None:
    secret = operators.apply(an_operator()).clients[0].webhook_secret
    assert secret is not None
    prefix, _, key = secret.value.partition("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(key, validate=True)) == 32
    assert credential(store, WEB).webhook_secret == secret
    assert key not in repr(credential(store, WEB))


def test_secrets_hide_themselves(operators: OperatorService) -> None:
    applied = operators.apply(an_operator())
    secret = applied.clients[0].client_secret
    assert secret is not None
    assert secret.value not in repr(applied)


def test_every_secret_is_its_own(operators: OperatorService) -> None:
    applied = operators.apply(an_operator())
    (client,), (service,) = applied.clients, applied.services
    values = {
        secret.value
        for secret in (client.client_secret, client.webhook_secret, service.client_secret)
        if secret
    }
    assert len(values) == 3


@pytest.mark.parametrize("method", [AuthMethod.NONE, AuthMethod.PRIVATE_KEY_JWT])
def test_no_secret_is_made_where_none_is_used(
    method: AuthMethod, operators: OperatorService, store: MemoryStore
) -> None:
    applied = operators.apply(with_client(auth_method=method, webhook_url=None))
    assert applied.clients == (IssuedSecrets(client_id=WEB),)
    assert credential(store, WEB).secret_hash is None
    assert credential(store, WEB).webhook_secret is None


def test_applying_is_a_fact_with_the_practices_version(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    (fact,) = facts(store)
    assert (fact.kind, fact.operator_id) == (FactKind.OPERATOR_APPLIED, "storybuddy")
    assert fact.data == {
        "practices": an_operator().practices,
        "clients": (WEB,),
        "services": (API,),
    }


# --- again ----------------------------------------------------------------------------------------


def test_applying_the_same_again_changes_nothing(
    operators: OperatorService, store: MemoryStore, clock: Clock
) -> None:
    operators.apply(an_operator())
    before = everything(store)
    clock.now += timedelta(days=1)
    applied = operators.apply(an_operator())
    assert applied.changes == ()
    assert applied.clients == (IssuedSecrets(client_id=WEB),)
    assert applied.services == (IssuedSecrets(client_id=API),)
    assert everything(store) == before


def test_a_change_keeps_secrets_and_writes_a_fact(
    operators: OperatorService, store: MemoryStore, clock: Clock
) -> None:
    operators.apply(an_operator())
    before = credential(store, WEB)
    clock.now += timedelta(days=1)
    changed = an_operator(purposes=(a_purpose(retention_days=31), a_disclosure()))
    applied = operators.apply(changed)
    assert applied.clients == (IssuedSecrets(client_id=WEB),)
    assert credential(store, WEB) == before
    assert entry(store).operator == changed
    assert entry(store).applied_at == clock.now
    assert entry(store).version == 2
    assert [fact.data["practices"] for fact in facts(store)] == [
        an_operator().practices,
        changed.practices,
    ]


def test_only_what_is_new_gets_secrets(operators: OperatorService) -> None:
    operators.apply(an_operator())
    tablet = a_client(id=ClientId("storybuddy-tablet"))
    applied = operators.apply(an_operator(clients=(a_client(), tablet)))
    old, new = applied.clients
    assert (old.client_secret, old.webhook_secret) == (None, None)
    assert new.client_secret is not None
    assert new.webhook_secret is not None


def test_a_removed_client_loses_its_credential_at_once(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    operators.apply(an_operator(services=()))
    with store.read() as reader:
        assert reader.find(Credential, API) is None
        assert reader.find(Credential, WEB) is not None


def test_a_client_that_comes_back_gets_a_new_secret(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    old = credential(store, API).secret_hash
    operators.apply(an_operator(services=()))
    assert operators.apply(an_operator()).services[0].client_secret is not None
    assert credential(store, API).secret_hash != old


def test_turning_to_keys_ends_the_secret_and_back_makes_a_new_one(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    old = credential(store, WEB).secret_hash
    operators.apply(with_client(auth_method=AuthMethod.PRIVATE_KEY_JWT, jwks='{"keys":[]}'))
    assert credential(store, WEB).secret_hash is None
    applied = operators.apply(with_client(auth_method=AuthMethod.CLIENT_SECRET_POST))
    assert applied.clients[0].client_secret is not None
    assert credential(store, WEB).secret_hash not in {None, old}


def test_moving_the_secret_into_the_body_keeps_it(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    old = credential(store, WEB).secret_hash
    applied = operators.apply(with_client(auth_method=AuthMethod.CLIENT_SECRET_POST))
    assert applied.clients[0].client_secret is None
    assert credential(store, WEB).secret_hash == old


def test_a_webhook_secret_comes_and_goes_with_the_address(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(with_client(webhook_url=None))
    first = operators.apply(with_client(webhook_url="https://a.example/hook")).clients[0]
    assert (first.client_secret, first.webhook_secret is None) == (None, False)
    moved = operators.apply(with_client(webhook_url="https://b.example/hook")).clients[0]
    assert moved.webhook_secret is None
    operators.apply(with_client(webhook_url=None))
    assert credential(store, WEB).webhook_secret is None


def test_a_client_that_becomes_a_service_is_somebody_else(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    old = credential(store, WEB)
    applied = operators.apply(an_operator(clients=(), services=(a_service(id=WEB),)))
    new = credential(store, WEB)
    assert applied.services[0].client_secret is not None
    assert new.kind is CredentialKind.SERVICE
    assert new.secret_hash != old.secret_hash
    assert new.webhook_secret is None


# --- several operators ----------------------------------------------------------------------------


def test_operators_add_up_and_leave_each_other_alone(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    before = credential(store, WEB), entry(store)
    operators.apply(another_operator())
    operators.apply(another_operator(clients=(), services=()))
    assert (credential(store, WEB), entry(store)) == before
    assert entry(store, "puzzlebox").operator.clients == ()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"clients": (a_client(),)},
            "client[storybuddy-web].id: belongs to another operator; choose another id",
        ),
        (
            {"services": (a_service(id=WEB),)},
            "service[storybuddy-web].id: belongs to another operator; choose another id",
        ),
    ],
)
def test_an_id_of_another_operator_is_refused(
    overrides: dict[str, Any], message: str, operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    before = everything(store)
    thief = another_operator(**overrides)
    assert operators.check(thief).conflicts == (message,)
    assert operators.check(thief).is_fine is False
    with pytest.raises(ConflictError) as caught:
        operators.apply(thief)
    assert str(caught.value) == message
    assert everything(store) == before


# --- what is unlawful or unreadable ---------------------------------------------------------------


def test_an_unlawful_declaration_leaves_nothing_written(
    operators: OperatorService, store: MemoryStore
) -> None:
    unlawful = an_operator(email="", purposes=(a_purpose(retention_days=0), a_disclosure()))
    with pytest.raises(RefusedError) as caught:
        operators.apply(unlawful)
    assert [r.rule for r in caught.value.refusals] == ["contact_missing", "retention"]
    assert everything(store) == []


def test_an_unlawful_change_leaves_the_old_declaration_standing(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    before = everything(store)
    with pytest.raises(RefusedError):
        operators.apply(with_client(vpc_methods=("email_plus",)))
    assert everything(store) == before


def test_reading_refuses_what_has_no_meaning(operators: OperatorService) -> None:
    with pytest.raises(OperatorFileError):
        operators.read("[operator]\nname = 1\n")
    assert operators.read('[operator]\nid = "a"\nestablishment = "US"\n').id == "a"


@pytest.mark.parametrize(
    ("day", "rules"),
    [(date(2026, 3, 1), []), (date(2026, 2, 28), ["assurance_in_future", "assurance_in_future"])],
)
def test_the_day_decides(day: date, rules: list[str], store: MemoryStore) -> None:
    service = OperatorService(
        store,
        parse=parse_operator,
        new_secret=lambda: "secret",
        hash_secret=digest,
        load_rulebook=lambda: RULEBOOK,
        today=lambda: day,
    )
    assert [r.rule for r in service.check(an_operator()).refusals] == rules


def test_methods_this_server_lacks_are_pointed_out(store: MemoryStore) -> None:
    service = OperatorService(
        store,
        parse=parse_operator,
        new_secret=lambda: "secret",
        hash_secret=digest,
        load_rulebook=lambda: RULEBOOK,
        today=NOON.date,
        implemented={"age_screen", "payment_transaction"},
    )
    applied = service.apply(an_operator())
    assert [w.rule for w in applied.warnings] == ["method_not_available"] * 3


EXAMPLE = (Path(__file__).parents[3] / "config" / "example-operator.toml").read_text("utf-8")
READABLE = [
    ('role = "third_party"', 'role = "service_provider"'),
    ("integral = true\n", ""),
    ("integral_reason", "# integral_reason"),
    ('aims = ["operation"]', 'aims = ["sale", "operation"]'),
    ("written_assurance", "# written_assurance"),
    ("retention_days = 30", "retention_days = -1"),
    ("core = true", "core = false"),
    ('recipient = "researchlab"\n', ""),
    ('recipient = "researchlab"', 'recipient = "anthropic"'),
    ('recipients = ["anthropic"]', 'recipients = ["researchlab"]'),
    ('purposes = ["ai_chat", "disclose:researchlab"]', "purposes = []"),
    ('"mixed_audience"', '"child_directed"'),
    ('"mixed_audience"', '"general_audience"'),
    ('"parental_consent"', '"block"'),
    ('"parental_consent"', '"limited"'),
    ('"US", "DE", "GB"', '"KR", "US-CA", "XX"'),
    ('"age_screen", "facial_estimation"', '"debit_card", "puzzle"'),
    ('"payment_transaction", "fmvpi", "signed_form"', '"email_plus", "facial_estimation"'),
    ('"payment_transaction", "fmvpi", "signed_form"', ""),
    ('establishment = "US"', 'establishment = "nowhere"'),
    ("legal_name", "# legal_name"),
]


@given(st.lists(st.sampled_from(READABLE), max_size=8, unique=True))
def test_whatever_can_be_read_is_applied_or_refused_for_a_reason(
    replaced: list[tuple[str, str]],
) -> None:
    text = EXAMPLE
    for old, new in replaced:
        text = text.replace(old, new)
    store = MemoryStore(clock=lambda: NOON, new_id=lambda prefix: prefix)
    service = OperatorService(
        store,
        parse=parse_operator,
        new_secret=lambda: "secret",
        hash_secret=digest,
        load_rulebook=lambda: RULEBOOK,
        today=NOON.date,
    )
    operator = service.read(text)
    plan = service.check(operator)
    if plan.is_fine:
        service.apply(operator)
    else:
        with pytest.raises(RefusedError):
            service.apply(operator)
    assert bool(everything(store)) is plan.is_fine
    assert all(refusal.source and refusal.path for refusal in plan.refusals)


# --- looking first --------------------------------------------------------------------------------


def test_checking_writes_nothing(operators: OperatorService, store: MemoryStore) -> None:
    plan = operators.check(an_operator())
    assert plan.is_fine
    assert plan.changes == (
        "+ operator[storybuddy]",
        "+ recipient[anthropic]",
        "+ recipient[researchlab]",
        "+ purpose[ai_chat]",
        "+ purpose[disclose:researchlab]",
        "+ service[storybuddy-api]",
        "+ client[storybuddy-web]",
    )
    assert everything(store) == []


def test_checking_shows_refusals_beside_changes(operators: OperatorService) -> None:
    operators.apply(an_operator())
    plan = operators.check(an_operator(email=""))
    assert [r.rule for r in plan.refusals] == ["contact_missing"]
    assert plan.changes == ('~ operator.email: "privacy@storybuddy.example" → ""',)
    assert plan.is_fine is False


Change = Callable[[Operator], Operator]


def _with_first_client(**overrides: Any) -> Change:
    return lambda o: replace(o, clients=(replace(o.clients[0], **overrides),))


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda o: o, ()),
        (
            lambda o: replace(o, phone="+1 217 555 0199"),
            ('~ operator.phone: "+1 217 555 0100" → "+1 217 555 0199"',),
        ),
        (_with_first_client(native=True), ("~ client[storybuddy-web].native: false → true",)),
        (
            _with_first_client(regions=("US",)),
            ('~ client[storybuddy-web].regions: ["US", "DE", "GB"] → ["US"]',),
        ),
        (
            _with_first_client(branding=None),
            (
                (
                    '~ client[storybuddy-web].branding: { name = "StoryBuddy", '
                    'colour = "#3b5bdb" } → nothing'
                ),
            ),
        ),
        (lambda o: replace(o, services=()), ("- service[storybuddy-api]",)),
        (
            lambda o: replace(o, clients=(*o.clients, a_client(id=ClientId("two")))),
            ("+ client[two]",),
        ),
        (
            lambda o: replace(o, purposes=tuple(reversed(o.purposes))),
            ("~ the order of the tables",),
        ),
    ],
)
def test_every_difference_is_a_line(
    change: Change, lines: tuple[str, ...], operators: OperatorService
) -> None:
    operators.apply(an_operator())
    assert operators.check(change(an_operator())).changes == lines


def test_new_practices_are_announced(operators: OperatorService) -> None:
    operators.apply(an_operator())
    changed = an_operator(purposes=(a_purpose(retention_days=31), a_disclosure()))
    days, practices = operators.check(changed).changes
    assert days == "~ purpose[ai_chat].retention_days: 30 → 31"
    assert practices.startswith(f"~ practices: {an_operator().practices[:19]}… → ")
    assert practices.endswith("consents given for the old practices become stale")


def test_a_new_date_of_assurance_is_shown_as_a_date(operators: OperatorService) -> None:
    operators.apply(an_operator())
    first, second = an_operator().recipients
    assurance = first.written_assurance
    assert assurance is not None
    newer = replace(assurance, date=assurance.date + timedelta(days=1))
    (line,) = operators.check(
        an_operator(recipients=(replace(first, written_assurance=newer), second))
    ).changes
    assert "date = 2026-03-01" in line
    assert "date = 2026-03-02" in line


# --- clients that are taken away ------------------------------------------------------------------


def test_a_retired_client_opens_nothing_and_keeps_its_name(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    operators.apply(with_client(id=ClientId("storybuddy-next")))
    gone = credential(store, WEB)
    assert (gone.kind, gone.secret_hash, gone.webhook_secret) == (
        CredentialKind.RETIRED,
        None,
        None,
    )
    assert [client.id for client in entry(store).retired] == [WEB]


def test_a_retired_client_that_comes_back_starts_with_a_new_secret(
    operators: OperatorService, store: MemoryStore
) -> None:
    operators.apply(an_operator())
    old = credential(store, WEB).secret_hash
    operators.apply(with_client(id=ClientId("storybuddy-next")))
    operators.apply(an_operator())
    assert credential(store, WEB).kind is CredentialKind.CLIENT
    assert credential(store, WEB).secret_hash not in {None, old}
    assert [client.id for client in entry(store).retired] == ["storybuddy-next"]
