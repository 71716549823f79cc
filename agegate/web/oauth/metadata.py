"""The two discovery documents: one truth, from settings alone, never from a request."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from agegate.settings import Settings
from agegate.wire import scopes
from agegate.wire.tiers import AssuranceLevel

_CLIENT_METHODS = ["client_secret_basic", "client_secret_post", "none"]
_SERVICE_METHODS = ["client_secret_basic", "client_secret_post"]


class _Provider(OpenIDProviderMetadata):  # type: ignore[misc]  # Authlib has no types.
    def validate_id_token_signing_alg_values_supported(self) -> None:
        """OIDC Discovery also wants RS256. One kind of key signs everything here: ES256."""


def server_metadata(settings: Settings) -> dict[str, Any]:
    """RFC 8414 and OIDC Discovery 1.0; validated by Authlib before it is shown to anyone."""
    issuer = settings.public_url
    document: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": issuer + scopes.AUTHORIZE,
        "token_endpoint": issuer + scopes.TOKEN,
        "introspection_endpoint": issuer + scopes.INTROSPECT,
        "revocation_endpoint": issuer + scopes.REVOKE,
        "userinfo_endpoint": issuer + scopes.USERINFO,
        "jwks_uri": issuer + scopes.JWKS,
        "scopes_supported": sorted({s.value for s in scopes.CLIENT_SCOPES | scopes.SERVICE_SCOPES}),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": _CLIENT_METHODS,
        "introspection_endpoint_auth_methods_supported": _SERVICE_METHODS,
        "introspection_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint_auth_methods_supported": _CLIENT_METHODS,
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
        "acr_values_supported": [level.value for level in AssuranceLevel],
        "prompt_values_supported": ["none", "age", "consent"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr",
            "age_tier", "age_range", "jurisdiction", "rules_version", "consent",
        ],
        "ui_locales_supported": ["en", "es"],
        "service_documentation": issuer + "/openapi.json",
    }  # fmt: skip
    if issuer.startswith(
        "https://"
    ):  # both validators insist on https, also for a demo on loopback
        AuthorizationServerMetadata(document).validate()
        _Provider(document).validate()
    return document
