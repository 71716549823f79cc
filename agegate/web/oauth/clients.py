"""Who is calling.

Registered clients and services, by Authlib's registry of authentication methods.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.errors import InvalidClientError

from agegate.bootstrap import Services
from agegate.domain.ids import ClientId, OperatorId, digest
from agegate.domain.operators import AuthMethod, Client, Service
from agegate.domain.records import Credential, OperatorEntry

_CLIENT_GRANTS = frozenset({"authorization_code", "refresh_token"})
_LONGEST_ID = 128
_SERVICE_GRANTS = frozenset({"client_credentials"})


@dataclass(frozen=True, slots=True)
class Caller(ClientMixin):  # type: ignore[misc]  # Authlib has no types.
    """A client or a service as Authlib's grants want to see it."""

    id: ClientId
    operator_id: OperatorId
    auth_method: AuthMethod
    client: Client | None
    service: Service | None

    def get_client_id(self) -> str:
        return self.id

    def get_default_redirect_uri(self) -> None:
        """There is none: RFC 9700, 2.1 wants it sent and compared."""

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return self.client is not None and redirect_uri in self.client.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:  # noqa: ARG002 - judged in `authenticate`
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - one method everywhere
        return method == self.auth_method.value

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.client is not None

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in (_CLIENT_GRANTS if self.client else _SERVICE_GRANTS)

    @property
    def audiences(self) -> tuple[str, ...]:
        """The resources whose tokens it may ask about."""
        if self.service is not None:
            return (self.service.resource,)
        return ()


def is_plausible_id(client_id: str) -> bool:
    """Whether it is worth asking the database, which refuses some characters by an error."""
    return 0 < len(client_id) <= _LONGEST_ID and client_id.isascii() and client_id.isprintable()


def find_caller(services: Services, client_id: str) -> tuple[Caller, Credential] | None:
    with services.core.store.read() as r:
        credential = r.find(Credential, client_id)
        if credential is None:
            return None
        operator = r.get(OperatorEntry, credential.operator_id).operator
    client = operator.find_client(credential.id)
    service = operator.find_service(credential.id)
    party = client or service
    if party is None:
        return None
    return Caller(party.id, operator.id, party.auth_method, client, service), credential


def authenticate(
    services: Services, client_id: str, secret: str | None, method: str, *, public_ok: bool
) -> Caller:
    """The caller, if the one registered method and its secret are right.

    One answer for every failure.

    Raises Authlib's `InvalidClientError`.
    """
    found = find_caller(services, client_id) if is_plausible_id(client_id) else None
    given = digest(secret or "")
    stored = found[1].secret_hash if found else None
    # Always one comparison, so that an unknown client takes as long as a wrong secret.
    right = hmac.compare_digest(stored or digest("nobody"), given)
    if found is None or found[0].auth_method.value != method:
        raise InvalidClientError(status_code=401, description="client authentication failed")
    caller = found[0]
    if caller.auth_method is AuthMethod.NONE:
        if not public_ok:
            raise InvalidClientError(status_code=401, description="client authentication failed")
        return caller
    if stored is None or not right:
        raise InvalidClientError(status_code=401, description="client authentication failed")
    return caller
