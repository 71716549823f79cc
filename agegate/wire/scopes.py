"""Scope names and endpoint paths: the public surface, in one place."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    OPENID = "openid"
    AGE = "age"
    CONSENT = "consent"
    OFFLINE_ACCESS = "offline_access"
    CONSENTS_READ = "consents:read"
    CONSENTS_WRITE = "consents:write"
    EVENTS_WRITE = "events:write"
    POLICIES_READ = "policies:read"


CLIENT_SCOPES: Final = frozenset({Scope.OPENID, Scope.AGE, Scope.CONSENT, Scope.OFFLINE_ACCESS})
SERVICE_SCOPES: Final = frozenset(
    {Scope.CONSENTS_READ, Scope.CONSENTS_WRITE, Scope.EVENTS_WRITE, Scope.POLICIES_READ}
)

AUTHORIZE: Final = "/oauth/authorize"
TOKEN: Final = "/oauth/token"  # noqa: S105 - a path, not a secret
INTROSPECT: Final = "/oauth/introspect"
REVOKE: Final = "/oauth/revoke"
USERINFO: Final = "/oauth/userinfo"
JWKS: Final = "/oauth/jwks.json"
STATUS_LIST: Final = "/oauth/status"
OPENID_CONFIGURATION: Final = "/.well-known/openid-configuration"
SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"
EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"

TOKEN_TYPE_ACCESS: Final = "at+jwt"  # noqa: S105 - RFC 9068 section 2.1
TOKEN_TYPE_STATUS_LIST: Final = "statuslist+jwt"  # noqa: S105 - Token Status List, section 5.1
