"""Public, stable error codes. `code` in every problem document (RFC 9457) is one of these."""

from __future__ import annotations

from enum import StrEnum


class Problem(StrEnum):
    INVALID_REQUEST = "invalid_request"
    INVALID_CONFIGURATION = "invalid_configuration"
    UNLAWFUL_CONFIGURATION = "unlawful_configuration"
    UNAUTHORIZED = "unauthorized"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    LINK_EXPIRED = "link_expired"
    NOT_ALLOWED_NOW = "not_allowed_now"
    METHOD_NOT_LAWFUL = "method_not_lawful"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    TOO_MANY_REQUESTS = "too_many_requests"
    VENDOR_UNAVAILABLE = "vendor_unavailable"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
