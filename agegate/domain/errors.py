"""Everything that can be refused. Each error carries a public `Problem`.

Messages hold no personal data.
"""

from __future__ import annotations

from typing import ClassVar

from agegate.wire.problems import Problem


class AgegateError(Exception):
    """Root of the family. `str(error)` may be shown to the caller."""

    problem: ClassVar[Problem] = Problem.INTERNAL


class ConfigurationError(AgegateError):
    """A setting, rule or operator file that can't be used as it is."""

    problem = Problem.INVALID_CONFIGURATION


class UnlawfulError(ConfigurationError):
    """A combination the law refuses; the message names the rule and its source."""

    problem = Problem.UNLAWFUL_CONFIGURATION


class InvalidRequestError(AgegateError):
    problem = Problem.INVALID_REQUEST


class FieldErrors(InvalidRequestError):  # noqa: N818 - reads as what it is: several errors, by field
    """What is wrong, field by field: `{field: reason code}`. Holds no value that was typed."""

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__("some answers need another look: " + ", ".join(sorted(reasons)))
        self.reasons = reasons


class NotFoundError(AgegateError):
    problem = Problem.NOT_FOUND


class ConflictError(AgegateError):
    """Somebody else was first. Nothing of this attempt was stored."""

    problem = Problem.CONFLICT


class NotAllowedNowError(AgegateError):
    """A transition that the present state does not allow."""

    problem = Problem.NOT_ALLOWED_NOW


class LinkExpiredError(AgegateError):
    problem = Problem.LINK_EXPIRED


class MethodNotLawfulError(AgegateError):
    """A consent method that the declared practices or the place do not allow."""

    problem = Problem.METHOD_NOT_LAWFUL


class TooManyRequestsError(AgegateError):
    problem = Problem.TOO_MANY_REQUESTS

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VendorError(AgegateError):
    """A vendor did not answer or answered nonsense. `retryable` tells whether to try again."""

    problem = Problem.VENDOR_UNAVAILABLE

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class UnavailableError(AgegateError):
    """The database or a key is away: nothing was decided, try again soon."""

    problem = Problem.UNAVAILABLE
