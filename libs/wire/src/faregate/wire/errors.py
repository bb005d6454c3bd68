"""Errors that the library, the gateway and the client share.

Each library derives its own errors from `FaregateError`; the gateway and the worker translate them, each in one table. A
*refusal* (no credits) is an expected outcome, a *fault* (`retryable`) is temporary, and any other error is a defect. The client
raises the same classes for a gateway's answers, so that a host catches the same names with the library and with the client.
"""

from decimal import Decimal
from typing import Any, ClassVar

__all__ = [
    "AccessRefusedError",
    "FaregateError",
    "HoldClosedError",
    "InsufficientCreditsError",
    "InvalidError",
    "KeyConflictError",
    "MalformedError",
    "NotFoundError",
    "QuotaExceededError",
    "RateLimitedError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnknownFeatureError",
    "UnknownUsageKeyError",
]


class FaregateError(Exception):
    """Base of all errors of the libraries, the servers and the client.

    Attributes:
        code: stable identifier for programs; each has a page in the documentation.
        retryable: the same call may succeed later without a change.
        detail: one sentence with the values concerned and how to correct them.
        param: the request field concerned, if one is.
        facts: further values for the caller (`balance`, `required`, …), with exact numbers.
        status: in the client, the HTTP status of the gateway's answer; 0 without an answer, and in the library.
        request_id: in the client, the id of the request, for the operator's logs.
    """

    code: str = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, param: str | None = None, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.param = param
        self.facts: dict[str, Any] = facts
        self.status = 0
        self.request_id: str | None = None

    @property
    def public_detail(self) -> str:
        """Return the text for callers: `detail`, unless that contains internal information."""
        return self.detail


class MalformedError(FaregateError):
    """The bytes are malformed: not JSON, a duplicate key, nested too deep."""

    code = "malformed"


class InvalidError(FaregateError):
    """The call is well-formed, but a value is not accepted; `param` names it. Repeating the call cannot succeed."""

    code = "invalid"


class NotFoundError(FaregateError):
    """The requested object does not exist, or this caller may not see it."""

    code = "not_found"


class UnknownFeatureError(NotFoundError):
    """No feature has this key or id; the text lists similar and known ones."""

    code = "unknown_feature"


class UnknownUsageKeyError(NotFoundError):
    """No use has this usage key."""

    code = "unknown_usage_key"


class KeyConflictError(FaregateError):
    """A key that must be used once was used again for a different request."""

    code = "key_conflict"


class HoldClosedError(FaregateError):
    """The hold is settled, voided or expired; it can be neither extended nor reused."""

    code = "hold_closed"


class InsufficientCreditsError(FaregateError):
    """Too few free credits for this use. Nothing was stored: the same call can succeed after a top-up."""

    code = "insufficient_credits"

    @property
    def balance(self) -> Decimal:
        """The free credits, or what is left of the spending limit that is reached."""
        return Decimal(self.facts.get("balance", 0))

    @property
    def required(self) -> Decimal:
        """The credits that the use needs."""
        return Decimal(self.facts.get("required", 0))


class QuotaExceededError(FaregateError):
    """A hard quota does not allow this use, whatever the balance; `facts` hold `used`, `limit` and `resets_at`."""

    code = "quota_exceeded"


class AccessRefusedError(FaregateError):
    """The user, plan or credential is not allowed to do this, or the wallet is frozen or closed."""


class UnauthenticatedError(FaregateError):
    """No credential, or an unknown one."""

    code = "unauthenticated"


class RateLimitedError(FaregateError):
    """Too many requests of this credential, or too many concurrent requests of this kind."""

    code = "rate_limited"
    retryable = True


class UnavailableError(FaregateError):
    """No usable answer in time; all calls are safe to repeat.

    From the library: nothing was written, except where the failure came during a commit. From the client: it is unknown whether
    the call took effect.
    """

    code = "unavailable"
    retryable = True
