"""Bring in what an operator declares: refuse what is unlawful, store the rest in one go."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date

from agegate.domain.change import Change, NewFact
from agegate.domain.errors import ConflictError, NotFoundError
from agegate.domain.ids import ClientId, Digest
from agegate.domain.ledger import FactKind
from agegate.domain.legality import Caution, Refusal, RefusedError, refusals, warnings
from agegate.domain.operator_changes import changes
from agegate.domain.operators import AuthMethod, Client, Operator, Service
from agegate.domain.people import SealedText
from agegate.domain.records import Credential, CredentialKind, OperatorEntry
from agegate.domain.rules import Rulebook
from agegate.domain.webhooks import ROTATION, SECRET_PREFIX
from agegate.services.ports import Reader, Store, UnitOfWork

SECRET_METHODS = frozenset({AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What applying would do, and what stands in the way."""

    changes: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    warnings: tuple[Caution, ...]
    conflicts: tuple[str, ...]
    """Ids that belong to another operator."""

    @property
    def is_fine(self) -> bool:
        return not self.refusals and not self.conflicts


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSecrets:
    """New secrets of one client or service. This is the only moment at which they can be read."""

    client_id: ClientId
    client_secret: SealedText | None = None
    webhook_secret: SealedText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """Every client and service of the file; secrets only where they were made just now."""

    changes: tuple[str, ...]
    warnings: tuple[Caution, ...]
    clients: tuple[IssuedSecrets, ...]
    services: tuple[IssuedSecrets, ...]


class OperatorService:
    """Use cases around the operator file.

    `new_secret` gives 256 random bits as text, `hash_secret` their lower-case hex SHA-256;
    `implemented` names the age and consent methods that this deployment can run.
    """

    def __init__(
        self,
        store: Store,
        *,
        parse: Callable[[str], Operator],
        new_secret: Callable[[], str],
        hash_secret: Callable[[str], Digest],
        load_rulebook: Callable[[], Rulebook],
        today: Callable[[], date],
        implemented: Collection[str] | None = None,
    ) -> None:
        self._store = store
        self._parse = parse
        self._new_secret = new_secret
        self._hash_secret = hash_secret
        self._load_rulebook = load_rulebook
        self._today = today
        self._implemented = implemented

    def read(self, toml_text: str) -> Operator:
        """The operator in a file's text. Raises `ConfigurationError` naming every problem."""
        return self._parse(toml_text)

    def check(self, operator: Operator) -> Plan:
        """What `apply` would do. Writes nothing."""
        with self._store.read() as reader:
            return self._plan(reader, operator)

    def apply(self, operator: Operator) -> Applied:
        """Make the declaration the one that counts, and tell new secrets once.

        Everything or nothing, in one transaction; applying the same again changes nothing. Raises
        `RefusedError` with every refusal, and `ConflictError` for ids of another operator.
        """
        with self._store.write() as uow:
            plan = self._plan(uow, operator)
            if plan.refusals:
                raise RefusedError(plan.refusals)
            if plan.conflicts:
                raise ConflictError("\n".join(plan.conflicts))
            clients = tuple(
                self._credential(uow, operator, client, CredentialKind.CLIENT)
                for client in operator.clients
            )
            services = tuple(
                self._credential(uow, operator, service, CredentialKind.SERVICE)
                for service in operator.services
            )
            self._retire_removed(uow, operator)
            self._record(uow, operator)
            uow.commit()
        return Applied(
            changes=plan.changes, warnings=plan.warnings, clients=clients, services=services
        )

    def rotate_webhook_secret(self, client_id: str) -> IssuedSecrets:
        """A new webhook secret, told once. The one it replaces signs beside it for another day.

        Raises `NotFoundError` where the client is unknown or gets no webhooks.
        """
        with self._store.write() as uow:
            credential = uow.find(Credential, client_id)
            if credential is None or credential.webhook_secret is None:
                raise NotFoundError("no client of this id gets webhooks")
            secret = self._new_webhook_secret()
            uow.save(
                replace(
                    credential,
                    webhook_secret=secret,
                    old_webhook_secret=credential.webhook_secret,
                    old_webhook_until=uow.now + ROTATION,
                )
            )
            uow.commit()
        return IssuedSecrets(client_id=credential.id, webhook_secret=secret)

    def _plan(self, reader: Reader, operator: Operator) -> Plan:
        rulebook, today = self._load_rulebook(), self._today()
        entry = reader.find(OperatorEntry, operator.id)
        return Plan(
            changes=changes(entry.operator if entry else None, operator),
            refusals=refusals(operator, rulebook, on=today),
            warnings=warnings(operator, rulebook, on=today, implemented=self._implemented),
            conflicts=tuple(_conflicts(reader, operator)),
        )

    def _credential(
        self, uow: UnitOfWork, operator: Operator, party: Client | Service, kind: CredentialKind
    ) -> IssuedSecrets:
        old = uow.find(Credential, party.id)
        # A client that becomes a service is somebody else: its old secret opens no new door.
        kept = old if old is not None and old.kind is kind else None
        secret_hash, secret = self._secret(party, kept)
        webhook_secret, is_new_webhook_secret = self._webhook_secret(party, kept)
        credential = Credential(
            id=party.id,
            operator_id=operator.id,
            kind=kind,
            secret_hash=secret_hash,
            webhook_secret=webhook_secret,
            old_webhook_secret=kept.old_webhook_secret if kept and webhook_secret else None,
            old_webhook_until=kept.old_webhook_until if kept and webhook_secret else None,
            created_at=kept.created_at if kept else uow.now,
            version=old.version if old else 1,
        )
        if old is None:
            uow.add(credential)
        elif credential != old:
            uow.save(credential)
        return IssuedSecrets(
            client_id=party.id,
            client_secret=secret,
            webhook_secret=webhook_secret if is_new_webhook_secret else None,
        )

    def _secret(
        self, party: Client | Service, kept: Credential | None
    ) -> tuple[Digest | None, SealedText | None]:
        if party.auth_method not in SECRET_METHODS:
            return None, None
        if kept is not None and kept.secret_hash is not None:
            return kept.secret_hash, None
        secret = self._new_secret()
        return self._hash_secret(secret), SealedText(secret)

    def _webhook_secret(
        self, party: Client | Service, kept: Credential | None
    ) -> tuple[SealedText | None, bool]:
        if not isinstance(party, Client) or party.webhook_url is None:
            return None, False
        if kept is not None and kept.webhook_secret is not None:
            return kept.webhook_secret, False
        return self._new_webhook_secret(), True

    def _new_webhook_secret(self) -> SealedText:
        # Standard Webhooks wants base64 of 24 to 64 bytes; the digest of 256 random bits is 32 of
        # them, whatever alphabet `new_secret` writes in.
        key = bytes.fromhex(self._hash_secret(self._new_secret()))
        return SealedText(SECRET_PREFIX + base64.b64encode(key).decode())

    def _retire_removed(self, uow: UnitOfWork, operator: Operator) -> None:
        """A service that is gone is forgotten; a client keeps its name for its people's sake."""
        kept = {*(client.id for client in operator.clients)}
        kept |= {service.id for service in operator.services}
        for credential in uow.select(Credential, operator_id=operator.id):
            if credential.id in kept or credential.kind is CredentialKind.RETIRED:
                continue
            if credential.kind is CredentialKind.SERVICE:
                uow.delete(Credential, credential.id)
            else:
                retired = CredentialKind.RETIRED
                uow.save(
                    replace(
                        credential,
                        kind=retired,
                        secret_hash=None,
                        webhook_secret=None,
                        old_webhook_secret=None,
                        old_webhook_until=None,
                    )
                )

    def _record(self, uow: UnitOfWork, operator: Operator) -> None:
        old = uow.find(OperatorEntry, operator.id)
        if old is not None and old.operator == operator:
            return
        fact = NewFact(
            kind=FactKind.OPERATOR_APPLIED,
            operator_id=operator.id,
            data={
                "practices": operator.practices,
                "clients": tuple(client.id for client in operator.clients),
                "services": tuple(service.id for service in operator.services),
            },
        )
        if old is None:
            entry = OperatorEntry(id=operator.id, operator=operator, applied_at=uow.now)
            uow.record(Change(entry, fact), new=True)
        else:
            after = replace(
                old, operator=operator, retired=_retired(old, operator), applied_at=uow.now
            )
            uow.record(Change(after, fact))


def _retired(old: OperatorEntry, operator: Operator) -> tuple[Client, ...]:
    """Every client that was ever declared and no longer is, as it last was."""
    here = {*(client.id for client in operator.clients), *(s.id for s in operator.services)}
    known = {client.id: client for client in (*old.retired, *old.operator.clients)}
    return tuple(client for id_, client in known.items() if id_ not in here)


def _conflicts(reader: Reader, operator: Operator) -> Iterator[str]:
    parties: tuple[Client | Service, ...] = (*operator.clients, *operator.services)
    for party in parties:
        owner = reader.find(Credential, party.id)
        if owner is not None and owner.operator_id != operator.id:
            kind = "client" if isinstance(party, Client) else "service"
            yield f"{kind}[{party.id}].id: belongs to another operator; choose another id"
